"""What a recording is in memory, and how one is read from disk and checked against its header."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from san import deprecated, times
from san.packages import need
from san.wfdb_records.record import frame_means
from san.wfdb_records.segments import read_whole

_CONVERTER = re.compile(r"([-+.\deE]+)\(([-+.\deE]+)\)/(.*)", re.DOTALL)  # gain(baseline)/unit
_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "nV": 1e-9}


class EventsOfSignal(Protocol):
    """The events of a stream, as `san.Decoder.events` gives them."""

    @property
    def kernel(self) -> np.ndarray: ...
    @property
    def position(self) -> np.ndarray: ...
    @property
    def amplitude(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Annotations:
    """What a file of annotations says of a recording, in the order of the file."""

    onset: np.ndarray  #: float64 (n,), seconds from the first sample of the recording
    position: np.ndarray  #: int64 (n,), the nearest sample of the recording's main rate
    duration: np.ndarray  #: float64 (n,), seconds; 0 where the file gives no duration
    text: tuple[str, ...]  #: the symbol of a WFDB annotation such as "N", or the text of EDF+
    note: tuple[str, ...]  #: the auxiliary text of a WFDB annotation such as "(AFIB", else empty

    def __len__(self) -> int:
        return len(self.onset)


class NoSignal(ValueError):
    """A file is readable, and no signal is in it: annotations alone, or a table of other things."""


@deprecated.arguments(data="x", sampling_rate="fs", channels="names")
@dataclass(frozen=True)
class Recording:
    """One recording: samples in physical units, one column per channel.

    Functions that do not read the fields after `names` leave them empty.
    """

    x: np.ndarray  #: (samples, channels), float64; NaN where the recording has a gap
    fs: float | None  #: sampling rate in Hz; None where it is not known
    units: tuple[str, ...]  #: of each channel, empty where it is not known
    names: tuple[str, ...]  #: of each channel
    #: date and time of the first sample, or the time alone where the file gives no date; of a table
    #: with elapsed times the first of them, a timedelta. A date has a zone where the file gives it
    start: datetime | time | timedelta | None = None
    #: by the ending of their file ("atr"), or "edf"; those of a segment by "segment/ending"
    annotations: Mapping[str, Annotations] = field(default_factory=dict)
    events: EventsOfSignal | None = None  #: of a stream
    raw: np.ndarray | None = None  #: (samples, channels), as the file has them, on request
    others: tuple["Recording", ...] = ()  #: the signals of other rates, one for each rate

    data = deprecated.attribute("data", "x")
    sampling_rate = deprecated.attribute("sampling_rate", "fs")
    channels = deprecated.attribute("channels", "names")
    __setstate__ = deprecated.state(data="x", sampling_rate="fs", channels="names")

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame with a column for each channel.

        The index is the time in seconds, or the sample's number where no rate is known. `attrs`
        has `fs`, `units` and `start`. Signals of other rates have tables of their own:
        `recording.others[0].to_dataframe()`.

        Raises
        ------
        MissingPackage
            If pandas is not installed.

        Examples
        --------
        >>> recording = Recording(np.array([[0.5], [1.0]]), 250.0, ("mV",), ("II",))
        >>> table = recording.to_dataframe()
        >>> table.index.name, table.index.tolist(), table["II"].tolist()
        ('seconds', [0.0, 0.004], [0.5, 1.0])
        """
        need("pandas")
        import pandas

        index = pandas.Index(self._ticks(), name="seconds" if self.fs else "sample")
        table = pandas.DataFrame(self.x, index=index, columns=list(self.names))
        table.attrs = {"fs": self.fs, "units": self.units, "start": self.start}
        return table

    def to_xarray(self) -> Any:
        """Return an xarray DataArray with the dimensions `time` and `channel`.

        The coordinate `time` is in seconds, or the sample's number where no rate is known.
        `units` is a coordinate along `channel`. `attrs` has `fs` and `start` where the file gives
        them; `start` is a text of ISO 8601, or a number of seconds where the file gives elapsed
        times, so that the array can be written to netCDF and zarr.

        Raises
        ------
        MissingPackage
            If xarray is not installed.

        Examples
        --------
        >>> recording = Recording(np.zeros((500, 2)), 250.0, ("mV", "mV"), ("I", "II"))
        >>> recording.to_xarray().sel(channel="II", time=slice(0, 0.5)).shape
        (126,)
        """
        need("xarray")
        import xarray

        start = self.start
        told = (
            start.total_seconds() if isinstance(start, timedelta) else start and start.isoformat()
        )
        attrs = {"fs": self.fs, "start": told}
        return xarray.DataArray(
            self.x,
            {
                "time": ("time", self._ticks()),
                "channel": ("channel", list(self.names)),
                "units": ("channel", list(self.units)),
            },
            ("time", "channel"),
            attrs={name: value for name, value in attrs.items() if value is not None},
        )

    def to_mne(self, types: str | Sequence[str] | None = None) -> Any:
        """Return an mne RawArray with the annotations of all files.

        Parameters
        ----------
        types : str or sequence of str, optional
            What mne calls the kind of a channel: "eeg", "ecg", "emg" ..., one for all or one for
            each. Default: "eeg" for a channel in volts, "misc" for any other, as mne reads EDF.

        Returns
        -------
        mne.io.RawArray
            Channels in V, mV, µV and nV are in V, as mne expects; others keep their units. Equal
            names get numbers. The date of the measurement is `start`, taken as UTC where it has no
            zone, which mne asks for. An annotation has its text, or "text note" where there is a
            note.

        Raises
        ------
        MissingPackage
            If mne is not installed.
        ValueError
            If no sampling rate is known.

        Examples
        --------
        >>> recording = Recording(np.ones((500, 1)), 250.0, ("mV",), ("II",))
        >>> raw = recording.to_mne("ecg")  # doctest: +SKIP
        >>> raw.get_data()[0, 0]  # doctest: +SKIP
        0.001
        """
        need("mne")
        import mne

        if self.fs is None:
            raise ValueError("mne needs a sampling rate, and none is known: read with fs=...")
        in_volts = np.array([_VOLTS.get(unit, 1.0) for unit in self.units])
        if types is None:
            types = ["eeg" if unit in _VOLTS else "misc" for unit in self.units]
        info = mne.create_info(_unequal(self.names), self.fs, types, verbose="error")
        raw = mne.io.RawArray((self.x * in_volts).T, info, verbose="error")
        if isinstance(self.start, datetime):
            zoned = self.start if self.start.tzinfo else self.start.replace(tzinfo=UTC)
            raw.set_meas_date(zoned.astimezone(UTC))
        if self.annotations:
            found = list(self.annotations.values())
            raw.set_annotations(
                mne.Annotations(
                    np.concatenate([each.onset for each in found]),
                    np.concatenate([each.duration for each in found]),
                    [
                        f"{text} {note}".strip()
                        for each in found
                        for text, note in zip(each.text, each.note, strict=True)
                    ],
                    orig_time=raw.info["meas_date"],
                )
            )
        return raw

    def _ticks(self) -> np.ndarray:
        """The time of each sample in seconds, or its number where no rate is known."""
        numbers = np.arange(len(self.x))
        return numbers / self.fs if self.fs else numbers


def _unequal(names: Sequence[str]) -> list[str]:
    """Names with numbers after those that were there before."""
    found: list[str] = []
    for number, name in enumerate(names):
        free = name or f"channel {number}"
        count = 0
        while free in found:
            count += 1
            free = f"{name}-{count}"
        found.append(free)
    return found


def converter_of(text: str) -> tuple[float, float, str]:
    """Return the gain, the baseline and the unit that a text such as `200(1024)/mV` names.

    An integer k is (k - baseline) / gain in the unit. A text of another form is the unit itself.

    Examples
    --------
    >>> converter_of("200(1024)/mV"), converter_of("mmHg")
    ((200.0, 1024.0, 'mV'), (1.0, 0.0, 'mmHg'))
    """
    match = _CONVERTER.fullmatch(text)
    try:
        gain, baseline = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    except ValueError:  # signs and digits in an order that is no number
        return 1.0, 0.0, text
    if match is None or not gain or not math.isfinite(gain) or not math.isfinite(baseline):
        return 1.0, 0.0, text
    return gain, baseline, match[3]


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


def columns_of(x: np.ndarray) -> np.ndarray:
    """Samples as (n, channels), also where there are none."""
    return x if x.ndim > 1 else x[:, np.newaxis]


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
        If the time is not finite or too large, or no sampling rate is known.

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
    if not math.isfinite(seconds * fs):
        raise ValueError(f"{name} is too large: {seconds} s at {fs:g} Hz")
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
