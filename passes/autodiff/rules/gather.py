"""Gradients of elements chosen by index, and of running sums."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.gather import (
    GatheringOp,
    GatherOp,
    ScatterAddOp,
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

refuse_second_order(TakeAlongAxisGradOp)


@VJP.register(GatherOp, TakeAlongAxisOp)
def gathered(
    op: GatheringOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Elements that are read several times sum their gradients; indices have none.

    forward:  y[i] = x[ids[i]]
    backward: dx[j] = sum over i with ids[i] = j of dy[i]
    """
    kind = ScatterAddOp if isinstance(op, GatherOp) else TakeAlongAxisGradOp
    dy, size = only_first(op, cotangents), shape_of(op.x)[integer(op.axis)]
    mode = op.out_of_range
    return [emit(kind, op.ids, dy, axis=op.axis, size=size, out_of_range=mode), None]


@VJP.register(ScatterAddOp)
def scattered(
    op: ScatterAddOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """What was added has the gradient of where it went; what was dropped has none.

    forward:  y[j] = sum over i with ids[i] = j of x[i]
    backward: dx[i] = dy[ids[i]]
    """
    if not needed[1]:
        return [None, None]
    dy, mode = only_first(op, cotangents), op.out_of_range
    return [None, emit(GatherOp, dy, op.ids, axis=op.axis, out_of_range=mode, fill=0.0)]


# Each element went into all sums behind it: the same sum from the other end.
linear(
    CumSumOp,
    lambda op, dy, emit: emit(
        CumSumOp, dy, axis=op.axis, exclusive=op.exclusive, reverse=not flag(op.reverse)
    ),
)
