"""What a reconstruction is worth: φ and its two parts, and the codec's measures, in NumPy alone.

Every function is pure and returns one value per signal, in float64. An array of one axis is one
signal and gives a number; of more axes, the first counts the signals and gives an array (N,).
CPU tensors are taken as arrays. `inverse_compression_ratio` counts numbers, as the paper does;
bytes are another matter and never share its name.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from san import deprecated

#: What `inverse_compression_ratio` may count of a kernel.
COUNTED_WEIGHTS = ("all", "published")


def phi(inverse_compression_ratio: ArrayLike, normalized_loss: ArrayLike) -> Any:
    """Join the size of a description and its loss into one number; smaller is better.

    Parameters
    ----------
    inverse_compression_ratio, normalized_loss : array_like, the same shape
        CR⁻¹ and the loss over that of a reconstruction of zeros, one per signal.

    Returns
    -------
    float or ndarray, the same shape
        φ = sqrt(CR⁻¹² + loss²). The mean φ of a data set is the mean over its signals, not the φ
        of the means.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II.

    Examples
    --------
    >>> float(phi(0.3, 0.4))
    0.5
    """
    return np.hypot(inverse_compression_ratio, normalized_loss)


@deprecated.arguments(weights="counted_weights")
def inverse_compression_ratio(
    activations: ArrayLike,
    kernel_sizes: Sequence[int | Sequence[int]],
    channels: int = 1,
    counted_weights: str = "all",
) -> np.ndarray:
    """Count the numbers that describe each signal, per sample of the signal.

    Parameters
    ----------
    activations : array_like, shape (N, q, *size)
        Activation maps of the q kernels; what is exactly zero is not counted.
    kernel_sizes : sequence of q ints or of q sequences of ints
        Size of each kernel, along each axis (a single number: along every axis).
    channels : int
        Channels of the signal. Each event is counted once; kernels have weights per channel.
    counted_weights : {"all", "published"}
        "all" counts every weight of a kernel; "published" counts its first axis only, which is
        what the published two-dimensional results did.

    Returns
    -------
    ndarray, shape (N,), float64
        CR⁻¹ = (W + (dim + 1) A) / n, with W weights, A activations, dim spatial axes, n samples.

    Raises
    ------
    ValueError
        If the shapes do not fit or `counted_weights` is something else.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II.

    Examples
    --------
    >>> inverse_compression_ratio([[[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]], [2]).tolist()
    [0.5]
    """
    maps = np.asarray(activations)
    if maps.ndim < 3 or maps.shape[1] != len(kernel_sizes):
        raise ValueError(
            f"activations must have shape (N, {len(kernel_sizes)}, *size) for "
            f"{len(kernel_sizes)} kernels, got {maps.shape}"
        )
    dimensions = maps.ndim - 2
    sizes: list[list[int]] = [np.broadcast_to(m, dimensions).tolist() for m in kernel_sizes]
    samples = channels * math.prod(maps.shape[2:])
    events = np.count_nonzero(maps.reshape(len(maps), -1), axis=1)
    weights = count_weights(sizes, channels, counted_weights)
    return description_ratio(events, weights, samples, dimensions)


def description_ratio(
    events: ArrayLike, weights: ArrayLike, samples: int, dimensions: int = 1
) -> np.ndarray:
    """Count the numbers of a description, per sample of the signal, from what it is made of.

    Parameters
    ----------
    events : array_like
        A, the number of events of each signal.
    weights : array_like
        W, the number of weights of the kernels.
    samples : int
        n, the number of samples of a signal.
    dimensions : int
        Coordinates of an event.

    Returns
    -------
    ndarray, the shape of events, float64
        CR⁻¹ = (W + (dim + 1) A) / n.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II.

    Examples
    --------
    >>> description_ratio([1, 4], weights=2, samples=8).tolist()
    [0.5, 1.25]
    """
    return (np.asarray(weights) + (dimensions + 1) * np.asarray(events)) / samples


@deprecated.arguments(weights="counted_weights")
def count_weights(
    kernel_sizes: Sequence[Sequence[int]], channels: int = 1, counted_weights: str = "all"
) -> int:
    """Count the weights W of kernels; `counted_weights` as in `inverse_compression_ratio`.

    Examples
    --------
    >>> sizes = [(6, 6), (6, 6)]
    >>> count_weights(sizes), count_weights(sizes, counted_weights="published")
    (72, 12)
    """
    if counted_weights not in COUNTED_WEIGHTS:
        listed = ", ".join(COUNTED_WEIGHTS)
        raise ValueError(f"counted_weights must be one of {listed}, got {counted_weights!r}")
    first_only = counted_weights == "published"
    return channels * sum(m[0] if first_only else math.prod(m) for m in kernel_sizes)


deprecated.names(__name__, {"counted_weights": "count_weights"})


def normalized_loss(x: ArrayLike, x_hat: ArrayLike) -> Any:
    """Mean absolute error of each signal over that of a reconstruction of zeros.

    Parameters
    ----------
    x, x_hat : array_like, the same shape
        Signals and their reconstructions.

    Returns
    -------
    float, or ndarray of shape (N,)
        Σ|x̂ - x| / Σ|x|. For a signal of zeros: 0 where x̂ is zero as well, otherwise infinite.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II.

    Examples
    --------
    >>> normalized_loss([1.0, -3.0], [1.0, -2.0])
    0.25
    """
    signal, error = _signal_and_error(x, x_hat)
    return _ratio(np.abs(error).sum(1), np.abs(signal).sum(1), np.ndim(x))


def prd(x: ArrayLike, y: ArrayLike) -> Any:
    """Percentage root-mean-square difference, the signal's offset included.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float, or ndarray of shape (N,)
        100 √(Σ(x - y)² / Σx²), per cent. It flatters signals stored with an offset: see `prdn`.
        For a signal of zeros: 0 where y is zero as well, otherwise infinite.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> prd([3.0, 4.0], [3.0, 3.0])
    20.0
    """
    signal, error = _signal_and_error(x, y)
    ratio = _ratio((error**2).sum(1), (signal**2).sum(1), np.ndim(x))
    return 100 * np.sqrt(ratio) if np.ndim(x) > 1 else 100 * math.sqrt(ratio)


def prdn(x: ArrayLike, y: ArrayLike) -> Any:
    """Percentage root-mean-square difference, relative to the signal without its mean.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float, or ndarray of shape (N,)
        100 √(Σ(x - y)² / Σ(x - mean)²), per cent. For a constant signal: 0 where y equals it,
        otherwise infinite.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> prdn([1003.0, 1004.0, 1005.0], [1003.0, 1004.0, 1004.0])
    70.71067811865476
    """
    signal, error = _signal_and_error(x, y)
    spread = (
        ((signal - signal.mean(1, keepdims=True)) ** 2).sum(1) if signal.size else signal.sum(1)
    )
    ratio = _ratio((error**2).sum(1), spread, np.ndim(x))
    return 100 * np.sqrt(ratio) if np.ndim(x) > 1 else 100 * math.sqrt(ratio)


def snr(x: ArrayLike, y: ArrayLike) -> Any:
    """Signal-to-noise ratio of the signal without its mean, in decibels.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float, or ndarray of shape (N,)
        -20 log10(PRDN / 100). Infinite where y equals x.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> round(snr([1.0, -1.0], [0.9, -0.9]), 6)
    20.0
    """
    percent = np.asarray(prdn(x, y))
    with np.errstate(divide="ignore"):
        decibels = -20 * np.log10(percent / 100)
    return decibels if np.ndim(x) > 1 else float(decibels)


def max_abs_error(x: ArrayLike, y: ArrayLike) -> Any:
    """Largest absolute error of each signal, in the signal's units.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float, or ndarray of shape (N,)
        max |x - y|; 0 for a signal without samples.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> max_abs_error([1.0, 5.0], [1.5, 3.0])
    2.0
    """
    _, error = _signal_and_error(x, y)
    largest = np.abs(error).max(1, initial=0.0)
    return largest if np.ndim(x) > 1 else float(largest[0])


def _signal_and_error(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as (N, samples) in float64."""
    one, other = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if one.shape != other.shape or one.ndim == 0:
        raise ValueError(
            f"both signals must have the same shape, got {one.shape} and {other.shape}"
        )
    rows = (1, one.size) if one.ndim == 1 else (len(one), math.prod(one.shape[1:]))
    return one.reshape(rows), (other - one).reshape(rows)


def loss_ratio(errors: ArrayLike, zero_errors: ArrayLike) -> np.ndarray:
    """Divide errors by those of a reconstruction of zeros; 0 / 0 is 0, else / 0 infinite.

    Examples
    --------
    >>> loss_ratio([1.0, 0.0, 2.0], [4.0, 0.0, 0.0]).tolist()
    [0.25, 0.0, inf]
    """
    return _ratio(np.atleast_1d(errors), np.atleast_1d(zero_errors), 2)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, dimensions: int) -> Any:
    """0 / 0 is 0 and anything else over 0 is infinite."""
    zero = denominator == 0
    ratio = np.where(
        zero, np.where(numerator == 0, 0.0, np.inf), numerator / np.where(zero, 1, denominator)
    )
    return ratio if dimensions > 1 else float(ratio[0])
