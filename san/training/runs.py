"""What a run folder holds, and how a run is started, continued and finished.

    settings.toml           settings of the run, its versions, seed and checksums of its data
    history.csv             a line per epoch and kernel size
    checkpoint.safetensors  everything that the next epoch depends on
    model.safetensors       the chosen model, with its own SHA-256
    metrics.json            its scores on the test split, and every kernel size's validation φ
    figures/                what it makes of the first test signal

Every file is written whole or not at all, and after every epoch; a run that was killed continues
to the same result. Of several processes the first alone reads and writes the folder.
"""

import csv
import dataclasses
import importlib.metadata
import io
import json
import platform
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic
import torch
from matplotlib.figure import Figure
from pydantic import Field

from san import datasets, report, storage
from san.training import distributed, processes
from san.training.settings import Settings, first_problem
from san.training.train import Result, Row, Training

SETTINGS = "settings.toml"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
METRICS = "metrics.json"
ALL = "all"  # the record that stands for each database's first


@pydantic.dataclasses.dataclass(frozen=True, config=pydantic.ConfigDict(extra="forbid"))
class Source:
    """Which signals are trained on; see `san.datasets.load_splits`."""

    dataset: str = "physionet"
    record: str | None = None
    channel: Annotated[int, Field(ge=0)] | None = None
    window: Annotated[int, Field(ge=2)] | None = None  # samples
    windows: Annotated[int, Field(ge=6)] | None = None
    start: Annotated[int, Field(ge=0)] | None = None  # sample
    start_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    data_dir: str | None = None


@dataclass(frozen=True)
class Run:
    """A run folder, opened: its settings, its signals and its training so far."""

    folder: Path
    source: Source
    settings: Settings
    splits: datasets.Splits
    training: Training


@dataclass(frozen=True)
class Collection:
    """The folder of several runs with the same settings, one for each of the paper's records."""

    folder: Path
    source: Source
    settings: Settings

    def members(self) -> Iterator[tuple[str, "Run | None"]]:
        """Open the runs one after the other, by database; None for a record not to be had."""
        for database in datasets.databases():
            folder = self.folder / database
            try:
                if (folder / SETTINGS).is_file():
                    run = resume(folder, self.source.data_dir)
                else:
                    source = dataclasses.replace(self.source, record=database)
                    run = start(source, self.settings, folder)
                assert isinstance(run, Run)
                yield database, run
            except datasets.MissingData:
                yield database, None


def settings_from(given: dict[str, Any], where: str = "the settings") -> tuple[Source, Settings]:
    """Complete what a user gave with the protocol's defaults on that data set, and check it.

    Parameters
    ----------
    given : dict
        Fields of `Source` and `Settings`, by name.
    where : str
        What an error calls the place they come from.

    Raises
    ------
    ValueError
        If a name is not known or a value does not fit: one line that names both.

    Examples
    --------
    >>> source, settings = settings_from({"record": "mitdb/100", "protocol": "published"})
    >>> settings.init, settings.decoder, len(settings.kernel_sizes)
    ('normal', 'paper', 249)
    """
    sources = {field.name for field in dataclasses.fields(Source)}
    names = sources | {field.name for field in dataclasses.fields(Settings)}
    for name in given:
        if name not in names:
            raise ValueError(f"{where}: there is no setting {name!r}")
    try:
        source = Source(**{k: v for k, v in given.items() if k in sources})
        own = {k: v for k, v in given.items() if k not in sources}
        protocol = own.get("protocol", "corrected")
        defaults = datasets.training_defaults(source.dataset, source.record, protocol)
        if protocol == "published":
            defaults = {"init": "normal", "decoder": "paper", **defaults}
        return source, Settings(**{**defaults, **own})
    except pydantic.ValidationError as error:
        raise ValueError(f"{where}: {first_problem(error)}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings, such as a run's; its table of provenance is left out."""
    try:
        with open(path, "rb") as file:
            given = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    given.pop("provenance", None)
    return given


def start(source: Source, settings: Settings, folder: Path | None = None) -> "Run | Collection":
    """Load the data and make the run folder; without a name, runs/DATA-ACTIVATION with a number.

    Raises
    ------
    FileExistsError
        If the folder is there and not empty.
    """
    if source.record == ALL:
        _refuse_processes()
        folder = _make_folder(folder, f"{source.dataset}-{ALL}-{settings.activation}")
        storage.write(folder / SETTINGS, _settings_text(source, settings, {}))
        return Collection(folder, source, settings)
    splits, training = _prepare(source, settings)
    name = f"{splits.train.name} {settings.activation}".replace(" ", "-").replace("/", "-")
    text = _settings_text(source, settings, _provenance(splits))
    folder = processes.from_first(lambda: _begin(folder, name, text))
    if processes.were_restarted():
        _restore(training, folder)
    return Run(folder, source, settings, splits, training)


def resume(folder: Path, data_dir: str | None = None) -> "Run | Collection":
    """Open a run folder again, at the last epoch that was finished.

    Raises
    ------
    FileNotFoundError
        If the folder holds no settings.
    ValueError
        If the data are not those that the run began with, or a file is corrupt.
    """
    path = folder / SETTINGS

    def read() -> tuple[dict[str, Any], list[str] | None]:
        if not path.is_file():
            raise FileNotFoundError(f"{folder} holds no {SETTINGS}: there is nothing to resume")
        storage.remove_leftovers(folder)
        given = read_settings(path)
        return given, tomllib.loads(path.read_text()).get("provenance", {}).get("data_sha256")

    given, recorded = processes.from_first(read)
    source, settings = settings_from(given, str(path))
    if data_dir is not None:
        source = dataclasses.replace(source, data_dir=data_dir)
    if source.record == ALL:
        _refuse_processes()
        return Collection(folder, source, settings)
    splits, training = _prepare(source, settings)
    if recorded != [split.sha256 for split in splits]:
        raise ValueError(f"the data of {splits.train.name} are not those that {folder} began with")
    _restore(training, folder)
    return Run(folder, source, settings, splits, training)


def find_signals(
    folder: Path, source: Source, settings: Settings, data_dir: str | None = None
) -> datasets.Splits:
    """Load the signals that a run folder was trained with; nothing in it is changed.

    Raises
    ------
    MissingData
        If they are not to be had.
    ValueError
        If they are not those that the run began with.
    """
    if data_dir is not None:
        source = dataclasses.replace(source, data_dir=data_dir)
    splits = _load(source, settings)
    recorded = tomllib.loads((folder / SETTINGS).read_text()).get("provenance", {})
    if recorded.get("data_sha256") != [split.sha256 for split in splits]:
        raise ValueError(f"the data of {splits.train.name} are not those that {folder} began with")
    return splits


def finish(
    run: Run,
    on_step: Callable[[float], None] | None = None,
    on_epoch: Callable[[list[Row]], None] | None = None,
) -> Result:
    """Train what is left of a run, choose a model, and write its files and figures.

    `on_step` is called with each loss, `on_epoch` with the rows of each epoch. After an interrupt
    the folder holds the last finished epoch.
    """
    while run.training.epoch < run.settings.epochs:
        rows = run.training.run_epoch(on_step)
        if processes.is_first():
            storage.write_tensors(run.folder / CHECKPOINT, *run.training.state())
            storage.write(run.folder / "history.csv", _history_text(run.training.history))
        if on_epoch is not None:
            on_epoch(rows)
    result = run.training.choose(run.splits.test.x)
    if processes.is_first():
        _write_result(run, result)
    return result


def _write_result(run: Run, result: Result) -> None:
    published = datasets.published_results(run.splits.test.name, run.settings.activation)
    test = run.splits.test
    notes = {"dataset": test.name, "fs": test.fs, "sampling_rate": test.fs}  # the last until 0.6
    result.model.save(run.folder / MODEL, notes)
    storage.write(run.folder / METRICS, _metrics_text(run, result, published))
    _write_figures(run, result, published)


def test_scores(result: Result) -> dict[str, float]:
    """The chosen kernel size and the means of its scores on the test split."""
    means = {name: float(values.mean()) for name, values in result.scores._asdict().items()}
    return {"kernel_size": result.kernel_size, **means}


def _load(source: Source, settings: Settings) -> datasets.Splits:
    options = dataclasses.asdict(source)
    name = options.pop("dataset")
    return datasets.load_splits(name, protocol=settings.protocol, seed=settings.seed, **options)


def _refuse_processes() -> None:
    if processes.are_several():
        raise ValueError(f"--record {ALL} trains in one process: give one record to several")


def _prepare(source: Source, settings: Settings) -> tuple[datasets.Splits, Training]:
    """Load the data and make the training; every process must have the same of both."""
    processes.by_all(lambda: distributed.take_device(settings.device))
    splits = processes.by_all(lambda: _load(source, settings))
    processes.check_same("settings and data", (settings, [split.sha256 for split in splits]))
    return splits, Training(settings, splits.train.x, splits.validation.x)


def _restore(training: Training, folder: Path) -> None:
    """Continue from the checkpoint in a folder, if there is one."""

    def read() -> Any:
        path = folder / CHECKPOINT
        return storage.read_tensors(path) if path.is_file() else None

    state = processes.from_first(read)
    if state is not None:
        training.restore(*state)


def _begin(folder: Path | None, name: str, text: str) -> Path:
    """The folder of a new run, with its settings; of restarted processes the one they had."""
    if processes.were_restarted():
        folders = [folder] if folder else Path("runs").glob(f"{name}*")
        had = [f / SETTINGS for f in folders if (f / SETTINGS).is_file()]
        had = [path for path in had if path.read_text() == text]
        folder = max(had, key=lambda path: path.stat().st_mtime).parent if had else folder
        if folder:
            storage.remove_leftovers(folder)
        if had and folder:
            return folder
    folder = _make_folder(folder, name)
    storage.write(folder / SETTINGS, text)
    return folder


def _make_folder(folder: Path | None, name: str) -> Path:
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(
                f"{folder} is there and not empty: choose another folder, or resume the run"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    number = 1
    while True:
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _provenance(splits: datasets.Splits) -> dict[str, Any]:
    packages = ("sparsely-activated-networks", "torch", "numpy", "numba", "wfdb", "safetensors")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "data": splits.train.name,
        "licence": splits.train.licence,
        "data_sha256": [split.sha256 for split in splits],
        "python": platform.python_version(),
        "platform": platform.platform(),
        **versions,
    }


def _settings_text(source: Source, settings: Settings, provenance: dict[str, Any]) -> str:
    """TOML: strings, numbers and lists of them are written as in JSON."""
    given = {**dataclasses.asdict(source), **dataclasses.asdict(settings)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items() if value is not None]
    lines += ["", "[provenance]"]
    lines += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in provenance.items()]
    return "\n".join(lines) + "\n"


def _history_text(history: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(history)
    return text.getvalue()


def _metrics_text(run: Run, result: Result, published: list[dict[str, float]]) -> str:
    content = {
        "dataset": run.splits.test.name,
        "activation": run.settings.activation,
        "protocol": run.settings.protocol,
        "epoch": result.epoch,
        "test": test_scores(result),
        "test_per_signal": {k: v.tolist() for k, v in result.scores._asdict().items()},
        "test_phi": result.test_phi,
        "validation_phi": result.validation_phi,
        "published": published,
    }
    return json.dumps(content, indent=2) + "\n"


def _write_figures(run: Run, result: Result, published: list[dict[str, float]]) -> None:
    test = run.splits.test
    x = torch.from_numpy(test.x[:1]).to(run.training.device)
    with torch.no_grad():
        output = result.model(x)
    signal, x_hat = test.x[0, 0], output.x_hat[0, 0].cpu().numpy()
    kernels = [w[0].detach().cpu().numpy() for w in result.model.kernels]
    similarities = output.similarities[0].cpu().numpy()
    activations = output.activations[0].cpu().numpy()
    fs, scale = test.fs, test.scale
    title = f"{test.name}, {run.settings.activation}, first test signal"
    figures = {
        "signal": report.plot_signal(signal, fs, scale),
        "kernel": report.plot_kernels(kernels, fs),
        "similarity": report.plot_similarities(similarities, fs),
        "activations": report.plot_activations(activations, fs),
        "reconstruction": report.plot_reconstruction(signal, x_hat, fs, scale),
        "overview": report.plot_overview(
            signal, kernels, similarities, activations, x_hat, fs, scale, title
        ),
    }
    history = [row for row in run.training.history if row.kernel_size == result.kernel_size]
    epochs, phi = [row.epoch for row in history], [row.phi for row in history]
    figures["history"] = report.plot_history(epochs, phi, result.kernel_size)
    if len(result.validation_phi) > 1:
        best = min(published, key=lambda row: row["phi"]) if published else None
        figures["sweep"] = report.plot_sweep(result.validation_phi, result.kernel_size, best)
    (run.folder / "figures").mkdir(exist_ok=True)
    for name, figure in figures.items():
        storage.write(run.folder / "figures" / f"{name}.png", _png(figure))


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
