"""Compact streams: short recordings in few bytes around their payload."""

import io
import math
import struct
import zlib
from dataclasses import replace

import numpy as np
import plain_decoder
import pytest
from hypothesis import given
from hypothesis import strategies as st

import san
from san.codec import encoder
from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream, LimitExceeded, TruncatedStream, WrongDictionary
from san.codec.file_format.attachments import pack_attachments
from san.codec.file_format.compact import read_number, write_number
from san.codec.file_format.header import Footer, Header
from san.codec.file_format.limits import Limits
from san.codec.file_format.stream import StreamReader
from san.codec.file_format.writing import compact_stream
from san.codec.modes.dictionary import quantize
from san.codec.numbers.grids import BITS, Scale
from san.codec.numbers.representation import Representation
from san.codec.numbers.rules import ROUND, Rule

INT16 = np.dtype("int16")
T = np.arange(900)
X = np.rint(60 * np.exp(-(((T % 90 - 40) / 5.0) ** 2)) + 3 * np.sin(T / 7)).astype("i2")
PLAIN = Header(Representation(INT16, 1, 1), 100, 360.0, "prdn", 8.0)


def long_form(monkeypatch, *given, **options):
    """The stream that `compress` would write without the compact form."""
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "SHORT_STREAM", 0)
        return san.compress(*given, **options)


OPTIONS = {
    "lossless": {"lossless": True},
    "a bound": {"max_error": 2},
    "a PRDN": {"prdn": 8, "events": False},
    "two targets": {"prdn": 9, "max_error": 4, "events": False},
    "units and names": {"prdn": 9, "units": "mV", "names": ["II"]},
    "attachments": {"prdn": 9, "attachments": {"note": b"at rest", "zeros": bytes(99)}},
    "kernels": {"prdn": 12, "fs": 90},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_short_stream_is_compact_and_says_what_a_long_one_says(options, monkeypatch):
    options = {"fs": 360, **options}
    blob, long = san.compress(X, **options), long_form(monkeypatch, X, **options)
    assert blob[4] == 4 and blob[5] & 4 and len(blob) <= len(long) - 40
    assert np.array_equal(san.decompress(blob), san.decompress(long))
    new, old = san.inspect(blob), san.inspect(long)
    assert new.prdn >= old.prdn and new.largest_error >= old.largest_error
    assert math.isclose(new.prdn, old.prdn, rel_tol=2e-7)
    assert math.isclose(new.largest_error, old.largest_error, rel_tol=2e-7)
    differ = {"version", "bytes", "sections", "compression_ratio", "bits_per_sample"}
    differ |= {"prdn", "largest_error"}
    for name in vars(new).keys() - differ:
        assert getattr(new, name) == getattr(old, name), name
    assert sum(new.sections.values()) == new.bytes == len(blob)
    decoder = san.Decoder(io.BytesIO(blob))
    for name, data in options.get("attachments", {}).items():
        assert decoder.attachment(name) == data
        assert plain_decoder.read_container(blob)[3][name] == data
    values, _, _ = plain_decoder.decode(blob)
    assert values == san.decompress(blob).tolist()


@pytest.mark.filterwarnings("ignore:x of shape:UserWarning")
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("n", [0, 1, 17, 300])
def test_arrays_of_every_dtype_and_length_come_back(n, dtype):
    x = np.abs(X[: 2 * n].reshape(n, 2) if n else np.zeros((0, 2))).astype(dtype)
    x = x / np.array(8, dtype) if dtype[0] == "f" else x
    blob = san.compress(x, lossless=True)
    y = san.decompress(blob)
    assert blob[5] & 4 and y.dtype == x.dtype and np.array_equal(y, x)
    values, shape, _ = plain_decoder.decode(blob)
    assert shape == x.shape and values == y.ravel().tolist()


def test_seventeen_bytes_and_the_payload_are_a_stream_without_loss():
    blob = san.compress(X, fs=360, lossless=True)
    assert len(blob) - san.inspect(blob).sections["predicted"] == 17
    blob = san.compress(X, fs=360, prdn=8, events=False)
    assert len(blob) - san.inspect(blob).sections["payload"] <= 24


def test_bits_per_sample_count_what_the_compact_form_takes():
    blob = san.compress(X, bits_per_sample=2)
    assert blob[5] & 4 and 8 * len(blob) <= 2 * X.size


def test_a_stream_that_needs_version_4_is_compact_up_to_32_kb_if_it_is_predicted():
    random = np.random.default_rng(0)
    x = np.cumsum(random.integers(-9, 10, (1700, 2)), 0)
    x = np.column_stack([x, x.sum(1) + random.integers(0, 2, 1700)]).astype("i2")
    blob = san.compress(x, lossless=True)
    info = san.inspect(blob)
    assert StreamReader(blob).is_compact and len(blob) > 2048
    assert info.sections["predicted"] > 2000 and info.sections["payload"] == 0
    assert sum(info.sections.values()) == len(blob)
    assert np.array_equal(san.decompress(blob), x)
    values, _, _ = plain_decoder.decode(blob)
    assert values == x.ravel().tolist()


def test_long_streams_and_chunks_keep_the_long_form():
    noise = np.random.default_rng(0).integers(-999, 999, 8000).astype("i2")
    assert not StreamReader(san.compress(noise, lossless=True)).is_compact
    chunks = san.compress(X, fs=90, max_error=1, chunk_seconds=2)
    assert not StreamReader(chunks).is_compact
    file = io.BytesIO()
    with san.Encoder(file, X.dtype, lossless=True) as each:
        each.write(X)
    assert not StreamReader(file.getvalue()).is_compact


class Pipe(io.RawIOBase):
    """A file that cannot seek."""

    def __init__(self, data):
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, size=-1):
        return self.rest.read(min(size, 7))


def test_a_source_that_cannot_seek_gives_all_of_a_compact_stream():
    blob = san.compress(X, fs=360, max_error=2, attachments={"note": b"at rest"})
    decoder = san.Decoder(Pipe(blob))
    assert np.array_equal(np.concatenate(list(decoder)), san.decompress(blob))
    assert decoder.attachment("note") == b"at rest" and decoder.info == san.inspect(blob)
    assert np.array_equal(decoder.read(30, 60), san.decompress(blob, 30, 60))


FOOTER = Footer(100, 2.0, 7.5)


def compact(header=PLAIN, footer=FOOTER, attachments=b"", payload=b"abc"):
    return compact_stream(header, footer, attachments, payload)


HEADERS = {
    "plain": PLAIN,
    "texts": replace(PLAIN, units=("mV",), names=("µ",)),
    "channels": replace(PLAIN, representation=Representation(INT16, 2, 3), names=("a", "b", "c")),
    "bits": replace(PLAIN, representation=Representation(np.dtype("f8"), 1, 1, (Scale(BITS),))),
    "rules": replace(
        PLAIN, representation=Representation(INT16, 1, 1, rules=(Rule(ROUND, 4.88, 0.5),))
    ),
    "carried": replace(PLAIN, dictionary=b"shapes"),
    "named": replace(PLAIN, dictionary_sha256=bytes(range(32))),
    "named shortly": replace(PLAIN, dictionary_sha256=b"abcd"),
    "two targets": replace(PLAIN, bound=0.125),
    "odd numbers": replace(PLAIN, fs=1 / 3, value=8.123456789),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_every_field_comes_back(header):
    for attachments in (b"", pack_attachments({"note": b"at rest"}, Limits())):
        blob = compact(header, attachments=attachments)
        reader = StreamReader(blob)
        assert reader.header == replace(header, newer_modes=True)
        assert reader.footer == Footer(100, 2.0, 7.5) and reader.chunk(0) == b"abc"
        assert reader.places[-1] == len(blob) and list(reader.chunks()) == [b"abc"]
        own, payloads, samples, _ = plain_decoder.read_container(blob)
        assert (payloads, samples, own.channels) == ([b"abc"], 100, header.representation.channels)


def test_what_a_compact_stream_cannot_say_is_not_compact():
    assert compact(replace(PLAIN, chunk_samples=99)) is None
    exact = replace(PLAIN, target="lossless", value=0.0)
    assert compact(exact) is None and compact(exact, Footer(100)) is not None
    assert compact(replace(PLAIN, value=9.1), Footer(100, 1.0, 9.1)) is None  # 9.1 is no float32
    assert compact(footer=Footer(100, 1.0, 1e300)) is None
    assert compact(footer=Footer(100, 1.0, math.inf)) is not None
    assert compact(attachments=bytes(1 << 20)) is None


def sealed(body, flags=4):
    """A compact stream of this body, its length and its checksum right."""
    head = b"\x93SAN\4" + bytes([flags]) + write_varint(len(body) + 4)
    return head + body + struct.pack("<I", zlib.crc32(head + body))


ERROR = struct.pack("<f", 7.5)
GOOD = b"\x21\xa0\x0b\x20\x64\x08" + ERROR + b"abc"  # int16, prdn, 360 Hz, 8.0, 100 samples, 2.0
FAULTS = {
    "nothing": (b"", 4),
    "an unknown dtype": (b"\x27" + GOOD[1:], 4),
    "an unknown target": (b"\xf1" + GOOD[1:], 4),
    "no channels": (b"\x29\0" + GOOD[1:], 4),
    "a rate that is infinite": (b"\x21\3" + struct.pack("<d", np.inf) + GOOD[3:], 4),
    "a rate below 0": (b"\x21\3" + struct.pack("<d", -360.0) + GOOD[3:], 4),
    "a rate in another form": (b"\x21\3" + struct.pack("<d", 360.0) + GOOD[3:], 4),
    "a rate of thousandths": (b"\x21" + write_varint(360_000 * 4 + 1) + GOOD[3:], 4),
    "a rate that is too large for its form": (b"\x21" + write_varint(2**40) + GOOD[3:], 4),
    "a form with more": (b"\x21\x07" + bytes(8) + GOOD[3:], 4),
    "a PRDN that is no number": (GOOD[:6] + struct.pack("<f", np.nan) + b"abc", 4),
    "a PRDN below 0": (GOOD[:6] + struct.pack("<f", -1) + b"abc", 4),
    "a chunk without samples": (GOOD[:4] + b"\0" + GOOD[5:], 4),
    "no texts": (GOOD[:4] + b"\0\0" + GOOD[4:], 12),
    "no dictionary": (GOOD[:4] + b"\0" + GOOD[4:], 20),
    "an unknown dictionary": (GOOD[:4] + b"\4" + bytes(32) + GOOD[4:], 20),
    "rules of floats": (b"\x25\1\0\x40\x01" + GOOD[1:], 6),
    "attachments that are none": (GOOD[:10] + b"\1\0" + bytes(4), 5),
    "an unknown flag": (GOOD, 36),
}


def test_the_faults_are_faults_of_a_good_stream():
    assert StreamReader(sealed(GOOD)).header == replace(PLAIN, newer_modes=True)
    assert plain_decoder.read_container(sealed(GOOD))[1] == [b"abc"]


@pytest.mark.parametrize(("body", "flags"), FAULTS.values(), ids=FAULTS)
def test_faults_are_refused_by_both_decoders(body, flags):
    with pytest.raises(CorruptStream):
        StreamReader(sealed(body, flags))
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.read_container(sealed(body, flags))


@pytest.mark.parametrize("flags", [8, 16, 24])
def test_flags_of_compact_streams_mean_nothing_without_theirs(flags):
    with pytest.raises(CorruptStream, match="no stream has the flags"):
        StreamReader(sealed(GOOD, flags))
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.read_container(sealed(GOOD, flags))


def test_damage_is_told_in_words():
    blob = san.compress(X, fs=360, max_error=2)
    for size in range(len(blob)):
        with pytest.raises(TruncatedStream):
            san.decompress(blob[:size])
        with pytest.raises(plain_decoder.Refused):
            plain_decoder.decode(blob[:size])
    with pytest.raises(CorruptStream, match="bytes follow the end of the stream"):
        san.decompress(blob + b"\0")
    damaged = blob[:40] + bytes([blob[40] ^ 1]) + blob[41:]
    with pytest.raises(CorruptStream, match="does not agree with its checksum"):
        san.decompress(damaged)
    with pytest.raises(IndexError, match="chunk 1 is not among the 1"):
        StreamReader(blob).chunk(1)


def test_limits_hold_before_memory_is_taken():
    many = GOOD[:4] + write_varint(2**40) + GOOD[5:]
    with pytest.raises(LimitExceeded, match="samples, limit"):
        StreamReader(sealed(many))
    with pytest.raises(LimitExceeded, match="chunk values"):
        StreamReader(sealed(GOOD[:4] + write_varint(2**30) + GOOD[5:]))
    with pytest.raises(LimitExceeded, match="channels"):
        StreamReader(sealed(b"\x29" + write_varint(2**20) + GOOD[1:]))
    with pytest.raises(CorruptStream, match="has 1048576 bytes at most"):
        StreamReader(Pipe(b"\x93SAN\4\4" + write_varint(2**40) + bytes(100)))
    with pytest.raises(LimitExceeded, match="payload bytes"):
        StreamReader(sealed(GOOD), Limits(payload_bytes=2))


def test_a_short_name_needs_the_dictionary_that_begins_so():
    shared = san.learn_dictionary(np.tile(X, 4), fs=90, prdn=10)
    other = quantize(np.hanning(32)[None, None])
    blob = encoder.encode(
        X, encoder.Target(prdn=10.0), 90.0, dictionary=shared, embed_dictionary=False,
        short_name=True,
    )  # fmt: skip
    long = san.compress(X, 90.0, prdn=10, dictionary=shared, embed_dictionary=False)
    assert len(blob) == len(long) - 28
    assert san.inspect(blob).dictionary_sha256 == shared.sha256[:8]
    y = san.decompress(blob, dictionary=shared)
    assert np.array_equal(y, san.decompress(long, dictionary=shared))
    assert plain_decoder.decode(blob, shared.data)[0] == y.tolist()
    for wrong in (None, other):
        with pytest.raises(WrongDictionary, match=shared.sha256[:8]):
            san.decompress(blob, dictionary=wrong)


@given(
    st.floats(0, allow_nan=False)
    | st.integers(0, 2**31).map(float)
    | st.integers(0, 2**31).map(lambda m: m / 1000)
    | st.floats(0, width=32, allow_nan=False)
)
def test_numbers_become_bytes_and_back(value):
    data = write_number(abs(value))
    assert read_number(Fields(data)) == value
    assert plain_decoder.read_number(plain_decoder.Reader(data)) == value
