"""How a stream becomes the array again: all of it, a part, or a chunk at a time.

A chunk's payload is its gaps (floats only, see `gaps`) and what the coder wrote (see `payload`).
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from san import deprecated
from san.codec.dictionaries import DictionariesLike, find_named
from san.codec.errors import CodecError, CorruptStream
from san.codec.file_format.header import Header
from san.codec.file_format.limits import Limits
from san.codec.file_format.source import StreamLike
from san.codec.file_format.stream import StreamReader
from san.codec.info import Info, describe
from san.codec.modes.dictionary import Dictionary, middle_of, read, sizes_of
from san.codec.numbers.grids import BITS
from san.codec.numbers.integers import Representation, restore, unpack_gaps
from san.codec.options import silent
from san.codec.threads import checked_threads, in_order
from san.recent import Recent

CACHE_MEGABYTES = 64  # two of the largest chunks that `compress` makes unless told otherwise


def decompress(
    blob: StreamLike,
    start: int | None = None,
    stop: int | None = None,
    *,
    dictionary: DictionariesLike | None = None,
    limits: Limits | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Decode a stream, or some samples of it.

    Parameters
    ----------
    blob : bytes-like, or binary file that can seek
        What `compress` or an `Encoder` wrote.
    start, stop : int, optional
        Samples start ... stop - 1, with the rules of a slice: negative numbers count from the end,
        numbers beyond the end are cut. Only the chunks that hold them are read and decoded.
    dictionary : Dictionary or path, optional
        Needed if the stream only names one. It may be whatever `compress` takes.
    limits : Limits, optional
        Streams that declare more are refused.
    threads : int
        How many chunks are decoded at the same time, where the whole stream is read.

    Returns
    -------
    array (samples,) or (samples, channels)
        Of the dtype that was compressed, in native byte order.

    Raises
    ------
    CodecError
        If the stream is corrupt, cut, of another version, beyond the limits, or needs a
        dictionary that was not given. Nothing of it is returned.
    TypeError
        If blob is neither bytes nor a binary file.

    Examples
    --------
    >>> import san
    >>> blob = san.compress(np.arange(1000, dtype=np.int16), lossless=True)
    >>> san.decompress(blob, -3)
    array([997, 998, 999], dtype=int16)
    """
    decoder = Decoder(
        blob, dictionary=dictionary, limits=limits, cache_megabytes=0, threads=threads
    )
    return decoder.read(start, stop)


@dataclass(frozen=True)
class StreamEvents:
    """The events of a stream: which kernel is drawn, where, and how strong.

    A kernel of m samples at position t covers the samples t - (m - 1) // 2 ... t + m // 2, as in
    `san.Events`. The events alone are near the signal and not equal to it: the stream also holds
    wavelet coefficients, which are added.
    """

    kernel: np.ndarray  #: int64 (E,), the number of the kernel in `Decoder.dictionary`
    position: np.ndarray  #: int64 (E,), the sample at the kernel's middle
    #: float64 (E, channels), the norm of the drawn kernel in the signal's units, with a sign
    amplitude: np.ndarray
    kernel_size: int  #: m, the samples of each kernel of the dictionary, 0 without a dictionary

    @functools.cached_property
    def start(self) -> np.ndarray:
        """The first sample that each event draws: int64 (E,)."""
        return self.position - middle_of(self.kernel_size)

    def __len__(self) -> int:
        return len(self.position)

    kernels = deprecated.attribute("kernels", "kernel")
    amplitudes = deprecated.attribute("amplitudes", "amplitude")

    @property
    def positions(self) -> np.ndarray:
        """The old name of `start`."""
        meaning = "a kernel's first sample; StreamEvents.position is its middle"
        deprecated.warn("StreamEvents.positions", f"StreamEvents.start ({meaning})")
        return self.start

    def __iter__(self) -> Iterator[np.ndarray]:
        deprecated.warn("unpacking StreamEvents", "reading its start, kernel and amplitude")
        return iter((self.start, self.kernel, self.amplitude))


class Decoder:
    """Decodes a stream chunk by chunk, with the memory of one chunk and of a cache.

    Several threads may read from one decoder of a source that can seek.

    `read` keeps the chunks that it decoded last. So a window near the one before costs a copy, and
    not the decoding of a whole chunk. Going through all chunks keeps none of them.

    Parameters
    ----------
    source : bytes-like or binary file
        The chunks of a file that cannot seek can be read once, in their order.
    dictionary : Dictionary or path, or iterable of Dictionary, optional
        Needed if the stream only names one, which is neither beside it nor in its archive. Of a
        folder or of several dictionaries, the one that the stream names is taken.
    limits : Limits, optional
        Streams that declare more are refused.
    cache_megabytes : float
        How many megabytes of decoded chunks `read` keeps; 0 keeps none. A chunk that is larger is
        not kept. By default 64, which is two of the largest chunks that `compress` makes unless
        `chunk_seconds` is given.
    threads : int
        How many chunks are decoded at the same time, where chunk after chunk or the whole stream is
        read. Each takes the memory of a chunk.

    Attributes
    ----------
    info : Info
        What `inspect` returns. Of a file that cannot seek it is known after the last chunk.

    Raises
    ------
    CodecError
        For the reasons that `decompress` states: here for the header, later for a chunk.

    Examples
    --------
    >>> import san
    >>> x = np.arange(2500, dtype=np.int16)
    >>> blob = san.compress(x, fs=100, lossless=True, chunk_seconds=10)
    >>> [len(part) for part in san.Decoder(blob)]
    [1000, 1000, 500]
    """

    def __init__(
        self,
        source: StreamLike,
        *,
        dictionary: DictionariesLike | None = None,
        limits: Limits | None = None,
        cache_megabytes: float = CACHE_MEGABYTES,
        threads: int = 1,
    ) -> None:
        self._threads = checked_threads(threads)
        self._recent = Recent(cache_megabytes)
        self._reader = StreamReader(source, limits)
        self._dictionary = dictionary_of(self._reader, dictionary, _file_of(source))

    @property
    def header(self) -> Header:
        """What the stream states before its first chunk."""
        return self._reader.header

    @property
    def info(self) -> Info:
        return describe(self._reader)

    def attachment(self, name: str) -> bytes:
        """The bytes of a file that is attached to the stream; `info.attachments` lists their names.

        Raises
        ------
        KeyError
            If there is none of this name.
        CodecError
            If it is corrupt.

        Examples
        --------
        >>> import san
        >>> x = np.zeros(100, np.int16)
        >>> blob = san.compress(x, lossless=True, attachments={"note": b"at rest"})
        >>> san.Decoder(blob).attachment("note")
        b'at rest'
        """
        return self._reader.attachment(name)

    def __iter__(self) -> Iterator[np.ndarray]:
        """The chunks, arrays (samples,) or (samples, channels) of the stream's dtype."""
        return in_order(lambda chunk: self._decode(*chunk), self._payloads(), self._threads)

    def _payloads(self) -> Iterator[tuple[bytes, int]]:
        """The bytes of each chunk, and how many samples it has."""
        full, held = self.header.chunk_samples, None
        for payload in self._reader.chunks():
            if held is not None:
                yield held, full
            held = payload  # the last one may be shorter, which the footer tells
        if held is not None:
            count = self._reader.chunk_count or 0
            yield held, self._reader.samples_of(count - 1)

    def read(
        self,
        start: int | None = None,
        stop: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Samples start ... stop - 1, with the rules of a slice, of a source that can seek.

        `progress` is called with the share that is done, 0 ... 1.

        Raises
        ------
        ValueError
            If the source cannot seek.
        """
        if self._reader.footer is None:
            raise ValueError("the source cannot seek: read its chunks in their order")
        begin, end, _ = slice(start, stop).indices(self._reader.footer.samples)
        if begin == 0 and end == self._reader.footer.samples:
            return self._read_all(progress or silent)
        full = self.header.chunk_samples
        parts = [self._decode(b"", 0)]
        for number in range(begin // full, -(-end // full) if end > begin else 0):
            chunk = self._recent.get(number, functools.partial(self._chunk, number))
            first = number * full
            parts.append(chunk[max(0, begin - first) : end - first])
            if progress is not None:
                progress((min(first + full, end) - begin) / (end - begin))
        return np.concatenate(parts)

    @property
    def dictionary(self) -> Dictionary | None:
        """The kernels of the events, if the chunks need any."""
        return self._dictionary

    def events(self, start: int | None = None, stop: int | None = None) -> StreamEvents:
        """List the events that draw into samples start ... stop - 1; samples are not decoded.

        Parameters
        ----------
        start, stop : int, optional
            As in a slice: from the end where negative, cut where beyond. Only the chunks that
            these samples lie in are read.

        Returns
        -------
        StreamEvents
            In the order of their position. An event near `start` or `stop` may have its position
            outside of these samples: what it draws reaches into them. Chunks that are coded
            without loss, and chunks for which no kernel saves bytes, have no events.

        Raises
        ------
        CodecError
            As `decompress` does.
        ValueError
            If the source cannot seek.

        Examples
        --------
        >>> import san
        >>> beats = np.zeros(9000)
        >>> beats[150:-300:300] = 100.0
        >>> x = np.rint(np.convolve(beats, np.hanning(40), "same")).astype(np.int16)
        >>> events = san.Decoder(san.compress(x, fs=360, prdn=5)).events()
        >>> len(events), np.diff(events.position[:4]).tolist()
        (29, [300, 300, 300])
        """
        from san.codec.modes.payload import payload_events

        if self._reader.footer is None:
            raise ValueError("the source cannot seek: read its chunks in their order")
        begin, end, _ = slice(start, stop).indices(self._reader.footer.samples)
        full, representation = self.header.chunk_samples, self.header.representation
        columns = representation.columns
        length = 0 if self._dictionary is None else self._dictionary.kernels.shape[2]
        parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, columns)))]
        for number in range(begin // full, -(-end // full) if end > begin else 0):
            payload, samples = self._reader.chunk(number), self._reader.samples_of(number)
            place = 0
            if representation.dtype.kind == "f":
                _, place = unpack_gaps(payload, 0, samples, representation.channels)
            found, strengths = payload_events(payload[place:], samples, columns, self._dictionary)
            first = found.starts + number * full
            inside = (first < end) & (first + length > begin)
            middles = first[inside] + middle_of(length)
            parts.append((found.kernels[inside], middles, strengths[inside]))
        kernel, position, amplitude = (np.concatenate(p) for p in zip(*parts, strict=True))
        in_units = amplitude * _units_of_one(representation)
        return StreamEvents(kernel, position, in_units, length)

    def _read_all(self, progress: Callable[[float], None]) -> np.ndarray:
        footer = self._reader.footer
        assert footer is not None
        whole, place = None, 0
        for chunk in self:
            if whole is None:  # the first chunk is right: now memory is taken for all
                with _enough_memory(f"{footer.samples} samples"):
                    whole = np.empty((footer.samples, *chunk.shape[1:]), chunk.dtype)
            whole[place : place + len(chunk)] = chunk
            place += len(chunk)
            progress(place / footer.samples)
        return self._decode(b"", 0) if whole is None else whole

    def _chunk(self, number: int) -> np.ndarray:
        return self._decode(self._reader.chunk(number), self._reader.samples_of(number))

    def _decode(self, payload: bytes, samples: int) -> np.ndarray:
        with _enough_memory(f"a chunk of {samples} samples"):
            header = self.header
            return decode_chunk(
                payload, samples, header.representation, self._dictionary, header.newer_modes
            )


def decode_chunk(
    payload: bytes,
    samples: int,
    representation: Representation,
    dictionary: Dictionary | None,
    newer_modes: bool = True,
) -> np.ndarray:
    """The samples of one payload. With `samples` 0 the payload is not read.

    Without `newer_modes`, those of version 4 of the format are refused.

    Raises
    ------
    CodecError
        If no encoder writes this payload for so many samples.
    """
    from san.codec.modes.payload import decode_payload

    position, gaps = 0, np.zeros((0, 4), np.int64)
    if samples == 0:
        return restore(np.zeros((0, representation.columns), np.int64), representation, gaps)
    if representation.dtype.kind == "f":
        gaps, position = unpack_gaps(payload, 0, samples, representation.channels)
    k = decode_payload(payload[position:], samples, representation.columns, dictionary, newer_modes)
    if k.shape != (samples, representation.columns):
        raise CorruptStream(f"a chunk holds {k.shape} integers, not {samples} of each column")
    return restore(k, representation, gaps)


def _units_of_one(representation: Representation) -> np.ndarray:
    """What a step of 1 of the coder's integers is in the signal's units: float64 (columns,)."""
    if representation.rules:
        return np.array([1.0 if rule is None else rule.step for rule in representation.rules])
    if representation.dtype.kind != "f" or BITS in {s.kind for s in representation.scales}:
        return np.ones(representation.columns)  # those of bits are without loss, and have no events
    steps = 1 << 20
    k = np.array([[0] * representation.columns, [steps] * representation.columns], np.int64)
    low, high = restore(k, representation, np.zeros((0, 4), np.int64)).astype(np.float64)
    return np.atleast_1d(high - low) / steps


def _file_of(source: StreamLike) -> Path | None:
    """The file that a stream is read from, where its source says so."""
    name = getattr(source, "name", None)
    return Path(name) if isinstance(name, str) and Path(name).is_file() else None


def dictionary_of(
    reader: StreamReader, given: DictionariesLike | None, file: Path | None
) -> Dictionary | None:
    """The dictionary that a stream's chunks need, or None; decoded, even if no chunk uses it."""
    header, named = reader.header, None
    if header.dictionary_sha256 is not None:
        named = find_named(given, header.dictionary_sha256, file)
    if header.dictionary is not None:
        footer, channels = reader.footer, header.representation.channels
        values = None if footer is None else footer.samples * channels
        for size in sizes_of(header.dictionary):
            reader.limits.check_dictionary(size, values)
    found = named if header.dictionary is None else replace(read(header.dictionary), teacher=named)
    if found is not None and (found.samples or found.teacher):
        from san.codec.modes.transform import check_excerpt

        check_excerpt(found)
    return found


@contextlib.contextmanager
def _enough_memory(what: str) -> Iterator[None]:
    """Say in words what the memory of this machine does not hold."""
    try:
        yield
    except MemoryError:
        raise CodecError(
            f"the stream declares {what}, and there is not enough memory for them: read a part "
            "with start and stop, or chunk by chunk"
        ) from None


deprecated.names(__name__, {"ChunkEvents": "StreamEvents"})
