"""The gradient on a GPU: one pass, which reads the gradient of α in whatever form it comes.

The gradient of a sum or a mean is one number, or one for each map, that torch expands to the shape
of α without writing it out. It is read like that, and no copy is made.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu.maps import BLOCK, CELLS

_AXES = 4  # of maps, at most


def pass_gradient(alpha: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with respect to s: that of α where α is not zero.

    `alpha` is contiguous; `gradient` has the same shape, and any strides.
    """
    passed, samples = torch.empty_like(alpha), alpha.numel()
    if samples == 0:
        return passed
    axes = _joined_axes(gradient)
    if len(axes) == 1 and axes[0][1] in (0, 1):
        grid = (triton.cdiv(samples, CELLS),)
        _pass_gradient[grid](alpha, gradient, passed, samples, axes[0][1], CELLS)
        return passed
    first, *others = [(1, 0)] * (_AXES - len(axes)) + axes
    numbers = first[1], *(n for axis in others for n in axis)
    index = tl.int32 if samples + BLOCK < 1 << 31 else tl.int64
    _pass_strided_gradient[(triton.cdiv(samples, BLOCK),)](
        alpha, gradient, passed, samples, *numbers, index, BLOCK
    )
    return passed


def _joined_axes(tensor: Tensor) -> list[tuple[int, int]]:
    """Size and stride of each axis; axes that one stride runs through are one."""
    axes: list[tuple[int, int]] = []
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == size * stride:
            axes[-1] = axes[-1][0] * size, stride
        else:
            axes.append((size, stride))
    return axes or [(1, 1)]


@triton.jit
def _pass_gradient(
    alpha, gradient, passed, samples, STRIDE: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    t = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    kept = tl.load(alpha + t, mask=t < samples, other=0) != 0
    slope = tl.load(gradient + t * STRIDE, mask=kept & (t < samples), other=0)
    tl.store(passed + t, slope, mask=t < samples)


@triton.jit(do_not_specialize=["step", "size1", "step1", "size2", "step2", "size3", "step3"])
def _pass_strided_gradient(
    alpha, gradient, passed, samples, step, size1, step1, size2, step2, size3, step3,
    INDEX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    t = tl.program_id(0).to(INDEX) * BLOCK + tl.arange(0, BLOCK)
    kept = tl.load(alpha + t, mask=t < samples, other=0) != 0
    row = t // size3
    plane = row // size2
    batch = plane // size1
    at = (t - row * size3).to(tl.int64) * step3 + (row - plane * size2).to(tl.int64) * step2
    at += (plane - batch * size1).to(tl.int64) * step1 + batch.to(tl.int64) * step
    slope = tl.load(gradient + at, mask=kept & (t < samples), other=0)
    tl.store(passed + t, slope, mask=t < samples)
