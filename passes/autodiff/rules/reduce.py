"""Gradients of reductions."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.elementwise import CastOp
from pock_ir.dialects.reduce import (
    ArgMaxOp,
    ArgMinOp,
    ExtremumOp,
    MaxOp,
    MeanOp,
    MinOp,
    ProdOp,
    ReduceOp,
    SumOp,
)
from pock_ir.dialects.shape import BroadcastOp
from pock_ir.op import ints
from pock_ir.passes.autodiff.algebra import Term
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    inactive,
    linear,
    only_first,
)
from pock_ir.types import dtype_of, shape_of


def _spread(op: ReduceOp, reduced: SSAValue, emit: GradientEmitter) -> SSAValue:
    """A value of the result's shape, repeated over the axes that were reduced."""
    shape, axes = shape_of(op.x), ints(op.axes)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    return emit(BroadcastOp, reduced, shape=shape, axes=kept) if axes else reduced


inactive(ArgMaxOp, ArgMinOp)


@VJP.register(MaxOp, MinOp)
def extremum(
    op: ExtremumOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Equal extreme elements share the gradient, as in torch.amax and jax.numpy.max.

    forward:  y = max (or min) over axes of x
    backward: dx = m dy / sum of m over axes, with m = 1 where x = y, else 0
    """
    dy, dtype = only_first(op, cotangents), dtype_of(op.x).name
    chosen = Term(emit, op.x).equals(Term(emit, _spread(op, op.result, emit)))
    mask = emit(CastOp, chosen.value, to=dtype)
    count = Term(emit, emit(SumOp, mask, axes=ints(op.axes)))
    share = _spread(op, (Term(emit, dy) / count).value, emit)
    return [(Term(emit, mask) * Term(emit, share)).value]


@VJP.register(ProdOp)
def product(
    op: ProdOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The product of the other elements; a single 0 among them leaves a gradient to itself.

    forward:  y = product over axes of x
    backward: dx = dy p / x without zeros; with one, dy p there and 0 elsewhere; with more, 0;
              p the product of what is not 0
    """
    x, dtype, axes = Term(emit, op.x), dtype_of(op.x).name, ints(op.axes)

    def whole(reduced: SSAValue) -> Term:
        return Term(emit, _spread(op, reduced, emit))

    is_zero = x.equals(0.0)
    nonzero = is_zero.select(1.0, x)
    zeros = whole(emit(SumOp, emit(CastOp, is_zero.value, to=dtype), axes=axes))
    factor = Term(emit, emit(ProdOp, nonzero.value, axes=axes))
    scale = Term(emit, only_first(op, cotangents)) * factor
    slope = whole(scale.value) / nonzero
    alone = zeros.equals(is_zero.select(1.0, zeros.lift(0.0)))
    return [alone.select(slope, 0.0).value]


linear(
    MeanOp,
    lambda op, dy, emit: _spread(op, (Term(emit, dy) / float(op.count())).value, emit),
)
linear(SumOp, _spread)
