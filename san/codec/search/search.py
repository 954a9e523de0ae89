"""The encoder's choices: which events, which quantizer steps, so that a target is just met.

A signal is cut into chunks that share their steps and their dictionary. Steps are guessed from the
coefficients alone, the dictionary is learned and the events are searched for them; then the chunks
are encoded, and the steps moved, until the error is just below what is allowed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from san.codec.modes import transform
from san.codec.modes.dictionary import Dictionary, no_kernels
from san.codec.modes.events import Events, no_events
from san.codec.modes.transform import Plan, Setting, step_code, step_size
from san.codec.search.learning import as_floats, excerpts_of, learn, without_slow
from san.codec.search.pursuit import pursue

TRIES = 10
MOST_CHANNELS = 16  # of signals for which kernels are learned
CLOSE = 0.004  # of the target's root mean square error: near enough
RATE_OF_ERROR = 0.725  # bytes fall as the squared error to this power rises
SLOPE = 0.75  # the error grows as the step to this power
HIGHEST_CODE = 2900
_AIM = float(np.log2(1 - CLOSE / 2))
SHORT_CHUNK, MANY_CHUNKS = 1 << 16, 8  # chunks that may learn from an excerpt
EXCERPT_SHARES = (1 / 24, 1 / 12)  # of a signal, tried as the excerpt
EXCERPT_PIECES = 4
SHORTEST_EXCERPT = 64  # samples
SHARED_EXCERPT = 1 << 15  # samples from which signals that share a dictionary learn
FINER = (1.0, 2.5)  # events are searched as for steps so many times finer
COARSE, FINEST = 0.13, (4.0, 6.0)  # above this error, relative, events of finer steps are tried too
CLEARLY = 0.8  # of the bytes without events: else both are brought to the target
ENOUGH = 0.7  # of the bytes without events: then no finer steps are tried
BOUND_STEPS = (1.5, 1.2, 1.8)  # steps tried under a bound, as multiples of 2 · bound + 1
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Encoded:
    """Chunks at one setting, and the dictionary they need."""

    payloads: list[bytes]
    dictionary: Dictionary | None
    overhead: int  # bytes of a dictionary that is carried for them
    errors: list[np.ndarray]  # of each chunk: squared, of each channel
    largest: np.ndarray
    sections: dict[str, int]

    @property
    def error(self) -> np.ndarray:
        return np.sum(self.errors, axis=0)

    @property
    def size(self) -> int:
        return sum(map(len, self.payloads)) + self.overhead


class Found(NamedTuple):
    """The events of each chunk, their kernels, and the steps of their amplitudes."""

    dictionary: Dictionary
    events: list[Events]
    steps: np.ndarray


class Signal:
    """The chunks of a signal, and what was found out about them."""

    def __init__(
        self, x: np.ndarray, chunk: int, fs: float, dictionary: Dictionary | None, events: bool
    ) -> None:
        self.x, self.fs = x, fs
        self.chunks = [x[i : i + chunk] for i in range(0, len(x), chunk)]
        self.given, self.events_wanted = dictionary, events
        self.found: Found | None = None
        self.bin_bits = bin_bits_for(fs)

    def guess(self, allowed: np.ndarray) -> tuple[int, ...]:
        """Step codes at which a plain quantizer would make the squared error of each channel."""
        codes = []
        for c in range(self.x.shape[1]):
            codes.append(guess_code([piece[:, c] for piece in self.chunks], float(allowed[c])))
        return tuple(codes)

    def find_events(self, codes: tuple[int, ...], finer: float) -> bool:
        """Learn the dictionary, if none was given, and find the events; whether there are any.

        Both are done as for steps that are so many times finer.
        """
        steps = np.array([step_size(code) / 256 / finer for code in codes])
        dictionary = self.given
        if dictionary is None and self.x.shape[1] <= MOST_CHANNELS:
            dictionary = learn(self.x, self.fs, steps)
        if dictionary is None or len(dictionary.kernels) == 0:
            return False
        kernels = as_floats(dictionary)
        events = [_pursue(piece, self.fs, steps, kernels) for piece in self.chunks]
        self.found = Found(dictionary, events, steps)
        return any(map(len, events))

    def encode(
        self, codes: tuple[int, ...], choice: "Choice", bounds: tuple[int, ...] | None = None
    ) -> Encoded:
        """Encode all chunks as it was chosen."""
        setting = Setting(codes, self.bin_bits)
        dictionary, overhead = self._dictionary_for(setting, choice, bounds)
        payloads, errors, sections = [], [], dict[str, int]()
        largest = np.zeros(self.x.shape[1], np.int64)
        for i, piece in enumerate(self.chunks):
            events = self._events(i, codes) if choice.with_events[i] else None
            payload, y, sizes = transform.encode(piece, Plan(setting, events, bounds), dictionary)
            payloads.append(payload)
            errors.append(((piece - y).astype(np.float64) ** 2).sum(0))
            largest = np.maximum(largest, np.abs(piece - y).max(0))
            for name, size in sizes.items():
                sections[name] = sections.get(name, 0) + size
        return Encoded(payloads, dictionary, overhead, errors, largest, sections)

    def _dictionary_for(
        self, setting: Setting, choice: "Choice", bounds: tuple[int, ...] | None
    ) -> tuple[Dictionary | None, int]:
        """The dictionary of a choice, and its bytes where the stream will carry it."""
        if self.given is not None:
            return (self.given if choice.use_given else None), 0
        with_events = any(choice.with_events)
        dictionary = self.found.dictionary if with_events and self.found else None
        if choice.share > 0:
            pieces = round(len(self.x) * choice.share / EXCERPT_PIECES)
            x = np.concatenate(excerpts_of(self.x.T, pieces, EXCERPT_PIECES), axis=1).T
            dictionary = learn_state(
                np.ascontiguousarray(x), self.fs, setting, dictionary, with_events, bounds
            )
        return dictionary, 0 if dictionary is None else len(dictionary.data)

    def _events(self, i: int, codes: tuple[int, ...]) -> Events | None:
        """The events of a chunk, with amplitudes in the steps of codes."""
        if self.found is None:
            return None
        events = self.found.events[i]
        ratio = self.found.steps / np.array([step_size(code) / 256 for code in codes])
        amplitudes = np.rint(events.amplitudes * ratio).astype(np.int64)
        kept = amplitudes.any(1)
        return Events(events.positions[kept], events.kernels[kept], amplitudes[kept])


def learn_state(
    x: np.ndarray, fs: float, setting: Setting, dictionary: Dictionary | None,
    with_events: bool, bounds: tuple[int, ...] | None = None,
) -> Dictionary:  # fmt: skip
    """A dictionary with the excerpt x, int64 (n, channels), for chunks to learn from."""
    dictionary = dictionary or no_kernels(x.shape[1])
    events = None
    if with_events:
        steps = np.array([step_size(code) / 256 for code in setting.codes])
        events = _pursue(x, fs, steps, as_floats(dictionary))
    return transform.learn_from(x, Plan(setting, events, bounds), dictionary)


def _pursue(x: np.ndarray, fs: float, steps: np.ndarray, kernels: np.ndarray) -> Events:
    if len(x) < kernels.shape[2]:
        return no_events(x.shape[1])
    fast = (without_slow(x, fs) / steps[:, None]).astype(np.float32)
    return pursue(fast, kernels)[0]


def bin_bits_for(fs: float) -> int:
    """Events are placed in bins of about 44 ms first."""
    return int(min(8, max(0, round(np.log2(0.044 * (fs or 360.0))))))


class Choice(NamedTuple):
    """What was found best for a signal."""

    with_events: tuple[bool, ...]  # of each chunk
    share: float = 0.0  # of the signal is an excerpt, from which the chunks learn
    use_given: bool = True  # the dictionary that was given


def choose(
    signal: Signal, codes: tuple[int, ...], bounds: tuple[int, ...] | None = None
) -> tuple[Choice, Encoded, Encoded]:
    """What suits the steps of codes best, the chunks so encoded, and without events."""
    score = _score if bounds is None else _size
    plain = Choice((False,) * len(signal.chunks), use_given=False)
    found = [(plain, signal.encode(codes, plain, bounds))]
    searches = [signal.found]

    def consider(choice: Choice) -> None:
        found.append((choice, signal.encode(codes, choice, bounds)))
        searches.append(signal.found)

    if signal.given is not None and signal.given.samples:
        consider(plain._replace(use_given=True))
    for finer in FINER if signal.events_wanted else ():
        if not signal.find_events(codes, finer):
            continue
        consider(Choice((True,) * len(signal.chunks)))
        if len(signal.chunks) > 1:
            consider(Choice(_where_better(found[-1][1], found[0][1], bounds is not None)))
        best = min(found, key=lambda pair: score(pair[1]))
        if best[1].size < ENOUGH * found[0][1].size:
            break
    number = min(range(len(found)), key=lambda i: score(found[i][1]))
    signal.found = searches[number]
    if signal.given is None and _may_learn(signal):
        for share in EXCERPT_SHARES:
            consider(found[number][0]._replace(share=share))
    return *min(found, key=lambda pair: score(pair[1])), found[0][1]


def _where_better(events: Encoded, plain: Encoded, bounded: bool) -> tuple[bool, ...]:
    """The chunks which events make smaller, at the same error."""

    def scores(encoded: Encoded) -> list[float]:
        error = [0.0 if bounded else _logarithm(e) for e in encoded.errors]
        sizes = map(len, encoded.payloads)
        return [np.log(size) + RATE_OF_ERROR * e for size, e in zip(sizes, error, strict=True)]

    return tuple(a < b for a, b in zip(scores(events), scores(plain), strict=True))


def _size(encoded: Encoded) -> float:
    return encoded.size


def _score(encoded: Encoded) -> float:
    """The smaller, the fewer bytes at the same error."""
    return float(np.log(max(1, encoded.size))) + RATE_OF_ERROR * _logarithm(encoded.error)


def _logarithm(error: np.ndarray) -> float:
    return float(np.log(np.maximum(error, 1e-9)).mean())


def meet_bounds(signal: Signal, bounds: tuple[int, ...], progress: Progress) -> Encoded:
    """Encode with corrections, so that no sample is off by more than its channel's bound."""
    width = np.array([2 * bound + 1 for bound in bounds])
    tried: list[Encoded] = []
    choice: Choice | None = None
    for i, relative in enumerate(BOUND_STEPS):
        codes = tuple(step_code(float(w)) for w in width * relative)
        if choice is None:
            choice, encoded, _ = choose(signal, codes, bounds)
        else:
            encoded = signal.encode(codes, choice, bounds)
        tried.append(encoded)
        progress(0.3 + 0.5 * (i + 1) / len(BOUND_STEPS))
    return min(tried, key=lambda encoded: encoded.size)


def meet_error(signal: Signal, allowed: np.ndarray, progress: Progress) -> Encoded | None:
    """Encode so that the squared error of each channel is at most what is allowed, if possible."""
    codes = signal.guess(allowed)
    progress(0.1)
    choice, encoded, plain = choose(signal, codes)
    best = _converge(signal, codes, choice, encoded, allowed, progress)
    if signal.events_wanted and allowed.sum() > COARSE**2 * _energy(signal.x).sum():
        tried = [best]
        for finer in FINEST:
            if signal.find_events(codes, finer):
                every = Choice((True,) * len(signal.chunks))
                encoded = signal.encode(codes, every)
                tried.append(_converge(signal, codes, every, encoded, allowed, progress))
        best = _smallest(tried)
    if any(choice.with_events) and (best is None or best.size > CLEARLY * plain.size):
        choice = Choice((False,) * len(signal.chunks), use_given=False)
        without = _converge(signal, codes, choice, plain, allowed, progress)
        best = _smallest([best, without])
    return best


def _smallest(tried: Sequence[Encoded | None]) -> Encoded | None:
    return min((each for each in tried if each), key=_size, default=None)


def _energy(x: np.ndarray) -> np.ndarray:
    """Squared differences from the mean, of each channel."""
    return ((x - x.mean(0)).astype(np.float64) ** 2).sum(0)


def _converge(
    signal: Signal, codes: tuple[int, ...], choice: Choice, encoded: Encoded,
    allowed: np.ndarray, progress: Progress,
) -> Encoded | None:  # fmt: skip
    """Move the steps until the error of each channel is just below what is allowed."""
    best: Encoded | None = None
    bracket = [Bracket(code) for code in codes]
    for attempt in range(TRIES):
        progress(0.4 + 0.6 * attempt / TRIES)
        if attempt:
            encoded = signal.encode(tuple(b.code for b in bracket), choice)
        ratio = np.sqrt(encoded.error / np.maximum(allowed, 1e-30))
        if (ratio <= 1).all() and (best is None or encoded.size < best.size):
            best = encoded
        for one, r in zip(bracket, ratio, strict=True):
            one.see(float(r))
        if all(one.done for one in bracket) or any(one.hopeless for one in bracket):
            break
        if attempt >= TRIES - 3 and best is None:  # what fits rather than what fits closely
            for one in bracket:
                one.step_back(8 << (attempt - TRIES + 3))
    return best


class Bracket:
    """The step code of one channel, moved until its error is just below what is allowed."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.fits: tuple[int, float] | None = None  # code, logarithm of error over allowed
        self.fails: tuple[int, float] | None = None
        self.done = self.hopeless = False

    def see(self, ratio: float) -> None:
        """Take the error at the code, over what is allowed, and choose the next code."""
        error = float(np.log2(max(ratio, 1e-6)))
        if error <= 0 and (self.fits is None or self.code >= self.fits[0]):
            self.fits = (self.code, error)
        if error > 0 and (self.fails is None or self.code < self.fails[0]):
            self.fails = (self.code, error)
        low = self.fits[0] if self.fits else -1
        high = self.fails[0] if self.fails else HIGHEST_CODE + 1
        self.done = error <= 0 and (ratio > 1 - CLOSE or high - low <= 1)
        self.hopeless = high == 0
        if self.done or self.hopeless:
            return
        if self.fits and self.fails and self.fails[1] > self.fits[1]:
            share = (_AIM - self.fits[1]) / (self.fails[1] - self.fits[1])
            proposed = low + share * (high - low)
        else:
            proposed = self.code + (_AIM - error) * 128 / SLOPE
        self.code = int(min(max(np.floor(proposed), low + 1), max(high - 1, 0)))

    def step_back(self, margin: int) -> None:
        """Choose a code that has fitted, or one that is likely to."""
        self.code = self.fits[0] if self.fits else max(0, self.code - margin)


def meet_size(signal: Signal, room: float, progress: Progress) -> Encoded:
    """Encode in at most so many bytes, or with the largest step where they do not suffice."""
    energy = _energy(signal.x)
    codes = np.array(signal.guess(0.01 * energy + 1e-9))
    choice, encoded, _ = choose(signal, tuple(codes.tolist()))
    low, high = -int(codes.min()), HIGHEST_CODE - int(codes.max())
    best: Encoded | None = None
    offset = 0
    while True:
        progress(0.4)
        if encoded.size <= room:
            best, high = encoded, min(high, offset)
        else:
            low = offset + 1
        if low >= high:
            break
        offset = (low + high) // 2
        encoded = signal.encode(tuple((codes + offset).tolist()), choice)
    return best if best is not None else encoded


def _may_learn(signal: Signal) -> bool:
    enough = len(signal.x) * EXCERPT_SHARES[0] >= SHORTEST_EXCERPT
    many = len(signal.chunks) >= MANY_CHUNKS and signal.chunks[0].size <= SHORT_CHUNK
    return enough and many


def guess_code(pieces: Sequence[np.ndarray], allowed: float) -> int:
    """The step code at which a plain quantizer would make this squared error in all pieces."""
    bands = [transform.bands_of(piece) for piece in pieces]
    size = np.abs(np.concatenate([b for piece in bands for b in piece[1:]] or [np.zeros(0)]))

    def fits(code: int) -> bool:
        step = step_size(code)
        rest = size - np.floor(size / step + 0.4) * step
        return float((rest**2).sum()) <= allowed * 65536

    return _largest(0, HIGHEST_CODE, fits)


def _largest(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest number from low to high for which a falling property holds, or low."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def learn_for(signals: Sequence[np.ndarray], fs: float, prdn: float) -> Dictionary | None:
    """A dictionary that signals, int64 (n, channels), share at an error in per cent.

    None where neither kernels nor an excerpt would save anything.
    """
    centred = [x - x.mean(0) for x in signals]
    energy = np.sum([(x**2).sum(0) for x in centred], axis=0)
    allowed = (prdn / 100) ** 2 * energy
    codes = tuple(
        guess_code([x[:, c] for x in signals], float(allowed[c])) for c in range(len(allowed))
    )
    joined = np.ascontiguousarray(np.concatenate(signals))
    kernels = learn(joined, fs, np.array([step_size(code) / 256 for code in codes]))
    setting = Setting(codes, bin_bits_for(fs))
    samples = min(len(joined), SHARED_EXCERPT // joined.shape[1])
    x = np.concatenate(excerpts_of(joined.T, samples // EXCERPT_PIECES, EXCERPT_PIECES), axis=1).T
    if len(x) < SHORTEST_EXCERPT:
        return kernels
    return learn_state(np.ascontiguousarray(x), fs, setting, kernels, kernels is not None)
