"""Cross entropy and its gradient as loop programs.

A count of the valid rows comes first where the mean is asked for. The forward pass writes the cost
of each row to scratch memory and adds the costs up afterwards, so that the order of the sum does
not depend on how rows are shared out.
"""

from __future__ import annotations

from collections.abc import Sequence

from pock_ir.dialects.kern import CallOp, body_ops, yielded
from pock_ir.dialects.loss import CrossEntropyBase, CrossEntropyGradOp, CrossEntropyOp
from pock_ir.lowering.loops.body import Unsupported
from pock_ir.lowering.loops.program import (
    Access,
    Buffer,
    LoopProgram,
    Nest,
    Position,
    Reduced,
    Reduction,
    Source,
    Store,
    Total,
)
from pock_ir.lowering.loops.read import buffer_aliases, buffers_of
from pock_ir.op import integer, number, text
from pock_ir.scalar import (
    Expr,
    arg,
    cast,
    equal,
    exp,
    log,
    maximum,
    minimum,
    not_equal,
    select,
)
from pock_ir.types import DType, dtype_named, dtype_of, shape_of

F32 = dtype_named("f32")
LOGITS, LABELS = 0, 1


def read_cross_entropy(call: CallOp) -> LoopProgram:
    """The loop program of a call of one cross-entropy op. Raises Unsupported for another call."""
    ops = body_ops(call)
    alone = len(ops) == 1 and list(yielded(call)) == list(ops[0].results)
    in_order = list(ops[0].operands) == list(call.body.block.args) if ops else False
    if not (alone and in_order and isinstance(ops[0], CrossEntropyBase)):
        raise Unsupported("not a cross entropy alone")
    match ops[0]:
        case CrossEntropyOp() as forward:
            return _forward(call, forward)
        case CrossEntropyGradOp() as backward:
            return _backward(call, backward)
        case _:
            raise Unsupported("not a cross entropy")


class _Rows:
    """The sources that forward and backward share, over the domain [N, C]."""

    def __init__(self, op: CrossEntropyBase) -> None:
        self.rows, self.classes = shape_of(op.logits)
        labels = dtype_of(op.labels)
        self.sources: list[Source] = [
            Access(LOGITS, F32, (self.classes, 1)),
            Access(LABELS, labels, (1, 0)),
            Position((0, 1)),
        ]
        self.logit, label, column = arg(0), arg(1), arg(2)
        self.valid = not_equal(label, integer(op.ignore_index))
        clamped = maximum(minimum(label, self.classes - 1), 0)
        self.is_label = equal(column, cast(clamped, "i32"))
        self.smoothing = number(op.label_smoothing)

    def source(self, source: Source) -> Expr:
        self.sources.append(source)
        return arg(len(self.sources) - 1)


def _count(op: CrossEntropyBase, labels: DType) -> Nest:
    """The number of valid rows, as a float."""
    valid = not_equal(arg(0), integer(op.ignore_index))
    one = select(valid, cast(Expr("const", value=1.0), "f32"), 0.0)
    source = Access(LABELS, labels, (1,))
    rows = shape_of(op.labels)
    return Nest(rows, frozenset((0,)), (source,), (Reduction("sum", one, F32),), ())


def _counts(op: CrossEntropyBase) -> list[Nest]:
    return [_count(op, dtype_of(op.labels))] if text(op.reduction) == "mean" else []


def _forward(call: CallOp, op: CrossEntropyOp) -> LoopProgram:
    rows = _Rows(op)
    scratch = len(call.operands) + len(call.results)
    reductions: list[Reduction] = []

    def reduce(kind: str, value: Expr) -> Expr:
        reductions.append(Reduction(kind, value, F32))
        return rows.source(Reduced(len(reductions) - 1, F32))

    peak = reduce("max", rows.logit)
    normalizer = peak + log(reduce("sum", exp(rows.logit - peak)))
    cost = (normalizer - reduce("sum", select(rows.is_label, rows.logit, 0.0))) * (
        1 - rows.smoothing
    )
    if rows.smoothing:
        spread = reduce("sum", normalizer - rows.logit) * (rows.smoothing / rows.classes)
        cost = spread if rows.smoothing == 1 else cost + spread
    stores = (
        Store(Access(scratch, F32, (1, 0)), select(rows.valid, cost, 0.0)),
        Store(Access(len(call.operands) + 1, F32, (1, 0)), normalizer),
    )
    domain = (rows.rows, rows.classes)
    main = Nest(domain, frozenset((1,)), tuple(rows.sources), tuple(reductions), stores)
    counts = _counts(op)
    nests = (*counts, main, _loss(call, scratch, rows.rows, bool(counts)))
    buffers = (*buffers_of(call), Buffer(F32, rows.rows))
    return LoopProgram(buffers, nests, {}, split=False, scratch=scratch)


def _loss(call: CallOp, scratch: int, rows: int, mean: bool) -> Nest:
    """The sum of the rows' costs, divided by the count of the first nest for a mean."""
    sources: Sequence[Source] = (
        Access(scratch, F32, (1,)),
        Reduced(0, F32),
        *([Total(0, 0, F32)] if mean else []),
    )
    loss = arg(1) / arg(2) if mean else arg(1)
    store = Store(Access(len(call.operands), F32, (0,)), loss)
    total = Reduction("sum", arg(0), F32)
    return Nest((rows,), frozenset((0,)), tuple(sources), (total,), (store,))


def _backward(call: CallOp, op: CrossEntropyGradOp) -> LoopProgram:
    rows = _Rows(op)
    counts = _counts(op)
    normalizer = rows.source(Access(2, F32, (1, 0)))
    scale = rows.source(Access(3, F32, (0, 0)))
    if counts:
        scale = scale / maximum(rows.source(Total(0, 0, F32)), 1.0)
    target = select(rows.is_label, 1 - rows.smoothing + rows.smoothing / rows.classes, 0.0)
    if rows.smoothing:
        other = cast(Expr("const", value=rows.smoothing / rows.classes), "f32")
        target = select(rows.is_label, 1 - rows.smoothing + rows.smoothing / rows.classes, other)
    share = exp(rows.logit - normalizer) - target
    store = Store(
        Access(len(call.operands), F32, (rows.classes, 1)),
        select(rows.valid, share * scale, 0.0),
    )
    domain = (rows.rows, rows.classes)
    main = Nest(domain, frozenset(), tuple(rows.sources), (), (store,))
    return LoopProgram(buffers_of(call), (*counts, main), buffer_aliases(call), split=True)
