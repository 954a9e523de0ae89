"""How the text of a table is laid out: what separates columns and decimals, and where rows begin.

All of it is found in the first lines, and all of it can be said (`TableOptions`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from san import times
from san.files import table_moments
from san.files.table_commas import is_one_column, question_pairs
from san.files.table_fields import (
    NUMBER,
    THOUSANDS,
    is_number,
    no_number,
    raw_fields,
    split,
)

MISSING = ("", "na", "n/a", "nan", "-nan", "null", "none", "-", "--", "?", "#n/a")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "\\t": "\t"}
DECIMALS = {"point": ".", "comma": ","}
TIME_UNITS = ("s", "ms", "us", "ns", "date")
COMMENTS = ("#", "%")
#: What a row of units consists of, in small letters and without brackets
UNITS = frozenset(
    """v mv uv µv μv nv a ma ua pa na s sec ms us ns min h hz khz bpm mmhg kpa pa nu pm % g mg m mm
    cm m/s m/s2 m/s^2 rad deg °c c k f l ml l/min ml/min ohm kohm mohm n nm w db au a.u. adu counts
    count dimensionless units unit - date us/cm siemens t ut nt hh:mm:ss hh:mm:ss.mmm""".split()
) | {"hh:mm:ss.mmm dd/mm/yyyy"}
LONGEST_MISSING = 60  # characters: a stream repeats the text for each missing value
LOOKED_AT = 200  # lines from which the layout is found
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class TableOptions:
    """What the user says of a table; None is found out."""

    delimiter: str | None = None  #: ",", ";", a tab, or one of `DELIMITERS`
    decimal: str | None = None  #: "." or ",", or one of `DECIMALS`
    skip_rows: int | None = None  #: lines before the names or the first row
    header: bool | None = None  #: whether a line of names is there
    missing: tuple[str, ...] = ()  #: further texts that stand for a missing value
    time_column: str | None = None  #: name of the column of times; "none" if there is none
    time_unit: str | None = None  #: one of `TIME_UNITS`

    def __post_init__(self) -> None:
        """Refuse what no table can have."""
        delimiter = DELIMITERS.get(self.delimiter or "", self.delimiter)
        decimal = DECIMALS.get(self.decimal or "", self.decimal)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in "\r\n\"'.+-0123456789"):
            raise ValueError(
                f"--delimiter must be one character, comma, semicolon, tab or space, got "
                f"{self.delimiter!r}"
            )
        if decimal not in (None, ".", ","):
            raise ValueError(f"--decimal must be point or comma, got {self.decimal!r}")
        if self.skip_rows is not None and self.skip_rows < 0:
            raise ValueError(f"--skip-rows must be 0 or more, got {self.skip_rows}")
        if self.time_unit not in (None, *TIME_UNITS):
            raise ValueError(f"--time-unit must be s, ms, us, ns or date, got {self.time_unit!r}")
        if any(len(text) > LONGEST_MISSING for text in self.missing):
            raise ValueError(f"--missing must have {LONGEST_MISSING} characters at most")
        object.__setattr__(self, "delimiter", delimiter)
        object.__setattr__(self, "decimal", decimal)

    @property
    def given(self) -> dict[str, Any]:
        """What is said, as JSON holds it.

        Examples
        --------
        >>> TableOptions(decimal="comma", missing=("x",)).given
        {'decimal': ',', 'missing': ['x']}
        """
        said = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return said | ({"missing": list(self.missing)} if self.missing else {})


@dataclass(frozen=True)
class Layout:
    """How the text of a table is laid out."""

    encoding: str = "utf-8"  #: or latin-1, utf-16-le, utf-16-be
    mark: bool = False  #: whether a byte order mark begins the file
    newline: str = "\n"
    separator: str = ","  #: the delimiter, with a blank after it if every line has one; "": blanks
    decimal: str = "."
    head: tuple[str, ...] = ()  #: lines before the first row, as they are
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    columns: int = 1
    missing: frozenset[str] = field(default=frozenset(MISSING))

    @property
    def delimiter(self) -> str:
        """The character between two columns; "" where each field has its own number of blanks."""
        return self.separator.rstrip(" ") or self.separator

    @property
    def has_missing_numbers(self) -> bool:
        """Whether a text that stands for a missing value is a number, as -999."""
        return any(is_number(text, self.decimal) for text in self.missing)

    def split(self, line: str) -> list[str]:
        """The fields of a line, without blanks and quotes around them."""
        return split(line, self.delimiter)

    def name_of(self, column: int) -> str:
        """The name of a column, or its number from 1."""
        return self.names[column] if self.names else f"column {column + 1}"

    def is_comment(self, line: str) -> bool:
        """Whether a line is no row but a remark; a missing value such as #N/A begins a row."""
        return line.lstrip().startswith(COMMENTS) and not self.is_missing(self.split(line)[0])

    def is_missing(self, text: str) -> bool:
        """Whether a field stands for a missing value."""
        return text in self.missing or text.lower() in self.missing


def find_layout(path: Path, lines: Sequence[str], said: TableOptions) -> Layout:
    """Find the layout of a table in its first lines.

    Raises
    ------
    ValueError
        If no row of numbers is there, or names and columns disagree.
    """
    skipped = said.skip_rows or 0
    if skipped >= len(lines):
        raise ValueError(f"{path} has {len(lines)} lines, and --skip-rows is {skipped}")
    sample = [
        line
        for line in lines[skipped : skipped + LOOKED_AT]
        if line.strip() and not line.lstrip().startswith(COMMENTS)
    ]
    if not sample:
        raise ValueError(f"{path} has no row of numbers")
    missing = frozenset(MISSING) | frozenset(said.missing)
    delimiter, decimal = _separators(sample, said, missing)
    rows = [split(line, delimiter) for line in sample]
    columns = Counter(len(row) for row in rows[len(rows) // 2 :]).most_common(1)[0][0]
    every = len(sample) > 1 and columns > 1 and delimiter.strip(" ") != ""
    blank = every and all(
        re.match(" [^ ]", text)
        for line in sample[len(sample) // 2 :]
        for text in raw_fields(line, delimiter)[1:]
    )
    layout = Layout(
        separator=delimiter + " " * blank, decimal=decimal, columns=columns, missing=missing
    )
    if said.delimiter is None and delimiter == "," and decimal == ".":
        question_pairs(path, [row for row in rows if len(row) == columns])
    first = _first_row(path, lines, skipped, layout, said)
    ends = {row[-1] for row in rows[len(rows) // 2 :]}
    layout = replace(layout, head=tuple(lines[:first]))
    return _with_names(path, layout, skipped, said, ends == {""})


def _separators(
    sample: Sequence[str], said: TableOptions, missing: frozenset[str]
) -> tuple[str, str]:
    """What separates columns, and decimals."""
    later = sample[len(sample) // 2 :] if len(sample) > 3 else sample[-1:]
    delimiter = said.delimiter
    if delimiter == " " or (delimiter is None and _are_blanks(later, missing)):
        delimiter = "" if any("  " in line or line[:1] == " " for line in sample) else " "
    if delimiter is None:
        found = [d for d in ("\t", ";", "|") if all(d in line for line in later)]
        delimiter = found[0] if found else ","
        if delimiter == "," and (said.decimal == "," or said.decimal is None):
            quoted = all('"' in line for line in later if "," in line)
            if not quoted and (said.decimal == "," or is_one_column(sample, missing)):
                return ";", ","  # one column: no line has a semicolon
    if said.decimal is not None:
        return delimiter, said.decimal
    if delimiter == "," and not any('"' in line for line in later):
        return delimiter, "."
    for some in (later, sample):
        fields = [text for line in some for text in split(line, delimiter)]
        commas = any(_COMMA_NUMBER.fullmatch(text) for text in fields)
        points = any("." in text and NUMBER.fullmatch(text) for text in fields)
        if commas or points:
            break
    return delimiter, "," if commas and not points else "."


def _are_blanks(lines: Sequence[str], missing: frozenset[str]) -> bool:
    """Whether blanks separate columns: each line has as many numbers or missing values.

    No line has anything else, and at least one has a number. A field does not end with a comma.
    """
    rows = [[text for text in line.split(" ") if text] for line in lines]
    if len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return False
    if all(THOUSANDS.fullmatch(line.strip()) for line in lines):
        return False
    texts = {text for row in rows for text in row}
    known = {text for text in texts if text not in missing and text.lower() not in missing}
    return bool(known) and any(
        all(is_number(text, decimal) and text[-1] != "," for text in known)
        for decimal in (".", ",")
    )


def _first_row(
    path: Path, lines: Sequence[str], skipped: int, layout: Layout, said: TableOptions
) -> int:
    """The number of the first line that is a row, counted from 0."""
    first = skipped + (1 if said.header else 0)
    if said.header is False:
        return first
    for number in range(first, len(lines)):
        line = lines[number]
        if not line.strip() or layout.is_comment(line):
            continue
        fields = layout.split(line)
        if len(fields) == layout.columns and _is_row(fields, layout, said):
            break
        if number - first > LOOKED_AT:
            raise _no_row(path, lines, first, layout)
    else:
        raise _no_row(path, lines, first, layout)
    _check_passed(path, lines[:number], first, layout)
    if said.header is None and number == skipped and _are_numbered(lines[number:], layout):
        return number + 1
    least = first if said.header is None else number
    while number > least and _is_all_missing(lines[number - 1], layout):
        number -= 1
    return number


def _check_passed(path: Path, passed: Sequence[str], first: int, layout: Layout) -> None:
    """Refuse what begins as a row and is none; names may be whole numbers, as in 1,b."""
    alone = True  # no line before has as many fields
    for number in range(first, len(passed)):
        fields = layout.split(passed[number])
        if len(fields) != layout.columns or passed[number].lstrip().startswith(COMMENTS):
            continue
        wrong = [t for t in fields[1:] if not is_number(t, layout.decimal)]
        is_name = alone and number == len(passed) - 1 and fields[0].isdecimal()
        alone = False
        begins = is_number(fields[0], layout.decimal) or table_moments.form_of(fields[0])
        if begins and wrong and not is_name:
            raise ValueError(
                f"{path} is not a table of numbers: line {number + 1} begins as a row, and "
                f"{no_number(wrong[0])}. Mend the line, or give --skip-rows {number + 1}"
            )


def _is_all_missing(line: str, layout: Layout) -> bool:
    """Whether a line is a row of missing values only, which nobody has for names."""
    fields = layout.split(line) if line.strip() else []
    return len(fields) == layout.columns and all(map(layout.is_missing, fields))


def _is_row(fields: Sequence[str], layout: Layout, said: TableOptions) -> bool:
    """Whether a line is a row: numbers and missing values, and times as clocks or dates."""
    known = [
        is_number(text, layout.decimal) or table_moments.form_of(text) is not None
        for text in fields
    ]
    rest = (layout.is_missing(t) for t, number in zip(fields, known, strict=True) if not number)
    return any(known) and all(rest)


def _are_numbered(lines: Sequence[str], layout: Layout) -> bool:
    """Whether the first line numbers the columns: 0, 1, 2 or 1, 2, 3 above decimals."""
    first = [t.strip() for t in raw_fields(lines[0], layout.delimiter)]
    below = [layout.split(line) for line in lines[1:20] if line.strip()]
    if len(first) < 2 or not below:
        return False
    quoted = all(t[:1] in "'\"" for t in first) and not any(
        "'" in x or '"' in x for x in lines[1:9]
    )
    counted = [str(c) for c in range(len(first) + 1)]
    if not quoted and first not in (counted[:-1], counted[1:]):
        return False
    return quoted or all(layout.decimal in text for row in below for text in row)


def _no_row(path: Path, lines: Sequence[str], first: int, layout: Layout) -> ValueError:
    rest = [n for n in range(first, len(lines)) if lines[n].strip()]
    for number in rest[1:]:
        for place, text in enumerate(layout.split(lines[number]), 1):
            if not is_number(text, layout.decimal) and not layout.is_missing(text):
                return ValueError(
                    f"{path} is not a table of numbers: in line {number + 1}, column {place}, "
                    f"{no_number(text)}. --delimiter, --decimal, --skip-rows and --missing say how "
                    f"the table is to be read"
                )
    return ValueError(f"{path} has no row of numbers, only names")


def _with_names(
    path: Path, layout: Layout, skipped: int, said: TableOptions, ends_empty: bool
) -> Layout:
    """The layout with the names and the units that its head states.

    `ends_empty` says that rows end with a delimiter.
    """
    head = [line for line in layout.head[skipped:] if line.strip()]
    if said.header and skipped < len(layout.head):
        head = list(layout.head[skipped:])
    rows = [layout.split(line.lstrip("#% ")) for line in head]
    own = [row for row in rows if len(row) == layout.columns]
    if rows and not own and ends_empty and len(rows[-1]) == layout.columns - 1:
        own = [[*rows[-1], ""]]  # the names end with none
    if not own:
        if any(not line.lstrip().startswith(COMMENTS) for line in head):
            raise ValueError(
                f"{path} has {len(rows[-1])} name{'s' * (len(rows[-1]) > 1)} and "
                f"{layout.columns} columns: "
                f"--skip-rows leaves out other lines, and --delimiter and --decimal say "
                f"what separates columns and decimals"
            )
        return layout
    if len(own) > 1 and _are_units(own[-1]):
        units = tuple("" if u in ("-", "") else u.strip("()[]") for u in own[-1])
        return replace(layout, names=tuple(own[-2]), units=units)
    return replace(layout, names=tuple(own[-1]))


def _are_units(fields: Sequence[str]) -> bool:
    """Whether a line states units: at least half of its fields are units that are known."""
    plain = [text.strip("()[] ").lower() for text in fields]
    known = [text for text in plain if text in UNITS or text in times.PER_SECOND]
    words = [text for text in plain if text not in times.PER_SECOND]
    return (
        bool(known)
        and 2 * len(known) >= len([t for t in plain if t])
        and not any(times.is_name(text) and text not in UNITS for text in words)
    )
