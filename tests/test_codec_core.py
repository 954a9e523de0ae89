"""The codec's numeric rooms: decisions, wavelet, events, kernels, and the search that uses them."""

import hashlib
import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from san.codec.entropy import logistic, mixing, range_coder
from san.codec.errors import CodecError
from san.codec.modes import bands, dictionary, events, payload, transform, wavelet
from san.codec.modes.transform import Plan, Setting
from san.codec.search import excerpts, learning, pursuit, trials
from san.codec.search.coding import encode_signal
from san.codec.target import LOSSLESS, Target

NONE = np.zeros(0, np.int64)


def beats(n: int, seed: int = 0, noise: float = 3.0, interval: int = 300) -> np.ndarray:
    """A made-up ECG: a sharp and a slow wave at a changing rhythm, int64 (n, 1)."""
    random = np.random.default_rng(seed)
    x = random.normal(0, noise, n) + 40 * np.sin(np.arange(n) / 900)
    t = np.arange(-100, 150)
    beat = 300 * np.exp(-((t / 6) ** 2)) - 60 * np.exp(-(((t - 14) / 8) ** 2))
    beat += 80 * np.exp(-(((t - 90) / 25) ** 2))
    at = 120
    while at < n - 160:
        x[at - 100 : at + 150] += beat * random.uniform(0.9, 1.1)
        at += int(random.normal(interval, 12))
    return np.rint(x).astype(np.int64)[:, None]


# Tables and range coder


def test_no_entry_of_a_table_is_near_the_middle_of_two_integers():
    def distance(v):
        return abs(v - math.floor(v) - 0.5)

    values = [65536 / (1 + math.exp(-t / 256)) for t in range(-2815, 2816)]
    values += [256 * math.log((i + 0.5) / (4095.5 - i)) for i in range(4096)]
    values += [65536 / (n + 1.6) for n in range(1024)] + [256 * n / (n + 0.4) for n in range(1024)]
    values += [65536 * 2 ** (i / 128) for i in range(128)]
    assert min(map(distance, values)) > 9e-5


def test_the_tables_are_the_ones_of_the_format():
    assert hashlib.sha256(logistic.all_tables().astype("<i4").tobytes()).hexdigest() == (
        "3d1014f7ba0fbf374c61a1c14364fe184d0e906bb8a6e7002318d941199ce244"
    )


@given(st.lists(st.tuples(st.integers(1, 65535), st.booleans()), max_size=300))
@settings(max_examples=100, deadline=None)
def test_bits_come_back_from_the_range_coder(decisions):
    coder, data = range_coder.new_encoder(4096)
    code = range_coder.integer_loop(range_coder_bit)
    for p, bit in decisions:
        code(coder, data, p, int(bit))
    written = range_coder.finish(coder, data)
    information = sum(-math.log2((p if bit else 65536 - p) / 65536) for p, bit in decisions)
    assert 8 * len(written) <= 1.01 * information + 40
    read = np.frombuffer(bytearray(written), np.uint8)
    coder = range_coder.new_decoder(read)
    assert [code(coder, read, p, 0) for p, _ in decisions] == [int(bit) for _, bit in decisions]


def range_coder_bit(coder, data, p, bit):
    return range_coder.code_bit(coder, data, p, bit)


# Wavelet


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 100, 1001])
@pytest.mark.parametrize("levels", [0, 1, 3, 5])
def test_the_wavelet_is_undone(n, levels):
    levels = min(levels, max(0, n.bit_length() - 1))
    x = np.random.default_rng(n).integers(-(2**20), 2**20, n) << 8
    found = wavelet.analyze(x, levels)
    assert [b.size for b in found] == wavelet.band_sizes(n, levels)
    assert np.abs(wavelet.synthesize(found) - x).max() <= 24 * max(1, levels)


def test_the_wavelet_keeps_energy_about():
    x = np.random.default_rng(0).integers(-1000, 1000, 5000) << 8
    energy = sum(float((b.astype(float) ** 2).sum()) for b in wavelet.analyze(x, 6))
    assert energy == pytest.approx(float((x.astype(float) ** 2).sum()), rel=0.1)


def test_a_line_has_no_detail():
    details = wavelet.analyze(np.arange(0, 100, dtype=np.int64) << 8, 2)[1:]
    assert all(np.abs(band[4:-4]).max() <= 8 for band in details)


# Coefficients and events


@pytest.mark.parametrize("sparse", [0, 1])
@pytest.mark.parametrize("kind", ["zeros", "sparse", "dense", "huge"])
@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 300])
def test_a_band_comes_back(size, kind, sparse):
    random = np.random.default_rng(size)
    q = {
        "zeros": np.zeros(size, np.int64),
        "sparse": np.where(random.random(size) < 0.05, random.integers(-3, 4, size), 0),
        "dense": random.integers(-40, 40, size),
        "huge": random.integers(-(2**36), 2**36, size),
    }[kind]
    beside = (random.integers(-9, 9, size), random.integers(-30, 30, size))
    parents = (random.integers(-5, 5, size // 2 + 1), random.integers(-5, 5, size // 4))
    around = bands.Around(*parents, *beside)
    mixer = mixing.new_mixer(size + 1, None, mixing.new_state(size + 1))
    bands.code_band(mixer, q.copy(), NONE, 0, around, 4, sparse)
    data = range_coder.finish(mixer.m, mixer.data)
    back = np.zeros(size, np.int64)
    mixer = mixing.new_mixer(size + 1, data, mixing.new_state(size + 1))
    bands.code_band(mixer, back, NONE, 0, around, 4, sparse)
    assert np.array_equal(back, q)


def coded_band(size, penalty):
    """Coefficients in steps that are coded with this penalty, and the bits that they take."""
    q, mixer = np.rint(size).astype(np.int64), mixing.new_mixer(4000, None, mixing.new_state(4000))
    around = bands.Around(NONE, NONE, NONE, NONE)
    bands.code_band(mixer, q, np.floor(np.abs(size) * 256).astype(np.int64), penalty, around, 9, 1)
    return q, 8 * len(range_coder.finish(mixer.m, mixer.data))


@pytest.mark.parametrize("spread", [0.3, 0.6, 1.5], ids="spread {}".format)
def test_a_smaller_coefficient_is_taken_where_its_bits_are_worth_more_than_its_error(spread):
    size = np.random.default_rng(2).laplace(0, spread, 4000)
    plain, chosen = coded_band(size, 0), coded_band(size, transform.PENALTY)
    before, after = (
        ((np.abs(size) - np.abs(q)) ** 2).sum() + transform.PENALTY / 65536 * bits
        for q, bits in (plain, chosen)
    )
    assert after < before
    smaller = np.abs(plain[0]) - np.abs(chosen[0])
    assert (
        (smaller >= 0).all() and (smaller <= 2).all() and (plain[0][smaller == 2] ** 2 == 4).all()
    )
    assert (chosen[0] * plain[0] >= 0).all()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_events_come_back(data):
    n, channels = data.draw(st.integers(1, 3000)), data.draw(st.integers(1, 3))
    kernels, width = data.draw(st.integers(1, 64)), data.draw(st.integers(0, 9))
    many = data.draw(st.integers(0, 40))
    positions = np.sort(data.draw(st.lists(st.integers(0, n - 1), min_size=many, max_size=many)))
    positions = np.array(positions, np.int64)
    chosen = np.array([data.draw(st.integers(0, kernels - 1)) for _ in positions], np.int64)
    size = data.draw(st.sampled_from([1, 20, 2**23]))
    seed = data.draw(st.integers(0, 99))
    amplitudes = np.random.default_rng(seed).integers(-size, size + 1, (many, channels))

    def run(found, count, coded):
        mixer = mixing.new_mixer(n + 100, coded, mixing.new_state(n))
        count = events.code_events(
            mixer, *found, count, n, width, events.tree_bits(kernels), channels,
            events.new_memory(kernels, channels),
        )  # fmt: skip
        return count, mixer

    _, mixer = run((positions, chosen, amplitudes.reshape(-1).copy()), many, None)
    coded = range_coder.finish(mixer.m, mixer.data)
    room = (np.zeros(50, np.int64), np.zeros(50, np.int64), np.zeros(50 * channels, np.int64))
    count, _ = run(room, 0, coded)
    assert count == many
    assert np.array_equal(room[0][:count], positions)
    assert np.array_equal(room[1][:count], chosen)
    assert np.array_equal(room[2][: count * channels], amplitudes.reshape(-1))


# Dictionary


@pytest.mark.parametrize("shape", [(1, 1, 32), (5, 1, 96), (3, 2, 64), (64, 1, 32)])
def test_kernels_come_back_with_unit_energy(shape):
    random = np.random.default_rng(1)
    kernels = np.cumsum(random.normal(size=shape), axis=2)
    found = dictionary.quantize(kernels, 9)
    assert found.kernels.shape == shape
    assert np.array_equal(dictionary.read(found.data).kernels, found.kernels)
    unit = kernels / np.sqrt((kernels**2).sum(2, keepdims=True))
    assert np.abs(found.kernels / 2**14 - unit).max() < 0.02
    assert (found.kernels**2).sum(2) / 2**28 == pytest.approx(np.ones(shape[:2]), abs=2e-3)


def test_a_dictionary_may_have_no_kernel():
    assert dictionary.no_kernels(3).kernels.shape == (0, 3, 32)


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_dictionary_or_an_error(data):
    try:
        found = dictionary.read(data)
        transform.start_of(found, 10, found.kernels.shape[1])
    except CodecError:
        pass


# Search


def test_pursuit_finds_what_was_planted():
    kernel = np.zeros((1, 1, 64), np.float32)
    kernel[0, 0] = np.hanning(64)
    kernel /= np.sqrt((kernel**2).sum())
    x = np.zeros((1, 1000), np.float32)
    for t, a in ((100, 40), (300, -25), (380, 60), (936, 30)):
        x[0, t : t + 64] += a * kernel[0, 0]
    found, left = pursuit.pursue(x, pursuit.known_of(kernel), bits=0)
    assert found.starts.tolist() == [100, 300, 380, 936]
    assert found.amplitudes[:, 0].tolist() == [40, -25, 60, 30]
    assert np.abs(left).max() < 1


def test_pursuit_takes_nothing_from_noise():
    x = np.random.default_rng(0).normal(0, 1, (1, 5000)).astype(np.float32)
    kernel = np.hanning(64).astype(np.float32)[None, None] / math.sqrt(24)
    assert len(pursuit.pursue(x, pursuit.known_of(kernel))[0]) == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_peaks_are_the_extrema_of_a_map_that_is_not_below_zero(heights, min_distance):
    x = np.array(heights, np.float32)
    kept = np.flatnonzero(naive.extrema(x, (min_distance,)))
    assert pursuit.peaks(x, min_distance).tolist() == kept.tolist()


def test_learning_finds_the_shape_of_the_beats():
    found = learning.learn_kernels(beats(40_000), 360, np.array([12.0]))
    assert found is not None
    assert 1 <= len(found.kernels) <= 4


def test_noise_needs_no_kernels():
    x = np.random.default_rng(0).normal(0, 50, (20_000, 1)).astype(np.int64)
    assert learning.learn_kernels(x, 360, np.array([20.0])) is None


def coded(x, target, **options):
    found = encode_signal(x, target, **{"fs": 360, "chunk_samples": 1 << 20, **options})
    samples = options.get("chunk_samples", 1 << 20)
    pieces = [
        payload.decode_payload(p, min(samples, len(x) - i * samples), x.shape[1], found.dictionary)
        for i, p in enumerate(found.payloads)
    ]
    return found, np.concatenate(pieces)


def prdn(x, y):
    return 100 * np.sqrt(((x - y) ** 2).sum(0) / ((x - x.mean(0)) ** 2).sum(0))


def size(found):
    return sum(map(len, found.payloads)) + (len(found.dictionary.data) if found.dictionary else 0)


@pytest.mark.parametrize("target", [3.0, 8.0, 20.0])
@pytest.mark.parametrize("samples", [1 << 20, 3600], ids=["whole", "10 s chunks"])
def test_the_error_is_just_below_what_is_asked_for(target, samples):
    x = beats(10_000)
    _, y = coded(x, Target(prdn=target), chunk_samples=samples)
    assert 0.75 * target < prdn(x, y)[0] <= target  # fewer bytes may come with a smaller error


def test_events_save_bytes_where_beats_repeat():
    x = beats(40_000)
    with_events, without = (coded(x, Target(prdn=8.0), events=e)[0] for e in (True, False))
    assert size(with_events) < 0.7 * size(without)
    assert with_events.sections["events"] > 100


@pytest.mark.parametrize("target", [8, 20])
@pytest.mark.parametrize("channels", [1, 5])
def test_events_never_cost_bytes(channels, target):
    x = np.concatenate([beats(2000, seed, noise=8 + seed) for seed in range(channels)], axis=1)
    with_events, without = (coded(x, Target(prdn=target), events=e)[0] for e in (True, False))
    assert size(with_events) <= 1.01 * size(without)


def test_chunks_learn_from_an_excerpt():
    x = beats(40_000)
    found, _ = coded(x, Target(prdn=8.0), chunk_samples=3600)
    assert found.dictionary is not None and found.dictionary.samples > 0


def test_two_channels_share_their_events():
    x = beats(9000)
    both = np.ascontiguousarray(np.concatenate([x, x // 2 + 7], axis=1))
    found, y = coded(both, Target(prdn=8.0))
    assert (prdn(both, y) <= 8).all()
    assert size(found) < 1.5 * size(coded(x, Target(prdn=8.0))[0])


@pytest.mark.parametrize("bound", [1, 2, 5, 20])
def test_no_sample_is_off_by_more_than_its_bound(bound):
    x = np.concatenate([beats(2000), beats(2000, seed=5)], axis=1)
    bounds = (bound, bound + 3)
    _, y = coded(x, Target(max_error=1.0), bounds=bounds)
    assert (np.abs(x - y).max(0) <= bounds).all()


@pytest.mark.parametrize("bits", [0.3, 1.0, 3.0])
def test_bytes_are_at_most_what_is_asked_for(bits):
    x = beats(20_000)
    assert size(coded(x, Target(bits_per_sample=bits))[0]) <= bits * len(x) / 8


@pytest.mark.parametrize("n", [1, 2, 3, 10, 31, 32, 100])
@pytest.mark.parametrize("kind", ["prdn", "max_error", "lossless", "bits_per_sample"])
def test_short_and_constant_signals(kind, n):
    for x in (np.full((n, 2), 7), np.arange(2 * n).reshape(n, 2) * 1000):
        _, y = coded(x.astype(np.int64), Target.stored(kind, 5.0), bounds=(3, 3))
        if kind == "lossless":
            assert np.array_equal(x, y)
        if kind == "max_error":
            assert np.abs(x - y).max() <= 3
        assert y.shape == x.shape


def test_extreme_integers():
    random = np.random.default_rng(0)
    x = random.integers(-(2**31) + 1, 2**31 - 1, (500, 1))
    for target in (Target(prdn=5.0), Target(max_error=1000.0), LOSSLESS):
        _, y = coded(x, target, bounds=(1000,))
        assert target.kind != "lossless" or np.array_equal(x, y)
        assert target.kind != "max_error" or np.abs(x - y).max() <= 1000
        assert target.kind != "prdn" or prdn(x, y) <= 5


def test_a_dictionary_of_many_signals_is_used_by_each():
    signals = [beats(4000, seed) for seed in range(12)]
    shared = excerpts.learn_for(signals, 360, 8.0)
    assert shared is not None and shared.samples > 0 and len(shared.kernels) > 0
    x = beats(4000, seed=99)
    found, y = coded(x, Target(prdn=8.0), dictionary=shared)
    assert found.dictionary is shared and prdn(x, y)[0] <= 8
    alone, _ = coded(x, Target(prdn=8.0))
    assert sum(map(len, found.payloads)) < 0.7 * size(alone)


@pytest.mark.parametrize("n", [8, 20, 31, 120, 319, 320, 321, 700])
def test_a_dictionary_and_a_signal_shorter_than_its_kernels(n):
    shared = excerpts.learn_for([beats(4000, seed) for seed in range(3)], 360, 8.0)
    _, y = coded(beats(4000)[:n], Target(prdn=8.0), dictionary=shared)
    assert len(y) == n


def test_a_last_chunk_shorter_than_the_kernels():
    x = beats(3000)
    _, y = coded(x, Target(prdn=8.0), chunk_samples=720)
    assert prdn(x, y)[0] <= 8


def test_a_useless_dictionary_is_left_aside():
    shared = excerpts.learn_for([beats(4000, seed) for seed in range(12)], 360, 8.0)
    x = np.random.default_rng(0).normal(0, 500, (3000, 1)).astype(np.int64)
    found, _ = coded(x, Target(prdn=8.0), dictionary=shared)
    alone, _ = coded(x, Target(prdn=8.0))
    assert sum(map(len, found.payloads)) <= 1.01 * size(alone) + 2


# Hostile payloads


@given(st.binary(max_size=200), st.integers(1, 300), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_payload_or_an_error(data, n, columns):
    try:
        assert payload.decode_payload(data, n, columns, None).shape == (n, columns)
    except CodecError:
        pass


@given(st.binary(max_size=100), st.integers(1, 2000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_after_a_dictionary_are_a_payload_or_an_error(data, n):
    kernels = np.random.default_rng(0).normal(size=(5, 1, 32))
    plan = Plan(Setting((400,), 3), None)
    shared = transform.learn_from(beats(500), plan, dictionary.quantize(kernels))
    try:
        assert payload.decode_payload(b"\0" + data, n, 1, shared).shape == (n, 1)
    except CodecError:
        pass


NOISY, COARSE = beats(7000, noise=8), beats(12_000, 1, noise=6)
PAIR = np.concatenate([beats(5000, 1, 8), beats(5000, 2, 8)], axis=1)
SHORT = {"chunk_samples": 1000}


@pytest.mark.parametrize(
    ("x", "target", "options", "expected"),
    [
        (NOISY, Target(prdn=8.0), {}, 1140),
        (NOISY, Target(prdn=20.0), {}, 73),
        (COARSE, Target(prdn=14.0), {}, 107),
        (PAIR, Target(prdn=10.0), {}, 1215),
        (NOISY, Target(max_error=20.0), {"bounds": (20,)}, 241),
        (NOISY, Target(bits_per_sample=0.5), {}, 418),
        (beats(14_000, 3, 6), Target(prdn=8.0), SHORT, 1862),
        (beats(14_000, 3, 6), Target(max_error=25.0), SHORT | {"bounds": (25,)}, 452),
    ],
    ids=["prdn", "large", "coarse", "two channels", "bound", "size", "chunks", "bound, chunks"],
)
def test_the_search_finds_streams_of_so_many_bytes(x, target, options, expected):
    """A change of the search is seen here. If it is intended, the number changes with it.

    A processor that adds floats in another order may move a few bytes.
    """
    assert size(coded(x, target, **options)[0]) == pytest.approx(expected, rel=0.01)


def test_a_short_signal_chooses_among_several_dictionaries():
    """Ten heartbeats: what kernels cost in bytes, and which precision suits, only coding tells."""
    signal = trials.Signal(beats(3000), 3000, 360, None, True)
    found = list(signal.searches((700,), 1.0))
    assert len({each.dictionary.data for each in found}) == len(found) > 2
    chosen, plain = trials.choose(signal, (700,))
    scores = [trials.score_of(trial.encoded) for trial in chosen]
    assert scores == sorted(scores) and len(scores) == trials.FINALISTS
    assert scores[0] < trials.score_of(plain.encoded)
    coded_with_each = [signal.encode((700,), signal.every(each)) for each in found]
    assert scores[0] <= min(map(trials.score_of, coded_with_each))


def test_a_shared_dictionary_has_so_many_bytes():
    shared = excerpts.learn_for([beats(4000, seed, 6) for seed in range(3)], 360, 8.0)
    found, _ = coded(NOISY, Target(prdn=8.0), dictionary=shared)
    sizes = len(shared.data), sum(map(len, found.payloads))
    assert sizes == pytest.approx((1283, 1052), rel=0.01)


def test_what_is_encoded_depends_on_the_arguments_alone():
    signal = trials.Signal(beats(6000), 3000, 360, None, True)
    codes, others = (700,), (400,)
    every = signal.every(next(signal.searches(codes, 1.0)))
    first = signal.encode(codes, every)
    list(signal.searches(others, 2.5))
    trials.choose(signal, others)
    assert signal.encode(codes, every).payloads == first.payloads


def test_twice_the_squared_error_is_worth_two_fifths_of_the_bytes():
    """Bytes are compared at the same error: 2**-0.725 is 0.605."""

    def encoded(size, error):
        return trials.Encoded([bytes(size)], None, 0, [np.array([error])], np.zeros(1), {})

    fine = encoded(1000, 10.0)
    assert trials.score_of(encoded(600, 20.0)) < trials.score_of(fine)
    assert trials.score_of(encoded(610, 20.0)) > trials.score_of(fine)
