"""Which kernel is drawn where, and how strongly, so that the rest of a signal costs few bits.

This is matching pursuit in rounds. The similarities of all kernels with the signal are computed
once. In each round the extrema of the strongest similarity are taken together, quantized and
subtracted, until none is above a threshold. Then all amplitudes are fitted again, and events that
cost more bits than they save are dropped. Bits are estimated from the wavelet coefficients around
an event.
"""

from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import least, most, search_loop, search_step
from san.codec.modes.events import QuantizedEvents, capacity, no_events
from san.codec.modes.wavelet import GAIN, INVERSE_GAIN, STEPS

ROUNDS = 100  # at most; the threshold ends most searches earlier
SWEEPS = 3  # over all amplitudes when they are fitted again; more cost time and change little
# The smallest similarity of an event, in steps. A smaller one finds events that are dropped later.
THRESHOLD = 10.0
# The bits that an event costs, on the scale of estimate_bits. A larger number drops more events.
EVENT_BITS = 45.0
Pursued = tuple[QuantizedEvents, np.ndarray]  # the events of a signal, and the rest of it
FREE, NEAR, KEPT = range(3)  # what a place is while peaks are chosen
_BLOCK = 4096  # samples of a Fourier transform
_MARGIN = 16  # samples around a kernel whose coefficients its event changes
_LIFTING = np.array([s / 65536 for s in (*STEPS, GAIN, INVERSE_GAIN)])


class Known(NamedTuple):
    """Kernels, float32 (K, channels, L), and what the search in every signal needs of them."""

    kernels: np.ndarray
    spectra: np.ndarray  # complex64 (K, channels, block / 2 + 1), conjugated
    gram: np.ndarray


def known_of(kernels: np.ndarray) -> Known:
    """What the search needs of kernels, float32 (K, channels, L)."""
    return Known(kernels, _spectra_of(kernels), _gram(kernels))


def pursue(
    x: np.ndarray, known: Known, threshold: float = THRESHOLD, bits: float = EVENT_BITS
) -> Pursued:
    """The events of x, and the rest of x without them.

    x: float32 (channels, n), in steps of each channel's quantizer. known: kernels, each channel
    with an energy of 1. threshold: the smallest similarity of an event. bits: the cost of an event;
    events that save fewer bits are dropped, 0 keeps all.
    """
    channels, n = x.shape
    kernels, gram = known.kernels, known.gram
    count, _, length = kernels.shape
    if n < length or count == 0:
        return no_events(channels), x.copy()
    similarity = _similarities(x, known.spectra, length)
    places = n - length + 1
    room = capacity(n, length)
    positions, chosen = np.zeros(room, np.int64), np.zeros(room, np.int64)
    amplitudes = np.zeros(room * channels)
    strongest = np.zeros(places, np.float32)
    _strongest(similarity.reshape(-1), strongest, count, channels, 0, places, threshold)
    taken = 0
    for _ in range(ROUNDS):
        found = peaks(strongest, length // 2)[: room - taken]
        if len(found) == 0:
            break
        taken = _take(
            similarity.reshape(-1), gram.reshape(-1), found, count, channels, length,
            positions, chosen, amplitudes, taken,
        )  # fmt: skip
        _strongest_near(
            similarity.reshape(-1), strongest, found, count, channels, length, threshold
        )
    found = amplitudes[: taken * channels].reshape(taken, channels)
    return settle(x, kernels, positions[:taken], chosen[:taken], found, bits)


def settle(
    x: np.ndarray,
    kernels: np.ndarray,
    positions: np.ndarray,
    chosen: np.ndarray,
    amplitudes: np.ndarray,
    bits: float = EVENT_BITS,
) -> Pursued:
    """The events of x that were found, fitted again where they pay, and the rest of x.

    positions and chosen: int64 (events,), in any order. amplitudes: float (events, channels).
    """
    positions, chosen, fitted = _merged(positions, chosen, amplitudes)
    left = _without(x, kernels, positions, chosen, fitted)
    _refit(
        left.reshape(-1), kernels.reshape(-1), len(x), kernels.shape[2],
        positions, chosen, fitted, SWEEPS,
    )  # fmt: skip
    return _worthwhile(left, kernels, positions, chosen, fitted, bits)


def _merged(
    positions: np.ndarray, chosen: np.ndarray, amplitudes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events by position and kernel, each pair once; amplitudes (events, channels) become flat."""
    count = int(chosen.max(initial=0)) + 1
    key, where = np.unique(positions * count + chosen, return_inverse=True)
    merged = np.zeros((len(key), amplitudes.shape[1]))
    np.add.at(merged, where, amplitudes)
    return key // count, key % count, merged.reshape(-1)


def _without(
    x: np.ndarray,
    kernels: np.ndarray,
    positions: np.ndarray,
    chosen: np.ndarray,
    amplitudes: np.ndarray,
) -> np.ndarray:
    """The rest of x (channels, n) without events."""
    left = x.copy()
    _add(
        left.reshape(-1), kernels.reshape(-1), len(x), kernels.shape[2],
        positions, chosen, amplitudes, -1.0,
    )  # fmt: skip
    return left


def _worthwhile(
    left: np.ndarray,
    kernels: np.ndarray,
    positions: np.ndarray,
    chosen: np.ndarray,
    amplitudes: np.ndarray,
    bits: float,
) -> Pursued:
    """The events that save more bits than they cost; the others are in the rest again."""
    _, channels, length = kernels.shape
    if bits > 0:
        order = np.argsort((amplitudes.reshape(-1, channels) ** 2).sum(1), kind="stable")
        _prune(
            left.reshape(-1), kernels.reshape(-1), channels, length, positions, chosen, amplitudes,
            order, bits, _LIFTING, np.zeros(2 * (length + 2 * _MARGIN)),
        )  # fmt: skip
    steps = np.rint(amplitudes.reshape(-1, channels)).astype(np.int64)
    kept = steps.any(1)
    return QuantizedEvents(positions[kept], chosen[kept], steps[kept]), left


def cost(x: np.ndarray) -> float:
    """The bits of x (channels, n), in steps, as `estimate_bits` estimates them."""
    rows = (row.astype(np.float64) for row in x)
    return sum(float(estimate_bits(row, 0, row.size, _LIFTING)) for row in rows)


def block_of(length: int) -> int:
    """Samples that one Fourier transform takes, for kernels of a length."""
    return max(_BLOCK, 1 << (2 * length - 1).bit_length())


def similarities_of(x: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Similarity of every kernel at every place: float32 (K, channels, n - L + 1)."""
    return _similarities(x, _spectra_of(kernels), kernels.shape[2])


def _spectra_of(kernels: np.ndarray) -> np.ndarray:
    return np.conj(np.fft.rfft(kernels, block_of(kernels.shape[2]), axis=2))


def _similarities(x: np.ndarray, spectra: np.ndarray, length: int) -> np.ndarray:
    channels, n = x.shape
    count = len(spectra)
    places = n - length + 1
    block = block_of(length)
    step = block - length + 1
    blocks = -(-places // step)
    padded = np.zeros((channels, (blocks - 1) * step + block), np.float32)
    padded[:, :n] = x
    windows = np.lib.stride_tricks.sliding_window_view(padded, block, axis=1)[:, ::step]
    out = np.empty((count, channels, places), np.float32)
    for c in range(channels):
        spectrum = np.fft.rfft(windows[c], axis=1)
        for k in range(count):
            row = np.fft.irfft(spectrum * spectra[k, c], block, axis=1)[:, :step]
            out[k, c] = row.reshape(-1)[:places]
    return out


def _gram(kernels: np.ndarray) -> np.ndarray:
    """[k, j, c, u - t + L - 1]: similarity of kernel k at t with kernel j at u."""
    length = kernels.shape[-1]
    spectrum = np.fft.rfft(kernels.astype(np.float64), 2 * length, axis=2)
    products = np.fft.irfft(spectrum[:, None] * np.conj(spectrum[None]), 2 * length, axis=3)
    both = np.concatenate([products[..., -(length - 1) :], products[..., :length]], -1)
    return np.ascontiguousarray(both, np.float32)


def peaks(strongest: np.ndarray, min_distance: int) -> np.ndarray:
    """Places of the extrema of a float32 map, none below zero, that no larger one suppresses.

    These are the places that `san.extrema` keeps, which takes longer to compile than the search.
    """
    rises = strongest[1:] > strongest[:-1]
    places = 1 + np.flatnonzero(rises & ~np.append(rises[1:], False))
    order = places[np.argsort(-strongest[places], kind="stable")]
    state = np.zeros(strongest.size, np.uint8)
    _suppress(state, order, min_distance)
    return np.flatnonzero(state == KEPT)


@search_loop
def _suppress(state, order, distance):
    """Keep each place, in this order, that no place kept before it is near."""
    for i in range(len(order)):
        t = order[i]
        if state[t] == FREE:
            for u in range(most(0, t - distance), least(len(state), t + distance + 1)):
                state[u] = NEAR
            state[t] = KEPT


@search_loop
def _strongest(similarity, strongest, count, channels, low, high, threshold):
    """Find the largest energy over channels of any kernel, as a root; zero below the threshold.

    Only places from low to high are changed.
    """
    n = len(strongest)
    for t in range(low, high):
        strongest[t] = 0
    if channels == 1:
        for k in range(count):
            for t in range(low, high):
                strongest[t] = max(strongest[t], abs(similarity[k * n + t]))
    else:
        for t in range(low, high):
            best = 0.0
            for k in range(count):
                energy = 0.0
                for c in range(channels):
                    s = similarity[(k * channels + c) * n + t]
                    energy += s * s
                best = max(best, energy)
            strongest[t] = best**0.5
    for t in range(low, high):
        if strongest[t] < threshold:
            strongest[t] = 0


@search_loop
def _strongest_near(similarity, strongest, peaks, count, channels, length, threshold):
    """Find the largest energies again where the events at these places, in order, changed them."""
    done = 0
    for i in range(len(peaks)):
        low = most(done, peaks[i] - length + 1)
        done = least(len(strongest), peaks[i] + length)
        _strongest(similarity, strongest, count, channels, low, done, threshold)


@search_step
def _subtract(similarity, gram, n, count, channels, length, t, k, c, amplitude):
    """Change the similarities in a channel as an event is subtracted from the signal."""
    low, high = most(0, t - length + 1), least(n, t + length)
    for j in range(count):
        g = ((k * count + j) * channels + c) * (2 * length - 1) + low - t + length - 1
        s = (j * channels + c) * n + low
        for u in range(high - low):
            similarity[s + u] -= amplitude * gram[g + u]


@search_loop
def _take(similarity, gram, peaks, count, channels, length, positions, chosen, amplitudes, taken):
    """Take the event of the best kernel at each peak; return the number of events."""
    n = len(similarity) // (count * channels)
    for i in range(len(peaks)):
        t = peaks[i]
        best, k = 0.0, 0
        for j in range(count):
            energy = 0.0
            for c in range(channels):
                s = similarity[(j * channels + c) * n + t]
                energy += s * s
            if energy > best:
                best, k = energy, j
        some = False
        for c in range(channels):
            amplitude = 1.0 * round(similarity[(k * channels + c) * n + t])
            amplitudes[taken * channels + c] = amplitude
            if amplitude != 0:
                some = True
                _subtract(similarity, gram, n, count, channels, length, t, k, c, amplitude)
        if some:
            positions[taken], chosen[taken] = t, k
            taken += 1
    return taken


@search_loop
def _refit(left, kernels, channels, length, positions, chosen, amplitudes, sweeps):
    """Fit each amplitude to the rest of the signal, in turn; the last sweep rounds to steps."""
    n = len(left) // channels
    for sweep in range(sweeps):
        for i in range(len(positions)):
            for c in range(channels):
                w, start = (chosen[i] * channels + c) * length, c * n + positions[i]
                similarity = 0.0
                for u in range(length):
                    similarity += left[start + u] * kernels[w + u]
                before = amplitudes[i * channels + c]
                after = before + similarity
                if sweep == sweeps - 1:
                    after = 1.0 * round(after)
                if after != before:
                    amplitudes[i * channels + c] = after
                    for u in range(length):
                        left[start + u] -= (after - before) * kernels[w + u]


@search_loop
def _add(x, kernels, channels, length, positions, chosen, amplitudes, sign):
    n = len(x) // channels
    for i in range(len(positions)):
        for c in range(channels):
            a = sign * amplitudes[i * channels + c]
            if a != 0:
                w, start = (chosen[i] * channels + c) * length, c * n + positions[i]
                for u in range(length):
                    x[start + u] += a * kernels[w + u]


@search_loop
def estimate_bits(work, start, size, lifting):
    """The bits that the wavelet coefficients of work[start:start + size] cost, with their error.

    work is overwritten. Small coefficients cost their squared error, others about six bits and
    twice the logarithm of their size.
    """
    bits = 0.0
    stride = 1
    while 2 * stride <= size and stride < 512:
        half = 2 * stride
        for s in range(4):
            first = stride if s % 2 == 0 else 0
            for i in range(first, size, half):
                left = work[start + i - stride] if i >= stride else work[start + i + stride]
                right = work[start + i + stride] if i + stride < size else left
                work[start + i] += lifting[s] * (left + right)
        for i in range(stride, size, half):
            bits += _bits(abs(work[start + i]) * lifting[5])
        for i in range(0, size, half):
            work[start + i] *= lifting[4]
        stride = half
    return bits


@search_step
def _bits(t):
    if t < 0.65:
        return 16 * t * t
    bits = 7.5
    while t > 8:
        t *= 0.125
        bits += 6
    return bits + 2.2 * (t - 0.65) / (1 + 0.25 * t)


@search_loop
def _prune(
    left, kernels, channels, length, positions, chosen, amplitudes, order, bits, lifting, work
):
    """Drop the events that save fewer bits than they cost; add them to the rest again."""
    n = len(left) // channels
    for e in range(len(order)):
        i = order[e]
        low = most(0, positions[i] - 16)
        high = least(n, positions[i] + length + 16)
        size = high - low
        saved = 0.0
        for c in range(channels):
            a = amplitudes[i * channels + c]
            if a == 0:
                continue
            for u in range(size):
                work[u] = left[c * n + low + u]
                work[size + u] = work[u]
            w, shift = (chosen[i] * channels + c) * length, positions[i] - low
            for u in range(length):
                work[shift + u] += a * kernels[w + u]
            saved += estimate_bits(work, 0, size, lifting)
            saved -= estimate_bits(work, size, size, lifting)
        if saved < bits:
            for c in range(channels):
                a = amplitudes[i * channels + c]
                if a != 0:
                    w, start = (chosen[i] * channels + c) * length, c * n + positions[i]
                    for u in range(length):
                        left[start + u] += a * kernels[w + u]
                    amplitudes[i * channels + c] = 0
