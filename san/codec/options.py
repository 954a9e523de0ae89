"""What a user asks of an encoder: each option is checked here and passed on in one form."""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from san.codec.dictionaries import DictionaryLike, find_dictionary
from san.codec.effort import Effort
from san.codec.file_format.attachments import pack_attachments
from san.codec.file_format.header import SHORT_NAME, Header, checked_fs
from san.codec.file_format.limits import Limits
from san.codec.modes.dictionary import Dictionary
from san.codec.numbers.integers import Representation
from san.codec.search.finding import CPU
from san.codec.target import Target
from san.codec.trained import is_trained

# Samples of a chunk, unless chunk_seconds is given: at most 2**20 of a channel, and 2**22 of all
# channels together. A part of a signal is read by whole chunks: longer ones make that slower.
CHUNK_SAMPLES, CHUNK_VALUES = 1 << 20, 1 << 22
SHORTEST_CHUNK = 16  # each chunk costs 5 to 8 bytes besides its samples: too many for fewer

Progress = Callable[[float], None]
Texts = str | Sequence[str] | None


@dataclass(frozen=True)
class Request:
    """What is asked of an encoder."""

    target: Target
    fs: float  # in Hz, 0 where it is unknown
    chunk_samples: int
    events: bool
    newer_modes: bool = True  # those of version 4 of the format may be used
    effort: Effort = "normal"
    device: str = CPU  # where kernels and events are looked for
    threads: int = 1  # chunks that are coded, or decoded, at the same time

    @property
    def fast(self) -> bool:
        """Whether speed counts more than bytes."""
        return self.effort == "fast"

    def without_learning(self, dictionary: Dictionary | None) -> "Request":
        """The same request after the search for a dictionary: without one, no events are used."""
        return replace(self, events=self.events and dictionary is not None)


class HeaderPlan:
    """All that a header says, except for the dictionary, which is known later."""

    def __init__(
        self,
        representation: Representation,
        request: Request,
        units: tuple[str, ...],
        names: tuple[str, ...],
        embed: bool,
        attachments: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        short_name: bool = False,
    ) -> None:
        self._embed, self.limits = embed, limits or Limits()
        self._name_bytes = SHORT_NAME if short_name else 32
        self.attachments = pack_attachments(attachments or {}, self.limits)
        self._plain = Header(
            representation,
            request.chunk_samples,
            request.fs,
            request.target.kind,
            request.target.value,
            units,
            names,
            bound=request.target.bound,
        )

    def of(self, representation: Representation) -> "HeaderPlan":
        """The same plan for another representation of the same array."""
        other = copy.copy(self)
        other._plain = replace(self._plain, representation=representation)
        return other

    def build(self, dictionary: Dictionary | None, newer_modes: bool = False) -> Header:
        """The header of a stream whose chunks need this dictionary, and may have newer modes."""
        plain = replace(self._plain, newer_modes=newer_modes)
        if dictionary is None:
            return plain
        if dictionary.teacher is not None:
            teacher = bytes.fromhex(dictionary.teacher.sha256)[:SHORT_NAME]
            return replace(plain, dictionary=dictionary.data, dictionary_sha256=teacher)
        trained = is_trained(dictionary)  # every reader has it
        if self._embed and not trained:
            return replace(plain, dictionary=dictionary.data)
        name = bytes.fromhex(dictionary.sha256)[: SHORT_NAME if trained else self._name_bytes]
        return replace(plain, dictionary_sha256=name)


def silent(share: float) -> None:
    """Progress that nobody watches."""


def samples_of_chunks(
    seconds: float | None, fs: float | None, channels: int, values: int = CHUNK_VALUES
) -> int:
    """Samples of a chunk: those of so many seconds, or else of at most so many values in all."""
    if seconds is None:
        return min(CHUNK_SAMPLES, max(SHORTEST_CHUNK, values // channels))
    return max(SHORTEST_CHUNK, samples_of_seconds("chunk_seconds", seconds, fs))


def samples_of_seconds(name: str, seconds: float, fs: float | None) -> int:
    """The samples of an option's seconds; raises ValueError with the option's name."""
    if fs is None:
        raise ValueError(f"{name} needs fs, the sampling rate")
    if isinstance(seconds, str) or not 0 < float(seconds) < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {seconds!r}")
    return round(float(seconds) * checked_fs(fs))


def texts_of(given: Texts) -> tuple[str, ...]:
    """Units or names as a header keeps them."""
    if given is None or isinstance(given, str):
        return () if given is None else (given,)
    if not isinstance(given, Iterable):
        raise ValueError(f"names and units must be texts, one for each channel, got {given!r}")
    return tuple(given)


def fitting_dictionary(
    dictionary: DictionaryLike | None, representation: Representation, embed: bool, events: bool
) -> Dictionary | None:
    """The dictionary that was given, if it fits the signal."""
    if dictionary is None:
        if not embed:
            raise ValueError("embed_dictionary=False needs a dictionary to name")
        return None
    if not events:
        raise ValueError("a dictionary is of no use with events=False: give one of them")
    found = find_dictionary(dictionary)
    if found.kernels.shape[1] != representation.channels:
        raise ValueError(
            f"the dictionary has kernels of {found.kernels.shape[1]} channels, and x has "
            f"{representation.channels}"
        )
    return found
