"""Threads: any number of them gives the same bytes and samples, in the same order."""

import threading

import numpy as np
import pytest

import san
from san.codec.threads import in_order


def walk(n, channels=2):
    noise = np.random.default_rng(n).integers(-9, 10, (n, channels))
    return np.cumsum(noise, 0).astype(np.int16)


@pytest.mark.parametrize(
    "asked",
    [
        {"lossless": True, "effort": "fast"},
        {"max_error": 3, "effort": "fast"},
        {"prdn": 5, "effort": "fast"},
        {"lossless": True},
        {"max_error": 3, "events": False},
    ],
    ids=["fast, lossless", "fast, bound", "fast, PRDN", "lossless", "bound"],
)
def test_threads_change_neither_bytes_nor_samples(asked):
    x = walk(900)
    one = san.compress(x, 100, chunk_seconds=2, **asked)
    assert san.inspect(one).chunks == 5
    assert san.compress(x, 100, chunk_seconds=2, threads=3, **asked) == one
    y = san.decompress(one)
    assert np.array_equal(san.decompress(one, threads=3), y)
    assert np.array_equal(np.concatenate(list(san.Decoder(one, threads=2))), y)


def test_several_threads_do_the_work_and_the_order_stays():
    meet = threading.Barrier(3, timeout=20)  # raises unless three threads are there at once

    def work(item):
        meet.wait()
        return item, threading.get_ident()

    found = list(in_order(work, range(6), threads=3))
    assert [item for item, _ in found] == list(range(6))
    assert len({thread for _, thread in found}) == 3


def test_no_more_is_begun_than_there_are_threads():
    taken = []

    def items():
        for item in range(9):
            taken.append(item)
            yield item

    first = next(reader := in_order(abs, items(), threads=2))
    assert first == 0 and len(taken) <= 3
    reader.close()


def test_an_error_in_a_chunk_reaches_the_reader_of_several():
    stream = bytearray(san.compress(walk(4000), 100, chunk_seconds=10, lossless=True))
    stream[len(stream) // 2] ^= 255
    with pytest.raises(san.CodecError) as alone:
        san.decompress(bytes(stream))
    with pytest.raises(san.CodecError) as together:
        san.decompress(bytes(stream), threads=4)
    assert str(together.value) == str(alone.value)


@pytest.mark.parametrize("threads", [0, 1.5, True, "2"])
def test_a_number_of_threads_that_there_cannot_be_is_refused(threads):
    words = f"threads must be a whole number from 1 on, got {threads!r}"
    with pytest.raises(ValueError, match=words):
        san.compress(walk(20), lossless=True, threads=threads)
    with pytest.raises(ValueError, match=words):
        san.Decoder(san.compress(walk(20), lossless=True), threads=threads)


def test_the_commands_take_threads(command, tmp_path):
    np.save(tmp_path / "x.npy", x := walk(500))
    common = ["--lossless", "--effort", "fast", "--fs", "100", "--chunk-seconds", "1"]
    for threads in (1, 3):
        out = f"{threads}.san"
        assert command("compress", "x.npy", out, "--threads", threads, *common)[0] == 0
    assert (tmp_path / "1.san").read_bytes() == (tmp_path / "3.san").read_bytes()
    assert command("decompress", "3.san", "y.npy", "--threads", 2)[0] == 0
    assert np.array_equal(np.load(tmp_path / "y.npy"), x)
    code, _, said = command("decompress", "3.san", "z.npy", "--threads", 0)
    assert code == 2 and said.endswith("threads must be a whole number from 1 on, got 0\n")
