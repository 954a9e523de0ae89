"""The functions that networks are tested with, and the inputs of these: all from a seed.

Every target is called with inputs (n, dimension), and gives values (n,) and gradients
(n, dimension). The largest norm of a gradient over many inputs estimates its Lipschitz constant.
"""

import itertools

import numpy as np

from san.routing import checked_points

_SUM = 0.99  # of the |coefficients| of a polynomial: below 1, as published
_ROWS = 512  # inputs that are computed together


class RandomPolynomial:
    """A polynomial with random coefficients, whose absolute values sum to less than 1.

    Parameters
    ----------
    dimension : int
        Numbers in an input, at least 1.
    degree : int
        The largest total degree, at least 0.
    seed : int
        Of the coefficients.

    References
    ----------
    Baykal et al. 2022, arXiv 2208.04461, section 5.

    Examples
    --------
    >>> target = RandomPolynomial(dimension=8, degree=4, seed=0)
    >>> x = np.random.default_rng(0).uniform(-1, 1, (5, 8))
    >>> target(x).shape, bool(np.abs(target(x)).max() < 1), len(target.coefficients)
    ((5,), True, 495)
    """

    def __init__(self, dimension: int, degree: int = 4, seed: int = 0) -> None:
        if dimension < 1 or degree < 0:
            raise ValueError(
                f"dimension must be at least 1 and degree at least 0, got {dimension}, {degree}"
            )
        self.dimension, self.degree, self.seed = dimension, degree, seed
        factors = itertools.combinations_with_replacement(range(dimension + 1), degree)
        self.factors = np.array([*factors], np.int64)  # 0 stands for 1, i for coordinate i - 1
        coefficients = np.random.default_rng(seed).standard_normal(len(self.factors))
        self.coefficients = _SUM * coefficients / np.abs(coefficients).sum()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the values (n,) at inputs (n, dimension)."""
        points = checked_points(x, self.dimension)
        values = [self.coefficients @ self._factors(part).prod(0) for part in _parts(points)]
        return np.concatenate(values) if values else np.empty(0)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradients (n, dimension) at inputs (n, dimension)."""
        points = checked_points(x, self.dimension)
        gradients = [self._gradient(self._factors(part)) for part in _parts(points)]
        return np.concatenate(gradients) if gradients else points

    def _factors(self, points: np.ndarray) -> np.ndarray:
        """The factors of each monomial at each input: (degree, monomials, n)."""
        return np.concatenate([np.ones((1, len(points))), points.T])[self.factors.T]

    def _gradient(self, factors: np.ndarray) -> np.ndarray:
        gradient = np.zeros((factors.shape[2], self.dimension))
        for place in range(self.degree):
            others = np.delete(factors, place, axis=0).prod(0)
            own = self.factors[:, place, None] == np.arange(1, self.dimension + 1)
            gradient += others.T @ (self.coefficients[:, None] * own)
        return gradient


class HypercubeFunction:
    """The function that is linear in each coordinate, with random signs at the corners.

    f(x) = Σ_y v_y Π_i (1 + y_i x_i) / 2 over the corners y of the cube [-1, 1]^dimension, and
    v_y = ±1 with probability ½.

    Parameters
    ----------
    dimension : int
        Numbers in an input, 1 ... 20.
    seed : int
        Of the signs.

    References
    ----------
    Baykal et al. 2022, arXiv 2208.04461, section 5.

    Examples
    --------
    >>> target = HypercubeFunction(dimension=2, seed=0)
    >>> corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    >>> bool((target(corners) == target.signs.ravel()).all())
    True
    """

    def __init__(self, dimension: int, seed: int = 0) -> None:
        if not 1 <= dimension <= 20:
            raise ValueError(f"dimension must be 1 ... 20, got {dimension}")
        self.dimension, self.seed = dimension, seed
        chance = np.random.default_rng(seed)
        self.signs = 2.0 * chance.integers(0, 2, [2] * dimension) - 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the values (n,) at inputs (n, dimension)."""
        return self._contracted(checked_points(x, self.dimension), None)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradients (n, dimension) at inputs (n, dimension)."""
        points = checked_points(x, self.dimension)
        return np.stack([self._contracted(points, i) for i in range(self.dimension)], axis=1)

    def _contracted(self, points: np.ndarray, derived: int | None) -> np.ndarray:
        """Take the mean over one coordinate after the other, or the slope along one of them."""
        parts = []
        rows = max(1, _ROWS * 2048 >> self.dimension)
        for part in _parts(points, rows):
            values = np.broadcast_to(self.signs, (len(part), *self.signs.shape))
            for i in range(self.dimension):
                low, high = values[:, 0], values[:, 1]
                share = part[:, i].reshape(-1, *[1] * (low.ndim - 1))
                values = (
                    (high - low) / 2
                    if i == derived
                    else ((1 - share) * low + (1 + share) * high) / 2
                )
            parts.append(values)
        return np.concatenate(parts) if parts else np.empty(0)


def cube(number: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Draw inputs, uniform in the cube [-1, 1]^dimension: (number, dimension).

    Examples
    --------
    >>> cube(3, 2).shape
    (3, 2)
    """
    return np.random.default_rng(seed).uniform(-1, 1, (number, dimension))


def subspace(number: int, dimension: int, of: int, seed: int = 0) -> np.ndarray:
    """Draw inputs from a random subspace, uniform in its part that lies in the cube.

    Parameters
    ----------
    number : int
        n
    dimension : int
        k, of the subspace, 1 ... of.
    of : int
        d, of the space around it.
    seed : int
        Of the subspace and the inputs.

    Returns
    -------
    ndarray, shape (n, d), float64

    Raises
    ------
    ValueError
        If the subspace is larger than the space.

    Examples
    --------
    >>> x = subspace(50, dimension=2, of=10)
    >>> x.shape, int(np.linalg.matrix_rank(x)), bool((np.abs(x) <= 1).all())
    ((50, 10), 2, True)
    """
    if not 1 <= dimension <= of:
        raise ValueError(f"dimension must be 1 ... {of}, got {dimension}")
    chance = np.random.default_rng(seed)
    basis = np.linalg.qr(chance.standard_normal((of, dimension)))[0]
    radius = np.sqrt(of)  # no corner of the cube is farther away
    found = np.empty((0, of))
    while len(found) < number:
        points = chance.uniform(-radius, radius, (8 * _ROWS, dimension)) @ basis.T
        found = np.concatenate([found, points[(np.abs(points) <= 1).all(1)]])
    return found[:number]


def _parts(points: np.ndarray, rows: int = _ROWS) -> list[np.ndarray]:
    return [points[first : first + rows] for first in range(0, len(points), rows)]
