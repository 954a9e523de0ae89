"""What a report says of a stream: samples, events, beats, bytes, and what other errors cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from san import metrics
from san.codec.decoder import Decoder, StreamEvents
from san.codec.info import Info
from san.codec.modes.dictionary import Dictionary, middle_of
from san.files import streams
from san.pages import page
from san.pages.span import Span, check_begin, span_of
from san.pages.stream_beats import beat_tiles, beats_of, shown_beats
from san.pages.stream_curve import curve as curve_of
from san.signals import converter_of

MOST_VALUES = 300_000  # that are shown sample by sample; around them, minima and maxima
MOST_BINS = 20_000  # of minima and maxima of a channel
MOST_CHANNELS = 8
MOST_EVENTS = 50_000  # of a channel
SCALE = 1 << 14  # of a dictionary's kernels

CURVE = "compressing at several errors"  # as the progress is told

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
    beats: bool | None = None,
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
    beats : bool, optional
        Whether heartbeats are found in the decoded samples. Default: where a channel has the name
        of a lead of an electrocardiogram.

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
        used = decoder.dictionary
    found = beats_of(y, info, beats)
    views = [_view(c, y, x, events, info, shown) for c in shown.channels]
    error = [] if x is None else _errors(x, y, info)
    content: dict[str, Any] = {
        "title": path.name,
        "summary": [_sentence(info)],
        "tiles": _tiles(info, error) + ([] if found is None else beat_tiles(found)),
        "views": views,
        "viewsTitle": "The signal",
        "names": ["original x", "decoded x̂"],
        "kernels": _kernels(used, shown, events, info),
        "kernelsFs": info.fs,
        "kernelsNote": "Kernels of the dictionary, as high as their median event draws them. A "
        "number says how many events have each.",
        "bars": [[name, size] for name, size in info.sections.items() if size],
        "tables": [_table_of(info)],
        "words": _words(path, original, info, shown, len(events.position))
        + _words_of_rates(rates, rate),
    }
    if error:
        content["tables"].append(("Error against the original", ["channel", "PRDN, %", "PRD, %",
                                 "SNR, dB", "largest error", "unit"], error))  # fmt: skip
    if found is not None:
        content["beats"] = shown_beats(found)
        content["words"].append(("Heartbeats", f"Found in the decoded samples. {found.NOTE}"))
    if x is not None and curve:
        gain, unit = _common_unit(info)
        content["curve"] = curve_of(
            x, info, shown.start, gain, unit, used, partial(progress, CURVE)
        )
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


def _common_unit(info: Info) -> tuple[float, str]:
    """The gain and the unit that all channels have; where they differ, counts."""
    found = {_units(info, c)[1:] for c in range(_channels(info))}
    return found.pop() if len(found) == 1 else (1.0, "counts")


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
    }
    part = slice(shown.start, shown.stop)
    original = None if x is None else _columns(x)[part, c]
    view |= _samples(_columns(y)[part, c], original, less, by)
    if shown.stop - shown.start < len(decoded):
        size = -(-len(decoded) // MOST_BINS)
        filled = np.append(decoded, np.full(-len(decoded) % size, np.nan)).reshape(-1, size)
        filled = np.where(np.isfinite(filled), filled, np.nan)
        empty = np.isnan(filled).all(1)
        low = np.where(empty, np.nan, np.where(np.isnan(filled), np.inf, filled).min(1))
        high = np.where(empty, np.nan, np.where(np.isnan(filled), -np.inf, filled).max(1))
        before, after = -(-shown.start // size), shown.stop // size
        kept = np.r_[0:before, after : len(low)]  # the others are shown sample by sample
        sides = {"low": page.packed(low[kept]), "high": page.packed(high[kept])}
        view["envelope"] = {"size": size, "before": before, "after": after, **sides}
    if len(events.position) and events.amplitude.shape[1] > c:
        first = slice(0, MOST_EVENTS)
        view["events"] = {
            "kernel": page.packed(events.kernel[first], np.int32),
            "position": page.packed(events.position[first], np.int32),
            "amplitude": page.packed(events.amplitude[first, c] / by),
        }
        view["channel"] = list(shown.channels).index(c)
    return view


def _samples(y: np.ndarray, x: np.ndarray | None, less: float, by: float) -> dict[str, Any]:
    """The decoded samples, once; of the original what it has more, which takes few bytes."""
    if y.dtype.kind not in "iu":
        signal = {} if x is None else {"signal": page.packed((x.astype(np.float64) - less) / by)}
        return {"decoded": page.packed((y.astype(np.float64) - less) / by), **signal}
    decoded = {"decoded": page.packed_counts(y, by, less)}
    if x is None:
        return decoded
    more = x.astype(np.int64) - y
    return {**decoded, "more": page.packed_counts(more, by, 0.0) if more.any() else None}


def _kernels(
    used: Dictionary | None, shown: Part, events: StreamEvents, info: Info
) -> list[dict[str, Any]]:
    if used is None or not used.kernels.size:
        return []
    kernels = used.kernels / SCALE
    counts = np.bincount(events.kernel.astype(np.intp), minlength=len(kernels))
    found = []
    for i, w in enumerate(kernels):
        strength = np.ones(w.shape[0])
        if counts[i]:
            strength = np.median(events.amplitude[events.kernel == i], axis=0)
        heights = [float(strength[c]) / _units(info, c)[1] for c in shown.channels]
        found.append(
            {
                "channels": [page.packed(w[c]) for c in shown.channels],
                "heights": heights if counts[i] else [1.0] * len(heights),
                "unit": _common_unit(info)[1] if counts[i] else "weight",
                "before": middle_of(w.shape[1]),
                "note": f"{counts[i]} events",
            }
        )
    return found


def _errors(x: np.ndarray, y: np.ndarray, info: Info) -> list[list[Any]]:
    """Of each channel, over its finite samples."""
    rows = []
    for c, (one, other) in enumerate(zip(_columns(x).T, _columns(y).T, strict=True)):
        finite = np.isfinite(one) & np.isfinite(other)
        a, b = one[finite].astype(np.float64), other[finite].astype(np.float64)
        _, gain, unit = _units(info, c)
        rows.append([_name(info, c), metrics.prdn(a, b), metrics.prd(a, b), metrics.snr(a, b),
                     metrics.max_abs_error(a, b) / gain, unit or "–"])  # fmt: skip
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
        ["largest error", _in_units(info.largest_error, info)],
        ["PRDN", f"{info.prdn:.4g} %"],
        ["chunks", f"{info.chunks} of {info.chunk_samples} samples"],
        ["bytes", f"{info.bytes}, {info.bits_per_sample:.4f} bits per sample"],
    ]
    if info.dictionary_sha256:
        rows.append(["dictionary, SHA-256", info.dictionary_sha256])
    return "What the stream says of itself", [], rows


def _in_units(value: float, info: Info) -> str:
    """A difference of samples as the stream holds them, and in the unit of the channels."""
    gain, unit = _common_unit(info)
    if gain == 1.0:
        return f"{value:.6g} {unit}".strip()
    return f"{value:.6g} counts, {value / gain:.4g} {unit}"


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
