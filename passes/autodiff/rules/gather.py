"""Gradients of elements chosen by index, and of running sums."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.gather import (
    GatherGradOp,
    GatheringOp,
    GatherOp,
    TakeAlongAxisGradOp,
    TakeAlongAxisOp,
)
from pock_ir.dialects.scan import CumSumOp
from pock_ir.op import flag, integer
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    linear,
    only_first,
    refuse_second_order,
)
from pock_ir.types import shape_of

refuse_second_order(GatherGradOp, TakeAlongAxisGradOp)


@VJP.register(GatherOp, TakeAlongAxisOp)
def gathered(
    op: GatheringOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Elements that are read several times sum their gradients; indices have none.

    forward:  y[i] = x[ids[i]]
    backward: dx[j] = sum over i with ids[i] = j of dy[i]
    """
    kind = GatherGradOp if isinstance(op, GatherOp) else TakeAlongAxisGradOp
    dy, size = only_first(op, cotangents), shape_of(op.x)[integer(op.axis)]
    mode = op.out_of_range
    return [emit(kind, op.ids, dy, axis=op.axis, size=size, out_of_range=mode), None]


# Each element went into all sums behind it: the same sum from the other end.
linear(
    CumSumOp,
    lambda op, dy, emit: emit(
        CumSumOp, dy, axis=op.axis, exclusive=op.exclusive, reverse=not flag(op.reverse)
    ),
)
