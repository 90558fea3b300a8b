"""nn.matmul: one matrix product per item of the batch dims."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from pock_ir.dialects.kern import CallOp
from pock_ir.dialects.matmul import MatMulOp
from pock_ir.op import PockOp, flag
from pock_ir.target import Target
from pock_ir.targets.c.kernels.epilogue import shared_results
from pock_ir.targets.c.kernels.gemm import Gemm, Items
from pock_ir.targets.c.kernels.gemm_plan import Operand, Problem
from pock_ir.targets.c.kernels.product import ProductKernel, simple_product
from pock_ir.types import shape_of


class MatMul(ProductKernel):
    """result[b] = lhs[b] rhs[b], either operand transposed or not; parts share out the batch."""

    name = "matmul"
    kind = MatMulOp

    def products(self, call: CallOp, main: PockOp, target: Target, symbol: str) -> Sequence[Gemm]:
        assert isinstance(main, MatMulOp)
        *batch, m, n = shape_of(main.results[0])
        k = shape_of(main.lhs)[-2 if flag(main.transpose_lhs) else -1]
        problem = Problem(
            m=m,
            n=n,
            k=k,
            a=Operand(1, m) if flag(main.transpose_lhs) else Operand(k, 1),
            b=Operand(1, k) if flag(main.transpose_rhs) else Operand(n, 1),
            batch=prod(batch),
            keeps=not shared_results(call),
        )
        items = Items(a=m * k, b=k * n, row=m)
        return [simple_product(call, main, target, symbol, problem, (main.lhs, main.rhs), items)]
