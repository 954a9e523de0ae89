"""How an array comes from a file and goes into one: WFDB records, NumPy's .npy, and .csv.

A WFDB record gives the integers of its converter, which are the smallest thing to code; its units
then say how they become physical, as a WFDB header does: `200(1024)/mV` is (x - 1024) / 200 mV.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from san import signals, storage

_TIMES = ("t", "time", "seconds", "second", "elapsed")  # names of a column of times, as they begin


@dataclass(frozen=True)
class Array:
    """Samples, and what the file says of them."""

    x: np.ndarray  # (n,) or (n, channels)
    fs: float | None = None  # Hz
    units: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def read(path: Path, fs: float | None = None, physical: bool = False) -> Array:
    """Read a file, or a WFDB record by its name without an ending.

    Parameters
    ----------
    path : Path
        `.npy`, `.csv`, or a WFDB record (`mitdb/100`, or its `.hea`).
    fs : float, optional
        Sampling rate in Hz where the file does not say; what it says comes first for a record.
    physical : bool
        Have a record in physical units, float64, instead of the converter's integers.

    Returns
    -------
    Array
        A record is (n, channels); a table of one column is (n,).

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it cannot be read, or a record has signals of several rates and is not read as
        physical (they are then averaged to the lowest one).

    Examples
    --------
    >>> array = read(Path("datasets/sample/mitdb_208"))
    >>> array.x.shape, array.x.dtype, array.fs, array.units, array.names
    ((108000, 1), dtype('int16'), 360.0, ('200(1024)/mV',), ('MLII',))
    """
    if path.suffix == ".npy":
        return Array(_read_npy(path), fs)
    if path.suffix == ".csv":
        return _read_csv(path, fs)
    record = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    if not record.with_name(record.name + ".hea").is_file():
        if path.is_file():
            raise ValueError(f"{path} is neither .npy, .csv nor a WFDB record")
        raise FileNotFoundError(f"{path} is not there, nor is a WFDB record of that name")
    return _read_record(record, physical)


def write(path: Path, array: Array) -> None:
    """Write samples to `.npy`, or to `.csv` with a line of names, whole or not at all.

    Numbers of a table have as many digits as tell them from their neighbours.
    """
    content = io.BytesIO()
    if path.suffix == ".npy":
        np.save(content, array.x, allow_pickle=False)
    elif path.suffix == ".csv":
        _write_table(content, array)
    else:
        raise ValueError(f"{path} must end with .npy or .csv")
    storage.write(path, content.getvalue())


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is not there") from None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as .npy: {error}") from error


def _read_record(record: Path, physical: bool) -> Array:
    recording = signals.read_wfdb(record)  # compares with the checksums
    if physical:
        return Array(recording.data, recording.sampling_rate, recording.units, recording.channels)
    import wfdb

    raw = wfdb.rdrecord(str(record), physical=False, smooth_frames=False)
    if len(set(raw.samps_per_frame)) > 1:
        raise ValueError(
            f"the signals of {record} have several rates, {raw.samps_per_frame} samples per frame: "
            "read them with --physical, averaged to the lowest one"
        )
    x = np.stack(raw.e_d_signal, axis=1)
    narrow = x.size == 0 or (x.min() >= -(2**15) and x.max() < 2**15)
    units = tuple(_wfdb_units(raw, c) for c in range(x.shape[1]))
    rate = float(raw.fs) * raw.samps_per_frame[0]
    return Array(x.astype(np.int16 if narrow else np.int32), rate, units, tuple(raw.sig_name))


def _wfdb_units(raw: Any, channel: int) -> str:
    gain, baseline = raw.adc_gain[channel], raw.baseline[channel]
    return f"{gain:.12g}({baseline})/{raw.units[channel]}"


def _read_csv(path: Path, fs: float | None) -> Array:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    names = _names(path)
    try:
        x = np.loadtxt(path, delimiter=",", ndmin=2, skiprows=1 if names else 0, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path} is not a table of numbers: {error}") from error
    if names and x.size and len(names) != x.shape[1]:
        raise ValueError(f"{path} has {len(names)} names and {x.shape[1]} columns")
    if not x.size:
        x = x.reshape(0, max(1, len(names)))
    if names and x.shape[1] > 1 and names[0].lower().lstrip("'\"").startswith(_TIMES):
        fs = _rate_of(path, x[:, 0], fs)
        x, names = x[:, 1:], names[1:]
    return Array(x[:, 0] if x.shape[1] == 1 else x, fs, (), names)


def _names(path: Path) -> tuple[str, ...]:
    """The first line of a table, if it is no line of numbers."""
    with open(path, encoding="utf-8", errors="replace") as file:
        fields = [field.strip() for field in file.readline().split(",")]
    try:
        [float(field) for field in fields]
    except ValueError:
        return tuple(fields)
    return ()


def _rate_of(path: Path, times: np.ndarray, fs: float | None) -> float | None:
    """The rate that a column of times in seconds has; they must agree with one that is given."""
    if len(times) < 2:
        return fs
    rate = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else np.inf
    if fs is None:
        fs = float(f"{rate:.6g}")
    expected = times[0] + np.arange(len(times)) / fs
    if not np.isfinite(rate) or np.abs(times - expected).max() > 0.01 + 0.5 / fs:
        raise ValueError(f"the times of {path} are not those of {fs:g} Hz")
    return fs


def _write_table(file: io.BytesIO, array: Array) -> None:
    columns = array.x.reshape(len(array.x), -1)
    names = array.names or tuple(f"channel_{c}" for c in range(columns.shape[1]))
    lines = [",".join(name.replace(",", " ") for name in names)]
    if columns.dtype.kind == "f":
        lines += [",".join(f"{v!s}" for v in row) for row in columns]
    else:
        lines += [",".join(map(str, row)) for row in columns.tolist()]
    file.write(("\n".join(lines) + "\n").encode())
