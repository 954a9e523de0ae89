"""Fast prediction: exact or within each bound, the same on every machine, and hard to break."""

import io
import os
import subprocess
import sys

import numpy as np
import plain_decoder
import pytest
from coded_signals import LEAST, MOST, leads, signals
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import san
from san.archive import Options
from san.codec.effort import EFFORTS
from san.codec.errors import CodecError, CorruptStream
from san.codec.file_format.stream import StreamReader
from san.codec.modes import joint, payload
from san.codec.modes.fast_coding import encode
from san.codec.modes.fast_frames import decode
from san.codec.modes.payload import FAST
from san.codec.ndarray import ChunkCoding


def payload_of(x, bounds):
    return encode(x, bounds)[0]


@pytest.mark.parametrize("channels", [1, 5], ids=["1 lead", "5 leads"])
@pytest.mark.parametrize("bound", [0, 3, 10**6, MOST], ids="bound {}".format)
@pytest.mark.parametrize("name", signals(2, 1))
def test_a_signal_comes_back_within_the_bound(name, bound, channels):
    x = signals(500, channels)[name]
    y = decode(payload_of(x, (bound,) * channels), *x.shape)
    assert y.dtype == np.int64 and y.shape == x.shape and y.flags.c_contiguous
    assert np.abs(x - y).max() <= bound


@pytest.mark.parametrize("name", signals(2, 1))
def test_the_second_decoder_agrees(name):
    x = signals(150, 3)[name]
    for bounds in ((0, 0, 0), (0, 2, 10**5)):
        payload = payload_of(x, bounds)
        assert plain_decoder.decode_fast(payload, *x.shape) == decode(payload, *x.shape).T.tolist()


@pytest.mark.parametrize("shape", [(0, 1), (0, 3), (1, 1), (1, 4), (2, 2), (33, 1)], ids=str)
def test_few_samples_or_none(shape):
    x = np.random.default_rng(1).integers(-9, 10, shape)
    assert np.array_equal(decode(payload_of(x, (0,) * shape[1]), *shape), x)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_integers_come_back_within_any_bounds(data):
    extent = data.draw(st.sampled_from([1, 5, 300, 70_000, MOST]))
    shape = data.draw(st.tuples(st.integers(1, 150), st.integers(1, 4)))
    x = data.draw(arrays.arrays(np.int64, shape, elements=st.integers(-extent - 1, extent)))
    bounds = data.draw(st.tuples(*[st.integers(0, 6) | st.integers(0, MOST)] * shape[1]))
    y = decode(payload_of(x, bounds), *shape)
    assert (np.abs(x - y).max(0) <= bounds).all()


def test_frames_are_cut_where_the_signal_is_long():
    x = leads(2 * 8192 + 77, 3)
    payload = payload_of(x, (0,) * 3)
    assert np.array_equal(decode(payload, *x.shape), x)


def test_what_has_too_many_bytes_ends_early():
    x = leads(40_000, 1)
    whole = payload_of(x, (0,))
    assert encode(x, (0,), most=len(whole))[0] == whole
    early = encode(x, (0,), most=len(whole) // 2)[0]
    assert len(whole) // 2 < len(early) < 0.8 * len(whole)


def one_of_all(x, bounds):
    """The payload that is chosen where all three modes are coded in full."""
    first = payload._encode_predictive(x, bounds)
    joined = bytes([payload.JOINT]) + joint.encode(x, bounds)
    others = [joined, *(payload.encode_fast(x, bounds, order)[0] for order in (16, 8))]
    other = min(others, key=len)
    return other if len(other) + payload.WORTH < len(first) else first


@pytest.mark.parametrize(
    ("name", "n"),
    [(name, n) for name in signals(2, 1) for n in (40, 2000)] + [("full-scale square", 20_000)],
)
def test_the_mode_is_the_one_of_the_fewest_bytes(name, n):
    x = signals(n, 2)[name]
    chosen = payload.encode_predictive(x, (0, 0), newer_modes=True)
    assert chosen == one_of_all(x, (0, 0))


@pytest.mark.parametrize("channels", [64, 300], ids="{} channels".format)
def test_many_channels(channels):
    x = leads(70, channels)
    assert np.array_equal(decode(payload_of(x, (0,) * channels), *x.shape), x)


def test_a_lead_like_another_one_costs_little():
    two = leads(6000, 2)
    three = np.concatenate([two, 3 - two[:, 1:]], axis=1)
    assert len(payload_of(three, (0,) * 3)) < 1.05 * len(payload_of(two, (0, 0)))


# What no encoder wrote


def outcome(decoded, *arguments):
    """Samples, or None if the payload is refused."""
    try:
        return np.array(decoded(*arguments))
    except (CodecError, plain_decoder.Refused):
        return None


@pytest.mark.parametrize("seed", range(6), ids="seed {}".format)
def test_a_changed_payload_is_the_same_for_both_decoders(seed):
    rng = np.random.default_rng(seed)
    x = leads(120, 3) * (1 if seed % 2 else 10**6)
    payload = payload_of(x, (0, 0, 3))
    for _ in range(40):
        damaged = bytearray(payload)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        ours = outcome(decode, bytes(damaged), *x.shape)
        theirs = outcome(plain_decoder.decode_fast, bytes(damaged), *x.shape)
        assert (ours is None) == (theirs is None)
        assert ours is None or np.array_equal(ours, theirs.T)


@pytest.mark.parametrize("size", range(0, 120, 9))
def test_a_payload_that_was_cut_is_refused(size):
    payload = payload_of(leads(150, 2), (0, 1))
    with pytest.raises(CorruptStream):
        decode(payload[:size], 150, 2)


def test_few_bytes_declare_many_frames():
    with pytest.raises(CorruptStream, match="numbers cannot be in"):
        decode(b"\6\0" + bytes(100), 1 << 26, 1)


@pytest.mark.parametrize(
    ("x", "bounds", "words"),
    [
        (np.array([[0], [MOST + 1]]), (0,), "beyond 32 bits"),
        (np.array([[0], [LEAST - 1]]), (0,), "beyond 32 bits"),
        (np.array([[0], [1]]), (-1,), "beyond 32 bits"),
        (np.array([[0], [1]]), (1 << 31,), "beyond 32 bits"),
    ],
    ids="above below negative-bound large-bound".split(),
)
def test_what_the_encoder_refuses(x, bounds, words):
    with pytest.raises(ValueError, match=words):
        payload_of(x, bounds)


def test_as_plain_python_the_samples_are_the_same():
    here = os.path.dirname(os.path.abspath(__file__))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import test_codec_fast as t, san; x = t.leads(90, 2);"
        "print(*(san.decompress(t.encoded(x, b)).tobytes().hex() for b in (0, 2)))"
    )
    plain = subprocess.run(
        [sys.executable, "-c", program, here],
        capture_output=True, text=True, timeout=300, env=os.environ | {"SAN_LOOPS": "python"},
    )  # fmt: skip
    assert plain.returncode == 0, plain.stderr
    x = leads(90, 2)
    assert plain.stdout.split()[0] == x.astype(np.int16).tobytes().hex()
    near = np.frombuffer(bytes.fromhex(plain.stdout.split()[1]), np.int16).reshape(x.shape)
    assert np.abs(x - near).max() <= 2


# Levels of effort


def encoded(x, bound=0, effort="fast", **options):
    return san.compress(x.astype(np.int16), max_error=bound, fs=250, effort=effort, **options)


@pytest.mark.parametrize("bound", [0, 2], ids=["lossless", "bound 2"])
def test_fast_writes_the_fast_mode(bound):
    blob = encoded(leads(500, 3), bound)
    assert StreamReader(blob).chunk(0)[0] == FAST
    assert san.inspect(blob).largest_error <= bound


@pytest.mark.parametrize("dtype", "int8 int16 int32 uint8 uint16 float32 float64".split())
def test_fast_takes_every_dtype(dtype):
    x = np.clip(leads(200, 2), 0, 127).astype(dtype)
    assert np.array_equal(san.decompress(san.compress(x, lossless=True, effort="fast")), x)
    y = san.decompress(san.compress(x, max_error=3, effort="fast"))
    assert y.dtype == x.dtype and np.abs(x.astype(float) - y).max() <= 3


def test_floats_with_gaps_and_any_bits_come_back_at_fast():
    x = np.random.default_rng(0).normal(size=(80, 2))
    x[3:9, 1], x[40, 0] = np.nan, -np.inf
    assert np.array_equal(
        san.decompress(san.compress(x, lossless=True, effort="fast")), x, equal_nan=True
    )


def test_no_level_writes_more_bytes_than_one_below_it():
    x = leads(600, 2)
    fast, normal, best = (len(encoded(x, effort=effort)) for effort in EFFORTS)
    assert best <= normal <= fast


@pytest.mark.parametrize("channels", [1, 3], ids=["1 lead", "3 leads"])
@pytest.mark.parametrize("prdn", [0.5, 8, 60], ids="{} %".format)
def test_fast_meets_a_prdn_without_kernels(prdn, channels):
    x = leads(3000, channels).astype(np.int16)
    quick = san.compress(x, fs=250, prdn=prdn, effort="fast")
    info = san.inspect(quick)
    assert info.prdn <= prdn and not info.dictionary_carried
    assert len(quick) <= 1.25 * len(san.compress(x, prdn=prdn, events=False)) or channels > 1


@pytest.mark.parametrize(
    "target",
    [{"prdn": 8, "max_error": 20}, {"bits_per_sample": 2}, {"prdn": 1e-6}],
    ids=["two targets", "size", "nearly lossless"],
)
def test_fast_keeps_every_other_target(target):
    x = leads(900, 2).astype(np.int16)
    info = san.inspect(san.compress(x, fs=250, effort="fast", **target))
    assert info.prdn <= target.get("prdn", 100)
    assert info.largest_error <= target.get("max_error", 1e9)
    assert info.bits_per_sample <= target.get("bits_per_sample", 64)


def test_an_encoder_meets_a_prdn_at_fast():
    x, file = leads(1500, 2) / 200, io.BytesIO()
    with san.Encoder(file, x.dtype, 2, fs=250, prdn=9, chunk_seconds=2, effort="fast") as encoder:
        encoder.write(x)
    assert san.inspect(file.getvalue()).prdn <= 9
    assert san.Decoder(file.getvalue()).header.dictionary is None


def test_an_encoder_of_parts_has_levels_too():
    x, file = leads(700, 2).astype(np.int16), io.BytesIO()
    with san.Encoder(
        file, x.dtype, 2, fs=100, lossless=True, chunk_seconds=2, effort="fast"
    ) as encoder:
        encoder.write(x)
    reader = StreamReader(file.getvalue())
    assert {reader.chunk(i)[0] for i in range(reader.chunk_count)} == {FAST}
    assert np.array_equal(san.decompress(file.getvalue()), x)


@pytest.mark.parametrize("wrong", ["slow", "FAST", 3, None], ids=repr)
def test_another_level_is_refused(wrong):
    with pytest.raises(ValueError, match="effort must be one of fast, normal, best, got"):
        encoded(leads(20, 1), effort=wrong)
    with pytest.raises(ValueError, match="effort must be one of fast, normal, best, got"):
        san.Encoder(io.BytesIO(), np.int16, lossless=True, effort=wrong)


def test_settings_of_zarr_and_numcodecs_hold_the_level():
    coding = ChunkCoding(lossless=True, effort="fast")
    assert coding.to_dict() == {"lossless": True, "effort": "fast"}
    x = leads(300, 2).astype(np.int16)
    assert len(coding.encode_array(x)) < x.nbytes
    with pytest.raises(ValueError, match="effort must be one of"):
        ChunkCoding(lossless=True, effort="swift")


def test_an_archive_codes_again_only_at_another_level():
    plain = Options(lossless=True).settings()
    assert "effort" not in plain
    assert Options(lossless=True, effort="fast").settings() == plain | {"effort": "fast"}
