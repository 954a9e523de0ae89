"""Time the sparse activations beside what people use today, on one thread.

    python benchmarks/activations.py                 the paper's size, (64, 1, 1000)
    python benchmarks/activations.py --all           every size
    python benchmarks/activations.py --device cuda   the same on a GPU
    python benchmarks/activations.py --output F      also write the rows as JSON

Each row is a median over interleaved repeats of thread CPU time (on a GPU of the time between two
events), into new memory and into memory at hand (out=), beside a copy of the same array into
either, the time with the gradient, and the ratio to each rival. Nothing is printed before
the tests of the activations pass. scipy's and skimage's peaks are not the same set (there peaks and
valleys do not suppress each other): they are yardsticks for time, not for values.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from provenance import ROOT, provenance
from torch.nn import functional as F

import san

SIZES = [
    (64, 1, 1000),
    (128, 2, 178),
    (64, 1, 28, 28),
    (1, 1, 650_000),
    (2000, 1, 8192),  # 65 MB
    (4096, 8, 8192),  # 1 GB
]
PARAMETERS = {
    "extrema": [3, 10, 50, 230],
    "extrema_pool": [3, 10, 50, 230],
    "top_k_absolutes": [4, 20, 100, 300],
}
SMALLEST = 2e-3  # seconds that one measurement takes at least
LARGEST = 1 << 22  # samples on which a rival that goes map by map in Python is measured, about
MAPS_ON_GPU = 4  # of such a rival on a GPU, which waits for the device many times a map


def noise(shape: tuple[int, ...]) -> torch.Tensor:
    """White noise."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def similarity_maps(shape: tuple[int, ...]) -> torch.Tensor:
    """An ECG's similarity to one of its heartbeats; of images, a smooth field to a Gaussian."""
    if len(shape) == 4:
        grid = torch.linspace(-1, 1, 5)
        kernel = torch.exp(-2 * (grid[:, None] ** 2 + grid**2))[None]
        return torch.stack([san.similarity(image[:, None], kernel) for image in noise(shape)])
    recording = san.read(ROOT / "datasets/sample/mitdb_208").x[84_000:, 0]
    ecg = (recording - recording.mean()).astype(np.float32)
    peak = int(np.abs(ecg[500:-500]).argmax()) + 500
    kernel = torch.from_numpy(ecg[peak - 90 : peak + 90].copy())
    samples = int(np.prod(shape))
    whole = torch.from_numpy(np.resize(ecg, samples))[None, None]
    return san.similarity(whole, (kernel / kernel.norm())[None]).reshape(shape)


def pooled(s: torch.Tensor, p: int) -> torch.Tensor:
    """torch's max pooling, gather and scatter."""
    pool = F.max_pool1d if s.dim() == 3 else F.max_pool2d
    flat = s.flatten(2)
    index = pool(s.abs(), p, p, return_indices=True)[1].flatten(2)
    return torch.zeros_like(flat).scatter_(2, index, flat.gather(2, index)).reshape(s.shape)


def topped(s: torch.Tensor, k: int) -> torch.Tensor:
    """torch's topk and scatter."""
    flat = s.flatten(2)
    index = flat.abs().topk(k, dim=2).indices
    return torch.zeros_like(flat).scatter_(2, index, flat.gather(2, index)).reshape(s.shape)


def peaks_and_valleys(s: torch.Tensor, d: int) -> None:
    """scipy's find_peaks on every map and on its negative."""
    from scipy.signal import find_peaks

    for row in s.numpy().reshape(-1, s.shape[-1]):
        find_peaks(row, distance=d + 1)
        find_peaks(-row, distance=d + 1)


def peaks_of_magnitude(s: torch.Tensor, d: int) -> None:
    """scipy's find_peaks on the magnitude of every map."""
    from scipy.signal import find_peaks

    for row in np.abs(s.numpy().reshape(-1, s.shape[-1])):
        find_peaks(row, distance=d + 1)


def local_maxima(s: torch.Tensor, d: int) -> None:
    """skimage's peak_local_max on the magnitude of every image."""
    from skimage.feature import peak_local_max

    for image in np.abs(s.numpy().reshape(-1, *s.shape[-2:])):
        peak_local_max(image, min_distance=d, exclude_border=False)


Rival = Callable[[torch.Tensor, int], object]


def peaks_and_valleys_on_gpu(s: torch.Tensor, d: int) -> None:
    """CuPy's find_peaks, which prunes on the host."""
    import cupy
    from cupyx.scipy.signal import find_peaks

    for row in cupy.from_dlpack(s).reshape(-1, s.shape[-1]):
        find_peaks(row, distance=d + 1)
        find_peaks(-row, distance=d + 1)


BY_MAP = (peaks_and_valleys, peaks_of_magnitude, local_maxima, peaks_and_valleys_on_gpu)


def rivals(operation: str, s: torch.Tensor) -> dict[str, Rival]:
    """What each activation is compared with."""
    if operation == "extrema_pool":
        return {"max_pool + gather + scatter": pooled}
    if operation == "top_k_absolutes":
        return {"topk + scatter": topped}
    if s.device.type == "cuda":
        has_cupy = importlib.util.find_spec("cupy") and s.dim() == 3
        return {"cupyx find_peaks, both signs": peaks_and_valleys_on_gpu} if has_cupy else {}
    if s.dim() == 4:
        return {"skimage peak_local_max": local_maxima}
    return {
        "scipy find_peaks, both signs": peaks_and_valleys,
        "scipy find_peaks of |s|": peaks_of_magnitude,
    }


def seconds(calls: list[Callable[[], object]], repeats: int, device: str) -> list[float]:
    """Median time of one call of each, measured in turn."""
    loops = []
    for call in calls:
        call()
        loops.append(max(1, int(SMALLEST / max(elapsed(call, 1, device), 1e-7))))
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, loop, kept in zip(calls, loops, times, strict=True):
            kept.append(elapsed(call, loop, device) / loop)
    return [float(np.median(kept)) for kept in times]


def elapsed(call: Callable[[], object], loop: int, device: str) -> float:
    """CPU time of this thread for some calls, or time on the GPU."""
    if device == "cuda":
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(loop):
            call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000
    begin_cpu = time.thread_time()
    for _ in range(loop):
        call()
    return time.thread_time() - begin_cpu


def rows(sizes: list[tuple[int, ...]], repeats: int, device: str) -> list[dict]:
    """Measure every activation at every size and parameter."""
    found = []
    for shape in sizes:
        for kind, make in (("similarity", similarity_maps), ("noise", noise)):
            s = make(shape).to(device)
            for operation, parameters in PARAMETERS.items():
                for parameter in parameters:
                    limit = (
                        s[0, 0].numel() if operation == "top_k_absolutes" else min(shape[2:]) // 2
                    )
                    if parameter <= limit:
                        found.append(row(s, kind, operation, parameter, repeats))
                        print(text(found[-1]), flush=True)
    return found


def row(s: torch.Tensor, kind: str, operation: str, parameter: int, repeats: int) -> dict:
    """Measure one activation, its rivals and a copy, in nanoseconds per sample."""
    ours = getattr(san, operation)
    against = rivals(operation, s)
    target = torch.empty_like(s)
    learned = s.detach().requires_grad_()
    share = s[: max(1, len(s) * LARGEST // s.numel())]
    if s.device.type == "cuda":
        share = s[:MAPS_ON_GPU, :1]
    inputs = [share if rival in BY_MAP else s for rival in against.values()]

    def with_gradient() -> None:
        with torch.enable_grad():
            torch.autograd.grad(ours(learned, parameter), learned, target)

    calls: list[Callable[[], object]] = [
        lambda: ours(s, parameter),
        lambda: ours(s, parameter, out=target),
        with_gradient,
        lambda: target.copy_(s),
        lambda: s.clone(),
        *(lambda r=r, x=x: r(x, parameter) for r, x in zip(against.values(), inputs, strict=True)),
    ]
    samples = [s.numel()] * 5 + [x.numel() for x in inputs]
    measured = seconds(calls, repeats, s.device.type)
    times = [1e9 * t / n for t, n in zip(measured, samples, strict=True)]
    return {
        "operation": operation,
        "shape": list(s.shape),
        "input": kind,
        "parameter": parameter,
        "san_ns_per_sample": times[0],
        "san_into_memory_at_hand_ns_per_sample": times[1],
        "san_with_gradient_ns_per_sample": times[2],
        "copy_ns_per_sample": times[3],
        "copy_into_new_memory_ns_per_sample": times[4],
        "rivals_ns_per_sample": dict(zip(against, times[5:], strict=True)),
    }


def text(row: dict) -> str:
    """A row as a line of the table."""
    shape = "x".join(map(str, row["shape"]))
    own = row["san_ns_per_sample"]
    against = "   ".join(
        f"{name} {other:.1f} ({other / own:.1f} times)"
        for name, other in row["rivals_ns_per_sample"].items()
    )
    head = f"{row['operation']:16}{shape:14}{row['input']:11}{row['parameter']:4}"
    at_hand = row["san_into_memory_at_hand_ns_per_sample"]
    gradient, copy = row["san_with_gradient_ns_per_sample"], row["copy_ns_per_sample"]
    own_times = f"san {own:6.3f}  at hand {at_hand:6.3f}  with gradient {gradient:6.3f}"
    return f"{head}  {own_times}  copy {copy:6.4f}  {against}"


def main() -> None:
    """Check, measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every size, the largest of 1 GB")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=7, help="of each measurement (default: 7)")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    of_device = "_gpu" if options.device == "cuda" else ""
    file = f"tests/test_activations{of_device}.py"
    tests = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", file]
    if subprocess.run(tests, cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit("the tests of the activations fail: nothing is measured")
    torch.set_num_threads(1)
    print("nanoseconds per sample; in brackets, how many times longer than san")
    with torch.no_grad():
        found = rows(SIZES if options.all else SIZES[:1], options.repeats, options.device)
    if options.output:
        content = {"provenance": provenance(options.device), "rows": found}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
