"""Lists of places, compiled: from flags, or from the non-zeros of a map, to ascending indices.

Eight flags are looked at as one word. In the maps of this project most words are empty, which
makes a list cost a fraction of looking at each sample.
"""

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
# Helpers of compiled functions become part of their callers, which halves the time to compile.
inlined = numba.njit(nogil=True, error_model="numpy", inline="always")

CHUNK = 4096  # samples that are looked at while they are in the nearest cache


@intrinsic
def _trailing_zeros(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@inlined
def clear(a, begin, stop):
    """Set a[begin:stop] to zero."""
    first, zero = np.uint64(begin), a.dtype.type(0)
    for t in range(np.uint64(stop - begin)):
        a[first + t] = zero


@inlined
def list_flags(flags, size, base, places, count):
    """Append base + the indices of non-zero flags to a list that has `count`; the new count.

    Flags after `size` are zero up to a whole word of eight.
    """
    words = flags.view(np.uint64)
    for i in range(np.uint64((size + 7) // 8)):
        word = words[i]
        while word != 0:
            place = base + 8 * np.int64(i) + np.int64(_trailing_zeros(word) >> np.uint64(3))
            places[count] = place
            count += 1
            word &= word - np.uint64(1)
    return count


@inlined
def list_events(alpha, begin, stop, flags, places, count):
    """Append the indices of the non-zeros of alpha[begin:stop], at most CHUNK of them."""
    first, size = np.uint64(begin), np.uint64(stop - begin)
    for t in range(size):
        flags[t] = alpha[first + t] != 0
    for t in range(size, size + np.uint64(8)):
        flags[t] = 0
    return list_flags(flags, stop - begin, begin, places, count)


@inlined
def new_flags():
    """Room for the flags of a chunk."""
    return np.zeros(CHUNK + 8, np.uint8)


@compiled
def nonzeros(alpha):
    """The indices of the non-zeros of a flat array."""
    count = np.int64(0)
    for t in range(alpha.size):
        count += alpha[t] != 0
    places, flags = np.empty(count, np.int64), new_flags()
    found = 0
    for begin in range(0, alpha.size, CHUNK):
        found = list_events(alpha, begin, min(begin + CHUNK, alpha.size), flags, places, found)
    return places
