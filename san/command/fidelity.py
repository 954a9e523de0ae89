"""What `san verify --beats` says: how heartbeats of an original and of its stream differ."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from san.heartbeats.fidelity import Fidelity

_ROWS = (
    ("R amplitude", "r_amplitude", ""),
    ("R amplitude lost", "r_loss", ""),
    ("R amplitude, %", "r_share", "%"),
    ("R time", "r_time", "ms"),
    ("QRS, any sample", "qrs", ""),
    ("ST level", "st", ""),
    ("RR interval", "rr", "ms"),
)


def beats_of(
    original: Path, stream: Path, dictionary: Path | None
) -> tuple["Fidelity", list[str], str]:
    """Measure the leads of both: what was found, the names of the leads, and their unit.

    Raises
    ------
    ValueError
        If there is no lead, no rate is known, or leads have several units.
    """
    import numpy as np

    from san.beats import leads_in
    from san.files.reading import read
    from san.heartbeats.fidelity import fidelity

    if Path("-") in (original, stream):
        raise ValueError("--beats reads both files again: give no -")
    decoded = read(stream, annotations=False, dictionary=dictionary)
    one = read(original, fs=decoded.fs, annotations=False)
    part, columns = leads_in(one)
    other = next(
        (each for each in (decoded, *decoded.others) if each.x.shape == part.x.shape), decoded
    )
    if part.fs is None:
        raise ValueError("--beats needs a sampling rate, and the stream states none")
    units = {part.units[c] for c in columns} if part.units else {""}
    if len(units) > 1:
        raise ValueError(f"--beats needs leads of one unit, got {', '.join(sorted(units))}")
    names = [part.names[c] for c in columns] if part.names else [str(c) for c in columns]
    x, y = (np.asarray(each.x[:, columns], np.float64) for each in (part, other))
    return fidelity(x, y, part.fs), names, units.pop()


def as_json(found: "Fidelity", names: list[str], unit: str) -> dict[str, Any]:
    """The measures, with the leads and their unit."""
    return {"leads": names, "unit": unit, **found.as_json()}


def told(found: "Fidelity", names: list[str], unit: str) -> list[str]:
    """Lines for a terminal."""
    lines = [
        f"heartbeats: {found.before} in the original, {found.after} in the stream, {found.both} in "
        "both",
        f"{'change of':<20}{'median':>10}{'99th pct.':>11}{'worst':>10}  where",
    ]
    for label, name, own in _ROWS:
        change = getattr(found, name)
        if not math.isfinite(change.worst):
            continue
        where = f"at {change.at:.2f} s"
        if name != "rr" and len(names) > 1:
            where += f" in {names[change.lead]}"
        heading = label if own == "%" else f"{label}, {own or unit or 'units'}"
        lines.append(
            f"{heading:<20}{change.median:10.4g}{change.p99:11.4g}{change.worst:10.4g}  {where}"
        )
    return lines
