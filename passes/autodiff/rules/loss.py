"""Gradients of losses."""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.loss import CrossEntropyGradOp, CrossEntropyOp
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    only_first,
    refuse_second_order,
)

refuse_second_order(CrossEntropyGradOp)


@VJP.register(CrossEntropyOp)
def cross_entropy(
    op: CrossEntropyOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """q is the smoothed one-hot label; rows of the ignored label count nothing.

    forward:  loss = mean or sum over n of (log_normalizer[n] - sum over c of q[n, c] logits[n, c])
    backward: dlogits = dloss (softmax(logits) - q), divided by the row count for the mean
    """
    dloss = only_first(op, cotangents)
    logits, labels = op.operands
    saved = (logits, labels, op.results[1], dloss)
    return [emit(CrossEntropyGradOp, *saved, **op.properties), None]
