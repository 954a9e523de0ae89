"""What the study of overlap says: its tables, its figures, and what holds of the paper."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from san.paper.figures import COLOURS, MARKERS
from san.paper.overlaps import (
    CHANNELS,
    CIRCUITS,
    DATA,
    EPOCHS,
    IMAGES,
    NAME,
    OFFSETS,
    POOLS,
    RECORDS,
    SITES,
    WIDTHS,
    make,
    plan,
)
from san.paper.study import Result, Study, Table, digits, rows_of, spread_of
from san.report import KERNEL_COLOURS, KERNEL_MARKERS

TITLES = {"bundled": "mitdb/208", "mitdb": "mitdb/100", "bidmc": "bidmc01", "voiced": "voice001"}
POOL_NAMES = {"extrema_pool": "Extrema-Pool", "extrema": "Extrema"}


def tables(results: Sequence[Result]) -> list[Table]:
    """Ranks beside their bounds, ranks with ReLU, images, and offsets."""
    made = []
    if rows_of(results, kind="rank"):
        made += [_rank_table(results), _law_table(results), _relu_table(results)]
    if rows_of(results, kind="images"):
        made.append(_image_table(results))
    if rows_of(results, kind="offset"):
        made.append(_offset_table(results))
    return made


def _rank_table(results: Sequence[Result]) -> Table:
    rows = []
    for circuit, partition, templates in itertools.product(CIRCUITS, ("halves", "even"), (2, 3)):
        cells = [circuit, partition, str(templates)]
        for r in CHANNELS:
            found = rows_of(results, kind="rank", circuit=circuit, partition=partition, channels=r)
            ranks = {row["rank"] for row in found if row["templates"] == templates}
            cells.append(" to ".join(str(rank) for rank in sorted(ranks)))
        rows.append(cells)
    return Table(
        f"Exact ranks of circuits with {SITES} sites",
        ["network", "left sites", "M", *(f"r = {r}" for r in CHANNELS)],
        rows,
        "Ranks modulo 2³¹ - 1. Where one number stands, every seed has it, with weights that the "
        "positions share and with weights of their own.",
    )


def _law_table(results: Sequence[Result]) -> Table:
    rows = []
    for sites in range(2, 11, 2):
        found = rows_of(results, kind="law", sites=sites)
        equal = sum(row["rank"] == row["law"] for row in found)
        largest = max(row["rank"] for row in found)
        rows.append([str(sites), str(sites // 2 + 1), str(len(found)), str(equal), str(largest)])
    return Table(
        "The law of one overlapping layer: rank = min(r, M)^(K-1)",
        ["sites", "largest K", "networks", "that obey it", "largest rank"],
        rows,
        "All windows K up to half of the sites and one more, r = 1 to 4, M = 2 and 3.",
    )


def _relu_table(results: Sequence[Result]) -> Table:
    rows = []
    for pooling in ("max", "sum"):
        cells = [pooling, "4"]
        for window in (2, 3, 4):
            found = rows_of(results, kind="ReLU", pooling=pooling, window=window)
            cells.append(", ".join(str(row["rank"]) for row in found))
        rows.append(cells)
    return Table(
        "Numerical ranks with ReLU, of at most 81",
        ["in place of the product", "r", "no overlap", "K = 3", "K = 4"],
        rows,
        "Three layers of stride 2, M = 3, one number for each seed. A singular value counts above "
        "1e-10 of the largest one, in float64.",
    )


def _image_table(results: Sequence[Result]) -> Table:
    rows = []
    for data, window in itertools.product(DATA, WIDTHS):
        found = rows_of(results, kind="images", data=data, window=window)
        if found:
            accuracy, loss = spread_of(found, "accuracy"), spread_of(found, "training_loss")
            rows.append(
                [
                    data,
                    str(window),
                    str(found[0]["channels"]),
                    f"{found[0]['weights']:,}",
                    f"{accuracy.mean:.2f} ± {accuracy.deviation:.2f}",
                    digits(loss),
                ]
            )
    return Table(
        "Networks of about equally many weights",
        ["images", "K", "channels", "weights", "test accuracy (%)", "training loss"],
        rows,
        f"{IMAGES:,} training images, {EPOCHS} epochs, five layers of stride 2. K = 2 has no "
        "overlap.",
    )


def _offset_table(results: Sequence[Result]) -> Table:
    rows = []
    for record, learned, activation in itertools.product(RECORDS, POOLS, POOLS):
        means, deviations, ranges = _over_offsets(results, record, learned, activation)
        if len(means):
            cells = (f"{np.mean(v):.4f}" for v in (means, deviations, ranges))
            names = POOL_NAMES[learned], POOL_NAMES[activation]
            rows.append([TITLES[record], names[0], names[1], str(RECORDS[record]), *cells])
    return Table(
        "φ over the offsets of the grid",
        ["record", "kernel learned with", "activation", "m", "mean φ", "deviation", "range"],
        rows,
        f"{OFFSETS} offsets, means over the seeds. The deviation and the range are those over the "
        "offsets.",
    )


def _over_offsets(
    results: Sequence[Result], record: str, learned: str, activation: str
) -> tuple[list[float], list[float], list[float]]:
    """Mean, deviation and range of φ over the offsets, one number for each seed."""
    found = rows_of(results, kind="offset", record=record, learned=learned, activation=activation)
    by_seed = [
        [r["phi"] for r in found if r["seed"] == s] for s in sorted({r["seed"] for r in found})
    ]
    return (
        [float(np.mean(phi)) for phi in by_seed],
        [float(np.std(phi, ddof=1)) for phi in by_seed],
        [float(np.ptp(phi)) for phi in by_seed],
    )


def figures(results: Sequence[Result]) -> dict[str, Figure]:
    """Rank against overlap, accuracy against overlap, φ against the offset."""
    drawn = {}
    if rows_of(results, kind="law"):
        drawn["rank-over-window"] = _draw_ranks(results)
    if rows_of(results, kind="images"):
        drawn["accuracy-over-window"] = _draw_accuracies(results)
    if rows_of(results, kind="offset"):
        drawn["phi-over-offset"] = draw_offsets(results)
    return drawn


def _draw_ranks(results: Sequence[Result]) -> Figure:
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for r in (1, 2, 3, 4):
        found = rows_of(results, kind="law", sites=10, templates=3, channels=r, seed=0)
        marker, colour = KERNEL_MARKERS[r - 1], KERNEL_COLOURS[r - 1]
        left.semilogy(
            [x["window"] for x in found], [x["rank"] for x in found], marker, color=colour
        )
        left.semilogy([x["window"] for x in found], [x["law"] for x in found], color=colour)
        left.text(6.1, found[-1]["rank"], f"r = {r}" if r < 3 else "r = 3, 4" if r == 3 else "")
    left.set(xlabel="window K of the one layer, stride 1", ylabel="rank", xlim=(0.8, 7.2))
    left.set_title("dots: exact rank, lines: law", fontsize=10)
    for i, circuit in enumerate([*CIRCUITS][:3]):
        found = rows_of(
            results,
            kind="rank",
            circuit=circuit,
            partition="halves",
            templates=3,
            shared=True,
            seed=0,
        )
        found = sorted(found, key=lambda row: row["weights"])
        weights, ranks = [x["weights"] for x in found], [x["rank"] for x in found]
        style = f"{KERNEL_MARKERS[i]}-"
        right.semilogx(weights, ranks, style, color=KERNEL_COLOURS[i], label=circuit, markersize=4)
    right.axhline(81, color="0.7", linewidth=0.8, linestyle="--")
    right.set(xlabel="weights", ylabel="rank, of at most 81")
    right.legend(frameon=False, fontsize=8)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_accuracies(results: Sequence[Result]) -> Figure:
    here = [data for data in DATA if rows_of(results, kind="images", data=data)]
    figure = Figure(figsize=(3.2 * len(here), 2.8), layout="constrained")
    for ax, data in zip(figure.subplots(1, len(here), squeeze=False)[0], here, strict=True):
        for window in WIDTHS:
            found = rows_of(results, kind="images", data=data, window=window)
            if found:
                accuracy = spread_of(found, "accuracy")
                ax.plot([window] * len(found), [r["accuracy"] for r in found], "o", color="0.7")
                ax.errorbar(window, *accuracy, fmt="s", color=KERNEL_COLOURS[0], capsize=4)
        ax.set(xlabel="window K, stride 2", ylabel="test accuracy (%)", xticks=[*WIDTHS])
        ax.set_title(data, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def draw_offsets(results: Sequence[Result]) -> Figure:
    """Draw φ against the offset of the grid, a panel for each record, mean over the seeds."""
    here = [r for r in RECORDS if rows_of(results, kind="offset", record=r)]
    figure = Figure(figsize=(8, 2.6 * -(-len(here) // 2)), layout="constrained")
    for ax, record in zip(
        figure.subplots(-(-len(here) // 2), 2, squeeze=False).flat, here, strict=False
    ):
        for activation in POOLS:
            found = rows_of(
                results, kind="offset", record=record, learned=activation, activation=activation
            )
            offsets = sorted({row["offset"] for row in found})
            phi = [spread_of([r for r in found if r["offset"] == o], "phi") for o in offsets]
            mean, deviation = (np.array(v) for v in zip(*phi, strict=True))
            colour = COLOURS[activation]
            style = f"{MARKERS[activation]}-"
            ax.plot(offsets, mean, style, color=colour, markersize=4, label=POOL_NAMES[activation])
            ax.fill_between(offsets, mean - deviation, mean + deviation, color=colour, alpha=0.15)
        ax.set(xlabel="offset (samples)", ylabel="φ")
        ax.set_title(f"{TITLES[record]}, m = {RECORDS[record]}", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def conclusion(results: Sequence[Result]) -> str:
    """Say what holds, with the numbers of these results."""
    told = [
        "The paper claims that overlapping windows give a convolutional arithmetic circuit "
        "exponentially more expressive capacity, and that common networks have this overlap."
    ]
    law = rows_of(results, kind="law")
    if law:
        equal = sum(row["rank"] == row["law"] for row in law)
        told.append(
            f"Overlap raises the rank as the law says: {equal:,} of {len(law):,} networks with one "
            "overlapping layer have rank min(r, M)^(K-1). Without overlap the rank of the two "
            "halves is at most the number of channels. Between even and odd sites it can be full "
            "without any overlap: there, depth alone is enough. So overlap is not needed for every "
            "dependence between sites."
        )
    told += _told_of_images(results)
    ratios = _deviation_ratios(results)
    if ratios:
        told.append(
            "Extrema-Pool cuts the signal into windows that do not overlap. The deviation of φ "
            f"over the offsets of these windows is {min(ratios):.1f} to {max(ratios):.1f} times "
            "that of Extrema (a ratio for each record and each of the two kernels). The rank says "
            "nothing about the mean of φ."
        )
    return "\n\n".join(told)


def _told_of_images(results: Sequence[Result]) -> list[str]:
    told = []
    for data in DATA:
        of_window = {k: rows_of(results, kind="images", data=data, window=k) for k in WIDTHS}
        if not all(of_window.values()):
            continue
        accuracy = {k: spread_of(rows, "accuracy") for k, rows in of_window.items()}
        base = accuracy[2]
        gains = []
        for k in (3, 4):
            gain = accuracy[k].mean - base.mean
            noise = max(accuracy[k].deviation, base.deviation)
            said = "more" if gain > 0 else "less"
            clear = "beyond" if abs(gain) > noise else "within"
            gains.append(
                f"K = {k} has {abs(gain):.2f} points {said} than K = 2 ({clear} one standard "
                "deviation)"
            )
        told.append(f"On {data}, at equal weights: {' and '.join(gains)}.")
    return told


def _deviation_ratios(results: Sequence[Result]) -> list[float]:
    ratios = []
    for record, learned in itertools.product(RECORDS, POOLS):
        pool, extrema = (
            np.mean(_over_offsets(results, record, learned, a)[1] or [0]) for a in POOLS
        )
        if extrema > 0:
            ratios.append(float(pool / extrema))
    return ratios


STUDY = Study(
    name=NAME,
    title="Overlapping windows",
    paper="Sharir & Shashua, *On the Expressive Power of Overlapping Architectures of Deep "
    "Learning*, ICLR 2018, arXiv 1703.02065.",
    plan=plan,
    make=make,
    tables=tables,
    figures=figures,
    conclusion=conclusion,
)
