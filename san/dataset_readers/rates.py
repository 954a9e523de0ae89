"""What the signals of one rate in a recording are, whatever kind of file holds them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Signals:
    """The signals of one rate in a recording."""

    fs: float | None
    units: tuple[str, ...]
    names: tuple[str, ...]
    samples: int
    read: Read  #: of samples first ... last - 1: float64 (samples, channels), NaN in gaps
    block: int = 0  #: samples that are best read together; 0 where they are in memory
