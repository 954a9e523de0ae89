"""What a header stores so that integers become an array again: dtype, shape and scales.

Simple scales take two bytes. Each scale has exactly one encoding.
"""

import math
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from san.codec.entropy.varints import Fields, write_signed, write_varint
from san.codec.errors import CorruptStream
from san.codec.numbers.bits import PARTS
from san.codec.numbers.grids import BITS, EXPONENTS, LARGEST, POWER, Scale
from san.codec.numbers.rules import Rule, pack_rules, unpack_rules

DTYPES = tuple(
    np.dtype(name) for name in ("int8", "int16", "int32", "uint8", "uint16", "float32", "float64")
)
_BASELINE, _WHOLE = 4, 8  # flags beside a scale's kind


@dataclass(frozen=True)
class Representation:
    """How int64 columns become an array again.

    Parameters
    ----------
    dtype : numpy.dtype
        One of `DTYPES`, native byte order.
    dimensions : int
        1 for (n,), 2 for (n, channels).
    channels : int
    scales : tuple of Scale
        One for each channel of floats; empty for integers, which need none.
    rules : tuple of Rule or None
        One for each channel of integers of which few occur; empty where no channel has one.
    """

    dtype: np.dtype
    dimensions: int
    channels: int
    scales: tuple[Scale, ...] = ()
    rules: tuple[Rule | None, ...] = ()

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Columns that each channel takes: 1, or 2 or 3 for the bits of a float."""
        if not self.scales:
            return (1,) * self.channels
        parts = len(PARTS[self.dtype.name])
        return tuple(parts if scale.kind == BITS else 1 for scale in self.scales)

    @cached_property
    def columns(self) -> int:
        """Columns of all channels."""
        return sum(self.widths)


def pack_representation(representation: Representation) -> bytes:
    """The bytes of the scales. The header stores dtype, dimensions and channels itself.

    For integers nothing, or their rules as `pack_rules` writes them. For floats one byte, 1 if one
    scale stands for all channels, else 0; then each scale: a byte (its kind, + 4 if it has a
    baseline, + 8 if its factor is whole), and for POWER a zigzag varint, for GAIN and STEP the
    factor (a varint if whole and below 2**31, else float64) and the baseline (float64) if it is
    not zero.

    Examples
    --------
    >>> scale = Scale(kind=1, factor=20.0)
    >>> pack_representation(Representation(np.dtype("float64"), 1, 1, (scale,)))
    b'\\x01\\t\\x14'
    """
    scales = representation.scales
    if not scales:
        return pack_rules(representation.rules) if representation.rules else b""
    shared = len(set(scales)) == 1
    return bytes([shared]) + b"".join(map(_pack_scale, scales[:1] if shared else scales))


def _pack_scale(scale: Scale) -> bytes:
    if scale.kind == POWER:
        return bytes([POWER]) + write_signed(scale.exponent)
    if scale.kind == BITS:
        return bytes([BITS])
    whole = scale.factor == int(scale.factor) and scale.factor <= LARGEST
    flags = _WHOLE * whole + _BASELINE * (scale.baseline != 0)
    factor = write_varint(int(scale.factor)) if whole else struct.pack("<d", scale.factor)
    baseline = struct.pack("<d", scale.baseline) if scale.baseline else b""
    return bytes([scale.kind + flags]) + factor + baseline


def unpack_representation(
    data: bytes,
    position: int,
    dtype: np.dtype,
    dimensions: int,
    channels: int,
    with_rules: bool = False,
) -> tuple[Representation, int]:
    """A representation from the bytes of `pack_representation`, and the position after them.

    Raises
    ------
    CorruptStream
        If the bytes end, or hold an unknown kind, a factor that is not positive, a number that is
        not finite or has another encoding, or an exponent that the dtype does not have.

    Examples
    --------
    >>> unpack_representation(b"\\x01\\t\\x14", 0, np.dtype("float64"), 1, 1)[0].scales
    (Scale(kind=1, factor=20.0, baseline=0.0, exponent=0),)
    """
    fields = Fields(data, position)
    if dtype.kind != "f":
        rules = unpack_rules(fields, dtype, channels) if with_rules else ()
        return Representation(dtype, dimensions, channels, rules=rules), fields.position
    if with_rules:
        raise CorruptStream(f"samples of {dtype} have scales, not rules")
    shared = fields.byte()
    if shared > 1:
        raise CorruptStream(f"the flag of a shared scale must be 0 or 1, got {shared}")
    scales = [_unpack_scale(fields, dtype) for _ in range(1 if shared else channels)]
    if not shared and len(set(scales)) == 1:
        raise CorruptStream("equal scales must be written once")
    representation = Representation(
        dtype, dimensions, channels, tuple(scales * (channels if shared else 1))
    )
    return representation, fields.position


def _unpack_scale(fields: Fields, dtype: np.dtype) -> Scale:
    head = fields.byte()
    kind, has_baseline, whole = head & 3, head & _BASELINE, head & _WHOLE
    if head > 15 or (kind in (POWER, BITS) and head != kind):
        raise CorruptStream(f"a scale cannot begin with the byte {head}")
    if kind == BITS:
        return Scale(BITS)
    if kind == POWER:
        exponent = fields.signed()
        low, high = EXPONENTS[dtype.name]
        if not low <= exponent <= high:
            raise CorruptStream(f"exponent {exponent} is not within {low} ... {high}")
        return Scale(POWER, exponent=exponent)
    factor = float(fields.varint()) if whole else fields.float64()
    baseline = fields.float64() if has_baseline else 0.0
    if not (0 < factor < math.inf and math.isfinite(baseline)):
        raise CorruptStream(f"factor {factor} or baseline {baseline} is not a usable number")
    if bool(whole) != (factor.is_integer() and factor <= LARGEST) or (
        has_baseline and baseline == 0
    ):
        raise CorruptStream(f"factor {factor} or baseline {baseline} has another encoding")
    return Scale(kind, factor, baseline)
