"""WFDB records and EDF files of any header that the specifications allow come back to the byte."""

import itertools
import re
import warnings

import edfio
import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.codec.decoder import Decoder
from san.files import arrays, streams
from san.files.restoring import SAME, try_restoring
from san.files.wfdb_writing import files_of
from san.wfdb_records.flac import write_flac
from san.wfdb_records.formats import BITS, invalid_sample, pack, value_range
from san.wfdb_records.header import FLAC

FORMATS = [*BITS, *FLAC]
TEXT = st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc", "Cf"])
WORDS = st.lists(st.text(TEXT, min_size=1, max_size=8), max_size=3).map(" ".join)
NAMES = st.from_regex(r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,8}", fullmatch=True)  # that a header can hold


@st.composite
def gains(draw):
    """How integers become physical: everything may be left out from the end on."""
    gain = draw(st.sampled_from(["200", "-4.88", "1e-3", "0", "1000.0", "0.5", "3.2e2"]))
    baseline = draw(st.sampled_from(["", "(0)", "(-7)", "(1024)"]))
    units = draw(st.sampled_from(["", "/mV", "/uV", "/\u00b5V", "/cmH2O", "/%", "/NU"]))
    return gain + baseline + units


@st.composite
def signal_files(draw, number, frames):
    """A signal file of one to three signals: its bytes, and the lines that describe them."""
    code = draw(st.sampled_from(FORMATS))
    counts = draw(st.lists(st.sampled_from([1, 1, 1, 2, 4]), min_size=1, max_size=3))
    offset = draw(st.sampled_from([0, 0, 0, 1, 24])) if code not in FLAC else 0
    if code in FLAC:
        counts = [counts[0]] * len(counts)
    file = draw(st.sampled_from([f"r{number}.dat", f"r.d{number}", f"signals_{number}.mat"]))
    seed = draw(st.integers(0, 2**32 - 1))
    columns, lines, decoded = [], [], []
    for c, count in enumerate(counts):
        x, initial = samples_of(code, frames * count, np.random.default_rng(seed + c))
        decoded.append(x)
        steps = np.diff(x, prepend=initial) if code == "8" else x
        columns.append(steps.reshape(-1, count))
        lines.append(draw(signal_lines(file, code, count, offset, x, initial)))
    if code in FLAC:
        interleaved = np.stack([column.reshape(-1) for column in columns], axis=1)
        body = write_flac(interleaved, code, draw(st.integers(0, 8)))
    else:
        body = pack(np.concatenate(columns, axis=1).reshape(-1), code)
        body += draw(st.sampled_from([b"", b"", b"\0", b"\xff" * 700]))
    return file, bytes(range(offset)) + body, lines


def samples_of(code, n, random):
    """Integers that a format holds, a few of them invalid, and the one before the first."""
    if code == "8":
        steps = random.integers(-128, 128, n)
        initial = int(random.integers(-500, 500))
        return initial + np.cumsum(steps), initial
    half = 1 << (FLAC[code] - 1) if code in FLAC else -value_range(code)[0]
    low, high = max(-half, -(1 << 30)), min(half - 1, 1 << 30)
    x = np.rint(random.uniform(0.01, 1) * high * np.sin(np.arange(n) / 5)).astype(np.int64)
    x = np.clip(x + random.integers(-2, 3, n), low, high)
    invalid = -half if code in FLAC else invalid_sample(code)
    x[random.random(n) < random.choice([0, 0, 0.2])] = invalid
    return x, int(x[0]) if n else 0


@st.composite
def signal_lines(draw, file, code, count, offset, x, initial):
    """The line of a signal; what is not needed may be left out from the end on."""
    how = code + (f"x{count}" if count > 1 else draw(st.sampled_from(["", "", "x1"])))
    how += draw(st.sampled_from(["", "", "", ":0", ":2"]))
    how += f"+{offset}" if offset else ""
    total = int(x.sum()) & 0xFFFF
    total -= 65536 if total > 32767 and draw(st.booleans()) else 0
    resolution, zero = draw(st.sampled_from([0, 12, 16])), draw(st.sampled_from([0, 0, -5, 1024]))
    fields = [draw(gains()), resolution, zero, initial, total, draw(st.sampled_from([0, 0, 512]))]
    least = 4 if code == "8" else 0  # without its first sample, format 8 begins at `zero`
    fields = fields[: draw(st.integers(least, 6))]
    if len(fields) == 6:
        fields.append(draw(WORDS))
    blank = draw(st.sampled_from([" ", "  ", "\t"]))
    return blank.join(map(str, [file, how, *fields])).rstrip(" \t")


@st.composite
def records(draw):
    """The files of a record `r`."""
    frames = draw(st.sampled_from([1, 2, 3, 7, 40]))
    made, lines = {}, []
    for number in range(draw(st.integers(1, 3))):
        file, body, of_file = draw(signal_files(number, frames))
        made[file] = body
        lines += of_file
    fs = draw(st.sampled_from([" 250", " 360.5", " 1/60", " 0.25", " 250/10(3.5)"]))
    head = draw(st.sampled_from(["r", "r.mat", "r.dat"])) + f" {len(lines)}{fs} {frames}"
    head += draw(st.sampled_from(["", " 12:30:00", " 1:2:3.25 29/02/2020", " 1/1/2019 00:00:01"]))
    comments = [f"#{text}" for text in draw(st.lists(WORDS, max_size=2))]
    place = draw(st.integers(0, len(comments)))
    whole = [*comments[:place], head, *lines, *comments[place:]]
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = end.join(whole) + draw(st.sampled_from([end, end, "", end * 2]))
    made["r.hea"] = text.encode("latin-1")
    if draw(st.booleans()):
        made["r.atr"] = bytes.fromhex("010402080000")
    return made


def written(folder, files):
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / "r"


COUNT = itertools.count()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A new folder at each call."""
    root = tmp_path_factory.mktemp("records")
    return lambda: root / str(next(COUNT))


@given(files=records(), back=NAMES)
@settings(max_examples=60)
def test_a_record_of_any_header_comes_back(folders, files, back):
    there = written(folders(), files)
    array = streams.read_file(there, exact=True)
    decoder = Decoder(streams.encode_array(array, lossless=True))
    decoded = streams.decode(decoder)
    assert files_of("r", decoded, True) == files
    assert try_restoring(there, decoded, True).outcome == SAME
    renamed = files_of(back, decoded, True)
    assert len(renamed) == len(files) and f"{back}.hea" in renamed
    again = written(folders(), renamed).with_name(back)
    for one, other in zip(
        (array, *array.others),
        (lambda read: (read, *read.others))(streams.read_file(again, exact=True)),
        strict=True,
    ):
        assert np.array_equal(one.x, other.x) and one.units == other.units


@given(files=records())
@settings(max_examples=40)
def test_physical_units_are_those_of_wfdb(folders, files):
    there = written(folders(), files)
    try:
        expected = wfdb.rdrecord(str(there), smooth_frames=False)
    except Exception:  # what the specification allows and wfdb does not read
        return
    late = files["r.hea"].count(b":2")
    if re.search(rb"x[24]:2", files["r.hea"]) or (late and expected.sig_len <= 2):
        return  # wfdb gives zeros where a late signal of several samples per frame has none
    signals = expected.e_p_signal
    if signals is None:
        signals = list(expected.p_signal.T)
    recording = san.read(there)
    for part in (recording, *recording.others):
        mine = [c for c, signal in enumerate(signals) if len(signal) == len(part.x)]
        units = tuple(unit.encode("ascii", "ignore").decode() for unit in part.units)
        assert units == tuple(expected.units[c] for c in mine)  # wfdb drops what is not ASCII
        wanted = np.stack([signals[c] for c in mine], axis=1)
        assert np.allclose(part.x, wanted, rtol=1e-9, atol=0, equal_nan=True)


@given(files=records(), bound=st.sampled_from([1, 40, 3000]))
@settings(max_examples=30)
def test_within_an_error_gaps_stay_gaps_and_numbers_stay_numbers(folders, files, bound):
    there = written(folders(), files)
    blob = streams.encode_file(there, max_error=bound, events=False)
    assert streams.compare_file(there, Decoder(blob)).broken == ()
    back = folders()
    back.mkdir()
    streams.write_file(Decoder(blob), back / "r")
    before, after = san.read(there, raw=True), san.read(back / "r", raw=True)
    for one, other in zip((before, *before.others), (after, *after.others), strict=True):
        assert np.array_equal(np.isnan(one.x), np.isnan(other.x))
        numbers = ~np.isnan(one.x)
        apart = np.abs(one.raw.astype(np.float64) - other.raw.astype(np.float64))
        assert apart[numbers].max(initial=0) <= bound
    for file in set(files) - {"r.hea"}:
        assert (back / file).is_file()


LABELS = ["EEG Fpz-Cz", "ECG", "Temp \u00b0C", "", "Resp"]
NOTES = b"+0\x14\x14\0+0.25\x151.5\x14stage 2\x14\0"


@st.composite
def edf_files(draw):
    """The name and the bytes of an EDF or BDF file."""
    is_bdf, records = draw(st.booleans()), draw(st.sampled_from([0, 1, 2, 5]))
    width = 3 if is_bdf else 2
    half = 1 << (8 * width - 1)
    sizes = draw(st.lists(st.sampled_from([1, 2, 5, 20]), min_size=1, max_size=4))
    has_notes = draw(st.booleans())
    signals = []
    for size in sizes:
        low, high = draw(st.sampled_from([(-half, half - 1), (0, half - 1), (-100, 100)]))
        first, last = draw(st.sampled_from([("-100", "100"), ("3276.7", "-3276.8"), ("0", "1e3")]))
        unit = draw(st.sampled_from(["uV", "mmHg", "\u00b0C", ""]))
        label = draw(st.sampled_from(LABELS))
        signals.append((label, unit, first, last, str(low), str(high), size))
    if has_notes:
        label = "BDF Annotations" if is_bdf else "EDF Annotations"
        place = draw(st.integers(0, len(signals)))
        signals.insert(place, (label, "", "-1", "1", str(-half), str(half - 1), 30))
    kind = draw(st.sampled_from(["EDF+C", "EDF+D"])) if has_notes else ""
    stated = draw(st.sampled_from([records, -1]))
    duration = draw(st.sampled_from(["1", "0.5", "30", "1.0"]))
    started = draw(st.sampled_from(["01.02.2010.20.30", "31.12.9923.59.59"]))
    begin = b"\xffBIOSEMI" if is_bdf else field("0", 8)
    head = begin + field("X F 01-JAN-1980 N\u00fc", 80) + field("Startdate X X X X", 80)
    head += field(started, 16) + field(256 * (len(signals) + 1), 8)
    head += field(kind.replace("EDF", "BDF") if is_bdf else kind, 44)
    head += field(stated, 8) + field(duration, 8) + field(len(signals), 4)
    label, unit, first, last, low, high, size = zip(*signals, strict=True)
    empty = [""] * len(signals)
    columns = [(label, 16), (empty, 80), (unit, 8), (first, 8), (last, 8), (low, 8), (high, 8)]
    for texts, length in [*columns, (empty, 80), (size, 8), (empty, 32)]:
        head += b"".join(field(text, length) for text in texts)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    body = b""
    for _ in range(records):
        for signal in signals:
            if signal[0].endswith("Annotations"):
                body += NOTES.ljust(signal[-1] * width, b"\0")
            else:
                x = random.integers(int(signal[4]), int(signal[5]) + 1, signal[-1])
                body += x.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return ("a.bdf" if is_bdf else "a.edf"), head + body


def field(value, length):
    return str(value).encode("latin-1").ljust(length)


@given(file=edf_files())
@settings(max_examples=60)
def test_an_edf_file_of_any_header_comes_back(folders, file):
    name, content = file
    there = written(folders(), {name: content}).with_name(name)
    array = streams.read_file(there, exact=True)
    decoder = Decoder(streams.encode_array(array, lossless=True))
    back = written(folders(), {}).with_name(name)
    streams.write_file(decoder, back)
    assert back.read_bytes() == content
    assert try_restoring(there, streams.decode(decoder), True).outcome == SAME
    if len(array.x) == 0 or b"+D" in content[192:236]:
        return  # edfio gives the records of a discontinuous file without their gaps
    read = edfio.read_bdf if name.endswith("bdf") else edfio.read_edf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a header that leaves the number of records open
        signals = read(there, header_encoding="latin-1").signals
    recording = san.read(there, annotations=False)
    for part in (recording, *recording.others):
        wanted = [s for s in signals if len(s.data) == len(part.x)]
        assert part.names == tuple(s.label for s in wanted)
        assert np.allclose(part.x, np.stack([s.data for s in wanted], axis=1), rtol=1e-9)


@given(file=edf_files(), bound=st.sampled_from([1, 40, 3000]))
@settings(max_examples=20)
def test_edf_within_an_error_keeps_all_but_samples(folders, file, bound):
    name, content = file
    there = written(folders(), {name: content}).with_name(name)
    decoder = Decoder(streams.encode_file(there, max_error=bound, events=False))
    back = written(folders(), {}).with_name(name)
    streams.write_file(decoder, back)
    before, after = arrays.read(there), arrays.read(back)
    assert after.attachments == before.attachments
    for one, other in zip((before, *before.others), (after, *after.others), strict=True):
        assert np.abs(one.x.astype(int) - other.x).max(initial=0) <= bound


@st.composite
def segmented_records(draw):
    """A record of segments: of one layout, or of signals that come and go, with gaps."""
    is_variable = draw(st.booleans())
    counts = draw(st.lists(st.sampled_from([1, 1, 2]), min_size=1, max_size=3))
    names = ["II", "V5", "P\u00e9"][: len(counts)]
    made, lines, total = {}, [], 0
    if is_variable:
        layout = [
            f"~ 0x{n} 200/mV 12 0 0 0 0 {name}" for n, name in zip(counts, names, strict=True)
        ]
        made["r_layout.hea"] = [f"r_layout {len(names)} 250 0", *layout]
        lines.append("r_layout 0")
    for number in range(draw(st.integers(1, 3))):
        frames = draw(st.sampled_from([1, 4, 30]))
        chosen = list(range(len(names)))
        if is_variable:
            chosen = draw(st.permutations(chosen))[: draw(st.integers(1, len(names)))]
        name, code = f"r_{number + 1}", draw(st.sampled_from(["16", "80", "212", "8"]))
        head, columns = [f"{name} {len(chosen)} 250 {frames}"], []
        for c in chosen:
            random = np.random.default_rng(draw(st.integers(0, 99)))
            x, initial = samples_of(code, frames * counts[c], random)
            steps = np.diff(x, prepend=initial) if code == "8" else x
            columns.append(steps.reshape(-1, counts[c]))
            gain = draw(st.sampled_from(["200", "100(50)", "-4.88(3)"]))
            how = code + (f"x{counts[c]}" if counts[c] > 1 else "")
            sum_ = int(x.sum()) & 0xFFFF
            head.append(f"{name}.dat {how} {gain}/mV 12 0 {initial} {sum_} 0 {names[c]}")
        made[f"{name}.hea"] = head
        made[f"{name}.dat"] = pack(np.concatenate(columns, axis=1).reshape(-1), code)
        lines.append(f"{name} {frames}")
        total += frames
        if draw(st.booleans()):
            lines.append("~ 5")
            total += 5
    clock = draw(st.sampled_from(["", " 10:00:00 01/02/2003"]))
    made["r.hea"] = [f"r/{len(lines)} {len(names)} 250 {total}{clock}", *lines, "# a comment"]
    made["r.atr"] = b"\x01\x04\0\0"
    encode = "\n".join
    return {
        name: data if isinstance(data, bytes) else (encode(data) + "\n").encode("latin-1")
        for name, data in made.items()
    }


@given(files=segmented_records())
@settings(max_examples=40)
def test_a_record_of_segments_comes_back_and_agrees_with_wfdb(folders, files):
    there = written(folders(), files)
    array = streams.read_file(there, exact=True)
    decoded = streams.decode(Decoder(streams.encode_array(array, lossless=True)))
    assert files_of("r", decoded, True) == files
    assert try_restoring(there, decoded, True).outcome == SAME
    recording = san.read(there)
    try:
        expected = wfdb.rdrecord(str(there), smooth_frames=False)
    except Exception:  # wfdb reads no gap in a fixed layout
        return
    signals = expected.e_p_signal or list(expected.p_signal.T)
    for part in (recording, *recording.others):
        wanted = [signal for signal in signals if len(signal) == len(part.x)]
        assert np.allclose(part.x, np.stack(wanted, axis=1), rtol=1e-9, atol=0, equal_nan=True)
