"""Lists of places, compiled: from words of answers, or a map, to ascending indices.

A word answers for 64 samples. In the maps of this project few of its bits are one, which makes a
list cost a fraction of looking at each sample.
"""

import numpy as np

from san.hot_path.cpu.vectors import (
    FULL,
    WORD,
    address_of,
    compiled,
    inlined,
    is_not_zero,
    lanes_of,
    load,
    load_first,
    put,
    trailing_zeros,
    zeros,
)


@inlined
def list_ones(word, base, places, count):
    """Append base + the places of the ones of a word to a list that has `count`; the new count.

    The list is given by its address.
    """
    while word != 0:
        put(places, count, np.int64(base + trailing_zeros(word)))
        word &= word - np.uint64(1)
        count += np.uint64(1)
    return count


@inlined
def list_events(alpha, begin, stop, places, count):
    """Append the indices of the non-zeros of alpha[begin:stop] to a list; the new count."""
    values, listed, found = address_of(alpha), address_of(places), np.uint64(count)
    t, end = np.uint64(begin), np.uint64(stop)
    while t < end:
        found = list_ones(_events_from(values, t, end), t, listed, found)
        t += np.uint64(WORD)
    return np.int64(found)


@inlined
def _events_from(values, t, stop):
    """The word of non-zeros of the 64 values from t on, without what is at or after `stop`."""
    word, lane, lanes = np.uint64(0), np.uint64(0), lanes_of(values, FULL)
    if t + np.uint64(WORD) <= stop:
        while lane < np.uint64(WORD):
            word |= is_not_zero(load(values, t + lane, FULL)) << lane
            lane += lanes
    else:
        left, none = stop - t, zeros(values, FULL)
        while lane < left:
            word |= is_not_zero(load_first(values, t + lane, left - lane, none)) << lane
            lane += lanes
    return word


@compiled
def nonzeros(alpha):
    """The indices of the non-zeros of a flat array."""
    count = np.int64(0)
    for t in range(alpha.size):
        count += alpha[t] != 0
    places = np.empty(count, np.int64)
    list_events(alpha, 0, alpha.size, places, 0)
    return places
