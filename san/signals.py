"""What a recording is in memory, and how one is read from disk and checked against its header."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from san import deprecated, times
from san.packages import need
from san.records.record import frame_means
from san.records.segments import read_whole


class NoSignal(ValueError):
    """A file is readable, and no signal is in it: annotations alone, or a table of other things."""


@deprecated.arguments(data="x", sampling_rate="fs", channels="names")
@dataclass(frozen=True)
class Recording:
    """One recording: samples in physical units, one column per channel."""

    x: np.ndarray  #: (samples, channels), float64; NaN where the recording has a gap
    fs: float  #: sampling rate in Hz
    units: tuple[str, ...]  #: of each channel
    names: tuple[str, ...]  #: of each channel

    data = deprecated.attribute("data", "x")
    sampling_rate = deprecated.attribute("sampling_rate", "fs")
    channels = deprecated.attribute("channels", "names")


@dataclass(frozen=True)
class Array:
    """The samples of a file, what it says of them, and all that is needed to write it again."""

    x: np.ndarray  #: (n,) or (n, channels)
    fs: float | None = None  #: Hz
    units: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    others: tuple["Array", ...] = ()  #: signals of other rates
    left_out: tuple[str, ...] = ()  #: files of a record that are not attached, and why
    notes: tuple[str, ...] = ()  #: what was found in a table, in words


def groups_of(rates: Sequence[int]) -> list[list[int]]:
    """Group signals by their rate; the group with the most samples comes first.

    `rates` are the samples of each signal in a record or frame. Groups hold numbers of signals.

    Examples
    --------
    >>> groups_of([1, 32, 2, 2, 1])
    [[1], [2, 3], [0, 4]]
    >>> groups_of([1, 1, 1, 2])
    [[0, 1, 2], [3]]
    """
    found = {rate: [c for c, each in enumerate(rates) if each == rate] for rate in rates}
    return sorted(found.values(), key=lambda group: -len(group) * rates[group[0]])


def sample_at(
    seconds: float, fs: float | None, name: str = "start", instead: str = "start_sample"
) -> int:
    """Return the sample that is nearest to a time.

    Parameters
    ----------
    seconds : float
        The time. Halves are rounded to the even sample.
    fs : float or None
        Sampling rate in Hz; None where it is not known.
    name, instead : str
        What an error calls the time, and the option that takes a sample instead.

    Raises
    ------
    ValueError
        If the time is not finite, or no sampling rate is known.

    Examples
    --------
    >>> sample_at(2.5, 360.0)
    900
    >>> sample_at(2.5, None)
    Traceback (most recent call last):
    ...
    ValueError: start is in seconds, and no sampling rate is known: give start_sample instead
    """
    if not math.isfinite(seconds):
        raise ValueError(f"{name} must be a finite number of seconds, got {seconds}")
    if fs is None:
        raise ValueError(
            f"{name} is in seconds, and no sampling rate is known: give {instead} instead"
        )
    return round(seconds * fs)


def read_wfdb(record: str | Path) -> Recording:
    """Read a WFDB record and compare each signal with the checksum in its header.

    Parameters
    ----------
    record : str or Path
        Path of the record without an ending: `mitdb/100` for `mitdb/100.hea`.

    Returns
    -------
    Recording
        Signals with several samples per frame are averaged over the frame, as wfdb does unless
        told otherwise and as the published experiments had them.

    Raises
    ------
    FileNotFoundError
        If the header or a signal file is not there.
    ValueError
        If the record cannot be read or a signal does not agree with its checksum.

    Examples
    --------
    >>> recording = read_wfdb("datasets/sample/mitdb_208")
    >>> recording.x.shape, recording.fs, recording.units, recording.names
    ((108000, 1), 360.0, ('mV',), ('MLII',))
    """
    need("wfdb")
    import wfdb

    path = Path(record)
    header_file = path.with_name(path.name + ".hea")
    if not header_file.is_file():
        raise FileNotFoundError(f"{header_file} is not there")
    try:
        header = wfdb.rdheader(str(path))
        files = set(getattr(header, "file_name", None) or [])
        segments = [path.parent / name for name in _segments_of(header)]
        nested = [s.name for s in segments if _segments_of(wfdb.rdheader(str(s)))]
    except Exception:  # wfdb refuses headers that header(5) allows
        return _read_whole(path)
    for name in files:
        if not (path.parent / name).is_file():
            raise FileNotFoundError(
                f"{path.parent / name} is not there, and {header_file} names it"
            )
    if nested:
        raise ValueError(f"{header_file} names {nested[0]}, which has segments itself")
    for segment in segments:
        read_wfdb(segment)  # what joins them compares nothing
    try:
        raw = wfdb.rdrecord(str(path), physical=False, smooth_frames=False)
        checksums = raw.calc_checksum(expanded=True)
        smooth = wfdb.rdrecord(str(path))
    except Exception:  # wfdb raises whatever an unusual record leads to
        return _read_whole(path)
    stated = raw.checksum or [None] * len(checksums)
    for name, computed, expected in zip(raw.sig_name, checksums, stated, strict=True):
        if expected is not None and (computed - expected) % 65536 != 0:
            raise ValueError(
                f"record {path} is corrupt: the checksum of its signal {name} is {computed}, "
                f"and its header says {expected % 65536}"
            )
    return Recording(
        np.asarray(smooth.p_signal, np.float64),
        float(smooth.fs),
        tuple(smooth.units),
        tuple(smooth.sig_name),
    )


def _read_whole(record: Path) -> Recording:
    """The same for records that the specification allows and wfdb does not read."""
    whole = read_whole(record)
    columns = [whole.column(c, frame_means, 1) for c in range(len(whole.plan.signals))]
    return Recording(
        np.stack(columns, axis=1),
        whole.header.fs,
        tuple(s.units for s in whole.plan.signals),
        tuple(s.description for s in whole.plan.signals),
    )


def _segments_of(header: Any) -> list[str]:
    """The names of the segments of a record, without gaps and the layout; none if it has none."""
    names, lengths = getattr(header, "seg_name", None), getattr(header, "seg_len", None)
    pairs = zip(names or [], lengths or [], strict=True)
    return [name for name, length in pairs if name != "~" and length]


@deprecated.arguments(sampling_rate="fs")
def read_table(path: str | Path, fs: float, units: Sequence[str]) -> Recording:
    """Read a text file of numbers: a line of names, a first column of times, a column per channel.

    Parameters
    ----------
    path : str or Path
        A file with commas, such as PhysioNet has of some records.
    fs : float
        Sampling rate in Hz; the times must agree with it, see `san.times.agree`.
    units : sequence of str
        Of each channel.

    Raises
    ------
    ValueError
        If a field is no number, the columns are others, or the times do not agree.

    Examples
    --------
    >>> read_table("bidmc/bidmc_01_Signals.csv", 125.0, ["pm", "NU", "mV", "mV", "mV"])
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'bidmc/bidmc_01_Signals.csv'
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        names = tuple(name.strip() for name in file.readline().split(","))
        try:
            rows = np.loadtxt(file, delimiter=",", ndmin=2)
        except ValueError as error:
            raise ValueError(f"{path} is not a table of numbers: {error}") from error
    if len(names) != len(units) + 1 or rows.shape[1] != len(names):
        raise ValueError(
            f"{path} must have times and {len(units)} channels, got columns {', '.join(names)}"
        )
    if not times.agree(rows[:, 0], fs):
        raise ValueError(f"the times of {path} are not those of {fs} Hz")
    return Recording(rows[:, 1:], fs, tuple(units), names[1:])
