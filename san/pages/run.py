"""What a report says of a run folder: its models on the plane of φ, and what one of them does."""

import csv
import json
from pathlib import Path
from typing import Any

from san import report
from san.networks.san import SAN
from san.pages.run_signals import kernels_of, show_test
from san.training import run_settings, runs
from san.training.settings import Settings

NAMES = {
    "identity": "Identity",
    "relu": "ReLU",
    "top_k_absolutes": "Top-k absolutes",
    "extrema_pool": "Extrema-Pool",
    "extrema": "Extrema",
}


def describe_run(folder: Path, data_dir: str | None = None) -> dict[str, Any]:
    """Gather what the page of a run folder, or of a folder of runs, shows.

    Parameters
    ----------
    folder : Path
        What `san train` wrote; the run need not be finished.
    data_dir : str, optional
        Searched for the data before the places that the run names.

    Returns
    -------
    dict
        Texts, numbers and packed arrays, as `pages/report.js` takes them.

    Raises
    ------
    FileNotFoundError
        If the folder holds no settings.
    ValueError
        If a file in it is corrupt.
    """
    members = members_of(folder)
    parts = [member(each, data_dir) for each in members]
    content = parts[0] if members == [folder] else _joined(parts)
    content["title"] = folder.name
    content["tables"].append(_settings_table(folder))
    return content


def members_of(folder: Path) -> list[Path]:
    """The run folder itself, or the runs of a folder of runs."""
    if _settings(folder)[0].record != run_settings.ALL:
        return [folder]
    members = sorted(path.parent for path in folder.glob(f"*/{runs.SETTINGS}"))
    if not members:
        raise FileNotFoundError(f"{folder} holds no run that has begun")
    return members


def _settings(folder: Path) -> tuple[run_settings.RunData, Settings]:
    path = folder / runs.SETTINGS
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {runs.SETTINGS}: it is not a run folder")
    return run_settings.settings_from(run_settings.read_settings(path), str(path))


def member(folder: Path, data_dir: str | None = None, signals: bool = True) -> dict[str, Any]:
    """Gather what the page shows of one run, with or without its test signals."""
    source, settings = _settings(folder)
    history = _history(folder)
    scores = _metrics(folder)
    model = SAN.load(folder / runs.MODEL) if (folder / runs.MODEL).is_file() else None
    name = scores["dataset"] if scores else source.record or source.dataset
    content: dict[str, Any] = {
        "summary": [_sentence(name, settings, scores)],
        "scores": scores,
        "tiles": _tiles(settings, scores, history),
        "viewsTitle": "Test signals",
        "names": ["signal x", "reconstruction x̂"],
        "views": [], "images": [], "kernels": [], "bars": [], "tables": [],
        "kernelsNote": "Kernels of the chosen model.",
        "plane": _plane(name, settings, history, scores),
        "histories": _histories(name, settings, history, scores),
        "words": [("Method", _method(settings)), ("Selection", _selection(settings))],
    }  # fmt: skip
    if len(settings.models) > 1 and history:
        content["sweeps"] = [_sweep(name, settings, history, scores)]
    if scores:
        content["tables"].append(_scores_table(name, scores))
        if len(scores["test_per_signal"]["phi"]) > 1:
            content["tables"].append(_signals_table(scores))
    if model is None:
        content["words"].append(("Not finished", "The folder holds no chosen model yet."))
        return content
    content["kernels"] = kernels_of(model)
    if signals:
        show_test(content, folder, source, settings, model, data_dir)
    return content


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Several runs with the same settings on one page."""
    first = parts[0]
    joined = {**first, "tiles": [("runs", str(len(parts)))], "kernels": [], "views": []}
    joined["summary"] = [text for part in parts for text in part["summary"]]
    offset = 0
    for part in parts:
        for view in part["views"]:
            view["events"]["first"] = offset
        for kernel in part["kernels"]:
            kernel["note"] = f"{part['plane'][0]['name']}, {kernel['note']}"
        offset += len(part["kernels"])
        joined["kernels"] += part["kernels"]
        joined["views"] += part["views"]
    joined["plane"] = [points for part in parts for points in part["plane"]]
    joined["histories"] = [one for part in parts for one in part["histories"]]
    joined["sweeps"] = [one for part in parts for one in part.get("sweeps", [])]
    means = [part["tables"][0] for part in parts if part["tables"]]
    joined["tables"] = [(*means[0][:2], [table[2][0] for table in means])] if means else []
    joined["words"] = list(dict.fromkeys(word for part in parts for word in part["words"]))
    return joined


# What is in the folder


def _history(folder: Path) -> list[dict[str, float]]:
    path = folder / "history.csv"
    if not path.is_file():
        return []
    try:
        with open(path, newline="") as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except (ValueError, TypeError, AttributeError, csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not the history of a run: {error}") from error


def _metrics(folder: Path) -> dict[str, Any] | None:
    path = folder / runs.METRICS
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        content["test"]["phi"], content["test_per_signal"]["phi"], content["dataset"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds no metrics of a run: {error}") from error
    return dict(content)


def _rows_of(history: list[dict[str, float]], settings: Settings) -> list[dict[str, float]]:
    """For each kernel size, the row of the history that the protocol chooses."""
    last = max((row["epoch"] for row in history), default=0)
    rows = []
    for m in settings.models:
        of_size = [row for row in history if row["kernel_size"] == m]
        if settings.protocol == "published":
            of_size = [row for row in of_size if row["epoch"] == last]
        if of_size:
            rows.append(min(of_size, key=lambda row: row["phi"]))
    return rows


def _plane(
    name: str,
    settings: Settings,
    history: list[dict[str, float]],
    scores: dict[str, Any] | None,
) -> list[dict[str, Any]]:
    """Every model on the plane of CR⁻¹ and loss."""
    points = [
        [row["inverse_compression_ratio"], row["normalized_loss"], row["phi"], row["kernel_size"]]
        for row in _rows_of(history, settings)
    ]
    test = None
    if scores:
        of = scores["test"]
        test = [of["inverse_compression_ratio"], of["normalized_loss"], of["phi"],
                of["kernel_size"]]  # fmt: skip
    return [{"name": name, "points": points, "test": test}] if points or test else []


def _chosen(settings: Settings, scores: dict[str, Any] | None) -> int:
    return int(scores["test"]["kernel_size"]) if scores else next(iter(settings.models))


def _histories(
    name: str,
    settings: Settings,
    history: list[dict[str, float]],
    scores: dict[str, Any] | None,
) -> list[dict[str, Any]]:
    m = _chosen(settings, scores)
    rows = [row for row in history if row["kernel_size"] == m]
    if not rows:
        return []
    return [
        {
            "name": f"{name}, m = {m}",
            "epochs": [row["epoch"] for row in rows],
            "phi": [row["phi"] for row in rows],
            "loss": [row["training_loss"] for row in rows],
            "chosen": scores["epoch"] if scores else None,
        }
    ]


def _sweep(
    name: str,
    settings: Settings,
    history: list[dict[str, float]],
    scores: dict[str, Any] | None,
) -> dict[str, Any]:
    rows = _rows_of(history, settings)
    return {
        "name": name,
        "sizes": [row["kernel_size"] for row in rows],
        "phi": [row["phi"] for row in rows],
        "chosen": _chosen(settings, scores) if scores else None,
    }


def _scores_table(name: str, scores: dict[str, Any]) -> tuple[str, list[str], list[list[Any]]]:
    sizes = scores.get("kernel_sizes")
    rows = report.result_rows(name, scores["test"], scores.get("published") or [], sizes)
    return "Test split, means", ["data", "m", "CR⁻¹", "loss", "φ"], [list(row) for row in rows]


def _signals_table(scores: dict[str, Any]) -> tuple[str, list[str], list[list[Any]]]:
    each = scores["test_per_signal"]
    columns = [each[k] for k in ("inverse_compression_ratio", "normalized_loss", "phi")]
    rows = [[str(i + 1), *map(float, row)] for i, row in enumerate(zip(*columns, strict=True))]
    return "Test split, each signal", ["signal", "CR⁻¹", "loss", "φ"], rows[:300]


def _settings_table(folder: Path) -> tuple[str, list[str], list[list[Any]]]:
    path = folder / runs.SETTINGS
    content = run_settings.read_settings(path) | run_settings.read_provenance(path)
    rows = [[name, in_words(value)] for name, value in content.items()]
    return "Settings, data and versions", [], rows


def in_words(value: Any) -> str:
    """Write a setting as text; of many numbers, the first two and the last."""
    if isinstance(value, list) and len(value) > 12 and all(isinstance(v, int) for v in value):
        return f"{value[0]}, {value[1]} ... {value[-1]} ({len(value)} of them)"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _tiles(
    settings: Settings, scores: dict[str, Any] | None, history: list[dict[str, float]]
) -> list[tuple[str, str]]:
    if scores is None:
        rows = _rows_of(history, settings)
        best = f"{min(row['phi'] for row in rows):.3f}" if rows else "–"
        return [("best validation φ so far", best)]
    test = scores["test"]
    return [
        ("test φ", f"{test['phi']:.3f}"),
        ("CR⁻¹", f"{test['inverse_compression_ratio']:.3f}"),
        ("normalised loss", f"{test['normalized_loss']:.3f}"),
        ("kernel size", f"{test['kernel_size']:.0f}"),
        ("epoch", str(scores["epoch"])),
    ]


# In words


def _sentence(name: str, settings: Settings, scores: dict[str, Any] | None) -> str:
    number = len(next(iter(settings.models.values())))
    kernels = "one kernel" if number == 1 else f"{number} kernels"
    state = "" if scores else " The run is not finished."
    return f"{name}: {NAMES[settings.activation]} with {kernels}.{state}"


def _method(settings: Settings) -> str:
    sizes = settings.kernel_sizes
    tried = (
        f"{sizes[0]} samples"
        if len(sizes) == 1
        else (f"{len(sizes)} sizes from {min(sizes)} to {max(sizes)} samples")
    )
    if settings.together:
        tried = f"{report.sizes_text(sizes)} samples in one model"
    start = "segments of the data" if settings.init == "data" else "N(0, 0.1)"
    decoder = "the transposed convolution" if settings.decoder == "adjoint" else "the paper's way"
    beyond = [
        f"{settings.passes} passes" * (settings.passes > 1),
        "refitted amplitudes" * settings.refit,
        "kernels that compete" * settings.compete,
        f"a minimum distance annealed from {settings.anneal:g} times" * (settings.anneal != 1),
        "kernels added one at a time" * settings.grow,
    ]
    further = [text for text in beyond if text]
    return (
        f"Sparsely Activated Network, activation {NAMES[settings.activation]}, "
        f"{settings.kernels} × {tried}, started from {start}, events drawn by {decoder}. Trained "
        f"with Adam on the mean absolute error for {settings.epochs} epochs, {settings.batch_size} "
        f"signals a step, learning rate {settings.learning_rate:g}, seed {settings.seed}."
        + (f" Beyond the paper: {', '.join(further)}." if further else "")
    )


def _selection(settings: Settings) -> str:
    if settings.protocol == "published":
        return (
            "Protocol published: the last epoch, and the kernel size with the lowest φ on the "
            "test split itself. Points of the plane are those of the last epoch, on validation."
        )
    return (
        "Protocol corrected: kernel size and epoch with the lowest φ on the validation split; the "
        "test split was looked at once. Points of the plane are each kernel size's best epoch, on "
        "validation."
    )
