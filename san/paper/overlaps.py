"""The study of overlap: exact ranks, ranks with ReLU, images, and where a grid of windows lies.

After Sharir & Shashua, arXiv 1703.02065. The laws that the ranks are compared with are proved in
the documentation.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from san import metrics
from san.networks.choices import ActivationName, sparsity_of
from san.networks.circuits import (
    Pooling,
    ProductLayer,
    count_weights,
    halves,
    matricization_rank,
    overlap_law,
)
from san.networks.san import SAN
from san.paper.study import Done, Load, Part
from san.training.settings import Settings
from san.training.train import fit

NAME = "overlaps"
SITES = 8
#: Window and stride of a layer, and how many layers; "halves" and "even" are the two partitions.
CIRCUITS = {
    "no overlap": (2, 2, False, 3),
    "K=3, S=2, circular": (3, 2, True, 2),
    "K=4, S=2, circular": (4, 2, True, 2),
    "first K=2, S=1": (2, 1, False, 1),
    "first K=3, S=1": (3, 1, False, 1),
    "first K=4, S=1": (4, 1, False, 1),
    "first K=5, S=1": (5, 1, False, 1),
}
CHANNELS = (1, 2, 3, 4, 8, 16)

IMAGES, TEST_IMAGES, EPOCHS, BATCH, RATE = 2400, 2000, 4, 32, 0.003
STRIDE, LAYERS, SIDE, CLASSES = 2, 5, 32, 10
WIDTHS = {2: 32, 3: 23, 4: 18}  # channels of each window, for about equally many weights
DATA = ("mnist", "fashion-mnist")

#: Kernel size of each record, in samples.
RECORDS = {"bundled": 180, "mitdb": 74, "bidmc": 113, "voiced": 70}
POOLS: tuple[ActivationName, ...] = ("extrema_pool", "extrema")
OFFSETS, KERNEL_EPOCHS = 12, 8


def plan(seeds: int) -> list[Part]:
    """List the parts: ranks, images and offsets, for each seed."""
    parts = []
    for seed in range(seeds):
        parts.append(Part(NAME, "ranks", seed, {"sites": SITES}, cost=6.0))
        parts += [
            Part(NAME, f"offsets {record}", seed, {"record": record, "m": m}, 3.0, (_data(record),))
            for record, m in RECORDS.items()
        ]
    for data in DATA:
        for seed, window in itertools.product(range(seeds), WIDTHS):
            settings = {"window": window, "images": IMAGES, "epochs": EPOCHS, "data": data}
            settings |= {"batch": BATCH, "rate": RATE}
            parts.append(Part(NAME, f"{data} K={window}", seed, settings, 12.0, (data,)))
    return parts


def _data(record: str) -> str:
    return f"physionet {record}"


def make(part: Part, load: Load, done: Done) -> dict[str, Any]:
    """Measure one part."""
    if "window" in part.settings:
        return {"rows": [_learn_images(part, load, done)]}
    if "record" in part.settings:
        return {"rows": _move_grid(part, load)}
    return {"rows": [*_ranks(part.seed), *_law(part.seed, done), *_numerical_ranks(part.seed)]}


def layers_of(circuit: str, channels: int) -> list[ProductLayer]:
    """Build a circuit of `CIRCUITS`.

    Examples
    --------
    >>> layers_of("first K=2, S=1", 3)
    [ProductLayer(window=2, stride=1, channels=3, circular=False)]
    """
    window, stride, circular, depth = CIRCUITS[circuit]
    return [ProductLayer(window, stride, channels, circular)] * depth


def _ranks(seed: int) -> list[dict[str, Any]]:
    """The table of ranks: every circuit, partition, number of templates and channels."""
    rows = []
    for circuit, templates, r, shared in itertools.product(
        CIRCUITS, (2, 3), CHANNELS, (True, False)
    ):
        layers = layers_of(circuit, r)
        for name, left in zip(("halves", "even"), halves(SITES), strict=True):
            rank = matricization_rank(layers, SITES, templates, left, shared=shared, seed=seed)
            weights = count_weights(layers, SITES, templates, shared=shared)
            rows.append(
                {"kind": "rank", "circuit": circuit, "partition": name, "templates": templates}
                | {"channels": r, "shared": shared, "rank": rank, "weights": weights}
            )
    return rows


def _law(seed: int, done: Done) -> list[dict[str, Any]]:
    """Compare one overlapping layer with its law, for all windows up to ten sites."""
    rows = []
    for sites in range(2, 11, 2):
        for window in range(1, sites // 2 + 2):
            for r, templates in itertools.product((1, 2, 3, 4), (2, 3)):
                layers, left = [ProductLayer(window, 1, r)], halves(sites)[0]
                rank = matricization_rank(layers, sites, templates, left, seed=seed)
                law = overlap_law(window, r, templates, sites)
                rows.append(
                    {"kind": "law", "sites": sites, "window": window, "channels": r}
                    | {"templates": templates, "rank": rank, "law": law}
                )
        done(0.15)
    return rows


def _numerical_ranks(seed: int) -> list[dict[str, Any]]:
    """Ranks with ReLU and the maximum or the sum in the place of the product."""
    rows = []
    poolings: tuple[Pooling, ...] = ("max", "sum")
    for pooling, window in itertools.product(poolings, (2, 3, 4)):
        layers = [ProductLayer(window, 2, 4, circular=window > 2)] * 3
        rank = matricization_rank(layers, SITES, 3, halves(SITES)[0], pooling=pooling, seed=seed)
        rows.append({"kind": "ReLU", "pooling": pooling, "window": window, "rank": rank})
    return rows


class OverlappingNet(nn.Module):
    """Five convolutions of stride 2 with ReLU, down to one position, and a linear read-out.

    Parameters
    ----------
    window : int
        K of all layers but the last one, which sees 2 × 2 positions.
    channels : int

    Examples
    --------
    >>> sum(p.numel() for p in OverlappingNet(2, 32).parameters())
    17002
    """

    def __init__(self, window: int, channels: int) -> None:
        super().__init__()
        sizes = [window] * (LAYERS - 1) + [STRIDE]
        before = [1] + [channels] * (LAYERS - 1)
        self.layers: Any = nn.ModuleList(
            nn.Conv2d(b, channels, k, STRIDE) for b, k in zip(before, sizes, strict=True)
        )
        self.read_out = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N, 10) for images (N, 1, 32, 32)."""
        for layer in self.layers:
            more = layer.weight.shape[-1] - STRIDE  # so that each layer halves the side
            before, after = more // 2, more - more // 2
            x = F.relu(layer(F.pad(x, (before, after, before, after))))
        return self.read_out(x.flatten(1))


def _learn_images(part: Part, load: Load, done: Done) -> dict[str, Any]:
    splits = load(part.settings["data"])
    train, test = ((_padded(s.x[:n]), torch.from_numpy(s.y[:n])) for s, n in _cut(splits))
    window, generator = part.settings["window"], torch.Generator().manual_seed(part.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(part.seed)
        model = OverlappingNet(window, WIDTHS[window])
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    losses: list[float] = []
    for _ in range(EPOCHS):
        losses = []
        for batch in torch.randperm(len(train[0]), generator=generator).split(BATCH):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(train[0][batch]), train[1][batch])
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        done(0.9 / EPOCHS)
    with torch.no_grad():
        scores = torch.cat([model(x) for x in test[0].split(512)])
    weights = sum(p.numel() for p in model.parameters())
    return {
        "kind": "images",
        "channels": WIDTHS[window],
        "weights": weights,
        "accuracy": 100 * float((scores.argmax(1) == test[1]).float().mean()),
        "training_loss": float(np.mean(losses)),
    }


def _cut(splits: Any) -> list[tuple[Any, int]]:
    return [(splits.train, IMAGES), (splits.test, TEST_IMAGES)]


def _padded(x: np.ndarray) -> Tensor:
    more = SIDE - x.shape[-1]
    return F.pad(torch.from_numpy(x), (more // 2, more - more // 2) * 2)


def _move_grid(part: Part, load: Load) -> list[dict[str, Any]]:
    """φ of the same signals at every offset of the windows, with kernels that each has learned."""
    record, m = part.settings["record"], part.settings["m"]
    splits = load(_data(record))
    length = splits.test.x.shape[2] - m
    offsets = [i * m // OFFSETS for i in range(OFFSETS)]
    moved = [torch.from_numpy(splits.test.x[:3, :, o : o + length].copy()) for o in offsets]
    rows = []
    for learned in POOLS:
        settings = Settings(
            activation=learned,
            kernel_sizes=(m,),
            epochs=KERNEL_EPOCHS,
            batch_size=2,
            seed=part.seed,
        )
        kernel = fit(settings, splits.train.x, splits.validation.x).model.kernels[0].detach()
        for activation in POOLS:
            model = SAN(1, [m], activation, [sparsity_of(activation, m, (length,))])
            model.kernels[0].data = kernel.clone()
            shared = {"kind": "offset", "learned": learned, "activation": activation}
            phi = _phi_over_offsets(model, moved)
            rows += [
                shared | {"offset": o, "phi": value} for o, value in zip(offsets, phi, strict=True)
            ]
    return rows


@torch.no_grad()
def _phi_over_offsets(model: SAN, moved: Sequence[Tensor]) -> list[float]:
    """Mean φ at each offset; one scale of the drawn signals, the best one over all offsets."""
    outputs = [model(x) for x in moved]
    drawn = torch.cat([output.x_hat for output in outputs])
    scale = float((torch.cat([*moved]) * drawn).sum() / (drawn * drawn).sum().clamp(min=1e-12))
    phi = []
    for x, output in zip(moved, outputs, strict=True):
        ratio = metrics.inverse_compression_ratio(output.activations, model.kernel_sizes)
        loss = metrics.normalized_loss(x, scale * output.x_hat)
        phi.append(float(np.mean(metrics.phi(ratio, loss))))
    return phi
