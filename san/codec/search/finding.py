"""Where events are looked for: by compiled loops on the CPU, or by torch on another device.

A finder holds pieces of one signal and finds their events for one set of kernels after the other.
It also says how well windows explain each other, which chooses the first kernels.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from san.codec.search.pursuit import Pursued, known_of, pursue, similarities_of
from san.packages import need

CPU = "cpu"


class Finder(Protocol):
    """Finds events in pieces of a signal: float32 (channels, n), in steps, of equal lengths."""

    pieces: Sequence[np.ndarray]

    def pursue(self, kernels: np.ndarray) -> list[Pursued]:
        """The events of each piece, and the rest of it; kernels as `pursuit.pursue` takes them."""

    def explained(self, wide: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """How much energy of window j shape i explains at its best place: float64 (W, W).

        wide: float32 (W, channels, L + shifts), the windows. shapes: float32 (W, channels, L),
        each channel with an energy of 1.
        """


class OnCpu:
    """Finds events with the compiled loops."""

    def __init__(self, pieces: Sequence[np.ndarray]) -> None:
        self.pieces = pieces

    def pursue(self, kernels: np.ndarray) -> list[Pursued]:
        """See `Finder`."""
        known = known_of(kernels)
        return [pursue(x, known) for x in self.pieces]

    def explained(self, wide: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        """See `Finder`."""
        windows, channels, width = wide.shape
        length = shapes.shape[2]
        row = np.zeros((channels, windows * width + length - 1), np.float32)
        row[:, : windows * width] = wide.transpose(1, 0, 2).reshape(channels, -1)
        similarity = similarities_of(row, shapes).reshape(-1, channels, windows, width)
        inside = similarity[..., : width - length + 1]
        return np.array([(each**2).sum(0).max(1) for each in inside], np.float64)


def finder_of(pieces: Sequence[np.ndarray], device: str) -> Finder:
    """A finder for these pieces on a device."""
    if device == CPU:
        return OnCpu(pieces)
    from san.codec.search.on_device import OnDevice

    return OnDevice(pieces, device)


def checked_device(device: object) -> str:
    """Refuse a device that the encoder cannot use here; torch is only imported for another one.

    Raises
    ------
    MissingPackage
        If another device than the CPU is asked for, and torch is not installed.
    ValueError
        If there is no such device, or it is of another kind than the CPU and CUDA.

    Examples
    --------
    >>> checked_device("cpu")
    'cpu'
    >>> checked_device("abacus")
    Traceback (most recent call last):
        ...
    ValueError: device must be cpu or cuda, or cuda:1 for the second GPU, got 'abacus'
    """
    if device == CPU:
        return CPU
    name = str(device)  # a torch.device too
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()) or name.endswith(":"):
        raise ValueError(
            f"device must be cpu or cuda, or cuda:1 for the second GPU, got {device!r}"
        )
    need("torch")
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= there:
        found = f"{there} of them" if there else "none"
        raise ValueError(
            f"device {name} needs an NVIDIA GPU, and torch finds {found} here: give device cpu"
        )
    return name
