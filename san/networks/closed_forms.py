"""Networks of ReLU nodes under Gaussian inputs: every mean that they need, as a closed form.

A network is f(x) = Σ_i a_i max(0, w_i·x), without biases, and x is a vector of independent N(0, 1).
The length of a weight vector is moved into the second layer, so that a node is a direction v_j of
length 1 with a scale b_j. All means over x follow from one function of the product of two
directions: κ (`relu_kernel`).

Nothing here knows torch. `frames` looks for the best directions, `compression` uses both on a
trained network. The proofs are in the documentation, on the page "Fewer nodes: the theory".
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, special

Floats = NDArray[np.float64]

#: E max(0, v·x) for a direction v.
MEAN_OF_NODE = 1 / math.sqrt(2 * math.pi)


class Nodes(NamedTuple):
    """Directions of ReLU nodes and what each contributes to every output."""

    directions: Floats  # (nodes, dimension), each of length 1
    scales: Floats  # (nodes, outputs)


def relu_kernel(rho: ArrayLike) -> Floats:
    """Return κ(ρ) = E max(0, u·x) max(0, v·x) for directions u, v with the product ρ = u·v.

    Parameters
    ----------
    rho : array_like of floats
        Products of directions. Values beyond -1 and 1, which rounding makes, count as -1 and 1.

    Returns
    -------
    ndarray of float64, same shape
        (√(1−ρ²) + ρ (π − arccos ρ)) / 2π: 0 at -1, 1/2π at 0, ½ at 1. NaN stays NaN.

    References
    ----------
    Cho & Saul, Kernel Methods for Deep Learning, NIPS 2009 (the arc-cosine kernel of degree 1).

    Examples
    --------
    >>> relu_kernel([-1, 0, 1]).round(6).tolist()
    [0.0, 0.159155, 0.5]
    """
    product = np.clip(np.asarray(rho, dtype=float), -1, 1)
    root = np.sqrt((1 - product) * (1 + product))
    return np.asarray((root + product * (np.pi - np.arccos(product))) / (2 * np.pi))


def relu_kernel_slope(rho: ArrayLike) -> Floats:
    """Return κ'(ρ) = (π − arccos ρ) / 2π, the derivative of `relu_kernel`.

    Parameters
    ----------
    rho : array_like of floats
        As for `relu_kernel`.

    Returns
    -------
    ndarray of float64, same shape
        From 0 at -1 to ½ at 1.

    Examples
    --------
    >>> relu_kernel_slope([-1, 0, 1]).tolist()
    [0.0, 0.25, 0.5]
    """
    product = np.clip(np.asarray(rho, dtype=float), -1, 1)
    return np.asarray((np.pi - np.arccos(product)) / (2 * np.pi))


def nodes_of(weights: ArrayLike, scales: ArrayLike) -> Nodes:
    """Return the nodes of a network f(x) = Σ_i a_i max(0, w_i·x) as directions and scales.

    Parameters
    ----------
    weights : array_like, shape (N, d)
        w_i, in rows.
    scales : array_like, shape (N,) or (N, outputs)
        a_i.

    Returns
    -------
    Nodes
        Directions of length 1, and scales (N, outputs) multiplied by the lengths of the weights. A
        weight of length 0 has the scale 0 and the first axis as direction.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or a number is not finite.

    Examples
    --------
    >>> nodes_of([[3.0, 4.0]], [2.0]).scales.tolist()
    [[10.0]]
    """
    w, a = np.asarray(weights, dtype=float), np.asarray(scales, dtype=float)
    if w.ndim != 2 or a.ndim not in (1, 2) or len(w) != len(a) or not w.size:
        raise ValueError(
            f"weights must be (N, d) and scales (N,) or (N, outputs), got {w.shape} and {a.shape}"
        )
    if not (np.isfinite(w).all() and np.isfinite(a).all()):
        raise ValueError("weights and scales must be finite, got a NaN or an infinity")
    lengths = np.linalg.norm(w, axis=1)[:, None]
    directions = np.zeros_like(w)
    directions[:, 0] = lengths[:, 0] == 0
    np.divide(w, lengths, out=directions, where=lengths > 0)
    return Nodes(directions, a.reshape(len(w), -1) * lengths)


def mean_square(nodes: Nodes) -> float:
    """Return E |f(x)|², summed over the outputs.

    Examples
    --------
    >>> mean_square(nodes_of([[1.0, 0.0]], [2.0]))
    2.0
    """
    total = 0.0
    for begin in range(0, len(nodes.directions), 1024):  # 1,024 rows of N products at a time
        part = slice(begin, begin + 1024)
        products = relu_kernel(nodes.directions[part] @ nodes.directions.T)
        total += float(np.sum(nodes.scales[part] * (products @ nodes.scales)))
    return total


def products_with(directions: Floats, target: Nodes) -> Floats:
    """Return E f(x) max(0, v_j·x) of a network f and directions v_j, shape (M, outputs).

    Examples
    --------
    >>> target = nodes_of([[1.0, 0.0]], [2.0])
    >>> products_with(np.array([[1.0, 0.0], [-1.0, 0.0]]), target).tolist()
    [[1.0], [0.0]]
    """
    return relu_kernel(directions @ target.directions.T) @ target.scales


def population_loss(target: Nodes, candidate: Nodes) -> float:
    """Return E |f(x) − g(x)|² of two networks without biases, for x of independent N(0, 1).

    Parameters
    ----------
    target, candidate : Nodes
        f and g, of the same dimension and number of outputs (see `nodes_of`).

    Returns
    -------
    float
        The mean over all inputs, summed over the outputs. Where f and g are nearly equal, rounding
        leaves an error of about 1e-16 of E |f|².

    Raises
    ------
    ValueError
        If dimensions or outputs differ.

    Examples
    --------
    >>> f, g = nodes_of([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0]), nodes_of([[1.0, 0.0]], [1.0])
    >>> population_loss(f, g)  # the mean of max(0, -x)²
    0.5
    """
    shapes = [(nodes.directions.shape[1], nodes.scales.shape[1]) for nodes in (target, candidate)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"networks must have the same dimension and outputs, got {shapes[0]} and {shapes[1]}"
        )
    cross = np.sum(candidate.scales * products_with(candidate.directions, target))
    return mean_square(target) - 2 * float(cross) + mean_square(candidate)


def best_scales(directions: Floats, target: Nodes) -> Floats:
    """Return the scales with which nodes of these directions come closest to a network.

    Parameters
    ----------
    directions : ndarray, shape (M, d)
        v_j, each of length 1.
    target : Nodes
        The network f.

    Returns
    -------
    ndarray of float64, shape (M, outputs)
        K⁻¹ t with K_ij = κ(v_i·v_j) and t_j = E f(x) max(0, v_j·x). Where directions are equal and
        K has no inverse: the smallest of the best scales.

    Examples
    --------
    >>> f = nodes_of([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
    >>> best_scales(f.directions, f).round(9).tolist()
    [[1.0], [1.0]]
    """
    kernel = relu_kernel(directions @ directions.T)
    return np.asarray(linalg.lstsq(kernel, products_with(directions, target), cond=1e-12)[0])


def optimal_loss(nodes: int, dimension: int) -> float:
    """Return the smallest relative loss of M nodes in place of very many, in d dimensions.

    The target is the limit of many nodes with independent weights and E a w = 0, which is
    c |x|. The value is reached for M ≤ d + 1, by the simplex. For more nodes it is a lower bound
    that only an equiangular tight frame whose vectors add up to zero reaches.

    Parameters
    ----------
    nodes : int
        M, at least 1.
    dimension : int
        d, at least 1.

    Returns
    -------
    float
        E (f − g)² / E f² of the best g with M nodes and scales that are not negative.

    Raises
    ------
    ValueError
        If nodes or dimension is below 1.

    References
    ----------
    Asked by Amani et al., *Sharp asymptotics on the compression of two-layer neural networks*,
    arXiv 2205.08199. The proof is on the page "Fewer nodes: the theory".

    Examples
    --------
    >>> round(optimal_loss(nodes=8, dimension=10), 6)
    0.026945
    """
    _check_sizes(nodes, dimension)
    return limit_loss(smallest_form(nodes, dimension), dimension)


def smallest_form(nodes: int, dimension: int) -> float:
    """Return the least bᵀK b that M scales b ≥ 0 of sum 1 can have in d dimensions (a bound).

    Examples
    --------
    >>> smallest_form(nodes=2, dimension=3)  # two opposite directions
    0.25
    """
    _check_sizes(nodes, dimension)
    if nodes == 1:
        return 0.5
    if nodes <= dimension + 1:
        return float(0.5 / nodes + (1 - 1 / nodes) * relu_kernel(-1 / (nodes - 1)))
    square = (nodes - dimension) / (dimension * (nodes - 1))
    even = (math.sqrt(1 - square) + math.sqrt(square) * math.asin(math.sqrt(square))) / 2 / math.pi
    return 0.25 / nodes + (1 - 1 / nodes) * even


def limit_loss(form: float, dimension: int) -> float:
    """Return the relative loss to c |x| of nodes whose bᵀK b is `form`, b of sum 1, best length.

    Examples
    --------
    >>> round(limit_loss(0.5, 1), 9)  # one node has half of |x|
    0.5
    """
    d = dimension
    mean_length = math.sqrt(2) * math.exp(special.gammaln((d + 1) / 2) - special.gammaln(d / 2))
    product = d * MEAN_OF_NODE / mean_length  # E |x| max(0, v·x)
    return 1 - product**2 / (d * form)


def coherence(directions: ArrayLike) -> float:
    """Return the largest |v_i·v_j| of two different directions.

    Parameters
    ----------
    directions : array_like, shape (M, d)
        Of length 1, at least two.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are fewer than two directions.

    Examples
    --------
    >>> coherence([[1.0, 0.0], [-0.6, 0.8]])
    0.6
    """
    v = np.asarray(directions, dtype=float)
    if v.ndim != 2 or len(v) < 2:
        raise ValueError(f"coherence needs at least two directions, got the shape {v.shape}")
    products = np.abs(v @ v.T)
    return float(products[~np.eye(len(products), dtype=bool)].max())


def welch_bound(nodes: int, dimension: int) -> float:
    """Return √((M−d)/(d(M−1))): no M directions in d dimensions have a smaller coherence.

    Parameters
    ----------
    nodes, dimension : int
        M and d, at least 1.

    Returns
    -------
    float
        0 where M ≤ d: orthogonal directions have no coherence.

    Raises
    ------
    ValueError
        If nodes or dimension is below 1.

    References
    ----------
    Welch, IEEE Transactions on Information Theory, 1974.

    Examples
    --------
    >>> round(welch_bound(nodes=6, dimension=3), 6)
    0.447214
    """
    _check_sizes(nodes, dimension)
    if nodes <= dimension:
        return 0.0
    return math.sqrt((nodes - dimension) / (dimension * (nodes - 1)))


def _check_sizes(nodes: int, dimension: int) -> None:
    if nodes < 1 or dimension < 1:
        raise ValueError(
            f"nodes and dimension must be at least 1, got {nodes} nodes, dimension {dimension}"
        )
