"""Which scales, angles and coefficients code a signal across its channels within an error.

The error of each channel is known without coding (see `coefficients`). Each scale is moved by what
its channel's error is above or below the allowed one, to a power, and the angles follow. Then all
scales are moved together, until every channel is within. Events are looked for in the components.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from san.codec.modes import components, wavelet
from san.codec.modes.across import MATRIX_BITS, MOST_CHANNELS, matrix_of, rotation_angles
from san.codec.modes.components import Layout, Plan
from san.codec.modes.dictionary import Dictionary, precision_of
from san.codec.modes.dictionary import quantize as quantize_kernels
from san.codec.modes.events import QuantizedEvents
from san.codec.modes.transform import levels, step_code
from san.codec.search.coefficients import ANGLE_BITS, WORTH, bands_of, chosen, restored
from san.codec.search.excerpts import find_events
from san.codec.search.learning import as_floats, kernel_length
from san.codec.search.steps import HIGHEST_CODE, SLOPE, step_of
from san.codec.search.trials import Encoded, Signal

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
ROUNDS = 3  # of both; with 2, a fifth of the time is saved, and there are 0.7 % more bytes
# Then a bit is worth less, and so many rounds follow. One in six of the 12-lead records that were
# tried takes 2 to 5 % fewer bytes so, the others hardly any: no value is the best for all.
WORTH_LESS, ROUNDS_WORTH_LESS = 0.05, 2
LEVELS_TRIED = 9  # moves of all scales together, at most
FIRST_SCALE = 3.0  # times the error that is allowed: where the search begins
# Scales that are tried under a bound, as multiples of the range of errors it allows: two, and a
# third beyond the better one.
BOUND_SCALES, FINER_SCALE, COARSER_SCALE = (1.1, 1.5), 0.8, 2.0
FIRST_ERROR = 0.01  # the share of the energy where the search for a size begins
# Events are looked for in so many components. With 6, kernels of ten seconds of 12 leads cost more
# than they save where 3 pay, and learning takes twice as long; records of 15 s and more gain 5 %.
MOST_COMPONENTS = 3
IN_A_STEP = 16  # parts of a step that samples of components are given in
# Under a bound, events are looked for where the signal is so many kernels long, or where a value
# takes fewer bits than this without them. Else the kernels cost more than they save: at more bits,
# none of the 12-lead records that were tried had any, and the search took most of the time.
LONG_FOR_EVENTS, FEW_BITS_FOR_EVENTS = 32, 0.3
# As in `trials`: events are searched as for steps so many times finer, in turn.
FINER = (1.0, 2.5)
LARGEST_NORM = float(1 << 38)  # of all samples, so that no coefficient is too large to be coded

Progress = Callable[[float], None]


class Drawing(NamedTuple):
    """Kernels of components, and the events of each chunk, in the steps of some scales."""

    dictionary: Dictionary
    events: list[QuantizedEvents]
    bin_bits: int
    scale: float  # of the first channel that is not constant; all such scales move together

    def of(self, chunk: int, scale: float) -> QuantizedEvents:
        """The events of a chunk, where that scale is another one."""
        events = self.events[chunk]
        moved = np.rint(events.amplitudes * (self.scale / scale)).astype(np.int64)
        kept = moved.any(1)
        return QuantizedEvents(events.starts[kept], events.kernels[kept], moved[kept])


class Found(NamedTuple):
    """How a signal is coded: the same scales, angles and kernels in all chunks."""

    codes: tuple[int, ...]
    angles: np.ndarray
    drawing: Drawing | None = None
    worth: float = WORTH  # of a bit, as in `coefficients`


class Across:
    """A signal whose channels are coded together. Trials read it and never change it."""

    def __init__(self, chunks: tuple[np.ndarray, ...], uses: float = 1.0) -> None:
        self.uses = uses  # as in `Signal`
        self.chunks = [bands_of(x) for x in chunks]
        self.means = [x.mean(0) for x in chunks]
        self.samples = sum(map(len, chunks))
        lowest, highest = (
            np.min([x.min(0) for x in chunks], 0),
            np.max([x.max(0) for x in chunks], 0),
        )
        self.changing = int(np.argmax(highest > lowest))  # the first channel that is not constant
        fast = [bands.values[bands.slow :] for bands in self.chunks]
        self.covariance = np.sum([values.T @ values for values in fast], axis=0)

    def balance(
        self, scales: np.ndarray, allowed: np.ndarray, usual: np.ndarray, moves: int,
        worth: float = WORTH,
    ) -> np.ndarray:  # fmt: skip
        """Move scales until the estimated errors are near the allowed ones; the best ones seen.

        These are the largest that would remain if all were moved together until all errors fit.
        """
        live = allowed > 0
        best, largest = scales, -math.inf
        for move in range(moves + 1):
            error = self.estimate(scales, self.angles(scales), worth)
            ratio = np.sqrt(error / np.where(live, allowed, 1))
            above = math.log(max(float(ratio[live].max()), 1e-3)) / SLOPE
            size = float(np.log(scales[live]).mean()) - above
            if size > largest:
                best, largest = scales, size
            if move == moves or np.abs(ratio[live] - 1).max() < CLOSE:
                break
            moved = scales * np.clip(np.maximum(ratio, 0.02) ** -POWER, 0.5, 2)
            relative = moved / usual
            middle = np.exp(np.log(relative[live]).mean())
            moved = usual * np.clip(relative, middle / LOWEST, middle * FARTHEST)
            scales = np.where(live, np.clip(moved, LEAST, step_of(HIGHEST_CODE)), scales)
        return best

    def angles(self, scales: np.ndarray) -> np.ndarray:
        """The angles that suit scales, in samples."""
        return rotation_angles(self.covariance / np.outer(scales, scales), ANGLE_BITS)

    def estimate(self, scales: np.ndarray, angles: np.ndarray, worth: float) -> np.ndarray:
        """The squared error of each channel, from the coefficients alone."""
        channels = len(scales)
        matrix = matrix_of(angles, ANGLE_BITS, channels, channels) / (1 << MATRIX_BITS)
        total = np.zeros((channels, channels))
        for bands, mean in zip(self.chunks, self.means, strict=True):
            own = ((bands.values - bands.one * mean) / scales) @ matrix
            q, centers = chosen(own, bands, worth)
            rest = own
            rest[:, : q.shape[1]] -= restored(q, centers, bands.first)
            total += rest.T @ rest
        error = np.einsum("ck,kl,cl->c", matrix, total, matrix) * scales**2
        return np.maximum(error, 0)  # rounding makes some of nothing negative

    def close_in(self, first: Found, allowed: np.ndarray) -> tuple[Found | None, np.ndarray]:
        """Move all scales together until every error is just within the allowed one.

        The largest scales found that fit (None where none did), and by how much the squared errors
        are above the estimated ones.
        """
        live = allowed > 0
        codes, constant = np.array(first.codes), ~live
        fits: tuple[int, Found] | None = None
        offset, fails = 0, HIGHEST_CODE
        beyond = np.ones(len(codes))
        for attempt in range(LEVELS_TRIED):
            moved = np.where(live, np.clip(codes + offset, 0, HIGHEST_CODE), codes)
            found = first._replace(codes=tuple(moved.tolist()))
            error = self.error(found)
            if error[constant].any():
                break
            if attempt == 0:
                expected = self.estimate(scales_of(found.codes), found.angles, found.worth)
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
        dictionary = None if found.drawing is None else found.drawing.dictionary
        largest = np.zeros(len(found.codes), np.int64)
        for i, bands in enumerate(self.chunks):
            plan = self.plan(found, i)[0]._replace(bounds=bounds)
            payload, y, sizes = components.encode(bands.x, plan, dictionary)
            payloads.append(payload)
            errors.append(((bands.x - y).astype(np.float64) ** 2).sum(0))
            largest = np.maximum(largest, np.abs(bands.x - y).max(0))
            for name, size in sizes.items():
                sections[name] = sections.get(name, 0) + size
        overhead = 0 if dictionary is None else round(len(dictionary.data) / self.uses)
        return Encoded(
            payloads, dictionary, overhead, errors, largest, sections, found.codes, across=True
        )

    def plan(self, found: Found, chunk: int) -> tuple[Plan, np.ndarray | None]:
        """The plan of a chunk, and what its events draw."""
        bands, layout = self.chunks[chunk], self.layout(found, chunk)
        own = components.components_of(bands.values, bands.one, layout)
        if found.drawing is None:
            q, centers = chosen(own, bands, found.worth)
            return Plan(layout, q.astype(np.int64), centers), None
        events = found.drawing.of(chunk, layout.scales[self.changing])
        drawn = components.draw(events, found.drawing.dictionary, len(own))
        coefficients = np.concatenate(wavelet.analyze(drawn, levels(len(own))))
        own -= coefficients / components.UNIT
        drawn_on = np.flatnonzero(events.amplitudes.any(0)).max(initial=-1) + 1
        q, centers = chosen(own, bands, found.worth, drawn_on)
        count = q.shape[1]
        amplitudes = np.ascontiguousarray(events.amplitudes[:, :count])
        events = QuantizedEvents(events.starts, events.kernels, amplitudes)
        plan = Plan(layout, q.astype(np.int64), centers, found.drawing.bin_bits, events)
        return plan, np.ascontiguousarray(drawn[:, :count])

    def components(self, found: Found, chunk: int, count: int) -> np.ndarray:
        """The samples of the first components of a chunk: int64 (n, count), in 1/IN_A_STEP."""
        layout, channels = self.layout(found, chunk), len(found.codes)
        matrix = matrix_of(layout.angles, ANGLE_BITS, channels, count) / (1 << MATRIX_BITS)
        scaled = self.chunks[chunk].x / layout.scales - np.array(layout.offsets)
        return np.rint(scaled @ matrix * IN_A_STEP).astype(np.int64)

    def layout(self, found: Found, chunk: int) -> Layout:
        """The layout of a chunk."""
        offsets = np.rint(self.means[chunk] / scales_of(found.codes)).astype(np.int64)
        return Layout(found.codes, ANGLE_BITS, found.angles, tuple(offsets.tolist()))

    def error(self, found: Found) -> np.ndarray:
        """The squared error of each channel, of what the chunks decode to."""
        total = np.zeros(len(found.codes))
        for i, bands in enumerate(self.chunks):
            y = components.reconstruct(*self.plan(found, i))
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
    live = allowed > 0
    if not live.any():  # less than float64 holds: no transform reaches it
        return None
    across = Across(signal.chunks, signal.uses)
    usual = _usual(allowed, across.samples)
    scales, goal, moves = np.where(live, usual * FIRST_SCALE, LEAST), allowed, BALANCING
    tried: list[Trial] = []
    worths = (WORTH,) * ROUNDS + (WORTH_LESS,) * ROUNDS_WORTH_LESS
    for attempt, worth in enumerate(worths):
        if attempt == ROUNDS:
            scales = scales_of(smallest(tried).found.codes)
        scales = across.balance(scales, goal, usual, moves, worth)
        codes = tuple(step_code(scale) for scale in scales)
        first = Found(codes, across.angles(scales), worth=worth)
        found, beyond = across.close_in(first, allowed)
        if found is None:
            break
        progress(0.5 * (attempt + 1) / len(worths))
        tried.append(Trial(found, across.encode(found, bounds)))
        scales, goal, moves = scales_of(found.codes), allowed / beyond, BALANCING_AGAIN
    if not tried:
        return None
    best = smallest(tried)
    if signal.events_wanted and signal.given is None:
        for drawn in with_drawings(across, best.found, signal, bounds):
            found = across.close_in(drawn.found, allowed)[0]
            if found:
                tried.append(Trial(found, across.encode(found, bounds)))
            progress(0.8)
    return smallest(tried).encoded


def meet_bounds_across(signal: Signal, bounds: tuple[int, ...], progress: Progress) -> Encoded:
    """Encode with corrections, so that no sample is off by more than its channel's bound."""
    across = Across(signal.chunks, signal.uses)

    def at(relative: float) -> Trial:
        scales = np.array([max(LEAST, (2 * bound + 1) * relative) for bound in bounds])
        codes = tuple(step_code(scale) for scale in scales)
        found = Found(codes, across.angles(scales_of(codes)))
        return Trial(found, across.encode(found, bounds))

    tried = [at(relative) for relative in BOUND_SCALES]
    progress(0.4)
    tried.append(at(FINER_SCALE if smallest(tried) is tried[0] else COARSER_SCALE))
    progress(0.6)
    best = smallest(tried)
    if signal.events_wanted and signal.given is None and _events_may_pay(signal, best.encoded):
        tried += with_drawings(across, best.found, signal, bounds)
        progress(0.8)
    return smallest(tried).encoded


def _events_may_pay(signal: Signal, encoded: Encoded) -> bool:
    """Whether kernels may save more bytes than they cost, within bounds."""
    is_long = len(signal.x) >= LONG_FOR_EVENTS * kernel_length(signal.fs)
    return is_long or 8 * encoded.size < FEW_BITS_FOR_EVENTS * signal.x.size


def meet_size_across(signal: Signal, room: float, progress: Progress) -> Encoded:
    """Encode in at most so many bytes, or with the largest scales where they do not suffice."""
    across = Across(signal.chunks, signal.uses)
    energy = ((signal.x - signal.x.mean(0)).astype(np.float64) ** 2).sum(0)
    allowed = FIRST_ERROR * energy
    usual = _usual(allowed, across.samples)
    scales = across.balance(usual * FIRST_SCALE, allowed, usual, BALANCING)
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


class Trial(NamedTuple):
    """How a signal was encoded, and the result."""

    found: Found
    encoded: Encoded


def smallest(tried: list[Trial]) -> Trial:
    """The trial of the fewest bytes."""
    return min(tried, key=lambda trial: trial.encoded.size)


def with_drawings(
    across: Across, found: Found, signal: Signal, bounds: tuple[int, ...] | None
) -> list[Trial]:
    """What was found with events besides: the best for each way to look for them."""
    tried = []
    for finer in FINER:
        of_these = [
            Trial(drawn, across.encode(drawn, bounds))
            for drawing in drawings_of(across, found, signal, finer)
            for drawn in [found._replace(drawing=drawing)]
        ]
        tried += [smallest(of_these)] if of_these else []
    return tried


def drawings_of(across: Across, found: Found, signal: Signal, finer: float) -> Iterator[Drawing]:
    """Kernels and events of the first components, searched as for steps that are so much finer.

    A short signal learns several dictionaries.
    """
    channels = len(found.codes)
    count = min(channels, MOST_COMPONENTS)
    pieces = [across.components(found, i, count) for i in range(len(across.chunks))]
    steps = np.full(count, IN_A_STEP / finer)
    scale = float(scales_of(found.codes)[across.changing]) / finer
    for learned, _ in signal.learned(np.concatenate(pieces), steps, finer=finer):
        kernels = np.zeros((len(learned.kernels), channels, learned.kernels.shape[2]))
        kernels[:, :count] = as_floats(learned)
        dictionary = quantize_kernels(kernels, precision_of(learned))
        drawn, events = as_floats(dictionary)[:, :count], []
        for piece in pieces:
            one = find_events(piece, signal.fs, steps, drawn, signal.device)
            amplitudes = np.zeros((len(one), channels), np.int64)
            amplitudes[:, :count] = one.amplitudes
            events.append(QuantizedEvents(one.starts, one.kernels, amplitudes))
        if any(map(len, events)):
            yield Drawing(dictionary, events, signal.bin_bits, scale)


def _usual(allowed: np.ndarray, samples: int) -> np.ndarray:
    """The root of the mean squared error that is allowed, as far as scales go."""
    return np.clip(np.sqrt(allowed / samples), LEAST, step_of(HIGHEST_CODE))
