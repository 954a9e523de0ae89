"""Many dictionaries, one for each patient or kind of record, and which of them suit a signal.

A signal and the excerpt of each dictionary are compared by their mean beats: the median of the
windows around their largest extrema. Signals whose mean beats are near are of one kind.
"""

import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from san.codec.dictionaries import learn_shared
from san.codec.dictionary_files import ENDING, dictionary_path
from san.codec.encoder import encode
from san.codec.file_format.header import checked_fs
from san.codec.modes.dictionary import Dictionary
from san.codec.modes.transform import excerpt_of
from san.codec.numbers.narrowing import narrowed
from san.codec.search.excerpts import USUAL_FS
from san.codec.search.learning import BEFORE_PEAK, SLOW_SECONDS, kernel_length
from san.codec.search.pursuit import peaks
from san.codec.target import Target
from san.routing import Candidates, squared_distances

Item = TypeVar("Item")

POINTS = 32  # of the mean beat of a channel; a kernel's length is a multiple of it
LARGE = 0.5  # share of a large extremum from which on an extremum is a beat
LARGE_SHARE = 99.5  # per cent of the samples that are below a large extremum
# Mean beats with an energy of 1 whose squared distance is below this are of one kind: their
# correlation is above 0.95. A larger number makes fewer kinds, which suit their records less.
NEAR = 0.1
FEWEST = 4  # records of a kind that gets a dictionary: it must be smaller than what it saves
# A dictionary is learned from so many records of its kind, evenly spread. 8 records of ten seconds
# fill its excerpt; more of them take time and change little.
LEARNED_FROM = 8
JUDGED_BY = 4  # records of the kind that show whether the dictionary saves more than its bytes
# Dictionaries that are tried for a signal, the nearest first. Each costs an encoding.
TRIED = 2
MOST_VALUES = 1 << 17  # of a signal that needs a dictionary: longer ones learn enough themselves
LOOKED_AT = 1 << 15  # samples, the first ones, of which the mean beat is taken
NAMED_BY = 8  # digits of a SHA-256 that name a dictionary in a stream of an archive


class DictionaryBank:
    """Dictionaries of several patients or kinds of record.

    Parameters
    ----------
    dictionaries : iterable of Dictionary

    Raises
    ------
    ValueError
        If the first 8 digits of two SHA-256 are the same: streams name dictionaries by them.

    Examples
    --------
    >>> from san.codec.modes.dictionary import quantize
    >>> bank = DictionaryBank([quantize(np.hanning(32)[None, None])])
    >>> len(bank), bank.nearest(np.zeros(100), fs=None)
    (1, [])
    """

    def __init__(self, dictionaries: Iterable[Dictionary]) -> None:
        self.dictionaries = tuple(dictionaries)
        names = [each.sha256[:NAMED_BY] for each in self.dictionaries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two dictionaries have a SHA-256 that begins with {twice[0]}: leave one out"
            )
        self._beats: dict[tuple[float, int], tuple[list[Dictionary], Candidates | None]] = {}

    def __len__(self) -> int:
        return len(self.dictionaries)

    def __iter__(self) -> Iterator[Dictionary]:
        return iter(self.dictionaries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DictionaryBank):
            return NotImplemented
        return [each.sha256 for each in self] == [each.sha256 for each in other]

    def __hash__(self) -> int:
        return hash(tuple(each.sha256 for each in self))

    def __repr__(self) -> str:
        size = sum(len(each.data) for each in self)
        return f"DictionaryBank({len(self)} dictionaries, {size} bytes)"

    def nearest(self, x: np.ndarray, fs: float | None, count: int = TRIED) -> list[Dictionary]:
        """List the dictionaries whose excerpts have mean beats near that of a signal.

        Parameters
        ----------
        x : array (n,) or (n, channels)
        fs : float or None
            Sampling rate in Hz.
        count : int
            How many at most.

        Returns
        -------
        list of Dictionary
            The nearest first, all with the channels of x. A dictionary without an excerpt is not
            among them. The list is empty where x has no beats, is shorter than two, or has more
            than 2**17 values, which learn enough by themselves.
        """
        beat = None if x.size > MOST_VALUES else mean_beat(x, fs)
        channels = x.shape[1] if x.ndim > 1 else 1
        known, candidates = self._at(checked_fs(fs), channels)
        if beat is None or candidates is None:
            return []
        return [known[i] for i in candidates.nearest(beat, count)]

    def _at(self, fs: float, channels: int) -> tuple[list[Dictionary], Candidates | None]:
        """The dictionaries of so many channels that have mean beats at a sampling rate."""
        if (fs, channels) not in self._beats:
            found = []
            for each in self:
                if each.samples and each.kernels.shape[1] == channels:
                    beat = mean_beat(excerpt_of(each), fs)
                    found += [] if beat is None else [(each, beat)]
            beats = np.array([beat for _, beat in found])
            candidates = Candidates(beats) if found else None
            self._beats[fs, channels] = [each for each, _ in found], candidates
        return self._beats[fs, channels]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write each dictionary to a file of its own, named by its SHA-256."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for each in self:
            each.save(dictionary_path(place, each.sha256))

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> "DictionaryBank":
        """Read all files of a folder that end with `.dictionary`.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or no dictionary in it.
        CodecError
            If one of them is damaged, or a newer release wrote it.
        """
        place = Path(folder)
        paths = sorted(place.glob(f"*{ENDING}"))
        if not paths:
            raise FileNotFoundError(f"the folder {place} has no file that ends with {ENDING}")
        return DictionaryBank(Dictionary.load(path) for path in paths)


def learn_dictionaries(
    records: Sequence[np.ndarray],
    fs: float | None = None,
    prdn: float = 8.0,
    *,
    kinds: Sequence[Hashable] | None = None,
) -> DictionaryBank:
    """Learn one dictionary for each kind of record, where it saves more bytes than it has.

    Parameters
    ----------
    records : sequence of array (n,) or (n, channels)
        As `san.compress` takes them. They may have different numbers of channels.
    fs : float, optional
        Sampling rate in Hz of all records.
    prdn : float
        The error, in per cent, of the streams for which the dictionaries are meant.
    kinds : sequence, optional
        The kind of each record, such as the name of its patient. By default, records whose mean
        beats are near are of one kind.

    Returns
    -------
    DictionaryBank
        Empty where no dictionary pays. A kind of fewer than 4 records has none.

    Raises
    ------
    TypeError
        If records is no sequence of arrays, or an array has a dtype that is refused.
    ValueError
        If there are not as many kinds as records.

    Examples
    --------
    >>> import san
    >>> chance = np.random.default_rng(0)
    >>> san.learn_dictionaries([chance.integers(-9, 9, 1000) for _ in range(8)], fs=100)
    DictionaryBank(0 dictionaries, 0 bytes)
    """
    if isinstance(records, np.ndarray) or not all(isinstance(x, np.ndarray) for x in records):
        raise TypeError("learn_dictionaries takes a sequence of arrays, one for each record")
    if kinds is not None and len(kinds) != len(records):
        raise ValueError(
            f"each record needs its kind, got {len(kinds)} kinds of {len(records)} records"
        )
    groups: dict[Hashable, list[int]] = {}
    for number, x in enumerate(records):
        channels = x.shape[1] if x.ndim > 1 else 1
        groups.setdefault((channels, None if kinds is None else kinds[number]), []).append(number)
    found = []
    for numbers in groups.values():
        parts = [[*range(len(numbers))]]
        if kinds is None:
            parts = kinds_of([mean_beat(records[i], fs) for i in numbers])
        for part in parts:
            learned = learn_kind([narrowed(records[numbers[i]]) for i in part], fs, prdn)
            found += [] if learned is None else [learned]
    return DictionaryBank({each.sha256: each for each in found}.values())


def learn_kind(
    records: Sequence[np.ndarray], fs: float | None, prdn: float, target: Target | None = None,
    total: int | None = None,
) -> Dictionary | None:  # fmt: skip
    """The dictionary of records of one kind; None where it saves fewer bytes than it has.

    `total` is the number of all records of the kind, of which `records` may be a part. `target` is
    that of the streams; by default it is the PRDN.
    """
    total = total or len(records)
    if total < FEWEST:
        return None
    numbers = [*range(len(records))]
    chosen = spread(numbers, LEARNED_FROM)
    dictionary = learn_shared([records[i] for i in chosen], fs, prdn)
    if dictionary is None:
        return None
    others = spread([i for i in numbers if i not in chosen] or numbers, JUDGED_BY)
    target, saved = target or Target.of(prdn=prdn), 0
    for i in others:
        alone = encode(records[i], target, fs)
        named = encode(
            records[i], target, fs, dictionary=dictionary, embed_dictionary=False, short_name=True
        )
        saved += max(0, len(alone) - len(named))
    return dictionary if saved * total > len(dictionary.data) * len(others) else None


def kinds_of(beats: Sequence[np.ndarray | None]) -> list[list[int]]:
    """Put the numbers of mean beats that are near the first one of their kind into one list.

    A record without a mean beat (None) is of no kind.

    Examples
    --------
    >>> kinds_of([np.array([1.0, 0.0]), None, np.array([0.0, 1.0]), np.array([1.0, 0.0])])
    [[0, 3], [2]]
    """
    first: list[np.ndarray] = []
    kinds: list[list[int]] = []
    for number, beat in enumerate(beats):
        if beat is None:
            continue
        distances = squared_distances(np.array(first).reshape(-1, len(beat)), beat)
        if len(first) and distances.min() < NEAR:
            kinds[int(distances.argmin())].append(number)
        else:
            first.append(beat)
            kinds.append([number])
    return kinds


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many items at most, evenly spread over those that are given.

    Examples
    --------
    >>> spread(range(9), 3), spread([4, 5], 3)
    ([0, 4, 8], [4, 5])
    """
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def mean_beat(x: np.ndarray, fs: float | None) -> np.ndarray | None:
    """The usual shape around the largest extrema of a signal, of all channels one after the other.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        NaN and infinities count as 0.
    fs : float or None
        Sampling rate in Hz; None counts as 360.

    Returns
    -------
    ndarray, shape (channels * 32,), float64, or None
        The median of the windows, with an energy of 1. None where there are no windows, or nothing
        in them.

    Examples
    --------
    >>> beats = np.zeros(2000)
    >>> beats[100:-300:300] = 100.0
    >>> beat = mean_beat(np.convolve(beats, np.hanning(40), "same"), fs=360)
    >>> beat.shape, int(beat.argmax())
    ((32,), 11)
    """
    length = kernel_length(fs or 0)
    if len(x) < 2 * length:
        return None
    values = np.nan_to_num(
        np.asarray(x[:LOOKED_AT], np.float64), copy=True, nan=0.0, posinf=0.0, neginf=0.0
    )
    values = values.reshape(len(values), -1)
    fast = _without_slow(values, round(SLOW_SECONDS * (fs or USUAL_FS)))
    fast = fast / np.maximum(fast.std(0), 1e-12)
    size = np.sqrt((fast**2).sum(1)).astype(np.float32)
    size[size < LARGE * np.percentile(size, LARGE_SHARE)] = 0
    starts = peaks(size, length // 3) - int(length * BEFORE_PEAK)
    starts = starts[(starts >= 0) & (starts <= len(fast) - length)]
    if not len(starts):
        return None
    beat = np.median(fast[starts[:, None] + np.arange(length)], axis=0)
    pooled = beat.reshape(POINTS, length // POINTS, -1).mean(1).T.reshape(-1)
    norm = float(np.sqrt((pooled**2).sum()))
    return pooled / norm if norm > 0 else None


def _without_slow(x: np.ndarray, width: int) -> np.ndarray:
    """x (n, channels) without its mean over so many samples around each."""
    width = min(max(3, width | 1), len(x) - (len(x) + 1) % 2)
    padded = np.pad(x - x.mean(0), ((width // 2 + 1, width // 2), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    return x - x.mean(0) - (sums[width:] - sums[:-width]) / width
