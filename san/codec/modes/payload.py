"""A chunk's bytes: the first byte says in which mode the rest is coded.

0  transform    wavelet coefficients and corrections (`transform`), without a dictionary
1  predictive   every sample from those before it, within a bound or exactly (`predictive`)
2  shared       as 0, with the dictionary of the stream: its kernels draw the events, and the coder
                starts from what the dictionary's excerpt has taught it
3  joint        as 1, from all columns coded before, each within its own bound (`joint`)
4  across       components of all columns, and columns made from them (`components`)
5  fast         frames of block-wise predictors and static laws, within bounds or exactly
                (`fast_frames`)

Modes 3, 4 and 5 are those of version 4 of the format: older streams do not have them.
"""

import math
import threading

import numpy as np

from san.codec.entropy.varints import Fields, write_varint
from san.codec.errors import CorruptStream
from san.codec.modes import components, fast_coding, fast_frames, joint, predictive, transform
from san.codec.modes.dictionary import Dictionary
from san.codec.modes.events import QuantizedEvents, no_events
from san.codec.modes.mode_numbers import (
    ACROSS,
    FAST,
    JOINT,
    NEWER_MODES,
    PREDICTIVE,
    SHARED,
    TRANSFORM,
)

WORTH = 16  # bytes that a newer mode must save: releases before 0.5 do not read it
# From so many columns on, and so many values of them all, mode 1 is not tried. It took a quarter of
# the time, and never had the fewest bytes: 9 recordings of 12 to 64 columns, at up to four bounds.
# Of three columns it had 2.5 % less than the others once.
MANY_COLUMNS, MANY_VALUES = 8, 1 << 12
# Mode 3 takes three times as long as mode 1 to write and to read. In so few columns it saves 0.4 %
# (exactly) and 1.3 % (within 5) of one lead of MIT-BIH, and nothing of two. So it is tried on long
# chunks only where bytes count most. Of ten seconds of a lead it saves 2 %.
FEW_COLUMNS, MOST_SAMPLES = 2, 1 << 14

SMALL = 64  # samples and columns of a chunk for which taking memory costs more than decoding
_KEPT = threading.local()


def decode_payload(
    payload: bytes,
    n: int,
    columns: int,
    dictionary: Dictionary | None,
    newer_modes: bool = True,
) -> np.ndarray:
    """Decode a chunk of n samples: int64 (n, columns); raises kinds of CodecError.

    Without `newer_modes`, those of version 4 of the format are refused.
    """
    fields = Fields(payload)
    mode = fields.byte()
    if mode == SHARED and dictionary is None:
        raise CorruptStream("a chunk needs a dictionary, and the stream has none")
    if mode in (TRANSFORM, SHARED):
        used = dictionary if mode == SHARED else None
        return transform.decode(payload[1:], n, columns, used)
    if mode in NEWER_MODES and not newer_modes:
        raise CorruptStream(f"a chunk of mode {mode}, which streams before version 4 do not have")
    if mode == JOINT:
        return joint.decode(payload[1:], n, columns)
    if mode == ACROSS:
        return components.decode(payload[1:], n, columns, dictionary)
    if mode == FAST:
        return fast_frames.decode(payload[1:], n, columns)
    if mode != PREDICTIVE:
        raise CorruptStream(f"a chunk of mode {mode}, which is none of 0 ... 5")
    k = np.empty((n, columns), np.int64)
    done, room = 0, _room_for(n, columns)
    while done < columns:
        count, bound, size = fields.varint(), fields.varint(), fields.varint()
        if not 1 <= count <= columns - done or bound >= 1 << 31:
            raise CorruptStream(f"{count} columns within {bound}, of {columns - done} left")
        body = fields.take(size)
        y = predictive.decode(body, n, count, bound, room)
        if count == columns:
            k = y
        else:
            k[:, done : done + count] = y
        done += count
    fields.end()
    return k


def _room_for(n: int, columns: int) -> predictive.Room:
    """Memory to decode in. That of small chunks stays for the next ones of the same thread."""
    if n > SMALL or columns > SMALL:
        return predictive.Room()
    if not hasattr(_KEPT, "room"):
        _KEPT.room = predictive.Room()
    room: predictive.Room = _KEPT.room
    return room


def payload_events(
    payload: bytes, n: int, columns: int, dictionary: Dictionary | None
) -> tuple[QuantizedEvents, np.ndarray]:
    """The events of a chunk of n samples, and how strong each is in each column, in samples.

    The strengths are float64 (events, columns), for a shape with an energy of 1. Only modes 2 and
    4 have events. In mode 4 an event's shape in a column is a sum of kernels of components. Its
    sign says whether it is like the kernel of the first component, or the opposite.
    """
    if columns > 0 and payload[:1] == bytes([SHARED]):
        events, codes = transform.decode_events(payload[1:], n, columns, dictionary)
        steps = np.array([transform.step_size(code) for code in codes]) / 256
        return events, events.amplitudes * steps
    if columns > 0 and payload[:1] == bytes([ACROSS]):
        return components.decode_events(payload[1:], n, columns, dictionary)
    return no_events(columns), np.zeros((0, columns))


def encode_predictive(
    k: np.ndarray, bounds: tuple[int, ...], newer_modes: bool = False, best: bool = True
) -> bytes:
    """A chunk in the predictive mode that takes fewer bytes; the first one, without newer modes.

    If it need not be the `best`, mode 3 is not tried where it takes long for little.
    """
    samples, columns = k.shape
    if not newer_modes or columns == 0:
        return _encode_predictive(k, bounds)
    slow = columns <= FEW_COLUMNS and samples > MOST_SAMPLES
    found: list[tuple[int, bytes]] = []  # payloads, each after its length and what it must save
    if columns <= joint.MOST_COLUMNS and (best or not slow):
        payload = bytes([JOINT]) + joint.encode(k, bounds)
        found.append((len(payload) + WORTH, payload))
    if k.size < MANY_VALUES or not MANY_COLUMNS <= columns <= joint.MOST_COLUMNS:
        payload = _encode_predictive(k, bounds)
        found.append((len(payload), payload))
    smallest, payload = min(reversed(found), key=lambda each: each[0])
    most = smallest - WORTH - 1
    for order in (fast_coding.MOST_ORDER, fast_coding.USUAL_ORDER):
        other, _ = encode_fast(k, bounds, order, most)
        if len(other) <= most:
            payload, most = other, len(other) - 1
    return payload


def encode_fast(
    k: np.ndarray,
    bounds: tuple[int, ...],
    order: int = fast_coding.USUAL_ORDER,
    most: float = math.inf,
) -> tuple[bytes, np.ndarray]:
    """A chunk in mode 5, and what is decoded of it.

    What has more than `most` bytes may end early.
    """
    body, decoded = fast_coding.encode(k, bounds, order, most - 1)
    return bytes([FAST]) + body, decoded


def _encode_predictive(k: np.ndarray, bounds: tuple[int, ...]) -> bytes:
    """A chunk in mode 1: neighbouring columns of one bound are coded together."""
    parts = [bytes([PREDICTIVE])]
    start = 0
    for stop in range(1, len(bounds) + 1):
        if stop == len(bounds) or bounds[stop] != bounds[start]:
            columns = np.ascontiguousarray(k[:, start:stop])
            body = predictive.encode(columns, bounds[start])
            parts += [write_varint(v) for v in (stop - start, bounds[start], len(body))]
            parts.append(body)
            start = stop
    return b"".join(parts)
