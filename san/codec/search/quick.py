"""How a PRDN is met in little time: steps are guessed, and corrected at most twice."""

import numpy as np

from san.codec.search.convergence import guess_codes
from san.codec.search.steps import SLOPE
from san.codec.search.trials import Encoded, Signal

# The error that is aimed at, over what is allowed. Guesses are 0 to 6 % off, mostly above. A larger
# aim needs more corrections, each a pass of the encoder; a smaller one costs bytes.
AIM = 0.95
CORRECTIONS = 2
AT_LEAST = 4  # codes that a channel above its limit goes back


def meet_error_quickly(signal: Signal, allowed: np.ndarray) -> Encoded | None:
    """Encode without events so that the squared error of each channel is at most what is allowed.

    None if the error is still larger after the corrections.
    """
    codes = np.array(guess_codes(signal, AIM**2 * allowed))
    for _ in range(1 + CORRECTIONS):
        encoded = signal.encode(tuple(codes.tolist()), signal.none(), keep=True)
        ratio = np.sqrt(encoded.error / np.maximum(allowed, 1e-30))
        if (ratio <= 1).all():
            return encoded
        back = np.ceil(np.log2(np.maximum(ratio, 1e-6) / AIM) * 128 / SLOPE)
        codes = np.where(ratio > 1, codes - np.maximum(back, AT_LEAST), codes)
        codes = np.maximum(codes, 0).astype(np.int64)
    return None


def bounds_under(allowed: np.ndarray, k: np.ndarray) -> tuple[int, ...]:
    """The bound of each channel at which errors that are spread evenly are as large as allowed.

    Bounds are smaller where samples of k, int64 (n, channels), would leave 32 bits with them.
    """
    widths = np.sqrt(12 * allowed / len(k) + 1)
    room = (1 << 31) - 1 - int(np.abs(k).max(initial=0))
    return tuple(np.clip(np.floor((widths - 1) / 2), 0, max(0, room)).astype(np.int64).tolist())
