"""Where a dictionary comes from: signals that share one, a file, or a trained model."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from san import storage
from san.codec.dictionary_files import archive_of, dictionary_path, kept_with
from san.codec.errors import WrongDictionary
from san.codec.file_format.header import checked_fs
from san.codec.modes.dictionary import Dictionary, middle_of, quantize
from san.codec.numbers.grids import BITS
from san.codec.numbers.integers import represent
from san.codec.target import Target
from san.codec.trained import TRAINED, trained, trained_named

MODEL = "model.safetensors"  # in a run folder
MODEL_FORMAT = "san model 1"
MULTIPLE = 32  # samples; zeros are added to kernels up to a multiple of this

DictionaryLike = Dictionary | str | os.PathLike[str]
# What a decoder takes: also a folder, or any number of dictionaries, one of which a stream names.
DictionariesLike = DictionaryLike | Iterable[Dictionary]


def learn_dictionary(
    x: np.ndarray | Sequence[np.ndarray], fs: float | None = None, prdn: float = 8.0
) -> Dictionary:
    """Learn the kernels that one signal, or many short ones, have in common.

    Parameters
    ----------
    x : array (n,) or (n, channels), or a sequence of such arrays
        As `san.compress` takes them; all with the same number of channels.
    fs : float, optional
        Sampling rate in Hz. The length of kernels depends on it.
    prdn : float
        The error, in per cent, of the streams for which the dictionary is meant.

    Returns
    -------
    Dictionary

    Raises
    ------
    TypeError
        If x is neither an array nor a sequence of arrays, or has a dtype that is refused.
    ValueError
        If there is no signal or one without samples, the channels differ, or no kernel saves
        anything.

    Examples
    --------
    >>> import san
    >>> beats = np.zeros(20_000)
    >>> beats[100:-300:300] = 100.0
    >>> x = np.rint(np.convolve(beats, np.hanning(40), "same")).astype(np.int16)
    >>> dictionary = san.learn_dictionary(x, fs=360)
    >>> blob = san.compress(x[:3600], fs=360, prdn=8.0, dictionary=dictionary)
    >>> san.decompress(blob).shape
    (3600,)
    """
    arrays = [x] if isinstance(x, np.ndarray) else list(x)
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise TypeError("learn_dictionary takes an array, or a sequence of arrays")
    if not arrays:
        raise ValueError("learn_dictionary needs a signal, got none")
    found = learn_shared(arrays, fs, prdn)
    if found is None:
        raise ValueError("no kernel saves anything on these signals: compress without a dictionary")
    return found


def learn_shared(arrays: Sequence[np.ndarray], fs: float | None, prdn: float) -> Dictionary | None:
    """The dictionary of one or more signals; None where no kernel saves anything."""
    from san.codec.search.excerpts import learn_for

    empty = next((array.shape for array in arrays if not array.size), None)
    if empty is not None:
        raise ValueError(f"learn_dictionary needs signals with samples, got one of shape {empty}")
    channels = sorted({array.shape[1] if array.ndim > 1 else 1 for array in arrays})
    if len(channels) > 1:
        raise ValueError(
            f"signals that share a dictionary need the same number of channels, got {channels}"
        )
    fs, joined = checked_fs(fs), [array.reshape(len(array), -1) for array in arrays]
    k, representation, _, _ = represent(np.concatenate(joined), Target.of(prdn=prdn))
    if any(scale.kind == BITS for scale in representation.scales) or not np.ptp(k, axis=0).any():
        return None
    ends = np.cumsum([len(array) for array in arrays])
    return learn_for(np.split(k, ends[:-1]), fs, prdn)


def find_dictionary(source: DictionaryLike) -> Dictionary:
    """The dictionary itself, or the one in its file, a run folder, or a trained model's file.

    A name such as `ecg` is that of a dictionary which comes with the package, unless there is a
    file or a folder of that name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds neither a dictionary nor a model that can be one.
    """
    if isinstance(source, Dictionary):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"dictionary must be a Dictionary or a path, got {type(source).__name__}")
    path = Path(source)
    if str(source) in TRAINED and not path.exists():
        return trained(str(source))
    if path.is_dir():
        path = path / MODEL
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there: {source} is not a run folder")
    return of_model(path) if path.suffix == ".safetensors" else Dictionary.load(path)


def find_named(given: DictionariesLike | None, name: bytes, stream: Path | None) -> Dictionary:
    """The dictionary that a stream names by its SHA-256 or the first bytes of it.

    Parameters
    ----------
    given : Dictionary or path, or iterable of Dictionary, or None
        What the caller has. A path may be a folder of dictionaries. With None, the dictionary is
        looked for beside the stream, and in the archive that the stream is part of.
    name : bytes
    stream : Path or None
        The file of the stream, if it is in one.

    Raises
    ------
    WrongDictionary
        If no such dictionary is there.
    FileNotFoundError, ValueError
        As `find_dictionary`.
    """
    trained = trained_named(name)
    if trained is not None:
        return trained
    digits, archive = name.hex(), None
    if given is None and stream is not None:
        given, archive = kept_with(stream, digits), archive_of(stream)
    elif isinstance(given, (str, os.PathLike)) and Path(given).is_dir():
        inside = dictionary_path(Path(given), digits)
        if not inside.is_file() and not (Path(given) / MODEL).is_file():
            raise WrongDictionary(name, None, str(given))
        given = inside if inside.is_file() else given
    if given is None:
        raise WrongDictionary(name, None, None if archive is None else str(archive))
    if isinstance(given, Iterable) and not isinstance(given, str):
        digest = None
        for each in given:
            digest = bytes.fromhex(each.sha256)
            if digest.startswith(name):
                return each
        raise WrongDictionary(name, digest)
    found = find_dictionary(given)
    digest = bytes.fromhex(found.sha256)
    if not digest.startswith(name):
        raise WrongDictionary(name, digest)
    return found


def of_model(path: str | os.PathLike[str]) -> Dictionary:
    """The kernels of a trained model, from its `model.safetensors`; torch is not needed.

    All kernels get one length, a multiple of 32 samples. They are filled up with zeros on both
    sides, so that the middle of a kernel, which is the position of its events, is the sample where
    the model has it. Kernels of a model that was trained with the paper's decoder are drawn
    reversed, as that decoder draws them.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If it is corrupt, or does not hold a SAN of signals, or has no kernels that are finite and
        not all zero.
    """
    tensors, description = storage.read_tensors(Path(path))
    if not isinstance(description, dict) or description.get("format") != MODEL_FORMAT:
        raise ValueError(f"{path} holds no SAN")
    if description.get("dimensions") != 1:
        raise ValueError(f"{path} holds a SAN of images: a dictionary needs one of signals")
    reverse = description.get("decoder") == "paper"
    return quantize(_stacked(tensors, reverse, path))


def _stacked(
    tensors: dict[str, np.ndarray], reverse: bool, path: str | os.PathLike[str]
) -> np.ndarray:
    """Kernels of one length: float64 (K, channels, L)."""
    kernels = []
    for number in range(len(tensors)):
        kernel = tensors.get(f"kernel_{number}")
        if kernel is None or kernel.ndim != 2 or not np.isfinite(kernel).all():
            raise ValueError(f"{path} holds no usable kernel {number}")
        if kernel.any():
            kernels.append(kernel[:, ::-1] if reverse else kernel)
    if not kernels or len({len(kernel) for kernel in kernels}) > 1:
        raise ValueError(f"{path} holds no kernels with the same number of channels")
    # The decoders draw so many samples of a kernel before the position of its event.
    befores = [(w.shape[1] if reverse else w.shape[1] - 1) // 2 for w in kernels]
    length = -(-2 * (max(befores) + 1) // MULTIPLE) * MULTIPLE
    stacked = np.zeros((len(kernels), len(kernels[0]), length))
    for kernel, before, row in zip(kernels, befores, stacked, strict=True):
        first = middle_of(length) - before
        row[:, first : first + kernel.shape[1]] = kernel
    return stacked
