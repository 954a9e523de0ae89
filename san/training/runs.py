"""What a run folder holds, and how a run is started, continued and finished.

    settings.toml           settings of the run, its versions, seed and checksums of its data
    history.csv             a line per epoch and kernel size
    checkpoint.safetensors  everything that the next epoch depends on
    model.safetensors       the chosen model, with its own SHA-256
    metrics.json            its scores on the test split, and every kernel size's validation φ
    figures/                what it makes of the first test signal
    windows.csv             of recordings of your own: split, recording, start and label of each

Every file is written whole or not at all, and after every epoch; a run that was killed continues
to the same result. Of several processes the first alone reads and writes the folder.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from san import datasets, deprecated, storage
from san.training import distributed, processes
from san.training.outcomes import Outcome, history_text, metrics_text, outcome_of
from san.training.provenance import check_data, provenance, windows_text
from san.training.run_settings import (
    ALL,
    OF_RECORDINGS,
    RunData,
    read_provenance,
    read_settings,
    settings_from,
    settings_text,
)
from san.training.scores import Row
from san.training.settings import Settings
from san.training.train import Training

SETTINGS = "settings.toml"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
METRICS = "metrics.json"
WINDOWS = "windows.csv"

deprecated.names(__name__, {"Source": "training.run_settings.RunData"})


@dataclass(frozen=True)
class Run:
    """A run folder, opened: its settings, its signals and its training so far."""

    folder: Path
    data: RunData
    settings: Settings
    splits: datasets.Splits
    training: Training


@dataclass(frozen=True)
class Collection:
    """The folder of several runs with the same settings, one for each of the paper's records."""

    folder: Path
    data: RunData
    settings: Settings

    def members(self) -> Iterator[tuple[str, "Run | None"]]:
        """Open the runs one after the other, by database; None if a record cannot be found."""
        for database in datasets.databases():
            folder = self.folder / database
            try:
                if (folder / SETTINGS).is_file():
                    run = resume(folder, self.data.data_dir)
                else:
                    data = dataclasses.replace(self.data, record=database)
                    run = start(data, self.settings, folder)
                assert isinstance(run, Run)
                yield database, run
            except datasets.MissingData:
                yield database, None


def start(data: RunData, settings: Settings, folder: Path | None = None) -> "Run | Collection":
    """Load the data and make the run folder: `folder`, or runs/DATA-ACTIVATION with a number.

    Raises
    ------
    FileExistsError
        If the folder is there and not empty.
    """
    if data.record == ALL:
        _refuse_processes()
        folder = _make_folder(folder, f"{data.dataset}-{ALL}-{settings.activation}")
        storage.write(folder / SETTINGS, settings_text(data, settings, {}))
        return Collection(folder, data, settings)
    splits, training = _prepare(data, settings)
    name = f"{splits.train.name} {settings.activation}".replace(" ", "-").replace("/", "-")
    text = settings_text(data, settings, provenance(splits))
    origins = windows_text(splits) if data.recordings is not None else None
    folder = processes.from_first(lambda: _begin(folder, name, text, origins))
    if processes.were_restarted():
        _restore(training, folder)
    return Run(folder, data, settings, splits, training)


def resume(folder: Path, data_dir: str | None = None) -> "Run | Collection":
    """Open a run folder again, after its last finished epoch.

    Raises
    ------
    FileNotFoundError
        If the folder holds no settings.
    ValueError
        If the data are not those that the run began with, or a file is corrupt.
    """
    path = folder / SETTINGS

    def read() -> tuple[dict[str, Any], Any]:
        if not path.is_file():
            raise FileNotFoundError(f"{folder} holds no {SETTINGS}: there is nothing to resume")
        storage.remove_leftovers(folder)
        return read_settings(path), read_provenance(path).get("data_sha256")

    given, recorded = processes.from_first(read)
    data, settings = settings_from(given, str(path))
    if data_dir is not None:
        data = dataclasses.replace(data, data_dir=data_dir)
    if data.record == ALL:
        _refuse_processes()
        return Collection(folder, data, settings)
    splits, training = _prepare(data, settings)
    check_data(splits, recorded, folder)
    _restore(training, folder)
    return Run(folder, data, settings, splits, training)


def find_signals(
    folder: Path, data: RunData, settings: Settings, data_dir: str | None = None
) -> datasets.Splits:
    """Load the signals that a run folder was trained with; nothing in it is changed.

    Raises
    ------
    MissingData
        If they are not here and cannot be downloaded.
    ValueError
        If they are not those that the run began with.
    """
    if data_dir is not None:
        data = dataclasses.replace(data, data_dir=data_dir)
    splits = _load(data, settings)
    check_data(splits, read_provenance(folder / SETTINGS).get("data_sha256"), folder)
    return splits


def finish(
    run: Run,
    on_step: Callable[[float], None] | None = None,
    on_epoch: Callable[[list[Row]], None] | None = None,
) -> Outcome:
    """Train what is left of a run, choose a model, and write its files and figures.

    `on_step` is called with each loss, `on_epoch` with the rows of each epoch. After an interrupt
    the folder holds the last finished epoch.
    """
    training, test = run.training, run.splits.test

    def save(rows: list[Row]) -> None:
        if processes.is_first():
            storage.write_tensors(run.folder / CHECKPOINT, *training.state())
            storage.write(run.folder / "history.csv", history_text(training.history))
        if on_epoch is not None:
            on_epoch(rows)

    training.run(save, on_step)
    outcome = outcome_of(test, run.settings, training.history, training.choose(test.x))
    if processes.is_first():
        _write_outcome(run.folder, outcome)
    return outcome


def _write_outcome(folder: Path, outcome: Outcome) -> None:
    from san.training.pictures import figures_of  # matplotlib, which training does without

    test = outcome.test
    notes: dict[str, Any] = {"dataset": test.name, "fs": test.fs}
    notes["sampling_rate"] = test.fs  # until 0.6
    notes |= {"names": list(test.names), "units": list(test.units)}
    outcome.result.model.save(folder / MODEL, notes)
    storage.write(folder / METRICS, metrics_text(outcome))
    (folder / "figures").mkdir(exist_ok=True)
    for name, png in figures_of(outcome).items():
        storage.write(folder / "figures" / f"{name}.png", png)


def _load(data: RunData, settings: Settings) -> datasets.Splits:
    options = dataclasses.asdict(data)
    name = options.pop("dataset")
    if data.recordings is not None:
        paths = _located(options.pop("recordings"), options.pop("data_dir"))
        given = {name: value for name, value in options.items() if value is not None}
        return datasets.from_files(paths, seed=settings.seed, **given)
    for option in OF_RECORDINGS:
        options.pop(option)
    return datasets.load_splits(name, protocol=settings.protocol, seed=settings.seed, **options)


def _located(recordings: Sequence[str], data_dir: str | None) -> list[Path]:
    """Recordings where the run names them, or else of the same name in a folder."""
    found = []
    for path in map(Path, recordings):
        is_there = path.exists() or path.with_name(f"{path.name}.hea").exists()
        found.append(path if is_there or data_dir is None else Path(data_dir) / path.name)
    return found


def _refuse_processes() -> None:
    if processes.are_several():
        raise ValueError(f"--record {ALL} trains in one process: give one record to several")


def _prepare(data: RunData, settings: Settings) -> tuple[datasets.Splits, Training]:
    """Load the data and make the training; both must be the same in every process."""
    processes.by_all(lambda: distributed.take_device(settings.device))
    splits = processes.by_all(lambda: _load(data, settings))
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


def _begin(folder: Path | None, name: str, text: str, origins: str | None) -> Path:
    """Make the folder of a new run, with its settings; restarted processes take the old one."""
    if processes.were_restarted():
        folders = [folder] if folder else Path("runs").glob(f"{name}*")
        had = [f / SETTINGS for f in folders if (f / SETTINGS).is_file()]
        had = [path for path in had if path.read_text(encoding="utf-8") == text]
        folder = max(had, key=lambda path: path.stat().st_mtime).parent if had else folder
        if folder:
            storage.remove_leftovers(folder)
        if had and folder:
            return folder
    folder = _make_folder(folder, name)
    if origins is not None:
        storage.write(folder / WINDOWS, origins)
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
