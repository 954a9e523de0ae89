"""What a SAN can be made of: the names of its activations, decoders and starts, and sparsity."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

ActivationName = Literal["identity", "relu", "top_k_absolutes", "extrema_pool", "extrema"]
DecoderName = Literal["adjoint", "paper"]
StartName = Literal["normal", "data"]

#: Names of the activations.
ACTIVATIONS: tuple[ActivationName, ...] = get_args(ActivationName)
#: Names of the decoders, see `san.reconstruction`.
DECODERS: tuple[DecoderName, ...] = get_args(DecoderName)
#: What the weights of kernels can be before training.
STARTS: tuple[StartName, ...] = get_args(StartName)

#: Samples by which the minimum distance of extrema is smaller than the kernel: the paper's number
#: for PhysioNet. It has 2 for its other data.
BORDER_TOLERANCE = 3

Size = int | Sequence[int]


def sparsity_of(
    activation: str,
    kernel_size: Size,
    size: Sequence[int],
    border_tolerance: int = BORDER_TOLERANCE,
) -> int | tuple[int, ...] | None:
    """Return the sparsity parameter d that the paper uses for a kernel of this size.

    Parameters
    ----------
    activation : str
        One of `ACTIVATIONS`.
    kernel_size : int or sequence of ints
        m, along every axis or along each.
    size : sequence of ints
        Spatial size of the signals, (L,) or (H, W), in samples.
    border_tolerance : int
        The minimum distance of extrema is m minus this number of samples. The paper has 3 for
        PhysioNet and 2 for its other data.

    Returns
    -------
    int, tuple of ints, or None
        k = Π floor(n / m) for top_k_absolutes, m for extrema_pool, max(m - border_tolerance, 1)
        for extrema (a tuple if kernel_size is one), None for identity and relu.

    Raises
    ------
    ValueError
        If the activation has another name, or the kernel is larger than the signal.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section III, and the authors' code.

    Examples
    --------
    >>> sparsity_of("extrema", 74, (1000,)), sparsity_of("top_k_absolutes", 7, (1000,))
    (71, 142)
    """
    check_name("activation", activation, ACTIVATIONS)
    sizes = size_along_axes(kernel_size, len(size))
    if any(not 1 <= m <= n for m, n in zip(sizes, size, strict=True)):
        raise ValueError(
            f"kernel size must be between 1 and the size of the signal, {tuple(size)}, "
            f"got {kernel_size}"
        )
    if activation == "top_k_absolutes":
        return math.prod(n // m for m, n in zip(sizes, size, strict=True))
    if activation == "extrema_pool":
        return kernel_size if isinstance(kernel_size, int) else sizes
    if activation == "extrema":
        distances = tuple(max(m - border_tolerance, 1) for m in sizes)
        return distances[0] if isinstance(kernel_size, int) else distances
    return None


def check_name(what: str, name: str, names: Sequence[str]) -> None:
    """Raise ValueError unless a name is one of those that there are."""
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")


def size_along_axes(size: Size, dimensions: int) -> tuple[int, ...]:
    """A kernel size as one number for each axis; raises ValueError unless all are positive."""
    sizes = (size,) * dimensions if isinstance(size, int) else tuple(size)
    if len(sizes) != dimensions or any(m < 1 for m in sizes):
        raise ValueError(
            f"a kernel size must be a positive number, or one for each of {dimensions} axes, "
            f"got {size}"
        )
    return sizes
