"""Time a sweep over kernel sizes: all sizes as one bank, beside one size after the other.

    python benchmarks/bank.py                 one thread
    python benchmarks/bank.py --device cuda   on a GPU
    python benchmarks/bank.py --output F      also write the rows as JSON

One epoch is six windows of 1000 samples of an ECG in batches of two, for each of the kernel sizes 1
to 249, and the validation of each. Beside it: every size alone, with torch's convolutions and
gradients and the activations of this package; and the same with the loop over extrema that greedy
suppression is usually written as. Both are measured on every tenth size.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from provenance import provenance
from torch.nn import functional as F

import san

SIZES = tuple(range(1, 250))
EVERY = 10
ACTIVATIONS = ("identity", "relu", "top_k_absolutes", "extrema_pool", "extrema")


def seconds(call: Callable[[], object], device: str, repeats: int) -> float:
    """Median time of a call; on the CPU the time of this thread."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter() if device == "cuda" else time.thread_time()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() if device == "cuda" else time.thread_time()) - begin)
    return float(np.median(times))


def extrema_in_a_loop(s: torch.Tensor, distance: int) -> torch.Tensor:
    """Candidates in falling order of magnitude, each removing its neighbours, in Python."""
    alpha = torch.zeros_like(s)
    for row, kept in zip(s.detach().flatten(0, 1), alpha.flatten(0, 1), strict=True):
        rise = torch.sign(F.pad(row.diff(), (1, 0)))
        fall = torch.sign(F.pad(row.diff(), (0, 1)))
        turns = ((row > 0) & (rise > 0) & (fall <= 0)) | ((row < 0) & (rise <= 0) & (fall > 0))
        places = torch.nonzero(turns).flatten()
        order = places[torch.argsort(row[places].abs(), descending=True, stable=True)].tolist()
        taken = np.zeros(len(row), bool)
        for place in order:
            if not taken[place]:
                kept[place] = 1
                taken[max(0, place - distance) : place + distance + 1] = True
    return alpha * s


def epoch_of_one(size: int, train: torch.Tensor, validation: torch.Tensor, loop: bool) -> None:
    """Train and validate one size alone, in torch."""
    w = torch.nn.Parameter(0.1 * torch.randn(1, 1, size))
    optimiser = torch.optim.Adam([w], lr=0.01)

    def reconstruct(x: torch.Tensor) -> torch.Tensor:
        s = F.conv1d(F.pad(x, ((size - 1) // 2, size // 2)), w)
        distance = max(0, size - 3)
        alpha = extrema_in_a_loop(s, distance) if loop else san.extrema(s, distance)
        whole = F.conv_transpose1d(alpha, w)
        return whole[..., (size - 1) // 2 : (size - 1) // 2 + x.shape[-1]]

    for batch in train.split(2):
        optimiser.zero_grad()
        (reconstruct(batch) - batch).abs().mean().backward()
        optimiser.step()
    with torch.no_grad():
        reconstruct(validation)


def seconds_alone(train: torch.Tensor, validation: torch.Tensor, loop: bool) -> float:
    """Time of an epoch of every size, from every tenth."""
    some = SIZES[::EVERY]

    def epoch() -> None:
        for size in some:
            epoch_of_one(size, train, validation, loop)

    epoch()
    return seconds(epoch, "cpu", 3) * len(SIZES) / len(some)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="kernel size (249)")
    parser.add_argument("--repeats", type=int, default=9, help="of each measurement (9)")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    splits = san.datasets.load_splits("physionet")
    train, validation = (torch.from_numpy(split.x) for split in (splits.train, splits.validation))
    rows = []
    for activation in ACTIVATIONS:
        settings = san.Settings(
            activation=activation,
            kernel_sizes=SIZES[: options.largest],
            epochs=1,
            device=options.device,
        )
        training = san.Training(settings, splits.train.x, splits.validation.x)
        training.run_epoch()
        row = {
            "activation": activation,
            "bank_s": seconds(training.run_epoch, options.device, options.repeats),
        }
        if activation == "extrema" and options.device == "cpu" and options.largest == SIZES[-1]:
            for name, loop in (("one_by_one_s", False), ("one_by_one_in_a_loop_s", True)):
                row[name] = seconds_alone(train, validation, loop)
        rows.append(row)
        print("   ".join(f"{k} {v:.4f}" if k != "activation" else v for k, v in row.items()))
    if options.output:
        content = {"provenance": provenance(options.device), "rows": rows}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
