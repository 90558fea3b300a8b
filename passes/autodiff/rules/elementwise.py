"""Gradients of elementwise ops, as formulas over x (or a, b), the result y, and dy.

Each formula reads the result where that is as good as the operand: a network then keeps one
tensor of the two. At kinks the values are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, pi, sqrt

from pock_ir.dialects.elementwise import (
    AbsOp,
    AddOp,
    CastOp,
    ClampOp,
    CompareOp,
    DivOp,
    ErfOp,
    ExpOp,
    GeluOp,
    HardSigmoidOp,
    HardSwishOp,
    LogicalAndOp,
    LogicalNotOp,
    LogicalOrOp,
    LogOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    NegOp,
    PowerOp,
    ReciprocalOp,
    ReluOp,
    RsqrtOp,
    SelectOp,
    SigmoidOp,
    SiluOp,
    SqrtOp,
    SquareOp,
    StopGradientOp,
    SubOp,
    TanhOp,
)
from pock_ir.op import number, text
from pock_ir.passes.autodiff.algebra import Term, erf, exp, sigmoid, square, tanh
from pock_ir.passes.autodiff.facet import (
    VJP,
    GradientEmitter,
    Gradients,
    binary,
    inactive,
    linear,
    only_first,
    terms,
    unary,
    values,
)
from pock_ir.types import dtype_of

# |x|' = sign x, 0 at 0.
unary(AbsOp, lambda x, y, dy: (x > 0.0).select(dy, (x < 0.0).select(-dy, 0.0)))
binary(AddOp, lambda a, b, y, dy: dy, lambda a, b, y, dy: dy)
linear(CastOp, lambda op, dy, emit: emit(CastOp, dy, to=dtype_of(op.x).name))


@VJP.register(ClampOp)
def clamp(
    op: ClampOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """Nothing passes at a bound or outside, as for torch's hardtanh. NaN passes.

    forward:  y = min(max(x, min), max)
    backward: dx = 0 where y <= min or y >= max, else dy
    """
    y, dy = terms(emit, op.result, only_first(op, cotangents))
    low, high = number(op.min), number(op.max)
    if low != -inf:
        dy = (y <= low).select(0.0, dy)
    if high != inf:
        dy = (y >= high).select(0.0, dy)
    return values(dy)


inactive(CompareOp, StopGradientOp)
binary(DivOp, lambda a, b, y, dy: dy / b, lambda a, b, y, dy: -dy * y / b)
unary(ErfOp, lambda x, y, dy: dy * (exp(-square(x)) * (2.0 / sqrt(pi))))
unary(ExpOp, lambda x, y, dy: dy * y)


@VJP.register(GeluOp)
def gelu(
    op: GeluOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The Gaussian error linear unit, exact or with the tanh approximation.

    forward:  y = x P(x), P the normal distribution or (1 + tanh u(x)) / 2
    backward: dx = dy (P(x) + x P'(x))
    """
    x, dy = terms(emit, op.x, only_first(op, cotangents))
    slope = _normal_slope(x) if text(op.approximation) == "none" else _tanh_slope(x)
    return values(dy * slope)


def _normal_slope(x: Term) -> Term:
    """Phi(x) + x phi(x), with phi(x) = exp(-x^2 / 2) / sqrt(2 pi)."""
    density = exp(square(x) * -0.5) * (1.0 / sqrt(2.0 * pi))
    return (erf(x * sqrt(0.5)) + 1.0) * 0.5 + x * density


def _tanh_slope(x: Term) -> Term:
    """(1 + t) / 2 + x (1 - t^2) u' / 2, with t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    scale, cubic = sqrt(2.0 / pi), 0.044715
    xx = square(x)
    t = tanh(x * (xx * (scale * cubic) + scale))
    du = xx * (3.0 * scale * cubic) + scale
    return ((t + 1.0) + x * (1.0 - square(t)) * du) * 0.5


# y is strictly between 0 and 1 where x is strictly between -3 and 3.
unary(
    HardSigmoidOp,
    lambda x, y, dy: ((y > 0.0) & (y < 1.0)).select(dy * (1.0 / 6.0), 0.0),
)
unary(
    HardSwishOp,
    lambda x, y, dy: (x <= -3.0).select(0.0, (x < 3.0).select(dy * (x * (1.0 / 3.0) + 0.5), dy)),
)
unary(LogOp, lambda x, y, dy: dy / x)
inactive(LogicalAndOp, LogicalNotOp, LogicalOrOp)


def _share(mine: Term, other: Term, loses: Term, dy: Term) -> Term:
    """dy where `mine` was chosen, 0 where it `loses`, half of dy where both are equal."""
    return loses.select(0.0, mine.equals(other).select(dy * 0.5, dy))


binary(
    MaximumOp,
    lambda a, b, y, dy: _share(a, b, a < b, dy),
    lambda a, b, y, dy: _share(b, a, b < a, dy),
)
binary(
    MinimumOp,
    lambda a, b, y, dy: _share(a, b, a > b, dy),
    lambda a, b, y, dy: _share(b, a, b > a, dy),
)
binary(MulOp, lambda a, b, y, dy: dy * b, lambda a, b, y, dy: dy * a)
unary(NegOp, lambda x, y, dy: -dy)


@VJP.register(PowerOp)
def power(
    op: PowerOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """A fixed exponent p, which is not 0.

    forward:  y = x^p
    backward: dx = dy p x^(p - 1)
    """
    x, dy = terms(emit, op.x, only_first(op, cotangents))
    exponent = number(op.exponent)
    if exponent == 1.0:
        return values(dy)
    slope = x if exponent == 2.0 else x.power(exponent - 1.0)
    return values(dy * (slope * exponent))


unary(ReciprocalOp, lambda x, y, dy: -dy * square(y))
# NaN passes, as in torch: only y <= 0 stops.
unary(ReluOp, lambda x, y, dy: (y <= 0.0).select(0.0, dy))
unary(RsqrtOp, lambda x, y, dy: dy * (square(y) * y * -0.5))


@VJP.register(SelectOp)
def select(
    op: SelectOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
) -> Gradients:
    """The condition has no gradient.

    forward:  y = a where cond, else b
    backward: da = dy where cond, else 0;  db = 0 where cond, else dy
    """
    cond, dy = terms(emit, op.cond, only_first(op, cotangents))
    da = cond.select(dy, 0.0) if needed[1] else None
    db = cond.select(0.0, dy) if needed[2] else None
    return values(None, da, db)


unary(SigmoidOp, lambda x, y, dy: dy * (y * (1.0 - y)))


def _silu_slope(x: Term, s: Term) -> Term:
    """s (1 + x (1 - s)), with s = sigmoid(x)."""
    return s * (x * (1.0 - s) + 1.0)


unary(SiluOp, lambda x, y, dy: dy * _silu_slope(x, sigmoid(x)))
unary(SqrtOp, lambda x, y, dy: dy / (y * 2.0))
unary(SquareOp, lambda x, y, dy: dy * (x * 2.0))
binary(SubOp, lambda a, b, y, dy: dy, lambda a, b, y, dy: -dy)
unary(TanhOp, lambda x, y, dy: dy * (1.0 - square(y)))
