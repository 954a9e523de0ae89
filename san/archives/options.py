"""What a user asks of an archive: each option is checked here, and named for the manifest."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from san.codec.effort import Effort, checked_effort
from san.codec.target import Target

if TYPE_CHECKING:
    from san.codec.bank import DictionaryBank
    from san.codec.dictionaries import DictionaryLike
    from san.files.table_layout import TableOptions


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
        if self.dictionary is not None and not is_of_package(self.dictionary):
            raise ValueError(
                "dictionary and dictionaries were both given: leave out one of them, or take a "
                "dictionary that comes with the package, such as ecg"
            )
        if not self.events:
            raise ValueError("events=False uses no dictionaries: leave out one of the two")
        if target.exact:
            raise ValueError("dictionaries save nothing without loss: leave them out")


def is_of_package(dictionary: "DictionaryLike") -> bool:
    """Whether a dictionary comes with the package."""
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
