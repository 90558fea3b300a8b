"""Convolution and its gradients as plain loops: any layout, groups, strides and dilation.

These serve where no faster kernel matches. Products are added in a fixed order, and long sums
row by row, so that the error stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from pock_ir.dialects.conv import (
    Conv2dGradInputOp,
    Conv2dGradWeightOp,
    Conv2dOp,
    ConvBase,
    ConvGeometry,
)
from pock_ir.dialects.kern import CallOp
from pock_ir.lowering.loops.program import row_major
from pock_ir.op import PockOp, text
from pock_ir.target import Target
from pock_ir.targets.c.kernels.plain import PlainKernel
from pock_ir.types import shape_of

Names = tuple[str, str, str, str]


def _index(shape: Sequence[int], layout: str, order: str, names: Names) -> str:
    """The C text of an element's place; `names` are its indices in the order of `order`."""
    strides = dict(zip(layout, row_major(shape), strict=True))
    return " + ".join(f"{name} * {strides[dim]}" for name, dim in zip(names, order, strict=True))


def _data(op: ConvBase, shape: Sequence[int], names: Names) -> str:
    return _index(shape, text(op.layout), "nchw", names)


def _weight(op: ConvBase, shape: Sequence[int], names: Names) -> str:
    return _index(shape, text(op.weight_layout), "oihw", names)


def _read(geometry: ConvGeometry, dim: int, axis: str) -> tuple[str, str]:
    """C text: the padded input position of tap k<axis> at output o<axis>, and whether it lies
    inside (the unsigned difference wraps below the input)."""
    window = geometry.window
    at = f"o{axis} * {window.strides[dim]} + k{axis} * {window.dilation[dim]}"
    place = f"({at} - {window.low[dim]})"
    return place, f"{place} < {geometry.input[dim]}"


class ConvPlainKernel(PlainKernel):
    """One output element after the other."""

    name = "conv_plain"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (Conv2dOp,)

    def units(self, op: PockOp, target: Target) -> int:
        geometry = cast(ConvBase, op).geometry()
        return geometry.batch * geometry.outputs

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        conv = cast(Conv2dOp, op)
        g = conv.geometry()
        (y, y_inside), (x, x_inside) = _read(g, 0, "y"), _read(g, 1, "x")
        depth = g.channels // g.groups
        source = _data(conv, shape_of(conv.x), ("n", "c", y, x))
        weight = _weight(conv, shape_of(conv.w), ("o", "i", "ky", "kx"))
        to = _data(conv, shape_of(conv.results[0]), ("n", "o", "oy", "ox"))
        return f"""{self.bounds(call, target)}
    for (size_t unit = first; unit < last; unit++) {{
        const size_t n = unit / {g.outputs}, o = unit % {g.outputs};
        const size_t base = o / {g.outputs // g.groups} * {depth};
        for (size_t oy = 0; oy < {g.output[0]}; oy++)
        for (size_t ox = 0; ox < {g.output[1]}; ox++) {{
            float total = 0.0f;
            for (size_t ky = 0; ky < {g.window.kernel[0]}; ky++)
            for (size_t kx = 0; kx < {g.window.kernel[1]}; kx++) {{
                if (!({y_inside} && {x_inside}))
                    continue;
                float sum = 0.0f;
                for (size_t i = 0; i < {depth}; i++) {{
                    const size_t c = base + i;
                    sum += a0[{source}] * a1[{weight}];
                }}
                total += sum;
            }}
            r0[{to}] = total;
        }}
    }}"""


class ConvGradInputPlainKernel(PlainKernel):
    """Each element of dx gathers the outputs that read it."""

    name = "conv_grad_input_plain"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (Conv2dGradInputOp,)

    def units(self, op: PockOp, target: Target) -> int:
        geometry = cast(ConvBase, op).geometry()
        return geometry.batch * geometry.channels

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        conv = cast(Conv2dGradInputOp, op)
        g = conv.geometry()
        depth, outputs = g.channels // g.groups, g.outputs // g.groups
        source = _data(conv, shape_of(conv.dy), ("n", "o", "oy", "ox"))
        weight = _weight(conv, shape_of(conv.w), ("o", "i", "ky", "kx"))
        to = _data(conv, shape_of(conv.results[0]), ("n", "c", "iy", "ix"))
        return f"""{self.bounds(call, target)}
    for (size_t unit = first; unit < last; unit++) {{
        const size_t n = unit / {g.channels}, c = unit % {g.channels};
        const size_t i = c % {depth}, base = c / {depth} * {outputs};
        for (size_t iy = 0; iy < {g.input[0]}; iy++)
        for (size_t ix = 0; ix < {g.input[1]}; ix++) {{
            float total = 0.0f;
            for (size_t ky = 0; ky < {g.window.kernel[0]}; ky++) {{
                {_written(g, 0, "y")}
                for (size_t kx = 0; kx < {g.window.kernel[1]}; kx++) {{
                    {_written(g, 1, "x")}
                    float sum = 0.0f;
                    for (size_t o = base; o < base + {outputs}; o++)
                        sum += a0[{source}] * a1[{weight}];
                    total += sum;
                }}
            }}
            r0[{to}] = total;
        }}
    }}"""


def _written(geometry: ConvGeometry, dim: int, axis: str) -> str:
    """C statements: the output o<axis> that reads input i<axis> with tap k<axis>, if any."""
    window = geometry.window
    stride = window.strides[dim]
    shift = f"i{axis} + {window.low[dim]} - k{axis} * {window.dilation[dim]}"
    tap = f"k{axis} * {window.dilation[dim]} > i{axis} + {window.low[dim]}"
    outside = f"({shift}) % {stride} != 0 || ({shift}) / {stride} >= {geometry.output[dim]}"
    return (
        f"if ({tap} || {outside}) continue;\n"
        f"                const size_t o{axis} = ({shift}) / {stride};"
    )


class ConvGradWeightPlainKernel(PlainKernel):
    """Each element of dw sums over all outputs, row by row."""

    name = "conv_grad_weight_plain"
    OPS: ClassVar[tuple[type[PockOp], ...]] = (Conv2dGradWeightOp,)

    def units(self, op: PockOp, target: Target) -> int:
        return cast(ConvBase, op).geometry().outputs

    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        conv = cast(Conv2dGradWeightOp, op)
        g = conv.geometry()
        (y, y_inside), (x, x_inside) = _read(g, 0, "y"), _read(g, 1, "x")
        depth = g.channels // g.groups
        source = _data(conv, shape_of(conv.x), ("n", "c", y, x))
        dy = _data(conv, shape_of(conv.dy), ("n", "o", "oy", "ox"))
        to = _weight(conv, shape_of(conv.results[0]), ("o", "i", "ky", "kx"))
        return f"""{self.bounds(call, target)}
    for (size_t o = first; o < last; o++)
    for (size_t i = 0; i < {depth}; i++) {{
        const size_t c = o / {g.outputs // g.groups} * {depth} + i;
        for (size_t ky = 0; ky < {g.window.kernel[0]}; ky++)
        for (size_t kx = 0; kx < {g.window.kernel[1]}; kx++) {{
            float total = 0.0f;
            for (size_t n = 0; n < {g.batch}; n++)
            for (size_t oy = 0; oy < {g.output[0]}; oy++) {{
                if (!({y_inside}))
                    continue;
                float sum = 0.0f;
                for (size_t ox = 0; ox < {g.output[1]}; ox++)
                    if ({x_inside})
                        sum += a0[{source}] * a1[{dy}];
                total += sum;
            }}
            r0[{to}] = total;
        }}
    }}"""
