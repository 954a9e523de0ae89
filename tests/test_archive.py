"""Archives: what is found, what comes back, and what kills, full disks and damage leave behind."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import edfio
import numpy as np
import pytest
import wfdb

import san
from san.archive import Options, archive, verify
from san.archives import manifest as archive_manifest
from san.archives import workers
from san.archives.record_to_stream import store_record
from san.archives.records import find_records
from san.files import arrays
from san.files import streams as file_streams

BUNDLED = Path(__file__).parents[1] / "datasets/sample/mitdb_208"
OPTIONS = Options(prdn=8.0, events=False)
COMMAND = [sys.executable, "-m", "san", "archive"]
FAST = ["--prdn", 8, "--no-events"]  # the same
RECORDS, LENGTH = 24, 1800
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A folder of real records: short WFDB ones, arrays, a table, and what is none."""
    folder = tmp_path_factory.mktemp("originals")
    x = wfdb.rdrecord(str(BUNDLED), physical=False).d_signal
    for number in range(RECORDS):
        place = folder / ("a" if number % 2 else "a/b")
        place.mkdir(parents=True, exist_ok=True)
        wfdb.wrsamp(
            f"{number:03d}", fs=360, units=["mV"], sig_name=["MLII"], fmt=["16"], adc_gain=[200.0],
            d_signal=x[number * LENGTH : (number + 1) * LENGTH], baseline=[1024],
            write_dir=str(place),
        )  # fmt: skip
    np.save(folder / "pair.npy", x[:4000].reshape(-1, 2).astype(np.int16))
    rows = [f"{n / 100},{v / 8}" for n, v in enumerate(x[5000:7000, 0])]
    (folder / "table.csv").write_text("\n".join(["time,ecg", *rows]) + "\n")
    (folder / "notes.txt").write_text("no record")
    (folder / ".hidden.npy").write_text("no record")
    (folder / "none.hea").write_text("none 0 360 0\n")
    return folder


@pytest.fixture(scope="module")
def reference(originals, tmp_path_factory):
    """The archive that a run which nothing disturbed writes."""
    out = tmp_path_factory.mktemp("reference")
    summary = archive(originals, out, OPTIONS, jobs=2)
    assert summary.failures == {} and summary.coded == summary.records == RECORDS + 2
    return out


@pytest.fixture
def records(originals, tmp_path):
    """A copy of the records that a test may change."""
    return Path(shutil.copytree(originals, tmp_path / "records"))


@pytest.fixture
def out(originals, reference, tmp_path):
    """A copy of the archive that a test may damage."""
    return Path(shutil.copytree(reference, tmp_path / "out"))


@pytest.fixture
def in_this_process(monkeypatch):
    """Records are worked on here, one after the other: no process starts and imports for them."""

    def run(work, items, size, jobs, client=None):
        for item in items:
            yield item, work(item)

    monkeypatch.setattr(workers, "run", run)


def streams(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.san")}


def lines(folder):
    """The manifest without what differs between two runs."""
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def times(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


def assert_same(out, reference):
    assert streams(out) == streams(reference)
    assert lines(out) == lines(reference)
    assert not list(out.rglob("*.tmp"))


def test_streams_decode_to_the_records(originals, reference):
    for name in ("a/b/000", "a/001"):
        x = wfdb.rdrecord(str(originals / name), physical=False).d_signal
        blob = (reference / f"{name}.san").read_bytes()
        assert san.prdn(x.T, san.decompress(blob).T) <= 8.0
        info = san.inspect(blob)
        assert (info.fs, info.units, info.names) == (360.0, ("200(1024)/mV",), ("MLII",))
    x = np.load(originals / "pair.npy")
    assert san.decompress((reference / "pair.npy.san").read_bytes()).shape == x.shape
    table = (reference / "table.csv.san").read_bytes()
    assert san.inspect(table).fs == 100.0 and san.inspect(table).names == ("ecg",)


def test_the_manifest_says_what_is_there(originals, reference):
    head, *rows = map(json.loads, lines_so_far(reference))
    assert head["source"] == str(originals) and head["finished"] is True
    assert head["settings"]["target"] == "prdn" and head["settings"]["value"] == 8.0
    assert [row["source"] for row in rows] == sorted(row["source"] for row in rows)
    assert {row["stream"] for row in rows} == streams(reference).keys()
    row = next(row for row in rows if row["source"] == "a/001.hea")
    assert row["files"].keys() == {"a/001.hea", "a/001.dat"}
    assert row["files"]["a/001.dat"][0] == 2 * LENGTH
    info = san.inspect((reference / "a/001.san").read_bytes())
    assert (row["bytes"], row["samples"], row["channels"]) == (info.bytes, LENGTH, 1)
    assert (row["ratio"], row["prdn"]) == (info.compression_ratio, info.prdn)
    assert row["largest_error"] == info.largest_error and row["seconds"] > 0


def test_segments_are_not_records_of_their_own(tmp_path):
    (tmp_path / "m.hea").write_text("# made of two\nm/3 1 360 7200\none 3600\n~ 10\ntwo 3600\n")
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.hea").write_text(f"{name} 1 360 3600\n{name}.dat 16 200/mV\n")
        (tmp_path / f"{name}.dat").write_bytes(bytes(7200))
    found = find_records(tmp_path)
    assert [record.path for record in found] == ["m.hea", "three.hea"]
    assert list(found[0].files) == ["m.hea", "one.hea", "one.dat", "two.hea", "two.dat"]
    assert found[0].bytes > 2 * 7200


@pytest.mark.usefixtures("in_this_process")
def test_a_record_of_segments(tmp_path):
    x = wfdb.rdrecord(str(BUNDLED), physical=False).d_signal[:5000]
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for name, part in (("one", x[:2000]), ("two", x[2000:])):
        wfdb.wrsamp(
            name, fs=360, units=["mV"], sig_name=["MLII"], fmt=["16"], adc_gain=[200.0],
            d_signal=part, baseline=[1024], write_dir=str(data),
        )  # fmt: skip
    (data / "m.hea").write_text("m/2 1 360 5000\none 2000\ntwo 3000\n")
    options = Options(lossless=True)
    assert archive(data, out, options, jobs=1).records == 1
    assert np.array_equal(san.decompress((out / "m.san").read_bytes()), x)
    assert verify(out, jobs=1).compared == 1
    flipped = bytearray((data / "two.dat").read_bytes())
    flipped[30] ^= 1
    (data / "two.dat").write_bytes(flipped)
    assert "two.dat is corrupt" in archive(data, out, options, jobs=1).failures["m.hea"]
    (data / "self.hea").write_text("self/1 1 360 5000\nself 5000\n")
    with pytest.raises(ValueError, match="names self, which has segments itself"):
        arrays.read(data / "self")


@pytest.mark.usefixtures("in_this_process")
def test_annotations_and_edf(tmp_path):
    x = wfdb.rdrecord(str(BUNDLED), physical=False).d_signal[:3600, 0]
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    signals = [
        edfio.EdfSignal(x[: 10 * rate] / 200.0, rate, label=f"ECG {rate}", physical_dimension="mV")
        for rate in (360, 90)
    ]
    edfio.Edf(signals).write(data / "two.EDF")
    for ending in (".hea", ".dat"):
        shutil.copy(BUNDLED.with_suffix(ending), data)
    wfdb.wrann("mitdb_208", "atr", np.array([90, 400]), ["N", "V"], write_dir=str(data))
    assert archive(data, out, OPTIONS, jobs=1).coded == 2
    assert streams(out).keys() == {"mitdb_208.san", "two.EDF.san"}
    assert "wfdb/annotations/atr" in san.inspect((out / "mitdb_208.san").read_bytes()).attachments
    assert verify(out, jobs=1).compared == 2 and verify(out, jobs=1).problems == {}
    wfdb.wrann("mitdb_208", "atr", np.array([90, 401]), ["N", "V"], write_dir=str(data))
    problem = verify(out, jobs=1).problems["mitdb_208.san"]
    assert "its wfdb/annotations/atr is not that of" in problem and "has changed since" in problem
    assert (archive(data, out, OPTIONS, jobs=1).coded, verify(out, jobs=1).problems) == (1, {})
    shutil.rmtree(data)
    assert verify(out, jobs=1).compared == 0 and verify(out, jobs=1).problems == {}


@pytest.mark.usefixtures("in_this_process")
def test_a_second_run_touches_nothing(originals, out):
    before = times(out)
    summary = archive(originals, out, OPTIONS, jobs=2)
    assert (summary.coded, summary.kept) == (0, RECORDS + 2)
    assert times(out) == before


@pytest.mark.usefixtures("in_this_process")
def test_only_what_is_missing_damaged_or_changed_is_done(records, reference, out):
    archive(records, out, OPTIONS, jobs=1, force=True)  # of a copy, which is as old
    assert streams(out) == streams(reference)
    (out / "a/001.san").unlink()
    flipped = bytearray((out / "a/b/002.san").read_bytes())
    flipped[-20] ^= 4
    (out / "a/b/002.san").write_bytes(flipped)
    np.save(records / "pair.npy", np.load(records / "pair.npy")[::-1])
    np.save(records / "new.npy", np.arange(100, dtype=np.int16))
    (records / "a/003.hea").unlink()  # its stream stays
    before = times(out)
    summary = archive(records, out, OPTIONS, jobs=1)
    assert (summary.coded, summary.kept) == (4, RECORDS - 1)
    changed = {p.name for p, t in times(out).items() if before.get(p) != t and p.is_file()}
    assert changed == {"001.san", "002.san", "pair.npy.san", "new.npy.san", "manifest.jsonl"}
    for name, blob in streams(reference).items():
        assert (streams(out)[name] == blob) == (name != "pair.npy.san")
    (out / "a/003.san").unlink()
    summary = archive(records, out, OPTIONS, jobs=1)
    assert summary.failures == {
        "a/003.hea": "its stream is missing or damaged, and the record is gone"
    }
    shutil.copy(reference / "a/003.san", out / "a/003.san")
    assert archive(records, out, OPTIONS, jobs=1).failures == {}


def test_what_cannot_be_read_is_named_and_the_rest_is_done(records, tmp_path, command):
    (records / "bad.hea").write_text("nonsense")
    (records / "bad.npy").write_text("nonsense")
    (records / "bad.csv").write_text("1,2\n3,x\n")
    np.save(records / "long.npy", np.arange(5) * 2**33)
    np.save(records / "a/001.npy", np.zeros(5, np.int16))
    shutil.copy(records / "a/001.npy", records / "a/001")  # no record
    damaged = bytearray((records / "a/003.dat").read_bytes())
    damaged[100] ^= 1
    (records / "a/003.dat").write_bytes(damaged)
    (records / "a/005.dat").unlink()
    out = tmp_path / "out"
    code, stdout, err = command("archive", records, out, "--prdn", 8, "--no-events", "--jobs", 2)
    words = {
        "bad.hea": "which has no number of signals",
        "bad.npy": "not readable as .npy",
        "bad.csv": "not a table of numbers",
        "long.npy": "which does not fit int32",
        "a/003.hea": "checksum",
        "a/005.hea": "005.dat is not there",
    }
    named = [
        line.removeprefix("san: ").split(": ", 1)
        for line in err[err.index("failed; the same") :].splitlines()[1:]
    ]
    assert code == 1 and [name for name, _ in named] == sorted(words)
    assert all(words[name] in text for name, text in named)
    assert f"{RECORDS + 1} records, {RECORDS + 1} now" in stdout
    code, _, err = command("archive", "verify", out)
    assert code == 1 and "bad.npy: it has no stream" in err
    shutil.copy(BUNDLED.with_suffix(".hea"), records / "bad.hea")
    shutil.copy(BUNDLED.with_suffix(".dat"), records / "mitdb_208.dat")
    assert archive(records, out, OPTIONS, jobs=1).failures.keys() == words.keys() - {"bad.hea"}


def test_a_file_that_is_left_out_is_named(tmp_path, command):
    for suffix in (".hea", ".dat"):
        shutil.copy(BUNDLED.with_suffix(suffix), tmp_path)
    (tmp_path / f"{BUNDLED.name}.pdf").write_text("odd")
    out = tmp_path.with_name(f"{tmp_path.name} out")
    given = ("archive", tmp_path, out, "--prdn", 8, "--no-events", "--jobs", 1)
    for _ in range(2):  # a later run says it again
        code, _, err = command(*given)
        line = "mitdb_208.hea: mitdb_208.pdf is left out: a .pdf file holds no annotations"
        assert code == 0 and err.startswith(f"san: {line}")
    assert archive(tmp_path, out, OPTIONS, jobs=1).left_out.keys() == {"mitdb_208.hea"}


@pytest.mark.parametrize("error", [KeyError("gain"), ZeroDivisionError(), TypeError("no array")])
def test_an_error_that_nobody_raises_on_purpose_has_its_traceback(error, tmp_path, monkeypatch):
    def encode_array(*given, **options):
        raise error

    monkeypatch.setattr(file_streams, "encode_array", encode_array)
    np.save(tmp_path / "x.npy", np.arange(9, dtype=np.int16))
    row = store_record(tmp_path, tmp_path, OPTIONS, find_records(tmp_path)[0])
    assert row["failure"].startswith(type(error).__name__)
    assert row["failure"].endswith("; its traceback is in manifest.jsonl")
    assert "in encode_array\n    raise error" in row["traceback"]


def test_an_error_of_a_reader_has_no_traceback(tmp_path):
    (tmp_path / "x.npy").write_text("nonsense")
    row = store_record(tmp_path, tmp_path, OPTIONS, find_records(tmp_path)[0])
    assert "not readable as .npy" in row["failure"] and "traceback" not in row


def test_two_records_with_one_stream(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(9, np.int16))
    shutil.copy(BUNDLED.with_suffix(".hea"), tmp_path / "x.npy.hea")
    assert [record.problem for record in find_records(tmp_path)] == [
        "", "its stream would be that of x.npy",
    ]  # fmt: skip


@pytest.mark.usefixtures("in_this_process")
@LINUX
def test_names_that_are_no_text(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for name in (b"\xff\xfe.npy", "Ω 1\n.npy".encode()):
        np.save(data / os.fsdecode(name), np.arange(99, dtype=np.int16))
    (data / os.fsdecode(b"\xfd.npy")).write_text("nonsense")
    options = Options(lossless=True)
    assert archive(data, out, options, jobs=1).failures.keys() == {os.fsdecode(b"\xfd.npy")}
    assert streams(out).keys() == {os.fsdecode(b"\xff\xfe.npy.san"), "Ω 1\n.npy.san"}
    assert archive(data, out, options, jobs=1).kept == 2
    assert verify(out, jobs=1).compared == 2


@pytest.mark.parametrize("place", [0, 1])
def test_a_killed_worker_loses_nothing(place, originals, reference, tmp_path):
    killed = []

    def kill(done, of, share):
        if done == 3:
            killed.append(multiprocessing.active_children()[place].pid)
            os.kill(killed[0], signal.SIGKILL)

    summary = archive(originals, tmp_path / "out", OPTIONS, jobs=2, progress=kill)
    assert len(killed) == 1 and summary.failures == {}
    assert_same(tmp_path / "out", reference)
    assert multiprocessing.active_children() == []


def test_a_record_at_which_two_processes_died_is_a_failure(
    originals, reference, tmp_path, monkeypatch
):
    def run(work, items, size, jobs, client=None):
        for item in items:
            yield item, workers.Killed() if item.path == "pair.npy" else work(item)

    monkeypatch.setattr(workers, "run", run)
    summary = archive(originals, tmp_path / "out", OPTIONS, jobs=2)
    assert summary.failures == {"pair.npy": "the process that worked on it died, twice"}
    written = streams(tmp_path / "out")
    assert written == {k: v for k, v in streams(reference).items() if "pair" not in k}


def started(records, out, *options):
    """A real run in a process of its own, and a moment at which it has done some."""
    run = subprocess.Popen(
        [*COMMAND, str(records), str(out), *options, "--jobs", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    begin = time.monotonic()
    while not (out / "manifest.jsonl").is_file() or len(lines_so_far(out)) < 4:
        assert run.poll() is None and time.monotonic() - begin < 120
        time.sleep(0.002)
    return run


def lines_so_far(out):
    return (out / "manifest.jsonl").read_text().splitlines()


def ended(group):
    """Whether no process of a group is left."""
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_a_killed_run_goes_on(originals, reference, tmp_path):
    out = tmp_path / "out"
    run = started(originals, out, "--prdn", "8", "--no-events")
    run.kill()
    run.communicate()
    assert ended(run.pid)
    done = len(streams(out))
    assert 3 <= done < RECORDS + 2 and json.loads(lines_so_far(out)[0])["finished"] is False
    assert verify(out, jobs=1).problems["manifest.jsonl"].startswith("the run that wrote it did")
    with open(out / "manifest.jsonl", "a") as file:  # a line that the kill cut
        file.write('{"source": "a/001.hea", "files')
    (out / "a/.001.san.4711.tmp").write_text("half")
    summary = archive(originals, out, OPTIONS, jobs=2)
    assert summary.failures == {} and 3 <= summary.kept < RECORDS + 2
    assert_same(out, reference)


def test_an_interrupted_run_goes_on(originals, reference, tmp_path):
    out = tmp_path / "out"
    run = started(originals, out, "--prdn", "8", "--no-events")
    os.killpg(run.pid, signal.SIGINT)
    stdout, err = run.communicate(timeout=60)
    assert run.returncode == 130 and stdout == ""
    assert err == "san: archiving stopped; the same command goes on\n"
    assert ended(run.pid) and not list(out.rglob("*.tmp"))
    archive(originals, out, OPTIONS, jobs=2)
    assert_same(out, reference)


def test_two_runs_at_once(originals, out, command):
    with archive_manifest.locked(out):
        code, _, err = command("archive", originals, out, "--prdn", 8, "--no-events")
        assert code == 2 and "another run is at work in" in err
        code, _, err = command("archive", "verify", out)
        assert code == 2 and "another run is at work in" in err
    assert command("archive", originals, out, "--prdn", 8, "--no-events")[0] == 0


def test_a_full_disk(originals, tmp_path, reference, command):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)]
    try:
        permitted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        permitted = False
    if not permitted:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        arguments = ["archive", originals, disk / "out", "--prdn", 8, "--no-events", "--jobs", 2]
        code, _, err = command(*arguments)
        assert code == 2 and "No space left on device" in err and "make room and run" in err
        assert len(err.splitlines()) == 1
        left = streams(disk / "out")
        assert 0 < len(left) < RECORDS and not list(disk.rglob("*.tmp"))
        assert left.items() <= streams(reference).items()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert command(*arguments)[0] == 0
        assert_same(disk / "out", reference)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@LINUX
def test_a_quota(originals, tmp_path):
    code = (
        "import resource; from san.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); main()"
    )
    arguments = ["archive", originals, tmp_path / "out", "--lossless", "--jobs", 1]
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )
    assert run.returncode == 2 and "File too large" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert streams(tmp_path / "out") == {} and not list(tmp_path.rglob("*.tmp"))


def test_verify_names_what_is_wrong(originals, out, tmp_path, command):
    code, stdout, err = command("archive", "verify", out, "--jobs", 2)
    assert code == 0 and err == "" and f"{RECORDS + 2} streams, {RECORDS + 2} compared" in stdout
    flipped = bytearray((out / "a/001.san").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (out / "a/001.san").write_bytes(flipped)
    (out / "a/b/002.san").unlink()
    shutil.copy(out / "a/003.san", out / "foreign.san")
    code, stdout, err = command("archive", "verify", out, "--jobs", 1, "--json")
    problems = json.loads(stdout)["problems"]
    assert code == 1 and problems.keys() == {"a/001.san", "a/b/002.san", "foreign.san"}
    assert problems["a/001.san"] == "its SHA-256 is not that of the manifest"
    assert "No such file" in problems["a/b/002.san"]
    assert problems["foreign.san"] == "no record of the manifest has this stream"
    assert err.splitlines()[0] == "san: 3 wrong:" and len(err.splitlines()) == 4


@pytest.mark.usefixtures("in_this_process")
def test_verify_measures_the_error(records, out):
    x = np.load(records / "pair.npy").copy()
    x[700] += 400
    np.save(records / "pair.npy", x)
    found = verify(out, records, jobs=1)
    assert found.problems.keys() == {"pair.npy.san"} and found.compared == RECORDS + 2
    words = found.problems["pair.npy.san"]
    assert (
        "exceeds the error it promises: the PRDN is" in words and "the record has changed" in words
    )
    shutil.rmtree(records / "a")
    assert verify(out, records, jobs=1).compared == 2


@pytest.mark.usefixtures("in_this_process")
def test_verify_finds_a_stream_whose_checksums_are_wrong(out):
    """A manifest that agrees with a damaged stream does not help it."""
    import hashlib

    flipped = bytearray((out / "a/001.san").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (out / "a/001.san").write_bytes(flipped)
    manifest = archive_manifest.read(out)
    manifest.rows["a/001.hea"]["sha256"] = hashlib.sha256(flipped).hexdigest()
    manifest.write(out)
    assert verify(out, jobs=1).problems.keys() == {"a/001.san"}


@pytest.mark.usefixtures("in_this_process")
def test_a_dictionary_is_kept_once(originals, tmp_path, command):
    x = wfdb.rdrecord(str(BUNDLED), physical=False).d_signal.astype(np.int16)
    dictionary = san.learn_dictionary(x[:12_000], fs=360)
    dictionary.save(tmp_path / "learned")
    out = tmp_path / "out"
    options = ["--prdn", 8, "--dictionary", tmp_path / "learned", "--name-only", "--jobs", 1]
    code, _, err = command("archive", originals / "a/b", out, *options)
    assert code == 0 and err == ""
    kept = out / f"{dictionary.sha256}.dictionary"
    assert kept.read_bytes() == (tmp_path / "learned").read_bytes()
    infos = {name: san.inspect(blob) for name, blob in streams(out).items()}
    shortly = dictionary.sha256[:8]
    named = {name for name, info in infos.items() if info.dictionary_sha256 == shortly}
    assert named and not any(info.dictionary_carried for info in infos.values())
    assert verify(out, jobs=1).problems == {}
    (tmp_path / "two").mkdir()
    shutil.copy(originals / "pair.npy", tmp_path / "two")
    code, _, err = command("archive", tmp_path / "two", tmp_path / "both", *options)
    assert code == 1 and "kernels of 1 channels, and x has 2" in err
    kept.unlink()
    assert verify(out, jobs=1).problems.keys() == named


@pytest.mark.usefixtures("in_this_process")
def test_other_settings_are_refused_unless_forced(originals, reference, out, command):
    before = times(out)
    code, _, err = command("archive", originals, out, "--prdn", 9, "--no-events")
    assert code == 2 and "other settings: value 8.0 (now 9.0)" in err
    code, _, err = command("archive", originals / "a", out, "--prdn", 8, "--no-events")
    assert code == 2 and f"is the archive of {originals}, not of" in err
    assert times(out) == before
    summary = archive(originals, out, Options(max_error=9, events=False), jobs=1, force=True)
    assert summary.coded == RECORDS + 2 and verify(out, jobs=1).problems == {}
    assert all(blob != streams(reference)[name] for name, blob in streams(out).items())


def test_the_summary_as_json(originals, tmp_path, command):
    out = tmp_path / "out"
    code, stdout, err = command("archive", originals / "a/b", out, *FAST, "--json")
    said = json.loads(stdout)
    assert code == 0 and err == "" and said["coded"] == said["records"] == RECORDS / 2
    sizes = [p.stat().st_size for p in (originals / "a/b").iterdir()]
    assert said["bytes_before"] == sum(sizes)
    assert said["bytes_after"] == sum(map(len, streams(out).values()))
    assert said["ratio"] == said["bytes_before"] / said["bytes_after"]
    assert said["records_per_second"] > 0 and said["failures"] == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("archive none out --lossless", "none is not there"),
        ("archive empty out --lossless", "no WFDB header, .edf, .bdf, .npy or .csv is below"),
        ("archive data out", "give one of --max-error, --prdn, --lossless and --bits-per-sample"),
        ("archive data out --prdn 8 --lossless", "got --prdn and --lossless"),
        ("archive data out --prdn 0", "prdn must be above 0"),
        ("archive data out --lossless --jobs 0", "jobs must be at least 1, got 0"),
        ("archive data out --prdn 8 --name-only", "needs a dictionary"),
        ("archive data out --prdn 8 --dictionary nowhere", "nowhere"),
        ("archive data out --lossless --chunk-seconds -3", "chunk_seconds must be above 0"),
        ("archive data out --lossless --fs 0", "fs must be above 0"),
        ("archive data", "Missing argument 'OUT'"),
        ("archive verify data", "has no manifest.jsonl: it is not an archive"),
        ("archive verify", "Missing argument 'OUT'"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(arguments, words, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "data").mkdir()
    np.save("data/x.npy", np.zeros(9, np.int16))
    code, out, err = command(*arguments.split())
    assert code == 2 and words in err and out == "" and len(err.splitlines()) == 1
    assert not list(tmp_path.rglob("*.san"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not the manifest"),
        ("text\n", "is not the manifest"),
        ('{"archive": 99, "settings": {}}\n', "has version 99"),
    ],
)
def test_a_manifest_that_is_none(content, words, out):
    (out / "manifest.jsonl").write_text(content)
    with pytest.raises(ValueError, match=words):
        verify(out)


@pytest.mark.usefixtures("in_this_process")
def test_damaged_lines_are_named_and_done_again(originals, out, reference):
    content = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    content[3] = content[3].replace('"stream": "', '"stream": "../')
    content[5] = "[1]\n"
    (out / "manifest.jsonl").write_text("".join(content))
    problems = verify(out, jobs=1).problems
    assert problems["manifest.jsonl"] == "damaged in line 4, 6" and len(problems) == 3
    archive(originals, out, OPTIONS, jobs=1)
    assert_same(out, reference)


@pytest.mark.parametrize("words", [["archive"], ["archive", "verify"]], ids=" ".join)
def test_help_reads_well(words, command):
    code, out, _ = command(*words, "--help")
    assert code == 0 and "OUT" in out and max(map(len, out.splitlines())) <= 80
    assert f"san {' '.join(words)} [OPTIONS]" in out


def test_progress_is_shown_on_a_terminal(originals, tmp_path, command, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, err = command("archive", originals / "a/b", tmp_path / "out", *FAST)
    assert code == 0 and "archiving" in err and f"{RECORDS // 2} of {RECORDS // 2} " in err


def test_workers_load_no_torch(originals, tmp_path):
    code = (
        "import sys; from pathlib import Path; "
        "from san.archive_record import find_records, store_record; "
        "from san.archive import Options; folder, out = map(Path, sys.argv[1:]); "
        "row = store_record(folder, out, Options(prdn=8), find_records(folder)[0]); "
        "assert row['bytes']; print('torch' in sys.modules)"
    )
    run = [sys.executable, "-c", code, str(originals), str(tmp_path)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "False\n"


def test_large_records_come_first_and_batches_become_short():
    queue = workers._Queue(range(1, 101), lambda item: item << 20)
    batches = []
    while queue:
        batches.append(queue.batch(2, 16))
    assert [item for batch in batches for item in batch] == list(range(100, 0, -1))
    sizes = [sum(batch) for batch in batches]
    assert max(sizes) <= 5050 / 8 + 100 and sizes[-1] < 20 and max(map(len, batches)) <= 16


@pytest.mark.slow
@pytest.mark.parametrize("failures", [0, 3], ids=["no second try", "tried again by dask"])
def test_a_cluster_that_loses_a_worker(failures, originals, reference, tmp_path):
    distributed = pytest.importorskip("distributed")
    import dask

    killed = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": failures}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())

        def kill(done, of, share):
            if not killed:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

        summary = archive(originals, tmp_path / "out", OPTIONS, client=client, progress=kill)
        assert summary.failures == {} and killed
        assert_same(tmp_path / "out", reference)
        assert verify(tmp_path / "out", client=client).problems == {}


def ends_its_process(item):
    if item == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    return item.upper()


ITEMS = ["poison", *(f"item {n}" for n in range(9))]


def check_that_poison_is_given_up(answers):
    assert str(answers.pop("poison")) == "the process that worked on it died, twice"
    assert answers == {item: item.upper() for item in ITEMS[1:]}


def test_only_the_item_that_ends_its_processes_is_given_up():
    check_that_poison_is_given_up(dict(workers.run(ends_its_process, ITEMS, len, 2)))
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_cluster_gives_up_only_the_item_that_ends_its_workers():
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        check_that_poison_is_given_up(dict(workers.run(ends_its_process, ITEMS, len, 2, client)))
