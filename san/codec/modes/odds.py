"""What a logistic distribution says of a decision: its log-odds, from two tables of integers.

An expert expects a sample at a place, with a scale. The decisions about the sample ask on which
side of an edge it lies, between two other edges. For a logistic distribution the log-odds of each
of them are sums of ln(1 + e^-v) and -ln(1 - e^-v).
"""

import functools
import math

import numpy as np

from san.codec.entropy.loops import integer_step, least, most, size_of
from san.codec.modes.experts import COVERED, LOGARITHMS, clamp, expert_tables, within

FINE = 2  # bits by which places in units of the scale are finer than log-odds, which are in 1/256
LIMIT = 64 << (8 + FINE)  # of such places
ODDS_LIMIT = 2180  # of log-odds
KNOWN = 30 << 8  # where a distribution ends: what lies beyond is as likely as not
SOFT = LOGARITHMS + COVERED  # where the table of ln(1 + e^-v) starts, v in 1/256
SOFT_SIZE = 2048
SHORT = SOFT + SOFT_SIZE  # where the table of -ln(1 - e^-v) starts
TWO = 177  # ln 2 in 1/256


@functools.cache
def soft_table() -> np.ndarray:
    """ln(1 + e^-v) in 1/256 for v = 0 ... 2047 in 1/256; int32."""
    v = [i / 256 for i in range(SOFT_SIZE)]
    return np.array([round(256 * math.log1p(math.exp(-a))) for a in v], np.int32)


@functools.cache
def short_table() -> np.ndarray:
    """-ln(1 - e^-v) in 1/256 for v = 1 ... 2047 in 1/256, the first one twice; int32."""
    v = [max(1, i) / 256 for i in range(SOFT_SIZE)]
    return np.array([round(-256 * math.log(-math.expm1(-a))) for a in v], np.int32)


@functools.cache
def odds_tables() -> np.ndarray:
    """The tables of the experts, then the two above; int32."""
    return np.concatenate([expert_tables(), soft_table(), short_table()])


@integer_step
def soft(v, tables):
    """ln(1 + e^v) in 1/256."""
    return most(v, 0) + tables[SOFT + least(size_of(v), SOFT_SIZE - 1)]


@integer_step
def short(v, tables):
    """-ln(1 - e^-v) in 1/256, for v >= 0."""
    return tables[SHORT + least(v, SOFT_SIZE - 1)]


@integer_step
def held(odds, edge):
    """Log-odds of what is beyond an edge: the further it is, the less a distribution knows."""
    return clamp(odds, within(KNOWN - edge, 0, ODDS_LIMIT))


@integer_step
def odds_of_some(place, width, tables):
    """That a sample is not in an interval of a width whose middle is at a place."""
    away, width = size_of(place) >> FINE, width >> FINE
    half = width >> 1
    both = away + soft(-2 * away, tables)
    outside = both + soft(TWO - half - both, tables)
    return clamp(outside - half + short(width, tables), ODDS_LIMIT)


@integer_step
def odds_of_above(place, width, tables):
    """That a sample is above that interval, if it is not in it."""
    half = width >> 1
    above, below = (place + half) >> FINE, (place - half) >> FINE
    return held(soft(-below, tables) - soft(above, tables), least(above, -below))


@integer_step
def odds_of_beyond(edge, width, tables):
    """That a sample is further than a width beyond an edge, if it is beyond the edge."""
    edge, width = edge >> FINE, width >> FINE
    return held(soft(-edge, tables) - width + short(width, tables), edge)


@integer_step
def odds_of_further(edge, width, tables):
    """That a sample is in the further of two intervals of a width that begin at an edge."""
    begin, end, width = edge >> FINE, (edge + 2 * width) >> FINE, width >> FINE
    return held(width + soft(begin, tables) - soft(end, tables), begin)
