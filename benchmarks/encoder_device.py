"""How much of the encoder's time a device can take over, and what it takes there.

    python benchmarks/encoder_device.py --record mitdb/100     shares of the time on the CPU
    python benchmarks/encoder_device.py --device cuda          time and bytes there and on the CPU

Shares are of the CPU time of one thread, for the bundled record and for those that are named. Times
are of the second of two calls on a quiet machine; the first compiles. `--short` codes 8 seconds
through torch and Triton's interpreter, with one trial of the kernels, and measures nothing.
"""

import argparse
import collections
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import provenance

import san
from san.codec import encoder
from san.codec.search import beginnings, finding, pursuit

TARGETS = ({"prdn": 8.0}, {"prdn": 2.0}, {"max_error": 0.05})
MOVES = (
    "similarities_of",
    "_gram",
    "_strongest",
    "_strongest_near",
    "peaks",
    "_take",
)  # to the device
STAYS = ("_refit", "_prune", "_add")


def main() -> None:
    """Measure, print each row, and write all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="append", default=[], help="DATABASE/RECORD, beside 208")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--short", action="store_true", help="in Triton's interpreter")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    device = through_interpreter() if options.short else options.device
    torch.set_num_threads(1)
    rows = []
    for name in (None, *options.record):
        recording = san.datasets.load_recording(*[name] * (name is not None))
        x = recording.x[: 8 * 360 if options.short else None, 0]
        for target in TARGETS[: 1 if options.short else None]:
            measure = shares if device == "cpu" else times
            rows.append({"record": name or "mitdb/208, 5 minutes", "target": told(target)})
            rows[-1] |= measure(x, float(recording.fs or 0), target, device)
            print(rows[-1], flush=True)
    if options.output:
        of = "cuda" if device.startswith("cuda") else "cpu"
        content = {"provenance": provenance(of), "rows": rows}
        options.output.write_text(json.dumps(content, indent=1) + "\n")


def told(target: dict[str, float]) -> str:
    """A target in words."""
    return ", ".join(f"{name} {value:g}" for name, value in target.items())


def through_interpreter() -> str:
    """Let torch and the kernels for a GPU run on the CPU, as a device of its own."""
    from san.codec.search import on_device
    from san.hot_path.gpu import launch

    encoder.checked_device = str
    beginnings.SHORT_WAY = beginnings.SHORT_WAY._replace(starts=beginnings.SHORT_WAY.starts[:1])
    on_device.select = launch.select
    return "cpu:0"


def shares(x: np.ndarray, fs: float, target: dict[str, float], device: str) -> dict[str, Any]:
    """The CPU time of an encoding, and the shares of the parts of the search."""
    took: collections.Counter[str] = collections.Counter()
    inside = 0.0  # time of those that are called by another one

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*given: Any) -> Any:
            nonlocal inside
            begin, before, inside = time.process_time(), inside, 0.0
            result = function(*given)
            spent = time.process_time() - begin
            took[name] += spent - inside
            inside = before + spent
            return result

        return call

    plain = {name: getattr(pursuit, name) for name in (*MOVES, *STAYS)}
    for name, function in plain.items():
        setattr(pursuit, name, watched(name, function))
    finding.similarities_of = pursuit.similarities_of
    try:
        san.compress(x[: 60 * 360], fs=fs, **target)  # compiles
        took.clear()
        begin = time.process_time()
        blob = san.compress(x, fs=fs, **target)
        whole = time.process_time() - begin
    finally:
        for name, function in plain.items():
            setattr(pursuit, name, function)
        finding.similarities_of = pursuit.similarities_of
    of_parts = {name.strip("_"): took[name] / whole for name in plain}
    moves = sum(took[name] for name in MOVES) / whole
    return {"cpu_seconds": whole, "bytes": len(blob), "moves": moves, "shares": of_parts}


def times(x: np.ndarray, fs: float, target: dict[str, float], device: str) -> dict[str, Any]:
    """The time on a device and on the CPU, and the bytes; the target is checked."""
    row: dict[str, Any] = {}
    for name, where in (("device", device), ("cpu", "cpu")):
        made = []
        for _ in range(2):
            begin = time.perf_counter()
            blob = san.compress(x, fs=fs, device=where, **target)
            row[f"{name}_seconds"] = time.perf_counter() - begin
            made.append(blob)
        row[f"{name}_bytes"] = len(blob)
        y = san.decompress(blob)
        if "prdn" in target:
            holds = san.prdn(x, y) <= target["prdn"]
        else:
            holds = np.abs(x - y).max() <= target["max_error"]
        assert holds, f"{told(target)} does not hold on {where}"
        row[f"{name}_same_bytes_again"] = made[0] == made[1]
    return row


if __name__ == "__main__":
    main()
