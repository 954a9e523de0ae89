"""Networks with a random first layer: all units, the top k of each input, or a block by chance."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from san.activations import relu, top_k_absolutes
from san.networks.work import Work, two_layers
from san.routing import Parametrised, UniformHash, checked_points

Mask = Literal["dense", "top_k", "hash"]

_ROWS = 4096  # inputs whose hidden layer is computed together


class RandomFeatures(Parametrised):
    """A network of one hidden layer, whose first layer is random and whose second layer is fitted.

    The hidden layer is ReLU of a linear function, and the mask says which of its units take part:
    "dense" all, "top_k" the largest ones of each input (a data-dependent sparse model, DSM), "hash"
    one block of units that a uniform hash of the input chooses.

    Parameters
    ----------
    dimension : int
        Numbers in an input, at least 1.
    width : int
        Hidden units, at least 1.
    active : int or None
        Units that take part, 1 ... width; None for all. For "hash" it must divide the width.
    mask : {"dense", "top_k", "hash"}
        See above. "dense" takes no `active`.
    ridge : float
        Above 0: the penalty on the squared weights of the second layer, per training sample.
    seed : int
        Of NumPy's `default_rng`: weights from N(0, 1/dimension), biases uniform in [-1, 1].

    Raises
    ------
    ValueError
        If a number is out of range, or the mask has another name.

    References
    ----------
    Baykal et al., *A Theoretical View on Sparsely Activated Networks*, 2022, arXiv 2208.04461,
    section 5.

    Examples
    --------
    >>> x = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    >>> y = np.abs(x[:, 0])
    >>> sparse = RandomFeatures(2, width=64, active=8, mask="top_k").fit(x, y)
    >>> sparse.score(x, y) > 0.9, sparse.work().active
    (True, 8)
    """

    _names = ("dimension", "width", "active", "mask", "ridge", "seed")

    def __init__(
        self,
        dimension: int,
        width: int,
        active: int | None = None,
        mask: Mask = "dense",
        ridge: float = 1e-6,
        seed: int = 0,
    ) -> None:
        if dimension < 1 or width < 1:
            raise ValueError(f"dimension and width must be at least 1, got {dimension}, {width}")
        if mask not in ("dense", "top_k", "hash"):
            raise ValueError(f"mask must be dense, top_k or hash, got {mask!r}")
        if mask == "dense" and active not in (None, width):
            raise ValueError(f"in a dense network all units take part, got active={active}")
        if active is not None and not 1 <= active <= width:
            raise ValueError(f"active must be 1 ... {width}, got {active}")
        if mask == "hash" and width % (active or width):
            raise ValueError(f"active must divide the width {width}, got {active}")
        if not 0 < ridge < np.inf:
            raise ValueError(f"ridge must be a number above 0, got {ridge}")
        self.dimension, self.width, self.active = dimension, width, active
        self.mask, self.ridge, self.seed = mask, ridge, seed
        chance = np.random.default_rng(seed)
        weights = chance.standard_normal((dimension, width)) / np.sqrt(dimension)
        self._weights = torch.from_numpy(weights.astype(np.float32))
        self._biases = torch.from_numpy(chance.uniform(-1, 1, width).astype(np.float32))

    def hidden(self, x: np.ndarray) -> Tensor:
        """Compute the hidden layer of inputs (n, dimension): (n, width), float32, masked."""
        points = checked_points(x, self.dimension)
        units = torch.from_numpy(points.astype(np.float32)) @ self._weights + self._biases
        after = relu(units[:, None])  # a hidden layer is a signal of one channel
        if self.mask == "top_k" and self.active is not None:
            after = top_k_absolutes(after, self.active)
        if self.mask == "hash" and self.active is not None:
            blocks = UniformHash(self.dimension, self.width // self.active, seed=self.seed)
            chosen = torch.from_numpy(blocks.buckets(points).astype(np.int64))
            own = torch.arange(self.width) // self.active
            after = after * (own == chosen)[:, None]
        return after[:, 0]

    def fit(self, X: np.ndarray, y: np.ndarray) -> "RandomFeatures":
        """Fit the second layer to inputs (n, dimension) and targets (n,) or (n, outputs)."""
        targets = np.asarray(y, np.float64)
        self._flat = targets.ndim == 1
        targets = targets.reshape(len(targets), -1)
        if not len(X) or len(X) != len(targets):
            raise ValueError(
                f"X and y must have equal lengths above 0, got {len(X)}, {len(targets)}"
            )
        size = self.width + 1
        gram, right = np.zeros((size, size)), np.zeros((size, targets.shape[1]))
        for first in range(0, len(X), _ROWS):
            hidden = self._with_one(X[first : first + _ROWS])
            gram += (hidden.T @ hidden).numpy()
            right += hidden.T.numpy() @ targets[first : first + _ROWS]
        penalty = np.full(size, self.ridge * len(X))
        penalty[-1] = 0  # the constant
        self._second = np.linalg.solve(gram + np.diag(penalty), right)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict targets for inputs (n, dimension): (n,) or (n, outputs), as those of `fit`."""
        if not hasattr(self, "_second"):
            raise ValueError("this RandomFeatures is not fitted: call fit first")
        parts = [
            self._with_one(X[first : first + _ROWS]).numpy() @ self._second
            for first in range(0, len(X), _ROWS)
        ]
        answer = np.concatenate(parts) if parts else np.empty((0, self._second.shape[1]))
        return answer[:, 0] if self._flat else answer

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        """Return R², 1 minus the squared error over the variance of y; mean over the outputs."""
        targets = np.asarray(y, np.float64)
        error = ((targets - self.predict(X)) ** 2).mean(0)
        return float(np.mean(1 - error / targets.var(0)))

    def work(self, outputs: int = 1) -> Work:
        """Count what one prediction costs."""
        active = self.active or self.width
        return two_layers(self.dimension, self.width, active, outputs, self.mask == "top_k")

    def _with_one(self, x: np.ndarray) -> Tensor:
        hidden = self.hidden(x)
        return torch.cat([hidden, hidden.new_ones(len(hidden), 1)], dim=1)
