"""How an unsigned integer becomes bytes: LEB128, seven bits a byte, the lowest first.

A value has one encoding only, the shortest, and is below 2**63: nine bytes at most. Texts and other
fields stand between them.
"""

import struct
from collections.abc import Sequence

import numpy as np

from san.codec.errors import CorruptStream

LONGEST = 9  # bytes of a varint
LARGEST = 2**63 - 1
LONGEST_TEXT = 64  # bytes of a unit, or a name


def write_varint(value: int) -> bytes:
    """The bytes of one unsigned integer.

    Raises
    ------
    ValueError
        If the value is negative or 2**63 or more.

    Examples
    --------
    >>> write_varint(300).hex()
    'ac02'
    """
    if not 0 <= value <= LARGEST:
        raise ValueError(f"a varint must be within 0 ... 2**63 - 1, got {value}")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, position: int = 0) -> tuple[int, int]:
    """One unsigned integer and the position after it.

    Raises
    ------
    CorruptStream
        If the data end within it, or it has more than nine bytes or not the fewest.

    Examples
    --------
    >>> read_varint(bytes.fromhex("ac02"))
    (300, 2)
    """
    value = 0
    for count in range(LONGEST):
        if position + count >= len(data):
            raise CorruptStream(f"the data end within the number at byte {position}")
        byte = data[position + count]
        value |= (byte & 127) << 7 * count
        if byte < 128:
            if byte == 0 and count > 0:
                raise CorruptStream(f"the number at byte {position} has superfluous bytes")
            return value, position + count + 1
    raise CorruptStream(f"the number at byte {position} has more than {LONGEST} bytes")


def write_varints(values: Sequence[int] | np.ndarray) -> bytes:
    """The bytes of many unsigned integers (n,), below 2**63, one after the other."""
    rest = np.asarray(values, np.int64).reshape(-1)
    if rest.size and rest.min() < 0:
        raise ValueError(f"a varint must be within 0 ... 2**63 - 1, got {rest.min()}")
    longest = max(1, -(-int(rest.max(initial=0)).bit_length() // 7))
    table = np.zeros((rest.size, longest), np.uint8)
    used = np.zeros(table.shape, bool)
    for column in range(longest):
        used[:, column] = (rest > 0) | (column == 0)
        table[:, column] = (rest & 127) | np.where(rest > 127, 128, 0)
        rest = rest >> 7
    return table[used].tobytes()


def read_varints(data: bytes, position: int, count: int) -> tuple[np.ndarray, int]:
    """Many unsigned integers, int64 (count,), and the position after them.

    No more is allocated than a small multiple of the data that are there.

    Raises
    ------
    CorruptStream
        If fewer than `count` are there, or one has more than nine bytes or not the fewest.

    Examples
    --------
    >>> read_varints(bytes.fromhex("05ac0207"), 0, 3)
    (array([  5, 300,   7]), 4)
    """
    if count > len(data) - position:
        raise CorruptStream(f"{count} numbers cannot be in {len(data) - position} bytes")
    window = np.frombuffer(data, np.uint8)[position : position + LONGEST * count]
    last = np.flatnonzero(window < 128)[:count]
    lengths = np.diff(last, prepend=-1)
    if lengths.size and lengths.max() > LONGEST:
        raise CorruptStream(f"a number after byte {position} has more than {LONGEST} bytes")
    if last.size < count:
        raise CorruptStream(f"the data end within {count} numbers at byte {position}")
    if np.any((window[last] == 0) & (lengths > 1)):
        raise CorruptStream(f"a number after byte {position} has superfluous bytes")
    first = last - lengths + 1
    values = np.zeros(count, np.int64)
    for column in range(int(lengths.max(initial=0))):
        longer = lengths > column
        digits = (window[first[longer] + column] & 127).astype(np.int64)
        values[longer] |= digits << 7 * column
    return values, position + (int(last[-1]) + 1 if count else 0)


class Fields:
    """Reads the fields of a body one after the other; whatever does not fit is corruption."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data, self.position = data, position

    def varint(self) -> int:
        value, self.position = read_varint(self.data, self.position)
        return value

    def signed(self) -> int:
        """A zigzag number: 0, -1, 1, -2, 2 ..."""
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def varints(self, count: int) -> np.ndarray:
        values, self.position = read_varints(self.data, self.position, count)
        return values

    def take(self, count: int) -> bytes:
        """The next bytes, checked to be there before they are copied."""
        if count > len(self.data) - self.position:
            left = len(self.data) - self.position
            raise CorruptStream(f"a field of {count} bytes cannot be in the {left} left")
        self.position += count
        return bytes(self.data[self.position - count : self.position])

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self.data) - self.position)

    def byte(self) -> int:
        return self.take(1)[0]

    def text(self) -> str:
        length = self.byte()
        if length > LONGEST_TEXT:
            raise CorruptStream(f"a text of {length} bytes has more than {LONGEST_TEXT}")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise CorruptStream(f"a text is not UTF-8: {error}") from error

    def float64(self) -> float:
        return float(struct.unpack("<d", self.take(8))[0])

    def end(self) -> None:
        """Refuse bytes that no field has claimed."""
        if self.position != len(self.data):
            raise CorruptStream(f"{len(self.data) - self.position} bytes belong to no field")


def write_signed(value: int) -> bytes:
    """The zigzag varint of an integer of either sign."""
    return write_varint(value << 1 if value >= 0 else (-value << 1) - 1)


def write_text(text: str) -> bytes:
    """A byte of length, and the text in UTF-8."""
    if not isinstance(text, str):
        raise TypeError(f"a name or a unit must be a text, got {text!r}")
    data = text.encode(errors="surrogatepass")
    if data != text.encode(errors="replace"):
        raise ValueError(f"{text!r} has half a character, which no text in UTF-8 has")
    if len(data) > LONGEST_TEXT:
        raise ValueError(f"{text!r} has {len(data)} bytes, more than {LONGEST_TEXT}")
    return bytes([len(data)]) + data
