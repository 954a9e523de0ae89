"""How integer loops run: compiled where numba is installed, else as plain Python, same result.

The loops that decide bytes are written once. They work on one-dimensional arrays, on named tuples
of these, and on integers that never leave 64 bits. Without numba each array becomes a memoryview,
whose items are Python's own integers.
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


def _viewed(argument: Any) -> Any:
    """An array as a memoryview, also in a named tuple; anything else as it is."""
    if isinstance(argument, np.ndarray):
        return argument.data
    if isinstance(argument, tuple):
        return type(argument)(*map(_viewed, argument))
    return argument


def integer_loop(function: Loop) -> Loop:
    """Compile a loop that is called with arrays, named tuples of arrays, and integers."""
    if numba is not None:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)

    @functools.wraps(function)
    def plain(*arguments: Any) -> Any:
        return function(*map(_viewed, arguments))

    return plain


def integer_step(function: Loop) -> Loop:
    """Compile a part of such loops; only they may call it."""
    if numba is not None:
        return numba.njit(nogil=True, error_model="numpy")(function)
    return function


def integer_part(function: Loop) -> Loop:
    """Compile a part as if it were written where it is called: this is faster than a call."""
    if numba is not None:
        return numba.njit(nogil=True, error_model="numpy", inline="always")(function)
    return function


def search_loop(function: Loop) -> Loop:
    """Compile a loop of the encoder's search. It may use floats, because no decoder runs it."""
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
