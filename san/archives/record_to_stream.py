"""How a record of an archive becomes a stream in its place, and a line of the manifest."""

import errno
import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from san import deprecated, storage
from san.archives.failures import failure_of, without_signal
from san.archives.options import Options, is_of_package
from san.archives.records import Record

if TYPE_CHECKING:
    from san.codec.dictionaries import DictionaryLike
    from san.codec.info import Info
    from san.codec.modes.dictionary import Dictionary
    from san.files.restoring import Restoration
    from san.signals import Array

NO_ROOM = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
)  # other records would meet them too


deprecated.names(
    __name__,
    {name: f"archives.records.{name}" for name in ("ENDINGS", "STREAM", "find_records", "survey")}
    | {"EXPECTED": "archives.failures.EXPECTED"},
)


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
    return None if is_of_package(dictionary) else find_dictionary(dictionary).sha256


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
        return row | failure_of(error)
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


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
