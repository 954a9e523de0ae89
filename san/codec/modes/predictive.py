"""Lossless and near-lossless coding of integers: what a sample is expected to be, what it costs.

Three experts expect every sample from those decoded before it: the sample just before; a linear
predictor over this channel and its neighbours, solved by weighted least squares every few hundred
samples; and that one corrected by a fast adaptive filter. The residual from the third, quantized
with step 2 · bound + 1, is coded as binary decisions. The probability of a decision is mixed from
its distance to each expert's value, in units of the expert's recent errors, and from other
contexts.
"""

import functools

import numpy as np

from san.codec.entropy import range_coder
from san.codec.entropy.logistic import (
    MIDDLE,
    ROW,
    STRETCH,
    refinement_row,
)
from san.codec.entropy.loops import integer_loop, integer_part, integer_step, least, most, size_of
from san.codec.entropy.mixing import (
    STRETCH_SHIFT,
    UNSEEN,
    Mixer,
    code_refined,
    mean_of,
    move_cell,
    moved,
)
from san.codec.entropy.range_coder import (
    EVEN,
    code_bit,
    code_raw_bits,
    finish,
    new_decoder,
    new_encoder,
)
from san.codec.entropy.varints import read_varint, write_varint
from san.codec.errors import CorruptStream
from san.codec.modes.experts import (
    AVERAGES,
    BLOCK,
    BUCKET,
    CENTRE,
    COVERED,
    DIFFERENCE_BITS,
    ERROR,
    ERROR_BEFORE,
    ERROR_LIMIT,
    EXPERTS,
    FAST,
    FILTERED,
    FINE,
    FIRST,
    FRACTION,
    FRACTION_MASK,
    HALF,
    HIGHEST,
    LARGEST,
    LINEAR,
    LOGARITHMS,
    LOWEST,
    MEAN,
    MEANS,
    OLD,
    PAD,
    REFINEMENT,
    SHIFT,
    SLOW,
    STATE,
    STEP,
    STEP_BITS,
    WEIGHTS,
    YOUNG,
    Model,
    adapt,
    add_moments,
    begin_again,
    clamp,
    copy_small,
    expect,
    expert_tables,
    features_of,
    forget,
    logarithm,
    new_model,
    place_lags,
    predicted,
    solve,
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
COUNT_LIMIT = 255  # of a cell
FEW = 8  # samples of a group: to note and forget the cells of more costs as much as all cells

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
CONTEXTS = 32  # INPUTS numbers: where in the cells those of each input start
CELLS = 40  # INPUTS numbers: the cells of the decision at hand
STRETCHED = 48  # INPUTS numbers: their stretched probabilities
FIRST_ROW = 56  # the refinement: STAGES rows for each of LOUD_PAIRS
FIRST_WEIGHT = FIRST_ROW + LOUD_PAIRS * STAGES * ROW  # NODES * INPUTS for each of LOUDS and KEPT
ALL_MEMORY = FIRST_WEIGHT + LOUDS * KEPT * NODES * INPUTS


@integer_part
def choose_contexts(mixer, state, c, channels, loud):
    """Put into m the units of the residual, and where in the cells those of each input start."""
    m, tables = mixer.m, mixer.tables
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
    m[WEIGHTS] = FIRST_WEIGHT + ((loud >> 2) * KEPT + least(c, KEPT - 1)) * NODES * INPUTS
    m[REFINEMENT] = FIRST_ROW + (loud >> 1) * STAGES * ROW


@integer_step
def code_at_distance(mixer, kind, node, stage, distance, bit):
    """Code one binary decision at a distance from the centre, in 1/64, and learn from it.

    This is the mixer of the predictive mode; `mixing` says what it shares with the other one.
    """
    m, cells, tables = mixer.m, mixer.cells, mixer.tables
    position = (m[CENTRE] << FRACTION) + distance
    weights = m[WEIGHTS] + node * INPUTS
    for a in range(EXPERTS):
        away = position - m[MEANS + a]
        steps = tables[LOGARITHMS + least(size_of(away) >> m[FINE], COVERED - 1)]
        steps = least(steps, AWAY - 1)
        place = AWAY + steps if away >= 0 else AWAY - 1 - steps
        m[CELLS + a] = m[CONTEXTS + a] + kind * PLACES + place
    for a in range(EXPERTS, INPUTS):
        m[CELLS + a] = m[CONTEXTS + a] + node
    total = 0
    for a in range(INPUTS):
        m[STRETCHED + a] = tables[STRETCH + (cells[m[CELLS + a]] >> STRETCH_SHIFT)]
        total += m[weights + a] * m[STRETCHED + a]
    mixed = mean_of(total)
    bit = code_refined(mixer, m[REFINEMENT] + stage * ROW, mixed, bit)
    error = (bit << 16) - tables[MIDDLE + mixed]
    for a in range(INPUTS):
        m[weights + a] += moved(m[STRETCHED + a], error, WEIGHT_SHIFT)
        move_cell(cells, tables, m[CELLS + a], bit, COUNT_LIMIT)
    return bit


@integer_part
def code_residual(mixer, residual):
    """Code a quantized residual: zero, sign, magnitude in buckets, the bits within its bucket."""
    m, data = mixer.m, mixer.data
    magnitude, bucket = size_of(residual) - 1, m[BUCKET]
    some, positive = 1 if residual != 0 else 0, 1 if residual > 0 else 0
    if code_at_distance(mixer, KIND_ZERO, ZERO, STAGE_ZERO, 0, some) == 0:
        return 0
    positive = code_at_distance(mixer, KIND_SIGN, SIGN, STAGE_SIGN, 0, positive)
    kind, unit = KIND_DOWNWARDS, -m[STEP] << FRACTION
    if positive == 1:
        kind, unit = KIND_UPWARDS, m[STEP] << FRACTION
    value = 0
    while value < MAGNITUDES:
        distance = ((value + 1) << bucket) * unit + (unit >> 1)
        node, stage = UNARY + value, STAGE_UNARY + least(value, 5)
        more = 1 if (magnitude >> bucket) > value else 0
        if code_at_distance(mixer, kind, node, stage, distance, more) == 0:
            break
        value += 1
    if value == MAGNITUDES:
        value += code_escape(m, data, (magnitude >> bucket) - value)
        value = least(value, m[LARGEST] >> bucket)
    node = LOW_BITS + (1 if value == 0 else 0)
    for i in range(bucket - 1, most(bucket - 3, -1), -1):
        distance = ((2 * value + 1) << i) * unit + (unit >> 1)
        at, bit = node + (2 if i == bucket - 1 else 0), (magnitude >> i) & 1
        value *= 2
        value += code_at_distance(mixer, KIND_LOW, at, STAGE_LOW, distance, bit)
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


@integer_loop
def code_samples(mixer, model, samples, decoded, touched, n, channels):
    """Code every sample, channel by channel within a moment, in either direction.

    `touched` gets where the cells of the first samples start: INPUTS places for each of them.
    """
    m, differences = mixer.m, model.differences
    solved, due, step, age, number = 0, FIRST, m[STEP], YOUNG, 0
    for t in range(n):
        if age < OLD and t >> age > 0:
            age += 1
        for c in range(channels):
            here = c * (n + PAD) + PAD + t
            last = decoded[here - 1]
            prediction = clamp(predicted(model, c, channels, here, n + PAD) >> 10, ERROR_LIMIT)
            mean = model.state[c * STATE + AVERAGES * FILTERED + MEAN]
            loud = logarithm(mean, mixer.tables)
            expect(m, model, c, last, prediction, loud, here)
            choose_contexts(mixer, model.state, c, channels, loud)
            if number * INPUTS < len(touched):
                for a in range(INPUTS):
                    touched[number * INPUTS + a] = m[CONTEXTS + a]
            residual = 0
            if m[range_coder.ENCODING] == 1:
                residual = samples[number] - m[CENTRE]
                if step > 1:
                    residual = (residual + (step >> 1)) // step
            residual = code_residual(mixer, residual)
            value = within(m[CENTRE] + residual * step, m[LOWEST], m[HIGHEST])
            difference = clamp((value - last) >> m[SHIFT], 1 << DIFFERENCE_BITS)
            decoded[here], differences[here] = value, difference
            adapt(m, model, age, c, difference, here)
            number += 1
        if t + 1 == due:
            for c in range(channels):
                copy_small(model, c, solved, due, n + PAD)
            for c in range(channels):
                size = features_of(c, channels)
                add_moments(model, c, size, solved, due, channels, n + PAD)
                if due - solved == BLOCK:
                    forget(model.moments, c, size)
                solve(model, c, size)
                place_lags(model, c, size)
            solved, due = due, due + least(BLOCK, most(FIRST, due >> 2))


class Room:
    """What one group of columns after the other is coded in: memory that is taken once.

    A group of few samples reads and writes few cells. Then only these become what they were.
    """

    def __init__(self) -> None:
        self._cells, self._memory = np.zeros(0, np.uint32), np.zeros(0, np.int64)
        self._model: Model | None = None
        self._shape = (0, 0)
        self._touched = np.zeros(FEW * INPUTS, np.int64)
        self._samples = FEW + 1  # of the last group: the cells hold what it has left

    def memory(self) -> np.ndarray:
        """The coding memory before the first sample of a group."""
        if self._memory.size == 0:
            self._memory = _first_memory().copy()
        else:
            np.copyto(self._memory, _first_memory())
        return self._memory

    def model(self, n: int, channels: int) -> Model:
        """What the experts know before the first of n moments of a group."""
        if self._model is None or self._shape != (n, channels):
            self._model, self._shape = new_model(n, channels), (n, channels)
        else:
            begin_again(self._model, channels)
        return self._model

    def cells(self, n: int, channels: int) -> np.ndarray:
        """The cells of a group before its first sample; those of the last group are lost."""
        size = min(channels, KEPT) * OF_CHANNEL
        if self._samples <= FEW:
            self._forget_touched()
        else:
            self._cells.fill(UNSEEN)
        if self._cells.size < size:
            self._cells = np.full(size, UNSEEN, np.uint32)
        self._samples = n * channels
        return self._cells[:size]

    def touched(self) -> np.ndarray:
        """Where the group at hand notes its cells; it has no places where that would not pay."""
        return self._touched if self._samples <= FEW else self._touched[:0]

    def _forget_touched(self) -> None:
        starts = self._touched[: self._samples * INPUTS].reshape(-1, INPUTS)
        for first, last, size in ((0, EXPERTS, KINDS * PLACES), (EXPERTS, INPUTS, NODES)):
            self._cells[starts[:, first:last, np.newaxis] + np.arange(size)] = UNSEEN


@functools.cache
def _first_memory() -> np.ndarray:
    """The coding memory before the first sample, without what holds for the stream."""
    m = np.zeros(ALL_MEMORY, np.int64)
    m[FIRST_ROW:FIRST_WEIGHT] = np.tile(refinement_row(), LOUD_PAIRS * STAGES)
    m[FIRST_WEIGHT:] = INITIAL_WEIGHT
    return m


def _code(
    coder: np.ndarray, data: np.ndarray, samples: np.ndarray, n: int, channels: int,
    bound: int, shift: int, lowest: int, highest: int, room: Room,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Run the coder over n moments; its state and the int64 (n, channels) that is decoded."""
    step = 2 * bound + 1
    m = room.memory()
    m[: coder.size] = coder
    m[STEP], m[STEP_BITS], m[SHIFT] = step, (2 * step // 3).bit_length(), shift
    m[LOWEST], m[HIGHEST], m[LARGEST] = lowest, highest, (highest - lowest) // step + 1
    decoded = np.full(channels * (n + PAD), min(max(0, lowest), highest), np.int64)
    mixer = Mixer(m, room.cells(n, channels), expert_tables(), data)
    code_samples(mixer, room.model(n, channels), samples, decoded, room.touched(), n, channels)
    return m[: coder.size].copy(), decoded.reshape(channels, n + PAD)[:, PAD:].T.copy()


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
        coder, _ = _code(coder, data, samples, n, channels, bound, shift, lowest, highest, Room())
        if coder[range_coder.POSITION] <= data.size:
            break
    return header + bytes([shift]) + finish(coder, data)


def decode(data: bytes, n: int, channels: int, bound: int, room: Room | None = None) -> np.ndarray:
    """Decode those bytes: int64 (n, channels). Groups of one chunk share a room.

    Raises
    ------
    CorruptStream
        If no encoder wrote the header.
    """
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
    room = room or Room()
    return _code(coder, body, none, n, channels, bound, shift, lowest, highest, room)[1]
