"""How a rival codes many channels to a PRDN in each, the errors of channels, and their tables."""

import statistics
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import codec_peers
import numpy as np
from codec_peers import SAN, WITHOUT, Coded, label
from codec_signals import Signal

EACH = "prdn of each"  # the target: a PRDN that the error of no channel is above
# Tiers of OpenECS for EEG: at a PRDN of at most so much, a CR of at least so much; None: any.
TIERS = {5: ("N", None), 9: ("C", 20.0), 20: ("M", 100.0)}
Row = dict[str, object]


def coded(name: str, x: np.ndarray, target: str, value: float) -> Coded:
    """Streams of a rival, each of one channel with its own tolerance, as one stream."""
    parts = [codec_peers.coded(name, column, "prdn", value) for column in columns_of(x)]
    lengths = struct.pack(f"<H{len(parts)}I", len(parts), *(len(part.stream) for part in parts))
    return Coded(
        lengths + b"".join(part.stream for part in parts),
        np.stack([part.decoded for part in parts], axis=1).reshape(x.shape),
        sum(part.encode_seconds for part in parts),
        sum(part.decode_seconds for part in parts),
        "each channel with its own tolerance",
    )


def columns_of(x: np.ndarray) -> list[np.ndarray]:
    """The channels of samples, (n,) or (n, channels)."""
    return [np.ascontiguousarray(column) for column in x.reshape(len(x), -1).T]


def described(signal: Signal, target: str, value: float, found: Coded) -> Row:
    """Rate, errors and time of a stream, and the PRDN of its channels: mean and worst."""
    pairs = zip(columns_of(signal.samples), columns_of(found.decoded), strict=True)
    prdns = [codec_peers.prdn(before, after) for before, after in pairs]
    row = codec_peers.described(signal, target, value, found)
    row |= {"prdn_mean_channel": statistics.fmean(prdns), "prdn_worst_channel": max(prdns)}
    if target == EACH:
        row["bound_held"] = max(prdns) <= value * codec_peers.HELD
    return row


def summary(rows: Iterable[Row]) -> list[dict]:
    """Means over the recordings of a data set, of each codec at each target."""
    groups: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        names = ("data_set", "channels", "target", "value", "codec")
        groups[tuple(row[name] for name in names)].append(row)
    return [
        dict(zip(("data_set", "channels", "target", "value", "codec"), names, strict=True))
        | {
            "records": len(group),
            **{name: _mean(group, name) for name in ("cr", "bits_per_sample")},
            "prdn_mean_channel": _mean(group, "prdn_mean_channel"),
            "prdn_worst_channel": max(row["prdn_worst_channel"] for row in group),
            "max_error_reached": max(row["max_error_reached"] for row in group),
            **{name: statistics.median(row[name] for row in group) for name in TIMES},
        }
        for names, group in groups.items()
    ]


TIMES = ("encode_s", "decode_s")


def _mean(group: Sequence[Row], name: str) -> float:
    return statistics.fmean(row[name] for row in group)


def table(found: list[dict], markdown: Callable[..., str], named: Callable[[str], str]) -> str:
    """A row for each data set, target and codec; the largest mean CR of a target is bold."""
    if not found:
        return "Not measured."
    best: dict[tuple, float] = defaultdict(float)
    for each in found:
        best[_target(each)] = max(best[_target(each)], each["cr"])
    rows = []
    for each in sorted(found, key=lambda each: (*_target(each), _rank(each["codec"]))):
        cr = f"{each['cr']:.2f}"
        rows.append(
            [
                f"{each['data_set']}, {each['channels']} ({each['records']})",
                _words(each, named),
                label(each["codec"]) if each["target"] != "lossless" else each["codec"],
                f"**{cr}**" if each["cr"] == best[_target(each)] else cr,
                f"{each['bits_per_sample']:.3f}",
                f"{each['prdn_mean_channel']:.2f}, {each['prdn_worst_channel']:.2f}",
                f"{each['max_error_reached']:.0f}",
                *(f"{each[name]:.2f}" for name in TIMES),
            ]
        )
    head = ["data set, channels (recordings)", "target", "codec", "mean CR", "bits a sample"]
    head += ["PRDN of a channel: mean, worst", "largest error", "encode, s", "decode, s"]
    return markdown(head, rows)


def tiers(found: list[dict], markdown: Callable[..., str]) -> str:
    """The tiers of OpenECS, and the CR of the codec at their PRDN in every channel."""
    rows = []
    for each in found:
        if each["target"] == EACH and each["codec"] == SAN and each["value"] in TIERS:
            name, least = TIERS[each["value"]]
            asked = "any CR" if least is None else f"a CR of {least:g}"
            reached = "" if least is None else "yes" if each["cr"] >= least else "no"
            of = f"{each['data_set']}, {each['channels']} channels"
            asked = f"{name}: {asked} at a PRDN of {each['value']:g}"
            rows.append([of, asked, f"{each['cr']:.2f}", reached])
    return markdown(["recording", "tier", "CR", "reached"], rows) if rows else "Not measured."


def _target(each: dict) -> tuple:
    return each["data_set"], -each["channels"], each["target"], each["value"]


def _rank(codec: str) -> tuple:
    return codec != SAN, codec != WITHOUT, codec


def _words(each: dict, named: Callable[[str], str]) -> str:
    if each["target"] == EACH:
        return f"PRDN {each['value']:g}"
    return named(f"{each['target']} {each['value']:g}") if each["value"] else "without loss"
