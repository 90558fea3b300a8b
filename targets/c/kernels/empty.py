"""Calls whose results have no elements: there is nothing to do."""

from __future__ import annotations

from xdsl.ir import Operation

from pock_ir.dialects.kern import NONE, CallOp, updates_of
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.loops import function_text
from pock_ir.types import num_elements


class EmptyKernel(Kernel):
    """A function that returns."""

    name = "empty"

    def matches(self, call: Operation, target: Target) -> bool:
        if not isinstance(call, CallOp) or any(place != NONE for place in updates_of(call)):
            return False
        return all(num_elements(result) == 0 for result in call.results)

    def seconds(self, call: Operation, target: Target) -> float:
        return 0.0

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        assert isinstance(call, CallOp)
        return function_text(call, symbol, "")
