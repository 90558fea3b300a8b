"""Sums, means and maxima over any axes, with elementwise ops before and after."""

from __future__ import annotations

from pock_ir.dialects.kern import CallOp, body_ops
from pock_ir.dialects.reduce import ReduceOp
from pock_ir.lowering.loops.body import Unsupported
from pock_ir.lowering.loops.program import LoopProgram
from pock_ir.lowering.loops.read import read_body
from pock_ir.lowering.loops.rows import DOMAINS
from pock_ir.targets.c.kernels.loops import LoopKernel


def is_plain_reduction(call: CallOp) -> bool:
    """Whether everything in the body that reduces is a sum, mean or maximum."""
    reducing = [op for op in body_ops(call) if type(op) in DOMAINS]
    return bool(reducing) and all(isinstance(op, ReduceOp) for op in reducing)


class ReduceKernel(LoopKernel):
    """One loop nest with reductions."""

    name = "reduce"

    def read(self, call: CallOp) -> LoopProgram:
        if not is_plain_reduction(call):
            raise Unsupported("no plain reduction")
        return read_body(call)
