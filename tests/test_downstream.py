"""Every line of the page about other tools runs, with the real package where it is installed."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest

import san
import san.torch
from san.files import streams

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-to" / "downstream.md").read_text()
LINES = dict(re.findall(r"^\| ([\w, ]+) \| `([^`]+)`", PAGE, re.MULTILINE))
TOOLS = ("pandas", "xarray", "MNE", "NeuroKit2", "wfdb", "HDF5", "Parquet", "PyTorch")
PACKAGES = {"HDF5": ["h5py"], "Parquet": ["pandas", "pyarrow"], "PyTorch": ["torch"]}


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A stream of the record that comes with the package."""
    path = tmp_path_factory.mktemp("stream") / "208.san"
    record = ROOT / "datasets" / "sample" / "mitdb_208"
    path.write_bytes(streams.encode_file(record, max_error=4, events=False))
    return path


@pytest.mark.filterwarnings("ignore")  # of what the other packages use
@pytest.mark.parametrize("tool", TOOLS)
def test_a_line_of_the_page_runs(tool, stream, command, tmp_path):
    names = PACKAGES.get(tool, [tool.lower()])
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install {name}")
    (tmp_path / "208.san").write_bytes(stream.read_bytes())
    recording = san.read(stream)
    known = {"san": san, "np": np, "recording": recording, "blob": stream.read_bytes()}
    known |= {name: importlib.import_module(name) for name in names}
    if tool == "wfdb":
        assert command("decompress", "208.san", "copy")[0] == 0
    lines = [line for name, line in LINES.items() if name.startswith(tool)]
    assert lines
    for line in lines:
        exec(line, known)
    check(tool, known, recording)


def check(tool, known, recording):
    """What a line gave has the samples of the recording."""
    x = recording.x[:, 0]
    if tool == "NeuroKit2":
        assert 250 < len(known["info"]["ECG_R_Peaks"]) < 800 and len(known["signals"]) == len(x)
        return
    if tool in ("HDF5", "Parquet"):
        np.testing.assert_allclose((known["x"][:, 0] - 1024) / 200, x)
        return
    if tool == "PyTorch":
        assert len(known["dataset"]) == 150
        return
    found = {
        "pandas": lambda: known["table"]["MLII"].to_numpy(),
        "xarray": lambda: known["array"].sel(channel="MLII").values,
        "MNE": lambda: 1000 * known["raw"].get_data()[0],
        "wfdb": lambda: known["record"].p_signal[:, 0],
    }
    np.testing.assert_allclose(found[tool](), x, atol=1e-9)


def test_every_tool_of_the_page_is_tried():
    assert {name.partition(",")[0] for name in LINES} == {*TOOLS}
