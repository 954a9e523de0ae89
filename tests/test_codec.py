"""The codec from outside: what is promised holds for every array, part and way of giving it."""

import doctest
import hashlib
import importlib
import io
import subprocess
import sys
import tracemalloc
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import san
from san import storage
from san.codec import block, dictionaries
from san.codec.errors import (
    CodecError,
    CorruptStream,
    LimitExceeded,
    TruncatedStream,
    UnsupportedVersion,
    WrongDictionary,
)
from san.codec.modes.dictionary import quantize
from san.codec.numbers.accuracy import Accuracy

# Some arrays have more channels than samples.
pytestmark = pytest.mark.filterwarnings("ignore:x of shape:UserWarning")

INTEGERS = ["int8", "int16", "int32", "uint8", "uint16"]
FLOATS = ["float32", "float64"]
SHAPES = [(0,), (1,), (2,), (7,), (301,), (0, 2), (1, 3), (260, 2)]
TARGETS = {
    "lossless": {"lossless": True},
    "max_error": {"max_error": 3},
    "prdn": {"prdn": 8.0},
    "bits": {"bits_per_sample": 9.0},
}
RNG = np.random.default_rng(6)


def beats(n, channels=None, dtype="int16", scale=60.0):
    """Something like an ECG: the same pulse again and again, and noise."""
    random = np.random.default_rng(n)
    trains = np.zeros((channels or 1, n + 200))
    for row in trains:
        row[50::290] = 1
    pulse = np.hanning(31) - 0.4 * np.hanning(121)[45:76]
    x = np.stack([np.convolve(row, pulse, "same")[:n] for row in trains], 1)
    x = scale * x + random.normal(0, scale / 40, x.shape)
    x = x if np.dtype(dtype).kind == "f" else np.rint(x + 40).clip(0, 127)
    return x.astype(dtype) if channels else x[:, 0].astype(dtype)


class Pipe(io.RawIOBase):
    """A file that cannot seek and gives a few bytes at a time."""

    def __init__(self, data):
        self.inner = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, count=-1):
        return self.inner.read(min(count, 1000))


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def prdn_of(x, y):
    if not len(x):
        return 0.0
    x, y = x.reshape(len(x), -1).astype(float), y.reshape(len(y), -1).astype(float)
    errors, spreads = ((x - y) ** 2).sum(0), ((x - x.mean(0)) ** 2).sum(0)
    pairs = zip(errors, spreads, strict=True)
    return max(0.0 if e == 0 else 100 * np.sqrt(e / s) if s else np.inf for e, s in pairs)


SINGLE = 2**-23  # short streams round their errors up to a float32


@pytest.mark.parametrize("target", ["lossless", "max_error", "prdn"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_round_trips(dtype, shape, target):
    x = beats(shape[0], *shape[1:], dtype=dtype)
    blob = san.compress(x, fs=360, **TARGETS[target])
    y, info = san.decompress(blob), san.inspect(blob)
    assert y.dtype == x.dtype and y.shape == x.shape == info.shape and info.dtype == x.dtype
    error = np.abs(y.astype(float) - x.astype(float)).max(initial=0)
    assert error <= info.largest_error <= error * (1 + SINGLE)
    assert info.prdn == pytest.approx(prdn_of(x, y), rel=SINGLE)
    if target == "lossless":
        assert same(x, y)
    elif target == "max_error":
        assert error <= 3
    else:
        assert prdn_of(x, y) <= 8.0
    assert sum(info.sections.values()) == len(blob) == info.bytes
    assert same(san.decompress(san.compress(y, lossless=True)), y)


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_big_endian_arrays_come_back_as_native(dtype):
    x = beats(100, dtype=dtype)
    y = san.decompress(san.compress(x.astype(x.dtype.newbyteorder(">")), lossless=True))
    assert same(x, y)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("value", [0, 1, -7.25, 1e300, 5e-324, 127])
def test_constants(value, target):
    for dtype in ("int16", "float64"):
        if dtype == "int16" and (value != int(value) or value > 127):
            continue
        x = np.full(400, value, dtype)
        y = san.decompress(san.compress(x, **TARGETS[target]))
        assert np.array_equal(x, y) or (target == "max_error" and np.abs(y - x).max() <= 3)


@pytest.mark.parametrize("target", ["lossless", "max_error", "prdn"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_ends_of_every_range(dtype, target):
    limits = np.iinfo(dtype)
    x = np.tile(np.array([limits.min, limits.max, limits.max, 0], dtype), 20)
    y = san.decompress(san.compress(x, **TARGETS[target]))
    error = np.abs(y.astype(np.int64) - x.astype(np.int64)).max()
    assert error <= {"lossless": 0, "max_error": 3}.get(target, 2**32)
    assert prdn_of(x, y) <= (8 if target == "prdn" else 100)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("target", ["lossless", "max_error", "prdn"])
def test_gaps_are_where_they_were(target, dtype):
    x = beats(700, 2, dtype)
    x[10:30, 0] = np.nan
    x[200:230] = np.nan
    x[40, 1], x[41, 1], x[699, 1], x[0, 0] = np.inf, -np.inf, np.inf, -0.0
    blob = san.compress(x, fs=1000, chunk_seconds=0.21, **TARGETS[target])
    y = san.decompress(blob)
    finite = np.isfinite(x)
    assert np.array_equal(x[~finite], y[~finite], equal_nan=True)
    error = np.abs(x[finite].astype(float) - y[finite].astype(float)).max()
    assert error <= {"lossless": 0.0, "max_error": 3}.get(target, 100)
    assert san.inspect(blob).prdn <= (8 if target == "prdn" else 100)
    assert target != "lossless" or same(x, y)
    for begin, end in ((0, 5), (205, 425), (699, 700)):
        assert same(san.decompress(blob, begin, end), y[begin:end])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf])
def test_arrays_of_gaps_alone(fill, dtype):
    x = np.full((50, 2), fill, dtype)
    for target in ("lossless", "max_error", "prdn"):
        assert same(san.decompress(san.compress(x, **TARGETS[target])), x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bound", [1e-6, 1e-3, 0.05, 1.0, 100.0])
def test_floats_off_any_grid_stay_within_their_bound(bound, dtype):
    x = RNG.normal(0, 1, 500).astype(dtype)
    y = san.decompress(san.compress(x, max_error=bound))
    assert np.abs(y.astype(np.float64) - x.astype(np.float64)).max() <= bound


def test_floats_too_far_apart_for_a_step_are_kept_whole():
    x = np.array([1e300, 1e-300, 3.0, -1e-5] * 30)
    for target in ({"prdn": 1e-9}, {"max_error": 1e-200}, {"lossless": True}):
        assert same(san.decompress(san.compress(x, **target)), x)


def test_bits_per_sample_count_all_bytes():
    x = beats(5000, 2)
    for bits in (0.5, 2.0, 16.0):
        blob = san.compress(x, fs=360, bits_per_sample=bits)
        info = san.inspect(blob)
        assert 8 * len(blob) <= bits * x.size and info.bits_per_sample <= bits
    with pytest.raises(ValueError, match="are 5 bytes in all"):
        san.compress(x[:20], bits_per_sample=1)


def test_what_the_stream_says():
    x = beats(1000, 2)
    blob = san.compress(x, 250, prdn=9, units="mV", names=("I", "II"), chunk_seconds=1)
    info = san.inspect(blob)
    assert (info.shape, info.dtype, info.fs) == ((1000, 2), np.int16, 250.0)
    assert info.version == blob[4]
    assert (info.units, info.names) == (("mV", "mV"), ("I", "II"))
    assert (info.target, info.value, info.chunks, info.chunk_samples) == ("prdn", 9.0, 4, 250)
    assert info.compression_ratio == pytest.approx(4000 / len(blob))
    assert info.bits_per_sample == pytest.approx(len(blob) * 8 / 2000)
    assert san.Decoder(blob).info == san.inspect(io.BytesIO(blob)) == info
    plain = san.inspect(san.compress(x, lossless=True))
    assert (plain.fs, plain.units, plain.names, plain.dictionary_sha256) == (None, (), (), None)


def test_inspecting_reads_no_chunk():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    noise = RNG.integers(-999, 999, 20_000, np.int16)
    file = Counting(san.compress(noise, 100, lossless=True, chunk_seconds=100))
    san.inspect(file)
    assert file.count < 200


@pytest.fixture(scope="module")
def chunked():
    x = beats(3000, 2)
    blob = san.compress(x, fs=100, max_error=2, chunk_seconds=7)
    return blob, san.decompress(blob)


@settings(max_examples=60)
@given(st.none() | st.integers(-3500, 3500), st.none() | st.integers(-3500, 3500))
def test_a_part_is_what_the_whole_has_there(chunked, start, stop):
    blob, y = chunked
    assert same(san.decompress(blob, start, stop), y[start:stop])


def test_only_the_chunks_of_a_part_are_read(chunked):
    blob, y = chunked
    damaged = bytearray(blob)
    damaged[len(blob) - 90] ^= 1  # in the last chunk
    assert same(san.decompress(bytes(damaged), 0, 2000), y[:2000])
    with pytest.raises(CorruptStream, match="chunk 4"):
        san.decompress(bytes(damaged))


@pytest.mark.parametrize("source", [bytes, bytearray, memoryview, io.BytesIO, Pipe])
def test_a_decoder_gives_chunks(chunked, source):
    blob, y = chunked
    decoder = san.Decoder(source(blob))
    parts = list(decoder)
    assert [len(part) for part in parts] == [700, 700, 700, 700, 200]
    assert same(np.concatenate(parts), y)
    assert decoder.info == san.inspect(blob)
    if source is Pipe:
        with pytest.raises(
            ValueError, match="the source cannot seek: read its chunks in their order"
        ):
            decoder.read(0, 1)
        with pytest.raises(ValueError, match="after its last chunk"):
            _ = san.Decoder(Pipe(blob)).info
    else:
        assert same(decoder.read(-5), y[-5:])


samples = st.sampled_from([np.dtype(name) for name in INTEGERS + FLOATS]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        st.one_of(st.tuples(st.integers(0, 40)), st.tuples(st.integers(0, 30), st.integers(1, 3))),
    )
)


@settings(max_examples=60)
@given(samples)
def test_without_loss_every_bit_comes_back(x):
    blob = san.compress(x, lossless=True)
    y = san.decompress(blob)
    assert same(x, y)
    assert san.compress(y, lossless=True) == blob


@settings(max_examples=60)
@given(samples, st.floats(1e-3, 1e6), st.integers(1, 17))
def test_any_bound_holds_on_every_sample(x, bound, chunk):
    blob = san.compress(x, fs=1, max_error=bound, chunk_seconds=chunk)
    y = san.decompress(blob)
    finite = np.isfinite(x)
    assert np.array_equal(x[~finite], y[~finite], equal_nan=x.dtype.kind == "f")
    with np.errstate(over="ignore"):
        error = np.abs(x[finite].astype(float) - y[finite].astype(float))
    assert (error <= bound).all()
    assert same(san.decompress(san.compress(y, lossless=True)), y)
    assert same(san.decompress(blob, 3, 9), y[3:9])


@settings(max_examples=40)
@given(samples, st.floats(1e-3, 200))
def test_any_prdn_holds(x, prdn):
    blob = san.compress(x, prdn=prdn)
    y, info = san.decompress(blob), san.inspect(blob)
    assert info.prdn <= prdn
    accuracy = Accuracy(x.reshape(len(x), -1).shape[1] if x.size else 1)
    if x.size:
        accuracy.add(x.reshape(len(x), -1), y.reshape(len(x), -1))
    assert accuracy.prdn == pytest.approx(info.prdn, rel=SINGLE)


def test_a_coder_that_misses_the_target_is_not_believed(monkeypatch):
    """Payloads are decoded and compared; where they are wrong, the chunk is coded without loss."""
    right = block.encode_signal

    def wrong(k, target, **options):
        bounds = tuple(bound + 9 for bound in options.pop("bounds", ()))
        return right(k, target, bounds=bounds, **options)

    monkeypatch.setattr(block, "encode_signal", wrong)
    x = RNG.integers(-500, 500, 900, np.int16)
    blob = san.compress(x, fs=100, max_error=2, chunk_seconds=3)
    y = san.decompress(blob)
    assert np.abs(y - x).max() <= 2
    info = san.inspect(blob)
    assert sum(info.sections.values()) == len(blob)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ValueError, "or max_error and prdn together, got none"),
        ({"max_error": 1, "bits_per_sample": 2}, ValueError, "got max_error and bits_per_sample"),
        ({"prdn": 8, "lossless": True}, ValueError, "got prdn and lossless"),
        ({"prdn": 0}, ValueError, "prdn must be above 0"),
        ({"prdn": np.nan}, ValueError, "prdn must be above 0 and finite, got nan"),
        (
            {"prdn": 8, "fs": 9, "chunk_seconds": "a"},
            ValueError,
            "chunk_seconds must be above 0 and finite, got 'a'",
        ),
        ({"prdn": 8, "names": 3}, ValueError, "names and units must be texts, .* got 3"),
        ({"max_error": -1}, ValueError, "max_error must be 0 or above and finite, got -1"),
        ({"bits_per_sample": 0}, ValueError, "bits_per_sample must be above 0"),
        ({"lossless": True, "fs": 0}, ValueError, "fs must be above 0"),
        ({"lossless": True, "fs": [250]}, ValueError, r"fs must be one number, in Hz, got \[250\]"),
        ({"lossless": True, "fs": 10**400}, ValueError, "fs must be one number, in Hz, got 1000"),
        ({"lossless": True, "units": [1]}, TypeError, "a name or a unit must be a text, got 1"),
        ({"lossless": True, "names": "\ud800"}, ValueError, "has half a character"),
        ({"lossless": True, "fs": np.inf}, ValueError, "fs must be above 0"),
        ({"lossless": True, "chunk_seconds": 1}, ValueError, "chunk_seconds needs fs"),
        ({"lossless": True, "fs": 1, "chunk_seconds": 0}, ValueError, "chunk_seconds must be"),
        ({"lossless": True, "units": ("a", "b")}, ValueError, "units must be none, one or 1"),
        ({"lossless": True, "names": "x" * 65}, ValueError, "65 bytes"),
        ({"prdn": 8, "embed_dictionary": False}, ValueError, "needs a dictionary to name"),
        ({"prdn": 8, "dictionary": 5}, TypeError, "Dictionary or a path"),
        ({"prdn": 8, "dictionary": "nowhere"}, FileNotFoundError, "nowhere"),
    ],
    ids=str,
)
def test_what_is_asked_wrongly_is_said(arguments, error, words):
    x = beats(300)
    with pytest.raises(error, match=words):
        san.compress(x, **arguments)
    with pytest.raises(error, match=words):
        san.Encoder(io.BytesIO(), x.dtype, **arguments)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.array([2**31]), ValueError, r"2147483648, which does not fit int32: x\.astype\("),
        (np.array([-(2**40), 0]), ValueError, "has the value -1099511627776, which"),
        ([2**64 - 1], ValueError, "18446744073709551615, which does not fit int32"),
        ([2**70], TypeError, r"got object: convert it first; x\.astype\(np\.float64\)"),
        (np.zeros(5, np.longdouble), TypeError, "convert it first"),
        (np.zeros(5, complex), TypeError, "complex128"),
        (np.array(["a"]), TypeError, "<U1"),
        (np.zeros((2, 2, 2), np.int16), ValueError, "got shape"),
        (np.zeros((5, 0), np.int16), ValueError, "got shape"),
        (np.int16(5), ValueError, "got shape"),
        (np.ma.zeros(5), TypeError, "masked array"),
    ],
    ids=str,
)
def test_arrays_that_are_refused(x, error, words):
    with pytest.raises(error, match=words):
        san.compress(x, lossless=True)


def test_an_encoder_refuses_a_masked_array():
    encoder = san.Encoder(io.BytesIO(), np.int16, lossless=True)
    with pytest.raises(TypeError, match="must not be a masked array: fill it"):
        encoder.write(np.ma.array(np.arange(4, dtype=np.int16), mask=[0, 1, 0, 1]))


def test_arrays_are_no_masked_arrays_while_another_thread_loads_numpy_ma(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy.ma", types.ModuleType("numpy.ma"))
    x = np.arange(40) / 8
    assert np.array_equal(san.decompress(san.compress(x, lossless=True)), x)


SMALL = {
    "lossless": san.compress(beats(120), lossless=True),
    "bound": san.compress(beats(150, 2), fs=50, max_error=2, chunk_seconds=1),
    "prdn": san.compress(beats(300, dtype="float64"), fs=360, prdn=9, units="mV"),
    "gaps": san.compress(np.where(np.arange(60) % 7, 0.5, np.nan), max_error=0.1),
    "bits": san.compress(RNG.normal(size=12), lossless=True),
    "empty": san.compress(np.zeros((0, 3), np.float32), prdn=5),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_cut_and_every_flipped_bit_is_told(name):
    blob = SMALL[name]
    for end in range(len(blob)):
        with pytest.raises(TruncatedStream):
            san.decompress(blob[:end])
        with pytest.raises(CodecError):
            list(san.Decoder(Pipe(blob[:end])))
    for place in range(len(blob)):
        for bit in range(8):
            damaged = bytearray(blob)
            damaged[place] ^= 1 << bit
            with pytest.raises(CodecError):
                san.decompress(bytes(damaged))


def test_other_bytes_are_told():
    with pytest.raises(CorruptStream, match="no SAN stream"):
        san.decompress(b"RIFF" + bytes(50))
    with pytest.raises(UnsupportedVersion):
        san.inspect(SMALL["prdn"][:4] + b"\2" + SMALL["prdn"][5:])
    with pytest.raises(TypeError, match="bytes or a binary file"):
        san.decompress("stream.san")
    with pytest.raises(LimitExceeded, match=r"Limits\(samples=120\)"):
        san.decompress(SMALL["lossless"], limits=san.Limits(samples=100))


def encoded(x, sizes, chunk, **options):
    """A stream written in parts of these sizes, again and again."""
    file, place, number = io.BytesIO(), 0, 0
    channels = x.shape[1] if x.ndim > 1 else None
    with san.Encoder(file, x.dtype, channels, fs=100, chunk_seconds=chunk, **options) as encoder:
        while place < len(x):
            size = sizes[number % len(sizes)]
            encoder.write(x[place : place + size])
            place, number = place + size, number + 1
    return file.getvalue()


def payloads(blob):
    reader = san.Decoder(blob)._reader
    return list(reader.chunks())


@pytest.mark.parametrize("sizes", [(1,), (7, 0, 13), (100,), (999, 1), (5000,)], ids=str)
def test_parts_of_any_size_give_the_same_stream(sizes):
    for x in (beats(600), beats(500, 2, "float64")):
        options = {"max_error": 2.0, "events": False}
        first = encoded(x, (100,), 1, **options)
        assert encoded(x, sizes, 1, **options) == first
        assert np.abs(san.decompress(first).astype(float) - x).max() <= 2
    x = beats(650)
    blob = san.compress(x, fs=100, lossless=True, chunk_seconds=1)
    assert payloads(encoded(x, sizes, 1, lossless=True)) == payloads(blob)


@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_an_encoder_keeps_its_word(dtype, target, channels):
    x = beats(2500, channels, dtype)
    if dtype[0] == "f":
        x[700:720] = np.nan
    blob = encoded(x, (333,), 4, **TARGETS[target])
    y, info = san.decompress(blob), san.inspect(blob)
    assert info.chunks == 7 and y.shape == x.shape and y.dtype == x.dtype
    finite = np.isfinite(x)
    error = np.abs(x[finite].astype(float) - y[finite].astype(float)).max()
    assert info.largest_error == error
    assert np.array_equal(finite, np.isfinite(y))
    assert target != "lossless" or same(x, y)
    assert target != "max_error" or error <= 3
    if target == "prdn" and dtype == "int16":
        for begin in range(0, 2500, 400):
            assert prdn_of(x[begin : begin + 400], y[begin : begin + 400]) <= 8
    assert info.prdn <= (8 if target == "prdn" else 100)


def test_an_encoder_may_begin_with_silence():
    silence, signal = np.zeros(1000), beats(2000, dtype="float64", scale=0.8)
    x = np.concatenate([silence, signal])
    for target in ({"max_error": 0.01}, {"prdn": 5.0}, {"lossless": True}):
        y = san.decompress(encoded(x, (100,), 5, **target))
        error = np.abs(x - y).max()
        assert error <= target.get("max_error", 0.2)


def test_an_encoder_says_what_does_not_fit():
    grid, off = np.arange(2**17) / 8, np.full(100, np.pi)
    file = io.BytesIO()
    encoder = san.Encoder(file, float, fs=2**17, lossless=True, chunk_seconds=1, lossless_grid=True)
    encoder.write(grid)
    encoder.write(off)
    with pytest.raises(ValueError, match=r"follows sample 131072 .*leave lossless_grid=False"):
        encoder.finish()
    encoder.finish()
    assert same(san.decompress(file.getvalue()), grid)
    options = {"fs": 2**17, "chunk_seconds": 1, "events": False}
    encoder = san.Encoder(io.BytesIO(), float, max_error=1e-3, **options)
    encoder.write(np.round(np.sin(grid), 2))
    with pytest.raises(ValueError, match="follows sample 131072"):
        encoder.write(np.full(2**17, 1e9))
    small = grid[:1000]
    assert len(encoded(small, (9,), 1, lossless=True, lossless_grid=True)) < len(
        encoded(small, (9,), 1, lossless=True)
    )


def test_an_encoder_refuses_other_parts():
    encoder = san.Encoder(io.BytesIO(), "int16", 2, lossless=True)
    with pytest.raises(TypeError, match="parts must be int16, got int64"):
        encoder.write(np.zeros((5, 2), int))
    for shape in ((5,), (5, 3), (2,)):
        with pytest.raises(ValueError, match="parts must be"):
            encoder.write(np.zeros(shape, np.int16))
    encoder.finish()
    encoder.finish()
    with pytest.raises(RuntimeError, match="finished"):
        encoder.write(np.zeros((5, 2), np.int16))


def test_an_encoder_keeps_its_own_copy_and_needs_no_seek():
    class Drain(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data[:50]
            return len(data[:50])

    drain, buffer = Drain(), np.zeros(30, np.int16)
    with san.Encoder(drain, buffer.dtype, lossless=True) as encoder:
        for number in range(5):
            buffer[:] = number
            encoder.write(buffer)
    assert np.array_equal(san.decompress(bytes(drain.data)), np.repeat(np.arange(5), 30))


def test_an_encoder_that_is_left_by_an_error_writes_no_footer():
    file = io.BytesIO()
    with pytest.raises(ZeroDivisionError):
        with san.Encoder(file, "int16", fs=10, lossless=True, chunk_seconds=2) as encoder:
            encoder.write(np.arange(75, dtype=np.int16))
            raise ZeroDivisionError
    with pytest.raises(TruncatedStream):
        san.decompress(file.getvalue())
    parts = san.Decoder(Pipe(file.getvalue()))
    whole = []
    with pytest.raises(TruncatedStream):
        whole.extend(parts)
    assert [len(part) for part in whole] == [20, 20]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_an_empty_recording(dtype):
    file = io.BytesIO()
    with san.Encoder(file, dtype, 3, prdn=5):
        pass
    assert san.decompress(file.getvalue()).shape == (0, 3)


def test_memory_is_that_of_a_chunk():
    part = RNG.integers(-50, 50, 100_000, np.int16)
    file = io.BytesIO()
    with san.Encoder(file, part.dtype, fs=100, lossless=True, chunk_seconds=200) as encoder:
        encoder.write(part[:20_000])
        tracemalloc.start()
        for _ in range(3):
            encoder.write(part)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    held = len(file.getvalue())
    assert most < held + 24e6
    tracemalloc.start()
    assert sum(map(len, san.Decoder(io.BytesIO(file.getvalue())))) == 320_000
    assert tracemalloc.get_traced_memory()[1] < held + 24e6
    tracemalloc.stop()


@pytest.fixture(scope="module")
def dictionary():
    return san.learn_dictionary(beats(12_000), fs=360)


def test_a_dictionary_is_carried_or_named(dictionary, tmp_path):
    x = beats(3000)
    blob = san.compress(x, fs=360, prdn=8.0, dictionary=dictionary)
    info = san.inspect(blob)
    assert info.dictionary_sha256 == dictionary.sha256 and info.dictionary_carried
    named = san.compress(x, fs=360, prdn=8.0, dictionary=dictionary, embed_dictionary=False)
    info = san.inspect(named)
    assert info.dictionary_sha256 == dictionary.sha256 and not info.dictionary_carried
    compact = 64  # bytes that the short one may save besides, because it is compact
    assert 0 <= len(blob) - len(named) - (len(dictionary.data) - 32) <= compact
    path = tmp_path / "beats.dictionary"
    dictionary.save(path)
    for it in (dictionary, path, str(path)):
        assert same(san.decompress(named, dictionary=it), san.decompress(blob))
        assert same(san.decompress(named, 50, 60, dictionary=it), san.decompress(blob, 50, 60))
    with pytest.raises(WrongDictionary, match="none was given"):
        san.decompress(named)
    other = quantize(RNG.normal(size=(2, 1, 64)))
    with pytest.raises(WrongDictionary, match="was given"):
        san.decompress(named, dictionary=other)
    assert same(san.decompress(blob, dictionary=other), san.decompress(blob))


def test_an_encoder_takes_a_dictionary(dictionary):
    x = beats(3000)
    blob = encoded(x, (700,), 10, prdn=8.0, dictionary=dictionary, embed_dictionary=False)
    assert san.inspect(blob).dictionary_sha256 == dictionary.sha256
    assert prdn_of(x, san.decompress(blob, dictionary=dictionary)) <= 8


def test_signals_share_a_dictionary(dictionary):
    together = san.learn_dictionary([beats(6000), beats(7000)], fs=360, prdn=9)
    assert together.kernels.shape[1] == 1
    with pytest.raises(ValueError, match="need the same number of channels"):
        san.learn_dictionary([beats(3000), beats(3000, 2)], 360)
    with pytest.raises(ValueError, match="no kernel saves"):
        san.learn_dictionary(np.zeros(5000), 360)
    with pytest.raises(TypeError, match="array, or a sequence"):
        san.learn_dictionary([1, 2, 3], 360)
    with pytest.raises(ValueError, match=r"needs signals with samples, got one of shape \(0,\)"):
        san.learn_dictionary(np.zeros(0), 360)
    with pytest.raises(ValueError, match=r"needs signals with samples, got one of shape \(0, 2\)"):
        san.learn_dictionary([beats(3000, 2), np.zeros((0, 2))], 360)
    with pytest.raises(ValueError, match="kernels of 1 channels, and x has 2"):
        san.compress(beats(500, 2), prdn=5, dictionary=dictionary)
    with pytest.raises(ValueError, match="no use with events=False"):
        san.compress(beats(500), prdn=5, dictionary=dictionary, events=False)


def test_dictionary_files_are_checked(dictionary, tmp_path):
    path = tmp_path / "saved"
    dictionary.save(path)
    again = san.Dictionary.load(path)
    assert again.data == dictionary.data and np.array_equal(again.kernels, dictionary.kernels)
    assert again.sha256 == hashlib.sha256(dictionary.data).hexdigest()
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(CodecError):
            san.Dictionary.load(path)
    path.write_bytes(content[:8])
    with pytest.raises(CorruptStream, match="no dictionary"):
        san.Dictionary.load(path)
    with pytest.raises(FileNotFoundError):
        san.Dictionary.load(tmp_path / "missing")


def model_file(folder, kernels, **changes):
    description = {"format": "san model 1", "dimensions": 1, "decoder": "adjoint", **changes}
    tensors = {f"kernel_{i}": np.asarray(w, np.float32) for i, w in enumerate(kernels)}
    storage.write_tensors(folder / "model.safetensors", tensors, description)
    return folder / "model.safetensors"


def test_a_trained_model_is_a_dictionary(tmp_path):
    pulse = np.hanning(40)[None]
    path = model_file(tmp_path, [pulse, np.zeros((1, 9)), pulse[:, :33] - 0.5])
    found = dictionaries.find_dictionary(path)
    assert found.kernels.shape == (2, 1, 64)
    drawn = found.kernels[0, 0] / 2**14
    first = 31 - 19  # the middle of 64 samples less the middle of 40
    assert np.abs(drawn[first : first + 40] - pulse[0] / np.linalg.norm(pulse)).max() < 0.02
    assert np.abs(drawn[:first]).max() < 0.02 and np.abs(drawn[first + 40 :]).max() < 0.02
    x = beats(3000)
    for it in (path, tmp_path, str(tmp_path)):
        blob = san.compress(x, fs=360, prdn=8.0, dictionary=it)
        assert prdn_of(x, san.decompress(blob)) <= 8
    ramp = np.arange(1.0, 33)[None]
    turned = dictionaries.find_dictionary(model_file(tmp_path, [ramp], decoder="paper"))
    assert turned.kernels.shape == (1, 1, 64)
    first = 31 - 16  # that decoder draws 16 of 32 samples before the event
    assert turned.kernels[0, 0, first] > turned.kernels[0, 0, first + 31] > 0


@pytest.mark.parametrize(
    ("shapes", "changes", "words"),
    [
        ([(1, 5)], {"format": "another"}, "holds no SAN"),
        ([(1, 5, 5)], {"dimensions": 2}, "SAN of images"),
        ([(1, 5), (2, 5)], {}, "same number of channels"),
        ([(5,)], {}, "no usable kernel 0"),
        ([(1, 5)] * 300, {}, "kernels"),
    ],
    ids=["format", "images", "channels", "one dimension", "too many"],
)
def test_models_that_are_no_dictionary(shapes, changes, words, tmp_path):
    path = model_file(tmp_path, [np.ones(shape) for shape in shapes], **changes)
    with pytest.raises(ValueError, match=words):
        dictionaries.find_dictionary(path)
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        (tmp_path / "empty").mkdir()
        dictionaries.find_dictionary(tmp_path / "empty")


@pytest.mark.parametrize(
    "without", [(), ("numba", "llvmlite")], ids=["with numba", "without numba"]
)
def test_decoding_needs_neither_torch_nor_scipy_nor_wfdb(without, tmp_path, dictionary):
    x = beats(1500, 2)
    blobs = [
        san.compress(x[:600], fs=360, prdn=8.0),
        san.compress(x[:300], max_error=2),
        san.compress(x[:300], lossless=True),
        san.compress(x[:600, 0], prdn=8.0, fs=360, dictionary=dictionary),
        SMALL["gaps"],
    ]
    for number, blob in enumerate(blobs):
        (tmp_path / f"{number}.san").write_bytes(blob)
    absent = ("torch", "scipy", "wfdb", "matplotlib", "pandas", *without)
    code = f"""
import sys
for name in {absent}:
    sys.modules[name] = None
import hashlib, san
for number in range({len(blobs)}):
    blob = open(f"{tmp_path}/{{number}}.san", "rb").read()
    y = san.decompress(blob)
    assert san.inspect(blob).shape == y.shape
    print(hashlib.sha256(y.tobytes()).hexdigest())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = [hashlib.sha256(san.decompress(blob).tobytes()).hexdigest() for blob in blobs]
    assert run.stdout.split() == expected


@given(
    st.lists(hnp.arrays(np.float64, st.integers(0, 6), elements=st.floats(-1e6, 1e6)), max_size=5),
    st.integers(-900, 900),
)
def test_accuracy_adds_up(blocks, exponent):
    x = np.ldexp(np.concatenate([np.zeros(0), *blocks]), exponent)
    y = x * 0.75
    accuracy, whole = Accuracy(1), Accuracy(1)
    for part in blocks:
        one = Accuracy(1)
        part = np.ldexp(part, exponent)
        one.add(part[:, None], 0.75 * part[:, None])
        accuracy.merge(one)
    whole.add(x[:, None], y[:, None])
    assert accuracy.largest_error == np.abs(x - y).max(initial=0)
    assert accuracy.prd == pytest.approx(25 if x.any() else 0)
    assert accuracy.prdn == pytest.approx(whole.prdn, rel=1e-6)


@pytest.mark.parametrize(
    "room",
    [
        "comparison",
        "file_format.header",
        "file_format.stream",
        "file_format.writing",
        "decoder",
        "dictionaries",
        "encoder",
        "errors",
        "incremental",
        "info",
        "modes.dictionary",
        "ndarray",
        "numbers.accuracy",
        "target",
    ],
)
def test_examples_of_docstrings(room):
    module = importlib.import_module(f"san.codec.{room}")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_a_coarser_target_takes_fewer_bytes_and_events_still_pay():
    x = np.rint(san.datasets.load_recording().x[:, 0] * 200).astype(np.int16)
    sizes = {prdn: len(san.compress(x, 360, prdn=prdn)) for prdn in (12, 16, 25)}
    assert sizes[12] > sizes[16] > sizes[25]
    assert sizes[16] < 0.7 * len(san.compress(x, 360, prdn=16, events=False))


def test_reading_tells_its_progress():
    x = np.arange(2500, dtype=np.int16)
    blob = san.compress(x, 100, lossless=True, chunk_seconds=10)
    for start, stop, expected in ((None, None, [0.4, 0.8, 1.0]), (900, 1500, [1 / 6, 1.0])):
        shares = []
        assert np.array_equal(san.Decoder(blob).read(start, stop, shares.append), x[start:stop])
        assert np.allclose(shares, expected)
