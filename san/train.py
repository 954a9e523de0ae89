"""How a SAN learns: Adam on the mean absolute error, kernel size and epoch chosen by φ.

A sweep trains one model per kernel size, all of them epoch by epoch in the same order of
signals, so that its state after any epoch is one small set of arrays. Arrays in, models out: no
data set has a name here and nothing is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pydantic
import torch
from pydantic import Field
from torch import Tensor

from san import metrics
from san.model import SAN, sparsity_of

MOST_SIZES = 100_000
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def parse_kernel_sizes(value: Any) -> tuple[int, ...]:
    """Read kernel sizes: a list, "1:250" (1 to 249), "10:250:10", "7", "7,10,74" or a mixture.

    Raises
    ------
    ValueError
        If a part is not a positive number or range, or there are none or too many.

    Examples
    --------
    >>> parse_kernel_sizes("3,10:50:20")
    (3, 10, 30)
    """
    parts = str(value).split(",") if isinstance(value, str | int) else list(value)
    sizes: list[int] = []
    for part in parts:
        try:
            bounds = [int(number) for number in str(part).split(":")]
        except ValueError:
            bounds = []
        if not 1 <= len(bounds) <= 3 or min(bounds) < 1:
            raise ValueError(
                f"a kernel size must be a number or a range such as 1:250, got {part!r}"
            )
        span = range(*bounds) if len(bounds) > 1 else range(bounds[0], bounds[0] + 1)
        if len(sizes) + len(span) > MOST_SIZES:
            raise ValueError(f"at most {MOST_SIZES} kernel sizes can be trained, got {value!r}")
        sizes.extend(span)
    if not sizes:
        raise ValueError(f"there must be at least one kernel size, got {value!r}")
    return tuple(dict.fromkeys(sizes))


@pydantic.dataclasses.dataclass(frozen=True, config=pydantic.ConfigDict(extra="forbid"))
class Settings:
    """What is trained and how. The defaults are those of `san train` on PhysioNet."""

    activation: Literal["identity", "relu", "top_k_absolutes", "extrema_pool", "extrema"] = (
        "extrema"
    )
    kernel_sizes: Annotated[tuple[int, ...], pydantic.BeforeValidator(parse_kernel_sizes)] = (180,)
    kernels: Annotated[int, Field(ge=1, le=4096)] = 1  # q, all of the same size
    epochs: Annotated[int, Field(ge=1)] = 30
    batch_size: Annotated[int, Field(ge=1)] = 2
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    init: Literal["normal", "data"] = "data"
    decoder: Literal["adjoint", "paper"] = "adjoint"
    # "corrected": kernel size and epoch with the lowest validation φ, all weights counted.
    # "published": the last epoch, the size with the lowest test φ, m weights per 2-D kernel.
    protocol: Literal["corrected", "published"] = "corrected"
    border_tolerance: Annotated[int, Field(ge=0)] = 3  # samples, of extrema
    device: str = "cpu"

    @property
    def counted_weights(self) -> str:
        """What CR⁻¹ counts of a kernel; see `san.metrics.inverse_compression_ratio`."""
        return "published" if self.protocol == "published" else "all"


class Scores(NamedTuple):
    """CR⁻¹, loss and φ of each signal of a split, float64 arrays of shape (N,)."""

    inverse_compression_ratio: np.ndarray
    normalized_loss: np.ndarray
    phi: np.ndarray


class Row(NamedTuple):
    """A line of the history: one model after one epoch; means over the signals of a split."""

    epoch: int  # from 1
    kernel_size: int
    training_loss: float  # mean absolute error while training
    inverse_compression_ratio: float
    normalized_loss: float
    phi: float


@dataclass(frozen=True)
class Result:
    """What a sweep ends with."""

    model: SAN  # the chosen one
    kernel_size: int
    epoch: int
    scores: Scores  # of the chosen model on the test split
    validation_phi: dict[int, float]  # of each kernel size, at its own epoch
    test_phi: dict[int, float]  # likewise; under the corrected protocol of the chosen size alone


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
    return Scores(ratio, loss, metrics.phi(ratio, loss))


class Training:
    """A sweep over kernel sizes: run its epochs, take or restore its state, choose a model.

    Parameters
    ----------
    settings : Settings
        What is trained and how.
    train, validation : ndarray, shape (N, C, *size), float32
        Signals.

    Raises
    ------
    ValueError
        If a kernel does not fit the signals, a signal is not finite, or the device is not there.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((4, 1, 100)).astype(np.float32)
    >>> training = Training(Settings(kernel_sizes=(5, 9), epochs=2), x, x)
    >>> while training.epoch < 2:
    ...     rows = training.run_epoch()
    >>> training.choose(x).kernel_size in (5, 9)
    True
    """

    def __init__(self, settings: Settings, train: np.ndarray, validation: np.ndarray) -> None:
        self.settings = settings
        self.device = _device(settings.device)
        self.train = self._signals("train", train)
        self.validation = self._signals("validation", validation)
        self.epoch = 0
        self.history: list[Row] = []
        size = self.train.shape[2:]
        self.models = [
            SAN(
                len(size),
                [m] * settings.kernels,
                settings.activation,
                [sparsity_of(settings.activation, m, size, settings.border_tolerance)]
                * settings.kernels,
                channels=self.train.shape[1],
                decoder=settings.decoder,
                init=settings.init,
                data=self.train,
                seed=settings.seed,
            ).to(self.device)
            for m in settings.kernel_sizes
        ]
        self._weights = [w for model in self.models for w in model.kernels]
        self._optimizer = torch.optim.Adam(self._weights, lr=settings.learning_rate)
        self._best = [w.detach().clone() for w in self._weights]

    @property
    def steps_per_epoch(self) -> int:
        """Batches times kernel sizes."""
        return -(-len(self.train) // self.settings.batch_size) * len(self.models)

    def run_epoch(self, on_step: Callable[[float], None] | None = None) -> list[Row]:
        """Train every model for one epoch and score it on the validation split.

        `on_step` is called with the loss of each batch of each model. Returns the new rows of the
        history. Raises ValueError where a loss is no longer finite.
        """
        losses = np.zeros(len(self.models))
        batches = self._order().split(self.settings.batch_size)
        for batch in batches:
            x = self.train[batch]
            self._optimizer.zero_grad()
            for i, model in enumerate(self.models):
                loss = self._backward(model, x)
                losses[i] += loss / len(batches)
                if on_step is not None:
                    on_step(loss)
            self._optimizer.step()
        self.epoch += 1
        rows = [self._score(i, loss) for i, loss in enumerate(losses)]
        self.history.extend(rows)
        return rows

    def choose(self, test: np.ndarray) -> Result:
        """Choose kernel size and epoch as the protocol says, and score them on the test split."""
        x = self._signals("test", test)
        published = self.settings.protocol == "published"
        chosen = {row.kernel_size: row for row in self.history if row.epoch == self.epoch}
        if not published:
            chosen = {m: self.best_row(m) for m in self.settings.kernel_sizes}
        validation = {m: row.phi for m, row in chosen.items()}
        if published:
            scores = {m: self._test(i, x, self._weights) for i, m in enumerate(chosen)}
            test_phi = {m: float(s.phi.mean()) for m, s in scores.items()}
            m = min(test_phi, key=lambda m: test_phi[m])
        else:
            m = min(validation, key=lambda m: validation[m])
            scores = {m: self._test(self.settings.kernel_sizes.index(m), x, self._best)}
            test_phi = {m: float(scores[m].phi.mean())}
        model = self.models[self.settings.kernel_sizes.index(m)]
        return Result(model, m, chosen[m].epoch, scores[m], validation, test_phi)

    def best_row(self, kernel_size: int) -> Row:
        """The row of a kernel size with the lowest validation φ; the first of equals."""
        rows = [row for row in self.history if row.kernel_size == kernel_size]
        return min(rows, key=lambda row: row.phi)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Copy everything that the next epoch depends on: arrays and a description for JSON."""
        arrays = {}
        for i, (w, best) in enumerate(zip(self._weights, self._best, strict=True)):
            arrays[f"weight_{i}"] = w.detach().cpu().numpy().copy()
            arrays[f"best_{i}"] = best.cpu().numpy().copy()
            for moment in _MOMENTS:
                value = self._optimizer.state[w].get(moment)
                if value is not None:
                    arrays[f"{moment}_{i}"] = value.cpu().numpy().copy()
        return arrays, {"epoch": self.epoch, "history": [list(row) for row in self.history]}

    def restore(self, arrays: dict[str, np.ndarray], description: dict[str, Any]) -> None:
        """Continue from what `state` returned. Raises ValueError where it is not this sweep's."""
        try:
            for i, w in enumerate(self._weights):
                w.data.copy_(self._tensor(arrays[f"weight_{i}"]))
                self._best[i] = self._tensor(arrays[f"best_{i}"]).clone()
                self._optimizer.state[w] = {
                    moment: torch.from_numpy(arrays[f"{moment}_{i}"]).to(
                        "cpu" if moment == "step" else self.device
                    )
                    for moment in _MOMENTS
                }
            self.epoch = int(description["epoch"])
            self.history = [Row(*row) for row in description["history"]]
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"the state does not belong to these settings: {error}") from error

    def _order(self) -> Tensor:
        """The order of the training signals in this epoch; it depends on seed and epoch alone."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.epoch)
        return torch.randperm(len(self.train), generator=generator)

    def _backward(self, model: SAN, x: Tensor) -> float:
        loss = (model(x).x_hat - x).abs().mean()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise ValueError(
                f"training diverged in epoch {self.epoch + 1} (loss {value}): "
                f"try a learning rate below {self.settings.learning_rate}"
            )
        loss.backward()
        return value

    def _score(self, i: int, loss: float) -> Row:
        """Score model i on the validation split and copy its weights where they are its best."""
        m = self.settings.kernel_sizes[i]
        scores = evaluate(self.models[i], self.validation, self.settings.counted_weights)
        row = Row(self.epoch, m, float(loss), *(float(values.mean()) for values in scores))
        former = [r.phi for r in self.history if r.kernel_size == m]
        if not former or row.phi < min(former):
            q = self.settings.kernels
            for j in range(i * q, i * q + q):
                self._best[j] = self._weights[j].detach().clone()
        return row

    def _test(self, i: int, x: Tensor, weights: Sequence[Tensor]) -> Scores:
        """Score model i on x with its share of the given weights, which it then keeps."""
        q = self.settings.kernels
        for w, value in zip(self.models[i].kernels, weights[i * q : i * q + q], strict=True):
            w.data.copy_(value)
        return evaluate(self.models[i], x, self.settings.counted_weights)

    def _signals(self, split: str, x: np.ndarray) -> Tensor:
        if not np.isfinite(x).all():
            raise ValueError(f"the {split} signals must not hold NaN or infinity")
        return self._tensor(np.asarray(x, np.float32))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not there: {str(error).splitlines()[0]}") from error
    return device
