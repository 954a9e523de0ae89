"""Fast prediction: what the encoder chooses for each column, and how a chunk becomes frames."""

import math

import numpy as np

from san.codec.entropy.loops import (
    integer_loop,
    integer_step,
    least,
    most,
    search_step,
    size_of,
    wrapped,
)
from san.codec.entropy.varints import write_varint
from san.codec.modes.fast_fit import COUNT, SHIFT, USED, Fit, fit_column, new_fit
from san.codec.modes.fast_frames import OWN_BOUNDS, USUAL
from san.codec.modes.fast_laws import (
    BUCKETS,
    ESCAPE,
    RAW_FROM,
    SCALES,
    SHAPES,
    SIGNED,
    SYMBOLS,
    tables,
)
from san.codec.modes.fast_packing import (
    COARSE,
    EXTENT,
    FIRST_BUCKET,
    ITEMS,
    LAST_BUCKET,
    LOWEST,
    POSITION,
    SHAPE,
    Draft,
    code_entries,
    new_draft,
    put_context,
    put_laws,
    put_predictor,
    put_range,
    put_residuals,
    width_of,
)
from san.codec.modes.fast_room import (
    BESIDE,
    LARGEST_SIZE,
    LONG,
    ORDER,
    PAD,
    RECENT,
    START,
    Room,
    bucket_of,
    fill,
    new_room,
)

DIFFERENCE_BITS = 17  # of the differences that predictors see
USUAL_ORDER = 8  # own differences of a predictor; 16 save little and take half as long again
MOST_ORDER = ORDER
TRIED = 6  # scales on each side of the usual one that are tried for a bucket
CHANGE, TOLD = 1.5, 1.0  # bits of each step of a change of scale, and of a bucket


@integer_step
def measure(room, draft, c, n):
    """Range and differences of a column; what they are is in the hand. Returns the largest one."""
    x, d = c * n, c * (n + 2 * PAD) + PAD
    before, now, hand = room.x[x : x + n - 1], room.x[x + 1 : x + n], draft.hand
    differences = room.d[d + 1 : d + n]
    lowest, highest, jump = room.x[x] + 0, room.x[x] + 0, 0
    for t in range(n - 1):
        v = now[t] + 0
        lowest, highest = least(lowest, v), most(highest, v)
        jump = most(jump, size_of(v - before[t]))
    coarse = most(0, width_of(jump) - DIFFERENCE_BITS)
    for t in range(n - 1):
        differences[t] = wrapped((now[t] - before[t]) >> coarse)
    hand[LOWEST], hand[EXTENT], hand[COARSE] = lowest, highest - lowest, coarse
    return (jump >> coarse) + 1


@integer_step
def predict_all(room, c, n, order, shift, coarse):
    """Residuals where all samples are known: of all of them at once."""
    x, d, e = c * n, c * (n + 2 * PAD) + PAD, c * (n + 1)
    base, w, half = room.base, room.weights, 1 << (shift - 1)
    for i in range(0, order, 4):
        w1, w2, w3, w4 = w[i] + 0, w[i + 1] + 0, w[i + 2] + 0, w[i + 3] + 0
        p = d - 1 - i
        d1, d2 = room.d[p : p + n], room.d[p - 1 : p - 1 + n]
        d3, d4 = room.d[p - 2 : p - 2 + n], room.d[p - 3 : p - 3 + n]
        for t in range(1, n):
            base[t] = wrapped(base[t] + w1 * d1[t] + w2 * d2[t] + w3 * d3[t] + w4 * d4[t])
    differences, residuals = room.d[d : d + n], room.e[e : e + n]
    before, now = room.x[x : x + n], room.x[x + 1 : x + n]
    if coarse == 0:
        for t in range(1, n):
            residuals[t] = wrapped(differences[t] - (wrapped(base[t] + half) >> shift))
    else:
        for t in range(n - 1):
            v = before[t] + (wrapped(base[t + 1] + half) >> shift << coarse)
            residuals[t + 1] = wrapped(now[t] - v)


@integer_step
def quantize(room, c, n, order, shift, coarse, bound, lowest, highest):
    """Residuals in steps, each from what is decoded before it; samples become what is decoded.

    A quotient is a product with a reciprocal, where that is exact: of numbers from 0 below 2**30.
    """
    x, d, e = c * n, c * (n + 2 * PAD) + PAD, c * (n + 1)
    samples, residuals = room.x[x : x + n], room.e[e : e + n]
    differences, older = room.d[d : d + n], room.d[d - ORDER : d + n]
    base, w, step = room.base, room.weights, 2 * bound + 1
    w1, w2, w3, w4 = w[0] + 0, w[1] + 0, w[2] + 0, w[3] + 0
    w5, w6, w7, w8 = w[4] + 0, w[5] + 0, w[6] + 0, w[7] + 0
    d1, d2, d3, d4, d5, d6, d7, d8 = 0, 0, 0, 0, 0, 0, 0, 0
    half, last = 1 << (shift - 1), samples[0] + 0
    steps = (highest - lowest) // step + 2  # makes what is divided positive
    largest = highest - lowest + bound + (steps + 1) * step
    fits, up = 1 if largest < 1 << 30 else 0, 0
    while fits == 1 and 1 << up < largest * step:
        up += 1
    rate = (1 << up) // step + 1
    for t in range(1, n):
        s = base[t] + half + w8 * d8 + w7 * d7 + w6 * d6 + w5 * d5 + w4 * d4 + w3 * d3
        for i in range(8, order):
            s += w[i] * older[t + ORDER - 1 - i]
        v = last + (wrapped(s + w2 * d2 + w1 * d1) >> shift << coarse)
        v = least(most(v, lowest), highest)
        z = samples[t] - v + bound + steps * step
        q = (z * rate >> up if fits == 1 else z // step) - steps
        residuals[t] = q
        v = least(most(v + q * step, lowest), highest)
        d8, d7, d6, d5, d4, d3, d2 = d7, d6, d5, d4, d3, d2, d1
        d1 = wrapped((v - last) >> coarse)
        differences[t], samples[t], last = d1, v, v


@integer_step
def look_back(room, draft, laws, c, n):
    """Bucket and symbol of each residual, and how often the two meet."""
    e, beside, table, low = c * (n + 1), room.beside, laws.bucket, laws.low
    residuals = room.e[e : e + n]
    bucket, symbol, counts = draft.bucket, draft.symbol, draft.counts
    for i in range(BUCKETS * SYMBOLS):
        counts[i] = 0
    recent, long, near = room.hand[RECENT], room.hand[LONG], room.hand[BESIDE]
    middle = (n + 1) >> 1
    f, g = START, START
    for t in range(1, n):
        if t == middle:
            f, g = START, START
        b = bucket_of((recent * f + long * g + near * beside[t]) >> 7, table)
        v = residuals[t] + 0
        z = (v << 1) ^ (v >> 63)
        s = least(z >> low[b], ESCAPE)
        bucket[t], symbol[t] = b, s
        counts[b * SYMBOLS + s] += 1
        a = least(size_of(v), LARGEST_SIZE)
        f += (a << 8) - (f >> 2)
        g += (a << 5) - (g >> 5)


@search_step
def choose_laws(draft, laws):
    """The shape, and the scale of each bucket, that cost least."""
    counts, usual, hand = draft.counts, laws.usual, draft.hand
    trial, used = draft.trial, draft.used
    first, last = BUCKETS, -1
    for b in range(BUCKETS):
        used[b] = 0
        for s in range(SYMBOLS):
            used[b] += counts[b * SYMBOLS + s]
        if used[b] > 0:
            first, last = min(first, b), b
    best = 1e30
    for shape in range(SHAPES):
        total, before = 0.0, 0
        for b in range(first, last + 1):
            lowest, highest = (0, SIGNED) if b < RAW_FROM else (SIGNED, SCALES)
            fewest, at = 1e30, before
            if used[b] == 0:
                at = min(max(usual[b] + before, lowest), highest - 1) - usual[b]
                fewest = CHANGE
            else:
                end = SYMBOLS
                while counts[b * SYMBOLS + end - 1] == 0:
                    end -= 1
                for i in range(max(lowest, usual[b] - TRIED), min(highest, usual[b] + TRIED + 1)):
                    row = (shape * SCALES + i) * SYMBOLS
                    bits = CHANGE * abs(i - usual[b] - before) + TOLD
                    for s in range(end):
                        bits += counts[b * SYMBOLS + s] * laws.cost[row + s]
                    if bits < fewest:
                        fewest, at = bits, i - usual[b]
            trial[b], before = at, at
            total += fewest
        if total < best:
            best, hand[SHAPE] = total, shape
            for b in range(first, last + 1):
                draft.moved[b] = trial[b]
    hand[FIRST_BUCKET], hand[LAST_BUCKET] = first, last


@integer_loop
def code_frame(room, fit, draft, laws, bounds, n, columns, order):
    """Code the samples of `room.x`; they become what is decoded. Returns the first word's place.

    The words end where their array ends. The hand has the position after the last bit.
    """
    hand, settings = draft.hand, fit.settings
    hand[POSITION], hand[ITEMS], draft.bits[0] = 0, 0, 0
    for c in range(columns):
        fit.jumps[c] = measure(room, draft, c, n)
        put_range(room, draft, c, n)
        if hand[EXTENT] == 0:
            fill(room, c, n, room.x[c * n] + 0)
            take_differences(room, fit, c, n)
            continue
        take_differences(room, fit, c, n)
        step = 2.0 * bounds[c] + 1
        fit_column(fit, room, c, columns, n, order, (step * step - 1) / 12.0)
        put_predictor(room, fit, draft, columns, n)
        used, shift, coarse = settings[USED], settings[SHIFT], hand[COARSE]
        if bounds[c] > 0:
            top = hand[LOWEST] + hand[EXTENT]
            quantize(room, c, n, used, shift, coarse, bounds[c], hand[LOWEST], top)
            take_differences(room, fit, c, n)
        else:
            predict_all(room, c, n, used, shift, coarse)
        put_context(room, draft, c, n, settings[COUNT])
        look_back(room, draft, laws, c, n)
        choose_laws(draft, laws)
        put_laws(room, draft, laws)
        put_residuals(room, draft, laws, c, n)
    if hand[ITEMS] == 0:
        return len(draft.words)
    return code_entries(draft.entries, hand[ITEMS], n, laws.rates, draft.words)


@integer_step
def take_differences(room, fit, c, n):
    """The differences of a column as floats, for the search."""
    d = c * (n + 2 * PAD) + PAD
    reals, differences = fit.df[d : d + n], room.d[d : d + n]
    for t in range(1, n):
        reals[t] = differences[t]


def encode(
    k: np.ndarray, bounds: tuple[int, ...], order: int = USUAL_ORDER, most: float = math.inf
) -> tuple[bytes, np.ndarray]:
    """The bytes of int64 (n, columns), and what is decoded of them.

    No sample is off by more than its column's bound. Where the frames have more than `most` bytes
    already, both end: such bytes are for nobody.
    """
    n, columns = k.shape
    lowest, highest = (int(k.min()), int(k.max())) if k.size else (0, 0)
    widest = max(bounds, default=0)
    if min(lowest, -highest - 1, -widest - 1) < -(1 << 31) or min(bounds, default=0) < 0:
        raise ValueError(f"samples of {lowest} ... {highest} within {widest} are beyond 32 bits")
    one = len(set(bounds)) <= 1
    head = [bytes([USUAL if one else USUAL + OWN_BOUNDS])]
    head += map(write_varint, bounds[:1] if one else bounds)
    full, frames, decoded = 1 << USUAL, [], k
    size_of_frames = 0
    if any(bounds):
        decoded = np.empty((n, columns), np.int64)
    for start in range(0, n, full):
        part = k[start : start + full]
        if start % full == 0 and (start == 0 or len(part) < full):
            size = len(part)
            memory = new_room(size, columns), new_fit(size, columns), new_draft(size, columns)
        frames.append(_encode_part(part, bounds, order, *memory))
        size_of_frames += len(frames[-1])
        if size_of_frames > most:
            break
        if any(bounds):
            decoded[start : start + full] = memory[0].x.reshape(columns, size).T
    head += [write_varint(len(frame)) for frame in frames[:-1]]
    return b"".join(head + frames), decoded


def _encode_part(
    part: np.ndarray, bounds: tuple[int, ...], order: int, room: Room, fit: Fit, draft: Draft
) -> bytes:
    """The bytes of a frame; the room has what is decoded."""
    n, columns = part.shape
    room.x.reshape(columns, n)[:] = part.T
    widths = np.array(bounds, np.int64)
    at = code_frame(room, fit, draft, tables(), widths, n, columns, order)
    count = int(draft.hand[POSITION]) + 7 >> 3
    bits = draft.bits.view(np.uint8)[:count].tobytes()
    words = draft.words[at:].astype("<u2").tobytes()
    return write_varint(count) + bits + words
