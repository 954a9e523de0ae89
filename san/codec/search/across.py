"""Which scales, angles and coefficients code a signal across its channels within an error.

The coefficients are chosen before they are coded: a coefficient of ±1 becomes 0 where few of its
neighbours are large, because it then costs many bits. So the error of each channel is known without
coding. Each scale is moved by what its channel's error is above or below the allowed one, to a
power, and the angles follow; then all scales are moved together, until every channel is within.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from san.codec.modes import components, wavelet
from san.codec.modes.across import MATRIX_BITS, MOST_CHANNELS, matrix_of, rotation_angles
from san.codec.modes.components import Layout, Plan
from san.codec.modes.transform import levels, step_code
from san.codec.search.steps import HIGHEST_CODE, SLOPE, step_of
from san.codec.search.trials import Encoded, Signal, size_of

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
# Scales are moved by the error's ratio to this power: with 1 two channels that share a component
# would both move for it, and the scales would swing.
POWER = 0.6
# A scale is at most so many times the usual one, or that part of it: channels that others determine
# have an error below the allowed one at any scale, and could drift away.
FARTHEST = 1.5
LOWEST = 6.0
LEAST = 0.25  # samples: the smallest scale
CLOSE = 0.004  # an error whose root is this near to the allowed one is near enough
BALANCING = 24  # moves of the scales before their level is found, at most
BALANCING_AGAIN = 8  # after it was found, with the errors that were measured
ROUNDS = 2  # of both; each further one costs their time and saves about 0.3 % of the bytes
LEVELS_TRIED = 9  # moves of all scales together, at most
FIRST_SCALE = 3.0  # times the error that is allowed: where the search begins
# Scales that are tried under a bound, as multiples of the range of errors it allows.
BOUND_SCALES = (1.1, 0.8, 1.5)
FIRST_ERROR = 0.01  # the share of the energy where the search for a size begins
LARGEST_NORM = float(1 << 38)  # of all samples, so that no coefficient is too large to be coded

Progress = Callable[[float], None]


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


def quantize(own: np.ndarray, bands: Bands) -> np.ndarray:
    """Coefficients (n, components) in steps as whole numbers, float64 of the same shape."""
    size = np.abs(own)
    q = np.floor(size + (0.5 - ROUNDED_DOWN))
    q[: bands.first] = np.floor(size[: bands.first] + 0.5)
    i, k = np.nonzero((size >= 0.5) & (size < 1.5))
    i, k = i[i >= bands.first], k[i >= bands.first]
    near = _near(np.minimum(size, 4.0), bands.parents, i, k)
    bits = np.maximum(0, BITS_ALONE - BITS_AN_OCTAVE * np.log2(near + QUIET))
    q[i, k] = size[i, k] >= 0.5 + WORTH / 2 * bits
    return np.copysign(q, own)


def _near(size: np.ndarray, parents: np.ndarray, i: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The mean magnitude around coefficients i of components k."""
    last = len(size) - 1
    beside = 2 * size[np.maximum(i - 1, 0), k] + 2 * size[np.minimum(i + 1, last), k]
    beside += size[np.maximum(i - 2, 0), k] + size[np.minimum(i + 2, last), k]
    beside = (beside / 6 + size[parents[i], k] / 2) / 1.5
    before = np.cumsum(size, axis=1)[i, np.maximum(k - 1, 0)] / np.maximum(k, 1)
    return np.where(k > 0, (beside + before / 2) / 1.5, beside)


def worth_it(own: np.ndarray, q: np.ndarray, angle_bits: int) -> int:
    """How many of the first components are coded: the others cost more than they are worth."""
    channels, count = q.shape[1], min(q.shape)
    while count > 0:
        some = q[:, count - 1] != 0
        value, size = np.abs(own[some, count - 1]), np.abs(q[some, count - 1])
        saved = float((size * (2 * value - size)).sum())
        if saved > WORTH * (BITS_OF_A_VALUE * some.sum() + angle_bits * (channels - count)):
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


class Found(NamedTuple):
    """How a signal is coded: the same scales and angles in all chunks."""

    codes: tuple[int, ...]
    angles: np.ndarray


class Across:
    """A signal whose channels are coded together. Trials read it and never change it."""

    def __init__(self, chunks: tuple[np.ndarray, ...]) -> None:
        self.chunks = [bands_of(x) for x in chunks]
        self.means = [x.mean(0) for x in chunks]
        self.samples = sum(map(len, chunks))
        fast = [bands.values[bands.slow :] for bands in self.chunks]
        self.covariance = np.sum([values.T @ values for values in fast], axis=0)

    def balance(
        self, scales: np.ndarray, allowed: np.ndarray, usual: np.ndarray, moves: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scales whose estimated errors are near the allowed ones, and those errors."""
        live = allowed > 0
        for move in range(moves + 1):
            error = self.estimate(scales, self.angles(scales))
            ratio = np.sqrt(error / np.where(live, allowed, 1))
            if move == moves or np.abs(ratio[live] - 1).max(initial=0) < CLOSE:
                break
            moved = scales * np.clip(np.maximum(ratio, 0.02) ** -POWER, 0.5, 2)
            relative = moved / usual
            middle = np.exp(np.log(relative[live]).mean())
            moved = usual * np.clip(relative, middle / LOWEST, middle * FARTHEST)
            scales = np.where(live, np.clip(moved, LEAST, step_of(HIGHEST_CODE)), scales)
        return scales, error

    def angles(self, scales: np.ndarray) -> np.ndarray:
        """The angles that suit scales, in samples."""
        return rotation_angles(self.covariance / np.outer(scales, scales), ANGLE_BITS)

    def estimate(self, scales: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """The squared error of each channel, from the coefficients alone."""
        channels = len(scales)
        matrix = matrix_of(angles, ANGLE_BITS, channels, channels) / (1 << MATRIX_BITS)
        total = np.zeros((channels, channels))
        for bands, mean in zip(self.chunks, self.means, strict=True):
            own = ((bands.values - bands.one * mean) / scales) @ matrix
            q, centers = _chosen(own, bands)
            rest = own
            rest[:, : q.shape[1]] -= _restored(q, centers, bands.first)
            total += rest.T @ rest
        error = np.einsum("ck,kl,cl->c", matrix, total, matrix) * scales**2
        return np.maximum(error, 0)  # rounding makes some of nothing negative

    def close_in(self, scales: np.ndarray, allowed: np.ndarray) -> tuple[Found | None, np.ndarray]:
        """Move all scales together until every error is just within the allowed one.

        The largest scales found that fit (None where none did), and by how much the squared errors
        are above the estimated ones.
        """
        angles, live = self.angles(scales), allowed > 0
        codes, constant = np.array([step_code(scale) for scale in scales]), ~live
        fits: tuple[int, Found] | None = None
        offset, fails = 0, HIGHEST_CODE
        beyond = np.ones(len(scales))
        for attempt in range(LEVELS_TRIED):
            moved = np.where(live, np.clip(codes + offset, 0, HIGHEST_CODE), codes)
            found = Found(tuple(moved.tolist()), angles)
            error = self.error(found)
            if error[constant].any():
                break
            if attempt == 0:
                expected = self.estimate(scales_of(found.codes), angles)
                beyond = np.where(live, np.clip(error / np.maximum(expected, 1e-30), 0.2, 5), 1)
            largest = float(np.sqrt((error[live] / allowed[live]).max(initial=0)))
            if largest <= 1:
                fits = (offset, found)
            elif moved[live].max(initial=0) == 0:
                break
            else:
                fails = min(fails, offset)
            if fits and (largest > 1 - CLOSE or fails - fits[0] <= 1):
                break
            offset += int(np.floor(128 / SLOPE * np.log2((1 - CLOSE / 2) / max(largest, 0.01))))
            offset = min(max(offset, fits[0] + 1 if fits else -HIGHEST_CODE), fails - 1)
        return fits[1] if fits else None, beyond

    def encode(self, found: Found, bounds: tuple[int, ...] | None = None) -> Encoded:
        """Encode all chunks, and decode them."""
        payloads, errors, sections = [], [], dict[str, int]()
        largest = np.zeros(len(found.codes), np.int64)
        for i, bands in enumerate(self.chunks):
            plan = self.plan(found, i)._replace(bounds=bounds)
            payload, y, sizes = components.encode(bands.x, plan, None)
            payloads.append(payload)
            errors.append(((bands.x - y).astype(np.float64) ** 2).sum(0))
            largest = np.maximum(largest, np.abs(bands.x - y).max(0))
            for name, size in sizes.items():
                sections[name] = sections.get(name, 0) + size
        return Encoded(payloads, None, 0, errors, largest, sections, across=True)

    def plan(self, found: Found, chunk: int) -> Plan:
        """The plan of a chunk without events."""
        bands = self.chunks[chunk]
        scales = scales_of(found.codes)
        offsets = tuple(int(v) for v in np.rint(self.means[chunk] / scales))
        layout = Layout(found.codes, ANGLE_BITS, found.angles, offsets)
        own = components.components_of(bands.values, bands.one, layout)
        q, centers = _chosen(own, bands)
        return Plan(layout, q.astype(np.int64), centers)

    def error(self, found: Found) -> np.ndarray:
        """The squared error of each channel, of what the chunks decode to."""
        total = np.zeros(len(found.codes))
        for i, bands in enumerate(self.chunks):
            y = components.reconstruct(self.plan(found, i))
            total += ((bands.x - y).astype(np.float64) ** 2).sum(0)
        return total


def scales_of(codes: tuple[int, ...]) -> np.ndarray:
    """Scales of their codes, in samples."""
    return np.array([step_of(code) for code in codes])


def fits_across(x: np.ndarray) -> bool:
    """Whether a signal, int64 (n, channels), may be coded across its channels."""
    n, channels = x.shape
    small = int(np.abs(x).max(initial=0)) * math.sqrt(channels * n) < LARGEST_NORM
    return 2 <= channels <= MOST_CHANNELS and n >= 8 and small and bool((x != x[0]).any())


def meet_error_across(
    signal: Signal, allowed: np.ndarray, progress: Progress,
    bounds: tuple[int, ...] | None = None,
) -> Encoded | None:  # fmt: skip
    """Encode so that the squared error of each channel is at most what is allowed, if possible.

    With bounds, corrections keep every sample within them too; they make no error larger.
    """
    across = Across(signal.chunks)
    live = allowed > 0
    usual = _usual(allowed, across.samples)
    scales, goal, moves = np.where(live, usual * FIRST_SCALE, LEAST), allowed, BALANCING
    tried: list[Encoded] = []
    for attempt in range(ROUNDS):
        scales, _ = across.balance(scales, goal, usual, moves)
        found, beyond = across.close_in(scales, allowed)
        if found is None:
            break
        progress(0.5 * (attempt + 1) / ROUNDS)
        tried.append(across.encode(found, bounds))
        scales, goal, moves = scales_of(found.codes), allowed / beyond, BALANCING_AGAIN
    return min(tried, key=size_of, default=None)


def meet_bounds_across(signal: Signal, bounds: tuple[int, ...], progress: Progress) -> Encoded:
    """Encode with corrections, so that no sample is off by more than its channel's bound."""
    across = Across(signal.chunks)
    tried = []
    for i, relative in enumerate(BOUND_SCALES):
        scales = np.array([max(LEAST, (2 * bound + 1) * relative) for bound in bounds])
        codes = tuple(step_code(scale) for scale in scales)
        tried.append(across.encode(Found(codes, across.angles(scales_of(codes))), bounds))
        progress((i + 1) / len(BOUND_SCALES))
    return min(tried, key=size_of)


def meet_size_across(signal: Signal, room: float, progress: Progress) -> Encoded:
    """Encode in at most so many bytes, or with the largest scales where they do not suffice."""
    across = Across(signal.chunks)
    energy = ((signal.x - signal.x.mean(0)).astype(np.float64) ** 2).sum(0)
    allowed = FIRST_ERROR * energy
    usual = _usual(allowed, across.samples)
    scales, _ = across.balance(usual * FIRST_SCALE, allowed, usual, BALANCING)
    codes, angles = np.array([step_code(scale) for scale in scales]), across.angles(scales)
    low, high = -int(codes.max()), HIGHEST_CODE - int(codes.max())
    best: Encoded | None = None
    offset = 0
    while True:
        moved = tuple(np.maximum(codes + offset, 0).tolist())
        encoded = across.encode(Found(moved, angles))
        progress(0.5)
        if encoded.size <= room:
            best, high = encoded, offset
        else:
            low = offset + 1
        if low >= high:
            return best or encoded
        offset = (low + high) // 2


def _usual(allowed: np.ndarray, samples: int) -> np.ndarray:
    """The root of the mean squared error that is allowed, as far as scales go."""
    return np.clip(np.sqrt(allowed / samples), LEAST, step_of(HIGHEST_CODE))


def _chosen(own: np.ndarray, bands: Bands) -> tuple[np.ndarray, tuple[int, int]]:
    """The quantized coefficients of the components that are worth coding, and their centers."""
    q = quantize(own, bands)
    q = q[:, : worth_it(own, q, ANGLE_BITS)]
    return q, centers_of(own[:, : q.shape[1]], q, bands.first)


def _restored(q: np.ndarray, centers: tuple[int, int], first: int) -> np.ndarray:
    """What quantized coefficients stand for, in steps."""
    ones, more = ((center - 32) / 64 for center in centers)
    value = q + np.sign(q) * np.where(np.abs(q) == 1, ones, more)
    value[:first] = q[:first]
    return value
