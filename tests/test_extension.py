"""The extension: what the script writes of the Python source, and when its library is used."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from san.codec.entropy import extension

SCRIPT = Path(__file__).parents[1] / "extension" / "to_c.py"
to_c = runpy.run_path(str(SCRIPT))


def run(code, **variables):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        cwd=extension.HOME,
    )


def translated(tmp_path, monkeypatch, body, item="int64"):
    """The C of one loop, `again(a, n)`, whose source has this body."""
    home = tmp_path / "codec" / "modes"
    home.mkdir(parents=True)
    lines = ["@integer_loop", "def again(a, n):", *(f"    {line}" for line in body)]
    (home / "one.py").write_text("\n".join(lines) + "\n")
    space = to_c["written"].__globals__
    monkeypatch.setitem(space, "PACKAGE", tmp_path)
    monkeypatch.setitem(space, "ENTRIES", {"san.codec.modes.one.again": f"a: {item}"})
    return to_c["written"](["san.codec.modes.one"])[0]


def test_every_loop_is_written():
    text = to_c["library"]()
    assert text == to_c["library"]() and extension.checksum() in text
    for name in to_c["ENTRIES"]:
        assert f"{name.replace('.', '_')}(" in text


def test_the_script_knows_what_python_means(tmp_path, monkeypatch):
    text = translated(tmp_path, monkeypatch, ["x, y = a[0], -7 // n", "return x if x < y else y"])
    assert "floor_divided(" in text and "int64_t san_codec_modes_one_again(" in text


def test_what_lanes_do_may_be_done_at_once(tmp_path, monkeypatch):
    text = translated(tmp_path, monkeypatch, ["for i in lanes(8):", "    a[i] += n", "return 0"])
    assert text.count("\nLANES\n    for (int64_t k_1 = 0, e_1 = INT64_C(8)") == 2


@pytest.mark.parametrize(("item", "bits"), [("int16", 32), ("int32", 64)])
def test_products_are_added_in_the_numbers_that_hold_them(tmp_path, monkeypatch, item, bits):
    text = translated(tmp_path, monkeypatch, ["return products(a, 0, a, n, 3)"], item)
    name = f"products_{item}"
    assert f"return {name}(a_a, INT64_C(0), a_a, a_n, INT64_C(3));" in text
    assert f"static inline int64_t {name}(" in text and f"(int{bits}_t)p[k] * q[k]" in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (["return sorted(a)"], "san.codec.modes.one:3: sorted is not known"),
        (["with n: pass"], "is not known"),
        (["b = a", "b = 3", "return 0"], "meet"),
        (["return {n: 1}"], "san.codec.modes.one:3: {n: 1} is not known"),
    ],
    ids=["function", "statement", "two types", "expression"],
)
def test_what_the_script_does_not_know_ends_in_words(tmp_path, monkeypatch, body, words):
    with pytest.raises((SyntaxError, TypeError), match=words):
        translated(tmp_path, monkeypatch, body)


def test_a_way_that_there_is_not_is_refused():
    ended = run("import san; san.compress([1, 2], lossless=True)", SAN_LOOPS="rust")
    assert ended.stderr.endswith(
        "ValueError: SAN_LOOPS must be one of extension, llvm, python, got 'rust'\n"
    )


@pytest.mark.skipif(extension.built() is None, reason="the extension was not built")
class TestBuilt:
    """Where the extension was built."""

    def test_it_needs_neither_numba_nor_llvmlite(self):
        code = (
            "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = None; import san\n"
            "from san.codec.entropy import loops; assert loops.library is not None\n"
            "assert san.decompress(san.compress([1, 5, 2], lossless=True)).tolist() == [1, 5, 2]"
        )
        ended = run(code, SAN_LOOPS="extension")
        assert ended.returncode == 0, ended.stderr

    def test_a_library_of_other_sources_is_not_used(self, monkeypatch, caplog):
        monkeypatch.setattr(extension, "checksum", lambda: "another")
        monkeypatch.delenv("SAN_LOOPS", raising=False)
        assert extension.load() is None
        assert caplog.messages[0].endswith(" was built from other sources: install SAN again")
        monkeypatch.setenv("SAN_LOOPS", "extension")
        with pytest.raises(ImportError, match=r"asks for the extension: .* built from other"):
            extension.load()

    def test_loops_for_every_processor_write_the_bytes_of_those_for_wide_registers(self):
        code = (
            "import hashlib; from san.codec.entropy import extension; {}\n"
            "import numpy as np, san\n"
            "noise = np.random.default_rng(1).integers(-40, 41, (300, 3))\n"
            "x = np.cumsum(noise, 0).astype(np.int16)\n"
            "ways = [('fast', 0), ('fast', 3), ('normal', 0)]\n"
            "streams = [san.compress(x, 100, effort=e, max_error=m) for e, m in ways]\n"
            "print(*(hashlib.sha256(stream).hexdigest() for stream in streams))"
        )
        plain = run(code.format("extension.ending = lambda *_: ''"), SAN_LOOPS="extension")
        best = run(code.format(""), SAN_LOOPS="extension")
        assert plain.stdout == best.stdout and len(best.stdout.split()) == 3, best.stderr

    def test_an_array_of_another_type_is_refused(self, monkeypatch):
        monkeypatch.setenv("SAN_LOOPS", "extension")
        rotate = extension.load()["san.codec.modes.across.rotate"]
        with pytest.raises(TypeError, match=r"across\.rotate takes an array of int64, got array"):
            rotate(np.zeros(4, np.int32), np.zeros(1, np.int64), 10, np.zeros(3, np.int64), 2, 2)
