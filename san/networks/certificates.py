"""How many units of a hidden layer are active at once: at most, on every input, with proof.

Unit j is active where w_j·x > b_j. On the cube {−1, 1}ⁿ with n ≤ 20 every point is looked at. On
larger cubes and on balls the answer is an interval. Its lower end is a point that was found. Its
upper end is the number of colours of a graph: two units that cannot be active together may share a
colour, and units that are active together need a colour each.

Products are rounded, and a point may lie on a threshold. A sum within its rounding error of the
threshold is computed again without any rounding.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from san.networks.cube import points

Floats = NDArray[np.float64]
Domain = Literal["cube", "ball"]

#: Coordinates of cubes whose points are all looked at: 2²⁰ points take seconds.
MAX_ENUMERATED = 20
#: Coordinates that change within a block of points.
_BLOCK = 12
#: Random points, and their opposites, that the lower end of an interval is looked for at.
_SAMPLES = 10_000
#: From how many of the best of them the search goes on, and its steps.
_CLIMBS, _STEPS = 16, 200


class Certificate(NamedTuple):
    """How many units are active at once, at most."""

    lower: int  # so many are active at `point`
    upper: int  # never more than this
    point: Floats

    @property
    def exact(self) -> bool:
        """True where both ends are the same number."""
        return self.lower == self.upper


def max_active(
    network_or_weights: Any, domain: Domain = "cube", *, radius: float = 1.0, seed: int = 0
) -> Certificate:
    """Return how many units of a hidden layer are active at once, at most, over a set of inputs.

    Parameters
    ----------
    network_or_weights : torch.nn.Module or pair of array_like
        A module whose first linear layer is the hidden layer, such as `SparseMLP` or
        `nn.Sequential(nn.Linear, ...)`; or weights W (s, n) and thresholds b (s,): unit j is active
        where w_j·x > b_j. The threshold of a linear layer is its bias with the other sign. Of a
        `SparseMLP` with `active=k` never more than k units are active.
    domain : "cube" or "ball"
        The inputs: all vectors of −1 and 1, or all vectors of at most the length `radius`.
    radius : float
        Of the ball, above 0.
    seed : int
        Of the random points for the lower end.

    Returns
    -------
    Certificate
        `lower` and `upper` are equal on a cube of at most 20 coordinates. Elsewhere they may
        differ, and the truth is between them. The weights are taken as the numbers that they are,
        without rounding in products, so a network in float32 may see another unit at a threshold.

    Raises
    ------
    TypeError, ValueError
        If there is no linear layer, the network has an activation other than relu, shapes do not
        fit, a number is not finite, the domain has another name, or the radius is not above 0.

    References
    ----------
    The question is that of Awasthi et al., *Learning Neural Networks with Sparse Activations*,
    arXiv 2406.17989. The bounds are on the page "Sparse hidden layers: the theory".

    Examples
    --------
    >>> weights, thresholds = np.eye(3), np.full(3, 0.5)
    >>> max_active((weights, thresholds))[:2]  # at (1, 1, 1)
    (3, 3)
    >>> max_active((weights, np.full(3, 0.9)), domain="ball")[:2]
    (1, 1)
    """
    if domain not in ("cube", "ball"):
        raise ValueError(f"domain must be cube or ball, got {domain!r}")
    if not 0 < radius < math.inf:
        raise ValueError(f"radius must be above 0, got {radius}")
    weights, thresholds, most = _hidden_layer(network_or_weights)
    units = _Units(weights, thresholds)
    if domain == "cube" and weights.shape[1] <= MAX_ENUMERATED:
        found = _enumerate(units)
        return Certificate(min(found.lower, most), min(found.upper, most), found.point)
    reach = 1.0 if domain == "cube" else radius
    generator = np.random.default_rng(seed)
    starts = _starts(weights, thresholds, domain, reach, generator)
    count, point = _climb(units, starts, domain, reach)
    upper = _colours(~_exclusions(units, domain, reach))
    return Certificate(min(count, most), min(upper, most), point)


class _Units:
    """A hidden layer, how far its products may be rounded, and exact counts where that matters."""

    def __init__(self, weights: Floats, thresholds: Floats) -> None:
        self.weights, self.thresholds = weights, thresholds
        sizes = np.abs(weights).sum(1) + np.abs(thresholds)
        self.rounding = 4 * (weights.shape[1] + 2) * np.finfo(float).eps * sizes
        self.on_cube = np.zeros_like(sizes) if _no_rounding(weights, thresholds) else self.rounding

    def exact_count(self, point: Floats) -> int:
        """Count the active units at a point of the cube without rounding."""
        sums = self.weights @ point - self.thresholds
        sure = int(np.sum(sums > self.on_cube))
        near = np.flatnonzero(np.abs(sums) <= self.on_cube)
        return sure + sum(
            math.fsum([*(self.weights[j] * point), -self.thresholds[j]]) > 0 for j in near
        )


def _hidden_layer(given: Any) -> tuple[Floats, Floats, int]:
    """Weights, thresholds, and the most units that the layer lets through."""
    if isinstance(given, (tuple, list)):
        if len(given) != 2:
            raise ValueError(f"give weights and thresholds, got {len(given)} arrays")
        weights, thresholds = (np.asarray(a, dtype=float) for a in given)
        most = len(weights) if weights.ndim else 0
    else:
        if getattr(given, "activation", None) is not None:
            raise TypeError(
                "max_active counts the units that relu lets through: give weights and thresholds, "
                "not a network with an activation of its own"
            )
        weights, thresholds = _of_module(given)
        most = getattr(given, "active", None) or len(weights)
    if weights.ndim != 2 or thresholds.shape != weights.shape[:1] or not weights.size:
        raise ValueError(
            f"weights must be (s, n) and thresholds (s,), got {weights.shape} and "
            f"{thresholds.shape}"
        )
    if not (np.isfinite(weights).all() and np.isfinite(thresholds).all()):
        raise ValueError("weights and thresholds must be finite, got a NaN or an infinity")
    return weights, thresholds, most


def _of_module(module: Any) -> tuple[Floats, Floats]:
    layers = module.modules() if hasattr(module, "modules") else ()
    for layer in layers:
        if hasattr(layer, "in_features"):
            weights = layer.weight.detach().cpu().numpy().astype(float)
            if layer.bias is None:
                return weights, np.zeros(len(weights))
            return weights, -layer.bias.detach().cpu().numpy().astype(float)
    raise TypeError(
        f"give a module with a linear layer, or weights and thresholds, got {type(module).__name__}"
    )


def _no_rounding(weights: Floats, thresholds: Floats) -> bool:
    """Whether float64 adds any two rows of ± these numbers exactly.

    It does where all are multiples of one power of two, and no sum has more than 53 bits.
    """
    numbers = np.abs(np.concatenate([weights.ravel(), thresholds]))
    numbers = numbers[numbers > 0]
    if not len(numbers):
        return True
    mantissa, exponent = np.frexp(numbers)
    digits = (mantissa * 2.0**53).astype(np.int64)
    lowest = int((exponent - 53 + np.log2(digits & -digits).astype(int)).min())
    total = (np.abs(weights).sum(1) + np.abs(thresholds)).max()
    return bool(np.frexp(2 * total)[1] - lowest <= 53)


def _enumerate(units: _Units) -> Certificate:
    """Look at every point of the cube, 2¹² at a time."""
    n = units.weights.shape[1]
    inner = min(n, _BLOCK)
    of_inner = points(inner) @ units.weights[:, :inner].T - units.thresholds
    rows = 2**inner
    best, at = -1, 0
    for block in range(2 ** (n - inner)):
        sums = of_inner
        if n > inner:
            outer = points(n - inner, block, block + 1)[0]
            sums = of_inner + units.weights[:, inner:] @ outer
        sure = (sums > units.on_cube).sum(1)
        possible = (sums >= -units.on_cube).sum(1) if units.on_cube.any() else sure
        for row in np.argsort(-possible, kind="stable"):
            if possible[row] <= best:
                break
            place = block * rows + int(row)
            exact = int(sure[row])
            if possible[row] > exact:
                exact = units.exact_count(points(n, place, place + 1)[0])
            if exact > best:
                best, at = exact, place
    return Certificate(best, best, points(n, at, at + 1)[0])


def _starts(
    weights: Floats, thresholds: Floats, domain: Domain, reach: float, generator: Any
) -> Floats:
    """Random points with their opposites, the point of each unit's largest product, and zero."""
    x = generator.standard_normal((_SAMPLES, weights.shape[1]))
    found = _onto(np.concatenate([x, -x, weights]), domain, reach)
    if domain == "ball" and (thresholds < 0).any():  # then the middle may be the best
        found = np.concatenate([found, found[:_SAMPLES] * generator.random((_SAMPLES, 1))])
        found = np.concatenate([found, np.zeros((1, weights.shape[1]))])
    return found


def _onto(x: Floats, domain: Domain, reach: float) -> Floats:
    """Points of the cube, or of the sphere (just inside it, so that rounding stays in the ball)."""
    if domain == "cube":
        return np.where(x >= 0, 1.0, -1.0)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x * (reach * (1 - 1e-12) / np.maximum(lengths, 1e-300)))


def _climb(units: _Units, starts: Floats, domain: Domain, reach: float) -> tuple[int, Floats]:
    """The most active units at a start, or where the best starts lead."""
    counts = _sure_counts(units, starts)
    best = int(np.argmax(counts))
    count, point = int(counts[best]), starts[best]
    x = starts[np.argsort(-counts, kind="stable")[:_CLIMBS]]
    width = np.maximum(np.linalg.norm(units.weights, axis=1), 1e-300) * reach
    for step in range(_STEPS):
        # Units near their threshold pull most, and the slope becomes steeper with the steps.
        z = (x @ units.weights.T - units.thresholds) / width * (2 + 0.2 * step)
        pull = 1 / np.cosh(np.clip(z, -50, 50)) ** 2
        if domain == "cube":
            x = _flipped(x, (pull / width) @ units.weights)
        else:
            x = _onto(x + 0.1 * reach * _unit((pull / width) @ units.weights), domain, reach)
        counts = _sure_counts(units, x)
        if counts.max() > count:
            count, point = int(counts.max()), x[int(np.argmax(counts))]
    return count, point


def _unit(x: Floats) -> Floats:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300))


def _flipped(x: Floats, gradient: Floats) -> Floats:
    """Flip the coordinate of each point that promises most."""
    promise = -x * gradient
    rows, columns = np.arange(len(x)), promise.argmax(1)
    flipped = x.copy()
    flipped[rows, columns] *= np.where(promise[rows, columns] > 0, -1.0, 1.0)
    return flipped


def _sure_counts(units: _Units, x: Floats) -> NDArray[np.int64]:
    """Units that are active beyond rounding: never too many."""
    margin = units.rounding * max(1.0, float(np.abs(x).max(initial=0.0)))
    return np.asarray((x @ units.weights.T - units.thresholds > margin).sum(1))


def _exclusions(units: _Units, domain: Domain, reach: float) -> NDArray[np.bool_]:
    """Pairs that are never active together: the largest product of their sum is too small.

    A unit excludes itself if it is never active. In doubt because of rounding, a pair stays.
    """
    w, b = units.weights, units.thresholds
    excluded = np.zeros((len(w), len(w)), dtype=bool)
    for j, (row, threshold) in enumerate(zip(w, b, strict=True)):
        both = w + row
        if domain == "cube":
            largest, doubt = np.abs(both).sum(1), units.on_cube + units.on_cube[j]
        else:
            largest = np.linalg.norm(both, axis=1) * reach
            doubt = (units.rounding + units.rounding[j]) * max(1.0, reach)
        excluded[j] = largest + doubt <= b + threshold
    return excluded


def _colours(together: NDArray[np.bool_]) -> int:
    """Colour the units that can be active, so that any two that can be so together differ."""
    able = together.diagonal()
    neighbours = together[np.ix_(able, able)].copy()
    np.fill_diagonal(neighbours, False)
    colour = np.full(len(neighbours), -1)
    for node in np.argsort(-neighbours.sum(1), kind="stable"):
        taken: Sequence[int] = colour[neighbours[node]].tolist()
        colour[node] = next(c for c in range(len(neighbours) + 1) if c not in set(taken))
    return int(colour.max(initial=-1)) + 1
