"""That more effort never has more bytes: inputs that had, and the kinds around them."""

import itertools

import numpy as np
import pytest

import san

RNG = np.random.default_rng(5)
ECG = san.datasets.load_recording().x[:3600, 0]
COUNTS = np.rint(ECG * 200).astype(np.int32)
NOISE = np.rint(RNG.normal(size=2000) * 100).astype(np.int16)
SMOOTH = (2**24 * np.sin(np.arange(2400) * 0.02)).astype(np.int32)
FINE = ECG + RNG.normal(size=3600) * 1e-3
LEADS = np.stack([COUNTS, 2 * COUNTS[::-1], np.roll(COUNTS, 99) // 2, COUNTS // 8], 1)
GAP = COUNTS.astype(np.int16)
GAP[1000:1900] = 0

CASES = {
    "floats at a tiny PRDN": (FINE, {"prdn": 1e-5}),
    "floats within a tiny bound": (FINE, {"max_error": 1e-7}),
    "floats, two targets": (FINE, {"prdn": 8, "max_error": 1e-7}),
    "wide integers at a tiny PRDN": (SMOOTH << 6, {"prdn": 1e-6}),
    "an offset of 2**24": (COUNTS + 2**24, {"prdn": 8}),
    "an offset of 2**28": (COUNTS + 2**28, {"prdn": 8}),
    "a large scale": (COUNTS << 20, {"prdn": 8}),
    "single floats with an offset": ((ECG + 1e5).astype(np.float32), {"prdn": 2}),
    "noise at 8": (NOISE, {"prdn": 8}),
    "noise at 2": (NOISE, {"prdn": 2}),
    "smooth and exact": (SMOOTH, {"lossless": True}),
    "smooth within a bound": (SMOOTH, {"max_error": 10}),
    "a second of four leads": (LEADS[:500], {"prdn": 8}),
    "ten seconds of four leads": (LEADS, {"prdn": 15}),
}


@pytest.mark.parametrize(("x", "target"), CASES.values(), ids=CASES)
def test_more_effort_has_no_more_bytes(x, target):
    fast, normal = (san.compress(x, 360, effort=level, **target) for level in ("fast", "normal"))
    assert len(normal) <= len(fast)
    holds(x, normal, target)
    holds(x, fast, target)


def holds(x, blob, target):
    y = san.decompress(blob)
    assert y.dtype == x.dtype and y.shape == x.shape
    if "lossless" in target:
        np.testing.assert_array_equal(x, y)
    if "max_error" in target:
        assert np.abs(x.astype(np.float64) - y).max() <= target["max_error"]
    if "prdn" in target:
        error, centred = x.astype(np.float64) - y, x - x.mean(0, dtype=np.float64)
        prdn = 100 * np.sqrt((error**2).sum(0) / (centred**2).sum(0))
        assert prdn.max() <= target["prdn"]


@pytest.mark.parametrize("effort", ["fast", "normal"])
@pytest.mark.parametrize("x", [GAP, LEADS, NOISE, SMOOTH], ids=["gap", "leads", "noise", "smooth"])
def test_a_large_prdn_has_few_bytes(x, effort):
    """Errors jump with the steps where little more than a mean is left."""
    sizes = []
    for prdn in (60, 80, 95, 99, 100, 150, 1000):
        blob = san.compress(x, 360, prdn=prdn, effort=effort)
        holds(x, blob, {"prdn": prdn})
        sizes.append(len(blob))
    for before, after in itertools.pairwise(sizes):
        assert after <= 1.05 * before + 4


def test_full_range_noise_at_a_large_prdn_has_no_bound_beyond_32_bits():
    x = RNG.integers(-(2**31), 2**31, 700).astype(np.int32)
    for effort in ("fast", "normal"):
        holds(x, san.compress(x, 360, prdn=99, effort=effort), {"prdn": 99})


def test_a_bound_that_decides_has_hardly_more_bytes_with_a_prdn_beside_it():
    alone = san.compress(COUNTS.astype(np.int16), 360, max_error=4)
    both = san.compress(COUNTS.astype(np.int16), 360, prdn=8, max_error=4)
    assert san.inspect(alone).prdn < 8
    assert len(both) <= len(alone) + 9  # the stream says both targets


@pytest.mark.parametrize("target", [{"prdn": 8}, {"max_error": 12}], ids=["prdn", "bound"])
def test_events_of_several_channels_have_no_more_bytes_than_none(target):
    x = np.rint(np.stack([ECG * 200, RNG.normal(size=3600) * 30, ECG[::-1] * 90], 1)).astype("i2")
    with_events, without = (
        san.compress(x, 360, events=events, **target) for events in (True, False)
    )
    assert len(with_events) <= len(without)


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-300])
@pytest.mark.parametrize("effort", ["fast", "normal"])
def test_floats_that_hardly_differ_from_0_come_back(scale, effort):
    """Their grid's doubt is below the smallest float64."""
    x = COUNTS[:3000] * scale
    np.testing.assert_array_equal(
        san.decompress(san.compress(x, 360, effort=effort, lossless=True)), x
    )
    y = san.decompress(san.compress(x, 360, effort=effort, prdn=8))
    assert san.prdn(x / np.abs(x).max(), y / np.abs(x).max()) <= 8
