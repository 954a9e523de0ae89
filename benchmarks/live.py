"""Measure what a live stream costs: bytes by the way its kernels are learned, and time of a chunk.

    python benchmarks/live.py --output benchmarks/results/live.json

SAN_DATA_DIR names the folder of recordings. Ten minutes of the first lead of MIT-BIH records are
given to `san.Encoder` second by second, at a PRDN of 8. A time is CPU time of one thread: of the
first chunk, and the longest of all others. The latency of a chunk is its own length and this time.
"""

import argparse
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

import san

RECORDS, CHUNKS, SECONDS = ("100", "208"), (5, 10, 60), 600
WAYS: dict[str, dict[str, Any]] = {
    "first chunk": {},
    "131,072 samples": {"learn_seconds": 131_072 / 360},
    "ecg": {"dictionary": "ecg"},
    "no events": {"events": False},
}


def measured(x: np.ndarray, fs: float, chunk: int, options: dict[str, Any]) -> dict[str, Any]:
    """The bytes of a stream, and the CPU seconds of its chunks."""
    file, times = io.BytesIO(), []
    with san.Encoder(file, x.dtype, fs=fs, prdn=8, chunk_seconds=chunk, **options) as encoder:
        for second in np.array_split(x, SECONDS):
            before, begin = file.tell(), time.process_time()
            encoder.write(second)
            if file.tell() > before:
                times.append(time.process_time() - begin)
    return {"bytes": len(file.getvalue()), "first": times[0], "longest": max(times[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in RECORDS:
        record = Path(os.environ["SAN_DATA_DIR"]) / "mitdb" / name
        recording = san.read(record, raw=True, annotations=False)
        assert recording.raw is not None and recording.fs is not None
        x, fs = recording.raw[: round(SECONDS * recording.fs), 0], recording.fs
        for chunk in CHUNKS:
            for way, options in WAYS.items():
                row = {"record": name, "chunk_seconds": chunk, "way": way}
                rows.append(row | measured(x, fs, chunk, options))
                print(rows[-1], flush=True)
    if arguments.output:
        content = {"provenance": provenance("cpu"), "rows": rows}
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
