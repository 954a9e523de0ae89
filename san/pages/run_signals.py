"""What a report shows of test signals: what the chosen model makes of them, or a figure instead."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from san.datasets import MissingData, Splits
from san.networks.san import SAN
from san.pages import page
from san.training import runs
from san.training.run_settings import RunData
from san.training.settings import Settings

MOST_WINDOWS = 6  # of the test split that are shown
MOST_CHANNELS = 12  # of a window that are shown
MOST_IMAGES = 12
LARGEST_FIGURE = 1 << 20  # bytes


def kernels_of(model: SAN) -> list[dict[str, Any]]:
    """Kernels as the decoder draws them, from `before` samples before the event's position on."""
    found = []
    for w, size in zip(model.kernels, model.kernel_sizes, strict=True):
        values = w.detach().cpu().numpy()
        if model.dimensions == 2:
            found.append({"rows": size[0], "columns": size[1], "image": page.packed(values[0]),
                          "note": " × ".join(map(str, size))})  # fmt: skip
            continue
        before = (size[0] - 1) // 2
        if model.decoder == "paper":
            values, before = values[:, ::-1], size[0] // 2
        found.append(
            {
                "channels": [page.packed(row) for row in values],
                "before": before,
                "note": f"m = {size[0]}",
            }
        )
    return found


def show_test(
    content: dict[str, Any],
    folder: Path,
    source: RunData,
    settings: Settings,
    model: SAN,
    data_dir: str | None,
) -> None:
    """Run the model on the first test signals; without the data, show a figure of the folder."""
    try:
        splits = runs.find_signals(folder, source, settings, data_dir)
    except (MissingData, ValueError, OSError) as error:
        content["words"].append(("Test signals", f"Not recomputed: {error}. The figure is the one "
                                "that the run folder holds."))  # fmt: skip
        figure = folder / "figures" / "overview.png"
        if figure.is_file() and figure.stat().st_size <= LARGEST_FIGURE:
            content["figure"] = base64.b64encode(figure.read_bytes()).decode()
        return
    if model.dimensions == 2:
        content["images"] = _images(model, splits)
    else:
        content["views"] = _views(model, splits)
        content["kernelsFs"] = splits.test.fs
    shown = len({view["window"] for view in content["views"]}) or len(content["images"])
    content["words"].append(
        ("Test signals", f"The first {shown} of {len(splits.test.x)}, recomputed for this page "
         "with the chosen model on the run's data, whose checksums agree."))  # fmt: skip


def _forward(model: SAN, splits: Splits, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import torch

    x = splits.test.x[:most]
    with torch.no_grad():
        output = model(torch.from_numpy(np.ascontiguousarray(x)))
    return x, output.x_hat.numpy(), output.activations.numpy()


def _views(model: SAN, splits: Splits) -> list[dict[str, Any]]:
    test = splits.test
    x, x_hat, alpha = _forward(model, splits, MOST_WINDOWS)
    views = []
    channels = min(x.shape[1], MOST_CHANNELS)
    shown = max(1, MOST_WINDOWS // channels)
    for i, c in ((i, c) for i in range(min(shown, len(x))) for c in range(channels)):
        kernel, position = np.nonzero(alpha[i])
        lead = f", {test.names[c]}" if channels > 1 and c < len(test.names) else ""
        origin = f" of {test.recordings[i]}" if test.recordings else ""
        views.append(
            {
                "label": f"{test.name}, test signal {i + 1}{origin}{lead}",
                "window": i,
                "scale": test.scale,
                "fs": test.fs,
                "start": 0,
                "total": x.shape[2],
                "signal": page.packed(x[i, c]),
                "decoded": page.packed(x_hat[i, c]),
                "channel": c,
                "events": {
                    "kernel": page.packed(kernel, np.int32),
                    "position": page.packed(position, np.int32),
                    "amplitude": page.packed(alpha[i][kernel, position]),
                },
            }
        )
    return views


def _images(model: SAN, splits: Splits) -> list[dict[str, Any]]:
    x, x_hat, alpha = _forward(model, splits, MOST_IMAGES)
    return [
        {
            "rows": x.shape[2],
            "columns": x.shape[3],
            "signal": page.packed(x[i, 0]),
            "decoded": page.packed(x_hat[i, 0]),
            "events": page.packed(alpha[i].sum(0)),
            "note": f"{np.count_nonzero(alpha[i])} events",
        }
        for i in range(len(x))
    ]
