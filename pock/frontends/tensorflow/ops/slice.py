"""Operations that take parts of a tensor by position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from pock.frontends.common.steps import normal_axis, reshape, slice_axis, slice_box
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.dialects.axis_map import ReverseOp
from pock_ir.types import shape_of


def _cut(call: Call, x: SSAValue, axis: int, sizes: Sequence[int]) -> list[SSAValue]:
    ends = np.cumsum(sizes).tolist()
    bounds = zip([0, *ends], ends, strict=False)
    return [slice_axis(call.emit, x, axis, begin, end) for begin, end in bounds]


@handles("Unpack")
def unpack(call: Call) -> list[SSAValue]:
    """The slices along one axis, without it."""
    x = call.x()
    sizes = shape_of(x)
    axis = normal_axis(call.attr("axis"), len(sizes))
    rest = sizes[:axis] + sizes[axis + 1 :]
    return [reshape(call.emit, part, rest) for part in _cut(call, x, axis, [1] * sizes[axis])]


@handles("Split")
def split(call: Call) -> list[SSAValue]:
    """x in equal parts."""
    x = call.x(1)
    axis = normal_axis(call.ints(0, "an axis")[0], len(shape_of(x)))
    count = call.attr("num_split")
    return _cut(call, x, axis, [shape_of(x)[axis] // count] * count)


@handles("SplitV")
def split_sizes(call: Call) -> list[SSAValue]:
    """x in parts of given sizes; one may be left open."""
    x = call.x(0)
    sizes = call.ints(1, "a size")
    axis = normal_axis(call.ints(2, "an axis")[0], len(shape_of(x)))
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape_of(x)[axis] - sum(size for size in sizes if size != -1)
    return _cut(call, x, axis, sizes)


@handles("Slice")
def slice_(call: Call) -> SSAValue:
    """A box of x; a size of -1 reaches to the end."""
    begin, sizes = call.ints(1, "a begin"), call.ints(2, "a size")
    pairs = zip(begin, sizes, shape_of(call.x()), strict=True)
    end = [n if size == -1 else first + size for first, size, n in pairs]
    return slice_box(call.emit, call.x(), begin, end, [1] * len(begin))


@handles("StridedSlice")
def strided_slice(call: Call) -> SSAValue:
    """x[begin:end:stride, ...] with all of numpy's notation but arrays of indices.

    The masks say of each entry whether it has a begin and an end, is an ellipsis, a new axis or a
    single index. Negative strides reverse.
    """
    entries = _entries(call)
    emit, x = call.emit, call.x()
    begins, ends, strides, shape = [], [], [], []
    for axis, (_, first, last, step) in enumerate(e for e in entries if e[0] != "new"):
        picked = range(*slice(first, last, step).indices(shape_of(x)[axis]))
        call.require(len(picked) > 0, "an empty slice is not supported")
        low, high = min(picked[0], picked[-1]), max(picked[0], picked[-1])
        begins.append(low)
        ends.append(high + 1)
        strides.append(abs(step))
    y = slice_box(emit, x, begins, ends, strides)
    sizes = iter(shape_of(y))
    axis = 0
    for kind, _, _, step in entries:
        if kind == "new":
            shape.append(1)
            continue
        size = next(sizes)
        if step < 0 and size > 1:
            y = emit(ReverseOp, y, axis=axis)
        axis += 1
        if kind != "index":
            shape.append(size)
    return reshape(emit, y, shape)


Entry = tuple[str, int | None, int | None, int]


def _entries(call: Call) -> list[Entry]:
    """(kind, begin, end, stride) of each axis; kind: "range", "index" or "new"."""
    begin, end, stride = (call.ints(i, "a bound of a slice") for i in (1, 2, 3))
    masks = {
        name: call.attr(f"{name}_mask")
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }

    def has(name: str, index: int) -> bool:
        return bool(masks[name] >> index & 1)

    count = len(begin)
    rank = len(shape_of(call.x()))
    named = sum(not has("ellipsis", i) and not has("new_axis", i) for i in range(count))
    entries: list[Entry] = []
    everything: Entry = ("range", None, None, 1)
    for index in range(count):
        if has("ellipsis", index):
            entries += [everything] * (rank - named)
        elif has("new_axis", index):
            entries.append(("new", None, None, 1))
        elif has("shrink_axis", index):
            first = begin[index]
            entries.append(("index", first, None if first == -1 else first + 1, 1))
        else:
            first = None if has("begin", index) else begin[index]
            last = None if has("end", index) else end[index]
            entries.append(("range", first, last, stride[index]))
    left = rank - sum(entry[0] != "new" for entry in entries)
    return entries + [everything] * left
