"""The commands of heartbeats: `san beats` finds them, `san compare` compares two lists of them."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from san.command import parts, written
from san.command.files import check_free
from san.command.options import (
    Force,
    Json,
    NeededDictionary,
    UnstatedFs,
)

if TYPE_CHECKING:
    from san.beats import Agreement, Beats
    from san.signals import Recording

SOURCE = "A WFDB record, .edf, .bdf, .npy, .csv or a stream."
OUT = """Files to write: .csv, .json or .parquet for a table with one row for each beat; .html for a
page that opens offline; any other ending is that of a WFDB annotation file, such as 100.qrs."""
CHANNEL = """Number of a lead, from 0. Can be given several times. Default: the channels that have
the name of a lead, otherwise those in volts."""
MOST = "How many of the most unusual beats to list."
REFERENCE = "The beats that are right: an annotation file, .csv, .json, or a folder of them."
TEST = "The beats to judge: an annotation file, .csv, .json, or a folder of them."
WINDOW = """Milliseconds by which two beats may differ and still be one. Can be given several times.
Default: 150 and 50."""
WHOLE = "Count the first five minutes too, which EC57 leaves out."
RATE = "Sampling rate of annotation files that have no header beside them."
REFERENCE_ENDING = "In a folder, the ending of the files with the right beats."
TEST_ENDING = "In a folder, the ending of the files to judge."
PAGE = ".html"
WINDOWS = (150.0, 50.0)


def add_to(app: typer.Typer) -> None:
    """Add the two commands to an application."""
    for command in (beats, compare):
        app.command()(command)


def beats(
    source: Annotated[Path, typer.Argument(metavar="RECORDING|STREAM", help=SOURCE)],
    out: Annotated[
        list[Path] | None, typer.Argument(metavar="[OUT]...", help=OUT, show_default=False)
    ] = None,
    channel: Annotated[list[int] | None, typer.Option(help=CHANNEL, show_default=False)] = None,
    fs: UnstatedFs = None,
    unusual: Annotated[int, typer.Option(help=MOST, metavar="N")] = 5,
    dictionary: NeededDictionary = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find the heartbeats of an electrocardiogram, and rank those that are unlike the others.

    Several leads decide together. SAN gives no label and no diagnosis, and is not a medical device.
    """
    files = out or []
    pages = [file for file in files if file.suffix.lower() == PAGE]
    tables = [file for file in files if file not in pages]
    written.check(tables, force)
    for file in pages:
        check_free(file, force)
    from san.beats import of_recording
    from san.files.reading import read

    recording = read(source, fs=fs, annotations=False, dictionary=dictionary)
    found = of_recording(recording, channel)
    written.write(found, tables)
    for file in pages:
        _write_page(file, source.name, found, recording)
    if as_json:
        print(found.to_json())
        return
    for line in _told(found, unusual):
        parts.say(line)
    for file in files:
        parts.say(f"{file}: {len(found)} beats")


def compare(
    reference: Annotated[Path, typer.Argument(metavar="A", help=REFERENCE)],
    test: Annotated[Path, typer.Argument(metavar="B", help=TEST)],
    window: Annotated[
        list[float] | None, typer.Option(help=WINDOW, metavar="MS", show_default=False)
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help=WHOLE, show_default=False)] = False,
    fs: Annotated[float | None, typer.Option(help=RATE, metavar="HZ", show_default=False)] = None,
    reference_ending: Annotated[str, typer.Option(help=REFERENCE_ENDING, metavar="END")] = "atr",
    test_ending: Annotated[str, typer.Option(help=TEST_ENDING, metavar="END")] = "csv",
    as_json: Json = False,
) -> None:
    """Compare two lists of heartbeats beat by beat, as the tools for EC57 do.

    A beat has one partner at most, the nearest pairs first. Ventricular flutter that A marks and
    the first five minutes do not count.
    """
    windows = window or list(WINDOWS)
    for each in windows:
        if not 0 < each < math.inf:
            raise ValueError(f"--window must be more than 0 ms, got {each:g}")
    if fs is not None and not 0 < fs < math.inf:
        raise ValueError(f"--fs must be more than 0 Hz, got {fs:g}")
    from san.heartbeats.agreement import LEARNING, gross
    from san.heartbeats.agreement import compare as compared
    from san.heartbeats.annotation_sets import pairs_of, read_set

    skip = 0.0 if whole else LEARNING
    sets = [
        (name, read_set(one, fs), read_set(other, fs))
        for name, one, other in pairs_of(reference, test, reference_ending, test_ending)
    ]
    results = {
        each: [compared(one, other, window=each / 1e3, skip=skip) for _, one, other in sets]
        for each in windows
    }
    names = [name for name, _, _ in sets]
    counted = results[windows[0]]
    if not any(found.true_positives + found.false_negatives for found in counted) and not whole:
        parts.say("san: no beat comes after the first five minutes: give --all", sys.stderr)
    if as_json:
        said = {
            f"{each:g} ms": {
                "records": {
                    name: _numbers(found) for name, found in zip(names, results[each], strict=True)
                },
                "gross": _numbers(gross(results[each])),
                "average": _average(results[each]),
            }
            for each in windows
        }
        print(json.dumps(said, indent=2))
        return
    for each in windows:
        _print_agreement(f"{each:g} ms", names, results[each], gross(results[each]))


def _write_page(file: Path, title: str, found: "Beats", recording: "Recording") -> None:
    """Write the page of beats, with the samples of the lead that tells their times."""
    from san import storage
    from san.pages.beats import beats_page

    name = found.names[found.lead]
    parts_of_rates = (recording, *recording.others)
    part = next(each for each in parts_of_rates if each.fs == found.fs and name in each.names)
    storage.write(file, beats_page(title, found, part.x[:, part.names.index(name)]).encode())


def _told(found: "Beats", most: int) -> list[str]:
    """Lines for a terminal: how many beats, how fast, and which to look at first."""
    import numpy as np

    lines = [f"{len(found)} beats in {', '.join(found.names)}, timed in {found.names[found.lead]}"]
    rates = found.heart_rate[np.isfinite(found.heart_rate)]
    if len(rates):
        slow, usual, fast = np.percentile(rates, [5, 50, 95])
        lines.append(
            f"heart rate {usual:.0f} a minute (median); 5 % are below {slow:.0f}, 5 % above "
            f"{fast:.0f}"
        )
    counts = np.bincount(found.template[found.template >= 0], minlength=len(found.templates))
    if len(counts):
        listed = ", ".join(str(count) for count in counts)
        lines.append(
            f"beats that look alike: {listed}; like none of them: {len(found) - counts.sum()}"
        )
    if len(found) and most > 0:
        lines.append("look at these first:")
        for number in found.ranking[:most]:
            lines.append(
                f"  {found.time[number]:10.3f} s   residual {found.residual[number]:.2f}, "
                f"early by {100 * found.early[number]:.0f} %"
            )
        lines.append(found.NOTE)
    return lines


def _numbers(found: "Agreement") -> dict[str, Any]:
    """The counts and shares of one record, or of all; null where nothing was counted."""
    import numpy as np

    milliseconds = 1e3 * found.difference if len(found.difference) else np.array([np.nan])
    return {
        "true_positives": found.true_positives,
        "false_negatives": found.false_negatives,
        "false_positives": found.false_positives,
        "sensitivity": _finite(found.sensitivity),
        "predictivity": _finite(found.predictivity),
        "f1": _finite(found.f1),
        "difference_median_ms": _finite(float(np.median(milliseconds)))
        if len(milliseconds)
        else None,
        "difference_sd_ms": _finite(float(milliseconds.std())),
        "confusion": [
            [one, other, count] for (one, other), count in sorted(found.confusion.items())
        ],
    }


def _average(found: "list[Agreement]") -> dict[str, float | None]:
    """The means over the records that have beats."""
    import numpy as np

    shares = np.array([[each.sensitivity, each.predictivity, each.f1] for each in found])
    means = [
        float(column[np.isfinite(column)].mean()) if np.isfinite(column).any() else None
        for column in shares.T
    ]
    return dict(zip(("sensitivity", "predictivity", "f1"), means, strict=True))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print_agreement(
    window: str, names: list[str], found: "list[Agreement]", total: "Agreement"
) -> None:
    """A row for each record, then all beats together, the means, and which class became which."""
    from san.heartbeats.agreement import CLASSES, NONE

    heads = f"{'both':>8}{'missed':>8}{'extra':>8}{'Se %':>9}{'+P %':>9}{'F1':>9}{'SD ms':>8}"
    parts.say(f"within {window}")
    parts.say(f"{'record':<12}{heads}")
    rows = [*zip(names, found, strict=True)]
    for name, each in [*rows, ("gross", total)] if len(rows) > 1 else rows:
        shares = "".join(f"{100 * v:9.2f}" for v in (each.sensitivity, each.predictivity))
        sd = f"{1e3 * each.difference.std():8.1f}" if len(each.difference) else f"{'-':>8}"
        parts.say(
            f"{name:<12}{each.true_positives:8}{each.false_negatives:8}{each.false_positives:8}"
            f"{shares}{each.f1:9.4f}{sd}"
        )
    if len(rows) > 1:
        means = [_average(found)[name] for name in ("sensitivity", "predictivity")]
        shares = "".join(f"{'-':>9}" if mean is None else f"{100 * mean:9.2f}" for mean in means)
        parts.say(f"{'average':<36}{shares}")
    classes = [*CLASSES, NONE]
    parts.say("class in A (rows) and in B (columns)")
    parts.say(f"{'':<6}" + "".join(f"{name:>8}" for name in classes))
    for one in classes:
        counts = [total.confusion.get((one, other), 0) for other in classes]
        if any(counts):
            parts.say(f"{one:<6}" + "".join(f"{count:8}" for count in counts))
