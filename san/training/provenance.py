"""What a run was made with: versions, platform and data; and whether data are still the same."""

import csv
import importlib.metadata
import io
import platform
from pathlib import Path
from typing import Any

from san import datasets

PACKAGES = ("sparsely-activated-networks", "torch", "numpy", "numba", "wfdb", "safetensors")


def provenance(splits: datasets.Splits) -> dict[str, Any]:
    """What `settings.toml` tells of a run beside its settings.

    Returns
    -------
    dict
        data, licence, data_sha256 (one for each split), python, platform, and the version of each
        package.
    """
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "data": splits.train.name,
        "licence": splits.train.licence,
        "data_sha256": [split.sha256 for split in splits],
        "python": platform.python_version(),
        "platform": platform.platform(),
        **versions,
    }


def windows_text(splits: datasets.Splits) -> str:
    """Say where each window of files of your own is from, as CSV, and its label if it has one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "recording", "start", "label"])
    for split in splits:
        assert split.starts is not None
        said = [""] * len(split.x) if split.y is None else [split.classes[y] for y in split.y]
        rows = zip(split.recordings, split.starts.tolist(), said, strict=True)
        writer.writerows([split.split, *row] for row in rows)
    return text.getvalue()


def check_data(splits: datasets.Splits, recorded: Any, folder: Path) -> None:
    """Raise ValueError unless the data have the checksums that `folder` recorded."""
    if recorded != [split.sha256 for split in splits]:
        raise ValueError(f"the data of {splits.train.name} are not those that {folder} began with")
