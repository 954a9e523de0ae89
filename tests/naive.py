"""Every definition restated as plain loops: slow, obvious, and independent of the package.

Maps are nested NumPy arrays; functions take one map (shape (L,) or (H, W)) and return the
activation map. Positions are the non-zeros of that map.
"""

import itertools

import numpy as np


def identity(s):
    return s.copy()


def relu(s):
    alpha = np.zeros_like(s)
    for at in np.ndindex(s.shape):
        if s[at] > 0:
            alpha[at] = s[at]
    return alpha


def largest_first(s):
    return sorted(np.ndindex(s.shape), key=lambda at: (-abs(s[at]), at))


def top_k_absolutes(s, k, order=None):
    """`order` is that of `largest_first`, where it is known."""
    alpha = np.zeros_like(s)
    for at in (order or largest_first(s))[:k]:
        alpha[at] = s[at]
    return alpha


def extrema_pool(s, pool_size):
    alpha = np.zeros_like(s)
    windows = [range(size // pool) for size, pool in zip(s.shape, pool_size, strict=True)]
    for window in itertools.product(*windows):
        cells = [range(i * pool, (i + 1) * pool) for i, pool in zip(window, pool_size, strict=True)]
        largest = None
        for at in itertools.product(*cells):
            if largest is None or abs(s[at]) > abs(s[largest]):
                largest = at
        alpha[largest] = s[largest]
    return alpha


def extrema(s, min_distance):
    candidates = [at for at in np.ndindex(s.shape) if is_peak(s, at) or is_valley(s, at)]
    alpha = np.zeros_like(s)
    removed = set()
    for at in sorted(candidates, key=lambda at: (-abs(s[at]), at)):
        if at in removed:
            continue
        alpha[at] = s[at]
        for other in candidates:
            if all(abs(i - j) <= d for i, j, d in zip(at, other, min_distance, strict=True)):
                removed.add(other)
    return alpha


def is_peak(s, at):
    fits = s[at] > 0
    for axis in range(s.ndim):
        before, after = differences(s, at, axis)
        fits = fits and after <= 0 and before > 0
    return fits


def is_valley(s, at):
    fits = s[at] <= 0
    for axis in range(s.ndim):
        before, after = differences(s, at, axis)
        fits = fits and after > 0 and before <= 0
    return fits


def differences(s, at, axis):
    """Sign of s[t] - s[t-1] and of s[t+1] - s[t] along an axis; zero beyond the borders."""
    before = after = 0
    if at[axis] > 0:
        left = s[step(at, axis, -1)]
        before = int(s[at] > left) - int(s[at] < left)
    if at[axis] < s.shape[axis] - 1:
        right = s[step(at, axis, 1)]
        after = int(right > s[at]) - int(right < s[at])
    return before, after


def step(at, axis, by):
    moved = list(at)
    moved[axis] += by
    return tuple(moved)


def similarity(x, kernel):
    """x (C, *size), kernel (C, *sizes): cross-correlation with zeros beyond the borders."""
    s = np.zeros(x.shape[1:])
    for at in np.ndindex(s.shape):
        for tap in np.ndindex(kernel.shape):
            source = [
                t - (m - 1) // 2 + j for t, m, j in zip(at, kernel.shape[1:], tap[1:], strict=True)
            ]
            if all(0 <= t < n for t, n in zip(source, s.shape, strict=True)):
                s[at] += kernel[tap] * x[(tap[0], *source)]
    return s


def reconstruction_paper(alpha, kernel):
    """alpha (*size), kernel (C, *sizes): the same cross-correlation once more, per channel."""
    return np.stack([similarity(alpha[None], kernel[None, c]) for c in range(len(kernel))])


def reconstruction_adjoint(alpha, kernel):
    """Each activation draws its kernel where the similarity looked for it."""
    x_hat = np.zeros((len(kernel), *alpha.shape))
    for at in np.ndindex(alpha.shape):
        for tap in np.ndindex(kernel.shape):
            target = [
                t - (m - 1) // 2 + j for t, m, j in zip(at, kernel.shape[1:], tap[1:], strict=True)
            ]
            if all(0 <= t < n for t, n in zip(target, alpha.shape, strict=True)):
                x_hat[(tap[0], *target)] += alpha[at] * kernel[tap]
    return x_hat


def inverse_compression_ratio(samples, weights, activations, dimensions):
    return (weights + (dimensions + 1) * activations) / samples


def normalized_loss(x, x_hat):
    loss = zero_loss = 0.0
    for a, b in zip(x.ravel(), x_hat.ravel(), strict=True):
        loss += abs(float(b) - float(a))
        zero_loss += abs(float(a))
    return loss / zero_loss


def competing_extrema(s, min_distance):
    """s (C, *size): extrema of all channels in one order, the lowest position first on ties."""
    candidates = [
        (c, at)
        for c in range(len(s))
        for at in np.ndindex(s.shape[1:])
        if is_peak(s[c], at) or is_valley(s[c], at)
    ]
    alpha = np.zeros_like(s)
    removed = set()
    for c, at in sorted(candidates, key=lambda each: (-abs(s[each[0]][each[1]]), each[1], each[0])):
        if (c, at) in removed:
            continue
        alpha[c][at] = s[c][at]
        for other in candidates:
            if all(abs(i - j) <= d for i, j, d in zip(at, other[1], min_distance, strict=True)):
                removed.add(other)
    return alpha
