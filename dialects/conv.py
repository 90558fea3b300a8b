"""Two-dimensional convolution (cross-correlation, as in the frameworks) and its gradients.

y[n, o, i, j] = sum over c, y, x of w[o, c, y, x] * x[n, c', i*sh + y*dh - top, j*sw + x*dw - left]
with c' = c + (o // (O / groups)) * (C / groups); what lies outside of x counts as 0.

Properties of all three ops: strides, dilation, pad_low (top, left), pad_high (bottom, right),
groups, layout of activations ("nchw" or "nhwc") and weight_layout ("oihw" or "hwio").
Weights are [O, I/groups, KH, KW] or [KH, KW, I/groups, O].
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import (
    Shape,
    counted,
    expect_same_element,
    one_of,
    ranked,
)
from pock_ir.dialects.fields import integer_property, integers_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.dialects.window import (
    LAYOUTS,
    Window,
    from_nchw,
    permuted,
    read_window,
    to_nchw,
)
from pock_ir.op import PockOp, integer, ints, require, text
from pock_ir.types import Array, dtype_of, tensor

WEIGHT_LAYOUTS = ("oihw", "hwio")


@dataclass(frozen=True)
class ConvGeometry:
    """Sizes of a convolution, whatever its layouts.

    batch, channels (C), outputs (O), groups; input and output are (height, width).
    """

    batch: int
    channels: int
    outputs: int
    groups: int
    input: tuple[int, int]
    output: tuple[int, int]
    window: Window

    def flops(self) -> int:
        """2 per multiply-add, padding included."""
        taps = prod(self.window.kernel) * self.channels // self.groups
        return 2 * self.batch * self.outputs * prod(self.output) * taps

    @property
    def y_shape(self) -> Shape:
        """The result's shape in NCHW."""
        return (self.batch, self.outputs, *self.output)


class ConvBase(PockOp):
    """The properties and the geometry of a convolution and its gradients."""

    strides = integers_property()
    dilation = integers_property()
    pad_low = integers_property()
    pad_high = integers_property()
    groups = integer_property()
    layout = text_property()
    weight_layout = text_property()

    @abstractmethod
    def shapes(self) -> tuple[Shape, Shape]:
        """The shapes of x and w in the layouts of this op. Raises VerifyException."""

    def geometry(self) -> ConvGeometry:
        """The sizes of this convolution. Raises VerifyException if they do not fit together."""
        layout = one_of(self.layout, LAYOUTS, "layout")
        weight_layout = one_of(self.weight_layout, WEIGHT_LAYOUTS, "weight_layout")
        x, w = self.shapes()
        batch, channels, height, width = to_nchw(x, layout)
        outputs, depth, kernel_height, kernel_width = to_oihw(w, weight_layout)
        groups = integer(self.groups)
        require(groups >= 1, f"groups should be at least 1, not {groups}")
        for count, what in ((channels, "input"), (outputs, "output")):
            require(count % groups == 0, f"{groups} groups do not divide {count} {what} channels")
        require(
            depth * groups == channels,
            f"w takes {depth} channels in each of {groups} groups, but x has {channels}",
        )
        kernel = (kernel_height, kernel_width)
        require(min(kernel) >= 1, f"the kernel of w should not be empty: {kernel}")
        window = read_window(kernel, self.strides, self.dilation, self.pad_low, self.pad_high)
        size = (height, width)
        return ConvGeometry(batch, channels, outputs, groups, size, window.output(size), window)

    def flops(self) -> int:
        """2 per multiply-add."""
        return self.geometry().flops()

    def expect_dy(self, dy: Shape, geometry: ConvGeometry) -> None:
        """Raises VerifyException unless `dy` has the shape of the convolution's result."""
        wanted = from_nchw(geometry.y_shape, text(self.layout))
        require(dy == wanted, f"dy should have shape {list(wanted)}, not {list(dy)}")


def to_oihw(values: Any, layout: str) -> Any:
    """A weight array or its shape in `layout` as OIHW."""
    return permuted(values, (3, 2, 0, 1)) if layout == "hwio" else values


def from_oihw(values: Any, layout: str) -> Any:
    """An OIHW weight array or shape in `layout`."""
    return permuted(values, (2, 3, 1, 0)) if layout == "hwio" else values


# The convolution as one matrix product per group, with these operands:
# patches [G, N*OH*OW, (C/G)*KH*KW], weights [G, (C/G)*KH*KW, O/G], outputs [G, N*OH*OW, O/G].


def _patches(x: Array, g: ConvGeometry) -> Array:
    taps = g.window.stacked(g.window.padded(x, 0), g.output)
    count, n, c, oh, ow = taps.shape
    split = taps.reshape(count, n, g.groups, c // g.groups, oh, ow)
    return split.transpose(2, 1, 4, 5, 3, 0).reshape(g.groups, n * oh * ow, -1)


def _unpatch(patches: Array, g: ConvGeometry) -> Array:
    """The transpose of `_patches`."""
    count, depth = prod(g.window.kernel), g.channels // g.groups
    split = patches.reshape(g.groups, g.batch, *g.output, depth, count)
    taps = split.transpose(5, 1, 0, 4, 2, 3).reshape(count, g.batch, g.channels, *g.output)
    return g.window.scattered(taps, g.input)


def _weights(w: Array, g: ConvGeometry) -> Array:
    return w.reshape(g.groups, g.outputs // g.groups, -1).transpose(0, 2, 1)


def _outputs(y: Array, g: ConvGeometry) -> Array:
    split = y.reshape(g.batch, g.groups, g.outputs // g.groups, prod(g.output))
    return split.transpose(1, 0, 3, 2).reshape(g.groups, g.batch * prod(g.output), -1)


def _from_outputs(rows: Array, g: ConvGeometry) -> Array:
    """The inverse of `_outputs`."""
    split = rows.reshape(g.groups, g.batch, prod(g.output), g.outputs // g.groups)
    return split.transpose(1, 0, 3, 2).reshape(g.y_shape)


@irdl_op_definition
class Conv2dOp(ConvBase):
    """The convolution of x with weights w; see the module's text for formula and properties.

    x: [N, C, H, W] or [N, H, W, C]; w as weight_layout says; result in the layout of x. Floats.
    """

    name = "nn.conv2d"
    x = operand_def(TensorType)
    w = operand_def(TensorType)
    result = result_def(TensorType)

    def shapes(self) -> tuple[Shape, Shape]:
        return ranked(self.x, "x", 4), ranked(self.w, "w", 4)

    def infer(self) -> Sequence[Attribute]:
        shape = from_nchw(self.geometry().y_shape, text(self.layout))
        expect_same_element(self.w, "w", self.x, "x")
        return [tensor(shape, dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        g = self.geometry()
        x = to_nchw(widened(args[0]), text(self.layout))
        w = to_oihw(widened(args[1]), text(self.weight_layout))
        y = _from_outputs(np.matmul(_patches(x, g), _weights(w, g)), g)
        return from_nchw(y, text(self.layout))


@irdl_op_definition
class Conv2dGradInputOp(ConvBase):
    """The gradient of nn.conv2d to x, from dy (shaped like its result) and w. Floats.

    dx = sum over the taps of dy times w, scattered to where the tap read x.
    input_shape: the shape of x in `layout`, which dy alone does not determine.
    """

    name = "train.conv2d_grad_input"
    dy = operand_def(TensorType)
    w = operand_def(TensorType)
    input_shape = integers_property()
    result = result_def(TensorType)

    def shapes(self) -> tuple[Shape, Shape]:
        return counted(self.input_shape, 4, 0, "input_shape"), ranked(self.w, "w", 4)

    def infer(self) -> Sequence[Attribute]:
        dy = ranked(self.dy, "dy", 4)
        geometry = self.geometry()
        expect_same_element(self.w, "w", self.dy, "dy")
        self.expect_dy(dy, geometry)
        return [tensor(ints(self.input_shape), dtype_of(self.dy).type)]

    def evaluate(self, *args: Array) -> Array:
        g = self.geometry()
        dy = _outputs(to_nchw(widened(args[0]), text(self.layout)), g)
        w = _weights(to_oihw(widened(args[1]), text(self.weight_layout)), g)
        dx = _unpatch(np.matmul(dy, w.transpose(0, 2, 1)), g)
        return from_nchw(dx, text(self.layout))


@irdl_op_definition
class Conv2dGradWeightOp(ConvBase):
    """The gradient of nn.conv2d to w, from x and dy (shaped like its result). Floats.

    dw[o, c, y, x] = sum over n, i, j of dy[n, o, i, j] times the x that this tap read.
    weight_shape: the shape of w in `weight_layout`, which x and dy alone do not determine.
    """

    name = "train.conv2d_grad_weight"
    x = operand_def(TensorType)
    dy = operand_def(TensorType)
    weight_shape = integers_property()
    result = result_def(TensorType)

    def shapes(self) -> tuple[Shape, Shape]:
        return ranked(self.x, "x", 4), counted(self.weight_shape, 4, 0, "weight_shape")

    def infer(self) -> Sequence[Attribute]:
        dy = ranked(self.dy, "dy", 4)
        geometry = self.geometry()
        expect_same_element(self.dy, "dy", self.x, "x")
        self.expect_dy(dy, geometry)
        return [tensor(ints(self.weight_shape), dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        g = self.geometry()
        x = _patches(to_nchw(widened(args[0]), text(self.layout)), g)
        dy = _outputs(to_nchw(widened(args[1]), text(self.layout)), g)
        dw = np.matmul(dy.transpose(0, 2, 1), x)
        kernel = (g.outputs, g.channels // g.groups, *g.window.kernel)
        return from_oihw(dw.reshape(kernel), text(self.weight_layout))
