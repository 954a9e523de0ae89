"""Which beats of two lists are the same, and what is counted: as the tools for EC57 do it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from san.wfdb_records.annotations import BEATS

Places = NDArray[np.int64]
Floats = NDArray[np.float64]

WINDOW = 0.15  # s, in which EC57 takes two annotations for one beat
LEARNING = 300.0  # s at the beginning, which EC57 leaves to a detector to learn from
#: Of AAMI: normal, supraventricular, ventricular, fusion of both, and other beats.
CLASSES = ("N", "S", "V", "F", "Q")
NONE = "none"  #: stands for a beat that the other list lacks
_CLASS_OF = (
    dict.fromkeys("NLRBej", "N") | dict.fromkeys("AaJSn", "S") | dict.fromkeys("VEr", "V")
    | {"F": "F"} | dict.fromkeys("/fQ?", "Q")
)  # fmt: skip


@dataclass(frozen=True)
class BeatList:
    """The beats of one annotation set."""

    time: Floats  #: (n,), seconds, in their order
    symbol: tuple[str, ...]  #: the symbol of each
    flutter: tuple[tuple[float, float], ...] = ()  #: s, ventricular flutter: no beats are counted


@dataclass(frozen=True)
class Agreement:
    """How the beats of a test set agree with those of a reference.

    The counts leave out ventricular flutter and, unless asked otherwise, the first five minutes.
    """

    true_positives: int
    false_negatives: int  #: beats of the reference without a partner
    false_positives: int  #: beats of the test without a partner
    difference: Floats  #: (true_positives,), seconds, test minus reference
    confusion: Mapping[tuple[str, str], int] = field(default_factory=dict)  #: reference, test

    @property
    def sensitivity(self) -> float:
        """Share of the reference's beats that the test has; NaN without beats."""
        return _share(self.true_positives, self.false_negatives)

    @property
    def predictivity(self) -> float:
        """Share of the test's beats that the reference has; NaN without beats."""
        return _share(self.true_positives, self.false_positives)

    @property
    def f1(self) -> float:
        """The harmonic mean of sensitivity and predictivity; NaN without any beat."""
        return _share(2 * self.true_positives, self.false_negatives + self.false_positives)

    def of_class(self, name: str) -> tuple[float, float]:
        """Sensitivity and predictivity of one class, whose beats must have the class in both."""
        both = self.confusion.get((name, name), 0)
        reference = sum(n for (one, _), n in self.confusion.items() if one == name)
        test = sum(n for (_, other), n in self.confusion.items() if other == name)
        return _share(both, reference - both), _share(both, test - both)


def _share(hits: int, others: int) -> float:
    return hits / (hits + others) if hits + others else float("nan")


def beat_list(position: Iterable[float], symbol: Sequence[str], fs: float) -> BeatList:
    """Keep the beats of annotations, whose times are in samples, and the spans of flutter.

    Examples
    --------
    >>> beat_list([10, 20, 30], ["N", "+", "V"], fs=10.0).time.tolist()
    [1.0, 3.0]
    """
    times = np.asarray(list(position), np.float64) / fs
    in_order = np.argsort(times, kind="stable")
    times, symbol = times[in_order], [symbol[i] for i in in_order.tolist()]
    is_beat = np.array([name in BEATS for name in symbol], bool)
    spans, begin = [], None
    for time, name in zip(times.tolist(), symbol, strict=True):
        if name == "[":
            begin = time
        elif name == "]" and begin is not None:
            spans.append((begin, time))
            begin = None
    if begin is not None:
        spans.append((begin, float("inf")))
    kept = tuple(name for name, here in zip(symbol, is_beat, strict=True) if here)
    return BeatList(times[is_beat], kept, tuple(spans))


def class_of(symbol: str) -> str:
    """The class of AAMI that a beat's symbol belongs to: N, S, V, F or Q.

    Examples
    --------
    >>> [class_of(symbol) for symbol in "LaE/"]
    ['N', 'S', 'V', 'Q']
    """
    return _CLASS_OF.get(symbol, "Q")


def partners(reference: Floats, test: Floats, window: float) -> Places:
    """The number of the test's beat for each beat of the reference, -1 without one.

    One beat has one partner at most, within the window; the nearest pairs come first. Of pairs that
    are equally near the earlier one comes first.

    Examples
    --------
    >>> partners(np.array([1.0, 2.0]), np.array([1.1, 1.9, 5.0]), 0.15).tolist()
    [0, 1]
    """
    found = np.full(len(reference), -1)
    margin = window + 1e-9  # times are rounded, and the window holds its own ends
    first = np.searchsorted(test, reference - margin, "left")
    last = np.searchsorted(test, reference + margin, "right")
    pairs = [
        (round(abs(float(test[k] - reference[r])), 9), r, k)
        for r in np.flatnonzero(last > first).tolist()
        for k in range(int(first[r]), int(last[r]))
    ]
    taken = np.zeros(len(test), bool)
    for _, r, k in sorted(pairs):
        if found[r] < 0 and not taken[k]:
            found[r] = k
            taken[k] = True
    return found


def compare(
    reference: BeatList, test: BeatList, *, window: float = WINDOW, skip: float = LEARNING
) -> Agreement:
    """Compare two annotation sets of one recording beat by beat.

    Parameters
    ----------
    reference, test : BeatList
        With times in their order.
    window : float
        Seconds; two beats may be this far apart and still be one.
    skip : float
        Seconds at the beginning that do not count. A beat there can be a partner.

    Returns
    -------
    Agreement

    Examples
    --------
    >>> one = beat_list([100, 200, 300], "NNV", fs=100.0)
    >>> found = compare(one, beat_list([101, 305], "NN", fs=100.0), skip=0)
    >>> found.sensitivity, found.predictivity, found.confusion["V", "N"]
    (0.6666666666666666, 1.0, 1)
    """
    match = partners(reference.time, test.time, window)
    counts = _counted(reference.time, reference.flutter, skip)
    both = counts & (match >= 0)
    alone = np.ones(len(test.time), bool)
    alone[match[match >= 0]] = False
    alone &= _counted(test.time, reference.flutter, skip)
    confusion: dict[tuple[str, str], int] = {}
    for r in np.flatnonzero(counts).tolist():
        other = class_of(test.symbol[match[r]]) if match[r] >= 0 else NONE
        pair = class_of(reference.symbol[r]), other
        confusion[pair] = confusion.get(pair, 0) + 1
    for k in np.flatnonzero(alone).tolist():
        pair = NONE, class_of(test.symbol[k])
        confusion[pair] = confusion.get(pair, 0) + 1
    return Agreement(
        int(both.sum()),
        int((counts & (match < 0)).sum()),
        int(alone.sum()),
        test.time[match[both]] - reference.time[both],
        confusion,
    )


def _counted(
    times: Floats, flutter: Sequence[tuple[float, float]], skip: float
) -> NDArray[np.bool_]:
    """Which beats count: not those at the beginning, nor those in flutter."""
    counted = times >= skip
    for begin, end in flutter:
        counted &= (times < begin) | (times > end)
    return counted


def gross(found: Sequence[Agreement]) -> Agreement:
    """All beats of several records in one count."""
    confusion: dict[tuple[str, str], int] = {}
    for each in found:
        for pair, count in each.confusion.items():
            confusion[pair] = confusion.get(pair, 0) + count
    return Agreement(
        sum(each.true_positives for each in found),
        sum(each.false_negatives for each in found),
        sum(each.false_positives for each in found),
        np.concatenate([np.zeros(0), *(each.difference for each in found)]),
        confusion,
    )
