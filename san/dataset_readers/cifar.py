"""CIFAR-10 in the layout of torchvision, from a folder that is at hand; it is never downloaded."""

from pathlib import Path

import numpy as np

from san.dataset_readers.fetch import MissingData
from san.dataset_readers.images import Labelled, import_torchvision

FOLDER = "cifar-10-batches-py"
VALIDATION = 5000  # the last of the training images


def load(places: list[Path]) -> Labelled:
    """Return (x, y) of the training, validation and test images.

    x has shape (N, 3, 32, 32), float32 in [0, 1], y (N,), int64. The files are pickles, so
    torchvision compares each with the MD5 sum that it knows before it opens it.

    Raises
    ------
    MissingData
        If no place holds the folder `cifar-10-batches-py`.
    ValueError
        If a file of it is not the published one.
    """
    root = next((place for place in places if (place / FOLDER).is_dir()), None)
    if root is None:
        raise MissingData(
            f"cifar-10 is not here: put the folder {FOLDER} into FOLDER, and give FOLDER as data "
            "folder (--data-dir)"
        )
    dataset = import_torchvision("torchvision.datasets").CIFAR10
    try:
        train, test = (dataset(root, train=train) for train in (True, False))
    except RuntimeError as error:
        raise ValueError(f"{root / FOLDER} is corrupt: {error}") from error
    (x, y), test_part = (
        (np.moveaxis(part.data, 3, 1) / np.float32(255), np.array(part.targets, np.int64))
        for part in (train, test)
    )
    return [(x[:-VALIDATION], y[:-VALIDATION]), (x[-VALIDATION:], y[-VALIDATION:]), test_part]
