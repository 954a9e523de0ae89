"""Rounds of greedy suppression over a whole map, compiled: for many candidates that are near.

A round keeps each candidate that is the largest within min_distance and removes the others there.
Greedy suppression keeps the same of the rest with and without the round, so rounds can end at any
time. On
noise the first one leaves less than a tenth of the candidates. Maps are words of candidates; their
magnitudes are laid out strip by strip.
"""

import numpy as np

from san.hot_path.cpu.vectors import (
    FULL,
    WORD,
    address_of,
    at,
    both,
    broadcast,
    chosen,
    count_ones,
    inlined,
    is_winner,
    lanes_of,
    larger,
    load,
    load_first,
    put,
    store,
    zeros,
)

STRIP = 4096  # samples of a round that are looked at while they are in the nearest cache
SPARSE = 8  # samples per candidate from where a list of candidates pays
NEAR = 16  # min_distance up to which rounds pay
_ROUNDS = 6  # adversarial maps would need as many as they have candidates


@inlined
def keep_winners(words, kept, bits, here, samples, mask, distance, heights, slid):
    """Move candidates that no larger one suppresses from words to kept; remove their neighbours.

    Candidates are left, fewer than one in SPARSE samples but for unusual maps; returns how many.
    """
    if distance == 0:
        for w in range(words.size):  # numba compiles an assignment of slices for seconds
            kept[w], words[w] = words[w], np.uint64(0)
        return 0
    for w in range(words.size):
        kept[w] = 0
    left, rounds = samples, 0
    while left * SPARSE > samples and rounds < _ROUNDS:
        for begin in range(0, samples, STRIP):
            end = min(begin + STRIP, samples)
            write_heights(words, bits, here, samples, mask, begin - WORD, end + WORD, heights)
            _slide(heights, slid, end - begin, distance)
            _take_winners(heights, slid, words, kept, begin, end, distance)
        left = np.int64(_remove_neighbours(words, kept, distance))
        rounds += 1
    return left


@inlined
def write_heights(words, bits, here, samples, mask, begin, end, heights):
    """Write the magnitudes of the candidates from `begin` to `end`, and zeros elsewhere.

    Both are whole words from the start of the map, or the end is beyond its end.
    """
    source, target = address_of(bits[here:]), address_of(heights)
    none, masks = zeros(source, FULL), broadcast(mask, zeros(source, FULL))
    lanes, size = lanes_of(source, FULL), np.uint64(samples)
    for t in range(begin, end, np.int64(lanes)):
        place, at_here = np.uint64(t - begin), np.uint64(t)
        if t < 0 or t >= samples:
            store(target, place, none)
        elif t + np.int64(lanes) <= samples:
            values = both(load(source, at_here, FULL), masks)
            store(target, place, chosen(_bits_from(words, at_here), values))
        else:
            values = both(load_first(source, at_here, size - at_here, none), masks)
            store(target, place, chosen(_bits_from(words, at_here), values))


@inlined
def _bits_from(words, t):
    return words[t // np.uint64(WORD)] >> (t % np.uint64(WORD))


@inlined
def _slide(heights, slid, samples, distance):
    """The largest of `distance` heights from each on; samples have a WORD before and after."""
    source, target = address_of(heights), address_of(slid)
    lanes, size = lanes_of(source, FULL), np.uint64(samples + 2 * WORD)
    length = np.uint64(distance)
    done = min(np.uint64(2), length)
    t = np.uint64(0)
    while t < size:
        here, after = load(source, t, FULL), load(source, t + done - np.uint64(1), FULL)
        store(target, t, larger(here, after))
        t += lanes
    while done < length:
        step, t = min(done, length - done), np.uint64(0)
        while t < size:
            store(target, t, larger(load(target, t, FULL), load(target, t + step, FULL)))
            t += lanes
        done += step


@inlined
def _take_winners(heights, slid, words, kept, begin, end, distance):
    """Keep what is larger than all before it within reach, and not smaller than all after it."""
    places, following = address_of(heights), address_of(slid)
    reach, one, first = np.uint64(distance), np.uint64(1), np.uint64(WORD)
    for w in range(begin // WORD, (end + WORD - 1) // WORD):
        wins, lane = np.uint64(0), np.uint64(0)
        while lane < np.uint64(WORD):
            t = first + lane
            before, after = load(following, t - reach, FULL), load(following, t + one, FULL)
            wins |= is_winner(before, load(places, t, FULL), after) << lane
            lane += lanes_of(places, FULL)
        kept[w] |= wins & words[w]
        first += np.uint64(WORD)


@inlined
def _remove_neighbours(words, kept, distance):
    """Remove candidates near kept ones; count those that are left."""
    reach, beyond = np.uint64(distance), np.uint64(WORD - distance)
    left, before, here = np.uint64(0), np.uint64(0), kept[0]
    for w in range(words.size):
        after = kept[w + 1] if w + 1 < words.size else np.uint64(0)
        near, radius = here, np.uint64(0)
        while radius < reach:
            step = min(radius + np.uint64(1), reach - radius)
            near |= (near << step) | (near >> step)
            radius += step
        # All up to the highest one that reaches here from the word before, and so from after.
        low, high, shift = before >> beyond, after << beyond, np.uint64(1)
        while shift < np.uint64(NEAR):
            low, high = low | (low >> shift), high | (high << shift)
            shift += shift
        words[w] &= ~(near | low | high)
        left += count_ones(words[w])
        before, here = here, after
    return left


@inlined
def write_kept(s, here, samples, kept, a):
    """Write the samples that have a one, and zeros."""
    source, target = address_of(s[here:]), address_of(a[here:])
    lanes, size, t = lanes_of(source, FULL), np.uint64(samples), np.uint64(0)
    while t + lanes <= size:
        store(target, t, chosen(_bits_from(kept, t), load(source, t, FULL)))
        t += lanes
    while t < size:
        is_kept = _bits_from(kept, t) & np.uint64(1)
        put(target, t, at(source, t) if is_kept != 0 else s.dtype.type(0))
        t += np.uint64(1)
