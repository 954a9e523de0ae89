"""Studies of other networks: nothing is made twice, and what they leave in their folders."""

import csv
import gzip
import hashlib
import pickle
import re
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from san import cli, datasets
from san.dataset_readers import cifar
from san.dataset_readers.images import import_torchvision
from san.paper import studies
from san.paper.study import Part, Study, Table, digits, rows_of, spread_of
from san.paper.tables import Spread

MADE = []


def make(part, load, done):
    MADE.append((part.name, part.seed))
    done(0.5)
    rows = [{"width": w, "loss": part.settings["n"] / w + part.seed} for w in (1, 4)]
    return {"rows": rows, "sizes": [len(load(name).train.x) for name in part.data]}


def plan(seeds):
    return [
        Part("doubles", f"n={n}", seed, {"n": n}, cost=0.1, data=("physionet",) if n == 3 else ())
        for n in (2, 3)
        for seed in range(seeds)
    ]


def tables(results):
    rows = []
    for row in rows_of(results, seed=0):
        of_seeds = rows_of(results, n=row["n"], width=row["width"])
        rows.append([str(row["n"]), str(row["width"]), digits(spread_of(of_seeds, "loss"))])
    return [Table("Loss of doubles", ["n", "width", "loss"], rows, "The loss has no unit.")]


def figures(results):
    figure = Figure()
    figure.subplots().plot([row["loss"] for row in rows_of(results)])
    return {"loss": figure}


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    study = Study(
        "doubles", "Doubles", "A paper.", plan, make, tables, figures, lambda r: f"{len(r)} hold."
    )
    monkeypatch.setattr(studies, "STUDIES", {"doubles": study})
    MADE.clear()


def test_nothing_is_made_twice(tmp_path):
    first = [result for _, result in studies.run(studies.plan(["doubles"], 1), tmp_path)]
    assert MADE == [("n=2", 0), ("n=3", 0)]
    assert first[1]["sizes"] == [6] and len(first[1]["data_sha256"]) == 3
    assert [r for _, r in studies.run(studies.plan(["doubles"], 1), tmp_path)] == first
    assert len(MADE) == 2
    assert len([*studies.run(studies.plan(["doubles"], 2), tmp_path)]) == 4
    assert MADE[2:] == [("n=2", 1), ("n=3", 1)]


def test_a_part_tells_all_of_its_work(tmp_path):
    for _ in range(2):
        told = {}

        def on_part(part, share, told=told):
            told[part.name] = told.get(part.name, 0) + share

        assert len([*studies.run(studies.plan(["doubles"], 1), tmp_path, None, on_part)]) == 2
        assert told == {"n=2": 1, "n=3": 1}


def test_a_part_without_data_is_named(tmp_path, monkeypatch):
    def missing(name, **options):
        raise datasets.MissingData(name)

    monkeypatch.setattr(datasets, "load_splits", missing)
    made = [*studies.run(studies.plan(["doubles"], 1), tmp_path)]
    assert [(part.dataset, result is None) for part, result in made] == [
        ("", False),
        ("physionet", True),
    ]


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["san", "reproduce", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, capsys.readouterr()


def test_the_command_writes_a_folder_for_each_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, said = command(monkeypatch, capsys, "doubles", "--seeds", "2")
    assert code == 0 and "of doubles are in reproduction/doubles" in said.out
    folder = tmp_path / "reproduction"
    assert sorted(path.name for path in folder.iterdir()) == ["doubles", "units"]
    text = (folder / "doubles" / "tables.md").read_text()
    assert text.startswith("# Doubles\n\nA paper.\n\n2 seeds.\n")
    assert "| 2 | 1 | 2.5 ± 0.7 |" in text and "The loss has no unit." in text
    assert "## What holds\n\n4 hold." in text
    assert r"2 & 1 & 2.5 $\pm$ 0.7 \\" in (folder / "doubles" / "tables.tex").read_text()
    with gzip.open(folder / "doubles" / "rows.csv.gz", "rt", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 8 and rows[0]["loss"] == "2" and "numpy=" in rows[0]["versions"]
    assert {row["data_sha256"] == "" for row in rows} == {True, False}
    for ending in ("png", "svg"):
        assert (folder / "doubles" / "figures" / f"loss.{ending}").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "published"], "doubles has no --protocol: leave it out"),
        (["--variant", "all"], "doubles has no --variant: leave it out"),
        (["--database", "mitdb"], "doubles has no --database: leave it out"),
        (["--device", "cuda"], "doubles has no --device: leave it out"),
        (["--seeds", "0"], "there must be at least one seed, got 0"),
        (["doubts"], "must be one of physionet, .*, doubles or all, got 'doubts'"),
    ],
    ids=["protocol", "variant", "database", "device", "seeds", "name"],
)
def test_options_of_other_experiments_are_refused(monkeypatch, capsys, arguments, message):
    code, said = command(monkeypatch, capsys, "doubles", *arguments)
    assert code == 2 and len(said.err.splitlines()) == 1
    assert re.search(message, said.err)


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        (Spread(0.5, 0.0), "0.5"),
        (Spread(0.02346, 0.00111), "0.0235 ± 0.0011"),
        (Spread(1e-6, 2.2e-7), "1e-06 ± 2e-07"),
        (Spread(123.4, 5.0), "123 ± 5"),
    ],
)
def test_numbers_are_written_with_three_digits(spread, text):
    assert digits(spread) == text


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Two training files and a test file of a few images, whose MD5 sums torchvision knows."""
    folder = tmp_path / cifar.FOLDER
    folder.mkdir()
    dataset = import_torchvision("torchvision.datasets").CIFAR10

    def listed(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return name, hashlib.md5((folder / name).read_bytes()).hexdigest()

    def images(count, first):
        data = np.arange(count * 3072).reshape(count, 3072) % 251 + first
        return {"data": data.astype(np.uint8), "labels": [n % 10 for n in range(count)]}

    train = [listed(f"data_batch_{n}", images(4, n)) for n in (1, 2)]
    monkeypatch.setattr(dataset, "train_list", train)
    monkeypatch.setattr(dataset, "test_list", [listed("test_batch", images(3, 0))])
    name, md5 = listed("batches.meta", {"label_names": [*"abcdefghij"]})
    monkeypatch.setattr(dataset, "meta", {"filename": name, "key": "label_names", "md5": md5})
    monkeypatch.setattr(cifar, "VALIDATION", 2)
    return tmp_path


def test_cifar_is_read_where_it_is_at_hand(small_cifar):
    train, validation, test = studies._loader(str(small_cifar))("cifar-10")
    assert [s.x.shape for s in (train, validation, test)] == [(n, 3, 32, 32) for n in (6, 2, 3)]
    assert (
        train.x[0, 0, 0, 1] == np.float32(2) / 255 and train.x[0, 1, 0, 0] == np.float32(21) / 255
    )
    assert train.x.dtype == np.float32 and train.y.tolist() == [0, 1, 2, 3, 0, 1]


def test_a_changed_file_of_cifar_is_never_opened(small_cifar, monkeypatch):
    monkeypatch.setattr(pickle, "load", lambda *a, **k: pytest.fail("a pickle was opened"))
    path = small_cifar / cifar.FOLDER / "data_batch_2"
    path.write_bytes(path.read_bytes() + b".")
    with pytest.raises(ValueError, match="cifar-10-batches-py is corrupt"):
        studies._loader(str(small_cifar))("cifar-10")


def test_cifar_that_is_not_here_is_skipped(tmp_path):
    with pytest.raises(
        datasets.MissingData, match="put the folder cifar-10-batches-py into FOLDER"
    ):
        cifar.load([tmp_path])
