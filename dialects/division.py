"""Division with a remainder, and operations on bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition

from pock_ir import scalar
from pock_ir.dialects.checks import one_of
from pock_ir.dialects.elementwise import BinaryOp
from pock_ir.dialects.fields import text_property
from pock_ir.op import text
from pock_ir.scalar import Expr
from pock_ir.types import dtype_of

ROUNDINGS = ("floor", "trunc")
"""Where quotients are rounded to: minus infinity, or zero."""


def _integer_quotient(x: Expr, y: Expr, rounding: str) -> Expr:
    """x / y; -1 for a zero divisor. -1 is no divisor because the least integer has no opposite."""
    is_zero, is_opposite = scalar.equal(y, 0), scalar.equal(y, -1)
    divisor = scalar.select(scalar.either(is_zero, is_opposite), 1, y)
    quotient = x / divisor
    if rounding == "trunc":
        inexact = scalar.not_equal(quotient * divisor, x)
        quotient = scalar.select(scalar.both(inexact, quotient < 0), quotient + 1, quotient)
    return scalar.select(is_zero, -1, scalar.select(is_opposite, -x, quotient))


class RoundedOp(BinaryOp):
    """A binary op whose quotient is rounded as `rounding` says."""

    def infer(self) -> Sequence[Attribute]:
        one_of(self.properties["rounding"], ROUNDINGS, "rounding")
        return super().infer()

    def word(self) -> str:
        return text(self.properties["rounding"])


@irdl_op_definition
class IntegerDivOp(RoundedOp):
    """lhs / rhs for integers, rounded toward minus infinity ("floor") or zero ("trunc").

    The quotient by 0 is -1; the quotient of the least integer by -1 wraps around.
    """

    name = "nn.integer_div"
    ELEMENTS: ClassVar[str] = "integer"
    rounding = text_property()

    def scalar(self, *args: Expr) -> Expr:
        return _integer_quotient(args[0], args[1], self.word())


@irdl_op_definition
class RemainderOp(RoundedOp):
    """lhs - q rhs, where q is lhs / rhs rounded toward minus infinity ("floor") or zero ("trunc").

    The result is 0 or has the sign of rhs ("floor") or of lhs ("trunc"). Integers: lhs for a zero
    divisor. Floats: NaN for a zero divisor and an infinite lhs; rounding of q rhs may err by one
    unit of the last place of lhs.
    """

    name = "nn.remainder"
    rounding = text_property()

    def scalar(self, *args: Expr) -> Expr:
        x, y = args
        if not dtype_of(self.lhs).is_float:
            quotient = _integer_quotient(x, y, self.word())
            return scalar.select(scalar.equal(y, 0), x, x - quotient * y)
        return _float_remainder(x, y, self.word())


def _float_remainder(x: Expr, y: Expr, rounding: str) -> Expr:
    """The rounded quotient may be off by one, which shows in the size or sign of the result."""
    size, divisor = scalar.absolute(x), scalar.absolute(y)
    rest = size - scalar.floor(size / divisor) * divisor
    rest = scalar.select(rest < 0.0, rest + divisor, rest)
    rest = scalar.select(rest >= divisor, rest - divisor, rest)
    rest = scalar.select(scalar.both(size < divisor, divisor > 0.0), size, rest)
    signed = scalar.select(x < 0.0, -rest, rest)
    if rounding == "trunc":
        return signed
    differs = scalar.either(scalar.both(signed < 0.0, y > 0.0), scalar.both(signed > 0.0, y < 0.0))
    return scalar.select(differs, signed + y, signed)


BIT_OPERATIONS = ("and", "or", "xor")


@irdl_op_definition
class BitwiseOp(BinaryOp):
    """The bits of lhs and rhs, combined by `operation`: and, or or xor. Integers."""

    name = "nn.bitwise"
    ELEMENTS: ClassVar[str] = "integer"
    operation = text_property()

    def infer(self) -> Sequence[Attribute]:
        one_of(self.operation, BIT_OPERATIONS, "operation")
        return super().infer()

    def scalar(self, *args: Expr) -> Expr:
        return scalar.bitwise(text(self.operation), args[0], args[1])
