"""What all GPU kernels do with maps: magnitudes as integers, and the gradient.

Magnitudes are compared as integers: without their sign bit, floats are ordered as the integers
with the same bits are, and a NaN is larger than anything. FLOAT, INT and MASK are what
`number_types` gives.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

CELLS = 4096  # samples of a program's tile, about
CHUNK = 32_768  # samples of a long map per program
BLOCK = 1024  # samples of them at once


def number_types(dtype: torch.dtype) -> tuple[tl.dtype, tl.dtype, int]:
    """The float in which maps are compared, the integer of its size, and its clear sign bit."""
    if dtype == torch.float64:
        return tl.float64, tl.int64, (1 << 63) - 1
    return tl.float32, tl.int32, (1 << 31) - 1


def integer_type(dtype: torch.dtype) -> torch.dtype:
    """The integers of their magnitudes."""
    return torch.int64 if dtype == torch.float64 else torch.int32


@triton.jit
def magnitudes(values, INT: tl.constexpr, MASK: tl.constexpr):
    """Floats without their sign, as the integers that have the same order."""
    return values.to(INT, bitcast=True) & MASK


def pass_gradient(alpha: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with respect to s: that of α where α is not zero."""
    passed = torch.empty_like(alpha)
    grid = (triton.cdiv(alpha.numel(), CELLS),)
    _pass_gradient[grid](alpha, gradient.contiguous(), passed, alpha.numel(), CELLS)
    return passed


@triton.jit
def _pass_gradient(alpha, gradient, passed, samples, BLOCK: tl.constexpr):
    t = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    kept = tl.load(alpha + t, mask=t < samples, other=0) != 0
    tl.store(
        passed + t, tl.load(gradient + t, mask=kept & (t < samples), other=0), mask=t < samples
    )
