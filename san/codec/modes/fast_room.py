"""Fast prediction: the memory of a frame, and what encoder and decoder compute alike in it."""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import integer_step, least, most, size_of, wrapped
from san.codec.modes.fast_laws import BUCKETS

ORDER, REFERENCES, TAPS = 16, 2, 4  # own differences; channels, and differences of each
PAD = 32  # differences on each side of a frame's, all zero
WIDTH_BITS, ORDER_BITS, SHIFT_BITS, RICE_BITS = 6, 5, 4, 4
SCALE_BITS, SHAPE_BITS, BUCKET_BITS, ROW_BITS = 4, 2, 7, 1
LARGEST_WEIGHT = 32767
START = 1024  # averages of magnitudes, in 1/1024
LARGEST_SIZE, LARGEST_BESIDE = (1 << 30) - 1, 1 << 40  # of a magnitude; of one beside, in 1/1024
LEAST_STATE = 1 << 16

# The hand h
AT, POSITION, FIRST, SECOND, END = range(5)  # word, bit, states of both coders, the last bit
RECENT, LONG, BESIDE = 5, 6, 7  # weights of the averages
CODED = 8  # whether a column has residuals
HAND = 9


class Room(NamedTuple):
    """What a frame is decoded in; columns one after the other."""

    x: np.ndarray  # int32 (columns * n,): samples
    d: np.ndarray  # int32 (columns * (n + 2 * PAD),): their differences
    e: np.ndarray  # int32 (columns * (n + 1),): residuals
    base: np.ndarray  # int32 (n,): what the references add to a prediction
    beside: np.ndarray  # int64 (n,): magnitudes in the first reference
    laws: np.ndarray  # int64 (BUCKETS,): the law of each bucket
    weights: np.ndarray  # int32 (ORDER + TAPS,)
    picked: np.ndarray  # int64 (REFERENCES,)
    hand: np.ndarray  # int64 (HAND,)


def new_room(n: int, columns: int) -> Room:
    """Memory for a frame."""
    return Room(
        np.zeros(columns * n, np.int32),
        np.zeros(columns * (n + 2 * PAD), np.int32),
        np.zeros(columns * (n + 1), np.int32),
        np.zeros(n, np.int32),
        np.zeros(n, np.int64),
        np.zeros(BUCKETS, np.int64),
        np.zeros(ORDER + TAPS, np.int32),
        np.zeros(REFERENCES, np.int64),
        np.zeros(HAND, np.int64),
    )


@integer_step
def bucket_of(m, table):
    """The bucket of a magnitude below 2**36: half octaves."""
    if m < 1 << 12:
        return 0 + table[m]
    if m < 1 << 20:
        return 16 + table[m >> 8]
    if m < 1 << 28:
        return 32 + table[m >> 16]
    return 48 + table[m >> 24]


@integer_step
def choose_weights(hand, many, references):
    """The weights of the averages: of large residuals, the recent ones say more."""
    hand[BESIDE] = 2 if references > 0 else 0
    hand[LONG] = 0 if many == 1 else 3 if references == 0 else 2
    hand[RECENT] = 8 - hand[LONG] - hand[BESIDE]


@integer_step
def look_beside(room, e, n, scale):
    """Magnitudes of the first reference around each moment, in 1/1024, times 2**(scale - 8)."""
    before, now, after = room.e[e : e + n], room.e[e + 1 : e + n], room.e[e + 2 : e + n + 1]
    beside, up, down = room.beside[1:], 8 + most(0, scale), most(0, -scale)
    for t in range(n - 1):
        m = size_of(before[t]) + 2 * size_of(now[t]) + size_of(after[t])
        beside[t] = least(m << up >> down, LARGEST_BESIDE)


@integer_step
def add_reference(room, d, n):
    """Add to `base` what the four taps at the end of the weights make of a reference."""
    after, now = room.d[d + 1 : d + 1 + n], room.d[d : d + n]
    before, longer = room.d[d - 1 : d - 1 + n], room.d[d - 2 : d - 2 + n]
    base, weights = room.base, room.weights
    u, v = weights[ORDER] + 0, weights[ORDER + 1] + 0
    w, z = weights[ORDER + 2] + 0, weights[ORDER + 3] + 0
    for t in range(1, n):
        s = u * after[t] + v * now[t] + w * before[t] + z * longer[t]
        base[t] = wrapped(base[t] + s)


@integer_step
def fill(room, c, n, value):
    """A column whose samples are all alike."""
    for t in range(n):
        room.x[c * n + t] = value
        room.d[c * (n + 2 * PAD) + PAD + t] = 0
        room.e[c * (n + 1) + t] = 0
