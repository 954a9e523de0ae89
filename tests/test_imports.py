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
        "import san.archive, san.metrics, san.storage",
        "import san; san.inspect, san.Limits, san.CodecError",
    ],
    ids=["import san", "dir(san)", "san --help", "san --version", "archive", "inspect"],
)
def test_nothing_heavy_is_loaded(code):
    assert loaded_by(code) == set()


def test_that_test_can_fail():
    assert "torch" in loaded_by("import san; san.extrema")


def test_datasets_load_neither_torch_nor_matplotlib():
    assert not loaded_by("import san; san.datasets.available()") & {"torch", "matplotlib", "numba"}


def test_compiled_code_is_loaded_at_first_use():
    assert "numba" not in loaded_by("import san.activations, san.convolution, san.model, san.train")


def test_the_codec_loads_numba_and_what_numba_loads():
    code = (
        "import numpy, san; blob = san.compress(numpy.zeros(5), prdn=1); san.decompress(blob); "
        "san.Encoder, san.Decoder, san.Dictionary, san.learn_dictionary"
    )
    assert loaded_by(code) <= {"numba", "scipy"}


def test_every_public_name_is_there():
    for name in san.__all__:
        assert getattr(san, name) is not None
    assert set(dir(san)) >= set(san.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = san.nonsense


# A room may import those after it in this list.
ORDER = [
    "__main__",
    "cli",
    "cli_archive",
    "cli_pages",
    "cli_codec",
    "explore",
    "report_page",
    "report_run",
    "report_signals",
    "report_stream",
    "console",
    "reproduction",
    "report_paper",
    "tables",
    "reproduce",
    "classify",
    "runs",
    "report",
    "sklearn",
    "train",
    "settings",
    "distributed",
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
    "archive",
    "archive_verify",
    "archive_workers",
    "archive_record",
    "archive_manifest",
    "streams",
    "zarr",
    "numcodecs",
    "chunks",
    "codec",
    "extrema_cpu",
    "extrema_cpu_2d",
    "pool_cpu",
    "top_k_cpu",
    "rounds_cpu",
    "maps_cpu",
    "events_cpu",
    "vectors_cpu",
    "datasets",
    "datasets_images",
    "datasets_table",
    "datasets_physionet",
    "arrays",
    "arrays_edf",
    "arrays_wfdb",
    "page",
    "signals",
    "progress",
    "fetch",
    "storage",
    "metrics",
    "processes",
]
CODEC_ORDER = [
    "encoder",
    "recording",
    "block",
    "comparison",
    "decoder",
    "options",
    "kernels",
    "info",
    "accuracy",
    "chunk",
    "search",
    "learning",
    "transform",
    "pursuit",
    "predictive",
    "dictionary",
    "wavelet",
    "bands",
    "events",
    "mixing",
    "range_coder",
    "tables",
    "loops",
    "stream",
    "attachments",
    "header",
    "source",
    "numbers",
    "representation",
    "steps",
    "gaps",
    "grids",
    "bits",
    "varints",
    "errors",
]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "san":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("san."):
            yield node.module.split(".")[1]


def files(room):
    return sorted((ROOMS / room).glob("*.py")) if room == "codec" else [ROOMS / f"{room}.py"]


@pytest.mark.parametrize("room", ORDER)
def test_imports_go_downward_only(room):
    below = {*ORDER[ORDER.index(room) + 1 :]}
    for path in files(room):
        assert set(imports(path)) <= below


@pytest.mark.parametrize("room", CODEC_ORDER)
def test_imports_within_the_codec_go_downward_only(room):
    below = CODEC_ORDER[CODEC_ORDER.index(room) + 1 :]
    tree = ast.parse((ROOMS / "codec" / f"{room}.py").read_text())
    inside = set()
    for node in tree.body:  # what a function imports when it is called may point back
        if isinstance(node, ast.ImportFrom) and node.level:
            inside |= {node.module} if node.module else {alias.name for alias in node.names}
    assert inside <= set(below)


def test_every_room_is_in_the_order_and_says_what_it_decides():
    for folder, order in ((ROOMS, {*ORDER} - {"codec"}), (ROOMS / "codec", {*CODEC_ORDER})):
        rooms = {
            path.stem: ast.get_docstring(ast.parse(path.read_text()))
            for path in folder.glob("*.py")
        }
        assert set(rooms) == {*order, "__init__"}
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
