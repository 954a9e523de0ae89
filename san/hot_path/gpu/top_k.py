"""Top-k absolutes on a GPU: a threshold is found, no sample is sorted.

A program finds the threshold of a map of its own, or of several short ones, by interpolation. For
maps too long for one program it is found digit by digit, from histograms of the digits of all
magnitudes that agree with what is known so far. How many launches that takes does not depend on
the data, and nothing is asked of the device in between.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.maps import BLOCK, magnitudes, parameter, slices_of

LONGEST = 16_384  # samples of a map that one program selects from by itself
DIGIT = 8  # bits that one launch finds

_DIGIT = tl.constexpr(DIGIT)
_DIGITS = tl.constexpr(1 << DIGIT)


def top_k_absolutes(
    s: Tensor, alpha: Tensor, table: Tensor | None, row: tuple[int, ...], maps: int, height: int,
    width: int, types: tuple,
) -> None:  # fmt: skip
    """Write the k largest magnitudes of maps into alpha; see `launch.select`."""
    samples = height * width
    block = triton.next_power_of_2(samples)
    together = max(1, 1024 // block)
    _top_k_absolutes[(triton.cdiv(maps, together),)](
        s, alpha, table, row[0], s.shape[1], maps, samples, *types, together, block,
        num_warps=min(max(block * together // 512, 1), 16),
    )  # fmt: skip


def top_k_absolutes_of_long(
    s: Tensor, alpha: Tensor, table: Tensor | None, row: tuple[int, ...], maps: int, height: int,
    width: int, types: tuple,
) -> None:  # fmt: skip
    """Write the k largest magnitudes of long maps into alpha; see `launch.select`."""
    samples, channels, integer = height * width, s.shape[1], torch.int64
    blocks, chunks = slices_of(samples, maps)
    counts = torch.empty((maps, chunks, 1 << DIGIT), dtype=torch.int32, device=s.device)
    before = torch.empty((maps, chunks), dtype=torch.int32, device=s.device)
    threshold = torch.zeros(maps, dtype=integer, device=s.device)
    room = torch.empty(maps, dtype=torch.int32, device=s.device)
    bits = 8 * (8 if s.dtype == torch.float64 else 4)
    for shift in range(bits - DIGIT, -1, -DIGIT):
        _count_digits[(maps * chunks,)](
            s, threshold, counts, blocks, chunks, samples, *types, shift, BLOCK
        )
        _choose_digit[(maps,)](
            counts, table, row[0], threshold, room, before, chunks, channels, shift == bits - DIGIT,
            triton.next_power_of_2(min(chunks, 32)),
        )  # fmt: skip
    _keep_above[(maps * chunks,)](
        s, alpha, threshold, room, before, blocks, chunks, samples, *types, BLOCK
    )


@triton.jit(do_not_specialize=["same", "channels", "maps"])
def _top_k_absolutes(
    s, alpha, table, same, channels, maps, samples,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr,
    MAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0) * MAPS + tl.arange(0, MAPS)
    t = tl.arange(0, BLOCK)[None, :]
    inside = (i < maps)[:, None] & (t < samples)
    at = i.to(tl.int64)[:, None] * samples + t
    values = tl.load(s + at, mask=inside, other=0).to(FLOAT)
    magnitude = tl.where(inside, magnitudes(values, INT, MASK), -1)
    k = tl.minimum(i * 0 + parameter(table, same, i, channels, 0), samples)
    threshold = _threshold(magnitude, k, samples + k * 0, FLOAT, INT, MASK)
    above, equal = magnitude > threshold[:, None], magnitude == threshold[:, None]
    room = k - tl.sum(above.to(tl.int32), 1)
    rank = tl.cumsum(equal.to(tl.int32), 1)
    kept = above | (equal & (rank <= room[:, None])) | (values != values)
    tl.store(alpha + at, tl.where(kept, values, 0.0), mask=inside)


@triton.jit
def _threshold(magnitude, k, samples, FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr):
    """A magnitude that at least k samples of each map reach, and less than k are above.

    As in `cpu.top_k`: the number of samples from a magnitude on falls about exponentially, so its
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


@triton.jit(do_not_specialize=["blocks", "chunks"])
def _count_digits(
    s, threshold, counts, blocks, chunks, samples, FLOAT: tl.constexpr, INT: tl.constexpr,
    MASK: tl.constexpr, SHIFT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """How often each digit follows the known digits of the threshold, in a chunk of a map."""
    i, chunk = tl.program_id(0) // chunks, tl.program_id(0) % chunks
    here = i.to(tl.int64) * samples
    known = tl.load(threshold + i)
    digits = tl.arange(0, _DIGITS)
    total = tl.zeros([_DIGITS], tl.int32)
    begin = chunk * blocks * BLOCK
    for block in range(begin, tl.minimum(begin + blocks * BLOCK, samples), BLOCK):
        t = block + tl.arange(0, BLOCK)
        values = tl.load(s + here + t, mask=t < samples, other=0).to(FLOAT)
        higher = magnitudes(values, INT, MASK).to(tl.int64) >> SHIFT
        agrees = (t < samples) & ((higher >> _DIGIT) == known)
        digit = tl.where(agrees, higher & (_DIGITS - 1), 0).to(tl.int32)
        total += tl.histogram(digit, _DIGITS)
        others = tl.sum((agrees == 0).to(tl.int32), 0)  # were counted as zeros
        total -= tl.where(digits == 0, others, 0)
    tl.store(counts + tl.program_id(0).to(tl.int64) * _DIGITS + digits, total)


@triton.jit(do_not_specialize=["same", "chunks", "channels"])
def _choose_digit(
    counts, table, same, threshold, room, before, chunks, channels, FIRST: tl.constexpr,
    CHUNKS: tl.constexpr,
):  # fmt: skip
    """The next digit of the threshold; how many magnitudes equal to it are wanted, and how many
    of them lie in earlier chunks."""
    i = tl.program_id(0)
    wanted = parameter(table, same, i, channels, 0) if FIRST else tl.load(room + i)
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


@triton.jit(do_not_specialize=["blocks", "chunks"])
def _keep_above(
    s, alpha, threshold, room, before, blocks, chunks, samples, FLOAT: tl.constexpr,
    INT: tl.constexpr, MASK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    i, chunk = tl.program_id(0) // chunks, tl.program_id(0) % chunks
    here = i.to(tl.int64) * samples
    lowest = tl.load(threshold + i)
    left = tl.load(room + i) - tl.load(before + tl.program_id(0))
    begin = chunk * blocks * BLOCK
    for block in range(begin, tl.minimum(begin + blocks * BLOCK, samples), BLOCK):
        t = block + tl.arange(0, BLOCK)
        values = tl.load(s + here + t, mask=t < samples, other=0).to(FLOAT)
        magnitude = tl.where(t < samples, magnitudes(values, INT, MASK).to(tl.int64), -1)
        equal = (magnitude == lowest).to(tl.int32)
        first = (equal > 0) & (tl.cumsum(equal, 0) <= left)
        kept = (magnitude > lowest) | first | (values != values)
        tl.store(alpha + here + t, tl.where(kept, values, 0.0), mask=t < samples)
        left -= tl.sum(equal, 0)
