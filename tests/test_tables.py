"""Tables as programs and spreadsheets write them: they are read and come back to the byte."""

import json
import re
from datetime import UTC, datetime, time, timedelta, timezone

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from san.codec.decoder import Decoder
from san.files import arrays, reading, streams, table_forms, table_moments, tables
from san.files.table_layout import TableOptions

COUNT = 300
T = np.arange(COUNT) / 250
S, C = np.sin(7 * T).round(3), np.cos(5 * T).round(3)


def lines(head, form, *columns):
    """The text of a table."""
    return "".join(f"{h}\n" for h in head) + "".join(
        form.format(*row) + "\n" for row in zip(*columns, strict=True)
    )


def comma(text):
    return text.replace(".", ",")


def clock(style):
    return [style.format(int(t // 60), t % 60) for t in T]


def days(style):
    start = datetime(2020, 2, 28, 23, 59, 59)
    moments = [start + timedelta(milliseconds=4 * i) for i in range(COUNT)]
    return [f"{moment:{style}}.{moment.microsecond // 1000:03d}" for moment in moments]


DATES = [f"2020-02-28T23:59:{50 + t:06.3f}Z" for t in T]
# text, names, rate, channels
READ = {
    "names that begin with t": (lines(["T3,T4,C3"], "{},{},{}", S, C, S), ("T3", "T4", "C3"), None),
    "tibialis": (lines(["tibialis,hr"], "{:.2f},{:d}", T, range(COUNT)), ("tibialis", "hr"), None),
    "ms": (lines(["time (ms),ecg"], "{:g},{}", T * 1000, S), ("ecg",), 250.0),
    "time_us": (lines(["time_us,ecg"], "{:.0f},{}", T * 1e6, S), ("ecg",), 250.0),
    "ns": (lines(["time[ns],ecg"], "{:.0f},{}", T * 1e9, S), ("ecg",), 250.0),
    "Unix s": (lines(["timestamp,ecg"], "{:.3f},{}", 1.6e9 + T, S), ("ecg",), 250.0),
    "Unix ms": (lines(["time,ecg"], "{:.0f},{}", 1.6e12 + 1000 * T, S), ("ecg",), 250.0),
    "Unix us": (lines(["time,ecg"], "{:.0f},{}", 1.6e15 + 1e6 * T, S), ("ecg",), 250.0),
    "Unix ns": (
        lines(["time,ecg"], "{},{}", [1600000000000000001 + 4000000 * i for i in range(COUNT)], S),
        ("ecg",),
        250.0,
    ),
    "dates": (lines(["datetime,ecg"], "{},{}", DATES, S), ("ecg",), 250.0),
    "clock": (lines([], "{},{}", clock("{}:{:06.3f}"), S), (), 250.0),
    "rdsamp": (
        lines(
            ["'Elapsed time','MLII'", "'hh:mm:ss.mmm','mV'"],
            "'{}',{}",
            clock("{}:{:06.3f}"),
            S,
        ),
        ("MLII",),
        250.0,
    ),
    "units": (lines(["time,ECG,PPG", "ms,mV,NU"], "{:g},{},{}", 1000 * T, S, C), None, 250.0),
    "mark": ("\ufeff" + lines(["time,a,b"], "{:g},{},{}", T, S, C), ("a", "b"), 250.0),
    "mark, no names": ("\ufeff" + lines([], "{},{}", S, C), (), None),
    "decimal commas": (comma(lines([], "{:.3f}", S)), (), None),
    "decimal commas of two lengths": (comma(lines(["ecg"], "{}", S)), ("ecg",), None),
    "semicolons": (comma(lines(["time;a;b"], "{:g};{};{}", T, S, C)), ("a", "b"), 250.0),
    "semicolons and points": (lines(["time;a;b"], "{:g};{};{}", T, S, C), ("a", "b"), 250.0),
    "tabs": (lines(["time\ta\tb"], "{:g}\t{}\t{}", T, S, C), ("a", "b"), 250.0),
    "tabs and commas": (comma(lines(["time\ta"], "{:g}\t{}", T, S)), ("a",), 250.0),
    "quotes": (lines([], '"{}","{}"', S, C), (), None),
    "quotes and commas": (
        lines([], '"{}","{}"', map(comma, map(str, S)), map(comma, map(str, C))),
        (),
        None,
    ),
    "comma and blank": (lines(["a, b"], "{:.3f}, {:.3f}", S, C), ("a", "b"), None),
    "numbers as names": (lines(["0,1"], "{:.3f},{:.3f}", S, C), ("0", "1"), None),
    "quoted numbers as names": (lines(['"10","20"'], "{:.3f},{:.3f}", S, C), ("10", "20"), None),
    "comments": (lines(["# made by hand", "a,b"], "{},{}", S, C), ("a", "b"), None),
    "rounded times": (lines(["time,a"], "{:.3f},{}", np.arange(COUNT) / 1024, S), ("a",), 1024.0),
    "gap": (lines(["time,a"], "{:g},{}", T + 3 * (T > 0.5), S), ("time", "a"), None),
    "falling": (lines(["time,a"], "{:g},{}", -T, S), ("time", "a"), None),
    "whole seconds": (lines(["time,a"], "{:g},{}", np.floor(T), S), ("time", "a"), None),
    "uneven dates": (
        lines(
            ["t,a"],
            "{},{}",
            DATES[: COUNT // 2] + [d.replace("28T", "29T") for d in DATES[150:]],
            S,
        ),
        ("t", "a"),
        None,
    ),
    "scientific": (lines(["a,b"], "{:.4e},{:.6f}", S, C), ("a", "b"), None),
    "whole numbers": (
        lines(["a,b"], "{},{}", range(COUNT), range(0, -COUNT, -1)),
        ("a", "b"),
        None,
    ),
    "Windows": (lines(["a,b"], "{},{}", S, C).replace("\n", "\r\n"), ("a", "b"), None),
    "no end of line": (lines(["a,b"], "{},{}", S, C)[:-1], ("a", "b"), None),
    "hours": (
        lines(
            ["'Elapsed time','I'", "'hh:mm:ss.mmm','mV'"],
            "'{}',{}",
            [f"59:{59 + t:06.3f}" if t < 1 else f"1:00:{t - 1:06.3f}" for t in T],
            S,
        ),
        ("I",),
        250.0,
    ),
    "large numbers": (
        lines(["id,b"], "{},{}", [12345678901234567890 + i for i in range(COUNT)], S),
        ("id", "b"),
        None,
    ),
    "German dates": (
        lines(["Zeit;EKG"], "{};{}", days("%d.%m.%Y %H:%M:%S"), map(comma, map(str, S))),
        ("EKG",),
        250.0,
    ),
    "dates with slashes": (lines([], "{},{}", days("%Y/%m/%d %H:%M:%S"), S), (), 250.0),
    "the month first": (lines(["t,a"], "{},{}", days("%m/%d/%Y %H:%M:%S"), S), ("a",), 250.0),
    "a zone": (lines(["t,a"], "{}+01:00,{}", days("%Y-%m-%dT%H:%M:%S"), S), ("a",), 250.0),
    "dates without zeros": (
        lines(["t,a"], "{},{}", [d.removesuffix(".000") for d in days("%Y-%m-%d %H:%M:%S")], S),
        ("a",),
        250.0,
    ),
    "rdsamp with dates": (
        lines(
            ["'Time and date','MLII'", "'hh:mm:ss.mmm dd/mm/yyyy','mV'"],
            "'[{} 28/02/2020]',{}",
            [f"23:59:{50 + t:06.3f}" for t in T],
            S,
        ),
        ("MLII",),
        250.0,
    ),
    "rdsamp with tabs": (
        lines(
            ["   Elapsed time  \t   MLII", "   (hh:mm:ss.mmm)\t   (mV)"],
            "{:>15}\t{:7.3f}",
            clock("{}:{:06.3f}"),
            S,
        ),
        ("MLII",),
        250.0,
    ),
    "a day and a time": (
        lines(["date,time,a"], "2020-02-28,{},{}", [f"9:00:{t:06.3f}" for t in T], S),
        ("date", "a"),
        250.0,
    ),
    "filled with blanks": (lines(["   t,     a"], "{:6.3f},{:8.3f}", T, S), ("a",), 250.0),
    "blanks after": (lines(["a;b"], "{:<6.3f};{:<8.3f}", S, C), ("a", "b"), None),
    "blanks alone": (lines(["  time(s)   a"], "{:8.3f}{:8.3f}", T, S), ("a",), 250.0),
    "one blank": (lines([], "{:.3f} {:.3f}", S, C), (), None),
    "bars": (lines(["a|b"], "{}|{}", S, C), ("a", "b"), None),
    "signs": (lines(["a,b"], "{:+.3f},{:+.2f}", S, C), ("a", "b"), None),
    "large exponents": (lines(["a,b"], "{:.4E},{}", S, C), ("a", "b"), None),
    "an odd row": (lines(["a,b"], "{},{}", S, C) + " 1.50,+2\n", ("a", "b"), None),
}


def read(folder, text, encoding="utf-8", **options):
    path = folder / "a.csv"
    path.write_bytes(text.encode(encoding))
    fs = options.pop("fs", None)
    return arrays.read(path, fs, exact=True, table=TableOptions(**options))


def written(array):
    return tables.content_of(array)


@pytest.mark.parametrize("kind", READ)
def test_a_table_is_read_and_comes_back_to_the_byte(kind, tmp_path):
    text, names, fs = READ[kind]
    array = read(tmp_path, text)
    if names is not None:
        assert array.names == names
    assert array.fs == (None if fs is None else pytest.approx(fs, rel=1e-12))
    assert len(array.x) == COUNT + (kind == "an odd row")
    assert written(array) == text.encode()
    last = array.x.reshape(len(array.x), -1)
    assert np.isfinite(last).all()
    assert kind.startswith(("tibialis", "whole numbers", "an odd", "large exp")) or S[7] in last[7]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings(encoding, tmp_path):
    text = lines(["time;Spannung [µV]"], "{:g};{}", T, S)
    array = read(tmp_path, text, encoding)
    assert array.names == ("Spannung [µV]",) and array.fs == 250.0
    assert written(array) == text.encode(encoding)


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "-", "n/a", "#N/A", "nan", "null"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_missing_values_are_nan(missing, delimiter, tmp_path):
    values = [missing if i % 50 == 0 else c for i, c in enumerate(C)]
    text = lines([f"a{delimiter}b"], "{}" + delimiter + "{}", S, values)
    array = read(tmp_path, text)
    assert np.array_equal(np.isnan(array.x[:, 1]), np.arange(COUNT) % 50 == 0)
    assert np.array_equal(array.x[:, 0], S)
    assert written(array) == text.encode()


def test_a_first_row_of_missing_values_is_a_row(tmp_path):
    array = read(tmp_path, "a,b\n,\n-,NA\n1,2\n")
    assert array.names == ("a", "b") and np.isnan(array.x[:2]).all() and len(array.x) == 3
    assert len(read(tmp_path, "nan\n1\n2\n").x) == 3


def test_a_delimiter_at_the_end_of_rows(tmp_path):
    array = read(tmp_path, "a,b\n1,2,\n3,4,\n")
    assert array.names == ("a", "b", "") and written(array) == b"a,b\n1,2,\n3,4,\n"


def test_commas_that_may_be_decimals_are_questioned(tmp_path):
    assert "give --decimal comma" in read(tmp_path, "36,5\n36,7\n").notes[1]
    assert (
        "its samples are 12345678901234567890 less"
        in read(tmp_path, READ["large numbers"][0]).notes[1]
    )


SAID = {
    "delimiter": (lines([], "{}|{}", S, C), {"delimiter": "|"}, (COUNT, 2)),
    "decimal": (lines([], "{},{}", range(10, 310), range(10, 310)), {"decimal": "comma"}, (COUNT,)),
    "skip rows": (lines(["1,2", "9,9", "a,b"], "{},{}", S, C), {"skip_rows": 2}, (COUNT, 2)),
    "names": (lines(["7,9"], "{},{}", S, C), {"header": True}, (COUNT, 2)),
    "no names": (lines(["0,1"], "{:.3f},{:.3f}", S, C), {"header": False}, (COUNT + 1, 2)),
    "missing": (lines(["a,b"], "{},{}", ["bad", *S[1:]], C), {"missing": ("bad",)}, (COUNT, 2)),
    "no times": (lines(["time,a"], "{},{}", T, C), {"time_column": "none"}, (COUNT, 2)),
    "times": (lines(["a,clock"], "{},{:g}", C, T), {"time_column": "clock"}, (COUNT,)),
    "unit": (lines(["time,a"], "{:g},{}", 1e3 * T, C), {"time_unit": "ms"}, (COUNT,)),
}


@pytest.mark.parametrize("kind", SAID)
def test_what_is_said_counts(kind, tmp_path):
    text, options, shape = SAID[kind]
    array = read(tmp_path, text, **options)
    assert array.x.shape == shape
    assert array.fs == (250.0 if kind in ("times", "unit") else None)
    assert written(array) == text.encode()
    assert tables.as_then(array.attachments) == (TableOptions(**options), False)


def test_what_was_found_is_said(tmp_path):
    (found,) = read(tmp_path, READ["semicolons"][0]).notes
    assert found == (
        "a.csv: 300 rows, 2 channels, delimiter semicolon, decimal comma, names in the table, "
        "times in 'time', 250 Hz"
    )
    question = read(tmp_path, lines(["time,a"], "{:g},{}", 1000 * T, S)).notes[1]
    assert "is 0.25 Hz right?" in question and "--time-unit ms" in question
    uneven = read(tmp_path, READ["gap"][0]).notes[1]
    assert "have no even rate: they are kept as a channel, and --fs gives the rate" in uneven


@pytest.mark.parametrize("head", ["Name,Bob\nDate,2020-01-02\n", "sep=,\n", "Rate,250\n"])
def test_lines_above_the_names_are_no_names_and_no_units(head, tmp_path):
    text = head + lines(["time,a"], "{:.3f},{}", T, S)
    array = read(tmp_path, text)
    assert array.names == ("a",) and array.units == () and array.fs == 250.0
    assert written(array) == text.encode()


@pytest.mark.parametrize("kind", ["gap", "falling", "ms", "rounded times", "dates"])
def test_a_given_rate_wins(kind, tmp_path):
    array = read(tmp_path, READ[kind][0], fs=123.0)
    assert array.fs == 123.0 and written(array) == READ[kind][0].encode()


WRONG = {
    "empty": ("", {}, "is empty"),
    "names only": ("a,b\n", {}, "no row of numbers, only names"),
    "a word": ("a,b\n1,2\n3,x\n", {}, r"in line 3, column 2 \(b\), 'x' is no number"),
    "a short row": ("a,b\n1,2\n3\n4,5\n1,3\n", {}, "line 3 has 1 fields, the others have 2"),
    "names and columns": ("a,b,c\n1,2\n3,4\n", {}, "has 3 names and 2 columns"),
    "points and commas": ("a;b\n1,5;2\n1.234,5;2\n1,5;2\n1,5;2\n", {}, "'1.234,5' is no number"),
    "underscores": ("a,b\n1,2\n1_000,2\n", {}, "'1_000' is no number"),
    "no column": ("a,b\n1,2\n", {"time_column": "t"}, "has no column 't' but a, b"),
    "no date": ("time,b\n1,2\n", {"time_unit": "date"}, "has no dates in its column of times"),
    "zeros": ("\0\0\0\0", {}, "bytes that are no text"),
    "thousands": ('a,b\n"1,234.5",2\n"2,234.5",3\n', {}, "without a separator of thousands"),
    "thousands and commas": ("a;b\n1.234,5;2\n2.234,5;3\n", {}, "a separator of thousands"),
    "afternoons": ("a,b\n10:00:00 PM,2\n10:00:01 PM,3\n", {}, "no time that SAN reads, such as"),
    "two zones": (
        "t,b\n2020-01-01 10:00:00+01:00,2\n2020-01-01 10:00:00+02:00,2\n",
        {},
        "is not written as the first time of the column is",
    ),
    "a remark in a row": ("a,b\n1,2 # late\n3,4\n5,6\n", {}, "line 2 begins as a row, and '2 # l"),
    "a remark in the first row": ("0.5,2 #\n3,4\n5,6\n", {}, "line 1 .* give --skip-rows 1"),
    "numbered rows": ('"time","a"\n1,0.0,2\n2,0.1,4\n', {}, "has 2 names and 3 columns"),
    "decimal commas between commas": ("0,003,1,050\n0,103,1,150\n", {}, "may be decimals: save it"),
    "two kinds of line ends": ("a\r\n1\n2\r\n", {}, "some of its lines end with CR LF and others"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said(kind, tmp_path):
    text, options, words = WRONG[kind]
    with pytest.raises(ValueError, match=words) as error:
        read(tmp_path, text, **options)
    assert "a.csv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": "::"}, "--delimiter must be one character"),
        ({"decimal": ";"}, "--decimal must be point or comma"),
        ({"time_unit": "min"}, "--time-unit must be s, ms, us, ns or date"),
        ({"skip_rows": -1}, "--skip-rows must be 0 or more"),
    ],
    ids=["delimiter", "decimal", "unit", "rows"],
)
def test_options_that_no_table_has(options, words):
    with pytest.raises(ValueError, match=words):
        TableOptions(**options)


def test_the_text_of_a_time_that_is_missing_comes_back(tmp_path):
    text = "t,a\n2020-01-01 10:00:00,1\n,2\n2020-01-01 10:00:02,3\n"
    array = read(tmp_path, text)
    assert np.isnan(array.x[1, 0]) and written(array) == text.encode()


def test_dates_that_can_be_read_in_two_ways_are_questioned(tmp_path):
    array = read(tmp_path, "t,a\n01/02/2020 10:00:00,1\n01/02/2020 10:00:01,2\n")
    assert "01/02/2020 10:00:00 in 't' are taken as day/month/year" in array.notes[1]


@pytest.mark.parametrize("mark", [".", ","])
def test_points_and_commas_that_may_separate_thousands_are_questioned(mark, tmp_path):
    array = read(tmp_path, f"a;b\n999;1{mark}5\n1{mark}000;2{mark}5\n1{mark}001;3\n")
    assert f"1{mark}000 in 'a' is taken as 1: write numbers without" in array.notes[1]
    assert len(array.notes) == 2
    assert len(read(tmp_path, "a;b\n5;1.5\n0.125;2.5\n").notes) == 1


ZONE = timezone(timedelta(hours=-5, minutes=-30))
STARTS = {
    "2020-01-31 10:00:00.25": datetime(2020, 1, 31, 10, 0, 0, 250_000),
    "31.01.2020 10:00:00": datetime(2020, 1, 31, 10),
    "2020-01-31T10:00:00-05:30": datetime(2020, 1, 31, 10, tzinfo=ZONE),
    "10:00:00.5": time(10, 0, 0, 500_000),
    "0:01.5": timedelta(seconds=1.5),
    "12.5": timedelta(seconds=12.5),
    "1580464800.25": datetime(2020, 1, 31, 10, 0, 0, 250_000, UTC),
    "1580464800250": datetime(2020, 1, 31, 10, 0, 0, 250_000, UTC),
}


@pytest.mark.parametrize("first", STARTS)
def test_the_first_time_of_a_table_is_its_start(first, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"time,a\n{first},5\n")
    assert reading.read(path).start == STARTS[first]
    (tmp_path / "a.san").write_bytes(streams.encode_file(path, lossless=True))
    again = reading.read(tmp_path / "a.san")
    assert again.start == STARTS[first] and again.to_xarray().attrs["start"] is not None


@pytest.mark.parametrize("began", [b'"x"', b'"99:00"', b"[1]", b"1e300"])
def test_a_hostile_start_is_refused(began, tmp_path):
    said = b'{"columns": [{"form": "r"}], "began": ' + began + b"}"
    with pytest.raises(ValueError, match="the attached first time"):
        tables.start_of(tables.said_in({tables.COLUMNS: said}))


def test_a_day_is_a_channel_and_said_to_be_one(tmp_path):
    array = read(tmp_path, READ["a day and a time"][0])
    assert array.notes[1] == "'date' has times: its samples are seconds from the first of them"
    assert tables.start_of(tables.said_in(array.attachments)) == datetime(2020, 2, 28, 9)


@pytest.mark.parametrize("rate", [360, 128, 1000 / 3])
def test_times_whose_last_digits_were_cut_off_tell_their_rate(rate, tmp_path):
    cut = [f"{int(i * 1000 / rate) / 1000:.3f}" for i in range(COUNT)]
    text = lines(["time,a"], "{},{}", cut, S)
    array = read(tmp_path, text)
    assert array.fs == pytest.approx(rate, rel=1e-4) and written(array) == text.encode()


NUMBERS = st.one_of(
    st.decimals(-1000, 1000, places=3).map(str),
    st.integers(-(2**53), 2**53).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e3, 1e3).map("{:.4g}".format),
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_no_number_is_ever_changed(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("numbers")
    array = read(folder, "a,b\n" + "".join(f"{a},{b}\n" for a, b in rows), header=True)
    again = read(folder, written(array).decode(), header=True)
    assert array.x.tobytes() == again.x.tobytes()
    assert array.x.tolist() == [[float(a), float(b)] for a, b in rows]


STYLES = {
    "seconds": "",
    "ms": "",
    "clock": "",
    "days": "%Y-%m-%d %H:%M:%S",
    "German": "%d.%m.%Y %H:%M:%S",
    "slashes": "%Y/%m/%d %H:%M:%S",
    "months": "%m/%d/%Y %H:%M:%S",
    "T": "%Y-%m-%dT%H:%M:%S",
}


@st.composite
def generated(draw):
    """The text of a table, its numbers without those of times, and its rate where it says one."""
    pick = lambda *each: draw(st.sampled_from(each))  # noqa: E731
    delimiter, decimal, quote = pick(",", ";", "\t", "|"), pick(".", ","), pick("", '"')
    quote = '"' if (delimiter, decimal) == (",", ",") else quote
    style, fs, named = pick(None, *STYLES), pick(1, 2, 4, 50, 250, 1000), draw(st.booleans())
    count, columns = draw(st.integers(2, 9)), draw(st.integers(2, 3))
    own = (lambda text: text.replace(".", ",")) if decimal == "," else str
    cells, values = [], []
    if style:
        begin = draw(st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1))).replace(
            microsecond=0
        )
        moments = [begin + timedelta(seconds=i / fs) for i in range(count)]
        form = {
            "seconds": lambda i: own(f"{i / fs:.4f}"),
            "ms": lambda i: own(f"{1000 * i / fs:.1f}"),
            "clock": lambda i: f"{i // fs // 60}:{i / fs % 60:06.3f}",
        }.get(
            style,
            lambda i: f"{moments[i]:{STYLES[style]}}.{moments[i].microsecond // 1000:03d}",
        )
        zone = pick("", "Z", "+01:00") if style == "T" else ""
        cells.append([form(i) + zone for i in range(count)])
    for _ in range(columns):
        places, missing = draw(st.integers(0, 4)), pick("NA", "-", "", "NaN", "null")
        numbers = st.one_of(st.none(), st.decimals(-9999, 9999, places=places).map(str))
        texts = draw(st.lists(numbers, min_size=count, max_size=count))
        cells.append([missing if text is None else own(text) for text in texts])
        values.append([np.nan if text is None else float(text) for text in texts])
    width = 0 if quote else pick(0, 0, 12, -12)
    fill = lambda text: text.rjust(width) if width > 0 else text.ljust(-width)  # noqa: E731
    names = ["time (ms)" if style == "ms" else "time"] * bool(style) + ["EEG", "ECG", "EMG"][
        :columns
    ]
    rows = [[f"{quote}{text}{quote}" for text in row] for row in zip(*cells, strict=True)]
    text = [delimiter.join(map(fill, row)) for row in [names] * named + rows]
    newline = pick("\n", "\r\n", "\r")
    whole = pick("", "\ufeff") + newline.join(text) + pick("", newline)
    return (
        whole,
        np.array(values).T,
        fs if style and (named or style not in ("seconds", "ms")) else None,
    )


@settings(max_examples=60)
@given(generated())
def test_a_generated_table_comes_back_to_the_byte_or_with_the_same_numbers(tmp_path_factory, table):
    text, values, fs = table
    assume(np.isfinite(values[0]).any())
    path = tmp_path_factory.mktemp("generated") / "a.csv"
    path.write_bytes(text.encode())
    array = streams.read_file(path, exact=True)
    decoder = Decoder(streams.encode_array(array, lossless=True, events=False))
    found = streams.restored(path, decoder, array)
    streams.write_file(decoder, path.with_name("b.csv"))
    again = path.with_name("b.csv").read_bytes()
    assert (found.outcome == "same files") == (again == text.encode())
    assert found.outcome in ("same files", "same samples, other bytes")
    for each in (array, streams.read_file(path.with_name("b.csv"), exact=True)):
        samples = each.x.reshape(len(each.x), -1)[:, -values.shape[1] :]
        assert np.array_equal(samples, values, equal_nan=True)
        assert each.fs == (None if fs is None else pytest.approx(fs))


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=30), st.integers(0, 5))
def test_other_samples_are_not_rounded_to_the_decimals_of_a_column(values, decimals):
    x = np.array(values)
    said = {"line": "a", "start": None, "columns": [{"form": f".{decimals}f"}]}
    text = written(arrays.Array(x, None, (), ("a",), {tables.COLUMNS: json.dumps(said).encode()}))
    back = np.array([float(line) for line in text.decode().split("\n")[1:-1]])
    assert np.array_equal(back, x, equal_nan=True)


HOSTILE = {
    "deep": b"[" * 100000,
    "a large number": b'{"line":"t,a","start":1' + b"0" * 400 + b"}",
    "no object": b"[1]",
    "a form": b'{"line": "a", "columns": [{"form": "%s"}]}',
    "many digits": b'{"line": "a", "columns": [{"form": ".999f"}]}',
    "an offset": b'{"line": "a", "columns": [{"form": "int", "offset": 1' + b"0" * 99 + b"}]}",
    "a late date": b'{"columns": [{"form": "date:YYYY-MM-DD", "offset": 1' + b"0" * 29 + b"}]}",
    "an encoding": b'{"columns": [{"form": "r"}], "encoding": "idna"}',
    "a newline": b'{"columns": [{"form": "r"}], "newline": "x"}',
    "a head": b'{"columns": [{"form": "r"}], "head": [1]}',
    "rows": b'{"columns": [{"form": "r"}], "rows": 7}',
    "a long missing value": b'{"columns": [{"form": "r", "missing": "' + b"x" * 99 + b'"}]}',
    "a long separator": b'{"columns": [{"form": "r"}], "separator": ",,,,,,"}',
    "a wide field": b'{"columns": [{"form": "r", "width": 99999999}]}',
    "a wide text": b'{"columns": [{"form": "r", "width": "5"}]}',
    "two blanks": b'{"columns": [{"form": "r"}], "separator": "  "}',
    "a day": b'{"columns": [{"form": "date:YYYY-MM"}]}',
    "a zone": b'{"columns": [{"form": "date:YYYY-MM-DD hh:mm+99:99"}]}',
    "a quote": b'{"columns": [{"form": "r", "quote": "xx"}]}',
    "no columns": b'{"columns": []}',
    "a rate": b'{"columns": [{"form": "r"}], "start": 0, "rate": "x"}',
    "too deep": b"[" * 100_000,
    "a width in words": b'{"columns": [{"form": "r", "width": "x"}]}',
    "rows in a list": b'{"columns": [{"form": "r"}], "rows": [1, 2]}',
    "a column in words": b'{"columns": "x"}',
    "half a character": b'{"columns": [{"form": "r"}], "head": ["\\ud800"]}',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_attachment_is_refused(kind):
    array = arrays.Array(np.arange(9.0), 10.0, (), ("a",), {tables.COLUMNS: HOSTILE[kind]})
    with pytest.raises(ValueError, match="the attached line of names cannot be read") as error:
        written(array)
    assert not re.search(r"\(\)|object|codec|literal|convert|recursion|sequence", str(error.value))


MOMENTS = {
    "1:02:03.5": "clock:1:1:1",
    "00:01": "clock:0:2:0",
    "2020-01-31 00:00:00": "date:YYYY-MM-DD hh:mm:ss",
    "2020/01/31": "date:YYYY/MM/DD",
    "31.01.2020 10:00": "date:DD.MM.YYYY hh:mm",
    "31.01.2020 10:00:00,250": "date:DD.MM.YYYY hh:mm:ss,fff",
    "01/31/2020 10:00:00": "date:MM/DD/YYYY hh:mm:ss",
    "31-01-2020 10:00:00": "date:DD-MM-YYYY hh:mm:ss",
    "2020-01-31T10:00:00.5+01:00": "date:YYYY-MM-DDThh:mm:ss.f+01:00",
    "2020-01-31 10:00:00 -0530": "date:YYYY-MM-DD hh:mm:ss -0530",
    "[10:00:00.004 31/01/2020]": "date:[hh:mm:ss.fff DD/MM/YYYY]",
}


@pytest.mark.parametrize("text", MOMENTS)
def test_forms_of_times(text):
    form = table_moments.form_of(text)
    assert form == MOMENTS[text] and table_forms.is_form(form)
    tick = table_moments.tick_of(text, form)
    assert table_forms.written(np.zeros(1), form, tick, ".") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-31 10:00:00 PM",
        "2020-13-01",
        "31.01.20",
        "2020-01-31T",
        "1/2/2020",
        "10:0",
    ],
)
def test_what_is_no_time_is_none(text):
    form = table_moments.form_of(text)
    if text == "2020-13-01":
        with pytest.raises(ValueError, match="month must be"):
            table_moments.tick_of(text, form)
    else:
        assert form is None
