"""Columns of times: which ones are, and that no number of a table is ever changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from san import times
from san.files import arrays, streams, tables
from san.times import Ruler, agree, find_ruler, is_name, nearest_ruler

COUNT = 500


def printed(values, form):
    """Times as a text with this many digits has them."""
    return np.array([float(form % value) for value in values])


TICKS = np.arange(COUNT)
RULERS = {
    "250 Hz": (TICKS / 250, Ruler(0.0, 250.0)),
    "every 3 s": (TICKS * 3.0, Ruler(0.0, 1 / 3)),
    "from -5 s": (printed(TICKS / 100 - 5, "%.2f"), Ruler(-5.0, 100.0)),
    "1024 Hz, 3 decimals": (printed(TICKS / 1024, "%.3f"), Ruler(0.0, 1024.0, 3)),
    "360 Hz, 4 decimals": (printed(TICKS / 360, "%.4f"), Ruler(0.0, 360.0, 4)),
    "360 Hz, all digits": (TICKS / 360, Ruler(0.0, 360.0, None, 17)),
    "360 Hz, multiplied": (TICKS * (1 / 360), Ruler(0.0, 360.0, None, 17, True)),
    "125 Hz, 5 digits": (
        printed(np.arange(20000) / 125, "%.5g"),
        Ruler(0.0, 125.0, None, 5),
    ),
    "Unix time": (1.6e9 + printed(TICKS / 250, "%.3f"), Ruler(1.6e9, 250.0)),
}


@pytest.mark.parametrize("kind", RULERS)
def test_even_times_have_a_ruler(kind):
    column, expected = RULERS[kind]
    found = find_ruler(column)
    assert found == expected
    assert np.array_equal(found.times(len(column)), column)
    assert find_ruler(column, expected.fs) == expected


UNEVEN = {
    "a gap": np.r_[TICKS / 100, TICKS / 100 + 8.0],
    "jitter": TICKS / 100 + np.round(0.008 * np.sin(7.0 * TICKS**2), 4),
    "falling": -TICKS / 100,
    "whole seconds": np.floor(TICKS / 250),
    "no number": np.where(TICKS == 9, np.nan, TICKS / 100),
    "one time": TICKS[:1] / 100,
    "none": TICKS[:0] / 100,
}


@pytest.mark.parametrize("kind", UNEVEN)
def test_other_times_have_no_ruler(kind):
    assert find_ruler(UNEVEN[kind]) is None


def test_a_rate_is_told_only_of_times_near_their_ticks():
    near = np.round(TICKS / 100 + 0.002 * np.sin(7.0 * TICKS**2), 4)
    assert nearest_ruler(near).fs == pytest.approx(100.0, rel=1e-3)
    assert nearest_ruler(near, 100.0) == Ruler(0.0, 100.0, 4)
    for kind, column in UNEVEN.items():
        assert nearest_ruler(column) is None, kind
    assert not agree(TICKS / 100, 101.0) and not agree(TICKS / 100, np.inf)


def test_half_an_interval_is_the_limit():
    column = TICKS / 100
    column[7] += 0.0049
    assert agree(column, 100.0)
    column[7] += 0.0002
    assert not agree(column, 100.0)


@pytest.mark.parametrize("word", times.WORDS)
def test_names_of_times(word):
    assert is_name(word) and is_name(f" '{word.upper()}' ")
    for unit in ("(s)", "[sec]", "_ms", "(µs)", "/ns"):
        assert is_name(f"{word} {unit}") and is_name(f"{word.title()}{unit}")


@pytest.mark.parametrize(
    "name",
    "thorax temp tibialis torque trigger T3 TP9 time[min] times2 ts s ms".split(),
)
def test_other_names_are_channels(name, tmp_path):
    assert not is_name(name)
    rows = "\n".join(f"{i / 100},{i}" for i in range(50))
    (tmp_path / "a.csv").write_text(f"{name},hr\n{rows}\n")
    array = arrays.read(tmp_path / "a.csv")
    assert (array.names, array.fs, array.x.shape) == ((name, "hr"), None, (50, 2))


def same_numbers(one, other):
    first, second = (np.genfromtxt(path, delimiter=",", skip_header=1) for path in (one, other))
    assert np.array_equal(first, second, equal_nan=True)
    assert one.read_text().split("\n")[0] == other.read_text().split("\n")[0]


def written_again(path, **options):
    """What comes back of a table without loss, when only the attachment goes along."""
    array = arrays.read(path, **options)
    arrays.write(path.with_name("back.csv"), array, True)
    return array


@pytest.mark.parametrize("kind", [*RULERS, *UNEVEN][:-1])
def test_every_time_of_a_table_comes_back(kind, tmp_path):
    column = RULERS[kind][0] if kind in RULERS else UNEVEN[kind]
    rows = "".join(f"{t!r},{n}\n" for n, t in enumerate(column.tolist()))
    (tmp_path / "a.csv").write_text(f"time,ecg\n{rows}")
    array = written_again(tmp_path / "a.csv")
    same_numbers(tmp_path / "a.csv", tmp_path / "back.csv")
    assert array.names == (("ecg",) if kind in RULERS else ("time", "ecg"))
    assert array.fs == (RULERS[kind][1].fs if kind in RULERS else None)


_TIMES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.decimals(-1000, 1000, places=3).map(float),
)


@given(st.lists(_TIMES, min_size=1, max_size=40))
def test_no_time_is_ever_changed(tmp_path_factory, column):
    path = tmp_path_factory.mktemp("times") / "a.csv"
    path.write_text("t,x\n" + "".join(f"{t!r},1\n" for t in column))
    written_again(path)
    same_numbers(path, path.with_name("back.csv"))


@given(
    st.floats(1e-3, 1e6),
    st.decimals(-(10**6), 10**6, places=3).map(float),
    st.sampled_from(["%.2f", "%.3f", "%.6f", "%.9f", "%.4g", "%g", "%.17g"]),
    st.integers(2, 300),
)
def test_a_ruler_is_exact_or_none(fs, start, form, count):
    column = printed(np.arange(count) / fs + start, form)
    ruler = find_ruler(column)
    assert ruler is None or np.array_equal(ruler.times(count), column)


@pytest.mark.parametrize("fs", [None, 250.0])
def test_a_rate_may_be_given_to_uneven_times(fs, tmp_path):
    rows = "".join(f"{t!r},{n}\n" for n, t in enumerate(UNEVEN["a gap"].tolist()))
    (tmp_path / "a.csv").write_text(f"time,ecg\n{rows}")
    array = written_again(tmp_path / "a.csv", fs=fs)
    assert (array.names, array.fs) == (("time", "ecg"), fs)


def test_within_an_error_a_time_may_move_by_half_an_interval(tmp_path):
    column = np.round(TICKS / 100 + 0.002 * np.sin(7.0 * TICKS**2), 4)
    rows = "".join(f"{t!r},{n}\n" for n, t in enumerate(column.tolist()))
    (tmp_path / "a.csv").write_text(f"time,ecg\n{rows}")
    exact = streams.read_file(tmp_path / "a.csv", exact=True)
    near = streams.read_file(tmp_path / "a.csv", exact=False)
    assert (exact.names, near.names) == (("time", "ecg"), ("ecg",))
    assert exact.fs == near.fs == pytest.approx(100.0, rel=1e-3)
    arrays.write(tmp_path / "back.csv", near)
    back = np.loadtxt(tmp_path / "back.csv", delimiter=",", skiprows=1)
    assert 0 < np.abs(back[:, 0] - column).max() <= 0.5 / near.fs


@pytest.mark.parametrize("said", ['"decimals": 400', '"digits": -1', '"decimals": "x"'])
def test_an_attachment_that_is_none_is_refused(said, tmp_path):
    attached = {tables.COLUMNS: f'{{"line": "t,a", "start": 0.0, {said}}}'.encode()}
    with pytest.raises(ValueError, match="the attached line of names cannot be read"):
        arrays.write(tmp_path / "a.csv", arrays.Array(np.zeros(3), 10.0, (), ("a",), attached))
