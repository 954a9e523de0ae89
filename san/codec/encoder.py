"""How an array becomes a stream, all at once."""

import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from san.codec.block import Block, Samples, code_block, footer_of
from san.codec.container.header import checked_fs
from san.codec.container.stream import StreamWriter
from san.codec.dictionaries import Source
from san.codec.modes.dictionary import Dictionary
from san.codec.numbers.integers import represent
from san.codec.options import (
    SHORTEST_CHUNK,
    HeaderPlan,
    Progress,
    Request,
    Texts,
    fitting_dictionary,
    samples_of_chunks,
    silent,
    target_of,
    texts_of,
)

SIZE_TRIES = 6


def compress(
    x: Any,
    fs: float | None = None,
    *,
    prdn: float | None = None,
    max_error: float | None = None,
    lossless: bool = False,
    bits_per_sample: float | None = None,
    dictionary: Source | None = None,
    events: bool = True,
    chunk_seconds: float | None = None,
    embed_dictionary: bool = True,
    units: Texts = None,
    names: Texts = None,
    attachments: Mapping[str, bytes] | None = None,
    progress: Callable[[float], None] | None = None,
) -> bytes:
    """Encode a signal, to an error, without loss, or to a size.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        int8, int16, int32, uint8, uint16, float32 or float64; of any length, 0 included. NaN and
        infinities come back where they were.
    fs : float, optional
        Sampling rate in Hz. It is kept, and tells how long kernels are.
    prdn, max_error, lossless, bits_per_sample
        Exactly one. `prdn`, per cent: of each channel, over the whole signal, at most so much;
        a constant channel comes back exactly. `max_error`, in the signal's units: of every sample
        at most so much; 0 is lossless. `lossless`: every bit comes back, of floats too.
        `bits_per_sample`: of the whole stream, for each sample of each channel, at most so many.
    dictionary : Dictionary or path, optional
        Kernels to use instead of those that the encoder learns on x: a `Dictionary`, the file of
        a saved one, the run folder of a trained model, or its `model.safetensors`.
    events : bool
        False to use no kernels at all.
    chunk_seconds : float, optional
        Length of a chunk, the least that can be decoded alone, at least 16 samples; needs fs. By
        default chunks have 2**20 samples, fewer with more than four channels.
    embed_dictionary : bool
        False to have a given dictionary only named in the stream, by its SHA-256; it must then be
        given to `decompress` as well.
    units, names : str or sequence of str, optional
        Of all channels, or of each; at most 64 bytes each. Kept in the stream.
    attachments : mapping of str to bytes, optional
        Files that travel with the samples, such as a header or annotations; names have at most 64
        bytes. `Decoder.attachment` gives them back.
    progress : callable, optional
        Called with the share that is done, 0 ... 1.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        If x is of another dtype, a masked array, or no array.
    ValueError
        If x has another shape or no channel, not exactly one target is given, a target or an
        option is not such a number, the dictionary does not fit x, or the signal cannot be
        encoded in so few bits per sample.

    Notes
    -----
    Where floats lie on a grid, such as counts divided by a gain, they are coded as its integers.
    Others need a step that the target can bear (see `san.codec.numbers.integers.represent`). Floats
    whose magnitudes are too different for that are coded without loss, also where `prdn` is the
    target.

    Before it is written, each chunk is decoded and compared with x.

    Examples
    --------
    >>> import san
    >>> t = np.arange(3600) / 360
    >>> x = np.rint(200 * np.sin(2 * np.pi * 1.2 * t) ** 15).astype(np.int16)
    >>> blob = san.compress(x, fs=360, max_error=3)
    >>> int(np.abs(san.decompress(blob) - x).max()) <= 3
    True
    """
    found = represent(
        x, max_error=max_error, prdn=prdn, lossless=lossless, bits_per_sample=bits_per_sample
    )
    array = np.asarray(x).astype(found.representation.dtype, copy=False)
    wanted = target_of(max_error, prdn, lossless, bits_per_sample)
    representation, n = found.representation, len(array)
    chunk = samples_of_chunks(chunk_seconds, fs, representation.channels)
    chunk = min(chunk, max(SHORTEST_CHUNK, n))
    request = Request(*wanted, checked_fs(fs), chunk, events)
    given = fitting_dictionary(dictionary, representation, embed_dictionary, events)
    samples = Samples(
        array.reshape(n, representation.channels), found.k, found.gaps, found.bounds, representation
    )
    texts = texts_of(units), texts_of(names)
    header = HeaderPlan(representation, request, *texts, embed_dictionary, attachments)
    header.build(given)  # what it refuses is refused before the work
    report = progress or silent
    if request.kind == "bits_per_sample" and n:
        return _within_size(samples, request, given, header, report)
    block = code_block(samples, request, given, report)
    return _stream(block, n, header)


def _within_size(
    samples: Samples,
    request: Request,
    given: Dictionary | None,
    header: "HeaderPlan",
    progress: Progress,
) -> bytes:
    """A stream of so few bytes, headers and kernels included."""
    allowed = math.floor(request.value * samples.x.size / 8)
    room, smallest = float(allowed - 64 - len(header.attachments)), math.inf
    for _ in range(SIZE_TRIES):
        if room <= 0:
            break
        block = code_block(samples, request, given, progress, room)
        blob = _stream(block, len(samples.x), header)
        if len(blob) <= allowed:
            return blob
        smallest = min(smallest, len(blob))
        room -= 1.02 * (len(blob) - allowed) + 1
        if given is None:
            given, request = block.dictionary, request.without_learning(block.dictionary)
    least = f", the smallest stream found has {smallest}" if smallest < math.inf else ""
    raise ValueError(
        f"{request.value:g} bits per sample are {allowed} bytes in all{least}: allow more"
    )


def _stream(block: Block, samples: int, header: "HeaderPlan") -> bytes:
    """The whole stream of payloads."""
    file = io.BytesIO()
    writer = StreamWriter(file)
    writer.write_header(header.build(block.dictionary), header.attachments)
    for payload in block.payloads:
        writer.write_chunk(payload)
    writer.finish(footer_of(samples, block.accuracy, block.sections))
    return file.getvalue()
