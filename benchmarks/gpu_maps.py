"""Compare the GPU kernels with the definitions on thousands of small maps.

    python benchmarks/gpu_maps.py                 10,200 maps, in Triton's interpreter or on a GPU
    python benchmarks/gpu_maps.py --maps 300      fewer
    python benchmarks/gpu_maps.py --rounds        count the rounds of extrema on long maps instead
    python benchmarks/gpu_maps.py --part 1/2      every other group, for one of two processes

A third of the maps goes through each activation, in groups of one size and parameter; noise, ties,
smooth maps, chains, zeros and infinities in turn. Each group goes the way of short maps or of long
ones, among all samples or in a list, with one parameter for all channels or one for each. The
definitions are those of tests/naive.py, which share no code with the package.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are defined
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_activations_gpu import DEVICE, KINDS, SPARSE, signal

from san.hot_path.gpu import extrema, extrema_long, launch, maps, pool, top_k

GROUP = 12  # maps of one size and parameter, of two channels
WAYS = {  # how a group goes through the kernels
    "short": dict(longest=4096, share=1, cells=4096),
    "among all samples": dict(longest=4096, share=16, cells=32),
    "long": dict(longest=0, share=1, cells=32),
}


def take(way: str) -> None:
    """Let the groups that follow go one way; what a program has at hand is small."""
    numbers = WAYS[way]
    extrema.longest, top_k.LONGEST = (lambda s: numbers["longest"]), numbers["longest"]
    extrema.SHARE, pool.CELLS = numbers["share"], numbers["cells"]
    for room in (maps, extrema_long, top_k):
        room.BLOCK = 16
    maps.PROGRAMS, extrema_long.CANDIDATES, extrema_long.LOOKS = 48, 8, 1


def group(number: int, name: str) -> int:
    """Compare a group of maps; return how many differ."""
    rng = np.random.default_rng(number)
    images = number % 4 == 3
    size = tuple(rng.integers(1, 5, 2).tolist()) if images else (int(rng.integers(1, 21)),)
    shape = (GROUP // 2, 2)
    kinds = [
        signal(KINDS[(number + i) % len(KINDS)], size, GROUP * number + i) for i in range(GROUP)
    ]
    s = torch.stack(kinds).reshape(*shape, *size)
    lowest = 0 if name == "extrema" else 1
    rows = [(int(rng.integers(lowest, 8)),) for _ in range(1 + number % 2)]
    found = launch.select(name, s.to(DEVICE), tuple(rows)).cpu()
    wrong = 0
    for i, one in enumerate(s.flatten(0, 1)):
        (parameter,) = rows[i % 2 % len(rows)]
        row = parameter if name == "top_k_absolutes" else (parameter,) * len(size)
        wrong += not np.array_equal(found.flatten(0, 1)[i].numpy(), SPARSE[name](one.numpy(), row))
    return wrong


def rounds() -> None:
    """How many rounds extrema takes on maps of 8192 samples: an ECG, its similarity, and noise."""
    import activations as bench

    import san

    ecg = torch.from_numpy(san.read(bench.ROOT / "datasets/sample/mitdb_208").x[84_000:92_192, 0])
    kinds = {
        "an ECG": (ecg - ecg.mean()).float()[None, None],
        "its similarity to a heartbeat": bench.similarity_maps((1, 1, 8192)),
        "white noise": bench.noise((1, 1, 8192)),
    }
    for kind, s in kinds.items():
        for distance in (3, 10, 50, 230):
            taken = torch.zeros(1, dtype=torch.int32, device=DEVICE)
            there, types = s.contiguous().to(DEVICE), maps.number_types(s.dtype)
            alpha = torch.empty_like(there)
            extrema.extrema(there, alpha, None, (0, distance), 1, 1, 8192, types, rounds=taken)
            assert torch.equal(alpha.cpu(), san.extrema(s, distance))
            print(f"{kind}, min_distance {distance}: {taken.item()} rounds", flush=True)


def main() -> None:
    """Compare and print; the exit status is 1 if a map differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=10_200, help="how many (default: 10200)")
    parser.add_argument("--rounds", action="store_true", help="count them on maps of 8192 samples")
    parser.add_argument("--part", default="1/1", help="such as 2/3, the second of three processes")
    options = parser.parse_args()
    if options.rounds:
        rounds()
        return
    part, parts = map(int, options.part.split("/"))
    begin, done, wrong = time.monotonic(), 0, 0
    groups = -(-options.maps // GROUP)
    for number in range(part - 1, groups, parts):
        name = [*SPARSE][number % len(SPARSE)]
        take([*WAYS][number // len(SPARSE) % len(WAYS)])
        wrong += group(number, name)
        done += GROUP
        if done % (10 * GROUP) == 0 or number + parts >= groups:
            print(f"{done} maps, {wrong} differ, {time.monotonic() - begin:.0f} s", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
