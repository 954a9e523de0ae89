"""What the data records of an EDF+ or BDF+ file say of when they began: its start and its gaps."""

import re
import warnings
from dataclasses import replace

import numpy as np

from san.codec.recovery import FILLED
from san.files import edf
from san.signals import Array, columns_of

_BEGAN = re.compile(rb"([+-]\d{1,15}(?:\.\d{1,15})?)\x14")
_MOST_VALUES = 1 << 28  # of all channels, with the gaps: 2 GB


def seconds_before(notes: bytes) -> float:
    """How long after the time of the header the first data record began; 0 where it does not say.

    Parameters
    ----------
    notes : bytes
        The annotations of a file, as they are attached.

    Examples
    --------
    >>> seconds_before(b"+0.25\\x14\\x14\\0+3\\x14a noise\\x14")
    0.25
    """
    found = _BEGAN.match(notes)
    return float(found[1]) if found else 0.0


def places_of(array: Array, where: str) -> list[np.ndarray] | None:
    """Where each sample of a discontinuous file is, as if the file had no gaps.

    Parameters
    ----------
    array : Array
        Of an EDF or BDF file, or of a stream of one.
    where : str
        What a warning calls the file.

    Returns
    -------
    list of array, or None
        For the signals of each rate, int64 (samples,): the place of each sample, counted from the
        first. None where no gap is.

    Warns
    -----
    UserWarning
        If the file says that it is discontinuous, and not where its gaps are, or has gaps that
        no array holds.
    """
    header = array.attachments.get(edf.HEADER, b"")
    if b"+D" not in header[192:236]:
        return None
    found = _places(array, header)
    if isinstance(found, str):
        warnings.warn(
            f"{where} is discontinuous: its samples follow one another without the gaps, because "
            f"{found}",
            stacklevel=4,
        )
        return None
    return found if any(len(p) and p[-1] >= len(p) for p in found) else None


def _places(array: Array, header: bytes) -> list[np.ndarray] | str:
    """The places of the samples of each rate, or why they are not known."""
    layout, data = edf.layout_of(header), array.attachments.get(edf.ANNOTATIONS, b"")
    notes = [
        size for size, is_note in zip(layout.samples, layout.annotations, strict=True) if is_note
    ]
    size = layout.width * sum(notes)
    found = [_BEGAN.match(data, begin) for begin in range(0, len(data), size)] if size else []
    began = [float(match[1]) for match in found if match]
    if not began or len(began) < len(found):
        return "its records do not all say when they began"
    may_be_short = FILLED in array.attachments
    result, values = [], 0.0
    for part, signals in edf.parts_of(array, layout):
        each = layout.samples[signals[0]]
        at = (np.array(began) - began[0]) * (part.fs or 0)
        values += (at.max() + each) * len(signals)
        if at.min() < 0:
            return "its records overlap"
        if not values <= _MOST_VALUES:
            return f"with them it would have {values:.3g} values"
        first = np.rint(at).astype(np.int64)
        late = np.arange(len(first)) * each
        first = late + np.maximum.accumulate(first - late)  # a time may be rounded
        missing = each * len(first) - len(part.x)
        if missing < 0 or (missing and not may_be_short) or (first - at > 1).any():
            return "its records overlap"
        result.append((first[:, None] + np.arange(each)).reshape(-1)[: len(part.x)])
    return result


def with_gaps(array: Array, places: list[np.ndarray]) -> Array:
    """The array with NaN in the gaps, as floats; signals of other rates too."""
    parts = []
    for part, place in zip((array, *array.others), places, strict=True):
        columns = columns_of(part.x)
        x = np.full((int(place[-1]) + 1, columns.shape[1]), np.nan)
        x[place] = columns
        parts.append(replace(part, x=x))
    return replace(parts[0], others=tuple(parts[1:]))
