"""Which streams have heartbeats to show, and what their page says of each beat."""

from typing import Any

import numpy as np

from san import beats
from san.codec.info import Info
from san.heartbeats.bands import LOWEST_RATE
from san.heartbeats.which_leads import is_lead, leads_of
from san.packages import lacking
from san.pages import page
from san.signals import converter_of

MOST_BEATS = 50_000


def beats_of(y: np.ndarray, info: Info, wanted: bool | None) -> beats.Beats | None:
    """Find the heartbeats of a decoded stream.

    Parameters
    ----------
    y : array (n,) or (n, channels)
        The samples.
    info : Info
        Of the stream.
    wanted : bool or None
        Whether to look for them. None: where a channel has the name of a lead of an
        electrocardiogram, the sampling rate is high enough, and scipy is installed.

    Returns
    -------
    Beats or None
        None where nobody looked.

    Raises
    ------
    ValueError
        If they are wanted, and the sampling rate is not known or too low.
    """
    columns = y[:, None] if y.ndim == 1 else y
    units = [converter_of(unit)[2] for unit in info.units]
    leads = leads_of(info.names, units, columns.shape[1])
    named = len(info.names) == columns.shape[1] and any(is_lead(info.names[c]) for c in leads)
    if wanted is None:
        wanted = named and (info.fs or 0.0) >= LOWEST_RATE and not lacking("scipy")
    if not wanted:
        return None
    if info.fs is None:
        raise ValueError("--beats needs a sampling rate, and the stream states none")
    return beats.find(columns[:, leads], info.fs)


def shown_beats(found: beats.Beats) -> dict[str, Any]:
    """What the page draws and lists of the beats."""
    kept = slice(0, MOST_BEATS)
    return {
        "position": page.packed(found.position[kept], np.int32),
        "rate": page.packed(found.heart_rate[kept]),
        "residual": page.packed(found.residual[kept]),
    }


def beat_tiles(found: beats.Beats) -> list[tuple[str, str]]:
    """The number of beats, and their usual rate."""
    rates = found.heart_rate[np.isfinite(found.heart_rate)]
    usual = f"{np.median(rates):.0f}" if len(rates) else "–"
    return [("beats", f"{len(found):,}"), ("beats a minute, median", usual)]
