"""Arrays of every dtype become integers and come back: to the last bit, or within the bound."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from san.codec.errors import CodecError, CorruptStream
from san.codec.numbers import integers as numbers
from san.codec.numbers import steps
from san.codec.numbers.bits import PARTS, bits_of, join_bits, split_bits
from san.codec.numbers.gaps import find_gaps
from san.codec.numbers.grids import BITS, GAIN, POWER, Scale, find_grid
from san.codec.numbers.integers import Representation, represent, restore
from san.codec.target import LOSSLESS, Target

INTEGERS = ["int8", "int16", "int32", "uint8", "uint16"]
FLOATS = ["float32", "float64"]
N = 3000
RNG = np.random.default_rng(5)
COUNTS = np.rint(300 * np.sin(np.arange(N) / 40) + RNG.normal(0, 20, N)).astype(np.int64)


def same_bits(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    assert a.tobytes() == b.tobytes()


def nan_with_payload(dtype):
    x = np.full(1, np.nan, dtype)
    bits_of(x)[:] |= 5
    return x


def round_trip(x, **target):
    """Integers, and what comes back through the packed representation and gaps."""
    found = represent(x, Target.of(**target))
    k, representation, gaps, _ = found
    packed = numbers.pack_representation(representation)
    again, position = numbers.unpack_representation(
        packed, 0, representation.dtype, representation.dimensions, representation.channels
    )
    assert (again, position) == (representation, len(packed))
    runs = numbers.pack_gaps(gaps, representation.channels)
    gaps_again, position = numbers.unpack_gaps(runs, 0, len(k), representation.channels)
    assert position == len(runs)
    np.testing.assert_array_equal(gaps_again, gaps)
    assert k.dtype == np.int64 and k.shape == (len(x), representation.columns)
    if x.dtype.kind == "f":
        assert np.abs(k).max(initial=0) < 2**31
    return found, restore(k, again, gaps_again)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("shape", [(50,), (50, 3), (0,), (0, 2), (1,), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_as_they_are(dtype, shape, order):
    limits = np.iinfo(dtype)
    x = RNG.integers(limits.min, limits.max + 1, shape).astype(np.dtype(dtype).newbyteorder(order))
    found, y = round_trip(x, lossless=True)
    same_bits(y, x.astype(dtype))
    np.testing.assert_array_equal(found.k.reshape(x.shape), x)
    assert numbers.pack_representation(found.representation) == b""


def test_integers_beyond_the_dtype_become_its_ends():
    x = np.array([-128, 127], np.int8)
    k, representation, gaps, bounds = represent(x, Target(max_error=3.7))
    assert bounds.tolist() == [3]
    assert restore(k + np.array([[-3], [3]]), representation, gaps).tolist() == [-128, 127]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("make", "step"),
    [
        (lambda c: (c - 1024) / 200, 1 / 200),
        (lambda c: c / 1000, 1 / 1000),
        (lambda c: np.round(c * 0.001, 3), 1 / 1000),
        (lambda c: c / 6968.2938, 1 / 6968.2938),
        (lambda c: (c + 0.3) / 200, 1 / 200),
        (lambda c: c * 3.0 + 1, 3),
        (lambda c: c.astype(float), 1),
        (lambda c: c / 32768, 2.0**-15),
        (lambda c: c * 16.0, 16),
    ],
    ids=["gain 200", "0.001", "decimals", "long gain", "offset", "3k+1", "whole", "2**-15", "16k"],
)
def test_the_grid_is_found(make, step, dtype):
    x = make(COUNTS).astype(dtype)
    for target in ({"lossless": True}, {"prdn": 8.0}, {"max_error": 0.01 * np.ptp(x)}):
        found, y = round_trip(x, **target)
        same_bits(y, x)
        (scale,) = found.representation.scales
        assert scale.step == pytest.approx(step, rel=1e-15)
        assert np.ptp(found.k) == np.ptp(COUNTS)


@pytest.mark.parametrize(
    "x",
    [
        COUNTS * 0.005,
        COUNTS.astype("f4") * np.float32(0.005),
        COUNTS.astype("f4") / np.float32(200),
        COUNTS * (4.5 / 24 / (2**23 - 1) * 1e6),
        np.where(np.arange(N) == 1717, 0.005, np.round(COUNTS / 700, 2)),
        1.6e9 + np.arange(N) * 0.01,
        RNG.integers(-(2**31) + 1, 2**31, N) / 1000.0,
        np.full(N, 0.1234),
        np.array([0.1]),
        np.array([0.1, 0.25]),
    ],
    ids=[
        "0.005k",
        "0.005k float32",
        "k/200 float32",
        "OpenBCI",
        "one finer sample",
        "seconds since 1970",
        "31 bits",
        "constant",
        "one sample",
        "two samples",
    ],
)
def test_a_grid_is_found_whatever_it_is(x):
    found, y = round_trip(x, lossless=True)
    same_bits(y, x)
    assert found.representation.scales[0].kind != BITS


def test_no_grid_is_made_up():
    assert find_grid(RNG.normal(size=N), np.dtype("f8")) is None
    assert find_grid(RNG.normal(size=N).astype("f4").astype("f8"), np.dtype("f4")) is None
    almost = COUNTS / 200
    almost[2222] = np.nextafter(almost[2222], 9)
    assert find_grid(almost, np.dtype("f8")) is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_negative_zeros_and_kinds_of_nan_come_back(dtype):
    x = (COUNTS / 200).astype(dtype)
    x[[0, 5, 6, 900]] = -0.0
    x[10:20], x[20:30], x[30], x[-1] = np.nan, -np.nan, np.inf, -np.inf
    found, y = round_trip(x, lossless=True)
    same_bits(y, x)
    assert found.representation.scales == (Scale(GAIN, 200.0),)
    kinds = [(0, 1, 3), (5, 2, 3), (10, 10, 0), (20, 10, 4), (30, 1, 1), (900, 1, 3)]
    assert [tuple(run[1:]) for run in found.gaps.tolist()] == [*kinds, (N - 1, 1, 2)]
    inside = found.k[9:32, 0]
    assert np.abs(np.diff(inside)).max() <= abs(inside[-1] - inside[0]) / 22 + 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_nan_with_a_payload_is_kept_where_nothing_may_be_lost(dtype):
    x = (COUNTS[:50] / 200).astype(dtype)
    bits_of(x)[7] = bits_of(nan_with_payload(dtype))[0]
    found, y = round_trip(x, lossless=True)
    assert found.representation.scales == (Scale(BITS),)
    assert bits_of(y).tolist() == bits_of(x).tolist()
    found, y = round_trip(x, max_error=0.1)
    assert found.representation.scales == (Scale(GAIN, 200.0),)
    assert bits_of(y)[7] == bits_of(np.full(1, np.nan, dtype))[0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_bits_are_small_integers_in_the_order_of_the_numbers(dtype):
    x = np.array([-np.inf, -1.5, -1e-40, -0.0, 0.0, 1e-40, 1.0, 1.5, np.inf], dtype)
    columns = split_bits(x)
    for column, bits in enumerate(PARTS[dtype]):
        assert np.abs(columns[:, column]).max() <= 2 ** (bits - 1)
    assert [tuple(row) for row in columns] == sorted(tuple(row) for row in columns)
    same_bits(join_bits(columns, x.dtype), x)
    columns[3, -1] += 2**22
    with pytest.raises(CorruptStream, match="leave the"):
        join_bits(columns, x.dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_channels_have_scales_of_their_own(dtype):
    x = np.stack([COUNTS / 200, COUNTS * 1.0, RNG.normal(size=N), COUNTS / 1000], 1).astype(dtype)
    x[5:9, 1] = x[7, 3] = np.nan
    found, y = round_trip(x, lossless=True)
    same_bits(y, x)
    parts = len(PARTS[dtype])
    assert found.representation.widths == (1, 1, parts, 1)
    assert found.gaps.tolist() == [[1, 5, 4, 0], [3, 7, 1, 0]]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("max_error", [1e-3, 0.037, 0.05, 1.0, 1e9, 1e-12, 1e-30, 5e-324, 1e308])
def test_the_bound_holds_at_its_edge(max_error, dtype):
    for x in (RNG.normal(size=500).astype(dtype), (COUNTS / 200).astype(dtype)):
        found, y = round_trip(x, max_error=max_error)
        assert float(np.abs(x - y).max()) <= max_error
        for sign in (-1, 1):
            off = restore(found.k + sign * found.bounds, found.representation, found.gaps)
            assert float(np.abs(x - off).max()) <= max_error
            assert np.abs(x.astype("f8") - off).max() <= max_error
        if found.representation.scales[0].kind == BITS:
            same_bits(y, x)


def test_little_of_the_bound_is_lost():
    x = RNG.normal(size=500)
    for max_error in (0.01, 0.0123, 0.0156, 0.019):
        found, _ = round_trip(x, max_error=max_error)
        width = (2 * found.bounds[0] + 1) * found.representation.scales[0].step
        assert 0.97 * 2 * max_error < width <= 2 * max_error
    x *= 2.0**15  # the finest step would need 2**31 integers
    found, _ = round_trip(np.append(x, 2.0**27), max_error=1.0)
    assert found.representation.scales[0].step <= 0.25 and found.bounds[0] >= 3


def test_a_grid_much_finer_than_the_target_is_left():
    x = np.round(1000 * RNG.normal(size=N), 5)
    assert represent(x, LOSSLESS).representation.scales == (Scale(GAIN, 1e5),)
    for target in ({"max_error": 1.0}, {"prdn": 5.0}):
        found = represent(x, Target.of(**target))
        assert found.representation.scales[0].kind == POWER
        assert np.abs(found.k).max() < 2**20


def test_steps_for_other_targets_leave_room():
    x = np.stack([RNG.normal(size=N), 1000 * RNG.normal(size=N)], 1)
    found, y = round_trip(x, prdn=5.0)
    prdn = 100 * np.sqrt(((x - y) ** 2).sum(0) / ((x - x.mean(0)) ** 2).sum(0))
    assert (prdn < 5 / 64).all()
    assert found.k.std(0).max() < 5000
    found, y = round_trip(x, bits_per_sample=4.0)
    assert (np.abs(x - y).max(0) < x.std(0) * 2.0**-20).all()
    assert not found.bounds.any()


@pytest.mark.parametrize(
    "x",
    [
        np.array([1e308, -1e308, 3.0]),
        np.array([5e-324, 1e-310, 1.0]),
        np.array([3e38, -3e38, 0.3], "f4"),
        np.array([1e-45, 1e-38, 1.0], "f4"),
        np.array([np.finfo("f8").max, -np.finfo("f8").max]),
        np.array([0, np.finfo("f8").max]),
        np.array([np.nan, np.inf, np.nan]),
        np.array([-0.0, -0.0]),
        np.array([np.nan, -0.0, 1e-310, np.finfo("f8").max]),
        np.zeros(0),
        np.zeros((0, 2), "f4"),
        np.zeros(7, "f4"),
    ],
    ids=lambda x: f"{x.dtype.name} {x.ravel()[:3]}",
)
def test_extremes(x):
    _, y = round_trip(x, lossless=True)
    same_bits(y, x)
    ordinary = np.isfinite(x)
    for target in ({"max_error": 1e-3}, {"max_error": 1e300}, {"prdn": 1}, {"bits_per_sample": 2}):
        _, y = round_trip(x, **target)
        assert np.isnan(y).tolist() == np.isnan(x).tolist()
        np.testing.assert_array_equal(y[np.isinf(x)], x[np.isinf(x)])
        if "max_error" in target:
            with np.errstate(over="ignore"):
                error = np.abs(x[ordinary].astype("f8") - y[ordinary])
            assert (error <= target["max_error"]).all()


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros(3, bool), TypeError, "got bool"),
        (np.zeros(3, complex), TypeError, "got complex128"),
        (np.zeros(3, np.int64), TypeError, "got int64"),
        (np.zeros(3, np.uint32), TypeError, "got uint32"),
        (np.zeros(3, np.float16), TypeError, "got float16"),
        (np.array(["a"]), TypeError, "must be one of int8"),
        (np.array([None]), TypeError, "got object"),
        (np.ma.masked_array(np.zeros(3), [0, 1, 0]), TypeError, "masked"),
        (np.zeros((2, 2, 2)), ValueError, r"got shape \(2, 2, 2\)"),
        (np.zeros(()), ValueError, r"got shape \(\)"),
        (np.zeros((2, 0)), ValueError, r"got shape \(2, 0\)"),
    ],
    ids=str,
)
def test_other_arrays_are_refused_in_words(x, error, words):
    with pytest.raises(error, match=words):
        represent(x, LOSSLESS)


def test_a_known_representation_serves_other_samples_or_says_why_not():
    representation = represent(COUNTS / 200, LOSSLESS).representation
    k, gaps = numbers.to_integers(np.array([0.5, np.nan, -0.0]), representation, exact=True)
    same_bits(restore(k, representation, gaps), np.array([0.5, np.nan, -0.0]))
    with pytest.raises(ValueError, match=r"sample 1 of channel 0 is 0\.0049, which is not on"):
        numbers.to_integers(np.array([0.5, 0.0049]), representation, exact=True)
    with pytest.raises(ValueError, match="beyond 2\\*\\*31 steps"):
        numbers.to_integers(np.array([1e300]), representation, exact=False)
    with pytest.raises(ValueError, match="must be float64 with 1 dimensions"):
        numbers.to_integers(np.zeros(3, "f4"), representation, exact=True)
    wide = Representation(np.dtype("f8"), 2, 3, representation.scales * 3)
    with pytest.raises(ValueError, match="must have 3 channels, got 2"):
        numbers.to_integers(np.zeros((4, 2)), wide, exact=True)
    with pytest.raises(ValueError, match="k must be"):
        restore(np.zeros((4, 2), np.int64), wide, gaps)
    with pytest.raises(ValueError, match="payload"):
        numbers.to_integers(nan_with_payload("float64"), representation, exact=True)


def test_bounds_of_a_step_that_is_too_coarse_say_so():
    coarse = Representation(np.dtype("f8"), 1, 1, (Scale(POWER),))
    x = np.array([0.4])
    k, _ = numbers.to_integers(x, coarse, exact=False)
    assert numbers.integer_bounds(x, k, coarse, 0.1).tolist() == [-1]
    assert steps.within_dtype(0.1, np.dtype("f4")) < 0.1


def test_gaps_are_cut_with_the_chunks():
    x = np.round(COUNTS / 700, 2)
    x[90:130], x[199:201], x[250:260] = np.nan, np.inf, -0.0
    k, representation, gaps, _ = represent(x, LOSSLESS)
    for start in range(0, 300, 50):
        part = numbers.crop_gaps(gaps, start, start + 50)
        same_bits(restore(k[start : start + 50], representation, part), x[start : start + 50])


def samples(dtype):
    """Arrays on a grid or not, with everything that is no number thrown in."""
    width = np.dtype(dtype).itemsize * 8
    shapes = hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=20)
    wild = hnp.arrays(dtype, shapes, elements=st.floats(width=width))
    gains = st.sampled_from([1, 3, 200, 1000, 0.25, 1 / 3, 819.2, 1e6, 1e-3])
    counts = hnp.arrays(np.int32, shapes, elements=st.integers(-(2**20), 2**20))
    regular = st.builds(lambda k, gain: (k / gain).astype(dtype), counts, gains)
    odd = st.sampled_from([np.nan, np.inf, -np.inf, -0.0])
    masks = st.integers(0, 2**32 - 1)

    def with_gaps(x, value, seed):
        x = x.copy()
        x[np.random.default_rng(seed).random(x.shape) < 0.3] = value
        return x

    return st.one_of(wild, regular, st.builds(with_gaps, regular, odd, masks))


@given(st.sampled_from(FLOATS).flatmap(samples))
@example(np.array([0.1, 0.2, 0.3], "f4"))
def test_any_floats_come_back_to_the_last_bit(x):
    _, y = round_trip(x, lossless=True)
    same_bits(y, x)


@given(
    st.sampled_from(FLOATS).flatmap(samples),
    st.floats(1e-9, 1e9),
    st.integers(0, 2**32 - 1),
)
def test_any_floats_stay_within_the_bound(x, max_error, seed):
    found, _ = round_trip(x, max_error=max_error)
    off = np.random.default_rng(seed).integers(-found.bounds, found.bounds + 1, found.k.shape)
    y = restore(found.k + off, found.representation, found.gaps)
    ordinary = np.isfinite(x)
    assert np.isfinite(y).tolist() == ordinary.tolist()
    assert (np.abs(x[ordinary] - y[ordinary]) <= max_error).all()


@given(
    st.sampled_from(INTEGERS).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=2, max_side=20))
    )
)
def test_any_integers_come_back(x):
    same_bits(round_trip(x, lossless=True)[1], x)


@given(st.binary(max_size=40), st.integers(0, 20), st.integers(1, 3))
def test_any_bytes_are_gaps_or_corrupt(data, length, channels):
    try:
        gaps, position = numbers.unpack_gaps(data, 0, length, channels)
    except CodecError:
        return
    assert numbers.pack_gaps(gaps, channels) == data[:position]
    y = np.zeros((length, channels))
    numbers.fill_gaps(y, gaps)
    found = [find_gaps(y[:, channel], channel, exact=True)[0] for channel in range(channels)]
    assert np.concatenate(found).tolist() == gaps.tolist()


@pytest.mark.parametrize(
    "data",
    [
        "",
        "01",
        "0105",
        "010500",  # a length of 0
        "010508",  # to the end
        "01050d",  # an unknown kind
        "010550",  # beyond the end
        "0200080008",  # touching runs of one kind
        "ffffffffffffffff7f0008",
    ],
)
def test_corrupt_gaps(data):
    if data == "010508":
        assert numbers.unpack_gaps(bytes.fromhex(data), 0, 6, 1)[0].tolist() == [[0, 5, 1, 0]]
    else:
        with pytest.raises(CorruptStream):
            numbers.unpack_gaps(bytes.fromhex(data), 0, 6, 1)


@given(st.binary(max_size=40), st.sampled_from(FLOATS), st.integers(1, 3))
def test_any_bytes_are_a_representation_or_corrupt(data, dtype, channels):
    try:
        found = numbers.unpack_representation(data, 0, np.dtype(dtype), 2, channels)
    except CodecError:
        return
    representation, position = found
    assert numbers.pack_representation(representation) == data[:position]
    if not any(scale.kind == BITS for scale in representation.scales):
        k = np.array([-(2**31), -1, 0, 1, 2**31]).repeat(channels).reshape(5, channels)
        assert np.isfinite(restore(k, representation, np.zeros((0, 4), np.int64))).all()


def in_hex(value):
    return np.float64(value).tobytes().hex()


OTHER_WAY, UNUSABLE = "has another encoding", "is not a usable number"

CORRUPT_REPRESENTATIONS = {
    "flag of a shared scale": ("02", "must be 0 or 1, got 2"),
    "power with a baseline": ("0104", "cannot begin with the byte 4"),
    "bits with a whole factor": ("010b", "cannot begin with the byte 11"),
    "unknown flag": ("0110", "cannot begin with the byte 16"),
    "exponent": ("0100ffff7f", r"exponent -\d+ is not within"),
    "factor 0": ("010900", UNUSABLE),
    "large whole factor": ("0109ffffffffffff7f", OTHER_WAY),
    "whole factor as a float": ("0101" + in_hex(200), OTHER_WAY),
    "factor NaN": ("0101" + in_hex(np.nan), UNUSABLE),
    "negative factor": ("0101" + in_hex(-0.5), UNUSABLE),
    "infinite factor": ("0101" + in_hex(np.inf), UNUSABLE),
    "baseline 0": ("010d01" + in_hex(0), OTHER_WAY),
    "baseline NaN": ("010d01" + in_hex(np.nan), UNUSABLE),
    "no second power": ("000003", "1 bytes cannot be in the 0 left"),
    "no second scale": ("0003", "1 bytes cannot be in the 0 left"),
    "no factor": ("0001", "8 bytes cannot be in the 0 left"),
}


@pytest.mark.parametrize(
    ("data", "words"), CORRUPT_REPRESENTATIONS.values(), ids=CORRUPT_REPRESENTATIONS
)
def test_corrupt_representations(data, words):
    with pytest.raises(CorruptStream, match=words):
        numbers.unpack_representation(bytes.fromhex(data), 0, np.dtype("f8"), 2, 2)


def test_equal_scales_are_written_once():
    with pytest.raises(CorruptStream, match="written once"):
        numbers.unpack_representation(b"\0\3\3", 0, np.dtype("f8"), 2, 2)
