"""Regression with an expert in each bucket of a router: a constant, or a linear function."""

from typing import Any, NamedTuple

import numpy as np

from san.networks.work import Work
from san.routing import Parametrised, Router, checked_points

DEGREES = (0, 1)

_VALUES = 1 << 22  # of the products that are summed together
_RIDGE = 1.0  # see `BucketedRegression`: one sample more in each bucket


class _Table(NamedTuple):
    """The experts of a table, by ascending key."""

    keys: np.ndarray  # (b,), uint64
    counts: np.ndarray  # (b,)
    centres: np.ndarray  # (b, d), the mean input of each; (b, 0) for constants
    means: np.ndarray  # (b, outputs)
    slopes: np.ndarray  # (b, d, outputs)


class BucketedRegression(Parametrised):
    """Predict with the expert of the bucket that an input falls into.

    Each bucket of each table of the router has an expert of its own. A constant is the mean of the
    bucket's training targets; a linear function is fitted to them. The prediction is the mean over
    the tables in which the bucket has an expert. Where no table has one, it is the mean of all
    training targets.

    It follows the protocol of scikit-learn's regressors (`fit`, `predict`, `score`, `get_params`,
    `set_params`), and does not need scikit-learn.

    Parameters
    ----------
    router : Router
        For example `san.networks.EuclideanLSH`.
    degree : {0, 1}
        Of an expert: 0 is a constant, 1 a linear function.
    ridge : float
        At least 0. A linear expert minimises its squared error plus ridge · v · |slope|², where v
        is the mean variance of the coordinates of its own inputs. So it weighs as much as that many
        samples without a slope, whatever the size of the bucket.

    Attributes
    ----------
    n_features_in_ : int
        Numbers in an input.
    mean_ : ndarray, shape (outputs,)
        Mean training target.
    buckets_ : list of int
        Buckets with an expert, for each table.
    samples_ : list of ndarray
        Training samples of each of these buckets, for each table.

    Notes
    -----
    If the target changes by at most L times the distance of two inputs, a constant that is a value
    of the target in the bucket errs by at most L times the bucket's diameter δ, and the mean of
    the target in the bucket by at most L²δ²/4 in the mean square.

    References
    ----------
    Baykal et al., *A Theoretical View on Sparsely Activated Networks*, 2022, arXiv 2208.04461.

    Examples
    --------
    >>> from san.routing import EuclideanLSH
    >>> x = np.linspace(-1, 1, 400)[:, None]
    >>> model = BucketedRegression(EuclideanLSH(1, projections=4, width=0.2), degree=1)
    >>> model.fit(x, np.sin(3 * x[:, 0])).score(x, np.sin(3 * x[:, 0])) > 0.99
    True
    >>> model.predict(np.array([[0.5], [99.0]])).round(1)
    array([1., 0.])
    >>> model.is_known(np.array([[0.5], [99.0]])).ravel()
    array([ True, False])
    """

    _names = ("router", "degree", "ridge")
    _estimator_type = "regressor"

    def __init__(self, router: Router, degree: int = 0, ridge: float = _RIDGE) -> None:
        self.router = router
        self.degree = degree
        self.ridge = ridge

    def fit(self, X: np.ndarray, y: np.ndarray) -> "BucketedRegression":
        """Fit an expert to each bucket.

        Parameters
        ----------
        X : array, shape (n, dimension)
            Inputs, at least one.
        y : array, shape (n,) or (n, outputs)
            Targets.

        Returns
        -------
        BucketedRegression
            Itself.

        Raises
        ------
        ValueError
            If shapes do not fit, a number is NaN or infinite, there is no input, or `degree` or
            `ridge` is out of range.
        """
        if self.degree not in DEGREES:
            raise ValueError(f"degree must be 0 or 1, got {self.degree!r}")
        if not 0 <= self.ridge < np.inf:
            raise ValueError(f"ridge must be a number of at least 0, got {self.ridge!r}")
        x = checked_points(X, self.router.dimension, "X")
        targets = np.asarray(y, np.float64)
        self._flat = targets.ndim == 1
        targets = checked_points(targets[:, None] if self._flat else targets, _columns(y), "y")
        if not len(x) or len(x) != len(targets):
            raise ValueError(
                f"X and y must have equal lengths above 0, got {len(x)}, {len(targets)}"
            )
        self.n_features_in_ = x.shape[1]
        self.mean_ = targets.mean(0)
        keys = self.router.buckets(x)
        self._tables = [self._fitted(column, x, targets) for column in keys.T]
        self.samples_ = [table.counts for table in self._tables]
        self.buckets_ = [len(table.keys) for table in self._tables]
        return self

    def _fitted(self, keys: np.ndarray, x: np.ndarray, y: np.ndarray) -> _Table:
        order = np.argsort(keys, kind="stable")
        keys, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
        y = y[order]
        means = np.add.reduceat(y, starts) / counts[:, None]
        if self.degree == 0:
            empty = np.empty((len(keys), 0))
            return _Table(keys, counts, empty, means, empty[:, :, None])
        x = x[order]
        centres = np.add.reduceat(x, starts) / counts[:, None]
        slopes = np.empty((len(keys), x.shape[1], y.shape[1]))
        for first, last in _runs(counts, x.shape[1] * max(x.shape[1], y.shape[1])):
            rows = slice(starts[first], starts[last - 1] + counts[last - 1])
            own = np.repeat(np.arange(first, last), counts[first:last])
            begin = starts[first:last] - starts[first]
            from_centre, from_mean = x[rows] - centres[own], y[rows] - means[own]
            gram = np.add.reduceat(from_centre[:, :, None] * from_centre[:, None], begin)
            right = np.add.reduceat(from_centre[:, :, None] * from_mean[:, None], begin)
            slopes[first:last] = _solved(gram, right, self.ridge / counts[first:last])
        return _Table(keys, counts, centres, means, slopes)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict targets for inputs (n, dimension): (n,) or (n, outputs), as those of `fit`."""
        x = self._checked(X)
        keys = self.router.buckets(x)
        total = np.zeros((len(x), len(self.mean_)))
        number = np.zeros(len(x))
        for column, table in zip(keys.T, self._tables, strict=True):
            place, known = _found(table.keys, column)
            value = table.means[place]
            if self.degree:
                value = value + np.einsum(
                    "ni,nio->no", x - table.centres[place], table.slopes[place]
                )
            total += np.where(known[:, None], value, 0)
            number += known
        answer = np.where(number[:, None] > 0, total / np.maximum(number, 1)[:, None], self.mean_)
        return answer[:, 0] if self._flat else answer

    def is_known(self, X: np.ndarray) -> np.ndarray:
        """Say for inputs (n, dimension) in which tables their bucket has an expert: (n, tables)."""
        keys = self.router.buckets(self._checked(X))
        columns = zip(keys.T, self._tables, strict=True)
        return np.stack([_found(table.keys, column)[1] for column, table in columns], axis=1)

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return R², 1 minus the squared error over the variance of y; mean over the outputs."""
        targets = np.asarray(y, np.float64)
        error = ((targets - self.predict(X)) ** 2).mean(0)
        return float(np.mean(1 - error / targets.var(0)))

    def work(self) -> Work:
        """Count what one prediction costs; after `fit`."""
        self._checked(np.zeros((0, self.router.dimension)))
        each = 1 + self.degree * self.router.dimension
        expert = each * len(self.mean_) * self.router.tables
        kept = each * len(self.mean_) + self.degree * self.router.dimension  # and the centre
        lines = self.router.multiply_adds
        return Work(self.router.tables, expert, expert + lines, kept * sum(self.buckets_) + lines)

    def _checked(self, X: np.ndarray) -> np.ndarray:
        if not hasattr(self, "_tables"):
            raise ValueError("this BucketedRegression is not fitted: call fit first")
        return checked_points(X, self.router.dimension, "X")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_tables")

    def __sklearn_tags__(self) -> Any:  # only scikit-learn calls this
        from sklearn.utils import RegressorTags, Tags, TargetTags

        return Tags("regressor", TargetTags(required=True), regressor_tags=RegressorTags())


def _columns(y: Any) -> int:
    shape = np.shape(y)
    return shape[1] if len(shape) == 2 else 1


def _runs(counts: np.ndarray, values: int) -> list[tuple[int, int]]:
    """Cut buckets into runs, each with a bounded number of products (or one bucket)."""
    at_once = max(1, _VALUES // values)
    number = (np.cumsum(counts) - 1) // at_once
    borders = np.flatnonzero(np.diff(number)) + 1
    return [*zip([0, *borders.tolist()], [*borders.tolist(), len(counts)], strict=True)]


def _solved(gram: np.ndarray, right: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Solve (gram + share · mean of its diagonal) slope = right for each bucket.

    Where the share is 0, that is the shortest solution; where the gram is 0, zeros.
    """
    penalty = share * np.trace(gram, axis1=1, axis2=2) / gram.shape[1]
    if not share.all():
        return np.linalg.pinv(gram, hermitian=True) @ right
    penalty[penalty == 0] = 1  # inputs that are all equal: right is 0 as well
    return np.linalg.solve(gram + penalty[:, None, None] * np.eye(gram.shape[1]), right)


def _found(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find keys in ascending ones: their places, and whether they are there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return place, keys[place] == wanted
