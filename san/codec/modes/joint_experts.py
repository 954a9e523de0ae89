"""What a sample is expected to be from all channels: five experts, and how they learn.

The first expert expects the sample just before. Two add linear combinations of what is known of
this channel and of its mates: one remembers long and sees all of it, one forgets soon and sees the
first part. The fourth blends these two by their recent errors, and the fifth corrects the blend by
a fast adaptive filter. Mates that come before a channel are known up to the present sample.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step, least, most, products, size_of
from san.codec.modes.experts import (
    DIFFERENCE_BITS,
    ERROR_LIMIT,
    FILTERS,
    FIRST_TAP,
    FRACTION,
    HALF,
    PACE,
    TAPS,
    clamp,
    logarithm,
    within,
)
from san.codec.modes.least_squares import WEIGHT, Solver, new_solver, shifted, solve, triangle

OWN = 32  # differences of the channel itself
NEAREST = 6  # of these, those that come before what the mates say
MATES = 24  # channels that a channel is predicted from, at most
WIDTH = 2 + OWN + 3 * MATES  # the difference at hand, a level, and what follows
SHORT = 20  # features that the expert sees which forgets soon
PAD = 40  # places before a channel's first sample
FIRST, BLOCK = 32, 256  # samples between two solutions
LAST, LONG, BRIEF, BLEND, FILTERED, EXPERTS = range(6)
SOLUTIONS = 2  # LONG and BRIEF
OF_LONG, OF_BRIEF = WIDTH * (WIDTH + 1) // 2, (SHORT + 1) * (SHORT + 2) // 2
OF_CHANNEL = OF_LONG + OF_BRIEF  # moments
ROUND = 1 << (WEIGHT - FRACTION - 1)  # half of a unit of a prediction, before it is rounded
CUBE_BITS = 12  # of the errors that the blend takes to the third power
MOST_GAIN, DIAGONAL = 30, 1 << 55  # of moments: bits after the point, the largest before a sum
CALM_LIMIT = 128  # the weight of a sample is at most the square of this, over 256

# A channel's state: FAST, SLOW and MEAN of each expert's errors, then
FAST, SLOW, MEAN, AVERAGES = range(4)
ERROR, ERROR_BEFORE, USUAL, RECENT, ENERGY = range(AVERAGES * EXPERTS, AVERAGES * EXPERTS + 5)
STEP, STEP_BITS, SHIFT, LARGEST, FEATURES, GAIN = range(20, 26)  # those of the channel
STATE = GAIN + SOLUTIONS  # GAIN: the bits after the point of its moments
# What holds for the sample at hand
LOWEST, HIGHEST, BLENDED, CORRECTION, FILTER, CENTRE, MEANS = range(7)
PREDICTIONS = MEANS + EXPERTS  # of the two linear experts
HAND = PREDICTIONS + SOLUTIONS


class Model(NamedTuple):
    """What the experts know: one-dimensional arrays."""

    seen: np.ndarray  # int32: differences of every sample, PAD places before each channel; levels
    errors: np.ndarray  # int64: of the blend at every sample, placed as the differences
    calm: np.ndarray  # int32: the weight of every sample in the moments, placed likewise
    starts: np.ndarray  # int64, WIDTH of each channel: where in `seen` each feature begins
    features: np.ndarray  # int64, WIDTH: those of the sample at hand
    weighted: np.ndarray  # int32, BLOCK: a feature times the weight of its sample
    fresh: np.ndarray  # int64, OF_LONG: the moments of the newest samples
    moments: np.ndarray  # int64, OF_CHANNEL of each channel: two triangles
    weights: np.ndarray  # int64, SOLUTIONS * WIDTH of each channel, in 1/2**24
    filters: np.ndarray  # int64, FILTERS * (TAPS + 1) of each channel
    state: np.ndarray  # int64, STATE of each channel
    hand: np.ndarray  # int64, HAND
    solver: Solver


def new_model(n: int, channels: int) -> Model:
    """What the experts know before the first of n moments, but for the channels' mates."""
    places = channels * (n + PAD)
    return Model(
        seen=np.zeros(2 * places, np.int32),
        errors=np.zeros(places, np.int64),
        calm=np.zeros(places, np.int32),
        starts=np.zeros(channels * WIDTH, np.int64),
        features=np.zeros(WIDTH, np.int64),
        weighted=np.zeros(BLOCK, np.int32),
        fresh=np.zeros(OF_LONG, np.int64),
        moments=np.zeros(channels * OF_CHANNEL, np.int64),
        weights=np.zeros(channels * SOLUTIONS * WIDTH, np.int64),
        filters=np.tile(np.array([FIRST_TAP] + [0] * TAPS, np.int64), channels * FILTERS),
        state=np.zeros(channels * STATE, np.int64),
        hand=np.zeros(HAND, np.int64),
        solver=new_solver(WIDTH),
    )


@integer_step
def place_feature(model, c, start):
    """Give a channel one more feature, which begins there."""
    at = c * STATE + FEATURES
    model.state[at] += 1
    model.starts[c * WIDTH + model.state[at]] = start


@integer_loop
def place_features(model, mates, c, channels, stride):
    """Give a channel its features; mates[m] is 1 if channel m is a mate of it."""
    levels, own = channels * stride + PAD, c * stride + PAD
    model.starts[c * WIDTH] = own
    place_feature(model, c, levels + c * stride - 1)
    for i in range(1, NEAREST + 1):
        place_feature(model, c, own - i)
    for m in range(c):
        if mates[m] == 1:
            place_feature(model, c, m * stride + PAD)
    for m in range(channels):
        if mates[m] == 1:
            place_feature(model, c, levels + m * stride - 1)
            place_feature(model, c, m * stride + PAD - 1)
    for i in range(NEAREST + 1, OWN + 1):
        place_feature(model, c, own - i)


@integer_step
def predict(model, c, t):
    """Gather the features of a sample; put into `hand` what the two linear experts predict."""
    features, seen, starts, weights = model.features, model.seen, model.starts, model.weights
    size, first, base = model.state[c * STATE + FEATURES], c * WIDTH, c * SOLUTIONS * WIDTH
    for i in range(1, size + 1):
        features[i] = seen[starts[first + i] + t]
    for k in range(SOLUTIONS):
        total, start = 0, base + k * WIDTH
        for i in range(1, (size if k == 0 else least(size, SHORT)) + 1):
            total += weights[start + i] * features[i]
        model.hand[PREDICTIONS + k] = clamp((total + ROUND) >> (WEIGHT - FRACTION), ERROR_LIMIT)


@integer_step
def blended(state, own, long, brief):
    """The mean of two predictions, each weighted by the third power of the other's error."""
    at = own + AVERAGES * LONG
    first = (state[at + FAST] >> 1) + state[at + SLOW] + 1
    at += AVERAGES
    second = (state[at + FAST] >> 1) + state[at + SLOW] + 1
    down = 0
    while most(first, second) >> down >= 1 << CUBE_BITS:
        down += 1
    first, second = most(1, first >> down), most(1, second >> down)
    first, second = first * first * first, second * second * second
    return (long * second + brief * first) // (first + second)


@integer_step
def expect(model, tables, c, t, last, here):
    """Put into `hand` what each expert expects, in 1/64, and what `adapt` will need of it."""
    hand, filters, state, own = model.hand, model.filters, model.state, c * STATE
    predict(model, c, t)
    blend = blended(state, own, hand[PREDICTIONS], hand[PREDICTIONS + 1])
    loud = logarithm(state[own + AVERAGES * FILTERED + MEAN], tables)
    place = (c * FILTERS + least(loud >> 2, FILTERS - 1)) * (TAPS + 1)
    total = -filters[place] * blend
    for i in range(1, TAPS + 1):
        total += filters[place + i] * model.errors[here - i]
    correction = clamp(total >> 20, ERROR_LIMIT)
    lowest, highest = hand[LOWEST] << FRACTION, hand[HIGHEST] << FRACTION
    for a in range(EXPERTS):
        moves = 0
        if a == LONG or a == BRIEF:
            moves = hand[PREDICTIONS + a - LONG]
        elif a != LAST:
            moves = blend if a == BLEND else blend + correction
        moves <<= state[own + SHIFT]
        hand[MEANS + a] = within((last << FRACTION) + moves, lowest, highest)
    hand[CENTRE] = (hand[MEANS + FILTERED] + HALF) >> FRACTION
    hand[BLENDED], hand[CORRECTION], hand[FILTER] = blend, correction, place


@integer_step
def adapt(model, t, c, difference, here):
    """Let the weight of a sample, the filter and the averages of a channel follow its newest."""
    state, filters, errors, hand = model.state, model.filters, model.errors, model.hand
    own, blend, wide = c * STATE, hand[BLENDED], difference << FRACTION
    error = clamp(wide - blend, ERROR_LIMIT)
    left = clamp(error - hand[CORRECTION], ERROR_LIMIT)
    calm = (state[own + USUAL] << 8) // (5 * state[own + RECENT] + 50 * size_of(error) + 1)
    calm = least(calm, CALM_LIMIT)
    model.calm[here] = (calm * calm) >> 8
    age = 5
    while age < 10 and (t >> age) > 0:
        age += 1
    state[own + USUAL] += ((size_of(error) << 4) - state[own + USUAL]) >> age
    state[own + RECENT] += ((size_of(error) << 4) - state[own + RECENT]) >> 3
    for a in range(EXPERTS):
        off = size_of(wide)
        if a == LONG or a == BRIEF:
            off = least(size_of(wide - hand[PREDICTIONS + a - LONG]), ERROR_LIMIT)
        elif a != LAST:
            off = size_of(error if a == BLEND else left)
        place = own + AVERAGES * a
        state[place + FAST] += (off - state[place + FAST]) >> 2
        state[place + SLOW] += (off - state[place + SLOW]) >> 4
        state[place + MEAN] = (state[place + FAST] + state[place + SLOW]) >> 1
    gain = (left << 30) // (state[own + ENERGY] + blend * blend + 4096)
    half, place = 1 << PACE >> 1, hand[FILTER]
    filters[place] = clamp(filters[place] + ((half - gain * blend) >> PACE), ERROR_LIMIT)
    for i in range(1, TAPS + 1):
        move = (gain * errors[here - i] + half) >> PACE
        filters[place + i] = clamp(filters[place + i] + move, ERROR_LIMIT)
    state[own + ENERGY] += error * error - errors[here - TAPS] * errors[here - TAPS]
    state[own + ERROR_BEFORE], state[own + ERROR] = state[own + ERROR], error
    errors[here] = error


@integer_step
def note(model, t, c, moved, level, stride):
    """Keep the difference and the level of a sample; returns the difference."""
    here, limit, shift = c * stride + PAD + t, 1 << DIFFERENCE_BITS, model.state[c * STATE + SHIFT]
    difference = clamp(moved >> shift, limit)
    model.seen[here] = difference
    model.seen[(len(model.seen) >> 1) + here] = clamp(level >> shift, limit)
    return difference


@integer_step
def add_moments(moments, base, size, fresh, gain, count, share, fade):
    """Let a triangle of moments fade and add fresh ones; returns the bits after its point.

    Of each number share · count / 2**fade is forgotten. Small signals get the most bits.
    """
    old, new = 0, 0
    for i in range(size + 1):
        old = most(old, moments[base + triangle(i) + i])
        new = most(new, fresh[triangle(i) + i])
    chosen = 0
    while chosen < MOST_GAIN and new << (chosen + 1) < DIAGONAL:
        if shifted(old, chosen + 1 - gain) >= DIAGONAL:
            break
        chosen += 1
    for i in range(triangle(size + 1)):
        moment = shifted(moments[base + i], chosen - gain)
        moment -= ((moment >> 6) * (share * count)) >> (fade - 6)
        moments[base + i] = moment + (fresh[i] << chosen)
    return chosen


@integer_loop
def learn(model, c, begin, end, stride):
    """Let a channel's moments fade, add those of samples begin ... end - 1, and solve."""
    seen, weighted, fresh, starts = model.seen, model.weighted, model.fresh, model.starts
    count, own, place = end - begin, c * STATE, c * stride + PAD + begin
    size = model.state[own + FEATURES]
    for i in range(size + 1):
        start = starts[c * WIDTH + i] + begin
        for k in range(count):
            weighted[k] = model.calm[place + k] * seen[start + k]
        for j in range(i + 1):
            start = starts[c * WIDTH + j] + begin
            fresh[triangle(i) + j] = products(weighted, 0, seen, start, count)
    for k in range(SOLUTIONS):
        base, weights = c * OF_CHANNEL + k * OF_LONG, (c * SOLUTIONS + k) * WIDTH
        some, share, fade = (size, 1, 12) if k == 0 else (least(size, SHORT), 3, 11)
        gain = model.state[own + GAIN + k]
        gain = add_moments(model.moments, base, some, fresh, gain, count, share, fade)
        model.state[own + GAIN + k] = gain
        solve(model.solver, model.moments, base, some, WIDTH, model.weights, weights)
