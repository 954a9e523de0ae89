"""How a stream is laid out in a file: header, chunks with checksums, footer with an index.

A stream is written in one pass and read in one pass. In a file that can seek, any chunk is found
after a few bytes more. All integers are little-endian, varints are those of `varints`.

    magic       93 53 41 4E, then the version: 01, 03 of a stream with attachments, or 04 of one
                that needs what is newer; after 04 a byte of flags, which say what
    header      varint length, body, CRC32 of everything from the magic to the body
    (files)     of version 03, or of 04 with a flag, see `attachments`
    chunk       varint payload length + 1, payload, CRC32 of the chunk's number (4 bytes) + payload
    ...
    end         00
    footer      varint length, body, CRC32 of everything from the end mark to the body, and in 4
                bytes the size of end mark and footer with these 4 bytes

The bodies are described in `header`.
"""

import struct
import threading
import zlib
from collections.abc import Iterator

import numpy as np

from san.codec.entropy.varints import write_varint
from san.codec.errors import (
    CodecError,
    CorruptStream,
    LimitExceeded,
    TruncatedStream,
    UnsupportedVersion,
)
from san.codec.file_format.attachments import Attachment, checksum, restored, unpack_directory
from san.codec.file_format.compact import (
    LARGEST,
    WITH_ALL,
    unpack_compact,
)
from san.codec.file_format.header import (
    COMPACT,
    INDEX_STEP,
    MOST_CHUNKS,
    WITH_ATTACHMENTS,
    WITH_RULES,
    Footer,
    Header,
    chunks_of,
    unpack_footer,
    unpack_header,
)
from san.codec.file_format.limits import Limits
from san.codec.file_format.source import ByteSource, StreamLike

__all__ = ["MAGIC", "VERSIONS", "Footer", "Header", "Limits", "StreamReader", "checksum_of"]

MAGIC = b"\x93SAN"
PLAIN, ATTACHED, FLAGGED = 1, 3, 4
VERSIONS = (PLAIN, ATTACHED, FLAGGED)
WALKED = 1 << 16  # chunks that are followed to tell a cut stream from one with bytes after its end


def checksum_of(*parts: bytes) -> bytes:
    """The CRC32 of the parts one after another, as four bytes."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return struct.pack("<I", value)


class StreamReader:
    """Reads a stream from bytes or a binary file.

    Parameters
    ----------
    source : bytes-like, or file object with `read`
        If a file can seek, the stream begins at its position and ends at its end, and the footer
        is read first. Otherwise the footer is known when `chunks` has ended.
    limits : Limits
        Streams that declare more are refused.
    sequential : bool
        True to read as if the source could not seek. This gives the complete chunks of a stream
        that was cut.
    without_footer : bool
        True to look for no footer in a source that can seek. `chunk_at` then reads chunks where
        they are, and `footer_at` a footer. Attachments are read when they are asked for.

    Attributes
    ----------
    version : int
    limits : Limits
    header : Header
    attachments : tuple of Attachment
    footer : Footer or None
    chunk_count : int or None

    Raises
    ------
    CodecError
        If the stream is corrupt, truncated, of another version or beyond the limits.
    TypeError
        If the source is neither bytes nor a binary file.
    """

    def __init__(
        self,
        source: StreamLike,
        limits: Limits | None = None,
        *,
        sequential: bool = False,
        without_footer: bool = False,
    ) -> None:
        self._source = ByteSource(source)
        self._random = self._source.size is not None and not sequential
        self._limits = self.limits = limits or Limits()
        self._lock = threading.RLock()  # of the place in the source: threads may share a reader
        self.version, self._flags = self._read_version()
        self.attachments: tuple[Attachment, ...] = ()
        self._stored: list[bytes] = []  # all of them, of a source that cannot seek
        self._payload: bytes | None = None  # of a compact stream
        if self._flags & COMPACT:
            self._read_compact()
            return
        self.header = self._read_header()
        self._after_header = self._source.position
        self._files = self._after_header  # where the first of them is
        if self.version == ATTACHED or self._flags & WITH_ATTACHMENTS:
            self._read_directory()
        self._first = self._source.position
        self.footer: Footer | None = None
        self.chunk_count: int | None = None
        self._offsets = np.zeros(0, np.int64)
        self._end = 0  # where the end mark is
        self._next: tuple[int, int] | None = None  # a chunk and where it is
        self._started = False
        if self._random and not without_footer:
            self._find_footer()

    def chunk(self, number: int) -> bytes:
        """The payload of one chunk; at most 15 lengths before it are read.

        Raises
        ------
        IndexError
            If there is no such chunk.
        CorruptStream
            If it does not agree with its checksum.
        """
        if self._payload is None and (not self._random or self.chunk_count is None):
            raise ValueError("the source cannot seek: read its chunks in their order")
        count = self.chunk_count or 0
        if not 0 <= number < count:
            raise IndexError(f"chunk {number} is not among the {count} of the stream")
        if self._payload is not None:
            return self._payload
        with self._lock:
            return self._found_chunk(number)

    def _found_chunk(self, number: int) -> bytes:
        known, position = number - number % INDEX_STEP, int(self._offsets[number // INDEX_STEP])
        if self._next is not None and known < self._next[0] <= number:
            known, position = self._next
        for passed in range(known, number + 1):
            if not self._first <= position < self._end:
                raise CorruptStream(f"chunk {passed} is said to be at byte {position}")
            self._source.seek(position)
            if passed < number:
                length = self._payload_length(passed)
                if length is None:
                    raise CorruptStream(f"the stream ends at chunk {passed}")
                position = self._source.position + length + 4
        payload = self._read_chunk(number)
        if payload is None:
            raise CorruptStream(f"the stream ends at chunk {number}")
        self._next = number + 1, self._source.position
        return payload

    def attachment(self, name: str) -> bytes:
        """The bytes of an attached file.

        Raises
        ------
        KeyError
            If the stream has no file of this name.
        CorruptStream
            If the file does not agree with its checksum, or with its size.
        """
        names = [entry.name for entry in self.attachments]
        if name not in names:
            raise KeyError(name)
        number = names.index(name)
        if not self._random or self._payload is not None:
            return restored(self.attachments[number], self._stored[number])
        with self._lock:
            self._source.seek(self._files + sum(e.stored + 4 for e in self.attachments[:number]))
            stored = self._read_attachment(number)
        return restored(self.attachments[number], stored)

    def chunks(self) -> Iterator[bytes]:
        """The payloads in their order; after the last one, the footer is compared with them.

        With a source that cannot seek, this works once, and `footer` is known afterwards.

        Raises
        ------
        CodecError
            If a chunk is corrupt or missing, or the footer does not agree with the chunks.
        """
        if self._payload is not None:
            yield from [self._payload] * (self.chunk_count or 0)
            return
        if not self._random and self._started:
            raise ValueError("the source cannot seek: its chunks can be read once only")
        self._started = True
        if self._random:
            with self._lock:
                self._source.seek(self._files)
                for file in range(len(self.attachments)):
                    self._read_attachment(file)
        position, number, offsets = self._first, 0, [self._first]
        while True:
            if number and number % INDEX_STEP == 0:
                offsets.append(position)
            with self._lock:
                self._source.seek(position)
                payload = self._read_chunk(number)
                if payload is None:
                    break
                position = self._source.position
            if number == self.chunk_count:  # None where the footer comes after them
                raise CorruptStream(f"the footer counts {number} chunks, and more are there")
            number += 1
            yield payload
        if number == 0 or number % INDEX_STEP:
            offsets.append(position)
        if not self._random:
            self._end = position
            self._read_footer()
        if number != self.chunk_count:
            raise CorruptStream(f"the footer counts {self.chunk_count} chunks, found {number}")
        if not np.array_equal(self._offsets, offsets):
            raise CorruptStream("the footer's index does not agree with the chunks")

    def chunk_at(self, position: int, number: int) -> tuple[bytes | None, int]:
        """The payload of the chunk of this number that begins here, and where it ends.

        The payload is None where an end mark stands here.

        Raises
        ------
        CodecError
            If no such chunk begins here.
        """
        with self._lock:
            self._source.seek(position)
            return self._read_chunk(number), self._source.position

    def end_of_chunk(self, position: int, number: int) -> int | None:
        """Where a chunk that begins here ends, by its length alone; None at an end mark."""
        with self._lock:
            self._source.seek(position)
            length = self._payload_length(number)
            return None if length is None else self._source.position + length + 4

    def footer_at(self, position: int) -> tuple[Footer, np.ndarray]:
        """The footer whose end mark is here, and where chunks 0, 16, 32 ... and the end mark are.

        Raises
        ------
        CodecError
            If there is none.
        """
        with self._lock:
            self._source.seek(position)
            if self._source.varint("the footer") != 0:
                raise CorruptStream(f"no end mark is at byte {position}")
            self._end = position
            self._read_footer()
        assert self.footer is not None
        return self.footer, self._offsets

    def bytes_at(self, position: int, count: int) -> bytes:
        """So many bytes from here on, fewer where the source ends."""
        with self._lock:
            self._source.seek(position)
            return self._source.some(count)

    @property
    def size(self) -> int | None:
        """The bytes of the source, where it can seek."""
        return self._source.size

    def samples_of(self, number: int) -> int:
        """How many samples of each channel a chunk holds, once the footer is known."""
        if self.footer is None:
            raise ValueError("the length of a chunk is known after the footer")
        full = self.header.chunk_samples
        return max(0, min(full, self.footer.samples - number * full))

    @property
    def is_compact(self) -> bool:
        """Whether the stream is a compact one, with one chunk and one checksum."""
        return self._payload is not None

    @property
    def places(self) -> tuple[int, int, int, int]:
        """Positions of the header's end, the first chunk, the end mark and the end, once known."""
        size = self._source.position if self._source.size is None else self._source.size
        if self._payload is not None:
            size = self._end + 4
        return self._after_header, self._first, self._end, size

    def _read_version(self) -> tuple[int, int]:
        """The version, and the flags after it, which versions before 4 do not have."""
        head = self._source.some(len(MAGIC) + 1)
        if head[: len(MAGIC)] != MAGIC[: len(head)]:
            raise CorruptStream(f"this is no SAN stream: it begins with {head.hex()}")
        if len(head) <= len(MAGIC):
            raise TruncatedStream(f"the stream ends after {len(head)} bytes")
        if head[-1] not in VERSIONS:
            raise UnsupportedVersion(head[-1], VERSIONS)
        flags = self._source.exactly(1, "the flags")[0] if head[-1] == FLAGGED else 0
        known = WITH_ALL if flags & COMPACT else WITH_ATTACHMENTS + WITH_RULES
        if flags & ~known:
            raise CorruptStream(f"no stream has the flags {flags:#04x}")
        return head[-1], flags

    def _read_header(self) -> Header:
        newer = self.version == FLAGGED
        head = MAGIC + bytes([self.version, self._flags] if newer else [self.version])
        length = self._source.varint("the header")
        if length > self._limits.header_bytes + self._limits.dictionary_bytes:
            raise LimitExceeded("dictionary_bytes", length, self._limits.dictionary_bytes)
        body = self._source.exactly(length, "the header")
        if self._source.exactly(4, "a checksum") != checksum_of(head, write_varint(length), body):
            raise CorruptStream("the header does not agree with its checksum")
        return unpack_header(body, self._limits, newer, bool(self._flags & WITH_RULES))

    def _read_compact(self) -> None:
        """Read all of a compact stream."""
        length = self._source.varint("the stream")
        if length > LARGEST:
            raise CorruptStream(f"a compact stream has {LARGEST} bytes at most, not {length}")
        begin = self._source.position
        head = MAGIC + bytes([self.version, self._flags]) + write_varint(length)
        found = unpack_compact(head, self._source.exactly(length, "the stream"), self._limits)
        if self._source.some(1):
            raise CorruptStream("bytes follow the end of the stream")
        self.header, self.footer, self._payload = found.header, found.footer, found.payload
        self.attachments, self._stored = found.attachments, list(found.files)
        self._after_header, self._first, self._end = (begin + place for place in found.places)
        self.chunk_count = chunks_of(found.footer.samples, found.header)

    def _read_directory(self) -> None:
        """Read the directory of attachments, and go to the first chunk."""
        length = self._source.varint("the attachments")
        self._limits.check("header_bytes", length)
        body = self._source.exactly(length, "the attachments")
        if self._source.exactly(4, "a checksum") != checksum_of(write_varint(length), body):
            raise CorruptStream("the attachments do not agree with their checksum")
        self.attachments = unpack_directory(body, self._limits)
        self._files = self._source.position
        if not self._random:
            self._stored = [self._read_attachment(k) for k in range(len(self.attachments))]
        else:
            end = self._files + sum(entry.stored + 4 for entry in self.attachments)
            left = (self._source.size or 0) - self._files
            if end - self._files > left:
                raise TruncatedStream(
                    f"the attachments have {end - self._files} bytes, and {left} are left"
                )
            self._source.seek(end)

    def _read_attachment(self, number: int) -> bytes:
        """The stored bytes of an attachment, which begins at the position."""
        entry = self.attachments[number]
        stored = self._source.exactly(entry.stored, f"attachment {entry.name!r}")
        if self._source.exactly(4, "a checksum") != checksum(number, stored):
            raise CorruptStream(f"attachment {entry.name!r} does not agree with its checksum")
        return stored

    def _payload_length(self, number: int) -> int | None:
        length = self._source.varint(f"chunk {number}")
        if length == 0:
            return None
        self._limits.check_payload(length - 1, *self.header.chunk_shape)
        self._limits.check("samples", number * self.header.chunk_samples + 1)
        return length - 1

    def _read_chunk(self, number: int) -> bytes | None:
        """The payload at the position, None at the end mark."""
        length = self._payload_length(number)
        if length is None:
            return None
        payload = self._source.exactly(length, f"chunk {number}")
        checksum = self._source.exactly(4, f"the checksum of chunk {number}")
        if number >= MOST_CHUNKS or checksum != checksum_of(struct.pack("<I", number), payload):
            raise CorruptStream(f"chunk {number} does not agree with its checksum")
        return payload

    def _find_footer(self) -> None:
        """Read the footer, which is found from the end of the source."""
        size = self._source.size or 0
        try:
            self._source.seek(max(size - 4, self._first))
            self._end = size - int.from_bytes(
                self._source.exactly(4, "the footer's size"), "little"
            )
            if not self._first <= self._end < size:
                raise CorruptStream("the last four bytes are not a footer's size")
            self._source.seek(self._end)
            if self._source.varint("the footer") != 0:
                raise CorruptStream("the footer is not where its size says")
            self._read_footer()
        except CorruptStream as error:
            raise self._explained(error) from error

    def _read_footer(self) -> None:
        """Read the footer, from the end mark to the end of the source."""
        length = self._source.varint("the footer")
        self._limits.check("header_bytes", length)
        body = self._source.exactly(length, "the footer")
        block = b"\0" + write_varint(length) + body
        if self._source.exactly(4, "a checksum") != checksum_of(block):
            raise CorruptStream("the footer does not agree with its checksum")
        size = int.from_bytes(self._source.exactly(4, "the footer's size"), "little")
        if size != len(block) + 8:
            raise CorruptStream(f"the footer has {len(block) + 8} bytes and says {size}")
        if self._source.some(1):
            raise CorruptStream("bytes follow the end of the stream")
        self.footer, self._offsets = unpack_footer(body, self.header, self._first, self._limits)
        self.chunk_count = chunks_of(self.footer.samples, self.header)
        if self._offsets[-1] != self._end:
            raise CorruptStream(
                f"the footer says that chunks end at byte {self._offsets[-1]}, not {self._end}"
            )

    def _explained(self, error: CorruptStream) -> CodecError:
        """Why no footer is found at the end: the lengths of the chunks tell where it should be."""
        position = self._first
        for number in range(WALKED):
            self._source.seek(position)
            try:
                length = self._payload_length(number)
                if length is None:
                    self._end = position
                    self._read_footer()
                    return error
            except TruncatedStream:
                return TruncatedStream(f"the stream was cut: it ends before chunk {number} does")
            except CodecError as found:
                return found
            position = self._source.position + length + 4
            if position > (self._source.size or 0):
                return TruncatedStream(f"the stream was cut: it ends before chunk {number} does")
        return error
