"""Scatters: boxes of updates that are added to an operand, or replace parts of it, by index.

The boxes become rows of a table, as those of a gather do; `ids` says to which row each goes, -1 if
it is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

import numpy as np
from jax.lax import GatherScatterMode
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    iota,
    reshape,
    slice_axis,
    splat,
    splat_like,
    transpose,
)
from pock.frontends.jax.ops.boxes import INDEX, Pick, both, clamped, in_range, row_numbers
from pock.frontends.jax.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import AddOp, CompareOp, MulOp, SelectOp, SubOp
from pock_ir.dialects.gather import GatherOp, ScatterAddOp
from pock_ir.dialects.reduce import MaxOp, MinOp
from pock_ir.dialects.shape import ConcatOp
from pock_ir.types import dtype_of, shape_of, tensor

LIMIT = 1 << 22
"""The most elements of a comparison of all rows with all updates."""

HELP_UNIQUE = "tell JAX that no two indices are equal: unique_indices=True"
HELP_SMALLER = "scatter fewer updates at once"


@dataclass(frozen=True)
class Rows:
    """A scatter to the rows of a table.

    table: the operand [rows, *row]. ids: [updates], -1 for what is dropped. values: the updates
    [updates, *row]. sizes: of the operand, its axes in the order `axes`.
    """

    table: SSAValue
    ids: SSAValue
    values: SSAValue
    sizes: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many rows the operand has."""
        return shape_of(self.table)[0]

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of a row."""
        return shape_of(self.table)[1:]

    def operand(self, emit: Emitter, table: SSAValue) -> SSAValue:
        """A table of rows as the operand is."""
        order = [self.axes.index(axis) for axis in range(len(self.axes))]
        return transpose(emit, reshape(emit, table, self.sizes), order)


@handles("scatter-add")
def scatter_add(call: Call) -> SSAValue:
    """The operand plus the sum of what goes to each of its elements."""
    emit, rows = call.emit, _rows(call)
    is_float = dtype_of(rows.table).is_float
    call.require(is_float, "adding integers by index is not supported", "add floats")
    total = rows.operand(emit, _sum(emit, rows, rows.values))
    return total if call.number(0) == 0 else emit(AddOp, call.x(0), total)


@handles("scatter")
def scatter(call: Call) -> SSAValue:
    """The operand where nothing goes, else the last update."""
    emit, rows = call.emit, _rows(call)
    number = _last_update(call, rows)
    placed = _placed(emit, rows, number)
    hit = _hit(emit, rows, number)
    return rows.operand(emit, emit(SelectOp, hit, placed, rows.table))


@handles("scatter-mul")
def scatter_mul(call: Call) -> SSAValue:
    """The operand times what goes to each of its elements, of which there may be one."""
    emit, rows = call.emit, _rows(call)
    call.require(
        _is_unique(call, rows), "several factors of one element are not supported", HELP_UNIQUE
    )
    number = _last_update(call, rows)
    product = emit(MulOp, rows.table, _placed(emit, rows, number))
    hit = _hit(emit, rows, number)
    return rows.operand(emit, emit(SelectOp, hit, product, rows.table))


@handles("scatter-max", "scatter-min")
def scatter_extremum(call: Call) -> SSAValue:
    """The extreme element of the operand and of all that goes to it; equal ones share a gradient.

    Every row looks at every update, so the number of both together is limited.
    """
    emit, rows = call.emit, _rows(call)
    kind, worst = (MaxOp, -inf) if call.name == "scatter-max" else (MinOp, inf)
    call.require(dtype_of(rows.table).is_float, f"{call.name} of integers is not supported")
    updates = shape_of(rows.ids)[0]
    shape = (rows.count, updates, *rows.row)
    call.require(
        prod(shape) <= LIMIT, f"{updates} updates of {rows.count} rows are too many", HELP_SMALLER
    )
    hit = broadcast(emit, _hits(emit, rows), shape, [0, 1])
    values = broadcast(emit, rows.values, shape, list(range(1, len(shape))))
    seen = emit(SelectOp, hit, values, splat_like(emit, worst, values))
    if call.number(0) != worst:
        first = reshape(emit, rows.table, (rows.count, 1, *rows.row))
        seen = emit(ConcatOp, first, seen, axis=1)
    return rows.operand(emit, emit(kind, seen, axes=[1]))


def _rows(call: Call) -> Rows:
    """The scatter `call` on rows. Raises Refusal for an operand that has no rows."""
    emit, numbers = call.emit, call.params["dimension_numbers"]
    x, batch = call.x(0), call.avals[1].shape[:-1]
    shape, (sizes, boxes) = shape_of(x), _boxes(call, len(batch))
    starts = _starts(call, batch)
    mode = call.params["mode"]
    dropped: SSAValue | None = None
    for axis, start in starts.items():
        last = shape[axis] - sizes[axis]
        if mode != GatherScatterMode.CLIP:
            dropped = both(emit, dropped, in_range(emit, start, last))
        starts[axis] = clamped(emit, start, last)
    pairs = zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
    for axis, source in pairs:
        starts[axis] = iota(emit, batch, source, INDEX)
    indexed = [axis for axis in range(len(shape)) if axis in starts or sizes[axis] != shape[axis]]
    call.require(bool(indexed), "a scatter without an index is not supported")
    ids = row_numbers(emit, Pick(x, sizes, starts, batch), indexed)
    if dropped is not None:
        inside = broadcast(emit, dropped, shape_of(ids), list(range(len(batch))))
        ids = emit(SelectOp, inside, ids, splat_like(emit, -1, ids))
    axes = (*indexed, *(axis for axis in range(len(shape)) if axis not in indexed))
    row = [shape[axis] for axis in axes[len(indexed) :]]
    updates, rows = prod(shape_of(ids)), prod(shape[axis] for axis in indexed)
    values = transpose(emit, boxes, [*range(len(batch)), *(len(batch) + axis for axis in axes)])
    return Rows(
        reshape(emit, transpose(emit, x, axes), (rows, *row)),
        reshape(emit, ids, (updates,)),
        reshape(emit, values, (updates, *row)),
        tuple(shape[axis] for axis in axes),
        axes,
    )


def _boxes(call: Call, lead: int) -> tuple[tuple[int, ...], SSAValue]:
    """The size of a box along each axis of the operand, and the updates as [*batch, *sizes]."""
    emit, numbers, x = call.emit, call.params["dimension_numbers"], call.x(2)
    windows, shape = list(numbers.update_window_dims), shape_of(x)
    batches = [axis for axis in range(len(shape)) if axis not in windows]
    narrow = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    found = iter(shape[axis] for axis in windows)
    rank = len(call.avals[0].shape)
    sizes = tuple(1 if axis in narrow else next(found) for axis in range(rank))
    moved = transpose(emit, x, [*batches, *windows])
    return sizes, reshape(emit, moved, (*shape_of(moved)[:lead], *sizes))


def _starts(call: Call, batch: tuple[int, ...]) -> dict[int, SSAValue]:
    """Axis of the operand -> where the boxes begin along it, as they are given."""
    emit, numbers = call.emit, call.params["dimension_numbers"]
    if not numbers.scatter_dims_to_operand_dims:
        return {}
    indices = cast(emit, call.x(1), INDEX)
    found: dict[int, SSAValue] = {}
    for column, axis in enumerate(numbers.scatter_dims_to_operand_dims):
        part = slice_axis(emit, indices, len(batch), column, column + 1)
        found[axis] = reshape(emit, part, batch)
    return found


def _sum(emit: Emitter, rows: Rows, values: SSAValue) -> SSAValue:
    return emit(ScatterAddOp, rows.ids, values, axis=0, size=rows.count, out_of_range="fill")


def _is_unique(call: Call, rows: Rows) -> bool:
    """Whether it is known that at most one update goes to each row."""
    if call.params["unique_indices"] or prod(call.avals[1].shape[:-1]) == 1:
        return True
    known = call.known(1)
    if known is None or shape_of(rows.ids)[0] != prod(known.shape[:-1]):
        return False
    places = known.reshape(-1, known.shape[-1])
    return len(np.unique(places, axis=0)) == len(places)


def _last_update(call: Call, rows: Rows) -> SSAValue:
    """The number of the last update that goes to each row, -1 if none does."""
    emit, updates = call.emit, shape_of(rows.ids)[0]
    if _is_unique(call, rows):
        # At most one: the sum of numbers from 1 is that number, exact in f32.
        call.require(updates < 1 << 24, "too many updates", HELP_SMALLER)
        order = iota(emit, (updates,), 0, "f32")
        number = _sum(emit, rows, emit(AddOp, order, splat_like(emit, 1.0, order)))
        return cast(emit, emit(SubOp, number, splat_like(emit, 1.0, number)), INDEX)
    call.require(
        rows.count * updates <= LIMIT,
        f"{updates} updates of {rows.count} rows, of which several may name one, are too many",
        HELP_UNIQUE,
    )
    order = iota(emit, (rows.count, updates), 1, INDEX)
    seen = emit(SelectOp, _hits(emit, rows), order, splat_like(emit, -1, order))
    return emit(MaxOp, seen, axes=[1])


def _hits(emit: Emitter, rows: Rows) -> SSAValue:
    """[rows, updates]: whether an update goes to a row."""
    shape = (rows.count, shape_of(rows.ids)[0])
    wanted = iota(emit, shape, 0, INDEX)
    return emit(CompareOp, broadcast(emit, rows.ids, shape, [1]), wanted, predicate="eq")


def _hit(emit: Emitter, rows: Rows, number: SSAValue) -> SSAValue:
    """Whether an update goes to each element of the table."""
    zero = splat(emit, 0, tensor(shape_of(number), INDEX))
    hit = emit(CompareOp, number, zero, predicate="ge")
    return broadcast(emit, hit, shape_of(rows.table), [0])


def _placed(emit: Emitter, rows: Rows, number: SSAValue) -> SSAValue:
    """The update that goes to each row, 0 where none does."""
    return emit(GatherOp, rows.values, number, axis=0, out_of_range="fill", fill=0.0)
