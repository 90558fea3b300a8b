"""Softmax, its logarithm, and the logarithm of sums of exponentials."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    reshape,
    slice_axis,
)
from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.dialects.elementwise import SubOp
from pock_ir.dialects.softmax import LogSoftmaxOp, SoftmaxOp
from pock_ir.types import shape_of

OPS = {"softmax": SoftmaxOp, "log_softmax": LogSoftmaxOp}


def axis_of(call: Call, key: str = "axis") -> int:
    """The one axis that the call is along. Raises Decline if there are several or none."""
    axis = call.params[key]
    if not isinstance(axis, int):
        raise Decline
    return axis % len(call.avals[0].shape)


def only_operand(call: Call) -> None:
    """Raises Decline if the call has operands besides the first, or a mask."""
    if len(call) != 1 or call.params.get("where") is not None:
        raise Decline


@takes_whole(*OPS)
def softmax(call: Call) -> SSAValue:
    """One op along one axis."""
    only_operand(call)
    return call.emit(OPS[call.name], call.x(), axis=axis_of(call))


@takes_whole("logsumexp")
def logsumexp(call: Call) -> SSAValue:
    """x - log_softmax(x), which is the same for every element along the axis: its first is taken.

    Its gradient is softmax(x), as JAX's is.
    """
    only_operand(call)
    params = call.params
    if params.get("b") is not None or params.get("return_sign"):
        raise Decline
    emit, x, axis = call.emit, call.x(), axis_of(call)
    logs = emit(LogSoftmaxOp, x, axis=axis)
    first, rest = (slice_axis(emit, value, axis, 0, 1) for value in (x, logs))
    total = emit(SubOp, first, rest)
    shape = shape_of(total)
    kept = params["keepdims"]
    return total if kept else reshape(emit, total, shape[:axis] + shape[axis + 1 :])
