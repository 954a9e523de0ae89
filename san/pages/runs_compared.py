"""What a page says of several runs: which settings differ, and which run describes best."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from san.pages.run import in_words, member, members_of
from san.training import run_settings, runs

MOST_RUNS = 12  # that have a style of their own

Table = tuple[str, list[str], list[list[Any]]]


def describe_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """Gather what the page of several run folders shows; no data are needed.

    Parameters
    ----------
    folders : sequence of Path
        What `san train` wrote, 2 to 12 runs; a folder of runs counts as all of its runs.

    Returns
    -------
    dict
        Texts, numbers and packed arrays, as `pages/report.js` takes them.

    Raises
    ------
    FileNotFoundError
        If a folder holds no settings.
    ValueError
        If there are fewer than 2 runs, or more than 12, or a file is corrupt.
    """
    named = {
        name if each == folder else f"{name}/{each.name}": each
        for name, folder in _names(folders).items()
        for each in members_of(folder)
    }
    if not 2 <= len(named) <= MOST_RUNS:
        raise ValueError(f"the page compares 2 to {MOST_RUNS} runs, got {len(named)}")
    parts = {name: member(folder, signals=False) for name, folder in named.items()}
    told = {name: _settings(folder) for name, folder in named.items()}
    content: dict[str, Any] = {
        "title": f"{len(named)} runs",
        "summary": [f"{len(named)} runs compared: {', '.join(named)}."],
        "tiles": _tiles(parts),
        "planeTitle": "The plane of φ: every model of every run",
        "kernels": [],
        "kernelsNote": "Kernels of the chosen models, in the style of their run.",
        "words": _words(named),
        "tablesFirst": True,
        "tables": [_scores(parts), _differences(told)],
    }
    for kind in ("plane", "sweeps", "histories"):
        content[kind] = [
            {**one, "name": name, "style": number}
            for number, (name, part) in enumerate(parts.items())
            for one in part.get(kind, [])
        ]
    for number, (name, part) in enumerate(parts.items()):
        for i, kernel in enumerate(part["kernels"]):
            content["kernels"].append({**kernel, "style": number, "name": f"{name}, w{i + 1}"})
    return content


def _names(folders: Sequence[Path]) -> dict[str, Path]:
    """Each folder by its name; by its path where two have the same name."""
    resolved = list(dict.fromkeys(folder.resolve() for folder in folders))
    if len(resolved) < len(folders):
        raise ValueError("one run folder was given twice")
    count = Counter(folder.name for folder in resolved)
    return {f.name if count[f.name] == 1 else str(f): f for f in resolved}


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / runs.SETTINGS
    return run_settings.read_settings(path) | run_settings.read_provenance(path)


def _tiles(parts: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    tested = {name: part["scores"]["test"]["phi"] for name, part in parts.items() if part["scores"]}
    if not tested:
        return [("runs", str(len(parts)))]
    best = min(tested, key=lambda name: tested[name])
    return [("runs", str(len(parts))), ("lowest test φ", f"{tested[best]:.3f}"), ("of", best)]


def _scores(parts: dict[str, dict[str, Any]]) -> Table:
    """A row for each run, the lowest test φ first."""
    rows = []
    for name, part in parts.items():
        if part["scores"] is None:
            rows.append([name, "–", *[float("nan")] * 4, "not finished"])
            continue
        test = part["scores"]["test"]
        numbers = [test[k] for k in ("inverse_compression_ratio", "normalized_loss", "phi")]
        row = [name, str(int(test["kernel_size"])), len(part["kernels"]), *numbers]
        rows.append([*row, str(part["scores"]["epoch"])])
    rows.sort(key=lambda row: (row[5] != row[5], row[5]))
    return "Test split, means", ["run", "m", "kernels", "CR⁻¹", "loss", "φ", "epoch"], rows


def _differences(told: dict[str, dict[str, Any]]) -> Table:
    """The settings, data and versions in which runs differ."""
    keys = dict.fromkeys(key for each in told.values() for key in each)
    rows = []
    for key in keys:
        values = [in_words(each[key]) if key in each else "–" for each in told.values()]
        if len(set(values)) > 1:
            rows.append([key, *values])
    heads = ["setting", *told] if rows else []
    return "Settings that differ", heads, rows or [["All settings, data and versions are equal."]]


def _words(named: dict[str, Path]) -> list[tuple[str, str]]:
    digests = {str(_settings(folder).get("data_sha256")) for folder in named.values()}
    words = [
        ("The plane", "A dot is a model on the validation split. A ringed one is the model that a "
         "run chose, on the test split."),
        ("Training", "Each curve is the kernel size that the run chose. A ring is the epoch."),
    ]  # fmt: skip
    if len(digests) > 1:
        words.append(
            ("Data", "The runs do not have the same data, so their φ are not of the same signals.")
        )
    return words
