"""Gathers and dynamic slices: boxes of a tensor at computed places."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan, prod

import numpy as np
from jax.lax import GatherScatterMode
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    iota,
    reshape,
    slice_axis,
    slice_box,
    splat_like,
    transpose,
)
from pock.frontends.jax.ops.boxes import INDEX, Pick, both, clamped, in_range, picked
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.elementwise import (
    AddOp,
    MulOp,
    SelectOp,
)
from pock_ir.dialects.gather import GatherOp, TakeAlongAxisOp
from pock_ir.types import dtype_of, shape_of


@handles("gather")
def gather(call: Call) -> SSAValue:
    """Boxes at places that are computed; modes clip and fill as in JAX.

    Out of range, "clip" takes the nearest box, and "fill" the fill value (by default NaN, for
    integers the least one).
    """
    emit, params = call.emit, call.params
    numbers = params["dimension_numbers"]
    x, sizes = call.x(0), tuple(params["slice_sizes"])
    simple = _known_box(call, x) or _along_axis(call, x)
    if simple is not None:
        return simple
    indices = cast(emit, call.x(1), INDEX)
    shape, batch = shape_of(x), shape_of(indices)[:-1]
    fill = _fill(call, x)
    starts: dict[int, SSAValue] = {}
    for column, axis in enumerate(numbers.start_index_map):
        part = slice_axis(emit, indices, len(batch), column, column + 1)
        starts[axis] = reshape(emit, part, batch)
    raw = dict(starts)
    pairs = zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    for axis, source in pairs:
        starts[axis] = iota(emit, batch, source, INDEX)
    pick = Pick(x, sizes, starts, batch)
    if (
        fill is not None
        and pick.indexed == list(raw)
        and len(raw) == 1
        and 1 in (sizes[axis] for axis in raw)
    ):
        return _arranged(call, picked(emit, pick, fill), len(batch))
    lasts = {axis: shape[axis] - sizes[axis] for axis in raw}
    starts.update({axis: clamped(emit, start, lasts[axis]) for axis, start in raw.items()})
    y = picked(emit, pick)
    if fill is not None and raw:
        inside: SSAValue | None = None
        for axis, start in raw.items():
            inside = both(emit, inside, in_range(emit, start, lasts[axis]))
        assert inside is not None
        seen = broadcast(emit, inside, shape_of(y), list(range(len(batch))))
        y = emit(SelectOp, seen, y, splat_like(emit, fill, y))
    return _arranged(call, y, len(batch))


def _fill(call: Call, x: SSAValue) -> float | None:
    """What is read out of range; None if indices are moved into range instead."""
    if call.params["mode"] != GatherScatterMode.FILL_OR_DROP:
        return None
    value = call.params["fill_value"]
    if value is not None:
        return float(value)
    if dtype_of(x).is_float:
        return nan
    call.require(dtype_of(x).name != "i1", "a fill value of truth values is not supported")
    return float(np.iinfo(dtype_of(x).numpy).min)


def _along_axis(call: Call, x: SSAValue) -> SSAValue | None:
    """jnp.take_along_axis: every axis but one is a batch axis; None if it is not that."""
    numbers, indices = call.params["dimension_numbers"], call.avals[1].shape
    rank = len(shape_of(x))
    if len(numbers.start_index_map) != 1 or len(indices) != rank + 1 or numbers.offset_dims:
        return None
    (axis,) = numbers.start_index_map
    others = tuple(i for i in range(rank) if i != axis)
    batches = (tuple(numbers.operand_batching_dims), tuple(numbers.start_indices_batching_dims))
    if batches != (others, others) or call.params["slice_sizes"][axis] != 1:
        return None
    ids = reshape(call.emit, cast(call.emit, call.x(1), INDEX), indices[:-1])
    fill = _fill(call, x)
    mode, value = ("clip", 0.0) if fill is None else ("fill", fill)
    return call.emit(TakeAlongAxisOp, x, ids, axis=axis, out_of_range=mode, fill=value)


def _arranged(call: Call, y: SSAValue, lead: int) -> SSAValue:
    """[*batch, *box] without collapsed axes, its box axes where JAX wants them."""
    numbers = call.params["dimension_numbers"]
    dropped = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    shape = shape_of(y)
    box = [size for axis, size in enumerate(shape[lead:]) if axis not in dropped]
    y = reshape(call.emit, y, (*shape[:lead], *box))
    offsets = list(numbers.offset_dims)
    batches = iter(range(lead))
    boxes = iter(range(lead, lead + len(box)))
    order = [next(boxes if axis in offsets else batches) for axis in range(lead + len(box))]
    return transpose(call.emit, y, order)


def _known_box(call: Call, x: SSAValue) -> SSAValue | None:
    """One box at a known place is a slice; None if it is none."""
    indices, numbers = call.known(1), call.params["dimension_numbers"]
    if indices is None or prod(indices.shape[:-1]) != 1 or numbers.operand_batching_dims:
        return None
    sizes, shape = call.params["slice_sizes"], shape_of(x)
    begin = [0] * len(shape)
    for axis, index in zip(numbers.start_index_map, indices.reshape(-1), strict=True):
        begin[axis] = int(index)
    ends = [start + size for start, size in zip(begin, sizes, strict=True)]
    if min(begin, default=0) < 0 or any(e > n for e, n in zip(ends, shape, strict=True)):
        return None
    box = slice_box(call.emit, x, begin, ends, [1] * len(shape))
    lead = len(indices.shape) - 1
    return _arranged(call, reshape(call.emit, box, (*(1,) * lead, *sizes)), lead)


def _scalar_starts(call: Call, first: int) -> list[SSAValue]:
    return [cast(call.emit, call.x(index), INDEX) for index in range(first, len(call))]


def _known_starts(call: Call, first: int, lasts: Sequence[int]) -> list[int] | None:
    """The first index of each axis, clamped, if all are known."""
    values = [call.known(index) for index in range(first, len(call))]
    numbers = [int(value) for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    return [int(np.clip(n, 0, last)) for n, last in zip(numbers, lasts, strict=True)]


@handles("dynamic_slice")
def dynamic_slice(call: Call) -> SSAValue:
    """A box whose place is computed, moved into the operand."""
    emit, x = call.emit, call.x(0)
    shape, sizes = shape_of(x), call.shape()
    lasts = [n - size for n, size in zip(shape, sizes, strict=True)]
    known = _known_starts(call, 1, lasts)
    if known is not None:
        ends = [begin + size for begin, size in zip(known, sizes, strict=True)]
        return slice_box(emit, x, known, ends, [1] * len(sizes))
    scalars = _scalar_starts(call, 1)
    starts = {
        a: clamped(emit, s, last) for a, (s, last) in enumerate(zip(scalars, lasts, strict=True))
    }
    return picked(emit, Pick(x, sizes, starts, ()))


@handles("dynamic_update_slice")
def dynamic_update_slice(call: Call) -> SSAValue:
    """x with a box replaced: every element of x asks whether it lies in the box, and where."""
    emit, x, update = call.emit, call.x(0), call.x(1)
    shape, box = shape_of(x), shape_of(update)
    axes = [a for a in range(len(shape)) if box[a] != shape[a]]
    if not axes:
        return update
    scalars = _scalar_starts(call, 2)
    inside: SSAValue | None = None
    ids: SSAValue | None = None
    for axis in range(len(shape)):
        index = iota(emit, shape, axis, INDEX)
        last = box[axis] - 1
        if axis in axes:
            start = clamped(emit, scalars[axis], shape[axis] - box[axis])
            back = emit(MulOp, start, splat_like(emit, -1, start))
            index = emit(AddOp, index, broadcast(emit, back, shape))
            inside = both(emit, inside, in_range(emit, index, last))
            index = clamped(emit, index, last)
        if ids is not None:
            ids = emit(MulOp, ids, splat_like(emit, box[axis], ids))
        ids = index if ids is None else emit(AddOp, ids, index)
    assert ids is not None and inside is not None
    table = reshape(emit, update, (prod(box),))
    values = emit(GatherOp, table, ids, axis=0, out_of_range="clip", fill=0.0)
    return emit(SelectOp, inside, values, x)
