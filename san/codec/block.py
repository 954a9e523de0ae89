"""How a block of samples becomes payloads that were decoded and compared with the original.

Nothing that breaks the target leaves this module: such payloads are encoded again with finer steps,
and at last without loss.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from san.codec.decoder import decode_chunk
from san.codec.file_format.header import Footer
from san.codec.info import SECTIONS
from san.codec.modes.dictionary import Dictionary
from san.codec.modes.mode_numbers import NEWER_MODES
from san.codec.numbers.accuracy import Accuracy
from san.codec.numbers.gaps import crop_gaps, pack_gaps
from san.codec.numbers.grids import BITS
from san.codec.numbers.integers import Representation, restore
from san.codec.numbers.steps import within_dtype
from san.codec.options import Progress, Request, silent
from san.codec.search.coding import Coded, encode_signal
from san.codec.target import LOSSLESS, Target
from san.codec.threads import in_order

SHORTEST = 8  # samples of a chunk that has wavelet coefficients
TRIES = 4  # to meet a PRDN, which rounded floats and gaps make larger than the search knows
LARGEST_PRDN = 1e100  # that the search is asked for; its square is a float64
# Above this PRDN it is also tried: little more than a mean is left, errors jump with the steps, and
# a stream of 12 leads at 100 had 30 times the bytes that it has at 80.
COARSE = 80.0
FINER = 0.999  # of the PRDN that should be just small enough


class TooCoarse(ValueError):
    """The steps of floats alone make a PRDN that is above the one that is asked for."""

    def __init__(self, prdn: float, rounding: float) -> None:
        super().__init__(prdn, rounding)
        self.prdn, self.rounding = prdn, rounding

    def __str__(self) -> str:
        return (
            f"steps are too coarse for a PRDN of {self.prdn:g}: they alone make it "
            f"{self.rounding:.3g}"
        )


class Samples(NamedTuple):
    """A block of samples (n, channels) and the integers that stand for them."""

    x: np.ndarray
    k: np.ndarray  # int64 (n, columns)
    gaps: np.ndarray
    bounds: np.ndarray  # int64 (columns,)
    representation: Representation


@dataclass
class Block:
    """Payloads, and what they decode to, compared with the original."""

    payloads: list[bytes]
    dictionary: Dictionary | None
    accuracy: Accuracy
    sections: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SECTIONS, 0))
    newer_modes: bool = False  # whether a payload has a mode of version 4 of the format

    @property
    def size(self) -> int:
        return sum(map(len, self.payloads))


def code_block(
    samples: Samples,
    request: Request,
    dictionary: Dictionary | None,
    progress: Progress,
    room: float | None = None,
) -> Block:
    """Encode a block so that its target holds.

    Parameters
    ----------
    samples : Samples
    request : Request
    dictionary : Dictionary or None
        With None the encoder learns one, if the request allows events.
    progress : callable
        Called with the share that is done, 0 ... 1.
    room : float, optional
        Bytes that the payloads may have, where bits_per_sample is the target. By default they are
        computed from the target.

    Raises
    ------
    ValueError
        If the representation is too coarse for the target.
    """
    representation, asked = samples.representation, request.target
    if dictionary is not None and dictionary.kernels.shape[1] != representation.columns:
        dictionary, request = None, request.without_learning(None)  # bits take several columns
    of_bits = any(scale.kind == BITS for scale in representation.scales)
    short = min(request.chunk_samples, len(samples.k)) < SHORTEST
    if samples.bounds.min(initial=0) < 0:
        raise ValueError(f"steps are too coarse for a max_error of {asked.max_error}")
    if asked.exact or ((of_bits or short) and asked.kind != "max_error"):
        block = _checked(samples, request, _encode(samples, request, LOSSLESS, progress))
        if asked.prdn is not None and block.accuracy.prdn > asked.prdn:
            raise TooCoarse(asked.prdn, block.accuracy.prdn)
        return block
    if asked.prdn is not None:
        return _within_prdn(samples, request, asked.prdn, dictionary, progress)
    target = asked
    if asked.bits_per_sample is not None:
        if room is None:
            room = asked.value * samples.x.size / 8
        target = Target(bits_per_sample=max(1e-6, 8 * room / max(1, samples.k.size)))
    return _checked(
        samples, request, _encode(samples, request, target, progress, dictionary, request.events)
    )


def _within_prdn(
    samples: Samples,
    request: Request,
    prdn: float,
    dictionary: Dictionary | None,
    progress: Progress,
) -> Block:
    asked = min(prdn, LARGEST_PRDN) * (1 - 1e-9)  # sums are rounded
    rounding = _rounding(samples)
    if rounding >= asked:
        raise TooCoarse(prdn, rounding)
    value, events = np.sqrt(asked**2 - rounding**2), request.events
    for _ in range(TRIES):
        target = replace(request.target, prdn=float(value))
        coded = _encode(samples, request, target, progress, dictionary, events)
        if value > COARSE:  # what is below a smaller PRDN is below this one
            smaller = replace(target, prdn=COARSE)
            other = _encode(samples, request, smaller, progress, dictionary, events)
            coded = min(coded, other, key=_bytes_of)
        block = _checked(samples, request, coded)
        reached = block.accuracy.prdn
        if reached <= prdn:
            return block
        if not np.isfinite(reached):
            break
        value *= min(FINER, FINER * asked / reached)
        if not coded.across:
            dictionary, events = coded.dictionary, events and coded.dictionary is not None
    return _checked(samples, request, _encode(samples, request, LOSSLESS, progress))


def _bytes_of(coded: Coded) -> int:
    """The bytes of payloads and of the dictionary that they need."""
    return coded.size + (0 if coded.dictionary is None else len(coded.dictionary.data))


def code_rounded(samples: Samples, request: Request) -> Block:
    """Encode the integers of a block without loss; floats keep the error of their steps."""
    return _checked(samples, request, _encode(samples, request, LOSSLESS, silent))


def _rounding(samples: Samples) -> float:
    """The PRDN of a signal that is restored from its integers."""
    if not samples.representation.scales:
        return 0.0
    accuracy = Accuracy(samples.x.shape[1])
    y = restore(samples.k, samples.representation, samples.gaps).reshape(samples.x.shape)
    accuracy.add(samples.x, y)
    return accuracy.prdn


def _encode(
    samples: Samples,
    request: Request,
    target: Target,
    progress: Progress,
    dictionary: Dictionary | None = None,
    events: bool = False,
) -> Coded:
    return encode_signal(
        samples.k,
        target,
        fs=request.fs,
        chunk_samples=request.chunk_samples,
        bounds=tuple(samples.bounds.tolist()),
        dictionary=dictionary,
        events=events,
        newer_modes=request.newer_modes,
        effort=request.effort,
        device=request.device,
        threads=request.threads,
        progress=lambda share: progress(0.9 * share),
    )


def _checked(samples: Samples, request: Request, coded: Coded) -> Block:
    """Decode every payload and compare; a chunk that breaks the target is coded without loss.

    What an encoder has decoded already is only compared.
    """
    block = Block([], coded.dictionary, Accuracy(samples.x.shape[1]))
    representation, step = samples.representation, request.chunk_samples

    def come_back(number: int) -> tuple[bytes, np.ndarray, bool]:
        """A chunk's bytes in the stream, its samples as they come back, and whether these hold."""
        begin, end = number * step, min((number + 1) * step, len(samples.x))
        x, gaps = samples.x[begin:end], crop_gaps(samples.gaps, begin, end)
        written = _with_gaps(coded.payloads[number], gaps, representation)
        if coded.decoded is None:
            y = _decoded(written, x, representation, coded.dictionary)
        else:
            y = restore(coded.decoded[number], representation, gaps).reshape(x.shape)
        return written, y, _holds(x, y, request.target)

    found = in_order(come_back, range(len(coded.payloads)), request.threads)
    for number, (payload, (written, y, holds)) in enumerate(
        zip(coded.payloads, found, strict=True)
    ):
        begin, end = number * step, min((number + 1) * step, len(samples.x))
        x = samples.x[begin:end]
        if not holds:
            exact = encode_signal(
                samples.k[begin:end],
                LOSSLESS,
                fs=request.fs,
                chunk_samples=step,
                events=False,
                newer_modes=request.newer_modes,
                effort=request.effort,
            )
            payload = exact.payloads[0]
            gaps = crop_gaps(samples.gaps, begin, end)
            written = _with_gaps(payload, gaps, representation)
            y = _decoded(written, x, representation, None)
            if not _holds(x, y, request.target):
                raise RuntimeError(f"samples {begin} ... {end - 1} do not come back as they should")
        if not request.target.exact:
            block.accuracy.add(x, y)
        block.payloads.append(written)
        block.newer_modes |= payload[0] in NEWER_MODES
    block.sections = _sections(
        block.size, coded, len(_with_gaps(b"", samples.gaps, representation))
    )
    return block


def _with_gaps(payload: bytes, gaps: np.ndarray, representation: Representation) -> bytes:
    """The bytes of a chunk in a stream: its gaps (floats only) and its payload."""
    if representation.dtype.kind != "f":
        return payload
    return pack_gaps(gaps, representation.channels) + payload


def _decoded(
    payload: bytes, x: np.ndarray, representation: Representation, dictionary: Dictionary | None
) -> np.ndarray:
    return decode_chunk(payload, len(x), representation, dictionary).reshape(x.shape)


def _holds(x: np.ndarray, y: np.ndarray, target: Target) -> bool:
    """Whether every sample is as it was promised."""
    if target.exact:
        return x.tobytes() == y.tobytes()
    finite = np.isfinite(x)
    if (
        not np.array_equal(x[~finite], y[~finite], equal_nan=True)
        or not np.isfinite(y[finite]).all()
    ):
        return False
    if target.max_error is None:
        return True
    wide = np.float64 if x.dtype.kind == "f" else np.int64
    with np.errstate(over="ignore"):
        error = np.abs(x[finite].astype(wide) - y[finite].astype(wide)).max(initial=0)
    limit = target.max_error if wide is np.int64 else within_dtype(target.max_error, x.dtype)
    return bool(error <= limit)


def _sections(size: int, coded: Coded, gaps: int) -> dict[str, int]:
    """Bytes of each section; those that no section names count as `other`."""
    sections = dict.fromkeys(SECTIONS, 0) | {"gaps": gaps}
    for name, count in coded.sections.items():
        sections[name if name in SECTIONS else "other"] += count
    rest = size - sum(sections.values())
    if rest < 0:  # a chunk was coded again
        return dict.fromkeys(SECTIONS, 0) | {"other": size}
    sections["other"] += rest
    return sections


def footer_of(samples: int, accuracy: Accuracy, sections: dict[str, int]) -> Footer:
    """What a stream says when it ends."""
    counts = tuple(sections[name] for name in SECTIONS)
    return Footer(samples, accuracy.largest_error, accuracy.prdn, counts)
