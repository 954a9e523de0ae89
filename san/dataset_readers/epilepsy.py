"""The UCI-epilepsy table: where it is, and how its rows are split and scaled."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from san.dataset_readers import fetch
from san.dataset_readers.fetch import MissingData
from san.packages import need

Manifest = dict[str, Any]


def load(
    name: str, manifest: Manifest, places: list[Path], protocol: str, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (x, y) of the three splits: x (N, 1, 178), float32 in [-1, 1], y (N,), int64.

    See `san.datasets.load_splits` for the protocols. Raises MissingData or ValueError.
    """
    path, shuffled = _find_table(name, manifest, places)
    recordings, x, labels = _read_table(path, manifest)
    generator = np.random.default_rng(seed)
    if protocol == "corrected":
        names, number = np.unique(recordings, return_inverse=True)
        order = np.argsort(generator.permutation(len(names))[number], kind="stable")
    else:
        order = np.arange(len(x)) if shuffled else generator.permutation(len(x))
    rows = np.split(order, np.cumsum(manifest["split"])[:-1])
    scaled_by = x[rows[0]] if protocol == "corrected" else x
    low, high = scaled_by.min(), scaled_by.max()
    x = (2 * (x - low) / (high - low) - 1).astype(np.float32)[:, None]
    y = np.array([manifest["classes"][str(label)] for label in labels])
    return [(x[part], y[part]) for part in rows]


def is_here(manifest: Manifest, places: list[Path]) -> bool:
    """Say whether the table loads without the network."""
    return fetch.locate([file["path"] for file in manifest["files"]], places) is not None


def _find_table(name: str, manifest: Manifest, places: list[Path]) -> tuple[Path, bool]:
    """The table's path, and whether its rows are in random order."""
    for file in manifest["files"]:
        path = fetch.locate([file["path"]], places)
        if path is not None:
            return path, file["shuffled"]
    file = manifest["files"][0]
    try:
        target = fetch.cache() / file["path"]
        check = functools.partial(_check_git_blob, expected=file["git_blob"])
        return fetch.download(file["address"], target, verify=check), file["shuffled"]
    except MissingData as error:
        raise MissingData(
            f"{name} is not here, and {error}: put the table into FOLDER/{file['path']} and give "
            "FOLDER as data folder (--data-dir)"
        ) from error


def _check_git_blob(path: Path, expected: str) -> None:
    """The identifier that git gives a file's content: the only published one of this table."""
    content = path.read_bytes()
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if digest != expected:
        raise ValueError(f"the table that arrived has identifier {digest}, expected {expected}")


def _read_table(path: Path, manifest: Manifest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The recording that each row belongs to, its samples and its label."""
    need("pandas")
    import pandas

    try:
        table = pandas.read_csv(path)
        recordings = table.iloc[:, 0].astype(str).str.partition(".")[2].to_numpy(str)
        x = table.iloc[:, 1:-1].to_numpy(np.float64)
        labels = table.iloc[:, -1].to_numpy(np.int64)
    except Exception as error:
        raise ValueError(f"{path} is not a readable table: {error}") from error
    expected = (manifest["rows"], manifest["samples"])
    if x.shape != expected or not np.isfinite(x).all():
        raise ValueError(f"{path} must hold {expected} numbers between names and labels")
    if not {str(label) for label in labels} <= manifest["classes"].keys():
        raise ValueError(f"{path} holds labels other than {', '.join(manifest['classes'])}")
    return recordings, x, labels
