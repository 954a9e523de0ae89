"""What other targets would cost: a part of the original at several errors and bounds."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from san.codec.encoder import compress
from san.codec.info import Info, inspect
from san.codec.modes.dictionary import Dictionary

PRDNS = (2.0, 4.0, 8.0, 16.0)  # per cent
BOUNDS = (0.025, 0.05, 0.1, 0.2)  # of the signal's standard deviation, made round
VALUES = 120_000  # that are compressed for each point: all points of a record take some seconds
ROUND = (1.0, 2.0, 5.0, 10.0)

Progress = Callable[[float], None]


def curve(
    x: np.ndarray,
    info: Info,
    start: int,
    gain: float,
    unit: str,
    dictionary: Dictionary | None,
    progress: Progress,
) -> dict[str, Any]:
    """Compress a part of the original at several targets.

    Parameters
    ----------
    x : array (n,) or (n, channels)
        The original.
    info : Info
        Of the stream.
    start : int
        Where the part begins, if so much is left of the original there.
    gain, unit : float, str
        What one unit of x is divided by, and the physical unit that this gives.
    dictionary : Dictionary or None
        The kernels of the stream, which every point uses; without them the encoder learns its own.
    progress : callable
        Told the share that is done, 0 ... 1.

    Returns
    -------
    dict
        `points` with target, PRDN in per cent, largest error in the unit, bits per sample and
        compression ratio, the same of the stream as `own`, and what the page says of them.
    """
    samples, channels = len(x), 1 if x.ndim == 1 else x.shape[1]
    count = min(samples, max(1, VALUES // channels))
    start = min(start, samples - count)
    part = np.ascontiguousarray(x[start : start + count])
    bounds = _bounds(part, gain)
    targets: list[tuple[str, dict[str, Any]]] = [(f"PRDN {p:g} %", {"prdn": p}) for p in PRDNS]
    targets += [(f"within {b:g} {unit}".strip(), {"max_error": b * gain}) for b in bounds]
    points = []
    for number, (name, target) in enumerate(targets):

        def on_share(share: float, done: int = number) -> None:
            progress((done + share) / len(targets))

        blob = compress(part, info.fs, dictionary=dictionary, progress=on_share, **target)
        on_share(1.0)
        points.append([name, *_costs(inspect(blob), samples / count, gain)])
    whole = f"samples {start} to {start + count - 1} of the original"
    used = "the kernels of the stream" if dictionary is not None else "kernels of its own"
    own = ["this stream", *_costs(info, 1.0, gain)]
    return {
        "points": points,
        "prdns": len(PRDNS),
        "own": own if info.target != "lossless" and math.isfinite(info.prdn) else None,
        "unit": unit,
        "words": f"san.compress of {'the whole original' if count == samples else whole}, with "
        f"{used}. Kernels and headers count once for the whole recording. The ring is the stream "
        "itself, without attached files.",
    }


def _bounds(part: np.ndarray, gain: float) -> list[float]:
    """Round numbers in the physical unit; of integers none that is less than one of them."""
    values = part[np.isfinite(part)].astype(np.float64)
    deviation = float(values.std()) / gain if len(values) else 0.0
    least = 1.0 / gain if part.dtype.kind in "iu" else 0.0
    found = [_round(share * deviation) for share in BOUNDS if share * deviation > 0]
    return sorted({bound for bound in found if bound >= least})


def _round(value: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten.

    Examples
    --------
    >>> _round(0.013), _round(43)
    (0.01, 50.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    nearest = min(ROUND, key=lambda digit: abs(math.log(digit * power / value)))
    return float(f"{nearest * power:.6g}")


def _costs(info: Info, longer: float, gain: float) -> list[float]:
    """PRDN, largest error, bits per sample and ratio of a recording so many times as long."""
    once = info.sections["header"] + info.sections["dictionary"]
    attached = info.sections["attachments"]
    size = once + longer * (info.bytes - once - attached)
    bits = 8 * size / max(1.0, longer * math.prod(info.shape))
    ratio = 8 * info.dtype.itemsize / bits
    return [info.prdn, info.largest_error / gain, bits, ratio]
