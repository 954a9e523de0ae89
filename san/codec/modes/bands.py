"""Wavelet coefficients as decisions: what is asked of a coefficient, and in which contexts.

A quantized coefficient is zero or not, positive or negative, larger than 1, 2 ... 9 or not, and
beyond that an Exp-Golomb number. Each question is seen in the contexts of the coefficients before
it in its band, of its parents in the two coarser bands, of the events' own coefficients there, and
of the channel before.
"""

from san.codec.entropy.loops import integer_loop, integer_part, integer_step, least, most, size_of
from san.codec.entropy.mixing import code_decision, code_simple, digits, find_bucket, mix
from san.codec.entropy.range_coder import ENCODING, code_bit


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
    """A magnitude on a scale of 32: exact below 12, then four steps an octave."""
    if v < 12:
        return v
    octaves = 0
    while v >= 16:
        v >>= 1
        octaves += 1
    return least(31, 10 + 4 * octaves + ((v - 8) >> 1))


@integer_part
def _at(a, i):
    """a[i], 0 outside."""
    return a[i] if 0 <= i < len(a) else 0


@integer_loop
def code_band(
    m, cells, tables, data, q, magnitude, penalty, parent, grandparent, events, other, level, sparse
):
    """Code the coefficients q of a band; decoding, q is filled.

    parent, grandparent: the bands one and two levels coarser, may be empty. events, other: the
    coefficients of the events and of the channel before in this band, may be empty. In a sparse
    band one first asks of 16 coefficients whether any is not zero. Encoding, magnitude holds
    |coefficient| in 1/256 of the quantizer's step, and a coefficient that would be ±1 becomes 0
    where the bits this saves are worth its error: a bit is worth penalty / 65536 squared steps.
    """
    stop, before = 0, 0
    i = -1
    while i + 1 < len(q):
        i += 1
        if i == stop:
            stop = least(len(q), i + 16)
            if sparse == 1:
                some = _code_block(
                    m, cells, tables, data, q, magnitude, penalty, parent, grandparent, events,
                    other, level, i, before,
                )  # fmt: skip
                before = (before << 1 | some) & 7
                if some == 0:
                    i = stop - 1
                    continue
        contexts, near, wide = _find_contexts(
            m, cells, q, i, parent, grandparent, events, other, level
        )
        first, second, step = 16 * digits(near, 7), 128 + 16 * level, _coarse(wide)
        v = q[i]
        if m[ENCODING] == 1 and penalty > 0 and size_of(v) == 1:
            a, b = mix(m, cells, tables, contexts, 0, first, second)
            # bits of a zero less than of ±1, in 1/256: its own, a sign, and that it is no more
            saved = 384 - ((a + b) * 185 >> 8)
            if (2 * magnitude[i] - 256) * 65536 < penalty * saved:
                v = 0
        q[i] = _code_value(m, cells, tables, data, contexts, first, second, step, level, v)
    return 0


@integer_part
def _find_contexts(m, cells, q, i, parent, grandparent, events, other, level):
    """Find the contexts of a coefficient: their number, and two sums of what is around it."""
    q1, q2, q3, q4 = _at(q, i - 1), _at(q, i - 2), _at(q, i - 3), _at(q, i - 4)
    q5, q6, j = _at(q, i - 5), _at(q, i - 6), i >> 1
    p0, p1, pm = _at(parent, j), _at(parent, j + 1), _at(parent, j - 1)
    j = i >> 2
    g0, g1, gm = _at(grandparent, j), _at(grandparent, j + 1), _at(grandparent, j - 1)
    a1, a2, a3, b0 = size_of(q1), size_of(q2), size_of(q3), size_of(p0)
    near = 2 * a1 + a2 + a3 + 2 * b0 + size_of(p1) + size_of(pm)
    wide = 6 * a1 + 4 * a2 + 2 * a3 + 2 * size_of(q4) + size_of(q5) + size_of(q6)
    wide += 5 * b0 + 4 * size_of(p1) + 3 * size_of(pm)
    wide += 2 * size_of(g0) + size_of(g1) + size_of(gm)
    q1, q2, q3, q4 = _within(q1, 7) + 7, _within(q2, 7) + 7, _within(q3, 5), _within(q4, 5)
    p0, p1, pm = _within(p0, 7) + 7, _within(p1, 7) + 7, _within(pm, 7) + 7
    g0, g1 = _within(g0, 7) + 7, _within(g1, 7) + 7
    contexts = 9
    if len(events) > 0:
        e0, e1, em = events[i], _at(events, i + 1), _at(events, i - 1)
        near += 2 * size_of(e0)
        wide += 4 * size_of(e0) + 2 * size_of(e1) + 2 * size_of(em)
        _find_beside(m, cells, 9, e0, e1, em, q1, p0 * 15 + p1, level)
        contexts = 12
    if len(other) > 0:
        o0, o1, om = other[i], _at(other, i + 1), _at(other, i - 1)
        near += size_of(o0)
        wide += 2 * size_of(o0) + size_of(o1) + size_of(om)
        _find_beside(m, cells, contexts, o0, o1, om, q1, p0 * 15 + q2, level)
        contexts += 3
    sign = 0 if a1 == 0 else (1 if q1 > 7 else 2)
    pair, step = q1 * 15 + q2, _coarse(wide)
    four = (pair * 11 + q3 + 5) * 11 + q4 + 5
    six = four * 49 + (_within(q5, 3) + 3) * 7 + _within(q6, 3) + 3
    parents, beside = (p0 * 15 + p1) * 15 + pm, (q1 * 15 + p0) * 15 + p1
    find_bucket(m, cells, 0, (least(11, 2 * a1 + a2) * 6 + least(5, b0)) * 16 + level)
    find_bucket(m, cells, 1, pair * 16 + level)
    find_bucket(m, cells, 2, four * 16 + level)
    find_bucket(m, cells, 3, (parents * 6 + (i & 1) * 3 + sign) * 16 + level)
    find_bucket(m, cells, 4, six * 16 + level)
    find_bucket(m, cells, 5, (((g0 * 15 + g1) * 15 + p0) * 4 + (i & 3)) * 16 + level)
    find_bucket(m, cells, 6, ((beside * 2 + (i & 1)) * 15 + g0) * 16 + level)
    find_bucket(m, cells, 7, step * 16 + level)
    find_bucket(m, cells, 8, step * 16 + least(a1, 3) * 4 + least(b0, 3))
    return contexts, near, wide


@integer_part
def _find_beside(m, cells, slot, x0, x1, xm, q1, more, level):
    """Find three contexts of what is known beside a coefficient, around its place."""
    x0, x1, xm = _within(x0, 15) + 15, _within(x1, 7) + 7, _within(xm, 7) + 7
    find_bucket(m, cells, slot, ((x0 * 15 + q1) * 15 + xm) * 16 + level)
    find_bucket(m, cells, slot + 1, ((x0 * 15 + x1) * 15 + xm) * 16 + level)
    find_bucket(m, cells, slot + 2, (x0 * 225 + more) * 16 + level)


@integer_step
def _code_block(
    m,
    cells,
    tables,
    data,
    q,
    magnitude,
    penalty,
    parent,
    grandparent,
    events,
    other,
    level,
    start,
    before,
):
    """Code whether any of the 16 coefficients from start on is not zero."""
    size, parents, grandparents = len(q), len(parent), len(grandparent)
    stop = least(size, start + 16)
    p, g, e, o = 0, 0, 0, 0
    for j in range(most(0, (start >> 1) - 1), least(parents, (stop >> 1) + 1)):
        p += size_of(parent[j])
    for j in range(most(0, (start >> 2) - 1), least(grandparents, (stop >> 2) + 1)):
        g += size_of(grandparent[j])
    if len(events) > 0:
        for j in range(start, stop):
            e += size_of(events[j])
    if len(other) > 0:
        for j in range(start, stop):
            o += size_of(other[j])
    near = 0
    for j in range(most(0, start - 4), start):
        near += size_of(q[j])
    p, g, e, o, near = _coarse(p), _coarse(g), _coarse(e), _coarse(o), least(7, near)
    find_bucket(m, cells, 0, (21 << 27) + ((p * 8 + before) * 8 + near) * 16 + level)
    find_bucket(m, cells, 1, (22 << 27) + ((p * 32 + g) * 8 + before) * 16 + level)
    find_bucket(m, cells, 2, (23 << 27) + ((e * 32 + p) * 8 + before) * 16 + level)
    find_bucket(m, cells, 3, (24 << 27) + ((o * 32 + e) * 32 + p) * 16 + level)
    find_bucket(m, cells, 4, (25 << 27) + ((e * 32 + g) * 8 + near) * 16 + level)
    first, second = 480 + before, 488 + level
    some, ones = 0, 0
    if m[ENCODING] == 1:
        for j in range(start, stop):
            if size_of(q[j]) > 1:
                some = 1
            elif q[j] != 0:
                ones += 1
        if some == 0 and ones > 0:
            some = 1
            if ones <= 2 and penalty > 0:
                a, b = mix(m, cells, tables, 5, 0, first, second)
                gain = 0
                for j in range(start, stop):
                    if q[j] != 0:
                        gain += 2 * magnitude[j] - 256
                saved = ones * 1280 - ((a + b) * 185 >> 8)
                if gain * 65536 < penalty * saved:
                    some = 0
                    for j in range(start, stop):
                        q[j] = 0
    return code_decision(m, cells, tables, data, 5, 0, first, second, 250, some)


@integer_step
def _code_value(m, cells, tables, data, contexts, first, second, step, level, v):
    size = size_of(v)
    if (
        code_decision(
            m, cells, tables, data, contexts, 0, first, second, step, 1 if size > 0 else 0
        )
        == 0
    ):
        return 0
    positive = code_decision(
        m, cells, tables, data, contexts, 1, first + 1, second + 1, 32, 1 if v > 0 else 0
    )
    k = 1
    while k < 10:
        row = least(k + 1, 5) * 32 + step
        if (
            code_decision(
                m,
                cells,
                tables,
                data,
                contexts,
                k + 1,
                first + k + 1,
                second + k + 1,
                row,
                1 if size > k else 0,
            )
            == 0
        ):
            break
        k += 1
    if k == 10:
        k += _code_rest(m, cells, tables, data, contexts, first, second, step, level, size - k)
    return k if positive == 1 else -k


@integer_step
def _code_rest(m, cells, tables, data, contexts, first, second, step, level, rest):
    """Code a number from 0 below 2**40: its length in four mixed decisions and more, its bits."""
    rest += 1
    length, size = digits(rest, 41) - 1, 0
    while size < 40:
        more = 1 if size < length else 0
        if size < 4:
            more = code_decision(
                m,
                cells,
                tables,
                data,
                contexts,
                11 + size,
                first + 11 + size,
                second + 11 + size,
                192 + step,
                more,
            )
        else:
            more = code_simple(m, data, 16 * level + least(size, 15), more)
        if more == 0:
            break
        size += 1
    result = 1
    for i in range(size - 1, -1, -1):
        bit = (rest >> i) & 1
        if i == size - 1 and size < 7:
            bit = code_simple(m, data, 256 + 8 * level + size, bit)
        else:
            bit = code_bit(m, data, 32768, bit)
        result = (result << 1) | bit
    return result - 1
