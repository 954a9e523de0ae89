"""The command of events: `san events` lists them as a table or as annotations."""

from pathlib import Path
from typing import Annotated

import typer

from san.command import parts, written
from san.command.options import (
    Force,
    Json,
    NeededDictionary,
    UnstatedFs,
)

SOURCE = """A WFDB record, .edf, .bdf, .npy, .csv or a stream. Without --model a recording is
compressed in memory at a PRDN of 8 %, and its events are those of that stream."""
OUT = """Files to write: .csv, .json or .parquet for a table with one row for each event; any other
ending is that of a WFDB annotation file, such as 100.events."""
MODEL = "Run folder of `san train`, or its model.safetensors, which describes the recording."
CHANNEL = """Number of a channel that the model describes, from 0. Can be given several times.
Default: the first ones."""


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(events)


def events(
    source: Annotated[Path, typer.Argument(metavar="RECORDING|STREAM", help=SOURCE)],
    out: Annotated[
        list[Path] | None, typer.Argument(metavar="[OUT]...", help=OUT, show_default=False)
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help=MODEL, metavar="RUN", show_default=False)
    ] = None,
    channel: Annotated[list[int] | None, typer.Option(help=CHANNEL, show_default=False)] = None,
    fs: UnstatedFs = None,
    dictionary: NeededDictionary = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """List the events of a stream, or those that a model finds in a recording.

    Each event has its time, kernel, amplitude, the interval since the event before, and the error
    that the events leave there.
    """
    files = out or []
    written.check(files, force)
    import numpy as np

    from san.event_table import of_file

    found = of_file(source, model, channel, fs=fs, dictionary=dictionary)
    written.write(found, files)
    if as_json:
        print(found.to_json())
        return
    counts = np.bincount(found.kernel) if len(found) else np.zeros(0, np.int64)
    listed = ", ".join(f"{number} with kernel {k}" for k, number in enumerate(counts) if number)
    parts.say(f"{len(found)} events{': ' * bool(listed)}{listed}")
    for file in files:
        parts.say(f"{file}: {len(found)} events")
