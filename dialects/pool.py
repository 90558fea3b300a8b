"""Two-dimensional pooling and its gradients.

Windows are those of `window.Window`. The padding is smaller than the window, so that each window
of an average reaches at least one element; layouts are "nchw" or "nhwc".
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir.dialects.checks import Shape, counted, expect_same_element, one_of, pair_of, ranked
from pock_ir.dialects.fields import flag_property, integers_property, text_property
from pock_ir.dialects.wide import widened
from pock_ir.dialects.window import LAYOUTS, Pair, Window, from_nchw, read_window, to_nchw
from pock_ir.op import PockOp, flag, ints, require, text
from pock_ir.types import Array, dtype_of, num_elements, tensor


class PoolBase(PockOp):
    """The properties and the geometry of a pooling op."""

    kernel = integers_property()
    strides = integers_property()
    pad_low = integers_property()
    pad_high = integers_property()
    layout = text_property()

    def dilation_or_none(self) -> Attribute | None:
        """The dilation property, where the op has one."""
        return self.properties.get("dilation")

    def window(self) -> Window:
        """The window. Raises VerifyException if it has no size or its padding is too large."""
        kernel = pair_of(self.kernel, 1, "kernel")
        dilation = self.dilation_or_none()
        window = read_window(kernel, self.strides, dilation, self.pad_low, self.pad_high)
        for what, pad in (("pad_low", window.low), ("pad_high", window.high)):
            smaller = all(p < size for p, size in zip(pad, window.extent(), strict=True))
            require(smaller, f"{what} {pad} should be smaller than the window {window.extent()}")
        return window

    def pooled(self, shape: Shape) -> Shape:
        """The result's shape for x of `shape`, both in `layout`. Raises VerifyException."""
        layout = one_of(self.layout, LAYOUTS, "layout")
        n, c, height, width = to_nchw(shape, layout)
        return from_nchw((n, c, *self.window().output((height, width))), layout)

    def expect_dy(self, dy: Shape, x_shape: Shape) -> None:
        """Raises VerifyException unless `dy` has the shape of the pooled x."""
        wanted = self.pooled(x_shape)
        require(dy == wanted, f"dy should have shape {list(wanted)}, not {list(dy)}")


class MaxPoolBase(PoolBase):
    """What maximum pooling and its gradient share."""

    dilation = integers_property()

    def taps(self, x: Array) -> tuple[Array, Window]:
        """The taps [KH*KW, N, C, OH, OW] of x[N, C, H, W], -inf outside of x, and the window."""
        window = self.window()
        output = window.output((x.shape[2], x.shape[3]))
        return window.stacked(window.padded(x, -np.inf), output), window

    def inside(self, x: Array) -> Array:
        """Which taps lie inside of x, [KH*KW, 1, 1, OH, OW]."""
        window = self.window()
        output = window.output((x.shape[2], x.shape[3]))
        return window.stacked(window.padded(np.ones((1, 1, *x.shape[2:])), 0), output) > 0


@irdl_op_definition
class MaxPool2dOp(MaxPoolBase):
    """The largest element of each window; NaN if one of them is NaN. Floats.

    x: [N, C, H, W] or [N, H, W, C] -> the same with the output size. Padding is never chosen;
    a dilated window all of whose taps lie in the padding gives -inf.
    """

    name = "nn.max_pool2d"
    x = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        return [tensor(self.pooled(ranked(self.x, "x", 4)), dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        taps, _ = self.taps(to_nchw(args[0], text(self.layout)))
        return from_nchw(np.max(taps, axis=0), text(self.layout))

    def flops(self) -> int:
        """One per tap."""
        return num_elements(self.results[0]) * prod(ints(self.kernel))


@irdl_op_definition
class MaxPool2dGradOp(MaxPoolBase):
    """The gradient of nn.max_pool2d: each dy goes to the first maximum of its window. Floats.

    x: the pooled tensor; dy: shaped like the result -> dx like x. "First" is in row-major order
    of the taps inside x; the first NaN counts as the maximum.
    """

    name = "train.max_pool2d_grad"
    x = operand_def(TensorType)
    dy = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        self.expect_dy(ranked(self.dy, "dy", 4), ranked(self.x, "x", 4))
        expect_same_element(self.dy, "dy", self.x, "x")
        return [self.x.type]

    def evaluate(self, *args: Array) -> Array:
        x, dy = (to_nchw(array, text(self.layout)) for array in args)
        taps, window = self.taps(x)
        # A window of nothing but -inf still prefers its first tap inside x to the padding.
        best = (taps == np.max(taps, axis=0)) | np.isnan(taps)
        chosen = np.argmax(best & self.inside(x), axis=0)
        hits = (best & self.inside(x)) & (np.arange(len(taps))[:, None, None, None, None] == chosen)
        dx = window.scattered(np.where(hits, widened(dy), 0), (x.shape[2], x.shape[3]))
        return from_nchw(dx, text(self.layout))

    def flops(self) -> int:
        """One per tap."""
        return num_elements(self.dy) * prod(ints(self.kernel))


class AvgPoolBase(PoolBase):
    """What average pooling and its gradient share."""

    count_include_pad = flag_property()

    def counts(self, size: Pair) -> Array:
        """The divisor of each output, [1, 1, OH, OW] or a number, for an input of `size`."""
        window = self.window()
        if flag(self.count_include_pad):
            return np.array(prod(window.kernel))
        ones = window.padded(np.ones((1, 1, *size)), 0)
        return window.stacked(ones, window.output(size)).sum(axis=0)


@irdl_op_definition
class AvgPool2dOp(AvgPoolBase):
    """The mean of each window; padding counts as 0. Floats.

    x: [N, C, H, W] or [N, H, W, C] -> the same with the output size. The divisor is the number of
    taps with count_include_pad, else the number of taps inside x.
    """

    name = "nn.avg_pool2d"
    x = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        return [tensor(self.pooled(ranked(self.x, "x", 4)), dtype_of(self.x).type)]

    def evaluate(self, *args: Array) -> Array:
        x = to_nchw(widened(args[0]), text(self.layout))
        window, size = self.window(), (x.shape[2], x.shape[3])
        total = window.stacked(window.padded(x, 0), window.output(size)).sum(axis=0)
        return from_nchw(total / self.counts(size).astype(x.dtype), text(self.layout))

    def flops(self) -> int:
        """One per tap."""
        return num_elements(self.results[0]) * prod(ints(self.kernel))


@irdl_op_definition
class AvgPool2dGradOp(AvgPoolBase):
    """The gradient of nn.avg_pool2d: each dy over its divisor, added to all its taps. Floats.

    dy: shaped like the result -> dx of input_shape (in `layout`).
    """

    name = "train.avg_pool2d_grad"
    dy = operand_def(TensorType)
    input_shape = integers_property()
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        shape = counted(self.input_shape, 4, 0, "input_shape")
        self.expect_dy(ranked(self.dy, "dy", 4), shape)
        return [tensor(shape, dtype_of(self.dy).type)]

    def evaluate(self, *args: Array) -> Array:
        dy = to_nchw(widened(args[0]), text(self.layout))
        window = self.window()
        _, _, height, width = to_nchw(ints(self.input_shape), text(self.layout))
        share = dy / self.counts((height, width)).astype(dy.dtype)
        taps = np.broadcast_to(share, (prod(window.kernel), *share.shape))
        return from_nchw(window.scattered(taps, (height, width)), text(self.layout))

    def flops(self) -> int:
        """One per tap."""
        return num_elements(self.dy) * prod(ints(self.kernel))
