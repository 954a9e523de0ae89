"""Many SANs on the same signals, compiled: similarities, reconstructions, losses and gradients.

Kernels lie one after the other in flat memory, signals padded once for all of them; `Layout` in
`bank` says where. Each function does a range of kernels or of models, so that threads share them,
and nothing depends on how they are shared. Sums are formed in the order in which `san.model`
forms them, which makes a model learn the same in a bank and alone.
"""

import numba
import numpy as np

from san.convolution_cpu import correlate, correlate_at, kernel_gradient, list_places, spread
from san.events_cpu import compiled

_reassociating = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})


@compiled
def similarities(layout, weights, padded, first, last, maps):
    """Write the similarity maps, maps[b, n, position], of the kernels from `first` to `last`."""
    kernels, encoder, _, _, positions, rows, length, _ = layout
    plain = positions == length  # maps of one row: nothing between them in the padded signals
    grid = np.empty((padded.shape[0], 1 if plain else positions), weights.dtype)
    for b in range(first, last):
        kernel, begins = _kernel(kernels, weights, b), _begins(kernels, encoder, b)
        correlate(padded, kernel, begins, positions, maps[b] if plain else grid)
        if not plain:
            _copy_rows(grid, rows, length, maps[b], True)


@compiled
def reconstructions(layout, drawn, maps, first, last, alpha, counts, places, x_hat):
    """Write x_hat[k, n] of the models from `first` to `last`, laid out as padded signals.

    maps[b, n, position] are the activation maps and `drawn` the weights as the decoder draws
    them. The maps laid out as padded signals, and the places of their events, are written for
    `gradients`.
    """
    kernels, _, decoder, models, positions, rows, length, _ = layout
    part = np.empty(x_hat.shape[1:], drawn.dtype)
    for k in range(first, last):
        for b in range(models[k], models[k + 1]):
            kernel, begins = _kernel(kernels, drawn, b), _begins(kernels, decoder, b)
            _copy_rows(alpha[b], rows, length, maps[b], False)
            list_places(alpha[b], positions, kernel.shape[1], counts[b], places[b])
            target = x_hat[k] if b == models[k] else part
            spread(alpha[b], counts[b], places[b], kernel, begins, positions, target)
            if b > models[k]:
                for n in range(part.shape[0]):
                    for t in range(part.shape[1]):
                        x_hat[k, n, t] += part[n, t]


@compiled
def losses_and_slopes(layout, padded, first, last, x_hat, losses):
    """Write the mean absolute error of each model, and into x_hat its derivative there."""
    inside, length = layout[7], layout[6]
    batch, width = padded.shape
    number = batch * inside.size * length
    each, zero = x_hat.dtype.type(1) / x_hat.dtype.type(number), x_hat.dtype.type(0)
    slope = np.zeros(width, x_hat.dtype)
    for k in range(first, last):
        losses[k] = 0
        for n in range(batch):
            drawn, signal = x_hat[k, n], padded[n]
            for row in inside:
                losses[k] += _absolute_errors(drawn, signal, row, length) / number
                here = np.uint64(row)
                for t in range(np.uint64(length)):
                    error = drawn[here + t] - signal[here + t]
                    slope[here + t] = (each if error > 0 else zero) - (each if error < 0 else zero)
            for t in range(width):
                drawn[t] = slope[t]


@compiled
def gradients(
    layout, drawn, padded, first, last, alpha, counts, places, slopes, by_decoder, by_encoder
):
    """Write the gradient of the weights of the models from `first` to `last`.

    `slopes` is the derivative of the losses with respect to x̂. The gradients through decoder and
    encoder come apart.
    """
    kernels, encoder, decoder, models, positions, _, _, _ = layout
    through = np.empty((padded.shape[0], positions), drawn.dtype)
    for k in range(first, last):
        for b in range(models[k], models[k + 1]):
            kernel, begins = _kernel(kernels, drawn, b), _begins(kernels, decoder, b)
            target = _kernel(kernels, by_decoder, b)
            kernel_gradient(alpha[b], counts[b], places[b], slopes[k], begins, positions, target)
            correlate_at(
                alpha[b], counts[b], places[b], slopes[k], kernel, begins, positions, through
            )
            begins, target = _begins(kernels, encoder, b), _kernel(kernels, by_encoder, b)
            kernel_gradient(through, counts[b], places[b], padded, begins, positions, target)


@compiled
def scores(layout, padded, maps, first, last, x_hat, events, errors):
    """Count the events of each model and signal, and sum its absolute errors."""
    models, length, inside = layout[3], layout[6], layout[7]
    for k in range(first, last):
        for n in range(padded.shape[0]):
            errors[k, n] = 0
            for row in inside:
                errors[k, n] += _absolute_errors(x_hat[k, n], padded[n], row, length)
            count = np.int32(0)
            for b in range(models[k], models[k + 1]):
                a = maps[b, n]
                for t in range(a.size):
                    count = np.int32(count + np.int32(a[t] != 0))
            events[k, n] = count


@compiled
def _kernel(kernels, values, b):
    """A kernel's share of flat values, as a table of runs."""
    offset, runs, taps, _ = kernels
    return values[offset[b] : offset[b + 1]].reshape(runs[b], taps[b])


@compiled
def _begins(kernels, starts, b):
    _, runs, _, run_offset = kernels
    return starts[run_offset[b] : run_offset[b] + runs[b]]


@_reassociating
def _absolute_errors(x_hat, signal, begin, length):
    first, total = np.uint64(begin), 0.0
    for t in range(np.uint64(length)):
        total += abs(np.float64(x_hat[first + t]) - np.float64(signal[first + t]))
    return total


@compiled
def _copy_rows(grid, rows, length, maps, out):
    """Copy maps out of a layout with room between their rows, or into it."""
    for n in range(maps.shape[0]):
        laid, plain = grid[n], maps[n]
        for row in range(rows.size):
            here, there = np.uint64(rows[row]), np.uint64(row * length)
            for t in range(np.uint64(length)):
                if out:
                    plain[there + t] = laid[here + t]
                else:
                    laid[here + t] = plain[there + t]
