"""The transform across channels: what its angles mean, as an orthonormal matrix of integers.

Channels that are divided by scales of their own become components, which are coded instead of
them. Column k of the matrix says how component k adds to each channel. The matrix is a product of
rotations of two coordinates, and an angle stands for each of them. Every decoder computes the same
integers: sine and cosine come from a table, and each rotation is rounded as FORMAT.md says.
"""

import functools
import math

import numpy as np

from san.codec.entropy.loops import integer_loop

MOST_CHANNELS = 256  # of a transform: more would make the matrix slow to build
FINEST_ANGLES = 10  # bits of an angle, at most
ROTATION_BITS = 30  # after the point while the matrix is built
MATRIX_BITS = 20  # after the point of the matrix
_EXACT = 1 << 52  # float64 adds integers up to twice this without rounding, in any order


@functools.cache
def sine_table() -> np.ndarray:
    """Sines of π i / 2**FINEST_ANGLES in 1/2**ROTATION_BITS, i = 0 ... 2**FINEST_ANGLES; int64."""
    steps, unit = 1 << FINEST_ANGLES, 1 << ROTATION_BITS
    half = [round(unit * math.sin(math.pi * i / steps)) for i in range(steps // 2 + 1)]
    return np.array(half + half[-2::-1], np.int64)


def angles_of(channels: int, components: int) -> int:
    """How many angles the first so many components of so many channels take."""
    return components * (channels - 1) - components * (components - 1) // 2


def matrix_of(angles: np.ndarray, bits: int, channels: int, components: int) -> np.ndarray:
    """The matrix of angles of so many bits: int64 (channels, components), 2**MATRIX_BITS is 1.

    Angle a of a rotation is (a − 2**(bits − 1)) · π / 2**bits. `angles` holds, component by
    component, those of the rotations with each later coordinate.
    """
    rows = np.zeros(channels * components, np.int64)
    rotate(rows, angles, bits, sine_table(), channels, components)
    rounded = (rows + (1 << (ROTATION_BITS - MATRIX_BITS - 1))) >> (ROTATION_BITS - MATRIX_BITS)
    return rounded.reshape(channels, components)


@integer_loop
def rotate(rows, angles, bits, sines, channels, components):
    """Fill rows, zeros, with the matrix of the angles; 2**ROTATION_BITS is 1."""
    half, steps = 1 << (bits - 1), 1 << (FINEST_ANGLES - 1)
    rounding = 1 << (ROTATION_BITS - 1)
    for k in range(components):
        rows[k * components + k] = 1 << ROTATION_BITS
    for k in range(components - 1, -1, -1):
        first = k * (channels - 1) - k * (k - 1) // 2 - k - 1
        for j in range(channels - 1, k, -1):
            turn = (angles[first + j] - half) << (FINEST_ANGLES - bits)
            sine = sines[turn] if turn >= 0 else -sines[-turn]
            cosine = sines[steps - turn] if turn >= 0 else sines[steps + turn]
            for i in range(k, components):
                a, b = rows[k * components + i], rows[j * components + i]
                rows[k * components + i] = (cosine * a - sine * b + rounding) >> ROTATION_BITS
                rows[j * components + i] = (sine * a + cosine * b + rounding) >> ROTATION_BITS
    return 0


def to_channels(components: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Integers (n, components) times the matrix, rounded: int64 (n, channels)."""
    largest = int(np.abs(components).max(initial=0)) << MATRIX_BITS
    rows = matrix.T
    if largest * len(rows) < _EXACT:
        product = (components.astype(np.float64) @ rows.astype(np.float64)).astype(np.int64)
    else:
        product = components @ rows
    return (product + (1 << (MATRIX_BITS - 1))) >> MATRIX_BITS


def rotation_angles(covariance: np.ndarray, bits: int) -> np.ndarray:
    """Angles of all components of float (channels, channels), in falling energy; int64.

    Each component is chosen after the angles of those before it are rounded, so that it makes the
    best of what they leave.
    """
    rest, channels = covariance.copy(), len(covariance)
    angles: list[int] = []
    half = 1 << (bits - 1)
    unit = math.pi / (2 * half)
    for k in range(channels - 1):
        vector = np.linalg.eigh(rest)[1][:, -1]
        vector = -vector if vector[0] < 0 else vector
        size = channels - k
        rotation = np.eye(size)
        left, turns = 1.0, []
        # The rotation with the last coordinate is the first that acts on a unit vector.
        for j in range(size - 1, 0, -1):
            share = min(1.0, max(-1.0, vector[j] / max(left, 1e-12)))
            turn = min(half - 1, max(-half, round(math.asin(share) / unit)))
            sine, cosine = math.sin(turn * unit), math.cos(turn * unit)
            left *= cosine
            turns.append(turn + half)
            a, b = rotation[0].copy(), rotation[j].copy()
            rotation[0], rotation[j] = cosine * a - sine * b, sine * a + cosine * b
        angles += turns[::-1]
        rest = (rotation.T @ rest @ rotation)[1:, 1:]
    return np.array(angles, np.int64)
