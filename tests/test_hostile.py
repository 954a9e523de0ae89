"""What hostile and unusual input costs, and in which words it is refused."""

import contextlib
import importlib
import io
import json
import os
import pathlib
import random
import re
import struct
import sys
import threading
import tracemalloc
import zlib

import numpy as np
import plain_decoder
import pytest

import san
from san.archive import Summary
from san.codec.entropy.varints import write_varint as varint
from san.codec.errors import CodecError, CorruptStream, LimitExceeded
from san.codec.modes import predictive
from san.codec.modes.dictionary import quantize
from san.codec.numbers.gaps import fill_gaps, pack_gaps, unpack_gaps
from san.codec.numbers.integers import represent
from san.codec.target import LOSSLESS, Target
from san.files.streams import decode
from san.training.run_settings import read_settings

SAMPLES = 16
CALLS, MEGABYTES = 200_000, 16  # what input that declares little may cost; a second has millions


def crc(*parts):
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return struct.pack("<I", value)


def stream(payloads, dictionary=None, samples=SAMPLES, chunk=None, channels=1):
    """A stream of int16 with these payloads; its checksums and its index are right."""
    shape = bytes([1 if channels == 1 else 17]) + varint(channels)
    header = shape + struct.pack("<d", 100.0) + b"\0\0\2" + struct.pack("<d", 8.0)
    header += varint(chunk or samples)
    header += b"\0" if dictionary is None else b"\1" + varint(len(dictionary)) + dictionary
    block = b"\x93SAN\1" + varint(len(header)) + header
    chunks = [varint(len(p) + 1) + p + crc(struct.pack("<I", k), p) for k, p in enumerate(payloads)]
    spans = [sum(map(len, chunks[k : k + 16])) for k in range(0, len(chunks), 16)] or [0]
    body = varint(samples) + varint(-(-samples // (chunk or samples))) + bytes(16)
    spans += [0] * (max(1, -(-samples // (chunk or samples) // 16)) - len(spans))
    body += b"".join(map(varint, spans)) + b"\0"
    end = b"\0" + varint(len(body)) + body
    return block + crc(block) + b"".join(chunks) + end + crc(end) + struct.pack("<I", len(end) + 8)


def dictionary(channels=1, kernels=0, length=1, coefficients=b"", samples=0, excerpt=b""):
    head = map(varint, (channels, kernels, length, 7, len(coefficients)))
    return b"".join(head) + coefficients + varint(samples) + excerpt


@contextlib.contextmanager
def few_calls(most=CALLS):
    """Fail where so many calls are made: a measure of work that no other process changes."""
    made = 0

    def count(_frame, event, _argument):
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
    assert made < most
    if os.environ.get("SHOW"):
        print("CALLS", made)


def refused(blob, **options):
    """The error of a stream, which must cost little."""
    san.decompress(san.compress(np.arange(40, dtype="i2"), prdn=5))  # compiled before
    tracemalloc.start()
    try:
        with few_calls(), pytest.raises(CodecError) as error:
            san.decompress(blob, **options)
        bytes_ = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert bytes_ < MEGABYTES << 20
    return error.value


BOMBS = {
    "kernels": dictionary(1, 64, 512),
    "random excerpt": dictionary(samples=2**20, excerpt=random.Random(1).randbytes(200)),
    "excerpt of ones": dictionary(samples=2**20, excerpt=b"\xff" * 40),
    "excerpt of many channels": dictionary(1024, samples=1024, excerpt=b"\x55" * 200),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_small_stream_cannot_carry_a_large_dictionary(bomb):
    error = refused(stream([b"\1\1\0\2\0\0"], bomb))
    assert isinstance(error, LimitExceeded)
    assert "dictionary values, limit 65536: raise it with Limits(dictionary_values=" in str(error)


def test_the_largest_dictionary_of_a_small_stream_costs_little():
    excerpt = random.Random(2).randbytes(3000)
    blob = stream([b"\1\1\0\2\0\0"], dictionary(1, 4, 512, excerpt, 2**16, excerpt))
    refused(blob)
    assert refused(blob, limits=san.Limits(dictionary_values=2**15)).limit == 2**15


def test_a_long_stream_may_carry_a_large_dictionary():
    large = quantize(np.ones((8, 1, 2**14))).data  # 2**17 values
    payload = b"\1\1\0\2\0\0"
    blob = stream([payload], large, samples=2**13)
    assert len(san.decompress(blob)) == 2**13
    with pytest.raises(LimitExceeded, match="131072 dictionary values"):
        san.decompress(stream([payload], large, samples=2**13 - 1))


ONE_KERNEL = quantize(np.ones((1, 1, 32))).data[:-1]


def with_rules(rules, channels):
    """A stream of version 4 that ends after a header with these rules."""
    header = b"\x11" + varint(channels) + bytes(8) + rules + b"\0\0\0" + bytes(8) + b"\x40\0"
    block = b"\x93SAN\4\2" + varint(len(header)) + header
    return block + crc(block)


def many_values(count):
    """A list of so many neighbouring values, in few bytes."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    small = deflater.compress(bytes(count - 1)) + deflater.flush()
    return b"\2" + varint(count) + b"\0" + varint(len(small)) + small


RULES = {
    "lists that are too long": varint(900) + many_values(2**15) * 900,
    "a list that is a bomb": b"\1" + many_values(2**24),
    "gaps that are a bomb": b"\1\2\2\0" + many_values(2**24)[6:],
    "a million rules": varint(2**20) + bytes(2**10),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_a_small_stream_cannot_have_many_values_in_lists(rules):
    blob = with_rules(rules + bytes(1000), 1000)
    assert isinstance(refused(blob), CorruptStream)
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode(blob)


CORRUPT = {
    "events without kernels": dictionary(samples=64, excerpt=bytes(8)),
    "events beyond the excerpt": ONE_KERNEL + varint(40) + bytes(8),
}


@pytest.mark.parametrize("data", CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_excerpt_that_no_chunk_uses_is_refused_by_both_decoders(data):
    blob = stream([b"\1\1\0\2\0\0"], data)
    assert isinstance(refused(blob), CorruptStream)
    with pytest.raises(plain_decoder.Refused):
        plain_decoder.decode(blob)
    with pytest.raises(CorruptStream):
        san.Decoder(blob)


def test_chunks_that_the_bytes_cannot_hold_are_refused_before_memory_is_taken():
    blob = stream([b"\1\1\0\2\0\0"] * 3, samples=2**33, chunk=2**20)
    assert str(refused(blob)) == "the index has no room for 8192 chunks"


@pytest.mark.parametrize("from_file", [False, True], ids=["bytes", "a file that cannot seek"])
def test_chunks_beyond_those_of_the_footer_are_refused(from_file):
    payload = b"\1\1\0\2\0\0"
    blob = stream([payload] * 3, samples=2 * SAMPLES + 3, chunk=SAMPLES)
    assert len(san.decompress(blob)) == 2 * SAMPLES + 3
    blob = stream([payload] * 3, samples=SAMPLES + 3, chunk=SAMPLES)
    with pytest.raises(
        CorruptStream, match=r"the footer counts 2 chunks, (and more are there|found 3)"
    ):
        source = io.BytesIO(blob)
        source.seekable = lambda: not from_file
        list(san.Decoder(source))


def test_many_chunks_of_many_groups_cost_little(monkeypatch):
    constant = varint(0) + varint(3) + bytes([0]) + b"\x55\x11"
    group = varint(1) + varint(0) + varint(len(constant)) + constant
    chunk = b"\1" + group * 1024
    san.decompress(stream([chunk], samples=2, chunk=2, channels=1024))  # compiled before
    blob = stream([chunk] * 20, samples=40, chunk=2, channels=1024)
    forget, forgotten = predictive.Room._forget_touched, []
    monkeypatch.setattr(
        predictive.Room, "_forget_touched", lambda room: (forgotten.append(1), forget(room))
    )
    with few_calls(400 * 20 * 1024):
        assert san.decompress(blob).shape == (40, 1024)
    assert len(forgotten) == 20 * 1023  # what few samples touched, not all 2**20 cells of a group


MISSING = [
    (["decompress", "nope.san", "y.npy"], "nope.san"),
    (["inspect", "nope.san"], "nope.san"),
    (["verify", "nope.csv", "nope.san"], "nope.san"),
    (["report", "nope.san", "-o", "r.html"], "nope.san"),
    (["compress", "nope.csv", "x.san", "--lossless"], "nope.csv"),
    (["compress", "x.npy", "x.san", "--lossless", "--dictionary", "nope.dict"], "nope.dict"),
    (["train", "--settings", "nope.toml"], "nope.toml"),
]


@pytest.mark.parametrize(("arguments", "name"), MISSING, ids=lambda value: value[0])
def test_a_missing_file_has_the_same_words_in_every_command(arguments, name, tmp_path, command):
    np.save(tmp_path / "x.npy", np.zeros(9, np.int16))
    code, _, error = command(*arguments)
    assert (code, error) == (2, f"san: {name} is not there\n")


def test_a_folder_is_no_file(tmp_path, command):
    code, _, error = command("inspect", ".")
    assert (code, error) == (2, "san: . is a folder: a file is needed here\n")
    code, _, error = command("compress", ".", "x.san", "--lossless")
    words = "san: . is a folder: name a recording in it; `san archive` takes folders\n"
    assert (code, error) == (2, words)


def test_a_table_of_very_many_columns_is_refused_at_once(tmp_path, command):
    (tmp_path / "wide.csv").write_text(",".join(str(k % 97) for k in range(50_001)) + "\n")
    with few_calls(50 * 50_001):
        code, _, error = command("compress", "wide.csv", "x.san", "--lossless")
    assert code == 2 and "wide.csv has 50001 columns, and 4096 are the most" in error


def test_memory_that_is_not_there_is_said_in_words(monkeypatch):
    blob = san.compress(np.arange(100, dtype="i2"), lossless=True)

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("san.codec.decoder.decode_chunk", full)
    with pytest.raises(CodecError, match="a chunk of 100 samples, and there is not enough memory"):
        san.decompress(blob)


@pytest.mark.filterwarnings("ignore::UserWarning")  # more channels than samples
@pytest.mark.parametrize(("n", "channels"), [(1, 9), (2, 7), (16, 5), (17, 3), (40, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_lossless_refuses_no_array(n, channels, dtype):
    rng = np.random.default_rng(n)
    for _ in range(5):
        x = np.frombuffer(rng.bytes(n * channels * np.dtype(dtype).itemsize), dtype)
        x = x.reshape(n, channels)
        assert san.decompress(san.compress(x, lossless=True)).tobytes() == x.tobytes()


def encoded(x, prdn, **options):
    file = io.BytesIO()
    channels = None if x.ndim == 1 else x.shape[1]
    with san.Encoder(file, x.dtype, channels, fs=16.0, prdn=prdn, **options) as encoder:
        encoder.write(x)
    return file.getvalue()


NOISE = np.random.default_rng(0).normal(size=200)
QUIET = {
    "one sample": np.array([3.3]),
    "four channels of one sample": np.array([[9e18, 0, 1.05e-21, 1.1e19]], "f4"),
    "a constant": np.full(40, 3.3),
    "two constant channels": np.full((100, 2), 0.1, "f4"),
    "a short signal": NOISE[:35].reshape(7, 5).astype("f4"),
    "a constant after noise": np.append(NOISE, np.full(40, 3.3)),
    "a constant before noise": np.append(np.full(40, 3.3), NOISE),
    "no number": np.array([np.nan, np.inf]),
}


@pytest.mark.parametrize("prdn", [5, 1e-9])
@pytest.mark.parametrize("seconds", [None, 1], ids=["one chunk", "chunks"])
@pytest.mark.parametrize("x", QUIET.values(), ids=QUIET)
def test_an_encoder_keeps_its_prdn_in_chunks_of_any_length(x, seconds, prdn):
    blob = encoded(x, prdn, chunk_seconds=seconds)
    assert san.inspect(blob).prdn <= prdn
    assert san.decompress(blob).shape == x.shape


def test_a_constant_chunk_after_the_first_ones_is_within_the_prdn_of_the_whole():
    x = np.concatenate([np.tile(NOISE, 700), np.full(1600, 3.3), NOISE])
    blob = encoded(x, 5, chunk_seconds=100, events=False)
    assert san.inspect(blob).prdn <= 5


def test_a_dictionary_is_not_used_where_a_channel_is_kept_as_bits():
    rng = np.random.default_rng(0)
    beats = np.tile(60 * np.exp(-(((np.arange(90) - 40) / 5.0) ** 2)), 40)
    two = np.rint(np.stack([beats, np.roll(beats, 20)], 1) + rng.normal(0, 2, (3600, 2)))
    shared = san.learn_dictionary(two.astype("i2"), fs=90, prdn=20)
    x = np.stack([np.linspace(0, 1, 40), np.sqrt(np.arange(40.0)) * 10.0 ** np.arange(-20, 20)], 1)
    assert san.compress(x, max_error=0.3, dictionary=shared)
    blob = encoded(x, 5, dictionary=shared)
    assert san.inspect(blob).prdn <= 5


@pytest.mark.parametrize("prdn", [1e9, 1e160, 1e300], ids=str)
@pytest.mark.parametrize("scale", [1, 1 / 3], ids=["integers", "floats"])
def test_a_large_prdn_gives_a_stream(prdn, scale):
    x = (np.arange(100) % 7).astype("i2")
    assert len(san.decompress(san.compress(x if scale == 1 else x * scale, prdn=prdn))) == 100


@pytest.mark.parametrize("name", ["prdn", "max_error", "bits_per_sample"])
def test_a_target_beyond_all_floats_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be .* finite"):
        Target.of(**{name: 10**400})


def test_signals_in_signals_are_refused():
    x = np.arange(40, dtype="i2")
    inner = san.compress(x, 100.0, lossless=True)
    one = san.compress(x, 200.0, lossless=True, attachments={"signals/1": inner})
    assert len(decode(san.Decoder(one)).others) == 1
    deep = one
    for _ in range(50):
        deep = san.compress(x, 100.0, lossless=True, attachments={"signals/1": deep})
    for blob in (deep, san.compress(x, 1.0, lossless=True, attachments={"signals/1": one})):
        with pytest.raises(CorruptStream, match="the signals 'signals/1' hold attachments"):
            decode(san.Decoder(blob))


ARCHIVE = io.BytesIO()
np.savez(ARCHIVE, a=np.zeros(3))
WHOLE = io.BytesIO()
np.save(WHOLE, np.zeros((3, 2), "<i2"))
WHOLE = WHOLE.getvalue()
FILES = {
    "empty": b"",
    "no archive": b"PK\3\4junk",
    "an archive": ARCHIVE.getvalue(),
    "brackets": b"\x93NUMPY\2\0" + struct.pack("<I", 9000) + b"(" * 8999 + b"\n",
    "cut": b"\x93NUMPY\1\0",
    "a new version": b"\x93NUMPY\x09\0",
    "short": WHOLE[:-1],
    "no bracket": WHOLE.replace(b"}", b"("),
    "objects": WHOLE.replace(b"'<i2'", b"'|O' "),
}
LIBRARY = r"EOF|mmap|malformed|ast\.|pickle|key|parse"


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_no_array_is_refused_in_words(tmp_path, content, command):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    code, _, error = command("compress", path, tmp_path / "a.san", "--lossless")
    assert code == 2
    assert error.startswith(f"san: {path} is not readable as .npy: ") and error.count("\n") == 1
    assert not re.search(LIBRARY, error)


@pytest.mark.parametrize("from_file", [False, True], ids=["bytes", "file"])
def test_several_threads_read_from_one_decoder(tmp_path, from_file):
    x = np.random.default_rng(0).integers(-99, 99, 4000).astype("i2")
    files = {f"f{k}": os.urandom(5000) for k in range(4)}
    blob = san.compress(x, fs=100, lossless=True, chunk_seconds=1, attachments=files)
    path = tmp_path / "x.san"
    path.write_bytes(blob)
    wrong = []
    with path.open("rb") as file:
        decoder = san.Decoder(file if from_file else blob)

        def read(seed):
            choose = random.Random(seed)
            try:
                for _ in range(40):
                    start = choose.randrange(4000)
                    stop = choose.randrange(start, 4001)
                    same = np.array_equal(decoder.read(start, stop), x[start:stop])
                    name = choose.choice(list(files))
                    if not same or decoder.attachment(name) != files[name]:
                        wrong.append((start, stop, name))
            except Exception as error:
                wrong.append(error)

        threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_gaps_need_no_integers_of_64_bits_to_repeat_by(monkeypatch):
    repeat = np.repeat

    def of_32_bits(values, times):
        if np.asarray(times).dtype == np.int64:
            raise TypeError("Cannot cast array data from int64 to int32")
        return repeat(values, times)

    x = np.array([[1.5, 2], [np.nan, 3], [2.5, -0.0], [np.inf, np.nan]] * 40)
    packed = pack_gaps(represent(x, LOSSLESS).gaps, 2)
    monkeypatch.setattr(np, "intp", np.int32)
    monkeypatch.setattr(np, "repeat", of_32_bits)
    again, _ = unpack_gaps(packed, 0, len(x), 2)
    y = np.nan_to_num(x, posinf=0) + 0.0
    fill_gaps(y, again)
    assert y.tobytes() == x.tobytes()


ON_32_BITS = {
    "counts on a grid": (np.rint(np.arange(90) % 31 * 4.88).astype("i2"), {"lossless": True}),
    "few values": (np.array([-900, 0, 13, 500] * 30, "i2"), {"lossless": True}),
    "two channels": (np.arange(80, dtype="i4").reshape(40, 2), {"max_error": 2}),
    "gaps": (np.array([1.5, np.nan, 2.5, -0.0] * 40), {"lossless": True}),
}


@pytest.mark.parametrize("name", ON_32_BITS)
def test_a_machine_of_32_bits_is_given_its_own_integers(name, monkeypatch):
    """NumPy's repeat and bincount take there no integers of 64 bits."""
    x, options = ON_32_BITS[name]
    expected = san.compress(x, **options)

    def narrow(function, place):
        def checked(*values, **named):
            if np.asarray(values[place]).dtype == np.int64:
                raise TypeError("Cannot cast array data from int64 to int32")
            return function(*values, **named)

        return checked

    monkeypatch.setattr(np, "intp", np.int32)
    monkeypatch.setattr(np, "bincount", narrow(np.bincount, 0))
    monkeypatch.setattr(np, "repeat", narrow(np.repeat, 1))
    blob = san.compress(x, **options)
    assert blob == expected
    y = san.decompress(blob)
    assert y.dtype == x.dtype and np.allclose(y, x, atol=2, equal_nan=True)


def test_control_characters_reach_no_terminal(tmp_path, command):
    x = np.arange(40, dtype="i2")
    blob = san.compress(
        x, lossless=True, names="\x1b[2Jgone\u202e", attachments={"\x1b]0;a\7": b"1"}
    )
    (tmp_path / "a.san").write_bytes(blob)
    code, out, _ = command("inspect", "a.san")
    assert code == 0 and r"\x1b[2Jgone\u202e" in out and r"\x1b]0;a\x07 (1)" in out
    assert all(line.isprintable() for line in out.splitlines())
    (tmp_path / "b.san").write_bytes(blob.replace(b"\x93SAN", b"\x1b[2J"))
    for name in ("b.san", "no\x1b[2J.san"):
        code, _, error = command("inspect", name)
        assert code == 2 and error.strip().isprintable()


def test_memory_that_runs_out_ends_a_command_in_a_sentence(command, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("san.codec.info.inspect", full)
    monkeypatch.setattr("builtins.open", full)
    monkeypatch.setattr("pathlib.Path.open", full)
    code, _, error = command("inspect", "a.san")
    assert (
        code == 2 and error == "san: there is not enough memory: take a part, or shorter chunks\n"
    )


TOMLS = {
    "dotted": ".".join(["a"] * 50_000) + " = 1",
    "quoted": " . ".join(['"é"'] * 5_000) + " = 1",
    "a table": "[" + ".".join(["a"] * 5_000) + "]",
    "long": "# " + "x" * 200_000,
    "deep": "epochs = " + "[" * 20_000,
}


@pytest.mark.parametrize("text", TOMLS.values(), ids=TOMLS)
def test_a_hostile_settings_file_costs_little(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with few_calls(), pytest.raises(ValueError, match="is not TOML"):
        read_settings(path)


def test_names_with_points_in_settings_are_no_long_key(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('record = "mitdb/' + "x" * 30_000 + '"\nkernel_sizes = [1, 2, 3]\nseed = 1.0\n')
    with few_calls():
        read_settings(path)


@pytest.mark.parametrize("seconds", [0.0, -0.2])
def test_a_clock_that_jumps_gives_no_speed(seconds):
    assert Summary(coded=1, seconds=seconds).records_per_second == 0


HEADERS = {"16x0": "with 0 samples in each frame", "16x999999999": "", "16+99999999999999": ""}


@pytest.mark.parametrize(("form", "words"), HEADERS.items(), ids=HEADERS)
def test_a_hostile_header_is_refused_in_words(tmp_path, command, form, words):
    header = f"r 1 100 100\nr.dat {form} 200 12 0 0 0 0 a\n".encode()
    x = np.arange(100, dtype="i2")[:, None]
    blob = san.compress(x, 100.0, lossless=True, attachments={"wfdb/header": header})
    (tmp_path / "a.san").write_bytes(blob)
    with few_calls():
        code, _, error = command("decompress", "a.san", "r")
    assert code == 2 and words in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.san"]


@pytest.mark.parametrize("kind", ["streams", "files"])
def test_mutated_input_is_read_or_refused(kind, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[1] / "benchmarks"))
    fuzz = importlib.import_module("fuzz")
    folder = str(tmp_path / "failures")
    monkeypatch.setattr(sys, "argv", ["fuzz", f"--{kind}", "300", "--failures", folder])
    code, said = fuzz.main(), json.loads(capsys.readouterr().out)
    assert (code, said[kind]["tries"], said[kind]["failures"]) == (0, 300, [])


@pytest.mark.parametrize("target", [{"max_error": 1}, {"prdn": 1e-7}], ids=str)
def test_columns_of_very_different_size_are_coded_within_any_error(target):
    t = np.arange(40)
    large = np.rint(1e9 * np.sin(t / 5))
    x = np.stack([large, np.rint(90 * np.cos(t / 3))], axis=1).astype("i4")
    y = san.decompress(san.compress(x, fs=250, events=False, **target))
    assert np.abs(x.astype(np.int64) - y).max() <= 1
    assert (
        san.decompress(san.compress(x, fs=250, events=False, bits_per_sample=64)).shape == x.shape
    )
