"""How a file becomes a stream, and the stream the file again; and how both are compared.

The stream holds the signals of the rate that has the most samples. Signals of other rates are
streams of their own, attached to it as `signals/1`, `signals/2` ... So are times of a table that
follow no rate; see `table_apart`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from san.codec.comparison import Comparison, compare, fits
from san.codec.decoder import Decoder
from san.codec.encoder import encode
from san.codec.errors import CorruptStream
from san.codec.info import Info
from san.codec.options import silent
from san.codec.target import TARGETS, Target
from san.files import arrays, edf, tables, wfdb_reading, wfdb_writing
from san.files.restoring import Restoration, try_restoring
from san.files.table_layout import TableOptions
from san.signals import Array

OTHERS = "signals/"


def encode_file(
    path: Path,
    *,
    fs: float | None = None,
    physical: bool = False,
    annotations: bool = True,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> bytes:
    """Read a file and compress it, with all that is needed to write the file again.

    Parameters
    ----------
    path, fs, physical, annotations
        As `arrays.read` takes them.
    progress : callable, optional
        Called with the share that is done, 0 ... 1.
    **options
        Those of `compress`. The target holds for the signals of each rate. A dictionary is used
        only for the signals of the main rate.

    Returns
    -------
    bytes

    Raises
    ------
    FileNotFoundError, ValueError
        As `arrays.read` and `compress`.

    Examples
    --------
    >>> blob = encode_file(Path("datasets/sample/mitdb_208"), prdn=10)
    >>> Decoder(blob).info.attachments
    {'wfdb/header': 244}
    """
    exact = options.get("lossless") or options.get("max_error") == 0
    array = read_file(path, exact=bool(exact), fs=fs, physical=physical, annotations=annotations)
    return encode_array(array, progress=progress, **options)


def read_file(
    path: Path,
    *,
    exact: bool,
    fs: float | None = None,
    physical: bool = False,
    annotations: bool = True,
    table: TableOptions | None = None,
) -> Array:
    """Read a file as it is compressed.

    Unless every bit must come back, invalid samples become NaN, and times of a table may move by
    half a sampling interval.
    """
    array = arrays.read(path, fs, physical, annotations, exact, table)
    return wfdb_reading.with_gaps(array) if wfdb_reading.is_record(array) and not exact else array


def encode_array(
    array: Array, *, progress: Callable[[float], None] | None = None, **options: Any
) -> bytes:
    """Compress what `read_file` gave; the parameters are those of `encode_file`."""
    sizes = [part.x.size for part in (array, *array.others)]
    total, done = max(1, sum(sizes)), 0
    attached = dict(array.attachments)
    own = {"dictionary": None, "embed_dictionary": True}
    for number, part in enumerate(array.others, 1):
        attached[f"{OTHERS}{number}"] = encode_array(part, **(options | own))
        done += part.x.size
        if progress:
            progress(done / total)
    rest = done / total
    target = Target.of(**{name: options.pop(name) for name in TARGETS if name in options})
    return encode(
        array.x,
        target,
        array.fs,
        units=_short(array.units),
        names=_short(array.names),
        attachments=attached,
        progress=progress and (lambda share: progress(rest + share * (1 - rest))),
        **options,
    )


def decode(decoder: Decoder, progress: Callable[[float], None] = silent) -> Array:
    """Decode all that a stream holds: samples of every rate, and the attached files."""
    attached = _attached(decoder)
    others = tuple(decode(other) for other in decoders(decoder)[1:])
    info = decoder.info
    x = decoder.read(progress=progress)
    return Array(x, info.fs, info.units, info.names, attached, others)


def decoders(decoder: Decoder) -> list[Decoder]:
    """The decoder of the stream itself, and those of signals of other rates."""
    names = _others(decoder)
    others = [Decoder(decoder.attachment(name)) for name in names]
    for name, other in zip(names, others, strict=True):
        if other.info.attachments:
            raise CorruptStream(f"the signals {name!r} hold attachments: they can have none")
    return [decoder, *others]


def _others(decoder: Decoder) -> list[str]:
    """Names of the attached signals of other rates. Those of a table are its times."""
    found = decoder.info.attachments
    return [] if tables.COLUMNS in found else [name for name in found if name.startswith(OTHERS)]


def _attached(decoder: Decoder) -> dict[str, bytes]:
    """The attached files, without signals of other rates."""
    others = _others(decoder)
    found = decoder.info.attachments
    return {name: decoder.attachment(name) for name in found if name not in others}


def is_exact(info: Info) -> bool:
    """Whether every bit of the samples is as it was."""
    return info.promise.exact


def write_file(decoder: Decoder, out: Path, progress: Callable[[float], None] = silent) -> Array:
    """Decode a stream into a file: of the kind that was compressed, or .npy or .csv.

    Returns
    -------
    Array
        What was written.

    Raises
    ------
    CodecError, ValueError
        If the stream cannot be decoded, or `out` cannot hold what is in it.
    """
    array = decode(decoder, progress)
    arrays.write(out, array, is_exact(decoder.info))
    return array


def files_written(decoder: Decoder, out: Path) -> list[Path]:
    """The files that `write_file` will write.

    Raises
    ------
    ValueError
        If the attachments are not those of a record.
    """
    attached = decoder.info.attachments
    is_record = out.suffix in ("", ".hea") and wfdb_reading.ROOT + wfdb_reading.HEADER in attached
    if not is_record:
        is_table = out.suffix.lower() in (".npy", ".csv") or out == arrays.STANDARD
        rates = [each.info.fs for each in decoders(decoder)] if is_table else [None]
        return arrays.files_of_rates(out, rates)
    known = {
        name: decoder.attachment(name) for name in attached if name.startswith(wfdb_reading.ROOT)
    }
    return [out.parent / name for name in wfdb_writing.names_of(out.stem, known)]


@dataclass(frozen=True)
class FileComparison:
    """How far a stream is from the file that it was made of."""

    parts: tuple[tuple[Info, Comparison], ...]  # the signals of each rate
    broken: tuple[str, ...]  # the promises that the stream does not keep, in words
    array: Array  # what was read of the file


def compare_file(
    path: Path,
    decoder: Decoder,
    progress: Callable[[float], None] = silent,
    also: Target | None = None,
) -> FileComparison:
    """Read the file from which a stream was made, decode the stream, and compare them.

    `also` is another PRDN or largest error that the signals of each rate must keep.

    Raises
    ------
    ValueError
        If the file has samples of other shapes, dtypes or rates.
    CodecError
        If the stream is corrupt.
    """
    array = original(path, decoder)
    parts, coded = (array, *array.others), decoders(decoder)
    if len(parts) != len(coded):
        raise ValueError(f"{path} has signals of {len(parts)} rates, the stream has {len(coded)}")
    found: list[tuple[Info, Comparison]] = []
    broken: list[str] = []
    for number, (part, stream) in enumerate(zip(parts, coded, strict=True)):
        info = stream.info
        if not fits(part.x, info):
            raise ValueError(
                f"{path} has shape {part.x.shape} and dtype {part.x.dtype}, the stream has "
                f"{info.shape} and {info.dtype}"
            )
        comparison = compare(part.x, stream, progress if number == 0 else silent, also)
        found.append((info, comparison))
        broken += comparison.broken
    for name, data in array.attachments.items():
        kept = name in decoder.info.attachments
        if name == wfdb_reading.NAME:  # a copy may have another
            continue
        same = tables.are_same if name == tables.APART else bytes.__eq__
        if kept and not same(decoder.attachment(name), data):
            broken.append(f"its {name} is not that of {path}")
    return FileComparison(tuple(found), tuple(broken), array)


def original(path: Path, decoder: Decoder) -> Array:
    """Read the file from which a stream was made, in the same way as then."""
    info = decoder.info
    headers = {wfdb_reading.ROOT + wfdb_reading.HEADER, edf.HEADER}
    kept = not headers.isdisjoint(info.attachments)
    physical = info.dtype.kind == "f" and not kept
    said = {n: decoder.attachment(n) for n in info.attachments if n == tables.COLUMNS}
    options, has_rate = tables.as_then(said)
    fs = info.fs if has_rate else None
    array = read_file(path, exact=is_exact(info), fs=fs, physical=physical, table=options)
    array = tables.as_before(array, said)
    is_old = (
        wfdb_reading.UNSHIFTED in array.attachments
        and wfdb_reading.UNSHIFTED not in info.attachments
    )
    return wfdb_reading.as_before(array) if is_old and not physical else array


def restored(
    path: Path, decoder: Decoder, array: Array, compared: bool = False
) -> Restoration | None:
    """What comes back of the files that a stream was made of, as `try_restoring` says it.

    Parameters
    ----------
    path : Path
        What was read. Standard input gives None.
    decoder : Decoder
        Of the stream, from a source that can seek.
    array : Array
        What was read of it.
    compared : bool
        Whether the samples were compared already, so that none is decoded again.

    Raises
    ------
    ValueError
        If the files cannot be written again.
    """
    if path == arrays.STANDARD:
        return None
    exact = is_exact(decoder.info)
    held = decode(decoder) if exact and not compared else _with_samples_of(array, decoder)
    return try_restoring(path, held, exact)


def _with_samples_of(array: Array, decoder: Decoder) -> Array:
    """What a stream holds, with the samples of the file that it was made of.

    The arrays are as a decoder gives them: in native byte order, one row after the other.
    """
    native = array.x.dtype.newbyteorder("=")
    return replace(array, x=np.ascontiguousarray(array.x, native), attachments=_attached(decoder))


def _short(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Texts that a header can hold: at most 64 bytes of each."""
    cut = tuple(text.encode()[:64].decode(errors="ignore") for text in texts)
    return cut if any(cut) else ()
