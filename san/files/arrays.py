"""How an array is read from a file and written into one: the ending of the file decides.

WFDB records, EDF, BDF, tables and NumPy's .npy have modules of their own.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from san import storage
from san.codec.file_format.header import checked_fs
from san.files import edf, npy, tables, wfdb_reading, wfdb_writing
from san.files.table_layout import TableOptions
from san.signals import Array
from san.wfdb_records.record import header_path

__all__ = ["STANDARD", "Array", "read", "write"]

STANDARD = Path("-")  # standard input or output


def read(
    path: Path,
    fs: float | None = None,
    physical: bool = False,
    annotations: bool = True,
    exact: bool = True,
    table: TableOptions | None = None,
) -> Array:
    """Read a file, or a WFDB record by its name without an ending.

    Parameters
    ----------
    path : Path
        `.edf`, `.bdf`, `.npy`, `.csv`, a WFDB record (`mitdb/100`, or its `.hea`), or `-` for
        standard input, which may be any of them but a record. Endings may be in capitals.
    fs : float, optional
        Sampling rate in Hz, if the file does not state it. A WFDB record and EDF state theirs,
        which counts. It wins over the times of a table.
    physical : bool
        Give a record or EDF in physical units, float64, instead of the converter's integers.
    annotations : bool
        Whether annotation files of a WFDB record are attached.
    exact : bool
        Whether the times of a table must come back as the same numbers. Otherwise each may move
        by half a sampling interval at most; see `san.times.agree`.
    table : TableOptions, optional
        How a table is written; what is not said is found out.

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
        If it cannot be read.

    Notes
    -----
    The first column of a table holds times if its name says so: one of `san.times.WORDS`, alone
    or with a unit of `san.times.PER_SECOND`, such as "time", "t" or "Time (ms)", in capitals or
    not. A first time and a rate stand for them where these give every time back (or nearly, if not
    `exact`). Otherwise the column is a channel like the others.

    Examples
    --------
    >>> array = read(Path("datasets/sample/mitdb_208"))
    >>> array.x.shape, array.x.dtype, array.fs, array.units, array.names
    ((108000, 1), dtype('int16'), 360.0, ('200(1024)/mV',), ('MLII',))
    >>> list(array.attachments)
    ['wfdb/header']
    """
    checked_fs(fs)
    if path == STANDARD:
        return _read_standard_input(fs, physical, exact, table)
    ending = path.suffix.lower()
    if path.is_dir() and not (path.name and header_path(path).is_file()):
        raise ValueError(f"{path} is a folder: name a recording in it; `san archive` takes folders")
    if ending == ".npy":
        return npy.read(path, fs, exact)
    if ending == ".csv":
        return tables.read(path, fs, exact, table)
    if ending in edf.ENDINGS:
        return edf.read_edf(path, physical=physical)
    record = path.with_suffix("") if ending in (".hea", ".dat") else path
    if not header_path(record).is_file():
        if path.is_file():
            raise ValueError(
                f"{path} is neither .edf, .bdf, .npy, .csv nor a WFDB record; a table of another "
                "ending is read if its name ends with .csv"
            )
        raise FileNotFoundError(f"{path} is not there, nor is a WFDB record of that name")
    return wfdb_reading.read_record(record, physical=physical, annotations=annotations)


def write(path: Path, array: Array, exact: bool = False) -> None:
    """Write samples by the ending of a file, whole or not at all.

    Parameters
    ----------
    path : Path
        `.npy`, `.csv`, or `-` for `.npy` to standard output. If the samples came from such a
        file, also `.edf`, `.bdf`, or a WFDB record by its name without an ending.
    array : Array
        Signals of other rates become files of their own, see `files_of_rates`.
    exact : bool
        Whether the samples are the same as those that were read.

    Raises
    ------
    ValueError
        If the name has another ending, or standard output cannot hold samples of several rates.
    """
    if path.suffix.lower() in edf.ENDINGS and edf.HEADER in array.attachments:
        return edf.write_edf(path, array)
    ending = path.suffix.lower()
    if ending in ("", ".hea") and path != STANDARD:
        if wfdb_reading.is_record(array):
            wfdb_writing.write_record(path.with_suffix(""), array, exact)
            return None
        raise ValueError(
            f"{path} names a record, and this did not come from a WFDB record: end the name with "
            ".npy, .csv or the ending of what was compressed"
        )
    if array.others:
        rates = [part.fs for part in (array, *array.others)]
        for part, own in zip((array, *array.others), files_of_rates(path, rates), strict=True):
            write(own, replace(part, others=(), attachments={}), exact)
        return None
    if ending == ".npy" or path == STANDARD:
        content = npy.content_of(array)
    elif ending == ".csv":
        content = tables.content_of(array)
    else:
        last = ", or with .hea for a record of that name" if wfdb_reading.is_record(array) else ""
        raise ValueError(
            f"{path} must end with .npy or .csv, or the ending of what was compressed{last}"
        )
    if path == STANDARD:
        storage.write_standard(content)
    else:
        storage.write(path, content)
    return None


def files_of_rates(path: Path, rates: Sequence[float | None]) -> list[Path]:
    """Name a file for the signals of each rate: `x.npy`, then `x_125Hz.npy` and so on.

    Parameters
    ----------
    path : Path
        Of the first one: `.npy`, `.csv` or `-`.
    rates : sequence of float
        In Hz, the main one first.

    Raises
    ------
    ValueError
        If there are several rates, and the path is standard output.

    Examples
    --------
    >>> [str(path) for path in files_of_rates(Path("x.npy"), [250.0, 62.5])]
    ['x.npy', 'x_62.5Hz.npy']
    """
    if path == STANDARD and len(rates) > 1:
        listed = ", ".join(f"{rate:g}" for rate in rates if rate)
        raise ValueError(
            f"standard output holds signals of one rate, and there are {listed} Hz: name a file"
        )
    others = [path.with_name(f"{path.stem}_{rate or 0:g}Hz{path.suffix}") for rate in rates[1:]]
    return [path, *others]


def _read_standard_input(
    fs: float | None, physical: bool, exact: bool, table: TableOptions | None
) -> Array:
    content = sys.stdin.buffer.read()
    ending = ".csv"
    if content.startswith(npy.MAGIC):
        ending = ".npy"
    elif content.startswith((b"0       ", b"\xffBIOSEMI")):
        ending = edf.ENDINGS[content[:1] == b"\xff"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"standard input{ending}"
        path.write_bytes(content)
        try:
            found = read(path, fs, physical, exact=exact, table=table)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "standard input")) from error
        notes = tuple(note.replace(path.name, "standard input") for note in found.notes)
        return replace(found, x=np.array(found.x), notes=notes)
