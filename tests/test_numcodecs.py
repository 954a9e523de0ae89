"""The contract that numcodecs' own suite checks of its codecs, kept by this one."""

import json
import subprocess
import sys

import numcodecs
import numpy as np
import pytest
from numcodecs.compat import ensure_bytes

import san
from san.codec.errors import CodecError, WrongDictionary
from san.numcodecs import SAN

RNG = np.random.default_rng(0)
BEATS = np.rint(60 * np.sin(np.arange(1000) / 15) ** 9 + RNG.normal(0, 2, 1000))


def _shaped(shape, dtype="int16", order="C"):
    return np.asarray(BEATS[: np.prod(shape)].reshape(shape).astype(dtype), order=order)


ARRAYS = {
    "int8": _shaped(1000, "int8"),
    "int16": _shaped(1000),
    "int32": _shaped(1000, "int32") * 100_000,
    "uint8": (BEATS + 100).astype("uint8"),
    "uint16": (BEATS + 30_000).astype("uint16"),
    "float32": (BEATS / 200).astype("float32"),
    "float64": BEATS / 200,
    "int64": _shaped(1000, "int64"),
    "int64, wide": _shaped((100, 10), "int64", "F") * 100_000,
    "uint32": (BEATS + 100).astype(">u4"),
    "uint64, padding": np.concatenate(
        [np.zeros(9, "u8"), (BEATS + 100).astype("u8"), np.zeros(99, "u8")]
    ),
    "bool": (BEATS > 20).reshape(10, 100),
    "random bits": RNG.integers(0, 2**63, 100).view("float64"),
    "gaps": np.where(BEATS > 20, np.nan, BEATS),
    "big-endian": _shaped(1000, ">i2"),
    "big-endian floats": _shaped((10, 100), ">f8"),
    "two dimensions": _shaped((100, 10)),
    "three dimensions": _shaped((10, 10, 10)),
    "fortran": _shaped((100, 10), order="F"),
    "fortran, three": _shaped((50, 4, 5), "float32", "F"),
    "one sample": _shaped(1),
    "none": _shaped(0),
    "not contiguous": _shaped(1000)[::3],
}
CODECS = {
    "lossless": SAN(lossless=True),
    "time last": SAN(lossless=True, axis=-1),
    "bound": SAN(max_error=0.01, fs=250),
}


def memory(x):
    """The bytes of an array as they lie in memory, as numcodecs compares them."""
    return np.ascontiguousarray(x).tobytes() if not x.flags.forc else x.tobytes(order="A")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", ARRAYS)
def test_encode_decode(name, codec):
    """check_encode_decode of numcodecs' tests/common.py."""
    x, codec = ARRAYS[name], CODECS[codec]
    copy = x.copy(order="A")
    encoded = codec.encode(x)
    assert x.tobytes() == copy.tobytes()  # the source is left alone
    exact = codec is not CODECS["bound"] or x.dtype.kind != "f"

    def check(found):
        if exact:
            assert ensure_bytes(found) == memory(x)
        else:
            y = np.frombuffer(ensure_bytes(found), x.dtype)
            expected = np.frombuffer(memory(x), x.dtype)
            assert np.array_equal(np.isnan(y), np.isnan(expected))
            assert np.nanmax(np.abs(y - expected), initial=0) <= 0.01

    for buffer in (encoded, bytearray(encoded), memoryview(encoded), np.frombuffer(encoded, "u1")):
        check(codec.decode(buffer))
    out = np.empty_like(x)
    assert codec.decode(encoded, out=out) is out
    check(out)
    if not x.flags.forc:
        return
    raw = np.empty(x.nbytes, "u1")
    codec.decode(encoded, out=raw)
    check(raw)


@pytest.mark.parametrize("name", CODECS)
def test_configuration(name):
    """check_config and check_repr of numcodecs' tests/common.py."""
    codec = CODECS[name]
    config = json.loads(json.dumps(codec.get_config()))
    again = numcodecs.get_codec(config)
    assert again == codec and again is not codec
    assert repr(again) == repr(codec) and eval(repr(codec)) == codec
    assert len({codec.codec_id, "san"}) == 1


STREAM = (
    "9353414e01171103000000000000000000000000000000000000001000e1e349d10b0103000600050090"
    "e170179fb746001a0201000000000000000000000000000000000f06000000000a00c928403124000000"
)
FROZEN = {"C": STREAM, "F": "01" + STREAM}  # of np.arange(6, dtype="<i2").reshape(2, 3)


@pytest.mark.parametrize("order", FROZEN)
def test_a_frozen_chunk_decodes_as_it_always_did(order):
    """check_backwards_compatibility: bytes that were written once."""
    x = np.asarray(np.arange(6, dtype="<i2").reshape(2, 3), order=order)
    y = np.frombuffer(ensure_bytes(SAN(lossless=True).decode(bytes.fromhex(FROZEN[order]))), "<i2")
    assert y.tobytes() == x.tobytes(order="A")


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ({}, ValueError, "give one of"),
        ({"prdn": 8, "lossless": True}, ValueError, "give one of"),
        ({"prdn": "8"}, TypeError, "prdn must be a number"),
        ({"prdn": -1}, ValueError, "prdn must be above 0 and finite, got -1"),
        ({"lossless": 1}, TypeError, "lossless must be True or False"),
        ({"lossless": True, "axis": 1}, ValueError, "axis must be 0 or -1"),
        ({"lossless": True, "level": 9}, TypeError, "level"),
        ({"prdn": 8, "dictionary": "none.dictionary"}, FileNotFoundError, "none.dictionary"),
    ],
)
def test_wrong_configuration(config, error, words):
    with pytest.raises(error, match=words):
        numcodecs.get_codec({"id": "san", **config})


@pytest.mark.parametrize(
    "x",
    [
        np.full(5, 2**40), np.zeros(5, "c8"), np.array(["a"]), np.array([{}], object),
        np.zeros(5, "M8[s]"), np.zeros((), "i2"),
    ],
    ids=["int64", "complex", "text", "objects", "times", "no dimension"],
)  # fmt: skip
def test_what_cannot_be_coded_is_refused(x):
    with pytest.raises((TypeError, ValueError)):
        SAN(lossless=True).encode(x)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "ends after 0 bytes"),
        (b"\x01", "ends after 0 bytes"),
        (b"\x10", "a chunk cannot begin with the byte 16"),
        (b"\x08", "ends after 0 bytes"),
        (b"\x08\x05", "a chunk cannot have dtype 5"),
        (b"\x08\x01" + san.compress(np.array([-1], np.int16), lossless=True), "must hold uint32"),
        (b"\x08\x02" + san.compress(np.zeros(9), lossless=True), "is float64, and must hold int64"),
        (b"\x04", "within the number at byte 1"),
        (b"nothing of the kind", "a chunk cannot begin with the byte 110"),
        (bytes(100), "is no SAN stream"),
    ],
    ids=[
        "nothing",
        "one byte",
        "no such kind",
        "no dtype",
        "no such dtype",
        "below 0",
        "floats",
        "no padding",
        "text",
        "zeros",
    ],
)
def test_what_is_no_chunk_is_refused(bad, words):
    with pytest.raises(CodecError, match=words):
        SAN(lossless=True).decode(bad)


def test_a_shared_dictionary_stands_in_the_configuration():
    x = np.tile(BEATS[:250].astype("int16"), 40)
    dictionary = san.learn_dictionary(x, fs=250)
    codec = SAN(prdn=8, fs=250, dictionary=dictionary)
    config = json.loads(json.dumps(codec.get_config()))
    again = numcodecs.get_codec(config)
    assert again == codec
    chunk = codec.encode(x[:1000])
    assert not san.inspect(chunk).dictionary_carried
    assert san.prdn(x[:1000], again.decode(chunk)) <= 8
    assert len(chunk) < len(SAN(prdn=8, fs=250).encode(x[:1000]))
    with pytest.raises(WrongDictionary, match="and none was given"):
        SAN(prdn=8, fs=250).decode(chunk)


def test_it_is_found_without_an_import():
    program = (
        "import numcodecs, sys; codec = numcodecs.get_codec({'id': 'san', 'lossless': True});"
        "print(codec, sorted({'torch', 'scipy.signal', 'wfdb', 'zarr'} & {*sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.split("\n")[0] == "SAN(lossless=True) []", found.stderr


def test_float16_is_coded_without_loss_only():
    x = (BEATS / 8).astype("float16")
    codec = SAN(lossless=True)
    assert codec.decode(codec.encode(x)).view("float16").tobytes() == x.tobytes()
    with pytest.raises(TypeError, match=r"float16 is coded without loss only.*lossless=True"):
        SAN(max_error=1).encode(x)


def test_values_that_do_not_fit_are_refused_with_a_way():
    with pytest.raises(ValueError, match=r"value 1099511627776.*x\.astype\(np\.float64\)"):
        SAN(lossless=True).encode(np.full(5, 2**40))
