"""Which predictor the fast mode writes for a column: its references, order and weights.

Weighted least squares over every fourth sample. Samples weigh less where the signal is busy. Only
the encoder computes this, in floats; a decoder reads integers.
"""

import math
from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import search_step
from san.codec.modes.fast_frames import (
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
    weight: np.ndarray  # float64 (n + 2 * PAD,): of each sample
    tile: np.ndarray  # float64 (SIZE * TILE,)
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
        np.zeros(n + 2 * PAD),
        np.zeros(SIZE * TILE),
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
def weigh(fit, f, n, floor):
    """Weights that fall where the signal is busy; returns the sum of their squares."""
    df, weight = fit.df[f : f + n + 2 * PAD], fit.weight
    energy, total, inverse = 0.0, 0.0, 1.0 / (2 * BUSY + 1)
    for t in range(PAD - BUSY, PAD + BUSY):
        energy += df[t] * df[t]
    for t in range(PAD, PAD + n):
        energy += df[t + BUSY] * df[t + BUSY]
        weight[t] = max(energy, 0.0) * inverse + floor
        energy -= df[t - BUSY] * df[t - BUSY]
    for t in range(PAD, PAD + n):
        weight[t] = math.sqrt(1.0 / weight[t])
    for t in range(PAD + ORDER + 1, PAD + n - 3, STRIDE):
        total += weight[t] * weight[t]
    return total


@search_step
def gather(fit, f, first, rows, out):
    """Every fourth weighted difference from a place on, into row `out` of the tile."""
    df, weight = fit.df[f : f + rows * STRIDE], fit.weight[first : first + rows * STRIDE]
    row = fit.tile[out * TILE : out * TILE + rows]
    for k in range(rows):
        row[k] = df[k * STRIDE] * weight[k * STRIDE]


@search_step
def add_products(tile, i, j, rows, moments, to):
    """Add to four moments the products of a row of the tile with four others."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    own, e, f = tile[i : i + rows], tile[j : j + rows], tile[j + TILE : j + TILE + rows]
    g, h = tile[j + 2 * TILE : j + 2 * TILE + rows], tile[j + 3 * TILE : j + 3 * TILE + rows]
    for t in range(rows):
        v = own[t]
        a += v * e[t]
        b += v * f[t]
        c += v * g[t]
        d += v * h[t]
    moments[to] += a
    moments[to + 1] += b
    moments[to + 2] += c
    moments[to + 3] += d


@search_step
def sum_moments(fit, f, picked, count, width, n, order):
    """Moments of a column's difference, its references' taps and its own earlier differences."""
    size = 1 + count * TAPS + order
    moments, tile = fit.moments, fit.tile
    for i in range(size * SIZE):
        moments[i] = 0.0
    first, end = PAD + ORDER + 1, PAD + n - 3
    while first < end:
        rows = min(TILE, (end - first + STRIDE - 1) // STRIDE)
        for i in range(size):
            if i == 0:
                gather(fit, f + first, first, rows, i)
            elif i > count * TAPS:
                gather(fit, f + first - (i - count * TAPS), first, rows, i)
            else:
                beside = picked[(i - 1) // TAPS] * width
                gather(fit, beside + first + 1 - (i - 1) % TAPS, first, rows, i)
        for i in range(size):
            for j in range(0, i + 1, 4):
                add_products(tile, i * TILE, j * TILE, rows, moments, i * SIZE + j)
        first += TILE * STRIDE


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
    for j in range(c + 1):
        g = dot(fit.white, c * n, fit.white, j * n, some) + 0.0
        gram[c * columns + j], gram[j * columns + c] = g, g
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
