"""What the kernels written as C text share: single-op bodies and how work is shared out."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from xdsl.ir import Operation

from pock_ir.dialects.kern import CallOp, body_ops, updates_of, yielded
from pock_ir.op import PockOp
from pock_ir.target import Kernel, Target
from pock_ir.targets.c.kernels.loops import (
    WORTH_SHARING,
    function_text,
    transfer_seconds,
)
from pock_ir.types import dtype_of, num_bytes, num_elements


def only_op(call: Operation, repeated: bool = False) -> PockOp | None:
    """The op of a body that holds one op, on the call's operands in order; else None.

    repeated: whether the op may have an operand more than once, as the call never has.
    """
    if not isinstance(call, CallOp) or any(place >= 0 for place in updates_of(call)):
        return None
    ops = body_ops(call)
    if len(ops) != 1 or list(yielded(call)) != list(ops[0].results):
        return None
    operands = list(dict.fromkeys(ops[0].operands)) if repeated else list(ops[0].operands)
    return ops[0] if operands == list(call.body.block.args) else None


class PlainKernel(Kernel):
    """A kernel for calls of exactly one op of one of `OPS`.

    FLOATS: the float types that it computes with; ops that only move data take any element.
    INSTRUCTIONS: scalar instructions per floating-point operation, for the cost.
    REPEATED: whether it runs ops with one operand in several places; see `argument`.
    """

    OPS: ClassVar[tuple[type[PockOp], ...]]
    FLOATS: ClassVar[tuple[str, ...]] = ("f32",)
    INSTRUCTIONS: ClassVar[float] = 4.0
    REPEATED: ClassVar[bool] = False

    def accepts(self, op: PockOp) -> bool:
        """Whether this kernel runs `op`, one of `OPS`."""
        return True

    def matches(self, call: Operation, target: Target) -> bool:
        op = only_op(call, self.REPEATED)
        if op is None or not isinstance(op, self.OPS):
            return False
        values = [*op.operands, *op.results]
        carried = all(dtype_of(v).name in self.FLOATS for v in values if dtype_of(v).is_float)
        full = all(num_elements(value) for value in values)
        return carried and full and self.accepts(op)

    def op(self, call: Operation) -> PockOp:
        """The op of a call that matches. Raises ValueError for another call."""
        op = only_op(call, self.REPEATED)
        if op is None:
            raise ValueError(f"kernel {self.name} takes calls of a single op")
        return op

    def argument(self, op: PockOp, place: int) -> str:
        """The C name of the operand number `place` of `op`, which may occur before as well."""
        return f"a{list(dict.fromkeys(op.operands)).index(op.operands[place])}"

    def seconds(self, call: Operation, target: Target) -> float:
        op = self.op(call)
        moved = sum(num_bytes(value) for value in (*op.operands, *op.results))
        rate = target.rates.flops * self.width(op, target) / (4 * target.vector.lanes(4))
        work = self.INSTRUCTIONS * op.flops() / rate
        return target.rates.call + max(transfer_seconds(moved, target), work)

    def width(self, op: PockOp, target: Target) -> int:
        """How many elements an instruction works on."""
        return 1

    def units(self, op: PockOp, target: Target) -> int:
        """How many independent pieces the work has; parts take whole ones."""
        return 1

    def parts(self, call: Operation, target: Target) -> int:
        long = self.seconds(call, target) > WORTH_SHARING
        return max(1, min(target.threads, self.units(self.op(call), target))) if long else 1

    def bounds(self, call: Operation, target: Target) -> str:
        """C text that declares `first` and `last`, this part's range of units."""
        units, parts = self.units(self.op(call), target), self.parts(call, target)
        if parts == 1:
            return f"    const size_t first = 0, last = {units};"
        return (
            f"    const size_t first = pock_share({units}, (size_t)part, {parts});\n"
            f"    const size_t last = pock_share({units}, (size_t)part + 1, {parts});"
        )

    @abstractmethod
    def body(self, call: CallOp, op: PockOp, target: Target) -> str:
        """The C statements of the kernel."""

    def emit(self, call: Operation, target: Target, symbol: str) -> str:
        assert isinstance(call, CallOp)
        return function_text(call, symbol, self.body(call, self.op(call), target))


ANY = ("f16", "bf16", "f32", "f64")
"""The float types of kernels that move elements and do not compute with them."""
