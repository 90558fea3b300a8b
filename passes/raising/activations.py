"""Activations: sigmoid, silu, gelu, their hard forms, relu and clamp.

Gradients at kinks count as results. nn.relu and nn.clamp pass none at a bound. So a selection is
raised if its bound belongs to the constant side (x <= 0 gives 0), and clamp(x + 3, 0, 6) makes a
hard sigmoid or hard swish. maximum and minimum share the gradient between equal operands, and a
selection by x < 0 passes all of it at 0: these stay as they are. A selection by x > 0 gives 0 for
NaN, where nn.relu gives NaN, and stays as well.
"""

from __future__ import annotations

from math import inf, pi, sqrt

from xdsl.ir import SSAValue

from pock_ir.dialects.elementwise import (
    AddOp,
    ClampOp,
    CompareOp,
    DivOp,
    ErfOp,
    ExpOp,
    GeluOp,
    HardSigmoidOp,
    HardSwishOp,
    MulOp,
    PowerOp,
    ReciprocalOp,
    ReluOp,
    SelectOp,
    SigmoidOp,
    SiluOp,
    TanhOp,
)
from pock_ir.dialects.functions import ErfcOp
from pock_ir.op import AttributeLike, PockOp, number, text
from pock_ir.passes.raising.forms import X, inverse_of, power_of, square_of
from pock_ir.passes.raising.match import AnyNumber, Named, Number, OneOf, Op, Pattern
from pock_ir.passes.raising.products import Product
from pock_ir.passes.raising.table import Build, Found, Raise

PRODUCTS = (MulOp, DivOp)
"""What a `Product` may end in."""


def one_plus(pattern: Pattern) -> Pattern:
    """1 + x."""
    return Op(AddOp, pattern, Number(1.0))


# Sigmoid: 1 / (1 + e^-x) and e^x / (1 + e^x). The second overflows where the whole op does not.
DENOMINATOR = one_plus(Op(ExpOp, Product(-1.0, X)))
SIGMOID = OneOf(
    inverse_of(DENOMINATOR),
    Op(DivOp, Op(ExpOp, X), one_plus(Op(ExpOp, X))),
)
SILU = OneOf(Product(1.0, Op(SigmoidOp, X), X), Op(DivOp, X, DENOMINATOR))


def half_of_one_plus(pattern: Pattern) -> Pattern:
    """x (1 + f) / 2, also with the half inside of the sum."""
    inside = Op(AddOp, Product(0.5, pattern), Number(0.5))
    return OneOf(Product(0.5, one_plus(pattern), X), Product(1.0, inside, X))


GELU_ERF = OneOf(
    half_of_one_plus(Op(ErfOp, Product(sqrt(0.5), X))),
    Product(0.5, Op(ErfcOp, Product(-sqrt(0.5), X)), X),
)

SLOPE, CUBIC = sqrt(2.0 / pi), 0.044715
SQUARE = square_of(X)
CUBE = OneOf(Product(CUBIC, power_of(X, 3.0)), Product(CUBIC, SQUARE, X), Product(CUBIC, X, X, X))
BEND = one_plus(OneOf(Product(CUBIC, SQUARE), Product(CUBIC, X, X)))
GELU_TANH = half_of_one_plus(
    Op(TanhOp, OneOf(Product(SLOPE, Op(AddOp, X, CUBE)), Product(SLOPE, BEND, X)))
)


def clamped(pattern: Pattern, low: float, high: float) -> Pattern:
    """min(max(x, low), high)."""
    return Op(ClampOp, pattern, where=lambda op: (number(op.min), number(op.max)) == (low, high))


SIX = clamped(Op(AddOp, X, Number(3.0)), 0.0, 6.0)
ONE = clamped(Op(AddOp, Product(1.0 / 6.0, X), Number(0.5)), 0.0, 1.0)
HARD_SIGMOID = OneOf(Product(1.0 / 6.0, SIX), ONE)
HARD_SWISH = OneOf(
    Product(1.0 / 6.0, SIX, X), Product(1.0, ONE, X), Product(1.0, Op(HardSigmoidOp, X), X)
)


def bounded(predicate: str, mirrored: str) -> Pattern:
    """The bound where x compares with it, else x; the comparison may be written either way."""
    bound = AnyNumber("bound")
    comparison = OneOf(
        Op(CompareOp, X, bound, where=lambda op: text(op.predicate) == predicate),
        Op(CompareOp, bound, X, where=lambda op: text(op.predicate) == mirrored),
    )
    return Op(SelectOp, comparison, bound, X)


def unary(op_type: type[PockOp], **properties: AttributeLike) -> Build:
    """Builds an op of x alone."""

    def build(found: Found) -> SSAValue | None:
        if not found.view("x").spans(found.frame):
            return None
        return found.make(op_type, found.lay("x"), **properties)

    return build


def at_least(found: Found) -> SSAValue:
    """relu, or a clamp from below."""
    low = found.number("bound")
    x = found.lay("x")
    return found.make(ReluOp, x) if low == 0.0 else found.make(ClampOp, x, min=low, max=inf)


def at_most(found: Found) -> SSAValue:
    """A clamp from above."""
    return found.make(ClampOp, found.lay("x"), min=-inf, max=found.number("bound"))


def intersected(found: Found) -> SSAValue | None:
    """One clamp in place of two that overlap, or of a clamp and a relu."""
    inner = found.view("inner").owner
    low, high = _cut(_cut((-inf, inf), found.root), inner)
    return found.make(ClampOp, found.lay("x"), min=low, max=high) if low < high else None


def _cut(bounds: tuple[float, float], op: object) -> tuple[float, float]:
    """`bounds` cut to those of a clamp or relu."""
    own = (number(op.min), number(op.max)) if isinstance(op, ClampOp) else (0.0, inf)
    return max(bounds[0], own[0]), min(bounds[1], own[1])


ROWS = (
    Raise("sigmoid", (DivOp, ReciprocalOp, PowerOp), SIGMOID, unary(SigmoidOp)),
    Raise("silu", PRODUCTS, SILU, unary(SiluOp)),
    Raise("gelu", PRODUCTS, GELU_ERF, unary(GeluOp, approximation="none")),
    Raise("gelu-tanh", PRODUCTS, GELU_TANH, unary(GeluOp, approximation="tanh")),
    Raise("hard-swish", PRODUCTS, HARD_SWISH, unary(HardSwishOp)),
    Raise("hard-sigmoid", (ClampOp, DivOp, MulOp), HARD_SIGMOID, unary(HardSigmoidOp)),
    Raise("relu", (SelectOp,), bounded("le", "ge"), at_least),
    Raise("clamp-above", (SelectOp,), bounded("ge", "le"), at_most),
    Raise(
        "clamp-of-clamp",
        (ClampOp, ReluOp),
        OneOf(
            *(
                Op(outer, Named("inner", Op(inner, X)))
                for outer, inner in ((ClampOp, ClampOp), (ClampOp, ReluOp), (ReluOp, ClampOp))
            )
        ),
        intersected,
    ),
)
