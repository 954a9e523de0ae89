"""Wavelet coefficients as decisions: what is asked of a coefficient, and in which contexts.

A quantized coefficient is zero or not, positive or negative, larger than 1, 2 ... 9 or not, and
beyond that an Exp-Golomb number. The contexts of each question are the coefficients before it in
its band, its parents in the two coarser bands, the coefficients of the events at its place, and
those of the channel before.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step, item_of, least, most, size_of
from san.codec.entropy.mixing import (
    LENGTHS,
    NUMBER_BITS,
    code_decision,
    code_simple,
    digits,
    find_bucket,
    mix,
    probability_of,
)
from san.codec.entropy.range_coder import ENCODING, EVEN, code_bit
from san.codec.modes.ranges import (
    BLOCK_CONTEXTS,
    BLOCK_INPUTS,
    BLOCK_LEVEL_SETS,
    BLOCK_PASTS,
    BLOCK_ROW,
    BLOCK_SETS,
    COMPONENT_INPUTS,
    LARGER,
    LARGER_KINDS,
    LARGER_ROWS,
    LARGEST_MIXED,
    LEVEL_SETS,
    LEVELS,
    NEAR_SETS,
    NEARS,
    REST,
    REST_BITS,
    REST_LENGTHS,
    REST_ROWS,
    REST_TOPS,
    SETS_OF_ONE,
    SIGN,
    SIGN_ROW,
    STEPS,
    TOPS,
    ZERO,
    ZERO_ROWS,
    find_own,
)

BLOCK = 16  # coefficients of a sparse band that one decision may declare to be zeros
# What the encoder weighs, in 1/256 of a bit or of a quantizer's step.
UNIT = 256
BITS_OF_LOGITS = 185  # turns the sum of two logits into bits, over 256: 256 / (2 ln 2)
BOW = 88  # log2(1 + x) is about x + 0.344 x (1 - x)
MOST_SAVED = 16 * UNIT  # bits that a smaller coefficient may save
BITS_OF_LONE_ONE = 1280  # of ±1 in a block of zeros: where it is, and all of the above
MOST_LONE = 3  # ones of a block that may be dropped; with 2, streams have 0.05 % more bytes


NOTHING = np.zeros(0, np.int64)


class Around(NamedTuple):
    """What is known around a band before it is coded: int64 arrays, each of which may be empty."""

    parent: np.ndarray  # the band one level coarser
    grandparent: np.ndarray  # the band two levels coarser
    events: np.ndarray  # of the same band, the coefficients of the events
    other: np.ndarray  # of the same band, the coefficients of the channel before
    # Of components of a transform across channels only; they then have a band as events have.
    total: np.ndarray = NOTHING  # magnitudes of all components before, added
    second: np.ndarray = NOTHING  # the coefficients two components before
    number: int = 0  # of the component, from 0


@integer_step
def _within(v, limit):
    """v with its magnitude on a scale: exact to 4, then 5-6, 7-9, 10-14, ... up to the limit."""
    size = size_of(v)
    if size > 4:
        if size < 7:
            size = 5
        elif size < 10:
            size = 6
        elif size < 15:
            size = 7
        elif size < 20:
            size = 8
        elif size < 27:
            size = 9
        elif size < 36:
            size = 10
        elif size < 48:
            size = 11
        elif size < 64:
            size = 12
        else:
            size = 13
    size = least(size, limit)
    return size if v >= 0 else -size


@integer_step
def _coarse(v):
    """A magnitude on a scale of STEPS steps: exact below 12, then four steps an octave."""
    if v < 12:
        return v
    octaves = 0
    while v >= 16:
        v >>= 1
        octaves += 1
    return least(STEPS - 1, 10 + 4 * octaves + ((v - 8) >> 1))


@integer_loop
def code_band(mixer, q, magnitude, penalty, around, level, sparse):
    """Code the coefficients q of a band; the decoder fills q.

    In a sparse band (1, else 0) the first question is whether any of BLOCK coefficients is not
    zero. `level` is the number of the band, 0 ... 15, and `around` an Around.

    The encoder may change q: it turns ±1 into 0 where this saves more bits than its error is
    worth. `magnitude` holds |coefficient| in 1/256 of the quantizer's step, and a bit is worth
    penalty / 65536 squared steps. With a penalty of 0, and in a decoder, `magnitude` may be empty.
    """
    stop, before = 0, 0
    i = -1
    while i + 1 < len(q):
        i += 1
        if i == stop:
            stop = least(len(q), i + BLOCK)
            if sparse == 1:
                some = _code_block(mixer, q, magnitude, penalty, around, level, i, before)
                before = (before << 1 | some) & (BLOCK_PASTS - 1)
                if some == 0:
                    i = stop - 1
                    continue
        contexts, near, wide = _find_contexts(mixer, q, i, around, level)
        first = NEAR_SETS + SETS_OF_ONE * digits(near, NEARS - 1)
        second = LEVEL_SETS + SETS_OF_ONE * level
        step = _coarse(wide)
        if mixer.m[ENCODING] == 1 and penalty > 0 and q[i] != 0:
            q[i] = _worth_its_bits(
                mixer, contexts, first, second, step, magnitude[i], penalty, q[i]
            )
        q[i] = _code_value(mixer, contexts, first, second, step, level, q[i])
    return 0


@integer_step
def _find_contexts(mixer, q, i, around, level):
    """Find the contexts of a coefficient: their number, and two sums of what is around it."""
    parent, grandparent, events, other = around[:4]
    q1, q2, q3, q4 = item_of(q, i - 1), item_of(q, i - 2), item_of(q, i - 3), item_of(q, i - 4)
    q5, q6, j = item_of(q, i - 5), item_of(q, i - 6), i >> 1
    p0, p1, pm = item_of(parent, j), item_of(parent, j + 1), item_of(parent, j - 1)
    j = i >> 2
    g0, g1, gm = item_of(grandparent, j), item_of(grandparent, j + 1), item_of(grandparent, j - 1)
    a1, a2, a3, b0 = size_of(q1), size_of(q2), size_of(q3), size_of(p0)
    near = 2 * a1 + a2 + a3 + 2 * b0 + size_of(p1) + size_of(pm)
    wide = 6 * a1 + 4 * a2 + 2 * a3 + 2 * size_of(q4) + size_of(q5) + size_of(q6)
    wide += 5 * b0 + 4 * size_of(p1) + 3 * size_of(pm)
    wide += 2 * size_of(g0) + size_of(g1) + size_of(gm)
    q1, q2, q3, q4 = _within(q1, 7) + 7, _within(q2, 7) + 7, _within(q3, 5), _within(q4, 5)
    p0, p1, pm = _within(p0, 7) + 7, _within(p1, 7) + 7, _within(pm, 7) + 7
    g0, g1 = _within(g0, 7) + 7, _within(g1, 7) + 7
    contexts, own, o0 = 9, wide, 0
    if len(events) > 0:
        e0, e1, em = events[i], item_of(events, i + 1), item_of(events, i - 1)
        near += 2 * size_of(e0)
        wide += 4 * size_of(e0) + 2 * size_of(e1) + 2 * size_of(em)
        _find_beside(mixer, 9, e0, e1, em, q1, p0 * 15 + p1, level)
        contexts = 12
    if len(other) > 0:
        o0, o1, om = other[i], item_of(other, i + 1), item_of(other, i - 1)
        near += size_of(o0)
        wide += 2 * size_of(o0) + size_of(o1) + size_of(om)
        _find_beside(mixer, contexts, o0, o1, om, q1, p0 * 15 + q2, level)
        contexts += 3
    if len(around.total) > 0:
        near += _find_across(mixer, contexts, around, i, o0, own, 2 * a1 + a2, level)
        contexts += 4
    sign = 0 if a1 == 0 else (1 if q1 > 7 else 2)
    pair, step = q1 * 15 + q2, _coarse(wide)
    four = (pair * 11 + q3 + 5) * 11 + q4 + 5
    six = four * 49 + (_within(q5, 3) + 3) * 7 + _within(q6, 3) + 3
    parents, beside = (p0 * 15 + p1) * 15 + pm, (q1 * 15 + p0) * 15 + p1
    find_bucket(mixer, 0, (least(11, 2 * a1 + a2) * 6 + least(5, b0)) * LEVELS + level)
    find_bucket(mixer, 1, pair * LEVELS + level)
    find_bucket(mixer, 2, four * LEVELS + level)
    find_bucket(mixer, 3, (parents * 6 + (i & 1) * 3 + sign) * LEVELS + level)
    find_bucket(mixer, 4, six * LEVELS + level)
    find_bucket(mixer, 5, (((g0 * 15 + g1) * 15 + p0) * 4 + (i & 3)) * LEVELS + level)
    find_bucket(mixer, 6, ((beside * 2 + (i & 1)) * 15 + g0) * LEVELS + level)
    find_bucket(mixer, 7, step * LEVELS + level)
    find_bucket(mixer, 8, step * 16 + least(a1, 3) * 4 + least(b0, 3))
    return contexts, near, wide


@integer_step
def _find_beside(mixer, slot, x0, x1, xm, q1, more, level):
    """Find three contexts of what is known beside a coefficient, around its place."""
    x0, x1, xm = _within(x0, 15) + 15, _within(x1, 7) + 7, _within(xm, 7) + 7
    find_bucket(mixer, slot, ((x0 * 15 + q1) * 15 + xm) * LEVELS + level)
    find_bucket(mixer, slot + 1, ((x0 * 15 + x1) * 15 + xm) * LEVELS + level)
    find_bucket(mixer, slot + 2, (x0 * 225 + more) * LEVELS + level)


@integer_step
def _find_across(mixer, slot, around, i, other, own, last, level):
    """Find four contexts of the components before; what they add to what is near."""
    total, component = around.total, least(15, around.number)
    own = _coarse(own)
    here = _coarse(2 * total[i] + item_of(total, i + 1) + item_of(total, i - 1))
    second = (_within(around.second[i], 5) + 5) * 31 + _within(other, 15) + 15
    find_bucket(mixer, slot, (here * STEPS + own) * LEVELS + level)
    find_bucket(mixer, slot + 1, ((here * 16 + component) * 8 + least(7, last)) * LEVELS + level)
    find_bucket(mixer, slot + 2, (second * STEPS + _coarse(4 * total[i])) * LEVELS + level)
    find_bucket(mixer, slot + 3, (component * STEPS + own) * LEVELS + level)
    return here >> 2


@integer_step
def _code_block(mixer, q, magnitude, penalty, around, level, start, before):
    """Code whether any of BLOCK coefficients from start on is not zero."""
    stop = least(len(q), start + BLOCK)
    contexts = _find_block_contexts(mixer, q, around, level, start, stop, before)
    first, second = BLOCK_SETS + before, BLOCK_LEVEL_SETS + level
    some = 0
    if mixer.m[ENCODING] == 1:
        some = _choose_block(mixer, q, magnitude, penalty, start, stop, contexts, first, second)
    return code_decision(mixer, contexts, ZERO, first, second, BLOCK_ROW, some)


@integer_step
def _find_block_contexts(mixer, q, around, level, start, stop, before):
    """Find the contexts of a block, sums of what is around it and the blocks before: how many."""
    parent, grandparent, events, other = around[:4]
    p = _coarse(_sum_of_sizes(parent, (start >> 1) - 1, (stop >> 1) + 1))
    g = _coarse(_sum_of_sizes(grandparent, (start >> 2) - 1, (stop >> 2) + 1))
    e, o = _coarse(_sum_of_sizes(events, start, stop)), _coarse(_sum_of_sizes(other, start, stop))
    near = least(7, _sum_of_sizes(q, start - 4, start))
    find_own(mixer, BLOCK_CONTEXTS, 0, ((p * 8 + before) * 8 + near) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 1, ((p * 32 + g) * 8 + before) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 2, ((e * 32 + p) * 8 + before) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 3, ((o * 32 + e) * 32 + p) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 4, ((e * 32 + g) * 8 + near) * LEVELS + level)
    if len(around.total) == 0:
        return BLOCK_INPUTS
    s, component = _coarse(_sum_of_sizes(around.total, start, stop)), least(15, around.number)
    find_own(mixer, BLOCK_CONTEXTS, 5, ((s * 32 + p) * 8 + before) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 6, ((o * 32 + s) * 32 + p) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 7, ((s * 32 + g) * 8 + near) * LEVELS + level)
    find_own(mixer, BLOCK_CONTEXTS, 8, (component * 32 + p) * LEVELS + level)
    return BLOCK_INPUTS + COMPONENT_INPUTS


@integer_step
def _sum_of_sizes(a, start, stop):
    """The sum of magnitudes of a[start:stop], as far as a goes."""
    total = 0
    for j in range(most(0, start), least(len(a), stop)):
        total += size_of(a[j])
    return total


@integer_step
def _code_value(mixer, contexts, first, second, step, level, v):
    """Code a coefficient: whether it is zero, its sign, its magnitude; returns the coefficient."""
    size = size_of(v)
    some, positive = 1 if size > 0 else 0, 1 if v > 0 else 0
    if _ask(mixer, contexts, ZERO, first, second, ZERO_ROWS + step, some) == 0:
        return 0
    positive = _ask(mixer, contexts, SIGN, first, second, SIGN_ROW, positive)
    k = 1
    while k <= LARGEST_MIXED:
        more = 1 if size > k else 0
        if _ask(mixer, contexts, LARGER + k, first, second, _larger_row(k, step), more) == 0:
            break
        k += 1
    if k > LARGEST_MIXED:
        k += _code_rest(mixer, contexts, first, second, step, level, size - k)
    return k if positive == 1 else -k


@integer_step
def _code_rest(mixer, contexts, first, second, step, level, rest):
    """Code a number from 0 below 2**NUMBER_BITS: its length, whose first decisions are mixed."""
    rest += 1
    length, size = digits(rest, NUMBER_BITS + 1) - 1, 0
    while size < NUMBER_BITS:
        more = 1 if size < length else 0
        if size < REST_BITS:
            more = _ask(mixer, contexts, REST + size, first, second, REST_ROWS + step, more)
        else:
            place = REST_LENGTHS + LENGTHS * level + least(size, LENGTHS - 1)
            more = code_simple(mixer, place, more)
        if more == 0:
            break
        size += 1
    result = 1
    for i in range(size - 1, -1, -1):
        bit = (rest >> i) & 1
        if i == size - 1 and size < TOPS - 1:
            bit = code_simple(mixer, REST_TOPS + TOPS * level + size, bit)
        else:
            bit = code_bit(mixer.m, mixer.data, EVEN, bit)
        result = (result << 1) | bit
    return result - 1


@integer_step
def _ask(mixer, contexts, cell, first, second, row, bit):
    """Code one decision about a coefficient, whose weight sets are numbered as its cells are."""
    return code_decision(mixer, contexts, cell, first + cell, second + cell, row, bit)


# What only the encoder decides


@integer_step
def _worth_its_bits(mixer, contexts, first, second, step, magnitude, penalty, v):
    """A coefficient, or a smaller one whose bits are fewer by more than its error is larger.

    The coefficient is compared with the next smaller one, and ±2 with 0 too.
    """
    size = size_of(v)
    more = (2 * magnitude - (2 * size - 1) * UNIT) * 65536  # error of the next smaller one
    if size > LARGEST_MIXED or more >= penalty * MOST_SAVED:
        return v
    beyond = _bits_of(mixer, contexts, LARGER + size, first, second, _larger_row(size, step), 0)
    if size == 1:
        bits = beyond + _bits_of_sign_and_some(mixer, contexts, first, second, step)
        return 0 if more < penalty * bits else v
    row, cell = _larger_row(size - 1, step), LARGER + size - 1
    ends = _bits_of(mixer, contexts, cell, first, second, row, 0)
    goes_on = _bits_of(mixer, contexts, cell, first, second, row, 1)
    smaller = v - 1 if v > 0 else v + 1
    is_smaller = more < penalty * (goes_on + beyond - ends)
    if size == 2:
        some = _bits_of_sign_and_some(mixer, contexts, first, second, step)
        rest = (2 * magnitude - UNIT) * 65536
        if rest + more < penalty * (some + goes_on + beyond):
            if not is_smaller or rest < penalty * (some + ends):
                return 0
    return smaller if is_smaller else v


@integer_step
def _bits_of_sign_and_some(mixer, contexts, first, second, step):
    """How many bits more a coefficient of ±1 takes than 0, but for those of its magnitude."""
    row = ZERO_ROWS + step
    some = _bits_of(mixer, contexts, ZERO, first, second, row, 1)
    return UNIT + some - _bits_of(mixer, contexts, ZERO, first, second, row, 0)


@integer_step
def _larger_row(k, step):
    """The row of the question whether a magnitude is larger than k."""
    return LARGER_ROWS + (least(k, LARGER_KINDS) - 1) * STEPS + step


@integer_step
def _bits_of(mixer, contexts, cell, first, second, row, bit):
    """The bits that a decision would take, over UNIT."""
    p = probability_of(mixer, contexts, cell, first + cell, second + cell, row)
    p = p if bit == 1 else 65536 - p
    length = digits(p, 17) - 1
    rest = ((p << 8) >> length) - 256  # log2 is the length and about the rest, with a small bow
    return (16 - length) * UNIT - rest - (rest * (256 - rest) * BOW >> 16)


@integer_step
def _choose_block(mixer, q, magnitude, penalty, start, stop, contexts, first, second):
    """Whether a block is coded as not zero; few lone ±1 become zeros where that is worth it."""
    ones = 0
    for j in range(start, stop):
        if size_of(q[j]) > 1:
            return 1
        if q[j] != 0:
            ones += 1
    if ones == 0 or ones > MOST_LONE or penalty == 0:
        return 1 if ones > 0 else 0
    a, b = mix(mixer, contexts, ZERO, first, second)
    error = 0
    for j in range(start, stop):
        if q[j] != 0:
            error += 2 * magnitude[j] - UNIT
    saved = ones * BITS_OF_LONE_ONE - ((a + b) * BITS_OF_LOGITS >> 8)
    if error * 65536 >= penalty * saved:
        return 1
    for j in range(start, stop):
        q[j] = 0
    return 0
