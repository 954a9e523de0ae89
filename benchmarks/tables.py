"""Write the tables of README.md from the JSON files in results.

python benchmarks/tables.py
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import signal_tables
import speed_tables
from table_cells import described

HERE = Path(__file__).parent
#: What stands between the marks of README.md: how a table is made, and of which file of results.
TABLES = {
    "activations": (speed_tables.activations, "activations.json"),
    "activations-cuda": (speed_tables.activations, "activations-cuda.json"),
    "gpu-counts": (speed_tables.gpu_counts, "gpu-counts.json"),
    "bank": (speed_tables.bank, "bank.json"),
    "bank-cuda": (speed_tables.bank, "bank-cuda.json"),
    "encoder-shares": (speed_tables.encoder_shares, "encoder-shares.json"),
    "encoder-cuda": (speed_tables.encoder_times, "encoder-cuda.json"),
    "archive": (speed_tables.archive, "archive.json"),
    "random-access": (speed_tables.random_access, "random-access.json"),
    "live": (speed_tables.live, "live.json"),
    "recordings": (signal_tables.recordings, "recordings.json"),
    "recordings-beyond": (signal_tables.recordings_beyond, "recordings-beyond.json"),
    "sparse-coding": (signal_tables.sparse_coding, "sparse_coding.json"),
    "windows": (speed_tables.windows, "windows.json"),
    "beats": (signal_tables.beats, "beats.json"),
    "heartbeat-targets": (signal_tables.heartbeat_targets, "heartbeat_targets.json"),
    "heartbeat-targets-all": (signal_tables.heartbeat_targets, "heartbeat_targets_all.json"),
    "two-leads": (signal_tables.two_leads, "two-leads.json"),
    "fast-bounds": (signal_tables.fast_bounds, "fast-bounds.json"),
    "cold-start": (speed_tables.cold_start, "cold-start.json"),
}
PAPER = ("physionet", "classified")


def table_of(made: Callable[[dict], str], name: str) -> str:
    """The table of a file of results, if it is there."""
    path = HERE / "results" / name
    return made(json.loads(path.read_text())) if path.is_file() else "Not measured."


def paper(name: str) -> str:
    """The tables of `san reproduce`, without those of every kernel size."""
    path = HERE / "results" / name / "tables.md"
    if not path.is_file():
        return "Not run."
    kept = re.sub(r"Every kernel size:\n\n(\|.*\n)+", "", path.read_text())
    return kept.replace("## ", "### ").strip()


def main() -> None:
    """Replace what stands between the marks of each table."""
    readme = HERE / "README.md"
    text = readme.read_text()
    tables = {mark: table_of(*made) for mark, made in TABLES.items()}
    tables |= {name: paper(name) for name in PAPER}
    if (HERE / "results/codec.json").is_file():
        import codec_tables  # which needs the rivals' packages

        content = json.loads((HERE / "results/codec.json").read_text())
        tables |= codec_tables.tables(content)
        measured_by = described(content["provenance"])
        tables["codec-rate"] = f"{measured_by}\n\n{tables['codec-rate']}"
    for name, table in tables.items():
        mark = f"<!-- {name} -->"
        pattern = re.compile(f"{mark}.*?{mark}", re.DOTALL)
        text = pattern.sub(lambda _, m=mark, t=table: f"{m}\n{t}\n{m}", text)
    readme.write_text(text)


if __name__ == "__main__":
    main()
