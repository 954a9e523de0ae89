"""What each target of the codec costs, and what it does to heartbeats.

    python benchmarks/heartbeat_targets.py                  every record and target
    python benchmarks/heartbeat_targets.py --minutes 10     the first minutes of each record
    python benchmarks/heartbeat_targets.py --every 4        every fourth record
    python benchmarks/heartbeat_targets.py --rows F         keep rows, go on where a run ended
    python benchmarks/heartbeat_targets.py --rows F --output G   also write the table as JSON

The records are the first lead of those of $SAN_DATA_DIR/mitdb, and all leads of those of
$SAN_DATA_DIR/leads12. Each is compressed as `san compress` does it, and compared as
`san verify --beats` does it. A bound is in µV and holds for every sample.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
from provenance import provenance

import san
from san.files import streams
from san.heartbeats.fidelity import fidelity

TARGETS = {
    "PRDN 8, bound 50": {"prdn": 8.0, "bound": 50},  # first: the one that is recommended
    "bound 50": {"bound": 50},
    "PRDN 8": {"prdn": 8.0},
    "PRDN 4": {"prdn": 4.0},
    "bound 25": {"bound": 25},
    "bound 100": {"bound": 100},
    "PRDN 12": {"prdn": 12.0},
    "PRDN 2": {"prdn": 2.0},
    "bound 10": {"bound": 10},
}
CHANGES = ("r_amplitude", "r_loss", "r_share", "r_time", "qrs", "st", "rr")


def read_record(path, database, minutes):
    """Samples as the file has them, steps per mV, and the rate."""
    array = streams.read_file(path.with_suffix(""), exact=False, annotations=False)
    x = array.x.reshape(len(array.x), -1)
    if database == "mitdb":
        x = x[:, :1]
    x = np.ascontiguousarray(x[: int(60 * minutes * array.fs)])
    units = [san.signals.converter_of(text) for text in array.units][: x.shape[1]]
    return x, array.fs, np.array([gain for gain, _, _ in units])


def measure(x, fs, gains, prdn=None, bound=None):
    """The row of one record and target."""
    given = {} if prdn is None else {"prdn": prdn}
    if bound is not None:
        given["max_error"] = float(bound * gains.min() / 1e3)
    blob = san.compress(x, fs, **given)
    y = san.decompress(blob)
    error = np.abs(y.astype(np.float64) - x) / gains * 1e3
    found = fidelity(x / gains, y / gains, fs)
    return {
        "bytes": len(blob),
        "values": x.size,
        "prdn": max(san.prdn(x[:, c], y[:, c]) for c in range(x.shape[1])),
        "largest_error_uv": float(error.max()),
        **found.as_json(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--databases", nargs="*", default=["mitdb", "leads12"])
    arguments = parser.parse_args()
    folder = Path(os.environ.get("SAN_DATA_DIR", "."))
    rows = []
    if arguments.rows and arguments.rows.is_file():
        rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    done = {(row["database"], row["record"], row["target"]) for row in rows}
    for target, given in TARGETS.items():
        for database in arguments.databases:
            for path in sorted((folder / database).glob("*.hea"))[:: arguments.every]:
                if (database, path.stem, target) in done:
                    continue
                x, fs, gains = read_record(path, database, arguments.minutes)
                row = {"database": database, "record": path.stem, "target": target}
                row |= {"seconds": len(x) / fs, "leads": x.shape[1]}
                row |= measure(x, fs, gains, **given)
                rows.append(row)
                print(database, path.stem, target, row["bytes"], flush=True)
                if arguments.rows:
                    with open(arguments.rows, "a") as file:
                        file.write(json.dumps(row) + "\n")
    if arguments.output:
        content = {"provenance": provenance("cpu"), "rows": rows}
        arguments.output.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
