"""Top-k absolutes on NumPy arrays, compiled: a threshold is searched, no sample is sorted.

As in `activations_cpu`: flat, contiguous maps (M, samples) and a k for each, False where a map
holds a NaN, and no function holds the GIL.
"""

import math

import numpy as np

from san.activations_cpu import as_integers
from san.events_cpu import CHUNK, clear, compiled, inlined, list_flags, new_flags

_LONG = 50_000  # samples of a map whose top k are looked for between bounds from a sample
_SAMPLED = 4096  # samples of that sample, about


def top_k_absolutes(maps, size, k, alpha):
    """Keep the k largest magnitudes of each map."""
    bits, mask, infinity = as_integers(maps)
    number = np.zeros(1, maps.dtype)
    convert = (number, number.view(bits.dtype))
    return _top_k_absolutes(maps, bits, mask, infinity, convert, k, alpha)


@compiled
def _top_k_absolutes(maps, bits, mask, infinity, convert, k, alpha):
    samples = maps.shape[1]
    magnitudes = np.empty(min(samples, _LONG), bits.dtype)
    share = 0.5  # of the largest magnitude: where the threshold of the map before was
    for i in range(maps.shape[0]):
        wanted = min(k[i], samples)
        if samples > _LONG:
            largest, below, ties = _threshold_of_long(bits[i], mask, infinity, wanted, convert)
        else:
            largest = _magnitudes(bits[i], 0, samples, mask, magnitudes)
            below, ties = 0, 0
            if largest <= infinity:
                height, none = _as_float(largest, convert), np.int64(0)
                below, ties = _threshold(
                    magnitudes, samples, none, largest + 1, share * height, wanted, convert
                )
                share = _as_float(below, convert) / height if height > 0 else share
        if largest > infinity:
            return False
        _keep_above(maps[i], bits[i], mask, below, ties, convert, alpha[i])
    return True


@inlined
def _keep_above(s, bits, mask, below, ties, convert, a):
    """Keep what is above a threshold, and the first `ties` samples that are equal to it."""
    convert[1][0] = below
    threshold, zero = convert[1][0], s.dtype.type(0)  # of the type of the magnitudes
    for t in range(s.size):
        a[t] = s[t] if (bits[t] & mask) > threshold else zero
    t = 0
    while ties > 0:
        if (bits[t] & mask) == threshold:
            a[t] = s[t]
            ties -= 1
        t += 1


@inlined
def _magnitudes(bits, begin, stop, mask, magnitudes):
    """Clear the signs of bits[begin:stop]; return the largest."""
    first, size = np.uint64(begin), np.uint64(stop - begin)
    for t in range(size):
        magnitudes[t] = bits[first + t] & mask
    largest = magnitudes[0]
    for t in range(size):
        largest = magnitudes[t] if magnitudes[t] > largest else largest
    return largest


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
    flags, listed = new_flags(), np.empty(CHUNK, np.int64)
    magnitudes, between = np.empty(CHUNK, bits.dtype), np.empty(CHUNK, bits.dtype)
    number_bits = convert[1]
    number_bits[0] = low
    lower = number_bits[0]  # of the type of the magnitudes
    number_bits[0] = high
    upper, largest = number_bits[0], number_bits[0] & 0
    above = size = 0
    for begin in range(0, bits.size, CHUNK):
        count = min(CHUNK, bits.size - begin)
        largest = max(largest, _magnitudes(bits, begin, begin + count, mask, magnitudes))
        above += count - _count_up_to(magnitudes, count, upper)
        clear(flags, count, count + 8)
        for t in range(np.uint64(count)):
            flags[t] = (magnitudes[t] >= lower) & (magnitudes[t] <= upper)
        found = list_flags(flags, count, 0, listed, 0)
        if size + found > between.size:
            between = np.concatenate((between, np.empty(between.size + found, between.dtype)))
        for j in range(found):
            between[size + j] = magnitudes[listed[j]]
        size += found
    return largest, above, between, size


@inlined
def _count_up_to(magnitudes, size, threshold):
    count = np.int32(0)
    for t in range(np.uint64(size)):
        count = np.int32(count + np.int32(magnitudes[t] <= threshold))
    return np.int64(count)
