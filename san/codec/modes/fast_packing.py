"""Fast prediction: how what was chosen for a column becomes bits, and its residuals words."""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import integer_step, least, most, size_of
from san.codec.modes.fast_fit import COUNT, RICE, SHIFT, USED
from san.codec.modes.fast_laws import BITS, BUCKETS, ESCAPE, RATE_BITS, SCALES, SYMBOLS
from san.codec.modes.fast_room import (
    BUCKET_BITS,
    LEAST_STATE,
    ORDER,
    ORDER_BITS,
    PAD,
    RICE_BITS,
    ROW_BITS,
    SCALE_BITS,
    SHAPE_BITS,
    SHIFT_BITS,
    TAPS,
    WIDTH_BITS,
    add_reference,
    choose_weights,
    look_beside,
)

# The hand of a frame that is written
POSITION, ITEMS, FIRST_BUCKET, LAST_BUCKET, SHAPE = range(5)
LOWEST, EXTENT, COARSE = 5, 6, 7
HAND = 8


class Draft(NamedTuple):
    """What a frame becomes before it is packed."""

    bits: np.ndarray  # uint32
    words: np.ndarray  # uint16, written from the end
    entries: np.ndarray  # int32 (columns * n,): what the laws say of each symbol
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
        z, entry = (v << 1) ^ (v >> 63), encode[law[b] + s] + 0
        if s == ESCAPE or entry & 0xFFFF == 0:
            entry = encode[law[b] + ESCAPE] + 0
            position = put_escape(bits, position, z >> k)
        if k > 0:
            position = put(bits, position, z, k)
        entries[item + i] = entry
    hand[POSITION], hand[ITEMS] = position, item + n - 1


@integer_step
def code_entry(state, law, rates, words, at):
    """A coder's state after an entry of the laws, and the place of the first word."""
    often = law & 0xFFFF
    full = 1 if state >= often << (32 - BITS) else 0
    words[at - 1] = state & 0xFFFF  # the next word takes its place if the state is not full
    state >>= full << 4
    q = ((state * rates[often]) >> RATE_BITS) & ((1 << (32 - BITS)) - 1)
    return (q << BITS) + state - q * often + (law >> 16), at - full


@integer_step
def code_entries(entries, count, n, rates, words):
    """Both coders, backwards; returns the place of the first word.

    Each column has n - 1 entries, in turn for the first and the second coder. A last one that has
    no partner is the second coder's.
    """
    first, second, at = LEAST_STATE, LEAST_STATE, len(words)
    for begin in range(count - (n - 1), -1, -(n - 1)):
        end = begin + n - 1
        if (n & 1) == 0:
            end -= 1
            second, at = code_entry(second, entries[end] + 0, rates, words, at)
        for i in range(end - 2, begin - 1, -2):
            second, at = code_entry(second, entries[i + 1] + 0, rates, words, at)
            first, at = code_entry(first, entries[i] + 0, rates, words, at)
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
