"""Sparsely Activated Networks: the public names, loaded when they are first used.

`import san` loads neither torch nor numba, scipy or wfdb.
"""

import sys
from typing import TYPE_CHECKING, Any

from san import deprecated

if TYPE_CHECKING:
    from san import archive, beats, datasets, event_table, metrics, networks, report, signals
    from san.activations import (
        competing_extrema,
        extrema,
        extrema_pool,
        identity,
        list_activations,
        relu,
        top_k_absolutes,
    )
    from san.codec.bank import DictionaryBank, learn_dictionaries
    from san.codec.decoder import Decoder, decompress
    from san.codec.dictionaries import learn_dictionary
    from san.codec.encoder import compress
    from san.codec.errors import CodecError
    from san.codec.file_format.limits import Limits
    from san.codec.incremental import Encoder
    from san.codec.info import inspect
    from san.codec.modes.dictionary import Dictionary
    from san.codec.recovery import recover
    from san.files.reading import read
    from san.metrics import (
        inverse_compression_ratio,
        max_abs_error,
        normalized_loss,
        phi,
        prd,
        prdn,
        snr,
    )
    from san.networks.choices import sparsity_of
    from san.networks.convolution import reconstruction, similarity
    from san.networks.san import SAN, Events, Output, SAN1d, SAN2d
    from san.training.scores import evaluate
    from san.training.settings import Settings
    from san.training.train import Training, fit

_HOMES = {
    "activations": [
        "competing_extrema",
        "extrema",
        "extrema_pool",
        "identity",
        "list_activations",
        "relu",
        "top_k_absolutes",
    ],
    "codec.bank": ["DictionaryBank", "learn_dictionaries"],
    "codec.decoder": ["Decoder", "decompress"],
    "codec.modes.dictionary": ["Dictionary"],
    "codec.encoder": ["compress"],
    "codec.errors": ["CodecError"],
    "codec.file_format.limits": ["Limits"],
    "codec.info": ["inspect"],
    "codec.dictionaries": ["learn_dictionary"],
    "codec.incremental": ["Encoder"],
    "codec.recovery": ["recover"],
    "files.reading": ["read"],
    "networks.convolution": ["reconstruction", "similarity"],
    "metrics": [
        "inverse_compression_ratio",
        "max_abs_error",
        "normalized_loss",
        "phi",
        "prd",
        "prdn",
        "snr",
    ],
    "networks.choices": ["sparsity_of"],
    "networks.san": ["SAN", "Events", "Output", "SAN1d", "SAN2d"],
    "training.scores": ["evaluate"],
    "training.settings": ["Settings"],
    "training.train": ["Training", "fit"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = (
    "archive",
    "beats",
    "datasets",
    "event_table",
    "metrics",
    "networks",
    "report",
    "signals",
)

__all__ = [
    "SAN",
    "CodecError",
    "Decoder",
    "Dictionary",
    "DictionaryBank",
    "Encoder",
    "Events",
    "Limits",
    "Output",
    "SAN1d",
    "SAN2d",
    "Settings",
    "Training",
    "archive",
    "beats",
    "competing_extrema",
    "compress",
    "datasets",
    "decompress",
    "evaluate",
    "event_table",
    "extrema",
    "extrema_pool",
    "fit",
    "identity",
    "inspect",
    "inverse_compression_ratio",
    "learn_dictionaries",
    "learn_dictionary",
    "list_activations",
    "max_abs_error",
    "metrics",
    "networks",
    "normalized_loss",
    "phi",
    "prd",
    "prdn",
    "read",
    "reconstruction",
    "recover",
    "relu",
    "report",
    "signals",
    "similarity",
    "snr",
    "sparsity_of",
    "top_k_absolutes",
]


if deprecated.Finder not in sys.meta_path:
    sys.meta_path.append(deprecated.Finder)


if not TYPE_CHECKING:  # a checker would take any name for one of san

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return _load(name)
        if name in _HOME_OF:
            value = getattr(_load(_HOME_OF[name]), name)
            globals()[name] = value
            return value
        if name == "__version__":
            from importlib.metadata import version

            return version("sparsely-activated-networks")
        if name in deprecated.NAMES:
            new = deprecated.NAMES[name]
            deprecated.warn(f"san.{name}", f"san.{new}")
            return getattr(sys.modules[__name__], new)
        raise AttributeError(f"module 'san' has no attribute {name!r}")


def _load(module: str) -> Any:
    from san import packages

    return packages.load(module)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
