"""Extrema-Pool on a GPU: the first of the largest of each window, many windows a program.

Windows of one axis that are equally wide in all channels are brought near as one stretch, searched,
and stored once. The width is a number, not a constant of the kernel: one kernel is compiled for all
widths up to the same power of two.
"""

import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.maps import CELLS, magnitudes, parameter

BANKED = 4  # multiples of it as a width: neighbouring threads would meet in one bank of memory


def extrema_pool(
    s: Tensor, alpha: Tensor, sides: tuple[tuple[int, ...], ...], table: Tensor | None, maps: int,
    height: int, width: int, types: tuple,
) -> None:  # fmt: skip
    """Write the extrema of all windows into alpha; `sides` has the table's rows."""
    one_axis, wide = s.dim() == 3, sides[0][1]
    if one_axis and table is None and 2 * wide <= CELLS:
        if width % wide == 0:  # no window ends at a border: all maps are one
            maps, width = 1, s.numel()
        cells = triton.next_power_of_2(wide)
        together = CELLS // cells
        tiles = triton.cdiv(width, together * wide)
        _pool_stretch[(maps * tiles,)](
            s, alpha, wide, -(-(1 << 32) // wide), tiles, width, *types, together, cells,
            wide % BANKED > 0, num_warps=8,
        )  # fmt: skip
        return
    windows = max(triton.cdiv(height, tall) * triton.cdiv(width, wide) for tall, wide in sides)
    area = max(tall * wide for tall, wide in sides)
    cells = min(triton.next_power_of_2(area), CELLS)
    together = max(1, CELLS // cells // 2)
    tiles = triton.cdiv(windows, together)
    _extrema_pool[(maps * tiles,)](
        s, alpha, table, *sides[0], s.shape[1], tiles, height, width, one_axis, *types, together,
        cells, area <= cells,
    )  # fmt: skip


@triton.jit(do_not_specialize=["wide", "inverse", "tiles"])
def _pool_stretch(
    s, alpha, wide, inverse, tiles, width, FLOAT: tl.constexpr, INT: tl.constexpr,
    MASK: tl.constexpr, WINDOWS: tl.constexpr, CELLS: tl.constexpr, BESIDE: tl.constexpr,
):  # fmt: skip
    """Windows that follow each other, gathered from the stretch, and their winners spread over it.

    `inverse` is 2^32 / wide, rounded up: places in the stretch are divided by multiplication. If
    BESIDE, a thread searches a window, else several threads do.
    """
    i, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    first = tile.to(tl.int64) * WINDOWS * wide
    here = i.to(tl.int64) * width + first
    size = tl.minimum(WINDOWS * wide, width - first).to(tl.int32)
    t = tl.arange(0, WINDOWS * CELLS)
    values = tl.load(s + here + t, mask=t < size, other=0).to(FLOAT)
    AXIS: tl.constexpr = 0 if BESIDE else 1
    window, cell = tl.arange(0, WINDOWS), tl.arange(0, CELLS)
    window, cell = tl.expand_dims(window, AXIS), tl.expand_dims(cell, 1 - AXIS)
    at = tl.minimum(window * wide + cell, WINDOWS * CELLS - 1)
    heights = tl.gather(magnitudes(values, INT, MASK), tl.reshape(at, [WINDOWS * CELLS]), 0)
    heights = tl.where(cell < wide, tl.reshape(heights, at.shape), -1)
    largest = tl.expand_dims(tl.max(heights, AXIS), AXIS)
    winner = tl.min(tl.where(heights == largest, cell, CELLS), AXIS)
    begin = tl.arange(0, WINDOWS) * wide
    winner = tl.where(begin + wide <= size, begin + winner, -1)
    if CELLS > 1:
        own = tl.umulhi(t.to(tl.uint32), inverse.to(tl.uint32)).to(tl.int32)
    else:
        own = t
    wins = tl.gather(winner, tl.minimum(own, WINDOWS - 1), 0) == t
    kept = tl.where(wins | (values != values), values, 0.0)
    tl.store(alpha + here + t, kept, mask=t < size)


@triton.jit(do_not_specialize=["down", "across", "channels", "tiles", "height"])
def _extrema_pool(
    s, alpha, table, down, across, channels, tiles, height, width, ONE_AXIS: tl.constexpr,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    WINDOWS: tl.constexpr, CELLS: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    i, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    tall = parameter(table, down, i, channels, 0)
    wide = parameter(table, across, i, channels, 1)
    window = tile * WINDOWS + tl.arange(0, WINDOWS)
    if ONE_AXIS:
        y, x = window * 0, window * wide
    else:
        in_a_row = tl.cdiv(width, wide)
        y, x = window // in_a_row * tall, window % in_a_row * wide
    is_one = (y + tall <= height) & (x + wide <= width)
    here = i.to(tl.int64) * height * width
    best = tl.full([WINDOWS], -1, INT)
    first = tl.zeros([WINDOWS], tl.int32)
    cells = tl.arange(0, CELLS)[None, :]
    if WHOLE:
        at, inside = _cells(cells, y, x, tall, wide, height, width, ONE_AXIS)
        values = tl.load(s + here + at, mask=inside, other=0).to(FLOAT)
        best, first = _larger(values, inside, cells, best, first, INT, MASK, CELLS)
        kept = ((cells == first[:, None]) & is_one[:, None]) | (values != values)
        tl.store(alpha + here + at, tl.where(kept, values, 0.0), mask=inside)
    else:
        for begin in range(0, tall * wide, CELLS):
            at, inside = _cells(begin + cells, y, x, tall, wide, height, width, ONE_AXIS)
            values = tl.load(s + here + at, mask=inside, other=0).to(FLOAT)
            best, first = _larger(values, inside, begin + cells, best, first, INT, MASK, CELLS)
        for begin in range(0, tall * wide, CELLS):
            at, inside = _cells(begin + cells, y, x, tall, wide, height, width, ONE_AXIS)
            values = tl.load(s + here + at, mask=inside, other=0).to(FLOAT)
            kept = ((begin + cells == first[:, None]) & is_one[:, None]) | (values != values)
            tl.store(alpha + here + at, tl.where(kept, values, 0.0), mask=inside)


@triton.jit
def _cells(cells, y, x, tall, wide, height, width, ONE_AXIS: tl.constexpr):
    """Where the cells of windows lie, and which of them do: windows may end beyond the border."""
    if ONE_AXIS:
        at = x[:, None] + cells
        return at, (cells < wide) & (at < width)
    row, column = y[:, None] + cells // wide, x[:, None] + cells % wide
    inside = (cells < tall * wide) & (row < height) & (column < width)
    return row * width + column, inside


@triton.jit
def _larger(
    values, inside, cells, best, first, INT: tl.constexpr, MASK: tl.constexpr, CELLS: tl.constexpr
):
    """The largest magnitude of each window and its first cell, after those of earlier cells."""
    magnitude = tl.where(inside, magnitudes(values, INT, MASK), -1)
    largest = tl.max(magnitude, 1)
    found = tl.min(tl.where(magnitude == largest[:, None], cells, 0x7FFFFFFF), 1)
    return tl.maximum(best, largest), tl.where(largest > best, found, first)
