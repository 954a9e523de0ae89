"""The manifest of an archive: which lines are rows, and what becomes of lines that are none."""

import json

import pytest

from san.archives import manifest
from san.archives.manifest import Manifest

HEAD = {"archive": 1, "source": "/data", "settings": {"target": "prdn"}, "finished": True}
ROW = {
    "source": "a/001.hea",
    "stream": "a/001.san",
    "sha256": "00" * 32,
    "files": {"a/001.hea": [50, 1_700_000_000_000_000_000], "a/001.dat": None},
    "bytes": 300,
    "samples": 1800,
    "channels": 1,
}
FAILED = {"source": "b.npy", "failure": "not readable as .npy"}


def read(folder, *lines):
    """The manifest of a folder whose file has these lines after the first."""
    texts = [line if isinstance(line, str) else json.dumps(line) + "\n" for line in (HEAD, *lines)]
    (folder / manifest.NAME).write_text("".join(texts))
    return manifest.read(folder)


def test_rows_are_known_by_the_path_of_their_record(tmp_path):
    found = read(tmp_path, ROW, FAILED)
    assert found == Manifest("/data", {"target": "prdn"}, True, {"a/001.hea": ROW, "b.npy": FAILED})


def test_of_two_lines_about_a_record_the_later_counts(tmp_path):
    again = ROW | {"bytes": 301}
    assert read(tmp_path, ROW, FAILED, again).rows == {"a/001.hea": again, "b.npy": FAILED}


def test_what_is_written_is_read(tmp_path):
    written = Manifest("/data", {"value": 8.0}, False, {"a/001.hea": ROW, "b.npy": FAILED})
    written.write(tmp_path)
    assert manifest.read(tmp_path) == written
    assert manifest.read(tmp_path / "elsewhere") is None


OUTSIDE = {
    "above the folder": "../001.san",
    "above the folder on the way": "a/../../001.san",
    "absolute": "/etc/passwd",
    "with a NUL": "a/001\0.san",
    "empty": "",
    "a number": 5,
    "missing": None,
}


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("field", ["source", "stream"])
def test_a_path_that_leaves_the_folder_makes_no_row(field, path, tmp_path):
    found = read(tmp_path, FAILED, ROW | {field: path})
    assert (found.rows, found.damaged) == ({"b.npy": FAILED}, [3])


@pytest.mark.parametrize("path", ["001.san", "a/.hidden/..001.san", "Ω 1\n.san"])
def test_a_path_in_the_folder_makes_a_row(path, tmp_path):
    row = ROW | {"stream": path}
    assert read(tmp_path, row).rows == {"a/001.hea": row}


WRONG_FIELDS = {
    "SHA-256 is a number": {"sha256": 5},
    "no SHA-256": {"sha256": None},
    "bytes are a text": {"bytes": "300"},
    "no bytes": {"bytes": None},
    "samples are a fraction": {"samples": 1800.5},
    "channels are a list": {"channels": [1]},
    "files are a list": {"files": ["a/001.hea"]},
    "no files": {"files": None},
    "a file is a number": {"files": {"a/001.hea": 50}},
    "a file has no time": {"files": {"a/001.hea": [50]}},
    "a file's size is a fraction": {"files": {"a/001.hea": [50.0, 1]}},
    "a file's time is a text": {"files": {"a/001.dat": None, "a/001.hea": [50, "now"]}},
    "notes are a text": {"notes": "a table"},
    "an outcome is a text": {"comes_back_as": "same files"},
    "an outcome has no name": {"comes_back_as": {"outcome": None, "differences": []}},
    "an outcome has no differences": {"comes_back_as": {"outcome": "same files"}},
    "failure is a number": {"failure": 5},
    "failure is nothing": {"failure": None},
}


@pytest.mark.parametrize("fields", WRONG_FIELDS.values(), ids=WRONG_FIELDS)
def test_a_field_of_another_type_makes_no_row(fields, tmp_path):
    found = read(tmp_path, FAILED, ROW | fields)
    assert (found.rows, found.damaged) == ({"b.npy": FAILED}, [3])


@pytest.mark.parametrize("missing", [*ROW])
def test_a_field_that_is_missing_makes_no_row(missing, tmp_path):
    found = read(tmp_path, {name: value for name, value in ROW.items() if name != missing})
    assert (found.rows, found.damaged) == ({}, [2])


NO_ROWS = {
    "empty": "\n",
    "text": "text\n",
    "a list": "[1]\n",
    "a number with too many digits": "9" * 5000 + "\n",
    "deeper than Python can follow": "[" * 100_000 + "]" * 100_000 + "\n",
    "deep objects": '{"source":' * 100_000 + "1" + "}" * 100_000 + "\n",
}


@pytest.mark.parametrize("line", NO_ROWS.values(), ids=NO_ROWS)
def test_a_line_that_is_no_object_is_damaged(line, tmp_path):
    found = read(tmp_path, line, ROW)
    assert (found.rows, found.damaged) == ({"a/001.hea": ROW}, [2])


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_line_that_a_kill_cut_is_none(cut, tmp_path):
    """Also one that lacks no more than its end: a further line would be written behind it."""
    found = read(tmp_path, FAILED, (json.dumps(ROW) + "\n")[:-cut])
    assert (found.rows, found.damaged) == ({"b.npy": FAILED}, [3])


def test_bytes_that_are_no_text_damage_their_line_alone(tmp_path):
    read(tmp_path, ROW)
    with open(tmp_path / manifest.NAME, "ab") as file:
        file.write(b'\xff\xfe{"source"\n' + json.dumps(FAILED).encode() + b"\n")
    found = manifest.read(tmp_path)
    assert (found.rows.keys(), found.damaged) == ({"a/001.hea", "b.npy"}, [3])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "is not the manifest of an archive"),
        ("text\n", "is not the manifest of an archive"),
        ("[" * 100_000 + "\n", "is not the manifest of an archive"),
        (json.dumps(HEAD), "is not the manifest of an archive"),
        (json.dumps(HEAD | {"settings": 5}) + "\n", "is not the manifest of an archive"),
        (json.dumps(HEAD | {"archive": 99}) + "\n", "has version 99, this release reads version 1"),
    ],
    ids=["empty", "text", "deep", "cut", "no settings", "newer"],
)
def test_a_first_line_that_is_none_is_refused(line, words, tmp_path):
    (tmp_path / manifest.NAME).write_text(line)
    with pytest.raises(ValueError, match=words):
        manifest.read(tmp_path)
