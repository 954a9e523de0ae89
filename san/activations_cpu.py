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

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_reassociating = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})

_SPARSE = 8  # samples per candidate from where a list of candidates pays
_FEW = 8  # samples that are searched faster one by one than as vectors
_ROUNDS = 6  # of suppression in two dimensions, after which a sort finishes the map


def extrema_1d(maps, min_distance, alpha):
    """Keep the extrema of each map (rows of `maps`, shape (M, L)); `min_distance` (M,)."""
    bits, mask, _ = _as_integers(maps)
    return _extrema_1d(maps, bits, mask, min_distance, alpha)


def extrema_2d(maps, min_distance, alpha):
    """Keep the extrema of each image (`maps`, shape (M, H, W)); `min_distance` (M, 2)."""
    bits, mask, _ = _as_integers(maps)
    return _extrema_2d(maps, bits, mask, min_distance, alpha)


def extrema_pool(maps, pool_size, alpha):
    """Keep the largest magnitude of each window of each image (M, H, W); `pool_size` (M, 2)."""
    bits, mask, infinity = _as_integers(maps)
    return _extrema_pool(maps, bits, mask, infinity, pool_size, alpha)


def top_k_absolutes(maps, k, alpha):
    """Keep the k largest magnitudes of each map (rows of `maps`, shape (M, L)); `k` (M,)."""
    bits, mask, infinity = _as_integers(maps)
    number = np.zeros(1, maps.dtype)
    convert = (number, number.view(bits.dtype))
    return _top_k_absolutes(maps, bits, mask, infinity, convert, k, alpha)


_INTEGERS = {  # of the same size as a float: the type, clear sign bit, infinity
    np.dtype(np.float32): (np.int32, np.int32(0x7FFFFFFF), np.int32(0x7F800000)),
    np.dtype(np.float64): (np.int64, np.int64(0x7FFFFFFFFFFFFFFF), np.int64(0x7FF0000000000000)),
}


def _as_integers(maps):
    """The maps as integers, the integer that clears the sign, and that of infinity."""
    integer, mask, infinity = _INTEGERS[maps.dtype]
    return maps.view(integer), mask, infinity


# What the selections share


@intrinsic
def _trailing_zeros(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@_compiled
def _has_nan(s):
    found = False
    for t in range(s.size):
        found |= s[t] != s[t]
    return found


@_compiled
def _magnitudes(bits, mask, magnitudes):
    """Clear the signs; return the largest."""
    for t in range(bits.size):
        magnitudes[t] = bits[t] & mask
    largest = magnitudes[0]
    for t in range(bits.size):
        magnitude = magnitudes[t]
        largest = magnitude if magnitude > largest else largest
    return largest


@_compiled
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


@_compiled
def _list_flags(flags, positions):
    """List the indices of non-zero flags; eight are looked at as one word, most are empty."""
    words = flags.view(np.uint64)
    count = 0
    for i in range(words.size):
        word = words[i]
        while word != 0:
            positions[count] = 8 * i + np.int64(_trailing_zeros(word) >> np.uint64(3))
            count += 1
            word &= word - np.uint64(1)
    return count


# Extrema, one dimension


@_compiled
def _extrema_1d(maps, bits, mask, min_distance, alpha):
    samples = maps.shape[1]
    padded = (samples + 7) // 8 * 8  # so that flags are whole words
    flags, zero = np.zeros(padded, np.uint8), bits.dtype.type(0)
    magnitudes, candidates = np.empty(padded, bits.dtype), np.empty(padded, np.int64)
    waiting, limits = np.empty(padded + 1, np.int64), np.empty(padded + 1, np.int64)
    for i in range(maps.shape[0]):
        s, a = maps[i], alpha[i]
        if _has_nan(s):
            return False
        a[:] = 0
        found = _mark_candidates(s, flags)
        if found * _SPARSE < samples:
            _list_flags(flags, candidates)
            for j in range(found):
                magnitudes[j] = bits[i, candidates[j]] & mask
            _climb_list(s, candidates, magnitudes, found, min_distance[i], waiting, limits, a)
        else:
            for t in range(samples):
                magnitudes[t] = bits[i, t] & (mask if flags[t] else zero)
            _climb_map(s, magnitudes, min_distance[i], waiting, limits, a)
    return True


@_compiled
def _mark_candidates(s, flags):
    """Flag peaks above zero (left edge of a plateau) and valleys below it (right edge)."""
    last = s.size - 1
    for t in range(1, last):
        here = s[t]
        rises, will_rise = here > s[t - 1], s[t + 1] > here
        flags[t] = (rises ^ will_rise) & ((here > 0) == rises) & (here != 0)
    if last > 0:  # beyond a border nothing changes: no peak at the start, no valley at the end
        flags[0] = (s[1] > s[0]) & (s[0] < 0)
        flags[last] = (s[last] > s[last - 1]) & (s[last] > 0)
    found = np.int32(0)
    for t in range(s.size):
        found = np.int32(found + flags[t])
    return np.int64(found)


@_compiled
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


@_compiled
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


# Extrema, two dimensions


@_compiled
def _extrema_2d(maps, bits, mask, min_distance, alpha):
    """Rounds over the whole image: keep what is largest in its own box, clear its box, repeat.

    The image lies in flat memory with zeros between its rows and around it, so that what is
    largest in each box is found by sliding along the rows and then along the columns.
    """
    height, width = maps.shape[1:]
    room = 1
    for i in range(maps.shape[0]):
        tall, wide = _reach(min_distance[i], height, width)
        room = max(room, (height + 2 * tall) * (width + wide) + 2 * wide)
    magnitudes, work = np.empty(room, bits.dtype), np.empty((3, room), bits.dtype)
    zero = bits.dtype.type(0)
    wins, near = np.zeros(room, np.uint8), np.empty((4, room), np.uint8)
    flags = np.zeros(width, np.uint8)
    for i in range(maps.shape[0]):
        for y in range(height):
            if _has_nan(maps[i, y]):
                return False
        tall, wide = _reach(min_distance[i], height, width)
        pitch = width + wide
        origin = tall * pitch + wide
        size = (height + 2 * tall) * pitch + 2 * wide
        magnitudes[:size] = 0
        left = 0
        for y in range(height):
            left += _mark_candidates_of_row(maps[i], y, flags)
            row = magnitudes[origin + y * pitch :]
            for x in range(width):
                row[x] = bits[i, y, x] & (mask if flags[x] else zero)
        alpha[i] = 0
        rounds = 0
        while left > 0 and rounds < _ROUNDS:
            _mark_winners(magnitudes[:size], tall, wide, pitch, wins, work)
            for y in range(height):
                won = wins[origin + y * pitch :]
                for x in range(width):
                    alpha[i, y, x] = maps[i, y, x] if won[x] else alpha[i, y, x]
            left = _clear_boxes(magnitudes[:size], tall, wide, pitch, wins, near)
            rounds += 1
        if left > 0:
            _finish_by_sort(maps[i], magnitudes[:size], tall, wide, pitch, alpha[i])
    return True


@_compiled
def _reach(min_distance, height, width):
    return min(min_distance[0], height), min(min_distance[1], width)


@_compiled
def _mark_candidates_of_row(s, y, flags):
    """Flag the samples of a row that are peaks (or valleys) along both axes."""
    here = s[y]
    if _mark_candidates(here, flags) == 0:
        return 0
    up, down = s[max(y - 1, 0)], s[min(y + 1, s.shape[0] - 1)]
    found = np.int32(0)
    for x in range(here.size):
        peak = (here[x] > up[x]) & (down[x] <= here[x]) & (here[x] > 0)
        valley = (down[x] > here[x]) & (here[x] <= up[x]) & (here[x] < 0)
        flags[x] &= peak | valley
        found = np.int32(found + flags[x])
    return np.int64(found)


@_compiled
def _mark_winners(magnitudes, tall, wide, pitch, wins, work):
    """Mark what is larger than all before it in its box and not smaller than all after it."""
    size = magnitudes.size
    beside = _slide(magnitudes, 1, wide, work[0], work[1])
    rows = work[2]
    rows[:wide] = 0
    rows[size - wide - 1 : size] = 0
    for t in range(wide, size - wide - 1):
        here, left, right = magnitudes[t], beside[t - wide], beside[t + 1]
        larger = left if left > right else right
        rows[t] = here if here > larger else larger
        wins[t] = (here > left) & (here >= right)
    across = _slide(rows[:size], pitch, tall, work[0], work[1])
    for t in range(wide + tall * pitch, size - wide - tall * pitch):
        here = magnitudes[t]
        wins[t] &= (here > across[t - tall * pitch]) & (here >= across[t + pitch])


@_compiled
def _clear_boxes(magnitudes, tall, wide, pitch, wins, near):
    """Clear the boxes around the winners; return how many candidates are left."""
    size, origin, zero = magnitudes.size, tall * pitch + wide, magnitudes.dtype.type(0)
    wins[:origin] = 0
    wins[size - origin : size] = 0
    beside = _slide(wins[:size], 1, 2 * wide + 1, near[0], near[1])
    boxes = _slide(beside[:size], pitch, 2 * tall + 1, near[2], near[3])
    left = np.int32(0)
    for t in range(origin, size - origin):
        magnitudes[t] = zero if boxes[t - origin] else magnitudes[t]
        left = np.int32(left + np.int32(magnitudes[t] > 0))
    return np.int64(left)


@_compiled
def _slide(values, step, length, out, spare):
    """The largest of values[t], values[t + step] and so on, `length` of them, at each t."""
    size, done, source = values.size, 1, values
    if length == 0:
        out[:size] = 0
        return out
    while done < length:
        more = min(done, length - done)
        size -= step * more
        shifted = source[step * more :]
        for t in range(size):
            out[t] = source[t] if source[t] > shifted[t] else shifted[t]
        source, out, spare = out, spare, out
        done += more
    return source


@_compiled
def _finish_by_sort(s, magnitudes, tall, wide, pitch, a):
    """Finish an adversarial image: greedily, in order of falling magnitude."""
    origin = tall * pitch + wide
    left = np.flatnonzero(magnitudes)
    for t in left[np.argsort(-magnitudes[left], kind="mergesort")]:
        if magnitudes[t] != 0:
            y, x = (t - origin) // pitch, (t - origin) % pitch
            a[y, x] = s[y, x]
            for row in range(-tall, tall + 1):
                begin = t + row * pitch - wide
                magnitudes[begin : begin + 2 * wide + 1] = 0


# Extrema-Pool and top-k


@_compiled
def _extrema_pool(maps, bits, mask, infinity, pool_size, alpha):
    height, width = maps.shape[1:]
    magnitudes = np.empty(height * width, bits.dtype)
    for i in range(maps.shape[0]):
        s, a = maps[i].reshape(-1), alpha[i].reshape(-1)
        if _magnitudes(bits[i].reshape(-1), mask, magnitudes) > infinity:
            return False
        a[:] = 0
        tall, wide = pool_size[i, 0] if pool_size.shape[1] > 1 else 1, pool_size[i, -1]
        for top in range(0, height - tall + 1, tall):
            begin, end = top * width, top * width + width - wide + 1
            if tall > 1:
                for start in range(begin, end, wide):
                    best = _first_of_few(magnitudes, start, start + wide)
                    for row in range(start + width, start + tall * width, width):
                        other = _first_of_few(magnitudes, row, row + wide)
                        best = other if magnitudes[other] > magnitudes[best] else best
                    a[best] = s[best]
            elif wide < _FEW:
                for start in range(begin, end, wide):
                    best = _first_of_few(magnitudes, start, start + wide)
                    a[best] = s[best]
            else:
                for start in range(begin, end, wide):
                    best = _first_of_many(magnitudes, start, start + wide)
                    a[best] = s[best]
    return True


@_compiled
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


@_compiled
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


@_compiled
def _count_from(magnitudes, threshold):
    count = np.int32(0)
    for t in range(magnitudes.size):
        count = np.int32(count + np.int32(magnitudes[t] >= threshold))
    return np.int64(count)
