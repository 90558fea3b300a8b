"""Gradients of reductions."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.reduce import MaxOp, MeanOp, ReduceOp, SumOp
from pock_ir.dialects.shape import BroadcastOp
from pock_ir.op import ints
from pock_ir.passes.autodiff.algebra import Term
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    linear,
    only_first,
)
from pock_ir.types import dtype_of, shape_of


def _spread(op: ReduceOp, reduced: SSAValue, emit: GradientEmitter) -> SSAValue:
    """A value of the result's shape, repeated over the axes that were reduced."""
    shape, axes = shape_of(op.x), ints(op.axes)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    return emit(BroadcastOp, reduced, shape=shape, axes=kept) if axes else reduced


@VJP.register(MaxOp)
def max_(
    op: MaxOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Equal largest elements share the gradient, as in torch.amax.

    forward:  y = max over axes of x
    backward: dx = m dy / sum of m over axes, with m = 1 where x = y, else 0
    """
    dy, dtype = only_first(op, cotangents), dtype_of(op.x).name
    largest = Term(emit, op.x).equals(Term(emit, _spread(op, op.result, emit)))
    mask = emit(CastOp, largest.value, to=dtype)
    count = Term(emit, emit(SumOp, mask, axes=ints(op.axes)))
    share = _spread(op, (Term(emit, dy) / count).value, emit)
    return [(Term(emit, mask) * Term(emit, share)).value]


linear(
    MeanOp,
    lambda op, dy, emit: _spread(op, (Term(emit, dy) / float(op.count())).value, emit),
)
linear(SumOp, _spread)
