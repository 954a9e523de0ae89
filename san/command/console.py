"""What the terminal shows of a run: a progress bar while it lasts, a small table at its end.

Progress goes to standard error and only to a terminal; results go to standard output.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from san import datasets
from san.command import progress
from san.command.parts import printable, say
from san.training import processes, runs
from san.training.outcomes import Outcome
from san.training.scores import Row


def train(run: runs.Run | runs.Collection, as_json: bool = False) -> None:
    """Finish a run, or each run of a collection, and show its result."""
    if isinstance(run, runs.Run):
        outcome = _finish(run)
        if processes.is_first():
            show_outcome(run.folder, outcome, as_json)
        return
    rows: list[tuple[str, ...]] = []
    results, missing = [], []
    for database, member in run.members():
        if member is None:
            missing.append(database)
        else:
            outcome = _finish(member)
            rows += _table_rows(outcome)
            results.append(_facts(member.folder, outcome))
    if as_json:
        print(json.dumps({"results": results, "missing": missing}, indent=2))
    elif rows:
        _print_table(rows)
        say(f"models, metrics and figures are in {run.folder}")
    if missing:
        say(
            f"san: skipped, neither here nor to be downloaded: {', '.join(missing)}; put their "
            "records into FOLDER/DATABASE and give --data-dir FOLDER",
            sys.stderr,
        )
    if not rows:
        raise datasets.MissingData(f"none of the {len(missing)} records is here")


def show_outcome(folder: Path, outcome: Outcome, as_json: bool = False) -> None:
    """Print the chosen model's test scores beside the published ones, and where its files are."""
    if as_json:
        print(json.dumps(_facts(folder, outcome), indent=2))
        return
    _print_table(_table_rows(outcome))
    say(f"model, metrics and figures are in {folder}")


def show_datasets(entries: Sequence[datasets.Entry], as_json: bool = False) -> None:
    """Print the list of data sets, a line each."""
    if as_json:
        print(json.dumps([vars(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    lines = [("data set", "here", "licence", "what")]
    for e in entries:
        here = "export" if e.export else "yes" if e.here else "no"
        what = f"{e.title} (here as an export: {e.export})" if e.export else e.title
        lines.append((e.name, here, e.licence, what))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        say("  ".join([*cells, line[3]]))


def _finish(run: runs.Run) -> Outcome:
    """Finish a run under a progress bar that shows the last loss and the best φ."""
    settings, training = run.settings, run.training
    bar = progress.bar(
        "epoch {task.fields[epoch]}/" + str(settings.epochs),
        "loss {task.fields[loss]:.3f}",
        "best φ {task.fields[phi]}",
        unit="steps",
        shown=processes.is_first(),
    )
    steps = training.steps_per_epoch
    task = bar.add_task(
        printable(run.splits.train.name),
        total=steps * settings.epochs,
        completed=steps * training.epoch,
        epoch=training.epoch,
        loss=float("nan"),
        phi=_best_phi(training.history),
    )

    def on_step(loss: float) -> None:
        bar.update(task, advance=1, loss=loss)

    def on_epoch(rows: list[Row]) -> None:
        bar.update(task, epoch=rows[0].epoch, phi=_best_phi(training.history))

    try:
        with bar:
            return runs.finish(run, on_step, on_epoch)
    except KeyboardInterrupt:
        if processes.is_first():
            say(
                f"san: stopped after epoch {training.epoch} of {settings.epochs}; "
                f"continue with: san train --resume {run.folder}",
                sys.stderr,
            )
        sys.exit(130)


def _best_phi(history: Sequence[Row]) -> str:
    return f"{min(row.phi for row in history):.3f}" if history else "-"


def _facts(folder: Path, outcome: Outcome) -> dict[str, Any]:
    """What a run came to, as JSON holds it."""
    return {
        "name": outcome.test.name,
        "folder": str(folder),
        "epoch": outcome.result.epoch,
        **outcome.scores,
        **({"kernel_sizes": outcome.mixed_sizes} if outcome.mixed_sizes else {}),
        "published": outcome.published,
    }


def _table_rows(outcome: Outcome) -> list[tuple[str, ...]]:
    from san import report  # matplotlib, which training does without

    name = outcome.test.name.removeprefix("physionet ")
    return report.result_rows(name, outcome.scores, outcome.published, outcome.mixed_sizes)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("test split", "m", "CR⁻¹", "loss", "φ"):
        table.add_column(heading, justify="right" if table.columns else "left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)
