"""How the numbers of a column are written: with decimals, with digits, as clock times or dates.

A form is a short text that FORMAT.md explains. It is chosen from the texts of a column, and gives
the texts again. A text that would be another number is replaced by the shortest one that is not.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

FORMS = re.compile(
    r"\.\d{1,2}[fge]|[rspP]|int|clock:[012]:[12]:\d{1,2}|date:[T ]:\d{1,2}:(Z|\+00:00|)"
)
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d)(?:\.(\d{1,9}))?")
DATE = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|\+00:00|)")
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
    values = np.array([float(text) for text in texts])
    scores = [sum(map(str.__eq__, _numbers(values, form), texts)) for form in forms]
    return forms[int(np.argmax(scores))]


def ticks_of(texts: Sequence[str], form: str) -> list[int]:
    """Whole units of the last digit that whole numbers, clock times or dates say.

    Raises
    ------
    ValueError
        If a text has another form: its number, counted from 0, is the error's second argument.
    """
    kind, decimals = form.split(":")[0], decimals_of(form)
    ticks = []
    for number, text in enumerate(texts):
        try:
            ticks.append(_tick(text, kind, decimals))
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"{text!r} is no {NAMES[kind]}", number) from None
    return ticks


NAMES = {"int": "whole number", "clock": "time such as 1:02:03.004", "date": "date and time"}


def form_of_times(text: str) -> str | None:
    """The form of a clock time or a date, from its first text; None of other texts.

    Examples
    --------
    >>> form_of_times("0:00.000"), form_of_times("2020-01-01T10:00:00.5Z"), form_of_times("0.5")
    ('clock:0:1:3', 'date:T:1:Z', None)
    """
    if match := CLOCK.fullmatch(text):
        style, width = (1, len(match[1])) if match[1] else (0, len(match[2]))
        return f"clock:{style}:{min(width, 2)}:{len(match[4] or '')}"
    if match := DATE.fullmatch(text):
        return f"date:{match[2]}:{len(match[4] or '')}:{match[5]}"
    return None


def decimals_of(form: str) -> int:
    """Decimals of a second that a form of times has; 0 of whole numbers."""
    kind, *parts = form.split(":")
    if kind == "int":
        return 0
    return int(parts[2] if kind == "clock" else parts[1])


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
    if form[:3] in ("int", "clo", "dat"):
        unit = 10 ** decimals_of(form)
        return [_tick_text(offset + round(v * unit), form) for v in values.tolist()]
    texts = _numbers(values, form)
    back = np.array([float(text) for text in texts], dtype=values.dtype)
    for place in np.flatnonzero((back != values) & ~np.isnan(values)):
        texts[place] = str(values[place])
    return texts if decimal == "." else [text.replace(".", decimal) for text in texts]


def _numbers(values: np.ndarray, form: str) -> list[str]:
    if form.startswith("."):
        spell = "%" + form
        return [spell % value for value in values.tolist()]
    if form == "r":
        return [str(v) for v in values] if values.dtype.kind == "f" else _numbers(values, ".0f")
    if form == "s":
        return [text.removesuffix(".0") for text in _numbers(values, "r")]
    texts = [np.format_float_positional(v, trim="0") for v in values.astype(np.float64)]
    return texts if form == "P" else [text.removesuffix(".0") for text in texts]


def _tick(text: str, kind: str, decimals: int) -> int:
    if kind == "int":
        if "_" in text:
            raise ValueError
        return int(text)
    match = (CLOCK if kind == "clock" else DATE).fullmatch(text)
    if match is None or len(match[4] or "") > decimals:
        raise ValueError
    part = int((match[4] or "0").ljust(decimals, "0")) if decimals else 0
    if kind == "clock":
        seconds = int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
    else:
        day = datetime.fromisoformat(f"{match[1]}T{match[3]}+00:00")
        seconds = round((day - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return seconds * 10**decimals + part


def _tick_text(tick: int, form: str) -> str:
    kind, *parts = form.split(":")
    if kind == "int":
        return str(tick)
    decimals = decimals_of(form)
    seconds, part = divmod(tick, 10**decimals)
    fraction = f".{part:0{decimals}d}" if decimals else ""
    if kind == "date":
        try:
            moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        except OverflowError:
            raise ValueError(f"{seconds} s after 1970 is no date") from None
        return f"{moment:%Y-%m-%d}{parts[0]}{moment:%H:%M:%S}{fraction}{':'.join(parts[2:])}"
    width, sign = int(parts[1]), "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if parts[0] == "1" or (parts[0] == "2" and hours):  # 2: hours only where there are some
        width = width if parts[0] == "1" else 1
        return f"{sign}{hours:0{width}d}:{minute:02d}:{second:02d}{fraction}"
    return f"{sign}{minutes:0{width}d}:{second:02d}{fraction}"
