"""How the rows of a table become numbers, and how the numbers of each column are written."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from san.files import table_forms, table_moments
from san.files.table_fields import is_number, no_number, raw_fields, unquoted
from san.files.table_layout import COMMENTS, Layout
from san.files.table_rows import BLOCK, WIDEST, Column

MOST_COLUMNS = 4096  # of a table, which take a second; a stream has 1,024 channels unless told
WHOLE = 1 << 53  # float64 holds every whole number up to here
_WHOLE_TEXT = re.compile(r"-?\d{1,30}")


class Rows:
    """The rows of a table, in blocks."""

    def __init__(self, path: Path, lines: Sequence[str], layout: Layout) -> None:
        self.path, self.lines, self.layout = path, lines, layout
        self.first = len(layout.head)
        if layout.columns > MOST_COLUMNS:
            raise ValueError(
                f"{path} has {layout.columns} columns, and {MOST_COLUMNS} are the most: rows are "
                "samples, and columns are channels"
            )

    @cached_property
    def places(self) -> list[int]:
        """Numbers of the lines that are rows, counted from 0."""
        return [n for n in range(self.first, len(self.lines)) if not self._is_between(n)]

    def _is_between(self, number: int) -> bool:
        """Whether a line is no row: a comment, or empty and no missing value of one column."""
        line = self.lines[number]
        if line.strip():
            return line.lstrip()[0] in COMMENTS and self.layout.is_comment(line)
        more = self.lines[number + 1 : number + 100]
        is_comment = self.layout.is_comment
        return self.layout.columns > 1 or not any(m.strip() and not is_comment(m) for m in more)

    @property
    def comments(self) -> int:
        """How many lines between the rows, and after them, are comments."""
        rows = set(self.places)
        between = (n for n in range(self.first, len(self.lines)) if n not in rows)
        return sum(bool(self.lines[n].strip()) for n in between)

    def blocks(self) -> Iterator[tuple[list[int], list[list[str]]]]:
        """Numbers of lines, counted from 1, and their fields with quotes but without blanks."""
        delimiter, width = self.layout.delimiter, self.layout.columns
        for begin in range(0, len(self.places), BLOCK):
            places, rows = self.places[begin : begin + BLOCK], []
            for place in places:
                line = self.lines[place]
                is_plain = delimiter and '"' not in line
                fields = line.split(delimiter) if is_plain else raw_fields(line, delimiter)
                if width == 1 and not line.strip():
                    fields = [""]
                if len(fields) != width:
                    raise self._uneven(place, len(fields))
                rows.append(fields)
            yield [place + 1 for place in places], rows

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


def forms_of(
    rows: Rows, texts: Sequence[str], layout: Layout
) -> tuple[list[str | None], list[str]]:
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


def like_thousands(rows: Rows, layout: Layout) -> Iterator[str]:
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


def numbers_of(
    rows: Rows, layout: Layout, forms: Sequence[str | None]
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
            return Column("int", _offset_of([int(t) for t in numbers]), quote)
    if layout.decimal == ",":
        numbers = [text.replace(",", ".") for text in numbers]
    return Column(table_forms.find_form(numbers) if numbers else "r", 0, quote)


def _offset_of(wholes: Sequence[int]) -> int:
    """What is taken off large whole numbers, so that float64 holds the most of the rest.

    It is the first of them, or else what float64 has next to the one in the middle: float64 then
    holds the rest of a 0 too.
    """
    middle = sorted(wholes)[len(wholes) // 2]
    offsets = wholes[0], int(float(middle))
    return max(offsets, key=lambda offset: sum(is_held(n - offset) for n in wholes))


def is_held(whole: int) -> bool:
    """Whether float64 holds a whole number.

    Examples
    --------
    >>> is_held(2**60), is_held(2**60 + 1)
    (True, False)
    """
    return int(float(whole)) == whole


def _converted(
    path: Path, layout: Layout, numbers: Sequence[int], c: int, texts: list[str], column: Column
) -> tuple[np.ndarray, Column]:
    """The numbers of a part of a column; its first missing value tells how these are written."""
    if not table_forms.has_ticks(column.form):
        try:
            missing = layout.has_missing_numbers
            if not missing and not any("_" in text or text[-1:] in "nN" for text in texts):
                plain = texts if layout.decimal == "." else [_plain(text) for text in texts]
                return np.array([float(text) for text in plain]), column
        except ValueError:
            pass  # quotes, missing values, or what is no number: each text is looked at
    out = np.empty(len(texts))
    for row, field in enumerate(texts):
        text = unquoted(field)
        if layout.is_missing(text):
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
