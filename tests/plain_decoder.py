"""A second decoder of SAN streams, written from FORMAT.md alone in plain Python: slow, for tests.

It is made to be read beside FORMAT.md: the same order, the same names, loops instead of tricks.
The limits of a reader, which are not part of the format, are not applied here.
"""

import functools
import hashlib
import math
import operator
import struct
import zlib
from dataclasses import dataclass, field

INTEGERS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
}
FLOATS = {  # format of struct, of its bits, and the widths of the columns of kind BITS
    "float32": ("<f", "<I", (16, 16)),
    "float64": ("<d", "<Q", (22, 21, 21)),
}
DTYPES = (*INTEGERS, *FLOATS)


class Refused(ValueError):
    """The stream is corrupt, ends too early or is of an unknown version."""


def check(fits: bool, otherwise: str) -> None:
    if not fits:
        raise Refused(otherwise)


def decode(stream: bytes, dictionary: bytes | None = None) -> tuple[list, tuple[int, ...], str]:
    """Samples in C order, shape and dtype; ``dictionary``: the bytes of one that is named.

    Floats keep their bits when they are packed again, but for signaling NaNs of float32, which
    Python's own floats make quiet.
    """
    header, payloads, samples, _ = read_container(stream)
    shared = find_dictionary(header, dictionary)
    values: list = []
    for number, payload in enumerate(payloads):
        n = min(header.chunk_samples, samples - number * header.chunk_samples)
        channels = decode_chunk(header, payload, n, shared)
        for i in range(n):
            values += [channel[i] for channel in channels]
    shape = (samples, header.channels) if header.two_dimensions else (samples,)
    return values, shape, header.dtype


# Container


class Reader:
    """Takes fields off the front of some bytes."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def take(self, count: int) -> bytes:
        check(count <= len(self.data) - self.position, "ends too early")
        self.position += count
        return self.data[self.position - count : self.position]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        value = 0
        for i in range(9):
            byte = self.byte()
            value += (byte & 127) << (7 * i)
            if byte < 128:
                check(byte > 0 or i == 0, "a varint is longer than it has to be")
                return value
        raise Refused("a varint of more than 9 bytes")

    def zigzag(self) -> int:
        value = self.varint()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2

    def uint32(self) -> int:
        return struct.unpack("<I", self.take(4))[0]

    def float64(self) -> float:
        return struct.unpack("<d", self.take(8))[0]

    def float32(self) -> float:
        return struct.unpack("<f", self.take(4))[0]

    def text(self) -> str:
        length = self.byte()
        check(length <= 64, "a text is longer than 64 bytes")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused("a text is not UTF-8") from error

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position)

    def at_end(self) -> bool:
        return self.position == len(self.data)


# Blocks


def read_container(stream: bytes) -> tuple["Header", list[bytes], int, dict[str, bytes]]:
    """Header, payloads of the chunks, number of samples of each channel, and attachments."""
    source = Reader(stream)
    check(source.take(4) == b"\x93SAN", "not a SAN stream")
    version = source.byte()
    check(version in (1, 3, 4), "unknown version")
    flags = source.byte() if version == 4 else 0
    check(flags < 8 or (flags < 32 and flags & COMPACT), "flags")
    if flags & COMPACT:
        return read_compact(source, flags)
    body = source.take(source.varint())
    check(source.uint32() == zlib.crc32(stream[: source.position - 4]), "CRC32 of the header")
    header = read_header(Reader(body), bool(flags & RULED), version == 4)
    attachments = read_attachments(source) if version == 3 or flags & ATTACHED else {}

    payloads = []
    starts = [source.position]  # of the chunks, and of the end mark
    while (length := source.varint()) > 0:
        check(len(payloads) < 2**32, "too many chunks")
        payloads.append(source.take(length - 1))
        covered = struct.pack("<I", len(payloads) - 1) + payloads[-1]
        check(source.uint32() == zlib.crc32(covered), "CRC32 of a chunk")
        starts.append(source.position)

    body = source.take(source.varint())
    covered = stream[starts[-1] : source.position]
    check(source.uint32() == zlib.crc32(covered), "CRC32 of the footer")
    check(source.uint32() == source.position - starts[-1], "size of the footer")
    check(source.at_end(), "bytes after the stream")
    return header, payloads, read_footer(Reader(body), header, starts), attachments


# Flags

ATTACHED, RULED, COMPACT, WITH_TEXTS, WITH_DICTIONARY = 1, 2, 4, 8, 16


# Attachments


def read_attachments(source: Reader) -> dict[str, bytes]:
    first = source.position
    body = Reader(source.take(source.varint()))
    covered = source.data[first : source.position]
    check(source.uint32() == zlib.crc32(covered), "CRC32 of the attachments")
    count = body.varint()
    check(count >= 1, "no attachment")
    entries = []
    for _ in range(count):
        name, method, size = body.text(), body.byte(), body.varint()
        check(name != "" and name not in [entry[0] for entry in entries], "name of an attachment")
        check(method <= 1, "method of an attachment")
        stored = body.varint() if method == 1 else size
        check(method == 0 or stored < size, "size of an attachment")
        entries.append((name, method, size, stored))
    check(body.at_end(), "something follows the attachments' fields")
    files = {}
    for number, (name, method, size, stored) in enumerate(entries):
        data = source.take(stored)
        check(source.uint32() == zlib.crc32(struct.pack("<I", number) + data), "CRC32 of a file")
        files[name] = inflated(data, size) if method == 1 else data
    return files


def inflated(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise Refused("a deflated attachment") from error
    check(len(found) == size and inflater.eof and inflater.unused_data == b"", "size of a file")
    return found


# Header body


@dataclass
class Header:
    dtype: str
    two_dimensions: bool
    channels: int
    chunk_samples: int = 0
    scales: list["Scale"] = field(default_factory=list)  # of float dtypes, one for each channel
    rules: list["Rule | None"] = field(default_factory=list)  # of integer dtypes, likewise
    carried: bytes | None = None
    named: bytes | None = None
    newer_modes: bool = False  # whether chunks may have modes 3, 4 and 5

    def columns(self) -> int:
        if self.dtype in INTEGERS:
            return self.channels
        widths = FLOATS[self.dtype][2]
        return sum(len(widths) if scale.kind == BITS else 1 for scale in self.scales)


def read_header(body: Reader, ruled: bool, newer: bool) -> Header:
    dtype = body.byte()
    check(dtype in (*range(7), *range(16, 23)), "unknown dtype")
    header = Header(DTYPES[dtype % 16], dtype >= 16, body.varint())
    check(header.channels >= 1, "no channels")
    check(header.two_dimensions or header.channels == 1, "shape (n,) has one channel")
    rate = body.float64()
    check(math.isfinite(rate) and rate >= 0, "sampling rate")
    header.newer_modes = newer
    read_scales_or_rules(body, header, ruled)
    for _ in ("units", "channel names"):
        read_texts(body, header.channels)
    target, value = body.byte(), body.float64()
    check(target <= 3 or (target == 4 and newer), "target")
    check(math.isfinite(value) and value >= 0, "value of the target")
    check(target != 0 or value == 0, "a lossless target has no value")
    if target == 4:
        bound = body.float64()
        check(math.isfinite(bound) and bound >= 0, "bound beside a PRDN")
    header.chunk_samples = body.varint()
    check(header.chunk_samples >= 1, "chunks without samples")
    read_dictionary_field(body, header)
    check(body.at_end(), "something follows the header's dictionary")
    return header


def read_scales_or_rules(body: Reader, header: Header, ruled: bool) -> None:
    check(not ruled or header.dtype in INTEGERS, "rules of floats")
    if ruled:
        header.rules = read_rules(body, header.dtype, header.channels)
    if header.dtype in FLOATS:
        header.scales = read_representation(body, header.dtype, header.channels)


def read_texts(body: Reader, channels: int) -> int:
    count = body.varint()
    check(count in (0, 1, channels), "number of texts")
    for _ in range(count):
        body.text()
    return count


def read_dictionary_field(body: Reader, header: Header) -> int:
    kind = body.byte()
    check(kind <= (4 if header.newer_modes else 2), "kind of dictionary")
    if kind > 1:
        header.named = body.take(32 if kind == 2 else 4)
    if kind in (1, 4):
        header.carried = body.take(body.varint())
    return kind


def find_dictionary(header: Header, given: bytes | None) -> "Dictionary | None":
    own = None if header.carried is None else read_dictionary(header.carried)
    if header.named is None:
        return own
    check(given is not None, "the stream needs its dictionary")
    check(hashlib.sha256(given).digest().startswith(header.named), "another dictionary is needed")
    named = read_dictionary(given)
    if own is None:
        return named
    check(
        own.model is None and named.model is not None, "excerpt of a teacher or of its dictionary"
    )
    own.model, own.memory = named.model, Memory(len(own.kernels), own.channels)
    return own


# Representation

POWER, GAIN, STEP, BITS = range(4)


@dataclass
class Scale:
    kind: int
    factor: float = 1  # of POWER: 2^e
    baseline: float = 0


def read_representation(body: Reader, dtype: str, channels: int) -> list[Scale]:
    one = body.byte()
    check(one <= 1, "representation")
    check(one == 1 or channels > 1, "one channel has one scale")
    if one == 1:
        return [read_scale(body, dtype)] * channels
    scales = [read_scale(body, dtype) for _ in range(channels)]
    check(any(scale != scales[0] for scale in scales), "equal scales are written once")
    return scales


def read_scale(body: Reader, dtype: str) -> Scale:
    flags = body.byte()
    kind = flags & 3
    check(flags < (16 if kind in (GAIN, STEP) else 4), "flags of a scale")
    if kind == BITS:
        return Scale(kind)
    if kind == POWER:
        e = body.zigzag()
        least, most = (-149, 127) if dtype == "float32" else (-1074, 1023)
        check(least <= e <= most, "exponent of a scale")
        return Scale(kind, math.ldexp(1.0, e))
    factor: float = body.varint() if flags & 8 else body.float64()
    check(math.isfinite(factor) and factor > 0, "factor of a scale")
    short = factor == math.floor(factor) and factor <= 2**31 - 1
    check(short == bool(flags & 8), "width of a factor")
    baseline = body.float64() if flags & 4 else 0.0
    check(math.isfinite(baseline) and (baseline != 0) == bool(flags & 4), "baseline of a scale")
    return Scale(kind, float(factor), baseline)


def from_columns(header: Header, columns: list[list[int]]) -> list[list]:
    """The samples of each channel, from the integers of its columns."""
    if header.dtype in INTEGERS:
        rules = header.rules or [None] * header.channels
        return [
            [from_rule(header.dtype, rule, k) for k in column]
            for rule, column in zip(rules, columns, strict=True)
        ]
    values = []
    rest = iter(columns)
    for scale in header.scales:
        if scale.kind == BITS:
            widths = FLOATS[header.dtype][2]
            rows = zip(*[next(rest) for _ in widths], strict=True)
            values.append([from_bits(header.dtype, row) for row in rows])
        else:
            values.append([from_scale(header.dtype, scale, k) for k in next(rest)])
    return values


def from_scale(dtype: str, scale: Scale, k: int) -> float:
    if scale.kind == POWER:
        y = float(k) * scale.factor
    elif scale.kind == GAIN:
        y = (float(k) - scale.baseline) / scale.factor
    else:
        y = (float(k) - scale.baseline) * scale.factor
    largest = (2.0 - 2.0**-23) * 2.0**127 if dtype == "float32" else (2.0 - 2.0**-52) * 2.0**1023
    y = min(largest, max(-largest, y))
    return struct.unpack("<f", struct.pack("<f", y))[0] if dtype == "float32" else y


def from_bits(dtype: str, row: tuple[int, ...]) -> float:
    floats, bits, widths = FLOATS[dtype]
    for column, w in zip(row, widths, strict=True):
        check(-(2 ** (w - 1)) <= column < 2 ** (w - 1), "a column of bits is out of its range")
    i = row[0]
    for column, w in zip(row[1:], widths[1:], strict=True):
        i = i * 2**w + (column + 2 ** (w - 1))
    if i < 0:
        i ^= 2 ** (sum(widths) - 1) - 1
    return struct.unpack(floats, struct.pack(bits, i % 2 ** sum(widths)))[0]


# Rules

ROUND, TRUNC, LIST = range(3)


@dataclass(frozen=True)
class Rule:
    kind: int
    factor: float = 1
    baseline: float = 0
    values: tuple[int, ...] = ()


def read_rules(body: Reader, dtype: str, channels: int) -> list[Rule | None]:
    count = body.varint()
    check(1 <= count <= channels, "number of rules")
    rules: list[Rule] = []
    for _ in range(count):
        rules.append(read_rule(body, dtype))
        check(sum(len(rule.values) for rule in rules) <= 2**17, "values of all lists")
    check(len(set(rules)) == count, "two rules that are equal")
    found: list[Rule | None] = []
    used = 0
    for _ in range(channels):
        number = body.varint()
        check(number <= used + 1 and number <= count, "number of a rule")
        used = max(used, number)
        found.append(rules[number - 1] if number > 0 else None)
    check(used == count, "a rule that no channel has")
    return found


def read_rule(body: Reader, dtype: str) -> Rule:
    head = body.byte()
    check(head in (ROUND, TRUNC, LIST, ROUND + 4), "kind of a rule")
    if head == LIST:
        return Rule(LIST, values=read_list(body, dtype))
    factor = body.float64()
    check(1 <= factor <= 2**32, "factor of a rule")
    baseline = body.float64() if head & 4 else 0.0
    check(math.isfinite(baseline) and (baseline != 0) == bool(head & 4), "baseline of a rule")
    return Rule(head & 3, factor, baseline)


def read_list(body: Reader, dtype: str) -> tuple[int, ...]:
    low, high = INTEGERS[dtype]
    count, first = body.varint(), body.zigzag()
    check(1 <= count <= 2**17 and low <= first <= high, "a list of values")
    values = [first]
    if count > 1:
        inflater = zlib.decompressobj(-15)
        try:
            gaps = Reader(inflater.decompress(body.take(body.varint()), 5 * count))
        except zlib.error as error:
            raise Refused("a deflated list") from error
        check(inflater.eof and inflater.unused_data == b"", "end of a deflated list")
        for _ in range(count - 1):
            values.append(values[-1] + 1 + gaps.varint())
            check(values[-1] <= high, "a value of a list")
        check(gaps.at_end(), "something follows a list")
    return tuple(values)


def from_rule(dtype: str, rule: Rule | None, k: int) -> int:
    low, high = INTEGERS[dtype]
    if rule is None:
        return min(high, max(low, k))
    if rule.kind == LIST:
        return rule.values[min(len(rule.values) - 1, max(0, k))]
    y = float(k) * rule.factor
    y = float(math.trunc(y) if rule.kind == TRUNC else round(y + rule.baseline))
    return int(min(high, max(low, y)))


# Gaps

GAPS = {
    "float32": (0x7FC00000, 0x7F800000, 0xFF800000, 0x80000000, 0xFFC00000),
    "float64": (0x7FF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 0x8000 << 48, 0xFFF8 << 48),
}


def read_gaps(source: Reader, channels: int, n: int) -> list[tuple[int, int, int, int]]:
    """Runs of samples that are no ordinary numbers: channel, first, end, kind."""
    total = source.varint()
    check(total <= n * channels, "too many gaps")
    if total == 0:
        return []
    counts = [source.varint() for _ in range(channels - 1)]
    counts.append(total - sum(counts))
    check(counts[-1] >= 0, "gaps of the last channel")
    gaps = []
    for channel, count in enumerate(counts):
        end, before = 0, None
        for _ in range(count):
            distance = source.varint()
            length, kind = divmod(source.varint(), 8)
            check(length >= 1 and kind <= 4, "a gap")
            check(distance > 0 or kind != before, "two gaps that are one")
            first = end + distance
            end, before = first + length, kind
            check(end <= n, "a gap beyond the chunk")
            gaps.append((channel, first, end, kind))
    return gaps


def overwrite(dtype: str, values: list[list], gaps: list[tuple[int, int, int, int]]) -> None:
    floats, bits, _ = FLOATS[dtype]
    for channel, first, end, kind in gaps:
        value = struct.unpack(floats, struct.pack(bits, GAPS[dtype][kind]))[0]
        values[channel][first:end] = [value] * (end - first)


# Footer body


def read_footer(body: Reader, header: Header, starts: list[int]) -> int:
    """The number of samples; ``starts``: where the chunks and the end mark begin."""
    samples, chunks = body.varint(), body.varint()
    check(chunks == -(-samples // header.chunk_samples), "number of chunks")
    check(chunks == len(starts) - 1, "chunks that are missing or too many")
    error, prdn = body.float64(), body.float64()
    check(error >= 0 and prdn >= 0, "largest error or PRDN")
    marks = [*starts[: max(1, chunks) : 16], starts[-1]]
    for i in range(len(marks) - 1):
        check(body.varint() == marks[i + 1] - marks[i], "index")
    for _ in range(body.varint()):
        body.varint()
    check(body.at_end(), "something follows the sections")
    return samples


# Compact streams


def read_compact(source: Reader, flags: int) -> tuple["Header", list[bytes], int, dict[str, bytes]]:
    length = source.varint()
    check(4 <= length <= 2**20, "length of a compact stream")
    body = Reader(source.take(length)[:-4])
    check(source.at_end(), "bytes after the stream")
    covered, checksum = source.data[:-4], source.data[-4:]
    check(struct.unpack("<I", checksum)[0] == zlib.crc32(covered), "CRC32 of the stream")

    kind = body.byte()
    dtype, two, target = kind & 7, kind >> 3 & 1, kind >> 4
    check(dtype < 7 and target <= 4, "kind of a compact stream")
    header = Header(DTYPES[dtype], bool(two), body.varint() if two else 1, newer_modes=True)
    check(header.channels >= 1, "no channels")
    read_scales_or_rules(body, header, bool(flags & RULED))
    check(math.isfinite(read_number(body)), "sampling rate")
    if target != 0:
        check(math.isfinite(read_number(body)), "value of the target")
    if target == 4:
        check(math.isfinite(read_number(body)), "bound beside a PRDN")
    if flags & WITH_TEXTS:
        counts = [read_texts(body, header.channels) for _ in ("units", "channel names")]
        check(counts != [0, 0], "neither units nor names")
    if flags & WITH_DICTIONARY:
        check(read_dictionary_field(body, header) > 0, "no dictionary")
    samples = body.varint()
    header.chunk_samples = max(16, samples)
    if target != 0:
        read_number(body)
        prdn = body.float32()
        check(prdn >= 0 and math.copysign(1, prdn) == 1, "PRDN")
    attachments = read_attachments(body) if flags & ATTACHED else {}
    payload = body.rest()
    check(samples > 0 or payload == b"", "a chunk without samples")
    return header, [payload] if samples > 0 else [], samples, attachments


def read_number(body: Reader) -> float:
    m, form = divmod(body.varint(), 4)
    if form < 2:
        check(m < 2**29, "a number that is too large for its form")
        value = m / 1000 if form == 1 else float(m)
    else:
        check(m == 0, "form of a number")
        value = body.float64() if form == 3 else body.float32()
    check(value >= 0 and math.copysign(1, value) == 1, "a number that is negative or none")
    check(first_form(value) == form, "a number that has an earlier form")
    return value


def first_form(value: float) -> int:
    if value < 2**29 and value == math.floor(value):
        return 0
    near = round(value * 1000) if value < 2**29 else 0
    if any(0 < m < 2**29 and m / 1000 == value for m in (near - 1, near, near + 1)):
        return 1
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        return 3
    return 2 if struct.unpack("<f", packed)[0] == value else 3


# Chunk payload


def decode_chunk(
    header: Header, payload: bytes, n: int, dictionary: "Dictionary | None"
) -> list[list]:
    """The samples of each channel of a chunk."""
    source = Reader(payload)
    gaps = read_gaps(source, header.channels, n) if header.dtype in FLOATS else []
    mode = source.byte()
    check(mode <= (5 if header.newer_modes else 2), "mode")
    values = from_columns(header, decode_integers(source, mode, n, header.columns(), dictionary))
    if gaps:
        overwrite(header.dtype, values, gaps)
    return values


# Coded integers


def decode_integers(
    source: Reader, mode: int, n: int, columns: int, dictionary: "Dictionary | None"
) -> list[list[int]]:
    if mode == 0:
        return decode_transform(source.rest(), n, Dictionary(columns))
    if mode == 2:
        check(dictionary is not None, "mode 2 in a stream without dictionary")
        check(dictionary.channels == columns, "channels of the dictionary")
        return decode_transform(source.rest(), n, dictionary)
    if mode == 3:
        return decode_joint(source.rest(), n, columns)
    if mode == 4:
        return decode_across(source.rest(), n, columns, dictionary)
    if mode == 5:
        return decode_fast(source.rest(), n, columns)
    check(mode == 1, "mode of a chunk")
    integers: list[list[int]] = []
    while len(integers) < columns:
        group, bound, size = source.varint(), source.varint(), source.varint()
        check(1 <= group <= columns - len(integers) and bound < 2**31, "group of columns")
        integers += decode_predictive(source.take(size), n, group, bound)
    check(source.at_end(), "something follows the last group")
    return integers


# Range coder


class RangeDecoder:
    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.position = 0
        self.low, self.high, self.code = 0, 2**32 - 1, 0
        for _ in range(4):
            self.code = (self.code << 8) + self.next_byte()

    def next_byte(self) -> int:
        self.position += 1
        return self.payload[self.position - 1] if self.position <= len(self.payload) else 0

    def bit(self, p: int) -> int:
        middle = self.low + (((self.high - self.low) * p) >> 16)
        bit = 1 if self.code <= middle else 0
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while self.low >> 24 == self.high >> 24:
            self.low = (self.low << 8) % 2**32
            self.high = (self.high << 8) % 2**32 + 255
            self.code = (self.code << 8) % 2**32 + self.next_byte()
        return bit

    def raw(self, count: int, value: int = 0) -> int:
        """Raw bits, the highest first, after those of ``value``."""
        for _ in range(count):
            value = 2 * value + self.bit(32768)
        return value


# Tables


def clip(value: int) -> int:
    return min(2815, max(-2815, value))


SQUASH = {
    t: min(65535, max(1, round(65536 / (1 + math.exp(-t / 256))))) for t in range(-2815, 2816)
}
STRETCH = [round(256 * math.log((i + 0.5) / (4095.5 - i))) for i in range(4096)]
RATE = [round(65536 / (n + 1.6)) for n in range(1024)]
CONFIDENCE = [round(256 * n / (n + 0.4)) for n in range(1024)]
REFINEMENT = [SQUASH[min(5630, max(0, 128 * j - 1)) - 2815] for j in range(46)]


class Model:
    """All that adapts, and the range coder whose decisions it makes."""

    def __init__(self, coder: RangeDecoder, numbers: int, most: int, weight: int = 16384) -> None:
        self.coder = coder
        self.simple = [32768] * 1024
        self.bits = min(most, max(10, (numbers - 1).bit_length() + 1))
        self.buckets: dict[int, Bucket] = {}  # those that some context had
        self.weights = [[weight] * 20 for _ in range(512)]
        self.rows = [REFINEMENT.copy() for _ in range(256)]

    def copy(self, coder: RangeDecoder) -> "Model":
        other = Model(coder, 1, 0)
        other.simple = self.simple.copy()
        other.bits = self.bits
        other.buckets = {number: bucket.copy() for number, bucket in self.buckets.items()}
        other.weights = [weights.copy() for weights in self.weights]
        other.rows = [row.copy() for row in self.rows]
        return other

    # Adaptive bits

    def simple_bit(self, i: int) -> int:
        bit = self.coder.bit(self.simple[i])
        if bit:
            self.simple[i] += (65536 - self.simple[i]) >> 5
        else:
            self.simple[i] -= self.simple[i] >> 5
        return bit

    def number(self, i: int) -> int:
        length = 0
        while length < 40 and self.simple_bit(i + min(length, 15)):
            length += 1
        return self.coder.raw(length, 1) - 1

    # Mixed decisions

    def find(self, slot: int, value: int) -> "Bucket":
        """The bucket of a context."""
        h = (value * 0x2F0B4C47 + slot * 0x1B873593 + 0x3C6EF372) % 2**32
        h ^= h >> 15
        h = h * 0x2C1B3C6D % 2**32
        h ^= h >> 13
        h = h * 0x297A2D39 % 2**32
        h ^= h >> 16
        number, check_ = h % 2**self.bits, (h >> 8) | 1
        bucket = self.buckets.get(number)
        if bucket is None:
            bucket = self.buckets[number] = Bucket()
        if bucket.check != check_:
            bucket.check = check_
            bucket.probability[:] = [2**21] * 15
            bucket.count[:] = [0] * 15
        return bucket

    def find_all(self, values: list[int]) -> list["Bucket"]:
        """The buckets of slots 0, 1, ..."""
        return [self.find(slot, value) for slot, value in enumerate(values)]

    def decide(self, contexts: list["Bucket"], cell: int, set_a: int, set_b: int, row: int) -> int:
        a_weights, b_weights, refined = self.weights[set_a], self.weights[set_b], self.rows[row]
        s = [
            (STRETCH[c.probability[cell] >> 10] * CONFIDENCE[c.count[cell]]) >> 8 for c in contexts
        ]
        a = clip(sum(w * v for w, v in zip(a_weights, s, strict=False)) >> 16)
        b = clip(sum(w * v for w, v in zip(b_weights, s, strict=False)) >> 16)
        t = (a + b) >> 1
        j, f = divmod(t + 2816, 128)
        p = (SQUASH[t] + ((refined[j] * (128 - f) + refined[j + 1] * f) >> 7)) >> 1
        bit = self.coder.bit(min(65535, max(1, p)))

        target = 65535 if bit else 0
        refined[j] += ((target - refined[j]) * (128 - f)) >> 13
        refined[j + 1] += ((target - refined[j + 1]) * f) >> 13
        e_a = (65536 * bit - SQUASH[a]) * 10
        e_b = (65536 * bit - SQUASH[b]) * 10
        goal = 4194303 if bit else 0
        for i, context in enumerate(contexts):
            a_weights[i] += (s[i] * e_a + 131072) >> 18
            b_weights[i] += (s[i] * e_b + 131072) >> 18
            probability, count = context.probability[cell], context.count[cell]
            context.probability[cell] += ((goal - probability) * RATE[count]) >> 16
            context.count[cell] = min(1023, count + 1)
        return bit


class Bucket:
    """A check and 15 cells."""

    __slots__ = ("check", "count", "probability")

    def __init__(self) -> None:
        self.check = 2**31
        self.probability = [2**21] * 15
        self.count = [0] * 15

    def copy(self) -> "Bucket":
        other = Bucket()
        other.check = self.check
        other.probability[:] = self.probability
        other.count[:] = self.count
        return other


# Bands of coefficients


def within(v: int, m: int) -> int:
    magnitude = abs(v)
    scale = magnitude if magnitude < 5 else 5
    for least in (7, 10, 15, 20, 27, 36, 48, 64):
        scale += magnitude >= least
    return min(m, scale) if v > 0 else -min(m, scale)


def coarse(v: int) -> int:
    if v < 12:
        return v
    o = 0
    while v >= 16:
        v >>= 1
        o += 1
    return min(31, 10 + 4 * o + ((v - 8) >> 1))


def at(values: list[int] | None, i: int) -> int:
    """A value, 0 where there is none."""
    return values[i] if values is not None and 0 <= i < len(values) else 0


@dataclass
class Band:
    """What a band is decoded with; the lists are absent where they are None."""

    level: int
    sparse: bool = False
    parent: list[int] | None = None
    grandparent: list[int] | None = None
    events: list[int] | None = None
    other: list[int] | None = None
    before: "Before | None" = None


@dataclass
class Before:
    """What the components before component k hold at the places of a band."""

    k: int
    total: list[int]
    second: list[int]


def decode_band(model: Model, n: int, band: Band) -> list[int]:
    if not band.sparse:
        q: list[int] = []
        for _ in range(n):
            q.append(decode_coefficient(model, band, q))
        return q
    q, d = [], 0
    for b in range(0, n, 16):
        c = min(b + 16, n)
        answer = decode_any(model, band, q, b, c, d)
        d = (2 * d + answer) % 8
        for _ in range(b, c):
            q.append(decode_coefficient(model, band, q) if answer else 0)
    return q


def decode_coefficient(model: Model, band: Band, q: list[int]) -> int:
    """The coefficient after those of ``q``."""
    near, step, values = contexts_of(band, q)
    order = [*range(9, len(values)), *range(9)]  # the context of a slot has the slot's number
    found = {slot: model.find(slot, values[slot]) for slot in order}
    contexts = [found[slot] for slot in range(len(values))]

    a, b = 16 * min(7, near.bit_length()), 128 + 16 * band.level
    if not model.decide(contexts, 0, a, b, step):
        return 0
    positive = model.decide(contexts, 1, a + 1, b + 1, 32)
    magnitude = 1
    for k in range(1, 10):
        row = 32 * min(k + 1, 5) + step
        if not model.decide(contexts, k + 1, a + k + 1, b + k + 1, row):
            break
        magnitude = k + 1
    if magnitude == 10:
        magnitude += decode_rest(model, contexts, a, b, step, band.level)
    return magnitude if positive else -magnitude


def decode_rest(model: Model, contexts: list[Bucket], a: int, b: int, step: int, level: int) -> int:
    length = 0
    while length < 40:
        if length < 4:
            cell = 11 + length
            more = model.decide(contexts, cell, a + cell, b + cell, 192 + step)
        else:
            more = model.simple_bit(16 * level + min(length, 15))
        if not more:
            break
        length += 1
    if 0 < length < 7:
        first = model.simple_bit(256 + 8 * level + length)
        return model.coder.raw(length - 1, 2 + first) - 1
    return model.coder.raw(length, 1) - 1


def contexts_of(band: Band, q: list[int]) -> tuple[int, int, list[int]]:
    """near, step and the values of the contexts in the order of their slots."""
    i = len(q)
    q1, q2, q3, q4, q5, q6 = (at(q, i - k) for k in range(1, 7))
    p0, p1, pm = (at(band.parent, (i >> 1) + k) for k in (0, 1, -1))
    g0, g1, gm = (at(band.grandparent, (i >> 2) + k) for k in (0, 1, -1))
    e0, e1, em = (at(band.events, i + k) for k in (0, 1, -1))
    o0, o1, om = (at(band.other, i + k) for k in (0, 1, -1))
    near = 2 * abs(q1) + abs(q2) + abs(q3) + 2 * abs(p0) + abs(p1) + abs(pm)
    near += 2 * abs(e0) + abs(o0)
    wide = 6 * abs(q1) + 4 * abs(q2) + 2 * abs(q3) + 2 * abs(q4) + abs(q5) + abs(q6)
    wide += 5 * abs(p0) + 4 * abs(p1) + 3 * abs(pm) + 2 * abs(g0) + abs(g1) + abs(gm)
    own = wide
    wide += 4 * abs(e0) + 2 * abs(e1) + 2 * abs(em) + 2 * abs(o0) + abs(o1) + abs(om)
    step = coarse(wide)

    Q1, Q2, Q3, Q4 = within(q1, 7), within(q2, 7), within(q3, 5), within(q4, 5)
    Q5, Q6 = within(q5, 3), within(q6, 3)
    P0, P1, PM, G0, G1 = (within(v, 7) for v in (p0, p1, pm, g0, g1))
    sign = (Q1 > 0) + 2 * (Q1 < 0)
    pair = (Q1 + 7) * 15 + Q2 + 7
    four = (pair * 11 + Q3 + 5) * 11 + Q4 + 5
    values = [
        min(11, 2 * abs(q1) + abs(q2)) * 6 + min(5, abs(p0)),
        pair,
        four,
        (((P0 + 7) * 15 + P1 + 7) * 15 + PM + 7) * 6 + (i % 2) * 3 + sign,
        four * 49 + (Q5 + 3) * 7 + Q6 + 3,
        (((G0 + 7) * 15 + G1 + 7) * 15 + P0 + 7) * 4 + i % 4,
        ((((Q1 + 7) * 15 + P0 + 7) * 15 + P1 + 7) * 2 + i % 2) * 15 + G0 + 7,
        step,
        step * 16 + min(abs(q1), 3) * 4 + min(abs(p0), 3),
    ]
    if band.events is not None:
        E0, E1, EM = within(e0, 15) + 15, within(e1, 7) + 7, within(em, 7) + 7
        values.append((E0 * 15 + Q1 + 7) * 15 + EM)
        values.append((E0 * 15 + E1) * 15 + EM)
        values.append((E0 * 15 + P0 + 7) * 15 + P1 + 7)
    if band.other is not None:
        O0, O1, OM = within(o0, 15) + 15, within(o1, 7) + 7, within(om, 7) + 7
        values.append((O0 * 15 + Q1 + 7) * 15 + OM)
        values.append((O0 * 15 + O1) * 15 + OM)
        values.append((O0 * 15 + P0 + 7) * 15 + Q2 + 7)
    if band.before is not None:
        m, total = min(band.before.k, 15), band.before.total
        here = coarse(2 * at(total, i) + at(total, i + 1) + at(total, i - 1))
        r0 = at(band.before.second, i)
        both = (within(r0, 5) + 5) * 31 + within(o0, 15) + 15
        values.append(here * 32 + coarse(own))
        values.append((here * 16 + m) * 8 + min(7, 2 * abs(q1) + abs(q2)))
        values.append(both * 32 + coarse(4 * at(total, i)))
        values.append(m * 32 + coarse(own))
        near += here >> 2
    return (
        near,
        step,
        [value if slot == 8 else value * 16 + band.level for slot, value in enumerate(values)],
    )


def decode_any(model: Model, band: Band, q: list[int], b: int, c: int, d: int) -> int:
    """Whether any of the coefficients b ... c - 1 of a sparse band is not 0."""
    p = coarse(sum(abs(at(band.parent, j)) for j in range((b >> 1) - 1, (c >> 1) + 1)))
    g = coarse(sum(abs(at(band.grandparent, j)) for j in range((b >> 2) - 1, (c >> 2) + 1)))
    e = coarse(sum(abs(at(band.events, j)) for j in range(b, c)))
    o = coarse(sum(abs(at(band.other, j)) for j in range(b, c)))
    n = min(7, sum(abs(at(q, j)) for j in range(b - 4, b)))
    values = [
        (p * 8 + d) * 8 + n,
        (p * 32 + g) * 8 + d,
        (e * 32 + p) * 8 + d,
        (o * 32 + e) * 32 + p,
        (e * 32 + g) * 8 + n,
    ]
    if band.before is not None:
        t = coarse(sum(at(band.before.total, j) for j in range(b, c)))
        values += [
            (t * 32 + p) * 8 + d,
            (o * 32 + t) * 32 + p,
            (t * 32 + g) * 8 + n,
            min(band.before.k, 15) * 32 + p,
        ]
    contexts = model.find_all(
        [value * 16 + band.level + (21 + slot) * 2**27 for slot, value in enumerate(values)]
    )
    return model.decide(contexts, 0, 480 + d, 488 + band.level, 250)


# Wavelet


def levels_of(n: int) -> int:
    return min(9, max(0, n.bit_length() - 3))


def lengths_of(n: int, levels: int) -> list[int]:
    """The lengths of the bands, coarsest first."""
    lengths = []
    for _ in range(levels):
        lengths.insert(0, n // 2)
        n -= n // 2
    return [n, *lengths]


def times(factor: int, value: int) -> int:
    return (factor * value + 32768) >> 16


def lift_odd(even: list[int], odd: list[int], factor: int, sign: int) -> None:
    for i in range(len(odd)):
        after = even[i + 1] if i + 1 < len(even) else even[i]
        odd[i] += sign * times(factor, even[i] + after)


def lift_even(even: list[int], odd: list[int], factor: int, sign: int) -> None:
    for i in range(len(even)):
        after = odd[i] if i < len(odd) else odd[i - 1]
        before = odd[i - 1] if i > 0 else after
        even[i] += sign * times(factor, before + after)


def forward(x: list[int], levels: int) -> list[list[int]]:
    details: list[list[int]] = []
    for _ in range(levels):
        even, odd = x[0::2], x[1::2]
        lift_odd(even, odd, -103949, 1)
        lift_even(even, odd, -3472, 1)
        lift_odd(even, odd, 57862, 1)
        lift_even(even, odd, 29066, 1)
        x = [times(75435, value) for value in even]
        details.insert(0, [times(56936, value) for value in odd])
    return [x, *details]


def inverse(bands: list[list[int]]) -> list[int]:
    x = bands[0]
    for detail in bands[1:]:
        even = [times(56936, value) for value in x]
        odd = [times(75435, value) for value in detail]
        lift_even(even, odd, 29066, -1)
        lift_odd(even, odd, 57862, -1)
        lift_even(even, odd, -3472, -1)
        lift_odd(even, odd, -103949, -1)
        x = [0] * (len(even) + len(odd))
        x[0::2], x[1::2] = even, odd
    return x


# Dictionary


@dataclass
class Setting:
    steps: list[int]
    bin_bits: int
    centers: tuple[int, int] = (32, 32)


@dataclass
class Dictionary:
    channels: int
    length: int = 32
    kernels: list[list[list[int]]] = field(default_factory=list)  # of each kernel its channels
    model: Model | None = None  # what an excerpt leaves behind
    memory: "Memory | None" = None
    setting: Setting | None = None


def read_dictionary(data: bytes) -> Dictionary:
    source = Reader(data)
    channels, count, length = source.varint(), source.varint(), 32 * source.varint()
    precision = source.varint()
    check(1 <= channels <= 1024 and count <= 64, "channels or kernels of a dictionary")
    check(1 <= length // 32 <= 512 and precision <= 15, "length or precision of kernels")
    check(count * channels * length <= 2**20, "size of the kernels")
    rows = decode_kernels(source.take(source.varint()), count * channels, length, precision)
    kernels = [rows[k * channels : (k + 1) * channels] for k in range(count)]
    dictionary = Dictionary(channels, length, kernels)
    samples = source.varint()
    check(samples * channels <= 2**20, "size of the excerpt")
    excerpt = source.rest()
    check(samples > 0 or excerpt == b"", "an excerpt without samples")
    if samples > 0:
        model = Model(RangeDecoder(excerpt), samples * channels, 15)
        memory = Memory(count, channels)
        setting, _ = decode_samples(model, memory, samples, dictionary)
        dictionary.model, dictionary.memory, dictionary.setting = model, memory, setting
    return dictionary


def decode_kernels(coefficients: bytes, rows: int, length: int, precision: int) -> list[list[int]]:
    model = Model(RangeDecoder(coefficients), rows * length, 18)
    lengths = lengths_of(length, 5)
    bands: list[list[int]] = []
    for level in range(6):
        parent = bands[level - 1] if level > 1 else None
        grandparent = bands[level - 2] if level > 2 else None
        band = Band(level, parent=parent, grandparent=grandparent)
        bands.append(decode_band(model, rows * lengths[level], band))
    check(all(abs(q) < 4 << precision for band in bands for q in band), "magnitude in a kernel")
    kernels = []
    for row in range(rows):
        parts = [
            [q << (22 - precision) for q in band[row * m : (row + 1) * m]]
            for band, m in zip(bands, lengths, strict=True)
        ]
        kernels.append(unit_energy([(value + 128) >> 8 for value in inverse(parts)]))
    return kernels


def unit_energy(samples: list[int]) -> list[int]:
    energy = max(1, sum(sample**2 for sample in samples))
    f = math.isqrt(2**60 // energy)
    return [times(f, sample) for sample in samples]


# Transform payload


def decode_transform(payload: bytes, n: int, dictionary: Dictionary) -> list[list[int]]:
    coder, channels = RangeDecoder(payload), dictionary.channels
    if dictionary.model is None or dictionary.memory is None:
        model = Model(coder, n * channels, 18)
        memory = Memory(len(dictionary.kernels), channels)
    else:
        model = dictionary.model.copy(coder)
        memory = dictionary.memory.copy()
    return decode_samples(model, memory, n, dictionary)[1]


def decode_samples(
    model: Model, memory: "Memory", n: int, dictionary: Dictionary
) -> tuple[Setting, list[list[int]]]:
    """The setting, and the samples of each channel."""
    coder, channels = model.coder, dictionary.channels
    with_events, with_corrections = coder.raw(1), coder.raw(1)
    setting = dictionary.setting
    known = setting is not None and coder.raw(1) == 1
    if setting is None or not known:
        steps = [step_of(coder.raw(12)) for _ in range(channels)]
        setting = Setting(steps, coder.raw(4))

    events: list[Event] = []
    check(len(dictionary.kernels) > 0 or not with_events, "events without kernels")
    if with_events:
        events = decode_events(model, memory, n, setting.bin_bits, dictionary)
    sums, coefficients = [], []
    for channel in range(channels):
        sums.append(sum_of_events(events, n, setting.steps[channel], channel, dictionary))
        expected = expected_of(sums[-1], setting.steps[channel]) if with_events else None
        other = coefficients[-1] if channel > 0 else None
        coefficients.append(decode_bands(model, n, expected, other))
    if not known:
        setting.centers = (coder.raw(6), coder.raw(6))

    samples = []
    for bands, step, added in zip(coefficients, setting.steps, sums, strict=True):
        parts = [[dequantized(q, step, 32) for q in bands[0]]]
        for band in bands[1:]:
            parts.append([dequantized(q, step, setting.centers[abs(q) > 1]) for q in band])
        total = zip(inverse(parts), added, strict=True)
        samples.append([(value + event + 128) >> 8 for value, event in total])
    if with_corrections:
        samples = [corrected(model, y) for y in samples]
    return setting, samples


def decode_bands(
    model: Model,
    n: int,
    events: list[list[int]] | None,
    other: list[list[int]] | None,
    before: list[Before] | None = None,
) -> list[list[int]]:
    """The coefficients of a channel, band by band, from those of its events and of the channel
    before; or those of a component, and what the components before it hold in each band."""
    first_bit = 800 if before is None else 544 + 16 * min(before[0].k, 15)
    D = levels_of(n)
    lengths = lengths_of(n, D)
    q = 0
    approximation = []
    for difference in decode_band(model, lengths[0], Band(level=0)):
        q += difference
        approximation.append(q)
    bands = [approximation]
    for j in range(1, D + 1):
        level = 9 - D + j
        band = Band(
            level,
            j > D - 2,
            bands[j - 1] if j > 1 else None,
            bands[j - 2] if j > 2 else None,
            events[j] if events is not None else None,
            other[j] if other is not None else None,
            before[j] if before is not None else None,
        )
        any_ = model.simple_bit(first_bit + level)
        bands.append(decode_band(model, lengths[j], band) if any_ else [0] * lengths[j])
    return bands


def corrected(model: Model, y: list[int]) -> list[int]:
    corrections, width = decode_corrections(model, y, None, None)
    return [sample + c * width for sample, c in zip(y, corrections, strict=True)]


def decode_corrections(
    model: Model, y: list[int], other: list[int] | None, before: Before | None
) -> tuple[list[int], int]:
    """Corrections, and what they are multiplied with."""
    bound = model.number(900)
    events = [(y[i] - y[max(0, i - 1)]) // (bound + 1) for i in range(len(y))]
    band = Band(15, sparse=True, events=events, other=other, before=before)
    corrections = decode_band(model, len(y), band)
    width = 2 * bound + 1
    check(all(abs(correction) * width < 2**46 for correction in corrections), "correction")
    return corrections, width


def step_of(code: int) -> int:
    u = round(65536 * 2 ** ((code % 128) / 128))
    return (u << (code >> 7)) >> 10


def dequantized(q: int, step: int, center: int) -> int:
    if q == 0:
        return 0
    check(abs(q) * step < 2**46, "coefficient")
    magnitude = abs(q) * step + (((center - 32) * step) >> 6)
    return magnitude if q > 0 else -magnitude


# Events


@dataclass
class Event:
    position: int
    kernel: int
    amplitudes: list[int]


class Amplitudes:
    """The memory of a kernel in a channel."""

    def __init__(self) -> None:
        self.mean = self.last = self.last_but_one = self.count = self.spread = 0


class Memory:
    def __init__(self, kernels: int, channels: int) -> None:
        self.amplitudes = [[Amplitudes() for _ in range(channels)] for _ in range(kernels)]
        self.interval = self.interval2 = self.mean_interval = self.mean_size = 0
        self.start()

    def start(self) -> None:
        """Of a chunk."""
        self.last = self.large = 0
        self.k1 = self.k2 = 64
        self.previous = 0

    def copy(self) -> "Memory":
        other = Memory(0, 0)
        vars(other).update(vars(self))
        other.amplitudes = [[Amplitudes() for _ in row] for row in self.amplitudes]
        for theirs, ours in zip(other.amplitudes, self.amplitudes, strict=True):
            for one, two in zip(theirs, ours, strict=True):
                vars(one).update(vars(two))
        return other


def near(v: int, m: int) -> int:
    return min(m, max(-m, v)) + m


def salted(values: list[int], salt: int) -> list[int]:
    return [value + (salt + slot) * 2**27 for slot, value in enumerate(values)]


def decode_events(
    model: Model, memory: Memory, n: int, w: int, dictionary: Dictionary
) -> list[Event]:
    memory.start()
    length, events = dictionary.length, []
    while (e := decode_bin(model, memory, n, w)) is not None:
        position = memory.last + (e << w) + decode_place(model, memory, e, w)
        kernel = decode_kernel(model, memory, e, w, position, len(dictionary.kernels))
        check(position < n and position <= n - length, "position of an event")
        check(kernel < len(dictionary.kernels), "kernel of an event")
        amplitudes = [
            decode_amplitude(model, memory.amplitudes[kernel][channel], kernel, channel)
            for channel in range(dictionary.channels)
        ]
        events.append(Event(position, kernel, amplitudes))
        check(len(events) <= 16 * n // length + 1, "too many events")
        after_event(memory, events[-1], e)
    return events


def decode_bin(model: Model, memory: Memory, n: int, w: int) -> int | None:
    m, e = memory, 0
    while m.last + (e << w) < n:
        far = min(e, 63)
        elapsed = (m.last - m.large + (e << w)) >> w
        d1 = near(elapsed - (m.interval >> w), 20)
        d2 = near(elapsed - (m.mean_interval >> w), 20)
        d3 = near(elapsed - (m.interval2 >> w), 20)
        values = [
            m.k1 * 64 + far,
            (m.k1 * 65 + m.k2) * 64 + far,
            m.k1 * 64 + d1,
            d2 * 64 + min(far, 15),
            (d1 * 64 + d3) * 2 + (1 if e == 0 else 0),
            min(m.previous, 63) * 64 + far,
            d2 * 64 + d1,
        ]
        contexts = model.find_all(salted(values, 1))
        if model.decide(contexts, 0, 384 + min(7, far), 392 + d1, 224):
            return e
        e += 1
    return None


def decode_place(model: Model, memory: Memory, e: int, w: int) -> int:
    elapsed = (memory.last - memory.large + (e << w)) >> w
    d1 = near(elapsed - (memory.interval >> w), 4)
    known = 1
    for number in range(min(w, 4)):
        values = [
            (memory.k1 * 64 + min(e, 63)) * 16 + known,
            (d1 * 16 + known) * 4 + min(e, 3),
            known * 64 + min(e, 63),
        ]
        contexts = model.find_all(salted(values, 8))
        known = known * 2 + model.decide(contexts, 0, 433 + number, 437, 225)
    return model.coder.raw(max(0, w - 4), known) - (1 << w)


def decode_kernel(model: Model, memory: Memory, e: int, w: int, position: int, kernels: int) -> int:
    m = memory
    d1 = near((position - m.large - m.interval) >> w, 6)
    known = 1
    D = max(0, kernels - 1).bit_length()
    for number in range(D):
        values = [
            m.k1 * 64 + known,
            (m.k1 * 65 + m.k2) * 64 + known,
            (m.k1 * 64 + min(e, 63)) * 64 + known,
            (d1 * 64 + min(e, 15)) * 64 + known,
            known,
        ]
        contexts = model.find_all(salted(values, 11))
        bit = model.decide(contexts, 0, 438 + min(7, known), 446 + number, 226)
        known = known * 2 + bit
    return known - (1 << D)


def decode_amplitude(model: Model, memory: Amplitudes, kernel: int, channel: int) -> int:
    m = memory
    wide = min(15, m.spread.bit_length())
    d1, d2, first = near(m.last, 7), near(m.last_but_one, 4), min(3, m.count)
    own = kernel * 64 + min(channel, 63)
    values = [
        own * 4 + first,
        own * 16 + d1,
        (d1 * 16 + d2) * 4 + first,
        (min(15, m.spread >> 2) * 16 + wide) * 4 + first,
        wide * 16 + first,
    ]
    v = decode_difference(model, model.find_all(salted(values, 16)), 464 + wide)

    m.last_but_one, m.last = m.last, v
    m.spread += (16 * abs(v) - m.spread) >> 2
    amplitude = v + (m.mean + 8) // 16
    check(abs(amplitude) < 2**24, "amplitude of an event")
    m.mean += (16 * amplitude - m.mean) // (min(7, m.count) + 1)
    m.count = min(7, m.count) + 1
    return amplitude


def decode_difference(model: Model, contexts: list[Bucket], set_b: int) -> int:
    if not model.decide(contexts, 0, 452, set_b, 227):
        return 0
    positive = model.decide(contexts, 1, 453, set_b, 228)
    magnitude = 1
    for k in range(1, 10):
        if not model.decide(contexts, k + 1, 453 + k, set_b, 229 + min(k, 4)):
            break
        magnitude = k + 1
    if magnitude == 10:
        length = 0
        while length < 32 and model.simple_bit(512 + length):
            length += 1
        magnitude = 9 + model.coder.raw(length, 1)
    return magnitude if positive else -magnitude


def after_event(memory: Memory, event: Event, e: int) -> None:
    m = memory
    size = sum(abs(amplitude) for amplitude in event.amplitudes)
    if 2 * size >= m.mean_size >> 4:
        m.interval2, m.interval = m.interval, event.position - m.large
        m.mean_interval += (m.interval - m.mean_interval) >> 2
        m.large = event.position
    m.mean_size += (16 * size - m.mean_size) >> 3
    m.last, m.previous = event.position, e
    m.k2, m.k1 = m.k1, event.kernel


def sum_of_events(
    events: list[Event], n: int, step: int, channel: int, dictionary: Dictionary
) -> list[int]:
    """In 1/256."""
    added = [0] * n
    for event in events:
        amplitude = event.amplitudes[channel]
        for i, sample in enumerate(dictionary.kernels[event.kernel][channel]):
            added[event.position + i] += (amplitude * step * sample + 8192) >> 14
    return added


def expected_of(added: list[int], step: int) -> list[list[int]]:
    """The events' coefficients in each band."""
    bands = forward(added, levels_of(len(added)))
    return [[(value + step // 2) // step for value in band] for band in bands]


# The transform across columns


def decode_across(
    payload: bytes, n: int, columns: int, dictionary: Dictionary | None
) -> list[list[int]]:
    check(2 <= columns <= 256, "columns of a transform across them")
    coder = RangeDecoder(payload)
    model = Model(coder, -(-n * columns // 4), 18, weight=9830)
    with_events, with_corrections = coder.raw(1), coder.raw(1)
    scales = [step_of(coder.raw(12)) for _ in range(columns)]
    K = coder.raw(columns.bit_length())
    check(K <= min(columns, n), "number of components")
    A = 3 + coder.raw(3)
    angles = {(k, j): coder.raw(A) for k in range(K) for j in range(k + 1, columns)}
    offsets = [decode_offset(model) for _ in range(columns)]
    sums = [[0] * n for _ in range(K)]
    if with_events:
        check(dictionary is not None and len(dictionary.kernels) > 0, "events without kernels")
        check(dictionary.channels == columns, "channels of the dictionary")
        shared = Dictionary(K, dictionary.length, dictionary.kernels)
        memory = Memory(len(shared.kernels), K)
        events = decode_events(model, memory, n, coder.raw(4), shared)
        sums = [sum_of_events(events, n, 256, k, shared) for k in range(K)]
    components = decode_components(model, n, sums, with_events)
    centers = (coder.raw(6), coder.raw(6))
    v = [
        component_samples(bands, centers, added)
        for bands, added in zip(components, sums, strict=True)
    ]
    U = matrix(angles, A, columns, K)
    y = []
    for c in range(columns):
        y.append([])
        for t in range(n):
            z = ((sum(U[c][k] * v[k][t] for k in range(K)) + 2**19) >> 20) + 256 * offsets[c]
            check(abs(z) * scales[c] < 2**62, "sample")
            y[c].append((z * scales[c] + 32768) >> 16)
    return corrected_columns(model, y) if with_corrections else y


def decode_offset(model: Model) -> int:
    v = model.number(916)
    offset = v // 2 if v % 2 == 0 else -(v + 1) // 2
    check(abs(offset) < 2**28, "offset")
    return offset


def decode_components(
    model: Model, n: int, sums: list[list[int]], with_events: int
) -> list[list[list[int]]]:
    """The coefficients of each component, band by band."""
    zeros = [[0] * length for length in lengths_of(n, levels_of(n))]
    totals, components = [band.copy() for band in zeros], []
    for k, added in enumerate(sums):
        second = components[k - 2] if k > 1 else zeros
        before = [Before(k, total, two) for total, two in zip(totals, second, strict=True)]
        expected = expected_of(added, 256) if with_events else None
        components.append(
            decode_bands(model, n, expected, components[k - 1] if k > 0 else zeros, before)
        )
        for total, band in zip(totals, components[-1], strict=True):
            check(all(abs(q) < 2**28 for q in band), "coefficient")
            total[:] = [t + abs(q) for t, q in zip(total, band, strict=True)]
    return components


def component_samples(
    bands: list[list[int]], centers: tuple[int, int], added: list[int]
) -> list[int]:
    """Samples of a component, in 1/256 of a step."""
    parts = [[256 * q for q in bands[0]]]
    for band in bands[1:]:
        o = [4 * (centers[abs(q) > 1] - 32) for q in band]
        parts.append(
            [256 * q + ((q > 0) - (q < 0)) * more for q, more in zip(band, o, strict=True)]
        )
    v = [value + event for value, event in zip(inverse(parts), added, strict=True)]
    check(all(abs(value) < 2**38 for value in v), "component")
    return v


def matrix(angles: dict[tuple[int, int], int], A: int, C: int, K: int) -> list[list[int]]:
    def S(i: int) -> int:
        return round(2**30 * math.sin(math.pi * i / 1024))

    U = [[2**30 if row == k else 0 for k in range(K)] for row in range(C)]
    for k in range(K - 1, -1, -1):
        for j in range(C - 1, k, -1):
            i = (angles[k, j] - 2 ** (A - 1)) * 2 ** (10 - A)
            s, c = S(i), S(512 - abs(i))
            pairs = list(zip(U[k], U[j], strict=True))
            U[k] = [(c * a - s * b + 2**29) >> 30 for a, b in pairs]
            U[j] = [(s * a + c * b + 2**29) >> 30 for a, b in pairs]
    return [[(entry + 512) >> 10 for entry in row] for row in U]


def corrected_columns(model: Model, y: list[list[int]]) -> list[list[int]]:
    n = len(y[0])
    corrections: list[list[int]] = []
    total, samples = [0] * n, []
    for c, column in enumerate(y):
        other = corrections[c - 1] if c > 0 else [0] * n
        second = corrections[c - 2] if c > 1 else [0] * n
        found, width = decode_corrections(model, column, other, Before(c, total, second))
        corrections.append(found)
        samples.append([v + one * width for v, one in zip(column, found, strict=True)])
        total = [t + abs(one) for t, one in zip(total, found, strict=True)]
    return samples


# The predictive mode


def clamp(v: int, a: int) -> int:
    return min(a, max(-a, v))


def held(v: int, a: int, b: int) -> int:
    return min(b, max(a, v))


def lg(v: int) -> int:
    """Four steps an octave."""
    if v < 4:
        return v
    if v < 4096:
        b = v.bit_length()
        return 4 * (b - 2) + ((v >> (b - 3)) & 3)
    return 16 + lg(v >> 4)


def decode_predictive(payload: bytes, n: int, channels: int, B: int) -> list[list[int]]:
    source = Reader(payload)
    lowest, extent = source.zigzag(), source.varint()
    highest = lowest + extent
    check(-(2**31) <= lowest and highest < 2**31, "lowest or highest of a group")
    if extent == 0:
        check(source.at_end(), "something follows the header of a constant group")
        return [[lowest] * n for _ in range(channels)]
    S = source.byte()
    check(S <= 17, "shift of a group")
    coder = RangeDecoder(source.rest())
    return Predictive(coder, channels, B, lowest, highest, S).decode(n)


class Channel:
    """The state of a channel."""

    def __init__(self, F: int) -> None:
        self.w = [0] * (F + 1)  # w[0] is not used
        self.M = [[0] * (i + 1) for i in range(F + 1)]
        self.A, self.Z, self.N = [0] * 3, [0] * 3, [0] * 3
        self.E: list[int] = []
        self.USUAL = self.RECENT = self.ENERGY = 0
        self.f = [[2**19] + [0] * 6 for _ in range(16)]
        self.y: list[int] = []
        self.D: list[int] = []


@dataclass
class Expectation:
    features: list[int]  # from 1; the place of feature 0 is taken
    g: int
    P: int
    C: int
    mean: list[int]
    centre: int


def learn(channel: Channel, expected: Expectation, t: int, d: int) -> None:
    P, C = expected.P, expected.C
    e = clamp(64 * d - P, 2**24)
    r = clamp(e - C, 2**24)
    k = (channel.USUAL << 8) // (5 * channel.RECENT + 50 * abs(e) + 1)
    weight = min((k * k) >> 8, 64)
    if weight > 0:
        features = [d, *expected.features[1:]]
        for i, row in enumerate(channel.M):
            moved = weight * features[i]
            for j in range(i + 1):
                row[j] += moved * features[j]
    age = 6 + sum(t >= 2**a for a in (6, 7, 8, 9))
    channel.USUAL += (16 * abs(e) - channel.USUAL) >> age
    channel.RECENT += (16 * abs(e) - channel.RECENT) >> 3
    for a, o in enumerate((abs(64 * d), abs(e), abs(r))):
        channel.A[a] += (o - channel.A[a]) >> 2
        channel.Z[a] += (o - channel.Z[a]) >> 4
        channel.N[a] = (channel.A[a] + channel.Z[a]) >> 1
    f, E = channel.f[expected.g], channel.E
    G = (r << 30) // (channel.ENERGY + P * P + 4096)
    f[0] = clamp(f[0] + ((65536 - G * P) >> 17), 2**24)
    for i in range(1, 7):
        f[i] = clamp(f[i] + ((G * at(E, t - i) + 65536) >> 17), 2**24)
    channel.ENERGY += e * e - at(E, t - 6) ** 2
    E.append(e)


# Least squares


def fade(channel: Channel) -> None:
    for row in channel.M:
        for j, v in enumerate(row):
            row[j] = v - ((v + 32) >> 6)


def solve(channel: Channel) -> None:
    M, F = channel.M, len(channel.M) - 1
    m = max(M[i][i] for i in range(F + 1))
    up = max(0, 30 - m.bit_length()) if m > 0 else 0  # the least with m << up >= 2^29
    down = max(0, m.bit_length() - 30)  # the least with m >> down < 2^30
    T = [[(v << up) >> down for v in row] for row in M]
    floor = (((m << up) >> down) >> 18) + 1
    Lf = [[0] * (F + 1) for _ in range(F + 2)]
    piv = [0] * (F + 1)
    for j in range(1, F + 1):
        u = [0] + [clamp((Lf[j][k] * piv[k]) >> 20, 2**30) for k in range(1, j)]
        for i in range(j, F + 2):
            v = T[i][j] if i <= F else T[j][0]
            s = sum(Lf[i][k] * u[k] for k in range(1, j)) >> 20
            if i == j:
                piv[j] = held(v + (v >> 14) + floor - s, floor, 2**31)
            else:
                Lf[i][j] = clamp((clamp(v - s, 2**31) << 20) // piv[j], 2**27)
    w = channel.w
    for j in range(F, 0, -1):
        v = (Lf[F + 1][j] << 12) - sum((Lf[k][j] * w[k]) >> 4 for k in range(j + 1, F + 1))
        w[j] = clamp(v >> 16, 2**22)


# Units, contexts and decisions


@dataclass
class Contexts:
    h: int
    bucket: int
    loud: int
    scale: list[int]
    context: list[int]  # of the inputs 3 ... 6
    fine: int
    expected: Expectation


class Predictive:
    # Bytes, order and geometry

    def __init__(
        self, coder: RangeDecoder, channels: int, B: int, lowest: int, highest: int, S: int
    ) -> None:
        self.coder, self.lowest, self.highest, self.S = coder, lowest, highest, S
        self.W = 2 * B + 1
        self.Wb = (2 * self.W // 3).bit_length()
        self.L = (highest - lowest) // self.W + 1
        counts = [
            24 + 8 * (c + 1 < channels) + 8 * (c >= 1) + 8 * (c >= 2) for c in range(channels)
        ]
        self.channels = [Channel(F) for F in counts]
        self.cells: dict[tuple[int, ...], list[int]] = {}  # probability and count
        self.weights: dict[tuple[int, ...], list[int]] = {}
        self.refinements: dict[tuple[int, ...], list[int]] = {}

    def decode(self, n: int) -> list[list[int]]:
        due, solved = 32, 0
        for t in range(n):
            for c in range(len(self.channels)):
                self.decode_sample(t, c)
            if t + 1 == due:
                for channel in self.channels:
                    if due - solved == 256:
                        fade(channel)
                    solve(channel)
                solved = due
                due += min(256, max(32, due >> 2))
        return [channel.y for channel in self.channels]

    def decode_sample(self, t: int, c: int) -> None:
        channel = self.channels[c]
        expected = self.expect(t, c)
        q = self.decode_residual(self.contexts(t, c, expected))
        y = held(expected.centre + q * self.W, self.lowest, self.highest)
        d = clamp((y - self.y_before(channel)) >> self.S, 2**16)
        learn(channel, expected, t, d)
        channel.y.append(y)
        channel.D.append(d)

    def y_before(self, channel: Channel) -> int:
        return channel.y[-1] if channel.y else held(0, self.lowest, self.highest)

    # Experts

    def features(self, t: int, c: int) -> list[int]:
        features = [0]
        features += [at(self.channels[c].D, t - k) for k in range(1, 25)]
        if c + 1 < len(self.channels):
            features += [at(self.channels[c + 1].D, t - k) for k in range(1, 9)]
        if c >= 1:
            features += [at(self.channels[c - 1].D, t - k) for k in range(8)]
        if c >= 2:
            features += [at(self.channels[c - 2].D, t - k) for k in range(8)]
        return features

    def expect(self, t: int, c: int) -> Expectation:
        channel, lowest, highest = self.channels[c], 64 * self.lowest, 64 * self.highest
        last = 64 * self.y_before(channel)
        features = self.features(t, c)
        total = sum(w * feature for w, feature in zip(channel.w, features, strict=True))
        P = clamp(total >> 10, 2**24)
        g = min(lg(channel.N[2]) >> 2, 15)
        total = -channel.f[g][0] * P
        total += sum(channel.f[g][i] * at(channel.E, t - i) for i in range(1, 7))
        C = clamp(total >> 20, 2**24)
        linear = held(last + (P << self.S), lowest, highest)
        filtered = held(last + ((P + C) << self.S), lowest, highest)
        return Expectation(features, g, P, C, [last, linear, filtered], (filtered + 32) >> 6)

    # Units and contexts of a sample

    def contexts(self, t: int, c: int, expected: Expectation) -> Contexts:
        channel, before = self.channels[c], self.channels[c - 1]  # c = 0: the last of all
        A, Z, N = channel.A, channel.Z, channel.N
        U = 4 * (self.S - self.Wb)
        loud = lg(N[2]) + U
        bucket = held((loud - 28) >> 2, 0, 32)
        U -= 4 * bucket
        loud = held(loud - 4 * bucket, 0, 47)
        finer = 5 + max(0, bucket + self.Wb - self.S)
        first = clamp(at(channel.E, t - 1) >> finer, 7) + 7
        second = clamp(at(channel.E, t - 2) >> finer, 7) + 7
        other = clamp(at(before.E, t if c > 0 else t - 1) >> finer, 7) + 7
        fast, slow = held(lg(A[1]) + U, 0, 47), held(lg(Z[1]) + U, 0, 47)
        fraction = ((expected.mean[2] + 32) & 63) >> 3
        context = [
            48 * slow + fast,
            225 * (loud >> 2) + 15 * first + second,
            (15 * (loud >> 1) + other) * 8 + fraction,
            expected.centre & 1023,
        ]
        scale = [held(lg(N[a]) + U, 0, 47) for a in range(3)]
        fine = self.Wb + bucket + 3
        return Contexts(min(c, 3), bucket, loud, scale, context, fine, expected)

    # A decision

    def decision(self, at_: Contexts, kind: int, node: int, stage: int, distance: int) -> int:
        cells = self.cells_of(at_, kind, node, distance)
        weights = self.weights.setdefault((at_.loud >> 2, at_.h, node), [10000] * 7)
        R = self.refinements.setdefault((at_.loud >> 1, stage), REFINEMENT.copy())
        s = [STRETCH[probability >> 10] for probability, _ in cells]
        x = clamp(sum(w * v for w, v in zip(weights, s, strict=True)) >> 16, 2815)
        p = SQUASH[x]
        j, o = divmod(x + 2816, 128)
        refined = (p + ((R[j] * (128 - o) + R[j + 1] * o) >> 7)) >> 1
        bit = self.coder.bit(held(refined, 1, 65535))

        goal = 65535 if bit else 0
        R[j] += ((goal - R[j]) * (128 - o)) >> 13
        R[j + 1] += ((goal - R[j + 1]) * o) >> 13
        goal = 4194303 if bit else 0
        for a, cell in enumerate(cells):
            weights[a] += (s[a] * (65536 * bit - p) + 32768) >> 16
            cell[0] += ((goal - cell[0]) * RATE[cell[1]]) >> 16
            cell[1] = min(cell[1] + 1, 255)
        return bit

    def cells_of(self, at_: Contexts, kind: int, node: int, distance: int) -> list[list[int]]:
        keys: list[tuple[int, ...]] = []
        for a in range(3):
            z = 64 * at_.expected.centre + distance - at_.expected.mean[a]
            v = min(lg(min(abs(z) >> at_.fine, 4095)), 31)
            place = 32 + v if z >= 0 else 31 - v
            keys.append((at_.h, a, at_.scale[a], kind, place))
        for a in range(3, 7):
            keys.append((at_.h, a, at_.context[a - 3], node))
        return [self.cells.setdefault(key, [2**21, 0]) for key in keys]

    # The residual

    def decode_residual(self, at_: Contexts) -> int:
        bucket = at_.bucket
        if not self.decision(at_, 0, 0, 0, 0):
            return 0
        sign = self.decision(at_, 1, 1, 1, 0)
        unit = 64 * self.W if sign else -64 * self.W
        v = 0
        while v < 20:
            distance = ((v + 1) << bucket) * unit + (unit >> 1)
            if not self.decision(at_, 2 if sign else 3, 2 + v, 2 + min(v, 5), distance):
                break
            v += 1
        if v == 20:
            v = min(20 + self.escape(), self.L >> bucket)
        node = 23 if v == 0 else 22
        for i in range(bucket - 1, max(-1, bucket - 3), -1):
            distance = ((2 * v + 1) << i) * unit + (unit >> 1)
            v = 2 * v + self.decision(at_, 4, node + 2 if i == bucket - 1 else node, 8, distance)
        v = self.coder.raw(max(0, bucket - 2), v)
        v = min(v, self.L) + 1
        return v if sign else -v

    def escape(self: "Predictive | Joint") -> int:
        b = 0
        while b < 34 and self.coder.raw(1):
            b += 1
        return self.coder.raw(b, 1) - 1


# The second predictive mode

SOFT = [round(256 * math.log1p(math.exp(-i / 256))) for i in range(2048)]
SHORT = [round(-256 * math.log(-math.expm1(-max(1, i) / 256))) for i in range(2048)]
LOW = 2**22 - 1


def decode_joint(payload: bytes, n: int, columns: int) -> list[list[int]]:
    check(columns <= 256, "more columns than the mode has")
    source = Reader(payload)
    lowest, extent = source.zigzag(), source.varint()
    highest = lowest + extent
    check(-(2**31) <= lowest and highest < 2**31, "lowest or highest of a chunk")
    if extent == 0:
        check(source.at_end(), "something follows the header of a constant chunk")
        return [[lowest] * n for _ in range(columns)]
    flags = source.byte()
    check(flags < 16, "flags of a chunk")
    bounds = [source.varint() for _ in range(1 if flags & 4 else columns)]
    check(max(bounds) < 2**31, "bound of a column")
    shifts = [source.byte() for _ in range(1 if flags & 8 else columns)]
    check(max(shifts) <= 17, "shift of a column")
    bounds = bounds * columns if flags & 4 else bounds
    shifts = shifts * columns if flags & 8 else shifts
    coder = RangeDecoder(source.rest())
    state = [Column(c, bounds[c], shifts[c], highest - lowest) for c in range(columns)]
    return Joint(coder, state, lowest, highest, 1 + flags % 4).decode(n)


class Column:
    """The state of a column."""

    def __init__(self, c: int, B: int, S: int, extent: int) -> None:
        self.c, self.S, self.W = c, S, 2 * B + 1
        self.Wb = (2 * self.W // 3).bit_length()
        self.L = extent // self.W + 1
        self.A, self.Z, self.N = [0] * 5, [0] * 5, [0] * 5
        self.E: list[int] = []
        self.USUAL = self.RECENT = self.ENERGY = 0
        self.f = [[2**19] + [0] * 6 for _ in range(16)]
        self.y: list[int] = []
        self.D: list[int] = []
        self.V: list[int] = []
        self.w: list[int] = []  # of each sample in the moments
        self.seen: list[list[int]] = []  # the features of each sample since the last solution
        self.mates: list[int] = []

    def features(self, columns: list["Column"], t: int) -> list[int]:
        found = [0, at(self.V, t - 1), *(at(self.D, t - k) for k in range(1, 7))]
        found += [columns[m].D[t] for m in self.mates if m < self.c]
        for m in self.mates:
            found += [at(columns[m].V, t - 1), at(columns[m].D, t - 1)]
        return found + [at(self.D, t - k) for k in range(7, 33)]


class Moments:
    """A triangle of moments, and the weights that are solved from it."""

    def __init__(self, size: int, share: int, fade: int) -> None:
        self.size, self.share, self.fade, self.g = size, share, fade, 0
        self.M = [[0] * (i + 1) for i in range(size + 1)]
        self.weights = [0] * (size + 1)

    def take(self, fresh: list[list[int]], T: int) -> None:
        new = max(fresh[i][i] for i in range(self.size + 1))
        old = max(self.M[i][i] for i in range(self.size + 1))
        g = 0
        while g < 30 and new << (g + 1) < 2**55 and shift(old, g + 1 - self.g) < 2**55:
            g += 1
        for i in range(self.size + 1):
            for j in range(i + 1):
                v = shift(self.M[i][j], g - self.g)
                v -= ((v >> 6) * (self.share * T)) >> (self.fade - 6)
                self.M[i][j] = v + (fresh[i][j] << g)
        self.g = g
        self.weights = solved(self.M, self.size)


def shift(v: int, k: int) -> int:
    return v << k if k >= 0 else v >> -k


def half_of(v: int, b: int) -> int:
    h = 0
    while v << (2 * h) < 2**b:
        h += 1
    while h <= 0 and v >> (-2 * h) >= 2 ** (b + 2):
        h -= 1
    return h


def product(a: int, b: int) -> int:
    a1, a0, b1, b0 = a >> 22, a & LOW, b >> 22, b & LOW
    return a1 * b1 + ((a1 * b0 + a0 * b1) >> 22)


def solved(M: list[list[int]], s: int) -> list[int]:
    p = [half_of(M[i][i], 42) if M[i][i] > 0 else 0 for i in range(s + 1)]
    f1, f0, u1, u0 = ([[0] * (s + 1) for _ in range(s + 2)] for _ in range(4))  # upper, lower bits
    h, R = [0] * (s + 1), [0] * (s + 1)
    for i in range(1, s + 2):
        for j in range(1, min(i, s) + 1):
            v = shift(M[i][j], p[i] + p[j]) if i <= s else shift(M[j][0], p[0] + p[j])
            rows = (f1[i][1:j], f0[i][1:j], u1[j][1:j], u0[j][1:j])
            cross = sum(a1 * b0 + a0 * b1 for a1, a0, b1, b0 in zip(*rows, strict=True))
            v = clamp(v, 2**45) - sum(map(operator.mul, rows[0], rows[2])) - (cross >> 22)
            if i == j:
                d = held(v + 2**13, 2**12, 2**45)
                h[j] = max(0, half_of(d, 42))
                R[j] = 2**88 // (d << (2 * h[j]))
            else:
                u = clamp(clamp(v, 2**45) << h[j], 2**45)
                f = clamp(product(u, R[j]), 2**46)
                u1[i][j], u0[i][j], f1[i][j], f0[i][j] = u >> 22, u & LOW, f >> 22, f & LOW
    z = [(a << 22) + b for a, b in zip(f1[s + 1], f0[s + 1], strict=True)]
    w = [0] * (s + 1)
    for j in range(s, 0, -1):
        x = clamp(z[j] >> (18 - h[j]), 2**40)
        x1, x0 = x >> 22, x & LOW
        for k in range(1, j):
            taken = (f1[j][k] * x1 << 18) + ((f1[j][k] * x0 + f0[j][k] * x1) >> 4)
            z[k] = clamp(z[k] - taken, 2**61)
        k = p[j] - p[0] - 2
        w[j] = clamp(x, 2**31 >> k) << k if k >= 0 else clamp(x >> -k, 2**31)
    return w


@dataclass
class JointExpectation:
    features: list[int]
    P: list[int]  # from 1
    K: int
    filter: list[int]
    mean: list[int]
    centre: int


@dataclass
class JointContexts:
    column: Column
    expected: JointExpectation
    h: int
    bucket: int
    loud: int
    scale: list[int]
    context: list[int]
    fine: int
    distributions: list[tuple[int, int, int]]  # place, step, wide


class Joint:
    def __init__(
        self, coder: RangeDecoder, columns: list[Column], lowest: int, highest: int, H: int
    ) -> None:
        self.coder, self.columns, self.lowest, self.highest, self.H = (
            coder, columns, lowest, highest, H,
        )  # fmt: skip
        self.cells: dict[tuple[int, ...], list[int]] = {}
        self.alpha: dict[tuple[int, ...], list[int]] = {}
        self.beta: dict[tuple[int, ...], list[int]] = {}
        self.refinements: dict[tuple[int, ...], list[int]] = {}
        for column in columns:
            column.mates = self.mates(column.c, len(columns))
        self.moments = [self.two_triangles(column) for column in columns]

    def mates(self, c: int, C: int) -> list[int]:
        others = [m for m in range(C) if m != c]
        if C <= 25:
            return others
        found: list[int] = []
        for m in others:
            if len(found) < 24 and self.coder.bit(24 * 65536 // (C - 1)):
                found.append(m)
        return found

    def two_triangles(self, column: Column) -> list[Moments]:
        F = 33 + 2 * len(column.mates) + sum(m < column.c for m in column.mates)
        return [Moments(F, 1, 12), Moments(min(F, 20), 3, 11)]

    def decode(self, n: int) -> list[list[int]]:
        due, before = 32, 0
        for t in range(n):
            for column in self.columns:
                self.decode_sample(t, column)
            if t + 1 == due:
                for column, triangles in zip(self.columns, self.moments, strict=True):
                    self.learn_weights(column, triangles, due - before)
                before = due
                due += min(256, max(32, due >> 2))
        return [column.y for column in self.columns]

    def learn_weights(self, column: Column, triangles: list[Moments], T: int) -> None:
        rows = list(zip(*column.seen, strict=True))  # of each feature, its T values
        weighted = [list(map(operator.mul, row, column.w)) for row in rows]
        fresh = [
            [sum(map(operator.mul, weighted[i], rows[j])) for j in range(i + 1)]
            for i in range(len(rows))
        ]
        for moments in triangles:
            moments.take(fresh, T)
        column.seen, column.w = [], []

    def decode_sample(self, t: int, column: Column) -> None:
        expected = self.expect(t, column)
        q = self.decode_residual(self.contexts(t, column, expected))
        y = held(expected.centre + q * column.W, self.lowest, self.highest)
        before = column.y[-1] if t > 0 else y
        column.y.append(y)
        column.D.append(clamp((y - before) >> column.S, 2**16))
        column.V.append(clamp((y - column.y[0]) >> column.S, 2**16))
        self.learn(t, column, expected)

    def expect(self, t: int, column: Column) -> JointExpectation:
        features = column.features(self.columns, t)
        P = [0]
        for moments in self.moments[column.c]:
            total = sum(map(operator.mul, moments.weights, features))
            P.append(clamp((total + 2**17) >> 18, 2**24))
        a1, a2 = ((column.A[a] >> 1) + column.Z[a] + 1 for a in (1, 2))
        k = max(0, max(a1, a2).bit_length() - 12)
        a1, a2 = max(1, a1 >> k), max(1, a2 >> k)
        P.append((P[1] * a2**3 + P[2] * a1**3) // (a1**3 + a2**3))
        f = column.f[min(lg(column.N[4]) >> 2, 15)]
        total = -f[0] * P[3] + sum(f[i] * at(column.E, t - i) for i in range(1, 7))
        K = clamp(total >> 20, 2**24)
        last = 64 * (column.y[-1] if column.y else held(0, self.lowest, self.highest))
        moves = [0, P[1], P[2], P[3], P[3] + K]
        mean = [held(last + (v << column.S), 64 * self.lowest, 64 * self.highest) for v in moves]
        return JointExpectation(features, P, K, f, mean, (mean[4] + 32) >> 6)

    def learn(self, t: int, column: Column, expected: JointExpectation) -> None:
        d, P, f, E = 64 * column.D[t], expected.P, expected.filter, column.E
        e = clamp(d - P[3], 2**24)
        r = clamp(e - expected.K, 2**24)
        k = min((column.USUAL << 8) // (5 * column.RECENT + 50 * abs(e) + 1), 128)
        column.w.append((k * k) >> 8)
        column.seen.append([column.D[t], *expected.features[1:]])
        age = 5 + sum(t >= 2**a for a in range(5, 10))
        column.USUAL += (16 * abs(e) - column.USUAL) >> age
        column.RECENT += (16 * abs(e) - column.RECENT) >> 3
        wrong = [min(abs(d - P[a]), 2**24) for a in (1, 2)]
        for a, o in enumerate((abs(d), *wrong, abs(e), abs(r))):
            column.A[a] += (o - column.A[a]) >> 2
            column.Z[a] += (o - column.Z[a]) >> 4
            column.N[a] = (column.A[a] + column.Z[a]) >> 1
        G = (r << 30) // (column.ENERGY + P[3] * P[3] + 4096)
        f[0] = clamp(f[0] + ((65536 - G * P[3]) >> 17), 2**24)
        for i in range(1, 7):
            f[i] = clamp(f[i] + ((G * at(E, t - i) + 65536) >> 17), 2**24)
        column.ENERGY += e * e - at(E, t - 6) ** 2
        E.append(e)

    def contexts(self, t: int, column: Column, expected: JointExpectation) -> JointContexts:
        c, S, W, Wb, A, Z = column.c, column.S, column.W, column.Wb, column.A, column.Z
        U = 4 * (S - Wb)
        loud = lg(column.N[4]) + U
        bucket = held((loud - 28) >> 2, 0, 32)
        U -= 4 * bucket
        loud = held(loud - 4 * bucket, 0, 47)
        finer = 5 + max(0, bucket + Wb - S)
        first = clamp(at(column.E, t - 1) >> finer, 7) + 7
        second = clamp(at(column.E, t - 2) >> finer, 7) + 7
        newest = self.columns[c - 1].E  # c = 0: the last of all
        other = clamp((newest[-1] if newest else 0) >> finer, 7) + 7
        fast, slow = held(lg(A[3]) + U, 0, 47), held(lg(Z[3]) + U, 0, 47)
        fraction = ((expected.mean[4] + 32) & 63) >> 3
        context = [
            48 * slow + fast,
            225 * (loud >> 2) + 15 * first + second,
            (15 * (loud >> 1) + other) * 8 + fraction,
            expected.centre & 1023,
        ]
        distributions = []
        for a in range(1, 5):
            for share, errors in ((38, A[a]), (35, Z[a])):
                scale = ((share * errors) << S) + 83 * W
                place = (clamp(64 * expected.centre - expected.mean[a], scale) << 16) // scale
                step = held((W << 22) // scale, 4, 65536)
                wide = held(((W << bucket) << 22) // scale, 4, 65536)
                distributions.append((place, step, wide))
        scales = [held(lg(v) + U, 0, 47) for v in column.N]
        h, fine = min(c, self.H - 1), Wb + bucket + 3
        return JointContexts(
            column, expected, h, bucket, loud, scales, context, fine, distributions
        )

    def decision(
        self, at_: JointContexts, kind: int, node: int, stage: int, side: int, v: int, b: int
    ) -> int:
        cells = self.cells_of(at_, kind, node, side, v, b)
        s = [odds(kind, *distribution, side, v, b) for distribution in at_.distributions]
        s += [STRETCH[probability >> 10] for probability, _ in cells]
        first = [80000] * 8 + [160000] * 9
        alpha = self.alpha.setdefault((at_.loud >> 2, at_.h, node), first.copy())
        beta = self.beta.setdefault((at_.column.c % 64, node), first)
        R = self.refinements.setdefault((at_.loud >> 1, stage), REFINEMENT.copy())
        x = clamp(sum(map(operator.mul, alpha, s)) >> 20, 2815)
        y = clamp(sum(map(operator.mul, beta, s)) >> 20, 2815)
        mean = (x + y) >> 1
        j, o = divmod(mean + 2816, 128)
        refined = (SQUASH[mean] + ((R[j] * (128 - o) + R[j + 1] * o) >> 7)) >> 1
        bit = self.coder.bit(held(refined, 1, 65535))

        goal = 65535 if bit else 0
        R[j] += ((goal - R[j]) * (128 - o)) >> 13
        R[j + 1] += ((goal - R[j + 1]) * o) >> 13
        for i, value in enumerate(s):
            alpha[i] += (value * (65536 * bit - SQUASH[x]) + 1024) >> 11
            beta[i] += (value * (65536 * bit - SQUASH[y]) + 1024) >> 11
        goal = 4194303 if bit else 0
        for cell in cells:
            cell[0] += ((goal - cell[0]) * RATE[cell[1]]) >> 16
            cell[1] = min(cell[1] + 1, 255)
        return bit

    def cells_of(
        self, at_: JointContexts, kind: int, node: int, side: int, v: int, b: int
    ) -> list[list[int]]:
        position = 64 * at_.expected.centre
        if kind >= 2:
            N = 2 * v + 1 if kind == 4 else v + 1
            position += side * 32 * at_.column.W * ((2 * N << (at_.bucket - b)) + 1)
        keys: list[tuple[int, ...]] = []
        for a in range(5):
            z = position - at_.expected.mean[a]
            far = min(lg(min(abs(z) >> at_.fine, 4095)), 31)
            keys.append((at_.h, a, at_.scale[a], kind, 32 + far if z >= 0 else 31 - far))
        keys += [(at_.h, 5 + a, value, node) for a, value in enumerate(at_.context)]
        return [self.cells.setdefault(key, [2**21, 0]) for key in keys]

    def decode_residual(self, at_: JointContexts) -> int:
        bucket, L = at_.bucket, at_.column.L
        if not self.decision(at_, 0, 0, 0, 1, 0, 0):
            return 0
        side = 1 if self.decision(at_, 1, 1, 1, 1, 0, 0) else -1
        v = 0
        while v < 20:
            kind = 2 if side == 1 else 3
            if not self.decision(at_, kind, 2 + v, 2 + min(v, 5), side, v, 0):
                break
            v += 1
        if v == 20:
            v = min(20 + Predictive.escape(self), L >> bucket)
        node = 23 if v == 0 else 22
        for i in range(bucket - 1, max(-1, bucket - 3), -1):
            at_node = node + 2 if i == bucket - 1 else node
            v = 2 * v + self.decision(at_, 4, at_node, 8, side, v, bucket - i)
        v = self.coder.raw(max(0, bucket - 2), v)
        return side * (min(v, L) + 1)


def soft(z: int) -> int:
    return max(z, 0) + SOFT[min(abs(z), 2047)]


def short(z: int) -> int:
    return SHORT[min(z, 2047)]


def held_odds(z: int, k: int) -> int:
    return clamp(z, held(7680 - k, 0, 2180))


def odds(kind: int, place: int, step: int, wide: int, side: int, v: int, b: int) -> int:
    """What a logistic distribution says of a decision."""
    if kind == 0:
        z, w, k = abs(place) >> 2, step >> 2, step >> 2 >> 1
        o = z + soft(-2 * z)
        return clamp(o + soft(177 - k - o) - k + short(w), 2180)
    if kind == 1:
        k = step >> 1
        z, o = (place + k) >> 2, (place - k) >> 2
        return held_odds(soft(-o) - soft(z), min(z, -o))
    if kind < 4:
        z, w = (side * place + (step >> 1) + v * wide) >> 2, wide >> 2
        return held_odds(soft(-z) - w + short(w), z)
    w = wide >> b
    k = side * place + (step >> 1) + 2 * v * w
    z, o = k >> 2, (k + 2 * w) >> 2
    return held_odds((w >> 2) + soft(z) - soft(o), z)


# Fast prediction


def wrap(v: int) -> int:
    return (v + 2**31) % 2**32 - 2**31


def signed(z: int) -> int:
    return z // 2 if z % 2 == 0 else -(z + 1) // 2


def tail_of(shape: int, mean: float, v: float) -> float:
    if shape == 0:
        return math.erfc(v / (mean * math.sqrt(math.pi))) / 2
    if shape == 1:
        return 1 / (1 + math.exp(min(700.0, 2 * v * math.log(2) / mean)))
    if shape == 2:
        return math.exp(-v / mean) / 2
    return 0.35 * math.exp(-v / (0.55 * mean)) + 0.15 * math.exp(-v / (2.05 * mean))


@functools.cache
def law_of(shape: int, scale: int) -> list[int]:
    """The frequencies of the 64 symbols."""
    if scale < 41:
        mean = 2 ** (scale / 4 - 6)
        p = [1 - 2 * tail_of(shape, mean, 0.5)]
        for z in range(1, 63):
            a = (z + 1) // 2
            p.append(tail_of(shape, mean, a - 0.5) - tail_of(shape, mean, a + 0.5))
    else:
        mean = 2 ** ((scale - 41) / 4 + 1)
        p = [2 * (tail_of(shape, mean, z) - tail_of(shape, mean, z + 1)) for z in range(63)]
    frequencies = [math.floor(4096 * v + 0.41) for v in p]
    common = math.fsum(v for v, f in zip(p, frequencies, strict=True) if f > 0)
    frequencies.append(max(1, math.floor(4096 * (1 - common) + 0.5)))
    frequencies[frequencies.index(max(frequencies))] += 4096 - sum(frequencies)
    return frequencies


@functools.cache
def symbols_of(shape: int, scale: int) -> list[tuple[int, int, int]]:
    """Symbol, frequency and first place for each of 4096 places."""
    places, first = [], 0
    for symbol, frequency in enumerate(law_of(shape, scale)):
        places += [(symbol, frequency, first)] * frequency
        first += frequency
    return places


def bucket_of(m: int) -> int:
    if m >= 2**28:
        return 48 + bucket_of(m >> 24)
    if m >= 2**20:
        return 32 + bucket_of(m >> 16)
    if m >= 2**12:
        return 16 + bucket_of(m >> 8)
    if m == 0:
        return 0
    L = m.bit_length() - 1
    return 2 * L + 1 + (m >> (L - 1) & 1 if L > 0 else 0)


def low_of(b: int) -> int:
    return max(0, (b - 1) // 2 - 7) if b > 0 else 0


def usual_scale(b: int) -> int:
    if b == 0:
        return 0
    L, j = (b - 1) // 2, (b - 1) % 2
    return 4 * L + 1 + 2 * j if b <= 16 else 46 + 2 * j


class Bits:
    """The bits of a frame, the lowest of a byte first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, width: int) -> int:
        value = 0
        for i in range(width):
            place = self.position + i
            check(place < 8 * len(self.data), "the bits of a frame end too early")
            value |= (self.data[place // 8] >> (place % 8) & 1) << i
        self.position += width
        return value

    def zeros(self, most: int) -> int:
        zeros = 0
        while self.take(1) == 0:
            zeros += 1
            check(zeros <= most, "too many zeros")
        return zeros

    def sized(self) -> tuple[int, int]:
        width = self.take(6)
        check(width <= 32, "a number has more than 32 bits")
        return self.take(width), width

    def rice(self, k: int) -> int:
        return signed(self.zeros(63) * 2**k + self.take(k))

    def weight(self, k: int) -> int:
        value = self.rice(k)
        check(abs(value) <= 32767, "a weight is beyond 16 bits")
        return value

    def escape(self) -> int:
        zeros = self.zeros(33)
        return 2**zeros + self.take(zeros) - 1


class Words:
    """The words of a frame, and the states of both coders."""

    def __init__(self, data: bytes) -> None:
        check(len(data) % 2 == 0, "half a word")
        self.words = [data[i] + 256 * data[i + 1] for i in range(0, len(data), 2)]
        self.position = 4
        self.states: list[int] = []

    def begin(self) -> None:
        if not self.states:
            check(len(self.words) >= 4, "no words")
            a, b, c, d = self.words[:4]
            self.states = [a + b * 2**16, c + d * 2**16]

    def symbol(self, half: int, places: list[tuple[int, int, int]]) -> int:
        S = self.states[half]
        symbol, frequency, first = places[S % 4096]
        S = frequency * (S >> 12) + S % 4096 - first
        if S < 2**16:
            check(self.position < len(self.words), "the words of a frame end too early")
            S = S * 2**16 + self.words[self.position]
            self.position += 1
        self.states[half] = S
        return symbol

    def end(self) -> None:
        if self.states:
            check(self.states == [2**16, 2**16], "the states at the end of a frame")
            check(self.position == len(self.words), "words are left")
        else:
            check(not self.words, "words of constant columns")


@dataclass
class FastColumn:
    x: list[int]
    d: list[int]  # d[t + 16] is the difference at t
    e: list[int]


def decode_fast(payload: bytes, n: int, columns: int) -> list[list[int]]:
    source = Reader(payload)
    first = source.byte()
    exponent = first % 128
    check(6 <= exponent <= 16, "samples of a frame")
    bounds = [source.varint() for _ in range(columns if first >= 128 else 1)]
    check(max(bounds) < 2**31, "a bound is beyond 32 bits")
    bounds = bounds if first >= 128 else bounds * columns
    lengths = [min(2**exponent, n - start) for start in range(0, n, 2**exponent)]
    sizes = [source.varint() for _ in lengths[:-1]]
    x: list[list[int]] = [[] for _ in range(columns)]
    for number, length in enumerate(lengths):
        last = number == len(lengths) - 1
        frame = Reader(source.rest() if last else source.take(sizes[number]))
        bits = Bits(frame.take(frame.varint()))
        words = Words(frame.rest())
        done: list[FastColumn] = []
        for c in range(columns):
            done.append(decode_fast_column(bits, words, done, length, columns, bounds[c]))
            x[c] += done[c].x
        words.end()
        rest = 8 * len(bits.data) - bits.position
        check(rest < 8 and bits.take(rest) == 0, "bits are left")
    return x


def decode_fast_column(
    bits: Bits, words: Words, before: list[FastColumn], n: int, C: int, B: int
) -> FastColumn:
    lowest = signed(bits.sized()[0])
    extent, width = bits.sized()
    highest = lowest + extent
    check(highest < 2**31, "samples beyond 32 bits")
    d, e = [0] * (n + 33), [0] * (n + 1)
    if extent == 0:
        return FastColumn([lowest] * n, d, e)
    words.begin()
    x = [lowest + bits.take(width)]
    check(x[0] <= highest, "first sample")
    Z, R, P, H, k = (bits.take(width) for width in (4, 2, 5, 4, 4))
    check(R <= 2 and P <= 16 and H >= 1, "settings of a predictor")
    references = []
    for _ in range(R):
        m = bits.take((C - 1).bit_length())
        check(m < len(before), "a reference that is not before its column")
        references.append((before[m], [bits.weight(k) for _ in range(4)]))
    own = [bits.weight(k) for _ in range(P)]
    M = bits.take(1)
    near = [0] * n
    if R > 0:
        G, E = bits.take(4) - 8, references[0][0].e
        for t in range(1, n):
            q = 256 * (abs(E[t - 1]) + 2 * abs(E[t]) + abs(E[t + 1]))
            near[t] = min(q << G if G >= 0 else q >> -G, 2**40)
    wf, wg, wr = (((5, 3, 0), (8, 0, 0)), ((4, 2, 2), (6, 0, 2)))[R > 0][M]
    laws = read_fast_laws(bits)
    decode_fast_residuals(bits, words, e, near, (wf, wg, wr), laws)
    for t in range(1, n):
        s = 2 ** (H - 1) + sum(c * d[t - i + 16] for i, c in enumerate(own, 1))
        for reference, r in references:
            s += sum(r[u] * reference.d[t + 1 - u + 16] for u in range(4))
        p = x[t - 1] + ((wrap(s) >> H) << Z)
        if B == 0:
            x.append(wrap(p + e[t]))
        else:
            p = min(max(p, lowest), highest)
            x.append(min(max(p + e[t] * (2 * B + 1), lowest), highest))
        d[t + 16] = wrap((x[t] - x[t - 1]) >> Z)
    return FastColumn(x, d, e)


def read_fast_laws(bits: Bits) -> list[list[tuple[int, int, int]]]:
    """The law of each bucket."""
    shape, first, count = bits.take(2), bits.take(7), bits.take(7) + 1
    check(first + count <= 73, "buckets")
    laws, offset = [], 0
    for b in range(73):
        scale = usual_scale(b)
        if first <= b < first + count:
            offset += bits.rice(0)
            scale += offset
        check(0 <= scale <= 40 if b < 17 else 41 <= scale <= 53, "scale of a law")
        laws.append(symbols_of(shape, scale))
    return laws


def decode_fast_residuals(
    bits: Bits,
    words: Words,
    e: list[int],
    near: list[int],
    weights: tuple[int, int, int],
    laws: list[list[tuple[int, int, int]]],
) -> None:
    n = len(near)
    h = (n + 1) // 2
    f, g = [1024, 1024], [1024, 1024]
    wf, wg, wr = weights

    def residual(half: int, t: int) -> None:
        b = bucket_of((wf * f[half] + wg * g[half] + wr * near[t]) >> 7)
        z = words.symbol(half, laws[b])
        if z == 63:
            z = bits.escape()
        z = z * 2 ** low_of(b) + bits.take(low_of(b))
        e[t] = wrap(signed(z))
        a = min((z + 1) // 2, 2**30 - 1)
        f[half] += 256 * a - (f[half] >> 2)
        g[half] += 32 * a - (g[half] >> 5)

    for u in range(h, n):
        if u - h + 1 < h:
            residual(0, u - h + 1)
        residual(1, u)
