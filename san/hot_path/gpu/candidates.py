"""What the extrema of all maps begin with on a GPU: which samples are candidates."""

import triton
import triton.language as tl


@triton.jit
def mark_candidates(
    s, alpha, t, inside, height, width, ONE_AXIS: tl.constexpr, FLOAT: tl.constexpr
):
    """Flag peaks above zero (first sample of a plateau) and valleys below zero (last sample).

    If there is alpha, the activations of the block are set to zero, or to NaN where the map is NaN.
    Returns the flags and the samples.
    """
    values = tl.load(s + t, mask=inside, other=0).to(FLOAT)
    if alpha is not None:
        tl.store(alpha + t, tl.where(values != values, values, 0.0), mask=inside)
    x = t if ONE_AXIS else t % width
    peak, valley = _turns(s, values, t, 1, inside & (x > 0), inside & (x + 1 < width), FLOAT)
    if not ONE_AXIS:
        y = t // width
        peak_down, valley_down = _turns(
            s, values, t, width, inside & (y > 0), inside & (y + 1 < height), FLOAT
        )
        peak, valley = peak & peak_down, valley & valley_down
    return inside & ((peak & (values > 0)) | (valley & (values < 0))), values


@triton.jit
def _turns(s, values, t, step, has_before, has_after, FLOAT: tl.constexpr):
    """Flag where values stop rising, and where they begin to; at a border they do neither."""
    before = tl.load(s + t - step, mask=has_before, other=0).to(FLOAT)
    after = tl.load(s + t + step, mask=has_after, other=0).to(FLOAT)
    rises, will_rise = has_before & (values > before), has_after & (after > values)
    return rises & (will_rise == 0), will_rise & (rises == 0)
