"""How results reach the disk: whole or not at all, and checked when they are read back."""

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from san.packages import need

LARGEST = 1 << 30  # bytes of a tensor file that is still read


def write(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name, flush it to the disk, and rename it into place.

    A process that is killed, or a disk that is full, leaves the former file as it was.
    """
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file under a temporary name, which is renamed into place where no error ends the block."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # its own words name the temporary file, or none
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_standard(content: bytes) -> None:
    """Write all of it to standard output.

    Where Python does not buffer (PYTHONUNBUFFERED), a call writes as much as the system takes.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    left = memoryview(content)
    while left:
        written = sys.stdout.buffer.write(left)
        if not written:
            raise OSError(errno.EAGAIN, "standard output takes no more")
        left = left[written:]
    sys.stdout.buffer.flush()


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left in a folder."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], description: Any) -> None:
    """Write arrays and a description (JSON) as a safetensors file that carries its own SHA-256."""
    need("safetensors")
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    text = json.dumps(description, sort_keys=True)
    # One entry: safetensors writes several in a random order.
    envelope = json.dumps({"sha256": _digest(arrays, text), "description": text})
    write(path, save(arrays, {"san": envelope}))


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], Any]:
    """Read what `write_tensors` wrote.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If it is too large, not such a file, or does not agree with its SHA-256.
    """
    need("safetensors")
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, more than {LARGEST}")
    try:
        with safe_open(path, framework="numpy") as file:
            envelope = dict(json.loads((file.metadata() or {}).get("san", "{}")))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is corrupt: {error}") from error
    text = str(envelope.get("description"))
    if envelope.get("sha256") != _digest(tensors, text):
        raise ValueError(f"{path} is corrupt: its content does not agree with its SHA-256")
    return tensors, json.loads(text)


def _digest(tensors: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
