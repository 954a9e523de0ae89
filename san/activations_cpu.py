"""Extrema and Extrema-Pool on NumPy arrays, compiled: the hot path of the project.

Each public function takes flat, contiguous maps (M, samples), their spatial size and one parameter
per map, (M, axes) or (M,), and writes the activation maps: the kept values at their positions,
zeros elsewhere. It returns False where it met a NaN. Maps are independent and no function holds
the GIL. Definitions: `san.activations`.

Magnitudes are compared as integers: without their sign bit, floats are ordered as the integers
with the same bits are.

Greedy suppression, the heart of `extrema`, is done by *climbing*, which needs no sort and looks
at no sample more than a few times. From a start, go to the largest candidate within reach (start +
min_distance) to its right, and from there again, until none is larger. This summit is kept: what
is within reach to its left was passed on the way up, and is smaller. It removes its
neighbourhood. What remains to its right and to its left can no longer meet, and each is climbed
in turn; the climbs that wait are a stack. Summits are more than min_distance apart and each ends at
most two other climbs, so the time is linear in the samples for every input.
"""

import numpy as np
from numba.extending import overload

from san.events_cpu import CHUNK, clear, compiled, inlined, list_flags, new_flags

_SPARSE = 8  # samples per candidate from where a list of candidates pays
_STRIP = 1024  # samples that are cleared before they are searched
_FEW = 8  # samples that are searched faster one by one than as vectors


def extrema(maps, size, min_distance, alpha):
    """Keep the extrema of each map that no larger one suppresses."""
    bits, mask, _ = as_integers(maps)
    return _extrema(maps, bits, mask, min_distance, alpha)


def extrema_pool(maps, size, pool_size, alpha):
    """Keep the largest magnitude of each window of each map."""
    bits, mask, infinity = as_integers(maps)
    if len(size) == 1:
        return _extrema_pool(maps, bits, mask, infinity, pool_size, alpha)
    return _extrema_pool_2d(maps, bits, size[-1], mask, infinity, pool_size, alpha)


_INTEGERS = {  # of the same size as a float: the type, clear sign bit, infinity
    np.dtype(np.float32): (np.int32, np.int32(0x7FFFFFFF), np.int32(0x7F800000)),
    np.dtype(np.float64): (np.int64, np.int64(0x7FFFFFFFFFFFFFFF), np.int64(0x7FF0000000000000)),
}


def as_integers(maps):
    """The maps as integers, the integer that clears the sign, and that of infinity."""
    integer, mask, infinity = _INTEGERS[maps.dtype]
    return maps.view(integer), mask, infinity


# What the selections share


# Loops over a part of an array use unsigned indices: signed ones are looked at for being
# negative, which keeps a loop from being made of vectors, and views of the part cost as much as a
# short loop.


@inlined
def has_nan(s, begin, stop):
    """Say whether one of s[begin:stop] is a NaN."""
    first, found = np.uint64(begin), False
    for t in range(np.uint64(stop - begin)):
        found |= s[first + t] != s[first + t]
    return found


@inlined
def _first_of_few(bits, mask, start, stop):
    """The index of the largest magnitude of bits[start:stop], the first of equals."""
    best, largest = np.uint64(start), bits[np.uint64(start)] & mask
    for t in range(np.uint64(start + 1), np.uint64(stop)):
        larger = (bits[t] & mask) > largest
        best = t if larger else best
        largest = bits[t] & mask if larger else largest
    return np.int64(best)


def _first_of_many(bits, mask, start, stop):
    """The same, as vectors where magnitude and place fit into one number."""
    return start + int(np.argmax(bits[start:stop] & mask))


@overload(_first_of_many)
def _compiled_first_of_many(bits, mask, start, stop):
    def packed(bits, mask, start, stop):
        begin, key = np.uint64(start), np.int64(0)
        for t in range(np.uint64(stop - start)):
            magnitude = np.int64(bits[begin + t] & mask) << np.int64(32)
            key = max(key, magnitude | np.int64(0x7FFFFFFF - np.int64(t)))
        return start + 0x7FFFFFFF - (key & 0x7FFFFFFF)

    return packed if bits.dtype.bitwidth == 32 else _first_of_few.py_func


# Extrema, one dimension


@compiled
def _extrema(maps, bits, mask, min_distance, alpha):
    samples = maps.shape[1]
    flags = new_flags()
    candidates = np.empty(samples // _SPARSE + CHUNK, np.int64)
    waiting, limits = np.empty(samples + 1, np.int64), np.empty(samples + 1, np.int64)
    heights, magnitudes = np.empty(candidates.size, bits.dtype), np.empty(samples, bits.dtype)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        found, sparse = 0, True
        for begin in range(0, samples, CHUNK):
            stop = min(begin + CHUNK, samples)
            if has_nan(s, begin, stop):
                return False
            clear(a, begin, stop)
            marked = _mark_candidates(s, begin, stop, flags)
            if sparse and (found + marked) * _SPARSE >= samples:
                sparse = False  # lay out what the list has so far
                clear(magnitudes, 0, begin)
                for j in range(found):
                    magnitudes[candidates[j]] = bits[i, candidates[j]] & mask
            if sparse:
                found = list_flags(flags, stop - begin, begin, candidates, found)
            else:
                _lay_out(bits[i], begin, stop, mask, flags, magnitudes)
        if sparse:
            for j in range(found):
                heights[j] = bits[i, candidates[j]] & mask
            _climb_list(s, candidates, heights, found, min_distance[i, 0], waiting, limits, a)
        else:
            _climb_map(s, magnitudes, mask, min_distance[i, 0], waiting, limits, a)
    return True


@inlined
def _mark_candidates(s, begin, stop, flags):
    """Flag peaks above zero (left edge of a plateau) and valleys below it (right edge).

    flags[0] is that of s[begin]; after that of s[stop - 1] a word is cleared. Returns their
    number.
    """
    last = s.size - 1
    first, end = max(begin, 1), min(stop, last)
    flags[0] = 0
    clear(flags, max(end - begin, 0), stop - begin + 8)
    here, place = np.uint64(first), np.uint64(first - begin)
    for t in range(np.uint64(max(end - first, 0))):
        value = s[here + t]
        rises, will_rise = value > s[here + t - np.uint64(1)], s[here + t + np.uint64(1)] > value
        flags[place + t] = (rises ^ will_rise) & ((value > 0) == rises) & (value != 0)
    # Beyond a border nothing changes: no peak at the start, no valley at the end.
    if begin == 0 and last > 0:
        flags[0] = (s[1] > s[0]) & (s[0] < 0)
    if stop == s.size and last > 0:
        flags[last - begin] = (s[last] > s[last - 1]) & (s[last] > 0)
    marked = np.int32(0)
    for t in range(np.uint64(stop - begin)):
        marked = np.int32(marked + flags[t])
    return np.int64(marked)


@inlined
def _lay_out(bits, begin, stop, mask, flags, magnitudes):
    first, zero = np.uint64(begin), mask & 0
    for t in range(np.uint64(stop - begin)):
        magnitudes[first + t] = bits[first + t] & (mask if flags[t] else zero)


@inlined
def _climb_list(s, candidates, magnitudes, found, distance, waiting, limits, a):
    """Climb from candidate to candidate; limits are indices into the list of candidates."""
    start, limit, top = 0, found, -1
    while start < limit:
        reach = candidates[start] + distance
        summit, height = start, magnitudes[start]
        right = start + 1
        while right < limit and candidates[right] <= reach:
            higher = magnitudes[right] > height
            summit = right if higher else summit
            height = magnitudes[right] if higher else height
            right += 1
        if summit != start:
            top += 1
            waiting[top], limits[top] = start, limit
            start = summit
            continue
        a[candidates[start]] = s[candidates[start]]
        removed = candidates[start] - distance
        while top >= 0 and candidates[waiting[top]] >= removed:
            top -= 1
        if top >= 0:
            left = start
            while candidates[left - 1] >= removed:
                left -= 1
            limits[top] = min(limits[top], left)
        start = right
        while start >= limit and top >= 0:
            start, limit = waiting[top], limits[top]
            top -= 1


@inlined
def _climb_map(s, magnitudes, mask, distance, waiting, limits, a):
    """Climb from sample to sample; what is no candidate has magnitude zero."""
    start, limit, top = 0, s.size, -1
    while start < limit:
        stop = min(limit, start + distance + 1)
        if distance < _FEW:
            summit = _first_of_few(magnitudes, mask, start, stop)
        else:
            summit = _first_of_many(magnitudes, mask, start, stop)
        if magnitudes[summit] == 0:
            start = stop
        elif summit != start:
            top += 1
            waiting[top], limits[top] = start, limit
            start = summit
            continue
        else:
            a[start] = s[start]
            removed = start - distance
            while top >= 0 and waiting[top] >= removed:
                top -= 1
            if top >= 0:
                limits[top] = min(limits[top], removed)
            start += distance + 1
        while start >= limit and top >= 0:
            start, limit = waiting[top], limits[top]
            top -= 1


# Extrema-Pool


@compiled
def _extrema_pool(maps, bits, mask, infinity, pool_size, alpha):
    samples = maps.shape[1]
    for i in range(maps.shape[0]):
        s, a, b = maps[i], alpha[i], bits[i]
        wide = pool_size[i, 0]
        end = samples // wide * wide  # of whole windows
        strip = max(wide, _STRIP // wide * wide)
        for begin in range(0, end, strip):
            stop = min(begin + strip, end)
            clear(a, begin, stop)
            if wide < _FEW:
                largest = _pool_few(s, b, mask, begin, stop, wide, a)
            else:
                largest = _pool_many(s, b, mask, begin, stop, wide, a)
            if largest > infinity:
                return False
        clear(a, end, samples)
        if has_nan(s, end, samples):
            return False
    return True


@compiled
def _extrema_pool_2d(maps, bits, width, mask, infinity, pool_size, alpha):
    height = maps.shape[1] // width
    for i in range(maps.shape[0]):
        s, a, b = maps[i], alpha[i], bits[i]
        clear(a, 0, a.size)
        tall, wide = pool_size[i, 0], pool_size[i, 1]
        rows, rest = height // tall * tall, width // wide * wide  # of whole windows
        for row in range(0, rows, tall):
            begin = row * width
            largest = _pool_strip(s, b, mask, begin, begin + rest, tall, wide, width, a)
            if largest > infinity:
                return False
        for row in range(rows):
            if has_nan(s, row * width + rest, row * width + width):
                return False
        if has_nan(s, rows * width, s.size):
            return False
    return True


@inlined
def _pool_few(s, bits, mask, begin, end, wide, a):
    """Keep the largest of each window of bits[begin:end]; return the largest of all."""
    largest = mask & 0
    for start in range(begin, end, wide):
        best = _first_of_few(bits, mask, start, start + wide)
        a[best] = s[best]
        largest = max(largest, bits[best] & mask)
    return largest


@inlined
def _pool_many(s, bits, mask, begin, end, wide, a):
    largest = mask & 0
    for start in range(begin, end, wide):
        best = _first_of_many(bits, mask, start, start + wide)
        a[best] = s[best]
        largest = max(largest, bits[best] & mask)
    return largest


@inlined
def _pool_strip(s, bits, mask, begin, end, tall, wide, width, a):
    largest = mask & 0
    for start in range(begin, end, wide):
        best = _first_of_few(bits, mask, start, start + wide)
        for row in range(start + width, start + tall * width, width):
            other = _first_of_few(bits, mask, row, row + wide)
            best = other if (bits[other] & mask) > (bits[best] & mask) else best
        a[best] = s[best]
        largest = max(largest, bits[best] & mask)
    return largest
