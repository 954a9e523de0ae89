"""Where a data set's file comes from: a folder of the user's, the cache, or the network.

A download is checked and then renamed into the cache, so that no half-written file ever has a
final name.
"""

import hashlib
import os
import sys
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from san.packages import need

ATTEMPTS = 3
TIMEOUT = 30  # seconds without an answer

_unreachable: set[str] = set()  # hosts that did not answer; this process does not ask them again


class MissingData(FileNotFoundError):
    """A file is not here and cannot be downloaded; the message says how to get it."""


def folders(data_dir: str | Path | None = None) -> list[Path]:
    """List where files are looked for, in order: `data_dir`, $SAN_DATA_DIR, the cache.

    Raises
    ------
    FileNotFoundError
        If `data_dir` is given and is not a folder.
    """
    if data_dir is not None and not Path(data_dir).is_dir():
        raise FileNotFoundError(f"the data folder {data_dir} is not there")
    named = [data_dir, os.environ.get("SAN_DATA_DIR")]
    return [Path(folder) for folder in named if folder] + [cache()]


def cache() -> Path:
    """Return the folder that downloads go to, in the user's cache."""
    need("platformdirs")
    import platformdirs

    return Path(platformdirs.user_cache_dir("sparsely-activated-networks"))


def locate(paths: Sequence[str], places: Sequence[Path]) -> Path | None:
    """Return the first of several relative paths that is a file in one of several folders."""
    return next((place / p for place in places for p in paths if (place / p).is_file()), None)


def download(
    address: str, target: Path, known_hash: str | None = None, verify: Callable | None = None
) -> Path:
    """Download a file to `target`, with a progress bar on a terminal, and check it.

    Parameters
    ----------
    address : str
        URL.
    target : Path
        Where the file goes. It gets this name only when it is whole and right.
    known_hash : str, optional
        "algorithm:digest", or a SHA-256 digest.
    verify : callable, optional
        Takes the path of the file that arrived, and raises ValueError if it is wrong.

    Raises
    ------
    MissingData
        If the network or the address does not answer, after `ATTEMPTS` attempts.
    ValueError
        If another file arrived than was expected.
    """
    need("pooch", "requests")
    import pooch
    import requests

    host = urllib.parse.urlsplit(address).netloc
    if host in _unreachable:
        raise MissingData(f"{address} cannot be reached")
    pooch.get_logger().setLevel("ERROR")
    bar = _Bar(target.name) if sys.stderr.isatty() else None
    http = pooch.HTTPDownloader(progressbar=bar or False, timeout=TIMEOUT)

    def download_and_verify(url: str, arrived: str, source: Any) -> None:
        http(url, arrived, source)
        if verify is not None:
            verify(Path(arrived))

    source = pooch.create(
        target.parent,
        base_url="",
        registry={target.name: known_hash},
        urls={target.name: address},
        retry_if_failed=ATTEMPTS - 1,
    )
    try:
        source.fetch(target.name, downloader=download_and_verify)
    except requests.HTTPError as error:
        raise MissingData(
            f"{address} answers {getattr(error.response, 'status_code', 'nothing')}"
        ) from error
    except requests.RequestException as error:
        if isinstance(error, requests.ConnectionError):
            _unreachable.add(host)
        raise MissingData(f"{address} cannot be reached") from error
    finally:
        if bar is not None:
            bar.close()
    return target


def check_sha256(path: Path, expected: str) -> None:
    """Raise ValueError if a file has another SHA-256."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise ValueError(f"{path} is corrupt: its SHA-256 is {digest}, expected {expected}")


class _Bar:
    """A progress bar of rich, with the methods that pooch calls."""

    def __init__(self, name: str) -> None:
        from rich import progress
        from rich.console import Console

        self._progress = progress.Progress(
            "{task.description}",
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(name, total=None)
        self._progress.start()

    @property
    def total(self) -> float | None:
        return self._progress.tasks[0].total

    @total.setter
    def total(self, total: float) -> None:
        self._progress.update(self._task, total=total)

    def update(self, count: int) -> None:
        self._progress.update(self._task, advance=count)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()
