"""Kernel and signal in contact, compiled: correlate, spread and the gradient of a kernel.

Signals come padded and flattened (shape (N, P)), maps likewise, of which the first `size`
positions count; a kernel is a table of runs (shape (R, m)), one
per row of its last axis, and `starts[r]` is where run r of the kernel at grid position 0 begins
in the flat signal. So one loop serves one, two or more dimensions and any number of channels.

Every similarity is summed tap by tap in the order of the kernel, and products are not fused
with sums. Equal patches therefore give equal bits wherever they lie, and the result does not
depend on the batch, on threads or on the instruction set. (Neither matrix products nor FFTs have
this property: on a flat stretch of signal their rounding makes extrema that are not there.)
"""

import numba
import numpy as np

from san.events_cpu import CHUNK, compiled, list_events, new_flags

_reassociating = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"}
)

_EVENT_COST = 64  # samples of a dense pass that take as long as visiting one event


@compiled
def correlate(padded, kernel, starts, size, similarity):
    """similarity[n, t] = sum over taps of kernel[r, j] padded[n, starts[r] + t + j]."""
    runs, taps = kernel.shape
    for n in range(padded.shape[0]):
        s = similarity[n, :size]
        s[:] = 0
        for r in range(runs):
            j = 0
            while j + 8 <= taps:  # eight taps for one load and one store of s
                x = padded[n, starts[r] + j :]
                w0, w1, w2, w3 = kernel[r, j], kernel[r, j + 1], kernel[r, j + 2], kernel[r, j + 3]
                k = j + 4
                w4, w5, w6, w7 = kernel[r, k], kernel[r, k + 1], kernel[r, k + 2], kernel[r, k + 3]
                for t in range(size):
                    total = s[t] + w0 * x[t]
                    total = total + w1 * x[t + 1]
                    total = total + w2 * x[t + 2]
                    total = total + w3 * x[t + 3]
                    total = total + w4 * x[t + 4]
                    total = total + w5 * x[t + 5]
                    total = total + w6 * x[t + 6]
                    s[t] = total + w7 * x[t + 7]
                j += 8
            while j < taps:
                x = padded[n, starts[r] + j :]
                w0 = kernel[r, j]
                for t in range(size):
                    s[t] = s[t] + w0 * x[t]
                j += 1


# What follows visits events where a map is sparse. `Places` of all maps are listed once, by
# `list_places`, and given to each function that visits them.


@compiled
def list_places(alpha, size, taps, counts, places):
    """List the events of each map; a count of -1 where a dense pass is faster."""
    flags = new_flags()
    for n in range(alpha.shape[0]):
        a = alpha[n]
        events = np.int32(0)
        for t in range(np.uint64(size)):
            events = np.int32(events + np.int32(a[t] != 0))
        counts[n] = -1
        if np.int64(events) * (taps + _EVENT_COST) < size * taps:
            counts[n] = 0
            for begin in range(0, size, CHUNK):
                stop = min(begin + CHUNK, size)
                counts[n] = list_events(a, begin, stop, flags, places[n], counts[n])


@compiled
def spread(alpha, counts, places, kernel, starts, size, padded):
    """padded[n, starts[r] + t + j] += alpha[n, t] kernel[r, j]: the adjoint of correlate."""
    runs, taps = kernel.shape
    for n in range(alpha.shape[0]):
        a, x = alpha[n, :size], padded[n]
        x[:] = 0
        for r in range(runs):
            if counts[n] < 0:
                for j in range(taps):
                    _add(x, starts[r] + j, kernel[r, j], a)
            else:
                for t in places[n, : counts[n]]:
                    _add(x, starts[r] + t, a[t], kernel[r])


@compiled
def kernel_gradient(alpha, counts, places, padded, starts, size, gradient):
    """gradient[r, j] = sum over n, t of alpha[n, t] padded[n, starts[r] + t + j]."""
    runs, taps = gradient.shape
    gradient[:] = 0
    for n in range(alpha.shape[0]):
        a, x = alpha[n, :size], padded[n]
        for r in range(runs):
            if counts[n] < 0:
                for j in range(taps):
                    gradient[r, j] += _inner_product(a, x[starts[r] + j :])
            else:
                for t in places[n, : counts[n]]:
                    begin = starts[r] + t
                    _add(gradient[r], 0, a[t], x[begin : begin + taps])


@compiled
def correlate_at(alpha, counts, places, padded, kernel, starts, size, similarity):
    """What `correlate` gives, to the bit, at the places; elsewhere nothing is written.

    Where no places are listed it is given wherever alpha is not zero, with zeros elsewhere.
    """
    runs, taps = kernel.shape
    for n in range(alpha.shape[0]):
        a, s = alpha[n, :size], similarity[n, :size]
        if counts[n] < 0:
            correlate(padded[n : n + 1], kernel, starts, size, similarity[n : n + 1])
            for t in range(size):
                s[t] = s[t] if a[t] != 0 else s.dtype.type(0)
            continue
        for t in places[n, : counts[n]]:
            total = s.dtype.type(0)
            for r in range(runs):
                begin = np.uint64(starts[r] + t)
                for j in range(np.uint64(taps)):
                    total = total + kernel[r, j] * padded[n, begin + j]
            s[t] = total


@compiled
def _add(x, begin, factor, values):
    first = np.uint64(begin)  # signed indices would keep the loop from being made of vectors
    for j in range(np.uint64(values.size)):
        x[first + j] += factor * values[j]


@_reassociating
def _inner_product(a, x):
    total = a[0] * 0
    for t in range(a.size):
        total += a[t] * x[t]
    return total
