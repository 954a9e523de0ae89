"""Where a heartbeat may be: the peaks of the band of QRS complexes, and how strong each is."""

import numpy as np

from san.heartbeats.bands import QRS, SHORTEST, Floats, band_pass, envelope, peaks

NEAR = 0.06  # s between the peak of an envelope and that of the signal, at most


def strengths(x: Floats, fs: float) -> Floats:
    """How strong a QRS complex may be at each sample of each lead; 0 almost everywhere.

    `x` is (samples, leads). Two places of a lead are about as far apart as two beats at least.
    """
    banded = band_pass(x, fs, QRS)
    strength, size, near = envelope(banded, fs), np.abs(banded), int(NEAR * fs)
    found = np.zeros(x.shape)
    for lead in range(x.shape[1]):
        places = peaks(strength[:, lead], SHORTEST * fs)
        padded = np.pad(size[:, lead], near)
        windows = padded[places[:, None] + np.arange(2 * near + 1)]
        best = places - near + windows.argmax(axis=1)
        np.maximum.at(found[:, lead], best, strength[places, lead])
    return found
