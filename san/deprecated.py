"""The old names that still work, and what they are called now.

Modules, public names of `san`, names of a module, attributes and arguments. The old name of each
works for one release, and warns. A new entry belongs in the list of `tests/test_deprecated.py`.
"""

import dataclasses
import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

#: The release that removes what is old here.
REMOVED_IN = "0.6"

#: Public names of `san`.
NAMES: dict[str, str] = {"events": "list_activations"}

#: Modules, below `san`.
MODULES = {
    "activations_gpu": "hot_path.gpu.launch",
    "archive_manifest": "archives.manifest",
    "archive_record": "archives.record_to_stream",
    "archive_verify": "archives.verify",
    "archive_workers": "archives.workers",
    "arrays": "files.arrays",
    "arrays_edf": "files.edf",
    "arrays_wfdb": "files.wfdb_reading",
    "bank": "networks.bank",
    "chunks": "codec.ndarray",
    "classify": "paper.classifiers",
    "codec.accuracy": "codec.numbers.accuracy",
    "codec.attachments": "codec.file_format.attachments",
    "codec.dictionary": "codec.modes.dictionary",
    "codec.header": "codec.file_format.header",
    "codec.kernels": "codec.dictionaries",
    "codec.representation": "codec.numbers.representation",
    "codec.stream": "codec.file_format.stream",
    "convolution": "networks.convolution",
    "distributed": "training.distributed",
    "explore": "pages.explore",
    "extrema_cpu": "hot_path.cpu.extrema",
    "extrema_cpu_2d": "hot_path.cpu.extrema_images",
    "fetch": "dataset_readers.fetch",
    "model": "networks.san",
    "page": "pages.page",
    "pool_cpu": "hot_path.cpu.pool",
    "processes": "training.processes",
    "pursuit": "networks.refit",
    "report_page": "pages.report_page",
    "reproduce": "paper.experiments",
    "runs": "training.runs",
    "selection": "hot_path.operation",
    "settings": "training.settings",
    "streams": "files.streams",
    "tables": "paper.tables",
    "top_k_cpu": "hot_path.cpu.top_k",
    "train": "training.train",
}

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def warn(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that `old` is `new` now.

    Parameters
    ----------
    old, new : str
        Both as the user writes them.
    stacklevel : int
        Which caller the warning points at. 3 is the caller of the function that calls this one.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("san.before", "san.after")
    >>> print(caught[0].message)
    san.before is now san.after; 0.6 removes the old name
    """
    warnings.warn(_message(old, new), DeprecationWarning, stacklevel)


def _message(old: str, new: str) -> str:
    return f"{old} is now {new}; {REMOVED_IN} removes the old name"


def attribute(old: str, new: str) -> Any:
    """Return the old name of an attribute, for the body of a class.

    Examples
    --------
    >>> class Recording:
    ...     x = (1, 2)
    ...     data = attribute("data", "x")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     Recording().data
    (1, 2)
    >>> print(caught[0].message)
    Recording.data is now Recording.x; 0.6 removes the old name
    """

    def get(self: Any) -> Any:
        kind = type(self).__name__
        warn(f"{kind}.{old}", f"{kind}.{new}")
        return getattr(self, new)

    return property(get, doc=f"The old name of `{new}`.")


def state(**new_of: str) -> Any:
    """Return the `__setstate__` of a dataclass, which takes pickles with fields of old names.

    Fields that the pickle does not have get their defaults.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Recording:
    ...     x: tuple
    ...     events: tuple = ()
    ...     __setstate__ = state(data="x")
    >>> recording = Recording.__new__(Recording)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     recording.__setstate__({"data": (1, 2)})
    >>> recording
    Recording(x=(1, 2), events=())
    >>> print(caught[0].message)
    pickled Recording.data is now Recording.x; 0.6 removes the old name
    """

    def set_state(self: Any, found: dict[str, Any]) -> None:
        kind = type(self).__name__
        for old in [name for name in found if name in new_of]:
            warn(f"pickled {kind}.{old}", f"{kind}.{new_of[old]}")
        self.__dict__.update({new_of.get(name, name): value for name, value in found.items()})
        for each in dataclasses.fields(self):
            if each.name not in self.__dict__ and each.default_factory is not dataclasses.MISSING:
                self.__dict__[each.name] = each.default_factory()

    return set_state


def arguments(**new_of: str) -> Callable[[_Decorated], _Decorated]:
    """Let a function, or the `__init__` of a class, take arguments under their old names too.

    Parameters
    ----------
    **new_of : str
        The new name of each old one.

    Raises
    ------
    TypeError
        When the function is called with an old name and its new one.

    Examples
    --------
    >>> @arguments(sampling_rate="fs")
    ... def seconds(samples, fs):
    ...     return samples / fs
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     seconds(720, sampling_rate=360)
    2.0
    >>> print(caught[0].message)
    seconds(sampling_rate=) is now seconds(fs=); 0.6 removes the old name
    """

    def decorate(thing: _Decorated) -> _Decorated:
        name = thing.__name__
        function: Any = getattr(thing, "__init__") if isinstance(thing, type) else thing  # noqa: B009

        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            for old in new_of.keys() & kwargs.keys():
                new = new_of[old]
                if new in kwargs:
                    raise TypeError(
                        f"{name}() got {new} and {old}, which is its old name: give {new} alone"
                    )
                warn(f"{name}({old}=)", f"{name}({new}=)")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        if isinstance(thing, type):
            thing.__init__ = renamed  # type: ignore[misc]
            return thing
        return renamed  # type: ignore[return-value]

    return decorate


def names(module: str, new_of: Mapping[str, str]) -> None:
    """Let a module answer to old names of what it holds.

    It gets a `__getattr__` here, and not in its own text: a type checker that sees one there
    believes that the module has every name.

    Parameters
    ----------
    module : str
        The module's `__name__`.
    new_of : mapping of str to str
        The new name of each old one. A name with a dot is that of another module of `san`:
        "codec.errors.CodecError".

    Examples
    --------
    `san/metrics.py` says `deprecated.names(__name__, {"counted_weights": "count_weights"})`.

    >>> from san import metrics
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     metrics.counted_weights is metrics.count_weights
    True
    >>> print(caught[0].message)
    san.metrics.counted_weights is now san.metrics.count_weights; 0.6 removes the old name
    """

    def old_name(name: str) -> Any:
        if name not in new_of:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, new = new_of[name].rpartition(".")
        place = f"san.{place}" if place else module
        warn(f"{module}.{name}", f"{place}.{new}")
        return getattr(import_module(place), new)

    sys.modules[module].__getattr__ = old_name  # type: ignore[method-assign]


class Finder:
    """Finds a module under its old name, and says its new one.

    Python asks this finder last, so it costs nothing where a name is not an old one.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find a module under its old name, and nothing else."""
        if name.startswith("san.") and name.removeprefix("san.") in MODULES:
            return ModuleSpec(name, Finder())  # type: ignore[arg-type] # load_module is not needed
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python; the module is put in its place when it is executed."""

    def get_code(self, name: str) -> Any:
        """Give `python -m` the code of the new name."""
        new = f"san.{MODULES[name.removeprefix('san.')]}"
        where = f"python -m {name}"  # no frame of the user's is there to point at
        warnings.warn_explicit(
            _message(where, f"python -m {new}"), DeprecationWarning, where, 1, "__main__"
        )
        loader: Any = find_spec(new).loader  # type: ignore[union-attr] # it is a module of san
        return loader.get_code(new)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of the new name in the place of the old one."""
        new = f"san.{MODULES[module.__name__.removeprefix('san.')]}"
        warn(module.__name__, new, stacklevel=3)  # the frames of importlib do not count
        sys.modules[module.__name__] = import_module(new)
