"""Arrays of dtypes that streams do not have: equal values come back, or words name the way."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import san
from san.codec.errors import LimitExceeded
from san.codec.numbers.narrowing import NARROWER, narrowed

SHAPES = array_shapes(min_dims=1, max_dims=2, max_side=9)
COMES_BACK = {
    "list": ([1, -2, 3] * 50, "int16"),
    "list of rows": ([[1, 2], [3, 70_000], [5, 6]], "int32"),
    "int64": (np.arange(500), "int16"),
    "int64 beyond int16": (np.arange(500) * 1000, "int32"),
    "int64 to the ends of int32": (np.array([-(2**31), 2**31 - 1]), "int32"),
    "big-endian int64": (np.arange(500).astype(">i8"), "int16"),
    "uint32": (np.arange(500, dtype="u4"), "int16"),
    "uint64": (np.arange(500, dtype="u8") * 99, "int32"),
    "bool": (np.arange(500) % 3 == 0, "uint8"),
    "float16": (np.arange(500).astype("f2") / 8, "float32"),
    "no integer": (np.zeros(0, np.int64), "int16"),
    "int8": (np.arange(100, dtype="i1"), "int8"),
}


@pytest.mark.parametrize("name", COMES_BACK)
def test_equal_values_come_back(name):
    x, dtype = COMES_BACK[name]
    y = san.decompress(san.compress(x, fs=250, lossless=True))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x)


@given(st.sampled_from([*NARROWER]).flatmap(lambda name: arrays(name, SHAPES)))
def test_every_value_fits_or_is_named(x):
    try:
        found = narrowed(x)
    except ValueError as error:
        wrong = [v for v in (int(x.min()), int(x.max())) if not -(2**31) <= v < 2**31]
        assert str(wrong[-1]) in str(error) and "x.astype(np.float64)" in str(error)
        return
    assert found.dtype.name in NARROWER[x.dtype.name] and found.shape == x.shape
    np.testing.assert_array_equal(found.astype(x.dtype), x)
    np.testing.assert_array_equal(found, x)


def test_a_bound_holds_for_what_was_given():
    x = np.arange(2000) ** 2 % 997
    assert np.abs(san.decompress(san.compress(x, max_error=3)) - x).max() <= 3


def test_a_file_of_int64(tmp_path, command):
    np.save(tmp_path / "x.npy", np.arange(500) % 700)
    np.save(tmp_path / "far.npy", np.arange(500) * 2**33)
    assert command("compress", tmp_path / "x.npy", tmp_path / "x.san", "--lossless")[0] == 0
    assert command("verify", tmp_path / "x.npy", tmp_path / "x.san")[0] == 0
    np.testing.assert_array_equal(
        san.decompress((tmp_path / "x.san").read_bytes()), np.arange(500) % 700
    )
    code, _, err = command("compress", tmp_path / "far.npy", tmp_path / "y.san", "--lossless")
    assert code == 2 and "far.npy cannot be compressed: x has the value" in err
    assert "x.astype(np.float64) converts it" in err


@pytest.mark.parametrize("shape", [(8, 1000), (1, 20), (2, 3)], ids=str)
def test_more_channels_than_samples_are_questioned(shape):
    x = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    with pytest.warns(UserWarning, match=rf"{shape[1]} channels of {shape[0]} sample.*give x\.T"):
        blob = san.compress(x, lossless=True)
    np.testing.assert_array_equal(san.decompress(blob), x)


@pytest.mark.parametrize("shape", [(1000, 8), (3, 3), (0, 3), (5,)], ids=str)
def test_other_shapes_are_not_questioned(shape):
    san.compress(np.zeros(shape, np.int16), lossless=True)


def test_more_channels_than_readers_accept_need_limits():
    x = np.zeros((3000, 1025), np.int16)
    with pytest.raises(LimitExceeded, match=r"1025 channels.*Limits\(channels=1025\)"):
        san.compress(x, lossless=True)
    limits = san.Limits(channels=1025)
    blob = san.compress(x, lossless=True, limits=limits)
    with pytest.raises(LimitExceeded):
        san.decompress(blob)
    assert san.decompress(blob, limits=limits).shape == x.shape


def test_a_file_with_more_channels_than_samples_is_questioned(tmp_path, command):
    np.save(tmp_path / "x.npy", np.zeros((2, 30), np.int16))
    with pytest.warns(UserWarning, match=r"x\.npy: the array of shape \(2, 30\)"):
        command("compress", tmp_path / "x.npy", tmp_path / "x.san", "--lossless")


PARTS = {
    "int64": [np.arange(500) - 250, np.arange(500) * 70_000],
    "uint32": [np.arange(500, dtype=np.uint32), np.full(9, 2**31 - 1, np.uint32)],
    "bool": [np.arange(500) % 7 == 0, np.zeros(9, bool)],
    "float16": [np.arange(500, dtype=np.float16) / 8, np.full(9, np.nan, np.float16)],
}


@pytest.mark.parametrize("dtype", PARTS)
def test_an_encoder_takes_them_part_by_part(dtype):
    file = io.BytesIO()
    with san.Encoder(file, dtype, lossless=True, fs=100, chunk_seconds=2) as encoder:
        for part in PARTS[dtype]:
            encoder.write(part)
    whole = np.concatenate(PARTS[dtype])
    found = san.decompress(file.getvalue())
    assert found.dtype == {"bool": "uint8", "float16": "float32"}.get(dtype, "int32")
    assert np.array_equal(found.astype(dtype), whole, equal_nan=dtype == "float16")


def test_an_encoder_refuses_values_that_do_not_fit_and_other_dtypes():
    encoder = san.Encoder(io.BytesIO(), np.int64, lossless=True)
    with pytest.raises(ValueError, match=r"value 1099511627776, which does not fit int32: x\.ast"):
        encoder.write(np.array([1, 2**40]))
    with pytest.raises(TypeError, match="parts must be int64, got int16"):
        encoder.write(np.zeros(3, np.int16))
    with pytest.raises(TypeError, match="real and the imaginary part as channels"):
        san.Encoder(io.BytesIO(), np.complex64, lossless=True)
