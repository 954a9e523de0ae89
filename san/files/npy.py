"""How an array is read from NumPy's .npy file, and written as the same bytes again.

A stream has no order of axes, no byte order, and fewer dtypes than NumPy. Where a file is not as
NumPy writes the stream's samples, its header is attached, and says how they are written.
"""

import io
import math
import re
import warnings
from pathlib import Path

import numpy as np

from san.codec.encoder import unlikely
from san.codec.numbers.narrowing import narrowed
from san.signals import Array

HEADER = "npy/header"
MAGIC = b"\x93NUMPY"  # how such a file begins
LONGEST_HEADER = 10_000  # bytes, as NumPy reads them
_DTYPE = re.compile(rb"""['"]descr['"]\s*:\s*['"]([<>=|])([biuf])([1248])['"]""")
_NAMES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_ORDER = re.compile(rb"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(
    rb"""['"]shape['"]\s*:\s*\(\s*(\d{1,18})L?\s*,?\s*(?:(\d{1,18})L?\s*,?\s*)?\)"""
)


def load(path: Path) -> np.ndarray:
    """The array in a file, in the dtype that it has.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no such file.
    """
    if not path.is_file():  # a pipe of that name would never end
        raise FileNotFoundError(f"{path} is not there")
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head != MAGIC:
        found = "an archive of arrays (.npz)" if head[:2] == b"PK" else "no such file"
        problem = f"it is {found}" if head else "it is empty, it has 0 bytes"
        raise ValueError(f"{path} is not readable as .npy: {problem}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how long ago the file was written
            x: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy's reader also raises what tokenize and ast raise
        raise ValueError(f"{path} is not readable as .npy: {_problem_of(path)}") from error
    return x


def _problem_of(path: Path) -> str:
    """What is wrong with a file that NumPy does not read, though it begins as one that it does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + 6 + LONGEST_HEADER)
    version = head[len(MAGIC) : len(MAGIC) + 1]
    if version not in (b"", b"\1", b"\2", b"\3"):
        return f"its version is {version[0]}, and NumPy has the versions 1, 2 and 3"
    begin = len(MAGIC) + (4 if version == b"\1" else 6)
    length = int.from_bytes(head[len(MAGIC) + 2 : begin], "little")
    if len(head) < begin or begin + length > size:
        return f"it has {size} bytes, and ends within its header"
    says = parsed(head[: begin + length])
    needed = 0 if says is None else begin + length + says[1].itemsize * math.prod(says[0])
    if needed > size:
        return f"it has {size} bytes, and its header asks for {needed}"
    if b"'|O'" in head or b"'O'" in head:
        return "it holds objects of Python: give it numbers, with x.astype(np.float64)"
    return (
        "its header is damaged, or it has fewer bytes than its header asks for: write it again "
        "with np.save"
    )


def read(path: Path, fs: float | None = None, exact: bool = True) -> Array:
    """Read a file; samples get a dtype that streams have, and an unlikely shape is questioned.

    Parameters
    ----------
    path : Path
    fs : float, optional
        Sampling rate in Hz.
    exact : bool
        Whether the samples will come back as they are. Otherwise float16 comes back as float32,
        because rounding to float16 would add to the error.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is no such file, or streams have no dtype for its values.
    """
    x = load(path)
    if x.ndim not in (1, 2) or 0 in x.shape[1:]:
        raise ValueError(
            f"{path} has shape {x.shape}, and samples are (n,) or (n, channels): x.reshape gives "
            "another shape"
        )
    try:
        found = narrowed(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be compressed: {error}") from error
    if found.ndim == 2 and found.shape[1] > len(found) > 0:
        warnings.warn(unlikely(found.shape, f"{path}: "), stacklevel=2)
    header = _header_of(path)
    is_rounded = x.dtype.kind == "f" and x.dtype.itemsize == 2 and not exact
    if is_rounded or header == _usual(found):
        return Array(found, fs)
    says = parsed(header)
    is_known = says is not None and says[:2] == (x.shape, x.dtype)
    return Array(found, fs, attachments={HEADER: header} if is_known else {})


def content_of(array: Array) -> bytes:
    """The bytes of a file of these samples, as the attached header says, or else as NumPy does.

    Raises
    ------
    ValueError
        If the header is none, or is not one of such samples.
    """
    header = array.attachments.get(HEADER)
    if header is None:
        content = io.BytesIO()
        np.save(content, array.x, allow_pickle=False)
        return content.getvalue()
    says = parsed(header)
    if says is None:
        raise ValueError("the attached header of .npy does not say how numbers are written")
    shape, dtype, in_columns = says
    if shape != array.x.shape:
        raise ValueError(
            f"the attached header of .npy has shape {shape}, and the samples {array.x.shape}"
        )
    if dtype.kind == "b":
        written = array.x != 0
    else:
        with np.errstate(all="ignore"):  # what does not fit is found below
            written = array.x.astype(dtype)
            back = written.astype(array.x.dtype)
        if not np.array_equal(back, array.x, equal_nan=array.x.dtype.kind == "f"):
            raise ValueError(
                f"the attached header of .npy has dtype {dtype}, which does not hold the samples"
            )
    return header + written.tobytes("F" if in_columns else "C")


def parsed(header: bytes) -> tuple[tuple[int, ...], np.dtype, bool] | None:
    """Shape, dtype, and whether the first axis is the innermost, of the header of a file.

    None if it is no header, or not one of numbers with one or two axes. Nothing is evaluated.

    Examples
    --------
    >>> text = b"{'descr': '>i8', 'fortran_order': True, 'shape': (5, 2), }"
    >>> parsed(MAGIC + bytes([1, 0, len(text), 0]) + text)
    ((5, 2), dtype('>i8'), True)
    """
    version = header[len(MAGIC)] if len(header) > len(MAGIC) else 0
    begin = len(MAGIC) + (4 if version == 1 else 6)
    size = int.from_bytes(header[len(MAGIC) + 2 : begin], "little")
    text = header[begin:]
    if not header.startswith(MAGIC) or version not in (1, 2, 3):
        return None
    if size != len(text) or size > LONGEST_HEADER:
        return None
    found = [pattern.findall(text) for pattern in (_DTYPE, _ORDER, _SHAPE)]
    if [len(each) for each in found] != [1, 1, 1]:
        return None
    (dtype,), (order,), (shape,) = found
    name = b"".join(dtype).decode()
    if name[1:] not in _NAMES:
        return None
    return tuple(int(size) for size in shape if size), np.dtype(name), order == b"True"


def _header_of(path: Path) -> bytes:
    """What stands before the samples of a file; nothing where it is longer than NumPy reads."""
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + 2)
        size = file.read(2 if head[-2] == 1 else 4)
        length = int.from_bytes(size, "little")
        return head + size + file.read(length) if length <= LONGEST_HEADER else b""


def _usual(x: np.ndarray) -> bytes:
    """What NumPy writes before the samples that a stream of these gives back."""
    content = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(x.dtype.newbyteorder("="))
    known = {"descr": descr, "fortran_order": False, "shape": x.shape}
    np.lib.format.write_array_header_1_0(content, known)
    return content.getvalue()
