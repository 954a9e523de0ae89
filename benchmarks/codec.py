"""Measure bytes, errors and time of the codec on every recording, beside what people use today.

    python benchmarks/codec.py --data DIR                     every suite
    python benchmarks/codec.py --data DIR --suite mitdb-prd   one of them
    python benchmarks/codec.py --plot                         the picture of what was measured

`DIR` holds a folder for each data set (benchmarks/codec_signals.py lists them). Suites: the rate at
a PRD or PRDN (mitdb-prd), in independent chunks (mitdb-chunks), within a bound on every sample
(bounded), without loss (lossless), on every other signal (others), on 12 leads (leads) and the
channels of an EEG (eeg), and time (speed).

Each row is one stream, decoded and compared with the original: all its bytes count, headers and
kernels included. An error, a wrong decode or a bound that does not hold stands in its row. Seconds
of the codec hold its whole search, those of a rival are of the chosen setting alone. Rows are kept
as they come: the same command goes on where it was stopped, and measures anew what another version
measured.
"""

import argparse
import functools
import hashlib
import json
import math
import multiprocessing
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import codec_leads
import codec_peers
import numpy as np
from codec_peers import PEERS, SAN, WITHOUT, Coded, label
from codec_signals import KEY, PRDNS, PRDS, SUITES, Signal, Task, key, signals, targets
from provenance import ROOT, provenance

import san

PUBLISHED = {"Rebollo-Neira 2019, 48 records": ((0.53, 23.17), (1.71, 62.5))}  # PRD, mean CR
WITHOUT_RIVALS = {("prdn", value) for value in (4, 6, 10, 15)}
OUTPUT = ROOT / "benchmarks/results/codec.json"

Row = dict[str, object]


def tasks(suite: str, signal: Signal) -> Iterator[Task]:
    """Everything that a suite measures of a signal."""
    version, versions = san_version(), codec_peers.versions()
    for target, value in targets(suite, signal):
        names = [SAN] if suite == "speed" or target == "lossless" else [SAN, WITHOUT]
        if suite not in ("speed", "mitdb-chunks") and (target, value) not in WITHOUT_RIVALS:
            names += [name for name, peer in PEERS.items() if peer.lossy or target == "lossless"]
        for name in names:
            stated = versions[PEERS[name].package] if name in PEERS else version
            yield Task(suite, signal, target, value, name, stated)


@functools.cache
def san_version() -> str:
    """A digest of the package's sources: what has another digest is measured anew."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "san").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def measure(task: Task) -> Row:
    """The row of a task; whatever goes wrong stands in it."""
    try:
        if task.suite == "speed":
            found = codec_peers.speed(task.signal, task.value)
        else:
            describe = codec_leads.described if task.signal.suite else codec_peers.described
            found = describe(task.signal, task.target, task.value, stream_of(task))
    except Exception as error:  # of any rival as well
        found = {"error": f"{type(error).__name__}: {error}"}
    return rounded(task.head() | found)


def rounded(value: object) -> object:
    """Seven digits of every number; no infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def stream_of(task: Task) -> Coded:
    """Code what a task asks for."""
    x, target, value = task.signal.samples, task.target, task.value
    if target == "prd":
        target, value = "prdn", codec_peers.prdn_of_prd(x, value)
    if task.codec in PEERS:
        of = codec_leads if target == codec_leads.EACH else codec_peers
        return of.coded(task.codec, x, target, value)
    target = "prdn" if target == codec_leads.EACH else target
    if target == "prdn in chunks":
        return codec_peers.san_in_chunks(task.codec, x, task.signal.fs, value)
    return codec_peers.san_coded(task.codec, x, task.signal.fs, target, value)


def measure_all(tasks: list[Task], jobs: int) -> Iterator[Row]:
    """Rows as they are done; a process that ends is the fault of what it was coding."""
    waiting, running = tasks[::-1], {}
    while waiting:
        try:
            with _pool(jobs) as pool:
                while waiting or running:
                    while waiting and len(running) < jobs:
                        task = waiting.pop()
                        running[pool.submit(measure, task)] = task
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        row = done.result()
                        del running[done]
                        yield row
        except BrokenProcessPool:
            alone, running = running, {}
            yield from (_measured_alone(task) for task in alone.values())


def _measured_alone(task: Task) -> Row:
    try:
        with _pool(1) as pool:
            return pool.submit(measure, task).result()
    except BrokenProcessPool:
        return task.head() | {"error": "the process ended while this was measured"}


def _pool(jobs: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_warm_up)


def _warm_up() -> None:
    """One thread for each process, and everything compiled that will be timed."""
    import numba
    import torch

    numba.set_num_threads(1)
    torch.set_num_threads(1)
    x = (100 * np.sin(np.arange(8000) / 20)).astype(np.int16)
    for asked in ({"prdn": 8.0}, {"max_error": 2}, {"lossless": True}):
        if hasattr(san, "compress"):
            try:
                san.decompress(san.compress(x, fs=360, **asked))
            except Exception as error:  # its rows will say so too
                print(f"warming up: {error}", file=sys.stderr)


class Progress:
    """A line for each row, with the time left: as long a sample as each codec took so far."""

    def __init__(self, waiting: list[Task]) -> None:
        self.waiting = {key(task.head()): task for task in waiting}
        self.total, self.last = len(waiting), time.perf_counter()
        self.spent: dict[str, float] = defaultdict(float)
        self.samples: dict[str, int] = defaultdict(int)

    def say(self, row: Row) -> None:
        """One more row."""
        task, now = self.waiting.pop(key(row)), time.perf_counter()
        self.spent[task.codec] += now - self.last
        self.samples[task.codec] += task.signal.samples.size
        self.last = now
        usual = sum(self.spent.values()) / sum(self.samples.values())
        rates = {name: spent / self.samples[name] for name, spent in self.spent.items()}
        left = sum(
            each.signal.samples.size * rates.get(each.codec, usual)
            for each in self.waiting.values()
        )
        result = row.get("error", "timed")
        if "cr" in row:
            result = f"CR {row['cr']:.2f}"
        if row.get("bound_held") is False:
            result += ", AND THE BOUND IS NOT HELD"
        place = f"{self.total - len(self.waiting)}/{self.total}"
        text = f"{task.signal.name}, {task.target} {task.value:g}, {task.codec}: {result}"
        print(f"{place} {text} (about {left / 60:.0f} min left)", file=sys.stderr, flush=True)


def kept_rows(output: Path) -> dict[tuple, Row]:
    """What was measured before: of the output, and of the run that was stopped."""
    rows = json.loads(output.read_text())["rows"] if output.is_file() else []
    if work_file(output).is_file():
        for line in filter(None, work_file(output).read_text().splitlines()):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:  # the run was stopped while it was written
                print("a row was cut off: it is measured again", file=sys.stderr)
    return {key(row): row for row in rows}


def work_file(output: Path) -> Path:
    """Where the rows of a run stand until it is complete."""
    return output.with_suffix(".rows.jsonl")


def write(output: Path, rows: list[Row]) -> None:
    """What the rows come to, and the rows, one a line."""
    head = {
        "provenance": provenance("cpu") | codec_peers.versions(),
        "summary": rounded(summary(rows)),
    }
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    text = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
    partial = output.with_suffix(".partial")
    partial.write_text(f'{text},\n "rows": [\n{lines}\n]\n}}\n')
    partial.replace(output)
    work_file(output).unlink(missing_ok=True)


def summary(rows: list[Row]) -> dict[str, object]:
    """What the rows come to; those with an error are listed, and in no mean."""
    broken = [row for row in rows if "error" in row or row.get("bound_held") is False]
    names = {key(row) for row in broken}
    suites = grouped((row for row in rows if key(row) not in names), "suite")
    good = {suite: suites.get((suite,), []) for suite in SUITES}
    leads = {(0,): "first lead", (1,): "second lead", (0, 1): "both leads"}
    lossless = [row | {"target": leads[tuple(row["group"])]} for row in good["lossless"]]
    return {
        "mitdb-prd": rates(good["mitdb-prd"]),
        "events": ratios(good["mitdb-prd"]),
        "beats": beats(good["mitdb-prd"]),
        "mitdb-chunks": rates(good["mitdb-chunks"]),
        "bounded": rates(good["bounded"]),
        "lossless": rates(lossless),
        "others": with_and_without(good["others"]),
        "leads": codec_leads.summary(good["leads"]),
        "eeg": codec_leads.summary(good["eeg"]),
        "speed": {row["record"]: row for row in good["speed"]},
        "broken": [
            dict(zip(KEY, key(row), strict=True))
            | {"error": row.get("error", "the bound is not held")}
            for row in broken
        ],
    }


def grouped(rows: Iterable[Row], *names: str) -> dict[tuple, list[Row]]:
    """Rows that agree in some fields."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def asked(target: str, value: float) -> str:
    """A target in a word or two."""
    return f"{target} {value:g}" if value else target


def rates(rows: list[Row]) -> dict[str, dict]:
    """Means over the records, of each codec at each target."""
    found: dict[str, dict] = defaultdict(dict)
    for (codec, target, value), group in grouped(rows, "codec", "target", "value").items():
        names = ("cr", "bits_per_sample", "prdn_reached", "prd_reached")
        found[codec][asked(target, value)] = {
            "records": len(group),
            **{name: statistics.fmean(row[name] for row in group) for name in names},
            "max_error_reached": max(row["max_error_reached"] for row in group),
        }
    return found


def with_and_without(rows: list[Row]) -> list[Row]:
    """Bytes with events over bytes without, of each signal and target that has both."""
    found = []
    for group in grouped(rows, "data_set", "record", "channel", "target", "value").values():
        pair = {row["codec"]: row for row in group}
        if SAN in pair and WITHOUT in pair:
            one, other = pair[SAN], pair[WITHOUT]
            names = ("data_set", "record", "channel", "kind", "target", "value", "cr")
            ratio = {"cr_without": other["cr"], "ratio": one["bytes"] / other["bytes"]}
            found.append({name: one[name] for name in names} | ratio)
    return found


def ratios(rows: list[Row]) -> dict[str, dict]:
    """The geometric mean of bytes with events over bytes without, and the worst, at each target."""
    found = {}
    for (target, value), group in grouped(with_and_without(rows), "target", "value").items():
        worst = max(group, key=lambda row: row["ratio"])
        found[asked(target, value)] = {
            "records": len(group),
            "geometric_mean": statistics.geometric_mean(row["ratio"] for row in group),
            "worst": worst["ratio"],
            "worst_record": worst["record"],
        }
    return found


def beats(rows: list[Row]) -> dict[str, dict]:
    """Sensitivity and positive predictivity of all beats together: as stored, and decoded."""
    found: dict[str, dict] = defaultdict(dict)
    rows = [row for row in rows if "beats_decoded_matched" in row]
    for (codec, target, value), group in grouped(rows, "codec", "target", "value").items():
        for signal, name in (("original", "original"), ("decoded", codec)):
            annotated, detected, matched = (
                sum(row[f"beats_{signal}_{count}"] for row in group)
                for count in ("annotated", "found", "matched")
            )
            found[asked(target, value)][name] = {
                "sensitivity": matched / annotated,
                "positive_predictivity": matched / max(1, detected),
            }
    return found


def plot(output: Path) -> None:
    """Rate against distortion as a picture, beside the file of rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = rates([row for row in json.loads(output.read_text())["rows"] if drawn(row)])
    figure, panels = pyplot.subplots(1, 2, figsize=(13, 4.6), sharey=True)
    for panel, target in zip(panels, ("prdn", "prd"), strict=True):
        panel.set(xlabel=f"{target.upper()} (%)", xscale="log", yscale="log")
        for name, means in found.items():
            points = [(float(at.split()[1]), each) for at, each in means.items()]
            kept = sorted((x, each["cr"]) for x, each in points if f"{target} {x:g}" in means)
            own = name in (SAN, WITHOUT)
            style = {"marker": "o" if own else ".", "linewidth": 2 if own else 1}
            panel.plot(*np.array(kept).reshape(-1, 2).T, label=label(name), **style)
        ticks = PRDNS if target == "prdn" else PRDS
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        panel.xaxis.set_minor_formatter("")
        panel.grid(alpha=0.3, which="both")
    for name, points in PUBLISHED.items():
        panels[1].plot(*zip(*points, strict=True), "k*", markersize=10, label=name)
    panels[0].set(ylabel="mean compression ratio, of 11 bits a sample")
    ticks = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    panels[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panels[0].yaxis.set_minor_formatter("")
    panels[0].set_ylim(1, None)
    panels[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(output.with_suffix(".png"), dpi=150)


def drawn(row: Row) -> bool:
    """Whether a row is in the picture."""
    return row["suite"] == "mitdb-prd" and bool(row.get("bound_held"))


def main() -> None:
    """Measure what is missing, write it, or draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of data sets")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="JSON file for the rows")
    parser.add_argument("--suite", choices=(*SUITES, "all"), default="all")
    parser.add_argument("--records", nargs="+", help="of mitdb (default: every one)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--plot", action="store_true", help="draw what was measured")
    options = parser.parse_args()
    if options.plot:
        return plot(options.output)
    if options.data is None:
        parser.error("--data is needed to measure")
    found = list(signals(options.data, options.records))
    suites = SUITES if options.suite == "all" else (options.suite,)
    wanted = [task for suite in suites for signal in found for task in tasks(suite, signal)]
    if not hasattr(san, "compress"):
        print("this version has no codec: its rivals alone", file=sys.stderr)
        wanted = [task for task in wanted if task.codec in PEERS]
    run(wanted, options.output, options.jobs)


def run(wanted: list[Task], output: Path, jobs: int) -> None:
    """Measure what is not there yet, keeping each row at once; the time is measured alone."""
    rows = kept_rows(output)
    missing = []
    for task in wanted:
        row = rows.get(key(task.head()))
        if row is None or "error" in row or row["version"] != task.version:
            missing.append(task)
    progress = Progress(missing)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(work_file(output), "a") as file:
        file.write("\n")  # after a row that was cut off
        for timed, processes in ((False, jobs), (True, 1)):
            part = [task for task in missing if (task.suite == "speed") == timed]
            for row in measure_all(part, processes):
                rows[key(row)] = row
                file.write(json.dumps(row, allow_nan=False) + "\n")
                file.flush()
                progress.say(row)
    write(output, list(rows.values()))


if __name__ == "__main__":
    main()
