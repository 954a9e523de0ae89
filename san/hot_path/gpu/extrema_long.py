"""Extrema of long maps on a GPU: candidates in a list that many programs look at, again and again.

A candidate is kept if no larger one within reach is left, and then removes what is near. An old
height of a neighbour can only make it wait, so programs need not wait for each other. After a few
looks the candidates that still wait are moved to a list of their own, and looked at again. What is
left after that (chains, in which each candidate waits for the next) is decided in order: along one
axis by climbing, as on the CPU (`san.hot_path.cpu.extrema`), in time linear in the list, and every
stretch that is farther than min_distance from the next by a program of its own; of images by a
sort. How many launches there are does not depend on the data, and nothing is asked of the device in
between.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.candidates import mark_candidates
from san.hot_path.gpu.maps import BLOCK, integer_type, magnitudes, parameter, slices_of

LISTS = 2  # that of all candidates, and that of what waits
LOOKS = 4  # at each list
CANDIDATES = 128  # that look around together
AT_ONCE = 1 << 26  # samples of the maps that share the memory of the lists

_NEIGHBOURS = tl.constexpr(8)  # that a candidate looks at together
_NEAR = tl.constexpr(32)  # candidates of a list that a climb looks at together
_FAR = tl.constexpr(0x7FFFFFFF)


class _List(NamedTuple):
    """Candidates of some maps: as many rows as there are maps."""

    places: Tensor  # int32, ascending
    heights: Tensor  # magnitudes of open ones, 0 of removed ones, MASK of kept ones
    ends: Tensor  # int32, how many the slices of the map up to each have found


def extrema_of_long(
    s: Tensor, alpha: Tensor, table: Tensor | None, row: tuple[int, ...], maps: int, height: int,
    width: int, types: tuple, steps: Tensor | None = None,
) -> None:  # fmt: skip
    """Write the extrema of long maps into alpha; see `launch.select`.

    `steps`, int32, shape (maps,), zeros, is given how many steps in order each map takes.
    """
    together = max(1, AT_ONCE // (height * width))
    flat, kept = s.view(maps, -1), alpha.view(maps, -1)
    for first in range(0, maps, together):
        some = slice(first, first + together)
        shape = (first, s.shape[1], height, width, s.dim() == 3)
        counted = None if steps is None else steps[some]
        _extrema_of_some(flat[some], kept[some], (table, *row), shape, types, counted)


def _extrema_of_some(
    s: Tensor, alpha: Tensor, reach: tuple, shape: tuple, types: tuple, steps: Tensor | None
) -> None:
    maps, samples = s.shape
    blocks, slices = slices_of(samples, maps)
    first, channels, height, width, one_axis = shape
    counts = torch.empty((maps, slices), dtype=torch.int32, device=s.device)
    places = torch.empty((2, maps, samples), dtype=torch.int32, device=s.device)
    heights = torch.empty_like(places, dtype=integer_type(s.dtype))
    grid, size = (maps * slices,), (slices, samples, height, width, one_axis)
    _count_candidates[grid](s, alpha, counts, blocks, *size, types[0], BLOCK)
    here = _List(places[0], heights[0], torch.cumsum(counts, 1, dtype=torch.int32))
    _list_candidates[grid](s, *here, counts, blocks, *size, *types, BLOCK)
    where = (*reach, first, channels, slices, samples, width)
    for level in range(1, LISTS + 1):
        _look[grid](s, alpha, *here, *where, one_axis, types[2], LOOKS, CANDIDATES)
        _count_open[grid](here.heights, here.ends, counts, slices, samples, types[2], CANDIDATES)
        there = level % 2
        ends = torch.cumsum(counts, 1, dtype=torch.int32)
        follows = _List(places[there], heights[there], ends)
        _move_open[grid](*here, *follows, counts, slices, samples, types[2], CANDIDATES)
        here, spare = follows, here
    if one_axis:
        _climb[grid](s, alpha, *here, spare.places, spare.heights, steps, *where, num_warps=1)
    else:
        listed = torch.arange(samples, device=s.device) < here.ends[:, -1:]
        order = torch.where(listed, here.heights, -1).argsort(dim=1, descending=True, stable=True)
        _take_in_order[(maps,)](s, alpha, here.places, here.ends, order, steps, *where, 32)


@triton.jit(do_not_specialize=["blocks", "slices", "height"])
def _count_candidates(
    s, alpha, counts, blocks, slices, samples, height, width, ONE_AXIS: tl.constexpr,
    FLOAT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i, begin = tl.program_id(0) // slices, tl.program_id(0) % slices * blocks * BLOCK
    here, end = i.to(tl.int64) * samples, tl.minimum(begin + blocks * BLOCK, samples)
    marked = tl.zeros([BLOCK], tl.int32)
    for block in range(begin, end, BLOCK):
        t = block + tl.arange(0, BLOCK)
        flags, _ = mark_candidates(
            s + here, alpha + here, t, t < end, height, width, ONE_AXIS, FLOAT
        )
        marked += flags.to(tl.int32)
    tl.store(counts + tl.program_id(0), tl.sum(marked, 0))


@triton.jit(do_not_specialize=["blocks", "slices", "height"])
def _list_candidates(
    s, places, heights, ends, counts, blocks, slices, samples, height, width,
    ONE_AXIS: tl.constexpr, FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    i, begin = tl.program_id(0) // slices, tl.program_id(0) % slices * blocks * BLOCK
    here, end = i.to(tl.int64) * samples, tl.minimum(begin + blocks * BLOCK, samples)
    at = here + tl.load(ends + tl.program_id(0)) - tl.load(counts + tl.program_id(0))
    for block in range(begin, end, BLOCK):
        t = block + tl.arange(0, BLOCK)
        flags, values = mark_candidates(s + here, None, t, t < end, height, width, ONE_AXIS, FLOAT)
        rank = tl.cumsum(flags.to(tl.int32), 0) - 1
        tl.store(places + at + rank, t, mask=flags)
        tl.store(heights + at + rank, magnitudes(values, INT, MASK), mask=flags)
        at += tl.sum(flags.to(tl.int32), 0)


@triton.jit
def _slice(ends, slices, MULTIPLE: tl.constexpr):
    """The part of a map's list that is this program's, and the length of the list."""
    i, number = tl.program_id(0) // slices, tl.program_id(0) % slices
    found = tl.load(ends + (i + 1) * slices - 1)
    size = tl.cdiv(tl.cdiv(found, slices), MULTIPLE) * MULTIPLE
    begin = tl.minimum(number * size, found)
    return i, begin, tl.minimum(begin + size, found), found


@triton.jit(do_not_specialize=["down", "across", "first", "channels", "slices"])
def _look(
    s, alpha, places, heights, ends, table, down, across, first, channels, slices, samples, width,
    ONE_AXIS: tl.constexpr, MASK: tl.constexpr, LOOKS: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    i, begin, end, found = _slice(ends, slices, CANDIDATES)
    here = i.to(tl.int64) * samples
    reach_down = parameter(table, down, first + i, channels, 0)
    reach = parameter(table, across, first + i, channels, 1)
    left, looks = end - begin, 0
    while (left > 0) & (looks < LOOKS):
        left = begin * 0
        for block in range(begin, end, CANDIDATES):
            left += _look_around(
                s + here, alpha + here, places + here, heights + here, block, found, reach_down,
                reach, width, ONE_AXIS, MASK, CANDIDATES,
            )  # fmt: skip
        tl.debug_barrier()
        looks += 1


@triton.jit
def _look_around(
    s, alpha, places, heights, begin, found, reach_down, reach, width,
    ONE_AXIS: tl.constexpr, MASK: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    """Decide those of some listed candidates that can be decided; return how many still wait."""
    j = begin + tl.arange(0, CANDIDATES)
    height = tl.load(heights + j, mask=j < found, other=0)
    is_open = (height > 0) & (height < MASK)
    waiting = tl.max(is_open.to(tl.int32), 0)
    if waiting > 0:
        t = tl.load(places + j, mask=is_open, other=0)
        waits = is_open & (t < 0)
        for side in tl.static_range(2):
            step = 1 - 2 * side  # an equal one before comes first, an equal one after does not
            other = j[:, None] + step * (1 + tl.arange(0, _NEIGHBOURS))[None, :]
            looking = is_open & (waits == 0)
            while tl.max(looking.to(tl.int32), 0) > 0:
                near, inside = _near(
                    places, other, looking, found, t, reach_down, reach, width, ONE_AXIS
                )
                rival = tl.load(heights + other, mask=inside, other=0)
                is_first = (rival == height[:, None]) & (step < 0)
                larger = inside & ((rival > height[:, None]) | is_first)
                waits = waits | (tl.max(larger.to(tl.int32), 1) > 0)
                looking = looking & (waits == 0) & (tl.min(near.to(tl.int32), 1) > 0)
                other += step * _NEIGHBOURS
        kept = is_open & (waits == 0)
        tl.store(heights + j, tl.zeros_like(height) + MASK, mask=kept)
        tl.store(alpha + t, tl.load(s + t, mask=kept, other=0), mask=kept)
        for side in tl.static_range(2):
            step = 1 - 2 * side
            other = j[:, None] + step * (1 + tl.arange(0, _NEIGHBOURS))[None, :]
            looking = kept
            while tl.max(looking.to(tl.int32), 0) > 0:
                near, inside = _near(
                    places, other, looking, found, t, reach_down, reach, width, ONE_AXIS
                )
                tl.store(heights + other, tl.zeros_like(other).to(height.dtype), mask=inside)
                looking = looking & (tl.min(near.to(tl.int32), 1) > 0)
                other += step * _NEIGHBOURS
        waiting = tl.sum(waits.to(tl.int32), 0)
    return waiting


@triton.jit
def _near(places, other, looking, found, t, reach_down, reach, width, ONE_AXIS: tl.constexpr):
    """Which of some neighbours can be within reach, in the order of the list, and which are."""
    near = looking[:, None] & (other >= 0) & (other < found)
    u = tl.load(places + other, mask=near, other=0)
    near = near & (tl.abs(u - t[:, None]) <= reach_down * width + reach)
    inside = near
    if not ONE_AXIS:
        down, beside = u // width - t[:, None] // width, u % width - t[:, None] % width
        inside = near & (tl.abs(down) <= reach_down) & (tl.abs(beside) <= reach)
    return near, inside


@triton.jit(do_not_specialize=["slices"])
def _count_open(
    heights, ends, counts, slices, samples, MASK: tl.constexpr, CANDIDATES: tl.constexpr
):
    i, begin, end, _ = _slice(ends, slices, CANDIDATES)
    heights += i.to(tl.int64) * samples
    total = tl.zeros([CANDIDATES], tl.int32)
    for block in range(begin, end, CANDIDATES):
        j = block + tl.arange(0, CANDIDATES)
        height = tl.load(heights + j, mask=j < end, other=0)
        total += ((height > 0) & (height < MASK)).to(tl.int32)
    tl.store(counts + tl.program_id(0), tl.sum(total, 0))


@triton.jit(do_not_specialize=["slices"])
def _move_open(
    places, heights, ends, new_places, new_heights, new_ends, counts, slices, samples,
    MASK: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    """Write what is open into a new list, in its order."""
    i, begin, end, _ = _slice(ends, slices, CANDIDATES)
    here = i.to(tl.int64) * samples
    at = here + tl.load(new_ends + tl.program_id(0)) - tl.load(counts + tl.program_id(0))
    for block in range(begin, end, CANDIDATES):
        j = block + tl.arange(0, CANDIDATES)
        height = tl.load(heights + here + j, mask=j < end, other=0)
        is_open = (height > 0) & (height < MASK)
        rank = tl.cumsum(is_open.to(tl.int32), 0) - 1
        place = tl.load(places + here + j, mask=is_open, other=0)
        tl.store(new_places + at + rank, place, mask=is_open)
        tl.store(new_heights + at + rank, height, mask=is_open)
        at += tl.sum(is_open.to(tl.int32), 0)


@triton.jit(do_not_specialize=["down", "across", "first", "channels", "slices"])
def _climb(
    s, alpha, places, heights, ends, waiting, limits, steps, table, down, across, first, channels,
    slices, samples, width,
):  # fmt: skip
    """Climb through the stretches of a list that begin in this program's slice."""
    i, begin, end, found = _slice(ends, slices, 1)
    here = i.to(tl.int64) * samples
    reach = parameter(table, across, first + i, channels, 1)
    places, heights = places + here, heights + here
    start, taken = begin, begin * 0
    while start < end:
        place = tl.load(places + start)
        before = tl.load(places + start - 1, mask=start > 0, other=-1)
        if (start > 0) & (place - before <= reach):
            start += 1  # in the stretch of an earlier program
        else:
            stop = _end_of_stretch(places, start, found, reach)
            taken += _climb_stretch(
                s + here, alpha + here, places, heights, waiting + here + start,
                limits + here + start, start, stop, reach,
            )  # fmt: skip
            start = stop
    if steps is not None:
        tl.atomic_add(steps + i, taken)


@triton.jit
def _end_of_stretch(places, start, found, reach):
    """Where the list has the first gap of more than the reach after `start`."""
    stop = start + 1
    place = tl.load(places + start)
    after = tl.load(places + stop, mask=stop < found, other=_FAR)
    while (stop < found) & (after - place <= reach):
        stop += 1
        place = after
        after = tl.load(places + stop, mask=stop < found, other=_FAR)
    return stop


@triton.jit
def _climb_stretch(s, alpha, places, heights, waiting, limits, start, limit, reach):
    """Decide a stretch as `san.hot_path.cpu.extrema` does; return how many steps that took."""
    top, taken = start * 0 - 1, start * 0
    while start < limit:
        place = tl.load(places + start)
        summit, right = _summit(places, heights, start, limit, place, reach)
        taken += 1
        if summit != start:
            top += 1
            tl.store(waiting + top, start)
            tl.store(limits + top, limit.to(limits.dtype.element_ty))
            tl.debug_barrier()
            start = summit
        else:
            tl.store(alpha + place, tl.load(s + place))
            below = tl.load(waiting + top, mask=top >= 0, other=0)
            while (top >= 0) & (tl.load(places + below) >= place - reach):
                top -= 1
                below = tl.load(waiting + top, mask=top >= 0, other=0)
                taken += 1
            if top >= 0:
                left = start
                while tl.load(places + left - 1) >= place - reach:
                    left -= 1
                    taken += 1
                former = tl.load(limits + top)
                tl.debug_barrier()
                tl.store(limits + top, tl.minimum(former, left.to(former.dtype)))
                tl.debug_barrier()
            start = right
            while (start >= limit) & (top >= 0):
                start = tl.load(waiting + top)
                limit = tl.load(limits + top).to(tl.int32)
                top -= 1
            tl.debug_barrier()
    return taken


@triton.jit
def _summit(places, heights, start, limit, place, reach):
    """The largest candidate within reach from `start` to its right, and the first beyond."""
    summit, right = start, start + 1
    height = tl.load(heights + start)
    seen = _NEAR
    while seen == _NEAR:
        j = right + tl.arange(0, _NEAR)
        u = tl.load(places + j, mask=j < limit, other=_FAR)
        near = (j < limit) & (u - place <= reach)
        others = tl.load(heights + j, mask=near, other=0)
        largest = tl.max(others, 0)
        at = tl.min(tl.where(near & (others == largest), j, _FAR), 0)
        summit = tl.where(largest > height, at, summit)
        height = tl.maximum(height, largest)
        seen = tl.sum(near.to(tl.int32), 0)
        right += seen
    return summit, right


@triton.jit(do_not_specialize=["down", "across", "first", "channels", "slices"])
def _take_in_order(
    s, alpha, places, ends, order, steps, table, down, across, first, channels, slices, samples,
    width, CELLS: tl.constexpr,
):  # fmt: skip
    """Keep each candidate of a list in falling order of height, unless a kept one is near."""
    i = tl.program_id(0)
    here = i.to(tl.int64) * samples
    found = tl.load(ends + (i + 1) * slices - 1)
    reach_down = parameter(table, down, first + i, channels, 0)
    reach = parameter(table, across, first + i, channels, 1)
    for k in range(0, found):
        t = tl.load(places + here + tl.load(order + here + k))
        y, x = t // width, t % width
        top, bottom = (
            tl.maximum(y - reach_down, 0),
            tl.minimum(y + reach_down, samples // width - 1),
        )
        near = found * 0
        for row in range(top, bottom + 1, CELLS):
            rows = row + tl.arange(0, CELLS)[:, None]
            for column in range(tl.maximum(x - reach, 0), tl.minimum(x + reach + 1, width), CELLS):
                columns = column + tl.arange(0, CELLS)[None, :]
                inside = (rows <= bottom) & (columns <= x + reach) & (columns < width)
                kept = tl.load(alpha + here + rows * width + columns, mask=inside, other=0)
                near += tl.max(tl.max(((kept != 0) & (kept == kept)).to(tl.int32), 1), 0)
        if near == 0:
            tl.store(alpha + here + t, tl.load(s + here + t))
        tl.debug_barrier()
    if steps is not None:
        tl.store(steps + i, found)
