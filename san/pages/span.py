"""Which part of a signal a page shows, from the options of the commands that choose it.

Errors name these options as the user types them.
"""

from dataclasses import dataclass

from san.signals import sample_at


@dataclass(frozen=True)
class Span:
    """The first sample of a part, and how many samples it has."""

    first: int
    count: int | None  # None where no option says it
    begin: str  # the option that says where it begins, with its value
    length: str  # the option that says how long it is, with its value


def span_of(
    fs: float | None,
    start: float | None,
    start_sample: int | None,
    seconds: float | None,
    samples: int | None,
) -> Span:
    """Return the part that four options choose, at a sampling rate of `fs` Hz.

    Raises
    ------
    ValueError
        If two options say the same thing, or a time is given and no sampling rate is known.

    Examples
    --------
    >>> span_of(360.0, 2.5, None, None, 900)
    Span(first=900, count=900, begin='--start 2.5', length='--samples 900')
    """
    for time, number, options in (
        (start, start_sample, ("--start", "--start-sample")),
        (seconds, samples, ("--seconds", "--samples")),
    ):
        if time is not None and number is not None:
            raise ValueError(f"give {' or '.join(options)}, not both")
    first, begin = start_sample or 0, f"--start-sample {start_sample or 0}"
    if start is not None:
        first, begin = sample_at(start, fs, "--start", "--start-sample"), f"--start {start:g}"
        if start < 0:
            first = min(first, -1)  # a time before the signal is never rounded to its sample 0
    count, length = samples, f"--samples {samples}"
    if seconds is not None:
        count = sample_at(seconds, fs, "--seconds", "--samples")
        length = f"--seconds {seconds:g}, which is {count} samples"
    return Span(first, count, begin, length)


def check_begin(span: Span, samples: int, fs: float | None, what: str) -> None:
    """Refuse a part that begins outside of a signal of that many samples.

    Examples
    --------
    >>> check_begin(span_of(10.0, -2, None, None, None), 400, 10.0, "the excerpt")
    Traceback (most recent call last):
    ...
    ValueError: the excerpt must begin within the 400 samples (0 to 40 s), got --start -2
    """
    if not 0 <= span.first < max(1, samples):
        times = "" if fs is None else f" (0 to {samples / fs:g} s)"
        raise ValueError(f"{what} must begin within the {samples} samples{times}, got {span.begin}")
