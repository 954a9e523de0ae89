"""Heartbeats: where they are found, which are unusual, and how two lists are compared."""

import csv
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.heartbeats.annotation_sets import read_set
from san.heartbeats.fidelity import fidelity
from san.heartbeats.which_leads import leads_of
from san.wfdb_records.annotations import read_annotations, write_annotations

SECONDS = 24.0
CHANGES = ("r_amplitude", "r_loss", "r_share", "r_time", "qrs", "st", "rr")
NOTES = ["", "(AFIB", "é", "odd"]
RECORDS = os.environ.get("SAN_DATA_DIR", "")


def beat_times(seconds=SECONDS):
    """Beats with a varying interval of about 0.85 s."""
    intervals = 0.85 + 0.06 * np.sin(np.arange(int(seconds / 0.8)))
    times = 0.5 + np.cumsum(intervals)
    return times[times < seconds - 0.5]


def electrocardiogram(fs, times, wide=(), seconds=SECONDS, noise=0.02, seed=0):
    """P, QRS and T waves in mV, with a wandering base line; `wide` are numbers of ectopic beats."""
    t = np.arange(int(seconds * fs)) / fs
    x = 0.15 * np.sin(2 * np.pi * 0.3 * t) + np.random.default_rng(seed).normal(0, noise, len(t))

    def wave(middle, height, width):
        return height * np.exp(-0.5 * ((t - middle) / width) ** 2)

    for number, time in enumerate(times):
        if number in wide:
            x += wave(time, 1.4, 0.035) + wave(time + 0.3, -0.4, 0.06)
        else:
            x += (
                wave(time - 0.16, 0.1, 0.02) + wave(time, 1.0, 0.011) + wave(time + 0.28, 0.3, 0.05)
            )
            x -= wave(time + 0.03, 0.25, 0.01)
    return x


def agreed(found, times, window=0.05):
    """F1 of found beats against the true ones."""
    true = san.beats.BeatList(np.asarray(times), ("N",) * len(times))
    return san.beats.compare(true, found.to_list(), window=window, skip=0).f1


@pytest.mark.parametrize("fs", [50.0, 128.0, 250.0, 360.0, 500.0, 1000.0])
def test_beats_are_found_at_any_rate(fs):
    times = beat_times()
    found = san.beats.find(electrocardiogram(fs, times), fs)
    assert agreed(found, times) == 1.0
    assert np.abs(found.time - times).max() <= 1.5 / fs + 0.004


@pytest.mark.parametrize(
    "change",
    [
        lambda x: -x,
        lambda x: 1e-3 * x,
        lambda x: np.rint(200 * x).astype(np.int16),
        lambda x: (200 * x + 1024).astype(np.float32),
    ],
    ids=["inverted", "in volts", "int16", "with an offset"],
)
def test_unit_sign_and_dtype_do_not_matter(change):
    times = beat_times()
    x = electrocardiogram(250.0, times)
    assert agreed(san.beats.find(change(x), 250.0), times) == 1.0


def leads_with(other):
    times = beat_times()
    return times, np.stack([other(times), electrocardiogram(250.0, times)], axis=1)


OTHERS = {
    "flat": lambda times: np.zeros(int(250 * SECONDS)),
    "missing": lambda times: np.full(int(250 * SECONDS), np.nan),
    "noise": lambda times: np.random.default_rng(1).normal(0, 0.5, int(250 * SECONDS)),
    "inverted": lambda times: -0.4 * electrocardiogram(250.0, times, seed=2),
    "late": lambda times: electrocardiogram(250.0, times + 0.02, seed=3),
}


@pytest.mark.parametrize("order", [1, -1], ids=["first", "last"])
@pytest.mark.parametrize("other", OTHERS)
def test_a_lead_without_clear_beats_is_not_heard(other, order):
    times, x = leads_with(OTHERS[other])
    assert agreed(san.beats.find(x[:, ::order], 250.0), times, 0.08) == 1.0


def test_one_lead_is_enough_where_the_other_fails():
    times = beat_times()
    x = np.stack([electrocardiogram(250.0, times, seed=k) for k in (0, 1)], axis=1)
    x[: len(x) // 2, 0] = np.nan
    x[len(x) // 2 :, 1] = 0.0
    assert agreed(san.beats.find(x, 250.0), times) == 1.0


def test_beats_are_found_where_the_clearest_lead_has_not_begun():
    times = beat_times()
    x = np.stack([electrocardiogram(250.0, times, seed=k, noise=0.05) for k in (0, 1, 2)], axis=1)
    x[:, 2] = 3 * electrocardiogram(250.0, times, noise=0.001)
    x[: 250 * 4, 2] = np.linspace(0, 0.1, 250 * 4)  # not flat: an electrode that drifts
    assert agreed(san.beats.find(x, 250.0), times) == 1.0


def test_a_tall_t_wave_is_no_beat():
    times = beat_times()
    t = np.arange(int(250 * SECONDS)) / 250
    x = 0.05 * electrocardiogram(250.0, times)
    for time in times:
        x += np.exp(-0.5 * ((t - time) / 0.005) ** 2)
        x += 1.3 * np.exp(-0.5 * ((t - time - 0.3) / 0.03) ** 2)
    assert agreed(san.beats.find(x, 250.0), times) == 1.0


def test_no_beat_is_found_in_a_gap_and_none_is_early_after_it():
    times = beat_times()
    x = electrocardiogram(250.0, times)
    begin, end = 2000, 3000
    x[begin:end] = np.nan
    found = san.beats.find(x, 250.0)
    left = times[(times < begin / 250 - 0.1) | (times > end / 250 + 0.1)]
    assert agreed(found, left) >= 0.97  # a beat at the edge of the gap may count or not
    assert not np.any((found.position >= begin) & (found.position < end))
    after = int(np.searchsorted(found.position, end))
    assert np.isnan(found.rr[after]) and found.early[after] == 0
    assert np.isfinite(found.rr[1:after]).all()


@pytest.mark.parametrize("samples", [0, 1, 15, 16, 40, 125, 300])
def test_very_short_recordings_are_no_error(samples):
    x = electrocardiogram(250.0, [0.4, 1.1], seconds=2.0)[:samples]
    found = san.beats.find(x, 250.0)
    assert len(found) <= 2 and len(found.rows()) == len(found)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_constant_signal_has_no_beats(value):
    assert len(san.beats.find(np.full((3000, 2), value), 250.0)) == 0


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 400),
    st.integers(1, 3),
    st.sampled_from([60.0, 128.0, 1000.0]),
    st.integers(0, 9),
)
def test_beats_are_in_their_order_and_inside(samples, leads, fs, seed):
    x = np.random.default_rng(seed).normal(0, 1, (samples, leads))
    x[x > 2.5] = np.inf
    found = san.beats.find(x, fs)
    assert (np.diff(found.position) > 0).all()
    assert ((found.position >= 0) & (found.position < max(samples, 1))).all()
    assert np.isfinite(found.unusual).all() and sorted(found.ranking) == [*range(len(found))]


def test_ectopic_beats_come_first_in_the_ranking():
    times = beat_times(40.0)
    wide = (9, 20, 31)
    times[list(wide)] -= 0.25
    found = san.beats.find(electrocardiogram(250.0, times, wide, 40.0), 250.0)
    assert agreed(found, times, 0.15) == 1.0
    assert set(found.ranking[:3]) == set(wide)
    assert set(found.template[list(wide)]) != {0} and (np.delete(found.template, wide) == 0).all()
    assert (found.early[list(wide)] > 0.15).all()


def test_templates_have_the_shape_of_their_beats():
    times = beat_times()
    x = electrocardiogram(250.0, times, noise=0.005)
    found = san.beats.find(x, 250.0)
    assert found.templates.shape[0] == 1 and found.templates.shape[2] == 1
    peak = found.templates[0, :, 0].argmax()
    assert abs(peak - found.template_middle) <= 1
    assert found.amplitude == pytest.approx(np.full(len(times), 1.0), abs=0.15)


def test_the_table_has_a_row_for_each_beat():
    times = beat_times()
    found = san.beats.find(electrocardiogram(250.0, times), 250.0)
    rows = list(csv.DictReader(found.to_csv().splitlines()))
    assert [float(row["time"]) for row in rows] == found.time.round(6).tolist()
    assert rows[0]["rr"] == "" and float(rows[1]["heart_rate"]) == pytest.approx(60 / found.rr[1])
    assert sorted(int(row["rank"]) for row in rows) == [*range(1, len(times) + 1)]
    assert found.to_dataframe()["position"].tolist() == found.position.tolist()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((np.zeros(500), 40.0), "beats need a sampling rate of 50 Hz or more, got fs=40"),
        ((np.zeros(500), np.nan), "got fs=nan"),
        ((np.zeros((5, 5, 5)), 250.0), r"shape \(5, 5, 5\)"),
        ((np.array(["a"]), 250.0), "dtype <U1"),
    ],
)
def test_what_has_no_beats_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        san.beats.find(*arguments)


@pytest.mark.parametrize(
    "names, units, leads",
    [
        (["MLII", "V5"], ["mV", "mV"], [0, 1]),
        (["ECG I", "PLETH", "RESP"], ["mV", "NU", "pm"], [0]),
        (["II", "ABP"], ["mV", "mmHg"], [0]),
        (["EMG", "EOG"], ["uV", "mV"], [0, 1]),
        (["I", "aVR"], ["mv", "mv"], [0, 1]),
        (["II", "V", "PLETH"], ["mV", "mV", "NU"], [0, 1]),
        (["accelerometer"], ["g"], []),
        ([], [], [0, 1]),
    ],
)
def test_leads_are_known_by_name_and_unit(names, units, leads):
    assert leads_of(names, units, max(len(names), 2) if not names else len(names)) == leads


def test_channels_of_a_recording_can_be_chosen():
    times, x = leads_with(OTHERS["noise"])
    recording = san.signals.Recording(x, 250.0, ("", ""), ("accelerometer", "g"))
    assert agreed(san.beats.of_recording(recording, [1]), times) == 1.0
    with pytest.raises(ValueError, match="channels must be from 0 to 1, got 2"):
        san.beats.of_recording(recording, [2])
    with pytest.raises(ValueError, match="some of one sampling rate, got"):
        san.beats.of_recording(recording, [])
    no_rate = san.signals.Recording(x, None, ("mV", "mV"), ("I", "II"))
    with pytest.raises(ValueError, match="no"):
        san.beats.of_recording(no_rate)
    no_lead = san.signals.Recording(x, 250.0, ("g", "g"), ("x", "accelerometer"))
    with pytest.raises(ValueError, match="name the channels of the electrocardiogram"):
        san.beats.of_recording(no_lead)


# Annotations


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1 << 22),
            st.sampled_from("NVAQ/+~"),
            st.sampled_from(["", "(AFIB", "é", "odd"]),
        ),
        max_size=20,
    )
)
def test_annotations_come_back(rows):
    rows.sort(key=lambda row: row[0])
    notes = [row[2].replace("\0", "") for row in rows]
    symbols = [row[1] for row in rows]
    read = read_annotations(write_annotations([row[0] for row in rows], symbols, notes))
    assert read.position.tolist() == [row[0] for row in rows]
    assert read.symbol == tuple(symbols) and read.note == tuple(notes)


def test_wfdb_reads_the_annotations_of_beats(tmp_path):
    import wfdb

    times = beat_times()
    found = san.beats.find(electrocardiogram(250.0, times), 250.0)
    (tmp_path / "r.qrs").write_bytes(found.to_annotations())
    read = wfdb.rdann(str(tmp_path / "r"), "qrs")
    assert read.sample.tolist() == found.position.tolist() and set(read.symbol) == {"Q"}


def test_what_wfdb_writes_is_read(tmp_path):
    import wfdb

    places = np.array([5, 1500, 70000, 2_000_000])
    wfdb.wrann(
        "r", "atr", places, ["N", "+", "V", "/"], aux_note=["", "(AFIB", "", ""], fs=360,
        write_dir=str(tmp_path),
    )  # fmt: skip
    read = read_annotations((tmp_path / "r.atr").read_bytes())
    assert read.position.tolist() == places.tolist() and read.fs == 360
    assert read.symbol == ("N", "+", "V", "/") and read.note[1] == "(AFIB"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_annotations_or_refused_in_words(data):
    try:
        read = read_annotations(data)
    except ValueError as error:
        assert "the annotation file is cut" in str(error)
    else:
        assert len(read.position) == len(read.symbol) == len(read.note)


@pytest.mark.parametrize(
    "places, symbols, words",
    [([5, 4], "NN", "go back: 4 comes after 5"), ([5], ["?!"], "no symbol '\\?!'")],
)
def test_annotations_that_cannot_be_written_are_refused(places, symbols, words):
    with pytest.raises(ValueError, match=words):
        write_annotations(places, symbols)


# Comparison


def beats_at(*times, symbols=None, flutter=()):
    return san.beats.BeatList(
        np.array(times, float), tuple(symbols or "N" * len(times)), tuple(flutter)
    )


def test_each_beat_has_one_partner_the_nearest_first():
    found = san.beats.compare(beats_at(1, 2), beats_at(1.1, 1.95, 2.05, 4), skip=0)
    assert (found.true_positives, found.false_negatives, found.false_positives) == (2, 0, 2)
    assert found.difference == pytest.approx([0.1, -0.05])
    assert found.f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize("window, both", [(0.15, 2), (0.05, 1), (0.049, 0)])
def test_the_window_holds_its_ends(window, both):
    found = san.beats.compare(beats_at(1, 2), beats_at(1.05, 2.15), window=window, skip=0)
    assert found.true_positives == both


def test_the_beginning_does_not_count_but_has_partners():
    found = san.beats.compare(beats_at(299.95, 300.05, 400), beats_at(299.98, 300.1), skip=300)
    assert (found.true_positives, found.false_negatives, found.false_positives) == (1, 1, 0)


def test_flutter_does_not_count():
    one = beats_at(1, 5, 9, flutter=[(4.0, 6.0)])
    found = san.beats.compare(one, beats_at(1, 5.5, 9), skip=0)
    assert (found.true_positives, found.false_negatives, found.false_positives) == (2, 0, 0)
    notes = san.beats.beat_list([10, 40, 60, 70], "N[]N", 10.0)
    assert notes.flutter == ((4.0, 6.0),) and notes.time.tolist() == [1.0, 7.0]


def test_classes_are_counted_by_type():
    one = beats_at(1, 2, 3, 4, symbols="LVA/")
    other = beats_at(1, 2, 3, 6, symbols="NVNF")
    found = san.beats.compare(one, other, skip=0)
    assert found.confusion == {
        ("N", "N"): 1, ("V", "V"): 1, ("S", "N"): 1, ("Q", "none"): 1, ("none", "F"): 1,
    }  # fmt: skip
    assert found.of_class("V") == (1.0, 1.0) and found.of_class("S")[0] == 0.0
    assert found.of_class("N") == (1.0, 0.5)
    both = san.beats.gross([found, found])
    assert both.true_positives == 6 and both.confusion["V", "V"] == 2


def test_nothing_against_nothing_is_not_a_number():
    found = san.beats.compare(beats_at(), beats_at(), skip=0)
    assert np.isnan([found.sensitivity, found.predictivity, found.f1]).all()


# Commands


def write_record(folder, name="r", seed=0):
    """A record of one lead with the true beats as `NAME.atr`."""
    import wfdb

    times = beat_times()
    x = electrocardiogram(250.0, times, seed=seed)
    wfdb.wrsamp(name, 250, ["mV"], ["II"], x[:, None], fmt=["16"], write_dir=str(folder))
    wfdb.wrann(
        name, "atr", np.rint(times * 250).astype(int), ["N"] * len(times), write_dir=str(folder)
    )
    return times


def test_the_command_finds_beats_and_compares_them(command, tmp_path):
    times = write_record(tmp_path)
    code, out, _ = command("beats", "r", "r.csv", "r.qrs", "r.json", "r.html", "--unusual", "2")
    assert code == 0 and f"{len(times)} beats in II, timed in II" in out
    assert "look at these first" in out and "no label and no diagnosis" in out
    said = json.loads(Path("r.json").read_text())
    assert len(said["beats"]) == len(times) and said["leads"] == ["II"]
    for other in ("r.csv", "r.qrs", "r.json"):
        code, out, _ = command("compare", "r.atr", other, "--all", "--json")
        at_150, at_50 = (json.loads(out)[key]["gross"] for key in ("150 ms", "50 ms"))
        assert at_150["f1"] == at_50["f1"] == 1.0, other
    page = Path("r.html").read_text()
    assert "Look at these first" in page and "no label and no diagnosis" in page
    code, out, _ = command("beats", "r", "--json")
    assert json.loads(out) == said


def test_a_stream_has_the_beats_of_its_recording(command, tmp_path):
    times = write_record(tmp_path)
    assert command("compress", "r", "r.san", "--prdn", "8")[0] == 0
    code, out, _ = command("beats", "r.san", "r.csv")
    assert code == 0 and f"{len(times)} beats in II" in out
    assert np.abs(read_set(Path("r.csv")).time - times).max() < 0.02


def test_folders_are_compared_record_by_record(command, tmp_path):
    for seed, name in enumerate("ab"):
        write_record(tmp_path, name, seed)
        assert command("beats", name, f"{name}.csv")[0] == 0
    code, out, _ = command("compare", ".", ".", "--all", "--window", "150")
    assert code == 0 and "within 150 ms" in out
    assert [line.split()[0] for line in out.splitlines()[2:6]] == ["a", "b", "gross", "average"]
    assert out.splitlines()[4].split()[4:6] == ["100.00", "100.00"]
    code, out, error = command("compare", ".", ".")
    assert code == 0 and "no beat comes after the first five minutes: give --all" in error


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["beats", "r", "r.san"], "must end with .csv, .json or .parquet"),
        (["beats", "r", "r.txt"], "r.txt must end with .csv, .json or .parquet"),
        (["beats", "r", "n.csv", "r.tsv"], "r.tsv must end with .csv, .json or .parquet"),
        (["beats", "r", "r"], "r must end with .csv, .json or .parquet"),
        (["beats", "r", "r.csv"], "r.csv is there: give --force to replace it"),
        (["beats", "nowhere"], "nowhere"),
        (["compare", "r.atr", "missing.csv"], "missing.csv is not there"),
        (["compare", "r.atr", "."], "must be two files or two folders"),
        (["compare", "r.atr", "r.csv", "--window", "0"], "--window must be more than 0 ms, got 0"),
        (["compare", "r.csv", "bad.csv"], "bad.csv has no time in seconds in row 1"),
        (["compare", "r.csv", "bad.json"], "bad.json must be a list of beats"),
        (["compare", "r.csv", "cut.qrs"], "cut.qrs is no annotation file"),
        (["compare", "r.csv", "alone.qrs"], "no header alone.hea is beside it: give fs"),
    ],
)
def test_commands_refuse_in_one_line(command, tmp_path, arguments, words):
    write_record(tmp_path)
    Path("r.csv").write_text("time,symbol\n1.5,N\n")
    Path("bad.csv").write_text("when\n1\n")
    Path("bad.json").write_text("[1]")
    Path("cut.qrs").write_bytes(struct.pack("<H", 59 << 10))
    Path("alone.qrs").write_bytes(write_annotations([9], "N"))
    code, _, error = command(*arguments)
    assert code != 0 and words in error and len(error.splitlines()) == 1


@pytest.mark.skipif(
    not (Path(RECORDS) / "mitdb" / "208.atr").is_file() or not RECORDS, reason="no MIT-BIH records"
)
@pytest.mark.parametrize("lead", [[0], [0, 1]], ids=["one lead", "two leads"])
def test_five_minutes_of_a_hard_record(lead):
    record = Path(RECORDS) / "mitdb" / "208"
    recording = san.read(record, annotations=False)
    found = san.beats.find(recording.x[: 300 * 360, lead], 360.0)
    true = read_set(record.with_suffix(".atr"))
    inside = true.time < 300
    first = san.beats.BeatList(true.time[inside], true.symbol[: inside.sum()], true.flutter)
    assert san.beats.compare(first, found.to_list(), skip=0).f1 > 0.99


# What a stream does to heartbeats


def two_leads(fs=250.0):
    times = beat_times()
    one = electrocardiogram(fs, times, noise=0.0)
    return times, np.stack([one, -0.5 * one], axis=1)


def test_nothing_changes_without_a_change():
    times, x = two_leads()
    found = fidelity(x, x, 250.0)
    assert (found.before, found.after, found.both) == (len(times),) * 3
    assert all(getattr(found, name).worst == 0 for name in CHANGES)


def test_a_clipped_r_wave_is_found_with_its_time_and_lead():
    times, x = two_leads()
    y = x.copy()
    place = round(times[7] * 250)
    y[place - 10 : place + 11, 1] = np.maximum(y[place - 10 : place + 11, 1], -0.25)
    found = fidelity(x, y, 250.0)
    assert found.r_amplitude.lead == 1 and found.r_amplitude.at == pytest.approx(times[7], abs=0.01)
    assert 0.15 < found.r_loss.worst < 0.4 and found.r_share.worst > 30
    assert found.qrs.worst == pytest.approx(np.abs(x - y).max())
    assert found.r_amplitude.median == 0


@pytest.mark.parametrize("scale, loss", [(0.9, 0.1), (1.1, 0.0)])
def test_an_amplitude_that_grows_is_no_loss(scale, loss):
    _, x = two_leads()
    found = fidelity(x, scale * x, 250.0)
    assert found.r_share.median == pytest.approx(10, abs=0.01)
    assert found.r_loss.worst == pytest.approx(loss * found.r_amplitude.worst / 0.1)


def test_a_later_signal_has_later_r_waves_and_the_same_intervals():
    _, x = two_leads()
    y = np.roll(x, 2, axis=0)
    found = fidelity(x, y, 250.0)
    assert found.r_time.median == pytest.approx(8.0, abs=0.01)
    assert found.rr.worst <= 4.0 and found.both == found.before


def test_an_st_segment_that_is_raised_is_found():
    times, x = two_leads()
    y = x.copy()
    for time in times:
        place = round(time * 250)
        y[place + 22 : place + 40, 0] += 0.05
    found = fidelity(x, y, 250.0)
    assert found.st.median >= 0 and found.st.worst == pytest.approx(0.05, abs=0.005)


def test_without_beats_nothing_is_measured():
    found = fidelity(np.zeros((500, 1)), np.ones((500, 1)), 250.0)
    assert found.before == 0 and np.isnan(found.r_amplitude.worst)
    assert found.as_json()["qrs"]["worst"] is None
    with pytest.raises(ValueError, match=r"shape \(500, 1\), and what is decoded \(5, 1\)"):
        fidelity(np.zeros((500, 1)), np.zeros((5, 1)), 250.0)


def test_verify_says_what_a_stream_does_to_beats(command, tmp_path):
    times = write_record(tmp_path)
    assert command("compress", "r", "r.san", "--prdn", "8")[0] == 0
    code, out, _ = command("verify", "r", "r.san", "--beats")
    number = len(times)
    assert code == 0
    assert f"heartbeats: {number} in the original, {number} in the stream, {number} in both" in out
    assert "R amplitude, mV" in out and "ST level, mV" in out and "RR interval, ms" in out
    code, out, _ = command("verify", "r", "r.san", "--beats", "--json")
    said = json.loads(out)["heartbeats"]
    assert said["leads"] == ["II"] and said["unit"] == "mV" and said["both"] == number
    assert 0 < said["r_amplitude"]["worst"] < 0.3
    assert "heartbeats" not in json.loads(command("verify", "r", "r.san", "--json")[1])
