"""Gradients of ops that make, move or select elements: moved back to where they came from."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import (
    BroadcastOp,
    ConcatOp,
    ConstantOp,
    IotaOp,
    PadOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from pock_ir.op import integer, ints
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    inactive,
    linear,
    only_first,
)
from pock_ir.passes.trained import slice_axis
from pock_ir.types import shape_of


def _sum_repeats(op: BroadcastOp, dy: SSAValue, emit: GradientEmitter) -> SSAValue:
    """dx = sum of dy over the axes that the broadcast added."""
    kept = ints(op.axes)
    added = [axis for axis in range(len(shape_of(dy))) if axis not in kept]
    return emit(SumOp, dy, axes=added) if added else dy


linear(BroadcastOp, _sum_repeats)


@VJP.register(ConcatOp)
def concat(
    op: ConcatOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Each operand gets its part of the gradient.

    forward:  y = x0, x1, ... one after the other along axis
    backward: dx_i = the range of dy that x_i filled
    """
    dy, axis = only_first(op, cotangents), integer(op.axis)
    gradients: list[SSAValue | None] = []
    begin = 0
    for x, need in zip(op.xs, needed, strict=True):
        size = shape_of(x)[axis]
        wanted = need and size > 0
        gradients.append(slice_axis(emit, dy, axis, begin, size) if wanted else None)
        begin += size
    return gradients


inactive(ConstantOp, IotaOp)


def _inner(op: PadOp, dy: SSAValue, emit: GradientEmitter) -> SSAValue:
    """dx = dy without the elements that were padded."""
    low, shape = ints(op.low), shape_of(op.x)
    end = [begin + size for begin, size in zip(low, shape, strict=True)]
    return emit(SliceOp, dy, begin=low, end=end, stride=[1] * len(shape))


linear(PadOp, _inner)
linear(ReshapeOp, lambda op, dy, emit: emit(ReshapeOp, dy, shape=shape_of(op.x)))


def _scatter(op: SliceOp, dy: SSAValue, emit: GradientEmitter) -> SSAValue:
    """dx = dy at the elements that were taken, 0 elsewhere."""
    for axis, stride in enumerate(ints(op.stride)):
        dy = _dilate(dy, axis, stride, emit) if stride > 1 else dy
    low, shape = ints(op.begin), shape_of(op.x)
    sizes = zip(low, shape_of(dy), shape, strict=True)
    high = [size - taken - begin for begin, taken, size in sizes]
    return emit(PadOp, dy, low=low, high=high, value=0.0)


def _dilate(x: SSAValue, axis: int, stride: int, emit: GradientEmitter) -> SSAValue:
    """stride - 1 zeros between two elements of x along `axis`."""
    shape = shape_of(x)
    count = shape[axis]
    columns = [*shape[: axis + 1], 1, *shape[axis + 1 :]]
    zeros = [stride - 1 if i == axis + 1 else 0 for i in range(len(columns))]
    x = emit(ReshapeOp, x, shape=columns)
    x = emit(PadOp, x, low=[0] * len(columns), high=zeros, value=0.0)
    x = emit(ReshapeOp, x, shape=[*shape[:axis], count * stride, *shape[axis + 1 :]])
    return slice_axis(emit, x, axis, 0, (count - 1) * stride + 1)


linear(SliceOp, _scatter)
linear(
    TransposeOp,
    lambda op, dy, emit: emit(TransposeOp, dy, permutation=_inverse(ints(op.permutation))),
)


def _inverse(permutation: Sequence[int]) -> list[int]:
    """The permutation that undoes `permutation`."""
    return [permutation.index(axis) for axis in range(len(permutation))]
