"""The three sparse selections on NumPy arrays, compiled: the hot path of the project.

Each public function takes contiguous maps and one parameter per map and writes the activation
map: the kept values at their positions, zeros elsewhere. It returns False where it met a NaN.
Maps are independent and no function holds the GIL. Definitions: `san.activations`.

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

import math

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic, overload

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_reassociating = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})

_SPARSE = 8  # samples per candidate from where a list of candidates pays
_CHUNK = 4096  # samples that are looked at while they are in the nearest cache
_FEW = 8  # samples that are searched faster one by one than as vectors


def extrema_1d(maps, min_distance, alpha):
    """Keep the extrema of each map (rows of `maps`, shape (M, L)); `min_distance` (M,)."""
    bits, mask, _ = as_integers(maps)
    return _extrema_1d(maps, bits, mask, min_distance, alpha)


def extrema_pool(maps, pool_size, alpha):
    """Keep the largest magnitude of each window of each image (M, H, W); `pool_size` (M, 2)."""
    bits, mask, infinity = as_integers(maps)
    return _extrema_pool(maps, bits, mask, infinity, pool_size, alpha)


def top_k_absolutes(maps, k, alpha):
    """Keep the k largest magnitudes of each map (rows of `maps`, shape (M, L)); `k` (M,)."""
    bits, mask, infinity = as_integers(maps)
    number = np.zeros(1, maps.dtype)
    convert = (number, number.view(bits.dtype))
    return _top_k_absolutes(maps, bits, mask, infinity, convert, k, alpha)


_INTEGERS = {  # of the same size as a float: the type, clear sign bit, infinity
    np.dtype(np.float32): (np.int32, np.int32(0x7FFFFFFF), np.int32(0x7F800000)),
    np.dtype(np.float64): (np.int64, np.int64(0x7FFFFFFFFFFFFFFF), np.int64(0x7FF0000000000000)),
}


def as_integers(maps):
    """The maps as integers, the integer that clears the sign, and that of infinity."""
    integer, mask, infinity = _INTEGERS[maps.dtype]
    return maps.view(integer), mask, infinity


# What the selections share


@intrinsic
def _trailing_zeros(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@compiled
def has_nan(s):
    found = False
    for t in range(s.size):
        found |= s[t] != s[t]
    return found


@compiled
def _magnitudes(bits, mask, magnitudes):
    """Clear the signs; return the largest."""
    for t in range(bits.size):
        magnitudes[t] = bits[t] & mask
    largest = magnitudes[0]
    for t in range(bits.size):
        magnitude = magnitudes[t]
        largest = magnitude if magnitude > largest else largest
    return largest


@compiled
def _first_of_few(magnitudes, start, stop):
    """The index of the largest of magnitudes[start:stop], the first of equals."""
    # Unsigned indices: signed ones are looked at for being negative, which slows every loop.
    best, largest = np.uint64(start), magnitudes[np.uint64(start)]
    for t in range(np.uint64(start + 1), np.uint64(stop)):
        larger = magnitudes[t] > largest
        best = t if larger else best
        largest = magnitudes[t] if larger else largest
    return np.int64(best)


def _first_of_many(magnitudes, start, stop):
    """The same, as vectors where magnitude and place fit into one number."""
    return start + int(np.argmax(magnitudes[start:stop]))


@overload(_first_of_many)
def _compiled_first_of_many(magnitudes, start, stop):
    def packed(magnitudes, start, stop):
        begin, key = np.uint64(start), np.int64(0)
        for t in range(np.uint64(stop - start)):
            magnitude = np.int64(magnitudes[begin + t]) << np.int64(32)
            key = max(key, magnitude | np.int64(0x7FFFFFFF - np.int64(t)))
        return start + 0x7FFFFFFF - (key & 0x7FFFFFFF)

    return packed if magnitudes.dtype.bitwidth == 32 else _first_of_few.py_func


@compiled
def list_flags(flags, base, positions, count):
    """Append base + the indices of non-zero flags to a list that has `count`; the new count.

    Eight flags are looked at as one word, and most words are empty.
    """
    words = flags.view(np.uint64)
    for i in range(words.size):
        word = words[i]
        while word != 0:
            positions[count] = base + 8 * i + np.int64(_trailing_zeros(word) >> np.uint64(3))
            count += 1
            word &= word - np.uint64(1)
    return count


# Extrema, one dimension


@compiled
def _extrema_1d(maps, bits, mask, min_distance, alpha):
    samples = maps.shape[1]
    flags = np.zeros(_CHUNK, np.uint8)
    candidates = np.empty(samples // _SPARSE + _CHUNK, np.int64)
    waiting, limits = np.empty(samples + 1, np.int64), np.empty(samples + 1, np.int64)
    heights, magnitudes = np.empty(candidates.size, bits.dtype), np.empty(samples, bits.dtype)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        found, sparse = 0, True
        for begin in range(0, samples, _CHUNK):
            stop = min(begin + _CHUNK, samples)
            if has_nan(s[begin:stop]):
                return False
            a[begin:stop] = 0
            _mark_candidates(s, begin, stop, flags)
            if sparse:
                found = list_flags(flags, begin, candidates, found)
                sparse = found * _SPARSE < samples
                if not sparse:  # the list has become too long: lay it out
                    magnitudes[:stop] = 0
                    for j in range(found):
                        magnitudes[candidates[j]] = bits[i, candidates[j]] & mask
            else:
                _lay_out(bits[i, begin:stop], mask, flags, magnitudes[begin:stop])
        if sparse:
            for j in range(found):
                heights[j] = bits[i, candidates[j]] & mask
            _climb_list(s, candidates, heights, found, min_distance[i], waiting, limits, a)
        else:
            _climb_map(s, magnitudes, min_distance[i], waiting, limits, a)
    return True


@compiled
def _mark_candidates(s, begin, stop, flags):
    """Flag peaks above zero (left edge of a plateau) and valleys below it (right edge).

    flags[0] is that of s[begin]; those after s[stop - 1] are cleared.
    """
    last = s.size - 1
    first, end = max(begin, 1), min(stop, last)
    flags[0] = 0
    flags[stop - begin - 1 :] = 0
    marked, here = flags[first - begin :], s[first:end]
    before, after = s[first - 1 :], s[first + 1 :]
    for t in range(here.size):
        rises, will_rise = here[t] > before[t], after[t] > here[t]
        marked[t] = (rises ^ will_rise) & ((here[t] > 0) == rises) & (here[t] != 0)
    # Beyond a border nothing changes: no peak at the start, no valley at the end.
    if begin == 0 and last > 0:
        flags[0] = (s[1] > s[0]) & (s[0] < 0)
    if stop == s.size and last > 0:
        flags[last - begin] = (s[last] > s[last - 1]) & (s[last] > 0)


@compiled
def _lay_out(bits, mask, flags, magnitudes):
    zero = mask & 0
    for t in range(magnitudes.size):
        magnitudes[t] = bits[t] & (mask if flags[t] else zero)


@compiled
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


@compiled
def _climb_map(s, magnitudes, distance, waiting, limits, a):
    """Climb from sample to sample; what is no candidate has magnitude zero."""
    start, limit, top = 0, s.size, -1
    while start < limit:
        stop = min(limit, start + distance + 1)
        if distance < _FEW:
            summit = _first_of_few(magnitudes, start, stop)
        else:
            summit = _first_of_many(magnitudes, start, stop)
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


# Extrema-Pool and top-k


@compiled
def _extrema_pool(maps, bits, mask, infinity, pool_size, alpha):
    """An image is walked through in strips of a window's height, a row in chunks of windows."""
    height, width = maps.shape[1:]
    room = _CHUNK
    for i in range(maps.shape[0]):
        tall, wide = _window(pool_size[i])
        room = max(room, wide if tall == 1 else min(tall, height) * width)
    magnitudes = np.empty(room, bits.dtype)
    for i in range(maps.shape[0]):
        tall, wide = _window(pool_size[i])
        s, a, b = maps[i].reshape(-1), alpha[i].reshape(-1), bits[i].reshape(-1)
        if tall > 1:
            ends = height // tall * tall * width
            for begin in range(0, ends, tall * width):
                end = begin + tall * width
                if _magnitudes(b[begin:end], mask, magnitudes) > infinity:
                    return False
                a[begin:end] = 0
                _pool_strip(s[begin:end], magnitudes, tall, wide, width, a[begin:end])
            if ends < s.size and has_nan(s[ends:]):
                return False
            a[ends:] = 0
            continue
        step = max(_CHUNK // wide, 1) * wide
        for row in range(0, s.size, width):
            for begin in range(row, row + width, step):
                end = min(begin + step, row + width)
                if _magnitudes(b[begin:end], mask, magnitudes) > infinity:
                    return False
                a[begin:end] = 0
                _pool_chunk(s[begin:end], magnitudes, wide, a[begin:end])
    return True


@compiled
def _window(pool_size):
    return (pool_size[0] if pool_size.size > 1 else 1), pool_size[-1]


@compiled
def _pool_chunk(s, magnitudes, wide, a):
    if wide < _FEW:
        for start in range(0, s.size - wide + 1, wide):
            best = _first_of_few(magnitudes, start, start + wide)
            a[best] = s[best]
    else:
        for start in range(0, s.size - wide + 1, wide):
            best = _first_of_many(magnitudes, start, start + wide)
            a[best] = s[best]


@compiled
def _pool_strip(s, magnitudes, tall, wide, width, a):
    for start in range(0, width - wide + 1, wide):
        best = _first_of_few(magnitudes, start, start + wide)
        for row in range(start + width, start + tall * width, width):
            other = _first_of_few(magnitudes, row, row + wide)
            best = other if magnitudes[other] > magnitudes[best] else best
        a[best] = s[best]


@compiled
def _top_k_absolutes(maps, bits, mask, infinity, convert, k, alpha):
    samples, zero = maps.shape[1], maps.dtype.type(0)
    magnitudes = np.empty(samples, bits.dtype)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        largest = _magnitudes(bits[i], mask, magnitudes)
        if largest > infinity:
            return False
        below, ties = _threshold(s, magnitudes, largest, min(k[i], samples), convert)
        convert[1][0] = below
        threshold = convert[1][0]  # of the type of the magnitudes
        for t in range(samples):
            a[t] = s[t] if magnitudes[t] > threshold else zero
        t = 0
        while ties > 0:
            if magnitudes[t] == threshold:
                a[t] = s[t]
                ties -= 1
            t += 1
    return True


@compiled
def _threshold(s, magnitudes, largest, k, convert):
    """What the k largest are above, and how many that are equal to it belong to them as well.

    The number of samples from a magnitude on falls about exponentially: the search interpolates
    its logarithm between the bounds (Illinois), beginning with an exponential's guess from the
    mean, and every fourth step bisects the integers, which bounds the steps for any input. What
    is returned is exact; the floats only choose where to look.
    """
    number, number_bits = convert
    low, high, above = largest & 0, largest + 1, 0  # count from low >= k > count from high = above
    if k == 0:
        return largest, 0
    number_bits[0] = largest
    value_low, value_high = 0.0, float(number[0])
    excess_low, excess_high = math.log(magnitudes.size / k), math.log(0.5 / k)
    guess = float(_mean_magnitude(s)) * excess_low
    step = side = 0
    while high - low > 1:
        middle = low + (high - low) // 2
        if step % 4 < 3 and value_low < guess < value_high:
            number[0] = guess
            middle = min(max(number_bits[0], low + 1), high - 1)
        step += 1
        number_bits[0] = middle
        count = _count_from(magnitudes, number_bits[0])
        if count == k:
            return middle - 1, 0
        excess = math.log(max(count, 0.5) / k)
        if count > k:
            low, value_low, excess_low = middle, float(number[0]), excess
            excess_high *= 0.5 if side > 0 else 1.0
            side = 1
        else:
            high, value_high, excess_high, above = middle, float(number[0]), excess, count
            excess_low *= 0.5 if side < 0 else 1.0
            side = -1
        guess = value_low + (value_high - value_low) * excess_low / (excess_low - excess_high)
    return low, k - above


@_reassociating
def _mean_magnitude(s):
    total = s[0] * 0
    for t in range(s.size):
        total += abs(s[t])
    return total / s.size


@compiled
def _count_from(magnitudes, threshold):
    count = np.int32(0)
    for t in range(magnitudes.size):
        count = np.int32(count + np.int32(magnitudes[t] >= threshold))
    return np.int64(count)
