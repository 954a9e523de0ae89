"""Signals that the predictive modes are tried on: from leads to what no recording has."""

import numpy as np

MOST, LEAST = 2**31 - 1, -(2**31)


def leads(n: int, channels: int, noise: float = 2) -> np.ndarray:
    """Mixtures of three sources with noise of their own."""
    rng = np.random.default_rng(7)
    t = np.arange(n)[:, None] - [0, 3, 5]
    sources = 400 * np.exp(-(((t % 150) - 60) ** 2) / 18) + 80 * np.sin(t / [70, 50, 9])
    mixed = sources @ rng.normal(size=(3, channels)) + rng.normal(0, noise, (n, channels))
    return np.rint(mixed).astype(np.int64)


def signals(n: int, channels: int) -> dict[str, np.ndarray]:
    """Calm, constant, loud and sudden ones, by name: int64 (n, channels)."""
    rng, t, shape = np.random.default_rng(3), np.arange(n)[:, None], (n, channels)
    half, zeros = t < n // 2, np.zeros(shape, np.int64)
    return {
        "leads": leads(n, channels),
        "constant": zeros - 77,
        "constant channels": zeros + np.arange(channels) * 1000,
        "impulse": np.where(t == n // 3, MOST, 0) + zeros,
        "full-scale square": np.where(t // 7 % 2, MOST, LEAST) + zeros,
        "full-scale noise": rng.integers(LEAST, MOST, shape, endpoint=True),
        "loud, then quiet": rng.integers(-(10**8), 10**8, shape) * half
        + rng.integers(-1, 2, shape),
        "quiet, then loud": rng.integers(-1, 2, shape) * np.where(half, 1, 10**9),
        "ramp": t * 11 + np.arange(channels),
        "steep ramp": t * 999_983 + np.arange(channels),
        "channels of all sizes": rng.integers(-1, 2, shape).cumsum(0) * 9 ** np.arange(channels),
    }
