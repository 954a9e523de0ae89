"""Amplitudes refitted after the selection: which ones draw a signal best, given the positions.

An activation's value is the kernel's similarity to the signal there, which is its best amplitude
only where no other event overlaps it. Refitted, the amplitudes of a signal are chosen together.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from san.networks.choices import DecoderName

REWEIGHTINGS = 4  # from least squares towards least absolute errors
_SMALL = 0.05  # of the mean magnitude: smaller errors are weighted as this one
_RIDGE = 1e-3  # of the mean energy of the drawn kernels


def refit_amplitudes(
    x: Tensor,
    alpha: Tensor,
    kernels: Sequence[Tensor],
    decoder: DecoderName,
    reweightings: int = REWEIGHTINGS,
) -> Tensor:
    """Choose the amplitudes at the activations that draw signals best.

    Parameters
    ----------
    x : Tensor, shape (N, C, *size), float32 or float64
        Signals.
    alpha : Tensor, shape (N, q, *size)
        Activation maps: positions are where they are not zero.
    kernels : sequence of Tensors, each (C, *kernel_size)
        Their kernels.
    decoder : {"adjoint", "paper"}
        As in `san.networks.convolution.reconstruction`.
    reweightings : int
        Steps from least squares (0) towards least absolute errors.

    Returns
    -------
    Tensor, same shape and type as alpha
        Maps with amplitudes that make Σ|x̂ - x| of each signal about as small as it can be (a few
        reweighted least-squares fits, slightly damped); zeros stay zeros. No gradient passes.

    Examples
    --------
    >>> w = torch.tensor([[1.0, 2.0]])
    >>> x = torch.tensor([[[1.0, 3.0, 2.0, 0.0]]])
    >>> alpha = torch.tensor([[[9.0, 9.0, 0.0, 0.0]]])
    >>> refit_amplitudes(x, alpha, [w], "adjoint").round(decimals=1).tolist()
    [[[1.0, 1.0, 0.0, 0.0]]]
    """
    size = x.shape[2:]
    before = [max((w.shape[a + 1] for w in kernels), default=0) for a in range(len(size))]
    padded = [n + 2 * b for n, b in zip(size, before, strict=True)]
    drawn = [_draw(w.detach().double().cpu().numpy(), padded, decoder) for w in kernels]
    inside = tuple(slice(b, b + n) for b, n in zip(before, size, strict=True))
    signals = x.detach().float().cpu().numpy()
    maps = alpha.detach().double().cpu().numpy()
    for signal, of_kernels in zip(signals, maps, strict=True):
        where = np.nonzero(of_kernels)
        if len(where[0]) == 0:
            continue
        places = [axis + b for axis, b in zip(where[1:], before, strict=True)]
        at = np.ravel_multi_index(places, padded)
        columns = np.zeros((len(signal), int(np.prod(padded)), len(at)), np.float32)
        for k, (offsets, weights) in enumerate(drawn):
            own = np.flatnonzero(where[0] == k)
            columns[:, at[own, None] + offsets, own[:, None]] = weights[:, None]
        rows = columns.reshape(len(signal), *padded, len(at))[:, *inside].reshape(-1, len(at))
        of_kernels[where] = _fit(rows, signal.reshape(-1), reweightings)
    return torch.from_numpy(maps).to(alpha)


def _draw(
    w: np.ndarray, padded: Sequence[int], decoder: DecoderName
) -> tuple[np.ndarray, np.ndarray]:
    """Where an event draws a kernel, in flat samples from its position, and what: (C, taps)."""
    sizes = w.shape[1:]
    before = [(m - 1) // 2 for m in sizes]
    if decoder == "paper":
        w = np.flip(w, tuple(range(1, w.ndim)))
        before = [m - 1 - b for m, b in zip(sizes, before, strict=True)]
    strides = np.cumprod([1, *padded[:0:-1]])[::-1]
    grid = np.indices(sizes).reshape(len(sizes), -1).T - np.array(before)
    return grid @ strides, w.reshape(len(w), -1)


def _fit(columns: np.ndarray, x: np.ndarray, reweightings: int) -> np.ndarray:
    """Amplitudes of columns (n, E) that are near the least absolute errors from x, (n,)."""
    floor = max(_SMALL * float(np.abs(x).mean()), 1e-30)
    weights = np.ones(len(x), np.float32)
    for _ in range(reweightings + 1):
        weighted = columns.T * weights
        gram = (weighted @ columns).astype(np.float64)
        gram[np.diag_indices(len(gram))] += _RIDGE * np.trace(gram) / len(gram) + 1e-30
        amplitudes = np.linalg.solve(gram, weighted @ x)
        weights = 1 / np.maximum(np.abs(x - columns @ amplitudes), floor)
    return amplitudes
