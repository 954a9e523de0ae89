"""What is wrong with the header of an EDF or BDF file, in the words of its fields."""

import math
import re
from pathlib import Path

FIRST = 256  # bytes of the header, and of each signal in it
_POINTER = b"version https://git-lfs.github.com/spec/"
_WHOLE = ("the size of the header", 184, 8), ("the number of records", 236, 8)
# Fields of the signals: their words, where the first begins (for each signal), and their length.
_OF_SIGNALS = (
    ("physical minimum", 104, 8),
    ("physical maximum", 112, 8),
    ("digital minimum", 120, 8),
    ("digital maximum", 128, 8),
    ("number of samples in a record", 216, 8),
)
_WHOLE_NUMBER = re.compile(r"[-+]?\d+", re.ASCII)
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")


def check_header(path: Path, content: bytes) -> None:
    """Refuse a file whose header no reader can use.

    Raises
    ------
    ValueError
        One line with the file, the field, what stands in it, and a way round where there is one.
    """
    problem = _problem_of(content)
    if problem:
        raise ValueError(f"{path} cannot be read: {problem}")


def _problem_of(content: bytes) -> str:
    if not content:
        return "it is empty, it has 0 bytes"
    if content.startswith(_POINTER):
        return "it is a pointer of git-lfs, not the file: `git lfs pull` downloads the file"
    if len(content) < FIRST:
        return f"it has {len(content)} bytes, and a header has at least {FIRST}"
    if content[:8].strip() != b"0" and content[:8] != b"\xffBIOSEMI":
        began = content[:8].decode("latin-1")
        return f"it begins with {began!r}, and EDF begins with '0       '"
    count_text = text_of(content, 252, 4)
    if not count_text.isdigit() or not int(count_text):
        return f"the number of signals is {count_text!r}, and must be 1 or more"
    count = int(count_text)
    if len(content) < FIRST * (count + 1):
        return (
            f"it has {len(content)} bytes, and its header alone has {FIRST * (count + 1)} for "
            f"{count} signal{'s' * (count > 1)}: it was cut"
        )
    for words, begin, length in _WHOLE:
        text = text_of(content, begin, length)
        if not text.removeprefix("-").isdigit():
            return f"{words} is {text!r}, which is not a number"
    return _problem_of_signals(content, count)


def _problem_of_signals(content: bytes, count: int) -> str:
    labels = [text_of(content, FIRST + 16 * c, 16) for c in range(count)]
    text = text_of(content, 244, 8)
    duration, problem = _number(text)
    if problem:
        return f"the duration of a record is {text!r}, {problem}"
    if duration < 0 or (duration == 0 and not all(label in _ANNOTATIONS for label in labels)):
        return (
            f"the duration of a record is {text} s, so its signals have no sampling rate: write "
            "the true duration into bytes 244 to 251 of the header"
        )
    for c, label in enumerate(labels):
        values = []
        for words, begin, length in _OF_SIGNALS:
            text = text_of(content, FIRST + begin * count + length * c, length)
            value, problem = _number(text)
            if not problem and words.startswith("digital") and not _WHOLE_NUMBER.fullmatch(text):
                problem = "which is not a whole number"
            if problem:
                return f"the {words} of its signal {label!r} is {text!r}, {problem}"
            values.append(value)
        if label not in _ANNOTATIONS and values[2] >= values[3]:
            return (
                f"the digital minimum of its signal {label!r} is {values[2]:g}, which is not below "
                f"its digital maximum, {values[3]:g}"
            )
    return ""


def _number(text: str) -> tuple[float, str]:
    """The number of a field, and what is wrong with it."""
    try:
        value = float(text)
    except ValueError:
        if text.count(",") == 1 and text.replace(",", "").removeprefix("-").isdigit():
            return 0.0, f"with a decimal comma: EDF has a point, write {text.replace(',', '.')!r}"
        return 0.0, "which is not a number"
    return value, "" if math.isfinite(value) else "which is not a finite number"


def text_of(content: bytes, begin: int, length: int) -> str:
    """A field without what fills it up."""
    return content[begin : begin + length].decode("latin-1").strip(" \0")
