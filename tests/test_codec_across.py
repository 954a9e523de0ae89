"""The transform across channels: its matrix, its payloads, and the targets of its streams."""

import math
import random

import numpy as np
import plain_decoder
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.codec.errors import CodecError, CorruptStream
from san.codec.file_format.stream import StreamReader
from san.codec.modes import across, components
from san.codec.modes.components import Layout, Plan
from san.codec.modes.dictionary import quantize
from san.codec.modes.events import QuantizedEvents
from san.codec.modes.mode_numbers import ACROSS, NEWER_MODES
from san.codec.modes.payload import decode_payload

FEW = settings(max_examples=15, deadline=None)


def leads(n, channels, seed=0, sources=2):
    """Channels that are mixtures of few slow sources, int64 (n, channels)."""
    rng = np.random.default_rng(seed)
    smooth = np.hanning(9) / np.hanning(9).sum()
    slow = [np.convolve(rng.normal(0, 300, n + 8), smooth, "valid") for _ in range(sources)]
    mixed = np.stack(slow, 1) @ rng.normal(size=(sources, channels))
    return np.rint(mixed + rng.normal(0, 2, (n, channels))).astype(np.int64)


def random_plan(n, channels, count, seed=0, bounds=None, events=None):
    rng = np.random.default_rng(seed)
    q = np.rint(rng.standard_t(2, (n, count)) * (rng.random((n, count)) < 0.2)).astype(np.int64)
    bits = int(rng.integers(3, 11))
    angles = rng.integers(0, 1 << bits, across.angles_of(channels, channels))
    codes = tuple(rng.integers(0, 900, channels).tolist())
    layout = Layout(codes, bits, angles, tuple(rng.integers(-40, 40, channels).tolist()))
    return Plan(layout, q, (37, 25), 3, events, bounds)


# The matrix


@given(st.integers(2, 20), st.integers(3, 10), st.integers(0, 9))
@FEW
def test_the_matrix_is_orthonormal(channels, bits, seed):
    angles = np.random.default_rng(seed).integers(
        0, 1 << bits, across.angles_of(channels, channels)
    )
    matrix = across.matrix_of(angles, bits, channels, channels) / (1 << across.MATRIX_BITS)
    assert np.abs(matrix.T @ matrix - np.eye(channels)).max() < 1e-5


def test_the_first_components_do_not_depend_on_the_later_ones():
    angles = np.random.default_rng(0).integers(0, 256, across.angles_of(7, 7))
    whole, part = across.matrix_of(angles, 8, 7, 7), across.matrix_of(angles[:11], 8, 7, 2)
    assert np.array_equal(whole[:, :2], part)


def test_no_sine_lies_near_the_middle_of_two_integers():
    values = [2**30 * math.sin(math.pi * i / 1024) for i in range(513)]
    assert min(abs(value % 1 - 0.5) for value in values) > 1e-3
    assert across.sine_table()[:513].tolist() == [round(value) for value in values]


def test_large_numbers_take_integers_and_small_ones_floats_with_the_same_result():
    rng = np.random.default_rng(1)
    matrix = across.matrix_of(rng.integers(0, 256, across.angles_of(9, 9)), 8, 9, 9)
    for size in (2**20, 2**37):
        v = rng.integers(-size, size, (40, 9))
        rows = [[sum(int(u) * int(a) for u, a in zip(row, sample, strict=True)) for row in matrix]
                for sample in v]  # fmt: skip
        exact = [[(total + (1 << 19)) >> 20 for total in row] for row in rows]
        assert across.to_channels(v, matrix).tolist() == exact


@given(st.integers(2, 16), st.integers(0, 99))
@FEW
def test_angles_turn_channels_into_components_of_falling_energy(channels, seed):
    x = leads(300, channels, seed).astype(float)
    covariance = x.T @ x
    angles = across.rotation_angles(covariance, 10)
    matrix = across.matrix_of(angles, 10, channels, channels) / (1 << across.MATRIX_BITS)
    energy = np.diag(matrix.T @ covariance @ matrix)
    assert energy[0] == pytest.approx(np.linalg.eigvalsh(covariance)[-1], rel=0.01)
    assert (energy[1:] <= energy[:-1] * 1.01 + 1e-6 * energy[0]).all()


# Payloads


@pytest.mark.parametrize("bounded", [False, True], ids=["free", "within bounds"])
@pytest.mark.parametrize(
    ("n", "channels", "count"), [(1, 2, 1), (7, 3, 0), (8, 2, 2), (60, 5, 3), (90, 20, 20)], ids=str
)
def test_both_decoders_give_what_the_encoder_says(n, channels, count, bounded):
    bounds = tuple(range(channels)) if bounded else None
    plan = random_plan(n, channels, count, seed=n, bounds=bounds)
    x = components.reconstruct(plan) + np.random.default_rng(0).integers(-9, 10, (n, channels))
    payload, y, sizes = components.encode(x, plan, None)
    assert np.array_equal(components.decode(payload, n, channels, None), y)
    assert plain_decoder.decode_across(payload, n, channels, None) == y.T.tolist()
    assert sum(sizes.values()) <= len(payload) + 1
    if bounded:
        assert (np.abs(x - y) <= np.arange(channels)).all()


def test_events_of_components_are_drawn_by_both_decoders():
    n, channels = 150, 3
    dictionary = quantize(np.random.default_rng(0).normal(size=(2, channels, 32)))
    starts, kernels = np.array([5, 40, 110]), np.array([0, 1, 0])
    events = QuantizedEvents(starts, kernels, np.array([[9, -4], [0, 70], [-12, 3]]))
    plan = random_plan(n, channels, 2, events=events)
    drawn = components.draw(events, dictionary, n)
    x = components.reconstruct(plan, drawn)
    payload, y, _ = components.encode(x, plan, dictionary)
    assert np.array_equal(y, x)
    assert np.array_equal(components.decode(payload, n, channels, dictionary), x)
    theirs = plain_decoder.read_dictionary(dictionary.data)
    assert plain_decoder.decode_across(payload, n, channels, theirs) == x.T.tolist()
    found, strengths = components.decode_events(payload, n, channels, dictionary)
    assert np.array_equal(found.amplitudes, events.amplitudes)
    per_channel = components.reconstruct(plan._replace(q=0 * plan.q), drawn)
    per_channel -= components.reconstruct(plan._replace(q=0 * plan.q))
    energy = (per_channel[5:37].astype(float) ** 2).sum(0)
    assert strengths[0] ** 2 == pytest.approx(energy, rel=0.05, abs=40)
    with pytest.raises(CorruptStream, match="there are no kernels"):
        components.decode(payload, n, channels, None)


@pytest.mark.parametrize("channels", [1, 257, 1024])
def test_a_transform_across_other_numbers_of_channels_is_corrupt(channels):
    with pytest.raises(CorruptStream, match=f"across {channels} channels"):
        decode_payload(bytes([ACROSS]) + b"\xff" * 40, 16, channels, None)


def test_more_components_than_samples_are_corrupt():
    with pytest.raises(CorruptStream, match="components of 20 channels of 1 samples"):
        decode_payload(bytes([ACROSS, 0]), 1, 20, None)


@pytest.mark.parametrize(("n", "channels"), [(1, 2), (9, 12), (40, 3), (33, 64)], ids=str)
def test_a_hostile_payload_gives_samples_or_an_error_in_words(n, channels):
    random_bytes, dictionary = random.Random(n), quantize(np.ones((3, channels, 32)))
    for _ in range(60):
        payload = bytes([ACROSS]) + random_bytes.randbytes(random_bytes.randrange(80))
        for given_ in (None, dictionary):
            try:
                samples = decode_payload(payload, n, channels, given_)
            except CodecError as error:
                assert str(error)
            else:
                assert samples.shape == (n, channels)


# Streams


def prdn_of(x, y):
    x = x.astype(float)
    deviation = np.sqrt(((x - x.mean(0)) ** 2).sum(0))
    error = np.sqrt(((x - y) ** 2).sum(0))
    return (100 * error / np.where(deviation > 0, deviation, 1)).max()


def test_channels_that_are_alike_are_coded_together_in_fewer_bytes():
    x = leads(900, 8).astype(np.int16)
    together = san.compress(x, fs=100, prdn=6, events=False)
    alone = [san.compress(x[:, c], fs=100, prdn=6, events=False) for c in range(8)]
    assert together[4] == 4
    assert len(together) < 0.5 * sum(map(len, alone))
    assert prdn_of(x, san.decompress(together)) <= 6


def test_channels_that_have_nothing_in_common_need_no_newer_version():
    x = np.rint(np.random.default_rng(3).normal(0, 90, (1500, 2))).astype(np.int16)
    blob = san.compress(x, prdn=30, events=False)
    assert StreamReader(blob).chunk(0)[0] not in NEWER_MODES


def test_a_prdn_that_no_float_squares_is_kept_without_loss():
    x = leads(200, 2).astype(np.int16)
    assert np.array_equal(san.decompress(san.compress(x, prdn=1e-200)), x)


@given(
    st.integers(8, 120), st.integers(2, 9), st.sampled_from([0.5, 4, 25, 90]), st.integers(0, 99)
)
@FEW
def test_a_prdn_holds_in_every_channel(n, channels, prdn, seed):
    x = leads(n, channels, seed).astype(np.int32)
    x[:, seed % channels] = 7  # a constant channel comes back exactly
    assert prdn_of(x, san.decompress(san.compress(x, prdn=prdn, events=False))) <= prdn


@given(st.integers(8, 90), st.integers(2, 7), st.integers(1, 60), st.integers(0, 99))
@FEW
def test_a_bound_holds_for_every_sample(n, channels, bound, seed):
    x = leads(n, channels, seed).astype(np.int16)
    y = san.decompress(san.compress(x, max_error=bound, events=False))
    assert np.abs(x.astype(int) - y).max() <= bound


@pytest.mark.parametrize("bits", [0.4, 1.5])
def test_a_size_holds(bits):
    x = leads(2500, 6).astype(np.int16)
    assert len(san.compress(x, bits_per_sample=bits, events=False)) <= bits * x.size / 8


EXTREMES = np.array([2**31 - 1, -(2**31), 0, 5], np.int32)


@pytest.mark.parametrize(
    "x",
    [
        np.stack([np.tile(EXTREMES, 10)] * 3, 1),
        np.stack([np.arange(40), np.full(40, 2**31 - 1)], 1).astype(np.int32),
        np.full((30, 4), -(2**31), np.int32),
        np.tile(np.array([[0, 255]], np.uint8), (33, 1)),
    ],
    ids=["extremes", "a constant extreme", "constant", "two constants"],
)
def test_extreme_integers_keep_their_targets(x):
    assert prdn_of(x, san.decompress(san.compress(x, prdn=9, events=False))) <= 9
    y = san.decompress(san.compress(x, max_error=1000, events=False))
    assert np.abs(x.astype(np.int64) - y).max() <= 1000


def test_gaps_of_one_channel_stay_where_they_are():
    x = leads(400, 5) / 200
    x[50:60, 2], x[90, 0] = np.nan, np.inf
    y = san.decompress(san.compress(x, prdn=8, events=False))
    finite = np.isfinite(x)
    assert np.array_equal(x[~finite], y[~finite], equal_nan=True)
    filled = [x[finite[:, c], c][:, None] for c in range(5)]
    given_back = [y[finite[:, c], c][:, None] for c in range(5)]
    assert max(map(prdn_of, filled, given_back)) <= 8


def test_events_of_components_make_a_stream_smaller():
    rng = np.random.default_rng(0)
    pulses = rng.normal(0, 90, (2, 80)) * np.hanning(80)  # nothing but their repetition is simple
    beats = np.zeros(4000)
    beats[np.arange(60, 3900, 97) + rng.integers(0, 5, 40)] = 1
    sources = np.stack([np.convolve(beats, pulse)[:4000] for pulse in pulses], axis=1)
    x = np.rint(sources @ rng.normal(size=(2, 6)) + rng.normal(0, 2, (4000, 6))).astype(np.int16)
    blob, without = (san.compress(x, fs=100, prdn=9, events=e) for e in (True, False))
    assert blob[4] == without[4] == 4
    assert len(blob) < 0.9 * len(without)
    assert prdn_of(x, san.decompress(blob)) <= 9
    events = san.Decoder(blob).events()
    assert len(events) > 30
    assert np.isfinite(events.amplitude).all()


def test_chunks_share_scales_and_decode_alone():
    x = leads(1200, 6).astype(np.int16)
    blob = san.compress(x, fs=100, prdn=7, events=False, chunk_seconds=4)
    decoder = san.Decoder(blob)
    whole = san.decompress(blob)
    assert blob[4] == 4
    assert prdn_of(x, whole) <= 7
    assert np.array_equal(decoder.read(450, 800), whole[450:800])
