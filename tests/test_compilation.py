"""What is said while something compiles, what `san warm` compiles, and where code is kept."""

import gc
import json
import logging
import os
import pathlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from san import compilation, warming
from san.cli import app, main

numba = pytest.importorskip("numba")
event = pytest.importorskip("numba.core.event")
pytest.importorskip("san.numba_loops")  # it listens to what numba compiles

ONE_LOOP = """
import logging
logging.basicConfig(level="INFO", format="%(message)s")
import numpy as np
from san.codec.modes.across import matrix_of
matrix_of(np.zeros(1, np.int64), 10, 2, 1)
matrix_of(np.zeros(3, np.int64), 10, 3, 2)
"""


def run(code, **variables):
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"SAN_LOOPS": "llvm"} | variables,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_a_user_is_told_once_that_something_is_compiled(tmp_path):
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert run(ONE_LOOP, **cache) == "compiling, only the first time: about 3 s\n"
    assert run(ONE_LOOP, **cache) == ""


def test_where_no_folder_can_be_written_the_message_says_so(tmp_path):
    """A file is where the folder should be, as where site-packages and the home are read-only."""
    (tmp_path / "file").touch()
    told = run(ONE_LOOP, NUMBA_CACHE_DIR=str(tmp_path / "file" / "folder"))
    assert told.startswith("compiling, in each process anew: about 3 s; no folder for compiled ")
    assert told.endswith("let NUMBA_CACHE_DIR name one that can\n")
    assert told.count("\n") == 1


def test_a_command_tells_a_terminal(monkeypatch, capsys):
    log = logging.getLogger("san")
    for is_terminal, shown in ((True, "san: compiling\n"), (False, "")):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=is_terminal: answer, raising=False)
        monkeypatch.setattr("sys.argv", ["san", "--version"])
        with pytest.raises(SystemExit):
            main()
        log.info("compiling")
        log.warning("nowhere")
        assert capsys.readouterr().err == shown + "san: nowhere\n"


def test_compilation_of_others_is_not_told(caplog):
    before = compilation.compilations().count
    assert numba.njit(lambda v: v + 1)(1) == 2
    assert compilation.compilations().count == before and not caplog.records


@pytest.mark.parametrize("enabled", [True, False], ids=["on", "off"])
def test_garbage_is_looked_for_after_a_compilation_as_before(enabled):
    during = []

    class Looks(event.Listener):
        def on_start(self, event):
            during.append(gc.isenabled())

        def on_end(self, event):
            pass

    (gc.enable if enabled else gc.disable)()
    try:
        with event.install_listener("numba:compile", Looks()):
            assert numba.njit(lambda v: v + 2)(1) == 3
            with pytest.raises(numba.TypingError):
                numba.njit(lambda v: v.unknown)(1)
        assert during == [False, False] and gc.isenabled() == enabled
    finally:
        gc.enable()


WARMED = """
import numpy as np, san
from san import compilation, numba_loops, warming
from san.codec.warming import beats

def kinds():
    return {each.py_func: set(each.signatures) for each in numba_loops.kept()}

assert warming.warm().missing == []
before, count = kinds(), compilation.compilations().count
for channels, target in ((1, {"prdn": 8}), (2, {"lossless": True}), (13, {"max_error": 3})):
    for effort in ("fast", "normal", "best"):
        san.decompress(san.compress(beats(1500, channels), fs=360, **target, effort=effort))
san.decompress(san.compress(beats(500, 2) / 7, bits_per_sample=2))
x = np.random.default_rng(0).standard_normal((4, 1, 200)).astype(np.float32)
san.fit(san.Settings(kernel_sizes=(30,), epochs=1), x, x)
assert compilation.compilations().count == count
for name, found in kinds().items():
    assert found == before[name], (name, found - before[name])
"""


def test_after_warm_nothing_is_left_to_compile():
    """Not one function takes arguments of another kind than it was compiled for."""
    assert "Error" not in run(WARMED)


def test_the_command_says_what_it_did(monkeypatch):
    made = warming.Warmed(48, pathlib.Path("cache"), ["torch"])
    monkeypatch.setattr(warming, "warm", lambda: made)
    said = CliRunner().invoke(app, ["warm"]).stdout.split("\n")
    assert said[0].startswith("compiled 48 functions in ") and said[0].endswith(" s; see cache")
    assert said[1] == "networks are left out: torch not installed"
    found = json.loads(CliRunner().invoke(app, ["warm", "--json"]).stdout)
    assert found == {"functions": 48, "folder": "cache", "missing": ["torch"]}
