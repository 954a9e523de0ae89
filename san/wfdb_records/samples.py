"""How a WFDB record's signal files become integers, and integers the bytes of the same files.

Signals are as their file has them: a skew is not undone, a checksum is of these samples. A signal
has `samples_per_frame` samples in each frame. Files are taken one at a time.
"""

from collections.abc import Sequence

import numpy as np

from san.wfdb_records.flac import read_flac, write_flac
from san.wfdb_records.formats import (
    BITS,
    byte_count,
    invalid_sample,
    pack,
    unpack,
    value_range,
)
from san.wfdb_records.header import FLAC, Header, SignalLine


def invalid_of(signal: SignalLine) -> int | None:
    """The integer that says that a sample of this signal is invalid, if its format has one."""
    if signal.code in FLAC:
        return -(1 << (FLAC[signal.code] - 1))
    return invalid_sample(signal.code)


def range_of(signal: SignalLine) -> tuple[int, int]:
    """The lowest and the highest integer that a signal's format holds; of format 8, any int32."""
    if signal.code in FLAC:
        half = 1 << (FLAC[signal.code] - 1)
        return -half, half - 1
    return (-(1 << 31), (1 << 31) - 1) if signal.code == "8" else value_range(signal.code)


def signals_in(header: Header, file: str) -> list[SignalLine]:
    """The signals of one file, checked to be of one format, as header(5) has it."""
    signals = [s for s in header.signals if s.file == file and s.code != "0"]
    if len({(s.code, s.offset) for s in signals}) != 1:
        raise ValueError(f"the signals of {file} have several formats or offsets: one file has one")
    return signals


def frames_in(data: bytes, header: Header, file: str) -> int:
    """How many frames a file holds: what the header says, or as many as there are bytes for."""
    signals = signals_in(header, file)
    code, offset = signals[0].code, signals[0].offset
    if header.frames is not None:
        return header.frames
    if code in FLAC:
        return (len(read_flac(data, signals)) - offset) // signals[0].samples_per_frame
    each = sum(s.samples_per_frame for s in signals)
    bits = {"212": 12, "310": 32 / 3, "311": 32 / 3}.get(code) or BITS[code]
    frames = int(8 * max(0, len(data) - offset) // (bits * each))
    while frames and offset + byte_count(code, frames * each) > len(data):
        frames -= 1
    return frames


def samples_end(header: Header, file: str, frames: int) -> int | None:
    """Where the bytes of a file's samples end; None of a FLAC file, which is one whole."""
    signals = signals_in(header, file)
    if signals[0].code in FLAC:
        return None
    samples = frames * sum(s.samples_per_frame for s in signals)
    return signals[0].offset + byte_count(signals[0].code, samples)


def unpack_file(data: bytes, header: Header, file: str, frames: int) -> list[np.ndarray]:
    """The signals of a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    header : Header
    file : str
        Its name in the header.
    frames : int

    Returns
    -------
    list of int32 (frames * samples_per_frame,)
        In the order of the header's lines.

    Raises
    ------
    ValueError
        If the file is shorter than that, is no FLAC file and should be one, or a signal does not
        agree with the header's checksum.
    """
    signals = signals_in(header, file)
    code, offset = signals[0].code, signals[0].offset
    counts = [s.samples_per_frame for s in signals]
    if code in FLAC:
        x = read_flac(data, signals)[offset:]
        per_frame = counts[0]
        if len(x) < frames * per_frame:
            raise ValueError(
                f"{file} holds {len(x) // per_frame} frames, and the header says {frames}"
            )
        found = [np.ascontiguousarray(column) for column in x[: frames * per_frame].T]
    else:
        needed = offset + byte_count(code, frames * sum(counts))
        if len(data) < needed:
            raise ValueError(f"{file} has {len(data)} bytes, and the header needs {needed}")
        rows = unpack(data[offset:needed], code, frames * sum(counts)).reshape(frames, sum(counts))
        ends = np.cumsum(counts)
        found = [
            np.ascontiguousarray(rows[:, end - count : end]).reshape(-1)
            for count, end in zip(counts, ends, strict=True)
        ]
        if code == "8":
            found = [
                (np.cumsum(x, dtype=np.int64) + s.initial).astype(np.int32)
                for x, s in zip(found, signals, strict=True)
            ]
    _check_sums(found, signals, file, stated=header.frames is not None)
    return found


def pack_file(x: Sequence[np.ndarray], header: Header, file: str) -> bytes:
    """The bytes of a file's samples, without what stands before and after them.

    Parameters
    ----------
    x : sequence of integers (frames * samples_per_frame,)
        The signals of the file, in the order of the header's lines.
    header : Header
    file : str

    Returns
    -------
    bytes
        Of a FLAC file, all of it. Bits that no sample uses are zero.

    Raises
    ------
    ValueError
        If a sample is beyond the format, or the differences of format 8 are.
    """
    signals = signals_in(header, file)
    code = signals[0].code
    if code in FLAC:
        return write_flac(np.stack(x, axis=1), code)
    columns = []
    for samples, signal in zip(x, signals, strict=True):
        values = np.asarray(samples, np.int64)
        if code == "8":
            values = np.diff(values, prepend=signal.initial)
        columns.append(values.reshape(-1, signal.samples_per_frame))
    return pack(np.concatenate(columns, axis=1).reshape(-1), code)


def checksum_of(x: np.ndarray) -> int:
    """The checksum of a signal as headers state it, 0 ... 65,535."""
    return int(x.sum(dtype=np.int64)) & 0xFFFF


def _check_sums(
    found: list[np.ndarray], signals: list[SignalLine], file: str, stated: bool
) -> None:
    """Compare with the header's checksums; a header without a length may have zeros for them."""
    for number, (x, signal) in enumerate(zip(found, signals, strict=True)):
        if signal.checksum is None or (signal.checksum == 0 and not stated):
            continue
        if (checksum_of(x) - signal.checksum) & 0xFFFF:
            name = signal.description or f"number {number}"
            raise ValueError(
                f"{file} is corrupt: the checksum of its signal {name} is {checksum_of(x)}, and "
                f"the header says {signal.checksum & 0xFFFF}: get the file again, or "
                "correct the header if the samples are right"
            )
