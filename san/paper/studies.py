"""Which studies of other networks there are, how their parts are run, and what they leave.

A study leaves a folder of its own name beside the units:

tables.md           tables, and what holds of the paper
tables.tex          the tables for LaTeX
rows.csv.gz         every row of every part, with settings, seed, data checksums and versions
figures/            PNG and SVG
"""

import csv
import gzip
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from san import datasets, storage
from san.dataset_readers import cifar, fetch
from san.paper import (
    compression_told,
    output,
    overlaps_told,
    sparse_activations_told,
    sparse_experts_told,
    store,
    tables,
)
from san.paper.study import Load, Part, Result, Study, rows_of

_ALL = (
    sparse_experts_told.STUDY,
    compression_told.STUDY,
    overlaps_told.STUDY,
    sparse_activations_told.STUDY,
)
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}
FORMAT = 1  # of a part's file; another number makes every part of every study anew


def plan(names: Sequence[str], seeds: int) -> list[Part]:
    """List the parts of studies.

    Examples
    --------
    >>> plan([], seeds=2)
    []
    """
    if seeds < 1:
        raise ValueError(f"there must be at least one seed, got {seeds}")
    return [part for name in names for part in STUDIES[name].plan(seeds)]


def run(
    parts: Sequence[Part],
    folder: Path,
    data_dir: str | None = None,
    on_part: Callable[[Part, float], None] | None = None,
) -> Iterator[tuple[Part, dict[str, Any] | None]]:
    """Yield each part with its result, read or made now; the result is None without data.

    `on_part` is called with a part and the share of its work that was just done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage.remove_leftovers(folder)
    load = _loader(data_dir)
    for part in parts:
        try:
            splits = [load(name) for name in part.data]
        except datasets.MissingData:
            yield part, None
            continue
        checksums = [split.sha256 for each in splits for split in each]
        path = folder / _file_name(part, checksums)
        told = 0.0

        def done(share: float, part: Part = part) -> None:
            nonlocal told
            told += share
            if on_part is not None:
                on_part(part, share)

        if not path.is_file():
            begin = time.process_time()
            content = STUDIES[part.study].make(part, load, done)
            kept = {
                "study": part.study,
                "name": part.name,
                "seed": part.seed,
                "settings": dict(part.settings),
                "versions": store.versions(),
                "data_sha256": checksums,
                "seconds": round(time.process_time() - begin, 2),
                **content,
            }
            storage.write(path, json.dumps(kept) + "\n")
        done(1 - told)
        yield part, store.read(path)


def _loader(data_dir: str | None) -> Load:
    """What reads a data set by its name, and keeps the last one: they are large."""
    kept: dict[str, datasets.Splits] = {}

    def load(name: str) -> datasets.Splits:
        if name not in kept:
            kept.clear()
            experiment, _, record = name.partition(" ")
            options: dict[str, Any] = {"record": record} if record else {}
            kept[name] = (
                _cifar(data_dir)
                if name == "cifar-10"
                else datasets.load_splits(experiment, data_dir=data_dir, **options)
            )
        return kept[name]

    return load


def _cifar(data_dir: str | None) -> datasets.Splits:
    described: dict[str, Any] = {"fs": None, "units": ("",) * 3, "names": ("red", "green", "blue")}
    described |= {"name": "cifar-10", "scale": "scaled to [0, 1]", "licence": "none is stated"}
    parts = zip(datasets.Splits._fields, cifar.load(fetch.folders(data_dir)), strict=True)
    return datasets.Splits(
        *(datasets.Dataset(split=s, x=x, y=y, **described) for s, (x, y) in parts)
    )


def _file_name(part: Part, checksums: Sequence[str]) -> str:
    depends = {
        "format": FORMAT,
        "revision": STUDIES[part.study].revision,
        "study": part.study,
        "name": part.name,
        "settings": dict(part.settings),
        "seed": part.seed,
        "data": checksums,
    }
    return store.file_name([part.study, part.name, str(part.seed)], depends)


def write(results: Sequence[Result], skipped: Sequence[str], folder: Path) -> None:
    """Write the folder of each study that has results."""
    for name, study in STUDIES.items():
        own = [result for result in results if result["study"] == name]
        if own:
            _write(study, own, skipped, folder / name)


def _write(study: Study, results: Sequence[Result], skipped: Sequence[str], folder: Path) -> None:
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    made = study.tables(results)
    seeds = len({result["seed"] for result in results})
    text = [f"# {study.title}\n", f"{study.paper}\n"]
    text.append(f"{seeds} seed{'s' if seeds > 1 else ''}.\n")
    for table in made:
        text.append(f"## {table.title}\n")
        text.append(tables.markdown(table.heads, table.rows))
        text += [f"{table.note}\n"] if table.note else []
    text += ["## What holds\n", f"{study.conclusion(results)}\n"]
    if skipped:
        text.append(f"Skipped, neither here nor to be downloaded: {', '.join(skipped)}.\n")
    storage.write(folder / "tables.md", "\n".join(text))
    latex = [f"% {table.title}\n{tables.latex(table.heads, table.rows)}" for table in made]
    storage.write(folder / "tables.tex", "\n".join(latex))
    storage.write(folder / "rows.csv.gz", gzip.compress(_rows(results).encode(), mtime=0))
    for name, figure in study.figures(results).items():
        for ending in ("png", "svg"):
            storage.write(folder / "figures" / f"{name}.{ending}", output.drawn(figure, ending))


def _rows(results: Sequence[Result]) -> str:
    """Every row as CSV, numbers with five significant digits."""
    flat = []
    for result in results:
        shared = {
            "data_sha256": " ".join(digest[:16] for digest in result["data_sha256"]),
            "versions": " ".join(f"{k}={v}" for k, v in result["versions"].items()),
        }
        flat += [{"part": result["name"], **row, **shared} for row in rows_of([result])]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in flat:
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()
