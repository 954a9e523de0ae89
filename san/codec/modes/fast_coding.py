"""Fast prediction: how samples become the bytes of a frame."""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import (
    integer_loop,
    integer_step,
    least,
    most,
    search_step,
    size_of,
    wrapped,
)
from san.codec.entropy.varints import write_varint
from san.codec.modes.fast_fit import COUNT, RICE, SHIFT, USED, Fit, fit_column, new_fit
from san.codec.modes.fast_frames import (
    BESIDE,
    BUCKET_BITS,
    LARGEST_SIZE,
    LEAST_STATE,
    LONG,
    ORDER,
    ORDER_BITS,
    OWN_BOUNDS,
    PAD,
    RECENT,
    RICE_BITS,
    ROW_BITS,
    SCALE_BITS,
    SHAPE_BITS,
    SHIFT_BITS,
    START,
    TAPS,
    USUAL,
    WIDTH_BITS,
    Room,
    add_reference,
    bucket_of,
    choose_weights,
    fill,
    look_beside,
    new_room,
)
from san.codec.modes.fast_laws import (
    BITS,
    BUCKETS,
    ESCAPE,
    RAW_FROM,
    SCALES,
    SHAPES,
    SIGNED,
    SYMBOLS,
    tables,
)

DIFFERENCE_BITS = 17  # of the differences that predictors see
USUAL_ORDER = 8  # own differences of a predictor; 16 save little and take half as long again
MOST_ORDER = ORDER
TRIED = 6  # scales on each side of the usual one that are tried for a bucket
CHANGE, TOLD = 1.5, 1.0  # bits of each step of a change of scale, and of a bucket
SECOND_LANE = 1 << 16  # added to an entry of the second coder

# The hand of a frame that is written
POSITION, ITEMS, FIRST_BUCKET, LAST_BUCKET, SHAPE = range(5)
LOWEST, EXTENT, COARSE = 5, 6, 7
HAND = 8


class Draft(NamedTuple):
    """What a frame becomes before it is packed."""

    bits: np.ndarray  # uint32
    words: np.ndarray  # uint16, written from the end
    entries: np.ndarray  # int32 (columns * n,): law * SYMBOLS + symbol, and the coder
    bucket: np.ndarray  # uint8 (n,)
    symbol: np.ndarray  # uint8 (n,)
    counts: np.ndarray  # int64 (BUCKETS * SYMBOLS,)
    moved: np.ndarray  # int64 (BUCKETS,): how far from its usual scale each bucket is
    trial: np.ndarray  # int64 (BUCKETS,): the same, of the shape at hand
    used: np.ndarray  # int64 (BUCKETS,): how often each occurs
    hand: np.ndarray  # int64 (HAND,)


def new_draft(n: int, columns: int) -> Draft:
    """Memory for a frame: 33 bits and a word for each sample, and headers, are never too few."""
    return Draft(
        np.zeros(4 * n * columns + 320 * columns + 8, np.uint32),
        np.zeros(n * columns + 8, np.uint16),
        np.zeros(n * columns, np.int32),
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint8),
        np.zeros(BUCKETS * SYMBOLS, np.int64),
        np.zeros(BUCKETS, np.int64),
        np.zeros(BUCKETS, np.int64),
        np.zeros(BUCKETS, np.int64),
        np.zeros(HAND, np.int64),
    )


@integer_step
def put(bits, position, value, width):
    """Write the low `width` <= 32 bits of a value; returns the position after them."""
    place, at = position >> 5, position & 31
    v = (value & ((1 << width) - 1)) << at
    bits[place] = (bits[place] + 0) | (v & 0xFFFFFFFF)
    bits[place + 1] = (v >> 32) & 0xFFFFFFFF
    return position + width


@integer_step
def put_unary(bits, position, zeros):
    """Write zeros, and a 1."""
    while zeros > 24:
        position = put(bits, position, 0, 24)
        zeros -= 24
    return put(bits, position, 1 << zeros, zeros + 1)


@integer_step
def put_rice(bits, position, v, k):
    """Write a number of either sign, with k low bits."""
    z = 2 * v if v >= 0 else -2 * v - 1
    return put(bits, put_unary(bits, position, z >> k), z, k)


@integer_step
def put_escape(bits, position, v):
    """Write a number from 0 on: its length, then its bits."""
    size = 0
    while (v + 1) >> (size + 1) > 0:
        size += 1
    position = put_unary(bits, position, size)
    if size > 32:
        position = put(bits, position, v + 1, 32)
        return put(bits, position, (v + 1) >> 32, size - 32)
    return put(bits, position, v + 1, size)


@integer_step
def width_of(v):
    """The binary digits of v >= 0."""
    width = 0
    while v >> width > 0:
        width += 1
    return width


@integer_step
def measure(room, draft, c, n):
    """Range and differences of a column; what they are is in the hand. Returns the largest one."""
    x, d = c * n, c * (n + 2 * PAD) + PAD
    before, now, hand = room.x[x : x + n - 1], room.x[x + 1 : x + n], draft.hand
    differences = room.d[d + 1 : d + n]
    lowest, highest, jump = room.x[x] + 0, room.x[x] + 0, 0
    for t in range(n - 1):
        v = now[t] + 0
        lowest, highest = least(lowest, v), most(highest, v)
        jump = most(jump, size_of(v - before[t]))
    coarse = most(0, width_of(jump) - DIFFERENCE_BITS)
    for t in range(n - 1):
        differences[t] = wrapped((now[t] - before[t]) >> coarse)
    hand[LOWEST], hand[EXTENT], hand[COARSE] = lowest, highest - lowest, coarse
    return (jump >> coarse) + 1


@integer_step
def put_range(room, draft, c, n):
    """Write the range of a column. Where it varies, also its first sample and its shift."""
    bits, hand = draft.bits, draft.hand
    lowest, extent = hand[LOWEST], hand[EXTENT]
    z = 2 * lowest if lowest >= 0 else -2 * lowest - 1
    width = width_of(z)
    position = put(bits, hand[POSITION], width, WIDTH_BITS)
    position = put(bits, position, z, width)
    width = width_of(extent)
    position = put(bits, position, width, WIDTH_BITS)
    position = put(bits, position, extent, width)
    if extent > 0:
        position = put(bits, position, room.x[c * n] - lowest, width)
        position = put(bits, position, hand[COARSE], SHIFT_BITS)
    hand[POSITION] = position


@integer_step
def put_predictor(room, fit, draft, columns, n):
    """Write references and weights; `base` becomes what the references say."""
    bits, settings, width = draft.bits, fit.settings, width_of(columns - 1)
    k = settings[RICE]
    position = put(bits, draft.hand[POSITION], settings[COUNT], 2)
    position = put(bits, position, settings[USED], ORDER_BITS)
    position = put(bits, position, settings[SHIFT], SHIFT_BITS)
    position = put(bits, position, k, RICE_BITS)
    for t in range(n):
        room.base[t] = 0
    for i in range(settings[COUNT]):
        position = put(bits, position, room.picked[i], width)
        for u in range(TAPS):
            room.weights[ORDER + u] = fit.taps[i * TAPS + u]
            position = put_rice(bits, position, fit.taps[i * TAPS + u], k)
        add_reference(room, room.picked[i] * (n + 2 * PAD) + PAD, n)
    for i in range(ORDER):
        room.weights[i] = fit.own[i] if i < settings[USED] else 0
    for i in range(settings[USED]):
        position = put_rice(bits, position, fit.own[i], k)
    draft.hand[POSITION] = position


@integer_step
def predict_all(room, c, n, order, shift, coarse):
    """Residuals where all samples are known: of all of them at once."""
    x, d, e = c * n, c * (n + 2 * PAD) + PAD, c * (n + 1)
    base, w, half = room.base, room.weights, 1 << (shift - 1)
    for i in range(0, order, 4):
        w1, w2, w3, w4 = w[i] + 0, w[i + 1] + 0, w[i + 2] + 0, w[i + 3] + 0
        p = d - 1 - i
        d1, d2 = room.d[p : p + n], room.d[p - 1 : p - 1 + n]
        d3, d4 = room.d[p - 2 : p - 2 + n], room.d[p - 3 : p - 3 + n]
        for t in range(1, n):
            base[t] = wrapped(base[t] + w1 * d1[t] + w2 * d2[t] + w3 * d3[t] + w4 * d4[t])
    differences, residuals = room.d[d : d + n], room.e[e : e + n]
    before, now = room.x[x : x + n], room.x[x + 1 : x + n]
    if coarse == 0:
        for t in range(1, n):
            residuals[t] = wrapped(differences[t] - (wrapped(base[t] + half) >> shift))
    else:
        for t in range(n - 1):
            v = before[t] + (wrapped(base[t + 1] + half) >> shift << coarse)
            residuals[t + 1] = wrapped(now[t] - v)


@search_step
def quantize(room, c, n, order, shift, coarse, bound, lowest, highest):
    """Residuals in steps, each from what is decoded before it; samples become what is decoded."""
    x, d, e = c * n, c * (n + 2 * PAD) + PAD, c * (n + 1)
    samples, residuals = room.x[x : x + n], room.e[e : e + n]
    differences, older = room.d[d : d + n], room.d[d - ORDER : d + n]
    base, w, step = room.base, room.weights, 2 * bound + 1
    w1, w2, w3, w4 = w[0] + 0, w[1] + 0, w[2] + 0, w[3] + 0
    w5, w6, w7, w8 = w[4] + 0, w[5] + 0, w[6] + 0, w[7] + 0
    d1, d2, d3, d4, d5, d6, d7, d8 = 0, 0, 0, 0, 0, 0, 0, 0
    half, last = 1 << (shift - 1), samples[0] + 0
    inverse = 1.0 / step
    for t in range(1, n):
        s = base[t] + half + w8 * d8 + w7 * d7 + w6 * d6 + w5 * d5 + w4 * d4 + w3 * d3
        for i in range(8, order):
            s += w[i] * older[t + ORDER - 1 - i]
        v = last + (wrapped(s + w2 * d2 + w1 * d1) >> shift << coarse)
        v = least(most(v, lowest), highest)
        # the quarter keeps the quotient away from whole numbers, so it is rounded down right
        q = int((samples[t] - v + bound + 0.25) * inverse + 4294967296.0) - 4294967296
        residuals[t] = q
        v = least(most(v + q * step, lowest), highest)
        d8, d7, d6, d5, d4, d3, d2 = d7, d6, d5, d4, d3, d2, d1
        d1 = wrapped((v - last) >> coarse)
        differences[t], samples[t], last = d1, v, v


@integer_step
def look_back(room, draft, laws, c, n):
    """Bucket and symbol of each residual, and how often the two meet."""
    e, beside, table, low = c * (n + 1), room.beside, laws.bucket, laws.low
    residuals = room.e[e : e + n]
    bucket, symbol, counts = draft.bucket, draft.symbol, draft.counts
    for i in range(BUCKETS * SYMBOLS):
        counts[i] = 0
    recent, long, near = room.hand[RECENT], room.hand[LONG], room.hand[BESIDE]
    middle = (n + 1) >> 1
    f, g = START, START
    for t in range(1, n):
        if t == middle:
            f, g = START, START
        b = bucket_of((recent * f + long * g + near * beside[t]) >> 7, table)
        v = residuals[t] + 0
        z = (v << 1) ^ (v >> 63)
        s = least(z >> low[b], ESCAPE)
        bucket[t], symbol[t] = b, s
        counts[b * SYMBOLS + s] += 1
        a = least(size_of(v), LARGEST_SIZE)
        f += (a << 8) - (f >> 2)
        g += (a << 5) - (g >> 5)


@search_step
def choose_laws(draft, laws):
    """The shape, and the scale of each bucket, that cost least."""
    counts, usual, hand = draft.counts, laws.usual, draft.hand
    trial, used = draft.trial, draft.used
    first, last = BUCKETS, -1
    for b in range(BUCKETS):
        used[b] = 0
        for s in range(SYMBOLS):
            used[b] += counts[b * SYMBOLS + s]
        if used[b] > 0:
            first, last = min(first, b), b
    best = 1e30
    for shape in range(SHAPES):
        total, before = 0.0, 0
        for b in range(first, last + 1):
            lowest, highest = (0, SIGNED) if b < RAW_FROM else (SIGNED, SCALES)
            fewest, at = 1e30, before
            if used[b] == 0:
                at = min(max(usual[b] + before, lowest), highest - 1) - usual[b]
                fewest = CHANGE
            else:
                end = SYMBOLS
                while counts[b * SYMBOLS + end - 1] == 0:
                    end -= 1
                for i in range(max(lowest, usual[b] - TRIED), min(highest, usual[b] + TRIED + 1)):
                    row = (shape * SCALES + i) * SYMBOLS
                    bits = CHANGE * abs(i - usual[b] - before) + TOLD
                    for s in range(end):
                        bits += counts[b * SYMBOLS + s] * laws.cost[row + s]
                    if bits < fewest:
                        fewest, at = bits, i - usual[b]
            trial[b], before = at, at
            total += fewest
        if total < best:
            best, hand[SHAPE] = total, shape
            for b in range(first, last + 1):
                draft.moved[b] = trial[b]
    hand[FIRST_BUCKET], hand[LAST_BUCKET] = first, last


@integer_step
def put_laws(room, draft, laws):
    """Write shape and scales; the room gets the law of each bucket."""
    bits, hand = draft.bits, draft.hand
    shape, first, last = hand[SHAPE], hand[FIRST_BUCKET], hand[LAST_BUCKET]
    position = put(bits, hand[POSITION], shape, SHAPE_BITS)
    position = put(bits, position, first, BUCKET_BITS)
    position = put(bits, position, last - first, BUCKET_BITS)
    before = 0
    for b in range(first, last + 1):
        moved = draft.moved[b] + 0
        position = put_rice(bits, position, moved - before, 0)
        room.laws[b] = (shape * SCALES + laws.usual[b] + moved) * SYMBOLS
        before = moved
    hand[POSITION] = position


@integer_step
def put_residuals(room, draft, laws, c, n):
    """Note residuals for the coders in decoding order; write what their laws do not tell."""
    bits, entries, hand, encode, low = draft.bits, draft.entries, draft.hand, laws.encode, laws.low
    buckets, symbols, law = draft.bucket, draft.symbol, room.laws
    residuals = room.e[c * (n + 1) : c * (n + 1) + n]
    middle, position, item = (n + 1) >> 1, hand[POSITION], hand[ITEMS]
    for i in range(n - 1):
        second = (i & 1) == 1 or i >= 2 * (middle - 1)
        t = (middle if second else 1) + (i >> 1)
        b, s = buckets[t] + 0, symbols[t] + 0
        v, k = residuals[t] + 0, low[b] + 0
        z, entry = (v << 1) ^ (v >> 63), law[b] + s
        if s == ESCAPE or encode[entry] & 0xFFFF == 0:
            entry = law[b] + ESCAPE
            position = put_escape(bits, position, z >> k)
        if k > 0:
            position = put(bits, position, z, k)
        entries[item + i] = entry + (SECOND_LANE if second else 0)
    hand[POSITION], hand[ITEMS] = position, item + n - 1


@integer_step
def code_entries(entries, count, encode, words):
    """Both coders, backwards; returns the place of the first word."""
    first, second, at = LEAST_STATE, LEAST_STATE, len(words)
    for i in range(count - 1, -1, -1):
        entry = entries[i] + 0
        law = encode[entry & (SECOND_LANE - 1)] + 0
        f, s = law & 0xFFFF, second if entry >= SECOND_LANE else first
        if s >= f << (32 - BITS):
            at -= 1
            words[at] = s & 0xFFFF
            s >>= 16
        q = s // f
        s = (q << BITS) + s - q * f + (law >> 16)
        if entry >= SECOND_LANE:
            second = s
        else:
            first = s
    at -= 4
    words[at], words[at + 1] = first & 0xFFFF, first >> 16
    words[at + 2], words[at + 3] = second & 0xFFFF, second >> 16
    return at


@integer_step
def put_context(room, draft, c, n, count):
    """Write which weights the averages have; they are left in the room's hand."""
    position, own, other = draft.hand[POSITION], 1, 1
    residuals = room.e[c * (n + 1) : c * (n + 1) + n]
    for t in range(1, n):
        own += size_of(residuals[t])
    many = 1 if own >= n else 0
    position = put(draft.bits, position, many, ROW_BITS)
    if count > 0:
        g = room.picked[0] * (n + 1)
        residuals = room.e[g : g + n]
        for t in range(1, n):
            other += size_of(residuals[t])
        scale = least(most(width_of(own * 181 // 128) - width_of(other), -8), 7)
        position = put(draft.bits, position, scale + 8, SCALE_BITS)
        look_beside(room, g, n, scale)
    draft.hand[POSITION] = position
    choose_weights(room.hand, many, count)


@integer_loop
def code_frame(room, fit, draft, laws, bounds, n, columns, order):
    """Code the samples of `room.x`; they become what is decoded. Returns the first word's place.

    The words end where their array ends. The hand has the position after the last bit.
    """
    hand, settings = draft.hand, fit.settings
    hand[POSITION], hand[ITEMS], draft.bits[0] = 0, 0, 0
    for c in range(columns):
        fit.jumps[c] = measure(room, draft, c, n)
        put_range(room, draft, c, n)
        if hand[EXTENT] == 0:
            fill(room, c, n, room.x[c * n] + 0)
            take_differences(room, fit, c, n)
            continue
        take_differences(room, fit, c, n)
        step = 2.0 * bounds[c] + 1
        fit_column(fit, room, c, columns, n, order, (step * step - 1) / 12.0)
        put_predictor(room, fit, draft, columns, n)
        used, shift, coarse = settings[USED], settings[SHIFT], hand[COARSE]
        if bounds[c] > 0:
            top = hand[LOWEST] + hand[EXTENT]
            quantize(room, c, n, used, shift, coarse, bounds[c], hand[LOWEST], top)
            take_differences(room, fit, c, n)
        else:
            predict_all(room, c, n, used, shift, coarse)
        put_context(room, draft, c, n, settings[COUNT])
        look_back(room, draft, laws, c, n)
        choose_laws(draft, laws)
        put_laws(room, draft, laws)
        put_residuals(room, draft, laws, c, n)
    if hand[ITEMS] == 0:
        return len(draft.words)
    return code_entries(draft.entries, hand[ITEMS], laws.encode, draft.words)


@integer_step
def take_differences(room, fit, c, n):
    """The differences of a column as floats, for the search."""
    d = c * (n + 2 * PAD) + PAD
    reals, differences = fit.df[d : d + n], room.d[d : d + n]
    for t in range(1, n):
        reals[t] = differences[t]


def encode(
    k: np.ndarray, bounds: tuple[int, ...], order: int = USUAL_ORDER
) -> tuple[bytes, np.ndarray]:
    """The bytes of int64 (n, columns), and what is decoded of them.

    No sample is off by more than its column's bound.
    """
    n, columns = k.shape
    lowest, highest = (int(k.min()), int(k.max())) if k.size else (0, 0)
    widest = max(bounds, default=0)
    if min(lowest, -highest - 1, -widest - 1) < -(1 << 31) or min(bounds, default=0) < 0:
        raise ValueError(f"samples of {lowest} ... {highest} within {widest} are beyond 32 bits")
    one = len(set(bounds)) <= 1
    head = [bytes([USUAL if one else USUAL + OWN_BOUNDS])]
    head += map(write_varint, bounds[:1] if one else bounds)
    full, frames, decoded = 1 << USUAL, [], k
    if any(bounds):
        decoded = np.empty((n, columns), np.int64)
    for start in range(0, n, full):
        part = k[start : start + full]
        if start % full == 0 and (start == 0 or len(part) < full):
            size = len(part)
            memory = new_room(size, columns), new_fit(size, columns), new_draft(size, columns)
        frames.append(_encode_part(part, bounds, order, *memory))
        if any(bounds):
            decoded[start : start + full] = memory[0].x.reshape(columns, size).T
    head += [write_varint(len(frame)) for frame in frames[:-1]]
    return b"".join(head + frames), decoded


def _encode_part(
    part: np.ndarray, bounds: tuple[int, ...], order: int, room: Room, fit: Fit, draft: Draft
) -> bytes:
    """The bytes of a frame; the room has what is decoded."""
    n, columns = part.shape
    room.x.reshape(columns, n)[:] = part.T
    widths = np.array(bounds, np.int64)
    at = code_frame(room, fit, draft, tables(), widths, n, columns, order)
    count = int(draft.hand[POSITION]) + 7 >> 3
    bits = draft.bits.view(np.uint8)[:count].tobytes()
    words = draft.words[at:].astype("<u2").tobytes()
    return write_varint(count) + bits + words
