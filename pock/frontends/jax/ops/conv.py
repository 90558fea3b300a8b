"""Convolutions in one and two dimensions, in the layouts in which the model has them."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    reshape,
    transpose,
)
from pock.frontends.jax.ops.common import (
    cut,
    dilate,
    inverse,
)
from pock.frontends.jax.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.types import shape_of

NHWC, HWIO = (0, 3, 1, 2), (3, 2, 0, 1)
"""Where N, C, H, W (O, I, H, W) are in the layouts that need no transpose."""

NCHW = OIHW = (0, 1, 2, 3)


@handles("conv_general_dilated")
def conv_general_dilated(call: Call) -> SSAValue:
    """A convolution; holes between inputs (transposed convolution) are filled with zeros first."""
    params, emit = call.params, call.emit
    dims = len(params["window_strides"])
    call.require(dims in (1, 2), f"convolution in {dims} dimensions is not supported")
    call.require(params["batch_group_count"] == 1, "batch groups are not supported")
    call.require(not params.get("window_reversal"), "reversed kernels are not supported")
    dtype = call.dtype()
    call.require(dtype.startswith(("f", "bf")), "convolution of integers is not supported")
    numbers = params["dimension_numbers"]
    x, x_layout = _arranged(emit, cast(emit, call.x(0), dtype), numbers.lhs_spec, NHWC, "n")
    w, w_layout = _arranged(emit, cast(emit, call.x(1), dtype), numbers.rhs_spec, HWIO, "o")
    low, high = (list(side) for side in zip(*params["padding"], strict=True))
    x, low, high = _filled(emit, x, x_layout, params["lhs_dilation"], low, high)
    y = emit(
        Conv2dOp,
        x,
        w,
        strides=_pair(params["window_strides"]),
        dilation=_pair(params["rhs_dilation"]),
        pad_low=_pair(low, 0),
        pad_high=_pair(high, 0),
        groups=params["feature_group_count"],
        layout=x_layout,
        weight_layout=w_layout,
    )
    return _placed(emit, y, x_layout, numbers.out_spec)


def _pair(values: Sequence[int], other: int = 1) -> tuple[int, int]:
    """(height, width); one dimension is a width, with `other` as the height."""
    return (other, values[0]) if len(values) == 1 else (values[0], values[1])


def _arranged(
    emit: Emitter, x: SSAValue, spec: Sequence[int], last: Sequence[int], first: str
) -> tuple[SSAValue, str]:
    """An operand of rank 4 in a layout of pock's, and that layout.

    spec: where its N, C, H, W (or O, I, H, W) are; last: where they are with channels last.
    """
    names = {"n": ("nhwc", "nchw"), "o": ("hwio", "oihw")}[first]
    spec = tuple(spec)
    if len(spec) == 3:
        # One dimension: a height of 1 before the width.
        shape, place = shape_of(x), spec[2]
        x = reshape(emit, x, (*shape[:place], 1, *shape[place:]))
        moved = tuple(axis + (axis >= place) for axis in spec)
        spec = (*moved[:2], place, moved[2])
    if spec == NCHW:
        return x, names[1]
    order = [spec[tuple(last).index(axis)] for axis in range(4)]
    return transpose(emit, x, order), names[0]


def _filled(
    emit: Emitter,
    x: SSAValue,
    layout: str,
    dilation: Sequence[int],
    low: list[int],
    high: list[int],
) -> tuple[SSAValue, list[int], list[int]]:
    """x with holes of zeros and without what negative padding cuts, and the padding left."""
    places = [layout.index("h"), layout.index("w")][-len(low) :]
    gaps, cut_low, cut_high = [0] * 4, [0] * 4, [0] * 4
    for place, gap, before, after in zip(places, dilation, low, high, strict=True):
        gaps[place], cut_low[place], cut_high[place] = gap - 1, min(before, 0), min(after, 0)
    x = cut(emit, dilate(emit, x, gaps, 0), cut_low, cut_high)
    return x, [max(n, 0) for n in low], [max(n, 0) for n in high]


def _placed(emit: Emitter, y: SSAValue, layout: str, spec: Sequence[int]) -> SSAValue:
    """The result with its axes where JAX wants them."""
    have = NHWC if layout == "nhwc" else NCHW
    if len(spec) == 3:
        n, c, _, w = have
        height = have[2]
        shape = shape_of(y)
        y = reshape(emit, y, shape[:height] + shape[height + 1 :])
        have = tuple(axis - (axis > height) for axis in (n, c, w))
    # Result axis spec[i] is ours have[i].
    order = [have[i] for i in inverse(list(spec))]
    return transpose(emit, y, order)
