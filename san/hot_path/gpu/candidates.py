"""How greedy suppression runs on a GPU: candidates in a list, each of which decides for itself.

Each candidate looks at the larger ones within its reach. If one of them is kept, the candidate is
removed. If one of them is undecided, the candidate waits. Otherwise it is kept. The result is that
of greedy suppression whatever the order in which candidates look: an old state of a neighbour can
only make a candidate wait longer, so threads need not wait for each other. Where candidates grow
one after the other, each waits for the next, and a sweep over the list decides one link or more of
such a chain. So the time is bounded by the candidates of a map times the links of its longest
chain.
"""

import triton
import triton.language as tl

from san.hot_path.gpu.maps import magnitudes

CANDIDATES = 128  # candidates that look around together
PROGRAMS = 2048  # programs that share the maps

_AT_ONCE = tl.constexpr(8)  # neighbours that a candidate looks at together
_OPEN = tl.constexpr(0)  # states of a candidate
_KEPT = tl.constexpr(1)
_REMOVED = tl.constexpr(2)


@triton.jit
def list_candidates(
    s, alpha, places, heights, states, begin, end, height, width, ONE_AXIS: tl.constexpr,
    FLOAT: tl.constexpr, INT: tl.constexpr, MASK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """List the candidates of a block of one map, set its activations to zero; return the count."""
    t = begin + tl.arange(0, BLOCK)
    flags = mark_candidates(s, alpha, t, t < end, height, width, ONE_AXIS, FLOAT)
    at = tl.cumsum(flags, 0) - 1
    values = tl.load(s + t, mask=flags > 0, other=0).to(FLOAT)
    tl.store(places + at, t, mask=flags > 0)
    tl.store(heights + at, magnitudes(values, INT, MASK), mask=flags > 0)
    tl.store(states + at, tl.zeros_like(t) + _OPEN, mask=flags > 0)
    return tl.sum(flags, 0)


@triton.jit
def mark_candidates(
    s, alpha, t, inside, height, width, ONE_AXIS: tl.constexpr, FLOAT: tl.constexpr
):
    """Flag peaks above zero (first sample of a plateau) and valleys below zero (last sample).

    The activations of the block are set to zero, or to NaN where the map is NaN.
    """
    values = tl.load(s + t, mask=inside, other=0).to(FLOAT)
    tl.store(alpha + t, tl.where(values != values, values, 0.0), mask=inside)
    x = t % width
    peak, valley = _turns(s, values, t, 1, inside & (x > 0), inside & (x + 1 < width), FLOAT)
    if not ONE_AXIS:
        y = t // width
        peak_down, valley_down = _turns(
            s, values, t, width, inside & (y > 0), inside & (y + 1 < height), FLOAT
        )
        peak, valley = peak & peak_down, valley & valley_down
    flags = inside & ((peak & (values > 0)) | (valley & (values < 0)))
    return flags.to(tl.int32)


@triton.jit
def _turns(s, values, t, step, has_before, has_after, FLOAT: tl.constexpr):
    """Flag where values stop rising, and where they begin to; at a border they do neither."""
    before = tl.load(s + t - step, mask=has_before, other=0).to(FLOAT)
    after = tl.load(s + t + step, mask=has_after, other=0).to(FLOAT)
    rises, will_rise = has_before & (values > before), has_after & (after > values)
    return rises & (will_rise == 0), will_rise & (rises == 0)


@triton.jit
def look_around(
    s, alpha, places, heights, states, begin, found, reach_down, reach, width,
    ONE_AXIS: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    """Decide those of some listed candidates that can be decided; return how many still wait.

    A candidate looks at several neighbours at a time, first to its left, then to its right. It
    stops at a larger one that is kept or undecided.
    """
    j = begin + tl.arange(0, CANDIDATES)
    is_open = tl.load(states + j, mask=j < found, other=_KEPT) == _OPEN
    waiting = tl.max(is_open.to(tl.int32), 0)
    if waiting > 0:
        t = tl.load(places + j, mask=is_open, other=0)
        height = tl.load(heights + j, mask=is_open, other=0)
        beaten, waits = is_open & (t < 0), is_open & (t < 0)
        for side in tl.static_range(2):
            step = 1 - 2 * side  # an equal one before comes first, an equal one after does not
            other = j[:, None] + step * (1 + tl.arange(0, _AT_ONCE))[None, :]
            looking = is_open & (beaten == 0) & (waits == 0)
            while tl.max(looking.to(tl.int32), 0) > 0:
                near = looking[:, None] & (other >= 0) & (other < found)
                u = tl.load(places + other, mask=near, other=0)
                rival = tl.load(heights + other, mask=near, other=0)
                state = tl.load(states + other, mask=near, other=_REMOVED)
                near = near & (tl.abs(u - t[:, None]) <= reach_down * width + reach)
                is_first = (rival == height[:, None]) & (u < t[:, None])
                larger = near & ((rival > height[:, None]) | is_first)
                if not ONE_AXIS:
                    down, beside = u // width - t[:, None] // width, u % width - t[:, None] % width
                    larger = larger & (tl.abs(down) <= reach_down) & (tl.abs(beside) <= reach)
                beaten = beaten | (tl.max((larger & (state == _KEPT)).to(tl.int32), 1) > 0)
                waits = waits | (tl.max((larger & (state == _OPEN)).to(tl.int32), 1) > 0)
                looking = looking & (tl.min(near.to(tl.int32), 1) > 0)
                looking = looking & (beaten == 0) & (waits == 0)
                other += step * _AT_ONCE
        kept = is_open & (beaten == 0) & (waits == 0)
        tl.store(states + j, tl.zeros_like(t) + _REMOVED, mask=beaten)
        tl.store(states + j, tl.zeros_like(t) + _KEPT, mask=kept)
        tl.store(alpha + t, tl.load(s + t, mask=kept, other=0), mask=kept)
        waiting = tl.sum((waits & (beaten == 0)).to(tl.int32), 0)
    return waiting
