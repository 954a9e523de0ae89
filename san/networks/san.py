"""The Sparsely Activated Network: similarity, activation and reconstruction with shared kernels.

    s_i = x ⋆ w_i        α_i = φ(s_i, d_i)        r_i = α_i * w_i        x̂ = Σ_i r_i

One `SAN` for any number of dimensions; `SAN1d` and `SAN2d` are the same for one and for two. The
caller decides the sizes and the activation. How a SAN learns is decided in `training`.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from san import activations as functions
from san import deprecated, storage
from san.networks.choices import (
    ACTIVATIONS,
    DECODERS,
    STARTS,
    ActivationName,
    DecoderName,
    Size,
    StartName,
    check_name,
    size_along_axes,
)
from san.networks.convolution import reconstruction, similarity
from san.networks.first_kernels import kernels_from_data
from san.networks.refit import REWEIGHTINGS, refit_amplitudes

FORMAT = "san model 1"
NOT_EXPORTED = (
    "torch.jit and ONNX have no operation for the activations of a SAN: use "
    "torch.export.export(model, (x,)), or store the model with model.save(path)"
)
PURSUIT = ("passes", "refit", "compete")  # options of what a SAN does beyond the paper


class Output(NamedTuple):
    """What a SAN makes of signals x of shape (N, C, *size)."""

    x_hat: Tensor  #: (N, C, *size), the reconstruction x̂
    activations: Tensor  #: (N, q, *size), the maps α
    similarities: Tensor  #: (N, q, *size), the maps s


@dataclass(frozen=True)
class Events:
    """The activations of a batch of signals as a list: which kernel, where, and how strong.

    Sorted by signal, then kernel, then position. A kernel of m samples at position t covers the
    samples t - (m - 1) // 2 ... t + m // 2, along each axis.
    """

    signal: Tensor  #: (E,), int64, the number of the signal in the batch
    kernel: Tensor  #: (E,), int64, the number of the kernel
    position: Tensor  #: (E, dim), int64, the sample at the kernel's middle
    amplitude: Tensor  #: (E,), the signals' float type, by which the kernel is multiplied
    signals: int  #: how many signals the batch has
    size: tuple[int, ...]  #: the spatial size of the signals


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
        Channels of the signals. A kernel has its own weights for each channel. Its events are
        common to all channels.
    decoder : {"adjoint", "paper"}
        See `san.networks.convolution.reconstruction`.
    init : {"normal", "data"}
        "normal" draws weights from a normal distribution with mean 0 and standard deviation 0.1,
        as published. "data" copies the segment around the largest extremum of a training signal,
        scaled to unit norm. The extremum is the kernel's middle. Each kernel takes another
        signal, in an order drawn from the seed.
    data : array_like, shape (N, channels, *size)
        Training signals, for init="data" only.
    passes : int
        How often extrema are selected. The first pass selects from the similarity to x, each
        further pass from the similarity to x minus the reconstruction so far. With several passes
        no gradient passes to the events or to their amplitudes.
    refit : bool
        Whether the amplitudes are fitted again after each selection, all of a signal together,
        see `san.networks.refit`. No gradient passes to them.
    compete : bool
        Whether an extremum also suppresses smaller extrema of the other kernels, see
        `san.competing_extrema`.
    seed : int
        Of the random weights. The global state of random numbers is neither used nor changed.

    Raises
    ------
    ValueError
        If a name, a size or a number of parameters does not fit.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, section II. The paper has neither
    decoder="adjoint", init="data", passes, refit nor compete.

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
        activation: ActivationName = "extrema",
        sparsity: Sequence[Size | None] | None = None,
        *,
        channels: int = 1,
        decoder: DecoderName = "adjoint",
        init: StartName = "normal",
        data: np.ndarray | Tensor | None = None,
        passes: int = 1,
        refit: bool = False,
        compete: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_name("activation", activation, ACTIVATIONS)
        check_name("decoder", decoder, DECODERS)
        check_name("init", init, STARTS)
        if not kernel_sizes or channels < 1:
            raise ValueError(
                "a SAN needs at least one kernel and one channel, "
                f"got {len(kernel_sizes)} kernels and {channels} channels"
            )
        self.dimensions = dimensions
        self.kernel_sizes = [size_along_axes(m, dimensions) for m in kernel_sizes]
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
            weights = kernels_from_data(torch.as_tensor(data), shapes, generator)
        else:
            weights = [0.1 * torch.randn(shape, generator=generator) for shape in shapes]
        self.kernels = nn.ParameterList(nn.Parameter(w) for w in weights)

    def forward(self, x: Tensor) -> Output:
        """Reconstruct signals x of shape (N, C, *size); see `Output`."""
        if torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():
            raise NotImplementedError(NOT_EXPORTED)
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

    def __prepare_scriptable__(self) -> None:
        """Refuse torch.jit.script, which calls this, in words."""
        raise NotImplementedError(NOT_EXPORTED)

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
                # Only the last pass needs more than least squares.
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
        """Draw each kernel at its activations (N, q, *size): r, of shape (N, q, C, *size)."""
        parts = [
            reconstruction(activations[:, i], w, self.decoder) for i, w in enumerate(self.kernels)
        ]
        return torch.stack(parts, dim=1)

    def reconstruct(self, activations: Tensor) -> Tensor:
        """Draw all kernels at their activations (N, q, *size) and add them: x̂, (N, C, *size)."""
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
            If an event names a kernel, a signal or a position that does not exist.
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

        `notes` is any value that JSON can hold. It is kept beside the model's description.
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
            If there is no such file.
        ValueError
            If the file is corrupt, or holds no SAN.
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
        if self.compete and len(distances := sorted(set(self.sparsity or ()))) > 1:
            said = " and ".join("×".join(map(str, distance)) for distance in distances)
            raise ValueError(
                f"kernels that compete need one min_distance, got {said}: "
                "give all kernels one size, or leave out compete"
            )

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
    """A `SAN` for signals of shape (N, C, L).

    Parameters
    ----------
    kernel_sizes : sequence of ints
        Size m of each of the q kernels, in samples.
    activation : {"identity", "relu", "top_k_absolutes", "extrema_pool", "extrema"}
        What is kept of the similarity.
    sparsity : sequence, one entry per kernel
        The activation's parameter, as `sparsity_of` gives it. Identity and relu need none.
    channels : int
        Channels of the signals.
    decoder, init, data, passes, refit, compete, seed
        As in `SAN`.

    Raises
    ------
    ValueError
        If a name, a size or a number of parameters does not fit.

    Examples
    --------
    >>> model = SAN1d([9, 20], "extrema", [6, 17])
    >>> model(torch.randn(4, 1, 100)).x_hat.shape
    torch.Size([4, 1, 100])
    """

    def __init__(
        self,
        kernel_sizes: Sequence[int],
        activation: ActivationName = "extrema",
        sparsity: Sequence[int | None] | None = None,
        *,
        channels: int = 1,
        decoder: DecoderName = "adjoint",
        init: StartName = "normal",
        data: np.ndarray | Tensor | None = None,
        passes: int = 1,
        refit: bool = False,
        compete: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            1,
            kernel_sizes,
            activation,
            sparsity,
            channels=channels,
            decoder=decoder,
            init=init,
            data=data,
            passes=passes,
            refit=refit,
            compete=compete,
            seed=seed,
        )


class SAN2d(SAN):
    """A `SAN` for images of shape (N, C, H, W).

    Parameters
    ----------
    kernel_sizes : sequence of ints, or of pairs of ints
        Size m of each of the q kernels, in samples: along both axes, or along each.
    activation : {"identity", "relu", "top_k_absolutes", "extrema_pool", "extrema"}
        What is kept of the similarity.
    sparsity : sequence, one entry per kernel
        The activation's parameter, as `sparsity_of` gives it. Identity and relu need none.
    channels : int
        Channels of the signals.
    decoder, init, data, passes, refit, compete, seed
        As in `SAN`.

    Raises
    ------
    ValueError
        If a name, a size or a number of parameters does not fit.

    Examples
    --------
    >>> model = SAN2d([(3, 5)], "extrema_pool", [(3, 5)])
    >>> model(torch.randn(4, 1, 28, 28)).x_hat.shape
    torch.Size([4, 1, 28, 28])
    """

    def __init__(
        self,
        kernel_sizes: Sequence[Size],
        activation: ActivationName = "extrema",
        sparsity: Sequence[Size | None] | None = None,
        *,
        channels: int = 1,
        decoder: DecoderName = "adjoint",
        init: StartName = "normal",
        data: np.ndarray | Tensor | None = None,
        passes: int = 1,
        refit: bool = False,
        compete: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            2,
            kernel_sizes,
            activation,
            sparsity,
            channels=channels,
            decoder=decoder,
            init=init,
            data=data,
            passes=passes,
            refit=refit,
            compete=compete,
            seed=seed,
        )


deprecated.names(
    __name__,
    {
        "sparsity_of": "networks.choices.sparsity_of",
        "INITIALIZATIONS": "networks.choices.STARTS",
    },
)
