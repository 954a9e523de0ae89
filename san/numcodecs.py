"""The codec for numcodecs, which finds it by its name: `numcodecs.get_codec({"id": "san", ...})`.

If time is the first axis of a chunk in memory, its bytes are a plain stream. Otherwise one byte
comes before the stream: it says whether time is the last axis, whether the bytes are swapped, and
whether padding follows, as before a chunk of zarr.
"""

import dataclasses
from typing import Any

import numpy as np

from san.codec.dictionaries import DictionariesLike
from san.codec.effort import Effort
from san.codec.errors import CorruptStream
from san.codec.ndarray import ChunkCoding
from san.codec.numbers.narrowing import widened
from san.codec.padding import PADDED

try:
    from numcodecs.abc import Codec
    from numcodecs.compat import ensure_bytes, ensure_ndarray, ndarray_copy
except ImportError:
    raise ImportError(
        "san.numcodecs needs numcodecs: pip install 'sparsely-activated-networks[zarr]'"
    ) from None

_TIME_LAST, _SWAPPED, _NARROWED = 1, 2, 8  # bits of a chunk's first byte; 0x93 is a stream's
_DTYPES = tuple(map(np.dtype, ("bool", "uint32", "int64", "uint64", "float16")))  # after bit 8


class SAN(Codec):
    """A numcodecs codec for arrays of signals.

    Parameters
    ----------
    max_error, prdn, bits_per_sample, lossless, fs, axis, events, dictionary, effort
        As `san.codec.ndarray.ChunkCoding` takes them; axis is the first or the last.

    Notes
    -----
    numcodecs does not say which value fills a chunk behind the end of an array. So the zeros at
    the end of a chunk, or two or more samples of any other value there, come back exactly and do
    not count in a PRDN.

    Examples
    --------
    >>> import numcodecs
    >>> codec = numcodecs.get_codec({"id": "san", "max_error": 0.5})
    >>> x = np.rint(100 * np.sin(np.arange(2000).reshape(2, 1000) / 30)).astype(np.float32)
    >>> y = codec.decode(codec.encode(x)).reshape(x.shape)
    >>> bool(np.abs(y - x).max() <= 0.5)
    True
    """

    codec_id = "san"

    def __init__(
        self,
        *,
        max_error: float | None = None,
        prdn: float | None = None,
        bits_per_sample: float | None = None,
        lossless: bool = False,
        fs: float | None = None,
        axis: int = 0,
        events: bool = True,
        dictionary: DictionariesLike | None = None,
        effort: Effort = "normal",
    ) -> None:
        self._coding = ChunkCoding(
            max_error, prdn, bits_per_sample, lossless, fs, axis, events, dictionary, effort
        )
        if self._coding.axis not in (0, -1):
            raise ValueError(f"axis must be 0 or -1, got {self._coding.axis}")

    def get_config(self) -> dict[str, Any]:
        """The configuration as JSON holds it, with the dictionary."""
        return {"id": self.codec_id, **self._coding.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SAN":
        return cls(**config)

    def __repr__(self) -> str:
        return repr(self._coding).replace("ChunkCoding", "SAN", 1)

    def encode(self, buf: Any) -> bytes:
        """The chunk's stream.

        Parameters
        ----------
        buf : array-like
            With any number of dimensions, in C or Fortran order, of a dtype for `san.compress`.
        """
        x = ensure_ndarray(buf)
        self._coding.check(x.dtype, x.ndim)
        last = self._coding.axis in (-1, x.ndim - 1) and x.ndim > 1
        memory = x
        if x.flags.f_contiguous and not x.flags.c_contiguous:
            memory, last = x.T, not last
        swapped = not x.dtype.isnative
        if swapped:
            memory = memory.astype(x.dtype.newbyteorder("="))
        coding = dataclasses.replace(self._coding, axis=-1 if last else 0)
        flags, dtype = _TIME_LAST * last + _SWAPPED * swapped, b""
        if memory.dtype in _DTYPES:
            flags, dtype = flags | _NARROWED, bytes([_DTYPES.index(memory.dtype)])
        chunk = coding.encode_array(memory)
        if chunk[0] == PADDED:
            return bytes([flags | PADDED]) + dtype + chunk[1:]
        return bytes([flags]) * (flags > 0) + dtype + chunk

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The bytes of the array that was encoded, as they were in memory.

        Raises
        ------
        CodecError
            If it is corrupt.
        """
        data = ensure_bytes(buf)
        flags = data[0] if data and data[0] < 128 else 0
        if flags > (_TIME_LAST | _SWAPPED | PADDED | _NARROWED):
            raise CorruptStream(f"a chunk cannot begin with the byte {flags}")
        number = data[1] if flags & _NARROWED and len(data) > 1 else 0
        if number >= len(_DTYPES):
            raise CorruptStream(f"a chunk cannot have dtype {number}")
        if flags:
            begin = 2 if flags & _NARROWED else 1
            data = bytes([PADDED]) * bool(flags & PADDED) + data[begin:]
        y = self._coding.decode_stream(data)
        if flags & _NARROWED:
            whole = widened(y, _DTYPES[number])
            if whole is None:
                raise CorruptStream(f"the chunk is {y.dtype}, and must hold {_DTYPES[number]}")
            y = whole
        y = np.ascontiguousarray(y.T) if flags & _TIME_LAST else y
        return ndarray_copy(y.byteswap() if flags & _SWAPPED else y, out)
