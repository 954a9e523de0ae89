"""Windows of streams for PyTorch: they are those of the decoded stream, in every worker."""

import pickle

import numpy as np
import pytest
import torch
import wfdb
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, RandomSampler

import san
from san.torch import StreamDataset
from san.zarr import SAN

FS = 100
CHUNK = 250  # samples


def signal(seed, kind):
    """Bumps of one of two widths, 20 s."""
    rng = np.random.default_rng(seed)
    x = 3 * rng.standard_normal(20 * FS)
    width = (8, 24)[kind]
    for second in range(19):
        middle = second * FS + 60 + int(rng.integers(-10, 10))
        x[middle - width : middle + width] += 100 * np.hanning(2 * width)
    return np.rint(x).astype(np.int16)


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """A folder with streams of two leads, and one with a gap."""
    folder = tmp_path_factory.mktemp("streams")
    for seed in range(4):
        x = np.stack([signal(seed, seed % 2), signal(9, 0)], axis=1)
        options = {"max_error": 2, "events": False, "chunk_seconds": CHUNK / FS}
        if seed == 3:
            x = x.astype(np.float32)
            x[300:320] = np.nan
        blob = san.compress(x, fs=FS, names=("a", "b"), **options)
        (folder / f"s{seed}.san").write_bytes(blob)
    return folder


@pytest.fixture(scope="module")
def plain(streams):
    """Windows at every sample, of both channels, in the units of the streams."""
    return StreamDataset(streams, 330, stride=1, channels=["b", "a"], standardise=False)


@settings(max_examples=25)
@given(st.integers(0, 4 * (2000 - 330 + 1) - 1))
def test_a_window_is_a_part_of_the_decoded_stream(streams, plain, index):
    number, start = plain.place(index)
    assert (number, start) == divmod(index, 2000 - 330 + 1)
    x = san.read(streams / f"s{number}.san").x[start : start + 330, ::-1]
    np.testing.assert_array_equal(plain[index], np.nan_to_num(x.T).astype(np.float32))
    assert torch.equal(plain[index - len(plain)], plain[index])


def test_a_standardised_window(streams):
    dataset = StreamDataset(streams, 200, channels="all")
    for index in range(len(dataset)):
        x = dataset[index].numpy()
        there = x != 0
        np.testing.assert_allclose(x.sum(1) / there.sum(1), 0, atol=1e-4)
        square = (x**2).sum(1) / (there.sum(1) - 1)
        np.testing.assert_allclose(square, 1, atol=1e-3)
    gap = dataset[3 * 10 + 1].numpy()
    assert (gap[:, 100:120] == 0).all() and dataset.names[3] == "s3"


def test_workers_and_a_small_cache_give_the_same_windows(streams):
    dataset = StreamDataset(streams, 300, stride=70, cache_megabytes=0)
    expected = torch.stack([dataset[index] for index in range(len(dataset))])
    found = torch.cat(list(DataLoader(dataset, batch_size=7, num_workers=2)))
    assert torch.equal(found, expected)
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[5], expected[5])


def test_windows_of_a_zarr_array(tmp_path):
    x = np.stack([signal(0, 0), signal(1, 1)], axis=1)
    serializer = SAN(max_error=1, fs=FS, events=False)
    array = zarr.create_array(
        str(tmp_path / "x.zarr"), data=x, chunks=(500, 2), serializer=serializer, compressors=None
    )
    array.attrs["fs"] = FS
    dataset = StreamDataset(tmp_path / "x.zarr", 400, channels=1, standardise=False)
    assert dataset.fs == FS and len(dataset) == 5
    np.testing.assert_array_equal(dataset[2][0], array[800:1200, 1].astype(np.float32))


def test_labels_of_annotations_and_of_a_channel(tmp_path):
    x = np.stack([signal(0, 0) / 100, np.repeat([1.0, 2.0], 1000)], axis=1)
    options = {"units": ["mV", "NU"], "sig_name": ["ecg", "stage"], "fmt": ["16"] * 2}
    wfdb.wrsamp("r", fs=FS, p_signal=x, write_dir=str(tmp_path), **options)
    wfdb.wrann("r", "atr", np.array([100, 900]), ["N", "V"], write_dir=str(tmp_path))
    stages = StreamDataset(tmp_path / "r", 500, labels="stage")
    assert stages.classes == ["", "1", "2"]
    assert [stages.classes[stages[i][1]] for i in range(4)] == ["1", "1", "2", "2"]
    beats = StreamDataset(tmp_path / "r", 500, labels="atr")
    assert [beats.classes[beats[i][1]] for i in range(4)] == ["N", "V", "", ""]


def test_a_newcomer_trains_a_classifier_from_an_archive(tmp_path, command):
    (tmp_path / "records").mkdir()
    for seed in range(6):
        np.save(tmp_path / "records" / f"r{seed}.npy", signal(seed, seed % 2))
    code, _, err = command(
        *"archive records streams --max-error 2 --no-events --chunk-seconds 5".split(),
        *"--fs 100 --jobs 1".split(),
    )
    assert code == 0, err
    labels = {f"r{seed}": seed % 2 for seed in range(6)}
    dataset = StreamDataset("streams", 200, stride=1, labels=labels)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv1d(1, 4, 31), torch.nn.ReLU(), torch.nn.AdaptiveMaxPool1d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 2),
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    sampler = RandomSampler(dataset, replacement=True, num_samples=1600)
    for x, y in DataLoader(dataset, batch_size=32, sampler=sampler):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    test = [dataset[index] for index in range(0, len(dataset), 97)]
    right = [int(model(x[None]).argmax() == y) for x, y in test]
    assert np.mean(right) > 0.9


WRONG = {
    "window": (dict(window=0), "window and stride must be at least 1, got 0 and None"),
    "long": (dict(window=3000), "no recording has the 3000 samples of a window"),
    "channel": (dict(window=9, channels="c"), "s0 has no channel 'c'; it has 0 a, 1 b"),
    "labels": (dict(window=9, labels={"s0": 1}), "labels have no class for the recording s1"),
    "no labels": (dict(window=9, labels="atr"), "no channel and no annotations 'atr'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_said_in_words(case, streams):
    options, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        StreamDataset(streams, **options)


def test_other_rates_and_windows_that_are_not_there(streams, tmp_path):
    (tmp_path / "fast.san").write_bytes(san.compress(signal(0, 0), fs=200, lossless=True))
    with pytest.raises(ValueError, match=r"fast has 1 channels of 200\.0 Hz, and s0 has 1 of 100"):
        StreamDataset([streams / "s0.san", tmp_path / "fast.san"], 100)
    with pytest.raises(IndexError, match="there are 20 windows, and no window 20"):
        StreamDataset(streams / "s0.san", 100)[20]
