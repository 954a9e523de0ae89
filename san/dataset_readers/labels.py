"""Which label a window has: what a channel or annotations mostly say in it."""

from collections.abc import Sequence

import numpy as np

from san.dataset_readers.sources import Source
from san.signals import Annotations

NONE = ""  # the label of a window of which nothing is said


def labels_of(
    source: Source, labels: str, name: str, starts: np.ndarray, window: int, rate: float | None
) -> list[str]:
    """Find the label of each window.

    Parameters
    ----------
    source : Source
        With its annotations.
    labels : str
        The name of a channel, or of annotations: the ending of their file such as "atr", or "edf".
    name : str
        Of the recording, for an error.
    starts : int64 (N,)
        Of the windows, in samples of `rate`.
    window : int
        Samples.
    rate : float or None
        Of the windows, in Hz.

    Returns
    -------
    list of str
        Of a channel its most frequent value. Of annotations the most frequent text, or the text
        that lasts longest where annotations have a duration. Of several, the first in their order
        as texts. Empty where nothing is said.

    Raises
    ------
    ValueError
        If the recording has neither such a channel nor such annotations.
    """
    for part in source.parts:
        if labels in part.names:
            column = part.names.index(labels)
            scale = 1.0 if part.fs is None or rate is None else part.fs / rate
            spans = [(round(a * scale), round((a + window) * scale)) for a in starts.tolist()]
            return [
                _most_frequent(part.read(first, min(max(last, first + 1), part.samples))[:, column])
                for first, last in spans
            ]
    if labels in source.annotations:
        found = source.annotations[labels]
        seconds = 1.0 if rate is None else 1 / rate
        return [_most_said(found, a * seconds, (a + window) * seconds) for a in starts.tolist()]
    listed = ", ".join(sorted(source.annotations)) or "none"
    raise ValueError(
        f"{name} has no channel and no annotations {labels!r} for labels: its channels are "
        f"{source.listed}; its annotations: {listed}"
    )


def _most_frequent(values: np.ndarray) -> str:
    said, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return _first_of([f"{value:g}" for value in said], counts)


def _most_said(found: Annotations, begin: float, end: float) -> str:
    """The text that most annotations in a span have, or that lasts longest."""
    if (found.duration > 0).any():
        weights = np.minimum(found.onset + found.duration, end) - np.maximum(found.onset, begin)
        weights = np.maximum(weights, 0)
    else:
        weights = ((found.onset >= begin) & (found.onset < end)).astype(np.float64)
    sums: dict[str, float] = {}
    for number in np.flatnonzero(weights):
        text = found.text[number]
        sums[text] = sums.get(text, 0.0) + float(weights[number])
    return _first_of(list(sums), np.array(list(sums.values())))


def _first_of(texts: Sequence[str], weights: np.ndarray) -> str:
    """The text with the largest weight; of several the first."""
    pairs = zip(texts, weights.tolist(), strict=True)
    return min(pairs, key=lambda pair: (-pair[1], pair[0]), default=(NONE, 0))[0]
