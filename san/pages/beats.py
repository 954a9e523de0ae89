"""What a page of heartbeats says: a lead with its beats, the templates, and the oddest beats."""

from typing import Any

import numpy as np

from san.beats import Beats
from san.pages import page
from san.pages.report_page import report_page
from san.pages.stream_beats import shown_beats

MOST_SAMPLES = 1_000_000  # that a page shows, from the beginning
MOST_ROWS = 25  # of the most unusual beats


def beats_page(title: str, found: Beats, x: np.ndarray) -> str:
    """Make the page.

    Parameters
    ----------
    title : str
        The name of the recording.
    found : Beats
    x : array (samples,)
        The lead that tells the times, in its unit; NaN in gaps.

    Returns
    -------
    str
        A page that opens offline in any browser.

    Examples
    --------
    >>> import san
    >>> x = np.sin(np.arange(2000) / 9) ** 31
    >>> "beats" in beats_page("x", san.beats.find(x, 250), x)
    True
    """
    lead, unit = found.names[found.lead], found.units[found.lead]
    rates = found.heart_rate[np.isfinite(found.heart_rate)]
    tiles = [("beats", f"{len(found):,}"), ("templates", str(len(found.templates)))]
    if len(rates):
        low, usual, high = np.percentile(rates, [5, 50, 95])
        tiles.insert(1, ("beats a minute, median", f"{usual:.0f}"))
        tiles.append(("beats a minute, 5th to 95th percentile", f"{low:.0f} to {high:.0f}"))
    shapes = found.templates[:, :, found.lead]
    shapes = shapes - np.median(shapes, axis=1, keepdims=True)
    heights = shapes[:, found.template_middle] if len(shapes) else np.zeros(0)
    heights = np.where(np.abs(heights) < 1e-12, 1.0, heights)
    shown = x[:MOST_SAMPLES]
    inside = found.position < len(shown)
    known = inside & (found.template >= 0)
    counts = np.bincount(found.template[found.template >= 0], minlength=len(found.templates))
    view = {
        "label": lead,
        "scale": unit,
        "fs": found.fs,
        "start": 0,
        "total": len(shown),
        "decoded": page.packed(shown),
        "channel": 0,
        "events": {
            "kernel": page.packed(found.template[known], np.int32),
            "position": page.packed(found.position[known], np.int32),
            "amplitude": page.packed(found.amplitude[known] / heights[found.template[known]]),
        },
    }
    words = [
        ("Method", "Peaks of the band from 7 to 25 Hz, of all leads together. The position of a "
         "beat is its largest deflection. Beats that look alike share a template."),
        ("No label", found.NOTE + " SAN is not a medical device."),
    ]  # fmt: skip
    if len(shown) < len(x):
        words.append(("What is shown", f"The first {len(shown):,} of {len(x):,} samples."))
    alone = int((found.template < 0).sum())
    if alone:
        words.append(("Not drawn", f"{alone} beats that look like no others have no template."))
    return report_page(
        {
            "title": title,
            "summary": [f"{len(found):,} heartbeats, timed in {lead}."],
            "tiles": tiles,
            "views": [view],
            "viewsTitle": "The lead and its beats",
            "single": lead,
            "kernels": [
                {
                    "channels": [page.packed(shape)],
                    "before": found.template_middle,
                    "unit": unit or "counts",
                    "note": f"template {number}: {count} beats",
                }
                for number, (shape, count) in enumerate(zip(shapes, counts, strict=True))
            ],
            "kernelsFs": found.fs,
            "kernelsNote": "Templates: the median of the beats that look alike.",
            "tables": [_first(found)],
            "beats": shown_beats(found),
            "words": words,
        }
    )


def _first(found: Beats) -> tuple[str, list[str], list[list[Any]]]:
    """The beats to look at first."""
    heads = ["time, s", "template", "residual", "early, %", "heart rate"]
    rows = [
        [
            f"{found.time[k]:.3f}",
            int(found.template[k]),
            float(found.residual[k]),
            float(100 * found.early[k]),
            float(found.heart_rate[k]),
        ]
        for k in found.ranking[:MOST_ROWS]
    ]
    return "Look at these first", heads, rows
