"""What the exploring page starts with: an excerpt of a recording, standardised, and kernels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from san.files.reading import read
from san.files.table_layout import TableOptions
from san.networks.choices import BORDER_TOLERANCE
from san.pages import page
from san.pages.span import check_begin, span_of
from san.signals import Recording

SAMPLES = 3000  # of the excerpt, unless told otherwise
KERNEL_SIZE = 150
BUNDLED_START = 260.0  # seconds
MOST_SAMPLES = 20_000
MOST_KERNEL = 2000
STYLES = ("base.css", "explore.css")
SCRIPTS = ("mathematics.js", "styles.js", "plot.js", "document.js", "editor.js", "explore.js")


@dataclass(frozen=True)
class Excerpt:
    """Samples of one channel, less their mean, in standard deviations."""

    x: np.ndarray  # float32 (n,)
    fs: float | None  # sampling rate in Hz
    start: int  # its first sample in the recording
    source: str
    channel: str
    units: str
    mean: float
    deviation: float


def excerpt(
    path: Path | None,
    channel: int = 0,
    start: float | None = None,
    seconds: float | None = None,
    samples: int | None = None,
    fs: float | None = None,
    start_sample: int | None = None,
    table: TableOptions | None = None,
) -> Excerpt:
    """Take a part of one channel of a recording and standardise it, as `san train` does.

    Parameters
    ----------
    path : Path or None
        A file that `san.read` reads; None for the bundled recording.
    channel : int
        From 0. Where signals have several rates, those of the rate with the most samples come
        first, then those of the others, each in the order of the file.
    start : float, optional
        Where it begins, in seconds. Default: 0; for the bundled recording 260.
    seconds, samples : float, int, optional
        How long it is, 3000 samples unless one of them is given. What is beyond the end is left
        out.
    fs : float, optional
        Sampling rate in Hz where the file does not say.
    start_sample : int, optional
        Where it begins, in samples. Not together with `start`.
    table : TableOptions, optional
        How a `.csv` table is written; what is not said is found out.

    Returns
    -------
    Excerpt

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it cannot be read, has no such channel or samples, or a sample there is no number.

    Examples
    --------
    >>> part = excerpt(None, start=10.0, seconds=2.0)
    >>> part.x.shape, part.fs, part.start, part.units
    ((720,), 360.0, 3600, 'mV')
    """
    if start is None and start_sample is None and path is None:
        start = BUNDLED_START
    part_of, column = _channel_of(_read(path, fs, table), channel)
    columns = part_of.x
    if not len(columns):
        raise ValueError("the recording has no samples")
    span = span_of(part_of.fs, start, start_sample, seconds, samples)
    check_begin(span, len(columns), part_of.fs, "the excerpt")
    first, count = span.first, SAMPLES if span.count is None else span.count
    if not 2 <= count <= MOST_SAMPLES:
        raise ValueError(f"an excerpt has 2 to {MOST_SAMPLES} samples, got {span.length}")
    part = np.asarray(columns[first : first + count, column], np.float64)
    odd = np.flatnonzero(~np.isfinite(part))
    if len(odd):
        raise ValueError(f"sample {first + odd[0]} is not a number: choose another --start-sample")
    mean, deviation = float(part.mean()), float(part.std(ddof=1)) if len(part) > 1 else 0.0
    return Excerpt(
        x=((part - mean) / (deviation or 1.0)).astype(np.float32),
        fs=part_of.fs,
        start=first,
        source="MIT-BIH record 208" if path is None else path.name,
        channel=part_of.names[column] or f"channel {channel}",
        units=part_of.units[column],
        mean=mean,
        deviation=deviation,
    )


def explore_page(
    part: Excerpt, model: Path | None = None, kernel_size: int = KERNEL_SIZE, kernels: int = 2
) -> str:
    """Make the page on which one signal, its kernels and its activation can be changed.

    Parameters
    ----------
    part : Excerpt
        The signal.
    model : Path, optional
        A run folder of `san train` or its model.safetensors, whose kernels and activation the page
        begins with; otherwise segments of the signal, and Extrema.
    kernel_size, kernels : int
        Length and number of the kernels without a model.

    Returns
    -------
    str
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        If the model is not there, is no SAN of signals, or has several channels and none of the
        name of this one; if a size does not fit.

    Examples
    --------
    >>> page = explore_page(excerpt(None), kernel_size=90)
    >>> page.startswith("<!DOCTYPE html>")
    True
    """
    most = min(MOST_KERNEL, len(part.x))
    if not 1 <= kernel_size <= most:
        raise ValueError(f"a kernel must have 1 to {most} samples here, got {kernel_size}")
    if not 1 <= kernels <= 6:
        raise ValueError(f"the page has 1 to 6 kernels, got {kernels}")
    begin: dict[str, Any] = {
        "kernels": [], "kernelCount": kernels, "kernelSize": kernel_size,
        "activation": "extrema", "parameter": None, "decoder": "adjoint",
        "compete": kernels > 1,
    }  # fmt: skip
    note = "Its kernels begin as segments of the signal."
    if model is not None:
        begin, note = _of_model(model, most, part.channel)
    unit = f" {part.units}" if part.units else ""
    length = f"{len(part.x) / part.fs:.4g} s" if part.fs else f"{len(part.x)} samples"
    data = {
        "signal": page.packed(part.x),
        "fs": part.fs,
        "start": part.start,
        "unit": part.units,
        "mean": part.mean,
        "deviation": part.deviation or 1.0,
        "tolerance": BORDER_TOLERANCE,
        "intro": f"{part.source}, {part.channel}: {length}, less its mean, one standard deviation "
        f"is {part.deviation:.4g}{unit}. {note} Everything is computed on this page.",
        **begin,
    }
    return page.assemble(f"SAN: {part.source}", "explore.html", STYLES, SCRIPTS, data)


def _row_of(file: Path, channel: str) -> int:
    """Which channel of a model has the name of the channel that is shown."""
    from san import storage

    notes = storage.read_tensors(file)[1].get("notes")
    names = notes.get("names", []) if isinstance(notes, dict) else []
    if channel not in names:
        listed = ", ".join(map(str, names)) or "unknown"
        raise ValueError(
            f"{file} has the channels {listed}, and {channel} is shown: choose one of them with "
            "--channel"
        )
    return int(names.index(channel))


def _read(path: Path | None, fs: float | None, table: TableOptions | None) -> Recording:
    if path is None:
        from san import datasets

        return datasets.load_recording()
    return read(path, fs=fs, annotations=False, table=table)


def _channel_of(recording: Recording, channel: int) -> tuple[Recording, int]:
    """The signals of one rate that a channel is among, and its number there."""
    parts = (recording, *recording.others)
    count = sum(part.x.shape[1] for part in parts)
    if not 0 <= channel < count:
        rates = f": {_listed(parts)}" if recording.others else ""
        raise ValueError(f"--channel must be from 0 to {count - 1}, got {channel}{rates}")
    for part in parts:
        if channel < part.x.shape[1]:
            break
        channel -= part.x.shape[1]
    return part, channel


def _listed(parts: Sequence[Recording]) -> str:
    """The channels with their numbers, names and rates."""
    each = [(part.fs, name) for part in parts for name in part.names]
    return ", ".join(f"{c} {name} ({fs or 0:g} Hz)" for c, (fs, name) in enumerate(each))


def _of_model(path: Path, most: int, channel: str) -> tuple[dict[str, Any], str]:
    """What the page begins with, from a trained model, and a sentence about it."""
    from san.networks.san import SAN

    file = path / "model.safetensors" if path.is_dir() else path
    model = SAN.load(file)
    if model.dimensions != 1:
        raise ValueError(
            f"{file} has {model.channels} channels in {model.dimensions} dimensions: the page "
            "shows kernels of one channel of a signal"
        )
    row = 0 if model.channels == 1 else _row_of(file, channel)
    weights = [w.detach().cpu().numpy()[row] for w in model.kernels]
    if len(weights) > 6 or max(map(len, weights)) > most:
        raise ValueError(
            f"{file} has {len(weights)} kernels of up to {max(map(len, weights))} samples: the "
            f"page shows 6 of up to {most}, the length of the excerpt"
        )
    rows = {row[0] for row in model.sparsity or ()}
    note = f"Its kernels and its activation are those of {path.name}"
    if model.channels > 1:
        note += (
            f", which has {model.channels} channels; here are its kernels of {channel} alone, so "
            "the events are others"
        )
    if model.passes > 1 or model.refit:
        note += (
            f", of {model.passes} passes{' with refitted amplitudes' * model.refit}; the page does "
        )
        note += "one pass and no refit"
    return {
        "kernels": [page.packed(w) for w in weights],
        "kernelCount": len(weights),
        "kernelSize": len(weights[0]),
        "activation": model.activation,
        "parameter": rows.pop() if len(rows) == 1 else None,
        "decoder": model.decoder,
        "compete": model.compete,
    }, note + "."
