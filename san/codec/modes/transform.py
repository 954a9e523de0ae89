"""The lossy mode of a chunk: events, the wavelet coefficients of what they leave, corrections.

The decoder adds the events' kernels in fixed point, transforms their sum, decodes the coefficients
of the rest in the contexts of that sum's, transforms back, adds both and rounds. Where a bound on
every sample is asked for, multiples of 2 · bound + 1 correct the samples beyond it.
"""

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from san.codec.entropy.mixing import (
    Mixer,
    State,
    code_number,
    code_simple_bit,
    new_mixer,
    new_state,
)
from san.codec.entropy.range_coder import POSITION, code_raw_bits, finish
from san.codec.errors import CorruptStream
from san.codec.modes import wavelet
from san.codec.modes.bands import Around, code_band
from san.codec.modes.dictionary import SCALE, Dictionary, read, with_excerpt
from san.codec.modes.events import (
    QuantizedEvents,
    capacity,
    code_events,
    new_memory,
    no_events,
    tree_bits,
)
from san.codec.modes.ranges import BAND_BITS, BOUND_LENGTHS, CORRECTIONS

MAX_LEVELS = 9
STEP_CODE_BITS, BIN_BITS_BITS, CENTER_BITS = 12, 4, 6  # raw bits of these fields
AMPLITUDE_BITS = 24  # of an event's amplitude, in steps
SPARSE_BANDS = 2  # the finest ones, which begin with the question whether a block is zero
PENALTY = 3932  # 0.06: squared quantizer steps that a bit is worth, in 1/65536
_LARGEST = 1 << 46  # a coefficient in 1/256, as in a chunk of 32-bit samples
_NONE = np.zeros(0, np.int64)
_OCTAVE = [round(65536 * 2 ** (i / 128)) for i in range(128)]
EXCERPT_BITS = 15  # of the table of contexts that chunks inherit from a dictionary


def step_size(code: int) -> int:
    """The quantizer's step in 1/256 for a code from 0 (a quarter) on, 128 codes an octave."""
    return max(1, (_OCTAVE[code & 127] << (code >> 7)) >> 10)


def step_code(step: float) -> int:
    """The code of the largest step that is not above one in samples, at least 0."""
    code = int(np.floor(128 * np.log2(max(step, 0.25) * 4)))
    return max(0, min(code, (1 << STEP_CODE_BITS) - 1))


@dataclass(frozen=True)
class Setting:
    """Numbers of a chunk that come before its decisions, or that its dictionary knows."""

    codes: tuple[int, ...]  # of the quantizer's step, one per channel
    bin_bits: int  # events are placed in bins of 2**bin_bits samples first
    centers: tuple[int, int] = (32, 32)  # of coefficients of ±1 and of more, in 1/64 of a step


@dataclass(frozen=True)
class Plan:
    """What an encoder decided about a chunk."""

    setting: Setting
    events: QuantizedEvents | None = None
    bounds: tuple[int, ...] | None = None
    penalties: tuple[int, ...] | None = None  # of each channel; None: PENALTY of all

    def penalty_of(self, channel: int) -> int:
        """What a bit of a channel is worth."""
        return PENALTY if self.penalties is None else self.penalties[channel]


class Known(NamedTuple):
    """What a chunk starts from: all that its dictionary's excerpt has taught."""

    state: State
    memory: np.ndarray
    setting: Setting | None


class Start(NamedTuple):
    """The fields of a chunk that come before its coefficients."""

    events: QuantizedEvents | None
    setting: Setting
    alike: bool  # whether the setting is the dictionary's, centers included
    bounded: bool  # whether corrections follow the coefficients


class Coded(NamedTuple):
    """A chunk that was encoded or decoded."""

    samples: np.ndarray  # int64 (n, channels): what it decodes to
    known: Known  # what is known after it
    ends: tuple[int, int]  # bytes that were written or read after the events, the coefficients


def encode(
    x: np.ndarray, plan: Plan, dictionary: Dictionary | None, known: Known | None = None
) -> tuple[bytes, np.ndarray, dict[str, int]]:
    """The payload of x, int64 (n, channels); what it decodes to; bytes by section."""
    n, channels = x.shape
    known = known or start_of(dictionary, n, channels)
    mixer = new_mixer(x.size, None, known.state)
    coded = _code_chunk(mixer, n, channels, dictionary, known, x, plan)
    payload = finish(mixer.m, mixer.data)
    events, coefficients = coded.ends
    sizes = {
        "events": events,
        "coefficients": coefficients - events,
        "corrections": max(0, len(payload) - coefficients),
    }
    return payload, coded.samples, sizes


def decode(data: bytes, n: int, channels: int, dictionary: Dictionary | None) -> np.ndarray:
    """Decode a payload of n samples in so many channels: int64 (n, channels)."""
    return _decode(data, n, channels, dictionary, start_of(dictionary, n, channels)).samples


def decode_events(
    data: bytes, n: int, channels: int, dictionary: Dictionary | None
) -> tuple[QuantizedEvents, tuple[int, ...]]:
    """The events of a payload, and the codes of the steps of their amplitudes, one per channel."""
    known = start_of(dictionary, n, channels)
    mixer = new_mixer(n * channels, data, known.state)
    start = _code_start(mixer, n, channels, dictionary, known, None)
    return no_events(channels) if start.events is None else start.events, start.setting.codes


def _decode(
    data: bytes, n: int, channels: int, dictionary: Dictionary | None, known: Known
) -> Coded:
    mixer = new_mixer(n * channels, data, known.state)
    return _code_chunk(mixer, n, channels, dictionary, known, None, None)


# The order of a chunk's fields. What codes a field does so in either direction: the encoder passes
# its value, the decoder passes nothing or any value, and both get the value that the payload holds.


def _code_chunk(
    mixer: Mixer, n: int, channels: int, dictionary: Dictionary | None, known: Known,
    x: np.ndarray | None, plan: Plan | None,
) -> Coded:  # fmt: skip
    """Code a chunk: its start, coefficients, centers, corrections. A decoder has no x, no plan."""
    start = _code_start(mixer, n, channels, dictionary, known, plan)
    events, setting = start.events, start.setting
    drawn = np.zeros((channels, n), np.int64)
    if events is not None and dictionary is not None:
        drawn = synthesize(events, setting.codes, dictionary, n)
    after_events = int(mixer.m[POSITION])
    rest: list[list[np.ndarray]] = []  # the encoder's coefficients before they are quantized
    q: list[list[np.ndarray]] = []
    for c, code in enumerate(setting.codes):
        if x is not None:
            rest.append(wavelet.analyze((x[:, c] << wavelet.FRACTION) - drawn[c], levels(n)))
        beside = _beside(drawn[c], step_size(code), n, events is not None)
        other = q[-1] if q else [_NONE] * (levels(n) + 1)
        own, penalty = (rest[c], plan.penalty_of(c)) if rest and plan is not None else (None, 0)
        q.append(_code_channel(mixer, own, n, code, penalty, beside, other))
    if not start.alike:
        centers = (0, 0) if x is None else _centers(rest, q, setting.codes)
        setting = replace(setting, centers=code_centers(mixer, centers))
    after_coefficients = int(mixer.m[POSITION])
    y = np.empty((n, channels), np.int64)
    for c, code in enumerate(setting.codes):
        y[:, c] = _rebuild(q[c], setting.centers, step_size(code), drawn[c])
        if start.bounded:
            error = None if x is None else x[:, c] - y[:, c]
            bound = plan.bounds[c] if plan is not None and plan.bounds is not None else 0
            corrections, width = code_corrections(mixer, error, bound, y[:, c])
            y[:, c] += corrections * width
    ends = after_events, after_coefficients
    return Coded(y, Known(known.state, known.memory, setting), ends)


def _code_start(
    mixer: Mixer, n: int, channels: int, dictionary: Dictionary | None, known: Known,
    plan: Plan | None,
) -> Start:  # fmt: skip
    """Code whether there are events and bounds, the setting, and the events."""
    events = None if plan is None or dictionary is None else plan.events
    with_events = code_bit(mixer, events is not None and len(events) > 0)
    bounded = code_bit(mixer, plan is not None and plan.bounds is not None)
    wanted = None if plan is None else plan.setting
    setting, alike = _code_setting(mixer, channels, wanted, known.setting)
    if not with_events:
        return Start(None, setting, alike, bounded)
    if dictionary is None or len(dictionary.kernels) == 0:
        raise CorruptStream("a chunk has events, but there are no kernels for them")
    events = code_chunk_events(mixer, events, n, setting.bin_bits, dictionary, known.memory)
    return Start(events, setting, alike, bounded)


def _code_setting(
    mixer: Mixer, channels: int, wanted: Setting | None, known: Setting | None
) -> tuple[Setting, bool]:
    """Code the setting without its centers; the one in use, and whether it is the known one."""
    if known is not None and code_bit(mixer, wanted is not None and wanted.codes == known.codes):
        return known, True
    codes = (0,) * channels if wanted is None else wanted.codes
    codes = tuple(code_bits(mixer, code, STEP_CODE_BITS) for code in codes)
    bin_bits = code_bits(mixer, 0 if wanted is None else wanted.bin_bits, BIN_BITS_BITS)
    return Setting(codes, bin_bits), False


def code_centers(mixer: Mixer, centers: tuple[int, int]) -> tuple[int, int]:
    """Code where coefficients of ±1, and of more, lie within their step."""
    ones, more = (code_bits(mixer, center, CENTER_BITS) for center in centers)
    return ones, more


def code_chunk_events(
    mixer: Mixer, events: QuantizedEvents | None, n: int, bin_bits: int, dictionary: Dictionary,
    memory: np.ndarray,
) -> QuantizedEvents:  # fmt: skip
    """Code the events of a chunk, or decode them if `events` is None."""
    kernels, channels, length = dictionary.kernels.shape
    count = 0 if events is None else len(events)
    if events is None:
        room = np.zeros(capacity(n, length), np.int64)
        events = QuantizedEvents(room, room.copy(), np.zeros((room.size, channels), np.int64))
    count = int(
        code_events(
            mixer, events.starts, events.kernels, events.amplitudes.reshape(-1), count, n,
            bin_bits, tree_bits(kernels), channels, memory,
        )
    )  # fmt: skip
    if count < 0:
        raise CorruptStream("an event lies outside its chunk")
    events = QuantizedEvents(
        events.starts[:count], events.kernels[:count], events.amplitudes[:count]
    )
    if (events.starts > n - length).any():
        raise CorruptStream("an event lies outside its chunk")
    if (events.kernels >= kernels).any():
        raise CorruptStream(f"an event has a kernel beyond the {kernels} there are")
    if int(np.abs(events.amplitudes).max(initial=0)) >= 1 << AMPLITUDE_BITS:
        raise CorruptStream(f"an event's amplitude is beyond {AMPLITUDE_BITS} bits")
    return events


def _code_channel(
    mixer: Mixer, rest: list[np.ndarray] | None, n: int, code: int, penalty: int,
    beside: list[np.ndarray], other: list[np.ndarray],
) -> list[np.ndarray]:  # fmt: skip
    """Code a channel's bands: quantized coefficients. The encoder passes them unquantized."""
    step = step_size(code)
    if rest is None:
        q = [np.zeros(size, np.int64) for size in wavelet.band_sizes(n, levels(n))]
        magnitudes = [_NONE] * len(q)
    else:
        sizes = [np.abs(band) for band in rest]
        q = [np.sign(b) * ((size + step // 2) // step) for b, size in zip(rest, sizes, strict=True)]
        magnitudes = [(size << 8) // step for size in sizes]
    sides = [Around(_NONE, _NONE, *of_band) for of_band in zip(beside, other, strict=True)]
    code_bands(mixer, q, magnitudes, penalty, sides, BAND_BITS)
    if any(int(np.abs(band).max(initial=0)) * step >= _LARGEST for band in q):
        raise CorruptStream("a coefficient is beyond what 32-bit samples can have")
    return q


def code_bands(
    mixer: Mixer, q: list[np.ndarray], magnitudes: list[np.ndarray], penalty: int,
    sides: list[Around], band_bits: int,
) -> None:  # fmt: skip
    """Code bands, the coarsest first, the approximation as differences; they fill q in place.

    `sides` holds what is beside each band, and `band_bits` is the first place of the bits that say
    whether a band has any coefficient.
    """
    differences = np.diff(q[0], prepend=0)
    code_band(mixer, differences, _NONE, 0, Around(_NONE, _NONE, _NONE, _NONE), 0, 0)
    q[0][:] = np.cumsum(differences)
    parent = grandparent = _NONE
    for j, band in enumerate(q[1:], 1):
        level = MAX_LEVELS + 1 - (len(q) - j)  # the finest has the same number in every chunk
        if code_simple_bit(mixer, band_bits + level, int(band.any())):
            around = sides[j]._replace(parent=parent, grandparent=grandparent)
            sparse = int(j > len(q) - 1 - SPARSE_BANDS)
            code_band(mixer, band, magnitudes[j], penalty, around, level, sparse)
        parent, grandparent = band, parent


def code_corrections(
    mixer: Mixer, error: np.ndarray | None, bound: int, y: np.ndarray, side: Around | None = None
) -> tuple[np.ndarray, int]:
    """Code a channel's bound and its corrections of y, the samples; they, and what they multiply.

    `side` holds what is beside the corrections.
    """
    bound = int(code_number(mixer, BOUND_LENGTHS, bound))
    step = 2 * bound + 1
    if error is None:
        corrections = np.zeros(len(y), np.int64)
    else:
        corrections = np.sign(error) * ((np.abs(error) + bound) // step)
    slope = np.diff(y, prepend=y[:1]) // (bound + 1)
    around = (side or Around(_NONE, _NONE, _NONE, _NONE))._replace(events=slope)
    code_band(mixer, corrections, _NONE, 0, around, CORRECTIONS, 1)
    if int(np.abs(corrections).max(initial=0)) * step >= _LARGEST:
        raise CorruptStream("a correction is beyond 32-bit samples")
    return corrections, step


def code_bit(mixer: Mixer, bit: bool) -> bool:
    """Code a bit of even odds."""
    return code_bits(mixer, int(bit), 1) == 1


def code_bits(mixer: Mixer, value: int, count: int) -> int:
    """Code a value of so many bits of even odds, the highest first."""
    return int(code_raw_bits(mixer.m, mixer.data, value, count))


# What a chunk starts from


def start_of(dictionary: Dictionary | None, n: int, channels: int) -> Known:
    """What a chunk starts from."""
    if dictionary is None:
        return Known(new_state(n * channels), new_memory(0, channels), None)
    if dictionary.kernels.shape[1] != channels:
        of = dictionary.kernels.shape[1]
        raise CorruptStream(f"a dictionary of {of} channels for a chunk of {channels}")
    if dictionary.teacher is not None:
        state = _learned(dictionary.teacher.data).state
        memory = new_memory(len(dictionary.kernels), channels)
        return Known(State(*(a.copy() for a in state)), memory, None)
    if dictionary.samples == 0:
        return Known(new_state(n * channels), new_memory(len(dictionary.kernels), channels), None)
    learned = _learned(dictionary.data)
    return Known(State(*(a.copy() for a in learned.state)), learned.memory.copy(), learned.setting)


def check_excerpt(dictionary: Dictionary) -> None:
    """Raise CorruptStream if the excerpt of a dictionary, or of its teacher, cannot be decoded."""
    if dictionary.teacher is not None and not (
        dictionary.teacher.samples > dictionary.samples == 0
    ):
        raise CorruptStream("a teacher has no excerpt, or its dictionary has one too")
    for each in (dictionary, dictionary.teacher):
        if each is not None and each.samples:
            _learned(each.data)


@functools.lru_cache(maxsize=4)
def _learned(data: bytes) -> Known:
    """What the excerpt of a dictionary teaches: all that decoding it leaves behind."""
    dictionary = read(data)
    channels = dictionary.kernels.shape[1]
    known = _start_of_excerpt(dictionary, dictionary.samples)
    return _decode(dictionary.excerpt, dictionary.samples, channels, dictionary, known).known


def excerpt_of(dictionary: Dictionary) -> np.ndarray:
    """The samples of a dictionary's excerpt, int64 (samples, channels); raises CorruptStream."""
    channels = dictionary.kernels.shape[1]
    known = _start_of_excerpt(dictionary, dictionary.samples)
    return _decode(dictionary.excerpt, dictionary.samples, channels, dictionary, known).samples


def _start_of_excerpt(dictionary: Dictionary, samples: int) -> Known:
    count, channels, _ = dictionary.kernels.shape
    return Known(new_state(samples * channels, EXCERPT_BITS), new_memory(count, channels), None)


def learn_from(x: np.ndarray, plan: Plan, dictionary: Dictionary) -> Dictionary:
    """The dictionary with an excerpt, int64 (n, channels), from which chunks learn."""
    payload, _, _ = encode(x, plan, dictionary, _start_of_excerpt(dictionary, len(x)))
    return with_excerpt(dictionary, len(x), payload)


def synthesize(
    events: QuantizedEvents, codes: tuple[int, ...], dictionary: Dictionary, n: int
) -> np.ndarray:
    """The sum of the events' kernels, int64 (channels, n), in 1/256 of a sample."""
    length = dictionary.kernels.shape[2]
    drawn = np.zeros((len(codes), n), np.int64)
    for c, code in enumerate(codes):
        amplitudes = events.amplitudes[:, c] * step_size(code)
        kernels = dictionary.kernels[:, c]
        row = drawn[c]
        for t, k, a in zip(events.starts, events.kernels, amplitudes, strict=True):
            if a:
                row[t : t + length] += (a * kernels[k] + (1 << (SCALE - 1))) >> SCALE
    return drawn


def bands_of(x: np.ndarray) -> list[np.ndarray]:
    """The coefficients of one channel's samples, in 1/256."""
    return wavelet.analyze(x << wavelet.FRACTION, levels(len(x)))


def levels(n: int) -> int:
    """Levels of the wavelet: so many that four coefficients or more remain."""
    return min(MAX_LEVELS, max(0, n.bit_length() - 3))


def _beside(drawn: np.ndarray, step: int, n: int, with_events: bool) -> list[np.ndarray]:
    """The events' own coefficients, in steps."""
    if not with_events:
        return [_NONE] * (levels(n) + 1)
    return [(band + step // 2) // step for band in wavelet.analyze(drawn, levels(n))]


def _centers(
    rest: list[list[np.ndarray]], q: list[list[np.ndarray]], codes: tuple[int, ...]
) -> tuple[int, int]:
    """Where coefficients of ±1 and of more lie in their steps: 1/64 of a step, from -1/2 on."""
    centers = []
    for larger in (False, True):
        offset, count = 0.0, 0
        for bands, steps, code in zip(rest, q, codes, strict=True):
            step = step_size(code)
            for band, of_band in zip(bands[1:], steps[1:], strict=True):
                size = np.abs(of_band)
                of = size > 1 if larger else size == 1
                offset += float((np.abs(band[of]) - size[of] * step).sum()) / step
                count += int(of.sum())
        centers.append(max(0, min(63, 32 + round(64 * offset / count))) if count else 32)
    return centers[0], centers[1]


def _rebuild(
    q: list[np.ndarray], centers: tuple[int, int], step: int, drawn: np.ndarray
) -> np.ndarray:
    """Samples from coefficients and events."""
    bands = [q[0] * step]
    ones, more = ((center - 32) * step >> 6 for center in centers)
    for steps in q[1:]:
        size = np.abs(steps)
        value = size * step + np.where(size == 1, ones, np.where(size > 1, more, 0))
        bands.append(np.sign(steps) * value)
    return (wavelet.synthesize(bands) + drawn + 128) >> wavelet.FRACTION
