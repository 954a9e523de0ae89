"""Which laws the fast mode expects residuals to follow, and which law belongs to which context.

A law tells how often each of 64 symbols occurs, in 1/4096. There are four shapes of law, each in 54
scales a quarter octave apart. All of them are fixed: FORMAT.md says how they are computed.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

BITS = 12  # of a law's frequencies, which add up to 2**12
RATE_BITS = 44  # so a state below 2**20 times a frequency is divided exactly
SYMBOLS, ESCAPE = 64, 63  # the last symbol says that the value is written as bits
SHAPES = 4
SIGNED, UNSIGNED = 41, 13  # scales of laws of both signs, and of those whose low bits are raw
SCALES = SIGNED + UNSIGNED
BUCKETS = 73  # half octaves of the expected magnitude
RAW_FROM = 17  # the first bucket whose low bits are raw
FEWEST = 7  # octaves of the expected magnitude, in 1/64, without raw bits
ROUNDING = 0.41  # a symbol has a frequency of its own from 0.59 / 4096 on


class Tables(NamedTuple):
    """What both directions look up."""

    encode: np.ndarray  # uint32 (laws * SYMBOLS,): frequency + first place << 16
    rates: np.ndarray  # int64 (2**BITS + 1,): 2**RATE_BITS over each frequency, rounded up
    decode: np.ndarray  # uint32 (laws << BITS,): symbol + frequency << 6 + place within it << 19
    cost: np.ndarray  # float32 (laws * SYMBOLS,): bits of a symbol
    bucket: np.ndarray  # uint8 (4096,): of a magnitude
    low: np.ndarray  # uint8 (BUCKETS,): raw low bits
    usual: np.ndarray  # int64 (BUCKETS,): the scale that is expected


def tail(shape: int, mean: float, v: float) -> float:
    """The chance of more than v >= 0, of a law of both signs with this mean magnitude."""
    if shape == 0:
        return 0.5 * math.erfc(v / (mean * math.sqrt(math.pi)))
    if shape == 1:
        return 1 / (1 + math.exp(min(700.0, v * 2 * math.log(2) / mean)))
    if shape == 2:
        return 0.5 * math.exp(-v / mean)
    return 0.35 * math.exp(-v / (0.55 * mean)) + 0.15 * math.exp(-v / (2.05 * mean))


def chances(shape: int, scale: int) -> list[float]:
    """The chance of each symbol but the last, before rounding."""
    if scale < SIGNED:
        mean = 2 ** (scale / 4 - 6)
        signed = [(z + 1) // 2 for z in range(1, ESCAPE)]
        both = [tail(shape, mean, a - 0.5) - tail(shape, mean, a + 0.5) for a in signed]
        return [1 - 2 * tail(shape, mean, 0.5), *both]
    mean = 2 ** ((scale - SIGNED) / 4 + 1)
    return [2 * (tail(shape, mean, z) - tail(shape, mean, z + 1)) for z in range(ESCAPE)]


@functools.cache
def frequencies() -> np.ndarray:
    """The laws: int64 (SHAPES * SCALES, SYMBOLS), each of which adds up to 2**BITS."""
    total, laws = 1 << BITS, np.zeros((SHAPES * SCALES, SYMBOLS), np.int64)
    for number, law in enumerate(laws):
        p = chances(*divmod(number, SCALES))
        common = [math.floor(v * total + ROUNDING) for v in p]
        law[:ESCAPE] = common
        rare = 1 - math.fsum(v for v, often in zip(p, common, strict=True) if often)
        law[ESCAPE] = max(1, math.floor(rare * total + 0.5))
        law[np.argmax(law)] += total - law.sum()
    return laws


@functools.cache
def tables() -> Tables:
    """The laws as the coder looks them up, and the contexts."""
    laws = frequencies()
    first = np.cumsum(laws, axis=1) - laws
    encode = (laws | first << 16).astype(np.uint32).ravel()
    symbols = np.tile(np.arange(SYMBOLS), len(laws))
    within = np.arange(len(laws) << BITS) % (1 << BITS)
    within -= np.repeat(first.ravel(), laws.ravel())
    entries = np.repeat(symbols | laws.ravel() << 6, laws.ravel()) | within << 19
    divisors = np.maximum(1, np.arange((1 << BITS) + 1))
    rates = -(-(1 << RATE_BITS) // divisors)
    decode = entries.astype(np.uint32)
    return Tables(encode, rates, decode, _costs(laws), _buckets(), *_contexts())


def _costs(laws: np.ndarray) -> np.ndarray:
    """The bits of each symbol; one without a frequency is written as an escape."""
    z = np.arange(SYMBOLS)
    escape = BITS - np.log2(laws[:, ESCAPE:])
    cost = np.where(
        laws > 0, BITS - np.log2(np.maximum(laws, 1)), escape + 2 * np.floor(np.log2(z + 1)) + 1
    )
    cost[:, ESCAPE] = escape[:, 0] + 14  # what follows an escape, about
    return cost.astype(np.float32).ravel()


def _buckets() -> np.ndarray:
    """The bucket of the magnitudes 0 ... 4095: 0, then two for each octave."""
    found = [0, 1]
    for m in range(2, 4096):
        octave = m.bit_length() - 1
        found.append(2 * octave + 1 + (m >> (octave - 1) & 1))
    return np.array(found, np.uint8)


def _contexts() -> tuple[np.ndarray, np.ndarray]:
    """The raw low bits of each bucket, and the scale that is expected in it."""
    low, usual = np.zeros(BUCKETS, np.uint8), np.zeros(BUCKETS, np.int64)
    for bucket in range(1, BUCKETS):
        octave, half = divmod(bucket - 1, 2)
        low[bucket] = max(0, octave - FEWEST)
        raw = bucket >= RAW_FROM
        usual[bucket] = SIGNED + 5 + 2 * half if raw else 4 * octave + 1 + 2 * half
    return low, usual
