"""Steps that only the handlers of JAX share; see `pock.frontends.common.steps`."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock.frontends.common.steps import Number, pad, reshape, slice_axis, slice_box
from pock_ir.build import Emitter
from pock_ir.types import shape_of


def inverse(permutation: Sequence[int]) -> list[int]:
    """The permutation that undoes `permutation`."""
    return [list(permutation).index(axis) for axis in range(len(permutation))]


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
