"""Which events and which dictionary suit a signal: each choice is tried, the cheapest is taken."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from san.codec.modes import transform
from san.codec.modes.dictionary import Dictionary
from san.codec.modes.events import QuantizedEvents
from san.codec.modes.transform import AMPLITUDE_BITS, Plan, Setting
from san.codec.search.beginnings import MANY, Care
from san.codec.search.excerpts import (
    EXCERPT_PIECES,
    SHORTEST_EXCERPT,
    bin_bits_for,
    find_events,
    with_excerpt,
)
from san.codec.search.finding import CPU
from san.codec.search.learning import (
    WORTH_CODING,
    Learned,
    as_floats,
    kernel_length,
    learn_ranked,
    learn_several,
)
from san.codec.search.steps import step_of

# Kernels are learned for at most so many channels. All channels share the positions of events,
# which seldom suits more of them, and the time to learn grows with the channels.
MOST_CHANNELS = 16
# Bytes fall as the squared error to this power rises: so choices of different errors are compared.
# A larger value prefers a small error to few bytes. 0.5 and 1.0 choose the same in the tests.
RATE_OF_ERROR = 0.725
# The same of the bytes of coefficients where there are events: 0.8 to 2.7 was seen, at PRDNs of 5
# to 12.
RATE_OF_COEFFICIENTS = 1.2
# What a bit is worth within bounds, in a longer signal. With PENALTY itself, MIT-BIH leads have 0.1
# to 0.2 % more bytes within 2 and 5 steps.
PENALTY_WITHIN = transform.PENALTY * 5 // 4
# An excerpt is tried where the chunks are at least so many, which share its cost, and have at most
# so many values: longer chunks learn enough by themselves. Other limits cost time or bytes.
MANY_CHUNKS, SHORT_CHUNK = 8, 1 << 16
# Shares of the signal that are tried as the excerpt. Larger ones teach more, and cost more bytes.
# On 14 chunks of the tests both save 7 % (PRDN) and 13 % (a bound); the first alone 6 and 5 %.
EXCERPT_SHARES = (1 / 24, 1 / 12)
# Events are searched as for steps so many times finer, in turn: finer steps give more events, which
# pay where the noise is small. Each value costs a search. With the first alone, streams of the
# tests have up to 8 % more bytes.
FINER = (1.0, 2.5)
# The kernels of so many of the best trials are tried with events between those two as well. Record
# 106 of MIT-BIH has 2.3 % fewer bytes at a PRDN of 4. Of 33 other streams two grew, by 0.5 %. It
# takes 1 to 4 % of the time.
BETWEEN, TRIED_BETWEEN = 1.6, 2
# Events that bring the bytes below this share of those without events are good enough: the next
# value of FINER is not tried. A larger share saves time and may miss a better choice: with 0.75,
# leads V1 of records 112 and 119 of MIT-BIH have 26 and 33 % more bytes.
ENOUGH = 0.6
# Within a bound, what is tried depends on the bits without events. Where a kernel's length takes
# the first number of bits or more, finer events saved no bytes on any of five leads of MIT-BIH;
# below it they saved up to half. Where a value takes the second number, no events saved any. Each
# of the two rules saves half of the time. Of several channels, the first number is that of each,
# and says only how long kernels are learned: without finer events, both leads of records 100 and
# 115 had 1 and 2 % more bytes within 2 steps. An excerpt tells more bits than all of the signal
# takes: events that bring the bytes below SURELY of that do save bytes.
BITS_OF_USUAL_EVENTS, BITS_OF_NO_EVENTS, SURELY = 144.0, 1.8, 0.9
# So many of the dictionaries that seem best are coded, which tells the best of them: of a signal of
# up to MANY values, of a longer one, and with time for everything. Where events save little, it is
# one.
CODED_OF_FEW_VALUES, CODED, CODED_WITH_TIME = 3, 2, 4
# A signal of so many values and channels is short: it is coded with several dictionaries, and the
# best so many trials are brought to the target. In longer ones more beats share a kernel's bytes,
# and of 12 leads none of three that were tried had fewer bytes that way.
SHORT, FEW_CHANNELS, FINALISTS = 1 << 16, 3, 3
# A short signal of so many kernel lengths also has the dictionary of a long one among them: eight
# minutes at 125 Hz have 16 to 23 % fewer bytes with it.
MANY_BEATS = 100


@dataclass(frozen=True)
class Encoded:
    """The chunks of one trial, and the dictionary that they need."""

    payloads: list[bytes]
    dictionary: Dictionary | None
    overhead: int  # bytes of a dictionary that is carried for them
    errors: list[np.ndarray]  # of each chunk: squared, of each channel
    largest: np.ndarray
    sections: dict[str, int]
    codes: tuple[int, ...] = ()  # of the steps
    across: bool = False  # whether the payloads are of components of all channels
    decoded: list[np.ndarray] | None = None  # int64 (n, channels) of each chunk, where it is kept

    @property
    def error(self) -> np.ndarray:
        """The squared error of each channel."""
        return np.sum(self.errors, axis=0)

    @property
    def size(self) -> int:
        """Bytes of all payloads, and of the dictionary that is carried."""
        return sum(map(len, self.payloads)) + self.overhead


class Found(NamedTuple):
    """What a search found: kernels, the events of each chunk, and the steps of their amplitudes."""

    dictionary: Dictionary
    events: list[QuantizedEvents]
    steps: np.ndarray

    def events_of(self, chunk: int, codes: tuple[int, ...]) -> QuantizedEvents:
        """The events of a chunk, with amplitudes in the steps of other codes.

        Those that are too large for the format in these steps are left out.
        """
        events = self.events[chunk]
        ratio = self.steps / np.array([step_of(code) for code in codes])
        amplitudes = np.rint(events.amplitudes * ratio).astype(np.int64)
        kept = amplitudes.any(1) & (np.abs(amplitudes) < 1 << AMPLITUDE_BITS).all(1)
        return QuantizedEvents(events.starts[kept], events.kernels[kept], amplitudes[kept])


class Choice(NamedTuple):
    """How the chunks of a signal are encoded, but for their steps."""

    with_events: tuple[bool, ...]  # of each chunk
    found: Found | None = None  # where any chunk has events
    share: float = 0.0  # of the signal is an excerpt, from which the chunks learn
    use_given: bool = True  # the dictionary that was given


class Signal:
    """The chunks of a signal. Trials read it and never change it."""

    def __init__(
        self, x: np.ndarray, chunk: int, fs: float, dictionary: Dictionary | None, events: bool,
        device: str = CPU, uses: float = 1.0, thorough: bool = False,
    ) -> None:  # fmt: skip
        self.x, self.fs, self.device = x, fs, device
        self.uses = uses  # signals that share the bytes of a dictionary
        self.thorough = thorough  # whether time does not matter
        self.chunks = tuple(x[i : i + chunk] for i in range(0, len(x), chunk))
        self.given, self.events_wanted = dictionary, events
        self.bin_bits = bin_bits_for(fs)

    def every(self, found: Found) -> Choice:
        """The choice of events in all chunks."""
        return Choice((True,) * len(self.chunks), found)

    def none(self, use_given: bool = False) -> Choice:
        """The choice of no events."""
        return Choice((False,) * len(self.chunks), use_given=use_given)

    def searches(
        self, codes: tuple[int, ...], finer: float, count: int | None = None
    ) -> Iterator[Found]:
        """Events, with the given dictionary or with so many that are learned here.

        All are searched as for steps that are so many times finer. A short signal learns more.
        """
        steps = np.array([step_of(code) / finer for code in codes])
        count = count or (CODED_OF_FEW_VALUES if self.x.size <= MANY else CODED)
        count = CODED_WITH_TIME if self.thorough else count
        for dictionary, known in self._dictionaries(steps, count, finer):
            if known is not None and len(self.chunks) == 1:
                found = Found(dictionary, [known], steps)
            else:
                found = self.found_with(dictionary, steps)
            if any(map(len, found.events)):
                yield found

    def found_with(self, dictionary: Dictionary, steps: np.ndarray) -> Found:
        """Events of these kernels, searched as for these steps."""
        kernels = as_floats(dictionary)
        events = [find_events(piece, self.fs, steps, kernels, self.device) for piece in self.chunks]
        return Found(dictionary, events, steps)

    def _dictionaries(self, steps: np.ndarray, count: int, finer: float) -> list[Learned]:
        if self.given is not None:
            return [Learned(self.given, None)] if len(self.given.kernels) else []
        few = self.x.shape[1] <= MOST_CHANNELS
        return self.learned(self.x, steps, count, finer) if few else []

    def learned(
        self, x: np.ndarray, steps: np.ndarray, count: int = 1, finer: float = 1.0
    ) -> list[Learned]:
        """So many dictionaries that suit x, which is the signal or components of it.

        finer: the steps that will code what the events leave, in the steps that are given.
        """
        several = []
        if self.is_short:
            found = learn_several(x, self.fs, steps, self.device)
            several = [Learned(dictionary, None) for dictionary in found]
            if len(x) < MANY_BEATS * kernel_length(self.fs) and not self.thorough:
                return several
        care: Care = "thorough" if self.thorough else "brief" if count == 1 else "usual"
        worth = 1.0 if care == "brief" else WORTH_CODING
        ranked = learn_ranked(x, self.fs, steps, self.device, self.uses, care, finer, worth)
        return [*several, *ranked[:count]]

    def encode(
        self, codes: tuple[int, ...], choice: Choice, bounds: tuple[int, ...] | None = None,
        penalties: tuple[int, ...] | None = None, keep: bool = False,
    ) -> Encoded:  # fmt: skip
        """Encode all chunks with these steps and this choice, and decode them.

        With `keep`, the result has what they decode to.
        """
        setting = Setting(codes, self.bin_bits)
        long = len(self.chunks) == 1 and not self.is_short
        if bounds is not None and penalties is None and long:
            penalties = (PENALTY_WITHIN,) * len(codes)
        dictionary, overhead = self._dictionary_for(setting, choice, bounds)
        payloads, errors, sections = [], [], dict[str, int]()
        decoded: list[np.ndarray] = []
        largest = np.zeros(self.x.shape[1], np.int64)
        for i, piece in enumerate(self.chunks):
            events = None
            if choice.found is not None and choice.with_events[i]:
                events = choice.found.events_of(i, codes)
            plan = Plan(setting, events, bounds, penalties)
            payload, y, sizes = transform.encode(piece, plan, dictionary)
            payloads.append(payload)
            errors.append(((piece - y).astype(np.float64) ** 2).sum(0))
            largest = np.maximum(largest, np.abs(piece - y).max(0))
            for name, size in sizes.items():
                sections[name] = sections.get(name, 0) + size
            decoded += [y] if keep else []
        kept = decoded if keep else None
        return Encoded(
            payloads, dictionary, overhead, errors, largest, sections, codes, decoded=kept
        )

    def _dictionary_for(
        self, setting: Setting, choice: Choice, bounds: tuple[int, ...] | None
    ) -> tuple[Dictionary | None, int]:
        """The dictionary of a choice, and its bytes where the stream will carry it."""
        if self.given is not None:
            taught = choice.use_given and self.given.teacher is not None  # it is carried then
            given = self.given if choice.use_given else None
            return given, len(self.given.data) if taught else 0
        with_events = any(choice.with_events)
        dictionary = choice.found.dictionary if with_events and choice.found else None
        if choice.share > 0:
            piece = round(len(self.x) * choice.share / EXCERPT_PIECES)
            dictionary = with_excerpt(
                self.x, piece, self.fs, setting, dictionary, with_events, bounds, self.device
            )
        return dictionary, 0 if dictionary is None else round(len(dictionary.data) / self.uses)

    @property
    def is_short(self) -> bool:
        """Whether there is time to code the signal with each of several dictionaries."""
        one_chunk = len(self.chunks) == 1 and self.x.size <= SHORT
        return one_chunk and self.x.shape[1] <= FEW_CHANNELS

    @property
    def has_few_values(self) -> bool:
        """Whether there is time to look for events in every way, whatever they save."""
        return self.x.size <= MANY and self.x.shape[1] <= FEW_CHANNELS

    def is_usual(self, bits: float) -> bool:
        """Whether usual events are enough within a bound, where a value takes so many bits.

        Channels share where an event is: of several, finer events pay wherever any do.
        """
        if self.x.shape[1] > 1:
            return bits > BITS_OF_NO_EVENTS
        return bits * kernel_length(self.fs) > BITS_OF_USUAL_EVENTS

    def learns_briefly(self, bits: float) -> bool:
        """Whether kernels of several channels are learned in little time within a bound."""
        if self.x.shape[1] == 1 or self.has_few_values or self.thorough:
            return False
        return bits * kernel_length(self.fs) > BITS_OF_USUAL_EVENTS * self.x.shape[1]

    @property
    def may_learn(self) -> bool:
        """Whether an excerpt may pay."""
        enough = len(self.x) * EXCERPT_SHARES[0] >= SHORTEST_EXCERPT
        many = len(self.chunks) >= MANY_CHUNKS and self.chunks[0].size <= SHORT_CHUNK
        return enough and many


class Trial(NamedTuple):
    """A choice, and what it makes of the signal."""

    choice: Choice
    encoded: Encoded


def choose(
    signal: Signal, codes: tuple[int, ...], bounds: tuple[int, ...] | None = None,
    searched: float = 1.0,
) -> tuple[list[Trial], Trial]:  # fmt: skip
    """The trials that suit the steps of codes best, and the one without events.

    The best is the first of up to FINALISTS. Events are searched for as for steps so many times
    as large.
    """

    def tried(choice: Choice) -> Trial:
        return Trial(choice, signal.encode(codes, choice, bounds))

    def score(trial: Trial) -> float:
        encoded = trial.encoded
        return encoded.size if bounds else size_at(encoded, plain.encoded.error)

    def ranked(trials: list[Trial]) -> list[Trial]:
        return sorted(trials, key=score)

    plain = tried(signal.none())
    trials = [plain]
    if signal.given is not None and (signal.given.samples or signal.given.teacher):
        trials.append(tried(signal.none(use_given=True)))
    several = _finer_in_turn(signal, plain.encoded, bounds is not None)
    bits = 8 * plain.encoded.size / signal.x.size
    brief = signal.is_short or len(several) == 1 or signal.learns_briefly(bits)
    briefly = bounds is not None and brief
    for finer in several:
        for found in signal.searches(codes, finer / searched, 1 if briefly else None):
            trials.append(tried(signal.every(found)))
            if len(signal.chunks) > 1:
                better = _where_better(trials[-1].encoded, plain.encoded, bounds is not None)
                trials.append(tried(Choice(better, found)))
        enough = ranked(trials)[0].encoded.size < ENOUGH * plain.encoded.size
        if enough and not (signal.is_short or signal.thorough):
            break
    if len(several) > 1 and len(signal.chunks) == 1:
        steps = np.array([step_of(code) for code in codes]) * (searched / BETWEEN)
        for trial in ranked(trials)[:TRIED_BETWEEN]:
            if trial.choice.found is not None:
                found = signal.found_with(trial.choice.found.dictionary, steps)
                trials.append(tried(signal.every(found)))
    if signal.given is None and signal.may_learn:
        choice = ranked(trials)[0].choice
        trials += [tried(choice._replace(share=share)) for share in EXCERPT_SHARES]
    return ranked(trials)[:FINALISTS], plain


def choose_within(
    signal: Signal, codes: tuple[int, ...], bounds: tuple[int, ...], searched: float, bits: float
) -> Trial:
    """The trial that suits bounds best where events save little; parameters as of `choose`.

    The signal is long and has one chunk. bits: of a value without events, by an excerpt. All is
    coded without events only where that may be the best trial.
    """
    trials: list[Trial] = []
    if bits <= BITS_OF_NO_EVENTS:
        for found in signal.searches(codes, FINER[0] / searched, 1):
            choice = signal.every(found)
            trials.append(Trial(choice, signal.encode(codes, choice, bounds)))
    if not any(8 * trial.encoded.size < SURELY * bits * signal.x.size for trial in trials):
        trials.append(Trial(signal.none(), signal.encode(codes, signal.none(), bounds)))
    return min(trials, key=lambda trial: trial.encoded.size)


def _finer_in_turn(signal: Signal, plain: Encoded, bounded: bool) -> tuple[float, ...]:
    """How much finer than the steps those are that events are searched for, in turn."""
    if not signal.events_wanted:
        return ()
    every = signal.has_few_values or signal.thorough or signal.given is not None
    if every or not bounded:
        return FINER
    bits = 8 * plain.size / signal.x.size
    if bits > BITS_OF_NO_EVENTS:
        return ()
    return FINER[:1] if signal.is_usual(bits) else FINER


def _where_better(events: Encoded, plain: Encoded, bounded: bool) -> tuple[bool, ...]:
    """The chunks which events make smaller, at the same error."""

    def scores(encoded: Encoded) -> list[float]:
        error = [0.0 if bounded else _logarithm(e) for e in encoded.errors]
        sizes = map(len, encoded.payloads)
        return [np.log(size) + RATE_OF_ERROR * e for size, e in zip(sizes, error, strict=True)]

    return tuple(a < b for a, b in zip(scores(events), scores(plain), strict=True))


def size_at(encoded: Encoded, error: np.ndarray) -> float:
    """The bytes that this would take with steps that make the error of each channel.

    With larger steps there are fewer bytes of coefficients, and as many of events and kernels.
    """
    change = _logarithm(encoded.error) - _logarithm(error)
    coefficients = encoded.sections.get("coefficients", 0)
    return encoded.size + coefficients * (np.exp(RATE_OF_COEFFICIENTS * change) - 1)


def size_of(encoded: Encoded) -> float:
    """The smaller, the fewer bytes."""
    return encoded.size


def score_of(encoded: Encoded) -> float:
    """The smaller, the fewer bytes at the same error."""
    return float(np.log(max(1, encoded.size))) + RATE_OF_ERROR * _logarithm(encoded.error)


def _logarithm(error: np.ndarray) -> float:
    return float(np.log(np.maximum(error, 1e-9)).mean())
