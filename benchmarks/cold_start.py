"""Time first calls: commands of `san` with nothing compiled, and again with everything compiled.

    python benchmarks/cold_start.py             print the table
    python benchmarks/cold_start.py --output F  also write the rows as JSON

The script keeps compiled code in a folder of its own, which is empty before each cold command.
Every command is a process of its own, so the times are those of a user: Python starts, packages are
imported, functions are compiled. The input of the codec is the first ten seconds of the bundled
recording. CPU seconds are those of the process in user and system mode, which depend
less on what else the machine does.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from provenance import provenance

from san.codec.entropy import extension
from san.files import arrays

SECONDS = 10
BUNDLED = Path(__file__).parents[1] / "datasets/sample/mitdb_208"
COMMANDS = {  # in this order: the second one decodes the stream of the first one
    "compress --prdn 8": "compress x.npy x.san --fs 360 --prdn 8 --force",
    "decompress": "decompress x.san y.npy --force",
    "compress --lossless": "compress x.npy z.san --fs 360 --lossless --force",
    "train": "train --dataset physionet --activation extrema",
}


def run(command: str, way: str, folder: Path, cache: Path) -> dict[str, float]:
    """The wall seconds and the CPU seconds of a command whose loops run in this way."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    environment["SAN_LOOPS"] = way
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "san", *command.split()],
        cwd=folder, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"wall": wall, "cpu": cpu}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1, help="the shortest time counts")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", arrays.read(BUNDLED).x[: 360 * SECONDS])
        ways = ["llvm"] if extension.built() is None else ["llvm", "extension"]
        for way, (what, command) in itertools.product(ways, COMMANDS.items()):
            cold, warm = [], []
            for repeat in range(given.repeats):
                cache = folder / f"{way}-{what}-{repeat}".replace(" ", "")
                cold.append(run(command, way, folder, cache))
                warm.append(run(command, way, folder, cache))
            row = {"what": f"san {what}", "way": way}
            for state, found in (("cold", cold), ("warm", warm)):
                row |= {f"{state}_{key}": min(one[key] for one in found) for key in found[0]}
            rows.append(row)
            print(
                "   ".join(f"{k} {v:.2f}" if not isinstance(v, str) else v for k, v in row.items())
            )
    if given.output:
        described = {"seconds": SECONDS, "cores": len(os.sched_getaffinity(0))}
        described |= {"repeats": given.repeats}
        result = {"provenance": provenance("cpu"), "cold_start": described, "rows": rows}
        given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
