"""How bytes are read from memory or a file: exactly as many as are asked for, or an error.

A corrupt length does not cost memory: it is compared with the bytes that are left, or the bytes are
read in pieces.
"""

import io
from typing import BinaryIO

from san.codec.entropy.varints import LONGEST
from san.codec.errors import CorruptStream, TruncatedStream

PIECE = 1 << 20  # bytes that are read at once

StreamLike = bytes | bytearray | memoryview | BinaryIO


class ByteSource:
    """Reads exactly as many bytes as are asked for, and knows its position."""

    def __init__(self, source: StreamLike) -> None:
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = io.BytesIO(source)
        if not hasattr(source, "read"):
            raise TypeError(f"a stream is bytes or a binary file, got {type(source).__name__}")
        self._file = source
        seekable = getattr(source, "seekable", None)
        self.size: int | None = None
        self.position = 0
        if seekable is not None and seekable():
            self._start = source.tell()
            self.size = source.seek(0, io.SEEK_END) - self._start
            self.seek(0)

    def seek(self, position: int) -> None:
        """Go to a position, if the source can seek."""
        if self.size is not None:
            self._file.seek(self._start + position)
            self.position = position

    def some(self, count: int) -> bytes:
        """The next bytes, fewer where the source ends."""
        pieces: list[bytes] = []
        left = count
        while left:
            piece = self._file.read(min(left, PIECE))
            if isinstance(piece, str):
                raise TypeError("the file must be opened in binary mode, got text")
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
            self.position += len(piece)
        return b"".join(pieces)

    def exactly(self, count: int, what: str) -> bytes:
        """The next bytes. More than the source has left are refused before any is read."""
        left = count if self.size is None else self.size - self.position
        data = self.some(count) if count <= left else b""
        if len(data) < count:
            there = min(left, len(data)) if self.size is None else left
            raise TruncatedStream(f"{what} has {count} bytes, and {there} are left")
        return data

    def varint(self, what: str) -> int:
        """The next varint, which is the length of what."""
        value = 0
        for count in range(LONGEST):
            byte = self.exactly(1, f"the length of {what}")[0]
            value |= (byte & 127) << 7 * count
            if byte < 128:
                if byte == 0 and count > 0:
                    raise CorruptStream(f"the length of {what} has superfluous bytes")
                return value
        raise CorruptStream(f"the length of {what} has more than {LONGEST} bytes")
