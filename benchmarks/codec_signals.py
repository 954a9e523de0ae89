"""Which recordings the codec is measured on, at which targets, and how beats in them are counted.

Samples are the integers that the files store (units of the analog-to-digital converter), so that a
bound means the same before and after. `SOURCES` is the whole list: a folder that is not there is
left out, and said so.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PRDS = (0.53, 1.0, 1.71)
PRDNS = (4, 5, 6, 8, 10, 12, 15)
CHUNK_PRDNS = (7, 10)
BOUNDS = (1, 2, 5, 10, 20, 40)
OTHER_PRDNS = (5, 8, 12)
OTHER_BOUND = 0.05  # of the standard deviation
SPEED_RECORDS = ("100", "203")
LEADS_PRDNS, LEADS_BOUNDS = (5, 8, 12), (5, 10)
EEG_PRDNS, EEG_BOUNDS = (5, 9, 20), (1, 2)
SUITES = ("mitdb-prd", "mitdb-chunks", "bounded", "lossless", "others", "leads", "eeg", "speed")

KEY = ("suite", "data_set", "record", "channel", "target", "value", "codec")

BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")  # annotations that are heartbeats
WINDOW = 0.150  # seconds that a beat found may be off
BIDMC_STEPS = {"RESP": 1023, "PLETH": 1023, "V": 510, "II": 510}  # of the converter, in one unit


@dataclass(frozen=True)
class Source:
    """Channels of the files of one data set; those of a group are coded together."""

    data_set: str
    files: str  # pattern, with the ending that decides the reader
    kind: str
    groups: tuple[tuple[int, ...], ...]  # of channels
    bits: int  # of an original sample, for the compression ratio
    suite: str = ""  # the only one that measures it; "": all but those of many channels
    samples: int | None = None  # only the first of them


@dataclass(frozen=True)
class Signal:
    """One channel, or several together."""

    data_set: str
    record: str
    channel: str
    group: tuple[int, ...]  # which channels of the record these are
    kind: str
    samples: np.ndarray  # (n,) or (n, channels), int16
    fs: float  # Hz
    gain: float  # steps of the converter in one unit, of the first channel
    units: str
    bits: int
    beats: np.ndarray | None = None  # annotated samples
    suite: str = ""  # the only one that measures it

    @property
    def name(self) -> str:
        return f"{self.data_set}/{self.record} {self.channel}"


@dataclass(frozen=True)
class Column:
    """One channel as a file holds it."""

    name: str
    samples: np.ndarray
    fs: float
    gain: float
    units: str


FIRST = ((0,),)
BOTH = ((0,), (1,), (0, 1))
SOURCES = (
    Source("mitdb", "*.hea", "ECG", BOTH, 11),
    Source("mimic", "*.hea", "ECG", BOTH, 8),
    Source("drivedb", "*.hea", "ECG", FIRST, 16),
    Source("drivedb", "*.hea", "EMG", ((1,),), 16),
    Source("drivedb", "*.hea", "skin conductance", ((2,), (3,)), 16),
    Source("drivedb", "*.hea", "heart rate", ((4,),), 16),
    Source("drivedb", "*.hea", "respiration", ((6,),), 16),
    Source("challenge2015", "a*.hea", "ECG", ((0,), (1,)), 16),
    Source("challenge2015", "a*.hea", "PPG", ((2,),), 16),
    Source("challenge2015", "v*.hea", "ECG", ((0,), (1,)), 12),
    Source("challenge2015", "v*.hea", "PPG", ((2,),), 12),
    Source("challenge2015", "v*.hea", "respiration", ((3,),), 12),
    Source("cinc2021-georgia", "*.hea", "ECG", ((1,), (6,), tuple(range(12))), 16),
    Source("bidmc", "*.csv", "respiration", ((0,),), 10),
    Source("bidmc", "*.csv", "PPG", ((1,),), 10),
    Source("bidmc", "*.csv", "ECG", ((2,), (3,)), 10),
    Source("wrist", "*.edf", "ECG", FIRST, 16),
    Source("wrist", "*.edf", "PPG", ((1,),), 16),
    Source("wrist", "*.edf", "acceleration", ((5,), (8,)), 16),
    Source("emgdb", "*.hea", "EMG", FIRST, 16),
    Source("eegmmidb", "*.edf", "EEG", ((0,), (1,), (2,), (0, 1, 2)), 16),
    Source("eegmat", "*.edf", "EEG", ((0,), (1,), (2,)), 16),
    Source("eegmat", "*.edf", "ECG", ((20,),), 16),
    Source("bonn-eeg", "*.npz", "EEG", tuple((c,) for c in (0, 1, 100, 200, 300, 400, 401)), 12),
    Source("ctu-uhb-ctgdb", "*.hea", "fetal heart rate", FIRST, 16),
    Source("ctu-uhb-ctgdb", "*.hea", "contractions", ((1,),), 16),
    Source("noneeg", "*.csv", "heart rate", ((0,), (2,)), 8),
    Source("noneeg", "*.csv", "oxygen saturation", ((1,), (3,)), 8),
    Source("leads12", "*.hea", "ECG", (tuple(range(12)), (1,)), 16, "leads"),
    Source("eegmmidb", "*.edf", "EEG", (tuple(range(64)),), 16, "eeg"),
    Source("eegmat", "*.edf", "EEG", (tuple(range(20)),), 16, "eeg", 15_000),
)


def signals(data: Path, records: list[str] | None = None) -> Iterator[Signal]:
    """Every signal of the list that is in a folder; `records` leaves out other mitdb records."""
    missing = sorted({s.data_set for s in SOURCES if not any((data / s.data_set).glob(s.files))})
    for name in missing:
        print(f"{data / name} is not there: left out", file=sys.stderr)
    last, columns = None, []
    for source, path in _files(data):
        if records and source.data_set == "mitdb" and path.stem not in records:
            continue
        if path != last:
            last, columns = path, _read_if_there(path)
        for group in source.groups:
            if max(group) < len(columns):  # some records have fewer channels
                yield _signal(source, path, group, [columns[channel] for channel in group])


def _read_if_there(path: Path) -> list[Column]:
    """Every channel of a file; none, and a line, where a part of the recording is not there."""
    try:
        return _read(path)
    except FileNotFoundError as missing:
        print(f"{path}: {missing.filename} is not there: left out", file=sys.stderr)
        return []


def _files(data: Path) -> Iterator[tuple[Source, Path]]:
    for source in SOURCES:
        for path in sorted((data / source.data_set).glob(source.files)):
            yield source, path


def _signal(source: Source, path: Path, group: tuple[int, ...], columns: list[Column]) -> Signal:
    channels = [column.samples[: source.samples] for column in columns]
    names = "+".join(column.name for column in columns)
    many = "leads" if source.kind == "ECG" else "channels"
    return Signal(
        source.data_set,
        path.stem,
        names if len(columns) < 4 else f"{len(columns)} {many}",
        group,
        source.kind,
        channels[0] if len(channels) == 1 else np.stack(channels, axis=1),
        columns[0].fs,
        columns[0].gain,
        columns[0].units,
        source.bits,
        _beats(path) if source.data_set == "mitdb" else None,
        source.suite,
    )


def _read(path: Path) -> list[Column]:
    """Every channel of a file, in units of the converter."""
    if path.suffix == ".hea":
        return _read_leads(path) if path.parent.name == "leads12" else _read_wfdb(path)
    if path.suffix == ".edf":
        return _read_edf(path)
    if path.suffix == ".npz":
        return _read_bonn(path)
    return _read_bidmc(path) if path.parent.name == "bidmc" else _read_noneeg(path)


def _read_leads(path: Path) -> list[Column]:
    """With the reader of SAN, because that of wfdb refuses the dates of some of these headers."""
    from san.files import arrays

    array = arrays.read(path.with_suffix(""))
    columns = zip(array.names, array.x.T, strict=True)
    return [Column(name, _int16(x), array.fs, 1.0, "counts") for name, x in columns]


def _read_wfdb(path: Path) -> list[Column]:
    import wfdb

    record = wfdb.rdrecord(str(path.with_suffix("")), physical=False, smooth_frames=False)
    return [
        Column(name, _int16(x), float(record.fs * frame), gain, units)
        for name, x, frame, gain, units in zip(
            record.sig_name,
            record.e_d_signal,
            record.samps_per_frame,
            record.adc_gain,
            record.units,
            strict=True,
        )
    ]


def _read_edf(path: Path) -> list[Column]:
    import edfio

    columns = []
    for signal in edfio.read_edf(path).signals:
        digital, physical = signal.digital_range, signal.physical_range
        gain = (digital.max - digital.min) / (physical.max - physical.min)
        rate, units = signal.sampling_frequency, signal.physical_dimension
        columns.append(Column(signal.label, _int16(signal.digital), rate, gain, units))
    return columns


def _read_bonn(path: Path) -> list[Column]:
    """The recordings of the five sets, one after the other, as channels."""
    with np.load(path) as sets:
        return [
            Column(f"{name}{number + 1:03}", _int16(x), 173.61, 1.0, "counts")
            for name in "ZONFS"
            for number, x in enumerate(sets[name])
        ]


def _read_bidmc(path: Path) -> list[Column]:
    """Physical values with five digits, back on the steps they were sampled with."""
    with open(path, encoding="utf-8") as file:
        names = [name.strip() for name in file.readline().split(",")]
        table = np.loadtxt(file, delimiter=",")
    columns = []
    for name, steps in BIDMC_STEPS.items():
        x = table[:, names.index(name)] * steps
        if np.abs(x - np.rint(x)).max() > 0.05:
            raise ValueError(f"{path}: {name} is not sampled in steps of 1/{steps}")
        columns.append(Column(name, _int16(np.rint(x)), 125.0, float(steps), "NU"))
    return columns


def _read_noneeg(path: Path) -> list[Column]:
    """Heart rate and oxygen saturation of the first two subjects."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = []
    for subject in ("Subject_1", "Subject_2"):
        for key, units in (("HeartRate", "bpm"), ("SpO2", "%")):
            x = np.array([int(row[key]) for row in rows if row["Subject"] == subject])
            columns.append(Column(f"{key} {subject}", _int16(x), 1.0, 1.0, units))
    return columns


def _int16(x: np.ndarray) -> np.ndarray:
    if x.min() < -32768 or x.max() > 32767:
        raise ValueError("samples do not fit 16 bits")
    return x.astype(np.int16)


def _beats(path: Path) -> np.ndarray:
    """Where heartbeats are annotated."""
    import wfdb

    annotation = wfdb.rdann(str(path.with_suffix("")), "atr")
    kept = [symbol in BEATS for symbol in annotation.symbol]
    return annotation.sample[np.array(kept)]


def targets(suite: str, signal: Signal) -> list[tuple[str, float]]:
    """What a suite asks of a signal: kinds and values."""
    if signal.suite or suite in ("leads", "eeg"):
        return of_many_channels(signal) if signal.suite == suite else []
    if suite == "lossless":
        return [("lossless", 0)] if signal.data_set == "mitdb" else []
    first = signal.data_set == "mitdb" and signal.group == (0,)
    if suite == "others":
        if first or (signal.data_set == "mitdb" and len(signal.group) > 1):
            return []
        bound = max(1, round(OTHER_BOUND * float(signal.samples.std(axis=0).min())))
        return [*(("prdn", value) for value in OTHER_PRDNS), ("max_error", bound)]
    if not first:
        return []
    if suite == "mitdb-prd":
        return [*(("prd", value) for value in PRDS), *(("prdn", value) for value in PRDNS)]
    if suite == "mitdb-chunks":
        return [("prdn in chunks", value) for value in CHUNK_PRDNS]
    if suite == "bounded":
        return [("max_error", value) for value in BOUNDS]
    return [("speed", 8)] if signal.record in SPEED_RECORDS else []


def of_many_channels(signal: Signal) -> list[tuple[str, float]]:
    """What is asked of many channels: a PRDN is of each of them, and bounds are in steps."""
    eeg = signal.suite == "eeg"
    prdns, bounds = (EEG_PRDNS, EEG_BOUNDS) if eeg else (LEADS_PRDNS, LEADS_BOUNDS)
    if len(signal.group) == 1:
        return [("prdn of each", 8)]
    of_bounds = [("max_error", bound) for bound in bounds]
    return [("lossless", 0), *of_bounds, *(("prdn of each", prdn) for prdn in prdns)]


@dataclass(frozen=True)
class Task:
    """One stream to be made, or one record to be timed."""

    suite: str
    signal: Signal
    target: str
    value: float
    codec: str
    version: str  # of the codec

    def head(self) -> dict[str, object]:
        """What stands first in its row."""
        signal = self.signal
        return {
            "suite": self.suite,
            "data_set": signal.data_set,
            "record": signal.record,
            "channel": signal.channel,
            "target": self.target,
            "value": self.value,
            "codec": self.codec,
            "version": self.version,
            "kind": signal.kind,
            "group": list(signal.group),
            "n": len(signal.samples),
            "channels": len(signal.group),
            "fs": signal.fs,
            "gain": signal.gain,
            "units": signal.units,
            "bits": signal.bits,
        }


def key(row: dict[str, object]) -> tuple:
    """What makes a row the same measurement."""
    return tuple(row[name] for name in KEY)


def beat_agreement(samples: np.ndarray, rate: float, annotated: np.ndarray) -> dict[str, float]:
    """Share of annotated beats that a detector finds in a signal, and of its beats that are so."""
    import sleepecg

    found = sleepecg.detect_heartbeats(samples.astype(float), rate)
    matched, at = 0, 0
    for beat in annotated:
        while at < len(found) and found[at] < beat - WINDOW * rate:
            at += 1
        if at < len(found) and found[at] <= beat + WINDOW * rate:
            matched, at = matched + 1, at + 1
    return {
        "annotated": len(annotated),
        "found": len(found),
        "matched": matched,
        "sensitivity": matched / max(1, len(annotated)),
        "positive_predictivity": matched / max(1, len(found)),
    }
