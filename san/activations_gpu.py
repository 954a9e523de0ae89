"""The three sparse selections on a GPU, in Triton: exact, and without waiting for the device.

`select` takes contiguous maps on the device. One launch does all maps; only maps too long for one
program (a day-long record) take several (`activations_gpu_long`), whose number does not depend on
the data. Positions and values are those of `activations_cpu`, ties included. A NaN, which could be
refused only after waiting for the device, passes to the activation map.
"""

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from san import activations_gpu_long as long
from san.candidates_gpu import (
    CANDIDATES,
    PROGRAMS,
    integer_type,
    list_candidates,
    look_around,
    magnitudes,
    number_types,
)

Rows = tuple[tuple[int, ...], ...]

CELLS = 4096  # samples of a program's tile, about
LONGEST = 16_384  # samples of a map that one program selects from by itself
NARROW = 12  # samples of a window that one thread searches
TOGETHER = 256  # narrow windows of a program


def select(activation: str, s: Tensor, rows: Rows, out: Tensor | None = None) -> Tensor:
    """Apply top_k_absolutes, extrema_pool or extrema to maps on the device.

    Parameters
    ----------
    activation : str
        Its name.
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type, contiguous, not empty
        Similarity maps.
    rows : tuple of tuples of ints
        The parameter, one row for all channels or one for each, with one number or one per axis.
    out : Tensor like s, contiguous, optional
        Where to write.

    Returns
    -------
    Tensor, same shape and type
        Activation maps, with NaN where s is NaN.
    """
    size = tuple(s.shape[2:])
    own = tuple(tuple(row) for row in rows * (s.shape[1] if len(rows) == 1 else 1))
    table, parameter = parameters(own, size, activation, s.device)
    alpha = torch.empty_like(s) if out is None else out
    maps, samples = s.shape[0] * s.shape[1], math.prod(size)
    height, width = (1, *size)[-2:]
    types = number_types(s.dtype)
    widest = max(wide for _, wide in table)
    if activation == "extrema_pool" and len(size) == 1 and widest <= NARROW:
        windows = max(triton.cdiv(width, wide) for _, wide in table)
        tiles = triton.cdiv(windows, TOGETHER)
        _pool_narrow_windows[(maps * tiles,)](
            s, alpha, parameter, s.shape[1], tiles, width, *types, TOGETHER, widest,
            TOGETHER * triton.next_power_of_2(widest),
        )  # fmt: skip
    elif activation == "extrema_pool":
        windows = max(triton.cdiv(height, tall) * triton.cdiv(width, wide) for tall, wide in table)
        area = max(tall * wide for tall, wide in table)
        cells = min(triton.next_power_of_2(area), CELLS)
        together = max(1, CELLS // cells // 2)
        tiles = triton.cdiv(windows, together)
        _extrema_pool[(maps * tiles,)](
            s, alpha, parameter, s.shape[1], tiles, height, width, len(size) == 1, *types,
            together, cells, area <= cells,
        )  # fmt: skip
    elif samples > LONGEST:
        work = long.extrema if activation == "extrema" else long.top_k_absolutes
        work(s, alpha, parameter, maps, height, width, types)
    elif activation == "top_k_absolutes":
        block = triton.next_power_of_2(samples)
        together = max(1, 1024 // block)
        _top_k_absolutes[(triton.cdiv(maps, together),)](
            s, alpha, parameter, s.shape[1], maps, samples, *types, together, block,
            num_warps=min(max(block * together // 512, 1), 16),
        )  # fmt: skip
    else:
        programs = min(maps, PROGRAMS)
        places = torch.empty((programs, samples), dtype=torch.int32, device=s.device)
        heights = torch.empty_like(places, dtype=integer_type(s.dtype))
        states = torch.empty_like(places)
        _extrema[(programs,)](
            s, alpha, parameter, places, heights, states, s.shape[1], maps, height, width,
            len(size) == 1, *types, min(triton.next_power_of_2(samples), 1024), CANDIDATES,
        )  # fmt: skip
    return alpha


def pass_gradient(alpha: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with respect to s: that of α where α is not zero."""
    passed = torch.empty_like(alpha)
    grid = (triton.cdiv(alpha.numel(), CELLS),)
    _pass_gradient[grid](alpha, gradient.contiguous(), passed, alpha.numel(), CELLS)
    return passed


@functools.lru_cache(maxsize=64)
def parameters(
    rows: Rows, size: tuple[int, ...], activation: str, device: torch.device
) -> tuple[list[tuple[int, int]], Tensor]:
    """The parameter of each channel along rows and columns (or k twice), here and there."""
    table = []
    for row in rows:
        if activation == "top_k_absolutes":
            table.append((min(row[0], math.prod(size)),) * 2)
        else:  # anything larger than a side changes nothing
            sides = [
                min(p, n + 1) for p, n in zip(row * (len(size) // len(row)), size, strict=True)
            ]
            table.append(((int(activation == "extrema_pool"), *sides)[-2], sides[-1]))
    return table, torch.tensor(table, dtype=torch.int32, device=device)


@triton.jit
def _pool_narrow_windows(
    s, alpha, table, channels, tiles, width,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    WINDOWS: tl.constexpr, WIDEST: tl.constexpr, SPAN: tl.constexpr,
):  # fmt: skip
    """Windows of one axis, each searched by one thread in memory that all have brought near."""
    i, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    wide = tl.load(table + i % channels * 2 + 1)
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


@triton.jit
def _extrema_pool(
    s, alpha, table, channels, tiles, height, width, ONE_AXIS: tl.constexpr,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    WINDOWS: tl.constexpr, CELLS: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    i, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    tall, wide = tl.load(table + i % channels * 2), tl.load(table + i % channels * 2 + 1)
    window = tile * WINDOWS + tl.arange(0, WINDOWS)
    if ONE_AXIS:
        y, x = window * 0, window * wide
    else:
        across = tl.cdiv(width, wide)
        y, x = window // across * tall, window % across * wide
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


@triton.jit
def _top_k_absolutes(
    s, alpha, table, channels, maps, samples,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0) * MAPS + tl.arange(0, MAPS)
    t = tl.arange(0, BLOCK)[None, :]
    inside = (i < maps)[:, None] & (t < samples)
    at = i.to(tl.int64)[:, None] * samples + t
    values = tl.load(s + at, mask=inside, other=0).to(FLOAT)
    magnitude = tl.where(inside, magnitudes(values, INT, MASK), -1)
    k = tl.minimum(tl.load(table + i % channels * 2), samples)
    threshold = _threshold(magnitude, k, samples + k * 0, FLOAT, INT, MASK)
    above, equal = magnitude > threshold[:, None], magnitude == threshold[:, None]
    room = k - tl.sum(above.to(tl.int32), 1)
    rank = tl.cumsum(equal.to(tl.int32), 1)
    kept = above | (equal & (rank <= room[:, None])) | (values != values)
    tl.store(alpha + at, tl.where(kept, values, 0.0), mask=inside)


@triton.jit
def _threshold(magnitude, k, samples, FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr):
    """A magnitude that at least k samples of each map reach, and less than k are above.

    As in `top_k_cpu`: the number of samples from a magnitude on falls about exponentially, so its
    logarithm is interpolated between bounds; every fourth step bisects the integers.
    """
    low, high = k.to(INT) * 0, tl.minimum(tl.max(magnitude, 1), MASK - 1) + 1
    at_low = samples
    largest = 1.79e308 if FLOAT == tl.float64 else 3.4e38  # infinities cannot be interpolated
    excess_low = tl.log2(samples.to(tl.float32) / k)
    excess_high = tl.log2(0.5 / k)
    share, side, step = k * 0 + 0.5, k * 0, 0
    is_open = (at_low > k) & (high - low > 1)
    while tl.max(is_open.to(tl.int32), 0) > 0:
        bottom = tl.minimum(low.to(FLOAT, bitcast=True), largest)
        top = tl.minimum((high - 1).to(FLOAT, bitcast=True), largest)
        guess = (bottom + (top - bottom) * share).to(INT, bitcast=True)
        middle = low + (high - low) // 2
        is_inside = (guess > low) & (guess < high) & (step % 4 < 3)
        middle = tl.where(is_inside, guess, middle)
        count = tl.sum((magnitude >= middle[:, None]).to(tl.int32), 1)
        enough = count >= k
        raised, lowered = is_open & enough, is_open & (enough == 0)
        excess = tl.log2(tl.maximum(count.to(tl.float32), 0.5) / k)
        excess_high = tl.where(raised & (side > 0), excess_high * 0.5, excess_high)
        excess_low = tl.where(lowered & (side < 0), excess_low * 0.5, excess_low)
        low, at_low = tl.where(raised, middle, low), tl.where(raised, count, at_low)
        excess_low = tl.where(raised, excess, excess_low)
        high, excess_high = tl.where(lowered, middle, high), tl.where(lowered, excess, excess_high)
        side = tl.where(raised, 1, tl.where(lowered, -1, side))
        share = excess_low / (excess_low - excess_high)
        is_open = (at_low > k) & (high - low > 1)
        step += 1
    return low


@triton.jit
def _extrema(
    s, alpha, table, places, heights, states, channels, maps, height, width, ONE_AXIS: tl.constexpr,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    BLOCK: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    samples = height * width
    mine = tl.program_id(0).to(tl.int64) * samples
    here = mine
    for i in range(tl.program_id(0), maps, tl.num_programs(0)):
        found = tl.program_id(0) * 0
        for begin in range(0, samples, BLOCK):
            at = mine + found
            found += list_candidates(
                s + here, alpha + here, places + at, heights + at, states + at, begin, samples,
                height, width, ONE_AXIS, FLOAT, INT, MASK, BLOCK,
            )  # fmt: skip
        tl.debug_barrier()
        waiting = found
        while waiting > 0:
            waiting = found * 0
            for begin in range(0, found, CANDIDATES):
                waiting += look_around(
                    s + here, alpha + here, places + mine, heights + mine, states + mine, begin,
                    found, tl.load(table + i % channels * 2),
                    tl.load(table + i % channels * 2 + 1), width, ONE_AXIS, CANDIDATES,
                )  # fmt: skip
            tl.debug_barrier()
        here += tl.num_programs(0) * samples


@triton.jit
def _pass_gradient(alpha, gradient, passed, samples, BLOCK: tl.constexpr):
    t = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    kept = tl.load(alpha + t, mask=t < samples, other=0) != 0
    tl.store(
        passed + t, tl.load(gradient + t, mask=kept & (t < samples), other=0), mask=t < samples
    )
