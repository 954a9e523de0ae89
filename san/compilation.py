"""How numba compiles the functions of SAN: what it keeps on the disk, and what a user is told.

numba compiles a function when it is first called, and keeps it in `__pycache__` beside its file, in
the user's cache folder where that cannot be written, or in $NUMBA_CACHE_DIR. The logger `san` says
once in a process that something is being compiled, and warns where nothing can be kept.
"""

import logging
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

#: About how long the functions of a package are compiled, in seconds, for the message.
SECONDS = {"san.codec": 15, "san.hot_path": 4, "san.networks": 4}

NOWHERE = "no folder for compiled code can be written; let NUMBA_CACHE_DIR name one that can"

log = logging.getLogger("san")


def keeping(function: Callable[..., Any], **options: Any) -> Any:
    """numba's `njit` with these options; the code is kept on the disk where one can write there."""
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
        return numba.njit(**options)(function)
    _compilations.kept.append(made)
    return made


class Compilations(event.Listener):
    """Counts the functions of SAN that numba compiles, and logs a line at the first one.

    Attributes
    ----------
    count : int
        Functions that were compiled in this process, not those that were on the disk.
    kept : list
        The functions whose code is kept on the disk; empty if no folder can be written.
    """

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Any] = []

    def on_start(self, event: Any) -> None:
        """A function begins to be compiled."""
        name = event.data["dispatcher"].py_func.__module__
        if not name.startswith("san."):
            return
        self.count += 1
        if self.count > 1:
            return
        seconds = SECONDS.get(".".join(name.split(".")[:2]), 1)
        if self.kept:
            log.info("compiling, only the first time: about %d s", seconds)
        else:
            log.warning("compiling, in each process anew: about %d s; %s", seconds, NOWHERE)

    def on_end(self, event: Any) -> None:
        """A function is compiled."""


_compilations = Compilations()
event.register("numba:compile", _compilations)


def compilations() -> Compilations:
    """What was compiled in this process."""
    return _compilations
