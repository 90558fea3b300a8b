"""Cross entropies. A mean or sum over all rows becomes one op with its own gradient."""

from __future__ import annotations

from math import nan

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    common_shape,
    peel,
    reshape,
    slice_axis,
    splat_like,
)
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.dialects.elementwise import AddOp, MulOp, NegOp, StopGradientOp, SubOp
from pock_ir.dialects.gather import TakeAlongAxisOp
from pock_ir.dialects.loss import CrossEntropyOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.softmax import LogSoftmaxOp
from pock_ir.types import shape_of

NO_LABEL = -(1 << 31)
"""No label has this number: TensorFlow ignores none."""


@handles("SparseSoftmaxCrossEntropyWithLogits")
def sparse_cross_entropy(call: Call) -> tuple[SSAValue | None, ...]:
    """-log softmax(logits[N, C]) at labels[N], for each row.

    TensorFlow refuses labels out of range on a CPU; here such a row gives NaN.
    """
    emit, logits, labels = call.emit, call.x(0), call.x(1)
    rows = shape_of(labels)
    logs = emit(LogSoftmaxOp, logits, axis=1)
    column = reshape(emit, labels, (*rows, 1))
    taken = emit(TakeAlongAxisOp, logs, column, axis=1, out_of_range="fill", fill=nan)
    costs = emit(NegOp, reshape(emit, taken, rows))
    call.memory["costs", costs] = (logits, labels)
    return costs, None


def reduced_rows(call: Call, x: SSAValue, reduction: str) -> SSAValue | None:
    """The mean or sum of all x if these are the costs of rows as they come, else None."""
    found = call.memory.get(("costs", peel(x)))
    if found is None or shape_of(peel(x)) != tuple(n for n in shape_of(x) if n != 1):
        return None
    logits, labels = found
    properties = {"ignore_index": NO_LABEL, "reduction": reduction, "label_smoothing": 0.0}
    return call.emit.op(CrossEntropyOp, logits, labels, **properties).results[0]


@handles("SoftmaxCrossEntropyWithLogits")
def cross_entropy(call: Call) -> tuple[SSAValue | None, ...]:
    """-sum of labels[N, C] * log softmax(logits[N, C]), for each row.

    TensorFlow's gradient to the logits is softmax(logits) - labels, also for labels whose row does
    not add up to 1. What it then differs by from the loss's is added as a term that is 0.
    """
    emit, logits, labels = call.emit, call.x(0), call.x(1)
    shape = common_shape(shape_of(logits), shape_of(labels))
    logits, labels = broadcast(emit, logits, shape), broadcast(emit, labels, shape)
    logs = emit(LogSoftmaxOp, logits, axis=1)
    costs = emit(NegOp, emit(SumOp, emit(MulOp, labels, logs), axes=[1]))
    if not call.is_active(0):
        return costs, None
    total = emit(SumOp, emit(StopGradientOp, labels), axes=[1])
    excess = emit(SubOp, splat_like(emit, 1, total), total)
    first = emit(SubOp, *(slice_axis(emit, x, 1, 0, 1) for x in (logits, logs)))
    normalizer = reshape(emit, first, shape[:1])
    nothing = emit(SubOp, normalizer, emit(StopGradientOp, normalizer))
    return emit(AddOp, costs, emit(MulOp, excess, nothing)), None
