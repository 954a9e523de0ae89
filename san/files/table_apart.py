"""How the times of a table that follow no rate go beside samples within an error: without loss.

They are a stream of their own, attached as signals of another rate are. The table gets each time
back as the same number, and the error is that of the samples alone.
"""

from collections.abc import Mapping

import numpy as np

from san.codec.decoder import Decoder
from san.codec.encoder import encode
from san.codec.target import LOSSLESS

APART = "signals/1"  # the name of the attachment
LONGEST_NAME = 64  # bytes, which a stream can hold


def packed(times: np.ndarray, name: str) -> bytes:
    """The stream of the times."""
    short = name.encode()[:LONGEST_NAME].decode(errors="ignore")
    return encode(np.ascontiguousarray(times), LOSSLESS, names=(short,), events=False)


def times_of(attachments: Mapping[str, bytes], count: int) -> np.ndarray | None:
    """The first `count` times that are attached, shape (count,); None where there are none.

    Raises
    ------
    ValueError
        If there are fewer, or they are no float64 of one column.
    CodecError
        If the attached stream is corrupt.

    Examples
    --------
    >>> times_of({APART: packed(np.array([0.0, 0.1, 7.2]), "time")}, 2).tolist()
    [0.0, 0.1]
    """
    if APART not in attachments:
        return None
    decoder = Decoder(attachments[APART])
    info = decoder.info
    if len(info.shape) != 1 or info.dtype != np.float64 or info.shape[0] < count:
        raise ValueError(
            f"the attached times have shape {info.shape} and dtype {info.dtype}, and the table has "
            f"{count} rows"
        )
    return decoder.read(0, count)


def are_same(one: bytes, other: bytes) -> bool:
    """Whether two streams hold the same times, though other releases may have coded them."""
    if one == other:
        return True
    first, second = (Decoder(each).read() for each in (one, other))
    return first.dtype == second.dtype and first.tobytes() == second.tobytes()
