"""How a kernel meets a signal: similarity s = x ⋆ w, and the two decoders that draw kernels back.

A kernel of m samples looks from s[t] at the samples t - (m-1)//2 ... t + m//2 of x ("same"
padding with zeros). Written once for any number of spatial axes and of channels: x has shape
(N, C, *size), a kernel (C, *kernel_size), similarity and activation maps (N, *size).
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from san.selection import transforms_are_active

DECODERS = ("adjoint", "paper")


def similarity(x: Tensor, kernel: Tensor) -> Tensor:
    """Cross-correlate signals with a kernel.

    Parameters
    ----------
    x : Tensor, shape (N, C, *size), any float type
        Signals.
    kernel : Tensor, shape (C, *kernel_size), same type
        One kernel, with weights of its own for each channel.

    Returns
    -------
    Tensor, shape (N, *size)
        s[n, t] = Σ_c Σ_j kernel[c, j] x[n, c, t - (m-1)//2 + j], zeros beyond the borders. On the
        CPU (float32 and float64) the sum runs in this order and rounds after each product and
        each sum, so equal patches of x give equal bits of s wherever they are.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II: s = x * w.

    Examples
    --------
    >>> x = torch.tensor([[[0.0, 0.0, 1.0, 0.0]]])
    >>> similarity(x, torch.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[0.0, 3.0, 2.0, 1.0]]
    """
    if x.dim() < 3 or kernel.dim() != x.dim() - 1 or len(kernel) != x.shape[1]:
        raise ValueError(
            "x must have shape (N, C, *size) and kernel (C, *kernel_size), "
            f"got {tuple(x.shape)} and {tuple(kernel.shape)}"
        )
    before = [(m - 1) // 2 for m in kernel.shape[1:]]
    if _is_compiled(x):
        return _Correlation.apply(x, kernel, before)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
    return convolve(F.pad(x, _padding(kernel, before)), kernel[None])[:, 0]


def reconstruction(alpha: Tensor, kernel: Tensor, decoder: str = "adjoint") -> Tensor:
    """Rebuild signals from one activation map each and its kernel.

    Parameters
    ----------
    alpha : Tensor, shape (N, *size), any float type
        Activation maps.
    kernel : Tensor, shape (C, *kernel_size), same type
        The kernel that the maps belong to.
    decoder : {"adjoint", "paper"}
        "adjoint" draws each activation's kernel where the similarity looked for it: the
        transposed convolution. "paper" is the cross-correlation once more, as published: an
        activation draws the kernel reversed in time, for even m one sample to the left.

    Returns
    -------
    Tensor, shape (N, C, *size)
        The partial reconstruction r.

    Raises
    ------
    ValueError
        If the shapes do not fit or the decoder has another name.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II: r = α * w.

    Examples
    --------
    >>> alpha, kernel = torch.tensor([[0.0, 2.0, 0.0, 0.0]]), torch.tensor([[1.0, 2.0, 3.0]])
    >>> reconstruction(alpha, kernel).tolist()
    [[[2.0, 4.0, 6.0, 0.0]]]
    >>> reconstruction(alpha, kernel, decoder="paper").tolist()
    [[[6.0, 4.0, 2.0, 0.0]]]
    """
    if decoder not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}")
    if alpha.dim() < 2 or kernel.dim() != alpha.dim():
        raise ValueError(
            "alpha must have shape (N, *size) and kernel (C, *kernel_size), "
            f"got {tuple(alpha.shape)} and {tuple(kernel.shape)}"
        )
    before = [(m - 1) // 2 for m in kernel.shape[1:]]
    if decoder == "paper":
        before = [m - 1 - b for m, b in zip(kernel.shape[1:], before, strict=True)]
        kernel = kernel.flip(tuple(range(1, kernel.dim())))
    if _is_compiled(alpha):
        return _Spreading.apply(alpha, kernel, before)
    convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[alpha.dim() - 2]
    whole = convolve(alpha[:, None], kernel[None])
    return whole[_crop(before, alpha.shape[1:])]


def _is_compiled(tensor: Tensor) -> bool:
    """Whether the compiled sums are used; torch's own under torch.compile and torch.func."""
    eager = not (torch.compiler.is_compiling() or transforms_are_active())
    return eager and tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)


def _padding(kernel: Tensor, before: list[int]) -> list[int]:
    """Zeros before and after each spatial axis, the last axis first, as torch wants it."""
    sides = zip(kernel.shape[1:], before, strict=True)
    return [side for m, b in reversed(list(sides)) for side in (b, m - 1 - b)]


def _crop(before: list[int], size: tuple[int, ...]) -> Any:
    """The index of `size` samples from `before` on, along the last axes."""
    return (..., *(slice(b, b + n) for b, n in zip(before, size, strict=True)))


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, before: list[int]) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.before = before
        return _correlate(x, kernel, before)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _spread(gradients[0], kernel, ctx.before) if wanted[0] else None,
            _kernel_gradient(gradients[0], x, kernel, ctx.before) if wanted[1] else None,
            None,
        )


class _Spreading(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, alpha: Tensor, kernel: Tensor, before: list[int]) -> Tensor:
        ctx.save_for_backward(alpha, kernel)
        ctx.before = before
        return _spread(alpha, kernel, before)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        alpha, kernel = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _correlate(gradients[0], kernel, ctx.before) if wanted[0] else None,
            _kernel_gradient(alpha, gradients[0], kernel, ctx.before) if wanted[1] else None,
            None,
        )


@dataclass(frozen=True)
class _Layout:
    """Where a padded signal and a kernel lie in flat memory; see `convolution_cpu`."""

    padded: tuple[int, ...]  # spatial size of a padded signal
    grid: tuple[int, ...]  # of a map, each row as long as a padded row
    positions: int  # from the first to the last position of the map on that grid
    starts: np.ndarray  # of each run of the kernel, at position 0


@functools.lru_cache(maxsize=1024)
def _layout(size: tuple[int, ...], kernel_shape: tuple[int, ...]) -> _Layout:
    channels, *kernel_size = kernel_shape
    padded = tuple(n + m - 1 for n, m in zip(size, kernel_size, strict=True))
    strides = [math.prod(padded[axis + 1 :]) for axis in range(len(padded))]
    positions = sum((n - 1) * stride for n, stride in zip(size, strides, strict=True)) + 1
    starts = [
        channel * math.prod(padded)
        + sum(i * stride for i, stride in zip(row, strides, strict=False))
        for channel in range(channels)
        for row in np.ndindex(*kernel_size[:-1])
    ]
    return _Layout(padded, (size[0], *padded[1:]), positions, np.array(starts))


def _correlate(x: Tensor, kernel: Tensor, before: list[int]) -> Tensor:
    from san import convolution_cpu

    layout = _layout(tuple(x.shape[2:]), tuple(kernel.shape))
    padded = F.pad(x.detach(), _padding(kernel, before))
    maps = torch.empty(len(x), math.prod(layout.grid), dtype=x.dtype)
    convolution_cpu.correlate(
        _flat(padded), _runs(kernel), layout.starts, layout.positions, maps.numpy()
    )
    return maps.view(-1, *layout.grid)[_crop([0] * (x.dim() - 2), x.shape[2:])]


def _spread(alpha: Tensor, kernel: Tensor, before: list[int]) -> Tensor:
    from san import convolution_cpu

    layout = _layout(tuple(alpha.shape[1:]), tuple(kernel.shape))
    padded = torch.empty(len(alpha), len(kernel), *layout.padded, dtype=alpha.dtype)
    grid, kernels = _on_grid(alpha, layout), _runs(kernel)
    places = _places(grid, layout.positions, kernels.shape[1])
    convolution_cpu.spread(grid, *places, kernels, layout.starts, layout.positions, _flat(padded))
    return padded[_crop(before, alpha.shape[1:])]


def _kernel_gradient(alpha: Tensor, x: Tensor, kernel: Tensor, before: list[int]) -> Tensor:
    from san import convolution_cpu

    layout = _layout(tuple(x.shape[2:]), tuple(kernel.shape))
    gradient = torch.empty(kernel.shape, dtype=kernel.dtype)
    padded = F.pad(x.detach(), _padding(kernel, before))
    grid, target = _on_grid(alpha, layout), _runs(gradient)
    places = _places(grid, layout.positions, target.shape[1])
    convolution_cpu.kernel_gradient(
        grid, *places, _flat(padded), layout.starts, layout.positions, target
    )
    return gradient


def _places(grid: np.ndarray, positions: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """The events of maps: their number and places; see `convolution_cpu.list_places`."""
    from san import convolution_cpu

    counts, places = np.empty(len(grid), np.int64), np.empty((len(grid), positions), np.int64)
    convolution_cpu.list_places(grid, positions, taps, counts, places)
    return counts, places


def _on_grid(alpha: Tensor, layout: _Layout) -> np.ndarray:
    """Activation maps with each row continued with zeros to the length of a padded row."""
    margins = [g - n for g, n in zip(layout.grid, alpha.shape[1:], strict=True)]
    return _flat(F.pad(alpha.detach(), [side for m in reversed(margins) for side in (0, m)]))


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.contiguous().numpy().reshape(len(tensor), math.prod(tensor.shape[1:]))


def _runs(kernel: Tensor) -> np.ndarray:
    return kernel.detach().contiguous().numpy().reshape(-1, kernel.shape[-1])
