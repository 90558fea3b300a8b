"""Steps that many handlers share: constants, casts, broadcasts and reshapes made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.shape import (
    BroadcastOp,
    ConstantOp,
    IotaOp,
    PadOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from pock_ir.types import Tensor, dtype_of, shape_of, tensor

Number = bool | int | float


def splat(emit: Emitter, value: Number, type: Tensor) -> SSAValue:
    """A constant of `type` with all elements `value`."""
    number = float(value) if dtype_of(type).is_float else int(value)
    return emit(ConstantOp, value=number, type=type)


def splat_like(emit: Emitter, value: Number, like: SSAValue) -> SSAValue:
    """A constant of the type of `like`."""
    return splat(emit, value, tensor(shape_of(like), dtype_of(like).name))


def splat_of(value: SSAValue) -> Number | None:
    """The number that all elements of `value` are if it is a constant (or one broadcast)."""
    op = value.owner
    while isinstance(op, BroadcastOp | ReshapeOp):
        op = op.x.owner
    return op.number() if isinstance(op, ConstantOp) else None


def iota(emit: Emitter, shape: Sequence[int], axis: int, dtype: str) -> SSAValue:
    """Indices along `axis`."""
    return emit(IotaOp, axis=axis, type=tensor(shape, dtype))


def cast(emit: Emitter, x: SSAValue, dtype: str) -> SSAValue:
    """x with elements `dtype`; x itself if it has them."""
    return x if dtype_of(x).name == dtype else emit(CastOp, x, to=dtype)


def reshape(emit: Emitter, x: SSAValue, shape: Sequence[int]) -> SSAValue:
    """x as `shape`; x itself if it has it."""
    return x if shape_of(x) == tuple(shape) else emit(ReshapeOp, x, shape=tuple(shape))


def transpose(emit: Emitter, x: SSAValue, permutation: Sequence[int]) -> SSAValue:
    """x with dims reordered; x itself if that changes nothing."""
    order = tuple(permutation)
    return x if order == tuple(range(len(order))) else emit(TransposeOp, x, permutation=order)


def inverse(permutation: Sequence[int]) -> list[int]:
    """The permutation that undoes `permutation`."""
    return [list(permutation).index(axis) for axis in range(len(permutation))]


def broadcast(
    emit: Emitter, x: SSAValue, shape: Sequence[int], axes: Sequence[int] | None = None
) -> SSAValue:
    """x repeated to `shape`: dim i of x becomes axis axes[i], and dims of 1 repeat.

    axes: ascending; by default the last ones.
    """
    source, target = shape_of(x), tuple(shape)
    lead = len(target) - len(source)
    placed = [lead + i for i in range(len(source))] if axes is None else list(axes)
    if source == target:
        return x
    if prod(source) == prod(target):
        return reshape(emit, x, target)
    pairs = zip(placed, source, strict=True)
    kept = [axis for axis, size in pairs if size == target[axis] != 1]
    narrow = reshape(emit, x, [target[axis] for axis in kept])
    return emit(BroadcastOp, narrow, shape=target, axes=kept)


def slice_axis(
    emit: Emitter, x: SSAValue, axis: int, begin: int, end: int, stride: int = 1
) -> SSAValue:
    """x[begin : end : stride] along `axis`; x itself if that is everything."""
    shape = shape_of(x)
    begins, ends, strides = [0] * len(shape), list(shape), [1] * len(shape)
    begins[axis], ends[axis], strides[axis] = begin, end, stride
    return slice_box(emit, x, begins, ends, strides)


def slice_box(
    emit: Emitter, x: SSAValue, begin: Sequence[int], end: Sequence[int], stride: Sequence[int]
) -> SSAValue:
    """x[begin : end : stride] in every dim; x itself if that is everything."""
    shape = shape_of(x)
    if not any(begin) and tuple(end) == shape and all(step == 1 for step in stride):
        return x
    return emit(SliceOp, x, begin=list(begin), end=list(end), stride=list(stride))


def pad(
    emit: Emitter, x: SSAValue, low: Sequence[int], high: Sequence[int], value: Number
) -> SSAValue:
    """x with elements `value` around it; x itself if there are none."""
    if not any(low) and not any(high):
        return x
    return emit(PadOp, x, low=list(low), high=list(high), value=float(value))


def dilate(emit: Emitter, x: SSAValue, interior: Sequence[int], value: Number) -> SSAValue:
    """x with interior[i] elements `value` between any two of dim i."""
    for axis, gap in enumerate(interior):
        shape = shape_of(x)
        if gap == 0 or shape[axis] == 1:
            continue
        split = reshape(emit, x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
        none = [0] * (len(shape) + 1)
        high = [*none]
        high[axis + 1] = gap
        wide = pad(emit, split, none, high, value)
        size = shape[axis] * (gap + 1)
        flat = reshape(emit, wide, (*shape[:axis], size, *shape[axis + 1 :]))
        x = slice_axis(emit, flat, axis, 0, size - gap)
    return x


def cut(emit: Emitter, x: SSAValue, low: Sequence[int], high: Sequence[int]) -> SSAValue:
    """x without the elements that negative amounts of padding take away."""
    begin = [max(0, -amount) for amount in low]
    end = [n - max(0, -amount) for n, amount in zip(shape_of(x), high, strict=True)]
    return slice_box(emit, x, begin, end, [1] * len(begin))
