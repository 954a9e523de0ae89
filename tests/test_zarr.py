"""Arrays of zarr 3 with the codec as their serializer: plain, sharded, through xarray and dask."""

import json
import subprocess
import sys

import dask.array
import numpy as np
import pytest
import xarray
import zarr

import san
from san.codec.errors import CodecError
from san.zarr import SAN

FS = 250
X = np.rint(
    60 * np.sin(np.arange(8000) / 15) ** 9 + np.random.default_rng(0).normal(0, 2, 8000)
).astype(np.int16)


def stored(store, x, codec, **options):
    options = {"chunks": x.shape, "compressors": None} | options
    return zarr.create_array(store, data=x, serializer=codec, **options)


@pytest.mark.parametrize(
    ("shape", "chunks", "axis"),
    [
        ((8000,), (1000,), 0),
        ((8000,), (3000,), -1),
        ((1000, 8), (300, 8), 0),
        ((8, 1000), (4, 400), -1),
        ((10, 8, 100), (5, 8, 100), 2),
        ((10, 100, 8), (5, 33, 4), 1),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
@pytest.mark.parametrize("sharded", [False, True], ids=["plain", "sharded"])
def test_arrays_come_back(shape, chunks, axis, sharded, tmp_path):
    x = X.reshape(shape)
    shards = tuple(2 * c for c in chunks) if sharded else None
    array = stored(tmp_path / "a", x, SAN(lossless=True, axis=axis), chunks=chunks, shards=shards)
    again = zarr.open_array(tmp_path / "a", mode="r")
    assert np.array_equal(again[:], x)
    part = tuple(slice(size // 3, size // 2) for size in shape)
    assert np.array_equal(again[part], x[part])
    assert again.metadata == array.metadata


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "uint16", "float32", "float64", ">i2"])
def test_dtypes(dtype, tmp_path):
    x = (X // 2 + (60 if dtype[0] == "u" else 0)).astype(dtype)
    stored(tmp_path / "a", x, SAN(lossless=True), chunks=(1000,))
    y = zarr.open_array(tmp_path / "a", mode="r")[:]
    assert y.dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("=") and np.array_equal(x, y)


def test_an_error_is_held_in_every_chunk(tmp_path):
    stored(tmp_path / "a", X / 200, SAN(max_error=0.02, fs=FS), chunks=(3000,))
    stored(tmp_path / "b", X, SAN(prdn=10, fs=FS), chunks=(3000,))
    a, b = (zarr.open_array(tmp_path / name, mode="r") for name in "ab")
    assert 0 < np.abs(a[:] - X / 200).max() <= 0.02
    for begin in range(0, 8000, 3000):
        part = slice(begin, begin + 3000)
        assert san.prdn(X[part], b[part]) <= 10
    assert b.nbytes_stored() < X.nbytes / 6


def test_a_chunk_is_written_again_and_what_is_empty_is_the_fill_value(tmp_path):
    array = zarr.create_array(
        tmp_path / "a", shape=8000, chunks=1000, dtype="int16", fill_value=7,
        serializer=SAN(lossless=True), compressors=None,
    )  # fmt: skip
    array[500:2500] = X[500:2500]
    again = zarr.open_array(tmp_path / "a", mode="r")[:]
    expected = np.full(8000, 7, np.int16)
    expected[500:2500] = X[500:2500]
    assert np.array_equal(again, expected)
    assert len(list((tmp_path / "a" / "c").iterdir())) == 3


@pytest.mark.parametrize("sharded", [False, True], ids=["plain", "sharded"])
def test_a_flipped_bit_raises(sharded, tmp_path):
    shards = (4000,) if sharded else None
    stored(tmp_path / "a", X, SAN(lossless=True), chunks=(1000,), shards=shards)
    path = tmp_path / "a" / "c" / "1"
    chunk = path.read_bytes()
    size = 1000 if sharded else len(chunk)
    for position in range(0, size, 41):
        damaged = bytearray(chunk)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(CodecError):
            zarr.open_array(tmp_path / "a", mode="r")[:]


def test_a_chunk_of_other_samples_is_refused(tmp_path):
    stored(tmp_path / "a", X, SAN(lossless=True), chunks=(1000,))
    (tmp_path / "a" / "c" / "1").write_bytes(san.compress(X[:999], lossless=True))
    with pytest.raises(CodecError, match=r"\(999,\) int16, and must be \(1000,\)"):
        zarr.open_array(tmp_path / "a", mode="r")[:]


def test_the_metadata_hold_everything_a_reader_needs(tmp_path):
    dictionary = san.learn_dictionary(X, FS)
    stored(tmp_path / "a", X, SAN(prdn=8, fs=FS, dictionary=dictionary), chunks=(1000,))
    metadata = json.loads((tmp_path / "a" / "zarr.json").read_text())
    assert metadata["codecs"][0]["name"] == "san"
    assert set(metadata["codecs"][0]["configuration"]) == {"prdn", "fs", "dictionary"}
    program = (
        "import sys, zarr; x = zarr.open_array(sys.argv[1], mode='r')[:];"
        "heavy = {'torch', 'scipy.signal', 'wfdb'} & {*sys.modules};"
        "print(int(x.astype(int).sum()), sorted(heavy))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a"], capture_output=True, text=True
    )
    y = zarr.open_array(tmp_path / "a", mode="r")[:]
    assert found.stdout.strip() == f"{int(y.astype(int).sum())} []", found.stderr
    assert san.prdn(X, y) <= 8


@pytest.mark.parametrize(
    ("codec", "dtype", "words"),
    [
        (lambda: SAN(lossless=True), "complex64", "x must be one of int8.*real and the imaginary"),
        (lambda: SAN(max_error=1), "float16", "float16 is coded without loss only"),
        (lambda: SAN(lossless=True, axis=1), "int16", "axis 1 does not exist in an array of 1"),
        (lambda: {"name": "san", "configuration": {"prdn": 8, "speed": 1}}, "int16", "speed"),
        (lambda: {"name": "san", "configuration": {}}, "int16", "give one of"),
    ],
    ids=["dtype", "float16", "axis", "unknown", "nothing"],
)
def test_what_cannot_work_is_refused_when_the_array_is_created(codec, dtype, words, tmp_path):
    with pytest.raises((TypeError, ValueError), match=words):
        zarr.create_array(
            tmp_path / "a", shape=100, chunks=10, dtype=dtype, serializer=codec(), compressors=None
        )


@pytest.mark.parametrize("dtype", ["int64", "uint32", "uint64", ">i8", "bool"])
@pytest.mark.parametrize("target", [{"lossless": True}, {"max_error": 0.5}], ids=str)
def test_integers_of_other_dtypes(dtype, target, tmp_path):
    x = np.abs(X).astype(dtype)
    stored(tmp_path / "a", x, SAN(**target, events=False), chunks=3000)
    again = zarr.open_array(tmp_path / "a", mode="r")
    assert again.dtype.newbyteorder("=") == x.dtype.newbyteorder("=")
    assert np.array_equal(again[:], x)


def test_integers_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the value 1099511627776, which does not fit int32"):
        stored(tmp_path / "a", np.array([1, 2**40]), SAN(lossless=True))


def test_xarray_over_a_store(tmp_path):
    leads = xarray.Dataset(
        {"ecg": (("time", "lead"), X.reshape(-1, 2) / 200)},
        coords={"time": np.arange(4000) / FS, "lead": [1, 2]},
        attrs={"patient": "anonymous"},
    )
    leads["ecg"].attrs["units"] = "mV"
    encoding = {
        "ecg": {"serializer": SAN(max_error=0.02, fs=FS), "compressors": None, "chunks": (1000, 2)}
    }
    leads.to_zarr(tmp_path / "a", encoding=encoding, zarr_format=3, consolidated=False)
    with xarray.open_zarr(tmp_path / "a", consolidated=False) as again:
        assert float(np.abs(again.ecg - leads.ecg).max()) <= 0.02
        part = again.ecg.sel(time=slice(4.0, 8.0), lead=2)
        assert part.shape == (1001,) and part.attrs["units"] == "mV"
        expected = leads.ecg.sel(time=slice(4.0, 8.0), lead=2)
        assert float(abs(part.mean() - expected.mean())) <= 0.02


def test_dask_over_a_store(tmp_path):
    x = dask.array.from_array(X.reshape(-1, 2), chunks=(1000, 2))
    array = zarr.create_array(
        tmp_path / "a", shape=x.shape, chunks=(1000, 2), dtype=x.dtype,
        serializer=SAN(lossless=True), compressors=None,
    )  # fmt: skip
    dask.array.store(x, array, lock=False)
    again = dask.array.from_zarr(tmp_path / "a")
    ranges = again.map_blocks(lambda part: np.ptp(part, axis=0, keepdims=True), chunks=(1, 2))
    expected = np.ptp(X.reshape(4, 1000, 2), axis=1)
    assert again.chunks == x.chunks
    assert np.array_equal(ranges.compute(scheduler="threads"), expected)


def test_zarr_format_2_takes_the_codec_of_numcodecs(tmp_path):
    import san.numcodecs

    array = zarr.create_array(
        tmp_path / "a", data=X.reshape(-1, 2), chunks=(1000, 2), zarr_format=2,
        compressors=san.numcodecs.SAN(lossless=True),
    )  # fmt: skip
    assert np.array_equal(zarr.open_array(tmp_path / "a", mode="r")[:], X.reshape(-1, 2))
    assert array.metadata.compressor.get_config() == {"id": "san", "lossless": True}


@pytest.mark.parametrize(("room", "missing"), [("zarr", "zarr"), ("numcodecs", "numcodecs")])
def test_without_the_library_one_line_says_what_to_install(room, missing):
    program = f"import sys; sys.modules[{missing!r}] = None; import san.{room}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"san.{room} needs {missing}" in done.stderr and "[zarr]" in done.stderr
