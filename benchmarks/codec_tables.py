"""What the tables of the codec show: rates, bounds, lossless bytes, other signals, time, beats."""

from collections.abc import Callable, Iterable, Sequence

import codec_leads
from codec import summary
from codec_peers import SAN, WITHOUT, label

PUBLISHED = "Rebollo-Neira 2019 (published, 48 records)"
PUBLISHED_RATES = {"prd 0.53": 23.17, "prd 1.71": 62.5}
Found = dict[str, dict]


def tables(content: dict) -> dict[str, str]:
    """Markdown of each table by the name of its marks."""
    found = summary(content["rows"])
    makers: dict[str, Callable[[], str]] = {
        "codec-rate": lambda: _rates(found["mitdb-prd"], "cr", 1, PUBLISHED_RATES),
        "codec-events": lambda: _events(found["events"]),
        "codec-chunks": lambda: _rates(found["mitdb-chunks"], "cr", 1),
        "codec-bounded": lambda: _rates(found["bounded"], "cr", 2),
        "codec-lossless": lambda: _rates(found["lossless"], "bits_per_sample", 3, named=str),
        "codec-others": lambda: _others(found["others"]),
        "codec-leads": lambda: codec_leads.table(found["leads"], markdown, _named),
        "codec-eeg": lambda: codec_leads.table(found["eeg"], markdown, _named),
        "codec-tiers": lambda: codec_leads.tiers(found["eeg"], markdown),
        "codec-speed": lambda: _speed(found["speed"]),
        "codec-beats": lambda: _beats(found["beats"]),
        "codec-broken": lambda: _broken(found["broken"]),
    }
    return {name: make() for name, make in makers.items()}


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rates(
    found: Found,
    measure: str,
    digits: int,
    published: dict[str, float] | None = None,
    named: Callable[[str], str] = label,
) -> str:
    """A row for each codec, a column for each target, the best of a column bold."""
    if not found:
        return "Not measured."
    targets = list(dict.fromkeys(at for means in found.values() for at in means))
    targets.sort(key=lambda at: (at.split()[0], _last_number(at)))
    order = sorted(found, key=lambda name: (name != SAN, name != WITHOUT, name))
    values = {name: {at: found[name][at][measure] for at in found[name]} for name in order}
    pick = max if measure == "cr" else min
    best = {at: pick(v[at] for v in values.values() if at in v) for at in targets}
    rows = []
    for name in order:
        cells = []
        for at in targets:
            value = values[name].get(at)
            text = "" if value is None else f"{value:.{digits}f}"
            cells.append(f"**{text}**" if value == best[at] else text)
        rows.append([named(name), *cells])
    if published:
        rows.append([PUBLISHED, *(f"{published[at]}" if at in published else "" for at in targets)])
    return markdown(["codec", *map(_named, targets)], rows)


def _last_number(at: str) -> float:
    try:
        return float(at.split()[-1])
    except ValueError:
        return 0.0


def _named(at: str) -> str:
    kind, _, value = at.partition(" ")
    return {"prd": "PRD", "prdn": "PRDN", "max_error": "±"}.get(kind, kind) + f" {value}"


def _events(found: Found) -> str:
    rows = [
        [
            _named(at),
            str(each["records"]),
            f"{each['geometric_mean']:.3f}",
            f"{each['worst']:.3f} ({each['worst_record']})",
        ]
        for at, each in found.items()
    ]
    head = ["at", "records", "bytes with events / without, geometric mean", "largest (record)"]
    return markdown(head, rows)


def _others(found: list[dict]) -> str:
    names = ("data_set", "record", "channel", "kind")
    signals: dict[tuple, dict] = {}
    for row in found:
        at = f"{row['target']} {row['value']:g}" if row["target"] == "prdn" else "bound"
        signals.setdefault(tuple(str(row[name]) for name in names), {})[at] = row
    measured = {at for by_target in signals.values() for at in by_target}
    columns = [at for at in ("prdn 5", "prdn 8", "prdn 12", "bound") if at in measured]
    rows = []
    for signal, by_target in signals.items():
        cells = []
        for at in columns:
            row = by_target.get(at)
            cells.append(f"{row['cr']:.2f} ({row['ratio']:.2f})" if row else "")
        rows.append([*signal, *cells])
    head = ["data set", "record", "channel", "kind", *(_named(at) for at in columns)]
    return markdown(head, rows)


def _speed(found: dict[str, dict]) -> str:
    names = {
        "encode_s": "encode, dictionary learned",
        "encode_given_dictionary_s": "encode, dictionary given",
        "encode_without_events_s": "encode without events",
        "learn_s": "learn a dictionary",
        "decode_s": "decode",
        "encode_lossless_s": "encode without loss",
        "decode_lossless_s": "decode what is without loss",
    }
    rows = []
    for record, row in found.items():
        for name, words in names.items():
            if row.get(name):
                rate = row["n"] / row[name] / 1e6
                rows.append([record, words, f"{row[name]:.2f} s", f"{rate:.2f}"])
    return markdown(["record", "what", "median of 5", "million samples a second"], rows)


def _beats(found: Found) -> str:
    rows = []
    for at, by_signal in found.items():
        for name, each in by_signal.items():
            words = "the original" if name == "original" else f"{_named(at)}, {label(name)}"
            numbers = (each["sensitivity"], each["positive_predictivity"])
            row = [words, *(f"{number:.4f}" for number in numbers)]
            if row not in rows:
                rows.append(row)
    return markdown(["beats detected in", "sensitivity", "positive predictivity"], rows)


def _broken(found: list[dict]) -> str:
    if not found:
        return "Every stream decoded within its bound."
    lines = {
        f"- {row['codec']}, {row['data_set']} {row['record']}: {row['error']}" for row in found
    }
    return "\n".join(sorted(lines))
