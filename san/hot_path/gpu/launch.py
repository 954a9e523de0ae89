"""What is launched on a GPU for a selection: exact, and without waiting for the device.

`select` takes contiguous maps on the device. One launch does all maps; only maps too long for one
program take several, whose number does not depend on the data. Positions and values are those of
`cpu`, ties included. To refuse a NaN, the host would have to wait for the device; so a NaN passes
to the activation map. What a CUDA graph has captured depends on no memory outside of it.
"""

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from san.hot_path.gpu import extrema, extrema_long, pool, top_k
from san.hot_path.gpu.gradient import pass_gradient
from san.hot_path.gpu.maps import number_types

__all__ = ["pass_gradient", "select"]

Rows = tuple[tuple[int, ...], ...]

LARGEST = (1 << 31) - (1 << 24)  # samples of a map: their numbers, and sums with them, fit 32 bits
_AT_ONCE = 8  # numbers that one launch writes


def select(activation: str, s: Tensor, rows: Rows, out: Tensor | None = None) -> Tensor:
    """Apply top_k_absolutes, extrema_pool or extrema to maps on the device.

    Parameters
    ----------
    activation : str
        Its name.
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type, contiguous, not empty
        Similarity maps.
    rows : tuple of tuples of ints
        The parameter, one row for all channels or one for each, with one number or one per axis.
    out : Tensor like s, contiguous, optional
        Where to write.

    Returns
    -------
    Tensor, same shape and type
        Activation maps, with NaN where s is NaN.

    Raises
    ------
    ValueError
        If a map has about 2^31 samples or more.
    """
    size = tuple(s.shape[2:])
    maps, samples = s.shape[0] * s.shape[1], math.prod(size)
    if samples > LARGEST:
        raise ValueError(
            f"on a GPU a map has at most {LARGEST} samples, got {samples}: select from it "
            "on the CPU (s.cpu()), or from parts of it"
        )
    table = _numbers(rows, size, activation)
    alpha = torch.empty_like(s) if out is None else out
    there = None if len(set(table)) == 1 else _on_device(table, s.device)
    height, width = (1, *size)[-2:]
    shape = maps, height, width, number_types(s.dtype)
    if activation == "extrema_pool":
        pool.extrema_pool(s, alpha, table, there, *shape)
    elif activation == "top_k_absolutes":
        is_long = samples > top_k.LONGEST
        work = top_k.top_k_absolutes_of_long if is_long else top_k.top_k_absolutes
        work(s, alpha, there, table[0], *shape)
    else:
        is_long = samples > extrema.longest(s)
        work = extrema_long.extrema_of_long if is_long else extrema.extrema
        work(s, alpha, there, table[0], *shape)
    return alpha


@functools.lru_cache(maxsize=64)
def _numbers(rows: Rows, size: tuple[int, ...], activation: str) -> Rows:
    """The parameter along rows and columns (or k twice), of all channels or of each."""
    table = []
    for row in rows:
        if activation == "top_k_absolutes":
            table.append((min(row[0], math.prod(size)),) * 2)
        else:  # anything larger than a side changes nothing
            more = 1 if activation == "extrema_pool" else -1
            of_axes = zip(row * (len(size) // len(row)), size, strict=True)
            sides = [min(p, n + more) for p, n in of_axes]
            table.append(((int(activation == "extrema_pool"), *sides)[-2], sides[-1]))
    return tuple(table)


def _on_device(table: Rows, device: torch.device) -> Tensor:
    """The parameters of channels that differ, int32, shape (C, 2).

    While a CUDA graph is captured, kernels write them: a copy from the host cannot be captured, and
    a table from outside the graph could be freed before the graph runs.
    """
    if _is_capturing(device):
        numbers = [number for row in table for number in row]
        numbers += [0] * (-len(numbers) % _AT_ONCE)
        written = torch.empty(len(numbers), dtype=torch.int32, device=device)
        for begin in range(0, len(numbers), _AT_ONCE):
            _write_numbers[(1,)](written, begin, *numbers[begin : begin + _AT_ONCE])
        return written
    copied = _copied(table, device)
    if copied.is_cuda:  # it may leave the cache while this stream still reads it
        copied.record_stream(torch.cuda.current_stream(device))
    return copied


@functools.lru_cache(maxsize=64)
def _copied(table: Rows, device: torch.device) -> Tensor:
    return torch.tensor(table, dtype=torch.int32, device=device)


def _is_capturing(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


@triton.jit(do_not_specialize=["begin", "n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"])
def _write_numbers(written, begin, n0, n1, n2, n3, n4, n5, n6, n7):
    tl.store(written + begin, n0)
    tl.store(written + begin + 1, n1)
    tl.store(written + begin + 2, n2)
    tl.store(written + begin + 3, n3)
    tl.store(written + begin + 4, n4)
    tl.store(written + begin + 5, n5)
    tl.store(written + begin + 6, n6)
    tl.store(written + begin + 7, n7)
