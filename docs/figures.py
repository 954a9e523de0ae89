"""Draw the figures of the documentation: `python docs/figures.py` writes them into docs/images."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import san
from san.report import COLOURS

IMAGES = Path(__file__).parent / "images"
SHOWN = slice(3600, 3600 + 3 * 360)  # samples
PRDNS = (2, 4, 8, 16, 32)  # per cent


def draw_overview():
    """A test window's way through the network that the tutorial trains."""
    train, validation, test = san.datasets.load_splits("physionet")
    settings = san.Settings(activation="extrema", kernel_sizes=(180,), kernels=2, epochs=10)
    model = san.fit(settings, train.x, validation.x, test.x).model
    with torch.no_grad():
        x_hat, activations, similarities = model(torch.from_numpy(test.x))
    return san.report.plot_overview(
        test.x[0, 0],
        [w.detach().numpy()[0] for w in model.kernels],
        similarities[0].numpy(),
        activations[0].numpy(),
        x_hat[0, 0].numpy(),
        test.fs,
        test.scale,
    )


def draw_stream():
    """Three seconds before and after two streams, and the size of streams against their error."""
    recording = san.datasets.load_recording()
    x, fs = recording.x[:, 0], recording.fs
    blobs = {prdn: san.compress(x, fs, prdn=prdn) for prdn in PRDNS}
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    t = np.arange(SHOWN.start, SHOWN.stop) / fs
    left.plot(t, x[SHOWN], color=COLOURS["original"], linewidth=3, label="original")
    drawn = ((8, COLOURS["reconstruction"], "-"), (32, COLOURS["error"], "--"))
    for prdn, colour, dashes in drawn:
        y = san.decompress(blobs[prdn], SHOWN.start, SHOWN.stop)
        label = f"PRDN {prdn} %, {len(blobs[prdn]):,} bytes"
        left.plot(t, y, dashes, color=colour, linewidth=0.9, label=label)
    left.set(xlabel="time (s)", ylabel="mV")
    left.legend(
        frameon=False, fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1)
    )
    sizes = [8 * len(blob) / len(x) for blob in blobs.values()]
    right.loglog(PRDNS, sizes, ".-", color=COLOURS["signal"])
    right.set(xlabel="PRDN (%)", ylabel="bits per sample")
    right.set_xticks(PRDNS, list(map(str, PRDNS)))
    right.set_xticks([], minor=True)
    ticks = (0.1, 0.2, 0.5, 1)
    right.set_yticks(ticks, list(map(str, ticks)))
    right.set_yticks([], minor=True)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def draw_positions():
    """A beat as one event of 180 samples, and its peak as one of 9 and one of 8 samples."""
    train, _, test = san.datasets.load_splits("physionet")
    x = torch.from_numpy(test.x[:1])
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplot_mosaic([["180", "180"], ["9", "8"]])
    t = 0
    for name, ax in axes.items():
        m = int(name)
        model = san.SAN1d([m], "extrema", [m - 3], init="data", data=train.x)
        events = model.encode(x)
        if t == 0:
            t = int(events.position[events.amplitude.abs().argmax(), 0])
        near = int((events.position[:, 0] - t).abs().argmin())
        _draw_event(ax, test.x[0, 0], model, events, near)
    axes["180"].set_ylabel(test.scale)
    axes["9"].set_ylabel(test.scale)
    return figure


def _draw_event(ax, x, model, events, number):
    """Draw a signal and one event of it: its kernel, and its first, middle and last sample."""
    w = model.kernels[0].detach().numpy()[0]
    m, t = len(w), int(events.position[number, 0])
    first, last = t - (m - 1) // 2, t + m // 2
    drawn = float(events.amplitude[number]) * w
    style = ".-" if m < 20 else "-"
    shown = np.arange(first - m // 2 - 1, last + m // 2 + 2)
    colours = COLOURS["original"], COLOURS["reconstruction"]
    ax.plot(shown, x[shown], style, color=colours[0], linewidth=3, label="signal")
    ax.plot(np.arange(first, last + 1), drawn, style, color=colours[1], label="event, as drawn")
    low = min(x[shown].min(), drawn.min())
    span = max(x[shown].max(), drawn.max()) - low
    ax.axvspan(first, last, color=colours[1], alpha=0.07, linewidth=0)
    for place, words in ((first, "first"), (t, "position"), (last, "last")):
        ax.axvline(place, ymin=0.2, color=colours[1], linewidth=0.9, linestyle="--")
        text = f"{words}\n{place}"
        ax.annotate(text, (place, low - 0.38 * span), ha="center", va="bottom", fontsize="small")
    ax.set_ylim(low - 0.4 * span, low + 1.1 * span)
    ax.set_title(f"m = {m}: {t - first} samples before the position, {last - t} after", fontsize=10)
    ax.set_xlabel("sample")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    if m >= 20:
        ax.legend(frameon=False, fontsize="small", loc="upper left")


if __name__ == "__main__":
    draw_overview().savefig(IMAGES / "tutorial_overview.png", dpi=110)
    draw_stream().savefig(IMAGES / "tutorial_stream.png", dpi=140)
    draw_positions().savefig(IMAGES / "positions.png", dpi=110)
