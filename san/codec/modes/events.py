"""Events as decisions: when the next one comes, of which kernel, how strong in each channel.

Time since the last event is counted in bins. For each bin one asks whether the next event is in
it, in the contexts of the kernels before and of the rhythm: the last intervals between large
events. Amplitudes are coded as differences from the running mean of their kernel.
"""

from dataclasses import dataclass

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step, least, most, size_of
from san.codec.entropy.mixing import code_decision, code_simple, digits, find_bucket
from san.codec.entropy.range_coder import ENCODING, code_bit

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
    """Not one."""
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


@integer_loop
def code_events(
    m, cells, tables, data, positions, kernels, amplitudes, count, samples, bin_bits, depth,
    channels, memory,
):  # fmt: skip
    """Code events, sorted by position; the number of events, or -1 where there are too many.

    Decoding, the arrays are filled. amplitudes holds `channels` numbers per event. memory holds
    what was seen before, at first zeros: STATE numbers per kernel and channel, then four about the
    rhythm.
    """
    encoding = m[ENCODING]
    done, last, large, before, k1, k2 = 0, 0, 0, 0, 64, 64
    while True:
        gap, kernel = -1, 0
        if done < count and encoding == 1:
            gap, kernel = positions[done] - last, kernels[done]
        e = _code_bin(
            m, cells, tables, data, gap, last, large, before, k1, k2, samples, bin_bits, memory
        )
        if e < 0:
            break
        if done >= len(positions):
            return -1
        gap = _code_place(m, cells, tables, data, gap, e, last, large, k1, bin_bits, memory)
        position = last + gap
        if position >= samples:
            return -1
        kernel = _code_kernel(
            m, cells, tables, data, kernel, e, position - large, k1, k2, bin_bits, depth, memory
        )
        size = 0
        for c in range(channels):
            i = done * channels + c
            v = amplitudes[i] if encoding == 1 else 0
            amplitudes[i] = _code_amplitude(
                m, cells, tables, data, kernel, c, memory, (kernel * channels + c) * 8, v
            )
            size += size_of(amplitudes[i])
        positions[done], kernels[done] = position, kernel
        done += 1
        if _see_size(memory, size, position - large):
            large = position
        last, before, k1, k2 = position, e, kernel, k1
    return done


@integer_step
def _code_bin(m, cells, tables, data, gap, last, large, before, k1, k2, samples, bin_bits, memory):
    """Code in which bin after the last event the next one is; -1 where there is none."""
    rhythm = len(memory) - 4
    goal = gap >> bin_bits if gap >= 0 else -1
    e = 0
    while last + (e << bin_bits) < samples:
        far = least(e, 63)
        elapsed = (last - large + (e << bin_bits)) >> bin_bits
        d1 = _near(elapsed - (memory[rhythm] >> bin_bits), 20)
        d2 = _near(elapsed - (memory[rhythm + 2] >> bin_bits), 20)
        d3 = _near(elapsed - (memory[rhythm + 1] >> bin_bits), 20)
        find_bucket(m, cells, 0, (1 << 27) + k1 * 64 + far)
        find_bucket(m, cells, 1, (2 << 27) + (k1 * 65 + k2) * 64 + far)
        find_bucket(m, cells, 2, (3 << 27) + k1 * 64 + d1)
        find_bucket(m, cells, 3, (4 << 27) + d2 * 64 + least(far, 15))
        find_bucket(m, cells, 4, (5 << 27) + (d1 * 64 + d3) * 2 + (1 if e == 0 else 0))
        find_bucket(m, cells, 5, (6 << 27) + (least(before, 63) * 64 + far))
        find_bucket(m, cells, 6, (7 << 27) + (d2 * 64 + d1))
        here = 1 if e == goal else 0
        sets = 384 + least(7, far)
        if code_decision(m, cells, tables, data, 7, 0, sets, 392 + d1, 224, here) == 1:
            return e
        e += 1
    return -1


@integer_step
def _code_place(m, cells, tables, data, gap, e, last, large, k1, bin_bits, memory):
    """Code where in its bin an event is; the samples from the last event to it."""
    place, known = 0, 1
    elapsed = (last - large + (e << bin_bits)) >> bin_bits
    d1 = _near(elapsed - (memory[len(memory) - 4] >> bin_bits), 4)
    for b in range(bin_bits - 1, -1, -1):
        bit = (gap >> b) & 1
        number = bin_bits - 1 - b
        if number < 4:
            find_bucket(m, cells, 0, (8 << 27) + (k1 * 64 + least(e, 63)) * 16 + known)
            find_bucket(m, cells, 1, (9 << 27) + (d1 * 16 + known) * 4 + least(e, 3))
            find_bucket(m, cells, 2, (10 << 27) + known * 64 + least(e, 63))
            bit = code_decision(m, cells, tables, data, 3, 0, 433 + number, 437, 225, bit)
        else:
            bit = code_bit(m, data, 32768, bit)
        known = known * 2 + bit
        place = place * 2 + bit
    return (e << bin_bits) + place


@integer_step
def _code_kernel(m, cells, tables, data, kernel, e, elapsed, k1, k2, bin_bits, depth, memory):
    """Code of which kernel an event is, by halving their number."""
    found, known = 0, 1
    d1 = _near((elapsed - memory[len(memory) - 4]) >> bin_bits, 6)
    for b in range(depth - 1, -1, -1):
        find_bucket(m, cells, 0, (11 << 27) + k1 * 64 + known)
        find_bucket(m, cells, 1, (12 << 27) + (k1 * 65 + k2) * 64 + known)
        find_bucket(m, cells, 2, (13 << 27) + (k1 * 64 + least(e, 63)) * 64 + known)
        find_bucket(m, cells, 3, (14 << 27) + (d1 * 64 + least(e, 15)) * 64 + known)
        find_bucket(m, cells, 4, (15 << 27) + known)
        first, second = 438 + least(7, known), 446 + depth - 1 - b
        bit = code_decision(m, cells, tables, data, 5, 0, first, second, 226, (kernel >> b) & 1)
        known = known * 2 + bit
        found = found * 2 + bit
    return found


@integer_step
def _see_size(memory, size, interval):
    """Remember an event's size, and its interval if it is large; whether it is."""
    rhythm = len(memory) - 4
    is_large = 2 * size >= memory[rhythm + 3] >> 4
    if is_large:
        memory[rhythm + 1], memory[rhythm] = memory[rhythm], interval
        memory[rhythm + 2] += (interval - memory[rhythm + 2]) >> 2
    memory[rhythm + 3] += ((size << 4) - memory[rhythm + 3]) >> 3
    return is_large


@integer_step
def _code_amplitude(m, cells, tables, data, kernel, channel, memory, state, amplitude):
    """Code an amplitude as its difference from the mean of its kernel; the amplitude."""
    mean = (memory[state] + 8) >> 4
    v = _code_difference(m, cells, tables, data, kernel, channel, memory, state, amplitude - mean)
    memory[state + 2], memory[state + 1] = memory[state + 1], v
    memory[state + 4] += ((size_of(v) << 4) - memory[state + 4]) >> 2
    v += mean
    seen = least(7, memory[state + 3])
    memory[state] += ((v << 4) - memory[state]) // (seen + 1)
    memory[state + 3] = seen + 1
    return v


@integer_step
def _code_difference(m, cells, tables, data, kernel, channel, memory, state, v):
    """Code a difference in the contexts of those before."""
    spread = least(15, memory[state + 4] >> 2) if memory[state + 4] < 64 else 15
    wide = digits(memory[state + 4], 15)
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
        rest, bits = size - 9, 0
        length = digits(rest, 33) - 1
        while bits < 32:
            if code_simple(m, data, 512 + bits, 1 if bits < length else 0) == 0:
                break
            bits += 1
        result = 1
        for i in range(bits - 1, -1, -1):
            result = (result << 1) | code_bit(m, data, 32768, (rest >> i) & 1)
        k = result + 9
    return k if positive == 1 else -k
