"""How a recording becomes a stream part by part, as it comes.

The representation of floats and the dictionary are chosen once, from the first samples. These wait
in memory until there are enough of them.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from san.codec.block import Block, Samples, TooCoarse, code_block, code_rounded, footer_of
from san.codec.dictionaries import DictionaryLike
from san.codec.effort import Effort, checked_effort
from san.codec.errors import CodecError
from san.codec.file_format.header import checked_fs
from san.codec.file_format.writing import StreamWriter
from san.codec.info import SECTIONS
from san.codec.modes.dictionary import Dictionary
from san.codec.numbers.accuracy import Accuracy
from san.codec.numbers.grids import BITS, EXPONENTS, POWER, Scale
from san.codec.numbers.integers import (
    Representation,
    integer_bounds,
    represent,
    restore,
    to_integers,
)
from san.codec.numbers.narrowing import narrowed, refuse_masked, stream_dtype
from san.codec.numbers.steps import FINEST
from san.codec.options import (
    HeaderPlan,
    Request,
    Texts,
    fitting_dictionary,
    samples_of_chunks,
    samples_of_seconds,
    silent,
    texts_of,
)
from san.codec.search.coding import encode_signal
from san.codec.search.finding import CPU, checked_device
from san.codec.target import Target

HELD_VALUES = 1 << 18  # values of a chunk, of all channels together, unless chunk_seconds is given
LEARNING = 1 << 17  # samples that wait until representation and dictionary are chosen
# A recording is longer than the part that its dictionary is learned from: so many such parts share
# the dictionary's bytes. A larger number takes kernels that only suit the first beats.
MOST_USES = 4.0
HEADROOM = 22  # bits of the largest of the first floats: later ones may be 2**9 times as large
EXACT = Scale(BITS)
UNKNOWN_STEP = -18  # exponent of the step where all of the first floats are zero


class Encoder:
    """Encodes a recording part by part, with the memory of one chunk.

    Parameters
    ----------
    file : binary file object
        The encoder neither seeks nor closes it. With chunk_seconds it flushes the file, if it can,
        after each chunk.
    dtype : dtype
        One that `compress` takes. Each part must have it. The samples of int64, uint32 and uint64
        become int32, those of bool uint8, those of float16 float32.
    channels : int, optional
        Parts are (n, channels); without it they are (n,).
    fs, prdn, max_error, lossless, bits_per_sample, dictionary, events, chunk_seconds, \
embed_dictionary, units, names, attachments, effort, device
        As `compress` takes them; the notes say what differs.
    lossless_grid : bool
        True to code floats of a lossless recording as the integers of the grid on which the first
        chunk lies. The stream is then far smaller, and a later sample off that grid is an error.
    learn_seconds : float, optional
        How much of the beginning the encoder keeps in memory before it writes anything, to learn
        a dictionary from it; at most 2**17 samples. It needs fs. By default one chunk where
        chunk_seconds is given, and 2**17 samples or one chunk where it is not.

    Raises
    ------
    TypeError, ValueError
        As `compress` does, here or in `write`, which refuses a value that does not fit int32.

    Notes
    -----
    Chunks have 2**18 samples of all channels together, unless chunk_seconds is given. With these
    chunks the process needs less than 300 MB, however long the recording is.

    `prdn` holds in each chunk. Where a channel is constant in a chunk, or so quiet that the step
    of its floats alone breaks the target, it holds over all samples up to the end of that chunk.
    `bits_per_sample` limits the payload of each chunk. The stream is a
    little larger: header, footer, and 5 to 8 bytes for each chunk are added, and a short last
    chunk may need more than the limit.

    With chunk_seconds, each chunk is written and flushed as soon as its last sample is there, the
    first one too: what is lost if the process is killed are the samples since the last whole chunk.
    `flush` hands the bytes to the system; call `os.fsync` yourself if a power failure must not cost
    more. The last chunk, which may be shorter, is written together with the stream's end.

    The encoder learns a dictionary from the first samples, unless one is given. It stands before
    the first chunk, so nothing is learned later: short chunks without a dictionary, of a signal
    with a repeating shape, need more bytes than with a larger `learn_seconds`. From the same
    samples the encoder chooses the step of floats. It is finer than that of `compress`, because
    later samples may be larger. Lossless floats are stored as their bits. Integers always fit.
    Later floats may not fit: they may reach 2**31 steps, or the step may be too coarse for the
    target. `write` or `finish` then raises ValueError; after it, `finish` completes the stream of
    the earlier samples.

    If an exception ends the `with` block, the stream has no footer, and readers report that it was
    cut.

    Examples
    --------
    >>> import io, san
    >>> file = io.BytesIO()
    >>> with san.Encoder(file, np.int16, fs=250, lossless=True, chunk_seconds=4) as encoder:
    ...     for part in np.split(np.arange(3000, dtype=np.int16), 10):
    ...         encoder.write(part)
    >>> san.inspect(file.getvalue()).chunks, san.decompress(file.getvalue(), 2998)
    (3, array([2998, 2999], dtype=int16))
    """

    def __init__(
        self,
        file: BinaryIO,
        dtype: DTypeLike,
        channels: int | None = None,
        *,
        fs: float | None = None,
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
        lossless_grid: bool = False,
        effort: Effort = "normal",
        device: str = CPU,
        learn_seconds: float | None = None,
    ) -> None:
        target = Target.of(
            max_error=max_error, prdn=prdn, lossless=lossless, bits_per_sample=bits_per_sample
        )
        self._shape = (0,) if channels is None else (0, channels)
        self._given_dtype = np.dtype(dtype).newbyteorder("=")
        kept = stream_dtype(np.dtype(dtype))
        empty = represent(np.zeros(self._shape, kept), target).representation
        self._dtype, self._grid = empty.dtype, lossless_grid
        chunk = samples_of_chunks(chunk_seconds, fs, empty.channels, HELD_VALUES)
        self._live = chunk_seconds is not None
        self._learning = LEARNING if learn_seconds is None and not self._live else chunk
        if learn_seconds is not None:
            self._learning = samples_of_seconds("learn_seconds", learn_seconds, fs)
        self._request = Request(
            target, checked_fs(fs), chunk, events,
            effort=checked_effort(effort), device=checked_device(device),
        )  # fmt: skip
        given = fitting_dictionary(dictionary, empty, embed_dictionary, events)
        self._given = None if target.exact else given
        texts = texts_of(units), texts_of(names)
        self._said = *texts, embed_dictionary, dict(attachments or {})
        HeaderPlan(empty, self._request, *self._said).build(self._given)
        self._writer, self._file = StreamWriter(file), file
        self._representation: Representation | None = None
        self._dictionary = self._given
        self._accuracy, self._samples = Accuracy(empty.channels), 0
        self._sections = dict.fromkeys(SECTIONS, 0)
        self._buffer: np.ndarray | None = None
        self._held = 0  # samples in it
        self._has_header = self._finished = False

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()

    def write(self, x: ArrayLike) -> None:
        """Add samples, (n,) or (n, channels); chunks are written as they fill."""
        if self._finished:
            raise RuntimeError("the stream is finished")
        refuse_masked(x)
        part = np.asarray(x)
        if part.dtype.newbyteorder("=") != self._given_dtype:
            raise TypeError(f"parts must be {self._given_dtype}, got {part.dtype}")
        if self._given_dtype != self._dtype:
            part = narrowed(part)
        if part.ndim != len(self._shape) or part.shape[1:] != self._shape[1:]:
            raise ValueError(f"parts must be (n, *{self._shape[1:]}), got shape {part.shape}")
        begin = 0
        while begin < len(part):
            if self._buffer is None:
                self._buffer = np.empty((self._room(), *self._shape[1:]), self._dtype)
            count = min(len(part) - begin, len(self._buffer) - self._held)
            self._buffer[self._held : self._held + count] = part[begin : begin + count]
            self._held, begin = self._held + count, begin + count
            if self._held == len(self._buffer):
                self._flush()

    def finish(self) -> None:
        """Write the samples that are left, and the footer. A second call does nothing."""
        if self._finished:
            return
        if self._held or self._representation is None:
            self._flush(ends=True)
        if not self._has_header:
            self._write_header(newer_modes=False)
        self._writer.finish(footer_of(self._samples, self._accuracy, self._sections))
        self._hand_over()
        self._finished = True

    def _flush(self, ends: bool = False) -> None:
        """Encode the samples in the buffer, and empty it even if they cannot be encoded."""
        held = np.zeros(self._shape, self._dtype) if self._buffer is None else self._buffer
        x, self._buffer, self._held = held[: self._held], None, 0
        self._write_chunks(x, ends)

    def _hand_over(self) -> None:
        """Give the system what was written, where each chunk is to be on the disk at once."""
        flush = getattr(self._file, "flush", None)
        if self._live and flush is not None:
            flush()

    def _room(self) -> int:
        """Samples that the buffer holds: one chunk, or at first enough of them to choose by."""
        chunk = self._request.chunk_samples
        if self._representation is not None or not (self._learns or self._dtype.kind == "f"):
            return chunk
        return max(1, min(self._learning, LEARNING, HELD_VALUES // self._columns) // chunk) * chunk

    @property
    def _learns(self) -> bool:
        request = self._request
        wanted = request.events and self._given is None and not request.fast
        return wanted and not request.target.exact

    @property
    def _columns(self) -> int:
        return self._shape[1] if len(self._shape) > 1 else 1

    def _write_chunks(self, x: np.ndarray, ends: bool) -> None:
        """Encode and write samples, chunk by chunk; where the stream ends, the last one waits."""
        if self._representation is None:
            self._begin(x)
        full = self._request.chunk_samples
        for begin in range(0, len(x), full):
            part = x[begin : begin + full]
            block = self._coded(part)
            if not self._has_header:
                self._write_header(block.newer_modes)
            self._writer.write_chunk(block.payloads[0], waits=ends and begin + full >= len(x))
            self._hand_over()
            self._accuracy.merge(block.accuracy)
            self._samples += len(part)
            for name, count in block.sections.items():
                self._sections[name] += count

    def _coded(self, x: np.ndarray) -> Block:
        try:
            return code_block(self._integers(x), self._request, self._dictionary, silent)
        except CodecError:
            raise
        except ValueError as error:
            if isinstance(error, TooCoarse):
                block, whole = code_rounded(self._integers(x), self._request), self._accuracy.copy()
                whole.merge(block.accuracy)
                if whole.prdn <= error.prdn:
                    return block
            hint = ": leave lossless_grid=False" if self._request.target.exact else ""
            raise ValueError(
                f"what follows sample {self._samples} does not fit what was chosen from the first "
                f"samples: {error}{hint}"
            ) from error

    def _begin(self, x: np.ndarray) -> None:
        """Choose representation and dictionary from the first samples."""
        representation = self._chosen(x)
        self._representation = representation
        if self._learns and len(x) and not any(s.kind == BITS for s in representation.scales):
            self._dictionary = self._learned(self._integers(x[:LEARNING]))
        self._request = self._request.without_learning(self._dictionary)

    def _write_header(self, newer_modes: bool) -> None:
        """Write the header; later chunks use newer modes only if the first one did."""
        assert self._representation is not None
        self._request = replace(self._request, newer_modes=newer_modes)
        header = HeaderPlan(self._representation, self._request, *self._said)
        self._writer.write_header(header.build(self._dictionary, newer_modes), header.attachments)
        self._has_header = True

    def _learned(self, samples: Samples) -> Dictionary | None:
        """The dictionary that saves bytes on these samples, or None."""
        request, bounds = self._request, tuple(samples.bounds.tolist())
        if request.target.max_error is not None and not any(bounds):
            return None
        return encode_signal(
            samples.k,
            request.target,
            fs=request.fs,
            chunk_samples=request.chunk_samples,
            bounds=bounds,
            effort=request.effort,
            device=request.device,
            uses=min(MOST_USES, max(1.0, LEARNING / len(samples.k))),
        ).dictionary

    def _chosen(self, x: np.ndarray) -> Representation:
        """The representation of all chunks, from the first ones."""
        found = represent(x, self._request.target).representation
        if not found.scales:
            return found
        target = self._request.target
        if target.exact:
            scales = found.scales if self._grid else (EXACT,) * found.channels
        else:
            columns = x.reshape(len(x), found.channels)
            scales = tuple(
                _roomy(columns[:, c], scale, target) for c, scale in enumerate(found.scales)
            )
            if target.prdn is not None:
                chunk = self._request.chunk_samples
                scales = tuple(
                    scale if _rounds_within(columns[:, c], scale, chunk, target.prdn) else EXACT
                    for c, scale in enumerate(scales)
                )
        return Representation(found.dtype, found.dimensions, found.channels, scales)

    def _integers(self, x: np.ndarray) -> Samples:
        representation, target = self._representation, self._request.target
        assert representation is not None
        k, gaps = to_integers(x, representation, exact=target.exact)
        bounds = np.zeros(representation.columns, np.int64)
        if target.max_error is not None and not target.exact:
            bounds = integer_bounds(x, k, representation, target.max_error)
        columns = x.reshape(len(x), representation.channels)
        return Samples(columns, k, gaps, bounds, representation)


def _roomy(column: np.ndarray, scale: Scale, target: Target) -> Scale:
    """A scale that suits later chunks too: the grid of the first samples, or a fine step."""
    if scale.kind == BITS:
        return scale
    values = column[np.isfinite(column)].astype(np.float64)
    largest = float(np.abs(values).max(initial=0))
    constant = not values.size or bool((values == values[0]).all())
    low, high = EXPONENTS[column.dtype.name]
    bound, suits, exponent = target.max_error, not constant, high
    if bound is not None:
        suits &= scale.step <= bound
        exponent = math.frexp(bound)[1] - FINEST
    if target.kind != "max_error":
        suits &= scale.kind != POWER
        relative = math.frexp(largest)[1] - HEADROOM if largest else UNKNOWN_STEP
        exponent = min(exponent, relative)
    if suits:
        return scale
    fine = Scale(POWER, exponent=min(max(exponent, low), high))
    return scale if fine.integers(values) is None else fine


def _rounds_within(column: np.ndarray, scale: Scale, chunk: int, prdn: float) -> bool:
    """Whether the steps of a channel keep a PRDN at the end of each of its first chunks."""
    whole, representation = Accuracy(1), Representation(column.dtype, 1, 1, (scale,))
    for begin in range(0, len(column), chunk):
        x, own = column[begin : begin + chunk], Accuracy(1)
        k, gaps = to_integers(x, representation, exact=False)
        own.add(x[:, None], restore(k, representation, gaps).reshape(-1, 1))
        whole.merge(own)
        if min(own.prdn, whole.prdn) > prdn * (1 - 1e-9):
            return False
    return True
