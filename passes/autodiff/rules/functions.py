"""Gradients of elementwise functions; see `elementwise` for the form of a formula."""

from __future__ import annotations

from math import pi, sqrt

from pock_ir.dialects.division import BitwiseOp, IntegerDivOp, RemainderOp
from pock_ir.dialects.elementwise import LogOp
from pock_ir.dialects.functions import (
    CeilOp,
    CosOp,
    ErfcOp,
    Expm1Op,
    FloorOp,
    Log1pOp,
    PowOp,
    RoundOp,
    SignOp,
    SinOp,
    TruncOp,
)
from pock_ir.passes.autodiff.algebra import Term, exp, square
from pock_ir.passes.autodiff.facet import binary, inactive, unary

unary(CosOp, lambda x, y, dy: -(dy * x.apply(SinOp)))
unary(ErfcOp, lambda x, y, dy: dy * (exp(-square(x)) * (-2.0 / sqrt(pi))))
unary(Expm1Op, lambda x, y, dy: dy * (y + 1.0))
unary(Log1pOp, lambda x, y, dy: dy / (x + 1.0))
unary(SinOp, lambda x, y, dy: dy * x.apply(CosOp))
inactive(CeilOp, FloorOp, RoundOp, SignOp, TruncOp)
inactive(BitwiseOp, IntegerDivOp)


def _power_slope(a: Term, b: Term, y: Term, dy: Term) -> Term:
    """b a^(b - 1), and 0 where b is 0, whatever a."""
    return b.equals(0.0).select(0.0, dy * (b * a.apply(PowOp, b - 1.0)))


def _exponent_slope(a: Term, b: Term, y: Term, dy: Term) -> Term:
    """y log a, and 0 where a is 0."""
    return dy * (y * a.equals(0.0).select(1.0, a).apply(LogOp))


binary(PowOp, _power_slope, _exponent_slope)


def _divisor_slope(a: Term, b: Term, y: Term, dy: Term) -> Term:
    """-q, where y = a - q b with a quotient q that is constant almost everywhere."""
    return -(dy * ((a - y) / b).apply(RoundOp))


binary(RemainderOp, lambda a, b, y, dy: dy, _divisor_slope)
