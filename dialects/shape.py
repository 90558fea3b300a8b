"""Ops that make, move or select elements without computing with them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, TensorType, f64, i64
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, prop_def, result_def, var_operand_def

from pock_ir.dialects.checks import (
    axes_of,
    axis_of,
    checked_tensor,
    counted,
    expect_fit,
    expect_same_element,
    largest_exact_integer,
    operand_shape,
    operand_type,
    sizes_of,
)
from pock_ir.dialects.fields import integer_property, integers_property, number_property
from pock_ir.op import PockOp, integer, ints, number, require
from pock_ir.types import Array, dtype_of, shape_of, tensor


class MovesData(PockOp):
    """An op that computes nothing: it counts no floating-point operations."""

    def flops(self) -> int:
        return 0


class LiteralOp(MovesData):
    """An op without operands: xDSL refuses the word in its format, the text is the same."""

    assembly_format = "attr-dict `:` `(` `)` `->` type(results)"


@irdl_op_definition
class ConstantOp(LiteralOp):
    """A tensor of `type` whose elements are all `value`.

    value: a float (f64 or the element type) for floats, an integer (i64 or the element type) for
    integers and i1; a finite float that would overflow and an integer out of range are refused.
    """

    name = "nn.constant"
    value = prop_def(FloatAttr | IntegerAttr)
    type = prop_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        wanted = checked_tensor(self.type, "type")
        dtype = dtype_of(wanted)
        literal = self.value.type
        generic = f64 if dtype.is_float else i64
        require(
            literal in (generic, dtype.type),
            f"value of {dtype.name} elements should be {generic} or {dtype.name}, not {literal}",
        )
        expect_fit(self.number(), dtype, "value")
        return [wanted]

    def number(self) -> float | int:
        """The value; i1 true is 1."""
        if isinstance(self.value, IntegerAttr):
            is_truth = dtype_of(self.type).name == "i1"
            return abs(integer(self.value)) if is_truth else integer(self.value)
        return number(self.value)

    def evaluate(self, *args: Array) -> Array:
        return np.full(shape_of(self.type), self.number(), dtype_of(self.type).numpy)


@irdl_op_definition
class IotaOp(LiteralOp):
    """A tensor of `type` whose elements are their own index along `axis`.

    Any float or integer elements; refused if the last index is not exact in the element type.
    """

    name = "nn.iota"
    axis = integer_property()
    type = prop_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        wanted = checked_tensor(self.type, "type", "number")
        shape = shape_of(wanted)
        axis = axis_of(self.axis, len(shape))
        dtype = dtype_of(wanted)
        last = shape[axis] - 1
        require(last <= largest_exact_integer(dtype), f"index {last} is not exact in {dtype.name}")
        return [wanted]

    def evaluate(self, *args: Array) -> Array:
        shape, axis = shape_of(self.type), integer(self.axis)
        column = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
        return np.broadcast_to(column, shape).astype(dtype_of(self.type).numpy)


@irdl_op_definition
class BroadcastOp(MovesData):
    """x repeated along new axes: dim i of x becomes axis axes[i] of the result of `shape`.

    axes are ascending, one for each dim of x, and the sizes agree (1 is not special).
    """

    name = "nn.broadcast"
    x = operand_def(TensorType)
    shape = integers_property()
    axes = integers_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x")
        shape = sizes_of(self.shape, "shape")
        axes = axes_of(self.axes, len(shape))
        require(
            len(axes) == len(shape_of(x)),
            f"axes should name {len(shape_of(x))} axes, not {len(axes)}",
        )
        kept = tuple(shape[axis] for axis in axes)
        require(kept == shape_of(x), f"axes pick shape {list(kept)}, but x has {list(shape_of(x))}")
        return [tensor(shape, dtype_of(x).type)]

    def evaluate(self, *args: Array) -> Array:
        shape, axes = ints(self.shape), ints(self.axes)
        column = args[0].reshape([shape[i] if i in axes else 1 for i in range(len(shape))])
        return np.broadcast_to(column, shape)


@irdl_op_definition
class ReshapeOp(MovesData):
    """The elements of x in row-major order as `shape`, with as many elements."""

    name = "nn.reshape"
    x = operand_def(TensorType)
    shape = integers_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x")
        shape = sizes_of(self.shape, "shape")
        have, want = prod(shape_of(x)), prod(shape)
        require(have == want, f"x has {have} elements, but shape {list(shape)} has {want}")
        return [tensor(shape, dtype_of(x).type)]

    def evaluate(self, *args: Array) -> Array:
        return args[0].reshape(ints(self.shape))


@irdl_op_definition
class TransposeOp(MovesData):
    """x with its dims reordered: dim i of the result is dim permutation[i] of x."""

    name = "nn.transpose"
    x = operand_def(TensorType)
    permutation = integers_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x")
        shape, order = shape_of(x), ints(self.permutation)
        is_permutation = sorted(order) == list(range(len(shape)))
        require(
            is_permutation,
            f"permutation should be one of 0..{len(shape) - 1}, not {list(order)}",
        )
        return [tensor([shape[i] for i in order], dtype_of(x).type)]

    def evaluate(self, *args: Array) -> Array:
        return np.transpose(args[0], ints(self.permutation))


@irdl_op_definition
class SliceOp(MovesData):
    """x[begin : end : stride] in every dim, with 0 <= begin < end <= size and stride >= 1."""

    name = "nn.slice"
    x = operand_def(TensorType)
    begin = integers_property()
    end = integers_property()
    stride = integers_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x")
        shape = shape_of(x)
        begins = counted(self.begin, len(shape), 0, "begin")
        ends = counted(self.end, len(shape), 0, "end")
        strides = counted(self.stride, len(shape), 1, "stride")
        for axis, (begin, end, size) in enumerate(zip(begins, ends, shape, strict=True)):
            inside = begin < end <= size
            require(inside, f"axis {axis}: {begin}:{end} is no range of {size} elements")
        sizes = [
            -((begin - end) // stride)
            for begin, end, stride in zip(begins, ends, strides, strict=True)
        ]
        return [tensor(sizes, dtype_of(x).type)]

    def evaluate(self, *args: Array) -> Array:
        ranges = zip(ints(self.begin), ints(self.end), ints(self.stride), strict=True)
        return args[0][tuple(slice(*bounds) for bounds in ranges)]


@irdl_op_definition
class PadOp(MovesData):
    """x with low[i] elements before and high[i] after it in dim i, all of them `value`."""

    name = "nn.pad"
    x = operand_def(TensorType)
    low = integers_property()
    high = integers_property()
    value = number_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        x = operand_type(self.x, "x")
        shape = shape_of(x)
        low = counted(self.low, len(shape), 0, "low")
        high = counted(self.high, len(shape), 0, "high")
        expect_fit(number(self.value), dtype_of(x), "value")
        sizes = [a + b + c for a, b, c in zip(low, shape, high, strict=True)]
        return [tensor(sizes, dtype_of(x).type)]

    def evaluate(self, *args: Array) -> Array:
        widths = list(zip(ints(self.low), ints(self.high), strict=True))
        value = np.array(number(self.value)).astype(args[0].dtype)
        return np.pad(args[0], widths, constant_values=value) if widths else args[0]


@irdl_op_definition
class ConcatOp(MovesData):
    """The operands one after the other along `axis`; all other sizes agree."""

    name = "nn.concat"
    xs = var_operand_def(TensorType)
    axis = integer_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        require(len(self.xs) > 0, "needs at least one operand")
        first = operand_shape(self.xs[0], "operand 0", "any")
        axis = axis_of(self.axis, len(first))
        total = 0
        for index, x in enumerate(self.xs):
            shape = operand_shape(x, f"operand {index}", "any")
            expect_same_element(x, f"operand {index}", self.xs[0], "operand 0")
            agrees = shape[:axis] + shape[axis + 1 :] == first[:axis] + first[axis + 1 :]
            require(
                agrees and len(shape) == len(first),
                f"operand {index} of shape {list(shape)} does not continue {list(first)}"
                f" along axis {axis}",
            )
            total += shape[axis]
        sizes = [*first[:axis], total, *first[axis + 1 :]]
        return [tensor(sizes, dtype_of(self.xs[0]).type)]

    def evaluate(self, *args: Array) -> Array:
        return np.concatenate(args, axis=integer(self.axis))
