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
from san.codec.modes.bands import code_band
from san.codec.modes.dictionary import SCALE, Dictionary, read, with_excerpt
from san.codec.modes.events import Events, capacity, code_events, new_memory, no_events, tree_bits

MAX_LEVELS = 9
STEP_CODE_BITS = 12
PENALTY = 3932  # 0.06: squared quantizer steps that a bit is worth, in 1/65536
_LARGEST = 1 << 46  # a coefficient in 1/256, as in a chunk of 32-bit samples
_NONE = np.zeros(0, np.int64)
_OCTAVE = [round(65536 * 2 ** (i / 128)) for i in range(128)]
EXCERPT_BITS = 15  # of the table of contexts that chunks inherit from a dictionary
_CORRECTIONS = 15  # the level whose contexts corrections use


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
    events: Events | None = None
    bounds: tuple[int, ...] | None = None
    penalty: int = PENALTY


class Known(NamedTuple):
    """What a chunk starts from: all that its dictionary's excerpt has taught."""

    state: State
    memory: np.ndarray
    setting: Setting | None


class Decoded(NamedTuple):
    """A chunk's samples, and what decoding them has taught."""

    samples: np.ndarray  # int64 (n, channels)
    known: Known  # what is known after them


def encode(
    x: np.ndarray, plan: Plan, dictionary: Dictionary | None, known: Known | None = None
) -> tuple[bytes, np.ndarray, dict[str, int]]:
    """The payload of x, int64 (n, channels); what it decodes to; bytes by section."""
    n, channels = x.shape
    known = known or start_of(dictionary, n, channels)
    mixer = new_mixer(x.size, None, known.state)
    events, setting = plan.events, plan.setting
    with_events = events is not None and len(events) > 0 and dictionary is not None
    _code_bit(mixer, int(with_events))
    _code_bit(mixer, int(plan.bounds is not None))
    alike = known.setting is not None and known.setting.codes == setting.codes
    setting = _code_setting(mixer, setting, known.setting, alike)
    drawn = np.zeros((channels, n), np.int64)
    if with_events:
        assert events is not None and dictionary is not None
        _code_events(mixer, events, len(events), n, setting.bin_bits, dictionary, known.memory)
        drawn = synthesize(events, setting.codes, dictionary, n)
    sizes = {"events": int(mixer.m[POSITION])}
    y = np.empty_like(x)
    rest: list[list[np.ndarray]] = []
    q: list[list[np.ndarray]] = []
    for c in range(channels):
        step = step_size(setting.codes[c])
        rest.append(wavelet.analyze((x[:, c] << wavelet.FRACTION) - drawn[c], _levels(n)))
        beside = _beside(drawn[c], step, n, with_events)
        other = q[-1] if q else [_NONE] * (_levels(n) + 1)
        q.append(_quantize_channel(mixer, rest[c], step, plan.penalty, beside, other))
    centers = setting.centers if alike else _centers(rest, q, setting.codes)
    if not alike:
        for center in centers:
            code_raw_bits(mixer.m, mixer.data, center, 6)
    for c in range(channels):
        y[:, c] = _rebuild(q[c], centers, step_size(setting.codes[c]), drawn[c])
    sizes["coefficients"] = int(mixer.m[POSITION]) - sizes["events"]
    if plan.bounds is not None:
        for c, bound in enumerate(plan.bounds):
            error = x[:, c] - y[:, c]
            corrections = np.sign(error) * ((np.abs(error) + bound) // (2 * bound + 1))
            y[:, c] += _code_corrections(mixer, corrections, bound, y[:, c])
    payload = finish(mixer.m, mixer.data)
    sizes["corrections"] = max(0, len(payload) - sizes["events"] - sizes["coefficients"])
    return payload, y, sizes


def decode(data: bytes, n: int, channels: int, dictionary: Dictionary | None) -> np.ndarray:
    """What a payload of n samples in so many channels decodes to: int64 (n, channels)."""
    return _decode(data, n, channels, dictionary, start_of(dictionary, n, channels)).samples


def decode_events(
    data: bytes, n: int, channels: int, dictionary: Dictionary | None
) -> tuple[Events, tuple[int, ...]]:
    """The events of a payload, and the codes of the steps of their amplitudes, one per channel."""
    known = start_of(dictionary, n, channels)
    mixer = new_mixer(n * channels, data, known.state)
    events, setting, _, _ = _decode_start(mixer, n, channels, dictionary, known)
    return no_events(channels) if events is None else events, setting.codes


def _decode(
    data: bytes, n: int, channels: int, dictionary: Dictionary | None, known: Known
) -> Decoded:
    mixer = new_mixer(n * channels, data, known.state)
    events, setting, alike, bounded = _decode_start(mixer, n, channels, dictionary, known)
    drawn = np.zeros((channels, n), np.int64)
    if events is not None:
        assert dictionary is not None
        drawn = synthesize(events, setting.codes, dictionary, n)
    q: list[list[np.ndarray]] = []
    for c, code in enumerate(setting.codes):
        step = step_size(code)
        other = q[-1] if q else [_NONE] * (_levels(n) + 1)
        q.append([np.zeros(size, np.int64) for size in wavelet.band_sizes(n, _levels(n))])
        _code_bands(mixer, q[c], None, 0, _beside(drawn[c], step, n, events is not None), other)
        if any(int(np.abs(band).max(initial=0)) * step >= _LARGEST for band in q[c]):
            raise CorruptStream("a coefficient is beyond what 32-bit samples can have")
    if not alike:
        first, second = (code_raw_bits(mixer.m, mixer.data, 0, 6) for _ in range(2))
        setting = replace(setting, centers=(first, second))
    y = np.empty((n, channels), np.int64)
    for c, code in enumerate(setting.codes):
        y[:, c] = _rebuild(q[c], setting.centers, step_size(code), drawn[c])
        if bounded:
            y[:, c] += _code_corrections(mixer, np.zeros(n, np.int64), None, y[:, c])
    return Decoded(y, Known(known.state, known.memory, setting))


def _decode_start(
    mixer: Mixer, n: int, channels: int, dictionary: Dictionary | None, known: Known
) -> tuple[Events | None, Setting, bool, int]:
    """Events, if any; setting; whether that is the dictionary's; whether there is a bound."""
    with_events, bounded = _code_bit(mixer, 0), _code_bit(mixer, 0)
    alike = known.setting is not None and _code_bit(mixer, 0) == 1
    setting = known.setting if alike else _decode_setting(mixer, channels)
    assert setting is not None
    if not with_events:
        return None, setting, alike, bounded
    if dictionary is None or len(dictionary.kernels) == 0:
        raise CorruptStream("a chunk has events, but there are no kernels for them")
    events = _decode_events(mixer, n, channels, setting.bin_bits, dictionary, known.memory)
    return events, setting, alike, bounded


def start_of(dictionary: Dictionary | None, n: int, channels: int) -> Known:
    """What a chunk starts from."""
    if dictionary is None:
        return Known(new_state(n * channels), new_memory(0, channels), None)
    if dictionary.kernels.shape[1] != channels:
        of = dictionary.kernels.shape[1]
        raise CorruptStream(f"a dictionary of {of} channels for a chunk of {channels}")
    if dictionary.samples == 0:
        return Known(new_state(n * channels), new_memory(len(dictionary.kernels), channels), None)
    learned = _learned(dictionary.data)
    return Known(State(*(a.copy() for a in learned.state)), learned.memory.copy(), learned.setting)


@functools.lru_cache(maxsize=4)
def _learned(data: bytes) -> Known:
    """What the excerpt of a dictionary teaches: all that decoding it leaves behind."""
    dictionary = read(data)
    channels = dictionary.kernels.shape[1]
    known = _start_of_excerpt(dictionary, dictionary.samples)
    return _decode(dictionary.excerpt, dictionary.samples, channels, dictionary, known).known


def _start_of_excerpt(dictionary: Dictionary, samples: int) -> Known:
    count, channels, _ = dictionary.kernels.shape
    return Known(new_state(samples * channels, EXCERPT_BITS), new_memory(count, channels), None)


def learn_from(x: np.ndarray, plan: Plan, dictionary: Dictionary) -> Dictionary:
    """The dictionary with an excerpt, int64 (n, channels), from which chunks learn."""
    payload, _, _ = encode(x, plan, dictionary, _start_of_excerpt(dictionary, len(x)))
    return with_excerpt(dictionary, len(x), payload)


def synthesize(
    events: Events, codes: tuple[int, ...], dictionary: Dictionary, n: int
) -> np.ndarray:
    """The sum of the events' kernels, int64 (channels, n), in 1/256 of a sample."""
    length = dictionary.kernels.shape[2]
    drawn = np.zeros((len(codes), n), np.int64)
    for c, code in enumerate(codes):
        amplitudes = events.amplitudes[:, c] * step_size(code)
        kernels = dictionary.kernels[:, c]
        row = drawn[c]
        for t, k, a in zip(events.positions, events.kernels, amplitudes, strict=True):
            if a:
                row[t : t + length] += (a * kernels[k] + (1 << (SCALE - 1))) >> SCALE
    return drawn


def bands_of(x: np.ndarray) -> list[np.ndarray]:
    """The coefficients of one channel's samples, in 1/256."""
    return wavelet.analyze(x << wavelet.FRACTION, _levels(len(x)))


def _levels(n: int) -> int:
    """Levels of the wavelet: so many that four coefficients or more remain."""
    return min(MAX_LEVELS, max(0, n.bit_length() - 3))


def _beside(drawn: np.ndarray, step: int, n: int, with_events: bool) -> list[np.ndarray]:
    """The events' own coefficients, in steps."""
    if not with_events:
        return [_NONE] * (_levels(n) + 1)
    return [(band + step // 2) // step for band in wavelet.analyze(drawn, _levels(n))]


def _code_bit(mixer: Mixer, bit: int) -> int:
    return int(code_raw_bits(mixer.m, mixer.data, bit, 1))


def _code_setting(mixer: Mixer, setting: Setting, known: Setting | None, alike: bool) -> Setting:
    """Code whether the setting is the dictionary's, and what it is; the setting in use."""
    if known is not None:
        _code_bit(mixer, int(alike))
        if alike:
            return known
    for code in setting.codes:
        code_raw_bits(mixer.m, mixer.data, code, STEP_CODE_BITS)
    code_raw_bits(mixer.m, mixer.data, setting.bin_bits, 4)
    return setting


def _decode_setting(mixer: Mixer, channels: int) -> Setting:
    raw = (mixer.m, mixer.data)
    codes = tuple(int(code_raw_bits(*raw, 0, STEP_CODE_BITS)) for _ in range(channels))
    return Setting(codes, int(code_raw_bits(*raw, 0, 4)))


def _quantize_channel(
    mixer: Mixer,
    rest: list[np.ndarray],
    step: int,
    penalty: int,
    beside: list[np.ndarray],
    other: list[np.ndarray],
) -> list[np.ndarray]:
    """Quantize and code a channel's coefficients; what the coder made of them."""
    sizes = [np.abs(band) for band in rest]
    q = [np.sign(b) * ((size + step // 2) // step) for b, size in zip(rest, sizes, strict=True)]
    magnitudes = [(size << 8) // step for size in sizes]
    _code_bands(mixer, q, magnitudes, penalty, beside, other)
    return q


def _code_bands(
    mixer: Mixer,
    q: list[np.ndarray],
    magnitudes: list[np.ndarray] | None,
    penalty: int,
    beside: list[np.ndarray],
    other: list[np.ndarray],
) -> None:
    """Code the bands, coarsest first; the approximation as differences."""
    differences = np.diff(q[0], prepend=0)
    code_band(*mixer, differences, _NONE, 0, _NONE, _NONE, _NONE, _NONE, 0, 0)
    q[0][:] = np.cumsum(differences)
    parent = grandparent = _NONE
    for j, band in enumerate(q[1:], 1):
        level = MAX_LEVELS + 1 - (len(q) - j)  # the finest has the same number in every chunk
        if code_simple_bit(mixer.m, mixer.data, 800 + level, int(band.any())):
            code_band(
                *mixer, band, magnitudes[j] if magnitudes else _NONE, penalty, parent, grandparent,
                beside[j], other[j], level, int(j > len(q) - 3),
            )  # fmt: skip
        parent, grandparent = band, parent


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


def _code_events(
    mixer: Mixer, events: Events, count: int, n: int, bin_bits: int, dictionary: Dictionary,
    memory: np.ndarray,
) -> int:  # fmt: skip
    kernels, channels, _ = dictionary.kernels.shape
    return int(
        code_events(
            *mixer, events.positions, events.kernels, events.amplitudes.reshape(-1), count, n,
            bin_bits, tree_bits(kernels), channels, memory,
        )
    )  # fmt: skip


def _decode_events(
    mixer: Mixer, n: int, channels: int, bin_bits: int, dictionary: Dictionary, memory: np.ndarray
) -> Events:
    room = capacity(n, dictionary.kernels.shape[2])
    empty = Events(
        np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros((room, channels), np.int64)
    )
    count = _code_events(mixer, empty, 0, n, bin_bits, dictionary, memory)
    if count < 0:
        raise CorruptStream("an event lies outside its chunk")
    events = Events(empty.positions[:count], empty.kernels[:count], empty.amplitudes[:count])
    if (events.positions > n - dictionary.kernels.shape[2]).any():
        raise CorruptStream("an event lies outside its chunk")
    if (events.kernels >= len(dictionary.kernels)).any():
        raise CorruptStream(f"an event has a kernel beyond the {len(dictionary.kernels)} there are")
    if int(np.abs(events.amplitudes).max(initial=0)) >= 1 << 24:
        raise CorruptStream("an event's amplitude is beyond 24 bits")
    return events


def _code_corrections(
    mixer: Mixer, corrections: np.ndarray, bound: int | None, y: np.ndarray
) -> np.ndarray:
    """Code a channel's corrections and its bound (decoding, None); what is added to its samples."""
    bound = int(code_number(mixer.m, mixer.data, 900, bound or 0))
    slope = np.diff(y, prepend=y[:1]) // (bound + 1)
    code_band(*mixer, corrections, _NONE, 0, _NONE, _NONE, slope, _NONE, _CORRECTIONS, 1)
    if int(np.abs(corrections).max(initial=0)) * (2 * bound + 1) >= _LARGEST:
        raise CorruptStream("a correction is beyond 32-bit samples")
    return corrections * (2 * bound + 1)
