"""What a report says of a stream: samples, events, bytes, and what other errors cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from san import metrics
from san.codec.decoder import Decoder, StreamEvents
from san.codec.info import Info
from san.codec.modes.dictionary import middle_of
from san.files import streams
from san.pages import page
from san.pages.span import Span, check_begin, span_of
from san.signals import converter_of

MOST_VALUES = 300_000  # that are shown sample by sample; around them, minima and maxima
MOST_BINS = 20_000  # of minima and maxima of a channel
MOST_CHANNELS = 8
MOST_EVENTS = 50_000  # of a channel
CURVE_PRDNS = (2.0, 4.0, 8.0, 12.0, 16.0)
CURVE_VALUES = 200_000  # that are compressed for the curve
SCALE = 1 << 14  # of a dictionary's kernels

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Part:
    """Which samples of which channels are shown."""

    channels: Sequence[int]
    start: int
    stop: int


def describe_stream(
    path: Path,
    original: Path | None = None,
    channel: int | None = None,
    start: float | None = None,
    seconds: float | None = None,
    curve: bool = True,
    dictionary: Path | None = None,
    progress: Progress | None = None,
    start_sample: int | None = None,
    samples: int | None = None,
) -> dict[str, Any]:
    """Gather what the page of a stream shows.

    Parameters
    ----------
    path : Path
        The stream.
    original : Path, optional
        The file from which the stream was made, to compare: a file that `san compress` reads.
    channel : int, optional
        The only channel to show, from 0. Where signals have several rates, those of the main rate
        come first, then those of the others. Default: the first 8 of the main rate.
    start, seconds : float, optional
        Where the part begins that is shown sample by sample, and its length, both in seconds.
        Default: the first 300,000 values.
    curve : bool
        Whether the original is compressed at several errors.
    dictionary : Path, optional
        Needed where the stream only names one, as for `san.decompress`.
    progress : callable, optional
        Told what is done, and the share of it, 0 ... 1.
    start_sample, samples : int, optional
        The same as `start` and `seconds`, in samples.

    Returns
    -------
    dict
        Texts, numbers and packed arrays, as `pages/report.js` takes them.

    Raises
    ------
    CodecError, FileNotFoundError
        If the stream or the original cannot be read.
    ValueError
        If they do not belong together, or the part is outside of the stream.
    """
    progress = progress or (lambda what, share: None)
    with open(path, "rb") as file:
        whole = Decoder(file, dictionary=dictionary)
        rates = streams.decoders(whole)
        rate, channel = _rate_of(rates, channel)
        decoder = rates[rate]
        info = decoder.info
        span = span_of(info.fs, start, start_sample, seconds, samples)
        shown = _part(info, channel, span, of=2 if original is not None else 1)
        x = None if original is None else _original(original, path, whole, rate)
        y = _decoded(decoder, info, progress)
        events = decoder.events()
        kernels = None if decoder.dictionary is None else decoder.dictionary.kernels / SCALE
    views = [_view(c, y, x, events, info, shown) for c in shown.channels]
    error = [] if x is None else _errors(x, y, info)
    content: dict[str, Any] = {
        "title": path.name,
        "summary": [_sentence(info)],
        "tiles": _tiles(info, error),
        "views": views,
        "viewsTitle": "The signal",
        "names": ["original x", "decoded x̂"],
        "kernels": _kernels(kernels, shown, events),
        "kernelsNote": "Kernels of the dictionary, of unit norm. A number says how many events "
        "have it.",
        "bars": [[name, size] for name, size in info.sections.items() if size],
        "tables": [_table_of(info)],
        "words": _words(path, original, info, shown, len(events.position))
        + _words_of_rates(rates, rate),
    }
    if error:
        content["tables"].append(("Error against the original", ["channel", "PRDN, %", "PRD, %",
                                 "SNR, dB", "largest error"], error))  # fmt: skip
    if x is not None and curve:
        content["curve"] = _curve(x, info, shown, progress)
    return content


def _part(info: Info, channel: int | None, span: Span, of: int) -> Part:
    """The channels, and the samples that are shown one by one."""
    number = _channels(info)
    channels = range(min(number, MOST_CHANNELS)) if channel is None else [channel]
    check_begin(span, info.shape[0], info.fs, "the part")
    most = MOST_VALUES // (len(channels) * of)
    count = most if span.count is None else span.count
    if not 1 <= count <= most:
        raise ValueError(f"the page can show 1 to {most} samples one by one, got {span.length}")
    return Part(channels, span.first, min(span.first + count, info.shape[0]))


def _rate_of(rates: Sequence[Decoder], channel: int | None) -> tuple[int, int | None]:
    """Which rate a channel has, and its number among the signals of that rate."""
    if channel is None:
        return 0, None
    counts = [_channels(each.info) for each in rates]
    if not 0 <= channel < sum(counts):
        raise ValueError(f"--channel must be from 0 to {sum(counts) - 1}, got {channel}")
    rate = 0
    while channel >= counts[rate]:
        channel -= counts[rate]
        rate += 1
    return rate, channel


def _channels(info: Info) -> int:
    return info.shape[1] if len(info.shape) > 1 else 1


def _original(original: Path, path: Path, decoder: Decoder, rate: int) -> np.ndarray:
    array = streams.original(original, decoder)
    parts = (array, *array.others)
    shape = streams.decoders(decoder)[rate].info.shape
    if rate >= len(parts) or parts[rate].x.shape != shape:
        found = parts[rate].x.shape if rate < len(parts) else f"{len(parts)} rates"
        raise ValueError(f"{original} has shape {found}, {path} has {shape}")
    return parts[rate].x


def _decoded(decoder: Decoder, info: Info, progress: Progress) -> np.ndarray:
    parts, done = [], 0
    for chunk in decoder:
        parts.append(chunk)
        done += len(chunk)
        progress("decoding", done / max(1, info.shape[0]))
    return np.concatenate(parts) if parts else np.zeros(info.shape, info.dtype)


def _columns(x: np.ndarray) -> np.ndarray:
    return x[:, None] if x.ndim == 1 else x


def _units(info: Info, channel: int) -> tuple[float, float, str]:
    """The baseline, the gain and the unit of a channel: (x - baseline) / gain is physical."""
    unit = info.units[channel] if channel < len(info.units) else ""
    gain, baseline, name = converter_of(unit)
    return baseline, gain, name


def _name(info: Info, channel: int) -> str:
    name = info.names[channel] if channel < len(info.names) else ""
    return name or f"channel {channel}"


def _view(
    c: int, y: np.ndarray, x: np.ndarray | None, events: StreamEvents, info: Info, shown: Part
) -> dict[str, Any]:
    """One channel: samples of the part, minima and maxima of all, and events."""
    less, by, unit = _units(info, c)
    decoded = (_columns(y)[:, c].astype(np.float64) - less) / by
    view: dict[str, Any] = {
        "label": _name(info, c),
        "scale": unit,
        "fs": info.fs,
        "start": shown.start,
        "total": len(decoded),
        "decoded": page.packed(decoded[shown.start : shown.stop]),
    }
    if x is not None:
        part = _columns(x)[shown.start : shown.stop, c].astype(np.float64)
        view["signal"] = page.packed((part - less) / by)
    if shown.stop - shown.start < len(decoded):
        size = -(-len(decoded) // MOST_BINS)
        filled = np.append(decoded, np.full(-len(decoded) % size, np.nan)).reshape(-1, size)
        filled = np.where(np.isfinite(filled), filled, np.nan)
        empty = np.isnan(filled).all(1)
        low = np.where(empty, np.nan, np.where(np.isnan(filled), np.inf, filled).min(1))
        high = np.where(empty, np.nan, np.where(np.isnan(filled), -np.inf, filled).max(1))
        view["envelope"] = {"size": size, "low": page.packed(low), "high": page.packed(high)}
    if len(events.position) and events.amplitude.shape[1] > c:
        kept = slice(0, MOST_EVENTS)
        view["events"] = {
            "kernel": page.packed(events.kernel[kept], np.int32),
            "position": page.packed(events.position[kept], np.int32),
            "amplitude": page.packed(events.amplitude[kept, c] / by),
        }
        view["channel"] = list(shown.channels).index(c)
    return view


def _kernels(kernels: np.ndarray | None, shown: Part, events: StreamEvents) -> list[dict[str, Any]]:
    if kernels is None or not kernels.size:
        return []
    counts = np.bincount(events.kernel.astype(np.intp), minlength=len(kernels))
    return [
        {
            "channels": [page.packed(w[c]) for c in shown.channels],
            "before": middle_of(w.shape[1]),
            "note": f"{counts[i]} events",
        }
        for i, w in enumerate(kernels)
    ]


def _errors(x: np.ndarray, y: np.ndarray, info: Info) -> list[list[Any]]:
    """Of each channel, over its finite samples."""
    rows = []
    for c, (one, other) in enumerate(zip(_columns(x).T, _columns(y).T, strict=True)):
        finite = np.isfinite(one) & np.isfinite(other)
        a, b = one[finite].astype(np.float64), other[finite].astype(np.float64)
        rows.append([_name(info, c), metrics.prdn(a, b), metrics.prd(a, b), metrics.snr(a, b),
                     metrics.max_abs_error(a, b)])  # fmt: skip
    return rows


def _sentence(info: Info) -> str:
    channels = _channels(info)
    rate = f" at {info.fs:g} Hz, {_duration(info.shape[0] / info.fs)}" if info.fs else ""
    each = f" in {channels} channels" if channels > 1 else ""
    return f"{info.shape[0]:,} samples{each}{rate}, stored in {info.bytes:,} bytes."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.4g} s"
    if seconds < 7200:
        return f"{seconds / 60:.4g} min"
    return f"{seconds / 3600:.4g} h"


def _tiles(info: Info, error: list[list[Any]]) -> list[tuple[str, str]]:
    bits = 8 * info.dtype.itemsize
    found = max(row[1] for row in error) if error else info.prdn
    return [
        (f"compression ratio of {bits} bits", f"{info.compression_ratio:.1f}"),
        ("bits per sample", f"{info.bits_per_sample:.3f}"),
        ("PRDN, measured now" if error else "PRDN, as it states", f"{found:.3g} %"),
        ("bytes", f"{info.bytes:,}"),
    ]


def _table_of(info: Info) -> tuple[str, list[str], list[list[Any]]]:
    rows = [
        ["format", f"SAN stream, version {info.version}"],
        ["samples", f"{' × '.join(map(str, info.shape))}, {info.dtype}"],
        ["sampling rate", f"{info.fs:g} Hz" if info.fs else "not stated"],
        ["channels", ", ".join(info.names) or "not named"],
        ["units", ", ".join(info.units) or "not stated"],
        ["target", str(info.promise)],
        ["largest error", f"{info.largest_error:.6g}"],
        ["PRDN", f"{info.prdn:.4g} %"],
        ["chunks", f"{info.chunks} of {info.chunk_samples} samples"],
        ["bytes", f"{info.bytes}, {info.bits_per_sample:.4f} bits per sample"],
    ]
    if info.dictionary_sha256:
        rows.append(["dictionary, SHA-256", info.dictionary_sha256])
    return "What the stream says of itself", [], rows


def _words(
    path: Path, original: Path | None, info: Info, shown: Part, events: int
) -> list[tuple[str, str]]:
    rate = info.fs or 1.0
    unit = "s" if info.fs else "samples"
    where = f"{shown.start / rate:g} to {shown.stop / rate:g} {unit}"
    whole = shown.start == 0 and shown.stop == info.shape[0]
    size = -(-info.shape[0] // MOST_BINS)
    texts = [
        ("Method", f"{path.name} was encoded by SAN with the target: {info.promise}. "
         + ("Each of its lossy chunks is the sum of events, kernels of the dictionary at a place "
            "with an amplitude, and of quantized wavelet coefficients of what the events leave."
            if events else "It has no events: every sample comes from wavelet coefficients or, "
            "without loss, from a predictor.")),
        ("What is shown", "Every sample of the recording." if whole else
         f"Samples one by one from {where}; elsewhere the smallest and the largest of every "
         f"{size} samples."),
    ]  # fmt: skip
    channels = _channels(info)
    if len(shown.channels) < channels:
        listed = ", ".join(_name(info, c) for c in shown.channels)
        texts.append(("Channels", f"{len(shown.channels)} of {channels}: {listed}."))
    if events > MOST_EVENTS:
        texts.append(("Events", f"The first {MOST_EVENTS} of {events}."))
    compared = f"compared with {original.name}" if original else "not compared with an original"
    texts.append(("Comparison", f"The decoded samples were {compared}."))
    return texts


def _words_of_rates(rates: Sequence[Decoder], shown: int) -> list[tuple[str, str]]:
    """Which channels have other rates, and how to see them."""
    if len(rates) == 1:
        return []
    number, listed = 0, []
    for rate, each in enumerate(rates):
        info = each.info
        for c in range(_channels(info)):
            if rate != shown:
                listed.append(f"{number} {_name(info, c)} ({info.fs or 0:g} Hz)")
            number += 1
    return [("Other rates", "Numbers, bytes and ratios here are of the signals of one rate. Choose "
             f"a channel of another rate with --channel: {', '.join(listed)}.")]  # fmt: skip


def _curve(x: np.ndarray, info: Info, shown: Part, progress: Progress) -> dict[str, Any]:
    """Compress the original at several errors."""
    from san.codec.encoder import compress
    from san.codec.info import inspect

    columns = _columns(x)
    count = min(len(columns), max(1, CURVE_VALUES // columns.shape[1]))
    start = min(shown.start, len(columns) - count)
    part = np.ascontiguousarray(x[start : start + count])
    points = []
    for number, prdn in enumerate(CURVE_PRDNS):

        def on_share(share: float, done: int = number) -> None:
            progress("compressing at several errors", (done + share) / len(CURVE_PRDNS))

        of_point = inspect(compress(part, info.fs, prdn=prdn, progress=on_share))
        on_share(1.0)
        points.append([of_point.prdn, of_point.bits_per_sample, of_point.compression_ratio])
    whole = (
        "the whole original"
        if count == len(columns)
        else (f"samples {start} to {start + count - 1} of the original")
    )
    own = [info.prdn, info.bits_per_sample, info.compression_ratio]
    return {
        "points": points,
        "own": own if info.target != "lossless" and np.isfinite(info.prdn) else None,
        "words": f"san.compress with prdn = {', '.join(f'{p:g}' for p in CURVE_PRDNS)} on {whole}, "
        "everything else by default; kernels and headers count. The ring is the stream itself"
        + ("." if count == len(columns) else ", all of it."),
    }
