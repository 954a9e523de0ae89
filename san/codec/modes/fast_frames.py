"""Fast prediction: how a chunk is cut into frames, and how a frame becomes samples.

A frame is decoded alone. Each channel of it has one linear predictor over its own differences and
those of up to two channels before it. What is left is coded by static laws: recent residuals choose
the law. Bits hold the headers and raw low bits; 16-bit words hold two interleaved rANS coders.
"""

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step, least, most, size_of, wrapped
from san.codec.entropy.varints import Fields
from san.codec.errors import CorruptStream
from san.codec.modes.fast_laws import (
    BITS,
    BUCKETS,
    ESCAPE,
    RAW_FROM,
    SCALES,
    SIGNED,
    tables,
)
from san.codec.modes.fast_room import (
    AT,
    BESIDE,
    BUCKET_BITS,
    CODED,
    END,
    FIRST,
    LARGEST_SIZE,
    LARGEST_WEIGHT,
    LEAST_STATE,
    LONG,
    ORDER,
    ORDER_BITS,
    PAD,
    POSITION,
    RECENT,
    REFERENCES,
    RICE_BITS,
    ROW_BITS,
    SCALE_BITS,
    SECOND,
    SHAPE_BITS,
    SHIFT_BITS,
    START,
    TAPS,
    WIDTH_BITS,
    Room,
    add_reference,
    bucket_of,
    choose_weights,
    fill,
    look_beside,
    new_room,
)

SHORTEST, LONGEST = 6, 16  # binary logarithms of a frame's samples
USUAL = 13
OWN_BOUNDS = 128  # of the first byte: each column has a bound of its own
LONGEST_RICE, LONGEST_ESCAPE = 63, 33  # zeros before the first 1
MASK = (1 << BITS) - 1
# Words of 32 bits that may be read before it is noticed that bits are missing: the header of a
# column. Besides, a sample reads one word at most.
HEADER_ROOM = 320


ERRORS = (
    "",
    "the words of a frame end too early, or too late",
    "the bits of a frame end too early, or too late",
    "a column's samples are beyond 32 bits",
    "a predictor has impossible settings",
    "a weight of a predictor is beyond 16 bits",
    "a law has a scale that there is not",
)
FINE, WORDS, BITS_END, BEYOND, SETTINGS, WEIGHT, SCALE = range(len(ERRORS))


@integer_step
def bits_at(bits, position, width):
    """The `width` <= 32 bits from a position on, the lowest first."""
    place = position >> 5
    pair = (bits[place] + 0) | (bits[place + 1] + 0) << 32
    return (pair >> (position & 31)) & ((1 << width) - 1)


@integer_step
def zeros_at(bits, position, limit):
    """How many zeros come before the next 1; limit + 1 if they are more than the limit."""
    zeros = 0
    while zeros <= limit and bits_at(bits, position + zeros, 1) == 0:
        zeros += 1
    return zeros


@integer_step
def take(hand, bits, width):
    """The next `width` <= 32 bits."""
    hand[POSITION] += width
    return bits_at(bits, hand[POSITION] - width, width)


@integer_step
def take_rice(hand, bits, k):
    """A number of either sign, with k low bits."""
    zeros = zeros_at(bits, hand[POSITION], LONGEST_RICE)
    if zeros > LONGEST_RICE:
        hand[POSITION] = hand[END] + 1
        return 0
    hand[POSITION] += zeros + 1
    z = zeros << k | take(hand, bits, k)
    return (z >> 1) ^ -(z & 1)


@integer_step
def decode_residuals(bits, words, room, laws, e, n):
    """The residuals of a column: two halves side by side, one coder and one context each.

    The halves are written out, since they run faster than two calls. Returns whether bits sufficed.
    """
    hand, residuals, beside, law = room.hand, room.e[e : e + n], room.beside, room.laws
    decode, table, low = laws.decode, laws.bucket, laws.low
    at, position, end = hand[AT], hand[POSITION], hand[END]
    s0, s1 = hand[FIRST], hand[SECOND]
    recent, long, near = hand[RECENT], hand[LONG], hand[BESIDE]
    f0, g0, f1, g1 = START, START, START, START
    middle = (n + 1) >> 1
    for u in range(middle, n):
        t = u - middle + 1
        if t < middle:
            b = bucket_of((recent * f0 + long * g0 + near * beside[t]) >> 7, table)
            entry = decode[law[b] + (s0 & MASK)] + 0
            s0 = ((entry >> 6) & 8191) * (s0 >> BITS) + (entry >> 19)
            word = s0 << 16 | (words[at] + 0)
            at += 1 if s0 < LEAST_STATE else 0
            s0 = word if s0 < LEAST_STATE else s0
            z = entry & 63
            if z == ESCAPE:
                size = zeros_at(bits, position, LONGEST_ESCAPE)
                position += 2 * size + 1
                if size > LONGEST_ESCAPE or position > end:
                    return 0
                z = (1 << size | bits_at(bits, position - size, size)) - 1
            if b >= RAW_FROM:
                k = low[b] + 0
                z = z << k | bits_at(bits, position, k)
                position += k
            a = least((z + 1) >> 1, LARGEST_SIZE)
            f0 += (a << 8) - (f0 >> 2)
            g0 += (a << 5) - (g0 >> 5)
            residuals[t] = wrapped((z >> 1) ^ -(z & 1))
        b = bucket_of((recent * f1 + long * g1 + near * beside[u]) >> 7, table)
        entry = decode[law[b] + (s1 & MASK)] + 0
        s1 = ((entry >> 6) & 8191) * (s1 >> BITS) + (entry >> 19)
        word = s1 << 16 | (words[at] + 0)
        at += 1 if s1 < LEAST_STATE else 0
        s1 = word if s1 < LEAST_STATE else s1
        z = entry & 63
        if z == ESCAPE:
            size = zeros_at(bits, position, LONGEST_ESCAPE)
            position += 2 * size + 1
            if size > LONGEST_ESCAPE or position > end:
                return 0
            z = (1 << size | bits_at(bits, position - size, size)) - 1
        if b >= RAW_FROM:
            k = low[b] + 0
            z = z << k | bits_at(bits, position, k)
            position += k
        a = least((z + 1) >> 1, LARGEST_SIZE)
        f1 += (a << 8) - (f1 >> 2)
        g1 += (a << 5) - (g1 >> 5)
        residuals[u] = wrapped((z >> 1) ^ -(z & 1))
    hand[AT], hand[POSITION], hand[FIRST], hand[SECOND] = at, position, s0, s1
    return 1


@integer_step
def rebuild(room, c, n, first, order, shift, coarse, step, lowest, highest):
    """The samples of a column from its residuals, and their differences."""
    x, d, e = c * n, c * (n + 2 * PAD) + PAD, c * (n + 1)
    samples, residuals = room.x[x : x + n], room.e[e : e + n]
    differences, older = room.d[d : d + n], room.d[d - ORDER : d + n]
    base, w = room.base, room.weights
    w1, w2, w3, w4 = w[0] + 0, w[1] + 0, w[2] + 0, w[3] + 0
    w5, w6, w7, w8 = w[4] + 0, w[5] + 0, w[6] + 0, w[7] + 0
    d1, d2, d3, d4, d5, d6, d7, d8 = 0, 0, 0, 0, 0, 0, 0, 0
    half, last = 1 << (shift - 1), first
    samples[0] = first
    for t in range(1, n):
        s = base[t] + half + w8 * d8 + w7 * d7 + w6 * d6 + w5 * d5 + w4 * d4 + w3 * d3
        for i in range(8, order):
            s += w[i] * older[t + ORDER - 1 - i]
        v = last + (wrapped(s + w2 * d2 + w1 * d1) >> shift << coarse)
        if step > 1:
            v = least(most(v, lowest), highest)
            v = least(most(v + residuals[t] * step, lowest), highest)
        else:
            v = wrapped(v + residuals[t])
        d8, d7, d6, d5, d4, d3, d2 = d7, d6, d5, d4, d3, d2, d1
        d1 = wrapped((v - last) >> coarse)
        differences[t], samples[t], last = d1, v, v


@integer_step
def read_predictor(bits, room, c, columns, n):
    """References and weights of a column; returns order and shift, 0 and 0 if they are impossible.

    The number of references is left in the hand, at BESIDE.
    """
    hand, weights = room.hand, room.weights
    count, order = take(hand, bits, 2), take(hand, bits, ORDER_BITS)
    shift, k = take(hand, bits, SHIFT_BITS), take(hand, bits, RICE_BITS)
    hand[BESIDE] = count
    if count > REFERENCES or order > ORDER or shift == 0:
        return SETTINGS, 0, 0
    width = 0
    while (columns - 1) >> width > 0:
        width += 1
    for t in range(n):
        room.base[t] = 0
    for i in range(ORDER + TAPS):
        weights[i] = 0
    for i in range(count):
        room.picked[i] = take(hand, bits, width)
        if room.picked[i] >= c:
            return SETTINGS, 0, 0
        for u in range(TAPS):
            weight = take_rice(hand, bits, k)
            if size_of(weight) > LARGEST_WEIGHT:
                return WEIGHT, 0, 0
            weights[ORDER + u] = weight
        add_reference(room, room.picked[i] * (n + 2 * PAD) + PAD, n)
    for i in range(order):
        weight = take_rice(hand, bits, k)
        if size_of(weight) > LARGEST_WEIGHT:
            return WEIGHT, 0, 0
        weights[i] = weight
    return FINE, order, shift


@integer_step
def read_laws(bits, room, laws):
    """The law of each bucket, as a place in the table; those that are not told are usual."""
    hand, usual = room.hand, laws.usual
    shape = take(hand, bits, SHAPE_BITS)
    first, count = take(hand, bits, BUCKET_BITS), take(hand, bits, BUCKET_BITS) + 1
    if first + count > BUCKETS:
        return SCALE
    moved = 0
    for b in range(BUCKETS):
        scale = usual[b] + 0
        if first <= b < first + count:
            moved += take_rice(hand, bits, 0)
            scale += moved
        if (scale < 0 or scale >= SIGNED) if b < RAW_FROM else (scale < SIGNED or scale >= SCALES):
            return SCALE
        room.laws[b] = (shape * SCALES + scale) << BITS
    return FINE


@integer_step
def decode_column(bits, words, room, laws, c, columns, n, bound):
    """Decode a column; returns a number of ERRORS."""
    hand = room.hand
    width = take(hand, bits, WIDTH_BITS)
    z = take(hand, bits, least(width, 32))
    lowest = (z >> 1) ^ -(z & 1)
    extent_bits = take(hand, bits, WIDTH_BITS)
    extent = take(hand, bits, least(extent_bits, 32))
    if width > 32 or extent_bits > 32 or lowest + extent >= 1 << 31:
        return BEYOND
    if extent == 0:
        fill(room, c, n, lowest)
        return FINE if hand[POSITION] <= hand[END] else BITS_END
    hand[CODED] = 1
    first = lowest + take(hand, bits, extent_bits)
    coarse = take(hand, bits, SHIFT_BITS)
    if first > lowest + extent:
        return BEYOND
    error, order, shift = read_predictor(bits, room, c, columns, n)
    if error != FINE:
        return error
    references, many = hand[BESIDE], take(hand, bits, ROW_BITS)
    if references > 0:
        scale = take(hand, bits, SCALE_BITS) - 8
        look_beside(room, room.picked[0] * (n + 1), n, scale)
    choose_weights(hand, many, references)
    error = read_laws(bits, room, laws)
    if error != FINE:
        return error
    if hand[POSITION] > hand[END]:
        return BITS_END
    if decode_residuals(bits, words, room, laws, c * (n + 1), n) == 0 or hand[POSITION] > hand[END]:
        return BITS_END
    rebuild(room, c, n, first, order, shift, coarse, 2 * bound + 1, lowest, lowest + extent)
    return FINE


@integer_loop
def decode_frame(bits, words, room, laws, bounds, n, columns, word_count):
    """Decode a frame into `room.x`; returns a number of ERRORS."""
    hand = room.hand
    hand[AT], hand[POSITION] = 4, 0
    hand[FIRST] = (words[0] + 0) | (words[1] + 0) << 16
    hand[SECOND] = (words[2] + 0) | (words[3] + 0) << 16
    hand[CODED] = 0
    for c in range(columns):
        error = decode_column(bits, words, room, laws, c, columns, n, bounds[c])
        if error != FINE:
            return error
        if hand[CODED] == 1 and hand[AT] > word_count:
            return WORDS
    if hand[END] - hand[POSITION] >= 8 or bits_at(bits, hand[POSITION], 8) != 0:
        return BITS_END
    if hand[CODED] == 0:
        return FINE if word_count == 0 else WORDS
    if hand[AT] != word_count or hand[FIRST] != LEAST_STATE or hand[SECOND] != LEAST_STATE:
        return WORDS
    return FINE


def decode(data: bytes, n: int, columns: int) -> np.ndarray:
    """Decode the bytes of a chunk: int64 (n, columns).

    Raises
    ------
    CorruptStream
        If no encoder wrote them.
    """
    k = np.empty((n, columns), np.int64)
    fields = Fields(data)
    full, bounds = _read_head(fields, columns)
    if n == 0:
        fields.end()
        return k
    sizes = fields.varints((n - 1) // full).tolist()
    room = new_room(min(n, full), columns)
    for start in range(0, n, full):
        body = fields.take(sizes[start // full]) if start + full < n else fields.rest()
        part = k[start : start + full]
        if len(part) < min(n, full):
            room = new_room(len(part), columns)
        _decode_part(body, room, bounds, part)
    return k


def _read_head(fields: Fields, columns: int) -> tuple[int, np.ndarray]:
    """The samples of a frame, and the bound of each column."""
    first = fields.byte()
    exponent, own = first & ~OWN_BOUNDS, first >= OWN_BOUNDS
    if not SHORTEST <= exponent <= LONGEST:
        raise CorruptStream(f"frames of 2**{exponent} samples, which no encoder writes")
    found = fields.varints(columns if own else 1)
    if found.max(initial=0) >= 1 << 31:
        raise CorruptStream(f"a bound of {found.max()} is beyond 32 bits")
    return 1 << exponent, np.array(np.broadcast_to(found, (columns,)))


def _decode_part(body: bytes, room: Room, bounds: np.ndarray, part: np.ndarray) -> None:
    """Decode one frame into a part of the samples."""
    fields = Fields(body)
    bits = fields.take(fields.varint())
    words = fields.rest()
    if len(words) % 2:
        raise CorruptStream("the words of a frame have half a word more")
    (n, columns), count = part.shape, len(words) // 2
    bit_words = np.zeros(len(bits) // 4 + HEADER_ROOM + n, np.uint32)
    bit_words.view(np.uint8)[: len(bits)] = np.frombuffer(bits, np.uint8)
    padded = np.zeros(count + n + 8, np.uint16)
    padded[:count] = np.frombuffer(words, "<u2")
    room.hand[END] = 8 * len(bits)
    error = decode_frame(bit_words, padded, room, tables(), bounds, n, columns, count)
    if error != FINE:
        raise CorruptStream(ERRORS[error])
    part[:] = room.x[: n * columns].reshape(columns, n).T
