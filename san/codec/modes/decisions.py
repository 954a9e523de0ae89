"""The decisions that code a residual: which cells each sees, and how it learns.

A residual is zero, or has a sign and a magnitude. Each is a series of binary decisions, whose
probabilities are mixed from the distance of a decision to what each expert expects, in units of the
expert's recent errors, and from other contexts.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.logistic import (
    MIDDLE,
    RATES,
    ROW,
    STRETCH,
)
from san.codec.entropy.loops import (
    integer_apart,
    integer_part,
    integer_step,
    lanes,
    least,
    most,
    size_of,
    wrapped,
)
from san.codec.entropy.mixing import (
    COUNT_BITS,
    LARGEST_PROBABILITY,
    STRETCH_SHIFT,
    code_refined,
    mean_of,
)
from san.codec.entropy.range_coder import (
    EVEN,
    code_bit,
    code_raw_bits,
)
from san.codec.modes.experts import (
    AVERAGES,
    BUCKET,
    CENTRE,
    ERROR,
    ERROR_BEFORE,
    EXPERTS,
    FAST,
    FILTERED,
    FINE,
    FRACTION,
    FRACTION_MASK,
    HALF,
    LARGEST,
    LINEAR,
    LOGARITHMS,
    MEAN,
    MEANS,
    REFINEMENT,
    SHIFT,
    SLOW,
    STATE,
    STEP,
    STEP_BITS,
    WEIGHTS,
    clamp,
    expert_tables,
    logarithm,
    within,
)

# The mixer
INPUTS = 7  # probabilities mixed: of the experts, then of four contexts
NODES = 32  # decisions that contexts tell apart: zero, sign, 20 of magnitude, 4 of low bits
ZERO, SIGN, UNARY, MAGNITUDES = 0, 1, 2, 20
LOW_BITS = UNARY + MAGNITUDES
KINDS = 5  # decisions that experts tell apart
KIND_ZERO, KIND_SIGN, KIND_UPWARDS, KIND_DOWNWARDS, KIND_LOW = range(KINDS)
STAGES = 9  # decisions that the refinement tells apart: zero, sign, six of magnitude, low bits
STAGE_ZERO, STAGE_SIGN, STAGE_UNARY, STAGE_LOW = 0, 1, 2, 8
ESCAPE_BITS = 34  # of the most raw 1 bits that begin an escape
SCALES, PLACES = 48, 64  # sizes of recent errors; places of a decision around an expert's value
AWAY = PLACES // 2  # places on each side of it
KEPT = 4  # channels from the fourth on share their statistics
INITIAL_WEIGHT, WEIGHT_SHIFT = 10000, 16  # of the mixing, in 1/65536; how slowly weights move
HALF_WEIGHT = 1 << WEIGHT_SHIFT >> 1
COUNT_LIMIT = 255  # of a cell; all bits of a count
LAST_RATE = 255  # of a cell that has counted to the limit; all others move faster
LANES = 8  # numbers that vectors have for the inputs: the last one is 0
SEEN, STRETCHED, SPEEDS = 0, LANES, 2 * LANES  # cells, stretched probabilities, rates at hand
FARTHEST = 7 << 6  # the first number whose logarithm is the last place, AWAY - 1

# The cells of a channel: those of the experts, then those of each context, NODES for each value.
LOUDS, LOUD_PAIRS = SCALES // 4, SCALES // 2  # coarser scales of the recent errors
ERRORS, EIGHTHS, VALUES = 15, 8, 1024  # sizes of an error; parts of a sample; values told apart
OF_EXPERTS = EXPERTS * SCALES * KINDS * PLACES
BY_SPEED = OF_EXPERTS  # the slow and the fast average of the linear expert's errors
BY_ERRORS = BY_SPEED + SCALES * SCALES * NODES  # the last two errors
BY_NEIGHBOUR = BY_ERRORS + LOUDS * ERRORS * ERRORS * NODES  # the error of the channel before
BY_VALUE = BY_NEIGHBOUR + LOUD_PAIRS * ERRORS * EIGHTHS * NODES  # the expected value
OF_CHANNEL = BY_VALUE + VALUES * NODES

# The coding memory m, after what `experts` names
OFFSETS = 28  # EXPERTS numbers: how far the centre is above what each expert expects, in 1/64
CONTEXTS = 32  # INPUTS numbers: where in the cells those of each input start
CELLS = 40  # EXPERTS numbers: where the cells of the decision at hand are, without its kind
FIRST_ROW = 48  # the refinement: STAGES rows for each of LOUD_PAIRS
ALL_MEMORY = FIRST_ROW + LOUD_PAIRS * STAGES * ROW
ALL_WEIGHTS = LOUDS * KEPT * NODES * LANES


class Mixer(NamedTuple):
    """A range coder with the model of the predictive mode: one-dimensional arrays."""

    m: np.ndarray  # int64: the coding memory
    cells: np.ndarray  # uint32
    tables: np.ndarray  # int32
    data: np.ndarray  # uint8: the bytes
    weights: np.ndarray  # int32: LANES for each node, of each of LOUDS and KEPT
    hand: np.ndarray  # int32: what SEEN, STRETCHED and SPEEDS say of the cells of a decision


def new_mixer(m: np.ndarray, cells: np.ndarray, data: np.ndarray, weights: np.ndarray) -> Mixer:
    """The mixer of a coding memory, of cells and weights."""
    return Mixer(m, cells, expert_tables(), data, weights, np.zeros(3 * LANES, np.int32))


@integer_part
def choose_contexts(m, tables, state, c, channels, loud):
    """Put into m the units of the residual, and where in the cells those of each input start."""
    own = c * STATE
    beside = (c - 1 if c > 0 else channels - 1) * STATE
    units = 4 * (m[SHIFT] - m[STEP_BITS])
    loud += units
    bucket = within((loud - 28) >> 2, 0, 32)
    units -= 4 * bucket
    loud = within(loud - 4 * bucket, 0, SCALES - 1)
    place = least(c, KEPT - 1) * OF_CHANNEL
    for a in range(EXPERTS):
        scale = logarithm(state[own + AVERAGES * a + MEAN], tables) + units
        scale = within(scale, 0, SCALES - 1)
        m[CONTEXTS + a] = place + (a * SCALES + scale) * KINDS * PLACES
        m[OFFSETS + a] = (m[CENTRE] << FRACTION) - m[MEANS + a]
    finer = 5 + most(0, bucket + m[STEP_BITS] - m[SHIFT])
    first = clamp(state[own + ERROR] >> finer, 7) + 7
    second = clamp(state[own + ERROR_BEFORE] >> finer, 7) + 7
    other = clamp(state[beside + ERROR] >> finer, 7) + 7
    linear = own + AVERAGES * LINEAR
    fast = within(logarithm(state[linear + FAST], tables) + units, 0, SCALES - 1)
    slow = within(logarithm(state[linear + SLOW], tables) + units, 0, SCALES - 1)
    eighths = ((m[MEANS + FILTERED] + HALF) & FRACTION_MASK) >> 3
    errors = ((loud >> 2) * ERRORS + first) * ERRORS + second
    neighbour = ((loud >> 1) * ERRORS + other) * EIGHTHS + eighths
    m[CONTEXTS + 3] = place + BY_SPEED + (slow * SCALES + fast) * NODES
    m[CONTEXTS + 4] = place + BY_ERRORS + errors * NODES
    m[CONTEXTS + 5] = place + BY_NEIGHBOUR + neighbour * NODES
    m[CONTEXTS + 6] = place + BY_VALUE + (m[CENTRE] & (VALUES - 1)) * NODES
    m[BUCKET], m[FINE] = bucket, m[STEP_BITS] + bucket + 3
    m[WEIGHTS] = ((loud >> 2) * KEPT + least(c, KEPT - 1)) * NODES * LANES
    m[REFINEMENT] = FIRST_ROW + (loud >> 1) * STAGES * ROW


@integer_part
def find_places(m, tables, distance):
    """Put into m the experts' cells for a decision at a distance from the centre, in 1/64."""
    for a in range(EXPERTS):
        away = m[OFFSETS + a] + distance
        below = away >> 63  # -1 below what the expert expects, else 0
        steps = tables[LOGARITHMS + least(size_of(away) >> m[FINE], FARTHEST)]
        m[CELLS + a] = m[CONTEXTS + a] + (steps ^ below)


@integer_part
def moved_cell(cell, goal, rate):
    """What `move_cell` makes of a cell, wrapped: off * rate, over 2**16, is here a sum of two."""
    off = wrapped(goal - (cell >> COUNT_BITS))
    step = wrapped(wrapped((off >> 8) * rate) + (wrapped((off & 255) * rate) >> 8)) >> 8
    full = wrapped(LAST_RATE - rate) >> 31  # 0 of a cell that counts no further, else -1
    return wrapped(cell + (step << COUNT_BITS) - full)


@integer_apart
def code_decision(mixer, kind, node, stage, bit):
    """Code one binary decision, whose places are found, and learn from it.

    This is the mixer of the predictive mode; `mixing` says what it shares with the other one. What
    learns is written for vectors of 32-bit numbers. No 2**26 samples make a weight of 2**28: at
    each step the sum of the squares of a node's weights grows by less than 2**26, since a sum
    beyond the limit of stretched probabilities moves no weight further, and by what rounding adds,
    three times the root of that sum.
    """
    m, tables, hand, total = mixer.m, mixer.tables, mixer.hand, 0
    weights = mixer.weights[m[WEIGHTS] + node * LANES :]
    of_experts, of_contexts = mixer.cells[kind * PLACES + AWAY :], mixer.cells[node:]
    for a in range(INPUTS):
        cell = of_experts[m[CELLS + a]] if a < EXPERTS else of_contexts[m[CONTEXTS + a]]
        s = tables[STRETCH + (cell >> STRETCH_SHIFT)]
        total += weights[a] * s
        hand[SEEN + a], hand[STRETCHED + a] = wrapped(cell), s
        hand[SPEEDS + a] = tables[RATES + (cell & COUNT_LIMIT)]
    mixed = mean_of(total)
    bit = code_refined(mixer, m[REFINEMENT] + stage * ROW, mixed, bit)
    error = (bit << 16) - tables[MIDDLE + mixed]
    goal = bit * LARGEST_PROBABILITY
    for a in lanes(LANES):
        weights[a] += wrapped(hand[STRETCHED + a] * error + HALF_WEIGHT) >> WEIGHT_SHIFT
        hand[SEEN + a] = moved_cell(hand[SEEN + a] & 0xFFFFFFFF, goal, hand[SPEEDS + a])
    for a in range(EXPERTS):
        of_experts[m[CELLS + a]] = hand[SEEN + a] & 0xFFFFFFFF
    for a in range(EXPERTS, INPUTS):
        of_contexts[m[CONTEXTS + a]] = hand[SEEN + a] & 0xFFFFFFFF
    return bit


@integer_apart
def code_residual(mixer, residual):
    """Code a quantized residual: zero, sign, magnitude in buckets, the bits within its bucket."""
    m, tables, data = mixer.m, mixer.tables, mixer.data
    magnitude, bucket = size_of(residual) - 1, m[BUCKET]
    some, positive = 1 if residual != 0 else 0, 1 if residual > 0 else 0
    find_places(m, tables, 0)
    if code_decision(mixer, KIND_ZERO, ZERO, STAGE_ZERO, some) == 0:
        return 0
    positive = code_decision(mixer, KIND_SIGN, SIGN, STAGE_SIGN, positive)
    kind, unit = KIND_DOWNWARDS, -m[STEP] << FRACTION
    if positive == 1:
        kind, unit = KIND_UPWARDS, m[STEP] << FRACTION
    value = 0
    while value < MAGNITUDES:
        find_places(m, tables, ((value + 1) << bucket) * unit + (unit >> 1))
        node, stage = UNARY + value, STAGE_UNARY + least(value, 5)
        more = 1 if (magnitude >> bucket) > value else 0
        if code_decision(mixer, kind, node, stage, more) == 0:
            break
        value += 1
    if value == MAGNITUDES:
        value += code_escape(m, data, (magnitude >> bucket) - value)
        value = least(value, m[LARGEST] >> bucket)
    node = LOW_BITS + (1 if value == 0 else 0)
    for i in range(bucket - 1, most(bucket - 3, -1), -1):
        find_places(m, tables, ((2 * value + 1) << i) * unit + (unit >> 1))
        at, bit = node + (2 if i == bucket - 1 else 0), (magnitude >> i) & 1
        value *= 2
        value += code_decision(mixer, KIND_LOW, at, STAGE_LOW, bit)
    if bucket > 2:
        value = value << (bucket - 2) | code_raw_bits(m, data, magnitude, bucket - 2)
    value = least(value, m[LARGEST]) + 1
    return value if positive == 1 else -value


@integer_step
def code_escape(m, data, beyond):
    """Code a number from 0 on as raw bits: its length in unary, then its bits."""
    bits = 0
    while bits < ESCAPE_BITS:
        if code_bit(m, data, EVEN, 1 if (beyond + 1) >> (bits + 1) > 0 else 0) == 0:
            break
        bits += 1
    return ((1 << bits) | code_raw_bits(m, data, beyond + 1, bits)) - 1
