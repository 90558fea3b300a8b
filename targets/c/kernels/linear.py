"""nn.linear and its weight gradient as matrix products over all leading dims at once."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.matmul import LinearGradWeightOp, LinearOp
from pock_ir.op import PockOp, text
from pock_ir.target import Target
from pock_ir.targets.c.kernels.epilogue import shared_results
from pock_ir.targets.c.kernels.gemm import Gemm
from pock_ir.targets.c.kernels.gemm_plan import Operand, Problem
from pock_ir.targets.c.kernels.product import ProductKernel, simple_product
from pock_ir.types import num_elements, shape_of


class Linear(ProductKernel):
    """y[M, O] = x[M, I] w, where w is [O, I] ("oi") or [I, O] ("io"); also the gradient to x."""

    name = "linear"
    kind = LinearOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, LinearOp)
        inputs, outputs = shape_of(main.x)[-1], shape_of(main.results[0])[-1]
        transposed = text(main.weight_layout) == "oi"
        problem = Problem(
            m=num_elements(main.x) // inputs,
            n=outputs,
            k=inputs,
            a=Operand(inputs, 1),
            b=Operand(1, inputs) if transposed else Operand(outputs, 1),
            keeps=not shared_results(call),
        )
        return [simple_product(call, main, target, symbol, problem, (main.x, main.w))]


class LinearGradWeight(ProductKernel):
    """dw[O, I] = transposed dy[M, O] times x[M, I], or its transpose for "io"."""

    name = "linear_grad_weight"
    kind = LinearGradWeightOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, LinearGradWeightOp)
        pair = (main.dy, main.x) if text(main.weight_layout) == "oi" else (main.x, main.dy)
        m, n = shape_of(pair[0])[-1], shape_of(pair[1])[-1]
        problem = Problem(
            m=m,
            n=n,
            k=num_elements(pair[0]) // m,
            a=Operand(1, m),
            b=Operand(n, 1),
            keeps=not shared_results(call),
        )
        return [simple_product(call, main, target, symbol, problem, pair)]
