"""Which short signals make the codec compile all that a target needs, before work begins."""

import functools

import numpy as np

from san.codec.decoder import decompress
from san.codec.effort import Effort
from san.codec.encoder import compress
from san.codec.entropy import loops
from san.codec.target import Target

TARGETS = (Target(), Target(max_error=4), Target(prdn=8))  # with these every loop of the codec runs
CHANNELS = (1, 6)  # modes differ between one channel and several
_SAMPLES, _FS = 2000, 360
_BEAT = 300  # samples from one beat to the next


def beats(samples: int, channels: int) -> np.ndarray:
    """A made-up ECG: int16 (samples, channels). Its beats are worth kernels of their own."""
    t = np.arange(samples)
    away = (t + _BEAT // 2) % (_BEAT + 7) - _BEAT // 2
    wave = 300 * np.exp(-((away / 6) ** 2)) + 80 * np.exp(-(((away - 90) / 25) ** 2))
    noise = (t[:, None] * (7 + np.arange(channels)) ** 2) % 11
    return np.rint(wave[:, None] * np.linspace(0.4, 1, channels) + noise).astype(np.int16)


@functools.cache
def compile_codec(
    targets: tuple[Target, ...] = TARGETS, efforts: tuple[Effort, ...] = ("fast", "normal")
) -> None:
    """Compile what encodes to these targets, and what decodes the streams.

    Nothing is to do where the loops are in the extension, or run as plain Python.

    Examples
    --------
    >>> compile_codec((Target(max_error=4),))
    """
    if not loops.is_compiled_here:
        return
    for channels in CHANNELS:
        x = beats(_SAMPLES, channels)
        for target in targets:
            for effort in efforts:
                decompress(compress(x, _FS, **target.arguments, effort=effort))
