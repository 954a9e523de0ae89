"""How integer loops run: in the extension, or compiled by LLVM, or as plain Python; same result.

The loops that decide bytes are written once. They work on one-dimensional arrays, on named tuples
of these, and on integers that never leave 64 bits. Where nothing compiles them, each array becomes
a memoryview, whose items are Python's own integers. `extension` says which way is taken.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from san.codec.entropy import extension

Loop = Callable[..., Any]


def _compiled_here() -> dict[str, Loop] | None:
    """The loops that LLVM compiles at their first call, or None where it is not to be used."""
    if extension.asked_for() == "python":
        return None
    try:
        from san.codec.entropy import machine_code
    except ImportError:
        if extension.asked_for() is None:
            logging.getLogger("san").warning(
                "neither the extension nor llvmlite is installed: the codec runs as plain Python, "
                "slowly"
            )
        return None
    return machine_code.load()


_built = extension.load()
#: The loops of the extension, or those that are compiled here; None: all run as plain Python.
library = _compiled_here() if _built is None else _built
is_compiled_here = _built is None and library is not None


def _viewed(argument: Any) -> Any:
    """An array as a memoryview, also in a named tuple; anything else as it is."""
    if isinstance(argument, np.ndarray):
        return argument.data
    if isinstance(argument, tuple):
        return type(argument)(*map(_viewed, argument))
    return argument


def integer_loop(function: Loop) -> Loop:
    """Compile a loop that is called with arrays, named tuples of arrays, and integers."""
    name = f"{function.__module__}.{function.__qualname__}"
    if library is not None and name in library:
        return functools.wraps(function)(library[name])

    @functools.wraps(function)
    def plain(*arguments: Any) -> Any:
        return function(*map(_viewed, arguments))

    return plain


def integer_step(function: Loop) -> Loop:
    """Compile a part of such loops; only they may call it."""
    return function


def integer_part(function: Loop) -> Loop:
    """Compile a part as if it were written where it is called: this is faster than a call."""
    return function


def integer_apart(function: Loop) -> Loop:
    """Compile a part that is always called: where it is written, registers would be too few."""
    return function


def search_loop(function: Loop) -> Loop:
    """Compile a loop of the encoder's search. It may use floats, because no decoder runs it."""
    return integer_loop(function)


def search_step(function: Loop) -> Loop:
    """Compile a part of such loops; only they may call it."""
    return function


def least(a, b):
    """The smaller of two integers."""
    return a if a < b else b


def most(a, b):
    """The larger of two integers."""
    return a if a > b else b


def size_of(a):
    """The magnitude of an integer."""
    return a if a >= 0 else -a


def wrapped(v):
    """The integer of 32 bits with the same low bits."""
    return ((v & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def item_of(a, i):
    """a[i] of an int64 array, 0 outside of it."""
    return a[i] if 0 <= i < len(a) else 0


def lanes(count):
    """0 ... count - 1: what a loop does for one of them is nothing to the others."""
    return range(count)


def products(a, i, b, j, count):
    """The sum of products of a[i ...] and b[j ...], so many; all int32, or all int16.

    Compiled, that of int16 has 32 bits.
    """
    return sum(a[i + k] * b[j + k] for k in range(count))
