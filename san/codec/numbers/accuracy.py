"""How far a decoded signal is from the original: the numbers that a stream states of itself.

Blocks of a signal are added one after the other, and only sums are kept. NaN and infinities do not
count. Numbers are scaled by a power of two before they are squared, so that no square is too large
or too small for a float.
"""

import math
from typing import NamedTuple

import numpy as np


class _Sums(NamedTuple):
    """Of one channel's samples divided by 2**exponent."""

    exponent: int = 0
    samples: int = 0
    mean: float = 0.0
    spread: float = 0.0  # squared differences from the mean
    square: float = 0.0
    error: float = 0.0  # squared

    def scaled(self, exponent: int) -> "_Sums":
        less = self.exponent - exponent
        mean = math.ldexp(self.mean, less)
        spread, square, error = (math.ldexp(v, 2 * less) for v in self[3:])
        return _Sums(exponent, self.samples, mean, spread, square, error)


class Accuracy:
    """Error and spread of each channel, over all blocks that were added.

    Parameters
    ----------
    channels : int

    Attributes
    ----------
    largest_error : float
        Of any sample of any channel, in the signal's units.

    Examples
    --------
    >>> accuracy = Accuracy(1)
    >>> accuracy.add(np.array([[3], [5]]), np.array([[3], [4]]))
    >>> accuracy.largest_error, round(accuracy.prdn, 6)
    (1.0, 70.710678)
    """

    def __init__(self, channels: int) -> None:
        self.largest_error = 0.0
        self._sums = [_Sums()] * channels

    @property
    def prdn(self) -> float:
        """The largest PRDN of a channel, in per cent; infinite if a constant one has an error."""
        return self._percent("spread")

    @property
    def prd(self) -> float:
        """The same without the mean subtracted."""
        return self._percent("square")

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Add a block: x and y, (n, channels) of the same dtype."""
        for channel in range(x.shape[1]):
            self._add_channel(channel, x[:, channel], y[:, channel])

    def merge(self, other: "Accuracy") -> None:
        """Add all blocks that were added to another."""
        self.largest_error = max(self.largest_error, other.largest_error)
        for channel, sums in enumerate(other._sums):
            self._merge(channel, sums)

    def copy(self) -> "Accuracy":
        """The same errors and spreads, to which other blocks can be added."""
        other = Accuracy(len(self._sums))
        other.merge(self)
        return other

    def _add_channel(self, channel: int, x: np.ndarray, y: np.ndarray) -> None:
        finite = np.isfinite(x)
        if not finite.all():
            x, y = x[finite], y[finite]
        if not x.size:
            return
        x, y = x.astype(np.float64), y.astype(np.float64)
        with np.errstate(over="ignore"):  # of two numbers near the ends of float64
            self.largest_error = max(self.largest_error, float(np.abs(x - y).max()))
        exponent = math.frexp(max(float(np.abs(x).max()), float(np.abs(y).max())))[1]
        x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
        mean = float(x.mean())
        spread, square = float(np.square(x - mean).sum()), float(np.square(x).sum())
        error = float(np.square(x - y).sum())
        self._merge(channel, _Sums(exponent, x.size, mean, spread, square, error))

    def _merge(self, channel: int, other: "_Sums") -> None:
        if other.samples == 0:
            return
        own = self._sums[channel]
        if own.samples == 0:
            self._sums[channel] = other
            return
        exponent = max(own.exponent, other.exponent)
        a, b = own.scaled(exponent), other.scaled(exponent)
        away, share = b.mean - a.mean, b.samples / (a.samples + b.samples)
        spread = a.spread + b.spread + away**2 * a.samples * share
        samples, mean = a.samples + b.samples, a.mean + away * share
        self._sums[channel] = _Sums(
            exponent, samples, mean, spread, a.square + b.square, a.error + b.error
        )

    def _percent(self, whole: str) -> float:
        worst = 0.0
        for sums in self._sums:
            if sums.error > 0:
                of = getattr(sums, whole)
                worst = max(worst, 100 * math.sqrt(sums.error / of) if of > 0 else math.inf)
        return worst
