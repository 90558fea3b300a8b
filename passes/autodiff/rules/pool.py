"""Gradients of pooling."""

from __future__ import annotations

from pock_ir.dialects.pool import (
    AvgPool2dGradOp,
    AvgPool2dOp,
    MaxPool2dGradOp,
    MaxPool2dOp,
)
from pock_ir.passes.autodiff.facet import linear, refuse_second_order
from pock_ir.types import shape_of

refuse_second_order(AvgPool2dGradOp, MaxPool2dGradOp)

# Each input of a window gets dy divided by what the window's sum was divided by.
linear(
    AvgPool2dOp,
    lambda op, dy, emit: emit(AvgPool2dGradOp, dy, **op.properties, input_shape=shape_of(op.x)),
)
# The first largest input of each window gets its dy, as in torch.
linear(MaxPool2dOp, lambda op, dy, emit: emit(MaxPool2dGradOp, op.x, dy, **op.properties))
