"""What all GPU kernels do with maps: magnitudes as integers, and the parameter of a map.

Magnitudes are compared as integers: without their sign bit, floats are ordered as the integers
with the same bits are, and a NaN is larger than anything. FLOAT, INT and MASK are what
`number_types` gives.
"""

import torch
import triton
import triton.language as tl

CELLS = 4096  # samples of a program's tile, about
BLOCK = 1024  # samples of a long map that a program has at hand
PROGRAMS = 1056  # that share long maps: eight for each multiprocessor of an H100 or H200


def number_types(dtype: torch.dtype) -> tuple[tl.dtype, tl.dtype, int]:
    """The float in which maps are compared, the integer of its size, and its clear sign bit."""
    if dtype == torch.float64:
        return tl.float64, tl.int64, (1 << 63) - 1
    return tl.float32, tl.int32, (1 << 31) - 1


def integer_type(dtype: torch.dtype) -> torch.dtype:
    """The integers of their magnitudes."""
    return torch.int64 if dtype == torch.float64 else torch.int32


def slices_of(samples: int, maps: int) -> tuple[int, int]:
    """How many blocks a slice of a long map has, and how many slices the map has.

    The slices of all maps are about as many as the programs that a device runs at a time.
    """
    blocks = triton.cdiv(samples, BLOCK)
    of_slice = triton.cdiv(blocks, triton.cdiv(PROGRAMS, maps))
    return of_slice, triton.cdiv(blocks, of_slice)


@triton.jit
def magnitudes(values, INT: tl.constexpr, MASK: tl.constexpr):
    """Floats without their sign, as the integers that have the same order."""
    return values.to(INT, bitcast=True) & MASK


@triton.jit
def parameter(table, same, i, channels, COLUMN: tl.constexpr):
    """The parameter of map i: `same` if there is no table, else that of its channel."""
    if table is None:
        number = same
    else:
        number = tl.load(table + i % channels * 2 + COLUMN)
    return number
