"""Events as data: one position, one amplitude and one error in tables, annotations and models."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import san
from san.wfdb_records.annotations import read_annotations

SHAPE = 400.0 * np.hanning(41)


def bumps(channels=1, samples=6000):
    """A bump every 300 samples, stronger in the second channel, as integers of a converter."""
    impulses = np.zeros(samples)
    impulses[150:-300:300] = 1.0
    x = np.convolve(impulses, SHAPE, "same")
    noise = np.random.default_rng(0).normal(0, 4, (samples, channels))
    return np.rint(x[:, None] * (1 + np.arange(channels)) + noise + 1000).astype(np.int16)


@pytest.fixture
def record(tmp_path):
    """A WFDB record of two channels in mV, 200 steps each, and its stream."""
    import wfdb

    x = bumps(2)
    wfdb.wrsamp(
        "r", 300, ["mV", "mV"], ["I", "II"], d_signal=x, fmt=["16", "16"], adc_gain=[200, 200],
        baseline=[1000, 1000], write_dir=str(tmp_path),
    )  # fmt: skip
    from san.files.streams import encode_file

    (tmp_path / "r.san").write_bytes(encode_file(tmp_path / "r", prdn=8))
    return tmp_path / "r"


def test_a_stream_gives_the_events_of_its_decoder_in_physical_units(record):
    stream = record.with_suffix(".san")
    decoder = san.Decoder(stream.read_bytes())
    own = decoder.events()
    found = san.event_table.of_file(stream)
    assert len(found) == len(own) > 10
    assert np.array_equal(found.position, own.position) and np.array_equal(found.start, own.start)
    assert np.array_equal(found.kernel, own.kernel)
    assert found.amplitude == pytest.approx(own.amplitude / 200)
    assert found.units == ("mV", "mV") and found.fs == 300
    assert np.isnan(found.interval[0])
    assert found.interval[1:] == pytest.approx(np.diff(own.position) / 300)


def test_the_error_is_what_the_events_leave_in_their_samples(record):
    stream = record.with_suffix(".san")
    decoder = san.Decoder(stream.read_bytes())
    events, kernels = decoder.events(), decoder.dictionary.kernels / 2**14
    x = san.decompress(stream.read_bytes()).astype(float)
    left = x.copy()
    for kernel, start, amplitude in zip(events.kernel, events.start, events.amplitude, strict=True):
        for offset in range(events.kernel_size):
            if 0 <= start + offset < len(x):
                left[start + offset] -= amplitude * kernels[kernel, :, offset]
    left = (left - left.mean(axis=0)) / 200
    found = san.event_table.of_file(stream)
    for number in (0, len(found) // 2, len(found) - 1):
        part = left[max(found.start[number], 0) : found.stop[number]]
        assert found.error[number] == pytest.approx(np.sqrt((part**2).mean(axis=0)))


def test_a_recording_has_the_events_of_its_stream_at_the_same_error(record):
    one, other = (
        san.event_table.of_file(record),
        san.event_table.of_file(record.with_suffix(".san")),
    )
    assert np.array_equal(one.position, other.position)
    assert one.amplitude == pytest.approx(other.amplitude)


@pytest.mark.parametrize("size", [40, 41])
@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
def test_a_model_gives_the_positions_of_its_encode(tmp_path, size, decoder):
    torch.manual_seed(0)
    model = san.SAN1d([size], "extrema", [100], decoder=decoder)
    model.save(tmp_path / "model.safetensors")
    x = bumps()[:, 0].astype(np.float64)
    np.save(tmp_path / "x.npy", x)
    found = san.event_table.of_file(tmp_path / "x.npy", tmp_path / "model.safetensors", fs=100)
    standard = torch.from_numpy((x - x.mean()) / x.std(ddof=1)).to(model.kernels[0].dtype)
    own = model.encode(standard[None, None])
    assert np.array_equal(found.position, own.position[:, 0].numpy())
    before = size // 2 if decoder == "paper" else (size - 1) // 2
    assert np.array_equal(found.start, found.position - before)
    norm = float(torch.linalg.vector_norm(model.kernels[0].detach()))
    wanted = own.amplitude.numpy() * norm * x.std(ddof=1)
    assert found.amplitude[:, 0] == pytest.approx(wanted, rel=1e-4)
    left = (standard - model.decode(own)[0, 0]).numpy() * x.std(ddof=1)
    middle = len(found) // 2
    part = left[found.start[middle] : found.stop[middle]]
    assert found.error[middle, 0] == pytest.approx(np.sqrt((part**2).mean()), rel=1e-4)


def test_a_model_finds_no_event_in_a_gap(tmp_path):
    san.SAN1d([21], "extrema", [50]).save(tmp_path / "model.safetensors")
    x = bumps()[:, 0].astype(np.float64)
    x[1000:3000] = np.nan
    np.save(tmp_path / "x.npy", x)
    found = san.event_table.of_file(tmp_path / "x.npy", tmp_path, fs=100)
    assert len(found) and not np.any((found.position >= 1000) & (found.position < 3000))
    assert np.isfinite(found.error).all()


def test_the_command_writes_a_table_and_annotations(command, record):
    code, out, _ = command("events", record.with_suffix(".san"), "e.csv", "e.json", "e.events")
    found = san.event_table.of_file(record.with_suffix(".san"))
    assert code == 0 and f"{len(found)} events: " in out
    rows = list(csv.DictReader(Path("e.csv").read_text().splitlines()))
    assert [int(row["position"]) for row in rows] == found.position.tolist()
    assert float(rows[1]["amplitude_II"]) == pytest.approx(found.amplitude[1, 1], rel=1e-6)
    assert rows[0]["interval"] == "" and float(rows[0]["error_I"]) > 0
    said = json.loads(Path("e.json").read_text())
    assert said["channels"] == ["I", "II"] and len(said["events"]) == len(found)
    notes = read_annotations(Path("e.events").read_bytes())
    assert notes.position.tolist() == found.position.tolist()
    assert notes.note[0].split()[0] == str(found.kernel[0])
    assert found.to_dataframe()["time"].tolist() == pytest.approx(found.time.tolist())
    code, out, _ = command("events", record.with_suffix(".san"), "--json")
    assert json.loads(out) == said


def test_parquet_is_written_or_the_package_that_is_missing_is_named(command, record):
    code, _, error = command("events", record.with_suffix(".san"), "e.parquet")
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError:
        assert code != 0 and "needs pyarrow" in error and "pip install 'pyarrow" in error
    else:
        import pandas

        assert code == 0 and "position" in pandas.read_parquet("e.parquet")


@pytest.mark.parametrize("shape", [(0,), (0, 3)], ids=["one channel", "three channels"])
def test_a_stream_without_samples_has_an_empty_table(command, tmp_path, shape):
    np.save(tmp_path / "x.npy", np.zeros(shape, np.int16))
    (tmp_path / "x.san").write_bytes(san.compress(np.zeros(shape, np.int16), lossless=True))
    for source in ["x.san", "x.npy"]:
        code, out, error = command("events", source, "e.csv", "--force")
        assert (code, error) == (0, "") and out.startswith("0 events\n")
        assert len(Path("e.csv").read_text().splitlines()) == 1


def test_a_stream_without_events_has_an_empty_table(command, tmp_path):
    (tmp_path / "x.san").write_bytes(san.compress(bumps(), fs=300, prdn=8, events=False))
    code, out, _ = command("events", "x.san", "e.csv", "e.events")
    assert code == 0 and out.startswith("0 events\n")
    assert len(Path("e.csv").read_text().splitlines()) == 1
    assert len(read_annotations(Path("e.events").read_bytes()).position) == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["x.npy", "out.edf"], "out.edf must end with .csv, .json or .parquet"),
        (["x.npy", "--channel", "0"], "channels are for a model"),
        (["x.npy", "--model", "model.safetensors"], "3 channels, got channels [0, 1, 2]"),
        (
            ["x.npy", "--model", "images.safetensors"],
            "2 dimensions: give one of signals",
        ),
        (["gone.npy"], "gone.npy"),
    ],
)
def test_what_has_no_events_is_refused_in_one_line(command, tmp_path, arguments, words):
    np.save(tmp_path / "x.npy", bumps())
    san.SAN1d([21], "extrema", [50], channels=3).save(tmp_path / "model.safetensors")
    san.SAN2d([3], "extrema", [3]).save(tmp_path / "images.safetensors")
    code, _, error = command("events", *arguments)
    assert code != 0 and words in error and len(error.splitlines()) == 1
