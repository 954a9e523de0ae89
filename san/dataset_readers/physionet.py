"""Which PhysioNet recording is meant, where its files are, and how it is cut into windows."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from san import signals
from san.dataset_readers import fetch
from san.dataset_readers.fetch import MissingData
from san.files import tables

BUNDLED = "bundled"  # the record that needs no network
EXPORT = "(export)"  # after the name of a record that another file stands for
_SAME_RATE = 1e-5  # times of three decimals tell the rate of a minute so well

Manifest = dict[str, Any]


def find_recording(
    manifest: Manifest, record: str, folder: Path, places: list[Path]
) -> tuple[signals.Recording, str]:
    """Return a recording, checked, and its name in full, which says if it is an export.

    `record` is "bundled", a database or "database/record", `folder` holds the bundled recording
    and `places` are searched before the network. Raises MissingData or ValueError.
    """
    if record == BUNDLED:
        path = folder / manifest["bundled"]["record"]
        label, sha256 = BUNDLED, manifest["bundled"]["sha256"]
    else:
        database, entry = find_database(manifest, record)
        name = record.partition("/")[2] or entry.get("record")
        name = name or _first_record(manifest, database, entry["version"])
        version, label = entry["version"], f"{database}/{name}"
        path = _locate(database, version, name, places)
        export = None
        if path is None and name == entry.get("record"):
            export = _locate_export(manifest, database, places)
        if export is not None:
            return _read_export(export, entry["export"]), f"{label} {EXPORT}"
        path = path or _download(manifest, database, version, name)
        sha256 = entry.get("sha256", {})
    for suffix in (".hea", ".dat"):
        if path.name + suffix in sha256:
            fetch.check_sha256(path.with_name(path.name + suffix), sha256[path.name + suffix])
    return signals.read_wfdb(path), label


def find_database(manifest: Manifest, record: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a record's database and what the manifest says of it."""
    if record == BUNDLED:
        database = manifest["bundled"]["database"]
        return database, manifest["databases"][database]
    if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", record):
        raise ValueError(f"record must be 'database/record', such as mitdb/100, got {record!r}")
    database = record.partition("/")[0]
    if database not in manifest["databases"]:
        known = ", ".join([BUNDLED, *manifest["databases"]])
        raise ValueError(f"the database of a record must be one of {known}, got {database!r}")
    return database, manifest["databases"][database]


def find_here(manifest: Manifest, database: str, places: list[Path]) -> tuple[bool, str]:
    """Say whether the first record of a database loads without the network.

    Returns
    -------
    tuple of bool and str
        Whether it is here, and what the export is that stands for it: "" for the record itself.
    """
    entry = manifest["databases"][database]
    record = entry.get("record")
    if record is None:
        return False, ""
    if _locate(database, entry["version"], record, places) is not None:
        return True, ""
    is_export = _locate_export(manifest, database, places) is not None
    return is_export, entry["export"]["what"] if is_export else ""


def cut_windows(
    recording: signals.Recording, name: str, channel: int, window: int, windows: int, start: int
) -> list[np.ndarray]:
    """Cut standardised windows: a half for training, a sixth for validation, the rest to test.

    Returns three float32 arrays of shape (N, 1, window). Raises ValueError where the windows do
    not fit the recording or hold a gap.
    """
    samples, channels = recording.x.shape
    if not 0 <= channel < channels:
        raise ValueError(f"channel must be between 0 and {channels - 1} in {name}, got {channel}")
    for option, value, least in (
        ("window", window, 2),
        ("windows", windows, 6),
        ("start", start, 0),
    ):
        if value < least:
            raise ValueError(f"{option} must be at least {least}, got {value}")
    if start + window * windows > samples:
        raise ValueError(
            f"{windows} windows of {window} samples from sample {start} on do not fit {name}, "
            f"which has {samples} samples"
        )
    x = recording.x[start : start + window * windows, channel].reshape(windows, 1, window)
    gaps = np.isnan(x).any(axis=(1, 2))
    if gaps.any():
        at = start + window * int(gaps.argmax())
        raise ValueError(
            f"{name} has a gap between samples {at} and {at + window}: choose another start, "
            "window or number of windows"
        )
    x = _standardise(x.astype(np.float32))
    bounds = [0, windows // 2, windows // 2 + windows // 6, windows]
    return [x[begin:end] for begin, end in itertools.pairwise(bounds)]


def _standardise(x: np.ndarray) -> np.ndarray:
    """Each window with mean 0 and unbiased standard deviation 1; constant windows are zeros."""
    x = x - x.mean(axis=-1, keepdims=True)
    deviation = x.std(axis=-1, ddof=1, keepdims=True)
    return x / np.where(deviation > 0, deviation, 1)


def _locate(database: str, version: str, name: str, places: list[Path]) -> Path | None:
    """The path of a record, without ending, where its header and all its signal files are here."""
    for place in places:
        for folder in (database, f"{database}/{version}", f"files/{database}/{version}"):
            header = place / folder / f"{name}.hea"
            if header.is_file() and all(
                (header.parent / file).is_file() for file in _signal_files(header)
            ):
                return header.with_suffix("")
    return None


def _locate_export(manifest: Manifest, database: str, places: list[Path]) -> Path | None:
    """Another file with the samples of a database's first record, where one is known and here."""
    entry = manifest["databases"][database]
    export = entry.get("export", {})
    if "record" in export:
        return _locate(database, entry["version"], export["record"], places)
    return fetch.locate([f"{database}/{export['file']}"], places) if export else None


def _read_export(path: Path, export: dict[str, Any]) -> signals.Recording:
    """The recording in an export: a record, or a text whose rate and columns must be as stated."""
    if "record" in export:
        return signals.read_wfdb(path)
    table = tables.read(path, exact=False)
    fs, units = export["fs"], tuple(export["units"])
    x = np.asarray(table.x, np.float64).reshape(len(table.x), -1)
    if x.shape[1] != len(units):
        raise ValueError(f"{path} must have times and {len(units)} channels, got {x.shape[1]}")
    if table.fs is None or abs(table.fs / fs - 1) > _SAME_RATE:
        raise ValueError(f"the times of {path} are not those of {fs:g} Hz")
    return signals.Recording(x, fs, units, table.names)


def _signal_files(header: Path) -> list[str]:
    """The files that a WFDB header names: the first word of each signal's line."""
    with open(header, encoding="utf-8", errors="replace") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    files = list(dict.fromkeys(words[0] for words in lines[1:]))
    for name in files:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
            raise ValueError(f"{header} is corrupt: it names a signal file {name!r}")
    return files


def _first_record(manifest: Manifest, database: str, version: str) -> str:
    """The first line of the publisher's list of records."""
    target = fetch.cache() / database / version / "RECORDS"
    if not target.is_file():
        try:
            fetch.download(f"{manifest['address']}/{database}/{version}/RECORDS", target)
        except MissingData as error:
            raise MissingData(
                f"which record of {database} is the first stands in the publisher's list, and "
                f"{error}: name the record, {database}/RECORD"
            ) from error
    return target.read_text().split()[0]


def _download(manifest: Manifest, database: str, version: str, name: str) -> Path:
    """Download a record's header and signals, each checked with the publisher's SHA-256."""
    folder = fetch.cache() / database / version
    address = f"{manifest['address']}/{database}/{version}"
    try:
        sums = folder / "SHA256SUMS.txt"
        if not sums.is_file():
            fetch.download(f"{address}/{sums.name}", sums)
        lines = (line.split(maxsplit=1) for line in sums.read_text().splitlines())
        sha256 = {words[1].strip(): words[0] for words in lines if len(words) == 2}
        if f"{name}.hea" not in sha256:
            raise ValueError(f"{database} {version} has no record {name}")
        header = folder / f"{name}.hea"
        fetch.download(f"{address}/{name}.hea", header, sha256[f"{name}.hea"])
        for file in _signal_files(header):
            path = str(Path(name).with_name(file))
            fetch.download(f"{address}/{path}", folder / path, sha256.get(path))
    except MissingData as error:
        raise MissingData(
            f"record {database}/{name} is not here, and {error}: put {address}/{name}.hea and its "
            f"signal file into FOLDER/{database} and give FOLDER as data folder (--data-dir)"
        ) from error
    return header.with_suffix("")
