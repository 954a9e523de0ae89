"""Arrays of NumPy come back as the bytes that they were, or it is said that they do not."""

import io
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from san.codec.decoder import Decoder
from san.files import npy, streams
from san.signals import Array

X = (1000 * np.sin(np.arange(600) / 30)).astype(np.int16).reshape(-1, 2)


def content(x, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, x, version)
    return file.getvalue()


FILES = {
    "int16": content(X),
    "int64": content(X.astype(np.int64)),
    "uint32": content(np.abs(X).astype(np.uint32)),
    "uint64, one axis": content(np.abs(X[:, 0]).astype(np.uint64)),
    "bool": content(X[:, 0] > 0),
    "float16": content((X / 1024).astype(np.float16)),
    "Fortran order": content(np.asfortranarray(X)),
    "Fortran order, int64": content(np.asfortranarray(X.astype(np.int64))),
    "big-endian": content(X.astype(">i2")),
    "big-endian floats": content((X / 8).astype(">f8")),
    "version 2": content(X, (2, 0)),
    "version 3": content(X, (3, 0)),
    "version 2, big-endian, Fortran": content(np.asfortranarray(X.astype(">i4")), (2, 0)),
    "no samples": content(X.astype(np.int64)[:0]),
    "another spelling": b"\x93NUMPY\x01\x00\x40\x00"
    + b'{"shape": (3,), "fortran_order": False, "descr": \'<i8\'}'.ljust(63)
    + b"\n"
    + np.arange(3).tobytes(),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("target", ["--lossless", "--max-error"])
def test_a_file_comes_back(kind, target, command, tmp_path):
    (tmp_path / "x.npy").write_bytes(FILES[kind])
    given = [target] if target == "--lossless" else [target, 0.01]
    code, out, _ = command("compress", "x.npy", "x.san", *given, "--no-events", "--json")
    assert code == 0
    outcome = json.loads(out)["comes_back_as"]["outcome"]
    assert command("decompress", "x.san", "y.npy")[0] == 0
    assert command("verify", "x.npy", "x.san")[0] == 0
    x, y = np.load("x.npy"), np.load("y.npy")
    if target == "--lossless":
        assert outcome == "same files" and (tmp_path / "y.npy").read_bytes() == FILES[kind]
    assert kind == "float16" or x.dtype == y.dtype
    assert x.dtype.kind == "b" or np.abs(x.astype(float) - y).max(initial=0) <= 0.01


def test_only_headers_that_are_unusual_are_attached(tmp_path):
    for kind in ("int16", "int64"):
        (tmp_path / "x.npy").write_bytes(FILES[kind])
        array = npy.read(tmp_path / "x.npy")
        assert (npy.HEADER in array.attachments) == (kind == "int64")


def test_what_does_not_come_back_is_said(command, tmp_path):
    (tmp_path / "x.npy").write_bytes(FILES["int16"] + b"more")
    _, out, _ = command("compress", "x.npy", "x.san", "--lossless")
    assert "same samples, other bytes: x.npy has bytes after its samples" in out


def test_structured_arrays_are_refused_in_words(command, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(5, [("a", "<i4"), ("b", "<f8")]))
    code, _, err = command("compress", "x.npy", "x.san", "--lossless")
    assert code == 2 and "x.npy cannot be compressed" in err and len(err.splitlines()) == 1
    assert "np.stack([x[name] for name in x.dtype.names], axis=-1)" in err


@settings(max_examples=40)
@given(
    arrays_of.arrays(
        st.sampled_from(["b1", "<i8", ">i8", "<u4", ">u8", "<f2", ">f4", ">i2"]),
        st.one_of(st.tuples(st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(1, 4))),
        elements={"min_value": 0, "max_value": 200},
    ),
    st.booleans(),
    st.sampled_from([None, (2, 0), (3, 0)]),
)
def test_any_array_comes_back(tmp_path_factory, x, in_columns, version):
    path = tmp_path_factory.getbasetemp() / "any.npy"
    path.write_bytes(content(np.asfortranarray(x) if in_columns else x, version))
    with np.errstate(all="ignore"):
        array = streams.read_file(path, exact=True) if x.ndim < 2 or x.shape[1] <= len(x) else None
    if array is not None:
        decoder = Decoder(streams.encode_array(array, lossless=True))
        assert npy.content_of(streams.decode(decoder)) == path.read_bytes()


def header(text, version=1):
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return npy.MAGIC + bytes([version, 0]) + size + text


HOSTILE = {
    "empty": b"",
    "cut": header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (9,), }")[:30],
    "version 9": header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (9,), }", 9),
    "another shape": header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (8,), }"),
    "three axes": header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (9, 1, 1), }"),
    "objects": header(b"{'descr': '|O', 'fortran_order': False, 'shape': (9,), }"),
    "fields": header(b"{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (9,), }"),
    "too narrow": header(b"{'descr': '|i1', 'fortran_order': False, 'shape': (9,), }"),
    "no dtype": header(b"{'descr': '<f1', 'fortran_order': False, 'shape': (9,), }"),
    "two shapes": header(b"{'descr': '<i8', 'shape': (9,), 'fortran_order': False, 'shape': (9,)}"),
    "deep": header(b"(" * 9000),
    "long": header(b"{'descr': '<i8', 'fortran_order': False, 'shape': (9,), }".ljust(20_000)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_header_is_refused(kind):
    array = Array(np.arange(900, 909, dtype=np.int16), attachments={npy.HEADER: HOSTILE[kind]})
    with pytest.raises(ValueError, match=r"the attached header of \.npy"):
        npy.content_of(array)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError, match="is not there"):
        npy.load(tmp_path / "a.npy")
