"""What an encoder promises: one of four targets, or two, how it is checked, and its words."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A stream's header holds the index of its target: this order is part of the format.
TARGETS = ("lossless", "max_error", "prdn", "bits_per_sample")
TOGETHER = {"prdn", "max_error"}  # what one stream can promise both
_MAY_BE_ZERO = {"max_error"}
_WORDS = {
    "max_error": "largest error of at most {:g}",
    "prdn": "PRDN of at most {:g} %",
    "bits_per_sample": "size of at most {:g} bits per sample",
}


@dataclass(frozen=True)
class Target:
    """What a stream is held to. One that has no number is lossless.

    With `prdn` and `max_error` both hold. `Target.of` checks what a user gives; the constructor
    checks nothing.

    Attributes
    ----------
    max_error : float or None
        The largest error of any sample, in the signal's units.
    prdn : float or None
        The largest error of a channel, in per cent of its standard deviation.
    bits_per_sample : float or None
        The largest size, in bits for each sample of each channel.

    Examples
    --------
    >>> target = Target.of(prdn=8)
    >>> target.kind, target.value, target.exact, str(target)
    ('prdn', 8.0, False, 'PRDN of at most 8 %')
    >>> str(Target.of(prdn=8, max_error=0.1))
    'PRDN of at most 8 % and largest error of at most 0.1'
    >>> Target.of(prdn=8, lossless=True)
    Traceback (most recent call last):
    ...
    ValueError: give one of max_error, prdn, lossless and bits_per_sample, or max_error and prdn \
together, got prdn and lossless
    """

    max_error: float | None = None
    prdn: float | None = None
    bits_per_sample: float | None = None

    @classmethod
    def of(
        cls,
        *,
        max_error: float | None = None,
        prdn: float | None = None,
        lossless: bool = False,
        bits_per_sample: float | None = None,
        spell: Callable[[str], str] = str,
    ) -> "Target":
        """The target that a user gives.

        Parameters
        ----------
        max_error, prdn, lossless, bits_per_sample
            One of them, or `max_error` and `prdn`.
        spell : callable
            How an error message spells a parameter's name.

        Raises
        ------
        TypeError
            If a value is not a number.
        ValueError
            If none or others together are given, or a number is negative, infinite or NaN; or 0,
            except for `max_error`.
        """
        given = {
            "max_error": max_error,
            "prdn": prdn,
            "lossless": lossless or None,
            "bits_per_sample": bits_per_sample,
        }
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1 and set(names) != TOGETHER:
            *most, last = map(spell, given)
            found = " and ".join(map(spell, names)) or "none"
            both = " and ".join(map(spell, sorted(TOGETHER)))
            raise ValueError(
                f"give one of {', '.join(most)} and {last}, or {both} together, got {found}"
            )
        if lossless:
            return LOSSLESS
        return cls(**{name: _number(name, given[name], spell(name)) for name in names})

    @classmethod
    def stored(cls, kind: str, value: float, bound: float | None = None) -> "Target":
        """The target of a stream, from the name and the numbers that its header holds."""
        if kind == "lossless":
            return LOSSLESS
        return cls(**{kind: value}) if bound is None else cls(**{kind: value}, max_error=bound)

    @property
    def kind(self) -> str:
        """Its name, one of `TARGETS`; prdn, if max_error goes with it."""
        return next(iter(self._numbers), "lossless")

    @property
    def value(self) -> float:
        """The number of its kind; 0 where it is lossless."""
        return next(iter(self._numbers.values()), 0.0)

    @property
    def bound(self) -> float | None:
        """The `max_error` that goes with a PRDN."""
        return None if self.prdn is None else self.max_error

    @property
    def exact(self) -> bool:
        """Whether every bit of every sample must come back."""
        return self.max_error == 0 or not self._numbers

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `san.compress` that ask for it."""
        return dict(self._numbers) or {"lossless": True}

    def __str__(self) -> str:
        words = [_WORDS[name].format(value) for name, value in self._numbers.items()]
        return " and ".join(words) or "lossless"

    @property
    def _numbers(self) -> dict[str, float]:
        found = ((name, getattr(self, name)) for name in ("prdn", "max_error", "bits_per_sample"))
        return {name: value for name, value in found if value is not None}


LOSSLESS = Target()


def _number(name: str, given: Any, spelled: str) -> float:
    """The number of a target."""
    try:
        if isinstance(given, (bool, str)):
            raise TypeError
        value = float(given)
    except OverflowError:
        value = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{spelled} must be a number, got {given!r}") from None
    if name in _MAY_BE_ZERO and not 0 <= value < math.inf:
        raise ValueError(f"{spelled} must be 0 or above and finite, got {given}")
    if name not in _MAY_BE_ZERO and not 0 < value < math.inf:
        raise ValueError(f"{spelled} must be above 0 and finite, got {given}")
    return value
