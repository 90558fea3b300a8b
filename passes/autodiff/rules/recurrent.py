"""Gradients of the cells of recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.recurrent import GruCellGradOp, GruCellOp, LstmCellGradOp, LstmCellOp
from pock_ir.passes.autodiff.algebra import splat
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)
from pock_ir.types import tensor_type

refuse_second_order(GruCellGradOp, LstmCellGradOp)


@VJP.register(LstmCellOp)
def lstm_cell(
    op: LstmCellOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The gates' activations are computed again.

    forward:  c' = f c + i g;  h' = o tanh(c'), with activations i, f, g, o of the gates
    backward: s = dc' + dh' o (1 - tanh(c')^2);  dc = s f;  dgates from s, c and dh'
    """
    zero = splat(emit, 0.0, tensor_type(op.c))
    dh, dc = (zero if value is None else value for value in cotangents)
    gradients = emit.op(LstmCellGradOp, op.gates, op.c, op.new_c, dh, dc).results
    return _only(gradients, needed)


def _only(gradients: Sequence[SSAValue], needed: Sequence[bool]) -> Gradients:
    """Those of the gradients, all made by one op, that are needed."""
    return [value if need else None for value, need in zip(gradients, needed, strict=True)]


@VJP.register(GruCellOp)
def gru_cell(
    op: GruCellOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The gates' activations are computed again.

    forward:  n = tanh(xn + r hn);  h' = n + z (h - n), with activations r, z of the gates
    backward: dh = dh' z;  dn = dh' (1 - z) (1 - n^2);  dz, dr and the products of dn
    """
    dy = only_first(op, cotangents)
    return _only(emit.op(GruCellGradOp, op.x_gates, op.h_gates, op.h, dy).results, needed)
