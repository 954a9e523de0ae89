"""The studies of experts and overlap: what a part measures, and what is told of the results."""

import itertools

import numpy as np
import pytest

from san.paper import overlaps, overlaps_told, sparse_experts, sparse_experts_told
from san.paper.study import rows_of


def no_data(name):
    raise AssertionError(f"{name} was read")


def made(part, content):
    return {"study": part.study, "name": part.name, "seed": part.seed, **content} | {
        "settings": dict(part.settings)
    }


def run(module, names, seeds=1, load=no_data):
    results, shares = [], []
    for part in module.plan(seeds):
        if part.name in names:
            results.append(made(part, module.make(part, load, shares.append)))
    assert sum(shares) <= len(results)
    return results


@pytest.fixture
def small(monkeypatch):
    """Few inputs, small networks, one cell width: seconds instead of minutes."""
    for name, value in {"TRAIN": 600, "VALIDATION": 100, "TEST": 200, "EPOCHS": 1}.items():
        monkeypatch.setattr(sparse_experts, name, value)
    monkeypatch.setattr(sparse_experts, "CELLS", (2.0, 4.0))
    monkeypatch.setattr(sparse_experts, "NUMBER", 3000)
    monkeypatch.setattr(sparse_experts, "SUBSPACE_TRAIN", 500)


def test_sparse_experts_are_told_with_their_work(small):
    wanted = ("line", "buckets n=4", "buckets n=8", "random features n=4", "random features n=8")
    results = run(sparse_experts, (*wanted, "subspace k=1", "subspace k=2", "trained"))
    (line,) = rows_of(results, kind="line")
    assert line["largest_error"] <= line["slope"] * line["diameter"]
    titles = {table.title: table for table in sparse_experts_told.tables(results)}
    assert len(titles) == 7
    for table in titles.values():
        assert all(len(row) == len(table.heads) for row in table.rows), table.title
    dense = titles["A random first layer: error over variance"].rows[0]
    assert dense[:6] == ["dense", "16", "16", "160", "160", "161"]
    published = titles["Error of DSM over that of the dense network at equal work without routing"]
    assert published.rows[2] == ["published", "73,728 FLOPs", "0.585", "0.172"]
    assert {*sparse_experts_told.figures(results)} == {"line", "error-over-work", "bucket-width"}
    text = sparse_experts_told.conclusion(results)
    assert "9,232 multiply-adds with their routing" in text and "nan" not in text
    for row in rows_of(results, kind="buckets"):
        assert row["without_routing"] < row["with_routing"] and 0 <= row["in_empty_bucket"] <= 1


def test_overlaps_are_told_from_ranks_alone():
    results = run(overlaps, ["ranks"])
    assert all(row["rank"] == row["law"] for row in rows_of(results, kind="law"))
    own = {"kind": "rank", "partition": "halves", "templates": 3, "channels": 3, "shared": True}
    (row,) = rows_of(results, circuit="K=3, S=2, circular", **own)
    assert (row["rank"], row["weights"]) == (54, 60)
    assert {*overlaps_told.figures(results)} == {"rank-over-window"}
    assert "160 of 160 networks" in overlaps_told.conclusion(results)


def test_the_offset_of_the_grid_is_measured_on_the_bundled_record():
    from san import datasets

    results = run(
        overlaps, ["offsets bundled"], load=lambda name: datasets.load_splits("physionet")
    )
    rows = rows_of(results, kind="offset", learned="extrema")
    assert [row["offset"] for row in rows[:12]] == list(range(0, 180, 15))
    deviations = {
        a: np.std([row["phi"] for row in rows if row["activation"] == a]) for a in overlaps.POOLS
    }
    assert all(0 < deviation < 0.1 for deviation in deviations.values())
    (table,) = overlaps_told.tables(results)
    assert table.rows[0][:4] == ["mitdb/208", "Extrema-Pool", "Extrema-Pool", "180"]


@pytest.mark.parametrize(("window", "side"), [*itertools.product((2, 3, 4), (28, 32))])
def test_each_layer_halves_the_image_and_weights_are_about_equal(window, side):
    model = overlaps.OverlappingNet(window, overlaps.WIDTHS[window])
    images = overlaps._padded(np.zeros((2, 1, side, side), np.float32))
    assert model(images).shape == (2, 10)
    weights = sum(p.numel() for p in model.parameters())
    assert abs(weights / 17_002 - 1) < 0.03


def test_images_are_told_with_their_spread():
    rows = [
        {"settings": {"data": "mnist", "window": w}, "seed": s, "name": f"mnist K={w}"}
        | {"rows": [{"kind": "images", "accuracy": 90.0 + w + s, "weights": 17000, "channels": 9}]}
        for w in overlaps.WIDTHS
        for s in (0, 1)
    ]
    for row in rows:
        row["rows"][0]["training_loss"] = 0.1
    text = overlaps_told.conclusion(rows)
    assert "K = 3 has 1.00 points more than K = 2 (beyond one standard deviation)" in text
    assert overlaps_told.tables(rows)[0].rows[0][4] == "92.50 ± 0.71"
    assert {*overlaps_told.figures(rows)} == {"accuracy-over-window"}
