"""What compiled selections do with maps: magnitudes as integers, NaN, zeros, the gradient.

Without their sign bit, floats have the same order as the integers with the same bits, and a NaN is
above infinity.

Loops over a part of an array use unsigned indices. numba tests signed indices for negative values,
and then LLVM does not make vectors of the loop. A view of the part costs as much as a short loop.
"""

import numpy as np
from numba.extending import overload

from san.hot_path.cpu.vectors import bits_of, compiled, inlined


def as_integers(s):
    """s as integers, the integer that clears the sign, and that of infinity."""
    integer = np.int32 if s.dtype.itemsize == 4 else np.int64
    infinity = np.array(np.inf, s.dtype).view(integer)[()]
    return s.view(integer), integer(np.iinfo(integer).max), infinity


@overload(as_integers, inline="always")
def _compiled_as_integers(s):
    if s.dtype.bitwidth == 32:
        return lambda s: (bits_of(s), np.int32(0x7FFFFFFF), np.int32(0x7F800000))
    return lambda s: (
        bits_of(s),
        np.int64(0x7FFFFFFFFFFFFFFF),
        np.int64(0x7FF0000000000000),
    )


@inlined
def has_nan(s, begin, stop):
    """Say whether one of s[begin:stop] is a NaN."""
    first, found = np.uint64(begin), False
    for t in range(np.uint64(stop - begin)):
        found |= s[first + t] != s[first + t]
    return found


@inlined
def clear(a, begin, stop):
    """Set a[begin:stop] to zero."""
    first, zero = np.uint64(begin), a.dtype.type(0)
    for t in range(np.uint64(stop - begin)):
        a[first + t] = zero


@compiled
def pass_gradient(alpha, gradient, passed):
    """The gradient where alpha is not zero, and zeros elsewhere."""
    zero = gradient.dtype.type(0)
    for t in range(alpha.size):
        slope = gradient[t]
        passed[t] = slope if alpha[t] != 0 else zero
