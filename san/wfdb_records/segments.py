"""How the segments of a WFDB record become one: which signal of a segment is which of the whole.

Of a fixed layout every segment has the same signals. Of a variable layout the first segment has no
samples and names all signals; the others have some of them, found by their descriptions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from san.wfdb_records.header import GAP, NO_SIGNAL, Header, SignalLine
from san.wfdb_records.record import Record, header_path, read_header, read_plain

Columns = tuple[int | None, ...]


@dataclass(frozen=True)
class Part:
    """One segment, or a gap, in its place."""

    name: str
    frames: int
    columns: Columns  #: for each signal of the whole, its number in the segment, or None


@dataclass(frozen=True)
class Plan:
    """What headers say of a record of segments. A plain record is one of a single segment."""

    signals: tuple[SignalLine, ...]  #: of the whole; gain and format may be others in a segment
    parts: tuple[Part, ...]

    @property
    def has_all(self) -> bool:
        """Whether every signal has samples in every segment."""
        return all(None not in part.columns for part in self.parts)


@dataclass(frozen=True)
class Whole:
    """A record with all its segments, as its files hold it."""

    content: bytes  #: the header of the whole
    header: Header
    contents: Mapping[str, bytes]  #: the headers of the segments by name, also of a layout
    records: Mapping[str, Record]  #: the segments with samples by name
    plan: Plan

    def column(
        self, number: int, of: Callable[[np.ndarray, SignalLine], np.ndarray], per_frame: int
    ) -> np.ndarray:
        """A signal over all segments: `of` each segment's samples, NaN where there are none."""
        pieces = []
        for part in self.plan.parts:
            here = part.columns[number]
            if here is None:
                pieces.append(np.full(part.frames * per_frame, np.nan))
            else:
                record = self.records[part.name]
                pieces.append(of(record.signals[here], record.lines[here]))
        return np.concatenate(pieces) if pieces else np.zeros(0)


def read_whole(record: Path) -> Whole:
    """Read a record with all its segments, by its path without an ending.

    Raises
    ------
    FileNotFoundError
        If a header or a signal file is not there.
    ValueError
        If a file is not what a header says, or segments do not fit together.
    """
    content, header = read_header(record)
    where = str(header_path(record))
    if header.segments is None:
        plain = read_plain(record)
        found = {header.name: plain}
        return Whole(content, header, {}, found, plan_of(header, {}, where, plain.frames))
    contents, headers, records = {}, {}, {}
    for name, frames in dict(header.segments).items():
        if name == GAP:
            continue
        if "/" in name or "\\" in name or name in (".", ".."):
            raise ValueError(f"{where} names the segment {name!r}, which is in another folder")
        contents[name], headers[name] = read_header(record.parent / name)
        if headers[name].segments is not None:
            raise ValueError(f"{where} names {name}, which has segments itself")
        if frames:
            records[name] = read_plain(record.parent / name)
            if records[name].frames != frames:
                raise ValueError(
                    f"{where} says that {name} has {frames} frames, and it has "
                    f"{records[name].frames}"
                )
    return Whole(content, header, contents, records, plan_of(header, headers, where))


def plan_of(
    header: Header, headers: Mapping[str, Header], where: str, frames: int | None = None
) -> Plan:
    """Say which signals a record has, and where each segment's are among them.

    Parameters
    ----------
    header : Header
        Of the whole.
    headers : mapping of str to Header
        Of its segments by name; none of a plain record.
    where : str
        What errors call the header.
    frames : int, optional
        Of a plain record.

    Raises
    ------
    ValueError
        If segments do not fit together.
    """
    if header.segments is None:
        lines = _lines(header)
        part = Part(header.name, frames or 0, tuple(range(len(lines))))
        return Plan(lines, (part,))
    segments = [(name, count) for name, count in header.segments if count]
    first, count = header.segments[0] if header.segments else (GAP, 0)
    with_samples = [name for name, _ in segments if name != GAP]
    if not with_samples:
        raise ValueError(f"{where} names no segment with samples")
    by_name = first != GAP and count == 0
    signals = headers[first].signals if by_name else _lines(headers[with_samples[0]])
    parts = []
    for name, count in segments:
        known = headers.get(name)
        if known is not None and known.segments is not None:
            raise ValueError(f"{where} names {name}, which has segments itself")
        columns = (
            (None,) * len(signals) if known is None else _columns(signals, known, by_name, where)
        )
        parts.append(Part(name, count, columns))
    total = sum(part.frames for part in parts)
    if header.frames not in (None, total):
        raise ValueError(f"{where} says {header.frames} frames, and its segments have {total}")
    return Plan(signals, tuple(parts))


def _lines(header: Header) -> tuple[SignalLine, ...]:
    return tuple(s for s in header.signals if s.code != NO_SIGNAL)


def _columns(
    signals: tuple[SignalLine, ...], segment: Header, by_name: bool, where: str
) -> Columns:
    lines = _lines(segment)
    if by_name:
        names = [line.description for line in lines]
        if set(names) - {s.description for s in signals} or len({*names}) < len(names):
            raise ValueError(
                f"{where} has the segment {segment.name}, whose signals {', '.join(names)} are not "
                "those of its layout"
            )
        columns: Columns = tuple(
            names.index(s.description) if s.description in names else None for s in signals
        )
    elif len(lines) == len(signals):
        columns = tuple(range(len(lines)))
    else:
        raise ValueError(
            f"{where} has segments of {len(signals)} signals, and {segment.name} has {len(lines)}"
        )
    for signal, here in zip(signals, columns, strict=True):
        if here is not None and lines[here].samples_per_frame != signal.samples_per_frame:
            raise ValueError(f"{where} has segments with several rates of {signal.description}")
    return columns
