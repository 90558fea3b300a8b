"""Pooling in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import broadcast, reshape, slice_axis
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.pool import AvgPool2dOp, MaxPool2dOp
from pock_ir.dialects.reduce import MeanOp
from pock_ir.dialects.shape import ConcatOp
from pock_ir.types import shape_of

aten = torch.ops.aten

Pair = tuple[int, int]


def _pair(values: int | Sequence[int], default: Pair | None = None) -> Pair:
    """(height, width) from one number for both, or two; `default` where PyTorch leaves it out."""
    listed = [values] if isinstance(values, int) else list(values)
    if not listed and default is not None:
        return default
    return (listed[0], listed[-1])


def _batched(call: Call) -> SSAValue:
    """x[N, C, H, W], where PyTorch takes x[C, H, W] too."""
    x = call.tensor("self")
    shape = shape_of(x)
    return reshape(call.emit, x, (1,) * (4 - len(shape)) + shape)


@handles(aten.max_pool2d.default)
def max_pool2d(call: Call) -> SSAValue:
    """The largest element of each window."""
    return _largest(call)


@handles(aten.max_pool2d_with_indices.default)
def max_pool2d_with_indices(call: Call) -> tuple[SSAValue | None, ...]:
    """Max pooling of which only the values can be used."""
    return (_largest(call), None)


def _largest(call: Call) -> SSAValue:
    """Max pooling; ceil_mode becomes more padding at the end."""
    x = _batched(call)
    kernel, dilation = _pair(call["kernel_size"]), _pair(call["dilation"])
    strides, low = _pair(call["stride"], kernel), _pair(call["padding"])
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    high: list[int] = []
    for axis, size in enumerate(call.shape()[-2:]):
        needed = (size - 1) * strides[axis] + reach[axis] - shape_of(x)[2 + axis] - low[axis]
        high.append(max(needed, low[axis]) if call["ceil_mode"] else low[axis])
    y = call.emit(
        MaxPool2dOp,
        x,
        kernel=kernel,
        strides=strides,
        dilation=dilation,
        pad_low=low,
        pad_high=high,
        layout="nchw",
    )
    return reshape(call.emit, y, call.shape())


@handles(aten.avg_pool2d.default)
def avg_pool2d(call: Call) -> SSAValue:
    """The mean of each window; ceil_mode becomes more padding at the end, which counts for nothing.

    Where padding counts, PyTorch counts what the layer pads and not what ceil_mode adds.
    """
    x = _batched(call)
    kernel = _pair(call["kernel_size"])
    strides, low = _pair(call["stride"], kernel), _pair(call["padding"])
    call.require(call["divisor_override"] is None, "divisor_override is not supported")
    include, high = bool(call["count_include_pad"]) and any(low), list(low)
    for axis, size in enumerate(call.shape()[-2:]):
        reached = (size - 1) * strides[axis] + kernel[axis] - low[axis]
        missing = reached - shape_of(x)[2 + axis] - low[axis]
        if missing > 0:
            call.require(
                not include,
                "ceil_mode that adds a partial window to padding that counts is not supported",
                "use count_include_pad=False, or pad the input",
            )
            high[axis] += missing
    counts = bool(call["count_include_pad"]) and high == list(low)
    return _average(call, x, kernel, strides, (low, (high[0], high[1])), counts)


def _average(
    call: Call, x: SSAValue, kernel: Pair, strides: Pair, pads: tuple[Pair, Pair], include: bool
) -> SSAValue:
    """The mean of each window; pads: before and after."""
    y = call.emit(
        AvgPool2dOp,
        x,
        kernel=kernel,
        strides=strides,
        pad_low=pads[0],
        pad_high=pads[1],
        count_include_pad=include,
        layout="nchw",
    )
    return reshape(call.emit, y, call.shape())


@handles(aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(call: Call) -> SSAValue:
    """The mean over as many windows as are asked for; of the whole picture if 1x1."""
    x = _batched(call)
    shape, output = shape_of(x)[2:], call.shape()[-2:]
    if output == (1, 1):
        return reshape(call.emit, call.emit(MeanOp, x, axes=[2, 3]), call.shape())
    if all(size % out == 0 for size, out in zip(shape, output, strict=True)):
        kernel = (shape[0] // output[0], shape[1] // output[1])
        return _average(call, x, kernel, kernel, ((0, 0), (0, 0)), True)
    for axis, count in ((2, output[0]), (3, output[1])):
        x = _means(call.emit, x, axis, count)
    return reshape(call.emit, x, call.shape())


def _means(emit: Emitter, x: SSAValue, axis: int, count: int) -> SSAValue:
    """The means of `count` windows along `axis`, which overlap if they do not divide it evenly.

    Window i begins at floor(i * size / count) and ends at ceil((i + 1) * size / count).
    """
    shape = shape_of(x)
    size = shape[axis]
    if size == count:
        return x
    if size == 1:
        return broadcast(emit, x, [*shape[:axis], count, *shape[axis + 1 :]])
    parts: list[SSAValue] = []
    for index in range(count):
        begin, end = index * size // count, -(-(index + 1) * size // count)
        mean = emit(MeanOp, slice_axis(emit, x, axis, begin, end), axes=[axis])
        parts.append(reshape(emit, mean, [*shape[:axis], 1, *shape[axis + 1 :]]))
    return emit(ConcatOp, *parts, axis=axis)
