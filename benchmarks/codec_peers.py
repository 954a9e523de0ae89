"""How the codec and each of its rivals is used, what a stream of them is, and how errors count.

A rival codes integers within a tolerance t: |x - y| <= t on every sample, t = 0 without loss. What
is decoded is rounded to integers, so that those that work in floating point may err by up to
t + 0.49. To reach a PRDN, the largest t that meets it is searched for. Each rival has variants, of
which the smallest stream counts; the seconds are those of that variant alone, without the search. A
stream holds whatever decoding needs: shape and step as well. The codec itself does its own search.
"""

import importlib.metadata
import io
import statistics
import struct
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import codec_wavpack
import numpy as np
from codec_signals import Signal, beat_agreement

import san

SAN, WITHOUT = "SAN", "SAN without events"
CHUNK_SECONDS = 10
CHUNK_TRIES = 4  # to meet a PRDN over the whole of independent chunks
BEATS_AT = (("prdn", 8), ("prdn", 12))
REPEATS = 5  # of each measurement of time
HELD = 1 + 1e-9  # times what was asked for: what rounding may make of an error
HEADER = struct.Struct("<QHd")  # samples, channels, tolerance
SEARCH = 24  # steps of the search for a tolerance, at most
CLOSE = 0.998  # of the PRDN asked for: near enough


def prdn(x: np.ndarray, y: np.ndarray) -> float:
    """Percent of the signal's deviation from its mean, of each channel, that the error is."""
    x = x.astype(float)
    return percent(np.square(x - y).sum(), np.square(x - x.mean(axis=0)).sum())


def prd(x: np.ndarray, y: np.ndarray, offset: float = 0.0) -> float:
    """The same of the signal as stored, or of its difference from an offset."""
    x = x.astype(float)
    return percent(np.square(x - y).sum(), np.square(x - offset).sum())


def percent(error: float, whole: float) -> float:
    """100 times the root of a ratio; without error 0, of anything."""
    if error == 0:
        return 0.0
    return float(100 * np.sqrt(error / whole)) if whole > 0 else float("inf")


def prdn_of_prd(x: np.ndarray, value: float) -> float:
    """The PRDN that has the same error as a PRD."""
    x = x.astype(float)
    return float(value * np.sqrt(np.square(x).sum() / np.square(x - x.mean(axis=0)).sum()))


@dataclass(frozen=True)
class Coded:
    """A stream, what it decodes to, and how long that took."""

    stream: bytes
    decoded: np.ndarray
    encode_seconds: float
    decode_seconds: float
    settings: str


@dataclass(frozen=True)
class Peer:
    """One rival: codes and decodes a column of integers within a tolerance."""

    package: str
    variants: tuple[str, ...]
    encode: Callable[[np.ndarray, float, str], bytes]
    decode: Callable[[bytes, int, float, str], np.ndarray]
    lossy: bool = True
    together: int = 1  # so many channels it takes at once


def _quantized(x: np.ndarray, tolerance: float) -> np.ndarray:
    q = np.rint(x / (2 * tolerance + 1))
    if q.min(initial=0) < -32768 or q.max(initial=0) > 32767:
        raise ValueError("quantized samples do not fit 16 bits")
    return q.astype(np.int16)


def _dequantized(q: np.ndarray, tolerance: float) -> np.ndarray:
    return np.rint(q * (2 * tolerance + 1))


def _encode_pcodec(x: np.ndarray, tolerance: float, variant: str) -> bytes:
    from pcodec import ChunkConfig, standalone

    q = _quantized(x, tolerance)
    return bytes(standalone.simple_compress(q, ChunkConfig(compression_level=12)))


def _decode_pcodec(stream: bytes, n: int, tolerance: float, variant: str) -> np.ndarray:
    from pcodec import standalone

    return _dequantized(standalone.simple_decompress(stream), tolerance)


def _delta_codec(variant: str) -> tuple[np.dtype, object]:
    from numcodecs import Blosc, Zstd

    if variant == "bit shuffle":
        return np.dtype("<i2"), Blosc(cname="zstd", clevel=9, shuffle=Blosc.BITSHUFFLE)
    return np.dtype(variant), Zstd(level=19)


def _encode_delta(x: np.ndarray, tolerance: float, variant: str) -> bytes:
    dtype, codec = _delta_codec(variant)
    delta = np.diff(_quantized(x, tolerance).astype(np.int32), prepend=0)
    if dtype == np.int8 and not -128 <= delta[1:].min(initial=0) <= delta.max(initial=0) <= 127:
        return b""  # this variant is not for these samples
    first = struct.pack("<h", delta[0])
    return first + bytes(codec.encode(delta[1:].astype(dtype)))  # 16 bits wrap around, and back


def _decode_delta(stream: bytes, n: int, tolerance: float, variant: str) -> np.ndarray:
    dtype, codec = _delta_codec(variant)
    delta = np.frombuffer(codec.decode(stream[2:]), dtype).astype(np.int64)
    q = np.cumsum(np.concatenate([struct.unpack("<h", stream[:2]), delta]))
    return _dequantized(q.astype(np.int16), tolerance)


def _encode_sz3(x: np.ndarray, tolerance: float, variant: str) -> bytes:
    from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode

    config = szConfig(x.shape)
    config.errorBoundMode = szErrorBoundMode.ABS
    config.absErrorBound = tolerance + (0.49 if variant.endswith("0.49") else 0.0)
    config.cmprAlgo = getattr(szAlgorithm, variant.split()[0])
    config.openmp = False
    return sz.compress(x.astype(np.float32), config)[0].tobytes()


def _decode_sz3(stream: bytes, n: int, tolerance: float, variant: str) -> np.ndarray:
    from pysz import sz

    return np.rint(sz.decompress(np.frombuffer(stream, np.uint8), np.float32, (n,))[0])


def _encode_zfp(x: np.ndarray, tolerance: float, variant: str) -> bytes:
    import zfpy

    if variant == "reversible":
        return b"" if tolerance else zfpy.compress_numpy(x.astype(np.int32))
    return zfpy.compress_numpy(x.astype(np.float32), tolerance=tolerance + 0.49)


def _decode_zfp(stream: bytes, n: int, tolerance: float, variant: str) -> np.ndarray:
    import zfpy

    return np.rint(zfpy.decompress_numpy(stream))


def _encode_flac(x: np.ndarray, tolerance: float, variant: str) -> bytes:
    import soundfile

    file = io.BytesIO()  # the rate only stands in its header
    kind = {"format": "FLAC", "subtype": "PCM_16"}
    soundfile.write(file, x.astype(np.int16), 44_100, compression_level=1.0, **kind)
    return file.getvalue()


def _decode_flac(stream: bytes, n: int, tolerance: float, variant: str) -> np.ndarray:
    import soundfile

    return soundfile.read(io.BytesIO(stream), dtype="int16")[0]


SZ3 = tuple(
    f"{algorithm} {tolerance}"
    for algorithm in ("INTERP_LORENZO", "INTERP", "LORENZO_REG")
    for tolerance in ("+ 0.49", "+ 0")
)
PEERS = {
    "SZ3": Peer("pysz", SZ3, _encode_sz3, _decode_sz3),
    "zfp": Peer("zfpy", ("tolerance", "reversible"), _encode_zfp, _decode_zfp),
    "pcodec": Peer("pcodec", ("level 12",), _encode_pcodec, _decode_pcodec),
    "delta + zstd": Peer("numcodecs", ("int8", "<i2", "bit shuffle"), _encode_delta, _decode_delta),
    "FLAC": Peer("soundfile", ("level 8",), _encode_flac, _decode_flac, False, 8),
    "WavPack": Peer("wavpack", ("-hhx6",), codec_wavpack.encode, codec_wavpack.decode, False, 4096),
}


def label(name: str) -> str:
    """What a rival is called where it codes with loss."""
    return f"quantized, {name}" if name in ("pcodec", "delta + zstd") else name


def versions() -> dict[str, str]:
    """Of the packages that the rivals, the reader and the detector of beats are."""
    packages = [peer.package for peer in PEERS.values()] + ["edfio", "sleepecg", "wfdb"]
    found = {"wavpack": codec_wavpack.version()}
    packages.remove("wavpack")  # which is a command
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def encode(name: str, variant: str, x: np.ndarray, tolerance: float) -> bytes:
    """A whole stream: header, and the channels one after the other; empty if it is not for x."""
    peer = PEERS[name]
    whole = x.ndim == 1 or x.shape[1] <= peer.together
    columns = [x] if whole else [np.ascontiguousarray(c) for c in x.T]
    parts = [peer.encode(column, tolerance, variant) for column in columns]
    if not all(parts):
        return b""
    lengths = struct.pack(f"<{len(parts)}I", *map(len, parts))
    channels = x.shape[1] if x.ndim == 2 else 0
    return HEADER.pack(len(x), channels, tolerance) + lengths + b"".join(parts)


def decode(name: str, variant: str, stream: bytes) -> np.ndarray:
    """What a stream holds, from the stream alone."""
    peer = PEERS[name]
    n, channels, tolerance = HEADER.unpack_from(stream)
    count = 1 if channels <= peer.together else channels
    lengths = struct.unpack_from(f"<{count}I", stream, HEADER.size)
    at, columns = HEADER.size + 4 * count, []
    for length in lengths:
        columns.append(peer.decode(stream[at : at + length], n, tolerance, variant))
        at += length
    y = columns[0] if count == 1 else np.stack(columns, axis=1)
    return (y.reshape(n, channels) if channels else y).astype(np.int64)


def san_coded(
    name: str, x: np.ndarray, rate: float, target: str, value: float, **options: object
) -> Coded:
    """A stream of the codec, with or without events."""
    asked = {"lossless": True} if target == "lossless" else {target: value}
    if name == WITHOUT:
        options["events"] = False
    begin = time.perf_counter()
    stream = san.compress(x, fs=rate, **asked, **options)
    middle = time.perf_counter()
    decoded = san.decompress(stream)
    seconds = time.perf_counter() - middle
    if decoded.dtype != x.dtype or decoded.shape != x.shape:
        raise ValueError(f"decoded as {decoded.shape} {decoded.dtype}, not {x.shape} {x.dtype}")
    settings = ", ".join(f"{key}={each}" for key, each in {**asked, **options}.items())
    return Coded(stream, decoded.astype(np.int64), middle - begin, seconds, settings)


def san_in_chunks(name: str, x: np.ndarray, rate: float, limit: float) -> Coded:
    """The smallest stream of independent chunks found whose PRDN over the whole is in a limit."""
    asked, best = limit, None
    for _ in range(CHUNK_TRIES):
        found = san_coded(name, x, rate, "prdn", asked, chunk_seconds=CHUNK_SECONDS)
        reached = prdn(x, found.decoded)
        if reached <= limit and (best is None or len(found.stream) < len(best.stream)):
            best = found
        if 0.99 * limit <= reached <= limit or reached == 0:
            break
        asked *= 0.995 * limit / reached
    if best is None:
        raise ValueError(f"no stream within a PRDN of {limit} in {CHUNK_TRIES} tries")
    begin, end = len(x) // 2, min(len(x), len(x) // 2 + round(CHUNK_SECONDS * rate))
    part = san.decompress(best.stream, begin, end)
    if not np.array_equal(part, best.decoded[begin:end]):
        raise ValueError("a part decoded alone is not what it is in the whole")
    return best


def coded(name: str, x: np.ndarray, target: str, value: float) -> Coded:
    """A rival's stream within a bound (`max_error`), without loss, or to a PRDN (`prdn`)."""
    best = None
    for variant in PEERS[name].variants:
        tolerance = value if target == "max_error" else 0.0
        if target == "prdn":
            tolerance = largest_tolerance(name, variant, x, value)
        begin = time.perf_counter()
        stream = encode(name, variant, x, tolerance)
        seconds = time.perf_counter() - begin
        if stream and (best is None or len(stream) < len(best[0])):
            best = stream, seconds, variant, tolerance
    if best is None:
        raise ValueError("no variant is for these samples")
    stream, seconds, variant, tolerance = best
    begin = time.perf_counter()
    decoded = decode(name, variant, stream)
    decode_seconds = time.perf_counter() - begin
    settings = f"{variant}, tolerance {tolerance:.4g}"
    return Coded(stream, decoded, seconds, decode_seconds, settings)


def largest_tolerance(name: str, variant: str, x: np.ndarray, asked: float) -> float:
    """The largest tolerance, about, with which the PRDN is not above what is asked for."""
    below, above = 0.5, 0.5 + float(np.abs(x.astype(float) - x.mean(axis=0)).max())
    for _ in range(SEARCH):
        middle = np.sqrt(below * above)  # both are half a step more than the tolerance
        reached = _prdn_at(name, variant, x, middle - 0.5)
        below, above = (middle, above) if reached <= asked else (below, middle)
        if CLOSE * asked <= reached <= asked or above < 1.0005 * below:
            break
    return below - 0.5


def _prdn_at(name: str, variant: str, x: np.ndarray, tolerance: float) -> float:
    if PEERS[name].encode in (_encode_pcodec, _encode_delta):  # the entropy coder does not matter
        return prdn(x, _dequantized(_quantized(x, tolerance), tolerance))
    stream = encode(name, variant, x, tolerance)
    return prdn(x, decode(name, variant, stream)) if stream else float("inf")


def described(signal: Signal, target: str, value: float, found: Coded) -> dict[str, object]:
    """Rate, errors and time of a stream."""
    x, y = signal.samples, found.decoded
    bits, megabytes = 8 * len(found.stream) / x.size, 2 * x.size / 1e6
    errors = {"prdn": prdn(x, y), "prd": prd(x, y), "max_error": int(np.abs(y - x).max())}
    if signal.data_set == "mitdb":
        errors["prd1024"] = prd(x, y, 1024)
    reached = errors.get(target.removesuffix(" in chunks"), errors["max_error"])
    row = {
        "settings": found.settings,
        "bytes": len(found.stream),
        "cr": signal.bits / bits,
        "bits_per_sample": bits,
        **{f"{name}_reached": error for name, error in errors.items()},
        "bound_held": reached <= value * HELD,
        "encode_s": found.encode_seconds,
        "decode_s": found.decode_seconds,
        "encode_mb_s": megabytes / found.encode_seconds,
        "decode_mb_s": megabytes / found.decode_seconds,
    }
    if (target, value) in BEATS_AT and signal.beats is not None:
        for name, samples in (("original", x), ("decoded", y)):
            agreement = beat_agreement(samples, signal.fs, signal.beats)
            row |= {f"beats_{name}_{each}": number for each, number in agreement.items()}
    return row


def speed(signal: Signal, value: float) -> dict[str, object]:
    """Medians of the time that coding and decoding one lead takes, on one thread."""
    x, asked = signal.samples, {"fs": signal.fs, "prdn": value}
    dictionary = san.learn_dictionary(x, fs=signal.fs)
    stream, exact = san.compress(x, **asked), san.compress(x, lossless=True)
    calls: dict[str, Callable[[], object]] = {
        "encode": lambda: san.compress(x, **asked),
        "encode_given_dictionary": lambda: san.compress(x, dictionary=dictionary, **asked),
        "encode_without_events": lambda: san.compress(x, events=False, **asked),
        "learn": lambda: san.learn_dictionary(x, fs=signal.fs),
        "decode": lambda: san.decompress(stream),
        "encode_lossless": lambda: san.compress(x, lossless=True),
        "decode_lossless": lambda: san.decompress(exact),
    }
    times = defaultdict(list)
    for name in list(calls) * REPEATS:
        begin = time.perf_counter()
        calls[name]()
        times[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(each) for name, each in times.items()}
    return {f"{name}_s": each for name, each in medians.items()} | {
        f"{name}_samples_per_s": x.size / each for name, each in medians.items()
    }
