"""What a stream keeps of a table, and how samples become the rows of a table again.

The attachment `csv/columns` says what FORMAT.md lists under "Tables". A stream may be hostile, so
that nothing of it makes a table large or slow.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from san import times
from san.files import table_forms
from san.files.table_apart import times_of
from san.files.table_layout import LONGEST_MISSING
from san.signals import Array, columns_of

COLUMNS = "csv/columns"
BLOCK = 8192  # rows that are made at once
LARGEST_SAID = 1 << 26  # characters of an attachment
WIDEST = 60  # characters of a padded field


class Damaged(ValueError):
    """What is wrong with the attachment, in words."""


class Column(NamedTuple):
    """How one column is written."""

    form: str = "r"
    offset: int = 0
    quote: str = ""
    missing: str = "nan"
    width: int = 0  #: of a field with blanks before it; below 0: after it


def content_of(array: Array) -> bytes:
    """The bytes of the table that an array came from, or of a plain one.

    A text of a number is never that of another number: where the form of a column would round,
    as many digits are written as tell the number from all others of its type.

    Raises
    ------
    ValueError
        If the attachment is corrupt.
    """
    said = said_in(array.attachments)
    try:
        return b"".join(_content(array, said))
    except (ValueError, AttributeError, TypeError, KeyError, OverflowError, LookupError) as error:
        raise unreadable(error) from error


def unreadable(error: Exception | None = None) -> ValueError:
    """The error that says why the attachment cannot be read, in no words but its own."""
    why = str(error) if isinstance(error, Damaged) else "it is not as FORMAT.md describes it"
    return ValueError(
        f"the attached line of names cannot be read: {why}. A name that ends with .npy takes the "
        "samples alone"
    )


def said_in(attachments: Mapping[str, bytes]) -> dict[str, Any]:
    """What the attachment says, {} if there is none.

    Raises
    ------
    ValueError
        If it is no JSON object.
    """
    content = attachments.get(COLUMNS, b"{}")
    try:
        said = json.loads(content) if len(content) <= LARGEST_SAID else None
    except (ValueError, RecursionError):  # damaged, no text, or too deep
        said = None
    if not isinstance(said, dict):
        raise unreadable()
    return said


def ruler_of(said: dict[str, Any], fs: float | None) -> times.Ruler | None:
    """The times that an attachment tells of, None if it has none."""
    rate = said.get("rate", fs)
    if said.get("start") is None or not rate:
        return None
    digits = said.get("digits")
    decimals = None if digits is not None else int(said.get("decimals", times.DECIMALS))
    for number in (digits, decimals):
        if number is not None and not 0 <= int(number) <= times.ALL_DIGITS:
            raise Damaged(f"times cannot have {number} digits")
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
        raise Damaged(f"{encoding!r} is no encoding of a table")
    if newline not in ("\n", "\r\n", "\r"):
        raise Damaged(f"{newline!r} ends no line")
    head = said.get("head", [said["line"]] if said.get("line") else [])
    if not isinstance(head, list) or not all(isinstance(line, str) for line in head):
        raise Damaged("its head is no list of lines")
    yield ("\ufeff" if said.get("mark") else "").encode(encoding)
    odd = dict(said.get("rows", {}))
    pending = "".join(line + newline for line in head)
    number = 0
    for number, line in enumerate(lines_of(array, said), 1):
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


def lines_of(array: Array, said: dict[str, Any]) -> Iterator[str]:
    """The rows of a table as texts, as its attachment says."""
    x = columns_of(array.x)
    ruler, place = ruler_of(said, array.fs), int(said.get("place", 0))
    moments = times_of(array.attachments, len(x)) if ruler is None else ruler.times(len(x))
    count = x.shape[1] + (moments is not None)
    columns = _columns_of(said["columns"], count)
    separator, decimal = said.get("separator", ","), said.get("decimal", ".")
    if len(separator) > 2:
        raise Damaged("its separator is too long")
    if separator == "  " or decimal not in (".", ","):
        raise Damaged("its separators are none")
    for begin in range(0, len(x), BLOCK):
        block = [x[begin : begin + BLOCK, c] for c in range(x.shape[1])]
        if moments is not None:
            block.insert(place, moments[begin : begin + BLOCK])
        texts = [_texts(v, column, decimal) for v, column in zip(block, columns, strict=True)]
        if not separator:
            texts[1:] = [[t if t[:1] == " " else f" {t}" for t in column] for column in texts[1:]]
        yield from map(separator.join, zip(*texts, strict=True))


def _columns_of(said: Any, count: int) -> list[Column]:
    columns = [Column(**each) for each in said]
    for column in columns:
        if not table_forms.is_form(column.form):
            raise Damaged(f"{column.form!r} is no form of numbers")
        if abs(int(column.offset)) > table_forms.LARGEST_OFFSET:
            raise Damaged("an offset is too large")
        if not isinstance(column.missing, str) or len(column.missing) > LONGEST_MISSING + 2:
            raise Damaged("a missing value is no short text")
        if abs(int(column.width)) > WIDEST:
            raise Damaged("a field is too wide")
        if column.quote not in ("", "'", '"'):
            raise Damaged(f"{column.quote!r} is no quote")
    if not 0 < len(columns) <= count:
        raise Damaged(f"it has {len(columns)} columns, and the samples {count}")
    return columns + columns[-1:] * (count - len(columns))


def _texts(values: np.ndarray, column: Column, decimal: str) -> list[str]:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    filled = np.where(missing, 0, values)
    texts = table_forms.written(filled, column.form, int(column.offset), decimal)
    if column.quote:
        texts = [f"{column.quote}{text}{column.quote}" for text in texts]
    for place in np.flatnonzero(missing):
        texts[place] = column.missing
    if column.width > 0:
        return [text.rjust(column.width) for text in texts]
    return [text.ljust(-column.width) for text in texts] if column.width else texts


def _plain_content(array: Array, said: dict[str, Any], channels: int) -> Iterator[bytes]:
    """A table with commas and points, of samples that did not come from a table, or of 0.4."""
    line, ruler = said.get("line", ""), ruler_of(said, array.fs)
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
