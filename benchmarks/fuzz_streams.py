"""What `fuzz.py` changes in streams: small ones of every mode and the golden ones, taken apart.

A stream is its blocks. They are changed, and put together again with the right lengths, checksums
and index, so that a decoder reads what only a hostile writer could make.
"""

import functools
import itertools
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

import san
from san.codec import encoder
from san.codec.entropy.varints import Fields
from san.codec.entropy.varints import write_varint as varint
from san.codec.file_format.header import COMPACT
from san.codec.file_format.stream import StreamReader

GOLDEN = Path(__file__).parents[1] / "tests/golden"
FLAGGED = 4  # the first version with a byte of flags
SAMPLES = 40  # of the streams that are made here: each decodes in about half a millisecond
LARGEST_GOLDEN = 300  # bytes; the others decode more slowly
EDGES = (0, 1, 2, 3, 4, 15, 16, 31, 32, 63, 64, 127, 128, 129, 192, 254, 255)
SIZES = (300, 65535, 2**16, 2**20, 2**26, 2**31 - 1, 2**31, 2**32, 2**33, 2**62, 2**63 - 1)
FILES = {"note": b"at rest", "table": b"0.1,0.2\n" * 20, "empty": b""}


@dataclass(frozen=True)
class Parts:
    """A stream taken apart."""

    version: int
    flags: bytes  #: one byte from version 4 on, else none
    header: bytes
    directory: bytes | None  #: None of a version without attachments
    files: tuple[bytes, ...]  #: as they are stored
    payloads: tuple[bytes, ...]
    samples: int
    chunks: int
    errors: bytes  #: largest error and PRDN, as they are stored
    sections: tuple[int, ...]

    @property
    def is_compact(self) -> bool:
        return bool(self.flags) and bool(self.flags[0] & COMPACT)


def parts_of(stream: bytes) -> Parts:
    """Take a correct stream apart."""
    fields, reader = Fields(stream), StreamReader(stream)
    fields.position = 4
    version = fields.byte()
    flags = fields.take(1) if version >= FLAGGED else b""
    length = fields.varint()
    directory: bytes | None = None
    files: list[bytes] = []
    if reader.is_compact:
        header = fields.take(reader.places[1] - fields.position)
    else:
        header = fields.take(length)
        fields.position += 4
    if reader.attachments and not reader.is_compact:
        directory = fields.take(fields.varint())
        fields.position += 4
        for entry in reader.attachments:
            files.append(fields.take(entry.stored))
            fields.position += 4
    payloads = tuple(reader.chunk(k) for k in range(reader.chunk_count or 0))
    footer = reader.footer
    assert footer is not None
    return Parts(
        version, flags, header, directory, tuple(files), payloads, footer.samples, len(payloads),
        struct.pack("<dd", footer.largest_error, footer.prdn), footer.sections,
    )  # fmt: skip


def together(parts: Parts) -> bytes:
    """The stream of these parts: lengths, checksums and index are right."""
    head = b"\x93SAN" + bytes([parts.version]) + parts.flags
    if parts.is_compact:
        body = parts.header + b"".join(parts.payloads)
        whole = head + varint(len(body) + 4) + body
        return whole + _crc(whole)
    head += varint(len(parts.header)) + parts.header
    out = [head, _crc(head)]
    if parts.directory is not None:
        block = varint(len(parts.directory)) + parts.directory
        out += [block, _crc(block)]
        out += [file + _crc(struct.pack("<I", k), file) for k, file in enumerate(parts.files)]
    place, marks = 0, []
    for number, payload in enumerate(parts.payloads):
        marks += [place] if number % 16 == 0 else []
        chunk = varint(len(payload) + 1) + payload + _crc(struct.pack("<I", number), payload)
        out.append(chunk)
        place += len(chunk)
    marks = [*(marks or [0]), place]
    body = varint(parts.samples) + varint(parts.chunks) + parts.errors
    body += b"".join(varint(b - a) for a, b in itertools.pairwise(marks))
    body += varint(len(parts.sections)) + b"".join(map(varint, parts.sections))
    end = b"\0" + varint(len(body)) + body
    return b"".join([*out, end, _crc(end), struct.pack("<I", len(end) + 8)])


def _crc(*blocks: bytes) -> bytes:
    value = 0
    for block in blocks:
        value = zlib.crc32(block, value)
    return struct.pack("<I", value)


def changed(data: bytes, source: random.Random, most: int = 4) -> bytes:
    """Bytes with one to `most` changes: flipped, replaced, taken away, put in, copied."""
    out = bytearray(data)
    for _ in range(source.randint(1, most)):
        at = source.randrange(len(out) + 1)
        kind = source.randrange(10)
        if kind == 0:
            out[at : at + 1] = source.randbytes(1)
        elif kind == 1 and at < len(out):
            out[at] ^= 1 << source.randrange(8)
        elif kind == 2:
            del out[at : at + 1]
        elif kind == 3:
            out.insert(at, source.choice(EDGES))
        elif kind == 4:
            out[at : at + 1] = bytes([source.choice(EDGES)])
        elif kind == 5:
            out[at : at + source.randint(1, 9)] = source.randbytes(source.randint(0, 9))
        elif kind == 6:
            length = source.randint(1, 20)
            out[at : at + length] = bytes([source.choice((0, 255))]) * length
        elif kind == 7 and out:
            begin = source.randrange(len(out))
            out[at:at] = out[begin : begin + source.randint(1, 16)]
        elif kind == 8:
            out[at:at] = varint(source.choice(SIZES))
        else:
            del out[at : at + source.randint(1, 30)]
    return bytes(out)


@functools.cache
def streams() -> list[bytes]:
    """Small streams of every mode, dtype and target, and the small golden ones."""
    found = [path.read_bytes() for path in sorted(GOLDEN.glob("*.san"))]
    with mock.patch.object(encoder, "SHORT_STREAM", 0):  # most of them in the long form
        correct = [*_written()]
    correct += [*_compact()]
    for stream in found:
        try:
            san.decompress(stream)
        except san.CodecError:
            continue
        if len(stream) <= LARGEST_GOLDEN * (3 if stream[4] == FLAGGED else 1):
            correct.append(stream)
    return correct


def _beats(channels: int = 1, dtype: str = "int16", samples: int = SAMPLES) -> np.ndarray:
    t = np.arange(samples)[:, None] + 7 * np.arange(channels)
    x = 60 * np.exp(-(((t % 30 - 15) / 3.0) ** 2)) + 20
    x = np.rint(x + np.random.default_rng(channels).normal(0, 2, x.shape))
    x = x[:, 0] if channels == 1 else x
    return x.astype(dtype) if np.dtype(dtype).kind != "f" else (x / 200).astype(dtype)


def _written() -> Iterator[bytes]:
    shared = san.learn_dictionary(np.tile(_beats(), 36), fs=60, prdn=10)
    two = san.learn_dictionary(np.tile(_beats(2), (36, 1)), fs=60, prdn=20)
    gaps = _beats(dtype="float64")
    gaps[20:25], gaps[35] = np.nan, np.inf
    three = _beats(3, "float32")
    three[10:20, 1], three[5, 2] = np.nan, -np.inf
    noise = np.random.default_rng(0).normal(size=(20, 2))
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "float32", "float64"):
        yield san.compress(_beats(dtype=dtype), lossless=True)
        bound = 0.02 if dtype.startswith("f") else 4
        yield san.compress(_beats(2, dtype), fs=60, max_error=bound)
    for events in (True, False):
        yield san.compress(_beats(), fs=60, prdn=10, events=events)
        yield san.compress(_beats(2), fs=60, prdn=15, events=events)
    yield san.compress(_beats(), fs=60, prdn=10, dictionary=shared)
    yield san.compress(_beats(), fs=60, max_error=6, dictionary=shared)
    yield san.compress(np.tile(_beats(), 2), fs=60, prdn=12, dictionary=shared, chunk_seconds=0.8)
    yield san.compress(_beats(2), fs=60, prdn=20, dictionary=two)
    yield san.compress(_beats(4, "int32"), lossless=True)
    yield san.compress(_beats(5, samples=30), fs=60, prdn=15)
    yield san.compress(_beats(), fs=16, lossless=True, chunk_seconds=1)
    yield san.compress(_beats(2), fs=60, max_error=3, chunk_seconds=0.4)
    yield san.compress(_beats(), bits_per_sample=16)
    yield san.compress(gaps, max_error=0.05)
    yield san.compress(three, lossless=True)
    yield san.compress(noise, lossless=True)
    yield san.compress(noise.astype("f4"), lossless=True)
    yield san.compress(np.stack([noise[:, 0], np.arange(20.0) / 8], 1), lossless=True)
    yield san.compress(_beats(), max_error=4, attachments=FILES)
    names = ["a", "bö"]
    yield san.compress(_beats(2, "float32"), prdn=9, attachments=FILES, units="mV", names=names)
    yield san.compress(np.zeros(0, "f4"), lossless=True)
    yield from _with_rules()
    yield from _fast()
    yield san.compress(np.full((20, 3), 7, "i1"), lossless=True)


def _compact() -> Iterator[bytes]:
    yield san.compress(_beats(), fs=60, lossless=True)
    yield san.compress(_beats(2), fs=60, prdn=15, units="mV", attachments=FILES)
    yield san.compress(_beats(dtype="float64"), fs=1 / 3, max_error=0.05)


def _fast() -> Iterator[bytes]:
    """Streams of the fast mode: one column, several with references, frames, large numbers."""
    for x in (_beats(samples=90), _beats(3, samples=90), _beats(2, "int32", 90) * 999_983):
        yield san.compress(x, fs=60, lossless=True, effort="fast")
        yield san.compress(x, fs=60, max_error=2, effort="fast")
    yield san.compress(_beats(2, "float32", 80), fs=60, max_error=0.02, effort="fast")
    yield san.compress(_beats(2), fs=60, lossless=True, chunk_seconds=0.4, effort="fast")


def _with_rules() -> Iterator[bytes]:
    """Streams of version 4 whose integers follow rules: scaled, cut, or few of all."""
    k = np.cumsum(np.random.default_rng(5).integers(-3, 4, (200, 2)), axis=0)
    scaled = np.rint(k * 4.88).astype("i2")
    few = np.array([-900, -7, 0, 13, 14, 500, 777, 3000])[np.clip(k + 4, 0, 7)].astype("i2")
    for x in (scaled, np.trunc(k * 4.88).astype("i4"), few[:, 0], scaled[:, 0]):
        yield san.compress(x, fs=60, lossless=True)
        yield san.compress(x, fs=60, max_error=5)
    yield san.compress(scaled, lossless=True, attachments=FILES)


class Mutations:
    """An endless source of hostile streams.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)
        self._all = [parts_of(stream) for stream in streams()]
        self._newest = [parts for parts in self._all if parts.version == FLAGGED]
        for parts, stream in zip(self._all, streams(), strict=True):
            assert together(parts) == stream

    def __len__(self) -> int:
        """How many streams are changed."""
        return len(self._all)

    def next(self) -> bytes:
        """One more stream; its checksums and its index are right."""
        source = self._source
        parts = source.choice(self._newest if source.random() < 0.5 else self._all)
        for _ in range(source.choice((1, 1, 1, 2))):
            change = source.choices(_CHANGES, _WEIGHTS)[0]
            parts = change(parts, source, source.choice(self._all))
        return together(parts)


def _payload(parts: Parts, source: random.Random, other: Parts) -> Parts:
    payloads = list(parts.payloads)
    for number, payload in enumerate(payloads):
        chance = source.random()
        if chance < 0.08:
            payloads[number] = source.randbytes(source.randint(0, 200))
        elif chance < 0.16 and other.payloads:
            taken = source.choice(other.payloads)
            cut = source.randint(0, 8)
            payloads[number] = payload[:cut] + taken[cut:]
        elif chance < 0.8:
            payloads[number] = changed(payload, source)
    return replace(parts, payloads=tuple(payloads))


def _header(parts: Parts, source: random.Random, _: Parts) -> Parts:
    return replace(parts, header=changed(parts.header, source, 3))


def _end_of_header(parts: Parts, source: random.Random, _: Parts) -> Parts:
    """Target, chunk length and dictionary; most of a long header is its dictionary."""
    cut = source.randint(min(20, len(parts.header)), len(parts.header))
    return replace(parts, header=parts.header[:cut] + changed(parts.header[cut:], source))


def _dictionary(parts: Parts, source: random.Random, _: Parts) -> Parts:
    """A dictionary of other fields, or of random coefficients and a random excerpt."""
    try:
        known = StreamReader(together(parts)).header.dictionary
    except san.CodecError:
        return parts  # another change came before
    head = parts.header[: -len(known)] if known else parts.header
    size = len(varint(len(known))) if known else 0
    head = head[: len(head) - size - 1]
    if known and source.random() < 0.7:
        made = changed(known, source)
    else:
        numbers = [source.choice((1, 1, 2, 3)), source.choice((0, 1, 2, 64)), 1]
        numbers += [source.randrange(16), source.randint(0, 30)]
        made = b"".join(map(varint, numbers)) + source.randbytes(numbers[-1])
        made += varint(source.choice((0, 1, 40, 64, 2**16))) + source.randbytes(30)
    return replace(parts, header=head + b"\1" + varint(len(made)) + made)


def _attachments(parts: Parts, source: random.Random, other: Parts) -> Parts:
    if parts.is_compact:
        return replace(parts, flags=bytes([source.choice((4, 5, 6, 12, 20, 28, 36))]))
    if parts.directory is None:
        added = other.directory or b"\1\1x\0\1"
        flags = bytes([parts.flags[0] | 1]) if parts.flags else b""
        version = parts.version if parts.flags else 3
        return replace(parts, version=version, flags=flags, directory=added, files=(b"y",))
    if source.random() < 0.6:
        return replace(parts, directory=changed(parts.directory, source))
    return replace(parts, files=tuple(changed(file, source) for file in parts.files))


def _footer(parts: Parts, source: random.Random, _: Parts) -> Parts:
    near = (0, 1, parts.samples - 1, parts.samples + 1, 2 * parts.samples, *SIZES[:8])
    samples = max(0, source.choice((parts.samples, *near)))
    chunks = max(0, parts.chunks + source.choice((0, 0, 0, -1, 1, 2**20)))
    errors = parts.errors if source.random() < 0.7 else source.randbytes(16)
    sections = tuple(source.choice(SIZES) for _ in range(source.choice((0, 1, 6, 7))))
    sections = parts.sections if source.random() < 0.7 else sections
    return replace(parts, samples=samples, chunks=chunks, errors=errors, sections=sections)


def _chunks(parts: Parts, source: random.Random, other: Parts) -> Parts:
    """Chunks taken away, doubled, in another order, or of another stream."""
    payloads = [*parts.payloads, *source.choice(((), parts.payloads, other.payloads))]
    source.shuffle(payloads)
    del payloads[source.randint(0, len(payloads)) :]
    chunks = source.choice((parts.chunks, len(payloads)))
    return replace(parts, payloads=tuple(payloads), chunks=chunks)


def _version(parts: Parts, source: random.Random, _: Parts) -> Parts:
    """Another version, or other flags."""
    version = source.choice((1, 3, 4, 4, parts.version))
    flags = bytes([source.choice((0, 1, 2, 3, 4, 128))]) if version >= FLAGGED else b""
    return replace(parts, version=version, flags=flags)


def _transplant(parts: Parts, source: random.Random, other: Parts) -> Parts:
    """The chunks of one stream below the header of another one."""
    if source.random() < 0.5:
        return replace(parts, header=other.header)
    return replace(parts, payloads=other.payloads, samples=other.samples, chunks=other.chunks)


_CHANGES = (
    _payload, _header, _end_of_header, _dictionary, _attachments, _footer, _chunks, _transplant,
    _version,
)  # fmt: skip
_WEIGHTS = (50, 12, 10, 10, 6, 4, 3, 5, 2)
