"""Which directions a few ReLU nodes should have: known frames, and a search for the best ones.

`simplex` and `icosahedron` are frames that are known. `best_frames` looks for the best directions
for the limit c |x| of many nodes, `best_directions` for the best ones for a given network, and
`best_rotation` only turns given directions. All use the closed forms with exact gradients.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg

from san.networks.closed_forms import (
    MEAN_OF_NODE,
    Floats,
    Nodes,
    best_scales,
    limit_loss,
    mean_square,
    products_with,
    relu_kernel,
    relu_kernel_slope,
)

#: Added to the diagonal of κ while a search lasts: two directions may meet on its way.
_RIDGE = 1e-13
#: Of L-BFGS: steps that are remembered, and how small a share of the value a gradient must become.
_PAIRS, _FLAT = 30, 1e-11
#: A step must fall by this share of what the slope promises, apart from rounding, or is halved.
_SUFFICIENT, _ROUNDING, _HALVINGS = 1e-4, 1e-15, 40


class Frame(NamedTuple):
    """Directions and the relative loss that they leave."""

    directions: Floats  # (M, d), each of length 1
    loss: float  # E (f − g)² / E f², with the best scales


def simplex(nodes: int, dimension: int) -> Floats:
    """Return M directions in d dimensions with all products −1/(M−1).

    Parameters
    ----------
    nodes : int
        M, from 2 to d + 1.
    dimension : int
        d.

    Returns
    -------
    ndarray of float64, shape (M, d)
        Rows of length 1 that add up to zero.

    Raises
    ------
    ValueError
        If there are fewer than 2 nodes, or more than d + 1.

    Examples
    --------
    >>> frame = simplex(3, 2)
    >>> (frame @ frame.T).round(9).tolist()
    [[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0]]
    """
    if not 2 <= nodes <= dimension + 1:
        raise ValueError(
            f"a simplex in {dimension} dimensions has 2 to {dimension + 1} directions, got {nodes}"
        )
    centred = np.eye(nodes) - 1 / nodes
    _, vectors = np.linalg.eigh(centred)
    frame = np.zeros((nodes, dimension))
    frame[:, : nodes - 1] = vectors[:, 1:] * math.sqrt(nodes / (nodes - 1))
    return frame


def icosahedron() -> Floats:
    """Return the six diagonals of the icosahedron: an equiangular tight frame in 3 dimensions.

    Returns
    -------
    ndarray of float64, shape (6, 3)
        Rows of length 1; all products are ±1/√5. No choice of signs makes them add up to zero.

    Examples
    --------
    >>> frame = icosahedron()
    >>> abs(frame @ frame.T).round(6).tolist()[0]
    [1.0, 0.447214, 0.447214, 0.447214, 0.447214, 0.447214]
    """
    golden = (1 + math.sqrt(5)) / 2
    pairs = [(0.0, 1.0, sign * golden) for sign in (1, -1)]
    corners = np.array([np.roll(pair, turn) for turn in range(3) for pair in pairs])
    return np.asarray(corners / math.hypot(1, golden))


def loss_to_limit(directions: Floats) -> float:
    """Return the relative loss of nodes of these directions to c |x|, with the best scales.

    Parameters
    ----------
    directions : ndarray, shape (M, d)
        Each of length 1.

    Returns
    -------
    float
        See `san.networks.optimal_loss` for its smallest value.

    Examples
    --------
    >>> round(loss_to_limit(simplex(8, 10)), 6)
    0.026945
    """
    kernel = relu_kernel(directions @ directions.T)
    ones = np.ones(len(directions))
    inverse = float(ones @ linalg.lstsq(kernel, ones, cond=1e-12)[0])
    return limit_loss(1 / inverse, directions.shape[1])


def best_frames(nodes: int, dimension: int, *, restarts: int = 20, seed: int = 0) -> list[Frame]:
    """Search the best directions for the limit c |x|, from random starts.

    Parameters
    ----------
    nodes, dimension : int
        M and d.
    restarts : int
        How many searches there are.
    seed : int
        Of the random starts.

    Returns
    -------
    list of Frame
        One for each search, the smallest loss first.

    Raises
    ------
    ValueError
        If nodes, dimension or restarts is below 1.

    Examples
    --------
    >>> best = best_frames(3, 5, restarts=2)[0]
    >>> (best.directions @ best.directions.T).round(4)[0].tolist()
    [1.0, -0.5, -0.5]
    """
    if min(nodes, dimension, restarts) < 1:
        raise ValueError(
            "nodes, dimension and restarts must be at least 1, got "
            f"{nodes}, {dimension}, {restarts}"
        )

    def form(directions: Floats) -> tuple[float, Floats]:
        """1 / (1ᵀK⁻¹1) and its gradient: with b of sum 1, the least bᵀK b."""
        products = directions @ directions.T
        b = linalg.solve(_kernel_of(products), np.ones(nodes), assume_a="sym")
        value = 1 / b.sum()
        b *= value
        return value, 2 * b[:, None] * ((_slopes(products) * b) @ directions)

    generator = np.random.default_rng(seed)
    starts = generator.standard_normal((restarts, nodes, dimension))
    found = [_search(start, form) for start in starts]
    frames = [Frame(directions, loss_to_limit(directions)) for directions in found]
    return sorted(frames, key=lambda frame: frame.loss)


def best_directions(
    target: Nodes,
    start: Floats,
    *,
    iterations: int = 5000,
    energy: float | None = None,
    constant: bool = False,
) -> Frame:
    """Search the best directions for a network, from given ones.

    Parameters
    ----------
    target : Nodes
        The network (see `san.networks.closed_forms.nodes_of`).
    start : ndarray, shape (M, d)
        Directions to begin with.
    iterations : int
        At most so many steps of L-BFGS.
    energy : float, optional
        E |f|², if it is known; else it is computed from all pairs of nodes.
    constant : bool
        A constant, such as the bias of a second layer, is fitted with the scales while the search
        lasts. The loss that is returned is without it.

    Returns
    -------
    Frame
        A local optimum, and its relative loss.

    Examples
    --------
    >>> from san.networks.closed_forms import nodes_of
    >>> target = nodes_of(simplex(3, 2), [1.0, 1.0, 1.0])
    >>> best_directions(target, np.array([[1.0, 0.1], [0.0, 1.0], [-1.0, -1.0]])).loss < 1e-9
    True
    """

    def explained(directions: Floats) -> tuple[float, Floats]:
        return _explained(directions, target, MEAN_OF_NODE**2 if constant else 0.0)

    directions = _search(np.asarray(start, dtype=float), explained, iterations)
    return Frame(directions, relative_loss(target, directions, energy))


def best_rotation(
    target: Nodes, directions: Floats, *, energy: float | None = None, seed: int | None = None
) -> Frame:
    """Turn given directions, all together, until they serve a network best.

    Parameters
    ----------
    target : Nodes
        The network.
    directions : ndarray, shape (M, d)
        Such as `simplex(M, d)`.
    energy : float, optional
        E |f|², if it is known.
    seed : int, optional
        Begin with a random rotation. By default the search begins with the directions as they are.

    Returns
    -------
    Frame
        The turned directions and their relative loss: a local optimum.

    Examples
    --------
    >>> from san.networks.closed_forms import nodes_of
    >>> frame = simplex(3, 2)
    >>> turned = frame @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    >>> best_rotation(nodes_of(turned, [1.0, 1.0, 1.0]), frame).loss < 1e-9
    True
    """
    dimension = directions.shape[1]
    start = np.eye(dimension)
    if seed is not None:
        start = np.random.default_rng(seed).standard_normal(start.shape)

    def turned(flat: Floats) -> tuple[float, Floats]:
        u, s, vt = np.linalg.svd(flat.reshape(start.shape))
        value, gradient = _explained(directions @ (u @ vt), target)
        # The derivative of the polar factor u vt of a matrix u s vt.
        inner = u.T @ (directions.T @ gradient) @ vt.T
        return value, (u @ ((inner - inner.T) / np.add.outer(s, s)) @ vt).ravel()

    scale = max(abs(_explained(directions, target)[0]), 1e-300)
    found = _minimised(turned, start.ravel(), scale, 5000)
    u, _, vt = np.linalg.svd(found.reshape(start.shape))
    rotated = np.asarray(directions @ (u @ vt))
    return Frame(rotated, relative_loss(target, rotated, energy))


def relative_loss(target: Nodes, directions: Floats, energy: float | None = None) -> float:
    """Return E |f − g|² / E |f|² of nodes of these directions with the best scales.

    Examples
    --------
    >>> from san.networks.closed_forms import nodes_of
    >>> relative_loss(nodes_of([[1.0, 0.0]], [2.0]), np.array([[0.0, 1.0]])).__round__(6)
    0.898679
    """
    energy = mean_square(target) if energy is None else energy
    products = products_with(directions, target)
    return float(1 - np.sum(products * best_scales(directions, target)) / energy)


def _explained(directions: Floats, target: Nodes, means: float = 0.0) -> tuple[float, Floats]:
    """−tᵀK⁻¹t, the part of the loss that depends on the directions, and its gradient.

    `means` is taken from all mean products of nodes: their variances remain, as beside a constant.
    """
    products, cross = directions @ directions.T, directions @ target.directions.T
    t = (relu_kernel(cross) - means) @ target.scales
    b = linalg.solve(_kernel_of(products) - means, t, assume_a="sym")
    between = (b @ b.T * _slopes(products)) @ directions
    across = (b @ target.scales.T * relu_kernel_slope(cross)) @ target.directions
    return -float(np.sum(t * b)), 2 * (between - across)


def _kernel_of(products: Floats) -> Floats:
    kernel = relu_kernel(products)
    np.fill_diagonal(kernel, 0.5 + _RIDGE)  # exact: a direction has the length 1
    return kernel


def _slopes(products: Floats) -> Floats:
    slopes = relu_kernel_slope(products)
    np.fill_diagonal(slopes, 0)  # the product of a direction with itself does not change
    return slopes


def _search(
    start: Floats, value: Callable[[Floats], tuple[float, Floats]], iterations: int = 5000
) -> Floats:
    """Minimise over directions: the free variables are vectors of any length."""

    def free(flat: Floats) -> tuple[float, Floats]:
        vectors = flat.reshape(start.shape)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions = vectors / lengths
        loss, gradient = value(directions)
        along = np.sum(gradient * directions, axis=1, keepdims=True)
        return loss, ((gradient - along * directions) / lengths).ravel()

    begin = start / np.linalg.norm(start, axis=1, keepdims=True)
    found = _minimised(free, begin.ravel(), abs(value(begin)[0]), iterations).reshape(start.shape)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _minimised(
    value: Callable[[Floats], tuple[float, Floats]], start: Floats, scale: float, iterations: int
) -> Floats:
    """L-BFGS on a value divided by its size, so that one tolerance serves every network.

    SciPy's L-BFGS-B solves its small triangular systems on all threads of BLAS: 50 times as slow on
    vectors of this size.
    """
    x = start
    loss, gradient = value(x)
    pairs: deque[tuple[Floats, Floats]] = deque(maxlen=_PAIRS)
    for _ in range(iterations):
        if np.abs(gradient).max() <= _FLAT * scale:
            break
        direction = -_times_inverse_hessian(gradient, pairs)
        fall, step = gradient @ direction, 1.0
        if not pairs:
            step = min(1.0, 1 / np.abs(gradient / scale).sum())
            direction, fall = direction / scale, fall / scale
        for _ in range(_HALVINGS):
            moved, (new_loss, new_gradient) = x + step * direction, value(x + step * direction)
            if new_loss <= loss + _SUFFICIENT * step * fall + _ROUNDING * scale:
                break
            step /= 2
        else:
            break  # no step is better: rounding decides here
        change, turn = moved - x, new_gradient - gradient
        if change @ turn > _ROUNDING * np.linalg.norm(change) * np.linalg.norm(turn):
            pairs.append((change, turn))
        x, loss, gradient = moved, new_loss, new_gradient
    return x


def _times_inverse_hessian(gradient: Floats, pairs: deque[tuple[Floats, Floats]]) -> Floats:
    """What L-BFGS makes of a gradient: the two loops over the last steps (Nocedal, 1980)."""
    result, factors = gradient.copy(), []
    for change, turn in reversed(pairs):
        factors.append((change @ result) / (change @ turn))
        result -= factors[-1] * turn
    if pairs:
        change, turn = pairs[-1]
        result *= (change @ turn) / (turn @ turn)
    for (change, turn), factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - (turn @ result) / (change @ turn)) * change
    return result
