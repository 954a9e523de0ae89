"""When integers of an integer dtype are coded as the consecutive numbers of a rule."""

import math

import numpy as np

from san.codec.numbers.gaps import no_gaps
from san.codec.numbers.integers import LARGEST, Integers, Representation
from san.codec.numbers.rule_search import (
    bound_on,
    distinct,
    find_grids,
    list_of,
    nearest,
)
from san.codec.numbers.rules import LIST, MOST_VALUES, Rule
from san.codec.target import Target

FEWEST_SAMPLES = 64  # for fewer a rule saves nothing
# Steps of a grid that a bound has at most: wider bounds hide the grid, and a finer step of the
# integers then suits the bound better.
MOST_STEPS = 2.0


def by_rules(x: np.ndarray, target: Target) -> Integers | None:
    """The consecutive numbers of integers that have a rule, if that may save bytes.

    Parameters
    ----------
    x : array (n,) or (n, channels) of an integer dtype
    target : Target
        Lossless, or a max_error.

    Returns
    -------
    Integers or None
        None if no channel has a rule, or the target is another one.

    Examples
    --------
    >>> x = np.rint(np.arange(-40, 60) * 4.88).astype(np.int16)
    >>> found = by_rules(x, Target(max_error=5))
    >>> found.representation.rules[0].factor, found.bounds.tolist(), found.k[:2].ravel().tolist()
    (4.88, [1], [-40, -39])
    """
    max_error = target.max_error or 0.0
    if x.dtype.kind == "f" or len(x) < FEWEST_SAMPLES:
        return None
    if not target.exact and target.max_error is None:
        return None
    columns = x.reshape(len(x), -1)
    found = [distinct(columns[:, c]) for c in range(columns.shape[1])]
    reach = min(math.floor(max_error), LARGEST)
    rules: list[Rule | None] = find_grids([u for u, _ in found], x.dtype)
    if not any(rule is not None and max_error < MOST_STEPS * rule.factor for rule in rules):
        rules = [None] * len(rules)
    room = MOST_VALUES
    for c, (u, counts) in enumerate(found):
        listed = list_of(u, counts, reach) if rules[c] is None else None
        if listed is not None and len(listed.listed) <= room:
            rules[c] = listed
            room -= len(listed.listed)
    if not any(rules):
        return None
    representation = Representation(x.dtype, x.ndim, columns.shape[1], rules=tuple(rules))
    k, bounds = np.empty(columns.shape, np.int64), np.zeros(len(rules), np.int64)
    for c, (rule, (u, _)) in enumerate(zip(rules, found, strict=True)):
        k[:, c], bounds[c] = _numbered(columns[:, c], rule, u, max_error)
    return Integers(k, representation, no_gaps(), bounds)


def _numbered(
    column: np.ndarray, rule: Rule | None, u: np.ndarray, max_error: float
) -> tuple[np.ndarray, int]:
    """The numbers of a channel, and how far they may be off."""
    if rule is None:
        return column.astype(np.int64), min(math.floor(max_error), LARGEST)
    if rule.kind == LIST:
        of_each, bound = nearest(rule, u), 0
    else:
        found = rule.integers(u, column.dtype)
        assert found is not None
        of_each, bound = found, bound_on(rule, u, column.dtype, max_error)
    return of_each[np.searchsorted(u, column)], min(bound, LARGEST)
