"""Events as decisions: when the next one comes, of which kernel, how strong in each channel.

Time since the last event is counted in bins. For each bin one asks whether the next event is in
it, in the contexts of the kernels before and of the rhythm: the last intervals between large
events. Amplitudes are coded as differences from the running mean of their kernel.
"""

from dataclasses import dataclass

import numpy as np

from .loops import integer_loop, integer_step, least, most, size_of
from .mixing import code_decision, code_simple, find_bucket
from .range_coder import code_bit

MAX_KERNELS = 64
STATE = 8  # numbers per kernel and channel that code_events remembers


@dataclass(frozen=True)
class Events:
    """Events in order of their position."""

    positions: np.ndarray  # int64 (E,): the kernel's first sample
    kernels: np.ndarray  # int64 (E,)
    amplitudes: np.ndarray  # int64 (E, channels), in quantizer steps

    def __len__(self) -> int:
        return len(self.positions)


def no_events(channels: int) -> Events:
    none = np.zeros(0, np.int64)
    return Events(none, none, np.zeros((0, channels), np.int64))


def new_memory(kernels: int, channels: int) -> np.ndarray:
    """What is known of the events of so many kernels before the first."""
    return np.zeros(((STATE * channels) << tree_bits(kernels)) + 4, np.int64)


def tree_bits(kernels: int) -> int:
    """Binary decisions that tell one of so many kernels."""
    return max(0, kernels - 1).bit_length()


def capacity(samples: int, length: int) -> int:
    """The most events of kernels of this length that so many samples may have."""
    return 16 * samples // length + 1


@integer_step
def _near(v, limit):
    return least(limit, most(-limit, v)) + limit


@integer_step
def _octave(v):
    size = 0
    while v > 0 and size < 15:
        v >>= 1
        size += 1
    return size


@integer_loop
def code_events(
    m,
    cells,
    tables,
    data,
    positions,
    kernels,
    amplitudes,
    count,
    samples,
    bin_bits,
    depth,
    channels,
    memory,
):
    """Code events, sorted by position; the number of events, or -1 where there are too many.

    Decoding, the arrays are filled. amplitudes holds `channels` numbers per event. memory holds
    what was seen before, at first zeros: STATE numbers per kernel and channel, then four about the
    rhythm.
    """
    room = len(positions)
    encoding = m[4]
    done, last, k1, k2 = 0, 0, 64, 64
    large, previous_bin = 0, 0
    rhythm = len(memory) - 4
    interval, interval2 = memory[rhythm], memory[rhythm + 1]
    mean_interval, mean_size = memory[rhythm + 2], memory[rhythm + 3]
    while True:
        # In which bin after the last event is the next one?
        gap, goal = 0, -1
        if done < count and encoding == 1:
            gap = positions[done] - last
            goal = gap >> bin_bits
        found, e = 0, 0
        while last + (e << bin_bits) < samples:
            far = least(e, 63)
            elapsed = (last - large + (e << bin_bits)) >> bin_bits
            d1 = _near(elapsed - (interval >> bin_bits), 20)
            d2 = _near(elapsed - (mean_interval >> bin_bits), 20)
            d3 = _near(elapsed - (interval2 >> bin_bits), 20)
            find_bucket(m, cells, 0, (1 << 27) + k1 * 64 + far)
            find_bucket(m, cells, 1, (2 << 27) + (k1 * 65 + k2) * 64 + far)
            find_bucket(m, cells, 2, (3 << 27) + k1 * 64 + d1)
            find_bucket(m, cells, 3, (4 << 27) + d2 * 64 + least(far, 15))
            find_bucket(m, cells, 4, (5 << 27) + (d1 * 64 + d3) * 2 + (1 if e == 0 else 0))
            find_bucket(m, cells, 5, (6 << 27) + (least(previous_bin, 63) * 64 + far))
            find_bucket(m, cells, 6, (7 << 27) + (d2 * 64 + d1))
            found = code_decision(
                m,
                cells,
                tables,
                data,
                7,
                0,
                384 + least(7, far),
                392 + d1,
                224,
                1 if e == goal else 0,
            )
            if found == 1:
                break
            e += 1
        if found == 0:
            break
        if done >= room:
            return -1
        # Where in the bin?
        place, known = 0, 1
        elapsed = (last - large + (e << bin_bits)) >> bin_bits
        d1 = _near(elapsed - (interval >> bin_bits), 4)
        for b in range(bin_bits - 1, -1, -1):
            bit = (gap >> b) & 1
            if bin_bits - b <= 4:
                find_bucket(m, cells, 0, (8 << 27) + (k1 * 64 + least(e, 63)) * 16 + known)
                find_bucket(m, cells, 1, (9 << 27) + (d1 * 16 + known) * 4 + least(e, 3))
                find_bucket(m, cells, 2, (10 << 27) + known * 64 + least(e, 63))
                bit = code_decision(
                    m, cells, tables, data, 3, 0, 433 + bin_bits - 1 - b, 437, 225, bit
                )
            else:
                bit = code_bit(m, data, 32768, bit)
            known = known * 2 + bit
            place = place * 2 + bit
        position = last + (e << bin_bits) + place
        if position >= samples:
            return -1
        # Of which kernel?
        elapsed = position - large
        d1 = _near((elapsed - interval) >> bin_bits, 6)
        kernel, known = 0, 1
        for b in range(depth - 1, -1, -1):
            bit = (kernels[done] >> b) & 1 if encoding == 1 else 0
            find_bucket(m, cells, 0, (11 << 27) + k1 * 64 + known)
            find_bucket(m, cells, 1, (12 << 27) + (k1 * 65 + k2) * 64 + known)
            find_bucket(m, cells, 2, (13 << 27) + (k1 * 64 + least(e, 63)) * 64 + known)
            find_bucket(m, cells, 3, (14 << 27) + (d1 * 64 + least(e, 15)) * 64 + known)
            find_bucket(m, cells, 4, (15 << 27) + known)
            bit = code_decision(
                m, cells, tables, data, 5, 0, 438 + least(7, known), 446 + depth - 1 - b, 226, bit
            )
            known = known * 2 + bit
            kernel = kernel * 2 + bit
        # How strong?
        size = 0
        for c in range(channels):
            state = (kernel * channels + c) * 8
            mean = (memory[state] + 8) >> 4
            v = amplitudes[done * channels + c] - mean if encoding == 1 else 0
            v = _code_amplitude(m, cells, tables, data, kernel, c, memory, state, v)
            memory[state + 1], memory[state + 2] = v, memory[state + 1]
            memory[state + 4] += ((size_of(v) << 4) - memory[state + 4]) >> 2
            v += mean
            amplitudes[done * channels + c] = v
            seen = least(7, memory[state + 3])
            memory[state] += ((v << 4) - memory[state]) // (seen + 1)
            memory[state + 3] = seen + 1
            size += size_of(v)
        positions[done] = position
        kernels[done] = kernel
        done += 1
        if 2 * size >= mean_size >> 4:
            interval2, interval = interval, position - large
            mean_interval += (interval - mean_interval) >> 2
            large = position
        mean_size += ((size << 4) - mean_size) >> 3
        last, k1, k2 = position, kernel, k1
        previous_bin = e
    memory[rhythm], memory[rhythm + 1] = interval, interval2
    memory[rhythm + 2], memory[rhythm + 3] = mean_interval, mean_size
    return done


@integer_step
def _code_amplitude(m, cells, tables, data, kernel, channel, memory, state, v):
    """Code an amplitude's difference from the mean of its kernel."""
    spread = least(15, memory[state + 4] >> 2) if memory[state + 4] < 64 else 15
    wide = _octave(memory[state + 4])
    d1, d2 = _near(memory[state + 1], 7), _near(memory[state + 2], 4)
    first = least(3, memory[state + 3])
    own = kernel * 64 + least(channel, 63)
    find_bucket(m, cells, 0, (16 << 27) + own * 4 + first)
    find_bucket(m, cells, 1, (17 << 27) + own * 16 + d1)
    find_bucket(m, cells, 2, (18 << 27) + (d1 * 16 + d2) * 4 + first)
    find_bucket(m, cells, 3, (19 << 27) + (spread * 16 + wide) * 4 + first)
    find_bucket(m, cells, 4, (20 << 27) + wide * 16 + first)
    size = size_of(v)
    if code_decision(m, cells, tables, data, 5, 0, 452, 464 + wide, 227, 1 if size > 0 else 0) == 0:
        return 0
    positive = code_decision(m, cells, tables, data, 5, 1, 453, 464 + wide, 228, 1 if v > 0 else 0)
    k = 1
    while k < 10:
        if (
            code_decision(
                m,
                cells,
                tables,
                data,
                5,
                k + 1,
                453 + k,
                464 + wide,
                229 + least(k, 4),
                1 if size > k else 0,
            )
            == 0
        ):
            break
        k += 1
    if k == 10:
        rest, length, bits = size - 9, 0, 0
        if m[4] == 1:
            while (rest >> (length + 1)) > 0:
                length += 1
        while bits < 32:
            if code_simple(m, data, 512 + bits, 1 if bits < length else 0) == 0:
                break
            bits += 1
        result = 1
        for i in range(bits - 1, -1, -1):
            result = (result << 1) | code_bit(m, data, 32768, (rest >> i) & 1)
        k = result + 9
    return k if positive == 1 else -k
