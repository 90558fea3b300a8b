"""Sub-patterns that several families share. X is always the value that an op is about."""

from __future__ import annotations

from sys import float_info

from pock_ir.dialects.elementwise import (
    AddOp,
    DivOp,
    MulOp,
    PowerOp,
    ReciprocalOp,
    RsqrtOp,
    SqrtOp,
    SquareOp,
)
from pock_ir.dialects.reduce import MeanOp
from pock_ir.op import number
from pock_ir.passes.raising.match import AnyNumber, Capture, Number, OneOf, Op, Pattern, Reduce
from pock_ir.passes.raising.products import Product

X = Capture("x")


def power_of(base: Pattern, exponent: float) -> Op:
    """`base` to a fixed power."""
    return Op(PowerOp, base, where=lambda op: number(op.exponent) == exponent)


def square_of(pattern: Pattern) -> Pattern:
    """x^2. A pattern that can fit several values should be `Named`, so that both factors agree."""
    return OneOf(Op(SquareOp, pattern), Op(MulOp, pattern, pattern), power_of(pattern, 2.0))


def inverse_of(pattern: Pattern) -> Pattern:
    """1 / x."""
    return OneOf(
        Op(ReciprocalOp, pattern), Op(DivOp, Number(1.0), pattern), power_of(pattern, -1.0)
    )


def root_of(pattern: Pattern) -> Pattern:
    """The square root."""
    return OneOf(Op(SqrtOp, pattern), power_of(pattern, 0.5))


def inverse_root_of(pattern: Pattern) -> Pattern:
    """1 / the square root."""
    return OneOf(Op(RsqrtOp, pattern), inverse_of(root_of(pattern)), power_of(pattern, -0.5))


def mean_of(pattern: Pattern) -> Pattern:
    """The mean over "axes"; a sum divided by the number of elements has become one before."""
    return Reduce(MeanOp, pattern)


def shifted_by_eps(pattern: Pattern) -> Pattern:
    """x + "eps", which is finite and not negative."""
    return Op(AddOp, pattern, AnyNumber("eps", 0.0, float_info.max))


def normalized(deviation: Pattern, variance: Pattern) -> Pattern:
    """deviation / sqrt(variance + eps)."""
    shifted = shifted_by_eps(variance)
    return OneOf(
        Product(1.0, inverse_root_of(shifted), deviation),
        Op(DivOp, deviation, root_of(shifted)),
    )


def scaled(deviation: Pattern, variance: Pattern, factor: Pattern) -> Pattern:
    """deviation * factor / sqrt(variance + eps)."""
    shifted = shifted_by_eps(variance)
    return OneOf(
        Product(1.0, inverse_root_of(shifted), deviation, factor),
        Op(DivOp, Product(1.0, deviation, factor), root_of(shifted)),
    )
