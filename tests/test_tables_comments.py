"""Comments between the rows of a table, and after them, are read over and come back."""

import numpy as np
import pytest

from san.codec.decoder import Decoder
from san.files import streams

ROWS = [f"{i / 8},{i % 9}" for i in range(400)]
SINGLE = [f"{i / 8}" for i in range(400)]
MIXED = [line for i, row in enumerate(ROWS) for line in (f"# mark {i}", row)]
# lines, how many rows and columns, how many comments
COMMENTS = {
    "at the end": (["a,b", *ROWS, "# end"], (400, 2), 1),
    "two at the end": (["a,b", *ROWS, "# end", "", "% really"], (400, 2), 2),
    "between": (["a,b", *ROWS[:200], "# electrode moved", *ROWS[200:]], (400, 2), 1),
    "with a comma": (["a,b", *ROWS[:200], "# 1,2", *ROWS[200:]], (400, 2), 1),
    "with many commas": (["a,b", *ROWS[:9], "%,,,,", *ROWS[9:]], (400, 2), 1),
    "after an empty line": (["a,b", *ROWS[:9], "", "# on", "", *ROWS[9:]], (400, 2), 1),
    "blanks before": (["a,b", *ROWS[:9], "   # on", *ROWS[9:]], (400, 2), 1),
    "before and after": (["# device 7", "a,b", *ROWS, "# end"], (400, 2), 1),
    "before each row": (["a,b", *MIXED], (400, 2), 399),
    "at the end, after each row": (["a,b", *MIXED, "# end"], (400, 2), 400),
    "one column": (["a", *SINGLE[:9], "# on", *SINGLE[9:], "# end"], (400,), 2),
    "one column, after an empty line": (["a", *SINGLE, "", "# end"], (400,), 1),
    "blanks between columns": (
        [row.replace(",", " ") for row in [*ROWS[:7], "# on", *ROWS[7:]]],
        (400, 2),
        1,
    ),
    "times": (
        ["time,a", *[f"{i / 8:.3f},{i}" for i in range(50)], "# end"],
        (50,),
        1,
    ),
    "late": (["a,b", *ROWS * 25, "# on", *ROWS], (10_400, 2), 1),
}


def read(folder, text, exact=True):
    path = folder / "a.csv"
    path.write_bytes(text.encode())
    return streams.read_file(path, exact=exact)


@pytest.mark.parametrize("kind", COMMENTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_comments_come_back_without_loss(kind, newline, tmp_path):
    lines, shape, count = COMMENTS[kind]
    text = "".join(line + newline for line in lines)
    array = read(tmp_path, text)
    assert array.x.shape == shape and np.isfinite(array.x).all()
    are = "line is a comment" if count == 1 else "lines are comments"
    assert f"{count} {are} between the rows or after them: the table gets them back" in array.notes
    decoder = Decoder(streams.encode_array(array, lossless=True, events=False))
    assert streams.restored(tmp_path / "a.csv", decoder, array).outcome == "same files"
    streams.write_file(decoder, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == text.encode()


def test_within_an_error_comments_are_said_to_be_left_out(tmp_path):
    text = "\n".join(COMMENTS["between"][0])
    array = read(tmp_path, text, exact=False)
    words = "1 line is a comment between the rows or after them: within an error they are left out"
    assert array.x.shape == (400, 2) and words in array.notes


@pytest.mark.parametrize("first", [True, False], ids=["the first row", "a later row"])
@pytest.mark.parametrize("names", ["a,b\n", ""], ids=["names", "no names"])
def test_a_missing_value_that_begins_as_a_comment_is_none(first, names, tmp_path):
    rows = ["0.5,1", "1.5,2", "2.5,3"]
    rows.insert(0 if first else 2, "#N/A,5")
    text = names + "\n".join(rows) + "\n"
    array = read(tmp_path, text)
    assert np.flatnonzero(np.isnan(array.x[:, 0])).tolist() == [0 if first else 2]
    assert array.x[:, 1].tolist() == ([5, 1, 2, 3] if first else [1, 2, 5, 3])
    assert array.names == (("a", "b") if names else ()) and len(array.notes) == 1


def test_a_line_that_is_no_comment_is_refused_as_before(tmp_path):
    with pytest.raises(ValueError, match="line 4 has 1 fields, the others have 2"):
        read(tmp_path, "a,b\n1.5,2\n3.5,4\nend\n5,6\n7,8\n9,9\n")
