"""Events as decisions: when the next one comes, of which kernel, how strong in each channel.

Time since the last event is counted in bins. For each bin the coder decides whether the next event
is in it; the contexts are the kernels before and the rhythm, which is the last intervals between
large events. An amplitude is coded as its difference from the running mean of its kernel.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from san.codec.entropy.loops import integer_loop, integer_step, least, most, size_of
from san.codec.entropy.mixing import code_decision, code_simple, digits
from san.codec.entropy.range_coder import ENCODING, EVEN, code_bit
from san.codec.modes.ranges import (
    AMPLITUDE_BITS,
    AMPLITUDE_CONTEXTS,
    AMPLITUDE_INPUTS,
    AMPLITUDE_LARGER_ROWS,
    AMPLITUDE_LENGTHS,
    AMPLITUDE_SETS,
    AMPLITUDE_SIGN_ROW,
    AMPLITUDE_ZERO_ROW,
    BIN_CONTEXTS,
    BIN_INPUTS,
    BIN_ROW,
    BIN_SETS,
    DEPTH_SETS,
    FAR_SETS,
    KERNEL_CONTEXTS,
    KERNEL_INPUTS,
    KERNEL_ROW,
    LAG_SETS,
    LAGS,
    LARGER,
    LARGER_KINDS,
    LARGEST_MIXED,
    MAX_KERNELS,
    NODE_SETS,
    NODES,
    PLACE_BITS,
    PLACE_CONTEXTS,
    PLACE_INPUTS,
    PLACE_ROW,
    PLACE_SETS,
    PLACES_SET,
    SIGN,
    WIDTH_SETS,
    WIDTHS,
    ZERO,
    find_own,
)

BINS = 64  # bins after an event that contexts tell apart, the last stands for all others
# What is remembered: STATE numbers per kernel and channel, then RHYTHM numbers.
STATE = 8
MEAN, LAST, BEFORE_LAST, SEEN, SPREAD = range(5)  # of amplitudes, in 1/16; of their differences
RHYTHM = 4  # of large events, in samples: the last interval, the one before, the mean; mean size
INTERVAL, INTERVAL_BEFORE, MEAN_INTERVAL, MEAN_SIZE = range(-RHYTHM, 0)


@dataclass(frozen=True)
class QuantizedEvents:
    """Events in order of their start, with amplitudes in steps of the quantizer."""

    starts: np.ndarray  # int64 (E,): the kernel's first sample
    kernels: np.ndarray  # int64 (E,)
    amplitudes: np.ndarray  # int64 (E, channels), in steps of the quantizer

    def __len__(self) -> int:
        return len(self.starts)


class Past(NamedTuple):
    """What came before an event."""

    start: int  # of the event before, 0 without one
    large: int  # the start of the last large event
    bin: int  # in which the event before was, after the one before that
    kernel: int  # of the event before, MAX_KERNELS without one
    earlier: int  # the kernel of the event before that


def no_events(channels: int) -> QuantizedEvents:
    """Events of so many channels, of which there are none."""
    none = np.zeros(0, np.int64)
    return QuantizedEvents(none, none, np.zeros((0, channels), np.int64))


def new_memory(kernels: int, channels: int) -> np.ndarray:
    """The memory of `code_events` before the first event, for so many kernels: int64 zeros."""
    return np.zeros(((STATE * channels) << tree_bits(kernels)) + RHYTHM, np.int64)


def tree_bits(kernels: int) -> int:
    """The number of binary decisions that tell one of so many kernels."""
    return max(0, kernels - 1).bit_length()


def capacity(samples: int, length: int) -> int:
    """The most events of kernels of this length that so many samples may have."""
    return 16 * samples // length + 1


@integer_step
def _near(v, limit):
    """v within -limit ... limit, as a number from 0 on."""
    return least(limit, most(-limit, v)) + limit


@integer_loop
def code_events(
    mixer, starts, kernels, amplitudes, count, samples, bin_bits, depth, channels, memory
):
    """Code `count` events, sorted by start; the number of events, or -1 if there are too many.

    The decoder fills the arrays and ignores `count`. `amplitudes` holds `channels` numbers per
    event. A bin has 2**bin_bits samples, and `depth` decisions tell the kernel. `memory` holds what
    was seen before; it is changed.
    """
    encoding = mixer.m[ENCODING]
    done = 0
    past = Past(0, 0, 0, MAX_KERNELS, MAX_KERNELS)
    while True:
        gap, kernel = -1, 0
        if done < count and encoding == 1:
            gap, kernel = starts[done] - past.start, kernels[done]
        e = _code_bin(mixer, gap, past, samples, bin_bits, memory)
        if e < 0:
            break
        if done >= len(starts):
            return -1
        start = past.start + _code_place(mixer, gap, e, past, bin_bits, memory)
        if start >= samples:
            return -1
        kernel = _code_kernel(mixer, kernel, e, start, past, bin_bits, depth, memory)
        size = 0
        for c in range(channels):
            i = done * channels + c
            v = amplitudes[i] if encoding == 1 else 0
            amplitudes[i] = _code_amplitude(mixer, kernel, c, channels, memory, v)
            size += size_of(amplitudes[i])
        starts[done], kernels[done] = start, kernel
        done += 1
        large = start if _see_size(memory, size, start - past.large) else past.large
        past = Past(start, large, e, kernel, past.kernel)
    return done


@integer_step
def _elapsed_bins(past, e, bin_bits):
    """Bins from the last large event to bin e after the event before."""
    return (past.start - past.large + (e << bin_bits)) >> bin_bits


@integer_step
def _code_bin(mixer, gap, past, samples, bin_bits, memory):
    """Code in which bin after the last event the next one is; -1 if there is none."""
    goal = gap >> bin_bits if gap >= 0 else -1
    k1, k2, limit = past.kernel, past.earlier, LAGS >> 1
    rhythm = len(memory)
    e = 0
    while past.start + (e << bin_bits) < samples:
        far, elapsed = least(e, BINS - 1), _elapsed_bins(past, e, bin_bits)
        d1 = _near(elapsed - (memory[rhythm + INTERVAL] >> bin_bits), limit)
        d2 = _near(elapsed - (memory[rhythm + MEAN_INTERVAL] >> bin_bits), limit)
        d3 = _near(elapsed - (memory[rhythm + INTERVAL_BEFORE] >> bin_bits), limit)
        find_own(mixer, BIN_CONTEXTS, 0, k1 * 64 + far)
        find_own(mixer, BIN_CONTEXTS, 1, (k1 * 65 + k2) * 64 + far)
        find_own(mixer, BIN_CONTEXTS, 2, k1 * 64 + d1)
        find_own(mixer, BIN_CONTEXTS, 3, d2 * 64 + least(far, 15))
        find_own(mixer, BIN_CONTEXTS, 4, (d1 * 64 + d3) * 2 + (1 if e == 0 else 0))
        find_own(mixer, BIN_CONTEXTS, 5, least(past.bin, BINS - 1) * 64 + far)
        find_own(mixer, BIN_CONTEXTS, 6, d2 * 64 + d1)
        first, second = BIN_SETS + least(far, FAR_SETS - 1), LAG_SETS + d1
        here = 1 if e == goal else 0
        if code_decision(mixer, BIN_INPUTS, ZERO, first, second, BIN_ROW, here) == 1:
            return e
        e += 1
    return -1


@integer_step
def _code_place(mixer, gap, e, past, bin_bits, memory):
    """Code where in its bin an event is; the samples from the last event to it."""
    place, known = 0, 1
    interval = memory[len(memory) + INTERVAL]
    d1 = _near(_elapsed_bins(past, e, bin_bits) - (interval >> bin_bits), 4)
    for b in range(bin_bits - 1, -1, -1):
        bit = (gap >> b) & 1
        number = bin_bits - 1 - b
        if number < PLACE_BITS:
            context = (past.kernel * 64 + least(e, BINS - 1)) * 16 + known
            find_own(mixer, PLACE_CONTEXTS, 0, context)
            find_own(mixer, PLACE_CONTEXTS, 1, (d1 * 16 + known) * 4 + least(e, 3))
            find_own(mixer, PLACE_CONTEXTS, 2, known * 64 + least(e, BINS - 1))
            bit = code_decision(
                mixer, PLACE_INPUTS, ZERO, PLACE_SETS + number, PLACES_SET, PLACE_ROW, bit
            )
        else:
            bit = code_bit(mixer.m, mixer.data, EVEN, bit)
        known = known * 2 + bit
        place = place * 2 + bit
    return (e << bin_bits) + place


@integer_step
def _code_kernel(mixer, kernel, e, start, past, bin_bits, depth, memory):
    """Code of which kernel an event is: each decision halves the kernels that it may be."""
    found, known = 0, 1
    k1, k2 = past.kernel, past.earlier
    d1 = _near((start - past.large - memory[len(memory) + INTERVAL]) >> bin_bits, 6)
    for b in range(depth - 1, -1, -1):
        find_own(mixer, KERNEL_CONTEXTS, 0, k1 * 64 + known)
        find_own(mixer, KERNEL_CONTEXTS, 1, (k1 * 65 + k2) * 64 + known)
        find_own(mixer, KERNEL_CONTEXTS, 2, (k1 * 64 + least(e, BINS - 1)) * 64 + known)
        find_own(mixer, KERNEL_CONTEXTS, 3, (d1 * 64 + least(e, 15)) * 64 + known)
        find_own(mixer, KERNEL_CONTEXTS, 4, known)
        first, second = NODE_SETS + least(known, NODES - 1), DEPTH_SETS + depth - 1 - b
        bit = (kernel >> b) & 1
        bit = code_decision(mixer, KERNEL_INPUTS, ZERO, first, second, KERNEL_ROW, bit)
        known = known * 2 + bit
        found = found * 2 + bit
    return found


@integer_step
def _see_size(memory, size, interval):
    """Remember an event's size, and its interval if it is large; whether it is."""
    rhythm = len(memory)
    is_large = 2 * size >= memory[rhythm + MEAN_SIZE] >> 4
    if is_large:
        memory[rhythm + INTERVAL_BEFORE] = memory[rhythm + INTERVAL]
        memory[rhythm + INTERVAL] = interval
        memory[rhythm + MEAN_INTERVAL] += (interval - memory[rhythm + MEAN_INTERVAL]) >> 2
    memory[rhythm + MEAN_SIZE] += ((size << 4) - memory[rhythm + MEAN_SIZE]) >> 3
    return is_large


@integer_step
def _code_amplitude(mixer, kernel, channel, channels, memory, amplitude):
    """Code an amplitude as its difference from the mean of its kernel; the amplitude."""
    own = (kernel * channels + channel) * STATE
    mean = (memory[own + MEAN] + 8) >> 4
    v = _code_difference(mixer, kernel, channel, memory, own, amplitude - mean)
    memory[own + BEFORE_LAST], memory[own + LAST] = memory[own + LAST], v
    memory[own + SPREAD] += ((size_of(v) << 4) - memory[own + SPREAD]) >> 2
    v += mean
    seen = least(7, memory[own + SEEN])
    memory[own + MEAN] += ((v << 4) - memory[own + MEAN]) // (seen + 1)
    memory[own + SEEN] = seen + 1
    return v


@integer_step
def _code_difference(mixer, kernel, channel, memory, own, v):
    """Code a difference in the contexts of those before: zero, sign, magnitude; returns it."""
    spread, wide = least(15, memory[own + SPREAD] >> 2), digits(memory[own + SPREAD], WIDTHS - 1)
    d1, d2 = _near(memory[own + LAST], 7), _near(memory[own + BEFORE_LAST], 4)
    seen, which = least(3, memory[own + SEEN]), kernel * 64 + least(channel, 63)
    find_own(mixer, AMPLITUDE_CONTEXTS, 0, which * 4 + seen)
    find_own(mixer, AMPLITUDE_CONTEXTS, 1, which * 16 + d1)
    find_own(mixer, AMPLITUDE_CONTEXTS, 2, (d1 * 16 + d2) * 4 + seen)
    find_own(mixer, AMPLITUDE_CONTEXTS, 3, (spread * 16 + wide) * 4 + seen)
    find_own(mixer, AMPLITUDE_CONTEXTS, 4, wide * 16 + seen)
    size = size_of(v)
    if _ask(mixer, ZERO, wide, AMPLITUDE_ZERO_ROW, 1 if size > 0 else 0) == 0:
        return 0
    positive = _ask(mixer, SIGN, wide, AMPLITUDE_SIGN_ROW, 1 if v > 0 else 0)
    k = 1
    while k <= LARGEST_MIXED:
        row = AMPLITUDE_LARGER_ROWS + least(k, LARGER_KINDS) - 1
        if _ask(mixer, LARGER + k, wide, row, 1 if size > k else 0) == 0:
            break
        k += 1
    if k > LARGEST_MIXED:
        k += _code_rest(mixer, size - k)
    return k if positive == 1 else -k


@integer_step
def _ask(mixer, cell, wide, row, bit):
    """Code one decision about a difference."""
    first, second = AMPLITUDE_SETS + cell, WIDTH_SETS + wide
    return code_decision(mixer, AMPLITUDE_INPUTS, cell, first, second, row, bit)


@integer_step
def _code_rest(mixer, rest):
    """Code a number from 0 below 2**AMPLITUDE_BITS: its length in simple bits, then its bits."""
    rest += 1
    length, bits = digits(rest, AMPLITUDE_BITS + 1) - 1, 0
    while bits < AMPLITUDE_BITS:
        if code_simple(mixer, AMPLITUDE_LENGTHS + bits, 1 if bits < length else 0) == 0:
            break
        bits += 1
    result = 1
    for i in range(bits - 1, -1, -1):
        result = (result << 1) | code_bit(mixer.m, mixer.data, EVEN, (rest >> i) & 1)
    return result - 1
