"""Whole numbers and times that float64 does not hold: the table gets them back, or it is said."""

import random

import pytest

from san.codec.decoder import Decoder
from san.files import streams

_random = random.Random(1)
MANY = 9000  # rows, which are more than are read at once
SMALL_FIRST = [0, *(2**60 + 7 * i + 1 for i in range(300))]
IDS = [_random.getrandbits(62) for _ in range(500)]
NANOSECONDS = [1600000000000000001 + 4000000 * i for i in range(300)]


def table(head, column):
    return f"{head}\n" + "".join(f"{text},{i % 9}\n" for i, text in enumerate(column))


# text, and what is said of its first column
EXACT = {
    "a small first": (table("id,v", SMALL_FIRST), "are 1152921504606848000 less; the table gets"),
    "random ids": (table("id,v", IDS), "less, rounded to the nearest float64; the table gets"),
    "ids of all lengths": (table("id,v", [n >> i % 60 for i, n in enumerate(IDS)]), "rounded to"),
    "negative ids": (table("id,v", [n - 2**61 for n in IDS]), "rounded to the nearest"),
    "large ones late": (
        table("id,v", [i if i < MANY else 2**60 + i for i in range(MANY + 200)]),
        "'id' has whole numbers that float64 does not hold, rounded to the nearest float64",
    ),
    "forty digits": (table("id,v", [10**39 + n for n in IDS]), "rounded to the nearest float64"),
    "a missing one": (table("id,v", ["", *IDS]), "rounded to the nearest float64"),
    "quotes": (table("id,v", [f'"{n}"' for n in IDS]), "rounded to the nearest float64"),
    "nanoseconds after a 0": (table("time,v", [0, *NANOSECONDS]), "have no even rate"),
    "nanoseconds and a gap": (
        table("time,v", [t + (10**17 + 1) * (t > NANOSECONDS[100]) for t in NANOSECONDS]),
        "'time' has whole numbers that float64 does not hold: its samples are",
    ),
    "dates of nine decimals": (
        table("t,v", [f"20{20 + i}-01-01 10:00:00.{i * 7654321:09d}" for i in range(60)]),
        "'t' has times that float64 does not hold, rounded to the nearest float64",
    ),
}


@pytest.mark.parametrize("kind", EXACT)
def test_each_digit_comes_back_without_loss(kind, tmp_path):
    text, words = EXACT[kind]
    path = tmp_path / "a.csv"
    path.write_text(text)
    array = streams.read_file(path, exact=True)
    assert any(words in note for note in array.notes)
    decoder = Decoder(streams.encode_array(array, lossless=True, events=False))
    assert streams.restored(path, decoder, array).outcome == "same files"
    streams.write_file(decoder, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (IDS, "within an error the table does not get every digit back"),
        ([1, 2**54 + 1.0, *[0.0] * 40], None),
        ([i if i < MANY else 2**60 + i for i in range(MANY + 9)], "'id' above 2**53 are rounded"),
    ],
    ids=["random ids", "decimals", "large ones late"],
)
def test_within_an_error_no_digit_is_promised(column, words, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table("id,v", column))
    notes = streams.read_file(path, exact=False).notes[1:]
    assert not any("the table gets" in note for note in notes)
    assert [words in note for note in notes] == [True] if words else notes == ()


def test_numbers_that_float64_holds_are_not_spoken_of(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table("id,v", [2**60 + 256 * i for i in range(50)]))
    (note,) = streams.read_file(path, exact=True).notes[1:]
    assert note.endswith(f"its samples are {2**60} less; the table gets the numbers as they were")


def test_texts_that_no_stream_can_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("san.files.tables.LARGEST_SAID", 5000)
    path = tmp_path / "a.csv"
    path.write_text(table("id,v", IDS))
    with pytest.raises(ValueError, match=r"a\.csv has \d+ rows .* too many to keep") as error:
        streams.read_file(path, exact=True)
    assert "\n" not in str(error.value) and "split the table" in str(error.value)


def test_few_empty_lines_between_rows_come_back(tmp_path):
    text = "a,b\n" + "".join(f"{i},5\n" + "\n" * (i in (7, 20)) for i in range(400)) + "\n"
    path = tmp_path / "a.csv"
    path.write_text(text)
    decoder = Decoder(streams.encode_file(path, lossless=True))
    streams.write_file(decoder, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == text
