"""Top-k absolutes on NumPy arrays, compiled: a threshold is found, no sample is sorted.

Maps are given as to `extrema`. For few samples, the k-th largest of the largest of each lane
of vectors is a bound that hardly more than k samples reach. For more, the threshold is searched.
"""

import math

import numpy as np

from san.hot_path.cpu.maps import as_integers, clear
from san.hot_path.cpu.places import list_ones
from san.hot_path.cpu.vectors import (
    FULL,
    WORD,
    address_of,
    at,
    both,
    broadcast,
    chosen,
    compiled,
    count_ones,
    inlined,
    is_at_least,
    is_equal,
    lanes_of,
    larger,
    largest,
    load,
    load_first,
    put,
    store,
    zeros,
)

_FEW = 128  # samples that may reach the bound before a search is faster
_LONG = 50_000  # samples of a map whose top k are looked for between bounds from a sample
_SAMPLED = 4096  # samples of that sample, about
_CHUNK = 4096  # samples that are looked at while they are in the nearest cache


@compiled
def top_k_absolutes(s, size, k, a, is_clear):
    """Keep the k largest magnitudes of each map, which has one axis or is taken for it."""
    bits, mask, infinity = as_integers(s)
    number, (samples,) = np.zeros(1, s.dtype), size
    convert = (number, number.view(bits.dtype))
    magnitudes, places = np.empty(min(samples, _LONG), bits.dtype), np.empty(samples, np.int64)
    share = 0.5  # of the largest magnitude: where the threshold of the map before was
    for i in range(len(k)):
        here, wanted = i * samples, min(k[i], samples)
        if 2 * wanted <= np.int64(lanes_of(address_of(bits), FULL)):
            largest_one, found = _list_few(bits, here, samples, mask, wanted, places)
            if largest_one > infinity:
                return False
            if found <= min(_FEW, 4 * wanted + samples // _FEW):
                _keep_few(s, bits, here, samples, mask, wanted, places, found, a, is_clear)
                continue
        if samples > _LONG:
            largest_one, below, ties = _threshold_of_long(
                bits[here : here + samples], mask, infinity, wanted, convert
            )
        else:
            largest_one = _magnitudes(bits, here, here + samples, mask, magnitudes)
            below, ties = 0, 0
            if largest_one <= infinity:
                height, none = _as_float(largest_one, convert), np.int64(0)
                below, ties = _threshold(
                    magnitudes, samples, none, largest_one + 1, share * height, wanted, convert
                )
                share = _as_float(below, convert) / height if height > 0 else share
        if largest_one > infinity:
            return False
        _keep_above(s, bits, here, samples, mask, below, ties, convert, a)
    return True


@inlined
def _list_few(bits, here, samples, mask, k, places):
    """The largest magnitude, and how many samples are listed: all that can be of the k largest."""
    source, listed = address_of(bits[here:]), address_of(places)
    size, t, lanes = np.uint64(samples), np.uint64(0), lanes_of(source, FULL)
    none, masks = zeros(source, FULL), broadcast(mask, zeros(source, FULL))
    high = none
    while t + lanes <= size:
        high = larger(high, both(load(source, t, FULL), masks))
        t += lanes
    if t < size:
        high = larger(high, both(load_first(source, t, size - t, none), masks))
    largest_one = largest(high)
    for _ in range(k - 1):  # clear the largest lanes but for one
        top = is_equal(high, broadcast(largest(high), none))
        high = chosen(~(top & (np.uint64(0) - top)), high)
    bound = broadcast(max(largest(high), (mask & 0) + 1), none)  # a zero is nothing to keep
    found, begin = np.uint64(0), np.uint64(0)
    while begin < size:
        word, lane = np.uint64(0), np.uint64(0)
        while lane < np.uint64(WORD) and begin + lane + lanes <= size:
            values = both(load(source, begin + lane, FULL), masks)
            word |= is_at_least(values, bound) << lane
            lane += lanes
        if lane < np.uint64(WORD) and begin + lane < size:
            values = load_first(source, begin + lane, size - begin - lane, none)
            word |= is_at_least(both(values, masks), bound) << lane
        found = list_ones(word, begin, listed, found)
        begin += np.uint64(WORD)
    return largest_one, np.int64(found)


@inlined
def _keep_few(s, bits, here, samples, mask, k, places, found, a, is_clear):
    """Keep the k largest of some listed samples; of equals, the first."""
    while found > k:
        last, smallest = 0, bits[here + places[0]] & mask
        for j in range(1, found):
            magnitude = bits[here + places[j]] & mask
            last, smallest = (j, magnitude) if magnitude <= smallest else (last, smallest)
        for j in range(last + 1, found):
            places[j - 1] = places[j]
        found -= 1
    if not is_clear:
        clear(a, here, here + samples)
    for j in range(found):
        a[here + places[j]] = s[here + places[j]]


@inlined
def _keep_above(s, bits, here, samples, mask, below, ties, convert, a):
    """Keep what is above a threshold, and the first `ties` samples that are equal to it."""
    convert[1][0] = below
    threshold = convert[1][0]  # of the type of the magnitudes
    source, values, target = address_of(bits[here:]), address_of(s[here:]), address_of(a[here:])
    masks = broadcast(mask, zeros(source, FULL))
    bound = broadcast(threshold + (mask & 0) + 1, masks)
    t, size, lanes = np.uint64(0), np.uint64(samples), lanes_of(source, FULL)
    while t + lanes <= size:
        above = is_at_least(both(load(source, t, FULL), masks), bound)
        store(target, t, chosen(above, load(values, t, FULL)))
        t += lanes
    while t < size:
        is_above = (at(source, t) & mask) > threshold
        put(target, t, at(values, t) if is_above else s.dtype.type(0))
        t += np.uint64(1)
    t = np.uint64(0)
    while ties > 0:
        if (at(source, t) & mask) == threshold:
            put(target, t, at(values, t))
            ties -= 1
        t += np.uint64(1)


@inlined
def _magnitudes(bits, begin, stop, mask, magnitudes):
    """Clear the signs of bits[begin:stop]; return the largest."""
    first, size = np.uint64(begin), np.uint64(stop - begin)
    for t in range(size):
        magnitudes[t] = bits[first + t] & mask
    largest_one = magnitudes[0]
    for t in range(size):
        largest_one = magnitudes[t] if magnitudes[t] > largest_one else largest_one
    return largest_one


@inlined
def _as_float(magnitude, convert):
    number, number_bits = convert
    number_bits[0] = magnitude
    return float(number[0])


@inlined
def _threshold(magnitudes, size, low, high, guess, k, convert):
    """What the k largest are above, and how many that are equal to it belong to them as well.

    low <= magnitudes[:size] < high, and 1 <= k <= size. The number of samples from a magnitude on
    falls about exponentially: the search interpolates its logarithm between the bounds (Illinois),
    and every fourth step bisects the integers, which bounds the steps for any input. What is
    returned is exact; the floats only choose where to look.
    """
    from_low, from_high = size, 0  # the numbers of samples from the bounds on
    value_low, value_high = _as_float(low, convert), _as_float(high - 1, convert)
    excess_low, excess_high = _logarithm(size / k, convert), _logarithm(0.5 / k, convert)
    step = side = 0
    while from_low > k and high - low > 1:
        middle = low + (high - low) // 2
        if step % 4 < 3 and value_low < guess < value_high:
            convert[0][0] = guess
            middle = min(max(convert[1][0], low + 1), high - 1)
        step += 1
        value = _as_float(middle, convert)
        count = _count_from(magnitudes, size, convert[1][0])
        excess = _logarithm(max(count, 0.5) / k, convert)
        if count >= k:
            low, from_low, value_low, excess_low = middle, count, value, excess
            excess_high *= 0.5 if side > 0 else 1.0
            side = 1
        else:
            high, from_high, value_high, excess_high = middle, count, value, excess
            excess_low *= 0.5 if side < 0 else 1.0
            side = -1
        guess = value_low + (value_high - value_low) * excess_low / (excess_low - excess_high)
    return (low - 1, 0) if from_low == k else (low, k - from_high)


@inlined
def _logarithm(ratio, convert):
    """About proportional to the logarithm: a float's bits, read as an integer, are."""
    number, number_bits = convert
    number[0] = 1
    one = number_bits[0]
    number[0] = ratio
    return float(number_bits[0] - one)


@inlined
def _count_from(magnitudes, size, threshold):
    count = np.int32(0)
    for t in range(np.uint64(size)):
        count = np.int32(count + np.int32(magnitudes[t] >= threshold))
    return np.int64(count)


@inlined
def _threshold_of_long(bits, mask, infinity, k, convert):
    """The same for a long map, after its largest magnitude.

    A sample gives bounds, and one pass lists the magnitudes between them; where the threshold is
    not among them, all are looked at.
    """
    sample = np.empty(_SAMPLED, bits.dtype)
    for t in range(_SAMPLED):
        sample[t] = bits[t * (bits.size // _SAMPLED)] & mask
    sample.sort()
    rank = k * _SAMPLED // bits.size
    margin = 4 + 4 * int(math.sqrt(rank))
    first, last = _SAMPLED - 1 - rank - margin, _SAMPLED - 1 - rank + margin
    low = np.int64(sample[first]) if first >= 0 else 0
    high = np.int64(sample[last]) if last < _SAMPLED else np.int64(infinity)
    largest, above, between, size = _list_between(bits, mask, low, high, convert)
    if largest > infinity:
        return largest, np.int64(0), 0
    if not above < k <= above + size:
        low, high, above, size = np.int64(0), np.int64(infinity), 0, bits.size
        between = bits & mask
    guess = _as_float((low + high) // 2, convert)
    below, ties = _threshold(between, size, low, high + 1, guess, k - above, convert)
    return largest, below, ties


@inlined
def _list_between(bits, mask, low, high, convert):
    """The largest magnitude, how many are above `high`, and those from `low` to `high`."""
    number_bits = convert[1]
    number_bits[0] = low
    lower = number_bits[0]  # of the type of the magnitudes
    number_bits[0] = high
    upper, largest_one = number_bits[0], number_bits[0] & 0
    magnitudes, listed = np.empty(_CHUNK, bits.dtype), np.empty(_CHUNK, np.int64)
    between = np.empty(_CHUNK, bits.dtype)
    above = size = 0
    for begin in range(0, bits.size, _CHUNK):
        count = min(_CHUNK, bits.size - begin)
        largest_one = max(largest_one, _magnitudes(bits, begin, begin + count, mask, magnitudes))
        found, over = _list_inside(magnitudes, count, lower, upper, listed)
        above += over
        if size + found > between.size:
            between = np.concatenate((between, np.empty(between.size + found, between.dtype)))
        for j in range(found):
            between[size + j] = magnitudes[listed[j]]
        size += found
    return largest_one, above, between, size


@inlined
def _list_inside(magnitudes, size, lower, upper, places):
    """List what is neither below nor above the bounds; how many, and how many are above.

    There is room for whole words.
    """
    source, listed, end = address_of(magnitudes), address_of(places), np.uint64(size)
    lowest, highest = broadcast(lower, zeros(source, FULL)), broadcast(upper, zeros(source, FULL))
    begin, found, above = np.uint64(0), np.uint64(0), np.uint64(0)
    while begin < end:
        inside, over, lane = np.uint64(0), np.uint64(0), np.uint64(0)
        while lane < np.uint64(WORD):
            values = load(source, begin + lane, FULL)
            is_low = is_at_least(highest, values)
            inside |= (is_at_least(values, lowest) & is_low) << lane
            over |= (is_low ^ is_at_least(values, values)) << lane
            lane += lanes_of(source, FULL)
        if begin + np.uint64(WORD) > end:
            whole = (np.uint64(1) << (end - begin)) - np.uint64(1)
            inside, over = inside & whole, over & whole
        above += count_ones(over)
        found = list_ones(inside, begin, listed, found)
        begin += np.uint64(WORD)
    return np.int64(found), np.int64(above)
