"""What is saved of a stream that was cut or damaged, and what is said of the rest.

Whole chunks are copied as they are. A part that is lost between them is filled, so that each
sample that is saved keeps its place: with NaN, or, where samples are integers, with what the
coder's integer 0 stands for. An attachment lists the parts that are filled; where samples are
missing at the end only, it lists none, and says that the stream was recovered.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from san.codec.block import Samples, code_block
from san.codec.decoder import decode_chunk, dictionary_of
from san.codec.dictionaries import DictionariesLike
from san.codec.errors import CodecError, CorruptStream, TruncatedStream
from san.codec.file_format.attachments import pack_attachments
from san.codec.file_format.header import Footer, Header
from san.codec.file_format.limits import Limits
from san.codec.file_format.source import PIECE, StreamLike
from san.codec.file_format.stream import StreamReader
from san.codec.file_format.whole_chunks import WholeChunk, WholeChunks
from san.codec.file_format.writing import StreamWriter
from san.codec.info import SECTIONS
from san.codec.numbers.gaps import no_gaps
from san.codec.numbers.integers import restore, to_integers
from san.codec.options import Request, silent
from san.codec.target import LOSSLESS

FILLED = "recovered"  # the attachment that lists the parts that are filled
MOST_PARTS = 1 << 16  # that may be lost: more are no damage, but bytes that somebody chose


@dataclass(frozen=True)
class Recovery:
    """What `recover` saved of a stream, and what is lost. `str` says the same in words."""

    samples: int  #: of each channel, in the recovered stream, with those that are filled
    chunks: int  #: whole chunks that were copied
    chunk_samples: int  #: of each channel in a chunk; the last chunk may have fewer
    fs: float | None  #: sampling rate in Hz
    #: first sample, and the one after the last, of each part that is lost and filled
    filled: tuple[tuple[int, int], ...] = ()
    bytes_left: int = 0  #: bytes after the last whole chunk that belong to nothing whole
    has_end: bool = True  #: whether the stream says how many samples it has
    attachments_lost: tuple[str, ...] = ()  #: names of attached files that are damaged
    gave_up: bool = False  #: whether the search for whole chunks stopped before the end

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lost."""
        return self.has_end and not (self.filled or self.attachments_lost or self.bytes_left)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """What is saved and what is lost, a line each."""
        saved = self.samples - sum(last - first for first, last in self.filled)
        chunks = f"{self.chunks} whole chunk{'s' * (self.chunks != 1)}"
        yield f"saved: {chunks}, {saved} samples{self._seconds(saved)}"
        if self.is_whole:
            yield "lost: nothing"
        for first, last in self.filled:
            when = f", from {first / self.fs:.6g} s to {last / self.fs:.6g} s" if self.fs else ""
            yield f"lost, and filled: samples {first} to {last - 1}{when}"
        if self.bytes_left:
            each = f"a chunk has {self.chunk_samples} samples{self._seconds(self.chunk_samples)}"
            yield f"lost: {self.bytes_left} bytes after the last whole chunk; {each}"
        if not self.has_end:
            yield "the stream has no end: nobody knows how many samples its writer was given"
        for name in self.attachments_lost:
            yield f"lost: the attached file {name!r}"
        if self.gave_up:
            yield "the search for whole chunks stopped early: these bytes make it too long"

    def _seconds(self, samples: int) -> str:
        return f" ({samples / self.fs:.6g} s)" if self.fs else ""


def recover(
    source: StreamLike,
    file: BinaryIO,
    *,
    dictionary: DictionariesLike | None = None,
    limits: Limits | None = None,
) -> Recovery:
    """Copy all whole chunks of a stream that was cut or damaged into a stream that is whole.

    Parameters
    ----------
    source : bytes-like, or binary file that can seek
        A stream of any version. Its header must be whole.
    file : binary file object
        What is saved is written to it. Nothing is written where nothing can be saved.
    dictionary : Dictionary or path, optional
        Needed if the stream only names one and has no end: then the last chunk is decoded.
    limits : Limits, optional
        Streams that declare more are refused.

    Returns
    -------
    Recovery

    Raises
    ------
    CodecError
        If nothing can be saved: the header or every chunk is damaged, the stream is a compact one,
        which has one checksum only, or it is beyond the limits.
    ValueError
        If the source cannot seek.

    Notes
    -----
    Samples that are lost between whole chunks are NaN in the recovered stream. Where samples are
    integers they are 0, or what the stream's rules make of 0. The attachment "recovered" lists
    them, and is there whenever samples are lost. Samples after the last whole chunk are missing,
    unless the stream's end is whole: it says how many there were, and they are filled too.

    Where a stream was cut exactly between its last chunk and its end, that chunk is taken for one
    of full length. Nothing in the format tells that it is shorter. A stream whose writer was killed
    is not such a stream: `Encoder` writes a shorter chunk together with the end.

    The largest error and the PRDN that the recovered stream states are infinite where they are not
    known.

    Examples
    --------
    >>> import io, san
    >>> x = np.arange(2500, dtype=np.int16)
    >>> blob = san.compress(x, fs=100, lossless=True, chunk_seconds=10)
    >>> saved = io.BytesIO()
    >>> print(recover(blob[:-40], saved))
    saved: 2 whole chunks, 2000 samples (20 s)
    lost: 18 bytes after the last whole chunk; a chunk has 1000 samples (10 s)
    the stream has no end: nobody knows how many samples its writer was given
    >>> san.decompress(saved.getvalue(), -1)
    array([1999], dtype=int16)
    """
    reader = StreamReader(source, limits, without_footer=True)
    if reader.size is None:
        raise ValueError("the source cannot seek: read it into memory first")
    if reader.is_compact:  # it was read whole
        return _copied(reader, file)
    damage = _look(reader, dictionary)
    if damage.copies:
        return _copied(reader, file, damage.recovery)
    header = reader.header
    writer = StreamWriter(file, reader.limits)
    writer.write_header(header, _attachments_of(reader, damage.recovery))
    full, payloads = header.chunk_samples, 0
    last = -(-damage.recovery.samples // full) - 1
    for number, payload in _numbered(WholeChunks(reader), last):
        if payload is None:
            payload = _filler(header, min(full, damage.recovery.samples - number * full))
        writer.write_chunk(payload)
        payloads += len(payload)
    sections = tuple(payloads if name == "other" else 0 for name in SECTIONS)
    writer.finish(replace(damage.footer, samples=damage.recovery.samples, sections=sections))
    return damage.recovery


def filled_parts(attachment: bytes | None) -> tuple[tuple[int, int], ...]:
    """The parts that the attachment of a recovered stream lists; none without an attachment.

    Raises
    ------
    CorruptStream
        If it is not what `recover` writes.
    """
    if attachment is None:
        return ()
    try:
        parts = json.loads(attachment)["filled"]
        found = tuple((first, last) for first, last in parts)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise CorruptStream("the list of filled parts cannot be read") from None
    ends = [end for part in found for end in part]
    whole = all(type(end) is int and end >= 0 for end in ends)
    if not whole or sorted(ends) != ends or any(first == last for first, last in found):
        raise CorruptStream("the list of filled parts is no list of samples in their order")
    return found


@dataclass(frozen=True)
class _Damage:
    """What a first look finds."""

    recovery: Recovery
    footer: Footer  # what is known of the errors
    copies: bool  # whether the stream is whole, and is copied as it is


def _look(reader: StreamReader, dictionary: DictionariesLike | None) -> _Damage:
    """Find the whole chunks, and say what is lost."""
    chunks, header = WholeChunks(reader), reader.header
    parts, count, after = list[tuple[int, int]](), 0, 0
    chunk: WholeChunk | None = None
    for chunk in chunks:
        if chunk.number > after:
            parts.append((after, chunk.number))
        if len(parts) > MOST_PARTS:
            raise CorruptStream(f"more than {MOST_PARTS} parts of the stream are lost")
        count, after = count + 1, chunk.number + 1
    footer, full, end = chunks.footer, header.chunk_samples, reader.size or 0
    said, left = None, end - chunks.end
    if footer is None and chunk is not None:
        said, footer = chunks.end_after(chunk)
    samples = 0
    if footer is not None:
        samples, left = footer.samples, chunks.after_footer
        if after * full < samples:
            parts.append((after, -(-samples // full)))
    elif chunk is not None:
        length = _length_of_last(reader, chunk, said, dictionary)
        samples = chunk.number * full + length
        if not length:
            count, left = count - 1, end - chunk.position
    if count <= 0 and not (footer is not None and footer.samples == 0):
        raise TruncatedStream("no chunk of the stream is whole: nothing can be saved")
    lost = tuple(
        entry.name for entry in reader.attachments if _attached(reader, entry.name) is None
    )
    filled = tuple((first * full, min(last * full, samples)) for first, last in parts)
    found = Recovery(
        samples, count, full, header.fs or None, filled, left, footer is not None, lost,
        chunks.gave_up,
    )  # fmt: skip
    copies = found.is_whole and chunks.footer is not None
    return _Damage(found, _known(header, footer, bool(filled)), copies)


def _copied(reader: StreamReader, file: BinaryIO, found: Recovery | None = None) -> Recovery:
    """Copy a stream that is whole, byte for byte."""
    size, position = reader.size or 0, 0
    while position < size:
        data = reader.bytes_at(position, min(PIECE, size - position))
        file.write(data)
        position += len(data)
    if found is not None:
        return found
    assert reader.footer is not None
    header, samples = reader.header, reader.footer.samples
    return Recovery(samples, reader.chunk_count or 0, header.chunk_samples, header.fs or None)


def _numbered(chunks: WholeChunks, last: int) -> Iterator[tuple[int, bytes | None]]:
    """The payload of each chunk up to the last one, None where it is lost."""
    number = 0
    for chunk in chunks:
        if chunk.number > last:
            break
        for lost in range(number, chunk.number):
            yield lost, None
        yield chunk.number, chunk.payload
        number = chunk.number + 1
    for lost in range(number, last + 1):
        yield lost, None


def _length_of_last(
    reader: StreamReader, chunk: WholeChunk, said: int | None, dictionary: DictionariesLike | None
) -> int:
    """The samples of the last whole chunk of a stream without an end; 0 where nothing tells.

    The last chunk of a recording mostly has fewer than the others. `said` is the number of all
    samples, 0 where only an end mark says that no chunk follows, and None where nothing follows.
    Then the chunk has as many samples as the others: an encoder writes a shorter one together with
    the end.
    """
    header = reader.header
    full = header.chunk_samples
    length = full if said is None else max(0, said - chunk.number * full)
    try:
        needed = dictionary_of(reader, dictionary, None)
        decode_chunk(chunk.payload, length, header.representation, needed, header.newer_modes)
    except CorruptStream:
        return 0
    return length


def _known(header: Header, footer: Footer | None, filled: bool) -> Footer:
    """The errors of a recovered stream; infinite where they are not known."""
    exact = header.target == "lossless"
    largest = 0.0 if exact else math.inf
    if header.target == "max_error":
        largest = header.value
    elif header.bound is not None:
        largest = header.bound
    if footer is None:
        return Footer(0, largest, 0.0 if exact else math.inf)
    prdn = math.inf if filled and not exact else footer.prdn
    return Footer(0, footer.largest_error, prdn)


def _attached(reader: StreamReader, name: str) -> bytes | None:
    """An attached file, None where it is damaged."""
    try:
        return reader.attachment(name)
    except CodecError:
        return None  # the caller names it among what is lost


def _attachments_of(reader: StreamReader, found: Recovery) -> bytes:
    """The attached files that are whole, and the list of filled parts."""
    kept = {entry.name: _attached(reader, entry.name) for entry in reader.attachments}
    files = {name: data for name, data in kept.items() if data is not None}
    before = filled_parts(files.get(FILLED))
    if FILLED in files or found.filled or not found.has_end:
        parts = sorted({*before, *found.filled})
        files[FILLED] = json.dumps({"filled": parts}).encode()
    return pack_attachments(files, reader.limits)


def _filler(header: Header, samples: int) -> bytes:
    """The payload of a chunk that is lost: NaN, or the coder's integer 0."""
    representation = header.representation
    shape = (samples, representation.channels)
    if representation.dtype.kind == "f":
        flat = representation.dimensions == 1
        x = np.full(samples if flat else shape, np.nan, representation.dtype)
        k, gaps = to_integers(x, representation, exact=True)
    else:
        k, gaps = np.zeros((samples, representation.columns), np.int64), no_gaps()
        x = restore(k, representation, gaps)
    bounds = np.zeros(representation.columns, np.int64)
    request = Request(LOSSLESS, header.fs, header.chunk_samples, events=False, newer_modes=False)
    whole = Samples(x.reshape(shape), k, gaps, bounds, representation)
    return code_block(whole, request, None, silent).payloads[0]
