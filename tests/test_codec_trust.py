"""What must never happen to a stream: a wrong array, a crash, a hang, memory that was not declared.

Streams are cut, flipped and mutated, also with their checksums put right again, so that decoders
meet what only a hostile writer could make. Frozen streams decode for ever to the same samples.
"""

import functools
import hashlib
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from unittest import mock

import numpy as np
import plain_decoder
import pytest

import san
from san.codec import encoder
from san.codec.entropy import extension
from san.codec.entropy.varints import write_varint
from san.codec.errors import CodecError
from san.codec.file_format.stream import StreamReader

GOLDEN = pathlib.Path(__file__).parent / "golden"
SMALL = 300  # samples
FILES = {"short": b"at rest", "long": b"0.1,0.2\n" * 40, "empty": b""}


def signal(channels=1, dtype="int16"):
    """Something with beats, small enough to be decoded thousands of times."""
    t = np.arange(SMALL)
    x = 60 * np.exp(-((((t[:, None] + 20 * np.arange(channels)) % 90 - 40) / 5.0) ** 2))
    x = np.rint(x + np.random.default_rng(channels).normal(0, 2, x.shape) + 20)
    x = x[:, 0] if channels == 1 else x
    return x.astype(dtype) if np.dtype(dtype).kind != "f" else (x / 200).astype(dtype)


@functools.cache
def streams():
    """Streams of the long form, although they are short."""
    with mock.patch.object(encoder, "SHORT_STREAM", 0):
        return long_streams()


def long_streams():
    shared = san.learn_dictionary(np.tile(signal(), 12), fs=90, prdn=10)
    gaps = signal(dtype="float64")
    gaps[40:50], gaps[70] = np.nan, np.inf
    return {
        "prdn": san.compress(signal(), fs=90, prdn=10),
        "dictionary": san.compress(signal(), fs=90, prdn=10, dictionary=shared),
        "bounded": san.compress(signal(), fs=90, max_error=4),
        "lossless": san.compress(signal(dtype="uint8"), lossless=True),
        "two channels": san.compress(signal(2), fs=90, prdn=15),
        "chunks": san.compress(signal(), fs=90, max_error=3, chunk_seconds=1),
        "grid": san.compress(signal(dtype="float32"), lossless=True),
        "gaps": san.compress(gaps, max_error=0.05),
        "bits": san.compress(np.random.default_rng(0).normal(size=40), lossless=True),
        "bits per sample": san.compress(signal(), bits_per_sample=4),
        "attachments": san.compress(signal(), max_error=4, attachments=FILES),
        "rules": san.compress((signal(2) * 4.88).astype("i2"), lossless=True),
    }


@functools.cache
def compact_streams():
    """Streams of one chunk under one checksum."""
    shared = san.learn_dictionary(np.tile(signal(), 12), fs=90, prdn=10)
    return {
        "compact": san.compress(signal(), fs=90, prdn=10),
        "compact floats": san.compress(signal(2, "float64"), fs=1 / 3, max_error=0.01, names="II"),
        "compact kernels": san.compress(signal(), fs=90, prdn=10, dictionary=shared),
        "compact attachments": san.compress(signal(), max_error=4, attachments=FILES),
        "compact rules": san.compress((signal(2) * 4.88).astype("i2"), lossless=True),
    }


COMPACT = ["compact", "compact floats", "compact kernels", "compact attachments", "compact rules"]
NAMES = ["prdn", "dictionary", "bounded", "lossless", "two channels", "chunks", "grid", "gaps"]
NAMES += ["bits", "bits per sample", "attachments", "rules"]


def decoded_or_refused(stream, limits=None):
    """Whether a stream decodes; any error but the codec's own is a failure."""
    try:
        return san.decompress(stream, limits=limits)
    except CodecError:
        return None


def named(name):
    return compact_streams()[name] if name in COMPACT else streams()[name]


@pytest.mark.parametrize("name", NAMES + COMPACT)
def test_a_stream_that_is_cut_is_refused(name):
    for size in range(len(named(name))):
        assert decoded_or_refused(named(name)[:size]) is None


@pytest.mark.parametrize("name", NAMES + COMPACT)
def test_a_stream_with_a_flipped_bit_is_refused(name):
    stream = named(name)
    for bit in range(8 * len(stream)):
        flipped = bytearray(stream)
        flipped[bit // 8] ^= 1 << bit % 8
        assert decoded_or_refused(bytes(flipped)) is None, bit


def mutate(stream, source):
    """One to four bytes changed, added or taken away."""
    data = bytearray(stream)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(data))
        kind = source.randrange(4)
        if kind == 0:
            data[at] = source.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << source.randrange(8)
        elif kind == 2 and len(data) > 1:
            del data[at]
        else:
            data.insert(at, source.randrange(256))
    return bytes(data)


@pytest.mark.slow
def test_twenty_thousand_mutations_are_refused():
    source = random.Random(1)
    small = [*streams().values(), *compact_streams().values()]
    for _ in range(20_000):
        stream = source.choice(small)
        mutated = mutate(stream, source)
        if mutated != stream:
            assert decoded_or_refused(mutated) is None


def rebuilt(header, payloads, end):
    """A stream of one header block and other payloads, its checksums right."""
    parts = [header]
    for number, payload in enumerate(payloads):
        size = len(payload) + 1
        while size > 127:
            parts.append(bytes([size & 127 | 128]))
            size >>= 7
        parts.append(bytes([size]))
        checksum = zlib.crc32(payload, zlib.crc32(struct.pack("<I", number)))
        parts += [payload, struct.pack("<I", checksum)]
    return b"".join(parts) + end


def parts_of(stream):
    """Header block, payloads, and the bytes from the end mark on."""
    reader = StreamReader(stream)
    payloads = [reader.chunk(i) for i in range(reader.chunk_count)]
    end = stream[-struct.unpack("<I", stream[-4:])[0] :]
    framed = rebuilt(b"", payloads, b"")
    return stream[: len(stream) - len(end) - len(framed)], payloads, end


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_payloads_with_right_checksums_decode_or_are_refused(name):
    source = random.Random(2)
    header, payloads, end = parts_of(streams()[name])
    assert rebuilt(header, payloads, end) == streams()[name]
    shape = san.decompress(streams()[name]).shape
    slowest = 0.0
    for _ in range(500):
        hostile = [p if source.random() < 0.3 else mutate(p, source) for p in payloads]
        if source.random() < 0.1:
            hostile = [source.randbytes(source.randint(0, 200)) for _ in payloads]
        pairs = zip(hostile, payloads, strict=True)  # of the old sizes: the index stays right
        hostile = [p[: len(q)].ljust(len(q), b"\x55") for p, q in pairs]
        began = time.process_time()
        found = decoded_or_refused(rebuilt(header, hostile, end))
        slowest = max(slowest, time.process_time() - began)
        assert found is None or found.shape == shape
    assert slowest < 2


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPACT)
def test_compact_streams_with_right_checksums_decode_or_are_refused(name):
    source = random.Random(5)
    stream, slowest = compact_streams()[name], 0.0
    little = san.Limits(samples=1 << 20)  # a million samples take less than a second
    first = 6 + len(write_varint(len(stream)))  # after the length
    assert sealed(stream[:6], stream[first:-4]) == stream
    for _ in range(500):
        hostile = sealed(stream[:6], mutate(stream[first:-4], source))
        began = time.process_time()
        decoded_or_refused(hostile, little)
        if time.process_time() - began > 1:  # it may have compiled
            began = time.process_time()
            decoded_or_refused(hostile, little)
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 2


def sealed(head, body):
    """A compact stream, its length and its checksum right."""
    whole = head + write_varint(len(body) + 4) + body
    return whole + struct.pack("<I", zlib.crc32(whole))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_headers_with_right_checksums_decode_or_are_refused(name):
    source = random.Random(4)
    header, payloads, end = parts_of(streams()[name])
    slowest = 0.0
    for _ in range(500):
        hostile = bytearray(header[:-4])
        for _ in range(source.randint(1, 3)):
            hostile[source.randrange(5, len(hostile))] = source.choice((0, 1, 127, 128, 255, 42))
        block = bytes(hostile) + struct.pack("<I", zlib.crc32(hostile))
        began = time.process_time()
        decoded_or_refused(rebuilt(block, payloads, end))
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 2


@pytest.mark.parametrize("name", NAMES)
def test_hostile_payloads_take_no_more_memory_than_what_they_declare(name):
    source = random.Random(3)
    header, payloads, end = parts_of(streams()[name])
    for stream in streams().values():  # compiles what a hostile one may lead to
        san.decompress(stream)
    tracemalloc.start()
    for _ in range(20):
        hostile = [source.randbytes(len(p)) for p in payloads]
        decoded_or_refused(rebuilt(header, hostile, end))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


# Frozen streams


def golden():
    path = GOLDEN / "golden.json"
    return json.loads(path.read_text()) if path.exists() else {"streams": {}, "faulty": {}}


def digest(array):
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()


def shared_dictionary(entry):
    return san.Dictionary.load(GOLDEN / entry["dictionary"]) if "dictionary" in entry else None


def test_there_are_enough_frozen_streams():
    assert len(golden()["streams"]) >= 64
    assert len(golden()["faulty"]) >= 32


@pytest.mark.parametrize("name", golden()["streams"])
def test_a_frozen_stream_decodes_to_what_it_always_did(name):
    entry = golden()["streams"][name]
    found = san.decompress((GOLDEN / name).read_bytes(), dictionary=shared_dictionary(entry))
    assert (list(found.shape), found.dtype.name) == (entry["shape"], entry["dtype"])
    assert digest(found) == entry["sha256"]


def test_attachments_of_a_frozen_stream_are_what_they_always_were():
    entry = golden()["streams"]["attachments.san"]
    stream = (GOLDEN / "attachments.san").read_bytes()
    decoder, files = san.Decoder(stream), plain_decoder.read_container(stream)[-1]
    assert set(decoder.info.attachments) == set(files) == set(entry["attachments"])
    for name, expected in entry["attachments"].items():
        assert decoder.attachment(name) == files[name]
        assert hashlib.sha256(files[name]).hexdigest() == expected


@pytest.mark.parametrize("name", golden()["streams"])
def test_the_second_decoder_agrees_on_a_frozen_stream(name):
    entry = golden()["streams"][name]
    shared = shared_dictionary(entry)
    stream = (GOLDEN / name).read_bytes()
    values, shape, dtype = plain_decoder.decode(stream, shared.data if shared else None)
    assert (list(shape), dtype) == (entry["shape"], entry["dtype"])
    packed = struct.pack(f"<{len(values)}{np.dtype(dtype).char}", *values)
    assert hashlib.sha256(packed).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("name", golden()["faulty"])
def test_the_second_decoder_refuses_a_faulty_stream(name):
    shared = shared_dictionary(golden()["faulty"][name])
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode((GOLDEN / name).read_bytes(), shared.data if shared else None)


@pytest.mark.parametrize("name", golden()["faulty"])
def test_a_faulty_stream_has_the_error_it_always_had(name):
    entry = golden()["faulty"][name]
    with pytest.raises(CodecError) as caught:
        san.decompress((GOLDEN / name).read_bytes(), dictionary=shared_dictionary(entry))
    assert type(caught.value).__name__ == entry["error"]


DECODE_ALL = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None
import hashlib, json, pathlib
import san
folder = pathlib.Path(sys.argv[1])
for name, entry in json.loads((folder / "golden.json").read_text())["streams"].items():
    shared = san.Dictionary.load(folder / entry["dictionary"]) if "dictionary" in entry else None
    found = san.decompress((folder / name).read_bytes(), dictionary=shared)
    little = found.astype(found.dtype.newbyteorder("<"), copy=False)
    print(name, hashlib.sha256(little.tobytes()).hexdigest())
"""

SETTINGS = {
    "as plain Python": ({"SAN_LOOPS": "python"}, ("numba", "torch", "scipy", "wfdb")),
    "in the extension": ({"SAN_LOOPS": "extension"}, ("numba", "torch", "scipy", "wfdb")),
    "two threads": ({"SAN_LOOPS": "llvm", "OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"}, ()),
    "the oldest instructions": (
        {
            "SAN_LOOPS": "llvm",
            "NUMBA_CPU_NAME": "generic",
            "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
        },
        (),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_frozen_streams_decode_alike(setting):
    variables, missing = SETTINGS[setting]
    if setting == "in the extension" and extension.built() is None:
        pytest.skip("the extension was not built")
    environment = os.environ | variables  # what is compiled is kept for each processor apart
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DECODE_ALL, str(GOLDEN), *missing],
        env=environment, cwd=extension.HOME,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = dict(line.split() for line in done.stdout.splitlines())
    assert lines == {name: entry["sha256"] for name, entry in golden()["streams"].items()}
