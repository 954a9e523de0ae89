"""Count what the GPU kernels without loops issue, without a GPU.

    python benchmarks/gpu_counts.py --output benchmarks/results/gpu-counts.json

Each kernel is compiled for sm_90 and disassembled. An H200 has 132 multiprocessors that issue four
instructions a cycle each. A copy at 4.3 TB/s leaves as many cycles for the bytes that a program
reads and writes as the table says; a kernel that issues fewer instructions can reach the speed of
a copy, one that issues more cannot. Waiting is not counted: this is a bound, not a time.
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

import torch
import triton
from provenance import provenance
from triton.backends import nvidia
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from san.hot_path.gpu import maps
from san.hot_path.gpu import pool as pools
from san.hot_path.gpu.maps import number_types

MULTIPROCESSORS, CLOCK, ISSUED = 132, 1.755e9, 4  # per cycle and multiprocessor
COPY = 4.3e12  # bytes a second, read and written
WARPS = 4
POINTERS = {name: "*fp32" for name in ("s", "alpha", "gradient", "passed")} | {"table": "*i32"}
ALIGNED = (*POINTERS, "width", "samples")  # as those of 8192 samples are


def instructions(kernel: triton.JITFunction, constants: dict) -> int:
    """How many instructions a warp issues at most."""
    values = dict(zip(("FLOAT", "INT", "MASK"), number_types(torch.float32), strict=True))
    values |= constants
    names = kernel.arg_names
    source = ASTSource(
        kernel,
        {n: "constexpr" if n in values else POINTERS.get(n, "i32") for n in names},
        {(i,): values[n] for i, n in enumerate(names) if n in values},
        {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n in ALIGNED},
    )
    compiled = triton.compile(
        source, target=GPUTarget("cuda", 90, 32), options={"num_warps": WARPS}
    )
    tool = Path(nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        listing = subprocess.run([tool, "-sass", file.name], capture_output=True, text=True)
    found = re.findall(
        r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z]\w+)", listing.stdout, re.M
    )
    return sum(name != "NOP" for name in found)


def pool(width: int) -> tuple[triton.JITFunction, dict, int]:
    """The kernel for windows of a width, its constants, and the samples of a program."""
    if width <= pools.NARROW:
        windows = pools.TOGETHER
        span = windows * triton.next_power_of_2(width)
        constants = dict(WINDOWS=windows, WIDEST=width, SPAN=span)
        return pools._pool_narrow_windows, constants, windows * width
    cells = triton.next_power_of_2(width)
    windows = max(1, pools.CELLS // cells // 2)
    constants = dict(WINDOWS=windows, CELLS=cells, WHOLE=True, ONE_AXIS=True)
    return pools._extrema_pool, constants, windows * width


def main() -> None:
    """Compile, count, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    work = {f"extrema_pool, {width}": (*pool(width), 8) for width in (3, 10, 50, 230)}
    cells = pools.CELLS
    work["the gradient"] = (maps._pass_gradient, dict(BLOCK=cells), cells, 12)
    rows = []
    for name, (kernel, constants, samples, bytes_of_sample) in work.items():
        issued = instructions(kernel, constants) * WARPS / ISSUED
        copied = samples * bytes_of_sample / COPY * CLOCK * MULTIPROCESSORS
        rows.append(dict(kernel=name, samples=samples, issue_cycles=issued, copy_cycles=copied))
        print(f"{name:20} {samples:6} samples {issued:7.0f} cycles to issue {copied:7.0f} to copy")
    if options.output:
        content = {"provenance": provenance("cpu"), "rows": rows}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
