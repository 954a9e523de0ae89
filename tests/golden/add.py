"""Adds frozen streams that are not there yet; what is there is never written again.

    python tests/golden/add.py

A stream of this folder decodes, in every release, to the samples whose SHA-256 `golden.json`
holds; a faulty one raises the error named there. A new kind of stream gets a new name here.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
import struct
import zlib
from dataclasses import replace

import numpy as np

import san
from san.codec.entropy.varints import write_varint
from san.codec.errors import CodecError
from san.codec.file_format.stream import StreamReader, StreamWriter
from san.codec.modes import payload
from san.codec.modes.dictionary import no_kernels, quantize

ALWAYS = -(1 << 40)  # bytes that mode 3 must save to be written: streams of it are small here
FOLDER = pathlib.Path(__file__).parent
DTYPES = ["int8", "int16", "int32", "uint8", "uint16", "float32", "float64"]


def beats(n, channels=1, dtype="int16", seed=0):
    """Something like an ECG at 100 Hz, from integers only: the same on every machine."""
    state = seed * 2654435761 + 12345
    x = np.zeros((n, channels), np.int64)
    for t in range(n):
        for c in range(channels):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            phase = (t - 3 * c) % (77 + (t // 77) % 5)
            pulse = (0, 2, 9, 30, 60, 34, 5, -12, -6, -2)[phase - 20] if 20 <= phase < 30 else 0
            wave = 10 - abs(phase - 50) // 2 if 30 <= phase < 70 else 0
            x[t, c] = pulse * (c + 2) // 2 + wave + (state >> 61) - 3 + (t // 60) % 9
    x = x[:, 0] if channels == 1 else x
    if np.dtype(dtype).kind == "f":
        return (x / 200).astype(dtype)
    return np.clip(x + (40 if dtype.startswith("u") else 0), np.iinfo(dtype).min, 127).astype(dtype)


def leads(n, channels, dtype="int16"):
    """Channels that are mixtures of the same beats, from integers only."""
    sources = beats(n, 3, seed=5).astype(np.int64)
    of = np.array([[(7 * c + 3 * s) % 11 - 5 for c in range(channels)] for s in range(3)])
    x = (sources @ of) // 4
    if np.dtype(dtype).kind == "f":
        return (x / 200).astype(dtype)
    if dtype == "uint8":
        x = np.clip(x + 128, 0, 255)
    return x.astype(dtype)


def pulses(n, channels):
    """Channels that are mixtures of two pulses that come again and again, from integers only."""
    state, x, shape = 77, np.zeros((n, 2), np.int64), np.zeros((64, 2), np.int64)
    for s in range(2):
        for t in range(64):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            shape[t, s] = ((state >> 56) - 128) * min(t, 63 - t) // 8
    start = 20
    while start < n - 70:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        x[start : start + 64] += shape
        start += 80 + (state >> 61)
    of = np.array([[(7 * c + 3 * s) % 11 - 5 for c in range(channels)] for s in range(2)])
    return (x @ of // 4 + beats(n, channels, seed=3) % 5).astype(np.int16)


def streams_across():
    """(name, array, options of compress) of streams whose channels are coded together."""
    plain = {"fs": 100, "events": False}
    yield "across", leads(160, 6), {"prdn": 6, **plain}
    yield "across-fine", leads(140, 5), {"prdn": 3, **plain}
    yield "across-coarse", leads(200, 8), {"prdn": 40, **plain}
    yield "across-twelve", leads(120, 12), {"prdn": 8, **plain}
    yield "across-twenty", leads(90, 20), {"prdn": 12, **plain}
    yield "across-uint8", leads(130, 5, "uint8"), {"prdn": 9, **plain}
    yield "across-float32", leads(130, 5, "float32"), {"prdn": 9, **plain}
    yield "across-bound", leads(120, 6), {"max_error": 12, **plain}
    yield "across-bound-float64", leads(200, 6, "float64"), {"max_error": 0.08, **plain}
    yield "across-size", leads(180, 6), {"bits_per_sample": 1.0, **plain}
    yield "across-chunks", leads(250, 7), {"prdn": 12, "chunk_seconds": 1, **plain}
    x = leads(120, 6)
    x[:, 2] = 40
    yield "across-constant", x, {"prdn": 8, **plain}
    x = leads(120, 6, "float64")
    x[30:45, 1], x[99, 4] = np.nan, -np.inf
    yield "across-gaps", x, {"prdn": 8, **plain}
    yield "across-events", pulses(1200, 5), {"prdn": 9, "fs": 100}
    yield "across-events-bound", pulses(900, 4), {"max_error": 40, "fs": 100}
    yield (
        "across-attachments",
        leads(220, 6),
        {"prdn": 8, "attachments": {"a": b"at rest"}, **plain},
    )


def streams():
    """(name, array, options of compress) of every frozen stream."""
    for dtype in DTYPES:
        x = beats(400, dtype=dtype)
        bound = 0.02 if np.dtype(dtype).kind == "f" else 4
        yield f"lossless-{dtype}", x, {"lossless": True}
        yield f"bound-{dtype}", x, {"max_error": bound, "fs": 100}
        yield f"prdn-{dtype}", x, {"prdn": 9, "fs": 100}
        yield f"two-{dtype}", beats(300, 2, dtype), {"prdn": 12, "fs": 100}
    for n in (0, 1, 2, 3, 7, 8, 9, 15, 33, 129):
        yield f"lossless-{n}-samples", beats(n), {"lossless": True}
        yield f"bound-{n}-samples", beats(n, 2), {"max_error": 3}
    yield "constant", np.full(500, -7, np.int16), {"max_error": 2}
    yield "constant-lossless", np.full((90, 3), 250, np.uint8), {"lossless": True}
    yield "steps", np.repeat(np.array([0, 9000, -9000], np.int32), 100), {"prdn": 3}
    yield "extremes", np.array([2**31 - 1, -(2**31), 0, 5] * 20, np.int32), {"lossless": True}
    yield "extremes-bound", np.array([2**31 - 1, -(2**31), 0, 5] * 20, np.int32), {"max_error": 99}
    yield "chunks", beats(1000), {"prdn": 9, "fs": 100, "chunk_seconds": 1}
    yield "chunks-lossless", beats(350, 2), {"lossless": True, "fs": 100, "chunk_seconds": 1}
    yield "chunks-bound", beats(700), {"max_error": 3, "fs": 100, "chunk_seconds": 0.7}
    yield "events", beats(4000), {"prdn": 9, "fs": 100}
    yield "events-two", beats(3000, 2), {"prdn": 9, "fs": 100}
    yield "events-bound", beats(3000), {"max_error": 6, "fs": 100}
    yield "no-events", beats(3000), {"prdn": 9, "fs": 100, "events": False}
    yield "coarse", beats(2000), {"prdn": 60, "fs": 100}
    yield "fine", beats(600), {"prdn": 0.5, "fs": 100}
    yield "five-channels", beats(200, 5), {"prdn": 10, "fs": 100}
    yield "five-channels-lossless", beats(200, 5), {"lossless": True}
    yield "prdn-and-bound", beats(900), {"prdn": 9, "max_error": 4, "fs": 100}
    yield "prdn-and-bound-two", beats(500, 2, "float32"), {"prdn": 20, "max_error": 0.03, "fs": 100}
    yield "bits-per-sample", beats(2000), {"bits_per_sample": 1.5, "fs": 100}
    x = beats(300, dtype="float64")
    x[20:25], x[70], x[80] = np.nan, np.inf, -np.inf
    yield "gaps", x, {"max_error": 0.03}
    yield "gaps-lossless", x.astype(np.float32), {"lossless": True}
    yield "float-bits", np.arange(60) ** 3 / np.float64(7), {"lossless": True}
    yield "float-bits-32", np.arange(60, dtype=np.float32) / np.float32(7), {"lossless": True}
    files = {"table": b"0.1,0.2\n" * 40, "note": b"at rest", "empty": b""}
    yield "attachments", beats(300), {"max_error": 3, "fs": 100, "attachments": files}
    yield "units", beats(50, 2), {"lossless": True, "units": ["mV", "µV"], "names": ["II", "V5"]}


def newer_streams():
    """(name, array, options of compress) of frozen streams of version 4 with rules."""
    rounded = np.rint(beats(400, 3, "int32") * 4.88).astype(np.int16)
    yield "rules-rounded", rounded, {"lossless": True, "fs": 100}
    yield "rules-rounded-bound", rounded, {"max_error": 5, "fs": 100}
    yield "rules-chunks", rounded, {"lossless": True, "fs": 100, "chunk_seconds": 1}
    truncated = np.trunc((beats(400, 2, "int32") - 20) * 4.88).astype(np.int16)
    yield "rules-truncated", truncated, {"lossless": True, "fs": 100}
    yield "rules-truncated-bound", truncated, {"max_error": 1, "fs": 100}
    thirds = np.rint(beats(400, dtype="int32") * 50 / 3 + 10000.4)
    for dtype in ("int16", "int32", "uint16"):
        yield f"rules-offset-{dtype}", thirds.astype(dtype), {"lossless": True}
    for dtype in ("int8", "int16", "int32", "uint8", "uint16"):
        k = np.clip(beats(900, dtype="int32", seed=3) // 2, -12, 24) + 12
        apart = np.cumsum((np.arange(37) * 11) % 7 + (2 if dtype[-1] == "8" else 20))
        values = apart + np.iinfo(dtype).min // 200
        yield f"rules-list-{dtype}", values[k].astype(dtype), {"lossless": True}
        yield f"rules-list-bound-{dtype}", values[k].astype(dtype), {"max_error": 1}
    mixed = np.stack([rounded[:, 0], beats(400), np.full(400, 7, np.int16)], 1)
    yield "rules-mixed", mixed, {"lossless": True}
    files = {"note": b"at rest"}
    yield "rules-attachments", rounded[:, 0], {"lossless": True, "attachments": files}


def joint_streams():
    """(name, array, options of compress) of frozen streams of version 4 in mode 3."""
    yield "joint-lossless", beats(100, 5), {"lossless": True, "fs": 100}
    yield "joint-bound", beats(100, 4), {"max_error": 1, "fs": 100}
    yield "joint-one", beats(300), {"lossless": True}
    yield "joint-chunks", beats(110, 3), {"lossless": True, "fs": 100, "chunk_seconds": 0.5}
    yield "joint-mates", beats(16, 40), {"lossless": True}
    for dtype in ("int8", "uint8", "uint16", "float32"):
        yield f"joint-{dtype}", beats(90, 3, dtype), {"lossless": True}
    loud = beats(80, 3, "int32").astype(np.int32) * 16_777_259 // np.array([1, 7, 4099])
    yield "joint-int32", loud.astype(np.int32), {"lossless": True}
    x = beats(90, 3).astype(np.float64) * [0.125, 0.5, 0.01]
    yield "joint-bounds", x, {"max_error": 0.06}
    gaps = x.copy()
    gaps[40:50, 1], gaps[70, 2] = np.nan, np.inf
    yield "joint-gaps", gaps, {"lossless": True}
    walk = np.cumsum(beats(60, 2), axis=0) / np.array([3.0, 7.0])
    yield "joint-float-bits", walk, {"lossless": True}


def joint_faults():
    """(name, bytes) of streams of version 4 whose first chunk no encoder wrote in mode 3."""
    stream = (FOLDER / "joint-lossless.san").read_bytes()
    for name, changed in {
        "empty": b"",
        "beyond": b"\xff\xff\xff\xff\x1f\1\x0c\0\0",
        "no-flags": b"\0\x09",
        "flags": b"\0\x09\x10\0\0",
        "no-shifts": b"\0\x09\x04\0\0",
        "bound": b"\0\x09\x0c\x80\x80\x80\x80\x08\0",
        "shift": b"\0\x09\x0c\0\x12",
        "more": b"\x07\0\0",
    }.items():
        yield f"joint-{name}", with_payload(stream, b"\3" + changed)
    yield "joint-cut-198", stream[:198]
    yield "joint-of-version-1", with_mode((FOLDER / "five-channels-lossless.san").read_bytes(), 3)


def fast_streams():
    """(name, array, options of compress) of frozen streams of version 4 in mode 5."""
    fast = {"effort": "fast", "fs": 100}
    for dtype in DTYPES:
        yield f"fast-lossless-{dtype}", beats(200, 2, dtype), {"lossless": True, **fast}
        bound = 0.02 if np.dtype(dtype).kind == "f" else 2
        yield f"fast-bound-{dtype}", beats(150, dtype=dtype), {"max_error": bound, **fast}
    yield "fast-leads", leads(250, 6), {"lossless": True, **fast}
    yield "fast-leads-bound", leads(250, 6), {"max_error": 3, **fast}
    yield "fast-frames", beats(8300), {"lossless": True, **fast}
    yield "fast-chunks", leads(250, 3), {"max_error": 1, "chunk_seconds": 0.9, **fast}
    x = leads(90, 4)
    x[:, 1], x[:, 3] = 7, x[:, 2]
    yield "fast-constant-column", x, {"lossless": True, **fast}
    for n in (1, 2, 3):
        yield f"fast-{n}-samples", beats(n, 3), {"lossless": True, **fast}
    loud = beats(120, 3, "int32").astype(np.int64) * 16_777_259 // np.array([1, 7, 4099])
    yield "fast-int32", loud.astype(np.int32), {"lossless": True, **fast}
    yield "fast-int32-bound", loud.astype(np.int32), {"max_error": 70_000, **fast}
    extremes = np.array([2**31 - 1, -(2**31), 0, 5] * 30, np.int32)
    yield "fast-extremes", extremes, {"lossless": True, **fast}
    yield "fast-extremes-bound", extremes, {"max_error": 99, **fast}
    x = beats(140, 3).astype(np.float64) * [0.125, 0.5, 0.01]
    yield "fast-bounds", x, {"max_error": 0.06, **fast}
    x[40:50, 1], x[70, 2] = np.nan, np.inf
    yield "fast-gaps", x, {"lossless": True, **fast}
    walk = np.cumsum(beats(80, 2), axis=0) / np.array([3.0, 7.0])
    yield "fast-float-bits", walk, {"lossless": True, **fast}
    rounded = np.rint(beats(300, 2, "int32") * 4.88).astype(np.int16)
    yield "fast-rules", rounded, {"lossless": True, **fast}


def packed(*fields):
    """Numbers of so many bits each, the lowest bits first."""
    value, at = 0, 0
    for number, width in fields:
        value, at = value | number << at, at + width
    return value.to_bytes((at + 7) // 8, "little")


def frame_of(*fields, words=(0, 1, 0, 1)):
    """The payload of one frame without a bound: its bits and its words."""
    bits = packed(*fields)
    return b"\x0d\0" + write_varint(len(bits)) + bits + struct.pack(f"<{len(words)}H", *words)


def fast_faults():
    """(name, bytes) of streams of version 4 whose first chunk no encoder wrote in mode 5."""
    stream = (FOLDER / "fast-leads.san").read_bytes()  # six columns
    good = StreamReader(stream).chunk(0)[1:]
    column = [(0, 6), (4, 6), (9, 4), (3, 4), (0, 4)]  # 0 ... 9, the first is 3
    plain = [(0, 2), (0, 5), (6, 4), (0, 4)]
    laws = [(0, 1), (0, 2), (3, 7), (0, 7)]
    for name, changed in {
        "empty": b"",
        "exponent": b"\x05" + good[1:],
        "exponent-17": b"\x11" + good[1:],
        "bound": b"\x0d\x80\x80\x80\x80\x08" + good[2:],
        "no-bounds": b"\x8d\0\0",
        "no-frame": b"\x0d\0",
        "half-word": good + b"\0",
        "more-words": good + b"\0\0",
        "fewer-words": good[:-2],
        "no-words": frame_of(*column, *plain, *laws, (1, 1), words=()),
        "words-of-constants": frame_of(*[(2, 6), (2, 2), (0, 6)] * 6),
        "bits-more": frame_of(*[(2, 6), (2, 2), (0, 6)] * 6, (0, 8), words=()),
        "bits-not-zero": frame_of(*[(0, 6), (0, 6)] * 5, (0, 6), (0, 6), (1, 8), words=()),
        "bits-fewer": frame_of(*[(2, 6), (2, 2), (0, 6)] * 3, words=()),
        "wide": frame_of((33, 6), (0, 33), (0, 6)),
        "wide-extent": frame_of((0, 6), (33, 6), (0, 33)),
        "beyond": frame_of((32, 6), (2**32 - 2, 32), (1, 6), (1, 1)),
        "first": frame_of((0, 6), (4, 6), (9, 4), (10, 4), (0, 4)),
        "references": frame_of(*column, (3, 2), (0, 5), (6, 4), (0, 4)),
        "order": frame_of(*column, (0, 2), (17, 5), (6, 4), (0, 4)),
        "shift": frame_of(*column, (0, 2), (0, 5), (0, 4), (0, 4)),
        "reference-of-itself": frame_of(*column, (1, 2), (0, 5), (6, 4), (0, 4), (0, 3)),
        "weight": frame_of(*column, (0, 2), (1, 5), (6, 4), (15, 4), (2, 2), (2**15 - 1, 15)),
        "long-weight": frame_of(*column, (0, 2), (1, 5), (6, 4), (0, 4), (1 << 64, 65)),
        "buckets": frame_of(*column, *plain, (0, 1), (0, 2), (70, 7), (3, 7), (15, 4)),
        "scale": frame_of(*column, *plain, *laws[:3], (0, 7), (1 << 61, 62)),
        "scale-of-the-others": frame_of(*column, *plain, (0, 3), (17, 7), (0, 7), (1 << 13, 14)),
        "states": frame_of(*column, *plain, *laws, (1, 1), words=(1, 1, 0, 1, 0, 0)),
    }.items():
        yield f"fast-{name}", of_one_chunk(stream, b"\5" + changed)
    frames = (FOLDER / "fast-frames.san").read_bytes()
    payload = StreamReader(frames).chunk(0)
    yield "fast-sizes", of_one_chunk(frames, payload[:3] + b"\xff\xff\x7f" + payload[5:])
    yield "fast-cut-200", stream[:200]
    yield "fast-of-version-1", with_mode((FOLDER / "five-channels-lossless.san").read_bytes(), 5)


def compact_streams():
    """(name, array, options of compress) of frozen compact streams."""
    for dtype in DTYPES:
        yield f"compact-lossless-{dtype}", beats(200, 2, dtype), {"lossless": True, "fs": 99.5}
    plain = {"fs": 360, "prdn": 9, "events": False}
    yield "compact-prdn", beats(300), plain
    yield "compact-bound", beats(300, dtype="float64"), {"max_error": 0.0123, "fs": 1 / 3}
    yield "compact-two-targets", beats(300), {"prdn": 9, "max_error": 7, "fs": 100}
    yield "compact-bits-per-sample", beats(300), {"bits_per_sample": 3}
    yield "compact-texts", beats(300), plain | {"units": "mV", "names": "II"}
    yield "compact-attachments", beats(300), plain | {"attachments": {"note": b"at rest"}}
    yield "compact-kernels", beats(900), {"prdn": 15, "fs": 100}
    yield "compact-empty", np.zeros((0, 3), np.int32), {"max_error": 2}
    yield "compact-one", np.array([7], np.uint8), {"lossless": True}


def taught_streams(teacher):
    """(name, array, options of compress) of streams whose dictionary has this teacher."""
    kernels = quantize(pulses(100, 2)[20:84, 0].astype(np.float64)[None, None])
    options = {"prdn": 15, "fs": 100}
    own = {"dictionary": dataclasses.replace(kernels, teacher=teacher)}
    yield "taught-events", pulses(900, 2)[:, 0], options | own
    yield "taught-chunks", pulses(1200, 2)[:, 0], options | own | {"chunk_seconds": 6}
    without = {"dictionary": dataclasses.replace(no_kernels(2), teacher=teacher)}
    yield "taught-two", beats(250, 2), options | without


def taught_faults(shared):
    """(name, bytes) of streams with a teacher that is unknown, or not as it should be."""
    stream = (FOLDER / "taught-two.san").read_bytes()
    name = bytes.fromhex(san.Dictionary.load(FOLDER / "teacher.dictionary").sha256)[:4]
    at = stream.index(name)
    own = stream[at + 5 : at + 5 + stream[at + 4]]
    begin, body = len(b"\x93SAN\4\x14") + len(write_varint(len(stream))), stream[:-4]
    for what, (digits, data) in {
        "unknown": (b"abcd", own),
        "with-excerpt": (name, shared.data),
        "cut": (name, own[:-2]),
        "other-channels": (name, no_kernels(3).data),
    }.items():
        changed = digits + write_varint(len(data)) + data
        yield f"taught-{what}", sealed(body[begin:at] + changed + body[at + 5 + len(own) :], 20)


def compact_faults():
    """(name, bytes) of damaged compact streams."""
    stream = (FOLDER / "compact-prdn.san").read_bytes()
    for size in (6, 7, 12, len(stream) // 2, len(stream) - 1):
        yield f"compact-cut-{size}", stream[:size]
    for at in (5, 8, 10, 20, len(stream) - 1):
        yield f"compact-flipped-{at}", flipped(stream, at)
    yield "compact-more-behind", stream + b"\0"
    yield "compact-two-in-one", stream + stream
    good = b"\x21\xa0\x0b\x20\x64\x08" + struct.pack("<f", 7.5) + b"\1\1\0\2\0\0"
    for name, (body, flags) in {
        "dtype": (b"\x27" + good[1:], 4),
        "target": (b"\x51" + good[1:], 4),
        "number": (b"\x21\3" + struct.pack("<d", 360.0) + good[3:], 4),
        "prdn": (good[:6] + struct.pack("<f", -1.0) + good[10:], 4),
        "no-samples": (good[:4] + b"\0" + good[5:], 4),
        "no-texts": (good[:4] + b"\0\0" + good[4:], 12),
        "no-dictionary": (good[:4] + b"\0" + good[4:], 20),
        "another-dictionary": (good[:4] + b"\3abcd" + good[4:], 20),
        "flag": (good, 36),
    }.items():
        yield f"compact-{name}", sealed(body, flags)


def sealed(body, flags):
    """A compact stream of this body, its length and its checksum right."""
    block = b"\x93SAN\4" + bytes([flags]) + write_varint(len(body) + 4) + body
    return block + struct.pack("<I", zlib.crc32(block))


def newer_faults():
    """(name, bytes) of damaged streams of version 4."""
    stream = (FOLDER / "rules-list-int16.san").read_bytes()
    for flag in (8, 128):
        yield f"flags-{flag}", stream[:5] + bytes([stream[5] ^ flag]) + stream[6:]
    for size in (5, 6, 30, len(stream) // 2):
        yield f"rules-cut-{size}", stream[:size]
    yield "rules-of-floats", with_rules(b"\1\1" + struct.pack("<d", 4.88) + b"\1", 5)
    factors = {"half": 0.5, "nan": np.nan, "infinite": np.inf, "negative": -4.88}
    for name, factor in factors.items():
        yield f"rules-factor-{name}", with_rules(b"\1\1" + struct.pack("<d", factor) + b"\1")
    for name, rules in RULES.items():
        yield f"rules-{name}", with_rules(rules)
    for mode in (3, 4):
        plain = (FOLDER / "no-events.san").read_bytes()
        yield f"mode-{mode}-of-version-1", with_mode(plain, mode)


RULES = {  # of one channel of int16
    "none": b"\0\0",
    "unused": b"\1\1" + struct.pack("<d", 4.88) + b"\0",
    "unknown": b"\1\3\1",
    "empty-list": b"\1\2\0\0\1",
    "long-list": b"\1\2\xff\xff\x7f\0\1\0\1",
    "list-outside": b"\1\2\1\xff\xff\xff\x7f\1",
    "list-of-noise": b"\1\2\5\0\4\xff\xfe\xfd\xfc\1",
}


def with_rules(rules, code=1):
    """A stream of version 4 that ends after a header with these rules, its checksum right."""
    body = bytes([code, 1]) + bytes(8) + rules + bytes(2) + bytes(9) + b"\x10\0"
    block = b"\x93SAN\4\2" + bytes([len(body)]) + body
    return block + struct.pack("<I", zlib.crc32(block))


def faults(stream, other):
    """(name, bytes) of damaged streams."""
    for size in (0, 1, 3, 4, 5, 9, 20, len(stream) // 2, len(stream) - 20, len(stream) - 1):
        yield f"cut-{size}", stream[:size]
    for at in (0, 3, 5, 6, 8, 20, 30, 40, len(stream) // 2, len(stream) - 10, len(stream) - 1):
        yield f"flipped-{at}", stream[:at] + bytes([stream[at] ^ 4]) + stream[at + 1 :]
    yield "later-version", stream[:4] + b"\x02" + stream[5:]
    yield "version-zero", stream[:4] + b"\x00" + stream[5:]
    yield "more-behind", stream + b"\0"
    yield "two-in-one", stream + stream
    yield "zeros", bytes(100)
    yield "text", b"time,ECG\n0.0,0.1\n0.1,0.2\n"
    yield (
        "many-samples",
        with_header(b"\x01\x01" + bytes(10) + b"\0" + bytes(8) + b"\xff" * 8 + b"\x7f\0"),
    )
    yield (
        "many-channels",
        with_header(b"\x11\xff\xff\x7f" + bytes(10) + b"\0" + bytes(8) + b"\x01\0"),
    )
    yield "unknown-dtype", with_header(b"\x0c\x01" + bytes(10) + b"\0" + bytes(8) + b"\x01\0")
    yield (
        "rate-is-nan",
        with_header(b"\x01\x01" + struct.pack("<d", np.nan) + bytes(11) + b"\x01\0"),
    )
    both = b"\x01\x01" + bytes(10) + b"\x04" + struct.pack("<dd", 8, 2) + b"\x01\0"
    yield "prdn-and-bound-in-version-1", with_header(both)
    yield "no-dictionary", other
    attached = (FOLDER / "attachments.san").read_bytes()
    for size in (50, 70, 90):
        yield f"attachments-cut-{size}", attached[:size]
    yield "attachments-flipped-name", flipped(attached, attached.index(b"note"))
    yield "attachments-flipped-file", flipped(attached, attached.index(b"at rest"))
    for name, directory in DIRECTORIES.items():
        yield f"attachments-{name}", with_directory(attached, directory)
    yield "mode-nine", with_mode(stream, 9)
    yield "mode-predictive", with_mode(stream, 1)
    yield "mode-shared", with_mode((FOLDER / "no-events.san").read_bytes(), 2)


def faults_across():
    """(name, bytes) of damaged streams whose channels are coded together."""
    across = (FOLDER / "across.san").read_bytes()
    for size in (len(across) // 2, len(across) - 3):
        yield f"across-cut-{size}", across[:size]
    yield "across-flipped", flipped(across, 60)
    yield "across-flags", across[:5] + b"\x82" + across[6:]
    size = len(StreamReader(across).chunk(0))
    yield "across-too-many-components", with_payload(across, b"\4" + bytes(size - 1))
    yield "across-version-1", with_mode((FOLDER / "five-channels.san").read_bytes(), 4)
    alone = as_version_4((FOLDER / "no-events.san").read_bytes())
    yield "across-one-channel", with_mode(alone, 4)
    yield "across-mode-nine", with_mode(across, 9)


DIRECTORIES = {  # of one file, "x", stored in seven bytes, but for
    "none": b"\x00",
    "twice": b"\x02\x01x\x00\x07\x01x\x00\x00",
    "no-name": b"\x01\x00\x00\x07",
    "no-text": b"\x01\x01\xff\x00\x07",
    "method": b"\x01\x01x\x02\x07",
    "grown": b"\x01\x01x\x01\x07\x07",
    "huge": b"\x01\x01x\x01\xff\xff\xff\xff\xff\x1f\x07",
    "many": b"\xff\xff\x7f",
    "more": b"\x01\x01x\x00\x07\x00",
}


def flipped(stream, at):
    return stream[:at] + bytes([stream[at] ^ 4]) + stream[at + 1 :]


def with_directory(stream, directory):
    """The stream with other attachments of seven bytes in all, their checksums right."""
    reader = StreamReader(stream)
    begin, first, *_ = reader.places
    block = bytes([len(directory)]) + directory
    block += struct.pack("<I", zlib.crc32(block)) + b"at rest"
    block += struct.pack("<I", zlib.crc32(b"at rest", zlib.crc32(bytes(4))))
    return stream[:begin] + block + stream[first:]


def with_header(body):
    """A stream that ends after a header of this body, its checksum right."""
    block = b"\x93SAN\x01" + bytes([len(body)]) + body
    return block + struct.pack("<I", zlib.crc32(block))


def as_version_4(stream):
    """A stream of version 1 as one of version 4, without flags."""
    reader = StreamReader(stream)
    end = reader.places[0] - 4
    block = stream[:4] + b"\x04\x00" + stream[5:end]
    return block + struct.pack("<I", zlib.crc32(block)) + stream[end + 4 :]


def of_one_chunk(stream, payload):
    """A stream with blocks and this payload, its header and its footer those of another."""
    reader, file = StreamReader(stream), io.BytesIO()
    writer = StreamWriter(file)
    writer.write_header(replace(reader.header, newer_modes=True))
    writer.write_chunk(payload)
    writer.finish(reader.footer)
    return file.getvalue()


def with_mode(stream, mode):
    """The stream with another mode of its first chunk, its checksum right."""
    return with_payload(stream, bytes([mode]) + StreamReader(stream).chunk(0)[1:])


def with_payload(stream, changed):
    """The stream with another payload of its first chunk, its checksum right."""
    old = StreamReader(stream).chunk(0)
    start = stream.index(old)
    begin = start - len(write_varint(len(old) + 1))
    checksum = struct.pack("<I", zlib.crc32(changed, zlib.crc32(bytes(4))))
    block = write_varint(len(changed) + 1) + changed + checksum
    return stream[:begin] + block + stream[start + len(old) + 4 :]


def main():
    path = FOLDER / "golden.json"
    known = json.loads(path.read_text()) if path.exists() else {"streams": {}, "faulty": {}}
    shared_path = FOLDER / "shared.dictionary"
    if not shared_path.exists():
        san.learn_dictionary([beats(600, seed=s) for s in range(8)], fs=100, prdn=9).save(
            shared_path
        )
    shared = san.Dictionary.load(shared_path)
    teacher_path = FOLDER / "teacher.dictionary"
    if not teacher_path.exists():
        san.learn_dictionary([beats(300, seed=s) for s in range(2)], fs=100, prdn=9).save(
            teacher_path
        )
    teacher = san.Dictionary.load(teacher_path)
    named = {"dictionary": shared, "embed_dictionary": False, "fs": 100, "prdn": 9}
    worth = payload.WORTH
    every = [*streams(), *newer_streams(), *joint_streams(), *streams_across()]
    every += [*compact_streams(), *fast_streams()]
    every += taught_streams(teacher)
    for name, x, options in [*every, ("shared", beats(500, seed=9), named)]:
        if f"{name}.san" in known["streams"]:
            continue
        payload.WORTH = ALWAYS if name.startswith("joint") else worth
        stream = san.compress(x, **options)
        y = san.decompress(stream, dictionary=[shared, teacher])
        little = y.astype(y.dtype.newbyteorder("<"), copy=False)
        entry = {"shape": list(y.shape), "dtype": y.dtype.name}
        entry["sha256"] = hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()
        files = options.get("attachments", {})
        if files:
            sums = {key: hashlib.sha256(data).hexdigest() for key, data in files.items()}
            entry["attachments"] = sums
        if name == "shared":
            entry["dictionary"] = shared_path.name
        if name.startswith("taught"):
            entry["dictionary"] = teacher_path.name
        (FOLDER / f"{name}.san").write_bytes(stream)
        known["streams"][f"{name}.san"] = entry
    payload.WORTH = worth
    stream = (FOLDER / "events-two.san").read_bytes()
    old = faults(stream, (FOLDER / "shared.san").read_bytes())
    newer = [*newer_faults(), *joint_faults(), *faults_across(), *compact_faults()]
    newer += fast_faults()
    newer += taught_faults(shared)
    for name, damaged in [*old, *newer]:
        if f"faulty-{name}.san" in known["faulty"]:
            continue
        try:
            san.decompress(damaged, dictionary=teacher if name.startswith("taught") else None)
        except CodecError as error:
            entry = {"error": type(error).__name__}
            if name.startswith("taught"):
                entry["dictionary"] = teacher_path.name
            known["faulty"][f"faulty-{name}.san"] = entry
            (FOLDER / f"faulty-{name}.san").write_bytes(damaged)
        else:
            raise SystemExit(f"{name} decodes")
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
