"""Which predictor the fast mode writes for a column: its references, order and weights.

Weighted least squares over every fourth sample. Samples weigh less where the signal is busy. Only
the encoder computes this, in floats; a decoder reads integers.
"""

import math
from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import search_step
from san.codec.modes.fast_room import (
    LARGEST_WEIGHT,
    ORDER,
    PAD,
    REFERENCES,
    TAPS,
)

FEATURES = ORDER + REFERENCES * TAPS
SIZE = FEATURES + 4  # the difference itself, and rows that fill up the last four
STRIDE, TILE = 4, 128  # of the samples that are looked at; of them at once
BUSY = 24  # samples on each side whose energy says how busy the signal is
RIDGE = 0.02
ENOUGH = 64  # samples of a frame that has a predictor
PIECE, SPACE, PIECE_START = 128, 512, 32  # samples of every so many that show which columns agree
GAIN = 0.01  # of its energy that a reference must take from a column
WEIGHT_COST = 7.0  # bits of a weight, about
FEWEST_SHIFT, MOST_SHIFT = 5, 14
LARGEST_REAL = 8.0  # of a weight
LARGEST_SUM = 2.0**30  # of a prediction, before its shift

# Settings s of a column
COUNT, USED, SHIFT, RICE = range(4)
SETTINGS = 4


class Fit(NamedTuple):
    """Memory of the search, and what it finds."""

    df: np.ndarray  # float64 (columns * (n + 2 * PAD),): differences
    white: np.ndarray  # float32 (columns * n,): residuals of some samples
    gram: np.ndarray  # float64 (columns * columns,): of these
    jumps: np.ndarray  # float64 (columns,): the largest difference of each
    weight: np.ndarray  # float64 (n,): of each sample that is looked at
    tile: np.ndarray  # float64 (TILE * SIZE,): a row for each of some samples
    moments: np.ndarray  # float64 (SIZE * SIZE,)
    equations: np.ndarray  # float64 (FEATURES * FEATURES,)
    right: np.ndarray  # float64 (FEATURES,)
    root: np.ndarray  # float64 (FEATURES * FEATURES,)
    half: np.ndarray  # float64 (FEATURES,)
    solution: np.ndarray  # float64 (FEATURES,)
    taps: np.ndarray  # int64 (REFERENCES * TAPS,)
    own: np.ndarray  # int64 (ORDER,)
    settings: np.ndarray  # int64 (SETTINGS,)


def new_fit(n: int, columns: int) -> Fit:
    """Memory for the columns of a frame."""
    return Fit(
        np.zeros(columns * (n + 2 * PAD)),
        np.zeros(columns * n, np.float32),
        np.zeros(columns * columns),
        np.zeros(columns),
        np.zeros(n),
        np.zeros(TILE * SIZE),
        np.zeros(SIZE * SIZE),
        np.zeros(FEATURES * FEATURES),
        np.zeros(FEATURES),
        np.zeros(FEATURES * FEATURES),
        np.zeros(FEATURES),
        np.zeros(FEATURES),
        np.zeros(REFERENCES * TAPS, np.int64),
        np.zeros(ORDER, np.int64),
        np.zeros(SETTINGS, np.int64),
    )


@search_step
def dot(a, i, b, j, n):
    """The sum of n products."""
    left, right = a[i : i + n], b[j : j + n]
    total = a[i] * 0
    for t in range(n):
        total += left[t] * right[t]
    return total


@search_step
def four_dots(white, i, j, n, count, gram, to):
    """The sums of products of a run of numbers with four runs, n apart; one after the other."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    own, e, f = white[i : i + count], white[j : j + count], white[j + n : j + n + count]
    g, h = white[j + 2 * n : j + 2 * n + count], white[j + 3 * n : j + 3 * n + count]
    for t in range(count):
        v = own[t]
        a += v * e[t]
        b += v * f[t]
        c += v * g[t]
        d += v * h[t]
    gram[to], gram[to + 1], gram[to + 2], gram[to + 3] = a, b, c, d


@search_step
def looked_at(n):
    """How many samples of a frame are looked at: those whose features are all within it."""
    return (n - 3 - ORDER - 1 + STRIDE - 1) // STRIDE


@search_step
def weigh(fit, f, n, floor):
    """Weights of every fourth sample, which fall where the signal is busy; the sum of squares.

    The energies are sums of squares of whole numbers, and exact in any order.
    """
    df, weight = fit.df[f : f + n + 2 * PAD], fit.weight
    energy, total, inverse, first = 0.0, 0.0, 1.0 / (2 * BUSY + 1), PAD + ORDER + 1
    for t in range(first - BUSY, first + BUSY + 1):
        energy += df[t] * df[t]
    for k in range(looked_at(n)):
        weight[k] = max(energy, 0.0) * inverse + floor
        old, new = first + k * STRIDE - BUSY, first + k * STRIDE + BUSY + 1
        energy += df[new] * df[new] + df[new + 1] * df[new + 1]
        energy += df[new + 2] * df[new + 2] + df[new + 3] * df[new + 3]
        energy -= df[old] * df[old] + df[old + 1] * df[old + 1]
        energy -= df[old + 2] * df[old + 2] + df[old + 3] * df[old + 3]
    for k in range(looked_at(n)):
        weight[k] = math.sqrt(1.0 / weight[k])
        total += weight[k] * weight[k]
    return total


@search_step
def gather(fit, f, picked, count, width, order, first, rows):
    """Weighted differences of so many samples, a row of the tile for each: all its features."""
    df, tile = fit.df, fit.tile
    for k in range(rows):
        w, at = fit.weight[first + k], PAD + ORDER + 1 + (first + k) * STRIDE
        row = k * SIZE
        tile[row] = df[f + at] * w
        for r in range(count):
            beside, place = picked[r] * width + at + 1, row + 1 + r * TAPS
            for u in range(TAPS):
                tile[place + u] = df[beside - u] * w
        own, place = f + at - 1, row + 1 + count * TAPS
        for i in range(order):
            tile[place + i] = df[own - i] * w


@search_step
def add_products(tile, i, j, rows, moments, to):
    """Add to 4 x 4 moments the products of four columns of the tile with four others."""
    a0, a1, a2, a3, b0, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    c0, c1, c2, c3, d0, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(rows):
        p, q = i + k * SIZE, j + k * SIZE
        a, b, c, d = tile[p], tile[p + 1], tile[p + 2], tile[p + 3]
        e, f, g, h = tile[q], tile[q + 1], tile[q + 2], tile[q + 3]
        a0, a1, a2, a3 = a0 + a * e, a1 + a * f, a2 + a * g, a3 + a * h
        b0, b1, b2, b3 = b0 + b * e, b1 + b * f, b2 + b * g, b3 + b * h
        c0, c1, c2, c3 = c0 + c * e, c1 + c * f, c2 + c * g, c3 + c * h
        d0, d1, d2, d3 = d0 + d * e, d1 + d * f, d2 + d * g, d3 + d * h
    add_four(moments, to, a0, a1, a2, a3)
    add_four(moments, to + SIZE, b0, b1, b2, b3)
    add_four(moments, to + 2 * SIZE, c0, c1, c2, c3)
    add_four(moments, to + 3 * SIZE, d0, d1, d2, d3)


@search_step
def add_four(moments, to, a, b, c, d):
    """Add to four moments."""
    moments[to] += a
    moments[to + 1] += b
    moments[to + 2] += c
    moments[to + 3] += d


@search_step
def sum_moments(fit, f, picked, count, width, n, order):
    """Moments of a column's difference, its references' taps and its own earlier differences."""
    size, moments, tile = 1 + count * TAPS + order, fit.moments, fit.tile
    for i in range((size + 3) * SIZE):
        moments[i] = 0.0
    first, end = 0, looked_at(n)
    while first < end:
        rows = min(TILE, end - first)
        gather(fit, f, picked, count, width, order, first, rows)
        for i in range(0, size, 4):
            for j in range(0, i + 1, 4):
                add_products(tile, i, j, rows, moments, i * SIZE + j)
        first += TILE


@search_step
def make_equations(fit, size, own, noise, ridge):
    """Normal equations of the moments; what is decoded has noise in its own differences."""
    moments, a, y = fit.moments, fit.equations, fit.right
    for i in range(size):
        y[i] = moments[(i + 1) * SIZE] - (noise if i == own else 0.0)
        for j in range(i + 1):
            v = moments[(i + 1) * SIZE + j + 1]
            if i == j:
                v = v * (1 + 1e-8) + ridge + (2 * noise if i >= own else 0.0)
            elif j >= own and i == j + 1:
                v -= noise
            a[i * FEATURES + j] = v
    return moments[0] + noise


@search_step
def solve(fit, n):
    """Cholesky: `half[k]` squared is the energy that feature k takes, in this order."""
    a, y, root, z = fit.equations, fit.right, fit.root, fit.half
    for i in range(n):
        for j in range(i + 1):
            s = a[i * FEATURES + j] - dot(root, i * FEATURES, root, j * FEATURES, j)
            if i == j:
                smallest = 1e-9 * a[i * FEATURES + i] + 1e-9
                root[i * FEATURES + i] = math.sqrt(max(s, smallest))
            else:
                root[i * FEATURES + j] = s / root[j * FEATURES + j]
        z[i] = (y[i] - dot(root, i * FEATURES, z, 0, i)) / root[i * FEATURES + i]


@search_step
def solve_back(fit, n):
    """The solution for the first n features."""
    root, z, w = fit.root, fit.half, fit.solution
    for i in range(n - 1, -1, -1):
        s = z[i]
        for k in range(i + 1, n):
            s -= root[k * FEATURES + i] * w[k]
        w[i] = s / root[i * FEATURES + i]


@search_step
def whiten(fit, f, order, n, out):
    """Residuals of a quarter of the samples; returns how many."""
    df, white, w = fit.df, fit.white, fit.solution
    for i in range(n // SPACE):
        to, at = out + i * PIECE, f + PAD + i * SPACE + PIECE_START
        piece, now = white[to : to + PIECE], df[at : at + PIECE]
        for t in range(PIECE):
            piece[t] = now[t]
        for j in range(order):
            k, past = w[j], df[at - 1 - j : at - 1 - j + PIECE]
            for t in range(PIECE):
                piece[t] -= k * past[t]
    return n // SPACE * PIECE


@search_step
def pick_references(fit, room, c, columns, n, width, order, floor, noise, square):
    """The columns before this one that take most from its residuals: up to two."""
    gram, picked = fit.gram, room.picked
    sum_moments(fit, c * width, picked, 0, width, n, order)
    make_equations(fit, order, 0, noise, RIDGE * square)
    solve(fit, order)
    solve_back(fit, order)
    some = whiten(fit, c * width, order, n, c * n)
    for j in range(0, c - 2, 4):
        four_dots(fit.white, c * n, j * n, n, some, gram, c * columns + j)
    for j in range((c + 1) >> 2 << 2, c + 1):
        gram[c * columns + j] = dot(fit.white, c * n, fit.white, j * n, some) + 0.0
    for j in range(c):
        gram[j * columns + c] = gram[c * columns + j]
    own = gram[c * columns + c]
    best, most_taken = -1, GAIN * own
    for j in range(c):
        g, energy = gram[c * columns + j], gram[j * columns + j]
        if energy > 0 and g * g / energy > most_taken:
            best, most_taken = j, g * g / energy
    if best < 0:
        return 0
    picked[0] = best
    second, energy = -1, gram[best * columns + best]
    most_taken = GAIN * (own - most_taken)
    for j in range(c):
        shared = gram[j * columns + best]
        g = gram[c * columns + j] - gram[c * columns + best] * shared / energy
        s = gram[j * columns + j] - shared * shared / energy
        if s > 1e-4 * gram[j * columns + j] and g * g > most_taken * s:
            second, most_taken = j, g * g / s
    if second < 0:
        return 1
    picked[1] = second
    return 2


@search_step
def fit_column(fit, room, c, columns, n, order, variance):
    """Choose references, order and weights of a column; what they are is in the fit."""
    settings, width = fit.settings, n + 2 * PAD
    settings[COUNT], settings[USED], settings[SHIFT], settings[RICE] = 0, 0, 6, 0
    if n <= ENOUGH:
        return
    f, count = c * width, 0
    square = weigh(fit, f, n, 1.0 + variance)
    noise = variance * square
    if c > 0 or columns > 1:
        count = pick_references(
            fit, room, c, columns, n, width, min(order, 8), 1.0 + variance, noise, square
        )
    sum_moments(fit, f, room.picked, count, width, n, order)
    energy = make_equations(fit, count * TAPS + order, count * TAPS, noise, RIDGE * square)
    solve(fit, count * TAPS + order)
    floor, left, half = (variance + 1 / 12.0) * square, energy, fit.half
    for i in range(count * TAPS):
        left -= half[i] * half[i]
    after, used = left, 0
    best = 0.5 * n * math.log2(max(left, floor))
    for i in range(order):
        k = count * TAPS + i
        left -= half[k] * half[k]
        bits = 0.5 * n * math.log2(max(left, floor)) + WEIGHT_COST * (i + 1)
        if bits < best:
            best, used, after = bits, i + 1, left
    settings[COUNT], settings[USED] = count, used
    solve_back(fit, count * TAPS + used)
    round_weights(fit, room, c, energy, max(after, floor))


@search_step
def round_weights(fit, room, c, energy, left):
    """The weights as integers, as fine as they are worth."""
    settings, w = fit.settings, fit.solution
    count, used = settings[COUNT] * TAPS, settings[USED]
    size = count + used
    ratio = max(energy, 1e-9) * max(size, 1) / (0.12 * left)
    shift = min(max(math.ceil(0.5 * math.log2(ratio)), FEWEST_SHIFT), MOST_SHIFT)
    big, total, largest = 0.0, 0.0, fit.jumps[c]
    for i in range(size):
        w[i] = min(max(w[i], -LARGEST_REAL), LARGEST_REAL)
        big, total = max(big, abs(w[i])), total + abs(w[i])
    for r in range(settings[COUNT]):
        largest = max(largest, fit.jumps[room.picked[r]])
    while shift > FEWEST_SHIFT and (
        big * (1 << shift) > LARGEST_WEIGHT or largest * total * (1 << shift) > LARGEST_SUM
    ):
        shift -= 1
    mean = 0.0
    for i in range(size):
        v = math.floor(w[i] * (1 << shift) + 0.5)
        mean += abs(v)
        if i < count:
            fit.taps[i] = v
        else:
            fit.own[i - count] = v
    rice = 0
    while rice < 15 and (1 << rice) < 1.4 * mean / max(size, 1):
        rice += 1
    settings[SHIFT], settings[RICE] = shift, rice
