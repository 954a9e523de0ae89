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

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_compiled_reassociating = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"}
)

_EVENT_COST = 64  # samples of a dense pass that take as long as visiting one event


@_compiled
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


@_compiled
def spread(alpha, kernel, starts, size, padded):
    """padded[n, starts[r] + t + j] += alpha[n, t] kernel[r, j]: the adjoint of correlate."""
    runs, taps = kernel.shape
    for n in range(alpha.shape[0]):
        a, x = alpha[n, :size], padded[n]
        x[:] = 0
        if _is_sparse(a, taps):
            for t in range(size):
                if a[t] != 0:
                    for r in range(runs):
                        begin = starts[r] + t
                        for j in range(taps):
                            x[begin + j] += a[t] * kernel[r, j]
        else:
            for r in range(runs):
                for j in range(taps):
                    shifted = x[starts[r] + j :]
                    for t in range(size):
                        shifted[t] += a[t] * kernel[r, j]


@_compiled
def kernel_gradient(alpha, padded, starts, size, gradient):
    """gradient[r, j] = sum over n, t of alpha[n, t] padded[n, starts[r] + t + j]."""
    runs, taps = gradient.shape
    gradient[:] = 0
    for n in range(alpha.shape[0]):
        a, x = alpha[n, :size], padded[n]
        if _is_sparse(a, taps):
            for t in range(size):
                if a[t] != 0:
                    for r in range(runs):
                        begin = starts[r] + t
                        for j in range(taps):
                            gradient[r, j] += a[t] * x[begin + j]
        else:
            for r in range(runs):
                for j in range(taps):
                    gradient[r, j] += _inner_product(a, x[starts[r] + j :])


@_compiled
def _is_sparse(a, taps):
    events = 0
    for t in range(a.size):
        events += a[t] != 0
    return events * (taps + _EVENT_COST) < a.size * taps


@_compiled_reassociating
def _inner_product(a, x):
    total = a[0] * 0
    for t in range(a.size):
        total += a[t] * x[t]
    return total
