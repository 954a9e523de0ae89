"""Where kernels begin that are made from data: at the largest extremum of a training signal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def kernels_from_data(
    data: Tensor, shapes: Sequence[tuple[int, ...]], generator: torch.Generator
) -> list[Tensor]:
    """A segment of the training data for each kernel, around an extremum, of unit norm.

    Parameters
    ----------
    data : Tensor, shape (N, channels, *size)
        Training signals.
    shapes : sequence of tuples, each (channels, *kernel_size)
        Of the kernels.
    generator : torch.Generator
        Chooses the signal of each kernel.

    Returns
    -------
    list of Tensors of these shapes, float32

    Raises
    ------
    ValueError
        If all signals are zero, or a kernel does not fit the signals.
    """
    signals = data.detach().float().cpu()
    signals = signals[signals.flatten(1).any(1)] if signals.numel() else signals[:0]
    if len(signals) == 0:
        raise ValueError('init="data" needs training signals that are not all zero')
    order = torch.randperm(len(signals), generator=generator)
    return [
        _segment_at_extremum(signals[order[i % len(order)]], shape)
        for i, shape in enumerate(shapes)
    ]


def _segment_at_extremum(signal: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The segment whose middle is the largest extremum that leaves room for it on both sides."""
    channels, *kernel_size = shape
    sides = list(zip(kernel_size, signal.shape[1:], strict=True))
    if len(signal) != channels or any(m > n for m, n in sides):
        raise ValueError(f"a kernel of shape {shape} does not fit signals {tuple(signal.shape)}")
    middles = tuple(slice((m - 1) // 2, n - m // 2) for m, n in sides)
    height = signal.abs().amax(0)[middles]
    begin = np.unravel_index(int(height.argmax()), height.shape)
    inside: Any = (..., *(slice(t, t + m) for t, m in zip(begin, kernel_size, strict=True)))
    segment = signal[inside]
    return segment / segment.norm() if segment.any() else segment.clone()
