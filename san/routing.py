"""Which expert an input goes to: hashing of points (Euclidean LSH), and the nearest of a list.

NumPy alone. The networks of experts and the archive's bank of dictionaries use the same routers.
"""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # constants of SplitMix64, a mix that every bit passes
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_LARGEST = 2.0**62  # of a cell's number: the next power of two is beyond int64
_ROWS = 8192  # that are hashed together, so that memory does not grow with the inputs


class Router(Protocol):
    """What puts inputs into buckets, one bucket in each of its tables."""

    dimension: int
    tables: int
    multiply_adds: int

    def buckets(self, x: np.ndarray) -> np.ndarray:
        """Name the buckets of inputs (n, dimension): keys (n, tables), uint64."""
        ...


class Parametrised:
    """What is made from named parameters, which can be read and set as scikit-learn does it.

    A class names the parameters of its `__init__` in `_names`, and keeps each of them as it came.

    Examples
    --------
    >>> router = EuclideanLSH(dimension=2, width=3.0)
    >>> router.set_params(width=0.5).get_params()["width"]
    0.5
    """

    _names: tuple[str, ...] = ()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; of a parameter with parameters also `name__its_name`."""
        own = {name: getattr(self, name) for name in self._names}
        for name, value in [*own.items()] if deep else []:
            if isinstance(value, Parametrised):
                own |= {f"{name}__{inner}": v for inner, v in value.get_params().items()}
        return own

    def set_params(self, **given: Any) -> Self:
        """Set parameters by name, and begin anew with them.

        Raises
        ------
        ValueError
            If a name is not one of a parameter.
        """
        own = self.get_params(deep=False)
        for name, value in given.items():
            first, _, inner = name.partition("__")
            if first not in own or (inner and not isinstance(own[first], Parametrised)):
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}: it has {', '.join(own)}"
                )
            if inner:
                own[first].set_params(**{inner: value})
            else:
                own[first] = value
        self.__init__(**own)  # type: ignore[misc]
        return self


class EuclideanLSH(Parametrised):
    """Hash points so that near points often meet in a bucket, and far points seldom.

    Each table projects a point x on a few random lines, and cuts each line into cells of one width.
    The bucket of x is the list of its cells: floor((a_i · x + b_i) / width) for each line i, with
    a_i from N(0, 1) and b_i uniform in [0, width).

    Parameters
    ----------
    dimension : int
        Numbers in a point, at least 1.
    projections : int
        Lines of each table, at least 1. More lines make smaller buckets.
    width : float
        Width of a cell, in the units of the points, above 0.
    tables : int
        Independent tables, at least 1. Two near points that a cell's border separates in one table
        meet in another one.
    seed : int
        Of NumPy's `default_rng`, from which all lines come.

    Attributes
    ----------
    directions : ndarray, shape (tables, projections, dimension), float64
        a
    offsets : ndarray, shape (tables, projections), float64
        b
    multiply_adds : int
        Of the hashing of one point.

    Raises
    ------
    ValueError
        If a number is too small, or the width is not finite.

    Notes
    -----
    Equal points get equal buckets on every machine: the products are summed in the order of the
    coordinates, and each product and each sum is rounded. No compiler and no BLAS changes this.

    References
    ----------
    Datar, Immorlica, Indyk, Mirrokni, *Locality-sensitive hashing scheme based on p-stable
    distributions*, 2004. Baykal et al., *A Theoretical View on Sparsely Activated Networks*, 2022,
    arXiv 2208.04461.

    Examples
    --------
    >>> router = EuclideanLSH(dimension=2, projections=3, width=1.0, tables=4, seed=0)
    >>> keys = router.buckets(np.array([[0.5, 0.5], [0.5, 0.51], [9.0, -9.0]]))
    >>> keys.shape
    (3, 4)
    >>> [int((keys[0] == other).sum()) for other in keys]  # tables where it meets the first point
    [4, 4, 0]
    """

    _names = ("dimension", "projections", "width", "tables", "seed")

    def __init__(
        self,
        dimension: int,
        projections: int = 8,
        width: float = 1.0,
        tables: int = 1,
        seed: int = 0,
    ) -> None:
        counts = {"dimension": dimension, "projections": projections, "tables": tables}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        if not 0 < width < np.inf:
            raise ValueError(f"width must be a number above 0, got {width}")
        self.dimension, self.projections, self.tables = dimension, projections, tables
        self.width, self.seed = width, seed
        chance = np.random.default_rng(seed)
        self.directions = chance.standard_normal((tables, projections, dimension))
        self.offsets = chance.uniform(0, self.width, (tables, projections))
        self.multiply_adds = tables * projections * dimension

    def cells(self, x: np.ndarray) -> np.ndarray:
        """Number the cells that points fall into, line by line.

        Parameters
        ----------
        x : array, shape (n, dimension)
            Points.

        Returns
        -------
        ndarray, shape (n, tables, projections), int64

        Raises
        ------
        ValueError
            If x has another shape, holds a NaN or infinity, or is too large for the width.

        Examples
        --------
        >>> EuclideanLSH(dimension=1, projections=1).cells(np.array([[0.0]])).tolist()
        [[[0]]]
        """
        points = checked_points(x, self.dimension)
        cells = np.empty((len(points), self.tables, self.projections), np.int64)
        for first in range(0, len(points), _ROWS):
            part = points[first : first + _ROWS]
            cells[first : first + _ROWS] = self._cells(part)
        return cells

    def _cells(self, points: np.ndarray) -> np.ndarray:
        total = np.broadcast_to(self.offsets, (len(points), *self.offsets.shape))
        for j in range(self.dimension):  # in this order, whatever the machine
            total = total + points[:, j, None, None] * self.directions[:, :, j]
        with np.errstate(over="ignore"):
            places = np.floor(total / self.width)
        if not (np.abs(places) < _LARGEST).all():
            raise ValueError(
                f"a point is too large for cells of width {self.width:g}: "
                f"the largest number is {np.abs(points).max():g}"
            )
        return places.astype(np.int64)

    def buckets(self, x: np.ndarray) -> np.ndarray:
        """Name the bucket of each point in each table.

        Parameters
        ----------
        x : array, shape (n, dimension)
            Points.

        Returns
        -------
        ndarray, shape (n, tables), uint64
            Keys of 64 bits, mixed from the numbers of the cells and of the table. Points in one
            bucket have one key. Two buckets share a key with probability 2⁻⁶⁴.

        Raises
        ------
        ValueError
            As `EuclideanLSH.cells`.

        Examples
        --------
        >>> keys = EuclideanLSH(dimension=3, tables=2).buckets(np.zeros((5, 3)))
        >>> keys.shape, len(np.unique(keys))
        ((5, 2), 2)
        """
        cells = self.cells(x).view(np.uint64)
        keys = np.broadcast_to(mixed(np.arange(self.tables, dtype=np.uint64)), cells.shape[:2])
        for i in range(self.projections):
            keys = mixed(keys ^ cells[:, :, i])
        return keys


class UniformHash(Parametrised):
    """Put each input into a bucket by chance: the control that knows nothing of distances.

    Equal inputs get equal buckets. Inputs that differ in one bit do not, but by chance.

    Parameters
    ----------
    dimension : int
        Numbers in an input, at least 1.
    count : int
        Buckets of each table, at least 1.
    tables, seed : int
        As for `EuclideanLSH`.

    Examples
    --------
    >>> router = UniformHash(dimension=2, count=10)
    >>> keys = router.buckets(np.array([[0.0, 1.0], [0.0, 1.0]]))
    >>> int(keys[0, 0]) == int(keys[1, 0]) < 10
    True
    """

    _names = ("dimension", "count", "tables", "seed")
    multiply_adds = 0

    def __init__(self, dimension: int, count: int, tables: int = 1, seed: int = 0) -> None:
        for name, value in {"dimension": dimension, "count": count, "tables": tables}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.dimension, self.count, self.tables, self.seed = dimension, count, tables, seed

    def buckets(self, x: np.ndarray) -> np.ndarray:
        """Name the bucket of each input (n, dimension) in each table: (n, tables), uint64."""
        bits = (checked_points(x, self.dimension) + 0.0).view(np.uint64)  # -0.0 becomes 0.0
        first = np.arange(self.tables, dtype=np.uint64) ^ mixed(np.array([self.seed], np.uint64))
        keys = np.broadcast_to(mixed(first), (len(bits), self.tables))
        for j in range(self.dimension):
            keys = mixed(keys ^ bits[:, j, None])
        return keys % np.uint64(self.count)


class Candidates:
    """The entries of a list that are near a point: all compared, or those of its buckets first.

    Parameters
    ----------
    entries : array, shape (m, dimension)
        For example a template of each dictionary of a bank. At least one.
    router : Router, optional
        Which entries are looked at: those that share a bucket with the point in any table. Without
        a router, or where there are none, all are looked at.

    Raises
    ------
    ValueError
        If the entries have another shape than (m, dimension) of the router, or hold a NaN.

    Examples
    --------
    >>> bank = Candidates(np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]]))
    >>> bank.nearest(np.array([0.9, 0.1]), count=2).tolist()
    [1, 0]
    """

    def __init__(self, entries: np.ndarray, router: Router | None = None) -> None:
        width = router.dimension if router is not None else np.atleast_1d(entries).shape[-1]
        self.entries = checked_points(entries, width, "entries")
        if not len(self.entries):
            raise ValueError("entries must hold at least one row, got none")
        self.router = router
        if router is not None:
            self._keys = router.buckets(self.entries)

    def sharing(self, point: np.ndarray) -> np.ndarray:
        """List the entries that are looked at for a point (dimension,): (c,) int64, ascending."""
        every = np.arange(len(self.entries))
        if self.router is None:
            return every
        keys = self.router.buckets(np.asarray(point, np.float64)[None])
        found = np.flatnonzero((self._keys == keys).any(1))
        return found if len(found) else every

    def nearest(self, point: np.ndarray, count: int = 1) -> np.ndarray:
        """List the nearest entries of those that are looked at, nearest first.

        Parameters
        ----------
        point : array, shape (dimension,)
        count : int
            How many at most, at least 1.

        Returns
        -------
        ndarray, shape (at most count,), int64
            Numbers of entries. Ties: the lowest number first.

        Raises
        ------
        ValueError
            If the point has another shape or holds a NaN, or count is below 1.

        Examples
        --------
        >>> router = EuclideanLSH(dimension=1, projections=1, width=1.0, tables=16)
        >>> Candidates(np.array([[0.0], [0.1], [40.0]]), router).nearest(np.array([0.04]), 3)
        array([0, 1])
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        (point,) = checked_points(np.asarray(point)[None], self.entries.shape[1], "point")
        found = self.sharing(point)
        distances = squared_distances(self.entries[found], point)
        return found[np.argsort(distances, kind="stable")[:count]]


def squared_distances(entries: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Sum the squared differences of entries (m, d) and a point (d,), in the order of coordinates.

    Examples
    --------
    >>> squared_distances(np.array([[0.0, 3.0], [1.0, 1.0]]), np.array([0.0, 1.0])).tolist()
    [4.0, 1.0]
    """
    total = np.zeros(len(entries))
    for column, value in zip(entries.T, point, strict=True):
        total = total + (column - value) ** 2
    return total


def mixed(keys: np.ndarray) -> np.ndarray:
    """Mix keys of 64 bits so that each bit of the result depends on each bit of the key.

    Parameters
    ----------
    keys : ndarray, uint64

    Returns
    -------
    ndarray, uint64, same shape
        The step of SplitMix64. Different keys have different results.

    Examples
    --------
    >>> [hex(key) for key in mixed(np.arange(2, dtype=np.uint64))]
    ['0xe220a8397b1dcdaf', '0x910a2dec89025cc1']
    """
    z = keys + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX[0]
    z = (z ^ (z >> np.uint64(27))) * _MIX[1]
    return z ^ (z >> np.uint64(31))


def checked_points(
    x: np.ndarray | Sequence[Sequence[float]], d: int, name: str = "x"
) -> np.ndarray:
    """Return points as float64 of shape (n, d), or refuse them.

    Examples
    --------
    >>> checked_points([[1, 2]], 2)
    array([[1., 2.]])
    >>> checked_points([[1, 2]], 3)
    Traceback (most recent call last):
        ...
    ValueError: x must have shape (n, 3), got (1, 2)
    """
    points = np.ascontiguousarray(x, np.float64)
    if points.ndim != 2 or points.shape[1] != d:
        raise ValueError(f"{name} must have shape (n, {d}), got {points.shape}")
    bad = np.argwhere(~np.isfinite(points))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"{name} holds {points[row, column]} in row {row}, column {column}")
    return points
