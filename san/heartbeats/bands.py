"""Which frequencies say that a heart beats, and how strong a QRS complex is at each sample."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QRS = (7.0, 25.0)  # Hz, where a QRS complex is stronger than P and T waves and than most noise
SHAPE = (1.0, 40.0)  # Hz, without the drift of the baseline and most of the muscle noise
WINDOW = 0.10  # s, about as long as a QRS complex
SHORTEST = 0.25  # s between two beats: 240 beats a minute
LOWEST_RATE = 50.0  # Hz, below which the band of the QRS complex is not in the samples
ENOUGH_RATE = 200.0  # Hz; more samples a second make no beat clearer, and cost time


def band_pass(x: Floats, fs: float, band: tuple[float, float]) -> Floats:
    """Keep one band of each column, without a delay; the ends are mirrored for a second."""
    from scipy.signal import butter, sosfiltfilt

    edges = [band[0], min(band[1], 0.45 * fs)]
    sections = butter(2, edges, "bandpass", fs=fs, output="sos")
    padding = min(len(x) - 1, int(fs))
    found: Floats = sosfiltfilt(sections, x, axis=0, padlen=max(padding, 0))
    return found


def envelope(y: Floats, fs: float) -> Floats:
    """The root mean square of each column over the length of a QRS complex."""
    from scipy.ndimage import uniform_filter1d

    size = max(int(WINDOW * fs) | 1, 3)
    power: Floats = uniform_filter1d(y * y, size, axis=0)
    return np.sqrt(np.maximum(power, 0.0))


def peaks(v: Floats, distance: float) -> NDArray[np.int64]:
    """Where v is largest, no two of them closer than `distance` samples; the larger one stays."""
    from scipy.signal import find_peaks

    padded = np.concatenate(([-np.inf], v, [-np.inf]))  # a peak may be the first or last sample
    found, _ = find_peaks(padded, distance=max(distance, 1.0))
    places: NDArray[np.int64] = found.astype(np.int64) - 1
    return places
