"""What a record of an archive is, and which files below a folder are its own.

WFDB headers, .edf, .bdf, .npy and .csv files are records; their endings may be in capitals. A
header that is a segment of another record belongs to that record. A header without signals is not a
record. Files with annotations alone, and tables with a column without numbers, hold no signal.
"""

import collections
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from san.archives import manifest, walk
from san.archives.failures import in_words

ENDINGS = (".hea", ".edf", ".bdf", ".npy", ".csv")
STREAM = ".san"
LONGEST_HEADER = 1 << 24  # bytes


@dataclass(frozen=True)
class Record:
    """A record below the folder that is archived. All paths are relative to it, with `/`."""

    path: str
    stream: str
    files: dict[str, list[int] | None]  # bytes and mtime in ns of each, None where it is missing
    problem: str = ""  # why it cannot be coded, if that is known before

    @property
    def bytes(self) -> int:
        """Bytes of all its files."""
        return sum(known[0] for known in self.files.values() if known)


def find_records(folder: Path) -> list[Record]:
    """Find all records below a folder, sorted by path. Unreadable folders are in the list too."""
    return survey(folder)[0]


def survey(
    folder: Path,
    out: Path | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> tuple[list[Record], dict[str, str]]:
    """The records below a folder, and the other files and why they are passed over, by path.

    Parameters
    ----------
    folder : Path
    out : Path, optional
        The archive, whose own files are not looked at.
    include, exclude : sequence of str
        Patterns of records, as `san.archives.walk.is_asked_for` takes them.
    """
    files = walk.find_files(folder, out)
    records = [Record(path, "", {}, in_words(e)) for path, e in files.unreadable.items()]
    found = [path for path in files.paths if _is_record(path)]
    beside = collections.defaultdict(list)
    for path in files.paths:
        if not _is_record(path) and not path.endswith(STREAM):
            beside[os.path.splitext(path)[0]].append(path)
    headers = {path: _named_in(folder / path) for path in found if _is_header(path)}
    segments = {
        _spelled(_beside(path, name), headers)
        for path, named in headers.items()
        for name in named.segments
    }
    taken: dict[str, str] = {}
    used = set[str]()
    for path in sorted(found):
        named = headers.get(path)
        if path in segments or (named is not None and named.empty):
            continue
        stem = os.path.splitext(path)[0]
        mine = [path]
        if named is not None:  # its annotations have its name
            mine = _files_of(path, headers) + sorted(beside[stem])
        if not walk.is_asked_for(path, include, exclude):
            files.passed_over |= dict.fromkeys(mine, walk.NOT_ASKED_FOR)
            continue
        stream = (stem if named is not None else path) + STREAM
        problem = f"its stream would be that of {taken[stream]}" if stream in taken else ""
        taken.setdefault(stream, path)
        used |= {*mine}
        records.append(
            Record(path, stream, {name: _known(folder / name) for name in mine}, problem)
        )
    present = {path.lower() for path in used}
    for path in files.paths:
        if path.lower() not in present and not _is_of_archive(path, folder, out):
            files.passed_over.setdefault(path, "no signal" if _is_header(path) else "no record")
    own = {path for path in files.passed_over if _is_of_archive(path, folder, out)}
    passed = {p: why for p, why in files.passed_over.items() if p not in used | own}
    return sorted(records, key=lambda record: record.path), dict(sorted(passed.items()))


def _is_of_archive(path: str, folder: Path, out: Path | None) -> bool:
    """Whether a file was written by the archive itself, beside the records."""
    if out is None or os.path.realpath(out) != os.path.realpath(folder):
        return False
    return path.endswith((STREAM, ".dictionary")) or path in (manifest.NAME, manifest.LOCK)


def _is_header(path: str) -> bool:
    return path.lower().endswith(".hea")


def _spelled(path: str, headers: dict[str, Any]) -> str:
    """The path of a segment's header as it is on the disk, where its ending may be in capitals."""
    capitals = path.removesuffix(".hea") + ".HEA"
    return capitals if path not in headers and capitals in headers else path


def _is_record(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in ENDINGS


@dataclass(frozen=True)
class _Header:
    """The names in a WFDB header."""

    signals: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    empty: bool = False  # whether it states that the record has no signal


def _named_in(path: Path) -> _Header:
    """The names in a header. None if it is no header; the reader of the record will say so."""
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST_HEADER).decode("utf-8", "replace")
    except OSError:
        return _Header()
    lines = [line.split() for line in content.splitlines() if line.strip()[:1] not in ("", "#")]
    if not lines or len(lines[0]) < 2:
        return _Header()
    named = tuple(dict.fromkeys(line[0] for line in lines[1:] if line[0] != "~"))
    if "/" in lines[0][0]:
        return _Header(segments=tuple(name + ".hea" for name in named))
    return _Header(signals=named, empty=lines[0][1] == "0")


def _files_of(path: str, headers: dict[str, _Header]) -> list[str]:
    """A header, the files that it names, and those that its segments name."""
    files = [path]
    for name in headers[path].segments:
        segment = _spelled(_beside(path, name), headers)
        files += [segment, *(_beside(segment, n) for n in headers.get(segment, _Header()).signals)]
    files += [_beside(path, name) for name in headers[path].signals]
    return list(dict.fromkeys(files))


def _beside(path: str, name: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(path), name)).replace(os.sep, "/")


def _known(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return [stat.st_size, stat.st_mtime_ns]
