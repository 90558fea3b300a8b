"""Bring tensor code into one form: no step that changes nothing, constants folded.

before:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
        %one = nn.constant {value = 1.0 : f64, type = tensor<f32>} : () -> tensor<f32>
        %ones = nn.broadcast %one {shape = array<i64: 2, 3>, axes = array<i64>}
          : (tensor<f32>) -> tensor<2x3xf32>
        %y = nn.mul %x, %ones : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
        %flat = nn.reshape %y {shape = array<i64: 6>} : (tensor<2x3xf32>) -> tensor<6xf32>
        %back = nn.reshape %flat {shape = array<i64: 3, 2>} : (tensor<6xf32>) -> tensor<3x2xf32>
        func.return %back : tensor<3x2xf32>
      }
    }
after:
    builtin.module attributes {pock.level = "nn"} {
      func.func @infer(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
        %back = nn.reshape %x {shape = array<i64: 3, 2>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
        func.return %back : tensor<3x2xf32>
      }
    }
unchanged: every result, bit for bit, but for the payload of a NaN and the sign of a sum of one
    -0.0. So x + 0.0 stays: it turns -0.0 into 0.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from pock_ir.build import Emitter
from pock_ir.dialects.attention import AttentionOp
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import (
    AddOp,
    CastOp,
    DivOp,
    ElementwiseOp,
    LogicalNotOp,
    MulOp,
    NegOp,
    SelectOp,
    SubOp,
)
from pock_ir.dialects.matmul import LinearOp, MatMulOp
from pock_ir.dialects.reduce import MaxOp, MeanOp, SumOp
from pock_ir.dialects.shape import (
    BroadcastOp,
    ConcatOp,
    ConstantOp,
    PadOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from pock_ir.op import PockOp, flag, ints, number, text
from pock_ir.passes.rewrite import Rule, rewrite_module
from pock_ir.types import Tensor, dtype_of, shape_of, tensor_type

Number = int | float


def constant_of(value: SSAValue) -> Number | None:
    """The number that all elements of `value` are, or None if that is not known."""
    op = value.owner
    return op.number() if isinstance(op, ConstantOp) else None


def splat(emit: Emitter, value: Number, type: Tensor) -> SSAValue:
    """A constant of `type`."""
    number = float(value) if dtype_of(type).is_float else int(value)
    return emit(ConstantOp, value=number, type=type)


def transpose(emit: Emitter, x: SSAValue, permutation: Sequence[int]) -> SSAValue:
    """x with its dims reordered."""
    return emit(TransposeOp, x, permutation=list(permutation))


def before_transpose(value: SSAValue, permutation: Sequence[int]) -> SSAValue | None:
    """x if `value` is x transposed by `permutation`, else None."""
    op = value.owner
    if isinstance(op, TransposeOp) and ints(op.permutation) == tuple(permutation):
        return op.x
    return None


def fold_elementwise(op: ElementwiseOp, emit: Emitter) -> SSAValue | None:
    """f(constants) -> constant"""
    constants = [constant_of(operand) for operand in op.operands]
    arrays = [
        np.array([number]).astype(dtype_of(operand).numpy)
        for number, operand in zip(constants, op.operands, strict=True)
        if number is not None
    ]
    if len(arrays) != len(constants):
        return None
    with np.errstate(all="ignore"):
        result = np.asarray(op.evaluate(*arrays))
    type = tensor_type(op.results[0])
    return splat(emit, result.astype(dtype_of(type).numpy)[0].item(), type)


def fold_moved(op: PockOp, emit: Emitter) -> SSAValue | None:
    """Moved elements of a constant -> constant"""
    number = constant_of(op.operands[0])
    return None if number is None else splat(emit, number, tensor_type(op.results[0]))


def drop_same_type(op: PockOp, emit: Emitter) -> SSAValue | None:
    """A reshape, broadcast or cast to the type that x has -> x"""
    return op.operands[0] if op.operands[0].type == op.results[0].type else None


def merge_reshapes(op: ReshapeOp, emit: Emitter) -> SSAValue | None:
    """reshape(reshape(x)) -> reshape(x)"""
    inner = op.x.owner
    return emit(ReshapeOp, inner.x, shape=ints(op.shape)) if isinstance(inner, ReshapeOp) else None


def drop_transpose(op: TransposeOp, emit: Emitter) -> SSAValue | None:
    """transpose(x) by the identity -> x"""
    order = ints(op.permutation)
    return op.x if order == tuple(range(len(order))) else None


def transpose_to_reshape(op: TransposeOp, emit: Emitter) -> SSAValue | None:
    """transpose(x) that moves dims of 1 only -> reshape(x), which costs nothing"""
    shape = shape_of(op.x)
    order = [axis for axis in ints(op.permutation) if shape[axis] != 1]
    if order != sorted(order):
        return None
    return emit(ReshapeOp, op.x, shape=shape_of(op.results[0]))


def merge_transposes(op: TransposeOp, emit: Emitter) -> SSAValue | None:
    """transpose(transpose(x)) -> transpose(x)"""
    inner = op.x.owner
    if not isinstance(inner, TransposeOp):
        return None
    first = ints(inner.permutation)
    return transpose(emit, inner.x, [first[axis] for axis in ints(op.permutation)])


def transpose_before_broadcast(op: TransposeOp, emit: Emitter) -> SSAValue | None:
    """transpose(broadcast(x)) -> broadcast(transpose(x)), which moves fewer elements"""
    inner = op.x.owner
    if not isinstance(inner, BroadcastOp):
        return None
    order = ints(op.permutation)
    axes = [order.index(axis) for axis in ints(inner.axes)]
    x = transpose(emit, inner.x, [axes.index(axis) for axis in sorted(axes)])
    return emit(BroadcastOp, x, shape=shape_of(op.results[0]), axes=sorted(axes))


def merge_broadcasts(op: BroadcastOp, emit: Emitter) -> SSAValue | None:
    """broadcast(broadcast(x)) -> broadcast(x)"""
    inner = op.x.owner
    if not isinstance(inner, BroadcastOp):
        return None
    axes = [ints(op.axes)[axis] for axis in ints(inner.axes)]
    return emit(BroadcastOp, inner.x, shape=ints(op.shape), axes=axes)


def drop_neutral_right(op: PockOp, emit: Emitter) -> SSAValue | None:
    """x*1 -> x; x/1 -> x; x-0 -> x; x+(-0) -> x"""
    number = constant_of(op.operands[1])
    return op.operands[0] if number is not None and _is_neutral(op, number) else None


def drop_neutral_left(op: PockOp, emit: Emitter) -> SSAValue | None:
    """1*x -> x; (-0)+x -> x"""
    number = constant_of(op.operands[0])
    return op.operands[1] if number is not None and _is_neutral(op, number) else None


def _is_neutral(op: PockOp, number: Number) -> bool:
    """Whether x op number is x for every x, -0.0 and infinities included."""
    if isinstance(op, MulOp | DivOp):
        return number == 1
    if not dtype_of(op.results[0]).is_float:
        return number == 0
    sign = 1.0 if isinstance(op, SubOp) else -1.0
    return number == 0 and copysign(1.0, number) == sign


def drop_double(op: PockOp, emit: Emitter) -> SSAValue | None:
    """-(-x) -> x; not not x -> x"""
    inner = op.operands[0].owner
    return inner.operands[0] if isinstance(inner, type(op)) else None


def drop_select(op: SelectOp, emit: Emitter) -> SSAValue | None:
    """select(true, a, b) -> a; select(false, a, b) -> b; select(c, a, a) -> a"""
    number = constant_of(op.cond)
    if number is None:
        return op.a if op.a is op.b else None
    return op.a if number else op.b


def drop_pad(op: PadOp, emit: Emitter) -> SSAValue | None:
    """pad(x) by nothing -> x"""
    return op.x if op.x.type == op.results[0].type else None


SPATIAL = {"nchw": (2, 3), "nhwc": (1, 2)}
"""Height and width in each layout of pictures."""


def absorb_padding(op: Conv2dOp, emit: Emitter) -> SSAValue | None:
    """conv(pad(x) by zeros above, below, left and right) -> conv(x) with that padding"""
    inner = op.x.owner
    if not isinstance(inner, PadOp) or number(inner.value) != 0.0:
        return None
    low, high, dims = ints(inner.low), ints(inner.high), SPATIAL[text(op.layout)]
    if any((low[i], high[i]) != (0, 0) for i in range(4) if i not in dims):
        return None
    properties = {
        **op.properties,
        "pad_low": [low[i] + own for i, own in zip(dims, ints(op.pad_low), strict=True)],
        "pad_high": [high[i] + own for i, own in zip(dims, ints(op.pad_high), strict=True)],
    }
    return emit(Conv2dOp, inner.x, op.w, **properties)


def drop_concat(op: ConcatOp, emit: Emitter) -> SSAValue | None:
    """concat(x) -> x"""
    return op.operands[0] if len(op.operands) == 1 else None


def reduce_to_reshape(op: PockOp, emit: Emitter) -> SSAValue | None:
    """A reduction over dims of 1 -> reshape(x)"""
    x, result = op.operands[0], op.results[0]
    if len(shape_of(x)) and shape_of(x) == shape_of(result):
        return x
    reduced = [shape_of(x)[axis] for axis in ints(op.properties["axes"])]
    return (
        None if any(size != 1 for size in reduced) else emit(ReshapeOp, x, shape=shape_of(result))
    )


def _swaps_last(value: SSAValue) -> SSAValue | None:
    """x if `value` is x with its last two dims exchanged, else None."""
    rank = len(shape_of(value))
    if rank < 2:
        return None
    return before_transpose(value, (*range(rank - 2), rank - 1, rank - 2))


def absorb_transposed_operands(op: MatMulOp, emit: Emitter) -> SSAValue | None:
    """matmul(transpose(a), b) -> matmul(a, b) {transpose_lhs}, and the same on the right"""
    lhs, rhs = _swaps_last(op.lhs), _swaps_last(op.rhs)
    if lhs is None and rhs is None:
        return None
    return emit(
        MatMulOp,
        op.lhs if lhs is None else lhs,
        op.rhs if rhs is None else rhs,
        transpose_lhs=flag(op.transpose_lhs) ^ (lhs is not None),
        transpose_rhs=flag(op.transpose_rhs) ^ (rhs is not None),
    )


def absorb_transposed_weight(op: LinearOp, emit: Emitter) -> SSAValue | None:
    """linear(x, transpose(w)) -> linear(x, w) with the other weight layout"""
    weight = _swaps_last(op.w)
    if weight is None:
        return None
    other = {"oi": "io", "io": "oi"}[text(op.weight_layout)]
    return emit(LinearOp, op.x, weight, weight_layout=other)


def shrink_attention_mask(op: AttentionOp, emit: Emitter) -> Sequence[SSAValue] | None:
    """attention with broadcast(m) as its mask -> attention with m: it repeats dims of 1 itself"""
    source = op.rest[0].owner if text(op.mask) != "none" else None
    if not isinstance(source, BroadcastOp):
        return None
    axes, full = ints(source.axes), shape_of(source.results[0])
    shape = [size if axis in axes else 1 for axis, size in enumerate(full)]
    if shape[3] != full[3] or tuple(shape) == full:
        return None
    mask = emit(ReshapeOp, source.x, shape=shape)
    operands = [op.q, op.k, op.v, mask, *op.rest[1:]]
    return emit.op(AttentionOp, *operands, **op.properties).results


RULES: Mapping[type[Operation], Sequence[Rule]] = {
    AddOp: [drop_neutral_left, drop_neutral_right],
    AttentionOp: [shrink_attention_mask],
    BroadcastOp: [drop_same_type, fold_moved, merge_broadcasts],
    CastOp: [drop_same_type],
    ConcatOp: [drop_concat],
    Conv2dOp: [absorb_padding],
    DivOp: [drop_neutral_right],
    ElementwiseOp: [fold_elementwise],
    LinearOp: [absorb_transposed_weight],
    LogicalNotOp: [drop_double],
    MatMulOp: [absorb_transposed_operands],
    MaxOp: [reduce_to_reshape],
    MeanOp: [reduce_to_reshape],
    MulOp: [drop_neutral_left, drop_neutral_right],
    NegOp: [drop_double],
    PadOp: [drop_pad],
    ReshapeOp: [drop_same_type, fold_moved, merge_reshapes],
    SelectOp: [drop_select],
    SliceOp: [drop_same_type, fold_moved],
    SubOp: [drop_neutral_right],
    SumOp: [reduce_to_reshape],
    TransposeOp: [
        drop_transpose,
        fold_moved,
        merge_transposes,
        transpose_before_broadcast,
        transpose_to_reshape,
    ],
}
"""The rules of each op class; those of a base class come after its own."""


@dataclass(frozen=True)
class CanonicalizePass(ModulePass):
    """See the module's text."""

    name = "canonicalize-nn"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite_module(op, RULES)
