"""Count the bytes of both leads of MIT-BIH records in one call, beside those of an earlier version.

    git worktree add ../before b3acf6f
    SAN_DATA_DIR=FOLDER python benchmarks/two_leads.py --before ../before

FOLDER holds `mitdb`. Each version codes the whole records in a process of its own, decodes each
stream, and compares it with the original. A PRDN holds for each lead, and a bound is in steps of
the converter. Each row is appended to a file as soon as it is measured, so a run that was
stopped goes on where it was. Rows of another commit are measured again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import wfdb
from provenance import ROOT, provenance

OUTPUT = ROOT / "benchmarks/results/two-leads.json"
TARGETS: tuple[dict[str, int], ...] = (
    {"lossless": True},
    {"prdn": 5},
    {"max_error": 2},
    {"max_error": 5},
)

Row = dict[str, object]


def named(target: dict[str, int]) -> str:
    """A target as a word and a number."""
    ((name, value),) = target.items()
    return name if value is True else f"{name} {value}"


def measured(data: Path, record: str, target: dict[str, int]) -> Row:
    """Bytes and errors of the stream of a record."""
    import san  # the version that PYTHONPATH names

    found = wfdb.rdrecord(str(data / record), physical=False)
    x = found.d_signal.astype(np.int16)
    stream = san.compress(x, fs=found.fs, **target)
    error = np.asarray(san.decompress(stream)).astype(float) - x
    prdn = 100 * np.sqrt((error**2).sum(axis=0) / ((x - x.mean(axis=0)) ** 2).sum(axis=0))
    return {
        "record": record,
        "target": named(target),
        "values": x.size,
        "bytes": len(stream),
        "prdn_worst_lead": float(prdn.max()),
        "max_error_reached": float(np.abs(error).max()),
    }


def measure(data: Path, rows: Path) -> None:
    """Append to a file what it lacks."""
    known = kept(rows)
    records = sorted(path.stem for path in data.glob("*.hea"))
    for target in TARGETS:
        for record in records:
            if (record, named(target)) not in known:
                row = measured(data, record, target)
                with rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(*row.values(), flush=True)


def kept(rows: Path) -> dict[tuple[str, str], Row]:
    """The rows of a file, by record and target."""
    if not rows.is_file():
        return {}
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    return {(row["record"], row["target"]): row for row in found}


def commit(tree: Path) -> str:
    """The commit of a folder, which has to be a clean one."""
    git = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def of_version(tree: Path, data: Path, folder: Path) -> dict[tuple[str, str], Row]:
    """All rows of the version in a folder; a process of its own measures those that lack."""
    rows = folder / f"two-leads-{commit(tree)}.jsonl"
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, __file__, "--rows", str(rows)]
    subprocess.run(program, check=True, env=environment | {"SAN_DATA_DIR": str(data.parent)})
    return kept(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout of the earlier version")
    parser.add_argument("--folder", type=Path, default=Path("."), help="where rows are kept")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data = Path(os.environ["SAN_DATA_DIR"]) / "mitdb"
    if arguments.rows:
        measure(data, arguments.rows)
        return
    now = of_version(ROOT, data, arguments.folder)
    before = of_version(arguments.before, data, arguments.folder)
    content = {
        "provenance": provenance("cpu"),
        "before": commit(arguments.before),
        "rows": [now[key] | {"bytes_before": before[key]["bytes"]} for key in now],
    }
    OUTPUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
