"""What is said of a table that was read: how it was read, and what may be wrong."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from san.files.table_columns import WHOLE
from san.files.table_forms import has_ticks
from san.files.table_layout import Layout
from san.files.table_rows import Column
from san.files.table_times import Times
from san.signals import Array, columns_of


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def found_in_words(path: Path, layout: Layout, array: Array, found: Times) -> str:
    """One line that says how a table was read."""
    words = {",": "comma", ";": "semicolon", "\t": "tab", " ": "space", "": "space", ".": "point"}
    rows, channels = columns_of(array.x).shape
    parts = [f"{path.name}: {_counted(rows, 'row')}, {_counted(channels, 'channel')}"]
    if layout.columns > 1:
        parts.append(f"delimiter {words.get(layout.delimiter, repr(layout.delimiter))}")
    parts.append(f"decimal {words[layout.decimal]}")
    parts.append("names " + ("in the table" if layout.names else "none"))
    if any(layout.units):
        parts.append("a row of units")
    missing = int(np.isnan(array.x).sum())
    if missing:
        parts.append(f"{missing} missing value{'s' if missing > 1 else ''}")
    if found.ruler is not None and found.column is not None:
        parts.append(f"times in {layout.name_of(found.column)!r}")
    parts.append(f"{array.fs:.10g} Hz" if array.fs else "no sampling rate")
    return ", ".join(parts)


def comments_in_words(count: int, exact: bool) -> Iterator[str]:
    """What is said of comments among the rows of a table."""
    if count:
        are = "line is a comment" if count == 1 else "lines are comments"
        kept = "the table gets them back" if exact else "within an error they are left out"
        yield f"{count} {are} between the rows or after them: {kept}"


def warnings_of(
    layout: Layout,
    columns: Sequence[Column],
    place: int | None,
    x: np.ndarray,
    inexact: Collection[int] | None,
) -> Iterator[str]:
    """What a reader of the samples must know: offsets, rounding, commas that may be decimals.

    `inexact` are columns of which float64 does not hold each number; None within an error, where
    the table gets its numbers from the samples alone.
    """
    for c, column in enumerate(columns):
        name = layout.name_of(c)
        if column.form.startswith(("clock", "date")) and c != place:
            yield f"{name!r} has times: its samples are seconds from the first of them"
        if column.form == "int" and (c != place or c in (inexact or ())):
            yield (
                f"{name!r} has whole numbers that float64 does not hold: its samples are "
                f"{_less(column.offset)}{_table_gets(c, inexact)}"
            )
        elif inexact is not None and c in inexact:
            what = "times" if has_ticks(column.form) else "whole numbers"
            yield f"{name!r} has {what} that float64 does not hold{_table_gets(c, inexact)}"
        elif column.form == ".0f" and inexact is None and _goes_beyond(x[:, c]):
            yield f"whole numbers of {name!r} above 2**53 are rounded to the nearest float64"
    whole = [column.form == ".0f" for column in columns]
    if not layout.names and layout.separator == "," and whole == [True, True]:
        if (x[:, 1] >= 0).all():
            yield "the comma is taken as the delimiter: give --decimal comma if it is a decimal one"


def _less(offset: int) -> str:
    return f"{offset} less" if offset >= 0 else f"{-offset} more"


def _table_gets(column: int, inexact: Collection[int] | None) -> str:
    """What the samples have of large numbers, and what the table gets."""
    if inexact is None:
        return ", and within an error the table does not get every digit back"
    rounded = ", rounded to the nearest float64" if column in inexact else ""
    return f"{rounded}; the table gets the numbers as they were"


def _goes_beyond(values: np.ndarray) -> bool:
    return bool((np.abs(values[np.isfinite(values)]) > WHOLE).any())
