"""What is loaded when, and which room may know which."""

import ast
import functools
import graphlib
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
        "import san; dir(san.networks), san.networks.EuclideanLSH",
    ],
    ids=["import san", "dir(san)", "san --help", "san --version", "archive", "inspect", "LSH"],
)
def test_nothing_heavy_is_loaded(code):
    assert loaded_by(code) == set()


def test_that_test_can_fail():
    assert "torch" in loaded_by("import san; san.extrema")


def test_datasets_load_neither_torch_nor_matplotlib():
    assert not loaded_by("import san; san.datasets.available()") & {"torch", "matplotlib", "numba"}


def test_training_begins_with_torch_alone():
    """Compiled code is loaded at first use, and what draws figures when a run has ended."""
    code = (
        "import san.activations, san.networks.convolution, san.networks.san, san.training.train, "
        "san.training.runs, san.command.console"
    )
    assert loaded_by(code) == {"torch"}


def test_the_codec_loads_nothing_heavy():
    code = (
        "import numpy, san; blob = san.compress(numpy.zeros(5), prdn=1); san.decompress(blob); "
        "san.Encoder, san.Decoder, san.Dictionary, san.learn_dictionary"
    )
    assert loaded_by(code) == set()


def test_every_public_name_is_there():
    for name in san.__all__:
        assert getattr(san, name) is not None
    assert set(dir(san)) >= set(san.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = san.nonsense


def test_every_public_name_of_the_networks_is_there():
    assert {*san.networks._HOME_OF} == {*san.networks.__all__}
    for name in san.networks.__all__:
        assert ">>>" in getattr(san.networks, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = san.networks.nonsense


# A room may import those below it: what comes after it in the list. Folders are rooms here; what is
# inside them has lists of its own.
ORDER = {
    "": """__main__ cli command warming pages paper sklearn torch event_table training networks
        activations datasets dataset_readers archive archives beats heartbeats files zarr numcodecs
        codec hot_path report signals wfdb_records times storage recent metrics routing numba_loops
        compilation packages deprecated""",
    "codec": """warming ndarray bank padding incremental encoder recovery comparison block
        decoder options info dictionaries trained dictionary_files search modes file_format numbers
        entropy errors target effort threads""",
    "codec.search": """coding across coefficients quick convergence trials excerpts steps learning
        beginnings finding on_device pursuit""",
    "codec.modes": """payload components across transform joint predictive decisions odds
        joint_experts least_squares experts dictionary wavelet bands events ranges fast_coding
        fast_packing fast_fit fast_frames fast_room fast_laws mode_numbers""",
    "codec.file_format": "writing whole_chunks stream compact attachments header limits source",
    "codec.numbers": """ruled integers narrowing representation steps gaps grids rule_search rules
        bits accuracy""",
    "codec.entropy": """mixing range_coder logistic loops machine_code llvm_text llvm_values
        typed entries extension varints""",
    "hot_path": "operation cpu gpu",
    "hot_path.cpu": "extrema extrema_images pool top_k rounds maps places vectors",
    "hot_path.gpu": "launch extrema_long extrema pool top_k candidates gradient maps",
    "networks": """mixtures random_features experts work targets circuits compression two_layers
        node_choice frames closed_forms sparse_mlp certificates cube bank san first_kernels refit
        convolution convolution_cpu padding choices""",
    "training": """runs pictures outcomes provenance run_settings train scores distributed processes
        settings""",
    "archives": "verify kinds workers record_to_stream records failures options walk manifest",
    "files": """reading streams restoring arrays npy tables table_words table_times table_odd_rows
        table_columns table_rows table_apart table_layout table_commas table_fields table_forms
        table_moments physical edf_gaps edf edf_header wfdb_writing wfdb_recovered wfdb_reading""",
    "heartbeats": """annotation_sets fidelity detection shapes leads candidates choosing bands
        which_leads agreement""",
    "wfdb_records": "segments record samples flac header formats annotations",
    "dataset_readers": """recordings windows labels channels sources pieces rates splitting
        listing splits cifar physionet images epilepsy fetch""",
    "paper": """studies overlaps_told overlaps sparse_experts_told sparse_experts_drawn
        sparse_experts compression_told compression sparse_activations_told sparse_activations
        output study figures tables experiments store classifiers""",
    "pages": """explore beats report_page archive runs_compared run run_signals stream stream_curve
        stream_beats span page""",
    "command": """archive warm recover beats events written pages codec fidelity console
        reproduction progress parts tables files options""",
}
FACES = {"", "networks"}  # their __init__ gives public names, and loads each when it is used
# What must not be known, although it is below.
WALLS = {
    "codec": {"networks", "training", "report", "signals", "datasets"},
    "codec.numbers": {"hot_path", "storage"},
    "codec.entropy": {"hot_path", "storage"},
    "codec.file_format": {"hot_path", "storage"},
    "datasets": {"networks", "activations", "training"},
    "training.train": {"datasets", "report"},
    "report": {"storage", "metrics", "signals"},
    "signals": {"storage", "metrics"},
}


def modules():
    """Every module of the package by its dotted name below `san`."""
    for path in ROOMS.rglob("*.py"):
        parts = path.relative_to(ROOMS).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports(path):
    """What a file imports of `san`, dotted names below it; also what its functions import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if name.startswith("san."):
                yield name.removeprefix("san.")


@functools.cache
def known_modules():
    """What each module imports, as modules: a name of a module counts as the module."""
    names, found_in = dict(modules()), {}
    for name, path in names.items():
        if name in FACES:
            continue  # a face loads whatever a name needs, when it is used
        known = set()
        for found in imports(path):
            while found not in names:
                found = found.rpartition(".")[0]
            known.add(found)
        found_in[name] = known - {""}
    return found_in


def inside(folder, name):
    """The room of a folder that a module is in, or None."""
    if folder and not name.startswith(f"{folder}."):
        return None
    return name.removeprefix(f"{folder}.").partition(".")[0] if folder else name.partition(".")[0]


@pytest.mark.parametrize("folder", ORDER, ids=lambda folder: folder or "san")
def test_imports_go_downward_only(folder):
    order = ORDER[folder].split()
    for name, known in known_modules().items():
        room = inside(folder, name)
        if room is None or name == folder:
            continue
        others = {inside(folder, found) for found in known} - {None, room}
        assert others <= {*order[order.index(room) + 1 :]}, name


def test_that_test_sees_every_kind_of_import(tmp_path):
    file = tmp_path / "room.py"
    file.write_text("import san.a\nfrom san import b\ndef f():\n    from san.c.d import e\n")
    assert [*imports(file)] == ["a", "b", "c.d.e"]


def test_there_is_no_circle():
    graphlib.TopologicalSorter(known_modules()).prepare()


def test_every_room_is_in_the_order_and_says_what_it_decides():
    for name, path in modules():
        assert ast.get_docstring(ast.parse(path.read_text())), name
    for folder, order in ORDER.items():
        place = ROOMS / folder.replace(".", "/")
        rooms = {path.stem for path in place.glob("*.py")} - {"__init__"}
        rooms |= {path.parent.name for path in place.glob("*/__init__.py")} - {"assets"}
        assert rooms == {*order.split()}, folder
        if folder not in {*FACES, "codec"}:
            tree = ast.parse((place / "__init__.py").read_text())
            assert len(tree.body) == 1, f"{folder}/__init__.py holds more than a docstring"


@pytest.mark.parametrize("room", WALLS)
def test_walls(room):
    """The codec knows no network, data know no model, and a report computes nothing."""
    for name, known in known_modules().items():
        if name == room or name.startswith(f"{room}."):
            assert not {found.partition(".")[0] for found in known} & WALLS[room], name
