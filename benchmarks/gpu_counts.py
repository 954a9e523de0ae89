"""Compile every variant of the GPU kernels, and count what they issue, without a GPU.

    python benchmarks/gpu_counts.py --output benchmarks/results/gpu-counts.json
    python benchmarks/gpu_counts.py --only-compile     one variant of each kernel, nothing counted

Each kernel is compiled for sm_90 and disassembled: how many instructions it has, how many registers
a thread needs, and how many bytes of them do not fit and are written to memory. Of kernels without
loops the bounds follow. An H200 has 132 multiprocessors that issue four instructions a cycle each,
and move 128 bytes a cycle to and from shared memory and the nearest cache. A copy at 4.3 TB/s
leaves as many cycles for the bytes that a program reads and writes as the table says. A kernel that
needs fewer cycles can reach the speed of a copy, one that needs more cannot. Waiting is not
counted: this is a bound, not a time.
"""

import argparse
import itertools
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from provenance import provenance
from triton.backends import nvidia
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from san.hot_path.gpu import candidates, extrema, extrema_long, gradient, launch, maps, pool, top_k

MULTIPROCESSORS, CLOCK, ISSUED, MOVED = 132, 1.755e9, 4, 128  # per cycle and multiprocessor
COPY = 4.3e12  # bytes a second, read and written
TARGET = GPUTarget("cuda", 90, 32)
TYPES = {torch.float32: "fp32", torch.float16: "fp16", torch.float64: "fp64"}
ALIGNED = ("width", "samples")  # as those of 8192 samples are
MAPS, INTEGERS, HEIGHTS, LONG = (
    ("s", "alpha", "gradient", "passed"),
    ("table", "places", "rounds", "counts", "ends", "room", "before", "written", "waiting"),
    ("heights", "new_heights", "limits"),
    ("threshold", "order"),
)
COUNTED = {"rounds": None, "steps": None}  # which only tests ask for


class Variant(NamedTuple):
    """A kernel and its constants; the samples of a program and their bytes where it has no loop."""

    name: str
    kernel: Any
    constants: dict
    dtype: torch.dtype = torch.float32
    warps: int = 4
    samples: int = 0
    bytes_of_sample: int = 8


class Counts(NamedTuple):
    """What a compiled kernel consists of."""

    instructions: int  # that a warp issues, those of loops once
    registers: int  # of a thread
    spilled: int  # bytes of a thread's memory for what the registers do not hold
    shared: int  # bytes of shared memory of a program
    moved: int  # bytes that a warp moves to and from shared memory and the cache


@triton.jit
def _mark(s, alpha, width, ONE_AXIS: tl.constexpr, FLOAT: tl.constexpr, BLOCK: tl.constexpr):
    """What extrema begins with: the candidates of a map, here written out."""
    t = tl.arange(0, BLOCK)
    flags, _ = candidates.mark_candidates(s, alpha, t, t < width, 1, width, ONE_AXIS, FLOAT)
    tl.store(alpha + t, flags.to(FLOAT), mask=t < width)


@triton.jit
def _slide(heights, width, STEPS: tl.constexpr, BLOCK: tl.constexpr):
    """Some steps of the sliding maximum of a round among all samples."""
    t = tl.arange(0, BLOCK)
    height = tl.load(heights + t, mask=t < width, other=0)
    for step in tl.static_range(STEPS):
        height = tl.maximum(height, extrema._height_at(height, t, t, width - step, 1, width))
    tl.store(heights + t, height, mask=t < width)


def pools() -> Iterator[Variant]:
    """Windows of every kind."""
    for wide in (3, 10, 12, 50, 230):
        cells = triton.next_power_of_2(wide)
        windows = maps.CELLS // cells
        constants = dict(WINDOWS=windows, CELLS=cells, BESIDE=wide % pool.BANKED > 0)
        name = f"extrema_pool, {wide}"
        yield Variant(name, pool._pool_stretch, constants, warps=8, samples=windows * wide)
    for cells, beside in itertools.product((1, 2048), (True, False)):
        constants = dict(WINDOWS=maps.CELLS // cells, CELLS=cells, BESIDE=beside)
        yield Variant(f"extrema_pool, {cells}", pool._pool_stretch, constants, warps=8)
    for one_axis, whole in itertools.product((True, False), repeat=2):
        constants = dict(WINDOWS=32, CELLS=64, WHOLE=whole, ONE_AXIS=one_axis)
        name = f"extrema_pool, {'maps' if one_axis else 'images'}, windows of any width"
        yield Variant(name, pool._extrema_pool, constants)


def extremes() -> Iterator[Variant]:
    """Extrema of short and of long maps."""
    for block, one_axis in ((8192, True), (1024, True), (16, True), (4096, False), (1024, False)):
        warps = max(1, block // (512 if one_axis else 256))
        constants = dict(BLOCK=block, LISTED=block // extrema.SHARE, ONE_AXIS=one_axis)
        name = f"extrema, {'maps' if one_axis else 'images'} of {block}"
        yield Variant(name, extrema._extrema, constants, warps=warps)
    size = dict(BLOCK=maps.BLOCK, CANDIDATES=extrema_long.CANDIDATES, LOOKS=extrema_long.LOOKS)
    for one_axis in (True, False):
        what = "long maps" if one_axis else "large images"
        for kernel in ("_count_candidates", "_list_candidates", "_look"):
            constants = size | dict(ONE_AXIS=one_axis)
            yield Variant(f"extrema, {what}", getattr(extrema_long, kernel), constants)
    for kernel in ("_count_open", "_move_open"):
        yield Variant("extrema, long maps", getattr(extrema_long, kernel), size)
    yield Variant("extrema, long maps", extrema_long._climb, {}, warps=1)
    yield Variant("extrema, large images", extrema_long._take_in_order, dict(CELLS=32))


def others() -> Iterator[Variant]:
    """Top-k absolutes, the gradient, and the table of parameters."""
    for block in (16_384, 1024, 64):
        together = max(1, 1024 // block)
        constants = dict(MAPS=together, BLOCK=block)
        warps = min(max(block * together // 512, 1), 16)
        yield Variant(f"top_k, maps of {block}", top_k._top_k_absolutes, constants, warps=warps)
    for first in (True, False):
        constants = dict(FIRST=first, CHUNKS=32)
        yield Variant("top_k, long maps", top_k._choose_digit, constants)
    for kernel in ("_count_digits", "_keep_above"):
        constants = dict(SHIFT=8, BLOCK=maps.BLOCK)
        yield Variant("top_k, long maps", getattr(top_k, kernel), constants)
    for stride, name in ((1, "the gradient"), (0, "the gradient of a sum")):
        constants = dict(STRIDE=stride, BLOCK=maps.CELLS)
        size = dict(samples=maps.CELLS, bytes_of_sample=12 if stride else 8)
        yield Variant(name, gradient._pass_gradient, constants, **size)
    for index, name in ((tl.int32, "strided"), (tl.int64, "strided, of 2^31 samples or more")):
        constants = dict(BLOCK=maps.BLOCK, INDEX=index)
        yield Variant(f"the gradient, {name}", gradient._pass_strided_gradient, constants)
    yield Variant("parameters", launch._write_numbers, {})


def every() -> Iterator[Variant]:
    """All variants: each float type, and channels of one parameter and of several."""
    for variant in itertools.chain(pools(), extremes(), others()):
        names = variant.kernel.arg_names
        absent = {name: None for name in COUNTED if name in names}
        for table in ({}, {"table": None}) if "table" in names else ({},):
            for dtype in TYPES if set(names) & {*MAPS, *HEIGHTS} else (torch.float32,):
                if dtype == torch.float64 and variant.name == "extrema, maps of 8192":
                    continue  # of doubles, such maps are long ones
                constants = variant.constants | absent | table
                yield variant._replace(constants=constants, dtype=dtype)


def compiled(variant: Variant) -> Any:
    """The kernel compiled for sm_90."""
    kernel, names = variant.kernel, variant.kernel.arg_names
    values = dict(zip(("FLOAT", "INT", "MASK"), maps.number_types(variant.dtype), strict=True))
    values |= variant.constants
    integer = "*i64" if variant.dtype == torch.float64 else "*i32"
    pointers = dict.fromkeys((*INTEGERS, "steps", "new_places", "new_ends"), "*i32")
    pointers |= dict.fromkeys(MAPS, f"*{TYPES[variant.dtype]}") | dict.fromkeys(LONG, "*i64")
    pointers |= dict.fromkeys(HEIGHTS, integer)
    aligned = {*pointers, *ALIGNED}
    source = ASTSource(
        kernel,
        {n: "constexpr" if n in values else pointers.get(n, "i32") for n in names},
        {(i,): values[n] for i, n in enumerate(names) if n in values},
        {(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n in aligned},
    )
    return triton.compile(source, target=TARGET, options={"num_warps": variant.warps})


def counts(binary: Any) -> Counts:
    """Disassemble a kernel."""
    tool = Path(nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        sass, usage = (
            subprocess.run([tool, what, file.name], capture_output=True, text=True).stdout
            for what in ("-sass", "-res-usage")
        )
    found = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]+)", sass, re.M)
    transfers = [each for each in found if each.split(".")[0] in ("LDS", "STS", "LDG", "STG")]
    bits = [re.search(r"\.(64|128)\b", each) for each in transfers]
    registers, stack = re.search(r"REG:(\d+)\s+STACK:(\d+)", usage).groups()
    return Counts(
        sum(each != "NOP" for each in found),
        int(registers),
        int(stack),
        binary.metadata.shared,
        sum(32 * (int(width[1]) if width else 32) // 8 for width in bits),
    )


def row(variant: Variant) -> dict:
    """What is counted of a variant, and the bounds where it has no loop."""
    found = counts(compiled(variant))
    row = {"kernel": variant.name, "function": variant.kernel.__name__}
    row |= {"type": TYPES[variant.dtype], "warps": variant.warps}
    constants = variant.constants.items()
    row |= {k: v if isinstance(v, int) else str(v) for k, v in constants if v is not None}
    if "table" in variant.kernel.arg_names and "table" not in variant.constants:
        row["table"] = "one parameter for each channel"
    row |= found._asdict()
    if variant.samples and variant.dtype == torch.float32:
        copied = variant.samples * variant.bytes_of_sample / COPY * CLOCK * MULTIPROCESSORS
        row |= {"samples": variant.samples, "copy_cycles": copied}
        row |= {"issue_cycles": found.instructions * variant.warps / ISSUED}
        row |= {"move_cycles": found.moved * variant.warps / MOVED}
    return row


def parts_of_extrema() -> Iterator[dict]:
    """What the marking costs, and a step of a sliding maximum: what three add to two."""
    size = dict(dtype=torch.float32, warps=16, samples=8192)
    constants = dict(BLOCK=8192, ONE_AXIS=True)
    yield row(Variant("extrema, marking candidates", _mark, constants, **size))
    two, three = (
        row(
            Variant(
                "extrema, a step of a sliding maximum", _slide, dict(BLOCK=8192, STEPS=n), **size
            )
        )
        for n in (2, 3)
    )
    added = ("instructions", "moved", "issue_cycles", "move_cycles")
    yield three | {name: three[name] - two[name] for name in added}


def main() -> None:
    """Compile, count, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    parser.add_argument("--only-compile", action="store_true", help="one variant of each kernel")
    options = parser.parse_args()
    if options.only_compile:
        each = {variant.kernel.__name__: variant for variant in every()}
        for name, variant in each.items():
            print(name, len(compiled(variant).asm["cubin"]), "bytes")
        return
    rows = [*parts_of_extrema()]
    for each in rows:
        print("  ".join(f"{k} {v:.0f}" if isinstance(v, float) else f"{k} {v}"
                        for k, v in each.items()))  # fmt: skip
    for variant in every():
        rows.append(row(variant))
        print("  ".join(f"{k} {v:.0f}" if isinstance(v, float) else f"{k} {v}"
                        for k, v in rows[-1].items()), flush=True)  # fmt: skip
    print(len(rows), "variants")
    if options.output:
        content = {"provenance": provenance("cpu"), "rows": rows}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
