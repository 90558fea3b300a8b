"""Rows of a table, and elements chosen by index."""

from __future__ import annotations

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    reshape,
    slice_axis,
    splat_like,
)
from pock.frontends.torch.ops.common import (
    normal_axis,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import AddOp, CastOp, CompareOp, SelectOp
from pock_ir.dialects.embedding import EmbeddingOp
from pock_ir.dialects.gather import GatherOp, TakeAlongAxisOp
from pock_ir.dialects.shape import BroadcastOp, IotaOp
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten


@handles(aten.embedding.default)
def embedding(call: Call) -> SSAValue:
    """Rows by number. `sparse` only changes how PyTorch stores the gradient."""
    call.require(not call["scale_grad_by_freq"], "scale_grad_by_freq is not supported")
    padding = call["padding_idx"]
    return call.emit(
        EmbeddingOp, call.tensor("weight"), call.tensor("indices"), padding_index=padding
    )


@handles(aten.index_select.default)
def index_select(call: Call) -> SSAValue:
    """Slices along one dim by number."""
    x = call.tensor("self")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    return reshape(call.emit, _slices(call.emit, x, call.tensor("index"), axis), call.shape())


def _slices(emit: Emitter, x: SSAValue, ids: SSAValue, axis: int) -> SSAValue:
    """x at ids along one axis: rows of a matrix are those of a table."""
    if len(shape_of(x)) == 2 and axis == 0:
        return emit(EmbeddingOp, x, ids, padding_index=-1)
    return emit(GatherOp, x, ids, axis=axis, out_of_range="clip", fill=0.0)


@handles(aten.gather.default)
def gather(call: Call) -> SSAValue:
    """One element for each index; where the other dims of the index are shorter, x is cut."""
    emit, x, ids = call.emit, call.tensor("self"), call.tensor("index")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    for dim, size in enumerate(shape_of(ids)):
        x = x if dim == axis else slice_axis(emit, x, dim, 0, size)
    return emit(TakeAlongAxisOp, x, ids, axis=axis, out_of_range="clip", fill=0.0)


@handles(aten.one_hot.default)
def one_hot(call: Call) -> SSAValue:
    """1 at the place that each index names, 0 elsewhere."""
    emit, ids, shape = call.emit, call.tensor("self"), call.shape()
    classes = emit(IotaOp, axis=len(shape) - 1, type=call.result())
    repeated = emit(BroadcastOp, ids, shape=shape, axes=list(range(len(shape) - 1)))
    same = emit(CompareOp, classes, repeated, predicate="eq")
    return emit(CastOp, same, to="i64")


@handles(aten.index.Tensor)
def index(call: Call) -> SSAValue:
    """x[:, ids]: slices along one dim by number, negative ones from the end."""
    x, indices = call.tensor("self"), call["indices"]
    given = [axis for axis, ids in enumerate(indices) if ids is not None]
    fits = len(given) == 1 and dtype_of(indices[given[0]]).name in ("i32", "i64")
    call.require(
        fits,
        "indexing is supported by one tensor of integers only",
        "select slices along one dim after the other, or use gather",
    )
    emit, axis = call.emit, given[0]
    ids, rows = indices[axis], shape_of(x)[axis]
    is_negative = emit(CompareOp, ids, splat_like(emit, 0, ids), predicate="lt")
    from_end = emit(AddOp, ids, splat_like(emit, rows, ids))
    ids = emit(SelectOp, is_negative, from_end, ids)
    return _slices(emit, x, ids, axis)
