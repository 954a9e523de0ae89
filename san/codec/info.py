"""What a stream states of itself, from its header and footer alone."""

import hashlib
from dataclasses import dataclass

import numpy as np

from san.codec.errors import CorruptStream
from san.codec.file_format.header import Footer
from san.codec.file_format.limits import Limits
from san.codec.file_format.source import StreamLike
from san.codec.file_format.stream import StreamReader
from san.codec.modes.mode_numbers import PREDICTED_MODES
from san.codec.target import Target

SECTIONS = ("gaps", "events", "coefficients", "corrections", "predicted", "other")


@dataclass(frozen=True)
class Info:
    """What `inspect` returns.

    Attributes
    ----------
    version : int
        Of the format.
    shape : tuple of int
        (n,) or (n, channels).
    dtype : numpy.dtype
    fs : float or None
        In Hz, None where it is not known.
    units, names : tuple of str
        One for each channel, or none.
    target : str
        lossless, max_error, prdn or bits_per_sample.
    value : float
        Number of the target: in the signal's units, per cent, or bits; 0 for lossless.
    bound : float or None
        The largest error of any sample that the stream promises beside a PRDN.
    largest_error : float
        Of any sample, in the signal's units; the encoder measured it on the decoded signal.
    prdn : float
        In per cent, of the channel where it is largest; measured in the same way. A compact stream
        has both rounded up to a float32.
    chunks, chunk_samples : int
        How many chunks, and the samples of each but the last.
    bytes : int
        Of the whole stream.
    sections : dict of str to int
        Bytes of each part; their sum is `bytes`. The parts are header, dictionary, attachments,
        the parts of the payloads, framing (lengths and checksums of the chunks), and index (the
        footer). A compact stream does not say the parts of its payload, which then counts as
        predicted, if every sample is, or else as payload.
    compression_ratio : float
        Bytes of the array, in its dtype, for each byte of the stream.
    bits_per_sample : float
        Of the stream, for each sample of each channel; infinite without samples.
    dictionary_sha256 : str or None
        Of the dictionary that the chunks need, if they need one; its first 8 digits where the
        stream names the dictionary by them.
    dictionary_carried : bool
        Whether that dictionary is in the stream.
    attachments : dict of str to int
        Names and sizes of the files that travel with the samples.
    rules : tuple of str
        Of integers of which few occur: for each channel the rule that its values follow, in
        words, or "" where it has none. Empty where no channel has one. Such streams are of version
        4.
    """

    version: int
    shape: tuple[int, ...]
    dtype: np.dtype
    fs: float | None
    units: tuple[str, ...]
    names: tuple[str, ...]
    target: str
    value: float
    largest_error: float
    prdn: float
    chunks: int
    chunk_samples: int
    bytes: int
    sections: dict[str, int]
    compression_ratio: float
    bits_per_sample: float
    dictionary_sha256: str | None
    dictionary_carried: bool
    attachments: dict[str, int]
    rules: tuple[str, ...] = ()
    bound: float | None = None

    @property
    def promise(self) -> Target:
        """The target as one object."""
        return Target.stored(self.target, self.value, self.bound)


def inspect(blob: StreamLike, *, limits: Limits | None = None) -> Info:
    """Read what a stream states of itself: array, target, errors, and the bytes of each part.

    Parameters
    ----------
    blob : bytes-like, or binary file that can seek
        Only header and footer are read, so chunks may still be corrupt.
    limits : Limits, optional
        Streams that declare more are refused.

    Returns
    -------
    Info

    Raises
    ------
    CodecError
        If header or footer are corrupt, cut, of another version or beyond the limits.
    ValueError
        If the file cannot seek.

    Examples
    --------
    >>> import san
    >>> info = san.inspect(san.compress(np.zeros((500, 2), np.int16), fs=250, lossless=True))
    >>> info.shape, info.dtype, info.fs, info.target, info.largest_error
    ((500, 2), dtype('int16'), 250.0, 'lossless', 0.0)
    """
    reader = StreamReader(blob, limits)
    info = describe(reader)
    _, first, end, _ = reader.places
    if reader.footer is not None and sum(reader.footer.sections) > end - first:
        raise CorruptStream(
            f"the sections in the footer have {sum(reader.footer.sections)} bytes together, the "
            f"chunks have {end - first}"
        )
    return info


def describe(reader: StreamReader) -> Info:
    """Describe a stream that is open, as `inspect` does.

    Sections inform, and nothing is decoded with them. So sections that this version does not know
    count as "other", and if they are larger than all chunks, the chunks count as "other".
    """
    header, footer = reader.header, reader.footer
    if footer is None or reader.chunk_count is None:
        raise ValueError("the source cannot seek: its length is known only after its last chunk")
    begin, first, end, total = reader.places
    sections = {"header": begin - len(header.dictionary or b"")}
    sections["dictionary"] = len(header.dictionary or b"")
    sections["attachments"] = first - begin
    if reader.is_compact:
        sections |= dict.fromkeys(SECTIONS, 0) | {"payload": end - first, "framing": total - end}
        mode = next(iter(next(reader.chunks(), b"")), None)  # of floats, gaps are before it
        if header.representation.dtype.kind != "f" and mode in PREDICTED_MODES:
            sections |= {"payload": 0, "predicted": end - first}
        return _described(reader, footer, sections)
    told = footer.sections if sum(footer.sections) <= end - first else ()
    sections |= dict.fromkeys(SECTIONS, 0) | dict(zip(SECTIONS, told, strict=False))
    sections["other"] += sum(told[len(SECTIONS) :])
    sections["framing"] = 0
    sections["framing" if told == footer.sections else "other"] += end - first - sum(told)
    sections["index"] = total - end
    return _described(reader, footer, sections)


def _described(reader: StreamReader, footer: Footer, sections: dict[str, int]) -> Info:
    """What header and footer say, with the bytes of each part."""
    header, total = reader.header, reader.places[-1]
    representation = header.representation
    digest = header.dictionary_sha256
    if header.dictionary is not None:
        digest = hashlib.sha256(header.dictionary).digest()
    flat = representation.dimensions == 1
    values = footer.samples * representation.channels
    return Info(
        version=reader.version,
        shape=(footer.samples,) if flat else (footer.samples, representation.channels),
        dtype=representation.dtype,
        fs=header.fs or None,
        units=_of_each(header.units, representation.channels),
        names=_of_each(header.names, representation.channels),
        target=header.target,
        value=header.value,
        largest_error=footer.largest_error,
        prdn=footer.prdn,
        chunks=reader.chunk_count or 0,
        chunk_samples=header.chunk_samples,
        bytes=total,
        sections=sections,
        compression_ratio=values * representation.dtype.itemsize / total,
        bits_per_sample=8 * total / values if values else float("inf"),
        dictionary_sha256=None if digest is None else digest.hex(),
        dictionary_carried=header.dictionary is not None,
        attachments={entry.name: entry.size for entry in reader.attachments},
        rules=tuple(str(rule or "") for rule in representation.rules),
        bound=header.bound,
    )


def _of_each(texts: tuple[str, ...], channels: int) -> tuple[str, ...]:
    return texts * channels if len(texts) == 1 else texts
