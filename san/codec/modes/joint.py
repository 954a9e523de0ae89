"""The second predictive mode: lossless and near-lossless coding from all channels coded before.

`joint_experts` says what a sample is expected to be. The residual from the last expert, quantized
with step 2 · bound + 1, is coded as binary decisions. The probability of a decision is mixed from
what a logistic distribution around each expert says of it, from its distance to each expert's
value, and from other contexts.
"""

import functools
from dataclasses import dataclass

import numpy as np

from san.codec.entropy import range_coder
from san.codec.entropy.logistic import MIDDLE, ROW, STRETCH, STRETCH_LIMIT, refinement_row
from san.codec.entropy.loops import integer_loop, integer_step, least, most, size_of
from san.codec.entropy.mixing import (
    STRETCH_SHIFT,
    UNSEEN,
    Mixer,
    code_refined,
    move_cell,
    moved,
)
from san.codec.entropy.range_coder import code_bit, code_raw_bits, finish, new_decoder, new_encoder
from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream
from san.codec.modes.decisions import (
    AWAY,
    COUNT_LIMIT,
    EIGHTHS,
    ERRORS,
    KIND_DOWNWARDS,
    KIND_LOW,
    KIND_SIGN,
    KIND_UPWARDS,
    KIND_ZERO,
    KINDS,
    LOUD_PAIRS,
    LOUDS,
    LOW_BITS,
    MAGNITUDES,
    NODES,
    PLACES,
    SCALES,
    SIGN,
    STAGE_LOW,
    STAGE_SIGN,
    STAGE_UNARY,
    STAGE_ZERO,
    STAGES,
    UNARY,
    VALUES,
    ZERO,
    code_escape,
)
from san.codec.modes.experts import (
    COVERED,
    DIFFERENCE_BITS,
    FRACTION,
    FRACTION_MASK,
    HALF,
    LOGARITHMS,
    clamp,
    logarithm,
    within,
)
from san.codec.modes.joint_experts import (
    AVERAGES,
    BLEND,
    BLOCK,
    CENTRE,
    ERROR,
    ERROR_BEFORE,
    EXPERTS,
    FAST,
    FILTERED,
    FIRST,
    HIGHEST,
    LARGEST,
    LOWEST,
    MATES,
    MEAN,
    MEANS,
    PAD,
    SHIFT,
    SLOW,
    STATE,
    STEP,
    STEP_BITS,
    adapt,
    expect,
    learn,
    new_model,
    note,
    place_features,
)
from san.codec.modes.odds import (
    FINE,
    LIMIT,
    odds_of_above,
    odds_of_beyond,
    odds_of_further,
    odds_of_some,
    odds_tables,
)

MOST_COLUMNS = 256
MOST_SETS = 4  # of statistics: the first channels have their own, the others share the last
SETS_FROM = 1 << 14  # samples of a channel from which statistics of its own pay
MOST_UNASKED = MATES + 1  # columns up to which all are mates
ONE_BOUND, ONE_SHIFT = 4, 8  # flags: one number stands for all columns

# The mixer. Distributions: of each expert but the first, by its fast and by its slow errors.
DISTRIBUTIONS = 2 * (EXPERTS - 1)
CONTEXTS = 4
SEEN = EXPERTS + CONTEXTS  # inputs that are cells
INPUTS = DISTRIBUTIONS + SEEN
OWN_WEIGHTS = 64  # channels that have weights of their own
FIRST_KNOWN, FIRST_SEEN = 80_000, 160_000  # weights at first, of distributions and of cells
WEIGHT_BITS, WEIGHT_SHIFT = 20, 11  # of a weight, in 1/2**20; how slowly they move
FAST_SHARE, SLOW_SHARE, STEP_SHARE = 38, 35, 83  # of errors and of the step in a scale, in 1/64

# The cells of a set: those of the experts, then those of each context, NODES for each value
OF_EXPERTS = EXPERTS * SCALES * KINDS * PLACES
BY_SPEED = OF_EXPERTS
BY_ERRORS = BY_SPEED + SCALES * SCALES * NODES
BY_NEIGHBOUR = BY_ERRORS + LOUDS * ERRORS * ERRORS * NODES
BY_VALUE = BY_NEIGHBOUR + LOUD_PAIRS * ERRORS * EIGHTHS * NODES
OF_SET = BY_VALUE + VALUES * NODES

# The coding memory m, after the range coder
BUCKET, DEPTH, REFINEMENT, WEIGHTS, MORE_WEIGHTS, SETS = range(range_coder.STATE, 14)
PLACE_OF = 16  # DISTRIBUTIONS numbers: the centre in units of each scale
STEP_OF = PLACE_OF + DISTRIBUTIONS  # the step in these units
BUCKET_OF = STEP_OF + DISTRIBUTIONS  # the step of a bucket
CONTEXT = BUCKET_OF + DISTRIBUTIONS  # SEEN numbers: where in the cells those of each input start
CELLS = CONTEXT + SEEN  # the cells of the decision at hand
STRETCHED = CELLS + SEEN  # INPUTS numbers: the stretched probabilities
FIRST_ROW = STRETCHED + INPUTS  # STAGES rows for each of LOUD_PAIRS
FIRST_WEIGHT = FIRST_ROW + LOUD_PAIRS * STAGES * ROW  # NODES * INPUTS of each of LOUDS and sets
SECOND_WEIGHT = FIRST_WEIGHT + LOUDS * MOST_SETS * NODES * INPUTS  # of OWN_WEIGHTS channels
ALL_MEMORY = SECOND_WEIGHT + OWN_WEIGHTS * NODES * INPUTS


@integer_step
def choose_distributions(m, model, c):
    """Put into m where each distribution has the centre, and how wide the steps are for it."""
    state, hand, own = model.state, model.hand, c * STATE
    step, shift, bucket = state[own + STEP], state[own + SHIFT], m[BUCKET]
    for a in range(1, EXPERTS):
        away = (hand[CENTRE] << FRACTION) - hand[MEANS + a]
        for slow in range(2):
            share = SLOW_SHARE if slow == 1 else FAST_SHARE
            errors = state[own + AVERAGES * a + slow]
            scale = ((share * errors) << shift) + STEP_SHARE * step
            i = 2 * (a - 1) + slow
            m[PLACE_OF + i] = (clamp(away, scale) << 16) // scale
            m[STEP_OF + i] = within((step << 22) // scale, 1 << FINE, LIMIT)
            m[BUCKET_OF + i] = within(((step << bucket) << 22) // scale, 1 << FINE, LIMIT)


@integer_step
def choose_contexts(mixer, model, c, channels):
    """Put into m the units of the residual, and where the cells and weights of a sample are."""
    m, tables, state, hand = mixer.m, mixer.tables, model.state, model.hand
    own, beside = c * STATE, (c - 1 if c > 0 else channels - 1) * STATE
    step_bits, shift = state[own + STEP_BITS], state[own + SHIFT]
    units = 4 * (shift - step_bits)
    loud = logarithm(state[own + AVERAGES * FILTERED + MEAN], tables) + units
    bucket = within((loud - 28) >> 2, 0, 32)
    units -= 4 * bucket
    loud = within(loud - 4 * bucket, 0, SCALES - 1)
    group = least(c, m[SETS] - 1)
    place = group * OF_SET
    for a in range(EXPERTS):
        scale = logarithm(state[own + AVERAGES * a + MEAN], tables) + units
        scale = within(scale, 0, SCALES - 1)
        m[CONTEXT + a] = place + (a * SCALES + scale) * KINDS * PLACES
    finer = 5 + most(0, bucket + step_bits - shift)
    first = clamp(state[own + ERROR] >> finer, 7) + 7
    second = clamp(state[own + ERROR_BEFORE] >> finer, 7) + 7
    other = clamp(state[beside + ERROR] >> finer, 7) + 7
    blend = own + AVERAGES * BLEND
    fast = within(logarithm(state[blend + FAST], tables) + units, 0, SCALES - 1)
    slow = within(logarithm(state[blend + SLOW], tables) + units, 0, SCALES - 1)
    eighths = ((hand[MEANS + FILTERED] + HALF) & FRACTION_MASK) >> 3
    errors = ((loud >> 2) * ERRORS + first) * ERRORS + second
    neighbour = ((loud >> 1) * ERRORS + other) * EIGHTHS + eighths
    at = CONTEXT + EXPERTS
    m[at] = place + BY_SPEED + (slow * SCALES + fast) * NODES
    m[at + 1] = place + BY_ERRORS + errors * NODES
    m[at + 2] = place + BY_NEIGHBOUR + neighbour * NODES
    m[at + 3] = place + BY_VALUE + (hand[CENTRE] & (VALUES - 1)) * NODES
    m[BUCKET], m[DEPTH] = bucket, step_bits + bucket + 3
    m[WEIGHTS] = FIRST_WEIGHT + ((loud >> 2) * MOST_SETS + group) * NODES * INPUTS
    m[MORE_WEIGHTS] = SECOND_WEIGHT + (c & (OWN_WEIGHTS - 1)) * NODES * INPUTS
    m[REFINEMENT] = FIRST_ROW + (loud >> 1) * STAGES * ROW


@integer_step
def odds(mixer, i, kind, side, steps, halvings):
    """The log-odds of a decision for distribution i, `steps` away from the centre."""
    m, tables = mixer.m, mixer.tables
    place, half = m[PLACE_OF + i], m[STEP_OF + i] >> 1
    if kind == KIND_ZERO:
        return odds_of_some(place, m[STEP_OF + i], tables)
    if kind == KIND_SIGN:
        return odds_of_above(place, m[STEP_OF + i], tables)
    width = m[BUCKET_OF + i] >> halvings
    if kind == KIND_LOW:
        return odds_of_further(side * place + half + 2 * steps * width, width, tables)
    return odds_of_beyond(side * place + half + steps * width, width, tables)


@integer_step
def gather(mixer, model, c, kind, node, side, steps, halvings):
    """Put into m the cells of a decision and the stretched probabilities of all inputs."""
    m, cells, tables, hand = mixer.m, mixer.cells, mixer.tables, model.hand
    for i in range(DISTRIBUTIONS):
        m[STRETCHED + i] = odds(mixer, i, kind, side, steps, halvings)
    position = hand[CENTRE] << FRACTION
    if kind == KIND_LOW or kind == KIND_UPWARDS or kind == KIND_DOWNWARDS:
        steps = 2 * steps + 1 if kind == KIND_LOW else steps + 1
        half = side * model.state[c * STATE + STEP] * HALF
        position += ((2 * steps << (m[BUCKET] - halvings)) + 1) * half
    for a in range(EXPERTS):
        away = position - hand[MEANS + a]
        far = tables[LOGARITHMS + least(size_of(away) >> m[DEPTH], COVERED - 1)]
        far = least(far, AWAY - 1)
        place = AWAY + far if away >= 0 else AWAY - 1 - far
        m[CELLS + a] = m[CONTEXT + a] + kind * PLACES + place
    for a in range(EXPERTS, SEEN):
        m[CELLS + a] = m[CONTEXT + a] + node
    for a in range(SEEN):
        m[STRETCHED + DISTRIBUTIONS + a] = tables[STRETCH + (cells[m[CELLS + a]] >> STRETCH_SHIFT)]


@integer_step
def decide(mixer, model, c, kind, node, stage, side, steps, halvings, bit):
    """Code one binary decision about a residual, and learn from it."""
    m, tables = mixer.m, mixer.tables
    gather(mixer, model, c, kind, node, side, steps, halvings)
    first, second = m[WEIGHTS] + node * INPUTS, m[MORE_WEIGHTS] + node * INPUTS
    a, b = 0, 0
    for i in range(INPUTS):
        a += m[first + i] * m[STRETCHED + i]
        b += m[second + i] * m[STRETCHED + i]
    a = clamp(a >> WEIGHT_BITS, STRETCH_LIMIT)
    b = clamp(b >> WEIGHT_BITS, STRETCH_LIMIT)
    bit = code_refined(mixer, m[REFINEMENT] + stage * ROW, (a + b) >> 1, bit)
    a, b = (bit << 16) - tables[MIDDLE + a], (bit << 16) - tables[MIDDLE + b]
    for i in range(INPUTS):
        m[first + i] += moved(m[STRETCHED + i], a, WEIGHT_SHIFT)
        m[second + i] += moved(m[STRETCHED + i], b, WEIGHT_SHIFT)
    for i in range(SEEN):
        move_cell(mixer.cells, tables, m[CELLS + i], bit, COUNT_LIMIT)
    return bit


@integer_step
def code_residual(mixer, model, c, residual):
    """Code a quantized residual: zero, sign, magnitude in buckets, the bits within its bucket."""
    m, data, largest = mixer.m, mixer.data, model.state[c * STATE + LARGEST]
    magnitude, bucket = size_of(residual) - 1, m[BUCKET]
    some, positive = 1 if residual != 0 else 0, 1 if residual > 0 else 0
    if decide(mixer, model, c, KIND_ZERO, ZERO, STAGE_ZERO, 1, 0, 0, some) == 0:
        return 0
    positive = decide(mixer, model, c, KIND_SIGN, SIGN, STAGE_SIGN, 1, 0, 0, positive)
    side, kind = (1, KIND_UPWARDS) if positive == 1 else (-1, KIND_DOWNWARDS)
    value = 0
    while value < MAGNITUDES:
        stage, more = STAGE_UNARY + least(value, 5), 1 if (magnitude >> bucket) > value else 0
        if decide(mixer, model, c, kind, UNARY + value, stage, side, value, 0, more) == 0:
            break
        value += 1
    if value == MAGNITUDES:
        value += code_escape(m, data, (magnitude >> bucket) - value)
        value = least(value, largest >> bucket)
    node = LOW_BITS + (1 if value == 0 else 0)
    for i in range(bucket - 1, most(bucket - 3, -1), -1):
        at, bit = node + (2 if i == bucket - 1 else 0), (magnitude >> i) & 1
        bit = decide(mixer, model, c, KIND_LOW, at, STAGE_LOW, side, value, bucket - i, bit)
        value = 2 * value + bit
    if bucket > 2:
        value = value << (bucket - 2) | code_raw_bits(m, data, magnitude, bucket - 2)
    return side * (least(value, largest) + 1)


@integer_loop
def code_mates(mixer, mates, c, channels):
    """Code which channels are the mates of one: all, where there are few channels."""
    if channels <= MOST_UNASKED:
        for i in range(channels):
            mates[i] = 1 if i != c else 0
        return
    found, probability = 0, (MATES << 16) // (channels - 1)
    for i in range(channels):
        if i == c or found == MATES:
            mates[i] = 0
        else:
            mates[i] = code_bit(mixer.m, mixer.data, probability, mates[i])
            found += mates[i]


@integer_loop
def code_samples(mixer, model, samples, decoded, n, channels):
    """Code every sample, channel by channel within a moment, in either direction."""
    m, hand, solved, due = mixer.m, model.hand, 0, FIRST
    for t in range(n):
        for c in range(channels):
            here, own = c * (n + PAD) + PAD + t, c * STATE
            last, step = decoded[here - 1], model.state[own + STEP]
            expect(model, mixer.tables, c, t, last, here)
            choose_contexts(mixer, model, c, channels)
            choose_distributions(m, model, c)
            residual = 0
            if m[range_coder.ENCODING] == 1:
                residual = (samples[t * channels + c] - hand[CENTRE] + (step >> 1)) // step
            residual = code_residual(mixer, model, c, residual)
            value = within(hand[CENTRE] + residual * step, hand[LOWEST], hand[HIGHEST])
            decoded[here] = value
            if t == 0:
                last = value  # the first sample moves nothing
            level = value - decoded[c * (n + PAD) + PAD]
            difference = note(model, t, c, value - last, level, n + PAD)
            adapt(model, t, c, difference, here)
        if t + 1 == due:
            for c in range(channels):
                learn(model, c, solved, due, n + PAD)
            solved, due = due, due + least(BLOCK, most(FIRST, due >> 2))


@functools.cache
def _first_memory() -> np.ndarray:
    """The coding memory before the first sample, without what holds for the payload."""
    m = np.zeros(ALL_MEMORY, np.int64)
    m[FIRST_ROW:FIRST_WEIGHT] = np.tile(refinement_row(), LOUD_PAIRS * STAGES)
    known = np.array([FIRST_KNOWN] * DISTRIBUTIONS + [FIRST_SEEN] * SEEN, np.int64)
    m[FIRST_WEIGHT:] = np.tile(known, (ALL_MEMORY - FIRST_WEIGHT) // INPUTS)
    return m


def _code(
    coder: np.ndarray, data: np.ndarray, samples: np.ndarray, mates: np.ndarray, n: int,
    plan: "Plan",
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Run the coder over n moments; its state and the int64 (n, channels) that is decoded."""
    channels = len(plan.bounds)
    m = _first_memory().copy()
    m[: coder.size], m[SETS] = coder, plan.sets
    model = new_model(n, channels)
    model.hand[[LOWEST, HIGHEST]] = plan.lowest, plan.highest
    state = model.state.reshape(channels, STATE)
    for c, (bound, shift) in enumerate(zip(plan.bounds, plan.shifts, strict=True)):
        step = 2 * bound + 1
        state[c, [STEP, STEP_BITS, SHIFT]] = step, (2 * step // 3).bit_length(), shift
        state[c, LARGEST] = (plan.highest - plan.lowest) // step + 1
    cells = np.full(plan.sets * OF_SET, UNSEEN, np.uint32)
    mixer = Mixer(m, cells, odds_tables(), data)
    for c in range(channels):
        code_mates(mixer, mates[c], c, channels)
        place_features(model, mates[c], c, channels, n + PAD)
    start = min(max(0, plan.lowest), plan.highest)
    decoded = np.full(channels * (n + PAD), start, np.int64)
    code_samples(mixer, model, samples, decoded, n, channels)
    return m[: coder.size], decoded.reshape(channels, n + PAD)[:, PAD:].T.copy()


@dataclass(frozen=True)
class Plan:
    """What a payload says before its decisions: of the samples, and of each channel."""

    lowest: int
    highest: int
    sets: int
    bounds: tuple[int, ...]
    shifts: tuple[int, ...]

    def pack(self) -> bytes:
        """The bytes of a plan whose samples are not all alike."""
        one_bound, one_shift = len(set(self.bounds)) == 1, len(set(self.shifts)) == 1
        flags = self.sets - 1 + ONE_BOUND * one_bound + ONE_SHIFT * one_shift
        bounds = self.bounds[:1] if one_bound else self.bounds
        shifts = self.shifts[:1] if one_shift else self.shifts
        return b"".join([bytes([flags]), *map(write_varint, bounds), bytes(shifts)])


def _range(lowest: int, highest: int) -> bytes:
    zigzag = 2 * lowest if lowest >= 0 else -2 * lowest - 1
    return write_varint(zigzag) + write_varint(highest - lowest)


def _mates(x: np.ndarray) -> np.ndarray:
    """Which channels each channel is predicted from: those whose differences go most like its own.

    Returns int64 (channels, channels), 1 or 0.
    """
    channels = x.shape[1]
    mates = np.zeros((channels, channels), np.int64)
    if channels <= MOST_UNASKED or len(x) < 2:
        return mates
    moves = np.diff(x, axis=0).astype(np.float64)
    moves -= moves.mean(0)
    moves /= np.sqrt((moves**2).sum(0)) + 1e-300
    alike = np.abs(moves.T @ moves)
    np.fill_diagonal(alike, -1)
    chosen = np.argsort(-alike, axis=1, kind="stable")[:, :MATES]
    np.put_along_axis(mates, chosen, 1, axis=1)
    return mates


def encode(x: np.ndarray, bounds: tuple[int, ...]) -> bytes:
    """The bytes of int64 (n, channels); no decoded sample is off by more than its bound."""
    n, channels = x.shape
    if channels > MOST_COLUMNS:
        raise ValueError(f"{channels} columns are more than {MOST_COLUMNS}")
    lowest, highest = (int(x.min()), int(x.max())) if x.size else (0, 0)
    widest = max(bounds, default=0)
    if min(lowest, -highest - 1, -widest - 1) < -(1 << 31) or min(bounds, default=0) < 0:
        raise ValueError(f"samples of {lowest} ... {highest} within {widest} are beyond 32 bits")
    header = _range(lowest, highest)
    if lowest == highest:
        return header
    jumps = np.abs(np.diff(x, axis=0)).max(axis=0, initial=0).tolist()
    shifts = tuple(max(0, jump.bit_length() - DIFFERENCE_BITS) for jump in jumps)
    sets = min(channels, MOST_SETS) if n >= SETS_FROM else 1
    plan = Plan(lowest, highest, sets, bounds, shifts)
    samples, mates = np.ascontiguousarray(x, np.int64).ravel(), _mates(x)
    for room in (4, 128):  # bytes a sample: what suffices nearly always, and always
        coder, data = new_encoder(1024 + mates.size + room * x.size)
        coder, _ = _code(coder, data, samples, mates.copy(), n, plan)
        if coder[range_coder.POSITION] <= data.size:
            break
    return header + plan.pack() + finish(coder, data)


def decode(data: bytes, n: int, channels: int) -> np.ndarray:
    """Decode those bytes: int64 (n, channels).

    Raises
    ------
    CorruptStream
        If no encoder wrote the header.
    """
    if channels > MOST_COLUMNS:
        raise CorruptStream(f"{channels} columns are more than {MOST_COLUMNS}, which mode 3 takes")
    fields = Fields(data)
    zigzag, extent = fields.varint(), fields.varint()
    lowest = -(zigzag + 1 >> 1) if zigzag & 1 else zigzag >> 1
    highest = lowest + extent
    if min(lowest, -highest - 1) < -(1 << 31):
        raise CorruptStream(f"samples of {lowest} ... {highest} are beyond 32 bits")
    if extent == 0:
        fields.end()
        return np.full((n, channels), lowest, np.int64)
    plan = _read_plan(fields, lowest, highest, channels)
    body = np.frombuffer(bytearray(fields.rest()), np.uint8)
    none, mates = np.zeros(0, np.int64), np.zeros((channels, channels), np.int64)
    return _code(new_decoder(body), body, none, mates, n, plan)[1]


def _read_plan(fields: Fields, lowest: int, highest: int, channels: int) -> Plan:
    flags = fields.byte()
    if flags >= 16:
        raise CorruptStream(f"no predictive payload has the flags {flags:#04x}")
    bounds = [fields.varint() for _ in range(1 if flags & ONE_BOUND else channels)]
    if max(bounds) >= 1 << 31:
        raise CorruptStream(f"a bound of {max(bounds)} is beyond 32 bits")
    shifts = [fields.byte() for _ in range(1 if flags & ONE_SHIFT else channels)]
    if max(shifts) > 33 - DIFFERENCE_BITS:
        raise CorruptStream(f"a shift of {max(shifts)} of the differences is too large")
    if flags & ONE_BOUND:
        bounds *= channels
    if flags & ONE_SHIFT:
        shifts *= channels
    return Plan(lowest, highest, (flags & 3) + 1, tuple(bounds), tuple(shifts))
