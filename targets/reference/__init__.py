"""The target "reference": programs that run in the reference interpreter only.

Its one kernel runs every call by its body, so each pass can be tested by execution on this target
alone. It cannot emit code.
"""

from __future__ import annotations

from typing import cast

from xdsl.ir import Operation

from pock_ir.diagnostics import PockError
from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.kern import CallOp, body_ops, updates_of
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, IotaOp
from pock_ir.target import Caches, Kernel, Rates, Target, VectorUnit, register_target
from pock_ir.types import Tensor, num_bytes

POINTWISE = (ElementwiseOp, ConstantOp, IotaOp, BroadcastOp)


class ReferenceKernel(Kernel):
    """Runs any call; elementwise ones may overwrite operands of their results' types."""

    name = "reference"

    def matches(self, call: Operation, target: Target) -> bool:
        return isinstance(call, CallOp)

    def seconds(self, call: Operation, target: Target) -> float:
        moved = sum(num_bytes(cast(Tensor, v.type)) for v in (*call.operands, *call.results))
        flops = call.flops() if isinstance(call, CallOp) else 0
        return target.rates.call + moved / target.rates.bandwidth + flops / target.rates.flops

    def reuses(self, call: Operation, target: Target) -> tuple[int, ...]:
        if not isinstance(call, CallOp) or not _is_map(call):
            return super().reuses(call, target)
        free = [i for i in range(len(call.operands)) if i not in updates_of(call)]
        reuses: list[int] = []
        for result, update in zip(call.results, updates_of(call), strict=True):
            fit = [i for i in free if call.operands[i].type == result.type and update < 0]
            reuses.append(fit[0] if fit else -1)
            free = [i for i in free if i not in reuses]
        return tuple(reuses)

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        raise PockError("the target reference runs in the interpreter; it emits no code")


def _is_map(call: CallOp) -> bool:
    shapes = {cast(Tensor, result.type).get_shape() for result in call.results}
    return len(shapes) == 1 and all(isinstance(op, POINTWISE) for op in body_ops(call))


REFERENCE = register_target(
    Target(
        name="reference",
        description="the reference interpreter; no code can be generated",
        vector=VectorUnit(bytes=0, registers=16),
        caches=Caches(l1=32 << 10, l2=1 << 20, l3=0),
        rates=Rates(flops=1e9, bandwidth=1e9, call=1e-6),
        kernels=(ReferenceKernel(),),
    )
)
