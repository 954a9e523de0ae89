"""What becomes of a WFDB record whose stream was recovered: which samples are invalid, how many.

Samples that were lost between others become invalid ones. Where all signals have one rate, and no
segments follow one another, the record ends where the saved samples do. Other records keep their
length, because other rates and the headers of segments keep theirs: what is missing is invalid.
"""

from dataclasses import replace

import numpy as np

from san.codec.recovery import FILLED, filled_parts
from san.signals import Array, columns_of, groups_of
from san.wfdb_records.segments import Plan

_MOST_VALUES = 1 << 28  # that are filled up: 2 GB


def check_fit(array: Array, plan: Plan) -> None:
    """Refuse samples that are not those of the attached header; a recovered stream may have fewer.

    Raises
    ------
    ValueError
        With both shapes, and the way round.
    """
    shapes = [columns_of(part.x).shape for part in (array, *array.others)]
    expected = _shapes_of(plan)
    may_be_short = FILLED in array.attachments
    fits = len(shapes) == len(expected) and all(
        here[1] == said[1] and (here[0] == said[0] or (may_be_short and here[0] < said[0]))
        for here, said in zip(shapes, expected, strict=True)
    )
    if not fits:
        raise ValueError(
            f"the samples {shapes} are not those of the attached WFDB header: {expected}. "
            "`san decompress` to .npy or .csv gives the samples without the header"
        )


def filled_up(array: Array, plan: Plan) -> Array:
    """The samples in the shapes that the header has, NaN where they were lost.

    Raises
    ------
    ValueError
        As `check_fit`; or if the header says of a recovered stream that it had more samples than
        memory holds.
    """
    check_fit(array, plan)
    if FILLED not in array.attachments:
        return array
    shapes = _shapes_of(plan)
    values = sum(rows * columns for rows, columns in shapes)
    if values > max(_MOST_VALUES, sum(part.x.size for part in (array, *array.others))):
        raise ValueError(
            f"the attached WFDB header says that {values} samples were there before the stream was "
            "recovered: `san decompress` to .npy or .csv gives those that were saved"
        )
    lost = filled_parts(array.attachments[FILLED])  # they count the samples of the main rate
    parts = [
        replace(part, x=_with_nan(part.x, rows, () if number else lost))
        for number, (part, (rows, _)) in enumerate(zip((array, *array.others), shapes, strict=True))
    ]
    return replace(parts[0], others=tuple(parts[1:]))


def _shapes_of(plan: Plan) -> list[tuple[int, int]]:
    """Samples and signals of each rate."""
    per_frame = [signal.samples_per_frame for signal in plan.signals]
    frames = sum(part.frames for part in plan.parts)
    return [(frames * per_frame[group[0]], len(group)) for group in groups_of(per_frame)]


def _with_nan(x: np.ndarray, rows: int, lost: tuple[tuple[int, int], ...]) -> np.ndarray:
    x = columns_of(x)
    if rows == len(x) and not lost:
        return x
    narrow = x.dtype.itemsize <= 2 or x.dtype == "f4"
    found = np.full((rows, x.shape[1]), np.nan, np.float32 if narrow else np.float64)
    found[: len(x)] = x
    for first, last in lost:
        found[first:last] = np.nan
    return found
