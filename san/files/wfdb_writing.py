"""Which files a WFDB record becomes that was read by `wfdb_reading`, and decoded since.

With the samples that were read every file is as it was, if its attachments say all of it. With
others the header has their number, checksums and first samples, and no sample becomes one that its
format calls invalid.
"""

import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from san.codec.entropy.varints import Fields
from san.codec.recovery import FILLED
from san.files.wfdb_reading import (
    ANNOTATIONS,
    BEGINNING,
    ENDING,
    FLAC_FILE,
    NAME,
    ROOT,
    UNSHIFTED,
    UNUSED,
    Headers,
    attached_headers,
    attached_plan,
    is_annotations,
    lines_of,
    of_file,
    stem_of,
)
from san.files.wfdb_recovered import filled_up
from san.signals import Array, columns_of, groups_of
from san.wfdb_records.flac import LEVELS, split_flac, write_flac
from san.wfdb_records.header import FLAC, Header, SignalLine, parse_header, renamed, with_values
from san.wfdb_records.samples import checksum_of, invalid_of, pack_file, range_of, signals_in

_LONGEST_NAME = 200  # characters of a file's name
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')  # what separates folders, and what Windows refuses
_NEW_NAME = re.compile(r"\w[-\w.]{0,200}", re.ASCII)  # a header can hold it


def files_of(name: str, array: Array, exact: bool) -> dict[str, bytes]:
    """The files of a record.

    Parameters
    ----------
    name : str
        The record's name from now on. With its own name all files have theirs; with another one
        those have it that began with the old one.
    array : Array
        Samples and attachments. NaN become the integer that stands for an invalid sample; unless
        `exact`, no other sample becomes it, and none leaves the range of its format.
    exact : bool
        Whether the samples are those that were read.

    Returns
    -------
    dict of str to bytes
        Contents by file name, the header of the whole last.

    Raises
    ------
    ValueError
        If the attachments are not those of a record with such samples, or ask for bytes that are
        not attached.
    """
    found = attached_headers(array.attachments)
    own = _own_name(found, array.attachments)
    names = {} if name == own else _new_names(found, own, name)
    x = _signals_of(array, found, exact)
    shifted, recovered = UNSHIFTED not in array.attachments, FILLED in array.attachments
    files: dict[str, bytes] = {}
    for segment, header in found.headers.items():
        root = found.roots[segment]
        new = name if found.header.segments is None else names.get(segment, segment)
        content = found.contents.get(segment, found.content)
        if segment in x:
            as_read = exact and _is_as_said(x[segment], header, recovered)
            body, content = _signal_files(
                x[segment], header, content, array.attachments, root, as_read, shifted, names
            )
            _put(files, body)
        if found.header.segments is not None:
            _put(files, {f"{new}.hea": renamed(content, new, names) if names else content})
        _put(files, _annotations(array.attachments, root, new))
    if found.header.segments is not None:
        _put(files, _annotations(array.attachments, ROOT, name))
        content = found.content
    _put(files, {f"{name}.hea": renamed(content, name, names) if name != own else content})
    return files


def names_of(name: str, attachments: Mapping[str, bytes]) -> list[str]:
    """The names of the files that `files_of` gives, from the attachments alone.

    Raises
    ------
    ValueError
        As `files_of`.
    """
    found = attached_headers(attachments)
    own = _own_name(found, attachments)
    names = {} if name == own else _new_names(found, own, name)
    files = [f"{name}.hea", *_annotations(attachments, ROOT, name)]
    for segment, header in found.headers.items():
        files += [names.get(file, file) for file in header.files]
        if found.header.segments is not None:
            new = names.get(segment, segment)
            files += [f"{new}.hea", *_annotations(attachments, found.roots[segment], new)]
    return list(dict.fromkeys(files))


def write_record(record: Path, array: Array, exact: bool) -> list[Path]:
    """Write the files of `files_of` beside `record`, a path without an ending.

    Returns
    -------
    list of Path
        What was written, the header last; nothing is there under its name before it is complete.

    Raises
    ------
    ValueError
        As `files_of`.
    """
    files = files_of(record.name, array, exact)
    folder = Path(tempfile.mkdtemp(prefix=f".{record.name}.", suffix=".tmp", dir=record.parent))
    try:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        for name in files:
            os.replace(folder / name, record.parent / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [record.parent / name for name in files]


def _put(files: dict[str, bytes], more: Mapping[str, bytes]) -> None:
    """Add files; one that is there already must be the same, as where segments share one."""
    for name, data in more.items():
        if not _is_name(name):
            raise ValueError(
                f"the attached WFDB header has an impossible file name: {name!r}. Files lie beside "
                'the header, and their names have no / \\ : * ? " < > | and do not begin with . - '
                "or ~. With --physical the samples are kept without the header"
            )
        if files.get(name, data) != data:
            raise ValueError(f"the attached WFDB header has two files of the name {name}")
        files[name] = data


def _is_name(name: str) -> bool:
    """Whether a file of this name lies beside the header, can be seen, and is no option."""
    return (
        0 < len(name) <= _LONGEST_NAME
        and name.isprintable()
        and name[0] not in ".-~ "
        and name[-1] not in ". "
        and _NOT_IN_NAMES.isdisjoint(name)
    )


def _own_name(found: Headers, attachments: Mapping[str, bytes]) -> str:
    """The name that the files of a record had."""
    kept = attachments.get(NAME)
    return stem_of(found.header) if kept is None else kept.decode(errors="surrogateescape")


def _new_names(found: Headers, own: str, name: str) -> dict[str, str]:
    """New names of signal files and segments that begin with the record's name, by the old ones."""
    if not _NEW_NAME.fullmatch(name):
        raise ValueError(
            f"a new name of a record is letters, digits, -, _ and points, got {name!r}"
        )
    names = {}
    files = {file for header in found.headers.values() for file in header.files}
    segments = found.headers if found.header.segments is not None else ()
    for old in (*files, *segments):
        for stem in (own, stem_of(found.header)):
            rest = old.removeprefix(stem)
            if old.startswith(stem) and not rest[:1].isalnum():
                names[old] = name + rest
                break
    return names


def _annotations(attached: Mapping[str, bytes], root: str, name: str) -> dict[str, bytes]:
    files = {}
    for key, data in attached.items():
        ending = key.removeprefix(root + ANNOTATIONS)
        if ending == key:
            continue
        if not is_annotations(ending):
            raise ValueError(f"{key} is attached, and {name}.{ending} is no file of annotations")
        files[f"{name}.{ending}"] = data
    return files


def _signals_of(array: Array, found: Headers, exact: bool) -> dict[str, list[np.ndarray]]:
    """The integers of each segment's signals, in the order of its header."""
    plan = attached_plan(array, found)
    array = filled_up(array, plan)
    parts, per_frame = (array, *array.others), [s.samples_per_frame for s in plan.signals]
    columns: dict[int, np.ndarray] = {}
    for part, group in zip(parts, groups_of(per_frame), strict=True):
        columns |= dict(zip(group, columns_of(part.x).T, strict=True))
    x: dict[str, list[np.ndarray]] = {}
    place = 0
    for segment in plan.parts:
        if segment.name in found.headers and segment.name not in x:
            lines = lines_of(found.headers[segment.name])
            mine = dict[int, np.ndarray]()
            for c, here in enumerate(segment.columns):
                if here is not None:
                    begin, size = place * per_frame[c], segment.frames * per_frame[c]
                    samples = columns[c][begin : begin + size]
                    mine[here] = _integers(samples, lines[here], exact)
            x[segment.name] = [mine[here] for here in range(len(lines))]
        place += segment.frames
    return x


def _integers(samples: np.ndarray, signal: SignalLine, exact: bool) -> np.ndarray:
    """Integers that the format holds; no sample but NaN becomes the invalid one, unless exact."""
    (low, high), invalid = range_of(signal), invalid_of(signal)
    gaps = np.isnan(samples) if samples.dtype.kind == "f" else np.zeros(samples.shape, bool)
    if not exact:
        low += invalid == low
    whole = np.clip(np.rint(np.where(gaps, 0, samples)), low, high).astype(np.int64)
    return np.where(gaps, low if invalid is None else invalid, whole)


def _frames_of(x: Sequence[np.ndarray], lines: Sequence[SignalLine]) -> int:
    return len(x[0]) // lines[0].samples_per_frame


def _is_as_said(x: Sequence[np.ndarray], header: Header, recovered: bool) -> bool:
    """Whether the samples are as many as the header says, with its checksums.

    A checksum may be missing, or zero as long as the number of samples is open. It is then taken
    to be right, but for a recovered stream, whose samples may be others.
    """
    lines = lines_of(header)
    if header.frames not in (None, _frames_of(x, lines)):
        return False
    for samples, line in zip(x, lines, strict=True):
        if line.checksum is None or (line.checksum == 0 and header.frames is None):
            if recovered:
                return False
        elif (checksum_of(samples) - line.checksum) & 0xFFFF:
            return False
    return True


def _signal_files(
    x: list[np.ndarray], header: Header, content: bytes, attached: Mapping[str, bytes], root: str,
    as_read: bool, shifted: bool, names: Mapping[str, str],
) -> tuple[dict[str, bytes], bytes]:  # fmt: skip
    """The signal files of a record without segments, and the header that is true of them."""
    lines = lines_of(header)
    codes = _codes(x, header, shifted)
    packed_by = header
    if codes or not as_read:
        initial = {c: int(s[0]) if len(s) else 0 for c, s in enumerate(x)}
        frames = None if header.frames is None else _frames_of(x, lines)
        content = with_values(content, initial, _checksums(x, lines), codes, frames)
        packed_by = parse_header(content)
    same = as_read and not codes
    files = {}
    for number, file in enumerate(header.files):
        line, mine = signals_in(packed_by, file)[0], of_file(x, packed_by, file)
        if line.code in FLAC:
            known = attached.get(f"{root}{FLAC_FILE}{number}", b"") if same else b""
            body = _flac_file(np.stack(mine, axis=1), line.code, known)
        else:
            body = pack_file(mine, packed_by, file)
            unused = attached.get(f"{root}{UNUSED}{number}", b"") if same else b""
            body = _with_unused(body, unused, file)
            body = _with_rest(body, attached, root, number, line)
        files[names.get(file, file)] = body
    return files, content


def _codes(x: Sequence[np.ndarray], header: Header, shifted: bool) -> dict[int, str]:
    """New formats of the signals whose own ones do not hold their samples.

    The differences of format 8 may be too large within an error. In streams of version 0.4 and
    before, a skew was undone, and the header must not announce it again.
    """
    lines, codes = lines_of(header), dict[int, str]()
    for file in header.files:
        mine = [c for c, line in enumerate(lines) if line.file == file]
        code = lines[mine[0]].code
        if code == "8" and any(not _is_near(x[c], lines[c].initial) for c in mine):
            widest = max((int(np.abs(x[c]).max(initial=0)) for c in mine), default=0)
            code = "16" if widest < 1 << 15 else "32"
        for c in mine:
            line = lines[c]
            if code != line.code or (shifted and line.skew):
                frame = f"x{line.samples_per_frame}" if line.samples_per_frame > 1 else ""
                skew = f":{line.skew}" if line.skew and not shifted else ""
                codes[c] = f"{code}{frame}{skew}" + (f"+{line.offset}" if line.offset else "")
    return codes


def _is_near(x: np.ndarray, initial: int) -> bool:
    steps = np.diff(x, prepend=initial)
    return bool(((steps >= -128) & (steps < 128)).all())


def _checksums(x: Sequence[np.ndarray], lines: Sequence[SignalLine]) -> dict[int, int]:
    """The checksums of the samples, signed or not as the header has its own."""
    found = {}
    for c, (samples, line) in enumerate(zip(x, lines, strict=True)):
        value = checksum_of(samples)
        unsigned = line.checksum is not None and line.checksum > 32767
        found[c] = value - 65536 if value > 32767 and not unsigned else value
    return found


def _with_rest(
    body: bytes, attached: Mapping[str, bytes], root: str, number: int, line: SignalLine
) -> bytes:
    """A signal file with what stands before the samples and what follows them."""
    before = attached.get(f"{root}{BEGINNING}{number}", b"")
    if len(before) != line.offset:
        raise ValueError(
            f"the attached WFDB header asks for {line.offset} bytes before the samples of "
            f"{line.file}, and {len(before)} are attached"
        )
    return before + body + attached.get(f"{root}{ENDING}{number}", b"")


def _flac_file(x: np.ndarray, code: str, known: bytes) -> bytes:
    """A FLAC file, the one that was read if the encoder at hand still makes its frames."""
    if len(known) > 5 and known[0] in LEVELS:
        frames = split_flac(write_flac(x, code, known[0]))[1]
        if struct.pack("<I", zlib.crc32(frames)) == known[1:5]:
            return known[5:] + frames
    return write_flac(x, code)


def _with_unused(body: bytes, unused: bytes, file: str) -> bytes:
    if not unused:
        return body
    found, place, fields = np.frombuffer(body, np.uint8).copy(), 0, Fields(unused)
    while fields.position < len(unused):
        place += fields.varint()
        if place >= found.size:
            raise ValueError(f"the attached bits of {file} lie beyond its samples")
        found[place] ^= fields.byte()
    return found.tobytes()
