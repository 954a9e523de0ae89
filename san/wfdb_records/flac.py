"""How the FLAC files of WFDB records are read, and written so that they are the same files again.

A FLAC file is metadata and frames. Metadata name the encoder and are kept as bytes; frames are the
same where the encoder at hand makes the same ones at one of its levels.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from san.packages import need
from san.wfdb_records.header import FLAC, SignalLine

RATE = 96_000  # Hz, what wfdb writes into FLAC files; WFDB takes the rate from the header
LEVELS = range(9)  # from the fastest to the smallest
USUAL_LEVEL = 5
_BLOCK = 1 << 20  # samples of a channel read at once: libsndfile fails above 2**24 of all
_SUBTYPES = {"508": "PCM_S8", "516": "PCM_16", "524": "PCM_24"}


def read_flac(data: bytes, signals: Sequence[SignalLine]) -> np.ndarray:
    """The samples of a FLAC file: int32 (samples, channels).

    Raises
    ------
    ImportError
        If soundfile is not installed.
    ValueError
        If the file is no FLAC file, or not one of these signals.
    """
    need("soundfile")
    import soundfile

    file, code = signals[0].file, signals[0].code
    if len({s.samples_per_frame for s in signals}) != 1:
        raise ValueError(f"the signals of {file}, a FLAC file, have several rates")
    if data[:4] != b"fLaC":
        raise ValueError(f"{file} is not a FLAC file, which format {code} asks for")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}.get(sound.subtype, 99)
            if bits > FLAC[code] or sound.channels != len(signals):
                raise ValueError(
                    f"{file} has {sound.channels} channels of {sound.subtype}, and the header says "
                    f"{len(signals)} of {FLAC[code]} bits"
                )
            blocks = [
                block >> (32 - bits)
                for block in sound.blocks(_BLOCK, dtype="int32", always_2d=True)
            ]
    except soundfile.SoundFileError as error:
        words = str(error).rpartition("Error : ")[2]  # without the name of an open file
        raise ValueError(f"{file} cannot be read as FLAC: {words}") from error
    return np.concatenate(blocks) if blocks else np.zeros((0, len(signals)), np.int32)


def write_flac(x: np.ndarray, code: str, level: int = USUAL_LEVEL) -> bytes:
    """A FLAC file of samples.

    Parameters
    ----------
    x : integers (samples, channels)
    code : str
        The format, which says how many bits a sample has.
    level : int
        0, the fastest, to 8, the smallest.
    """
    need("soundfile")
    import soundfile

    bits = FLAC[code]
    target: Any = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", RATE, x.shape[1], _SUBTYPES[code], format="FLAC", compression_level=level / 8
    ) as sound:
        for begin in range(0, len(x), _BLOCK):
            part = x[begin : begin + _BLOCK].astype(np.int64) << (32 - bits)
            sound.write(part.astype(np.int32))
    return bytes(target.getvalue())


def split_flac(data: bytes) -> tuple[bytes, bytes]:
    """The metadata of a FLAC file, and its frames.

    Raises
    ------
    ValueError
        If the metadata do not end within the file.
    """
    end, is_last = 4, False
    while not is_last:
        if end + 4 > len(data):
            raise ValueError("the metadata of a FLAC file do not end within the file")
        is_last = bool(data[end] & 128)
        end += 4 + int.from_bytes(data[end + 1 : end + 4], "big")
    return data[:end], data[end:]


def level_of(data: bytes, x: np.ndarray, code: str) -> int | None:
    """The level at which the encoder at hand makes the frames of a file, None if at none."""
    frames = split_flac(data)[1]
    for level in sorted(LEVELS, key=lambda level: abs(level - USUAL_LEVEL)):
        if split_flac(write_flac(x, code, level))[1] == frames:
            return level
    return None
