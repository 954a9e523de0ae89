"""The codec for zarr 3: a serializer, which zarr finds by its name, `san`.

zarr.create_array(..., serializer={"name": "san", "configuration": {...}}, compressors=None)
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from san.codec.ndarray import ChunkCoding

try:
    from zarr.abc.codec import ArrayBytesCodec
except ImportError:
    raise ImportError(
        "san.zarr needs zarr 3: pip install 'sparsely-activated-networks[zarr]'"
    ) from None

NAME = "san"


@dataclass(frozen=True, repr=False)
class SAN(ChunkCoding, ArrayBytesCodec):
    """A zarr 3 serializer for arrays of signals.

    Parameters
    ----------
    max_error, prdn, bits_per_sample, lossless, fs, axis, events, dictionary, effort
        As `san.codec.ndarray.ChunkCoding` takes them.

    Notes
    -----
    The target holds for each chunk: `prdn` is relative to the chunk's deviation. The fill value
    at the end of a chunk, as in the part of a last chunk that lies beyond the array, comes back
    exactly and does not count.

    If zarr writes a part of a chunk, it decodes the chunk, changes the part, and encodes it again.
    The target then holds for what was decoded: with `max_error`, each time may add as large an
    error to the samples that stay. Write and append whole chunks to have one error only.

    Examples
    --------
    >>> import zarr
    >>> x = np.rint(100 * np.sin(np.arange(20_000) / 30)).astype(np.int16)
    >>> ecg = zarr.create_array(
    ...     {}, data=x, chunks=5000, serializer=SAN(max_error=2, fs=250), compressors=None
    ... )
    >>> bool(np.abs(ecg[:] - x).max() <= 2)
    True
    """

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """A serializer from the metadata of an array."""
        if data.get("name") != NAME:
            raise ValueError(f"the serializer {data.get('name')!r} is not {NAME!r}")
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """The metadata that zarr stores with an array."""
        return {"name": NAME, "configuration": super().to_dict()}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse arrays that cannot be coded, when they are created."""
        self.check(dtype.to_native_dtype(), len(shape))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError("the size of a stream is known when it is encoded")

    def _encode_sync(self, chunk: Any, spec: Any) -> Any:
        return spec.prototype.buffer.from_bytes(
            self.encode_array(chunk.as_numpy_array(), spec.fill_value)
        )

    def _decode_sync(self, chunk: Any, spec: Any) -> Any:
        dtype: np.dtype = spec.dtype.to_native_dtype()
        x = self.decode_array(chunk.to_bytes(), spec.shape, dtype)
        return spec.prototype.nd_buffer.from_numpy_array(x)

    async def _encode_single(self, chunk: Any, spec: Any) -> Any:
        return await asyncio.to_thread(self._encode_sync, chunk, spec)

    async def _decode_single(self, chunk: Any, spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk, spec)
