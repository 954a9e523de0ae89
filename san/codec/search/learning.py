"""How kernels are learned from the signal itself: from typical beats to shared shapes.

Windows around the largest extrema are compared with each other. Those that explain the others best
are the first kernels. Then two steps alternate: pursuit finds events, and each kernel takes the
shape that suits its events best. A kernel that is used too little is replaced by a window that the
others explain badly. Several beginnings are tried, on pieces of the signal first. At the end
the whole signal shapes the kernels of those that promise most, and tells which are the best.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from san.codec.modes import wavelet
from san.codec.modes.dictionary import SCALE, Dictionary, quantize
from san.codec.modes.events import QuantizedEvents
from san.codec.search.beginnings import (
    ITERATIONS,
    MOST_KERNELS,
    SHORT_PRECISIONS,
    SHORT_TRIALS,
    Care,
    Start,
    way_of,
)
from san.codec.search.finding import CPU, Finder, finder_of
from san.codec.search.pursuit import Pursued, cost, peaks

CANDIDATES = 160  # windows that are compared with each other; the time grows with their square
BEFORE_PEAK = 0.35  # share of a kernel that lies before its window's extremum
EDGE = 0.2  # share of a kernel that fades out at each end
SECONDS = 0.89  # length of a kernel: one beat. Longer ones cost bytes, shorter ones miss a wave
SLOW_SECONDS = 0.71  # slower changes are left to the wavelet: kernels describe beats, not drift
EXCERPTS, EXCERPT_KERNELS = 6, 48  # learning reads 6 pieces of 48 kernel lengths; more cost time
FEWEST_LENGTHS = 4  # a signal of fewer kernel lengths has no kernels
PRECISION = 7  # of the stored kernels (see `quantize`): a larger one costs bytes
FEW_USES = 5  # a kernel with fewer events is given up
# Kernels are coded, which tells what they save, if they seem to cost at most so many times the bits
# without events. With 1, a stream of lead V5 of record 114 of MIT-BIH has 11 % more bytes.
WORTH_CODING = 1.1
# On the scale of `cost`. What is left is judged at the steps that will code it: judged at the finer
# steps that found the events, the dictionary chosen gave 1.4 % more bytes than the best of eight on
# 14 streams of MIT-BIH leads, and 16 % on one; so it is 0.4 %. The number was chosen on them.
EVENT_COST = 25.0


class _Trial(NamedTuple):
    """Kernels that are being learned: (K, channels, L)."""

    kernels: np.ndarray
    uses: np.ndarray  # of each, in the last iteration
    seed: int | None

    @property
    def used(self) -> np.ndarray:
        """The kernels that are used more than once."""
        return self.kernels[self.uses >= 2]


class Learned(NamedTuple):
    """A dictionary, and the events of the whole signal where they are known."""

    dictionary: Dictionary
    events: QuantizedEvents | None


class _Judged(NamedTuple):
    """Kernels for the next round, and what was learned best of those that saw as many values."""

    kernels: np.ndarray
    values: int = 0
    bits: float = np.inf
    learned: Learned | None = None


def learn_kernels(
    x: np.ndarray, fs: float, step: np.ndarray, device: str = CPU, uses: float = 1.0
) -> Dictionary | None:
    """The dictionary that saves most bits of a signal, or None if none saves any.

    x: int64 (n, channels). step: float (channels,), the quantizer's step in samples. device: where
    events are looked for. uses: how many signals like this one share the dictionary's bytes.
    """
    ranked = learn_ranked(x, fs, step, device, uses, worth=1.0)
    return ranked[0].dictionary if ranked else None


def learn_ranked(
    x: np.ndarray, fs: float, step: np.ndarray, device: str = CPU, uses: float = 1.0,
    care: Care = "usual", finer: float = 1.0, worth: float = WORTH_CODING,
) -> list[Learned]:  # fmt: skip
    """The dictionaries that may save bits of a signal, one of each trial, the best first.

    Parameters as of `learn_kernels`. finer: the steps that will code what the events leave, in the
    steps that events are searched for. worth: how many times the bits without events they may seem
    to cost.
    """
    usual = kernel_length(fs)
    if len(x) < FEWEST_LENGTHS * usual:
        return []
    fast = _in_steps(x, fs, step)
    finder = finder_of(excerpts_of(fast, EXCERPT_KERNELS * usual, EXCERPTS), device)
    way = way_of(fast.size, len(fast), len(finder.pieces), care)
    trials = [_alternate(finder, each, way.iterations) for each in _begin(finder, fs, way.starts)]
    ranked = [_Judged(trial.used) for trial in trials]
    for count, values in way.rounds:
        if values != ranked[0].values:
            length = max(EXCERPT_KERNELS * usual, values // (EXCERPTS * len(fast)))
            finder = finder_of(excerpts_of(fast, length, EXCERPTS), device)
        share = sum(piece.shape[1] for piece in finder.pieces) / len(x)
        byte = way.byte_cost / uses
        judged = [_judged(each, finder, values, share, byte, finer) for each in ranked[:count]]
        ranked = sorted(judged, key=lambda each: each.bits) + ranked[count:]
    without = sum(_cost_at(piece, finer) for piece in finder.pieces) / share
    return [each.learned for each in ranked if each.learned and each.bits < worth * without]


def _judged(
    trial: _Judged, finder: Finder, values: int, share: float, byte: float, finer: float
) -> _Judged:
    """A trial after one more round.

    The finder holds a share of the signal. byte: the cost of a byte of kernels. finer: as of
    `learn_ranked`.
    """
    if len(trial.kernels) == 0:
        return trial
    dictionary = quantize(trial.kernels, PRECISION)
    found = finder.pursue(as_floats(dictionary))
    of_pieces = sum(_cost_at(left, finer) + EVENT_COST * len(events) for events, left in found)
    bits = byte * len(dictionary.data) + of_pieces / share
    kernels, used = _reshaped(as_floats(dictionary), found)
    kernels = kernels[used >= FEW_USES]
    if values == trial.values and trial.bits <= bits:
        return trial._replace(kernels=kernels)
    known = found[0][0] if share == 1 and len(found) == 1 else None
    return _Judged(kernels, values, bits, Learned(dictionary, known))


def _cost_at(left: np.ndarray, finer: float) -> float:
    """The bits of what is left, in steps, when steps that are so many times larger code it."""
    return cost(left / np.float32(finer))


def learn_several(
    x: np.ndarray, fs: float, step: np.ndarray, device: str = CPU
) -> list[Dictionary]:
    """Dictionaries that may suit a short signal; parameters as of `learn_kernels`."""
    usual = kernel_length(fs)
    if len(x) < FEWEST_LENGTHS * usual:
        return []
    pieces = excerpts_of(_in_steps(x, fs, step), EXCERPT_KERNELS * usual, EXCERPTS)
    finder = finder_of(pieces, device)
    done = [_alternate(finder, trial, ITERATIONS) for trial in _begin(finder, fs, SHORT_TRIALS)]
    kernels = [trial.used for trial in done if len(trial.used)]
    found = [quantize(each, precision) for each in kernels for precision in SHORT_PRECISIONS]
    return list({dictionary.data: dictionary for dictionary in found}.values())


def _in_steps(x: np.ndarray, fs: float, step: np.ndarray) -> np.ndarray:
    """x, int64 (n, channels), without its slow changes, in steps: float32 (channels, n)."""
    return (without_slow(x, fs) / step[:, None]).astype(np.float32)


def _begin(finder: Finder, fs: float, starts: Sequence[Start]) -> list[_Trial]:
    """The windows that each trial begins with."""
    begun, typical = [], dict[int, np.ndarray]()
    lengths = [max(32, round(kernel_length(fs) * relative / 32) * 32) for relative, *_ in starts]
    for length, (_, count, seed) in zip(lengths, starts, strict=True):
        if seed is None:  # each further typical window is chosen beside those before it
            if length not in typical:
                typical[length] = _typical_windows(finder, finder.pieces, MOST_KERNELS, length)
            kernels = typical[length][:count]
        else:
            kernels = _random_windows(finder.pieces, count, length, seed)
        begun.append(_Trial(kernels, np.zeros(len(kernels), int), seed))
    return begun


def kernel_length(fs: float) -> int:
    """Samples of a usual kernel at a sampling rate; 0 is unknown and counts as 360 Hz."""
    return int(min(4096, max(32, round(SECONDS * (fs or 360.0) / 32) * 32)))


def as_floats(dictionary: Dictionary) -> np.ndarray:
    """A dictionary's kernels with an energy of 1: float32 (K, channels, L)."""
    return (dictionary.kernels / (1 << SCALE)).astype(np.float32)


def without_slow(x: np.ndarray, fs: float) -> np.ndarray:
    """x, int64 (n, channels), without its slow changes: float (channels, n)."""
    levels = max(1, round(np.log2(max(2.0, SLOW_SECONDS * (fs or 360.0)))))
    levels = min(levels, len(x).bit_length() - 1)
    out = np.empty(x.shape[::-1])
    for c in range(x.shape[1]):
        bands = wavelet.analyze(x[:, c] << wavelet.FRACTION, levels)
        slow = wavelet.synthesize([bands[0], *(np.zeros_like(b) for b in bands[1:])])
        out[c] = x[:, c] - slow / (1 << wavelet.FRACTION)
    return out


def excerpts_of(x: np.ndarray, length: int, count: int) -> list[np.ndarray]:
    """Pieces of x (channels, n), evenly spread; x itself if it is not longer than they are."""
    n = x.shape[1]
    if n <= count * length:
        return [x]
    starts = np.linspace(0, n - length, count).astype(int)
    return [np.ascontiguousarray(x[:, s : s + length]) for s in starts]


def _alternate(finder: Finder, trial: _Trial, iterations: int) -> _Trial:
    """A trial after all iterations; the pieces alone do not tell which one is the best."""
    kernels, uses, seed = trial
    length = kernels.shape[2]
    for i in range(iterations):
        if len(kernels) == 0:
            break
        found = finder.pursue(kernels)
        kernels, uses = _reshaped(kernels, found)
        idle = uses < FEW_USES
        if i < iterations - 2 and idle.any():
            left = [rest for _, rest in found]
            more = None if seed is None else seed + 100 * i + 100
            fresh = _windows(finder, left, int(idle.sum()), length, more)
            kernels = np.concatenate([kernels[~idle], fresh])
            uses = np.concatenate([uses[~idle], np.zeros(len(fresh), int)])
    return _Trial(kernels, uses, seed)


def _windows(
    finder: Finder, excerpts: Sequence[np.ndarray], count: int, length: int, seed: int | None
) -> np.ndarray:
    if seed is None:
        return _typical_windows(finder, excerpts, count, length)
    return _random_windows(excerpts, count, length, seed)


def _reshaped(kernels: np.ndarray, found: Sequence[Pursued]) -> tuple[np.ndarray, np.ndarray]:
    """The shapes that suit the events of each kernel best, and how often each is used."""
    length = kernels.shape[2]
    sums, uses = np.zeros(kernels.shape), np.zeros(len(kernels), int)
    for events, left in found:
        amplitudes = events.amplitudes.astype(np.float64)
        for k in range(len(kernels)):
            of_k = np.flatnonzero(events.kernels == k)
            uses[k] += len(of_k)
            places = events.starts[of_k, None] + np.arange(length)
            segments = left[:, places]  # (channels, events, L)
            a = amplitudes[of_k].T
            sums[k] += np.einsum("ce,cel->cl", a, segments + a[..., None] * kernels[k][:, None])
    edge = np.sin(np.pi / 2 * np.minimum(1, (np.arange(length) + 1) / (EDGE * length))) ** 2
    taper = edge * edge[::-1]
    return _unit(np.where(sums.any((1, 2), keepdims=True), sums * taper, kernels)), uses


def _typical_windows(
    finder: Finder, excerpts: Sequence[np.ndarray], count: int, length: int
) -> np.ndarray:
    """The windows around extrema that save most bits of all such windows."""
    channels = excerpts[0].shape[0]
    margin = length // 8
    before = int(length * BEFORE_PEAK)
    windows = []
    for x in excerpts:
        size = np.sqrt((x**2).sum(0, dtype=np.float32))
        size[size < 3] = 0
        for peak in peaks(size, length // 3):
            start = peak - before - margin
            if start >= 0 and start + length + 2 * margin <= x.shape[1]:
                windows.append(x[:, start : start + length + 2 * margin])
    if not windows:
        return _windows_of_none(excerpts, length)
    chosen = np.linspace(0, len(windows) - 1, min(CANDIDATES, len(windows))).astype(int)
    wide = np.array([windows[i] for i in np.unique(chosen)])  # (W, channels, L + 2 margin)
    taper = np.hanning(length + 2)[1:-1] ** 0.5
    shapes = _unit(wide[:, :, margin : margin + length] * taper)
    energy = (wide[:, :, margin : margin + length].astype(np.float64) ** 2).sum((1, 2))
    noise = channels * length * 0.1
    explained = finder.explained(wide, shapes)
    left = np.maximum(energy - np.minimum(explained, energy), 0)
    saved = np.log2((energy + noise) / (left + noise))
    best, kernels = np.zeros(len(wide)), []
    for _ in range(min(count, len(wide))):
        gains = np.maximum(saved - best, 0).sum(1)
        i = int(gains.argmax())
        if gains[i] <= 0:
            break
        kernels.append(i)
        best = np.maximum(best, saved[i])
    return shapes[kernels]


def _unit(kernels: np.ndarray) -> np.ndarray:
    """Each channel of each kernel with an energy of 1; zeros stay."""
    norm = np.sqrt((kernels.astype(np.float64) ** 2).sum(2, keepdims=True))
    return (kernels / np.maximum(norm, 1e-12)).astype(np.float32)


def _random_windows(
    excerpts: Sequence[np.ndarray], count: int, length: int, seed: int
) -> np.ndarray:
    """Random windows; those with more energy around their middle are more likely."""
    random = np.random.default_rng(seed)
    taper = np.hanning(length + 2)[1:-1] ** 0.5
    kernels = []
    for _ in range(count):
        x = excerpts[int(random.integers(len(excerpts)))]
        near = np.convolve((x**2).sum(0), np.ones(length // 8), "same")[length:-length]
        if near.size == 0 or near.sum() <= 0:
            continue
        start = random.choice(near.size, p=near / near.sum()) + length - length // 2
        kernels.append(x[:, start : start + length] * taper)
    return _unit(np.array(kernels)) if kernels else _windows_of_none(excerpts, length)


def _windows_of_none(excerpts: Sequence[np.ndarray], length: int) -> np.ndarray:
    return np.zeros((0, len(excerpts[0]), length), np.float32)
