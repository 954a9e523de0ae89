"""How an array of any dtype becomes the integers that are coded, and how it is restored.

Integers stay as they are. Floats become the integers of the grid on which they lie. Without a grid
they become multiples of a power of two that is fine enough for the target, or else their bits, in
two or three columns.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from san.codec.numbers.bits import join_bits, split_bits
from san.codec.numbers.gaps import crop_gaps, fill_gaps, find_gaps, no_gaps, pack_gaps, unpack_gaps
from san.codec.numbers.grids import BITS, LARGEST, Scale
from san.codec.numbers.narrowing import refusal, refuse_masked
from san.codec.numbers.representation import (
    DTYPES,
    Representation,
    pack_representation,
    unpack_representation,
)
from san.codec.numbers.steps import choose_scale, largest_bound, within_dtype
from san.codec.target import Target

__all__ = [
    "DTYPES",
    "Integers",
    "Representation",
    "crop_gaps",
    "integer_bounds",
    "pack_gaps",
    "pack_representation",
    "represent",
    "restore",
    "to_integers",
    "unpack_gaps",
    "unpack_representation",
]


class Integers(NamedTuple):
    """The result of `represent`."""

    k: np.ndarray  # int64 (n, columns)
    representation: Representation
    gaps: np.ndarray  # int64 (runs, 4), see san.codec.numbers.gaps
    bounds: np.ndarray  # int64 (columns,): how far k may be off; zeros unless max_error is given


def represent(x: ArrayLike, target: Target) -> Integers:
    """Turn an array into integers that are fine enough for the target.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        int8, int16, int32, uint8, uint16, float32 or float64, of either byte order; the restored
        array has the native one. NaN and infinities come back at the same places.
    target : Target
        A `max_error` of zero is lossless.

    Returns
    -------
    Integers
        k : int64 (n, columns), below 2**31 in magnitude (an int32 may be -2**31). A channel has
        one column; bits of floats have two (float32) or three (float64).

        bounds : int64 (columns,). With `max_error`, every k' with |k - k'| ≤ bounds restores to
        samples whose difference from x, computed in float64 or in x's own dtype, is at most
        `max_error`; checked on every sample.

    Raises
    ------
    TypeError
        If x has another dtype, or is not an array of numbers.
    ValueError
        If x has another shape, or no channel.

    Notes
    -----
    Floats that all lie on a grid, such as counts divided by a gain or decimals, become the grid's
    integers, which restore them to the last bit. If the target is lossless, negative zeros and
    NaNs with a sign are gaps. Otherwise a negative zero may come back as zero, and every NaN comes
    back as the default one.

    Other floats become multiples of a power of two. So do floats whose grid is finer than the
    target needs, if their integers would reach 2**24. The power of two is 1/128 to 1/64 of
    `max_error`, or of the error that the PRDN allows, and up to sixteen times that if the integers
    would reach 2**31. If they reach it even then, or if the target is lossless, the integers are
    the bits of the channel, and nothing is lost.

    Examples
    --------
    >>> k, representation, gaps, bounds = represent(
    ...     np.array([0.25, np.nan, -0.1]), Target(max_error=0.06)
    ... )
    >>> k.ravel().tolist(), representation.scales[0].factor, gaps.tolist(), bounds.tolist()
    ([5, 2, -2], 20.0, [[0, 1, 1, 0]], [1])
    """
    array = _checked(x)
    columns = _columns(array)
    dimensions, channels = array.ndim, columns.shape[1]
    if array.dtype.kind != "f":
        representation = Representation(array.dtype, dimensions, channels)
        bound = min(math.floor(target.max_error or 0), LARGEST)
        bounds = np.full(channels, bound, np.int64)
        return Integers(columns.astype(np.int64), representation, no_gaps(), bounds)
    scales = tuple(choose_scale(columns[:, c], target) for c in range(channels))
    representation = Representation(array.dtype, dimensions, channels, scales)
    k, gaps = to_integers(array, representation, exact=target.exact)
    bounds = np.zeros(representation.columns, np.int64)
    if target.max_error is not None and not target.exact:
        bounds = integer_bounds(array, k, representation, target.max_error)
    return Integers(k, representation, gaps, bounds)


def to_integers(
    x: np.ndarray, representation: Representation, *, exact: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Turn an array, such as one chunk, into integers and gaps with a known representation.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        With the representation's dtype and dimensions.
    representation : Representation
    exact : bool
        Whether every sample must be restored to the last bit.

    Returns
    -------
    (int64 (n, columns), int64 (runs, 4))

    Raises
    ------
    ValueError
        If a sample's integer reaches 2**31, or if `exact` and it is not on the grid.

    Examples
    --------
    >>> halves = represent(np.array([0.5, 1.0, 3.5]), Target.of(lossless=True)).representation
    >>> to_integers(np.array([2.5, 1.5]), halves, exact=True)[0].ravel().tolist()
    [5, 3]
    """
    array = _checked(x)
    if array.dtype != representation.dtype or array.ndim != representation.dimensions:
        raise ValueError(
            f"x must be {representation.dtype} with {representation.dimensions} dimensions, "
            f"got {array.dtype} with {array.ndim}"
        )
    columns = _columns(array)
    if columns.shape[1] != representation.channels:
        raise ValueError(f"x must have {representation.channels} channels, got {columns.shape[1]}")
    if not representation.scales:
        return columns.astype(np.int64), no_gaps()
    k = np.empty((len(array), representation.columns), np.int64)
    gaps, first = [], 0
    for channel, scale in enumerate(representation.scales):
        y = np.ascontiguousarray(columns[:, channel])
        width = representation.widths[channel]
        if scale.kind == BITS:
            k[:, first : first + width] = split_bits(y)
        else:
            k[:, first], found = _on_scale(y, scale, channel, exact)
            gaps.append(found)
        first += width
    return k, np.concatenate(gaps) if gaps else no_gaps()


def _on_scale(
    y: np.ndarray, scale: Scale, channel: int, exact: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Integers of one channel, straight lines across its gaps, and the gaps."""
    found = find_gaps(y, channel, exact)
    if found is None:
        raise ValueError(
            f"channel {channel} has a NaN with a payload, which only the bits of floats can store"
        )
    gaps, ordinary = found
    values = y[ordinary].astype(np.float64)
    k = scale.integers(values)
    if k is None:
        raise ValueError(f"channel {channel} has samples beyond 2**31 steps of {scale.step}")
    if exact:
        wrong = np.flatnonzero(scale.values(k, y.dtype) != values)
        if wrong.size:
            place = int(np.flatnonzero(ordinary)[wrong[0]])
            raise ValueError(
                f"sample {place} of channel {channel} is {y[place]}, which is not on its grid "
                f"with step {scale.step}"
            )
    if not len(gaps):
        return k, gaps
    if not k.size:
        return np.zeros(y.size, np.int64), gaps
    lines = np.interp(np.arange(y.size), np.flatnonzero(ordinary), k)
    return np.rint(lines).astype(np.int64), gaps


def integer_bounds(
    x: np.ndarray, k: np.ndarray, representation: Representation, max_error: float
) -> np.ndarray:
    """How far each column's integers may be off, so that no sample is off by more than max_error.

    Parameters
    ----------
    x : float array (n,) or (n, channels)
    k : int64 (n, columns)
        Of `to_integers`.
    representation : Representation
    max_error : float

    Returns
    -------
    int64 (columns,)
        Zero for columns of bits; -1 for a column whose k is too coarse without any error.

    Examples
    --------
    >>> x = np.array([0.0, 0.5, 1.0])
    >>> k, representation, _, _ = represent(x, Target.of(lossless=True))
    >>> integer_bounds(x, k, representation, 1.2)
    array([2])
    """
    columns = _columns(np.asarray(x))
    bounds = np.zeros(representation.columns, np.int64)
    if not representation.scales:
        return bounds + min(math.floor(max_error), LARGEST)
    limit = within_dtype(max_error, representation.dtype)
    first = 0
    for channel, scale in enumerate(representation.scales):
        if scale.kind != BITS:
            ordinary = np.isfinite(columns[:, channel])
            values = columns[ordinary, channel].astype(np.float64)
            bounds[first] = largest_bound(
                values, k[ordinary, first], scale, representation.dtype, limit
            )
        first += representation.widths[channel]
    return bounds


def restore(k: np.ndarray, representation: Representation, gaps: np.ndarray) -> np.ndarray:
    """Turn integers and gaps into the array again.

    Parameters
    ----------
    k : int64 (n, columns)
        Integers beyond the dtype's range become the end of that range.
    representation : Representation
    gaps : int64 (runs, 4)

    Returns
    -------
    array (n,) or (n, channels) of the representation's dtype

    Raises
    ------
    CorruptStream
        If columns of bits hold numbers that are not the bits of a float.
    ValueError
        If k has another number of columns.

    Examples
    --------
    >>> x = np.array([0.5, np.inf, 3.5])
    >>> k, representation, gaps, _ = represent(x, Target.of(lossless=True))
    >>> restore(k, representation, gaps)
    array([0.5, inf, 3.5])
    """
    if k.ndim != 2 or k.shape[1] != representation.columns:
        raise ValueError(f"k must be (n, {representation.columns}), got {k.shape}")
    dtype, channels = representation.dtype, representation.channels
    if representation.scales:
        y = np.empty((len(k), channels), dtype)
        first = 0
        for channel, scale in enumerate(representation.scales):
            width = representation.widths[channel]
            part = k[:, first : first + width]
            is_bits = scale.kind == BITS
            y[:, channel] = join_bits(part, dtype) if is_bits else scale.values(part[:, 0], dtype)
            first += width
        fill_gaps(y, gaps)
    elif representation.rules:
        y = np.empty((len(k), channels), dtype)
        for channel, rule in enumerate(representation.rules):
            y[:, channel] = (
                _clipped(k[:, channel], dtype)
                if rule is None
                else rule.values(k[:, channel], dtype)
            )
    else:
        y = _clipped(k, dtype)
    return y.reshape(-1) if representation.dimensions == 1 else y


def _clipped(k: np.ndarray, dtype: np.dtype) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.clip(k, limits.min, limits.max).astype(dtype)


def _checked(x: ArrayLike) -> np.ndarray:
    """The array in native byte order; an error says why it is refused."""
    refuse_masked(x)
    array = np.asarray(x)
    native = array.dtype.newbyteorder("=")
    if native not in DTYPES:
        raise TypeError(refusal(array.dtype))
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise ValueError(f"x must be (n,) or (n, channels), got shape {array.shape}")
    return array.astype(native, copy=False)


def _columns(array: np.ndarray) -> np.ndarray:
    return array[:, np.newaxis] if array.ndim == 1 else array
