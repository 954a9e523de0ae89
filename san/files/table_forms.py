"""How the numbers of a column are written: with decimals, with digits, as clock times or dates.

A form is a short text that FORMAT.md explains. It is chosen from the texts of a column, and gives
the texts again. A text that would be another number is replaced by the shortest one that is not.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from san.files import table_moments as moments

FORMS = re.compile(rf"\+?\.\d{{1,2}}[fgeE]|[rspP]|int|{moments.FORM.pattern}")
LARGEST_OFFSET = 10**30  # far above any Unix time
_NUMBER = re.compile(r"[+-]?(\d*)(?:\.(\d*))?(?:[eE][+-]?\d+)?")


def is_form(form: object) -> bool:
    """Say whether a text of an attachment is a form that FORMAT.md names."""
    return isinstance(form, str) and FORMS.fullmatch(form) is not None


def find_form(texts: Sequence[str]) -> str:
    """The form that gives most of the texts of a column of numbers, with points as decimals.

    Examples
    --------
    >>> find_form(["0.10", "1.25"]), find_form(["1", "-20"]), find_form(["0.0", "1e-05"])
    ('.2f', '.0f', 'r')
    """
    found = [match for match in map(_NUMBER.fullmatch, texts) if match]
    decimals = Counter(len(match[2] or "") for match in found).most_common(1)
    digits = max((len(((m[1] or "") + (m[2] or "")).lstrip("0")) for m in found), default=1)
    count = min(decimals[0][0] if decimals else 0, 99)
    forms = [f".{count}f", "r", "s", f".{min(max(digits, 1), 17)}g", ".6g", f".{count}e", "p", "P"]
    if any("E" in text for text in texts):
        forms.append(f".{count}E")
    if any(text.startswith("+") for text in texts):
        forms += [f"+{form}" for form in forms if form.startswith(".")]
    values = np.array([float(text) for text in texts])
    scores = [sum(map(str.__eq__, _numbers(values, form), texts)) for form in forms]
    return forms[int(np.argmax(scores))]


def tick_of(text: str, form: str) -> int:
    """Whole units of the last digit that a whole number, a clock time or a date says.

    Raises
    ------
    ValueError
        If the text has another form.
    """
    if form != "int":
        return moments.tick_of(text, form)
    if "_" in text:
        raise ValueError(text)
    return int(text)


def has_ticks(form: str | None) -> bool:
    """Whether a form is of whole numbers, clock times or dates, which are counted in units."""
    return form is not None and form[:4] in ("int", "cloc", "date")


def unit_of(form: str) -> int:
    """Units of the last digit that one is: a second, or the number 1."""
    return 1 if form == "int" else 10 ** moments.decimals_of(form)


def written(values: np.ndarray, form: str, offset: int, decimal: str) -> list[str]:
    """The texts of the numbers of a column.

    Parameters
    ----------
    values : array, shape (n,)
    form : str
    offset : int
        Of whole numbers, clock times and dates: units of the last digit that come on top.
    decimal : str
        What separates decimals.
    """
    if has_ticks(form):
        unit = unit_of(form)
        ticks = [offset + round(v * unit) for v in values.tolist()]
        return [str(tick) if form == "int" else moments.text_of(tick, form) for tick in ticks]
    texts = _numbers(values, form)
    back = np.array([float(text) for text in texts], dtype=values.dtype)
    for place in np.flatnonzero((back != values) & ~np.isnan(values)):
        texts[place] = str(values[place])
    return texts if decimal == "." else [text.replace(".", decimal) for text in texts]


def _numbers(values: np.ndarray, form: str) -> list[str]:
    if form.startswith((".", "+")):
        spell = "%" + form
        return [spell % value for value in values.tolist()]
    if form == "r":
        return [str(v) for v in values] if values.dtype.kind == "f" else _numbers(values, ".0f")
    if form == "s":
        return [text.removesuffix(".0") for text in _numbers(values, "r")]
    texts = [np.format_float_positional(v, trim="0") for v in values.astype(np.float64)]
    return texts if form == "P" else [text.removesuffix(".0") for text in texts]
