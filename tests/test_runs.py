"""A run folder: what it holds, and that a killed run continues to the identical result."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
import torch
from PIL import Image

from san import datasets
from san.dataset_readers import fetch
from san.networks.san import SAN
from san.training import run_settings, runs

SAN_COMMAND = [sys.executable, "-c", "from san.cli import main; main()"]
QUICK = {"kernel_sizes": "40,60", "epochs": 2, "kernels": 1}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def finished(given, folder=None):
    run = runs.start(*run_settings.settings_from({**QUICK, **given}), folder)
    return run, runs.finish(run).result


def test_a_run_folder_holds_everything(tmp_path):
    run, result = finished({"seed": 3})
    assert str(run.folder) == "runs/physionet-bundled-extrema"
    names = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    figures = "activations history kernel overview reconstruction signal similarity sweep".split()
    files = (
        "settings.toml history.csv checkpoint.safetensors model.safetensors metrics.json".split()
    )
    assert names == {*files, *(f"figures/{figure}.png" for figure in figures)}

    settings = tomllib.loads((run.folder / "settings.toml").read_text())
    assert (settings["seed"], settings["kernel_sizes"]) == (3, [40, 60])
    assert settings["provenance"]["torch"] == torch.__version__
    assert settings["provenance"]["data_sha256"] == [split.sha256 for split in run.splits]

    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["kernel_size"]) for row in rows] == [
        ("1", "40"), ("1", "60"), ("2", "40"), ("2", "60"),
    ]  # fmt: skip
    assert float(rows[0]["phi"]) == run.training.history[0].phi

    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["test"]["phi"] == result.scores.phi.mean()
    assert metrics["test"]["kernel_size"] == result.kernel_size
    assert len(metrics["test_per_signal"]["phi"]) == 4

    model = SAN.load(run.folder / "model.safetensors")
    x = torch.from_numpy(run.splits.test.x)
    assert torch.equal(model(x).x_hat, result.model(x).x_hat)


@pytest.mark.parametrize("dataset", ["physionet", "images"])
def test_figures_are_pictures(dataset, monkeypatch):
    if dataset == "images":
        x = np.random.default_rng(0).random((12, 1, 10, 10)).astype(np.float32)
        parts = [
            datasets.Dataset("mnist", split, x, None, None, ("1",), ("grey",), "", "")
            for split in datasets.Splits._fields
        ]
        monkeypatch.setattr(
            datasets, "load_splits", lambda *args, **options: datasets.Splits(*parts)
        )
        run, _ = finished({"dataset": "mnist", "kernel_sizes": "3"})
    else:
        run, _ = finished({})
    for path in (run.folder / "figures").iterdir():
        with Image.open(path) as picture:
            assert picture.width > 300 and len(set(picture.convert("L").tobytes())) > 20


def test_names_are_never_taken_twice():
    folders = [str(runs.start(*run_settings.settings_from(QUICK)).folder) for _ in range(3)]
    name = "runs/physionet-bundled-extrema"
    assert folders == [name, f"{name}-2", f"{name}-3"]


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(FileExistsError, match="mine is there and not empty"):
        finished({}, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_runs_settings_make_the_same_run(tmp_path):
    one, _ = finished({"seed": 5}, tmp_path / "one")
    given = run_settings.read_settings(tmp_path / "one" / "settings.toml")
    two = runs.start(*run_settings.settings_from(given), tmp_path / "two")
    runs.finish(two)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert two.settings == one.settings


def content(folder):
    """What must not depend on whether a run was killed."""
    return {
        name: (folder / name).read_bytes()
        for name in ("model.safetensors", "metrics.json", "history.csv")
    }


def test_resume_continues_after_the_last_epoch(tmp_path):
    whole, _ = finished({"epochs": 4}, tmp_path / "whole")
    run = runs.start(*run_settings.settings_from({**QUICK, "epochs": 4}), tmp_path / "part")

    def stop(rows):
        if rows[0].epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.finish(run, on_epoch=stop)
    again = runs.resume(tmp_path / "part")
    assert again.training.epoch == 2
    epochs = []
    runs.finish(again, on_epoch=lambda rows: epochs.append(rows[0].epoch))
    assert epochs == [3, 4]
    assert content(tmp_path / "part") == content(whole.folder)


def test_resume_of_a_finished_run_changes_nothing(tmp_path):
    run, _ = finished({}, tmp_path / "run")
    before = content(run.folder)
    runs.finish(runs.resume(run.folder))
    assert content(run.folder) == before


def test_resume_refuses_other_data(tmp_path):
    finished({}, tmp_path / "run")
    path = tmp_path / "run" / "settings.toml"
    path.write_text(
        path.read_text().replace('decoder = "adjoint"', 'start = 1000\ndecoder = "adjoint"')
    )
    with pytest.raises(ValueError, match=r"are not those that .*run began with"):
        runs.resume(tmp_path / "run")


# settings.toml of a run of 0.4.0, without its versions.
OF_0_4 = """\
dataset = "physionet"
start = 900
activation = "extrema"
kernel_sizes = [60]
kernels = 2
epochs = 2
batch_size = 2
learning_rate = 0.01
seed = 0
init = "data"
decoder = "adjoint"
protocol = "corrected"
border_tolerance = 3
device = "cpu"
passes = 1
refit = false
compete = false
anneal = 1.0
grow = false

[provenance]
"data_sha256" = [
    "db3b305e950102529b91dac63beac9942b531f57a3553881b5aab4ff7f296585",
    "4c7ca8506e0c79c349ad03817a9f699de9570d6081d0c1035277be8f1bbc582e",
    "381b68ab887d221aeaf855943f6715865d19aeb4ed95b15c995230e6a72ed4b2",
]
"""


def test_a_run_folder_of_0_4_finds_its_signals(tmp_path):
    (tmp_path / "settings.toml").write_text(OF_0_4)
    given = run_settings.read_settings(tmp_path / "settings.toml")
    data, settings = run_settings.settings_from(given)
    assert (data.start, data.start_seconds, settings.kernel_sizes) == (900, None, (60,))
    splits = runs.find_signals(tmp_path, data, settings)
    assert np.array_equal(splits.test.x, datasets.load("physionet", "test", start=900).x)


def test_resume_refuses_a_corrupt_checkpoint(tmp_path):
    finished({}, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.safetensors"
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors is corrupt"):
        runs.resume(tmp_path / "run")


def test_resume_of_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        runs.resume(tmp_path)


SIZES, EPOCHS = 50, 60


@pytest.fixture
def one_thread():
    """As in the processes that are started here: with several threads sums may be rounded apart."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_in_the_identical_result(tmp_path, one_thread):
    """Processes are killed; what they began ends, and what is undisturbed runs, in this one."""
    sizes = f"150:{150 + SIZES}"
    given = {"kernel_sizes": sizes, "epochs": EPOCHS, "kernels": 2}
    whole, _ = finished(given, tmp_path / "whole")

    folder = tmp_path / "killed"
    options = ["--kernel-sizes", sizes, "--epochs", str(EPOCHS), "--kernels", "2"]
    command = [*SAN_COMMAND, "train", *options, "--output", str(folder)]
    chance = random.Random(7)
    epochs = []
    for kill in range(2):
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        wait_for(folder, kill, epochs)
        time.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
        epochs.append(epochs_in(folder))
        command = [*SAN_COMMAND, "train", "--resume", str(folder)]
        half_written = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
        assert all(path.stat().st_size > 0 for path in half_written)
    assert 0 < epochs[0] < EPOCHS and len(set(epochs)) > 1
    runs.finish(runs.resume(folder))
    assert content(folder) == content(whole.folder)
    assert not list(folder.glob(".*"))


def epochs_in(folder):
    path = folder / "history.csv"
    return (len(path.read_text().splitlines()) - 1) // SIZES if path.is_file() else 0


def wait_for(folder, kill, epochs):
    """Until the process has finished one more epoch than the last one had, or is done."""
    target = min(epochs[-1] + 1, EPOCHS) if epochs else 1
    end = time.monotonic() + 60
    while epochs_in(folder) < target and time.monotonic() < end:
        time.sleep(0.01)


@pytest.fixture
def two_records(recordings, monkeypatch):
    """Of the paper's databases only two are listed, one of them nowhere to be had."""
    manifest = datasets.read_manifest("physionet")
    listed = {name: manifest["databases"][name] for name in ("mitdb", "slpdb")}
    monkeypatch.setitem(manifest, "databases", listed)
    monkeypatch.setitem(manifest, "address", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(fetch, "_unreachable", set())
    return recordings


def test_a_run_of_every_record_skips_what_is_not_here(two_records, tmp_path):
    given = {**QUICK, "record": "all", "data_dir": str(two_records), "kernel_sizes": "74"}
    collection = runs.start(*run_settings.settings_from(given), tmp_path / "all")
    members = dict(collection.members())
    assert members["slpdb"] is None
    runs.finish(members["mitdb"])
    again = dict(runs.resume(tmp_path / "all").members())
    assert again["mitdb"].training.epoch == 2


@pytest.mark.parametrize(
    "given, words",
    [
        ({"epoch": 3}, "the settings: there is no setting 'epoch'"),
        ({"epochs": 0}, "the settings: epochs: .* greater than or equal to 1, got 0"),
        ({"epochs": "many"}, "the settings: epochs: .* valid integer.*, got 'many'"),
        ({"activation": "sigmoid"}, "the settings: activation: .* got 'sigmoid'"),
        ({"kernel_sizes": "x"}, "the settings: kernel_sizes: a kernel size must be .* got 'x'"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"protocol": "best"}, "protocol must be one of corrected, published, got 'best'"),
        ({"dataset": "cifar"}, "dataset must be one of"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_wrong_settings_are_named_in_one_line(given, words):
    with pytest.raises(ValueError, match=words) as caught:
        run_settings.settings_from(given)
    assert "\n" not in str(caught.value)


def test_protocols_set_every_choice():
    _, corrected = run_settings.settings_from({"record": "mitdb/100"})
    assert (corrected.init, corrected.decoder, corrected.counted_weights) == (
        "data",
        "adjoint",
        "all",
    )
    _, published = run_settings.settings_from({"record": "mitdb/100", "protocol": "published"})
    assert (published.init, published.decoder) == ("normal", "paper")
    assert published.kernel_sizes == tuple(range(1, 250))
    assert (published.kernels, published.epochs, published.batch_size) == (1, 30, 2)
    _, images = run_settings.settings_from({"dataset": "mnist", "protocol": "published"})
    assert (images.kernels, images.epochs, images.batch_size) == (2, 5, 64)
    assert (images.kernel_sizes, images.border_tolerance) == ((1, 2, 3, 4, 5, 6), 2)
    assert images.counted_weights == "published"
    _, mixed = run_settings.settings_from({"protocol": "published", "init": "data"})
    assert (mixed.init, mixed.decoder) == ("data", "paper")
