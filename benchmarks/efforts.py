"""Measure rate and speed of the levels of effort, beside FLAC, pcodec, delta + zstd and SZ3.

    python benchmarks/efforts.py --data DIR       measure, and write results/efforts.json
    python benchmarks/efforts.py --plot           the picture and the table of what was measured

`DIR` holds the folders `mitdb`, `leads12` and `eegmmidb`. Each stream is decoded and compared with
the original. Speeds are megabytes of 16-bit samples in a second of CPU time on one core: the best
of several runs of all that a user calls, with checks, headers and checksums. Of a rival's settings
the one with the fewest bytes counts. Each is given as many channels at once as it takes.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import codec_peers
import numpy as np
from codec_peers import PEERS
from provenance import ROOT, provenance

import san
from san.files import arrays

OUTPUT = ROOT / "benchmarks/results/efforts.json"
RECORDS = {  # files, channels, and the samples that are coded at most
    "one lead": ("mitdb/100.hea", 1, 1 << 17),
    "12 leads": ("leads12/*.hea", 12, 1 << 13),
    "EEG": ("eegmmidb/S001R01.edf", 64, 1 << 13),
}
FILES = 4  # recordings of 12 leads
TARGETS = (("lossless", 0), ("max_error", 5), ("prdn", 8))
EFFORTS = ("fast", "normal", "best")
RIVALS = {"FLAC": ("level 8",), "pcodec": ("level 12",), "delta + zstd": ("bit shuffle",),
          "SZ3": ("INTERP_LORENZO + 0.49", "INTERP + 0.49", "LORENZO_REG + 0.49")}  # fmt: skip
BESIDE = {"SAN best": (-22, -12), "SAN normal": (-6, 6), "FLAC": (2, -11)}  # of the picture's names
SHORT, RUNS = 2.0, 3  # what takes less time is run so often

Row = dict[str, object]


def recordings(data: Path, name: str) -> list[tuple[np.ndarray, float]]:
    """The integers of a set, each (n, channels), and their sampling rate."""
    pattern, channels, longest = RECORDS[name]
    found = []
    for path in sorted(data.glob(pattern))[:FILES]:
        array = arrays.read(path.with_suffix("") if path.suffix == ".hea" else path)
        x = np.asarray(array.x).reshape(len(array.x), -1)[:longest, :channels].astype(np.int16)
        x = x[:, 0] if channels == 1 else x
        found.append((np.ascontiguousarray(x), float(array.fs or 0)))
    return found


def timed(act: Callable[[], list]) -> tuple[list, float]:
    """What an action gives, and its CPU seconds: the fewest of several runs, if it is short."""
    best, result = np.inf, []
    for _ in range(RUNS):
        begin = time.process_time()
        result = act()
        best = min(best, time.process_time() - begin)
        if best > SHORT:
            break
    return result, best


def measured(parts: list[tuple[np.ndarray, float]], encode: Callable, decode: Callable) -> Row:
    """Bits a sample, speeds and errors of coding some recordings."""
    encode(parts[0][0][:2000], parts[0][1])  # compiles
    streams, encoding = timed(lambda: [encode(x, fs) for x, fs in parts])
    decoded, decoding = timed(lambda: [decode(stream) for stream in streams])
    samples = sum(x.size for x, _ in parts)
    worst = max(
        int(np.abs(y.astype(int) - x).max()) for (x, _), y in zip(parts, decoded, strict=True)
    )
    return {
        "bits": 8 * sum(map(len, streams)) / samples,
        "encode": 2 * samples / encoding / 1e6,
        "decode": 2 * samples / decoding / 1e6,
        "largest_error": worst,
    }


def of_san(parts: list, target: str, value: float, effort: str) -> Row:
    """A level of effort."""
    asked = {"lossless": True} if target == "lossless" else {target: value}
    return measured(
        parts,
        lambda x, fs: san.compress(x, fs, effort=effort, **asked),
        san.decompress,
    )


def of_rival(parts: list, value: float, name: str) -> Row:
    """The setting of a rival with the fewest bytes."""
    rows = [
        measured(
            parts,
            lambda x, fs, s=setting: codec_peers.encode(name, s, x, value),
            lambda stream, s=setting: codec_peers.decode(name, s, stream),
        )
        for setting in RIVALS[name]
    ]
    return min(rows, key=lambda row: row["bits"])


def rows(data: Path) -> Iterator[Row]:
    """Every set, target and codec."""
    for name in RECORDS:
        parts = recordings(data, name)
        for target, value in TARGETS:
            about = {"set": name, "target": target, "value": value}
            for effort in EFFORTS:
                yield about | {"codec": f"SAN {effort}"} | of_san(parts, target, value, effort)
            for rival in RIVALS if target != "prdn" else ():
                lossy = value > 0
                if PEERS[rival].lossy if lossy else rival != "SZ3":
                    found = of_rival(parts, value, rival)
                    if found["largest_error"] <= value:
                        yield about | {"codec": rival} | found


def table(found: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| signal | target | codec | bits a sample | encodes, MB/s | decodes, MB/s |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for row in found:
        lines.append(
            f"| {row['set']} | {words(row)} | {name_of(row)} | "
            f"{row['bits']:.3f} | {row['encode']:.3g} | {row['decode']:.3g} |"
        )
    return "\n".join(lines)


def name_of(row: Row) -> str:
    """What a codec is called; a rival without a bound of its own gets quantized samples."""
    name = str(row["codec"])
    return name if row["target"] == "lossless" else codec_peers.label(name)


def words(row: Row) -> str:
    """A target in a few words."""
    if row["target"] == "lossless":
        return "lossless"
    return f"± {row['value']}" if row["target"] == "max_error" else f"PRDN {row['value']} %"


def plot(found: list[Row]) -> None:
    """Rate against the speed of encoding, a panel for each signal and target."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = [{"target": t, "value": v} for t, v in TARGETS]
    figure, panels = pyplot.subplots(
        len(kinds), len(RECORDS), figsize=(11, 3 * len(kinds)), squeeze=False
    )
    for line, kind in zip(panels, kinds, strict=True):
        for panel, name in zip(line, RECORDS, strict=True):
            for row in found:
                if row["set"] != name or any(row[key] != kind[key] for key in kind):
                    continue
                own = str(row["codec"]).startswith("SAN")
                style = {"marker": "o", "color": "C0"} if own else {"marker": "s", "color": "gray"}
                panel.plot(row["encode"], row["bits"], **style)
                side = BESIDE.get(str(row["codec"]), (4, 0))
                at = (row["encode"], row["bits"])
                panel.annotate(row["codec"], at, side, textcoords="offset points", fontsize=8)
            panel.set(xscale="log", title=f"{name}, {words(kind)}", ylabel="bits a sample")
            panel.margins(x=0.35, y=0.15)
            panel.grid(alpha=0.3)
    for panel in panels[-1]:
        panel.set_xlabel("encodes, MB/s of CPU time")
    figure.tight_layout()
    figure.savefig(OUTPUT.with_suffix(".png"), dpi=100)


def main() -> None:
    """Measure, or draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--plot", action="store_true")
    options = parser.parse_args()
    if options.data:
        found, measured_with = [], provenance("cpu")  # before results change the tree
        for row in rows(options.data):
            found.append(row)
            print(row, flush=True)
            whole = {"provenance": measured_with, "rows": found}
            OUTPUT.write_text(json.dumps(whole, indent=1) + "\n")
    if options.plot:
        found = json.loads(OUTPUT.read_text())["rows"]
        plot(found)
        print(table(found))


if __name__ == "__main__":
    main()
