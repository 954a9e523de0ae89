"""The kernels of a coder: what a dictionary is, and its bytes.

A kernel of L samples in each of its channels has unit energy. Its wavelet coefficients are rounded
to a step and coded as those of a signal are; the kernels in use are what decodes from that. A file
holds `93 53 41 44`, a version (01), the dictionary's bytes and their CRC32.
"""

import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from san import storage
from san.codec.entropy.mixing import Mixer, new_mixer, new_state
from san.codec.entropy.range_coder import finish
from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream, UnsupportedVersion
from san.codec.modes import wavelet
from san.codec.modes.bands import Around, code_band
from san.codec.modes.ranges import MAX_KERNELS

MAGIC = b"\x93SAD"
VERSION = 1
SCALE = 14  # a kernel of unit energy has samples in 1/2**14
LEVELS = 5  # of their wavelet: L is a multiple of 32
PRECISION = 7
MAX_CHANNELS, MAX_LENGTH = 1024, 1 << 14
MAX_SAMPLES = 1 << 20  # of all kernels, of all channels of an excerpt
EMPTY = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Dictionary:
    """Kernels that streams share, and an excerpt from which a coder learns what is likely.

    Attributes
    ----------
    data : bytes
        All of it, as streams carry it.
    kernels : ndarray, shape (K, channels, L), int64
        In 1/2**14, each channel of unit energy. K may be 0.
    samples : int
        Of the excerpt, 0 without one.
    excerpt : bytes
        The excerpt, coded as a chunk is.
    teacher : Dictionary, optional
        Another dictionary with an excerpt, where this one has none: from that excerpt a coder
        learns what is likely. It is no part of data.

    Examples
    --------
    >>> import tempfile
    >>> dictionary = quantize(np.hanning(32)[None, None])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dictionary.save(folder + "/pulse.dictionary")
    ...     again = Dictionary.load(folder + "/pulse.dictionary")
    >>> again.kernels.shape, again.sha256 == dictionary.sha256
    ((1, 1, 32), True)
    """

    data: bytes
    kernels: np.ndarray
    samples: int = 0
    excerpt: bytes = b""
    teacher: "Dictionary | None" = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of data, which names the dictionary."""
        return hashlib.sha256(self.data).hexdigest()

    def __repr__(self) -> str:
        count, channels, length = self.kernels.shape
        shape = f"{count} kernels of {channels} × {length} samples"
        return f"Dictionary({shape}, {len(self.data)} bytes, SHA-256 {self.sha256[:12]}…)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the dictionary to a file, with a checksum."""
        checksum = struct.pack("<I", zlib.crc32(self.data))
        storage.write(Path(path), MAGIC + bytes([VERSION]) + self.data + checksum)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Dictionary":
        """Read a dictionary that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If the file is not there.
        CodecError
            If it is no such file, was damaged, or a newer release wrote it.
        """
        content = Path(path).read_bytes()
        begin = len(MAGIC) + 1
        if content[: len(MAGIC)] != MAGIC or len(content) < begin + 4:
            raise CorruptStream(f"{path} is no dictionary: save one with Dictionary.save")
        if content[len(MAGIC)] != VERSION:
            raise UnsupportedVersion(content[len(MAGIC)], (VERSION,))
        data, checksum = content[begin:-4], content[-4:]
        if struct.pack("<I", zlib.crc32(data)) != checksum:
            raise CorruptStream(f"{path} does not agree with its checksum")
        return read(data)


def middle_of(length: int) -> int:
    """The sample of a kernel that the position of an event names, from 0.

    Examples
    --------
    >>> middle_of(5), middle_of(6)
    (2, 2)
    """
    return max(0, length - 1) // 2


def quantize(kernels: np.ndarray, precision: int = PRECISION) -> Dictionary:
    """A dictionary of kernels, float (K, channels, L), rounded to steps of 2**-precision.

    L is a multiple of 32. Each channel of each kernel is scaled to unit energy.
    """
    count, channels, length = kernels.shape
    step = 1 << (SCALE + wavelet.FRACTION - precision)
    kernels = kernels / np.maximum(np.sqrt((kernels**2).sum(2, keepdims=True)), 1e-12)
    fixed = np.rint(kernels * (1 << (SCALE + wavelet.FRACTION))).astype(np.int64)
    bands = [wavelet.analyze(row, LEVELS) for row in fixed.reshape(-1, length)]
    q = [
        np.concatenate([np.rint(b[j] / step).astype(np.int64) for b in bands] or [EMPTY])
        for j in range(LEVELS + 1)
    ]
    mixer = new_mixer(kernels.size, None, new_state(kernels.size))
    _code(mixer, q)
    return assemble(channels, count, length, precision, finish(mixer.m, mixer.data))


def assemble(
    channels: int, count: int, length: int, precision: int, kernels: bytes,
    samples: int = 0, excerpt: bytes = b"",
) -> Dictionary:  # fmt: skip
    """A dictionary from its parts."""
    head = (channels, count, length >> LEVELS, precision, len(kernels))
    parts = [*map(write_varint, head), kernels, write_varint(samples), excerpt]
    return read(b"".join(parts))


def with_excerpt(dictionary: Dictionary, samples: int, excerpt: bytes) -> Dictionary:
    """The same kernels with another excerpt."""
    fields = Fields(dictionary.data)
    channels, count, length, precision, size = (fields.varint() for _ in range(5))
    kernels = fields.take(size)
    return assemble(channels, count, length << LEVELS, precision, kernels, samples, excerpt)


def no_kernels(channels: int) -> Dictionary:
    """A dictionary without a kernel, which may still have an excerpt."""
    return assemble(channels, 0, 1 << LEVELS, PRECISION, b"")


def sizes_of(data: bytes) -> tuple[int, int]:
    """The values that kernels and excerpt of a dictionary declare; neither is decoded."""
    fields = Fields(data)
    channels, count, length, _, size = (fields.varint() for _ in range(5))
    fields.take(size)
    return count * channels * (length << LEVELS), fields.varint() * channels


def precision_of(dictionary: Dictionary) -> int:
    """The precision that `quantize` rounded a dictionary's kernels to."""
    fields = Fields(dictionary.data)
    return [fields.varint() for _ in range(4)][3]


def read(data: bytes) -> Dictionary:
    """The dictionary of its bytes; raises CorruptStream."""
    fields = Fields(data)
    channels, count, length, precision, size = (fields.varint() for _ in range(5))
    if not 1 <= channels <= MAX_CHANNELS or count > MAX_KERNELS:
        raise CorruptStream(f"a dictionary of {count} kernels of {channels} channels")
    if not 1 <= length <= MAX_LENGTH >> LEVELS or precision > 15:
        raise CorruptStream(f"kernels of {length << LEVELS} samples in 1/2**{precision}")
    rows, length = count * channels, length << LEVELS
    if rows * length > MAX_SAMPLES:
        raise CorruptStream(f"a dictionary of {rows * length} samples, beyond {MAX_SAMPLES}")
    kernels = fields.take(size)
    q = [np.zeros(rows * n, np.int64) for n in wavelet.band_sizes(length, LEVELS)]
    _code(new_mixer(rows * length, kernels, new_state(rows * length)), q)
    if any(int(np.abs(band).max(initial=0)) >= 4 << precision for band in q):
        raise CorruptStream("a kernel has a coefficient beyond 4")
    step = 1 << (SCALE + wavelet.FRACTION - precision)
    drawn = [wavelet.synthesize([b.reshape(rows, -1)[i] * step for b in q]) for i in range(rows)]
    rounded = (np.array(drawn, np.int64).reshape(count, channels, length) + 128) >> 8
    samples = fields.varint()
    if samples > MAX_SAMPLES // channels:
        raise CorruptStream(f"a dictionary's excerpt of {samples} samples")
    excerpt = data[fields.position :]
    if samples == 0 and excerpt:
        raise CorruptStream("bytes after the end of a dictionary")
    return Dictionary(bytes(data), _with_unit_energy(rounded), samples, bytes(excerpt))


def _with_unit_energy(kernels: np.ndarray) -> np.ndarray:
    """Each channel of each kernel scaled to an energy of 1, in integers; zeros stay."""
    energy = (kernels * kernels).sum(2)
    factors = [math.isqrt((1 << (2 * SCALE + 32)) // max(1, int(e))) for e in energy.reshape(-1)]
    factor = np.array(factors, np.int64).reshape(*energy.shape, 1)
    return (kernels * factor + 32768) >> 16


def _code(mixer: Mixer, q: list[np.ndarray]) -> None:
    parent = grandparent = EMPTY
    for level, band in enumerate(q):
        code_band(mixer, band, EMPTY, 0, Around(parent, grandparent, EMPTY, EMPTY), level, 0)
        parent, grandparent = band if level else EMPTY, parent
