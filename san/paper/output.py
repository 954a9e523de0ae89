"""What a reproduction leaves in its folder: rows, tables, figures, and what was skipped.

units/              a JSON file per training
rows.csv            every kernel size of every unit, with settings, data checksum and versions
results.json        the same for the chosen kernel sizes, with kernels and histories
tables.md           tables with the published value beside ours
tables.tex          the same for LaTeX
figures/            PNG and SVG

What the studies of other networks leave is decided in `studies`.
"""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from san import datasets, storage
from san.dataset_readers.physionet import EXPORT
from san.paper import figures, tables

TITLES = {
    "physionet": "PhysioNet",
    "uci-epilepsy": "UCI-epilepsy",
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
}


def write(results: Sequence[tables.Result], skipped: Sequence[str], folder: Path) -> None:
    """Write everything but the files of the units, which `experiments.run` wrote."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    rows = tables.to_csv(tables.all_rows(results)).encode()
    storage.write(folder / "rows.csv.gz", gzip.compress(rows, mtime=0))
    storage.write(folder / "results.json", _json(results))
    markdown, latex = _tables(results, skipped)
    storage.write(folder / "tables.md", markdown)
    storage.write(folder / "tables.tex", latex)
    for name, figure in _figures(results).items():
        for ending in ("png", "svg"):
            storage.write(folder / "figures" / f"{name}.{ending}", drawn(figure, ending))


def read(folder: Path) -> list[dict[str, Any]]:
    """Read the results that `write` left, numbers with five significant digits."""
    results = json.loads((folder / "results.json").read_text())["results"]
    by_key: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    with gzip.open(folder / "rows.csv.gz", "rt", newline="") as file:
        for line in csv.DictReader(file):
            row = {name: float(line[name]) for name in tables.SCORES if line[name]}
            row["kernel_size"], row["epoch"] = int(line["kernel_size"]), int(line["epoch"])
            key = (line["dataset"], *(line[name] for name in _KEY))
            by_key.setdefault(key, []).append(row)
    for result in results:
        result["rows"] = by_key[(result["data"], *(str(result[name]) for name in _KEY))]
    return results


_KEY = ("activation", "variant", "protocol", "seed")


def _json(results: Sequence[tables.Result]) -> str:
    kept = [{name: v for name, v in result.items() if name != "rows"} for result in results]
    for result in kept:  # its kernel sizes are those of the rows
        result["settings"] = {k: v for k, v in result["settings"].items() if k != "kernel_sizes"}
    return json.dumps({"results": kept}) + "\n"


def _tables(results: Sequence[tables.Result], skipped: Sequence[str]) -> tuple[str, str]:
    markdown, latex = [], []
    for protocol in datasets.PROTOCOLS[::-1]:
        for experiment, title in TITLES.items():
            own = [
                r
                for r in results
                if (r["experiment"], r["protocol"], r["variant"]) == (experiment, protocol, "paper")
            ]
            if not own:
                continue
            heading = f"{title}, {protocol} protocol"
            seconds, lines = sum(r["seconds"] for r in own), tables.best_lines(own)
            markdown.append(f"## {heading}\n")
            markdown.append(f"{_seeds(lines)}, {seconds:.0f} s of training in all.\n")
            markdown.append(tables.to_markdown(lines))
            latex.append(f"% {heading}\n{tables.to_latex(lines)}")
            if experiment != "physionet":
                every = tables.size_lines(own)
                markdown.append("Every kernel size:\n\n" + tables.to_markdown(every))
                latex.append(f"% {heading}, every kernel size\n{tables.to_latex(every)}")
            elif protocol == "published":
                curves = tables.curves_to_markdown(tables.compare_curves(own))
                markdown.append(f"Curves of φ over the kernel sizes:\n\n{curves}")
    beyond = [r for r in results if r["protocol"] == "corrected" and r["activation"] == "extrema"]
    beyond = [r for r in beyond if r["experiment"] == "physionet"]
    if len({r["variant"] for r in beyond}) > 1:
        markdown.append(f"## Beyond the paper, Extrema\n\n{tables.variant_tables(beyond)}")
    exports = {r["record"] for r in results if r["data"].endswith(EXPORT)}
    if exports:
        told = [f"{name}: {datasets.told_of_export(name)}" for name in sorted(exports)]
        markdown.append(f"An export stands for a record that was not here. {'; '.join(told)}.\n")
    if skipped:
        markdown.append(f"Skipped, neither here nor to be downloaded: {', '.join(skipped)}.\n")
    return "\n".join(markdown), "\n".join(latex)


def _seeds(lines: Sequence[tables.Line]) -> str:
    """How many seeds the lines of a table have, in words."""
    counts = {len(line.kernel_sizes) for line in lines}
    if len(counts) > 1:
        return f"{min(counts)} to {max(counts)} seeds (without ± there is one, or all agree)"
    return f"{max(counts)} seed{'s' if max(counts) > 1 else ''}"


def _figures(results: Sequence[tables.Result]) -> dict[str, Figure]:
    made = {}
    for protocol in datasets.PROTOCOLS:
        own = [r for r in results if r["protocol"] == protocol and r["variant"] == "paper"]
        physionet = [r for r in own if r["experiment"] == "physionet"]
        first = [r for r in physionet if r["seed"] == 0]
        if first:
            name = f"physionet-{protocol}"
            made[f"{name}-scatter"] = figures.plot_scatter(first)
            made[f"{name}-phi-over-size"] = figures.plot_phi_over_size(
                physionet, _published(first) if protocol == "published" else None
            )
            made[f"{name}-phi-over-epochs"] = figures.plot_phi_over_epochs(physionet)
            made[f"{name}-density"] = figures.plot_density(first)
            made[f"{name}-kernels"] = figures.plot_kernel_grid(first)
        others = [r for r in own if r["experiment"] != "physionet" and r["seed"] == 0]
        if others:
            made[f"classified-{protocol}-scatter"] = figures.plot_scatter(others)
            made[f"classified-{protocol}-kernels"] = figures.plot_kernel_grid(others)
    return made


def _published(results: Sequence[tables.Result]) -> dict[str, np.ndarray]:
    """The published φ over the kernel size, mean over the records at hand, per activation."""
    records = list(dict.fromkeys(r["record"] for r in results))
    curves = {}
    for activation in tables.NAMES:
        of_records = [datasets.published_curve(record, activation) for record in records]
        phi = np.mean([np.hypot(curve[:, 1], curve[:, 2]) for curve in of_records], axis=0)
        curves[activation] = np.stack([of_records[0][:, 0], phi], axis=1)
    return curves


def drawn(figure: Figure, ending: str) -> bytes:
    """A figure as a file: "png" or "svg". Equal figures have equal bytes."""
    content = io.BytesIO()
    with rc_context({"svg.hashsalt": "san"}):
        metadata = {"Date": None} if ending == "svg" else None
        figure.savefig(content, format=ending, dpi=110, metadata=metadata)
    return content.getvalue()
