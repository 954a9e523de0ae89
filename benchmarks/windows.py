"""Measure how many random windows a second `san.torch.StreamDataset` gives, by the chunk length.

    SAN_DATA_DIR=FOLDER python benchmarks/windows.py --output benchmarks/results/windows.json

The first lead of MIT-BIH record 100 (30 minutes), at an error of at most 2 steps of the converter,
is coded with and without events in chunks of several lengths. Windows of 1,000 samples begin
anywhere. Once with a cache that holds two chunks, and once with the default cache, which holds all
of this record after the first windows. One thread, CPU time.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from provenance import provenance

import san
from san.torch import StreamDataset

CHUNKS = (2, 10, 30, 120)  # seconds
WINDOW = 1000
DRAWN = 300  # windows


def rate(path: Path, megabytes: int, warm: bool) -> float:
    """Windows a second, of CPU time."""
    dataset = StreamDataset(path, WINDOW, stride=1, cache_megabytes=megabytes)
    draw = np.random.default_rng(0).integers(0, len(dataset), DRAWN).tolist()
    for index in draw if warm else draw[:2]:
        dataset[index]
    begin = time.process_time()
    for index in draw:
        dataset[index]
    return DRAWN / (time.process_time() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    record = Path(os.environ["SAN_DATA_DIR"]) / "mitdb" / "100"
    recording = san.read(record, raw=True, annotations=False)
    assert recording.raw is not None
    x = recording.raw[:, 0]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for events in (False, True):
            for seconds in CHUNKS:
                path = Path(folder) / f"{events}-{seconds}.san"
                options = {"max_error": 2, "events": events, "chunk_seconds": seconds}
                path.write_bytes(san.compress(x, fs=recording.fs, **options))
                rows.append(
                    {
                        "chunk_seconds": seconds,
                        "events": events,
                        "bits_per_sample": 8 * path.stat().st_size / len(x),
                        "windows_per_second": rate(path, 0, warm=False),
                        "windows_per_second_in_cache": rate(path, 256, warm=True),
                    }
                )
                print(rows[-1], flush=True)
    if arguments.output:
        content = {"provenance": provenance("cpu"), "window": WINDOW, "rows": rows}
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
