"""Which ops and calls compute each element of a result from single elements of the operands."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Operation, SSAValue

from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.kern import NONE, CallOp, body_ops, updates_of, yielded
from pock_ir.dialects.optimizer import UpdateOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, IotaOp
from pock_ir.types import shape_of

GENERATORS: tuple[type[Operation], ...] = (ConstantOp, IotaOp, BroadcastOp)
"""Ops that a reader can compute again for each element, at no cost and without memory."""

POINTWISE: tuple[type[Operation], ...] = (ElementwiseOp, *GENERATORS, DropoutOp, UpdateOp)

Shape = tuple[int, ...]


def is_pointwise(op: Operation) -> bool:
    """Whether each result element depends on one element of each operand at most."""
    return isinstance(op, POINTWISE)


def anchors(call: CallOp) -> list[Operation]:
    """The ops of the body that are not pointwise: what the kernel's loops are built around."""
    return [op for op in body_ops(call) if not is_pointwise(op)]


def space_of(call: CallOp) -> Shape | None:
    """The shape over which an anchorless call computes all its results; None if there is none."""
    shapes = {_space(value) for value in yielded(call)}
    return shapes.pop() if len(shapes) == 1 and not anchors(call) else None


def _space(value: SSAValue) -> Shape:
    """An update runs over its gradient, which may be a slice of the parameter."""
    owner = value.owner
    return shape_of(owner.g if isinstance(owner, UpdateOp) else value)


def anchor_inputs(ops: Sequence[Operation]) -> set[SSAValue]:
    """Every value of a body, given by its ops in order, that an anchor depends on."""
    needed: set[SSAValue] = set()
    for op in reversed(ops):
        if not is_pointwise(op) or any(result in needed for result in op.results):
            needed.update(op.operands)
    return needed


def anchor_first(ops: Sequence[Operation]) -> list[Operation]:
    """The ops of a body with what an anchor needs first, the anchors next, then all others."""
    needed = anchor_inputs(ops)

    def rank(op: Operation) -> int:
        if any(result in needed for result in op.results):
            return 0
        return 2 if is_pointwise(op) else 1

    return sorted(ops, key=rank)


def overwrites_anchor_input(call: CallOp) -> bool:
    """Whether an updated operand feeds an anchor, which may read it after it has changed."""
    inputs = anchor_inputs(body_ops(call))
    return any(call.body.block.args[i] in inputs for i in updates_of(call) if i != NONE)
