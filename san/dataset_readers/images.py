"""MNIST and FashionMNIST through torchvision, also where torch is built without CUDA."""

import functools
import gzip
import hashlib
import importlib
import re
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from san.dataset_readers import fetch
from san.dataset_readers.fetch import MissingData

Manifest = dict[str, Any]
Labelled = list[tuple[np.ndarray, np.ndarray]]

_NEEDED = ("nms", "qnms")  # operators that the import of torchvision looks for


def load(name: str, manifest: Manifest, places: list[Path]) -> tuple[str, Labelled]:
    """Return what the images are called, and (x, y) of the three splits.

    x has shape (N, 1, 28, 28), float32 in [0, 1], y (N,), int64. The validation images are the
    last of the training images. If the files are not here and cannot be downloaded, a part of
    them that the manifest knows is used, split in the same proportions, and the name says so.
    Raises MissingData or ValueError.
    """
    try:
        files = {
            file["name"]: _locate(manifest, file["name"], places) or _download(name, manifest, file)
            for file in manifest["files"]
        }
    except MissingData:
        part = manifest.get("part", {"images": "", "labels": ""})
        images, labels = (fetch.locate([part[kind]], places) for kind in ("images", "labels"))
        if not part["images"] or images is None or labels is None:
            raise
        return f"{name} ({part['name']})", _load_part(part["split"], images, labels)
    sha256 = {file["name"]: file.get("sha256") for file in manifest["files"]}
    (x, y), test = _read(manifest["torchvision"], files, sha256)
    train, validation = manifest["split"]
    if len(x) != train + validation:
        raise ValueError(f"{name} must have {train + validation} training images, got {len(x)}")
    return name, [(x[:train], y[:train]), (x[train:], y[train:]), test]


def _load_part(split: list[int], images: Path, labels: Path) -> Labelled:
    mnist = import_torchvision("torchvision.datasets.mnist")
    with tempfile.TemporaryDirectory() as root:
        unpacked = [Path(root) / "images", Path(root) / "labels"]
        for path, target in zip((images, labels), unpacked, strict=True):
            _unpack(path, target, None)
        try:
            x = mnist.read_image_file(str(unpacked[0])).numpy()[:, None] / np.float32(255)
            y = mnist.read_label_file(str(unpacked[1])).numpy().astype(np.int64)
        except Exception as error:
            raise ValueError(f"{images} cannot be read: {error}") from error
    if len(x) != sum(split) or len(y) != sum(split):
        raise ValueError(
            f"{images} must hold {sum(split)} images, got {len(x)} and {len(y)} labels"
        )
    bounds = np.cumsum(split)[:-1]
    return list(zip(np.split(x, bounds), np.split(y, bounds), strict=True))


def is_here(manifest: Manifest, places: list[Path]) -> bool:
    """Say whether all files load without the network."""
    return all(_locate(manifest, file["name"], places) for file in manifest["files"])


def _locate(manifest: Manifest, file: str, places: list[Path]) -> Path | None:
    paths = [f"{folder}/{file}{ending}" for folder in manifest["folders"] for ending in ("", ".gz")]
    return fetch.locate(paths, places)


def _download(name: str, manifest: Manifest, file: dict[str, str]) -> Path:
    folder, archive = manifest["folders"][0], f"{file['name']}.gz"
    try:
        address = f"{manifest['address']}/{archive}"
        return fetch.download(address, fetch.cache() / folder / archive, f"md5:{file['md5_gz']}")
    except MissingData as error:
        raise MissingData(
            f"{name} is not here, and {error}: put its four idx files into FOLDER/{folder} and "
            "give FOLDER as data folder (--data-dir)"
        ) from error


def _read(name: str, files: dict[str, Path], sha256: dict[str, str | None]) -> Labelled:
    """Training and test images and classes, read by torchvision from checked, unzipped files."""
    dataset = getattr(import_torchvision("torchvision.datasets"), name)
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root) / name / "raw"
        raw.mkdir(parents=True)
        for file, path in files.items():
            _unpack(path, raw / file, sha256[file])
        try:
            parts = [dataset(root, train=train) for train in (True, False)]
        except Exception as error:
            raise ValueError(f"{name} cannot be read: {error}") from error
    return [
        (part.data.numpy()[:, None] / np.float32(255), part.targets.numpy().astype(np.int64))
        for part in parts
    ]


def import_torchvision(module: str) -> ModuleType:
    """Import a module of torchvision, also beside a torch that it was not built for.

    The usual wheel of torchvision is built against CUDA. Beside a CPU build of torch its compiled
    operators do not load, and its import ends with "operator torchvision::nms does not exist",
    although no operator is needed to read images. Two operators that are declared, with no code
    behind them, are enough for the import. They are declared only after this very failure: where
    torchvision has its operators, a second declaration would break it.
    """
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if not re.search(
            rf"operator torchvision::({'|'.join(_NEEDED)}) does not exist", str(error)
        ):
            raise
    _declare_operators()
    return importlib.import_module(module)


@functools.cache  # the operators live as long as the library, which is kept here
def _declare_operators() -> Any:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _NEEDED:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def _unpack(path: Path, target: Path, sha256: str | None) -> None:
    try:
        opened = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
        with opened as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is corrupt: {error}") from error
    with open(target, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and digest != sha256:
        raise ValueError(f"{path} is corrupt: the SHA-256 of its content is {digest}")
