"""The settings of a training: what a user can choose, what is allowed, and the defaults."""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from san.networks.choices import BORDER_TOLERANCE, ActivationName, DecoderName, StartName

MOST_SIZES = 100_000


def parse_kernel_sizes(value: Any) -> tuple[int, ...]:
    """Read kernel sizes: numbers, ranges such as "1:250" (1 to 249) and "10:250:10", or several.

    Parameters
    ----------
    value : int, str or sequence
        A number, a text such as "7,10:250:10", or a sequence of numbers and of such texts without
        commas.

    Returns
    -------
    tuple of ints
        In their order, each once.

    Raises
    ------
    ValueError
        If a part is not a positive number or a range, or if there are none or too many sizes.

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
    """What is trained and how. The defaults are those of `san train` on PhysioNet.

    Parameters
    ----------
    activation : {"identity", "relu", "top_k_absolutes", "extrema_pool", "extrema"}
        What is kept of the similarity, see `san.activations`.
    kernel_sizes : ints, or str
        m, in samples: one model is trained for each size. A text may hold numbers and ranges:
        "7,10:250:10".
    kernels : int
        Kernels of a model, q, 1 ... 4096. All have the same size, unless `together` is True.
    epochs : int
        How often the training sees all training signals.
    batch_size : int
        Signals of a training step.
    learning_rate : float
        Step size of Adam.
    seed : int
        Of the first weights and of the order of the training signals. The same seed gives the
        same result.
    init : {"normal", "data"}
        The weights before training: random as in the paper, or segments of the training signals,
        see `SAN`.
    decoder : {"adjoint", "paper"}
        How kernels are drawn, see `san.reconstruction`.
    protocol : {"corrected", "published"}
        How a model is chosen. "corrected" takes the kernel size and the epoch with the lowest φ on
        the validation signals. "published" takes the last epoch and the kernel size with the
        lowest φ on the test signals, and counts m weights for a kernel of an image.
    border_tolerance : int
        The minimum distance of extrema is m minus this number of samples.
    device : str
        A device of torch, "cpu" or "cuda".
    passes : int
        How often extrema are selected, 1 ... 64, see `SAN`.
    refit : bool
        Whether amplitudes are fitted again after the selection, see `SAN`.
    compete : bool
        Whether an extremum also suppresses smaller extrema of the other kernels, see `SAN`.
    anneal : float
        Factor by which the minimum distance of extrema is multiplied at the start, above 0 and up
        to 100. The factor changes linearly to 1 until two thirds of the epochs are trained.
    grow : bool
        Whether kernels are added one at a time. A new kernel starts from what the others leave of
        the training signals.
    together : bool
        Whether one model is trained that has kernels of all these sizes, `kernels` of each.
        Otherwise one model is trained for each size. History and result call the model by its
        largest size.

    Raises
    ------
    pydantic.ValidationError
        If a value is not allowed, or a name is not one of these. See `first_problem`.

    Notes
    -----
    The paper has neither passes, refit, compete, anneal, grow nor together.

    Examples
    --------
    >>> settings = Settings(kernel_sizes="20:200:60", kernels=2)
    >>> settings.kernel_sizes, settings.activation
    ((20, 80, 140), 'extrema')
    """

    activation: ActivationName = "extrema"
    kernel_sizes: Annotated[tuple[int, ...], pydantic.BeforeValidator(parse_kernel_sizes)] = (180,)
    kernels: Annotated[int, Field(ge=1, le=4096)] = 1
    epochs: Annotated[int, Field(ge=1)] = 30
    batch_size: Annotated[int, Field(ge=1)] = 2
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    init: StartName = "data"
    decoder: DecoderName = "adjoint"
    protocol: Literal["corrected", "published"] = "corrected"
    border_tolerance: Annotated[int, Field(ge=0)] = BORDER_TOLERANCE
    device: str = "cpu"
    passes: Annotated[int, Field(ge=1, le=64)] = 1
    refit: bool = False
    compete: bool = False
    anneal: Annotated[float, Field(gt=0, le=100)] = 1.0
    grow: bool = False
    together: bool = False

    @property
    def models(self) -> dict[int, tuple[int, ...]]:
        """The kernel sizes of each model that is trained, by the size that the model is called by.

        Examples
        --------
        >>> Settings(kernel_sizes="40,150", kernels=2).models
        {40: (40, 40), 150: (150, 150)}
        >>> Settings(kernel_sizes="40,150", kernels=2, together=True).models
        {150: (40, 150, 40, 150)}
        """
        if self.together:
            return {max(self.kernel_sizes): self.kernel_sizes * self.kernels}
        return {m: (m,) * self.kernels for m in self.kernel_sizes}

    @property
    def counted_weights(self) -> str:
        """Which weights of a kernel CR⁻¹ counts: "all" or, by the published protocol, "published".

        See `san.inverse_compression_ratio`.
        """
        return "published" if self.protocol == "published" else "all"


def first_problem(error: pydantic.ValidationError) -> str:
    """Say in one line what is wrong with settings: name, reason and value of the first problem.

    Examples
    --------
    >>> try:
    ...     Settings(epochs=0)
    ... except pydantic.ValidationError as error:
    ...     first_problem(error)
    'epochs: Input should be greater than or equal to 1, got 0'
    """
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r}"
