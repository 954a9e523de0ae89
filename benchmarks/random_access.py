"""Measure what a window of ten seconds costs to decode, by the length of chunks, beside the bytes.

    python benchmarks/random_access.py --output benchmarks/results/random-access.json

SAN_DATA_DIR names the folder of recordings. The first lead of MIT-BIH record 100 (30 minutes) is
coded at three targets and in chunks of several lengths, one of which is the default. `san.Decoder`
reads 300 windows that each begin within a minute of the one before, then 300 that begin anywhere,
with the default cache, and 10 without a cache. CPU time of one thread; the time of a window
includes the chunks that are decoded for it.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from provenance import provenance

import san

TARGETS = {"lossless": {"lossless": True}, "bound": {"max_error": 2}, "prdn": {"prdn": 8}}
CHUNKS = (10, 60, None)  # seconds; None is the default
SECONDS, WINDOWS, ALONE, NEAR = 10, 300, 10, 60


def near_each_other(fs: float, last: int) -> list[int]:
    """Where windows begin: each within a minute of the one before."""
    chance, starts = np.random.default_rng(0), [last // 2]
    reach = round(NEAR * fs)
    while len(starts) < WINDOWS:
        start = starts[-1] + int(chance.integers(-reach, reach + 1))
        starts.append(min(max(start, 0), last))
    return starts


def milliseconds(decoder: san.Decoder, starts: Sequence[int], length: int) -> float:
    """CPU time of a window, in the mean."""
    begin = time.process_time()
    for start in starts:
        decoder.read(start, start + length)
    return 1000 * (time.process_time() - begin) / len(starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    record = Path(os.environ["SAN_DATA_DIR"]) / "mitdb" / "100"
    recording = san.read(record, raw=True, annotations=False)
    assert recording.raw is not None and recording.fs is not None
    x, fs = recording.raw[:, 0], recording.fs
    length = round(SECONDS * fs)
    near = near_each_other(fs, len(x) - length)
    anywhere = np.random.default_rng(1).integers(0, len(x) - length, WINDOWS).tolist()
    rows = []
    for name, target in TARGETS.items():
        for chunk in CHUNKS:
            blob = san.compress(x, fs=fs, chunk_seconds=chunk, **target)
            milliseconds(san.Decoder(blob), near[:2], length)  # what is compiled once
            rows.append(
                {
                    "target": name,
                    "chunk_seconds": chunk,
                    "bytes": len(blob),
                    "near": milliseconds(san.Decoder(blob), near, length),
                    "anywhere": milliseconds(san.Decoder(blob), anywhere, length),
                    "alone": milliseconds(
                        san.Decoder(blob, cache_megabytes=0), anywhere[:ALONE], length
                    ),
                }
            )
            print(rows[-1], flush=True)
    if arguments.output:
        content = {"provenance": provenance("cpu"), "record": "mitdb/100", "rows": rows}
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
