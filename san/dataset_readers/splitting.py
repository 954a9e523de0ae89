"""Which windows are for training, which choose a model, and which test it: by time, by recording,
or by a table of groups, so that all recordings of a patient are on one side.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SPLITS = ("train", "validation", "test")
LARGEST_TABLE = 1 << 24  # bytes
_NAMES = ("record", "recording", "file", "name")  # of the column that names recordings
_GROUPS = ("group", "patient", "subject")  # of the column that names groups
_LEFT_OUT = -1


def shares_of(shares: Sequence[float]) -> np.ndarray:
    """The shares of training, validation and test, which add up to 1.

    Examples
    --------
    >>> shares_of((12, 4, 4)).tolist()
    [0.6, 0.2, 0.2]
    """
    given = np.array(shares, np.float64)
    if given.shape != (3,) or not np.isfinite(given).all() or not (given > 0).all():
        raise ValueError(
            "shares must be three numbers above 0, for training, validation and test, got "
            f"{', '.join(map(str, shares))}"
        )
    return given / given.sum()


def counts_of(number: int, shares: np.ndarray) -> list[int]:
    """Share a number, at least 3, among the splits; each gets at least one.

    Examples
    --------
    >>> counts_of(20, shares_of((12, 4, 4))), counts_of(3, shares_of((8, 1, 1)))
    ([12, 4, 4], [1, 1, 1])
    """
    exact = shares * number
    counts = np.maximum(np.floor(exact), 1)
    while counts.sum() != number:
        change = 1 if counts.sum() < number else -1
        wanting = (exact - counts) * change
        wanting[(counts + change) < 1] = -np.inf
        counts[int(np.argmax(wanting))] += change
    return [int(count) for count in counts]


def by_time(starts: np.ndarray, window: int, shares: np.ndarray, name: str) -> np.ndarray:
    """Split the windows of one recording by time.

    Parameters
    ----------
    starts : int64 (N,), rising
    window : int
        Samples.
    shares : ndarray
        What `shares_of` gives.
    name : str
        Of the recording, for an error.

    Returns
    -------
    int (N,)
        The number of the split of each window, -1 of one that overlaps a window of the split
        before.

    Raises
    ------
    ValueError
        If a split would have no window.

    Examples
    --------
    >>> by_time(np.arange(0, 100, 10), 10, shares_of((3, 1, 1)), "x").tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    >>> by_time(np.arange(0, 100, 10), 20, shares_of((3, 1, 1)), "x").tolist()
    [0, 0, 0, 0, 0, 0, -1, 1, -1, 2]
    """
    side = np.full(len(starts), _LEFT_OUT)
    if len(starts) >= 3:
        ends = np.cumsum(counts_of(len(starts), shares))
        side = np.searchsorted(ends, np.arange(len(starts)), "right")
        for split in (1, 2):
            before = starts[(side >= 0) & (side < split)]
            if len(before):
                side[(side == split) & (starts < before[-1] + window)] = _LEFT_OUT
    for number, title in enumerate(SPLITS):
        if not (side == number).any():
            raise ValueError(
                f"{name} has {len(starts)} windows without gaps, which leave none for {title}: "
                "take shorter windows, or split by record"
            )
    return side


def by_group(groups: Sequence[str], shares: np.ndarray, seed: int) -> list[int]:
    """Draw the split of each recording; those of one group are in the same split.

    Examples
    --------
    >>> by_group(["a", "b", "a", "c"], shares_of((1, 1, 1)), seed=0)
    [1, 2, 1, 0]
    """
    names = sorted({*groups})
    if len(names) < 3:
        raise ValueError(
            f"training, validation and test need a recording or a group each, and there are "
            f"{len(names)}: {', '.join(names)}; split by time instead"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    ends = np.cumsum(counts_of(len(names), shares))
    split = {
        names[number]: int(np.searchsorted(ends, place, "right"))
        for place, number in enumerate(order)
    }
    return [split[group] for group in groups]


def read_groups(path: Path, names: Sequence[str]) -> tuple[list[str], list[int] | None]:
    """Read a table that says to which group each recording belongs.

    Parameters
    ----------
    path : Path
        A .csv file with commas. Its columns are `record` and `group` (or `patient`, `subject`),
        or `record` and `split`, with train, validation or test in it.
    names : sequence of str
        Of the recordings. The table has them without endings, or as files.

    Returns
    -------
    groups : list of str
    splits : list of int or None
        The number of each recording's split, where the table has such a column.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such table, or it lacks a column or a recording.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: the table of groups")
    if path.stat().st_size > LARGEST_TABLE:
        raise ValueError(f"{path} has over {LARGEST_TABLE} bytes: it is no table of groups")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no table of groups: {error}") from error
    columns = [text.strip().lower() for text in lines[0]] if lines else []
    record = next((columns.index(name) for name in _NAMES if name in columns), None)
    group = next((columns.index(name) for name in _GROUPS if name in columns), None)
    given = columns.index("split") if "split" in columns else None
    if record is None or (group is None and given is None):
        raise ValueError(
            f"{path} must have the columns record and group, or record and split, got "
            f"{', '.join(columns) or 'none'}"
        )
    width = max(place for place in (record, group, given) if place is not None)
    rows = {row[record].strip(): row for row in lines[1:] if len(row) > width}
    rows |= {Path(name).stem: row for name, row in rows.items()}
    missing = [name for name in names if name not in rows]
    if missing:
        raise ValueError(f"{path} has no line for the recording {missing[0]}")
    groups = [rows[name][record if group is None else group].strip() for name in names]
    if given is None:
        return groups, None
    texts = [rows[name][given].strip().lower() for name in names]
    for name, text in zip(names, texts, strict=True):
        if text not in SPLITS:
            raise ValueError(f"{path} must have train, validation or test for {name}, got {text!r}")
    return groups, [SPLITS.index(text) for text in texts]
