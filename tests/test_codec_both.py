"""Two targets at once: a PRDN and a bound on every sample, wherever a target may be given."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import san
from san.archive import Options, archive
from san.archive import verify as verify_archive
from san.codec.ndarray import ChunkCoding

BOTH = {"prdn": 8.0, "max_error": 12.0}


def beats(n, channels=1, seed=0):
    """Beats, wander and noise; int16 (n, channels)."""
    rng, t = np.random.default_rng(seed), np.arange(n) % 150
    beat = 400 * np.exp(-((t - 60) ** 2) / 18) + 60 * np.sin(np.arange(n) / 70)
    gains = rng.uniform(0.5, 1.5, channels)
    return np.rint(beat[:, None] * gains + rng.normal(0, 6, (n, channels))).astype(np.int16)


def assert_holds(x, y, prdn, max_error):
    x, y = x.reshape(len(x), -1).astype(float), y.reshape(len(x), -1).astype(float)
    assert np.abs(x - y).max(initial=0) <= max_error
    assert (((x - y) ** 2).sum(0) <= (prdn / 100) ** 2 * ((x - x.mean(0)) ** 2).sum(0)).all()


@pytest.mark.parametrize("bound", [0, 1, 4, 12, 40, 200], ids="bound {}".format)
@pytest.mark.parametrize("prdn", [0.5, 8, 30], ids="PRDN {}".format)
@pytest.mark.parametrize("channels", [1, 3])
def test_both_hold(channels, prdn, bound):
    x = beats(900, channels)
    blob = san.compress(x, prdn=prdn, max_error=bound, events=False)
    assert_holds(x, san.decompress(blob), prdn, bound)
    info = san.inspect(blob)
    assert (info.target, info.value, info.bound, info.version) == ("prdn", prdn, bound, 4)
    assert info.largest_error <= bound and info.prdn <= prdn


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_hold_in_physical_units(dtype):
    x = (beats(900, 2) / 200).astype(dtype)
    x[40:50, 1] = np.nan
    y = san.decompress(san.compress(x, prdn=8, max_error=0.06, events=False))
    assert np.array_equal(np.isnan(x), np.isnan(y))
    assert np.nanmax(np.abs(x - y)) <= 0.06
    valid = np.delete(np.arange(900), np.arange(40, 50))
    assert_holds(x[valid].astype(float), y[valid], 8, 0.06)


def test_what_one_target_gives_is_taken_where_the_other_holds_too():
    x, declared = beats(2000), 9  # at most a byte of flags and eight of the bound
    loose = san.compress(x, prdn=8, max_error=500, events=False)
    alone = san.compress(x, prdn=8, events=False)
    assert len(alone) < len(loose) <= len(alone) + declared
    assert san.inspect(loose).largest_error == san.inspect(alone).largest_error
    strict = san.compress(x, prdn=30, max_error=5, events=False)
    assert len(strict) <= len(san.compress(x, max_error=5, events=False)) + declared


def test_a_bound_beside_a_prdn_costs_less_than_the_bound_at_a_finer_prdn():
    """A few corrections keep the largest errors small, where finer steps would shrink them all."""
    x = beats(6000)
    alone = san.inspect(san.compress(x, prdn=8, events=False))
    both = len(san.compress(x, prdn=8, max_error=0.6 * alone.largest_error, events=False))
    assert alone.bytes < both < 1.25 * alone.bytes


def test_events_and_chunks_keep_both():
    x = beats(3000, 2)
    blob = san.compress(x, fs=360, chunk_seconds=4, **BOTH)
    assert_holds(x, san.decompress(blob), **BOTH)


samples = st.sampled_from(["int8", "int16", "int32", "uint16", "float32", "float64"]).flatmap(
    lambda dtype: arrays.arrays(dtype, st.tuples(st.integers(3, 40), st.integers(1, 3)))
)


@settings(max_examples=40)
@given(samples, st.floats(1e-2, 200), st.floats(1e-3, 1e6))
def test_any_two_targets_hold(x, prdn, bound):
    blob = san.compress(x, prdn=prdn, max_error=bound)
    y, info = san.decompress(blob), san.inspect(blob)
    assert info.prdn <= prdn and info.largest_error <= bound
    finite = np.isfinite(x)
    with np.errstate(over="ignore"):
        error = np.abs(x[finite].astype(float) - y[finite].astype(float))
    assert (error <= bound).all()


def test_an_encoder_keeps_both_in_each_chunk():
    x, file = beats(1500, 2), io.BytesIO()
    with san.Encoder(file, np.int16, 2, fs=100, chunk_seconds=5, events=False, **BOTH) as encoder:
        for part in np.array_split(x, 7):
            encoder.write(part)
    y = san.decompress(file.getvalue())
    for begin in range(0, 1500, 500):
        assert_holds(x[begin : begin + 500], y[begin : begin + 500], **BOTH)
    assert str(san.inspect(file.getvalue()).promise).endswith("largest error of at most 12")


def test_an_encoder_of_floats_keeps_both():
    x, file = beats(1000)[:, 0] / 200, io.BytesIO()
    with san.Encoder(
        file, "f8", fs=100, chunk_seconds=4, events=False, prdn=8, max_error=0.06
    ) as encoder:
        encoder.write(x)
    assert_holds(x, san.decompress(file.getvalue()), 8, 0.06)


def test_chunks_of_arrays_keep_both():
    coding = ChunkCoding(events=False, **BOTH)
    x = beats(800, 2)
    chunk = np.concatenate([x, np.zeros_like(x)])  # the second half is padding
    y = coding.decode_array(coding.encode_array(chunk, 0), chunk.shape, chunk.dtype)
    assert_holds(x, y[:800], **BOTH)
    assert np.array_equal(y[800:], chunk[800:])
    assert coding.to_dict() == {"max_error": 12.0, "prdn": 8.0, "events": False}


def test_an_archive_states_both_and_keeps_them(tmp_path):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "a.npy", beats(900))
    options = Options(events=False, **BOTH)
    assert options.settings()["bound"] == 12 and "bound" not in Options(prdn=8.0).settings()
    archive(tmp_path / "in", tmp_path / "out", options, jobs=1)
    found = verify_archive(tmp_path / "out", jobs=1)
    assert (found.compared, found.problems) == (1, {})
    (stream,) = (tmp_path / "out").rglob("*.san")
    assert san.inspect(stream.read_bytes()).bound == 12
