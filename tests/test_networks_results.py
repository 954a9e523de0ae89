"""What the committed results of the studies say: the claims of the documentation hold in them."""

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "networks"
SEEDS = 5


def rows(study, **wanted):
    """The committed rows with these texts."""
    with gzip.open(RESULTS / study / "rows.csv.gz", "rt", newline="") as file:
        every = list(csv.DictReader(file))
    return [row for row in every if all(row[k] == str(v) for k, v in wanted.items())]


def mean(found, column="error"):
    assert len({row["seed"] for row in found}) == SEEDS
    return np.mean([float(row[column]) for row in found])


def test_where_the_routing_is_counted_top_k_loses_to_dense_units():
    own = {"kind": "random features", "target": "polynomial", "n": 8}
    sparse = rows("sparse-experts", mask="top_k", width=1024, active=16, **own)
    dense = rows("sparse-experts", mask="dense", width=256, **own)
    assert int(sparse[0]["with_routing"]) > 3 * int(dense[0]["with_routing"])
    assert mean(sparse) > mean(dense)
    assert "DSM loses" in (RESULTS / "sparse-experts" / "tables.md").read_text()


CASES = [*itertools.product(("polynomial", "hypercube"), (4, 8))]


@pytest.mark.parametrize(("target", "n"), CASES)
def test_at_equal_active_units_top_k_is_better_and_chance_is_not(target, n):
    own = {"kind": "random features", "target": target, "n": n}
    every = rows("sparse-experts", **own)

    def error(mask, active, width):
        texts = {"mask": mask, "active": str(active), "width": str(width)}
        return mean([row for row in every if all(row[k] == v for k, v in texts.items())])

    for active in (16, 64):
        assert error("top_k", active, 1024) <= 0.75 * error("dense", active, active)
    assert error("hash", 16, 1024) >= error("dense", 16, 16)


@pytest.mark.parametrize(("target", "n"), CASES)
def test_a_linear_expert_beats_16_dense_random_units(target, n):
    own = {"target": target, "n": n}
    linear = rows("sparse-experts", kind="buckets", degree=1, tables=1, chosen=1, **own)
    dense = rows("sparse-experts", kind="random features", mask="dense", width=16, **own)
    assert mean(linear) < mean(dense)


@pytest.mark.parametrize("k", [1, 2])
def test_the_number_of_buckets_follows_the_dimension_of_the_data(k):
    slopes = {}
    for around in (10, 40):
        found = rows("sparse-experts", kind="subspace", k=k, around=around, target="")
        cells = sorted({float(row["cell"]) for row in found})
        counts = [mean([r for r in found if float(r["cell"]) == c], "buckets") for c in cells]
        slopes[around] = np.polyfit(-np.log(cells), np.log(counts), 1)[0]
    assert all(abs(slope - k) <= 0.25 for slope in slopes.values()), slopes
    assert abs(slopes[10] - slopes[40]) <= 0.1, slopes


def test_in_one_dimension_the_bound_holds_for_every_seed():
    found = rows("sparse-experts", kind="line")
    assert len(found) == SEEDS
    for row in found:
        assert float(row["largest_error"]) <= float(row["slope"]) * float(row["diameter"])


def test_every_committed_rank_obeys_its_law_or_bound():
    law = rows("overlaps", kind="law")
    assert len(law) == 160 * SEEDS and all(row["rank"] == row["law"] for row in law)
    apart = rows("overlaps", kind="rank", circuit="no overlap", partition="halves")
    assert apart and all(int(row["rank"]) <= int(row["channels"]) for row in apart)


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
def test_images_have_five_seeds_at_about_equal_weights(data):
    for window in (2, 3, 4):
        found = rows("overlaps", kind="images", data=data, window=window)
        assert mean(found, "accuracy") > 50
        assert abs(int(found[0]["weights"]) / 17_002 - 1) < 0.03


def test_offsets_have_four_records_of_five_seeds():
    found = rows("overlaps", kind="offset")
    assert len(found) == 4 * SEEDS * 4 * 12
    assert {row["record"] for row in found} == {"bundled", "mitdb", "bidmc", "voiced"}


@pytest.mark.parametrize("study", ["sparse-experts", "overlaps"])
def test_a_study_has_its_tables_and_figures(study):
    text = (RESULTS / study / "tables.md").read_text()
    assert f"{SEEDS} seeds." in text and "## What holds" in text and "nan" not in text
    assert r"\begin{tabular}" in (RESULTS / study / "tables.tex").read_text()
    pictures = sorted((RESULTS / study / "figures").glob("*.png"))
    assert len(pictures) == 3 and all(p.with_suffix(".svg").is_file() for p in pictures)
