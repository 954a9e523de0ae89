"""How a page becomes one file that opens offline: nothing outside it is loaded, no name is markup.

The sources are in `assets`. Its policy allows the page's own script and style, by their hashes, and
nothing else: no request leaves a page.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; {images}base-uri 'none'; "
    "form-action 'none'"
)
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript><p>This page computes and draws with JavaScript, which is switched off.</p></noscript>
{body}<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def assemble(
    title: str,
    body: str,
    styles: Sequence[str],
    scripts: Sequence[str],
    data: Mapping[str, Any],
    images: bool = False,
) -> str:
    """Put a page together.

    Parameters
    ----------
    title : str
        Of the window; any text.
    body : str
        Name of the HTML in `assets` that the page begins with.
    styles, scripts : sequence of str
        Names of style sheets and scripts in `assets`, in their order.
    data : mapping
        What the scripts read; JSON holds it, and numbers that are not finite become null.
    images : bool
        Whether pictures that the data hold may be shown.

    Returns
    -------
    str
        The file.

    Examples
    --------
    >>> page = assemble("a < b", "explore.html", ["base.css"], ["plot.js"], {"name": "</script>"})
    >>> "<title>a &lt; b</title>" in page, page.count("</script>")
    (True, 2)
    """
    style, script = ("\n" + "".join(_source(name) for name in names) for names in (styles, scripts))
    script = script.replace("'use strict';\n", "").replace("\n", "\n'use strict';\n", 1)
    policy = POLICY.format(
        script=_digest(script), style=_digest(style), images="img-src data:; " if images else ""
    )
    text = json.dumps(_plain(data), separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return TEMPLATE.format(
        policy=html.escape(policy, quote=False),
        title=html.escape(title),
        style=style,
        body=_source(body),
        data=text,
        script=script,
    )


def packed(values: np.ndarray, dtype: Any = np.float32) -> str:
    """Numbers as the base64 text of little-endian float32, or int32.

    Examples
    --------
    >>> packed(np.array([1.0, -2.0]))
    'AACAPwAAAMA='
    """
    return base64.b64encode(
        np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<")).tobytes()
    ).decode()


def packed_counts(values: np.ndarray, gain: float, baseline: float) -> dict[str, Any]:
    """Integers, and how the page turns each into a physical value: (count - baseline) / gain.

    They take one, two or four bytes each, as their range needs.

    Examples
    --------
    >>> packed_counts(np.array([3, -2]), 200.0, 0.0)
    {'counts': 'A/4=', 'bytes': 1, 'gain': 200.0, 'baseline': 0.0}
    """
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    size = 1 if -128 <= low and high < 128 else 2 if -32768 <= low and high < 32768 else 4
    counts = packed(values, np.dtype(f"i{size}"))
    return {"counts": counts, "bytes": size, "gain": gain, "baseline": baseline}


def _source(name: str) -> str:
    return (resources.files("san") / "pages" / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(value: Any) -> Any:
    """What JSON holds."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
