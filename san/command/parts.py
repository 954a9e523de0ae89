"""Where a part begins and ends, in seconds or in samples; and how text of a file is shown."""

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from san.codec.info import Info


def sample_of(option: str, seconds: float | None, sample: int | None, info: "Info") -> int | None:
    """Return the sample of a stream that one of two options names; None where neither is given.

    What is negative counts from the end of the stream, as in a slice.
    """
    if seconds is None:
        return sample
    from san.signals import sample_at

    refuse_both(option, seconds, sample)
    at = sample_at(seconds, info.fs, option, f"{option}-sample")
    return at if seconds >= 0 else max(0, info.shape[0] + at)


def refuse_both(option: str, seconds: float | None, sample: int | None) -> None:
    """Refuse a time and a sample for the same place."""
    if seconds is not None and sample is not None:
        raise ValueError(f"give {option} or {option}-sample, not both")


def say_unit(**times: float | None) -> None:
    """Say on standard error, until 0.6, that the options that are given are in seconds now.

    Until 0.4 they were in samples in the commands that call this.
    """
    given = [f"--{name}" for name, time in times.items() if time is not None]
    if given:
        instead = " and ".join(f"{option}-sample" for option in given)
        verb = "is" if len(given) == 1 else "are"
        say(
            f"san: {' and '.join(given)} {verb} in seconds now; {instead} {verb} in samples",
            sys.stderr,
        )


def say(line: str, file: TextIO | None = None) -> None:
    """Print a line to standard output or to a file, as `printable` writes it.

    Every line of a command that is not JSON goes through here: it may name a file or a channel.
    """
    print(printable(line), file=file)


def printable(text: str) -> str:
    """The text without characters that a terminal obeys: each is written as its escape.

    Examples
    --------
    >>> print(printable("lead II \x1b[2J"))
    lead II \\x1b[2J
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
