"""Banks of dictionaries: which records share one, which one a record uses, and what is lost."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import san
from san.archive import Options, archive, verify
from san.codec.bank import kinds_of, mean_beat

FS, LENGTH = 360, 1500
COUNT = 6  # records of each kind


def pulse(kind):
    """The beat of a patient: its large wave, and a slower one behind it, up or down."""
    n = np.arange(180)
    wave = 400 * np.exp(-(((n - 60) / (4 + 8 * kind)) ** 2))
    return wave + (-1) ** kind * 150 * np.exp(-(((n - 120) / 18) ** 2))


def record(kind, number):
    """Some beats of a patient with noise: int16."""
    chance = np.random.default_rng(100 * kind + number)
    x = np.zeros(LENGTH)
    for place in np.cumsum(chance.integers(200, 260, 7)):
        x[place : place + 180] += pulse(kind)[: max(0, LENGTH - place)]
    return np.rint(x + chance.normal(0, 4, LENGTH)).astype(np.int16)


@pytest.fixture(scope="module")
def records():
    return [record(kind, number) for number in range(COUNT) for kind in range(2)]


@pytest.fixture(scope="module")
def bank(records):
    """One dictionary for each kind; the kinds are stated."""
    return san.learn_dictionaries(records, FS, kinds=[0, 1] * COUNT)


@pytest.fixture(scope="module")
def originals(records, tmp_path_factory):
    """The same records as files, and two that are of no kind."""
    folder = tmp_path_factory.mktemp("originals")
    for number, x in enumerate(records):
        np.save(folder / f"{number:02}.npy", x)
    np.save(folder / "short.npy", records[0][:300])
    np.save(folder / "noise.npy", np.random.default_rng(0).integers(-99, 99, 900, np.int16))
    return folder


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Records are worked on here, one after the other: no process starts and imports for them."""

    def run(work, items, size, jobs, client=None):
        for item in items:
            yield item, work(item)

    monkeypatch.setattr("san.archives.workers.run", run)


@pytest.fixture(scope="module")
def learned(originals, tmp_path_factory):
    """An archive that learned its dictionaries."""
    with pytest.MonkeyPatch.context() as patch:
        in_this_process.__wrapped__(patch)
        out = tmp_path_factory.mktemp("learned")
        archive(originals, out, options("learn"))
    return out


@pytest.fixture
def out(learned, tmp_path):
    """A copy of that archive that a test may damage."""
    folder = tmp_path / "out"
    folder.mkdir()
    for path in learned.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def options(dictionaries=None):
    return Options(prdn=8.0, fs=FS, dictionaries=dictionaries)


def sizes(folder):
    return {path.name: path.stat().st_size for path in folder.glob("*.san")}


def rows(folder):
    head, *lines = map(json.loads, (folder / "manifest.jsonl").read_text().splitlines())
    return head, {row["source"]: row for row in lines}


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in (".san", ".dictionary")}


def test_records_of_one_patient_are_of_one_kind(records):
    beats = [mean_beat(x, FS) for x in records]
    assert kinds_of(beats) == [[*range(0, 2 * COUNT, 2)], [*range(1, 2 * COUNT, 2)]]


@pytest.mark.parametrize(
    "x",
    [np.zeros(2000), np.ones(100), np.full(2000, np.nan), np.zeros((0, 2))],
    ids=["constant", "short", "NaN", "empty"],
)
def test_a_signal_without_beats_has_no_mean_beat(x):
    assert mean_beat(x, FS) is None


def test_a_mean_beat_knows_neither_scale_nor_offset():
    x = record(0, 0)
    both = np.stack([x, 3 * x], 1)
    assert mean_beat(x, FS) == pytest.approx(mean_beat(x * 0.005 + 7, FS), abs=1e-6)
    assert mean_beat(both, FS).shape == (64,)


def test_the_nearest_dictionary_is_that_of_the_patient(bank):
    assert len(bank) == 2
    for kind in range(2):
        nearest = [bank.nearest(record(kind, number), FS, 1)[0].sha256 for number in (7, 8)]
        assert nearest == [bank.dictionaries[kind].sha256] * 2
    assert bank.nearest(np.stack([record(0, 0)] * 2, 1), FS) == []


def test_a_kind_of_few_records_has_no_dictionary(records):
    assert len(san.learn_dictionaries(records[:6:2], FS, kinds="aaa")) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"records": np.zeros((3, 50))}, TypeError, "takes a sequence of arrays"),
        ({"records": [np.zeros(50)], "kinds": [1, 2]}, ValueError, "got 2 kinds of 1 records"),
    ],
    ids=["one array", "kinds of others"],
)
def test_wrong_use_is_refused_in_words(arguments, error, words):
    with pytest.raises(error, match=words):
        san.learn_dictionaries(**arguments)


def test_a_bank_is_saved_loaded_and_pickled(bank, tmp_path):
    bank.save(tmp_path)
    names = {each.sha256 for each in bank}
    assert {each.sha256 for each in san.DictionaryBank.load(tmp_path)} == names
    assert {each.sha256 for each in pickle.loads(pickle.dumps(bank))} == names
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no file that ends with \.dictionary"):
        san.DictionaryBank.load(tmp_path / "empty")
    with pytest.raises(ValueError, match="leave one out"):
        san.DictionaryBank([bank.dictionaries[0]] * 2)


def test_an_archive_learns_a_dictionary_for_each_kind(originals, learned, tmp_path):
    archive(originals, tmp_path, options())
    alone, named = sizes(tmp_path), sizes(learned)
    assert all(named[name] <= alone[name] for name in alone)
    kept = sorted(path.stem for path in learned.glob("*.dictionary"))
    head, lines = rows(learned)
    assert sorted(head["dictionaries"]) == kept and len(kept) == 2
    with_one = {name for name, row in lines.items() if "dictionary" in row}
    assert with_one == {f"{number:02}.npy" for number in range(2 * COUNT)}
    assert sum(named.values()) + sum(p.stat().st_size for p in learned.glob("*.dictionary")) < sum(
        alone.values()
    )
    assert verify(learned).problems == {}


def test_another_run_learns_nothing_again_and_goes_on(originals, learned, out, monkeypatch):
    monkeypatch.setattr("san.archives.kinds.learn_from", None)
    (out / "03.npy.san").unlink()
    assert archive(originals, out, options("learn")).coded == 1
    assert contents(out) == contents(learned)


def test_a_lost_dictionary_is_named_and_learned_again(originals, learned, out):
    lost, damaged = (rows(out)[1][name]["dictionary"] for name in ("00.npy", "01.npy"))
    (out / f"{lost}.dictionary").unlink()
    problems = verify(out).problems
    assert problems.keys() == {f"{number:02}.npy.san" for number in range(0, 2 * COUNT, 2)}
    assert {*problems.values()} == {
        f"the stream needs the dictionary {lost[:8]}….dictionary, which is not in {out}: "
        "put a copy of that file back, or archive the record again"
    }
    with pytest.raises(san.CodecError, match="put a copy of that file back"):
        san.read(out / "00.npy.san")
    (out / f"{damaged}.dictionary").write_bytes(b"no dictionary")
    assert verify(out).problems["01.npy.san"].endswith("save one with Dictionary.save")
    assert archive(originals, out, options("learn")).coded == 2 * COUNT
    assert contents(out) == contents(learned)


def test_streams_find_the_dictionaries_of_their_archive(learned, originals, tmp_path, command):
    x, stream = np.load(originals / "00.npy"), learned / "00.npy.san"
    for y in (
        san.read(stream).x[:, 0],
        san.decompress(open_bytes(stream), dictionary=learned),
        san.decompress(open_bytes(stream), dictionary=san.DictionaryBank.load(learned)),
    ):
        assert san.prdn(x, y) <= 8
    code, _, err = command("decompress", stream, tmp_path / "y.npy")
    assert code == 0 and err == ""
    beside = tmp_path / "00.san"
    beside.write_bytes(open_bytes(stream))
    with pytest.raises(san.CodecError, match="and none was given"):
        san.read(beside)
    for path in learned.glob("*.dictionary"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert san.read(beside).x.shape == (LENGTH, 1)


def open_bytes(path):
    return Path(path).read_bytes()


def test_another_folder_of_dictionaries_is_named_in_words(learned, tmp_path):
    with pytest.raises(san.CodecError, match=f"which is not in {tmp_path}"):
        san.decompress(open_bytes(learned / "00.npy.san"), dictionary=tmp_path)


def test_an_archive_takes_the_dictionaries_of_a_folder(originals, learned, tmp_path, command):
    out = tmp_path / "out"
    given = ["--prdn", 8, "--fs", FS, "--dictionaries", learned, "--include", "0[0-3].npy"]
    code, _, err = command("archive", originals, out, *given)
    assert code == 0 and "left out" in err
    expected = contents(learned)
    assert {name: data for name, data in expected.items() if name in contents(out)} == contents(out)
    assert len(sizes(out)) == 4 and verify(out).problems == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prdn", 8, "--no-events"], "events=False uses no dictionaries"),
        (["--lossless"], "dictionaries save nothing without loss"),
        (["--prdn", 8, "--dictionary", "x"], "leave out one of them"),
    ],
    ids=["no events", "lossless", "both"],
)
def test_options_that_exclude_each_other(arguments, words, originals, tmp_path, command, bank):
    bank.dictionaries[0].save(tmp_path / "x")
    arguments = [tmp_path / "x" if each == "x" else each for each in arguments]
    code, _, err = command(
        "archive", originals, tmp_path / "out", "--dictionaries", "learn", *arguments
    )
    assert code == 2 and words in err


def test_the_dictionary_of_the_package_may_stand_beside_others(originals, learned, tmp_path):
    both = Options(prdn=8.0, fs=FS, dictionary="ecg", dictionaries=learned)
    archive(originals, tmp_path, both, include=["00.npy", "noise.npy"])
    assert all(size <= sizes(learned)[name] for name, size in sizes(tmp_path).items())
    assert verify(tmp_path).problems == {} and len(sizes(tmp_path)) == 2


def test_chunks_of_an_array_use_the_dictionary_that_suits_them(bank):
    numcodecs = pytest.importorskip("numcodecs")
    codec = numcodecs.get_codec({"id": "san", "prdn": 8, "fs": FS, "dictionary": bank})
    again = numcodecs.get_codec(json.loads(json.dumps(codec.get_config())))
    for kind, each in enumerate(bank):
        x = record(kind, COUNT)
        chunk = again.encode(x)
        assert san.inspect(chunk).dictionary_sha256 == each.sha256[:8]
        assert chunk == codec.encode(x) and san.prdn(x, codec.decode(chunk)) <= 8
    noise = np.random.default_rng(0).integers(-99, 99, 900, np.int16)
    assert san.inspect(again.encode(noise)).dictionary_sha256 is None


@pytest.mark.parametrize("names", [["../x"], "a" * 64])
def test_a_manifest_with_other_names_of_dictionaries(names, originals, learned, out):
    lines = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    head = json.loads(lines[0]) | {"dictionaries": names, "finished": False}
    lines[0] = json.dumps(head) + "\n"
    (out / "manifest.jsonl").write_text("".join(lines))
    (out / "03.npy.san").unlink()
    archive(originals, out, options("learn"))
    assert contents(out) == contents(learned)
