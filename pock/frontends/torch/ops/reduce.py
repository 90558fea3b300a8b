"""Reductions. PyTorch's keepdim becomes a reshape."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    reshape,
    splat,
    splat_like,
)
from pock.frontends.torch.ops.common import (
    normal_axes,
    normal_axis,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.elementwise import (
    AbsOp,
    CompareOp,
    MulOp,
    SelectOp,
    SqrtOp,
    SquareOp,
    SubOp,
)
from pock_ir.dialects.gather import TakeAlongAxisOp
from pock_ir.dialects.reduce import ArgMaxOp, ArgMinOp, MaxOp, MeanOp, MinOp, ProdOp, SumOp
from pock_ir.dialects.scan import CumSumOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, shape_of, tensor

aten = torch.ops.aten

REDUCTIONS: Mapping[Any, type[PockOp]] = {
    aten.amax.default: MaxOp,
    aten.amin.default: MinOp,
    aten.max.default: MaxOp,
    aten.mean.default: MeanOp,
    aten.mean.dim: MeanOp,
    aten.min.default: MinOp,
    aten.prod.default: ProdOp,
    aten.prod.dim_int: ProdOp,
    aten.sum.default: SumOp,
    aten.sum.dim_IntList: SumOp,
}


def _axes(call: Call, rank: int) -> tuple[int, ...]:
    return normal_axes(call["dim"] if "dim" in call.names() else None, rank)


@handles(*REDUCTIONS)
def reduce(call: Call) -> SSAValue:
    """Sum, mean, product, maximum or minimum over some or all dims.

    The gradient of an extreme element is shared between equal ones, as that of torch.amax.
    """
    x = cast(call.emit, call.tensor("self"), dtype_of(call.result()).name)
    axes = _axes(call, len(shape_of(x)))
    result = call.emit(REDUCTIONS[call.node.target], x, axes=axes) if axes else x
    return reshape(call.emit, result, call.shape())


ARGUMENTS: Mapping[Any, type[PockOp]] = {
    aten.argmax.default: ArgMaxOp,
    aten.argmin.default: ArgMinOp,
    aten.max.dim: ArgMaxOp,
    aten.min.dim: ArgMinOp,
}


@handles(aten.argmax.default, aten.argmin.default)
def position(call: Call) -> SSAValue:
    """The first index of an extreme element, along one dim or among all elements."""
    x = call.tensor("self")
    if call["dim"] is None:
        x = reshape(call.emit, x, (prod(shape_of(x)),))
    axis = 0 if call["dim"] is None else normal_axis(call["dim"], len(shape_of(x)))
    found = _position(call, x, axis)
    return reshape(call.emit, found, call.shape())


@handles(aten.max.dim, aten.min.dim)
def with_position(call: Call) -> tuple[SSAValue, SSAValue]:
    """The extreme elements along one dim and their first indices, to which the gradient goes."""
    emit, x = call.emit, call.tensor("self")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    found = _position(call, x, axis)
    if not shape_of(x):
        return x, found
    column = [1 if dim == axis else size for dim, size in enumerate(shape_of(x))]
    ids = reshape(emit, found, column)
    taken = emit(TakeAlongAxisOp, x, ids, axis=axis, out_of_range="clip", fill=0.0)
    return reshape(emit, taken, call.shape()), reshape(emit, found, call.shape())


def _position(call: Call, x: SSAValue, axis: int) -> SSAValue:
    if not shape_of(x):
        return splat(call.emit, 0, tensor((), "i64"))
    return call.emit(ARGUMENTS[call.node.target], x, axis=axis, index="i64")


TRUTH: Mapping[Any, type[PockOp]] = {
    **{target: MaxOp for target in (aten.any.default, aten.any.dim, aten.any.dims)},
    **{target: MinOp for target in (aten.all.default, aten.all.dim, aten.all.dims)},
}


@handles(*TRUTH)
def truth(call: Call) -> SSAValue:
    """Whether any or all elements are not 0: the largest or smallest of 0 and 1."""
    emit = call.emit
    x = cast(emit, cast(emit, call.tensor("self"), "i1"), "i32")
    axes = _axes(call, len(shape_of(x)))
    found = emit(TRUTH[call.node.target], x, axes=axes) if axes else x
    return reshape(emit, cast(emit, found, "i1"), call.shape())


@handles(aten.cumsum.default)
def cumsum(call: Call) -> SSAValue:
    """Running sums along one dim."""
    x = cast(call.emit, call.tensor("self"), dtype_of(call.result()).name)
    if not shape_of(x):
        return x
    axis = normal_axis(call["dim"], len(shape_of(x)))
    return call.emit(CumSumOp, x, axis=axis, exclusive=False, reverse=False)


@handles(aten.var.correction)
def variance(call: Call) -> SSAValue:
    """The mean squared distance from the mean, with n - correction in place of n."""
    emit, x = call.emit, call.tensor("self")
    shape = shape_of(x)
    axes = _axes(call, len(shape))
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    mean = reshape(emit, emit(MeanOp, x, axes=axes), kept)
    square = emit(SquareOp, emit(SubOp, x, broadcast(emit, mean, shape)))
    result = emit(MeanOp, square, axes=axes)
    count = prod(shape[axis] for axis in axes)
    correction = 1 if call["correction"] is None else call["correction"]
    call.require(correction < count, f"{count} elements do not allow a correction of {correction}")
    if correction:
        result = emit(MulOp, result, splat_like(emit, count / (count - correction), result))
    return reshape(emit, result, call.shape())


@handles(aten.linalg_vector_norm.default)
def vector_norm(call: Call) -> SSAValue:
    """The 1-norm or 2-norm over some dims.

    PyTorch's gradient of the 2-norm is 0 at 0, where that of the square root is infinite: the
    root never sees a 0.
    """
    emit, x = call.emit, call.tensor("self")
    order = call["ord"]
    call.require(order in (1, 2), f"norms of order {order} are not supported", "use 1 or 2")
    axes = _axes(call, len(shape_of(x)))
    if order == 1:
        return reshape(emit, emit(SumOp, emit(AbsOp, x), axes=axes), call.shape())
    total = emit(SumOp, emit(SquareOp, x), axes=axes)
    zero, one = splat_like(emit, 0, total), splat_like(emit, 1, total)
    is_zero = emit(CompareOp, total, zero, predicate="eq")
    root = emit(SqrtOp, emit(SelectOp, is_zero, one, total))
    return reshape(emit, emit(SelectOp, is_zero, zero, root), call.shape())
