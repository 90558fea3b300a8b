"""Boxes of a tensor at computed places, as rows of a table.

An element of a box lies at (start + offset) of the operand along each axis. The axes that are taken
whole stay together as the row; the others make one row number, in row-major order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import SSAValue

from pock.frontends.common.steps import broadcast, iota, reshape, splat, splat_like, transpose
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import AddOp, CompareOp, LogicalAndOp, MaximumOp, MinimumOp, MulOp
from pock_ir.dialects.gather import GatherOp
from pock_ir.types import shape_of, tensor

INDEX = "i32"


@dataclass(frozen=True)
class Pick:
    """Boxes of an operand at computed places.

    sizes: of the box. starts: axis -> first index, of shape `batch`. batch: shape of all starts.
    """

    x: SSAValue
    sizes: tuple[int, ...]
    starts: dict[int, SSAValue]
    batch: tuple[int, ...]

    @property
    def indexed(self) -> list[int]:
        """The axes along which the box is not the whole operand."""
        shape = shape_of(self.x)
        return [a for a, n in enumerate(self.sizes) if n != shape[a]]


def clamped(emit: Emitter, start: SSAValue, last: int) -> SSAValue:
    """start moved into 0..last."""
    low = emit(MaximumOp, start, splat_like(emit, 0, start))
    return emit(MinimumOp, low, splat_like(emit, last, low))


def picked(emit: Emitter, pick: Pick, fill: float | None = None) -> SSAValue:
    """The boxes as [*batch, *sizes]; starts are in range.

    fill: starts may be out of range, and what is read there is this. Only for one indexed axis
    along which the box has one element.
    """
    shape, axes = shape_of(pick.x), pick.indexed
    if not axes:
        return broadcast(emit, pick.x, (*pick.batch, *shape))
    ids = row_numbers(emit, pick, axes)
    whole = [axis for axis in range(len(shape)) if axis not in axes]
    place = axes[0] if len(axes) == 1 else 0
    table = pick.x
    if len(axes) > 1:
        table = transpose(emit, table, [*axes, *whole])
        sizes = [shape[axis] for axis in whole]
        table = reshape(emit, table, (prod(shape[axis] for axis in axes), *sizes))
    mode, value = ("clip", 0.0) if fill is None else ("fill", float(fill))
    rows = emit(GatherOp, table, ids, axis=place, out_of_range=mode, fill=value)
    return _boxes_last(emit, rows, pick, place, [*axes, *whole])


def _boxes_last(
    emit: Emitter, rows: SSAValue, pick: Pick, place: int, order: Sequence[int]
) -> SSAValue:
    """What was gathered, whose ids begin at dim `place`, as [*batch, *sizes].

    order: the operand's axes, those that were indexed first.
    """
    lead, sizes = len(pick.batch), pick.sizes
    indexed = order[: len(pick.indexed)]
    shape = shape_of(rows)
    inside = [sizes[axis] for axis in indexed]
    behind = shape[place + lead + sum(size != 1 for size in inside) :]
    rows = reshape(emit, rows, (*shape[:place], *pick.batch, *inside, *behind))
    # Dims are now: `place` whole axes, the batch, the indexed axes, the other whole axes.
    whole = order[len(indexed) :]
    axes = [*whole[:place], *[None] * lead, *indexed, *whole[place:]]
    batch = list(range(place, place + lead))
    return transpose(emit, rows, [*batch, *(axes.index(axis) for axis in range(len(sizes)))])


def row_numbers(emit: Emitter, pick: Pick, axes: Sequence[int]) -> SSAValue:
    """The row of each element of the boxes, [*batch, *those of `axes` with a box beyond 1]."""
    # A box of one element along an axis needs no index within the box.
    wide = [axis for axis in axes if pick.sizes[axis] != 1]
    ids_shape = (*pick.batch, *(pick.sizes[axis] for axis in wide))
    ids = _index_along(emit, pick, axes[0], wide, ids_shape)
    for axis in axes[1:]:
        row = emit(MulOp, ids, splat_like(emit, shape_of(pick.x)[axis], ids))
        ids = emit(AddOp, row, _index_along(emit, pick, axis, wide, ids_shape))
    return ids


def _index_along(
    emit: Emitter, pick: Pick, axis: int, wide: Sequence[int], shape: Sequence[int]
) -> SSAValue:
    """Where along `axis` each element lies, of `shape`: [*batch, *the box's axes `wide`]."""
    lead = len(pick.batch)
    start = pick.starts.get(axis)
    first = None if start is None else broadcast(emit, start, shape, list(range(lead)))
    if axis not in wide:
        return splat(emit, 0, tensor(shape, INDEX)) if first is None else first
    within = iota(emit, shape, lead + list(wide).index(axis), INDEX)
    return within if first is None else emit(AddOp, first, within)


def both(emit: Emitter, a: SSAValue | None, b: SSAValue) -> SSAValue:
    """Whether a and b are true; b if there is no a."""
    return b if a is None else emit(LogicalAndOp, a, b)


def in_range(emit: Emitter, start: SSAValue, last: int) -> SSAValue:
    """Whether 0 <= start <= last."""
    low = emit(CompareOp, start, splat_like(emit, 0, start), predicate="ge")
    high = emit(CompareOp, start, splat_like(emit, last, start), predicate="le")
    return emit(LogicalAndOp, low, high)
