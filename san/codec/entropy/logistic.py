"""The tables of the logistic mixing: stretch, squash, and how fast a probability moves.

A formula gives each table, which holds integers. No value of a formula lies so near the middle of
two integers that the rounding of a machine's `exp` or `log` could move it; a test measures how
near.
"""

import functools
import math

import numpy as np

STRETCH_LIMIT = 2815  # |ln(p / (1 - p))| in 1/256: probabilities from 1.7e-5 on
STRETCHES = 4096  # probabilities that the stretch table tells apart
RATE_LIMIT = 1023  # the largest count a probability cell can hold
# Where each table starts in the table of all of them.
MIDDLE = STRETCH_LIMIT  # squash of 0; squash of t is at MIDDLE + t
STRETCH = 2 * STRETCH_LIMIT + 2  # squash has 2 * STRETCH_LIMIT + 1 values, the last one twice
RATES = STRETCH + STRETCHES
AFTER_RATES = RATES + RATE_LIMIT + 1
# A row of the refinement: values at -REFINEMENT_ORIGIN and every REFINEMENT_STEP after it.
REFINEMENT_ORIGIN = STRETCH_LIMIT + 1
REFINEMENT_STEP_BITS = 7
REFINEMENT_STEP = 1 << REFINEMENT_STEP_BITS
ROW = 46  # values of a row


@functools.cache
def squash_table() -> np.ndarray:
    """P(1) in 1/65536 for ln(p / (1 - p)) of -2815 ... 2815 in 1/256; int32, index 0 is -2815."""
    x = [t / 256 for t in range(-STRETCH_LIMIT, STRETCH_LIMIT + 1)]
    return np.array([max(1, min(65535, round(65536 / (1 + math.exp(-v))))) for v in x], np.int32)


@functools.cache
def stretch_table() -> np.ndarray:
    """ln(p / (1 - p)) in 1/256 for p = (i + 1/2) / 4096; int32, 4096 values within the limit."""
    p = [(i + 0.5) / STRETCHES for i in range(STRETCHES)]
    return np.array([round(256 * math.log(v / (1 - v))) for v in p], np.int32)


@functools.cache
def rate_table() -> np.ndarray:
    """The share, in 1/65536, by which a cell of each count moves towards the bit it has seen."""
    return np.array([round(65536 / (n + 1.6)) for n in range(RATE_LIMIT + 1)], np.int32)


@functools.cache
def confidence_table() -> np.ndarray:
    """The factor of a stretched probability, in 1/256, for each count of its cell."""
    return np.array([round(256 * n / (n + 0.4)) for n in range(RATE_LIMIT + 1)], np.int32)


@functools.cache
def refinement_row() -> np.ndarray:
    """A row of the refinement that changes nothing: squash at -2816, -2688 ... 2944; int64."""
    squash = squash_table()
    at = [min(2 * STRETCH_LIMIT, max(0, REFINEMENT_STEP * j - 1)) for j in range(ROW)]
    return squash[at].astype(np.int64)


@functools.cache
def shared_tables() -> np.ndarray:
    """Squash (its last value twice), stretch and rates, one after the other; int32.

    Every mixer uses these. A mixer appends its own table, which starts at AFTER_RATES.
    """
    squash = squash_table()
    return np.concatenate([squash, squash[-1:], stretch_table(), rate_table()])


@functools.cache
def all_tables() -> np.ndarray:
    """The shared tables and confidence, one after the other; int32."""
    return np.concatenate([shared_tables(), confidence_table()])
