"""The studies of compression and of sparse activations, on few and small parts."""

from types import SimpleNamespace

import numpy as np
import pytest

from san.paper import compression, compression_told, sparse_activations, sparse_activations_told
from san.paper.study import rows_of


def images(n, seed):
    """Digits of two kinds that a small network tells apart."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, n)
    x = generator.random((n, 1, 6, 6)) + 0.5 * y[:, None, None, None]
    return SimpleNamespace(x=x.astype(np.float32), y=y.astype(np.int64))


def load(name):
    assert name == "mnist"
    return images(300, 0), images(50, 1), images(80, 2)


def made(module, parts):
    """Results as the store keeps them."""
    return [
        {
            "study": part.study,
            "name": part.name,
            "seed": part.seed,
            "settings": dict(part.settings),
            **module.make(part, load, lambda share: None),
        }
        for part in parts
    ]


@pytest.fixture
def small(monkeypatch):
    """Both studies with fewer sizes."""
    sizes = {
        "SIZES": ((4, 3), (6, 3), (8, 10), (10, 5), (16, 6), (12, 10)),
        "RESTARTS": 2,
        "FINITE": ((3, 3), (4, 3)),
        "COUNTS": (20, 40),
        "CORNERS": (3, 4),
        "AGAINST": (2, 3, 5),
        "DIMENSION": 3,
        "LARGE": 30,
        "WIDTH": 36,
        "SMALL": (6, 3),
        "KINDS": ((16, 1), (64, 1), (64, 64), (16, "address")),
        "COORDINATES": 8,
        "TARGETS": (1, 32, "address"),
        "SAMPLES": (60, 90),
        "STEPS": 5,
        "GROUPS": (4,),
        "SIGNS": (16, 64),
        "DRAWS": 30,
        "DIGITS": 200,
        "EPOCHS": 2,
    }
    for module in (
        compression,
        compression_told,
        sparse_activations,
        sparse_activations_told,
    ):
        for name, value in sizes.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


def test_the_study_of_compression_is_told(small):
    results = made(compression, compression.plan(1))
    search = rows_of(results, kind="search", nodes=8, dimension=10)
    assert len(search) == 2
    assert all(row["gap"] < 1e-9 and row["from_simplex"] < 1e-5 for row in search)
    for row in rows_of(results, kind="finite"):
        assert row["optimum"] <= row["turned"] + 1e-12 <= row["any rotation"] + 2e-12
        assert row["optimum"] <= row["k-means"] + 1e-12
    assert all(row["optimum"] <= row["greedy"] + 1e-12 for row in rows_of(results, kind="nodes"))
    whole = rows_of(results, kind="digits", way="the network")
    assert all(row["error"] == 0 for row in whole)
    way = {row["way"]: row["error"] for row in rows_of(results, kind="digits", nodes=3)}
    assert way["prune, refit"] < way["prune"]
    told = compression_told.tables(results)
    assert [len(table.heads) for table in told] == [len(table.rows[0]) for table in told]
    assert len(told) == 5
    said = compression_told.conclusion(results)
    assert "4 of 4 searches with free scales ended at the simplex" in said
    assert "the icosahedron" in said.lower()
    assert {*compression_told.figures(results)} == {"products", "ways", "many-nodes", "digits"}


def test_the_study_of_sparse_activations_is_told(small):
    results = made(sparse_activations, sparse_activations.plan(1))
    for row in rows_of(results, kind="weight"):
        assert row["influence"] <= row["bound"]
        if row["active"] == "address":
            assert (row["most"], row["mean active"]) == (1, 1.0)
        else:
            assert row["most"] <= row["active"]
    for row in rows_of(results, kind="certificates"):
        assert row["lower"] <= row["upper"]
        assert row["truth"] is None or row["lower"] <= row["truth"] <= row["upper"]
        if "caps" in row["what"]:
            assert row["lower"] == row["upper"] == row["truth"]
    digits = rows_of(results, kind="digits", layer="top k, 8")
    assert all(row["most"] <= 8 for row in digits)
    told = sparse_activations_told.tables(results)
    assert all(len(row) == len(table.heads) for table in told for row in table.rows)
    assert len(told) == 6
    assert "The two scales go opposite ways" in sparse_activations_told.conclusion(results)
    assert len(sparse_activations_told.figures(results)) == 4


def test_the_exact_complexity_is_that_of_all_draws():
    """All 3^4 ways to give 4 inputs to 3 groups, and all signs."""
    total = count = 0
    for places in np.ndindex(3, 3, 3, 3):
        for signs in np.ndindex(2, 2, 2, 2):
            sums = np.bincount(places, weights=2.0 * np.array(signs) - 1, minlength=3)
            total, count = total + np.abs(sums).sum(), count + 1
    assert np.isclose(sparse_activations.exact_ratio(3, 4), np.sqrt(3 / 4) * total / count / 3)


@pytest.mark.parametrize("groups", [4, 16, 64, 256])
def test_the_complexity_of_the_construction_is_within_its_bounds(groups):
    for power in range(int(np.log2(groups)), 13):
        assert 0.6 <= sparse_activations.exact_ratio(groups, 2**power) <= 0.9
