"""Lossless and near-lossless coding of integers: what a sample is expected to be, what it costs.

Three experts expect every sample from those decoded before it: the sample just before; a linear
predictor over this channel and its neighbours, solved by weighted least squares every few hundred
samples; and that one corrected by a fast adaptive filter. The residual from the third, quantized
with step 2 · bound + 1, is read as binary decisions, whose probabilities are mixed from where the
decision lies to each expert's value, in units of its recent errors, and from other contexts.
"""

import functools

import numpy as np

from san.codec.entropy import range_coder
from san.codec.entropy.logistic import (
    STRETCH_LIMIT,
    rate_table,
    refinement_row,
    squash_table,
    stretch_table,
)
from san.codec.entropy.loops import integer_loop, integer_step, least, most, size_of
from san.codec.entropy.range_coder import code_bit, code_raw_bits, finish, new_decoder, new_encoder
from san.codec.entropy.varints import read_varint, write_varint
from san.codec.errors import CorruptStream

OWN = 24  # differences of the channel itself that the linear expert sees
NEXT = 8  # of the following channel
PREVIOUS = 8  # of each of the two channels before, the current one included
SIZE = 1 + OWN + NEXT + 2 * PREVIOUS
FIRST, BLOCK = 32, 256  # samples between two solutions of the least squares
FADE, RIDGE = 6, 14  # shifts: what a full block forgets, what is added to the diagonal
DIFFERENCE_BITS = 16
TAPS, PACE = 6, 17  # past errors that the adaptive filter sees, and a shift: how slowly it moves
FILTERS = 16  # of a channel: one for each size of the recent errors
PAD = 32  # places before a channel's first sample
LAST, LINEAR, FILTERED, EXPERTS = range(4)
INPUTS = 7  # probabilities mixed: of the experts, then of four contexts
NODES = 32  # decisions that contexts tell apart: zero, sign, 20 of magnitude, 4 of low bits
SIGN, UNARY, LOW_BITS, MAGNITUDES = 1, 2, 22, 20
KINDS = 5  # decisions that experts tell apart: zero, sign, upwards, downwards, low bits
SCALES, PLACES = 48, 64  # sizes of recent errors; places of a decision around an expert's value
KEPT = 4  # channels from the fourth on share their statistics
OF_EXPERTS = EXPERTS * SCALES * KINDS * PLACES  # cells of a channel, then those of its contexts
OF_CHANNEL = OF_EXPERTS + 8908 * NODES
STAGES, ROW = 9, 46  # of the refinement: zero, sign, six of magnitude, low bits
START, COUNT_LIMIT = 10000, 255  # every weight of the mixing, in 1/65536; a cell's count

# A channel's state: a fast and a slow average of each expert's errors and their mean, then
ERROR, ERROR_BEFORE, USUAL, RECENT, ENERGY, STATE = range(9, 15)
# The coding memory m: the range coder, what holds for the sample at hand, then
STEP, STEP_BITS, SHIFT, LOWEST, HIGHEST, LARGEST = range(8, 14)
CENTRE, BUCKET, FINE, WEIGHTS, REFINEMENT, PREDICTION, CORRECTION, FILTER = range(14, 22)
MEANS, CONTEXTS, CELLS, STRETCHED, FIRST_ROW = 24, 32, 40, 48, 56
FIRST_WEIGHT = FIRST_ROW + SCALES // 2 * STAGES * ROW
ALL_MEMORY = FIRST_WEIGHT + SCALES // 4 * KEPT * NODES * INPUTS
STRETCH, RATES, LOGARITHMS = 5632, 9728, 10752  # where each table starts; squash is at 0


@functools.cache
def _tables() -> np.ndarray:
    """Squash, stretch, rates, and the logarithm of 0 ... 4095 in four steps per octave; int32."""
    octaves = [(v, v.bit_length()) for v in range(4, 4096)]
    logarithms = [0, 1, 2, 3] + [4 * (b - 2) + ((v >> (b - 3)) & 3) for v, b in octaves]
    tables = np.zeros(LOGARITHMS + 4096, np.int32)
    tables[: 2 * STRETCH_LIMIT + 1], tables[LOGARITHMS:] = squash_table(), logarithms
    tables[STRETCH:RATES], tables[RATES:LOGARITHMS] = stretch_table(), rate_table()
    return tables


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
    while value >= 4096:
        value, octaves = value >> 4, octaves + 16
    return tables[LOGARITHMS + value] + octaves


@integer_step
def gather_features(differences, c, channels, here, stride, features):
    """Put the differences that predict the one at `here` after features[0]; how many with that."""
    size = OWN + 1
    for i in range(1, size):
        features[i] = differences[here - i]
    if c + 1 < channels:
        for i in range(NEXT):
            features[size + i] = differences[here + stride - 1 - i]
        size += NEXT
    for before in range(1, least(c, 2) + 1):
        for i in range(PREVIOUS):
            features[size + i] = differences[here - before * stride - i]
        size += PREVIOUS
    return size


@integer_step
def dot(features, weights, base, size):
    """The sum of features[1 ... size - 1], each times its weight."""
    total = 0
    if base < 0:  # it never is: the compiler now knows, and vectorises
        return 0
    for i in range(1, size):
        total += weights[base + i] * features[i]
    return total


@integer_step
def add_moments(features, size, moments, base, weight):
    """Add weight · features · featuresᵀ, the lower triangle, to a channel's moments."""
    if base < 0:
        return
    for i in range(size):
        weighted, row = weight * features[i], base + i * SIZE
        for j in range(i + 1):
            moments[row + j] += weighted * features[j]


@integer_loop
def solve(moments, base, size, factor, pivots, column, weights, place):
    """Weights in 1/65536 that give feature 0 from features 1 ... size - 1: L D Lᵀ, fixed point."""
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
            taken = 0
            for k in range(1, j):
                taken += factor[i * SIZE + k] * column[k]
            if i == j:
                value += (value >> RIDGE) + floor
                pivots[j] = within(value - (taken >> 20), floor, 1 << 31)
            else:
                value = clamp(value - (taken >> 20), 1 << 31)
                factor[i * SIZE + j] = clamp((value << 20) // pivots[j], 1 << 27)
    for j in range(size - 1, 0, -1):
        total = factor[size * SIZE + j] << 12
        for k in range(j + 1, size):
            total -= (factor[k * SIZE + j] * weights[place + k]) >> 4
        weights[place + j] = clamp(total >> 16, 1 << 22)


@integer_step
def expect(m, tables, c, last, size, features, weights, errors, here, filters, state):
    """What each expert expects, in 1/64, and what `learn` will need of it."""
    prediction = clamp(dot(features, weights, c * SIZE, size) >> 10, 1 << 24)
    chosen = least(logarithm(state[c * STATE + 3 * FILTERED + 2], tables) >> 2, FILTERS - 1)
    place = (c * FILTERS + chosen) * (TAPS + 1)
    total = -filters[place] * prediction
    for i in range(1, TAPS + 1):
        total += filters[place + i] * errors[here - i]
    correction = clamp(total >> 20, 1 << 24)
    m[MEANS + LAST] = last << 6
    for a in range(LINEAR, EXPERTS):
        mean = (last << 6) + ((prediction + (0 if a == LINEAR else correction)) << m[SHIFT])
        m[MEANS + a] = within(mean, m[LOWEST] << 6, m[HIGHEST] << 6)
    m[CENTRE] = (m[MEANS + FILTERED] + 32) >> 6
    m[PREDICTION], m[CORRECTION], m[FILTER] = prediction, correction, place


@integer_step
def choose_contexts(m, tables, c, channels, state):
    """In what units the residual is coded, and where in the cells each context's begin."""
    own = c * STATE
    beside = (c - 1 if c > 0 else channels - 1) * STATE
    units = 4 * (m[SHIFT] - m[STEP_BITS])
    loud = logarithm(state[own + 3 * FILTERED + 2], tables) + units
    bucket = within((loud - 28) >> 2, 0, 32)
    units -= 4 * bucket
    loud = within(loud - 4 * bucket, 0, SCALES - 1)
    place = least(c, KEPT - 1) * OF_CHANNEL
    for a in range(EXPERTS):
        scale = within(logarithm(state[own + 3 * a + 2], tables) + units, 0, SCALES - 1)
        m[CONTEXTS + a] = place + (a * SCALES + scale) * KINDS * PLACES
    finer = 5 + most(0, bucket + m[STEP_BITS] - m[SHIFT])
    first = clamp(state[own + ERROR] >> finer, 7) + 7
    second = clamp(state[own + ERROR_BEFORE] >> finer, 7) + 7
    other = clamp(state[beside + ERROR] >> finer, 7) + 7
    fast = within(logarithm(state[own + 3 * LINEAR], tables) + units, 0, SCALES - 1)
    slow = within(logarithm(state[own + 3 * LINEAR + 1], tables) + units, 0, SCALES - 1)
    fraction = ((m[MEANS + FILTERED] + 32) & 63) >> 3
    place += OF_EXPERTS
    m[CONTEXTS + 3] = place + (slow * 48 + fast) * NODES
    m[CONTEXTS + 4] = place + (2304 + ((loud >> 2) * 15 + first) * 15 + second) * NODES
    m[CONTEXTS + 5] = place + (5004 + ((loud >> 1) * 15 + other) * 8 + fraction) * NODES
    m[CONTEXTS + 6] = place + (7884 + (m[CENTRE] & 1023)) * NODES
    m[BUCKET], m[FINE] = bucket, m[STEP_BITS] + bucket + 3
    m[WEIGHTS] = FIRST_WEIGHT + ((loud >> 2) * KEPT + least(c, KEPT - 1)) * NODES * INPUTS
    m[REFINEMENT] = FIRST_ROW + (loud >> 1) * STAGES * ROW


@integer_step
def code_decision(m, cells, tables, data, kind, node, stage, distance, bit):
    """Code one binary decision at a distance from the centre, in 1/64, and learn from it."""
    position = (m[CENTRE] << 6) + distance
    weights = m[WEIGHTS] + node * INPUTS
    for a in range(EXPERTS):
        away = position - m[MEANS + a]
        steps = least(tables[LOGARITHMS + least(size_of(away) >> m[FINE], 4095)], 31)
        m[CELLS + a] = m[CONTEXTS + a] + kind * PLACES + (32 + steps if away >= 0 else 31 - steps)
    for a in range(EXPERTS, INPUTS):
        m[CELLS + a] = m[CONTEXTS + a] + node
    total = 0
    for a in range(INPUTS):
        m[STRETCHED + a] = tables[STRETCH + (cells[m[CELLS + a]] >> 20)]
        total += m[weights + a] * m[STRETCHED + a]
    total = clamp(total >> 16, STRETCH_LIMIT)
    mixed = tables[total + STRETCH_LIMIT]
    place = m[REFINEMENT] + stage * ROW + ((total + 2816) >> 7)
    share = (total + 2816) & 127
    refined = (m[place] * (128 - share) + m[place + 1] * share) >> 7
    bit = code_bit(m, data, within((mixed + refined) >> 1, 1, 65535), bit)
    goal = 65535 if bit == 1 else 0
    m[place] += ((goal - m[place]) * (128 - share)) >> 13
    m[place + 1] += ((goal - m[place + 1]) * share) >> 13
    error = (bit << 16) - mixed
    goal = 4194303 if bit == 1 else 0
    for a in range(INPUTS):
        m[weights + a] += (m[STRETCHED + a] * error + 32768) >> 16
        cell = cells[m[CELLS + a]]
        count, probability = cell & 1023, cell >> 10
        probability += ((goal - probability) * tables[RATES + count]) >> 16
        cells[m[CELLS + a]] = (probability << 10) | least(count + 1, COUNT_LIMIT)
    return bit


@integer_step
def code_residual(m, cells, tables, data, residual):
    """Code a quantized residual: zero, sign, magnitude in buckets, the bits within its bucket."""
    magnitude, bucket = size_of(residual) - 1, m[BUCKET]
    if code_decision(m, cells, tables, data, 0, 0, 0, 0, 1 if residual != 0 else 0) == 0:
        return 0
    positive = code_decision(m, cells, tables, data, 1, SIGN, 1, 0, 1 if residual > 0 else 0)
    kind, unit = 3 - positive, (2 * positive - 1) * m[STEP] << 6
    value = 0
    while value < MAGNITUDES:
        distance = ((value + 1) << bucket) * unit + (unit >> 1)
        node, stage = UNARY + value, 2 + least(value, 5)
        bit = 1 if (magnitude >> bucket) > value else 0
        if code_decision(m, cells, tables, data, kind, node, stage, distance, bit) == 0:
            break
        value += 1
    if value == MAGNITUDES:
        beyond, bits = (magnitude >> bucket) - value + 1, 0
        while bits < 34 and code_bit(m, data, 32768, 1 if beyond >> (bits + 1) > 0 else 0) == 1:
            bits += 1
        value += ((1 << bits) | code_raw_bits(m, data, beyond, bits)) - 1
        value = least(value, m[LARGEST] >> bucket)
    node = LOW_BITS + (1 if value == 0 else 0)
    for i in range(bucket - 1, most(bucket - 3, -1), -1):
        distance = ((2 * value + 1) << i) * unit + (unit >> 1)
        at, bit = node + (2 if i == bucket - 1 else 0), (magnitude >> i) & 1
        value *= 2
        value += code_decision(m, cells, tables, data, 4, at, STAGES - 1, distance, bit)
    if bucket > 2:
        value = value << (bucket - 2) | code_raw_bits(m, data, magnitude, bucket - 2)
    value = least(value, m[LARGEST]) + 1
    return value if positive == 1 else -value


@integer_step
def learn(m, t, c, difference, size, features, moments, errors, here, filters, state):
    """Let the moments, the filter and the averages of a channel follow its newest difference."""
    own, prediction = c * STATE, m[PREDICTION]
    error = clamp((difference << 6) - prediction, 1 << 24)
    left = clamp(error - m[CORRECTION], 1 << 24)
    # quiet stretches tell what to expect of noise; the rest is left to the filter
    calm = (state[own + USUAL] << 8) // (5 * state[own + RECENT] + 50 * size_of(error) + 1)
    weight = (least(calm, 128) * least(calm, 128)) >> 8
    features[0] = difference
    if weight > 0:
        add_moments(features, size, moments, c * SIZE * SIZE, weight)
    age = 6
    while age < 10 and (t >> age) > 0:
        age += 1
    state[own + USUAL] += ((size_of(error) << 4) - state[own + USUAL]) >> age
    state[own + RECENT] += ((size_of(error) << 4) - state[own + RECENT]) >> 3
    for a in range(EXPERTS):
        off = size_of(difference << 6 if a == LAST else (error if a == LINEAR else left))
        place = own + 3 * a
        state[place] += (off - state[place]) >> 2
        state[place + 1] += (off - state[place + 1]) >> 4
        state[place + 2] = (state[place] + state[place + 1]) >> 1
    gain = (left << 30) // (state[own + ENERGY] + prediction * prediction + 4096)
    half, place = 1 << PACE >> 1, m[FILTER]
    filters[place] = clamp(filters[place] + ((half - gain * prediction) >> PACE), 1 << 24)
    for i in range(1, TAPS + 1):
        move = (gain * errors[here - i] + half) >> PACE
        filters[place + i] = clamp(filters[place + i] + move, 1 << 24)
    state[own + ENERGY] += error * error - errors[here - TAPS] * errors[here - TAPS]
    state[own + ERROR_BEFORE], state[own + ERROR] = state[own + ERROR], error
    errors[here] = error


@integer_loop
def code_samples(
    m, cells, tables, data, samples, decoded, n, channels, differences, errors, features, moments,
    factor, pivots, column, weights, filters, state,
):  # fmt: skip
    """Code every sample, channel by channel within a moment, in either direction."""
    solved, due, step = 0, FIRST, m[STEP]
    for t in range(n):
        for c in range(channels):
            here = c * (n + PAD) + PAD + t
            last = decoded[here - 1]
            size = gather_features(differences, c, channels, here, n + PAD, features)
            expect(m, tables, c, last, size, features, weights, errors, here, filters, state)
            choose_contexts(m, tables, c, channels, state)
            residual = 0
            if m[range_coder.ENCODING] == 1:
                residual = (samples[t * channels + c] - m[CENTRE] + (step >> 1)) // step
            residual = code_residual(m, cells, tables, data, residual)
            value = within(m[CENTRE] + residual * step, m[LOWEST], m[HIGHEST])
            difference = clamp((value - last) >> m[SHIFT], 1 << DIFFERENCE_BITS)
            decoded[here], differences[here] = value, difference
            learn(m, t, c, difference, size, features, moments, errors, here, filters, state)
        if t + 1 == due:
            for c in range(channels):
                base = c * SIZE * SIZE
                if due - solved == BLOCK:
                    for i in range(base, base + SIZE * SIZE):
                        moments[i] -= (moments[i] + (1 << FADE >> 1)) >> FADE
                size = 1 + OWN + (NEXT if c + 1 < channels else 0) + PREVIOUS * least(c, 2)
                solve(moments, base, size, factor, pivots, column, weights, c * SIZE)
            solved, due = due, due + least(BLOCK, most(FIRST, due >> 2))


def _code(
    coder: np.ndarray, data: np.ndarray, samples: np.ndarray, n: int, channels: int,
    bound: int, shift: int, lowest: int, highest: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Run the coder over n moments; its state and the int64 (n, channels) that is decoded."""
    step = 2 * bound + 1
    m = np.full(ALL_MEMORY, START, np.int64)
    m[: coder.size] = coder
    m[[STEP, STEP_BITS, SHIFT]] = step, (2 * step // 3).bit_length(), shift
    m[[LOWEST, HIGHEST, LARGEST]] = lowest, highest, (highest - lowest) // step + 1
    m[FIRST_ROW:FIRST_WEIGHT] = np.tile(refinement_row(), SCALES // 2 * STAGES)
    decoded = np.full(channels * (n + PAD), min(max(0, lowest), highest), np.int64)
    cells = np.full(min(channels, KEPT) * OF_CHANNEL, 1 << 31, np.uint32)
    filters = np.tile(np.array([1 << 19] + [0] * TAPS, np.int64), channels * FILTERS)
    differences, errors = np.zeros(decoded.size, np.int32), np.zeros(decoded.size, np.int64)
    features, pivots, column = np.zeros((3, SIZE), np.int64)
    sizes = (channels * SIZE**2, (SIZE + 1) * SIZE, channels * SIZE, channels * STATE)
    moments, factor, weights, state = (np.zeros(size, np.int64) for size in sizes)
    code_samples(
        m, cells, _tables(), data, samples, decoded, n, channels, differences, errors, features,
        moments, factor, pivots, column, weights, filters, state,
    )  # fmt: skip
    return m[: coder.size], decoded.reshape(channels, n + PAD)[:, PAD:].T.copy()


def encode(x: np.ndarray, bound: int) -> bytes:
    """The bytes of int64 (n, channels), of which no decoded sample is off by more than bound."""
    n, channels = x.shape
    lowest, highest = (int(x.min()), int(x.max())) if x.size else (0, 0)
    if min(lowest, -highest - 1, -bound - 1) < -(1 << 31) or bound < 0:
        raise ValueError(f"samples of {lowest} ... {highest} within {bound} are beyond 32 bits")
    zigzag = 2 * lowest if lowest >= 0 else -2 * lowest - 1
    header = write_varint(zigzag) + write_varint(highest - lowest)
    if lowest == highest:
        return header
    samples = np.ascontiguousarray(x, np.int64).ravel()
    jump = int(np.abs(np.diff(x, axis=0)).max(initial=0))
    shift = max(0, jump.bit_length() - DIFFERENCE_BITS)
    for room in (4, 128):  # bytes a sample: what suffices nearly always, and always
        coder, data = new_encoder(1024 + room * x.size)
        coder, _ = _code(coder, data, samples, n, channels, bound, shift, lowest, highest)
        if coder[range_coder.POSITION] <= data.size:
            break
    return header + bytes([shift]) + finish(coder, data)


def decode(data: bytes, n: int, channels: int, bound: int) -> np.ndarray:
    """The int64 (n, channels) of those bytes; a ValueError where no encoder wrote the header."""
    zigzag, position = read_varint(data)
    extent, position = read_varint(data, position)
    lowest = -(zigzag + 1 >> 1) if zigzag & 1 else zigzag >> 1
    highest = lowest + extent
    if min(lowest, -highest - 1) < -(1 << 31):
        raise CorruptStream(f"samples of {lowest} ... {highest} are beyond 32 bits")
    if extent == 0:
        if position < len(data):
            raise CorruptStream(f"{len(data) - position} bytes after the header of a constant")
        return np.full((n, channels), lowest, np.int64)
    if position >= len(data) or data[position] > 33 - DIFFERENCE_BITS:
        raise CorruptStream("the shift of the differences is missing or too large")
    body = np.frombuffer(bytearray(data[position + 1 :]), np.uint8)
    coder, none, shift = new_decoder(body), np.zeros(0, np.int64), data[position]
    return _code(coder, body, none, n, channels, bound, shift, lowest, highest)[1]
