"""Gradients of attention."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from pock_ir.dialects.attention import AttentionGradOp, AttentionOp
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import CompareOp
from pock_ir.dialects.matmul import MatMulOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.shape import BroadcastOp, IotaOp, ReshapeOp, TransposeOp
from pock_ir.op import flag, integer, number, text
from pock_ir.passes.autodiff.algebra import Term, exp
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)
from pock_ir.types import shape_of, tensor

refuse_second_order(AttentionGradOp)


@VJP.register(AttentionOp)
def attention(
    op: AttentionOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The weights p are computed again from the kept normalizer, not kept.

    forward:  s = scale q k^T + mask;  p = exp(s - log_normalizer);  out = p v
    backward: dv = p^T dout;  ds = p (dout v^T - sum of dout out);
              dq = scale ds k;  dk = scale ds^T q;  dmask = ds, summed where the mask repeats
    """
    dout = only_first(op, cotangents)
    q, k, v, *rest = op.operands
    out, log_normalizer = op.results
    gradients: list[SSAValue | None] = [None] * len(op.operands)
    if any(needed[:3]):
        saved = (dout, q, k, v, out, log_normalizer, *rest)
        found = emit.op(AttentionGradOp, *saved, **op.properties).results
        gradients[:3] = [dx if need else None for dx, need in zip(found, needed[:3], strict=True)]
    if any(needed[3:]):
        gradients[3] = _mask_gradient(op, dout, emit)
    return gradients


def _mask_gradient(op: AttentionOp, dout: SSAValue, emit: GradientEmitter) -> SSAValue:
    """The gradient to an additive mask, from scores [B, H, T, S] in memory."""
    q, k, v, dout, out = (_heads_first(op, x, emit) for x in (op.q, op.k, op.v, dout, op.out))
    mask, *key = op.rest
    shape = (*shape_of(q)[:3], shape_of(k)[2])
    scores = _product(emit, q, k) * number(op.scale) + _spread(emit, mask, shape)
    powers = exp(scores - _spread(emit, op.log_normalizer, shape))
    # Their sum is not 1 where all scores are large, see the op; and 0 where no key is visible.
    total = Term(emit, emit(SumOp, powers.value, axes=[3]))
    p = powers / _spread(emit, total.equals(0.0).select(1.0, total).value, shape)
    dp = _product(emit, dout, v)
    if number(op.dropout) > 0:
        drawn = {"p": number(op.dropout), "stream": integer(op.stream)}
        dp = Term(emit, emit(DropoutOp, dp.value, *key, **drawn))
    inner = emit(SumOp, (Term(emit, dout) * Term(emit, out)).value, axes=[3])
    dscores = p * (dp - _spread(emit, inner, shape))
    if flag(op.causal):
        query, place = (emit(IotaOp, axis=i, type=tensor(shape, "i32")) for i in (2, 3))
        visible = Term(emit, emit(CompareOp, place, query, predicate="le"))
        dscores = visible.select(dscores, 0.0)
    return _gathered(emit, dscores.value, shape_of(mask))


def _heads_first(op: AttentionOp, x: SSAValue, emit: GradientEmitter) -> SSAValue:
    if text(op.layout) == "bhtd":
        return x
    return emit(TransposeOp, x, permutation=[0, 2, 1, 3])


def _product(emit: GradientEmitter, rows: SSAValue, columns: SSAValue) -> Term:
    flags = {"transpose_lhs": False, "transpose_rhs": True}
    return Term(emit, emit(MatMulOp, rows, columns, **flags))


def _spread(emit: GradientEmitter, x: SSAValue, shape: Sequence[int]) -> Term:
    """x, whose dims are the first of `shape` or 1, repeated to `shape`."""
    own = shape_of(x)
    axes = [axis for axis, size in enumerate(own) if size == shape[axis]]
    kept = emit(ReshapeOp, x, shape=[own[axis] for axis in axes])
    return Term(emit, emit(BroadcastOp, kept, shape=shape, axes=axes))


def _gathered(emit: GradientEmitter, x: SSAValue, shape: Sequence[int]) -> SSAValue:
    """x summed over the dims that are 1 in `shape`."""
    axes = [a for a, size in enumerate(shape_of(x)) if size != shape[a]]
    return emit(ReshapeOp, emit(SumOp, x, axes=axes), shape=shape) if axes else x
