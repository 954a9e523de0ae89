"""What is said of a table that was read: how it was read, and what may be wrong."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from san.files.table_columns import WHOLE
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


def warnings_of(
    layout: Layout, columns: Sequence[Column], place: int | None, x: np.ndarray
) -> Iterator[str]:
    """What a reader of the samples must know: offsets, rounding, commas that may be decimals."""
    for c, column in enumerate(columns):
        name = layout.name_of(c)
        if column.form.startswith(("clock", "date")) and c != place:
            yield f"{name!r} has times: its samples are seconds from the first of them"
        if column.form == "int" and c != place:
            yield (
                f"{name!r} has whole numbers that float64 does not hold: its samples are "
                f"{column.offset} less; the table gets the numbers as they were"
            )
        elif column.form == ".0f" and (np.abs(x[:, c][np.isfinite(x[:, c])]) > WHOLE).any():
            yield f"whole numbers of {name!r} above 2**53 are rounded to the nearest float64"
    whole = [column.form == ".0f" for column in columns]
    if not layout.names and layout.separator == "," and whole == [True, True]:
        if (x[:, 1] >= 0).all():
            yield "the comma is taken as the delimiter: give --decimal comma if it is a decimal one"
