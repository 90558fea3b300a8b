"""Operators that make, move or select elements."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    reshape,
    slice_axis,
    splat,
    splat_like,
    transpose,
)
from pock.frontends.torch.ops.common import (
    normal_axis,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.elementwise import AddOp, MulOp
from pock_ir.dialects.shape import BroadcastOp, ConcatOp, IotaOp, PadOp
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten


@handles(
    aten._unsafe_view.default,
    aten.flatten.using_ints,
    aten.reshape.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.view.default,
)
def view(call: Call) -> SSAValue:
    """The same elements in the shape that PyTorch inferred."""
    return reshape(call.emit, call.tensor("self"), call.shape())


@handles(aten.permute.default)
def permute(call: Call) -> SSAValue:
    """Dims reordered."""
    x = call.tensor("self")
    rank = len(shape_of(x))
    return transpose(call.emit, x, [normal_axis(axis, rank) for axis in call["dims"]])


@handles(aten.transpose.int)
def transpose_pair(call: Call) -> SSAValue:
    """Two dims exchanged."""
    x = call.tensor("self")
    order = list(range(len(shape_of(x))))
    first, second = (normal_axis(call[name], len(order)) for name in ("dim0", "dim1"))
    if order:
        order[first], order[second] = order[second], order[first]
    return transpose(call.emit, x, order)


@handles(aten.t.default)
def transpose_matrix(call: Call) -> SSAValue:
    """A matrix transposed; a vector stays."""
    x = call.tensor("self")
    return transpose(call.emit, x, list(range(len(shape_of(x))))[::-1])


@handles(aten.expand.default)
def expand(call: Call) -> SSAValue:
    """Dims of 1 repeated."""
    return broadcast(call.emit, call.tensor("self"), call.shape())


@handles(aten.repeat.default)
def repeat(call: Call) -> SSAValue:
    """x tiled: each dim gets an axis of repetitions before it, and both become one dim."""
    x = call.tensor("self")
    counts: Sequence[int] = call["repeats"]
    shape = (1,) * (len(counts) - len(shape_of(x))) + shape_of(x)
    pairs = [size for pair in zip(counts, shape, strict=True) for size in pair]
    tiled = call.emit(
        BroadcastOp,
        reshape(call.emit, x, shape),
        shape=pairs,
        axes=list(range(1, len(pairs), 2)),
    )
    return reshape(call.emit, tiled, call.shape())


@handles(aten.slice.Tensor)
def slice_tensor(call: Call) -> SSAValue:
    """x[start:end:step] along one dim; bounds outside of it are clipped, as in Python."""
    x = call.tensor("self")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    begin, end, step = slice(call["start"], call["end"], call["step"]).indices(shape_of(x)[axis])
    return slice_axis(call.emit, x, axis, begin, end, step)


@handles(aten.slice_scatter.default)
def slice_scatter(call: Call) -> SSAValue:
    """self with self[start:end:step] along one dim replaced by src."""
    x, part = call.tensor("self"), call.tensor("src")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    bounds = slice(call["start"], call["end"], call["step"]).indices(shape_of(x)[axis])
    call.require(bounds[2] == 1, f"writing to each {bounds[2]}th element is not supported")
    return _written(call, x, part, axis, bounds[0])


@handles(aten.select_scatter.default)
def select_scatter(call: Call) -> SSAValue:
    """self with self[index] along one dim replaced by src."""
    x, part = call.tensor("self"), call.tensor("src")
    shape = shape_of(x)
    axis = normal_axis(call["dim"], len(shape))
    row = reshape(call.emit, part, [*shape[:axis], 1, *shape[axis + 1 :]])
    return _written(call, x, row, axis, call["index"] % shape[axis])


@handles(aten.copy.default)
def copy(call: Call) -> SSAValue:
    """src in the shape and element type of self, which it overwrites."""
    src = cast(call.emit, call.tensor("src"), dtype_of(call.result()).name)
    return broadcast(call.emit, src, call.shape())


def _written(call: Call, x: SSAValue, part: SSAValue, axis: int, begin: int) -> SSAValue:
    """x with what lies along `axis` from `begin` on replaced by `part`, as far as it reaches."""
    emit, size, end = call.emit, shape_of(x)[axis], begin + shape_of(part)[axis]
    parts = [cast(emit, part, dtype_of(x).name)]
    if begin > 0:
        parts.insert(0, slice_axis(emit, x, axis, 0, begin))
    if end < size:
        parts.append(slice_axis(emit, x, axis, end, size))
    return parts[0] if len(parts) == 1 else emit(ConcatOp, *parts, axis=axis)


@handles(aten.select.int)
def select(call: Call) -> SSAValue:
    """x[index] along one dim, which disappears."""
    x = call.tensor("self")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    index = call["index"] % shape_of(x)[axis]
    return reshape(call.emit, slice_axis(call.emit, x, axis, index, index + 1), call.shape())


@handles(aten.split_with_sizes.default)
def split_with_sizes(call: Call) -> tuple[SSAValue, ...]:
    """x cut along one dim into parts of given sizes."""
    x = call.tensor("self")
    axis = normal_axis(call["dim"], len(shape_of(x)))
    parts: list[SSAValue] = []
    begin = 0
    for size in call["split_sizes"]:
        parts.append(slice_axis(call.emit, x, axis, begin, begin + size))
        begin += size
    return tuple(parts)


@handles(aten.cat.default)
def cat(call: Call) -> SSAValue:
    """Tensors one after the other along one dim, in the promoted element type."""
    dtype = dtype_of(call.result()).name
    axis = normal_axis(call["dim"], len(call.shape()))
    parts = [cast(call.emit, part, dtype) for part in call["tensors"]]
    return parts[0] if len(parts) == 1 else call.emit(ConcatOp, *parts, axis=axis)


@handles(aten.constant_pad_nd.default)
def constant_pad(call: Call) -> SSAValue:
    """x padded with a constant; a negative amount cuts, which happens first."""
    x = call.tensor("self")
    rank = len(shape_of(x))
    low, high = [0] * rank, [0] * rank
    amounts: Sequence[int] = call["pad"]
    for index in range(len(amounts) // 2):
        low[rank - 1 - index], high[rank - 1 - index] = amounts[2 * index : 2 * index + 2]
    for axis, (before, after) in enumerate(zip(low, high, strict=True)):
        end = shape_of(x)[axis] + min(after, 0)
        x = slice_axis(call.emit, x, axis, max(-before, 0), end)
    low, high = ([max(amount, 0) for amount in side] for side in (low, high))
    if not any(low + high):
        return x
    return call.emit(PadOp, x, low=low, high=high, value=float(call["value"]))


@handles(aten.full.default, aten.full_like.default)
def full(call: Call) -> SSAValue:
    """A tensor of one value."""
    return splat(call.emit, call["fill_value"], call.result())


@handles(aten.empty.memory_format, aten.empty_like.default)
def empty(call: Call) -> SSAValue:
    """A tensor that nobody has written yet: what it holds is undefined, and 0 here."""
    return splat(call.emit, 0, call.result())


@handles(aten.scalar_tensor.default)
def scalar_tensor(call: Call) -> SSAValue:
    """A number as a tensor without dims."""
    return splat(call.emit, call["s"], call.result())


@handles(aten.arange.start_step)
def arange(call: Call) -> SSAValue:
    """start, start + step, ...: an index, scaled and shifted."""
    emit = call.emit
    index = emit(IotaOp, axis=0, type=call.result())
    if call["step"] != 1:
        index = emit(MulOp, index, splat_like(emit, call["step"], index))
    if call["start"] != 0:
        index = emit(AddOp, index, splat_like(emit, call["start"], index))
    return index
