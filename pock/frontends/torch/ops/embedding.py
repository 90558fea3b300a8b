"""Rows of a table, and elements chosen by index."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    common_shape,
    reshape,
    slice_axis,
    splat_like,
    transpose,
)
from pock.frontends.torch.ops.common import normal_axis
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import (
    AddOp,
    CastOp,
    CompareOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    SelectOp,
)
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
    return emit(GatherOp, x, ids, axis=axis, out_of_range="check", fill=0.0)


@handles(aten.gather.default)
def gather(call: Call) -> SSAValue:
    """One element for each index; where the other dims of the index are shorter, x is cut."""
    emit, x, ids = call.emit, call.tensor("self"), call.tensor("index")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    for dim, size in enumerate(shape_of(ids)):
        x = x if dim == axis else slice_axis(emit, x, dim, 0, size)
    return emit(TakeAlongAxisOp, x, ids, axis=axis, out_of_range="check", fill=0.0)


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
    """x[:, ids] or x[ids, :, more]: elements by number along some dims, negative ones from the end.

    Several tensors of numbers broadcast to each other and count through their dims as one. The
    result has their shape in the place of these dims, or in front if other dims lie between.
    """
    emit, x, indices = call.emit, call.tensor("self"), call["indices"]
    given = [axis for axis, ids in enumerate(indices) if ids is not None]
    call.require(
        all(dtype_of(indices[axis]).name in ("i32", "i64") for axis in given),
        "indexing is supported by tensors of integers only",
        "choose elements of a tensor of one size with where",
    )
    first, last = given[0], given[-1]
    if last - first >= len(given):
        rest = [axis for axis in range(len(shape_of(x))) if axis not in given]
        x = transpose(emit, x, [*given, *rest])
        first, last = 0, len(given) - 1
    sizes = shape_of(x)[first : last + 1]
    ids = _numbers(emit, [indices[axis] for axis in given], sizes)
    merged = (*shape_of(x)[:first], prod(sizes), *shape_of(x)[last + 1 :])
    return _slices(emit, reshape(emit, x, merged), ids, first)


def _numbers(emit: Emitter, indices: Sequence[SSAValue], sizes: Sequence[int]) -> SSAValue:
    """The numbers, in row-major order, of the elements that one index for each dim names.

    Each of several indices is moved into its own range, or it would name an element elsewhere.
    """
    shape = common_shape(*map(shape_of, indices))
    dtype = "i32" if all(dtype_of(ids).name == "i32" for ids in indices) else "i64"
    total: SSAValue | None = None
    for ids, size in zip(indices, sizes, strict=True):
        ids = _from_front(emit, ids, size)
        if len(indices) > 1:
            ids = emit(MaximumOp, ids, splat_like(emit, 0, ids))
            ids = emit(MinimumOp, ids, splat_like(emit, size - 1, ids))
        ids = broadcast(emit, cast(emit, ids, dtype), shape)
        if total is None:
            total = ids
        else:
            total = emit(AddOp, emit(MulOp, total, splat_like(emit, size, total)), ids)
    assert total is not None, "the schema asks for an index"
    return total


def _from_front(emit: Emitter, ids: SSAValue, size: int) -> SSAValue:
    """Indices of which negative ones count from the end."""
    is_negative = emit(CompareOp, ids, splat_like(emit, 0, ids), predicate="lt")
    return emit(SelectOp, is_negative, emit(AddOp, ids, splat_like(emit, size, ids)), ids)
