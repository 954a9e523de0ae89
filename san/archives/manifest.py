"""What an archive remembers of itself: its settings, a line for each record, and who may write.

`manifest.jsonl` begins with a line about the whole archive; each further line is a record, coded
or failed. During a run, a line is added as soon as its stream is written; at the end all lines are
sorted. A line that was cut because the process was killed is ignored. If two lines are about one
record, the later one counts.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from san import storage
from san.codec.dictionary_files import MANIFEST

VERSION = 1
NAME = MANIFEST
LOCK = ".manifest.lock"
SHA256 = re.compile("[0-9a-f]{64}")

Row = dict[str, Any]


@dataclass
class Manifest:
    """The lines of an archive's manifest."""

    source: str  # the folder that was archived
    settings: dict[str, Any]
    finished: bool = False
    rows: dict[str, Row] = field(default_factory=dict)  # by the record's path
    damaged: list[int] = field(default_factory=list)  # numbers of lines that cannot be read
    dictionaries: list[str] | None = None  # SHA-256 of those of all kinds, once they are learned

    def write(self, out: Path) -> None:
        """Write all lines, sorted. A file with the same content is not touched."""
        head = {
            "archive": VERSION,
            "source": self.source,
            "settings": self.settings,
            "finished": self.finished,
        }
        head |= {} if self.dictionaries is None else {"dictionaries": self.dictionaries}
        rows = [self.rows[name] for name in sorted(self.rows)]
        content = "".join(_line(row) for row in (head, *rows)).encode()
        path = out / NAME
        if not path.is_file() or path.read_bytes() != content:
            storage.write(path, content)


@contextmanager
def appending(out: Path) -> Iterator[Any]:
    """Give a function that adds a line to the manifest of a folder at once."""
    with open(out / NAME, "ab", buffering=0) as file:
        yield lambda row: _write_all(file, _line(row).encode())


def read(out: Path) -> Manifest | None:
    """Read the manifest of an archive; None if it has none.

    Raises
    ------
    ValueError
        If the file is not a manifest, or a newer release wrote it.
    """
    path = out / NAME
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", errors="replace") as file:
        head = _parsed(next(file, ""))
        if not isinstance(head, dict) or not isinstance(head.get("settings"), dict):
            raise ValueError(f"{path} is not the manifest of an archive")
        if head.get("archive") != VERSION:
            raise ValueError(
                f"{path} has version {head.get('archive')}, this release reads version {VERSION}"
            )
        manifest = Manifest(str(head.get("source")), head["settings"], head.get("finished") is True)
        if _are_names(head.get("dictionaries")):
            manifest.dictionaries = head["dictionaries"]
        for number, line in enumerate(file, 2):
            row = _parsed(line)
            if _is_row(row):
                manifest.rows[row["source"]] = row
            else:
                manifest.damaged.append(number)
    return manifest


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Make this the only run that writes to an archive. The lock ends with the process.

    Raises
    ------
    BlockingIOError
        If another run writes to it or checks it.
    """
    with open(out / LOCK, "ab") as file:
        _lock(file.fileno(), out, shared=False)
        yield


@contextmanager
def unchanging(out: Path) -> Iterator[None]:
    """Let no run write to an archive meanwhile; without effect on one that was never locked."""
    if not (out / LOCK).is_file():
        yield
        return
    with open(out / LOCK, "rb") as file:
        _lock(file.fileno(), out, shared=True)
        yield


def _lock(descriptor: int, out: Path, shared: bool) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise BlockingIOError(f"another run is at work in {out}: wait for its end") from None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"  # ASCII: names of files may be no text


def _write_all(file: Any, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _parsed(line: str) -> Any:
    """What a line holds; None if it was cut or is not JSON."""
    if not line.endswith("\n"):
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not _is_inside(row.get("source")):
        return False
    if "failure" in row:
        return isinstance(row["failure"], str)
    if not _are_texts(row.get("left_out", [])) or not _are_texts(row.get("notes", [])):
        return False
    if not _are_names([row["dictionary"]] if "dictionary" in row else []):
        return False
    found = row.get("comes_back_as")  # 0.4 did not try it
    if found is not None and not _is_outcome(found):
        return False
    return (
        _is_inside(row.get("stream"))
        and isinstance(row.get("sha256"), str)
        and isinstance(row.get("files"), dict)
        and all(known is None or _is_size_and_time(known) for known in row["files"].values())
        and all(isinstance(row.get(name), int) for name in ("bytes", "samples", "channels"))
    )


def _is_outcome(found: Any) -> bool:
    """Whether this says what comes back of a record."""
    return (
        isinstance(found, dict)
        and isinstance(found.get("outcome"), str)
        and _are_texts(found.get("differences"))
    )


def _are_names(found: Any) -> bool:
    """Whether these are SHA-256 in hexadecimal digits, of which names of files are made."""
    return _are_texts(found) and all(SHA256.fullmatch(each) for each in found)


def _are_texts(lines: Any) -> bool:
    return isinstance(lines, list) and all(isinstance(line, str) for line in lines)


def _is_size_and_time(known: Any) -> bool:
    return isinstance(known, list) and [type(value) for value in known] == [int, int]


def _is_inside(path: Any) -> bool:
    """Whether a relative path stays in its folder."""
    if not isinstance(path, str) or not path or "\0" in path or os.path.isabs(path):
        return False
    return ".." not in PurePosixPath(path).parts
