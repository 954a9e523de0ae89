"""What is said of a record that could not be coded: why, in one line, or that it has no signal."""

import csv
import itertools
import traceback
from pathlib import Path

from san.archives import manifest
from san.files.table_moments import form_of
from san.packages import MissingPackage
from san.signals import NoSignal

ROWS_LOOKED_AT = 1000  # of a table, to see whether it holds a signal
MISSING = {"", "-", "NA", "N/A", "NaN", "nan"}  # fields of a table that say nothing
LONGEST_FAILURE = 500  # characters
LONGEST_TRACEBACK = 20_000  # characters, the last ones
# What readers and the codec raise of a record.
EXPECTED = (ValueError, OSError, MemoryError, MissingPackage)


def without_signal(path: Path, error: Exception) -> str:
    """Why a file that could not be coded has no signal; empty if it should have one."""
    if isinstance(error, NoSignal):
        return in_words(error)
    if not isinstance(error, ValueError) or path.suffix.lower() != ".csv" or not path.is_file():
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line for line in itertools.islice(file, ROWS_LOOKED_AT) if line.strip()]
    if len(lines) < 2:
        return ""
    delimiter = max(",;\t", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=delimiter))
    for number, column in enumerate(zip(*rows, strict=False), 1):
        texts = {field.strip() for field in column} - MISSING
        if texts and not any(_is_number(text) or form_of(text) for text in texts):
            return f"it is a table, and no field of its column {number} is a number"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def failure_of(error: Exception) -> dict[str, str]:
    """What a line of the manifest says of an error."""
    if isinstance(error, EXPECTED):
        return {"failure": in_words(error)}
    trace = "".join(traceback.format_exception(error))
    return {
        "failure": f"{in_words(error)}; its traceback is in {manifest.NAME}",
        "traceback": trace[-LONGEST_TRACEBACK:],
    }


def in_words(error: BaseException) -> str:
    """One line of an error, with its kind if the message alone is not enough."""
    text = " ".join(str(error).split())
    if not isinstance(error, (ValueError, OSError, MissingPackage)) or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return text[:LONGEST_FAILURE]
