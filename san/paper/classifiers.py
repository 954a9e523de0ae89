"""How much of the class survives in a reconstruction: the classifiers of the paper's experiments.

A linear layer for images and a small convolutional network for EEG, trained on reconstructions
(or on the signals themselves, the baseline). Arrays in, accuracies out.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Labelled(NamedTuple):
    """Signals and their classes: x (N, C, *size), float32, and y (N,), int64."""

    x: Tensor
    y: Tensor


class ClassAccuracy(NamedTuple):
    """Shares of signals that were given their class."""

    test: float
    pooled: float  # validation and test together after the last epoch: the published baseline (B4)


def train_classifier(
    train: Labelled,
    validation: Labelled,
    test: Labelled,
    *,
    epochs: int = 5,
    batch_size: int = 64,
    learning_rate: float = 0.01,
    seed: int = 0,
    choose: bool = True,
) -> ClassAccuracy:
    """Train the paper's classifier and return its accuracy.

    Parameters
    ----------
    train, validation, test : Labelled
        Of images (N, 1, 28, 28) for the linear layer, of signals (N, 1, 178) for the network.
    epochs, batch_size, learning_rate, seed
        Of Adam on the cross-entropy.
    choose : bool
        Take the epoch with the highest validation accuracy, the first of equals; else the last, as
        published.

    Returns
    -------
    ClassAccuracy

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020, sections III-B and III-C.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> y = torch.randint(0, 2, (200,), generator=generator)
    >>> x = torch.randn(200, 1, 28, 28, generator=generator) + 2 * y[:, None, None, None]
    >>> train_classifier(Labelled(x, y), Labelled(x, y), Labelled(x, y)).test > 0.9
    True
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _model(tuple(train.x.shape[1:]), int(train.y.max()) + 1)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    best = -1.0
    for _ in range(epochs):
        for batch in torch.randperm(len(train.x), generator=generator).split(batch_size):
            optimiser.zero_grad()
            F.cross_entropy(model(train.x[batch]), train.y[batch]).backward()
            optimiser.step()
        right = _right(model, validation)
        if not choose or right.mean() > best:
            best, of_test = float(right.mean()), _right(model, test)
    pooled = np.concatenate([right, _right(model, test)])
    return ClassAccuracy(float(of_test.mean()), float(pooled.mean()))


@torch.no_grad()
def _right(model: nn.Module, split: Labelled) -> np.ndarray:
    scores = torch.cat([model(batch) for batch in split.x.split(1024)])
    return (scores.argmax(1) == split.y).numpy()


def _model(shape: tuple[int, ...], classes: int) -> nn.Module:
    if len(shape) == 3:
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), max(classes, 10)))
    features = 16 * (((shape[1] - 4) // 2 - 4) // 2)
    return nn.Sequential(
        nn.Conv1d(shape[0], 3, 5),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(3, 16, 5),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Linear(features, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, max(classes, 3)),
    )
