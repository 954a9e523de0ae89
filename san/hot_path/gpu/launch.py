"""What is launched on a GPU for a selection: exact, and without waiting for the device.

`select` takes contiguous maps on the device. One launch does all maps; only maps too long for one
program take several, whose number does not depend on the data. Positions and values are those of
`cpu`, ties included. To refuse a NaN, the host would have to wait for the device; so a NaN passes
to the activation map.
"""

import functools
import math

import torch
from torch import Tensor

from san.hot_path.gpu import extrema, pool, top_k
from san.hot_path.gpu.maps import number_types, pass_gradient

__all__ = ["parameters", "pass_gradient", "select"]

Rows = tuple[tuple[int, ...], ...]

LONGEST = 16_384  # samples of a map that one program selects from by itself


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
    """
    size = tuple(s.shape[2:])
    own = tuple(tuple(row) for row in rows * (s.shape[1] if len(rows) == 1 else 1))
    sides, table = parameters(own, size, activation, s.device)
    alpha = torch.empty_like(s) if out is None else out
    maps, is_long = s.shape[0] * s.shape[1], math.prod(size) > LONGEST
    height, width = (1, *size)[-2:]
    types = number_types(s.dtype)
    if activation == "extrema_pool":
        pool.extrema_pool(s, alpha, sides, table, maps, height, width, types)
    elif activation == "top_k_absolutes":
        work = top_k.top_k_absolutes_of_long if is_long else top_k.top_k_absolutes
        work(s, alpha, table, maps, height, width, types)
    else:
        work = extrema.extrema_of_long if is_long else extrema.extrema
        work(s, alpha, table, maps, height, width, types)
    return alpha


@functools.lru_cache(maxsize=64)
def parameters(
    rows: Rows, size: tuple[int, ...], activation: str, device: torch.device
) -> tuple[list[tuple[int, int]], Tensor]:
    """The parameter of each channel along rows and columns (or k twice), here and there."""
    table = []
    for row in rows:
        if activation == "top_k_absolutes":
            table.append((min(row[0], math.prod(size)),) * 2)
        else:  # anything larger than a side changes nothing
            sides = [
                min(p, n + 1) for p, n in zip(row * (len(size) // len(row)), size, strict=True)
            ]
            table.append(((int(activation == "extrema_pool"), *sides)[-2], sides[-1]))
    return table, torch.tensor(table, dtype=torch.int32, device=device)
