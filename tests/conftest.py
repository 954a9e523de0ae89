"""What every test runs under: dirty memory for torch.empty, and the folder of real recordings."""

import os
import pathlib

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "san", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("san")


@pytest.fixture(autouse=True)
def dirty_memory(monkeypatch):
    """A backend that forgets an element leaves a NaN behind."""
    empty_like = torch.empty_like

    def dirty(*args, **kwargs):
        tensor = empty_like(*args, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    monkeypatch.setattr(torch, "empty_like", dirty)


@pytest.fixture(scope="session")
def recordings():
    """The folder of real recordings; tests that need it are skipped where it is absent."""
    candidates = [os.environ.get("SAN_DATA_DIR"), pathlib.Path(__file__).parents[2] / "shared/data"]
    for folder in candidates:
        if folder and (pathlib.Path(folder) / "mitdb").is_dir():
            return pathlib.Path(folder)
    pytest.skip("the folder of real recordings is not here (set SAN_DATA_DIR)")
