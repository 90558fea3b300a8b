"""Gradients of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from pock_ir.dialects.conv import Conv2dGradInputOp, Conv2dGradWeightOp, Conv2dOp
from pock_ir.op import integer, text
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)
from pock_ir.passes.trained import TrainedSlice, slice_axis
from pock_ir.types import shape_of


@VJP.register(Conv2dOp)
def conv2d(
    op: Conv2dOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """A 2-D convolution without bias.

    forward:  y[n, o, p] = sum over i, k of x[n, i, p strides + k dilation - pad] w[o, i, k]
    backward: dx, dw by the same sum, over the indices that dx and dw do not have
    """
    dy = only_first(op, cotangents)
    dx = dw = None
    if needed[0]:
        shape = shape_of(op.x)
        dx = emit(Conv2dGradInputOp, dy, op.w, **op.properties, input_shape=shape)
    if needed[1]:
        dw = _weight_gradient(op, dy, emit)
    return [dx, dw]


refuse_second_order(Conv2dGradInputOp, Conv2dGradWeightOp)


@dataclass(frozen=True)
class _Channels:
    """Which channels of x and of dy contribute to a slice of w, and in how many groups."""

    inputs: tuple[int, int]
    outputs: tuple[int, int]
    groups: int


def _weight_gradient(op: Conv2dOp, dy: SSAValue, emit: GradientEmitter) -> SSAValue:
    """The gradient to w; of the requested slice only, if channels of x or dy give just that."""
    part = emit.requested(1)
    chosen = None if part is None else _channels(op, part)
    x, groups, shape = op.x, integer(op.groups), list(shape_of(op.w))
    if part is not None and chosen is not None:
        axis = text(op.layout).index("c")
        x = slice_axis(emit, x, axis, *chosen.inputs)
        dy = slice_axis(emit, dy, axis, *chosen.outputs)
        groups, shape[part.axis] = chosen.groups, part.size
    properties = {**op.properties, "groups": groups, "weight_shape": shape}
    return emit(Conv2dGradWeightOp, x, dy, **properties)


def _channels(op: Conv2dOp, part: TrainedSlice) -> _Channels | None:
    """The (begin, size) of channels that give slice `part` of w, or None if they do not.

    Input channels of a slice are contiguous only without groups; output channels always are,
    and need no foreign group if they fill whole groups (as all of a depthwise convolution do).
    """
    letter, groups = text(op.weight_layout)[part.axis], integer(op.groups)
    shape, layout = shape_of(op.w), text(op.weight_layout)
    inputs, outputs = shape[layout.index("i")], shape[layout.index("o")]
    if letter == "i" and groups == 1:
        return _Channels((part.begin, part.size), (0, outputs), 1)
    if letter == "o" and groups == 1:
        return _Channels((0, inputs), (part.begin, part.size), 1)
    per_group = outputs // groups
    if letter != "o" or part.begin % per_group or part.size % per_group:
        return None
    first, count = part.begin // per_group, part.size // per_group
    return _Channels((first * inputs, count * inputs), (part.begin, part.size), count)
