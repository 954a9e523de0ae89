"""How WFDB's signal formats hold samples in bytes: `unpack`, and its inverse `pack`.

Samples lie as the file has them: those of all signals of a frame one after the other. What a format
calls an invalid sample is a value of its own. The formats are those of signal(5) without the FLAC
ones, which `samples` reads.

    8            first differences, signed bytes; the caller adds them up
    16, 24, 32   two's complement, the lowest byte first
    61           16 bits, the highest byte first
    80, 160      8 and 16 bits, less 128 and 32,768
    212          two samples of 12 bits in three bytes
    310, 311     three samples of 10 bits in four bytes, in two orders
"""

import numpy as np

BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}
BITS |= {"310": 10, "311": 10}
_WORDS = {"16": "<i2", "32": "<i4", "61": ">i2"}  # formats that NumPy has a dtype for
_OFFSETS = {"80": ("u1", 128), "160": ("<u2", 32768)}


def byte_count(code: str, samples: int) -> int:
    """How many bytes the format needs for so many samples, from the start of a group of them."""
    if code == "212":
        return -(-3 * samples // 2)
    if code == "310":  # the third sample is spread over two pairs of bytes
        return 4 * (samples // 3) + (0, 2, 4)[samples % 3]
    if code == "311":  # one word of 32 bits, of which a part may be missing at the end
        return 4 * (samples // 3) + (0, 2, 3)[samples % 3]
    return samples * BITS[code] // 8


def invalid_sample(code: str) -> int | None:
    """The integer that stands for an invalid sample; None where the format has none."""
    return None if code == "8" else -(1 << (BITS[code] - 1))


def value_range(code: str) -> tuple[int, int]:
    """The lowest and the highest integer that the format holds, the invalid one included."""
    half = 1 << (BITS[code] - 1)
    return -half, half - 1


def unpack(data: bytes, code: str, samples: int) -> np.ndarray:
    """The samples that bytes hold.

    Parameters
    ----------
    data : bytes
        As many as `byte_count` says, or more.
    code : str
        The format.
    samples : int

    Returns
    -------
    int32 (samples,)
        Of format 8, the differences.

    Raises
    ------
    ValueError
        If there are fewer bytes.

    Examples
    --------
    >>> unpack(bytes([0xFF, 0x1F, 0x00]), "212", 2).tolist()
    [-1, 256]
    """
    needed = byte_count(code, samples)
    if len(data) < needed:
        raise ValueError(f"{samples} samples of format {code} need {needed} bytes, got {len(data)}")
    raw = np.frombuffer(data, np.uint8, needed)
    if code in _WORDS:
        return raw.view(_WORDS[code]).astype(np.int32)
    if code in _OFFSETS:
        dtype, offset = _OFFSETS[code]
        return raw.view(dtype).astype(np.int32) - offset
    if code == "8":
        return raw.view(np.int8).astype(np.int32)
    if code == "24":
        return _bytes_to_values(raw.reshape(-1, 3))
    if code == "212":
        return _unpack_212(raw, samples)
    return _unpack_thirds(raw, code, samples)


def pack(x: np.ndarray, code: str) -> bytes:
    """The bytes that hold samples; bits that no sample uses are zero.

    Parameters
    ----------
    x : integers (samples,)
        Of format 8, the differences.
    code : str
        The format.

    Raises
    ------
    ValueError
        If a sample is beyond the format's range.

    Examples
    --------
    >>> pack(np.array([-1, 256]), "212").hex()
    'ff1f00'
    """
    values = np.asarray(x, np.int64)
    low, high = value_range(code)
    if values.size and not low <= int(values.min()) <= int(values.max()) <= high:
        wrong = int(values[(values < low) | (values > high)][0])
        raise ValueError(f"format {code} holds samples of {low} ... {high}, got {wrong}")
    if code in _WORDS:
        return values.astype(_WORDS[code]).tobytes()
    if code in _OFFSETS:
        dtype, offset = _OFFSETS[code]
        return (values + offset).astype(dtype).tobytes()
    if code == "8":
        return values.astype(np.int8).tobytes()
    if code == "24":
        return np.ascontiguousarray(
            values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
        ).tobytes()
    if code == "212":
        return _pack_212(values)
    return _pack_thirds(values, code)


def _bytes_to_values(rows: np.ndarray) -> np.ndarray:
    """Two's complement of rows of three bytes, the lowest first."""
    wide = np.zeros((len(rows), 4), np.uint8)
    wide[:, 1:] = rows
    return wide.reshape(-1).view("<i4").astype(np.int32) >> 8


def _signed(values: np.ndarray, bits: int) -> np.ndarray:
    half = 1 << (bits - 1)
    return ((values + half) & ((1 << bits) - 1)) - half


def _padded(raw: np.ndarray, multiple: int) -> np.ndarray:
    """Bytes as int32 in rows of so many, the last one filled up with zeros."""
    rows = np.zeros(-(-raw.size // multiple) * multiple, np.int32)
    rows[: raw.size] = raw
    return rows.reshape(-1, multiple)


def _unpack_212(raw: np.ndarray, samples: int) -> np.ndarray:
    a, b, c = _padded(raw, 3).T
    x = np.stack([a | (b & 15) << 8, c | (b >> 4) << 8], axis=1)
    return _signed(x.reshape(-1)[:samples], 12)


def _pack_212(values: np.ndarray) -> bytes:
    x = np.zeros(-(-values.size // 2) * 2, np.int64)
    x[: values.size] = values & 0xFFF
    a, b = x.reshape(-1, 2).T
    rows = np.stack([a & 255, (a >> 8) | (b >> 8) << 4, b & 255], axis=1)
    return rows.astype(np.uint8).tobytes()[: byte_count("212", values.size)]


def _unpack_thirds(raw: np.ndarray, code: str, samples: int) -> np.ndarray:
    """Three samples of 10 bits from each four bytes."""
    a, b, c, d = _padded(raw, 4).T
    if code == "310":  # two words of 16 bits: a sample in bits 1-10, and half of one in bits 11-15
        first, second = a | b << 8, c | d << 8
        thirds = [first >> 1, second >> 1, (first >> 11) | (second >> 11) << 5]
    else:  # 10 bits each, from the lowest on
        thirds = [a | b << 8, b >> 2 | c << 6, c >> 4 | d << 4]
    return _signed(np.stack(thirds, axis=1).reshape(-1)[:samples], 10)


def _pack_thirds(values: np.ndarray, code: str) -> bytes:
    x = np.zeros(-(-values.size // 3) * 3, np.int64)
    x[: values.size] = values & 1023
    p, q, r = x.reshape(-1, 3).T
    if code == "310":
        word = (p << 1 | (r & 31) << 11) | (q << 1 | (r >> 5) << 11) << 16
    else:
        word = p | q << 10 | r << 20
    return word.astype("<u4").tobytes()[: byte_count(code, values.size)]
