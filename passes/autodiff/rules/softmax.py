"""Gradients of softmax and its logarithm, from the result."""

from __future__ import annotations

from pock_ir.dialects.softmax import LogSoftmaxGradOp, LogSoftmaxOp, SoftmaxGradOp, SoftmaxOp
from pock_ir.passes.autodiff.facet import linear, refuse_second_order

refuse_second_order(LogSoftmaxGradOp, SoftmaxGradOp)

# dx = dy - exp(y) sum of dy over the axis
linear(
    LogSoftmaxOp,
    lambda op, dy, emit: emit(LogSoftmaxGradOp, op.results[0], dy, **op.properties),
)
# dx = y (dy - sum of y dy over the axis)
linear(
    SoftmaxOp,
    lambda op, dy, emit: emit(SoftmaxGradOp, op.results[0], dy, **op.properties),
)
