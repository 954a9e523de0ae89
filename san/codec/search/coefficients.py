"""Which coefficients of components are coded, before they are coded.

A coefficient of ±1 becomes 0 where few of its neighbours are large, because it then costs many
bits. Components that have almost nothing are left out. So the error is known without coding.
"""

from typing import NamedTuple

import numpy as np

from san.codec.modes import components, wavelet
from san.codec.modes.transform import levels

# Bits of an angle. Fewer leave more of a channel to later components, more cost bytes.
ANGLE_BITS = 8
# What a bit is worth in squared steps. A larger number makes more zeros at smaller steps; from 0.06
# to 0.1 the bytes at the same error are the same within 0.1 %.
WORTH = 0.08
# The bits by which ±1 is dearer than 0: BITS_ALONE less BITS_AN_OCTAVE for each doubling of what is
# near (its mean magnitude and QUIET), at least 0.
BITS_ALONE, BITS_AN_OCTAVE, QUIET = 2.0, 2.2, 0.05
# A magnitude above 1 is rounded down up to this share above one half.
ROUNDED_DOWN = 0.04
BITS_OF_A_VALUE = 7.0  # of a coefficient in a component that has few, on average


class Bands(NamedTuple):
    """A chunk before it is coded: its channels' coefficients, and what is where in them."""

    x: np.ndarray  # int64 (n, channels)
    values: np.ndarray  # float64 (n, channels): all bands, coarsest first, in samples
    one: np.ndarray  # float64 (n, 1): those of a constant 1
    parents: np.ndarray  # int64 (n,): the place of each coefficient's parent
    first: int  # coefficients of the approximation
    slow: int  # coefficients of the two coarsest bands


def bands_of(x: np.ndarray) -> Bands:
    """The bands of a chunk, int64 (n, channels)."""
    n = len(x)
    sizes = wavelet.band_sizes(n, levels(n))
    starts = np.cumsum([0, *sizes]).tolist()
    parents = np.arange(n)
    for j in range(2, len(sizes)):
        halves = np.minimum(np.arange(sizes[j]) >> 1, sizes[j - 1] - 1)
        parents[starts[j] : starts[j + 1]] = starts[j - 1] + halves
    one = components.channels_bands(np.full((n, 1), 1 << 20, np.int64)) / (1 << 20)
    return Bands(x, components.channels_bands(x), one, parents, sizes[0], sum(sizes[:2]))


def quantize(own: np.ndarray, bands: Bands, worth: float) -> np.ndarray:
    """Coefficients (n, components) in steps as whole numbers, float64 of the same shape.

    worth: what a bit is worth in squared steps.
    """
    size = np.abs(own)
    q = np.floor(size + (0.5 - ROUNDED_DOWN))
    q[: bands.first] = np.floor(size[: bands.first] + 0.5)
    i, k = np.nonzero((size >= 0.5) & (size < 1.5))
    i, k = i[i >= bands.first], k[i >= bands.first]
    near = _near(np.minimum(size, 4.0), bands.parents, i, k)
    bits = np.maximum(0, BITS_ALONE - BITS_AN_OCTAVE * np.log2(near + QUIET))
    q[i, k] = size[i, k] >= 0.5 + worth / 2 * bits
    return np.copysign(q, own)


def _near(size: np.ndarray, parents: np.ndarray, i: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The mean magnitude around coefficients i of components k."""
    last = len(size) - 1
    beside = 2 * size[np.maximum(i - 1, 0), k] + 2 * size[np.minimum(i + 1, last), k]
    beside += size[np.maximum(i - 2, 0), k] + size[np.minimum(i + 2, last), k]
    beside = (beside / 6 + size[parents[i], k] / 2) / 1.5
    before = np.cumsum(size, axis=1)[i, np.maximum(k - 1, 0)] / np.maximum(k, 1)
    return np.where(k > 0, (beside + before / 2) / 1.5, beside)


def worth_it(own: np.ndarray, q: np.ndarray, angle_bits: int, worth: float) -> int:
    """How many of the first components are coded: the others cost more than they are worth."""
    channels, count = q.shape[1], min(q.shape)
    while count > 0:
        some = q[:, count - 1] != 0
        value, size = np.abs(own[some, count - 1]), np.abs(q[some, count - 1])
        saved = float((size * (2 * value - size)).sum())
        if saved > worth * (BITS_OF_A_VALUE * some.sum() + angle_bits * (channels - count)):
            break
        count -= 1
    return count


def centers_of(own: np.ndarray, q: np.ndarray, first: int) -> tuple[int, int]:
    """Where coefficients of ±1 and of more lie in their steps: 1/64 of a step, from -1/2 on."""
    size = np.abs(q[first:])
    beyond = np.abs(own[first:]) - size
    ones, more = size == 1, size > 1
    means = [float(beyond[of].mean()) if of.any() else 0.0 for of in (ones, more)]
    low, high = (max(0, min(63, 32 + round(64 * mean))) for mean in means)
    return low, high


def chosen(
    own: np.ndarray, bands: Bands, worth: float = WORTH, least: int = 0
) -> tuple[np.ndarray, tuple[int, int]]:
    """The quantized coefficients of the components that are worth coding, and their centers.

    The first so many components are coded in any case.
    """
    q = quantize(own, bands, worth)
    q = q[:, : max(least, worth_it(own, q, ANGLE_BITS, worth))]
    return q, centers_of(own[:, : q.shape[1]], q, bands.first)


def restored(q: np.ndarray, centers: tuple[int, int], first: int) -> np.ndarray:
    """What quantized coefficients stand for, in steps."""
    ones, more = ((center - 32) / 64 for center in centers)
    value = q + np.sign(q) * np.where(np.abs(q) == 1, ones, more)
    value[:first] = q[:first]
    return value
