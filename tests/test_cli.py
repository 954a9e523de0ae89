"""The command line as a user meets it: exit codes, one clear line, and what is left behind."""

import ast
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from san import cli

QUICK = ["--kernel-sizes", "60", "--epochs", "1", "--kernels", "1"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_training_ends_in_a_small_table(san):
    code, out, err = san("train", "--dataset", "physionet", "--activation", "extrema", *QUICK)
    assert code == 0 and err == ""
    assert "CR⁻¹" in out and "φ" in out and "bundled" in out
    assert "runs/physionet-bundled-extrema" in out
    assert pathlib.Path("runs/physionet-bundled-extrema/metrics.json").is_file()


def test_published_numbers_stand_beside_ours(san, recordings):
    record = ["--record", "mitdb/100", "--data-dir", recordings]
    code, out, _ = san("train", *record, *QUICK)
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "published" in line]
    assert rows == [["published", "229", "0.24", "0.38", "0.45"]]


@pytest.mark.parametrize("name", ["top-k-absolutes", "top_k_absolutes", "extrema-pool", "relu"])
def test_activations_have_the_names_people_type(name, san):
    code, out, _ = san("train", "--activation", name, *QUICK, "--output", "here")
    assert code == 0 and "model, metrics and figures are in here" in out


def test_settings_come_from_a_file_and_options_come_first(san, tmp_path):
    (tmp_path / "my.toml").write_text(
        'activation = "relu"\nkernel_sizes = [60]\nepochs = 1\nseed = 4\n'
    )
    code, _, _ = san("train", "--settings", "my.toml", "--seed", "5", "--output", "here")
    assert code == 0
    written = (tmp_path / "here" / "settings.toml").read_text()
    assert 'activation = "relu"' in written and "seed = 5" in written


@pytest.mark.parametrize(
    ("options", "written", "said"),
    [
        (
            ["--start", "2.5"],
            "start_seconds = 2.5",
            "san: --start is in seconds now; --start-sample",
        ),
        (["--start-sample", "900"], "start = 900", ""),
        ([], "start = 720", ""),
    ],
    ids=["seconds", "samples", "of the file"],
)
def test_the_first_window(options, written, said, san, tmp_path):
    (tmp_path / "my.toml").write_text("start = 720\nepochs = 1\nkernel_sizes = [9]\n")
    code, _, err = san("train", "--settings", "my.toml", *options, "--output", "here")
    assert code == 0 and err.startswith(said) and (said or not err)
    lines = (tmp_path / "here" / "settings.toml").read_text().splitlines()
    assert [line for line in lines if line.startswith("start")] == [written]


def test_a_time_and_a_sample_are_refused(san):
    code, _, err = san("train", "--start", "1", "--start-sample", "360")
    assert code == 2 and "give --start or --start-sample, not both" in err


def test_resume_takes_no_other_settings(san):
    assert san("train", *QUICK, "--output", "here")[0] == 0
    code, out, _ = san("train", "--resume", "here")
    assert code == 0 and "bundled" in out
    code, _, err = san("train", "--resume", "here", "--epochs", "3")
    assert code == 2 and "--resume takes its settings from the run folder" in err


def test_the_list_of_data_sets(san):
    code, out, _ = san("datasets")
    assert code == 0
    assert "bundled" in out and "mnist" in out and "ODC-By 1.0" in out


def test_help_and_version(san):
    code, out, _ = san("--help")
    assert code == 0 and "train" in out and "datasets" in out
    code, out, _ = san("train", "--help")
    assert code == 0 and "--kernel-sizes" in out and "Default" in out
    code, out, _ = san("--version")
    assert code == 0 and out.startswith("san ")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("train --nonsense", "No such option: --nonsense"),
        ("nonsense", "No such command 'nonsense'"),
        ("train --epochs many", "Invalid value for '--epochs'"),
        ("train --epochs 0", "epochs"),
        ("train --dataset cifar", "dataset must be one of"),
        ("train --record nosuchdb", "got 'nosuchdb'"),
        ("train --record mitdb/../x", "'database/record'"),
        ("train --activation sigmoid", "got 'sigmoid'"),
        ("train --kernel-sizes 5000", "kernel size must be between 1 and"),
        ("train --kernel-sizes abc", "got 'abc'"),
        ("train --window 200000", "do not fit"),
        ("train --start-sample 107000", "do not fit"),
        ("train --channel 3", "channel must be between 0 and 0"),
        ("train --data-dir /no/such/folder", "/no/such/folder is not there"),
        ("train --settings missing.toml", "missing.toml"),
        ("train --resume nothing", "nothing holds no settings.toml"),
        ("train --device cuda:99", "device 'cuda:99' is not there"),
        ("train --dataset mnist --record mitdb", "record is an option of physionet"),
        ("train --output taken", "taken is there and not empty"),
        ("train --output file/run", "file"),
        ("train --settings bad.toml", "bad.toml is not TOML"),
        ("train --settings unknown.toml", "there is no setting 'epoch'"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(arguments, words, san, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.toml").write_text("epochs = = 3")
    (tmp_path / "unknown.toml").write_text("epoch = 3")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = san(*arguments.split())
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_no_arguments_show_the_help(san):
    code, out, err = san()
    assert code == 2 and "Usage" in out + err


def test_a_corrupt_record_is_one_line(san, recordings, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "emgdb"
    folder.mkdir(parents=True)
    for name in ("emg_healthy.hea", "emg_healthy.dat"):
        (folder / name).write_bytes((recordings / "emgdb" / name).read_bytes())
    content = bytearray((folder / "emg_healthy.dat").read_bytes())
    content[500] ^= 1
    (folder / "emg_healthy.dat").write_bytes(content)
    code, _, err = san("train", "--record", "emgdb", "--data-dir", tmp_path / "data")
    assert code == 2 and "emg_healthy.dat is corrupt" in err and len(err.splitlines()) == 1


def test_a_full_disk_is_one_line(san, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = san("train", *QUICK)
    assert code == 2 and "No space left on device" in err and len(err.splitlines()) == 1
    assert not [path for path in pathlib.Path("runs").rglob("*") if path.is_file()]


def test_an_interrupt_stops_cleanly_and_says_how_to_continue(tmp_path):
    command = [sys.executable, "-c", "from san.cli import main; main()"]
    options = ["train", "--kernel-sizes", "40,60", "--epochs", "100000", "--output", "here"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not (tmp_path / "here" / "history.csv").is_file():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with: san train --resume here" in err and "Traceback" not in err
    assert out == ""
    assert not list((tmp_path / "here").glob(".*"))


def test_progress_is_shown_on_a_terminal_only(san, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, err = san("train", "--kernel-sizes", "60", "--epochs", "5")
    assert code == 0
    assert "epoch" in err and "loss" in err and "best φ" in err and "steps/s" in err


def test_results_as_json(san):
    code, out, err = san("train", "--kernel-sizes", "60", "--epochs", "2", "--json")
    result = json.loads(out)
    assert code == 0 and err == ""
    assert (result["kernel_size"], result["name"]) == (60, "physionet bundled")
    assert (
        0 < result["phi"] < 2 and (pathlib.Path(result["folder"]) / "model.safetensors").is_file()
    )
    code, out, _ = san("datasets", "--json")
    assert code == 0 and json.loads(out)[0]["name"] == "physionet bundled"
    for command in ("reproduce", "compress", "decompress", "verify", "inspect"):
        assert "--json" in san(command, "--help")[1], command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_options(shell, monkeypatch):
    def completed(words):
        environment = {"_SAN_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words}
        environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        environment |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        command = [sys.executable, "-c", "from san.cli import main; main()"]
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True
        )
        return done.stdout

    assert "compress" in completed("san comp") and "train" not in completed("san comp")
    assert "--activation" in completed("san train --act")
    script = subprocess.run(
        [sys.executable, "-c", "from san.cli import main; main()", "--show-completion", shell],
        capture_output=True, text=True,
    )  # fmt: skip
    assert script.returncode == 0 and "_SAN_COMPLETE" in script.stdout


def test_a_gap_is_one_line(san, tmp_path, monkeypatch):
    from san import datasets, signals

    data = np.full((12_000, 1), np.nan)
    recording = signals.Recording(data, 360.0, ("mV",), ("a",))
    monkeypatch.setattr(signals, "read_wfdb", lambda path: recording)
    assert datasets.BUNDLED == "bundled"
    code, _, err = san("train", "--start-sample", "0")
    assert code == 2 and "has a gap between samples 0 and 1000" in err


NAME = "a\x1b[2J[red]\x9b.npy"
SHOWN = "a\\x1b[2J[red]\\x9b.npy"


def test_names_of_files_reach_a_terminal_as_escapes(command, tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.arange(99, dtype=np.int16))
    (tmp_path / "x.npy").rename(tmp_path / NAME)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{NAME}.csv").write_text("t;a\n1,5;2\n2,5;3\n")
    (tmp_path / "data" / f"{NAME}.txt").write_text("")
    stream = f"{NAME}.san"
    said = []
    for arguments in (
        ("compress", NAME, stream, "--lossless"),
        ("compress", NAME, stream, "--lossless"),
        ("inspect", stream),
        ("verify", NAME, stream),
        ("decompress", stream, f"b{NAME}"),
        ("decompress", stream, f"{NAME}.csv"),
        ("explore", NAME, "-o", f"{NAME}.html", "--samples", 90, "--kernel-size", 9),
        ("archive", "data", f"out{NAME}", "--lossless"),
        ("archive", "verify", f"out{NAME}"),
        ("verify", f"data/{NAME}.csv", stream),
    ):
        code, out, err = command(*arguments)
        said.append(out + err)
        assert code in (0, 2) and not {"\x1b", "\x9b"} & {*out, *err}, arguments
    assert all(SHOWN in lines for place, lines in enumerate(said) if place not in (2, 3))


def test_a_warning_is_one_line_of_words(command, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", "import warnings, san.cli as cli; cli.warnings.formatwarning = "
         "cli._warning; warnings.warn('a\\x1b of two\\n lines')"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.stderr == "san: a\\x1b of two lines\n"


def test_a_bar_shows_a_name_as_it_is(monkeypatch, tmp_path):
    """Brackets in a name are no markup, and escapes are shown."""
    from rich.console import Console

    from san.command import progress

    with progress.shares(f"compressing {NAME}", 5) as told:
        told(0.5)
    bar = progress.bar(unit="samples")
    bar.add_task("compressing [/red].npy", total=5)
    console = Console(file=io.StringIO(), width=200)
    console.print(bar.get_renderable())
    assert "[/red]" in console.file.getvalue()


def test_every_line_of_a_command_is_printed_with_escapes():
    """Nothing but JSON, and tables of rich, is printed past `parts.say`."""
    root = pathlib.Path(cli.__file__).parent
    for path in (root / "cli.py", *(root / "command").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                shown = ast.unparse(node.args[0])
                is_json = shown.startswith("json.dumps(") or shown.endswith(".to_json()")
                assert is_json or path.name == "parts.py", (path, shown)
