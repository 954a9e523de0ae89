"""Every old name works until 0.6, warns at the user's line, and gives what the new one gives."""

import dataclasses
import importlib
import pathlib
import pickle
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest

import san
from san import deprecated, metrics, report
from san.codec.decoder import StreamEvents
from san.codec.file_format.header import Header
from san.codec.numbers.representation import Representation
from san.datasets import Dataset
from san.signals import Recording, read_table

X = np.arange(6.0).reshape(3, 2)
RECORDING = Recording(X, 50.0, ("mV", "mV"), ("I", "II"))
DATASET = Dataset("d", "test", X, None, 50.0, ("mV",), ("I",), "", "")
HEADER = Header(Representation(np.dtype("int16"), 1, 1), 3600, 50.0)
EVENTS = StreamEvents(np.array([0, 1]), np.array([3, 70]), np.array([[2.0], [-1.0]]), 32)


@pytest.mark.parametrize("old", sorted(deprecated.MODULES))
def test_modules(old):
    new = f"san.{deprecated.MODULES[old]}"
    if "gpu" in new:
        pytest.importorskip("triton")
    sys.modules.pop(f"san.{old}", None)
    with pytest.warns(
        DeprecationWarning, match=f"san.{old} is now {new}; 0.6 removes the old name"
    ):
        module = importlib.import_module(f"san.{old}")
    assert module is importlib.import_module(new)
    assert module.__spec__.name == new


def test_the_warning_of_a_module_points_at_its_import():
    sys.modules.pop("san.streams", None)
    with pytest.warns(DeprecationWarning) as caught:
        import san.streams  # noqa: F401
    assert caught[0].filename == __file__


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"san\.nonsense"):
        importlib.import_module("san.nonsense")


@pytest.mark.parametrize("old", sorted(deprecated.NAMES))
def test_public_names(old):
    new = deprecated.NAMES[old]
    with pytest.warns(
        DeprecationWarning, match=f"san.{old} is now san.{new}; 0.6 removes the old name"
    ):
        found = getattr(san, old)
    assert found is getattr(san, new)
    assert old not in dir(san)


def test_the_warning_of_a_public_name_points_at_its_user(monkeypatch):
    monkeypatch.setitem(deprecated.NAMES, "before", "prd")
    with pytest.warns(DeprecationWarning, match="san.before is now san.prd; ") as caught:
        assert san.before is san.prd
    assert caught[0].filename == __file__


# What has an attribute, the attribute's old name and its new one.
ATTRIBUTES = [
    (RECORDING, "data", "x"),
    (RECORDING, "sampling_rate", "fs"),
    (RECORDING, "channels", "names"),
    (DATASET, "sampling_rate", "fs"),
    (DATASET, "channels", "names"),
    (HEADER, "sampling_rate", "fs"),
    (EVENTS, "kernels", "kernel"),
    (EVENTS, "amplitudes", "amplitude"),
]


@pytest.mark.parametrize(
    ("thing", "old", "new"),
    ATTRIBUTES,
    ids=[f"{type(thing).__name__}.{old}" for thing, old, _ in ATTRIBUTES],
)
def test_attributes(thing, old, new):
    with pytest.warns(DeprecationWarning, match=rf"\.{old} is now .*\.{new}; ") as caught:
        value = getattr(thing, old)
    assert value is getattr(thing, new)
    assert caught[0].filename == __file__


def recording_of_table(**options):
    """A recording that is read from a table."""
    pathlib.Path("t.csv").write_text("time,I\n0,1\n0.02,2\n")
    return read_table("t.csv", units=["mV"], **options)


def time_of_plot(plot, *inputs, **options):
    """The axis of time of a figure."""
    axes = plot(*inputs, **options).axes[-1]
    return axes.get_xlabel(), axes.get_xlim()


# A call, an argument's old name and its new one, and a value of it.
ARGUMENTS = {
    "Recording-data": (partial(Recording, fs=1.0, units=(), names=()), "data", "x", X),
    "Recording-sampling_rate": (
        partial(Recording, X, units=(), names=()),
        "sampling_rate",
        "fs",
        5,
    ),
    "Recording-channels": (partial(Recording, X, 1.0, ("mV",)), "channels", "names", ("I",)),
    "Dataset-sampling_rate": (
        partial(Dataset, "d", "test", X, None, units=(), names=(), scale="", licence=""),
        "sampling_rate",
        "fs",
        50.0,
    ),
    "Dataset-channels": (
        partial(Dataset, "d", "test", X, None, 50.0, (), scale="", licence=""),
        "channels",
        "names",
        ("I",),
    ),
    "inverse_compression_ratio": (
        partial(san.inverse_compression_ratio, np.ones((1, 1, 5, 5)), [3]),
        "weights",
        "counted_weights",
        "published",
    ),
    "count_weights": (
        partial(metrics.count_weights, [(3, 3)]),
        "weights",
        "counted_weights",
        "published",
    ),
    "read_table": (recording_of_table, "sampling_rate", "fs", 50.0),
} | {
    plot.__name__: (partial(time_of_plot, plot, *inputs), "sampling_rate", "fs", 50.0)
    for plot, inputs in {
        report.plot_signal: [X[0]],
        report.plot_kernels: [X],
        report.plot_similarities: [X],
        report.plot_activations: [X],
        report.plot_reconstruction: [X[0], X[0]],
        report.plot_overview: [X[0], X, X, X, X[0]],
    }.items()
}


@pytest.mark.parametrize(("call", "old", "new", "value"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(call, old, new, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(DeprecationWarning, match=rf"\({old}=\) is now .*\({new}=\); ") as caught:
        found = call(**{old: value})
    assert repr(found) == repr(call(**{new: value}))
    assert caught[0].filename == __file__


# A module, a name that it had, and what that is called now (below `san`).
NAMES = [
    ("networks.san", "sparsity_of", "networks.choices.sparsity_of"),
    ("networks.san", "INITIALIZATIONS", "networks.choices.STARTS"),
    ("metrics", "counted_weights", "metrics.count_weights"),
    ("activations", "events", "activations.list_activations"),
    ("codec.decoder", "ChunkEvents", "codec.decoder.StreamEvents"),
    ("training.runs", "Source", "training.run_settings.RunData"),
]


@pytest.mark.parametrize(("module", "old", "new"), NAMES, ids=[".".join(row[:2]) for row in NAMES])
def test_names_of_modules(module, old, new):
    place, _, name = f"san.{new}".rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"san.{module}.{old} is now san.{new}; ") as caught:
        found = getattr(importlib.import_module(f"san.{module}"), old)
    assert found is getattr(importlib.import_module(place), name)
    assert caught[0].filename == __file__


def test_a_name_that_a_module_never_had():
    with pytest.raises(AttributeError, match=r"module 'san\.metrics' has no attribute 'nonsense'"):
        _ = metrics.nonsense


@deprecated.arguments(sampling_rate="fs")
class Rate:
    def __init__(self, fs):
        self.fs = fs

    @deprecated.arguments(samples="n")
    def seconds(self, n):
        """Say how long n samples last."""
        return n / self.fs

    sampling_rate = deprecated.attribute("sampling_rate", "fs")


def test_a_class_and_a_method_take_old_arguments():
    with pytest.warns(DeprecationWarning, match=r"^Rate\(sampling_rate=\) is now Rate\(fs=\); "):
        rate = Rate(sampling_rate=50)
    with pytest.warns(DeprecationWarning, match=r"^seconds\(samples=\) is now seconds\(n=\); "):
        assert rate.seconds(samples=100) == 2
    with pytest.warns(DeprecationWarning, match=r"^Rate\.sampling_rate is now Rate\.fs; "):
        assert rate.sampling_rate == 50
    assert Rate.seconds.__doc__ == "Say how long n samples last."


def test_new_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Rate(fs=50).seconds(n=100) == Rate(50).seconds(100) == 2


def test_an_argument_under_both_names_is_refused():
    with pytest.raises(TypeError, match=r"^Rate\(\) got fs and sampling_rate, which is its"):
        Rate(fs=50, sampling_rate=50)
    with pytest.raises(TypeError, match="fs"), pytest.warns(DeprecationWarning):
        Rate(50, sampling_rate=50)


def test_positions_of_a_stream_are_still_first_samples():
    words = r"\.positions is now StreamEvents\.start \(a kernel's first sample; .* its middle\); "
    with pytest.warns(DeprecationWarning, match=words) as caught:
        assert EVENTS.positions.tolist() == [3 - 15, 70 - 15]
    assert caught[0].filename == __file__


def test_events_of_a_stream_can_still_be_unpacked():
    words = "^unpacking StreamEvents is now reading its start, kernel and amplitude; "
    with pytest.warns(DeprecationWarning, match=words) as caught:
        positions, kernels, amplitudes = EVENTS
    assert caught[0].filename == __file__
    assert positions is EVENTS.start and kernels is EVENTS.kernel
    assert amplitudes is EVENTS.amplitude


def test_the_error_of_dataclasses_replace_says_the_new_name():
    with pytest.raises(TypeError, match="sampling_rate, which is its old name: give fs alone"):
        dataclasses.replace(RECORDING, sampling_rate=100.0)
    assert dataclasses.replace(RECORDING, fs=100.0).fs == 100.0


@pytest.mark.parametrize("thing", [RECORDING, DATASET], ids=["Recording", "Dataset"])
def test_pickles_of_0_4_are_read(thing):
    renamed = {"fs": "sampling_rate", "names": "channels"}
    if thing is RECORDING:
        renamed["x"] = "data"
    added = {"start", "annotations", "events", "raw", "others"}
    old = object.__new__(type(thing))
    old.__dict__.update({renamed.get(k, k): v for k, v in vars(thing).items() if k not in added})
    with pytest.warns(DeprecationWarning) as caught:
        again = pickle.loads(pickle.dumps(old))
    kind = type(thing).__name__
    assert {str(each.message) for each in caught} == {
        f"pickled {kind}.{before} is now {kind}.{now}; 0.6 removes the old name"
        for now, before in renamed.items()
    }
    assert repr(again) == repr(thing)
    assert repr(pickle.loads(pickle.dumps(thing))) == repr(thing)  # without a warning


def test_an_old_module_runs_as_a_program():
    run = subprocess.run(
        [sys.executable, "-m", "san.archive_manifest"], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "")
    new = "python -m san.archives.manifest"
    assert f"python -m san.archive_manifest is now {new}; 0.6 removes the old name" in run.stderr
