"""Gradients of attention."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.attention import AttentionGradOp, AttentionOp
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
    unsupported,
)

refuse_second_order(AttentionGradOp)


@VJP.register(AttentionOp)
def attention(
    op: AttentionOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The weights p are computed again from the kept normalizer, not kept.

    forward:  s = scale q k^T + mask;  p = exp(s - log_normalizer);  out = p v
    backward: dv = p^T dout;  ds = p (dout v^T - sum of dout out);
              dq = scale ds k;  dk = scale ds^T q
    """
    dout = only_first(op, cotangents)
    q, k, v, *rest = op.operands
    if any(needed[3:]):
        raise unsupported(op, "a mask that depends on a trained parameter has no gradient")
    out, log_normalizer = op.results
    saved = (dout, q, k, v, out, log_normalizer, *rest)
    grad = emit.op(AttentionGradOp, *saved, **op.properties)
    zeros = [None] * len(rest)
    return [dx if need else None for dx, need in zip(grad.results, needed[:3], strict=True)] + zeros
