"""Which files below a folder are looked at, and what is passed over and why.

Linked folders are followed once. Hidden files and folders are passed over, and named.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

HIDDEN = "hidden"
NOT_ASKED_FOR = "not among what --include and --exclude ask for"
SEEN = "a link to a folder that is looked at in another place"
OWN = "the folder of the archive"


@dataclass
class Files:
    """What was found below a folder. All paths are relative to it, with `/`."""

    paths: list[str] = field(default_factory=list)
    unreadable: dict[str, OSError] = field(default_factory=dict)  # folders
    passed_over: dict[str, str] = field(default_factory=dict)  # why, by path


def find_files(folder: Path, out: Path | None = None) -> Files:
    """All files below a folder but those of the archive `out`.

    A linked folder is followed if what it leads to is neither below the folder, nor above it, nor
    followed already.
    """
    found, errors = Files(), list[OSError]()
    root = Path(os.path.realpath(folder))
    own = None if out is None else os.path.realpath(out)
    followed: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        inside = Path(place).relative_to(folder)
        keep = []
        for name in sorted(folders):
            path, real = (inside / name).as_posix(), os.path.realpath(os.path.join(place, name))
            if name.startswith("."):
                found.passed_over[f"{path}/"] = HIDDEN
            elif real == own and real != str(root):
                found.passed_over[f"{path}/"] = OWN
            elif os.path.islink(os.path.join(place, name)) and (
                real in followed or Path(real).is_relative_to(root) or root.is_relative_to(real)
            ):
                found.passed_over[f"{path}/"] = SEEN
            elif real in followed:
                found.passed_over[f"{path}/"] = SEEN
            else:
                followed.add(real)
                keep.append(name)
        folders[:] = keep
        for name in sorted(names):
            path = (inside / name).as_posix()
            if name.startswith("."):
                found.passed_over[path] = HIDDEN
            else:
                found.paths.append(path)
    for error in errors:
        found.unreadable[Path(error.filename).relative_to(folder).as_posix()] = error
    return found


def is_asked_for(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a path fits one of the patterns to include, if there are any, and none to exclude.

    A pattern fits a whole path, or a file's name, or a folder above the file.

    Examples
    --------
    >>> is_asked_for("a/b/x.csv", [], ["*.csv"]), is_asked_for("a/b/x.npy", ["a"], ["*.csv"])
    (False, True)
    """
    parts = path.split("/")
    names = [path, parts[-1], *("/".join(parts[:n]) for n in range(1, len(parts)))]

    def fits(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(name, p.rstrip("/")) for p in patterns for name in names)

    return (not include or fits(include)) and not fits(exclude)
