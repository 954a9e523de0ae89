"""What the padding of an array's chunk is, and how it is stored before the chunk's stream.

Where an array's length is no multiple of its chunks, its last chunk is padded with one value.
FORMAT.md describes the bytes ("Chunks of arrays").
"""

import math
import zlib
from typing import Any, NamedTuple

import numpy as np

from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream
from san.codec.file_format.limits import Limits

PADDED = 4  # bit of a chunk's first byte; that of a stream is 0x93
_MOST_VALUES = Limits().chunk_values  # of the padding: a few bytes stand for all of them
_MOST_AXES = 63  # besides time: NumPy has 64
_SHORTEST_RUN = 2  # samples of a value that is neither 0 nor the fill value: one is no run


class Padding(NamedTuple):
    """A value that fills the end of a chunk, along time and along the other axes."""

    samples: int  # along time, left out of the stream
    sizes: tuple[int, ...]  # of the other axes; empty where none of them is padded
    kept: tuple[int, ...]  # of each of these sizes, what is no padding
    value: bytes  # little-endian, as the chunk's dtype has it

    @property
    def head(self) -> bytes:
        """The bytes before the stream."""
        pairs = zip(self.sizes, self.kept, strict=True)
        fields = [self.samples, len(self.sizes), *(number for pair in pairs for number in pair)]
        body = b"".join(map(write_varint, fields)) + bytes([len(self.value)]) + self.value
        return bytes([PADDED]) + body + zlib.crc32(body).to_bytes(4, "little")

    def restored(self, y: np.ndarray) -> np.ndarray:
        """The chunk, (n,) or (n, channels), from what its stream holds.

        Raises
        ------
        CorruptStream
            If the padding is not that of such samples.
        """
        channels = math.prod(y.shape[1:])
        if len(self.value) != y.dtype.itemsize or math.prod(self.sizes or (channels,)) != channels:
            raise CorruptStream("the padding of the chunk does not fit its samples")
        if self.samples * channels > _MOST_VALUES:
            raise CorruptStream(f"a chunk cannot have {self.samples} samples of padding")
        value = np.frombuffer(self.value, y.dtype.newbyteorder("<"))[0]
        sizes = self.sizes or y.shape[1:]
        inside = (slice(len(y)), *map(slice, self.kept))
        whole = np.full((len(y) + self.samples, *sizes), value, y.dtype)
        whole[inside] = y.reshape(len(y), *sizes)[inside]
        return whole.reshape(len(whole), *y.shape[1:])


def find_padding(x: np.ndarray, fill: Any = None) -> Padding | None:
    """The padding of a chunk whose first axis is time; None if it has none.

    Parameters
    ----------
    x : array (n, ...)
        Native byte order.
    fill : scalar, optional
        The fill value of the array, if it is known: nothing else is padding. Otherwise a run of
        zeros at the end is, or of two or more samples of any other value.

    Notes
    -----
    NaN and infinities are gaps of the stream, and so they are no padding here.

    Examples
    --------
    >>> find_padding(np.array([5, 7, 0, 0]))
    Padding(samples=2, sizes=(), kept=(), value=b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00')
    >>> find_padding(np.array([5, 7, 0, 0]), fill=1) is None
    True
    """
    if not x.size:
        return None
    value = x[(-1,) * x.ndim]
    if not np.isfinite(value):
        return None
    bits = value.tobytes()
    if fill is not None and np.asarray(fill).astype(x.dtype).tobytes() != bits:
        return None
    pattern = f"u{x.dtype.itemsize}"
    rest = np.ascontiguousarray(x).view(pattern) != np.frombuffer(bits, pattern)[0]
    ends = []
    for axis in range(x.ndim):
        others = tuple(other for other in range(x.ndim) if other != axis)
        ends.append(int(np.flatnonzero(rest.any(axis=others)).max(initial=-1)) + 1)
    samples, kept = len(x) - ends[0], tuple(ends[1:])
    sizes = x.shape[1:]
    if not ends[0] or kept == sizes:
        sizes = kept = ()
    short = fill is None and value != 0 and samples < _SHORTEST_RUN
    left_out = samples * math.prod(x.shape[1:])
    if (short and not sizes) or left_out > _MOST_VALUES or not (samples or sizes):
        return None
    return Padding(samples, sizes, kept, value.astype(x.dtype.newbyteorder("<")).tobytes())


def split_padding(chunk: bytes) -> tuple[Padding | None, bytes]:
    """The padding that stands before a chunk's stream, and the stream.

    Raises
    ------
    CorruptStream
        If the chunk begins as one with padding, and its padding cannot be read.
    """
    if chunk[:1] != bytes([PADDED]):
        return None, chunk
    fields = Fields(chunk, 1)
    samples, axes = fields.varint(), fields.varint()
    if axes > _MOST_AXES:
        raise CorruptStream(f"a chunk cannot have {axes} axes")
    pairs = [(fields.varint(), fields.varint()) for _ in range(axes)]
    value = fields.take(fields.byte())
    body = chunk[1 : fields.position]
    if fields.take(4) != zlib.crc32(body).to_bytes(4, "little"):
        raise CorruptStream("the CRC32 of the padding of a chunk does not agree")
    if any(not 0 < kept <= size for size, kept in pairs):
        raise CorruptStream("the padding of a chunk is larger than the chunk")
    sizes, kept = tuple(size for size, _ in pairs), tuple(kept for _, kept in pairs)
    return Padding(samples, sizes, kept, value), chunk[fields.position :]
