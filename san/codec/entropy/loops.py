"""How integer loops run: compiled where numba is installed, else as plain Python, same result.

The loops that decide bytes are written once, on one-dimensional arrays and integers that never
leave 64 bits. Without numba they are given memoryviews, whose items are Python's own integers.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]

Loop = Callable[..., Any]


def integer_loop(function: Loop) -> Loop:
    """Compile a loop over 1-D arrays and integers that is called with arrays."""
    if numba is not None:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)

    @functools.wraps(function)
    def plain(*arguments: Any) -> Any:
        return function(*(memoryview(a) if isinstance(a, np.ndarray) else a for a in arguments))

    return plain


def integer_step(function: Loop) -> Loop:
    """Compile a part of such loops, which is only called by them."""
    if numba is not None:
        return numba.njit(nogil=True, error_model="numpy")(function)
    return function


def integer_part(function: Loop) -> Loop:
    """Compile a part that is called in one place as if it were written there: no call is faster."""
    if numba is not None:
        return numba.njit(nogil=True, error_model="numpy", inline="always")(function)
    return function


def search_loop(function: Loop) -> Loop:
    """Compile a loop of the encoder's search, whose floats decide no more than what is tried."""
    if numba is not None:
        return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function)
    return integer_loop(function)


@integer_step
def least(a, b):
    """The smaller of two integers; numba compiles it much faster than `min`."""
    return a if a < b else b


@integer_step
def most(a, b):
    """The larger of two integers."""
    return a if a > b else b


@integer_step
def size_of(a):
    """The magnitude of an integer."""
    return a if a >= 0 else -a
