"""Elementwise bodies: any fusion of elementwise ops, casts, broadcasts, views of arguments,
dropout and optimizer updates."""

from __future__ import annotations

from pock_ir.dialects.kern import CallOp, body_ops
from pock_ir.lowering.loops.body import Unsupported
from pock_ir.lowering.loops.program import LoopProgram
from pock_ir.lowering.loops.read import read_body
from pock_ir.lowering.loops.rows import DOMAINS
from pock_ir.targets.c.kernels.loops import LoopKernel


class MapKernel(LoopKernel):
    """One loop nest without reductions, vectorised along the last dim."""

    name = "map"

    def read(self, call: CallOp) -> LoopProgram:
        if any(type(op) in DOMAINS for op in body_ops(call)):
            raise Unsupported("a reduction")
        return read_body(call)
