"""The paper's figures, drawn again. Nothing is computed here but densities and means."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from san.paper.tables import NAMES
from san.report import KERNEL_COLOURS, KERNEL_MARKERS, kernel_line, new_axes

Result = Mapping[str, Any]

ACTIVATIONS = ("extrema", "extrema_pool", "top_k_absolutes", "relu", "identity")
COLOURS = dict(zip(ACTIVATIONS, KERNEL_COLOURS, strict=False))
MARKERS = dict(zip(ACTIVATIONS, KERNEL_MARKERS, strict=False))
DASHES = {activation: kernel_line(i)["linestyle"] for i, activation in enumerate(ACTIVATIONS)}
MARKS = 12  # on a curve, for those who do not tell its colour


def plot_scatter(results: Sequence[Result]) -> Figure:
    """A panel per data set: CR⁻¹ against loss of every kernel size, and the best ones' kernels."""
    names = list(dict.fromkeys(result["data"] for result in results))
    columns = math.ceil(math.sqrt(len(names) + 1))
    rows = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(3.5 * columns, 3.4 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax, name in zip(panels, names, strict=False):
        own = [result for result in results if result["data"] == name]
        _scatter(ax, own)
        ax.set_title(name.removeprefix("physionet "), fontsize=10)
    for ax in panels[len(names) :]:
        ax.axis("off")
    for activation, label in NAMES.items():
        style = {"color": COLOURS[activation], "marker": MARKERS[activation], "markersize": 5}
        panels[len(names)].plot([], [], linestyle="", label=label, **style)
    panels[len(names)].fill_between([], [], color="#e8f3e8", label="φ < 1: worth describing so")
    panels[len(names)].legend(loc="center", frameon=False, fontsize=9)
    return figure


def _scatter(ax: Axes, results: Sequence[Result]) -> None:
    best = [next(r for r in x["rows"] if r["kernel_size"] == x["chosen"]) for x in results]
    right = max(2.2, 1.1 * max(row["inverse_compression_ratio"] for row in best))
    size = 2 if len(results[0]["rows"]) > 50 else 5
    angle = np.linspace(0, np.pi / 2, 60)
    ax.fill(np.append(0, np.cos(angle)), np.append(0, np.sin(angle)), color="#e8f3e8", zorder=0)
    order = list(NAMES)
    for result in sorted(results, key=lambda r: order.index(r["activation"])):
        colour = COLOURS[result["activation"]]
        ratio = [row["inverse_compression_ratio"] for row in result["rows"]]
        loss = [row["normalized_loss"] for row in result["rows"]]
        dots: dict[str, Any] = {
            "markersize": size,
            "alpha": 0.5,
            "markeredgewidth": 0,
            "rasterized": True,
        }
        ax.plot(ratio, loss, MARKERS[result["activation"]], color=colour, **dots)
        row = next(r for r in result["rows"] if r["kernel_size"] == result["chosen"])
        at = (row["inverse_compression_ratio"], row["normalized_loss"])
        left = 0.30 + 0.14 * order.index(result["activation"])
        inset = ax.inset_axes((left, 0.80, 0.13, 0.17))
        _draw_kernel(inset, result["kernels"][0], colour)
        ax.annotate(
            "",
            xy=at,
            xytext=(left + 0.065, 0.79),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 0.8},
        )
    ax.set_xlim(0, right)
    ax.set_ylim(0, 1.6)
    ax.set_xlabel("CR⁻¹")
    ax.set_ylabel("normalized loss")


def _draw_kernel(ax: Axes, kernel: Sequence[Any], colour: str) -> None:
    w = np.array(kernel)
    if w.ndim == 2:
        ax.imshow(w, cmap="RdBu_r", vmin=-np.abs(w).max(), vmax=np.abs(w).max())
    elif len(w) == 1:
        ax.plot([0], w, "o", color=colour, markersize=3)
    else:
        ax.axhline(0, color="0.8", linewidth=0.6)
        ax.plot(w, color=colour, linewidth=0.9)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.patch.set_alpha(0.7)


def plot_phi_over_size(
    results: Sequence[Result], published: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """Mean test φ over data sets and seeds against the kernel size; published curves dashed."""
    ax = new_axes(7, 3.6)
    for activation, label in NAMES.items():
        own = [result for result in results if result["activation"] == activation]
        if not own:
            continue
        sizes = [row["kernel_size"] for row in own[0]["rows"]]
        phi = np.array([[row["phi"] for row in result["rows"]] for result in own])
        colour = COLOURS[activation]
        _plot_mean(ax, sizes, phi, _weights(own), activation, label)
        if published is not None and activation in published:
            curve = published[activation]
            ax.plot(curve[:, 0], curve[:, 1], "--", color=colour, linewidth=0.9)
    if published:
        ax.plot([], [], "--", color="0.3", linewidth=0.9, label="published, same records")
    ax.set_ylim(0, 2.6)
    ax.set_xlabel("kernel size m (samples)")
    ax.set_ylabel("mean test φ")
    ax.legend(frameon=False, fontsize=8, ncols=3)
    return _figure(ax)


def plot_phi_over_epochs(results: Sequence[Result]) -> Figure:
    """Mean validation φ of the chosen kernel sizes against the epoch."""
    ax = new_axes(7, 3.2)
    for activation, label in NAMES.items():
        own = [result for result in results if result["activation"] == activation]
        if not own:
            continue
        phi = np.array([result["history"] for result in own])
        epochs = range(1, phi.shape[1] + 1)
        _plot_mean(ax, epochs, phi, _weights(own), activation, label)
    ax.set_ylim(0, 2.6)
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean validation φ")
    ax.legend(frameon=False, fontsize=8, ncols=3)
    return _figure(ax)


def _weights(results: Sequence[Result]) -> np.ndarray:
    """The same weight for every data set, shared by its seeds."""
    names = [result["data"] for result in results]
    return np.array([1 / names.count(name) for name in names])


def _plot_mean(
    ax: Axes, x: Sequence[int], phi: np.ndarray, weights: np.ndarray, activation: str, label: str
) -> None:
    """The mean over the rows of φ, and a band of their standard deviation."""
    mean = np.average(phi, axis=0, weights=weights)
    deviation = np.sqrt(np.average((phi - mean) ** 2, axis=0, weights=weights))
    colour, every = COLOURS[activation], max(1, len(mean) // MARKS)
    style: dict[str, Any] = {"marker": MARKERS[activation], "markersize": 4, "markevery": every}
    ax.plot(x, mean, color=colour, label=label, linewidth=1.2, **style)
    ax.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.12, linewidth=0)


def plot_density(results: Sequence[Result]) -> Figure:
    """Where the models of each activation lie in the plane of CR⁻¹ and loss."""
    from scipy.stats import gaussian_kde

    ax = new_axes(5, 4.4)
    angle = np.linspace(0, np.pi / 2, 60)
    ax.plot(np.cos(angle), np.sin(angle), color="0.6", linewidth=0.8, label="φ = 1")
    grid = np.stack(np.meshgrid(np.linspace(0, 2.5, 120), np.linspace(0, 1.6, 120)))
    for activation, label in NAMES.items():
        points = np.array(
            [
                (row["inverse_compression_ratio"], row["normalized_loss"])
                for result in results
                if result["activation"] == activation
                for row in result["rows"]
            ]
        ).reshape(-1, 2)
        if len(points) < 10 or (points.std(0) < 1e-9).any():
            continue
        density = gaussian_kde(points.T)(grid.reshape(2, -1)).reshape(grid.shape[1:])
        colour, dashes = COLOURS[activation], DASHES[activation]
        ax.contour(
            grid[0], grid[1], density, levels=[1.0], colors=[colour], linewidths=1.2,
            linestyles=[dashes],
        )  # fmt: skip
        ax.contourf(grid[0], grid[1], density, levels=[1.0, np.inf], colors=[colour], alpha=0.25)
        ax.plot([], [], color=colour, linestyle=dashes, label=label)
    ax.set_xlabel("CR⁻¹")
    ax.set_ylabel("normalized loss")
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    return _figure(ax)


def plot_kernel_grid(results: Sequence[Result]) -> Figure:
    """The chosen kernels: a row per activation, a column per data set."""
    names = list(dict.fromkeys(result["data"] for result in results))
    shape = (len(NAMES), len(names))
    figure = Figure(figsize=(1.7 * shape[1] + 1.2, 1.1 * shape[0] + 0.4), layout="constrained")
    axes = figure.subplots(*shape, squeeze=False)
    for row, (activation, label) in zip(axes, NAMES.items(), strict=True):
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        for ax, name in zip(row, names, strict=True):
            ax.set_xticks([])
            ax.set_yticks([])
            for result in results:
                if (result["data"], result["activation"]) == (name, activation):
                    _draw_kernel(ax, result["kernels"][0], COLOURS[activation])
                    ax.set_title(f"m = {result['chosen']}", fontsize=7, pad=2)
                    break
    for ax, name in zip(axes[-1], names, strict=True):
        lines = name.removeprefix("physionet ").replace("/", "/\n").replace(" (", "\n(")
        ax.set_xlabel(lines, fontsize=8)
    return figure


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    return figure
