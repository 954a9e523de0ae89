"""From a data set's name to arrays: which record, which windows, which split, how normalised.

A manifest per source (`datasets/*.toml`) says what the data set is; one sibling file per kind of
source finds and reads it. Splits and normalisation are those of the paper; `protocol` names
where the published experiments and the corrected ones differ.
"""

import csv
import functools
import gzip
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from san import signals
from san.dataset_readers import epilepsy, fetch, images, physionet
from san.dataset_readers.fetch import MissingData
from san.dataset_readers.physionet import BUNDLED
from san.dataset_readers.recordings import RECORDINGS, from_files
from san.dataset_readers.splits import Dataset, Splits
from san.packages import need

__all__ = [
    "BUNDLED",
    "NAMES",
    "PROTOCOLS",
    "RECORDINGS",
    "Dataset",
    "Entry",
    "MissingData",
    "Splits",
    "available",
    "databases",
    "from_files",
    "load",
    "load_splits",
    "published_baseline",
    "published_curve",
    "published_results",
    "read_manifest",
    "told_of_export",
    "training_defaults",
]

#: The data sets.
NAMES = ("physionet", "uci-epilepsy", "mnist", "fashion-mnist")
#: What `load_splits` takes as its protocol.
PROTOCOLS = ("corrected", "published")


@dataclass(frozen=True)
class Entry:
    """A line of the list of data sets."""

    name: str
    title: str
    licence: str
    here: bool  #: whether it loads without the network
    export: str = ""  #: what stands for the original where only an export of it is here


def load(name: str, split: str = "train", **options: Any) -> Dataset:
    """Load one split of a data set; the options are those of `load_splits`.

    Examples
    --------
    >>> train = load("physionet")
    >>> train.x.shape, train.fs, train.units
    ((6, 1, 1000), 360.0, ('mV',))
    """
    if split not in Splits._fields:
        raise ValueError(f"split must be one of {', '.join(Splits._fields)}, got {split!r}")
    return getattr(load_splits(name, **options), split)


def load_splits(
    name: str,
    *,
    record: str | None = None,
    channel: int | None = None,
    window: int | None = None,
    windows: int | None = None,
    start: int | None = None,
    start_seconds: float | None = None,
    protocol: str = "corrected",
    seed: int = 0,
    data_dir: str | Path | None = None,
) -> Splits:
    """Load the training, validation and test split of a data set.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    record : str, optional
        PhysioNet only: "database/record", a database's name for its first record, or "bundled"
        (the default), the recording that comes with the package.
    channel : int, optional
        PhysioNet only: which channel, from 0; the paper's where it is not given.
    window, windows : int, optional
        PhysioNet only: samples per window and how many of them, one after the other; the paper's
        12 of 1,000 where they are not given. A half of them are for training, a sixth for
        validation, the rest for the test, in order. Each is standardised: mean 0, unbiased
        standard deviation 1 (a constant window becomes zeros).
    start : int, optional
        PhysioNet only: the sample of the record at which the first window begins; 0 where it is
        not given, and for the paper's windows of the bundled record a stretch with a calm
        baseline.
    start_seconds : float, optional
        PhysioNet only: the same as `start`, in seconds; not together with it.
    protocol : {"corrected", "published"}
        UCI-epilepsy only: "published" splits by row and scales by the extremes of all rows;
        "corrected" keeps windows of one recording on one side and scales by those of the training
        rows. Both scale to [-1, 1].
    seed : int
        UCI-epilepsy only: of the order in which recordings (published: rows, where the file
        does not have them in random order) are split.
    data_dir : str or Path, optional
        A folder that is searched before $SAN_DATA_DIR, the cache and the network.

    Returns
    -------
    Splits
        (train, validation, test), each a `Dataset`.

    Raises
    ------
    MissingData
        If files are neither here nor to be had; the message says how to get them.
    ValueError
        If a name, a size or a channel does not fit, a file is corrupt, or a window holds a gap.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section III.

    Examples
    --------
    >>> [split.x.shape for split in load_splits("physionet", windows=6, window=500)]
    [(3, 1, 500), (1, 1, 500), (2, 1, 500)]
    """
    manifest = read_manifest(name)
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    places = fetch.folders(data_dir)
    if manifest["kind"] == "physionet":
        return _load_windows(
            name,
            manifest,
            record or BUNDLED,
            channel,
            window,
            windows,
            start,
            start_seconds,
            places,
        )
    options: dict[str, Any] = dict(record=record, channel=channel, window=window, windows=windows)
    options |= dict(start=start, start_seconds=start_seconds)
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{option} is an option of physionet, {name} has none")
    label = name
    if manifest["kind"] == "table":
        labelled = epilepsy.load(name, manifest, places, protocol, seed)
    else:
        label, labelled = images.load(name, manifest, places)
    return _splits(
        label,
        labelled,
        manifest.get("fs"),
        manifest["units"],
        manifest["channel"],
        manifest["scale"],
        manifest["licence"],
    )


def _load_windows(
    name: str,
    manifest: dict[str, Any],
    record: str,
    channel: int | None,
    window: int | None,
    windows: int | None,
    start: int | None,
    start_seconds: float | None,
    places: list[Path],
) -> Splits:
    """The windows of a PhysioNet record; the paper's where nothing else is given."""
    paper = manifest["windows"]
    if start_seconds is not None:
        if start is not None:
            raise ValueError("give start or start_seconds, not both")
        if not 0 <= start_seconds < math.inf:
            raise ValueError(f"start_seconds must be 0 or above and finite, got {start_seconds}")
    recording, label = physionet.find_recording(manifest, record, _manifests() / "sample", places)
    if start_seconds is not None:
        start = signals.sample_at(start_seconds, recording.fs)
    elif start is None:
        calm = record == BUNDLED and window is None and windows is None
        start = manifest["bundled"]["start"] if calm else 0
    _, entry = physionet.find_database(manifest, record)
    number = entry["channel"] if channel is None else channel
    parts = physionet.cut_windows(
        recording,
        label,
        number,
        paper["window"] if window is None else window,
        paper["windows"] if windows is None else windows,
        start,
    )
    return _splits(
        f"{name} {label}",
        [(x, None) for x in parts],
        recording.fs,
        recording.units[number],
        recording.names[number],
        paper["scale"],
        entry["licence"],
    )


def load_recording(record: str = BUNDLED, data_dir: str | Path | None = None) -> signals.Recording:
    """Load a whole recording of a PhysioNet database.

    Parameters
    ----------
    record : str
        "database/record", a database's name for its first record, or "bundled": five minutes of
        an electrocardiogram that come with the package.
    data_dir : str or Path, optional
        Searched before the network, as `load_splits` does.

    Returns
    -------
    Recording
        Its `x` is float64 (samples, channels) in physical units.

    Raises
    ------
    MissingData, ValueError
        If it is not to be had, or is no record of a database that is known.

    Examples
    --------
    >>> recording = load_recording()
    >>> recording.x.shape, recording.fs, recording.units
    ((108000, 1), 360.0, ('mV',))
    """
    need("platformdirs", "wfdb")
    manifest = read_manifest("physionet")
    places = fetch.folders(data_dir)
    folder = _manifests() / "sample"
    return physionet.find_recording(manifest, record, folder, places)[0]


def _splits(
    name: str,
    parts: Sequence[tuple[np.ndarray, np.ndarray | None]],
    fs: float | None,
    unit: str,
    channel: str,
    scale: str,
    licence: str,
) -> Splits:
    return Splits(
        *(
            Dataset(name, split, x, y, fs, (unit,), (channel,), scale, licence)
            for split, (x, y) in zip(Splits._fields, parts, strict=True)
        )
    )


def available(data_dir: str | Path | None = None) -> list[Entry]:
    """List every data set and record: what it is, its licence, and whether it is here.

    Examples
    --------
    >>> [entry.here for entry in available() if entry.name == "physionet bundled"]
    [True]
    """
    places = fetch.folders(data_dir)
    entries = []
    for name in NAMES:
        manifest = read_manifest(name)
        if manifest["kind"] == "physionet":
            entries.append(_bundled_entry(name, manifest))
            for database, entry in manifest["databases"].items():
                label = f"{database}/{entry['record']}" if "record" in entry else database
                here, export = physionet.find_here(manifest, database, places)
                title, licence = entry["title"], entry["licence"]
                entries.append(Entry(f"{name} {label}", title, licence, here, export))
        else:
            kind = epilepsy if manifest["kind"] == "table" else images
            here = kind.is_here(manifest, places)
            entries.append(Entry(name, manifest["title"], manifest["licence"], here))
    return entries


def _bundled_entry(name: str, manifest: dict[str, Any]) -> Entry:
    _, database = physionet.find_database(manifest, BUNDLED)
    title = manifest["bundled"]["title"]
    return Entry(f"{name} {BUNDLED}", title, database["licence"], True)


def databases() -> list[str]:
    """List the paper's 15 PhysioNet databases."""
    return list(read_manifest("physionet")["databases"])


def told_of_export(database: str) -> str:
    """Say what the export of a PhysioNet database's first record is; "" where none is known.

    Examples
    --------
    >>> told_of_export("wrist"), told_of_export("mitdb")
    ('its first 60 s as text, three decimals', '')
    """
    return read_manifest("physionet")["databases"][database].get("export", {}).get("what", "")


@functools.cache
def read_manifest(name: str) -> dict[str, Any]:
    """Read the manifest of a data set, `datasets/NAME.toml`."""
    if name not in NAMES:
        raise ValueError(f"dataset must be one of {', '.join(NAMES)}, got {name!r}")
    with open(_manifests() / f"{name}.toml", "rb") as file:
        return tomllib.load(file)


def training_defaults(name: str, record: str | None, protocol: str) -> dict[str, Any]:
    """Return the training settings of a protocol on a data set, as its manifest has them.

    Examples
    --------
    >>> training_defaults("physionet", "mitdb/100", "published")["kernel_sizes"]
    '1:250'
    """
    manifest = read_manifest(name)
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    bundled = manifest.get("bundled", {}) if record in (None, BUNDLED) else {}
    return {**manifest[protocol], **bundled.get(protocol, {})}


def published_results(name: str, activation: str) -> list[dict[str, float]]:
    """Return the published rows of a data set, or of a PhysioNet database, for an activation.

    Parameters
    ----------
    name : str
        As in `Dataset.name`: "physionet mitdb/100", "mnist".
    activation : str
        As in `san.networks.choices.ACTIVATIONS`.

    Returns
    -------
    list of dict
        kernel_size, inverse_compression_ratio, normalized_loss, phi and, for classified data
        sets, accuracy_percent. Empty where nothing was published: for PhysioNet, records other
        than the first of each database.

    Examples
    --------
    >>> published_results("physionet mitdb/100", "extrema")[0]["kernel_size"]
    229.0
    """
    name = name.partition(" (")[0]  # a part of a data set, or an export
    if name.startswith("physionet "):
        database, _, record = name.removeprefix("physionet ").partition("/")
        entry = read_manifest("physionet")["databases"].get(database)
        if entry is None or record != entry.get("record", record):
            return []
        name = database
    with open(_manifests() / "published.csv", newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if (r["dataset"], r["activation"]) == (name, activation)
        ]
    return [
        {k: float(v) for k, v in r.items() if v and k not in ("dataset", "activation")}
        for r in rows
    ]


def published_baseline(name: str) -> float | None:
    """Return the published accuracy of the classifier on the data themselves, in per cent.

    Examples
    --------
    >>> published_baseline("mnist"), published_baseline("physionet bundled")
    (92.17, None)
    """
    return read_manifest(name.partition(" ")[0]).get("published_baseline")


def published_curve(database: str, activation: str) -> np.ndarray:
    """Return the published test results of a PhysioNet database for every kernel size.

    Returns
    -------
    ndarray, shape (249, 3)
        Kernel size, CR⁻¹ and loss (means over the test signals, read from the authors' figures).

    Examples
    --------
    >>> published_curve("mitdb", "extrema")[228].tolist()
    [229.0, 0.2365, 0.3834]
    """
    with gzip.open(_manifests() / "published_curves.csv.gz", "rt", newline="") as file:
        rows = [row[2:] for row in csv.reader(file) if (row[0], row[1]) == (database, activation)]
    return np.array(rows, np.float64).reshape(-1, 3)


def _manifests() -> Path:
    """The folder of manifests: inside the installed package, or beside it in a checkout."""
    installed = Path(__file__).parent / "_datasets"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "datasets"
