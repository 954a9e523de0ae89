"""What a stream states before its chunks and after them."""

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from san import deprecated
from san.codec.entropy.varints import Fields, write_text, write_varint, write_varints
from san.codec.errors import CodecError, CorruptStream
from san.codec.file_format.limits import Limits
from san.codec.numbers.representation import (
    DTYPES,
    Representation,
    pack_representation,
    unpack_representation,
)
from san.codec.target import TARGETS

INDEX_STEP = 16  # the index has an entry for every 16th chunk
MOST_CHUNKS = 2**32  # a chunk's number has four bytes
LEAST_CHUNK = 5  # bytes of a chunk: a length of one byte, and the checksum
_TWO_DIMENSIONS = 16
PRDN_AND_BOUND = 4  # the target's code, beyond those of TARGETS
_NO_DICTIONARY, _CARRIED, _NAMED, _NAMED_SHORTLY, _TAUGHT = range(5)
SHORT_NAME = 4  # bytes of a dictionary's SHA-256 that name it where its owner knows all of them
# What the byte after version 4 says of a stream. The last two are of compact streams only.
WITH_ATTACHMENTS, WITH_RULES, COMPACT, WITH_TEXTS, WITH_DICTIONARY = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Header:
    """What a stream states before its chunks.

    Parameters
    ----------
    representation : Representation
        Dtype, dimensions, channels, and how integers become samples.
    chunk_samples : int
        Of every chunk but the last, which may be shorter.
    fs : float
        Sampling rate in Hz; 0 if unknown.
    target : str
        One of `san.codec.target.TARGETS`.
    value : float
        Of the target; 0 for lossless.
    bound : float, optional
        With prdn: the largest error of any sample. Only version 4 of the format has it.
    units, names : tuple of str
        Empty, one for all channels, or one for each; at most 64 bytes each in UTF-8.
    dictionary : bytes, optional
        Bytes of the dictionary that the stream carries.
    dictionary_sha256 : bytes, optional
        32 bytes, or the first 4 of them, of a dictionary that the chunks need and the stream does
        not carry. Beside a dictionary that the stream carries: the first 4 of its teacher.
    newer_modes : bool
        Whether chunks may have the payload modes that version 4 of the format has brought.

    Raises
    ------
    ValueError
        If a field is out of its range.

    Examples
    --------
    >>> header = Header(Representation(np.dtype("int16"), 1, 1), 3600, 360.0, "prdn", 8.0)
    >>> len(pack_header(header))
    24
    """

    representation: Representation
    chunk_samples: int
    fs: float = 0.0
    target: str = "lossless"
    value: float = 0.0
    units: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    dictionary: bytes | None = field(default=None, repr=False)
    dictionary_sha256: bytes | None = None
    newer_modes: bool = False
    bound: float | None = None

    sampling_rate = deprecated.attribute("sampling_rate", "fs")

    def __post_init__(self) -> None:
        channels = self.representation.channels
        if self.representation.dimensions not in (1, 2) or channels < 1:
            raise ValueError(f"an array must have one or two dimensions, got {self.representation}")
        if self.representation.dimensions == 1 and channels != 1:
            raise ValueError(f"an array of one dimension has one channel, got {channels}")
        if self.chunk_samples < 1:
            raise ValueError(f"chunk_samples must be 1 or more, got {self.chunk_samples}")
        if not 0 <= self.fs < math.inf:
            raise ValueError(f"fs must be finite, 0 or above, got {self.fs}")
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}")
        if not 0 <= self.value < math.inf or (self.target == "lossless" and self.value != 0):
            raise ValueError(f"{self.target} cannot have the value {self.value}")
        if self.bound is not None and (self.target != "prdn" or not 0 <= self.bound < math.inf):
            raise ValueError(f"{self.target} cannot have a bound of {self.bound}")
        for what, texts in (("units", self.units), ("names", self.names)):
            if len(texts) not in (0, 1, channels):
                raise ValueError(f"{what} must be none, one or {channels}, got {len(texts)}")
            for text in texts:
                write_text(text)
        name = self.dictionary_sha256
        if self.dictionary is not None and name is not None and len(name) != SHORT_NAME:
            raise ValueError(f"a teacher is named by {SHORT_NAME} bytes, got {len(name)}")
        if self.dictionary_sha256 is not None and len(self.dictionary_sha256) not in (
            SHORT_NAME,
            32,
        ):
            raise ValueError(f"a SHA-256 has 32 bytes, got {len(self.dictionary_sha256)}")

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """Samples of a chunk, and its columns of integers."""
        return self.chunk_samples, self.representation.columns

    @property
    def flags(self) -> int:
        """The flags of version 4 that the header's own fields need."""
        return WITH_RULES * bool(self.representation.rules)

    @property
    def is_newer(self) -> bool:
        """Whether streams before version 4 cannot have this header."""
        shortly = self.dictionary_sha256 is not None and len(self.dictionary_sha256) < 32
        return bool(self.flags) or self.newer_modes or shortly or self.bound is not None


@dataclass(frozen=True)
class Footer:
    """What a stream states after its chunks.

    Parameters
    ----------
    samples : int
        Of each channel.
    largest_error : float
        Of any sample, in the signal's units.
    prdn : float
        Of the whole signal, in per cent; infinite if a constant channel has an error.
    sections : tuple of int
        Bytes of each part of the payloads; may be empty.

    Examples
    --------
    >>> Footer(samples=7200, largest_error=3.0, prdn=7.93).samples
    7200
    """

    samples: int
    largest_error: float = 0.0
    prdn: float = 0.0
    sections: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise ValueError(f"samples must be 0 or more, got {self.samples}")
        for name in ("largest_error", "prdn"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or above, got {getattr(self, name)}")


def checked_fs(fs: float | None) -> float:
    """Check a sampling rate, and return what a header keeps: Hz, or 0 where none is known."""
    if fs is None:
        return 0.0
    try:
        checked = float(fs)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"fs must be one number, in Hz, got {fs!r:.60}") from None
    if not 0 < checked < np.inf:
        raise ValueError(f"fs must be above 0 and finite, in Hz, got {fs}")
    return checked


def chunks_of(samples: int, header: Header) -> int:
    """How many chunks a channel of this many samples has."""
    return -(-samples // header.chunk_samples)


def check_header(header: Header, limits: Limits) -> None:
    """Raise LimitExceeded if a header declares more than the limits allow."""
    channels = header.representation.channels
    limits.check("channels", channels)
    limits.check("chunk_values", header.chunk_samples * channels)


def pack_header(header: Header) -> bytes:
    """The body of a header block.

    Examples
    --------
    >>> pack_header(Header(Representation(np.dtype("int16"), 1, 1), 3600)).hex()
    '010100000000000000000000000000000000000000901c00'
    """
    representation = header.representation
    code = DTYPES.index(representation.dtype) + _TWO_DIMENSIONS * (representation.dimensions - 1)
    parts = [bytes([code]), write_varint(representation.channels)]
    parts += [struct.pack("<d", header.fs), pack_representation(representation)]
    parts += [pack_texts(header.units), pack_texts(header.names)]
    if header.bound is None:
        parts.append(struct.pack("<Bd", TARGETS.index(header.target), header.value))
    else:
        parts.append(struct.pack("<Bdd", PRDN_AND_BOUND, header.value, header.bound))
    parts.append(write_varint(header.chunk_samples))
    parts.append(pack_dictionary(header))
    return b"".join(parts)


def pack_texts(texts: tuple[str, ...]) -> bytes:
    """The bytes of units or names."""
    return write_varint(len(texts)) + b"".join(map(write_text, texts))


def pack_dictionary(header: Header) -> bytes:
    """The bytes of a header's dictionary: itself, its name, or that there is none."""
    name = header.dictionary_sha256
    if header.dictionary is not None:
        kind = bytes([_CARRIED]) if name is None else bytes([_TAUGHT]) + name
        return kind + write_varint(len(header.dictionary)) + header.dictionary
    if name is None:
        return bytes([_NO_DICTIONARY])
    return bytes([_NAMED if len(name) == 32 else _NAMED_SHORTLY]) + name


def unpack_header(
    body: bytes, limits: Limits, newer_modes: bool = False, with_rules: bool = False
) -> Header:
    """A header from its body.

    `newer_modes` and `with_rules` are what version and flags of the stream say.

    Raises
    ------
    CorruptStream
        If a field is not as `Header` says, or the fields do not end with the body.
    LimitExceeded
        If it declares more than the limits allow.
    """
    fields = Fields(body)
    code = fields.byte()
    dimensions, number = 1 + code // _TWO_DIMENSIONS, code % _TWO_DIMENSIONS
    if dimensions > 2 or number >= len(DTYPES):
        raise CorruptStream(f"no dtype has the code {code}")
    channels = fields.varint()
    limits.check("channels", channels)
    if channels == 0 or (dimensions == 1 and channels > 1):
        raise CorruptStream(f"an array of {dimensions} dimensions cannot have {channels} channels")
    fs = fields.float64()
    representation, fields.position = unpack_representation(
        body, fields.position, DTYPES[number], dimensions, channels, with_rules
    )
    units, names = unpack_texts(fields, channels), unpack_texts(fields, channels)
    target = fields.byte()
    with_bound = newer_modes and target == PRDN_AND_BOUND
    if target >= len(TARGETS) and not with_bound:
        raise CorruptStream(f"no target has the code {target}")
    value, bound = fields.float64(), fields.float64() if with_bound else None
    chunk_samples = fields.varint()
    limits.check("chunk_values", chunk_samples * channels)
    dictionary, digest = unpack_dictionary(fields, limits, newer_modes)
    fields.end()
    limits.check("header_bytes", len(body) - len(dictionary or b""))
    try:
        return Header(
            representation,
            chunk_samples,
            fs,
            "prdn" if with_bound else TARGETS[target],
            value,
            units,
            names,
            dictionary,
            digest,
            newer_modes,
            bound,
        )
    except CodecError:
        raise
    except ValueError as error:
        raise CorruptStream(f"the header is corrupt: {error}") from error


def unpack_texts(fields: Fields, channels: int) -> tuple[str, ...]:
    """Units or names; raises CorruptStream."""
    count = fields.varint()
    if count not in (0, 1, channels):
        raise CorruptStream(f"{count} texts cannot describe {channels} channels")
    return tuple(fields.text() for _ in range(count))


def unpack_dictionary(
    fields: Fields, limits: Limits, newer: bool
) -> tuple[bytes | None, bytes | None]:
    """A dictionary and the name of one, of which one or both are None; raises CodecError.

    Where there are both, the second one is that of a teacher. Streams before version 4 (`newer` is
    False) have neither short names nor teachers.
    """
    kind = fields.byte()
    if kind == _NO_DICTIONARY:
        return None, None
    if kind == _NAMED:
        return None, fields.take(32)
    if kind == _NAMED_SHORTLY and newer:
        return None, fields.take(SHORT_NAME)
    name = fields.take(SHORT_NAME) if kind == _TAUGHT and newer else None
    if kind != _CARRIED and name is None:
        raise CorruptStream(f"no dictionary has the kind {kind}")
    length = fields.varint()
    limits.check("dictionary_bytes", length)
    return fields.take(length), name


def pack_footer(footer: Footer, offsets: list[int], header: Header) -> bytes:
    """The body of a footer; offsets are those of chunks 0, 16, 32 ... and of the end mark."""
    counts = write_varints([footer.samples, chunks_of(footer.samples, header)])
    errors = struct.pack("<dd", footer.largest_error, footer.prdn)
    index = write_varints(np.diff(np.array(offsets, np.int64)))
    return counts + errors + index + write_varints([len(footer.sections), *footer.sections])


def unpack_footer(
    body: bytes, header: Header, header_end: int, limits: Limits
) -> tuple[Footer, np.ndarray]:
    """A footer, and the offsets of chunks 0, 16, 32 ... and of the end mark (int64), of its body.

    Raises
    ------
    CorruptStream
        If its numbers do not agree with each other or with the header.
    LimitExceeded
        If it declares more samples than the limits allow.
    """
    fields = Fields(body)
    samples, chunks = fields.varint(), fields.varint()
    limits.check("samples", samples)
    if chunks != chunks_of(samples, header):
        raise CorruptStream(
            f"{samples} samples are not {chunks} chunks of {header.chunk_samples} samples"
        )
    largest_error, prdn = fields.float64(), fields.float64()
    distances = fields.varints(-(-chunks // INDEX_STEP) or 1)
    if distances.max() > 2**62 // distances.size:
        raise CorruptStream(f"the index has a distance of {distances.max()} bytes")
    spans = np.full(distances.size, INDEX_STEP, np.int64)
    spans[-1] = chunks - INDEX_STEP * (distances.size - 1)
    if (distances < LEAST_CHUNK * spans).any():
        raise CorruptStream(f"the index has no room for {chunks} chunk{'s' * (chunks != 1)}")
    sections = fields.varints(fields.varint())
    fields.end()
    offsets = header_end + np.cumsum(np.append(0, distances))
    try:
        return Footer(samples, largest_error, prdn, tuple(sections.tolist())), offsets
    except ValueError as error:
        raise CorruptStream(f"the footer is corrupt: {error}") from error
