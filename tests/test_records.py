"""WFDB formats: what is packed is what wfdb reads, what is unpacked is packed to the same bytes."""

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from san.wfdb_records.formats import BITS, byte_count, invalid_sample, pack, unpack, value_range

FORMATS = sorted(BITS, key=int)


def read_by_wfdb(folder, code, data, samples, initial=0):
    """What wfdb's own reader sees in a file of one signal."""
    header = f"r 1 100 {samples}\nr.dat {code} 200 16 0 {initial} 0 0 x\n"
    (folder / "r.hea").write_text(header)
    (folder / "r.dat").write_bytes(data)
    return wfdb.rdrecord(str(folder / "r"), physical=False).d_signal[:, 0]


@pytest.mark.parametrize("code", FORMATS)
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5, 6, 7, 301])
def test_wfdb_reads_what_is_packed(tmp_path, code, samples):
    low, high = value_range(code)
    x = np.random.default_rng(samples).integers(low, high, samples, endpoint=True)
    x[: min(2, samples)] = [low, high][: min(2, samples)]
    found = read_by_wfdb(tmp_path, code, pack(x, code), samples)
    expected = np.cumsum(x) if code == "8" else x
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("code", FORMATS)
@given(data=st.data())
def test_packing_is_undone(code, data):
    x = np.array(data.draw(st.lists(st.integers(*value_range(code)), max_size=20)), np.int64)
    packed = pack(x, code)
    assert len(packed) == byte_count(code, x.size)
    assert unpack(packed, code, x.size).tolist() == x.tolist()


@pytest.mark.parametrize("code", FORMATS)
@given(data=st.data())
def test_unpacking_is_undone_but_for_bits_that_no_sample_uses(code, data):
    samples = data.draw(st.integers(0, 12))
    size = byte_count(code, samples)
    raw = data.draw(st.binary(min_size=size, max_size=size + 3))
    x = unpack(raw, code, samples)
    again = pack(x, code)
    assert unpack(again, code, samples).tolist() == x.tolist()
    if code not in ("212", "310", "311"):
        assert again == raw[:size]


@pytest.mark.parametrize("code", FORMATS)
def test_a_sample_beyond_the_range_is_refused(code):
    low, high = value_range(code)
    for wrong in (low - 1, high + 1):
        with pytest.raises(
            ValueError, match=rf"format {code} holds samples of {low} \.\.\. {high}, got {wrong}"
        ):
            pack(np.array([0, wrong]), code)


@pytest.mark.parametrize("code", FORMATS)
def test_too_few_bytes_are_refused(code):
    needed = byte_count(code, 7)
    with pytest.raises(ValueError, match=f"7 samples of format {code} need {needed} bytes, got 3"):
        unpack(b"abc", code, 7)


def test_the_invalid_sample_is_the_lowest_of_each_format_but_of_differences():
    assert {code: invalid_sample(code) for code in FORMATS} == {
        "8": None, "16": -32768, "24": -(2**23), "32": -(2**31), "61": -32768, "80": -128,
        "160": -32768, "212": -2048, "310": -512, "311": -512,
    }  # fmt: skip
