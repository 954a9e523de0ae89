"""How a WFDB record becomes arrays of its converter's integers, with all else that its files hold.

The units say how integers become physical, as a WFDB header does: `200(1024)/mV` is (x - 1024) /
200 mV. Headers, annotations and what else the files hold go along as bytes, so that `wfdb_files`
can write the same files again. Samples are as the files have them: a skew is not undone.
"""

import glob
import os
import re
import struct
import zlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from san import signals
from san.codec.entropy.varints import write_varint
from san.signals import Array, groups_of
from san.wfdb_records.flac import level_of, split_flac
from san.wfdb_records.header import FLAC, GAP, NO_SIGNAL, Header, SignalLine, parse_header
from san.wfdb_records.record import Record, read_header, shifted
from san.wfdb_records.samples import invalid_of, pack_file, samples_end, signals_in
from san.wfdb_records.segments import Plan, Whole, plan_of, read_whole

ROOT = "wfdb/"  # what the names of all attachments begin with; a segment's go on with its number
HEADER, ANNOTATIONS = "header", "annotations/"
NAME = "wfdb/name"  # of the files, where the header has another one
BEGINNING, ENDING, UNUSED = "beginning/", "ending/", "unused/"
FLAC_FILE = "flac/"  # the encoder's level, the CRC32 of the frames, and the metadata
UNSHIFTED = "wfdb/unshifted"  # its samples are as in the file, though the header has a skew
MOST_ANNOTATIONS = 1 << 24  # bytes of a file of them
MOST_REST = 1 << 24  # bytes before or after the samples of a file
OTHER_RECORDINGS = frozenset(["hea", "san", "npy", "csv", "edf", "bdf"])
NO_ANNOTATIONS = frozenset(
    "dat mat txt tsv zip gz xml json html pdf png svg jpg jpeg gif md py toml log bak".split()
)
ENDING_OF_ANNOTATIONS = re.compile(r"[-\w]{1,40}", re.ASCII)


def segment_root(number: int) -> str:
    """What the attachments of a segment begin with; they are counted as they are first named."""
    return f"{ROOT}segments/{number}/"


def is_record(array: Array) -> bool:
    """Say whether an array came from a WFDB record, and can be one again."""
    return ROOT + HEADER in array.attachments


def is_annotations(ending: str) -> bool:
    """Say whether a file of a record with this ending may hold its annotations."""
    other = ending.lower() in NO_ANNOTATIONS | OTHER_RECORDINGS
    return not other and bool(ENDING_OF_ANNOTATIONS.fullmatch(ending))


def read_record(record: Path, *, physical: bool = False, annotations: bool = True) -> Array:
    """Read a record by its path without an ending, with all its segments if it has some.

    Parameters
    ----------
    record : Path
    physical : bool
        Give physical units, float64, instead of the converter's integers; nothing is attached.
    annotations : bool
        Whether the annotation files of the record and of its segments are attached, byte for byte:
        every file of its name whose ending is not that of another kind of file.

    Returns
    -------
    Array
        (n, channels), int16 where that is enough, else int32. Where a segment lacks a signal, and
        in a gap between segments, samples are NaN, and the integers are floats. Signals of other
        rates are in `others`. Files of the record's name that are not attached are named in
        `left_out`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `signals.read_wfdb`; the samples are compared with the header's checksums. Also if
        physical units are asked for, and signals have several samples in each frame.
    """
    if physical:
        _refuse_to_average(record)
        recording = signals.read_wfdb(record)
        return Array(recording.x, recording.fs, recording.units, recording.names)
    whole = read_whole(record)
    lines = whole.plan.signals
    parts = []
    for group in groups_of([s.samples_per_frame for s in lines]):
        per_frame = lines[group[0]].samples_per_frame
        columns = [whole.column(c, lambda x, _: x, per_frame) for c in group]
        units = tuple(_units(whole, c) for c in group)
        names = tuple(lines[c].description for c in group)
        parts.append(Array(_narrow(columns), whole.header.fs * per_frame, units, names))
    attached, left_out = _attachments(record, whole, annotations)
    return replace(parts[0], attachments=attached, others=tuple(parts[1:]), left_out=left_out)


def _refuse_to_average(record: Path) -> None:
    """Refuse signals of several samples in each frame: in physical units they would be averaged."""
    header = read_header(record)[1]
    named = [name for name, _ in header.segments or () if name != GAP]
    if named:
        header = read_header(record.parent / named[0])[1]
    most = max((signal.samples_per_frame for signal in header.signals), default=1)
    if most > 1:
        raise ValueError(
            f"{record} has signals with several samples in each frame, up to {most}: read it "
            "without --physical, which would average them"
        )


def _narrow(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns beside each other, in the smallest dtype that holds them exactly."""
    x = np.stack(columns, axis=1)
    if x.dtype.kind == "f":
        largest = np.nanmax(np.abs(x), initial=0)
        return x.astype(np.float32) if largest < 2**24 else x
    narrow = x.size == 0 or (x.min() >= -(2**15) and x.max() < 2**15)
    return x.astype(np.int16 if narrow else np.int32)


def _units(whole: Whole, number: int) -> str:
    """How integers become physical: `gain(baseline)/unit`; nothing where segments differ."""
    found = set()
    for part in whole.plan.parts:
        here = part.columns[number]
        if here is not None:
            line = whole.records[part.name].lines[here]
            found.add(f"{line.gain:.12g}({line.baseline})/{line.units}")
    return found.pop() if len(found) == 1 else ""


def _attachments(
    record: Path, whole: Whole, annotations: bool
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Headers, annotations, and what the files hold that is no sample; and what is left out."""
    attached, left_out = {ROOT + HEADER: whole.content}, list[str]()
    signal_files = {f.lower() for each in whole.records.values() for f in each.header.files}
    if record.name != stem_of(whole.header):
        attached[NAME] = record.name.encode(errors="surrogateescape")
    if whole.header.segments is None:
        attached |= _of_files(ROOT, whole.records[whole.header.name])
    for number, (name, content) in enumerate(whole.contents.items()):
        root = segment_root(number)
        attached[root + HEADER] = content
        if name in whole.records:
            attached |= _of_files(root, whole.records[name])
        if annotations:
            attached |= annotations_of(root, record.parent / name, signal_files, left_out)
    if any(line.skew for each in whole.records.values() for line in each.lines):
        attached[UNSHIFTED] = b""
    if annotations:
        attached |= annotations_of(ROOT, record, signal_files, left_out)
    return attached, tuple(left_out)


def annotations_of(
    root: str, record: Path, signal_files: Set[str], left_out: list[str]
) -> dict[str, bytes]:
    """The annotation files of a record or of a segment; what is none is named in `left_out`."""
    found = {}
    for path in sorted(record.parent.glob(f"{glob.escape(record.name)}.*")):
        ending = path.name.removeprefix(f"{record.name}.")
        if path.name.lower() in signal_files or ending.lower() in OTHER_RECORDINGS or "." in ending:
            continue  # a signal file, another recording, or a file of another name
        if not path.is_file():
            continue
        problem = _problem_of_annotations(ending, path.stat().st_size)
        if problem:
            left_out.append(f"{path.name} is left out: {problem}")
        else:
            found[root + ANNOTATIONS + ending] = path.read_bytes()
    return found


def annotation_files(record: Path, attachments: Mapping[str, bytes]) -> list[str]:
    """The names of the annotation files that lie beside a record, with those of its segments.

    Parameters
    ----------
    record : Path
        Without an ending.
    attachments : mapping of str to bytes
        Of what was read of it.
    """
    headers = attached_headers(attachments)
    signal_files = {file.lower() for each in headers.headers.values() for file in each.files}
    names, found = {record.name, *headers.contents}, []
    for file in sorted(os.listdir(record.parent)):
        stem, _, ending = file.rpartition(".")
        path = record.parent / file
        if stem not in names or file.lower() in signal_files or not is_annotations(ending):
            continue
        if path.is_file() and not _problem_of_annotations(ending, path.stat().st_size):
            found.append(file)
    return found


def _problem_of_annotations(ending: str, size: int) -> str:
    """Why a file is not attached as annotations; empty if it is."""
    if ending.lower() in NO_ANNOTATIONS:
        return f"a .{ending} file holds no annotations"
    if not is_annotations(ending):
        return "the ending of annotations is 1 to 40 letters, digits, - and _"
    if not 2 <= size <= MOST_ANNOTATIONS:
        return f"annotations have 2 to {MOST_ANNOTATIONS} bytes, it has {size}"
    return ""


def _of_files(root: str, found: Record) -> dict[str, bytes]:
    """What the signal files of a record without segments hold besides the samples."""
    attached = {}
    for number, file in enumerate(found.header.files):
        before, after = found.rest_of(file)
        rest = {BEGINNING: before, ENDING: after}
        rest |= {UNUSED: _unused_bits(found, file), FLAC_FILE: _flac_parts(found, file)}
        for kind, data in rest.items():
            if 0 < len(data) <= MOST_REST:
                attached[f"{root}{kind}{number}"] = data
    return attached


def of_file(x: Sequence[np.ndarray], header: Header, file: str) -> list[np.ndarray]:
    """The signals that are in one file, of those of a record without segments."""
    lines = [s for s in header.signals if s.code != NO_SIGNAL]
    return [samples for samples, line in zip(x, lines, strict=True) if line.file == file]


def _unused_bits(found: Record, file: str) -> bytes:
    """Where bits that no sample uses are not zero: distances as varints, and the bits."""
    end = samples_end(found.header, file, found.frames)
    if end is None:
        return b""
    offset = signals_in(found.header, file)[0].offset
    original = np.frombuffer(found.data[file], np.uint8)[offset:end]
    packed = pack_file(of_file(found.signals, found.header, file), found.header, file)
    other = original ^ np.frombuffer(packed, np.uint8)
    places = np.flatnonzero(other)
    distances = np.diff(places, prepend=0).tolist()
    pairs = zip(distances, other[places].tolist(), strict=True)
    return b"".join(write_varint(distance) + bytes([bits]) for distance, bits in pairs)


def _flac_parts(found: Record, file: str) -> bytes:
    """What it takes to write a FLAC file again, empty where the encoder at hand cannot."""
    line = signals_in(found.header, file)[0]
    if line.code not in FLAC:
        return b""
    x = np.stack(of_file(found.signals, found.header, file), axis=1)
    level = level_of(found.data[file], x, line.code)
    if level is None:
        return b""
    metadata, frames = split_flac(found.data[file])
    return bytes([level]) + struct.pack("<I", zlib.crc32(frames)) + metadata


@dataclass(frozen=True)
class Headers:
    """The attached headers of a record and of its segments."""

    content: bytes
    header: Header
    contents: Mapping[str, bytes]  #: the headers of segments by name
    headers: Mapping[str, Header]  #: of what has signal files: the segments, or the record itself
    roots: Mapping[str, str]  #: what the attachments of each of these begin with


def attached_headers(attachments: Mapping[str, bytes]) -> Headers:
    """Read the attached headers.

    Raises
    ------
    ValueError
        If they are not those of a record with signal files, or a segment has none.
    """
    where = "the attached WFDB header"
    content = attachments[ROOT + HEADER]
    header = parse_header(content, where)
    if header.segments is None:
        if not header.files:
            raise ValueError(f"{where} names no signal file")
        for file in header.files:
            signals_in(header, file)
        return Headers(content, header, {}, {header.name: header}, {header.name: ROOT})
    contents, roots = {}, {}
    for number, name in enumerate(n for n in dict(header.segments) if n != GAP):
        roots[name] = segment_root(number)
        if roots[name] + HEADER not in attachments:
            raise ValueError(f"{where} names the segment {name}, whose header is not attached")
        contents[name] = attachments[roots[name] + HEADER]
    headers = {name: parse_header(each, f"{where} of {name}") for name, each in contents.items()}
    return Headers(content, header, contents, headers, roots)


def stem_of(header: Header) -> str:
    """The record's name; some headers have the name of its signal file instead."""
    return re.sub(r"\.(mat|dat|hea)$", "", header.name)


def attached_plan(array: Array, found: Headers) -> Plan:
    """Say where each segment's samples are in an array that came with these headers.

    Raises
    ------
    ValueError
        If the segments do not fit together.
    """
    where = "the attached WFDB header"
    if found.header.segments is not None:
        return plan_of(found.header, found.headers, where)
    per_frame = [s.samples_per_frame for s in lines_of(found.header)]
    groups, parts = groups_of(per_frame), (array, *array.others)
    # of a recovered stream only the signals of the main rate may end earlier
    frames = max(-(-len(x.x) // per_frame[g[0]]) for x, g in zip(parts, groups, strict=False))
    return plan_of(found.header, {}, where, frames)


def with_gaps(array: Array) -> Array:
    """Replace the integer that marks an invalid sample by NaN, if the record has such samples.

    That integer is far from all others. Coded within an error it would not come back exactly, and
    an error of it would have no meaning. NaN always comes back as NaN.

    Raises
    ------
    ValueError
        If segments share a signal file: a file of it would need the samples of both.
    """
    found = attached_headers(array.attachments)
    files = [file for header in found.headers.values() for file in header.files]
    shared = sorted({file for file in files if files.count(file) > 1})
    if shared:
        raise ValueError(
            f"{shared[0]} holds samples of several segments of {found.header.name}, which come "
            "back only without loss: give --lossless, or --physical to keep the samples alone"
        )
    plan = attached_plan(array, found)
    groups = groups_of([s.samples_per_frame for s in plan.signals])
    parts = []
    for part, group in zip((array, *array.others), groups, strict=True):
        gaps = np.isnan(part.x) if part.x.dtype.kind == "f" else np.zeros(part.x.shape, bool)
        for column, c in enumerate(group):
            _mark_invalid(gaps[:, column], part.x[:, column], found, plan, c)
        wide = np.float32 if part.x.dtype.itemsize == 2 or part.x.dtype == "f4" else np.float64
        x = np.where(gaps, np.nan, part.x).astype(wide) if gaps.any() else part.x
        parts.append(replace(part, x=x, attachments={}, others=()))
    return replace(array, x=parts[0].x, others=tuple(parts[1:]))


def _mark_invalid(gaps: np.ndarray, x: np.ndarray, found: Headers, plan: Plan, number: int) -> None:
    """Mark the samples of a signal that its format in their segment calls invalid."""
    place, per_frame = 0, plan.signals[number].samples_per_frame
    for part in plan.parts:
        here, end = part.columns[number], place + part.frames * per_frame
        if here is not None:
            invalid = invalid_of(lines_of(found.headers[part.name])[here])
            if invalid is not None:
                gaps[place:end] |= x[place:end] == invalid
        place = end


def as_before(array: Array) -> Array:
    """Undo the skew of an array's signals, as streams of version 0.4 and before have them."""
    lines = attached_plan(array, attached_headers(array.attachments)).signals
    groups = groups_of([s.samples_per_frame for s in lines])
    parts = []
    for part, group in zip((array, *array.others), groups, strict=True):
        columns = [shifted(part.x[:, i], lines[c]) for i, c in enumerate(group)]
        parts.append(replace(part, x=np.stack(columns, axis=1)))
    attached = {name: data for name, data in array.attachments.items() if name != UNSHIFTED}
    return replace(array, x=parts[0].x, others=tuple(parts[1:]), attachments=attached)


def lines_of(header: Header) -> list[SignalLine]:
    """The lines of signals that a record has samples of."""
    return [s for s in header.signals if s.code != NO_SIGNAL]
