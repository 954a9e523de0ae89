"""How likely a binary decision is: a logistic mixture of adaptive probabilities, in integers.

The coder sees each decision in several contexts. For each context there is a cell: a probability
(22 bits) and the number of bits it has seen (10 bits). The mixer stretches the probabilities of
the cells, weighs and adds them, and refines the sum by a small table; the range coder codes the bit
with the result. Then cells, weights and refinement move towards the bit.

Two mixers share these parts. That of the transform mode is here: it finds a context's cells by a
hash, trusts a cell less that has seen little, and takes the mean of two sets of weights. That of
the predictive mode (`decisions.code_decision`) computes where its cells are and has one set of
weights. Each has its own loop over the inputs: one loop for both, with a loop for each set of
weights, made the transform mode about 4 % slower.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy import range_coder
from san.codec.entropy.logistic import (
    AFTER_RATES,
    MIDDLE,
    RATE_LIMIT,
    RATES,
    REFINEMENT_ORIGIN,
    REFINEMENT_STEP,
    REFINEMENT_STEP_BITS,
    ROW,
    STRETCH,
    STRETCH_LIMIT,
    all_tables,
    refinement_row,
)
from san.codec.entropy.loops import integer_loop, integer_part, integer_step, least, most
from san.codec.entropy.range_coder import EVEN, SUREST, code_bit, new_decoder, new_encoder

INPUTS = 20  # the most contexts of a decision; also the weights of a set
BUCKET_BITS = 4
BUCKET = 1 << BUCKET_BITS  # numbers of a bucket: its cells, then its check
CELLS = BUCKET - 1  # of a bucket: decisions that share their contexts
CHECK = CELLS  # place of the check in its bucket
WEIGHT_SETS = 512
REFINEMENTS = 256  # rows
SIMPLE = 1024  # probabilities of decisions that are not mixed
NUMBER_BITS = 40  # of the largest number that is coded bit by bit
LENGTHS = 16  # simple probabilities that the length of a number takes

COUNT_BITS = 10  # of a cell: the low bits are its count, the others its probability
COUNT_MASK = (1 << COUNT_BITS) - 1
STRETCH_SHIFT = 20  # what leaves the 12 bits of a cell that the stretch table takes
UNSEEN = 1 << 31  # a cell: probability one half, never seen
LARGEST_PROBABILITY = (1 << 22) - 1  # of a cell

WEIGHT_BITS = 16  # a weight is in 1/65536
INITIAL_WEIGHT = 1 << 14  # a quarter
ERROR_GAIN, WEIGHT_SHIFT = 10, 18  # how fast the weights of this mixer move: by 10 / 2**18
REFINEMENT_SHIFT = 13  # how slowly a row moves
SIMPLE_SHIFT = 5  # how slowly a simple probability moves

# Where things lie in a mixer's memory m, after the range coder's state.
BUCKETS_AT = range_coder.STATE  # where in the cells the bucket of each context starts
STRETCHED_AT = BUCKETS_AT + INPUTS  # the stretched probabilities of the decision at hand
SIMPLE_AT = STRETCHED_AT + INPUTS
WEIGHTS_AT = SIMPLE_AT + SIMPLE
REFINEMENT_AT = WEIGHTS_AT + WEIGHT_SETS * INPUTS
MEMORY = REFINEMENT_AT + REFINEMENTS * ROW
CONFIDENCE = AFTER_RATES  # where this table starts in the tables


class State(NamedTuple):
    """What a mixer has learned."""

    m: np.ndarray  # int64
    cells: np.ndarray  # uint32: buckets


class Mixer(NamedTuple):
    """A range coder with its model: one-dimensional arrays, which the loops that code share."""

    m: np.ndarray  # int64: the coding memory
    cells: np.ndarray  # uint32
    tables: np.ndarray  # int32
    data: np.ndarray  # uint8: the bytes


def new_state(samples: int, most_bits: int = 18, weight: int = INITIAL_WEIGHT) -> State:
    """The state of a mixer before a chunk of so many samples: 2**10 ... 2**most_bits buckets.

    All weights begin as `weight`, in 1/65536.
    """
    bits = min(most_bits, max(10, (samples - 1).bit_length() + 1))
    m = np.zeros(MEMORY, np.int64)
    m[SIMPLE_AT:WEIGHTS_AT] = EVEN
    m[WEIGHTS_AT:REFINEMENT_AT] = weight
    m[REFINEMENT_AT:] = np.tile(refinement_row(), REFINEMENTS)
    return State(m, np.full(BUCKET << bits, UNSEEN, np.uint32))


def new_mixer(samples: int, data: bytes | None, state: State) -> Mixer:
    """An encoder for so many samples (data is None), or the decoder of data.

    The mixer works on the arrays of `state` and changes them.
    """
    if data is None:
        coder, room = new_encoder(256 + 16 * samples)
    else:
        room = np.frombuffer(bytearray(data), np.uint8)
        coder = new_decoder(room)
    state.m[: coder.size] = coder
    return Mixer(state.m, state.cells, all_tables(), room)


# The parts of a mixer


@integer_step
def mean_of(total):
    """The stretched probability that a weighted sum of such is, within the limit."""
    return least(STRETCH_LIMIT, most(-STRETCH_LIMIT, total >> WEIGHT_BITS))


@integer_part
def code_refined(mixer, row, mixed, bit):
    """Code one bit of a mixed, stretched probability, which the row at m[row] refines.

    Between two values of the row one interpolates; both then move towards the bit.
    """
    m = mixer.m
    away = mixed + REFINEMENT_ORIGIN
    place, share = row + (away >> REFINEMENT_STEP_BITS), away & (REFINEMENT_STEP - 1)
    rest, low = REFINEMENT_STEP - share, m[place]
    refined = low + (((m[place + 1] - low) * share) >> REFINEMENT_STEP_BITS)
    probability = (mixer.tables[MIDDLE + mixed] + refined) >> 1  # SUREST at most
    bit = code_bit(m, mixer.data, most(1, probability), bit)
    goal = SUREST if bit == 1 else 0
    m[place] += ((goal - m[place]) * rest) >> REFINEMENT_SHIFT
    m[place + 1] += ((goal - m[place + 1]) * share) >> REFINEMENT_SHIFT
    return bit


@integer_part
def moved(stretched, error, shift):
    """By how much a weight moves: its input times the error of the sum, over 2**shift."""
    return (stretched * error + (1 << shift >> 1)) >> shift


@integer_part
def move_cell(cells, tables, place, bit, limit):
    """Move a cell towards the bit, the less the more bits it has seen; it counts to `limit`."""
    cell = cells[place]
    count, probability = cell & COUNT_MASK, cell >> COUNT_BITS
    goal = LARGEST_PROBABILITY if bit == 1 else 0
    probability += ((goal - probability) * tables[RATES + count]) >> 16
    cells[place] = (probability << COUNT_BITS) | least(limit, count + 1)


# The mixer of the transform mode


@integer_step
def find_bucket(mixer, context, value):
    """Find the bucket of one context (0 ... INPUTS - 1) whose value is a number below 2**32."""
    cells = mixer.cells
    h = (value * 0x2F0B4C47 + context * 0x1B873593 + 0x3C6EF372) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 0x2C1B3C6D) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 0x297A2D39) & 0xFFFFFFFF
    h ^= h >> 16
    place = (h & ((len(cells) >> BUCKET_BITS) - 1)) << BUCKET_BITS
    check = (h >> 8) | 1
    if cells[place + CHECK] != check:
        cells[place + CHECK] = check
        for i in range(CELLS):
            cells[place + i] = UNSEEN
    mixer.m[BUCKETS_AT + context] = place


@integer_step
def mix(mixer, contexts, cell, first, second):
    """The stretched probabilities that two sets of weights make of a cell of each context."""
    m, cells, tables = mixer.m, mixer.cells, mixer.tables
    first, second = WEIGHTS_AT + INPUTS * first, WEIGHTS_AT + INPUTS * second
    a, b = 0, 0
    for i in range(contexts):
        state = cells[m[BUCKETS_AT + i] + cell]
        confidence = tables[CONFIDENCE + (state & COUNT_MASK)]
        s = (tables[STRETCH + (state >> STRETCH_SHIFT)] * confidence) >> 8
        m[STRETCHED_AT + i] = s
        a += m[first + i] * s
        b += m[second + i] * s
    return mean_of(a), mean_of(b)


@integer_step
def probability_of(mixer, contexts, cell, first, second, row):
    """The probability, over 65536, with which `code_decision` would code a bit of 1."""
    a, b = mix(mixer, contexts, cell, first, second)
    mixed, m, row = (a + b) >> 1, mixer.m, REFINEMENT_AT + row * ROW
    away = mixed + REFINEMENT_ORIGIN
    place, share = row + (away >> REFINEMENT_STEP_BITS), away & (REFINEMENT_STEP - 1)
    refined = m[place] * (REFINEMENT_STEP - share) + m[place + 1] * share
    probability = (mixer.tables[MIDDLE + mixed] + (refined >> REFINEMENT_STEP_BITS)) >> 1
    return least(SUREST, most(1, probability))


@integer_step
def code_decision(mixer, contexts, cell, first, second, row, bit):
    """Code one bit: a cell of each context, two sets of weights, a row of the refinement."""
    m, cells, tables = mixer.m, mixer.cells, mixer.tables
    a, b = mix(mixer, contexts, cell, first, second)
    bit = code_refined(mixer, REFINEMENT_AT + row * ROW, (a + b) >> 1, bit)
    error_a = ((bit << 16) - tables[MIDDLE + a]) * ERROR_GAIN
    error_b = ((bit << 16) - tables[MIDDLE + b]) * ERROR_GAIN
    first, second = WEIGHTS_AT + INPUTS * first, WEIGHTS_AT + INPUTS * second
    for i in range(contexts):
        m[first + i] += moved(m[STRETCHED_AT + i], error_a, WEIGHT_SHIFT)
        m[second + i] += moved(m[STRETCHED_AT + i], error_b, WEIGHT_SHIFT)
        move_cell(cells, tables, m[BUCKETS_AT + i] + cell, bit, RATE_LIMIT)
    return bit


@integer_step
def digits(v, limit):
    """Binary digits of a number, at most so many; 0 of what is not above 0."""
    count = 0
    while v > 0 and count < limit:
        v >>= 1
        count += 1
    return count


@integer_step
def code_simple(mixer, place, bit):
    """Code one bit with an adaptive probability of its own."""
    m = mixer.m
    p = m[SIMPLE_AT + place]
    bit = code_bit(m, mixer.data, p, bit)
    if bit == 1:
        m[SIMPLE_AT + place] = p + ((65536 - p) >> SIMPLE_SHIFT)
    else:
        m[SIMPLE_AT + place] = p - (p >> SIMPLE_SHIFT)
    return bit


@integer_loop
def code_simple_bit(mixer, place, bit):
    """As code_simple, for callers that are not compiled."""
    return code_simple(mixer, place, bit)


@integer_loop
def code_number(mixer, place, value):
    """Code a number from 0 below 2**NUMBER_BITS: its length in simple bits, then its bits.

    The length takes LENGTHS simple probabilities from `place` on.
    """
    value += 1
    length = digits(value, NUMBER_BITS + 1) - 1
    size = 0
    while size < NUMBER_BITS:
        more = 1 if size < length else 0
        if code_simple(mixer, place + least(size, LENGTHS - 1), more) == 0:
            break
        size += 1
    result = 1
    for i in range(size - 1, -1, -1):
        result = (result << 1) | code_bit(mixer.m, mixer.data, EVEN, (value >> i) & 1)
    return result - 1
