"""The second predictive mode: exact or within each bound, the same on every machine."""

import hashlib
import math
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
from san.codec.entropy import extension
from san.codec.entropy.loops import integer_loop
from san.codec.entropy.varints import write_varint
from san.codec.errors import CodecError, CorruptStream
from san.codec.file_format.stream import StreamReader
from san.codec.modes import least_squares, odds, payload
from san.codec.modes.joint import decode, encode
from san.codec.modes.mode_numbers import JOINT, PREDICTIVE
from san.codec.modes.payload import encode_predictive
from san.codec.modes.predictive import encode as encode_first


@pytest.mark.parametrize("channels", [1, 5], ids=["1 lead", "5 leads"])
@pytest.mark.parametrize("bound", [0, 3, 10**6, MOST], ids="bound {}".format)
@pytest.mark.parametrize("name", signals(2, 1))
def test_a_signal_comes_back_within_the_bound(name, bound, channels):
    x = signals(400, channels)[name]
    y = decode(encode(x, (bound,) * channels), *x.shape)
    assert y.dtype == np.int64 and y.shape == x.shape and y.flags.c_contiguous
    assert np.abs(x - y).max() <= bound


def test_each_column_has_a_bound_of_its_own():
    x, bounds = leads(600, 4), (0, 9, 2, 400)
    y = decode(encode(x, bounds), *x.shape)
    assert (np.abs(x - y).max(0) <= bounds).all() and (np.abs(x - y).max(0)[1:] > 0).all()


@pytest.mark.parametrize("shape", [(0, 1), (0, 3), (1, 1), (1, 4), (2, 2), (33, 1)], ids=str)
def test_few_samples_or_none(shape):
    x = np.random.default_rng(1).integers(-9, 10, shape)
    assert np.array_equal(decode(encode(x, (0,) * shape[1]), *shape), x)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_integers_come_back_within_any_bounds(data):
    extent = data.draw(st.sampled_from([1, 5, 300, 70_000, MOST]))
    shape = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 4)))
    x = data.draw(arrays.arrays(np.int64, shape, elements=st.integers(-extent - 1, extent)))
    bounds = data.draw(st.tuples(*[st.integers(0, 6) | st.integers(0, MOST)] * shape[1]))
    assert (np.abs(x - decode(encode(x, bounds), *shape)).max(0) <= bounds).all()


@pytest.mark.parametrize("channels", [25, 26, 60, 256], ids="{} channels".format)
def test_many_channels(channels):
    x = leads(70, channels)
    assert np.array_equal(decode(encode(x, (0,) * channels), *x.shape), x)


def test_a_lead_that_follows_from_others_costs_next_to_nothing():
    two = leads(4000, 2)
    four = np.concatenate([two, two[:, 1:] - two[:, :1], two.sum(1, keepdims=True)], axis=1)
    assert len(encode(four, (0,) * 4)) < 1.05 * len(encode(two, (0, 0)))


def test_two_channels_of_one_source_help_each_other():
    x = leads(3000, 8)
    ours, alone = len(encode(x, (0,) * 8)), sum(len(encode(x[:, [c]], (0,))) for c in range(8))
    assert ours < 0.95 * alone and ours < 0.97 * len(encode_first(x, 0))


def test_a_smooth_signal_is_predicted_to_its_rounding():
    """Filtered far below half its rate: the ridge of the first mode costs it much."""
    rng = np.random.default_rng(0)
    spectrum = np.zeros(2001, complex)
    spectrum[1:200] = rng.normal(size=199) + 1j * rng.normal(size=199)
    x = np.fft.irfft(spectrum)
    x = np.rint(x / np.abs(x).max() * 10_000).astype(np.int64)[:, None]
    ours, first = (8 * len(code) / x.size for code in (encode(x, (0,)), encode_first(x, 0)))
    assert ours < 4 and ours < first - 1.2


def any_payload(rng: np.random.Generator) -> tuple[bytes, int, int]:
    """What no encoder wrote: bytes, samples, channels. Zeros decode to the rarest bits."""
    channels, extent = int(rng.integers(1, 4)), int(rng.choice([1, 100, 10**6, 2**32 - 1]))
    lowest = int(rng.integers(LEAST, MOST - extent, endpoint=True))
    flags = int(rng.integers(0, 16))
    header = write_varint(2 * lowest if lowest >= 0 else -2 * lowest - 1) + write_varint(extent)
    header += bytes([flags])
    bounds = rng.choice([0, 1, 500, MOST], 1 if flags & 4 else channels).tolist()
    shifts = rng.choice([0, 0, 1, 8, 17], 1 if flags & 8 else channels).tolist()
    header += b"".join(map(write_varint, bounds)) + bytes(shifts)
    pieces = [
        bytes(int(rng.integers(0, 40))) if rng.random() < 0.5 else rng.bytes(rng.integers(0, 30))
        for _ in range(rng.integers(1, 6))
    ]
    return header + b"".join(pieces), 66, channels


@pytest.mark.parametrize("seed", range(12), ids="seed {}".format)
def test_any_payload_decodes_to_what_the_second_decoder_gives(seed):
    data, n, channels = any_payload(np.random.default_rng(seed))
    assert decode(data, n, channels).T.tolist() == plain_decoder.decode_joint(data, n, channels)


def test_the_second_decoder_reads_mates():
    x = leads(20, 40)
    data = encode(x, (0,) * 40)
    assert plain_decoder.decode_joint(data, *x.shape) == x.T.tolist()


@pytest.mark.parametrize("size", range(0, 90, 9))
def test_a_payload_cut_or_changed_still_decodes_or_is_refused(size):
    x = leads(150, 2)
    data = encode(x, (0, 1))
    changed = bytearray(data)
    changed[size % len(data)] ^= 0x55
    for damaged in (data[:size], bytes(changed), data + b"more"):
        try:
            assert decode(damaged, *x.shape).shape == x.shape
        except CodecError:
            assert size < 9


RANGE = write_varint(0) + write_varint(9)


@pytest.mark.parametrize(
    ("data", "columns", "words"),
    [
        (RANGE, 1, "a field of 1 bytes cannot be in the 0 left"),
        (RANGE + b"\x10\0\0", 1, "no predictive payload has the flags 0x10"),
        (RANGE + b"\x0c" + write_varint(1 << 31) + b"\0", 2, "a bound of 2147483648 is beyond"),
        (RANGE + b"\x0c\0\x12", 2, "a shift of 18 of the differences is too large"),
        (RANGE + b"\x04\0\0", 2, "cannot be in the 0 left"),
        (RANGE + b"\x0c\0\0", 257, "257 columns are more than 256, which mode 3 takes"),
        (write_varint(2 * MOST) + write_varint(1), 1, "are beyond 32 bits"),
        (write_varint(2 * MOST + 3) + write_varint(1), 1, "are beyond 32 bits"),
        (write_varint(7) + write_varint(0) + b"\0", 1, "1 bytes belong to no field"),
    ],
    ids="no-flags flags bound shift shifts columns above below more".split(),
)
def test_a_header_that_no_encoder_writes_is_refused(data, columns, words):
    with pytest.raises(CorruptStream, match=words):
        decode(data, 5, columns)
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode_joint(data, 5, columns)


@pytest.mark.parametrize(
    ("x", "bounds", "words"),
    [
        (np.array([[0], [MOST + 1]]), (0,), "beyond 32 bits"),
        (np.array([[0], [LEAST - 1]]), (0,), "beyond 32 bits"),
        (np.array([[0], [1]]), (-1,), "beyond 32 bits"),
        (np.array([[0], [1]]), (1 << 31,), "beyond 32 bits"),
        (np.zeros((3, 257), np.int64), (0,) * 257, "257 columns are more than 256"),
    ],
    ids="above below negative-bound large-bound columns".split(),
)
def test_what_the_encoder_refuses(x, bounds, words):
    with pytest.raises(ValueError, match=words):
        encode(x, bounds)


def fingerprints() -> list[str]:
    """Of what is coded and decoded from short signals."""
    found = []
    for channels, bound in [(1, 0), (2, 2)]:
        for x in signals(68 // channels, channels).values():
            data = encode(x, (bound,) * channels)
            y = decode(data, *x.shape)
            found.append(hashlib.sha256(data + y.astype("<i8").tobytes()).hexdigest())
    return found


@pytest.mark.parametrize("way", ["python", "extension", "llvm"])
def test_the_bytes_are_the_same_in_every_way_of_running(way):
    if way == "extension" and extension.built() is None:
        pytest.skip("the extension was not built")
    here = os.path.dirname(os.path.abspath(__file__))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import test_codec_joint as t; print(*t.fingerprints())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, here],
        capture_output=True, text=True, timeout=300, env=os.environ | {"SAN_LOOPS": way},
        cwd=extension.HOME,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == fingerprints()


def test_the_bytes_stay_what_they_were():
    i = np.arange(600)[:, None]
    x = (i * i * [7, 11, 18] // 50) % 301 + i % 7
    digests = [hashlib.sha256(encode(x, (b, 0, b))).hexdigest()[:16] for b in (0, 2)]
    assert digests == ["3eb5e9aba247a8e7", "a3d4e31492a6eca1"]


# Which mode a chunk has


def test_the_smaller_mode_is_written():
    x = leads(2000, 6)
    assert encode_predictive(x, (0,) * 6, newer_modes=True)[0] == JOINT
    assert encode_predictive(x, (0,) * 6)[0] == PREDICTIVE
    assert encode_predictive(np.full((9, 2), 5), (0, 0), newer_modes=True)[0] == PREDICTIVE
    assert encode_predictive(leads(9, 300), (0,) * 300, newer_modes=True)[0] == PREDICTIVE


@pytest.mark.parametrize(
    ("n", "columns", "tried"),
    [(512, 8, False), (500, 8, True), (700, 7, True)],
    ids=["many columns", "few values", "few columns"],
)
def test_the_first_mode_is_not_tried_for_many_columns(n, columns, tried, monkeypatch):
    calls = []
    monkeypatch.setattr(payload, "_encode_predictive", lambda *_: calls.append(1) or bytes(9999))
    encode_predictive(leads(n, columns), (0,) * columns, newer_modes=True)
    assert len(calls) == tried


@pytest.mark.parametrize(
    ("n", "columns", "effort", "tried"),
    [
        (16_385, 1, "normal", False),
        (16_385, 1, "best", True),
        (16_384, 2, "normal", True),
        (16_385, 3, "normal", True),
    ],
    ids=["long lead", "most effort", "short", "several leads"],
)
def test_mode_3_of_long_leads_is_for_the_most_effort(n, columns, effort, tried, monkeypatch):
    calls = []
    monkeypatch.setattr(payload.joint, "encode", lambda *_: calls.append(1) or bytes(10**6))
    x = leads(n, columns).astype(np.int16)
    assert np.array_equal(san.decompress(san.compress(x, lossless=True, effort=effort)), x)
    assert bool(calls) == tried


def test_the_second_predictive_mode_is_used_only_where_that_is_smaller():
    x = leads(2000, 6).astype(np.int16)
    streams = [san.compress(y, lossless=True) for y in (x, x[:3, :1], np.zeros_like(x))]
    modes = [StreamReader(stream).chunk(0)[0] for stream in streams]
    assert modes == [JOINT, PREDICTIVE, PREDICTIVE]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "float32"])
def test_every_dtype_comes_back(dtype):
    x = leads(1500, 4)
    x = (x / 512).astype(dtype) if dtype == "float32" else (x % 128).astype(dtype)
    stream = san.compress(x, lossless=True)
    assert stream[4] == 4 and san.decompress(stream).tobytes() == x.tobytes()


# Its parts


@pytest.mark.parametrize("smoothings", [0, 5], ids=["noise", "smooth"])
def test_weights_are_those_of_least_squares(smoothings):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 21))
    for _ in range(smoothings):
        x = x[1:] + x[:-1]
    x = np.rint(x * 300).astype(np.int64)
    x[:, 0] = np.rint(x[:, 1:6] @ [0.5, -1, 2, 0.3, 0.1] + rng.normal(0, 3, len(x)))
    moments = x.T @ x * 4
    triangle = np.concatenate([moments[i, : i + 1] for i in range(21)])
    weights = np.zeros(22, np.int64)
    solver = least_squares.new_solver(22)
    least_squares.solve(solver, triangle, 0, 20, 22, weights, 0)
    exact = np.linalg.solve(moments[1:, 1:].astype(float), moments[1:, 0].astype(float))
    assert np.abs(weights[1:21] / 2**24 - exact).max() < 2e-6


@pytest.mark.parametrize("pivot", [1 << 42, (1 << 42) + 1, 3 << 43, (1 << 45) - 1, 1 << 45])
def test_a_reciprocal_is_exact(pivot):
    # Of numpy integers, as a compiled loop has them: no number on the way is longer than 64 bits
    reciprocal = getattr(least_squares.reciprocal, "py_func", least_squares.reciprocal)
    with np.errstate(over="raise"):
        assert int(reciprocal(np.int64(pivot))) == 2**88 // pivot


@pytest.mark.parametrize("name", ["soft", "short"])
def test_no_value_of_a_table_is_near_the_middle_of_two_integers(name):
    values = {
        "soft": [256 * math.log1p(math.exp(-i / 256)) for i in range(2048)],
        "short": [-256 * math.log(-math.expm1(-max(1, i) / 256)) for i in range(2048)],
    }[name]
    assert min(abs(v - math.floor(v) - 0.5) for v in values) > 1e-5
    table = odds.soft_table() if name == "soft" else odds.short_table()
    assert table.tolist() == [round(v) for v in values]


@integer_loop
def find_odds(place, edge, width, tables, found):
    found[0] = odds.odds_of_some(place, width, tables)
    found[1] = odds.odds_of_above(place, width, tables)
    found[2] = odds.odds_of_beyond(edge, width, tables)
    found[3] = odds.odds_of_further(edge, width, tables)


@pytest.mark.parametrize("place", [-3000, -700, 0, 40, 2500])
@pytest.mark.parametrize("width", [40, 900, 4000])
def test_odds_are_those_of_the_logistic_distribution(place, width):
    def below(v: float) -> float:
        return 1 / (1 + math.exp(-v / 1024))

    def near(found: int, one: float, other: float) -> None:
        assert abs(found - 256 * math.log(one / other)) < 40 + 256 * 8 / width

    tables, half, steps = odds.odds_tables(), width // 2, 2
    inside = below(place + half) - below(place - half)
    edge, found = place + half + steps * width, np.zeros(4, np.int64)
    find_odds(place, edge, width, tables, found)
    some, above, beyond, further = found.tolist()
    near(some, 1 - inside, inside)
    near(above, 1 - below(place + half), below(place - half))
    past, next_past = 1 - below(edge), 1 - below(edge + width)
    near(beyond, next_past, past - next_past)
    near(
        further,
        below(edge + 2 * width) - below(edge + width),
        below(edge + width) - below(edge),
    )
