"""Train one model on many recordings, and compare it with a model of each recording.

    SAN_DATA_DIR=FOLDER python benchmarks/recordings.py --output benchmarks/results/recordings.json

FOLDER holds the MIT-BIH records (mitdb) and twelve-lead records (leads12). `san train` trains every
model in a process of its own. By patient: 20 records, of which 12 train a model, 4 choose it and 4
test it. For each test patient a second model is trained on the first part of that record alone, and
both are scored on the same windows, the last fifth of the record, which neither has seen. Each seed
draws other patients.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import provenance

import san

# All records of `mitdb` at hand that have the lead MLII, the first 20. Each is another patient.
RECORDS = (
    "100 101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215".split()
)  # fmt: skip
WINDOWS = 60  # of each record, at even distances
SETTINGS = "--kernels 2 --kernel-sizes 10:191:30 --epochs 8".split()
BY_PATIENT = ["--split", "record", "--shares", "12,4,4"]
SEEDS = (0, 1)


def train(recordings: list[Path], options: list[str], folder: Path) -> dict[str, Any]:
    """Run `san train` in a process of its own; what it says, and the seconds that it took."""
    program = [sys.executable, "-m", "san", "train", *map(str, recordings), *options]
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        [*program, "--json", "--output", str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told = json.loads(ran.stdout)
    return told | {"seconds": time.perf_counter() - begin, "cpu_seconds": cpu}


def tested(folder: Path) -> list[str]:
    """The recordings in the test split of a run."""
    rows = (folder / "windows.csv").read_text().splitlines()[1:]
    return sorted({row.split(",")[1] for row in rows if row.startswith("test,")})


def by_patient(data: Path, place: Path, seed: int) -> list[dict[str, Any]]:
    """A row for each test patient: φ of the model of many records, and of its own model."""
    paths = [data / "mitdb" / name for name in RECORDS]
    options = ["--windows", str(WINDOWS), "--channels", "MLII", "--seed", str(seed), *SETTINGS]
    many = train(paths, [*BY_PATIENT, *options], place / f"many-{seed}")
    model = san.SAN.load(place / f"many-{seed}" / "model.safetensors")
    rows = []
    for name in tested(place / f"many-{seed}"):
        path = data / "mitdb" / name
        own = train([path], options, place / f"{name}-{seed}")
        test = san.datasets.from_files(path, channels="MLII", windows=WINDOWS).test
        scores = san.evaluate(model, torch.from_numpy(test.x))
        rows.append(
            {
                "record": name,
                "seed": seed,
                "many_phi": float(scores.phi.mean()),
                "many_kernel_size": many["kernel_size"],
                "many_seconds": many["seconds"],
                "many_cpu_seconds": many["cpu_seconds"],
                "many_test_phi": many["phi"],
                "own_phi": own["phi"],
                "own_kernel_size": own["kernel_size"],
                "own_cpu_seconds": own["cpu_seconds"],
            }
        )
        print(rows[-1], flush=True)
    return rows


def of_several_leads(data: Path, place: Path) -> list[dict[str, Any]]:
    """A row for a model of two leads, and one of twelve."""
    two = [data / "mitdb" / name for name in RECORDS]
    of_two = ["--channels", "0,1", "--windows", str(WINDOWS), *BY_PATIENT, *SETTINGS]
    of_twelve = "--channels all --resample 250 --window-seconds 4 --split record".split()
    cases = {
        "2": (two, of_two),
        "12": ([data / "leads12"], [*of_twelve, *SETTINGS]),
    }
    rows = []
    for leads, (paths, options) in cases.items():
        told = train(paths, options, place / f"leads-{leads}")
        windows = len((place / f"leads-{leads}" / "windows.csv").read_text().splitlines()) - 1
        kept = ("phi", "kernel_size", "inverse_compression_ratio", "normalized_loss")
        rows.append(
            {
                "leads": int(leads),
                "windows": windows,
                "test_recordings": len(tested(place / f"leads-{leads}")),
                **{name: told[name] for name in kept},
                "seconds": told["seconds"],
                "cpu_seconds": told["cpu_seconds"],
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    data = Path(os.environ["SAN_DATA_DIR"])
    content: dict[str, Any] = {"provenance": provenance("cpu"), "settings": " ".join(SETTINGS)}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        content["leads"] = of_several_leads(data, place)
        content["patients"] = [row for seed in SEEDS for row in by_patient(data, place, seed)]
    many, own = (
        float(np.mean([row[key] for row in content["patients"]])) for key in ("many_phi", "own_phi")
    )
    print(f"mean φ: one model of 12 records {many:.3f}, a model of each record {own:.3f}")
    if arguments.output:
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
