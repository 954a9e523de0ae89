"""Where the modules of 0.4 are now: their old names work until 0.6, with a warning.

Python asks this finder last, so it costs nothing where a name is not an old one.
"""

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "activations_gpu": "selection.gpu.launch",
    "archive_manifest": "archives.manifest",
    "archive_record": "archives.record",
    "archive_verify": "archives.verify",
    "archive_workers": "archives.workers",
    "arrays": "files.arrays",
    "arrays_edf": "files.edf",
    "arrays_wfdb": "files.wfdb",
    "bank": "networks.bank",
    "chunks": "codec.ndarray",
    "classify": "paper.classifiers",
    "codec.accuracy": "codec.numbers.accuracy",
    "codec.attachments": "codec.container.attachments",
    "codec.dictionary": "codec.modes.dictionary",
    "codec.header": "codec.container.header",
    "codec.kernels": "codec.dictionaries",
    "codec.representation": "codec.numbers.representation",
    "codec.stream": "codec.container.stream",
    "convolution": "networks.convolution",
    "distributed": "training.distributed",
    "explore": "pages.explore",
    "extrema_cpu": "selection.cpu.extrema",
    "extrema_cpu_2d": "selection.cpu.extrema_images",
    "fetch": "data.fetch",
    "model": "networks.san",
    "page": "pages.page",
    "pool_cpu": "selection.cpu.pool",
    "processes": "training.processes",
    "pursuit": "networks.refit",
    "report_page": "pages.reports",
    "reproduce": "paper.experiments",
    "runs": "training.runs",
    "settings": "training.settings",
    "streams": "files.streams",
    "tables": "paper.tables",
    "top_k_cpu": "selection.cpu.top_k",
    "train": "training.train",
}


class Finder:
    """Finds a module under its old name, and says its new one."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find what has moved, and nothing else."""
        if name.startswith("san.") and name.removeprefix("san.") in MOVED:
            return ModuleSpec(name, Finder())  # type: ignore[arg-type] # load_module is not needed
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python; the module is put in its place when it is executed."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the old one."""
        new = f"san.{MOVED[module.__name__.removeprefix('san.')]}"
        warnings.warn(
            f"{module.__name__} is {new} now; its old name goes with 0.6",
            DeprecationWarning,
            stacklevel=2,  # the frames of importlib do not count
        )
        sys.modules[module.__name__] = import_module(new)
