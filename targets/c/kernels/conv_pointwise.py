"""1x1 convolutions on channels-last tensors are matrix products over all pixels at once.

x is [P, I] and y is [P, O] with P = N*H*W. Weights may be [1, 1, I, O] (hwio) or [O, I, 1, 1]
(oihw): with a kernel of one tap these are the two layouts of a linear layer's weight.
"""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.conv import Conv2dGradInputOp, Conv2dGradWeightOp, Conv2dOp, ConvBase
from pock_ir.dialects.kern import CallOp
from pock_ir.op import PockOp, text
from pock_ir.target import Target
from pock_ir.targets.c.kernels.epilogue import shared_results
from pock_ir.targets.c.kernels.gemm import Gemm
from pock_ir.targets.c.kernels.gemm_plan import Operand, Problem
from pock_ir.targets.c.kernels.product import ProductKernel, simple_product


class PointwiseKernel(ProductKernel):
    """The three directions share what they accept."""

    def accepts(self, main: PockOp) -> bool:
        assert isinstance(main, ConvBase)
        geometry = main.geometry()
        window = geometry.window
        plain = window.kernel == window.strides == (1, 1) and geometry.groups == 1
        return plain and not any(window.low + window.high) and text(main.layout) == "nhwc"


def _pixels(main: ConvBase) -> int:
    geometry = main.geometry()
    return geometry.batch * geometry.input[0] * geometry.input[1]


class Pointwise(PointwiseKernel):
    """y[P, O] = x[P, I] w."""

    name = "conv2d_pointwise"
    kind = Conv2dOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, Conv2dOp)
        geometry = main.geometry()
        inputs, outputs = geometry.channels, geometry.outputs
        io = text(main.weight_layout) == "hwio"
        problem = Problem(
            m=_pixels(main),
            n=outputs,
            k=inputs,
            a=Operand(inputs, 1),
            b=Operand(outputs, 1) if io else Operand(1, inputs),
            keeps=not shared_results(call),
        )
        return [simple_product(call, main, target, symbol, problem, (main.x, main.w))]


class PointwiseGradInput(PointwiseKernel):
    """dx[P, I] = dy[P, O] transposed w."""

    name = "conv2d_pointwise_grad_input"
    kind = Conv2dGradInputOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, Conv2dGradInputOp)
        geometry = main.geometry()
        inputs, outputs = geometry.channels, geometry.outputs
        io = text(main.weight_layout) == "hwio"
        problem = Problem(
            m=_pixels(main),
            n=inputs,
            k=outputs,
            a=Operand(outputs, 1),
            b=Operand(1, outputs) if io else Operand(inputs, 1),
            keeps=not shared_results(call),
        )
        return [simple_product(call, main, target, symbol, problem, (main.dy, main.w))]


class PointwiseGradWeight(PointwiseKernel):
    """dw[I, O] = transposed x[P, I] times dy[P, O] for hwio, its transpose for oihw."""

    name = "conv2d_pointwise_grad_weight"
    kind = Conv2dGradWeightOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, Conv2dGradWeightOp)
        geometry = main.geometry()
        io = text(main.weight_layout) == "hwio"
        pair = (main.x, main.dy) if io else (main.dy, main.x)
        sizes = (geometry.channels, geometry.outputs)
        m, n = sizes if io else sizes[::-1]
        problem = Problem(
            m=m,
            n=n,
            k=_pixels(main),
            a=Operand(1, m),
            b=Operand(n, 1),
            keeps=not shared_results(call),
        )
        rank = None if io else 2  # [O, I, 1, 1] lies in memory as [O, I]
        return [simple_product(call, main, target, symbol, problem, pair, rank=rank)]
