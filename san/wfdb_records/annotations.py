"""How WFDB writes annotations: times and symbols of beats in words of two bytes (annot(5))."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The symbol of each code; what is not named here has the symbol "" and is no beat.
SYMBOLS = {
    1: "N", 2: "L", 3: "R", 4: "a", 5: "V", 6: "F", 7: "J", 8: "A", 9: "S", 10: "E", 11: "j",
    12: "/", 13: "Q", 14: "~", 16: "|", 18: "s", 19: "T", 20: "*", 21: "D", 22: '"', 23: "=",
    24: "p", 25: "B", 26: "^", 27: "t", 28: "+", 29: "u", 30: "?", 31: "!", 32: "[", 33: "]",
    34: "e", 35: "n", 36: "@", 37: "x", 38: "f", 39: "(", 40: ")", 41: "r",
}  # fmt: skip
BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")  #: the symbols that stand for a beat
_CODES = {symbol: code for code, symbol in SYMBOLS.items()}
_NONE = 0  # holds a place in time, and says nothing
_SKIP, _NUMBER, _SUBTYPE, _CHANNEL, _NOTE = 59, 60, 61, 62, 63
_RESOLUTION = "## time resolution: "
_LONGEST = 1023  # samples between two annotations in one word


@dataclass(frozen=True)
class Notes:
    """The annotations of one file, in the order of the file."""

    position: NDArray[np.int64]  #: samples from the beginning, at `fs`, or at the record's rate
    symbol: tuple[str, ...]
    note: tuple[str, ...]  #: the auxiliary text, or ""
    fs: float | None = None  #: Hz, where the file states the rate of its times


def read_annotations(data: bytes) -> Notes:
    """Read the bytes of an annotation file in the format of MIT.

    Raises
    ------
    ValueError
        If the bytes are cut, or are in another format.

    Examples
    --------
    >>> read_annotations(write_annotations([70, 5000], ["N", "V"])).position.tolist()
    [70, 5000]
    """
    times: list[int] = []
    codes: list[int] = []
    notes: list[str] = []
    at = 0
    for code, value, text in _words(data):
        if code == _SKIP:
            at += value
        elif code == _NOTE:
            if notes:
                notes[-1] = text
        elif code not in (_NUMBER, _SUBTYPE, _CHANNEL):
            at += value
            if code == _NONE:
                continue
            times.append(at)
            codes.append(code)
            notes.append("")
    fs = None
    while notes and times[0] == 0 and codes[0] == _CODES['"'] and notes[0].startswith("## "):
        fs = _rate_of(notes[0]) or fs
        del times[0], codes[0], notes[0]
    symbols = tuple(SYMBOLS.get(code, "") for code in codes)
    return Notes(np.array(times, np.int64), symbols, tuple(notes), fs)


def write_annotations(
    position: Sequence[int] | NDArray[np.int64],
    symbol: Sequence[str],
    note: Sequence[str] | None = None,
) -> bytes:
    """Write an annotation file, whose times are samples of the record.

    Parameters
    ----------
    position : sequence of int
        Samples from 0, none before the one that it follows.
    symbol : sequence of str
        One for each position: "N", "V", "Q" ...
    note : sequence of str, optional
        The auxiliary text of each, "" for none; at most 255 bytes.

    Raises
    ------
    ValueError
        If times go back, or a symbol has no code.

    Examples
    --------
    >>> write_annotations([1], ["N"]).hex()
    '01040000'
    """
    texts = [""] * len(symbol) if note is None else note
    parts, last = [], 0
    for place, name, text in zip(np.asarray(position).tolist(), symbol, texts, strict=True):
        interval = place - last
        if interval < 0:
            raise ValueError(f"annotation times go back: {place} comes after {last}")
        if name not in _CODES:
            raise ValueError(f"annotations have no symbol {name!r}: give one of {''.join(_CODES)}")
        if interval > _LONGEST:
            words = interval - _LONGEST
            parts.append(struct.pack("<HHH", _SKIP << 10, words >> 16, words & 0xFFFF))
            interval = _LONGEST
        parts.append(struct.pack("<H", _CODES[name] << 10 | interval))
        if text:
            body = text.encode()[:255]
            parts.append(
                struct.pack("<H", _NOTE << 10 | len(body)) + body + b"\0" * (len(body) % 2)
            )
        last = place
    return b"".join(parts) + b"\0\0"


def _words(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Code, value and text of each word with what belongs to it, up to the one that ends all."""
    place = 0
    while place + 2 <= len(data):
        (word,) = struct.unpack_from("<H", data, place)
        place += 2
        if word == 0:
            return
        code, value, text = word >> 10, word & _LONGEST, ""
        size = 4 if code == _SKIP else value + value % 2 if code == _NOTE else 0
        if place + size > len(data):
            break
        if code == _SKIP:
            high, low = struct.unpack_from("<hH", data, place)
            value = (high << 16) + low
        elif code == _NOTE:
            text = data[place : place + value].decode("utf-8", "replace").rstrip("\0")
        place += size
        yield code, value, text
    raise ValueError("the annotation file is cut: no zero word ends it")


def _rate_of(note: str) -> float | None:
    try:
        fs = float(note.removeprefix(_RESOLUTION)) if note.startswith(_RESOLUTION) else 0.0
    except ValueError:
        return None
    return fs if 0 < fs < float("inf") else None
