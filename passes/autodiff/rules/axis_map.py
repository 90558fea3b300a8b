"""Gradients of ops with a table of taps: the op with the transposed table."""

from __future__ import annotations

from pock_ir.dialects.axis_map import ReverseOp
from pock_ir.dialects.border_pad import BorderPadGradOp, BorderPadOp
from pock_ir.dialects.resize import ResizeGradOp, ResizeOp
from pock_ir.op import integer
from pock_ir.passes.autodiff.facet import linear, refuse_second_order
from pock_ir.types import shape_of

refuse_second_order(BorderPadGradOp, ResizeGradOp)

linear(BorderPadOp, lambda op, dy, emit: emit(BorderPadGradOp, dy, **op.properties))
linear(
    ResizeOp,
    lambda op, dy, emit: emit(
        ResizeGradOp, dy, **{**op.properties, "size": shape_of(op.x)[integer(op.axis)]}
    ),
)
linear(ReverseOp, lambda op, dy, emit: emit(ReverseOp, dy, **op.properties))
