"""Where windows lie in a recording, and how signals of other rates get the rate of the windows.

Windows are counted in samples of their rate. A recording of another rate is filtered and resampled
a part at a time, so that a window has the samples that it has in the whole.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from san.dataset_readers.channels import Column
from san.dataset_readers.rates import Signals
from san.dataset_readers.sources import Source
from san.packages import need

BLOCK = 1 << 18  # samples of each channel that are read at once, or one window where it is longer
LARGEST_FACTOR = 10_000  # of a ratio of rates
TAPS = 10  # half the length of the filter, in samples of the lower rate, as scipy has it


def ratio_of(rate: float | None, fs: float | None, name: str) -> Fraction:
    """How many samples a sample of a recording becomes.

    Raises
    ------
    ValueError
        If a rate is missing, or the ratio is none of two whole numbers up to 10,000.

    Examples
    --------
    >>> ratio_of(250.0, 360.0, "100"), ratio_of(None, None, "x")
    (Fraction(25, 36), Fraction(1, 1))
    """
    if rate == fs:
        return Fraction(1)
    if rate is None or fs is None:
        raise ValueError(f"{name} does not state its sampling rate, and others do: give fs (--fs)")
    ratio = Fraction(rate / fs).limit_denominator(LARGEST_FACTOR)
    if ratio.numerator not in range(1, LARGEST_FACTOR + 1) or abs(ratio * fs - rate) > 1e-6 * rate:
        raise ValueError(
            f"{name} has {fs:g} Hz, which cannot become {rate:g} Hz: their ratio is not one of two "
            f"whole numbers up to {LARGEST_FACTOR}"
        )
    return ratio


def samples_at(signals: Signals, ratio: Fraction) -> int:
    """How many samples signals have at the rate of the windows."""
    return int((signals.samples - 1) * ratio) + 1 if signals.samples else 0


def window_starts(
    samples: int, window: int, stride: int, start: int, stop: int | None, most: int | None
) -> np.ndarray:
    """Say where windows begin; of too many, take some at even distances.

    Examples
    --------
    >>> window_starts(1000, 200, 100, 50, None, None).tolist()
    [50, 150, 250, 350, 450, 550, 650, 750]
    >>> window_starts(1000, 200, 100, 0, 700, 3).tolist()
    [0, 200, 500]
    """
    end = samples if stop is None else min(stop, samples)
    starts = np.arange(start, max(start, end - window + 1), stride, dtype=np.int64)
    if most is not None and len(starts) > most:
        starts = starts[np.linspace(0, len(starts) - 1, most).astype(np.int64)]
    return starts


def cut(
    source: Source,
    columns: Sequence[Column],
    ratios: Sequence[Fraction],
    starts: np.ndarray,
    window: int,
) -> np.ndarray:
    """Read the windows of a recording.

    Parameters
    ----------
    source : Source
    columns : sequence of Column
        The channels, in their order.
    ratios : sequence of Fraction
        Of each of `source.parts`.
    starts : int64 (N,), rising
    window : int
        Samples.

    Returns
    -------
    float32 (N, channels, window)
        NaN in gaps.
    """
    x = np.empty((len(starts), len(columns), window), np.float32)
    for first, last in _blocks(starts, window):
        begin, end = int(starts[first]), int(starts[last - 1]) + window
        for number in {column.part for column in columns}:
            mine = [place for place, column in enumerate(columns) if column.part == number]
            own = [columns[place].column for place in mine]
            samples = read_span(source.parts[number], own, ratios[number], begin, end)
            for row in range(first, last):
                at = int(starts[row]) - begin
                x[row, mine] = samples[at : at + window].T
    return x


def read_span(
    signals: Signals, columns: Sequence[int], ratio: Fraction, first: int, last: int
) -> np.ndarray:
    """Read samples first ... last - 1 at the rate of the windows: float64 (samples, channels).

    Beyond its ends a recording goes on with its first and its last sample.
    """
    if ratio == 1:
        return signals.read(first, last)[:, list(columns)]
    need("scipy")
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    margin = TAPS * max(up, down) // up + 1
    begin = int(first / ratio) - margin
    begin -= begin % down  # so that a sample of the windows' rate lies there
    end = int((last - 1) / ratio) + margin + 2
    inside = signals.read(max(begin, 0), min(end, signals.samples))[:, list(columns)]
    beyond = (max(-begin, 0), max(end - signals.samples, 0))
    x = np.pad(inside, (beyond, (0, 0)), mode="edge")
    offset = first - begin * up // down
    return np.asarray(resample_poly(x, up, down, axis=0)[offset : offset + last - first])


def _blocks(starts: np.ndarray, window: int) -> Iterator[tuple[int, int]]:
    """Numbers of windows that are read together, first and last + 1."""
    first = 0
    while first < len(starts):
        within = starts[first] + max(BLOCK, window) - window
        last = int(np.searchsorted(starts, within, "right"))
        yield first, last
        first = last
