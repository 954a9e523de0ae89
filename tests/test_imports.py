"""What is loaded when, and which room may know which."""

import ast
import pathlib
import subprocess
import sys

import pytest

import san

HEAVY = {"torch", "numba", "scipy", "wfdb", "matplotlib", "pandas", "torchvision"}
ROOMS = pathlib.Path(san.__file__).parent


def loaded_by(code):
    """The heavy packages that a fresh interpreter has loaded after running code."""
    probe = f"{code}\nimport sys; print(*({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(run.stdout.split("\n")[-2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import san",
        "import san; dir(san)",
        "from typer.testing import CliRunner\nfrom san.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0",
        "from typer.testing import CliRunner\nfrom san.cli import app\n"
        "assert CliRunner().invoke(app, ['--version']).exit_code == 0",
        "import san.metrics, san.storage",
    ],
    ids=["import san", "dir(san)", "san --help", "san --version", "metrics"],
)
def test_nothing_heavy_is_loaded(code):
    assert loaded_by(code) == set()


def test_that_test_can_fail():
    assert "torch" in loaded_by("import san; san.extrema")


def test_datasets_load_neither_torch_nor_matplotlib():
    assert not loaded_by("import san; san.datasets.available()") & {"torch", "matplotlib", "numba"}


def test_compiled_code_is_loaded_at_first_use():
    assert "numba" not in loaded_by("import san.activations, san.convolution, san.model, san.train")


def test_every_public_name_is_there():
    for name in san.__all__:
        assert getattr(san, name) is not None
    assert set(dir(san)) >= set(san.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = san.nonsense


# A room may import those after it in this list.
ORDER = [
    "cli",
    "console",
    "reproduction",
    "report_paper",
    "tables",
    "reproduce",
    "classify",
    "runs",
    "report",
    "train",
    "settings",
    "bank",
    "model",
    "pursuit",
    "activations",
    "convolution",
    "convolution_cpu",
    "layout",
    "selection",
    "activations_gpu",
    "activations_gpu_long",
    "candidates_gpu",
    "activations_cpu_2d",
    "top_k_cpu",
    "activations_cpu",
    "events_cpu",
    "datasets",
    "datasets_images",
    "datasets_table",
    "datasets_physionet",
    "signals",
    "fetch",
    "storage",
    "metrics",
]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "san":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("san."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("room", ORDER)
def test_imports_go_downward_only(room):
    below = ORDER[ORDER.index(room) + 1 :]
    assert set(imports(ROOMS / f"{room}.py")) <= set(below)


def test_every_room_is_in_the_order_and_says_what_it_decides():
    rooms = {
        path.stem: ast.get_docstring(ast.parse(path.read_text())) for path in ROOMS.glob("*.py")
    }
    assert set(rooms) == {*ORDER, "__init__"}
    assert all(rooms.values())


@pytest.mark.parametrize("room", ["datasets", "metrics", "signals", "train", "report"])
def test_walls(room):
    """Data know no model, training knows no data set, and a report computes nothing."""
    known = set(imports(ROOMS / f"{room}.py"))
    forbidden = {
        "datasets": {"model", "activations", "train"},
        "metrics": set(ORDER),
        "signals": set(ORDER),
        "train": {"datasets", "runs", "report"},
        "report": set(ORDER),
    }
    assert not known & forbidden[room]
