"""How a recording becomes a stream part by part, as it comes.

What is chosen for all of it, the representation of floats and the dictionary, is chosen from its
first samples, which are held back for that.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from san.codec.block import Block, Samples, code_block, footer_of
from san.codec.container.header import checked_fs
from san.codec.container.stream import StreamWriter
from san.codec.dictionaries import Source
from san.codec.errors import CodecError
from san.codec.info import SECTIONS
from san.codec.modes.dictionary import Dictionary
from san.codec.numbers.accuracy import Accuracy
from san.codec.numbers.grids import BITS, EXPONENTS, POWER, Scale
from san.codec.numbers.integers import Representation, integer_bounds, represent, to_integers
from san.codec.options import (
    HeaderPlan,
    Request,
    Texts,
    fitting_dictionary,
    samples_of_chunks,
    silent,
    target_of,
    texts_of,
)
from san.codec.search.coding import Target, encode_signal

HELD_VALUES = 1 << 18  # samples of a chunk, of all channels, where nothing else is asked for
LEARNING = 1 << 17  # samples that are held back
HEADROOM = 22  # bits of the largest float among them: later ones may have nine more
UNKNOWN_STEP = -18  # exponent of a float's step where all of them are zeros


class Encoder:
    """Encodes a recording part by part, with the memory of one chunk.

    Parameters
    ----------
    file : binary file object
        It need not seek, and is neither flushed nor closed.
    dtype : dtype
        As `compress` takes it; each part must have it.
    channels : int, optional
        Parts are (n, channels); without it they are (n,).
    fs, prdn, max_error, lossless, bits_per_sample, dictionary, events, chunk_seconds, \
embed_dictionary, units, names, attachments
        As `compress` takes them, but for what the notes say.
    lossless_grid : bool
        Have floats of a lossless recording coded as the integers of the grid that the first
        chunk lies on. That is far smaller, and a later sample off that grid is an error.

    Raises
    ------
    TypeError, ValueError
        As `compress` does, here or in `write`.

    Notes
    -----
    Chunks have 2**18 samples of all channels together, unless chunk_seconds says otherwise: with
    these, the process stays below 300 MB, however long the recording is.

    A PRDN is held in each chunk. bits_per_sample is aimed at in the payload of each chunk;
    header, footer, 5 to 8 bytes of each chunk, and what a short last chunk cannot do without come
    on top.

    The first chunks, up to 2**17 samples or one chunk, are held back: a dictionary is learned on
    them where none is given, and the step of floats is chosen from them, finer than `compress`
    does because more is to come. Lossless floats are kept as their bits. Integers always fit.
    Where later floats do not (they reach 2**31 steps, or the step is too coarse for the target),
    `write` or `finish` raises ValueError, and what came before can be finished.

    Left by an exception, the stream has no footer, and readers will say that it was cut.

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
        file: Any,
        dtype: Any,
        channels: int | None = None,
        *,
        fs: float | None = None,
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
        lossless_grid: bool = False,
    ) -> None:
        targets: dict[str, Any] = {
            "max_error": max_error,
            "prdn": prdn,
            "lossless": lossless,
            "bits_per_sample": bits_per_sample,
        }
        self._shape = (0,) if channels is None else (0, channels)
        empty = represent(np.zeros(self._shape, dtype), **targets).representation  # checks all
        self._dtype, self._targets, self._grid = empty.dtype, targets, lossless_grid
        chunk = samples_of_chunks(chunk_seconds, fs, empty.channels, HELD_VALUES)
        wanted = target_of(max_error, prdn, lossless, bits_per_sample)
        self._request = Request(*wanted, checked_fs(fs), chunk, events)
        given = fitting_dictionary(dictionary, empty, embed_dictionary, events)
        self._given = None if self._request.exact else given
        texts = texts_of(units), texts_of(names)
        self._said = *texts, embed_dictionary, dict(attachments or {})
        HeaderPlan(empty, self._request, *self._said).build(self._given)
        self._writer = StreamWriter(file)
        self._representation: Representation | None = None
        self._dictionary = self._given
        self._accuracy, self._samples = Accuracy(empty.channels), 0
        self._sections = dict.fromkeys(SECTIONS, 0)
        self._buffer: np.ndarray | None = None
        self._held = 0  # samples in it
        self._finished = False

    def __enter__(self) -> "Encoder":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.finish()

    def write(self, x: Any) -> None:
        """Add samples, (n,) or (n, channels); chunks are written as they fill."""
        if self._finished:
            raise RuntimeError("the stream is finished")
        part = np.asarray(x)
        if part.dtype.newbyteorder("=") != self._dtype:
            raise TypeError(f"parts must be {self._dtype}, got {part.dtype}")
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
        """Write what is left, and the footer. A second time nothing happens."""
        if self._finished:
            return
        if self._held or self._representation is None:
            self._flush()
        self._writer.finish(footer_of(self._samples, self._accuracy, self._sections))
        self._finished = True

    def _flush(self) -> None:
        """Encode what is held; it is gone, also where it cannot be encoded."""
        held = np.zeros(self._shape, self._dtype) if self._buffer is None else self._buffer
        x, self._buffer, self._held = held[: self._held], None, 0
        self._write_chunks(x)

    def _room(self) -> int:
        """Samples that are held before chunks are written: at first, enough to choose by."""
        chunk = self._request.chunk_samples
        if self._representation is not None or not (self._learns or self._dtype.kind == "f"):
            return chunk
        return max(1, min(LEARNING, HELD_VALUES // self._columns) // chunk) * chunk

    @property
    def _learns(self) -> bool:
        request = self._request
        return request.events and self._given is None and not request.exact

    @property
    def _columns(self) -> int:
        return self._shape[1] if len(self._shape) > 1 else 1

    def _write_chunks(self, x: np.ndarray) -> None:
        """Encode and write samples, as many as chunks hold."""
        if self._representation is None:
            self._begin(x)
        full = self._request.chunk_samples
        for begin in range(0, len(x), full):
            part = x[begin : begin + full]
            block = self._coded(part)
            self._writer.write_chunk(block.payloads[0])
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
            hint = ": leave lossless_grid=False" if self._request.exact else ""
            raise ValueError(
                f"what follows sample {self._samples} does not fit what was chosen from the first "
                f"samples: {error}{hint}"
            ) from error

    def _begin(self, x: np.ndarray) -> None:
        """Choose representation and dictionary from the first samples, and write the header."""
        representation = self._chosen(x)
        self._representation = representation
        if self._learns and len(x) and not any(s.kind == BITS for s in representation.scales):
            self._dictionary = self._learned(self._integers(x[:LEARNING]))
        self._request = self._request.without_learning(self._dictionary)
        header = HeaderPlan(representation, self._request, *self._said)
        self._writer.write_header(header.build(self._dictionary), header.attachments)

    def _learned(self, samples: Samples) -> Dictionary | None:
        """The dictionary that pays on these samples, if one does."""
        request, bounds = self._request, tuple(samples.bounds.tolist())
        if request.kind == "max_error" and not any(bounds):
            return None
        target = Target(request.kind, request.value, bounds)
        return encode_signal(
            samples.k, target, fs=request.fs, chunk_samples=request.chunk_samples
        ).dictionary

    def _chosen(self, x: np.ndarray) -> Representation:
        """The representation of all chunks, from the first ones."""
        found = represent(x, **self._targets).representation
        if not found.scales:
            return found
        if self._request.exact:
            scales = found.scales if self._grid else (Scale(BITS),) * found.channels
        else:
            columns = x.reshape(len(x), found.channels)
            scales = tuple(
                _roomy(columns[:, c], scale, self._request) for c, scale in enumerate(found.scales)
            )
        return Representation(found.dtype, found.dimensions, found.channels, scales)

    def _integers(self, x: np.ndarray) -> Samples:
        representation, request = self._representation, self._request
        assert representation is not None
        k, gaps = to_integers(x, representation, exact=request.exact)
        bounds = np.zeros(representation.columns, np.int64)
        if request.kind == "max_error" and not request.exact:
            bounds = integer_bounds(x, k, representation, request.value)
        columns = x.reshape(len(x), representation.channels)
        return Samples(columns, k, gaps, bounds, representation)


def _roomy(column: np.ndarray, scale: Scale, request: Request) -> Scale:
    """A scale that will do for later chunks as well: a grid that is one, or a fine step."""
    if scale.kind == BITS:
        return scale
    values = column[np.isfinite(column)].astype(np.float64)
    largest = float(np.abs(values).max(initial=0))
    constant = not values.size or bool((values == values[0]).all())
    low, high = EXPONENTS[column.dtype.name]
    if request.kind == "max_error":
        if scale.step <= request.value and not constant:
            return scale
        exponent = math.frexp(request.value)[1] - 7
    else:
        if scale.kind != POWER and not constant:
            return scale
        exponent = math.frexp(largest)[1] - HEADROOM if largest else UNKNOWN_STEP
    fine = Scale(POWER, exponent=min(max(exponent, low), high))
    return scale if fine.integers(values) is None else fine
