"""How any file that SAN knows, and a stream, becomes a recording in physical units: `san.read`."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from san.codec.decoder import Decoder, StreamEvents
from san.codec.dictionaries import DictionaryLike
from san.codec.file_format.header import checked_fs
from san.codec.file_format.stream import MAGIC
from san.codec.recovery import FILLED, filled_parts
from san.files import arrays, edf_gaps, npy, streams, tables
from san.files.physical import annotations_of, physical_parts, start_of
from san.files.table_layout import TableOptions
from san.signals import Array, Recording

_STREAM, _NUMPY = ".san", ".npy"


def read(
    path: str | Path,
    *,
    fs: float | None = None,
    raw: bool = False,
    annotations: bool = True,
    dictionary: DictionaryLike | None = None,
    table: TableOptions | None = None,
) -> Recording:
    """Read a file, a WFDB record or a stream, in physical units.

    Parameters
    ----------
    path : str or Path
        A WFDB record (`mitdb/100`, or its `.hea`), `.edf`, `.bdf`, `.npy`, `.csv`, or a stream that
        SAN wrote, which is known by its first bytes.
    fs : float, optional
        Sampling rate in Hz, for a file that does not state it.
    raw : bool
        Whether `Recording.raw` has the samples as the file has them: the converter's integers of
        a WFDB record and of EDF. Where a signal or a segment is missing they are floats with NaN.
    annotations : bool
        Whether annotations are read.
    dictionary : Dictionary or path, optional
        For a stream that only names its dictionary.
    table : TableOptions, optional
        How a `.csv` table is written: ``san.files.table_layout.TableOptions``. SAN finds out what
        the options do not say.

    Returns
    -------
    Recording
        `x` is float64 (samples, channels), NaN in gaps. `fs` is None where it is not known. The
        signals of the rate with the most samples are the recording; those of each other rate are
        a recording in `others`. A stream has `events`, of each rate its own.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If it cannot be read, or its samples are no numbers of (n,) or (n, channels).
    CodecError
        If a stream is corrupt.

    Warns
    -----
    UserWarning
        If annotations cannot be read, which are then left out; or if EDF+ is discontinuous and
        does not say where its gaps are: its samples then follow one another.

    Notes
    -----
    Physical units come from the header. A stream of a WFDB record or of EDF has that header as an
    attachment, each segment of a record its own, so the stream gives what the file gives, within
    the error that the stream promises. Signals with several samples per frame keep their rate;
    `signals.read_wfdb` averages them. Gaps between the records of discontinuous EDF+ are NaN.

    Examples
    --------
    >>> import san
    >>> recording = san.read("datasets/sample/mitdb_208", raw=True)
    >>> recording.x.shape, recording.fs, recording.units, recording.names
    ((108000, 1), 360.0, ('mV',), ('MLII',))
    >>> recording.x[0].tolist(), recording.raw[0].tolist()
    ([-0.245], [975])
    """
    path = Path(path)
    checked_fs(fs)
    if path.suffix.lower() == _STREAM or is_stream(path):
        return _read_stream(path, fs, raw, annotations, dictionary)
    if path.suffix.lower() == _NUMPY:  # also of a dtype that streams do not have
        array = Array(npy.load(path), fs)
    else:
        array = arrays.read(path, fs, annotations=annotations, exact=False, table=table)
    return _recording(array, str(path), True, raw, annotations, [None] * (1 + len(array.others)))


def is_stream(path: Path) -> bool:
    """Whether a file begins as a stream does."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _read_stream(
    path: Path, fs: float | None, raw: bool, annotations: bool, dictionary: DictionaryLike | None
) -> Recording:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    with open(path, "rb") as file:
        decoder = Decoder(file, dictionary=dictionary)
        array = streams.decode(decoder)
        if array.fs is None:
            array = replace(array, fs=fs)
        events: list[StreamEvents | None] = [each.events() for each in streams.decoders(decoder)]
        exact = streams.is_exact(decoder.info)
    return _recording(array, str(path), exact, raw, annotations, events)


def _recording(
    array: Array,
    where: str,
    exact: bool,
    raw: bool,
    annotations: bool,
    events: list[StreamEvents | None],
) -> Recording:
    parts = (array, *array.others)
    for part in parts:
        if part.x.ndim not in (1, 2) or part.x.dtype.kind not in "biuf":
            raise ValueError(
                f"{where} has shape {part.x.shape} and dtype {part.x.dtype}: a recording has "
                "numbers of shape (n,) or (n, channels)"
            )
    start = start_of(array.attachments) or tables.start_of(tables.said_in(array.attachments))
    places = edf_gaps.places_of(array, where)
    if places is not None:
        array = edf_gaps.with_gaps(array, places)
        parts = (array, *array.others)
        events = [_moved(each, place) for each, place in zip(events, places, strict=True)]
    found = []
    for part, physical, of_part in zip(parts, physical_parts(array, exact), events, strict=True):
        own = np.array(part.x).reshape(physical.x.shape) if raw else None
        found.append(
            Recording(physical.x, part.fs, physical.units, physical.names, start, {}, of_part, own)
        )
    samples = len(array.x)
    for first, last in filled_parts(array.attachments.get(FILLED)):
        rows = np.arange(min(first, samples), min(last, samples))
        at = rows if places is None or not len(places[0]) else places[0][rows]
        found[0].x[at] = np.nan
    notes = annotations_of(array, where) if annotations else {}
    return replace(found[0], annotations=notes, others=tuple(found[1:]))


def _moved(events: StreamEvents | None, places: np.ndarray) -> StreamEvents | None:
    """Events at the places that the samples of a discontinuous file have."""
    if events is None or not len(places):
        return events
    return replace(events, position=places[np.minimum(events.position, len(places) - 1)])
