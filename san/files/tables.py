"""How a table of numbers becomes an array, and the array the same table again.

Everything that the samples do not say is in the attachment `csv/columns`: names, what separates
columns, how the numbers of each column are written, and a rule for the times.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from san import times
from san.files import table_forms, table_moments, table_times
from san.files.table_layout import (
    Layout,
    TableOptions,
    find_layout,
    is_number,
    no_number,
    raw_fields,
    text_of,
    unquoted,
)
from san.files.table_rows import (
    BLOCK,
    COLUMNS,
    WIDEST,
    Column,
    content_of,
    lines_of,
    said_in,
    unreadable,
)
from san.files.table_times import Times, start_of
from san.signals import Array, columns_of

__all__ = ["COLUMNS", "as_before", "as_then", "content_of", "read", "said_in", "start_of"]

MOST_COLUMNS = 4096  # of a table, which take a second; a stream has 1,024 channels unless told
SHARE_OF_ODD_ROWS = 16  # rows that no form gives are kept if they are no more than 1/16 of the text
WHOLE = 1 << 53  # float64 holds every whole number up to here
_WHOLE_TEXT = re.compile(r"-?\d{1,30}")
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
    rows = _Rows(path, lines, layout)
    texts = rows.first_texts()
    forms, doubts = _forms(rows, texts, layout)
    doubts += _like_thousands(rows, layout)
    place = table_times.time_column(path, layout, texts, forms, options)
    if place is not None and forms[place] is None and re.fullmatch(r"\d{12,30}", texts[place]):
        forms[place] = "int"
    columns, x = _numbers(rows, layout, forms)
    found = table_times.find_times(path, layout, columns, x, place, fs, exact, options)
    attached = _said_of(layout, columns, found, ended, options, fs)
    warnings = tuple(_warnings(layout, columns, found.column, x))
    names, units = layout.names, layout.units
    if found.ruler is not None:
        assert found.column is not None
        x = np.delete(x, found.column, axis=1)
        names = names[: found.column] + names[found.column + 1 :]
        units = units[: found.column] + units[found.column + 1 :]
    kept = x[:, 0] if x.shape[1] == 1 else x
    array = Array(kept, found.fs, units, names, {COLUMNS: _json(attached)})
    if exact:
        odd = _odd_rows(array, attached, lines, len(layout.head))
        if odd:
            attached["rows"] = odd
            array = replace(array, attachments={COLUMNS: _json(attached)})
    notes = (_found(path, layout, array, found), *found.notes, *doubts, *warnings)
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


class _Rows:
    """The rows of a table, in blocks."""

    def __init__(self, path: Path, lines: Sequence[str], layout: Layout) -> None:
        self.path, self.lines, self.layout = path, lines, layout
        self.first = len(layout.head)
        if layout.columns > MOST_COLUMNS:
            raise ValueError(
                f"{path} has {layout.columns} columns, and {MOST_COLUMNS} are the most: rows are "
                "samples, and columns are channels"
            )

    def blocks(self) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Numbers of lines, counted from 1, and their fields with quotes but without blanks."""
        delimiter, width = self.layout.delimiter, self.layout.columns
        for begin in range(self.first, len(self.lines), BLOCK):
            numbers, rows = [], []
            for number in range(begin, min(begin + BLOCK, len(self.lines))):
                line = self.lines[number]
                if not line.strip():
                    if width == 1 and number < len(self.lines) - 1 and self._goes_on(number):
                        numbers.append(number + 1)
                        rows.append([""])
                    continue
                is_plain = delimiter and '"' not in line
                fields = line.split(delimiter) if is_plain else raw_fields(line, delimiter)
                if len(fields) != width:
                    raise self._uneven(number, len(fields))
                numbers.append(number + 1)
                rows.append(fields)
            if rows:
                yield numbers, rows

    def _goes_on(self, number: int) -> bool:
        """Whether a row comes after an empty line; then it is a missing value of one column."""
        return any(line.strip() for line in self.lines[number + 1 : number + 100])

    def _uneven(self, number: int, count: int) -> ValueError:
        width = self.layout.columns
        return ValueError(
            f"{self.path} is not a table of numbers: line {number + 1} has {count} fields, the "
            f"others have {width}. Mend the line, or give --delimiter or --decimal"
        )

    def first_texts(self) -> list[str]:
        """The first text of each column that is not missing, without quotes."""
        for _, rows in self.blocks():
            columns = ([unquoted(text) for text in column] for column in zip(*rows, strict=True))
            missing = self.layout.is_missing
            return [next((t for t in c if not missing(t)), c[0]) for c in columns]
        raise ValueError(f"{self.path} has no row of numbers, only names")


def _forms(rows: _Rows, texts: Sequence[str], layout: Layout) -> tuple[list[str | None], list[str]]:
    """The form of each column of clock times or dates, else None; and what is doubtful."""
    forms, doubts = [table_moments.form_of(text) for text in texts], []
    for c, form in enumerate(forms):
        if form is None:
            continue
        every = (unquoted(row[c]) for _, block in rows.blocks() for row in block)
        forms[c], doubtful = table_moments.form_of_all(form, every)
        if doubtful:
            doubts.append(
                f"dates such as {texts[c]} in {layout.name_of(c)!r} are taken as day/month/year: "
                "write them as 2020-01-31 if the month comes first"
            )
    return forms, doubts


def _like_thousands(rows: _Rows, layout: Layout) -> Iterator[str]:
    """Columns with 999 and 1.000, where a point, or a comma, may separate thousands."""
    if layout.delimiter == "," and layout.decimal == ".":
        return  # who separates columns by commas separates thousands by them, or not at all
    separated = re.compile(rf"[+-]?[1-9]\d{{0,2}}{re.escape(layout.decimal)}\d{{3}}")
    _, block = next(rows.blocks())
    for c, column in enumerate(zip(*block, strict=True)):
        texts = [t for t in map(unquoted, column) if not layout.is_missing(t)]
        odd = [t for t in texts if separated.fullmatch(t)]
        rest = [t for t in texts if not separated.fullmatch(t)]
        if odd and rest and all(re.fullmatch(r"[+-]?\d{1,3}", t) for t in rest):
            value = _value(odd[0], layout.decimal, Column())
            yield (
                f"{odd[0]} in {layout.name_of(c)!r} is taken as {value:g}: write numbers without a "
                "separator of thousands if it is one"
            )


def _numbers(
    rows: _Rows, layout: Layout, forms: Sequence[str | None]
) -> tuple[list[Column], np.ndarray]:
    """How each column is written, and all numbers."""
    columns: list[Column] = []
    blocks = []
    for numbers, block in rows.blocks():
        raw = list(zip(*block, strict=True))
        fields = [[text.strip() for text in column] for column in raw]
        if not columns:
            columns = [_column(texts, layout, f) for texts, f in zip(fields, forms, strict=True)]
            blank = layout.separator.endswith(" ") and layout.delimiter != " "
            columns = [
                column._replace(width=_width([text[blank and c > 0 :] for text in raw[c]]))
                for c, column in enumerate(columns)
            ]
        values = np.empty((len(block), layout.columns))
        for c, texts in enumerate(fields):
            values[:, c], columns[c] = _converted(rows.path, layout, numbers, c, texts, columns[c])
        blocks.append(values)
    return columns, np.concatenate(blocks)


def _width(fields: Sequence[str]) -> int:
    """The width to which blanks fill fields: above 0 on the left, below 0 on the right.

    Examples
    --------
    >>> _width(["   1", "  20", "12345"]), _width(["1 ", "20"]), _width(["1", "20"])
    (4, -2, 0)
    """
    some = [text for text in fields if text.strip()] or fields
    for blanks, sign in ((str.lstrip, 1), (str.rstrip, -1)):
        filled = {len(text) for text in some if blanks(text) != text}
        full = min((len(text) for text in some if blanks(text) == text), default=WIDEST)
        if len(filled) == 1 and max(filled) <= min(full, WIDEST):
            return sign * filled.pop()
    return 0


def _column(fields: Sequence[str], layout: Layout, form: str | None) -> Column:
    """How a column is written, from its first texts."""
    quotes = [text[:1] for text in fields if len(text) > 1 and text[0] == text[-1]]
    quote = next((q for q in quotes if q in "'\""), "")
    texts = [unquoted(text) for text in fields]
    if form is not None:
        first = next((text for text in texts if not layout.is_missing(text)), None)
        return Column(form, table_forms.tick_of(first, form) if first else 0, quote)
    numbers = [t for t in texts if not layout.is_missing(t) and is_number(t, layout.decimal)]
    if any(len(t) > 15 for t in numbers) and all(map(_WHOLE_TEXT.fullmatch, numbers)):
        if max(abs(int(t)) for t in numbers) > WHOLE:
            return Column("int", int(numbers[0]), quote)
    if layout.decimal == ",":
        numbers = [text.replace(",", ".") for text in numbers]
    return Column(table_forms.find_form(numbers) if numbers else "r", 0, quote)


def _converted(
    path: Path, layout: Layout, numbers: Sequence[int], c: int, texts: list[str], column: Column
) -> tuple[np.ndarray, Column]:
    """The numbers of a part of a column; its first missing value tells how these are written."""
    if not table_forms.has_ticks(column.form):
        try:
            if not any("_" in text or text[-1:] in "nN" for text in texts):
                plain = texts if layout.decimal == "." else [_plain(text) for text in texts]
                return np.array([float(text) for text in plain]), column
        except ValueError:
            pass  # quotes, missing values, or what is no number: each text is looked at
    out = np.empty(len(texts))
    for row, field in enumerate(texts):
        text = unquoted(field)
        if layout.is_missing(text) and text not in ("-0",):
            out[row] = np.nan
            if column.missing == "nan" and text != "nan":
                column = column._replace(missing=field)
            continue
        try:
            out[row] = _value(text, layout.decimal, column)
        except ValueError:
            name = f" ({layout.names[c]})" if layout.names else ""
            raise ValueError(
                f"{path} is not a table of numbers: in line {numbers[row]}, column {c + 1}{name}, "
                f"{no_number(text, column.form)}. If it stands for a missing value, give "
                f"--missing; --delimiter, --decimal and --skip-rows say how the table is to be read"
            ) from None
    return out, column


def _plain(text: str) -> str:
    """A number with a decimal comma as Python reads it."""
    if "." in text:
        raise ValueError(text)
    return text.replace(",", ".")


def _value(text: str, decimal: str, column: Column) -> float:
    if table_forms.has_ticks(column.form):
        tick = table_forms.tick_of(text, column.form) - column.offset
        return tick / table_forms.unit_of(column.form)
    if not is_number(text, decimal):
        raise ValueError(text)
    return float(_plain(text) if decimal == "," else text)


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
        said |= {"place": found.column} if found.column else {}
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


def _is_line_of(line: str, layout: Layout) -> bool:
    return tuple(layout.split(line.lstrip("#% "))) == layout.names


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said).encode()


def _odd_rows(
    array: Array, said: dict[str, Any], lines: Sequence[str], first: int
) -> dict[str, str]:
    """Lines that the forms do not give, by their number after the head; {} if there are many."""
    odd: dict[str, str] = {}
    allowed = sum(map(len, lines)) // SHARE_OF_ODD_ROWS + 200
    made = lines_of(array, said)
    for number, (line, other) in enumerate(zip_longest(lines[first:], made)):
        if line is None:
            return {}
        if line != other:
            odd[str(number)] = line
            allowed -= len(line)
            if allowed < 0 or (other is not None and not line.strip()):
                return {}
    return odd


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _found(path: Path, layout: Layout, array: Array, found: Times) -> str:
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


def _warnings(
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
