"""Which real number an integer stands for, and the coarsest grid that every sample lies on.

Floats from a converter lie on a grid: they are counts divided by a gain, decimals, or multiples of
a power of two. Once the grid is found, the counts restore the signal to the last bit.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

POWER, GAIN, STEP, BITS = range(4)
LARGEST = 2**31 - 1  # the largest magnitude of an integer
EXPONENTS = {"float32": (-149, 127), "float64": (-1074, 1023)}
ROUNDS = 4  # searches, each with the samples that the grid before it missed
FEW = 64  # with fewer distinct values, usual gains are tried first
DENOMINATORS = 64  # the offset of a grid is a fraction of its step with at most this denominator
SMALLEST = 5e-324  # the smallest float64 above 0: what divides a step is never 0

_COMMON = sorted(digit * 10.0**power for digit in (1, 2, 4, 5) for power in range(10))


@dataclass(frozen=True)
class Scale:
    """How one channel's integers k become floats y, in float64 and then cast to the dtype.

    POWER: y = k · 2**exponent; GAIN: y = (k - baseline) / factor; STEP: y = (k - baseline) ·
    factor; BITS: the columns hold the bit pattern. Values beyond the dtype's largest number become
    that number.
    """

    kind: int
    factor: float = 1.0
    baseline: float = 0.0
    exponent: int = 0

    @property
    def step(self) -> float:
        """The distance between neighbouring values."""
        if self.kind == POWER:
            return math.ldexp(1.0, self.exponent)
        return 1 / self.factor if self.kind == GAIN else self.factor

    def values(self, k: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """The floats of int64 k (any shape)."""
        with np.errstate(over="ignore", under="ignore"):
            if self.kind == POWER:
                y = k * math.ldexp(1.0, self.exponent)
            elif self.kind == GAIN:
                y = (k - self.baseline) / self.factor
            else:
                y = (k - self.baseline) * self.factor
            largest = float(np.finfo(dtype).max)
            np.clip(y, -largest, largest, out=y)
            return y.astype(dtype, copy=False)

    def integers(self, values: np.ndarray) -> np.ndarray | None:
        """The nearest int64 of float64 values, or None if one is beyond ±(2**31 - 1)."""
        with np.errstate(over="ignore", under="ignore"):
            if self.kind == POWER:
                k = np.ldexp(values, -self.exponent)
            elif self.kind == GAIN:
                k = values * self.factor + self.baseline
            else:
                k = values / self.factor + self.baseline
            np.rint(k, out=k)
        if k.size and not max(k.max(), -k.min()) <= LARGEST:
            return None
        return k.astype(np.int64)

    def is_exact(self, values: np.ndarray, dtype: np.dtype) -> bool:
        """Whether every float64 value is restored exactly."""
        k = self.integers(values)
        return k is not None and bool((self.values(k, dtype) == values).all())


def find_grid(values: np.ndarray, dtype: np.dtype) -> Scale | None:
    """The coarsest grid found on which all values lie exactly.

    Parameters
    ----------
    values : float64 (n,)
        Finite numbers of the dtype; a negative zero counts as zero.
    dtype : float32 or float64

    Returns
    -------
    Scale or None
        None where no grid is found whose integers are below 2**31.

    Examples
    --------
    >>> find_grid(np.array([0.125, -0.37, 2.0]), np.dtype("float64"))
    Scale(kind=1, factor=200.0, baseline=0.0, exponent=0)
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a grid that overflows does not fit
        return _find_grid(values, dtype)


def _find_grid(values: np.ndarray, dtype: np.dtype) -> Scale | None:
    if not values.size:
        return Scale(POWER)
    if values.min() == values.max() and not Scale(POWER).is_exact(values[:1], dtype):
        return Scale(GAIN, 1.0, -float(values[0]))
    some = np.unique(_excerpt(values))
    power = _power_grid(some)
    if power is not None:
        power = _power_grid(values)
    for _ in range(ROUNDS):
        found = _propose(some, dtype, power)
        if found is None:
            return power
        k = found.integers(values)
        wrong = values[:1] if k is None else values[found.values(k, dtype) != values]
        if not wrong.size:
            return found
        some = np.unique(np.concatenate([some, wrong[:1000], wrong[-1000:]]))
    return power


def _excerpt(values: np.ndarray) -> np.ndarray:
    """About 5000 values: the first ones, some evenly spread, and both extremes."""
    spread = np.linspace(0, values.size - 1, min(values.size, 4096)).astype(np.int64)
    extremes = [int(values.argmin()), int(values.argmax())]
    return np.concatenate([values[:1024], values[spread], values[extremes]])


def _power_grid(values: np.ndarray) -> Scale | None:
    """The largest power of two of which all values are multiples, if they are below 2**31."""
    values = values[values != 0]
    if not values.size:
        return Scale(POWER)
    fraction, exponent = np.frexp(values)
    digits = np.ldexp(fraction, 53).astype(np.int64)
    lowest = np.frexp((digits & -digits).astype(np.float64))[1] - 1
    step = int((exponent - 53 + lowest).min())
    scale = Scale(POWER, exponent=step)
    return scale if step <= 1023 and scale.integers(values) is not None else None


def _propose(some: np.ndarray, dtype: np.dtype, power: Scale | None) -> Scale | None:
    """The coarsest scale that is exact on sorted, distinct values; `power` is one that is."""
    noise = float(np.finfo(dtype).eps) * float(np.abs(some).max())
    found = _common_step(some, noise) if some.size > 1 else None
    if power is not None and found is not None and found[0] < 1.5 * power.step:
        return power
    of_step = [] if found is None else [_scales_of_step(some, dtype, *found, noise)]
    common = [_common_scales(some, dtype)]
    # A few values may have a common step by chance, so usual gains are tried first.
    ways = common + of_step if some.size < FEW else of_step + common
    for scale in itertools.chain(*ways):
        if scale.is_exact(some, dtype) and (power is None or scale.step > power.step):
            return scale
    return power


def _common_scales(some: np.ndarray, dtype: np.dtype) -> Iterator[Scale]:
    """Usual gains, the coarsest first."""
    few = some[:: some.size // 32 + 1]
    for gain in _COMMON:
        if _agrees(few, gain, dtype):
            yield _centred(Scale(GAIN, gain), some)


def _agrees(few: np.ndarray, gain: float, dtype: np.dtype) -> bool:
    """Whether a few values are whole numbers divided by the gain, however large."""
    return bool(((np.rint(few * gain) / gain).astype(dtype) == few).all())


def _centred(scale: Scale, some: np.ndarray) -> Scale:
    """The scale, with a whole baseline in the middle if its integers are too large otherwise."""
    if scale.integers(some) is not None:
        return scale
    middle = float(np.rint((some[0] / 2 + some[-1] / 2) / scale.step))
    return Scale(scale.kind, scale.factor, -middle) if abs(middle) < 2**53 else scale


def _common_step(some: np.ndarray, noise: float) -> tuple[float, float] | None:
    """The common divisor of sorted values' differences, and its relative uncertainty.

    Euclid's algorithm finds it from the smallest differences; rests below the rounding of the
    values count as zero. Longer and longer spans then make it more precise.
    """
    if math.isinf(float(some[-1]) - float(some[0])):
        return None
    small = np.sort(np.diff(some))[:256]
    step, error = float(small[0]), noise
    while True:
        if not 0 < 64 * error < step:
            return None
        quotients = np.rint(small / step)
        left = np.abs(small - quotients * step)
        real = np.flatnonzero(left > 2 * (noise + quotients * error))
        if not real.size:
            break
        first = real[0]  # of the smallest difference, where the least doubt is added
        step, error = float(left[first]), noise + float(quotients[first]) * error
    reach = 0.0
    while True:
        further = min(0.2 * step / error, 2.0**60) * step
        if further <= reach * 1.5:
            return step, error / step
        reach = further
        ends = np.searchsorted(some, some + reach, "right") - 1
        span = float((some[ends] - some).max())
        steps = round(span / step)
        if steps < 1:
            return step, error / step
        step, error = span / steps, max(noise / steps, step * 2.0**-53, SMALLEST)


def _scales_of_step(
    some: np.ndarray, dtype: np.dtype, step: float, doubt: float, noise: float
) -> Iterator[Scale]:
    """Scales whose step is about the given one, with an offset computed from the values."""
    nearest = float(some[np.abs(some).argmin()]) / step
    fraction = nearest - round(nearest)
    tolerance = abs(nearest) * doubt + noise / step + 1e-9
    if tolerance * DENOMINATORS > 0.25:
        return
    for denominator in range(1, DENOMINATORS + 1):
        numerator = round(fraction * denominator)
        if abs(fraction - numerator / denominator) <= tolerance:
            break
    else:
        return
    for kind, factor in _factors(some, dtype, step / denominator):
        if denominator > 1:  # without the offset, only one of `denominator` integers would occur
            coarse = factor / denominator if kind == GAIN else factor * denominator
            yield Scale(kind, coarse, -numerator / denominator)
    for kind, factor in _factors(some, dtype, step / denominator):
        yield _centred(Scale(kind, factor), some)


def _factors(some: np.ndarray, dtype: np.dtype, step: float) -> Iterator[tuple[int, float]]:
    """Gains and steps whose multiples round to the values; those of fewest digits first."""
    some = some[some != 0]
    whole = np.abs(np.rint(some / step))
    if not some.size or whole.min() < 1 or whole.max() > 2**53:
        return
    half = np.spacing(np.abs(some).astype(dtype)).astype(np.float64) / 2
    low = float(((np.abs(some) - half) / whole).max()) * (1 - 2.0**-51)
    high = float(((np.abs(some) + half) / whole).min()) * (1 + 2.0**-51)
    if not 0 < low <= high or not 1e-300 < low < 1e300:
        return
    for digits in range(1, 18):
        for kind, a, b in ((GAIN, 1 / high, 1 / low), (STEP, low, high)):
            plain = float(f"{(a + b) / 2:.{digits - 1}e}")
            if a <= plain <= b:
                yield kind, plain
    for kind, a, b in ((GAIN, 1 / high, 1 / low), (STEP, low, high)):
        for _ in range(32):
            if a > b:
                break
            yield kind, a
            a = math.nextafter(a, math.inf)
