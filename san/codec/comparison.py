"""How a stream is compared with its original, and which of its promises it breaks."""

from dataclasses import dataclass

import numpy as np

from san.codec.decoder import Decoder
from san.codec.info import Info
from san.codec.numbers.accuracy import Accuracy
from san.codec.options import Progress, silent
from san.codec.target import Target

ROUNDING = 1 + 1e-9  # sums that are added in another order may differ by this factor


@dataclass(frozen=True)
class Comparison:
    """How far a decoded stream is from its original.

    Attributes
    ----------
    largest_error, prdn, prd : float
        In the signal's units; in per cent, with and without the mean subtracted.
    broken : tuple of str
        The promises that the stream breaks, in words.
    """

    largest_error: float
    prdn: float
    prd: float
    broken: tuple[str, ...]


def fits(x: np.ndarray, info: Info) -> bool:
    """Whether an array is of the shape and the dtype that a stream has."""
    return x.shape == info.shape and x.dtype.newbyteorder("=") == info.dtype


def compare(
    x: np.ndarray, decoder: Decoder, progress: Progress = silent, also: Target | None = None
) -> Comparison:
    """Decode every chunk and compare it with the original.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        The original, of the stream's shape and dtype.
    decoder : Decoder
        Of a source that can seek.
    progress : callable
        Called with the share that is done, 0 ... 1.
    also : Target, optional
        Another PRDN or largest error that the stream must keep, although it does not promise it.

    Raises
    ------
    ValueError
        If the array is of another shape or dtype.
    CodecError
        If the stream is corrupt.

    Examples
    --------
    >>> import san
    >>> x = np.arange(100, dtype=np.int16)
    >>> compare(x, Decoder(san.compress(x, lossless=True))).broken
    ()
    >>> compare(x + np.int16(1), Decoder(san.compress(x, lossless=True))).broken[0]
    'it promises to be lossless, and not every bit is the same'
    """
    info = decoder.info
    if not fits(x, info):
        raise ValueError(
            f"the original has shape {x.shape} and dtype {x.dtype}, the stream has {info.shape} "
            f"and {info.dtype}"
        )
    accuracy = Accuracy(x.shape[1] if x.ndim > 1 else 1)
    place, same, kept = 0, True, True
    for y in decoder:
        part = x[place : place + len(y)].astype(y.dtype, copy=False)
        place += len(y)
        same &= part.tobytes() == y.tobytes()
        odd = ~np.isfinite(part)
        kept &= np.array_equal(odd, ~np.isfinite(y))
        kept &= np.array_equal(part[odd], y[odd], equal_nan=part.dtype.kind == "f")
        accuracy.add(part.reshape(len(y), -1), y.reshape(len(y), -1))
        progress(place / len(x))
    error, prdn = accuracy.largest_error, accuracy.prdn
    broken = _broken(info, error, prdn, same, also or Target())
    if not kept:
        broken.append("NaN and infinities are not where they were")
    return Comparison(error, prdn, accuracy.prd, tuple(broken))


def _broken(info: Info, error: float, prdn: float, same: bool, also: Target) -> list[str]:
    """The promises that errors break, and errors that are larger than the footer states."""
    broken = []
    if info.promise.exact and not same:
        broken.append("it promises to be lossless, and not every bit is the same")
    for target, says in ((info.promise, "it promises"), (also, "you allow")):
        if target.max_error is not None and error > target.max_error:
            broken.append(f"the largest error is {error:.9g}, {says} {target.max_error:.9g}")
        if target.prdn is not None and prdn > target.prdn:
            broken.append(f"the PRDN is {prdn:.9g} %, {says} {target.prdn:.9g} %")
    for name, found, stated in (
        ("largest error", error, info.largest_error),
        ("PRDN", prdn, info.prdn),
    ):
        if found > stated * ROUNDING:
            broken.append(f"it states a {name} of {stated:.9g}, found {found:.9g}")
    return broken
