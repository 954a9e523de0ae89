"""Which trainings make up the paper's experiments, and what is kept of each.

An experiment is a list of units: one data set, activation, variant, protocol and seed, with all of
its kernel sizes. A unit's result is one JSON file whose name has a digest of everything it depends
on. So a finished unit is never trained again: not after the process was killed, not with more
seeds, and not in another experiment.

The published protocol is the authors': random start, last epoch, kernel size with the lowest test φ
of all. The corrected one trains the same models and chooses epoch and kernel size by the validation
φ. A variant is one of the improvements beyond the paper.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from san import datasets, storage
from san.networks.choices import ACTIVATIONS
from san.paper import classifiers, store
from san.training.settings import Settings
from san.training.train import Training

EXPERIMENTS = ("physionet", "uci-epilepsy", "mnist", "fashion-mnist")
FORMAT = 1  # of a unit's file; another number makes every unit anew
VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {"init": "normal", "decoder": "paper"},
    "adjoint decoder": {"init": "normal", "decoder": "adjoint"},
    "data start": {"init": "data", "decoder": "paper"},
    "data start, adjoint decoder": {},
    "annealed from 1/4": {"anneal": 0.25},
    "two kernels": {"kernels": 2},
    "two kernels, grown": {"kernels": 2, "grow": True},
    "two kernels that compete": {"kernels": 2, "compete": True},
    "refitted": {"refit": True},
    "three passes": {"passes": 3},
    "three passes, refitted": {"passes": 3, "refit": True},
    "three passes, refitted, two kernels that compete": {
        "passes": 3,
        "refit": True,
        "compete": True,
        "kernels": 2,
    },
}  # where it is not said, with data start and adjoint decoder
_SLOW = ("refit", "passes", "compete")  # have fewer kernel sizes
_FEWER_SIZES = "10:200:10"
_KERNEL_SIZES = {"uci-epilepsy": "8:23"}  # the paper's and the thesis's


@dataclass(frozen=True)
class Unit:
    """One training of all kernel sizes."""

    experiment: str
    record: str | None  # a PhysioNet database, for its first record
    activation: str
    variant: str
    protocol: str
    seed: int

    @property
    def dataset(self) -> str:
        """The name that tables give the data."""
        return self.record or self.experiment

    @property
    def label(self) -> str:
        """What the progress bar shows."""
        return f"{self.dataset} {self.activation}, seed {self.seed}"

    @property
    def cost(self) -> float:
        """About how many seconds it takes, to estimate the time that is left."""
        if any(option in VARIANTS[self.variant] for option in _SLOW):
            return 20.0
        dense = self.activation in ("identity", "relu")
        expected = {"uci-epilepsy": 50.0, "mnist": 50.0, "fashion-mnist": 50.0}
        return expected.get(self.experiment, 3.0 if dense else 1.0)


def plan(
    experiments: Sequence[str],
    protocols: Sequence[str],
    seeds: int,
    variants: Sequence[str] = ("paper",),
    records: Sequence[str] | None = None,
) -> list[Unit]:
    """List the units of experiments.

    Variants other than "paper" are trained with Extrema on PhysioNet, under the corrected protocol.

    Examples
    --------
    >>> len(plan(["mnist"], ["published"], seeds=2))
    10
    """
    _check("experiment", experiments, EXPERIMENTS)
    _check("protocol", protocols, datasets.PROTOCOLS)
    _check("variant", variants, tuple(VARIANTS))
    _check("record", records or (), tuple(datasets.databases()))
    if seeds < 1:
        raise ValueError(f"there must be at least one seed, got {seeds}")
    units = []
    for experiment in experiments:
        is_physionet = experiment == "physionet"
        for record in (records or datasets.databases()) if is_physionet else (None,):
            for variant in variants:
                beyond = variant != "paper"
                if beyond and not is_physionet:
                    continue
                for protocol in ("corrected",) if beyond else protocols:
                    for activation in ("extrema",) if beyond else ACTIVATIONS:
                        units += [
                            Unit(experiment, record, activation, variant, protocol, seed)
                            for seed in range(seeds)
                        ]
    return units


def _check(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}, got {name!r}")


def run(
    units: Sequence[Unit],
    folder: Path,
    data_dir: str | None = None,
    on_part: Callable[[Unit, float], None] | None = None,
    device: str = "cpu",
) -> Iterator[tuple[Unit, dict[str, Any] | None]]:
    """Yield each unit with its result, read or trained now; the result is None without data.

    `on_part` is called with a unit and the share of its work that was just done. `device` is where
    the networks are trained; a result that was trained on another device is not taken for this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage.remove_leftovers(folder)
    loaded: dict[tuple[Any, ...], datasets.Splits | None] = {}
    baselines: dict[tuple[Any, ...], classifiers.ClassAccuracy] = {}
    for unit in units:
        # Only the table is split by the seed.
        seed = unit.seed if unit.experiment == "uci-epilepsy" else 0
        source = (unit.experiment, unit.record, unit.protocol, seed)
        if source not in loaded:
            loaded = {source: _load(unit, seed, data_dir)}  # one at a time in memory
        splits = loaded[source]
        if splits is None:
            yield unit, None
            continue
        settings = settings_of(unit, device)
        path = folder / _file_name(unit, settings, splits)
        if not path.is_file():
            begin = time.process_time()
            content = _make(unit, settings, splits, baselines, on_part)
            content["seconds"] = round(time.process_time() - begin, 2)
            storage.write(path, json.dumps(content) + "\n")
        elif on_part is not None:
            on_part(unit, 1.0)
        yield unit, store.read(path)


def settings_of(unit: Unit, device: str = "cpu") -> Settings:
    """How a unit trains."""
    given = datasets.training_defaults(unit.experiment, unit.record, unit.protocol)
    given["kernel_sizes"] = _KERNEL_SIZES.get(unit.experiment, given["kernel_sizes"])
    if any(option in VARIANTS[unit.variant] for option in _SLOW):
        given["kernel_sizes"] = _FEWER_SIZES
    return Settings(
        **{
            **given,
            **VARIANTS[unit.variant],
            "activation": unit.activation,
            "protocol": unit.protocol,
            "seed": unit.seed,
            "device": device,
        }
    )


def _load(unit: Unit, seed: int, data_dir: str | None) -> datasets.Splits | None:
    options: dict[str, Any] = {"protocol": unit.protocol, "seed": seed, "data_dir": data_dir}
    if unit.record is not None:
        options["record"] = unit.record
    try:
        return datasets.load_splits(unit.experiment, **options)
    except datasets.MissingData:
        return None


def _told(settings: Settings) -> dict[str, Any]:
    """Settings as the results of 0.4 have them: experiments train no sizes together."""
    return {k: v for k, v in dataclasses.asdict(settings).items() if k != "together"}


def _file_name(unit: Unit, settings: Settings, splits: datasets.Splits) -> str:
    """The unit's words, and a digest of all that its result depends on."""
    depends = {
        "format": FORMAT,
        "settings": _told(settings),
        "unit": dataclasses.asdict(unit),
        "data": [split.sha256 for split in splits],
    }
    words = [unit.dataset, unit.activation, unit.variant, unit.protocol, str(unit.seed)]
    return store.file_name(words, depends)


def _make(
    unit: Unit,
    settings: Settings,
    splits: datasets.Splits,
    baselines: dict[tuple[Any, ...], classifiers.ClassAccuracy],
    on_part: Callable[[Unit, float], None] | None,
) -> dict[str, Any]:
    """Train a unit and return what is kept of it."""
    classified = splits.train.y is not None
    training = Training(settings, splits.train.x, splits.validation.x)
    parts = settings.epochs + (len(settings.kernel_sizes) if classified else 0)

    def done() -> None:
        if on_part is not None:
            on_part(unit, 1 / parts)

    training.run(lambda rows: done())
    scores, chosen_rows = training.scores(splits.test.x), training.rows()
    rows: list[dict[str, Any]] = []
    for m, row in chosen_rows.items():
        means = {name: float(values.mean()) for name, values in scores[m]._asdict().items()}
        rows.append(
            {"kernel_size": m, "epoch": row.epoch, "validation_phi": row.phi, **means}
            | {"phi_deviation": float(scores[m].phi.std())}
        )
    if classified:
        _add_accuracies(unit, settings, splits, training, rows, baselines, done)
    by = "phi" if unit.protocol == "published" else "validation_phi"
    chosen = min(rows, key=lambda row: row[by])["kernel_size"]
    model = training.models[settings.kernel_sizes.index(chosen)]
    return {
        **dataclasses.asdict(unit),
        "data": splits.test.name,
        "data_sha256": [split.sha256 for split in splits],
        "fs": splits.test.fs,
        "sampling_rate": splits.test.fs,  # its name until 0.6
        "settings": _told(settings) | {"kernel_sizes": list(settings.kernel_sizes)},
        "versions": store.versions(),
        "chosen": chosen,
        "rows": rows,
        "history": [row.phi for row in training.history if row.kernel_size == chosen],
        "kernels": [np.round(w[0].detach().numpy(), 6).tolist() for w in model.kernels],
    }


def _add_accuracies(
    unit: Unit,
    settings: Settings,
    splits: datasets.Splits,
    training: Training,
    rows: list[dict[str, Any]],
    baselines: dict[tuple[Any, ...], classifiers.ClassAccuracy],
    done: Callable[[], None],
) -> None:
    """Classify the reconstructions of every kernel size, and the signals themselves."""
    corrected = unit.protocol == "corrected"
    options: dict[str, Any] = {"epochs": settings.epochs, "seed": unit.seed, "choose": corrected}
    raw = [_labelled(split, torch.from_numpy(split.x)) for split in splits]
    key = (unit.experiment, unit.protocol, unit.seed)
    if key not in baselines:
        baselines[key] = classifiers.train_classifier(*raw, **options)
    baseline = baselines[key].test if corrected else baselines[key].pooled
    for row, model in zip(rows, training.models, strict=True):
        with torch.no_grad():
            drawn = [
                classifiers.Labelled(torch.cat([model(b).x_hat for b in x.split(256)]), y)
                for x, y in raw
            ]
        row["accuracy"] = classifiers.train_classifier(*drawn, **options).test
        row["baseline"] = baseline
        done()


def _labelled(split: datasets.Dataset, x: torch.Tensor) -> classifiers.Labelled:
    assert split.y is not None
    return classifiers.Labelled(x, torch.from_numpy(split.y))
