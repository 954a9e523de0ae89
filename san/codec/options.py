"""What a user asks of an encoder: checked, and in the words of the rooms below."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from san.codec.container.attachments import pack_attachments
from san.codec.container.header import Header, Limits, checked_fs
from san.codec.dictionaries import Source, find_dictionary
from san.codec.modes.dictionary import Dictionary
from san.codec.numbers.integers import Representation

CHUNK_SAMPLES = 1 << 20  # of a channel, where nothing else is asked for
CHUNK_VALUES = 1 << 22  # of all channels
SHORTEST_CHUNK = 16  # below, what every chunk costs is more than readers take for a sample

Progress = Callable[[float], None]
Texts = str | Sequence[str] | None


@dataclass(frozen=True)
class Request:
    """What is asked of an encoder."""

    kind: str
    value: float
    fs: float
    chunk_samples: int
    events: bool

    @property
    def exact(self) -> bool:
        """Whether every sample must come back to the last bit."""
        return self.kind == "lossless" or (self.kind == "max_error" and self.value == 0)

    def without_learning(self, dictionary: Dictionary | None) -> "Request":
        """The same where a dictionary, or that none pays, is known."""
        return replace(self, events=self.events and dictionary is not None)


class HeaderPlan:
    """What a header says besides the dictionary, which is known later."""

    def __init__(
        self,
        representation: Representation,
        request: Request,
        units: tuple[str, ...],
        names: tuple[str, ...],
        embed: bool,
        attachments: Mapping[str, bytes] | None = None,
    ) -> None:
        self._embed = embed
        self.attachments = pack_attachments(attachments or {}, Limits())
        self._plain = Header(
            representation,
            request.chunk_samples,
            request.fs,
            request.kind,
            request.value,
            units,
            names,
        )

    def build(self, dictionary: Dictionary | None) -> Header:
        """The header of a stream whose chunks need this dictionary, or none."""
        if dictionary is None:
            return self._plain
        if self._embed:
            return replace(self._plain, dictionary=dictionary.data)
        return replace(self._plain, dictionary_sha256=bytes.fromhex(dictionary.sha256))


def silent(share: float) -> None:
    """Progress that nobody watches."""


def target_of(
    max_error: float | None, prdn: float | None, lossless: bool, bits_per_sample: float | None
) -> tuple[str, float]:
    """The name and value of the one target that was given, which `represent` has checked."""
    if lossless:
        return "lossless", 0.0
    given = {"max_error": max_error, "prdn": prdn, "bits_per_sample": bits_per_sample}
    return next((kind, float(value)) for kind, value in given.items() if value is not None)


def samples_of_chunks(
    seconds: float | None, fs: float | None, channels: int, values: int = CHUNK_VALUES
) -> int:
    """Samples of a chunk, from its seconds or such that it has so many values of all channels."""
    if seconds is None:
        return min(CHUNK_SAMPLES, max(SHORTEST_CHUNK, values // channels))
    if fs is None:
        raise ValueError("chunk_seconds needs fs, the sampling rate")
    if not 0 < float(seconds) < math.inf:
        raise ValueError(f"chunk_seconds must be above 0 and finite, got {seconds}")
    return max(SHORTEST_CHUNK, round(float(seconds) * checked_fs(fs)))


def texts_of(given: Texts) -> tuple[str, ...]:
    """Units or names as a header keeps them."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def fitting_dictionary(
    dictionary: Source | None, representation: Representation, embed: bool, events: bool
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
