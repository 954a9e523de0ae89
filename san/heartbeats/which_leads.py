"""Which signals of a recording are an electrocardiogram, where nobody says."""

import re
from collections.abc import Sequence

_VOLTS = frozenset({"v", "mv", "uv", "μv", "nv"})  # small letters, as some headers have them
_LEAD = re.compile(
    r"(?:.*(?:ecg|ekg).*)|(?:(?:lead[ _]?)?(?:m?(?:i|ii|iii)|av[rlf]|m?l(?:i|ii|iii)|m?c?v\d?|"
    r"mcl\d?|cm\d|cc5|cs12|mod\.?v\d|d\d(?:-.*)?|e[sai]{2}|v[xyz]|[xyz]))",
    re.IGNORECASE,
)


def leads_of(names: Sequence[str], units: Sequence[str], channels: int) -> list[int]:
    """The numbers of the channels that are leads of an electrocardiogram.

    Parameters
    ----------
    names, units : sequence of str
        One for each channel, or none.
    channels : int

    Returns
    -------
    list of int
        Channels with the name of a lead, or with ECG in their name, whose unit is volts (in small
        or capital letters) or is not known. If no name says so, all channels in volts; if there
        are none, all channels without a unit.

    Examples
    --------
    >>> leads_of(["RESP", "PLETH", "V", "AVR", "II"], [""] * 5, 5)
    [2, 3, 4]
    >>> leads_of(["MLII", "V5"], ["mV", "mV"], 2), leads_of([], [], 3)
    ([0, 1], [0, 1, 2])
    """
    named = list(names) if len(names) == channels else [""] * channels
    said = list(units) if len(units) == channels else [""] * channels
    volts = [c for c in range(channels) if said[c].strip().casefold() in _VOLTS]
    unknown = [c for c in range(channels) if c not in volts and not _is_unit(said[c])]
    known = [c for c in sorted(volts + unknown) if is_lead(named[c])]
    return known or volts or unknown


def is_lead(name: str) -> bool:
    """Whether a channel has the name of a lead, or ECG in its name.

    Examples
    --------
    >>> is_lead("MLII"), is_lead("ECG1"), is_lead("Fp1")
    (True, True, False)
    """
    return _LEAD.fullmatch(name.strip()) is not None


def _is_unit(text: str) -> bool:
    return text.strip().lower() not in ("", "nu", "adu", "1", "n/a", "uncalibrated")
