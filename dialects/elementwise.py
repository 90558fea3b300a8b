"""Elementwise ops: each states what it computes for one element, and everything else follows.

All operands and the result have the same shape. Comparisons are false on NaN (except `ne`);
every other op propagates NaN. Nothing is promoted: `nn.cast` is explicit. Integers wrap around.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from math import floor, pi, sqrt
from typing import ClassVar

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, result_def

from pock_ir import scalar
from pock_ir.dialects.checks import expect_fit, expect_shape, expect_type, one_of, operand_type
from pock_ir.dialects.fields import number_property, text_property
from pock_ir.op import PockOp, number, require, text
from pock_ir.scalar import Expr, arg
from pock_ir.types import DTYPES, Array, dtype_named, dtype_of, num_elements, shape_of, tensor

ARITHMETIC = frozenset(
    (
        *("add", "sub", "mul", "div", "neg", "abs", "max", "min", "exp", "log", "sqrt", "tanh"),
        *("erf", "erfc", "expm1", "log1p", "sin", "cos", "floor", "round", "pow"),
    )
)
"""The scalar operations that count as one floating-point operation each."""


class ElementwiseOp(PockOp):
    """An op whose result element i depends on element i of each operand only.

    `scalar` is its meaning; `evaluate`, `flops` and the generated code derive from it.
    """

    ELEMENTS: ClassVar[str] = "float"
    """What element types the operands may have, a key of `checks.KINDS`."""

    @abstractmethod
    def scalar(self, *args: Expr) -> Expr:
        """The result element, from one element of each operand."""

    def body(self) -> Expr:
        """`scalar` applied to the operands by number."""
        return self.scalar(*(arg(index) for index in range(len(self.operands))))

    def infer(self) -> Sequence[Attribute]:
        first = operand_type(self.operands[0], "operand 0", self.ELEMENTS)
        for index, operand in enumerate(self.operands[1:], start=1):
            expect_type(operand, f"operand {index}", first)
        return [first]

    def evaluate(self, *args: Array) -> Array:
        return scalar.evaluate(self.body(), args)

    def flops(self) -> int:
        """One per arithmetic operation or function of the body; comparisons count nothing."""
        operations = sum(node.op in ARITHMETIC for node in _nodes(self.body()))
        return num_elements(self.results[0]) * operations


def _nodes(expression: Expr) -> Collection[Expr]:
    """Each distinct node of `expression` once; a node that is shared is computed once."""
    found: dict[Expr, None] = {}
    pending = [expression]
    while pending:
        node = pending.pop()
        if node not in found:
            found[node] = None
            pending.extend(node.args)
    return found.keys()


class UnaryOp(ElementwiseOp):
    """x -> result, both tensors of the same shape and float element type."""

    x = operand_def(TensorType)
    result = result_def(TensorType)


class BinaryOp(ElementwiseOp):
    """(lhs, rhs) -> result, all tensors of the same shape and element type."""

    ELEMENTS: ClassVar[str] = "number"
    lhs = operand_def(TensorType)
    rhs = operand_def(TensorType)
    result = result_def(TensorType)


@irdl_op_definition
class NegOp(UnaryOp):
    """-x, for floats and integers."""

    name = "nn.neg"
    ELEMENTS: ClassVar[str] = "number"

    def scalar(self, *args: Expr) -> Expr:
        return -args[0]


@irdl_op_definition
class AbsOp(UnaryOp):
    """|x|, for floats and integers."""

    name = "nn.abs"
    ELEMENTS: ClassVar[str] = "number"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.absolute(args[0])


@irdl_op_definition
class ExpOp(UnaryOp):
    """e^x; overflows to inf."""

    name = "nn.exp"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.exp(args[0])


@irdl_op_definition
class LogOp(UnaryOp):
    """The natural logarithm; -inf at 0, NaN below."""

    name = "nn.log"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.log(args[0])


@irdl_op_definition
class SqrtOp(UnaryOp):
    """The square root; NaN below 0, sqrt(-0) = -0."""

    name = "nn.sqrt"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.sqrt(args[0])


@irdl_op_definition
class RsqrtOp(UnaryOp):
    """1 / sqrt(x); inf at 0, NaN below."""

    name = "nn.rsqrt"

    def scalar(self, *args: Expr) -> Expr:
        return 1.0 / scalar.sqrt(args[0])


@irdl_op_definition
class TanhOp(UnaryOp):
    """The hyperbolic tangent."""

    name = "nn.tanh"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.tanh(args[0])


@irdl_op_definition
class SigmoidOp(UnaryOp):
    """1 / (1 + e^-x)."""

    name = "nn.sigmoid"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.sigmoid(args[0])


@irdl_op_definition
class ErfOp(UnaryOp):
    """The Gauss error function."""

    name = "nn.erf"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.erf(args[0])


@irdl_op_definition
class ReluOp(UnaryOp):
    """0 where x <= 0, else x; NaN stays NaN and -0 becomes 0. For floats and integers."""

    name = "nn.relu"
    ELEMENTS: ClassVar[str] = "number"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.select(args[0] <= 0, 0, args[0])


@irdl_op_definition
class SiluOp(UnaryOp):
    """x / (1 + e^-x), also called swish; NaN at -inf, where it is -inf / inf."""

    name = "nn.silu"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] / (1.0 + scalar.exp(-args[0]))


@irdl_op_definition
class SquareOp(UnaryOp):
    """x * x, for floats and integers."""

    name = "nn.square"
    ELEMENTS: ClassVar[str] = "number"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] * args[0]


@irdl_op_definition
class ReciprocalOp(UnaryOp):
    """1 / x; inf with the sign of x at 0."""

    name = "nn.reciprocal"

    def scalar(self, *args: Expr) -> Expr:
        return 1.0 / args[0]


def _relu6_of_shifted(x: Expr) -> Expr:
    return scalar.minimum(scalar.maximum(x + 3.0, 0.0), 6.0)


@irdl_op_definition
class HardSigmoidOp(UnaryOp):
    """min(max(x + 3, 0), 6) / 6."""

    name = "nn.hard_sigmoid"

    def scalar(self, *args: Expr) -> Expr:
        return _relu6_of_shifted(args[0]) * (1.0 / 6.0)


@irdl_op_definition
class HardSwishOp(UnaryOp):
    """x * min(max(x + 3, 0), 6) / 6; NaN at -inf, where it is -inf * 0."""

    name = "nn.hard_swish"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] * _relu6_of_shifted(args[0]) * (1.0 / 6.0)


@irdl_op_definition
class GeluOp(UnaryOp):
    """x Phi(x), the Gaussian error linear unit.

    approximation "none": x (1 + erf(x / sqrt 2)) / 2;
    "tanh": x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2. NaN at -inf, where it is -inf * 0.
    """

    name = "nn.gelu"
    approximation = text_property()

    def infer(self) -> Sequence[Attribute]:
        one_of(self.approximation, ("none", "tanh"), "approximation")
        return super().infer()

    def scalar(self, *args: Expr) -> Expr:
        x = args[0]
        if text(self.approximation) == "none":
            return 0.5 * x * (1.0 + scalar.erf(x * sqrt(0.5)))
        return 0.5 * x * (1.0 + scalar.tanh(sqrt(2.0 / pi) * (x + 0.044715 * (x * x * x))))


@irdl_op_definition
class ClampOp(UnaryOp):
    """min(max(x, min), max); NaN stays NaN. An infinite bound is no bound; min may exceed max."""

    name = "nn.clamp"
    min = number_property()
    max = number_property()

    def infer(self) -> Sequence[Attribute]:
        types = super().infer()
        for what, bound in (("min", number(self.min)), ("max", number(self.max))):
            require(bound == bound, f"{what} should not be NaN")
            expect_fit(bound, dtype_of(types[0]), what)
        return types

    def scalar(self, *args: Expr) -> Expr:
        return scalar.minimum(scalar.maximum(args[0], number(self.min)), number(self.max))


LARGEST_POWER = 1024.0
"""The largest magnitude of an exponent; repeated squaring then needs at most 20 products."""


@irdl_op_definition
class PowerOp(UnaryOp):
    """x^exponent for a fixed exponent other than 0.

    Multiples of 1/2 are products and a square root; any other exponent p is exp(p log x), which
    is NaN for negative x. Differs from IEEE 754 pow for x = -inf with an odd multiple of 1/2.
    """

    name = "nn.power"
    exponent = number_property()

    def infer(self) -> Sequence[Attribute]:
        exponent = number(self.exponent)
        fits = 0.0 < abs(exponent) <= LARGEST_POWER
        require(fits, f"exponent should be nonzero and at most {LARGEST_POWER:g}, not {exponent}")
        return super().infer()

    def scalar(self, *args: Expr) -> Expr:
        exponent = number(self.exponent)
        power = _positive_power(args[0], abs(exponent))
        if power is None:
            return scalar.exp(exponent * scalar.log(args[0]))
        return 1.0 / power if exponent < 0 else power


def _positive_power(x: Expr, exponent: float) -> Expr | None:
    """x^exponent as products and one square root, or None if that is not possible."""
    if (2 * exponent) % 1:
        return None
    product = scalar.sqrt(x) if exponent % 1 else None
    square, rest = x, floor(exponent)
    while rest:
        if rest % 2:
            product = square if product is None else product * square
        rest //= 2
        square = square * square if rest else square
    return product


@irdl_op_definition
class AddOp(BinaryOp):
    """lhs + rhs, for floats and integers."""

    name = "nn.add"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] + args[1]


@irdl_op_definition
class StopGradientOp(UnaryOp):
    """x, through which no gradient passes. Gone once the gradients are there."""

    name = "nn.stop_gradient"
    ELEMENTS: ClassVar[str] = "any"

    def scalar(self, *args: Expr) -> Expr:
        return args[0]


@irdl_op_definition
class SubOp(BinaryOp):
    """lhs - rhs, for floats and integers."""

    name = "nn.sub"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] - args[1]


@irdl_op_definition
class MulOp(BinaryOp):
    """lhs * rhs, for floats and integers."""

    name = "nn.mul"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] * args[1]


@irdl_op_definition
class DivOp(BinaryOp):
    """lhs / rhs, for floats only: integer division has no result for a zero divisor."""

    name = "nn.div"
    ELEMENTS: ClassVar[str] = "float"

    def scalar(self, *args: Expr) -> Expr:
        return args[0] / args[1]


@irdl_op_definition
class MaximumOp(BinaryOp):
    """The larger of lhs and rhs; NaN if either is NaN. For floats and integers."""

    name = "nn.maximum"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.maximum(args[0], args[1])


@irdl_op_definition
class MinimumOp(BinaryOp):
    """The smaller of lhs and rhs; NaN if either is NaN. For floats and integers."""

    name = "nn.minimum"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.minimum(args[0], args[1])


PREDICATES = ("lt", "le", "gt", "ge", "eq", "ne")


@irdl_op_definition
class CompareOp(BinaryOp):
    """lhs `predicate` rhs as i1: lt, le, gt, ge, eq or ne; on NaN all are false but ne.

    lhs, rhs: floats or integers of the same type.
    """

    name = "nn.compare"
    predicate = text_property()

    def infer(self) -> Sequence[Attribute]:
        one_of(self.predicate, PREDICATES, "predicate")
        super().infer()
        return [tensor(shape_of(self.lhs), "i1")]

    def scalar(self, *args: Expr) -> Expr:
        return Expr(text(self.predicate), (args[0], args[1]))


@irdl_op_definition
class LogicalAndOp(BinaryOp):
    """lhs and rhs, all i1."""

    name = "nn.logical_and"
    ELEMENTS: ClassVar[str] = "i1"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.both(args[0], args[1])


@irdl_op_definition
class LogicalOrOp(BinaryOp):
    """lhs or rhs, all i1."""

    name = "nn.logical_or"
    ELEMENTS: ClassVar[str] = "i1"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.either(args[0], args[1])


@irdl_op_definition
class LogicalNotOp(UnaryOp):
    """not x, both i1."""

    name = "nn.logical_not"
    ELEMENTS: ClassVar[str] = "i1"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.negate(args[0])


@irdl_op_definition
class SelectOp(ElementwiseOp):
    """a where cond is true, else b.

    cond: i1; a, b and result: any one element type. A NaN that is not selected has no effect.
    """

    name = "nn.select"
    cond = operand_def(TensorType)
    a = operand_def(TensorType)
    b = operand_def(TensorType)
    result = result_def(TensorType)

    def infer(self) -> Sequence[Attribute]:
        operand_type(self.cond, "cond", "i1")
        chosen = operand_type(self.a, "a")
        expect_type(self.b, "b", chosen)
        expect_shape(self.cond, "cond", shape_of(chosen), self.cond)
        return [chosen]

    def scalar(self, *args: Expr) -> Expr:
        return scalar.select(args[0], args[1], args[2])


@irdl_op_definition
class CastOp(UnaryOp):
    """x as the element type `to`, from any supported element type.

    Float to float rounds to nearest even; float to integer truncates toward zero and is undefined
    for NaN and out of range; integers wrap; to i1 is x != 0; i1 gives 0 or 1.
    """

    name = "nn.cast"
    ELEMENTS: ClassVar[str] = "any"
    to = text_property()

    def infer(self) -> Sequence[Attribute]:
        to = one_of(self.to, tuple(dtype.name for dtype in DTYPES), "to")
        return [tensor(shape_of(operand_type(self.x, "x")), dtype_named(to).type)]

    def scalar(self, *args: Expr) -> Expr:
        return scalar.cast(args[0], text(self.to))
