"""Kernels and signals in contact, compiled: correlate, draw and the gradients of kernels.

Everything is flat. Signals are padded and lie one after the other, `width` samples each; maps
are laid out as padded signals, `positions` samples each. Kernel b has table[b, RUNS] rows of
table[b, TAPS] weights from weights[table[b, OFFSET]] on; its row r looks at (or draws from) the
samples that begin starts[table[b, FIRST_RUN] + r] after the map's position. So one loop serves
one, two or more dimensions and any number of channels. Functions do the kernels from `first` to
`last`; what belongs to kernel b and signal n is number b * signals + n.

Every similarity is summed tap by tap in the order of the kernel, and products are not fused
with sums. Equal patches therefore give equal bits wherever they lie, and the result does not
depend on the batch, on threads or on the instruction set. (Neither matrix products nor FFTs have
this property: on a flat stretch of signal their rounding makes extrema that are not there.)

Loops over a part of an array add unsigned indices. numba tests signed indices for negative values,
and then LLVM does not make vectors of the loop. A view of the part costs as much as a short loop.
"""

import functools

import numpy as np

from san import numba_loops
from san.hot_path.cpu.places import list_events
from san.hot_path.cpu.vectors import compiled, inlined

OFFSET, RUNS, TAPS, FIRST_RUN = range(4)  # columns of a table of kernels

_EVENT_COST = 64  # samples of a dense pass that take as long as visiting one event


@compiled
def correlate(table, starts, weights, padded, width, signals, positions, first, last, maps):
    """s[t] = sum over rows r and taps j of kernel[r, j] x[starts[r] + t + j]."""
    for b in range(first, last):
        for n in range(signals):
            s = (b * signals + n) * positions
            _correlate(table, starts, weights, padded, n * width, positions, b, maps, s)


@inlined
def _correlate(table, starts, weights, padded, signal, positions, b, maps, s):
    """One map, from maps[s] on, of the signal from padded[signal] on."""
    size, out = np.uint64(positions), np.uint64(s)
    taps, w = table[b, TAPS], table[b, OFFSET]
    for t in range(size):
        maps[out + t] = 0
    for r in range(table[b, RUNS]):
        begin = signal + starts[table[b, FIRST_RUN] + r]
        j = 0
        while j + 8 <= taps:  # eight taps for one load and one store of s
            w0, w1, w2, w3 = weights[w], weights[w + 1], weights[w + 2], weights[w + 3]
            w4, w5, w6, w7 = weights[w + 4], weights[w + 5], weights[w + 6], weights[w + 7]
            x = np.uint64(begin + j)
            for t in range(size):
                total = maps[out + t] + w0 * padded[x + t]
                total = total + w1 * padded[x + t + np.uint64(1)]
                total = total + w2 * padded[x + t + np.uint64(2)]
                total = total + w3 * padded[x + t + np.uint64(3)]
                total = total + w4 * padded[x + t + np.uint64(4)]
                total = total + w5 * padded[x + t + np.uint64(5)]
                total = total + w6 * padded[x + t + np.uint64(6)]
                maps[out + t] = total + w7 * padded[x + t + np.uint64(7)]
            j += 8
            w += 8
        while j < taps:
            w0, x = weights[w], np.uint64(begin + j)
            for t in range(size):
                maps[out + t] = maps[out + t] + w0 * padded[x + t]
            j += 1
            w += 1


# What follows visits events where a map is sparse. The places of all events are listed once, by
# `list_places`, for each function that visits them: counts[i] of map i, from places[i * positions]
# on.


@compiled
def list_places(table, alpha, signals, positions, first, last, counts, places):
    """List the events of each map; a count of -1 where a dense pass is faster."""
    for i in range(first * signals, last * signals):
        here, events = np.uint64(i * positions), np.int32(0)
        for t in range(np.uint64(positions)):
            events = np.int32(events + np.int32(alpha[here + t] != 0))
        taps = table[i // signals, TAPS]
        counts[i] = -1
        if np.int64(events) * (taps + _EVENT_COST) < positions * taps:
            found = i * positions
            found = list_events(alpha, found, found + positions, places, found)
            counts[i] = found - i * positions


@compiled
def draw(
    table, starts, weights, alpha, counts, places, width, signals, positions, first, last, drawn
):
    """x[starts[r] + t + j] += alpha[t] kernel[r, j]: the adjoint of correlate."""
    for i in range(first * signals, last * signals):
        b, out, zero = i // signals, np.uint64(i * width), weights.dtype.type(0)
        for t in range(np.uint64(width)):
            drawn[out + t] = zero
        for r in range(table[b, RUNS]):
            begin = i * width + starts[table[b, FIRST_RUN] + r]
            w, taps = table[b, OFFSET] + r * table[b, TAPS], table[b, TAPS]
            if counts[i] < 0:
                for j in range(taps):
                    _add(drawn, begin + j, weights[w + j], alpha, i * positions, positions)
            for e in range(i * positions, i * positions + counts[i]):
                t = places[e] - i * positions
                _add(drawn, begin + t, alpha[places[e]], weights, w, taps)


@compiled
def kernel_gradient(
    table, starts, alpha, counts, places, sources, padded, width, signals, positions, first, last,
    gradient,
):  # fmt: skip
    """gradient[r, j] = sum over n, t of alpha[n, t] x[n, starts[r] + t + j].

    The signals of kernel b are those from number sources[b] * signals on.
    """
    for b in range(first, last):
        taps = table[b, TAPS]
        for w in range(table[b, OFFSET], table[b, OFFSET] + table[b, RUNS] * taps):
            gradient[w] = 0
        for i in range(b * signals, (b + 1) * signals):
            signal = (sources[b] * signals + i - b * signals) * width
            for r in range(table[b, RUNS]):
                begin = signal + starts[table[b, FIRST_RUN] + r]
                w = table[b, OFFSET] + r * taps
                if counts[i] < 0:
                    for j in range(taps):
                        gradient[w + j] += _inner_product(
                            alpha, i * positions, padded, begin + j, positions
                        )
                for e in range(i * positions, i * positions + counts[i]):
                    t = places[e] - i * positions
                    _add(gradient, w, alpha[places[e]], padded, begin + t, taps)


@compiled
def correlate_at(
    table, starts, weights, alpha, counts, places, sources, padded, width, signals, positions,
    first, last, maps,
):  # fmt: skip
    """What `correlate` gives, to the bit, at the events; elsewhere nothing is written.

    Of a map whose events are not listed it is given where alpha is not zero, with zeros
    elsewhere.
    """
    for i in range(first * signals, last * signals):
        b = i // signals
        signal = (sources[b] * signals + i - b * signals) * width
        if counts[i] < 0:
            _correlate(table, starts, weights, padded, signal, positions, b, maps, i * positions)
            here, zero = np.uint64(i * positions), weights.dtype.type(0)
            for t in range(np.uint64(positions)):
                maps[here + t] = maps[here + t] if alpha[here + t] != 0 else zero
        for e in range(i * positions, i * positions + counts[i]):
            total, w = weights.dtype.type(0), np.uint64(table[b, OFFSET])
            for r in range(table[b, RUNS]):
                at = signal + starts[table[b, FIRST_RUN] + r] + places[e] - i * positions
                begin = np.uint64(at)
                for j in range(np.uint64(table[b, TAPS])):
                    total = total + weights[w + j] * padded[begin + j]
                w += np.uint64(table[b, TAPS])
            maps[places[e]] = total


@compiled
def errors_and_slopes(padded, width, inside, length, signals, first, last, x_hat, errors):
    """Sum the absolute errors of x_hat, and write into it the derivative of their mean.

    x_hat[(k * signals + n) * width ...] is compared with padded[n * width ...] in the rows of
    `length` samples that begin at `inside`; around them the derivative is zero.
    """
    number = signals * inside.size * length
    each, zero = x_hat.dtype.type(1) / x_hat.dtype.type(number), x_hat.dtype.type(0)
    slope = np.zeros(width, x_hat.dtype)
    for i in range(first * signals, last * signals):
        errors[i] = 0
        for row in inside:
            drawn, signal, out = i * width + row, i % signals * width + row, np.uint64(row)
            errors[i] += _absolute_errors(x_hat, drawn, padded, signal, length)
            for t in range(np.uint64(length)):
                error = x_hat[np.uint64(drawn) + t] - padded[np.uint64(signal) + t]
                slope[out + t] = (each if error > 0 else zero) - (each if error < 0 else zero)
        begin = np.uint64(i * width)
        for t in range(np.uint64(width)):
            x_hat[begin + t] = slope[t]


@inlined
def _add(x, x_begin, factor, values, values_begin, count):
    here, there = np.uint64(x_begin), np.uint64(values_begin)
    for j in range(np.uint64(count)):
        x[here + j] += factor * values[there + j]


_reassociating = functools.partial(
    numba_loops.keeping, nogil=True, error_model="numpy", fastmath={"reassoc"}
)


@_reassociating
def _inner_product(a, a_begin, x, x_begin, count):
    # A zero that the compiler does not know, so that it sums in one order wherever this is inlined.
    # It comes from the part that is summed: the rest of the array may never have been written.
    here, there = np.uint64(a_begin), np.uint64(x_begin)
    total = a[here] * 0
    for t in range(np.uint64(count)):
        total += a[here + t] * x[there + t]
    return total


@_reassociating
def _absolute_errors(a, a_begin, x, x_begin, count):
    here, there, total = np.uint64(a_begin), np.uint64(x_begin), 0.0
    for t in range(np.uint64(count)):
        total += abs(np.float64(a[here + t]) - np.float64(x[there + t]))
    return total
