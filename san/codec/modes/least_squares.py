"""Least squares in fixed point: the weights that give one number from others, of any condition.

Sums of products become weights. The factors hold 44 bits after the point, and products are taken
in parts of 22 bits, so that no number leaves 64 bits. What is added to the diagonal is 2**-31 to
2**-29 of it: signals that were smoothed need as little as that.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step, least, most
from san.codec.modes.experts import clamp, within

ONE = 44  # bits after the point of factors
HALF = 22  # of the two parts of a number, the lower one
LOW = (1 << HALF) - 1
EVEN = ONE - 2  # a diagonal is brought to 2**EVEN ... 2**ONE
RIDGE, LEAST = 1 << 13, 1 << 12  # what is added to a diagonal; the least pivot
FACTOR_LIMIT, PRODUCT_LIMIT = 1 << 46, 1 << 45  # of an entry of L; of an entry of L D
SOLUTION = 26  # bits after the point of a solution, while it is found
SOLUTION_LIMIT, LEFT_LIMIT = 1 << 40, 1 << 61  # of it; of what is left of the right-hand side
WEIGHT = 24  # bits after the point of a weight
WEIGHT_LIMIT = 1 << 31


class Solver(NamedTuple):
    """Memory of a solution: one-dimensional arrays."""

    factor_high: np.ndarray  # int32, rows of L, by numbers of `width`
    factor_low: np.ndarray  # int32
    product_high: np.ndarray  # int32, rows of L D
    product_low: np.ndarray  # int32
    pivots: np.ndarray  # int64: 2**88 over each pivot, the pivot brought to 2**EVEN or more
    halves: np.ndarray  # int64: half the bits by which it was brought there
    raised: np.ndarray  # int64: half the bits by which each diagonal was
    left: np.ndarray  # int64: of the right-hand side


def new_solver(width: int) -> Solver:
    """Memory for systems of fewer than `width` unknowns."""
    parts = [np.zeros((width + 1) * width, np.int32) for _ in range(4)]
    return Solver(*parts, *(np.zeros(width, np.int64) for _ in range(4)))


@integer_step
def triangle(i):
    """Where row i of a triangle begins; it has i + 1 numbers."""
    return (i * (i + 1)) >> 1


@integer_step
def brought_up(value, bits):
    """Half the bits by which a number above 0 is shifted up to reach 2**bits ... 2**(bits + 2)."""
    half = 0
    while value << (2 * half) < 1 << bits:
        half += 1
    while half <= 0 and value >> (-2 * half) >= 1 << (bits + 2):
        half -= 1
    return half


@integer_step
def shifted(value, bits):
    """A number times 2**bits, rounded down."""
    return value << bits if bits >= 0 else value >> -bits


@integer_step
def reciprocal(pivot):
    """2**88 over a pivot of 2**42 ... 2**45, rounded down."""
    high = (1 << 62) // pivot
    left = ((1 << 62) - high * pivot) << 13
    middle = left // pivot
    low = ((left - middle * pivot) << 13) // pivot
    return (high << 26) + (middle << 13) + low


@integer_step
def times(a, b):
    """a b / 2**44 of numbers below 2**47 in magnitude, without the product of the low parts."""
    a_high, a_low, b_high, b_low = a >> HALF, a & LOW, b >> HALF, b & LOW
    return a_high * b_high + ((a_high * b_low + a_low * b_high) >> HALF)


@integer_step
def inner(solver, row, other, size):
    """The sum of the first products of a row of L with a row of L D."""
    if row < 0 or other < 0:  # they never are: the compiler now knows, and vectorises
        return 0
    high, cross = 0, 0
    for k in range(size):
        high += solver.factor_high[row + k] * solver.product_high[other + k]
        cross += solver.factor_high[row + k] * solver.product_low[other + k]
        cross += solver.factor_low[row + k] * solver.product_high[other + k]
    return high + (cross >> HALF)


@integer_step
def factorise(solver, moments, base, size, width):
    """Rows of L and L D of a triangle of moments; the last row is the right-hand side."""
    raised = solver.raised
    for i in range(size + 1):
        diagonal = moments[base + triangle(i) + i]
        raised[i] = brought_up(diagonal, EVEN) if diagonal > 0 else 0
    for i in range(1, size + 2):
        row, up = i * width, raised[i] if i <= size else raised[0]
        for j in range(1, least(i, size) + 1):
            moment = moments[base + triangle(i) + j] if i <= size else moments[base + triangle(j)]
            value = clamp(shifted(moment, up + raised[j]), 1 << 45)
            value -= inner(solver, row, j * width, j - 1)
            if i == j:
                pivot = within(value + RIDGE, LEAST, 1 << 45)
                half = most(0, brought_up(pivot, EVEN))
                solver.halves[j], solver.pivots[j] = half, reciprocal(pivot << (2 * half))
            else:
                product = clamp(clamp(value, 1 << 45) << solver.halves[j], PRODUCT_LIMIT)
                factor = clamp(times(product, solver.pivots[j]), FACTOR_LIMIT)
                solver.product_high[row + j - 1] = product >> HALF
                solver.product_low[row + j - 1] = product & LOW
                solver.factor_high[row + j - 1] = factor >> HALF
                solver.factor_low[row + j - 1] = factor & LOW


@integer_loop
def solve(solver, moments, base, size, width, weights, place):
    """Solve for `size` weights, which give number 0 from numbers 1 ... size.

    The moments are a triangle from `base` on; the weights, in 1/2**24, go to `place` + 1 ...
    """
    factorise(solver, moments, base, size, width)
    left, last = solver.left, (size + 1) * width
    for j in range(1, size + 1):
        left[j] = (solver.factor_high[last + j - 1] << HALF) + solver.factor_low[last + j - 1]
    for j in range(size, 0, -1):
        value = clamp(left[j] >> (ONE - SOLUTION - solver.halves[j]), SOLUTION_LIMIT)
        high, low, row = value >> HALF, value & LOW, j * width
        for k in range(1, j):
            factor_high, factor_low = (
                solver.factor_high[row + k - 1],
                solver.factor_low[row + k - 1],
            )
            cross = factor_high * low + factor_low * high
            taken = ((factor_high * high) << (2 * HALF - SOLUTION)) + (cross >> (SOLUTION - HALF))
            left[k] = clamp(left[k] - taken, LEFT_LIMIT)
        up = solver.raised[j] - solver.raised[0] + WEIGHT - SOLUTION
        if up >= 0:
            weights[place + j] = clamp(value, WEIGHT_LIMIT >> up) << up
        else:
            weights[place + j] = clamp(value >> -up, WEIGHT_LIMIT)
