"""WFDB records come back as the files that they were: every format, header, segment and ending."""

import json

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

import san
from san.codec.decoder import Decoder
from san.files import streams
from san.files import wfdb_reading as reader
from san.files import wfdb_writing as writer
from san.files.restoring import SAME, try_restoring
from san.wfdb_records.formats import BITS, pack, value_range
from san.wfdb_records.header import parse_header, renamed, with_values

FORMATS = sorted(BITS, key=int)
FRAMES = 41


def checksum(x):
    return int(np.sum(x)) & 0xFFFF


def signals(code, counts, frames=FRAMES, seed=0):
    """Smooth integers that a format holds, of each signal; none of them is the invalid one."""
    low, high = (-100, 100) if code == "8" else value_range(code)
    random = np.random.default_rng(seed)
    half = min((high - low) // 2 - 2, 3000)
    found = []
    for count in counts:
        t = np.arange(frames * count)
        x = half * 0.9 * np.sin(t / 7 + random.uniform(0, 6))
        found.append(np.rint(x / 2 if code == "8" else x).astype(np.int64))
    return found


def write_record(
    folder, name="r", code="16", counts=(1, 1), x=None, offset=0, skew=0, after=b"", file=None,
    end="\n", gain="200(3)/mV", frames=FRAMES, descriptions=None,
):  # fmt: skip
    """Write a record of one signal file, as header(5) and signal(5) have it."""
    x = signals(code, counts, frames) if x is None else x
    file = file or f"{name}.dat"
    columns = []
    for each, count in zip(x, counts, strict=True):
        steps = np.diff(each, prepend=each[0]) if code == "8" else each
        columns.append(steps.reshape(-1, count))
    body = pack(np.concatenate(columns, axis=1).reshape(-1), code)
    lines = [f"# made for a test{end}{name} {len(counts)} 250 {frames} 12:30:00 01/02/2003"]
    for c, (each, count) in enumerate(zip(x, counts, strict=True)):
        how = code + (f"x{count}" if count > 1 else "") + (f":{skew}" if skew and c else "")
        how += f"+{offset}" if offset else ""
        words = descriptions[c] if descriptions else f"lead {c}"
        lines.append(f"{file} {how} {gain} 12 0 {each[0]} {checksum(each)} 0 {words}".rstrip())
    (folder / f"{name}.hea").write_bytes((end.join(lines) + end + "#Age: 60").encode("latin-1"))
    (folder / file).write_bytes(bytes(range(1, offset + 1)) + body + after)
    return x


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def there_and_back(tmp_path, name="r", back=None, **options):
    """The files of a record, and what compressing and decompressing makes of them."""
    there, out = tmp_path / "there", tmp_path / "back"
    out.mkdir(exist_ok=True)
    blob = streams.encode_file(there / name, **(options or {"lossless": True}))
    streams.write_file(Decoder(blob), out / (back or name))
    return files_in(there), files_in(out)


@pytest.fixture
def there(tmp_path):
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


@pytest.mark.parametrize("counts", [(1,), (1, 1), (3, 1)], ids=str)
@pytest.mark.parametrize("code", FORMATS)
def test_every_format_comes_back(code, counts, there, tmp_path):
    write_record(there, code=code, counts=counts)
    before, after = there_and_back(tmp_path)
    assert after == before


@pytest.mark.parametrize(
    "options",
    [
        {"offset": 24},
        {"after": b"\0\0"},
        {"after": bytes(range(200))},
        {"offset": 5, "after": b"end", "code": "212"},
        {"skew": 3},
        {"skew": 2, "counts": (2, 4)},
        {"end": "\r\n"},
        {"file": "signals_2021.dat"},
        {"gain": "-0.5"},
        {"gain": "1e2(-7)/\u00b5V"},
        {"descriptions": ("ECG", "ECG")},
        {"descriptions": ("", "")},
        {"descriptions": ("caf\u00e9", "a  b ")},
    ],
    ids=str,
)
def test_unusual_records_come_back(options, there, tmp_path):
    write_record(there, **options)
    before, after = there_and_back(tmp_path)
    assert after == before


@pytest.mark.parametrize("code", ["212", "310", "311"])
def test_bits_that_no_sample_uses_come_back(code, there, tmp_path):
    write_record(there, code=code, counts=(1,), frames=11)
    data = bytearray((there / "r.dat").read_bytes())
    if code == "310":
        data[0] |= 1  # of each pair of bytes the lowest bit
    else:
        data[-1] |= 0xF0  # what would be of a twelfth sample
    (there / "r.dat").write_bytes(data)
    before, after = there_and_back(tmp_path)
    assert after == before


@pytest.mark.parametrize("name", ["E00002.mat", "r"])
def test_a_record_line_may_have_the_name_of_the_file(name, there, tmp_path):
    write_record(there)
    header = (there / "r.hea").read_bytes().replace(b"\nr 2", f"\n{name} 2".encode())
    (there / "r.hea").write_bytes(header)
    stem = name.removesuffix(".mat")
    for path in (there / "r.hea", there / "r.dat"):
        path.rename(there / path.name.replace("r.", f"{stem}.", 1))
    text = (there / f"{stem}.hea").read_bytes().replace(b"r.dat", f"{stem}.dat".encode())
    (there / f"{stem}.hea").write_bytes(text)
    before, after = there_and_back(tmp_path, stem)
    assert after == before


@pytest.mark.parametrize("inside", ["q", "100"])
@pytest.mark.parametrize("name", ["copy_of_q", "my rec", "rec.1", "M\u00fcller", "a+b", "q"])
def test_the_files_of_a_record_may_have_another_name_than_its_header(
    name, inside, there, tmp_path, command
):
    write_record(there, "q")
    header = (there / "q.hea").read_bytes().replace(b"\nq 2", f"\n{inside} 2".encode())
    (there / "q.hea").unlink()
    (there / f"{name}.hea").write_bytes(header)
    (there / f"{name}.atr").write_bytes(b"\x01\x04\0\0")
    code, out, _ = command("compress", there / name, "x.san", "--lossless", "--exact")
    assert code == 0 and out.endswith("comes back as: same files\n")
    (tmp_path / "back").mkdir()
    assert command("decompress", "x.san", tmp_path / "back" / f"{name}.hea")[0] == 0
    assert files_in(tmp_path / "back") == files_in(there)
    assert command("verify", there / name, "x.san")[0] == 0
    assert command("decompress", "x.san", tmp_path / "new")[0] == 0
    assert (tmp_path / "new.hea").read_bytes() == header.replace(
        f"\n{inside} 2".encode(), b"\nnew 2"
    ).replace(b"q.dat", b"new.dat" if "q" in (name, inside) else b"q.dat")
    code, _, err = command("decompress", "x.san", tmp_path / "new name")
    words = "a new name of a record is letters, digits, -, _ and points, got 'new name'"
    assert code == 2 and words in err


def test_a_header_without_a_length_reads_to_the_end_of_the_file(there, tmp_path):
    write_record(there)
    text = (there / "r.hea").read_text().replace(f"250 {FRAMES} 12:30:00 01/02/2003", "250")
    (there / "r.hea").write_text(text)
    before, after = there_and_back(tmp_path)
    assert after == before
    assert san.signals.read_wfdb(there / "r").x.shape == (FRAMES, 2)


@pytest.mark.parametrize("code", FORMATS)
def test_within_an_error_no_sample_becomes_invalid(code, there, tmp_path):
    low, high = (-100, 100) if code == "8" else value_range(code)
    low, high = max(low + 1, -30_000), min(high, 30_000)
    t = np.arange(4000)
    x = np.clip(np.rint(1.2 * low * np.sin(t / 40)), low, high).astype(np.int64)
    if code == "8":
        x = x // 4
    write_record(there, code=code, counts=(1,), x=[x], frames=4000)
    there_and_back(tmp_path, prdn=8.0, events=False)
    restored = wfdb.rdrecord(str(tmp_path / "back" / "r"), physical=False)
    assert not np.isnan(wfdb.rdrecord(str(tmp_path / "back" / "r")).p_signal).any()
    found = restored.d_signal[:, 0].astype(np.int64)
    assert san.prdn(x.astype(float), found.astype(float)) <= 8.0
    assert (found[0], restored.checksum[0] & 0xFFFF) == (restored.init_value[0], checksum(found))


def test_what_was_invalid_stays_so_within_an_error(there, tmp_path):
    x = signals("80", (1,), 1000)[0]
    x[100:130] = -128
    write_record(there, code="80", counts=(1,), x=[x], frames=1000)
    there_and_back(tmp_path, max_error=3)
    gaps = np.isnan(wfdb.rdrecord(str(tmp_path / "back" / "r")).p_signal[:, 0])
    assert np.flatnonzero(gaps).tolist() == list(range(100, 130))


def test_another_name_changes_names_only(there, tmp_path):
    write_record(there)
    (there / "r.atr").write_bytes(b"\x01\x04\0\0")
    before, after = there_and_back(tmp_path, back="other_2")
    assert sorted(after) == ["other_2.atr", "other_2.dat", "other_2.hea"]
    assert after["other_2.dat"] == before["r.dat"]
    expected = before["r.hea"].replace(b"\nr 2", b"\nother_2 2").replace(b"r.dat", b"other_2.dat")
    assert after["other_2.hea"] == expected


def write_segments(there, names, lengths, master="r", channels=2, extra=""):
    lines = [f"{master}/{len(names)} {channels} 250 {sum(lengths)} 10:00:00"]
    lines += [f"{name} {length}" for name, length in zip(names, lengths, strict=True)]
    (there / f"{master}.hea").write_text("\n".join(lines) + "\n# a comment\n" + extra)


def test_segments_of_a_fixed_layout_come_back(there, tmp_path):
    write_record(there, "r_1", counts=(2, 1), gain="200(0)/mV")
    write_record(there, "r_2", counts=(2, 1), gain="100(50)/mV", frames=60)
    write_segments(there, ["r_1", "r_2", "r_1"], [FRAMES, 60, FRAMES])
    (there / "r.atr").write_bytes(b"\x01\x04\0\0")
    (there / "r_2.qrs").write_bytes(b"\x02\x04\0\0")
    before, after = there_and_back(tmp_path)
    assert after == before
    expected = wfdb.rdrecord(str(there / "r")).p_signal
    recording = san.signals.read_wfdb(there / "r")
    assert np.array_equal(recording.x, expected)


def test_hundreds_of_segments_come_back(there, tmp_path):
    names = [f"r_{number}" for number in range(300)]
    for name in names:
        write_record(there, name, frames=8)
    write_segments(there, names, [8] * len(names))
    before, after = there_and_back(tmp_path)
    assert after == before and len(after) == 601


def test_segments_of_a_variable_layout_and_gaps_come_back(there, tmp_path):
    (there / "layout.hea").write_text(
        "layout 3 250 0\n~ 0 200/mV 12 0 0 0 0 I\n~ 0 200/mV 12 0 0 0 0 II\n"
        "~ 0 10/mmHg 8 0 0 0 0 P\n"
    )
    write_record(there, "a", descriptions=("II", "P"))
    write_record(there, "b", code="80", counts=(1,), descriptions=("I",), frames=30, gain="20/mV")
    write_segments(there, ["layout", "a", "~", "b"], [0, FRAMES, 100, 30], channels=3)
    before, after = there_and_back(tmp_path)
    assert after == before
    expected = wfdb.rdrecord(str(there / "r"))
    recording = san.signals.read_wfdb(there / "r")
    assert recording.names == tuple(expected.sig_name) == ("I", "II", "P")
    assert np.array_equal(recording.x, expected.p_signal, equal_nan=True)
    assert np.isnan(recording.x).sum(0).tolist() == [FRAMES + 100, 130, 130]


@pytest.mark.parametrize("options", [{"lossless": True}, {"max_error": 2}], ids=str)
def test_streams_of_earlier_releases_hold_signals_without_their_skew(options, there, tmp_path):
    """They say nothing of it; the record comes back without a skew, and agrees with its file."""
    write_record(there, skew=3)
    array = reader.as_before(streams.read_file(there / "r", exact="lossless" in options))
    blob = streams.encode_array(array, **options)
    assert "wfdb/unshifted" not in Decoder(blob).info.attachments
    assert streams.compare_file(there / "r", Decoder(blob)).broken == ()
    (tmp_path / "back").mkdir()
    streams.write_file(Decoder(blob), tmp_path / "back" / "r")
    restored = wfdb.rdrecord(str(tmp_path / "back" / "r"), physical=False)
    expected = wfdb.rdrecord(str(there / "r"), physical=False).d_signal
    assert restored.skew == [None, None] or not any(s or 0 for s in restored.skew)
    bound = options.get("max_error", 0)
    assert np.abs(restored.d_signal.astype(int) - expected)[: FRAMES - 3].max() <= bound


NAMES = ["r (1)", "r,1", "50%", "r'", "r[1]", "r{1}", "r&s", "@r", "\u8bb0"]


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_with_any_name_comes_back(name, there, tmp_path):
    write_record(there)
    (there / "r.hea").rename(there / f"{name}.hea")
    before, after = there_and_back(tmp_path, name)
    assert after == before


@pytest.mark.parametrize("names", [("r.HEA", "r.DAT"), ("R.HEA", "R.DAT"), ("r.hea", "r.DAT")])
def test_files_in_capitals_are_those_of_the_header(names, there, tmp_path):
    write_record(there)
    for old, new in zip(("r.hea", "r.dat"), names, strict=True):
        (there / old).rename(there / new)
    array = streams.read_file(there / names[0], exact=True)
    assert array.left_out == ()
    assert try_restoring(there / names[0], array, True).outcome == SAME
    before, after = there_and_back(tmp_path, names[0], names[0].lower())
    assert sorted(after.values()) == sorted(before.values())


def test_segments_that_share_a_file_come_back_without_loss_only(there, tmp_path):
    (there / "r.hea").write_text("r/2 1 250 300\ns 100\nt 200\n")
    (there / "s.hea").write_text("s 1 250 100\nx.dat 16 200\n")
    (there / "t.hea").write_text("t 1 250 200\nx.dat 16+200 200\n")
    (there / "x.dat").write_bytes(np.arange(300, dtype="<i2").tobytes())
    before, after = there_and_back(tmp_path)
    assert after == before
    with pytest.raises(ValueError, match=r"x\.dat holds samples of several segments"):
        streams.encode_file(there / "r", max_error=1)


def test_a_record_of_no_samples_comes_back(there, tmp_path):
    (there / "r.hea").write_text("r 1 250\nr.dat 212 200\n")
    (there / "r.dat").write_bytes(b"")
    before, after = there_and_back(tmp_path)
    assert after == before


@pytest.mark.parametrize(
    ("gain", "expected"), [("100()/uV", (100, 7)), ("100/", (100, 7)), ("-2(+3)", (-2, 3))]
)
def test_parts_of_a_gain_may_be_left_out(gain, expected):
    (line,) = parse_header(f"r 1 250 +10\nr.dat 16 {gain} 12 7".encode()).signals
    assert (line.gain, line.baseline) == expected


WRONG = {
    "no signal": ("r 0 250\n", "has no signal file: it is annotations or comments only"),
    "a layout": ("r 1 250 0\n~ 0 200/mV 16 0 0 0 0 I\n", "it is a layout of segments"),
    "a missing line": ("r 2 250 10\nr.dat 16 200\n", "announces 2 signals and describes 1"),
    "no format": ("r 1 250 10\nr.dat sixteen\n", "names no signal format"),
    "another format": ("r 1 250 10\nr.dat 17 200\n", "names no signal format"),
    "no number of signals": ("r two\n", "which has no number of signals"),
    "a missing file": ("r 1 250 10\nq.dat 16 200\n", "q.dat is not there, and .*r.hea names it"),
    "a short file": ("r 1 250 999\nr.dat 16 200\n", "r.dat has 164 bytes, and the header"),
    "a checksum": ("r 1 250 10\nr.dat 16 200 12 0 0 77\n", "r.dat is corrupt: the checksum of its"),
    "two formats in one file": (
        "r 2 250 10\nr.dat 16 200\nr.dat 80 200\n", "the signals of r.dat have several formats",
    ),
    "a rate with a unit": ("r 1 500Hz 10\nr.dat 16 200\n", "'500Hz' is no sampling rate"),
    "half a sample": ("r 1 250 9.5\nr.dat 16 200\n", "9.5 is no number of samples"),
    "half a baseline": ("r 1 250 10\nr.dat 16 100(5.5)/mV\n", r"100\(5.5\)/mV' should be"),
    "no end of gain": ("r 1 250 10\nr.dat 16 1e999/mV\n", "'1e999/mV' should be a finite"),
    "nothing": ("# only a comment\n", "has no line that says what it is of"),
    "no FLAC file": ("r 1 250 10\nr.dat 516 200\n", "r.dat is not a FLAC file"),
    "a segment elsewhere": ("r/1 2 250 41\n../r 41\n", "which is in another folder"),
    "a segment of another length": ("r/1 2 250 40\ns 40\n", "says that s has 40 frames, and it"),
    "segments in segments": ("r/1 2 250 41\nr 41\n", "names r, which has segments itself"),
    "too few segments": ("r/2 2 250 82\ns 41\n", "announces 2 segments and names 1"),
    "another sum": ("r/1 2 250 42\ns 41\n", "says 42 frames, and its segments have 41"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_header_is_refused_in_words(name, there):
    write_record(there)
    write_record(there, "s")
    content, words = WRONG[name]
    (there / "r.hea").write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        streams.encode_file(there / "r", lossless=True)


HOSTILE = {
    "bytes that nobody attached": (
        b"r 1 250 4\nr.dat 16+99999999999 200\n", "asks for 99999999999 bytes before the samples",
    ),
    "a file elsewhere": (b"r 1 250 4\n../r.dat 16 200\n", "impossible file name: '../r.dat'"),
    "a hidden file": (b"r 1 250 4\n.bashrc 16 200\n", "impossible file name: '.bashrc'"),
    "its own header": (b"r 1 250 4\nr.hea 16 200\n", "two files of the name r.hea"),
    "segments without headers": (b"r/1 1 250 4\ns 4\n", "the segment s, whose header is not"),
    "more channels": (b"r 2 250 4\nr.dat 16 200\nr.dat 16 200\n", "are not those of the attached"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_writes_nothing(name, tmp_path):
    header, words = HOSTILE[name]
    blob = san.compress(
        np.zeros((4, 1), np.int16), lossless=True, attachments={"wfdb/header": header}
    )
    with pytest.raises(ValueError, match=words):
        streams.write_file(Decoder(blob), tmp_path / "r")
    assert files_in(tmp_path) == {}


@given(
    text=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30),
    end=st.sampled_from(["\n", "\r\n"]),
    spaces=st.sampled_from([" ", "  ", "\t"]),
)
def test_renaming_changes_names_only(text, end, spaces):
    lines = [f"#{text}", f"r{spaces}1 250 10", f"r.dat{spaces}16 200 12 0 0 0 0 {text}", f"#{text}"]
    content = end.join(lines).encode("latin-1")
    there = renamed(content, "longer", {"r.dat": "longer.dat"})
    assert renamed(there, "r", {"longer.dat": "r.dat"}) == content
    assert parse_header(there).files == ("longer.dat",)


@given(
    initial=st.integers(-(2**31), 2**31 - 1),
    total=st.integers(-32768, 65535),
    gain=st.sampled_from(["", " 200", " 1e3(5)/mV"]),
)
def test_values_are_put_where_they_are(initial, total, gain):
    content = f"r 1 250 10\nr.dat 16{gain} 12 0 1 2 0 a 5 b\n".encode()
    line = parse_header(with_values(content, {0: initial}, {0: total})).signals[0]
    assert (line.initial, line.checksum, line.description) == (initial, total, "a 5 b")
    assert with_values(content, {}, {}) == content


def test_every_record_at_hand_comes_back(recordings):
    """All but FLAC files that another encoder wrote: their samples are the same."""
    paths = sorted(recordings.rglob("*.hea"))
    others, tried = set(), 0
    for path in paths:
        record = path.with_suffix("")
        try:
            array = reader.read_record(record)
        except (FileNotFoundError, ValueError) as error:
            assert "is not there" in str(error) or "no signal file" in str(error)
            continue
        for name, data in writer.files_of(record.name, array, True).items():
            tried += 1
            if data != (record.parent / name).read_bytes():
                others.add(name)
    assert tried > 300
    assert others <= {f"mixedsignals_{kind}.dat" for kind in "epr"}


@pytest.mark.parametrize("there_already", ["r.hea", "r.dat", "r.atr"])
def test_no_file_of_a_record_is_replaced_without_being_asked(there_already, command, tmp_path):
    """`command` runs in tmp_path."""
    write_record(tmp_path)
    (tmp_path / "r.atr").write_bytes(b"\x01\x04\0\0")
    before = files_in(tmp_path)
    assert command("compress", "r", "r.san", "--lossless")[0] == 0
    for name in before:
        (tmp_path / name).unlink()
    (tmp_path / there_already).write_text("mine")
    code, _, err = command("decompress", "r.san", "r")
    assert (code, err) == (2, f"san: {there_already} is there: give --force to replace it\n")
    assert sorted(files_in(tmp_path)) == sorted(["r.san", there_already])
    assert (tmp_path / there_already).read_text() == "mine"
    assert command("decompress", "r.san", "r", "--force")[0] == 0
    after = files_in(tmp_path)
    assert {name: after[name] for name in before} == before


def test_a_stream_is_not_replaced_by_what_it_holds(command, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(100, dtype=np.int16))
    assert command("compress", "x.npy", "y.npy", "--lossless")[0] == 0
    blob = (tmp_path / "y.npy").read_bytes()
    code, _, err = command("decompress", "y.npy", "y.npy", "--force")
    assert (code, err) == (2, "san: y.npy is the stream that is read: give another name\n")
    assert (tmp_path / "y.npy").read_bytes() == blob
    code, _, err = command("compress", "x.npy", "x.npy", "--lossless", "--force")
    assert (code, err) == (2, "san: x.npy is the recording that is read: give another name\n")


@pytest.mark.parametrize("ending", ["py", "san", "hea", "npy"])
def test_only_annotations_become_files_beside_the_record(ending, tmp_path):
    header = b"r 1 250 4\nr.dat 16 200\n"
    attached = {"wfdb/header": header, f"wfdb/annotations/{ending}": b"import os"}
    blob = san.compress(np.zeros((4, 1), np.int16), lossless=True, attachments=attached)
    with pytest.raises(ValueError, match=rf"r\.{ending} is no file of annotations"):
        streams.write_file(Decoder(blob), tmp_path / "r")
    assert files_in(tmp_path) == {}


def test_what_comes_back_is_tried_and_said(command, tmp_path):
    write_record(tmp_path, code="310")
    same = "comes back as: same files\n"
    code, out, _ = command("compress", "r", "r.san", "--lossless", "--exact")
    assert code == 0 and out.endswith(same)
    code, out, _ = command("verify", "r", "r.san")
    assert code == 0 and out.endswith("kept: lossless\n" + same)
    code, out, _ = command("compress", "r", "l.san", "--max-error", 3, "--no-events")
    assert code == 0 and out.endswith("comes back as: same files but for the samples\n")
    code, out, _ = command("verify", "r", "l.san", "--json")
    assert code == 0
    assert json.loads(out)["comes_back_as"]["outcome"] == "same files but for the samples"


def test_annotations_that_the_stream_does_not_hold_are_named(command, tmp_path):
    write_record(tmp_path)
    (tmp_path / "r.atr").write_bytes(b"\x01\x04\0\0")
    (tmp_path / "r.txt").write_text("no annotations")
    without = "comes back as: same files; not in the stream: r.atr\n"
    code, out, _ = command("compress", "r", "r.san", "--lossless", "--no-annotations", "--exact")
    assert code == 0 and out.endswith(without)
    code, out, _ = command("verify", "r", "r.san")
    assert code == 0 and out.endswith("kept: lossless\n" + without)
    code, out, _ = command("compress", "r.hea", "s.san", "--max-error", 2, "--no-events")
    assert code == 0 and out.endswith("comes back as: same files but for the samples\n")
    for number in range(22):
        (tmp_path / f"r.q{number:02}").write_bytes(b"\x01\x04\0\0")
    code, out, _ = command("verify", "r", "s.san")
    names = ", ".join(f"r.q{number:02}" for number in range(20))
    words = f"same files but for the samples; not in the stream: {names} and 2 more\n"
    assert code == 0 and out.endswith(f"comes back as: {words}")


def test_annotations_of_segments_that_the_stream_does_not_hold_are_named(there, tmp_path):
    write_record(there, "r_1")
    write_segments(there, ["r_1", "r_1"], [FRAMES, FRAMES])
    array = streams.read_file(there / "r", exact=True)
    assert str(try_restoring(there / "r", array, True)) == SAME
    (there / "r_1.qrs").write_bytes(b"\x01\x04\0\0")
    (there / "r_2.qrs").write_bytes(b"\x01\x04\0\0")
    found = try_restoring(there / "r", array, True)
    assert str(found) == "same files; not in the stream: r_1.qrs" and found.is_same


def test_flac_of_another_encoder_is_named_and_can_be_refused(recordings, command, tmp_path):
    record = recordings / "wfdb-formats" / "mixedsignals"
    if not record.with_suffix(".hea").is_file():
        pytest.skip(f"{record} is not here")
    words = "; ".join(f"mixedsignals_{kind}.dat is FLAC of another encoder" for kind in "epr")
    code, out, _ = command("compress", record, "m.san", "--lossless")
    assert code == 0
    assert out.endswith(f"comes back as: same samples, other bytes: {words}\n")
    code, _, err = command("compress", record, "n.san", "--lossless", "--exact")
    said = f"would not come back as it is: same samples, other bytes: {words}\n"
    assert code == 2 and err.endswith(said)
    assert not (tmp_path / "n.san").exists()


@pytest.mark.parametrize("segments", [False, True], ids=["plain", "segments"])
@pytest.mark.parametrize("counts", [(4, 1), (2, 2)], ids=str)
def test_physical_units_average_no_samples(counts, segments, command, tmp_path):
    write_record(tmp_path, "s" if segments else "r", counts=counts)
    if segments:
        write_segments(tmp_path, ["~", "s", "s"], [7, FRAMES, FRAMES])
    code, _, err = command("compress", "r", "r.san", "--lossless", "--physical")
    words = (
        f"r has signals with several samples in each frame, up to {max(counts)}: read it without"
    )
    assert code == 2 and words in err
    assert not (tmp_path / "r.san").exists()


@pytest.mark.parametrize("ending", [".npy", ".csv"])
def test_signals_of_several_rates_become_a_file_for_each_rate(ending, command, tmp_path):
    x = write_record(tmp_path, counts=(4, 1))
    assert command("compress", "r", "r.san", "--lossless")[0] == 0
    (tmp_path / f"y_250Hz{ending}").write_text("mine")
    code, _, err = command("decompress", "r.san", f"y{ending}")
    assert (code, err) == (2, f"san: y_250Hz{ending} is there: give --force to replace it\n")
    code, out, _ = command("decompress", "r.san", f"y{ending}", "--force")
    said = [f"y{ending}: {4 * FRAMES} × 1", f"y_250Hz{ending}: {FRAMES} × 1"]
    assert code == 0 and out.splitlines() == [f"{line} samples, int16" for line in said]
    for name, expected in ((f"y{ending}", x[0]), (f"y_250Hz{ending}", x[1])):
        path = tmp_path / name
        found = np.load(path) if ending == ".npy" else np.loadtxt(path, skiprows=1)
        assert found.reshape(-1).tolist() == expected.tolist()
    code, _, err = command("decompress", "r.san", "-")
    words = "san: standard output holds signals of one rate, and there are 1000, 250 Hz: name a"
    assert code == 2 and err.startswith(words)
