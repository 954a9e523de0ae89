"""What a stream did to heartbeats: R waves, QRS complexes, ST levels, and the beats themselves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from san.heartbeats.agreement import WINDOW, partners
from san.heartbeats.detection import filled, find_places

Places = NDArray[np.int64]
Floats = NDArray[np.float64]

NEAR = 0.06  # s around a beat, in which its R wave is, or the deepest S wave
BASE = 0.3  # s on both sides of a beat, whose median is its base line
QRS = 0.06  # s on both sides of a beat, which hold its QRS complex
PR = (-0.10, -0.06)  # s from a beat, where the line before the QRS complex is level
ST = (0.10, 0.14)  # s from a beat, where the ST segment is: 60 ms after a QRS complex of 80 ms
LEAST = 0.05  # mV or unit of the signal, below which a share of the R amplitude says nothing


@dataclass(frozen=True)
class Change:
    """How large a change is over the beats: the worst, the 99th percentile and the median."""

    worst: float
    p99: float
    median: float
    at: float  #: s, the beat with the worst
    lead: int  #: in which the worst is

    @classmethod
    def of(cls, values: Floats, times: Floats) -> "Change":
        """Sum up absolute values (beats, leads); all NaN without beats."""
        if not np.isfinite(values).any():
            return cls(*(float("nan"),) * 4, 0)
        beat, lead = np.unravel_index(int(np.nanargmax(values)), values.shape)
        p99, median = np.nanpercentile(values, [99, 50])
        return cls(
            float(values[beat, lead]), float(p99), float(median), float(times[beat]), int(lead)
        )


@dataclass(frozen=True)
class Fidelity:
    """What decoding left of the heartbeats of an original."""

    before: int  #: beats found in the original
    after: int  #: beats found in the decoded signal
    both: int  #: beats found in both, within 150 ms
    r_amplitude: Change  #: of the R wave, or of a larger S wave, in the unit of the signal
    r_loss: Change  #: how much smaller that wave is; 0 where it is larger
    r_share: Change  #: the change of the amplitude, in per cent of it
    r_time: Change  #: of the wave's peak, in ms
    qrs: Change  #: the largest error of a sample in the QRS complex, in the unit of the signal
    st: Change  #: of the ST level over the level before the QRS complex, in the unit of the signal
    rr: Change  #: of the interval between two beats that are found in both, in ms

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, None where nothing was measured."""
        said: dict[str, Any] = {"before": self.before, "after": self.after, "both": self.both}
        for name in ("r_amplitude", "r_loss", "r_share", "r_time", "qrs", "st", "rr"):
            change = getattr(self, name)
            said[name] = {
                key: value if np.isfinite(value) else None for key, value in vars(change).items()
            }
        return said


def fidelity(x: Floats, y: Floats, fs: float) -> Fidelity:
    """Compare the heartbeats of an original and of what was decoded.

    Parameters
    ----------
    x, y : array (samples, leads)
        The original and the decoded signal in one unit, NaN in gaps.
    fs : float
        In Hz.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"the original has shape {x.shape}, and what is decoded {y.shape}")
    places, others = find_places(x, fs).places, find_places(y, fs).places
    times, decoded_times = places / fs, others / fs
    match = partners(times, decoded_times, WINDOW)
    one, other = filled(x, np.isfinite(x)), filled(y, np.isfinite(y))
    amplitude, moved, size = _waves(one, other, places, fs)
    side = int(QRS * fs)
    error = np.abs(_around(one - other, places, side, side)).max(axis=1)
    level = np.abs(_st(one, places, fs) - _st(other, places, fs))
    change = np.abs(amplitude)
    share = np.where(size >= LEAST, 100 * change / np.maximum(size, LEAST), np.nan)
    found = np.flatnonzero(match >= 0)
    steps = np.abs(np.diff(times[found]) - np.diff(decoded_times[match[found]]))[:, None]
    next_to = np.diff(found) == 1
    return Fidelity(
        len(places),
        len(others),
        len(found),
        Change.of(change, times),
        Change.of(np.maximum(-amplitude, 0.0), times),
        Change.of(share, times),
        Change.of(1e3 * np.abs(moved), times),
        Change.of(error, times),
        Change.of(level, times),
        Change.of(1e3 * steps[next_to], times[found][1:][next_to]),
    )


def _waves(one: Floats, other: Floats, places: Places, fs: float) -> tuple[Floats, Floats, Floats]:
    """By how much the largest deflection of each beat changed, by how many seconds it moved, and
    how large it was: each (beats, leads)."""
    if not len(places):
        return (np.zeros((0, one.shape[1])),) * 3
    near = int(NEAR * fs)
    parts = [_around(v, places, near, near) - _base(v, places, fs)[:, None] for v in (one, other)]
    peak = np.abs(parts[0]).argmax(axis=1)[:, None]
    sign = np.sign(np.take_along_axis(parts[0], peak, axis=1))
    heights, moments = [], []
    for part in parts:
        upright = part * sign
        top = upright.argmax(axis=1)[:, None]
        heights.append(np.take_along_axis(upright, top, axis=1)[:, 0])
        moments.append(top[:, 0] + _between(upright, top))
    return heights[1] - heights[0], (moments[1] - moments[0]) / fs, heights[0]


def _between(v: Floats, top: Places) -> Floats:
    """Where the peak of the parabola through three samples lies: a share of a sample."""
    last = v.shape[1] - 1
    left, middle, right = (
        np.take_along_axis(v, np.clip(top + step, 0, last), axis=1)[:, 0] for step in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    bent = bend < -1e-12
    shift: Floats = np.where(bent, 0.5 * (left - right) / np.where(bent, bend, 1.0), 0.0)
    return np.clip(shift, -1.0, 1.0)


def _st(v: Floats, places: Places, fs: float) -> Floats:
    """The level of the ST segment over the level before the QRS complex: (beats, leads)."""
    levels = []
    for first, last in (ST, PR):
        begin = round(first * fs)
        count = max(1, round(last * fs) - begin)
        levels.append(_around(v, places + begin, 0, count).mean(axis=1))
    found: Floats = levels[0] - levels[1]
    return found


def _base(v: Floats, places: Places, fs: float) -> Floats:
    side = int(BASE * fs)
    found: Floats = np.median(_around(v, places, side, side), axis=1)
    return found


def _around(v: Floats, places: Places, before: int, after: int) -> Floats:
    """Samples around places: (beats, samples, leads); the first and last sample are repeated."""
    where = places[:, None] + np.arange(-before, max(after, 1))
    return v[np.clip(where, 0, len(v) - 1)]
