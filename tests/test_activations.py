"""Each activation equals its definition in naive.py: values, positions and gradients."""

import functools
import hashlib
import inspect
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import san
from san.activations import (
    extrema,
    extrema_pool,
    identity,
    list_activations,
    relu,
    top_k_absolutes,
)
from san.hot_path import operation

SPARSE = {
    "top_k_absolutes": (top_k_absolutes, naive.top_k_absolutes),
    "extrema_pool": (extrema_pool, naive.extrema_pool),
    "extrema": (extrema, naive.extrema),
}


def per_map(oracle, s, parameter):
    """Apply an oracle for one map to each map of a batch."""
    out = np.zeros_like(s)
    for n, c in np.ndindex(s.shape[:2]):
        out[n, c] = oracle(s[n, c], parameter)
    return out


def check_selection(name, s, parameter):
    """Values, positions and gradients of a batch s (a torch tensor) against the oracle."""
    axes = s.dim() - 2
    of_map = parameter if name == "top_k_absolutes" else (parameter,) * axes
    check_against(per_map(SPARSE[name][1], s.detach().numpy(), of_map), name, s, parameter)


def check_against(ref, name, s, parameter):
    function = SPARSE[name][0]
    s = s.detach().requires_grad_()
    out = function(s, parameter)
    assert out.dtype == s.dtype and out.shape == s.shape
    np.testing.assert_array_equal(out.detach().numpy(), ref)
    slope = torch.arange(1, s.numel() + 1, dtype=s.dtype).reshape(s.shape) / s.numel()
    (gradient,) = torch.autograd.grad(out, s, slope)
    np.testing.assert_array_equal(gradient.numpy(), np.where(ref != 0, slope.numpy(), 0))


# Few distinct values make ties, plateaus and zeros; floats make everything else.
LEVELS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])


def maps(dtype, shape):
    floats = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_subnormal=True)
    return hnp.arrays(dtype, shape, elements=LEVELS) | hnp.arrays(dtype, shape, elements=floats)


SHAPES_1D = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 40))
SHAPES_2D = st.tuples(st.integers(1, 2), st.just(1), st.integers(1, 9), st.integers(1, 9))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda t: t.__name__)
@pytest.mark.parametrize("shapes", [SHAPES_1D, SHAPES_2D], ids=["1d", "2d"])
@pytest.mark.parametrize("name", SPARSE)
@given(data=st.data())
def test_equals_its_definition(name, shapes, dtype, data):
    s = data.draw(shapes.flatmap(lambda shape: maps(dtype, shape)))
    parameter = data.draw(st.integers(0 if name == "extrema" else 1, 50))
    check_selection(name, torch.from_numpy(s), parameter)


# Small maps of every kind are those of `test_equals_its_definition`.
@pytest.mark.parametrize("shape", [(3, 1, 63), (1, 2, 500), (1, 1, 1001)], ids=str)
@pytest.mark.parametrize("parameter", [1, 10, 63, 5000])
@pytest.mark.parametrize("kind", ["noise", "integers", "smooth", "zeros", "constant"])
@pytest.mark.parametrize("name", SPARSE)
def test_signals(name, kind, parameter, shape):
    check_selection(name, signal(kind, shape), parameter)


@pytest.mark.parametrize("shape", [(1, 2, 1, 17), (2, 1, 28, 28), (1, 1, 33, 5)], ids=str)
@pytest.mark.parametrize("parameter", [1, 4, 40])
@pytest.mark.parametrize("kind", ["noise", "integers", "smooth", "zeros", "constant"])
@pytest.mark.parametrize("name", SPARSE)
def test_images(name, kind, parameter, shape):
    check_selection(name, signal(kind, shape), parameter)


def signal(kind, shape):
    rng = np.random.default_rng(7)
    noise = rng.standard_normal(shape).astype(np.float32)
    integers = rng.integers(-3, 4, shape).astype(np.float32)
    smooth = np.cumsum(noise, axis=-1)
    zeros, constant = np.zeros(shape, np.float32), np.full(shape, -1.5, np.float32)
    kinds = dict(noise=noise, integers=integers, smooth=smooth, zeros=zeros, constant=constant)
    return torch.from_numpy(kinds[kind])


CHAINS = {
    "growing": lambda t: t * (t % 2),
    "falling": lambda t: (len(t) - t) * (t % 2),
    "sawtooth": lambda t: (t % 20) * (t % 2),
    "alternating": lambda t: (t + 1) * (-1.0) ** t,
    "equal": lambda t: (-1.0) ** t,
    "rise-plateau-rise": lambda t: np.array([0, 2, 2, 4, 0])[t.astype(int) % 5],
}


@pytest.mark.parametrize("parameter", [0, 1, 2, 3, 7, 19, 100])
@pytest.mark.parametrize("chain", CHAINS)
def test_adversarial_chains(chain, parameter):
    s = CHAINS[chain](np.arange(160.0)).astype(np.float32)
    check_selection("extrema", torch.from_numpy(s)[None, None], parameter)


@pytest.mark.parametrize("parameter", [1, 2, 5])
def test_adversarial_images_reach_the_sort(parameter):
    rows, columns = np.mgrid[:24, :24].astype(np.float32)
    s = (24 * rows + columns) * (rows % 2) * (columns % 2)  # each candidate waits for the next
    check_selection("extrema", torch.from_numpy(s)[None, None], parameter)


BOUNDARY = 4096  # samples that are looked at together


@pytest.mark.parametrize("samples", [BOUNDARY, BOUNDARY + 1, 2 * BOUNDARY + 1])
@pytest.mark.parametrize("kind", ["smooth", "smooth then noise", "noise then smooth"])
@pytest.mark.parametrize("name", SPARSE)
def test_maps_of_several_chunks(name, kind, samples):
    check_several_chunks(name, kind, samples)


@pytest.mark.parametrize("samples", [BOUNDARY, BOUNDARY + 1])
@pytest.mark.parametrize("name", SPARSE)
def test_ties_in_maps_of_several_chunks(name, samples):
    check_several_chunks(name, "integers", samples)


def check_several_chunks(name, kind, samples):
    s = signal("integers" if kind == "integers" else "smooth", (1, 1, samples))
    s = s + (signal("noise", (1, 1, samples)) if kind == "smooth" else 0)
    if "then" in kind:
        s = torch.nn.functional.avg_pool1d(signal("noise", (1, 1, samples + 20)), 21, 1)
        half = (
            slice(None, samples // 2) if kind == "noise then smooth" else slice(samples // 2, None)
        )
        s[..., half] += signal("noise", (1, 1, samples))[..., half]
    for parameter in (9, 800):
        check_selection(name, s, parameter)


@pytest.mark.parametrize("samples", [16, 64, 65, 127, 128, 129, 300])
@pytest.mark.parametrize("kind", ["noise", "integers", "alternating", "growing"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda t: t.__name__)
def test_many_candidates_that_are_near(dtype, kind, samples):
    """Rounds of vectors, of words of 64 samples, up to their limit and beyond."""
    chains = kind in CHAINS
    s = CHAINS[kind](np.arange(1.0 * samples)) if chains else signal(kind, (samples,)).numpy()
    for min_distance in (0, 1, 2, 4, 14, 15, 16, 17):
        check_selection("extrema", torch.from_numpy(s.astype(dtype))[None, None], min_distance)


@pytest.mark.parametrize("width", [*range(1, 21), 31, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda t: t.__name__)
def test_windows_of_every_width(dtype, width):
    """One vector, two, many, and at the end of the last map none."""
    for kind in ("integers", "noise"):
        for shape in [(1, 1, 3 * width), (2, 1, 3 * width + 1), (1, 1, 2 * width, 2 * width)]:
            check_selection("extrema_pool", signal(kind, shape).to(dtype_of(dtype)), width)


@pytest.mark.parametrize("k", [1, 2, 4, 8, 9])
@pytest.mark.parametrize("samples", [15, 16, 64, 65, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda t: t.__name__)
def test_few_of_many(dtype, samples, k):
    """The k largest where lanes bound them, where they do not, and where they are in one lane."""
    s = signal("integers", (4, 1, samples)).to(dtype_of(dtype))
    s[1] = signal("noise", (samples,))
    s[2] = 0
    s[3, 0, ::16] += torch.arange(5.0, 5 + len(s[3, 0, ::16]))
    check_selection("top_k_absolutes", s, k)


def dtype_of(dtype):
    return torch.from_numpy(np.zeros(0, dtype)).dtype


@pytest.mark.parametrize("samples", [4095, 4097, 4200])
def test_rounds_of_several_strips(samples):
    check_selection("extrema", signal("noise", (1, 1, samples)), 15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda t: t.__name__)
def test_magnitudes_as_integers_are_the_same_compiled(dtype):
    numba = pytest.importorskip("numba")
    from san.hot_path.cpu.maps import as_integers

    s = np.array([-np.inf, -2.0, -0.0, 0.5], dtype)
    compiled = numba.njit(lambda s: as_integers(s))(s)
    for ours, theirs in zip(as_integers(s), compiled, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    bits, mask, infinity = as_integers(s)
    assert (bits & mask).argsort(kind="stable").tolist() == [2, 3, 1, 0]
    assert (bits & mask)[0] == infinity


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("kind", ["smooth", "noise"])
def test_large_maps_equal_small_ones(name, kind):
    s = signal(kind, (1100, 1, 1000))
    assert s.nbytes >= 1 << 22
    for parameter in (3, 20):
        parts = [SPARSE[name][0](part, parameter) for part in s.split(100)]
        assert torch.equal(SPARSE[name][0](s, parameter), torch.cat(parts))


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_out_is_written(name, dtype):
    function, s = SPARSE[name][0], signal("noise", (2, 3, 90)).to(dtype)
    expected = function(s, 5)
    out = torch.full_like(s, 7)
    assert function(s, 5, out=out) is out
    assert torch.equal(out, expected)
    strided = torch.full((2, 3, 180), 7.0, dtype=dtype)
    function(s, 5, out=strided[..., ::2])
    assert torch.equal(strided[..., ::2], expected)
    assert (strided[..., 1::2] == 7).all()
    same = s.clone()
    assert torch.equal(function(same, 5, out=same), expected)


@pytest.mark.parametrize(
    "out, words",
    [
        (torch.zeros(1, 1, 4), r"\(1, 1, 3\) of torch.float32 on cpu, got \(1, 1, 4\) of"),
        (torch.zeros(1, 1, 3).double(), "of torch.float64 on cpu"),
        (torch.zeros(1, 1, 3, requires_grad=True), "out has no gradient"),
    ],
    ids=["shape", "type", "gradient"],
)
def test_out_that_does_not_fit(out, words):
    with pytest.raises(ValueError, match=words):
        extrema(torch.zeros(1, 1, 3), 1, out=out)
    with pytest.raises(ValueError, match="out has no gradient"):
        extrema(torch.zeros(1, 1, 3, requires_grad=True), 1, out=torch.zeros(1, 1, 3))


def digest_of_selections():
    """The SHA-256 of what the three selections give of maps and images."""
    rng, found = np.random.default_rng(5), hashlib.sha256()
    noise = rng.standard_normal((2, 1, 333)).astype(np.float32)
    for s in (noise, noise.cumsum(2), noise[..., :324].reshape(2, 1, 18, 18)):
        for parameter in (1, 2, 3, 6, 15, 20, 60):
            for function in (san.extrema, san.extrema_pool, san.top_k_absolutes):
                found.update(function(torch.from_numpy(s), parameter).numpy().tobytes())
    return found.hexdigest()


@pytest.mark.slow
def test_the_instruction_set_changes_nothing():
    source = inspect.getsource(digest_of_selections)
    code = f"import hashlib, numpy as np, san, torch\n{source}\nprint(digest_of_selections())"
    oldest = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | oldest,  # numba caches what it compiles for each processor apart
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{digest_of_selections()}\n"


@functools.cache
def long_map(kind, dtype):
    """A long map, and its places by falling magnitude."""
    rng = np.random.default_rng(3)
    s = {
        "noise": lambda: rng.standard_normal(60_000),
        "integers": lambda: rng.integers(-3, 4, 60_000),
        "steps": lambda: np.repeat(rng.standard_normal(6), 10_000),
        "zeros": lambda: np.zeros(60_000),
        # a sample of every 14th is a bad one
        "sampled": lambda: np.where(np.arange(60_000) % 14 == 0, 0, rng.standard_normal(60_000)),
    }[kind]().astype(dtype)
    return s, naive.largest_first(s)


@pytest.mark.parametrize("k", [1, 5, 300, 20_000, 59_999, 60_000, 70_000])
@pytest.mark.parametrize("kind", ["noise", "integers", "steps", "zeros", "sampled"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda t: t.__name__)
def test_top_k_of_long_maps(dtype, kind, k):
    s, order = long_map(kind, dtype)
    ref = naive.top_k_absolutes(s, k, order)[None, None]
    check_against(ref, "top_k_absolutes", torch.from_numpy(s)[None, None], k)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(7, 3, 50), (5, 2, 9, 11), (1, 1, 400)], ids=str)
@pytest.mark.parametrize("name", SPARSE)
def test_threads_change_nothing(name, shape, threads, monkeypatch):
    from san.hot_path import operation

    before = torch.get_num_threads()
    alone = SPARSE[name][0](signal("noise", shape), 4)
    monkeypatch.setattr(operation, "SAMPLES_PER_THREAD", 10)
    torch.set_num_threads(threads)
    try:
        assert torch.equal(SPARSE[name][0](signal("noise", shape), 4), alone)
        bad = signal("noise", shape)
        bad[-1, -1, -1] = float("nan")
        with pytest.raises(ValueError, match="must not hold NaN"):
            SPARSE[name][0](bad, 4)
    finally:
        torch.set_num_threads(before)


# The authors' own test vectors (pbizopoulos/sparse_activation_functions_pytorch).
AUTHORS = [0.0, 1.1, 0.0, 2.7, 3.2]


@pytest.mark.parametrize(
    "function, parameter, expected",
    [
        (extrema, 3, [0, 0, 0, 0, 3.2]),
        (extrema_pool, 3, [0, 1.1, 0, 0, 0]),
        (top_k_absolutes, 2, [0, 0, 0, 2.7, 3.2]),
    ],
    ids=["extrema", "extrema_pool", "top_k_absolutes"],
)
def test_vectors_of_the_authors(function, parameter, expected):
    out = function(torch.tensor([[AUTHORS]]), parameter)
    assert out.flatten().tolist() == torch.tensor(expected).tolist()


@pytest.mark.parametrize(
    "s, expected",
    [
        ([5, 1, 0, 1, 0], [0, 0, 0, 1, 0]),
        ([0, 1, 0, 1, 5], [0, 1, 0, 0, 5]),
        ([1, 0, -1, -5], [0, 0, 0, 0]),
        ([0, 2, 2, 4, 0], [0, 2, 0, 4, 0]),
        ([0, 3, 3, 3, 0], [0, 3, 0, 0, 0]),
        ([0, -3, -3, -3, 0], [0, 0, 0, -3, 0]),
    ],
    ids=[
        "first peak",
        "last peak",
        "last valley",
        "two plateaus",
        "peak plateau",
        "valley plateau",
    ],
)
def test_borders_and_plateaus(s, expected):
    assert extrema(torch.tensor([[s]]).float(), 1).flatten().tolist() == expected


def test_identity_and_relu():
    s = torch.tensor([[[-1.0, 0.0, 2.0]]], requires_grad=True)
    np.testing.assert_array_equal(
        identity(s).detach().numpy()[0, 0], naive.identity(s.detach().numpy()[0, 0])
    )
    np.testing.assert_array_equal(
        relu(s).detach().numpy()[0, 0], naive.relu(s.detach().numpy()[0, 0])
    )
    assert torch.autograd.grad(relu(s).sum(), s)[0].flatten().tolist() == [0, 0, 1]
    assert torch.autograd.grad(identity(s).sum(), s)[0].flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("axes", [1, 2], ids=["1d", "2d"])
def test_not_contiguous(name, axes):
    whole = signal("smooth", (4, 3, *(26, 30)[:axes]))
    for view in (
        whole[..., ::2],
        whole.transpose(-1, -2) if axes == 2 else whole[::2],
        whole.flip(0),
    ):
        assert torch.equal(SPARSE[name][0](view, 3), SPARSE[name][0](view.contiguous(), 3))


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("kind", [torch.tensor, np.array], ids=["tensor", "array"])
def test_a_parameter_for_each_channel(name, kind):
    s = signal("noise", (2, 3, 50))
    function = SPARSE[name][0]
    out = function(s, kind([1, 4, 9]))
    for channel, parameter in enumerate([1, 4, 9]):
        alone = function(s[:, channel : channel + 1], parameter)
        assert torch.equal(out[:, channel : channel + 1], alone)


@pytest.mark.parametrize("name", ["extrema", "extrema_pool"])
def test_a_parameter_for_each_axis(name):
    s = signal("noise", (2, 2, 12, 10))
    function, oracle = SPARSE[name]
    ref = per_map(oracle, s.numpy(), (3, 2))
    np.testing.assert_array_equal(function(s, (3, 2)).numpy(), ref)
    np.testing.assert_array_equal(function(s, torch.tensor([[3, 2], [3, 2]])).numpy(), ref)


@pytest.mark.parametrize("rows", [[(3,)], [(3, 2)], [(3,), (2,)]], ids=str)
def test_parameters_of_every_form_are_one_kind_of_array(rows):
    """Of another kind, such as one that cannot be written, the selection would be compiled anew."""
    table = operation.table_per_map(rows, (12, 10), "extrema")
    assert table.flags.c_contiguous and table.flags.writeable and table.shape == (len(rows), 2)


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("shape", [(0, 1, 5), (1, 0, 5), (2, 1, 0), (1, 1, 0, 4)], ids=str)
def test_empty(name, shape):
    assert SPARSE[name][0](torch.zeros(shape), 3).shape == shape


def test_bfloat16():
    s = signal("noise", (1, 1, 64)).bfloat16()
    assert torch.equal(extrema(s, 3), extrema(s.float(), 3).bfloat16())


@pytest.mark.parametrize("name", SPARSE)
def test_infinities_are_the_largest(name):
    s = torch.tensor([[[0.0, 1.0, float("inf"), 2.0, -float("inf"), 3.0, 0.0, 0.0]]])
    check_selection(name, s, 1)
    check_selection(name, s, 3)


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 2, 3, 5)], ids=["1d", "2d"])
@pytest.mark.parametrize("name", ["identity", "relu", *SPARSE])
def test_nan_is_refused_with_its_place(name, shape):
    s = torch.zeros(shape)
    s[(0, 1, *[2] * (len(shape) - 2))] = float("nan")
    arguments = [] if name in ("identity", "relu") else [2]
    functions = dict(identity=identity, relu=relu, **{n: pair[0] for n, pair in SPARSE.items()})
    with pytest.raises(ValueError, match=r"must not hold NaN, got one at index \(0, 1, 2"):
        functions[name](s, *arguments)


@pytest.mark.parametrize("values", [[3e38, 3e38], [-3e38, -3e38], [math.inf, -math.inf]], ids=str)
def test_a_sum_that_is_not_finite_is_no_nan(values):
    s = torch.tensor([[values]])
    assert torch.equal(identity(s), s)
    assert torch.equal(relu(s), s.clamp(min=0))


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_a_gradient_of_another_type_passes_where_alpha_is_not_zero(name, dtype):
    """torch converts gradients before they arrive; what is not converted is passed as well."""
    from san.hot_path import operation

    s = signal("noise", (2, 1, 40)).requires_grad_()
    alpha = SPARSE[name][0](s, 3)
    slope = torch.arange(1.0, 81.0).reshape(s.shape)
    expected = torch.where(alpha != 0, slope, 0.0)
    (gradient,) = torch.autograd.grad(alpha.to(dtype), s, slope.to(dtype))
    assert gradient.dtype == s.dtype and torch.equal(gradient, expected)
    passed = operation._pass_gradient(alpha.detach(), slope.to(dtype))
    assert torch.equal(passed.float(), expected)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: extrema([1.0], 3), TypeError, "torch tensor, got list"),
        (lambda: extrema(torch.zeros(1, 1, 3).int(), 3), TypeError, "float type, got torch.int32"),
        (lambda: extrema(torch.zeros(3), 3), ValueError, r"\(N, C, H, W\), got \(3,\)"),
        (lambda: extrema(torch.zeros(1, 1, 3), -1), ValueError, "at least 0, got -1"),
        (lambda: extrema_pool(torch.zeros(1, 1, 3), 0), ValueError, "at least 1, got 0"),
        (
            lambda: top_k_absolutes(torch.zeros(1, 1, 3), 0),
            ValueError,
            "k must be at least 1, got 0",
        ),
        (
            lambda: extrema(torch.zeros(1, 1, 3), 1.5),
            TypeError,
            "whole number, or several, got 1.5",
        ),
        (lambda: extrema(torch.zeros(1, 1, 3), (1, 2)), ValueError, r"got \(1, 2\)"),
        (lambda: extrema(torch.zeros(1, 2, 3), torch.ones(3).int()), ValueError, "2 channels"),
        (
            lambda: extrema(torch.zeros(1, 1, 3), True),
            TypeError,
            "whole number, or several, got True",
        ),
        (
            lambda: extrema(torch.zeros(1, 1, 3), "3"),
            TypeError,
            "whole number, or several, got '3'",
        ),
        (
            lambda: extrema(torch.zeros(1, 1, 3), [True]),
            TypeError,
            r"whole number, or several, got \[True\]",
        ),
        (
            lambda: extrema(torch.zeros(1, 1, 3), torch.tensor([True])),
            TypeError,
            r"whole number, or several, got tensor\(\[True\]\)",
        ),
        (
            lambda: extrema(torch.zeros(1, 2, 3, 3), [[3], [4, 2]]),
            ValueError,
            r"with 2 axes, got \[\[3\], \[4, 2\]\]",
        ),
        (
            lambda: extrema_pool(torch.zeros(1, 2, 3), [[3], [0]]),
            ValueError,
            r"at least 1, got \[\[3\], \[0\]\]",
        ),
        (
            lambda: extrema_pool(torch.zeros(1, 1, 3, 3), (3, 0)),
            ValueError,
            r"at least 1, got \(3, 0\)",
        ),
    ],
    ids=[
        "list",
        "integers",
        "shape",
        "negative",
        "pool",
        "k",
        "fraction",
        "axes",
        "channels",
        "bool",
        "text",
        "bools",
        "tensor of bools",
        "ragged rows",
        "a later row too small",
        "a later axis too small",
    ],
)
def test_wrong_use(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("name", SPARSE)
def test_selecting_twice_changes_nothing(name):
    s = signal("noise", (2, 2, 200))
    once = SPARSE[name][0](s, 5)
    assert torch.equal(SPARSE[name][0](once, 5), once)


@pytest.mark.parametrize("shape", [(2, 3, 50), (2, 1, 9, 11), (1, 1, 9000), (0, 1, 5)], ids=str)
def test_events_are_the_nonzeros(shape):
    alpha = extrema(signal("noise", shape), 2)
    indices, values = list_activations(alpha)
    assert torch.equal(indices, alpha.nonzero())
    assert torch.equal(values, alpha[alpha != 0])
    strided = alpha.transpose(0, 1)
    assert torch.equal(list_activations(strided)[0], strided.nonzero())


def test_events_pass_the_gradient():
    s = signal("noise", (1, 2, 40)).requires_grad_()
    alpha = extrema(s, 2)
    (gradient,) = torch.autograd.grad(list_activations(alpha)[1].sum(), s)
    assert torch.equal(gradient, (alpha != 0).float())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["identity", "relu", *SPARSE])
@pytest.mark.parametrize("shape", [(2, 3, 40), (1, 2, 8, 9)], ids=["1d", "2d"])
def test_torch_compile_gives_the_same_values_and_gradients(name, shape):
    functions = dict(identity=identity, relu=relu, **{n: pair[0] for n, pair in SPARSE.items()})
    arguments = [] if name in ("identity", "relu") else [2]

    def loss(s):
        return (functions[name](2 * s, *arguments) ** 2).sum()

    s = signal("noise", shape).requires_grad_()
    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert torch.equal(loss(s), compiled(s))
    ours, theirs = (torch.autograd.grad(f(s), s)[0] for f in (loss, compiled))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["identity", "relu", *SPARSE])
@pytest.mark.parametrize("shape", [(4, 2, 3, 40), (4, 1, 2, 8, 9)], ids=["1d", "2d"])
def test_torch_func(name, shape):
    functions = dict(identity=identity, relu=relu, **{n: pair[0] for n, pair in SPARSE.items()})
    arguments = [] if name in ("identity", "relu") else [2]

    def activate(s):
        return functions[name](s, *arguments)

    def loss(s):
        return (activate(s) ** 2).sum()

    s = signal("noise", shape)
    mapped = torch.func.vmap(activate)(s)
    assert torch.equal(mapped, torch.stack([activate(x) for x in s]))
    last = torch.func.vmap(activate, in_dims=1, out_dims=1)(s)
    assert torch.equal(last, torch.stack([activate(x) for x in s.unbind(1)], 1))
    gradients = torch.func.vmap(torch.func.grad(loss))(s)
    for x, gradient in zip(s, gradients, strict=True):
        x = x.clone().requires_grad_()
        assert torch.equal(gradient, torch.autograd.grad(loss(x), x)[0])


LACKING = {
    "nothing": [],
    "its first name": ["_are_functorch_transforms_active"],
    "both names": ["_are_functorch_transforms_active", "_functorch"],
}


@pytest.mark.parametrize("lacking", LACKING)
def test_a_torch_without_its_private_names(lacking, monkeypatch):
    """torch.func is noticed as long as torch has one of two names, and is an error without."""
    names = {name: getattr(torch._C, name) for name in LACKING["both names"]}
    c = SimpleNamespace(**{n: v for n, v in names.items() if n not in LACKING[lacking]})
    monkeypatch.setattr(operation, "transforms_are_active", operation._find_transforms_check(c))
    s = signal("noise", (3, 1, 2, 40))
    expected = torch.stack([extrema(x, 2) for x in s])
    if lacking == "both names":
        with pytest.raises(RuntimeError, match=r"functorch|vmap|setup_context"):
            torch.func.vmap(lambda x: extrema(x.requires_grad_(), 2))(s)
    else:
        assert torch.equal(torch.func.vmap(lambda x: extrema(x, 2))(s), expected)
    x = s[0].clone().requires_grad_()
    extrema(x, 2).sum().backward()
    assert torch.equal(x.grad, (expected[0] != 0).float())


@pytest.mark.parametrize("name", SPARSE)
@pytest.mark.parametrize("shape", [(1, 2, 12), (1, 1, 5, 6)], ids=["1d", "2d"])
def test_gradient_by_finite_differences(name, shape):
    generator = torch.Generator().manual_seed(3)
    s = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: SPARSE[name][0](s, 2) ** 2, s, eps=1e-7)
    assert torch.autograd.gradgradcheck(lambda s: SPARSE[name][0](s, 2) ** 2, s)
