"""Which recordings a list of files, records, folders and zarr arrays names."""

import itertools
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from san.archives import walk
from san.archives.records import STREAM, survey
from san.wfdb_records.record import header_path

ZARR = ("zarr.json", ".zarray", ".zgroup")  # what the folder of a zarr array or group holds
LARGEST_METADATA = 1 << 24  # bytes of a zarr.json
_ENDINGS = re.compile(r"(\.(npy|csv|edf|bdf|zarr))?(\.san)?$", re.IGNORECASE)


def recordings_in(paths: Sequence[str | Path], without: Sequence[Path] = ()) -> list[Path]:
    """List every recording that is named, or is in a folder that is named, each once.

    Parameters
    ----------
    paths : sequence of paths
        Of a folder, all recordings below it are listed, sorted by path. A stream that stands
        beside its record is left out.
    without : sequence of Path
        Files in folders that are no recordings, such as a table of patients.

    Raises
    ------
    FileNotFoundError
        If nothing of a name is there.
    ValueError
        If no recording is there, or a folder cannot be looked at.

    Examples
    --------
    >>> [str(path) for path in recordings_in(["datasets/sample"])]
    ['datasets/sample/mitdb_208']
    """
    others = {os.path.realpath(path) for path in without}
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        for each in _below(path) if _is_folder(path) else [_one(path)]:
            real = os.path.realpath(each)
            if real not in others:
                found.setdefault(real, each)
    if not found:
        listed = ", ".join(map(str, paths)) or "nothing"
        raise ValueError(f"no recording is among {listed}: name files, records or folders of them")
    return list(found.values())


def names_of(paths: Sequence[Path]) -> list[str]:
    """Name each recording: its file without the ending, or its path where two have one name.

    Examples
    --------
    >>> names_of([Path("a/100"), Path("b/x.npy.san")])
    ['100', 'x']
    >>> names_of([Path("a/1.csv"), Path("b/1.csv")])
    ['a/1.csv', 'b/1.csv']
    """
    short = [_ENDINGS.sub("", path.name) or path.name for path in paths]
    if len({*short}) == len(short):
        return short
    whole = [os.path.abspath(path) for path in paths]
    above = os.path.commonpath([os.path.dirname(path) for path in whole])
    return [Path(os.path.relpath(path, above)).as_posix() for path in whole]


def is_zarr(path: Path) -> bool:
    """Say whether a folder holds a zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR)


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder to look into: neither a zarr array nor the name of a record."""
    return path.is_dir() and not is_zarr(path) and not (path.name and header_path(path).is_file())


def _one(path: Path) -> Path:
    """A recording that is named; a WFDB record loses its ending."""
    if is_zarr(path):
        return path
    record = path.with_suffix("") if path.suffix.lower() in (".hea", ".dat") else path
    if record.name and header_path(record).is_file():
        return record
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there, nor is a WFDB record of that name")
    return path


def _below(folder: Path) -> list[Path]:
    """All recordings below a folder."""
    records, _ = survey(folder)
    for record in records:
        if not record.files:
            raise ValueError(f"{folder / record.path} cannot be looked at: {record.problem}")
    files = walk.find_files(folder).paths
    arrays = [os.path.dirname(path) for path in files if _is_array(folder, path)]
    found = {record.path for record in records}
    beside = {record.stream for record in records}
    streams = [path for path in files if path.endswith(STREAM) and path not in beside]
    inside = tuple(f"{array}/" for array in arrays)
    listed = sorted(
        path
        for path in itertools.chain(found, streams, arrays)
        if not (inside and path.startswith(inside))
    )
    return [_one(folder / path) for path in listed]


def _is_array(folder: Path, path: str) -> bool:
    """Whether a file is the metadata of a zarr array of version 3."""
    if os.path.basename(path) != ZARR[0] or os.path.dirname(path) == "":
        return False
    with open(folder / path, "rb") as file:
        text = file.read(LARGEST_METADATA)
    try:
        return json.loads(text).get("node_type") == "array"
    except (ValueError, AttributeError, RecursionError):
        return False
