"""Cross entropy with class indices."""

from __future__ import annotations

from math import nan, prod

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    iota,
    reshape,
    splat_like,
)
from pock.frontends.jax.ops.softmax import axis_of
from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.dialects.elementwise import AddOp, CompareOp, LogicalAndOp, NegOp, SelectOp
from pock_ir.dialects.loss import CrossEntropyOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.dialects.softmax import LogSoftmaxOp
from pock_ir.types import dtype_of, shape_of

NO_LABEL = -(2**31)
"""The ignored label: JAX has none, and no class has this number."""


@takes_whole("cross_entropy")
def cross_entropy(call: Call) -> SSAValue:
    """The mean over all labels of logits[..., C] against labels[...]."""
    emit, logits, labels = call.emit, call.x(0), call.x(1)
    shape = shape_of(logits)
    rows = prod(shape[:-1])
    if dtype_of(labels).name not in ("i32", "i64"):
        labels = cast(emit, labels, "i32")
    op = emit.op(
        CrossEntropyOp,
        reshape(emit, logits, (rows, shape[-1])),
        reshape(emit, labels, (rows,)),
        ignore_index=NO_LABEL,
        reduction="mean",
        label_smoothing=0.0,
    )
    return op.results[0]


@takes_whole("cross_entropy_rows")
def cross_entropy_rows(call: Call) -> SSAValue:
    """One cost for each label: minus the log-softmax at the label, found by comparison.

    A label out of range costs NaN, and a negative one counts from the end, as in optax. Where the
    cost is NaN, the gradient is 0; no such step is taken.
    """
    if len(call) != 2 or call.params.get("where") is not None:
        raise Decline
    emit, logits, labels = call.emit, call.x(0), cast(call.emit, call.x(1), "i32")
    axis = axis_of(call)
    shape = shape_of(logits)
    logs = emit(LogSoftmaxOp, logits, axis=axis)
    others = [i for i in range(len(shape)) if i != axis]
    first, classes = splat_like(emit, 0, labels), splat_like(emit, shape[axis], labels)
    is_negative = emit(CompareOp, labels, first, predicate="lt")
    wanted = emit(SelectOp, is_negative, emit(AddOp, labels, classes), labels)
    columns = broadcast(emit, wanted, shape, others)
    hit = emit(CompareOp, iota(emit, shape, axis, "i32"), columns, predicate="eq")
    chosen = emit(SelectOp, hit, logs, splat_like(emit, 0, logs))
    costs = emit(NegOp, emit(SumOp, chosen, axes=[axis]))
    is_class = emit(
        LogicalAndOp,
        emit(CompareOp, wanted, first, predicate="ge"),
        emit(CompareOp, wanted, classes, predicate="lt"),
    )
    return emit(SelectOp, is_class, costs, splat_like(emit, nan, costs))
