"""What happens where a package is not installed: one line names it and the way to install it.

Reading and writing streams needs NumPy alone, and the command line needs typer and rich. Rooms that
need more say so here before they import it.
"""

import re
from collections.abc import Iterable
from importlib import import_module, util
from types import ModuleType

#: What networks, their training and their figures need.
OF_NETWORKS = ("matplotlib", "pydantic", "safetensors", "scipy", "torch")


class MissingPackage(ModuleNotFoundError):
    """A package of others is not installed; the message names it and how to install it."""


def need(*names: str) -> None:
    """Refuse to go on unless these packages are installed; none of them is imported.

    Raises
    ------
    MissingPackage
        If one is not installed. The message names all that are missing, and the command that
        installs them.

    Examples
    --------
    >>> need("numpy")
    >>> need("numpy", "tensile")
    Traceback (most recent call last):
        ...
    san.packages.MissingPackage: this needs tensile, which is not installed: pip install tensile
    """
    missing = lacking(*names)
    if missing:
        raise _refusal(missing)


def lacking(*names: str) -> list[str]:
    """Those of these packages that are not installed.

    Examples
    --------
    >>> lacking("numpy", "tensile")
    ['tensile']
    """
    return [name for name in names if util.find_spec(name) is None]


def explained(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Turn Python's error about a package of others into one that says how to install it.

    An error that `need` raised, or one about a module of SAN itself, comes back as it is.
    """
    if is_about_san(error) or isinstance(error, MissingPackage):
        return error
    return _refusal([str(error.name).partition(".")[0]])


def load(module: str) -> ModuleType:
    """Import a module, named below `san`; where a package is missing, say how to install it.

    Examples
    --------
    >>> load("times").__name__
    'san.times'
    """
    try:
        return import_module(f"san.{module}")
    except ModuleNotFoundError as error:
        raise explained(error) from error


def is_about_san(error: ModuleNotFoundError) -> bool:
    """Say whether a module of SAN itself was not found, which is a fault and not a lack."""
    return (error.name or "san").partition(".")[0] == "san"


def _refusal(names: list[str]) -> MissingPackage:
    """Build the error that says what is not installed and how to install it."""
    verb = "is" if len(names) == 1 else "are"
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    wanted = " ".join(map(_quoted, _requirements(names)))
    return MissingPackage(
        f"this needs {listed}, which {verb} not installed: pip install {wanted}", name=names[0]
    )


def _requirements(names: Iterable[str]) -> list[str]:
    """The packages with the versions that SAN's metadata ask for, where they name them."""
    from importlib import metadata

    try:
        lines = metadata.requires("sparsely-activated-networks") or []
    except metadata.PackageNotFoundError:  # used from its source, not installed
        lines = []
    known: dict[str, str] = {}
    for line in lines:
        requirement = line.partition(";")[0].strip()
        known.setdefault(re.split(r"[^\w.-]", requirement)[0], requirement)
    return [known.get(name, name) for name in names]


def _quoted(requirement: str) -> str:
    """Quote a requirement for a shell, which would take < and > for its own."""
    return requirement if re.fullmatch(r"[\w.-]+", requirement) else f"'{requirement}'"
