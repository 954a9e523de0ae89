"""Live recordings: each chunk is on the disk when its samples are there, at every target."""

import contextlib
import io
import time

import numpy as np
import pytest

import san
from san.codec.errors import TruncatedStream

FS = 360
TARGETS = {
    "lossless": {"lossless": True},
    "bound": {"max_error": 4},
    "prdn": {"prdn": 9},
    "bits": {"bits_per_sample": 3},
}
EVENTS = {
    "events": {},
    "events of a dictionary": {"dictionary": "ecg"},
    "no events": {"events": False},
}


@pytest.fixture(scope="module")
def ecg():
    """Twenty seconds of the recording that comes with the package, as its converter gave them."""
    return np.rint(200 * san.datasets.load_recording().x[: 20 * FS, 0]).astype(np.int16)


def whole_chunks_in(path):
    """The number of whole chunks that another process would find in the file now."""
    with open(path, "rb") as file:
        try:
            return san.recover(file, io.BytesIO()).chunks
        except TruncatedStream:
            return 0


@pytest.mark.parametrize("events", EVENTS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_chunk_is_in_the_file_when_its_last_sample_was_written(target, events, ecg, tmp_path):
    path, seconds = tmp_path / "live.san", 4
    chunk = seconds * FS
    options = {**TARGETS[target], **EVENTS[events]}
    with open(path, "wb") as file:
        with san.Encoder(file, ecg.dtype, fs=FS, chunk_seconds=seconds, **options) as encoder:
            for begin in range(0, 2 * chunk, chunk // 2):
                encoder.write(ecg[begin : begin + chunk // 2 - 1])
                assert whole_chunks_in(path) == begin // chunk
                encoder.write(ecg[begin + chunk // 2 - 1 : begin + chunk // 2])
                assert whole_chunks_in(path) == (begin + chunk // 2) // chunk
            encoder.write(ecg[2 * chunk : 2 * chunk + 99])
    y = san.decompress(path.read_bytes())
    assert len(y) == 2 * chunk + 99
    if target == "prdn":
        assert san.prdn(ecg[: len(y)], y) <= 9
    elif target != "bits":
        assert np.abs(y - ecg[: len(y)]).max() <= (4 if target == "bound" else 0)


def test_a_chunk_is_on_the_disk_within_its_own_length_by_a_clock(ecg, tmp_path):
    """All targets, with and without events, are recorded side by side in real time."""
    seconds, tick, chunks = 2, 0.1, 2
    part, late, encoders = round(tick * FS), [], {}
    with contextlib.ExitStack() as files:
        for target in TARGETS:
            for events in ("events of a dictionary", "no events"):
                options = {"fs": FS, "chunk_seconds": seconds, **TARGETS[target], **EVENTS[events]}
                with san.Encoder(io.BytesIO(), ecg.dtype, **options) as first:
                    first.write(ecg[: seconds * FS])  # what is compiled or loaded once
                path = tmp_path / f"{target} {events}.san"
                file = files.enter_context(open(path, "wb"))
                encoders[path] = files.enter_context(san.Encoder(file, ecg.dtype, **options))
        begin = time.monotonic()
        for number in range(1, round(chunks * seconds / tick) + 1):
            time.sleep(max(0, begin + number * tick - time.monotonic()))
            given = time.monotonic()
            for encoder in encoders.values():
                encoder.write(ecg[(number - 1) * part : number * part])
            if number * part % (seconds * FS) == 0:
                late.append(time.monotonic() - given)
                whole = {whole_chunks_in(path) for path in encoders}
                assert whole == {number * part // (seconds * FS)}
    assert len(late) == chunks and max(late) < seconds


@pytest.mark.parametrize("learn, first", [(None, 1), (4, 2), (5, 2), (9, 4)])
def test_learn_seconds_says_how_much_is_held_back(learn, first, ecg):
    file, written = io.BytesIO(), []
    encoder = san.Encoder(file, ecg.dtype, fs=FS, prdn=9, chunk_seconds=2, learn_seconds=learn)
    for begin in range(0, 12 * FS, 2 * FS):
        encoder.write(ecg[begin : begin + 2 * FS])
        written.append(bool(file.getvalue()))
    assert written.index(True) + 1 == first
    encoder.finish()
    assert len(san.decompress(file.getvalue())) == 12 * FS


def test_without_chunk_seconds_the_file_is_not_flushed(ecg):
    class File(io.BytesIO):
        flushed = 0

        def flush(self):
            self.flushed += 1

    for options, flushed in (({}, 0), ({"chunk_seconds": 5}, 5)):  # four chunks, and the end
        file = File()
        with san.Encoder(file, ecg.dtype, fs=FS, lossless=True, **options) as encoder:
            encoder.write(ecg)
        assert file.flushed == flushed


def test_the_last_chunk_and_the_end_are_written_at_once(ecg):
    class File(io.BytesIO):
        def write(self, data):
            self.sizes.append(len(data))
            return super().write(data)

    file = File()
    file.sizes = []
    with san.Encoder(file, ecg.dtype, fs=FS, lossless=True, chunk_seconds=3) as encoder:
        encoder.write(ecg)
    info = san.inspect(file.getvalue())
    assert file.sizes[-1] > info.sections["index"] and len(file.sizes) == 1 + 6 + 1


@pytest.mark.parametrize(
    "options, words",
    [
        ({"learn_seconds": 5}, "learn_seconds needs fs"),
        ({"learn_seconds": 0, "fs": 9}, "learn_seconds must be above 0 and finite, got 0"),
        ({"chunk_seconds": 2}, "chunk_seconds needs fs"),
    ],
)
def test_wrong_seconds_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        san.Encoder(io.BytesIO(), np.int16, prdn=8, **options)
