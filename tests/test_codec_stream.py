"""The container: what is written is read, and what is damaged is one of the codec's own errors."""

import io
import math
import pickle
import struct
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import plain_decoder
import pytest
from hypothesis import given
from hypothesis import strategies as st

import san
from san.codec import encoder
from san.codec.entropy.varints import (
    read_varint,
    read_varints,
    write_signed,
    write_varint,
    write_varints,
)
from san.codec.errors import (
    CodecError,
    CorruptStream,
    LimitExceeded,
    TruncatedStream,
    UnsupportedVersion,
    WrongDictionary,
)
from san.codec.file_format.attachments import Attachment, pack_attachments, restored
from san.codec.file_format.header import TARGETS, pack_header, unpack_footer, unpack_header
from san.codec.file_format.stream import MAGIC, Footer, Header, Limits, StreamReader
from san.codec.file_format.writing import StreamWriter
from san.codec.numbers.grids import BITS, GAIN, POWER, STEP, Scale
from san.codec.numbers.integers import DTYPES, Representation


@pytest.fixture(autouse=True)
def long_form(monkeypatch):
    """What these tests compress is laid out as longer streams are."""
    monkeypatch.setattr(encoder, "SHORT_STREAM", 0)


PLAIN = Header(Representation(np.dtype("int16"), 1, 1), 100, 360.0, "prdn", 8.0)


def stream(payloads, header=PLAIN, **footer):
    """The bytes of a stream whose chunks are all full."""
    file = io.BytesIO()
    writer = StreamWriter(file)
    writer.write_header(header)
    for payload in payloads:
        writer.write_chunk(payload)
    writer.finish(Footer(**{"samples": len(payloads) * header.chunk_samples, **footer}))
    assert writer.written == len(file.getvalue())
    return file.getvalue()


def read_all(source, **options):
    reader = StreamReader(source, **options)
    return list(reader.chunks()), reader


class Pipe(io.RawIOBase):
    """A file that cannot seek and gives a few bytes at a time."""

    def __init__(self, data, most=7):
        self.inner, self.most, self.largest = io.BytesIO(data), most, 0

    def readable(self):
        return True

    def read(self, count=-1):
        self.largest = max(self.largest, count)
        return self.inner.read(min(count, self.most))


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


class Drain(io.RawIOBase):
    """A file that cannot seek and takes a few bytes at a time."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data[:5]
        return len(data[:5])


def with_checksum(body, version=1):
    """Magic, version and a header of this body."""
    block = MAGIC + bytes([version]) + write_varint(len(body)) + body
    return block + struct.pack("<I", zlib.crc32(block))


def header_body(
    code=1, channels=1, fs=0.0, scales=(), units=(0,), names=(0,), target=0, value=0.0,
    chunk_samples=5, dictionary=(0,), more=(),
):  # fmt: skip
    """A whole header, field by field, so that one of them can be wrong and no other."""
    start = bytes([code]) + write_varint(channels) + struct.pack("<d", fs) + bytes(scales)
    middle = bytes([*units, *names, target]) + struct.pack("<d", value)
    return start + middle + write_varint(chunk_samples) + bytes([*dictionary, *more])


SMALL = {
    "no chunk": stream([]),
    "one": stream([b"payload"]),
    "empty payloads": stream([b"", b"", b""]),
    "short last chunk": stream([b"first", b"second"], samples=150, largest_error=3.0, prdn=7.9),
    "index": stream([bytes([i]) for i in range(35)], sections=(17, 18)),
    "texts": stream(
        [b"x" * 20],
        Header(
            Representation(np.dtype("f8"), 2, 2, (Scale(GAIN, 200.0), Scale(BITS))),
            10,
            units=("mV", "NU"),
            names=("MLII", "Ω"),
            dictionary=b"shapes",
        ),
    ),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "source",
    [bytes, bytearray, memoryview, io.BytesIO, Pipe],
    ids=lambda kind: kind.__name__,
)
def test_every_source_gives_the_same(name, source):
    expected, reader = read_all(SMALL[name])
    chunks, other = read_all(source(SMALL[name]))
    assert chunks == expected
    assert (other.header, other.footer) == (reader.header, reader.footer)
    assert other.chunk_count == len(chunks)
    assert sum(map(other.samples_of, range(len(chunks)))) == other.footer.samples
    assert [reader.chunk(i) for i in reversed(range(len(chunks)))][::-1] == chunks
    assert [reader.chunk(i) for i in range(len(chunks))] == chunks


def test_writing_needs_no_seek_and_takes_short_writes():
    drain = Drain()
    writer = StreamWriter(drain)
    writer.write_header(PLAIN)
    writer.write_chunk(b"payload")
    writer.finish(Footer(100))
    assert bytes(drain.data) == SMALL["one"]


def test_little_is_added():
    assert StreamReader(SMALL["no chunk"])._first <= 36
    assert len(SMALL["no chunk"]) <= 66
    assert len(stream([b"a" * 100] * 9)) - len(stream([b"a" * 100] * 8)) == 105


SCALES = {
    "int8": (),
    "float32": (Scale(POWER, exponent=-149), Scale(STEP, 0.1, -0.3), Scale(BITS)),
    "float64": (Scale(GAIN, 1e-300, 7.5), Scale(POWER, exponent=1023), Scale(GAIN, 200.0)),
}


@pytest.mark.parametrize(
    "header",
    [
        *(
            Header(Representation(d, 2, 3, SCALES.get(d.name, ())), 5)
            for d in DTYPES
            if d.name in SCALES
        ),
        *(Header(Representation(np.dtype("u2"), 1, 1), 5, 0.1, t, 0.0) for t in TARGETS),
        Header(Representation(np.dtype("f4"), 2, 1, (Scale(BITS),)), 2**26, 1e9),
        Header(PLAIN.representation, 9, 1.0, "prdn", 8.0, newer_modes=True, bound=0.1),
        Header(Representation(np.dtype("i2"), 2, 1024), 1, units=("mV",), names=("a",) * 1024),
        Header(Representation(np.dtype("i2"), 1, 1), 7, dictionary=b""),
        Header(Representation(np.dtype("i2"), 1, 1), 7, dictionary=bytes(5000)),
        Header(Representation(np.dtype("i2"), 1, 1), 7, dictionary_sha256=bytes(range(32))),
        Header(Representation(np.dtype("i2"), 1, 1), 7, units=("µ" * 32,)),
    ],
    ids=lambda h: f"{h.representation.dtype} {h.target} {h.chunk_samples}",
)
def test_header_fields_come_back(header):
    assert StreamReader(stream([], header)).header == header


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"chunk_samples": 0}, "chunk_samples"),
        ({"fs": float("nan")}, "fs"),
        ({"fs": -1.0}, "fs"),
        ({"target": "best"}, "'best'"),
        ({"value": float("inf")}, "cannot have the value inf"),
        ({"target": "lossless", "value": 1.0}, "cannot have the value"),
        ({"target": "max_error", "bound": 1.0}, "max_error cannot have a bound of 1.0"),
        ({"bound": -1.0}, "prdn cannot have a bound of -1.0"),
        ({"bound": float("nan")}, "prdn cannot have a bound of nan"),
        ({"units": ("mV", "mV")}, "units must be none, one or 1, got 2"),
        ({"names": ("µ" * 33,)}, "66 bytes"),
        ({"names": ("\ud800",)}, "half a character"),
        ({"dictionary": b"", "dictionary_sha256": bytes(32)}, "4 bytes, got 32"),
        ({"dictionary_sha256": bytes(31)}, "got 31"),
        ({"representation": Representation(np.dtype("i2"), 1, 2)}, "one channel"),
        ({"representation": Representation(np.dtype("i2"), 3, 2)}, "dimensions"),
    ],
    ids=str,
)
def test_headers_that_are_none_are_refused(fields, words):
    plain = {"representation": PLAIN.representation, "chunk_samples": 100, "target": "prdn"}
    with pytest.raises(ValueError, match=words):
        Header(**{**plain, **fields})


@pytest.mark.parametrize("fields", [{"samples": -1}, {"largest_error": -1.0}, {"prdn": np.nan}])
def test_footers_that_are_none_are_refused(fields):
    with pytest.raises(ValueError, match="got"):
        Footer(**{"samples": 1, **fields})


def test_the_order_of_writing():
    writer = StreamWriter(io.BytesIO())
    with pytest.raises(RuntimeError, match="after the header"):
        writer.write_chunk(b"")
    writer.write_header(PLAIN)
    with pytest.raises(RuntimeError, match="once"):
        writer.write_header(PLAIN)
    writer.write_chunk(b"")
    with pytest.raises(ValueError, match="201 samples are 3 chunks, and 1 were written"):
        writer.finish(Footer(201))
    writer.finish(Footer(1))
    with pytest.raises(RuntimeError, match="before the end"):
        writer.finish(Footer(1))


@pytest.mark.parametrize("source", [bytes, Pipe], ids=["bytes", "pipe"])
@pytest.mark.parametrize("name", SMALL)
def test_every_cut_is_told(name, source):
    for end in range(len(SMALL[name])):
        with pytest.raises(TruncatedStream):
            read_all(source(SMALL[name][:end]))


@pytest.mark.parametrize("source", [bytes, Pipe], ids=["bytes", "pipe"])
@pytest.mark.parametrize("name", SMALL)
def test_every_flipped_bit_is_told(name, source):
    for place in range(len(SMALL[name])):
        for bit in range(8):
            damaged = bytearray(SMALL[name])
            damaged[place] ^= 1 << bit
            with pytest.raises(CodecError):
                read_all(source(bytes(damaged)))


@pytest.mark.parametrize("source", [bytes, Pipe], ids=["bytes", "pipe"])
@pytest.mark.parametrize("more", [b"\0", b"more", SMALL["one"]], ids=len)
def test_bytes_after_the_end_are_corruption(source, more):
    with pytest.raises(CorruptStream, match="bytes follow the end"):
        read_all(source(SMALL["index"] + more))


def test_a_stream_that_was_cut_gives_what_is_whole():
    cut = SMALL["index"][: len(SMALL["index"]) // 2]
    reader, chunks = StreamReader(cut, sequential=True), []
    with pytest.raises(TruncatedStream, match="chunk"):
        chunks.extend(reader.chunks())
    generator = StreamReader(cut, sequential=True).chunks()
    assert [next(generator) for _ in range(10)] == [bytes([i]) for i in range(10)]
    with pytest.raises(TruncatedStream, match="it ends before chunk"):
        StreamReader(cut)


def test_swapped_chunks_are_told():
    data = stream([b"first", b"later"])
    first = StreamReader(data)._first
    swapped = data[:first] + data[first + 10 : first + 20] + data[first : first + 10]
    swapped += data[first + 20 :]
    for source in (swapped, Pipe(swapped)):
        with pytest.raises(CorruptStream, match="chunk 0 does not agree"):
            read_all(source)


def test_a_stream_of_version_4_has_flags_after_its_version():
    blob = stream([b"a"], replace(PLAIN, newer_modes=True))
    reader = StreamReader(blob)
    assert (reader.version, blob[4:6], reader.header.newer_modes) == (4, b"\4\0", True)
    assert len(blob) == len(stream([b"a"])) + 1
    assert plain_decoder.read_container(blob)[1] == [b"a"]
    changed = blob[:5] + b"\x80" + blob[6:]
    with pytest.raises(CorruptStream, match="no stream has the flags 0x80"):
        StreamReader(changed)
    with pytest.raises(plain_decoder.Refused, match="flags"):
        plain_decoder.decode(changed)
    with pytest.raises(TruncatedStream, match="the flags"):
        StreamReader(blob[:5])


def test_attachments_are_a_flag_of_version_4():
    files = pack_attachments({"note": b"at rest"}, Limits())
    file = io.BytesIO()
    writer = StreamWriter(file)
    writer.write_header(replace(PLAIN, newer_modes=True), files)
    writer.finish(Footer(0))
    reader = StreamReader(file.getvalue())
    assert reader.version == 4 and reader.attachment("note") == b"at rest"
    assert plain_decoder.read_container(file.getvalue())[3] == {"note": b"at rest"}


@pytest.mark.parametrize("mode", [3, 4, 5])
def test_newer_modes_are_refused_in_older_streams(mode):
    blob = stream([bytes([mode])])
    with pytest.raises(CorruptStream, match=f"mode {mode}"):
        san.decompress(blob)
    with pytest.raises(plain_decoder.Refused, match="mode"):
        plain_decoder.decode(blob)


def test_another_version_and_other_files():
    with pytest.raises(UnsupportedVersion, match=r"version 2 .* knows 1, 3, 4: install a newer"):
        StreamReader(MAGIC + b"\2")
    with pytest.raises(CorruptStream, match="no SAN stream: it begins with 5249464624"):
        StreamReader(b"RIFF$...WAVE")
    with pytest.raises(TypeError, match="binary"):
        StreamReader(io.StringIO("text"))
    with pytest.raises(TypeError, match="got int"):
        StreamReader(5)


def test_only_what_is_needed_is_read():
    header = Header(PLAIN.representation, 1000)
    file = Counting(stream([bytes(5000)] * 100, header))
    reader = StreamReader(file)
    assert file.count < 150
    for number in (50, 95, 3, 4, 5, 99, 0):
        file.count = 0
        assert reader.chunk(number) == bytes(5000)
        assert file.count <= 5006 + 2 * 15
    for wrong in (-1, 100):
        with pytest.raises(IndexError, match="among the 100"):
            reader.chunk(wrong)


def test_chunks_and_chunk_do_not_disturb_each_other():
    payloads = [bytes([i]) * i for i in range(40)]
    reader = StreamReader(stream(payloads))
    for number, payload in enumerate(reader.chunks()):
        assert payload == payloads[number]
        assert reader.chunk(39 - number) == payloads[39 - number]


def test_a_stream_may_lie_behind_other_bytes():
    file = io.BytesIO(b"other bytes" + SMALL["index"])
    file.seek(11)
    chunks, reader = read_all(file)
    assert len(chunks) == 35
    assert reader.chunk(20) == chunks[20]


def test_a_pipe_gives_its_chunks_once_and_in_order():
    reader = StreamReader(Pipe(SMALL["one"]))
    with pytest.raises(ValueError, match="the source cannot seek: read its chunks in their order"):
        reader.chunk(0)
    with pytest.raises(ValueError, match="known after the footer"):
        reader.samples_of(0)
    assert list(reader.chunks()) == [b"payload"]
    with pytest.raises(ValueError, match="once"):
        list(reader.chunks())


@pytest.mark.parametrize("source", [bytes, Pipe], ids=["bytes", "pipe"])
@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("index", {"samples": 3499}),
        ("texts", {"channels": 1}),
        ("texts", {"chunk_values": 19}),
        ("texts", {"dictionary_bytes": 5}),
        ("texts", {"header_bytes": 30}),
        ("one", {"payload_bytes": 6}),
    ],
    ids=str,
)
def test_limits_name_what_raises_them(name, limits, source):
    ((field, limit),) = limits.items()
    with pytest.raises(LimitExceeded, match=rf"limit {limit}: raise it with Limits\({field}="):
        read_all(source(SMALL[name]), limits=Limits(**limits))
    read_all(source(SMALL[name]), limits=Limits(**{field: limit + 10_000}))


def test_a_writer_refuses_what_no_reader_accepts():
    wide = Header(Representation(np.dtype("i2"), 2, 1025), 1)
    with pytest.raises(LimitExceeded, match="1025 channels"):
        StreamWriter(io.BytesIO()).write_header(wide)
    writer = StreamWriter(io.BytesIO())
    writer.write_header(PLAIN)
    with pytest.raises(LimitExceeded, match="2625 payload bytes, limit 2624"):
        writer.write_chunk(bytes(2625))
    writer.write_chunk(bytes(2624))


NAMED = Header(PLAIN.representation, 100, names=("MLII",), dictionary=bytes(50))
HEADER_BYTES = len(pack_header(NAMED)) - 50


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"header_bytes": HEADER_BYTES - 1}, f"{HEADER_BYTES} header bytes, limit"),
        ({"dictionary_bytes": 49}, "50 dictionary bytes, limit 49"),
        ({"chunk_values": 99}, "100 chunk values, limit 99"),
    ],
    ids=["header", "dictionary", "chunk"],
)
def test_a_writer_writes_no_header_beyond_its_limits(limits, words):
    file = io.BytesIO()
    with pytest.raises(LimitExceeded, match=words):
        StreamWriter(file, Limits(**limits)).write_header(NAMED)
    assert file.getvalue() == b""
    ((field, limit),) = limits.items()
    StreamWriter(file, Limits(**{field: limit + 1})).write_header(NAMED)
    StreamReader(file.getvalue(), Limits(**{field: limit + 1}), sequential=True)


def test_a_writer_stops_at_its_limit_of_samples():
    file = io.BytesIO()
    writer = StreamWriter(file, Limits(samples=100))
    writer.write_header(PLAIN)
    writer.write_chunk(b"first")
    before = file.getvalue()
    with pytest.raises(LimitExceeded, match=r"101 samples, limit 100: raise it with Limits\(sam"):
        writer.write_chunk(b"second")
    assert file.getvalue() == before
    writer.finish(Footer(100))
    assert read_all(file.getvalue(), limits=Limits(samples=100))[0] == [b"first"]


@pytest.mark.parametrize(
    ("limits", "footer", "words"),
    [
        (Limits(samples=149), Footer(150), "150 samples, limit 149"),
        (Limits(header_bytes=37), Footer(150, sections=(1,) * 17), "38 header bytes, limit 37"),
    ],
    ids=["samples", "sections"],
)
def test_a_writer_writes_no_footer_beyond_its_limits(limits, footer, words):
    file = io.BytesIO()
    writer = StreamWriter(file, limits)
    writer.write_header(PLAIN)
    writer.write_chunk(b"first")
    writer.write_chunk(b"second")
    before = file.getvalue()
    with pytest.raises(LimitExceeded, match=words):
        writer.finish(footer)
    assert file.getvalue() == before
    writer.finish(Footer(149, sections=(1,) * 16))
    assert read_all(file.getvalue(), limits=limits)[0] == [b"first", b"second"]


class Refusing(io.RawIOBase):
    """A file that does not wait and has no room."""

    def writable(self):
        return True

    def write(self, data):
        return None


def test_a_file_that_would_block_is_told():
    writer = StreamWriter(Refusing())
    with pytest.raises(BlockingIOError, match="would block: give one that waits"):
        writer.write_header(PLAIN)
    assert writer.written == 0


HEAD = SMALL["no chunk"][: StreamReader(SMALL["no chunk"])._first]


@pytest.mark.parametrize("source", [bytes, Pipe], ids=["bytes", "pipe"])
@pytest.mark.parametrize(
    ("start", "length", "words"),
    [
        (MAGIC + b"\1", 1051, "1051 dictionary bytes, limit 50"),
        (with_checksum(header_body(), 3), 1001, "1001 header bytes, limit 1000"),
        (HEAD + b"\0", 1001, "1001 header bytes, limit 1000"),
    ],
    ids=["header", "attachments", "footer"],
)
def test_a_length_beyond_the_limits_is_refused_before_it_is_read(start, length, words, source):
    limits = Limits(header_bytes=1000, dictionary_bytes=50)
    body = bytes(length) + bytes(4)
    data = start + write_varint(length) + body
    end = struct.pack("<I", len(data) + 4 - len(HEAD))  # where the footer is, if there is one
    file = source(data + end)
    with pytest.raises(LimitExceeded, match=words):
        read_all(file, limits=limits)
    if source is Pipe:
        assert file.inner.tell() <= len(data) - len(body)
    less = start + write_varint(length - 1) + body[1:] + end
    with pytest.raises(CorruptStream, match="not agree with"):
        read_all(source(less), limits=limits)


class Endless(io.RawIOBase):
    """A pipe whose chunks never end."""

    def __init__(self, head):
        self.ready, self.number = bytearray(head), 0

    def readable(self):
        return True

    def read(self, count=-1):
        assert self.number < 100, "the reader goes on and on"
        while len(self.ready) < count:
            checksum = zlib.crc32(struct.pack("<I", self.number))
            self.ready += b"\1" + struct.pack("<I", checksum)  # an empty payload
            self.number += 1
        taken = bytes(self.ready[:count])
        del self.ready[:count]
        return taken


def test_an_endless_pipe_ends_at_the_limit_of_samples():
    chunks = []
    with pytest.raises(LimitExceeded, match="1001 samples, limit 1000"):
        chunks.extend(StreamReader(Endless(HEAD), Limits(samples=1000)).chunks())
    assert chunks == [b""] * 10


@pytest.mark.parametrize(
    ("mark", "words"),
    [(1, "the footer does not agree with its checksum"), (127, "cut: it ends before chunk 35")],
    ids=["a chunk of nothing", "a long chunk"],
)
def test_a_damaged_end_mark_is_told_without_the_chunks(mark, words):
    data = bytearray(SMALL["index"])
    end = StreamReader(SMALL["index"]).places[2]
    assert data[end] == 0
    data[end] = mark
    with pytest.raises(CodecError, match=words):
        san.inspect(bytes(data))


def test_lengths_that_lie_cost_no_memory():
    head = stream([])[: StreamReader(stream([]))._first]
    big = Header(Representation(np.dtype("i2"), 1, 1), 2**26)
    big_head = stream([], big)[: StreamReader(stream([], big))._first]
    lies = {
        MAGIC + b"\1" + write_varint(2**24) + b"body": r"the header has 16777216 bytes, and",
        big_head + write_varint(2**29) + b"payload": r"chunk 0 (has 536870911 bytes, and|does)",
        head + b"\0" + write_varint(2**20) + b"footer": r"the footer (has 1048576|does not agree)",
    }
    tracemalloc.start()
    for lie, words in lies.items():
        with pytest.raises(CorruptStream, match=f"{words}|the stream was cut: it ends before"):
            read_all(lie)
        for source in (Pipe(lie), Pipe(lie + bytes(3 << 20), 1 << 20)):
            with pytest.raises(CorruptStream, match=words):
                read_all(source)
            assert source.largest <= 1 << 20
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "error",
    [
        CorruptStream("words"),
        LimitExceeded("samples", 5, 4),
        UnsupportedVersion(2, (1, 3)),
        WrongDictionary(bytes(32), None),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert isinstance(error, CodecError) and isinstance(error, ValueError)


@given(
    st.lists(st.binary(max_size=60), max_size=50),
    st.integers(0, 99),
    st.floats(0, allow_nan=False),
    st.lists(st.integers(0, 2**63 - 1), max_size=5),
)
def test_any_payloads_come_back(payloads, missing, error, sections):
    footer = {
        "samples": max(0, 100 * len(payloads) - (missing if payloads else 0)),
        "largest_error": error,
        "prdn": error,
        "sections": tuple(sections),
    }
    data = stream(payloads, **footer)
    for source in (data, Pipe(data)):
        chunks, reader = read_all(source)
        assert chunks == payloads
        assert reader.footer == Footer(**footer)


BODIES = [data[6 : StreamReader(data)._first - 4] for data in SMALL.values()]


@given(st.sampled_from(BODIES), st.data())
def test_any_header_with_a_right_checksum_is_read_or_refused(body, data):
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(
        damaged[: data.draw(st.integers(0, len(body)))] if data.draw(st.booleans()) else damaged
    )
    try:
        header = StreamReader(with_checksum(damaged), sequential=True).header
    except CodecError:
        return
    assert unpack_header(damaged, Limits()) == header
    assert stream([], header)[6 : 6 + len(damaged)] == damaged


@given(st.binary(max_size=60))
def test_any_footer_is_read_or_refused(body):
    try:
        footer, offsets = unpack_footer(body, PLAIN, 35, Limits())
    except CodecError:
        return
    assert footer.samples >= 0 and offsets[0] == 35 and offsets.dtype == np.int64


FLOAT32, TWO_AXES = 5, 16

CORRUPT_HEADERS = {
    "dtype 7": ({"code": 7}, "no dtype has the code 7"),
    "dtype 15": ({"code": 15}, "no dtype has the code 15"),
    "dtype 7 of two axes": ({"code": TWO_AXES + 7}, "no dtype has the code 23"),
    "three axes": ({"code": 2 * TWO_AXES + 1}, "no dtype has the code 33"),
    "no channel": ({"channels": 0}, "of 1 dimensions cannot have 0 channels"),
    "no channel of two axes": (
        {"code": TWO_AXES + 1, "channels": 0},
        "of 2 dimensions cannot have 0 channels",
    ),
    "two channels of one axis": ({"channels": 2}, "of 1 dimensions cannot have 2 channels"),
    "NaN hertz": ({"fs": math.nan}, "must be finite, 0 or above, got nan"),
    "infinite hertz": ({"fs": math.inf}, "must be finite, 0 or above, got inf"),
    "negative hertz": ({"fs": -1.0}, "must be finite, 0 or above, got -1.0"),
    "flag of the scales": ({"code": FLOAT32, "scales": [2, 3]}, "must be 0 or 1, got 2"),
    "kind of a scale": ({"code": FLOAT32, "scales": [1, 16]}, "cannot begin with the byte 16"),
    "two units": ({"units": [2, 1, 65, 1, 65]}, "2 texts cannot describe 1 channels"),
    "two names": ({"names": [2, 1, 65, 1, 65]}, "2 texts cannot describe 1 channels"),
    "long unit": ({"units": [1, 65, *b"a" * 65]}, "a text of 65 bytes has more than 64"),
    "long name": ({"names": [1, 65, *b"a" * 65]}, "a text of 65 bytes has more than 64"),
    "unit that is no UTF-8": ({"units": [1, 1, 255]}, "a text is not UTF-8"),
    "name that is no UTF-8": ({"names": [1, 2, 195, 40]}, "a text is not UTF-8"),
    "target 4": ({"target": 4}, "no target has the code 4"),
    "target 255": ({"target": 255}, "no target has the code 255"),
    "value of lossless": ({"value": 1.0}, "lossless cannot have the value 1.0"),
    "negative value": ({"target": 1, "value": -1.0}, "max_error cannot have the value -1.0"),
    "infinite value": ({"target": 2, "value": math.inf}, "prdn cannot have the value inf"),
    "NaN as a value": ({"target": 3, "value": math.nan}, "sample cannot have the value nan"),
    "empty chunks": ({"chunk_samples": 0}, "chunk_samples must be 1 or more, got 0"),
    "kind of dictionary": ({"dictionary": [3]}, "no dictionary has the kind 3"),
    "short dictionary": ({"dictionary": [1, 4, 1, 2, 3]}, "4 bytes cannot be in the 3 left"),
    "short SHA-256": ({"dictionary": [2, *range(31)]}, "32 bytes cannot be in the 31 left"),
    "bytes left": ({"more": [0]}, "1 bytes belong to no field"),
}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"code": TWO_AXES + 6, "channels": 2, "scales": [1, 3]},
        {"code": FLOAT32, "scales": [1, 3], "fs": 360.0},
        {"units": [1, 2, *"µ".encode()], "names": [1, 1, 65]},
        {"target": 2, "value": 8.0},
        {"dictionary": [2, *range(32)]},
    ],
    ids=lambda fields: ", ".join(fields) or "plain",
)
def test_a_header_written_field_by_field_is_read(fields):
    StreamReader(with_checksum(header_body(**fields)), sequential=True)


@pytest.mark.parametrize(("fields", "words"), CORRUPT_HEADERS.values(), ids=CORRUPT_HEADERS)
def test_a_header_with_one_wrong_field_is_refused(fields, words):
    start = with_checksum(header_body(**fields))
    for options in ({}, {"sequential": True}):
        with pytest.raises(CorruptStream, match=words) as caught:
            StreamReader(start, **options)
        assert caught.type is CorruptStream
    whole = start + SMALL["no chunk"][StreamReader(SMALL["no chunk"])._first :]
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode(whole)


def footer_stream(*numbers, chunks=0):
    """A stream whose footer says something else than is there, with the right checksum."""
    start = stream([b"x"] * chunks)[: StreamReader(SMALL["no chunk"])._first + chunks * 6]
    body = b"".join(n if isinstance(n, bytes) else write_varint(n) for n in numbers)
    block = b"\0" + write_varint(len(body)) + body
    return start + block + struct.pack("<II", zlib.crc32(block), len(block) + 8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (footer_stream(100, 2, bytes(16), 0, 0), "are not 2 chunks"),
        (footer_stream(100, 1, bytes(16), 0, 0), "the index has no room for 1 chunk"),
        (footer_stream(100, 1, bytes(16), 12, 0, chunks=2), "counts 1 chunks, "),
        (footer_stream(100, 1, bytes(16), 6, 0, chunks=2), "chunks end at byte"),
        (footer_stream(1700, 17, bytes(16), 95, 7, 0, chunks=17), "index does not agree"),
        (footer_stream(1700, 17, bytes(16), 2**62 + 1, 6, 0, chunks=17), "distance"),
        (footer_stream(0, 0, struct.pack("<dd", -1, 0), 0, 0), "largest_error"),
        (footer_stream(0, 0, struct.pack("<dd", 0, float("nan")), 0, 0), "prdn"),
        (footer_stream(0, 0, bytes(16), 0, 1), "1 numbers cannot be in"),
        (footer_stream(0, 0, bytes(16), 0, 0, 0), "belong to no field"),
        (footer_stream(), "data end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_footers_that_disagree(data, words):
    for source in (data, Pipe(data)):
        with pytest.raises(CorruptStream, match=words) as caught:
            read_all(source)
        assert caught.type is CorruptStream


def test_an_index_that_lies_gives_no_wrong_chunk():
    for distance in (0, 101):
        lie = footer_stream(1700, 17, bytes(16), distance, 102 - distance, 0, chunks=17)
        with pytest.raises(CorruptStream, match="the index has no room for 17 chunks"):
            StreamReader(lie)
    for distance in (90, 95, 97):
        lie = footer_stream(1700, 17, bytes(16), distance, 102 - distance, 0, chunks=17)
        reader = StreamReader(lie)
        assert reader.chunk(15) == b"x"
        reader = StreamReader(lie)
        with pytest.raises(CorruptStream, match=r"chunk 16 (does|has|is said)|length of chunk 16"):
            reader.chunk(16)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "end within|1 numbers cannot be in 0 bytes"),
        ("80", "end within"),
        ("8000", "superfluous"),
        ("80" * 8 + "00", "superfluous"),
        ("ff" * 9, "more than 9 bytes|end within"),
        ("ff" * 9 + "01", "more than 9 bytes|end within"),
        ("ff" * 30, "more than 9 bytes|end within"),
    ],
    ids=[
        "nothing",
        "cut",
        "superfluous byte",
        "of nine",
        "nine bytes",
        "ten bytes",
        "thirty bytes",
    ],
)
def test_varints_that_are_none(data, words):
    for read in (read_varint, lambda d, p: read_varints(d, p, 1)):
        with pytest.raises(CorruptStream, match=words):
            read(bytes.fromhex(data), 0)


@given(st.lists(st.integers(0, 2**63 - 1), max_size=20))
def test_varints(values):
    data = write_varints(values)
    assert data == b"".join(map(write_varint, values))
    again, position = read_varints(data, 0, len(values))
    assert (again.tolist(), position) == (values, len(data))
    with pytest.raises(CorruptStream):
        read_varints(data, 0, len(values) + 1)


@pytest.mark.parametrize("value", [-1, 2**63])
def test_numbers_that_no_varint_holds(value):
    with pytest.raises(ValueError, match="varint must be"):
        write_varint(value)
    assert write_signed(-1) == b"\1" and write_signed(1) == b"\2"


FILES = {"short": b"at rest", "zeros": bytes(100_000), "empty": b"", "µ": b"\x00\xff"}


def attached(**options) -> bytes:
    x = np.arange(100, dtype=np.int16)
    return san.compress(x, lossless=True, attachments=FILES, **options)


@pytest.mark.parametrize("source", [lambda b: b, io.BytesIO, Pipe], ids=["bytes", "file", "pipe"])
def test_attachments_come_back(source):
    decoder = san.Decoder(source(attached()))
    assert {name: decoder.attachment(name) for name in FILES} == FILES
    assert np.array_equal(np.concatenate(list(decoder)), np.arange(100))
    assert decoder.info.attachments == {name: len(data) for name, data in FILES.items()}
    assert decoder.info.version == 3
    with pytest.raises(KeyError, match="none"):
        decoder.attachment("none")


def test_attachments_count_in_the_size_and_cost_little_of_it():
    info = san.inspect(attached())
    assert sum(info.sections.values()) == info.bytes
    assert 50 < info.sections["attachments"] < 250
    x = np.arange(2000, dtype=np.int16)
    assert len(san.compress(x, bits_per_sample=4, attachments=FILES)) <= 1000


def test_an_encoder_writes_attachments_too():
    file = io.BytesIO()
    with san.Encoder(file, np.int16, lossless=True, attachments=FILES) as encoder:
        encoder.write(np.arange(100, dtype=np.int16))
    assert san.Decoder(file.getvalue()).attachment("short") == b"at rest"


def test_a_part_is_decoded_without_its_attachments():
    blob = bytearray(attached())
    blob[blob.index(b"at rest")] ^= 1
    assert san.decompress(bytes(blob), 3, 5).tolist() == [3, 4]
    for read in (san.decompress, lambda b: san.Decoder(b).attachment("short")):
        with pytest.raises(CorruptStream, match="attachment 'short' does not agree"):
            read(bytes(blob))


@pytest.mark.parametrize("end", [1, 6, 12])
def test_attachments_that_are_cut_are_told_before_they_are_read(end):
    blob = attached()
    first = blob.index(b"at rest")
    whole = StreamReader(blob).places[1] - first
    for read in (san.inspect, san.Decoder):
        with pytest.raises(TruncatedStream, match=f"have {whole} bytes, and {end} are left"):
            read(blob[: first + end])


@pytest.mark.parametrize("size", [99_999, 100_001, 2**25])
def test_an_attachment_that_inflates_to_another_size_is_corrupt(size):
    small = zlib.compress(bytes(100_000), 9)
    entry = Attachment("zeros", 1, size, len(small))
    with pytest.raises(CorruptStream, match=f"does not have {size} bytes"):
        restored(entry, small)
    with pytest.raises(CorruptStream, match="does not inflate"):
        restored(entry, b"no zlib stream")


@pytest.mark.parametrize(
    ("limits", "field"),
    [({"attachments": 3}, "attachments"), ({"attachment_bytes": 1000}, "attachment_bytes")],
    ids=["count", "bytes"],
)
def test_limits_hold_for_attachments(limits, field):
    with pytest.raises(LimitExceeded, match=field):
        san.decompress(attached(), limits=san.Limits(**limits))


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"": b""}, ValueError, "got none"),
        ({"n" * 65: b""}, ValueError, "more than 64"),
        ({"a": "text"}, TypeError, "must be bytes, got str"),
    ],
    ids=["no name", "long name", "text"],
)
def test_attachments_are_checked_before_the_work(files, error, words):
    with pytest.raises(error, match=words):
        san.compress(np.zeros(9, np.int16), lossless=True, attachments=files)
