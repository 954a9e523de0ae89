"""Extrema of a map on a GPU by one program, which keeps all of the map at hand.

Candidates have a height: the magnitude of an open one, 0 if it is removed, and MASK, which is above
all magnitudes, if it is kept. A round keeps each candidate that is the largest within reach, and
removes the others there. While candidates are many, a round looks at all samples: it slides a
maximum to both sides, in as many steps as the reach has binary digits. When they are few, they are
listed, and each looks at its neighbours in the list. A round keeps at least one candidate, so a map
of n samples takes at most 2 · n / (min_distance + 1) rounds. Maps of 8,192 samples of an ECG, of
its similarity to a heartbeat and of white noise take one to ten.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.candidates import mark_candidates
from san.hot_path.gpu.maps import magnitudes, parameter

PROGRAMS = 528  # that share the maps: four for each multiprocessor of an H100 or H200
SHARE = 8  # samples per candidate from where a list of candidates pays
WARPS = 16  # of a program, at most


def extrema(
    s: Tensor, alpha: Tensor, table: Tensor | None, row: tuple[int, ...], maps: int, height: int,
    width: int, types: tuple, rounds: Tensor | None = None,
) -> None:  # fmt: skip
    """Write the extrema of maps into alpha; see `launch.select`.

    `rounds`, int32, shape (maps,), is given how many rounds each map takes.
    """
    one_axis, programs, per_warp = s.dim() == 3, min(maps, PROGRAMS), longest(s) // WARPS
    block = max(16, triton.next_power_of_2(height * width))
    listed = block // SHARE
    places = torch.empty((programs, listed), dtype=torch.int32, device=s.device)
    _extrema[(programs,)](
        s, alpha, table, *row, places, rounds, s.shape[1], maps, height, width, one_axis, *types,
        block, listed, num_warps=min(max(block // per_warp, 1), WARPS),
    )  # fmt: skip


def longest(s: Tensor) -> int:
    """How many samples of a map the registers of one program hold."""
    return 8192 if s.dim() == 3 and s.dtype != torch.float64 else 4096


@triton.jit(do_not_specialize=["down", "across", "channels", "maps", "height"])
def _extrema(
    s, alpha, table, down, across, places, rounds, channels, maps, height, width,
    ONE_AXIS: tl.constexpr, FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    BLOCK: tl.constexpr, LISTED: tl.constexpr,
):  # fmt: skip
    samples = height * width
    here = tl.program_id(0).to(tl.int64) * samples
    places += tl.program_id(0) * LISTED
    t = tl.arange(0, BLOCK)
    for i in range(tl.program_id(0), maps, tl.num_programs(0)):
        reach_down = parameter(table, down, i, channels, 0)
        reach = parameter(table, across, i, channels, 1)
        flags, values = mark_candidates(
            s + here, alpha + here, t, t < samples, height, width, ONE_AXIS, FLOAT
        )
        heights = tl.where(flags, magnitudes(values, INT, MASK), 0)
        left, taken = tl.sum(flags.to(tl.int32), 0), tl.program_id(0) * 0
        most = LISTED if ONE_AXIS else 0
        while left > most:
            heights = _round(heights, t, reach_down, reach, height, width, ONE_AXIS, MASK)
            left = tl.sum(((heights > 0) & (heights < MASK)).to(tl.int32), 0)
            taken += 1
        kept = heights == MASK
        tl.debug_barrier()  # the zeros are written, by whichever thread it was
        tl.store(alpha + here + t, tl.load(s + here + t, mask=kept, other=0), mask=kept)
        if ONE_AXIS:
            is_open = (heights > 0) & (heights < MASK)
            tl.store(places + tl.cumsum(is_open.to(tl.int32), 0) - 1, t, mask=is_open)
            tl.debug_barrier()
            j = tl.arange(0, LISTED)
            place = tl.load(places + j, mask=j < left, other=0)
            height_of = tl.where(j < left, tl.gather(heights, place, 0), 0)
            place = tl.where(j < left, place, 0x7FFFFFFF)
            while left > 0:
                height_of = _round_of_list(place, height_of, j, reach, MASK, LISTED)
                left = tl.sum(((height_of > 0) & (height_of < MASK)).to(tl.int32), 0)
                taken += 1
            kept = height_of == MASK
            values = tl.load(s + here + place, mask=kept, other=0)
            tl.store(alpha + here + place, values, mask=kept)
            tl.debug_barrier()  # before the next map's places are written
        if rounds is not None:
            tl.store(rounds + i, taken)
        here += tl.num_programs(0) * samples


@triton.jit
def _round(
    heights, t, reach_down, reach, height, width, ONE_AXIS: tl.constexpr, MASK: tl.constexpr
):
    """Keep the largest within reach and remove the others there, among all samples."""
    before, after = _largest_around(heights, t, reach_down, reach, height, width, ONE_AXIS)
    wins = (heights > 0) & (heights < MASK) & (heights > before) & (heights >= after)
    heights = tl.where(wins, MASK, heights)
    winners = tl.where(wins, heights, 0)
    before, after = _largest_around(winners, t, reach_down, reach, height, width, ONE_AXIS)
    return tl.where((before > 0) | (after > 0), 0, heights)


@triton.jit
def _largest_around(heights, t, reach_down, reach, height, width, ONE_AXIS: tl.constexpr):
    """The largest height within reach before each sample, and after it, in row-major order."""
    if ONE_AXIS:
        before = _largest_beside(heights, t, t, reach, -1, 1, width)
        after = _largest_beside(heights, t, t, reach, 1, 1, width)
    else:
        x, y = t % width, t // width
        left = _largest_beside(heights, t, x, reach, -1, 1, width)
        right = _largest_beside(heights, t, x, reach, 1, 1, width)
        rows = tl.maximum(heights, tl.maximum(left, right))
        above = _largest_beside(rows, t, y, reach_down, -1, width, height)
        below = _largest_beside(rows, t, y, reach_down, 1, width, height)
        before, after = tl.maximum(left, above), tl.maximum(right, below)
    return before, after


@triton.jit
def _largest_beside(heights, t, place, reach, direction, stride, size):
    """The largest of the next `reach` heights in a direction of an axis, beyond whose ends is 0."""
    largest = _height_at(heights, t, place, direction, stride, size)
    done = tl.minimum(reach, 1)
    largest = tl.where(done > 0, largest, 0)
    while done < reach:
        more = tl.minimum(done, reach - done)
        farther = _height_at(largest, t, place, direction * more, stride, size)
        largest = tl.maximum(largest, farther)
        done += more
    return largest


@triton.jit
def _height_at(heights, t, place, steps, stride, size):
    at = t + steps * stride
    inside = (place + steps >= 0) & (place + steps < size) & (at < heights.shape[0])
    return tl.where(inside, tl.gather(heights, tl.where(inside, at, t), 0), 0)


@triton.jit
def _round_of_list(place, height, j, reach, MASK: tl.constexpr, LISTED: tl.constexpr):
    """Remove what a kept one is near, and keep the largest within reach, in an ordered list.

    One that must wait looks on: if a kept one is farther within reach, it is removed at once, and
    not only when the nearer ones are.
    """
    is_open = (height > 0) & (height < MASK)
    beaten, waits = is_open & (height < 0), is_open & (height < 0)
    for side in tl.static_range(2):
        step = 1 - 2 * side
        other = j + step
        looking = is_open & (beaten == 0)
        while tl.max(looking.to(tl.int32), 0) > 0:
            near = looking & (other >= 0) & (other < LISTED)
            index = tl.where(near, other, 0)
            rival, distance = tl.gather(height, index, 0), tl.gather(place, index, 0) - place
            near = near & (tl.abs(distance) <= reach)
            larger = near & ((rival > height) | ((rival == height) & (step < 0)))
            beaten = beaten | (near & (rival == MASK))
            waits = waits | (larger & (rival < MASK))
            looking = near & (beaten == 0)
            other += step
    height = tl.where(beaten, 0, height)
    return tl.where(is_open & (beaten == 0) & (waits == 0), MASK, height)
