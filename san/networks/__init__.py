"""The networks: what they compute, how their kernels meet signals, how many learn together.

The public names of the networks beside `san.SAN` are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from san.networks.certificates import max_active
    from san.networks.circuits import ProductLayer, grid_tensor, matricization_rank, modular_rank
    from san.networks.closed_forms import (
        coherence,
        nodes_of,
        optimal_loss,
        population_loss,
        relu_kernel,
        welch_bound,
    )
    from san.networks.compression import compress, relative_error
    from san.networks.cube import LowDegreeRegression, fourier_weight, influence
    from san.networks.experts import BucketedRegression
    from san.networks.frames import best_frames, simplex
    from san.networks.mixtures import RoutedExperts
    from san.networks.random_features import RandomFeatures
    from san.networks.sparse_mlp import SparseMLP
    from san.networks.targets import HypercubeFunction, RandomPolynomial
    from san.routing import Candidates, EuclideanLSH, UniformHash

_HOMES = {
    "networks.certificates": ["max_active"],
    "networks.circuits": ["ProductLayer", "grid_tensor", "matricization_rank", "modular_rank"],
    "networks.closed_forms": [
        "coherence",
        "nodes_of",
        "optimal_loss",
        "population_loss",
        "relu_kernel",
        "welch_bound",
    ],
    "networks.compression": ["compress", "relative_error"],
    "networks.cube": ["LowDegreeRegression", "fourier_weight", "influence"],
    "networks.frames": ["best_frames", "simplex"],
    "networks.experts": ["BucketedRegression"],
    "networks.mixtures": ["RoutedExperts"],
    "networks.random_features": ["RandomFeatures"],
    "networks.sparse_mlp": ["SparseMLP"],
    "networks.targets": ["HypercubeFunction", "RandomPolynomial"],
    "routing": ["Candidates", "EuclideanLSH", "UniformHash"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BucketedRegression",
    "Candidates",
    "EuclideanLSH",
    "HypercubeFunction",
    "LowDegreeRegression",
    "ProductLayer",
    "RandomFeatures",
    "RandomPolynomial",
    "RoutedExperts",
    "SparseMLP",
    "UniformHash",
    "best_frames",
    "coherence",
    "compress",
    "fourier_weight",
    "grid_tensor",
    "influence",
    "matricization_rank",
    "max_active",
    "modular_rank",
    "nodes_of",
    "optimal_loss",
    "population_loss",
    "relative_error",
    "relu_kernel",
    "simplex",
    "welch_bound",
]


if not TYPE_CHECKING:  # a checker would take any name for one of this module

    def __getattr__(name: str) -> Any:
        if name not in _HOME_OF:
            raise AttributeError(f"module 'san.networks' has no attribute {name!r}")
        from san import packages

        value = getattr(packages.load(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
