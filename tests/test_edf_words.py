"""EDF files that no reader can use are refused in words; those without records come back."""

import edfio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import san
from san.files import arrays, edf
from san.files.edf_header import check_header
from san.signals import NoSignal


def field(value, width):
    return str(value).encode().ljust(width)


def edf_file(*, records=20, duration=1, label="EEG", low=-2048, high=2047, samples=100):
    head = field(0, 8) + field("X X X X", 80) + field("Startdate X X X X", 80)
    head += field("01.01.20", 8) + field("10.00.00", 8) + field(512, 8) + field("", 44)
    head += field(records, 8) + field(duration, 8) + field(1, 4)
    head += field(label, 16) + field("", 80) + field("uV", 8) + field(-100, 8) + field(100, 8)
    head += field(low, 8) + field(high, 8) + field("", 80) + field(samples, 8) + field("", 32)
    return head + np.arange(2000).astype("<i2").tobytes()


def damaged(position, text):
    whole = bytearray(edf_file())
    whole[position : position + len(text)] = text
    return bytes(whole)


FAULTS = {
    "empty": (b"", "it is empty, it has 0 bytes"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "short": (edf_file()[:100], "it has 100 bytes, and a header has at least 256"),
    "head alone": (edf_file()[:256], "its header alone has 512 for 1 signal: it was cut"),
    "no EDF": (b"RIFF" + bytes(600), "EDF begins with"),
    "no signals": (damaged(252, b"0   "), "the number of signals is '0'"),
    "signals in words": (damaged(252, b"two "), "the number of signals is 'two'"),
    "records in words": (damaged(236, b"many"), "the number of records is 'many'"),
    "zero": (edf_file(duration=0), "the duration of a record is 0 s"),
    "comma": (edf_file(duration="2,5"), "is '2,5', with a decimal comma: .* write '2.5'"),
    "no duration": (edf_file(duration=""), "the duration of a record is '', which is not a number"),
    "comma of a signal": (edf_file(low="-1,5"), "digital minimum of its signal 'EEG' is '-1,5'"),
    "equal digits": (edf_file(low=5, high=5), "is 5, which is not below its digital maximum, 5"),
    "a fraction": (edf_file(high=2047.5), "'2047.5', which is not a whole number"),
    "beyond all integers": (edf_file(low="-1e308"), "'-1e308', which is not a whole number"),
    "beyond all floats": (damaged(360, b"1e999   "), "minimum .* '1e999', which is not a finite"),
    "no samples": (edf_file(samples="x"), "number of samples in a record of its signal 'EEG'"),
    "cut": (edf_file()[:-7], "19 records of 200 bytes and 193 bytes, .* cut the file after 4312 "),
    "longer": (edf_file() + bytes(200), "it was cut, or something was added.* write 21 into"),
    "half a sample": (edf_file(samples=9.5), "is '9.5', which is not a whole number"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(name, tmp_path, command):
    content, words = FAULTS[name]
    path = tmp_path / "night.EDF"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as refused:
        edf.read_edf(path)
    assert str(refused.value).startswith(f"{path} cannot be read: ")
    code, _, err = command("compress", path, tmp_path / "x.san", "--lossless")
    assert code == 2 and err.count("\n") == 1 and "night.EDF cannot be read: " in err


def test_bdf_with_the_ending_of_edf_is_refused(tmp_path):
    content = b"\xffBIOSEMI" + edf_file()[8:]
    (tmp_path / "a.edf").write_bytes(content)
    with pytest.raises(ValueError, match=r"holds BDF: give it a name that ends with \.bdf"):
        edf.read_edf(tmp_path / "a.edf")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=12), st.integers(0, 511), st.integers(0, 4600))
def test_whatever_stands_in_a_header_is_read_or_refused_in_words(tmp_path_factory, text, at, end):
    content = bytearray(edf_file())
    content[at : at + len(text)] = text
    path = tmp_path_factory.getbasetemp() / "any.edf"
    path.write_bytes(content[:end])
    try:
        check_header(path, path.read_bytes())
    except ValueError as error:
        assert "cannot be read: " in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("filling", [b"\0", b" "], ids=["zero", "blank"])
def test_whatever_fills_up_the_label_annotations_are_no_signal(filling, tmp_path, command):
    signal = edfio.EdfSignal(np.arange(2000) % 90, 100, label="EEG", physical_range=(-100, 100))
    notes = [edfio.EdfAnnotation(3, None, "a noise")]
    edfio.Edf([signal], annotations=notes).write(tmp_path / "n.edf")
    content = (tmp_path / "n.edf").read_bytes()
    label = b"EDF Annotations" + filling
    at = content.index(b"EDF Annotations")
    filled = content[:at] + label + content[at + 16 :]
    (tmp_path / "n.edf").write_bytes(filled)
    found = san.read(tmp_path / "n.edf")
    assert found.x.shape == (2000, 1) and found.names == ("EEG",)
    assert found.annotations["edf"].text == ("a noise",)
    code, out, _ = command("compress", "n.edf", "n.san", "--lossless")
    assert code == 0 and out.endswith("comes back as: same files\n")


def test_a_signal_with_the_label_of_the_other_kind_is_a_signal(tmp_path):
    (tmp_path / "n.edf").write_bytes(edf_file(label="BDF Annotations"))
    assert san.read(tmp_path / "n.edf").names == ("BDF Annotations",)


@pytest.mark.parametrize("name", ["zero.edf", "zero.EDF"])
def test_a_file_of_no_records_comes_back(name, tmp_path, command):
    path, back = tmp_path / name, tmp_path / "back.edf"
    path.write_bytes(edf_file(records=0)[:512])
    assert command("compress", path, tmp_path / "x.san", "--lossless")[0] == 0
    assert command("decompress", tmp_path / "x.san", back)[0] == 0
    assert back.read_bytes() == path.read_bytes()


def test_annotations_alone_are_no_signal(tmp_path):
    path = tmp_path / "hypnogram.edf"
    path.write_bytes(edf_file(label="EDF Annotations", duration=0))
    with pytest.raises(NoSignal, match="has no signals, only annotations"):
        edf.read_edf(path)


def test_an_empty_npy_is_refused_in_words(tmp_path, command):
    (tmp_path / "zero.npy").write_bytes(b"")
    code, _, err = command("compress", tmp_path / "zero.npy", tmp_path / "x.san", "--lossless")
    assert code == 2 and "zero.npy is not readable as .npy: it is empty, it has 0 bytes" in err


@pytest.mark.parametrize("shape", [(0,), (0, 3)], ids=str)
@pytest.mark.parametrize("ending", [".npy", ".NPY"])
def test_an_array_of_no_samples_comes_back(shape, ending, tmp_path, command):
    source, back = tmp_path / f"x{ending}", tmp_path / f"back{ending}"
    with open(source, "wb") as file:
        np.save(file, np.zeros(shape, np.int16))
    assert command("compress", source, tmp_path / "x.san", "--lossless")[0] == 0
    assert command("decompress", tmp_path / "x.san", back)[0] == 0
    assert back.read_bytes() == source.read_bytes()
    assert command("decompress", tmp_path / "x.san", tmp_path / "back.csv")[0] == 0


def test_endings_in_capitals(tmp_path):
    (tmp_path / "A.CSV").write_text("1.5\n2.5\n")
    with open(tmp_path / "B.NPY", "wb") as file:
        np.save(file, np.arange(9, dtype=np.int16))
    assert arrays.read(tmp_path / "A.CSV").x.tolist() == [1.5, 2.5]
    assert arrays.read(tmp_path / "B.NPY").x.tolist() == [*range(9)]
    assert san.decompress(san.compress(arrays.read(tmp_path / "B.NPY").x, lossless=True)).size == 9


@pytest.mark.parametrize(
    ("position", "text"),
    [(360, b"-100\0\0\0\0"), (384, b"2047\0 \0 "), (472, b"100\0\0\0\0\0"), (256, b"EEG\0\0\0")],
    ids=["physical minimum", "digital maximum", "samples of a record", "label"],
)
def test_zero_bytes_that_fill_up_a_field_are_no_part_of_it(position, text, tmp_path, command):
    path = tmp_path / "night.edf"
    path.write_bytes(edf_file())
    expected = san.read(path)
    path.write_bytes(damaged(position, text))
    found = san.read(path)
    assert np.array_equal(found.x, expected.x)
    assert (found.names, found.units) == (expected.names, expected.units)
    code, out, _ = command("compress", path, "x.san", "--lossless")
    assert code == 0
    assert "same files" in out
