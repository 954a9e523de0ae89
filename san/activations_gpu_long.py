"""The selections of maps too long for one program: several launches, each of many programs a map.

How many launches there are does not depend on the data, and nothing is asked of the device in
between. Top-k finds the bits of its threshold digit by digit, from histograms of the digits of all
magnitudes that agree with what is known so far. Extrema lists the candidates of all chunks, sweeps
over the list a few times, and gives what is left of it to one program.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.candidates_gpu import (
    CANDIDATES,
    PROGRAMS,
    integer_type,
    list_candidates,
    look_around,
    magnitudes,
    mark_candidates,
)

CHUNK = 32_768  # samples of a map per program
BLOCK = 1024  # samples of them at once
DIGIT = 8  # bits that one launch finds
SWEEPS = 8  # over the lists of candidates, by all programs

_DIGIT = tl.constexpr(DIGIT)
_DIGITS = tl.constexpr(1 << DIGIT)


def extrema(
    s: Tensor, alpha: Tensor, table: Tensor, maps: int, height: int, width: int, types: tuple
) -> None:
    """Write the extrema of long maps into alpha; see `activations_gpu.select`."""
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
            s, alpha, table, places, heights, states, ends, waiting, programs, chunks, channels,
            samples, width, one_axis, sweep == SWEEPS - 1, CANDIDATES,
        )  # fmt: skip
    _finish[(maps,)](
        s, alpha, table, places, heights, states, ends, waiting, chunks, channels, samples, width,
        one_axis, CANDIDATES,
    )  # fmt: skip


def top_k_absolutes(
    s: Tensor, alpha: Tensor, table: Tensor, maps: int, height: int, width: int, types: tuple
) -> None:
    """Write the k largest magnitudes of long maps into alpha; see `activations_gpu.select`."""
    samples, channels, integer = height * width, s.shape[1], torch.int64
    chunks = triton.cdiv(samples, CHUNK)
    counts = torch.empty((maps, chunks, 1 << DIGIT), dtype=torch.int32, device=s.device)
    before = torch.empty((maps, chunks), dtype=torch.int32, device=s.device)
    threshold = torch.zeros(maps, dtype=integer, device=s.device)
    room = torch.empty(maps, dtype=torch.int32, device=s.device)
    bits = 8 * (8 if s.dtype == torch.float64 else 4)
    for shift in range(bits - DIGIT, -1, -DIGIT):
        _count_digits[(maps * chunks,)](
            s, threshold, counts, chunks, samples, *types, shift, CHUNK, BLOCK
        )
        _choose_digit[(maps,)](
            counts, table, threshold, room, before, chunks, channels, shift == bits - DIGIT,
            triton.next_power_of_2(min(chunks, 32)),
        )  # fmt: skip
    _keep_above[(maps * chunks,)](
        s, alpha, threshold, room, before, chunks, samples, *types, CHUNK, BLOCK
    )


@triton.jit
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


@triton.jit
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


@triton.jit
def _sweep(
    s, alpha, table, places, heights, states, ends, waiting, programs, chunks, channels, samples,
    width, ONE_AXIS: tl.constexpr, LAST: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    i, program = tl.program_id(0) // programs, tl.program_id(0) % programs
    here = i.to(tl.int64) * samples
    found = tl.load(ends + (i + 1) * chunks - 1)
    left = found * 0
    for begin in range(program * CANDIDATES, found, programs * CANDIDATES):
        left += look_around(
            s + here, alpha + here, places + here, heights + here, states + here, begin, found,
            tl.load(table + i % channels * 2), tl.load(table + i % channels * 2 + 1), width,
            ONE_AXIS, CANDIDATES,
        )  # fmt: skip
    if LAST:
        tl.atomic_add(waiting + i, left)


@triton.jit
def _finish(
    s, alpha, table, places, heights, states, ends, waiting, chunks, channels, samples, width,
    ONE_AXIS: tl.constexpr, CANDIDATES: tl.constexpr,
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
                found, tl.load(table + i % channels * 2), tl.load(table + i % channels * 2 + 1),
                width, ONE_AXIS, CANDIDATES,
            )  # fmt: skip
        tl.debug_barrier()


@triton.jit
def _count_digits(
    s, threshold, counts, chunks, samples, FLOAT: tl.constexpr, INT: tl.constexpr,
    MASK: tl.constexpr, SHIFT: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """How often each digit follows the known digits of the threshold, in a chunk of a map."""
    i, chunk = tl.program_id(0) // chunks, tl.program_id(0) % chunks
    here = i.to(tl.int64) * samples
    known = tl.load(threshold + i)
    digits = tl.arange(0, _DIGITS)
    total = tl.zeros([_DIGITS], tl.int32)
    for block in range(chunk * CHUNK, tl.minimum(chunk * CHUNK + CHUNK, samples), BLOCK):
        t = block + tl.arange(0, BLOCK)
        values = tl.load(s + here + t, mask=t < samples, other=0).to(FLOAT)
        higher = magnitudes(values, INT, MASK).to(tl.int64) >> SHIFT
        agrees = (t < samples) & ((higher >> _DIGIT) == known)
        digit = tl.where(agrees, higher & (_DIGITS - 1), 0).to(tl.int32)
        total += tl.histogram(digit, _DIGITS)
        others = tl.sum((agrees == 0).to(tl.int32), 0)  # were counted as zeros
        total -= tl.where(digits == 0, others, 0)
    tl.store(counts + tl.program_id(0).to(tl.int64) * _DIGITS + digits, total)


@triton.jit
def _choose_digit(
    counts, table, threshold, room, before, chunks, channels, FIRST: tl.constexpr,
    CHUNKS: tl.constexpr,
):  # fmt: skip
    """The next digit of the threshold; how many magnitudes equal to it are wanted, and how many
    of them lie in earlier chunks."""
    i = tl.program_id(0)
    wanted = tl.load(table + i % channels * 2) if FIRST else tl.load(room + i)
    digits = tl.arange(0, _DIGITS)
    rows = tl.arange(0, CHUNKS)
    here = counts + i.to(tl.int64) * chunks * _DIGITS
    total = tl.zeros([_DIGITS], tl.int32)
    for chunk in range(0, chunks, CHUNKS):
        at = (chunk + rows)[:, None] * _DIGITS + digits[None, :]
        total += tl.sum(tl.load(here + at, mask=(chunk + rows < chunks)[:, None], other=0), 0)
    from_here = tl.sum(total, 0) - tl.cumsum(total, 0) + total
    digit = tl.max(tl.where(from_here >= wanted, digits, 0), 0)
    above = tl.sum(tl.where(digits > digit, total, 0), 0)
    known = tl.zeros([1], tl.int64) if FIRST else tl.load(threshold + i + tl.arange(0, 1))
    tl.store(threshold + i + tl.arange(0, 1), (known << _DIGIT) + digit)
    tl.store(room + i, wanted - above)
    passed = above * 0
    for chunk in range(0, chunks, CHUNKS):
        inside = chunk + rows < chunks
        equal = tl.load(here + (chunk + rows) * _DIGITS + digit, mask=inside, other=0)
        tl.store(before + i * chunks + chunk + rows, passed + tl.cumsum(equal, 0) - equal, inside)
        passed += tl.sum(equal, 0)


@triton.jit
def _keep_above(
    s, alpha, threshold, room, before, chunks, samples, FLOAT: tl.constexpr, INT: tl.constexpr,
    MASK: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i, chunk = tl.program_id(0) // chunks, tl.program_id(0) % chunks
    here = i.to(tl.int64) * samples
    lowest = tl.load(threshold + i)
    left = tl.load(room + i) - tl.load(before + tl.program_id(0))
    for block in range(chunk * CHUNK, tl.minimum(chunk * CHUNK + CHUNK, samples), BLOCK):
        t = block + tl.arange(0, BLOCK)
        values = tl.load(s + here + t, mask=t < samples, other=0).to(FLOAT)
        magnitude = tl.where(t < samples, magnitudes(values, INT, MASK).to(tl.int64), -1)
        equal = (magnitude == lowest).to(tl.int32)
        first = (equal > 0) & (tl.cumsum(equal, 0) <= left)
        kept = (magnitude > lowest) | first | (values != values)
        tl.store(alpha + here + t, tl.where(kept, values, 0.0), mask=t < samples)
        left -= tl.sum(equal, 0)
