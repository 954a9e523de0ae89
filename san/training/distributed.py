"""How several processes share the signals of a batch: each its part, the gradient everyone's.

Every process has the whole bank, the same weights and the same order of signals. Of each batch it
takes a part, and torch's DistributedDataParallel sums the gradients, weighted by the number of
signals, so that a step is that of one process with the whole batch, up to rounding.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from san.networks.bank import Bank
from san.networks.san import SAN
from san.training import processes


def new_bank(models: Sequence[SAN], size: tuple[int, ...]) -> Bank:
    """A bank for this process alone, or one that shares its work with the processes it joined.

    Examples
    --------
    >>> new_bank([SAN(1, [5], "extrema", [2])], (100,)).weights.shape
    torch.Size([5])
    """
    return SharedBank(models, size) if processes.are_joined() else Bank(models, size)


def take_device(name: str) -> None:
    """Make the device of this process current where each has a GPU of its own.

    Raises
    ------
    ValueError
        If a GPU is named by number, or there are fewer than processes on this machine.
    """
    if not processes.are_several() or not name.startswith("cuda"):
        return
    here, there = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if name != "cuda" or there < here:
        raise ValueError(
            f"several processes need the device cuda and a GPU each, got {name!r} and "
            f"{there} GPUs for {here} processes"
        )
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


class SharedBank(Bank):
    """A `Bank` whose passes are shared: signals in are those of all processes, so are results."""

    def __init__(self, models: Sequence[SAN], size: tuple[int, ...]) -> None:
        super().__init__(models, size)
        with processes.talking():  # the weights become those of the first process
            self._replica = DistributedDataParallel(_Replica(self.weights))

    def losses_and_gradient(self, x: Tensor) -> tuple[np.ndarray, Tensor]:
        """See `Bank.losses_and_gradient`; where a similarity is not a number, losses are not."""
        part = self._part(x)
        losses = np.zeros(len(self.models))
        gradient = torch.zeros_like(self.weights)
        if len(part):
            try:
                losses, gradient = super().losses_and_gradient(part)
            except ValueError:  # every process shall find it, not this one alone
                losses = np.full(len(self.models), np.nan)
        share = len(part) / len(x)
        weights = self._replica.module.weights
        weights.grad = None
        with processes.talking():
            self._replica(gradient * share).backward()
        return self._sum(losses * share), weights.grad * dist.get_world_size()

    def scores(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """See `Bank.scores`."""
        events = np.zeros((len(self.models), len(x)), np.int64)
        errors = np.zeros((len(self.models), len(x)))
        part = self._part(x)
        if len(part):
            mine = self._bounds(len(x))
            events[:, mine], errors[:, mine] = super().scores(part)
        return self._sum(events), self._sum(errors)

    def _bounds(self, signals: int) -> slice:
        """Which of the signals are this process's."""
        rank, number = dist.get_rank(), dist.get_world_size()
        return slice(signals * rank // number, signals * (rank + 1) // number)

    def _part(self, x: Tensor) -> Tensor:
        return x[self._bounds(len(x))]

    def _sum(self, array: np.ndarray) -> np.ndarray:
        """The sum over the processes."""
        total = torch.from_numpy(array).clone()
        with processes.talking():
            dist.all_reduce(total)
        return total.numpy()


class _Replica(nn.Module):
    """The weights of a bank as DistributedDataParallel takes them: a parameter in a module."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)  # the same memory

    def forward(self, gradient: Tensor) -> Tensor:
        return _Known.apply(self.weights, gradient)


class _Known(torch.autograd.Function):
    """A number whose gradient is known: the bank has computed it."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return gradient.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        return ctx.saved_tensors[0] * slopes[0], None
