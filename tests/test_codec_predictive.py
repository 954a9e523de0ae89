"""The predictive coder: exact or within its bound on any signal, and the same on every machine."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import plain_decoder
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from san.codec.entropy import extension, mixing
from san.codec.entropy.logistic import MIDDLE, RATES, squash_table, stretch_table
from san.codec.entropy.loops import wrapped
from san.codec.entropy.varints import write_varint
from san.codec.errors import CodecError, CorruptStream
from san.codec.modes import decisions, experts
from san.codec.modes.decisions import COUNT_LIMIT
from san.codec.modes.experts import expert_tables
from san.codec.modes.predictive import FEW, Room, decode, encode

MOST, LEAST = 2**31 - 1, -(2**31)


def heartbeat(n: int, channels: int) -> np.ndarray:
    """Beats, wander and noise in each channel, delayed and inverted from one to the next."""
    t = np.arange(n)[:, None] - 3 * np.arange(channels)
    beat = 400 * np.exp(-(((t % 150) - 60) ** 2) / 18) + 80 * np.sin(t / 70)
    noise = np.random.default_rng(7).normal(0, 2, (n, channels))
    return np.rint(1024 + beat * (-1) ** np.arange(channels) + noise).astype(np.int64)


def signals(n: int, channels: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    t = np.arange(n)[:, None]
    shape = (n, channels)
    return {
        "beats": heartbeat(n, channels),
        "constant": np.full(shape, -77),
        "step": np.where(t < n // 2, -5, 1000) + np.zeros(shape, np.int64),
        "ramp": t * 11 + np.arange(channels),
        "impulse": np.where(t == n // 3, MOST, 0) + np.zeros(shape, np.int64),
        "coarse grid": rng.integers(-3, 4, shape).cumsum(0) * 64,
        "full-scale square": np.where(t // 7 % 2, MOST, LEAST) + np.zeros(shape, np.int64),
        "full-scale noise": rng.integers(LEAST, MOST, shape, endpoint=True),
        "quiet, then loud": rng.integers(-1, 2, shape) * np.where(t < n // 2, 1, 10**7),
        "loud, then constant": rng.integers(-(10**8), 10**8, shape) * (t < n // 2),
        "clipped": np.clip(heartbeat(n, channels), 1000, 1100),
    }


@pytest.mark.parametrize("channels", [1, 2, 5], ids=["1 lead", "2 leads", "5 leads"])
@pytest.mark.parametrize("bound", [0, 1, 2, 5, 10**6, MOST], ids="bound {}".format)
@pytest.mark.parametrize("name", signals(1, 1))
def test_a_signal_comes_back_within_the_bound(name, bound, channels):
    x = signals(700, channels)[name].astype(np.int64)
    y = decode(encode(x, bound), *x.shape, bound)
    assert y.dtype == np.int64 and y.shape == x.shape and y.flags.c_contiguous
    assert np.abs(x - y).max() <= bound


@pytest.mark.parametrize("bound", [0, 3], ids="bound {}".format)
@pytest.mark.parametrize(
    "shape", [(0, 1), (0, 3), (1, 1), (1, 4), (2, 1), (2, 2), (33, 1)], ids=str
)
def test_few_samples_or_none(shape, bound):
    x = np.random.default_rng(1).integers(-9, 10, shape)
    y = decode(encode(x, bound), *shape, bound)
    assert y.shape == shape and np.abs(x - y).max(initial=0) <= bound


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_integers_come_back_within_any_bound(data):
    extent = data.draw(st.sampled_from([1, 5, 300, 70_000, MOST]))
    shape = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 4)))
    x = data.draw(arrays.arrays(np.int64, shape, elements=st.integers(-extent - 1, extent)))
    bound = data.draw(st.integers(0, 6) | st.integers(0, MOST))
    assert np.abs(x - decode(encode(x, bound), *shape, bound)).max() <= bound


@pytest.mark.parametrize("bound, most", [(0, 3.8), (1, 2.24), (5, 0.95)])
def test_bits_a_sample_of_beats_in_noise(bound, most):
    # Noise of standard deviation 2 alone has 3.05 bits a sample
    x = heartbeat(20_000, 1)
    assert 8 * len(encode(x, bound)) / x.size < most


def test_what_repeats_costs_next_to_nothing():
    x = np.repeat(np.random.default_rng(0).integers(0, 50, (20, 1)), 1000, axis=0)
    assert len(encode(x, 0)) < 250
    assert len(encode(np.full((10**6, 2), 1 << 30), 0)) < 8


def test_a_lead_that_follows_another_costs_little():
    lead = heartbeat(5000, 1)
    both = np.concatenate([lead, 2 * lead - 700], axis=1)
    assert len(encode(both, 0)) < 1.16 * len(encode(lead, 0))


@pytest.mark.parametrize("seed", range(40))
def test_garbage_decodes_to_something_or_to_a_codec_error(seed):
    rng = np.random.default_rng(seed)
    n, channels, bound = 300, int(rng.integers(1, 4)), int(rng.choice([0, 1, 1000, MOST]))
    data = rng.integers(0, 256, int(rng.integers(0, 200)), dtype=np.uint8).tobytes()
    if seed % 2:  # a header as an encoder writes it, then garbage
        data = encode(signals(50, 1)["full-scale noise"], 0)[:11] + data
    try:
        assert decode(data, n, channels, bound).shape == (n, channels)
    except CodecError:
        assert seed % 2 == 0


def any_payload(rng: np.random.Generator) -> tuple[bytes, int, int, int]:
    """What no encoder wrote: bytes, samples, channels, bound. Zeros decode to the rarest bits."""
    extent = int(rng.choice([1, 3, 100, 1000, 10**6, 2**31, 2**32 - 1]))
    lowest = int(rng.integers(LEAST, MOST - extent, endpoint=True))
    zigzag = 2 * lowest if lowest >= 0 else -2 * lowest - 1
    shift = int(rng.choice([0, 0, 1, 8, 17]))
    bound = int(rng.choice([0, 0, 1, 3, 500, MOST]))
    pieces = [
        bytes(int(rng.integers(0, 40))) if rng.random() < 0.5 else rng.bytes(rng.integers(0, 30))
        for _ in range(rng.integers(1, 6))
    ]
    header = write_varint(zigzag) + write_varint(extent) + bytes([shift])
    return header + b"".join(pieces), 70, int(rng.integers(1, 5)), bound


@pytest.mark.parametrize("seed", range(30), ids="seed {}".format)
def test_any_payload_decodes_to_what_the_second_decoder_gives(seed):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        data, n, channels, bound = any_payload(rng)
        expected = plain_decoder.decode_predictive(data, n, channels, bound)
        assert decode(data, n, channels, bound).T.tolist() == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (write_varint(0) + write_varint(9), "shift of the differences is missing or too large"),
        (write_varint(0) + write_varint(9) + b"\x12\0", "is missing or too large"),
        (write_varint(0) + write_varint(9) + b"\xff\0", "is missing or too large"),
        (write_varint(2 * MOST) + write_varint(1), "are beyond 32 bits"),
        (write_varint(2 * MOST + 3) + write_varint(1), "are beyond 32 bits"),
        (write_varint(7) + write_varint(0) + b"\0", "1 bytes after the header of a constant"),
        (b"\x80", "the data end within the number"),
    ],
    ids=["no shift", "shift 18", "shift 255", "above", "below", "more than a constant", "cut"],
)
def test_a_header_that_no_encoder_writes_is_refused(data, words):
    with pytest.raises(CorruptStream, match=words):
        decode(data, 5, 1, 0)
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode_predictive(data, 5, 1, 0)


def test_the_largest_shift_is_read():
    data = write_varint(2 * MOST + 1) + write_varint(2**32 - 1) + b"\x11" + bytes(range(40))
    assert decode(data, 60, 1, 0).T.tolist() == plain_decoder.decode_predictive(data, 60, 1, 0)


def test_noise_of_full_scale_takes_more_than_its_samples_and_comes_back():
    """More than four bytes a sample, for which the encoder makes room at its second try."""
    x = np.random.default_rng(5).integers(LEAST, MOST, (50_000, 1), endpoint=True)
    data = encode(x, 0)
    assert len(data) > 4 * x.size + 1024
    assert np.array_equal(decode(data, *x.shape, 0), x)


@pytest.mark.parametrize("size", range(0, 120, 7))
def test_a_stream_cut_or_changed_still_decodes_or_is_refused(size):
    x = heartbeat(200, 2)
    data = encode(x, 0)
    changed = bytearray(data)
    changed[size % len(data)] ^= 0x55
    for damaged in (data[:size], bytes(changed), data + b"more"):
        try:
            assert decode(damaged, *x.shape, 0).shape == x.shape
        except CodecError:
            assert size < 6


@pytest.mark.parametrize("value", [MOST + 1, LEAST - 1], ids=["above", "below"])
def test_beyond_32_bits_is_refused(value):
    with pytest.raises(ValueError, match="beyond 32 bits"):
        encode(np.array([[0], [value]]), 0)


@pytest.mark.parametrize("bound", [-1, 1 << 31], ids="bound {}".format)
def test_no_such_bound(bound):
    with pytest.raises(ValueError, match="beyond 32 bits"):
        encode(np.array([[0], [1]]), bound)


def test_the_encoder_leaves_its_samples_alone():
    x = heartbeat(300, 2)
    x.flags.writeable = False
    before = x.copy()
    encode(x, 2)
    assert (x == before).all()


def fingerprints() -> list[str]:
    """Of what is coded and decoded from signals of about 300 samples."""
    found = []
    for channels, bound in [(1, 0), (2, 0), (2, 3)]:
        for x in signals(300 // channels, channels).values():
            data = encode(x.astype(np.int64), bound)
            y = decode(data, *x.shape, bound)
            found.append(hashlib.sha256(data + y.astype("<i8").tobytes()).hexdigest())
    return found


@pytest.mark.parametrize("way", ["python", "extension", "llvm"])
def test_the_bytes_are_the_same_in_every_way_of_running(way):
    if way == "extension" and extension.built() is None:
        pytest.skip("the extension was not built")
    here = os.path.dirname(os.path.abspath(__file__))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import test_codec_predictive as t; print(*t.fingerprints())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, here],
        capture_output=True, text=True, timeout=300, env=os.environ | {"SAN_LOOPS": way},
        cwd=extension.HOME,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == fingerprints()


def test_the_bytes_stay_what_they_were():
    i = np.arange(1000)[:, None]
    x = (i * i * [7, 11] // 50) % 301 + i % 7
    digests = [hashlib.sha256(encode(x, bound)).hexdigest()[:16] for bound in (0, 2)]
    assert digests == ["2e0b0f08c140d7ca", "232977870097fd27"]


@given(
    sizes=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, FEW, FEW + 1, 40]), st.integers(1, 6)),
        min_size=2, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=40)
def test_a_group_is_decoded_alike_whatever_was_decoded_before_it(sizes):
    room = Room()
    for n, channels in sizes:
        x = heartbeat(n, channels) * channels
        body = encode(x, 0)
        assert np.array_equal(decode(body, n, channels, 0, room), x)


def test_the_farthest_place_is_the_last_one():
    logarithms = expert_tables()[experts.LOGARITHMS :].tolist()
    assert logarithms == sorted(logarithms)
    assert logarithms[decisions.FARTHEST - 1] < decisions.AWAY - 1
    assert logarithms[decisions.FARTHEST] == decisions.AWAY - 1


@given(st.integers(0, mixing.LARGEST_PROBABILITY), st.integers(0, COUNT_LIMIT), st.booleans())
@example(0, 0, True)
@example(mixing.LARGEST_PROBABILITY, 0, False)
def test_a_cell_moves_in_32_bits_as_in_64(probability, count, bit):
    cells = np.array([probability << mixing.COUNT_BITS | count], np.uint32)
    expected = cells.copy()
    mixing.move_cell(expected.data, expert_tables().data, 0, int(bit), COUNT_LIMIT)
    goal, rate = int(bit) * mixing.LARGEST_PROBABILITY, int(expert_tables()[RATES + count])
    moved = decisions.moved_cell(int(cells[0]), goal, rate)
    assert moved == wrapped(int(expected[0]))


def test_only_a_cell_that_has_counted_to_its_limit_has_the_last_rate():
    rates = expert_tables()[RATES : RATES + COUNT_LIMIT + 1]
    assert rates[-1] == decisions.LAST_RATE and (rates[:-1] > decisions.LAST_RATE).all()


@pytest.mark.parametrize("stubborn", [0.0, 0.5, 1.0])
def test_weights_grow_slowly_whatever_is_coded(stubborn):
    rng, weights = np.random.default_rng(5), [decisions.INITIAL_WEIGHT] * decisions.INPUTS
    squash, extreme = squash_table().tolist(), int(stretch_table()[-1])
    for _ in range(3000):
        stretched = rng.choice([-extreme, extreme, 0, 700], decisions.INPUTS).tolist()
        mixed = mixing.mean_of(sum(w * s for w, s in zip(weights, stretched, strict=True)))
        bit = int(mixed > 0) if rng.random() < stubborn else int(rng.integers(2))
        error = (bit << 16) - squash[MIDDLE + mixed]
        before = sum(w * w for w in weights)
        for a, s in enumerate(stretched):
            assert abs(s * error + decisions.HALF_WEIGHT) < 1 << 31
            weights[a] += mixing.moved(s, error, decisions.WEIGHT_SHIFT)
        assert sum(w * w for w in weights) < before + (1 << 26) + 3 * before**0.5
