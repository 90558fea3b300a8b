"""Elementwise functions beyond those that activations are made of: waves, roundings, powers."""

from __future__ import annotations

from typing import ClassVar

from xdsl.irdl import irdl_op_definition

from pock_ir import scalar
from pock_ir.dialects.elementwise import BinaryOp, UnaryOp
from pock_ir.scalar import Expr


@irdl_op_definition
class SinOp(UnaryOp):
    """The sine of x in radians; NaN at infinities."""

    name = "nn.sin"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.sin(args[0])


@irdl_op_definition
class CosOp(UnaryOp):
    """The cosine of x in radians; NaN at infinities."""

    name = "nn.cos"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.cos(args[0])


@irdl_op_definition
class Expm1Op(UnaryOp):
    """e^x - 1, with a small relative error near 0."""

    name = "nn.expm1"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.expm1(args[0])


@irdl_op_definition
class Log1pOp(UnaryOp):
    """log(1 + x), with a small relative error near 0; -inf at -1, NaN below."""

    name = "nn.log1p"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.log1p(args[0])


@irdl_op_definition
class ErfcOp(UnaryOp):
    """1 - erf(x), with a small relative error for large x."""

    name = "nn.erfc"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.erfc(args[0])


@irdl_op_definition
class FloorOp(UnaryOp):
    """The largest integer that is at most x."""

    name = "nn.floor"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.floor(args[0])


@irdl_op_definition
class CeilOp(UnaryOp):
    """The smallest integer that is at least x."""

    name = "nn.ceil"

    def scalar(self, *args: Expr) -> Expr:
        return -scalar.floor(-args[0])


@irdl_op_definition
class TruncOp(UnaryOp):
    """x without its fraction."""

    name = "nn.trunc"

    def scalar(self, *args: Expr) -> Expr:
        x = args[0]
        return scalar.select(x < 0.0, -scalar.floor(-x), scalar.floor(x))


@irdl_op_definition
class RoundOp(UnaryOp):
    """The integer nearest to x, the even one of two."""

    name = "nn.round"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.nearest(args[0])


@irdl_op_definition
class SignOp(UnaryOp):
    """1 where x > 0, -1 where x < 0, else x: zeros keep their sign, NaN stays. Also integers."""

    name = "nn.sign"
    ELEMENTS: ClassVar[str] = "number"

    def scalar(self, *args: Expr) -> Expr:
        x = args[0]
        return scalar.select(x > 0, 1, scalar.select(x < 0, -1, x))


@irdl_op_definition
class PowOp(BinaryOp):
    """lhs^rhs with the special values of IEEE 754 pow: x^0 = 1^y = 1, NaN for negative x with a
    y that is no integer. Floats."""

    name = "nn.pow"
    ELEMENTS: ClassVar[str] = "float"

    def scalar(self, *args: Expr) -> Expr:
        return scalar.power(args[0], args[1])
