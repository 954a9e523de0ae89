"""How a table of numbers becomes an array, and the array the same table again.

Everything that the samples do not say is in the attachment `csv/columns`: names, what separates
columns, how the numbers of each column are written, and a rule for the times.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from san import times
from san.files import table_times
from san.files.table_apart import APART, are_same, packed
from san.files.table_columns import Rows, forms_of, like_thousands, numbers_of
from san.files.table_fields import text_of
from san.files.table_forms import has_ticks
from san.files.table_layout import Layout, TableOptions, find_layout
from san.files.table_odd_rows import find_odd_rows
from san.files.table_rows import (
    COLUMNS,
    LARGEST_SAID,
    Column,
    content_of,
    said_in,
    unreadable,
)
from san.files.table_times import Times, start_of
from san.files.table_words import comments_in_words, found_in_words, warnings_of
from san.signals import Array

__all__ = [
    "APART",
    "COLUMNS",
    "are_same",
    "as_before",
    "as_then",
    "content_of",
    "read",
    "said_in",
    "start_of",
]

KEYS = ("line", "start", "decimals", "digits", "multiplied")  # what 0.4 wrote


def read(
    path: Path, fs: float | None = None, exact: bool = True, options: TableOptions | None = None
) -> Array:
    """Read a table.

    Parameters
    ----------
    path : Path
    fs : float, optional
        Sampling rate in Hz. It wins over the times.
    exact : bool
        Whether times must come back as the same numbers. Otherwise each may move by half a
        sampling interval at most; see `san.times.agree`.
    options : TableOptions, optional
        What is known of the table; the rest is found out.

    Returns
    -------
    Array
        float64; missing values are NaN. A table of one column is (n,). `notes` say what was found.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If the file is not a table of numbers. The error names the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     _ = path.write_text("time (ms);ecg\\n0;0,5\\n4;0,7\\n8;0,9\\n")
    ...     array = read(path)
    >>> array.x.tolist(), array.fs, array.names
    ([0.5, 0.7, 0.9], 250.0, ('ecg',))
    """
    options = options or TableOptions()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    text, encoding, mark = text_of(path)
    newline = "\r\n" if "\r\n" in text else "\n" if "\n" in text else "\r"
    lines = text.split(newline)
    if newline == "\r\n" and any("\n" in line for line in lines):
        raise ValueError(
            f"{path} is not a table of numbers: some of its lines end with CR LF and others with "
            f"LF. Save it with one kind of line ends"
        )
    ended = lines[-1] == ""
    if ended:
        lines.pop()
    layout = find_layout(path, lines, options)
    layout = replace(layout, encoding=encoding, mark=mark, newline=newline)
    rows = Rows(path, lines, layout)
    texts = rows.first_texts()
    forms, doubts = forms_of(rows, texts, layout)
    doubts += like_thousands(rows, layout)
    place = table_times.time_column(path, layout, texts, forms, options)
    if place is not None and forms[place] is None and re.fullmatch(r"\d{12,30}", texts[place]):
        forms[place] = "int"
    columns, x = numbers_of(rows, layout, forms)
    found = table_times.find_times(path, layout, columns, x, place, fs, exact, options)
    attached = _said_of(layout, columns, found, ended, options, fs)
    whole, beside = x, {}
    if found.apart:
        beside = _beside(path, rows, columns, found, x)
    names, units = layout.names, layout.units
    if found.column is not None and (found.ruler is not None or found.apart):
        x = np.delete(x, found.column, axis=1)
        names = names[: found.column] + names[found.column + 1 :]
        units = units[: found.column] + units[found.column + 1 :]
    kept = x[:, 0] if x.shape[1] == 1 else x
    array = Array(kept, found.fs, units, names, {COLUMNS: _json(attached)} | beside)
    inexact = None
    if exact:
        odd, inexact = find_odd_rows(array, attached, rows, columns)
        if odd:
            attached["rows"] = odd
            array = replace(array, attachments={COLUMNS: _fitting(path, attached)})
    doubts += comments_in_words(rows.comments, exact)
    warnings = warnings_of(layout, columns, found.column, whole, inexact)
    notes = (found_in_words(path, layout, array, found), *found.notes, *doubts, *warnings)
    return replace(array, notes=notes)


def as_then(attachments: Mapping[str, bytes]) -> tuple[TableOptions, bool]:
    """The options with which a table was read, and whether its rate was given."""
    given = said_in(attachments).get("given", {"fs": True})
    try:
        known = {name: value for name, value in given.items() if name != "fs"}
        if "missing" in known:
            known["missing"] = tuple(known["missing"])
        return TableOptions(**known), bool(given.get("fs"))
    except (AttributeError, TypeError) as error:
        raise unreadable() from error


def as_before(array: Array, attachments: Mapping[str, bytes]) -> Array:
    """The array with an attachment as version 0.4 wrote it, if a stream has such a one."""
    if COLUMNS not in array.attachments or "columns" in said_in(attachments):
        return array
    said = said_in(array.attachments)
    old = {key: said[key] for key in KEYS if key in said}
    return replace(array, attachments={**array.attachments, COLUMNS: _json(old)})


def _said_of(
    layout: Layout,
    columns: Sequence[Column],
    found: Times,
    ended: bool,
    options: TableOptions,
    fs: float | None,
) -> dict[str, Any]:
    """The attachment; what is as in every table is left out."""
    ruler = found.ruler
    names = [line for line in layout.head if layout.names and _is_line_of(line, layout)]
    said: dict[str, Any] = {"line": names[0] if names else "", "start": ruler and ruler.start}
    if ruler is not None:
        if ruler.decimals is None:
            said["digits"] = ruler.digits
        elif ruler.decimals != times.DECIMALS:
            said["decimals"] = ruler.decimals
        said |= {"multiplied": True} if ruler.multiplied else {}
        said |= {"rate": ruler.fs} if ruler.fs != found.fs else {}
    if found.column and (ruler is not None or found.apart):
        said["place"] = found.column
    said |= {} if found.began is None else {"began": found.began}
    said |= {"head": list(layout.head)} if list(layout.head) != [said["line"]] else {}
    usual = {"encoding": "utf-8", "mark": False, "newline": "\n", "separator": ",", "decimal": "."}
    said |= {k: getattr(layout, k) for k, v in usual.items() if getattr(layout, k) != v}
    said |= {} if ended else {"ended": False}
    written = [
        {k: v for k, v in column._asdict().items() if v != Column._field_defaults.get(k)}
        for column in columns
    ]
    while len(written) > 1 and written[-1] == written[-2]:
        written.pop()
    said["columns"] = written
    return said | {"given": options.given | ({"fs": True} if fs else {})}


def _beside(
    path: Path, rows: Rows, columns: Sequence[Column], found: Times, x: np.ndarray
) -> dict[str, bytes]:
    """The attachment of times that follow no rate, of a table within an error.

    Raises
    ------
    ValueError
        If float64 does not hold each of them.
    """
    layout, place = rows.layout, found.column
    assert place is not None
    name = layout.name_of(place)
    if has_ticks(columns[place].form):
        said = _said_of(layout, columns, Times(), True, TableOptions(), None)
        if place in find_odd_rows(Array(x, None), said, rows, columns).columns:
            raise ValueError(
                f"the times in {name!r} of {path} have no even rate, and more digits than float64 "
                f"holds: compress the table with --lossless, or give --time-column none, and they "
                f"may change as other columns do"
            )
    return {APART: packed(x[:, place], name)}


def _is_line_of(line: str, layout: Layout) -> bool:
    return tuple(layout.split(line.lstrip("#% "))) == layout.names


def _fitting(path: Path, said: Mapping[str, Any]) -> bytes:
    """The attachment, if a stream can hold it."""
    content = _json(said)
    if len(content) > LARGEST_SAID:
        raise ValueError(
            f"{path} has {len(said['rows'])} rows of which float64 does not hold each number or "
            f"time, too many to keep their texts: take the large numbers off, or split the table"
        )
    return content


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said).encode()
