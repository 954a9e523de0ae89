"""How the whole chunks of a damaged stream are found: by lengths, by the index, or by searching.

A chunk is whole if it agrees with its checksum, which its number is part of. Where a chunk is
damaged, its length mostly leads to the next one. Where the length is damaged, a chunk with one of
the next numbers is searched for, byte by byte.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from san.codec.entropy.varints import read_varint
from san.codec.errors import CodecError, LimitExceeded
from san.codec.file_format.header import (
    INDEX_STEP,
    LEAST_CHUNK,
    Footer,
    chunks_of,
    unpack_footer,
)
from san.codec.file_format.stream import StreamReader, checksum_of

# What all searches of a stream may cost together, so that no bytes make them last for minutes:
# bytes at which a chunk may begin, and bytes under checksums that are computed.
SEARCHED, CHECKED = 1 << 22, 1 << 30
A_TRY = 1024  # bytes under a checksum that take as long as the rest of a try
LINKS = 8  # lengths that must lead from one to the next where a chunk is searched for
# Numbers that the next whole chunk may have: so many times as many as the bytes between suggest.
UNSURE, AT_LEAST = 4, 8
LONGEST_LENGTH = 9  # bytes
LEAST_FOOTER = 20  # bytes: two numbers, two errors, an index of one distance, a count of sections
# Where a chunk may begin: a length and the mode of a payload. Payloads of floats begin with gaps.
_LENGTH = rb"(?=[\x80-\xff]{0,8}[\x01-\x7f]"
_OF_INTEGERS, _OF_FLOATS = re.compile(_LENGTH + rb"[\x00-\x05])"), re.compile(_LENGTH + rb")")


class WholeChunk(NamedTuple):
    """A chunk that agrees with its checksum."""

    number: int
    payload: bytes
    position: int
    end: int  # where the next one begins


class WholeChunks:
    """The whole chunks of a stream, in their order.

    Parameters
    ----------
    reader : StreamReader
        Made with `without_footer`, of a source that can seek.

    Attributes
    ----------
    footer : Footer or None
        Where it is whole.
    end : int
        Where the last whole chunk ends, once all were read.
    after_footer : int
        Bytes that follow the footer.
    gave_up : bool
        Whether a search ended before the end of the stream, because it cost too much.
    """

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._first = reader.places[1]
        self._size = reader.size or 0
        self._searched, self._checked = SEARCHED, CHECKED
        self._found, self._bytes = 0, 0
        header = reader.header
        of_floats = header.representation.dtype.kind == "f"
        self._beginnings = _OF_FLOATS if of_floats else _OF_INTEGERS
        self._longest = reader.limits.most_payload(*header.chunk_shape)
        self.gave_up, self.after_footer = False, 0
        self.end = self._first
        self._offsets: list[int] = []
        self.footer: Footer | None = self._look_for_footer()

    def __iter__(self) -> Iterator[WholeChunk]:
        position, number = self._first, 0
        while position < self._size and (self.footer is None or number < self._count):
            chunk = self._at(position, number) or self._after(position, number)
            if chunk is None:
                return
            self._found, self._bytes = self._found + 1, self._bytes + chunk.end - chunk.position
            self.end = position = chunk.end
            number = chunk.number + 1
            yield chunk

    def end_after(self, chunk: WholeChunk) -> tuple[int | None, Footer | None]:
        """The number of all samples, and the footer, which follow the last whole chunk.

        The footer is None if it is not whole; it begins with the number of samples. That is None if
        no end mark follows, and 0 if one follows, but no number that fits the chunks.
        """
        header, limits = self._reader.header, self._reader.limits
        tail = self._reader.bytes_at(chunk.end, 1 + LONGEST_LENGTH + limits.header_bytes + 4)
        if tail[:1] != b"\0":
            return None, None
        footer = None
        try:
            length, begin = read_varint(tail, 1)
            if length < LEAST_FOOTER:
                return None, None  # such as zeros, which a file may have after a loss of power
            samples, _ = read_varint(tail, begin)
            end = begin + length
            if tail[end : end + 4] == checksum_of(tail[:end]):
                footer, _ = unpack_footer(tail[begin:end], header, self._first, limits)
        except CodecError:
            return 0, None  # these bytes are no footer, or too few
        if chunks_of(samples, header) != chunk.number + 1:
            return 0, None
        if footer is not None:
            self.after_footer = max(0, self._size - chunk.end - end - 8)
        return samples, footer

    @property
    def _count(self) -> int:
        assert self.footer is not None
        return chunks_of(self.footer.samples, self._reader.header)

    def _look_for_footer(self) -> Footer | None:
        """The footer, where its last four bytes lead to one."""
        last = self._reader.bytes_at(max(self._size - 4, self._first), 4)
        mark = self._size - int.from_bytes(last, "little")
        if len(last) < 4 or not self._first <= mark < self._size:
            return None
        try:
            footer, offsets = self._reader.footer_at(mark)
        except LimitExceeded:
            raise
        except CodecError:
            return None  # the stream was cut, or its end is damaged: the caller says so
        self._offsets = offsets.tolist()
        return footer

    def _at(self, position: int, number: int) -> WholeChunk | None:
        """The chunk of this number, if it is here and whole."""
        try:
            payload, end = self._reader.chunk_at(position, number)
        except LimitExceeded as error:
            if error.field == "samples":
                raise
            return None
        except CodecError:
            return None  # what is not whole is what the caller counts
        return None if payload is None else WholeChunk(number, payload, position, end)

    def _after(self, position: int, number: int) -> WholeChunk | None:
        """The next whole chunk after one that is damaged, or None."""
        stop = self._size
        if self._offsets:
            entry = number // INDEX_STEP + 1
            stop = self._offsets[min(entry, len(self._offsets) - 1)]
        return (
            self._by_length(position, number)
            or self._by_search(position + 1, min(stop, self._size), number)
            or self._by_index(number)
        )

    def _by_length(self, position: int, number: int) -> WholeChunk | None:
        try:
            end = self._reader.end_of_chunk(position, number)
        except CodecError:
            return None  # the length is damaged
        return None if end is None else self._at(end, number + 1)

    def _by_index(self, number: int) -> WholeChunk | None:
        """The next whole chunk that the footer's index leads to."""
        for entry in range(number // INDEX_STEP + 1, len(self._offsets) - 1):
            first, position = entry * INDEX_STEP, self._offsets[entry]
            chunk = (
                self._at(position, first)
                or self._by_length(position, first)
                or self._by_search(position + 1, self._offsets[entry + 1], first)
            )
            if chunk is not None:
                return chunk
        return None

    def _by_search(self, begin: int, stop: int, number: int) -> WholeChunk | None:
        """The first whole chunk that begins before `stop` and has one of the next numbers."""
        count = min(stop - begin, self._searched)
        self.gave_up |= count < stop - begin
        self._searched -= max(count, 0)
        window = self._reader.bytes_at(begin, min(self._size - begin, 2 * SEARCHED))
        for match in self._beginnings.finditer(window, 0, count + LONGEST_LENGTH):
            place = match.start()
            if place >= count:
                return None
            end = self._linked(window, place, self._size - begin)
            if end is None:
                continue
            chunk = self._numbered(begin + place, begin + end, number, place)
            if chunk is not None:
                return chunk
            if self._checked <= 0:
                self.gave_up = True
                return None
        return None

    def _linked(self, window: bytes, place: int, size: int) -> int | None:
        """Where a chunk here would end, if lengths lead on from there; None if they do not."""
        first: int | None = None
        for _ in range(LINKS):
            value, shift, after = 0, 0, place
            while after < len(window) and after < place + LONGEST_LENGTH:
                byte = window[after]
                value, shift, after = value | (byte & 127) << shift, shift + 7, after + 1
                if byte < 128:
                    break
            else:
                return first  # beyond what is looked at, or no length
            if value == 0 and after == place + 1:  # an end mark
                return first
            end = after + value - 1 + 4
            if value - 1 > self._longest or (byte == 0 and after > place + 1):
                return None
            if end > size:
                return first  # the stream was cut in this chunk
            first, place = end if first is None else first, end
            if end == size:
                return first
        return first

    def _numbered(self, place: int, end: int, number: int, passed: int) -> WholeChunk | None:
        """The chunk from `place` to `end`, if its checksum is that of one of the next numbers."""
        block = self._reader.bytes_at(place, end - place)
        length = 1
        while block[length - 1] >= 128:
            length += 1
        payload, stored = block[length:-4], struct.unpack("<I", block[-4:])[0]
        mean = max(LEAST_CHUNK, self._bytes // self._found) if self._found else LEAST_CHUNK
        for following in range(number, number + UNSURE * passed // mean + AT_LEAST):
            self._checked -= len(payload) + A_TRY
            if zlib.crc32(payload, zlib.crc32(struct.pack("<I", following))) == stored:
                return WholeChunk(following, payload, place, end)
            if self._checked <= 0:
                return None
        return None
