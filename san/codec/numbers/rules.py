"""Which integers a channel of an integer dtype can have: a rule makes them of consecutive numbers.

Many files have few of all integers. Counts that a converter multiplied by 4.88 are one integer in
five. A rule is short, and the coder then sees the counts, which need fewer bits.
"""

import functools
import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from san.codec.entropy.varints import Fields, write_signed, write_varint, write_varints
from san.codec.errors import CorruptStream

ROUND, TRUNC, LIST = range(3)
MOST_VALUES = 1 << 17  # of all lists of a stream together
_BASELINE = 4  # flag beside a rule's kind
_LONGEST_GAP = 5  # bytes of a distance between two values, as a varint
_RAW_DEFLATE = -15  # zlib's name for deflated bytes without a frame
LARGEST_FACTOR = 2.0**32


@dataclass(frozen=True)
class Rule:
    """How integers k of the coder become the values y of a channel, clipped to the dtype.

    ROUND: y = rint(k · factor + baseline); TRUNC: y = trunc(k · factor); LIST: y = values[k], with
    k clipped to the list. Arithmetic is that of float64.

    Examples
    --------
    >>> Rule(ROUND, 4.88).values(np.arange(4), np.dtype("int16")).tolist()
    [0, 5, 10, 15]
    >>> Rule(LIST, listed=(-3, 0, 8)).values(np.array([5, 1]), np.dtype("int16")).tolist()
    [8, 0]
    """

    kind: int
    factor: float = 1.0
    baseline: float = 0.0
    listed: tuple[int, ...] = ()

    def values(self, k: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The values of int64 k (any shape), of the dtype."""
        if self.kind == LIST:
            table = np.array(self.listed, dtype)
            return table[np.clip(k, 0, len(table) - 1)]
        limits = np.iinfo(dtype)
        y = k * self.factor
        y = np.trunc(y) if self.kind == TRUNC else np.rint(y + self.baseline)
        return np.clip(y, limits.min, limits.max).astype(dtype)

    def integers(self, values: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
        """The int64 k of int64 values (n,), or None if a value has none."""
        if self.kind == LIST:
            k = np.searchsorted(np.array(self.listed, np.int64), values)
        else:
            middle = values + 0.5 * np.sign(values) if self.kind == TRUNC else values
            k = np.rint((middle - self.baseline) / self.factor).astype(np.int64)
        return k if (self.values(k, dtype) == values).all() else None

    def __str__(self) -> str:
        if self.kind == LIST:
            return f"one of {len(self.listed)} values"
        how = "cut off" if self.kind == TRUNC else "rounded"
        plus = f" {self.baseline:+.6g}" if self.baseline else ""
        return f"a whole number · {self.factor:.6g}{plus}, {how}"

    @property
    def step(self) -> float:
        """The distance between neighbouring values, the mean one of a list."""
        if self.kind != LIST:
            return self.factor
        return (self.listed[-1] - self.listed[0]) / max(1, len(self.listed) - 1)


def pack_rules(rules: tuple[Rule | None, ...]) -> bytes:
    """The bytes of the rules of all channels: each distinct rule, then each channel's number of it.

    Examples
    --------
    >>> pack_rules((Rule(LIST, listed=(7, 9)), None)).hex()
    '0102020e036304000100'
    """
    distinct = list(dict.fromkeys(rule for rule in rules if rule is not None))
    numbers = [0 if rule is None else 1 + distinct.index(rule) for rule in rules]
    packed = b"".join(map(_pack_rule, distinct))
    return write_varint(len(distinct)) + packed + write_varints(numbers)


@functools.lru_cache(maxsize=64)  # a header is made several times, and deflating takes time
def _pack_rule(rule: Rule) -> bytes:
    if rule.kind != LIST:
        head = bytes([rule.kind + _BASELINE * (rule.baseline != 0)])
        baseline = struct.pack("<d", rule.baseline) if rule.baseline else b""
        return head + struct.pack("<d", rule.factor) + baseline
    head = bytes([LIST]) + write_varint(len(rule.listed)) + write_signed(rule.listed[0])
    if len(rule.listed) == 1:
        return head
    deflater = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    gaps = write_varints(np.diff(np.array(rule.listed, np.int64)) - 1)
    small = deflater.compress(gaps) + deflater.flush()
    return head + write_varint(len(small)) + small


def unpack_rules(fields: Fields, dtype: np.dtype, channels: int) -> tuple[Rule | None, ...]:
    """The rules of `pack_rules`, None for a channel without one.

    Raises
    ------
    CorruptStream
        If the bytes are not what `pack_rules` writes.
    """
    count = fields.varint()
    if not 1 <= count <= channels:
        raise CorruptStream(f"{count} rules cannot be those of {channels} channels")
    rules: list[Rule] = []
    room = MOST_VALUES
    for _ in range(count):
        rules.append(_unpack_rule(fields, dtype, room))
        room -= len(rules[-1].listed)
    numbers = fields.varints(channels).tolist()
    used = list(dict.fromkeys(number for number in numbers if number))
    if used != [*range(1, count + 1)] or len(set(rules)) < count:
        raise CorruptStream("the channels' numbers of their rules are not in order")
    return tuple(rules[number - 1] if number else None for number in numbers)


def _unpack_rule(fields: Fields, dtype: np.dtype, room: int) -> Rule:
    head = fields.byte()
    if head == LIST:
        return Rule(LIST, listed=_unpack_list(fields, dtype, room))
    if head not in (ROUND, ROUND + _BASELINE, TRUNC):
        raise CorruptStream(f"a rule cannot begin with the byte {head}")
    factor = fields.float64()
    baseline = fields.float64() if head & _BASELINE else 0.0
    if not 1 <= factor <= LARGEST_FACTOR or not math.isfinite(baseline):
        raise CorruptStream(f"a rule cannot have the factor {factor} and the baseline {baseline}")
    if head & _BASELINE and baseline == 0:
        raise CorruptStream("a rule's baseline of 0 is not written")
    return Rule(head & 3, factor, baseline)


def _unpack_list(fields: Fields, dtype: np.dtype, room: int) -> tuple[int, ...]:
    count, first = fields.varint(), fields.signed()
    if not 1 <= count <= room:
        raise CorruptStream(f"a list of {count} values, where {room} at most may follow")
    gaps = np.zeros(0, np.int64)
    if count > 1:
        inflated = Fields(_inflated(fields.take(fields.varint()), _LONGEST_GAP * (count - 1)))
        gaps = inflated.varints(count - 1)
        inflated.end()
    limits = np.iinfo(dtype)
    if not limits.min <= first <= limits.max or gaps.max(initial=0) > limits.max - limits.min:
        raise CorruptStream(f"a list that begins with {first} does not fit {dtype}")
    values = first + np.cumsum(np.append(0, gaps + 1))
    if values[-1] > limits.max:
        raise CorruptStream(f"a list that ends with {values[-1]} does not fit {dtype}")
    return tuple(values.tolist())


def _inflated(small: bytes, most: int) -> bytes:
    """What deflated bytes hold, at most so many bytes."""
    inflater = zlib.decompressobj(_RAW_DEFLATE)
    try:
        data = inflater.decompress(small, most + 1)
    except zlib.error as error:
        raise CorruptStream(f"a list of values does not inflate: {error}") from None
    if len(data) > most or not inflater.eof or inflater.unused_data:
        raise CorruptStream("a list of values does not end with its bytes")
    return data
