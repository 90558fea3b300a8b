"""Reductions. PyTorch's keepdim becomes a reshape."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from xdsl.ir import SSAValue

from pock.frontends.torch.ops.common import (
    broadcast,
    cast,
    normal_axes,
    reshape,
    splat_like,
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
from pock_ir.dialects.reduce import MaxOp, MeanOp, SumOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten

REDUCTIONS: Mapping[Any, type[PockOp]] = {
    aten.amax.default: MaxOp,
    aten.max.default: MaxOp,
    aten.mean.default: MeanOp,
    aten.mean.dim: MeanOp,
    aten.sum.default: SumOp,
    aten.sum.dim_IntList: SumOp,
}


def _axes(call: Call, rank: int) -> tuple[int, ...]:
    return normal_axes(call["dim"] if "dim" in call.names() else None, rank)


@handles(*REDUCTIONS)
def reduce(call: Call) -> SSAValue:
    """Sum, mean or maximum over some or all dims.

    The gradient of a maximum is shared between equal elements, as that of torch.amax.
    """
    x = cast(call.emit, call.tensor("self"), dtype_of(call.result()).name)
    axes = _axes(call, len(shape_of(x)))
    result = call.emit(REDUCTIONS[call.node.target], x, axes=axes) if axes else x
    return reshape(call.emit, result, call.shape())


@handles(aten.max.dim)
def max_with_index(call: Call) -> SSAValue:
    """Refused: its gradient goes to one of several equal elements."""
    call.refuse("the position of a maximum is not supported", "use torch.amax for the value alone")


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
