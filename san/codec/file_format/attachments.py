"""How files that are attached to a stream are stored in it.

They stand between the header and the first chunk:

    directory   varint length, body, CRC32 of both
    file        its bytes as they are stored, CRC32 of the file's number (4 bytes) + those bytes
    ...

The directory's body is a varint count, and for each file: its name (a text as in the header), the
method (0 as it is, 1 deflated, in zlib's format), its size (varint) and, if it is deflated, the
size of the deflated bytes (varint).
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from san.codec.entropy.varints import LONGEST_TEXT, Fields, write_text, write_varint
from san.codec.errors import CorruptStream
from san.codec.file_format.limits import Limits

STORED, DEFLATED = 0, 1


@dataclass(frozen=True)
class Attachment:
    """An entry of the directory."""

    name: str
    method: int
    size: int  # bytes of the file
    stored: int  # bytes that it takes in the stream


def pack_attachments(files: Mapping[str, bytes], limits: Limits) -> bytes:
    """The bytes of directory and files; empty if there are no files.

    Raises
    ------
    TypeError
        If a file is not bytes.
    ValueError
        If a name is empty, longer than 64 bytes in UTF-8, or the files are beyond the limits.
    """
    if not files:
        return b""
    body, stored = write_varint(len(files)), []
    limits.check("attachments", len(files))
    limits.check("attachment_bytes", sum(map(len, files.values())))
    for number, (name, data) in enumerate(files.items()):
        if not name:
            raise ValueError(f"an attachment's name has 1 to {LONGEST_TEXT} bytes, got none")
        if not isinstance(data, bytes):
            raise TypeError(f"attachment {name!r} must be bytes, got {type(data).__name__}")
        small = zlib.compress(data, 9)
        method = DEFLATED if len(small) < len(data) else STORED
        kept = small if method == DEFLATED else data
        body += write_text(name) + bytes([method]) + write_varint(len(data))
        body += write_varint(len(kept)) if method == DEFLATED else b""
        stored += [kept, checksum(number, kept)]
    limits.check("header_bytes", len(body))
    directory = write_varint(len(body)) + body
    return b"".join([directory, struct.pack("<I", zlib.crc32(directory)), *stored])


def unpack_directory(body: bytes, limits: Limits) -> tuple[Attachment, ...]:
    """The entries of a directory, every one of them within the limits.

    Raises
    ------
    CodecError
        If the body is not what `pack_attachments` writes, or beyond the limits.
    """
    fields = Fields(body)
    count = fields.varint()
    if count < 1:
        raise CorruptStream("a stream with attachments has at least one")
    limits.check("attachments", count)
    found, total = {}, 0
    for _ in range(count):
        name = fields.text()
        method, size = fields.byte(), fields.varint()
        if not name or name in found:
            raise CorruptStream(f"the name {name!r} of an attachment is empty or not the only one")
        if method not in (STORED, DEFLATED):
            raise CorruptStream(f"attachment {name!r} is stored by method {method}")
        stored = fields.varint() if method == DEFLATED else size
        if stored > size or (method == DEFLATED and stored == size):
            raise CorruptStream(f"attachment {name!r} is stored in {stored} bytes, and has {size}")
        total += size
        limits.check("attachment_bytes", total)
        found[name] = Attachment(name, method, size, stored)
    fields.end()
    return tuple(found.values())


def checksum(number: int, stored: bytes) -> bytes:
    """The checksum that follows a file in the stream."""
    return struct.pack("<I", zlib.crc32(stored, zlib.crc32(struct.pack("<I", number))))


def restored(entry: Attachment, stored: bytes) -> bytes:
    """The file itself; no more memory is used than the size in the directory."""
    if entry.method == STORED:
        return stored
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stored, entry.size + 1)
    except zlib.error as error:
        raise CorruptStream(f"attachment {entry.name!r} does not inflate: {error}") from None
    if len(data) != entry.size or not inflater.eof or inflater.unused_data:
        raise CorruptStream(f"attachment {entry.name!r} does not have {entry.size} bytes")
    return data
