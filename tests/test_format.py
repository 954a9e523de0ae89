"""FORMAT.md is complete: a decoder written from it alone gives every stream's samples."""

import struct

import numpy as np
import plain_decoder
import pytest

import san

# Some streams have more channels than samples.
pytestmark = pytest.mark.filterwarnings("ignore:x of shape:UserWarning")

FS = 360
CODES = {"int8": "b", "int16": "h", "int32": "i", "uint8": "B", "uint16": "H"}
CODES |= {"float32": "f", "float64": "d"}


def beats(n: int, channels: int = 1) -> np.ndarray:
    """Beats of two forms, about one each 0.8 s, drift and noise: (n,) or (n, channels) int16."""
    rng = np.random.default_rng(0)
    x = np.zeros((n + 1000, channels))
    form = np.arange(-60, 120) / FS
    narrow = 300 * np.exp(-((form / 0.012) ** 2)) + 70 * np.exp(-(((form - 0.2) / 0.04) ** 2))
    broad = 380 * np.exp(-((form / 0.05) ** 2)) - 150 * np.exp(-(((form - 0.12) / 0.06) ** 2))
    position = 30
    for number in range(n // 250):
        beat = (broad if number % 5 == 4 else narrow) * rng.normal(1, 0.03)
        for channel in range(channels):
            x[position : position + 180, channel] += beat * (1 - 0.6 * channel)
        position += int(rng.normal(288, 12))
    x += rng.normal(0, 3, x.shape) + 40 * np.sin(np.arange(n + 1000) / 700)[:, None]
    x = np.rint(x[:n]).astype(np.int16)
    return x[:, 0] if channels == 1 else x


def with_gaps(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[100:130] = np.nan
    x[130] = np.inf
    x[400:410] = -np.inf
    x[500] = -0.0
    x[600:603] = -np.nan
    return x


def odd_floats(dtype: str) -> np.ndarray:
    """Floats of no common grid, some of them NaN with a payload."""
    x = np.random.default_rng(1).normal(size=(150, 2)) * 10.0 ** np.arange(-75, 75)[:, None]
    x = (x if dtype == "float64" else np.sign(x) * np.abs(x) ** 0.2).astype(dtype)
    bits = x.view("u8" if dtype == "float64" else "u4")
    bits[7, 0] = np.array(np.nan, dtype).view(bits.dtype) + 12345
    bits[8, 1] = np.array(-0.0, dtype).view(bits.dtype)
    return x


CASES = {
    "transform": (beats(1500), dict(prdn=8.0, events=False)),
    "transform, exact bound": (beats(1500), dict(max_error=30, events=False)),
    "two leads": (beats(2000, 2), dict(prdn=8.0)),
    "kernels in the stream": (beats(5000), dict(prdn=12.0)),
    "kernels of two leads": (beats(5000, 2), dict(prdn=10.0)),
    "excerpt in the dictionary": (beats(7200), dict(prdn=8.0, chunk_seconds=2)),
    "bits per sample": (beats(3000), dict(bits_per_sample=1.5)),
    "lossless": (beats(2500), dict(lossless=True)),
    "lossless, three leads": (beats(1200, 3), dict(lossless=True)),
    "lossless, chunks": (beats(1500, 2), dict(lossless=True, chunk_seconds=1)),
    "small error": (beats(1500, 2), dict(max_error=2)),
    "int8": ((beats(800) // 8).astype(np.int8), dict(prdn=5.0)),
    "uint8": ((beats(800) // 4 + 100).clip(0, 255).astype(np.uint8), dict(max_error=1)),
    "uint16": ((beats(800).astype(np.int32) * 70 + 30_000).astype(np.uint16), dict(prdn=5.0)),
    "int32": (beats(800).astype(np.int32) * 4_000_000, dict(prdn=5.0)),
    "int32, lossless": (beats(800).astype(np.int32) * 4_000_001, dict(lossless=True)),
    "grid, float64": (beats(1500) / 200.0, dict(prdn=8.0)),
    "grid, float32": ((beats(1500, 2) / 1024).astype(np.float32), dict(lossless=True)),
    "grid with a baseline": ((beats(1000) + 1024.5) * 0.001, dict(lossless=True)),
    "grid with gaps": (with_gaps(beats(1500) / 200.0), dict(prdn=8.0)),
    "gaps, lossless": (with_gaps((beats(1500, 2) / 200).astype(np.float32)), dict(lossless=True)),
    "no grid": (beats(1500) * np.pi + np.linspace(0, 1, 1500), dict(max_error=2.0)),
    "bits of float64": (odd_floats("float64"), dict(lossless=True)),
    "bits of float32": (odd_floats("float32"), dict(lossless=True)),
    "empty": (beats(0), dict(lossless=True)),
    "empty, two leads": (np.zeros((0, 2), np.float32), dict(prdn=8.0)),
    "one sample": (beats(1), dict(lossless=True)),
    "one sample of floats": (np.array([[0.1, np.nan]]), dict(max_error=0.01)),
    "constant": (np.full(300, -7, np.int16), dict(prdn=8.0)),
}


@pytest.fixture(scope="module")
def streams() -> dict[str, bytes]:
    return {name: san.compress(x, FS, **options) for name, (x, options) in CASES.items()}


@pytest.fixture(scope="module")
def dictionary() -> san.Dictionary:
    return san.learn_dictionary(beats(7200), FS)


def assert_same(decoded: tuple[list, tuple[int, ...], str], y: np.ndarray) -> None:
    values, shape, dtype = decoded
    assert (shape, dtype) == (y.shape, y.dtype.name)
    packed = struct.pack(f"<{len(values)}{CODES[dtype]}", *values)
    assert packed == y.astype(y.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize("name", CASES)
def test_plain_decoder_gives_the_samples(streams, name):
    assert_same(plain_decoder.decode(streams[name]), san.decompress(streams[name]))


@pytest.mark.parametrize("embed", [True, False])
def test_plain_decoder_takes_dictionaries(dictionary, embed):
    x = beats(2880)
    stream = san.compress(
        x, FS, prdn=10.0, dictionary=dictionary, embed_dictionary=embed, chunk_seconds=4
    )
    y = san.decompress(stream, dictionary=dictionary)
    assert_same(plain_decoder.decode(stream, dictionary.data), y)
    if not embed:
        for wrong in (None, b"", dictionary.data + b"\0"):
            with pytest.raises(plain_decoder.Refused):
                plain_decoder.decode(stream, wrong)


def traits(stream: bytes) -> set[str]:
    """What of the format a stream makes use of."""
    header, payloads, *_ = plain_decoder.read_container(stream)
    found = {header.dtype, ("no chunk", "one chunk", "chunks")[min(2, len(payloads))]}
    found |= {f"kind {scale.kind}" for scale in header.scales}
    found |= {"baseline" for scale in header.scales if scale.baseline}
    dictionary = plain_decoder.find_dictionary(header, None)
    if dictionary is not None:
        found.add("dictionary" if dictionary.model is None else "excerpt")
    for payload in payloads:
        source = plain_decoder.Reader(payload)
        n = header.chunk_samples
        if header.dtype in plain_decoder.FLOATS:
            gaps = plain_decoder.read_gaps(source, header.channels, n)
            found |= {f"gap {kind}" for *_, kind in gaps}
        mode = source.byte()
        found.add(f"mode {mode}")
        if mode == 1:
            found.add("one column" if source.varint() == 1 else "columns together")
            continue
        coder = plain_decoder.RangeDecoder(source.rest())
        found |= {trait for trait in ("events", "corrections") if coder.raw(1)}
    return found


def test_the_streams_are_of_every_kind(streams):
    expected = {*plain_decoder.DTYPES, "no chunk", "one chunk", "chunks"}
    expected |= {f"kind {kind}" for kind in range(4)} | {f"gap {kind}" for kind in range(5)}
    expected |= {"baseline", "mode 0", "mode 1", "mode 2", "one column", "columns together"}
    expected |= {"dictionary", "excerpt", "events", "corrections"}
    found = set().union(*(traits(stream) for stream in streams.values()))
    assert expected - found == set()


@pytest.mark.parametrize("name", ["transform", "excerpt in the dictionary", "grid with gaps"])
def test_damaged_streams_are_refused(streams, name):
    stream = streams[name]
    rng = np.random.default_rng(2)
    for position in range(0, len(stream), max(1, len(stream) // 300)):
        damaged = bytearray(stream)
        damaged[position] ^= int(rng.integers(1, 256))
        for bad in (bytes(damaged), stream[:position]):
            with pytest.raises(plain_decoder.Refused):
                plain_decoder.decode(bad)
            with pytest.raises(san.CodecError):
                san.decompress(bad)
    for bad in (stream + b"\0", stream[:4] + b"\2" + stream[5:]):
        with pytest.raises(plain_decoder.Refused):
            plain_decoder.decode(bad)
        with pytest.raises(san.CodecError):
            san.decompress(bad)
