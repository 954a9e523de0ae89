"""Find the heartbeats of annotated records with SAN and with other open detectors, and compare.

    python benchmarks/beats.py                    all detectors that are installed
    python benchmarks/beats.py --keep FOLDER      keep what each of them finds, and use what is kept
    python benchmarks/beats.py --output F         also write the numbers as JSON

    pip install wfdb neurokit2 sleepecg biosppy peakutils

The records are those of $SAN_DATA_DIR/mitdb and of $SAN_DATA_DIR/qtdb with beats in `.atr`. All
detectors see the first lead; one row has SAN with all leads, and one has SAN on the first lead of a
stream at a PRDN of 8 %. Nothing is set for a record. Beats are compared as `san compare` does it:
150 and 50 ms, without the first five minutes, without ventricular flutter. CPU is the time of the
process for all records, without reading the files; for streams it has the decoding.

The ranking is measured with the beats that SAN finds with one lead: the area under the curve (AUC)
says how often a ventricular beat comes before a normal one. It is given for records with ten or
more beats of the kind.
"""

import argparse
import importlib.metadata
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
from provenance import provenance

import san
from san.beats import class_of, compare, find, gross, partners
from san.heartbeats.annotation_sets import read_set

WINDOWS = (0.15, 0.05)
PRDN = 8.0
FEWEST = 10  # beats of a kind in a record whose ranking is measured
DATABASES = ("mitdb", "qtdb")


def xqrs(x, fs):
    import wfdb.processing

    found = wfdb.processing.XQRS(sig=x, fs=fs)
    found.detect(verbose=False)
    return found.qrs_inds


def gqrs(x, fs):
    import wfdb.processing

    return wfdb.processing.gqrs_detect(sig=x, fs=fs)


def neurokit2(x, fs):
    import neurokit2

    clean = neurokit2.ecg_clean(x, sampling_rate=int(fs))
    return neurokit2.ecg_peaks(clean, sampling_rate=int(fs))[1]["ECG_R_Peaks"]


def sleepecg(x, fs):
    import sleepecg

    return sleepecg.detect_heartbeats(x, fs)


def biosppy(x, fs):
    """What its function `ecg` does up to the beats, without the plots."""
    from biosppy.signals import ecg, tools

    order = int(1.5 * fs)
    order += order % 2 == 0
    clean, _, _ = tools.filter_signal(
        signal=x, ftype="FIR", band="bandpass", order=order, frequency=[0.67, 45], sampling_rate=fs
    )
    (beats,) = ecg.hamilton_segmenter(signal=clean, sampling_rate=fs)
    (beats,) = ecg.correct_rpeaks(signal=clean, rpeaks=beats, sampling_rate=fs, tol=0.05)
    return ecg.extract_heartbeats(
        signal=clean, rpeaks=beats, sampling_rate=fs, before=0.2, after=0.4
    )[1]


RIVALS = {
    "sleepecg": ("sleepecg", sleepecg),
    "neurokit2": ("neurokit2", neurokit2),
    "biosppy_hamilton": ("biosppy", biosppy),
    "wfdb_xqrs": ("wfdb", xqrs),
    "wfdb_gqrs": ("wfdb", gqrs),
}
SAN = ("san_first_lead", "san_all_leads", "san_stream")


def detect(name, record, keep):
    """What a detector finds in a record: samples, seconds of the processor, version."""
    kept = keep and keep / f"{record['name']}.{name}.json"
    if kept and kept.is_file():
        return json.loads(kept.read_text())
    x, fs = record["x"], record["fs"]
    stream = _stream(record, keep) if name == "san_stream" else b""
    begin = time.process_time()
    if name == "san_first_lead":
        beats = find(x[:, 0], fs).position
    elif name == "san_all_leads":
        beats = find(x, fs).position
    elif name == "san_stream":
        beats = find(san.decompress(stream), fs).position
    else:
        beats = RIVALS[name][1](x[:, 0].copy(), fs)
    seconds = time.process_time() - begin
    package = RIVALS[name][0] if name in RIVALS else "sparsely-activated-networks"
    found = {
        "beats": [int(place) for place in beats],
        "cpu": seconds,
        "version": importlib.metadata.version(package),
    }
    if kept:
        kept.write_text(json.dumps(found))
    return found


def _stream(record, keep):
    """The first lead at the PRDN; encoding it is not what is timed."""
    path = keep and keep / f"{record['name']}.prdn8"
    if path and path.is_file():
        return path.read_bytes()
    blob = san.compress(record["x"][:, 0], record["fs"], prdn=PRDN)
    if path:
        path.write_bytes(blob)
    return blob


def judged(records, name, keep):
    """The row of a detector for each database."""
    rows = []
    for database in DATABASES:
        chosen = [record for record in records if record["database"] == database]
        if not chosen:
            continue
        found = [detect(name, record, keep) for record in chosen]
        row = {"detector": name, "database": database, "records": len(chosen)}
        row |= {"version": found[0]["version"], "cpu": sum(each["cpu"] for each in found)}
        for window in WINDOWS:
            each = [
                compare(record["true"], _list(beats, record), window=window)
                for record, beats in zip(chosen, found, strict=True)
            ]
            total = gross(each)
            row[f"{1e3 * window:g}"] = {
                "sensitivity": total.sensitivity,
                "predictivity": total.predictivity,
                "f1": total.f1,
                "missed": total.false_negatives,
                "extra": total.false_positives,
                "mean_f1": float(np.mean([one.f1 for one in each])),
                "worst": min(
                    (one.f1, record["name"]) for one, record in zip(each, chosen, strict=True)
                ),
            }
        rows.append(row)
    return rows


def _list(found, record):
    places = np.unique(np.array(found["beats"], np.int64))
    return san.beats.BeatList(places / record["fs"], ("Q",) * len(places))


def auc(one, other):
    """How often a score of `one` is larger than one of `other`; equal scores count half."""
    order = np.sort(other)
    below, upto = np.searchsorted(order, one, "left"), np.searchsorted(order, one, "right")
    return float((below + upto).mean() / 2 / len(other))


def ranked(records):
    """The AUC of the ranking for ventricular and for supraventricular beats of each record."""
    rows = []
    for record in records:
        found = find(record["x"][:, 0], record["fs"])
        match = partners(record["true"].time, found.time, WINDOWS[0])
        kind = np.array([class_of(symbol) for symbol in record["true"].symbol])
        normal = found.unusual[match[(kind == "N") & (match >= 0)]]
        row = {"record": record["name"]}
        for name in "VS":
            scores = found.unusual[match[(kind == name) & (match >= 0)]]
            if len(scores) >= FEWEST and len(normal) >= FEWEST:
                row[name] = auc(scores, normal)
        if len(row) > 1:
            rows.append(row)
    return rows


def read_records():
    """The records with annotations of beats."""
    folder = Path(os.environ.get("SAN_DATA_DIR", "."))
    records = []
    for database in DATABASES:
        for path in sorted((folder / database).glob("*.atr")):
            recording = san.read(path.with_suffix(""), annotations=False)
            records.append(
                {
                    "name": path.stem,
                    "database": database,
                    "x": recording.x,
                    "fs": recording.fs,
                    "true": read_set(path),
                }
            )
    if not records:
        raise SystemExit("no annotated records: set SAN_DATA_DIR to a folder with mitdb or qtdb")
    return records


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the other detectors
    records = read_records()
    rows = []
    for name in (*SAN, *RIVALS):
        try:
            found = judged(records, name, arguments.keep)
        except ModuleNotFoundError as error:
            print(f"{name}: not measured, {error}", flush=True)
            continue
        for row in found:
            rows.append(row)
            print(json.dumps(row), flush=True)
    ranking = ranked(records)
    for kind in "VS":
        values = [row[kind] for row in ranking if kind in row]
        print(f"AUC of {kind} against N: mean {np.mean(values):.4f} over {len(values)} records")
    if arguments.output:
        content = {"provenance": provenance("cpu"), "rows": rows, "ranking": ranking}
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
