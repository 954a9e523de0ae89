"""Extrema on NumPy arrays, compiled: the hot path of the project.

As every compiled selection, it takes maps that lie one after the other in one flat array, their
spatial size and the parameter of each map, (M, axes) or (M,), and writes the activation maps: the
kept values at their positions, and zeros elsewhere. If `is_clear`, the array must hold zeros only,
and no zeros are written. It returns False if it met a NaN. Maps are independent and no function
holds the GIL. Definitions: `san.activations`.

Greedy suppression, the heart of `extrema`, is done by *climbing*, which needs no sort and looks
at no sample more than a few times. From a start, go to the largest candidate within reach (start +
min_distance) to its right, and from there again, until none is larger. This summit is kept: what
is within reach to its left was passed on the way up, and is smaller. It removes its
neighbourhood. What remains to its right and to its left can no longer meet, and each is climbed
in turn; the climbs that wait are a stack. Summits are more than min_distance apart and each ends at
most two other climbs, so the time is linear in the samples for every input.

Where candidates are many and min_distance is small, rounds of vectors (`rounds`) come first.
"""

import numpy as np

from san.hot_path.cpu.maps import as_integers, clear
from san.hot_path.cpu.places import list_ones
from san.hot_path.cpu.rounds import NEAR, SPARSE, STRIP, keep_winners, write_heights, write_kept
from san.hot_path.cpu.vectors import (
    FULL,
    HALF,
    WORD,
    address_of,
    broadcast,
    compiled,
    count_ones,
    first_lanes,
    inlined,
    is_candidate,
    is_equal,
    is_nan,
    lanes_of,
    larger,
    largest,
    load,
    load_first,
    shift_by_one,
    trailing_zeros,
    zeros,
)


@compiled
def extrema(s, size, min_distance, a, is_clear):
    """Keep the extrema of each map that no larger one suppresses."""
    (samples,), (bits, mask, _) = size, as_integers(s)
    word_count, room = (samples + WORD - 1) // WORD, max(samples, STRIP) + 4 * WORD
    words, kept = np.empty(word_count, np.uint64), np.empty(word_count, np.uint64)
    candidates, magnitudes = np.empty(samples, np.int64), np.empty(samples, bits.dtype)
    heights, slid = np.empty(room, bits.dtype), np.empty(STRIP + 4 * WORD, bits.dtype)
    waiting, limits = np.empty(samples + 1, np.int64), np.empty(samples + 1, np.int64)
    for i in range(len(min_distance)):
        here, distance = i * samples, min_distance[i, 0]
        found, is_number = _mark_candidates(s, here, samples, words)
        if not is_number:
            return False
        is_sparse = found * SPARSE <= samples
        if not is_clear and (is_sparse or distance >= NEAR):
            clear(a, here, here + samples)
        if is_sparse:
            pass
        elif distance < NEAR:
            found = keep_winners(words, kept, bits, here, samples, mask, distance, heights, slid)
            write_kept(s, here, samples, kept, a)
        else:
            write_heights(words, bits, here, samples, mask, 0, samples + WORD, heights)
            _climb_map(s, here, samples, heights, distance, waiting, limits, a)
            continue
        _list_candidates(words, bits, here, mask, candidates, magnitudes)
        _climb_list(s, here, candidates, magnitudes, found, distance, waiting, limits, a)
    return True


@inlined
def _mark_candidates(s, here, samples, words):
    """Find peaks above zero (left edge of a plateau) and valleys below it (right edge).

    Returns their number, and whether there is no NaN.
    """
    values, size, begin = address_of(s[here:]), np.uint64(samples), np.uint64(0)
    found, nans = np.uint64(0), np.uint64(0)
    for w in range(words.size):
        word, nan = _candidates_from(values, begin, size)
        words[w] = word
        found += count_ones(word)
        nans |= nan
        begin += np.uint64(WORD)
    return np.int64(found), nans == 0


@inlined
def _candidates_from(s, begin, size):
    """The words of the candidates and of the NaNs among 64 samples.

    Beyond a border nothing changes: no peak at the start, no valley at the end.
    """
    word, nan, lane = np.uint64(0), np.uint64(0), np.uint64(0)
    one, lanes, all_of_them = np.uint64(1), lanes_of(s, FULL), np.uint64(WORD)
    if begin > 0 and begin + all_of_them < size:
        while lane < all_of_them:
            t = begin + lane
            here = load(s, t, FULL)
            word |= is_candidate(load(s, t - one, FULL), here, load(s, t + one, FULL)) << lane
            nan |= is_nan(here)
            lane += lanes
    else:
        left, none = min(size - begin, all_of_them), zeros(s, FULL)
        while lane < left:
            t, few = begin + lane, left - lane
            here = load_first(s, t, few, none)
            before = load_first(s, t - one, few, here) if t > 0 else shift_by_one(here)
            after = load_first(s, t + one, size - t - one, here)
            word |= is_candidate(before, here, after) << lane
            nan |= is_nan(here)
            lane += lanes
    return word, nan


@inlined
def _list_candidates(words, bits, here, mask, candidates, magnitudes):
    """The places and magnitudes of the candidates, in their order."""
    listed, found = address_of(candidates), np.uint64(0)
    for w in range(words.size):
        found = list_ones(words[w], np.uint64(w) * np.uint64(WORD), listed, found)
    for j in range(found):
        magnitudes[j] = bits[here + candidates[j]] & mask


@inlined
def _climb_list(s, here, candidates, magnitudes, found, distance, waiting, limits, a):
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
        a[here + candidates[start]] = s[here + candidates[start]]
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
def _climb_map(s, here, samples, heights, distance, waiting, limits, a):
    """Climb from sample to sample; what is no candidate has magnitude zero."""
    places, start, limit, top = address_of(heights), 0, samples, -1
    while start < limit:
        stop = min(limit, start + distance + 1)
        summit, height = _first_largest(places, start, stop)
        if height == 0:
            start = stop
        elif summit != start:
            top += 1
            waiting[top], limits[top] = start, limit
            start = summit
            continue
        else:
            a[here + start] = s[here + start]
            removed = start - distance
            while top >= 0 and waiting[top] >= removed:
                top -= 1
            if top >= 0:
                limits[top] = min(limits[top], removed)
            start += distance + 1
        while start >= limit and top >= 0:
            start, limit = waiting[top], limits[top]
            top -= 1


@inlined
def _first_largest(heights, start, stop):
    """The place of the largest of some heights, the first of equals, and its height.

    What lies after them is read as well, up to a vector.
    """
    lanes = lanes_of(heights, HALF)
    t, end = np.uint64(start), np.uint64(stop)
    none = zeros(heights, HALF)
    high = none
    while t < end:
        high = larger(high, first_lanes(load(heights, t, HALF), end - t, none))
        t += lanes
    height = largest(high)
    level, t = broadcast(height, none), np.uint64(start)
    found = is_equal(load(heights, t, HALF), level)
    while found == 0:
        t += lanes
        found = is_equal(load(heights, t, HALF), level)
    return np.int64(t + trailing_zeros(found)), height
