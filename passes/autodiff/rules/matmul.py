"""Gradients of matrix products."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.matmul import LinearGradWeightOp, LinearOp, MatMulOp
from pock_ir.op import flag, text
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)
from pock_ir.passes.trained import slice_axis
from pock_ir.types import shape_of

refuse_second_order(LinearGradWeightOp)


@VJP.register(LinearOp)
def linear_(
    op: LinearOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The input gradient reads the weight in the other layout.

    forward:  y[.., o] = sum over i of x[.., i] w[o, i]
    backward: dx[.., i] = sum over o of dy[.., o] w[o, i];  dw[o, i] = sum over .. of dy x
    """
    dy = only_first(op, cotangents)
    other = {"oi": "io", "io": "oi"}[text(op.weight_layout)]
    dx = emit(LinearOp, dy, op.w, weight_layout=other) if needed[0] else None
    return [dx, _weight_gradient(op, dy, emit) if needed[1] else None]


def _weight_gradient(op: LinearOp, dy: SSAValue, emit: GradientEmitter) -> SSAValue:
    """The gradient to w: of the requested slice only, from that slice of x or of dy."""
    x, layout = op.x, text(op.weight_layout)
    part = emit.requested(1)
    last = len(shape_of(x)) - 1
    if part is not None and layout[part.axis] == "i":
        x = slice_axis(emit, x, last, part.begin, part.size)
    elif part is not None:
        dy = slice_axis(emit, dy, last, part.begin, part.size)
    return emit(LinearGradWeightOp, x, dy, weight_layout=layout)


@VJP.register(MatMulOp)
def matmul(
    op: MatMulOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """With A and B the operands as they are multiplied, after their transposition.

    forward:  y = A B
    backward: dA = dy B^T;  dB = A^T dy, each transposed back where its operand was
    """
    dy = only_first(op, cotangents)
    turned_lhs, turned_rhs = flag(op.transpose_lhs), flag(op.transpose_rhs)
    dlhs = (dy, False, op.rhs, not turned_rhs)
    drhs = (op.lhs, not turned_lhs, dy, False)
    return [
        _product(emit, dlhs, turned_lhs) if needed[0] else None,
        _product(emit, drhs, turned_rhs) if needed[1] else None,
    ]


def _product(
    emit: GradientEmitter, factors: tuple[SSAValue, bool, SSAValue, bool], turned: bool
) -> SSAValue:
    """lhs rhs, or (lhs rhs)^T = rhs^T lhs^T if `turned`; a flag transposes its factor."""
    lhs, lhs_turned, rhs, rhs_turned = factors
    if turned:
        lhs, lhs_turned, rhs, rhs_turned = rhs, not rhs_turned, lhs, not lhs_turned
    return emit(MatMulOp, lhs, rhs, transpose_lhs=lhs_turned, transpose_rhs=rhs_turned)
