"""What the documentation shows is run: the examples of every docstring, README and notebooks."""

import doctest
import importlib
import pathlib
import pkgutil
import re
import shutil
import tomllib

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

import san

ROOT = pathlib.Path(__file__).parents[1]
APART = (  # data, what needs Triton, what is compiled for one processor, and what was C
    "san._datasets",
    "san.codec.entropy._loops",
    "san.hot_path.cpu",
    "san.hot_path.gpu",
)
ROOMS = [
    room.name
    for room in pkgutil.walk_packages(san.__path__, "san.")
    if not room.name.startswith(APART)
]


@pytest.mark.parametrize("room", ROOMS)
def test_examples_of_docstrings(room, monkeypatch):
    monkeypatch.chdir(ROOT)
    module = importlib.import_module(room)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.failed == 0


def test_every_public_function_has_an_example():
    for name in san.__all__:
        thing = getattr(san, name)
        if callable(thing) and thing.__module__ != "san.networks.san" and name not in ("Settings",):
            assert ">>>" in thing.__doc__, name


def test_readme_shows_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert "pip install . && san train --dataset physionet --activation extrema" in readme
    assert "pip install '.[test]' && pytest" in readme


def test_readme_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_readme_codec_commands_run_in_a_clone_without_data(command, tmp_path, monkeypatch):
    """They use the recording that comes with it; a bound takes the place of the slow target."""
    shutil.copytree(ROOT / "datasets" / "sample", tmp_path / "datasets" / "sample")
    monkeypatch.delenv("SAN_DATA_DIR", raising=False)
    readme = (ROOT / "README.md").read_text()
    lines = re.findall(r"^    san ((?:compress|verify|decompress|beats) .*)$", readme, re.MULTILINE)
    assert len(lines) == 5 and "report 208.san --original datasets/sample/mitdb_208" in readme
    for line in lines:
        quick = line.replace("--prdn 8 --max-error 10", "--max-error 5 --no-events")
        code, _, err = command(*quick.partition("#")[0].split())
        assert code == 0, (line, err)
    assert (tmp_path / "208_copy.hea").is_file() and (tmp_path / "208_copy.dat").is_file()


def test_readme_links_lead_somewhere():
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.fixture(scope="module")
def kernel():
    """One process for all notebooks: what they import is imported once."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(ROOT / "notebooks"))
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_run(path, kernel):
    """Each begins without the names of those before it."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    client = NotebookClient(notebook, km=kernel, timeout=300)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()


def test_ci_runs_the_readmes_commands():
    script = (ROOT / ".ci" / "run").read_text()
    assert "pip install '.[test]' && pytest" in script
    assert "san train --dataset physionet --activation extrema" in script


def test_version_is_in_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {project['version']}\n" in citation
    assert f'\n  - name: "{project["authors"][0]["name"]}"\n' in citation
