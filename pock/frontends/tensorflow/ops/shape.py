"""Operations that make, move or select elements."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common.known import Known
from pock.frontends.common.steps import (
    broadcast,
    cast,
    iota,
    normal_axis,
    pad,
    reshape,
    splat_like,
    transpose,
)
from pock.frontends.tensorflow.known import given
from pock.frontends.tensorflow.source import custom_gradient_home, is_inside_function
from pock.frontends.tensorflow.table import Call, Result, handles
from pock_ir.dialects.axis_map import ReverseOp
from pock_ir.dialects.border_pad import BorderPadOp
from pock_ir.dialects.elementwise import AddOp, CompareOp, MulOp, SelectOp, StopGradientOp
from pock_ir.dialects.shape import BroadcastOp, ConcatOp
from pock_ir.types import dtype_of, shape_of

HELP_GRADIENT = "write it with operations that have the wanted gradient"

TRUE_GRADIENTS = ("tensorflow/python/ops/nn_impl.py",)
"""Files of TensorFlow whose own gradients are those of the functions, only cheaper."""

HARMLESS_STOPS = (
    ("tensorflow/python/ops/nn_impl.py", "moments"),
    ("tensorflow/python/ops/math_ops.py", "reduce_logsumexp"),
)
"""Functions of TensorFlow that stop a gradient which would be zero.

The mean of (x - m)^2 does not change to first order with m where m is the mean of x, and
log(sum of exp(x - m)) + m not at all.
"""


@handles("Identity", "Snapshot", "PreventGradient", "EnsureShape")
def identity(call: Call) -> Result:
    """x, also if it is a list. Values have no identity in the IR: a copy is the value itself."""
    return call.value(0)


@handles("IdentityN")
def identities(call: Call) -> list[SSAValue]:
    """The operands; refused if a gradient of the user's own would pass."""
    home = custom_gradient_home(call.node)
    if home is not None and not home.endswith(TRUE_GRADIENTS):
        active = any(call.is_active(index) for index in range(len(call)))
        call.require(not active, "a function defines its own gradient", HELP_GRADIENT)
    return [call.x(index) for index in range(len(call))]


@handles("StopGradient")
def stop_gradient(call: Call) -> SSAValue:
    """x; the stop is kept only where a gradient would pass."""
    stops = call.is_active(0) and not is_inside_function(call.node, HARMLESS_STOPS)
    return call.emit(StopGradientOp, call.x()) if stops else call.x()


@handles("Shape", "ShapeN", "Size", "Rank")
def shape(call: Call) -> list[Known]:
    """Sizes, which are known while importing."""
    sizes = [shape_of(call.x(index)) for index in range(len(call))]
    kinds = [output.dtype.as_numpy_dtype for output in call.node.outputs]
    found = {"Size": prod(sizes[0]), "Rank": len(sizes[0])}
    values = [found[call.name]] if call.name in found else sizes
    return [given(np.array(value, kind)) for value, kind in zip(values, kinds, strict=True)]


@handles("Reshape")
def reshape_(call: Call) -> SSAValue:
    """The same elements in row-major order; one size may be left open."""
    x = call.x()
    sizes = call.ints(1, "a shape")
    if -1 in sizes:
        rest = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = prod(shape_of(x)) // max(rest, 1)
    return reshape(call.emit, x, sizes)


@handles("ExpandDims")
def expand_dims(call: Call) -> SSAValue:
    """x with a new axis of size 1."""
    sizes = list(shape_of(call.x()))
    sizes.insert(normal_axis(call.ints(1, "an axis")[0], len(sizes) + 1), 1)
    return reshape(call.emit, call.x(), sizes)


@handles("Squeeze")
def squeeze(call: Call) -> SSAValue:
    """x without some, or all, axes of size 1."""
    sizes = shape_of(call.x())
    chosen = {normal_axis(axis, len(sizes)) for axis in call.attr("squeeze_dims")}
    gone = chosen or {axis for axis, size in enumerate(sizes) if size == 1}
    return reshape(call.emit, call.x(), [n for axis, n in enumerate(sizes) if axis not in gone])


@handles("Transpose")
def transpose_(call: Call) -> SSAValue:
    """x with its axes reordered."""
    return transpose(call.emit, call.x(), call.ints(1, "a permutation"))


@handles("ConcatV2")
def concat(call: Call) -> SSAValue:
    """The operands one after the other; those without elements do not count."""
    last = len(call) - 1
    (axis,) = call.ints(last, "an axis")
    arrays = [call.known(index) for index in range(last)]
    xs = [call.x(i) for i, array in enumerate(arrays) if array is None or array.size]
    axis = normal_axis(axis, len(shape_of(xs[0])))
    return xs[0] if len(xs) == 1 else call.emit(ConcatOp, *xs, axis=axis)


@handles("Pack")
def pack(call: Call) -> SSAValue:
    """The operands along a new axis."""
    xs = [call.x(index) for index in range(len(call))]
    sizes = list(shape_of(xs[0]))
    axis = normal_axis(call.attr("axis"), len(sizes) + 1)
    sizes.insert(axis, 1)
    parts = [reshape(call.emit, x, sizes) for x in xs]
    return parts[0] if len(parts) == 1 else call.emit(ConcatOp, *parts, axis=axis)


@handles("Tile")
def tile(call: Call) -> SSAValue:
    """x repeated as a whole along its axes."""
    x, counts = call.x(), call.ints(1, "a number of repetitions")
    sizes = shape_of(x)
    call.require(all(count > 0 for count in counts), "a tensor without elements is not supported")
    if all(count == 1 for count in counts):
        return x
    wide = [size for pair in zip(counts, sizes, strict=True) for size in pair]
    axes = list(range(1, 2 * len(sizes), 2))
    tiled = call.emit(BroadcastOp, x, shape=wide, axes=axes)
    return reshape(call.emit, tiled, [n * c for n, c in zip(sizes, counts, strict=True)])


@handles("BroadcastTo")
def broadcast_to(call: Call) -> SSAValue:
    """x repeated to a shape."""
    return broadcast(call.emit, call.x(), call.ints(1, "a shape"))


@handles("Pad", "PadV2")
def pad_(call: Call) -> SSAValue:
    """x with one number around it."""
    value = call.number(2) if call.name == "PadV2" else 0
    if value is None:
        call.refuse("padding needs a value that is known")
    amounts = call.ints(1, "a padding")
    return pad(call.emit, call.x(), amounts[0::2], amounts[1::2], value)


@handles("MirrorPad")
def mirror_pad(call: Call) -> SSAValue:
    """x mirrored around it, with (SYMMETRIC) or without (REFLECT) its border."""
    x, amounts = call.x(), call.ints(1, "a padding")
    mode = call.attr("mode").lower()
    for axis, (low, high) in enumerate(zip(amounts[0::2], amounts[1::2], strict=True)):
        if low or high:
            x = call.emit(BorderPadOp, x, axis=axis, low=low, high=high, mode=mode)
    return x


@handles("Fill")
def fill(call: Call) -> SSAValue:
    """A tensor of one number."""
    return broadcast(call.emit, call.x(1), call.ints(0, "a shape"))


@handles("ZerosLike", "OnesLike")
def constant_like(call: Call) -> SSAValue:
    """A tensor of zeros or ones."""
    return splat_like(call.emit, int(call.name == "OnesLike"), call.x())


@handles("Range")
def range_(call: Call) -> SSAValue:
    """start, start + delta, ...: an index, scaled and shifted."""
    emit = call.emit
    start, limit, delta = (call.number(index) for index in range(3))
    if start is None or limit is None or delta is None:
        call.refuse("a range depends on data", "use sizes that do not change")
    count = max(0, int(np.ceil((limit - start) / delta)))
    call.require(count > 0, "a tensor without elements is not supported")
    index = iota(emit, (count,), 0, call.dtype())
    if delta != 1:
        index = emit(MulOp, index, splat_like(emit, delta, index))
    return index if start == 0 else emit(AddOp, index, splat_like(emit, start, index))


@handles("OneHot")
def one_hot(call: Call) -> SSAValue:
    """`on` where the index along a new axis is that of ids, else `off`."""
    emit, ids = call.emit, call.x(0)
    (depth,) = call.ints(1, "a depth")
    sizes = list(shape_of(ids))
    axis = normal_axis(call.attr("axis"), len(sizes) + 1)
    wide = [*sizes[:axis], depth, *sizes[axis:]]
    places = [i for i in range(len(wide)) if i != axis]
    kind = dtype_of(ids).name
    matches = emit(
        CompareOp,
        broadcast(emit, ids, wide, places),
        iota(emit, wide, axis, kind),
        predicate="eq",
    )
    numbers = call.number(2), call.number(3)
    if None not in numbers and numbers == (1, 0):
        return cast(emit, matches, call.dtype())
    on, off = (broadcast(emit, call.x(index), wide) for index in (2, 3))
    return emit(SelectOp, matches, on, off)


@handles("ReverseV2")
def reverse(call: Call) -> SSAValue:
    """x backwards along some axes."""
    x = call.x()
    for axis in call.ints(1, "an axis"):
        x = call.emit(ReverseOp, x, axis=normal_axis(axis, len(shape_of(x))))
    return x


@handles("MatrixBandPart")
def band(call: Call) -> SSAValue:
    """x with zeros outside of a band of diagonals; negative bounds mean all of them."""
    emit, x = call.emit, call.x()
    shape = shape_of(x)
    rows, columns = (iota(emit, shape, len(shape) - k, "i32") for k in (2, 1))
    for index, (upper, lower) in ((1, (rows, columns)), (2, (columns, rows))):
        (bound,) = call.ints(index, "a bound")
        if bound >= 0:
            limit = emit(AddOp, lower, splat_like(emit, bound, lower))
            inside = emit(CompareOp, upper, limit, predicate="le")
            x = emit(SelectOp, inside, x, splat_like(emit, 0, x))
    return x
