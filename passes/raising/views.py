"""What a value is once the ops that only move elements are looked through.

A frame is the shape of the op where a match begins. A view says, for each axis of the frame, which
dim of a base value runs along it. So reshapes that add or remove dims of 1, broadcasts and
transposes vanish, a row's mean that is repeated along the row is the mean itself, and two values
are the same if base and dims are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from xdsl.ir import Operation, SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, ReshapeOp, TransposeOp
from pock_ir.op import ints
from pock_ir.types import shape_of

Shape = tuple[int, ...]
Dims = tuple[int | None, ...]


@dataclass(frozen=True)
class View:
    """`base` laid over a frame: dims[axis] is the dim of base along that axis.

    None: the same all along the axis. Axes and dims of size 1 are never paired.
    """

    base: SSAValue
    dims: Dims

    @property
    def owner(self) -> Operation | None:
        """The op that makes the base; None for an argument."""
        owner = self.base.owner
        return owner if isinstance(owner, Operation) else None

    @property
    def number(self) -> float | None:
        """The number that all elements are, or None if that is not known."""
        owner = self.base.owner
        return float(owner.number()) if isinstance(owner, ConstantOp) else None

    def operand(self, index: int) -> View:
        """An operand of the elementwise op that makes the base, over the same frame."""
        owner = self.base.owner
        assert isinstance(owner, Operation)
        return follow(owner.operands[index], self.dims)

    def spans(self, frame: Shape) -> bool:
        """Whether every axis of the frame has a dim of its own."""
        return all(size == 1 or dim is not None for size, dim in zip(frame, self.dims, strict=True))

    def varies_along(self) -> frozenset[int]:
        """The axes along which the elements may differ."""
        return frozenset(axis for axis, dim in enumerate(self.dims) if dim is not None)


def whole(value: SSAValue) -> View:
    """`value` over a frame of its own shape."""
    return follow(value, paired(range(len(shape_of(value))), shape_of(value)))


def follow(value: SSAValue, dims: Dims) -> View:
    """The view of `value` with `dims`, moved back past every op that only moves elements."""
    while True:
        owner = value.owner
        step = _STEPS.get(type(owner))
        if step is None or not isinstance(owner, Operation):
            return View(value, dims)
        moved = step(owner, dims)
        if moved is None:
            return View(value, dims)
        value, dims = owner.operands[0], moved


def paired(dims: Sequence[int | None], shape: Shape) -> Dims:
    """`dims` without those that have size 1 in `shape`."""
    return tuple(None if dim is None or shape[dim] == 1 else dim for dim in dims)


def _past_transpose(op: TransposeOp, dims: Dims) -> Dims:
    order = ints(op.permutation)
    return tuple(None if dim is None else order[dim] for dim in dims)


def _past_broadcast(op: BroadcastOp, dims: Dims) -> Dims:
    place = {axis: dim for dim, axis in enumerate(ints(op.axes))}
    return paired([None if dim is None else place.get(dim) for dim in dims], shape_of(op.x))


def _past_reshape(op: ReshapeOp, dims: Dims) -> Dims | None:
    """Only dims of 1 may come or go: anything else mixes the others."""
    source, target = shape_of(op.x), shape_of(op.result)
    before = [dim for dim, size in enumerate(source) if size != 1]
    after = [dim for dim, size in enumerate(target) if size != 1]
    if [source[dim] for dim in before] != [target[dim] for dim in after]:
        return None
    place = dict(zip(after, before, strict=True))
    return tuple(None if dim is None else place[dim] for dim in dims)


def _past_cast(op: CastOp, dims: Dims) -> Dims | None:
    return dims if op.x.type == op.result.type else None


_STEPS: Mapping[type[Any], Callable[[Any, Dims], Dims | None]] = {
    BroadcastOp: _past_broadcast,
    CastOp: _past_cast,
    ReshapeOp: _past_reshape,
    TransposeOp: _past_transpose,
}
"""For each op that only moves elements: the dims of its operand, or None if they are mixed."""


def lay(emit: Emitter, view: View, frame: Shape, axes: Sequence[int]) -> SSAValue:
    """A value whose dims are the frame's `axes`, in their order; the base itself if it is that.

    The view varies along no other axis.
    """
    shape = tuple(frame[axis] for axis in axes)
    present = [(i, dim) for i, axis in enumerate(axes) if (dim := view.dims[axis]) is not None]
    value = _ordered(emit, view.base, [dim for _, dim in present])
    kept = tuple(shape[i] for i, _ in present)
    if prod(kept) == prod(shape):
        return reshaped(emit, value, shape)
    return emit(BroadcastOp, reshaped(emit, value, kept), shape=shape, axes=[i for i, _ in present])


def _ordered(emit: Emitter, value: SSAValue, order: Sequence[int]) -> SSAValue:
    """`value` with its dims in `order`; dims of 1, which are not in it, come first."""
    shape = shape_of(value)
    long = [dim for dim, size in enumerate(shape) if size != 1]
    if list(order) == long:
        return value
    units = [dim for dim in range(len(shape)) if dim not in long]
    return emit(TransposeOp, value, permutation=[*units, *order])


def reshaped(emit: Emitter, value: SSAValue, shape: Shape) -> SSAValue:
    """`value` as `shape`; itself if it has it."""
    return value if shape_of(value) == shape else emit(ReshapeOp, value, shape=shape)
