"""Windows of a stream: what a decoder keeps, and that it is only a matter of time and memory."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.codec import decoder as decoding
from san.recent import Recent

CHUNK, CHUNKS = 100, 7
X = np.arange(CHUNK * CHUNKS - 30, dtype=np.int16)
BLOB = san.compress(X, fs=100, lossless=True, chunk_seconds=1)
MEGABYTE = 2**20 // 8  # float64 values


@pytest.fixture
def decoded(monkeypatch):
    """The lengths of the chunks that were decoded so far."""
    lengths, decode = [], decoding.decode_chunk

    def count(payload, samples, *rest):
        lengths.append(samples)
        return decode(payload, samples, *rest)

    monkeypatch.setattr(decoding, "decode_chunk", count)
    return lengths


def chunks_of(lengths):
    return [length for length in lengths if length]  # an array without samples is not a chunk


def test_a_chunk_is_decoded_once_for_windows_near_each_other(decoded):
    decoder = san.Decoder(BLOB)
    for start in range(210, 290, 10):
        assert np.array_equal(decoder.read(start, start + 10), X[start : start + 10])
    assert chunks_of(decoded) == [CHUNK]
    decoder.read(250, 350)
    assert chunks_of(decoded) == [CHUNK, CHUNK]


def test_without_a_cache_every_window_decodes_its_chunk(decoded):
    decoder = san.Decoder(BLOB, cache_megabytes=0)
    for _ in range(3):
        decoder.read(210, 220)
    assert chunks_of(decoded) == [CHUNK] * 3


def test_the_chunks_used_longest_ago_make_room(decoded):
    decoder = san.Decoder(BLOB, cache_megabytes=2 * X[:CHUNK].nbytes / 2**20)
    for chunk in (0, 1, 0, 2, 0, 1):
        decoder.read(chunk * CHUNK, chunk * CHUNK + 1)
    assert len(chunks_of(decoded)) == 4  # 0, 1, 2, and 1 again


def test_going_through_all_chunks_keeps_none(decoded):
    decoder = san.Decoder(BLOB)
    assert sum(map(len, decoder)) == len(decoder.read()) == len(X)
    del decoded[:]
    decoder.read(0, 1)
    assert chunks_of(decoded) == [CHUNK]


def test_what_a_reader_does_with_a_window_stays_with_that_reader():
    decoder = san.Decoder(BLOB)
    window = decoder.read(0, 50)
    window[:] = -1
    assert np.array_equal(decoder.read(0, 50), X[:50])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(-800, 800), st.integers(-800, 800)), max_size=20),
    st.sampled_from([0, 1e-4, 3e-4, 64]),
)
def test_windows_are_those_of_the_array_whatever_is_kept(windows, megabytes):
    decoder = san.Decoder(BLOB, cache_megabytes=megabytes)
    for start, stop in windows:
        assert np.array_equal(decoder.read(start, stop), X[start:stop])


def test_threads_share_a_decoder(decoded):
    decoder, wrong = san.Decoder(BLOB), []

    def read(seed):
        for start in np.random.default_rng(seed).integers(0, len(X) - 60, 50):
            if not np.array_equal(decoder.read(start, start + 60), X[start : start + 60]):
                wrong.append(start)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong and len(chunks_of(decoded)) == CHUNKS  # each was decoded by one of them


def test_a_damaged_chunk_is_an_error_each_time():
    damaged = bytearray(BLOB)
    damaged[37] ^= 1  # in the payload of chunk 0
    decoder = san.Decoder(bytes(damaged))
    for _ in range(2):
        with pytest.raises(san.CodecError, match="checksum"):
            decoder.read(0, 10)


@pytest.mark.parametrize("megabytes", [-1, float("nan")])
def test_a_cache_of_less_than_nothing_is_refused(megabytes):
    with pytest.raises(ValueError, match="a cache has 0 megabytes or more"):
        san.Decoder(BLOB, cache_megabytes=megabytes)


def test_kept_arrays_never_have_more_memory_than_stated():
    recent = Recent(megabytes=3)
    for number, size in enumerate([1, 1, 2, 4, 1, 3, 2]):  # megabytes
        made = recent.get(number, lambda size=size: np.zeros(size * MEGABYTE))
        assert made.nbytes == size * 2**20 and recent.bytes <= 3 * 2**20
    assert len(recent) == 1 and recent.bytes == 2 * 2**20
    with pytest.raises(ValueError, match="read-only"):
        recent.get(6, list)[:] = 1


def test_so_many_arrays_are_kept_whatever_their_size():
    recent = Recent(megabytes=0, least=2)
    for number in (0, 1, 2):
        recent.get(number, lambda: np.zeros(MEGABYTE))
    assert len(recent) == 2 and recent.get(1, lambda: None) is not None
