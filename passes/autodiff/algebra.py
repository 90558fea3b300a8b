"""Arithmetic on tensor values, so that an elementwise gradient reads like its formula."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue

from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import (
    AddOp,
    CastOp,
    CompareOp,
    DivOp,
    ErfOp,
    ExpOp,
    LogicalAndOp,
    LogicalOrOp,
    MulOp,
    NegOp,
    PowerOp,
    RsqrtOp,
    SelectOp,
    SigmoidOp,
    SquareOp,
    SubOp,
    TanhOp,
)
from pock_ir.dialects.shape import BroadcastOp, ConstantOp
from pock_ir.op import PockOp
from pock_ir.types import Tensor, dtype_of, shape_of, tensor_type


def splat(emit: Emitter, value: float, type: Tensor) -> SSAValue:
    """A tensor of `type` whose elements are all `value`."""
    return emit(ConstantOp, value=float(value), type=type)


@dataclass(frozen=True, eq=False)
class Term:
    """A tensor value; arithmetic and comparison emit the elementwise ops.

    The other side is a Term of the same type or a number, which becomes a splat constant.
    A comparison gives a Term of i1 of the same shape; it is false on NaN.
    """

    emit: Emitter
    value: SSAValue

    def lift(self, other: Term | float) -> Term:
        """`other` as a Term of this one's type."""
        if isinstance(other, Term):
            return other
        return Term(self.emit, splat(self.emit, other, tensor_type(self.value)))

    def apply(self, op_type: type[PockOp], *others: Term | float, **properties: float) -> Term:
        """The result of an op on this term and `others`."""
        values = [self.lift(other).value for other in others]
        return Term(self.emit, self.emit(op_type, self.value, *values, **properties))

    def compare(self, predicate: str, other: Term | float) -> Term:
        value = self.emit(CompareOp, self.value, self.lift(other).value, predicate=predicate)
        return Term(self.emit, value)

    def __add__(self, other: Term | float) -> Term:
        return self.apply(AddOp, other)

    def __radd__(self, other: float) -> Term:
        return self.lift(other).apply(AddOp, self)

    def __sub__(self, other: Term | float) -> Term:
        return self.apply(SubOp, other)

    def __rsub__(self, other: float) -> Term:
        return self.lift(other).apply(SubOp, self)

    def __mul__(self, other: Term | float) -> Term:
        return self.apply(MulOp, other)

    def __rmul__(self, other: float) -> Term:
        return self.lift(other).apply(MulOp, self)

    def __truediv__(self, other: Term | float) -> Term:
        return self.apply(DivOp, other)

    def __neg__(self) -> Term:
        return self.apply(NegOp)

    def __lt__(self, other: Term | float) -> Term:
        return self.compare("lt", other)

    def __le__(self, other: Term | float) -> Term:
        return self.compare("le", other)

    def __gt__(self, other: Term | float) -> Term:
        return self.compare("gt", other)

    def __ge__(self, other: Term | float) -> Term:
        return self.compare("ge", other)

    def __and__(self, other: Term) -> Term:
        return self.apply(LogicalAndOp, other)

    def __or__(self, other: Term) -> Term:
        return self.apply(LogicalOrOp, other)

    def equals(self, other: Term | float) -> Term:
        return self.compare("eq", other)

    def select(self, true: Term | float, false: Term | float) -> Term:
        """`true` where this i1 term holds, else `false`; at least one of them is a Term."""
        like = true if isinstance(true, Term) else false
        if not isinstance(like, Term):
            raise TypeError("select needs a Term to know its type")
        branches = [like.lift(true).value, like.lift(false).value]
        return Term(self.emit, self.emit(SelectOp, self.value, *branches))

    def power(self, exponent: float) -> Term:
        return self.apply(PowerOp, exponent=exponent)

    def to(self, dtype: str) -> Term:
        """This term as elements of `dtype`."""
        if dtype_of(self.value).name == dtype:
            return self
        return Term(self.emit, self.emit(CastOp, self.value, to=dtype))

    def spread(self, like: SSAValue, axis: int) -> Term:
        """This rank-1 term, repeated over all axes of `like` but `axis`."""
        value = self.emit(BroadcastOp, self.value, shape=shape_of(like), axes=(axis,))
        return Term(self.emit, value)


def erf(x: Term) -> Term:
    return x.apply(ErfOp)


def exp(x: Term) -> Term:
    return x.apply(ExpOp)


def rsqrt(x: Term) -> Term:
    return x.apply(RsqrtOp)


def sigmoid(x: Term) -> Term:
    return x.apply(SigmoidOp)


def square(x: Term) -> Term:
    return x.apply(SquareOp)


def tanh(x: Term) -> Term:
    return x.apply(TanhOp)
