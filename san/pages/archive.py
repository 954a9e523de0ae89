"""What a page says of an archive: sizes, errors, failures, and which records to look at first."""

import math
from pathlib import Path, PurePosixPath
from typing import Any

from san.archives import manifest
from san.archives.manifest import Manifest, Row
from san.codec.errors import CodecError
from san.codec.info import inspect
from san.signals import converter_of

MOST_ROWS = 500  # of a table
MOST_DOTS = 5000
MOST_FOLDERS = 20

Table = tuple[str, list[str], list[list[Any]]]


def is_archive(folder: Path) -> bool:
    """Whether a folder has the manifest of an archive."""
    return (folder / manifest.NAME).is_file()


def describe_archive(folder: Path) -> dict[str, Any]:
    """Gather what the page of an archive shows, from its manifest and the heads of its streams.

    Parameters
    ----------
    folder : Path
        What `san archive` wrote; it need not be finished.

    Returns
    -------
    dict
        Texts and numbers, as `pages/report.js` takes them.

    Raises
    ------
    ValueError
        If the manifest cannot be read, or a newer release wrote it.
    """
    known = manifest.read(folder)
    if known is None:
        raise ValueError(f"{folder} holds no {manifest.NAME}: it is not an archive")
    coded = [row for row in known.rows.values() if "failure" not in row]
    without = [row for row in known.rows.values() if "failure" in row]
    failed = [row for row in without if not row.get("no_signal")]
    tables = [
        _failures(failed),
        _records(folder, "Most bits a sample first", sorted(coded, key=_bits, reverse=True)),
        _records(folder, "Largest error first", sorted(coded, key=_error, reverse=True)),
        _other_bytes(coded),
        (
            "Settings of the archive",
            [],
            [
                [name, "–" if value is None else str(value)]
                for name, value in known.settings.items()
            ],
        ),
    ]
    return {
        "title": folder.resolve().name,
        "summary": _sentences(known, coded, failed),
        "tiles": _tiles(coded, failed),
        "records": _dots(coded),
        "bars": _folders(coded),
        "barsTitle": "Bytes of the streams, by folder",
        "tablesFirst": True,
        "tables": [table for table in tables if table[2]],
        "words": _words(known, coded, without),
    }


def _values(row: Row) -> int:
    return max(1, int(row["samples"]) * int(row["channels"]))


def _bits(row: Row) -> float:
    return 8.0 * int(row["bytes"]) / _values(row)


def _error(row: Row) -> float:
    """The PRDN in per cent, 0 without loss; the largest where it is not known."""
    prdn = row.get("prdn")
    return float(prdn) if isinstance(prdn, (int, float)) else math.inf


def _before(row: Row) -> int:
    return sum(known[0] for known in row["files"].values() if known is not None)


def _sentences(known: Manifest, coded: list[Row], failed: list[Row]) -> list[str]:
    before, after = sum(map(_before, coded)), sum(row["bytes"] for row in coded)
    said = [f"{_count(len(coded), 'stream')}: {before:,} bytes became {after:,}."]
    if failed:
        said.append(f"{_count(len(failed), 'record')} could not be coded.")
    if not known.finished:
        said.append("The archive is not finished: run the same command again.")
    return said


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tiles(coded: list[Row], failed: list[Row]) -> list[tuple[str, str]]:
    tiles = [("streams", f"{len(coded):,}"), ("failures", f"{len(failed):,}")]
    if not coded:
        return tiles
    before, after = sum(map(_before, coded)), sum(row["bytes"] for row in coded)
    bits = 8 * after / sum(map(_values, coded))
    errors = [error for error in map(_error, coded) if math.isfinite(error)]
    tiles += [
        ("times smaller", f"{before / max(1, after):.2f}"),
        ("bits per sample", f"{bits:.3f}"),
    ]
    return tiles + ([("largest PRDN", f"{max(errors):.3g} %")] if errors else [])


def _dots(coded: list[Row]) -> dict[str, Any]:
    """A point for each record: bits per sample, PRDN, samples; those with the most bits first."""
    shown = sorted(coded, key=_bits, reverse=True)[:MOST_DOTS]
    return {
        "names": [row["source"] for row in shown],
        "bits": [_bits(row) for row in shown],
        "prdn": [_error(row) for row in shown],
        "seconds": [row.get("seconds") for row in shown],
    }


def _folders(coded: list[Row]) -> list[list[Any]]:
    """Bytes below each folder of the first level; nothing if there is only one."""
    sizes: dict[str, int] = {}
    for row in coded:
        parts = PurePosixPath(row["source"]).parts
        name = parts[0] if len(parts) > 1 else "."
        sizes[name] = sizes.get(name, 0) + row["bytes"]
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    rest = sum(size for _, size in largest[MOST_FOLDERS:])
    listed = [[name, size] for name, size in largest[:MOST_FOLDERS]]
    return (listed + ([["others", rest]] if rest else [])) if len(sizes) > 1 else []


def _failures(failed: list[Row]) -> Table:
    rows: list[list[Any]] = [[row["source"], row["failure"]] for row in failed]
    return _titled("Failures", rows), ["record", "why it has no stream"], rows[:MOST_ROWS]


def _titled(caption: str, rows: list[Any]) -> str:
    more = f" (the first {MOST_ROWS} of {len(rows):,})" if len(rows) > MOST_ROWS else ""
    return caption + more


def _records(folder: Path, caption: str, coded: list[Row]) -> Table:
    heads = ["record", "samples", "channels", "bytes", "bits per sample", "times smaller",
             "PRDN, %", "largest error", "comes back as"]  # fmt: skip
    rows = [
        [
            row["source"],
            row["samples"],
            row["channels"],
            row["bytes"],
            _bits(row),
            _before(row) / max(1, row["bytes"]),
            row.get("prdn"),
            _largest_error(folder, row),
            (row.get("comes_back_as") or {}).get("outcome", "not tried"),
        ]
        for row in coded[:MOST_ROWS]
    ]
    return _titled(caption, coded), heads, rows


def _largest_error(folder: Path, row: Row) -> str:
    """The largest error in the unit that the stream states, if all channels have the same one."""
    error = row.get("largest_error")
    try:
        with open(folder / row["stream"], "rb") as file:
            units = {converter_of(unit) for unit in inspect(file).units}
    except (OSError, CodecError) as problem:
        return f"no stream: {' '.join(str(problem).split())}"
    if not isinstance(error, (int, float)):
        return "–"
    gains = {(gain, name) for gain, _, name in units}
    gain, name = gains.pop() if len(gains) == 1 else (1.0, "counts" if gains else "")
    return f"{error / gain:.4g} {name}".strip()


def _other_bytes(coded: list[Row]) -> Table:
    rows: list[list[Any]] = [
        [row["source"], text]
        for row in coded
        for text in (row.get("comes_back_as") or {}).get("differences", [])
    ]
    return (
        _titled("Files that come back with other bytes", rows),
        ["record", "what"],
        rows[:MOST_ROWS],
    )


def _words(known: Manifest, coded: list[Row], without: list[Row]) -> list[tuple[str, str]]:
    words = [
        ("Method", f"From {manifest.NAME}, which `san archive` wrote of {known.source}. Errors are "
         "those that the encoder measured. `san archive verify` decodes every stream."),
    ]  # fmt: skip
    if len(coded) > MOST_DOTS:
        words.append(("What is shown", f"The {MOST_DOTS} records with the most bits a sample."))
    signals = sum(bool(row.get("no_signal")) for row in without)
    if signals:
        words.append(("Without a signal", f"{_count(signals, 'file')} with no signal."))
    if known.damaged:
        lines = ", ".join(map(str, known.damaged[:20]))
        words.append(("Damaged", f"These lines of {manifest.NAME} cannot be read: {lines}."))
    return words
