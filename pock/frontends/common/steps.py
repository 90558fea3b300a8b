"""Steps that handlers share: constants, casts, broadcasts and reshapes made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from pock.frontends.common.refusal import Refusal
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


def peel(value: SSAValue) -> SSAValue:
    """What `value` repeats or reshapes."""
    while isinstance(value.owner, BroadcastOp | ReshapeOp):
        value = value.owner.x
    return value


def splat_of(value: SSAValue) -> Number | None:
    """The number that all elements of `value` are if it is a constant (or one broadcast)."""
    op = peel(value).owner
    return op.number() if isinstance(op, ConstantOp) else None


def iota(emit: Emitter, shape: Sequence[int], axis: int, dtype: str) -> SSAValue:
    """Indices along `axis`."""
    return emit(IotaOp, axis=axis, type=tensor(shape, dtype))


def cast(emit: Emitter, x: SSAValue, dtype: str) -> SSAValue:
    """x with elements `dtype`; x itself if it has them."""
    return x if dtype_of(x).name == dtype else emit(CastOp, x, to=dtype)


def reshape(emit: Emitter, x: SSAValue, shape: Sequence[int]) -> SSAValue:
    """x, or what it was reshaped from, as `shape`; itself if it has it."""
    while isinstance(x.owner, ReshapeOp):
        x = x.owner.x
    return x if shape_of(x) == tuple(shape) else emit(ReshapeOp, x, shape=tuple(shape))


def transpose(emit: Emitter, x: SSAValue, permutation: Sequence[int]) -> SSAValue:
    """x with dims reordered; x itself if that changes nothing."""
    order = tuple(permutation)
    return x if order == tuple(range(len(order))) else emit(TransposeOp, x, permutation=order)


def broadcast(
    emit: Emitter, x: SSAValue, shape: Sequence[int], axes: Sequence[int] | None = None
) -> SSAValue:
    """x repeated to `shape`: dim i of x becomes axis axes[i], and dims of 1 repeat.

    axes: ascending; by default the last ones. Raises Refusal if the shapes do not fit.
    """
    source, target = shape_of(x), tuple(shape)
    if source == target:
        return x
    lead = len(target) - len(source)
    placed = [lead + i for i in range(len(source))] if axes is None else list(axes)
    pairs = list(zip(placed, source, strict=True))
    if lead < 0 or any(size not in (1, target[axis]) for axis, size in pairs):
        raise Refusal(f"shape {list(source)} does not broadcast to {list(target)}")
    if prod(source) == prod(target):
        return reshape(emit, x, target)
    kept = [axis for axis, size in pairs if size == target[axis] != 1]
    narrow = reshape(emit, x, [target[axis] for axis in kept])
    return emit(BroadcastOp, narrow, shape=target, axes=kept)


def common_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """What shapes broadcast to by numpy's rule. Raises Refusal if they do not fit."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    sizes: list[int] = []
    for column in zip(*padded, strict=True):
        wide = {size for size in column if size != 1}
        if len(wide) > 1:
            listed = " and ".join(str(list(shape)) for shape in shapes)
            raise Refusal(f"shapes {listed} do not broadcast")
        sizes.append(wide.pop() if wide else 1)
    return tuple(sizes)


def slice_box(
    emit: Emitter, x: SSAValue, begin: Sequence[int], end: Sequence[int], stride: Sequence[int]
) -> SSAValue:
    """x[begin : end : stride] in every dim; x itself if that is everything."""
    shape = shape_of(x)
    if not any(begin) and tuple(end) == shape and all(step == 1 for step in stride):
        return x
    return emit(SliceOp, x, begin=list(begin), end=list(end), stride=list(stride))


def slice_axis(
    emit: Emitter, x: SSAValue, axis: int, begin: int, end: int, stride: int = 1
) -> SSAValue:
    """x[begin : end : stride] along `axis`; x itself if that is everything."""
    shape = shape_of(x)
    begins, ends, strides = [0] * len(shape), list(shape), [1] * len(shape)
    begins[axis], ends[axis], strides[axis] = begin, end, stride
    return slice_box(emit, x, begins, ends, strides)


def pad(
    emit: Emitter, x: SSAValue, low: Sequence[int], high: Sequence[int], value: Number
) -> SSAValue:
    """x with elements `value` around it; x itself if there are none."""
    if not any(low) and not any(high):
        return x
    return emit(PadOp, x, low=list(low), high=list(high), value=float(value))


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from the front. Raises Refusal if there is none."""
    if not -rank <= axis < rank:
        raise Refusal(f"there is no axis {axis} of {rank}")
    return axis % rank


def normal_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, each once and ascending."""
    return tuple(sorted({normal_axis(axis, rank) for axis in axes}))
