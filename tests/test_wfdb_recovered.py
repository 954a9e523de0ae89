"""A recovered stream of a WFDB record becomes a record that is read, with invalid samples."""

import io

import numpy as np
import pytest
import wfdb
from test_wfdb_files import files_in, write_record, write_segments

import san
from san.codec.decoder import Decoder
from san.codec.file_format.stream import StreamReader
from san.codec.file_format.whole_chunks import WholeChunks
from san.codec.recovery import recover
from san.files import arrays, streams

FRAMES, CHUNK = 3000, 500  # samples of a chunk, in 2 s at 250 Hz
FORMATS = ["16", "24", "32", "61", "80", "160", "212", "310", "311", "8"]


@pytest.fixture
def there(tmp_path):
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def blob_of(record, **options):
    return streams.encode_file(
        record, **(options or {"lossless": True}), chunk_seconds=2, events=False
    )


def saved(blob):
    file = io.BytesIO()
    recover(blob, file)
    return file.getvalue()


def damaged(blob, number):
    """The stream with a wrong byte in one chunk."""
    chunks = [chunk.position for chunk in WholeChunks(StreamReader(blob))]
    found = bytearray(blob)
    found[chunks[number] + 8] ^= 4
    return bytes(found)


def cut(blob):
    """The stream without its end and without all of its last chunk."""
    chunks = [chunk.position for chunk in WholeChunks(StreamReader(blob))]
    return blob[: chunks[-1] + 10]


def back(blob, folder, name="r"):
    folder.mkdir(exist_ok=True)
    streams.write_file(Decoder(blob), folder / name)
    return arrays.read(folder / name)


@pytest.mark.parametrize("options", [{"lossless": True}, {"max_error": 2}], ids=str)
@pytest.mark.parametrize("code", FORMATS)
def test_a_damaged_stream_becomes_a_record_with_invalid_samples(code, options, there, tmp_path):
    x = write_record(there, code=code, frames=FRAMES)
    blob = saved(damaged(blob_of(there / "r", **options), 3))
    back(blob, tmp_path / "back")
    found = san.read(tmp_path / "back" / "r", raw=True)
    lost = np.zeros(FRAMES, bool)
    lost[3 * CHUNK : 4 * CHUNK] = True
    assert np.array_equal(np.isnan(found.x), np.stack([lost, lost], 1))
    error = np.abs(found.raw - np.stack(x, 1))[~lost].max()
    assert error <= options.get("max_error", 0)
    assert np.array_equal(
        np.isnan(wfdb.rdrecord(str(tmp_path / "back" / "r")).p_signal[:, 0]), lost
    )


@pytest.mark.parametrize("length", [FRAMES, None], ids=["a length", "no length"])
@pytest.mark.parametrize("code", ["16", "212", "8"])
def test_a_cut_stream_becomes_a_shorter_record(code, length, there, tmp_path):
    x = write_record(there, code=code, frames=FRAMES)
    if length is None:
        text = (there / "r.hea").read_text()
        (there / "r.hea").write_text(text.replace(f" 250 {FRAMES} ", " 250 0 "))
    blob = saved(cut(blob_of(there / "r")))
    array = back(blob, tmp_path / "back")
    kept = FRAMES - CHUNK
    assert np.array_equal(array.x, np.stack(x, 1)[:kept])
    header = (tmp_path / "back" / "r.hea").read_text()
    assert f" 250 {kept if length else 0} 12:30:00 01/02/2003\n" in header
    assert header.endswith("#Age: 60") and header.startswith("# made for a test\n")
    if length:
        assert len(wfdb.rdrecord(str(tmp_path / "back" / "r")).p_signal) == kept
    assert streams.encode_file(tmp_path / "back" / "r", lossless=True)


def test_the_first_sample_of_a_header_is_that_of_its_file(there, tmp_path):
    write_record(there, frames=FRAMES)
    back(saved(damaged(blob_of(there / "r"), 0)), tmp_path / "back")
    assert wfdb.rdheader(str(tmp_path / "back" / "r")).init_value == [-32768, -32768]


@pytest.mark.parametrize("counts", [(4, 1), (1, 2)], ids=str)
@pytest.mark.parametrize("harm", [cut, lambda blob: damaged(blob, 2)], ids=["cut", "damaged"])
def test_signals_of_several_rates_keep_their_length(harm, counts, there, tmp_path):
    x = write_record(there, counts=counts, frames=FRAMES)
    (there / "r.atr").write_bytes(b"\x01\x04\0\0")
    blob = saved(harm(blob_of(there / "r")))
    (tmp_path / "saved.san").write_bytes(blob)
    main, other = sorted(range(2), key=lambda c: -counts[c])
    decoded = san.read(tmp_path / "saved.san", raw=True)
    assert np.array_equal(decoded.others[0].raw[:, 0], x[other])
    back(blob, tmp_path / "back")
    record = san.read(tmp_path / "back" / "r", raw=True)
    assert np.array_equal(record.others[0].raw[:, 0], x[other])
    assert len(record.x) == len(x[main])
    held = ~np.isnan(record.x[:, 0])
    assert 0 < np.count_nonzero(~held) < len(held)
    assert np.array_equal(record.raw[held, 0], x[main][held])
    assert np.array_equal(np.flatnonzero(held), np.flatnonzero(~np.isnan(decoded.x[:, 0])))
    assert (tmp_path / "back" / "r.atr").read_bytes() == b"\x01\x04\0\0"


@pytest.mark.parametrize(
    ("harm", "number", "begin"),
    [(cut, 2, 2500), (lambda blob: damaged(blob, 3), 1, 1500)],
    ids=["cut", "damaged"],
)
def test_a_record_of_segments_keeps_its_length(harm, number, begin, there, tmp_path):
    lengths = [900, 1200, 900]
    for segment, frames in enumerate(lengths):
        write_record(there, f"r_{segment}", frames=frames)
    write_segments(there, ["r_0", "r_1", "r_2"], lengths)
    before = files_in(there)
    whole = san.read(there / "r").x
    back(saved(harm(blob_of(there / "r"))), tmp_path / "back")
    after = files_in(tmp_path / "back")
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {f"r_{number}.dat", f"r_{number}.hea"}
    found = san.read(tmp_path / "back" / "r").x
    lost = np.isnan(found[:, 0])
    assert np.array_equal(np.flatnonzero(lost), np.arange(begin, begin + CHUNK))
    assert np.array_equal(found[~lost], whole[~lost])
    assert wfdb.rdrecord(str(tmp_path / "back" / "r")).p_signal.shape == (3000, 2)


def test_other_samples_than_the_header_has_are_refused_with_a_way_round(tmp_path):
    header = b"r 2 250 4\nr.dat 16x2 200\nr.dat 16 200\n"
    blob = san.compress(
        np.zeros((4, 1), np.int16), lossless=True, attachments={"wfdb/header": header}
    )
    (tmp_path / "x.san").write_bytes(blob)
    with pytest.raises(ValueError, match=r"to \.npy or \.csv gives the samples without the header"):
        san.read(tmp_path / "x.san")


def test_a_header_that_says_far_more_samples_fills_no_memory(tmp_path):
    attached = {"wfdb/header": b"r/1 1 250 999999999\ns 999999999\n", "recovered": b'{"filled":[]}'}
    attached["wfdb/segments/0/header"] = b"s 1 250 999999999\ns.dat 16 200\n"
    blob = san.compress(np.zeros((4, 1), np.int16), lossless=True, attachments=attached)
    with pytest.raises(ValueError, match="says that 999999999 samples were there before"):
        streams.write_file(Decoder(blob), tmp_path / "r")
