"""Extrema on a GPU: candidates are listed, and looked at again until none of them waits.

A program does all of a map. Of maps too long for that (a day-long record) many programs list the
candidates, sweep over the list a few times, and leave the rest to one program. How many launches
there are does not depend on the data, and nothing is asked of the device in between.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.candidates import (
    CANDIDATES,
    PROGRAMS,
    list_candidates,
    look_around,
    mark_candidates,
)
from san.hot_path.gpu.maps import BLOCK, CHUNK, integer_type, parameter

SWEEPS = 8  # over the lists of candidates, by all programs


def extrema(
    s: Tensor, alpha: Tensor, table: Tensor | None, row: tuple[int, ...], maps: int, height: int,
    width: int, types: tuple,
) -> None:  # fmt: skip
    """Write the extrema of maps into alpha; see `launch.select`."""
    samples, programs = height * width, min(maps, PROGRAMS)
    places = torch.empty((programs, samples), dtype=torch.int32, device=s.device)
    heights = torch.empty_like(places, dtype=integer_type(s.dtype))
    states = torch.empty_like(places)
    _extrema[(programs,)](
        s, alpha, table, *row, places, heights, states, s.shape[1], maps, height, width,
        s.dim() == 3, *types, min(triton.next_power_of_2(samples), 1024), CANDIDATES,
    )  # fmt: skip


def extrema_of_long(
    s: Tensor, alpha: Tensor, table: Tensor | None, row: tuple[int, ...], maps: int, height: int,
    width: int, types: tuple,
) -> None:  # fmt: skip
    """Write the extrema of long maps into alpha; see `launch.select`."""
    samples, channels, one_axis = height * width, s.shape[1], s.dim() == 3
    chunks = triton.cdiv(samples, CHUNK)
    shape = (samples, height, width, one_axis)
    counts = torch.empty((maps, chunks), dtype=torch.int32, device=s.device)
    places = torch.empty((maps, samples), dtype=torch.int32, device=s.device)
    heights = torch.empty_like(places, dtype=integer_type(s.dtype))
    states = torch.empty_like(places)
    _count_candidates[(maps * chunks,)](s, alpha, counts, chunks, *shape, types[0], CHUNK, BLOCK)
    ends = torch.cumsum(counts, 1, dtype=torch.int32)
    _list_candidates[(maps * chunks,)](
        s, alpha, places, heights, states, ends, counts, chunks, *shape, *types, CHUNK, BLOCK
    )
    programs = min(triton.cdiv(samples, CANDIDATES), max(1, PROGRAMS // maps))
    waiting = torch.zeros(maps, dtype=torch.int32, device=s.device)
    for sweep in range(SWEEPS):
        _sweep[(maps * programs,)](
            s, alpha, table, *row, places, heights, states, ends, waiting, programs, chunks,
            channels, samples, width, one_axis, sweep == SWEEPS - 1, CANDIDATES,
        )  # fmt: skip
    _finish[(maps,)](
        s, alpha, table, *row, places, heights, states, ends, waiting, chunks, channels, samples,
        width, one_axis, CANDIDATES,
    )  # fmt: skip


@triton.jit(do_not_specialize=["down", "across", "channels", "maps", "height"])
def _extrema(
    s, alpha, table, down, across, places, heights, states, channels, maps, height, width,
    ONE_AXIS: tl.constexpr,
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
                    found, parameter(table, down, i, channels, 0),
                    parameter(table, across, i, channels, 1), width, ONE_AXIS, CANDIDATES,
                )  # fmt: skip
            tl.debug_barrier()
        here += tl.num_programs(0) * samples


@triton.jit(do_not_specialize=["chunks", "height"])
def _count_candidates(
    s, alpha, counts, chunks, samples, height, width, ONE_AXIS: tl.constexpr,
    FLOAT: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i, chunk = tl.program_id(0) // chunks, tl.program_id(0) % chunks
    here = i.to(tl.int64) * samples
    begin = chunk * CHUNK
    end = tl.minimum(begin + CHUNK, samples)
    marked = tl.zeros([BLOCK], tl.int32)
    for block in range(begin, end, BLOCK):
        t = block + tl.arange(0, BLOCK)
        marked += mark_candidates(
            s + here, alpha + here, t, t < end, height, width, ONE_AXIS, FLOAT
        )
    tl.store(counts + tl.program_id(0), tl.sum(marked, 0))


@triton.jit(do_not_specialize=["chunks", "height"])
def _list_candidates(
    s, alpha, places, heights, states, ends, counts, chunks, samples, height, width,
    ONE_AXIS: tl.constexpr, FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i, chunk = tl.program_id(0) // chunks, tl.program_id(0) % chunks
    here = i.to(tl.int64) * samples
    begin = chunk * CHUNK
    end = tl.minimum(begin + CHUNK, samples)
    found = tl.load(ends + tl.program_id(0)) - tl.load(counts + tl.program_id(0))
    for block in range(begin, end, BLOCK):
        at = here + found
        found += list_candidates(
            s + here, alpha + here, places + at, heights + at, states + at, block, end, height,
            width, ONE_AXIS, FLOAT, INT, MASK, BLOCK,
        )  # fmt: skip


@triton.jit(do_not_specialize=["down", "across", "programs", "chunks", "channels"])
def _sweep(
    s, alpha, table, down, across, places, heights, states, ends, waiting, programs, chunks,
    channels, samples, width, ONE_AXIS: tl.constexpr, LAST: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    i, program = tl.program_id(0) // programs, tl.program_id(0) % programs
    here = i.to(tl.int64) * samples
    found = tl.load(ends + (i + 1) * chunks - 1)
    left = found * 0
    for begin in range(program * CANDIDATES, found, programs * CANDIDATES):
        left += look_around(
            s + here, alpha + here, places + here, heights + here, states + here, begin, found,
            parameter(table, down, i, channels, 0), parameter(table, across, i, channels, 1), width,
            ONE_AXIS, CANDIDATES,
        )  # fmt: skip
    if LAST:
        tl.atomic_add(waiting + i, left)


@triton.jit(do_not_specialize=["down", "across", "chunks", "channels"])
def _finish(
    s, alpha, table, down, across, places, heights, states, ends, waiting, chunks, channels,
    samples, width, ONE_AXIS: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0)
    here = i.to(tl.int64) * samples
    found = tl.load(ends + (i + 1) * chunks - 1)
    left = tl.load(waiting + i)
    while left > 0:
        left = found * 0
        for begin in range(0, found, CANDIDATES):
            left += look_around(
                s + here, alpha + here, places + here, heights + here, states + here, begin,
                found, parameter(table, down, i, channels, 0),
                parameter(table, across, i, channels, 1), width, ONE_AXIS, CANDIDATES,
            )  # fmt: skip
        tl.debug_barrier()
