"""The tables of the logistic mixing: stretch, squash, and how fast a probability moves.

Each is an integer table given by a formula. No value of a formula lies so near the middle of two
integers that the rounding of a machine's `exp` or `log` could move it; a test measures how near.
"""

import functools
import math

import numpy as np

STRETCH_LIMIT = 2815  # |ln(p / (1 - p))| in 1/256: probabilities from 1.7e-5 on
RATE_LIMIT = 1023  # the largest count a probability cell can hold


@functools.cache
def squash_table() -> np.ndarray:
    """P(1) in 1/65536 for ln(p / (1 - p)) of -2815 ... 2815 in 1/256; int32, index 0 is -2815."""
    x = [t / 256 for t in range(-STRETCH_LIMIT, STRETCH_LIMIT + 1)]
    return np.array([max(1, min(65535, round(65536 / (1 + math.exp(-v))))) for v in x], np.int32)


@functools.cache
def stretch_table() -> np.ndarray:
    """ln(p / (1 - p)) in 1/256 for p = (i + 1/2) / 4096; int32, 4096 values within the limit."""
    p = [(i + 0.5) / 4096 for i in range(4096)]
    return np.array([round(256 * math.log(v / (1 - v))) for v in p], np.int32)


@functools.cache
def rate_table() -> np.ndarray:
    """The share, in 1/65536, by which a cell of each count moves towards the bit it has seen."""
    return np.array([round(65536 / (n + 1.6)) for n in range(RATE_LIMIT + 1)], np.int32)


@functools.cache
def confidence_table() -> np.ndarray:
    """What a stretched probability counts, in 1/256, by how often its cell was seen."""
    return np.array([round(256 * n / (n + 0.4)) for n in range(RATE_LIMIT + 1)], np.int32)


@functools.cache
def refinement_row() -> np.ndarray:
    """A row of the refinement that changes nothing: squash at -2816, -2688 ... 2944; int64."""
    squash = squash_table()
    at = [min(2 * STRETCH_LIMIT, max(0, 128 * j - 1)) for j in range(46)]
    return squash[at].astype(np.int64)


@functools.cache
def all_tables() -> np.ndarray:
    """Squash (one value twice), stretch, rates and confidence, one after the other; int32."""
    squash = squash_table()
    return np.concatenate([squash, squash[-1:], stretch_table(), rate_table(), confidence_table()])
