"""Which part of a signal goes into its dictionary, so that short chunks need not learn anew."""

from collections.abc import Sequence

import numpy as np

from san.codec.modes import transform
from san.codec.modes.dictionary import Dictionary, no_kernels
from san.codec.modes.events import QuantizedEvents, no_events
from san.codec.modes.transform import Plan, Setting
from san.codec.search.finding import CPU, finder_of
from san.codec.search.learning import as_floats, excerpts_of, learn_kernels, without_slow
from san.codec.search.steps import guess_code, step_of

# The excerpt is joined from so many pieces, evenly spread over the signal. More pieces show more of
# the signal, and have more seams, which nothing can predict.
EXCERPT_PIECES = 4
# A shorter excerpt teaches less than it costs: a dictionary then has kernels alone.
SHORTEST_EXCERPT = 64  # samples
# Values in the excerpt that many signals share. A larger one makes the dictionary larger, which is
# stored once, and each reader slower, which decodes the excerpt before the first chunk.
SHARED_EXCERPT = 1 << 15
# A position is stored as a bin of this length and a place in the bin. Larger bins are cheaper, and
# their places cost more.
BIN_SECONDS = 0.044
USUAL_FS = 360.0  # Hz, where a signal states no sampling rate


def bin_bits_for(fs: float) -> int:
    """The logarithm (base 2) of a bin's samples at a sampling rate; fs 0 is unknown."""
    return int(min(8, max(0, round(np.log2(BIN_SECONDS * (fs or USUAL_FS))))))


def find_events(
    x: np.ndarray, fs: float, steps: np.ndarray, kernels: np.ndarray, device: str = CPU
) -> QuantizedEvents:
    """The events of x, int64 (n, channels), looked for on a device; amplitudes are in `steps`."""
    if len(x) < kernels.shape[2]:
        return no_events(x.shape[1])
    fast = (without_slow(x, fs) / steps[:, None]).astype(np.float32)
    return finder_of([fast], device).pursue(kernels)[0][0]


def with_excerpt(
    x: np.ndarray, samples: int, fs: float, setting: Setting, dictionary: Dictionary | None,
    with_events: bool, bounds: tuple[int, ...] | None = None, device: str = CPU,
) -> Dictionary:  # fmt: skip
    """The dictionary (None: without kernels) with an excerpt of x, int64 (n, channels).

    Each of its pieces has so many samples. The excerpt is coded as chunks are: with these settings,
    with or without events, within these bounds.
    """
    pieces = excerpts_of(x.T, samples, EXCERPT_PIECES)
    excerpt = np.ascontiguousarray(np.concatenate(pieces, axis=1).T)
    dictionary = dictionary or no_kernels(x.shape[1])
    events = None
    if with_events:
        steps = np.array([step_of(code) for code in setting.codes])
        events = find_events(excerpt, fs, steps, as_floats(dictionary), device)
    return transform.learn_from(excerpt, Plan(setting, events, bounds), dictionary)


def learn_for(signals: Sequence[np.ndarray], fs: float, prdn: float) -> Dictionary | None:
    """A dictionary that signals, int64 (n, channels), share at an error in per cent.

    None where neither kernels nor an excerpt would save anything.
    """
    centred = [x - x.mean(0) for x in signals]
    energy = np.sum([(x**2).sum(0) for x in centred], axis=0)
    allowed = (prdn / 100) ** 2 * energy
    codes = tuple(
        guess_code([x[:, c] for x in signals], float(allowed[c])) for c in range(len(allowed))
    )
    joined = np.ascontiguousarray(np.concatenate(signals))
    kernels = learn_kernels(joined, fs, np.array([step_of(code) for code in codes]))
    setting = Setting(codes, bin_bits_for(fs))
    samples = min(len(joined), SHARED_EXCERPT // joined.shape[1])
    if samples < SHORTEST_EXCERPT:
        return kernels
    piece = samples // EXCERPT_PIECES
    return with_excerpt(joined, piece, fs, setting, kernels, kernels is not None)
