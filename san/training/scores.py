"""What a training gives: scores of signals, a row of the history per epoch, and a result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from san import metrics
from san.networks.san import SAN


class Scores(NamedTuple):
    """CR⁻¹, loss and φ of each signal of a split, float64 arrays of shape (N,)."""

    inverse_compression_ratio: np.ndarray
    normalized_loss: np.ndarray
    phi: np.ndarray


class Row(NamedTuple):
    """A line of the history: one model after one epoch; means over the signals of a split."""

    epoch: int  #: from 1
    kernel_size: int
    training_loss: float  #: mean absolute error while training
    inverse_compression_ratio: float
    normalized_loss: float
    phi: float


#: What is called after each epoch with the new rows of the history; False ends the training.
Progress = Callable[[list[Row]], object]


@dataclass(frozen=True)
class Result:
    """What a sweep ends with."""

    model: SAN  #: the chosen one
    kernel_size: int
    epoch: int
    scores: Scores  #: of the chosen model on the test split
    validation_phi: dict[int, float]  #: of each kernel size, at its own epoch
    test_phi: dict[int, float]  #: likewise; under the corrected protocol of the chosen size alone


@torch.no_grad()
def evaluate(model: SAN, x: Tensor, counted_weights: str = "all", batch_size: int = 256) -> Scores:
    """Score a model on signals x of shape (N, C, *size).

    Examples
    --------
    >>> model = SAN(1, [5], "extrema", [2])
    >>> evaluate(model, torch.randn(3, 1, 100)).phi.shape
    (3,)
    """
    ratios, losses = [], []
    for batch in x.split(batch_size):
        output = model(batch)
        ratios.append(
            metrics.inverse_compression_ratio(
                output.activations.cpu(), model.kernel_sizes, model.channels, counted_weights
            )
        )
        losses.append(metrics.normalized_loss(batch.cpu(), output.x_hat.cpu()))
    ratio, loss = np.concatenate(ratios), np.concatenate(losses)
    return Scores(ratio, loss, np.asarray(metrics.phi(ratio, loss)))
