"""How large files are read a part at a time: streams, WFDB records and EDF of the plain kinds.

A function here returns None for a file that only `san.read` can read, which reads it whole: of
several rates or segments, with a skew, with gaps between its records, of FLAC or of format 8.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from san.codec.decoder import Decoder
from san.dataset_readers.rates import Signals
from san.files import edf, streams, wfdb_reading
from san.files.physical import annotations_of, physical_parts
from san.signals import Annotations, Array, groups_of
from san.wfdb_records.formats import byte_count, unpack
from san.wfdb_records.header import FLAC, NO_SIGNAL, Header
from san.wfdb_records.record import physical, read_header
from san.wfdb_records.samples import signals_in

LARGEST_WHOLE = 1 << 26  # bytes of a file that is read whole
BLOCK = 1 << 16  # samples of a file without chunks that are read together
_GROUPS = {"212": 2, "310": 3, "311": 3}  # samples that share bytes


Found = tuple[Signals, Mapping[str, Annotations]]


def of_stream(
    path: Path, fs: float | None, annotations: bool, cache_megabytes: float
) -> Found | None:
    """The signals of a stream, whatever its size: its chunks are decoded when they are asked for.

    The stream itself is held in memory if it has up to 64 MB, and then so many megabytes of the
    chunks that were decoded last, too.
    """
    with open(path, "rb") as file:
        decoder = Decoder(file)  # which finds a dictionary that an archive keeps
        info, dictionary = decoder.info, decoder.dictionary
        kept = {
            name: decoder.attachment(name)
            for name, size in info.attachments.items()
            if not name.startswith(streams.OTHERS) and (annotations or size <= 1 << 16)
        }
        if any(name.startswith(streams.OTHERS) for name in info.attachments):
            return None
        exact, block = streams.is_exact(info), decoder.header.chunk_samples
    head = kept.get(wfdb_reading.ROOT + wfdb_reading.HEADER)
    if wfdb_reading.UNSHIFTED in kept or b"+D" in kept.get(edf.HEADER, b"")[192:236]:
        return None
    if head is not None and wfdb_reading.attached_headers(kept).header.segments is not None:
        return None
    array = Array(np.zeros((0, *info.shape[1:]), info.dtype), info.fs, info.units, info.names, kept)
    small = path.read_bytes() if path.stat().st_size <= LARGEST_WHOLE else None
    held = None
    if small is not None:
        held = Decoder(small, dictionary=dictionary, cache_megabytes=cache_megabytes)

    def read(first: int, last: int) -> np.ndarray:
        if held is not None:
            raw = held.read(first, last)
        else:
            with open(path, "rb") as file:
                raw = Decoder(file, dictionary=dictionary, cache_megabytes=0).read(first, last)
        return physical_parts(replace(array, x=raw), exact)[0].x

    said = physical_parts(array, exact)[0]
    notes = annotations_of(array, str(path)) if annotations else {}
    return Signals(info.fs or fs, said.units, said.names, info.shape[0], read, block), notes


def of_record(record: Path, annotations: bool) -> Found | None:
    """The signals of a WFDB record whose files are large."""
    content, header = read_header(record)
    lines = [s for s in header.signals if s.code != NO_SIGNAL]
    plain = header.segments is None and header.frames is not None and bool(lines)
    if not plain or any(
        s.skew or s.samples_per_frame != 1 or s.code in FLAC or s.code == "8" for s in lines
    ):
        return None
    if not all((record.parent / file).is_file() for file in header.files):
        return None  # its name may be in capitals
    if sum((record.parent / file).stat().st_size for file in header.files) <= LARGEST_WHOLE:
        return None

    def read(first: int, last: int) -> np.ndarray:
        x = np.empty((last - first, len(lines)))
        for file in header.files:
            own = [number for number, line in enumerate(lines) if line.file == file]
            raw = _frames(record.parent / file, header, file, first, last)
            for column, number in zip(raw.T, own, strict=True):
                x[:, number] = physical(column, lines[number])
        return x

    notes = {}
    if annotations:
        root, left_out = wfdb_reading.ROOT, list[str]()
        attached = {root + wfdb_reading.HEADER: content}
        attached |= wfdb_reading.annotations_of(
            root, record, {file.lower() for file in header.files}, left_out
        )
        notes = annotations_of(Array(np.zeros(0), header.fs, attachments=attached), str(record))
    names, units = (tuple(getattr(s, of) for s in lines) for of in ("description", "units"))
    assert header.frames is not None
    return Signals(header.fs, units, names, header.frames, read, BLOCK), notes


def _frames(path: Path, header: Header, file: str, first: int, last: int) -> np.ndarray:
    """Frames first ... last - 1 of a signal file: int32 (frames, signals)."""
    signals = signals_in(header, file)
    code, each = signals[0].code, len(signals)
    begin = first * each
    begin -= begin % _GROUPS.get(code, 1)
    samples = last * each - begin
    with open(path, "rb") as data:
        data.seek(signals[0].offset + byte_count(code, begin))
        content = data.read(byte_count(code, samples))
    return unpack(content, code, samples)[first * each - begin :].reshape(-1, each)


def of_edf(path: Path, annotations: bool) -> Found | None:
    """The signals of an EDF or BDF file that is large; with annotations it is read whole."""
    if annotations or path.stat().st_size <= LARGEST_WHOLE:
        return None
    with open(path, "rb") as file:
        fixed = file.read(256)
        if not fixed[184:192].strip().isdigit():
            return None  # `san.read` says what is wrong
        layout = edf.layout_of(fixed + file.read(int(fixed[184:192]) - 256))
    left = path.stat().st_size - len(layout.header)
    records = left // layout.record
    groups = groups_of([layout.samples[c] for c in layout.signals])
    if len(groups) != 1 or b"+D" in fixed[192:236] or left % layout.record:
        return None
    each = layout.samples[layout.signals[0]]
    try:
        seconds = float(fixed[244:252])
    except ValueError:
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    labels = [layout.header[256 + 16 * c :][:16].decode("latin-1").rstrip() for c in layout.signals]
    array = Array(
        np.zeros((0, len(labels)), np.int16), each / seconds, (), tuple(labels),
        {edf.HEADER: layout.header},
    )  # fmt: skip

    def read(first: int, last: int) -> np.ndarray:
        begin, end = first // each, -(-last // each)
        with open(path, "rb") as file:
            file.seek(len(layout.header) + begin * layout.record)
            content = layout.header + file.read((end - begin) * layout.record)
        columns = edf.columns_in(content, layout._replace(records=end - begin))
        raw = np.stack([columns[c] for c in layout.signals], axis=1)
        part = raw[first - begin * each : last - begin * each]
        return physical_parts(replace(array, x=part), True)[0].x

    said = physical_parts(array, True)[0]
    return Signals(array.fs, said.units, said.names, records * each, read, BLOCK), {}
