"""Loops that LLVM compiles: they do what Python does, and their code is kept and read safely."""

import sys
import types

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from san import compilation
from san.codec.entropy import entries

pytest.importorskip("llvmlite")
from san.codec.entropy import llvm_text, machine_code

# What the codec's loops use of Python, in a loop of its own
SOURCE = '''
"""Loops of a test."""
import math
from typing import NamedTuple

HALF = 0.5
LIMIT, STEP = range(7, 9)


class Pair(NamedTuple):
    """Two arrays."""

    first: np.ndarray
    small: np.ndarray  # uint8


@integer_apart
def halves(v):
    """A number in two parts, by shifts."""
    if v > 100:
        return v >> 1, v & 1
    return (v << 2) - v, ~v ^ 5


@integer_part
def reals(a, b):
    """Floats: order, roots and rounding."""
    x = min(a * HALF, 1.0 * b)
    y = max(x, -3.25, a / 8) if a > b else abs(x) ** 0.5
    return math.floor(y) + math.ceil(x) * round(y) + int(math.sqrt(y * y + LIMIT))


@search_step
def count_down(pair, low):
    """Sums backwards, with all that changes a loop's way."""
    total, steps = 0, 0
    for i in range(len(pair.first) - 1, low, -2):
        if pair.first[i] == 0 or (i == 3 and not pair.first[0] > 1):
            continue
        if total > 1000:
            break
        total += pair.first[i] * i
        while steps < LIMIT:
            steps += 3 if -1 <= total % 5 < 2 else 1
    return total, steps


@integer_loop
def again(pair, n, m):
    """Everything at once; the arrays change."""
    first, small = pair[:2]
    a, b = halves(n)
    c, d = (a, b) if n > m else (b // STEP, -a)
    total, steps = count_down(pair, -1)
    some = first[1:4]
    some[0] += least(c, d) - most(a, size_of(b))
    some[1], some[2] = wrapped(a * 123456789123), item_of(first, n)
    small[0], small[1] = c & 255, small[0] >> 1
    for i in lanes(2):
        small[i] = small[i] ^ 3
    if n // m == 2:
        return reals(n, m)
    if total < 0 and c < 0:
        return total
    elif steps:
        return n % m - n // m + steps + small[1]
    return 5
'''


def as_python(name):
    """The functions of the source without decorators that compile."""
    from san.codec.entropy import loops

    space = types.ModuleType(name)
    for each in ("least", "most", "size_of", "wrapped", "item_of", "products", "lanes"):
        setattr(space, each, getattr(loops, each))
    for each in ("integer_loop", "integer_part", "integer_apart", "integer_step", "search_step"):
        setattr(space, each, lambda function: function)
    space.np = np
    return space


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a module of loops, and nothing compiled of it."""
    home = tmp_path_factory.mktemp("package")
    (home / "codec" / "modes").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm_text, "PACKAGE", home)
        patch.setenv("NUMBA_CACHE_DIR", str(home / "cache"))
        yield home, patch


def placed(package, source, said, name="one"):
    """A loop `again` of a module with this source, as plain Python and not compiled yet."""
    home, patch = package
    module = f"san.codec.modes.{name}"
    (home / "codec" / "modes" / f"{name}.py").write_text(source)
    space = as_python(module)
    patch.setitem(sys.modules, module, space)
    patch.setitem(entries.ENTRIES, f"{module}.again", said)
    exec(compile(source, name, "exec"), vars(space))
    return space, machine_code.Loop(f"{module}.again")


@pytest.fixture(scope="module")
def both(package):
    return placed(package, SOURCE, "pair: modes.one.Pair")


@given(
    first=st.lists(st.integers(-50, 50), min_size=4, max_size=9),
    n=st.integers(-300, 300),
    m=st.integers(-20, 20).filter(bool),
)
@example(first=[3, 0, 0, 1], n=9, m=4)  # floats
@example(first=[-3, -9, -9, -9], n=-40, m=-30)
@settings(max_examples=200, deadline=None)
def test_a_compiled_loop_does_what_python_does(both, first, n, m):
    space, loop = both
    arrays = space.Pair(np.array(first), np.zeros(2, np.uint8))
    plain = space.Pair(arrays.first.copy().data, arrays.small.copy().data)
    expected = space.again(plain, n, m)
    assert loop(arrays, n, m) == expected
    assert arrays.first.tolist() == plain.first.tolist()
    assert arrays.small.tolist() == plain.small.tolist()


@pytest.mark.parametrize(("item", "most"), [("int16", 1 << 11), ("int32", 1 << 27)])
@pytest.mark.parametrize(("i", "j", "count"), [(0, 0, 400), (3, 17, 43), (5, 2, 1), (1, 2, 0)])
def test_products_are_added_without_loss(package, item, most, i, j, count):
    source = "@integer_loop\ndef again(a, b, i, j, n):\n    return products(a, i, b, j, n)\n"
    _, loop = placed(package, source, f"a: {item}, b: {item}", f"products_{item}")
    a, b = np.random.default_rng(count).integers(-most, most + 1, (2, 400)).astype(item)
    a[:7] = -most
    expected = sum(int(x) * int(y) for x, y in zip(a[i : i + count], b[j : j + count], strict=True))
    assert loop(a, b, i, j, count) == expected


def kept(package):
    return sorted((package[0] / "cache").glob("*one*"))


def test_code_is_kept_and_damaged_code_is_compiled_anew(package, both):
    space, loop = both
    given = space.Pair(np.array([4, 0, 2, 3]), np.zeros(2, np.uint8)), 7, 3
    expected, made = loop(*given), compilation.compilations()
    (path,) = kept(package)
    for damage in (b"", path.read_bytes()[:-1], b"x" + path.read_bytes()):
        path.write_bytes(damage)
        before = made.count
        given[0].first[:] = [4, 0, 2, 3]
        assert machine_code.Loop(loop.name)(*given) == expected
        assert made.count == before + 1
    given[0].first[:] = [4, 0, 2, 3]
    assert machine_code.Loop(loop.name)(*given) == expected
    assert made.count == before + 1 and kept(package) == [path]


def test_code_for_another_processor_is_another_file(package, both, monkeypatch):
    both[1].ready()
    (path,) = kept(package)
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    monkeypatch.setattr(machine_code, "_options", machine_code._options.__wrapped__)
    monkeypatch.setattr(machine_code, "_key", machine_code._key.__wrapped__)
    assert machine_code._file(path.parent, both[1].name) != path


ONE = "@integer_loop\ndef again(a, n):\n    "


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return sorted(a)", "sorted is not known"),
        ("with n: pass", "with n:"),
        ("return {n: 1}", "is not known"),
        ("for i in a: pass", "a loop over something else than range"),
        ("a.n = 3", "is not known"),
        ("return n, n", "returns several values to Python"),
        ("return n is 3", "is not known"),
        ("b = a; b = 3", "meet"),
    ],
    ids=["function", "statement", "expression", "loop", "target", "values", "order", "two types"],
)
def test_what_is_not_known_ends_in_words(package, body, words):
    home = package[0] / "codec" / "modes" / "two.py"
    home.write_text(ONE + body + "\n")
    package[1].setitem(sys.modules, "san.codec.modes.two", types.ModuleType("two"))
    package[1].setitem(entries.ENTRIES, "san.codec.modes.two.again", "a: int64")
    with pytest.raises((SyntaxError, TypeError), match=words):
        llvm_text.written("san.codec.modes.two.again")


def test_arrays_of_another_type_are_refused(both):
    with pytest.raises(TypeError, match=r"one\.again takes an array of int64, got array"):
        both[1]((np.zeros(4, np.int32), np.zeros(2, np.uint8)), 1, 1)
