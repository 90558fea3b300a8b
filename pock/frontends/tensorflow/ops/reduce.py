"""Reductions. TensorFlow's keep_dims becomes a reshape."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    normal_axes,
    normal_axis,
    reshape,
    splat_like,
)
from pock.frontends.tensorflow.ops.loss import reduced_rows
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.dialects.elementwise import CompareOp, MulOp, SelectOp, SqrtOp, SquareOp
from pock_ir.dialects.reduce import ArgMaxOp, ArgMinOp, MaxOp, MeanOp, MinOp, ProdOp, SumOp
from pock_ir.dialects.scan import CumSumOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, shape_of

REDUCTIONS: Mapping[str, type[PockOp]] = {
    "Max": MaxOp,
    "Min": MinOp,
    "Prod": ProdOp,
}

ARG: Mapping[str, type[PockOp]] = {"ArgMax": ArgMaxOp, "ArgMin": ArgMinOp}


def _axes(call: Call) -> tuple[int, ...]:
    return normal_axes(call.ints(1, "an axis"), len(shape_of(call.x())))


def _kept(call: Call, result: SSAValue, axes: tuple[int, ...]) -> SSAValue:
    """`result` with axes of 1 in the place of those that are gone, if the call keeps them."""
    if not call.attr("keep_dims"):
        return result
    shape = shape_of(call.x())
    sizes = [1 if axis in axes else size for axis, size in enumerate(shape)]
    return reshape(call.emit, result, sizes)


@handles(*REDUCTIONS)
def reduce(call: Call) -> SSAValue:
    """Product, maximum or minimum; equal extreme elements share the gradient."""
    axes = _axes(call)
    return _kept(call, call.emit(REDUCTIONS[call.name], call.x(), axes=axes), axes)


@handles("Sum")
def total(call: Call) -> SSAValue:
    """The sum; of all rows of a cross entropy it is that op's."""
    x, axes = call.x(), _axes(call)
    if len(axes) == len(shape_of(x)):
        whole = reduced_rows(call, x, "sum")
        if whole is not None:
            return _kept(call, whole, axes)
    return _kept(call, call.emit(SumOp, x, axes=axes), axes)


@handles("Mean")
def mean(call: Call) -> SSAValue:
    """The mean; of all rows of a cross entropy it is that op's."""
    x, axes = call.x(), _axes(call)
    call.require(dtype_of(x).is_float, "the mean of integers is not supported")
    if len(axes) == len(shape_of(x)):
        whole = reduced_rows(call, x, "mean")
        if whole is not None:
            return _kept(call, whole, axes)
    return _kept(call, call.emit(MeanOp, x, axes=axes), axes)


@handles("Any", "All")
def truth(call: Call) -> SSAValue:
    """Whether any, or all, are true: their largest or smallest, as numbers."""
    emit, axes = call.emit, _axes(call)
    op = MaxOp if call.name == "Any" else MinOp
    found = emit(op, cast(emit, call.x(), "i32"), axes=axes)
    return _kept(call, cast(emit, found, "i1"), axes)


@handles("EuclideanNorm")
def norm(call: Call) -> SSAValue:
    """The root of the sum of squares; the root never sees a 0, where its gradient is infinite."""
    emit, axes = call.emit, _axes(call)
    squares = emit(SumOp, emit(SquareOp, call.x()), axes=axes)
    zero, one = splat_like(emit, 0, squares), splat_like(emit, 1, squares)
    is_zero = emit(CompareOp, squares, zero, predicate="eq")
    root = emit(SqrtOp, emit(SelectOp, is_zero, one, squares))
    return _kept(call, emit(SelectOp, is_zero, zero, root), axes)


@handles("L2Loss")
def half_squares(call: Call) -> SSAValue:
    """Half the sum of all squares."""
    emit, x = call.emit, call.x()
    squares = emit(SumOp, emit(SquareOp, x), axes=list(range(len(shape_of(x)))))
    return emit(MulOp, squares, splat_like(emit, 0.5, squares))


@handles(*ARG)
def arg_extreme(call: Call) -> SSAValue:
    """The first index of the extreme element."""
    x = call.x()
    (axis,) = call.ints(1, "an axis")
    x = cast(call.emit, x, "i8") if dtype_of(x).name == "i1" else x
    axis = normal_axis(axis, len(shape_of(x)))
    return call.emit(ARG[call.name], x, axis=axis, index=call.dtype())


@handles("Cumsum")
def cumsum(call: Call) -> SSAValue:
    """The sums of all elements up to each."""
    (axis,) = call.ints(1, "an axis")
    x = call.x()
    return call.emit(
        CumSumOp,
        x,
        axis=normal_axis(axis, len(shape_of(x))),
        exclusive=call.attr("exclusive"),
        reverse=call.attr("reverse"),
    )
