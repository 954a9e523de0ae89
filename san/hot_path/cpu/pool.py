"""Extrema-Pool on NumPy arrays, compiled: the first of the largest of each window.

Maps are given as to `extrema`. Narrow windows are searched as one or two vectors a row, without
a branch; wide ones for their largest first, then for where it is. A map of one axis is an image of
one row.
"""

import numpy as np

from san.hot_path.cpu.maps import as_integers, clear, has_nan
from san.hot_path.cpu.vectors import (
    FULL,
    HALF,
    QUARTER,
    address_of,
    at,
    both,
    broadcast,
    chosen,
    compiled,
    first_lanes,
    inlined,
    is_at_least,
    is_equal,
    lanes_of,
    larger,
    largest,
    load,
    store,
    trailing_zeros,
    zeros,
)

_NARROWEST = 3  # samples of windows that are looked at side by side
_STRIP = 1024  # samples that are cleared before they are searched
_NARROW = 8  # windows for which clearing what is clear pays: it brings the memory near


@compiled
def extrema_pool(s, size, pool_size, a, is_clear):
    """Keep the largest magnitude of each window of each map."""
    if len(size) == 1:
        return _pool_maps(s, size[0], pool_size, a, is_clear)
    return _pool_images(s, size[0], size[-1], pool_size, a, is_clear)


@inlined
def _pool_maps(s, samples, pool_size, a, is_clear):
    bits, mask, infinity = as_integers(s)
    masks, masked = np.empty((_NARROWEST, _NARROWEST, 2), np.uint64), 0
    for i in range(len(pool_size)):
        wide, here = pool_size[i, 0], i * samples
        whole = here + samples // wide * wide  # the end of whole windows
        if 1 < wide <= _NARROWEST:
            if wide != masked:
                _mask_neighbours(masks, wide, np.int64(lanes_of(address_of(s), FULL)))
                masked = wide
            if _pool_side_by_side(s, bits, a, mask, here, whole, wide, masks) > infinity:
                return False
            here = whole
        strip = max(wide, _STRIP // wide * wide)
        for begin in range(here, whole, strip):
            stop = min(begin + strip, whole)
            if not is_clear or wide < _NARROW:
                clear(a, begin, stop)
            if _pool(s, bits, a, mask, begin, stop, 1, wide, samples) > infinity:
                return False
        end = (i + 1) * samples
        if not is_clear:
            clear(a, whole, end)
        if has_nan(s, whole, end):
            return False
    return True


@inlined
def _mask_neighbours(masks, wide, lanes):
    """By the place in its window of a vector's first sample: which lanes have a neighbour there.

    A neighbour is j samples before or after, in the same window.
    """
    for first in range(wide):
        for j in range(1, wide):
            before, after = np.uint64(0), np.uint64(0)
            for lane in range(lanes):
                place, bit = (first + lane) % wide, np.uint64(1) << np.uint64(lane)
                before |= bit if place >= j else np.uint64(0)
                after |= bit if place + j < wide else np.uint64(0)
            masks[first, j, 0], masks[first, j, 1] = before, after


@inlined
def _pool_side_by_side(s, bits, a, mask, begin, end, wide, masks):
    """The narrowest windows: each sample of a vector looks at its neighbours, all is written.

    The first and the last windows, around which there may be nothing to load, are searched alone.
    """
    values, places, target = address_of(s), address_of(bits), address_of(a)
    lanes, start, stop = np.int64(lanes_of(places, FULL)), begin + wide, end - wide
    signs = broadcast(mask, zeros(places, FULL))
    high, first = zeros(places, FULL), 0
    t = np.uint64(start)
    for _ in range((stop - start) // lanes):
        here, losers = both(load(places, t, FULL), signs), np.uint64(0)
        for j in range(1, wide):
            before = both(load(places, t - np.uint64(j), FULL), signs)
            after = both(load(places, t + np.uint64(j), FULL), signs)
            losers |= is_at_least(before, here) & masks[first, j, 0]
            losers |= ~is_at_least(here, after) & masks[first, j, 1]
        store(target, t, chosen(~losers, load(values, t, FULL)))
        high = larger(high, here)
        t += np.uint64(lanes)
        first = (first + lanes) % wide
    done = min(np.int64(t), end)
    clear(a, begin, min(start, end))
    clear(a, done, end)
    window = np.uint64(1), np.uint64(wide), np.uint64(end)
    one, alone = np.uint64(begin), np.uint64(begin + (done - begin) // wide * wide)
    first_one = _keep_each(
        _first_by_one, FULL, s, places, a, mask, one, np.uint64(min(start, end)), window
    )
    last_ones = _keep_each(_first_by_one, FULL, s, places, a, mask, alone, np.uint64(end), window)
    return max(largest(high), max(first_one, last_ones))


@inlined
def _pool_images(s, height, width, pool_size, a, is_clear):
    bits, mask, infinity = as_integers(s)
    for i in range(len(pool_size)):
        tall, wide = pool_size[i]
        here, rest = i * height * width, width // wide * wide
        whole, end = here + height // tall * tall * width, here + height * width
        if not is_clear:
            clear(a, here, end)
        for begin in range(here, whole, tall * width):
            if _pool(s, bits, a, mask, begin, begin + rest, tall, wide, width) > infinity:
                return False
        for row in range(here, whole, width):
            if has_nan(s, row + rest, row + width):
                return False
        if has_nan(s, whole, end):
            return False
    return True


@compiled
def _pool(s, bits, a, mask, begin, end, tall, wide, width):
    """Keep the largest of each window of a strip that begins in bits[begin:end].

    Windows have `tall` rows that begin `width` samples after each other. Returns the largest of
    all, which is above infinity where there is a NaN.
    """
    window, start = (np.uint64(tall), np.uint64(wide), np.uint64(width)), np.uint64(begin)
    stop = np.uint64(end)
    places = address_of(bits)
    half, quarter = np.int64(lanes_of(places, HALF)), np.int64(lanes_of(places, QUARTER))
    if wide > 2 * half:
        return _keep_each(_first_of_many, HALF, s, places, a, mask, start, stop, window)
    if wide > half:
        return _keep_each(_first_of_two, HALF, s, places, a, mask, start, stop, window)
    # The last windows, after which the maps end, are shorter than a vector.
    room = s.size - (tall - 1) * width - (quarter if wide <= quarter else half) - begin
    whole = min(room // wide + 1, (end - begin) // wide) if room >= 0 else 0
    middle = np.uint64(begin + whole * wide)
    if wide > quarter:
        highest = _keep_each(_first_of_one, HALF, s, places, a, mask, start, middle, window)
    elif tall > 1:
        highest = _keep_each_of_rows(QUARTER, s, places, a, mask, start, middle, window)
    else:
        highest = _keep_each(_first_of_one, QUARTER, s, places, a, mask, start, middle, window)
    last = _keep_each(_first_by_one, QUARTER, s, places, a, mask, middle, stop, window)
    return max(highest, last)


@inlined
def _keep_each(first_of, size, s, bits, a, mask, start, stop, window):
    tall, wide, width = window
    highest = mask & 0
    while start < stop:
        best = first_of(size, bits, mask, start, wide)
        row = start + width
        while row < start + tall * width:
            other = first_of(size, bits, mask, row, wide)
            best = other if (at(bits, other) & mask) > (at(bits, best) & mask) else best
            row += width
        a[best] = s[best]
        highest = max(highest, at(bits, best) & mask)
        start += wide
    return highest


@inlined
def _keep_each_of_rows(size, s, bits, a, mask, start, stop, window):
    """The same for rows of at most one vector: first the largest of a window, then its place."""
    tall, wide, width = window
    masks = broadcast(mask, zeros(bits, size))
    none = broadcast(~(mask & 0), masks)
    highest = mask & 0
    while start < stop:
        high, row, best = none, start, start
        while row < start + tall * width:
            high = larger(high, first_lanes(both(load(bits, row, size), masks), wide, none))
            row += width
        levels = broadcast(largest(high), masks)
        while row > start:  # the rows above replace what is found
            row -= width
            here = first_lanes(both(load(bits, row, size), masks), wide, none)
            found = is_equal(here, levels)
            best = row + trailing_zeros(found) if found != 0 else best
        a[best] = s[best]
        highest = max(highest, at(bits, best) & mask)
        start += wide
    return highest


# The first place of the largest magnitude of bits[start : start + wide].


@inlined
def _first_of_one(size, bits, mask, start, wide):
    """At most one vector."""
    masks = broadcast(mask, zeros(bits, size))
    high = first_lanes(both(load(bits, start, size), masks), wide, broadcast(~(mask & 0), masks))
    return start + trailing_zeros(is_equal(high, broadcast(largest(high), masks)))


@inlined
def _first_of_two(size, bits, mask, start, wide):
    """One to two vectors, which overlap."""
    masks = broadcast(mask, zeros(bits, size))
    second = wide - lanes_of(bits, size)
    left = both(load(bits, start, size), masks)
    right = both(load(bits, start + second, size), masks)
    highest = broadcast(largest(larger(left, right)), masks)
    return start + trailing_zeros(is_equal(left, highest) | (is_equal(right, highest) << second))


@inlined
def _first_of_many(size, bits, mask, start, wide):
    """More than a vector, of which the last one overlaps; the search ends where it finds."""
    masks, step = broadcast(mask, zeros(bits, size)), lanes_of(bits, size)
    last = start + wide - step
    high, t = both(load(bits, last, size), masks), start
    while t < last:
        high = larger(high, both(load(bits, t, size), masks))
        t += step
    highest, t = broadcast(largest(high), masks), start
    found = is_equal(both(load(bits, t, size), masks), highest)
    while found == 0:
        t = min(t + step, last)
        found = is_equal(both(load(bits, t, size), masks), highest)
    return t + trailing_zeros(found)


@inlined
def _first_by_one(size, bits, mask, start, wide):
    """Sample by sample."""
    best, high = start, at(bits, start) & mask
    for t in range(start + np.uint64(1), start + wide):
        magnitude = at(bits, t) & mask
        best, high = (t, magnitude) if magnitude > high else (best, high)
    return best
