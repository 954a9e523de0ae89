"""How a stream is written: header, chunks and footer in one pass, or all of it in compact form.

`stream` says how they are laid out.
"""

import struct
from typing import BinaryIO

from san.codec.entropy.varints import write_varint
from san.codec.file_format.compact import flags_of, pack_compact
from san.codec.file_format.header import (
    COMPACT,
    INDEX_STEP,
    MOST_CHUNKS,
    WITH_ATTACHMENTS,
    Footer,
    Header,
    check_header,
    chunks_of,
    pack_footer,
    pack_header,
)
from san.codec.file_format.limits import Limits
from san.codec.file_format.stream import ATTACHED, FLAGGED, MAGIC, PLAIN, checksum_of


class StreamWriter:
    """Writes a stream to a binary file object that need not seek.

    Parameters
    ----------
    file : file object with `write`
        The writer neither flushes nor closes it.
    limits : Limits
        The writer refuses what a reader with these limits would refuse.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from san.codec.file_format.stream import StreamReader
    >>> from san.codec.numbers.representation import Representation
    >>> file = io.BytesIO()
    >>> writer = StreamWriter(file)
    >>> writer.write_header(Header(Representation(np.dtype("int16"), 1, 1), chunk_samples=100))
    >>> writer.write_chunk(b"first")
    >>> writer.write_chunk(b"second")
    >>> writer.finish(Footer(samples=150))
    >>> StreamReader(file.getvalue()).chunk(1)
    b'second'
    """

    def __init__(self, file: BinaryIO, limits: Limits | None = None) -> None:
        self._file = file
        self._limits = limits or Limits()
        self._header: Header | None = None
        self._offsets: list[int] = []
        self._finished = False
        self._waiting = b""  # the last chunk, until the end is written
        self.chunk_count = 0
        self.written = 0  # bytes

    def write_header(self, header: Header, attachments: bytes = b"") -> None:
        """Write magic, version, header and what `pack_attachments` made, once and first.

        Raises
        ------
        LimitExceeded
            If the header is beyond the limits.
        """
        if self._header is not None:
            raise RuntimeError("the header is written once")
        check_header(header, self._limits)
        body = pack_header(header)
        self._limits.check("dictionary_bytes", len(header.dictionary or b""))
        self._limits.check("header_bytes", len(body) - len(header.dictionary or b""))
        version = bytes([ATTACHED if attachments else PLAIN])
        if header.is_newer:
            version = bytes([FLAGGED, header.flags + WITH_ATTACHMENTS * bool(attachments)])
        block = MAGIC + version + write_varint(len(body)) + body
        self._write(block + checksum_of(block))
        self._write(attachments)
        self._header, self._offsets = header, [self.written]

    def write_chunk(self, payload: bytes, waits: bool = False) -> None:
        """Write the next chunk. With `waits` it is written together with the end.

        A shorter chunk is the last one. Nothing but the end says how long it is, so a stream that
        has it must have the end too, also if its writer is killed.

        Raises
        ------
        LimitExceeded
            If the payload is longer than a reader accepts.
        """
        header = self._ready()
        self._limits.check_payload(len(payload), *header.chunk_shape)
        number = self.chunk_count
        if number >= MOST_CHUNKS:
            raise ValueError(f"a stream has at most {MOST_CHUNKS} chunks: make them longer")
        self._limits.check("samples", number * header.chunk_samples + 1)
        if number and number % INDEX_STEP == 0:
            self._offsets.append(self.written)
        checksum = checksum_of(struct.pack("<I", number), payload)
        block = write_varint(len(payload) + 1) + payload + checksum
        if waits:
            self._waiting, self.written = block, self.written + len(block)
        else:
            self._write(block)
        self.chunk_count += 1

    def finish(self, footer: Footer) -> None:
        """Write the end mark and the footer.

        Raises
        ------
        ValueError
            If its samples do not fill the chunks that were written.
        """
        header = self._ready()
        self._limits.check("samples", footer.samples)
        expected = chunks_of(footer.samples, header)
        if expected != self.chunk_count:
            raise ValueError(
                f"{footer.samples} samples are {expected} chunks, and {self.chunk_count} were "
                "written"
            )
        body = pack_footer(footer, [*self._offsets, self.written], header)
        self._limits.check("header_bytes", len(body))
        block = b"\0" + write_varint(len(body)) + body
        end = block + checksum_of(block) + struct.pack("<I", len(block) + 8)
        self.written -= len(self._waiting)
        self._write(self._waiting + end)
        self._finished = True

    def _ready(self) -> Header:
        if self._header is None or self._finished:
            raise RuntimeError("chunks come after the header and before the end")
        return self._header

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            count = self._file.write(view)
            if count is None:
                raise BlockingIOError("the file would block: give one that waits")
            self.written += count
            view = view[count:]


def compact_stream(
    header: Header, footer: Footer, attachments: bytes, payload: bytes
) -> bytes | None:
    """A whole stream of one chunk in few bytes, or None where such a stream cannot hold it."""
    flags = header.flags + flags_of(header) + COMPACT + WITH_ATTACHMENTS * bool(attachments)
    head = MAGIC + bytes([FLAGGED, flags])
    body = pack_compact(head, header, footer, attachments, payload)
    return None if body is None else head + body
