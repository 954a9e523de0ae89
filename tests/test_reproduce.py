"""san reproduce: what is run, that nothing is run twice, and what the tables say."""

import csv
import gzip
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from san import cli, datasets
from san.dataset_readers import fetch
from san.dataset_readers import physionet as datasets_physionet
from san.paper import experiments, figures, output, tables
from san.paper.classifiers import Labelled, train_classifier

# A part of the kernel sizes: enough for the first result to come well before the last one.
SIZES = "1:100"
COMMAND = f"""
from san import cli, datasets
datasets.read_manifest("physionet")["published"]["kernel_sizes"] = "{SIZES}"
cli.main()
"""


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """An empty cache, no data folder and no network."""
    monkeypatch.setattr(fetch, "cache", lambda: tmp_path / "cache")
    monkeypatch.delenv("SAN_DATA_DIR", raising=False)

    def unreachable(address, *arguments, **options):
        raise fetch.MissingData(f"{address} cannot be reached")

    monkeypatch.setattr(fetch, "download", unreachable)


@pytest.fixture
def bundled_as_mitdb(monkeypatch):
    """The recording that is always here, as the first record of a database; few kernel sizes."""
    manifest = datasets.read_manifest("physionet")
    find = datasets_physionet.find_recording

    def found(manifest, record, folder, places):
        if record != "mitdb":
            raise fetch.MissingData(f"{record} is not here")
        return find(manifest, "bundled", folder, places)[0], "mitdb/100"

    monkeypatch.setattr(datasets_physionet, "find_recording", found)
    for protocol in datasets.PROTOCOLS:
        monkeypatch.setitem(manifest[protocol], "kernel_sizes", "8:12")
        monkeypatch.setitem(manifest[protocol], "epochs", 2)


def run_all(units, folder):
    return [result for _, result in experiments.run(units, folder)]


def test_a_plan_is_every_activation_protocol_and_seed():
    units = experiments.plan(["mnist", "physionet"], ["published", "corrected"], 2)
    assert len(units) == 2 * 5 * 2 + 15 * 5 * 2 * 2
    assert len(set(units)) == len(units)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["cifar"], ["published"], 1), "experiment must be one of .*, got 'cifar'"),
        ((["mnist"], ["best"], 1), "protocol must be one of .*, got 'best'"),
        ((["mnist"], ["published"], 0), "at least one seed, got 0"),
        ((["mnist"], ["published"], 1, ["magic"]), "variant must be one of .*, got 'magic'"),
        ((["physionet"], ["published"], 1, ["paper"], ["x"]), "record must be one of .*, got 'x'"),
    ],
    ids=["experiment", "protocol", "seeds", "variant", "record"],
)
def test_a_plan_of_unknown_names_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        experiments.plan(*arguments)


def test_results_of_another_device_have_files_of_their_own():
    (unit, *_), splits = experiments.plan(["mnist"], ["published"], 1), []
    here, there = experiments.settings_of(unit), experiments.settings_of(unit, "cuda")
    assert (here.device, there.device) == ("cpu", "cuda")
    assert experiments._file_name(unit, here, splits) != experiments._file_name(unit, there, splits)


def test_nothing_is_done_twice(tmp_path, bundled_as_mitdb):
    units = experiments.plan(["physionet"], ["published"], 1, records=["mitdb"])
    first = run_all(units, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 5
    assert run_all(units, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    more = experiments.plan(["physionet"], ["published"], 2, records=["mitdb"])
    run_all(more, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert len(list(tmp_path.iterdir())) == 10


def test_the_tables_say_which_record_was_an_export(tmp_path, bundled_as_mitdb):
    units = experiments.plan(["physionet"], ["published"], 1, records=["mitdb"])[:1]
    (made,) = run_all(units, tmp_path / "units")
    export = {**made, "record": "wrist", "data": "physionet wrist/s1 (export)"}
    text = output._tables([made, export], [])[0]
    assert "| wrist/s1 (export) | Identity |" in text
    assert "An export stands for a record that was not here. wrist: its first 60 s as text" in text
    assert "export" not in output._tables([made], [])[0]


def test_records_may_have_different_variants_and_seeds(tmp_path, bundled_as_mitdb):
    units = experiments.plan(["physionet"], ["corrected"], 1, ["paper", "two kernels"], ["mitdb"])
    results = [r for r in run_all(units, tmp_path) if r["activation"] == "extrema"]
    again = [{**r, "record": "emgdb", "data": "physionet emgdb/a"} for r in results]
    more = [{**again[0], "seed": 1}]
    text = tables.variant_tables([*results, *again])
    assert text.count("| variant |") == 1 and text.count("| two kernels | 1 |") == 1
    text = tables.variant_tables([*results, *again, *more])
    assert text.count("| variant |") == 3 and "| paper | 2 |" in text
    assert "emgdb | mitdb" in text.splitlines()[0]
    lines = tables.best_lines([*results[:1], *again[:1], *more])
    assert output._seeds(lines).startswith("1 to 2 seeds")
    assert figures._weights([*results[:1], *again[:1], *more]).tolist() == [1, 0.5, 0.5]


def test_published_chooses_on_test_and_corrected_on_validation(tmp_path, bundled_as_mitdb):
    for protocol, by in (("published", "phi"), ("corrected", "validation_phi")):
        units = experiments.plan(["physionet"], [protocol], 1, records=["mitdb"])
        for result in run_all(units, tmp_path):
            best = min(result["rows"], key=lambda row: row[by])
            assert result["chosen"] == best["kernel_size"]
            assert result["settings"]["init"] == "normal"
            epochs = {row["epoch"] for row in result["rows"]}
            assert epochs == {2} if protocol == "published" else epochs <= {1, 2}


def test_a_corrupt_result_is_named(tmp_path, bundled_as_mitdb):
    units = experiments.plan(["physionet"], ["published"], 1, records=["mitdb"])[:1]
    run_all(units, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    with pytest.raises(ValueError, match=r"is corrupt .* remove it"):
        run_all(units, tmp_path)


def test_the_command_writes_tables_and_figures(tmp_path, monkeypatch, capsys, bundled_as_mitdb):
    monkeypatch.chdir(tmp_path)
    arguments = "reproduce physionet --seeds 2 --database mitdb --database wrist --variant"
    monkeypatch.setattr(sys, "argv", ["san", *arguments.split(), "data start"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert stopped.value.code == 0
    assert "skipped, neither here nor to be downloaded: wrist" in said.err
    folder = tmp_path / "reproduction"
    text = (folder / "tables.md").read_text()
    assert "## PhysioNet, published protocol" in text and "corrected protocol" in text
    assert "Skipped, neither here nor to be downloaded: wrist" in text
    assert "| mitdb/100 | Extrema |" in text and "| data start |" in text
    assert r"\begin{tabular}" in (folder / "tables.tex").read_text()
    with gzip.open(folder / "rows.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (5 * 2 * 2 + 2) * 4
    assert sum(int(row["chosen"]) for row in rows) == len(rows) // 4
    assert all(row["seed"] and row["settings"] and row["data_sha256"] for row in rows)
    assert len(output.read(folder)) == 22
    pictures = sorted((folder / "figures").glob("*.png"))
    assert len(pictures) == 10
    for picture in pictures:
        assert np.asarray(Image.open(picture).convert("L")).std() > 5
        assert picture.with_suffix(".svg").stat().st_size > 1000


@pytest.mark.slow
def test_a_killed_reproduction_goes_on(tmp_path, recordings, monkeypatch, command):
    given = ["reproduce", "physionet", "--database", "mitdb", "--protocol", "published"]
    given += ["--data-dir", str(recordings), "--output", "out"]
    running = subprocess.Popen([sys.executable, "-c", COMMAND, *given], cwd=tmp_path)
    units = tmp_path / "out" / "units"
    deadline = time.monotonic() + 120
    while not list(units.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = {path: path.stat().st_mtime_ns for path in units.glob("*.json")}
    assert 1 <= len(before) < 5
    monkeypatch.setitem(datasets.read_manifest("physionet")["published"], "kernel_sizes", SIZES)
    code, _, err = command(*given)
    assert (code, err) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(os.listdir(units)) == 5


@pytest.mark.slow
def test_the_published_curves_come_out_again(tmp_path, recordings):
    """Three records whose curves do not hang on the random start."""
    records = ["bidmc", "emgdb", "ctu-uhb-ctgdb"]
    units = experiments.plan(["physionet"], ["published"], 1, records=records)
    sparse = [unit for unit in units if unit.activation in ("extrema", "extrema_pool")]
    results = [r for _, r in experiments.run(sparse, tmp_path, str(recordings))]
    for curve in tables.compare_curves(results):
        assert curve.median_difference <= 0.03
        assert curve.rank_correlation >= 0.9
        if curve.activation == "extrema_pool":
            assert curve.exact_ratios == 1


def test_the_published_numbers_are_those_of_the_thesis():
    curve = datasets.published_curve("mitdb", "extrema")
    assert curve.shape == (249, 3)
    row = datasets.published_results("physionet mitdb/100", "extrema")[0]
    ratio, loss = curve[int(row["kernel_size"]) - 1, 1:]
    assert math.hypot(ratio, loss) == pytest.approx(row["phi"], abs=0.006)
    assert datasets.published_curve("nonsense", "extrema").shape == (0, 3)
    assert datasets.published_baseline("uci-epilepsy") == 82.14


@pytest.fixture
def part_of_fashion_mnist(recordings, alone, tmp_path_factory):
    """A folder that holds the first images only, also where all of them are at hand."""
    part = recordings / "fashion-mnist-prefix"
    if not part.is_dir():
        pytest.skip(f"{part} is not here")
    folder = tmp_path_factory.mktemp("part")
    (folder / part.name).symlink_to(part, target_is_directory=True)
    return folder


def test_a_part_of_fashion_mnist_is_marked_as_such(part_of_fashion_mnist):
    splits = datasets.load_splits("fashion-mnist", data_dir=part_of_fashion_mnist)
    assert splits.test.name == "fashion-mnist (first 3,615 images)"
    assert [len(split.x) for split in splits] == [2583, 516, 516]
    published = datasets.published_results(splits.test.name, "extrema")
    assert [row["kernel_size"] for row in published] == [1, 2, 3, 4, 5, 6]


def test_a_classified_experiment_has_accuracies(tmp_path, part_of_fashion_mnist, monkeypatch):
    monkeypatch.setitem(datasets.read_manifest("fashion-mnist")["corrected"], "kernel_sizes", "4")
    units = experiments.plan(["fashion-mnist"], ["corrected"], 1)
    results = [r for _, r in experiments.run(units[-1:], tmp_path, str(part_of_fashion_mnist))]
    (row,) = results[0]["rows"]
    assert 0.4 < row["accuracy"] <= row["baseline"] + 0.05 < 1
    (line,) = tables.best_lines(results)
    assert line.accuracy.mean == pytest.approx(100 * (row["accuracy"] - row["baseline"]))
    assert "accuracy − baseline" in tables.to_markdown([line])


def test_the_chosen_epoch_is_at_least_as_good_on_validation_as_the_last():
    """On classes that cannot be told apart, where accuracy goes up and down."""
    generator = torch.Generator().manual_seed(1)
    parts = []
    for number in (200, 50, 50):
        y = torch.randint(0, 3, (number,), generator=generator)
        parts.append(Labelled(torch.randn(number, 1, 178, generator=generator), y))
    chosen = train_classifier(*parts[:2], parts[1], epochs=4, choose=True)
    last = train_classifier(*parts[:2], parts[1], epochs=4, choose=False)
    assert chosen.test >= last.test
    assert last.pooled == pytest.approx(last.test)
    assert train_classifier(*parts[:2], parts[1], epochs=4, choose=False) == last


def test_json_holds_no_more_than_numbers_and_words(tmp_path, bundled_as_mitdb):
    units = experiments.plan(["physionet"], ["published"], 1, records=["mitdb"])[-1:]
    run_all(units, tmp_path)
    content = json.loads(next(tmp_path.iterdir()).read_text())
    assert {"settings", "versions", "data_sha256", "history", "kernels", "seconds"} <= set(content)


def test_the_committed_curves_follow_the_published_ones():
    """The sparse activations on nine records: as close as two of our own seeds to each other."""
    folder = Path(__file__).parents[1] / "benchmarks" / "results" / "physionet"
    results = [
        r
        for r in output.read(folder)
        if r["protocol"] == "published" and r["activation"] not in ("identity", "relu")
        if r["seed"] < 3
    ]
    curves = tables.compare_curves(results)
    assert len(curves) == 9 * 3
    assert {sum(r["record"] == c.database for r in results) for c in curves} == {9}
    for curve in curves:
        assert curve.median_difference <= 1.25 * curve.difference_of_seeds + 0.001
        assert curve.rank_correlation >= curve.correlation_of_seeds - 0.1
        assert curve.activation == "extrema" or curve.exact_ratios > 0.995
