"""What the committed results of the studies say: the claims of the documentation hold in them."""

import csv
import gzip
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "networks"
SEEDS = 5


def rows(study, **wanted):
    """The committed rows with these texts."""
    with gzip.open(RESULTS / study / "rows.csv.gz", "rt", newline="") as file:
        every = list(csv.DictReader(file))
    return [row for row in every if all(row[k] == str(v) for k, v in wanted.items())]


def test_every_committed_rank_obeys_its_law_or_bound():
    law = rows("overlaps", kind="law")
    assert len(law) == 160 * SEEDS and all(row["rank"] == row["law"] for row in law)
    apart = rows("overlaps", kind="rank", circuit="no overlap", partition="halves")
    assert apart and all(int(row["rank"]) <= int(row["channels"]) for row in apart)


def test_offsets_have_four_records_of_five_seeds():
    found = rows("overlaps", kind="offset")
    assert len(found) == 4 * SEEDS * 4 * 12
    assert {row["record"] for row in found} == {"bundled", "mitdb", "bidmc", "voiced"}


@pytest.mark.parametrize("study", ["overlaps"])
def test_a_study_has_its_tables_and_figures(study):
    text = (RESULTS / study / "tables.md").read_text()
    assert f"{SEEDS} seeds." in text and "## What holds" in text
    assert r"\begin{tabular}" in (RESULTS / study / "tables.tex").read_text()
    pictures = sorted((RESULTS / study / "figures").glob("*.png"))
    assert pictures and all(p.with_suffix(".svg").is_file() for p in pictures)
