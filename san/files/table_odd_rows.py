"""Which lines of a table are kept as they are, because no form of the columns gives them.

All are kept where they are few. A line is kept in any case if it would come back with another whole
number, clock time or date: float64 does not hold all of these. So are comments.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from san.files import table_forms
from san.files.table_columns import Rows
from san.files.table_rows import Column, lines_of
from san.signals import Array

SHARE = 16  # lines that no form gives are kept if they are no more than 1/16 of the text
_WHOLE = re.compile(r"[+-]?\d+(?:[.,]0*)?")
_LONG = re.compile(r"\d{16}")  # float64 holds every whole number of fewer digits


class OddRows(NamedTuple):
    """Lines that are kept as they are."""

    lines: dict[str, str]  #: by the number of their row, from 0
    columns: frozenset[int]  #: those with numbers or times that float64 does not hold


def find_odd_rows(
    array: Array, said: dict[str, Any], rows: Rows, columns: Sequence[Column]
) -> OddRows:
    """Compare the lines of a table with what its attachment gives.

    What stands between two rows is kept with the second one, and what follows the last row has
    numbers of its own.
    """
    allowed = sum(map(len, rows.lines)) // SHARE + 200
    odd: dict[str, str] = {}
    needed: dict[str, str] = {}
    inexact: set[int] = set()
    made = lines_of(array, said)
    for number, line in enumerate(_with_what_is_between(rows)):
        other = next(made, None)
        if line == other:
            continue
        allowed -= len(line)
        if allowed >= 0:
            odd[str(number)] = line
        changed = _changed(line, other, rows, columns) if other else frozenset()
        if changed or other is None or _has_comment(line, rows):
            needed[str(number)] = line
            inexact |= changed
    return OddRows(odd if allowed >= 0 else needed, frozenset(inexact))


def _with_what_is_between(rows: Rows) -> Iterator[str]:
    """The line of each row, with the lines since the row before; then the lines after the last."""
    begin = rows.first
    for place in rows.places:
        yield rows.layout.newline.join(rows.lines[begin : place + 1])
        begin = place + 1
    yield from rows.lines[begin:]


def _has_comment(line: str, rows: Rows) -> bool:
    """Whether something other than empty lines stands before a row."""
    return bool(line.rpartition(rows.layout.newline)[0].strip())


def _changed(line: str, other: str, rows: Rows, columns: Sequence[Column]) -> frozenset[int]:
    """The columns that have another whole number or time in another line."""
    layout = rows.layout
    own = layout.split(line.rpartition(layout.newline)[2])
    pairs = enumerate(zip(own, layout.split(other), columns, strict=True))
    return frozenset(c for c, (a, b, column) in pairs if a != b and _is_other(a, b, column.form))


def _is_other(text: str, other: str, form: str) -> bool:
    if form != "int" and table_forms.has_ticks(form):
        try:
            return table_forms.tick_of(text, form) != table_forms.tick_of(other, form)
        except ValueError:
            return False  # a missing value
    if not _WHOLE.fullmatch(text) or (form != "int" and not _LONG.search(text)):
        return False
    return Decimal(text.replace(",", ".")) != Decimal(other.replace(",", "."))
