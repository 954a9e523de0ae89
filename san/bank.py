"""One pass over the data for every kernel size of a sweep: a bank of SANs that learn together.

The models of a bank see the same signals and share nothing else. Their kernels, each of its own
size, lie in one flat vector of weights, so that one pass gives every model's loss and one step of
an optimiser moves them all. On the CPU the pass is compiled: reconstructions and gradients are
sums over events. On other devices the kernels are padded with zeros to one size and the pass is
made of torch's convolutions.
"""

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
from san.model import SAN
from san.selection import select_maps, table_per_map

MULTIPLICATIONS_PER_THREAD = 1 << 22  # fewer are done sooner than a thread is started


class Layout(NamedTuple):
    """Where kernels and signals lie in flat memory; what the compiled functions take."""

    # Of each kernel: its first weight, rows, weights per row, and first entry of `encoder`.
    kernels: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    encoder: np.ndarray  # where in a padded signal each row begins that position 0 looks at
    decoder: np.ndarray  # likewise, that an activation at position 0 draws
    models: np.ndarray  # the first kernel of each model, and the end
    positions: int  # from the first to the last of a map, laid out as a padded signal
    rows: np.ndarray  # where in it each row of a map begins
    length: int  # of each row
    inside: np.ndarray  # where in a padded signal each row of the signal begins


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
        self.activation, self.decoder, self.channels = (
            first.activation,
            first.decoder,
            first.channels,
        )
        self._kernels = [w for model in models for w in model.kernels]
        sizes = [m for model in models for m in model.kernel_sizes]
        self._rows = [row for model in models for row in model.sparsity or ()]
        self._parameters: dict[int, np.ndarray] = {}  # by the number of signals
        self._make_layout(sizes)
        self.weights = torch.cat([w.detach().flatten().float() for w in self._kernels])
        self.device = self.weights.device

    def store(self, weights: Tensor | None = None) -> None:
        """Copy the weights, or others of the same shape, back into the models."""
        values = (self.weights if weights is None else weights).detach()
        shares = values.split([w.numel() for w in self._kernels])
        for w, share in zip(self._kernels, shares, strict=True):
            w.data.copy_(share.view(w.shape))

    def losses_and_gradient(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        """Return each model's mean absolute error on x, (K,), and the gradient of their sum, (W,).

        x has shape (N, C, *size). Raises ValueError where a similarity is not a number.
        """
        if self.device.type != "cpu":
            return self._torch_losses_and_gradient(x)
        from san import bank_cpu

        padded = self._pad(x)
        drawn = self._drawn_weights()
        _, laid_out, x_hat = self._reconstructions(padded, drawn)
        losses = np.empty(len(self.models))
        through = np.empty((2, len(drawn)), np.float32)

        def work(first: int, last: int) -> None:
            layout = self._layout
            bank_cpu.losses_and_slopes(layout, padded, first, last, x_hat, losses)
            bank_cpu.gradients(
                layout, drawn, padded, first, last, *laid_out, x_hat, through[0], through[1]
            )

        self._share(work, self._layout.models, len(x))
        return losses, torch.from_numpy(through[0][self._drawn] + through[1])

    def scores(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of events, and the sum of absolute errors, of each model and signal.

        x has shape (N, C, *size), both results (K, N).
        """
        if self.device.type != "cpu":
            return self._torch_scores(x)
        from san import bank_cpu

        padded = self._pad(x)
        maps, _, x_hat = self._reconstructions(padded, self._drawn_weights())
        events = np.empty((len(self.models), len(x)), np.int64)
        errors = np.empty((len(self.models), len(x)))
        bank_cpu.scores(self._layout, padded, maps, 0, len(self.models), x_hat, events, errors)
        return events, errors

    # The compiled pass

    def _make_layout(self, sizes: Sequence[tuple[int, ...]]) -> None:
        """Pad for the largest kernel, and say where each kernel's rows lie in padded signals."""
        seen_before = np.array([[(m - 1) // 2 for m in size] for size in sizes])
        drawn_before = seen_before
        if self.decoder == "paper":  # reversed, and for even m one sample to the left
            drawn_before = np.array(sizes) - 1 - seen_before
        self._before = np.maximum(seen_before, drawn_before).max(0)
        after = np.array(sizes) - 1 - np.minimum(seen_before, drawn_before)
        self._after = after.max(0)
        self._offsets = self._before - seen_before, self._before - drawn_before
        padded = np.array(self.size) + self._before + self._after
        strides = np.array([math.prod(padded[axis + 1 :]) for axis in range(len(padded))], int)
        plane = int(padded.prod())
        rows = [list(np.ndindex(self.channels, *size[:-1])) for size in sizes]
        starts = [
            [row[0] * plane + (np.array([*row[1:], 0]) + offset) @ strides for row in kernel]
            for offsets in self._offsets
            for kernel, offset in zip(rows, offsets, strict=True)
        ]
        flat = [
            np.array([s for kernel in part for s in kernel])
            for part in (starts[: len(sizes)], starts[len(sizes) :])
        ]
        counts = [self.channels * math.prod(size) for size in sizes]
        of_model = [len(model.kernels) for model in self.models]
        grid_rows = np.array([np.array([*r, 0]) @ strides for r in np.ndindex(*self.size[:-1])])
        self._layout = Layout(
            kernels=(
                np.cumsum([0, *counts]),
                np.array([len(kernel) for kernel in rows]),
                np.array([size[-1] for size in sizes]),
                np.cumsum([0, *(len(kernel) for kernel in rows)]),
            ),
            encoder=flat[0],
            decoder=flat[1],
            models=np.cumsum([0, *of_model]),
            positions=int((np.array(self.size) - 1) @ strides) + 1,
            rows=grid_rows,
            length=self.size[-1],
            inside=np.array(
                [
                    c * plane + self._before @ strides + row
                    for c in range(self.channels)
                    for row in grid_rows
                ]
            ),
        )
        self._drawn = self._drawing_order(sizes)

    def _drawing_order(self, sizes: Sequence[tuple[int, ...]]) -> Any:
        """The index that brings the weights into the order in which the decoder draws them."""
        if self.decoder != "paper":
            return slice(None)
        order = []
        for offset, size in zip(self._layout.kernels[0], sizes, strict=False):
            places = np.arange(self.channels * math.prod(size)).reshape(self.channels, *size)
            order.append(offset + np.flip(places, tuple(range(1, places.ndim))).ravel())
        return np.concatenate(order)

    def _drawn_weights(self) -> np.ndarray:
        """The weights as the decoder draws them."""
        return np.ascontiguousarray(self.weights.detach().numpy()[self._drawn])

    def _padding(self) -> list[int]:
        sides = zip(self._before.tolist(), self._after.tolist(), strict=True)
        return [side for pair in reversed(list(sides)) for side in pair]

    def _pad(self, x: Tensor) -> np.ndarray:
        return F.pad(x.detach(), self._padding()).numpy().reshape(len(x), -1)

    def _reconstructions(
        self, padded: np.ndarray, drawn: np.ndarray
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
        """Activation maps; the same laid out, with counts and places of events; and x̂."""
        from san import bank_cpu

        maps = self._maps(padded)
        kernels, signals = maps.shape[:2]
        grid = (kernels, signals, self._layout.positions)
        plain = self._layout.positions == maps.shape[2]
        laid_out = (
            maps if plain else np.zeros(grid, np.float32),
            np.empty((kernels, signals), np.int64),
            np.empty(grid, np.int64),
        )
        x_hat = np.empty((len(self.models), *padded.shape), np.float32)

        def work(first: int, last: int) -> None:
            bank_cpu.reconstructions(self._layout, drawn, maps, first, last, *laid_out, x_hat)

        self._share(work, self._layout.models, signals)
        return maps, laid_out, x_hat

    def _maps(self, padded: np.ndarray) -> np.ndarray:
        """The activation maps of every kernel and signal, (B, N, samples)."""
        from san import bank_cpu

        weights = self.weights.detach().numpy()
        shape = (len(self._kernels), len(padded), math.prod(self.size))
        similarities = np.empty(shape, np.float32)
        self._share(
            lambda first, last: bank_cpu.similarities(
                self._layout, weights, padded, first, last, similarities
            ),
            np.arange(len(self._kernels) + 1),
            len(padded),
        )
        if not np.isfinite(similarities.sum()) and np.isnan(similarities).any():
            raise ValueError("the similarity is no longer a number")
        if self.activation == "identity":
            return similarities
        if self.activation == "relu":
            return np.maximum(similarities, 0)
        alpha = np.empty_like(similarities)
        maps, out = (a.reshape(-1, shape[2]) for a in (similarities, alpha))
        select_maps(self.activation, maps, self.size, self._parameter(len(padded)), out)
        return alpha

    def _parameter(self, signals: int) -> np.ndarray:
        """The sparsity parameter of every map."""
        if signals not in self._parameters:
            rows = tuple(row for row in self._rows for _ in range(signals))
            self._parameters[signals] = table_per_map(rows, self.size, self.activation)
        return self._parameters[signals]

    def _share(self, work: Callable[[int, int], None], kernels: np.ndarray, signals: int) -> None:
        """Run work(first, last) over entries of `kernels`, shared evenly among threads."""
        counts = self._layout.kernels[0][kernels]  # weights before each entry
        multiplications = counts[-1] * signals * math.prod(self.size)
        threads = min(
            torch.get_num_threads(), len(counts) - 1, multiplications // MULTIPLICATIONS_PER_THREAD
        )
        if threads < 2:
            work(0, len(counts) - 1)
            return
        ends = np.searchsorted(counts, np.linspace(0, counts[-1], threads + 1))
        shares = [(int(a), int(b)) for a, b in itertools.pairwise(ends) if a < b]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda share: work(*share), shares))

    # The pass of torch's convolutions

    def _torch_pass(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions (N, K, C, *size) and activation maps (N, B, *size)."""
        axes = len(self.size)
        zero_after = torch.cat([weights, weights.new_zeros(1)])
        seen, drawn = (zero_after[table] for table in self._tables())
        convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
        s = convolve(F.pad(x, self._padding()), seen)
        alpha = getattr(activations, self.activation)(s, *([self._rows] if self._rows else []))
        draw = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
        whole = draw(alpha, drawn, groups=len(self.models))
        inside: Any = (
            ...,
            *(slice(b, b + n) for b, n in zip(self._before, self.size, strict=True)),
        )
        x_hat = whole[inside].unflatten(1, (len(self.models), self.channels))
        return x_hat, alpha

    def _tables(self) -> tuple[Tensor, Tensor]:
        """For encoder and decoder: the weight in each place of kernels padded to one size."""
        window = (self._before + self._after + 1).tolist()
        tables = []
        order = np.arange(len(self.weights))[self._drawn]
        for offsets, places in zip(self._offsets, (np.arange(len(order)), order), strict=True):
            table = np.full((len(self._kernels), self.channels, *window), len(order))
            for b, (w, offset) in enumerate(zip(self._kernels, offsets, strict=True)):
                begin, end = self._layout.kernels[0][b], self._layout.kernels[0][b + 1]
                box = (slice(o, o + m) for o, m in zip(offset, w.shape[1:], strict=True))
                place: Any = (b, slice(None), *box)
                table[place] = places[begin:end].reshape(w.shape)
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
