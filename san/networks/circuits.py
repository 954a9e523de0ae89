"""Convolutional arithmetic circuits: their grid tensors, and the exact rank of these.

A generalised convolution multiplies where a convolution adds: at position p its channel r has
Π_j ⟨w[r, j], x[p · stride + j]⟩ over the window j. After the last layer the channels of each
position are summed with weights of their own, and the positions are multiplied. The values of the
network on all combinations of a few template vectors are its grid tensor, with one axis for each
site. If an axis set of it is made the rows of a matrix and the others the columns, the rank of this
matrix says how strongly the network ties these sites to the others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

PRIME = 2**31 - 1  # products of two residues fit into int64
Pooling = Literal["product", "max", "sum"]

_LARGEST = 1 << 24  # values of a grid tensor that are still computed: 3^15 fit, 2^25 do not
_SINGULAR = 1e-10  # a singular value counts that is above this share of the largest one


@dataclass(frozen=True)
class ProductLayer:
    """A generalised convolution.

    Parameters
    ----------
    window : int
        Positions that are multiplied, at least 1.
    stride : int
        From one window to the next, at least 1. Windows overlap if it is smaller than the window.
    channels : int
        r, at least 1.
    circular : bool
        Windows that begin before the end go on at the beginning. Otherwise only whole windows
        count.

    Raises
    ------
    ValueError
        If a number is below 1.

    References
    ----------
    Sharir & Shashua, *On the Expressive Power of Overlapping Architectures of Deep Learning*, 2018,
    arXiv 1703.02065.

    Examples
    --------
    >>> ProductLayer(window=2, stride=2, channels=3).positions(8)
    4
    """

    window: int
    stride: int
    channels: int
    circular: bool = False

    def __post_init__(self) -> None:
        for name in ("window", "stride", "channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def positions(self, before: int) -> int:
        """Count the windows over so many positions; 0 if none fits.

        Examples
        --------
        >>> ProductLayer(3, 2, 1, circular=True).positions(8), ProductLayer(3, 1, 1).positions(8)
        (4, 6)
        """
        if self.circular:
            return -(-before // self.stride)
        return max(0, (before - self.window) // self.stride + 1)


def grid_tensor(
    layers: Sequence[ProductLayer],
    sites: int,
    templates: int,
    *,
    pooling: Pooling = "product",
    shared: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Compute the values of a random network on all combinations of templates.

    Parameters
    ----------
    layers : sequence of ProductLayer
        From the sites on. An empty one leaves only the weights of the sites, and their product.
    sites : int
        N, at least 1.
    templates : int
        M, at least 1. Template d is the d-th unit vector, so the network learns a number for each.
    pooling : {"product", "max", "sum"}
        "product" computes modulo 2³¹ - 1, with weights drawn from 0 ... 2³¹ - 2. "max" and "sum"
        put the maximum or the sum of the factors in the place of their product, and then take
        ReLU, in float64 with weights from N(0, 1). "sum" is the usual convolution with ReLU.
    shared : bool
        Each position of a layer has the same weights. The weights after the last layer differ.
    seed : int
        Of the weights.

    Returns
    -------
    ndarray, shape (templates,) * sites, int64 or float64
        For "product" residues 0 ... 2³¹ - 2.

    Raises
    ------
    ValueError
        If no window fits into a layer, a number is below 1, the pooling has another name, or the
        tensor has more than 2²⁴ values.

    References
    ----------
    Cohen & Shashua, *Convolutional rectifier networks as generalized tensor decompositions*, 2016.

    Examples
    --------
    >>> grid_tensor([ProductLayer(2, 2, 3)] * 2, sites=4, templates=2).shape
    (2, 2, 2, 2)
    """
    values = _inputs(sites, templates)
    chance = np.random.default_rng(seed)
    if pooling not in ("product", "max", "sum"):
        raise ValueError(f"pooling must be product, max or sum, got {pooling!r}")
    modular = pooling == "product"
    combine = _POOLINGS[pooling]

    def draw(*shape: int) -> np.ndarray:
        return chance.integers(0, PRIME, shape) if modular else chance.standard_normal(shape)

    for number, layer in enumerate(layers):
        positions = layer.positions(len(values))
        if not positions:
            raise ValueError(
                f"no window of {layer.window} fits into the {len(values)} positions before "
                f"layer {number}"
            )
        own = 1 if shared else positions
        weights = draw(own, layer.channels, layer.window, len(values[0]))
        values = [
            combine(
                _mix(weights[p % own, :, j], values[(p * layer.stride + j) % len(values)], modular)
                for j in range(layer.window)
            )
            for p in range(positions)
        ]
    last = draw(len(values), 1, len(values[0]))
    parts = (_mix(weight, value, modular) for weight, value in zip(last, values, strict=True))
    tensor = _product(parts) if modular else sum(parts, np.zeros(()))
    return np.broadcast_to(tensor, (1, *[templates] * sites))[0]


def _inputs(sites: int, templates: int) -> list[np.ndarray]:
    """The sites, each (templates, 1 ... templates ... 1): channels first, then an axis per site."""
    for name, count in {"sites": sites, "templates": templates}.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if templates**sites > _LARGEST:
        raise ValueError(
            f"{templates} templates at {sites} sites have {templates**sites:,} combinations: "
            f"at most {_LARGEST:,} are computed"
        )
    shapes = [[templates if axis == site else 1 for axis in range(sites)] for site in range(sites)]
    return [np.eye(templates, dtype=np.int64).reshape(templates, *shape) for shape in shapes]


def _mix(weights: np.ndarray, value: np.ndarray, modular: bool) -> np.ndarray:
    """Sum channels with weights (channels after, channels before)."""
    total = np.zeros((len(weights), *value.shape[1:]), weights.dtype)
    shape = (-1, *[1] * (value.ndim - 1))
    for weight, channel in zip(weights.T, value, strict=True):
        total = total + weight.reshape(shape) * channel
        if modular:
            total %= PRIME  # before the next product, which would not fit
    return total


def _product(factors: Iterable[np.ndarray]) -> np.ndarray:
    first, *others = factors
    for other in others:
        first = first * other % PRIME
    return first


def _largest(factors: Iterable[np.ndarray]) -> np.ndarray:
    first, *others = factors
    for other in others:
        first = np.maximum(first, other)
    return np.maximum(first, 0)


def _sum(factors: Iterable[np.ndarray]) -> np.ndarray:
    return np.maximum(sum(factors, np.zeros(())), 0)


_POOLINGS: dict[str, Callable[[Iterable[np.ndarray]], np.ndarray]] = {
    "product": _product,
    "max": _largest,
    "sum": _sum,
}


def matricization_rank(
    layers: Sequence[ProductLayer],
    sites: int,
    templates: int,
    left: Iterable[int],
    *,
    pooling: Pooling = "product",
    shared: bool = True,
    seed: int = 0,
) -> int:
    """Return the rank of a network's grid tensor as a matrix: the left sites against the others.

    Parameters
    ----------
    layers, sites, templates, pooling, shared, seed
        As for `grid_tensor`.
    left : iterable of ints
        The sites whose templates number the rows, from 0.

    Returns
    -------
    int
        For "product" the rank modulo 2³¹ - 1. The rank of the same integers over the rational
        numbers is at least as large, and the rank of nearly all weights at least as large as that.
        For "max" and "sum" the number of singular values above 1e-10 of the largest one.

    Raises
    ------
    ValueError
        As `grid_tensor`, and if a site of `left` is not there or is named twice.

    References
    ----------
    Sharir & Shashua 2018, arXiv 1703.02065.

    Examples
    --------
    Without overlap the rank of the first half of the sites against the second half is at most the
    number of channels. With overlap it is more.

    >>> apart = [ProductLayer(window=2, stride=2, channels=2)] * 3
    >>> matricization_rank(apart, sites=8, templates=3, left=range(4))
    2
    >>> overlapping = [ProductLayer(window=4, stride=1, channels=2)]
    >>> matricization_rank(overlapping, sites=8, templates=3, left=range(4))
    8
    """
    rows = list(left)
    if len({*rows}) != len(rows) or not {*rows} <= {*range(sites)}:
        raise ValueError(f"left must name different sites of 0 ... {sites - 1}, got {rows}")
    tensor = grid_tensor(layers, sites, templates, pooling=pooling, shared=shared, seed=seed)
    columns = [site for site in range(sites) if site not in rows]
    matrix = tensor.transpose([*rows, *columns]).reshape(templates ** len(rows), -1)
    return modular_rank(matrix) if pooling == "product" else numerical_rank(matrix)


def modular_rank(matrix: np.ndarray, prime: int = PRIME) -> int:
    """Return the rank of an integer matrix modulo a prime, by elimination.

    Parameters
    ----------
    matrix : ndarray, shape (rows, columns), any integer type
    prime : int
        A prime of at most 2³¹ - 1. It is not checked that it is one.

    Returns
    -------
    int
        At most the rank over the rational numbers. Both are equal unless the prime divides
        every minor of that size.

    Raises
    ------
    ValueError, TypeError
        If the matrix has another shape or type, or the prime is below 2 or too large.

    Examples
    --------
    >>> modular_rank(np.array([[1, 2], [2, 4]])), modular_rank(np.array([[1, 2], [2, 5]]))
    (1, 2)
    """
    a = np.asarray(matrix)
    if a.ndim != 2:
        raise ValueError(f"matrix must have shape (rows, columns), got {a.shape}")
    if a.dtype.kind not in "iu":
        raise TypeError(f"matrix must be of an integer type, got {a.dtype}")
    if not 2 <= prime <= PRIME:
        raise ValueError(f"prime must be 2 ... {PRIME}, got {prime}")
    a = (a % np.asarray(prime, a.dtype if a.dtype == np.uint64 else np.int64)).astype(np.int64)
    rank = 0
    for column in range(a.shape[1]):
        found = np.flatnonzero(a[rank:, column])
        if not len(found):
            continue
        pivot = rank + found[0]
        a[[rank, pivot]] = a[[pivot, rank]]
        a[rank] = a[rank] * pow(int(a[rank, column]), -1, prime) % prime
        a[rank + 1 :] = (a[rank + 1 :] - a[rank + 1 :, column, None] * a[rank]) % prime
        rank += 1
        if rank == len(a):
            break
    return rank


def numerical_rank(matrix: np.ndarray) -> int:
    """Count the singular values above 1e-10 of the largest one.

    Examples
    --------
    >>> numerical_rank(np.diag([1.0, 1e-3, 1e-12]))
    2
    """
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    return int((values > _SINGULAR * values.max(initial=0)).sum())


def count_weights(
    layers: Sequence[ProductLayer], sites: int, templates: int, *, shared: bool = True
) -> int:
    """Count the weights of a network, those after its last layer as well.

    Examples
    --------
    >>> count_weights([ProductLayer(3, 2, 3, circular=True)] * 2, sites=8, templates=3)
    60
    """
    total, positions, channels = 0, sites, templates
    for layer in layers:
        positions = layer.positions(positions)
        total += (1 if shared else positions) * layer.channels * layer.window * channels
        channels = layer.channels
    return total + positions * channels


def overlap_law(window: int, channels: int, templates: int, sites: int) -> int:
    """Return the rank that one overlapping layer of stride 1 gives the two halves of the sites.

    Parameters
    ----------
    window : int
        K, of 1 ... N/2 + 1.
    channels, templates, sites : int
        r, M and N, an even number.

    Returns
    -------
    int
        min(r, M)^(K-1), at most M^(N/2).

    Raises
    ------
    ValueError
        If the window is larger, or the number of sites is odd.

    Examples
    --------
    >>> [overlap_law(window, channels=2, templates=3, sites=8) for window in (2, 3, 4, 5)]
    [2, 4, 8, 16]
    """
    if sites % 2 or not 1 <= window <= sites // 2 + 1:
        raise ValueError(f"window must be 1 ... sites / 2 + 1 of even sites, got {window}, {sites}")
    return min(min(channels, templates) ** (window - 1), templates ** (sites // 2))


def halves(sites: int) -> tuple[range, range]:
    """Name the left sites of the two usual partitions: the first half, and the even ones.

    Examples
    --------
    >>> [list(left) for left in halves(8)]
    [[0, 1, 2, 3], [0, 2, 4, 6]]
    """
    return range(sites // 2), range(0, sites, 2)
