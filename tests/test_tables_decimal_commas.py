"""Decimal commas of numbers with exponents: one channel, or the comma is questioned."""

import math

import numpy as np
import pytest

from san.files import arrays, tables
from san.files.table_layout import TableOptions

X = [math.sin(i / 9) for i in range(1, 201)]


def table(form, values=X, head=()):
    lines = [*head, *(form.format(x) for x in values)]
    return "".join(f"{line}\n" for line in lines).replace(".", ",")


def read(folder, text, **options):
    path = folder / "a.csv"
    path.write_text(text)
    return arrays.read(path, table=TableOptions(**options))


ONE = {
    "small e": table("{:.3e}"),
    "two decimals": table("{:.2e}"),
    "large E": table("{:.3E}"),
    "large numbers": table("{:.3E}", [1000 * x for x in X]),
    "signs": table("{:+.3e}"),
    "positive": table("{:.3e}", map(abs, X)),
    "a name": table("{:.3e}", head=["ecg"]),
    "a name, one decimal": table("{:.1e}", head=["ecg"]),
    "a comment": table("{:.3e}", head=["# made by hand"]),
    "blanks before": table("{:>12.3e}"),
    "missing values": table("{}", ["NA" if i % 20 == 3 else f"{x:.3e}" for i, x in enumerate(X)]),
    "empty lines": table("{}", ["" if i % 20 == 3 else f"{x:.3e}" for i, x in enumerate(X)]),
    "nan in the second half": table(
        "{:.3e}", [math.nan if i == 150 else x for i, x in enumerate(X)]
    ),
    "exponents of small ones alone": table("{}", [x / 1000 for x in X]),
}


@pytest.mark.parametrize("kind", ONE)
def test_one_column_of_decimal_commas_is_one_channel(kind, tmp_path):
    text = ONE[kind]
    array = read(tmp_path, text)
    lines = [line.strip() for line in text.splitlines() if line.strip() != "ecg"]
    texts = [line for line in lines if not line.startswith("#")]
    numbers = [float(t.replace(",", ".")) if t not in ("", "NA") else math.nan for t in texts]
    assert array.x.shape == (200,) and np.array_equal(array.x, numbers, equal_nan=True)
    assert "1 channel, decimal comma" in array.notes[0]
    assert tables.content_of(array).decode() == text


TWO = {
    "two names": "a,b\n" + table("{:.3e}"),
    "points": "".join(f"{i},{x:.3e}\n" for i, x in enumerate(X)),
    "exponents in the first": "".join(f"{i}e-02,{i % 7}\n" for i in range(200)),
    "exponents in some": "".join(f"{i},{'1e-05' if i % 2 else '3'}\n" for i in range(200)),
    "negative second ones": "".join(f"{i},-{i % 9}e-05\n" for i in range(200)),
    "whole numbers": "".join(f"{i},{i % 9}\n" for i in range(200)),
}


@pytest.mark.parametrize("kind", TWO)
def test_two_columns_stay_two(kind, tmp_path):
    text = TWO[kind]
    array = read(tmp_path, text)
    rows = [line.split(",") for line in text.splitlines() if line != "a,b"]
    assert array.x.tolist() == [[float(a), float(b)] for a, b in rows]


def test_what_may_be_either_is_questioned(tmp_path):
    text = table("{:.1e}", [abs(x) for x in X])
    with pytest.raises(ValueError, match="has lines as '1,1e-01', where the comma may be") as error:
        read(tmp_path, text)
    assert "--decimal comma" in str(error.value) and "--delimiter comma" in str(error.value)
    assert read(tmp_path, text, decimal="comma").x.shape == (200,)
    assert read(tmp_path, text, delimiter="comma").x.shape == (200, 2)


def test_pairs_of_halves_with_exponents_are_questioned(tmp_path):
    text = "".join(f"{x:.3e},{-x:.3e}\n" for x in X).replace(".", ",")
    with pytest.raises(ValueError, match="may be decimals: save it with another delimiter"):
        read(tmp_path, text)
