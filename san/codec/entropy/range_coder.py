"""One binary decision to and from bytes: a carryless range coder with 16-bit probabilities.

The coder's state is an int64 array. Encoding and decoding are the same call: the encoder passes the
bit and gets it back, the decoder passes any bit and gets the one that it reads. So whatever codes
decisions is written once for both directions, from the mixer up to the order of a chunk's fields.
"""

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step

LOW, HIGH, CODE, POSITION, ENCODING, END = range(6)
STATE = 8  # places of a memory that are set aside for the coder's state; it uses six
EVEN = 1 << 15  # the probability, in 1/65536, of a bit that is as likely 0 as 1
SUREST = 65535  # the largest probability, in 1/65536; the smallest is 1


def new_encoder(capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """The state of an encoder, and a uint8 array for the `capacity` bytes that it may write."""
    return np.array([0, 0xFFFFFFFF, 0, 0, 1, capacity], np.int64), np.zeros(capacity, np.uint8)


def new_decoder(data: np.ndarray) -> np.ndarray:
    """The state of a decoder that reads uint8 data; bytes after the end read as zero."""
    first = [int(b) for b in data[:4]] + [0, 0, 0, 0]
    code = first[0] << 24 | first[1] << 16 | first[2] << 8 | first[3]
    return np.array([0, 0xFFFFFFFF, code, 4, 0, data.size], np.int64)


@integer_step
def code_bit(coder, data, probability, bit):
    """Code one bit, which is 1 with probability / 65536, from 1 to SUREST; returns the bit."""
    low, high = coder[LOW], coder[HIGH]
    middle = low + (((high - low) * probability) >> 16)
    if coder[ENCODING] == 0:
        bit = 1 if coder[CODE] <= middle else 0
    if bit == 1:
        high = middle
    else:
        low = middle + 1
    while ((low ^ high) & 0xFF000000) == 0:
        position = coder[POSITION]
        if coder[ENCODING] == 0:
            byte = data[position] if position < coder[END] else 0
            coder[CODE] = ((coder[CODE] << 8) & 0xFFFFFFFF) | byte
        elif position < coder[END]:
            data[position] = high >> 24
        coder[POSITION] = position + 1
        low = (low << 8) & 0xFFFFFFFF
        high = ((high << 8) & 0xFFFFFFFF) | 255
    coder[LOW], coder[HIGH] = low, high
    return bit


def finish(coder: np.ndarray, data: np.ndarray) -> bytes:
    """End an encoder; returns the fewest bytes that decode to what was coded."""
    low, high, position = int(coder[LOW]), int(coder[HIGH]), int(coder[POSITION])
    if position > len(data):
        raise OverflowError(f"{position} bytes do not fit in {len(data)}")
    tail = b""
    if low > 0:
        for size in (1, 2, 3, 4):  # bytes that are not written read as zero
            unit = 1 << (32 - 8 * size)
            value = -(-low // unit) * unit
            if value <= high:
                tail = value.to_bytes(4, "big")[:size]
                break
    return (bytes(data[:position]) + tail).rstrip(b"\0")


@integer_loop
def code_raw_bits(coder, data, value, count):
    """Code the `count` low bits of a value, the highest first, each as likely 0 as 1.

    Returns the number that these bits are.
    """
    result = 0
    for i in range(count - 1, -1, -1):
        result = (result << 1) | code_bit(coder, data, EVEN, (value >> i) & 1)
    return result


@integer_loop
def code_all_raw(coder, data, values, count):
    """Code each of an array of numbers in `count` raw bits; a decoder fills the array."""
    for j in range(len(values)):
        result = 0
        for i in range(count - 1, -1, -1):
            result = (result << 1) | code_bit(coder, data, EVEN, (values[j] >> i) & 1)
        values[j] = result
    return 0
