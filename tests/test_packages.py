"""What a user reads where a package is not installed."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

import san
from san import cli, packages
from san.archives.options import Options
from san.archives.record_to_stream import store_record
from san.archives.records import find_records

HIDE = "import sys\nfor name in {!r}: sys.modules[name] = None\n"


def run_without(names, code, cwd):
    """Run Python code in a process of its own in which some packages are not there."""
    program = HIDE.format(sorted(names)) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=cwd)


def command_without(names, arguments, cwd):
    """Run the command `san` likewise."""
    code = f"sys.argv = ['san', *{arguments!r}]\nfrom san.cli import main\nmain()"
    return run_without(names, code, cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a record, an EDF file that is never opened, and a small array."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "record.hea").write_text("record 1 100 4\nrecord.dat 16 200 16 0 0 0 0\n")
    (folder / "record.dat").write_bytes(bytes(8))
    (folder / "night.edf").write_bytes(bytes(256))
    np.save(folder / "x.npy", np.sin(np.arange(60) / 9).astype(np.float32))
    (folder / "run").mkdir()
    return folder


@pytest.mark.parametrize(
    ("hidden", "arguments", "named"),
    [
        (["torch"], ["train"], "torch"),
        (["torch", "matplotlib"], ["train"], "matplotlib and torch"),
        (["torch"], ["reproduce", "mnist"], "torch"),
        (["torch"], ["datasets"], "torch"),
        (["torch"], ["report", "run"], "torch"),
        (["wfdb"], ["compress", "record", "record.san", "--lossless", "--physical"], "wfdb"),
        (["edfio"], ["compress", "night.edf", "night.san", "--lossless"], "edfio"),
        (["platformdirs", "wfdb"], ["explore"], "platformdirs and wfdb"),
        (["safetensors"], ["explore", "x.npy", "--model", "model.safetensors"], "safetensors"),
        (["torch"], ["explore", "x.npy", "--model", "run"], "torch"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_a_command_names_what_is_not_installed_in_one_line(folder, hidden, arguments, named):
    ended = command_without(hidden, arguments, folder)
    verb = "are" if " and " in named else "is"
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"san: this needs {named}, which {verb} not installed: pip ins")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("hidden", "code", "named"),
    [
        ("torch", "import san; san.extrema", "'torch<2.14,>=2.9'"),
        ("torch", "import san; san.SAN", "'torch<2.14,>=2.9'"),
        ("matplotlib", "import san; san.report", "'matplotlib>=3.8'"),
        ("wfdb", "import san; san.datasets.load_recording()", "'wfdb>=4.1.2'"),
        ("pydantic", "import san; san.Settings", "'pydantic>=2.7'"),
    ],
    ids=lambda value: value.split(";")[-1].strip(),
)
def test_python_raises_an_import_error_that_names_the_way(tmp_path, hidden, code, named):
    lines = run_without([hidden], code, tmp_path).stderr.strip().split("\n")
    assert lines[-1] == (
        f"san.packages.MissingPackage: this needs {hidden}, which is not installed: "
        f"pip install {named}"
    )


@pytest.mark.parametrize("hidden", ["torch", "sklearn"])
def test_the_step_of_a_pipeline_names_its_extra(tmp_path, hidden):
    lines = run_without([hidden], "import san.sklearn", tmp_path).stderr.strip().split("\n")
    assert lines[-1] == (
        "ImportError: san.sklearn needs scikit-learn and torch: pip install "
        "'sparsely-activated-networks[sklearn]'"
    )


def test_an_archive_names_the_package_in_the_record_s_line(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "edfio", None)
    [night] = [found for found in find_records(folder) if found.path == "night.edf"]
    line = store_record(folder, tmp_path, Options(lossless=True), night)
    assert line["failure"] == ("this needs edfio, which is not installed: pip install 'edfio>=0.4'")
    assert "traceback" not in line


def test_streams_need_numpy_alone(folder):
    """No other package is there, not even numba, and the bytes are the same."""
    hidden = [*packages.OF_NETWORKS, "numba", "wfdb", "edfio", "pooch", "platformdirs", "typer"]
    code = (
        "import numpy, san, hashlib\nx = numpy.load('x.npy')\n"
        "blob = san.compress(x, max_error=0.01)\n"
        "assert abs(san.decompress(blob) - x).max() <= 0.01\n"
        "print(hashlib.sha256(blob).hexdigest(), sys.modules.get('numba'))"
    )
    ended = run_without(hidden, code, folder)
    blob = san.compress(np.load(folder / "x.npy"), max_error=0.01)
    assert ended.stdout.split() == [hashlib.sha256(blob).hexdigest(), "None"], ended.stderr


def test_commands_of_the_codec_need_the_command_line_alone(folder):
    hidden = {*packages.OF_NETWORKS, "wfdb", "edfio", "pooch", "platformdirs"}
    hidden -= {"pydantic"}  # newer releases of typer need it
    for arguments in (
        ["compress", "x.npy", "x.san", "--lossless", "--force"],
        ["verify", "x.npy", "x.san"],
        ["inspect", "x.san"],
        ["decompress", "x.san", "y.npy", "--force"],
    ):
        ended = command_without(hidden, arguments, folder)
        assert ended.returncode == 0, ended.stderr
    assert np.array_equal(np.load(folder / "x.npy"), np.load(folder / "y.npy"))


def test_a_module_of_san_that_is_not_there_is_a_fault(monkeypatch, capsys):
    def fail(**options):
        raise ModuleNotFoundError("No module named 'san.nonsense'", name="san.nonsense")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ModuleNotFoundError, match=r"san\.nonsense"):
        cli.main()


def test_without_metadata_the_bare_name_is_given(monkeypatch):
    from importlib import metadata

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    error = packages.explained(ModuleNotFoundError("No module named 'wfdb.io'", name="wfdb.io"))
    assert str(error) == "this needs wfdb, which is not installed: pip install wfdb"
    assert error.name == "wfdb"
