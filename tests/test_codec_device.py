"""What the encoder finds on a device: what the CPU finds, with one copy back for each round.

Where there is no GPU the same torch code runs on the CPU.
"""

import collections
import sys

import numpy as np
import pytest
import torch

import san
from san.codec import encoder, incremental
from san.codec.search import excerpts, learning, on_device, pursuit
from san.codec.search.finding import OnCpu, checked_device
from san.codec.search.on_device import OnDevice

DEVICE = "cuda" if torch.cuda.is_available() else "cpu:0"
LENGTH = 64


@pytest.fixture(scope="module")
def kernels():
    """Two kernels of two leads, of which the second lead of one is silent."""
    t = np.arange(LENGTH) / LENGTH
    shapes = np.stack([np.sin(np.pi * t) ** 2, np.sin(2 * np.pi * t), np.exp(-80 * (t - 0.4) ** 2)])
    made = np.stack([shapes[:2], np.stack([shapes[2], np.zeros(LENGTH)])]).astype(np.float32)
    return made / np.maximum(np.sqrt((made**2).sum(2, keepdims=True)), 1e-9)


def drawn(kernels, channels, every=150, n=2000, seed=0):
    """A signal in steps: kernels in turn, of all strengths, and noise; float32 (channels, n)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.6, (channels, n))
    for i, t in enumerate(range(10, n - LENGTH, every)):
        a = rng.uniform(60, 400) * rng.choice([-1, 1])
        x[:, t : t + LENGTH] += a * kernels[i % 2, :channels]
    return x.astype(np.float32)


def listed(events):
    return [*zip(events.starts, events.kernels, map(tuple, events.amplitudes), strict=True)]


@pytest.mark.parametrize("every", [150, 47, 33, 20], ids="an event every {} samples".format)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_device_finds_the_events_that_the_cpu_finds(monkeypatch, kernels, channels, every):
    monkeypatch.setattr(on_device, "LINKS", 60)
    shapes = np.ascontiguousarray(kernels[:, :channels])
    pieces = [drawn(shapes, channels, every, seed=seed) for seed in range(2)]
    found = OnDevice(pieces, DEVICE).pursue(shapes)
    for (events, left), (expected, rest) in zip(found, OnCpu(pieces).pursue(shapes), strict=True):
        assert len(events) > 5
        assert listed(events) == listed(expected)
        np.testing.assert_allclose(left, rest, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_choices_beyond_the_links_of_a_chain_cost_little(kernels, seed):
    x = drawn(kernels, 2, 20, seed=seed)
    ((events, left),) = OnDevice([x], DEVICE).pursue(kernels)
    expected, rest = pursuit.pursue(x, pursuit.known_of(kernels))
    bits = pursuit.cost(left) + pursuit.EVENT_BITS * len(events)
    assert bits < 1.01 * (pursuit.cost(rest) + pursuit.EVENT_BITS * len(expected))


def test_a_device_says_how_well_windows_explain_each_other(kernels):
    wide = np.random.default_rng(1).normal(0, 9, (5, 2, LENGTH + 16)).astype(np.float32)
    shapes = np.ascontiguousarray(wide[:, :, 8:-8])
    found = OnDevice([wide[0]], DEVICE).explained(wide, shapes)
    np.testing.assert_allclose(found, OnCpu([wide[0]]).explained(wide, shapes), rtol=1e-4)


def test_a_piece_shorter_than_a_kernel_has_no_events(kernels):
    x = np.ones((2, LENGTH - 1), np.float32)
    ((events, left),) = OnDevice([x], DEVICE).pursue(kernels)
    assert len(events) == 0
    assert np.array_equal(left, x)


def test_a_device_finds_no_more_events_than_a_chunk_may_have(monkeypatch, kernels):
    monkeypatch.setattr(on_device, "capacity", lambda samples, length: 3)
    ((events, _),) = OnDevice([drawn(kernels, 2)], DEVICE).pursue(kernels)
    assert 0 < len(events) <= 3


WAITING = {"item", "tolist", "cpu", "nonzero", "to", "is_nonzero", "unique", "copy_", "__array__"}
WAITING |= {"__bool__", "__int__", "__float__", "__index__"}


class Copies(torch.overrides.TorchFunctionMode):
    """Counts what the search calls of torch that copies to the CPU, or waits for the device."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        frame = sys._getframe(1)
        while "/torch/" in frame.f_code.co_filename:
            frame = frame.f_back
        if function.__name__ in WAITING and frame.f_code.co_filename == on_device.__file__:
            self.counts[function.__name__] += 1
        return function(*args, **(kwargs or {}))


def test_events_come_back_in_one_copy_for_each_round(monkeypatch, kernels):
    rounds = []
    take = on_device._take
    monkeypatch.setattr(on_device, "_take", lambda *given: rounds.append(1) or take(*given))
    pieces = [drawn(kernels, 2, 33, seed=seed) for seed in range(3)]
    with Copies() as copies:
        finder = OnDevice(pieces, DEVICE)
        assert copies.counts == {"to": 1}, "the pieces go there once"
        finder.pursue(kernels)
        finder.pursue(kernels)
    assert len(rounds) > 4
    assert copies.counts == {"to": 3, "cpu": len(rounds)}, "and kernels once for each pursuit"


@pytest.fixture
def through_torch(monkeypatch):
    """Let "cuda" lead through torch where there is no GPU, and count the pieces that go there."""
    sent = []

    def finder(pieces, device):
        sent.append(len(pieces))
        return OnDevice(pieces, DEVICE)

    for room in (learning, excerpts):
        monkeypatch.setattr(
            room, "finder_of", lambda x, device: OnCpu(x) if device == "cpu" else finder(x, device)
        )
    for room in (encoder, incremental):
        monkeypatch.setattr(room, "checked_device", str)
    return sent


BEATS = np.rint(
    300 * np.exp(-(((np.arange(6000) % 290 - 100) / 9.0) ** 2))
    + np.random.default_rng(0).normal(0, 5, 6000)
).astype(np.int16)


@pytest.mark.parametrize("target", [{"prdn": 8.0}, {"max_error": 20}], ids=str)
def test_a_stream_made_on_a_device_keeps_its_target(through_torch, target):
    blob = san.compress(BEATS, fs=360, device="cuda", **target)
    expected = san.compress(BEATS, fs=360, **target)
    y = san.decompress(blob)
    assert through_torch, "no events were looked for"
    assert san.inspect(blob).sections["dictionary"] > 0
    assert abs(len(blob) - len(expected)) <= 0.02 * len(expected)
    if "prdn" in target:
        assert san.prdn(BEATS, y) <= 8
    else:
        assert np.abs(BEATS.astype(int) - y).max() <= 20


def test_a_recording_is_coded_part_by_part_with_a_device(through_torch, tmp_path):
    with (tmp_path / "x.san").open("wb") as file:
        options = {"fs": 360, "prdn": 8.0, "chunk_seconds": 9, "device": "cuda"}
        with san.Encoder(file, np.int16, **options) as writer:
            writer.write(BEATS)
    assert len(through_torch) > 1
    assert san.prdn(BEATS, san.decompress((tmp_path / "x.san").read_bytes())) <= 8


@pytest.mark.parametrize("device", ["abacus", "cuda:", "cuda:one", "cpu:0", "mps", None], ids=str)
def test_other_devices_are_refused(device):
    with pytest.raises(ValueError, match=r"device must be cpu or cuda, or cuda:1 .* got "):
        san.compress(BEATS, prdn=8, device=device)


@pytest.mark.parametrize("there, found", [(0, "none"), (2, "2 of them")])
def test_a_device_that_is_not_there_ends_in_one_line(monkeypatch, there, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    words = f"^device cuda:2 needs an NVIDIA GPU, and torch finds {found} here: give device cpu$"
    with pytest.raises(ValueError, match=words):
        san.compress(BEATS, prdn=8, device="cuda:2")
    with pytest.raises(ValueError, match=words):
        san.Encoder(None, np.int16, prdn=8, device="cuda:2")
    if there:
        assert checked_device(torch.device("cuda:1")) == "cuda:1"


def test_a_device_needs_torch(monkeypatch):
    monkeypatch.setattr("san.packages.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="this needs torch, which is not installed"):
        san.compress(BEATS, prdn=8, device="cuda")


def test_what_was_found_elsewhere_is_settled_as_a_pursuit_does(kernels):
    x = drawn(kernels, 2)
    expected, rest = pursuit.pursue(x, pursuit.known_of(kernels), bits=0)
    half = expected.amplitudes / 2
    twice = [np.concatenate([a, a]) for a in (expected.starts, expected.kernels)]
    events, left = pursuit.settle(x, kernels, *twice, np.concatenate([half, half]), 0)
    assert listed(events) == listed(expected)
    np.testing.assert_allclose(left, rest, atol=1e-4)
