"""What a WFDB header says, read from its bytes as header(5) defines them, and its names changed.

A header is kept as the bytes that it has: `renamed` changes the names of the record and of its
files in them, and nothing else. Text is Latin-1, in which every byte is a character, so that any
comment comes back. What a line leaves out has the value that header(5) gives it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from san.wfdb_records.formats import BITS

FLAC = {"508": 8, "516": 16, "524": 24}  # bits of the formats whose files are FLAC
NO_SIGNAL = "0"  # the format of a signal that a layout names and no file holds
GAP = "~"  # name of a segment without samples, and file name of a signal without any
DEFAULT_FS, DEFAULT_GAIN = 250.0, 200.0
MOST_BYTES = 1 << 22  # of a header: a variable layout of a week has some 100,000 segments
MOST_SIGNALS = 1024

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(rf"({_NUMBER})(?:\(([-+]?\d+)?\))?(?:/(\S*))?")
_LIKE_A_GAIN = re.compile(rf"{_NUMBER}[(/]")
_RATE = re.compile(rf"({_NUMBER})(?:/({_NUMBER})(?:\(({_NUMBER})\))?)?")
_BLANKS = " \t\v\f"  # between words; others of Latin-1 may be in a text
_LINE_END = re.compile(r"\r\n|\n|\r")
_WORD = re.compile(rf"[^{_BLANKS}]+")
_INTEGER = re.compile(r"[-+]?\d{1,18}")


@dataclass(frozen=True)
class SignalLine:
    """One signal of a record, as a line of the header describes it."""

    file: str
    code: str  #: the format: a key of `formats.BITS`, of `FLAC`, or `NO_SIGNAL`
    samples_per_frame: int = 1
    skew: int = 0  #: frames by which the signal comes late in its file
    offset: int = 0  #: bytes before the samples in the file
    gain: float = DEFAULT_GAIN  #: integers for each unit
    baseline: int = 0  #: the integer of zero units
    units: str = "mV"
    zero: int = 0
    initial: int = 0  #: the first sample
    checksum: int | None = None  #: of all samples in the file, modulo 65,536
    description: str = ""


@dataclass(frozen=True)
class Header:
    """What a header says of a record: its signals, or its segments."""

    name: str
    fs: float  #: frames a second
    frames: int | None  #: None where the header leaves it open
    start: str  #: time and date as they are written, may be empty
    channels: int
    signals: tuple[SignalLine, ...] = ()
    segments: tuple[tuple[str, int], ...] | None = None  #: names and frames; None of a plain record

    @property
    def files(self) -> tuple[str, ...]:
        """The signal files, each once, in the order of their first signals."""
        return tuple(dict.fromkeys(s.file for s in self.signals if s.code != NO_SIGNAL))


def parse_header(content: bytes, where: str = "the header") -> Header:
    """Read a header.

    Parameters
    ----------
    content : bytes
        The whole file.
    where : str
        What errors call it.

    Raises
    ------
    ValueError
        If a line is not as header(5) has it, or a line is missing.

    Examples
    --------
    >>> line = b"r.dat 212 200(1024)/mV 11 1024 995 -22131 0 MLII"
    >>> header = parse_header(b"r 1 360 650000\\n" + line)
    >>> header.fs, header.frames, header.signals[0].baseline, header.signals[0].description
    (360.0, 650000, 1024, 'MLII')
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"{where} has {len(content)} bytes, and {MOST_BYTES} are the most")
    lines = [line.strip(_BLANKS) for line in re.split(_LINE_END, content.decode("latin-1"))]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise ValueError(f"{where} has no line that says what it is of")
    name, count, channels, fs, frames, start = _record_line(lines[0], where)
    if count is not None:
        segments = tuple(_segment_line(line, where) for line in lines[1 : 1 + count])
        if len(segments) < count:
            raise ValueError(f"{where} announces {count} segments and names {len(segments)}")
        return Header(name, fs, frames, start, channels, segments=segments)
    signals = tuple(_signal_line(line, where) for line in lines[1 : 1 + channels])
    if len(signals) < channels:
        raise ValueError(f"{where} announces {channels} signals and describes {len(signals)}")
    return Header(name, fs, frames, start, channels, signals)


def _record_line(line: str, where: str) -> tuple[str, int | None, int, float, int | None, str]:
    name, *fields = _WORD.findall(line)
    name, slash, count = name.partition("/")
    if slash and not re.fullmatch(r"\d{1,7}", count):
        raise ValueError(f"{where} begins with {line!r}: {count!r} is no number of segments")
    if not fields or not re.fullmatch(r"\d{1,6}", fields[0]):
        raise ValueError(f"{where} begins with {line!r}, which has no number of signals")
    channels, fs, frames = int(fields[0]), DEFAULT_FS, None
    if channels > MOST_SIGNALS:
        raise ValueError(f"{where} announces {channels} signals, and {MOST_SIGNALS} are the most")
    rest = fields[1:]
    if rest:
        rate = _RATE.fullmatch(rest[0])
        if rate is None:
            raise ValueError(f"{where} begins with {line!r}: {rest[0]!r} is no sampling rate")
        fs, rest = float(rate[1]) or DEFAULT_FS, rest[1:]
        if rest and re.fullmatch(r"\+?\d{1,18}", rest[0]):
            frames, rest = int(rest[0]) or None, rest[1:]
        elif rest and re.fullmatch(_NUMBER, rest[0]):
            raise ValueError(f"{where} begins with {line!r}: {rest[0]} is no number of samples")
    if not 0 < fs < float("inf"):
        raise ValueError(f"{where} begins with {line!r}: {fs:g} Hz is no sampling rate")
    return name, int(count) if slash else None, channels, fs, frames, " ".join(rest)


def _segment_line(line: str, where: str) -> tuple[str, int]:
    fields = _WORD.findall(line)
    if len(fields) < 2 or not re.fullmatch(r"\d{1,18}", fields[1]):
        raise ValueError(f"{where} has the line {line!r}, which is no segment with its length")
    return fields[0], int(fields[1])


def _signal_line(line: str, where: str) -> SignalLine:
    file, *fields = re.split(rf"[{_BLANKS}]+", line, maxsplit=2)
    found = _FORMAT.fullmatch(fields[0]) if fields else None
    if found is None or found[1] not in {*BITS, *FLAC, NO_SIGNAL}:
        raise ValueError(f"{where} has the line {line!r}, which names no signal format")
    code, per_frame, skew, offset = found.groups()
    if per_frame is not None and int(per_frame[:99]) == 0:
        raise ValueError(f"{where} has the line {line!r}, with 0 samples in each frame")
    rest = fields[1] if len(fields) > 1 else ""
    gain, baseline, units = DEFAULT_GAIN, None, "mV"
    first = _first_word(rest)
    if number := _GAIN.fullmatch(first):
        gain = float(number[1]) or DEFAULT_GAIN
        baseline = None if number[2] is None else int(number[2])
        units, rest = number[3] or units, rest[len(first) :].lstrip(_BLANKS)
    if math.isinf(gain) or (not number and _LIKE_A_GAIN.match(first)):
        raise ValueError(
            f"{where} has the line {line!r}, where {first!r} should be a finite gain, as 200, "
            "200/mV, or 200(1024)/mV with the whole number that is zero units"
        )
    numbers: list[int] = []
    while len(numbers) < 5 and rest:
        word = _first_word(rest)
        if not _INTEGER.fullmatch(word):
            break
        numbers.append(int(word))
        rest = rest[len(word) :].lstrip(_BLANKS)
    zero = numbers[1] if len(numbers) > 1 else 0
    initial = numbers[2] if len(numbers) > 2 else zero
    checksum = numbers[3] if len(numbers) > 3 else None
    return SignalLine(
        file, code, int(per_frame or 1), int(skew or 0), int(offset or 0), gain,
        zero if baseline is None else baseline, units, zero, initial, checksum, rest,
    )  # fmt: skip


def _first_word(line: str) -> str:
    found = _WORD.search(line)
    return found[0] if found else ""


def renamed(content: bytes, record: str, files: Mapping[str, str]) -> bytes:
    """The header with another name of the record and of its files, and no other change.

    Parameters
    ----------
    content : bytes
        Of a record without segments.
    record : str
        Its new name.
    files : mapping of str to str
        New names of signal files, or of segments, by their old ones; others stay.

    Examples
    --------
    >>> renamed(b"# a\\r\\nr 1 250\\r\\nr.dat  16 200\\r\\n", "s", {"r.dat": "s.dat"})
    b'# a\\r\\ns 1 250\\r\\ns.dat  16 200\\r\\n'
    """
    parts = re.split(f"({_LINE_END.pattern})", content.decode("latin-1"))
    first = True
    for place, line in enumerate(parts):
        word = _first_word(line)
        if word.startswith("#") or word in ("", "\n", "\r", "\r\n"):
            continue
        if first:
            _, slash, segments = word.partition("/")
            new, first = record + slash + segments, False
        else:
            new = files.get(word, word)
        parts[place] = line.replace(word, new, 1)
    return "".join(parts).encode("latin-1")


def with_values(
    content: bytes,
    initial: Mapping[int, int],
    checksum: Mapping[int, int],
    code: Mapping[int, str] | None = None,
    frames: int | None = None,
) -> bytes:
    """The header with other first samples, checksums, formats and frames, where it has them.

    Parameters
    ----------
    content : bytes
        Of a record without segments.
    initial, checksum : mapping of int to int
        By the number of the signal. A line that leaves a field out goes on leaving it out.
    code : mapping of int to str, optional
        New formats, with what follows them, such as "16" or "16x2+24".
    frames : int, optional
        How many there are now.

    Examples
    --------
    >>> with_values(b"r 1 250 900 10:00:00\\nr.dat 80\\n", {}, {}, frames=850)
    b'r 1 250 850 10:00:00\\nr.dat 80\\n'
    >>> with_values(b"r 1\\nr.dat 80 10/mV 8  0 5 9 0 a 7\\n", {0: 6}, {0: 20}, {0: "16"})
    b'r 1\\nr.dat 16 10/mV 8  0 6 20 0 a 7\\n'
    """
    parts = re.split(f"({_LINE_END.pattern})", content.decode("latin-1"))
    number = -2
    for place, line in enumerate(parts):
        words = list(_WORD.finditer(line))
        if not words or words[0][0][0] in "#\n\r":
            continue
        number += 1
        if number < 0 and frames is not None and len(words) > 3:
            parts[place] = line[: words[3].start()] + str(frames) + line[words[3].end() :]
        if number < 0 or len(words) < 2:
            continue
        first = 3 if len(words) > 2 and _GAIN.fullmatch(words[2][0]) else 2
        numbers = []
        for word in words[first : first + 4]:
            if not _INTEGER.fullmatch(word[0]):
                break
            numbers.append(word)
        changes = {1: (code or {}).get(number)}
        if len(numbers) > 2:
            changes[first + 2] = str(initial[number]) if number in initial else None
        if len(numbers) > 3:
            changes[first + 3] = str(checksum[number]) if number in checksum else None
        for index in sorted(changes, reverse=True):
            text, word = changes[index], words[index]
            if text is not None:
                line = line[: word.start()] + text + line[word.end() :]
        parts[place] = line
    return "".join(parts).encode("latin-1")
