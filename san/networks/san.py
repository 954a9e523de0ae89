"""The Sparsely Activated Network: similarity, activation and reconstruction with shared kernels.

    s_i = x ⋆ w_i        α_i = φ(s_i, d_i)        r_i = α_i * w_i        x̂ = Σ_i r_i

One N-dimensional `SAN`, with `SAN1d` and `SAN2d` as faces. What sizes and which activation a
model has is decided by its caller; how it learns, in `training`.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from san import activations as functions
from san import storage
from san.networks.convolution import DECODERS, reconstruction, similarity
from san.networks.refit import REWEIGHTINGS, refit_amplitudes

#: Names of the activations.
ACTIVATIONS = ("identity", "relu", "top_k_absolutes", "extrema_pool", "extrema")
INITIALIZATIONS = ("normal", "data")
FORMAT = "san model 1"
PURSUIT = ("passes", "refit", "compete")  # options of what a SAN does beyond the paper

Size = int | Sequence[int]


class Output(NamedTuple):
    """What a SAN makes of signals x of shape (N, C, *size)."""

    x_hat: Tensor  #: (N, C, *size), the reconstruction x̂
    activations: Tensor  #: (N, q, *size), the maps α
    similarities: Tensor  #: (N, q, *size), the maps s


@dataclass(frozen=True)
class Events:
    """The activations of a batch of signals as a list: which kernel, where, how strong.

    Sorted by signal, then kernel, then position. `size` is the spatial size of the signals.
    """

    signal: Tensor  #: (E,), int64
    kernel: Tensor  #: (E,), int64
    position: Tensor  #: (E, dim), int64, in samples
    amplitude: Tensor  #: (E,), the signals' float type
    signals: int
    size: tuple[int, ...]


def sparsity_of(
    activation: str, kernel_size: Size, size: Sequence[int], border_tolerance: int = 3
) -> int | tuple[int, ...] | None:
    """Return the sparsity parameter d that the paper gives a kernel of this size.

    Parameters
    ----------
    activation : str
        One of `ACTIVATIONS`.
    kernel_size : int or sequence of ints
        m, along every axis or along each.
    size : sequence of ints
        Spatial size of the signals, (L,) or (H, W), in samples.
    border_tolerance : int
        Samples by which the minimum distance of extrema is smaller than m; published: 3 for
        PhysioNet, 2 elsewhere.

    Returns
    -------
    int, tuple of ints, or None
        k = Π floor(n / m) for top_k_absolutes, m for extrema_pool, max(m - border_tolerance, 1)
        for extrema (a tuple if kernel_size is one), None for identity and relu.

    Raises
    ------
    ValueError
        If the activation has another name or the kernel does not fit the signal.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section III, and the authors' code.

    Examples
    --------
    >>> sparsity_of("extrema", 74, (1000,)), sparsity_of("top_k_absolutes", 7, (1000,))
    (71, 142)
    """
    _check_name("activation", activation, ACTIVATIONS)
    sizes = _size_along_axes(kernel_size, len(size))
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


class SAN(nn.Module):
    """A Sparsely Activated Network over `dimensions` spatial axes::

         ┌─ ⋆ w₁ ─ s₁ ─ φ(·, d₁) ─ α₁ ─ * w₁ ─ r₁ ─┐
      x ─┤                 ⋮                         ├─ Σ ─ x̂
         └─ ⋆ w_q ─ s_q ─ φ(·, d_q) ─ α_q ─ * w_q ─ r_q ┘

    Parameters
    ----------
    dimensions : int
        Spatial axes of the signals.
    kernel_sizes : sequence of ints, or of sequences of ints
        Size m of each of the q kernels, along every axis or along each, in samples.
    activation : str
        One of `ACTIVATIONS`; see `san.activations`.
    sparsity : sequence, one entry per kernel
        The activation's parameter d: k, pool_size or min_distance, as `sparsity_of` gives it.
        Not used by identity and relu.
    channels : int
        Channels of the signals. Kernels have weights of their own for each; their events are
        common to all channels.
    decoder : {"adjoint", "paper"}
        See `san.networks.convolution.reconstruction`.
    init : {"normal", "data"}
        "normal" draws weights from N(0, 0.1), standard deviation 0.1, as published. "data" copies
        from `data` the segment around the largest extremum of a signal (the extremum is the
        kernel's middle, where similarity and both decoders put it), scaled to unit norm: another
        signal for each kernel, in an order drawn from the seed.
    data : array_like, shape (N, channels, *size)
        Training signals, for init="data" only.
    passes : int
        How often extrema are selected: first of the similarity to x, then of the similarity to
        what the events so far leave of x, and so on. No gradient passes to what is selected or to
        its amplitude where there are several passes.
    refit : bool
        Whether the amplitudes are refitted after each selection, see `san.networks.refit`. No
        gradient passes to them.
    compete : bool
        Whether extrema suppress those of all kernels, see `san.activations.competing_extrema`.
    seed : int
        Of the initialisation; the global state of random numbers is neither used nor changed.

    Raises
    ------
    ValueError
        If a name, a size or a number of parameters does not fit.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II. decoder="adjoint" and init="data" are
    not in the paper; passes, refit and compete are neither.

    Examples
    --------
    >>> model = SAN(1, [5], "extrema", [2])
    >>> output = model(torch.randn(4, 1, 100))
    >>> output.x_hat.shape, output.activations.shape
    (torch.Size([4, 1, 100]), torch.Size([4, 1, 100]))
    """

    def __init__(
        self,
        dimensions: int,
        kernel_sizes: Sequence[Size],
        activation: str = "extrema",
        sparsity: Sequence[Size | None] | None = None,
        *,
        channels: int = 1,
        decoder: str = "adjoint",
        init: str = "normal",
        data: np.ndarray | Tensor | None = None,
        passes: int = 1,
        refit: bool = False,
        compete: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check_name("activation", activation, ACTIVATIONS)
        _check_name("decoder", decoder, DECODERS)
        _check_name("init", init, INITIALIZATIONS)
        if not kernel_sizes or channels < 1:
            raise ValueError(
                "a SAN needs at least one kernel and one channel, "
                f"got {len(kernel_sizes)} kernels and {channels} channels"
            )
        self.dimensions = dimensions
        self.kernel_sizes = [_size_along_axes(m, dimensions) for m in kernel_sizes]
        self.channels = channels
        self.activation = activation
        self.decoder = decoder
        self.sparsity = self._check_sparsity(sparsity)
        self.passes, self.refit, self.compete = passes, refit, compete
        self._check_pursuit()
        generator = torch.Generator().manual_seed(seed)
        shapes = [(channels, *size) for size in self.kernel_sizes]
        if init == "data":
            if data is None:
                raise ValueError('init="data" needs training signals: data is missing')
            weights = _kernels_from_data(torch.as_tensor(data), shapes, generator)
        else:
            weights = [0.1 * torch.randn(shape, generator=generator) for shape in shapes]
        self.kernels = nn.ParameterList(nn.Parameter(w) for w in weights)

    def forward(self, x: Tensor) -> Output:
        """Reconstruct signals x of shape (N, C, *size); see `Output`."""
        if x.dim() != self.dimensions + 2 or x.shape[1] != self.channels:
            raise ValueError(
                f"x must have shape (N, {self.channels}, *size) with {self.dimensions} spatial "
                f"axes, got {tuple(x.shape)}"
            )
        similarities = self.similarities(x)
        maps = self.activate(similarities)
        if self.passes > 1 or self.refit:
            maps = self._pursue(x, maps.detach())
        return Output(self.reconstruct(maps), maps, similarities)

    def similarities(self, x: Tensor) -> Tensor:
        """Return the similarity of signals (N, C, *size) to each kernel: s, (N, q, *size)."""
        return torch.stack([similarity(x, w) for w in self.kernels], dim=1)

    @torch.no_grad()
    def _pursue(self, x: Tensor, maps: Tensor) -> Tensor:
        """Go on from the activation maps of the first pass."""
        for number in range(self.passes):
            if number > 0:
                maps = maps + self.activate(self.similarities(x - self.reconstruct(maps)))
            if self.refit:
                # Until the last pass least squares will do.
                steps = REWEIGHTINGS if number == self.passes - 1 else 0
                maps = refit_amplitudes(x, maps, list(self.kernels), self.decoder, steps)
        return maps

    def activate(self, similarities: Tensor) -> Tensor:
        """Apply the activation, with each kernel's own parameter, to maps (N, q, *size)."""
        function = getattr(functions, self.activation)
        if self.sparsity is None:
            return function(similarities)
        if self.compete:
            return functions.competing_extrema(similarities, self.sparsity[0])
        return function(similarities, self.sparsity)

    def partial_reconstructions(self, activations: Tensor) -> Tensor:
        """Draw the kernels of maps (N, q, *size): r, of shape (N, q, C, *size)."""
        parts = [
            reconstruction(activations[:, i], w, self.decoder) for i, w in enumerate(self.kernels)
        ]
        return torch.stack(parts, dim=1)

    def reconstruct(self, activations: Tensor) -> Tensor:
        """Sum what the kernels of maps (N, q, *size) draw, in their order: x̂, (N, C, *size)."""
        first, *others = self.partial_reconstructions(activations).unbind(1)
        return functools.reduce(torch.add, others, first)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Events:
        """Describe signals x of shape (N, C, *size) by their events.

        Examples
        --------
        >>> model, x = SAN1d([3], "extrema", [1]), torch.randn(1, 1, 50)
        >>> torch.allclose(model.decode(model.encode(x)), model(x).x_hat)
        True
        """
        maps = self(x).activations
        where, amplitude = functions.list_activations(maps)
        return Events(
            signal=where[:, 0],
            kernel=where[:, 1],
            position=where[:, 2:],
            amplitude=amplitude,
            signals=len(maps),
            size=tuple(maps.shape[2:]),
        )

    @torch.no_grad()
    def decode(self, events: Events) -> Tensor:
        """Rebuild the signals, shape (N, C, *size), that `encode` described.

        Raises
        ------
        ValueError
            If an event names a kernel, a signal or a position that is not there.
        """
        shape = (events.signals, len(self.kernels), *events.size)
        where = torch.cat([events.signal[:, None], events.kernel[:, None], events.position], dim=1)
        bounds = torch.tensor(shape, device=where.device)
        if where.shape[1] != len(shape) or not ((where >= 0) & (where < bounds)).all():
            raise ValueError(f"events must lie within (signals, kernels, *size) = {shape}")
        maps = events.amplitude.new_zeros(shape)
        maps[tuple(where.T)] = events.amplitude
        return self.reconstruct(maps)

    def save(self, path: str | Path, notes: Any = None) -> None:
        """Write the model as a safetensors file that carries its own SHA-256.

        `notes` is anything that JSON holds, and is kept beside the model's description.
        """
        description = {
            "format": FORMAT,
            "dimensions": self.dimensions,
            "kernel_sizes": self.kernel_sizes,
            "activation": self.activation,
            "sparsity": self.sparsity,
            "channels": self.channels,
            "decoder": self.decoder,
            "passes": self.passes,
            "refit": self.refit,
            "compete": self.compete,
            "notes": notes,
        }
        tensors = {f"kernel_{i}": w.detach().cpu().numpy() for i, w in enumerate(self.kernels)}
        storage.write_tensors(Path(path), tensors, description)

    @classmethod
    def load(cls, path: str | Path) -> "SAN":
        """Read a model that `save` wrote.

        Raises
        ------
        FileNotFoundError
            If the file is not there.
        ValueError
            If it is corrupt, or holds no SAN.
        """
        tensors, description = storage.read_tensors(Path(path))
        try:
            if description["format"] != FORMAT:
                raise ValueError(f"its format is {description['format']!r}, expected {FORMAT!r}")
            model = SAN(
                description["dimensions"],
                description["kernel_sizes"],
                description["activation"],
                description["sparsity"],
                channels=description["channels"],
                decoder=description["decoder"],
                **{name: description[name] for name in PURSUIT if name in description},
            )
            for i, w in enumerate(model.kernels):
                w.data = torch.from_numpy(tensors[f"kernel_{i}"]).reshape(w.shape).to(w.dtype)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{path} holds no SAN: {error}") from error
        return model

    def extra_repr(self) -> str:
        """Say what the model is made of, for print(model)."""
        return (
            f"kernel_sizes={self.kernel_sizes}, activation={self.activation!r}, "
            f"channels={self.channels}, decoder={self.decoder!r}"
        )

    def _check_pursuit(self) -> None:
        if self.passes < 1:
            raise ValueError(f"passes must be at least 1, got {self.passes}")
        extrema = self.activation == "extrema"
        if (self.passes > 1 or self.compete) and not extrema:
            raise ValueError(f"several passes and compete need extrema, got {self.activation}")
        if self.refit and self.activation in ("identity", "relu"):
            raise ValueError(
                f"amplitudes are refitted of sparse activations, got {self.activation}"
            )
        if self.compete and len(set(self.sparsity or ())) > 1:
            raise ValueError(f"kernels that compete need one min_distance, got {self.sparsity}")

    def _check_sparsity(
        self, sparsity: Sequence[Size | None] | None
    ) -> tuple[tuple[int, ...], ...] | None:
        """The parameter of each kernel, a row for each."""
        if self.activation in ("identity", "relu"):
            return None
        given = [d for d in sparsity or () if d is not None]
        if len(given) != len(self.kernel_sizes):
            raise ValueError(
                f"{self.activation} needs one sparsity parameter for each of the "
                f"{len(self.kernel_sizes)} kernels, got {sparsity}"
            )
        return tuple((d,) if isinstance(d, int) else tuple(d) for d in given)


class SAN1d(SAN):
    """A `SAN` for signals of shape (N, C, L)."""

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(1, *args, **kwargs)


class SAN2d(SAN):
    """A `SAN` for images of shape (N, C, H, W)."""

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(2, *args, **kwargs)


def _check_name(what: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")


def _size_along_axes(size: Size, dimensions: int) -> tuple[int, ...]:
    sizes = (size,) * dimensions if isinstance(size, int) else tuple(size)
    if len(sizes) != dimensions or any(m < 1 for m in sizes):
        raise ValueError(
            f"a kernel size must be a positive number, or one for each of {dimensions} axes, "
            f"got {size}"
        )
    return sizes


def _kernels_from_data(
    data: Tensor, shapes: Sequence[tuple[int, ...]], generator: torch.Generator
) -> list[Tensor]:
    """A segment of training data for each kernel, around its largest extremum, of unit norm."""
    signals = data.detach().float().cpu()
    signals = signals[signals.flatten(1).any(1)] if signals.numel() else signals[:0]
    if len(signals) == 0:
        raise ValueError('init="data" needs training signals that are not all zero')
    order = torch.randperm(len(signals), generator=generator)
    return [
        _segment_at_extremum(signals[order[i % len(order)]], shape)
        for i, shape in enumerate(shapes)
    ]


def _segment_at_extremum(signal: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The segment whose middle is the largest extremum that leaves room for it on both sides."""
    channels, *kernel_size = shape
    sides = list(zip(kernel_size, signal.shape[1:], strict=True))
    if len(signal) != channels or any(m > n for m, n in sides):
        raise ValueError(f"a kernel of shape {shape} does not fit signals {tuple(signal.shape)}")
    middles = tuple(slice((m - 1) // 2, n - m // 2) for m, n in sides)
    height = signal.abs().amax(0)[middles]
    begin = np.unravel_index(int(height.argmax()), height.shape)
    inside: Any = (..., *(slice(t, t + m) for t, m in zip(begin, kernel_size, strict=True)))
    segment = signal[inside]
    return segment / segment.norm() if segment.any() else segment.clone()
