"""Softmax, normalisation and their gradients, fused with elementwise ops; cross entropy."""

from __future__ import annotations

from pock_ir.dialects.kern import CallOp, body_ops
from pock_ir.lowering.loops.body import Unsupported
from pock_ir.lowering.loops.cross_entropy import read_cross_entropy
from pock_ir.lowering.loops.program import LoopProgram
from pock_ir.lowering.loops.read import read_body
from pock_ir.lowering.loops.rows import DOMAINS
from pock_ir.targets.c.kernels.loops import LoopKernel
from pock_ir.targets.c.kernels.reduce import is_plain_reduction


class RowsKernel(LoopKernel):
    """Several passes over each row, which stays in the nearest cache between them."""

    name = "rows"

    def read(self, call: CallOp) -> LoopProgram:
        reducing = any(type(op) in DOMAINS for op in body_ops(call))
        if not reducing or is_plain_reduction(call):
            raise Unsupported("nothing that takes several passes")
        return read_body(call)


class CrossEntropyKernel(LoopKernel):
    """Cross entropy of one row after the other, or its gradient."""

    name = "cross_entropy"

    def read(self, call: CallOp) -> LoopProgram:
        return read_cross_entropy(call)
