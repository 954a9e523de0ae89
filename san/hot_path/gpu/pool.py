"""Extrema-Pool on a GPU: the first of the largest of each window, many windows a program."""

import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.maps import CELLS, magnitudes, parameter

NARROW = 12  # samples of a window that one thread searches
TOGETHER = 256  # narrow windows of a program


def extrema_pool(
    s: Tensor, alpha: Tensor, sides: tuple[tuple[int, ...], ...], table: Tensor | None, maps: int,
    height: int, width: int, types: tuple,
) -> None:  # fmt: skip
    """Write the extrema of all windows into alpha; `sides` has the table's rows."""
    one_axis, widest = s.dim() == 3, max(wide for _, wide in sides)
    if one_axis and widest <= NARROW:
        windows = max(triton.cdiv(width, wide) for _, wide in sides)
        tiles = triton.cdiv(windows, TOGETHER)
        _pool_narrow_windows[(maps * tiles,)](
            s, alpha, table, *sides[0], s.shape[1], tiles, width, *types, TOGETHER, widest,
            TOGETHER * triton.next_power_of_2(widest),
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


@triton.jit(do_not_specialize=["down", "across", "channels", "tiles"])
def _pool_narrow_windows(
    s, alpha, table, down, across, channels, tiles, width,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    WINDOWS: tl.constexpr, WIDEST: tl.constexpr, SPAN: tl.constexpr,
):  # fmt: skip
    """Windows of one axis, each searched by one thread in memory that all have brought near."""
    i, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    wide = parameter(table, across, i, channels, 1)
    first = tile * WINDOWS * wide
    t = tl.arange(0, SPAN)
    inside = t < tl.minimum(WINDOWS * wide, width - first)
    s += i.to(tl.int64) * width + first
    alpha += i.to(tl.int64) * width + first
    values = tl.load(s + t, mask=inside, other=0).to(FLOAT)
    tl.store(alpha + t, tl.where(values != values, values, 0.0), mask=inside)
    tl.debug_barrier()
    start = tl.arange(0, WINDOWS) * wide
    is_one = start + wide <= width - first
    value = tl.load(s + start, mask=is_one, other=0).to(FLOAT)
    best, place = magnitudes(value, INT, MASK), start
    for j in tl.static_range(1, WIDEST):
        other = tl.load(s + start + j, mask=is_one & (start + j < start + wide), other=0).to(FLOAT)
        larger = magnitudes(other, INT, MASK) > best
        best = tl.where(larger, magnitudes(other, INT, MASK), best)
        value, place = tl.where(larger, other, value), tl.where(larger, start + j, place)
    tl.store(alpha + place, value, mask=is_one)


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
