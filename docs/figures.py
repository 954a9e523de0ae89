"""Draw the figures of the tutorial: `python docs/figures.py` writes them into docs/images."""

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
    left.plot(t, x[SHOWN], color=COLOURS["signal"], linewidth=2.5, alpha=0.35, label="original")
    for prdn, colour in ((8, COLOURS["reconstruction"]), (32, COLOURS["published"])):
        y = san.decompress(blobs[prdn], SHOWN.start, SHOWN.stop)
        label = f"PRDN {prdn} %, {len(blobs[prdn]):,} bytes"
        left.plot(t, y, color=colour, linewidth=0.9, label=label)
    left.set(xlabel="time (s)", ylabel="mV")
    left.legend(frameon=False, fontsize="small")
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


if __name__ == "__main__":
    draw_overview().savefig(IMAGES / "tutorial_overview.png", dpi=110)
    draw_stream().savefig(IMAGES / "tutorial_stream.png", dpi=140)
