"""What a record of an archive is, and how one becomes a stream in its place.

WFDB headers, .edf, .bdf, .npy and .csv files are records; their endings may be in capitals. A
header that is a segment of another record belongs to that record. A header without signals is not a
record. Files with annotations alone, and tables with a column without numbers, hold no signal.
"""

import collections
import csv
import errno
import hashlib
import itertools
import math
import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from san import storage
from san.archives import manifest, walk
from san.codec.effort import Effort, checked_effort
from san.codec.target import Target
from san.files.table_moments import form_of
from san.packages import MissingPackage
from san.signals import NoSignal

if TYPE_CHECKING:
    from san.codec.bank import DictionaryBank
    from san.codec.dictionaries import DictionaryLike
    from san.codec.info import Info
    from san.codec.modes.dictionary import Dictionary
    from san.files.restoring import Restoration
    from san.files.table_layout import TableOptions
    from san.signals import Array

ENDINGS = (".hea", ".edf", ".bdf", ".npy", ".csv")
STREAM = ".san"
NO_ROOM = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
)  # other records would meet them too
LONGEST_HEADER = 1 << 24  # bytes
ROWS_LOOKED_AT = 1000  # of a table, to see whether it holds a signal
MISSING = {"", "-", "NA", "N/A", "NaN", "nan"}  # fields of a table that say nothing
LONGEST_FAILURE = 500  # characters
LONGEST_TRACEBACK = 20_000  # characters, the last ones
# What readers and the codec raise of a record.
EXPECTED = (ValueError, OSError, MemoryError, MissingPackage)


@dataclass(frozen=True)
class Options:
    """How the records of an archive are coded, with a target as for `san.compress`.

    Attributes
    ----------
    prdn, max_error, lossless, bits_per_sample
        The target.
    dictionary : Dictionary or path, optional
        Kernels to use instead of those learned on each record. Beside `dictionaries`: only one
        that comes with the package.
    dictionaries : "learn", or path, or DictionaryBank, optional
        Several dictionaries that the archive keeps: `learn` learns one for each kind of record. A
        path is a folder of saved ones. Each record is coded without and with those of the nearest
        kinds, and its smallest stream is kept.
    events, chunk_seconds, embed_dictionary, effort
        As `san.compress` takes them. A dictionary that is not embedded is kept in the archive.
    fs : float, optional
        Sampling rate in Hz, for files that do not state it.
    physical : bool
        Code WFDB records and EDF in physical units, as floats.
    annotations : bool
        Attach the annotation files of WFDB records.
    exact : bool
        Without loss only: a record whose files would not come back with the same bytes is a
        failure.
    table : TableOptions, optional
        How the `.csv` tables are written: ``san.files.table_layout.TableOptions``. SAN finds out
        what the options do not say.

    Examples
    --------
    >>> Options(prdn=8.0).settings()["target"], Options(lossless=True).settings()["value"]
    ('prdn', 0.0)
    """

    prdn: float | None = None
    max_error: float | None = None
    lossless: bool = False
    bits_per_sample: float | None = None
    dictionary: "DictionaryLike | None" = None
    events: bool = True
    chunk_seconds: float | None = None
    embed_dictionary: bool = True
    fs: float | None = None
    physical: bool = False
    annotations: bool = True
    exact: bool = False
    table: "TableOptions | None" = None
    dictionaries: "str | os.PathLike[str] | DictionaryBank | None" = None
    effort: Effort = "normal"

    @property
    def target(self) -> Target:
        """The one target that is given, checked."""
        return Target.of(
            max_error=self.max_error,
            prdn=self.prdn,
            lossless=self.lossless,
            bits_per_sample=self.bits_per_sample,
        )

    def settings(self) -> dict[str, Any]:
        """All that the bytes of a stream depend on, as JSON holds it.

        Raises
        ------
        ValueError
            If no target or others together are given, or a number is out of its range.
        FileNotFoundError
            If the dictionary is not there.
        """
        from san.codec.dictionaries import find_dictionary
        from san.codec.file_format.header import checked_fs
        from san.codec.options import samples_of_chunks

        target = self.target
        samples_of_chunks(self.chunk_seconds, self.fs or 1.0, 1)
        if self.dictionary is None and not self.embed_dictionary:
            raise ValueError("embed_dictionary=False needs a dictionary")
        if self.exact and not target.exact:
            raise ValueError("exact=True needs lossless=True: within an error samples change")
        if self.dictionary is not None and not self.events:
            raise ValueError("events=False uses no dictionary: leave out one of the two")
        self._check_dictionaries(target)
        sha256 = None if self.dictionary is None else find_dictionary(self.dictionary).sha256
        bound = {} if target.bound is None else {"bound": target.bound}
        settings: dict[str, Any] = bound | {
            "target": target.kind,
            "value": target.value,
            "dictionary": sha256,
            "embed_dictionary": self.embed_dictionary,
            "events": self.events,
            "chunk_seconds": self.chunk_seconds,
            "fs": checked_fs(self.fs) or None,
            "physical": self.physical,
            "annotations": self.annotations,
        }
        effort = checked_effort(self.effort)
        settings |= {"exact": True} if self.exact else {}  # 0.4 had none of these
        settings |= {"effort": effort} if effort != "normal" else {}
        settings |= {"table": self.table.given} if self.table else {}
        if self.dictionaries is None:
            return settings
        return settings | {"dictionaries": _named(self.dictionaries)}

    def _check_dictionaries(self, target: Target) -> None:
        if self.dictionaries is None:
            return
        if self.dictionary is not None and not _is_trained(self.dictionary):
            raise ValueError(
                "dictionary and dictionaries were both given: leave out one of them, or take a "
                "dictionary that comes with the package, such as ecg"
            )
        if not self.events:
            raise ValueError("events=False uses no dictionaries: leave out one of the two")
        if target.exact:
            raise ValueError("dictionaries save nothing without loss: leave them out")


def _is_trained(dictionary: "DictionaryLike") -> bool:
    from san.codec.dictionaries import find_dictionary
    from san.codec.trained import is_trained

    return is_trained(find_dictionary(dictionary))


def _named(dictionaries: "str | os.PathLike[str] | DictionaryBank") -> str | list[str]:
    """Dictionaries as a manifest names them: `learn`, or the SHA-256 of each."""
    from san.codec.bank import DictionaryBank

    if dictionaries == "learn":
        return "learn"
    if isinstance(dictionaries, (str, os.PathLike)):
        dictionaries = DictionaryBank.load(dictionaries)
    return sorted(each.sha256 for each in dictionaries)


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


@dataclass(frozen=True)
class Coded:
    """The stream of a record, and what is to be known of it."""

    blob: bytes
    info: "Info"
    comes_back_as: "Restoration | None"
    left_out: tuple[str, ...]  # files that are not in it, and why
    notes: tuple[str, ...]  # how a table was read
    dictionary: str | None  # the SHA-256 of the one that the archive keeps for it


def code_record(path: Path, options: Options) -> Coded:
    """Code one record, and try whether its files come back."""
    from san.codec.decoder import Decoder
    from san.codec.info import inspect
    from san.files import streams

    target = options.target
    array = streams.read_file(
        path,
        exact=target.exact,
        fs=options.fs,
        physical=options.physical,
        annotations=options.annotations,
        table=options.table,
    )
    tried = [options.dictionary, *_of_near_kinds(array, options)]
    blobs = [
        streams.encode_array(
            array,
            **target.arguments,
            dictionary=dictionary,
            events=options.events,
            chunk_seconds=options.chunk_seconds,
            embed_dictionary=options.embed_dictionary if number == 0 else False,
            effort=options.effort,
            short_name=True,  # the archive keeps the dictionary, and its manifest the whole name
        )
        for number, dictionary in enumerate(tried)
    ]
    blob = min(blobs, key=len)
    info, dictionary = inspect(blob), tried[blobs.index(blob)]
    found = streams.restored(path, Decoder(blob, dictionary=dictionary), array)
    if options.exact and found is not None:
        found.refuse_other_bytes(path)
    return Coded(blob, info, found, array.left_out, array.notes, _name_of(dictionary, info))


def _of_near_kinds(array: "Array", options: Options) -> "list[Dictionary]":
    """The dictionaries of the archive that are tried for a record."""
    from san.codec.bank import DictionaryBank

    bank = options.dictionaries
    return bank.nearest(array.x, array.fs) if isinstance(bank, DictionaryBank) else []


def _name_of(dictionary: "DictionaryLike | None", info: "Info") -> str | None:
    """The SHA-256 of the dictionary that a stream names; None if it carries or needs none."""
    from san.codec.dictionaries import find_dictionary

    if dictionary is None or info.dictionary_sha256 is None or info.dictionary_carried:
        return None
    return None if _is_trained(dictionary) else find_dictionary(dictionary).sha256


def store_record(source: Path, out: Path, options: Options, record: Record) -> dict[str, Any]:
    """Code a record, write its stream, and return its line of the manifest.

    Every other error than that of a full disk becomes the line's `failure`, so that the other
    records are coded all the same. If it is none that a reader or the codec raises on purpose,
    the line has its `traceback` too.

    Raises
    ------
    OSError
        If there is no room for the stream.
    """
    begin = time.perf_counter()
    row: dict[str, Any] = {"source": record.path, "files": record.files}
    try:
        if record.problem:
            raise ValueError(record.problem)
        coded = code_record(source / record.path, options)
        path = out / record.stream
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.write(path, coded.blob)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        without = without_signal(source / record.path, error)
        if without:
            return row | {"failure": without, "no_signal": True}
        return row | _failure_of(error)
    info = coded.info
    row |= {"left_out": list(coded.left_out)} if coded.left_out else {}
    row |= {"notes": list(coded.notes)} if coded.notes else {}
    row |= {"dictionary": coded.dictionary} if coded.dictionary else {}
    row |= {} if info.bound is None else {"bound": info.bound}
    return row | {
        "stream": record.stream,
        "sha256": hashlib.sha256(coded.blob).hexdigest(),
        "bytes": info.bytes,
        "samples": info.shape[0],
        "channels": info.shape[1] if len(info.shape) > 1 else 1,
        "dtype": info.dtype.name,
        "ratio": info.compression_ratio,
        "target": info.target,
        "value": info.value,
        "largest_error": _finite(info.largest_error),
        "prdn": _finite(info.prdn),
        "comes_back_as": coded.comes_back_as and coded.comes_back_as.as_json,
        "seconds": round(time.perf_counter() - begin, 4),
    }


def without_signal(path: Path, error: Exception) -> str:
    """Why a file that could not be coded has no signal; empty if it should have one."""
    if isinstance(error, NoSignal):
        return in_words(error)
    if not isinstance(error, ValueError) or path.suffix.lower() != ".csv" or not path.is_file():
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line for line in itertools.islice(file, ROWS_LOOKED_AT) if line.strip()]
    if len(lines) < 2:
        return ""
    delimiter = max(",;\t", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=delimiter))
    for number, column in enumerate(zip(*rows, strict=False), 1):
        texts = {field.strip() for field in column} - MISSING
        if texts and not any(_is_number(text) or form_of(text) for text in texts):
            return f"it is a table, and no field of its column {number} is a number"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _failure_of(error: Exception) -> dict[str, str]:
    """What a line of the manifest says of an error."""
    if isinstance(error, EXPECTED):
        return {"failure": in_words(error)}
    trace = "".join(traceback.format_exception(error))
    return {
        "failure": f"{in_words(error)}; its traceback is in {manifest.NAME}",
        "traceback": trace[-LONGEST_TRACEBACK:],
    }


def in_words(error: BaseException) -> str:
    """One line of an error, with its kind if the message alone is not enough."""
    text = " ".join(str(error).split())
    if not isinstance(error, (ValueError, OSError, MissingPackage)) or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return text[:LONGEST_FAILURE]


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


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
