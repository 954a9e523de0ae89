"""The dictionaries that come with the package: which there are, and what each is named.

Each was trained on open recordings, and no release changes or removes one: streams name them. A
better one gets another number, and its short name then means the better one.
"""

import functools
from pathlib import Path

from san.codec.modes.dictionary import Dictionary

SHA256 = {
    "ecg-1": "b4a643e30a9452fee3c37484c1e3262a868ae1b253bda89a6f7fef3318d5d046",
}
TRAINED = {name: name for name in SHA256} | {"ecg": "ecg-1"}
FOLDER = Path(__file__).parent


@functools.cache
def trained(name: str) -> Dictionary:
    """A dictionary that comes with the package, by its name.

    Examples
    --------
    >>> trained("ecg").sha256 == SHA256["ecg-1"]
    True
    """
    return Dictionary.load(FOLDER / f"{TRAINED[name]}.dictionary")


def trained_named(name: bytes) -> Dictionary | None:
    """The dictionary that comes with the package and whose SHA-256 begins so, if there is one."""
    digits = name.hex()
    found = (each for each, sha256 in SHA256.items() if sha256.startswith(digits))
    first = next(found, None)
    return None if first is None else trained(first)


def is_trained(dictionary: Dictionary) -> bool:
    """Whether a dictionary comes with the package."""
    return dictionary.sha256 in SHA256.values()
