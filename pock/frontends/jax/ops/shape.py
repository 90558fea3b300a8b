"""Primitives that make, move or select elements."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    iota,
    pad,
    reshape,
    slice_axis,
    slice_box,
    transpose,
)
from pock.frontends.jax.ops.common import (
    cut,
    dilate,
)
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.axis_map import ReverseOp
from pock_ir.dialects.shape import ConcatOp
from pock_ir.types import shape_of


@handles("iota")
def iota_(call: Call) -> SSAValue:
    """Indices along one axis."""
    return iota(call.emit, call.shape(), call.params["dimension"], call.dtype())


@handles("broadcast_in_dim")
def broadcast_in_dim(call: Call) -> SSAValue:
    """x repeated along new axes and along axes of size 1."""
    return broadcast(call.emit, call.x(), call.shape(), call.params["broadcast_dimensions"])


@handles("reshape")
def reshape_(call: Call) -> SSAValue:
    """The elements in row-major order in another shape."""
    call.require(call.params["dimensions"] is None, "reshape with another order is not supported")
    return reshape(call.emit, call.x(), call.shape())


@handles("squeeze", "expand_dims")
def change_ones(call: Call) -> SSAValue:
    """x with axes of size 1 added or removed."""
    return reshape(call.emit, call.x(), call.shape())


@handles("transpose")
def transpose_(call: Call) -> SSAValue:
    """x with its axes reordered."""
    return transpose(call.emit, call.x(), call.params["permutation"])


@handles("slice")
def slice_(call: Call) -> SSAValue:
    """A box of x, with strides."""
    params = call.params
    strides = params["strides"] or [1] * len(params["start_indices"])
    return slice_box(call.emit, call.x(), params["start_indices"], params["limit_indices"], strides)


@handles("pad")
def pad_(call: Call) -> SSAValue:
    """x with one known number around it and between its elements; negative amounts cut."""
    value = call.number(1)
    if value is None:
        call.refuse("padding needs a value that is known")
    low, high, interior = zip(*call.params["padding_config"], strict=True) or ((), (), ())
    x = dilate(call.emit, call.x(), interior, value)
    x = pad(call.emit, x, [max(0, n) for n in low], [max(0, n) for n in high], value)
    return cut(call.emit, x, low, high)


@handles("concatenate")
def concatenate(call: Call) -> SSAValue:
    """The operands one after the other; those without elements add nothing."""
    xs = [call.x(index) for index, aval in enumerate(call.avals) if 0 not in aval.shape]
    return xs[0] if len(xs) == 1 else call.emit(ConcatOp, *xs, axis=call.params["dimension"])


@handles("stack")
def stack(call: Call) -> SSAValue:
    """The operands one after the other along a new axis."""
    axis = call.params["axis"]
    xs = [call.x(index) for index in range(len(call))]
    shape = shape_of(xs[0])
    rows = [reshape(call.emit, x, (*shape[:axis], 1, *shape[axis:])) for x in xs]
    return rows[0] if len(rows) == 1 else call.emit(ConcatOp, *rows, axis=axis)


@handles("unstack")
def unstack(call: Call) -> list[SSAValue]:
    """The slices of the operand along an axis, which they lose."""
    x, axis = call.x(), call.params["axis"]
    parts = (slice_axis(call.emit, x, axis, i, i + 1) for i in range(len(call.outputs)))
    return [reshape(call.emit, part, call.shape()) for part in parts]


@handles("split")
def split(call: Call) -> list[SSAValue]:
    """The operand in parts along one axis."""
    x, axis = call.x(), call.params["axis"]
    ends = np.cumsum(call.params["sizes"]).tolist()
    bounds = zip([0, *ends], ends, strict=False)
    return [slice_axis(call.emit, x, axis, begin, end) for begin, end in bounds]


@handles("rev")
def reverse(call: Call) -> SSAValue:
    """x backwards along some axes."""
    x = call.x()
    for axis in call.params["dimensions"]:
        x = call.emit(ReverseOp, x, axis=axis)
    return x


@handles("tile")
def tile(call: Call) -> SSAValue:
    """x repeated as a whole along its axes."""
    x, counts = call.x(), call.params["reps"]
    sizes = shape_of(x)
    wide = [size for pair in zip(counts, sizes, strict=True) for size in pair]
    axes = range(1, 2 * len(sizes), 2)
    call.require(prod(counts) > 0, "a tensor without elements is not supported")
    return reshape(call.emit, broadcast(call.emit, x, wide, list(axes)), call.shape())
