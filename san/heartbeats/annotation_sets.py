"""Which files hold a list of beats, how each is read, and which two lists are of one record."""

import csv
import json
from pathlib import Path
from typing import Any

from san.heartbeats.agreement import BeatList, beat_list
from san.wfdb_records.annotations import read_annotations
from san.wfdb_records.header import parse_header

SYMBOL = "Q"  # of a beat whose file says no symbol


def read_set(path: Path, fs: float | None = None) -> BeatList:
    """Read the beats of an annotation file, of a table, or of JSON.

    Parameters
    ----------
    path : Path
        A `.csv` table or `.json` with the times of beats in seconds in the column `time`, and
        possibly their symbols in `symbol`, as `san beats` writes them; or any other file, which is
        a WFDB annotation file such as `100.atr`.
    fs : float, optional
        Sampling rate of the times of an annotation file. Default: what the file states, or the
        header beside it.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If it cannot be read, or times are in samples of a rate that is not known.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    if path.suffix.lower() == ".csv":
        with open(path, newline="", encoding="utf-8") as file:
            return _of_rows(list(csv.DictReader(file)), path)
    if path.suffix.lower() == ".json":
        said = json.loads(path.read_text(encoding="utf-8"))
        rows = said.get("beats") if isinstance(said, dict) else said
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{path} must be a list of beats, or have one as `beats`")
        return _of_rows(rows, path)
    try:
        notes = read_annotations(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no annotation file: {error}") from error
    rate = fs or notes.fs or _rate_beside(path)
    if rate is None:
        raise ValueError(
            f"{path} has times in samples, and no header {path.with_suffix('.hea').name} is beside "
            "it: give fs (--fs)"
        )
    return beat_list(notes.position, notes.symbol, rate)


def pairs_of(
    reference: Path, test: Path, reference_ending: str, test_ending: str
) -> list[tuple[str, Path, Path]]:
    """The records of two files or two folders: name, reference, test.

    Raises
    ------
    ValueError
        If one is a file and the other a folder, or a file of the test is missing.
    FileNotFoundError
        If nothing is there.
    """
    for path in (reference, test):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there")
    if reference.is_dir() != test.is_dir():
        raise ValueError(f"{reference} and {test} must be two files or two folders")
    if not reference.is_dir():
        return [(reference.stem, reference, test)]
    ending, other = (f".{text.lstrip('.')}" for text in (reference_ending, test_ending))
    found = sorted(reference.glob(f"*{ending}"))
    if not found:
        raise ValueError(f"{reference} has no file that ends with {ending}")
    pairs = [(path.stem, path, test / f"{path.stem}{other}") for path in found]
    for _, _, path in pairs:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there, and {reference} has its record")
    return pairs


def _of_rows(rows: list[dict[str, Any]], path: Path) -> BeatList:
    times = []
    for number, row in enumerate(rows):
        try:
            times.append(float(row["time"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} has no time in seconds in row {number + 1}: {error}"
            ) from error
    symbols = [str(row.get("symbol") or SYMBOL) for row in rows]
    in_order = sorted(range(len(times)), key=times.__getitem__)
    return beat_list([times[i] for i in in_order], [symbols[i] for i in in_order], 1.0)


def _rate_beside(path: Path) -> float | None:
    header = path.with_suffix(".hea")
    return parse_header(header.read_bytes()).fs if header.is_file() else None
