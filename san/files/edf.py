"""How an EDF or BDF file becomes arrays of its converter's integers, and arrays the file again.

The header and the annotation signals are attached as they are. So if the samples come back
unchanged, every byte of the file does.
"""

import io
import itertools
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from san import storage
from san.codec.recovery import FILLED, filled_parts
from san.files.edf_header import check_header
from san.packages import need
from san.signals import Array, NoSignal, columns_of, groups_of

HEADER, ANNOTATIONS = "edf/header", "edf/annotations"
ENDINGS = (".edf", ".bdf")
_ANNOTATION_LABELS = {2: b"EDF Annotations", 3: b"BDF Annotations"}  # by the bytes of a sample
_MOST_SIGNALS = 4096
_WAY_ROUND = "`san decompress` to .npy or .csv gives the samples without the header"


class EdfLayout(NamedTuple):
    """Where samples are in a file."""

    header: bytes
    records: int
    samples: list[int]  # of each signal in a record
    annotations: list[bool]  # whether a signal holds annotations
    width: int  # bytes of a sample

    @property
    def record(self) -> int:
        """Bytes of a data record."""
        return self.width * sum(self.samples)

    @property
    def signals(self) -> list[int]:
        """Numbers of the signals that hold samples."""
        return [c for c, notes in enumerate(self.annotations) if not notes]


def read_edf(path: Path, *, physical: bool = False) -> Array:
    """Read an EDF, EDF+, BDF or BDF+ file.

    Parameters
    ----------
    path : Path
    physical : bool
        Give physical units, float64, instead of the converter's integers; nothing is attached.

    Returns
    -------
    Array
        (n, channels), int16 for EDF and int32 for BDF. Signals of other rates are in `others`.
        Units have the form of a WFDB record: `gain(baseline)/unit`.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it cannot be read, has no signal, or is read in physical units and has several rates.

    Notes
    -----
    A discontinuous file (EDF+D) has gaps between its records. Its annotations say when each record
    began, and they are attached; the samples stand one after the other, without the gaps.
    `san.read` puts NaN in the gaps.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    need("edfio")
    content = path.read_bytes()
    check_header(path, content)
    kind = ENDINGS[content[:1] == b"\xff"]
    if path.suffix.lower() != kind:
        raise ValueError(f"{path} holds {kind[1:].upper()}: give it a name that ends with {kind}")
    try:
        layout = _layout(content)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    groups = groups_of([layout.samples[c] for c in layout.signals])
    if not groups:
        raise NoSignal(f"{path} has no signals, only annotations")
    if physical and len(groups) > 1:
        raise ValueError(f"the signals of {path} have several rates: read them without --physical")
    opened = _open(path, content, layout.header)
    found = columns_in(content, layout)
    parts = []
    for group in groups:
        mine = [opened.signals[c] for c in group]
        x = np.stack([found[layout.signals[c]] for c in group], axis=1)
        names = tuple(signal.label for signal in mine)
        if physical:
            x = np.stack([signal.data for signal in mine], axis=1)
            units = tuple(signal.physical_dimension for signal in mine)
        else:
            units = tuple(_units(signal) for signal in mine)
        parts.append(Array(x, float(mine[0].sampling_frequency), units, names))
    attached = {} if physical else {HEADER: layout.header}
    if not physical and any(layout.annotations):
        attached[ANNOTATIONS] = _annotations(content, layout)
    first = parts[0]
    return Array(first.x, first.fs, first.units, first.names, attached, tuple(parts[1:]))


def write_edf(path: Path, array: Array) -> None:
    """Write a file that `read_edf` read, from its decoded samples, whole or not at all.

    Of a recovered stream the data records are written that are whole in the signals of every rate.

    Raises
    ------
    ValueError
        If the attachments are not those of a file with such samples, or the name has the ending
        of the other kind.

    Warns
    -----
    UserWarning
        If samples of a recovered stream are not in the file, or stand for lost ones.
    """
    layout = layout_of(array.attachments[HEADER])
    ending = ENDINGS[layout.width - 2]
    if path.suffix.lower() != ending:
        raise ValueError(f"{path} must end with {ending}: a file of that kind was compressed")
    if FILLED in array.attachments:
        array = _saved_records(path, array)
        layout = layout_of(array.attachments[HEADER])
    pairs = parts_of(array, layout)
    records = len(array.x) // layout.samples[pairs[0][1][0]]
    table = np.zeros((records, layout.record), np.uint8)
    starts = layout.width * np.cumsum([0, *layout.samples])
    shapes = [columns_of(part.x).shape for part, _ in pairs]
    stated = records if layout.records == -1 else layout.records
    expected = [(stated * layout.samples[signals[0]], len(signals)) for _, signals in pairs]
    if shapes != expected:
        raise ValueError(
            f"the samples {shapes} are not those of the attached header: {expected}. {_WAY_ROUND}"
        )
    for part, signals in pairs:
        for signal, samples in zip(signals, columns_of(part.x).T, strict=True):
            size = layout.samples[signal]
            table[:, starts[signal] : starts[signal + 1]] = _bytes(samples, layout.width, size)
    notes = np.frombuffer(array.attachments.get(ANNOTATIONS, b""), np.uint8)
    marked = np.repeat(layout.annotations, layout.width * np.array(layout.samples))
    if notes.size != records * marked.sum():
        raise ValueError(
            f"the attached annotations have {notes.size} bytes, which do not fit the samples. "
            f"{_WAY_ROUND}"
        )
    table[:, marked] = notes.reshape(records, int(marked.sum()))
    storage.write(path, layout.header + table.tobytes())


def parts_of(array: Array, layout: EdfLayout) -> list[tuple[Array, list[int]]]:
    """The samples of each rate, and the numbers of their signals in the file.

    Raises
    ------
    ValueError
        If there are samples of fewer rates than the header has, or of more.
    """
    groups = groups_of([layout.samples[c] for c in layout.signals])
    parts = (array, *array.others)
    if len(parts) != len(groups):
        raise ValueError(
            f"there are samples of {len(parts)} rates, and the attached header has {len(groups)}. "
            f"{_WAY_ROUND}"
        )
    signals = [[layout.signals[c] for c in group] for group in groups]
    return list(zip(parts, signals, strict=True))


def _saved_records(path: Path, array: Array) -> Array:
    """Whole data records of a recovered stream, with their number in the header."""
    header = array.attachments[HEADER]
    layout = layout_of(header)
    pairs = parts_of(array, layout)
    records = min(len(part.x) // layout.samples[signals[0]] for part, signals in pairs)
    if layout.records != -1:
        records = min(records, layout.records)
        header = header[:236] + f"{records:<8}".encode() + header[244:]
    parts = [
        replace(part, x=part.x[: records * layout.samples[signals[0]]]) for part, signals in pairs
    ]
    kept = sum(len(part.x) for part in parts)
    _warn_of_lost(path, array, sum(len(part.x) for part, _ in pairs) - kept)
    size = layout.width * sum(layout.samples[c] for c in np.flatnonzero(layout.annotations))
    attached = {**array.attachments, HEADER: header}
    if ANNOTATIONS in attached:
        attached[ANNOTATIONS] = attached[ANNOTATIONS][: records * size]
    return replace(parts[0], attachments=attached, others=tuple(parts[1:]))


def _warn_of_lost(path: Path, array: Array, left: int) -> None:
    """Say which samples of a recovered stream are not in the file, or have a value without meaning.

    EDF has no value that says that a sample is invalid.
    """
    if left:
        warnings.warn(
            f"{path} ends with the last whole data record: {left} saved samples after it are not "
            "in the file. `san decompress` to .npy or .csv gives them too",
            stacklevel=4,
        )
    filled = filled_parts(array.attachments[FILLED])
    if filled:
        lost = sum(last - first for first, last in filled)
        warnings.warn(
            f"{path} has {lost} samples that were lost, from sample {filled[0][0]} on, and EDF "
            "cannot mark them: their values mean nothing. `san.read` of the stream has NaN there",
            stacklevel=4,
        )


def _open(path: Path, content: bytes, header: bytes) -> Any:
    """Open a file with edfio, which checks it. Its warnings are of what `_layout` checked.

    Some programs fill up fields with zero bytes. edfio wants blanks.
    """
    import edfio

    plain = header.replace(b"\0", b" ")
    source = path if plain == header else io.BytesIO(plain + content[len(header) :])
    read = edfio.read_bdf if path.suffix.lower() == ".bdf" else edfio.read_edf
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(source, header_encoding="latin-1")
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def _units(signal: Any) -> str:
    """How integers become physical: (x - baseline) / gain."""
    low, high = signal.physical_min, signal.physical_max
    if high == low:
        return str(signal.physical_dimension)
    gain = (signal.digital_max - signal.digital_min) / (high - low)
    baseline = signal.digital_min - low * gain
    return f"{gain:.8g}({baseline:.8g})/{signal.physical_dimension}"


def _layout(content: bytes) -> EdfLayout:
    """The layout of a whole file, with its number of records even if the header states none."""
    layout = layout_of(content[: _number(content[184:192], "the size of the header")])
    left = len(content) - len(layout.header)
    records, rest = divmod(left, layout.record)
    if rest or layout.records not in (-1, records):
        stated = "any number" if layout.records == -1 else layout.records
        way = f"cut the file after {len(content) - rest} bytes, and " if rest else ""
        raise ValueError(
            f"its {left} bytes of samples are {records} records of {layout.record} bytes"
            f"{f' and {rest} bytes' * (rest > 0)}, and its header says {stated}: it was cut, or "
            f"something was added. If the samples are right, {way}write {records} into bytes 236 "
            "to 243 of the header"
        )
    return layout._replace(records=records)


def layout_of(header: bytes) -> EdfLayout:
    """The layout that a header describes."""
    count = _number(header[252:256], "the number of signals")
    if not 0 < count <= _MOST_SIGNALS or len(header) != 256 * (count + 1):
        raise ValueError(f"a header of {len(header)} bytes cannot be that of {count} signals")
    labels = [header[256 + 16 * c :][:16].rstrip(b"\0 ") for c in range(count)]
    sizes = header[256 + 216 * count :]
    samples = [_number(sizes[8 * c :][:8], "the samples of a record") for c in range(count)]
    if min(samples) < 1 or sum(samples) > 1 << 26:
        raise ValueError(f"a record cannot have {samples} samples")
    width = 3 if header[:1] == b"\xff" else 2
    notes = [label == _ANNOTATION_LABELS[width] for label in labels]
    records = _number(header[236:244], "the number of records")
    return EdfLayout(header, records, samples, notes, width)


def _number(field: bytes, what: str) -> int:
    text = field.decode("latin-1").strip(" \0")
    if not re.fullmatch(r"[-+]?\d+", text, re.ASCII):
        raise ValueError(f"{what} is {text!r}, which is not a whole number")
    return int(text)


def columns_in(content: bytes, layout: EdfLayout) -> list[np.ndarray]:
    """The integers of each signal, from first to last."""
    table = np.frombuffer(content, np.uint8, offset=len(layout.header))
    table = table.reshape(layout.records, layout.record)
    starts = layout.width * np.cumsum([0, *layout.samples])
    found = []
    for begin, end in itertools.pairwise(starts):
        part = np.ascontiguousarray(table[:, begin:end])
        if layout.width == 2:
            found.append(part.view("<i2").astype(np.int16).reshape(-1))
        else:
            bytes_ = np.zeros((part.size // 3, 4), np.uint8)
            bytes_[:, 1:] = part.reshape(-1, 3)
            found.append((bytes_.view("<i4").reshape(-1) >> 8).astype(np.int32))
    return found


def _bytes(samples: np.ndarray, width: int, size: int) -> np.ndarray:
    """The bytes of a signal, a row for each record of so many samples."""
    limit = 1 << (8 * width - 1)
    whole = np.clip(samples, -limit, limit - 1).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, :width].reshape(-1, width * size)


def _annotations(content: bytes, layout: EdfLayout) -> bytes:
    """The bytes of all annotation signals, record after record."""
    table = np.frombuffer(content, np.uint8, offset=len(layout.header))
    marked = np.repeat(layout.annotations, layout.width * np.array(layout.samples))
    return table.reshape(layout.records, layout.record)[:, marked].tobytes()
