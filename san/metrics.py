"""What a reconstruction is worth: φ and its two parts, and the codec's measures, in NumPy alone.

Every function is pure and returns one value per signal, in float64. An array with one axis is one
signal and gives a number. In an array with more axes the first axis counts the signals, and the
function returns an array (N,). The functions take CPU tensors as arrays.
`inverse_compression_ratio` counts numbers, as the paper does. Ratios of bytes have other names.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from san import deprecated

#: What `inverse_compression_ratio` may count of a kernel.
COUNTED_WEIGHTS = ("all", "published")


def phi(
    inverse_compression_ratio: ArrayLike, normalized_loss: ArrayLike
) -> np.float64 | np.ndarray:
    """Join the size of a description and its loss into one number. Smaller is better.

    Parameters
    ----------
    inverse_compression_ratio, normalized_loss : array_like, the same shape
        CR⁻¹, and the loss divided by the loss of a reconstruction of zeros, one per signal.

    Returns
    -------
    float64 or ndarray, the same shape
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
    return np.hypot(np.asarray(inverse_compression_ratio, np.float64), normalized_loss)


@deprecated.arguments(weights="counted_weights")
def inverse_compression_ratio(
    activations: ArrayLike,
    kernel_sizes: Sequence[int | Sequence[int]],
    channels: int = 1,
    counted_weights: str = "all",
) -> np.ndarray:
    """Count the numbers that describe each signal, and divide by the samples of the signal.

    Parameters
    ----------
    activations : array_like, shape (N, q, *size)
        Activation maps of the q kernels. Values that are exactly zero do not count.
    kernel_sizes : sequence of q ints or of q sequences of ints
        Size of each kernel: one number for all axes, or one number for each axis.
    channels : int
        Channels of the signal. Each event counts once. A kernel has weights for each channel.
    counted_weights : {"all", "published"}
        "all" counts every weight of a kernel. "published" counts the first axis of a kernel only,
        as the published two-dimensional results did.

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
    """Compute CR⁻¹ from the number of events and of weights.

    Parameters
    ----------
    events : array_like
        A, the number of events of each signal.
    weights : array_like
        W, the number of weights of the kernels.
    samples : int
        n, the number of samples of a signal.
    dimensions : int
        Spatial axes of the signal, which are the coordinates of an event.

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


def normalized_loss(x: ArrayLike, x_hat: ArrayLike) -> np.float64 | np.ndarray:
    """Divide the mean absolute error of each signal by that of a reconstruction of zeros.

    Parameters
    ----------
    x, x_hat : array_like, the same shape
        Signals and their reconstructions.

    Returns
    -------
    float64, or ndarray of shape (N,), float64
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
    >>> float(normalized_loss([1.0, -3.0], [1.0, -2.0]))
    0.25
    """
    signal, error = _signal_and_error(x, x_hat)
    return _of_signals(_ratio(np.abs(error).sum(1), np.abs(signal).sum(1)), x)


def prd(x: ArrayLike, y: ArrayLike) -> np.float64 | np.ndarray:
    """Percentage root-mean-square difference, relative to the signal with its mean.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float64, or ndarray of shape (N,), float64
        100 √(Σ(x - y)² / Σx²), per cent. It is small for a signal with a large offset, whatever
        the error: see `prdn`. For a signal of zeros: 0 where y is zero as well, otherwise
        infinite.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> float(prd([3.0, 4.0], [3.0, 3.0]))
    20.0
    """
    signal, error = _signal_and_error(x, y)
    return _of_signals(100 * np.sqrt(_ratio((error**2).sum(1), (signal**2).sum(1))), x)


def prdn(x: ArrayLike, y: ArrayLike) -> np.float64 | np.ndarray:
    """Percentage root-mean-square difference, relative to the signal without its mean.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float64, or ndarray of shape (N,), float64
        100 √(Σ(x - y)² / Σ(x - mean)²), per cent. For a constant signal: 0 where y equals it,
        otherwise infinite.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> float(prdn([1003.0, 1004.0, 1005.0], [1003.0, 1004.0, 1004.0]))
    70.71067811865476
    """
    signal, error = _signal_and_error(x, y)
    centred = signal - signal.mean(1, keepdims=True) if signal.size else signal
    return _of_signals(100 * np.sqrt(_ratio((error**2).sum(1), (centred**2).sum(1))), x)


def snr(x: ArrayLike, y: ArrayLike) -> np.float64 | np.ndarray:
    """Signal-to-noise ratio of the signal without its mean, in decibels.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float64, or ndarray of shape (N,), float64
        -20 log10(PRDN / 100). Infinite where y equals x.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> round(float(snr([1.0, -1.0], [0.9, -0.9])), 6)
    20.0
    """
    percent = prdn(x, y)
    with np.errstate(divide="ignore"):
        return -20 * np.log10(percent / 100)


def max_abs_error(x: ArrayLike, y: ArrayLike) -> np.float64 | np.ndarray:
    """Largest absolute error of each signal, in the signal's units.

    Parameters
    ----------
    x, y : array_like, the same shape
        Original signals and decoded ones, in the same units.

    Returns
    -------
    float64, or ndarray of shape (N,), float64
        max |x - y|; 0 for a signal without samples.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> float(max_abs_error([1.0, 5.0], [1.5, 3.0]))
    2.0
    """
    _, error = _signal_and_error(x, y)
    return _of_signals(np.abs(error).max(1, initial=0.0), x)


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
    """Divide errors by the errors of a reconstruction of zeros.

    Parameters
    ----------
    errors, zero_errors : array_like, shapes that broadcast

    Returns
    -------
    ndarray, float64
        errors / zero_errors. 0 / 0 is 0, and anything else over 0 is infinite.

    Examples
    --------
    >>> loss_ratio([1.0, 0.0, 2.0], [4.0, 0.0, 0.0]).tolist()
    [0.25, 0.0, inf]
    """
    return _ratio(np.atleast_1d(errors), np.atleast_1d(zero_errors))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide; 0 / 0 is 0, and anything else over 0 is infinite."""
    zero = denominator == 0
    return np.where(
        zero, np.where(numerator == 0, 0.0, np.inf), numerator / np.where(zero, 1, denominator)
    )


def _of_signals(values: np.ndarray, x: ArrayLike) -> np.float64 | np.ndarray:
    """The values of the signals x: of one signal, a number."""
    return values if np.ndim(x) > 1 else np.float64(values[0])
