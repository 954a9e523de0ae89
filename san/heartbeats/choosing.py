"""Which candidates are heartbeats: a threshold that follows the signal, gaps, and T waves."""

import numpy as np
from numpy.typing import NDArray

from san.heartbeats.bands import Floats

Places = NDArray[np.int64]

CELL = 2.0  # s, in which at least one beat is expected
CELLS = 5  # on each side, whose median says how strong a beat is here
THRESHOLD = 0.35  # of the usual strength
SEARCH = 0.15  # of the usual strength, where a beat is overdue
OVERDUE = 1.6  # usual intervals
BEATS = 8  # on each side, whose median interval is the usual one
T_WAVE = 0.36  # s after a beat, in which a T wave lies
T_SHARE = 0.5  # of the strength of the beat before, below which a place is a T wave
T_STEEP = 0.25  # of the slope of the beat before, below which a place is a T wave
ROUNDS = 3  # of the search in gaps


def level(places: Places, strength: Floats, fs: float, where: Places) -> Floats:
    """How strong a beat is around some samples: a median of the largest strengths of cells."""
    cell = (places / (CELL * fs)).astype(np.int64)
    top = np.zeros(cell.max() + 1)
    np.maximum.at(top, cell, strength)
    known = np.flatnonzero(top > 0)
    near = running_median(top[known], CELLS)
    return np.interp(where / (CELL * fs) - 0.5, known, near)


def running_median(v: Floats, side: int) -> Floats:
    """The median of each value and of those on both sides; near an end of those that are there."""
    padded = np.concatenate((np.full(side, np.nan), v, np.full(side, np.nan)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * side + 1)
    found: Floats = np.nanmedian(windows, axis=1)
    return found


def usual_intervals(beats: Places) -> Floats:
    """The usual interval around each interval between two beats, in samples."""
    return running_median(np.diff(beats).astype(np.float64), BEATS)


def choose(places: Places, share: Floats, steep: Floats, fs: float) -> NDArray[np.bool_]:
    """Which of the places are beats.

    `share` is the strength of each over the usual one here, `steep` its largest slope.
    """
    chosen = share >= THRESHOLD
    if chosen.sum() > BEATS:
        for _ in range(ROUNDS):
            found = _overdue(places, share, np.flatnonzero(chosen), fs)
            if not found:
                break
            chosen[found] = True
    return without_t_waves(places, share, steep, chosen, fs)


def _overdue(places: Places, share: Floats, beats: Places, fs: float) -> list[int]:
    """The strongest place in each gap that is too long for one interval."""
    intervals = np.diff(places[beats])
    found = []
    for i in np.flatnonzero(intervals > OVERDUE * usual_intervals(places[beats])):
        between = np.arange(beats[i] + 1, beats[i + 1])
        after = places[between] - places[beats[i]] > T_WAVE * fs
        before = places[beats[i + 1]] - places[between] > T_WAVE * fs
        between = between[(share[between] >= SEARCH) & after & before]
        if len(between):
            found.append(int(between[np.argmax(share[between])]))
    return found


def without_t_waves(
    places: Places, share: Floats, steep: Floats, chosen: NDArray[np.bool_], fs: float
) -> NDArray[np.bool_]:
    """Drop a place soon after a beat that is much stronger or much steeper."""
    kept = chosen.copy()
    last = -1
    for i in np.flatnonzero(chosen):
        soon = last >= 0 and places[i] - places[last] < T_WAVE * fs
        weak = share[i] < T_SHARE * share[last] or steep[i] < T_STEEP * steep[last]
        if soon and weak:
            kept[i] = False
        else:
            last = int(i)
    return kept
