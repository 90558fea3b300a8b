"""Pooling in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    reshape,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.pool import AvgPool2dOp, MaxPool2dOp
from pock_ir.dialects.reduce import MeanOp
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
    """The mean of each window."""
    x = _batched(call)
    kernel = _pair(call["kernel_size"])
    strides, pads = _pair(call["stride"], kernel), _pair(call["padding"])
    call.require(call["divisor_override"] is None, "divisor_override is not supported")
    for axis, size in enumerate(call.shape()[-2:]):
        padded = shape_of(x)[2 + axis] + 2 * pads[axis]
        fits = size == (padded - kernel[axis]) // strides[axis] + 1
        call.require(fits, "ceil_mode that adds a partial window is not supported", "pad the input")
    return _average(call, x, kernel, strides, pads, bool(call["count_include_pad"]))


def _average(
    call: Call, x: SSAValue, kernel: Pair, strides: Pair, pads: Pair, include: bool
) -> SSAValue:
    y = call.emit(
        AvgPool2dOp,
        x,
        kernel=kernel,
        strides=strides,
        pad_low=pads,
        pad_high=pads,
        count_include_pad=include,
        layout="nchw",
    )
    return reshape(call.emit, y, call.shape())


@handles(aten.adaptive_avg_pool2d.default, aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(call: Call) -> SSAValue:
    """The mean over windows that divide the picture evenly; of the whole picture if 1x1."""
    x = _batched(call)
    shape, output = shape_of(x)[2:], call.shape()[-2:]
    if output == (1, 1):
        return reshape(call.emit, call.emit(MeanOp, x, axes=[2, 3]), call.shape())
    divides = all(size % out == 0 for size, out in zip(shape, output, strict=True))
    call.require(
        divides,
        f"pooling from {shape[0]}x{shape[1]} to {output[0]}x{output[1]} has uneven windows",
        "choose an output size that divides the input size",
    )
    kernel = (shape[0] // output[0], shape[1] // output[1])
    return _average(call, x, kernel, kernel, (0, 0), True)
