"""How kernels are learned from the signal itself: from typical beats to shared shapes.

Windows around the largest extrema are compared with each other. Those that explain the others best
are the first kernels. Then two steps alternate: pursuit finds events, and each kernel takes the
shape that suits its events best. A kernel that is used too little is replaced by a window that the
others explain badly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from san.codec.modes import wavelet
from san.codec.modes.dictionary import SCALE, Dictionary, quantize
from san.codec.search.finding import CPU, Finder, finder_of
from san.codec.search.pursuit import cost, peaks

CANDIDATES = 160  # windows that are compared with each other; the time grows with their square
BEFORE_PEAK = 0.35  # share of a kernel that lies before its window's extremum
EDGE = 0.2  # share of a kernel that fades out at each end
SECONDS = 0.89  # length of a kernel: one beat. Longer ones cost bytes, shorter ones miss a wave
SLOW_SECONDS = 0.71  # slower changes are left to the wavelet: kernels describe beats, not drift
EXCERPTS, EXCERPT_KERNELS = 6, 48  # learning reads 6 pieces of 48 kernel lengths; more cost time
PRECISION = 7  # of the stored kernels (see `quantize`): a larger one costs bytes
ITERATIONS = 8  # of the two steps; more cost time and change little
# Tried in turn: share of the usual length, number of kernels, seed of a random start (None: typical
# windows). Each one costs a whole learning.
TRIALS = ((1.0, 12, None), (1.0, 16, 0), (0.8, 8, None), (0.8, 16, 1))
# The same of a short signal, whose kernels are many of its bytes: seldom more than one pays.
SHORT_TRIALS = ((1.0, 1, None), (0.8, 1, None), (1.0, 16, 0), (0.8, 16, 0))
SHORT_PRECISIONS = (5, 6, 7)  # of its stored kernels, in turn: which is best, only coding tells


class _Trial(NamedTuple):
    """Kernels that are being learned: (K, channels, L)."""

    kernels: np.ndarray
    uses: np.ndarray  # of each, in the last iteration
    seed: int | None

    @property
    def used(self) -> np.ndarray:
        """The kernels that are used more than once."""
        return self.kernels[self.uses >= 2]


def learn_kernels(
    x: np.ndarray, fs: float, step: np.ndarray, device: str = CPU, uses: float = 1.0
) -> Dictionary | None:
    """The dictionary that saves most bits of a signal, or None if none saves any.

    x: int64 (n, channels). step: float (channels,), the quantizer's step in samples. device: where
    events are looked for. uses: how many signals like this one share the dictionary's bytes.
    """
    finder = _finder_for(x, fs, step, device)
    if finder is None:
        return None
    share = sum(e.shape[1] for e in finder.pieces) / len(x)

    def bits_with(trial: _Trial) -> float:
        dictionary = quantize(trial.used, PRECISION)
        found = finder.pursue(as_floats(dictionary))
        of_pieces = sum(cost(left) + 40.0 * len(events) for events, left in found)
        return 24.0 * len(dictionary.data) / uses + of_pieces / share

    done = [_alternate(finder, trial) for trial in _begin(finder, fs, TRIALS)]
    best = min((trial for trial in done if len(trial.used)), key=bits_with, default=None)
    if best is None or bits_with(best) >= sum(map(cost, finder.pieces)) / share:
        return None
    return quantize(best.used, PRECISION)


def learn_several(
    x: np.ndarray, fs: float, step: np.ndarray, device: str = CPU
) -> list[Dictionary]:
    """Dictionaries that may suit a short signal; parameters as of `learn_kernels`."""
    finder = _finder_for(x, fs, step, device)
    if finder is None:
        return []
    done = [_alternate(finder, trial) for trial in _begin(finder, fs, SHORT_TRIALS)]
    kernels = [trial.used for trial in done if len(trial.used)]
    found = [quantize(each, precision) for each in kernels for precision in SHORT_PRECISIONS]
    return list({dictionary.data: dictionary for dictionary in found}.values())


def _finder_for(x: np.ndarray, fs: float, step: np.ndarray, device: str) -> Finder | None:
    """What finds events in pieces of x, in steps, to learn kernels from; None for few beats."""
    usual = kernel_length(fs)
    if len(x) < 4 * usual:
        return None
    fast = (without_slow(x, fs) / step[:, None]).astype(np.float32)
    return finder_of(excerpts_of(fast, EXCERPT_KERNELS * usual, EXCERPTS), device)


def _begin(
    finder: Finder, fs: float, trials: Sequence[tuple[float, int, int | None]]
) -> list[_Trial]:
    """The windows that each trial begins with."""
    begun = []
    for relative, count, seed in trials:
        length = max(32, round(kernel_length(fs) * relative / 32) * 32)
        kernels = _windows(finder, finder.pieces, count, length, seed)
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


def _alternate(finder: Finder, trial: _Trial) -> _Trial:
    """A trial after all iterations.

    To compare the trials after three of them, and to go on with the best, would save a tenth of the
    encoder's time. But lead V1 of record 115 of MIT-BIH would have 21 % more bytes.
    """
    kernels, uses, seed = trial
    length = kernels.shape[2]
    for i in range(ITERATIONS):
        if len(kernels) == 0:
            break
        kernels, uses, left = _improve(finder, kernels)
        idle = uses < 5
        if i < ITERATIONS - 2 and idle.any():
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


def _improve(
    finder: Finder, kernels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """After one pursuit: the better kernels, how often each is used, and the rest of the signal."""
    length = kernels.shape[2]
    sums, uses, rest = np.zeros(kernels.shape), np.zeros(len(kernels), int), []
    for events, left in finder.pursue(kernels):
        rest.append(left)
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
    return _unit(np.where(sums.any((1, 2), keepdims=True), sums * taper, kernels)), uses, rest


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
