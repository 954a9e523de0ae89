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
    kernels, encoder, decoder, models, positions, _, length, inside = layout
    batch, width = padded.shape
    part, x_hat = np.empty((batch, width), weights.dtype), np.empty((batch, width), weights.dtype)
    slope = np.zeros((batch, width), weights.dtype)
    grid, places = _room(layout, batch, weights)
    through = np.empty((batch, positions), weights.dtype)
    for k in range(first, last):
        _reconstruct(layout, drawn, maps, k, grid, places, part, x_hat)
        losses[k] = _loss_and_slope(x_hat, padded, inside, length, slope)
        for b in range(models[k], models[k + 1]):
            alpha, counts, at = (
                grid[b - models[k]],
                places[0][b - models[k]],
                places[1][b - models[k]],
            )
            kernel, begins = _kernel(kernels, drawn, b), _begins(kernels, decoder, b)
            target = _kernel(kernels, by_decoder, b)
            kernel_gradient(alpha, counts, at, slope, begins, positions, target)
            correlate_at(alpha, counts, at, slope, kernel, begins, positions, through)
            begins, target = _begins(kernels, encoder, b), _kernel(kernels, by_encoder, b)
            kernel_gradient(through, counts, at, padded, begins, positions, target)


@compiled
def scores(layout, weights, drawn, padded, maps, first, last, events, errors):
    """Count the events of each model and signal, and sum its absolute errors."""
    _, _, _, models, _, _, length, inside = layout
    batch, width = padded.shape
    part, x_hat = np.empty((batch, width), weights.dtype), np.empty((batch, width), weights.dtype)
    grid, places = _room(layout, batch, weights)
    for k in range(first, last):
        _reconstruct(layout, drawn, maps, k, grid, places, part, x_hat)
        for n in range(batch):
            errors[k, n] = 0
            for row in inside:
                errors[k, n] += _absolute_errors(x_hat[n], padded[n], row, length)
            events[k, n] = 0
            for b in range(models[k], models[k + 1]):
                events[k, n] += _count(maps[b, n])


@compiled
def _room(layout, batch, weights):
    """For the maps of one model, laid out as padded signals, and for the places of their events."""
    models, positions = layout[3], layout[4]
    most = 1
    for k in range(models.size - 1):
        most = max(most, models[k + 1] - models[k])
    places = np.empty((most, batch), np.int64), np.empty((most, batch, positions), np.int64)
    return np.zeros((most, batch, positions), weights.dtype), places


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
def _reconstruct(layout, drawn, maps, k, grid, places, part, x_hat):
    """The sum of what the kernels of model k draw, one after the other, in the padded layout."""
    kernels, _, decoder, models, positions, rows, length, _ = layout
    for b in range(models[k], models[k + 1]):
        kernel, begins = _kernel(kernels, drawn, b), _begins(kernels, decoder, b)
        i = b - models[k]
        alpha, counts, at = grid[i], places[0][i], places[1][i]
        _put_rows(maps[b], rows, length, alpha)
        list_places(alpha, positions, kernel.shape[1], counts, at)
        if i == 0:
            spread(alpha, counts, at, kernel, begins, positions, x_hat)
        else:
            spread(alpha, counts, at, kernel, begins, positions, part)
            for n in range(x_hat.shape[0]):
                for t in range(x_hat.shape[1]):
                    x_hat[n, t] += part[n, t]


@compiled
def _loss_and_slope(x_hat, padded, inside, length, slope):
    """The mean absolute error, and its derivative with respect to x_hat."""
    number = x_hat.shape[0] * inside.size * length
    each, zero = x_hat.dtype.type(1) / x_hat.dtype.type(number), x_hat.dtype.type(0)
    total = 0.0
    for n in range(x_hat.shape[0]):
        drawn, signal, target = x_hat[n], padded[n], slope[n]
        for row in inside:
            total += _absolute_errors(drawn, signal, row, length)
            first = np.uint64(row)
            for t in range(np.uint64(length)):
                error = drawn[first + t] - signal[first + t]
                target[first + t] = (each if error > 0 else zero) - (each if error < 0 else zero)
    return total / number


@_reassociating
def _absolute_errors(x_hat, signal, begin, length):
    first, total = np.uint64(begin), 0.0
    for t in range(np.uint64(length)):
        total += abs(np.float64(x_hat[first + t]) - np.float64(signal[first + t]))
    return total


@compiled
def _count(alpha):
    count = np.int32(0)
    for t in range(alpha.size):
        count = np.int32(count + np.int32(alpha[t] != 0))
    return np.int64(count)


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
