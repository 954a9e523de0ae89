"""What the study of sparse experts draws: a model on a line, error against work, bucket widths."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from san.paper.sparse_experts import (
    AROUND,
    DRAWN,
    FITTED,
    MASKED_DIMENSIONS,
    WIDTH,
    Row,
    bucket_slopes,
)
from san.paper.study import Result, rows_of, spread_of
from san.report import KERNEL_COLOURS, KERNEL_MARKERS, kernel_line

MASKS = {"dense": "dense", "top_k": "DSM (top k)", "hash": "uniform hash"}
STYLES = {what: (kernel_line(i)["color"], f"{KERNEL_MARKERS[i]}-")
          for i, what in enumerate(("dense", "top_k", "hash", 0, 1))}  # fmt: skip


def figures(results: Sequence[Result]) -> dict[str, Figure]:
    """The model on a line, error against work, and the width of the buckets."""
    drawn = {}
    first = [r for r in results if r["name"] == "line"][:1]
    if first:
        drawn["line"] = _draw_line(first[0])
    if rows_of(results, kind="random features") and rows_of(results, kind="buckets"):
        drawn["error-over-work"] = _draw_errors(results)
    if rows_of(results, kind="buckets") and rows_of(results, kind="subspace"):
        drawn["bucket-width"] = _draw_widths(results)
    return drawn


def _draw_line(result: Result) -> Figure:
    figure = Figure(figsize=(6.5, 2.8), layout="constrained")
    ax = figure.subplots()
    x = np.linspace(-1, 1, DRAWN)
    ax.plot(x, result["target"], color="0.5", linewidth=1, label="target")
    buckets = np.array(result["bucket"])
    borders = [0, *(np.flatnonzero(np.diff(buckets)) + 1), DRAWN]
    for number, (begin, end) in enumerate(itertools.pairwise(borders)):
        piece = slice(begin, end)
        ax.plot(
            x[piece],
            np.array(result["model"])[piece],
            color=KERNEL_COLOURS[number % 2],
            linewidth=2.5,
        )
    ax.set(xlabel="x", ylabel="value")
    ax.set_title("a constant for each bucket", fontsize=10)
    _plain(ax)
    return figure


def _draw_errors(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    names = ("active", "without_routing", "with_routing")
    titles = ("active units", "multiply-adds without routing", "multiply-adds with routing")
    for ax, name, title in zip(panels, names, titles, strict=True):
        for mask, label in MASKS.items():
            found = rows_of(results, kind="random features", target="hypercube", n=8, mask=mask)
            wide = [row for row in found if mask != "top_k" or row["width"] == WIDTH]
            _draw_means(ax, wide, name, label, *STYLES[mask])
        for degree, label in ((0, "buckets, constant"), (1, "buckets, linear")):
            found = rows_of(
                results, kind="buckets", target="hypercube", n=8, degree=degree, chosen=1
            )
            _draw_means(ax, found, name, label, *STYLES[degree])
        ax.set(xscale="log", yscale="log", xlabel=title)
        _plain(ax)
    panels[0].set_ylabel("error over variance")
    panels[0].set_title("hypercube function, n = 8", fontsize=10)
    panels[2].legend(frameon=False, fontsize=8)
    return figure


def _draw_means(
    ax: Axes, rows: Sequence[Row], name: str, label: str, colour: str, style: str
) -> None:
    """Mean error over the seeds against a count, with error bars of the deviation."""
    by_count: dict[int, list[Row]] = {}
    for row in rows:
        by_count.setdefault(row[name], []).append(row)
    counts = sorted(by_count)
    spreads = [spread_of(by_count[count], "error") for count in counts]
    means, deviations = zip(*spreads, strict=True)
    ax.errorbar(counts, means, deviations, fmt=style, color=colour, markersize=4, label=label)


def _draw_widths(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for n, degree in itertools.product(MASKED_DIMENSIONS, (0, 1)):
        found = rows_of(
            results, kind="buckets", target="hypercube", n=n, degree=degree, tables=1, chosen=0
        )
        label = f"n = {n}, {'linear' if degree else 'constant'}"
        style = KERNEL_MARKERS[n > 4] + ("--" if degree else "-")
        _draw_means(left, found, "cell", label, KERNEL_COLOURS[n > 4], style)
    left.set(xscale="log", yscale="log", xlabel="ε", ylabel="error over variance")
    left.legend(frameon=False, fontsize=8)
    for k, of in itertools.product(FITTED, AROUND):
        found = [r for r in rows_of(results, kind="subspace", k=k, around=of) if "target" not in r]
        cells = sorted({row["cell"] for row in found})
        counts = [np.mean([r["buckets"] for r in found if r["cell"] == cell]) for cell in cells]
        slope = np.mean(bucket_slopes(results, k, of))
        style = KERNEL_MARKERS[k] + ("-" if of == AROUND[0] else "--")
        colour = KERNEL_COLOURS[k % len(KERNEL_COLOURS)]
        label = f"k = {k}, d = {of}: slope {slope:.2f}"
        right.plot(cells, counts, style, color=colour, markersize=4, label=label)
    right.set(xscale="log", yscale="log", xlabel="ε", ylabel="buckets that are not empty")
    right.legend(frameon=False, fontsize=8)
    for ax, shown in ((left, (0.7, 1, 2, 4, 6)), (right, (0.125, 0.25, 0.5, 1, 1.4))):
        ax.set_xticks(shown, [f"{width:g}" for width in shown])
        ax.set_xticks([], minor=True)
        _plain(ax)
    return figure


def _plain(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
