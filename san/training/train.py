"""How a SAN learns: Adam on the mean absolute error, kernel size and epoch chosen by φ.

A sweep trains one model for each kernel size. All models learn together in one bank and see the
signals in the same order, so the state after an epoch is one small set of arrays. This module takes
arrays and returns models. It knows no data set and writes no file.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from san import metrics
from san.networks.choices import sparsity_of
from san.networks.san import SAN
from san.training import distributed
from san.training.scores import Progress, Result, Row, Scores, evaluate
from san.training.settings import Settings

_MOMENTS = ("mean", "square")  # of Adam


def fit(
    settings: Settings,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Result:
    """Train as settings say, and choose a model.

    Parameters
    ----------
    settings : Settings
        What is trained and how.
    train, validation : ndarray, shape (N, C, *size), float32
        Signals to learn from, and signals that choose kernel size and epoch.
    test : ndarray, shape (N, C, *size), float32, optional
        Signals that the chosen model is scored on. Default: the validation signals.
    progress : callable, optional
        Called after each epoch, see `Training.run`.

    Returns
    -------
    Result
        The chosen model, its kernel size, its epoch and its scores.

    Raises
    ------
    ValueError
        If a kernel does not fit the signals, a signal is not finite, the device is not there, or
        a loss is no longer finite.

    See Also
    --------
    Training : the same in steps, with a state that can be saved and restored.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((4, 1, 100)).astype(np.float32)
    >>> result = fit(Settings(kernel_sizes=(5, 9), epochs=2), x, x)
    >>> result.kernel_size in (5, 9), result.scores.phi.shape
    (True, (4,))
    """
    training = Training(settings, train, validation)
    training.run(progress)
    return training.choose(validation if test is None else test)


class Training:
    """A sweep over kernel sizes: run its epochs, take or restore its state, choose a model.

    All models of the sweep learn in one bank, see `san.networks.bank`. Each model learns exactly
    what it would learn alone.

    Parameters
    ----------
    settings : Settings
        What is trained and how.
    train, validation : ndarray, shape (N, C, *size), float32
        Signals to learn from, and signals that choose kernel size and epoch.

    Raises
    ------
    ValueError
        If a kernel does not fit the signals, a signal is not finite, or the device is not there.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((4, 1, 100)).astype(np.float32)
    >>> training = Training(Settings(kernel_sizes=(5, 9), epochs=2), x, x)
    >>> training.run()
    >>> training.choose(x).kernel_size in (5, 9)
    True
    """

    def __init__(self, settings: Settings, train: np.ndarray, validation: np.ndarray) -> None:
        if not isinstance(settings, Settings):
            raise TypeError(f"settings must be san.Settings, got {type(settings).__name__}")
        if settings.anneal != 1 and settings.activation != "extrema":
            raise ValueError(f"anneal needs extrema, got {settings.activation}")
        self.settings = settings
        self.device = _device(settings.device)
        self.train = self._signals("train", train)
        self.validation = self._signals("validation", validation)
        self.epoch = 0
        self.history: list[Row] = []
        self._steps = 0
        self._sizes = settings.models
        self._most = len(next(iter(self._sizes.values())))  # kernels of a model in the end
        self._kernels = 1 if settings.grow else self._most
        self._stage = 0  # the epoch after which the last kernel was added
        self._begin([self._new_model(m, self.train) for m in self._sizes])

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.train) // self.settings.batch_size)

    def run(
        self, progress: Progress | None = None, on_step: Callable[[float], None] | None = None
    ) -> None:
        """Train all epochs that are left: all of a new training, the others of a restored one.

        Parameters
        ----------
        progress : callable, optional
            Called after each epoch with the new rows of the history, a list of `Row`, one for
            each kernel size. It may print them, save `state`, or end the training early: no
            further epoch is trained after it returns False (None and other values do not count).
        on_step : callable, optional
            Called after each batch with the mean loss of the models.

        Raises
        ------
        ValueError
            If a loss is no longer finite.

        Examples
        --------
        >>> x = np.random.default_rng(0).standard_normal((4, 1, 100)).astype(np.float32)
        >>> training = Training(Settings(kernel_sizes=(5,), epochs=9), x, x)
        >>> training.run(lambda rows: rows[0].epoch < 3)
        >>> training.epoch
        3
        """
        while self.epoch < self.settings.epochs:
            rows = self.run_epoch(on_step)
            answer = None if progress is None else progress(rows)
            if isinstance(answer, bool | np.bool_) and not answer:
                return

    def run_epoch(self, on_step: Callable[[float], None] | None = None) -> list[Row]:
        """Train every model for one epoch and score it on the validation split.

        Parameters
        ----------
        on_step : callable, optional
            Called after each batch with the mean loss of the models.

        Returns
        -------
        list of Row
            The new rows of the history, one for each kernel size.

        Raises
        ------
        ValueError
            If a loss is no longer finite.
        """
        if self._kernels < self._kernels_after(self.epoch):
            self._grow()
        losses = np.zeros(len(self.models))
        self._bank.set_sparsity(self._sparsity(self._annealing()))
        batches = self._order().to(self.device).split(self.settings.batch_size)
        for batch in batches:
            of_batch = self._step(self.train[batch])
            losses += of_batch / len(batches)
            if on_step is not None:
                on_step(float(of_batch.mean()))
        self._bank.set_sparsity(self._sparsity(1.0))
        self.epoch += 1
        means = [values.mean(1).tolist() for values in self._score(self.validation)]
        rows = [
            Row(self.epoch, *row) for row in zip(self._sizes, losses.tolist(), *means, strict=True)
        ]
        self._keep_best(np.array([row.phi for row in rows]))
        self.history.extend(rows)
        return rows

    def choose(self, test: np.ndarray) -> Result:
        """Choose kernel size and epoch as the protocol says, and score the model on test signals.

        Parameters
        ----------
        test : ndarray, shape (N, C, *size), float32
            Signals.

        Returns
        -------
        Result

        Raises
        ------
        ValueError
            If a signal is not finite.
        """
        sizes = list(self._sizes)
        rows = self.rows()
        if self.settings.protocol == "published":
            scores = self.scores(test)
            test_phi = {m: float(scores[m].phi.mean()) for m in sizes}
            m = min(test_phi, key=lambda m: test_phi[m])
        else:
            self._bank.store(self._best)
            m = min(rows, key=lambda m: rows[m].phi)
            model, x = self.models[sizes.index(m)], self._signals("test", test)
            scores = {m: evaluate(model, x, self.settings.counted_weights)}
            test_phi = {m: float(scores[m].phi.mean())}
        validation = {m: row.phi for m, row in rows.items()}
        model = self.models[sizes.index(m)]
        return Result(model, m, rows[m].epoch, scores[m], validation, test_phi)

    def scores(self, x: np.ndarray) -> dict[int, Scores]:
        """Score the model of every kernel size on signals, at the epoch that the protocol takes.

        Afterwards `models` have the weights of that epoch.
        """
        signals = self._signals("test", x)
        last = self._bank.weights
        weights = last if self.settings.protocol == "published" else self._best
        self._bank.store(weights)
        try:
            self._bank.weights = weights
            of_models = zip(*self._score(signals), strict=True)
        finally:
            self._bank.weights = last
        return {m: Scores(*values) for m, values in zip(self._sizes, of_models, strict=True)}

    def rows(self) -> dict[int, Row]:
        """Return the row of each kernel size at the epoch that the protocol takes."""
        if self.settings.protocol == "published":
            return {row.kernel_size: row for row in self.history if row.epoch == self.epoch}
        return {m: self.best_row(m) for m in self._sizes}

    def best_row(self, kernel_size: int) -> Row:
        """Return a kernel size's row with the lowest validation φ; of equal rows, the first."""
        rows = [
            row
            for row in self.history
            if row.kernel_size == kernel_size and row.epoch > self._stage
        ]
        return min(rows, key=lambda row: row.phi)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Copy everything that the next epoch depends on.

        Returns
        -------
        arrays : dict of ndarrays
        description : dict
            Numbers that JSON can hold.
        """
        arrays = {"weights": self._bank.weights, "best": self._best}
        arrays |= dict(zip(_MOMENTS, self._moments, strict=True))
        copies = {name: array.cpu().numpy().copy() for name, array in arrays.items()}
        copies["history"] = np.array(self.history, np.float64).reshape(-1, len(Row._fields))
        return copies, {"epoch": self.epoch, "steps": self._steps, "stage": self._stage}

    def restore(self, arrays: dict[str, np.ndarray], description: dict[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises
        ------
        ValueError
            If it is the state of another sweep.
        """
        try:
            while self._kernels < self._kernels_after(int(description["epoch"]) - 1):
                self._grow()
            tensors = [self._bank.weights, self._best, *self._moments]
            for name, tensor in zip(("weights", "best", *_MOMENTS), tensors, strict=True):
                tensor.copy_(self._tensor(arrays[name]))
            self.epoch, self._steps = int(description["epoch"]), int(description["steps"])
            self._stage = int(description["stage"])
            self.history = [Row(int(e), int(m), *row) for e, m, *row in arrays["history"].tolist()]
            if self.history:
                self._best_phi = np.array([self.best_row(m).phi for m in self._sizes])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"the state does not belong to these settings: {error}") from error

    def _begin(self, models: list[SAN]) -> None:
        """Put models into a bank, with new moments of Adam and without a best epoch."""
        self.models = models
        self._bank = distributed.new_bank(models, tuple(self.train.shape[2:]))
        self._moments = [torch.zeros_like(self._bank.weights) for _ in range(2)]
        self._counts = [sum(w.numel() for w in model.kernels) for model in models]
        self._best = self._bank.weights.detach().clone()
        self._best_phi = np.full(len(models), np.nan)

    def _new_model(self, m: int, data: Tensor, added: bool = False) -> SAN:
        """A model that starts from data, with the kernels of the sweep so far or the next alone."""
        settings = self.settings
        size = tuple(data.shape[2:])
        first, last = (self._kernels, self._kernels + 1) if added else (0, self._kernels)
        sizes = self._sizes[m][first:last]
        return SAN(
            len(size),
            sizes,
            settings.activation,
            [sparsity_of(settings.activation, n, size, settings.border_tolerance) for n in sizes],
            channels=data.shape[1],
            decoder=settings.decoder,
            init=settings.init,
            data=data,
            passes=settings.passes,
            refit=settings.refit,
            compete=settings.compete,
            seed=settings.seed + first,
        ).to(self.device)

    def _kernels_after(self, epoch: int) -> int:
        """How many kernels the models have in the epoch that follows this one."""
        kernels = self._most
        if not self.settings.grow:
            return kernels
        return min(kernels, 1 + max(epoch, 0) * kernels // self.settings.epochs)

    @torch.no_grad()
    def _grow(self) -> None:
        """Add a kernel to every model. It starts from the signals minus their reconstructions."""
        self._bank.store()
        grown = []
        for m, model in zip(self._sizes, self.models, strict=True):
            added = self._new_model(m, self.train - model(self.train).x_hat, added=True)
            self._kernels += 1
            larger = self._new_model(m, self.train)
            self._kernels -= 1
            for new, old in zip(larger.kernels, [*model.kernels, *added.kernels], strict=True):
                new.copy_(old)
            grown.append(larger)
        self._kernels += 1
        self._stage = self.epoch
        self._steps = 0
        self._begin(grown)

    def _annealing(self) -> float:
        """The factor of the minimum distance of extrema in the next epoch."""
        progress = min(1.0, 1.5 * self.epoch / self.settings.epochs)
        return self.settings.anneal + (1 - self.settings.anneal) * progress

    def _sparsity(self, times: float) -> list[tuple[int, ...]]:
        """The sparsity parameter of every kernel, a minimum distance multiplied by a factor."""
        rows = []
        size = tuple(self.train.shape[2:])
        for m in (m for sizes in self._sizes.values() for m in sizes[: self._kernels]):
            d = sparsity_of(self.settings.activation, m, size, self.settings.border_tolerance)
            row = (d,) if isinstance(d, int) else tuple(d or ())
            if self.settings.activation == "extrema":
                row = tuple(max(1, round(each * times)) for each in row)
            rows.append(row)
        return rows

    def _order(self) -> Tensor:
        """The order of the training signals in this epoch. It depends on seed and epoch only."""
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.epoch)
        return torch.randperm(len(self.train), generator=generator)

    def _step(self, x: Tensor) -> np.ndarray:
        """Move the weights of every model by one step; return their losses."""
        try:
            losses, gradient = self._bank.losses_and_gradient(x)
        except ValueError as error:
            raise ValueError(self._divergence(str(error))) from error
        if not np.isfinite(losses).all():
            worst = list(self._sizes)[int(np.argmin(np.isfinite(losses)))]
            raise ValueError(self._divergence(f"the loss of kernel size {worst} is not finite"))
        self._steps += 1
        mean, square = self._moments
        rate = self.settings.learning_rate
        _adam(self._bank.weights, gradient, mean, square, self._steps, rate)
        return losses

    def _divergence(self, what: str) -> str:
        return (
            f"training diverged in epoch {self.epoch + 1} ({what}): "
            f"try a learning rate below {self.settings.learning_rate}"
        )

    def _score(self, x: Tensor) -> Scores:
        """Score every model of the bank on signals: arrays of shape (K, N)."""
        parts = [self._bank.scores(batch) for batch in x.split(256)]
        events, errors = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        weights = [
            [metrics.count_weights(m.kernel_sizes, m.channels, self.settings.counted_weights)]
            for m in self.models
        ]
        ratio = metrics.description_ratio(events, np.array(weights), x[0].numel(), x.dim() - 2)
        zero_errors = x.double().abs().flatten(1).sum(1).cpu().numpy()
        loss = metrics.loss_ratio(errors, np.broadcast_to(zero_errors, errors.shape))
        return Scores(ratio, loss, np.asarray(metrics.phi(ratio, loss)))

    def _keep_best(self, phi: np.ndarray) -> None:
        """Copy the weights of the models whose φ is lower than in every epoch before."""
        lower = ~(phi >= self._best_phi)  # also where φ is not finite, in the first epoch
        self._best_phi = np.where(lower, phi, self._best_phi)
        of_weights = torch.from_numpy(np.repeat(lower, self._counts)).to(self.device)
        self._best = torch.where(of_weights, self._bank.weights.detach(), self._best)

    def _signals(self, split: str, x: np.ndarray) -> Tensor:
        """The signals of a split, checked; those of all splits have the same channels and size."""
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"the {split} signals must be an array of real numbers, got {type(x).__name__}"
                f"{': give its x' if hasattr(x, 'x') else ''}"
            )
        if array.ndim not in (3, 4) or not len(array):
            raise ValueError(
                f"the {split} signals must have shape (N, channels, samples) or (N, channels, "
                f"height, width) with N at least 1, got {array.shape}"
            )
        if split != "train" and array.shape[1:] != self.train.shape[1:]:
            expected = ", ".join(map(str, self.train.shape[1:]))
            raise ValueError(
                f"the {split} signals must have shape (N, {expected}) as the train signals have, "
                f"got {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"the {split} signals must not hold NaN or infinity")
        return self._tensor(np.asarray(array, np.float32))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _adam(
    weights: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, step: int, rate: float
) -> None:
    """One step of Adam (Kingma & Ba, 2015; β 0.9 and 0.999, ε 1e-8), in place.

    The operations are torch.optim.Adam's, to the bit; making that object imports torch's compiler,
    which takes longer than a sweep.
    """
    mean.lerp_(gradient, 1 - 0.9)
    square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
    root = (square.sqrt() / math.sqrt(1 - 0.999**step)).add_(1e-8)
    weights.addcdiv_(mean, root, value=-rate / (1 - 0.9**step))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not there: {str(error).splitlines()[0]}") from error
    return device
