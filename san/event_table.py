"""The events of a recording or a stream as data: a table, or WFDB annotations."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from san.codec.decoder import Decoder, StreamEvents
from san.codec.dictionaries import DictionaryLike
from san.codec.modes.dictionary import SCALE, middle_of
from san.files import streams
from san.files.reading import is_stream, read
from san.packages import need
from san.signals import Recording
from san.wfdb_records.annotations import write_annotations

__all__ = ["EventTable", "of_file"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SYMBOL = '"'  # of an annotation that is a comment, and no beat
PRDN = 8.0  # per cent, within which the events of a recording are looked for without a model


@dataclass(frozen=True)
class EventTable:
    """Events in the order of their positions, in the units of the recording."""

    position: Integers  #: (E,), the sample at the kernel's middle
    start: Integers  #: (E,), the first sample that the event draws
    stop: Integers  #: (E,), the sample after the last one
    kernel: Integers  #: (E,), the number of the kernel
    #: float64 (E, channels), the norm of the drawn kernel, with a sign, in the unit of each channel
    amplitude: Floats
    #: float64 (E, channels), the root mean square of what all events leave of the signal in the
    #: samples that the event draws, in the unit of each channel; NaN where all of them are gaps
    error: Floats
    fs: float | None  #: Hz
    names: tuple[str, ...]  #: of the channels
    units: tuple[str, ...]  #: of the channels

    def __len__(self) -> int:
        return len(self.position)

    @property
    def time(self) -> Floats:
        """Seconds of each position from the first sample; NaN where no rate is known."""
        return self.position / (self.fs or math.nan)

    @property
    def interval(self) -> Floats:
        """Seconds since the event before, NaN for the first and where no rate is known."""
        steps = np.full(len(self), np.nan)
        steps[1:] = np.diff(self.position)
        return steps / (self.fs or math.nan)

    @property
    def columns(self) -> list[str]:
        """The columns of the table; with several channels amplitude and error have one for each."""
        ends = [f"_{name}" for name in self.names] if len(self.names) > 1 else [""]
        amplitudes, errors = ([f"{what}{end}" for end in ends] for what in ("amplitude", "error"))
        first = ["event", "time", "position", "start", "stop", "kernel"]
        return [*first, *amplitudes, "interval", *errors]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each event; what is not known is None."""
        parts = (
            np.arange(len(self))[:, None], self.time[:, None], self.position[:, None],
            self.start[:, None], self.stop[:, None], self.kernel[:, None], self.amplitude,
            self.interval[:, None], self.error,
        )  # fmt: skip
        columns = [column.tolist() for part in parts for column in part.T]
        return [
            {name: _shown(value) for name, value in zip(self.columns, row, strict=True)}
            for row in zip(*columns, strict=True)
        ]

    def to_csv(self) -> str:
        """Return the table as CSV; what is not known is empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()

    def to_json(self) -> str:
        """Return rate, channels, units and rows as JSON."""
        said = {"fs": self.fs, "channels": self.names, "units": self.units, "events": self.rows()}
        return json.dumps(said, indent=2)

    def to_dataframe(self) -> Any:
        """Return the table as a pandas DataFrame.

        Raises
        ------
        MissingPackage
            If pandas is not installed.
        """
        need("pandas")
        import pandas

        return pandas.DataFrame(self.rows(), columns=self.columns)

    def to_annotations(self) -> bytes:
        """Return the bytes of a WFDB annotation file.

        Each event is a comment at its position, whose text is the number of the kernel and the
        amplitude in each channel. Events before the first sample are left out.
        """
        notes = [
            f"{kernel} " + " ".join(f"{value:.6g}" for value in values)
            for kernel, values in zip(self.kernel.tolist(), self.amplitude.tolist(), strict=True)
        ]
        inside = np.flatnonzero(self.position >= 0).tolist()
        return write_annotations(
            self.position[inside], (SYMBOL,) * len(inside), [notes[i] for i in inside]
        )


def of_file(
    path: str | Path,
    model: str | Path | None = None,
    channels: Sequence[int] | None = None,
    *,
    fs: float | None = None,
    dictionary: DictionaryLike | None = None,
) -> EventTable:
    """List the events of a file or a stream.

    Parameters
    ----------
    path, fs, dictionary
        As `san.read` takes them.
    model : str or Path, optional
        A run folder of `san train` or its `model.safetensors`. Each channel is given the mean 0 and
        the standard deviation 1, and the model describes the whole recording. Without a model the
        events are those of the stream; a file is compressed in memory at a PRDN of 8 %.
    channels : sequence of int, optional
        The channels that a model describes, by number from 0, as many as the model has. Default:
        the first ones.

    Returns
    -------
    EventTable
        Of the signals of the rate that has the most samples. Positions are those of
        `san.Decoder.events` and `SAN.encode`.

    Raises
    ------
    FileNotFoundError, ValueError, CodecError
        As `san.read`; or if the model does not fit the recording.

    Examples
    --------
    >>> import tempfile, san
    >>> x = np.tile(np.hanning(40), 50)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stream = Path(folder) / "x.san"
    ...     _ = stream.write_bytes(san.compress(x, fs=100, prdn=5))
    ...     events = of_file(stream)
    >>> len(events) == len(events.time), events.columns[:3]
    (True, ['event', 'time', 'position'])
    """
    path = Path(path)
    if model is not None:
        return _of_model(
            read(path, fs=fs, annotations=False, dictionary=dictionary), model, channels
        )
    if channels is not None:
        raise ValueError("channels are for a model: the events of a stream have all channels")
    if is_stream(path):
        with open(path, "rb") as file:
            decoder = Decoder(file, dictionary=dictionary)
            found = decoder.events()
            decoded = decoder.read()
        recording = read(path, fs=fs, raw=True, annotations=False, dictionary=dictionary)
        return _of_stream(recording, decoder, found, decoded)
    array = streams.read_file(path, exact=False, fs=fs, annotations=False)
    decoder = Decoder(streams.encode_array(array, prdn=PRDN))
    recording = read(path, fs=fs, raw=True, annotations=False)
    return _of_stream(recording, decoder, decoder.events(), decoder.read())


def _of_stream(
    recording: Recording, decoder: Decoder, found: StreamEvents, decoded: np.ndarray
) -> EventTable:
    """The events of a stream in physical units, with what they leave of the decoded signal."""
    y = np.asarray(decoded, np.float64).reshape(len(decoded), recording.x.shape[1])
    kernels = np.zeros((0, y.shape[1], 1))
    if decoder.dictionary is not None:
        kernels = decoder.dictionary.kernels.astype(np.float64) / (1 << SCALE)
    drawn = np.zeros((len(y) + 2 * found.kernel_size, y.shape[1]))
    shapes = np.ascontiguousarray(kernels.transpose(0, 2, 1))
    for kernel, start, amplitude in zip(found.kernel, found.start, found.amplitude, strict=True):
        begin = int(start) + found.kernel_size
        drawn[begin : begin + found.kernel_size] += shapes[kernel] * amplitude
    left = y - drawn[found.kernel_size : found.kernel_size + len(y)]
    assert recording.raw is not None
    scale = _scales(recording.raw, recording.x)
    placed = recording.events.position if recording.events is not None else found.position
    start = placed - middle_of(found.kernel_size)
    stop = start + found.kernel_size
    level = np.nanmean(left, axis=0) if len(found) else 0.0  # the events do not draw it
    error = _errors(left - level, found.start, found.start + found.kernel_size) * np.abs(scale)
    return EventTable(
        placed, start, stop, found.kernel, found.amplitude * scale, error, recording.fs,
        recording.names, recording.units,
    )  # fmt: skip


def _of_model(
    recording: Recording, model: str | Path, channels: Sequence[int] | None
) -> EventTable:
    """The events that a trained model finds in a recording."""
    need("torch", "safetensors")
    import torch

    from san.networks.san import SAN

    file = Path(model) / "model.safetensors" if Path(model).is_dir() else Path(model)
    network = SAN.load(file).eval()
    if network.dimensions != 1:
        raise ValueError(
            f"{file} is a model of {network.dimensions} dimensions: give one of signals"
        )
    columns = list(range(network.channels)) if channels is None else list(channels)
    count = recording.x.shape[1]
    if len(columns) != network.channels or any(not 0 <= c < count for c in columns):
        raise ValueError(
            f"{file} describes {network.channels} channels, got channels {columns} of a recording "
            f"of {count}"
        )
    x = recording.x[:, columns]
    mean, scale = np.nan_to_num(np.nanmean(x, axis=0)), np.nan_to_num(np.nanstd(x, axis=0, ddof=1))
    scale[scale == 0] = 1.0
    standard = (x - mean) / scale
    here = np.isfinite(standard)
    weights = [kernel.detach() for kernel in network.kernels]
    given = torch.from_numpy(np.where(here, standard, 0.0).T.copy()).to(weights[0].dtype)[None]
    found = network.encode(given)
    drawn = network.decode(found)[0].numpy().T.astype(np.float64)
    position = found.position[:, 0].numpy()
    order = np.argsort(position, kind="stable")
    order = order[here[position[order]].any(axis=1)]
    position, kernel = position[order], found.kernel.numpy()[order]
    sizes = np.array([weight.shape[-1] for weight in weights], np.int64)[kernel]
    before = sizes // 2 if network.decoder == "paper" else (sizes - 1) // 2
    start = position - before
    norms = np.stack([torch.linalg.vector_norm(w, dim=-1).numpy().ravel() for w in weights])
    amplitude = found.amplitude.numpy().astype(np.float64)[order, None] * norms[kernel] * scale
    left = np.where(here, standard - drawn, np.nan)
    error = _errors(left, start, start + sizes) * scale
    return EventTable(
        position, start, start + sizes, kernel, amplitude, error, recording.fs,
        tuple(recording.names[c] for c in columns) if recording.names else (),
        tuple(recording.units[c] for c in columns) if recording.units else (),
    )  # fmt: skip


def _errors(left: Floats, start: Integers, stop: Integers) -> Floats:
    """The root mean square of each column from start to stop, without what is no number."""
    here = np.isfinite(left)
    power = np.cumsum(np.where(here, left, 0.0) ** 2, axis=0)
    count = np.cumsum(here, axis=0)
    power, count = (np.concatenate((np.zeros((1, v.shape[1])), v)) for v in (power, count))
    first, last = (np.clip(v, 0, len(left)) for v in (start, stop))
    number = count[last] - count[first]
    found: Floats = np.full(number.shape, np.nan)
    known = number > 0
    found[known] = np.sqrt(np.maximum((power[last] - power[first])[known], 0.0) / number[known])
    return found


def _scales(raw: np.ndarray, x: Floats) -> Floats:
    """What a step of 1 of the raw samples is in physical units, for each channel."""
    scales = np.ones(x.shape[1])
    for c in range(x.shape[1]):
        here = np.isfinite(x[:, c]) & np.isfinite(raw[:, c].astype(np.float64))
        values = raw[here, c].astype(np.float64)
        if len(values) and values.max() > values.min():
            low, high = int(values.argmin()), int(values.argmax())
            physical = x[here, c]
            scales[c] = (physical[high] - physical[low]) / (values[high] - values[low])
    return scales


def _shown(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.9g}") if math.isfinite(value) else None
