"""How numba compiles the functions of activations and networks, and where it keeps the code.

numba compiles a function when it is first called, and keeps it in `__pycache__` beside its file, in
the user's cache folder where that cannot be written, or in $NUMBA_CACHE_DIR.
"""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

from san.compilation import compilations


def keeping(function: Callable[..., Any], **options: Any) -> Any:
    """numba's `njit` with these options; the code is kept on the disk where one can write there."""
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return numba.njit(**options)(function)
    _kept.append(made)
    return made


class _Listener(event.Listener):
    """Counts the functions of SAN that numba compiles.

    Meanwhile Python does not look for garbage. numba makes many objects and leaves few of them
    behind, and the looking takes an eighth of the time.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.collects = False  # whether Python looked for garbage before

    def on_start(self, event: Any) -> None:
        """A function begins to be compiled."""
        if self.depth == 0:
            self.collects = gc.isenabled()
            gc.disable()
        self.depth += 1
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("san."):
            folder = Path(_kept[0].stats.cache_path) if _kept else None
            compilations().began(f"{function.__module__}.{function.__name__}", folder)

    def on_end(self, event: Any) -> None:
        """A function is compiled, or an error ended it."""
        self.depth -= 1
        if self.depth == 0 and self.collects:
            gc.enable()


_kept: list[Any] = []  # functions whose code is kept on the disk
event.register("numba:compile", _Listener())


def kept() -> list[Any]:
    """The functions whose code is kept on the disk; empty if no folder can be written."""
    return _kept


def folders() -> set[Path]:
    """Where the code of these functions is."""
    return {Path(each.stats.cache_path) for each in _kept}
