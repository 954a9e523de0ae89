"""A file is written whole or not at all, and read back checked."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from san import storage


def test_write_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    storage.write(path, "one")
    storage.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    storage.write(path, "former")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.write(path, "new")
    assert path.read_text() == "former"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".model.safetensors.123.tmp").write_text("half")
    (tmp_path / "model.safetensors").write_text("whole")
    storage.remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_tensors_round_trip(tmp_path):
    tensors = {
        "scalar": np.array(3.0, np.float32),
        "empty": np.zeros((0, 4), np.int64),
        "strided": np.arange(12.0)[::2],
    }
    storage.write_tensors(tmp_path / "t", tensors, {"a": [1, "φ"]})
    again, description = storage.read_tensors(tmp_path / "t")
    assert description == {"a": [1, "φ"]}
    for name, array in tensors.items():
        assert again[name].dtype == array.dtype
        np.testing.assert_array_equal(again[name], array)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in "ab":
        storage.write_tensors(tmp_path / name, {"x": np.ones(3), "y": np.zeros(2)}, {"k": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_safetensors_file_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "t")
    with pytest.raises(ValueError, match="does not agree with its SHA-256"):
        storage.read_tensors(tmp_path / "t")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    storage.write_tensors(tmp_path / "t", {"a": np.zeros(3)}, None)
    monkeypatch.setattr(storage, "LARGEST", 10)
    with pytest.raises(ValueError, match="more than 10"):
        storage.read_tensors(tmp_path / "t")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not there"):
        storage.read_tensors(tmp_path / "t")


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
def test_standard_output_gets_all_or_an_error(buffered):
    program = (
        "import resource; from san import storage;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "storage.write_standard(bytes(9000))"
    )
    environment = os.environ | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    with tempfile.TemporaryFile() as file:
        run = subprocess.run(
            [sys.executable, "-c", program], stdout=file, stderr=subprocess.PIPE, env=environment
        )
    assert run.returncode and b"File too large" in run.stderr
