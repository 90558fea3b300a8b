"""Steps that many handlers share: constants, casts, broadcasts and reshapes made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from pock.frontends.torch.table import Refusal
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, ReshapeOp, SliceOp, TransposeOp
from pock_ir.types import Tensor, dtype_of, shape_of, tensor

Number = bool | int | float


def splat(emit: Emitter, value: Number, type: Tensor) -> SSAValue:
    """A constant of `type` with all elements `value`."""
    number = float(value) if dtype_of(type).is_float else int(value)
    return emit(ConstantOp, value=number, type=type)


def splat_like(emit: Emitter, value: Number, like: SSAValue) -> SSAValue:
    """A constant of the type of `like`."""
    return splat(emit, value, tensor(shape_of(like), dtype_of(like).name))


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


def swap_last(emit: Emitter, x: SSAValue) -> SSAValue:
    """x with its last two dims exchanged."""
    rank = len(shape_of(x))
    return transpose(emit, x, [*range(rank - 2), rank - 1, rank - 2])


def broadcast(emit: Emitter, x: SSAValue, shape: Sequence[int]) -> SSAValue:
    """x repeated to `shape` by PyTorch's rule: dims align at the end, and dims of 1 repeat.

    Raises Refusal if the shapes do not fit.
    """
    source, target = shape_of(x), tuple(shape)
    if source == target:
        return x
    lead = len(target) - len(source)
    axes = [lead + i for i, size in enumerate(source) if size == target[lead + i] != 1]
    fits = lead >= 0 and all(s in (1, t) for s, t in zip(source, target[lead:], strict=True))
    if not fits:
        raise Refusal(f"shape {list(source)} does not broadcast to {list(target)}")
    if prod(source) == prod(target):
        return reshape(emit, x, target)
    kept = reshape(emit, x, [target[axis] for axis in axes])
    return emit(BroadcastOp, kept, shape=target, axes=axes)


def along(emit: Emitter, x: SSAValue, shape: Sequence[int], axis: int) -> SSAValue:
    """The vector x repeated to `shape`, running along `axis`."""
    return emit(BroadcastOp, x, shape=tuple(shape), axes=[axis])


def slice_axis(
    emit: Emitter, x: SSAValue, axis: int, begin: int, end: int, stride: int = 1
) -> SSAValue:
    """x[begin : end : stride] along `axis`; x itself if that is everything."""
    shape = shape_of(x)
    if (begin, end, stride) == (0, shape[axis], 1):
        return x
    begins, ends, strides = [0] * len(shape), list(shape), [1] * len(shape)
    begins[axis], ends[axis], strides[axis] = begin, end, stride
    return emit(SliceOp, x, begin=begins, end=ends, stride=strides)


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from the front; a scalar is treated as having one axis, as in PyTorch."""
    return axis + max(rank, 1) if axis < 0 else axis


def normal_axes(axes: Sequence[int] | int | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front and ascending; None or no axes means all of them."""
    if axes is None or axes == [] or axes == ():
        return tuple(range(rank))
    listed = [axes] if isinstance(axes, int) else axes
    return tuple(sorted(normal_axis(axis, rank) for axis in listed))
