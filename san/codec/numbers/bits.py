"""How the bits of floats become small integers, ordered as the floats are."""

import numpy as np

from san.codec.errors import CorruptStream

PARTS = {"float32": (16, 16), "float64": (22, 21, 21)}  # bits of each column, highest first


def bits_of(y: np.ndarray) -> np.ndarray:
    """The bit patterns of floats, a view as uint32 or uint64."""
    return y.view(np.uint32 if y.dtype.itemsize == 4 else np.uint64)


def split_bits(y: np.ndarray) -> np.ndarray:
    """Bits of floats as columns (n, parts): ordered as the numbers are, the lower ones centred."""
    parts = PARTS[y.dtype.name]
    ordered = bits_of(y).view(f"int{y.dtype.itemsize * 8}").astype(np.int64)
    whole = sum(parts)
    ordered = np.where(ordered < 0, ordered ^ (2 ** (whole - 1) - 1), ordered)
    columns = np.empty((y.size, len(parts)), np.int64)
    for index in range(len(parts) - 1, 0, -1):
        columns[:, index] = (ordered & (1 << parts[index]) - 1) - (1 << parts[index] - 1)
        ordered >>= parts[index]
    columns[:, 0] = ordered
    return columns


def join_bits(columns: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats from the columns of `split_bits`."""
    parts = PARTS[dtype.name]
    ordered = np.zeros(len(columns), np.int64)
    for index, bits in enumerate(parts):
        half = 1 << bits - 1
        column = columns[:, index]
        if column.size and not -half <= column.min() <= column.max() < half:
            raise CorruptStream(f"bits of {dtype} leave the {bits} bits of their column {index}")
        ordered = ordered << bits | (column + half if index else column)
    ordered = np.where(ordered < 0, ordered ^ (2 ** (sum(parts) - 1) - 1), ordered)
    return ordered.astype(f"int{dtype.itemsize * 8}").view(dtype)
