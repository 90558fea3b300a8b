"""Softmax and its logarithm, along the last axis."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import SSAValue

from pock.frontends.tensorflow.table import Call, handles
from pock_ir.dialects.softmax import LogSoftmaxOp, SoftmaxOp
from pock_ir.op import PockOp
from pock_ir.types import shape_of

SOFTMAX: Mapping[str, type[PockOp]] = {"LogSoftmax": LogSoftmaxOp, "Softmax": SoftmaxOp}


@handles(*SOFTMAX)
def softmax(call: Call) -> SSAValue:
    """One op along the last axis."""
    x = call.x()
    return call.emit(SOFTMAX[call.name], x, axis=len(shape_of(x)) - 1)
