"""Measure the bytes of `effort="fast"` without loss and within a bound, beside FLAC and SZ3.

    python benchmarks/fast_bounds.py --data DIR   measure, and write results/fast-bounds.json

`DIR` holds the folders `mitdb`, `leads12`, `eegmmidb` and `eegmat`. All channels of a recording are
one stream of SAN. SZ3 gets each channel alone or all at once as a matrix, with each of its
algorithms and tolerances, and the fewest bytes of a recording count. FLAC takes eight channels at
once. Each stream is decoded, and no sample may be off by more than the bound.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import codec_peers
import numpy as np
from codec_signals import Signal, signals
from provenance import ROOT, provenance

import san

OUTPUT = ROOT / "benchmarks/results/fast-bounds.json"
SETS = (("mitdb", 1), ("mitdb", 2), ("leads12", 12), ("eegmmidb", 64), ("eegmat", 20))
BOUNDS = (0, 1, 2, 5, 10)  # steps of the converter; 0: without loss

Row = dict[str, object]


def of_san(x: np.ndarray, fs: float, bound: int) -> int:
    """Bytes of the fast level."""
    asked = {"max_error": bound} if bound else {"lossless": True}
    stream = san.compress(x, fs, effort="fast", events=False, **asked)
    check(x, san.decompress(stream), bound)
    return len(stream)


def of_flac(x: np.ndarray) -> int:
    """Bytes of FLAC, which takes eight channels at once."""
    size = 0
    for first in range(0, x.shape[1], 8):
        part = np.ascontiguousarray(x[:, first : first + 8])
        found = codec_peers.coded("FLAC", part, "lossless", 0)
        check(part, found.decoded, 0)
        size += len(found.stream)
    return size


def of_sz3(x: np.ndarray, bound: int) -> int:
    """The fewest bytes of SZ3: each channel with its best setting, or all as a matrix."""
    alone = 0
    for column in x.T:
        sizes = [len(stream) for stream in held(np.ascontiguousarray(column), bound)]
        alone += min(sizes)
    together = [len(stream) for part in (x, x.T) for stream in held(np.array(part), bound)]
    return min(alone, *together)


def held(x: np.ndarray, bound: int) -> Iterator[bytes]:
    """Streams of SZ3 that keep the bound, one for each algorithm and tolerance."""
    from pysz import sz

    for variant in codec_peers.SZ3:
        stream = codec_peers.PEERS["SZ3"].encode(x, bound, variant)
        decoded = sz.decompress(np.frombuffer(stream, np.uint8), np.float32, x.shape)[0]
        if np.abs(np.rint(decoded).astype(int) - x).max() <= bound:
            yield stream


def check(x: np.ndarray, decoded: np.ndarray, bound: int) -> None:
    """Refuse a decoded signal that is off by more than the bound."""
    off = int(np.abs(decoded.astype(int).reshape(x.shape) - x).max())
    if off > bound:
        raise ValueError(f"a sample is off by {off}, not at most {bound}")


def rows(data: Path) -> Iterator[Row]:
    """Every set and bound: bits a sample of all its recordings together."""
    found: dict[tuple[str, int], list[Signal]] = defaultdict(list)
    for signal in signals(data):
        found[signal.data_set, len(signal.group)].append(signal)
    for name, channels in SETS:
        each = found[name, channels]
        samples = sum(signal.samples.size for signal in each)
        for bound in BOUNDS:
            sizes: dict[str, list[int]] = {"SAN fast": [], "FLAC" if bound == 0 else "SZ3": []}
            for signal in each:
                x = signal.samples.reshape(-1, channels)
                rival = of_sz3(x, bound) if bound else of_flac(x)
                for size, into in zip(
                    (of_san(x, signal.fs, bound), rival), sizes.values(), strict=True
                ):
                    into.append(size)
            row: Row = {
                "set": name,
                "channels": channels,
                "recordings": len(each),
                "bound": bound,
            }
            row |= {codec: 8 * sum(size) / samples for codec, size in sizes.items()}
            own, other = sizes.values()
            row["larger"] = sum(a > b for a, b in zip(own, other, strict=True))
            yield row


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    found, measured_with = [], provenance("cpu") | codec_peers.versions()
    for row in rows(given.data):
        found.append(row)
        print(row, flush=True)
        whole = {"provenance": measured_with, "rows": found}
        given.output.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
