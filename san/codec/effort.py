"""How much time an encoder takes for few bytes: the levels, and their check."""

from typing import Literal, get_args

Effort = Literal["fast", "normal", "best"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)


def checked_effort(effort: object) -> Effort:
    """The level, if it is one.

    Examples
    --------
    >>> checked_effort("slow")
    Traceback (most recent call last):
    ...
    ValueError: effort must be one of fast, normal, best, got 'slow'
    """
    for known in EFFORTS:
        if effort == known:
            return known
    raise ValueError(f"effort must be one of {', '.join(EFFORTS)}, got {effort!r}")
