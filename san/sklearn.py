"""A SAN as a step of a scikit-learn pipeline: windows go in, activations or features come out.

Needs scikit-learn, which the extra `sklearn` installs. How a SAN learns is decided in
`san.training.train`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

try:
    import pydantic
    import torch
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data
except ImportError:
    raise ImportError(
        "san.sklearn needs scikit-learn and torch: pip install "
        "'sparsely-activated-networks[sklearn]'"
    ) from None

from san.networks.choices import ActivationName, DecoderName, StartName, sparsity_of
from san.networks.san import SAN
from san.training.settings import Settings, first_problem
from san.training.train import Training

OUTPUTS = ("activations", "events")
FEATURES = ("count", "sum", "mean", "max")  # of the |amplitude| of a kernel's events
RESIDUAL = "residual"

_FLOATS = (np.float64, np.float32)
_ROWS = 256  # that are transformed together


class SANTransformer(TransformerMixin, BaseEstimator):
    """Learn kernels from windows of a signal and describe windows by their sparse activations.

    Parameters
    ----------
    activation : {"identity", "relu", "top_k_absolutes", "extrema_pool", "extrema"}
        See `san.activations`.
    kernel_size : int or sequence of ints
        m, in samples. Of several sizes the one with the lowest validation φ is kept. A size larger
        than the window becomes the window's size.
    kernels : int
        Number of kernels, q. All have one size.
    border_tolerance : int
        The minimum distance of extrema is m minus this number of samples, see `san.sparsity_of`.
    epochs, batch_size, learning_rate, init, decoder, passes, refit, compete, device
        As in `san.Settings`.
    channels : int
        Channels of the signal. A row holds the samples of its first channel, then those of the
        next.
    validation_fraction : float
        Share of the windows that is not trained with, but chooses epoch and kernel size: at least
        0 and below 1. The windows are drawn at random, and their number is rounded down. If it is
        0, the training windows choose.
    output : {"activations", "events"}
        What `transform` returns. "activations": the activation maps, kernels * length numbers, of
        which most are 0. "events": 4 * kernels + 1 features. These are, for each kernel, the
        number of its events, and the sum, the mean and the maximum of their |amplitude| (0 without
        events). The last feature is the mean absolute error of the reconstruction.
    random_state : int, RandomState or None
        Decides which windows are held back, the first weights and the order of the windows. The
        same int gives the same result.

    Attributes
    ----------
    kernels_ : ndarray, shape (kernels, channels, m), float32
        The kernels that were learned.
    kernel_size_, epoch_ : int
        The kernel size and the epoch that were chosen.
    phi_ : float
        Mean validation φ at that epoch.
    sparsity_ : int or None
        The activation's parameter.
    history_ : list of san.training.scores.Row
        One row for each epoch and kernel size.
    n_features_in_ : int
        Samples of a window, all channels together.

    Raises
    ------
    ValueError
        If a parameter does not fit, if windows hold NaN or infinity, or if all windows are zero
        with init="data".

    Notes
    -----
    Windows are not scaled: scale them first if that is needed. The computation is in float32. The
    output is float32 for windows in float32, and float64 otherwise.

    References
    ----------
    Bizopoulos & Koutsouris, IEEE TNNLS 2020.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((20, 100))
    >>> san = SANTransformer(kernel_size=9, epochs=2, random_state=0)
    >>> activations = san.fit_transform(x)
    >>> activations.shape, san.kernels_.shape
    ((20, 200), (2, 1, 9))
    >>> san.inverse_transform(activations).shape
    (20, 100)
    >>> san.set_params(output="events").transform(x).shape
    (20, 9)
    """

    def __init__(
        self,
        activation: ActivationName = "extrema",
        kernel_size: int | Sequence[int] = 15,
        kernels: int = 2,
        *,
        border_tolerance: int = 2,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float = 0.01,
        init: StartName = "data",
        decoder: DecoderName = "adjoint",
        passes: int = 1,
        refit: bool = False,
        compete: bool = False,
        channels: int = 1,
        validation_fraction: float = 0.2,
        output: str = "activations",
        random_state: Any = None,
        device: str = "cpu",
    ) -> None:
        self.activation = activation
        self.kernel_size = kernel_size
        self.kernels = kernels
        self.border_tolerance = border_tolerance
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.init = init
        self.decoder = decoder
        self.passes = passes
        self.refit = refit
        self.compete = compete
        self.channels = channels
        self.validation_fraction = validation_fraction
        self.output = output
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any = None) -> "SANTransformer":
        """Learn the kernels from windows X of shape (N, samples). y is not used."""
        X = validate_data(self, X, dtype=_FLOATS)
        self._check_output()
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(
                "validation_fraction must be at least 0 and below 1, "
                f"got {self.validation_fraction}"
            )
        windows = self._windows(X)
        chance = check_random_state(self.random_state)
        settings = self._settings(windows.shape[2], int(chance.randint(2**31 - 1)))
        held_back = int(self.validation_fraction * len(windows))
        order = chance.permutation(len(windows))
        train = windows[np.sort(order[held_back:])]
        validation = windows[np.sort(order[:held_back])] if held_back else train
        training = Training(settings, train, validation)
        training.run()
        result = training.choose(validation)
        self.kernels_ = np.stack([w.detach().cpu().numpy() for w in result.model.kernels])
        self.kernel_size_, self.epoch_ = result.kernel_size, result.epoch
        self.phi_ = result.validation_phi[result.kernel_size]
        self.sparsity_ = sparsity_of(
            settings.activation, result.kernel_size, windows.shape[2:], settings.border_tolerance
        )
        self.history_ = training.history
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe windows X of shape (N, samples): (N, features), see `output`."""
        check_is_fitted(self)
        self._check_output()
        X = validate_data(self, X, dtype=_FLOATS, reset=False)
        describe = _features if self.output == "events" else _flat
        model = self._model()
        with torch.no_grad():
            parts = [
                describe(part, *model(part)[:2]).cpu().numpy()
                for part in self._batches(self._windows(X))
            ]
        return np.concatenate(parts).astype(X.dtype, copy=False)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Draw windows, (N, samples), from activation maps, (N, kernels * length).

        Raises ValueError if `output` is "events": these features do not say where events are.
        """
        check_is_fitted(self)
        self._check_output()
        if self.output == "events":
            raise ValueError('windows cannot be drawn from output="events", only from activations')
        X = check_array(X, dtype=_FLOATS, input_name="X")
        length = self.n_features_in_ // self.channels
        number = len(self.kernels_)
        if X.shape[1] != number * length:
            raise ValueError(
                f"activations must have {number * length} columns, {number} kernels with {length} "
                f"samples each, got {X.shape[1]}"
            )
        maps = np.array(X, np.float32).reshape(len(X), number, length)
        model = self._model()
        with torch.no_grad():
            parts = [model.reconstruct(part).flatten(1).cpu() for part in self._batches(maps)]
        return torch.cat(parts).numpy().astype(X.dtype, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns that `transform` returns. `input_features` are not used."""
        check_is_fitted(self)
        self._check_output()
        kernels = range(len(self.kernels_))
        if self.output == "events":
            names = [f"kernel{k}_{feature}" for k in kernels for feature in FEATURES]
            return np.array([*names, RESIDUAL], dtype=object)
        samples = range(self.n_features_in_ // self.channels)
        return np.array([f"kernel{k}_sample{t}" for k in kernels for t in samples], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_output(self) -> None:
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, got {self.output!r}")

    def _windows(self, X: np.ndarray) -> np.ndarray:
        """A copy of rows as signals, (N, channels, length), float32."""
        if self.channels < 1 or X.shape[1] % self.channels:
            raise ValueError(
                f"channels must divide the {X.shape[1]} columns of X, got {self.channels}"
            )
        return np.array(X, np.float32).reshape(len(X), self.channels, -1)

    def _settings(self, length: int, seed: int) -> Settings:
        names = {field for field in Settings.__dataclass_fields__ if hasattr(self, field)}
        given = {name: _plain(getattr(self, name)) for name in names}
        sizes = np.atleast_1d(np.asarray(self.kernel_size)).tolist()
        try:
            given["kernel_sizes"] = tuple(min(m, length) for m in sizes)
            return Settings(seed=seed, **given)
        except TypeError as error:
            raise ValueError(f"kernel_size must be a number, got {self.kernel_size!r}") from error
        except pydantic.ValidationError as error:
            raise ValueError(first_problem(error)) from error

    def _model(self) -> SAN:
        model = SAN(
            1,
            [self.kernel_size_] * len(self.kernels_),
            self.activation,
            [self.sparsity_] * len(self.kernels_),
            channels=self.channels,
            decoder=self.decoder,
            passes=self.passes,
            refit=self.refit,
            compete=self.compete,
        )
        for w, learned in zip(model.kernels, self.kernels_, strict=True):
            w.data = torch.tensor(learned)
        return model.to(self.device)

    def _batches(self, x: np.ndarray) -> Iterator[torch.Tensor]:
        return (part.to(self.device) for part in torch.from_numpy(x).split(_ROWS))


def _plain(value: Any) -> Any:
    """A number of NumPy, as searches over parameters pass, as a number of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _flat(x: torch.Tensor, x_hat: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    return activations.flatten(1)


def _features(x: torch.Tensor, x_hat: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    """The features of `FEATURES` for each kernel, and the residual: (N, 4 q + 1)."""
    amplitude = activations.abs()
    count = (activations != 0).sum(2)
    total = amplitude.sum(2)
    columns = [count, total, total / count.clamp(min=1), amplitude.amax(2)]
    residual = (x - x_hat).abs().flatten(1).mean(1, keepdim=True)
    return torch.cat([torch.stack(columns, dim=2).flatten(1), residual], dim=1)
