"""What is saved of a stream that was cut or damaged: every whole chunk, at its place."""

import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.codec.file_format import whole_chunks
from san.codec.recovery import filled_parts

FS, CHUNK = 100, 200
CHUNKS = 20
N = CHUNKS * CHUNK - 70
X = np.rint(50 * np.sin(np.arange(N) / 9) ** 5 + np.random.default_rng(2).normal(0, 3, N))
KINDS = {
    "version 1": ({"lossless": True}, "int16", {}),
    "version 3": ({"max_error": 2}, "int16", {"attachments": {"note": b"supine", "more": b"x"}}),
    "version 4": ({"prdn": 9, "max_error": 9}, "int16", {"names": "II"}),
    "two leads": ({"lossless": True}, "int32", {"channels": 2}),
    "floats": ({"lossless": True}, "float64", {}),
    "floats within a bound": ({"max_error": 0.5}, "float32", {}),
}


def written(target, dtype, options):
    """A stream of an `Encoder`, and what it decodes to."""
    channels = options.get("channels")
    x = (X if channels is None else np.stack([X, -X], 1)).astype(dtype)
    x = x / 7 if dtype == "float64" else x
    file = io.BytesIO()
    with san.Encoder(
        file, x.dtype, fs=FS, chunk_seconds=CHUNK / FS, events=False, **target, **options
    ) as encoder:
        encoder.write(x)
    return file.getvalue(), san.decompress(file.getvalue())


@pytest.fixture(scope="module", params=KINDS)
def stream(request):
    return written(*KINDS[request.param])


@pytest.fixture(scope="module")
def plain():
    return written(*KINDS["version 1"])


def saved(blob, **options):
    file = io.BytesIO()
    found = san.recover(blob, file, **options)
    return found, file.getvalue()


def places(blob):
    """Where each chunk begins, and where the end mark is."""
    reader = whole_chunks.StreamReader(blob)
    found = [0] * reader.chunk_count + [reader.places[2]]
    position = reader.places[1]
    for number in range(reader.chunk_count):
        found[number] = position
        position = reader.end_of_chunk(position, number)
    return found


def is_filled(part):
    return np.isnan(part).all() if part.dtype.kind == "f" else not part.any()


def test_a_whole_stream_is_copied(stream):
    blob, _ = stream
    found, copy = saved(blob)
    assert copy == blob and found.is_whole and found.samples == N
    assert str(found) == f"saved: {CHUNKS} whole chunks, {N} samples (39.3 s)\nlost: nothing"


@pytest.mark.parametrize("chunks, more", [(1, 0), (17, 3), (19, 1), (20, 3), (20, 9)])
def test_a_cut_stream_keeps_its_whole_chunks(stream, chunks, more):
    blob, y = stream
    found, copy = saved(blob[: places(blob)[chunks] + more])
    kept = min(N, chunks * CHUNK) if (chunks, more) != (20, 3) else 19 * CHUNK
    assert np.array_equal(san.decompress(copy), y[:kept], equal_nan=True)
    assert (found.samples, found.has_end, found.filled) == (kept, False, ())
    assert san.Decoder(copy).header == san.Decoder(blob).header


@pytest.mark.parametrize("part", ["length", "payload", "checksum"])
@pytest.mark.parametrize("number", [0, 16, 19])
def test_a_damaged_chunk_is_filled_and_the_others_keep_their_place(stream, part, number):
    blob, y = stream
    place = places(blob)
    at = {"length": place[number], "payload": place[number] + 4, "checksum": place[number + 1] - 1}
    damaged = bytearray(blob)
    damaged[at[part]] ^= 0x55
    found, copy = saved(bytes(damaged))
    begin, end = number * CHUNK, min(N, (number + 1) * CHUNK)
    z = san.decompress(copy)
    assert (
        found.filled == ((begin, end),)
        and found.chunks == CHUNKS - 1
        and found.samples == len(z) == N
    )
    assert is_filled(z[begin:end])
    assert np.array_equal(np.delete(z, np.s_[begin:end], 0), np.delete(y, np.s_[begin:end], 0))
    assert filled_parts(san.Decoder(copy).attachment("recovered")) == found.filled
    assert f"lost, and filled: samples {begin} to {end - 1}, from {begin / FS:g} s" in str(found)


@pytest.mark.parametrize("end", [True, False], ids=["with its end", "without its end"])
@pytest.mark.parametrize("size", [1, 30, 300], ids="{} bytes".format)
def test_bytes_that_are_missing_or_overwritten_cost_only_their_chunks(plain, size, end):
    blob, y = plain
    place = places(blob)
    begin = place[6] + 5
    first = 6 * CHUNK
    for damaged in (
        blob[:begin] + b"\0" * size + blob[begin + size :],
        blob[:begin] + blob[begin + size :],
        blob[:begin] + b"\x83" * size + blob[begin:],
    ):
        damaged = damaged if end else damaged[: len(damaged) - (len(blob) - place[-2])]
        found, copy = saved(damaged)
        z = san.decompress(copy)
        lost = sum(last - first for first, last in found.filled)
        assert found.filled[0][0] == first and lost <= (2 + size // 50) * CHUNK
        assert len(z) >= N // CHUNK * CHUNK and np.array_equal(z[:first], y[:first])
        last = found.filled[0][1]
        assert len(found.filled) == 1 and np.array_equal(z[last:], y[last : len(z)])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=4))
def test_whatever_is_damaged_no_sample_is_wrong(plain, damages):
    blob, y = plain
    damaged = bytearray(blob)
    for place, bits in damages:
        damaged[place % len(damaged)] ^= bits
    try:
        found, copy = saved(bytes(damaged))
    except san.CodecError:
        return
    z = san.decompress(copy)
    right = np.ones(len(z), bool)
    for first, last in found.filled:
        right[first:last] = False
        assert not z[first:last].any()
    assert np.array_equal(z[right], y[: len(z)][right])


def test_a_damaged_footer_and_bytes_after_the_end(plain):
    blob, y = plain
    for damaged in (blob[:-3], blob[:-3] + b"abc"):
        found, copy = saved(damaged)
        assert copy[: places(blob)[-1]] == blob[: places(blob)[-1]]
        assert np.array_equal(san.decompress(copy), y) and found.is_whole
    found, copy = saved(blob[:-6] + b"abcdef")
    assert np.array_equal(san.decompress(copy), y) and not found.has_end
    found, copy = saved(blob + bytes(500))
    assert copy[: places(blob)[-1]] == blob[: places(blob)[-1]]
    assert np.array_equal(san.decompress(copy), y) and found.has_end and found.bytes_left == 500


def test_a_recovered_stream_that_is_damaged_again_lists_both_parts(plain):
    blob, _ = plain
    for number in (3, 15):
        damaged = bytearray(blob)
        damaged[places(blob)[number] + 6] ^= 9
        blob = saved(bytes(damaged))[1]
    parts = filled_parts(san.Decoder(blob).attachment("recovered"))
    assert parts == ((600, 800), (3000, 3200))


def test_attachments_are_kept_and_a_damaged_one_is_named():
    blob, y = written(*KINDS["version 3"])
    damaged = blob.replace(b"supine", b"supinE")
    found, copy = saved(damaged)
    assert found.attachments_lost == ("note",) and "lost: the attached file 'note'" in str(found)
    assert san.inspect(copy).attachments == {"more": 1}
    assert np.array_equal(san.decompress(copy), y) and found.has_end


@pytest.mark.parametrize(
    "kind, largest, prdn",
    [
        ("version 1", 0, 0),
        ("version 3", 2, np.inf),
        ("version 4", 9, np.inf),
        ("floats", 0, 0),
    ],
)
def test_errors_are_those_that_are_known(kind, largest, prdn):
    blob, _ = written(*KINDS[kind])
    info = san.inspect(saved(blob[: places(blob)[10] + 2])[1])
    assert (info.largest_error, info.prdn) == (largest, prdn)


def test_what_cannot_be_saved_is_said(plain):
    blob, _ = plain
    with pytest.raises(san.CodecError, match="no chunk of the stream is whole"):
        san.recover(blob[: places(blob)[0] + 9], io.BytesIO())
    with pytest.raises(san.CodecError, match="the header does not agree"):
        san.recover(blob[:9] + b"\xff" + blob[10:], io.BytesIO())
    short = san.compress(X[:50].astype(np.int16), lossless=True)
    with pytest.raises(san.CodecError, match="checksum"):
        san.recover(short[:-1] + b"!", io.BytesIO())
    assert saved(short)[1] == short
    with pytest.raises(san.CodecError, match="limit"):
        san.recover(blob[:-2], io.BytesIO(), limits=san.Limits(samples=500))

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    with pytest.raises(ValueError, match="cannot seek"):
        san.recover(Pipe(blob), io.BytesIO())


@pytest.mark.parametrize("filling", [b"\0", b"\x02\x01", b"\xff\x7f\x01"], ids=bytes.hex)
def test_a_search_through_chosen_bytes_ends(plain, monkeypatch, filling):
    monkeypatch.setattr(whole_chunks, "SEARCHED", 1 << 14)
    monkeypatch.setattr(whole_chunks, "CHECKED", 1 << 20)
    blob, y = plain
    damaged = blob[: places(blob)[3]] + filling * (1 << 14)
    found, copy = saved(damaged)
    assert np.array_equal(san.decompress(copy), y[: 3 * CHUNK])
    assert (filling == b"\0") or (found.gave_up and "stopped early" in str(found))


def test_what_is_filled_is_nan_in_physical_units(tmp_path):
    blob, y = written({"lossless": True}, "int16", {"units": "mV"})
    damaged = bytearray(blob)
    damaged[places(blob)[4] + 6] ^= 3
    (tmp_path / "saved.san").write_bytes(saved(bytes(damaged))[1])
    x = san.read(tmp_path / "saved.san").x[:, 0]
    begin, end = 4 * CHUNK, 5 * CHUNK
    assert np.isnan(x[begin:end]).all()
    assert np.array_equal(np.delete(x, np.s_[begin:end]), np.delete(y, np.s_[begin:end]))


WRONG = ("", "{}", '{"filled": [[5, 2]]}', '{"filled": [["a", 2]]}', '{"filled": [[3, 3]]}')


@pytest.mark.parametrize("wrong", [text.encode() for text in WRONG], ids=WRONG)
def test_a_wrong_list_of_filled_parts_is_refused(wrong):
    with pytest.raises(san.CodecError, match="list of filled parts"):
        filled_parts(wrong)


# Imports once. For each path that it is given it forks a writer, which says with the length of
# another file how many parts it has given to its encoder, and then waits to be killed.
RECORDER = """
import io, os, signal, sys, time
import numpy as np
import san
x = np.load(sys.argv[1])
options = {"fs": 100, "chunk_seconds": 2, "lossless": True, "effort": "fast"}
with san.Encoder(io.BytesIO(), x.dtype, **options) as encoder:
    encoder.write(x[:1000])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    path = line.strip()
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        continue
    chance = np.random.default_rng(os.getpid())
    with open(path, "wb") as file, open(path + ".parts", "wb", buffering=0) as parts:
        with san.Encoder(file, x.dtype, **options) as encoder:
            for begin in range(0, len(x), 30):
                encoder.write(x[begin : begin + 30])
                parts.write(b".")
                time.sleep(chance.exponential(1e-3))
            time.sleep(100)
"""


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_writer_loses_its_last_chunk_at_most(tmp_path):
    x = np.tile(X.astype(np.int16), 10)
    np.save(tmp_path / "x.npy", x)
    chance = np.random.default_rng(5)
    with subprocess.Popen(
        [sys.executable, "-c", RECORDER, tmp_path / "x.npy"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as recorder:
        for number in range(20):
            path = tmp_path / f"{number}.san"
            recorder.stdin.write(f"{path}\n")
            recorder.stdin.flush()
            writer = int(recorder.stdout.readline())
            parts = tmp_path / f"{number}.san.parts"
            while not parts.exists() or parts.stat().st_size * 30 < CHUNK:
                time.sleep(1e-3)
            time.sleep(float(chance.uniform(0, 0.1)))
            os.kill(writer, signal.SIGKILL)
            while is_there(writer):
                time.sleep(1e-3)
            given = 30 * parts.stat().st_size
            y = san.decompress(saved(path.read_bytes())[1])
            assert np.array_equal(y, x[: len(y)]) and len(y) >= given // CHUNK * CHUNK
        recorder.stdin.close()


def test_the_command_saves_and_says_what_is_lost(plain, command, tmp_path):
    blob, y = plain
    (tmp_path / "cut.san").write_bytes(blob[: places(blob)[7] + 10])
    code, out, _ = command("recover", "cut.san", "saved.san")
    assert code == 0 and out.splitlines() == [
        "saved: 7 whole chunks, 1400 samples (14 s)",
        "lost: 10 bytes after the last whole chunk; a chunk has 200 samples (2 s)",
        "the stream has no end: nobody knows how many samples its writer was given",
    ]
    assert np.array_equal(san.decompress((tmp_path / "saved.san").read_bytes()), y[:1400])
    code, _, err = command("recover", "cut.san", "saved.san")
    assert code == 2 and err == "san: saved.san is there: give --force to replace it\n"
    code, out, _ = command("recover", "cut.san", "saved.san", "--force", "--json")
    assert code == 0 and '"samples": 1400' in out
    code, _, err = command("recover", "cut.san", "cut.san", "--force")
    assert code == 2 and "cut.san is the stream that is read" in err


def test_the_command_writes_nothing_where_nothing_is_saved(plain, command, tmp_path):
    (tmp_path / "cut.san").write_bytes(plain[0][:40])
    code, _, err = command("recover", "cut.san", "saved.san")
    assert code == 2 and "no chunk of the stream is whole: nothing can be saved" in err
    assert [path.name for path in tmp_path.iterdir()] == ["cut.san"]
    code, _, err = command("recover", "absent.san", "saved.san")
    assert code == 2 and err == "san: absent.san is not there\n"


def test_inspect_says_that_an_error_is_not_known(command, tmp_path):
    blob, _ = written({"prdn": 8}, "int16", {})
    (tmp_path / "saved.san").write_bytes(saved(blob[:-5])[1])
    code, out, _ = command("inspect", "saved.san")
    assert code == 0 and out.count("infinite, or not known") == 2
