"""What a sample is expected to be: three experts, and how they learn from each sample.

The first expert expects the sample just before. The second adds a linear combination of recent
differences of the channel and of its neighbours; weighted least squares solve for its weights every
few hundred samples. The third corrects the second by a fast adaptive filter of recent errors.
"""

import functools
from typing import NamedTuple

import numpy as np

from san.codec.entropy import range_coder
from san.codec.entropy.logistic import AFTER_RATES, shared_tables
from san.codec.entropy.loops import (
    integer_loop,
    integer_part,
    integer_step,
    least,
    most,
    products,
    size_of,
)

OWN = 24  # differences of the channel itself that the linear expert sees
NEXT = 8  # of the following channel
PREVIOUS = 8  # of each of the two channels before, the current one included
SIZE = 1 + OWN + NEXT + 2 * PREVIOUS
FIRST, BLOCK = 32, 256  # samples between two solutions of the least squares
FADE, RIDGE = 6, 14  # shifts: what a full block forgets, what is added to the diagonal
DIFFERENCE_BITS = 16
WEIGHT_LIMIT = 1 << 22  # of the linear expert, in 1/65536
TAPS, PACE = 6, 17  # past errors that the adaptive filter sees, and a shift: how slowly it moves
YOUNG, OLD = 6, 10  # how slowly the usual error moves: a shift, which grows with the samples seen
FILTERS = 16  # of a channel: one for each size of the recent errors
FIRST_TAP = 1 << 19  # of every filter at the start; its other taps are 0
PAD = 32  # places before a channel's first sample
LAST, LINEAR, FILTERED, EXPERTS = range(4)
FRACTION = 6  # bits after the point of what an expert expects
HALF, FRACTION_MASK = 1 << FRACTION >> 1, (1 << FRACTION) - 1
SMALL = 362  # with differences up to this, a block's moments, BLOCK * 64 * SMALL**2, have 31 bits
ERROR_LIMIT = 1 << 24  # of predictions, errors and taps

# A channel's state: FAST, SLOW and MEAN of each expert's errors, then
FAST, SLOW, MEAN, AVERAGES = range(4)
ERROR, ERROR_BEFORE, USUAL, RECENT, ENERGY, STATE = range(AVERAGES * EXPERTS, 15)

# What holds for the stream and for the sample at hand, in the coding memory m after the range coder
STEP, STEP_BITS, SHIFT, LOWEST, HIGHEST, LARGEST = range(range_coder.STATE, 14)
CENTRE, BUCKET, FINE, WEIGHTS, REFINEMENT, PREDICTION, CORRECTION, FILTER = range(14, 22)
MEANS = 24  # EXPERTS numbers: what each expert expects

# The table of logarithms, after the shared ones
LOGARITHMS = AFTER_RATES
LOGARITHM_BITS = 12  # of the numbers that the table covers
COVERED = 1 << LOGARITHM_BITS


class Model(NamedTuple):
    """What the experts know: one-dimensional arrays, int64 if nothing else is said."""

    differences: np.ndarray  # int32: of every sample, PAD places before each channel
    errors: np.ndarray  # of the linear expert at every sample, placed as the differences
    calm: np.ndarray  # int32: the weight of every sample in the moments, placed likewise
    starts: np.ndarray  # SIZE: where in the differences each feature of a channel begins
    weighted: np.ndarray  # int32, BLOCK: a feature times the weight of its sample
    narrow: np.ndarray  # int16, PAD + BLOCK of each channel: the differences of the block, if small
    narrow_weighted: np.ndarray  # int16, BLOCK
    largest: np.ndarray  # of each channel: the size of these differences
    moments: np.ndarray  # SIZE * SIZE of each channel: sums of products of features
    factor: np.ndarray  # int32, (SIZE + 1) * SIZE: the factor L of the moments
    pivots: np.ndarray  # SIZE: the diagonal D
    column: np.ndarray  # int32, SIZE: a column of L D
    weights: np.ndarray  # SIZE of each channel: the linear expert's, in 1/65536
    lags: np.ndarray  # int32, SIZE of each channel: these weights, in the order of differences
    filters: np.ndarray  # FILTERS * (TAPS + 1) of each channel
    state: np.ndarray  # STATE of each channel


def new_model(n: int, channels: int) -> Model:
    """What the experts know before the first of n moments."""
    places = channels * (n + PAD)
    return Model(
        differences=np.zeros(places, np.int32),
        errors=np.zeros(places, np.int64),
        calm=np.zeros(places, np.int32),
        starts=np.zeros(SIZE, np.int64),
        weighted=np.zeros(BLOCK, np.int32),
        narrow=np.zeros(channels * (PAD + BLOCK), np.int16),
        narrow_weighted=np.zeros(BLOCK, np.int16),
        largest=np.zeros(channels, np.int64),
        moments=np.zeros(channels * SIZE**2, np.int64),
        factor=np.zeros((SIZE + 1) * SIZE, np.int32),
        pivots=np.zeros(SIZE, np.int64),
        column=np.zeros(SIZE, np.int32),
        weights=np.zeros(channels * SIZE, np.int64),
        lags=np.zeros(channels * SIZE, np.int32),
        filters=_first_filters(channels).copy(),
        state=np.zeros(channels * STATE, np.int64),
    )


def begin_again(model: Model, channels: int) -> None:
    """Give a model of so many channels the values that `new_model` gives it."""
    for part in model:
        part.fill(0)
    np.copyto(model.filters, _first_filters(channels))


@functools.cache
def _first_filters(channels: int) -> np.ndarray:
    """The adaptive filters before the first sample."""
    return np.tile(np.array([FIRST_TAP] + [0] * TAPS, np.int64), channels * FILTERS)


@functools.cache
def expert_tables() -> np.ndarray:
    """The shared tables, and the logarithm of 0 ... 4095 in four steps per octave; int32."""
    octaves = [(v, v.bit_length()) for v in range(4, COVERED)]
    logarithms = [0, 1, 2, 3] + [4 * (b - 2) + ((v >> (b - 3)) & 3) for v, b in octaves]
    return np.concatenate([shared_tables(), np.array(logarithms, np.int32)])


@integer_step
def within(value, low, high):
    """The nearest integer to value from low to high."""
    return least(high, most(low, value))


@integer_step
def clamp(value, limit):
    """The nearest integer to value from -limit to limit."""
    return least(limit, most(-limit, value))


@integer_step
def logarithm(value, tables):
    """The logarithm of value >= 0 in quarters of an octave; exact below 4."""
    octaves = 0
    while value >= COVERED:
        value, octaves = value >> 4, octaves + 16
    return tables[LOGARITHMS + value] + octaves


@integer_step
def features_of(c, channels):
    """The number of features of channel c, feature 0 included."""
    return 1 + OWN + (NEXT if c + 1 < channels else 0) + PREVIOUS * least(c, 2)


@integer_part
def predicted(model, c, channels, here, stride):
    """The sum of the differences that predict the one at `here`, each times its weight."""
    lags, differences, base = model.lags, model.differences, c * SIZE
    total = products(lags, base, differences, here - OWN, OWN)
    base += OWN
    if c + 1 < channels:
        total += products(lags, base, differences, here + stride - NEXT, NEXT)
        base += NEXT
    for before in range(1, least(c, 2) + 1):
        total += products(lags, base, differences, here - before * stride - PREVIOUS + 1, PREVIOUS)
        base += PREVIOUS
    return total


@integer_step
def place_lags(model, c, size):
    """Put the weights of each group of features, the nearest first, in the order of time."""
    lags, weights, base = model.lags, model.weights, c * SIZE
    for i in range(OWN):
        lags[base + i] = weights[base + OWN - i]
    for first in range(OWN, size - 1, NEXT):
        for i in range(NEXT):
            lags[base + first + i] = weights[base + first + NEXT - i]


@integer_step
def place_features(starts, c, channels, stride):
    """Put where each feature of a channel begins, the difference at hand first."""
    size, own = OWN + 1, c * stride + PAD
    for i in range(size):
        starts[i] = own - i
    if c + 1 < channels:
        for i in range(NEXT):
            starts[size + i] = own + stride - 1 - i
        size += NEXT
    for before in range(1, least(c, 2) + 1):
        for i in range(PREVIOUS):
            starts[size + i] = own - before * stride - i
        size += PREVIOUS


@integer_step
def copy_small(model, c, begin, end, stride):
    """Copy the differences that a block sees of a channel, if all of them are small."""
    differences, narrow = model.differences, model.narrow
    first, to, largest = c * stride + begin, c * (PAD + BLOCK), 0
    for k in range(PAD + end - begin):
        largest = most(largest, size_of(differences[first + k]))
    model.largest[c] = largest
    if largest <= SMALL:
        for k in range(PAD + end - begin):
            narrow[to + k] = differences[first + k]


@integer_step
def add_moments(model, c, size, begin, end, channels, stride):
    """Add the products of a channel's features at so many moments, the lower triangle, weighted."""
    starts, largest = model.starts, 0
    for other in range(most(0, c - 2), least(c + 2, channels)):
        largest = most(largest, model.largest[other])
    if largest <= SMALL:
        place_features(starts, c, channels, PAD + BLOCK)
        add_products(
            model, c, size, begin, end - begin, stride, model.narrow, 0, model.narrow_weighted
        )
    else:
        place_features(starts, c, channels, stride)
        add_products(
            model, c, size, begin, end - begin, stride, model.differences, begin, model.weighted
        )


@integer_step
def add_products(model, c, size, begin, count, stride, seen, after, weighted):
    """Add the products of features, each of which begins so long after its start."""
    moments, calm, starts = model.moments, model.calm, model.starts
    place, base = c * stride + PAD + begin, c * SIZE * SIZE
    for i in range(size):
        start = starts[i] + after
        for k in range(count):
            weighted[k] = calm[place + k] * seen[start + k]
        for j in range(i + 1):
            start = starts[j] + after
            moments[base + i * SIZE + j] += products(weighted, 0, seen, start, count)


@integer_loop
def solve(model, c, size):
    """Solve for a channel's weights, which give feature 0 from the others: L D Lᵀ, fixed point."""
    moments, factor, pivots = model.moments, model.factor, model.pivots
    column, weights = model.column, model.weights
    base, place = c * SIZE * SIZE, c * SIZE
    largest = 0
    for i in range(size):
        largest = most(largest, moments[base + i * SIZE + i])
    up, down = 0, 0
    while 0 < largest << up < 1 << 29:
        up += 1
    while largest >> down >= 1 << 30:
        down += 1
    floor = ((largest << up >> down) >> 18) + 1
    for j in range(1, size):
        for k in range(1, j):
            column[k] = clamp((factor[j * SIZE + k] * pivots[k]) >> 20, 1 << 30)
        for i in range(j, size + 1):  # the last row is feature 0, the right-hand side
            moment = moments[base + i * SIZE + j] if i < size else moments[base + j * SIZE]
            value = moment << up >> down
            taken = products(factor, i * SIZE + 1, column, 1, j - 1)
            if i == j:
                value += (value >> RIDGE) + floor
                pivots[j] = within(value - (taken >> 20), floor, 1 << 31)
            else:
                value = clamp(value - (taken >> 20), 1 << 31)
                factor[i * SIZE + j] = clamp((value << 20) // most(1, pivots[j]), 1 << 27)
    for j in range(size - 1, 0, -1):
        total = factor[size * SIZE + j] << 12
        for k in range(j + 1, size):
            total -= (factor[k * SIZE + j] * weights[place + k]) >> 4
        weights[place + j] = clamp(total >> 16, WEIGHT_LIMIT)


@integer_part
def expect(m, model, c, last, prediction, loud, here):
    """Put into m what each expert expects, in 1/64, and what `adapt` will need of it."""
    filters = model.filters
    place = (c * FILTERS + least(loud >> 2, FILTERS - 1)) * (TAPS + 1)
    total = -filters[place] * prediction
    for i in range(1, TAPS + 1):
        total += filters[place + i] * model.errors[here - i]
    correction = clamp(total >> 20, ERROR_LIMIT)
    lowest, highest = m[LOWEST] << FRACTION, m[HIGHEST] << FRACTION
    m[MEANS + LAST] = last << FRACTION
    for a in range(LINEAR, EXPERTS):
        moves = prediction + (0 if a == LINEAR else correction)
        m[MEANS + a] = within((last << FRACTION) + (moves << m[SHIFT]), lowest, highest)
    m[CENTRE] = (m[MEANS + FILTERED] + HALF) >> FRACTION
    m[PREDICTION], m[CORRECTION], m[FILTER] = prediction, correction, place


@integer_part
def adapt(m, model, age, c, difference, here):
    """Let the weight of a sample, the filter and the averages of a channel follow its newest."""
    state, filters, errors = model.state, model.filters, model.errors
    own, prediction = c * STATE, m[PREDICTION]
    error = clamp((difference << FRACTION) - prediction, ERROR_LIMIT)
    left = clamp(error - m[CORRECTION], ERROR_LIMIT)
    # quiet stretches tell what to expect of noise; the rest is left to the filter
    unrest = 5 * state[own + RECENT] + 50 * size_of(error) + 1
    calm = (state[own + USUAL] << 8) // most(1, unrest)
    model.calm[here] = (least(calm, 128) * least(calm, 128)) >> 8
    state[own + USUAL] += ((size_of(error) << 4) - state[own + USUAL]) >> age
    state[own + RECENT] += ((size_of(error) << 4) - state[own + RECENT]) >> 3
    for a in range(EXPERTS):
        off = size_of(difference << FRACTION if a == LAST else (error if a == LINEAR else left))
        place = own + AVERAGES * a
        state[place + FAST] += (off - state[place + FAST]) >> 2
        state[place + SLOW] += (off - state[place + SLOW]) >> 4
        state[place + MEAN] = (state[place + FAST] + state[place + SLOW]) >> 1
    gain = (left << 30) // most(4096, state[own + ENERGY] + prediction * prediction + 4096)
    half, place = 1 << PACE >> 1, m[FILTER]
    filters[place] = clamp(filters[place] + ((half - gain * prediction) >> PACE), ERROR_LIMIT)
    for i in range(1, TAPS + 1):
        move = (gain * errors[here - i] + half) >> PACE
        filters[place + i] = clamp(filters[place + i] + move, ERROR_LIMIT)
    state[own + ENERGY] += error * error - errors[here - TAPS] * errors[here - TAPS]
    state[own + ERROR_BEFORE], state[own + ERROR] = state[own + ERROR], error
    errors[here] = error


@integer_step
def forget(moments, c, size):
    """Let a channel's moments fade."""
    for i in range(c * SIZE * SIZE, (c * SIZE + size) * SIZE):
        moments[i] -= (moments[i] + (1 << FADE >> 1)) >> FADE
