"""How the quantizer's steps are moved until a target is just met.

A signal is cut into chunks that share their steps and their dictionary. Steps are guessed from the
coefficients alone, and events and dictionary are chosen for them (see `trials`). Then the chunks
are encoded again with other steps, until the error is just below what is allowed.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from san.codec.modes.transform import PENALTY, step_code
from san.codec.search.excerpts import EXCERPT_PIECES
from san.codec.search.learning import excerpts_of
from san.codec.search.steps import HIGHEST_CODE, SLOPE, Bracket, guess_code
from san.codec.search.trials import (
    Encoded,
    Signal,
    Trial,
    choose,
    choose_within,
    size_at,
    size_of,
)

# Encodings until the error must be close enough. Each costs a pass of the encoder; with fewer, more
# streams end further below the error that is allowed (with 5, one of the tests has 3 % more bytes).
TRIES = 10
MOST_TRIES = 20  # while an error is far below what is allowed
LAST_TRIES = 3  # of them; until then all channels must have fitted in one encoding
# Codes (128 an octave) that a channel above its limit goes back at least, if they have not; each
# further time twice as many, so that even the finest steps are reached in few encodings.
STEP_BACK = 2
# Above this error, relative to the deviation, events of much finer steps are tried too, because so
# coarse steps hide most of a beat. A lower limit costs time and seldom pays.
COARSE, FINEST = 0.13, (4.0, 6.0)
# So many of the best trials of a longer signal are encoded again, with steps that nearly make the
# error that is allowed. What this saves alone was not measured.
CODED_NEARBY = 2
# If the bytes with events are above this share of those without, the target is met without events
# too, and the smaller stream is taken. A larger share saves that time, and may miss it.
CLEARLY = 0.8
# Steps that are tried under a bound, as multiples of 2 · bound + 1, the range of errors it allows;
# the first is used to choose. Each further one costs a pass. Where the second is the better one of
# the first two, the finest is tried in the place of the third. Where the third is the best, a still
# coarser one is tried.
BOUND_STEPS, FINEST_BOUND_STEP, COARSEST_BOUND_STEP = (1.5, 1.2, 1.8), 1.0, 2.2
# Where a value of a longer signal takes from the first to the second number of bits without events,
# finer steps have fewer bytes: the second step is used to choose then, and the finest is the next.
# Only where that has so many times the bytes, the first of the above is tried as well.
BITS_OF_FINER_STEPS, MUCH_MORE = (0.5, 1.8), 1.01
BESIDE_BEST = (-16, 16)  # codes from the best, 128 an octave, that signals of few values try too
# They also try the best so many steps with a bit that is worth less, as shares of what it usually
# is. Without, a stream of five minutes of PPG has 1.4 % more bytes.
BEST_WITH_LESS_WORTH, WORTH_LESS = 2, (0.6, 1.0)
EXCERPT_VALUES = 1 << 16  # tell the bits without events
# The share of the energy that is allowed as an error when a size is the target: only where the
# search begins, which halves its range in each step.
FIRST_ERROR = 0.01

# At the end, steps are tried that are so many codes finer, where a bit is worth more: so much more
# that the error is nearly what is allowed. Each costs up to PENALTIES_TRIED encodings; streams of
# MIT-BIH leads have about 1 % fewer bytes then. Without events one is tried, because the rest of
# the search takes little time.
FINER_CODES, FINER_WITHOUT_EVENTS, PENALTIES_TRIED = (5, 10), (2,), 4
FINER_OF_FEW_VALUES = (5, 10, 2, 16)  # there is time for more of them
# The error's root grows as what a bit is worth to the power GROWTH, about. Its logarithm moves by
# MOST_WORTH at most. An error is near enough where less than this share of it is left.
GROWTH, MOST_WORTH, NEAR_ENOUGH = 0.12, 1.0, 0.0014

Progress = Callable[[float], None]


class Demands(NamedTuple):
    """What an encoding is held to, channel by channel."""

    allowed: np.ndarray  # the squared error
    bounds: tuple[int, ...] | None  # of every sample
    highest: tuple[int, ...]  # codes of steps beyond which no search goes


def meet_bounds(signal: Signal, bounds: tuple[int, ...], progress: Progress) -> Encoded:
    """Encode with corrections, so that no sample is off by more than its channel's bound."""
    first, second, third = BOUND_STEPS
    long = signal.given is None and len(signal.chunks) == 1 and not signal.has_few_values
    bits = bits_without_events(signal, bounds) if long else 0.0
    finer = BITS_OF_FINER_STEPS[0] < bits < BITS_OF_FINER_STEPS[1]
    if finer:
        first, second = second, FINEST_BOUND_STEP
    codes, searched = steps_under(bounds, first), BOUND_STEPS[0] / first
    if signal.is_usual(bits) and signal.events_wanted and not signal.thorough:
        choice, at_first = choose_within(signal, codes, bounds, searched, bits)
    else:
        ((choice, at_first), *_), _ = choose(signal, codes, bounds, searched)
    progress(0.5)
    tried = [at_first, signal.encode(steps_under(bounds, second), choice, bounds)]
    progress(0.7)
    better = tried[1].size < at_first.size
    if finer:
        beyond = BOUND_STEPS[0] if tried[1].size > MUCH_MORE * at_first.size else None
    else:
        beyond = FINEST_BOUND_STEP if better else third
    if beyond is not None:
        tried.append(signal.encode(steps_under(bounds, beyond), choice, bounds))
    best = min(tried, key=size_of)
    if beyond == third and best is tried[-1]:
        tried.append(signal.encode(steps_under(bounds, COARSEST_BOUND_STEP), choice, bounds))
    few = signal.has_few_values or (long and not signal.is_usual(bits))
    if few or signal.thorough:  # there is time for more
        for code in BESIDE_BEST:
            codes = tuple(max(0, each + code) for each in best.codes)
            tried.append(signal.encode(codes, choice, bounds))
        for encoded in sorted(tried, key=size_of)[:BEST_WITH_LESS_WORTH]:
            for share in WORTH_LESS:
                penalties = (round(PENALTY * share),) * len(bounds)
                tried.append(signal.encode(encoded.codes, choice, bounds, penalties))
    return min(tried, key=size_of)


def bits_without_events(signal: Signal, bounds: tuple[int, ...]) -> float:
    """The bits of a value without events, by an excerpt."""
    length = max(1, EXCERPT_VALUES // (EXCERPT_PIECES * len(bounds)))
    pieces = excerpts_of(signal.x.T, length, EXCERPT_PIECES)
    excerpt = np.ascontiguousarray(np.concatenate(pieces, axis=1).T)
    part = Signal(excerpt, len(excerpt), signal.fs, None, False)
    return 8 * part.encode(steps_under(bounds), part.none(), bounds).size / excerpt.size


def meet_error(
    signal: Signal, allowed: np.ndarray, progress: Progress,
    bounds: tuple[int, ...] | None = None,
) -> Encoded | None:  # fmt: skip
    """Encode so that the squared error of each channel is at most what is allowed, if possible.

    With bounds, corrections keep every sample within them too.
    """
    demands = Demands(allowed, bounds, (HIGHEST_CODE,) * len(allowed))
    codes = guess_codes(signal, allowed)
    progress(0.1)
    finalists, plain = choose(signal, codes)
    if not signal.is_short:
        time = signal.thorough or signal.has_few_values
        nearby = finalists if time else finalists[:CODED_NEARBY]
        finalists = _best_nearby(signal, nearby, allowed)[: len(nearby) if time else 1]
    tried = [_meet(signal, trial.encoded.codes, trial, demands, progress) for trial in finalists]
    if signal.events_wanted and allowed.sum() > COARSE**2 * _energy(signal.x).sum():
        for finer in FINEST:
            choices = [signal.every(found) for found in signal.searches(codes, finer)]
            trials = [Trial(choice, signal.encode(codes, choice)) for choice in choices]
            if trials:
                trial = min(trials, key=lambda trial: size_at(trial.encoded, plain.encoded.error))
                tried.append(_meet(signal, codes, trial, demands, progress))
    best = _smallest(tried)
    with_events = any(finalists[0].choice.with_events)
    if with_events and (best is None or best.encoded.size > CLEARLY * plain.encoded.size):
        best = _smallest([best, _meet(signal, codes, plain, demands, progress)])
    return None if best is None else _use_up(signal, best, demands)


def meet_size(signal: Signal, room: float, progress: Progress) -> Encoded:
    """Encode in at most so many bytes, or with the largest step where they do not suffice."""
    codes = np.array(guess_codes(signal, FIRST_ERROR * _energy(signal.x) + 1e-9))
    ((choice, encoded), *_), _ = choose(signal, tuple(codes.tolist()))
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


def guess_codes(signal: Signal, allowed: np.ndarray) -> tuple[int, ...]:
    """Step codes at which a plain quantizer would make the squared error of each channel."""
    channels = range(signal.x.shape[1])
    return tuple(
        guess_code([piece[:, c] for piece in signal.chunks], float(allowed[c])) for c in channels
    )


def _energy(x: np.ndarray) -> np.ndarray:
    """Squared differences from the mean, of each channel."""
    return ((x - x.mean(0)).astype(np.float64) ** 2).sum(0)


def _smallest(tried: Sequence[Trial | None]) -> Trial | None:
    found = (trial for trial in tried if trial)
    return min(found, key=lambda trial: trial.encoded.size, default=None)


def _best_nearby(signal: Signal, trials: Sequence[Trial], allowed: np.ndarray) -> list[Trial]:
    """Trials by their bytes at about the error that is allowed, the fewest first.

    Each is encoded again with the steps that probably make it. Where trials differ much in their
    errors, the first sizes mislead.
    """
    if len(trials) == 1:
        return list(trials)
    again = []
    for choice, encoded in trials:
        bracket = [Bracket(code) for code in encoded.codes]
        for one, ratio in zip(bracket, np.exp(_ratio(encoded, allowed)), strict=True):
            one.see(float(ratio))
        codes = tuple(one.code for one in bracket)
        moved = codes != encoded.codes
        again.append(Trial(choice, signal.encode(codes, choice) if moved else encoded))
    return sorted(again, key=lambda trial: size_at(trial.encoded, allowed))


def _meet(
    signal: Signal, codes: tuple[int, ...], first: Trial, demands: Demands, progress: Progress
) -> Trial | None:
    """Meet the demands of a choice's errors; where bounds are broken then, with corrections."""
    found = _converge(signal, codes, first, demands, progress)
    bounds = demands.bounds
    if bounds is None or found is None or (found.encoded.largest <= bounds).all():
        return found
    tried: list[Trial | None] = []
    for relative in BOUND_STEPS:
        highest = steps_under(bounds, relative)
        begin = tuple(map(min, found.encoded.codes, highest))
        corrected = Trial(first.choice, signal.encode(begin, first.choice, bounds))
        under = demands._replace(highest=highest)
        tried.append(_converge(signal, begin, corrected, under, progress, bounds))
    return _smallest(tried)


def steps_under(bounds: tuple[int, ...], relative: float = BOUND_STEPS[0]) -> tuple[int, ...]:
    """Codes of steps that are so many times the range of errors that bounds allow."""
    return tuple(step_code((2 * bound + 1) * relative) for bound in bounds)


def _converge(
    signal: Signal, codes: tuple[int, ...], first: Trial, demands: Demands, progress: Progress,
    bounds: tuple[int, ...] | None = None,
) -> Trial | None:  # fmt: skip
    """Move the steps until the error of each channel is just below what is allowed.

    None only where a channel has a larger error at the finest step.
    """
    choice, encoded = first
    best: Encoded | None = None
    bracket = [Bracket(*each) for each in zip(codes, demands.highest, strict=True)]
    for attempt in itertools.count():
        progress(0.4 + 0.6 * min(1, attempt / TRIES))
        if attempt:
            codes = tuple(one.code for one in bracket)
            encoded = signal.encode(codes, choice, bounds)
        ratio = np.sqrt(encoded.error / np.maximum(demands.allowed, 1e-30))
        if (ratio <= 1).all() and (best is None or encoded.size < best.size):
            best = encoded
        for one, r in zip(bracket, ratio, strict=True):
            one.see(float(r))
        if all(one.done for one in bracket) or any(one.finest for one in bracket):
            break
        most = MOST_TRIES if any(one.is_far for one in bracket) else TRIES
        if best is not None and attempt + 1 >= most:
            break
        late = attempt - (TRIES - LAST_TRIES)
        if late >= 0 and best is None:
            for one, code in zip(bracket, codes, strict=True):
                one.retreat_from(code, STEP_BACK << late)
    return None if best is None else Trial(choice, best)


def _use_up(signal: Signal, trial: Trial, demands: Demands) -> Encoded:
    """Let bits be worth more, channel by channel, until the errors are nearly what is allowed."""
    choice, best = trial
    allowed, bounds = demands.allowed, demands.bounds
    live = (allowed > 0) & (best.error > 0)
    first, start = np.array(best.codes), _ratio(best, allowed)
    slope = np.full(len(allowed), GROWTH)
    usual = FINER_OF_FEW_VALUES if signal.has_few_values else FINER_CODES
    for back in usual if any(choice.with_events) else FINER_WITHOUT_EVENTS:
        codes = tuple(np.maximum(first - back, 0).tolist())
        worth, ratio = np.zeros(len(allowed)), start - back * SLOPE * np.log(2) / 128
        for attempt in range(PENALTIES_TRIED):
            if ((ratio <= 0) & (ratio > -NEAR_ENOUGH))[live].all():
                break
            left = np.where(live, -NEAR_ENOUGH / 2 * max(1, attempt) - ratio, 0)
            moved = np.clip(worth + left / slope, -MOST_WORTH, MOST_WORTH)
            penalties = tuple(np.rint(PENALTY * np.exp(moved)).astype(int).tolist())
            encoded = signal.encode(codes, choice, penalties=penalties)
            after, by = _ratio(encoded, allowed), moved - worth
            known = np.abs(by) > 0.03  # less is lost in what rounding changes
            measured = (after - ratio) / np.where(known, by, 1)
            slope = np.where(known, np.clip(measured, GROWTH / 4, 3 * GROWTH), slope)
            worth, ratio = moved, after
            holds = (encoded.error <= allowed).all()
            holds &= bounds is None or (encoded.largest <= bounds).all()
            if holds and encoded.size < best.size:
                best = encoded
    return best


def _ratio(encoded: Encoded, allowed: np.ndarray) -> np.ndarray:
    """The logarithm of the root of each error over the allowed one."""
    return np.log(np.maximum(encoded.error, 1e-30) / np.maximum(allowed, 1e-30)) / 2
