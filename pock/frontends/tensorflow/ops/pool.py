"""Pooling in two dimensions. Averages leave out the padding."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.tensorflow.table import Call, handles
from pock.frontends.tensorflow.window import Format, paddings, pair_of
from pock_ir.dialects.pool import AvgPool2dOp, MaxPool2dOp
from pock_ir.types import shape_of


@handles("MaxPool", "AvgPool")
def pool(call: Call) -> SSAValue:
    """The largest element, or the mean, of each window."""
    fmt, x = Format.of(call), call.x()
    kernel, strides = (pair_of(call, fmt, name) for name in ("ksize", "strides"))
    low, high = paddings(call, fmt, fmt.spatial(shape_of(x)), kernel, strides)
    shared = {"kernel": kernel, "strides": strides, "pad_low": low, "pad_high": high}
    if call.name == "MaxPool":
        return call.emit(MaxPool2dOp, x, **shared, dilation=(1, 1), layout=fmt.layout)
    return call.emit(AvgPool2dOp, x, **shared, count_include_pad=False, layout=fmt.layout)
