"""Building IR: an emitter that inserts ops at one place and stamps their source location."""

from __future__ import annotations

from typing import TypeVar

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from pock_ir.op import AttributeLike, PockOp

Op = TypeVar("Op", bound=Operation)


class Emitter:
    """Inserts ops at `point`, in order, each with `location` unless it has one.

    `emit(ReluOp, x)` builds, inserts and returns the op's single result; `emit.op` returns the
    op itself, for ops with several results. `source` names the location for the ops to come.
    """

    def __init__(self, point: InsertPoint, location: LocationAttr) -> None:
        self.point = point
        self.location = location

    @staticmethod
    def at_end(block: Block, location: LocationAttr) -> Emitter:
        return Emitter(InsertPoint.at_end(block), location)

    @staticmethod
    def before(op: Operation) -> Emitter:
        return Emitter(InsertPoint.before(op), op.location)

    def insert(self, op: Op) -> Op:
        """Insert an op that was built elsewhere and give it the emitter's location."""
        op.location = self.location
        Rewriter.insert_op(op, self.point)
        return op

    def op(
        self,
        op_type: type[PockOp],
        *operands: SSAValue | Operation,
        **properties: AttributeLike | None,
    ) -> PockOp:
        return self.insert(op_type.make_with(operands, properties))

    def __call__(
        self,
        op_type: type[PockOp],
        *operands: SSAValue | Operation,
        **properties: AttributeLike | None,
    ) -> SSAValue:
        results = self.op(op_type, *operands, **properties).results
        if len(results) != 1:
            raise ValueError(f"{op_type.name} has {len(results)} results; use emit.op")
        return results[0]
