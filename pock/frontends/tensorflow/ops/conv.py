"""Convolutions in two dimensions; weights are HWIO, whatever the format of pictures."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.common.steps import broadcast, reshape
from pock.frontends.tensorflow.table import Call, handles
from pock.frontends.tensorflow.window import Format, paddings, pair_of
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import AddOp
from pock_ir.types import shape_of


@handles("Conv2D")
def conv2d(call: Call) -> SSAValue:
    """A convolution; the weight's depth says in how many groups."""
    return _convolve(call, call.x(0), call.x(1))


@handles("DepthwiseConv2dNative")
def depthwise_conv2d(call: Call) -> SSAValue:
    """A convolution of each channel with M filters of its own, w[KH, KW, C, M]."""
    w = call.x(1)
    height, width, channels, multiplier = shape_of(w)
    flat = reshape(call.emit, w, (height, width, 1, channels * multiplier))
    return _convolve(call, call.x(0), flat)


def _convolve(call: Call, x: SSAValue, w: SSAValue) -> SSAValue:
    fmt = Format.of(call)
    call.require(len(shape_of(x)) == 4, "more than one axis of samples is not supported")
    kernel = shape_of(w)[:2]
    strides, dilation = (pair_of(call, fmt, name) for name in ("strides", "dilations"))
    extent = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    low, high = paddings(call, fmt, fmt.spatial(shape_of(x)), extent, strides)
    return call.emit(
        Conv2dOp,
        x,
        w,
        strides=strides,
        dilation=dilation,
        pad_low=low,
        pad_high=high,
        groups=shape_of(x)[fmt.channels] // shape_of(w)[2],
        layout=fmt.layout,
        weight_layout="hwio",
    )


@handles("BiasAdd")
def bias_add(call: Call) -> SSAValue:
    """x plus a vector along the channels."""
    x, bias = call.x(0), call.x(1)
    axis = 1 if call.attr("data_format") == "NCHW" else len(shape_of(x)) - 1
    return call.emit(AddOp, x, broadcast(call.emit, bias, shape_of(x), [axis]))
