"""How an array is read from a file and written into one: the ending of the file decides.

WFDB records, EDF and BDF have modules of their own; NumPy's .npy and .csv are here.
"""

import io
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from san import storage, times
from san.codec.encoder import unlikely
from san.codec.numbers.narrowing import narrowed
from san.files import edf, wfdb, wfdb_files
from san.records.record import header_path
from san.signals import Array

__all__ = ["STANDARD", "Array", "read", "write"]

STANDARD = Path("-")  # standard input or output
COLUMNS = "csv/columns"  # attachment: the line of names, and the times if they are not a channel


def read(
    path: Path,
    fs: float | None = None,
    physical: bool = False,
    annotations: bool = True,
    exact: bool = True,
) -> Array:
    """Read a file, or a WFDB record by its name without an ending.

    Parameters
    ----------
    path : Path
        `.edf`, `.bdf`, `.npy`, `.csv`, a WFDB record (`mitdb/100`, or its `.hea`), or `-` for
        standard input, which may be any of them but a record. Endings may be in capitals.
    fs : float, optional
        Sampling rate in Hz, if the file does not state it. A WFDB record and EDF state theirs,
        which counts.
    physical : bool
        Give a record or EDF in physical units, float64, instead of the converter's integers.
    annotations : bool
        Whether annotation files of a WFDB record are attached.
    exact : bool
        Whether the times of a table must come back as the same numbers. Otherwise each may move
        by half a sampling interval at most; see `san.times.agree`.

    Returns
    -------
    Array
        Records and EDF are (n, channels); a table of one column is (n,). All that is needed to
        write the file again is attached. Signals of other rates are in `others`.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it cannot be read, or the times of a table have another rate than `fs`.

    Notes
    -----
    The first column of a table holds times if its name says so: one of `san.times.WORDS`, alone
    or with a unit of `san.times.UNITS`, such as "time", "t" or "Time (s)", in capitals or not. A
    first time and a rate stand for them where these give every time back (or nearly, if not
    `exact`). Otherwise the column is a channel like the others.

    Examples
    --------
    >>> array = read(Path("datasets/sample/mitdb_208"))
    >>> array.x.shape, array.x.dtype, array.fs, array.units, array.names
    ((108000, 1), dtype('int16'), 360.0, ('200(1024)/mV',), ('MLII',))
    >>> list(array.attachments)
    ['wfdb/header']
    """
    if path == STANDARD:
        return _read_standard_input(fs, physical, exact)
    ending = path.suffix.lower()
    if ending == ".npy":
        return Array(_read_npy(path), fs)
    if ending == ".csv":
        return _read_csv(path, fs, exact)
    if ending in edf.ENDINGS:
        return edf.read_edf(path, physical=physical)
    record = path.with_suffix("") if ending in (".hea", ".dat") else path
    if not header_path(record).is_file():
        if path.is_file():
            raise ValueError(f"{path} is neither .edf, .bdf, .npy, .csv nor a WFDB record")
        raise FileNotFoundError(f"{path} is not there, nor is a WFDB record of that name")
    return wfdb.read_record(record, physical=physical, annotations=annotations)


def write(path: Path, array: Array, exact: bool = False) -> None:
    """Write samples by the ending of a file, whole or not at all.

    Parameters
    ----------
    path : Path
        `.npy`, `.csv`, or `-` for `.npy` to standard output. If the samples came from such a
        file, also `.edf`, `.bdf`, or a WFDB record by its name without an ending. Numbers of a
        table have as many digits as tell them from all other numbers of their type.
    array : Array
    exact : bool
        Whether the samples are the same as those that were read.

    Raises
    ------
    ValueError
        If the name has another ending, or such a file cannot hold samples of several rates.
    """
    content = io.BytesIO()
    if path.suffix.lower() in edf.ENDINGS and edf.HEADER in array.attachments:
        return edf.write_edf(path, array)
    ending = path.suffix.lower()
    if ending in ("", ".hea") and path != STANDARD:
        if wfdb.is_record(array):
            wfdb_files.write_record(path.with_suffix(""), array, exact)
            return None
        raise ValueError(f"{path} has no ending, and this did not come from a WFDB record")
    if array.others:
        rates = ", ".join(f"{part.fs:g}" for part in (array, *array.others))
        raise ValueError(f"{path} cannot hold signals of several rates ({rates} Hz)")
    if ending == ".npy" or path == STANDARD:
        np.save(content, array.x, allow_pickle=False)
    elif ending == ".csv":
        _write_table(content, array)
    else:
        raise ValueError(f"{path} must end with .npy or .csv, or the ending of what was compressed")
    if path == STANDARD:
        sys.stdout.buffer.write(content.getvalue())
        sys.stdout.buffer.flush()
    else:
        storage.write(path, content.getvalue())
    return None


def _read_standard_input(fs: float | None, physical: bool, exact: bool) -> Array:
    content = sys.stdin.buffer.read()
    ending = ".csv"
    if content.startswith(b"\x93NUMPY"):
        ending = ".npy"
    elif content.startswith((b"0       ", b"\xffBIOSEMI")):
        ending = edf.ENDINGS[content[:1] == b"\xff"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"standard input{ending}"
        path.write_bytes(content)
        try:
            found = read(path, fs, physical, exact=exact)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "standard input")) from error
        return Array(np.array(found.x), *list(vars(found).values())[1:])


def _read_npy(path: Path) -> np.ndarray:
    """The array in a file, in a dtype that streams have; a shape that is unlikely is questioned."""
    try:
        x = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is not there") from None
    except (ValueError, EOFError) as error:
        size = path.stat().st_size
        said = f"{error}" if size else "it is empty, it has 0 bytes"
        raise ValueError(f"{path} is not readable as .npy: {said}") from error
    try:
        found = narrowed(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be compressed: {error}") from error
    if found.ndim == 2 and found.shape[1] > len(found) > 0:
        warnings.warn(unlikely(found.shape, f"{path}: the array"), stacklevel=2)
    return found


def _read_csv(path: Path, fs: float | None, exact: bool) -> Array:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    line, names = _names(path)
    try:
        x = np.loadtxt(path, delimiter=",", ndmin=2, skiprows=1 if names else 0, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path} is not a table of numbers: {error}") from error
    if names and x.size and len(names) != x.shape[1]:
        raise ValueError(f"{path} has {len(names)} names and {x.shape[1]} columns")
    if not x.size:
        x = x.reshape(0, max(1, len(names)))
    ruler = None
    if names and x.shape[1] > 1 and times.is_name(names[0]):
        fs, ruler = _times_of(path, names[0], x[:, 0], fs, exact)
        if ruler is not None:
            x, names = x[:, 1:], names[1:]
    attached = {COLUMNS: json.dumps({"line": line, **_said_of(ruler)}).encode()} if names else {}
    return Array(x[:, 0] if x.shape[1] == 1 else x, fs, (), names, attached)


def _names(path: Path) -> tuple[str, tuple[str, ...]]:
    """The first line of a table and the names in it; both are empty if it is a line of numbers."""
    with open(path, encoding="utf-8", errors="replace") as file:
        line = file.readline(1 << 16).strip()
    fields = [field.strip() for field in line.split(",")]
    try:
        [float(field) for field in fields]
    except ValueError:
        return line, tuple(fields)
    return "", ()


def _times_of(
    path: Path, name: str, column: np.ndarray, fs: float | None, exact: bool
) -> tuple[float | None, times.Ruler | None]:
    """The rate that a column of times has, and what stands for it; None if it stays a channel."""
    ruler = times.find_ruler(column, fs)
    near = ruler or times.nearest_ruler(column, fs)
    if near is None and fs is not None:
        other = times.find_ruler(column) or times.nearest_ruler(column)
        if other is not None:
            raise ValueError(
                f"the times of {path} are not those of {fs:g} Hz but of {other.fs:g} Hz: leave "
                f"the rate out, or rename the column {name!r}, which then becomes a channel"
            )
    return (near.fs if near else fs), (ruler if exact else near)


def _said_of(ruler: times.Ruler | None) -> dict[str, Any]:
    """What the attachment says of times; what is as in every ruler is left out."""
    if ruler is None:
        return {"start": None}
    said: dict[str, Any] = {"start": ruler.start}
    if ruler.decimals is None:
        said["digits"] = ruler.digits
    elif ruler.decimals != times.DECIMALS:
        said["decimals"] = ruler.decimals
    return said | ({"multiplied": True} if ruler.multiplied else {})


def _ruler_of(said: dict[str, Any], fs: float | None) -> times.Ruler | None:
    """The times that an attachment tells of, None if it has none."""
    if said.get("start") is None or not fs:
        return None
    digits = said.get("digits")
    decimals = None if digits is not None else int(said.get("decimals", times.DECIMALS))
    for number in (digits, decimals):
        if number is not None and not 0 <= int(number) <= times.ALL_DIGITS:
            raise ValueError(f"times cannot have {number} digits")
    return times.Ruler(float(said["start"]), fs, decimals, digits, bool(said.get("multiplied")))


def _write_table(file: io.BytesIO, array: Array) -> None:
    columns = array.x if array.x.ndim > 1 else array.x[:, np.newaxis]
    line, ticks = _columns_of(array, columns.shape[1])
    lines = [line]
    rows = ([f"{v!s}" for v in row] for row in columns)
    if ticks is None:
        lines += [",".join(row) for row in rows]
    else:
        lines += [f"{t!s}," + ",".join(row) for t, row in zip(ticks, rows, strict=True)]
    file.write(("\n".join(lines) + "\n").encode())


def _columns_of(array: Array, channels: int) -> tuple[str, list[float] | None]:
    """The line of names, and times if the table that was compressed had them."""
    try:
        said = json.loads(array.attachments.get(COLUMNS, b"{}"))
        line, ruler = said.get("line", ""), _ruler_of(said, array.fs)
        if line and "\n" not in line and line.count(",") + 1 == channels + (ruler is not None):
            return line, None if ruler is None else ruler.times(len(array.x)).tolist()
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"the attached line of names cannot be read: {error}") from error
    names = array.names or tuple(f"channel_{c}" for c in range(channels))
    return ",".join(name.replace(",", " ") for name in names), None
