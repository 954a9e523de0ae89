"""Dictionaries that come with the package: never changed, and used only where they save bytes."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import plain_decoder
import pytest

import san
from san.archive import Options, archive, verify
from san.codec.modes.dictionary import no_kernels
from san.codec.trained import SHA256, TRAINED, trained

FS = 360
NAME = SHA256["ecg-1"][:8]


@pytest.fixture(scope="module")
def x():
    """Ten seconds of a patient on whom no dictionary of the package was trained."""
    return (san.datasets.load_recording().x[:3600, 0] * 200).round().astype(np.int16)


@pytest.fixture(scope="module")
def warm(x):
    return san.compress(x, FS, prdn=8, dictionary="ecg")


@pytest.mark.parametrize("name", SHA256)
def test_a_trained_dictionary_is_what_it_always_was(name):
    dictionary = trained(name)
    assert dictionary.sha256 == hashlib.sha256(dictionary.data).hexdigest() == SHA256[name]
    assert dictionary.kernels.shape[1] == 1 and dictionary.samples > 0
    assert len(dictionary.data) < 5000


def test_the_first_trained_dictionary_is_never_another_one():
    assert SHA256["ecg-1"].startswith("b4a643e30a9452fe")
    assert TRAINED["ecg"] in SHA256


def test_a_short_record_of_a_stranger_is_smaller(x, warm):
    assert len(warm) < 0.97 * len(san.compress(x, FS, prdn=8))
    y = san.decompress(warm)
    assert san.prdn(x, y) <= 8
    values, _, _ = plain_decoder.decode(warm, trained("ecg").data)
    assert values == y.tolist()


def test_every_reader_finds_it(warm, tmp_path):
    (tmp_path / "x.san").write_bytes(warm)
    assert len(san.read(tmp_path / "x.san").x) == 3600
    other = dataclasses.replace(no_kernels(1))
    assert len(san.decompress(warm, dictionary=other)) == 3600


def test_own_kernels_learn_from_the_trained_statistics(x):
    n = np.arange(3600)
    beats = np.rint(900 * np.exp(-(((n % 300 - 90) / 9.0) ** 2)) + x / 16).astype(np.int16)
    alone = san.compress(beats, FS, prdn=8)
    assert len(san.compress(beats, FS, prdn=8, dictionary="ecg")) <= len(alone)
    taught = dataclasses.replace(san.Decoder(alone).dictionary, teacher=trained("ecg"))
    blob = san.compress(beats, FS, prdn=8, dictionary=taught)
    assert san.prdn(beats, san.decompress(blob)) <= 8
    dictionary = san.Decoder(blob).dictionary
    assert dictionary.teacher.sha256 == SHA256["ecg-1"] and san.inspect(blob).dictionary_carried
    values, _, _ = plain_decoder.decode(blob, trained("ecg").data)
    assert values == san.decompress(blob).tolist()
    with pytest.raises(plain_decoder.Refused, match="another dictionary"):
        plain_decoder.decode(blob, no_kernels(1).data)


@pytest.mark.parametrize(
    ("signal", "options"),
    [
        (np.random.default_rng(0).integers(-999, 999, 300, np.int16), {"prdn": 8}),
        (np.arange(300, dtype=np.int16) % 7, {"lossless": True}),
        (np.random.default_rng(0).integers(-99, 99, (200, 12), np.int16), {"max_error": 2}),
        (np.zeros((0, 1)), {"prdn": 5}),
        (np.full(90, np.nan), {"prdn": 5}),
    ],
    ids=["noise", "lossless", "twelve channels", "empty", "NaN"],
)
def test_it_is_left_out_where_it_does_not_pay(signal, options):
    blob = san.compress(signal, FS, dictionary="ecg", **options)
    assert blob == san.compress(signal, FS, **options)


def test_two_channels_learn_from_it_too(x):
    both = np.stack([x[:1800], x[1:1801] // 2], 1)
    blob = san.compress(both, FS, prdn=8, dictionary="ecg")
    assert len(blob) <= len(san.compress(both, FS, prdn=8))
    assert san.decompress(blob).shape == (1800, 2)


def test_a_size_is_met_with_a_smaller_error(x):
    blob = san.compress(x, FS, bits_per_sample=0.5, dictionary="ecg")
    assert len(blob) <= 0.5 * len(x) / 8
    assert san.inspect(blob).prdn <= san.inspect(san.compress(x, FS, bits_per_sample=0.5)).prdn


def test_an_encoder_names_it_by_four_bytes(x, tmp_path):
    with open(tmp_path / "x.san", "wb") as file:
        encoder = san.Encoder(file, x.dtype, fs=FS, prdn=8, dictionary="ecg")
        encoder.write(x)
        encoder.finish()
    info = san.inspect((tmp_path / "x.san").read_bytes())
    assert (info.dictionary_sha256, info.dictionary_carried) == (NAME, False)
    assert len(san.read(tmp_path / "x.san").x) == 3600


def test_an_archive_needs_no_file_of_it(x, tmp_path, monkeypatch):
    def run(work, items, size, jobs, client=None):
        for item in items:
            yield item, work(item)

    monkeypatch.setattr("san.archives.workers.run", run)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/x.npy", x)
    archive(tmp_path / "in", tmp_path / "out", Options(prdn=8, fs=FS, dictionary="ecg"))
    assert not list((tmp_path / "out").glob("*.dictionary"))
    row = json.loads((tmp_path / "out/manifest.jsonl").read_text().splitlines()[1])
    assert "dictionary" not in row and verify(tmp_path / "out").problems == {}


def test_a_file_of_its_name_comes_first(tmp_path, monkeypatch, x):
    monkeypatch.chdir(tmp_path)
    mine = san.learn_dictionary(x[:1200], FS)
    mine.save("ecg")
    named = san.compress(x[:1200], FS, prdn=8, dictionary="ecg", embed_dictionary=False)
    assert san.inspect(named).dictionary_sha256 in (None, mine.sha256)
    Path("ecg").unlink()
    with pytest.raises(FileNotFoundError):
        san.compress(x, FS, prdn=8, dictionary="ecg-none")


@pytest.mark.parametrize(
    "change",
    [{"samples": 5, "excerpt": b"abc"}, {"teacher": no_kernels(1)}],
    ids=["an excerpt beside a teacher", "a teacher without an excerpt"],
)
def test_a_teacher_that_teaches_nothing_is_corrupt(change, x):
    from san.codec.modes.transform import check_excerpt

    taught = dataclasses.replace(no_kernels(1), teacher=trained("ecg"))
    check_excerpt(taught)
    with pytest.raises(san.CodecError, match="a teacher has no excerpt, or its dictionary"):
        check_excerpt(dataclasses.replace(taught, **change))
