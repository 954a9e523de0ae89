"""One pass over the data for every kernel size of a sweep: a bank of SANs that learn together.

The models of a bank see the same signals and share nothing else. Their kernels, each of its own
size, lie in one flat vector of weights, so that one pass gives every model's loss and one step of
an optimiser moves them all. A bank makes one of three passes:

    "one by one"  one model after the other, for what models do beyond the paper (several passes,
                  refit, competition)
    "compiled"    on the CPU: reconstructions and gradients are sums over events, formed in the
                  order in which `san.networks.san` forms them, so that a model learns the same in a
                  bank and alone, to the bit
    "torch"       on other devices: the kernels are padded with zeros to one size, and torch's
                  convolutions do all of them at once
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from san import activations
from san.hot_path.operation import select_maps, table_per_map
from san.networks.padding import padding_for
from san.networks.san import SAN

MULTIPLICATIONS_PER_THREAD = 1 << 22  # fewer are done sooner than a thread is started


class _Events(NamedTuple):
    """Activation maps laid out as padded signals, and the number and places of their events."""

    grid: np.ndarray
    counts: np.ndarray
    places: np.ndarray


class Bank:
    """SANs of one kind, each with kernels of its own sizes, on signals of one size.

    Parameters
    ----------
    models : sequence of SAN
        They must agree in dimensions, channels, number of kernels, activation and decoder. Their
        weights are copied; `store` copies them back.
    size : tuple of ints
        Spatial size of the signals, (L,) or (H, W).

    Attributes
    ----------
    weights : Tensor, shape (W,), float32
        The weights of all kernels, one after the other.
    kind_of_pass : str
        "one by one", "compiled" or "torch".

    Examples
    --------
    >>> bank = Bank([SAN(1, [m], "extrema", [m]) for m in (5, 9)], (100,))
    >>> losses, gradient = bank.losses_and_gradient(torch.randn(4, 1, 100))
    >>> losses.shape, gradient.shape
    ((2,), torch.Size([14]))
    """

    def __init__(self, models: Sequence[SAN], size: tuple[int, ...]) -> None:
        self.models = list(models)
        self.size = size
        first = models[0]
        self.activation, self.channels = first.activation, first.channels
        self.kernels = len(first.kernels)  # q, of each model
        pursues = first.passes > 1 or first.refit or first.compete
        self._parameters = [w for model in models for w in model.kernels]
        self._rows = tuple(row for model in models for row in model.sparsity or ())
        self._tables_per_map: dict[int, np.ndarray] = {}  # by the number of signals
        self._memories: dict[str, np.ndarray] = {}
        self.weights = torch.cat([w.detach().flatten().float() for w in self._parameters])
        self.device = self.weights.device
        on_device = "compiled" if self.device.type == "cpu" else "torch"
        self.kind_of_pass = "one by one" if pursues else on_device
        sizes = [m for model in models for m in model.kernel_sizes]
        seen = [tuple((m - 1) // 2 for m in of_kernel) for of_kernel in sizes]
        drawn = seen
        if first.decoder == "paper":  # reversed, and for even m one sample to the left
            drawn = [tuple(m // 2 for m in of_kernel) for of_kernel in sizes]
        self._befores = seen, drawn
        self._padding, (self._seen_at, self._drawn_at) = padding_for(
            size, self.channels, sizes, self._befores
        )
        self._order = self._drawing_order(sizes) if first.decoder == "paper" else slice(None)

    def store(self, weights: Tensor | None = None) -> None:
        """Copy the weights, or others of the same shape, back into the models."""
        values = (self.weights if weights is None else weights).detach()
        shares = values.split([w.numel() for w in self._parameters])
        for w, share in zip(self._parameters, shares, strict=True):
            w.data.copy_(share.view(w.shape))

    def set_sparsity(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Give every kernel another parameter of its activation; identity and relu have none."""
        if tuple(rows) == self._rows or not self._rows:
            return
        self._rows = tuple(rows)
        self._tables_per_map.clear()
        for number, model in enumerate(self.models):
            model.sparsity = self._rows[number * self.kernels : (number + 1) * self.kernels]

    def losses_and_gradient(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        """Return each model's mean absolute error on x, (K,), and the gradient of their sum, (W,).

        x has shape (N, C, *size). Raises ValueError where a similarity is not a number.
        """
        if self.kind_of_pass == "one by one":
            return self._one_by_one_losses_and_gradient(x)
        if self.kind_of_pass == "torch":
            return self._torch_losses_and_gradient(x)
        return self._compiled_losses_and_gradient(x)

    def scores(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of events, and the sum of absolute errors, of each model and signal.

        x has shape (N, C, *size), both results (K, N).
        """
        if self.kind_of_pass == "one by one":
            return self._one_by_one_scores(x)
        if self.kind_of_pass == "torch":
            return self._torch_scores(x)
        return self._compiled_scores(x)

    # The pass "one by one"

    def _one_by_one_losses_and_gradient(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        self.store()
        losses = [(model(x).x_hat - x).abs().mean() for model in self.models]
        gradients = torch.autograd.grad(torch.stack(losses).sum(), self._parameters)
        values = torch.stack(losses).detach().double().cpu().numpy()
        return values, torch.cat([gradient.flatten() for gradient in gradients])

    @torch.no_grad()
    def _one_by_one_scores(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        self.store()
        outputs = [model(x) for model in self.models]
        events = [(output.activations != 0).flatten(1).sum(1) for output in outputs]
        errors = [(o.x_hat.double() - x.double()).abs().flatten(1).sum(1) for o in outputs]
        return torch.stack(events).cpu().numpy(), torch.stack(errors).cpu().numpy()

    # The pass "compiled"

    def _compiled_losses_and_gradient(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        padded = self._pad(x)
        events, x_hat = self._reconstruct(padded, len(x))
        errors = self._errors_and_slopes(padded, x_hat)
        gradient = self._gradient(padded, events, x_hat)
        return errors.sum(1) / x.numel(), torch.from_numpy(gradient)

    def _compiled_scores(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        padded = self._pad(x)
        events, x_hat = self._reconstruct(padded, len(x))
        kept = events.grid.reshape(len(self.models), self.kernels, len(x), -1) != 0
        return kept.sum((1, 3)), self._errors_and_slopes(padded, x_hat)

    def _pad(self, x: Tensor) -> np.ndarray:
        return self._padding.pad(x).contiguous().numpy().reshape(-1)

    def _reconstruct(self, padded: np.ndarray, signals: int) -> tuple[_Events, np.ndarray]:
        """The events of each kernel and signal, and x̂ of each model and padded signal."""
        from san.networks import convolution_cpu as compiled

        padding, maps = self._padding, len(self._parameters) * signals
        grid = padding.grid_of(self._activations(padded, signals))
        places = self._memory("places", grid.size, np.int64)
        events = _Events(grid, np.empty(maps, np.int64), places)
        drawn = self._memory("drawn", maps * padding.width)
        weights = self._drawn_weights()

        def work(first: int, last: int) -> None:
            shape = (signals, padding.positions, first, last)
            compiled.list_places(padding.table, grid, *shape, events.counts, events.places)
            compiled.draw(
                padding.table, self._drawn_at, weights, *events, padding.width, *shape, drawn
            )

        self._share(work, signals)
        first, *others = drawn.reshape(len(self.models), self.kernels, -1).swapaxes(0, 1)
        for other in others:
            first = first + other
        return events, np.ascontiguousarray(first).reshape(-1)

    def _activations(self, padded: np.ndarray, signals: int) -> np.ndarray:
        """The activation maps of every kernel and signal, (B, N, *size)."""
        from san.networks import convolution_cpu as compiled

        padding, weights = self._padding, self.weights.detach().numpy()
        shape = len(self._parameters), signals, padding.positions
        grid = self._memory("grid", math.prod(shape)).reshape(shape)

        def work(first: int, last: int) -> None:
            compiled.correlate(
                padding.table, self._seen_at, weights, padded, padding.width, signals,
                padding.positions, first, last, grid.reshape(-1),
            )  # fmt: skip

        self._share(work, signals)
        similarities = padding.rows_of(grid)
        if not np.isfinite(similarities.sum()) and np.isnan(similarities).any():
            raise ValueError("the similarity is no longer a number")
        if self.activation == "identity":
            return similarities
        if self.activation == "relu":
            return np.maximum(similarities, 0)
        alpha = self._memory("alpha", similarities.size).reshape(similarities.shape)
        if signals not in self._tables_per_map:
            rows = tuple(row for row in self._rows for _ in range(signals))
            self._tables_per_map[signals] = table_per_map(rows, self.size, self.activation)
        select_maps(
            self.activation,
            similarities.reshape(-1),
            self.size,
            self._tables_per_map[signals],
            alpha.reshape(-1),
        )
        return alpha

    def _errors_and_slopes(self, padded: np.ndarray, x_hat: np.ndarray) -> np.ndarray:
        """The errors (K, N); x_hat becomes the derivative of the losses with respect to it."""
        from san.networks import convolution_cpu as compiled

        padding = self._padding
        signals = padded.size // padding.width
        errors = np.empty(len(self.models) * signals)
        compiled.errors_and_slopes(
            padded, padding.width, padding.inside, self.size[-1], signals, 0, len(self.models),
            x_hat, errors,
        )  # fmt: skip
        return errors.reshape(-1, signals)

    def _gradient(self, padded: np.ndarray, events: _Events, slopes: np.ndarray) -> np.ndarray:
        """The gradient of the weights, through decoder and encoder."""
        from san.networks import convolution_cpu as compiled

        padding, weights = self._padding, self._drawn_weights()
        signals = padded.size // padding.width
        of_model = np.repeat(np.arange(len(self.models)), self.kernels)
        same = np.zeros_like(of_model)
        by_decoder, by_encoder = np.empty((2, len(weights)), np.float32)
        at_events = self._memory("at_events", events.grid.size)

        def work(first: int, last: int) -> None:
            shape = (padding.width, signals, padding.positions, first, last)
            compiled.kernel_gradient(
                padding.table, self._drawn_at, *events, of_model, slopes, *shape, by_decoder
            )
            compiled.correlate_at(
                padding.table, self._drawn_at, weights, *events, of_model, slopes, *shape, at_events
            )
            through = events._replace(grid=at_events)
            compiled.kernel_gradient(
                padding.table, self._seen_at, *through, same, padded, *shape, by_encoder
            )

        self._share(work, signals)
        return by_decoder[self._order] + by_encoder

    def _drawing_order(self, sizes: Sequence[tuple[int, ...]]) -> np.ndarray:
        """The index that brings the weights into the order in which the decoder draws them."""
        order = []
        for offset, size in zip(self._padding.table[:, 0], sizes, strict=True):
            places = np.arange(self.channels * math.prod(size)).reshape(self.channels, *size)
            order.append(offset + np.flip(places, tuple(range(1, places.ndim))).ravel())
        return np.concatenate(order)

    def _memory(self, name: str, size: int, kind: type = np.float32) -> np.ndarray:
        """Memory that every pass uses again: new pages would take a third of the time."""
        if self._memories.get(name, np.empty(0)).size < size:
            self._memories[name] = np.empty(size, kind)
        return self._memories[name][:size]

    def _drawn_weights(self) -> np.ndarray:
        """The weights as the decoder draws them."""
        return np.ascontiguousarray(self.weights.detach().numpy()[self._order])

    def _share(self, work: Callable[[int, int], None], signals: int) -> None:
        """Run work(first, last) over the kernels, shared evenly among threads."""
        ends = np.append(self._padding.table[:, 0], len(self.weights))  # weights before each kernel
        multiplications = len(self.weights) * signals * math.prod(self.size)
        threads = min(
            torch.get_num_threads(), len(ends) - 1, multiplications // MULTIPLICATIONS_PER_THREAD
        )
        if threads < 2:
            work(0, len(ends) - 1)
            return
        bounds = np.searchsorted(ends, np.linspace(0, ends[-1], threads + 1))
        shares = [(int(a), int(b)) for a, b in itertools.pairwise(bounds) if a < b]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda share: work(*share), shares))

    # The pass "torch"

    def _torch_pass(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions (N, K, C, *size) and activation maps (N, B, *size)."""
        axes = len(self.size)
        zero_after = torch.cat([weights, weights.new_zeros(1)])
        seen, drawn = (zero_after[table] for table in self._weight_in_place)
        convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
        s = convolve(self._padding.pad(x), seen)
        alpha = getattr(activations, self.activation)(s, *([self._rows] if self._rows else []))
        draw = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
        whole = draw(alpha, drawn, groups=len(self.models))
        box = (slice(b, b + n) for b, n in zip(self._padding.before, self.size, strict=True))
        inside: Any = (..., *box)
        return whole[inside].unflatten(1, (len(self.models), self.channels)), alpha

    @functools.cached_property
    def _weight_in_place(self) -> tuple[Tensor, Tensor]:
        """The number of the weight in each place of kernels padded to one size, int64.

        One for the encoder and one for the decoder, each (B, channels, *window). Zeros have the
        number after the last weight. Only shapes decide, so that it is formed once.
        """
        padding, none = self._padding, len(self.weights)
        window = [b + a + 1 for b, a in zip(padding.before, padding.after, strict=True)]
        in_order = np.arange(none)
        tables = []
        for befores, places in zip(self._befores, (in_order, in_order[self._order]), strict=True):
            table = np.full((len(self._parameters), self.channels, *window), none)
            for b, (w, before) in enumerate(zip(self._parameters, befores, strict=True)):
                offset = np.subtract(padding.before, before).tolist()
                box = (slice(o, o + m) for o, m in zip(offset, w.shape[1:], strict=True))
                place: Any = (b, slice(None), *box)
                begin = padding.table[b, 0]
                table[place] = places[begin : begin + w.numel()].reshape(w.shape)
            tables.append(torch.from_numpy(table).to(self.device))
        return tables[0], tables[1]

    def _torch_losses_and_gradient(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        weights = self.weights.detach().requires_grad_()
        x_hat, _ = self._torch_pass(x, weights)
        losses = (x_hat - x[:, None]).abs().transpose(0, 1).flatten(1).mean(1)
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        return losses.detach().double().cpu().numpy(), gradient

    @torch.no_grad()
    def _torch_scores(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        x_hat, alpha = self._torch_pass(x, self.weights)
        events = (alpha != 0).flatten(2).sum(2).unflatten(1, (len(self.models), -1)).sum(2)
        errors = (x_hat.double() - x[:, None].double()).abs().flatten(2).sum(2)
        return events.T.cpu().numpy(), errors.T.cpu().numpy()
