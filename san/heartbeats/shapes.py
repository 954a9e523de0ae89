"""How beats look: templates of those that look alike, and which beats are unlike the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from san.heartbeats.bands import Floats, band_pass

Places = NDArray[np.int64]

BAND = (0.67, 40.0)  # Hz, in which the shape of a beat is compared
BEFORE, AFTER = (
    0.12,
    0.20,
)  # s around a beat that are compared: the QRS complex and some of the T wave
SHIFT = 0.04  # s, by which a beat is moved to fit
ALIKE = 0.9  # correlation from which a beat belongs to a template
MOST = 8  # templates
LEAST = 3  # beats of a template
SHOWN_BEFORE, SHOWN_AFTER = 0.25, 0.45  # s of a template


@dataclass(frozen=True)
class Shapes:
    """How the beats of one recording look."""

    template: Places  #: (n,), the number of the template of each beat, -1 for none
    residual: Floats  #: (n,), energy that the median beat leaves of each, over its own energy
    templates: Floats  #: (templates, samples, leads), in the units of the signal


def shapes_of(x: Floats, fs: float, beats: Places, lead: int) -> Shapes:
    """Compare each beat with the median beat, and put beats that look alike into templates."""
    if not len(beats):
        size = int(SHOWN_BEFORE * fs) + int(SHOWN_AFTER * fs)
        return Shapes(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, size, x.shape[1])))
    banded = band_pass(x[:, [lead]], fs, BAND)[:, 0]
    windows = _around(banded, beats, int((BEFORE + SHIFT) * fs), int((AFTER + SHIFT) * fs))
    shift = int(SHIFT * fs)
    middle = np.median(windows, axis=0)[shift : windows.shape[1] - shift]
    _, left = _fitted(windows, middle, shift)
    energy = max(float(((middle - middle.mean()) ** 2).sum()), 1e-30)
    template = _grouped(windows, middle, shift)
    shown = _around(x, beats, int(SHOWN_BEFORE * fs), int(SHOWN_AFTER * fs))
    templates = [np.median(shown[template == k], axis=0) for k in range(template.max() + 1)]
    return Shapes(template, left / energy, np.array(templates).reshape(-1, *shown.shape[1:]))


def _around(x: Floats, beats: Places, before: int, after: int) -> Floats:
    """The samples before and after each beat; at the ends the last sample is repeated."""
    widths = [(before, after)] + [(0, 0)] * (x.ndim - 1)
    return np.pad(x, widths, mode="edge")[beats[:, None] + np.arange(before + after)]


def _fitted(windows: Floats, shape: Floats, shift: int) -> tuple[Floats, Floats]:
    """The largest correlation of each window with a shape, and the energy that the shape leaves."""
    unit = shape - shape.mean()
    unit = unit / max(float(np.linalg.norm(unit)), 1e-30)
    best, left = np.full(len(windows), -2.0), np.full(len(windows), np.inf)
    for begin in range(2 * shift + 1):
        part = windows[:, begin : begin + len(shape)]
        energy = ((part - part.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        inner = part @ unit
        alike = inner / np.sqrt(energy + 1e-30)
        better = alike > best
        best[better] = alike[better]
        left[better] = (energy - np.maximum(inner, 0.0) ** 2)[better]
    return best, left


def _grouped(windows: Floats, middle: Floats, shift: int) -> Places:
    """Put windows that look alike into templates, the most frequent one first."""
    template, free = np.full(len(windows), -1), np.ones(len(windows), bool)
    shape, groups = middle, 0
    for _ in range(4 * MOST):
        left = np.flatnonzero(free)
        if not len(left) or groups == MOST:
            break
        alike = left[_fitted(windows[left], shape, shift)[0] >= ALIKE]
        if len(alike) >= LEAST:
            template[alike] = groups
            groups += 1
            free[alike] = False
        else:  # what the shape was taken from is alone
            free[_nearest(windows, left, shape, shift)] = False
        left = np.flatnonzero(free)
        if len(left):
            first = windows[left[len(left) // 2]]
            shape = first[shift : len(first) - shift]
    order = np.argsort(-np.bincount(template[template >= 0], minlength=groups), kind="stable")
    number = np.empty(groups, np.int64)
    number[order] = np.arange(groups)
    return np.where(template >= 0, number[template], -1) if groups else template


def _nearest(windows: Floats, left: Places, shape: Floats, shift: int) -> int:
    return int(left[np.argmax(_fitted(windows[left], shape, shift)[0])])
