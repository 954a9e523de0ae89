"""What a WFDB record on disk holds: its header, its signals as integers, and what else is in files.

A record of several segments is put together in `segments`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from san.wfdb_records.header import NO_SIGNAL, Header, SignalLine, parse_header
from san.wfdb_records.samples import frames_in, invalid_of, samples_end, unpack_file


@dataclass(frozen=True)
class Record:
    """A record without segments, as its files hold it."""

    content: bytes  #: the header as it is on disk
    header: Header
    frames: int
    signals: tuple[np.ndarray, ...]  #: int32 (frames * samples_per_frame,), not shifted by a skew
    data: Mapping[str, bytes]  #: the signal files

    @property
    def lines(self) -> tuple[SignalLine, ...]:
        """The lines of the header that describe `signals`."""
        return tuple(s for s in self.header.signals if s.code != NO_SIGNAL)

    def rest_of(self, file: str) -> tuple[bytes, bytes]:
        """What stands before and after the samples in a file that is not FLAC."""
        end = samples_end(self.header, file, self.frames)
        if end is None:
            return b"", b""
        offset = next(s.offset for s in self.header.signals if s.file == file)
        return self.data[file][:offset], self.data[file][end:]


def read_header(record: Path) -> tuple[bytes, Header]:
    """Read a record's header, by the record's path without an ending.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is not as header(5) has it.
    """
    path = header_path(record)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    content = path.read_bytes()
    return content, parse_header(content, str(path))


def header_path(record: Path) -> Path:
    """Where the header of a record is; its ending may be in capitals."""
    return file_of(record.with_name(record.name + ".hea"))


def file_of(path: Path) -> Path:
    """A file of a record where it is, whose ending or whole name may be in capitals on disk."""
    others = (path.stem + path.suffix.upper(), path.name.upper(), path.name.lower())
    places = (path, *(path.with_name(name) for name in others))
    return next((place for place in places if place.is_file()), path)


def read_plain(record: Path) -> Record:
    """Read a record that has no segments.

    Raises
    ------
    FileNotFoundError
        If the header or a signal file is not there.
    ValueError
        If a file is not what the header says, has no signal, or the record has segments.
    """
    content, header = read_header(record)
    if header.segments is not None:
        raise ValueError(f"{header_path(record)} names segments, which have signals of their own")
    if not header.files:
        what = "annotations or comments only" if not header.signals else "a layout of segments"
        raise ValueError(f"{header_path(record)} has no signal file: it is {what}")
    data = {}
    for file in header.files:
        path = file_of(record.parent / file)
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there, and {header_path(record)} names it")
        data[file] = path.read_bytes()
    try:
        frames = min(frames_in(data[file], header, file) for file in header.files)
        found = {file: unpack_file(data[file], header, file, frames) for file in header.files}
    except ValueError as error:
        raise ValueError(f"record {record} cannot be read: {error}") from error
    signals = tuple(found[s.file].pop(0) for s in header.signals if s.code != NO_SIGNAL)
    return Record(content, header, frames, signals, data)


def shifted(x: np.ndarray, signal: SignalLine) -> np.ndarray:
    """A signal without its skew: it comes that many frames earlier, and invalid samples follow."""
    late = min(signal.skew * signal.samples_per_frame, len(x))
    invalid = np.nan if x.dtype.kind == "f" else invalid_of(signal) or 0
    tail = np.full(late, invalid, x.dtype)
    return np.concatenate([x[late:], tail]) if late else x


def physical(x: np.ndarray, signal: SignalLine) -> np.ndarray:
    """A signal in its units, float64, without its skew; NaN where a sample is invalid.

    x has integers, or floats with NaN where there is no sample.
    """
    y = (x.astype(np.float64) - signal.baseline) / signal.gain
    invalid = invalid_of(signal)
    if invalid is not None:
        y[x == invalid] = np.nan
    late = min(signal.skew * signal.samples_per_frame, len(y))
    return np.concatenate([y[late:], np.full(late, np.nan)]) if late else y


def frame_means(x: np.ndarray, signal: SignalLine) -> np.ndarray:
    """A signal in its units, a value for each frame: the integers' mean, cut, as wfdb does."""
    if signal.samples_per_frame == 1:
        return physical(x, signal)
    sums = x.reshape(-1, signal.samples_per_frame).sum(1, dtype=np.int64)
    means = sums / signal.samples_per_frame
    return physical(np.trunc(means), replace(signal, samples_per_frame=1))
