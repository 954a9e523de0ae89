"""Train the best variant beyond the paper as one model of many records, beside the paper's Extrema.

    SAN_DATA_DIR=FOLDER python benchmarks/recordings_beyond.py \\
        --output benchmarks/results/recordings-beyond.json

FOLDER holds the MIT-BIH records (mitdb). 12 records train a model, 4 choose kernel size and epoch,
and 4 test it; each seed draws other patients. Both variants have the same windows. The best variant
is also trained on each test record alone, with as many epochs, and both are scored on the last
windows of that record, which neither has seen.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from provenance import provenance
from recordings import RECORDS

import san

WINDOWS = 12  # of each record, of 1,000 samples, at even distances
SHARES = (12, 4, 4)  # records that train, choose and test
COMMON: dict[str, Any] = {
    "activation": "extrema",
    "kernel_sizes": "20:200:60",
    "epochs": 6,
    "batch_size": 8,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "Extrema, one kernel": {},
    "three passes, refitted, two kernels that compete": {
        "passes": 3,
        "refit": True,
        "compete": True,
        "kernels": 2,
    },
}
SEEDS = (0, 1, 2)


def fitted(splits: Any, variant: str, seed: int) -> tuple[Any, float]:
    """A model of a variant, chosen by the validation φ, and the CPU seconds that it took."""
    settings = san.Settings(seed=seed, **COMMON, **VARIANTS[variant])
    begin = time.process_time()
    result = san.fit(settings, splits.train.x, splits.validation.x, splits.test.x)
    return result, time.process_time() - begin


def told(variant: str, seed: int, trained_on: str, scores: Any, result: Any) -> dict[str, Any]:
    """A row of the results."""
    return {
        "variant": variant,
        "seed": seed,
        "trained_on": trained_on,
        "kernel_size": int(result.kernel_size),
        "phi": float(scores.phi.mean()),
        "inverse_compression_ratio": float(scores.inverse_compression_ratio.mean()),
        "normalized_loss": float(scores.normalized_loss.mean()),
    }


def of_seed(paths: Sequence[Path], seed: int) -> list[dict[str, Any]]:
    """Rows of one drawing of patients: each variant over 12 records, the best one over each."""
    shared: dict[str, Any] = {"channels": "MLII", "windows": WINDOWS}
    splits = san.datasets.from_files(paths, split="record", shares=SHARES, seed=seed, **shared)
    rows, models = [], {}
    for variant in VARIANTS:
        result, seconds = fitted(splits, variant, seed)
        models[variant] = result.model
        row = told(variant, seed, "12 other patients", result.scores, result)
        rows.append(row | {"cpu_seconds": seconds})
        print(rows[-1], flush=True)
    best = [*VARIANTS][-1]
    for path in (p for p in paths if p.name in splits.test.recordings):
        one = san.datasets.from_files(path, **shared)
        own, seconds = fitted(one, best, seed)
        scores = san.evaluate(models[best], torch.from_numpy(one.test.x))
        row = told(best, seed, f"record {path.name} alone", own.scores, own)
        rows.append(row | {"cpu_seconds": seconds, "many_phi": float(scores.phi.mean())})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    paths = [Path(os.environ["SAN_DATA_DIR"]) / "mitdb" / name for name in RECORDS]
    rows = [row for seed in SEEDS for row in of_seed(paths, seed)]
    for variant in VARIANTS:
        phi = [r["phi"] for r in rows if r["variant"] == variant and "many_phi" not in r]
        print(f"{variant}: φ {np.mean(phi):.3f} over {len(phi)} drawings of patients")
    if arguments.output:
        content = {"provenance": provenance("cpu"), "settings": COMMON, "rows": rows}
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
