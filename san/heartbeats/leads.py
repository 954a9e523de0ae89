"""How several leads agree on a heartbeat: each is heard as much as it is clear."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from san.heartbeats.bands import SHORTEST, Floats, peaks
from san.heartbeats.choosing import CELL, level

Places = NDArray[np.int64]

TOGETHER = 0.08  # s, within which leads mean the same beat
FLAT = 0.05  # of the usual strength of a lead, below which it says nothing here
AROUND = 15  # candidates on each side, which say how clear a lead is here
QUIET = 0.2  # of the usual strength of a lead; a cell without more says nothing there
CLEAREST = 0.02  # mean doubt below which a lead gets no clearer
POWER = 6.0  # of the doubt: a lead that is twice as clear is heard 64 times as loud
ENOUGH = 0.005  # of the weight of the clearest lead, from which a lead can tell times


@dataclass(frozen=True)
class Vote:
    """The candidates that the leads agree on."""

    places: Places  #: (n,), samples in their order
    share: Floats  #: (n,), the strength of each over the usual strength of a beat
    shares: Floats  #: (samples, leads), the candidates of each lead alone; 0 elsewhere
    #: the lead that tells times, the first that is about as clear as the clearest; then the others,
    #: the clearest first, for the times at which it says nothing
    order: tuple[int, ...]


def vote(found: Floats, fs: float, heard: NDArray[np.bool_]) -> Vote:
    """Weigh the candidates of all leads.

    Parameters
    ----------
    found : array (samples, leads)
        As `candidates.strengths` gives it.
    fs : float
    heard : array (samples, leads)
        Where a lead has a voice.
    """
    found = np.where(heard, found, 0.0)
    samples, leads = found.shape
    shares, weights = np.zeros(found.shape), np.zeros(found.shape)
    for lead in range(leads):
        places = np.flatnonzero(found[:, lead])
        if len(places):
            strength = found[places, lead]
            here = level(places, strength, fs, places)
            share = strength / np.maximum(here, FLAT * np.median(here))
            shares[places, lead] = share
            clear = np.interp(np.arange(samples), places, clearness(share))
            weights[:, lead] = clear * heard[:, lead]
    weights *= ~_quiet(found, fs)
    clear = weights.mean(axis=0)
    first = int(np.flatnonzero(clear >= ENOUGH * clear.max())[0])
    others = [int(lead) for lead in np.argsort(-clear, kind="stable") if lead != first]
    together = shares[:, 0] if leads == 1 else _together(shares, weights, first, fs)
    chosen = peaks(together, SHORTEST * fs)
    chosen = chosen[together[chosen] > 0]
    return Vote(chosen, together[chosen], shares, (first, *others))


def _quiet(found: Floats, fs: float) -> NDArray[np.bool_]:
    """Where a lead has nothing like its beats, and more than half of the other leads have."""
    size = max(1, int(CELL * fs))
    cells = np.pad(found, ((0, -len(found) % size), (0, 0))).reshape(-1, size, found.shape[1])
    top = cells.max(axis=1)
    usual = [np.median(each[each > 0]) if each.any() else 0.0 for each in top.T]
    quiet = top <= QUIET * np.array(usual)
    quiet &= 2 * (~quiet).sum(axis=1, keepdims=True) > found.shape[1] - 1
    return np.repeat(quiet, size, axis=0)[: len(found)]


def clearness(share: Floats) -> Floats:
    """How clear a lead is around each candidate.

    A candidate of a clear lead is either as strong as a beat usually is, or weak.
    """
    from scipy.ndimage import uniform_filter1d

    capped = np.minimum(share, 1.0)
    doubt = uniform_filter1d(np.minimum(capped, 1.0 - capped), 2 * AROUND + 1, mode="nearest")
    found: Floats = (doubt + CLEAREST) ** -POWER
    return found


def _together(shares: Floats, weights: Floats, first: int, fs: float) -> Floats:
    """The mean of the leads, where any lead has a candidate; 0 elsewhere."""
    from scipy.ndimage import maximum_filter1d

    size = 2 * int(TOGETHER * fs) + 1
    places = np.flatnonzero(shares.any(axis=1))
    near = np.stack([maximum_filter1d(each, size)[places] for each in shares.T], axis=1)
    weight = weights[places]
    weight = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    # of candidates that mean one beat, that of the lead that tells times stays
    own = shares[places, first] + (weight * shares[places]).sum(axis=1) / len(shares.T)
    found = np.zeros(len(shares))
    found[places] = (weight * near).sum(axis=1) + 1e-3 * own
    return found
