"""The lossy mode across channels: components are coded, and channels are made from them.

A channel less its offset is divided by a scale of its own. The transform across channels makes
components of all channels (`across`). They are coded as the channels of the transform mode are, in
quantizer steps of 1, with events and in contexts of all components before. Components that are
nearly zero come last and are left out. Corrections then are those of the channels.
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from san.codec.entropy.mixing import Mixer, State, code_number, new_mixer, new_state
from san.codec.entropy.range_coder import POSITION, code_all_raw, finish
from san.codec.errors import CorruptStream
from san.codec.modes import wavelet
from san.codec.modes.across import MATRIX_BITS, MOST_CHANNELS, angles_of, matrix_of, to_channels
from san.codec.modes.bands import Around
from san.codec.modes.dictionary import SCALE, Dictionary
from san.codec.modes.events import QuantizedEvents, new_memory, no_events
from san.codec.modes.ranges import COMPONENT_BAND_BITS, COMPONENTS, LEVELS, OFFSET_LENGTHS
from san.codec.modes.transform import (
    BIN_BITS_BITS,
    STEP_CODE_BITS,
    code_bands,
    code_bit,
    code_bits,
    code_centers,
    code_chunk_events,
    code_corrections,
    levels,
    step_size,
    synthesize,
)

ANGLE_BITS_BITS, LEAST_ANGLE_BITS = 3, 3  # raw bits of the field; the bits of an angle of field 0
# Weights of the mixer at first, in 1/65536: 0.15 where the transform mode has 0.25, because there
# are more contexts, and they are more alike. 0.12 and 0.18 make 0.2 % more bytes of short records.
INITIAL_WEIGHT = 9830
VALUES_OF_A_BUCKET = 4  # most coefficients are zeros in runs, which need few contexts
UNIT_CODE = 256  # of a quantizer's step of 1
UNIT = 1 << wavelet.FRACTION
_LARGEST = 1 << 28  # of a coefficient, in steps; of an offset too
_LARGEST_COMPONENT = 1 << 38  # of a component's sample, in 1/256 of a step
_LARGEST_SAMPLE = 1 << 62  # of a sample, in 1/65536
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Layout:
    """How channels and components are made from each other."""

    codes: tuple[int, ...]  # of each channel's scale
    angle_bits: int
    angles: np.ndarray  # int64: of all components, of which a payload holds the first ones
    offsets: tuple[int, ...]  # of each channel, in its scale

    @property
    def scales(self) -> np.ndarray:
        """What a step of 1 is in each channel: float64, in samples."""
        return np.array([step_size(code) for code in self.codes]) / UNIT


class Plan(NamedTuple):
    """What an encoder decided about a chunk."""

    layout: Layout
    q: np.ndarray  # int64 (n, components): the coefficients of all bands, in steps
    centers: tuple[int, int] = (32, 32)  # of coefficients of ±1 and of more, in 1/64 of a step
    bin_bits: int = 0
    events: QuantizedEvents | None = None  # of the components in q
    bounds: tuple[int, ...] | None = None


def channels_bands(x: np.ndarray) -> np.ndarray:
    """The coefficients of x, int64 (n, channels): float64 of the same shape, in samples."""
    bands = wavelet.analyze(x << wavelet.FRACTION, levels(len(x)))
    return np.concatenate(bands) / UNIT


def components_of(bands: np.ndarray, one: np.ndarray, layout: Layout) -> np.ndarray:
    """The components' coefficients, float64 (n, channels) in steps, of those of the channels.

    bands: what `channels_bands` makes of the samples; one: (n, 1), what it makes of a constant 1.
    """
    channels = bands.shape[1]
    scaled = bands / layout.scales - one * np.array(layout.offsets)
    matrix = matrix_of(layout.angles, layout.angle_bits, channels, channels)
    return scaled @ (matrix / (1 << MATRIX_BITS))


def reconstruct(plan: Plan, drawn: np.ndarray | None = None) -> np.ndarray:
    """What a plan decodes to without corrections: int64 (n, channels).

    drawn: the sum of the events' kernels, int64 (n, components), where there are events.
    """
    components = _rebuild(plan.q, plan.centers)
    return _channels_of(components if drawn is None else components + drawn, plan.layout)


def draw(events: QuantizedEvents, dictionary: Dictionary, n: int) -> np.ndarray:
    """The sum of the events' kernels in each component, int64 (n, components), in 1/256 step."""
    return synthesize(events, (UNIT_CODE,) * events.amplitudes.shape[1], dictionary, n).T


def encode(
    x: np.ndarray, plan: Plan, dictionary: Dictionary | None
) -> tuple[bytes, np.ndarray, dict[str, int]]:
    """The payload of x, int64 (n, channels); what it decodes to; bytes by section.

    The kernels of the dictionary are of components.
    """
    n, channels = x.shape
    mixer = new_mixer(x.size, None, _new_state(x.size))
    y, ends = _code_chunk(mixer, n, channels, dictionary, plan, x)
    payload = finish(mixer.m, mixer.data)
    layout, events, coefficients = ends
    sizes = {
        "events": events - layout,
        "coefficients": coefficients - events + layout,
        "corrections": max(0, len(payload) - coefficients),
    }
    return payload, y, sizes


def decode(data: bytes, n: int, channels: int, dictionary: Dictionary | None) -> np.ndarray:
    """Decode a payload of n samples in so many channels: int64 (n, channels)."""
    _check_channels(channels)
    mixer = new_mixer(n * channels, data, _new_state(n * channels))
    return _code_chunk(mixer, n, channels, dictionary, None, None)[0]


def _check_channels(channels: int) -> None:
    if not 2 <= channels <= MOST_CHANNELS:
        raise CorruptStream(f"a transform across {channels} channels: 2 to {MOST_CHANNELS}")


def _new_state(values: int) -> State:
    return new_state(-(-values // VALUES_OF_A_BUCKET), weight=INITIAL_WEIGHT)


# The order of a chunk's fields, in either direction as in `transform`


def _code_chunk(
    mixer: Mixer, n: int, channels: int, dictionary: Dictionary | None, plan: Plan | None,
    x: np.ndarray | None,
) -> tuple[np.ndarray, tuple[int, int, int]]:  # fmt: skip
    """Code a chunk: its samples; the bytes after the layout, the events, the coefficients."""
    with_events = code_bit(mixer, plan is not None and plan.events is not None)
    bounded = code_bit(mixer, plan is not None and plan.bounds is not None)
    layout, count = _code_layout(mixer, n, channels, plan)
    after_layout = int(mixer.m[POSITION])
    drawn = None
    if with_events:
        kernels = _kernels_of(dictionary, channels)
        drawn = draw(*_code_events(mixer, n, count, kernels, plan), n)
    after_events = int(mixer.m[POSITION])
    q = _code_components(mixer, n, count, None if plan is None else plan.q, drawn)
    centers = code_centers(mixer, (0, 0) if plan is None else plan.centers)
    after_coefficients = int(mixer.m[POSITION])
    y = reconstruct(Plan(layout, q, centers), drawn)
    if bounded:
        _correct(mixer, y, x, None if plan is None else plan.bounds)
    return y, (after_layout, after_events, after_coefficients)


def _code_layout(mixer: Mixer, n: int, channels: int, plan: Plan | None) -> tuple[Layout, int]:
    """Code the layout and the number of components."""
    wanted = None if plan is None else plan.layout
    codes = (0,) * channels if wanted is None else wanted.codes
    codes = tuple(code_bits(mixer, code, STEP_CODE_BITS) for code in codes)
    count = code_bits(mixer, 0 if plan is None else plan.q.shape[1], channels.bit_length())
    if count > min(n, channels):
        raise CorruptStream(f"{count} components of {channels} channels of {n} samples")
    bits = 0 if wanted is None else wanted.angle_bits - LEAST_ANGLE_BITS
    bits = code_bits(mixer, bits, ANGLE_BITS_BITS) + LEAST_ANGLE_BITS
    angles = np.zeros(angles_of(channels, count), np.int64)
    if wanted is not None:
        angles[:] = wanted.angles[: len(angles)]
    code_all_raw(mixer.m, mixer.data, angles, bits)
    offsets = (0,) * channels if wanted is None else wanted.offsets
    offsets = tuple(_code_offset(mixer, offset) for offset in offsets)
    if max(map(abs, offsets)) >= _LARGEST:
        raise CorruptStream("an offset is beyond what 32-bit samples can have")
    return Layout(codes, bits, angles, offsets), count


def _code_offset(mixer: Mixer, offset: int) -> int:
    """Code a signed number, folded as those of varints are."""
    folded = 2 * offset if offset >= 0 else -2 * offset - 1
    folded = int(code_number(mixer, OFFSET_LENGTHS, folded))
    return folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1


def _kernels_of(dictionary: Dictionary | None, channels: int) -> Dictionary:
    """The dictionary, where it has kernels of so many components."""
    if dictionary is None or len(dictionary.kernels) == 0:
        raise CorruptStream("a chunk has events, but there are no kernels for them")
    of = dictionary.kernels.shape[1]
    if of != channels:
        raise CorruptStream(f"a dictionary of {of} channels for a chunk of {channels}")
    return dictionary


def _code_events(
    mixer: Mixer, n: int, count: int, dictionary: Dictionary, plan: Plan | None
) -> tuple[QuantizedEvents, Dictionary]:
    """Code the events; they, and the kernels of the components that are there."""
    bin_bits = code_bits(mixer, 0 if plan is None else plan.bin_bits, BIN_BITS_BITS)
    memory = new_memory(len(dictionary.kernels), count)
    kernels = Dictionary(b"", dictionary.kernels[:, :count])
    events = None if plan is None else plan.events
    return code_chunk_events(mixer, events, n, bin_bits, kernels, memory), kernels


def _code_components(
    mixer: Mixer, n: int, count: int, wanted: np.ndarray | None, drawn: np.ndarray | None
) -> np.ndarray:
    """Code the coefficients of all components: int64 (n, count)."""
    q = np.zeros((count, n), np.int64)
    if wanted is not None:
        q[:] = wanted.T
    beside = np.zeros((count, 0), np.int64)
    if drawn is not None:
        bands = np.concatenate(wavelet.analyze(drawn, levels(n)))
        beside = np.ascontiguousarray((bands.T + UNIT // 2) // UNIT)
    total, none = np.zeros(n, np.int64), np.zeros(n, np.int64)
    ends = np.cumsum([0, *wavelet.band_sizes(n, levels(n))]).tolist()
    cuts = [slice(*pair) for pair in itertools.pairwise(ends)]
    unknown = [_NONE] * len(cuts)
    for k in range(count):
        other, second = q[k - 1] if k else none, q[k - 2] if k > 1 else none
        sides = [
            Around(_NONE, _NONE, beside[k][at], other[at], total[at], second[at], k) for at in cuts
        ]
        places = COMPONENT_BAND_BITS + LEVELS * min(k, COMPONENTS - 1)
        code_bands(mixer, [q[k][at] for at in cuts], unknown, 0, sides, places)
        if int(np.abs(q[k]).max(initial=0)) >= _LARGEST:
            raise CorruptStream("a coefficient is beyond what 32-bit samples can have")
        total += np.abs(q[k])
    return np.ascontiguousarray(q.T)


def _rebuild(q: np.ndarray, centers: tuple[int, int]) -> np.ndarray:
    """Samples of the components without events, int64 (n, components), in 1/256 of a step."""
    n = len(q)
    sizes = wavelet.band_sizes(n, levels(n))
    size = np.abs(q)
    ones, more = ((center - 32) * UNIT >> 6 for center in centers)
    value = q * UNIT + np.sign(q) * np.where(size == 1, ones, more)
    value[: sizes[0]] = q[: sizes[0]] * UNIT
    return wavelet.synthesize(np.split(value, np.cumsum(sizes)[:-1]))


def _channels_of(components: np.ndarray, layout: Layout) -> np.ndarray:
    """The samples of all channels, int64 (n, channels)."""
    channels = len(layout.codes)
    if int(np.abs(components).max(initial=0)) >= _LARGEST_COMPONENT:
        raise CorruptStream("a component is beyond what 32-bit samples can have")
    matrix = matrix_of(layout.angles, layout.angle_bits, channels, components.shape[1])
    y = to_channels(components, matrix) + UNIT * np.array(layout.offsets, np.int64)
    steps = [step_size(code) for code in layout.codes]
    for largest, step in zip(np.abs(y).max(0, initial=0).tolist(), steps, strict=True):
        if largest * step >= _LARGEST_SAMPLE:
            raise CorruptStream("a sample is beyond 32 bits")
    return (y * np.array(steps, np.int64) + 32768) >> 16


def _correct(
    mixer: Mixer, y: np.ndarray, x: np.ndarray | None, bounds: tuple[int, ...] | None
) -> None:
    """Code the corrections of y and add them."""
    n, channels = y.shape
    done = np.zeros((channels, n), np.int64)
    total, none = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for c in range(channels):
        error = None if x is None else x[:, c] - y[:, c]
        before, second = done[c - 1] if c else none, done[c - 2] if c > 1 else none
        side = Around(_NONE, _NONE, _NONE, before, total, second, c)
        bound = 0 if bounds is None else bounds[c]
        done[c], width = code_corrections(mixer, error, bound, y[:, c], side)
        total += np.abs(done[c])
        y[:, c] += done[c] * width


def decode_events(
    data: bytes, n: int, channels: int, dictionary: Dictionary | None
) -> tuple[QuantizedEvents, np.ndarray]:
    """The events of a payload, of the components that it holds; their strengths in the channels.

    The strengths are float64 (events, channels), in samples: roots of energies, with the sign of
    the likeness to the kernel of the first component.
    """
    _check_channels(channels)
    mixer = new_mixer(n * channels, data, _new_state(n * channels))
    with_events, _ = code_bit(mixer, False), code_bit(mixer, False)
    layout, count = _code_layout(mixer, n, channels, None)
    if not with_events:
        return no_events(count), np.zeros((0, channels))
    kernels = _kernels_of(dictionary, channels)
    events, part = _code_events(mixer, n, count, kernels, None)
    matrix = matrix_of(layout.angles, layout.angle_bits, channels, count) / (1 << MATRIX_BITS)
    shapes = part.kernels / (1 << SCALE)
    strengths = np.zeros((len(events), channels))
    for e, (kernel, amplitudes) in enumerate(zip(events.kernels, events.amplitudes, strict=True)):
        drawn = (matrix * amplitudes) @ shapes[kernel]
        like = drawn @ shapes[kernel][0] if count else np.zeros(channels)
        strengths[e] = np.copysign(np.sqrt((drawn**2).sum(1)), like) * layout.scales
    return events, strengths
