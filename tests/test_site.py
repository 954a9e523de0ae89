"""The site is built without a warning, has every public name, and what its pages show is run."""

import contextlib
import importlib
import inspect
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from san import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OF_TORCHRUN = DOCS / "how-to" / "processes.md"  # test_distributed runs what it shows
PAGES = [DOCS / "tutorial.md", *sorted({*(DOCS / "how-to").glob("*.md")} - {OF_TORCHRUN})]
MODULES = (  # beside `san`
    "san.archive",
    "san.beats",
    "san.codec.ndarray",
    "san.codec.errors",
    "san.datasets",
    "san.event_table",
    "san.metrics",
    "san.networks",
    "san.numcodecs",
    "san.report",
    "san.signals",
    "san.sklearn",
    "san.torch",
    "san.zarr",
)
SHOWN = ("python", "text", "console")
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
TOLERANCE = 0.05  # of numbers that are shown, or one in the last digit: processors differ


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, and what was said while it was built."""
    for need in ("sphinx", "furo", "myst_parser", "numcodecs", "zarr", "sklearn"):
        pytest.importorskip(need, reason=f"the site is built with {need}")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-E", "-q", "-W", "--keep-going"]
    run = subprocess.run(
        [*command, "-d", out / "doctrees", DOCS, out / "html"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return out / "html", run


@pytest.mark.slow
def test_it_is_built_without_a_warning(site):
    folder, run = site
    assert (run.returncode, run.stderr) == (0, "")
    assert (folder / "index.html").is_file()


def public_names(module):
    """What a module says is public, or what is its own and has no underscore."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return names
    constants = re.findall(r"^([A-Z]\w*) = ", inspect.getsource(module), re.MULTILINE)
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return constants + own


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(site):
    """By that name, or by another one of the same thing."""
    from sphinx.util.inventory import InventoryFile

    with open(site[0] / "objects.inv", "rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    documented = {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}
    things = [named(name) for name in documented if name.rpartition(".")[0] in ("san", *MODULES)]
    for home in ("san", *MODULES):
        for name in public_names(importlib.import_module(home)):
            thing = named(f"{home}.{name}")
            assert any(thing is other for other in things), f"{home}.{name}"


def named(name):
    """The module, or what a module has under a name."""
    home, _, last = name.rpartition(".")
    with contextlib.suppress(AttributeError):
        return getattr(importlib.import_module(home), last)
    return importlib.import_module(name)


@pytest.mark.slow
def test_nothing_comes_from_elsewhere(site):
    for page in site[0].rglob("*.html"):
        loaded = re.findall(r"<(?:script|img)[^>]+src=\"(?:https?:)?//[^\"]+", page.read_text())
        assert not loaded, page


def blocks(page):
    """The fenced blocks of a page that are run or compared: kind and text."""
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [(kind, text) for kind, text in fences if kind in SHOWN]


def expect(shown, printed, page):
    """Compare what a page shows with what was printed: numbers nearly, `...` is anything."""
    parts = re.split(rf"(\.\.\.|{NUMBER.pattern})", " ".join(shown.split()))
    pattern = "".join(
        ".*"
        if part == "..."
        else f"({NUMBER.pattern})"
        if NUMBER.fullmatch(part)
        else re.escape(part)
        for part in parts
    )
    found = re.fullmatch(pattern, " ".join(printed.split()), re.DOTALL)
    assert found, f"{page} shows\n{shown}and this was printed\n{printed}"
    numbers = (part for part in parts if NUMBER.fullmatch(part))
    for number, other in zip(numbers, found.groups(), strict=True):
        value, measured = (float(text.replace(",", "")) for text in (number, other))
        last_digit = 10.0 ** -len(number.partition(".")[2])
        assert abs(value - measured) <= max(TOLERANCE * abs(value), 1.001 * last_digit), (
            f"{page} shows {number}, and {other} was printed:\n{printed}"
        )


def type_in_shell(text, page):
    """Run the lines of a console block that begin with `$ `, and compare what they print.

    A line that is nothing but a command of SAN is run in this process, which has imported it.
    """
    for line, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        is_plain = line.startswith("san ") and not re.search(r"[|<>&;*$]", line)
        code, printed = (run_here if is_plain else run_in_bash)(line)
        assert code == 0, f"{line}\n{printed}"
        expect(shown, printed, page)


def run_here(line):
    """Exit code and what was printed of a command of SAN."""
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", shlex.split(line)),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        pytest.raises(SystemExit) as stopped,
    ):
        cli.main()
    return stopped.value.code, printed.getvalue()


def run_in_bash(line):
    """The same of anything that one can type."""
    run = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    return run.returncode, run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_run(page, tmp_path, monkeypatch):
    for need in re.findall(r"^(?:import|from) (\w+)", page.read_text(), re.MULTILINE):
        pytest.importorskip(need)
    shutil.copytree(ROOT / "datasets" / "sample", tmp_path / "datasets" / "sample")
    monkeypatch.chdir(tmp_path)
    namespace, printed = {"__name__": "__main__"}, None
    for kind, text in blocks(page):
        if kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(text, str(page), "exec"), namespace)
            printed = output.getvalue()
        elif kind == "console":
            type_in_shell(text, page.name)
        else:
            assert printed is not None, f"{page} shows what nothing printed:\n{text}"
            expect(text, printed, page.name)
            printed = None


def test_numbers_that_are_shown_are_compared():
    expect(
        "208.san: 3230 bytes, CR 66.87, ... {'a': 1}\n",
        "208.san: 3232 bytes, CR 66.8, x {'a': 1}",
        "",
    )
    with pytest.raises(AssertionError, match="shows 3230, and 3900 was printed"):
        expect("3230 bytes", "3900 bytes", "")
    with pytest.raises(AssertionError, match="this was printed"):
        expect("3230 bytes", "3230 bits", "")
