"""How a table of numbers becomes an array, and the array the same table again.

Everything that the samples do not say is in the attachment `csv/columns`: names, what separates
columns, how the numbers of each column are written, and a rule for the times.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from san import times
from san.files import table_forms
from san.files.table_layout import (
    LONGEST_MISSING,
    TIME_UNITS,
    Layout,
    TableOptions,
    find_layout,
    is_number,
    raw_fields,
    text_of,
    unquoted,
)
from san.signals import Array, columns_of

COLUMNS = "csv/columns"
BLOCK = 8192  # lines that are read at once
LARGEST_SAID = 1 << 26  # characters of an attachment
SHARE_OF_ODD_ROWS = 16  # rows that no form gives are kept if they are no more than 1/16 of the text
WHOLE = 1 << 53  # float64 holds every whole number up to here
_WHOLE_TEXT = re.compile(r"-?\d{1,30}")
INDEX_NAMES = ("", "index", "sample", "unnamed: 0")  # a column of times may come after it
KEYS = ("line", "start", "decimals", "digits", "multiplied")  # what 0.4 wrote


class Column(NamedTuple):
    """How one column is written."""

    form: str = "r"
    offset: int = 0
    quote: str = ""
    missing: str = "nan"


class Times(NamedTuple):
    """What a column of times tells."""

    column: int | None = None
    fs: float | None = None
    ruler: times.Ruler | None = None
    notes: tuple[str, ...] = ()


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
    ended = lines[-1] == ""
    if ended:
        lines.pop()
    layout = find_layout(path, lines, options)
    layout = replace(layout, encoding=encoding, mark=mark, newline=newline)
    rows = _Rows(path, lines, layout)
    place = _time_column(path, layout, rows, options)
    columns, x = _numbers(rows, layout, place, options)
    found = _times(path, layout, columns, x, place, fs, exact, options)
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
    notes = (_found(path, layout, array, found), *found.notes, *warnings)
    return replace(array, notes=notes)


def write(file: io.BytesIO, array: Array) -> None:
    """Write an array as the table that it came from, or as a plain one.

    A text of a number is never that of another number: where the form of a column would round,
    as many digits are written as tell the number from all others of its type.

    Raises
    ------
    ValueError
        If the attachment is corrupt.
    """
    said = said_in(array.attachments)
    try:
        file.write(b"".join(_content(array, said)))
    except (ValueError, AttributeError, TypeError, KeyError, OverflowError, LookupError) as error:
        raise ValueError(f"the attached line of names cannot be read: {error}") from error


def said_in(attachments: Mapping[str, bytes]) -> dict[str, Any]:
    """What the attachment says, {} if there is none.

    Raises
    ------
    ValueError
        If it is no JSON object.
    """
    content = attachments.get(COLUMNS, b"{}")
    try:
        if len(content) > LARGEST_SAID:
            raise ValueError(f"it has {len(content)} bytes")
        said = json.loads(content)
        if not isinstance(said, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the attached line of names cannot be read: {error}") from None
    return said


def as_then(attachments: Mapping[str, bytes]) -> tuple[TableOptions, bool]:
    """The options with which a table was read, and whether its rate was given."""
    given = said_in(attachments).get("given", {"fs": True})
    try:
        known = {name: value for name, value in given.items() if name != "fs"}
        if "missing" in known:
            known["missing"] = tuple(known["missing"])
        return TableOptions(**known), bool(given.get("fs"))
    except (AttributeError, TypeError) as error:
        raise ValueError(f"the attached line of names cannot be read: {error}") from None


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
                fields = line.split(delimiter)
                if '"' in line:
                    fields = raw_fields(line, delimiter)
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


def _time_column(
    path: Path, layout: Layout, rows: _Rows, options: TableOptions
) -> tuple[int | None, str | None]:
    """The column of times, and its form if these are clock times, dates or large whole numbers."""
    texts, names = rows.first_texts(), layout.names
    place = None
    if options.time_column is None:
        after = bool(names) and len(names) > 2 and names[0].lower() in INDEX_NAMES
        for c in range(1 + after):
            if names and times.is_name(names[c]):
                place = c
        if place is None and table_forms.form_of_times(texts[0]):
            place = 0
        if layout.columns == 1 and not table_forms.form_of_times(texts[0]):
            place = None
    elif options.time_column != "none":
        if options.time_column in names:
            place = names.index(options.time_column)
        else:
            raise ValueError(
                f"{path} has no column {options.time_column!r} but {', '.join(names) or 'no names'}"
            )
    elif table_forms.form_of_times(texts[0]):
        return None, table_forms.form_of_times(texts[0])
    if place is None:
        if options.time_unit:
            raise ValueError(f"--time-unit needs a column of times: give --time-column for {path}")
        return None, None
    form = table_forms.form_of_times(texts[place])
    if form and form.startswith("clock:0"):
        last = unquoted(layout.split(_last(rows.lines))[place])
        form = form.replace("clock:0", "clock:2") if last.count(":") == 2 else form
    if options.time_unit == "date" and not (form or "").startswith("date"):
        raise ValueError(
            f"{path} has no dates in its column of times, but {texts[place]!r}: dates are written "
            f"as 2020-01-31 10:00:00.000"
        )
    if form is None and re.fullmatch(r"\d{12,30}", texts[place]):
        form = "int"
    return place, form


def _last(lines: Sequence[str]) -> str:
    return next(line for line in reversed(lines) if line.strip())


def _numbers(
    rows: _Rows, layout: Layout, place: tuple[int | None, str | None], options: TableOptions
) -> tuple[list[Column], np.ndarray]:
    """How each column is written, and all numbers."""
    columns: list[Column] = []
    blocks = []
    times_at = place[0] if place[0] is not None else 0
    for numbers, block in rows.blocks():
        fields = [[text.strip() for text in column] for column in zip(*block, strict=True)]
        if not columns:
            forms = [place[1] if c == times_at else None for c in range(layout.columns)]
            columns = [_column(texts, layout, f) for texts, f in zip(fields, forms, strict=True)]
        values = np.empty((len(block), layout.columns))
        for c, texts in enumerate(fields):
            values[:, c], columns[c] = _converted(rows.path, layout, numbers, c, texts, columns[c])
        blocks.append(values)
    return columns, np.concatenate(blocks)


def _column(fields: Sequence[str], layout: Layout, form: str | None) -> Column:
    """How a column is written, from its first texts."""
    quotes = [text[:1] for text in fields if len(text) > 1 and text[0] == text[-1]]
    quote = next((q for q in quotes if q in "'\""), "")
    texts = [unquoted(text) for text in fields]
    if form is not None:
        first = next((text for text in texts if not layout.is_missing(text)), "0")
        return Column(form, table_forms.ticks_of([first], form)[0], quote)
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
    if column.form.split(":")[0] == "r" or column.form[0] in ".spP":
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
                f"{text[:40]!r} is no number. If it stands for a missing value, give --missing; "
                f"--delimiter, --decimal and --skip-rows say how the table is to be read"
            ) from None
    return out, column


def _plain(text: str) -> str:
    """A number with a decimal comma as Python reads it."""
    if "." in text:
        raise ValueError(text)
    return text.replace(",", ".")


def _value(text: str, decimal: str, column: Column) -> float:
    if column.form[:3] in ("int", "clo", "dat"):
        tick = table_forms.ticks_of([text], column.form)[0] - column.offset
        return tick / 10 ** table_forms.decimals_of(column.form)
    if not is_number(text, decimal):
        raise ValueError(text)
    return float(_plain(text) if decimal == "," else text)


def _times(
    path: Path,
    layout: Layout,
    columns: Sequence[Column],
    x: np.ndarray,
    place: tuple[int | None, str | None],
    fs: float | None,
    exact: bool,
    options: TableOptions,
) -> Times:
    """The rate of a table, and what stands for its times."""
    column, form = place
    if column is None:
        return Times(fs=fs)
    name = layout.names[column] if layout.names else f"column {column + 1}"
    per_second, known = _per_second(layout, column, form, x, columns[column], options)
    values = x[:, column]
    own = fs / per_second if fs else None
    exactly = (times.find_ruler(values, own) if own else None) or times.find_ruler(values)
    near = exactly
    if near is None:
        near = (times.nearest_ruler(values, own) if own else None) or times.nearest_ruler(values)
    ruler = exactly if exact else near
    if x.shape[1] == 1:
        ruler = None  # times alone are a channel
    rate = near.fs * per_second if near else None
    if rate is not None and per_second != 1 and abs(float(f"{rate:.12g}") / rate - 1) < 1e-12:
        rate = float(f"{rate:.12g}")
    notes = []
    if near is None:
        notes.append(
            f"the times in {name!r} of {path} have no even rate: they are kept as a channel"
            + ("" if fs else ", and --fs gives the rate")
        )
    elif rate is not None and rate < 1 and not known and not fs:
        notes.append(
            f"is {rate:g} Hz right? The times in {name!r} of {path} are taken as seconds: give "
            f"--time-unit ms if they are milliseconds, or --fs"
        )
    elif fs and rate is not None and abs(rate / fs - 1) > 1e-3:
        notes.append(f"the times in {name!r} of {path} say {rate:g} Hz; --fs {fs:g} is used")
    return Times(column, fs or rate, ruler, tuple(notes))


def _per_second(
    layout: Layout,
    column: int,
    form: str | None,
    x: np.ndarray,
    written: Column,
    options: TableOptions,
) -> tuple[float, bool]:
    """How many units of a column of times are a second, and whether anything says so."""
    if form and form != "int":
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
    given = {k: v for k, v in asdict(options).items() if v not in (None, ())}
    given |= {"fs": True} if fs else {}
    return said | {"given": given}


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
    made = _lines(array, said)
    for number, (line, other) in enumerate(zip_longest(lines[first:], made)):
        if line is None:
            return {}
        if line != other:
            odd[str(number)] = line
            allowed -= len(line)
            if allowed < 0 or (other is not None and not line.strip()):
                return {}
    return odd


def _found(path: Path, layout: Layout, array: Array, found: Times) -> str:
    """One line that says how a table was read."""
    words = {",": "comma", ";": "semicolon", "\t": "tab", " ": "space", ".": "point"}
    rows, channels = columns_of(array.x).shape
    parts = [f"{path.name}: {rows} rows, {channels} channel{'s' if channels > 1 else ''}"]
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
        name = layout.names[found.column] if layout.names else f"column {found.column + 1}"
        parts.append(f"times in {name!r}")
    parts.append(f"{array.fs:.10g} Hz" if array.fs else "no sampling rate")
    return ", ".join(parts)


def _warnings(
    layout: Layout, columns: Sequence[Column], place: int | None, x: np.ndarray
) -> Iterator[str]:
    """What a reader of the samples must know: offsets, rounding, commas that may be decimals."""
    for c, column in enumerate(columns):
        name = layout.names[c] if layout.names else f"column {c + 1}"
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


def _ruler_of(said: dict[str, Any], fs: float | None) -> times.Ruler | None:
    """The times that an attachment tells of, None if it has none."""
    rate = said.get("rate", fs)
    if said.get("start") is None or not rate:
        return None
    digits = said.get("digits")
    decimals = None if digits is not None else int(said.get("decimals", times.DECIMALS))
    for number in (digits, decimals):
        if number is not None and not 0 <= int(number) <= times.ALL_DIGITS:
            raise ValueError(f"times cannot have {number} digits")
    multiplied = bool(said.get("multiplied"))
    return times.Ruler(float(said["start"]), float(rate), decimals, digits, multiplied)


def _content(array: Array, said: dict[str, Any]) -> Iterator[bytes]:
    """The bytes of a table, block after block."""
    channels = columns_of(array.x).shape[1]
    if "columns" not in said:
        yield from _plain_content(array, said, channels)
        return
    encoding, newline = said.get("encoding", "utf-8"), said.get("newline", "\n")
    if encoding not in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
        raise ValueError(f"{encoding!r} is no encoding of a table")
    if newline not in ("\n", "\r\n", "\r"):
        raise ValueError(f"{newline!r} ends no line")
    head = said.get("head", [said["line"]] if said.get("line") else [])
    if not isinstance(head, list) or not all(isinstance(line, str) for line in head):
        raise ValueError("its head is no list of lines")
    yield ("\ufeff" if said.get("mark") else "").encode(encoding)
    odd = dict(said.get("rows", {}))
    pending = "".join(line + newline for line in head)
    number = 0
    for number, line in enumerate(_lines(array, said), 1):
        pending += odd.pop(str(number - 1), line) + newline
        if number % 4096 == 0:
            yield pending[: -len(newline)].encode(encoding)
            pending = newline
    while str(number) in odd:  # lines after the last row
        pending += odd.pop(str(number)) + newline
        number += 1
    if said.get("ended", True) is False:
        pending = pending.removesuffix(newline)
    yield pending.encode(encoding)


def _lines(array: Array, said: dict[str, Any]) -> Iterator[str]:
    """The rows of a table as texts, as its attachment says."""
    x = columns_of(array.x)
    ruler, place = _ruler_of(said, array.fs), int(said.get("place", 0))
    count = x.shape[1] + (ruler is not None)
    columns = _columns_of(said["columns"], count)
    separator, decimal = said.get("separator", ","), said.get("decimal", ".")
    if len(separator) > 2:
        raise ValueError("its separator is too long")
    if (separator.strip(" ") == "" and separator != " ") or decimal not in (".", ","):
        raise ValueError("its separators are none")
    moments = None if ruler is None else ruler.times(len(x))
    for begin in range(0, len(x), BLOCK):
        block = [x[begin : begin + BLOCK, c] for c in range(x.shape[1])]
        if moments is not None:
            block.insert(place, moments[begin : begin + BLOCK])
        texts = [_texts(v, column, decimal) for v, column in zip(block, columns, strict=True)]
        yield from map(separator.join, zip(*texts, strict=True))


def _columns_of(said: Any, count: int) -> list[Column]:
    columns = [Column(**each) for each in said]
    for column in columns:
        if not table_forms.is_form(column.form):
            raise ValueError(f"{column.form!r} is no form of numbers")
        if abs(int(column.offset)) > table_forms.LARGEST_OFFSET:
            raise ValueError("an offset is too large")
        if not isinstance(column.missing, str) or len(column.missing) > LONGEST_MISSING + 2:
            raise ValueError("a missing value is no short text")
        if column.quote not in ("", "'", '"'):
            raise ValueError(f"{column.quote!r} is no quote")
    if not 0 < len(columns) <= count:
        raise ValueError(f"it has {len(columns)} columns, and the samples {count}")
    return columns + columns[-1:] * (count - len(columns))


def _texts(values: np.ndarray, column: Column, decimal: str) -> list[str]:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    filled = np.where(missing, 0, values)
    texts = table_forms.written(filled, column.form, int(column.offset), decimal)
    if column.quote:
        texts = [f"{column.quote}{text}{column.quote}" for text in texts]
    for place in np.flatnonzero(missing):
        texts[place] = column.missing
    return texts


def _plain_content(array: Array, said: dict[str, Any], channels: int) -> Iterator[bytes]:
    """A table with commas and points, of samples that did not come from a table, or of 0.4."""
    line, ruler = said.get("line", ""), _ruler_of(said, array.fs)
    if not (line and "\n" not in line and line.count(",") + 1 == channels + (ruler is not None)):
        names = array.names or tuple(f"channel_{c}" for c in range(channels))
        line, ruler = ",".join(name.replace(",", " ") for name in names), None
    lines = [line]
    rows = (",".join([f"{v!s}" for v in row]) for row in columns_of(array.x))
    if ruler is None:
        lines += rows
    else:
        ticks = ruler.times(len(array.x)).tolist()
        lines += [f"{t!s},{row}" for t, row in zip(ticks, rows, strict=True)]
    yield ("\n".join(lines) + "\n").encode()
