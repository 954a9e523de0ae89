"""What the splits of a data set are in memory: signals, their classes, and where they are from."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from san import deprecated


@deprecated.arguments(sampling_rate="fs", channels="names")
@dataclass(frozen=True)
class Dataset:
    """One split of a data set."""

    name: str  #: "physionet mitdb/100"
    split: str
    x: np.ndarray  #: (N, C, *size), float32, normalised
    y: np.ndarray | None  #: (N,), int64 class numbers
    fs: float | None  #: sampling rate in Hz
    units: tuple[str, ...]  #: of each channel, before normalisation
    names: tuple[str, ...]  #: of each channel
    scale: str  #: of x: "standard deviations", "scaled to [0, 1]"
    licence: str
    classes: tuple[str, ...] = ()  #: what each class number of y stands for; not of every data set
    recordings: tuple[str, ...] = ()  #: of your own files: for each signal, the file it is from
    #: of your own files: int64 (N,), each signal's first sample in its recording, counted at `fs`
    starts: np.ndarray | None = None

    sampling_rate = deprecated.attribute("sampling_rate", "fs")
    channels = deprecated.attribute("channels", "names")
    __setstate__ = deprecated.state(sampling_rate="fs", channels="names")

    @property
    def sha256(self) -> str:
        """SHA-256 of shape and samples (little-endian float32) and of the classes."""
        digest = hashlib.sha256(repr(self.x.shape).encode())
        digest.update(np.ascontiguousarray(self.x, "<f4").tobytes())
        if self.y is not None:
            digest.update(np.ascontiguousarray(self.y, "<i8").tobytes())
        return digest.hexdigest()


class Splits(NamedTuple):
    """The three splits of a data set."""

    train: Dataset
    validation: Dataset
    test: Dataset
