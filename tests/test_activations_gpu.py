"""The kernels for a GPU give what the CPU and the definitions give.

Where there is no GPU they run in Triton's interpreter, and are compiled for one all the same.
"""

import os
import pathlib
import re
import runpy
import subprocess
import sys

import naive
import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are defined
pytest.importorskip("triton")

import san
from san.hot_path.gpu import extrema, extrema_long, gradient, launch, maps, pool, top_k

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SPARSE = {
    "top_k_absolutes": naive.top_k_absolutes,
    "extrema_pool": naive.extrema_pool,
    "extrema": naive.extrema,
}


def select(name, s, *rows):
    """Maps selected by the kernels, back on the CPU."""
    return launch.select(name, s.to(DEVICE), rows).cpu()


def signal(kind, shape, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.arange(np.prod(shape)).reshape(shape)
    made = {
        "noise": lambda: rng.standard_normal(shape),
        "ties": lambda: rng.integers(-2, 3, shape),
        "smooth": lambda: np.cumsum(rng.standard_normal(shape), -1) / 5,
        "chain": lambda: (ramp + 1.0) * (-1.0) ** ramp,
        "falling chain": lambda: (ramp.size - ramp + 0.0) * (-1.0) ** ramp,
        "zeros": lambda: np.zeros(shape),
        "infinities": lambda: np.where(rng.random(shape) < 0.1, np.inf, rng.standard_normal(shape)),
    }
    return torch.from_numpy(np.asarray(made[kind](), np.float32))


KINDS = ["noise", "ties", "smooth", "chain", "falling chain", "zeros", "infinities"]


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 33), (1, 1, 6, 5)], ids=str)
@pytest.mark.parametrize("parameter", [1, 4, 100])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SPARSE)
def test_equal_to_the_cpu(name, kind, parameter, shape):
    s = signal(kind, shape)
    assert torch.equal(select(name, s, (parameter,)), getattr(san, name)(s, parameter))


@pytest.mark.parametrize("size", [(24,), (5, 4)], ids=str)
@pytest.mark.parametrize("distance", [0, 1, 7])
@pytest.mark.parametrize("share", [1, 16], ids=["in a list", "among all samples"])
def test_extrema_of_one_program(monkeypatch, share, distance, size):
    """Both kinds of rounds; rounds among all samples end when few candidates are left."""
    monkeypatch.setattr(extrema, "SHARE", share)
    s = torch.stack([signal(kind, (1, *size)) for kind in ("noise", "ties", "chain")])
    assert torch.equal(select("extrema", s, (distance,)), san.extrema(s, distance))


CHAIN = (torch.arange(1.0, 61) * (-1) ** torch.arange(60))[None, None]


@pytest.mark.parametrize("distance", [1, 5])
@pytest.mark.parametrize("share", [1, 16], ids=["in a list", "among all samples"])
def test_a_chain_takes_two_rounds_or_less_for_each_one_that_is_kept(monkeypatch, share, distance):
    monkeypatch.setattr(extrema, "SHARE", share)
    s, rounds = CHAIN.to(DEVICE), torch.zeros(1, dtype=torch.int32, device=DEVICE)
    alpha = torch.empty_like(s)
    numbers = 1, 1, s.shape[2], maps.number_types(s.dtype)
    extrema.extrema(s, alpha, None, (0, distance), *numbers, rounds=rounds)
    kept = (alpha != 0).sum()
    assert torch.equal(alpha.cpu(), san.extrema(CHAIN, distance))
    assert kept // 2 <= rounds.item() <= 2 * kept


@pytest.fixture
def short(monkeypatch):
    """Maps of more than ten samples are long, and are shared by programs that do little each."""
    monkeypatch.setattr(extrema, "longest", lambda s: 10)
    monkeypatch.setattr(top_k, "LONGEST", 10)
    monkeypatch.setattr(maps, "PROGRAMS", 8)
    for room in (maps, extrema_long, top_k):
        monkeypatch.setattr(room, "BLOCK", 16)
    monkeypatch.setattr(extrema_long, "CANDIDATES", 8)
    monkeypatch.setattr(extrema_long, "LOOKS", 1)


@pytest.mark.parametrize("growing", [True, False], ids=["growing", "falling"])
def test_a_chain_of_a_long_map_takes_steps_in_proportion_to_its_candidates(short, growing):
    s = (CHAIN if growing else CHAIN.flip(2)).to(DEVICE)
    steps, alpha = torch.zeros(1, dtype=torch.int32, device=DEVICE), torch.empty_like(s)
    numbers = 1, 1, s.shape[2], maps.number_types(s.dtype)
    extrema_long.extrema_of_long(s, alpha, None, (0, 3), *numbers, steps=steps)
    assert torch.equal(alpha.cpu(), san.extrema(s.cpu(), 3))
    assert 10 < steps.item() < 3 * s.shape[2]


def test_as_many_slices_as_programs_that_run_at_a_time():
    for samples in (20_000, 650_000, 31_000_000):
        for number in (1, 3, 64, 2000):
            blocks, slices = maps.slices_of(samples, number)
            assert (slices - 1) * blocks * maps.BLOCK < samples <= slices * blocks * maps.BLOCK
            all_of_them = slices * number
            assert all_of_them <= max(2 * maps.PROGRAMS, number)
            assert all_of_them >= min(maps.PROGRAMS // 2, number * (samples // maps.BLOCK))


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64], ids=lambda t: str(t)[6:]
)
@pytest.mark.parametrize("name", SPARSE)
def test_float_types(name, dtype):
    s = signal("smooth", (2, 2, 21)).to(dtype)
    kept = select(name, s, (3,))
    assert kept.dtype == dtype
    assert torch.equal(kept, getattr(san, name)(s, 3))


@pytest.mark.parametrize("shape", [(2, 3, 30), (1, 3, 7, 8)], ids=str)
@pytest.mark.parametrize("name", SPARSE)
def test_a_parameter_per_channel(name, shape):
    s = signal("noise", shape)
    kept = select(name, s, (1,), (3,), (9,))
    assert torch.equal(kept, getattr(san, name)(s, [[1], [3], [9]]))


@pytest.mark.parametrize("name", ["extrema", "extrema_pool"])
def test_a_parameter_per_axis(name):
    s = signal("noise", (2, 1, 9, 8))
    assert torch.equal(select(name, s, (4, 2)), getattr(san, name)(s, (4, 2)))


@pytest.mark.parametrize("shape", [(1, 2, 45), (1, 1, 6, 7)], ids=str)
@pytest.mark.parametrize("parameter", [1, 4, 60])
@pytest.mark.parametrize("kind", ["noise", "ties", "chain", "zeros"])
@pytest.mark.parametrize("name", ["top_k_absolutes", "extrema"])
def test_maps_longer_than_a_program_takes(short, name, kind, parameter, shape):
    s = signal(kind, shape)
    assert torch.equal(select(name, s, (parameter,)), getattr(san, name)(s, parameter))


@pytest.mark.parametrize("name", ["top_k_absolutes", "extrema"])
def test_long_maps_of_double_precision(short, name):
    s = signal("noise", (1, 2, 75)).double() * 1e-9
    assert torch.equal(select(name, s, (9,)), getattr(san, name)(s, 9))


def test_long_maps_that_do_not_share_the_memory_of_their_lists(short, monkeypatch):
    monkeypatch.setattr(extrema_long, "AT_ONCE", 100)
    s = signal("smooth", (1, 3, 45))
    kept = select("extrema", s, (1,), (3,), (9,))
    assert torch.equal(kept, san.extrema(s, [[1], [3], [9]]))


@pytest.mark.parametrize("size", [(70,), (9, 8)], ids=str)
@pytest.mark.parametrize("parameter", [20, 35])
def test_windows_larger_than_a_tile(monkeypatch, parameter, size):
    monkeypatch.setattr(pool, "CELLS", 16)
    s = signal("ties", (2, 1, *size))
    row = (min(parameter, 8),) if len(size) > 1 else (parameter,)
    assert torch.equal(select("extrema_pool", s, row), san.extrema_pool(s, row[0]))


@pytest.mark.parametrize("rows", [[(1,)], [(3,)], [(12,)], [(2,), (12,), (5,)]], ids=str)
@pytest.mark.parametrize("samples", [1, 24, 26])
def test_windows_of_several_tiles(monkeypatch, samples, rows):
    monkeypatch.setattr(pool, "CELLS", 32)
    s = signal("ties", (2, 3, samples))
    s[0, 0, -1] = float("nan")
    kept = select("extrema_pool", s, *rows)
    assert torch.isnan(kept).nonzero().tolist() == [[0, 0, samples - 1]]
    s[0, 0, -1] = 0
    assert torch.equal(select("extrema_pool", s, *rows), san.extrema_pool(s, [*rows]))


def test_infinities_and_ties_among_the_top():
    s = torch.tensor([[[1.0, -np.inf, 1e-45, np.inf, 3e38, -1.0, 0.0, 1.0]]])
    for dtype in (torch.float32, torch.float64):
        for k in range(1, 9):
            expected = san.top_k_absolutes(s.to(dtype), k)
            assert torch.equal(select("top_k_absolutes", s.to(dtype), (k,)), expected)


@pytest.mark.parametrize("name", SPARSE)
def test_a_nan_passes(name):
    s = signal("noise", (1, 1, 20))
    s[0, 0, 7] = float("nan")
    assert torch.isnan(select(name, s, (4,))).flatten().nonzero().flatten().tolist() == [7]


def test_the_gradient_passes_where_alpha_is_not_zero():
    alpha, gradient = torch.tensor([0.0, -0.0, 2.0, -3.0, float("nan")]), torch.arange(1.0, 6)
    passed = launch.pass_gradient(alpha.to(DEVICE), gradient.to(DEVICE)).cpu()
    assert passed.tolist() == [0, 0, 3, 4, 5]


class Watched(torch.overrides.TorchFunctionMode):
    """No function of some names may be called by the package."""

    def __init__(self, *forbidden):
        super().__init__()
        self.forbidden = forbidden

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function.__name__ in self.forbidden:
            frame = sys._getframe(1)
            while "/torch/" in frame.f_code.co_filename:
                frame = frame.f_back  # Triton's interpreter copies too, and may
            name = frame.f_code.co_filename
            assert "/san/hot_path/" not in name, f"{function.__name__} is called by {name}"
        return function(*args, **(kwargs or {}))


EXPANDED = {
    "one number": lambda shape: torch.tensor(3.0).expand(shape),
    "one for each map": lambda shape: torch.rand(shape[:2])[..., None, None].expand(shape),
    "one for each column": lambda shape: torch.rand(shape[-1]).expand(shape),
    "another order of axes": lambda shape: torch.rand(shape[::-1]).permute(3, 2, 1, 0),
    "written out": torch.rand,
}


@pytest.mark.parametrize("form", EXPANDED)
def test_the_gradient_is_read_in_the_form_in_which_it_comes(monkeypatch, form):
    alpha = signal("ties", (2, 3, 4, 5)).to(DEVICE)
    slope = EXPANDED[form]((2, 3, 4, 5)).to(DEVICE)
    expected = torch.where(alpha != 0, slope, 0)
    with Watched("contiguous", "clone", "copy_", "to"):
        passed = launch.pass_gradient(alpha, slope)
    assert torch.equal(passed, expected)


@pytest.mark.parametrize("name", SPARSE)
def test_a_captured_graph_depends_on_no_memory_outside(monkeypatch, name):
    s = signal("smooth", (2, 5, 40))
    rows = [(1,), (3,), (9,), (2,), (4,)]
    expected = select(name, s, *rows)
    there = s.to(DEVICE)
    monkeypatch.setattr(launch, "_is_capturing", lambda device: True)
    monkeypatch.setattr(torch, "tensor", None)
    assert torch.equal(launch.select(name, there, tuple(rows)).cpu(), expected)


@pytest.mark.parametrize("name", SPARSE)
def test_maps_of_2_to_the_31_samples_are_refused(name):
    s = torch.empty(1, device=DEVICE).expand(1, 1, 1 << 31)
    with pytest.raises(ValueError, match=r"at most 2130706432 samples, got 2147483648: .*s.cpu()"):
        launch.select(name, s, ((3,),))


WAITING = ("item", "tolist", "cpu", "numpy", "nonzero", "to", "is_nonzero", "unique", "copy_")
WAITING += ("__bool__", "__int__", "__float__", "__index__", "__array__")


@pytest.mark.skipif(DEVICE == "cuda", reason="the device's own check follows below")
@pytest.mark.parametrize("longest", [10, 4096], ids=["long maps", "short maps"])
@pytest.mark.parametrize("name", SPARSE)
def test_a_selection_asks_nothing_of_the_device(monkeypatch, name, longest):
    monkeypatch.setattr(top_k, "LONGEST", longest)
    monkeypatch.setattr(extrema, "longest", lambda s: longest)
    s, rows = signal("noise", (1, 2, 40)), ((3,), (5,))
    expected = launch.select(name, s, rows)  # brings the parameters of the channels there
    with Watched(*WAITING):
        alpha = launch.select(name, s, rows)
        slope = launch.pass_gradient(alpha, alpha)
    assert torch.equal(alpha, expected)
    assert torch.equal(slope, alpha)


def test_that_test_can_fail(monkeypatch):
    monkeypatch.setattr(launch, "_is_capturing", lambda device: torch.zeros(1))
    test = test_a_selection_asks_nothing_of_the_device
    with pytest.raises(AssertionError, match="__bool__ is called by"):
        test(monkeypatch, "extrema", 4096)


SELECTED = 1000 if DEVICE == "cuda" else 8  # maps of a batch; the interpreter takes 50 ms for one


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(10), ids="batch {}".format)
@pytest.mark.parametrize("name", SPARSE)
def test_many_maps_agree_with_the_definition(name, batch):
    """A thousand maps of one size on the CPU, and as many as there is time for by the kernels."""
    rng = np.random.default_rng(batch)
    size = (int(rng.integers(1, 17)),) if batch % 3 else tuple(rng.integers(1, 5, 2).tolist())
    kinds = [signal(KINDS[i % len(KINDS)], size, 1000 * batch + i) for i in range(1000)]
    s = torch.stack(kinds)[:, None]
    parameter = int(rng.integers(1, 7))
    row = parameter if name == "top_k_absolutes" else (parameter,) * len(size)
    oracle = np.stack([SPARSE[name](one.numpy(), row) for one in kinds])[:, None]
    np.testing.assert_array_equal(getattr(san, name)(s, parameter).numpy(), oracle)
    found = select(name, s[:SELECTED], (parameter,))
    np.testing.assert_array_equal(found.numpy(), oracle[:SELECTED])


@pytest.mark.skipif(DEVICE == "cpu", reason="there is no GPU here")
@pytest.mark.parametrize("name", SPARSE)
def test_nothing_waits_for_the_device(name):
    s = torch.randn(4, 2, 1000, device=DEVICE, requires_grad=True)
    getattr(san, name)(s, 5).sum().backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        getattr(san, name)(s, 5).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("size", [(60,), (9, 8)], ids=str)
@pytest.mark.parametrize("name", SPARSE)
def test_the_check_of_large_maps_finds_what_is_wrong(name, size):
    """`on_gpu.py` checks what a GPU keeps without the selections of the CPU."""
    is_right = runpy.run_path(str(BENCHMARKS / "on_gpu.py"))["is_right"][name]
    s = signal("noise", (2, 1, *size))
    kept = getattr(san, name)(s, 3)
    assert is_right(s, kept, 3)
    first = tuple(kept.nonzero()[0])
    for value in (0, 1e9):
        wrong = kept.clone()
        wrong[first] = value
        assert not is_right(s, wrong, 3)


def test_every_kernel_compiles_for_a_gpu_that_is_not_here(tmp_path):
    """A variant of each; the benchmark compiles all, and counts what they issue."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    del environment["PYTHONSAFEPATH"]  # benchmarks import what lies beside them
    command = [sys.executable, "-W", "error", BENCHMARKS / "gpu_counts.py", "--only-compile"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    compiled = {line.split()[0] for line in run.stdout.splitlines()}
    rooms = (launch, gradient, extrema, extrema_long, pool, top_k)
    launched = re.compile(r"(_\w+)\[[^]]*\]\(")
    sources = (pathlib.Path(room.__file__).read_text() for room in rooms)
    assert compiled == {name for source in sources for name in launched.findall(source)}
