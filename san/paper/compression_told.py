"""What the study of compression says: its tables, its figures, and what holds of the paper."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from san.networks.closed_forms import coherence, optimal_loss, welch_bound
from san.networks.frames import icosahedron, loss_to_limit
from san.paper.compression import (
    AGAINST,
    CORNERS,
    COUNTS,
    DIMENSION,
    FINITE,
    LARGE,
    NAME,
    SIZES,
    SMALL,
    WIDTH,
    make,
    plan,
)
from san.paper.study import Result, Study, Table, digits, rows_of, spread_of
from san.report import KERNEL_COLOURS, KERNEL_MARKERS

REACHED = 1e-9  # a search has reached a bound if its bᵀK b is so much larger, relatively
WAYS = ("optimum", "turned", "k-means", "greedy", "prune")
LABELS = {
    "optimum": "best directions found",
    "turned": "simplex, turned",
    "any rotation": "simplex, not turned",
    "k-means": "k-means, refit",
    "greedy": "greedy, refit",
    "prune": "longest nodes, refit",
    "limit": "limit of many nodes",
}
DIGIT_WAYS = (
    "prune",
    "prune, refit",
    "greedy, refit",
    "greedy, matched",
    "random start, matched",
    "from labels",
)


def tables(results: Sequence[Result]) -> list[Table]:
    """Searches beside their bounds, finite networks, ways beside each other, and digits."""
    makers = {
        "search": _search_table,
        "finite": _finite_table,
        "corners": _corners_table,
        "nodes": _ways_table,
        "digits": _digits_table,
    }
    return [table(results) for kind, table in makers.items() if rows_of(results, kind=kind)]


def _search_table(results: Sequence[Result]) -> Table:
    rows = []
    for m, d in SIZES:
        found = rows_of(results, kind="search", nodes=m, dimension=d)
        best = min(found, key=lambda row: row["loss"])
        least, reached = best["loss"], [row for row in found if row["gap"] < REACHED]
        kind = "the optimum" if m <= d + 1 else "a bound"
        rows.append(
            [
                f"{m} in {d}",
                kind,
                f"{least:.6f}",
                f"{optimal_loss(m, d):.6f}",
                f"{best['gap']:.1e}" if best["gap"] > 1e-12 else "below 1e-12",
                f"{len(reached)} of {len(found)}",
                f"{min(row['coherence'] for row in found if row['loss'] == least):.4f}",
                f"{welch_bound(m, d):.4f}",
            ]
        )
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T
    frame = icosahedron()
    own = min(loss_to_limit(each[:, None] * frame) for each in signs)
    rows.append(["6 in 3", "icosahedron", f"{own:.6f}", f"{optimal_loss(6, 3):.6f}", "", ""])
    rows[-1] += [f"{coherence(frame):.4f}", f"{welch_bound(6, 3):.4f}"]
    heads = ["directions", "closed form is", "best loss", "closed form", "gap", "searches there"]
    return Table(
        "The limit of many nodes: searches beside the closed form",
        [*heads, "coherence", "Welch"],
        rows,
        "Relative loss to c |x|. The gap is that of bᵀK b. A search is there if its gap is below "
        f"{REACHED:g}. The icosahedron has its best signs.",
    )


def _finite_table(results: Sequence[Result]) -> Table:
    names = ("optimum", "turned", "any rotation", "k-means", "prune")
    rows = []
    for d, m in FINITE:
        for weights in ("gaussian", "signs"):
            for n in COUNTS:
                found = _finite_rows(results, d, weights, n)
                cells = [digits(spread_of(found, name)) for name in names]
                rows.append([f"{m} in {d}, {weights}", str(n), *cells, f"{optimal_loss(m, d):.4f}"])
    slopes = [
        f"{m} in {d}, {weights}: {_gap_slope(results, d, weights):.2f}"
        for d, m in FINITE
        for weights in ("gaussian", "signs")
    ]
    return Table(
        "Networks of N nodes: relative loss",
        ["nodes", "N", *(LABELS[name] for name in (*names, "limit"))],
        rows,
        "Slope of log (turned simplex - best found) against log N: " + "; ".join(slopes) + ".",
    )


def _finite_rows(results: Sequence[Result], d: int, weights: str, n: int) -> list[dict[str, Any]]:
    return rows_of(results, kind="finite", dimension=d, weights=weights, large=n)


def _gap_slope(results: Sequence[Result], d: int, weights: str) -> float:
    """Slope of the gap between the turned simplex and the best directions, on log axes."""
    gaps = [_gap(_finite_rows(results, d, weights, n)) for n in COUNTS]
    return _slope(COUNTS, gaps)


def _gap(rows: Sequence[dict[str, Any]]) -> float:
    return float(np.mean([row["turned"] - row["optimum"] for row in rows]))


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(np.maximum(y, 1e-300)), 1)[0])


def _corner_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The best of all seeds in each dimension: the target has no chance, only the starts do."""
    found = [rows_of(results, kind="corners", dimension=d) for d in CORNERS]
    return [min(rows, key=lambda row: row["optimum"]) for rows in found]


def _corner_slope(results: Sequence[Result]) -> float:
    gaps = [abs(row["optimum"] - row["limit"]) for row in _corner_rows(results)]
    return _slope(CORNERS, gaps)


def _corners_table(results: Sequence[Result]) -> Table:
    rows = []
    for d, row in zip(CORNERS, _corner_rows(results), strict=True):
        cells = [f"{row['optimum']:.6f}", f"{row['limit']:.6f}"]
        cells += [f"{abs(row['optimum'] - row['limit']):.1e}"]
        apart = row["turned"] - row["optimum"]
        cells += [f"{apart:.0e}" if apart > 1e-12 else "0", f"{row['from_simplex']:.4f}"]
        rows.append([str(d), "4", *cells])
    heads = ["dimension", "nodes", "best loss", "limit", "difference", "turned simplex - best"]
    return Table(
        "All weights of -1 and 1 as nodes",
        [*heads, "products from -1/3"],
        rows,
        f"The difference falls with the dimension with the slope {_corner_slope(results):.2f}.",
    )


def _ways_table(results: Sequence[Result]) -> Table:
    names = ("optimum", "turned", "k-means", "greedy", "prune")
    rows = []
    for m in AGAINST:
        found = rows_of(results, kind="nodes", nodes=m)
        cells = [digits(spread_of(found, name)) if name in found[0] else "" for name in names]
        bound = f"{optimal_loss(m, DIMENSION):.4f}"
        shown = [digits(spread_of(found, "coherence")), f"{welch_bound(m, DIMENSION):.3f}"]
        rows.append([str(m), str(LARGE), *cells, bound, *shown])
    return Table(
        f"Ways from {LARGE} nodes to M in {DIMENSION} dimensions: relative loss",
        ["M", "N", *(LABELS[name] for name in (*names, "limit")), "coherence", "Welch"],
        rows,
        "Gaussian weights. The coherence is that of the best directions found. For M > "
        f"{DIMENSION + 1} the limit is a lower bound.",
    )


def _digits_table(results: Sequence[Result]) -> Table:
    network = rows_of(results, kind="digits", way="the network")
    rows = [[str(WIDTH), "the network", _percent(network), "0"]]
    for m in SMALL:
        for way in DIGIT_WAYS:
            found = rows_of(results, kind="digits", way=way, nodes=m)
            error = "" if way == "from labels" else digits(spread_of(found, "error"))
            rows.append([str(m), way, _percent(found), error])
    return Table(
        "MNIST: a network of 512 nodes with fewer",
        ["nodes", "way", "test accuracy (%)", "error to the network"],
        rows,
        "The error is the squared difference of the outputs over their squares, on test digits. "
        "Nodes are chosen on 10,000 digits. Matching and training from labels have the same three "
        "epochs, batches and rate.",
    )


def _percent(rows: Sequence[dict[str, Any]]) -> str:
    spread = spread_of([{"accuracy": 100 * row["accuracy"]} for row in rows], "accuracy")
    return f"{spread.mean:.2f}" + (f" ± {spread.deviation:.2f}" if spread.deviation else "")


def figures(results: Sequence[Result]) -> dict[str, Figure]:
    """Products of the best directions, losses against nodes, gaps against N, and digits."""
    drawn = {}
    if rows_of(results, kind="search"):
        drawn["products"] = _products_figure(results)
    if rows_of(results, kind="nodes"):
        drawn["ways"] = _ways_figure(results)
    if rows_of(results, kind="finite"):
        drawn["many-nodes"] = _finite_figure(results)
    if rows_of(results, kind="digits"):
        drawn["digits"] = _digits_figure(results)
    return drawn


def _products_figure(results: Sequence[Result]) -> Figure:
    shown = [(4, 3), (8, 10), (10, 5), (16, 6), (6, 3), (12, 10)]
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    panels = figure.subplots(2, 3)
    for ax, (m, d) in zip(panels.ravel(), shown, strict=True):
        wanted = {"kind": "search", "nodes": m, "dimension": d}
        own = [r for r in results if {**r["settings"], **wanted} == r["settings"]]
        best = min(own, key=lambda r: min(row["loss"] for row in r["rows"]))
        image = ax.imshow(best["products"], cmap="RdBu_r", vmin=-1, vmax=1)
        gap = min(row["gap"] for row in best["rows"])
        state = "at the closed form" if gap < REACHED else f"{100 * gap:.2g} % above the bound"
        ax.set_title(f"{m} directions in {d} dimensions\n{state}", fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
    figure.colorbar(image, ax=panels, shrink=0.7, label="product of two directions")
    return figure


def _ways_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    for i, way in enumerate(WAYS):
        sizes = [m for m in AGAINST if way in rows_of(results, kind="nodes", nodes=m)[0]]
        losses = [[r[way] for r in rows_of(results, kind="nodes", nodes=m)] for m in sizes]
        _line(ax, sizes, losses, i, LABELS[way])
    limits = [optimal_loss(m, DIMENSION) for m in AGAINST]
    ax.plot(AGAINST, limits, "k:", linewidth=1.2, label=LABELS["limit"])
    ax.axvline(DIMENSION + 1, color="0.8", linewidth=0.8, zorder=0)
    ax.annotate("d + 1", (DIMENSION + 1, ax.get_ylim()[1]), fontsize=8, va="top", ha="left")
    ax.set_yscale("log")
    ax.set_xlabel(f"nodes M, in place of {LARGE}")
    ax.set_ylabel("relative loss")
    ax.legend(frameon=False, fontsize=8)
    return figure


def _line(
    ax: Axes, x: Sequence[float], values: Sequence[Sequence[float]], i: int, label: str
) -> None:
    """Means over seeds as a line, and a band from the smallest to the largest."""
    colour, style = KERNEL_COLOURS[i], f"{KERNEL_MARKERS[i]}-"
    ax.plot(x, [np.mean(v) for v in values], style, color=colour, label=label, markersize=3.5)
    low, high = [min(v) for v in values], [max(v) for v in values]
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _finite_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    for ax, (d, m) in zip(figure.subplots(1, 2), FINITE, strict=True):
        for weights, colour in zip(("gaussian", "signs"), KERNEL_COLOURS, strict=False):
            of_counts = [_finite_rows(results, d, weights, n) for n in COUNTS]
            gaps = [max(_gap(rows), 1e-9) for rows in of_counts]
            away = [np.mean([abs(r["optimum"] - r["limit"]) for r in rows]) for rows in of_counts]
            slope = _gap_slope(results, d, weights)
            label = f"{weights}: turned simplex - best (slope {slope:.2f})"
            ax.loglog(COUNTS, gaps, "o-", color=colour, markersize=3.5, label=label)
            label = f"{weights}: |best - limit|"
            ax.loglog(COUNTS, away, "s:", color=colour, markersize=3.5, label=label)
        ax.set_title(f"{m} nodes in {d} dimensions", fontsize=9)
        ax.set_xlabel("nodes N of the large network")
        ax.set_ylabel("difference of relative losses")
        ax.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure


def _digits_figure(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(6.8, 3.4), layout="constrained")
    ax = figure.subplots()
    height = 0.8 / len(SMALL)
    for k, m in enumerate(SMALL):
        found = [rows_of(results, kind="digits", way=way, nodes=m) for way in DIGIT_WAYS]
        right = [100 * np.mean([row["accuracy"] for row in rows]) for rows in found]
        places = np.arange(len(DIGIT_WAYS)) + k * height
        colour = KERNEL_COLOURS[k % 2]
        ax.barh(places, right, height * 0.9, color=colour, label=f"{m} nodes")
        for place, value in zip(places, right, strict=True):
            text = ax.text(value - 1, place, f"{value:.1f}", fontsize=8, color="white")
            text.set(va="center", ha="right")
    network = rows_of(results, kind="digits", way="the network")
    whole = 100 * np.mean([row["accuracy"] for row in network])
    ax.axvline(whole, color="k", linestyle=":", linewidth=1, label=f"{WIDTH} nodes, {whole:.1f} %")
    ax.set_yticks(np.arange(len(DIGIT_WAYS)) + height / 2, DIGIT_WAYS)
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel("test accuracy on MNIST (%)")
    ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figure


def conclusion(results: Sequence[Result]) -> str:
    """What holds of the paper, from the numbers at hand."""
    text = [
        "The paper asks how well M nodes can stand for N, and conjectures that the best directions "
        "are an equiangular tight frame. We read its abstract only, and derived the rest."
    ]
    if rows_of(results, kind="search"):
        text.append(_on_searches(results))
    if rows_of(results, kind="finite"):
        slopes = [_gap_slope(results, d, w) for d, _ in FINITE for w in ("gaussian", "signs")]
        text.append(
            "For networks of finitely many nodes the simplex is not the best, also when it is "
            "turned. Its distance from the best directions falls with N with slopes from "
            f"{max(slopes):.2f} to {min(slopes):.2f}. K-means of the directions with a refitted "
            "second layer is close behind where weights are Gaussian. To keep the longest nodes is "
            "far worse."
        )
    if rows_of(results, kind="digits"):
        text.append(_on_digits(results))
    return "\n\n".join(text)


def _on_searches(results: Sequence[Result]) -> str:
    few = [row for row in rows_of(results, kind="search") if row["nodes"] <= row["dimension"] + 1]
    there = sum(row["gap"] < REACHED and row["from_simplex"] < 1e-5 for row in few)
    best = min(row["loss"] for row in rows_of(results, kind="search", nodes=6, dimension=3))
    return (
        "For at most d + 1 nodes the conjecture holds: it is proved for scales that are not "
        f"negative, and {there} of {len(few)} searches with free scales ended at the simplex. "
        "For more nodes an equiangular tight frame is not enough: its vectors must also add up to "
        f"zero. In 3 dimensions the best 6 directions that were found have the loss {best:.6f}. "
        "The icosahedron is such a frame, and has 0.009741 with its best signs."
    )


def _on_digits(results: Sequence[Result]) -> str:
    sentences = []
    whole = _percent(rows_of(results, kind="digits", way="the network"))
    for m in SMALL:
        ours, labels = (
            rows_of(results, kind="digits", way=way, nodes=m)
            for way in ("greedy, matched", "from labels")
        )
        wins = sum(a["accuracy"] > b["accuracy"] for a, b in zip(ours, labels, strict=True))
        sentences.append(
            f"With {m} nodes, chosen and matched, it has {_percent(ours)} %. A network of {m} "
            "nodes that learned from the labels, as long and at the same rate, has "
            f"{_percent(labels)} %, and is worse with {wins} of {len(ours)} seeds."
        )
    return (
        f"A network of {WIDTH} nodes for the digits has a test accuracy of {whole} %. "
        + " ".join(sentences)
        + " Without any training of the first layer, a greedy choice keeps most of it. The choice "
        "of nodes by their length keeps little."
    )


STUDY = Study(
    name=NAME,
    title="Compression of two-layer networks",
    paper="Amani, Bombari, Mondelli, Pukdee & Rini, *Sharp asymptotics on the compression of "
    "two-layer neural networks*, 2022, arXiv 2205.08199.",
    plan=plan,
    make=make,
    tables=tables,
    figures=figures,
    conclusion=conclusion,
)
