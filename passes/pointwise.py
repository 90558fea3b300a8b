"""Which ops and calls compute each element of a result from single elements of the operands."""

from __future__ import annotations

from typing import cast

from xdsl.ir import Operation

from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.kern import CallOp, body_ops
from pock_ir.dialects.optimizer import UpdateOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, IotaOp
from pock_ir.types import Tensor, shape_of

GENERATORS: tuple[type[Operation], ...] = (ConstantOp, IotaOp, BroadcastOp)
"""Ops that a reader can compute again for each element, at no cost and without memory."""

POINTWISE: tuple[type[Operation], ...] = (ElementwiseOp, *GENERATORS, DropoutOp)

Shape = tuple[int, ...]


def is_pointwise(op: Operation) -> bool:
    """Whether each result element depends on one element of each operand at most.

    An optimizer update counts if it updates the whole parameter.
    """
    if isinstance(op, UpdateOp):
        return shape_of(op.w) == shape_of(op.g)
    return isinstance(op, POINTWISE)


def anchors(call: CallOp) -> list[Operation]:
    """The ops of the body that are not pointwise: what the kernel's loops are built around."""
    return [op for op in body_ops(call) if not is_pointwise(op)]


def space_of(call: CallOp) -> Shape | None:
    """The shape that all results of an anchorless call have; None if there is no such shape."""
    shapes = {shape_of(cast(Tensor, result.type)) for result in call.results}
    return shapes.pop() if len(shapes) == 1 and not anchors(call) else None
