"""What `san warm` compiles: the codec, the activations, and the training of networks."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from san import compilation, packages
from san.codec.entropy import extension
from san.codec.warming import compile_codec


@dataclass(frozen=True)
class Warmed:
    """What was compiled, and what was not.

    Attributes
    ----------
    functions : int
        Functions that were compiled now. 0 means that all of them were on the disk.
    folder : Path
        Below it the compiled code is kept.
    missing : list of str
        Packages of the networks that are not installed. Then only the codec is compiled.
    """

    functions: int
    folder: Path
    missing: list[str]


def warm() -> Warmed:
    """Compile everything that SAN compiles on a CPU, so that no later call waits for it.

    The code is kept on the disk, for this user, this processor and these versions of SAN, numba,
    llvmlite and Python. An image for containers, or a job of a CI, calls this once.

    Raises
    ------
    OSError
        If no folder for compiled code can be written.

    Examples
    --------
    >>> from san.warming import warm
    >>> warm()  # doctest: +SKIP
    Warmed(functions=118, folder=PosixPath('...'), missing=[])
    """
    before = compilation.compilations().count
    compile_codec()
    missing = packages.lacking(*packages.OF_NETWORKS)
    if not missing:
        _compile_networks()
    made = compilation.compilations()
    if made.count > before and not made.folders:
        raise OSError(compilation.NOWHERE)
    folders = made.folders or {extension.HOME}
    return Warmed(made.count - before, Path(os.path.commonpath(folders)), missing)


def _compile_networks() -> None:
    """Compile the activations for both float types, and a step of training."""
    import torch

    from san import activations, numba_loops
    from san.training.settings import Settings
    from san.training.train import fit

    x = np.random.default_rng(0).standard_normal((2, 1, 24, 24)).astype(np.float32)
    for kind in (torch.float32, torch.float64):
        for shape in ((2, 1, 576), (2, 1, 24, 24)):
            s = torch.from_numpy(x.reshape(shape)).to(kind).requires_grad_()
            for distance in (2, 20):
                activations.extrema(s, distance).sum().backward()
            activations.extrema_pool(s, 4).sum().backward()
            activations.top_k_absolutes(s, 5).sum().backward()
            activations.list_activations(activations.extrema(s, 2))
    for signals in (x.reshape(2, 1, 576), x):
        fit(Settings(kernel_sizes=(5,), epochs=1), signals, signals)
    compilation.compilations().folders |= numba_loops.folders()
