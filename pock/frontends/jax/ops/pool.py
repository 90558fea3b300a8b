"""Sliding windows: pooling along at most two axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    reshape,
    splat_like,
)
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.elementwise import MulOp, NegOp
from pock_ir.dialects.pool import AvgPool2dOp, MaxPool2dOp
from pock_ir.types import dtype_of, shape_of


@dataclass(frozen=True)
class Windows:
    """A pooling as one over the two middle axes of [N, H, W, C].

    shape: of the operand as [N, H, W, C]. The rest as (height, width).
    """

    shape: tuple[int, int, int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    low: tuple[int, int]
    high: tuple[int, int]


def _windows(call: Call) -> Windows:
    """The windows of a call. Raises Refusal if pock has no such."""
    params, shape = call.params, call.avals[0].shape
    sizes, strides = params["window_dimensions"], params["window_strides"]
    padding, dilation = params["padding"], params["window_dilation"]
    call.require(all(d == 1 for d in params["base_dilation"]), "base dilation is not supported")
    plain = [
        (size, stride, tuple(pads)) == (1, 1, (0, 0))
        for size, stride, pads in zip(sizes, strides, padding, strict=True)
    ]
    axes = [axis for axis, is_plain in enumerate(plain) if not is_plain]
    call.require(len(axes) <= 2, "windows along more than two axes are not supported")
    axes = axes or [len(shape) - 1]
    first, last = axes[0], axes[-1]
    call.require(last - first <= 1, "windows along axes that are not neighbours are not supported")
    pads = [tuple(padding[axis]) for axis in axes]
    call.require(all(n >= 0 for pair in pads for n in pair), "negative padding is not supported")
    groups = (prod(shape[:first]), prod(shape[last + 1 :]))
    spatial = [shape[axis] for axis in axes]

    def pair(values: list[int], other: int) -> tuple[int, int]:
        return (values[0], values[1]) if len(values) == 2 else (other, values[0])

    height, width = pair(spatial, 1)
    return Windows(
        (groups[0], height, width, groups[1]),
        pair([sizes[axis] for axis in axes], 1),
        pair([strides[axis] for axis in axes], 1),
        pair([dilation[axis] for axis in axes], 1),
        pair([p[0] for p in pads], 0),
        pair([p[1] for p in pads], 0),
    )


@handles("reduce_window_max", "reduce_window_min")
def max_pool(call: Call) -> SSAValue:
    """The largest element of each window; the smallest is -max of -x."""
    is_max, emit = call.name == "reduce_window_max", call.emit
    call.require(dtype_of(call.x()).is_float, "pooling of integers is not supported")
    return (
        _max_pool(call, call.x()) if is_max else emit(NegOp, _max_pool(call, emit(NegOp, call.x())))
    )


def _max_pool(call: Call, x: SSAValue) -> SSAValue:
    w = _windows(call)
    y = call.emit(
        MaxPool2dOp,
        reshape(call.emit, x, w.shape),
        kernel=w.kernel,
        strides=w.strides,
        dilation=w.dilation,
        pad_low=w.low,
        pad_high=w.high,
        layout="nhwc",
    )
    return reshape(call.emit, y, call.shape())


@handles("reduce_window_sum")
def sum_pool(call: Call) -> SSAValue:
    """The mean of each window, padding included, times its size.

    A division by that size finds the mean again, see `divide`.
    """
    emit, w = call.emit, _windows(call)
    call.require(w.dilation == (1, 1), "sums of dilated windows are not supported")
    call.require(dtype_of(call.x()).is_float, "pooling of integers is not supported")
    mean = emit(
        AvgPool2dOp,
        reshape(emit, call.x(), w.shape),
        kernel=w.kernel,
        strides=w.strides,
        pad_low=w.low,
        pad_high=w.high,
        layout="nhwc",
        count_include_pad=True,
    )
    y = reshape(emit, mean, call.shape())
    product = emit(MulOp, y, splat_like(emit, prod(w.kernel), y))
    call.memory.setdefault("pooled sums", set()).add(product.owner)
    return product


CUMULATIVE = ("cummax", "cummin")


@handles(*CUMULATIVE)
def cumulative_extreme(call: Call) -> SSAValue:
    """The extreme of all elements up to each: windows that reach over the beginning."""
    emit, axis = call.emit, call.params["axis"]
    x = call.x()
    call.require(dtype_of(x).is_float, "cumulative extremes of integers are not supported")
    shape = shape_of(x)
    size = shape[axis]
    around = (prod(shape[:axis]), 1, size, prod(shape[axis + 1 :]))
    before, after = ((0, 0), (0, size - 1)) if call.params["reverse"] else ((0, size - 1), (0, 0))
    source = x if call.name == "cummax" else emit(NegOp, x)
    y = emit(
        MaxPool2dOp,
        reshape(emit, source, around),
        kernel=(1, size),
        strides=(1, 1),
        dilation=(1, 1),
        pad_low=before,
        pad_high=after,
        layout="nhwc",
    )
    y = reshape(emit, y, shape)
    return y if call.name == "cummax" else emit(NegOp, y)
