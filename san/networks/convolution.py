"""How a kernel meets a signal: similarity s = x ⋆ w, and the two decoders that draw kernels back.

A kernel of m samples looks from s[t] at the samples t - (m-1)//2 ... t + m//2 of x ("same"
padding with zeros). Written once for any number of spatial axes and of channels: x has shape
(N, C, *size), a kernel (C, *kernel_size), similarity and activation maps (N, *size).
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from san.hot_path.operation import transforms_are_active
from san.networks.choices import DECODERS, DecoderName
from san.networks.padding import Padding, padding_for


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
    before = tuple((m - 1) // 2 for m in kernel.shape[1:])
    if _is_compiled(x):
        return _Correlation.apply(x, kernel, before)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
    return convolve(F.pad(x, _padding(kernel, before)), kernel[None])[:, 0]


def reconstruction(alpha: Tensor, kernel: Tensor, decoder: DecoderName = "adjoint") -> Tensor:
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
    before = tuple((m - 1) // 2 for m in kernel.shape[1:])
    if decoder == "paper":
        before = tuple(m - 1 - b for m, b in zip(kernel.shape[1:], before, strict=True))
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


def _padding(kernel: Tensor, before: Sequence[int]) -> list[int]:
    """Zeros before and after each spatial axis, the last axis first, as torch wants it."""
    sides = zip(kernel.shape[1:], before, strict=True)
    return [side for m, b in reversed(list(sides)) for side in (b, m - 1 - b)]


def _crop(before: Sequence[int], size: Sequence[int]) -> Any:
    """The index of `size` samples from `before` on, along the last axes."""
    return (..., *(slice(b, b + n) for b, n in zip(before, size, strict=True)))


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, before: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.before = before
        return _correlate(x, kernel, before)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, kernel = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        return (
            _draw(gradients[0], kernel, ctx.before) if wanted[0] else None,
            _kernel_gradient(gradients[0], x, kernel, ctx.before) if wanted[1] else None,
            None,
        )


class _Spreading(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, alpha: Tensor, kernel: Tensor, before: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(alpha, kernel)
        ctx.before = before
        return _draw(alpha, kernel, before)

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


def _correlate(x: Tensor, kernel: Tensor, before: tuple[int, ...]) -> Tensor:
    from san.networks import convolution_cpu

    padding, (starts,) = _padding_of(tuple(x.shape[2:]), tuple(kernel.shape), before)
    maps: np.ndarray = np.empty((1, len(x), padding.positions), _numpy_type(x))
    convolution_cpu.correlate(
        padding.table, starts, _flat(kernel), _flat(padding.pad(x)), padding.width, len(x),
        padding.positions, 0, 1, maps.reshape(-1),
    )  # fmt: skip
    return torch.from_numpy(padding.rows_of(maps)[0])


def _draw(alpha: Tensor, kernel: Tensor, before: tuple[int, ...]) -> Tensor:
    from san.networks import convolution_cpu

    padding, (starts,) = _padding_of(tuple(alpha.shape[1:]), tuple(kernel.shape), before)
    drawn: np.ndarray = np.empty((len(alpha), padding.width), _numpy_type(alpha))
    convolution_cpu.draw(
        padding.table, starts, _flat(kernel), *_events(alpha, padding), padding.width, len(alpha),
        padding.positions, 0, 1, drawn.reshape(-1),
    )  # fmt: skip
    return torch.from_numpy(padding.inside_of(drawn))


def _kernel_gradient(alpha: Tensor, x: Tensor, kernel: Tensor, before: tuple[int, ...]) -> Tensor:
    from san.networks import convolution_cpu

    padding, (starts,) = _padding_of(tuple(x.shape[2:]), tuple(kernel.shape), before)
    gradient = torch.empty(kernel.shape, dtype=kernel.dtype)
    convolution_cpu.kernel_gradient(
        padding.table, starts, *_events(alpha, padding), np.zeros(1, np.int64),
        _flat(padding.pad(x)), padding.width, len(x), padding.positions, 0, 1,
        gradient.numpy().reshape(-1),
    )  # fmt: skip
    return gradient


@functools.lru_cache(maxsize=1024)
def _padding_of(
    size: tuple[int, ...], kernel_shape: tuple[int, ...], before: tuple[int, ...]
) -> tuple[Padding, list[np.ndarray]]:
    return padding_for(size, kernel_shape[0], [kernel_shape[1:]], [[before]])


def _events(alpha: Tensor, padding: Padding) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps laid out as padded signals, with the number and the places of their events."""
    from san.networks import convolution_cpu

    grid = padding.grid_of(alpha.detach().contiguous().numpy()[None])
    counts, places = np.empty(len(alpha), np.int64), np.empty(grid.size, np.int64)
    convolution_cpu.list_places(
        padding.table, grid, len(alpha), padding.positions, 0, 1, counts, places
    )
    return grid, counts, places


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy().reshape(-1)


def _numpy_type(tensor: Tensor) -> type:
    return np.float32 if tensor.dtype == torch.float32 else np.float64
