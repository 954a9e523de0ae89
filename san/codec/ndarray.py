"""How a chunk of an array of any dimensions becomes a stream, and how that is configured.

The codecs for numcodecs and for zarr use this module. Time runs along one axis; all other axes
together are the channels. The configuration holds the dictionary, and the streams only name it.
"""

import base64
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any

import numpy as np

from san.codec.bank import DictionaryBank
from san.codec.decoder import decompress
from san.codec.dictionaries import DictionariesLike, DictionaryLike, find_dictionary
from san.codec.effort import Effort, checked_effort
from san.codec.encoder import encode
from san.codec.errors import CorruptStream
from san.codec.file_format.header import checked_fs
from san.codec.file_format.source import StreamLike
from san.codec.modes.dictionary import Dictionary, read
from san.codec.numbers.narrowing import narrowed, stream_dtype, widened
from san.codec.padding import find_padding, split_padding
from san.codec.target import Target


@dataclass(frozen=True, repr=False)
class ChunkCoding:
    """How the codec encodes every chunk of an array.

    Parameters
    ----------
    max_error, prdn, bits_per_sample, lossless
        The target, as `san.compress` takes it. It holds for each chunk.
    fs : float, optional
        Sampling rate in Hz. The length of kernels depends on it.
    axis : int
        The axis of time; all other axes together are channels.
    events : bool
        False to use no kernels.
    dictionary : Dictionary, path, or str, or DictionaryBank or list of these, optional
        Kernels that all chunks share, with as many channels as a chunk. A str is a path, or what
        `to_dict` returns. Without a dictionary, each chunk learns its own kernels and carries them.
        Of several, each chunk is coded with the two that are nearest and without one, and its
        smallest stream is kept.
    effort : "fast", "normal" or "best"
        How much time is spent on few bytes, as `san.compress` takes it.

    Raises
    ------
    TypeError, ValueError
        If no target or others together are given, or an option is of another type or out of its
        range.

    Examples
    --------
    >>> coding = ChunkCoding(max_error=2)
    >>> x = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    >>> y = coding.decode_array(coding.encode_array(x), x.shape, x.dtype)
    >>> y.shape, int(np.abs(y - x).max()) <= 2
    ((2, 3, 4), True)
    >>> coding.to_dict()
    {'max_error': 2}
    """

    max_error: float | None = None
    prdn: float | None = None
    bits_per_sample: float | None = None
    lossless: bool = False
    fs: float | None = None
    axis: int = 0
    events: bool = True
    dictionary: DictionariesLike | None = None
    effort: Effort = "normal"

    def __post_init__(self) -> None:
        for name in ("lossless", "events"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        for name in ("max_error", "prdn", "bits_per_sample", "fs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, NoneType)):
                raise TypeError(f"{name} must be a number, got {value!r}")
        _ = self.target, checked_fs(self.fs)  # raise ValueError
        if isinstance(self.axis, bool) or not isinstance(self.axis, int):
            raise TypeError(f"axis must be an integer, got {self.axis!r}")
        checked_effort(self.effort)  # raises ValueError
        if self.dictionary is not None:
            found = _dictionaries(self.dictionary)
            object.__setattr__(self, "dictionary", found)

    @property
    def target(self) -> Target:
        """What every chunk is held to."""
        return Target.of(
            max_error=self.max_error,
            prdn=self.prdn,
            lossless=self.lossless,
            bits_per_sample=self.bits_per_sample,
        )

    def __repr__(self) -> str:
        said = (f"{name}={value!r}" for name, value in self._given().items())
        return f"{type(self).__name__}({', '.join(said)})"

    def _given(self) -> dict[str, Any]:
        """The options that differ from the defaults."""
        found = {field: getattr(self, field.name) for field in fields(ChunkCoding)}
        return {f.name: value for f, value in found.items() if value != f.default}

    def to_dict(self) -> dict[str, Any]:
        """The options that differ from the defaults, as JSON holds them."""
        found = self._given()
        if isinstance(self.dictionary, Dictionary):
            found["dictionary"] = _as_text(self.dictionary)
        if isinstance(self.dictionary, DictionaryBank):
            found["dictionary"] = [_as_text(each) for each in self.dictionary]
        return found

    def check(self, dtype: np.dtype, dimensions: int) -> None:
        """Raise TypeError or ValueError if arrays of this kind cannot be coded."""
        stream_dtype(dtype)  # raises TypeError
        if dtype.kind == "f" and dtype.itemsize == 2 and not self.target.exact:
            raise TypeError(
                "float16 is coded without loss only, because rounding adds to an error: take "
                "lossless=True, or x.astype(np.float32)"
            )
        if not -dimensions <= self.axis < dimensions:
            raise ValueError(
                f"axis {self.axis} does not exist in an array of {dimensions} dimensions"
            )

    def encode_array(self, x: np.ndarray, fill: Any = None) -> bytes:
        """The bytes of a chunk: its padding, if it has any, and its stream.

        Padding is a run of the fill value at the end of the chunk. It comes back exactly and does
        not count in a PRDN. Without loss, the stream holds everything.

        Parameters
        ----------
        x : array
            Of a dtype that `san.compress` takes. int64, uint32, uint64, bool and float16 are coded
            in a dtype that holds their values.
        fill : scalar, optional
            The fill value of the array, if it is known.

        Raises
        ------
        TypeError, ValueError
            If such arrays cannot be coded, or a value does not fit int32.
        """
        self.check(x.dtype, x.ndim)
        moved = narrowed(np.moveaxis(x, self.axis, 0))
        moved = moved.astype(moved.dtype.newbyteorder("="), copy=False)
        target, head, kept = self.target, b"", moved
        padding = None if target.exact else find_padding(moved, fill)
        if padding is not None:
            head, kept = padding.head, moved[: len(moved) - padding.samples]
            target = _without(target, len(head), moved.size, kept.size)
        shape = (len(kept),) if x.ndim == 1 else (len(kept), math.prod(moved.shape[1:]))
        samples, given = kept.reshape(shape), self.dictionary
        tried = [given if isinstance(given, Dictionary) else None]
        if isinstance(given, DictionaryBank):
            tried += given.nearest(samples, self.fs)
        streams = [
            encode(
                samples,
                target,
                self.fs,
                dictionary=dictionary,
                embed_dictionary=dictionary is None,
                short_name=True,  # the array's metadata hold the dictionary
                events=self.events,
                effort=self.effort,
            )
            for dictionary in tried
        ]
        return head + min(streams, key=len)

    def decode_array(
        self, stream: StreamLike, shape: tuple[int, ...], dtype: np.dtype
    ) -> np.ndarray:
        """The chunk of a stream, with this shape and dtype.

        Raises
        ------
        CodecError
            If the stream is corrupt, or holds another shape or dtype.
        """
        y = self.decode_stream(stream)
        moved = list(shape)
        first = moved.pop(self.axis)
        expected = (first,) if not moved else (first, math.prod(moved))
        whole = widened(y, dtype)
        if y.shape != expected or whole is None:
            raise CorruptStream(
                f"the chunk is {y.shape} {y.dtype}, and must be {expected} {dtype.name}"
            )
        return np.moveaxis(whole.reshape(first, *moved), 0, self.axis)

    def decode_stream(self, chunk: StreamLike) -> np.ndarray:
        """The samples of a chunk with its padding, (n,) or (n, channels)."""
        if not isinstance(chunk, bytes):
            return decompress(chunk, dictionary=self.dictionary)
        padding, stream = split_padding(chunk)
        y = decompress(stream, dictionary=self.dictionary)
        return y if padding is None else padding.restored(y)


def _without(target: Target, head: int, whole: int, kept: int) -> Target:
    """The target of what is left of a chunk: a size is that of the whole chunk."""
    if target.bits_per_sample is None or not kept:
        return target
    bits = target.bits_per_sample * whole - 8 * head
    return Target(bits_per_sample=max(bits, 1) / kept)


def _as_text(dictionary: Dictionary) -> str:
    return base64.b64encode(dictionary.data).decode()


def _dictionaries(source: DictionariesLike) -> Dictionary | DictionaryBank:
    """The dictionaries of a configuration."""
    if isinstance(source, (Dictionary, str, os.PathLike)) or not isinstance(source, Iterable):
        return _dictionary(source)
    return DictionaryBank(_dictionary(each) for each in source)


def _dictionary(source: DictionaryLike) -> Dictionary:
    """The dictionary of a configuration, which holds it or its path."""
    if isinstance(source, str):
        try:
            data = base64.b64decode(source, validate=True)
        except ValueError:
            return find_dictionary(source)
        try:
            return read(data)
        except ValueError:
            return find_dictionary(source)
    return find_dictionary(source)
