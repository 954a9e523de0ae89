"""Which dictionaries an archive has: one for each kind of record in it, or those of a folder.

Records whose mean beats are near are of one kind. A kind has a dictionary if that saves more bytes
in all its records than the dictionary has. The same records always give the same dictionaries.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from san.archives import workers
from san.archives.failures import EXPECTED
from san.archives.options import Options
from san.archives.records import Record
from san.codec.dictionary_files import dictionary_path

if TYPE_CHECKING:
    from san.codec.bank import DictionaryBank

LEARN = "learn"
USUAL_PRDN = 8.0  # of the excerpts, where the target is no PRDN


@dataclass(frozen=True)
class Look:
    """What is known of a record before its kind: its layout and its mean beat."""

    layout: tuple[float, int, str]  # fs, channels, dtype
    beat: np.ndarray


def bank_of(
    source: Path, out: Path, options: Options, records: list[Record], known: list[str] | None,
    jobs: int, client: Any,
) -> "DictionaryBank":  # fmt: skip
    """The dictionaries of an archive, all of them in files of its folder.

    Parameters
    ----------
    source, out : Path
        Folders of the records and of the archive.
    options : Options
        `options.dictionaries` is `learn`, a folder, or a bank.
    records : list of Record
        All records of the archive.
    known : list of str or None
        The SHA-256 of the dictionaries that an earlier run learned or was given. They are not
        learned again, unless one of them is missing or damaged.
    jobs, client
        As `san.archive.archive` takes them.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder has no dictionaries, or one of them is damaged.
    """
    from san.codec.bank import DictionaryBank
    from san.codec.modes.dictionary import Dictionary

    if known is not None and all(is_kept(out, sha256) for sha256 in known):
        return DictionaryBank(Dictionary.load(dictionary_path(out, sha256)) for sha256 in known)
    if options.dictionaries == LEARN:
        bank = _learned(source, options, records, jobs, client)
    elif isinstance(options.dictionaries, (str, os.PathLike)):
        bank = DictionaryBank.load(options.dictionaries)
    else:
        bank = DictionaryBank(options.dictionaries or ())
    bank.save(out)
    return bank


def is_kept(out: Path, sha256: str) -> bool:
    """Whether the file of a dictionary is in an archive, and holds that dictionary."""
    from san.codec.errors import CodecError
    from san.codec.modes.dictionary import Dictionary

    try:
        return Dictionary.load(dictionary_path(out, sha256)).sha256 == sha256
    except (OSError, CodecError):
        return False


def _learned(
    source: Path, options: Options, records: list[Record], jobs: int, client: Any
) -> "DictionaryBank":
    from san.codec.bank import DictionaryBank, kinds_of

    single = [(record,) for record in records]
    by_layout: dict[tuple[float, int, str], list[tuple[Record, np.ndarray]]] = {}
    for (record,), look in _answers(partial(look_at, source, options), single, jobs, client):
        if look is not None:
            by_layout.setdefault(look.layout, []).append((record, look.beat))
    kinds = [
        tuple(members[i][0] for i in numbers)
        for _, members in sorted(by_layout.items())
        for numbers in kinds_of([beat for _, beat in members])
    ]
    found = _answers(partial(learn_from, source, options), kinds, jobs, client)
    return DictionaryBank({each.sha256: each for _, each in found if each is not None}.values())


def _answers(
    work: Any, items: Sequence[tuple[Record, ...]], jobs: int, client: Any
) -> list[tuple[tuple[Record, ...], Any]]:
    """Items and what workers answer to them, sorted; without those at which two workers died."""
    with closing(workers.run(work, items, _size, jobs, client)) as answers:
        given = [pair for pair in answers if not isinstance(pair[1], workers.Killed)]
    return sorted(given, key=lambda pair: pair[0][0].path)


def _size(records: tuple[Record, ...]) -> int:
    return sum(record.bytes for record in records)


def look_at(source: Path, options: Options, one: tuple[Record]) -> Look | None:
    """Look at one record; None if it cannot be read, has no beats, or is too long to need any."""
    from san.codec.bank import MOST_VALUES, mean_beat

    (record,) = one
    if record.problem:
        return None
    try:
        array = read(source, options, record)
    except EXPECTED:  # the run that codes it will say why
        return None
    channels = array.x.shape[1] if array.x.ndim > 1 else 1
    beat = None if array.x.size > MOST_VALUES else mean_beat(array.x, array.fs)
    return None if beat is None else Look((array.fs or 0.0, channels, array.x.dtype.name), beat)


def learn_from(source: Path, options: Options, records: tuple[Record, ...]) -> Any:
    """The dictionary of the records of one kind; None if it does not pay."""
    from san.codec.bank import FEWEST, JUDGED_BY, LEARNED_FROM, learn_kind, spread

    if len(records) < FEWEST:
        return None
    arrays = []
    for record in spread(records, LEARNED_FROM + JUDGED_BY):
        try:
            arrays.append(read(source, options, record))
        except EXPECTED:  # it has changed since it was looked at
            return None
    prdn = options.target.prdn or USUAL_PRDN
    signals = [array.x for array in arrays]
    return learn_kind(signals, arrays[0].fs, prdn, options.target, len(records))


def read(source: Path, options: Options, record: Record) -> Any:
    """The signals of a record, as they are coded."""
    from san.files import streams

    return streams.read_file(
        source / record.path,
        exact=options.target.exact,
        fs=options.fs,
        physical=options.physical,
        annotations=options.annotations,
        table=options.table,
    )
