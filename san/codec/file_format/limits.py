"""How much a reader accepts: what is checked before memory is allocated."""

from dataclasses import dataclass

from san.codec.errors import LimitExceeded

SMALL_DICTIONARY = 2**16  # values that the shortest stream may carry: 0.2 s to decode, 9 MB


@dataclass(frozen=True)
class Limits:
    """How much a reader accepts. Each limit is checked before memory is allocated.

    Parameters
    ----------
    samples : int
        Of a channel, in the whole stream.
    channels : int
    chunk_values : int
        Samples times channels of a chunk.
    header_bytes : int
        Of the header without its dictionary, and of the footer.
    dictionary_bytes : int
        Of a dictionary carried in the stream.
    dictionary_values : int, optional
        Of the kernels of a carried dictionary, and of its excerpt: samples times channels. By
        default 2**16, or 16 · samples · channels of the stream if that is more.
    payload_bytes : int, optional
        Of a chunk's payload; by default 1024 + 16 · samples of a chunk, for each column of
        integers.
    attachments : int
        Files that travel with the stream.
    attachment_bytes : int
        Of all of them together.

    Examples
    --------
    >>> import numpy as np
    >>> import san
    >>> blob = san.compress(np.zeros(1000, np.int16), lossless=True)
    >>> san.decompress(blob, limits=san.Limits(samples=100))
    Traceback (most recent call last):
    ...
    san.codec.errors.LimitExceeded: the stream declares 1000 samples, limit 100: raise it with \
Limits(samples=1000)
    """

    samples: int = 2**33
    channels: int = 1024
    chunk_values: int = 2**26
    header_bytes: int = 2**20
    dictionary_bytes: int = 2**24
    dictionary_values: int | None = None
    payload_bytes: int | None = None
    attachments: int = 4096
    attachment_bytes: int = 2**26

    def check(self, name: str, found: int) -> None:
        """Raise LimitExceeded if what a stream declares is above the field of this name."""
        limit = getattr(self, name)
        if found > limit:
            raise LimitExceeded(name, found, limit)

    def check_payload(self, found: int, samples: int, columns: int) -> None:
        """Raise LimitExceeded if a payload is longer than a chunk of such a size needs."""
        limit = self.most_payload(samples, columns)
        if found > limit:
            raise LimitExceeded("payload_bytes", found, limit)

    def most_payload(self, samples: int, columns: int) -> int:
        """Bytes that the payload of a chunk may have: so many samples of columns of integers."""
        if self.payload_bytes is not None:
            return self.payload_bytes
        return (1024 + 16 * samples) * columns

    def check_dictionary(self, found: int, values: int | None) -> None:
        """Raise LimitExceeded if a dictionary is larger than a stream of so many values needs.

        `values` is None where they are not known yet.
        """
        limit = self.dictionary_values
        if limit is None and values is not None:
            limit = max(SMALL_DICTIONARY, 16 * values)
        if limit is not None and found > limit:
            raise LimitExceeded("dictionary_values", found, limit)
