"""The commands that make pages: explore, report. Each writes one file that opens offline."""

import json
from pathlib import Path
from typing import Annotated

import typer

from san.command import parts, progress, tables
from san.command.files import check_free, naming
from san.command.options import (
    Json,
    NeededDictionary,
    UnstatedFs,
)

SIGNAL = """A WFDB record, .edf, .bdf, .npy, .csv or a stream. Default: the bundled recording."""
OUTPUT = "File to write: NAME.html."
FORCE = "Replace the file if it is there."
CHANNEL = "Channel, from 0; those of the rate with the most samples come first. Default: 0."
START = "Where the excerpt begins, in seconds. Default: 0; for the bundled recording 260."
START_SAMPLE = "Where the excerpt begins, in samples."
SECONDS = "Length of the excerpt, in seconds. Default: as --samples says."
SAMPLES = "Length of the excerpt, in samples. Default: 3000."
MODEL = "Run folder of `san train`, or its model: kernels and activation to begin with."
KERNEL_SIZE = "Samples of a kernel that begins as a segment of the signal. Default: 150."
KERNELS = "How many of them, up to 6. Default: 2."
SOURCE = """A stream that `san compress` wrote, a folder of `san archive`, a run folder of
`san train`, or several run folders, which the page compares."""
ORIGINAL = "What the stream was made of, to compare: shows errors, and what others would cost."
ONLY = """The only channel that the page shows, by its number, from 0. Default: the first 8
channels of the rate with the most samples."""
DETAIL = "Where the part that is shown sample by sample begins, in seconds. Default: 0."
DETAIL_SAMPLE = "Where this part begins, in samples."
LENGTH = "Length of this part, in seconds. Default: as --samples says."
LENGTH_SAMPLES = """Length of this part, in samples. Default, and the most: 300,000 divided by
the number of channels, and with --original by two."""
NO_CURVE = "Do not compress the original at other errors, which takes most of the time."
BEATS = """Find heartbeats in the decoded samples, or do not. Default: where a channel has the name
of an ECG lead."""
DATA_DIR = "Folder in which the data of a run are looked for first."


def add_to(app: typer.Typer) -> None:
    """Add the two commands to an application."""
    for command in (explore, report):
        app.command()(command)


def explore(
    signal: Annotated[
        Path | None, typer.Argument(metavar="SIGNAL", help=SIGNAL, show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT, metavar="FILE")] = Path(
        "explore.html"
    ),
    channel: Annotated[int, typer.Option(help=CHANNEL, show_default=False)] = 0,
    start: Annotated[float | None, typer.Option(help=START, show_default=False)] = None,
    start_sample: Annotated[int | None, typer.Option(help=START_SAMPLE, show_default=False)] = None,
    seconds: Annotated[float | None, typer.Option(help=SECONDS, show_default=False)] = None,
    samples: Annotated[int | None, typer.Option(help=SAMPLES, show_default=False)] = None,
    fs: UnstatedFs = None,
    delimiter: tables.Delimiter = None,
    decimal: tables.Decimal = None,
    skip_rows: tables.SkipRows = None,
    header: tables.Header = None,
    missing: tables.Missing = None,
    time_column: tables.TimeColumn = None,
    time_unit: tables.TimeUnit = None,
    model: Annotated[
        Path | None, typer.Option(help=MODEL, metavar="RUN", show_default=False)
    ] = None,
    kernel_size: Annotated[
        int | None, typer.Option(help=KERNEL_SIZE, metavar="M", show_default=False)
    ] = None,
    kernels: Annotated[
        int | None, typer.Option(help=KERNELS, metavar="Q", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help=FORCE, show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Make a page on which activation, kernels and signal can be changed.

    It shows similarity, events, reconstruction and φ at once, and opens offline in any browser.
    """
    _check_output(output, force)
    if model is not None and (kernel_size is not None or kernels is not None):
        raise ValueError("--model has kernels of its own: give no --kernel-size, no --kernels")
    from san.pages.explore import KERNEL_SIZE, excerpt, explore_page

    table = tables.options(delimiter, decimal, skip_rows, header, missing, time_column, time_unit)
    if table is not None and (signal is None or signal.suffix.lower() != ".csv"):
        raise tables.not_for(str(signal or "the bundled recording"))
    with naming(signal):
        part = excerpt(signal, channel, start, seconds, samples, fs, start_sample, table)
    size = min(KERNEL_SIZE, len(part.x)) if kernel_size is None else kernel_size
    _write(output, explore_page(part, model, size, 2 if kernels is None else kernels), as_json)


def report(
    sources: Annotated[list[Path], typer.Argument(metavar="STREAM|ARCHIVE|RUN...", help=SOURCE)],
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT, metavar="FILE")] = Path(
        "report.html"
    ),
    original: Annotated[
        Path | None, typer.Option(help=ORIGINAL, metavar="FILE", show_default=False)
    ] = None,
    channel: Annotated[int | None, typer.Option(help=ONLY, show_default=False)] = None,
    start: Annotated[float | None, typer.Option(help=DETAIL, show_default=False)] = None,
    start_sample: Annotated[
        int | None, typer.Option(help=DETAIL_SAMPLE, show_default=False)
    ] = None,
    seconds: Annotated[float | None, typer.Option(help=LENGTH, show_default=False)] = None,
    samples: Annotated[int | None, typer.Option(help=LENGTH_SAMPLES, show_default=False)] = None,
    beats: Annotated[
        bool | None, typer.Option("--beats/--no-beats", help=BEATS, show_default=False)
    ] = None,
    no_curve: Annotated[
        bool, typer.Option("--no-curve", help=NO_CURVE, show_default=False)
    ] = False,
    dictionary: NeededDictionary = None,
    data_dir: Annotated[
        str | None, typer.Option(help=DATA_DIR, metavar="FOLDER", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help=FORCE, show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Make a page of a stream, of an archive, of a run folder, or of several run folders.

    It shows signals, events, kernels and numbers, and opens offline in any browser.
    """
    _check_output(output, force)
    from san.pages.report_page import describe

    options = {
        "original": original,
        "channel": channel,
        "start": start,
        "start_sample": start_sample,
        "seconds": seconds,
        "samples": samples,
        "dictionary": dictionary,
        "beats": beats,
    }
    given = {name for name, value in options.items() if value is not None}
    _check_options(sources, given | ({"no_curve"} if no_curve else set()), data_dir)
    name = sources[0].name if len(sources) == 1 else f"{len(sources)} runs"
    with naming(sources[0]), progress.shares(f"reporting on {name}") as told:
        page = describe(*sources, data_dir=data_dir, progress=told, curve=not no_curve, **options)
    _write(output, page, as_json)


def _check_options(sources: list[Path], given: set[str], data_dir: str | None) -> None:
    """Refuse several sources that are no run folders, and options that are for others."""
    from san.pages.archive import is_archive

    for source in sources:
        archive = is_archive(source)
        if len(sources) > 1 and (archive or source.is_file()):
            raise ValueError(f"{source} is not a run folder: only run folders are compared")
        if source.is_dir() and given:
            what = "an archive" if archive else "a run folder"
            option = sorted(given)[0].replace("_", "-")
            raise ValueError(f"{source} is {what}, and --{option} is for streams")
        if data_dir is not None and (archive or not source.is_dir()):
            raise ValueError(f"{source} is not a run folder, and --data-dir is for run folders")
    if data_dir is not None and len(sources) > 1:
        raise ValueError("--data-dir is for one run folder: runs are compared without their data")


def _check_output(output: Path, force: bool) -> None:
    if output.suffix not in (".html", ".htm"):
        raise ValueError(f"{output} must end with .html")
    check_free(output, force)


def _write(output: Path, page: str, as_json: bool) -> None:
    from san import storage

    content = page.encode()
    storage.write(output, content)
    if as_json:
        print(json.dumps({"file": str(output), "bytes": len(content)}))
    else:
        parts.say(f"{output}: {len(content):,} bytes")
