"""How likely a binary decision is: a logistic mixture of adaptive probabilities, in integers.

Each decision is seen in several contexts. A context has a *bucket* of cells, found by its hash in
one table; a cell is a probability (22 bits) and how often it was seen (10 bits). The stretched
probabilities are weighted and added, by two sets of weights that are chosen by what is coded, and
their mean is refined by a small table before the range coder takes it. What is wrong about the
prediction then moves cells, weights and the refinement.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy import loops
from san.codec.entropy.logistic import all_tables, refinement_row
from san.codec.entropy.loops import integer_loop, integer_step, least, most
from san.codec.entropy.range_coder import code_bit, new_decoder, new_encoder

INPUTS = 16  # the most contexts of a decision
WEIGHT_SETS = 512
REFINEMENTS = 256  # rows of 46 probabilities
SIMPLE = 1024  # probabilities of decisions that are not mixed
_INITIAL_WEIGHT = 16384  # a quarter, in 1/65536
_UNSEEN = 1 << 31  # a cell: probability one half, never seen
# Where things lie in a mixer's memory m, after the range coder's state.
_PLACES = 8  # the first cell of the bucket of each context
_STRETCHED = _PLACES + INPUTS
_SIMPLE = _STRETCHED + INPUTS
_WEIGHTS = _SIMPLE + SIMPLE
_REFINEMENT = _WEIGHTS + WEIGHT_SETS * INPUTS
_SIZE = _REFINEMENT + REFINEMENTS * 46
# Where they begin in the tables.
_MIDDLE = 2815  # squash at zero
_STRETCH, _RATES, _CONFIDENCE = 5632, 5632 + 4096, 5632 + 4096 + 1024


class State(NamedTuple):
    """What a mixer has learned."""

    m: np.ndarray  # int64
    cells: np.ndarray  # uint32: buckets of 16


class Mixer(NamedTuple):
    """A range coder with its model: one-dimensional arrays, which the loops that code share."""

    m: np.ndarray
    cells: np.ndarray
    tables: np.ndarray  # int32
    data: np.ndarray  # uint8: the bytes


def new_state(samples: int, most_bits: int = 18) -> State:
    """What a mixer knows before a chunk of so many samples."""
    bits = min(most_bits, max(10, (samples - 1).bit_length() + 1))
    m = np.zeros(_SIZE, np.int64)
    m[_SIMPLE:_WEIGHTS] = 32768
    m[_WEIGHTS:_REFINEMENT] = _INITIAL_WEIGHT
    m[_REFINEMENT:] = np.tile(refinement_row(), REFINEMENTS)
    return State(m, np.full(16 << bits, _UNSEEN, np.uint32))


def new_mixer(samples: int, data: bytes | None, state: State) -> Mixer:
    """An encoder for so many samples (data is None), or the decoder of data; state is changed."""
    if data is None:
        coder, room = new_encoder(256 + 16 * samples)
    else:
        room = np.frombuffer(bytearray(data), np.uint8)
        coder = new_decoder(room)
    state.m[: coder.size] = coder
    mixer = Mixer(state.m, state.cells, all_tables(), room)
    return mixer if loops.numba is not None else Mixer(*map(memoryview, mixer))


@integer_step
def find_bucket(m, cells, context, value):
    """Find the bucket of one context (0 ... INPUTS - 1) whose value is a number below 2**32."""
    h = (value * 0x2F0B4C47 + context * 0x1B873593 + 0x3C6EF372) & 0xFFFFFFFF
    h ^= h >> 15
    h = (h * 0x2C1B3C6D) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 0x297A2D39) & 0xFFFFFFFF
    h ^= h >> 16
    place = (h & ((len(cells) >> 4) - 1)) << 4
    check = (h >> 8) | 1
    if cells[place + 15] != check:
        cells[place + 15] = check
        for i in range(15):
            cells[place + i] = 2147483648
    m[_PLACES + context] = place


@integer_step
def mix(m, cells, tables, contexts, cell, first, second):
    """The stretched probabilities that two sets of weights make of a cell of each context."""
    a, b = 0, 0
    first = _WEIGHTS + 16 * first
    second = _WEIGHTS + 16 * second
    for i in range(contexts):
        state = cells[m[_PLACES + i] + cell]
        s = (tables[_STRETCH + (state >> 20)] * tables[_CONFIDENCE + (state & 1023)]) >> 8
        m[_STRETCHED + i] = s
        a += m[first + i] * s
        b += m[second + i] * s
    return least(2815, most(-2815, a >> 16)), least(2815, most(-2815, b >> 16))


@integer_step
def code_decision(m, cells, tables, data, contexts, cell, first, second, row, bit):
    """Code one bit: a cell of each context, two sets of weights, a row of the refinement."""
    a, b = mix(m, cells, tables, contexts, cell, first, second)
    middle = (a + b) >> 1
    p = tables[_MIDDLE + middle]
    place = _REFINEMENT + row * 46 + ((middle + 2816) >> 7)
    share = (middle + 2816) & 127
    refined = (m[place] * (128 - share) + m[place + 1] * share) >> 7
    bit = code_bit(m, data, least(65535, most(1, (p + refined) >> 1)), bit)
    target = 65535 if bit == 1 else 0
    m[place] += ((target - m[place]) * (128 - share)) >> 13
    m[place + 1] += ((target - m[place + 1]) * share) >> 13
    error_a = ((bit << 16) - tables[_MIDDLE + a]) * 10
    error_b = ((bit << 16) - tables[_MIDDLE + b]) * 10
    first = _WEIGHTS + 16 * first
    second = _WEIGHTS + 16 * second
    goal = 4194303 if bit == 1 else 0
    for i in range(contexts):
        s = m[_STRETCHED + i]
        m[first + i] += (s * error_a + 131072) >> 18
        m[second + i] += (s * error_b + 131072) >> 18
        place = m[_PLACES + i] + cell
        state = cells[place]
        count = state & 1023
        probability = state >> 10
        probability += ((goal - probability) * tables[_RATES + count]) >> 16
        cells[place] = (probability << 10) | least(1023, count + 1)
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
def code_simple(m, data, place, bit):
    """Code one bit with an adaptive probability of its own."""
    p = m[_SIMPLE + place]
    bit = code_bit(m, data, p, bit)
    if bit == 1:
        m[_SIMPLE + place] = p + ((65536 - p) >> 5)
    else:
        m[_SIMPLE + place] = p - (p >> 5)
    return bit


@integer_loop
def code_simple_bit(m, data, place, bit):
    """As code_simple, on its own."""
    return code_simple(m, data, place, bit)


@integer_loop
def code_number(m, data, place, value):
    """Code a number from 0 below 2**40: length in unary, adaptive from `place`, then its bits."""
    value += 1
    length = digits(value, 41) - 1
    size = 0
    while size < 40:
        if code_simple(m, data, place + least(size, 15), 1 if size < length else 0) == 0:
            break
        size += 1
    result = 1
    for i in range(size - 1, -1, -1):
        result = (result << 1) | code_bit(m, data, 32768, (value >> i) & 1)
    return result - 1
