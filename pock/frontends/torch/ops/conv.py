"""Convolutions in two dimensions. A bias becomes a broadcast and an addition."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    reshape,
)
from pock.frontends.torch.ops.common import (
    along,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import AddOp
from pock_ir.types import shape_of

aten = torch.ops.aten


@handles(aten.conv2d.default)
def conv2d(call: Call) -> SSAValue:
    """A convolution with the same padding on both sides."""
    pads = _pair(call["padding"])
    return _convolve(call, pads, pads)


@handles(aten.conv2d.padding)
def conv2d_named_padding(call: Call) -> SSAValue:
    """A convolution with padding "valid" or "same"; an odd amount puts one more at the end."""
    if call["padding"] == "valid":
        return _convolve(call, (0, 0), (0, 0))
    kernel = shape_of(call.tensor("weight"))[2:]
    total = [d * (k - 1) for d, k in zip(_pair(call["dilation"]), kernel, strict=True)]
    low = [amount // 2 for amount in total]
    return _convolve(
        call, low, [amount - before for amount, before in zip(total, low, strict=True)]
    )


@handles(aten.convolution.default)
def convolution(call: Call) -> SSAValue:
    """The general form: only two dimensions, and not transposed."""
    call.require(not call["transposed"], "transposed convolution is not supported")
    dims = len(shape_of(call.tensor("weight"))) - 2
    call.require(dims == 2, f"convolution in {dims} dimension(s) is not supported", "use Conv2d")
    pads = _pair(call["padding"])
    return _convolve(call, pads, pads)


def _convolve(call: Call, low: Sequence[int], high: Sequence[int]) -> SSAValue:
    """conv2d of x[N, C, H, W] or x[C, H, W] with w[O, I, KH, KW], plus bias[O]."""
    emit = call.emit
    x, bias = call.tensor("input"), call.optional("bias")
    shape = shape_of(x)
    y = emit(
        Conv2dOp,
        reshape(emit, x, (1,) * (4 - len(shape)) + shape),
        call.tensor("weight"),
        strides=_pair(call["stride"]),
        dilation=_pair(call["dilation"]),
        pad_low=low,
        pad_high=high,
        groups=call["groups"],
        layout="nchw",
        weight_layout="oihw",
    )
    if bias is not None:
        y = emit(AddOp, y, along(emit, bias, shape_of(y), 1))
    return reshape(emit, y, call.shape())


def _pair(values: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from one number for both, or two."""
    listed = [values] if isinstance(values, int) else list(values)
    return (listed[0], listed[-1])
