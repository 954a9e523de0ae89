"""How a file becomes a stream, and a stream the file again; what is compared to say that it is.

The stream holds the signals of the rate that has the most samples. Signals of other rates are
streams of their own, attached to it as `signals/1`, `signals/2` ...
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from san import arrays, arrays_edf, arrays_wfdb
from san.codec.comparison import Comparison, compare, fits
from san.codec.decoder import Decoder
from san.codec.encoder import compress
from san.codec.info import Info
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
    """Read a file and compress it, with what it takes to write it again.

    Parameters
    ----------
    path, fs, physical, annotations
        As `arrays.read` takes them.
    progress : callable, optional
        Called with the share that is done, 0 ... 1.
    **options
        As `compress` takes them. The target holds for signals of each rate; a dictionary is used
        for those of the main one.

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
    array = arrays.read(path, fs, physical, annotations)
    exact = options.get("lossless") or options.get("max_error") == 0
    return encode_array(array if exact else _with_gaps(array), progress=progress, **options)


def encode_array(
    array: Array, *, progress: Callable[[float], None] | None = None, **options: Any
) -> bytes:
    """Compress what `arrays.read` gave; the parameters are those of `encode_file`."""
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
    return compress(
        array.x,
        array.fs,
        units=_short(array.units),
        names=_short(array.names),
        attachments=attached,
        progress=progress and (lambda share: progress(rest + share * (1 - rest))),
        **options,
    )


def decode(decoder: Decoder) -> Array:
    """All that a stream holds: samples of every rate, and what is attached to them."""
    found = decoder.info.attachments
    attached = {name: decoder.attachment(name) for name in found if not name.startswith(OTHERS)}
    others = tuple(decode(other) for other in decoders(decoder)[1:])
    info = decoder.info
    return Array(decoder.read(), info.fs, info.units, info.names, attached, others)


def decoders(decoder: Decoder) -> list[Decoder]:
    """The stream itself, and those of signals of other rates."""
    names = [name for name in decoder.info.attachments if name.startswith(OTHERS)]
    return [decoder, *(Decoder(decoder.attachment(name)) for name in names)]


def is_exact(info: Info) -> bool:
    """Whether every bit of the samples is as it was."""
    return info.target == "lossless" or (info.target == "max_error" and info.value == 0)


def write_file(decoder: Decoder, out: Path) -> Array:
    """Decode a stream into a file: the kind that was compressed, .npy or .csv.

    Returns
    -------
    Array
        What was written.

    Raises
    ------
    CodecError, ValueError
        If the stream cannot be decoded, or `out` cannot hold what is in it.
    """
    array = decode(decoder)
    arrays.write(out, array, is_exact(decoder.info))
    return array


def original(path: Path, decoder: Decoder) -> Array:
    """Read the file that a stream was made of, as it was read then."""
    info = decoder.info
    kept = arrays_wfdb.HEADER in info.attachments or arrays_edf.HEADER in info.attachments
    array = arrays.read(path, physical=info.dtype.kind == "f" and not kept)
    return array if is_exact(info) else _with_gaps(array)


class Compared(NamedTuple):
    """How a stream compares with the file that it was made of."""

    parts: list[tuple[Info, Comparison]]  # the signals of each rate, the main one first
    broken: list[str]  # what is not as promised, in words


def compare_file(
    path: Path, decoder: Decoder, progress: Callable[[float], None] | None = None
) -> Compared:
    """Decode a stream and compare it with the file that it was made of.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, or holds signals of other shapes, dtypes or rates.
    CodecError
        If the stream is corrupt.

    Examples
    --------
    >>> path = Path("datasets/sample/mitdb_208")
    >>> compare_file(path, Decoder(encode_file(path, prdn=10))).broken
    []
    """
    array = original(path, decoder)
    own, coded = (array, *array.others), decoders(decoder)
    if len(own) != len(coded):
        raise ValueError(f"{path} has signals of {len(own)} rates, the stream of {len(coded)}")
    parts: list[tuple[Info, Comparison]] = []
    broken: list[str] = []
    sizes = [part.x.size for part in own]
    for number, (part, stream) in enumerate(zip(own, coded, strict=True)):
        info, before = stream.info, sum(sizes[:number])
        if not fits(part.x, info):
            raise ValueError(
                f"{path} has shape {part.x.shape} and dtype {part.x.dtype}, the stream has "
                f"{info.shape} and {info.dtype}"
            )

        def report(share: float, before: int = before, size: int = sizes[number]) -> None:
            if progress:
                progress((before + share * size) / max(1, sum(sizes)))

        compared = compare(part.x, stream, report)
        parts.append((info, compared))
        broken += compared.broken
    for name, data in array.attachments.items():
        if name in parts[0][0].attachments and decoder.attachment(name) != data:
            broken.append(f"its {name} is not that of {path}")
    return Compared(parts, broken)


def _with_gaps(array: Array) -> Array:
    header = arrays_wfdb.HEADER in array.attachments
    return arrays_wfdb.with_gaps(array) if header else array


def _short(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Texts that a header can hold: cut where they are longer than 64 bytes."""
    cut = tuple(text.encode()[:64].decode(errors="ignore") for text in texts)
    return cut if any(cut) else ()
