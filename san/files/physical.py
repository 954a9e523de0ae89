"""What the attached headers of a WFDB record or an EDF file make of its integers: physical units.

They also say when the recording began, and where annotations are. All of it comes from the samples
and the attachments, so a file and a stream of it are read in the same way.
"""

import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np

from san.files import edf, edf_gaps, wfdb_reading, wfdb_recovered
from san.files.edf_header import FIRST, text_of
from san.packages import need
from san.signals import Annotations, Array, columns_of, converter_of, groups_of
from san.wfdb_records import record
from san.wfdb_records.header import SignalLine, parse_header

_CLOCK = re.compile(r"\[?(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})(\.\d+)?\]?")
_DATE = re.compile(r"(\d{1,2})[/.-](\w{1,3})[/.-](\d{4})\]?")
_NONE_INVALID = "8"  # a format that calls no integer invalid
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EDF_PIVOT = 85  # two digits of a year from 85 on are of 19.., as the specification says
_NO_DATE = (b"Startdate X", b"01.01.85")  # how EDF+ writes that the date is not told


@dataclass(frozen=True)
class Physical:
    """The signals of one rate in physical units."""

    x: np.ndarray  #: float64 (n, channels), NaN in gaps
    units: tuple[str, ...]
    names: tuple[str, ...]


def physical_parts(array: Array, exact: bool) -> list[Physical]:
    """Convert the samples of each rate to physical units.

    Parameters
    ----------
    array : Array
        What was read or decoded, with its attachments.
    exact : bool
        Whether the samples are those of the file. Then the integer that a WFDB format calls
        invalid is a gap. Within an error gaps are NaN already.

    Returns
    -------
    list of Physical
        The first is of `array`, the others are of `array.others`.

    Raises
    ------
    ValueError
        If the attachments do not fit the samples, or segments have several units of a signal.
    """
    parts = (array, *array.others)
    if wfdb_reading.is_record(array):
        return _of_record(array, exact)
    if edf.HEADER in array.attachments:
        return _of_edf(array)
    found = []
    for part in parts:
        columns = columns_of(part.x)
        said = [converter_of(text) for text in part.units or ("",) * columns.shape[1]]
        gain, baseline = (np.array([each[i] for each in said]) for i in (0, 1))
        names = part.names or tuple(f"channel_{c}" for c in range(columns.shape[1]))
        x = (columns.astype(np.float64) - baseline) / gain
        found.append(Physical(x, tuple(each[2] for each in said), names))
    return found


def start_of(attached: Mapping[str, bytes]) -> datetime | time | None:
    """When the first sample was taken, as the attached header says.

    Examples
    --------
    >>> start_of({"wfdb/header": b"r 1 250 9 10:05:30.5 24/12/2019\\nr.dat 16\\n"})
    datetime.datetime(2019, 12, 24, 10, 5, 30, 500000)
    >>> start_of({"wfdb/header": b"r 1 250 9 10:05:30\\nr.dat 16\\n"})
    datetime.time(10, 5, 30)
    >>> start_of({})
    """
    if edf.HEADER in attached:
        return _start_of_edf(attached)
    if wfdb_reading.ROOT + wfdb_reading.HEADER not in attached:
        return None
    header = parse_header(attached[wfdb_reading.ROOT + wfdb_reading.HEADER])
    return _moment(header.start)


def annotations_of(array: Array, where: str) -> dict[str, Annotations]:
    """Read all annotations that are attached; a warning names those that cannot be read."""
    if edf.ANNOTATIONS in array.attachments:
        return _annotations_of_edf(array, where)
    if wfdb_reading.is_record(array):
        return _annotations_of_record(array, where)
    return {}


def _of_record(array: Array, exact: bool) -> list[Physical]:
    found = wfdb_reading.attached_headers(array.attachments)
    plan = wfdb_reading.attached_plan(array, found)
    wfdb_recovered.check_fit(array, plan)
    signals = plan.signals
    groups = groups_of([s.samples_per_frame for s in signals])
    is_shifted = wfdb_reading.UNSHIFTED not in array.attachments
    result = []
    for part, group in zip((array, *array.others), groups, strict=True):
        raw = columns_of(part.x)
        x, units = np.full(raw.shape, np.nan), []
        for column, c in enumerate(group):
            place, said = 0, list[str]()
            for segment in plan.parts:
                here, size = segment.columns[c], segment.frames * signals[c].samples_per_frame
                if here is not None and size:
                    line = wfdb_reading.lines_of(found.headers[segment.name])[here]
                    said.append(line.units)
                    samples = raw[place : place + size, column]
                    skew = 0 if is_shifted else line.skew
                    x[place : place + size, column] = _in_units(
                        samples, replace(line, skew=skew), exact
                    )
                place += size
            if len({*said}) > 1:
                raise ValueError(
                    f"the segments have {signals[c].description} in {' and '.join({*said})}: read "
                    "each segment by itself"
                )
            units.append(said[0] if said else signals[c].units)
        names = tuple(signals[c].description for c in group)
        result.append(Physical(x, tuple(units), names))
    return result


def _in_units(samples: np.ndarray, line: SignalLine, exact: bool) -> np.ndarray:
    return record.physical(samples, line if exact else replace(line, code=_NONE_INVALID))


def _moment(text: str) -> datetime | time | None:
    """A time and a date of a WFDB header, in any order."""
    clock = date = None
    for word in text.split():
        if (found := _CLOCK.fullmatch(word)) and clock is None:
            clock = found
        elif (found := _DATE.fullmatch(word)) and date is None:
            date = found
    if clock is None:
        return None
    try:
        second = timedelta(seconds=float(clock[4] or 0))
        of_day = time(int(clock[1] or 0), int(clock[2]), int(clock[3]))
        if date is None:
            return (datetime.combine(datetime(1, 1, 1), of_day) + second).time()
        name = date[2].lower()
        month = _MONTHS.index(name) + 1 if name in _MONTHS else int(name)
        return datetime.combine(datetime(int(date[3]), month, int(date[1])), of_day) + second
    except ValueError:  # no day of a calendar: the header says no time that can be used
        return None


def _annotations_of_record(array: Array, where: str) -> dict[str, Annotations]:
    found = wfdb_reading.attached_headers(array.attachments)
    fs = found.header.fs
    main_fs = array.fs or fs
    result = {}
    places = [(wfdb_reading.ROOT, "", 0)]
    if found.header.segments is not None:
        place = 0
        for part in wfdb_reading.attached_plan(array, found).parts:
            if part.name in found.roots:
                places.append((found.roots[part.name], f"{part.name}/", place))
            place += part.frames
    for root, prefix, place in places:
        for key, data in array.attachments.items():
            if key.startswith(root + wfdb_reading.ANNOTATIONS):
                ending = key.removeprefix(root + wfdb_reading.ANNOTATIONS)
                read = _read_annotations(data, ending, fs, place / fs, main_fs, where)
                if read is not None:
                    result[prefix + ending] = read
    return result


def _read_annotations(
    data: bytes, ending: str, fs: float, begin: float, main_fs: float, where: str
) -> Annotations | None:
    need("wfdb")
    import wfdb as package

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"r.{ending}").write_bytes(data)
        try:
            read = package.rdann(str(Path(folder) / "r"), ending)
        except Exception:  # wfdb raises whatever an unusual file leads to
            warnings.warn(
                f"the annotations .{ending} of {where} are left out: they are not as annot(5) of "
                "WFDB has them",
                stacklevel=5,
            )
            return None
    onset = begin + np.asarray(read.sample, np.float64) / (read.fs or fs)
    notes = read.aux_note or [""] * len(onset)
    return Annotations(
        onset,
        np.rint(onset * main_fs).astype(np.int64),
        np.zeros(len(onset)),
        tuple(read.symbol),
        tuple(note.rstrip("\0") for note in notes),
    )


def _fields(header: bytes) -> Iterator[tuple[str, float, float, float, float]]:
    """Unit, physical and digital limits of each signal of an EDF header."""
    count = int(header[252:256])
    for c in range(count):
        places = (FIRST + place * count + 8 * c for place in (96, 104, 112, 120, 128))
        unit, *limits = (text_of(header, begin, 8) for begin in places)
        try:
            low, high, first, last = map(float, limits)
        except ValueError as error:
            raise ValueError(f"the limits of signal {c} in the EDF header: {error}") from error
        yield unit, low, high, first, last


def _of_edf(array: Array) -> list[Physical]:
    layout = edf.layout_of(array.attachments[edf.HEADER])
    fields = list(_fields(layout.header))
    result = []
    for part, signals in edf.parts_of(array, layout):
        raw = columns_of(part.x)
        if raw.shape[1] != len(signals):
            raise ValueError(
                f"the samples have {raw.shape[1]} channels, the attached header {len(signals)}"
            )
        x, units = raw.astype(np.float64), []
        for column, signal in enumerate(signals):
            unit, low, high, first, last = fields[signal]
            units.append(unit)
            if high != low and last != first:
                gain = (high - low) / (last - first)
                x[:, column] = gain * (x[:, column] + (high / gain - last))
        result.append(Physical(x, tuple(units), part.names))
    return result


def _start_of_edf(attached: Mapping[str, bytes]) -> datetime | time | None:
    header = attached[edf.HEADER]
    later = edf_gaps.seconds_before(attached.get(edf.ANNOTATIONS, b""))
    found = re.fullmatch(rb"(\d\d)\.(\d\d)\.(\d\d)(\d\d)\.(\d\d)\.(\d\d)", header[168:184])
    if found is None:
        return None
    day, month, year, hour, minute, second = (int(number) for number in found.groups())
    try:
        of_day = time(hour, minute, second)
        if header[88:168].startswith(_NO_DATE[0]) and header[168:176] == _NO_DATE[1]:
            return (
                datetime.combine(datetime(2000, 1, 1), of_day) + timedelta(seconds=later)
            ).time()
        start = datetime(year + (1900 if year >= _EDF_PIVOT else 2000), month, day)
        return datetime.combine(start, of_day) + timedelta(seconds=later)
    except (ValueError, OverflowError):  # no day of a calendar
        return None


def _annotations_of_edf(array: Array, where: str) -> dict[str, Annotations]:
    """Annotations by edfio, from a file that has no other signals."""
    need("edfio")
    import edfio

    layout = edf.layout_of(array.attachments[edf.HEADER])
    notes = [c for c, is_note in enumerate(layout.annotations) if is_note]
    count, fields = len(layout.samples), b""
    begin = 256
    for size in (16, 80, 8, 8, 8, 8, 8, 80, 8, 32):
        fields += b"".join(layout.header[begin + size * c :][:size] for c in notes)
        begin += size * count
    data = array.attachments[edf.ANNOTATIONS]
    size = layout.width * sum(layout.samples[c] for c in notes)
    head = bytearray(layout.header[:256])
    head[184:192] = f"{256 * (len(notes) + 1):<8}".encode()
    head[236:244] = f"{len(data) // size:<8}".encode()
    head[252:256] = f"{len(notes):<4}".encode()
    read = edfio.read_bdf if layout.width == 3 else edfio.read_edf
    try:
        plain = (bytes(head) + fields).replace(b"\0", b" ")  # as `edf` opens a file
        file = read(plain + data, header_encoding="latin-1")
        found = file.annotations
    except Exception:  # edfio raises whatever an unusual file leads to
        warnings.warn(
            f"the annotations of {where} are left out: they are not as EDF+ has them",
            stacklevel=4,
        )
        return {}
    onset = np.array([each.onset for each in found], np.float64)
    return {
        "edf": Annotations(
            onset,
            np.rint(onset * (array.fs or 1.0)).astype(np.int64),
            np.array([each.duration or 0.0 for each in found], np.float64),
            tuple(each.text for each in found),
            ("",) * len(found),
        )
    }
