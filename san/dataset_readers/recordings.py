"""From recordings of your own to the splits of a data set: `san.datasets.from_files`."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from san import signals
from san.archives.failures import without_signal
from san.dataset_readers.channels import Column, channels_asked, channels_of
from san.dataset_readers.labels import labels_of
from san.dataset_readers.listing import names_of, recordings_in
from san.dataset_readers.sources import Source, open_source
from san.dataset_readers.splits import Dataset, Splits
from san.dataset_readers.splitting import by_group, by_time, read_groups, shares_of
from san.dataset_readers.windows import cut, ratio_of, samples_at, window_starts

RECORDINGS = "recordings"  # the data set that is made of files of your own
WINDOW = 1000  # samples, unless told otherwise: the paper's
SHARES = (3.0, 1.0, 1.0)  # of the windows, for training, validation and test
STANDARDS = ("window", "record", "none")
_SCALE = "standard deviations"
HELD = 1 << 28  # bytes of recordings that stay in memory between the first look and the windows


@dataclass(frozen=True)
class _Opened:
    """A recording, and which of its channels are taken."""

    name: str
    path: Path
    source: Source | None  # None of a recording that is opened again for its windows
    columns: tuple[Column, ...]
    rates: tuple[float | None, ...]  # of each part
    units: tuple[str, ...]
    names: tuple[str, ...]


def from_files(
    recordings: Sequence[str | Path] | str | Path,
    *,
    channels: Sequence[str | int] | str | int | None = None,
    window: int | None = None,
    window_seconds: float | None = None,
    stride: int | None = None,
    stride_seconds: float | None = None,
    start: int | None = None,
    start_seconds: float | None = None,
    stop: int | None = None,
    stop_seconds: float | None = None,
    windows: int | None = None,
    split: str = "time",
    shares: Sequence[float] = SHARES,
    standardise: str = "window",
    fs: float | None = None,
    resample: float | None = None,
    labels: str | None = None,
    seed: int = 0,
) -> Splits:
    """Cut recordings of your own into windows for training, validation and test.

    Parameters
    ----------
    recordings : path, or sequence of paths
        WFDB records, `.edf`, `.bdf`, `.npy`, `.csv`, streams, zarr arrays, and folders of them.
    channels : str, int, or sequence of them, optional
        Each by its name or by its number from 0. "MLII|II" takes the first of these names that a
        recording has. "all" takes all channels. Default: the first channel.
    window, window_seconds : int, float, optional
        Length of a window in samples, or in seconds. Default: 1,000 samples.
    stride, stride_seconds : int, float, optional
        From the start of a window to the start of the next. Default: the length of a window.
    start, start_seconds, stop, stop_seconds : int, float, optional
        The part of each recording that is used, in samples or in seconds. Default: all of it.
    windows : int, optional
        At most so many windows of each recording, at even distances. Default: no limit.
    split : str
        "time" splits each recording: its first windows are for training. "record" puts whole
        recordings into a split. A path that ends with `.csv` is a table of groups; see Notes.
    shares : three numbers
        How windows, recordings or groups are shared among training, validation and test.
    standardise : {"window", "record", "none"}
        "window" gives each channel of each window the mean 0 and the standard deviation 1.
        "record" does so for the windows of a recording together. "none" leaves physical units.
    fs : float, optional
        Sampling rate in Hz, of files that do not state it.
    resample : float, optional
        The rate of all windows in Hz. Default: where rates differ, the lowest of them.
    labels : str, optional
        The name of a channel with labels, or of annotations such as "atr". `y` and `classes` then
        have what they mostly say in each window. A window of which nothing is said has the class
        "".
    seed : int
        Of the order in which recordings or groups are split.

    Returns
    -------
    Splits
        (train, validation, test), each a `Dataset` with `recordings` and `starts`, which say where
        each window is from. `x` is float32 (N, channels, window).

    Raises
    ------
    FileNotFoundError
        If a recording is not there.
    ValueError
        If a recording cannot be read, a name or a number does not fit, or a split has no window.

    Warns
    -----
    UserWarning
        If a file in a folder holds no signal, and is left out.

    Notes
    -----
    Numbers of samples count at the rate of the windows. Windows that hold a gap, or in which every
    channel is constant, are left out. Where windows overlap, those that overlap a window of an
    earlier split are left out, so that no sample is in two splits.

    A table of groups has the columns `record` and `group`: all recordings of a group, such as those
    of a patient, are in one split. Or it has the columns `record` and `split` with train,
    validation or test.

    Recordings are read one after the other. Of .npy files, zarr arrays, streams, and of large WFDB
    records, EDF and BDF files only the windows are read. The windows are held in memory.

    Examples
    --------
    >>> train, validation, test = from_files("datasets/sample/mitdb_208", window_seconds=2.5)
    >>> train.x.shape, validation.x.shape, test.x.shape, train.fs
    ((72, 1, 900), (24, 1, 900), (24, 1, 900), 360.0)
    """
    given = [recordings] if isinstance(recordings, str | Path) else list(recordings)
    table = _table_of(split)
    if standardise not in STANDARDS:
        raise ValueError(f"standardise must be one of {', '.join(STANDARDS)}, got {standardise!r}")
    if windows is not None and windows < 1:
        raise ValueError(f"windows must be at least 1, got {windows}")
    portions = shares_of(shares)
    paths = recordings_in(given, [table] if table else [])
    opened = _opened(paths, channels_asked(channels), fs, labels is not None, given)
    rate = _common_rate(opened, resample)
    length = _samples("window", window, window_seconds, rate, WINDOW, least=2)
    step = _samples("stride", stride, stride_seconds, rate, length, least=1)
    begin = _samples("start", start, start_seconds, rate, 0, least=0)
    end = _samples("stop", stop, stop_seconds, rate, None, least=1)
    span = _Span(length, step, begin, end, windows)
    sides = _sides(opened, table, split, portions, seed)
    parts = []
    for number, each in enumerate(opened):
        source = each.source or open_source(each.path, fs, annotations=labels is not None)
        x, starts = _windows_of(each, source, rate, span)
        said = labels_of(source, labels, each.name, starts, length, rate) if labels else ()
        side = (
            by_time(starts, length, portions, each.name)
            if sides is None
            else np.full(len(starts), sides[number])
        )
        parts.append(_Part(each.name, _scaled(x, standardise), starts, side, said))
    return _joined(parts, opened, rate, standardise, given)


@dataclass(frozen=True)
class _Span:
    """Where windows lie, in samples of their rate."""

    window: int
    stride: int
    start: int
    stop: int | None
    most: int | None  # windows of a recording


@dataclass(frozen=True)
class _Part:
    """The windows of one recording."""

    name: str
    x: np.ndarray
    starts: np.ndarray
    side: np.ndarray  # the number of the split of each, or -1
    labels: Sequence[str]  # empty where none are asked for


def _table_of(split: str) -> Path | None:
    """The table of groups that a split names."""
    if split in ("time", "record"):
        return None
    if not split.lower().endswith(".csv"):
        raise ValueError(f"split must be time, record or a table (.csv) of groups, got {split!r}")
    return Path(split)


def _opened(
    paths: Sequence[Path],
    asked: Sequence[str | int],
    fs: float | None,
    annotations: bool,
    given: Sequence[str | Path],
) -> list[_Opened]:
    """Look at every recording once; those that are not in memory are opened again for windows."""
    named = {Path(path) for path in given}
    found, held = [], 0
    for path, name in zip(paths, names_of(paths), strict=True):
        try:
            source = open_source(path, fs, annotations)
        except ValueError as error:
            without = "" if path in named else without_signal(path, error)
            if not without:
                raise
            warnings.warn(f"{path} is left out: {without}", stacklevel=3)
            continue
        columns = channels_of(source, asked, name)
        held += source.held
        own = [source.parts[column.part] for column in columns]
        found.append(
            _Opened(
                name,
                path,
                source if source.held and held <= HELD else None,
                columns,
                tuple(part.fs for part in own),
                tuple(part.units[c.column] for part, c in zip(own, columns, strict=True)),
                tuple(part.names[c.column] for part, c in zip(own, columns, strict=True)),
            )
        )
    if not found:
        raise ValueError(f"no recording is among {', '.join(map(str, given))}")
    counts = {len(each.columns) for each in found}
    if len(counts) > 1:
        few, most = (pick(found, key=lambda each: len(each.columns)) for pick in (min, max))
        raise ValueError(
            f"{few.name} has {len(few.columns)} channels and {most.name} {len(most.columns)}: name "
            "the channels that all have"
        )
    return found


def _common_rate(opened: Sequence[_Opened], resample: float | None) -> float | None:
    """The rate of the windows: that which is asked for, or the lowest."""
    rates = [rate for each in opened for rate in each.rates]
    if resample is not None:
        if not 0 < resample < float("inf"):
            raise ValueError(f"resample must be a rate above 0 Hz, got {resample}")
        return resample
    return min((rate for rate in rates if rate is not None), default=None)


def _samples(
    name: str,
    samples: int | None,
    seconds: float | None,
    rate: float | None,
    default: Any,
    least: int,
) -> Any:
    """A length or a place in samples, from one of two parameters."""
    if samples is not None and seconds is not None:
        raise ValueError(f"give {name} or {name}_seconds, not both")
    if seconds is not None:
        samples = signals.sample_at(seconds, rate, f"{name}_seconds", name)
    if samples is None:
        return default
    if samples < least:
        told = f"{seconds} s, which are {samples} samples" if seconds is not None else f"{samples}"
        raise ValueError(f"{name} must be at least {least} samples, got {told}")
    return samples


def _sides(
    opened: Sequence[_Opened], table: Path | None, split: str, shares: np.ndarray, seed: int
) -> list[int] | None:
    """The number of the split of each recording; None where each is split by time."""
    names = [each.name for each in opened]
    if table is not None:
        groups, given = read_groups(table, names)
        return by_group(groups, shares, seed) if given is None else given
    return by_group(names, shares, seed) if split == "record" else None


def _windows_of(
    each: _Opened, source: Source, rate: float | None, span: _Span
) -> tuple[np.ndarray, np.ndarray]:
    """The windows of a recording that hold no gap and are not constant, and where they begin."""
    ratios = [
        ratio_of(rate, part.fs, each.name)
        if any(column.part == number for column in each.columns)
        else Fraction(1)
        for number, part in enumerate(source.parts)
    ]
    used = {column.part for column in each.columns}
    samples = min(samples_at(source.parts[number], ratios[number]) for number in used)
    starts = window_starts(samples, span.window, span.stride, span.start, span.stop, span.most)
    if not len(starts):
        raise ValueError(
            f"{each.name} has {samples} samples, and no window of {span.window} from sample "
            f"{span.start} on fits: take shorter windows, or leave the recording out"
        )
    x = cut(source, each.columns, ratios, starts, span.window)
    whole = np.isfinite(x).all(axis=(1, 2)) & (np.ptp(x, axis=2) > 0).any(axis=1)
    if not whole.any():
        raise ValueError(
            f"each of the {len(starts)} windows of {each.name} has a gap or is constant: take "
            "shorter windows, or leave the recording out"
        )
    return x[whole], starts[whole]


def _scaled(x: np.ndarray, standardise: str) -> np.ndarray:
    """Windows with mean 0 and unbiased standard deviation 1; what is constant becomes zeros."""
    if standardise == "none":
        return x
    axes = (2,) if standardise == "window" else (0, 2)
    wide = x.astype(np.float64)
    wide -= wide.mean(axis=axes, keepdims=True)
    deviation = wide.std(axis=axes, ddof=1, keepdims=True)
    return (wide / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def _joined(
    parts: Sequence[_Part],
    opened: Sequence[_Opened],
    rate: float | None,
    standardise: str,
    given: Sequence[str | Path],
) -> Splits:
    """The windows of all recordings, as splits."""
    classes = tuple(sorted({label for part in parts for label in part.labels}))
    units = opened[0].units
    if standardise == "none":
        for each in opened:
            if each.units != units:
                raise ValueError(
                    f"{each.name} has the units {', '.join(each.units)} and {opened[0].name} "
                    f"{', '.join(units)}: standardise, or leave one of them out"
                )
    scale = ", ".join({unit: None for unit in units}) if standardise == "none" else _SCALE
    splits = []
    for number, split in enumerate(Splits._fields):
        mine = [part.side == number for part in parts]
        x = np.concatenate([part.x[own] for part, own in zip(parts, mine, strict=True)])
        if not len(x):
            raise ValueError(f"no window is left for {split}: take other shares or recordings")
        names = [part.name for part, own in zip(parts, mine, strict=True) for _ in range(own.sum())]
        starts = [part.starts[own] for part, own in zip(parts, mine, strict=True)]
        said = [
            classes.index(part.labels[row])
            for part, own in zip(parts, mine, strict=True)
            for row in (np.flatnonzero(own).tolist() if classes else ())
        ]
        splits.append(
            Dataset(
                _name_of(given, opened),
                split,
                x,
                np.array(said, np.int64) if classes else None,
                rate,
                units,
                opened[0].names,
                scale,
                "not stated",
                classes,
                tuple(names),
                np.concatenate(starts),
            )
        )
    return Splits(*splits)


def _name_of(given: Sequence[str | Path], opened: Sequence[_Opened]) -> str:
    """What the data set is called: its recording or its folder, and how many others there are."""
    if len(opened) == 1:
        return f"{RECORDINGS} {opened[0].name}"
    if len(given) == 1:
        return f"{RECORDINGS} {Path(given[0]).resolve().name}"
    return f"{RECORDINGS} {opened[0].name} and {len(opened) - 1} more"
