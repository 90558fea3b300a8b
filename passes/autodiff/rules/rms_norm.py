"""Gradients of normalisation by the root mean square."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.rms_norm import RmsNormGradInputOp, RmsNormGradWeightOp, RmsNormOp
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)

refuse_second_order(RmsNormGradInputOp, RmsNormGradWeightOp)


@VJP.register(RmsNormOp)
def rms_norm(
    op: RmsNormOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The mean square is that of the n elements of the dims axis..end.

    forward:  y = gamma xhat, xhat = x rstd, rstd = 1 / sqrt(mean x^2 + eps)
    backward: g = gamma dy;  dx = rstd (g - xhat sum g xhat / n);
              dgamma = sum dy xhat, over the dims before axis
    """
    dy = only_first(op, cotangents)
    saved = (dy, op.x, op.rstd)
    return [
        emit(RmsNormGradInputOp, *saved, op.gamma, axis=op.axis) if needed[0] else None,
        emit(RmsNormGradWeightOp, *saved, axis=op.axis) if needed[1] else None,
    ]
