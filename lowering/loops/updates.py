"""Optimizer updates as scalar expressions, one element of the parameter at a time.

The formulas and their order of operations are those of `pock_ir.dialects.optimizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from xdsl.ir import Operation

from pock_ir.dialects.optimizer import AdamOp, LionOp, MomentumOp, SgdOp, UpdateOp
from pock_ir.op import flag, integer, number
from pock_ir.scalar import Expr, equal, select, sqrt
from pock_ir.types import shape_of

Update: TypeAlias = Callable[[Operation, Sequence[Expr]], Sequence[Expr]]


def _decayed(op: UpdateOp, w: Expr, g: Expr) -> Expr:
    decay = number(op.weight_decay)
    return g + decay * w if decay else g


def _sgd(op: Operation, args: Sequence[Expr]) -> Sequence[Expr]:
    w, g, rate = args
    return [w - rate * _decayed(cast(SgdOp, op), w, g)]


def _momentum(operation: Operation, args: Sequence[Expr]) -> Sequence[Expr]:
    op = cast(MomentumOp, operation)
    w, g, buf, rate, step = args
    g = _decayed(op, w, g)
    momentum = number(op.momentum)
    buf = select(equal(step, 0), g, momentum * buf + (1 - number(op.dampening)) * g)
    direction = g + momentum * buf if flag(op.nesterov) else buf
    return [w - rate * direction, buf]


def _adam(operation: Operation, args: Sequence[Expr]) -> Sequence[Expr]:
    op = cast(AdamOp, operation)
    w, g, m, v, rate, correction1, correction2 = args
    if flag(op.decoupled):
        w = w * (1 - rate * number(op.weight_decay))
    else:
        g = _decayed(op, w, g)
    beta1, beta2 = number(op.beta1), number(op.beta2)
    m = _lerp(m, g, 1 - beta1)
    v = beta2 * v + (1 - beta2) * g * g
    if flag(op.eps_before_correction):
        return [w - rate * correction2 / correction1 * m / (sqrt(v) + number(op.eps)), m, v]
    denominator = sqrt(v) / correction2 + number(op.eps)
    return [w - rate / correction1 * m / denominator, m, v]


def _lion(operation: Operation, args: Sequence[Expr]) -> Sequence[Expr]:
    op = cast(LionOp, operation)
    w, g, m, rate = args
    step = _lerp(m, g, 1 - number(op.beta1))
    step = select(step > 0.0, 1.0, select(step < 0.0, -1.0, step))
    return [w - rate * _decayed(op, w, step), _lerp(m, g, 1 - number(op.beta2))]


def _lerp(start: Expr, end: Expr, weight: float) -> Expr:
    if weight < 0.5:
        return start + weight * (end - start)
    return end - (end - start) * (1 - weight)


UPDATES: Mapping[type[Operation], Update] = {
    AdamOp: _adam,
    LionOp: _lion,
    MomentumOp: _momentum,
    SgdOp: _sgd,
}


def slice_begin(op: UpdateOp) -> tuple[int, ...]:
    """Where the updated slice begins in each dim of the parameter."""
    shape = shape_of(op.w)
    return tuple(integer(op.begin) if dim == integer(op.axis) else 0 for dim in range(len(shape)))


def is_partial(op: UpdateOp) -> bool:
    """Whether only a slice of the parameter is updated."""
    return shape_of(op.w) != shape_of(op.g)
