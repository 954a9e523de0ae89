"""Which channels of a recording are taken: by name, by number, or all of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from san.dataset_readers.sources import Source

ALL = "all"
EITHER = "|"  # between names of which a recording has one


@dataclass(frozen=True)
class Column:
    """A channel of a recording."""

    part: int  #: the number of its rate in `Source.parts`
    column: int  #: its number there


def channels_asked(channels: Sequence[str | int] | str | int | None) -> list[str | int]:
    """Read which channels are asked for; a text of digits is a number.

    Examples
    --------
    >>> channels_asked(None), channels_asked(["MLII|II", "1"]), channels_asked("all")
    ([0], ['MLII|II', 1], ['all'])
    """
    given = [channels] if isinstance(channels, str | int) else channels
    found: list[str | int] = []
    for each in [0] if given is None else given:
        is_number = isinstance(each, str) and re.fullmatch(r"\d{1,9}", each.strip())
        found.append(int(each) if is_number else each)
    if not found or (ALL in found and len(found) > 1):
        raise ValueError(f"channels must be names, numbers or all, got {given}")
    return found


def channels_of(source: Source, asked: Sequence[str | int], name: str) -> tuple[Column, ...]:
    """Find channels in a recording.

    Parameters
    ----------
    source : Source
    asked : sequence of str and int
        What `channels_asked` gives.
    name : str
        Of the recording, for an error.

    Raises
    ------
    ValueError
        If the recording lacks one of them, or one is asked for twice.
    """
    every = [
        (text, Column(number, column))
        for number, part in enumerate(source.parts)
        for column, text in enumerate(part.names)
    ]
    if list(asked) == [ALL]:
        return tuple(column for _, column in every)
    found = []
    for each in asked:
        if isinstance(each, int):
            here = every[each : each + 1] if each >= 0 else []
        else:
            here = [
                pair for text in each.split(EITHER) for pair in every if pair[0] == text.strip()
            ]
        if not here:
            raise ValueError(
                f"{name} has no channel {each!r}; it has {source.listed or 'none'}: name channels "
                f"that it has, or several names such as {_alternative(each, source)}"
            )
        found.append(here[0][1])
    if len({*found}) < len(found):
        raise ValueError(
            f"the channels {', '.join(map(str, asked))} of {name} are not all different"
        )
    return tuple(found)


def _alternative(asked: str | int, source: Source) -> str:
    """What an error shows as several names."""
    names = [name for part in source.parts for name in part.names]
    first = asked if isinstance(asked, str) else "II"
    return f"'{first}{EITHER}{names[0] if names else 'I'}'"
