"""Loops that were compiled when SAN was installed: whether they may be used, and their calls.

The library `_loops` is written from the Python source by `extension/to_c.py`. It holds a
description of its loops and the checksum of the source, so that a library of another source is
never used. A call runs without the GIL.
"""

import ctypes
import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from importlib import machinery
from pathlib import Path
from typing import Any

import numpy as np

#: How loops run: the first of these that is there, or the one that $SAN_LOOPS names.
WAYS = ("extension", "llvm", "python")

_CODEC = Path(__file__).parents[1]
#: The folder that the package `san` is in.
HOME = _CODEC.parents[1]
_LOOP = re.compile(r"^@(?:integer|search)_", re.MULTILINE)
_NUMBERS = {"int": ctypes.c_int64, "float64": ctypes.c_double}
_NOTHING = ctypes.c_char * 0
Described = str | list[Any]


def asked_for() -> str | None:
    """The way that $SAN_LOOPS names, or None.

    Raises
    ------
    ValueError
        If there is no such way.
    """
    way = os.environ.get("SAN_LOOPS")
    if way is not None and way not in WAYS:
        raise ValueError(f"SAN_LOOPS must be one of {', '.join(WAYS)}, got {way!r}")
    return way


def sources(codec: Path = _CODEC) -> list[Path]:
    """The files of the codec that have loops."""
    found = (path for path in sorted(codec.rglob("*.py")) if _LOOP.search(path.read_text()))
    return [path for path in found if path.name not in ("loops.py", "extension.py")]


def checksum(codec: Path = _CODEC) -> str:
    """SHA-256 of the files with loops, whatever their ends of lines are."""
    digest = hashlib.sha256()
    for path in sources(codec):
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def built() -> Path | None:
    """The file of the library, or None where it was not built."""
    files = (Path(__file__).with_name(f"_loops{suffix}") for suffix in machinery.EXTENSION_SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def load() -> dict[str, Callable[..., Any]] | None:
    """The loops of the library by their names, or None where it is not to be used.

    Raises
    ------
    ImportError
        If $SAN_LOOPS asks for it, and it is not there or was built from other sources.
    """
    way, path = asked_for(), built()
    if way not in (None, "extension"):
        return None
    problem = "the extension was not built"
    if path is not None:
        library = ctypes.CDLL(str(path))
        text = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library, "san_loops")))
        described = json.loads(text)
        if described["checksum"] == checksum() and "wide" in described:
            end = ending(library, described)
            return {
                name: caller(
                    name, loop["parameters"], loop["result"], _in(library, loop["symbol"] + end)
                )
                for name, loop in described["loops"].items()
            }
        problem = f"{path} was built from other sources: install SAN again"
        logging.getLogger("san").warning(problem)
    if way == "extension":
        raise ImportError(f"SAN_LOOPS asks for the extension: {problem}")
    return None


def ending(library: Any, described: dict[str, Any]) -> str:
    """How the names end of the loops that are fastest on this processor.

    The library has each loop twice: for every processor, and for those with wide registers.
    """
    wide: str = described["wide"]
    return wide if library.san_wide() else ""


def caller(
    name: str,
    kinds: Sequence[Described],
    result: str | None,
    found: Callable[[Any, Sequence[Any]], Any],
) -> Callable[..., Any]:
    """A loop as Python calls it: with arrays, named tuples of arrays, and numbers.

    `found` gives the function of ctypes for the type of what it returns and for its arguments.
    """
    given = [each for kind in kinds for each in _types(kind)]
    function = found(None if result is None else _NUMBERS[result], given)

    known = [_known(kind) for kind in kinds]

    def call(*arguments: Any) -> Any:
        passed: list[Any] = []
        for argument, kind in zip(arguments, known, strict=True):
            _pass(argument, kind, passed, name)
        return function(*passed)

    return call


def _in(library: Any, symbol: str) -> Callable[[Any, Sequence[Any]], Any]:
    """What gives a function of a library its types."""

    def typed(result: Any, given: Sequence[Any]) -> Any:
        function = library[symbol]
        function.restype, function.argtypes = result, given
        return function

    return typed


def _known(kind: Described) -> Any:
    """A parameter as `_pass` takes it: the type of an array's items is a dtype."""
    if isinstance(kind, list):
        return [_known(part) for part in kind]
    return np.dtype(kind[1:-1]) if kind.startswith("[") else int if kind == "int" else float


def _types(kind: Described) -> Sequence[Any]:
    if isinstance(kind, list):
        return [each for part in kind for each in _types(part)]
    if kind.startswith("["):
        return [ctypes.c_void_p, ctypes.c_int64]
    return [_NUMBERS[kind]]


def _pass(argument: Any, kind: Any, passed: list[Any], name: str) -> None:
    """Append what a function of C is given for an argument."""
    if isinstance(kind, list):
        for part, each in zip(argument, kind, strict=True):
            _pass(part, each, passed, name)
    elif not isinstance(kind, np.dtype):
        passed.append(kind(argument))
    elif isinstance(argument, np.ndarray) and _fits(argument, kind):
        passed += (_address(argument), argument.size)
    else:
        raise TypeError(f"{name} takes an array of {kind}, got {argument!r:.100}")


def _address(array: np.ndarray) -> int:
    """Where an array is in memory. The first way takes a fifth of the time."""
    if array.flags.writeable:
        return ctypes.addressof(_NOTHING.from_buffer(array))  # type: ignore[arg-type]
    place: int = array.__array_interface__["data"][0]
    return place


def _fits(array: np.ndarray, items: np.dtype) -> bool:
    return array.dtype == items and array.ndim == 1 and array.flags.c_contiguous
