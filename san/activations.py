"""The five activations on torch tensors: what each of them keeps.

An activation map α is zero except at the kept positions, where it equals the similarity s. A
sample is an *activation* if α is not zero there; zeros of s are never kept. Every map (n, c) of
s, shape (N, C, L) or (N, C, H, W), is treated alone. Where two magnitudes are equal the lowest
(row-major) index wins, so every backend returns the same positions. The gradient of α passes to
s at the activations and is zero elsewhere. A NaN is refused; on a GPU, where that would mean to
wait for the device, it passes to α. How a selection is run is decided in `selection`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from san import deprecated
from san.selection.operation import nonzeros, parameter_rows, refuse_nan, select

Parameter = int | Sequence[int] | Sequence[Sequence[int]] | Tensor | np.ndarray


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
    refuse_nan(s)
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
    refuse_nan(s)
    return torch.relu(s)


def top_k_absolutes(s: Tensor, k: Parameter, *, out: Tensor | None = None) -> Tensor:
    """Keep the k samples of largest magnitude of each map.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    k : int, or integer tensor or array of shape (C,)
        How many samples to keep, at least 1; with an array, in each channel. Where a map has
        fewer samples that are not zero, all of them are kept.
    out : Tensor, same shape and type as s, optional
        Where to write, which for large maps saves the time of new memory. It has no gradient.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, k is below 1 or of another shape,
        or out is not like s or asked for a gradient.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, algorithm 1.

    Examples
    --------
    >>> top_k_absolutes(torch.tensor([[[0.0, 1.1, 0.0, -2.7, 3.2]]]), 2).tolist()[0][0]
    [0.0, 0.0, 0.0, -2.700000047683716, 3.200000047683716]
    """
    _check_similarity(s)
    rows = parameter_rows("k", k, s, minimum=1, per_axis=False)
    return select("top_k_absolutes", s, rows, out)


def extrema_pool(s: Tensor, pool_size: Parameter, *, out: Tensor | None = None) -> Tensor:
    """Keep the sample of largest magnitude of each of the windows that tile a map.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    pool_size : int, sequence of ints, or integer tensor or array of shape (C,) or (C, axes)
        Samples per window, and the step from one window to the next, at least 1: the same along
        every axis, or one number per axis; with an array (or a sequence of sequences), for each
        channel.
    out : Tensor, same shape and type as s, optional
        Where to write, which for large maps saves the time of new memory. It has no gradient.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index. The
        samples after the last whole window are never kept, and a window of zeros keeps nothing;
        a map shorter than the window is all zeros.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, pool_size is below 1 or of another
        shape, or out is not like s or asked for a gradient.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, algorithm 2 (Extrema-Pool indices).

    Examples
    --------
    >>> extrema_pool(torch.tensor([[[0.0, 1.0, -3.0, 2.0, 5.0]]]), 2).tolist()
    [[[0.0, 1.0, -3.0, 0.0, 0.0]]]
    """
    _check_similarity(s)
    rows = parameter_rows("pool_size", pool_size, s, minimum=1, per_axis=True)
    return select("extrema_pool", s, rows, out)


def extrema(s: Tensor, min_distance: Parameter, *, out: Tensor | None = None) -> Tensor:
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
    min_distance : int, sequence of ints, or integer tensor or array of shape (C,) or (C, axes)
        Distance in samples, at least 0, up to and including which an extremum suppresses smaller
        ones: the same along every axis, or one number per axis; with an array (or a sequence of
        sequences), for each channel.
    out : Tensor, same shape and type as s, optional
        Where to write, which for large maps saves the time of new memory. It has no gradient.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index is
        visited first. Constant maps and maps of one sample are all zeros.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, min_distance is negative or of another
        shape, or out is not like s or asked for a gradient.

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
    rows = parameter_rows("min_distance", min_distance, s, minimum=0, per_axis=True)
    return select("extrema", s, rows, out)


def competing_extrema(s: Tensor, min_distance: int | Sequence[int]) -> Tensor:
    """Keep extrema that no larger one suppresses, in their own map or in another of the signal.

    Candidates are those of `extrema` in each map (n, c); they are visited in order of falling
    magnitude, whatever map they are in, and each one that is still there removes all others of
    the same signal n within `min_distance`. With one map this is `extrema`.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    min_distance : int or sequence of ints
        As for `extrema`: one number, or one per axis; the same for all maps.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest position is visited
        first, there the lowest channel. The gradient passes to s where α is not zero.

    Raises
    ------
    TypeError, ValueError
        As `extrema`.

    References
    ----------
    Named as future work by Bizopoulos & Koutsouris, IEEE TNNLS 2020, section V.

    Examples
    --------
    >>> s = torch.tensor([[[0.0, 2.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 3.0, 0.0, 0.0, 0.0]]])
    >>> competing_extrema(s, 1).tolist()
    [[[0.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 3.0, 0.0, 0.0, 0.0]]]
    """
    candidates = extrema(s, 0)
    magnitude = candidates.detach().abs()
    # The first channel of the largest magnitude at each position, which there beats the others.
    channels = torch.arange(s.shape[1], device=s.device).reshape(-1, *[1] * (s.dim() - 2))
    is_largest = magnitude == magnitude.amax(1, keepdim=True)
    best = torch.where(is_largest, channels, s.shape[1]).amin(1, keepdim=True)
    highest = candidates.detach().gather(1, best)
    # Apart from each other by a zero, all candidates are extrema of one map.
    apart = highest.new_zeros(*highest.shape[:2], *(2 * n + 1 for n in highest.shape[2:]))
    odd: Any = (..., *[slice(1, None, 2)] * (s.dim() - 2))
    apart[odd] = highest
    double = [2 * d for d in ([min_distance] if isinstance(min_distance, int) else min_distance)]
    kept = extrema(apart, double)[odd] != 0
    return torch.where(kept & (channels == best), candidates, 0)


def list_activations(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """List the activations of maps: where they are and how strong.

    Parameters
    ----------
    alpha : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Activation maps.

    Returns
    -------
    indices : Tensor, shape (E, 3) or (E, 4), int64
        (n, c, position) of each sample that is not zero, in ascending order.
    values : Tensor, shape (E,), the type of alpha
        α at each of them. The gradient passes.

    Raises
    ------
    TypeError, ValueError
        If alpha has another type or shape.

    Examples
    --------
    >>> alpha = extrema(torch.tensor([[[0.0, 1.0, 0.0, 3.0, 0.0, -2.0]]]), 1)
    >>> indices, values = list_activations(alpha)
    >>> indices.tolist(), values.tolist()
    ([[0, 0, 1], [0, 0, 3]], [1.0, 3.0])
    """
    _check_similarity(alpha)
    indices = nonzeros(alpha)
    return indices, alpha[tuple(indices.T)]


deprecated.names(__name__, {"events": "list_activations"})


def _check_similarity(s: Tensor) -> None:
    if not isinstance(s, Tensor):
        raise TypeError(f"s must be a torch tensor, got {type(s).__name__}")
    if not s.is_floating_point():
        raise TypeError(f"s must be of a float type, got {s.dtype}")
    if s.dim() not in (3, 4):
        raise ValueError(f"s must have shape (N, C, L) or (N, C, H, W), got {tuple(s.shape)}")
