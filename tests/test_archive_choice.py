"""What an archive takes, follows, and leaves out, and that it says so."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import san
from san.archive import Options, archive, verify
from san.archives import workers
from san.archives.records import survey
from san.archives.walk import NOT_ASKED_FOR, SEEN, is_asked_for

BUNDLED = Path(__file__).parents[1] / "datasets/sample/mitdb_208"
OPTIONS = Options(lossless=True, events=False)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    def run(work, items, size, jobs, client=None):
        for item in items:
            yield item, work(item)

    monkeypatch.setattr(workers, "run", run)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "night").mkdir(parents=True)
    for path in (folder / "a.npy", folder / "night/b.npy"):
        np.save(path, np.arange(99, dtype=np.int16))
    return folder


def hypnogram():
    def field(value, width):
        return str(value).ljust(width).encode()

    head = field(0, 8) + field("X X X X", 80) + field("Startdate X X X X", 80)
    head += field("01.01.20", 8) + field("10.00.00", 8) + field(512, 8) + field("EDF+C", 44)
    head += field(1, 8) + field(0, 8) + field(1, 4) + field("EDF Annotations", 16) + field("", 80)
    head += field("", 8) + field(-1, 8) + field(1, 8) + field(-32768, 8) + field(32767, 8)
    head += field("", 80) + field(50, 8) + field("", 32)
    return head + b"+0\x14\x14\0+0\x1530\x14Sleep stage W\x14\0".ljust(100, b"\0")


def test_endings_in_any_case(data, tmp_path):
    os.rename(data / "a.npy", data / "A.NPY")
    (data / "B.CSV").write_text("1.5\n2.5\n")
    for ending in (".hea", ".dat"):
        shutil.copy(BUNDLED.with_suffix(ending), data / f"mitdb_208{ending}")
    os.rename(data / "mitdb_208.hea", data / "mitdb_208.HEA")
    out = tmp_path / "out"
    summary = archive(data, out, OPTIONS, jobs=1)
    assert summary.failures == {} and summary.passed_over == {}
    names = {p.relative_to(out).as_posix() for p in out.rglob("*.san")}
    assert names == {"A.NPY.san", "B.CSV.san", "mitdb_208.san", "night/b.npy.san"}


def test_linked_folders_are_followed_once(data, tmp_path):
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    np.save(tmp_path / "elsewhere/deep/c.npy", np.arange(50, dtype=np.int16))
    links = {"linked": "elsewhere", "twice": "elsewhere", "up": ".", "own": "data/night"}
    for name, target in links.items():
        os.symlink(tmp_path / target, data / name)
    os.symlink(tmp_path / "elsewhere", tmp_path / "elsewhere/deep/circle")
    summary = archive(data, tmp_path / "out", OPTIONS, jobs=1)
    assert summary.records == 3 and (tmp_path / "out/linked/deep/c.npy.san").is_file()
    seen = dict.fromkeys(("linked/deep/circle/", "own/", "twice/", "up/"), SEEN)
    assert summary.passed_over == seen
    assert verify(tmp_path / "out", jobs=1).compared == 3


def test_what_is_no_signal_is_left_out_and_no_failure(data, tmp_path, command):
    (data / "hypnogram.edf").write_bytes(hypnogram())
    (data / "patients.csv").write_text("id,sex\n1,F\n2,M\n")
    (data / "stages.csv").write_text("start;stage\n0;W\n30;N1\n")
    (data / "notes.txt").write_text("no record")
    (data / ".hidden.npy").write_text("")
    out = tmp_path / "out"
    for _ in range(2):  # a later run says it again
        code, stdout, err = command("archive", data, out, "--lossless", "--no-events")
        assert code == 0 and "2 records" in stdout
        for name in ("hypnogram.edf", "patients.csv", "stages.csv", "notes.txt", ".hidden.npy"):
            assert any(
                line.startswith("san: left out") and name in line for line in err.split("\n")
            )
    assert command("archive", "verify", out)[0] == 0
    (data / "patients.csv").write_text("1\n2\n")
    assert archive(data, out, OPTIONS, jobs=1).records == 3
    assert verify(out, jobs=1).problems == {}


def test_a_damaged_table_is_a_failure_still(data, tmp_path):
    (data / "bad.csv").write_text("1,2\n3,x\n4,5\n")
    rows = ("2020-01-01 10:00:00,2", "2020-01-01 10:00:01,x", "2020-01-01 10:00:02,5")
    (data / "dates.csv").write_text("\n".join(rows))
    failures = archive(data, tmp_path / "out", OPTIONS, jobs=1).failures
    assert failures.keys() == {"bad.csv", "dates.csv"}


def test_include_and_exclude(data, tmp_path, command):
    (data / "c.csv").write_text("1\n2\n")
    given = ("archive", data, tmp_path / "out", "--lossless", "--no-events", "--json")
    code, stdout, _ = command(*given, "--include", "*.npy", "--exclude", "night")
    found = json.loads(stdout)
    assert code == 0 and found["records"] == 1
    assert found["passed_over"] == dict.fromkeys(("c.csv", "night/b.npy"), NOT_ASKED_FOR)
    code, _, err = command(*given, "--include", "*.edf")
    assert code == 2 and "that --include and --exclude ask for" in err


@pytest.mark.parametrize(
    ("path", "include", "exclude", "asked"),
    [
        ("a/b/x.csv", [], [], True),
        ("a/b/x.csv", ["*.csv"], [], True),
        ("a/b/x.csv", ["x.*"], [], True),
        ("a/b/x.csv", ["a/b"], [], True),
        ("a/b/x.csv", ["b"], [], False),
        ("a/b/x.csv", ["*.npy"], [], False),
        ("a/b/x.csv", [], ["a/"], False),
        ("a/b/x.csv", ["*.csv"], ["a/*"], False),
    ],
)
def test_patterns(path, include, exclude, asked):
    assert is_asked_for(path, include, exclude) is asked


def test_streams_stand_beside_the_records_only_if_asked(data, command):
    given = ("archive", data, data, "--lossless", "--no-events")
    code, _, err = command(*given)
    assert code == 2 and "is the folder of the records" in err and "--beside" in err
    assert not list(data.rglob("*.san"))
    for _ in range(2):
        code, stdout, err = command(*given, "--beside")
        assert code == 0 and "2 records" in stdout and "left out" not in err
    assert san.decompress((data / "a.npy.san").read_bytes()).size == 99


def test_an_archive_below_the_records_is_not_looked_at(data):
    for _ in range(2):
        summary = archive(data, data / "streams", OPTIONS, jobs=1)
        assert summary.records == 2
    assert summary.passed_over == {"streams/": "the folder of the archive"}
    assert [record.path for record in survey(data, data / "streams")[0]] == ["a.npy", "night/b.npy"]


def test_what_comes_back_is_in_the_manifest_and_in_the_summary(data, tmp_path, command):
    (data / "same.csv").write_text("1.50\n2.25\n")
    (data / "other.csv").write_text("".join(f"{n}.50 \n{n}.250\n" for n in range(99)))
    given = ("archive", data, tmp_path / "out", "--lossless", "--no-events")
    code, stdout, err = command(*given)
    assert code == 0 and "come back as same files: 3\n" in stdout
    assert "come back as same samples, other bytes: 1\n" in stdout
    assert "san: other.csv: other.csv has its numbers or names in another spelling\n" in err
    rows = list(map(json.loads, (tmp_path / "out/manifest.jsonl").read_text().splitlines()))[1:]
    found = {row["source"]: row["comes_back_as"] for row in rows}
    assert found["same.csv"] == {"outcome": "same files", "differences": []}
    assert found["other.csv"]["outcome"] == "same samples, other bytes"
    said = json.loads(command(*given, "--json")[1])
    assert said["comes_back_as"] == {"same files": 3, "same samples, other bytes": 1}
    assert said["other_bytes"] == {"other.csv": found["other.csv"]["differences"]}
    assert verify(tmp_path / "out", jobs=1).problems == {}


def test_within_an_error_everything_but_the_samples_comes_back(data, tmp_path):
    for ending in (".hea", ".dat"):
        shutil.copy(BUNDLED.with_suffix(ending), data / f"mitdb_208{ending}")
    summary = archive(data, tmp_path / "out", Options(max_error=5, events=False), jobs=1)
    assert summary.comes_back_as == {"same files but for the samples": 3}


def test_exact_lets_a_record_fail_that_comes_back_with_other_bytes(data, tmp_path, command):
    (data / "other.csv").write_text("".join(f"{n}.50 \n{n}.250\n" for n in range(99)))
    given = ("archive", data, tmp_path / "out", "--lossless", "--no-events", "--exact")
    code, stdout, err = command(*given)
    assert code == 1 and "2 records" in stdout
    assert "other.csv would not come back as it is: same samples, other bytes: other.csv has" in err
    code, _, err = command(*given[:-1])
    assert code == 2 and "with other settings: exact True (now None)" in err
    code, _, err = command(*given[:3], "--prdn", 8, "--exact")
    assert code == 2 and "--exact needs --lossless: with PRDN of at most 8 %" in err
    with pytest.raises(ValueError, match="exact=True needs lossless=True"):
        archive(data, tmp_path / "new", Options(max_error=2, exact=True))


def test_verify_names_what_comes_back_otherwise_than_the_manifest_says(data, tmp_path):
    (data / "one.csv").write_text("1.5\n 2.50\n1.5\n" * 99)
    archive(data, tmp_path / "out", OPTIONS, jobs=1)
    file = tmp_path / "out/manifest.jsonl"
    text = file.read_text()
    assert '"same samples, other bytes", "differences": ["one.csv has' in text
    file.write_text(text.replace("same samples, other bytes", "same files"))
    found = verify(tmp_path / "out", jobs=1).problems
    assert found.keys() == {"one.csv.san"}
    assert "it comes back as same samples, other bytes: one.csv has" in found["one.csv.san"]
    assert "and the manifest says same files" in found["one.csv.san"]


def test_options_of_tables_and_notes(data, tmp_path, command):
    (data / "t.csv").write_text("Zeit;EKG\n0;1,5\n4;x\n8;2,5\n")
    given = ("archive", data, tmp_path / "out", "--lossless", "--no-events", "--include", "*.csv")
    options = ("--missing", "x", "--time-column", "Zeit", "--time-unit", "ms")
    code, _, err = command(*given, *options)
    note = "3 rows, 1 channel, delimiter semicolon, decimal comma, names in the table"
    assert code == 0 and f"san: t.csv: {note}, 1 missing value, times in 'Zeit', 250 Hz\n" in err
    head, row = map(json.loads, (tmp_path / "out/manifest.jsonl").read_text().splitlines())
    assert head["settings"]["table"] == {"missing": ["x"], "time_column": "Zeit", "time_unit": "ms"}
    assert row["notes"][0].startswith(f"t.csv: {note}")
    assert row["comes_back_as"]["outcome"] == "same files"
    assert "0 now and 1 before" in command(*given, *options)[1]
    code, _, err = command(*given)
    assert code == 2 and "other settings: table {" in err and "(now None)" in err
    assert command("archive", "verify", tmp_path / "out")[0] == 0
    assert (
        command(*given, "--decimal", "x")[2] == "san: --decimal must be point or comma, got 'x'\n"
    )


def test_an_archive_of_0_4_goes_on(data, tmp_path):
    out = tmp_path / "out"
    archive(data, out, OPTIONS, jobs=1)
    file = out / "manifest.jsonl"
    head, *rows = map(json.loads, file.read_text().splitlines())
    old = [{k: v for k, v in row.items() if k != "comes_back_as"} for row in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in (head, *old)))
    summary = archive(data, out, OPTIONS, jobs=1)
    assert summary.kept == 2 and summary.comes_back_as == {}
    assert verify(out, jobs=1).problems == {}
