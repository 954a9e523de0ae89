"""Which rule the integers of a channel follow, if many integers between them never occur."""

import math
from collections.abc import Iterator

import numpy as np

from san.codec.numbers.rules import LARGEST_FACTOR, LIST, MOST_VALUES, ROUND, TRUNC, Rule

FEW = 16  # distinct values: a step that fewer of them have in common may be there by chance
FINEST_STEP = 1.5  # of a grid: a finer one leaves hardly an integer out
THIRDS = 80  # of an interval, after which it is a point
# Of what the spacing of the listed values promises. The coder learns a part of it by itself.
SHARE_THAT_COMES = 0.5


def distinct(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted distinct values of an integer column, int64, and how often each occurs."""
    if column.dtype.itemsize > 2:
        values, counts = np.unique(column, return_counts=True)
        return values.astype(np.int64), counts
    low = int(column.min(initial=0))
    counts = np.bincount(column.astype(np.intp).ravel() - low)  # of 32 bits on some machines
    found = np.flatnonzero(counts)
    return found.astype(np.int64) + low, counts[found]


def find_grids(values: list[np.ndarray], dtype: np.dtype) -> list[Rule | None]:
    """The grid of each channel, from its sorted distinct values; None where it has none.

    A channel also gets the grid of another one if all of its values are on it, so that few values
    with wide gaps are no hindrance.
    """
    own = [_grid_of(u, dtype) for u in values]
    known = list(dict.fromkeys(rule for rule in own if rule is not None))
    return [_shared(u, rule, known, dtype) for u, rule in zip(values, own, strict=True)]


def _shared(u: np.ndarray, own: Rule | None, known: list[Rule], dtype: np.dtype) -> Rule | None:
    """The coarsest known grid of all values, so that channels have a grid in common."""
    fitting = [rule for rule in known if len(u) > 1 and rule.integers(u, dtype) is not None]
    return max(fitting, key=lambda rule: rule.factor, default=own)


def _grid_of(u: np.ndarray, dtype: np.dtype) -> Rule | None:
    gaps = np.diff(u)
    if len(u) < FEW or gaps.min() < 2:
        return None
    for kind in (ROUND, TRUNC):
        for start, doubt in _first_steps(gaps):
            for rule in _through_zero(u, kind, start, doubt):
                if _fits(rule, u, dtype):
                    return rule
    rule = _elsewhere(u, gaps)
    return rule if _fits(rule, u, dtype) else None


def _fits(rule: Rule, u: np.ndarray, dtype: np.dtype) -> bool:
    in_range = FINEST_STEP <= rule.factor <= LARGEST_FACTOR
    return in_range and rule.integers(u, dtype) is not None


def _first_steps(gaps: np.ndarray) -> Iterator[tuple[float, float]]:
    """A step and its uncertainty, from the longest run of neighbouring values."""
    near = gaps <= gaps.min() + 1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]])))
    first, last = edges[::2], edges[1::2]
    place = int((last - first).argmax())
    run = gaps[first[place] : last[place]]
    yield float(run.mean()), 2 / len(run)
    yield float(gaps[near].mean()), 2 / len(run)


def _through_zero(u: np.ndarray, kind: int, step: float, doubt: float) -> Iterator[Rule]:
    """Grids through 0, of few digits first; each value in turn makes the factor more certain."""
    low, high = step - doubt, step + doubt
    size = np.sort(np.abs(u[u != 0])).astype(np.float64)
    down, up = (0.5, 0.5) if kind == ROUND else (0.0, 1.0)
    for value in size:
        middle = value + (up - down) / 2
        k = round(middle / ((low + high) / 2))
        if k < 1:
            return
        low, high = max(low, (value - down) / k), min(high, (value + up) / k)
        if low > high:
            return
    for digits in range(1, 18):
        plain = float(f"{(low + high) / 2:.{digits - 1}e}")
        if low <= plain <= high:
            yield Rule(kind, plain)


def _elsewhere(u: np.ndarray, gaps: np.ndarray) -> Rule:
    """The grid that need not pass through 0 and is the nearest to all values.

    The distance of the worst value is a convex function of the step, which thirds of an interval
    make smaller.
    """
    step, doubt = next(_first_steps(gaps))
    k = np.concatenate([[0], np.cumsum(np.maximum(1, np.rint(gaps / step)))])

    def ends(of: float) -> tuple[float, float]:
        rest = u - k * of
        return float(rest.min()), float(rest.max())

    low, high = step - doubt, step + doubt
    for _ in range(THIRDS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if np.ptp(ends(left)) < np.ptp(ends(right)):
            high = right
        else:
            low = left
    step = (low + high) / 2
    return Rule(ROUND, step, sum(ends(step)) / 2)


def list_of(u: np.ndarray, counts: np.ndarray, reach: int = 0) -> Rule | None:
    """The list of the values that occur, if it promises to save more bits than it takes.

    With a reach, values share a place in the list if it is at most so far from each of them.
    """
    if len(u) < 2 or len(u) > MOST_VALUES:
        return None
    spacing = np.diff(u).astype(np.float64)
    spacing = np.concatenate([spacing[:1], (spacing[1:] + spacing[:-1]) / 2, spacing[-1:]])
    saved = float((counts * np.log2(spacing)).sum())
    if SHARE_THAT_COMES * saved < 8 * _size_of_list(u):
        return None
    if reach == 0:
        return Rule(LIST, listed=tuple(u.tolist()))
    if reach > 2 * 2 ** (saved / counts.sum()):
        return None
    return Rule(LIST, listed=tuple(_covering(u, reach)))


def _size_of_list(u: np.ndarray) -> float:
    """About how many bytes a list takes."""
    _, counts = np.unique(np.diff(u), return_counts=True)
    share = counts / counts.sum()
    return 16 + len(counts) + float(-(counts * np.log2(share)).sum()) / 8


def _covering(u: np.ndarray, reach: int) -> Iterator[int]:
    """The fewest integers so that each value has one of them within the reach."""
    place = 0
    while place < len(u):
        end = int(np.searchsorted(u, u[place] + 2 * reach, "right"))
        yield int(u[place] + u[end - 1]) // 2
        place = end


def nearest(rule: Rule, values: np.ndarray) -> np.ndarray:
    """The places in a list of the values that are the nearest, int64 (n,)."""
    table = np.array(rule.listed, np.int64)
    right = np.clip(np.searchsorted(table, values), 1, max(1, len(table) - 1))
    right = np.minimum(right, len(table) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(values - table[left] <= table[right] - values, left, right)


def bound_on(rule: Rule, u: np.ndarray, dtype: np.dtype, max_error: float) -> int:
    """How far k of each value may be off, so that no value is off by more than max_error."""
    k = rule.integers(u, dtype)
    assert k is not None
    bound = math.floor(max_error / rule.factor) + 1
    while bound > 0:
        below, above = (rule.values(k + d, dtype).astype(np.int64) for d in (-bound, bound))
        if max(int((u - below).max()), int((above - u).max())) <= max_error:
            break
        bound -= 1
    return bound
