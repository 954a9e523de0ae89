"""The CDF 9/7 wavelet in integers: lifting in fixed point, the same on every machine.

A band is halved into its even places, smoothed (approximation), and its odd places, predicted
from them (detail). Both ends are mirrored, so that any length works.
"""

import numpy as np

FRACTION = 8  # bits after the point of a sample and of a coefficient
STEPS = (-103949, -3472, 57862, 29066)  # α, β, γ, δ of the lifting, in 1/65536
# K in 1/65536 and what undoes it: within 0.2 % of 1.1496, for a product of 2**32 - 136.
GAIN, INVERSE_GAIN = 75435, 56936


def _lift(target: np.ndarray, source: np.ndarray, step: int, odd: bool, sign: int) -> None:
    """Add sign · step · (both neighbours in source) to each place of target."""
    n = len(target)
    if odd:  # target: odd places, between source[i] and source[i + 1]
        left, right = source[:n], source[1 : n + 1]
        if len(right) < n:
            right = np.concatenate([right, source[-1:]])
    else:  # target: even places, between source[i - 1] and source[i]
        right = source[:n]
        left = np.concatenate([source[:1], source])[:n]
        if len(right) < n:
            right = np.concatenate([right, source[-1:]])
    target += sign * ((step * (left + right) + 32768) >> 16)


def _scale(x: np.ndarray, factor: int) -> np.ndarray:
    return (x * factor + 32768) >> 16


def analyze(x: np.ndarray, levels: int) -> list[np.ndarray]:
    """The bands of x, coarsest first: approximation, details of the last level ... of the first.

    x holds int64 with `FRACTION` bits after the point, as the bands do; a level needs two places
    or more. Of an array of more axes, the first one is transformed.
    """
    bands = []
    for _ in range(levels):
        even, odd = x[0::2].copy(), x[1::2].copy()
        for i, step in enumerate(STEPS):
            if i % 2 == 0:
                _lift(odd, even, step, True, 1)
            else:
                _lift(even, odd, step, False, 1)
        bands.append(_scale(odd, INVERSE_GAIN))
        x = _scale(even, GAIN)
    return [x, *bands[::-1]]


def synthesize(bands: list[np.ndarray]) -> np.ndarray:
    """The inverse of `analyze`, to its rounding."""
    x = bands[0]
    for band in bands[1:]:
        even, odd = _scale(x, INVERSE_GAIN), _scale(band, GAIN)
        for i, step in reversed(list(enumerate(STEPS))):
            if i % 2 == 0:
                _lift(odd, even, step, True, -1)
            else:
                _lift(even, odd, step, False, -1)
        x = np.empty((len(even) + len(odd), *even.shape[1:]), np.int64)
        x[0::2], x[1::2] = even, odd
    return x


def band_sizes(n: int, levels: int) -> list[int]:
    """Lengths of the bands of n samples, in the order of `analyze`."""
    details = []
    for _ in range(levels):
        details.append(n // 2)
        n -= n // 2
    return [n, *details[::-1]]
