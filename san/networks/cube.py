"""Functions on the cube {−1, 1}ⁿ: Fourier weight, influence, noise, and regression of low degree.

A function is the list of its 2ⁿ values. The value at place p belongs to the point whose coordinate
i is −1 if bit i of p is set, and 1 if it is not (`points` lists them). Such a function is a sum of
ĥ(S) Π_{i∈S} x_i over all sets S of coordinates; the size of S is its degree.
"""

import math
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: Coordinates of a cube whose values may be listed: 2²⁴ numbers are 128 MiB.
MAX_LISTED = 24
#: Monomials of a regression: the square of their number is the size of its system.
_MAX_MONOMIALS = 20_000


def points(n: int, start: int = 0, stop: int | None = None) -> Floats:
    """List points of the cube in the order of the values of a function.

    Parameters
    ----------
    n : int
        Number of coordinates, 1 to 62.
    start, stop : int
        Which places; by default all 2ⁿ.

    Returns
    -------
    ndarray of float64, shape (stop − start, n)
        −1 where the bit is set.

    Raises
    ------
    ValueError
        If n is not from 1 to 62, or the places are not within 0 and 2ⁿ.

    Examples
    --------
    >>> points(2).tolist()
    [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]
    """
    if not 1 <= n <= 62:
        raise ValueError(f"a cube has 1 to 62 coordinates here, got {n}")
    stop = 2**n if stop is None else stop
    if not 0 <= start <= stop <= 2**n:
        raise ValueError(f"places of a cube are within 0 and {2**n}, got {start} to {stop}")
    places = np.arange(start, stop, dtype=np.int64)
    return np.asarray(1.0 - 2.0 * (places[:, None] >> np.arange(n) & 1))


def fourier_weight(values: ArrayLike) -> Floats:
    """Return the Fourier weight of a function on the cube at each degree.

    Parameters
    ----------
    values : array_like, shape (2ⁿ,)
        In the order of `points(n)`, n from 0 to 24.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        Σ ĥ(S)² over the sets S of size 0, 1, ..., n. The sum over all degrees is the mean square of
        the function, and without degree 0 it is the variance.

    Raises
    ------
    ValueError
        If the number of values is not 2ⁿ, or a value is not finite.

    References
    ----------
    O'Donnell, *Analysis of Boolean Functions*, 2014, chapter 1.

    Examples
    --------
    >>> x = points(3)
    >>> fourier_weight(2 + x[:, 0] * x[:, 2]).tolist()
    [4.0, 0.0, 1.0, 0.0]
    """
    coefficients, n = _checked(values).copy(), _coordinates(values)
    for i in range(n):
        pairs = coefficients.reshape(-1, 2, 2**i)
        total = pairs[:, 0] + pairs[:, 1]
        pairs[:, 1] = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] = total
    coefficients /= len(coefficients)
    degrees = np.bitwise_count(np.arange(len(coefficients)))
    weight = np.bincount(degrees, weights=coefficients**2, minlength=n + 1)
    return weight.astype(float)


def influence(values: ArrayLike) -> float:
    """Return the total influence of a function on the cube: how much it changes at single flips.

    Parameters
    ----------
    values : array_like, shape (2ⁿ,)
        In the order of `points(n)`.

    Returns
    -------
    float
        ¼ Σ_i E (h(x) − h(x with coordinate i flipped))². It equals Σ_S |S| ĥ(S)².

    Raises
    ------
    ValueError
        As `fourier_weight`.

    References
    ----------
    O'Donnell, *Analysis of Boolean Functions*, 2014, section 2.2.

    Examples
    --------
    >>> x = points(3)
    >>> influence(2 + x[:, 0] * x[:, 2])
    2.0
    """
    h, n = _checked(values), _coordinates(values)
    total = 0.0
    for i in range(n):
        pairs = h.reshape(-1, 2, 2**i)
        total += float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2))
    return total / 4


def influence_bound(active: int, length: float) -> float:
    """Return 4 k² W², which no network with at most k active units on the cube exceeds.

    Its weights have at most the length W, and its second layer at most the size 1. So the Fourier
    weight above degree D is at most this number over D, whatever the width of the network.

    Parameters
    ----------
    active : int
        k.
    length : float
        W.

    Returns
    -------
    float

    References
    ----------
    The proof is on the page "Sparse hidden layers: the theory".

    Examples
    --------
    >>> influence_bound(active=3, length=1.0)
    36.0
    """
    return 4.0 * active**2 * length**2


def noise_sensitivity(weight: ArrayLike, rate: float) -> float:
    """Return how much a function changes when each coordinate flips with a probability.

    Parameters
    ----------
    weight : array_like, shape (n + 1,)
        Its Fourier weight by degree (`fourier_weight`).
    rate : float
        The probability δ, 0 to ½.

    Returns
    -------
    float
        ¼ E (h(x) − h(y))² = ½ Σ_k (1 − (1−2δ)^k) weight_k. For a function with the values −1 and 1
        it is the probability that the two values differ.

    Raises
    ------
    ValueError
        If the rate is not from 0 to ½.

    References
    ----------
    O'Donnell, *Analysis of Boolean Functions*, 2014, section 2.4.

    Examples
    --------
    >>> round(noise_sensitivity([0.0, 1.0], 0.1), 9)
    0.1
    """
    if not 0 <= rate <= 0.5:
        raise ValueError(f"the rate of noise must be from 0 to 0.5, got {rate}")
    kept = (1 - 2 * rate) ** np.arange(len(np.asarray(weight)))
    return float(np.sum((1 - kept) * np.asarray(weight, dtype=float)) / 2)


class LowDegreeRegression:
    """Ridge regression on all products of at most `degree` coordinates.

    Parameters
    ----------
    degree : int
        Of the products, at least 0.
    penalty : float
        Of the squared coefficients, at least 0; the mean of y is never penalised.

    Raises
    ------
    ValueError
        If degree or penalty is negative.

    References
    ----------
    Linial, Mansour & Nisan, *Constant depth circuits, Fourier transform, and learnability*, 1993.

    Examples
    --------
    >>> x = points(4)
    >>> y = 1 + x[:, 0] * x[:, 3]
    >>> LowDegreeRegression(degree=2, penalty=0.0).fit(x, y).predict(x[:3]).round(9).tolist()
    [2.0, 0.0, 2.0]
    """

    def __init__(self, degree: int = 2, penalty: float = 1.0) -> None:
        if degree < 0 or not penalty >= 0:
            raise ValueError(f"degree and penalty must not be negative, got {degree} and {penalty}")
        self.degree, self.penalty = degree, penalty

    def fit(self, x: ArrayLike, y: ArrayLike) -> "LowDegreeRegression":
        """Find the coefficients.

        Parameters
        ----------
        x : array_like, shape (m, n)
            Coordinates, such as −1 and 1.
        y : array_like, shape (m,)
            Values.

        Returns
        -------
        LowDegreeRegression
            Itself.

        Raises
        ------
        ValueError
            If the shapes do not fit, x is empty, or there are more than 20,000 products.
        """
        inputs, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if inputs.ndim != 2 or values.shape != inputs.shape[:1] or not len(inputs):
            raise ValueError(
                f"x must be (m, n) and y (m,) with m > 0, got {inputs.shape} and {values.shape}"
            )
        self._mean = float(values.mean())
        products = self._products(inputs)
        self._centre = products.mean(0)
        products -= self._centre
        target = values - self._mean
        count, rows = products.shape[1], len(products)
        if not self.penalty:
            self._coefficients = np.linalg.lstsq(products, target)[0]
        elif count <= rows:
            system = products.T @ products + self.penalty * np.eye(count)
            self._coefficients = np.linalg.solve(system, products.T @ target)
        else:  # the same coefficients from the smaller system
            system = products @ products.T + self.penalty * np.eye(rows)
            self._coefficients = products.T @ np.linalg.solve(system, target)
        return self

    def predict(self, x: ArrayLike) -> Floats:
        """Return the value at each row of x.

        Parameters
        ----------
        x : array_like, shape (m, n)
            As for `fit`.

        Returns
        -------
        ndarray of float64, shape (m,)
        """
        products = self._products(np.asarray(x, dtype=float))
        return np.asarray(self._mean + (products - self._centre) @ self._coefficients)

    def _products(self, inputs: Floats) -> Floats:
        """All products of 1 to `degree` different coordinates, one in each column."""
        n = inputs.shape[1]
        degrees = range(1, min(self.degree, n) + 1)
        count = sum(math.comb(n, degree) for degree in degrees)
        if count > _MAX_MONOMIALS:
            raise ValueError(
                f"degree {self.degree} of {n} coordinates has {count} products, more than "
                f"{_MAX_MONOMIALS}: take a lower degree"
            )
        columns = [inputs[:, list(s)].prod(1) for k in degrees for s in combinations(range(n), k)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(inputs), 0))


def _checked(values: ArrayLike) -> Floats:
    h = np.asarray(values, dtype=float)
    if h.ndim != 1 or not len(h) or len(h) & (len(h) - 1) or len(h) > 2**MAX_LISTED:
        raise ValueError(
            f"a function on the cube has 2ⁿ values, n up to {MAX_LISTED}, got the shape {h.shape}"
        )
    if not np.isfinite(h).all():
        raise ValueError("values must be finite, got a NaN or an infinity")
    return h


def _coordinates(values: ArrayLike) -> int:
    return len(np.asarray(values)).bit_length() - 1
