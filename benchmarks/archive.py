"""Time `san archive` on many short records, with one process and with two.

    python benchmarks/archive.py                2,000 records of a minute
    python benchmarks/archive.py --records 100  fewer
    python benchmarks/archive.py --output F     also write the rows as JSON

The records are WFDB records of one lead, cut at even distances out of the recordings of
$SAN_DATA_DIR/mitdb, or out of the bundled one. They are coded at a PRDN of at most 8 % with a
dictionary that was learned on the bundled recording and that the archive keeps once. Times are
those of a user: processes that start, streams that are flushed to the disk, the manifest. Code was
compiled before, on that machine.

Efficiency is t1 / (n tn), of the time t1 of one process and tn of n. Then a second run, which finds
all done, and the check of every stream against its record, are timed.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import wfdb
from provenance import provenance

import san
from san.archive import Options, archive, verify
from san.files import arrays

SECONDS = 60
PRDN = 8.0
BUNDLED = Path(__file__).parents[1] / "datasets/sample/mitdb_208"


def recordings() -> list[Path]:
    """The recordings that records are cut out of."""
    folder = Path(os.environ.get("SAN_DATA_DIR", ".")) / "mitdb"
    found = sorted(path.with_suffix("") for path in folder.glob("*.hea"))
    return found or [BUNDLED]


def cut(sources: list[Path], count: int, folder: Path) -> None:
    """Write so many records of the first lead, at even distances."""
    for number, source in enumerate(sources):
        array = arrays.read(source)
        x, length = array.x[:, :1], round(SECONDS * (array.fs or 360))
        gain, _, unit = array.units[0].partition("/")
        gain, _, baseline = gain.rstrip(")").partition("(")
        mine = range(number, count, len(sources))
        starts = np.linspace(0, len(x) - length, len(mine)).astype(int)
        target = folder / source.name
        target.mkdir()
        for record, start in zip(mine, starts, strict=True):
            wfdb.wrsamp(
                f"{record:05d}",
                fs=array.fs,
                units=[unit],
                sig_name=list(array.names[:1]),
                d_signal=x[start : start + length].astype(np.int64),
                fmt=["16"],
                adc_gain=[float(gain)],
                baseline=[int(baseline)],
                write_dir=str(target),
            )


def content(folder: Path) -> dict[str, bytes]:
    """All streams of an archive."""
    paths = sorted(folder.rglob("*.san"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2, help="compared with one")
    parser.add_argument("--repeats", type=int, default=1, help="the shortest time counts")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    given = parser.parse_args()
    sources = recordings()
    bundled = arrays.read(BUNDLED)
    dictionary = san.learn_dictionary(bundled.x, fs=bundled.fs, prdn=PRDN)
    options = Options(prdn=PRDN, dictionary=dictionary, embed_dictionary=False)
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "records", Path(name) / "archive"
        folder.mkdir()
        cut(sources, given.records, folder)
        archive(BUNDLED.parent, Path(name) / "compiled", options, jobs=1)
        times: dict[int, list[float]] = {1: [], given.processes: []}
        streams = []
        for _ in range(given.repeats):
            for jobs, seconds in times.items():
                shutil.rmtree(out, ignore_errors=True)
                begin = time.perf_counter()
                summary = archive(folder, out, options, jobs=jobs)
                seconds.append(time.perf_counter() - begin)
                assert summary.records == given.records and not summary.failures
                streams.append(content(out))
        assert all(each == streams[0] for each in streams)
        again = archive(folder, out, options, jobs=given.processes)
        checked = verify(out, jobs=given.processes)
        assert again.coded == 0 and checked.compared == given.records and not checked.problems
    alone = min(times[1])
    rows = [
        {
            "what": f"archive, {jobs} process{'es' * (jobs > 1)}",
            "seconds": min(seconds),
            "records_per_second": given.records / min(seconds),
            "efficiency": alone / (jobs * min(seconds)),
        }
        for jobs, seconds in times.items()
    ]
    for what, seconds in (("a second run", again.seconds), ("archive verify", checked.seconds)):
        rows.append(
            {
                "what": f"{what}, {given.processes} processes",
                "seconds": seconds,
                "records_per_second": given.records / seconds,
            }
        )
    for row in rows:
        print("   ".join(f"{k} {v:.4g}" if k != "what" else v for k, v in row.items()))
    if given.output:
        described = {
            "records": given.records,
            "seconds": SECONDS,
            "prdn": PRDN,
            "recordings": len(sources),
            "bytes_before": summary.bytes_before,
            "bytes_after": summary.bytes_after,
            "cores": len(os.sched_getaffinity(0)),
            "repeats": given.repeats,
        }
        result = {"provenance": provenance("cpu"), "archive": described, "rows": rows}
        given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
