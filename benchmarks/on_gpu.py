"""Everything that a GPU is needed for, in ten minutes: tests, large maps, times; results as files.

    python benchmarks/on_gpu.py OUT            on a GPU, in less than ten minutes
    python benchmarks/on_gpu.py OUT --short    without one, through Triton's interpreter

Each step is a process with a limit of its own. How it ended is printed and written to
OUT/steps.json at once, what it says goes to the end of OUT/log.txt, and its results are JSON files
in OUT, so that what a step wrote stays when a later one fails. The short form does every step on
small maps, but for those that only a device can do (its description, a CUDA graph, a search for
faults of memory): it shows that the steps work and that every file is written, and measures
nothing. Where OUT/../wheels is a folder, its packages are installed first, without a network.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FILES = ("log.txt", "steps.json", "large-maps.json", "activations-cuda.json", "bank-cuda.json",
         "sweep-cuda.json", "encoder-cuda.json")  # fmt: skip
INTERPRETED = 5  # times the limits of a device: the interpreter may share its CPU with other work
SIZES = [(2000, 1, 8192), (64, 1, 1000), (1, 1, 650_000), (64, 1, 28, 28), (4096, 8, 8192)]
MEMCHECK = """
import torch, san
for shape in ((3, 2, 177), (1, 1, 40_000), (2, 1, 28, 28), (1, 1, 150, 150)):
    s = torch.randn(shape, device="cuda", requires_grad=True)
    for select in (san.extrema, san.extrema_pool, san.top_k_absolutes):
        select(s, 9).sum().backward()
torch.cuda.synchronize()
"""
GRAPH = """
import torch, san
s, rows = torch.randn(4, 3, 1000, device="cuda"), [[3], [9], [50]]
for select in (san.extrema, san.extrema_pool, san.top_k_absolutes):
    expected, alpha, graph = select(s, rows), torch.empty_like(s), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        alpha.copy_(select(s, rows))
    for size in range(1, 200):
        select(s[..., :size], rows)  # other tables come and go
    alpha.zero_()
    graph.replay()
    assert torch.equal(alpha, expected), select
"""


def main() -> None:
    """Do all steps, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--short", action="store_true", help="small maps, in Triton's interpreter")
    parser.add_argument("--step", choices=("large_maps", "times", "sweep"), help="only this one")
    options = parser.parse_args()
    if options.step:
        {"large_maps": large_maps, "times": times, "sweep": sweep}[options.step](
            options.out, options.short
        )
        return
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    if options.short:
        os.environ["TRITON_INTERPRET"] = "1"
    elif DEVICE == "cpu":
        sys.exit("there is no GPU here: give --short, which does every step in the interpreter")
    begin, ended = time.monotonic(), []
    for name, limit, command in steps(options.out, options.short):
        limit *= INTERPRETED if options.short else 1
        ended.append({"step": name, "ended": run(options.out, name, limit, command)})
        ended[-1]["after_s"] = round(time.monotonic() - begin, 1)
        print("{after_s:6.1f} s  {step}: {ended}".format(**ended[-1]), flush=True)
        (options.out / "steps.json").write_text(json.dumps(ended, indent=1) + "\n")
    missing = [name for name in FILES if not (options.out / name).is_file()]
    print(f"missing: {', '.join(missing)}" if missing else "every file is written")


def steps(out: Path, short: bool) -> list[tuple[str, int, list[str]]]:
    """The name of each step, its limit in seconds, and its command."""
    python, form = sys.executable, ["--short"] if short else []
    own = [python, __file__, str(out), *form, "--step"]
    pytest = [python, "-m", "pytest", "-q", "--durations=20", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist") and not short:
        pytest += ["-n", "12", "--dist", "load"]  # compiling takes most of the time
    some = ["-k", "float_types"] if short else ["-m", "not slow"]
    device = "cpu" if short else "cuda"
    few = ["--largest", "3", "--repeats", "1"] if short else []
    wheels = [str(wheel) for wheel in sorted((out.parent / "wheels").glob("*.whl"))]
    found: list[tuple[str, int, list[str]]] = []
    if wheels:
        pip = [python, "-m", "pip", "install", "--no-index", "--no-deps", *wheels]
        found.append(("wheels", 40, pip))
    if not short:
        sanitizer = ["compute-sanitizer", "--error-exitcode", "1"]
        found += [
            ("device", 20, ["nvidia-smi"]),
            ("graph", 30, [python, "-c", GRAPH]),
            ("memcheck", 50, [*sanitizer, python, "-c", MEMCHECK]),
        ]
    found += [
        ("versions", 20, [python, "-m", "pip", "list"]),
        ("large_maps", 90, [*own, "large_maps"]),
        ("times", 140, [*own, "times"]),
        ("tests", 110, [*pytest, *some, "tests/test_activations_gpu.py",
                        "tests/test_codec_device.py"]),
        ("bank", 40, [python, str(HERE / "bank.py"), "--device", device, *few,
                      "--output", str(out / "bank-cuda.json")]),
        ("sweep", 40, [*own, "sweep"]),
        ("encoder", 60, [python, str(HERE / "encoder_device.py"), "--device", device, *form,
                         "--output", str(out / "encoder-cuda.json")]),
    ]  # fmt: skip
    return found


def run(out: Path, name: str, limit: int, command: list[str]) -> str:
    """Run a command, with its output at the end of the log; return how it ended."""
    with (out / "log.txt").open("a") as log:
        print(f"\n===== {name}", file=log, flush=True)
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, timeout=limit
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {limit} s"
        except FileNotFoundError:
            return f"{command[0]} is not installed"
    return "done" if done.returncode == 0 else f"exit status {done.returncode}"


def write(path: Path, rows: list[dict]) -> None:
    """Write rows with what they depend on."""
    from provenance import provenance

    content = {"provenance": provenance(DEVICE), "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n")


def large_maps(out: Path, short: bool) -> None:
    """Select from maps of every kind; check what is kept against the definitions, in torch."""
    from san.hot_path.gpu import extrema, extrema_long, launch, maps, top_k

    if short:  # what is long begins early
        extrema.longest, top_k.LONGEST = (lambda s: 128), 128
        for room in (maps, extrema_long, top_k):
            room.BLOCK = 64
    ramp, n = torch.arange(150.0 if short else 650_000.0), 1 if short else 500
    chain = (ramp[:40] if short else ramp[:100_000]) + 1
    made = {
        "noise, many": torch.randn(n, 1, 64 if short else 8192),
        "noise, odd": torch.randn(2, 3, 31 if short else 1001),
        "noise, long": torch.randn(1, 1, len(ramp)),
        "ties, long": torch.randint(-3, 4, (2, 1, 151 if short else 200_001)).float(),
        "bursts, long": (torch.sin(ramp / 4) * (1.1 + torch.sin(ramp / 199)))[None, None],
        "growing": (chain * (-1) ** torch.arange(len(chain)))[None, None],
        "images": torch.randn(*([1, 1, 9, 8] if short else [64, 1, 28, 28])),
        "large images": torch.randn(1, 1, *([12, 12] if short else [1000, 1000])),
    }
    rows = []
    for name, s in made.items():
        there = s.to(DEVICE).contiguous()
        for operation, numbers in (
            ("extrema_pool", (3, 12, 13, 230)),
            ("extrema", (3, 50, 5000)),
            ("top_k_absolutes", (4, 300)),
        ):  # fmt: skip
            for p in numbers:
                if p > min(s.shape[2:]) or (p > 100 and s.dim() == 4):
                    continue
                begin = time.perf_counter()
                launch.select(operation, there, ((p,),))  # compiles
                finish()
                compiled, begin = time.perf_counter() - begin, time.perf_counter()
                kept = launch.select(operation, there, ((p,),))
                finish()
                took = time.perf_counter() - begin
                row = {"maps": name, "shape": list(s.shape), "operation": operation}
                row |= {"parameter": p, "right": is_right[operation](there, kept, p)}
                row |= {"first_ms": 1e3 * compiled, "again_ms": 1e3 * took}
                rows.append(row)
                print(row, flush=True)
                write(out / "large-maps.json", rows)
    if not all(row["right"] for row in rows):
        sys.exit("some maps are wrong")


def finish() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def extrema_are_right(s: Tensor, kept: Tensor, d: int) -> bool:
    """Whether the kept ones are candidates, far apart, and the others near a larger kept one.

    There is one such set: that of greedy suppression.
    """
    peaks, valleys = s > 0, s < 0
    for axis in range(2, s.dim()):
        step = torch.zeros_like(s.narrow(axis, 0, 1))
        rise = torch.cat([step, s.diff(dim=axis)], axis)
        fall = torch.cat([s.diff(dim=axis), step], axis)
        peaks, valleys = peaks & (rise > 0) & (fall <= 0), valleys & (rise <= 0) & (fall > 0)
    before, after = largest_around(kept.abs(), d)
    is_kept, height = kept != 0, s.abs()
    is_near = (before >= height) | (after > height)
    is_apart = ~is_kept | ((before == 0) & (after == 0))
    whole = torch.equal(kept, torch.where(is_kept, s, 0))
    candidates = peaks | valleys
    others = ~candidates | is_kept | is_near
    return whole and bool((others & is_apart & (candidates | ~is_kept)).all())


def largest_around(height: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """The largest height within d before each sample, and after it, in row-major order."""
    along = height.flatten(0, -2)
    before = F.max_pool1d(F.pad(along, (d, 0))[..., :-1], d, 1)
    after = F.max_pool1d(F.pad(along, (0, d))[..., 1:], d, 1)
    if height.dim() == 3:
        return before.view_as(height), after.view_as(height)
    before, after = before.view_as(height), after.view_as(height)
    rows = torch.maximum(height, torch.maximum(before, after))
    above = F.max_pool2d(F.pad(rows, (0, 0, d, 0))[..., :-1, :], (d, 1), 1)
    below = F.max_pool2d(F.pad(rows, (0, 0, 0, d))[..., 1:, :], (d, 1), 1)
    return torch.maximum(before, above), torch.maximum(after, below)


def pools_are_right(s: Tensor, kept: Tensor, p: int) -> bool:
    """Whether each whole window keeps the first of its largest, and nothing else is kept."""
    axes = s.dim() - 2
    whole = [n // p * p for n in s.shape[2:]]
    part = s[(..., *(slice(n) for n in whole))]
    expected = torch.zeros_like(s)
    windows = part
    for axis in range(axes):
        windows = windows.unfold(2 + axis, p, p)
    first = windows.flatten(2 + axes).abs().argmax(-1)
    one = F.one_hot(first, p**axes).unflatten(-1, (p,) * axes)
    order = [0, 1, 2, 3] if axes == 1 else [0, 1, 2, 4, 3, 5]
    flags = one.permute(order).reshape(part.shape).bool()
    expected[(..., *(slice(n) for n in whole))] = torch.where(flags, part, 0)
    return torch.equal(kept, expected)


def top_is_right(s: Tensor, kept: Tensor, k: int) -> bool:
    """Whether k samples are kept, of equal ones the first, and none that is left is larger."""
    flat = s.flatten(2)
    order = flat.abs().argsort(dim=2, descending=True, stable=True)[..., :k]
    expected = torch.zeros_like(flat).scatter_(2, order, flat.gather(2, order))
    return torch.equal(kept.flatten(2), expected)


is_right: dict[str, Callable[[Tensor, Tensor, int], bool]] = {
    "extrema": extrema_are_right,
    "extrema_pool": pools_are_right,
    "top_k_absolutes": top_is_right,
}


def times(out: Path, short: bool) -> None:
    """The rows of benchmarks/activations.py, what matters most first."""
    import activations as bench

    rows = []
    with torch.no_grad():
        for shape in [(2, 1, 1000)] if short else SIZES:
            rows += bench.rows([shape], 1 if short else 5, DEVICE)
            write(out / "activations-cuda.json", rows)


def sweep(out: Path, short: bool) -> None:
    """Train all kernel sizes on one record, from the first epoch to the choice."""
    import san

    splits = san.datasets.load_splits("physionet")
    rows = []
    for activation in ("extrema",) if short else ("extrema", "extrema_pool", "top_k_absolutes"):
        settings = san.Settings(
            activation=activation, kernel_sizes=(5, 9) if short else tuple(range(1, 250)),
            epochs=1 if short else 30, device=DEVICE,
        )  # fmt: skip
        for attempt in ("first", "again"):
            begin = time.perf_counter()
            training = san.Training(settings, splits.train.x, splits.validation.x)
            training.run()
            chosen = training.choose(splits.test.x).kernel_size
            finish()
            row = {"activation": activation, "attempt": attempt, "epochs": settings.epochs}
            rows.append(row | {"chosen": chosen, "seconds": time.perf_counter() - begin})
            print(rows[-1], flush=True)
            write(out / "sweep-cuda.json", rows)


if __name__ == "__main__":
    main()
