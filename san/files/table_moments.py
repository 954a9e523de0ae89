"""How clock times and dates of a table are written: found in the first text, and written again.

A clock time is elapsed, or of a day. A date has a template, in which letters stand for numbers. All
are counted in units of their last digit, dates from 1970, in the time of day that the text gives.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d)(?:\.(\d{1,9}))?")
_DAYS = ("YYYY-MM-DD", "YYYY/MM/DD", "YYYY.MM.DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY",
         "DD-MM-YYYY")  # fmt: skip
_HOURS = r"hh:mm(?::ss(?:[.,]f{1,9})?)?"
_ZONE = r"(?:Z| ?[+-]\d\d:?\d\d)?"
_ANY_DAY = "(?:" + "|".join(map(re.escape, _DAYS)) + ")"
#: What a template can be: a day, with or without a time; and as rdsamp writes it, in brackets
TEMPLATE = re.compile(rf"{_ANY_DAY}(?:[T ]{_HOURS}{_ZONE})?|\[{_HOURS} {_ANY_DAY}\]")
FORM = re.compile(rf"clock:[012]:[12]:\d{{1,2}}|date:(?:{TEMPLATE.pattern})")
_TIME = re.compile(r"(\d\d:\d\d)(:\d\d)?(?:([.,])(\d{1,9}))?")
_DAY = re.compile(r"\d{4}([-/.])\d\d\1\d\d|\d\d([-/.])\d\d\2\d{4}")
_FIELD = re.compile(r"YYYY|MM|DD|hh|mm|ss|f+")
_ORDINAL_1970 = date(1970, 1, 1).toordinal()
_MINUTES_OF_A_DAY = 24 * 60  # no zone is as far away


def form_of(text: str) -> str | None:
    """The form of a clock time or a date; None of other texts.

    Of days such as 01/02/2020 the first number is the day, where it can be.

    Examples
    --------
    >>> form_of("0:00.000"), form_of("2020-01-01T10:00:00.5Z"), form_of("0.5")
    ('clock:0:1:3', 'date:YYYY-MM-DDThh:mm:ss.fZ', None)
    >>> form_of("31.01.2020 10:00"), form_of("01/31/2020"), form_of("[10:00:00.004 01/02/2020]")
    ('date:DD.MM.YYYY hh:mm', 'date:MM/DD/YYYY', 'date:[hh:mm:ss.fff DD/MM/YYYY]')
    """
    if match := CLOCK.fullmatch(text):
        style, width = (1, len(match[1])) if match[1] else (0, len(match[2]))
        return f"clock:{style}:{min(width, 2)}:{len(match[4] or '')}"
    day = _DAY.search(text)
    if day is None or len(text) > 60:
        return None
    template = text[: day.start()] + _template_of_day(day[0]) + text[day.end() :]
    template = _TIME.sub(_template_of_time, template, count=1)
    return f"date:{template}" if TEMPLATE.fullmatch(template) else None


def form_of_all(form: str, texts: Iterable[str]) -> tuple[str, bool]:
    """The form of a whole column, and whether its dates can be read in two ways.

    Parameters
    ----------
    form : str
        Of its first text.
    texts : iterable of str
        All texts that have such a form; others are passed over.

    Examples
    --------
    >>> form_of_all("clock:0:1:0", ["0:00", "1:00:00.25"])
    ('clock:2:1:2', False)
    >>> form_of_all("date:DD/MM/YYYY", ["01/02/2020", "01/31/2020"])
    ('date:MM/DD/YYYY', False)
    """
    digits, hours, order = decimals_of(form), False, ""
    slashed = "DD/MM/YYYY" in form or "MM/DD/YYYY" in form
    length = len(form) - len("date:") if form.startswith("date") else 0
    for text in texts:
        if len(text) == length and (order or not slashed):
            continue  # each field of a date has one width, so it has the form of the first
        found = form_of(text)
        if found is None or found[:5] != form[:5]:
            continue
        digits, hours = max(digits, decimals_of(found)), hours or found.startswith("clock:1")
        if slashed and not order and (match := re.search(r"(\d\d)/(\d\d)/\d{4}", text)):
            order = "DD/MM" if int(match[1]) > 12 else "MM/DD" if int(match[2]) > 12 else ""
    if form.startswith("clock"):
        _, style, width, _ = form.split(":")
        return f"clock:{2 if style == '0' and hours else style}:{width}:{digits}", False
    if digits:
        mark = "," if "ss,f" in form else "."
        form = re.sub(r"ss(?:[.,]f+)?", f"ss{mark}{'f' * digits}", form)
    doubtful = slashed and not order and not form.startswith("date:[")
    return re.sub("DD/MM|MM/DD", order, form) if order else form, doubtful


def decimals_of(form: str) -> int:
    """Decimals of a second that a form of times has."""
    return int(form.split(":")[3]) if form.startswith("clock") else form.count("f")


def tick_of(text: str, form: str) -> int:
    """Units of the last digit that a text says.

    Raises
    ------
    ValueError
        If the text has another form, or there is no such day.

    Examples
    --------
    >>> tick_of("0:01.5", "clock:0:1:3"), tick_of("02.01.1970", "date:DD.MM.YYYY")
    (1500, 86400)
    """
    decimals = decimals_of(form)
    if form.startswith("clock"):
        match = CLOCK.fullmatch(text)
        if match is None:
            raise ValueError(text)
        seconds = int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
        return seconds * 10**decimals + _part(match[4], decimals)
    match = _reader(form[5:]).fullmatch(text)
    if match is None:
        raise ValueError(text)
    found = match.groupdict()
    day = date(int(found["YYYY"]), int(found["MM"]), int(found["DD"])).toordinal() - _ORDINAL_1970
    hour, minute, second = (int(found.get(name) or 0) for name in ("hh", "mm", "ss"))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    seconds = day * 86400 + hour * 3600 + minute * 60 + second
    return seconds * 10**decimals + _part(found.get("f"), decimals)


def text_of(tick: int, form: str) -> str:
    """The text of a time, given in units of its last digit.

    Raises
    ------
    ValueError
        If there is no such day.

    Examples
    --------
    >>> text_of(1500, "clock:0:1:3"), text_of(86400, "date:DD.MM.YYYY hh:mm")
    ('0:01.500', '02.01.1970 00:00')
    """
    decimals = decimals_of(form)
    seconds, part = divmod(tick, 10**decimals)
    fraction = f"{part:0{decimals}d}" if decimals else ""
    if form.startswith("date"):
        moment = moment_of(tick, form)
        numbers = {
            "YYYY": f"{moment.year:04d}",
            "MM": f"{moment.month:02d}",
            "DD": f"{moment.day:02d}",
            "hh": f"{moment.hour:02d}",
            "mm": f"{moment.minute:02d}",
            "ss": f"{moment.second:02d}",
        }
        return _FIELD.sub(lambda field: numbers.get(field[0], fraction), form[5:])
    _, style, width, _ = form.split(":")
    sign = "-" if seconds < 0 else ""
    minutes, second = divmod(abs(seconds), 60)
    hours, minute = divmod(minutes, 60)
    ending = f"{second:02d}" + (f".{fraction}" if decimals else "")
    if style == "1" or (style == "2" and hours):  # 2: hours only where there are some
        shown = int(width) if style == "1" else 1
        return f"{sign}{hours:0{shown}d}:{minute:02d}:{ending}"
    return f"{sign}{minutes:0{int(width)}d}:{ending}"


def moment_of(tick: int, form: str) -> datetime:
    """The date and time of a tick, to the microsecond, with its zone if the form has one.

    Raises
    ------
    ValueError
        If there is no such day.

    Examples
    --------
    >>> moment_of(86400, "date:YYYY-MM-DDThh:mm:ss+01:00").isoformat()
    '1970-01-02T00:00:00+01:00'
    """
    seconds, part = divmod(tick, 10 ** decimals_of(form))
    microseconds = part * 10**6 // 10 ** decimals_of(form)
    try:
        moment = datetime(1970, 1, 1) + timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        raise ValueError(f"{seconds} s after 1970 is no date") from None
    zone = re.search(r"(Z)$|([+-])(\d\d):?(\d\d)$", form)
    if zone is None:
        return moment
    minutes = 0 if zone[1] else int(zone[3]) * 60 + int(zone[4])
    if minutes >= _MINUTES_OF_A_DAY:
        raise ValueError(f"{zone[0]} is no time zone")
    return moment.replace(
        tzinfo=timezone(timedelta(minutes=-minutes if zone[2] == "-" else minutes))
    )


def _part(digits: str | None, decimals: int) -> int:
    """The decimals of a second as a whole number; there may be fewer than the form has."""
    if len(digits or "") > decimals:
        raise ValueError(digits)
    return int((digits or "0").ljust(decimals, "0")) if decimals else 0


def _template_of_day(text: str) -> str:
    if text[2] in "-/.":
        month_first = text[2] == "/" and int(text[:2]) <= 12 < int(text[3:5])
        return ("MM/DD/YYYY" if month_first else "DD MM YYYY").replace(" ", text[2])
    return "YYYY MM DD".replace(" ", text[4])


def _template_of_time(match: re.Match[str]) -> str:
    return (
        "hh:mm" + (":ss" if match[2] else "") + (match[3] + "f" * len(match[4]) if match[3] else "")
    )


@lru_cache
def _reader(template: str) -> re.Pattern[str]:
    """What reads the texts of a template."""
    pattern = ""
    for piece in re.split(r"(YYYY|MM|DD|hh|mm|ss|[.,]f+)", template):
        if piece[:1] in (".", ",") and piece.endswith("f"):
            pattern += rf"(?:{re.escape(piece[0])}(?P<f>\d{{1,9}}))?"
        elif _FIELD.fullmatch(piece):
            pattern += rf"(?P<{piece}>\d{{{len(piece)}}})"
        else:
            pattern += re.escape(piece)
    return re.compile(pattern)
