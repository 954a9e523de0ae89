"""Which mode encodes the chunks of a signal: the one that meets the target in fewer bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from san.codec.effort import Effort
from san.codec.errors import CorruptStream
from san.codec.modes.dictionary import Dictionary
from san.codec.modes.mode_numbers import ACROSS, SHARED, TRANSFORM
from san.codec.modes.payload import (
    WORTH,
    decode_payload,
    encode_fast,
    encode_predictive,
)
from san.codec.search.across import (
    fits_across,
    meet_bounds_across,
    meet_error_across,
    meet_size_across,
)
from san.codec.search.convergence import (
    Progress,
    guess_codes,
    meet_bounds,
    meet_error,
    meet_size,
    steps_under,
)
from san.codec.search.excerpts import EXCERPT_PIECES
from san.codec.search.finding import CPU
from san.codec.search.learning import excerpts_of
from san.codec.search.quick import bounds_under, meet_error_quickly
from san.codec.search.trials import Encoded, Signal, score_of, size_of
from san.codec.target import Target
from san.codec.threads import in_order

# A result is compared with the lossless one where that may be smaller: where so many values of the
# signal, coded alone without loss, take less than so many times its bits a value. They are coded
# from few samples, so the whole signal takes less. Larger numbers cost time, smaller ones may miss
# that lossless has fewer bytes.
EXCERPT_VALUES, LEARNED_LATER = 1 << 13, 3.0
# Channels are not coded one by one where coding them together takes less than this share of the
# bytes that one by one, without events, seems to take at the same error. Components have no use of
# a dictionary that was given, which may save more than that.
CLEAR, CLEAR_WITH_GIVEN = 0.9, 0.5
# Where bounds beside a PRDN leave less than this share of the squared error that is allowed, the
# bounds decide alone, and they are met alone as well.
DECIDED = 0.8
FEW_VALUES = 1 << 12  # of a signal that takes so little time that both ways are always tried
# With events, fewer channels are coded both ways: events of two leads may save more than that.
# Record 100 of MIT-BIH had 5 to 8 % more bytes where they were not looked for.
MANY_CHANNELS = 4
# Of a long signal of few channels so many samples tell whether components pay without events. Where
# they do not, components with events are not looked for either: that would take most of the time,
# and no record of two leads that was tried in full had fewer bytes with them.
TRIED_SAMPLES = 1 << 15

# Signals of several channels and up to so many values are coded without events as well, which takes
# little of the time. A minute of two ECG leads, a pulse and breath has 10 % fewer bytes that way.
MOST_VALUES_TWICE = 1 << 19

# How a part of a signal is coded that is such a share of it.
MeetPart = Callable[[Signal, float], Encoded | None]

PREDICTED_FROM = 1.0  # bits a sample from which the fast mode may be smaller than a transform


@dataclass(frozen=True)
class Coded:
    """The payloads of a signal."""

    payloads: list[bytes]
    dictionary: Dictionary | None  # the one that the chunks need
    sections: dict[str, int] = field(default_factory=dict)  # bytes of events, coefficients ...
    across: bool = False  # whether the dictionary has kernels of components, not of columns
    decoded: list[np.ndarray] | None = None  # int64 (n, columns) of each payload, where it is known

    @property
    def size(self) -> int:
        """Bytes of all payloads, without the dictionary."""
        return sum(map(len, self.payloads))


def encode_signal(
    k: np.ndarray,
    target: Target,
    *,
    fs: float,
    chunk_samples: int,
    bounds: tuple[int, ...] = (),
    dictionary: Dictionary | None = None,
    events: bool = True,
    newer_modes: bool = True,
    effort: Effort = "normal",
    device: str = CPU,
    uses: float = 1.0,
    threads: int = 1,
    progress: Progress | None = None,
) -> Coded:
    """Encode integers (n, columns), below 2**31 in magnitude, in chunks.

    Parameters
    ----------
    k : int64 (n, columns)
    target : Target
        `prdn` is of each column; `bits_per_sample` is of each integer of k. Of `max_error` the
        bounds are what counts.
    fs : float
        Sampling rate in Hz, 0 where it is unknown.
    chunk_samples : int
    bounds : tuple of int
        With `max_error`: how far the integers of each column may be off.
    dictionary : Dictionary, optional
        Kernels to use. Without it they are learned, where they save bytes.
    events : bool
        False to use no kernels.
    newer_modes : bool
        False to use only the modes that streams before version 4 have.
    effort : "fast", "normal" or "best"
        "fast" has one predictive mode and no search for kernels; "best" tries every mode, and more
        beginnings of kernels.
    device : str
        Where kernels and events are looked for: "cpu", or a device of torch.
    uses : float
        How many signals like this one will share the bytes of a dictionary that is learned here.
    threads : int
        How many chunks are coded at the same time.
    progress : callable, optional
        Called with the share that is done, 0 ... 1.
    """
    progress = progress or (lambda share: None)
    exact = (0,) * k.shape[1]
    fast = effort == "fast"

    def predict_fast(bounds: tuple[int, ...]) -> Coded:
        return _predict_fast(k, bounds, chunk_samples, threads, progress)

    def predict(bounds: tuple[int, ...]) -> Coded:
        if fast and newer_modes:
            return predict_fast(bounds)
        return _predict(k, bounds, chunk_samples, newer_modes, effort == "best", threads, progress)

    if target.exact or k.size == 0:
        return predict(exact)
    if target.max_error is not None and max(bounds) == 0:
        return predict(exact)
    if fast and target.kind == "max_error":
        return predict(bounds)
    if fast:
        dictionary, events = None, False
    signal = Signal(k, chunk_samples, fs, dictionary, events, device, uses, effort == "best")
    across = newer_modes and fits_across(k)
    plain = _quick_without_events(signal)
    found: Encoded | None
    if target.prdn is not None:
        centred = k - k.mean(0)
        allowed = (target.prdn / 100) ** 2 * (centred**2).sum(0)
        within = None if target.max_error is None else bounds
        if fast and within is None:
            quick = _quickly(signal, allowed, predict if newer_modes else None)
            return predict(exact) if quick is None else quick
        found = _within_error(signal, allowed, across, progress, within)
        if plain is not None and found is not None and found.dictionary is not None:
            found = _fewer(found, _within_error(plain, allowed, across, _silent, within))
        if within is not None:
            return _within_both(signal, found, allowed, within, across, predict)
        if found is None or 8 * found.size >= PREDICTED_FROM * k.size:
            ways = [predict, predict_fast] if newer_modes else [predict]
            several = (_predicted_within(signal, allowed, way) for way in ways)
            near = min((each for each in several if each), key=lambda each: each.size, default=None)
            if near is not None:
                return near if found is None else _smaller(found, near)
    elif target.max_error is not None:
        found = _within_bounds(signal, bounds, across, progress)
        if plain is not None and found.dictionary is not None:
            found = _fewer(found, _within_bounds(plain, bounds, across, _silent))
        return _smaller(found, predict(bounds))
    else:
        found = _within_size(signal, target.value * k.size / 8, across, progress)
    if found is None:
        return predict(exact)
    if may_be_smaller(k, exact, found.size / k.size):
        return _smaller(found, predict(exact))
    return _coded(found)


def _within_both(
    signal: Signal,
    found: Encoded | None,
    allowed: np.ndarray,
    bounds: tuple[int, ...],
    across: bool,
    predict: Callable[[tuple[int, ...]], Coded],
) -> Coded:
    """What was found within an error and bounds, or what bounds alone make, if that is smaller.

    The bounds may keep the error of the predictive mode small enough, too; else it is lossless.
    """
    k = signal.x
    if found is None or (found.error <= DECIDED * allowed).all():
        within = _within_bounds(signal, bounds, across, _silent)
        if (within.error <= allowed).all() and (found is None or within.size < found.size):
            found = within
    if found is not None and not may_be_smaller(k, bounds, found.size / k.size):
        return _coded(found)
    predicted = predict(bounds)
    if (_error_of(signal, predicted) > allowed).any():
        predicted = predict((0,) * k.shape[1])
    return predicted if found is None else _smaller(found, predicted)


def _predicted_within(
    signal: Signal, allowed: np.ndarray, predict: Callable[[tuple[int, ...]], Coded]
) -> Coded | None:
    """The predictive mode within bounds that probably make the error that is allowed.

    None where they make a larger one.
    """
    predicted = predict(bounds_under(allowed, signal.x))
    return None if (_error_of(signal, predicted) > allowed).any() else predicted


def _error_of(signal: Signal, coded: Coded) -> np.ndarray:
    """The squared error of each channel."""
    error = np.zeros(signal.x.shape[1])
    for number, piece in enumerate(signal.chunks):
        if coded.decoded is None:
            n, columns = piece.shape
            y = decode_payload(coded.payloads[number], n, columns, coded.dictionary)
        else:
            y = coded.decoded[number]
        error += ((piece - y).astype(np.float64) ** 2).sum(0)
    return error


def _quick_without_events(signal: Signal) -> Signal | None:
    """The same signal, to be coded without events besides; None where that takes long for little.

    One channel is coded without events wherever they may not pay, see `meet_error`.
    """
    channels = signal.x.shape[1]
    if signal.given is not None or not signal.events_wanted:
        return None
    if channels == 1 or signal.x.size > MOST_VALUES_TWICE:
        return None
    return Signal(signal.x, len(signal.chunks[0]), signal.fs, None, False)


def _fewer(found: Encoded, other: Encoded | None) -> Encoded:
    return found if other is None or _cost(found) <= _cost(other) else other


def _if_possible(meet: Callable[[], Encoded | None]) -> Encoded | None:
    """What `meet` finds; None where a coefficient is larger than its mode has."""
    try:
        return meet()
    except CorruptStream:
        return None


def _within_error(
    signal: Signal, allowed: np.ndarray, across: bool, progress: Progress,
    bounds: tuple[int, ...] | None,
) -> Encoded | None:  # fmt: skip
    """The smaller result of the transform modes whose errors are at most what is allowed."""
    together = None
    if across and _may_pay_together(
        signal,
        lambda part, share: meet_error_across(part, allowed * share, _silent),
        lambda part, share: meet_error(part, allowed * share, _silent),
    ):
        together = _if_possible(lambda: meet_error_across(signal, allowed, progress, bounds))
    if together is not None:
        if signal.x.size > FEW_VALUES:
            alone = signal.encode(guess_codes(signal, allowed), signal.none(), bounds)
            if np.exp(score_of(together) - score_of(alone)) < _clear(signal):
                return together
    found = _if_possible(lambda: meet_error(signal, allowed, progress, bounds))
    return min((each for each in (together, found) if each), key=_cost, default=None)


def _quickly(
    signal: Signal, allowed: np.ndarray, predict: Callable[[tuple[int, ...]], Coded] | None
) -> Coded | None:
    """A result whose errors are at most what is allowed, found in little time.

    The fast mode is tried besides where there are bits enough for it.
    """
    found = meet_error_quickly(signal, allowed)
    if found is not None and 8 * found.size < PREDICTED_FROM * signal.x.size:
        return _coded(found)
    predicted = None if predict is None else _predicted_within(signal, allowed, predict)
    if predicted is None or found is None:
        return predicted if found is None else _coded(found)
    return _smaller(found, predicted)


def _within_bounds(
    signal: Signal, bounds: tuple[int, ...], across: bool, progress: Progress
) -> Encoded:
    """The smaller result of the transform modes where no sample is beyond its channel's bound."""
    together = None
    if across and _may_pay_together(
        signal,
        lambda part, _: meet_bounds_across(part, bounds, _silent),
        lambda part, _: meet_bounds(part, bounds, _silent),
    ):
        together = _if_possible(lambda: meet_bounds_across(signal, bounds, progress))
    if together is not None:
        alone = signal.encode(steps_under(bounds), signal.none(), bounds)
        if together.size < _clear(signal) * alone.size:
            return together
    found = meet_bounds(signal, bounds, progress)
    return min((each for each in (together, found) if each), key=_cost)


def _may_pay_together(signal: Signal, together: MeetPart, alone: MeetPart) -> bool:
    """Whether coding channels together may take fewer bytes, by a part of a long signal."""
    n, channels = signal.x.shape
    if signal.is_short or not signal.events_wanted or channels >= MANY_CHANNELS:
        return True
    count = min(n, TRIED_SAMPLES)
    begin = (n - count) // 2
    part = Signal(signal.x[begin : begin + count], count, signal.fs, None, False)
    if not fits_across(part.x):
        return True
    ways = _if_possible(lambda: together(part, count / n)), alone(part, count / n)
    return ways[0] is None or ways[1] is None or ways[0].size < ways[1].size


def _silent(share: float) -> None:
    pass


def _clear(signal: Signal) -> float:
    """The share of the bytes at which coding channels together is clearly the better way."""
    if signal.events_wanted and signal.x.shape[1] < MANY_CHANNELS:
        return 0.0
    return CLEAR if signal.given is None else CLEAR_WITH_GIVEN


def _cost(encoded: Encoded) -> int:
    """The bytes of a result, and what a newer mode must save."""
    return encoded.size + WORTH * encoded.across


def _within_size(signal: Signal, room: float, across: bool, progress: Progress) -> Encoded:
    """The more exact result of the transform modes in at most so many bytes."""
    found = meet_size(signal, room, progress)
    if not across:
        return found
    together = _if_possible(lambda: meet_size_across(signal, room, progress))
    if together is None:
        return found
    if (found.size <= room) != (together.size <= room):
        return min(found, together, key=size_of)
    return min(found, together, key=score_of)


def _coded(found: Encoded) -> Coded:
    mode = bytes([ACROSS if found.across else TRANSFORM if found.dictionary is None else SHARED])
    payloads = [mode + payload for payload in found.payloads]
    return Coded(payloads, found.dictionary, found.sections, found.across, found.decoded)


def _predict(
    k: np.ndarray,
    bounds: tuple[int, ...],
    chunk_samples: int,
    newer_modes: bool,
    best: bool,
    threads: int,
    progress: Progress,
) -> Coded:
    """Every chunk in a predictive mode."""
    pieces = [k[start : start + chunk_samples] for start in range(0, len(k), chunk_samples)]
    payloads = []

    def code(piece: np.ndarray) -> bytes:
        return encode_predictive(piece, bounds, newer_modes, best)

    for payload in in_order(code, pieces, threads):
        payloads.append(payload)
        progress(min(1.0, len(payloads) * chunk_samples / len(k)))
    return Coded(payloads, None, {"predicted": sum(map(len, payloads))})


def _predict_fast(
    k: np.ndarray, bounds: tuple[int, ...], chunk_samples: int, threads: int, progress: Progress
) -> Coded:
    """Every chunk in the fast mode."""
    pieces = [k[start : start + chunk_samples] for start in range(0, len(k), chunk_samples)]
    payloads, decoded = [], []
    for payload, y in in_order(lambda piece: encode_fast(piece, bounds), pieces, threads):
        payloads.append(payload)
        decoded.append(y)
        progress(min(1.0, len(payloads) * chunk_samples / len(k)))
    return Coded(payloads, None, {"predicted": sum(map(len, payloads))}, decoded=decoded)


def may_be_smaller(k: np.ndarray, bounds: tuple[int, ...], rate: float) -> bool:
    """Whether the predictive mode may have fewer bytes a value than the rate, by an excerpt."""
    pieces = excerpts_of(
        k.T, max(1, EXCERPT_VALUES // (EXCERPT_PIECES * k.shape[1])), EXCERPT_PIECES
    )
    excerpt = np.ascontiguousarray(np.concatenate(pieces, axis=1).T)
    return len(encode_predictive(excerpt, bounds)) < LEARNED_LATER * rate * excerpt.size


def _smaller(found: Encoded, predicted: Coded) -> Coded:
    """The one of the two that has fewer bytes."""
    return _coded(found) if found.size < predicted.size else predicted
