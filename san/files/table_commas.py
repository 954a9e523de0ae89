"""Whether the commas of a table separate columns or decimals, where the numbers alone tell it."""

import re
from collections.abc import Sequence
from pathlib import Path

from san.files.table_fields import NUMBER

_SECOND_HALF = re.compile(r"(\d+)([eE][+-]?\d+)?")  # of a number with a decimal comma


def is_one_column(sample: Sequence[str], missing: frozenset[str]) -> bool:
    """Whether commas stand for decimals of one column, as in 0,003.

    A whole number does not begin with zeros, and is not -0; with an exponent it has one digit, and
    nothing follows an exponent. One name stands above one column, a missing value is one column,
    and blanks fill each column and not the two of them together.
    """
    lines = [line for line in sample if line.strip().lower() not in missing]
    rows = [line.strip().split(",") for line in lines]
    names = [r for r in rows[:3] if not all(NUMBER.fullmatch(t.strip()) for t in r)]
    numbers = [r for r in rows if _may_be_halves(r)]
    pairs = [r for r in numbers if len(r) == 2]
    if len(numbers) < len(rows) - len(names) or len(pairs) * 2 < len(numbers) or not pairs:
        return False
    if any(len(row) > 2 or row[-1].startswith(("-", "+", " ")) for row in numbers):
        return False
    if names:
        return all(len(row) == 1 for row in names)
    filled = len({len(line) for line in lines}) == 1 and any(line != line.strip() for line in lines)
    if len(lines) < len(sample) or (filled and not any(" " in line.strip() for line in lines)):
        return True
    halves = any(_is_second_half(b.strip()) for _, b in pairs)
    return halves or any(a.strip() == "-0" for a, _ in pairs) or len(pairs) < len(numbers)


def _may_be_halves(fields: Sequence[str]) -> bool:
    """Whether fields are whole numbers; only the last one may have an exponent."""
    *first, last = (text.strip() for text in fields)
    return all(re.fullmatch(r"[+-]?\d+", text) for text in first) and (
        _SECOND_HALF.fullmatch(last.lstrip("+-")) is not None
    )


def _is_second_half(text: str) -> bool:
    """Whether a text is decimals after a comma, and nobody writes a number of its own like it.

    Examples
    --------
    >>> [_is_second_half(text) for text in ("003", "109e-01", "10", "1e-05")]
    [True, True, False, False]
    """
    match = _SECOND_HALF.fullmatch(text)
    return match is not None and len(match[1]) > 1 and bool(match[2] or match[1][0] == "0")


def question_pairs(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Refuse pairs of which the second ones may be decimals: 0,003,1,050, or 3,1e-05."""
    has_names = not all(NUMBER.fullmatch(text) for text in rows[0])
    columns = list(zip(*rows[has_names:], strict=True))
    pairs = [pair for row in rows[has_names:] for pair in zip(row[::2], row[1::2], strict=False)]
    if len(columns) % 2 or not all(_may_be_halves(pair) and pair[1][0].isdigit() for pair in pairs):
        return
    halves = [b for _, b in pairs if _is_second_half(b)]
    if len(columns) >= 4 and halves:
        raise ValueError(
            f"{path} has fields as {halves[0]!r} after a comma, which may be decimals: save it "
            "with another delimiter, or give --delimiter comma if they are whole numbers"
        )
    exponents = [",".join(pair) for pair in pairs if not pair[1].isdecimal()]
    if len(columns) == 2 and not has_names and len(exponents) == len(pairs) > 0:
        raise ValueError(
            f"{path} has lines as {exponents[0]!r}, where the comma may be a decimal one: give "
            "--decimal comma if it is, or --delimiter comma if it separates two columns"
        )
