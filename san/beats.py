"""Heartbeats of an electrocardiogram: find them, rank them, and compare two lists of them.

SAN says where beats are and which of them look unlike the others. It gives no diagnosis and no
label, and it is not a medical device.
"""

import csv
import functools
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from san.codec.dictionaries import DictionaryLike
from san.files.reading import read
from san.heartbeats.agreement import (
    Agreement,
    BeatList,
    beat_list,
    class_of,
    compare,
    gross,
    partners,
)
from san.heartbeats.bands import LOWEST_RATE
from san.heartbeats.choosing import usual_intervals
from san.heartbeats.detection import filled, find_places
from san.heartbeats.shapes import SHOWN_BEFORE, shapes_of
from san.heartbeats.which_leads import leads_of
from san.packages import need
from san.signals import Recording, columns_of
from san.wfdb_records.annotations import read_annotations, write_annotations

__all__ = [
    "Agreement",
    "BeatList",
    "Beats",
    "beat_list",
    "class_of",
    "compare",
    "find",
    "gross",
    "of_file",
    "of_recording",
    "partners",
    "read_annotations",
    "write_annotations",
]

Floats = NDArray[np.float64]

SYMBOL = "Q"  # of an annotation: a beat that nobody has classified
EARLY = 0.1  # share of the usual interval, by which an interval may be short without a meaning
WEIGHT = 8.0  # of prematurity beside the logarithm of the residual
SMALL = 0.02  # of the energy of the median beat, below which a residual says nothing
BASE = 0.3  # s on both sides, whose median is the base line of an amplitude
COLUMNS = (
    "beat", "time", "position", "rr", "heart_rate", "amplitude", "template", "residual", "early",
    "unusual", "rank",
)  # fmt: skip


@dataclass(frozen=True)
class Beats:
    """The heartbeats of one recording, in their order."""

    #: what SAN does not say
    NOTE: ClassVar[str] = (
        "SAN says which beats are unlike the others. It gives no label and no diagnosis."
    )

    position: NDArray[np.int64]  #: (n,), the sample of the largest deflection of each beat
    fs: float  #: sampling rate in Hz
    #: float64 (n,), seconds since the beat before; NaN for the first, and after a gap
    rr: Floats
    #: float64 (n,), the deflection from the base line around it, in the unit of `lead`
    amplitude: Floats
    template: NDArray[np.int64]  #: (n,), which template the beat looks like, -1 for none
    #: float64 (n,), the energy that the median beat leaves of this one, over its own energy
    residual: Floats
    #: float64 (n,), by which share of the usual interval the beat is early; negative if it is late
    early: Floats
    templates: Floats  #: (templates, samples, leads), the medians of the beats that look alike
    template_middle: int  #: the sample of a template at which the beat's position lies
    names: tuple[str, ...]  #: of the leads
    units: tuple[str, ...]  #: of the leads
    lead: int  #: the number of the lead in which times and amplitudes are read

    def __len__(self) -> int:
        return len(self.position)

    @property
    def time(self) -> Floats:
        """Seconds of each beat from the first sample: float64 (n,)."""
        return self.position / self.fs

    @property
    def heart_rate(self) -> Floats:
        """Beats a minute, from the interval before each beat: float64 (n,), NaN where rr is."""
        return 60.0 / self.rr

    @functools.cached_property
    def unusual(self) -> Floats:
        """How unusual each beat is: float64 (n,), larger for a beat to look at first.

        It is the logarithm of the residual plus 8 times what the beat is early beyond a tenth of
        the usual interval. It compares beats of one recording; it is no probability.
        """
        return np.log(self.residual + SMALL) + WEIGHT * np.maximum(self.early - EARLY, 0.0)

    @functools.cached_property
    def ranking(self) -> NDArray[np.int64]:
        """The numbers of the beats, the most unusual first: int64 (n,)."""
        return np.argsort(-self.unusual, kind="stable")

    def rows(self) -> list[dict[str, Any]]:
        """One row for each beat, with the columns of `to_csv`; NaN is None."""
        rank = np.empty(len(self), np.int64)
        rank[self.ranking] = np.arange(1, len(self) + 1)
        columns = (
            np.arange(len(self)), self.time, self.position, self.rr, self.heart_rate,
            self.amplitude, self.template, self.residual, self.early, self.unusual, rank,
        )  # fmt: skip
        return [
            {name: _shown(value) for name, value in zip(COLUMNS, row, strict=True)}
            for row in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def to_csv(self) -> str:
        """Return a table as CSV, one row for each beat; an unknown value is empty.

        The columns are beat (from 0), time (s), position (sample), rr (s), heart_rate (beats a
        minute), amplitude, template, residual, early, unusual, and rank (1 is the most unusual).
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()

    def to_json(self) -> str:
        """Return rate, leads, rows and templates as JSON."""
        said = {
            "note": self.NOTE,
            "fs": self.fs,
            "leads": self.names,
            "timed_in": self.names[self.lead],
            "unit": self.units[self.lead],
            "beats": self.rows(),
            "template_middle": self.template_middle,
            "templates": self.templates.tolist(),
        }
        return json.dumps(said, indent=2)

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame with the columns of `to_csv`.

        Raises
        ------
        MissingPackage
            If pandas is not installed.
        """
        need("pandas")
        import pandas

        return pandas.DataFrame(self.rows(), columns=list(COLUMNS))

    def to_annotations(self) -> bytes:
        """Return the bytes of a WFDB annotation file; each beat is "Q", a beat without a class."""
        return write_annotations(self.position, (SYMBOL,) * len(self))

    def to_list(self) -> BeatList:
        """Return the times as `compare` takes them."""
        return BeatList(self.time, (SYMBOL,) * len(self))


def find(x: Any, fs: float, *, names: Sequence[str] = (), units: Sequence[str] = ()) -> Beats:
    """Find the heartbeats of an electrocardiogram.

    Parameters
    ----------
    x : array (n,) or (n, leads)
        Samples in any unit and of either sign. NaN and infinite samples are gaps. Each lead is
        heard as much as its beats stand out around each moment.
    fs : float
        Sampling rate in Hz, 50 or more.
    names, units : sequence of str, optional
        One for each lead.

    Returns
    -------
    Beats
        None where there are fewer than 16 samples, or no sample that is a number.

    Raises
    ------
    ValueError
        If the rate is too low, or x is not of shape (n,) or (n, leads).

    Notes
    -----
    A candidate is a peak of the root mean square over 0.1 s of the signal from 7 to 25 Hz, at
    least 0.25 s from a larger one. A beat has at least 0.35 of the strength that is usual around
    it. Where a beat is overdue, the strongest candidate of at least 0.15 is one. A candidate
    within 0.36 s after a beat, and with less than half of its strength, is taken for a T wave. The
    position is the largest deflection from 1 to 40 Hz within 0.06 s. All numbers are the same for
    all recordings. `benchmarks/README.md` shows what they reach.

    Examples
    --------
    >>> seconds = np.arange(8 * 250) / 250
    >>> x = np.exp(-(((seconds % 0.8) - 0.4) ** 2) / 0.0002)  # a narrow peak every 0.8 s
    >>> beats = find(x, fs=250)
    >>> len(beats), beats.rr[1:4].round(2).tolist()
    (10, [0.8, 0.8, 0.8])
    """
    need("scipy")
    if not math.isfinite(fs) or fs < LOWEST_RATE:
        raise ValueError(
            f"beats need a sampling rate of {LOWEST_RATE:g} Hz or more, got fs={fs:g}: a QRS "
            "complex is not in slower samples"
        )
    signal = np.asarray(x)
    if signal.ndim not in (1, 2) or signal.dtype.kind not in "biuf":
        raise ValueError(
            f"x has shape {signal.shape} and dtype {signal.dtype}: beats need numbers of shape "
            "(n,) or (n, leads)"
        )
    signal = columns_of(signal).astype(np.float64)
    signal[~np.isfinite(signal)] = np.nan
    present = np.isfinite(signal)
    found = find_places(signal, fs)
    beats, lead = found.places, found.lead
    whole = filled(signal, present)
    shapes = shapes_of(whole, fs, beats, lead)
    interval = np.diff(beats, prepend=beats[:1]).astype(np.float64)
    early = np.zeros(len(beats))
    if len(beats) > 1:
        early[1:] = 1.0 - interval[1:] / usual_intervals(beats)
    missing = np.concatenate(([0], np.cumsum(~present.any(axis=1))))
    after_gap = np.diff(missing[beats], prepend=-1) != 0
    early[after_gap] = 0.0
    interval[after_gap] = np.nan
    channels = signal.shape[1]
    return Beats(
        beats,
        float(fs),
        interval / fs,
        _amplitudes(whole[:, lead], beats, fs) if len(beats) else np.zeros(0),
        shapes.template,
        shapes.residual,
        early,
        shapes.templates,
        int(SHOWN_BEFORE * fs),
        tuple(names) or tuple(f"channel {c}" for c in range(channels)),
        tuple(units) or ("",) * channels,
        lead,
    )


def of_recording(recording: Recording, channels: Sequence[int] | None = None) -> Beats:
    """Find the heartbeats of a recording that `san.read` gave.

    Parameters
    ----------
    recording : Recording
    channels : sequence of int, optional
        The leads, by number from 0; those of the rate with the most samples come first, then
        those of the others. All must have one rate. Default: the channels that have the name of a
        lead, otherwise those in volts.

    Raises
    ------
    ValueError
        If no channel may be an electrocardiogram, a number is not that of a channel, channels have
        several rates, or no rate is known.

    Examples
    --------
    >>> import san
    >>> beats = of_recording(san.read("datasets/sample/mitdb_208"))
    >>> len(beats), beats.names
    (501, ('MLII',))
    """
    if channels is None:
        part, columns = leads_in(recording)
    else:
        part, columns = _chosen((recording, *recording.others), channels)
    if part.fs is None:
        raise ValueError("beats need a sampling rate, and none is known: give fs (--fs)")
    names, units = (
        tuple(texts[c] for c in columns) if texts else () for texts in (part.names, part.units)
    )
    return find(part.x[:, columns], part.fs, names=names, units=units)


def leads_in(recording: Recording) -> tuple[Recording, list[int]]:
    """The signals of one rate that have leads of an electrocardiogram, and which of them are leads.

    Raises
    ------
    ValueError
        If no channel has the name of a lead, and none is in volts.
    """
    for part in (recording, *recording.others):
        found = leads_of(part.names, part.units, part.x.shape[1])
        if found:
            return part, found
    raise ValueError(
        f"none of the signals {', '.join(recording.names)} is in volts or has the name of a lead: "
        "name the channels of the electrocardiogram"
    )


def of_file(
    path: str | Path,
    channels: Sequence[int] | None = None,
    *,
    fs: float | None = None,
    dictionary: DictionaryLike | None = None,
) -> Beats:
    """Find the heartbeats of a file or a stream.

    Parameters
    ----------
    path, fs, dictionary
        As `san.read` takes them.
    channels : sequence of int, optional
        As `of_recording` takes them.

    Raises
    ------
    FileNotFoundError, ValueError, CodecError
        As `san.read` and `of_recording`.

    Examples
    --------
    >>> of_file("datasets/sample/mitdb_208").heart_rate[1:3].round(1).tolist()
    [99.5, 102.9]
    """
    recording = read(path, fs=fs, annotations=False, dictionary=dictionary)
    return of_recording(recording, channels)


def _chosen(parts: Sequence[Recording], channels: Sequence[int]) -> tuple[Recording, list[int]]:
    """The part of one rate that has these channels, and their numbers in it."""
    places = [(part, c) for part in parts for c in range(part.x.shape[1])]
    for c in channels:
        if not 0 <= c < len(places):
            raise ValueError(f"channels must be from 0 to {len(places) - 1}, got {c}")
    found = [places[c] for c in channels]
    if not found or any(part is not found[0][0] for part, _ in found):
        raise ValueError(f"channels must be some of one sampling rate, got {list(channels)}")
    return found[0][0], [c for _, c in found]


def _amplitudes(x: Floats, beats: NDArray[np.int64], fs: float) -> Floats:
    """How far each beat is from the median of the samples around it."""
    side = int(BASE * fs)
    windows = np.pad(x, side, mode="edge")[beats[:, None] + np.arange(2 * side + 1)]
    found: Floats = x[beats] - np.median(windows, axis=1)
    return found


def _shown(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 6) if math.isfinite(value) else None
