"""Vectors of samples, and words of 64 answers about samples, as values of compiled code.

numba makes vectors of plain loops. What such loops cannot say well is said with these: the first
of the largest of a few samples, or which of 64 samples satisfy a condition, as the bits of one
word. Words are then looked at bit by bit, and most samples are never looked at alone.

A vector has 16, 32 or 64 bytes: QUARTER, HALF and FULL. The code is that of any processor: where
one has no such vectors, LLVM takes several smaller ones. Arrays are given by their address, indices
are unsigned, and nobody checks that what is read or written lies inside.
"""

import functools

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, imputils
from numba.extending import intrinsic, models, register_model
from numba.np import arrayobj

from san import numba_loops

compiled = functools.partial(numba_loops.keeping, nogil=True, error_model="numpy")
# Helpers of compiled functions become part of their callers, which halves the time to compile.
inlined = numba.njit(nogil=True, error_model="numpy", inline="always")

QUARTER, HALF, FULL = 16, 32, 64  # bytes of a vector
WORD = 64  # samples of a word


class Vector(types.Type):
    """The type of some samples side by side."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def _broadcast(builder, value, lanes):
    vector = ir.VectorType(value.type, lanes)
    first, all_first = ir.IntType(32), ir.VectorType(ir.IntType(32), lanes)
    none = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(none, value, ir.Constant(first, 0))
    return builder.shuffle_vector(one, none, ir.Constant(all_first, [0] * lanes))


def _lanes_before(builder, count, lanes):
    numbers = ir.Constant(ir.VectorType(ir.IntType(64), lanes), list(range(lanes)))
    return builder.icmp_unsigned("<", numbers, _broadcast(builder, count, lanes))


def _word(builder, answers, lanes):
    bits = builder.bitcast(answers, ir.IntType(lanes))
    return bits if lanes == WORD else builder.zext(bits, ir.IntType(WORD))


def _compare(builder, sign, vector, a, b):
    if isinstance(vector.dtype, types.Integer):
        return builder.icmp_signed(sign, a, b)
    return builder.fcmp_unordered(sign, a, b) if sign == "!=" else builder.fcmp_ordered(sign, a, b)


# Addresses: arrays that nobody counts references to, which in a loop costs more than the loop


@intrinsic
def address_of(typing_context, array):
    """Where an array begins, which must be used afterwards as well, or its memory may be gone."""

    def generate(context, builder, signature, arguments):
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def at(typing_context, address, index):
    """The element at an index."""

    def generate(context, builder, signature, arguments):
        return builder.load(builder.gep(*_place(arguments)))

    return address.dtype(address, types.uint64), generate


@intrinsic
def put(typing_context, address, index, value):
    """Write an element at an index."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], builder.gep(*_place(arguments)))
        return context.get_dummy_value()

    return types.none(address, types.uint64, address.dtype), generate


def _place(arguments):
    return arguments[0], [arguments[1]]


@intrinsic
def bits_of(typing_context, array):
    """A float array as integers of the same bits; numba compiles its own `view` for a second."""
    integers = array.copy(dtype=types.int32 if array.dtype.bitwidth == 32 else types.int64)

    def generate(context, builder, signature, arguments):
        given = context.make_array(array)(context, builder, arguments[0])
        made = context.make_array(integers)(context, builder)
        arrayobj.populate_array(
            made,
            data=builder.bitcast(given.data, made.data.type),
            shape=given.shape,
            strides=given.strides,
            itemsize=given.itemsize,
            meminfo=given.meminfo,
            parent=given.parent,
        )
        return imputils.impl_ret_borrowed(context, builder, integers, made._getvalue())

    return integers(array), generate


# Vectors


@intrinsic(prefer_literal=True)
def load(typing_context, address, index, size):
    """The vector of `size` bytes that begins at an index."""
    vector = _vector(address, size)

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, vector, arguments)
        return builder.load(pointer, align=address.dtype.bitwidth // 8)

    return vector(address, types.uint64, size), generate


@intrinsic
def store(typing_context, address, index, vector):
    """Write a vector that begins at an index."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, vector, arguments)
        builder.store(arguments[2], pointer, align=address.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(address, types.uint64, vector), generate


@intrinsic
def load_first(typing_context, address, index, count, other):
    """The first `count` lanes from an index on; only these are read. The rest is another's."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, other, arguments)
        read = _lanes_before(builder, arguments[2], other.lanes)
        flat = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        letter = "i" if isinstance(other.dtype, types.Integer) else "f"
        kinds = [flat.type, ir.IntType(32), read.type, arguments[3].type]
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(arguments[3].type, kinds),
            f"llvm.masked.load.v{other.lanes}{letter}{other.dtype.bitwidth}.p0",
        )
        align = ir.Constant(ir.IntType(32), address.dtype.bitwidth // 8)
        return builder.call(function, [flat, align, read, arguments[3]])

    return other(address, types.uint64, types.uint64, other), generate


@intrinsic(prefer_literal=True)
def zeros(typing_context, address, size):
    """A vector of `size` bytes of zeros."""
    vector = _vector(address, size)

    def generate(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(vector), None)

    return vector(address, size), generate


@intrinsic(prefer_literal=True)
def lanes_of(typing_context, address, size):
    """How many elements are a vector of `size` bytes."""

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.uint64, _vector(address, size).lanes)

    return types.uint64(address, size), generate


def _vector(address, size):
    return Vector(address.dtype, size.literal_value * 8 // address.dtype.bitwidth)


def _pointer(context, builder, vector, arguments):
    kind = context.get_value_type(vector).as_pointer()
    return builder.bitcast(builder.gep(*_place(arguments)), kind)


@intrinsic
def broadcast(typing_context, value, like):
    """The value in every lane of a vector like another."""

    def generate(context, builder, signature, arguments):
        return _broadcast(builder, arguments[0], like.lanes)

    return like(like.dtype, like), generate


@intrinsic
def shift_by_one(typing_context, vector):
    """Every lane in the place of the next one; the first one stays as well."""

    def generate(context, builder, signature, arguments):
        numbers = ir.VectorType(ir.IntType(32), vector.lanes)
        order = ir.Constant(numbers, [max(lane - 1, 0) for lane in range(vector.lanes)])
        return builder.shuffle_vector(arguments[0], arguments[0], order)

    return vector(vector), generate


@intrinsic
def both(typing_context, a, b):
    """a & b in every lane."""

    def generate(context, builder, signature, arguments):
        return builder.and_(*arguments)

    return a(a, b), generate


@intrinsic
def larger(typing_context, a, b):
    """The larger of a and b in every lane."""

    def generate(context, builder, signature, arguments):
        return builder.select(_compare(builder, ">", a, *arguments), *arguments)

    return a(a, b), generate


@intrinsic
def first_lanes(typing_context, vector, count, other):
    """The vector with another in the lanes from `count` on."""

    def generate(context, builder, signature, arguments):
        first = _lanes_before(builder, arguments[1], vector.lanes)
        return builder.select(first, arguments[0], arguments[2])

    return vector(vector, types.uint64, other), generate


@intrinsic
def largest(typing_context, vector):
    """The largest of all lanes, of integers."""

    def generate(context, builder, signature, arguments):
        kind = arguments[0].type
        name = f"llvm.vector.reduce.smax.v{vector.lanes}i{vector.dtype.bitwidth}"
        reduce = ir.FunctionType(kind.element, [kind])
        return builder.call(cgutils.get_or_insert_function(builder.module, reduce, name), arguments)

    return vector.dtype(vector), generate


@intrinsic
def chosen(typing_context, word, vector):
    """The lanes that have a one among the lowest bits of a word, and zeros."""

    def generate(context, builder, signature, arguments):
        bits = builder.trunc(arguments[0], ir.IntType(vector.lanes))
        answers = builder.bitcast(bits, ir.VectorType(ir.IntType(1), vector.lanes))
        nothing = ir.Constant(arguments[1].type, None)
        return builder.select(answers, arguments[1], nothing)

    return vector(types.uint64, vector), generate


# Words: a bit for each lane


@intrinsic
def is_equal(typing_context, a, b):
    """Where a == b."""

    def generate(context, builder, signature, arguments):
        return _word(builder, _compare(builder, "==", a, *arguments), a.lanes)

    return types.uint64(a, b), generate


@intrinsic
def is_at_least(typing_context, a, b):
    """Where a >= b."""

    def generate(context, builder, signature, arguments):
        return _word(builder, _compare(builder, ">=", a, *arguments), a.lanes)

    return types.uint64(a, b), generate


@intrinsic
def is_not_zero(typing_context, vector):
    """Where a lane is not zero; a NaN is not."""

    def generate(context, builder, signature, arguments):
        zeros = ir.Constant(arguments[0].type, None)
        return _word(builder, _compare(builder, "!=", vector, arguments[0], zeros), vector.lanes)

    return types.uint64(vector), generate


@intrinsic
def is_nan(typing_context, vector):
    """Where a lane is no number."""

    def generate(context, builder, signature, arguments):
        answers = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        return _word(builder, answers, vector.lanes)

    return types.uint64(vector), generate


@intrinsic
def is_candidate(typing_context, before, here, after):
    """Where a sample is a peak above zero (left edge) or a valley below it (right edge)."""

    def generate(context, builder, signature, arguments):
        before, value, after = arguments
        zeros = ir.Constant(value.type, None)
        rises, will_rise = (
            builder.fcmp_ordered(">", value, before),
            builder.fcmp_ordered(">", after, value),
        )
        peak = builder.and_(builder.fcmp_ordered(">", value, zeros), rises)
        valley = builder.and_(builder.fcmp_ordered("<", value, zeros), will_rise)
        answers = builder.or_(
            builder.and_(peak, builder.not_(will_rise)),
            builder.and_(valley, builder.not_(rises)),
        )
        return _word(builder, answers, here.lanes)

    return types.uint64(before, here, after), generate


@intrinsic
def is_winner(typing_context, before, here, after):
    """Where a height is above what is before and not below what is after."""

    def generate(context, builder, signature, arguments):
        before, value, after = arguments
        answers = builder.and_(
            builder.icmp_signed(">", value, before), builder.icmp_signed(">=", value, after)
        )
        return _word(builder, answers, here.lanes)

    return types.uint64(before, here, after), generate


@intrinsic
def trailing_zeros(typing_context, word):
    """How many zeros come before the first one in a word that is not zero."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@intrinsic
def count_ones(typing_context, word):
    """How many bits of a word are one."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
