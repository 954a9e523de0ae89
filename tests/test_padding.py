"""Padding of chunks: it comes back exactly, and does not count in a PRDN; damage is refused."""

import math

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import san
from san.codec.errors import CodecError
from san.codec.ndarray import ChunkCoding
from san.codec.padding import PADDED, find_padding, split_padding
from san.numcodecs import SAN

WAVE = 200 * np.sin(np.arange(1000) / 9)
CONFIGURATION = {"prdn": 8, "events": False}


def stored(x, chunks, fill, **configuration):
    return zarr.create_array(
        {}, data=x, chunks=chunks, fill_value=fill, compressors=None,
        serializer={"name": "san", "configuration": {"events": False} | configuration},
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", ">i4"])
@pytest.mark.parametrize("length", [601, 650, 1000])
@pytest.mark.parametrize(
    ("offset", "fill"), [(0, 0), (1024, 0), (90_000, 0), (1000, -32768), (1024, 1024)]
)
def test_the_last_chunk_of_an_array_keeps_its_prdn(offset, fill, length, dtype):
    x = (WAVE + offset).round().astype(dtype)[:length]
    y = stored(x, (600,), fill, prdn=8)[:]
    for part in (slice(600), slice(600, None)):
        assert san.prdn(x[part].astype(float), y[part].astype(float)) <= 8


def test_a_fill_value_of_nan():
    x = (WAVE + 1024).astype("f4")
    y = stored(x, (600,), np.nan, prdn=8)[:]
    assert san.prdn(x[600:].astype(float), y[600:].astype(float)) <= 8


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("configuration", [{"prdn": 8}, {"max_error": 30}, {"bits_per_sample": 14}])
def test_padding_of_every_axis_is_exact_after_the_array_has_grown(axis, configuration):
    x = (WAVE[:720] + 5000).round().astype("i2").reshape(20, 6, 6)
    x = np.moveaxis(x, 0, axis)
    chunks = tuple(16 if n == 20 else 4 for n in x.shape)
    array = stored(x, chunks, 7, axis=axis, **configuration)
    array.resize(tuple(32 if n == 20 else 8 for n in x.shape))
    y = array[:]
    outside = np.ones(y.shape, bool)
    outside[tuple(map(slice, x.shape))] = False
    assert (y[outside] == 7).all() and (y[~outside] != 7).any()


def test_a_size_is_that_of_the_whole_chunk():
    x = np.random.default_rng(0).normal(0, 100, 2000).round().astype("i2")
    for length in (1001, 1400, 2000):
        coding = ChunkCoding(bits_per_sample=2, events=False)
        chunk = np.zeros(1000, "i2")
        chunk[: length - 1000] = x[1000:length]
        assert len(coding.encode_array(chunk, 0)) <= 2 * 1000 / 8


def test_a_chunk_of_padding_alone():
    coding = ChunkCoding(prdn=8, events=False)
    for shape in ((50,), (50, 3)):
        x = np.full(shape, 9, "i2")
        chunk = coding.encode_array(x, 9)
        assert np.array_equal(coding.decode_array(chunk, shape, x.dtype), x)


@pytest.mark.parametrize("length", [601, 602, 700])
@pytest.mark.parametrize("fill", [0, -32768])
@pytest.mark.parametrize("dtype", ["i4", "f4", ">f8"])
def test_zarr_2_and_numcodecs(fill, length, dtype):
    x = (WAVE + 30_000).round().astype(dtype)[:length]
    array = zarr.create_array(
        {}, data=x, chunks=(600,), fill_value=fill, zarr_format=2, filters=None,
        compressors=numcodecs.get_codec({"id": "san", **CONFIGURATION}),
    )  # fmt: skip
    y = array[:]
    assert san.prdn(x[600:].astype(float), y[600:].astype(float)) <= 8


VALUES = st.sampled_from([0.0, 1.0, 2.5, -3.0, np.nan, np.inf, -0.0])
FILLS = st.sampled_from([None, 0, 1, 2.5, np.nan])


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3).flatmap(
        lambda shape: st.tuples(
            st.just(shape),
            st.lists(VALUES, min_size=math.prod(shape), max_size=math.prod(shape)),
        )
    ),
    FILLS,
)
def test_padding_is_split_off_and_restored(shaped, fill):
    shape, values = shaped
    x = np.array(values, np.float32).reshape(shape)
    padding = find_padding(x, fill)
    if padding is None:
        return
    found, stream = split_padding(padding.head + b"\x93 the stream")
    assert found == padding and stream == b"\x93 the stream"
    kept = x[: len(x) - padding.samples].copy()
    y = padding.restored(kept.reshape(len(kept), *([math.prod(shape[1:])] if shape[1:] else [])))
    assert y.reshape(shape).tobytes() == x.tobytes()


def test_without_loss_a_chunk_is_a_plain_stream():
    for codec in (SAN(lossless=True), SAN(max_error=0)):
        assert codec.encode(np.zeros(90, "i2"))[0] == 0x93


@pytest.mark.parametrize("shape", [(300,), (100, 3)], ids=str)
def test_every_flipped_bit_of_padding_raises(shape):
    x = (WAVE[:300] + 100).round().astype("i2").reshape(shape)
    x[-40:] = 0
    if x.ndim > 1:
        x[:, -1] = 0
    codec = SAN(max_error=2, events=False)
    chunk = codec.encode(x)
    assert chunk[0] == PADDED
    _, stream = split_padding(chunk)
    for bit in range(8, 8 * (len(chunk) - len(stream))):
        damaged = bytearray(chunk)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            codec.decode(bytes(damaged))
    for length in range(len(chunk) - len(stream)):
        with pytest.raises(CodecError):
            codec.decode(chunk[:length])
