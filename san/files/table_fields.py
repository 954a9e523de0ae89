"""How the text of a table falls into fields, and which of them are numbers."""

import codecs
import re
from pathlib import Path

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?\d{1,3}([., '’\u00a0\u202f]\d{3})+([.,]\d*)?")
_LIKE_A_TIME = re.compile(r"\d[:/.-]\d+[:/.-]\d|\d:\d\d")


def text_of(path: Path) -> tuple[str, str, bool]:
    """The text of a file, its encoding, and whether a byte order mark begins it."""
    content = path.read_bytes()
    marks = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}
    marks[codecs.BOM_UTF16_BE] = "utf-16-be"
    found = next((mark for mark in marks if content.startswith(mark)), b"")
    encoding = marks.get(found, "utf-8")
    try:
        text = content[len(found) :].decode(encoding)
    except UnicodeDecodeError:
        if found:
            raise ValueError(
                f"{path} is not a table of numbers: it is not {encoding} text"
            ) from None
        encoding, text = "latin-1", content.decode("latin-1")
    if "\0" in text:
        raise ValueError(f"{path} is not a table of numbers: it holds bytes that are no text")
    if not text.strip():
        raise ValueError(f"{path} is empty: a table needs a row of numbers")
    return text, encoding, bool(found)


def split(line: str, delimiter: str) -> list[str]:
    """The fields of a line, without blanks and quotes around them."""
    return [unquoted(each) for each in raw_fields(line, delimiter)]


def raw_fields(line: str, delimiter: str) -> list[str]:
    """The fields of a line as they are; a delimiter in double quotes separates nothing.

    Examples
    --------
    >>> raw_fields('"0,5","0,7",3', ",")
    ['"0,5"', '"0,7"', '3']
    >>> raw_fields("  0.5   10", "")
    ['  0.5', '   10']
    """
    if not delimiter:
        return re.findall(" *[^ ]+(?: +$)?", line)
    if '"' not in line or line.count('"') % 2:
        return line.split(delimiter)
    parts = line.split('"')
    kept = [p if n % 2 == 0 else p.replace(delimiter, "\0") for n, p in enumerate(parts)]
    return [field.replace("\0", delimiter) for field in '"'.join(kept).split(delimiter)]


def unquoted(text: str) -> str:
    """A field without blanks and one pair of quotes around it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return text


def is_number(text: str, decimal: str) -> bool:
    """Whether a text is a number."""
    if decimal == ",":
        text = "x" if "." in text else text.replace(",", ".")
    return NUMBER.fullmatch(text) is not None


def no_number(text: str, form: str = "r") -> str:
    """What is wrong with a text that cannot be read as a number, or not as its column is written.

    Examples
    --------
    >>> no_number("1,234.5")
    "'1,234.5' is no number: write numbers without a separator of thousands"
    """
    shown = repr(text[:40])
    if form.startswith(("clock", "date")):
        return f"{shown} is not written as the first time of the column is"
    if THOUSANDS.fullmatch(text):
        return f"{shown} is no number: write numbers without a separator of thousands"
    if _LIKE_A_TIME.search(text):
        return (
            f"{shown} is no number, and no time that SAN reads, such as 2020-01-31 10:00:00.000, "
            f"31.01.2020 10:00 or 10:00:00.5"
        )
    return f"{shown} is no number"
