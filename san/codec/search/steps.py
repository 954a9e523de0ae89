"""Which quantizer step makes a given error: guessed from the coefficients, then closed in on."""

from collections.abc import Callable, Sequence

import numpy as np

from san.codec.modes import transform
from san.codec.modes.transform import step_size

# The largest step: 0.25 · 2**(2900 / 128) = 1.6 million. Coarser steps would save almost nothing.
HIGHEST_CODE = 2900
# An error this share below what is allowed is close enough. A larger share ends sooner, and leaves
# bytes unsaved: 0.4 % of the error is about 0.6 % of the bytes.
CLOSE = 0.004
AIM = float(np.log2(1 - CLOSE / 2))  # the middle of what is close enough
# After so many encodings, an error that is still so far below what is allowed (a logarithm, base 2)
# shows a jump: the coarsest coefficients are all that is left, as at a PRDN of 95. The middle of
# what fits and what does not is tried then.
USUALLY_SEEN, FAR = 5, -0.1
# An error that changed by less is what it is at every step nearby: the next move is twice as large.
UNMOVED = 1e-3
# The error grows as the step to this power. It is below 1 because many coefficients are zero
# already. A wrong value costs tries, no bytes.
SLOPE = 0.75
# Added before rounding down: a rest of up to 0.6 of a step is dropped, much as the coder does.
ROUNDING = 0.4


def step_of(code: int) -> float:
    """The quantizer's step of a code, in samples."""
    return step_size(code) / 256


def guess_code(pieces: Sequence[np.ndarray], allowed: float) -> int:
    """The step code at which a plain quantizer would make this squared error in all pieces.

    The approximation is thought to be exact, unless it alone has to hold the error down.
    """
    bands = [transform.bands_of(piece) for piece in pieces]
    size = np.abs(np.concatenate([b for piece in bands for b in piece[1:]] or [np.zeros(0)]))
    approximation = np.concatenate([piece[0] for piece in bands] or [np.zeros(0)])

    def fits(code: int) -> bool:
        step = step_size(code)
        rest = size - np.floor(size / step + ROUNDING) * step
        return float((rest**2).sum()) <= allowed * 65536

    if not fits(HIGHEST_CODE):
        return _largest(0, HIGHEST_CODE, fits)
    details = float((size.astype(np.float64) ** 2).sum())

    def holds(code: int) -> bool:
        step = step_size(code)
        rest = approximation - np.rint(approximation / step) * step
        return details + float((rest**2).sum()) <= allowed * 65536

    return _largest(0, HIGHEST_CODE, holds)


def _largest(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest number from low to high for which a falling property holds, or low."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


class Bracket:
    """The step code of one channel, moved until its error is just below what is allowed.

    A channel's error depends a little on the steps of the others. So a code that has fitted may
    fail later, and the other way round: what was seen last counts.
    """

    def __init__(self, code: int, highest: int = HIGHEST_CODE) -> None:
        self.code, self.highest = min(code, highest), highest
        self.fits: tuple[int, float] | None = None  # code, logarithm of error over allowed
        self.fails: tuple[int, float] | None = None
        self.last = 0.0  # the logarithm that was seen last
        self.seen = self.unmoved = 0
        self.done = False

    def see(self, ratio: float) -> None:
        """Take the error at the code, over what is allowed, and choose the next code."""
        error = float(np.log2(max(ratio, 1e-6)))
        self.unmoved = self.unmoved + 1 if self.seen and abs(error - self.last) < UNMOVED else 0
        self.last, self.seen = error, self.seen + 1
        if error <= 0:
            if self.fits is None or self.code >= self.fits[0]:
                self.fits = (self.code, error)
            if self.fails is not None and self.fails[0] <= self.code:
                self.fails = None
        else:
            if self.fails is None or self.code <= self.fails[0]:
                self.fails = (self.code, error)
            if self.fits is not None and self.fits[0] >= self.code:
                self.fits = None
        low = self.fits[0] if self.fits else -1
        high = self.fails[0] if self.fails else self.highest + 1
        self.done = error <= 0 and (ratio > 1 - CLOSE or high - low <= 1)
        if self.done or self.finest:
            return
        if self.fits and self.fails and self.fails[1] > self.fits[1]:
            share = (AIM - self.fits[1]) / (self.fails[1] - self.fits[1])
            if self.seen > USUALLY_SEEN and self.is_far:
                share = 0.5  # the error jumps between the two
            proposed = low + share * (high - low)
        else:
            proposed = self.code + self._move(error) * 2**self.unmoved
        self.code = int(min(max(np.floor(proposed), low + 1), max(high - 1, 0)))

    @property
    def is_far(self) -> bool:
        """Whether the best code so far makes an error far below what is allowed."""
        return self.fits is not None and self.fits[1] < FAR

    @property
    def finest(self) -> bool:
        """Whether the channel fails at the finest step there is."""
        return self.fails is not None and self.fails[0] == 0

    def retreat_from(self, code: int, least: int) -> None:
        """Keep a code that was just seen to fit; leave one that failed by so much at least."""
        back = 0 if self.last <= 0 else max(least, int(np.ceil(-self._move(self.last))))
        self.code = max(0, code - back)

    def _move(self, error: float) -> float:
        """How far the code is from where the error is probably just small enough."""
        return (AIM - error) * 128 / SLOPE
