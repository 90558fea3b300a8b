"""Elementwise bodies: any fusion of elementwise ops, casts, broadcasts, views of arguments,
dropout and optimizer updates."""

from __future__ import annotations

from pock_ir.dialects.kern import CallOp
from pock_ir.lowering.loops.body import Unsupported
from pock_ir.lowering.loops.program import LoopProgram
from pock_ir.lowering.loops.read import read_body
from pock_ir.targets.c.kernels.loops import LoopKernel


class MapKernel(LoopKernel):
    """One loop nest without reductions, vectorised along the last dim."""

    name = "map"

    def read(self, call: CallOp) -> LoopProgram:
        program = read_body(call)
        if any(nest.reductions for nest in program.nests):
            raise Unsupported("a reduction")
        return program
