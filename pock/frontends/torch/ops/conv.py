"""Convolutions in one and two dimensions. A bias becomes a broadcast and an addition."""

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
from pock_ir.build import Emitter
from pock_ir.dialects.conv import Conv2dOp
from pock_ir.dialects.elementwise import AddOp
from pock_ir.types import shape_of

aten = torch.ops.aten


@handles(aten.conv1d.default, aten.conv2d.default)
def conv2d(call: Call) -> SSAValue:
    """A convolution with the same padding on both sides."""
    pads = _pair(call, "padding", 0)
    return _convolve(call, pads, pads)


@handles(aten.conv1d.padding, aten.conv2d.padding)
def conv2d_named_padding(call: Call) -> SSAValue:
    """A convolution with padding "valid" or "same"; an odd amount puts one more at the end."""
    if call["padding"] == "valid":
        return _convolve(call, (0, 0), (0, 0))
    kernel = shape_of(_with_height(call.emit, call.tensor("weight")))[2:]
    total = [d * (k - 1) for d, k in zip(_pair(call, "dilation", 1), kernel, strict=True)]
    low = [amount // 2 for amount in total]
    return _convolve(
        call, low, [amount - before for amount, before in zip(total, low, strict=True)]
    )


@handles(aten.convolution.default)
def convolution(call: Call) -> SSAValue:
    """The general form: one or two dimensions, and not transposed."""
    call.require(not call["transposed"], "transposed convolution is not supported")
    dims = len(shape_of(call.tensor("weight"))) - 2
    call.require(dims <= 2, f"convolution in {dims} dimensions is not supported", "use Conv2d")
    pads = _pair(call, "padding", 0)
    return _convolve(call, pads, pads)


def _convolve(call: Call, low: Sequence[int], high: Sequence[int]) -> SSAValue:
    """conv2d of x[N, C, H, W] or x[C, H, W] with w[O, I, KH, KW], plus bias[O].

    Sequences, x[N, C, W] with w[O, I, KW], are pictures of height 1.
    """
    emit = call.emit
    x, weight, bias = call.tensor("input"), call.tensor("weight"), call.optional("bias")
    y = emit(
        Conv2dOp,
        _picture(emit, x, len(shape_of(weight)) - 2),
        _with_height(emit, weight),
        strides=_pair(call, "stride", 1),
        dilation=_pair(call, "dilation", 1),
        pad_low=low,
        pad_high=high,
        groups=call["groups"],
        layout="nchw",
        weight_layout="oihw",
    )
    if bias is not None:
        y = emit(AddOp, y, along(emit, bias, shape_of(y), 1))
    return reshape(emit, y, call.shape())


def _picture(emit: Emitter, x: SSAValue, dims: int) -> SSAValue:
    """x as [N, C, H, W]; dims: how many of its last dims are spatial."""
    shape = shape_of(x)
    channels = len(shape) - dims - 1
    lead = shape[:channels] or (1,)
    return reshape(emit, x, (*lead, shape[channels], *(1,) * (2 - dims), *shape[channels + 1 :]))


def _with_height(emit: Emitter, weight: SSAValue) -> SSAValue:
    """weight as [O, I, KH, KW]."""
    outputs, inputs, *kernel = shape_of(weight)
    return reshape(emit, weight, (outputs, inputs, *(1,) * (2 - len(kernel)), *kernel))


def _pair(call: Call, name: str, still: int) -> tuple[int, int]:
    """(height, width) from one number for both, or two.

    still: what changes nothing along the height of a sequence, which has a number for its width.
    """
    values: int | Sequence[int] = call[name]
    listed = [values] if isinstance(values, int) else list(values)
    is_sequence = len(shape_of(call.tensor("weight"))) == 3
    return (still if is_sequence else listed[0], listed[-1])
