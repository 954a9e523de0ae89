"""The codec's commands as a user meets them: files in and out, exit codes, one clear line."""

import dataclasses
import doctest
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import san
from san.codec import block, encoder
from san.codec.decoder import Decoder, decompress
from san.codec.dictionaries import learn_dictionary
from san.codec.info import inspect
from san.files import arrays

N = 2400
X = np.rint(300 * np.sin(np.arange(N) / 25) ** 9 + np.arange(N) % 5).astype(np.int16)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", np.stack([X, -X], 1) / 200)


@pytest.mark.parametrize(
    "target", ["--lossless", "--prdn=8", "--max-error=0.03", "--bits-per-sample=4"]
)
@pytest.mark.parametrize("name", ["x", "y"])
def test_there_and_back(name, target, san, tmp_path):
    code, out, err = san("compress", f"{name}.npy", "z.san", target, "--fs", 250)
    assert code == 0 and err == "" and "bits per sample" in out
    code, out, err = san("verify", f"{name}.npy", "z.san")
    assert code == 0 and err == "" and "kept: " in out and "PRDN" in out and "CR" in out
    code, out, err = san("decompress", "z.san", "back.npy")
    assert code == 0 and err == ""
    x, y = np.load(f"{name}.npy"), np.load("back.npy")
    assert x.shape == y.shape and x.dtype == y.dtype
    assert target != "--lossless" or np.array_equal(x, y)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.npy", "x.npy", "y.npy", "z.san"]


@pytest.mark.parametrize("line, code, words", [
    ("verify x.npy z.san 2>&-", 0, "kept: lossless"),
    ("compress x.npy - --lossless 2>&- | cmp - z.san", 0, ""),
    ("compress x.npy - --lossless >&-", 2, "standard output is closed"),
    ("decompress - y2.npy <&-", 2, "standard input is closed: give the name of a file"),
], ids=["verify", "compress", "no output", "no input"])  # fmt: skip
def test_closed_standard_streams(san, line, code, words):
    san("compress", "x.npy", "z.san", "--lossless")
    script = f"set -o pipefail; {sys.executable} -m san {line}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == code and words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", [".", ""], ids=["point", "empty"])
def test_a_folder_is_no_place_for_one_recording(san, name):
    san("compress", "x.npy", "z.san", "--lossless")
    code, out, err = san("decompress", "z.san", name)
    assert (code, out) == (2, "")
    assert err == "san: . is a folder: name the file or the record that it gets\n"


def test_a_part_is_decoded(san):
    san("compress", "x.npy", "z.san", "--lossless", "--fs", 100, "--chunk-seconds", 2)
    code, _, err = san("decompress", "z.san", "a.npy", "--start-sample", 150, "--stop-sample", -200)
    assert code == 0 and err == ""
    assert np.array_equal(np.load("a.npy"), X[150:-200])
    code, _, err = san("decompress", "z.san", "b.npy", "--start", 1.5, "--stop", -2)
    assert code == 0 and np.array_equal(np.load("b.npy"), X[150:-200])
    assert err == (
        "san: --start and --stop are in seconds now; --start-sample and --stop-sample are in "
        "samples\n"
    )
    code, _, err = san("decompress", "z.san", "c.npy", "--stop", 2.506)
    assert code == 0 and np.array_equal(np.load("c.npy"), X[:251])
    assert err == "san: --stop is in seconds now; --stop-sample is in samples\n"
    assert san("decompress", "z.san", "d.npy", "--start", -100)[0] == 0
    assert np.array_equal(np.load("d.npy"), X)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--start", 1],
            "--start is in seconds, and no sampling rate is known: give --start-sample",
        ),
        (["--stop", 1], "--stop is in seconds, and no sampling rate is known: give --stop-sample"),
        (["--start", "nan"], "--start must be a finite number of seconds, got nan"),
        (["--stop", 1, "--stop-sample", 1], "give --stop or --stop-sample, not both"),
    ],
)
def test_a_part_that_cannot_be_found(options, words, san):
    san("compress", "x.npy", "z.san", "--lossless")
    code, _, err = san("decompress", "z.san", "part.npy", *options)
    assert code == 2 and words in err and not Path("part.npy").exists()


def test_options_reach_the_encoder(san):
    options = ["--prdn", 8, "--fs", 100, "--chunk-seconds", 3, "--no-events"]
    assert san("compress", "x.npy", "z.san", *options)[0] == 0
    info = inspect(Path("z.san").read_bytes())
    assert (info.fs, info.chunk_samples, info.value) == (100.0, 300, 8.0)
    assert info.sections["dictionary"] == 0


def test_a_device_that_there_is_not_ends_in_one_line(san):
    code, _, err = san("compress", "x.npy", "z.san", "--prdn", 8, "--device", "abacus")
    assert code == 2 and "device must be cpu or cuda" in err and "'abacus'" in err
    assert not Path("z.san").exists()


def test_a_wfdb_record_is_coded_as_integers(san, recordings):
    for name in ("100.hea", "100.dat"):
        shutil.copy(recordings / "mitdb" / name, name)
    assert san("compress", "100", "z.san", "--lossless")[0] == 0
    code, out, _ = san("inspect", "z.san")
    assert code == 0
    assert "650000 × 2, int16, 360 Hz" in out and "MLII [200(1024)/mV]" in out
    assert san("verify", "100", "z.san")[0] == 0
    y = decompress(Path("z.san").read_bytes(), 0, 3)
    assert y.tolist() == [[995, 1011], [995, 1011], [995, 1011]]


def test_a_wfdb_record_in_physical_units(san, monkeypatch, tmp_path):
    import wfdb

    with np.errstate(all="ignore"):
        wfdb.wrsamp(
            "rec", fs=250, units=["mV"], sig_name=["I"], d_signal=X[:, None], fmt=["16"],
            adc_gain=[200.0], baseline=[3],
        )  # fmt: skip
    assert san("compress", "rec.hea", "a.san", "--max-error", 2)[0] == 0
    assert san("compress", "rec", "b.san", "--max-error", 0.0101, "--physical")[0] == 0
    for name in ("a.san", "b.san"):
        assert san("verify", "rec", name)[0] == 0
    info = inspect(Path("b.san").read_bytes())
    assert (info.dtype, info.fs, info.units, info.names) == (np.float64, 250.0, ("mV",), ("I",))
    assert inspect(Path("a.san").read_bytes()).units == ("200(3)/mV",)


def test_tables(san, tmp_path):
    rows = [f"{t / 50},{v / 10},{w}" for t, (v, w) in enumerate(zip(X, X[::-1], strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(["time [s],a,b", *rows]))
    assert san("compress", "t.csv", "t.san", "--lossless")[0] == 0
    info = inspect(Path("t.san").read_bytes())
    assert (info.shape, info.fs, info.names) == ((N, 2), 50.0, ("a", "b"))
    assert san("verify", "t.csv", "t.san")[0] == 0
    assert san("decompress", "t.san", "back.csv")[0] == 0
    back = arrays.read(tmp_path / "back.csv")
    assert back.names == ("a", "b") and np.array_equal(back.x[:, 0], X / 10)
    code, _, err = san("compress", "t.csv", "u.san", "--lossless", "--fs", 51)
    assert code == 0 and "say 50 Hz; --fs 51 is used" in err
    assert inspect(Path("u.san").read_bytes()).fs == 51.0
    assert san("verify", "t.csv", "u.san")[0] == 0
    assert san("decompress", "u.san", "u.csv")[0] == 0
    assert (tmp_path / "u.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
    (tmp_path / "n.csv").write_text("1\n2\nnan\n")
    assert san("compress", "n.csv", "n.san", "--lossless")[0] == 0
    assert san("decompress", "n.san", "n2.csv")[0] == 0
    assert (tmp_path / "n2.csv").read_text() == "1\n2\nnan\n"


@pytest.fixture
def with_sections(monkeypatch):
    """A function that compresses, with other sections in the footer."""

    def compressed(change):
        def footer_of(*given):
            footer = block.footer_of(*given)
            return dataclasses.replace(footer, sections=change(footer.sections))

        monkeypatch.setattr(encoder, "footer_of", footer_of)
        monkeypatch.setattr(encoder, "SHORT_STREAM", 0)  # short streams state no sections
        return encoder.compress(X, 50, lossless=True)

    return compressed


def test_sections_that_this_version_does_not_know_count_as_other(san, with_sections):
    plain, blob = with_sections(lambda own: own), with_sections(lambda own: (*own[:-1], 0, 2, 3))
    Path("s.san").write_bytes(blob)
    sections = json.loads(san("inspect", "s.san", "--json")[1])["sections"]
    assert sum(sections.values()) == len(blob)
    assert sections["other"] == 5 and sections["predicted"] == inspect(plain).sections["predicted"]
    assert san("decompress", "s.san", "s.npy")[0] == 0
    assert np.array_equal(np.load("s.npy"), X)


def test_sections_that_are_too_large_are_told_and_decoded_all_the_same(san, with_sections):
    blob = with_sections(lambda own: (10**6,))
    Path("s.san").write_bytes(blob)
    code, _, error = san("inspect", "s.san")
    assert code == 2 and "the sections in the footer have 1000000 bytes together, the" in error
    assert san("decompress", "s.san", "s.npy")[0] == 0
    assert np.array_equal(np.load("s.npy"), X)
    sections = Decoder(blob).info.sections
    assert sum(sections.values()) == len(blob) and sections["other"] > 0


def test_inspect_as_json(san):
    san("compress", "y.npy", "z.san", "--prdn", 5)
    code, out, _ = san("inspect", "z.san", "--json")
    said = json.loads(out)
    assert code == 0 and said["shape"] == [N, 2] and said["dtype"] == "float64"
    assert said["fs"] is None and said["target"] == "prdn" and said["value"] == 5.0
    assert sum(said["sections"].values()) == said["bytes"]


def test_a_dictionary_is_named(san, tmp_path):
    learn_dictionary(np.tile(X, 5), fs=360).save(tmp_path / "d")
    options = ["--prdn", 8, "--fs", 360, "--dictionary", "d", "--name-only"]
    assert san("compress", "x.npy", "z.san", *options)[0] == 0
    assert "not in the stream" in san("inspect", "z.san")[1]
    code, _, err = san("decompress", "z.san", "b.npy")
    assert code == 2 and "none was given" in err
    assert san("decompress", "z.san", "b.npy", "--dictionary", "d")[0] == 0
    assert san("verify", "x.npy", "z.san", "--dictionary", "d")[0] == 0


def test_a_stream_that_exceeds_the_promised_error_is_code_1(san):
    san("compress", "x.npy", "z.san", "--max-error", 3)
    other = X.copy()
    other[1000] += 50
    np.save("other.npy", other)
    code, out, err = san("verify", "other.npy", "z.san")
    assert code == 1 and "largest error" in out
    assert err.startswith("san: z.san exceeds the error it promises: the largest error is ")
    assert "it promises 3" in err and len(err.splitlines()) == 1
    san("compress", "x.npy", "l.san", "--lossless")
    code, _, err = san("verify", "other.npy", "l.san")
    assert code == 1 and "it promises to be lossless, and not every bit is the same" in err


def test_two_targets_are_shown_and_verified(san):
    both = ["--prdn", 8, "--max-error", 30]
    assert san("compress", "x.npy", "z.san", *both)[0] == 0
    words = "PRDN of at most 8 % and largest error of at most 30"
    assert f"target        {words}\n" in san("inspect", "z.san")[1]
    assert f"kept: {words}\n" in san("verify", "x.npy", "z.san")[1]


def test_verify_checks_what_is_named_too(san):
    san("compress", "x.npy", "z.san", "--prdn", 8)
    code, out, _ = san("verify", "x.npy", "z.san", "--prdn", 9, "--max-error", 500)
    assert code == 0
    assert "kept, as you ask: PRDN of at most 9 % and largest error of at most 500\n" in out
    code, _, err = san("verify", "x.npy", "z.san", "--max-error", 1)
    assert code == 1 and err.startswith("san: z.san exceeds an error that is allowed: the largest ")
    assert "you allow 1" in err
    code, _, err = san("verify", "x.npy", "z.san", "--prdn", 0)
    assert code == 2 and "--prdn must be above 0" in err


def test_nothing_is_replaced_unless_told(san, tmp_path):
    (tmp_path / "z.san").write_text("mine")
    for command in (["compress", "x.npy", "z.san", "--lossless"],):
        code, _, err = san(*command)
        assert code == 2 and "z.san is there: give --force to replace it" in err
        assert (tmp_path / "z.san").read_text() == "mine"
        assert san(*command, "--force")[0] == 0
    code, _, err = san("decompress", "z.san", "x.npy")
    assert code == 2 and "--force" in err


def test_a_full_disk_is_said_of_the_file(san, tmp_path, monkeypatch):
    replace = os.replace

    def full(old, new):
        if new.name == "z.san":
            raise OSError(28, "No space left on device")
        replace(old, new)

    monkeypatch.setattr("os.replace", full)
    code, _, err = san("compress", "x.npy", "z.san", "--lossless")
    assert (code, err) == (2, "san: z.san cannot be used: No space left on device\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npy", "y.npy"]


@pytest.mark.parametrize(
    ("name", "times", "said"),
    [("x.npy", (2, 2), "channel_0\n"), ("y.npy", (3, 3), "channel_0,channel_1\n")],
    ids=["one column", "two columns"],
)
def test_an_empty_part_is_a_table_of_names(name, times, said, san, tmp_path):
    san("compress", name, "z.san", "--lossless", "--fs", 100)
    start, stop = times
    code, out, _ = san("decompress", "z.san", "a.csv", "--start", start, "--stop", stop)
    assert code == 0 and out.startswith("a.csv: 0 ")
    assert (tmp_path / "a.csv").read_text() == said


def test_an_empty_recording_is_a_table_of_names(san, tmp_path):
    np.save("x.npy", np.zeros((0, 2)))
    assert san("compress", "x.npy", "z.san", "--lossless")[0] == 0
    assert san("decompress", "z.san", "a.csv")[0] == 0
    assert (tmp_path / "a.csv").read_text() == "channel_0,channel_1\n"
    assert san("verify", "x.npy", "z.san")[0] == 0


def test_progress_is_shown_on_a_terminal(san, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, _, err = san("compress", "x.npy", "z.san", "--prdn", 8)
    assert code == 0 and "compressing" in err


def test_examples_of_docstrings(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    assert doctest.testmod(arrays).failed == 0


def test_a_wrong_choice_is_answered_with_the_possible_ones(tmp_path, command):
    np.save(tmp_path / "x.npy", np.zeros(9, np.int16))
    code, _, error = command("compress", "x.npy", "x.san", "--lossless", "--effort", "slow")
    words = "Invalid value for '--effort': 'slow' is not one of 'fast', 'normal', 'best'"
    assert (code, error) == (2, f"san: {words}\n")


@pytest.mark.parametrize("named", [False, True], ids=["carried", "named"])
def test_a_dictionary_that_is_much_of_its_stream_is_said(tmp_path, command, named):
    x = np.rint(san.datasets.load_recording().x[:18_000, 0] * 200).astype(np.int16)
    learn_dictionary(x[3600:], fs=360).save(tmp_path / "a.dictionary")
    np.save(tmp_path / "x.npy", x[:3600])
    asked = ["--prdn", "8", "--fs", "360", "--dictionary", "a.dictionary"]
    code, said, _ = command("compress", "x.npy", "x.san", *asked, *["--name-only"] * named)
    assert code == 0
    assert ("of the bytes: --name-only leaves it out" in said) != named
