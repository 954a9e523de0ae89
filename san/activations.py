"""The five activations on torch tensors: their definition, checks, gradient and choice of backend.

An activation map α is zero except at the kept positions, where it equals the similarity s. A
sample is an *activation* if α is not zero there; zeros of s are never kept. Every map (n, c) of
s, shape (N, C, L) or (N, C, H, W), is treated alone. Where two magnitudes are equal the lowest
(row-major) index wins, so every backend returns the same positions. The gradient of α passes to
s at the activations and is zero elsewhere.

The compiled selections are in `activations_cpu`; tensors on other devices and of other float
types are selected there as well. Many maps are shared among threads, as many as
`torch.get_num_threads()` says.
"""

import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

Size = Sequence[int]  # spatial size of a map
# Flat maps (M, samples), their spatial size, the parameter of each, and α to be written.
Backend = Callable[[np.ndarray, Size, np.ndarray, np.ndarray], bool]
Parameter = int | tuple[int, ...] | Tensor | np.ndarray


def identity(s: Tensor) -> Tensor:
    """Return s itself: the activation that keeps everything.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.

    Returns
    -------
    Tensor, same shape and type
        s, not a copy.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape, or holds a NaN.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II.

    Examples
    --------
    >>> identity(torch.tensor([[[1.0, -2.0]]])).tolist()
    [[[1.0, -2.0]]]
    """
    _check_similarity(s)
    _refuse_nan(s)
    return s


def relu(s: Tensor) -> Tensor:
    """Keep what is above zero.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.

    Returns
    -------
    Tensor, same shape and type
        max(s, 0).

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape, or holds a NaN.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II.

    Examples
    --------
    >>> relu(torch.tensor([[[1.0, -2.0]]])).tolist()
    [[[1.0, 0.0]]]
    """
    _check_similarity(s)
    _refuse_nan(s)
    return torch.relu(s)


def top_k_absolutes(s: Tensor, k: int | Tensor | np.ndarray) -> Tensor:
    """Keep the k samples of largest magnitude of each map.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    k : int, or integer tensor or array of shape (C,)
        How many samples to keep, at least 1; with an array, of each channel. Where a map has
        fewer samples that are not zero, all of them are kept.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, or k is below 1 or of another shape.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, algorithm 1.

    Examples
    --------
    >>> top_k_absolutes(torch.tensor([[[0.0, 1.1, 0.0, -2.7, 3.2]]]), 2).tolist()[0][0]
    [0.0, 0.0, 0.0, -2.700000047683716, 3.200000047683716]
    """
    _check_similarity(s)
    return _select(s, _top_k_absolutes, _per_map("k", k, s, minimum=1, per_axis=False))


def extrema_pool(s: Tensor, pool_size: Parameter) -> Tensor:
    """Keep the sample of largest magnitude of each of the windows that tile a map.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    pool_size : int, tuple of ints, or integer tensor or array of shape (C,) or (C, axes)
        Samples per window, and the step from one window to the next, at least 1: the same along
        every axis, or one number per axis; with an array, for each channel.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index. The
        samples after the last whole window are never kept, and a window of zeros keeps nothing;
        a map shorter than the window is all zeros.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, or pool_size is below 1 or of another shape.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, algorithm 2 (Extrema-Pool indices).

    Examples
    --------
    >>> extrema_pool(torch.tensor([[[0.0, 1.0, -3.0, 2.0, 5.0]]]), 2).tolist()
    [[[0.0, 1.0, -3.0, 0.0, 0.0]]]
    """
    _check_similarity(s)
    return _select(s, _extrema_pool, _per_map("pool_size", pool_size, s, minimum=1))


def extrema(s: Tensor, min_distance: Parameter) -> Tensor:
    """Keep the peaks above zero and the valleys below it that no larger one suppresses.

    A sample is a candidate if it is positive, larger than the sample before it and not smaller
    than the one after it (a peak; of a plateau, its left edge), or negative, smaller than the
    sample after it and not larger than the one before it (a valley; of a plateau, its right
    edge). Beyond a border the map continues with its border value, so a peak can be the last
    sample but not the first, and a valley the first but not the last. In two dimensions the same
    must hold along both axes. Candidates are then visited in order of falling magnitude: each one
    that is still there is kept and removes all others within `min_distance`, in two dimensions
    within the box of that half-width. Kept extrema are at least min_distance + 1 apart.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    min_distance : int, tuple of ints, or integer tensor or array of shape (C,) or (C, axes)
        Distance in samples, at least 0, up to and including which an extremum suppresses smaller
        ones: the same along every axis, or one number per axis; with an array, for each channel.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index is
        visited first. Constant maps and maps of one sample are all zeros.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, or min_distance is negative or of another
        shape.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, algorithm 3 (Extrema), as the authors' code has it:
    there min_distance is the kernel size less a border tolerance.

    Examples
    --------
    >>> extrema(torch.tensor([[[0.0, 1.0, 0.0, 3.0, 0.0, -2.0, 0.0]]]), 1).tolist()
    [[[0.0, 1.0, 0.0, 3.0, 0.0, -2.0, 0.0]]]
    >>> extrema(torch.tensor([[[0.0, 1.0, 0.0, 3.0, 0.0, -2.0, 0.0]]]), 2).tolist()
    [[[0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]]]
    """
    _check_similarity(s)
    return _select(s, _extrema, _per_map("min_distance", min_distance, s, minimum=0))


def _check_similarity(s: Tensor) -> None:
    if not isinstance(s, Tensor):
        raise TypeError(f"s must be a torch tensor, got {type(s).__name__}")
    if not s.is_floating_point():
        raise TypeError(f"s must be of a float type, got {s.dtype}")
    if s.dim() not in (3, 4):
        raise ValueError(f"s must have shape (N, C, L) or (N, C, H, W), got {tuple(s.shape)}")


def _refuse_nan(s: Tensor) -> None:
    if torch.isfinite(s.detach().sum()):  # one pass; a NaN would be in the sum
        return
    nan = torch.isnan(s.detach())
    if nan.any():
        where = tuple(nan.nonzero()[0].tolist())
        raise ValueError(f"s must not hold NaN, got one at index {where}")


def _per_map(
    name: str, value: Any, s: Tensor, *, minimum: int, per_axis: bool = True
) -> np.ndarray:
    """The parameter of every map as integers, shape (N C, axes), or (N C,) without axes."""
    batch, channels, *size = s.shape
    if type(value) is int or type(value) is tuple:
        return _same_for_all(name, value, batch * channels, tuple(size), minimum, per_axis)
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.ndim == 0 or not isinstance(value, Tensor | np.ndarray):
        plain = array.tolist()
        plain = tuple(plain) if isinstance(plain, list) else plain
        return _same_for_all(name, plain, batch * channels, tuple(size), minimum, per_axis)
    shapes = [(channels,), (channels, len(size))]
    one_signal = _checked(name, value, array, shapes[: 1 + per_axis], minimum, size)
    if per_axis and one_signal.ndim == 1:
        one_signal = np.repeat(one_signal[:, None], len(size), axis=1)
    return np.tile(one_signal, (batch, 1) if per_axis else batch)


@functools.lru_cache(maxsize=64)
def _same_for_all(
    name: str, value: Any, maps: int, size: tuple[int, ...], minimum: int, per_axis: bool
) -> np.ndarray:
    shapes = [(), (len(size),)]
    numbers = _checked(name, value, np.asarray(value), shapes[: 1 + per_axis], minimum, size)
    return np.tile(numbers, (maps, 1 if numbers.ndim else len(size)) if per_axis else maps)


def _checked(
    name: str, value: Any, numbers: np.ndarray, shapes: Sequence[Any], minimum: int, size: Any
) -> np.ndarray:
    if not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(f"{name} must be a whole number, or several, got {value!r}")
    if numbers.shape not in shapes:
        expected = " or ".join(str(shape) for shape in shapes)
        raise ValueError(f"{name} must have shape {expected} here, got {value!r}")
    if numbers.size and numbers.min() < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return np.minimum(numbers, math.prod(size) + 1).astype(np.int64)  # larger changes nothing


class _Selection(torch.autograd.Function):
    """α equals s where it is not zero, and there alone the gradient passes."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, select: Backend, parameter: np.ndarray) -> Tensor:
        alpha = _activate(s, select, parameter)
        ctx.save_for_backward(alpha)
        return alpha

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (alpha,) = ctx.saved_tensors
        return torch.where(alpha != 0, gradients[0], 0), None, None


def _select(s: Tensor, select: Backend, parameter: np.ndarray) -> Tensor:
    if s.numel() == 0:
        return s
    if s.requires_grad and torch.is_grad_enabled():
        return _Selection.apply(s, select, parameter)
    return _activate(s, select, parameter)


def _activate(s: Tensor, select: Backend, parameter: np.ndarray) -> Tensor:
    """Select on the CPU, in float32 or float64, and return α where and as s is."""
    maps = s.detach() if s.requires_grad else s
    plain = maps.dtype in _FLOATS and maps.device.type == "cpu"
    if not plain:
        maps = maps.to("cpu", maps.dtype if maps.dtype in _FLOATS else torch.float32)
    if not maps.is_contiguous():
        maps = maps.contiguous()
    alpha = torch.empty_like(maps)
    flat = (s.shape[0] * s.shape[1], -1)
    rows, out = maps.numpy().reshape(flat), alpha.numpy().reshape(flat)
    threads = min(torch.get_num_threads(), len(rows), rows.size // _SAMPLES_PER_THREAD)
    if threads < 2:
        done = select(rows, s.shape[2:], parameter, out)
    else:
        shares = [np.array_split(array, threads) for array in (rows, parameter, out)]
        with ThreadPoolExecutor(threads) as pool:
            done = all(list(pool.map(lambda x, p, a: select(x, s.shape[2:], p, a), *shares)))
    if not done:
        _refuse_nan(s)
    return alpha if plain else alpha.to(s)


_FLOATS = (torch.float32, torch.float64)
_SAMPLES_PER_THREAD = 1 << 18  # fewer are done sooner than a thread is started


@functools.cache
def _compiled() -> tuple[Any, Any]:
    """The compiled selections, imported when they are first needed."""
    from san import activations_cpu, activations_cpu_2d

    return activations_cpu, activations_cpu_2d


def _extrema(maps: np.ndarray, size: Size, distance: np.ndarray, alpha: np.ndarray) -> bool:
    one, two = _compiled()
    if len(size) == 1:
        return one.extrema_1d(maps, distance[:, 0], alpha)
    images = (len(maps), *size)
    return two.extrema_2d(maps.reshape(images), distance, alpha.reshape(images))


def _extrema_pool(maps: np.ndarray, size: Size, pool: np.ndarray, alpha: np.ndarray) -> bool:
    return _compiled()[0].extrema_pool(maps, size[-1], pool, alpha)


def _top_k_absolutes(maps: np.ndarray, size: Size, k: np.ndarray, alpha: np.ndarray) -> bool:
    return _compiled()[0].top_k_absolutes(maps, k, alpha)
