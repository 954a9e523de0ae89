"""How an array becomes a stream, all at once."""

import io
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from san.codec.block import Block, Samples, code_block, footer_of
from san.codec.decoder import Decoder
from san.codec.dictionaries import DictionaryLike, find_dictionary
from san.codec.effort import Effort, checked_effort
from san.codec.file_format.header import check_header, checked_fs
from san.codec.file_format.limits import Limits
from san.codec.file_format.writing import StreamWriter, compact_stream
from san.codec.modes.dictionary import Dictionary, no_kernels
from san.codec.numbers.integers import Integers, represent
from san.codec.numbers.narrowing import narrowed
from san.codec.numbers.representation import pack_representation
from san.codec.numbers.ruled import by_rules
from san.codec.options import (
    SHORTEST_CHUNK,
    HeaderPlan,
    Progress,
    Request,
    Texts,
    fitting_dictionary,
    samples_of_chunks,
    silent,
    texts_of,
)
from san.codec.search.coding import may_be_smaller
from san.codec.search.finding import CPU, checked_device
from san.codec.target import LOSSLESS, Target
from san.codec.threads import checked_threads
from san.codec.trained import is_trained

TRIED_VALUES = 1 << 15  # of a long signal, that decide whether its rules save bytes
# Of a shorter signal this part decides, if one of both ways has less than this share of the bytes
# of the other: rules of 12 leads, where there are any, save 40 %, and each try takes time.
TRIED_PART, CLEARLY_SMALLER = 1 / 8, 0.8
# Bytes of a stream that may be compact. A longer one says where its bytes went, has an index and a
# checksum for each chunk, and is read by older releases, for less than 3 % of its bytes.
SHORT_STREAM = 1 << 11
# So many times as many where all bytes went to one part, and an older release could not read the
# stream anyway.
LONGER_PREDICTED = 16
# Channels of a signal that learns from a teacher: more are coded across channels, without any.
TAUGHT_CHANNELS = 2
SIZE_TRIES = 6  # streams that are encoded to meet a size; each allows the payloads fewer bytes


def compress(
    x: ArrayLike,
    fs: float | None = None,
    *,
    prdn: float | None = None,
    max_error: float | None = None,
    lossless: bool = False,
    bits_per_sample: float | None = None,
    dictionary: DictionaryLike | None = None,
    events: bool = True,
    chunk_seconds: float | None = None,
    embed_dictionary: bool = True,
    units: Texts = None,
    names: Texts = None,
    attachments: Mapping[str, bytes] | None = None,
    limits: Limits | None = None,
    effort: Effort = "normal",
    device: str = CPU,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> bytes:
    """Encode a signal within an error, without loss, or to a size.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        int8, int16, int32, uint8, uint16, float32 or float64; of any length, 0 included. NaN and
        infinities come back where they were. Other arrays come back with equal values in another
        dtype: int64, uint32, uint64 and lists of integers as int16 if all values fit, else as
        int32; bool as uint8; float16 as float32.
    fs : float, optional
        Sampling rate in Hz. The stream keeps it, and the length of kernels depends on it.
    prdn, max_error, lossless, bits_per_sample
        One, or `prdn` with `max_error`: both hold then. `prdn`: the largest error of a channel
        over the whole signal, in per cent of its standard deviation; a constant channel comes back
        exactly. `max_error`: the largest error of any sample, in the units of x, which are counts
        for integers of a converter; 0 is lossless. `lossless`: every bit comes back, of floats
        too. `bits_per_sample`: the largest size of the whole stream, in bits for each sample of
        each channel.
    dictionary : Dictionary or path, optional
        Kernels to use instead of those that the encoder learns on x: a `Dictionary`, the file of
        a saved one, the run folder of a trained model, its `model.safetensors`, or "ecg": the one
        that comes with the package, which is used where it saves bytes. Any other is part of the
        stream, and may be most of a short one: see `embed_dictionary`.
    events : bool
        False to use no kernels at all.
    chunk_seconds : float, optional
        Length of a chunk, the smallest part that can be decoded alone; at least 16 samples. It
        needs fs. By default chunks have 2**20 samples, fewer with more than four channels.
    embed_dictionary : bool
        False to store only the SHA-256 of the given dictionary in the stream. `decompress` then
        needs the dictionary too.
    units, names : str or sequence of str, optional
        One for all channels, or one for each, of at most 64 bytes. The stream keeps them.
    attachments : mapping of str to bytes, optional
        Files that travel with the samples, such as a header or annotations; names have at most 64
        bytes. `Decoder.attachment` gives them back.
    limits : Limits, optional
        How large the stream may be, such as `Limits(channels=2000)` for more than 1024 channels.
        Its readers need these limits too.
    effort : "fast", "normal" or "best"
        How much time the encoder takes for few bytes. Every decoder reads all levels. "fast": one
        fast predictive mode without loss or within a `max_error`; for a `prdn` steps are guessed
        and corrected at most twice. No kernels are learned, and none that are given are used.
        "best": every mode is tried, also one that takes three times as long for about 1 % of a long
        chunk of one or two channels, and kernels are learned from twice as many beginnings.
    device : str
        Where kernels and events are looked for: "cpu", or "cuda" for an NVIDIA GPU, which needs
        torch ("cuda:1" is the second one). Sums are rounded in another order there, so the bytes
        may differ a little. Every decoder reads them, and decodes on the CPU.
    threads : int
        How many chunks the predictive modes code, and how many are checked, at the same time. The
        bytes do not depend on it. A signal of one chunk needs a smaller `chunk_seconds` for that.
    progress : callable, optional
        Called with the share that is done, 0 ... 1.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        If x is of another dtype, a masked array, or no array.
    LimitExceeded
        If x has more channels, or the attachments more bytes, than the limits allow.
    ValueError
        If an integer does not fit int32, if x has another shape or no channel, if no target or
        others together are given, if a target or an option is out of its range, if the dictionary
        does not fit x, if the signal cannot be encoded in so few bits per sample, or if there is
        no such device.
    MissingPackage
        If a GPU is asked for, and torch is not installed.

    Warns
    -----
    UserWarning
        If x has more channels than samples, as an array of shape (channels, samples) would have.

    Notes
    -----
    Where floats lie on a grid, such as counts divided by a gain, they are coded as its integers.
    Other floats are rounded to a step that is fine enough for the target (see
    `san.codec.numbers.integers.represent`). Floats whose magnitudes are too different for any step
    are coded without loss, also where `prdn` is the target.

    Integers of which few occur, such as multiples of 4.88 or the values of a table, are coded as
    consecutive numbers, without loss or within a `max_error`, if the stream is smaller that way.

    Before it is written, each chunk is decoded and compared with x. With `effort="fast"`, what the
    predictor decodes while it encodes is compared; the bytes are not read again.

    Examples
    --------
    >>> import san
    >>> t = np.arange(3600) / 360
    >>> x = np.rint(200 * np.sin(2 * np.pi * 1.2 * t) ** 15).astype(np.int16)
    >>> blob = san.compress(x, fs=360, max_error=3)
    >>> int(np.abs(san.decompress(blob) - x).max()) <= 3
    True
    """
    target = Target.of(
        max_error=max_error, prdn=prdn, lossless=lossless, bits_per_sample=bits_per_sample
    )
    array = narrowed(x)
    if array.ndim == 2 and array.shape[1] > len(array) > 0:
        warnings.warn(unlikely(array.shape), stacklevel=2)
    return encode(
        array,
        target,
        fs,
        dictionary=dictionary,
        events=events,
        chunk_seconds=chunk_seconds,
        embed_dictionary=embed_dictionary,
        units=units,
        names=names,
        attachments=attachments,
        limits=limits,
        effort=effort,
        device=device,
        threads=threads,
        progress=progress,
    )


def unlikely(shape: tuple[int, ...], where: str = "") -> str:
    """The words that question a shape with more channels than samples; `where` comes first."""
    n, channels = shape
    what = f"{where}the array" if where else "x"
    return (
        f"{what} of shape {shape} has {channels} channels of {n} sample{'s' * (n != 1)}: time "
        "must run along the first axis; if it runs along the second, give x.T"
    )


def encode(
    x: np.ndarray,
    target: Target,
    fs: float | None = None,
    *,
    dictionary: DictionaryLike | None = None,
    **options: Any,
) -> bytes:
    """Encode an array whose shape is certain, of a dtype that streams have.

    The parameters, and what it raises, are those of `compress`. With `short_name`, a dictionary
    that is not embedded is named by the first 4 bytes of its SHA-256, which is enough where its
    owner, such as an archive, keeps all dictionaries that it has.

    With a dictionary that comes with the package, the smallest of up to three streams is taken:
    one without it, one with it, and one with the array's own kernels and the trained statistics.
    """
    given = None if dictionary is None else find_dictionary(dictionary)
    if given is None or not is_trained(given) or not options.get("events", True):
        return _encode_with(x, target, fs, dictionary=given, **options)
    options["embed_dictionary"] = True  # one that comes with the package is named in any case
    streams = [_encode_with(x, target, fs, **options)]
    if target.exact:
        return streams[0]
    channels, limits = x.shape[1] if x.ndim > 1 else 1, options.get("limits")
    own = Decoder(streams[0], limits=limits).dictionary or no_kernels(channels)
    if given.kernels.shape[1] == channels:
        streams.append(_encode_with(x, target, fs, dictionary=given, **options))
    if not own.samples and channels <= TAUGHT_CHANNELS and (len(own.kernels) or len(streams) == 1):
        taught = replace(own, teacher=given)
        streams.append(_encode_with(x, target, fs, dictionary=taught, **options))
    if target.bits_per_sample is None:
        return min(streams, key=len)
    return min(streams, key=lambda stream: Decoder(stream, limits=limits).info.prdn)


def _encode_with(
    x: np.ndarray,
    target: Target,
    fs: float | None = None,
    *,
    dictionary: Dictionary | None = None,
    events: bool = True,
    chunk_seconds: float | None = None,
    embed_dictionary: bool = True,
    short_name: bool = False,
    units: Texts = None,
    names: Texts = None,
    attachments: Mapping[str, bytes] | None = None,
    limits: Limits | None = None,
    effort: Effort = "normal",
    device: str = CPU,
    threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> bytes:
    """Encode an array with this dictionary, or with one that is learned on it where it is None."""
    limits, effort = limits or Limits(), checked_effort(effort)
    device, threads = checked_device(device), checked_threads(threads)
    found = represent(x, target)
    array = np.asarray(x).astype(found.representation.dtype, copy=False)
    representation, n = found.representation, len(array)
    chunk = samples_of_chunks(chunk_seconds, fs, representation.channels)
    chunk = min(chunk, max(SHORTEST_CHUNK, n))
    request = Request(
        target, checked_fs(fs), chunk, events, effort=effort, device=device, threads=threads
    )
    given = fitting_dictionary(dictionary, representation, embed_dictionary, events)
    samples = _samples(array, found)
    texts = texts_of(units), texts_of(names)
    header = HeaderPlan(
        representation, request, *texts, embed_dictionary, attachments, limits, short_name
    )
    check_header(header.build(given), limits)  # what it refuses is refused before the work
    report = progress or silent
    if target.bits_per_sample is not None and n:
        return _within_size(samples, request, target.bits_per_sample, given, header, report)
    if target.prdn is not None and not target.exact:
        blob = _stream(code_block(samples, request, given, report), n, header)
        ruled_blob = _by_rules_alone(array, len(blob), request, given, header)
        return min(blob, ruled_blob or blob, key=len)
    ruled = by_rules(array, target)
    ways = [samples] if ruled is None else _promising(samples, _samples(array, ruled), request)
    parts = (partial(_part, report, number, len(ways)) for number in range(len(ways)))
    blocks = [code_block(way, request, given, part) for way, part in zip(ways, parts, strict=True)]
    streams = [
        _stream(block, n, header.of(way.representation))
        for way, block in zip(ways, blocks, strict=True)
    ]
    return min(streams, key=len)


def _samples(array: np.ndarray, found: Integers) -> Samples:
    shape = len(array), found.representation.channels
    return Samples(array.reshape(shape), found.k, found.gaps, found.bounds, found.representation)


def _promising(plain: Samples, ruled: Samples, request: Request) -> list[Samples]:
    """The ways to code integers that are worth a whole try: one if it is clear, else both."""
    n, channels = plain.x.shape
    many = TRIED_VALUES // channels
    count = many if n > 2 * many else math.ceil(TRIED_PART * n)
    middle, tried = (n - count) // 2, replace(request, chunk_samples=count, events=False)

    def size(way: Samples) -> float:
        part = way._replace(x=way.x[middle : middle + count], k=way.k[middle : middle + count])
        block = code_block(part, tried, None, silent)
        return block.size * n / count + len(pack_representation(way.representation))

    sizes = size(plain), size(ruled)
    if n <= 2 * many and min(sizes) >= CLEARLY_SMALLER * max(sizes):
        return [plain, ruled]
    return [plain if sizes[0] <= sizes[1] else ruled]


def _by_rules_alone(
    x: np.ndarray, size: int, request: Request, given: Dictionary | None, header: HeaderPlan
) -> bytes | None:
    """A stream by rules that keeps the bound beside a PRDN, or has no error; None without rules.

    A PRDN is not met in numbers of values, so this is only tried where `size` bytes are many.
    """
    bound = request.target.bound
    alone = LOSSLESS if bound is None else Target(max_error=bound)
    ruled = by_rules(x, alone)
    if ruled is None or not may_be_smaller(ruled.k, tuple(ruled.bounds.tolist()), size / x.size):
        return None
    block = code_block(_samples(x, ruled), replace(request, target=alone), given, silent)
    if block.accuracy.prdn > request.target.value:
        return None
    return _stream(block, len(x), header.of(ruled.representation))


def _part(report: Progress, number: int, parts: int, share: float) -> None:
    """Report the share of one of several parts."""
    report((number + share) / parts)


def _within_size(
    samples: Samples,
    request: Request,
    bits: float,
    given: Dictionary | None,
    header: HeaderPlan,
    progress: Progress,
) -> bytes:
    """A stream of so many bits per sample at most, headers and kernels included."""
    allowed = math.floor(bits * samples.x.size / 8)
    around = 32 if allowed <= SHORT_STREAM else 64  # header and footer, about
    room, smallest = float(allowed - around - len(header.attachments)), math.inf
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
    raise ValueError(f"{bits:g} bits per sample are {allowed} bytes in all{least}: allow more")


def _stream(block: Block, samples: int, header: HeaderPlan) -> bytes:
    """The whole stream of payloads, a compact one if it is short."""
    file = io.BytesIO()
    writer = StreamWriter(file, header.limits)
    head = header.build(block.dictionary, block.newer_modes)
    writer.write_header(head, header.attachments)
    for payload in block.payloads:
        writer.write_chunk(payload)
    footer = footer_of(samples, block.accuracy, block.sections)
    writer.finish(footer)
    whole = file.getvalue()
    in_one_part = head.is_newer and block.sections["predicted"] == block.size
    most = SHORT_STREAM * (LONGER_PREDICTED if in_one_part else 1)
    if len(whole) > most or len(block.payloads) > 1:
        return whole
    small = compact_stream(head, footer, header.attachments, b"".join(block.payloads))
    return whole if small is None else min(whole, small, key=len)
