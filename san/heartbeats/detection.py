"""How the samples of an electrocardiogram become the places of its heartbeats."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from san.heartbeats.bands import ENOUGH_RATE, SHAPE, Floats, band_pass
from san.heartbeats.candidates import strengths
from san.heartbeats.choosing import choose
from san.heartbeats.leads import vote

Places = NDArray[np.int64]

REACH = 0.06  # s, between where a beat is found and its largest deflection
NEAR = 0.08  # s between the place of all leads and that of the lead that tells its time
FAR, SURE = 0.14, 0.6  # s, if that lead has there at least this share of the usual strength
EDGE = 0.1  # s beside a gap, where the filters see its edge
FLAT = 1.0  # s of one value, from which a lead says nothing
FEWEST = 16  # samples, below which there is no beat to look for


@dataclass(frozen=True)
class Found:
    """The heartbeats of a recording."""

    places: Places  #: (n,), samples in their order
    lead: int  #: the column in which most of their times are read


def find_places(x: Floats, fs: float) -> Found:
    """The heartbeats of a recording.

    Parameters
    ----------
    x : array (samples, leads)
        NaN where a lead has no sample.
    fs : float
        In Hz.
    """
    present = np.isfinite(x)
    if len(x) < FEWEST or not present.any():
        return Found(np.zeros(0, np.int64), 0)
    x = filled(x, present)
    step = max(1, int(fs // ENOUGH_RATE))
    slower, slower_fs = _slower(x, step), fs / step
    heard = _apart(_slower(present, step) == 1, int(EDGE * slower_fs))
    heard &= ~flat(slower, int(FLAT * slower_fs))
    found = vote(strengths(slower, slower_fs), slower_fs, heard)
    steep = _steepness(slower[:, found.order[0]], found.places, int(REACH * slower_fs))
    beats = found.places[choose(found.places, found.share, steep, slower_fs)]
    timed = np.zeros(0, np.int64)
    left = np.ones(len(beats), bool)
    for lead in found.order:
        here = left & heard[beats, lead]
        if here.any():
            own = _moved(beats[here], found.shares[:, lead], slower_fs)
            own = own * step + (step - 1) // 2
            timed = np.concatenate((timed, snapped(own, x[:, lead], fs)))
        left &= ~here
    return Found(np.unique(timed), found.order[0])


def flat(x: Floats, size: int) -> NDArray[np.bool_]:
    """Where a lead keeps one value for `size` samples or more, as where an electrode is off."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    size = max(1, size)
    same = np.zeros(x.shape, bool)
    same[1:] = x[1:] == x[:-1]
    long = minimum_filter1d(same, size, axis=0, origin=0, mode="constant", cval=0)
    found: NDArray[np.bool_] = maximum_filter1d(long, size | 1, axis=0) & same
    return found


def filled(x: Floats, present: NDArray[np.bool_]) -> Floats:
    """Samples without gaps: a straight line joins the two sides of each."""
    if present.all():
        return x
    whole, places = np.zeros(x.shape), np.arange(len(x))
    for lead, here in enumerate(present.T):
        if here.any():
            whole[:, lead] = np.interp(places, places[here], x[here, lead])
    return whole


def _slower(x: NDArray[np.generic], step: int) -> Floats:
    """The mean of each `step` samples; what is over at the end is left out."""
    if step == 1:
        return x.astype(np.float64)
    whole = x[: len(x) // step * step]
    found: Floats = whole.reshape(-1, step, x.shape[1]).mean(axis=1, dtype=np.float64)
    return found


def _steepness(x: Floats, places: Places, reach: int) -> Floats:
    """The largest step between two samples of a lead near each place."""
    step = np.abs(np.diff(x, prepend=x[:1]))
    padded = np.pad(step, reach)
    found: Floats = padded[places[:, None] + np.arange(2 * reach + 1)].max(axis=1)
    return found


def _apart(present: NDArray[np.bool_], edge: int) -> NDArray[np.bool_]:
    """Where a lead has samples, but not beside its gaps."""
    if present.all() or not edge:
        return present
    from scipy.ndimage import minimum_filter1d

    found: NDArray[np.bool_] = minimum_filter1d(present, 2 * edge + 1, axis=0)
    return found


def _moved(beats: Places, shares: Floats, fs: float) -> Places:
    """Each beat where the lead that tells its time has it itself, if it has it."""
    for reach, least in ((NEAR, 0.0), (FAR, SURE)):
        own = np.flatnonzero(shares > least)
        if len(own):
            after = np.minimum(np.searchsorted(own, beats), len(own) - 1)
            before = np.maximum(after - 1, 0)
            nearest = np.where(beats - own[before] < own[after] - beats, own[before], own[after])
            beats = np.where(np.abs(nearest - beats) <= reach * fs, nearest, beats)
    return beats


def snapped(beats: Places, x: Floats, fs: float) -> Places:
    """Each beat at the largest deflection of a lead near it, in either direction."""
    size = np.abs(band_pass(x, fs, SHAPE))
    reach = int(REACH * fs)
    padded = np.pad(size, reach, constant_values=-1.0)
    near = padded[beats[:, None] + np.arange(2 * reach + 1)]
    found: Places = beats - reach + near.argmax(axis=1)
    return found
