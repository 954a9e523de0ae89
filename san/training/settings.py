"""What can be chosen of a training, what is allowed, and what it is unless chosen."""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

MOST_SIZES = 100_000


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
    kernels: Annotated[int, Field(ge=1, le=4096)] = 1  #: q, all of the same size
    epochs: Annotated[int, Field(ge=1)] = 30
    batch_size: Annotated[int, Field(ge=1)] = 2
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    init: Literal["normal", "data"] = "data"
    decoder: Literal["adjoint", "paper"] = "adjoint"
    #: "corrected": kernel size and epoch with the lowest validation φ, all weights counted.
    #: "published": the last epoch, the size with the lowest test φ, m weights per 2-D kernel.
    protocol: Literal["corrected", "published"] = "corrected"
    border_tolerance: Annotated[int, Field(ge=0)] = 3  #: samples, of extrema
    device: str = "cpu"
    # Beyond the paper; the first three are options of `san.networks.san.SAN`.
    passes: Annotated[int, Field(ge=1, le=64)] = 1
    refit: bool = False
    compete: bool = False
    #: How many times its own min_distance extrema begin with, until after 2/3 of the epochs.
    anneal: Annotated[float, Field(gt=0, le=100)] = 1.0
    grow: bool = False  #: kernels are added one at a time, each from what the others leave

    @property
    def counted_weights(self) -> str:
        """What CR⁻¹ counts of a kernel; see `san.metrics.inverse_compression_ratio`."""
        return "published" if self.protocol == "published" else "all"


def first_problem(error: pydantic.ValidationError) -> str:
    """Say in one line what is wrong with settings: the first name, why, and the value.

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
