"""Training in several processes: the same as in one, and going on after one of them is killed."""

import csv
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import trained_together

from san import cli
from san.networks.san import SAN
from san.training import run_settings, runs

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch has no gloo",
)

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
WARNINGS = "error,ignore:The inplace keyword in DataFrame:DeprecationWarning"  # wfdb's own
TRAIN = ["train", "--kernel-sizes", "60,90", "--batch-size", "5"]


def launch(*arguments, folder, processes=2, restarts=0):
    """Start torchrun in a folder of its own."""
    options = ["--nproc-per-node", str(processes), "--max-restarts", str(restarts)]
    return subprocess.Popen(
        [*TORCHRUN, *options, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": WARNINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    """Exit code, standard output, standard error."""
    try:
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes trained together, what they said of what goes wrong, and a run."""
    folder = tmp_path_factory.mktemp("together")
    command = [trained_together.__file__, folder, *TRAIN, "--epochs", EPOCHS]
    code, out, err = finished(launch(*command, folder=folder))
    assert (code, err) == (0, "")
    assert out.count("bundled") == 2 and out.count("CR⁻¹") == 1  # a table and a folder, once
    return folder


@pytest.mark.parametrize("case", trained_together.CASES)
def test_two_processes_train_what_one_does(case, together):
    alone = trained_together.trained(trained_together.CASES[case])
    of_ranks = [np.load(together / f"{case}-{rank}.npz") for rank in (0, 1)]
    for name, expected in alone.items():
        np.testing.assert_allclose(of_ranks[0][name], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(of_ranks[0][name], of_ranks[1][name])


def test_what_goes_wrong_in_one_process_is_said_by_all(together):
    first, second = ((together / f"messages-{rank}").read_text() for rank in (0, 1))
    assert first == second
    lines = dict(line.split(": ", 1) for line in first.splitlines()[:-1])
    assert lines["divergence"].startswith("ValueError: training diverged in epoch 1")
    assert lines["first fails"] == "FileNotFoundError: process 0 has no file"
    assert lines["other fails"] == "FileNotFoundError: process 1 has no file"
    assert lines["not same"] == "ValueError: the data of process 1 are not those of process 0"
    assert lines["device"].startswith("ValueError: several processes need the device cuda and")
    assert first.splitlines()[-1] == "first says 0"


@pytest.fixture(scope="module")
def run_of_two(together):
    """The folder of a run that two processes finished undisturbed."""
    return together / "runs" / "physionet-bundled-extrema"


EPOCHS = 60


def test_the_command_writes_one_run_folder_as_one_process_does(run_of_two, tmp_path):
    given = {"kernel_sizes": "60,90", "batch_size": 5, "epochs": EPOCHS}
    runs.finish(runs.start(*run_settings.settings_from(given), tmp_path / "one"))
    assert [path.name for path in run_of_two.parent.iterdir()] == [run_of_two.name]
    names = [
        sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
        for folder in (run_of_two, tmp_path / "one")
    ]
    assert names[0] == names[1]
    histories = [history_in(folder) for folder in (run_of_two, tmp_path / "one")]
    early = histories[0][:, 0] <= 10  # rounding grows with every step
    np.testing.assert_allclose(histories[0][early], histories[1][early], rtol=1e-5)


@pytest.mark.slow
def test_it_goes_on_to_the_identical_weights_after_processes_were_killed(run_of_two, tmp_path):
    process = launch("-m", "san", *TRAIN, "--epochs", EPOCHS, folder=tmp_path, restarts=2)
    folder = tmp_path / "runs" / run_of_two.name
    assert wait_for_epoch(folder, 2) < EPOCHS
    workers = workers_of(process.pid)
    os.kill(workers[0], signal.SIGKILL)  # the one that writes
    again = wait_for_others(process.pid, workers)
    os.kill(again[1], signal.SIGKILL)  # before it has joined the first
    code, out, err = finished(process)
    assert code == 0 and out.count("CR⁻¹") == 1
    assert "Traceback" not in err
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    for name in ("model.safetensors", "history.csv", "metrics.json", "checkpoint.safetensors"):
        assert (folder / name).read_bytes() == (run_of_two / name).read_bytes()
    assert not list(folder.glob(".*"))
    models = [SAN.load(f / "model.safetensors") for f in (folder, run_of_two)]
    assert all(torch.equal(a, b) for a, b in zip(*(m.kernels for m in models), strict=True))


def test_the_page_shows_such_a_run(command):
    """What `san` prints and the options are those of the page; torchrun is started above."""
    page = (pathlib.Path(__file__).parents[1] / "docs/how-to/processes.md").read_text()
    (shown,) = re.findall(r"^```console\n\$ (.*?)\n(.*?)```$", page, re.DOTALL | re.MULTILINE)
    beginning, _, arguments = shown[0].partition(" -m san ")
    assert beginning == "torchrun --standalone --nproc-per-node 2"
    code, out, err = command(*arguments.split())
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == shown[1].splitlines()[-1]


def test_what_one_process_does_alone_is_refused(tmp_path, monkeypatch, capsys):
    names = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}
    for name, value in {**names, "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="--record all trains in one process"):
        runs.start(*run_settings.settings_from({"record": "all"}), tmp_path / "all")
    monkeypatch.setattr(sys, "argv", ["san", "reproduce"])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert capsys.readouterr().err.startswith("san: reproduce runs in one process")
    assert not list(tmp_path.iterdir())


def history_in(folder):
    with open(folder / "history.csv", newline="") as file:
        return np.array([[float(value) for value in row] for row in list(csv.reader(file))[1:]])


def wait_for_epoch(folder, epoch):
    """Wait until the history has got there; return how far it is."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if (folder / "history.csv").is_file():
            reached = int(history_in(folder)[-1, 0])
            if reached >= epoch:
                return reached
        time.sleep(0.01)
    raise TimeoutError(f"no epoch {epoch} in {folder}")


def wait_for_others(parent, workers):
    """Wait until torchrun has started other processes instead of these; return them."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = workers_of(parent)
        if len(found) == len(workers) and not set(found) & set(workers):
            return found
        time.sleep(0.05)
    raise TimeoutError(f"torchrun did not start others instead of {workers}")


def workers_of(parent):
    """The processes that torchrun has started, in the order of their ranks."""
    table = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True)
    pairs = [map(int, line.split()) for line in table.stdout.splitlines()]
    return sorted(pid for pid, of in pairs if of == parent)
