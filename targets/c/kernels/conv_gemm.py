"""Convolutions of any kernel, stride, padding, dilation and groups as matrix products.

For channels-last tensors and weights [KH, KW, I/groups, O], and P = N*OH*OW window positions:

    y[P, O]             = patches[P, KH*KW*I] times w[KH*KW*I, O]
    dw[KH*KW*I, O]      = transposed patches times dy[P, O]
    dx                  = patches of dy times turned weights

where the patches are collected block by block (`gather`). With stride s, pixel (i, j) of x
receives only through the taps of its residue class modulo s; dx is therefore s*s products, one
for each class, each of a dense convolution with stride 1 over a part of the taps.
With groups, each group is a product of its own, on its channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pock_ir.dialects.conv import (
    Conv2dGradInputOp,
    Conv2dGradWeightOp,
    Conv2dOp,
    ConvBase,
    ConvGeometry,
)
from pock_ir.dialects.kern import CallOp
from pock_ir.op import PockOp, text
from pock_ir.target import Target
from pock_ir.targets.c.kernels.epilogue import BodyEpilogue, shared_results
from pock_ir.targets.c.kernels.gather import Gather
from pock_ir.targets.c.kernels.gemm import Gemm, Items
from pock_ir.targets.c.kernels.gemm_pack import Segments
from pock_ir.targets.c.kernels.gemm_plan import Operand, Problem, plan
from pock_ir.targets.c.kernels.product import ProductKernel, argument, parameters


class ConvKernel(ProductKernel):
    """The three directions share what they accept."""

    def accepts(self, main: PockOp) -> bool:
        assert isinstance(main, ConvBase)
        return text(main.layout) == "nhwc" and text(main.weight_layout) == "hwio"


def patches(g: ConvGeometry) -> Gather:
    """The patches of x, one row per position of the window; columns (ky, kx, channel)."""
    (dy, dx), (top, left) = g.window.dilation, g.window.low
    height, width = g.window.kernel
    whole = g.groups == 1 and dx == 1
    taps = width if whole else 1
    return Gather(
        height=g.input[0],
        width=g.input[1],
        pixel=g.channels,
        channels=g.channels // g.groups,
        rows=g.output[0],
        columns=g.output[1],
        strides=g.window.strides,
        runs=tuple(
            (y * dy - top, x * dx - left) for y in range(height) for x in range(0, width, taps)
        ),
        taps=taps,
    )


def _collected_rows(depth: int) -> Operand:
    """Patches as rows. Patches of one element are rows too, which a stride of 1 would not say."""
    return Operand(max(depth, 2), 1)


class Conv2d(ConvKernel):
    """y = patches times w."""

    name = "conv2d_gemm"
    kind = Conv2dOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, Conv2dOp)
        g = main.geometry()
        inputs, outputs = g.channels // g.groups, g.outputs // g.groups
        depth = g.window.kernel[0] * g.window.kernel[1] * inputs
        problem = Problem(
            m=g.batch * g.output[0] * g.output[1],
            n=outputs,
            k=depth,
            a=_collected_rows(depth),
            b=Operand(g.outputs, 1),
            batch=g.groups,
            gathered=True,
            keeps=not shared_results(call),
        )
        product = Gemm(
            name=symbol,
            problem=problem,
            plan=plan(problem, target),
            epilogue=BodyEpilogue(call, main, target),
            parameters=parameters(call),
            a=argument(main.x),
            b=argument(main.w),
            items=Items(a=inputs, b=outputs, column=outputs),
            gather=patches(g),
        )
        return [product]


class Conv2dGradWeight(ConvKernel):
    """dw = transposed patches times dy."""

    name = "conv2d_gemm_grad_weight"
    kind = Conv2dGradWeightOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, Conv2dGradWeightOp)
        g = main.geometry()
        inputs, outputs = g.channels // g.groups, g.outputs // g.groups
        depth = g.window.kernel[0] * g.window.kernel[1] * inputs
        problem = Problem(
            m=depth,
            n=outputs,
            k=g.batch * g.output[0] * g.output[1],
            a=Operand(1, depth),
            b=Operand(g.outputs, 1),
            batch=g.groups,
            gathered=True,
            keeps=not shared_results(call),
        )
        product = Gemm(
            name=symbol,
            problem=problem,
            plan=plan(problem, target),
            epilogue=BodyEpilogue(call, main, target),
            parameters=parameters(call),
            a=argument(main.x),
            b=argument(main.dy),
            items=Items(a=inputs, b=outputs, column=outputs),
            gather=patches(g),
        )
        return [product]


@dataclass(frozen=True)
class Axis:
    """One spatial dim of one residue class: pixels first, first + stride, ... of x.

    count: their number. taps: (kernel index, offset in dy from the pixel's number), by ascending
    offset.
    """

    first: int
    count: int
    taps: tuple[tuple[int, int], ...]


def residues(size: int, kernel: int, stride: int, dilation: int, low: int) -> list[Axis]:
    """The residue classes of one dim of x: tap k of output o reads pixel o*stride+k*dilation-low,
    so pixel first + t*stride gets from output t + (first + low - k*dilation) / stride."""
    found: list[Axis] = []
    for first in range(min(stride, size)):
        shifts = [(k, first + low - k * dilation) for k in range(kernel)]
        taps = sorted((s // stride, k) for k, s in shifts if s % stride == 0)
        count = -(-(size - first) // stride)
        found.append(Axis(first, count, tuple((k, offset) for offset, k in taps)))
    return found


class Conv2dGradInput(ConvKernel):
    """dx = patches of dy times turned weights, one product for each residue class."""

    name = "conv2d_gemm_grad_input"
    kind = Conv2dGradInputOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, Conv2dGradInputOp)
        window, size = main.geometry().window, main.geometry().input
        rows, columns = (
            residues(
                size[i], window.kernel[i], window.strides[i], window.dilation[i], window.low[i]
            )
            for i in (0, 1)
        )
        return [
            _class_product(call, main, target, symbol, row, column)
            for row in rows
            for column in columns
        ]


def _class_product(
    call: CallOp, main: Conv2dGradInputOp, target: Target, symbol: str, row: Axis, column: Axis
) -> Gemm:
    g = main.geometry()
    inputs, outputs = g.channels // g.groups, g.outputs // g.groups
    taps = [(ky, kx) for ky, _ in row.taps for kx, _ in column.taps]
    depth = len(taps) * outputs
    problem = Problem(
        m=g.batch * row.count * column.count,
        n=inputs,
        k=depth,
        a=_collected_rows(depth),
        b=Operand(1, g.outputs),
        batch=g.groups,
        gathered=bool(taps),
        scattered=bool(taps),
        keeps=not shared_results(call),
    )
    starts = tuple((ky * g.window.kernel[1] + kx) * inputs * g.outputs for ky, kx in taps)
    return Gemm(
        name=symbol,
        problem=problem,
        plan=plan(problem, target),
        epilogue=BodyEpilogue(call, main, target, row_of=_pixel_of(g, row, column)),
        parameters=parameters(call),
        a=argument(main.dy),
        b=argument(main.w),
        items=Items(a=outputs, b=outputs, column=inputs),
        gather=_turned_patches(g, row, column) if taps else None,
        segments=Segments(outputs, starts) if taps else None,
    )


def _turned_patches(g: ConvGeometry, row: Axis, column: Axis) -> Gather:
    """The patches of dy for the pixels of one class; columns (tap of y, tap of x, output)."""
    offsets = [offset for _, offset in column.taps]
    whole = g.groups == 1 and all(b == a + 1 for a, b in pairwise(offsets))
    starts = offsets[:1] if whole else offsets
    return Gather(
        height=g.output[0],
        width=g.output[1],
        pixel=g.outputs,
        channels=g.outputs // g.groups,
        rows=row.count,
        columns=column.count,
        strides=(1, 1),
        runs=tuple((y, x) for _, y in row.taps for x in starts),
        taps=len(offsets) if whole else 1,
    )


def _pixel_of(g: ConvGeometry, row: Axis, column: Axis) -> Callable[[str], str]:
    """The pixel number in x of the class's position `r`, as a C expression."""
    height, width = g.input
    sy, sx = g.window.strides
    if (sy, sx) == (1, 1):
        return lambda r: r
    per_image = row.count * column.count

    def pixel(r: str) -> str:
        y = f"({r} / {column.count} % {row.count} * {sy} + {row.first})"
        x = f"{r} % {column.count} * {sx} + {column.first}"
        return f"(({r} / {per_image} * {height} + {y}) * {width} + {x})"

    return pixel
