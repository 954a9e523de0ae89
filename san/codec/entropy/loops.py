"""How integer loops run: in the extension, or compiled by numba, or as plain Python; same result.

The loops that decide bytes are written once. They work on one-dimensional arrays, on named tuples
of these, and on integers that never leave 64 bits. Without numba each array becomes a memoryview,
whose items are Python's own integers. `extension` says which way is taken.

Nearly all the time of a first call is numba's, so numba is given little to do. A part of a loop is
compiled once, for 64-bit integers, whatever integers its callers pass: left alone, numba compiles
it again for each mixture of constants and variables. Only loops, which Python calls, get the
wrappers for calls from Python. The smallest functions are a few instructions that numba need not
compile.
"""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from san.codec.entropy import extension

library = extension.load()
try:
    if library is not None or extension.asked_for() == "python":
        raise ImportError("numba is not needed")
    import llvmlite.ir
    import numba
    import numba.extending

    from san import compilation
except ImportError:
    numba = None  # type: ignore[assignment]
    if library is None and extension.asked_for() is None:
        logging.getLogger("san").warning(
            "neither the extension nor numba is installed: the codec runs as plain Python, slowly"
        )

Loop = Callable[..., Any]


def _viewed(argument: Any) -> Any:
    """An array as a memoryview, also in a named tuple; anything else as it is."""
    if isinstance(argument, np.ndarray):
        return argument.data
    if isinstance(argument, tuple):
        return type(argument)(*map(_viewed, argument))
    return argument


def _compiled(njit: Callable[..., Any], function: Loop, **options: Any) -> Any:
    """Let numba compile a function when it is first called; it runs without the GIL.

    Whatever integers compiled code calls it with, they become 64-bit integers.
    """
    options |= {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    made = njit(function, **options)
    compile_for = made.get_call_template

    def get_call_template(kinds: Any, named: Any) -> Any:
        return compile_for(tuple(map(_widened, kinds)), named)

    made.get_call_template = get_call_template
    return made


def _loop(function: Loop, **options: Any) -> Any:
    """A function that Python calls; its code is kept on the disk."""
    return _compiled(compilation.keeping, function, **options)


def _part(function: Loop, **options: Any) -> Any:
    """A function that only compiled code calls."""
    return _compiled(numba.njit, function, no_cpython_wrapper=True, **options)


def _widened(kind: Any) -> Any:
    """int64 for the type of any integer, and the type itself for others."""
    is_whole = isinstance(kind, numba.types.Integer | numba.types.IntegerLiteral)
    return numba.types.int64 if is_whole or isinstance(kind, numba.types.Boolean) else kind


def _name(function: Loop) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def integer_loop(function: Loop) -> Loop:
    """Compile a loop that is called with arrays, named tuples of arrays, and integers."""
    if library is not None and _name(function) in library:
        return functools.wraps(function)(library[_name(function)])
    if numba is not None:
        return _loop(function)

    @functools.wraps(function)
    def plain(*arguments: Any) -> Any:
        return function(*map(_viewed, arguments))

    return plain


def integer_step(function: Loop) -> Loop:
    """Compile a part of such loops; only they may call it."""
    return function if numba is None else _part(function)


def integer_part(function: Loop) -> Loop:
    """Compile a part as if it were written where it is called: this is faster than a call."""
    return function if numba is None else _part(function, inline="always")


def search_loop(function: Loop) -> Loop:
    """Compile a loop of the encoder's search. It may use floats, because no decoder runs it."""
    if numba is not None:
        return _loop(function, fastmath=True)
    return integer_loop(function)


def search_step(function: Loop) -> Loop:
    """Compile a part of such loops; only they may call it."""
    return function if numba is None else _part(function, fastmath=True)


def _instructions(write: Callable[..., Any]) -> Callable[[Loop], Loop]:
    """Give numba the instructions of a function of 64-bit integers: it need not compile them.

    `write` gets LLVM's builder and the values. Arrays may be among them, of such integers: what
    stands for one is numba's structure of an array.
    """

    def of(function: Loop) -> Loop:
        if numba is None:
            return function

        def typed(typing: Any, *kinds: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                made = [
                    context.make_array(kind)(context, builder, value)
                    if isinstance(kind, numba.types.Array)
                    else value
                    for kind, value in zip(signature.args, values, strict=True)
                ]
                return write(builder, *made)

            return numba.types.int64(*map(_widened, kinds)), generate

        names = inspect.signature(function).parameters.values()
        first = inspect.Parameter("typing", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        typed.__signature__ = inspect.Signature([first, *names])  # type: ignore[attr-defined]
        typed.__name__, typed.__doc__ = function.__name__, function.__doc__
        return numba.extending.intrinsic(typed)

    return of


@_instructions(lambda builder, a, b: builder.select(builder.icmp_signed("<", a, b), a, b))
def least(a, b):
    """The smaller of two integers."""
    return a if a < b else b


@_instructions(lambda builder, a, b: builder.select(builder.icmp_signed(">", a, b), a, b))
def most(a, b):
    """The larger of two integers."""
    return a if a > b else b


def _write_size(builder, a):
    return builder.select(builder.icmp_signed("<", a, a.type(0)), builder.neg(a), a)


@_instructions(_write_size)
def size_of(a):
    """The magnitude of an integer."""
    return a if a >= 0 else -a


def _write_wrapped(builder, v):
    return builder.sext(builder.trunc(v, llvmlite.ir.IntType(32)), v.type)


@_instructions(_write_wrapped)
def wrapped(v):
    """The integer of 32 bits with the same low bits."""
    return ((v & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _write_item(builder, a, i):
    before = builder.block
    with builder.if_then(builder.icmp_unsigned("<", i, a.nitems)):
        item, inside = builder.load(builder.gep(a.data, [i])), builder.block
    value = builder.phi(item.type)
    value.add_incoming(item, inside)
    value.add_incoming(item.type(0), before)
    return value


@_instructions(_write_item)
def item_of(a, i):
    """a[i] of an int64 array, 0 outside of it."""
    return a[i] if 0 <= i < len(a) else 0
