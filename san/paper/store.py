"""How the result of a unit is kept: a JSON file whose name has a digest of what it depends on."""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def file_name(words: Iterable[str], depends: Mapping[str, Any]) -> str:
    """Name a unit's file: its words, and a digest of all that its result depends on (JSON).

    Examples
    --------
    >>> file_name(["mitdb", "Extrema"], {"seed": 0})
    'mitdb-extrema-de7d7744ccd7.json'
    """
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    return re.sub(r"[^a-z0-9_-]+", "_", "-".join(words).lower()) + f"-{digest[:12]}.json"


def read(path: Path) -> dict[str, Any]:
    """Read the result of a unit.

    Raises
    ------
    ValueError
        If the file is no JSON. The message names the file.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is corrupt ({error}): remove it, and it is made again") from error


def versions() -> dict[str, str]:
    """Say which packages the results are made with.

    Examples
    --------
    >>> "numpy" in versions()
    True
    """
    packages = ("sparsely-activated-networks", "torch", "numpy", "numba")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }
