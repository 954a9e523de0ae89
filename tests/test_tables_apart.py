"""Times that follow no rate come back as the same numbers under every target."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from san.codec.decoder import Decoder
from san.codec.encoder import compress
from san.files import reading, streams, table_apart, tables
from san.files.table_layout import TableOptions

COUNT = 900
STEPS = np.arange(COUNT)
ECG = (1000 * np.sin(STEPS / 9) ** 9).round().astype(int)
GAP = STEPS / 100 + 30 * (STEPS >= COUNT // 2)
SHAKEN = np.cumsum(np.random.default_rng(3).exponential(0.01, COUNT))
START = datetime(2020, 2, 28, 23, 59, 50)


def dates(seconds, style="%Y-%m-%dT%H:%M:%S"):
    moments = [START + timedelta(milliseconds=round(1000 * s)) for s in seconds.tolist()]
    return [f"{moment:{style}}.{moment.microsecond // 1000:03d}" for moment in moments]


def clock(seconds):
    return [f"{int(s // 60)}:{s % 60:06.3f}" for s in seconds.tolist()]


TIMES = {
    "a gap": [f"{t:.2f}" for t in GAP],
    "shaken": [repr(t) for t in SHAKEN.tolist()],
    "shaken, three decimals": [f"{t:.3f}" for t in SHAKEN],
    "backwards": [f"{t:g}" for t in -GAP],
    "missing ones": ["" if i % 50 == 7 else f"{t:.2f}" for i, t in enumerate(GAP)],
    "Unix nanoseconds": [str(1600000000000000001 + round(1e9 * t)) for t in GAP.tolist()],
    "dates with a gap": dates(GAP),
    "shaken dates": dates(SHAKEN, "%d.%m.%Y %H:%M:%S"),
    "clock times": clock(GAP),
}
TARGETS = {
    "PRDN": {"prdn": 8},
    "largest error": {"max_error": 5},
    "both": {"prdn": 8, "max_error": 300},
    "size": {"bits_per_sample": 80},
}


def written(folder, text, target=None, **options):
    """The table that comes back, what was read, and the stream."""
    path = folder / "a.csv"
    path.write_text(text)
    table = TableOptions(**options)
    array = streams.read_file(path, exact=False, table=table)
    decoder = Decoder(streams.encode_array(array, events=False, **(target or {"prdn": 8})))
    streams.write_file(decoder, folder / "b.csv")
    return (folder / "b.csv").read_text(), array, decoder


def column(text, number):
    return [line.split(",")[number] for line in text.splitlines()]


@pytest.mark.parametrize("kind", TIMES)
@pytest.mark.parametrize("target", TARGETS)
def test_times_come_back_under_every_target(kind, target, tmp_path):
    rows = zip(TIMES[kind], ECG, strict=True)
    text = "time,ecg\n" + "".join(f"{t},{v}\n" for t, v in rows)
    back, array, decoder = written(tmp_path, text, TARGETS[target])
    assert column(back, 0) == column(text, 0)
    assert array.names == ("ecg",) and array.fs is None
    assert array.notes[1].startswith("the times in 'time' of")
    assert "have no even rate: they are kept beside the samples, without loss" in array.notes[1]
    found = streams.compare_file(tmp_path / "a.csv", decoder)
    assert found.broken == () and len(found.parts) == 1
    restored = streams.restored(tmp_path / "a.csv", decoder, array)
    assert restored.outcome == "same files but for the samples"


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("a,clock,b", {"time_column": "clock"}),
        ("index,time,b", {}),
        ("time,a,b", {"time_unit": "ms"}),
    ],
    ids=["one that is named", "after an index", "milliseconds"],
)
def test_times_keep_their_place_and_other_columns_are_coded(head, options, tmp_path):
    names = head.split(",")
    place = 0 if names[0] == "time" else 1
    cells = [list(map(str, ECG)), [str(i) for i in STEPS]]
    cells.insert(place, TIMES["a gap"])
    text = head + "\n" + "".join(",".join(row) + "\n" for row in zip(*cells, strict=True))
    back, array, _ = written(tmp_path, text, {"max_error": 2}, **options)
    assert array.names == tuple(n for c, n in enumerate(names) if c != place)
    assert column(back, place) == column(text, place)
    for other in {0, 1, 2} - {place}:
        pairs = zip(column(back, other)[1:], column(text, other)[1:], strict=True)
        assert max(abs(float(a) - float(b)) for a, b in pairs) <= 2


def test_a_given_rate_and_the_first_time_stay(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,ecg\n" + "".join(f"{t},{v}\n" for t, v in zip(dates(GAP), ECG, strict=True)))
    (tmp_path / "a.san").write_bytes(streams.encode_file(path, fs=100, prdn=8))
    recording = reading.read(tmp_path / "a.san")
    assert (recording.fs, recording.names, recording.start) == (100.0, ("ecg",), START)
    assert recording.others == () and recording.x.shape == (COUNT, 1)


def test_times_are_a_channel_without_loss_and_on_request(tmp_path):
    text = "time,ecg\n" + "".join(f"{t},{v}\n" for t, v in zip(TIMES["a gap"], ECG, strict=True))
    _, array, decoder = written(tmp_path, text, time_column="none")
    assert array.names == ("time", "ecg") and tables.APART not in decoder.info.attachments
    exact = streams.read_file(tmp_path / "a.csv", exact=True)
    assert exact.names == ("time", "ecg") and list(exact.attachments) == [tables.COLUMNS]


def test_times_of_too_many_digits_are_refused_within_an_error(tmp_path):
    late = [1600000000000000001 + (10**17 + 1) * (i > 9) + i for i in range(40)]
    text = "time,ecg\n" + "".join(f"{t},{i % 7}\n" for i, t in enumerate(late))
    with pytest.raises(ValueError, match=r"'time' of .* more digits than float64 holds") as error:
        written(tmp_path, text)
    assert "--lossless" in str(error.value) and "--time-column none" in str(error.value)
    assert written(tmp_path, text, time_column="none")[1].names == ("time", "ecg")


def test_other_times_are_found_out(tmp_path):
    text = "time,ecg\n" + "".join(f"{t},{v}\n" for t, v in zip(TIMES["a gap"], ECG, strict=True))
    _, _, decoder = written(tmp_path, text)
    (tmp_path / "a.csv").write_text(text.replace("\n0.05,", "\n0.06,"))
    found = streams.compare_file(tmp_path / "a.csv", decoder)
    assert [words.split(" is not")[0] for words in found.broken] == ["its signals/1"]


def test_the_same_times_of_other_bytes_are_the_same():
    one, other = (compress(GAP, lossless=True, names=name) for name in (("t",), ("time",)))
    assert one != other and table_apart.are_same(one, other)
    assert not table_apart.are_same(one, compress(-GAP, lossless=True))


HOSTILE = {
    "too few": compress(GAP[:5], lossless=True),
    "several columns": compress(np.zeros((COUNT, 2)), lossless=True),
    "whole numbers": compress(ECG.astype(np.int32), lossless=True),
    "no stream": b"nothing",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_times_are_refused(kind):
    said = json.dumps({"line": "time,ecg", "start": None, "columns": [{}]}).encode()
    attached = {tables.COLUMNS: said, tables.APART: HOSTILE[kind]}
    with pytest.raises(ValueError, match="cannot be read"):
        tables.content_of(streams.Array(ECG * 1.0, None, (), ("ecg",), attached))
