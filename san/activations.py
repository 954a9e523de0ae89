"""The five activations on torch tensors: what each of them keeps.

An activation map α equals the similarity s at the positions that are kept, and is zero elsewhere. A
sample is an *activation* if α is not zero there. Zeros of s are never kept. A function treats each
map (n, c) of s, shape (N, C, L) or (N, C, H, W), alone. Where two magnitudes are equal, the lowest
(row-major) index wins, so every device keeps the same positions. The gradient of α passes to s at
the activations and is zero elsewhere. On a CPU a NaN in s is an error. On a GPU a check would have
to wait for the device, so a NaN passes to α. How a selection runs is decided in `selection`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from san import deprecated
from san.hot_path.operation import nonzeros, parameter_rows, refuse_nan, select

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
        How many samples to keep, at least 1. An array gives a number for each channel. If a map
        has fewer samples that are not zero, all of these are kept.
    out : Tensor, same shape and type as s, optional
        Where the result is written. For large maps this saves the time that new memory takes. It
        has no gradient.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, if k is below 1 or has another shape, or
        if out has another type or shape than s, or requires a gradient.

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
    """Cut each map into windows, and keep the sample of largest magnitude of each window.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    pool_size : int, sequence of ints, or integer tensor or array of shape (C,) or (C, axes)
        Samples per window, and the step from one window to the next, at least 1: one number for
        all axes, or one number for each axis. An array, or a sequence of sequences, gives these
        for each channel.
    out : Tensor, same shape and type as s, optional
        Where the result is written. For large maps this saves the time that new memory takes. It
        has no gradient.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index. Samples
        after the last whole window are never kept, and nothing is kept of a window of zeros. For a
        map that is shorter than the window, everything is zero.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, if pool_size is below 1 or has another
        shape, or if out has another type or shape than s, or requires a gradient.

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
    """Keep the peaks above zero and the valleys below zero that no larger extremum suppresses.

    Candidates are peaks and valleys. A peak is a positive sample that is larger than the sample
    before it and not smaller than the sample after it: on a plateau, the left edge. A valley is a
    negative sample that is smaller than the sample after it and not larger than the sample before
    it: on a plateau, the right edge. Beyond a border the map continues with its border value. So a
    peak can be the last sample but not the first, and a valley the first but not the last. In two
    dimensions this must hold along both axes.

    The candidates are visited in order of falling magnitude. A candidate that is still there is
    kept and removes all others within `min_distance`: in two dimensions, within the box of that
    half-width. Kept extrema are at least min_distance + 1 samples apart.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    min_distance : int, sequence of ints, or integer tensor or array of shape (C,) or (C, axes)
        An extremum suppresses smaller extrema up to and including this distance, in samples, at
        least 0: one number for all axes, or one number for each axis. An array, or a sequence of
        sequences, gives these for each channel.
    out : Tensor, same shape and type as s, optional
        Where the result is written. For large maps this saves the time that new memory takes. It
        has no gradient.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest row-major index is
        visited first. Constant maps and maps of one sample are all zeros.

    Raises
    ------
    TypeError, ValueError
        If s has another type or shape or holds a NaN, if min_distance is negative or has another
        shape, or if out has another type or shape than s, or requires a gradient.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, algorithm 3 (Extrema), as in the authors' code, where
    min_distance is the kernel size minus a border tolerance.

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


def competing_extrema(s: Tensor, min_distance: Parameter) -> Tensor:
    """Keep extrema that no larger extremum of any map of the same signal suppresses.

    Candidates are those of `extrema` in each map (n, c). They are visited in order of falling
    magnitude, whatever map they are in. A candidate that is still there is kept and removes all
    others of the same signal n, in all maps, within `min_distance`. With one map this is `extrema`.

    Parameters
    ----------
    s : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Similarity maps.
    min_distance : int, sequence of ints, or integer tensor or array of shape (C,) or (C, axes)
        As for `extrema`, but equal in all channels.

    Returns
    -------
    Tensor, same shape and type
        The kept samples with their sign, zeros elsewhere. Ties: the lowest position is visited
        first, and at one position the lowest channel. The gradient passes to s where α is not zero.

    Raises
    ------
    TypeError, ValueError
        As `extrema`, and if min_distance differs between channels.

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
    rows = {*parameter_rows("min_distance", min_distance, s, minimum=0, per_axis=True)}
    if len(rows) > 1:
        raise ValueError(
            f"maps that compete must have one min_distance, got {min_distance!r}: give one number"
        )
    magnitude = candidates.detach().abs()
    # At each position the first channel of the largest magnitude; it beats the others there.
    channels = torch.arange(s.shape[1], device=s.device).reshape(-1, *[1] * (s.dim() - 2))
    is_largest = magnitude == magnitude.amax(1, keepdim=True)
    best = torch.where(is_largest, channels, s.shape[1]).amin(1, keepdim=True)
    highest = candidates.detach().gather(1, best)
    # Apart from each other by a zero, all candidates are extrema of one map.
    apart = highest.new_zeros(*highest.shape[:2], *(2 * n + 1 for n in highest.shape[2:]))
    odd: Any = (..., *[slice(1, None, 2)] * (s.dim() - 2))
    apart[odd] = highest
    double = [2 * d for d in rows.pop()]
    kept = extrema(apart, double)[odd] != 0
    return torch.where(kept & (channels == best), candidates, 0)


def list_activations(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """List the activations of maps: where they are, and their values.

    Parameters
    ----------
    alpha : Tensor, shape (N, C, L) or (N, C, H, W), any float type
        Activation maps.

    Returns
    -------
    indices : Tensor, shape (E, 3) or (E, 4), int64
        (n, c, position) of each sample that is not zero, in ascending order. E is 0 if all
        samples are zero.
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
    _check_similarity(alpha, "alpha")
    indices = nonzeros(alpha)
    return indices, alpha[tuple(indices.T)]


deprecated.names(__name__, {"events": "list_activations"})


def _check_similarity(s: Tensor, name: str = "s") -> None:
    if not isinstance(s, Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {type(s).__name__}")
    if not s.is_floating_point():
        raise TypeError(f"{name} must be of a float type, got {s.dtype}")
    if s.dim() not in (3, 4):
        raise ValueError(f"{name} must have shape (N, C, L) or (N, C, H, W), got {tuple(s.shape)}")
