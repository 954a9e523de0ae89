"""What is said while functions of SAN are compiled, how many were, and where their code is kept.

Code is compiled when it is first called, and kept on the disk. The logger `san` says once in a
process that something is being compiled, and warns where nothing can be kept.
"""

import logging
from pathlib import Path

#: About how long the functions of a package are compiled, in seconds, for the message.
SECONDS = {"san.codec": 3, "san.hot_path": 4, "san.networks": 4}

NOWHERE = "no folder for compiled code can be written; let NUMBA_CACHE_DIR name one that can"

log = logging.getLogger("san")


class Compilations:
    """Counts the functions of SAN that are compiled, and logs a line at the first one.

    Attributes
    ----------
    count : int
        Functions that were compiled in this process, not those that were on the disk.
    folders : set of Path
        Where compiled code is kept; empty if no folder can be written.
    """

    def __init__(self) -> None:
        self.count = 0
        self.folders: set[Path] = set()

    def found(self, folder: Path) -> None:
        """The code of a function was in this folder."""
        self.folders.add(folder)

    def began(self, name: str, folder: Path | None) -> None:
        """A function of this name begins to be compiled; None: its code is kept nowhere."""
        if folder is not None:
            self.folders.add(folder)
        self.count += 1
        if self.count > 1:
            return
        seconds = SECONDS.get(".".join(name.split(".")[:2]), 1)
        if folder is not None:
            log.info("compiling, only the first time: about %d s", seconds)
        else:
            log.warning("compiling, in each process anew: about %d s; %s", seconds, NOWHERE)


_compilations = Compilations()


def compilations() -> Compilations:
    """What was compiled in this process."""
    return _compilations
