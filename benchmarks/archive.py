"""Time `san archive` on many short records, at two levels of effort, with one process and with two.

    python benchmarks/archive.py                2,000 records of a minute
    python benchmarks/archive.py --records 100  fewer
    python benchmarks/archive.py --before DIR   also time an earlier version, which lies in DIR
    python benchmarks/archive.py --output F     also write the rows as JSON

The records are WFDB records of one lead, cut at even distances out of the recordings of
$SAN_DATA_DIR/mitdb, or out of the bundled one. They are coded at a PRDN of at most 8 % with a
dictionary that was learned on the bundled recording and that the archive keeps once. Times are
those of a user: processes that start, streams that are flushed to the disk, the manifest. Code was
compiled before, on that machine. `DIR` is a checkout of an earlier version, which the same Python
must be able to run; its archive is made of the same records in the same way, by one process.

Efficiency is t1 / (n tn), of the time t1 of one process and tn of n. Then a second run, which finds
all done, and the check of every stream against its record, are timed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import wfdb
from provenance import provenance

import san
from san.archive import Options, archive, verify
from san.files import arrays

SECONDS = 60
PRDN = 8.0
EFFORTS = ("normal", "fast")
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


def earlier(folder: Path, records: Path, out: Path) -> dict[str, object]:
    """The row of an earlier version that lies in `folder`, which knows no levels of effort."""
    given = [sys.executable, "-c", EARLIER, str(BUNDLED), str(records), str(out), str(PRDN)]
    where = dict(os.environ, PYTHONPATH=str(folder), PYTHONSAFEPATH="1")
    done = subprocess.run(given, env=where, cwd=out.parent, check=True, stdout=subprocess.PIPE)
    version, seconds, coded = done.stdout.decode().split()
    return row(f"SAN {version}, 1 process", float(seconds), int(coded)) | {"bytes": size_of(out)}


# The archive is made twice: what was compiled by the first one is there for the second.
EARLIER = """
import shutil, sys, time
import numpy, san, wfdb
from pathlib import Path
from san.archive import Options, archive
bundled, records, out, prdn = *map(Path, sys.argv[1:4]), float(sys.argv[4])
learned = wfdb.rdrecord(str(bundled), physical=False)
samples = learned.d_signal.astype(numpy.int16)
dictionary = san.learn_dictionary(samples, fs=learned.fs, prdn=prdn)
options = Options(prdn=prdn, dictionary=dictionary, embed_dictionary=False)
archive(bundled.parent, out, options, jobs=1)
shutil.rmtree(out)
begin = time.perf_counter()
summary = archive(records, out, options, jobs=1)
seconds = time.perf_counter() - begin
assert not summary.failures
print(san.__version__, seconds, summary.records)
"""


def size_of(out: Path) -> int:
    """The bytes of all streams of an archive."""
    return sum(path.stat().st_size for path in out.rglob("*.san"))


def row(what: str, seconds: float, records: int) -> dict[str, object]:
    """One measurement."""
    return {"what": what, "seconds": seconds, "records_per_second": records / seconds}


def named(count: int) -> str:
    """So many processes, in words."""
    return f"{count} process{'es' * (count > 1)}"


def timed(
    records: Path, out: Path, options: Options, processes: int, repeats: int
) -> Iterator[dict[str, object]]:
    """Rows of one level: one process and several, a second run, and the check of all streams."""
    times: dict[int, list[float]] = {1: [], processes: []}
    streams = []
    for _ in range(repeats):
        for jobs, seconds in times.items():
            shutil.rmtree(out, ignore_errors=True)
            begin = time.perf_counter()
            summary = archive(records, out, options, jobs=jobs)
            seconds.append(time.perf_counter() - begin)
            assert not summary.failures
            streams.append(content(out))
    assert all(each == streams[0] for each in streams)
    alone = min(times[1])
    for jobs, seconds in times.items():
        found = row(f"{options.effort}, {named(jobs)}", min(seconds), summary.records)
        yield found | {"bytes": size_of(out), "efficiency": alone / (jobs * min(seconds))}
    again = archive(records, out, options, jobs=processes)
    checked = verify(out, jobs=processes)
    assert again.coded == 0 and checked.compared == summary.records and not checked.problems
    for what, part in (("a second run", again), ("archive verify", checked)):
        place = f"{options.effort}, {what}, {named(processes)}"
        yield row(place, part.seconds, summary.records)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2, help="compared with one")
    parser.add_argument("--repeats", type=int, default=1, help="the shortest time counts")
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    given = parser.parse_args()
    sources = recordings()
    bundled = arrays.read(BUNDLED)
    dictionary = san.learn_dictionary(bundled.x, fs=bundled.fs, prdn=PRDN)
    options = Options(prdn=PRDN, dictionary=dictionary, embed_dictionary=False)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "records", Path(name) / "archive"
        folder.mkdir()
        cut(sources, given.records, folder)
        if given.before:
            rows.append(earlier(given.before.resolve(), folder, out))
        for effort in EFFORTS:
            level = replace(options, effort=effort)
            shutil.rmtree(out, ignore_errors=True)
            archive(BUNDLED.parent, out, level, jobs=1)  # compiles
            rows += timed(folder, out, level, given.processes, given.repeats)
        before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    for each in rows:
        print("   ".join(f"{k} {v:.4g}" if k != "what" else v for k, v in each.items()))
    if given.output:
        described = {
            "records": given.records,
            "seconds": SECONDS,
            "prdn": PRDN,
            "recordings": len(sources),
            "bytes_before": before,
            "cores": len(os.sched_getaffinity(0)),
            "repeats": given.repeats,
        }
        result = {"provenance": provenance("cpu"), "archive": described, "rows": rows}
        given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
