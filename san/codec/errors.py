"""The errors that a reader raises when a stream cannot be decoded."""


class CodecError(ValueError):
    """A stream cannot be decoded. The subclasses say why.

    They are in `san.codec.errors`: CorruptStream, TruncatedStream, UnsupportedVersion,
    LimitExceeded and WrongDictionary.

    Examples
    --------
    >>> import san
    >>> try:
    ...     san.decompress(b"RIFF....WAVE")
    ... except san.CodecError as error:
    ...     print(error)
    this is no SAN stream: it begins with 524946462e
    """


class CorruptStream(CodecError):
    """The bytes are not those that a writer writes."""


class TruncatedStream(CorruptStream):
    """The stream was cut: its end is missing."""


class UnsupportedVersion(CodecError):
    """The stream has a version that this reader does not know.

    Examples
    --------
    >>> print(UnsupportedVersion(9, (1, 3, 4)))
    the stream has version 9 and this reader knows 1, 3, 4: install a newer release of SAN
    """

    def __init__(self, found: int, known: tuple[int, ...]) -> None:
        super().__init__(found, known)
        self.found, self.known = found, known

    def __str__(self) -> str:
        return (
            f"the stream has version {self.found} and this reader knows "
            f"{', '.join(map(str, self.known))}: install a newer release of SAN"
        )


class LimitExceeded(CodecError):
    """A stream declares more than the limits of the reader allow.

    Examples
    --------
    >>> print(LimitExceeded("channels", 5000, 1024))
    the stream declares 5000 channels, limit 1024: raise it with Limits(channels=5000)
    """

    def __init__(self, field: str, found: int, limit: int) -> None:
        super().__init__(field, found, limit)
        self.field, self.found, self.limit = field, found, limit

    def __str__(self) -> str:
        name = self.field.replace("_", " ")
        return (
            f"the stream declares {self.found} {name}, limit {self.limit}: "
            f"raise it with Limits({self.field}={self.found})"
        )


class WrongDictionary(CodecError):
    """The stream names a dictionary by its SHA-256, and another one or none is there.

    `archive` is the folder of the archive that should have the dictionary, if there is one.

    Examples
    --------
    >>> print(WrongDictionary(bytes(32), None))
    the stream needs the dictionary with SHA-256 000000000000..., and none was given
    """

    def __init__(self, needed: bytes, given: bytes | None, archive: str | None = None) -> None:
        super().__init__(needed, given, archive)
        self.needed, self.given, self.archive = needed, given, archive

    def __str__(self) -> str:
        if self.given is None and self.archive is not None:
            return (
                f"the stream needs the dictionary {self.needed.hex()}….dictionary, which is not "
                f"in {self.archive}: put a copy of that file back, or archive the record "
                "again"
            )
        given = "none was given" if self.given is None else f"{self.given.hex()[:12]}... was given"
        return (
            f"the stream needs the dictionary with SHA-256 {self.needed.hex()[:12]}..., and {given}"
        )
