"""How a WFDB record becomes arrays of its converter's integers, and arrays a WFDB record again.

The units say how integers become physical, as a WFDB header does: `200(1024)/mV` is (x - 1024) /
200 mV. The header and the annotations are attached as they are, so that the record can be written
again. If its samples come back unchanged, every byte of it does.
"""

import contextlib
import dataclasses
import glob
import io
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from san import signals
from san.packages import need
from san.signals import Array, groups_of

HEADER, ANNOTATIONS, BEGINNING = "wfdb/header", "wfdb/annotations/", "wfdb/beginning/"
MOST_ANNOTATIONS = 1 << 24  # bytes of a file of them
MOST_BEGINNING = 1 << 16  # bytes before a file's samples
_BITS = {"80": 8, "212": 12, "16": 16, "24": 24, "32": 32, "508": 8, "516": 16, "524": 24}
_BITS |= {"310": 10, "311": 10, "61": 16, "160": 16, "8": 8}
_END_MARK = b"\0\0"  # of annotations in WFDB's own format
_OTHER_KINDS = (".hea", ".san", ".npy", ".csv", ".edf", ".bdf")  # records, and streams of them
_WRITTEN = ("80", "212", "16", "24", "32")  # formats that need nothing but wfdb to be written


def read_record(record: Path, *, physical: bool = False, annotations: bool = True) -> Array:
    """Read a record by its path without an ending.

    Parameters
    ----------
    record : Path
    physical : bool
        Give physical units, float64, instead of the converter's integers. Signals of several
        rates are averaged to the lowest one, and nothing is attached.
    annotations : bool
        Whether annotation files of the record are attached, byte for byte.

    Returns
    -------
    Array
        (n, channels), int16 where that is enough, else int32. Signals of other rates are in
        `others`. Files of the record's name that are not attached are named in `left_out`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `signals.read_wfdb`, which compares the samples with the header's checksums.
    """
    recording = signals.read_wfdb(record)
    if physical:
        return Array(recording.x, recording.fs, recording.units, recording.names)
    import wfdb

    raw = wfdb.rdrecord(str(record), physical=False, smooth_frames=False)
    parts = []
    for group in groups_of(raw.samps_per_frame):
        x = np.stack([raw.e_d_signal[c] for c in group], axis=1)
        narrow = x.size == 0 or (x.min() >= -(2**15) and x.max() < 2**15)
        rate = float(raw.fs) * raw.samps_per_frame[group[0]]
        units = tuple(_units(raw, c) for c in group)
        names = tuple(raw.sig_name[c] for c in group)
        parts.append(Array(x.astype(np.int16 if narrow else np.int32), rate, units, names))
    attached, left_out = _attachments(record, annotations)
    first = parts[0]
    return dataclasses.replace(
        first, attachments=attached, others=tuple(parts[1:]), left_out=left_out
    )


def with_gaps(array: Array) -> Array:
    """Replace the integer that marks an invalid sample by NaN, if the record has such samples.

    That integer is far from all others. Coded within an error it would not come back exactly, and
    an error of it would have no meaning. NaN always comes back as NaN.
    """
    header = _read_header(array.attachments[HEADER])
    parts = []
    for part, group in zip((array, *array.others), groups_of(header.samps_per_frame), strict=True):
        marks = np.array([_invalid(header.fmt[c]) for c in group])
        gaps = part.x == marks
        floats = np.where(gaps, np.nan, part.x).astype(
            np.float32 if part.x.dtype == np.int16 else np.float64
        )
        x = floats if gaps.any() else part.x
        parts.append(Array(x, part.fs, part.units, part.names))
    first = parts[0]
    return dataclasses.replace(
        first, attachments=array.attachments, others=tuple(parts[1:]), left_out=array.left_out
    )


def write_record(record: Path, array: Array, exact: bool) -> list[Path]:
    """Write a record that `read_record` read, from its decoded samples.

    Parameters
    ----------
    record : Path
        Without an ending; its name is the record's name from now on.
    array : Array
        Samples and attachments. Integers that are too large for a format are clipped, and NaN
        becomes the integer that marks an invalid sample.
    exact : bool
        Whether the samples are the same as those that were read. Then the header is written as
        it was.

    Returns
    -------
    list of Path
        The files that were written, the header last. No file has its name before it is complete.

    Raises
    ------
    ValueError
        If the attachments are not those of a record with such samples.
    """
    if not re.fullmatch(r"[-\w]+", record.name):
        raise ValueError(f"a record's name has only letters, digits, - and _, got {record.name!r}")
    header = _read_header(array.attachments[HEADER])
    _fill(header, array)
    text = array.attachments[HEADER].decode(errors="replace")
    same = _rename(header, record.name)
    folder = Path(tempfile.mkdtemp(prefix=f".{record.name}.", suffix=".tmp", dir=record.parent))
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # wfdb tells of empty bytes
            header.wrsamp(expanded=True, write_dir=str(folder))
        if exact and same:
            (folder / f"{record.name}.hea").write_text(text)
        for name, data in array.attachments.items():
            kind, _, ending = name.rpartition("/")
            if kind + "/" == ANNOTATIONS and re.fullmatch(r"\w+", ending):
                (folder / f"{record.name}.{ending}").write_bytes(data)
            elif kind + "/" == BEGINNING and ending.isdigit():
                _write_beginning(folder, header, int(ending), data)
        files = sorted(folder.iterdir(), key=lambda file: file.suffix == ".hea")
        for file in files:
            os.replace(file, record.parent / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [record.parent / file.name for file in files]


def _units(raw: Any, channel: int) -> str:
    gain, baseline = raw.adc_gain[channel], raw.baseline[channel]
    return f"{gain:.12g}({baseline})/{raw.units[channel]}"


def _attachments(record: Path, annotations: bool) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The header, the annotations and the bytes before the samples; and what is left out."""
    import wfdb

    path = record.with_name(record.name + ".hea")
    header = wfdb.rdheader(str(record))
    if getattr(header, "file_name", None) is None:  # of several segments: it cannot be one again
        return {}, ()
    found, left_out = {HEADER: path.read_bytes()}, []
    offsets = dict(zip(header.file_name, header.byte_offset, strict=True))
    for number, name in enumerate(dict.fromkeys(header.file_name)):
        if 0 < (offsets[name] or 0) <= MOST_BEGINNING:
            with open(record.parent / name, "rb") as samples:
                found[f"{BEGINNING}{number}"] = samples.read(offsets[name])
    for file in _files_beside(record, header.file_name) if annotations else ():
        problem = _problem_of_annotations(file)
        if problem:
            left_out.append(f"{file.name} is left out: {problem}")
        else:
            found[ANNOTATIONS + file.suffix[1:]] = file.read_bytes()
    return found, tuple(left_out)


def _files_beside(record: Path, signals: list[str]) -> list[Path]:
    """The files of a record's name that hold neither its signals nor another record or stream."""
    files = sorted(record.parent.glob(f"{glob.escape(record.name)}.*"))
    own = [file for file in files if file.stem == record.name and file.name not in signals]
    return [file for file in own if file.suffix.lower() not in _OTHER_KINDS and file.is_file()]


def _problem_of_annotations(file: Path) -> str:
    """Why a file is not attached as annotations; empty if it is.

    It is attached if wfdb reads it, and also if it has the end mark of such files: a wfdb that
    does not know all its annotations is no reason to lose them.
    """
    import wfdb

    size = file.stat().st_size
    if not re.fullmatch(r"\.\w{1,40}", file.suffix):
        return "the ending of annotations is 1 to 40 letters, digits and _"
    if not 2 <= size <= MOST_ANNOTATIONS:
        return f"annotations have 2 to {MOST_ANNOTATIONS} bytes, it has {size}"
    with open(file, "rb") as content:
        content.seek(-len(_END_MARK), os.SEEK_END)
        if size % 2 == 0 and content.read() == _END_MARK:
            return ""
    try:
        wfdb.rdann(str(file.with_suffix("")), file.suffix[1:])
    except Exception as error:  # wfdb raises whatever a file of another kind leads to
        return f"wfdb reads no annotations in it ({' '.join(str(error).split())})"
    return ""


def _read_header(content: bytes) -> Any:
    """Read the attached header, and check that it is that of a record with samples."""
    need("wfdb")
    import wfdb

    with tempfile.TemporaryDirectory() as folder:
        name = content.decode(errors="replace").lstrip().split("\n")
        record = next((line.split()[0] for line in name if line and line[0] != "#"), "")
        if not re.fullmatch(r"[-\w]+", record):
            raise ValueError(f"the attached WFDB header has no name of a record, but {record!r}")
        (Path(folder) / f"{record}.hea").write_bytes(content)
        try:
            header = wfdb.rdheader(str(Path(folder) / record))
            known = len(header.fmt) == len(header.samps_per_frame) == header.n_sig > 0
        except Exception as error:
            raise ValueError(f"the attached WFDB header cannot be read: {error}") from error
    if not known or not set(header.fmt) <= set(_BITS):
        raise ValueError("the attached WFDB header is not that of a record with samples")
    return header


def _fill(header: Any, array: Array) -> None:
    """Give a header its samples, in formats that can be written, and their checksums."""
    parts = (array, *array.others)
    groups = groups_of(header.samps_per_frame)
    shapes = [part.x.reshape(len(part.x), -1).shape for part in parts]
    frames = {len(p.x) / header.samps_per_frame[g[0]] for p, g in zip(parts, groups, strict=False)}
    expected = [len(group) for group in groups]
    if [shape[1] for shape in shapes] != expected or len(frames) != 1 or frames.pop() % 1:
        raise ValueError(f"the samples {shapes} are not those of the attached WFDB header")
    header.sig_len = len(array.x) // header.samps_per_frame[groups[0][0]]
    header.e_d_signal = [np.zeros(0)] * header.n_sig
    for part, group in zip(parts, groups, strict=True):
        for c, samples in zip(group, part.x.reshape(len(part.x), -1).T, strict=True):
            header.e_d_signal[c] = _integers(samples, header.fmt[c])
    for c, code in enumerate(header.fmt):
        if code not in _WRITTEN:
            header.fmt[c] = {8: "80", 10: "16", 16: "16", 24: "24"}[_BITS[code]]
            if code == "8":
                header.fmt[c] = "16"
    for file in set(header.file_name):  # one file has one format
        mine = [c for c, name in enumerate(header.file_name) if name == file]
        widest = max((header.fmt[c] for c in mine), key=lambda code: _BITS[code])
        for c in mine:
            header.fmt[c] = widest
    header.skew = None if header.skew is None or any(header.skew) else header.skew
    header.init_value = [int(s[0]) if len(s) else 0 for s in header.e_d_signal]


def _integers(samples: np.ndarray, code: str) -> np.ndarray:
    """Samples as integers of a format; NaN becomes the integer that marks an invalid sample."""
    invalid, bits = _invalid(code), 16 if code == "8" else _BITS[code]
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if samples.dtype.kind != "f":
        return np.clip(samples.astype(np.int64), low, high)
    gaps = np.isnan(samples)
    whole = np.clip(np.rint(np.where(gaps, 0, samples)), low + 1, high).astype(np.int64)
    return np.where(gaps, invalid, whole)


def _invalid(code: str) -> int:
    """The integer that marks an invalid sample; out of range if the format has none."""
    return -(2**40) if code == "8" else -(2 ** (_BITS[code] - 1))


def _rename(header: Any, name: str) -> bool:
    """Give the record and its files another name; return whether they all had it before."""
    before, files = header.record_name, list(header.file_name)
    header.record_name = name
    found: dict[str, str] = {}
    for file in dict.fromkeys(files):
        rest = file.removeprefix(before)
        plain = file.startswith(before) and re.fullmatch(r"(_\w+)?\.\w+", rest)
        found[file] = name + (rest if plain else f"_{len(found)}.dat")
        if found[file] == f"{name}.hea" or len({*found.values()}) < len(found):
            raise ValueError("the attached WFDB header has impossible file names")
    header.file_name = [found[file] for file in files]
    return header.file_name == files and before == name


def _write_beginning(folder: Path, header: Any, number: int, data: bytes) -> None:
    """Write the bytes that stood before a file's samples."""
    names = list(dict.fromkeys(header.file_name))
    if number < len(names):
        offset = header.byte_offset[header.file_name.index(names[number])]
        if offset == len(data):
            with open(folder / names[number], "r+b") as file:
                file.write(data)
