"""Windows of streams and of other recordings for PyTorch: which window an index names, and a cache.

`torch` here is PyTorch: imports are absolute. How a window is cut and resampled for the training of
a SAN is decided in the readers of data sets.
"""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from san.packages import need

need("torch")

import torch  # noqa: E402
from torch.utils.data import Dataset  # noqa: E402

from san.dataset_readers.channels import Column, channels_asked, channels_of  # noqa: E402
from san.dataset_readers.labels import NONE, labels_of  # noqa: E402
from san.dataset_readers.listing import names_of, recordings_in  # noqa: E402
from san.dataset_readers.sources import Source, open_source  # noqa: E402
from san.recent import Recent  # noqa: E402

__all__ = ["StreamDataset"]

MOST_OPEN = 256  # recordings that a process keeps open
MOST_CLASSES = 1000  # of a channel that holds labels
CACHE = 256  # megabytes of decoded chunks that a process keeps, unless told otherwise
ACROSS = 2  # chunks that are kept whatever their size: a window may lie in both


class StreamDataset(Dataset):
    """The windows of many recordings, each decoded when it is asked for.

    Parameters
    ----------
    recordings : path, or sequence of paths
        Streams, folders of them such as an archive, zarr arrays, and every other file that
        `san.datasets.from_files` takes. All have one sampling rate.
    window : int
        Samples of a window.
    stride : int, optional
        Samples from the start of a window to the start of the next. With 1, every window there is
        has an index. Default: `window`.
    channels : str, int, or sequence of them, optional
        As `san.datasets.from_files` takes them. Default: the first channel.
    labels : str or mapping of str to int, optional
        The name of a channel or of annotations, of which `classes` are numbered and a window has
        what they mostly say in it; or a class for each recording, by its name.
    standardise : bool
        Whether each channel of a window gets the mean 0 and the standard deviation 1.
    fs : float, optional
        Sampling rate in Hz, of files that do not state it.
    cache_megabytes : float
        How many megabytes of decoded chunks each process keeps, but two chunks in any case.

    Attributes
    ----------
    names : list of str
        Of the recordings.
    fs : float or None
        Their rate in Hz.
    classes : list of str
        What each class number stands for, where `labels` is a name.

    Raises
    ------
    FileNotFoundError
        If a recording is not there.
    ValueError
        If a recording cannot be read, has another rate or no such channel, or there is no window.

    Notes
    -----
    An item is a float32 tensor (channels, window), or a pair of it and the class number. A gap is
    0, which is the mean of a standardised window. For windows at random, give
    ``torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=...)`` to a DataLoader:
    with `stride` 1 it draws from all windows and holds no list of them. Workers open the recordings
    themselves, and each has a cache of its own.

    A window costs the decoding of the chunks that it lies in, unless they are in the cache. So
    short chunks (`chunk_seconds` of `san.compress`) give more random windows a second.

    Examples
    --------
    >>> dataset = StreamDataset("datasets/sample/mitdb_208", window=720)
    >>> len(dataset), dataset[0].shape, dataset.fs
    (150, torch.Size([1, 720]), 360.0)
    """

    def __init__(
        self,
        recordings: Sequence[str | Path] | str | Path,
        window: int,
        *,
        stride: int | None = None,
        channels: Sequence[str | int] | str | int | None = None,
        labels: str | Mapping[str, int] | None = None,
        standardise: bool = True,
        fs: float | None = None,
        cache_megabytes: float = CACHE,
    ) -> None:
        if window < 1 or (stride is not None and stride < 1):
            raise ValueError(f"window and stride must be at least 1, got {window} and {stride}")
        given = [recordings] if isinstance(recordings, str | Path) else list(recordings)
        self.window, self.stride = window, window if stride is None else stride
        self.standardise, self.labels = standardise, labels
        self.paths = recordings_in(given)
        self.names = names_of(self.paths)
        self._given_fs = fs
        self._megabytes = cache_megabytes
        self._forget()
        self._columns: list[tuple[Column, ...]] = []
        counts, rates, said = [], list[float | None](), set[str]()
        asked = channels_asked(channels)
        for number, name in enumerate(self.names):
            source = self._source(number)
            columns = channels_of(source, asked, name)
            if len({column.part for column in columns}) > 1:
                raise ValueError(
                    f"the channels of {name} have several rates: choose those of one rate"
                )
            self._columns.append(columns)
            part = source.parts[columns[0].part]
            counts.append(max(0, (part.samples - window) // self.stride + 1))
            rates.append(part.fs)
            if isinstance(labels, str):
                said |= _said(source, labels, name)
        for name, rate, columns in zip(self.names, rates, self._columns, strict=True):
            if rate != rates[0] or len(columns) != len(self._columns[0]):
                raise ValueError(
                    f"{name} has {len(columns)} channels of {rate} Hz, and {self.names[0]} has "
                    f"{len(self._columns[0])} of {rates[0]} Hz: windows of one data set have one "
                    "rate; san.datasets.from_files resamples"
                )
        if isinstance(labels, Mapping):
            missing = [name for name in self.names if name not in labels]
            if missing:
                raise ValueError(f"labels have no class for the recording {missing[0]}")
        self.fs = rates[0]
        self.classes = sorted(said | {NONE}) if isinstance(labels, str) else []
        self._ends = np.cumsum(counts)
        if not len(self):
            raise ValueError(f"no recording has the {window} samples of a window")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Any:
        number, start = self.place(index)
        x = self._read(number, start, start + self.window).T.astype(np.float32)
        gaps = np.isnan(x)
        if self.standardise:
            x = _standardised(x, gaps)
        x[gaps] = 0
        signal = torch.from_numpy(np.ascontiguousarray(x))
        if self.labels is None:
            return signal
        return signal, self._label(number, start)

    def place(self, index: int) -> tuple[int, int]:
        """Say which recording a window is from, by its number, and at which sample it begins.

        Raises
        ------
        IndexError
            If there is no such window.
        """
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"there are {len(self)} windows, and no window {index}")
        number = int(np.searchsorted(self._ends, at, "right"))
        before = int(self._ends[number - 1]) if number else 0
        return number, (at - before) * self.stride

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what another process must open itself."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_sources", "_recent")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def _forget(self) -> None:
        """Begin without open recordings and without decoded chunks."""
        self._process = os.getpid()
        self._sources: OrderedDict[int, Source] = OrderedDict()
        self._recent = Recent(self._megabytes, least=ACROSS)

    def _source(self, number: int) -> Source:
        if self._process != os.getpid():  # a worker that was forked
            self._forget()
        if number not in self._sources:
            annotations = isinstance(self.labels, str)
            self._sources[number] = open_source(
                self.paths[number], self._given_fs, annotations, cache_megabytes=0
            )
            if len(self._sources) > MOST_OPEN:
                self._sources.popitem(last=False)
        self._sources.move_to_end(number)
        return self._sources[number]

    def _read(self, number: int, first: int, last: int) -> np.ndarray:
        """Samples of the channels: float64 (samples, channels)."""
        columns = self._columns[number]
        part = self._source(number).parts[columns[0].part]
        own = [column.column for column in columns]
        if not part.block:
            return part.read(first, last)[:, own]
        pieces = []
        for block in range(first // part.block, (last - 1) // part.block + 1):
            begin = block * part.block

            def read(begin: int = begin) -> np.ndarray:
                end = min(begin + part.block, part.samples)
                return part.read(begin, end)[:, own].astype(np.float32)

            samples = self._recent.get((number, block), read)
            pieces.append(samples[max(first - begin, 0) : last - begin])
        return np.concatenate(pieces)

    def _label(self, number: int, start: int) -> int:
        if isinstance(self.labels, Mapping):
            return self.labels[self.names[number]]
        assert self.labels is not None
        at = np.array([start])
        source, name = self._source(number), self.names[number]
        return self.classes.index(labels_of(source, self.labels, name, at, self.window, self.fs)[0])


def _said(source: Source, labels: str, name: str) -> set[str]:
    """Every label of a recording."""
    for part in source.parts:
        if labels in part.names:
            column, step = part.names.index(labels), part.block or part.samples
            values = [
                np.unique(part.read(first, min(first + step, part.samples))[:, column])
                for first in range(0, part.samples, step)
            ]
            found = np.unique(np.concatenate(values)) if values else np.zeros(0)
            found = found[~np.isnan(found)]
            if len(found) > MOST_CLASSES:
                raise ValueError(
                    f"the channel {labels} of {name} has {len(found)} values: labels are at most "
                    f"{MOST_CLASSES} classes"
                )
            return {f"{value:g}" for value in found}
    labels_of(source, labels, name, np.zeros(0, np.int64), 1, None)  # refuses what is not there
    return {*source.annotations[labels].text}


def _standardised(x: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Channels with mean 0 and standard deviation 1 outside of gaps; constant ones are zeros."""
    there = ~gaps
    count = np.maximum(there.sum(1, keepdims=True), 1)
    zero = np.where(there, x, 0)
    centred = np.where(there, x - zero.sum(1, keepdims=True, dtype=np.float64) / count, 0)
    square = (centred**2).sum(1, keepdims=True) / np.maximum(count - 1, 1)
    deviation = np.sqrt(square)
    return (centred / np.where(deviation > 0, deviation, 1)).astype(np.float32)
