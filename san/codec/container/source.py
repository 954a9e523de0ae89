"""How bytes are read from whatever holds them: all that were asked for, or an error.

A length that lies costs no memory: it is compared with what is left, or read in pieces.
"""

import io
from typing import Any

from san.codec.entropy.varints import LONGEST
from san.codec.errors import CorruptStream, TruncatedStream

PIECE = 1 << 20  # bytes read at once


class Source:
    """Reads exactly what is asked for, from bytes or a file, and knows where it is."""

    def __init__(self, source: Any) -> None:
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
        """The next bytes, all of them; a length that cannot be is refused before it is read."""
        left = count if self.size is None else self.size - self.position
        data = self.some(count) if count <= left else b""
        if len(data) < count:
            there = min(left, len(data)) if self.size is None else left
            raise TruncatedStream(f"{what} has {count} bytes, and {there} are left")
        return data

    def varint(self, what: str) -> int:
        value = 0
        for count in range(LONGEST):
            byte = self.exactly(1, f"the length of {what}")[0]
            value |= (byte & 127) << 7 * count
            if byte < 128:
                if byte == 0 and count > 0:
                    raise CorruptStream(f"the length of {what} has superfluous bytes")
                return value
        raise CorruptStream(f"the length of {what} has more than {LONGEST} bytes")
