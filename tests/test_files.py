"""Files through streams and back: WFDB, EDF, BDF and tables, as their own libraries read them."""

import datetime
import shutil
import subprocess
import sys
from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb

from san import datasets
from san.codec.decoder import Decoder, decompress
from san.codec.encoder import compress
from san.files import arrays, streams
from san.signals import groups_of

SECONDS = 20


def beats(n=360 * SECONDS):
    """The bundled recording as its converter's integers."""
    recording = datasets.load_recording()
    return np.rint(recording.x[:n, 0] * 200 + 1024).astype(np.int64)


def write_record(folder, name="r1", fmt="16", files=1, spf=(1, 1), invalid=(), **fields):
    """A record of two signals with annotations, written by wfdb."""
    x = beats()
    n = len(x) // max(spf)
    low = {"212": -2048, "16": -32768, "80": -128, "24": -(2**23), "32": -(2**31)}[fmt]
    signals = []
    for c, each in enumerate(spf):
        signal = (x[: n * each] - 1024) // (16 if fmt == "80" else 1) * (1 - 2 * c)
        signal[list(invalid)] = low
        signals.append(signal)
    record = wfdb.Record(
        record_name=name,
        n_sig=2,
        fs=360,
        sig_len=n,
        samps_per_frame=list(spf),
        file_name=[f"{name}.dat", f"{name}.dat" if files == 1 else f"{name}_2.dat"],
        fmt=[fmt, fmt],
        adc_gain=[200.0, 180.5],
        baseline=[0, 12],
        units=["mV", "uV"],
        adc_res=[12, 11],
        adc_zero=[0, 3],
        init_value=[int(s[0]) for s in signals],
        checksum=[int(s.sum()) % 65536 for s in signals],
        block_size=[0, 0],
        sig_name=["MLII", "V 5"],
        e_d_signal=signals,
        **fields,
    )
    record.wrsamp(expanded=True, write_dir=str(folder))
    wfdb.wrann(name, "atr", np.array([5, 300, 700]), ["N", "V", "N"], write_dir=str(folder))
    return record


RECORDS = {
    "16": {},
    "212": {"fmt": "212"},
    "80": {"fmt": "80"},
    "24": {"fmt": "24"},
    "32": {"fmt": "32"},
    "two files": {"files": 2},
    "two rates": {"spf": (1, 4)},
    "four samples a frame": {"spf": (4, 4)},
    "invalid samples": {"fmt": "212", "invalid": (7, 8, 9, 4000)},
    "time and comments": {
        "base_time": datetime.time(13, 5, 9, 250000),
        "comments": ["47 M", "Digoxin, µ"],
    },
}


def same_fields(a, b, besides=()):
    """Assert that two records of wfdb have the same header values and samples."""
    for name, value in vars(a).items():
        if name != "e_d_signal" and name not in besides:
            assert value == vars(b)[name], name
    for mine, theirs in zip(a.e_d_signal, b.e_d_signal, strict=True):
        assert np.array_equal(mine, theirs)


def read(record):
    return wfdb.rdrecord(str(record), physical=False, smooth_frames=False)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_comes_back_to_the_last_byte(kind, san, tmp_path):
    write_record(tmp_path, **RECORDS[kind])
    Path("back").mkdir()
    assert san("compress", "r1", "r1.san", "--lossless")[0] == 0
    assert san("verify", "r1", "r1.san")[::2] == (0, "")
    assert san("decompress", "r1.san", "back/r1")[0] == 0
    same_fields(read("r1"), read("back/r1"))
    files = sorted(p.name for p in Path().glob("r1*") if p.suffix != ".san")
    assert [p.name for p in sorted(Path("back").iterdir())] == files and len(files) >= 3
    for name in files:
        assert Path("back", name).read_bytes() == Path(name).read_bytes(), name


def test_a_record_of_another_name_has_the_same_values(san, tmp_path):
    write_record(tmp_path, files=2)
    san("compress", "r1", "r1.san", "--lossless")
    assert san("decompress", "r1.san", "other.hea")[0] == 0
    same_fields(read("r1"), read("other"), {"record_name", "file_name"})
    for name in ("r1", "other"):
        notes = wfdb.rdann(name, "atr")
        assert notes.sample.tolist() == [5, 300, 700] and notes.symbol == ["N", "V", "N"]
    assert read("other").file_name == ["other.dat", "other_2.dat"]


@pytest.mark.parametrize("kind", ["16", "212", "two rates", "invalid samples"])
def test_within_an_error_a_record_has_right_checksums_and_its_gaps(kind, san, tmp_path):
    write_record(tmp_path, **RECORDS[kind])
    assert san("compress", "r1", "r1.san", "--max-error", 5)[0] == 0
    assert san("verify", "r1", "r1.san")[::2] == (0, "")
    Path("back").mkdir()
    assert san("decompress", "r1.san", "back/r1")[0] == 0
    before, after = read("r1"), read("back/r1")
    same = {*vars(before)} - {"e_d_signal", "checksum", "init_value"}
    assert all(vars(before)[name] == vars(after)[name] for name in same)
    assert after.calc_checksum(expanded=True) == [c % 65536 for c in after.checksum]
    for x, y in zip(before.e_d_signal, after.e_d_signal, strict=True):
        low = -2048 if before.fmt[0] == "212" else -32768
        assert np.array_equal(x == low, y == low)
        assert 0 < np.abs(x - y).max() <= 5
    gaps = np.isnan(wfdb.rdrecord("back/r1").p_signal).sum()
    assert gaps == 2 * len(RECORDS[kind].get("invalid", ()))


def test_annotations_can_be_left_out(san, tmp_path):
    write_record(tmp_path)
    Path("r1.txt").write_text("a file that is none")
    san("compress", "r1", "with.san", "--lossless")
    san("compress", "r1", "without.san", "--lossless", "--no-annotations")
    assert san("compress", "r1", "with.san", "--lossless", "--force")[::2] == (
        0,
        "san: r1.txt is left out: a .txt file holds no annotations\n",
    )
    attached = [Decoder(Path(n).read_bytes()).info.attachments for n in ("with.san", "without.san")]
    assert [*attached[0]] == ["wfdb/header", "wfdb/annotations/atr"]
    assert [*attached[1]] == ["wfdb/header"]
    assert san("verify", "r1", "without.san")[0] == 0


def test_annotations_that_wfdb_cannot_read_come_back_too(san, tmp_path):
    write_record(tmp_path)
    unknown = bytes([0, 59 << 2, 1, 0, 0, 0])  # a distance of four bytes, cut
    Path("r1.new").write_bytes(unknown)
    with pytest.raises(IndexError):
        wfdb.rdann("r1", "new")
    assert san("compress", "r1", "r1.san", "--lossless")[::2] == (0, "")
    Path("back").mkdir()
    assert san("decompress", "r1.san", "back/r1")[0] == 0
    assert Path("back/r1.new").read_bytes() == unknown


NO_ANNOTATIONS = {
    "r1.one": (b"1", "annotations have 2 to 16777216 bytes, it has 1"),
    "r1.a~": (b"abcd", "the ending of annotations is 1 to 40 letters, digits, - and _"),
    "r1.pdf": (b"abcd", "a .pdf file holds no annotations"),
}


@pytest.mark.parametrize("name", NO_ANNOTATIONS)
def test_a_file_that_is_left_out_is_named(name, san, tmp_path):
    write_record(tmp_path)
    content, words = NO_ANNOTATIONS[name]
    Path(name).write_bytes(content)
    code, _, err = san("compress", "r1", "r1.san", "--lossless")
    assert code == 0 and err.startswith(f"san: {name} is left out: {words}")
    assert [*Decoder(Path("r1.san").read_bytes()).info.attachments] == [
        "wfdb/header",
        "wfdb/annotations/atr",
    ]


def test_streams_and_other_records_are_no_annotations(san, tmp_path):
    write_record(tmp_path)
    for name in ("r1.npy", "r1.san", "r1.csv", "r10.atr", "r1.old.atr"):
        Path(name).write_bytes(bytes(8))
    assert san("compress", "r1", "r1.san", "--lossless", "--force")[::2] == (0, "")
    assert len(Decoder(Path("r1.san").read_bytes()).info.attachments) == 2


def test_records_of_the_world_come_back(recordings, san, tmp_path):
    records = ["mitdb/208", "challenge2015/a103l", "cinc2021-georgia/E07500", "emgdb/emg_healthy"]
    for path in [recordings / name for name in records]:
        assert san("compress", path, f"{path.name}.san", "--lossless")[0] == 0
        assert san("decompress", f"{path.name}.san", path.name)[0] == 0
        for file in path.parent.glob(f"{path.name}.*"):
            if file.suffix in (".hea", ".dat", ".mat", ".atr"):
                assert Path(file.name).read_bytes() == file.read_bytes(), file.name


def write_edf(path, rates=(250, 250), annotations=True, bdf=False):
    """A file of real beats, written by edfio."""
    x = beats(250 * SECONDS)
    kind = edfio.BdfSignal if bdf else edfio.EdfSignal
    signals = [
        kind(
            (x[: rate * SECONDS] - 1024) / (200 + c),
            rate,
            label=f"ECG {c}",
            physical_dimension="mV",
            physical_range=(-10, 10),
        )
        for c, rate in enumerate(rates)
    ]
    notes = [edfio.EdfAnnotation(1.5, None, "begin"), edfio.EdfAnnotation(9.25, 2, "Anfall µ")]
    whole = edfio.Bdf if bdf else edfio.Edf
    whole(signals, annotations=notes if annotations else None).write(path)


EDF = {
    "edf": {},
    "two rates": {"rates": (100, 250, 100)},
    "without annotations": {"annotations": False},
    "bdf": {"bdf": True},
}


@pytest.mark.parametrize("kind", EDF)
def test_edf_comes_back_to_the_last_byte(kind, san, tmp_path):
    name = "a.bdf" if kind == "bdf" else "a.edf"
    write_edf(tmp_path / name, **EDF[kind])
    assert san("compress", name, "a.san", "--lossless")[0] == 0
    assert san("verify", name, "a.san")[::2] == (0, "")
    assert san("decompress", "a.san", f"back{name[1:]}")[0] == 0
    assert Path(f"back{name[1:]}").read_bytes() == Path(name).read_bytes()


@pytest.mark.parametrize("kind", EDF)
def test_edf_within_an_error_is_read_by_edfio(kind, san, tmp_path):
    name = "a.bdf" if kind == "bdf" else "a.edf"
    write_edf(tmp_path / name, **EDF[kind])
    bound = 40 * (256 if kind == "bdf" else 1)
    assert san("compress", name, "a.san", "--max-error", bound)[0] == 0
    assert san("verify", name, "a.san")[::2] == (0, "")
    assert san("decompress", "a.san", f"back{name[1:]}")[0] == 0
    read = edfio.read_bdf if kind == "bdf" else edfio.read_edf
    before, after = read(name), read(f"back{name[1:]}")
    assert before.labels == after.labels and before.annotations == after.annotations
    for mine, theirs in zip(before.signals, after.signals, strict=True):
        assert 0 < np.abs(mine.digital.astype(int) - theirs.digital).max() <= bound
        assert mine.sampling_frequency == theirs.sampling_frequency


def test_units_of_edf_make_integers_physical(tmp_path):
    write_edf(tmp_path / "a.edf", rates=(250,))
    array = arrays.read(tmp_path / "a.edf")
    gain, rest = array.units[0].split("(")
    baseline, unit = rest.split(")/")
    physical = arrays.read(tmp_path / "a.edf", physical=True)
    assert (unit, physical.units, array.names, array.fs) == ("mV", ("mV",), ("ECG 0",), 250.0)
    assert np.allclose((array.x - float(baseline)) / float(gain), physical.x, atol=1e-6)


def test_edf_of_the_world_comes_back(recordings, tmp_path):
    for name in ("eegmmidb/S001R01.edf", "wrist/s3_run.edf"):
        array = arrays.read(recordings / name)
        arrays.write(tmp_path / "back.edf", array, True)
        assert (tmp_path / "back.edf").read_bytes() == (recordings / name).read_bytes()


@pytest.mark.parametrize("cut", [100, 300, 900, -1])
def test_a_damaged_edf_is_one_clear_line(cut, tmp_path):
    write_edf(tmp_path / "a.edf")
    path = tmp_path / "cut.edf"
    path.write_bytes((tmp_path / "a.edf").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"cut\.edf|it was cut"):
        arrays.read(path)


def test_a_table_comes_back(san, tmp_path):
    rows = ["Time (s),ECG [mV],PPG"] + [f"{i / 250:g},{i % 7 / 8},{-i}" for i in range(500)]
    Path("a.csv").write_text("\n".join(rows) + "\n")
    assert san("compress", "a.csv", "a.san", "--lossless")[0] == 0
    assert san("decompress", "a.san", "back.csv")[0] == 0
    assert np.array_equal(
        np.loadtxt("a.csv", delimiter=",", skiprows=1),
        np.loadtxt("back.csv", delimiter=",", skiprows=1),
    )
    assert Path("back.csv").read_bytes() == Path("a.csv").read_bytes()
    assert decompress(Path("a.san").read_bytes()).shape == (500, 2)


def test_what_was_no_record_does_not_become_one(san, tmp_path):
    np.save("x.npy", np.arange(100, dtype=np.int16))
    san("compress", "x.npy", "x.san", "--lossless")
    assert "did not come from a WFDB record" in san("decompress", "x.san", "record")[2]
    assert "the ending of what was compressed" in san("decompress", "x.san", "x.edf")[2]


def pipe(arguments, data):
    command = [sys.executable, "-m", "san", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("kind", ["npy", "csv", "edf"])
def test_standard_input_and_output(kind, san, tmp_path):
    x = (beats(2000) - 1024).astype(np.int16)
    if kind == "npy":
        np.save("x.npy", x)
    elif kind == "csv":
        np.savetxt("x.csv", x / 200, header="ECG", comments="")
    else:
        write_edf("x.edf", rates=(250,))
    data = Path(f"x.{kind}").read_bytes()
    code, stream, said = pipe(["compress", "-", "-", "--lossless", "--fs", "250"], data)
    lines = said.splitlines()
    if kind == "csv":
        assert lines.pop(0).startswith("san: standard input: 2000 rows, 1 channel")
    assert code == 0 and lines[0].startswith("-: ") and "bits per sample" in lines[0]
    expected = arrays.read(Path(f"x.{kind}"))
    assert np.array_equal(decompress(stream), expected.x)
    code, back, said = pipe(["decompress", "-", "-"], stream)
    assert code == 0 and "samples" in said
    Path("back.npy").write_bytes(back)
    assert np.array_equal(np.load("back.npy"), expected.x)
    code, out, _ = pipe(["inspect", "-", "--json"], stream)
    assert code == 0 and b'"fs": 250' in out


HOSTILE = {
    "no text": b"\xff\xfe\x00",
    "empty": b"",
    "another folder": b"../../evil 2 360 7200\n",
    "several segments": b"r1/3 2 360 7200\na 10\nb 10\nc 10\n",
    "a file elsewhere": b"r1 2 360 7200\n../../evil.dat 16 200\n/etc/evil.dat 16 200\n",
    "signals of other numbers": b"r1 1 360 7200\nr1.dat 16 200\n",
    "no number": b"r1 2 360 7200\nr1.dat 16x0 200\nr1.dat 16xq 200\n",
    "unknown format": b"r1 2 360 7200\nr1.dat 99 200\nr1.dat 99 200\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_writes_nothing_elsewhere(name, tmp_path):
    x = np.stack([beats(), -beats()], 1).astype(np.int16)
    stream = compress(x, 360, lossless=True, attachments={"wfdb/header": HOSTILE[name]})
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    try:
        streams.write_file(Decoder(stream), inner / "r1")
    except ValueError as error:
        assert "WFDB header" in str(error)
    assert {p for p in tmp_path.rglob("*") if p.is_file()} <= {
        inner / f for f in ("r1.hea", "r1.dat", "r1_0.dat", "r1_1.dat")
    }
    assert not list(inner.glob(".*"))


def test_a_hostile_edf_header_is_refused(tmp_path):
    write_edf(tmp_path / "a.edf", rates=(250,))
    array = arrays.read(tmp_path / "a.edf")
    header = array.attachments["edf/header"]
    for at, text in ((252, b"9999"), (252, b"-1  "), (252, b"x   "), (236, b"12      ")):
        bad = header[:at] + text + header[at + len(text) :]
        stream = compress(array.x, 250, lossless=True, attachments={"edf/header": bad})
        with pytest.raises(ValueError):
            streams.write_file(Decoder(stream), tmp_path / "back.edf")
    assert not (tmp_path / "back.edf").exists()


def test_the_group_with_the_most_samples_comes_first():
    assert groups_of([250, 250, 1]) == [[0, 1], [2]]
    assert groups_of([1, 500, 1]) == [[1], [0, 2]]
    assert groups_of([]) == []


def test_a_full_record_is_left_alone(san, tmp_path):
    write_record(tmp_path)
    san("compress", "r1", "r1.san", "--lossless")
    shutil.copy("r1.hea", "r2.hea")
    code, _, error = san("decompress", "r1.san", "r2")
    assert code == 2 and "r2.hea is there" in error
    assert san("decompress", "r1.san", "r2", "--force")[0] == 0
