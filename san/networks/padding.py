"""Where signals, maps and kernels lie in the flat memory of the compiled convolutions.

Signals are padded on every side as far as the largest kernel reaches. Position t of a map lies as
far from its begin as sample t of the padded signal, so that moving a kernel by one position moves
everything by one sample. Between the rows of a map of several dimensions there are zeros.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Padding:
    """How signals of one size are padded for a set of kernels; `padding_for` makes it."""

    size: tuple[int, ...]  # of a signal, without channels
    channels: int
    before: tuple[int, ...]  # padding of each axis
    after: tuple[int, ...]
    table: np.ndarray  # of kernels: first weight, rows, weights per row, first row's number
    width: int  # samples of a padded signal, all channels
    positions: int  # samples of a map, from its first to its last
    inside: np.ndarray  # where in a padded signal each row of the signal begins
    strides: tuple[int, ...]  # samples from one position to the next along each axis

    def pad(self, x: Tensor) -> Tensor:
        """Put zeros around signals (N, C, *size)."""
        sides = zip(self.before, self.after, strict=True)
        return F.pad(x.detach(), [side for pair in reversed(list(sides)) for side in pair])

    def rows_of(self, grid: np.ndarray) -> np.ndarray:
        """Take maps (B, N, *size) out of padded ones (B, N, positions)."""
        return grid if len(self.size) == 1 else self._view(grid).copy()

    def grid_of(self, maps: np.ndarray) -> np.ndarray:
        """Put maps (B, N, *size) in their places, with zeros between the rows; flat."""
        if len(self.size) == 1:
            return maps.reshape(-1)
        grid = np.zeros((*maps.shape[:2], self.positions), maps.dtype)
        self._view(grid)[...] = maps
        return grid.reshape(-1)

    def inside_of(self, padded: np.ndarray) -> np.ndarray:
        """Take signals (N, C, *size) out of padded ones (N, width)."""
        whole = [b + n + a for b, n, a in zip(self.before, self.size, self.after, strict=True)]
        box = (slice(b, b + n) for b, n in zip(self.before, self.size, strict=True))
        inside: Any = (..., *box)
        return padded.reshape(-1, self.channels, *whole)[inside]

    def _view(self, grid: np.ndarray) -> np.ndarray:
        strides = [*grid.strides[:2], *(grid.itemsize * stride for stride in self.strides)]
        shape = (*grid.shape[:2], *self.size)
        return np.lib.stride_tricks.as_strided(grid, shape, strides)


def padding_for(
    size: Sequence[int],
    channels: int,
    kernel_sizes: Sequence[Sequence[int]],
    befores: Sequence[Sequence[Sequence[int]]],
) -> tuple[Padding, list[np.ndarray]]:
    """Pad signals for kernels that look (or draw) from some samples before a position on.

    Parameters
    ----------
    size : sequence of ints
        Of a signal, without channels.
    channels : int
    kernel_sizes : sequence of sequences of ints
        Of each kernel, along each axis.
    befores : sequence of sequences of sequences of ints
        One for each way to place the kernels (encoder, decoder): how many samples before the
        position each kernel begins, along each axis.

    Returns
    -------
    Padding
    list of arrays
        For each of `befores` the samples at which the rows of the kernels begin.
    """
    sizes, places = np.array(kernel_sizes), np.array(befores)  # (B, axes) and (ways, B, axes)
    before = places.max((0, 1))
    after = (sizes - 1 - places).max((0, 1))
    padded = np.array(size) + before + after
    strides = [math.prod(padded[axis + 1 :].tolist()) for axis in range(len(padded))]
    plane = math.prod(padded.tolist())
    rows = [np.array(list(np.ndindex(channels, *m[:-1], 1))) for m in sizes.tolist()]
    steps = np.array([plane, *strides])
    starts = [
        np.concatenate(
            [row @ steps + (before - b) @ steps[1:] for row, b in zip(rows, way, strict=True)]
        )
        for way in places
    ]
    counts = channels * sizes.prod(1)
    table = np.stack(
        [
            np.cumsum([0, *counts[:-1]]),
            [len(row) for row in rows],
            sizes[:, -1],
            np.cumsum([0, *(len(row) for row in rows[:-1])]),
        ],
        axis=1,
    ).astype(np.int64)
    of_signal = np.array(list(np.ndindex(channels, *size[:-1], 1)))
    return (
        Padding(
            size=tuple(size),
            channels=channels,
            before=tuple(before.tolist()),
            after=tuple(after.tolist()),
            table=table,
            width=channels * plane,
            positions=int((np.array(size) - 1) @ np.array(strides)) + 1,
            inside=of_signal @ steps + before @ steps[1:],
            strides=tuple(strides),
        ),
        starts,
    )
