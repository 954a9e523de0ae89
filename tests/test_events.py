"""An event has one position, the sample at its kernel's middle: in models, streams and pages."""

import base64

import numpy as np
import pytest
import torch

import san
from san.pages.run_signals import kernels_of
from san.pages.stream import describe_stream

PLANTED = np.array([400, 900, 1500, 2300, 2900, 3600, 4400])  # samples


def planted_model(m, decoder):
    """A model of one kernel that looks like a beat, steep and not symmetric."""
    model = san.SAN1d([m], "extrema", [m], decoder=decoder)
    beat = np.hanning(m) ** 8 - 0.5 * np.roll(np.hanning(m) ** 8, m // 4)
    model.kernels[0].data = torch.from_numpy(beat / np.linalg.norm(beat)).float()[None]
    return model


def compressed(x, model, folder, prdn):
    """The stream of x with the model's kernels, as a file."""
    model.save(folder / "model.safetensors")
    blob = san.compress(x, 360, prdn=prdn, dictionary=folder / "model.safetensors")
    (folder / "x.san").write_bytes(blob)
    return folder / "x.san"


@pytest.mark.parametrize("decoder", ["adjoint", "paper"])
@pytest.mark.parametrize("m", [64, 65, 90, 95, 96], ids="m = {}".format)
def test_events_of_a_model_and_of_a_stream_are_at_the_same_samples(m, decoder, tmp_path):
    model = planted_model(m, decoder)
    of_model = san.Events(
        signal=torch.zeros(len(PLANTED), dtype=torch.int64),
        kernel=torch.zeros(len(PLANTED), dtype=torch.int64),
        position=torch.from_numpy(PLANTED)[:, None],
        amplitude=torch.full((len(PLANTED),), 100.0),
        signals=1,
        size=(5000,),
    )
    noise = np.random.default_rng(0).normal(size=5000)
    x = np.rint(20 * model.decode(of_model)[0, 0].numpy() + noise).astype(np.int16)
    path = compressed(x, model, tmp_path, prdn=5)
    events = san.Decoder(path.read_bytes()).events()
    assert events.kernel_size == {64: 64, 65: 96, 90: 96, 95: 96, 96: 96}[m] + (
        32 if decoder == "paper" and m % 32 == 0 else 0
    )
    assert events.position.tolist() == PLANTED.tolist()

    # The page draws the samples of the kernel where the model draws them.
    page = describe_stream(path)
    on_page = page["views"][0]["events"]
    position = np.frombuffer(base64.b64decode(on_page["position"]), np.int32)
    assert position.tolist() == PLANTED.tolist()
    drawn = []
    for kernel in (page["kernels"][0], kernels_of(model)[0]):
        w = np.frombuffer(base64.b64decode(kernel["channels"][0]), np.float32)
        drawn.append(np.zeros(400))
        drawn[-1][200 - kernel["before"] :][: len(w)] = w
    assert np.abs(drawn[0] - drawn[1]).max() < 0.02


@pytest.mark.parametrize("m", [180, 191], ids="m = {}".format)
def test_the_beats_of_a_recording_are_at_the_same_samples(m, tmp_path):
    train, validation, test = san.datasets.load_splits("physionet")
    training = san.Training(san.Settings(kernel_sizes=(m,), kernels=2), train.x, validation.x)
    for _ in range(8):
        training.run_epoch()
    model = training.choose(test.x).model
    x = san.datasets.load_recording().x[:36000, 0]
    path = compressed(x, model, tmp_path, prdn=15)
    stream = san.Decoder(path.read_bytes()).events()
    encoded = model.encode(torch.from_numpy(x - x.mean()).float()[None, None])
    strength = np.abs(stream.amplitude[:, 0])
    beats = np.flatnonzero((stream.kernel == 0) & (strength >= np.median(strength)))
    positions = encoded.position[encoded.kernel == 0, 0].numpy()
    distance = np.abs(positions[:, None] - stream.position[beats]).min(0)
    assert len(beats) > 20  # the others correct what these leave
    assert np.median(distance) == 0 and (distance <= 2).mean() > 0.85
    assert np.median(np.abs(positions[:, None] - stream.start[beats]).min(0)) > 50


def test_samples_of_an_event_are_those_that_its_definition_names():
    beats = np.zeros(9000)
    beats[300:-300:300] = 100.0
    x = np.rint(np.convolve(beats, np.hanning(40), "same")).astype(np.int16)
    decoder = san.Decoder(san.compress(x, fs=360, prdn=5))
    events, m = decoder.events(), decoder.dictionary.kernels.shape[2]
    assert len(events) > 10 and events.kernel_size == m
    assert np.array_equal(events.position - (m - 1) // 2, events.start)
    for t in events.position[:5]:
        first, last = t - (m - 1) // 2, t + m // 2
        assert t in decoder.events(first, first + 1).position
        assert t in decoder.events(last, last + 1).position
        assert t not in decoder.events(last + 1, last + 2).position
        assert t not in decoder.events(first - 1, first).position


def test_a_stream_without_a_dictionary_has_no_events():
    events = san.Decoder(san.compress(np.arange(900, dtype=np.int16), lossless=True)).events()
    assert len(events) == 0 and events.kernel_size == 0
    assert events.start.shape == events.kernel.shape == (0,)
    assert events.amplitude.shape == (0, 1)
