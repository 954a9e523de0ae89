"""What the terminal shows of a reproduction: a progress bar, and where the tables are."""

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from san import datasets
from san.command import progress
from san.command.parts import say
from san.paper import output, studies
from san.paper.experiments import Unit
from san.paper.experiments import run as run_units
from san.paper.study import Part


def reproduce(
    units: Sequence[Unit],
    folder: Path,
    data_dir: str | None,
    as_json: bool = False,
    parts: Sequence[Part] = (),
    device: str = "cpu",
) -> None:
    """Run the units of a reproduction, and the parts of studies, under one progress bar.

    Then write tables and figures.
    """
    bar = progress.bar("{task.fields[unit]}", unit="parts")
    work: list[Unit | Part] = [*units, *parts]
    task = bar.add_task("reproducing", total=len(work), unit="")
    weight = len(work) / max(1e-9, sum(each.cost for each in work))

    def on_part(unit: Unit | Part, share: float) -> None:
        bar.update(task, advance=share * unit.cost * weight, unit=unit.label)

    kept = folder / "units"
    made: Iterator[tuple[Unit | Part, dict[str, Any] | None]] = itertools.chain(
        run_units(units, kept, data_dir, on_part, device),
        studies.run(parts, kept, data_dir, on_part),
    )
    results, skipped = [], []
    try:
        with bar:
            for unit, result in made:
                if result is None:
                    on_part(unit, 1.0)
                    skipped.append(unit.dataset)
                else:
                    results.append(result)
    except KeyboardInterrupt:
        say(
            f"san: stopped; what was done is in {folder / 'units'}, and the same command goes on",
            sys.stderr,
        )
        sys.exit(130)
    missing = list(dict.fromkeys(skipped))
    if missing:
        say(
            f"san: skipped, neither here nor to be downloaded: {', '.join(missing)}",
            sys.stderr,
        )
    if not results:
        raise datasets.MissingData("none of the data sets is here")
    own = [result for result in results if "study" not in result]
    if own:
        output.write(own, missing, folder)
    studies.write([result for result in results if "study" in result], missing, folder)
    if as_json:
        print(json.dumps({"results": len(results), "missing": missing, "folder": str(folder)}))
        return
    if own:
        say(f"{len(own)} results; tables.md, tables.tex, rows.csv.gz and figures are in {folder}")
    for name in dict.fromkeys(part.study for part in parts):
        if (folder / name).is_dir():
            say(f"tables.md, tables.tex, rows.csv.gz and figures of {name} are in {folder / name}")
