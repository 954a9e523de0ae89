"""Lossless and near-lossless coding of integers: what a sample is expected to be, what it costs.

Three experts expect every sample from those decoded before it: the sample just before; a linear
predictor over this channel and its neighbours, solved by weighted least squares every few hundred
samples; and that one corrected by a fast adaptive filter. The residual from the third, quantized
with step 2 · bound + 1, is coded as binary decisions. The probability of a decision is mixed from
its distance to each expert's value, in units of the expert's recent errors, and from other
contexts.
"""

import functools

import numpy as np

from san.codec.entropy import range_coder
from san.codec.entropy.logistic import (
    refinement_row,
)
from san.codec.entropy.loops import integer_loop, least, most
from san.codec.entropy.mixing import (
    UNSEEN,
)
from san.codec.entropy.range_coder import (
    finish,
    new_decoder,
    new_encoder,
)
from san.codec.entropy.varints import read_varint, write_varint
from san.codec.errors import CorruptStream
from san.codec.modes.decisions import (
    ALL_MEMORY,
    ALL_WEIGHTS,
    CONTEXTS,
    FIRST_ROW,
    INITIAL_WEIGHT,
    INPUTS,
    KEPT,
    KINDS,
    LOUD_PAIRS,
    NODES,
    OF_CHANNEL,
    PLACES,
    STAGES,
    choose_contexts,
    code_residual,
    new_mixer,
)
from san.codec.modes.experts import (
    AVERAGES,
    BLOCK,
    CENTRE,
    DIFFERENCE_BITS,
    ERROR_LIMIT,
    EXPERTS,
    FILTERED,
    FIRST,
    HIGHEST,
    LARGEST,
    LOWEST,
    MEAN,
    OLD,
    PAD,
    SHIFT,
    STATE,
    STEP,
    STEP_BITS,
    YOUNG,
    Model,
    adapt,
    add_moments,
    begin_again,
    clamp,
    copy_small,
    expect,
    features_of,
    forget,
    logarithm,
    new_model,
    place_lags,
    predicted,
    solve,
    within,
)

FEW = 8  # samples of a group: to note and forget the cells of more costs as much as all cells


@integer_loop
def code_samples(mixer, model, samples, decoded, touched, n, channels):
    """Code every sample, channel by channel within a moment, in either direction.

    `touched` gets where the cells of the first samples start: INPUTS places for each of them.
    """
    m, differences = mixer.m, model.differences
    solved, due, step, age, number = 0, FIRST, m[STEP], YOUNG, 0
    for t in range(n):
        if age < OLD and t >> age > 0:
            age += 1
        for c in range(channels):
            here = c * (n + PAD) + PAD + t
            last = decoded[here - 1]
            prediction = clamp(predicted(model, c, channels, here, n + PAD) >> 10, ERROR_LIMIT)
            mean = model.state[c * STATE + AVERAGES * FILTERED + MEAN]
            loud = logarithm(mean, mixer.tables)
            expect(m, model, c, last, prediction, loud, here)
            choose_contexts(m, mixer.tables, model.state, c, channels, loud)
            if number * INPUTS < len(touched):
                for a in range(INPUTS):
                    touched[number * INPUTS + a] = m[CONTEXTS + a]
            residual = 0
            if m[range_coder.ENCODING] == 1:
                residual = samples[number] - m[CENTRE]
                if step > 1:
                    residual = (residual + (step >> 1)) // step
            residual = code_residual(mixer, residual)
            value = within(m[CENTRE] + residual * step, m[LOWEST], m[HIGHEST])
            difference = clamp((value - last) >> m[SHIFT], 1 << DIFFERENCE_BITS)
            decoded[here], differences[here] = value, difference
            adapt(m, model, age, c, difference, here)
            number += 1
        if t + 1 == due:
            for c in range(channels):
                copy_small(model, c, solved, due, n + PAD)
            for c in range(channels):
                size = features_of(c, channels)
                add_moments(model, c, size, solved, due, channels, n + PAD)
                if due - solved == BLOCK:
                    forget(model.moments, c, size)
                solve(model, c, size)
                place_lags(model, c, size)
            solved, due = due, due + least(BLOCK, most(FIRST, due >> 2))


class Room:
    """What one group of columns after the other is coded in: memory that is taken once.

    A group of few samples reads and writes few cells. Then only these become what they were.
    """

    def __init__(self) -> None:
        self._cells, self._memory = np.zeros(0, np.uint32), np.zeros(0, np.int64)
        self._weights = np.zeros(ALL_WEIGHTS, np.int32)
        self._model: Model | None = None
        self._shape = (0, 0)
        self._touched = np.zeros(FEW * INPUTS, np.int64)
        self._samples = FEW + 1  # of the last group: the cells hold what it has left

    def memory(self) -> np.ndarray:
        """The coding memory before the first sample of a group."""
        if self._memory.size == 0:
            self._memory = _first_memory().copy()
        else:
            np.copyto(self._memory, _first_memory())
        return self._memory

    def weights(self) -> np.ndarray:
        """The weights of the mixer before the first sample of a group."""
        self._weights.fill(INITIAL_WEIGHT)
        return self._weights

    def model(self, n: int, channels: int) -> Model:
        """What the experts know before the first of n moments of a group."""
        if self._model is None or self._shape != (n, channels):
            self._model, self._shape = new_model(n, channels), (n, channels)
        else:
            begin_again(self._model, channels)
        return self._model

    def cells(self, n: int, channels: int) -> np.ndarray:
        """The cells of a group before its first sample; those of the last group are lost."""
        size = min(channels, KEPT) * OF_CHANNEL
        if self._samples <= FEW:
            self._forget_touched()
        else:
            self._cells.fill(UNSEEN)
        if self._cells.size < size:
            self._cells = np.full(size, UNSEEN, np.uint32)
        self._samples = n * channels
        return self._cells[:size]

    def touched(self) -> np.ndarray:
        """Where the group at hand notes its cells; it has no places where that would not pay."""
        return self._touched if self._samples <= FEW else self._touched[:0]

    def _forget_touched(self) -> None:
        starts = self._touched[: self._samples * INPUTS].reshape(-1, INPUTS)
        for first, last, size in ((0, EXPERTS, KINDS * PLACES), (EXPERTS, INPUTS, NODES)):
            self._cells[starts[:, first:last, np.newaxis] + np.arange(size)] = UNSEEN


@functools.cache
def _first_memory() -> np.ndarray:
    """The coding memory before the first sample, without what holds for the stream."""
    m = np.zeros(ALL_MEMORY, np.int64)
    m[FIRST_ROW:] = np.tile(refinement_row(), LOUD_PAIRS * STAGES)
    return m


def _code(
    coder: np.ndarray, data: np.ndarray, samples: np.ndarray, n: int, channels: int,
    bound: int, shift: int, lowest: int, highest: int, room: Room,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Run the coder over n moments; its state and a view of what is decoded, (n, channels)."""
    step = 2 * bound + 1
    m = room.memory()
    m[: coder.size] = coder
    m[STEP], m[STEP_BITS], m[SHIFT] = step, (2 * step // 3).bit_length(), shift
    m[LOWEST], m[HIGHEST], m[LARGEST] = lowest, highest, (highest - lowest) // step + 1
    decoded = np.full(channels * (n + PAD), min(max(0, lowest), highest), np.int64)
    mixer = new_mixer(m, room.cells(n, channels), data, room.weights())
    code_samples(mixer, room.model(n, channels), samples, decoded, room.touched(), n, channels)
    return m[: coder.size].copy(), decoded.reshape(channels, n + PAD)[:, PAD:].T


def encode(x: np.ndarray, bound: int) -> bytes:
    """The bytes of int64 (n, channels), of which no decoded sample is off by more than bound."""
    n, channels = x.shape
    lowest, highest = (int(x.min()), int(x.max())) if x.size else (0, 0)
    if min(lowest, -highest - 1, -bound - 1) < -(1 << 31) or bound < 0:
        raise ValueError(f"samples of {lowest} ... {highest} within {bound} are beyond 32 bits")
    zigzag = 2 * lowest if lowest >= 0 else -2 * lowest - 1
    header = write_varint(zigzag) + write_varint(highest - lowest)
    if lowest == highest:
        return header
    samples = np.ascontiguousarray(x, np.int64).ravel()
    jump = int(np.abs(np.diff(x, axis=0)).max(initial=0))
    shift = max(0, jump.bit_length() - DIFFERENCE_BITS)
    for room in (4, 128):  # bytes a sample: what suffices nearly always, and always
        coder, data = new_encoder(1024 + room * x.size)
        coder, _ = _code(coder, data, samples, n, channels, bound, shift, lowest, highest, Room())
        if coder[range_coder.POSITION] <= data.size:
            break
    return header + bytes([shift]) + finish(coder, data)


def decode(data: bytes, n: int, channels: int, bound: int, room: Room | None = None) -> np.ndarray:
    """Decode those bytes: int64 (n, channels). Groups of one chunk share a room.

    Raises
    ------
    CorruptStream
        If no encoder wrote the header.
    """
    zigzag, position = read_varint(data)
    extent, position = read_varint(data, position)
    lowest = -(zigzag + 1 >> 1) if zigzag & 1 else zigzag >> 1
    highest = lowest + extent
    if min(lowest, -highest - 1) < -(1 << 31):
        raise CorruptStream(f"samples of {lowest} ... {highest} are beyond 32 bits")
    if extent == 0:
        if position < len(data):
            raise CorruptStream(f"{len(data) - position} bytes after the header of a constant")
        return np.full((n, channels), lowest, np.int64)
    if position >= len(data) or data[position] > 33 - DIFFERENCE_BITS:
        raise CorruptStream("the shift of the differences is missing or too large")
    body = np.frombuffer(bytearray(data[position + 1 :]), np.uint8)
    coder, none, shift = new_decoder(body), np.zeros(0, np.int64), data[position]
    room = room or Room()
    _, y = _code(coder, body, none, n, channels, bound, shift, lowest, highest, room)
    return y.copy()
