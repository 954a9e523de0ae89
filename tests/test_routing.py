"""Routing: equal points meet, near points often do, and the buckets are those of plain loops."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from san.networks import Candidates, EuclideanLSH, UniformHash

MASK = 2**64 - 1
WORDS = "9e3779b97f4a7c15 bf58476d1ce4e5b9 94d049bb133111eb"  # of SplitMix64, as published


def plain_mix(z):
    golden, first, second = (int(word, 16) for word in WORDS.split())
    z = (z + golden) & MASK
    z = ((z ^ (z >> 30)) * first) & MASK
    z = ((z ^ (z >> 27)) * second) & MASK
    return z ^ (z >> 31)


def plain_key(router, point, table):
    key = plain_mix(table)
    for a, b in zip(router.directions[table], router.offsets[table], strict=True):
        place = float(b)
        for weight, value in zip(a, point, strict=True):
            place += float(weight) * float(value)
        key = plain_mix(key ^ (math.floor(place / router.width) & MASK))
    return key


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99), st.floats(0.01, 9)
)
def test_buckets_are_those_of_plain_loops(dimension, projections, tables, seed, width):
    router = EuclideanLSH(dimension, projections, width, tables, seed)
    x = np.random.default_rng(seed).normal(size=(5, dimension)) * 3
    expected = [[plain_key(router, point, t) for t in range(tables)] for point in x]
    assert router.buckets(x).tolist() == expected


def test_equal_inputs_get_equal_buckets_on_every_machine():
    """The digest was made once; every machine must find it again."""
    router = EuclideanLSH(dimension=8, projections=8, width=0.7, tables=4, seed=3)
    x = np.random.default_rng(1).integers(-1000, 1000, (500, 8)) / 256
    keys = router.buckets(x)
    assert np.array_equal(keys, router.buckets(np.asfortranarray(x)))
    assert np.array_equal(keys[7:8], router.buckets(x[7:8]))
    digest = hashlib.sha256(keys.astype("<u8").tobytes()).hexdigest()
    assert digest[:16] == "a82b8a443de48ed7"


@pytest.mark.parametrize("make", [EuclideanLSH, lambda d: UniformHash(d, 100)], ids=["LSH", "hash"])
def test_parts_of_many_points_are_hashed_as_the_whole(make):
    router, x = make(2), np.random.default_rng(0).normal(size=(9000, 2))
    keys = router.buckets(x)
    assert np.array_equal(keys[8000:], router.buckets(x[8000:]))
    assert router.buckets(np.empty((0, 2))).shape == (0, 1)


def test_nearer_points_meet_more_often():
    router = EuclideanLSH(dimension=3, projections=2, width=1.0, tables=200, seed=0)
    x = np.zeros((3, 3))
    x[1, 0], x[2, 0] = 0.2, 2.0
    keys = router.buckets(x)
    shares = (keys == keys[0]).mean(1)
    assert shares[1] > 0.6 > 0.3 > shares[2]


def test_the_uniform_hash_fills_all_buckets_alike():
    keys = UniformHash(dimension=4, count=16, seed=2).buckets(
        np.random.default_rng(0).normal(size=(16000, 4))
    )
    counts = np.bincount(keys[:, 0].astype(int), minlength=16)
    assert counts.min() > 850 and counts.max() < 1150
    zeros = UniformHash(1, 99).buckets(np.array([[0.0], [-0.0]]))
    assert zeros[0] == zeros[1]


def test_candidates_are_the_nearest_of_those_that_share_a_bucket():
    chance = np.random.default_rng(0)
    entries = chance.normal(size=(60, 4))
    router = EuclideanLSH(4, projections=3, width=1.5, tables=8, seed=1)
    every, some = Candidates(entries), Candidates(entries, router)
    for point in chance.normal(size=(20, 4)):
        distances = ((entries - point) ** 2).sum(1)
        assert every.nearest(point, 60).tolist() == np.argsort(distances, kind="stable").tolist()
        shared = (router.buckets(entries) == router.buckets(point[None])).any(1)
        expected = np.flatnonzero(shared) if shared.any() else np.arange(60)
        assert some.sharing(point).tolist() == expected.tolist()
        assert some.nearest(point)[0] == expected[np.argmin(distances[expected])]


def test_equally_near_candidates_come_in_order():
    assert Candidates(np.array([[1.0], [-1.0], [1.0]])).nearest(np.array([0.0]), 3).tolist() == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EuclideanLSH(0), "dimension must be at least 1, got 0"),
        (lambda: EuclideanLSH(2, projections=0), "projections must be at least 1, got 0"),
        (lambda: EuclideanLSH(2, tables=-1), "tables must be at least 1, got -1"),
        (lambda: EuclideanLSH(2, width=math.nan), "width must be a number above 0, got nan"),
        (lambda: UniformHash(2, 0), "count must be at least 1, got 0"),
        (lambda: EuclideanLSH(2).buckets([[1.0]]), r"x must have shape \(n, 2\), got \(1, 1\)"),
        (lambda: EuclideanLSH(1).buckets([[math.nan]]), "x holds nan in row 0, column 0"),
        (
            lambda: EuclideanLSH(1).buckets([[1e300]]),
            "too large for cells of width 1: ",
        ),
        (lambda: Candidates(np.empty((0, 2))), "entries must hold at least one row, got none"),
        (lambda: Candidates(np.ones((1, 2))).nearest(np.ones(3)), r"point must have .* \(1, 3\)"),
        (lambda: Candidates(np.ones((1, 2))).nearest(np.ones(2), 0), "at least 1, got 0"),
    ],
    ids=[
        "dimension",
        "projections",
        "tables",
        "width",
        "count",
        "shape",
        "NaN",
        "too large",
        "no entries",
        "other shape",
        "no candidates",
    ],
)
def test_wrong_use_ends_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
