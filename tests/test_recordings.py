"""Training on files of your own: which windows are cut from which recordings, and where they go."""

import csv
import json

import edfio
import numpy as np
import pytest
import torch
import wfdb
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

import san
from san import report
from san.dataset_readers import pieces, windows
from san.dataset_readers.listing import names_of, recordings_in
from san.dataset_readers.rates import Signals
from san.dataset_readers.sources import open_source
from san.dataset_readers.splitting import by_time, counts_of, shares_of
from san.datasets import from_files
from san.files import streams
from san.training import run_settings, runs
from san.wfdb_records import formats

FS, SECONDS = 250, 12


def beats(fs, seed, seconds=SECONDS):
    """Bumps about every second, with noise: (samples,)."""
    rng = np.random.default_rng(seed)
    x = 0.02 * rng.standard_normal(fs * seconds)
    for second in range(seconds):
        middle = int((second + 0.4 + 0.2 * rng.random()) * fs)
        width = fs // 10
        x[middle - width : middle + width] += np.hanning(2 * width)
    return x


def write_wfdb(folder, name, seed, channels=("II", "V1")):
    x = np.stack([(c + 1) * beats(FS, seed) for c in range(len(channels))], axis=1)
    wfdb.wrsamp(
        name,
        fs=FS,
        units=["mV"] * len(channels),
        sig_name=list(channels),
        p_signal=x,
        fmt=["16"] * len(channels),
        write_dir=str(folder),
    )
    return x


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three WFDB records with beats, an EDF of another rate, a CSV, and a table of patients."""
    place = tmp_path_factory.mktemp("mine") / "study"
    place.mkdir()
    for number in range(3):
        write_wfdb(place, f"r{number}", number)
        at = np.arange(SECONDS) * FS + FS // 2
        wfdb.wrann(f"r{number}", "atr", at, ["N"] * 8 + ["V"] * 4, write_dir=str(place))
    signal = edfio.EdfSignal(beats(200, 3), 200, label="II", physical_dimension="mV")
    edfio.Edf([signal]).write(place / "night.edf")
    stage = np.repeat([1, 2], FS * SECONDS // 2)
    lines = [
        f"{i / FS},{v:.4f},{s}" for i, (v, s) in enumerate(zip(beats(FS, 4), stage, strict=True))
    ]
    (place / "long.csv").write_text("time,II,stage\n" + "\n".join(lines) + "\n")
    (place / "patients.csv").write_text(
        "record,patient\nr0,anna\nr1,anna\nr2,ben\nnight,cleo\nlong,dora\n"
    )
    return place


def test_a_newcomer_trains_on_a_folder(folder, command, tmp_path):
    options = "--window-seconds 2 --kernel-sizes 30,50 --epochs 2 --channels II".split()
    with pytest.warns(UserWarning, match=r"patients\.csv is left out: it is a table"):
        code, out, err = command("train", folder, *options, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["name"] == "recordings study" and 0 < told["phi"] < 1.5
    run = tmp_path / told["folder"]
    with open(run / "windows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["recording"] for row in rows} == {"r0", "r1", "r2", "night", "long"}
    splits = [row["split"] for row in rows]
    assert [splits.count(split) for split in san.datasets.Splits._fields] == [20, 5, 5]
    model = san.SAN.load(run / "model.safetensors")
    assert model.channels == 1

    with pytest.warns(UserWarning, match="is left out"):
        code, out, err = command("train", "--resume", run, "--json")
    assert code == 0 and json.loads(out)["phi"] == told["phi"]
    with pytest.warns(UserWarning, match="is left out"):
        code, out, err = command("report", run)
    assert (code, err) == (0, "") and "Not recomputed" not in (tmp_path / "report.html").read_text()
    code, out, err = command("explore", folder / "r0", "--model", run)
    assert (code, err) == (0, "")


@pytest.fixture(scope="module")
def two_leads(folder, tmp_path_factory):
    """A run of one model with kernels of two sizes, on two leads."""
    run = tmp_path_factory.mktemp("two") / "run"
    given = {"recordings": [str(folder / "r0"), str(folder / "r1")], "channels": "II,V1"}
    given |= {"window": 500, "kernel_sizes": "20,50", "together": True, "epochs": 2}
    opened = runs.start(*run_settings.settings_from(given), run)
    return run, runs.finish(opened)


def test_one_model_has_kernels_of_several_sizes_and_channels(two_leads):
    run, outcome = two_leads
    model = san.SAN.load(run / "model.safetensors")
    assert [tuple(w.shape) for w in model.kernels] == [(2, 20), (2, 50)]
    assert [size for (size,) in model.sparsity] == [17, 47]
    assert json.loads((run / "metrics.json").read_text())["kernel_sizes"] == [20, 50]
    assert report.result_rows("x", outcome.scores, [], outcome.mixed_sizes)[0][1] == "20+50"
    assert outcome.scores["kernel_size"] == 50
    assert (run / "figures" / "overview_1.png").is_file()
    output = model(torch.from_numpy(outcome.test.x))
    assert output.x_hat.shape == outcome.test.x.shape
    assert output.activations.shape == (len(outcome.test.x), 2, 500)


def test_a_run_of_several_leads_is_shown(two_leads, folder, command, tmp_path):
    run, _ = two_leads
    code, _, err = command("report", run, "-o", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert (code, err) == (0, "") and "Not recomputed" not in page
    assert "of r0, II" in page and "of r0, V1" in page and "20+50 samples in one model" in page
    code, _, err = command("explore", folder / "r0", "--model", run, "--channel", 1)
    page = (tmp_path / "explore.html").read_text()
    assert (code, err) == (0, "")
    assert "which has 2 channels; here are its kernels of V1 alone" in page


@pytest.mark.parametrize("grow", [False, True], ids=["at once", "grown"])
def test_sizes_together_continue_to_the_same_model(grow):
    settings = san.Settings(
        kernel_sizes="5,9", kernels=2, together=True, epochs=4, grow=grow, batch_size=3
    )
    x = np.random.default_rng(0).standard_normal((6, 2, 80)).astype(np.float32)
    whole = san.Training(settings, x, x)
    whole.run()
    first = san.Training(settings, x, x)
    first.run(lambda rows: rows[0].epoch < 2)
    second = san.Training(settings, x, x)
    second.restore(*first.state())
    second.run()
    assert second.history == whole.history
    assert [row.kernel_size for row in whole.history] == [9] * 4
    sizes = whole.choose(x).model.kernel_sizes
    assert [size for (size,) in sizes] == [5, 9, 5, 9]


def test_windows_are_samples_of_the_recording(folder):
    splits = from_files(
        folder / "r1", channels=["V1", "II"], window=500, standardise="none", shares=(4, 1, 1)
    )
    x = san.read(folder / "r1").x[:, ::-1]
    for split in splits:
        assert split.names == ("V1", "II") and split.units == ("mV", "mV")
        assert split.scale == "mV" and split.fs == FS
        for signal, start in zip(split.x, split.starts, strict=True):
            np.testing.assert_array_equal(signal, x[start : start + 500].T.astype(np.float32))
    assert [split.starts.tolist() for split in splits] == [[0, 500, 1000, 1500], [2000], [2500]]


@pytest.mark.parametrize("kind", ["npy", "zarr", "stream", "csv", "wfdb"])
def test_every_kind_of_file_gives_the_same_windows(kind, tmp_path):
    x = np.rint(1000 * beats(FS, 7)).astype(np.int16)
    path = tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, x)
    elif kind == "zarr":
        zarr.save_array(path, x)
    elif kind == "stream":
        path.write_bytes(san.compress(x, fs=FS, lossless=True))
    elif kind == "csv":
        path.write_text("a\n" + "\n".join(map(str, x)) + "\n")
    else:
        path = tmp_path / "x"
        wfdb.wrsamp(
            "x", fs=FS, units=["uV"], sig_name=["a"], d_signal=x[:, None], fmt=["16"],
            adc_gain=[1.0], baseline=[0], write_dir=str(tmp_path),
        )  # fmt: skip
    train = from_files(path, window_seconds=1, standardise="none", fs=FS).train
    np.testing.assert_array_equal(train.x[2, 0], x[500:750].astype(np.float32))


@pytest.mark.parametrize("code", ["16", "212", "311", "80"])
def test_a_large_record_is_read_in_pieces(code, tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(-100, 100, (1001, 3))
    lines = [f"r.dat {code} 10(5)/mV 8 0 0 0 0 c{c}" for c in range(3)]
    (tmp_path / "r.hea").write_text("\n".join([f"r 3 {FS} 1001", *lines]) + "\n")
    data = formats.pack(x.reshape(-1), code)
    (tmp_path / "r.dat").write_bytes(data)
    lines = [
        line.replace(" 0 0 0 0 ", f" 0 0 {int(c.sum()) & 65535} 0 ")
        for line, c in zip(lines, x.T, strict=True)
    ]
    (tmp_path / "r.hea").write_text("\n".join([f"r 3 {FS} 1001", *lines]) + "\n")
    whole = open_source(tmp_path / "r")
    monkeypatch.setattr(pieces, "LARGEST_WHOLE", 0)
    source = open_source(tmp_path / "r")
    assert whole.held and not source.held
    for first, last in ((0, 1001), (1, 2), (500, 777), (1000, 1001)):
        np.testing.assert_array_equal(
            source.parts[0].read(first, last), whole.parts[0].read(first, last)
        )


@pytest.mark.parametrize("kind", ["r0", "night.edf", "r0.san", "night.san"])
def test_what_is_read_in_pieces_is_what_is_read_whole(kind, folder, tmp_path, monkeypatch):
    path = folder / kind
    if kind.endswith(".san"):
        original = folder / ("r0" if kind == "r0.san" else "night.edf")
        path = tmp_path / kind
        path.write_bytes(streams.encode_file(original, lossless=True))
    monkeypatch.setattr(pieces, "LARGEST_WHOLE", 0)
    recording, source = san.read(path), open_source(path)
    (part,) = source.parts
    assert not source.held
    assert (part.fs, part.units, part.names) == (recording.fs, recording.units, recording.names)
    assert part.samples == len(recording.x)
    np.testing.assert_array_equal(part.read(701, 1203), recording.x[701:1203])
    if kind.startswith("r0"):
        notes = open_source(path, annotations=True).annotations["atr"]
        assert notes.text == recording.annotations["atr"].text


def test_recordings_of_several_rates_get_the_lowest(folder):
    train = from_files([folder / "r0", folder / "night.edf"], channels="II", window=400).train
    assert train.fs == 200 and {*train.recordings} == {"r0", "night"}
    whole = san.read(folder / "r0").x[:, 0]
    expected = resample_poly(whole, 4, 5)[400:800]
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    mine = [number for number, name in enumerate(train.recordings) if name == "r0"]
    np.testing.assert_allclose(train.x[mine[1], 0], expected, atol=1e-5)


@settings(max_examples=30)
@given(
    st.sampled_from([(250, 360), (360, 250), (100, 300), (257, 128)]),
    st.integers(1, 900),
    st.integers(1, 300),
)
def test_a_part_is_resampled_as_the_whole(rates, first, count):
    fs, rate = rates
    x = np.random.default_rng(0).standard_normal((1000, 2))
    signals = Signals(fs, ("", ""), ("a", "b"), 1000, lambda a, b: x[a:b])
    ratio = windows.ratio_of(rate, fs, "x")
    samples = windows.samples_at(signals, ratio)
    first = min(first, samples - 1)
    last = min(first + count, samples)
    whole = windows.read_span(signals, [0, 1], ratio, 0, samples)
    assert whole.shape == (samples, 2)
    part = windows.read_span(signals, [1], ratio, first, last)
    np.testing.assert_allclose(part[:, 0], whole[first:last, 1], atol=1e-12)


def test_gaps_and_constant_windows_are_left_out(tmp_path):
    x = beats(FS, 1)
    x[700:710] = np.nan
    x[1500:2000] = 1.0
    np.save(tmp_path / "x.npy", x)
    splits = from_files(tmp_path / "x.npy", window=500)
    assert [split.starts.tolist() for split in splits] == [[0, 1000], [2000], [2500]]


@pytest.mark.parametrize("standardise", ["window", "record"])
def test_standardised(folder, standardise):
    splits = from_files(folder / "r0", channels="all", window=500, standardise=standardise)
    x = np.concatenate([split.x for split in splits])
    axes = (2,) if standardise == "window" else (0, 2)
    np.testing.assert_allclose(x.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axes, ddof=1), 1, atol=1e-5)


def test_whole_recordings_go_to_a_split(folder):
    paths = [folder / f"r{number}" for number in range(3)]
    splits = from_files(paths, window=500, split="record")
    assert sorted(name for split in splits for name in {*split.recordings}) == ["r0", "r1", "r2"]
    again = from_files(paths, window=500, split="record", seed=1)
    assert {*again.train.recordings} != {*splits.train.recordings}


def test_a_patient_is_in_one_split(folder):
    table = str(folder / "patients.csv")
    splits = from_files(folder, channels="II", window=400, split=table, shares=(2, 1, 1))
    sides = [{*split.recordings} for split in splits]
    assert sum(map(len, sides)) == 5
    assert any({"r0", "r1"} <= side for side in sides)


def test_a_table_may_say_the_split(folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("record,split\nr0.hea,test\nr1,train\nr2,validation\n")
    splits = from_files([folder / f"r{n}" for n in range(3)], window=500, split=str(table))
    assert [{*split.recordings} for split in splits] == [{"r1"}, {"r2"}, {"r0"}]


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [("r0", "atr", ["N", "N", "N", "N", "V", "V"]), ("long.csv", "stage", list("111222"))],
    ids=["annotations", "column"],
)
def test_labels_are_kept(folder, name, labels, expected):
    splits = from_files(folder / name, window=500, labels=labels)
    found = [split.classes[y] for split in splits for y in split.y]
    assert found == expected
    assert splits.train.y.dtype == np.int64


@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=60),
    st.integers(2, 60),
    st.tuples(*[st.floats(0.1, 10)] * 3),
)
def test_no_sample_is_in_two_splits(steps, window, shares):
    starts = np.cumsum(steps)
    try:
        side = by_time(starts, window, shares_of(shares), "x")
    except ValueError:
        return
    for split in (0, 1):
        assert starts[side == split].max() + window <= starts[side > split].min()


@given(st.integers(3, 500), st.tuples(*[st.floats(0.001, 10)] * 3))
def test_counts_add_up(number, shares):
    counts = counts_of(number, shares_of(shares))
    assert sum(counts) == number and min(counts) >= 1


def test_a_stream_beside_its_record_is_left_out(tmp_path):
    write_wfdb(tmp_path, "a", 0)
    for name in ("a.san", "b.san"):
        (tmp_path / name).write_bytes(san.compress(np.arange(9, dtype=np.int16), lossless=True))
    zarr.save_array(tmp_path / "c.zarr", np.arange(9))
    found = recordings_in([tmp_path])
    assert [path.name for path in found] == ["a", "b.san", "c.zarr"]
    assert names_of(found) == ["a", "b", "c"]


WRONG = {
    "no file": (["nothing"], {}, "nothing is not there, nor is a WFDB record of that name"),
    "no recording": (["empty"], {}, "no recording is among empty"),
    "no channel": (["r0"], {"channels": "III"}, "r0 has no channel 'III'; it has 0 II, 1 V1"),
    "channel number": (["r0"], {"channels": 2}, "r0 has no channel 2"),
    "channel twice": (["r0"], {"channels": ["II", "0"]}, "the channels II, 0 of r0 are not all"),
    "other numbers": (["r0", "night.edf"], {"channels": "all"}, "night has 1 channels and r0 2"),
    "long window": (["r0"], {"window": 4000}, "r0 has 3000 samples, and no window of 4000"),
    "two lengths": (["r0"], {"window": 9, "window_seconds": 1}, "give window or window_seconds"),
    "few windows": (["r0"], {"window": 1400}, "r0 has 2 windows without gaps, which leave none"),
    "few recordings": (["r0", "r1"], {"split": "record"}, "there are 2: r0, r1; split by time"),
    "split": (["r0"], {"split": "day"}, r"split must be time, record or a table \(.csv\)"),
    "no table": (["r0"], {"split": "no.csv"}, "no.csv is not there: the table of groups"),
    "table": (["r0"], {"split": "long.csv"}, "must have the columns record and group"),
    "shares": (["r0"], {"shares": (1, 0, 1)}, "shares must be three numbers above 0"),
    "scale": (["r0"], {"standardise": "all"}, "standardise must be one of window, record, none"),
    "labels": (["r0"], {"labels": "hea"}, "no annotations 'hea' for labels: .* annotations: atr"),
    "rate": (["x.npy"], {"window_seconds": 1}, "no sampling rate is known: give window instead"),
    "rates": (["x.npy", "r0"], {}, "x does not state its sampling rate, and others do: give fs"),
    "ratio": (["r0"], {"resample": 249.99}, "r0 has 250 Hz, which cannot become 249.99 Hz"),
    "windows": (["r0"], {"windows": 0}, "windows must be at least 1, got 0"),
    "shape": (["cube.npy"], {}, r"cube.npy has shape \(2, 2, 2\)"),
    "group": (["group.zarr"], {}, "is a group of zarr, with ecg: name an array"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_said_in_words(case, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "empty").mkdir()
    np.save("x.npy", beats(FS, 0))
    np.save("cube.npy", np.zeros((2, 2, 2)))
    zarr.open_group("group.zarr", mode="w").create_array("ecg", data=np.zeros(9))
    names, options, words = WRONG[case]
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        from_files(names, **options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("train r0 --dataset mnist", "give files of your own, or dataset mnist, not both"),
        ("train r0 --channel 1", "channel is for named data sets: files of your own have channels"),
        ("train --dataset long.csv", "train on it with san train long.csv, without --dataset"),
        ("train --record ./r0", "train on it with san train ./r0, without --record"),
        ("train --stride 5", "stride is for files of your own, and none is named"),
        ("train r0 --shares 1,2", "shares"),
        ("train r0 --stop 5 --stop-sample 9", "give --stop or --stop-sample, not both"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, words, folder, command, monkeypatch):
    monkeypatch.chdir(folder)
    code, out, err = command(*arguments.split())
    assert code == 2 and words in err and out == ""
