"""`san.read`: every kind of file, and streams of them, in physical units."""

import dataclasses
import datetime
import re

import edfio
import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from test_files import write_edf, write_record

import san
from san.files import edf, streams
from san.files.physical import start_of
from san.files.table_layout import TableOptions
from san.pages.explore import excerpt
from san.pages.stream import describe_stream
from san.signals import Recording, converter_of

EDF = {"edf": {}, "rates": {"rates": (100, 250, 100)}, "bdf": {"bdf": True}}
LOSSLESS, LOSSY = {"lossless": True}, {"max_error": 3}


def stream_of(path, out, **options):
    """A stream of a file, on disk."""
    out.write_bytes(streams.encode_file(path, **options))
    return out


def by_wfdb(path):
    """What wfdb gives, signal by signal, each at its own rate."""
    found = wfdb.rdrecord(str(path), smooth_frames=False)
    return found.e_p_signal if found.e_p_signal is not None else list(found.p_signal.T)


def columns_of(recording):
    """The signals of all rates by name, and the rate of each."""
    parts = (recording, *recording.others)
    return {
        name: (part.x[:, c], part.fs, part.units[c])
        for part in parts
        for c, name in enumerate(part.names)
    }


def test_the_bundled_record():
    path = "datasets/sample/mitdb_208"
    recording = san.read(path, raw=True)
    expected = wfdb.rdrecord(path)
    assert np.array_equal(recording.x, expected.p_signal)
    assert np.array_equal(recording.raw, wfdb.rdrecord(path, physical=False).d_signal)
    assert recording.raw.dtype == np.int16
    assert (recording.fs, recording.units, recording.names) == (360.0, ("mV",), ("MLII",))
    assert (recording.start, recording.annotations, recording.events) == (None, {}, None)
    assert san.read(f"{path}.hea").raw is None


@pytest.mark.parametrize("fmt", ["16", "212", "80", "24", "32"])
@pytest.mark.parametrize("spf", [(1, 1), (2, 1)], ids=["one rate", "two rates"])
def test_records_and_their_streams_give_what_wfdb_gives(fmt, spf, tmp_path):
    write_record(tmp_path, "r1", fmt, files=2, spf=spf, invalid=(4, 90))
    expected = by_wfdb(tmp_path / "r1")
    stream = stream_of(tmp_path / "r1", tmp_path / "r1.san", **LOSSLESS)
    for path in (tmp_path / "r1", stream):
        recording = san.read(path)
        found = columns_of(recording)
        assert recording.fs == 360 * max(spf)
        for name, x, unit, rate in zip(("MLII", "V 5"), expected, ("mV", "uV"), spf, strict=True):
            assert np.isnan(x[[4, 90]]).all()
            np.testing.assert_array_equal(found[name][0], x)
            assert found[name][1:] == (360 * rate, unit)
        notes = recording.annotations["atr"]
        assert notes.text == ("N", "V", "N") and notes.note == ("", "", "")
        np.testing.assert_allclose(notes.onset, np.array([5, 300, 700]) / 360)
        assert notes.position.tolist() == [max(spf) * p for p in (5, 300, 700)]
        assert len(notes) == 3 and not notes.duration.any()


def test_a_lossy_stream_of_a_record_keeps_gaps_and_its_bound(tmp_path):
    write_record(tmp_path, "r1", "212", invalid=(4, 90))
    recording = san.read(stream_of(tmp_path / "r1", tmp_path / "r1.san", **LOSSY), raw=True)
    expected = np.stack(by_wfdb(tmp_path / "r1"), axis=1)
    assert np.array_equal(np.isnan(recording.x), np.isnan(expected))
    error = np.abs(recording.x - expected) * [200.0, 180.5]
    assert 0 < np.nanmax(error) <= 3 + 1e-9
    assert np.isnan(recording.raw).sum() == 4
    assert recording.annotations["atr"].text == ("N", "V", "N")


def test_a_lossy_sample_that_lands_on_an_invalid_code_is_a_number(tmp_path):
    x = np.array([-2047, -2047, 5, 9] * 300)
    wfdb.wrsamp("r", 250, ["mV"], ["a"], d_signal=x[:, None], fmt=["212"], adc_gain=[10.0],
                baseline=[0], write_dir=str(tmp_path))  # fmt: skip
    recording = san.read(stream_of(tmp_path / "r", tmp_path / "r.san", max_error=2))
    assert np.isfinite(recording.x).all()
    assert np.abs(recording.x[:, 0] - x / 10).max() <= 0.2 + 1e-12


def write_segments(folder, layout):
    """Two segments of other gains; of a variable layout with a gap and a signal that is absent."""
    for name, gain, names in (("s1", 200, ["a", "b"]), ("s2", 50, ["a", "b"][: 1 + (not layout)])):
        x = np.arange(500 * len(names)).reshape(500, -1) % 300
        n = len(names)
        wfdb.wrsamp(name, 250, ["mV"] * n, names, d_signal=x, fmt=["16"] * n, adc_gain=[gain] * n,
                    baseline=[7] * n, write_dir=str(folder))  # fmt: skip
    wfdb.wrann("s2", "atr", np.array([10]), ["V"], fs=250, write_dir=str(folder))
    lines = "m_layout 0\ns1 500\n~ 100\ns2 500\n" if layout else "s1 500\ns2 500\n"
    first = "m/4 2 250 1100" if layout else "m/2 2 250 1000"
    (folder / "m.hea").write_text(f"{first} 9:30:00 24/12/2019\n{lines}")
    (folder / "m_layout.hea").write_text(
        "m_layout 2 250 0\n~ 0 200/mV 0 0 0 0 0 a\n~ 0 200/mV 0 0 0 0 0 b\n"
    )


@pytest.mark.parametrize("layout", [False, True], ids=["fixed", "variable"])
@pytest.mark.parametrize("options", [None, LOSSLESS, LOSSY], ids=["record", "lossless", "lossy"])
def test_segments_keep_their_gains_and_gaps(layout, options, tmp_path):
    write_segments(tmp_path, layout)
    path = tmp_path / "m"
    if options:
        path = stream_of(path, tmp_path / "m.san", **options)
    recording = san.read(path)
    expected = wfdb.rdrecord(str(tmp_path / "m")).p_signal
    assert np.array_equal(np.isnan(recording.x), np.isnan(expected))
    assert np.isnan(expected[500:600]).all() == np.isnan(expected[600:, 1]).all() == layout
    bound = 3 / 50 if options is LOSSY else 0
    assert np.nanmax(np.abs(recording.x - expected)) <= bound + 1e-9
    assert recording.start == datetime.datetime(2019, 12, 24, 9, 30)
    position = 610 if layout else 510
    assert recording.annotations["s2/atr"].position.tolist() == [position]
    assert recording.annotations["s2/atr"].onset.tolist() == [position / 250]


def test_segments_of_several_units_are_refused(tmp_path):
    write_segments(tmp_path, False)
    header = tmp_path / "s2.hea"
    header.write_text(header.read_text().replace("/mV", "/uV"))
    with pytest.raises(ValueError, match=r"the segments have a in .* read each segment by itself"):
        san.read(tmp_path / "m")


def test_a_skew_is_undone(tmp_path):
    x = np.arange(300) % 97
    checksum = int(x.sum()) % 65536
    (tmp_path / "r.dat").write_bytes(x.astype("<i2").tobytes())
    (tmp_path / "r.hea").write_text(f"r 1 250 300\nr.dat 16:4 10/mV 16 0 0 {checksum} 0 a\n")
    for path in (tmp_path / "r", stream_of(tmp_path / "r", tmp_path / "r.san", **LOSSLESS)):
        recording = san.read(path, raw=True)
        np.testing.assert_array_equal(recording.x[:, 0], by_wfdb(tmp_path / "r")[0])
        assert recording.raw[:, 0].tolist() == x.tolist()


@pytest.mark.parametrize("kind", EDF)
@pytest.mark.parametrize("options", [None, LOSSLESS, LOSSY], ids=["file", "lossless", "lossy"])
def test_edf_and_its_streams_give_what_edfio_gives(kind, options, tmp_path):
    path = tmp_path / ("a.bdf" if kind == "bdf" else "a.edf")
    write_edf(path, **EDF[kind])
    file = (edfio.read_bdf if kind == "bdf" else edfio.read_edf)(path)
    target = {"max_error": 40} if options is LOSSY else options
    recording = san.read(stream_of(path, tmp_path / "a.san", **target) if options else path)
    found = columns_of(recording)
    assert recording.fs == 250 and len(found) == len(file.signals)
    for signal in file.signals:
        x, fs, unit = found[signal.label]
        step = 20 / (signal.digital_max - signal.digital_min)
        atol = 40.01 * step if options is LOSSY else 1e-12
        np.testing.assert_allclose(x, signal.data, rtol=0, atol=atol)
        assert (fs, unit) == (signal.sampling_frequency, "mV")
    notes = recording.annotations["edf"]
    assert notes.text == ("begin", "Anfall µ")
    assert (notes.onset.tolist(), notes.duration.tolist()) == ([1.5, 9.25], [0.0, 2.0])
    assert notes.position.tolist() == [375, 2312]
    assert (recording.events is None) == (options is None)


def test_edf_without_annotations_has_none(tmp_path):
    write_edf(tmp_path / "a.edf", annotations=False)
    assert san.read(tmp_path / "a.edf").annotations == {}
    write_edf(tmp_path / "b.edf")
    assert san.read(tmp_path / "b.edf", annotations=False).annotations == {}


@pytest.mark.parametrize(
    ("recording_id", "date", "expected"),
    [
        ("Startdate 24-DEC-2019 X X X", "24.12.19", datetime.datetime(2019, 12, 24, 22, 1, 3)),
        ("night 3", "24.12.89", datetime.datetime(1989, 12, 24, 22, 1, 3)),
        ("Startdate X X X X", "01.01.85", datetime.time(22, 1, 3)),
        ("", "33.13.20", None),
        ("", "yy.mm.dd", None),
    ],
)
def test_the_start_of_edf(recording_id, date, expected):
    header = b"0".ljust(88) + recording_id.encode().ljust(80) + date.encode() + b"22.01.03"
    assert start_of({"edf/header": header}) == expected


@pytest.mark.parametrize(
    ("date", "began", "expected"),
    [
        ("24.12.19", b"+0.25", datetime.datetime(2019, 12, 24, 22, 1, 3, 250000)),
        ("24.12.19", b"+7200", datetime.datetime(2019, 12, 25, 0, 1, 3)),
        ("24.12.19", b"-3.5", datetime.datetime(2019, 12, 24, 22, 0, 59, 500000)),
        ("24.12.19", b"+999999999999999", None),
        ("24.12.19", b"noon", datetime.datetime(2019, 12, 24, 22, 1, 3)),
        ("01.01.85", b"+0.25", datetime.time(22, 1, 3, 250000)),
        ("01.01.85", b"+7200", datetime.time(0, 1, 3)),
    ],
    ids=["a quarter", "next day", "before", "no calendar", "no time", "no date", "midnight"],
)
def test_the_start_of_edf_is_that_of_its_first_record(date, began, expected):
    header = b"0".ljust(88) + b"Startdate X X X X".ljust(80) + date.encode() + b"22.01.03"
    notes = began + b"\x14\x14\0" + bytes(20)
    assert start_of({"edf/header": header, "edf/annotations": notes}) == expected


@pytest.mark.parametrize("as_stream", [False, True], ids=["file", "stream"])
def test_a_start_between_two_seconds_is_that_of_edfio(as_stream, tmp_path):
    start = datetime.time(10, 11, 12, 250000)
    signal = edfio.EdfSignal(np.arange(1000) % 90, 100, label="a", physical_range=(-100, 100))
    notes = [edfio.EdfAnnotation(3.5, None, "a noise")]
    path = tmp_path / "a.edf"
    edfio.Edf([signal], starttime=start, annotations=notes).write(path)
    assert edfio.read_edf(path).starttime == start
    found = san.read(stream_of(path, tmp_path / "a.san", **LOSSLESS) if as_stream else path)
    assert (
        found.start.time() if isinstance(found.start, datetime.datetime) else found.start
    ) == start
    assert found.annotations["edf"].onset.tolist() == [3.5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("14:50:55 05/05/2020", datetime.datetime(2020, 5, 5, 14, 50, 55)),
        ("05-May-2020 14:50:55", datetime.datetime(2020, 5, 5, 14, 50, 55)),
        ("23:59:59.25", datetime.time(23, 59, 59, 250000)),
        ("10:30", datetime.time(0, 10, 30)),
        ("25:00:00 01/01/2020", None),
        ("10:00:00 01/Abc/2020", None),
        ("noon", None),
    ],
)
def test_the_start_of_a_record(text, expected):
    header = f"r 1 250 9 {text}\nr.dat 16\n".encode()
    assert start_of({"wfdb/header": header}) == expected


def test_numpy_files(tmp_path):
    x = np.arange(12, dtype=np.int16)
    np.save(tmp_path / "a.npy", x)
    recording = san.read(tmp_path / "a.npy", fs=50, raw=True)
    assert recording.x.shape == (12, 1) and recording.x.dtype == np.float64
    assert (recording.fs, recording.names, recording.units) == (50, ("channel_0",), ("",))
    assert recording.raw.dtype == np.int16 and recording.raw[:, 0].tolist() == x.tolist()
    assert san.read(tmp_path / "a.npy").fs is None
    np.save(tmp_path / "big.npy", np.array([2**40, 1]))
    assert san.read(tmp_path / "big.npy").x[:, 0].tolist() == [2.0**40, 1.0]
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"b\.npy has shape \(2, 3, 4\) .* \(n,\) or \(n, chann"):
        san.read(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.zeros(3, complex))
    with pytest.raises(ValueError, match=r"c\.npy has shape \(3,\) and dtype complex128"):
        san.read(tmp_path / "c.npy")


@pytest.mark.parametrize("options", [None, LOSSLESS], ids=["file", "stream"])
def test_tables(options, tmp_path):
    t = np.arange(200) / 250
    rows = "".join(f"{a:g},{b:g},{-b:g}\n" for a, b in zip(t, np.sin(t).round(3), strict=True))
    (tmp_path / "a.csv").write_text(f"time,left,right\n{rows}")
    path = tmp_path / "a.csv"
    recording = san.read(stream_of(path, tmp_path / "a", **options) if options else path)
    assert (recording.fs, recording.names, recording.units) == (250, ("left", "right"), ("", ""))
    np.testing.assert_array_equal(recording.x[:, 0], np.sin(t).round(3))


@pytest.mark.parametrize("options", [None, LOSSLESS], ids=["file", "stream"])
def test_a_table_with_a_row_of_units_and_decimal_commas(options, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time;a;b\ns;mV;uV\n0,0;1,5;2\n0,004;1,25;-\n0,008;1;3\n")
    recording = san.read(stream_of(path, tmp_path / "a.san", **options) if options else path)
    assert (recording.fs, recording.names, recording.units) == (250, ("a", "b"), ("mV", "uV"))
    np.testing.assert_array_equal(recording.x, [[1.5, 2], [1.25, np.nan], [1, 3]])


def test_what_is_said_of_a_table_counts(tmp_path):
    (tmp_path / "a.csv").write_text("time,a\n0,1\n1,x\n2,3\n")
    options = TableOptions(missing=("x",), time_column="none")
    recording = san.read(tmp_path / "a.csv", fs=10, table=options)
    assert (recording.fs, recording.names) == (10, ("time", "a"))
    np.testing.assert_array_equal(recording.x, [[0, 1], [1, np.nan], [2, 3]])


def test_a_stream_of_an_array_has_events_and_physical_units(tmp_path):
    beats = np.zeros(9000)
    beats[150:-300:300] = 100.0
    x = np.rint(np.convolve(beats, np.hanning(40), "same")).astype(np.int16)
    blob = san.compress(x, fs=360, prdn=5, units=("20(10)/mV",), names=("II",))
    (tmp_path / "any name").write_bytes(blob)
    recording = san.read(tmp_path / "any name", raw=True)
    assert recording.units == ("mV",) and recording.names == ("II",)
    np.testing.assert_array_equal(recording.x, (recording.raw - 10) / 20)
    assert np.array_equal(recording.events.position, san.Decoder(blob).events().position)
    assert len(recording.events.kernel) == 29


def test_a_stream_without_a_rate_takes_one(tmp_path):
    (tmp_path / "a.san").write_bytes(san.compress(np.arange(50, dtype=np.int16), lossless=True))
    assert san.read(tmp_path / "a.san").fs is None
    assert san.read(tmp_path / "a.san", fs=20).fs == 20


@pytest.mark.parametrize("name", ["a.san", "a.npy", "a.edf", "a.csv", "a"])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / name))):
        san.read(tmp_path / name)


def test_a_file_that_is_no_stream_is_refused(tmp_path):
    (tmp_path / "a.san").write_bytes(b"time,a\n0,1\n")
    with pytest.raises(san.CodecError):
        san.read(tmp_path / "a.san")


def test_annotations_that_cannot_be_read_are_named(tmp_path):
    write_record(tmp_path)
    (tmp_path / "r1.qrs").write_bytes(b"\xff\xff\xff\xff\xff")
    with pytest.warns(UserWarning, match=r"the annotations \.qrs of .*r1 are left out"):
        recording = san.read(tmp_path / "r1")
    assert [*recording.annotations] == ["atr"]


def test_damaged_annotations_of_edf_are_named(tmp_path):
    write_edf(tmp_path / "a.edf", rates=(250,))
    data = (tmp_path / "a.edf").read_bytes()
    (tmp_path / "a.edf").write_bytes(data.replace(b"Anfall", b"\xff\xfefall"))
    with pytest.warns(UserWarning, match=r"annotations of .*a\.edf are left out: they are not"):
        assert san.read(tmp_path / "a.edf").annotations == {}


def discontinuous(path, **times):
    """An EDF+ file of several rates whose records 5 and later begin at other times."""
    write_edf(path)
    array = edf.read_edf(path)
    layout, notes = edf.layout_of(array.attachments[edf.HEADER]), b""
    data = array.attachments[edf.ANNOTATIONS]
    size = len(data) // layout.records
    for begin in range(0, len(data), size):
        record = data[begin : begin + size].rstrip(b"\0")
        old = record[1 : record.index(b"\x14")]
        notes += (b"+" + times.get(f"s{old.decode()}", old) + record[len(old) + 1 :]).ljust(
            size, b"\0"
        )
    header = array.attachments[edf.HEADER].replace(b"EDF+C", b"EDF+D")
    attached = {edf.HEADER: header, edf.ANNOTATIONS: notes}
    edf.write_edf(path, dataclasses.replace(array, attachments=attached))


@pytest.mark.parametrize("as_stream", [False, True], ids=["file", "stream"])
def test_gaps_of_discontinuous_edf_are_nan(as_stream, tmp_path):
    write_edf(tmp_path / "whole.edf")
    whole = san.read(tmp_path / "whole.edf")
    seconds = round(len(whole.x) / whole.fs)
    later = {f"s{second}": b"%d" % (second + 3) for second in range(seconds - 1, 4, -1)}
    discontinuous(tmp_path / "a.edf", **later)
    name = "a.edf"
    if as_stream:
        name = "a.san"
        blob = streams.encode_file(tmp_path / "a.edf", lossless=True)
        (tmp_path / name).write_bytes(blob)
    found = san.read(tmp_path / name, raw=True)
    for part, before in zip((found, *found.others), (whole, *whole.others), strict=True):
        gap = slice(round(5 * part.fs), round(8 * part.fs))
        assert len(part.x) == len(before.x) + 3 * part.fs
        assert np.isnan(part.x[gap]).all() and np.isnan(part.raw[gap]).all()
        assert np.array_equal(np.delete(part.x, np.r_[gap], axis=0), before.x)
    onset = found.annotations["edf"].onset
    assert np.array_equal(found.annotations["edf"].position, np.rint(onset * found.fs))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"9999999999", r"with them it would have 5e\+12 values"),
        (b"1", "its records overlap"),
        (b"x", "its records do not all say when they began"),
    ],
    ids=["far", "overlap", "no time"],
)
def test_discontinuous_edf_without_gaps_that_can_be_shown_is_said(record, words, tmp_path):
    discontinuous(tmp_path / "a.edf", s4=record)
    with pytest.warns(UserWarning, match=f"is discontinuous.*because {words}"):
        found = san.read(tmp_path / "a.edf", annotations=False)
    assert np.isfinite(found.x).all()


@given(
    st.integers(-32768, 32767),
    st.floats(1e-3, 1e6, allow_subnormal=False),
    st.integers(-32768, 32767),
)
def test_a_converter_is_read_as_it_is_written(k, gain, baseline):
    found = converter_of(f"{gain!r}({baseline})/a b/c")
    assert found == (gain, baseline, "a b/c")
    assert (k - found[1]) / found[0] == (k - baseline) / gain


@pytest.mark.parametrize("text", ["mV", "0(1)/mV", "1.2.3(4)/mV", "inf(1)/mV", "200/mV", ""])
def test_other_units_stay_as_they_are(text):
    assert converter_of(text) == (1.0, 0.0, text)


def recording_of(names=("I", "II"), units=("mV", "mmHg"), fs=250.0, **more):
    return Recording(np.arange(1000.0).reshape(-1, 2), fs, units, names, **more)


def test_a_data_frame():
    table = recording_of(start=datetime.time(3, 0)).to_dataframe()
    assert [*table.columns] == ["I", "II"] and table.index.name == "seconds"
    assert table["II"].iloc[2] == 5.0 and table.index[2] == 2 / 250
    assert table.attrs == {"fs": 250.0, "units": ("mV", "mmHg"), "start": datetime.time(3, 0)}
    numbered = recording_of(fs=None).to_dataframe()
    assert numbered.index.name == "sample" and numbered.index[2] == 2


def test_a_labelled_array():
    xarray = pytest.importorskip("xarray")
    array = recording_of(start=datetime.datetime(2020, 1, 2)).to_xarray()
    assert isinstance(array, xarray.DataArray) and array.dims == ("time", "channel")
    assert array.sel(channel="II").values[:2].tolist() == [1.0, 3.0]
    assert array.units.sel(channel="II") == "mmHg" and array.time[1] == 1 / 250
    assert array.attrs == {"fs": 250.0, "start": "2020-01-02T00:00:00"}
    assert recording_of(fs=None).to_xarray().attrs == {}


def test_mne(tmp_path):
    pytest.importorskip("mne")
    write_record(tmp_path)
    recording = san.read(tmp_path / "r1")
    raw = recording.to_mne()
    np.testing.assert_allclose(raw.get_data(), (recording.x * [1e-3, 1e-6]).T)
    assert raw.info["sfreq"] == 360 and raw.ch_names == ["MLII", "V 5"]
    assert raw.get_channel_types() == ["eeg", "eeg"]
    assert raw.annotations.description.tolist() == ["N", "V", "N"]
    onset = recording.annotations["atr"].onset
    np.testing.assert_allclose(raw.annotations.onset, onset, atol=1e-6)  # mne counts microseconds
    begun = recording_of(("I", "I"), start=datetime.datetime(2020, 1, 2)).to_mne()
    assert begun.ch_names == ["I", "I-1"] and begun.get_channel_types() == ["eeg", "misc"]
    assert begun.info["meas_date"].isoformat() == "2020-01-02T00:00:00+00:00"
    assert recording_of().to_mne("ecg").get_channel_types() == ["ecg", "ecg"]
    with pytest.raises(ValueError, match="mne needs a sampling rate, and none is known"):
        recording_of(fs=None).to_mne()


@pytest.mark.parametrize(
    ("method", "package"), [("dataframe", "pandas"), ("xarray", "xarray"), ("mne", "mne")]
)
def test_a_missing_package_is_one_line(method, package, monkeypatch):
    monkeypatch.setattr("san.packages.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"this needs {package}, which is not installed: pip"):
        getattr(recording_of(), f"to_{method}")()


def test_each_channel_of_several_rates_is_explored(tmp_path):
    write_edf(tmp_path / "a.edf", rates=(100, 250, 50))
    for path in (
        tmp_path / "a.edf",
        stream_of(tmp_path / "a.edf", tmp_path / "a.san", **LOSSLESS),
    ):
        parts = [excerpt(path, channel=c, seconds=2.0) for c in range(3)]
        assert [part.channel for part in parts] == ["ECG 1", "ECG 0", "ECG 2"]
        assert [len(part.x) for part in parts] == [500, 200, 100]
        assert [part.fs for part in parts] == [250, 100, 50]
        assert {part.units for part in parts} == {"mV"}
        with pytest.raises(
            ValueError, match=r"0 to 2, got 3: 0 ECG 1 \(250 Hz\), 1 ECG 0 \(100 Hz\), 2 ECG 2"
        ):
            excerpt(path, channel=3)


def test_each_channel_of_several_rates_is_reported(tmp_path):
    write_edf(tmp_path / "a.edf", rates=(100, 250, 50))
    stream = stream_of(tmp_path / "a.edf", tmp_path / "a.san", **LOSSY)
    rates = []
    for channel in (None, 0, 1, 2):
        page = describe_stream(stream, tmp_path / "a.edf", channel, curve=False)
        (view,) = page["views"]
        rates.append((view["label"], view["fs"]))
        assert any(title == "Other rates" for title, _ in page["words"])
    assert rates == [("ECG 1", 250), ("ECG 1", 250), ("ECG 0", 100), ("ECG 2", 50)]
    words = dict(describe_stream(stream, curve=False)["words"])
    assert "--channel: 1 ECG 0 (100 Hz), 2 ECG 2 (50 Hz)." in words["Other rates"]
    with pytest.raises(ValueError, match="channel must be from 0 to 2, got 3"):
        describe_stream(stream, channel=3)
