"""The commands of the codec: compress, decompress, inspect, verify.

Exit code 1 of `verify` means that the error is larger than the stream promises. Exit code 2 means
wrong use, or a file that cannot be read or decoded.
"""

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from san.codec.target import Target
from san.command import fidelity, parts, progress, tables
from san.command.files import (
    STANDARD,
    check_free,
    opened,
    refuse_same,
    said_to,
    write_stream,
)
from san.command.options import (
    CODING,
    BitsPerSample,
    ChunkSeconds,
    EffortLevel,
    Force,
    GivenFs,
    Json,
    Lossless,
    MaxError,
    NeededDictionary,
    NoAnnotations,
    NoEvents,
    Physical,
    Prdn,
    option,
)

if TYPE_CHECKING:
    from san.codec.comparison import Comparison
    from san.codec.info import Info
    from san.files.restoring import Restoration

SOURCE = """A WFDB record (mitdb/100), .edf, .bdf, .npy or .csv; - is standard input. Records and
EDF are coded as their converter's integers, with header and annotations. Numbers of a .csv are
float64. If its first column is named time, t, or seconds, it gives the rate."""
BACK = """File to write: the kind that was compressed (a WFDB record by its name, .edf, .bdf), or
.npy or .csv; - is .npy to standard output."""
STREAM = "File that `san compress` wrote; - is standard input."
ORIGINAL = """The recording that was compressed: a WFDB record (mitdb/100), .edf, .bdf, .npy or
.csv; - is standard input."""
OF_ORIGINAL = "The stream that `san compress` made of it; - is standard input."
BEATS = """Also compare the heartbeats of an electrocardiogram: R amplitude and time, QRS and ST,
beats that are found before and after, and RR intervals."""
ALSO_PRDN = "Check this PRDN too, whatever the stream promises."
ALSO_MAX_ERROR = "Check this largest error of any sample too, in the units of what is coded."
DICTIONARY = """Kernels to use: a saved dictionary, a run folder, a model.safetensors, or ecg, which
comes with the package and is used where it saves bytes. By default they are learned from
the signal."""
NAME_ONLY = "Store only the SHA-256 of that dictionary; decompress then needs the dictionary too."
DEVICE = """Where kernels and events are looked for: cpu, cuda or cuda:1. Every reader reads all of
these streams. Default: cpu."""
EXACT = """With --lossless, refuse a recording whose files would not come back with the same bytes,
such as FLAC files of another encoder."""
THREADS = """How many chunks are coded or decoded at the same time. The result is the same. A short
recording is one chunk. Default: 1."""
START = """Where the decoded part begins, in seconds. Default: 0. A negative time counts from the
end."""
STOP = """Where the decoded part ends, in seconds. Default: the end. A negative time counts from the
end."""
START_SAMPLE = "Where the decoded part begins, in samples. A negative number counts from the end."
STOP_SAMPLE = "Where the decoded part ends, in samples. A negative number counts from the end."

ENDINGS = (".npy", ".csv", ".edf", ".bdf", ".hea", "")  # of what can be written
MUCH_CARRIED = 0.25  # of a stream: a dictionary of a larger share is named with the way round


def add_to(app: typer.Typer) -> None:
    """Add the four commands to an application."""
    for command in (compress, decompress, inspect, verify):
        app.command()(command)


def compress(
    source: Annotated[Path, typer.Argument(metavar="IN", help=SOURCE)],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to write: NAME.san; - is standard output.")
    ],
    prdn: Prdn = None,
    max_error: MaxError = None,
    lossless: Lossless = False,
    bits_per_sample: BitsPerSample = None,
    dictionary: Annotated[Path | None, option(CODING, DICTIONARY, "PATH")] = None,
    name_only: Annotated[bool, option(CODING, NAME_ONLY, None, "--name-only")] = False,
    no_events: NoEvents = False,
    effort: EffortLevel = "normal",
    device: Annotated[str, option(CODING, DEVICE, "DEVICE")] = "cpu",
    chunk_seconds: ChunkSeconds = None,
    threads: Annotated[int, option(CODING, THREADS, "NUMBER")] = 1,
    fs: GivenFs = None,
    delimiter: tables.Delimiter = None,
    decimal: tables.Decimal = None,
    skip_rows: tables.SkipRows = None,
    header: tables.Header = None,
    missing: tables.Missing = None,
    time_column: tables.TimeColumn = None,
    time_unit: tables.TimeUnit = None,
    physical: Physical = False,
    no_annotations: NoAnnotations = False,
    exact: Annotated[bool, typer.Option("--exact", help=EXACT, show_default=False)] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Encode a recording within an error, without loss, or to a size."""
    refuse_same(out, source, "the recording that is read")
    check_free(out, force)
    target = Target.of(
        max_error=max_error,
        prdn=prdn,
        lossless=lossless,
        bits_per_sample=bits_per_sample,
        spell=spell_option,
    )
    check_exact(exact, target)
    from san.codec.decoder import Decoder
    from san.codec.info import inspect as described
    from san.files import streams

    table = tables.options(delimiter, decimal, skip_rows, header, missing, time_column, time_unit)
    if table is not None and source != STANDARD and source.suffix.lower() != ".csv":
        raise tables.not_for(str(source))
    array = streams.read_file(
        source,
        exact=target.exact,
        fs=fs,
        physical=physical,
        annotations=not no_annotations,
        table=table,
    )
    for line in (*array.left_out, *array.notes):
        parts.say(f"san: {line}", sys.stderr)
    samples = sum(part.x.size for part in (array, *array.others))
    with progress.shares(f"compressing {source.name}", samples) as report:
        blob = streams.encode_array(
            array,
            **target.arguments,
            dictionary=dictionary,
            events=not no_events,
            effort=effort,
            device=device,
            threads=threads,
            chunk_seconds=chunk_seconds,
            embed_dictionary=not name_only,
            progress=report,
        )
    found = streams.restored(source, Decoder(blob, dictionary=dictionary), array)
    if exact and found is not None:
        found.refuse_other_bytes(source)
    write_stream(out, blob)
    info = described(blob)
    if as_json:
        print(json.dumps(_plain(info) | _restores(found), indent=2), file=said_to(out))
        return
    parts.say(
        f"{out}: {info.bytes} bytes, {_ratio(info)}, {info.bits_per_sample:.3f} bits per sample, "
        f"PRDN {info.prdn:.4g} %, largest error {info.largest_error:.6g}",
        said_to(out),
    )
    if found is not None:
        parts.say(f"comes back as: {found}", said_to(out))
    carried = info.sections.get("dictionary", 0) if dictionary is not None else 0
    if info.dictionary_carried and carried > MUCH_CARRIED * info.bytes:
        parts.say(
            f"the dictionary is {carried} of the bytes: --name-only leaves it out", said_to(out)
        )


def decompress(
    source: Annotated[Path, typer.Argument(metavar="IN", help=STREAM)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=BACK)],
    start: Annotated[float | None, typer.Option(help=START, show_default=False)] = None,
    stop: Annotated[float | None, typer.Option(help=STOP, show_default=False)] = None,
    start_sample: Annotated[int | None, typer.Option(help=START_SAMPLE, show_default=False)] = None,
    stop_sample: Annotated[int | None, typer.Option(help=STOP_SAMPLE, show_default=False)] = None,
    dictionary: NeededDictionary = None,
    threads: Annotated[int, typer.Option(help=THREADS, metavar="NUMBER", show_default=False)] = 1,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Decode a stream, or some of its samples."""
    parts.say_unit(start=start, stop=stop)
    if not out.name:
        raise ValueError(f"{out} is a folder: name the file or the record that it gets")
    if out != STANDARD and out.suffix.lower() not in ENDINGS:
        raise ValueError(
            f"{out} must end with .npy, .csv, .edf or .bdf, or name a WFDB record: with .hea if "
            "its name has a point"
        )
    if out != STANDARD:
        check_free(out if out.suffix else out.with_name(f"{out.name}.hea"), force)
    from san.codec.decoder import Decoder
    from san.files import arrays, streams

    with opened(source) as file:
        decoder = Decoder(file, dictionary=dictionary, threads=threads)
        info = decoder.info
        first = parts.sample_of("--start", start, start_sample, info)
        last = parts.sample_of("--stop", stop, stop_sample, info)
        whole = first is None and last is None
        begin, end, _ = slice(first, last).indices(info.shape[0])
        if begin > end:
            raise ValueError(
                f"the part begins at sample {begin}, after its end at sample {end}: give an "
                "earlier --start or a later --stop"
            )
        if whole and out != STANDARD:
            for path in streams.files_written(decoder, out):
                refuse_same(path, source, "the stream that is read")
                check_free(path, force)
        if not whole and out.suffix.lower() not in (".npy", ".csv") and out != STANDARD:
            raise ValueError(f"{out} must end with .npy or .csv: it holds a part")
        with progress.shares(f"decompressing {source.name}", math.prod(info.shape)) as report:
            if whole:
                array = streams.write_file(decoder, out, report)
            else:
                x = decoder.read(first, last, report)
                array = arrays.Array(x, info.fs, info.units, info.names)
                arrays.write(out, array)
    arrays_of_rates = (array, *array.others)
    if as_json:
        facts = [
            {"shape": part.x.shape, "dtype": part.x.dtype.name, "fs": part.fs}
            for part in arrays_of_rates
        ]
        print(json.dumps({"file": str(out), "parts": facts}, indent=2), file=said_to(out))
        return
    names = [out] * len(arrays_of_rates)
    if out.suffix.lower() in (".npy", ".csv"):
        names = arrays.files_of_rates(out, [part.fs for part in arrays_of_rates])
    for name, part in zip(names, arrays_of_rates, strict=True):
        parts.say(f"{name}: {_shape(part.x.shape)} samples, {part.x.dtype}", said_to(out))


def inspect(
    source: Annotated[Path, typer.Argument(metavar="IN", help=STREAM)],
    as_json: Json = False,
) -> None:
    """Show what a stream states of itself. Its chunks are not read."""
    from san.codec.info import inspect as described

    with opened(source) as file:
        info = described(file)
    if as_json:
        print(json.dumps(_plain(info), indent=2))
        return
    rows = [
        ("format", f"SAN stream, version {info.version}"),
        ("samples", f"{_shape(info.shape)}, {info.dtype}{_duration(info)}"),
        ("channels", ", ".join(_labels(info))),
        ("values", "; ".join(dict.fromkeys(rule for rule in info.rules if rule))),
        ("target", str(info.promise)),
        ("largest error", _unless_unknown(info.largest_error, "{:.6g}")),
        ("PRDN", _unless_unknown(info.prdn, "{:.4g} %")),
        ("attached", ", ".join(f"{name} ({size})" for name, size in info.attachments.items())),
        ("chunks", f"{info.chunks} of {info.chunk_samples} samples"),
        ("bytes", f"{info.bytes}, {_ratio(info)}, {info.bits_per_sample:.4f} bits per sample"),
        *(("", f"{size:>10} {name}") for name, size in info.sections.items() if size),
    ]
    if info.dictionary_sha256:
        carried = "carried" if info.dictionary_carried else "not in the stream"
        rows.append(("dictionary", f"SHA-256 {info.dictionary_sha256}, {carried}"))
    for name, text in rows:
        if text:
            parts.say(f"{name:<14}{text}")


def verify(
    original: Annotated[Path, typer.Argument(metavar="ORIGINAL", help=ORIGINAL)],
    stream: Annotated[Path, typer.Argument(metavar="STREAM", help=OF_ORIGINAL)],
    prdn: Annotated[
        float | None, typer.Option(help=ALSO_PRDN, metavar="PERCENT", show_default=False)
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(help=ALSO_MAX_ERROR, metavar="ERROR", show_default=False)
    ] = None,
    dictionary: NeededDictionary = None,
    beats: Annotated[bool, typer.Option("--beats", help=BEATS, show_default=False)] = False,
    as_json: Json = False,
) -> None:
    """Decode a stream and compare it with the original.

    Exit code 1: an error is larger than the stream promises, or than you allow here.
    """
    also = Target()
    if prdn is not None or max_error is not None:
        also = Target.of(prdn=prdn, max_error=max_error, spell=spell_option)
    from san.codec.decoder import Decoder
    from san.files import streams

    if original == STANDARD == stream:
        raise ValueError("only one of ORIGINAL and STREAM can be -, which is standard input")
    with opened(stream) as file:
        decoder = Decoder(file, dictionary=dictionary)
        info = decoder.info
        with progress.shares("verifying", math.prod(info.shape)) as report:
            found = streams.compare_file(original, decoder, report, also)
        restored = None
        if not found.broken:
            restored = streams.restored(original, decoder, found.array, compared=True)
    heard = fidelity.beats_of(original, stream, dictionary) if beats else None
    if as_json:
        said = {
            "parts": [_compared(*part) for part in found.parts],
            "broken": found.broken,
        } | _restores(restored)
        if heard is not None:
            said["heartbeats"] = fidelity.as_json(*heard)
        print(json.dumps(said, indent=2))
    else:
        for part, comparison in found.parts:
            parts.say(
                f"PRDN {comparison.prdn:.4f} %, PRD {comparison.prd:.4f} %, largest error "
                f"{comparison.largest_error:.6g}, {_ratio(part)}, "
                f"{part.bits_per_sample:.4f} bits per sample"
            )
        for line in fidelity.told(*heard) if heard is not None else ():
            parts.say(line)
    if found.broken:
        limit = "the error it promises" if also == Target() else "an error that is allowed"
        parts.say(f"san: {stream} exceeds {limit}: {'; '.join(found.broken)}", sys.stderr)
        raise typer.Exit(1)
    if not as_json:
        parts.say(f"kept: {info.promise}")
        if also != Target():
            parts.say(f"kept, as you ask: {also}")
        if restored is not None:
            parts.say(f"comes back as: {restored}")


def _restores(found: "Restoration | None") -> dict[str, Any]:
    return {"comes_back_as": found and found.as_json}


def spell_option(name: str) -> str:
    """The option that gives a parameter of this name."""
    return f"--{name.replace('_', '-')}"


def check_exact(exact: bool, target: Target) -> None:
    """Refuse --exact where samples may change."""
    if exact and not target.exact:
        raise ValueError(f"--exact needs --lossless: with {target} the samples change")


def _compared(info: "Info", comparison: "Comparison") -> dict[str, Any]:
    found = dataclasses.asdict(comparison) | {"ratio": info.compression_ratio}
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in found.items()
    }


def _unless_unknown(error: float, form: str) -> str:
    """An error in words. A recovered stream states an infinite one where none is known."""
    return "infinite, or not known" if math.isinf(error) else form.format(error)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _duration(info: "Info") -> str:
    if info.fs is None:
        return ""
    return f", {info.fs:g} Hz, {info.shape[0] / info.fs:.6g} s"


def _ratio(info: "Info") -> str:
    bits = 8 * info.dtype.itemsize
    return f"CR {info.compression_ratio:.2f} of {bits} bits"


def _labels(info: "Info") -> list[str]:
    """Name and units of each channel, where there are any."""
    names, units = info.names or info.units, info.units
    if names is units or not units:
        return list(names)
    return [f"{name} [{unit}]" if unit else name for name, unit in zip(names, units, strict=True)]


def _plain(info: "Info") -> dict[str, Any]:
    """The fields as JSON holds them: an infinite number is null."""
    fields = dataclasses.asdict(info)
    fields["dtype"] = info.dtype.name
    for name in ("prdn", "largest_error", "bits_per_sample"):
        if not math.isfinite(fields[name]):
            fields[name] = None
    return fields
