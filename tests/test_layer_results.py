"""The committed results of compression and sparse activations hold what the pages say of them."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "networks"


def rows(study, **wanted):
    """The committed rows with these texts."""
    with gzip.open(RESULTS / study / "rows.csv.gz", "rt", newline="") as file:
        every = list(csv.DictReader(file))
    return [row for row in every if all(row[k] == str(v) for k, v in wanted.items())]


def mean(found, column):
    assert {row["seed"] for row in found} == {"0", "1", "2", "3", "4"}
    return np.mean([float(row[column]) for row in found])


@pytest.mark.parametrize(("nodes", "least"), [(32, 0.95), (16, 0.93)])
def test_digits_keep_their_accuracy(nodes, least):
    def accuracy(way):
        return mean(rows("compression", kind="digits", nodes=nodes, way=way), "accuracy")

    assert accuracy("greedy, matched") >= least
    assert accuracy("greedy, refit") > accuracy("prune, refit") > accuracy("prune")
    if nodes == 32:
        assert accuracy("greedy, matched") > accuracy("from labels") + 0.005


@pytest.mark.parametrize("weights", ["gaussian", "signs"])
@pytest.mark.parametrize("dimension", [5, 10])
def test_the_turned_simplex_comes_closer_with_more_nodes(dimension, weights):
    counts, gaps = (50, 200, 800, 3200), []
    for large in counts:
        wanted = {"kind": "finite", "dimension": dimension, "weights": weights, "large": large}
        found = rows("compression", **wanted)
        gaps.append(mean(found, "turned") - mean(found, "optimum"))
    assert np.polyfit(np.log(counts), np.log(gaps), 1)[0] <= -0.6


def test_all_signs_come_closer_to_the_limit_with_the_dimension():
    dimensions, away = (4, 6, 8, 10, 12), []
    for d in dimensions:
        found = rows("compression", kind="corners", dimension=d)
        away.append(abs(min(float(r["optimum"]) for r in found) - float(found[0]["limit"])))
    assert np.polyfit(np.log(dimensions), np.log(away), 1)[0] <= -2


def test_every_search_for_few_nodes_ended_at_the_simplex():
    for nodes, dimension in ((3, 5), (4, 3), (5, 10), (8, 10), (11, 10), (50, 49)):
        found = rows("compression", kind="search", nodes=nodes, dimension=dimension)
        assert len(found) == 20
        assert all(float(r["gap"]) < 1e-9 and float(r["from_simplex"]) < 1e-5 for r in found)


def test_sparse_functions_are_small_and_not_of_low_degree():
    found = rows("sparse-activations", kind="weight")
    assert len(found) == 30
    assert all(float(row["influence"]) <= float(row["bound"]) for row in found)
    sparse, dense = (rows("sparse-activations", kind="weight", units=64, active=k) for k in (1, 64))
    assert mean(sparse, "variance") < mean(dense, "variance") / 1000
    assert mean(sparse, "above 2") > 10 * mean(dense, "above 2")


def test_the_two_scales_go_opposite_ways():
    def error(active, column):
        wanted = {"active": active, "learner": "regression", "m": 3000}
        return mean(rows("sparse-activations", kind="learning", **wanted), column)

    assert error(1, "error") < error(32, "error") / 100
    assert error(1, "relative") > 10 * error(32, "relative")


def test_complexity_is_within_its_bounds():
    found = rows("sparse-activations", kind="complexity")
    for ratio, m in {(row["ratio"], row["m"]) for row in found}:
        drawn = [row for row in found if (row["ratio"], row["m"]) == (ratio, m)]
        assert 0.6 <= mean(drawn, "exact") <= 0.9
        assert 0.6 <= mean(drawn, "drawn") <= 0.9
