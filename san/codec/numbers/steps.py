"""How finely floats are stored: on their own grid, with a step that is fine enough, or as bits."""

import math

import numpy as np

from san.codec.numbers.gaps import find_gaps
from san.codec.numbers.grids import BITS, EXPONENTS, LARGEST, POWER, Scale, find_grid
from san.codec.target import Target

# A grid that is finer than the target needs is kept if its integers stay below this: larger ones
# cost more bits than the exact grid saves.
MODEST = 2**24
FINEST, COARSEST = 7, 3  # a step is 2**-7 of a bound, up to 2**-3 if integers get too large


def choose_scale(column: np.ndarray, target: Target) -> Scale:
    """The scale of one channel of floats (n,) for a target."""
    y = np.ascontiguousarray(column)
    bounded = target.max_error is not None
    limit = within_dtype(target.max_error or 0.0, y.dtype)
    exact = target.exact or (bounded and limit == 0)
    found = find_gaps(y, 0, exact)
    if found is None:
        return Scale(BITS)
    values = y[found[1]].astype(np.float64)
    grid = find_grid(values, y.dtype)
    if exact:
        return grid or Scale(BITS)
    step = _power_for(values, y.dtype, target, limit)
    if grid is not None and (step is None or _is_kept(grid, step, values)):
        return grid
    if step is None:
        return Scale(BITS)
    if bounded:
        k = step.integers(values)
        if k is None or largest_bound(values, k, step, y.dtype, limit) < 0:
            return Scale(BITS)
    return step


def _is_kept(grid: Scale, step: Scale, values: np.ndarray) -> bool:
    """Whether a grid is better than a step that is fine enough for the target."""
    if grid.step >= step.step:
        return True
    k = grid.integers(values)
    return grid.kind != POWER and k is not None and int(np.abs(k).max(initial=0)) < MODEST


def _power_for(values: np.ndarray, dtype: np.dtype, target: Target, limit: float) -> Scale | None:
    """A power of two fine enough for the target, if the integers stay below 2**31."""
    low, high = EXPONENTS[dtype.name]
    coarser, finest = FINEST - COARSEST, high
    if target.max_error is not None:
        finest = math.frexp(limit)[1] - FINEST
    if target.kind != "max_error":
        deviation = _deviation(values)
        if deviation == 0:
            return None
        if target.prdn is not None:
            deviation = max(deviation / 6400 * target.prdn, math.ldexp(1.0, low))
            finest = min(finest, math.frexp(deviation)[1] - 1)
        else:
            coarser = 16
            finest = math.frexp(deviation)[1] - 17 - math.ceil(min(target.value, 64))
    for exponent in range(finest, finest + coarser + 1):
        scale = Scale(POWER, exponent=min(max(exponent, low), high))
        if scale.integers(values) is not None:
            return scale
    return None


def _deviation(values: np.ndarray) -> float:
    """The standard deviation; squares too large or too small for a float do no harm."""
    largest = float(np.abs(values).max(initial=0))
    if largest == 0:
        return 0.0
    exponent = math.frexp(largest)[1]
    return math.ldexp(float(np.std(np.ldexp(values, -exponent))), exponent)


def largest_bound(
    values: np.ndarray, k: np.ndarray, scale: Scale, dtype: np.dtype, limit: float
) -> int:
    """The largest E for which k - E ... k + E all restore within the limit, checked on all."""

    def holds(distance: int) -> bool:
        with np.errstate(over="ignore"):
            above = scale.values(k + distance, dtype).astype(np.float64) - values
            below = values - scale.values(k - distance, dtype).astype(np.float64)
        return bool((above <= limit).all() and (below <= limit).all())

    high = math.floor(min(limit / scale.step, LARGEST - 1)) + 1
    low = max(high - 3, 0)
    if not holds(low):
        low, high = -1, low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def within_dtype(max_error: float, dtype: np.dtype) -> float:
    """The largest number of the dtype that is not above max_error."""
    if dtype.itemsize == 8:
        return max_error
    limit = np.float32(min(max_error, float(np.finfo(np.float32).max)))
    return float(limit if float(limit) <= max_error else np.nextafter(limit, np.float32(0)))
