"""What a measured number depends on: commit, versions, device."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
PACKAGES = ("torch", "numpy", "numba", "scipy", "scikit-image", "triton")


def provenance(device: str) -> dict[str, str]:
    """The commit, the device's name and the versions of what is installed."""
    installed = {each.metadata["Name"] for each in importlib.metadata.distributions()}
    return {
        "commit": os.environ.get("SAN_COMMIT") or _commit(),
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES if name in installed},
    }


def _commit() -> str:
    """The commit that git says; SAN_COMMIT says it where the files came without their history."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        said = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        said = ""
    return said or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
