"""Gradients of dropout."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.dropout import DropoutOp
from pock_ir.passes.autodiff.facet import VJP, GradientEmitter, Gradients, only_first


@VJP.register(DropoutOp)
def dropout(
    op: DropoutOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The mask is drawn again from the same seed, step and stream; it is not kept.

    forward:  y = x keep / (1 - p)
    backward: dx = dy keep / (1 - p)
    """
    _, seed, step = op.operands
    dy = only_first(op, cotangents)
    return [emit(DropoutOp, dy, seed, step, **op.properties), None, None]
