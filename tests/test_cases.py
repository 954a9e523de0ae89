"""Files that version 0.4.0 lost or refused now come back, or a sentence says why not."""

import json
import pathlib
import shutil
import warnings

import numpy as np
import pytest
import wfdb

import san


@pytest.fixture(scope="session")
def cases(recordings):
    """The folder of small inputs, each of which failed in version 0.4.0."""
    folder = recordings.parent / "cases" / "files"
    if not folder.is_dir():
        pytest.skip("the folder of cases is not beside the real recordings")
    return folder


@pytest.fixture
def brought(cases, command, tmp_path, request):
    """`command` in a copy of the case whose number the test's parameter names."""

    def bring(number):
        (folder,) = cases.glob(f"{number:02d}_*")
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
        return command

    return bring


def comes_back(command, source, target, *options):
    """Compress without loss and restore: what `san` says, and whether the files are the same."""
    code, out, err = command("compress", source, "x.san", "--lossless", "--force", *options)
    assert code == 0, err
    pathlib.Path("back").mkdir(exist_ok=True)
    code, _, said = command("decompress", "x.san", f"back/{target}")
    assert code == 0, said
    assert command("verify", source, "x.san")[0] == 0
    written = sorted(pathlib.Path("back").rglob("*.*"))
    same = all(f.read_bytes() == pathlib.Path(f.name).read_bytes() for f in written)
    return out, [f.name for f in written], same


@pytest.mark.parametrize(
    ("number", "record", "files"),
    [
        (1, "rec", ["rec.dat", "rec.hea"]),
        (1, "rec160", ["rec160.dat", "rec160.hea"]),
        (2, "rec", ["rec.dat", "rec.hea"]),
        (4, "rec", ["rec.hea", "rec_1.dat", "rec_1.hea", "rec_2.dat", "rec_2.hea"]),
        (5, "rec", ["rec.atr", "rec.hea", "rec_1.dat", "rec_1.hea", "rec_2.dat", "rec_2.hea"]),
        (8, "rec", ["rec.dat", "rec.hea"]),
        (10, "rec", ["rec.dat", "rec.hea"]),
        (14, "rec", ["rec.hea", "signals_2021.dat"]),
        (15, "len0", ["len0.hea", "rec.dat"]),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
def test_the_files_of_a_record_come_back(brought, number, record, files):
    said, written, same = comes_back(brought(number), record, record)
    assert "same files" in said
    assert written == files
    assert same


@pytest.mark.parametrize("name", ["rec", "rec.HEA"])
def test_a_record_in_capitals_comes_back(brought, name):
    command = brought(8)
    text = pathlib.Path("rec.hea").read_text().replace("rec.dat", "rec.DAT")
    pathlib.Path("rec.hea").unlink()
    pathlib.Path("rec.HEA").write_text(text)
    pathlib.Path("rec.dat").rename("rec.DAT")
    code, out, err = command("compress", name, "x.san", "--lossless")
    assert code == 0, err
    assert "same files" in out
    pathlib.Path("back").mkdir()
    assert command("decompress", "x.san", "back/rec")[0] == 0
    assert pathlib.Path("back/rec.hea").read_text() == text
    assert pathlib.Path("back/rec.DAT").read_bytes() == pathlib.Path("rec.DAT").read_bytes()


def test_a_record_in_flac_comes_back_readable(brought):
    said, _, same = comes_back(brought(36), "rec", "rec")
    assert ("same files" if same else "same samples, other bytes") in said
    old, new = (
        wfdb.rdrecord(name, physical=False, smooth_frames=False) for name in ("rec", "back/rec")
    )
    for before, after in zip(old.e_d_signal, new.e_d_signal, strict=True):
        assert np.array_equal(before, after)


def test_segments_of_other_gain_keep_their_own_units(brought):
    comes_back(brought(4), "rec", "rec")
    expected = wfdb.rdrecord("rec").p_signal
    assert np.allclose(san.read("x.san").x, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosig", "nosig.hea has no signal"),
        ("ann", "no signal"),
        ("layout", "layout of segments"),
    ],
)
def test_a_record_without_samples_is_refused_in_words(brought, name, words):
    code, _, err = brought(15)("compress", name, "x.san", "--lossless")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_a_gap_between_segments_is_a_gap(brought):
    said, _, same = comes_back(brought(15), "gap", "gap")
    assert "same files" in said
    assert same
    assert np.isnan(san.read("gap").x).any()


@pytest.mark.parametrize(
    ("number", "name", "options", "shape", "fs"),
    [
        (16, "T3.csv", (), (None, 3), None),
        (16, "temp.csv", (), (None, 2), None),
        (17, "ms.csv", (), None, 250.0),
        (17, "unix_ms.csv", (), None, 250.0),
        (17, "ms.csv", ("--fs", "500"), None, 500.0),
        (18, "bom.csv", (), (500, 2), 250.0),
        (18, "bom_noheader.csv", (), (500, None), None),
        (19, "one.csv", (), (500,), None),
        (19, "semi.csv", (), (500, 2), None),
        (20, "dash.csv", (), None, None),
        (20, "empty.csv", (), None, None),
        (20, "na.csv", (), None, None),
        (20, "quoted.csv", (), None, None),
        (20, "rdsamp.csv", (), None, None),
        (20, "units.csv", (), None, None),
        (22, "t.csv", (), (500,), 1024.0),
        (23, "falling.csv", (), (500, 2), None),
        (23, "gap.csv", ("--fs", "100"), None, 100.0),
        (23, "jitter.csv", (), (500, 2), None),
        (23, "seconds.csv", (), (500, 2), None),
        (25, "A.CSV", (), (500,), None),
        (25, "B.NPY", (), None, None),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_the_numbers_of_a_table_come_back(brought, number, name, options, shape, fs):
    said, _, same = comes_back(brought(number), name, name, *options)
    assert "same files" in said
    assert same
    info = san.inspect(pathlib.Path("x.san").read_bytes())
    if shape is not None:
        assert len(info.shape) == len(shape)
        assert all(want in (None, have) for want, have in zip(shape, info.shape, strict=True))
    if fs is not None:
        assert info.fs == fs


@pytest.mark.parametrize("name", ["dash.csv", "empty.csv", "na.csv"])
def test_what_a_table_lacks_is_no_number(brought, name):
    brought(20)
    assert np.isnan(san.read(name).x).any()


@pytest.mark.parametrize(
    ("number", "name"),
    [(21, "empty.csv"), (21, "names.csv"), (21, "zero.npy"), (28, None)],
    ids=["an empty table", "names alone", "an empty array file", "damaged EDF"],
)
def test_a_file_of_nothing_is_refused_in_a_sentence(brought, number, name):
    command = brought(number)
    for file in [name] if name else sorted(map(str, pathlib.Path().glob("*.edf"))):
        code, _, err = command("compress", file, "x.san", "--lossless")
        assert (code, err.count("\n"), err.startswith("san: ")) == (2, 1, True), (file, err)
        assert file in err
        assert not pathlib.Path("x.san").exists()


def test_an_edf_file_of_no_records_comes_back(brought):
    said, _, same = comes_back(brought(21), "zero.edf", "zero.edf")
    assert "same files" in said
    assert same


def test_an_archive_takes_endings_in_any_case(brought):
    command = brought(25)
    code, out, err = command("archive", ".", "../out25", "--lossless", "--no-events", "--json")
    assert code == 0, err
    assert json.loads(out)["records"] == 3


def test_an_archive_follows_links_and_names_what_it_leaves_out(brought):
    command = brought(33)
    link = pathlib.Path("in/linked")
    link.unlink()
    link.symlink_to(pathlib.Path("elsewhere").absolute())
    code, out, err = command("archive", "in", "out", "--lossless", "--no-events", "--json")
    assert code == 0, err
    assert json.loads(out)["records"] == 2
    assert "hypnogram.edf" in err
    assert "patients.csv" in err


@pytest.mark.parametrize(("offset", "fill"), [(0, 0), (1024, 0), (90000, 0), (1000, -32768)])
def test_the_last_chunk_of_a_zarr_array_keeps_its_prdn(offset, fill):
    zarr = pytest.importorskip("zarr")
    v = (200 * np.sin(np.arange(1000) / 9) + offset).astype("f4").round()
    serializer = {"name": "san", "configuration": {"prdn": 8, "events": False}}
    y = zarr.create_array(
        {}, data=v, chunks=(600,), fill_value=fill, serializer=serializer, compressors=None
    )[:]
    for part in (slice(0, 600), slice(600, None)):
        assert san.prdn(v[part].astype(float), y[part].astype(float)) <= 8


@pytest.mark.parametrize(
    "x",
    [[1, 2, 3] * 50, np.arange(500), np.arange(500, dtype="u4"), np.arange(500, dtype="f2")],
    ids=["a list", "int64", "uint32", "float16"],
)
def test_usual_types_of_numbers_are_taken(x):
    assert np.array_equal(san.decompress(san.compress(x, fs=250, lossless=True)), x)


def test_channels_before_samples_are_questioned():
    x = np.rint(200 * np.sin(np.arange(4000) / 9)).reshape(8, 500)
    with pytest.warns(UserWarning, match=r"x\.T"):
        san.compress(x, fs=250, lossless=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        san.compress(x.T, fs=250, lossless=True)


def test_no_valid_sample_becomes_a_gap(brought):
    command = brought(34)
    assert command("compress", "rec", "x.san", "--prdn", "8", "--no-events")[0] == 0
    pathlib.Path("o").mkdir()
    assert command("decompress", "x.san", "o/rec")[0] == 0
    assert not np.isnan(wfdb.rdrecord("rec").p_signal).any()
    assert not np.isnan(wfdb.rdrecord("o/rec").p_signal).any()


def test_every_rate_of_a_recording_can_be_explored(brought):
    code, _, err = brought(37)("explore", "m.edf", "-o", "e.html")
    assert code == 0, err
    assert pathlib.Path("e.html").stat().st_size > 10_000
