"""How a recording is opened for its windows: signals by rate, read a part at a time.

Samples of a .npy file, of a zarr array, of a stream and of large files are read when they are
asked for. Other files are read whole, by `san.read`. What reads files is imported when it is used,
because it loads the codec.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from san.dataset_readers.listing import is_zarr
from san.dataset_readers.rates import Signals
from san.packages import need
from san.signals import Annotations, Recording
from san.wfdb_records.record import header_path

CACHE_MEGABYTES = 32.0  # of a stream: a chunk of the usual length, and one more


@dataclass(frozen=True)
class Source:
    """A recording whose samples can be read."""

    path: Path
    parts: tuple[Signals, ...]  #: one for each rate; that with the most samples is the first
    annotations: Mapping[str, Annotations]
    held: int = 0  #: bytes in memory, of a file that was read whole

    @property
    def listed(self) -> str:
        """The channels with their numbers and names."""
        names = [name for part in self.parts for name in part.names]
        return ", ".join(f"{number} {name}" for number, name in enumerate(names))


def open_source(
    path: Path,
    fs: float | None = None,
    annotations: bool = False,
    cache_megabytes: float = CACHE_MEGABYTES,
) -> Source:
    """Open a recording.

    Parameters
    ----------
    path : Path
        What `recordings_in` lists.
    fs : float, optional
        Sampling rate in Hz, of a file that does not state it.
    annotations : bool
        Whether annotations are read.
    cache_megabytes : float
        How much a stream keeps of what it decoded last.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it cannot be read, or its samples are no numbers of (n,) or (n, channels).

    Examples
    --------
    >>> source = open_source(Path("datasets/sample/mitdb_208"))
    >>> source.parts[0].samples, source.parts[0].fs, source.listed
    (108000, 360.0, '0 MLII')
    >>> source.parts[0].read(0, 2).tolist()
    [[-0.245], [-0.215]]
    """
    from san.dataset_readers import pieces
    from san.files import npy
    from san.files.reading import is_stream, read

    if is_zarr(path):
        return Source(path, (_of_zarr(path, fs),), {})
    if path.suffix.lower() == ".npy":
        x = npy.load(path)
        _check(path, x)
        return Source(path, (_of_array(x, fs, {}),), {})
    found, ending = None, path.suffix.lower()
    if is_stream(path):
        found = pieces.of_stream(path, fs, annotations, cache_megabytes)
    elif ending in (".edf", ".bdf") and path.is_file():
        found = pieces.of_edf(path, annotations)
    elif header_path(path).is_file():
        found = pieces.of_record(path, annotations)
    if found is not None:
        return Source(path, found[:1], found[1])
    recording = read(path, fs=fs, annotations=annotations)
    parts = (recording, *recording.others)
    held = sum(part.x.nbytes for part in parts)
    return Source(path, tuple(map(_of_recording, parts)), recording.annotations, held)


def _of_recording(recording: Recording) -> Signals:
    x = recording.x
    return Signals(
        recording.fs, recording.units, recording.names, len(x), lambda first, last: x[first:last]
    )


def _of_array(x: Any, fs: float | None, said: Mapping[str, Any]) -> Signals:
    """The signals of an array, or of what is sliced as one; `said` may have names and units."""
    channels = 1 if x.ndim == 1 else x.shape[1]

    def of_channels(key: str) -> tuple[str, ...] | None:
        texts = said.get(key)
        fits = isinstance(texts, list) and len(texts) == channels
        return tuple(map(str, texts)) if fits and texts is not None else None

    def part(first: int, last: int) -> np.ndarray:
        return np.asarray(x[first:last], np.float64).reshape(last - first, channels)

    names = of_channels("names") or tuple(f"channel_{number}" for number in range(channels))
    block = int(x.chunks[0]) if hasattr(x, "chunks") else 0
    return Signals(fs, of_channels("units") or ("",) * channels, names, x.shape[0], part, block)


def _of_zarr(path: Path, fs: float | None) -> Signals:
    """The signals of a zarr array; its attributes may have fs, names and units."""
    need("zarr")
    import zarr

    try:
        found = zarr.open(str(path), mode="r")
    except Exception as error:  # zarr raises whatever metadata lead to
        raise ValueError(f"{path} cannot be read as zarr: {error}") from error
    if not isinstance(found, zarr.Array):
        inside = ", ".join(sorted(found.array_keys())) or "no array"
        raise ValueError(f"{path} is a group of zarr, with {inside}: name an array, {path}/NAME")
    _check(path, found)
    said = dict(found.attrs)
    stated = said.get("fs")
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0:
        fs = float(stated)
    return _of_array(found, fs, said)


def _check(path: Path, x: Any) -> None:
    """Refuse what is no recording: one axis of samples, and perhaps one of channels."""
    if x.ndim not in (1, 2) or np.dtype(x.dtype).kind not in "biuf":
        raise ValueError(
            f"{path} has shape {x.shape} and dtype {x.dtype}: a recording has numbers of shape "
            "(n,) or (n, channels)"
        )
