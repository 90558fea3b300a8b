"""Pooling and its gradients, vectorised over channels in NHWC.

An NCHW tensor is pooled as N * C images of one channel. Each image is one unit of work; windows
are visited in row-major order, so that overlapping gradients are added up in a fixed order.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import prod
from typing import ClassVar, cast

from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.pool import (
    AvgPool2dGradOp,
    AvgPool2dOp,
    AvgPoolBase,
    MaxPool2dGradOp,
    MaxPool2dOp,
    PoolBase,
)
from pock_ir.dialects.window import Window, to_nchw
from pock_ir.op import PockOp, flag, ints, text
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import PlainKernel
from pock_ir.targets.c.kernels.vector import Vector
from pock_ir.types import shape_of


@dataclass(frozen=True)
class PoolShape:
    """images: [height, width, channels] each, channels innermost."""

    images: int
    channels: int
    input: tuple[int, int]
    output: tuple[int, int]
    window: Window


def pool_shape(op: PoolBase) -> PoolShape:
    """The sizes of a pooling op or of its gradient."""
    x = ints(op.input_shape) if isinstance(op, AvgPool2dGradOp) else shape_of(op.operands[0])
    n, c, height, width = to_nchw(x, text(op.layout))
    window = op.window()
    output = window.output((height, width))
    images, channels = (n * c, 1) if text(op.layout) == "nchw" else (n, c)
    return PoolShape(images, channels, (height, width), output, window)


class PoolKernel(PlainKernel):
    """Loops over images, windows, channels and taps; a subclass says what happens at a tap."""

    INSTRUCTIONS: ClassVar[float] = 2.0

    def units(self, op: PockOp, target: Target) -> int:
        return pool_shape(cast(PoolBase, op)).images

    def width(self, op: PockOp, target: Target) -> int:
        lanes = target.vector.lanes(4)
        return lanes if pool_shape(cast(PoolBase, op)).channels >= lanes else 1

    @abstractmethod
    def names(self) -> tuple[str, str]:
        """The C names of the larger tensor (x or dx) and the smaller one (y or dy)."""

    def prepare(self, shape: PoolShape) -> list[str]:
        """Statements at the start of an image."""
        return []

    @abstractmethod
    def at_window(self, op: PoolBase, vector: Vector) -> list[str]:
        """Statements for the channels c.. of one window; the loops over its taps are `TAPS`."""

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        pool = cast(PoolBase, op)
        shape = pool_shape(pool)
        large, small = self.names()
        oh, ow = shape.output
        lines = [
            self.bounds(call, target),
            "    for (size_t image = first; image < last; image++) {",
            *_pointers(large, "x", prod(shape.input) * shape.channels),
            *_pointers(small, "y", oh * ow * shape.channels),
            *self.prepare(shape),
            f"    for (size_t oy = 0; oy < {oh}; oy++)",
            f"    for (size_t ox = 0; ox < {ow}; ox++) {{",
            *_taps("y", shape, 0),
            *_taps("x", shape, 1),
        ]
        if self.needs_count(pool):
            lines.append("        const float count = (float)((yend - ybegin) * (xend - xbegin));")
        lines += self._channels(pool, shape, target)
        return "\n".join([*lines, "    }", "    }"])

    def needs_count(self, op: PoolBase) -> bool:
        """Whether the number of taps inside of the image is asked for."""
        return False

    def _channels(self, op: PoolBase, shape: PoolShape, target: Target) -> list[str]:
        lanes = target.vector.lanes(4)
        whole = shape.channels // lanes * lanes if lanes > 1 else 0
        lines: list[str] = []
        for vector, begin, end in ((Vector(lanes), 0, whole), (Vector(1), whole, shape.channels)):
            if begin == end:
                continue
            lines.append(f"        for (size_t c = {begin}; c < {end}; c += {vector.lanes}) {{")
            for line in self.at_window(op, vector):
                lines += _tap_loops(shape) if line == "TAPS" else [f"            {line}"]
            lines.append("        }")
        return lines


def _pointers(source: str, name: str, size: int) -> list[str]:
    const = "const " if source.startswith("a") else ""
    return [f"    {const}float *{name} = {source} + image * {size};"]


def _taps(axis: str, shape: PoolShape, dim: int) -> list[str]:
    """The range of taps of a window along one axis that lie inside of the image.

    Tap k of output o reads o * stride + k * dilation - low; numbers are kept non-negative.
    """
    window, size = shape.window, shape.input[dim]
    step, gap, low, count = (
        window.strides[dim],
        window.dilation[dim],
        window.low[dim],
        window.kernel[dim],
    )
    at = f"o{axis} * {step}"
    begin = f"{at} < {low} ? ({low} - {at} + {gap - 1}) / {gap} : 0" if low else "0"
    limit = f"({at} < {size + low} ? ({size + low} - {at} + {gap - 1}) / {gap} : 0)"
    lines = [
        f"        const size_t {axis}limit = {limit};",
        f"        const size_t {axis}end = {axis}limit < {count} ? {axis}limit : {count};",
        f"        const size_t {axis}first = {begin};",
    ]
    return [
        *lines,
        f"        const size_t {axis}begin = {axis}first < {axis}end ? {axis}first : {axis}end;",
    ]


def _tap_loops(shape: PoolShape) -> list[str]:
    window = shape.window
    (sh, sw), (dh, dw), (top, left) = window.strides, window.dilation, window.low
    row = f"oy * {sh} + ky * {dh} - {top}"
    column = f"ox * {sw} + kx * {dw} - {left}"
    return [
        "            for (size_t ky = ybegin; ky < yend; ky++)",
        "            for (size_t kx = xbegin; kx < xend; kx++) {",
        f"                const size_t at = (({row}) * {shape.input[1]} + {column})"
        f" * {shape.channels} + c;",
    ]


class MaxPoolKernel(PoolKernel):
    """The maximum in a register."""

    name = "max_pool2d"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (MaxPool2dOp,)

    def names(self) -> tuple[str, str]:
        return "a0", "r0"

    def at_window(self, op: PoolBase, vector: Vector) -> list[str]:
        shape = pool_shape(op)
        maximum = "pock_max" if vector.lanes == 1 else "pock_vmax"
        return [
            f"{vector.type} best = {vector.splat('-INFINITY')};",
            "TAPS",
            f"    best = {maximum}(best, {vector.load('x + at')});",
            "}",
            vector.store(_output(shape), "best"),
        ]


def _output(shape: PoolShape) -> str:
    return f"y + (oy * {shape.output[1]} + ox) * {shape.channels} + c"


class MaxPoolGradKernel(PoolKernel):
    """Finds the first maximum of each window again, then adds dy to it."""

    name = "max_pool2d_grad"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (MaxPool2dGradOp,)
    INSTRUCTIONS: ClassVar[float] = 6.0

    def names(self) -> tuple[str, str]:
        return "a0", "a1"

    def prepare(self, shape: PoolShape) -> list[str]:
        size = prod(shape.input) * shape.channels
        return [
            f"    float *dx = r0 + image * {size};",
            f"    memset(dx, 0, {4 * size});",
        ]

    def at_window(self, op: PoolBase, vector: Vector) -> list[str]:
        shape = pool_shape(op)
        dy = vector.load(_output(shape))
        if vector.lanes == 1:
            none = prod(shape.input) * shape.channels  # behind the image
            return [
                "float best = 0.0f;",
                f"size_t chosen = {none};",
                "TAPS",
                "    const float value = x[at];",
                f"    const int better = (chosen == {none}) | (value > best) |",
                "        ((value != value) & (best == best));",
                "    best = better ? value : best;",
                "    chosen = better ? at : chosen;",
                "}",
                f"if (chosen != {none})",
                f"    dx[chosen] += {dy};",
            ]
        return [
            "pock_vf best = {0};",
            "pock_vi chosen = pock_splati(-1);",
            "TAPS",
            f"    const pock_vi tap = pock_splati((int32_t)(ky * {shape.window.kernel[1]} + kx));",
            "    const pock_vf value = pock_load(x + at);",
            "    const pock_vi better = (chosen < 0) | (value > best) |",
            "        ((value != value) & (best == best));",
            "    best = pock_vselect(better, value, best);",
            "    chosen = pock_vselecti(better, tap, chosen);",
            "}",
            f"const pock_vf dy = {dy};",
            "TAPS",
            f"    const pock_vi tap = pock_splati((int32_t)(ky * {shape.window.kernel[1]} + kx));",
            "    const pock_vi hit = (chosen == tap) & (pock_vi)dy;",
            "    pock_store(dx + at, pock_load(dx + at) + (pock_vf)hit);",
            "}",
        ]


class AvgPoolBaseKernel(PoolKernel):
    """What average pooling and its gradient share: the divisor."""

    def needs_count(self, op: PoolBase) -> bool:
        return not flag(cast(AvgPoolBase, op).count_include_pad)

    def divisor(self, op: PoolBase) -> str:
        """The C text of the number of elements of a mean."""
        return "count" if self.needs_count(op) else f"{prod(op.window().kernel)}.0f"


class AvgPoolKernel(AvgPoolBaseKernel):
    """The sum in a register."""

    name = "avg_pool2d"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (AvgPool2dOp,)

    def names(self) -> tuple[str, str]:
        return "a0", "r0"

    def at_window(self, op: PoolBase, vector: Vector) -> list[str]:
        return [
            f"{vector.type} sum = {vector.splat('0.0f')};",
            "TAPS",
            f"    sum += {vector.load('x + at')};",
            "}",
            vector.store(_output(pool_shape(op)), f"sum / {self.divisor(op)}"),
        ]


class AvgPoolGradKernel(AvgPoolBaseKernel):
    """Adds dy over the divisor to all taps."""

    name = "avg_pool2d_grad"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (AvgPool2dGradOp,)

    def names(self) -> tuple[str, str]:
        return "r0", "a0"

    def prepare(self, shape: PoolShape) -> list[str]:
        return [f"    memset(x, 0, {4 * prod(shape.input) * shape.channels});"]

    def at_window(self, op: PoolBase, vector: Vector) -> list[str]:
        share = f"{vector.load(_output(pool_shape(op)))} / {self.divisor(op)}"
        added = f"{vector.load('x + at')} + share"
        return [
            f"const {vector.type} share = {share};",
            "TAPS",
            f"    {vector.store('x + at', added)}",
            "}",
        ]
