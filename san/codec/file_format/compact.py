"""How a short stream is laid out: header, footer and one chunk in few bytes, under one checksum.

    length      varint: bytes from here to the end
    fields      those of `Header` and `Footer`, without what follows from the others
    (files)     with a flag, see `attachments`
    payload     of the only chunk, which holds all samples
    checksum    CRC32 of everything before it

It stands after magic, version and flags. FORMAT.md describes the fields.
"""

import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream
from san.codec.file_format.attachments import Attachment, checksum, unpack_directory
from san.codec.file_format.header import (
    COMPACT,
    PRDN_AND_BOUND,
    WITH_ATTACHMENTS,
    WITH_DICTIONARY,
    WITH_RULES,
    WITH_TEXTS,
    Footer,
    Header,
    pack_dictionary,
    pack_texts,
    unpack_dictionary,
    unpack_texts,
)
from san.codec.file_format.limits import Limits
from san.codec.numbers.representation import DTYPES, pack_representation, unpack_representation
from san.codec.target import TARGETS

WITH_ALL = WITH_ATTACHMENTS + WITH_RULES + COMPACT + WITH_TEXTS + WITH_DICTIONARY
LARGEST = 1 << 20  # bytes of such a stream: longer ones gain nothing by it
SHORTEST_CHUNK = 16  # samples of a chunk that the header of such a stream states at least
_TWO_DIMENSIONS, _TARGET = 8, 4  # a bit, and a shift, of the first byte
_WHOLE, _THOUSANDTHS, _SINGLE, _DOUBLE = range(4)  # forms of a number
_MOST = 1 << 29  # a number below it may be whole, or whole thousandths


@dataclass(frozen=True)
class Compact:
    """What a compact stream holds."""

    header: Header
    footer: Footer
    payload: bytes
    attachments: tuple[Attachment, ...]
    files: tuple[bytes, ...]  # as they are stored
    places: tuple[int, int, int]  # of the fields' end, the payload and its end, after the flags


def flags_of(header: Header) -> int:
    """The flags that only a compact stream has."""
    texts = header.units or header.names
    named = header.dictionary is not None or header.dictionary_sha256 is not None
    return WITH_TEXTS * bool(texts) + WITH_DICTIONARY * named


def pack_compact(
    head: bytes, header: Header, footer: Footer, attachments: bytes, payload: bytes
) -> bytes | None:
    """What follows magic, version and flags, which are `head`; None where it does not fit.

    A compact stream has one chunk of all samples, and no errors without loss.
    """
    exact = header.target == "lossless"
    if header.chunk_samples != max(SHORTEST_CHUNK, footer.samples):
        return None
    if exact and (footer.largest_error or footer.prdn):
        return None
    if header.target == "prdn" and footer.prdn <= header.value < _single(footer.prdn):
        return None  # it would say that its target is not met
    if math.isfinite(footer.prdn) and math.isinf(_single(footer.prdn)):
        return None
    fields = _pack_fields(header, footer, exact)
    size = len(fields) + len(attachments) + len(payload) + 4
    if size > LARGEST:
        return None
    body = write_varint(size) + fields + attachments + payload
    return body + struct.pack("<I", zlib.crc32(head + body))


def _pack_fields(header: Header, footer: Footer, exact: bool) -> bytes:
    representation = header.representation
    target = TARGETS.index(header.target) if header.bound is None else PRDN_AND_BOUND
    kind = DTYPES.index(representation.dtype) + (target << _TARGET)
    two = representation.dimensions == 2
    parts = [bytes([kind + _TWO_DIMENSIONS * two])]
    parts += [write_varint(representation.channels)] * two
    parts += [pack_representation(representation), write_number(header.fs)]
    if not exact:
        parts.append(write_number(header.value))
    if header.bound is not None:
        parts.append(write_number(header.bound))
    if header.units or header.names:
        parts += [pack_texts(header.units), pack_texts(header.names)]
    if flags_of(header) & WITH_DICTIONARY:
        parts.append(pack_dictionary(header))
    parts.append(write_varint(footer.samples))
    if not exact:
        bound = header.value if header.target == "max_error" else header.bound
        parts += [write_number(_fewer_digits(footer.largest_error, bound))]
        parts += [struct.pack("<f", _single(footer.prdn))]
    return b"".join(parts)


def unpack_compact(head: bytes, body: bytes, limits: Limits) -> Compact:
    """What a compact stream holds.

    Parameters
    ----------
    head : bytes
        Magic, version, flags and length.
    body : bytes
        As many bytes as the length says.
    limits : Limits

    Raises
    ------
    CodecError
        If the bytes are not what `pack_compact` gives, or beyond the limits.
    """
    if len(body) < 4 or body[-4:] != struct.pack("<I", zlib.crc32(head + body[:-4])):
        raise CorruptStream("the stream does not agree with its checksum")
    flags, fields = head[5], Fields(body[:-4])
    header, footer = _unpack_fields(fields, flags, limits)
    end_of_fields = fields.position
    limits.check("header_bytes", end_of_fields - len(header.dictionary or b""))
    entries: tuple[Attachment, ...] = ()
    files: tuple[bytes, ...] = ()
    if flags & WITH_ATTACHMENTS:
        entries, files = _unpack_files(fields, limits)
    first = fields.position
    payload = fields.take(len(body) - 4 - first)
    if not footer.samples and payload:
        raise CorruptStream(f"{len(payload)} bytes of a chunk without samples")
    limits.check_payload(len(payload), *header.chunk_shape)
    return Compact(
        header, footer, payload, entries, files, (end_of_fields, first, first + len(payload))
    )


def _unpack_fields(fields: Fields, flags: int, limits: Limits) -> tuple[Header, Footer]:
    code = fields.byte()
    number, dimensions, target = code & 7, 1 + (code >> 3 & 1), code >> _TARGET
    with_bound = target == PRDN_AND_BOUND
    if number >= len(DTYPES) or (target >= len(TARGETS) and not with_bound):
        raise CorruptStream(f"no compact stream begins with the byte {code}")
    channels = fields.varint() if dimensions == 2 else 1
    limits.check("channels", channels)
    if channels == 0:
        raise CorruptStream("an array of 2 dimensions cannot have 0 channels")
    representation, fields.position = unpack_representation(
        fields.data, fields.position, DTYPES[number], dimensions, channels, bool(flags & WITH_RULES)
    )
    kind = "prdn" if with_bound else TARGETS[target]
    exact = kind == "lossless"
    fs, value = read_number(fields), 0.0 if exact else read_number(fields)
    bound = read_number(fields) if with_bound else None
    units: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    if flags & WITH_TEXTS:
        units, names = unpack_texts(fields, channels), unpack_texts(fields, channels)
        if not units and not names:
            raise CorruptStream("a flag says that there are units or names, and there are none")
    dictionary: bytes | None = None
    digest: bytes | None = None
    if flags & WITH_DICTIONARY:
        dictionary, digest = unpack_dictionary(fields, limits, newer=True)
        if dictionary is None and digest is None:
            raise CorruptStream("a flag says that there is a dictionary, and there is none")
    samples = fields.varint()
    limits.check("samples", samples)
    limits.check("chunk_values", max(SHORTEST_CHUNK, samples) * channels)
    errors = (0.0, 0.0) if exact else (read_number(fields), _unpack_prdn(fields))
    try:
        header = Header(
            representation,
            max(SHORTEST_CHUNK, samples),
            fs,
            kind,
            value,
            units,
            names,
            dictionary,
            digest,
            newer_modes=True,
            bound=bound,
        )
        return header, Footer(samples, *errors)
    except ValueError as error:
        raise CorruptStream(f"the compact stream is corrupt: {error}") from error


def _unpack_prdn(fields: Fields) -> float:
    prdn = float(struct.unpack("<f", fields.take(4))[0])
    if not prdn >= 0 or math.copysign(1, prdn) < 0:
        raise CorruptStream(f"a PRDN of {prdn}")
    return prdn


def _unpack_files(
    fields: Fields, limits: Limits
) -> tuple[tuple[Attachment, ...], tuple[bytes, ...]]:
    begin = fields.position
    length = fields.varint()
    limits.check("header_bytes", length)
    directory = fields.take(length)
    covered = fields.data[begin : fields.position]
    if fields.take(4) != struct.pack("<I", zlib.crc32(covered)):
        raise CorruptStream("the attachments do not agree with their checksum")
    entries, files = unpack_directory(directory, limits), []
    for number, entry in enumerate(entries):
        files.append(fields.take(entry.stored))
        if fields.take(4) != checksum(number, files[-1]):
            raise CorruptStream(f"attachment {entry.name!r} does not agree with its checksum")
    return entries, tuple(files)


def _fewer_digits(error: float, bound: float | None) -> float:
    """A largest error, rounded up to a float32 if that is short, and within the bound if it is."""
    single = _single(error)
    if bound is not None and error <= bound < single:
        single = bound
    return min(error, single, key=lambda value: (len(write_number(value)), value))


def write_number(value: float) -> bytes:
    """A number of 0 or above in few bytes.

    Examples
    --------
    >>> [len(write_number(v)) for v in (8.0, 360.0, 0.02, 7.9375, 1 / 3)]
    [1, 2, 1, 5, 9]
    """
    if value < _MOST and value == math.floor(value):
        return write_varint(int(value) * 4 + _WHOLE)
    thousandths = round(value * 1000) if value * 1000 < _MOST else 0
    if thousandths and thousandths / 1000 == value:
        return write_varint(thousandths * 4 + _THOUSANDTHS)
    if _single(value) == value:
        return bytes([_SINGLE]) + struct.pack("<f", value)
    return bytes([_DOUBLE]) + struct.pack("<d", value)


def read_number(fields: Fields) -> float:
    """A number of `write_number`.

    Raises
    ------
    CorruptStream
        If it is below 0, not a number, or has another encoding.
    """
    begin = fields.position
    code, form = divmod(fields.varint(), 4)
    value = float(code)
    if form == _THOUSANDTHS:
        value = code / 1000
    elif form == _SINGLE:
        value = float(struct.unpack("<f", fields.take(4))[0])
    elif form == _DOUBLE:
        value = fields.float64()
    written = fields.data[begin : fields.position]
    if not value >= 0 or math.copysign(1, value) < 0 or write_number(value) != written:
        raise CorruptStream(f"the number at byte {begin} is negative, none, or has another form")
    return value


def _single(value: float) -> float:
    """The smallest float32 that is not below the value."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(single if float(single) >= value else np.nextafter(single, np.float32(np.inf)))
