"""Which dtype stands for one that streams do not have: values stay equal, or are refused."""

import sys
from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from san.codec.numbers.representation import DTYPES

# Dtypes that streams do not have, and those that hold their values: the first that does is taken.
NARROWER = {
    "bool": ("uint8",),
    "uint32": ("int16", "int32"),
    "int64": ("int16", "int32"),
    "uint64": ("int16", "int32"),
    "float16": ("float32",),
}
_WAYS = {
    "i": "x.astype(np.float64) converts it, exactly for integers up to 2**53",
    "f": "x.astype(np.float64) converts it, and rounds it to 53 bits",
    "c": "give the real and the imaginary part as channels: np.stack([x.real, x.imag], axis=-1)",
    "O": "x.astype(np.float64) converts it, if all of its values are numbers",
    "U": "x.astype(np.float64) converts it, if all of its values are numbers",
    "V": "give each field as a channel: np.stack([x[name] for name in x.dtype.names], axis=-1)",
    "M": "x.astype(np.int64) converts it",
}


def is_masked(x: object) -> TypeGuard["np.ma.MaskedArray"]:
    """Whether x is a masked array. Where nobody has loaded numpy.ma there are none.

    While another thread loads it, it has no `MaskedArray` yet.
    """
    kind = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    return kind is not None and isinstance(x, kind)


def refuse_masked(x: object) -> None:
    """Refuse a masked array: a stream has no place for its mask."""
    if is_masked(x):
        raise TypeError("x must not be a masked array: fill it, with NaN for instance")


def narrowed(x: ArrayLike) -> np.ndarray:
    """Return the array in a dtype that streams have, with the same values.

    Parameters
    ----------
    x : array-like
        Of any shape. Masked arrays come back as they are.

    Returns
    -------
    array
        x itself if streams have its dtype. bool becomes uint8, float16 becomes float32, and int64,
        uint32 and uint64 (so also lists of integers) become int16 if all values fit, else int32.
        An array without values becomes the first of these.

    Raises
    ------
    TypeError
        If streams have no dtype for it. The words name a call that converts it, if there is one.
    ValueError
        If an integer does not fit int32. The words name the value and a call that converts it.

    Examples
    --------
    >>> narrowed([1, 2, 300]).dtype, narrowed(np.array([70_000])).dtype, narrowed([True]).dtype
    (dtype('int16'), dtype('int32'), dtype('uint8'))
    >>> narrowed(np.array([3_000_000_000]))
    Traceback (most recent call last):
    ...
    ValueError: x has the value 3000000000, which does not fit int32: x.astype(np.float64) \
converts it, exactly for integers up to 2**53
    """
    if is_masked(x):
        return x
    array = np.asarray(x)
    native = array.dtype.newbyteorder("=")
    if native in DTYPES:
        return array
    if native.name not in NARROWER:
        raise TypeError(refusal(array.dtype))
    candidates = NARROWER[native.name]
    if array.dtype.kind in "bf" or not array.size:
        return array.astype(candidates[0])
    low, high = int(array.min()), int(array.max())
    for name in candidates:
        limits = np.iinfo(name)
        if limits.min <= low and high <= limits.max:
            return array.astype(name)
    value = high if high > limits.max else low
    raise ValueError(f"x has the value {value}, which does not fit {name}: {_WAYS['i']}")


def stream_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of streams that holds every part of a recording, as far as one of them does.

    Raises
    ------
    TypeError
        If streams have no dtype for it.

    Examples
    --------
    >>> stream_dtype(np.dtype("int64")), stream_dtype(np.dtype(">u2")), stream_dtype(np.dtype("?"))
    (dtype('int32'), dtype('uint16'), dtype('uint8'))
    """
    native = dtype.newbyteorder("=")
    if native in DTYPES:
        return native
    if native.name not in NARROWER:
        raise TypeError(refusal(dtype))
    return np.dtype(NARROWER[native.name][-1])


def widened(y: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """Samples of a stream in the dtype that they had before `narrowed`; None if it is another.

    As bool, every number but 0 is true.

    Examples
    --------
    >>> widened(np.array([1, 2], np.int16), np.dtype("int64")).dtype
    dtype('int64')
    >>> widened(np.array([-1], np.int16), np.dtype("uint32")) is None
    True
    """
    if y.dtype == dtype.newbyteorder("="):
        return y.astype(dtype, copy=False)
    if y.dtype.name not in NARROWER.get(dtype.newbyteorder("=").name, ()):
        return None
    if dtype.kind == "b":
        return y != 0
    with np.errstate(all="ignore"):  # what does not fit is found here
        x = y.astype(dtype)
        same = np.array_equal(x.astype(y.dtype), y, equal_nan=dtype.kind == "f")
    fits = same and not (dtype.kind == "u" and (y < 0).any())
    return x if fits else None


def refusal(dtype: np.dtype) -> str:
    """Say why arrays of a dtype are refused, and what converts them."""
    names = ", ".join(each.name for each in DTYPES)
    kind = "i" if dtype.kind in "biu" else "M" if dtype.kind == "m" else dtype.kind
    way = _WAYS.get("U" if kind in "ST" else kind)
    return f"x must be one of {names}, got {dtype}: convert it first" + (f"; {way}" if way else "")
