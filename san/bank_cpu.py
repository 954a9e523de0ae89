"""Many SANs on the same signals, compiled: similarities, reconstructions, losses and gradients.

Kernels lie one after the other in flat memory, signals padded once for all of them; `Layout` in
`bank` says where. Each function does a range of kernels or of models, so that threads share them,
and nothing depends on how they are shared. Sums are formed in the order in which `san.model`
forms them, which makes a model learn the same in a bank and alone.
"""

import numpy as np

from san.convolution_cpu import correlate, correlate_at, kernel_gradient, spread
from san.events_cpu import compiled


@compiled
def similarities(layout, weights, padded, first, last, maps):
    """Write the similarity maps, maps[b, n, position], of the kernels from `first` to `last`."""
    kernels, encoder, _, _, positions, rows, length, _ = layout
    plain = positions == length  # maps of one row: nothing between them in the padded signals
    similarity = np.empty((padded.shape[0], 1 if plain else positions), weights.dtype)
    for b in range(first, last):
        kernel, begins = _kernel(kernels, weights, b), _begins(kernels, encoder, b)
        if plain:
            correlate(padded, kernel, begins, positions, maps[b])
        else:
            correlate(padded, kernel, begins, positions, similarity)
            _take_rows(similarity, rows, length, maps[b])


@compiled
def gradients(layout, weights, drawn, padded, maps, first, last, losses, by_decoder, by_encoder):
    """Write the loss of each model from `first` to `last`, and the gradient of its weights.

    maps[b, n, position] are the activation maps, `drawn` the weights as the decoder draws them.
    The gradients through decoder and encoder come apart.
    """
    kernels, encoder, decoder, models, positions, rows, length, inside = layout
    batch, width = padded.shape
    part, slope = np.empty((batch, width), weights.dtype), np.empty((batch, width), weights.dtype)
    alpha = np.zeros((batch, positions), weights.dtype)
    at_events = np.empty((batch, positions), weights.dtype)
    for k in range(first, last):
        _reconstruct(layout, drawn, maps, k, alpha, part, slope)
        losses[k] = _loss_and_slope(slope, padded, inside, length, part)
        for b in range(models[k], models[k + 1]):
            _put_rows(maps[b], rows, length, alpha)
            kernel, begins = _kernel(kernels, drawn, b), _begins(kernels, decoder, b)
            kernel_gradient(alpha, part, begins, positions, _kernel(kernels, by_decoder, b))
            correlate_at(alpha, part, kernel, begins, positions, at_events)
            begins = _begins(kernels, encoder, b)
            kernel_gradient(at_events, padded, begins, positions, _kernel(kernels, by_encoder, b))


@compiled
def scores(layout, weights, drawn, padded, maps, first, last, events, errors):
    """Count the events of each model and signal, and sum its absolute errors."""
    _, _, _, models, positions, _, length, inside = layout
    batch, width = padded.shape
    part, x_hat = np.empty((batch, width), weights.dtype), np.empty((batch, width), weights.dtype)
    alpha = np.zeros((batch, positions), weights.dtype)
    for k in range(first, last):
        _reconstruct(layout, drawn, maps, k, alpha, part, x_hat)
        for n in range(batch):
            total = 0.0
            for row in inside:
                for t in range(row, row + length):
                    total += abs(np.float64(x_hat[n, t]) - np.float64(padded[n, t]))
            errors[k, n] = total
            count = 0
            for b in range(models[k], models[k + 1]):
                for t in range(maps.shape[2]):
                    count += maps[b, n, t] != 0
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


@compiled
def _reconstruct(layout, drawn, maps, k, alpha, part, x_hat):
    """The sum of what the kernels of model k draw, one after the other, in the padded layout."""
    kernels, _, decoder, models, positions, rows, length, _ = layout
    for b in range(models[k], models[k + 1]):
        _put_rows(maps[b], rows, length, alpha)
        kernel, begins = _kernel(kernels, drawn, b), _begins(kernels, decoder, b)
        if b == models[k]:
            spread(alpha, kernel, begins, positions, x_hat)
        else:
            spread(alpha, kernel, begins, positions, part)
            for n in range(x_hat.shape[0]):
                for t in range(x_hat.shape[1]):
                    x_hat[n, t] += part[n, t]


@compiled
def _loss_and_slope(x_hat, padded, inside, length, slope):
    """The mean absolute error, and its derivative with respect to x_hat."""
    batch = x_hat.shape[0]
    each = x_hat.dtype.type(1) / x_hat.dtype.type(batch * inside.size * length)
    zero, total = x_hat.dtype.type(0), 0.0
    slope[:] = 0
    for n in range(batch):
        for row in inside:
            for t in range(row, row + length):
                error = x_hat[n, t] - padded[n, t]
                total += abs(error)
                slope[n, t] = each if error > 0 else (-each if error < 0 else zero)
    return total / (batch * inside.size * length)


@compiled
def _take_rows(grid, rows, length, maps):
    """Copy the rows of maps out of a layout that has room between them."""
    for n in range(maps.shape[0]):
        for row in range(rows.size):
            maps[n, row * length : (row + 1) * length] = grid[n, rows[row] : rows[row] + length]


@compiled
def _put_rows(maps, rows, length, grid):
    """Copy the rows of maps into a layout that has room between them, which stays zero."""
    for n in range(maps.shape[0]):
        for row in range(rows.size):
            grid[n, rows[row] : rows[row] + length] = maps[n, row * length : (row + 1) * length]
