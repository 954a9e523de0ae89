"""Which column of a table holds times, and when a first time and a rate say the same as all of it.

The name of a column decides whether it holds times, and its numbers decide what becomes of them.
Times that a `Ruler` gives back as the same float64 numbers need not be stored. All others stay
what they are, unless an error is allowed and every time is near its tick (`agree`).
"""

from typing import NamedTuple

import numpy as np

#: What a column of times may be called, alone or with a unit after it, without blanks and quotes
WORDS = (
    *("t", "time", "times", "elapsed", "elapsedtime", "sec", "second", "seconds"),
    *("timestamp", "timestamps", "unixtime", "unixtimestamp", "epoch", "datetime"),
)
#: Names of units of time, and how many of the unit are a second
PER_SECOND = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1000),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds"), 10**6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 10**9),
}
#: Seconds from 1970 to 1980 and to 2100: whole numbers in between are Unix times
UNIX_TIMES = (315532800, 4102444800)
DECIMALS = 9  # of times, unless a ruler says otherwise: nanoseconds
ALL_DIGITS = 17  # tell every float64 from its neighbours: nothing is rounded
_LATEST = 1e12  # seconds: thirty thousand years; sums of larger numbers could overflow
_LOOKED_AT = 1000  # times from which the number of digits is found; then all are compared


class Ruler(NamedTuple):
    """Times at even distances, rounded to decimals, or to significant digits."""

    start: float  # in seconds
    fs: float  # in Hz
    decimals: int | None = DECIMALS
    digits: int | None = None  # significant ones; they count where decimals is None
    multiplied: bool = False  # time i is start + i * (1 / fs), else start + i / fs

    def times(self, count: int) -> np.ndarray:
        """The first `count` times in seconds, shape (count,), float64.

        Examples
        --------
        >>> Ruler(0.0, 1024.0, decimals=3).times(4).tolist()
        [0.0, 0.001, 0.002, 0.003]
        """
        steps = np.arange(count)
        with np.errstate(over="ignore", invalid="ignore"):  # a rate may be tiny
            ticks = (steps * (1 / self.fs) if self.multiplied else steps / self.fs) + self.start
            if self.decimals is not None:
                return np.round(ticks, self.decimals)
        if self.digits is None or self.digits >= ALL_DIGITS:
            return ticks
        return np.array([float(f"{t:.{self.digits}g}") for t in ticks.tolist()])


def is_name(name: str) -> bool:
    """Say whether a column of this name holds times: the whole name decides.

    Capitals, blanks and quotes do not matter.

    Examples
    --------
    >>> [is_name(name) for name in ("t", "Time (s)", "'Elapsed time'", "time[ms]", "seconds")]
    [True, True, True, True, True]
    >>> [is_name(name) for name in ("thorax", "T3", "temp", "time (min)", "ts")]
    [False, False, False, False, False]
    """
    plain = _plain(name)
    return (plain in PER_SECOND and len(plain) > 2) or _parts(plain)[0] in WORDS


def per_second_of(name: str) -> int | None:
    """How many units of a column of times are a second; None if its name does not say so.

    Examples
    --------
    >>> [per_second_of(name) for name in ("time (ms)", "time_us", "seconds", "time")]
    [1000, 1000000, 1, None]
    """
    plain = _plain(name)
    return PER_SECOND.get(plain) or PER_SECOND.get(_parts(plain)[1])


def _plain(name: str) -> str:
    return "".join(name.replace('"', "").replace("'", "").split()).lower()


def _parts(plain: str) -> tuple[str, str]:
    """The word and the unit of a name: `time(ms)`, `time[ms]`, `time_ms`, `time/ms`."""
    for unit in PER_SECOND:
        for ending in (f"({unit})", f"[{unit}]", f"_{unit}", f"/{unit}", f",{unit}", f".{unit}"):
            if plain.endswith(ending):
                return plain.removesuffix(ending).replace("_", ""), unit
    return plain.replace("_", ""), ""


def find_ruler(times: np.ndarray, fs: float | None = None) -> Ruler | None:
    """Find a ruler that gives every time back exactly, as the same float64.

    Parameters
    ----------
    times : array, shape (n,), float64
        In seconds.
    fs : float, optional
        The rate in Hz that the ruler must have. Without it, the roundest rate that fits.

    Returns
    -------
    Ruler or None
        None where no ruler is found, and where fewer than two times tell no rate.

    Examples
    --------
    >>> find_ruler(np.array([0.0, 0.004, 0.008]))
    Ruler(start=0.0, fs=250.0, decimals=9, digits=None, multiplied=False)
    >>> find_ruler(np.array([0.0, 0.005, 0.008])) is None
    True
    """
    if not len(times) or not _are_finite(times):
        return None
    decimals, digits = _written(times)
    start, exact = float(times[0]), (None, ALL_DIGITS)
    for rounding in dict.fromkeys([(DECIMALS, None), (decimals, None), (None, digits), exact]):
        for rate in [fs] if fs else _rates(times, _hidden(times, *rounding)):
            for multiplied in (False, True) if rounding == exact else (False,):
                ruler = Ruler(start, rate, *rounding, multiplied)
                if ruler.times(len(times)).tobytes() == times.tobytes():  # -0.0 is not 0.0
                    return ruler
    return None


def nearest_ruler(times: np.ndarray, fs: float | None = None) -> Ruler | None:
    """Find a ruler that `agree` accepts, unless a rate is given with a rate of the times.

    It is the roundest rate whose times are these with further digits cut off, or else their mean
    rate. It has as many digits as the times have. None where there is none.

    Examples
    --------
    >>> nearest_ruler(np.array([0.0, 0.011, 0.019, 0.03])).fs
    100.0
    >>> nearest_ruler(np.floor(np.arange(100) / 0.36) / 1000).fs
    360.0
    """
    if len(times) < (1 if fs else 2) or not _are_finite(times):
        return None
    passed = float(times[-1] - times[0])
    if fs is None and not passed > 0:
        return None
    decimals, digits = _written(times)
    hidden = min(_hidden(times, decimals, None).max(), _hidden(times, None, digits).max())
    if fs is None and hidden > passed / (len(times) - 1):  # as in _rates
        return None
    rounding = (decimals, None) if decimals <= DECIMALS else (None, digits)
    mean = [float(f"{(len(times) - 1) / passed:.{n}g}") for n in (6, ALL_DIGITS)] if passed else []
    rates = [fs] if fs else [*_rates(times, 2 * _hidden(times, *rounding)), *mean]
    rulers = (Ruler(float(times[0]), rate, *rounding) for rate in rates if agree(times, rate))
    return next(rulers, None)


def agree(times: np.ndarray, fs: float) -> bool:
    """Say whether each time is nearest to its own tick of a rate, as far as its digits tell.

    A time may be half a sampling interval from its tick: then it is nearer to no other tick, and
    no two samples change places. Half a unit of its last digit comes on top, because the text
    hides that much: a table of five significant digits says 100.01 of 100.008 s.

    Parameters
    ----------
    times : array, shape (n,), float64
        In seconds.
    fs : float
        In Hz.

    Examples
    --------
    >>> agree(np.array([0.0, 0.011, 0.019, 0.03]), 100.0)
    True
    >>> agree(np.array([0.0, 0.01, 3.02, 3.03]), 100.0)
    False
    """
    if not len(times) or not _are_finite(times) or not 0 < fs < np.inf:
        return False
    decimals, digits = _written(times)
    hidden = np.maximum(_hidden(times, decimals, None), _hidden(times, None, digits))
    steps = (times - times[0]) * fs
    return bool((np.abs(steps - np.arange(len(times))) <= 0.5 + hidden * fs).all())


def _are_finite(times: np.ndarray) -> bool:
    return bool((np.abs(times) <= _LATEST).all())


def _written(times: np.ndarray) -> tuple[int, int]:
    """The fewest decimals, and the fewest significant digits, that give times back."""
    some = times[np.linspace(0, len(times) - 1, min(len(times), _LOOKED_AT)).astype(int)]
    found = {
        kind: next(
            (n for n in range(ALL_DIGITS) if all(float(f"{t:.{n}{kind}}") == t for t in some)),
            ALL_DIGITS,
        )
        for kind in ("f", "g")
    }
    return found["f"], max(1, found["g"])


def _hidden(times: np.ndarray, decimals: int | None, digits: int | None) -> np.ndarray:
    """Half a unit of the last digit of each time, and never less than float64 itself hides."""
    least = 2 * np.spacing(np.abs(times).max())
    if decimals is not None:
        return np.full(len(times), max(least, 0.5 * 10.0**-decimals))
    assert digits is not None
    size = np.floor(np.log10(np.maximum(np.abs(times), 1e-300)))
    return np.maximum(least, 0.5 * 10.0 ** (size - digits + 1))


def _rates(times: np.ndarray, hidden: np.ndarray) -> list[float]:
    """The rates whose ticks hide in the digits of all times, the roundest first."""
    if len(times) < 2:
        return []
    steps = np.arange(1, len(times))
    passed = times[1:] - times[0]
    least = float(((passed - hidden[1:]) / steps).max())
    most = float(((passed + hidden[1:]) / steps).min())
    period = (least + most) / 2
    if not 0 < least <= most or hidden.max() > period:  # whole seconds tell no rate of 250 Hz
        return []
    found = []
    for digits in range(1, ALL_DIGITS + 1):
        rates = (float(f"{1 / period:.{digits}g}"), 1 / float(f"{period:.{digits}g}"))
        found += [rate for rate in rates if least <= 1 / rate <= most]
        if found:
            break
    return [*found, 1 / period]
