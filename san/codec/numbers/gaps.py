"""Where samples are not ordinary numbers: runs of NaN, infinities and negative zeros.

Gaps are an int64 array (runs, 4) with the columns channel, start, length and kind, sorted by
channel and start; two runs of one kind never touch.
"""

import numpy as np

from san.codec.entropy.varints import Fields, write_varint, write_varints
from san.codec.errors import CorruptStream
from san.codec.numbers.bits import bits_of

NAN, PLUS_INFINITY, MINUS_INFINITY, MINUS_ZERO, MINUS_NAN = range(5)
CHANNEL, START, LENGTH, KIND = range(4)
_KIND_BITS = 3

_PATTERNS = {
    "float32": [0x7FC00000, 0x7F800000, 0xFF800000, 0x80000000, 0xFFC00000],
    "float64": [p << 48 for p in (0x7FF8, 0x7FF0, 0xFFF0, 0x8000, 0xFFF8)],
}


def _patterns(dtype: np.dtype) -> np.ndarray:
    """The bits of each kind, uint32 or uint64."""
    return np.array(_PATTERNS[dtype.name], np.uint32 if dtype.itemsize == 4 else np.uint64)


def no_gaps() -> np.ndarray:
    """The gaps of a signal without any."""
    return np.zeros((0, 4), np.int64)


def find_gaps(y: np.ndarray, channel: int, exact: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """The gaps of one channel and which samples lie outside of them.

    Parameters
    ----------
    y : float32 or float64 (n,)
    channel : int
        Its number, for the first column.
    exact : bool
        Whether negative zeros and the sign of a NaN count. Otherwise every NaN is the same, and
        a negative zero is a zero.

    Returns
    -------
    (int64 (runs, 4), bool (n,)), or None if a NaN has bits that no kind of gap can store.

    Examples
    --------
    >>> find_gaps(np.array([1, np.nan, np.nan, np.inf]), 0, exact=True)[0].tolist()
    [[0, 1, 2, 0], [0, 3, 1, 1]]
    """
    ordinary = np.isfinite(y)
    if exact:
        ordinary &= ~((y == 0) & np.signbit(y))
    if ordinary.all():
        return no_gaps(), ordinary
    places = np.flatnonzero(~ordinary)
    odd = y[places]
    kinds = np.full(places.size, -1)
    for kind, pattern in enumerate(_patterns(y.dtype)):
        kinds[bits_of(odd) == pattern] = kind
    if not exact:
        kinds[np.isnan(odd)] = NAN
    if kinds.min() < 0:
        return None
    first = np.flatnonzero((np.diff(places, prepend=-2) > 1) | (np.diff(kinds, prepend=-2) != 0))
    lengths = np.diff(first, append=places.size)
    channels = np.full(first.size, channel)
    return np.stack([channels, places[first], lengths, kinds[first]], 1).astype(np.int64), ordinary


def fill_gaps(y: np.ndarray, gaps: np.ndarray) -> None:
    """Write the values of the gaps into float32 or float64 y (n, channels), in place."""
    lengths = gaps[:, LENGTH].astype(np.intp)  # a machine of 32 bits repeats by its own integers
    behind = np.cumsum(lengths) - lengths
    offsets = np.arange(int(lengths.sum())) - np.repeat(behind, lengths)
    rows = np.repeat(gaps[:, START], lengths) + offsets
    patterns = bits_of(y)
    values = _patterns(y.dtype)[gaps[:, KIND]]
    patterns[rows, np.repeat(gaps[:, CHANNEL], lengths)] = np.repeat(values, lengths)


def crop_gaps(gaps: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The gaps of samples start ... stop - 1, counted from start.

    Examples
    --------
    >>> crop_gaps(np.array([[0, 5, 10, 0]]), 8, 20).tolist()
    [[0, 0, 7, 0]]
    """
    first = np.maximum(gaps[:, START], start)
    last = np.minimum(gaps[:, START] + gaps[:, LENGTH], stop)
    cropped = np.stack([gaps[:, CHANNEL], first - start, last - first, gaps[:, KIND]], 1)
    return cropped[last > first].astype(np.int64)


def pack_gaps(gaps: np.ndarray, channels: int) -> bytes:
    """The bytes of gaps; a single zero if there are none.

    The number of runs, then the number of runs of each channel but the last; then for every run
    its distance from the end of the former one (from 0 in a new channel) and length · 8 + kind.
    All are varints.

    Examples
    --------
    >>> pack_gaps(np.array([[0, 5, 10, 0]]), channels=1).hex()
    '010550'
    """
    if not len(gaps):
        return write_varint(0)
    counts = np.bincount(gaps[:, CHANNEL].astype(np.intp), minlength=channels)
    ends = gaps[:, START] + gaps[:, LENGTH]
    former = np.concatenate([[0], ends[:-1]])
    former[np.flatnonzero(np.diff(gaps[:, CHANNEL], prepend=-1))] = 0
    runs = np.stack([gaps[:, START] - former, gaps[:, LENGTH] << _KIND_BITS | gaps[:, KIND]], 1)
    return write_varints([len(gaps), *counts[:-1]]) + write_varints(runs)


def unpack_gaps(data: bytes, position: int, samples: int, channels: int) -> tuple[np.ndarray, int]:
    """Gaps from the bytes of `pack_gaps`, and the position after them.

    Parameters
    ----------
    data : bytes
    position : int
        Where they begin.
    samples, channels : int
        Of the array they belong to.

    Raises
    ------
    CorruptStream
        If the bytes end, or a run is empty, leaves the array, has an unknown kind, or continues
        the run before it.

    Examples
    --------
    >>> unpack_gaps(bytes.fromhex("010550"), 0, samples=20, channels=1)[0].tolist()
    [[0, 5, 10, 0]]
    """
    fields = Fields(data, position)
    total = fields.varint()
    if total == 0:
        return no_gaps(), fields.position
    counts = fields.varints(channels - 1)
    rest = total - sum(counts.tolist())
    if rest < 0 or total > samples * channels:
        raise CorruptStream(f"{total} gaps do not fit in {channels} channels of {samples} samples")
    runs = fields.varints(2 * total).reshape(total, 2)
    distance, length, kind = runs[:, 0], runs[:, 1] >> _KIND_BITS, runs[:, 1] & 7
    if length.min() < 1 or kind.max() > MINUS_NAN or max(distance.max(), length.max()) > samples:
        raise CorruptStream(f"a gap is empty, of unknown kind, or beyond {samples} samples")
    channel = np.repeat(np.arange(channels), np.append(counts, rest).astype(np.intp))
    new = np.diff(channel, prepend=-1) > 0
    total_end = np.cumsum(distance + length)
    base = np.concatenate([[0], total_end[:-1]])[new]
    counts = np.diff(np.flatnonzero(new), append=total).astype(np.intp)
    ends = total_end - np.repeat(base, counts)
    if ends.max() > samples:
        raise CorruptStream(f"a gap ends at sample {ends.max()} of {samples}")
    if np.any((distance[1:] == 0) & ~new[1:] & (kind[1:] == kind[:-1])):
        raise CorruptStream("a gap continues the one before it")
    return np.stack([channel, ends - length, length, kind], 1).astype(np.int64), fields.position
