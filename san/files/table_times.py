"""Which column of a table holds times, and the rate and the first time that these say."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from san import times
from san.files import table_moments as moments
from san.files.table_layout import TIME_UNITS, Layout, TableOptions
from san.files.table_rows import Column

LATEST = 1e12  # seconds: thirty thousand years, which Python's timedelta holds
INDEX_NAMES = ("", "index", "sample", "unnamed: 0")  # a column of times may come after it


class Times(NamedTuple):
    """What a column of times tells."""

    column: int | None = None
    fs: float | None = None
    ruler: times.Ruler | None = None
    began: str | float | None = None  #: the first time, as the attachment has it
    notes: tuple[str, ...] = ()
    apart: bool = False  #: whether the times go beside the samples, see `table_apart`


def time_column(
    path: Path,
    layout: Layout,
    texts: Sequence[str],
    forms: Sequence[str | None],
    options: TableOptions,
) -> int | None:
    """The number of the column of times, from the first texts and the forms of all columns.

    Raises
    ------
    ValueError
        If the options name a column or a unit that the table does not have.
    """
    names, place = layout.names, None
    if options.time_column is None:
        after = bool(names) and len(names) > 2 and names[0].lower() in INDEX_NAMES
        for c in range(1 + after):
            if names and times.is_name(names[c]):
                place = c
        if place is None and forms[0]:
            place = 0
        if layout.columns == 1 and not forms[0]:
            place = None  # numbers alone are samples
        if place == 0 and _is_day_before_a_clock(forms):
            place = 1
    elif options.time_column != "none":
        if options.time_column not in names:
            raise ValueError(
                f"{path} has no column {options.time_column!r} but {', '.join(names) or 'no names'}"
            )
        place = names.index(options.time_column)
    if place is None and options.time_unit and options.time_column != "none":
        raise ValueError(f"--time-unit needs a column of times: give --time-column for {path}")
    if place is not None and options.time_unit == "date":
        if not (forms[place] or "").startswith("date"):
            raise ValueError(
                f"{path} has no dates in its column of times, but {texts[place]!r}: dates are "
                f"written as 2020-01-31 10:00:00.000"
            )
    return place


def _is_day_before_a_clock(forms: Sequence[str | None]) -> bool:
    """Whether the first column has days, and the second the time of day."""
    first, second = (*forms, None)[:2]
    days = first is not None and first.startswith("date") and "hh" not in first
    return days and second is not None and second.startswith("clock")


def find_times(
    path: Path,
    layout: Layout,
    columns: Sequence[Column],
    x: np.ndarray,
    column: int | None,
    fs: float | None,
    exact: bool,
    options: TableOptions,
) -> Times:
    """The rate of a table, its first time, and what stands for its times."""
    if column is None:
        return Times(fs=fs)
    name = layout.name_of(column)
    per_second, known = _per_second(layout, column, x, columns[column], options)
    values = x[:, column]
    own = fs / per_second if fs else None
    exactly = (times.find_ruler(values, own) if own else None) or times.find_ruler(values)
    near = exactly
    if near is None:
        near = (times.nearest_ruler(values, own) if own else None) or times.nearest_ruler(values)
    ruler = exactly if exact else near
    if x.shape[1] == 1:
        ruler = None  # times alone are a channel
    apart = near is None and not exact and x.shape[1] > 1
    rate = near.fs * per_second if near else None
    if rate is not None and per_second != 1 and abs(float(f"{rate:.12g}") / rate - 1) < 1e-12:
        rate = float(f"{rate:.12g}")
    notes = []
    if near is None:
        kept = "beside the samples, without loss" if apart else "as a channel"
        notes.append(
            f"the times in {name!r} of {path} have no even rate: they are kept {kept}"
            + ("" if fs else ", and --fs gives the rate")
        )
    elif rate is not None and rate < 1 and not known and not fs:
        notes.append(
            f"is {rate:g} Hz right? The times in {name!r} of {path} are taken as seconds: give "
            f"--time-unit ms if they are milliseconds, or --fs"
        )
    elif fs and rate is not None and abs(rate / fs - 1) > 1e-3:
        notes.append(f"the times in {name!r} of {path} say {rate:g} Hz; --fs {fs:g} is used")
    began = _began(columns, x, column, name, per_second)
    return Times(column, fs or rate, ruler, began, tuple(notes), apart)


def _began(
    columns: Sequence[Column], x: np.ndarray, column: int, name: str, per_second: float
) -> str | float | None:
    """The first time: a date, a time of day, or elapsed seconds; None where it is missing."""
    first, (form, offset) = x[0, column], columns[column][:2]
    if not np.isfinite(first):
        return None
    if form.startswith("date"):
        return moments.moment_of(offset, form).isoformat()
    if form.startswith("clock"):
        return _of_clock(columns, column, name)
    seconds = (offset + first.item()) / per_second
    early, late = times.UNIX_TIMES
    if early <= seconds <= late:
        return datetime.fromtimestamp(round(seconds, 6), UTC).isoformat()
    return seconds if abs(seconds) < LATEST else None


def _of_clock(columns: Sequence[Column], column: int, name: str) -> str | float:
    """The first time of a column of clock times, with the day that a column before it gives."""
    form, offset = columns[column][:2]
    elapsed = timedelta(seconds=offset / 10 ** moments.decimals_of(form))
    before = columns[column - 1] if column else Column()
    if before.form.startswith("date"):
        return (moments.moment_of(before.offset, before.form) + elapsed).isoformat()
    if not form.startswith("clock:1") or "elapsed" in name.lower() or elapsed.days:
        return elapsed.total_seconds()
    return (datetime.min + elapsed).time().isoformat()


def start_of(said: Mapping[str, Any]) -> datetime | time | timedelta | None:
    """The first time that the attachment of a table tells of.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> start_of({"began": "2020-01-31T10:00:00"}), start_of({"began": 2.5})
    (datetime.datetime(2020, 1, 31, 10, 0), datetime.timedelta(seconds=2, microseconds=500000))
    """
    began = said.get("began")
    try:
        if isinstance(began, str):
            return datetime.fromisoformat(began) if "-" in began else time.fromisoformat(began)
        return None if began is None else timedelta(seconds=float(began))
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"the attached first time {began!r} is none") from None


def _per_second(
    layout: Layout,
    column: int,
    x: np.ndarray,
    written: Column,
    options: TableOptions,
) -> tuple[float, bool]:
    """How many units of a column of times are a second, and whether anything says so."""
    if written.form.startswith(("clock", "date")):
        return 1, True
    if options.time_unit:
        return 1000.0 ** TIME_UNITS.index(options.time_unit), True
    units = layout.units[column].lower() if layout.units else ""
    named = times.per_second_of(layout.names[column]) if layout.names else None
    stated = named or times.PER_SECOND.get(units)
    if stated:
        return stated, True
    first = written.offset + (x[0, column] if np.isfinite(x[0, column]) else 0)
    early, late = times.UNIX_TIMES
    for factor in (1000, 10**6, 10**9):
        if early * factor <= first <= late * factor:
            return factor, True
    return 1, early <= first <= late
