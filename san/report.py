"""Figures and tables of a run. Nothing is computed here: numbers come in, pictures go out.

Each plot draws on the axes it is given, or on new ones, and returns their figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from san import deprecated

#: Of what is plotted. A reader who does not see red or green tells these colours apart.
COLOURS = {
    "signal": "#33415c",
    "original": "#8592aa",
    "similarity": "#7d8597",
    "reconstruction": "#a3200d",
    "error": "#005f8f",
    "published": "#c96a0a",
}
#: Of the kernels, in their order. A reader who does not see red or green tells them apart, too.
KERNEL_COLOURS = ("#1a4fd6", "#c96a0a", "#0b4a2b", "#e0529c", "#2b95e6", "#42105c")
#: Lengths of strokes and gaps, in widths of the line. With the colours they give twelve styles.
KERNEL_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (5, 1.5, 1, 1.5), (1.5, 1.5))
#: Of events. They are filled for the first kernels, and hollow from the seventh kernel on.
KERNEL_MARKERS = ("o", "s", "^", "D", "v", "P")
_WIDE = 3.0  # points, of a signal that a reconstruction is drawn over: both remain visible


def new_axes(width: float = 7.0, height: float = 2.6) -> Axes:
    """Return the axes of a new figure, in inches, that belongs to no window."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def kernel_line(i: int) -> dict[str, Any]:
    """Return the colour and the dashes of kernel i, from 0, as Matplotlib takes them.

    Twelve kernels have twelve styles; then they begin again.

    Examples
    --------
    >>> kernel_line(0)["linestyle"], kernel_line(7)["color"] == kernel_line(1)["color"]
    ('-', True)
    >>> kernel_line(7)["linestyle"] == kernel_line(1)["linestyle"]
    False
    """
    dashes = KERNEL_DASHES[i % len(KERNEL_DASHES)]
    return {
        "color": KERNEL_COLOURS[i % len(KERNEL_COLOURS)],
        "linestyle": (0, dashes) if dashes else "-",
    }


def kernel_marker(i: int) -> dict[str, Any]:
    """Return the colour and the marker of the events of kernel i, from 0, as Matplotlib takes them.

    Examples
    --------
    >>> [kernel_marker(i)["marker"] for i in (0, 1, 6)], kernel_marker(6)["markerfacecolor"]
    (['o', 's', 'o'], 'white')
    """
    colour = KERNEL_COLOURS[i % len(KERNEL_COLOURS)]
    hollow = i // len(KERNEL_COLOURS) % 2
    return {
        "color": colour,
        "marker": KERNEL_MARKERS[i % len(KERNEL_MARKERS)],
        "markersize": 4,
        "markerfacecolor": "white" if hollow else colour,
    }


@deprecated.arguments(sampling_rate="fs")
def plot_signal(
    x: np.ndarray,
    fs: float | None = None,
    scale: str = "",
    ax: Axes | None = None,
    label: str = "signal $x$",
    colour: str = COLOURS["signal"],
) -> Figure:
    """Plot a signal (L,) against time, or an image (H, W)."""
    ax = ax or new_axes()
    if x.ndim == 2:
        _show_images(ax, [x], label)
    else:
        ax.plot(_time(len(x), fs), x, color=colour, linewidth=0.9, label=label)
        _finish(ax, fs, scale)
    return _figure(ax)


@deprecated.arguments(sampling_rate="fs")
def plot_kernels(
    kernels: Sequence[np.ndarray], fs: float | None = None, ax: Axes | None = None
) -> Figure:
    """Plot kernels, each (m,), in one panel; of images, each (m, m), side by side."""
    ax = ax or new_axes(4.0, 2.6)
    if kernels[0].ndim == 2:
        _show_images(ax, kernels, "kernel $w$")
        return _figure(ax)
    for i, w in enumerate(kernels):
        label = f"kernel $w_{{{i + 1}}}$, m = {len(w)}"
        ax.plot(_time(len(w), fs), w, label=label, **kernel_line(i))
    _finish(ax, fs, "weight")
    return _figure(ax)


@deprecated.arguments(sampling_rate="fs")
def plot_similarities(
    similarities: np.ndarray, fs: float | None = None, ax: Axes | None = None
) -> Figure:
    """Plot the similarity maps (q, L) of one signal; of an image, (q, H, W), side by side."""
    ax = ax or new_axes()
    if similarities.ndim == 3:
        _show_images(ax, similarities, "similarity $s$")
        return _figure(ax)
    for i, s in enumerate(similarities):
        label = f"similarity $s_{{{i + 1}}}$"
        ax.plot(_time(len(s), fs), s, linewidth=0.9, label=label, **kernel_line(i))
    _finish(ax, fs, "similarity")
    return _figure(ax)


@deprecated.arguments(sampling_rate="fs")
def plot_activations(
    activations: np.ndarray, fs: float | None = None, ax: Axes | None = None
) -> Figure:
    """Plot the non-zeros of activation maps (q, L) as stems; of an image, maps side by side."""
    ax = ax or new_axes()
    if activations.ndim == 3:
        _show_images(ax, activations, "activations $α$")
        return _figure(ax)
    for i, a in enumerate(activations):
        where = np.flatnonzero(a)
        times, line = _time(len(a), fs)[where], kernel_line(i)
        label = f"activations $α_{{{i + 1}}}$: {len(where)} of {len(a)}"
        sparse = len(where) * 8 < len(a)
        ax.vlines(times, 0, a[where], linewidth=1, label="_stems" if sparse else label, **line)
        if sparse:
            ax.plot(times, a[where], linestyle="", label=label, **kernel_marker(i))
    ax.axhline(0, color="0.6", linewidth=0.6)
    ax.set_xlim(0, (activations.shape[1] - 1) / (fs or 1))
    _finish(ax, fs, "activation")
    return _figure(ax)


@deprecated.arguments(sampling_rate="fs")
def plot_reconstruction(
    x: np.ndarray,
    x_hat: np.ndarray,
    fs: float | None = None,
    scale: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Plot a reconstruction (L,) over its signal; of an image (H, W), the reconstruction."""
    ax = ax or new_axes()
    if x.ndim == 2:
        _show_images(ax, [x_hat], r"reconstruction $\hat{x}$")
        return _figure(ax)
    ax.plot(_time(len(x), fs), x, color=COLOURS["original"], linewidth=_WIDE, label="signal $x$")
    label, colour = r"reconstruction $\hat{x}$", COLOURS["reconstruction"]
    return plot_signal(x_hat, fs, scale, ax, label, colour)


def plot_error(
    x: np.ndarray,
    x_hat: np.ndarray,
    fs: float | None = None,
    scale: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Plot a reconstruction (L,) less its signal; of an image (H, W), the difference."""
    ax = ax or new_axes(7.0, 1.8)
    label = r"error $\hat{x} - x$"
    return plot_signal(x_hat - x, fs, scale, ax, label, COLOURS["error"])


@deprecated.arguments(sampling_rate="fs")
def plot_overview(
    x: np.ndarray,
    kernels: Sequence[np.ndarray],
    similarities: np.ndarray,
    activations: np.ndarray,
    x_hat: np.ndarray,
    fs: float | None = None,
    scale: str = "",
    title: str = "",
) -> Figure:
    """Plot a signal's way through a model: kernels, similarity, activations, result, error."""
    if x.ndim == 2:
        wide = 1 + 0.8 * (len(kernels) - 1)
        figure = Figure(figsize=(2.6 * (3 + 3 * wide), 2.9), layout="constrained")
        axes = list(figure.subplots(1, 6, width_ratios=[1, wide, wide, wide, 1, 1]))
    else:
        figure = Figure(figsize=(9, 11), layout="constrained")
        axes = list(figure.subplots(6, 1, height_ratios=[5, 5, 5, 5, 5, 4]))
    plot_signal(x, fs, scale, axes[0])
    plot_kernels(kernels, fs, axes[1])
    plot_similarities(similarities, fs, axes[2])
    plot_activations(activations, fs, axes[3])
    plot_reconstruction(x, x_hat, fs, scale, axes[4])
    plot_error(x, x_hat, fs, scale, axes[5])
    figure.suptitle(title)
    return figure


def plot_sweep(
    validation_phi: Mapping[int, float],
    chosen: int,
    published: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Plot the validation φ of each kernel size, with the chosen one and the published test φ."""
    ax = ax or new_axes(7.0, 3.2)
    sizes = sorted(validation_phi)
    values = [validation_phi[m] for m in sizes]
    ax.plot(sizes, values, ".-", color=COLOURS["signal"], linewidth=0.9, label="validation")
    ax.plot(
        chosen,
        validation_phi[chosen],
        "o",
        color=COLOURS["reconstruction"],
        label=f"chosen, m = {chosen}",
    )
    if published:
        m, value = published["kernel_size"], published["phi"]
        ax.plot(m, value, "d", color=COLOURS["published"], label=f"published test, m = {m:.0f}")
    ax.set_xlabel("kernel size m (samples)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("mean φ")
    _legend(ax)
    return _figure(ax)


def plot_history(
    epochs: Sequence[int], phi: Sequence[float], kernel_size: int, ax: Axes | None = None
) -> Figure:
    """Plot the validation φ of the chosen kernel size against the epoch."""
    ax = ax or new_axes(7.0, 3.2)
    label = f"validation, m = {kernel_size}"
    ax.plot(epochs, phi, ".-", color=COLOURS["signal"], linewidth=0.9, label=label)
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean φ")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(ax)
    return _figure(ax)


def sizes_text(sizes: Sequence[int]) -> str:
    """Write the kernel sizes of a model in a few characters.

    Examples
    --------
    >>> sizes_text([180, 180]), sizes_text([40, 150, 40, 150])
    ('180', '40+150')
    """
    return "+".join(str(size) for size in dict.fromkeys(sizes))


def result_rows(
    name: str,
    scores: Mapping[str, float],
    published: Sequence[Mapping[str, float]],
    kernel_sizes: Sequence[int] | None = None,
) -> list[tuple[str, ...]]:
    """Rows of the table at the end of a run: name, m, CR⁻¹, loss, φ, as text.

    `scores` has kernel_size, inverse_compression_ratio, normalized_loss and phi. Of several
    published rows the one with the same kernel size is taken, else the one with the lowest φ.
    `kernel_sizes` are those of all kernels, where they are not all the same.
    """
    size, *others = _numbers(scores, 3)
    size = sizes_text(kernel_sizes) if kernel_sizes else size
    rows: list[tuple[str, ...]] = [(name, size, *others)]
    if published:
        same = [row for row in published if row["kernel_size"] == scores["kernel_size"]]
        best = min(same or published, key=lambda row: row["phi"])
        rows.append(("  published", *_numbers(best, 2)))
    return rows


def _numbers(row: Mapping[str, float], digits: int) -> tuple[str, str, str, str]:
    names = ("inverse_compression_ratio", "normalized_loss", "phi")
    ratio, loss, phi = (f"{row[name]:.{digits}f}" for name in names)
    return f"{row['kernel_size']:.0f}", ratio, loss, phi


def _time(samples: int, fs: float | None) -> np.ndarray:
    return np.arange(samples) / (fs or 1)


def _show_images(ax: Axes, images: Sequence[np.ndarray] | np.ndarray, title: str) -> None:
    """Show images of one size side by side, with one colour scale."""
    largest = max(float(np.abs(image).max()) for image in images) or 1.0
    signed = any(bool((image < 0).any()) for image in images)
    gap = np.full((images[0].shape[0], max(1, images[0].shape[1] // 10)), np.nan)
    row = [part for image in images for part in (gap, image)][1:]
    shown = ax.imshow(
        np.concatenate(row, axis=1),
        cmap="RdBu_r" if signed else "Greys",
        vmin=-largest if signed else 0,
        vmax=largest,
    )
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])
    _figure(ax).colorbar(shown, ax=ax, shrink=0.7)


def _finish(ax: Axes, fs: float | None, label: str) -> None:
    ax.set_xlabel("time (s)" if fs else "sample")
    ax.set_ylabel(label)
    ax.margins(x=0)
    _legend(ax)


def _legend(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=3,
        fontsize="small",
        frameon=False,
        borderpad=0,
    )


def _figure(ax: Axes) -> Any:
    return ax.figure
