"""Texts that stand for a missing value are NaN in every row, also where they are numbers."""

import numpy as np
import pytest

from san.codec.decoder import Decoder
from san.files import arrays, streams, tables
from san.files.table_layout import TableOptions

LONG = 20_000  # rows, which are more than are read at once
# text, what is missing, the rows of column 0 that are NaN
NUMBERS = {
    "-999": ("a,b\n1,5\n-999,6\n3,7\n-999,8\n5,9\n", ("-999",), [1, 3]),
    "the first row": ("a,b\n-999,5\n2,6\n3,7\n", ("-999",), [0]),
    "0": ("a,b\n1,5\n0,6\n3,7\n", ("0",), [1]),
    "-0": ("a,b\n1,5\n-0,6\n3,7\n", ("-0",), [1]),
    "-999.0": ("a,b\n1.5,5\n-999.0,6\n3.5,7\n", ("-999.0",), [1]),
    "an exponent": ("a,b\n1.5,5\n1E+30,6\n3.5,7\n", ("1E+30",), [1]),
    "a decimal comma": ("a;b\n1,5;5\n-99,9;6\n3,5;7\n", ("-99,9",), [1]),
    "quotes": ('a,b\n"1","5"\n"-999","6"\n"3","7"\n', ("-999",), [1]),
    "blanks": ("   a,   b\n   1,   5\n-999,   6\n   3,   7\n", ("-999",), [1]),
    "two numbers": ("a,b\n1,5\n-999,6\n-998,7\n2,8\n", ("-999", "-998"), [1, 2]),
    "a number and a blank": ("a,b\n1,5\n-999,6\n,7\n2,8\n", ("-999",), [1, 2]),
    "inf": ("a,b\n1,5\ninf,6\n3,7\n", ("inf",), [1]),
}


def read(folder, text, missing):
    path = folder / "a.csv"
    path.write_text(text)
    return arrays.read(path, table=TableOptions(missing=missing))


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_number_can_stand_for_a_missing_value(kind, tmp_path):
    text, missing, rows = NUMBERS[kind]
    array = read(tmp_path, text, missing)
    assert np.flatnonzero(np.isnan(array.x[:, 0])).tolist() == rows
    assert np.isfinite(array.x[:, 1]).all()
    assert tables.content_of(array).decode() == text


@pytest.mark.parametrize("blank", [None, 5, LONG - 6], ids=["no blank", "a blank", "a late blank"])
def test_missing_numbers_are_nan_in_all_rows_of_a_long_table(blank, tmp_path):
    cells = [-999 if i % 7 == 3 else i for i in range(LONG)]
    text = "a,b\n" + "".join(f"{'' if i == blank else c},{i}\n" for i, c in enumerate(cells))
    array = read(tmp_path, text, ("-999",))
    assert np.isnan(array.x[:, 0]).sum() == cells.count(-999) + (blank is not None)
    assert -999 not in array.x
    decoder = Decoder(streams.encode_array(array, lossless=True, events=False))
    streams.write_file(decoder, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text


BLANKS = {
    "savetxt": ("%.18e", "nan", 30),
    "savetxt, the first row": ("%.18e", "nan", 0),
    "NA": ("%.3f", "NA", 35),
    "null": ("%.3f", "null", 25),
    "a dash": ("%d", "-", 39),
    "padded": ("%9.4f", "      nan", 33),
}


@pytest.mark.parametrize("kind", BLANKS)
@pytest.mark.parametrize("columns", [[0, 1], [1]], ids=["a whole row", "one field"])
def test_blanks_separate_missing_values_too(kind, columns, tmp_path):
    form, word, row = BLANKS[kind]
    x = 100 * np.random.default_rng(0).random((40, 2)).round(4)
    cells = [[form % value for value in values] for values in x]
    for column in columns:
        cells[row][column] = word
    text = "".join(" ".join(each) + "\n" for each in cells)
    array = read(tmp_path, text, ())
    assert np.argwhere(np.isnan(array.x)).tolist() == [[row, column] for column in columns]
    assert array.x[5].tolist() == [float(form % value) for value in x[5]]
    assert tables.content_of(array).decode() == text


def test_a_blank_after_a_comma_separates_nothing(tmp_path):
    array = read(tmp_path, "a, b\n1, 5\n2, NA\n3, 7\n4, 8\n", ())
    assert array.names == ("a", "b") and array.x.tolist()[2:] == [[3, 7], [4, 8]]
