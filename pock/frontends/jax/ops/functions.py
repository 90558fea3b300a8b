"""Powers, and functions that are made of several ops."""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from jax.lax import RoundingMethod
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    splat_like,
)
from pock.frontends.jax.ops.elementwise import operands
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.elementwise import (
    AddOp,
    DivOp,
    ExpOp,
    MulOp,
    NegOp,
    PowerOp,
    ReciprocalOp,
    RsqrtOp,
    SqrtOp,
    SquareOp,
    SubOp,
)
from pock_ir.dialects.functions import (
    CosOp,
    Expm1Op,
    Log1pOp,
    PowOp,
    RoundOp,
    SinOp,
)
from pock_ir.op import PockOp
from pock_ir.types import dtype_of

POWERS: Mapping[float, type[PockOp]] = {
    -1.0: ReciprocalOp,
    -0.5: RsqrtOp,
    0.5: SqrtOp,
    2.0: SquareOp,
}


@handles("round")
def round_(call: Call) -> SSAValue:
    """The nearest integer, the even one of two; the other rule of lax.round is refused."""
    to_even = call.params["rounding_method"] == RoundingMethod.TO_NEAREST_EVEN
    call.require(to_even, "rounding of halves away from zero is not supported", "use jnp.round")
    return call.emit(RoundOp, call.x())


@handles("tan")
def tan(call: Call) -> SSAValue:
    """sin / cos."""
    x = call.x()
    return call.emit(DivOp, call.emit(SinOp, x), call.emit(CosOp, x))


@handles("sinh")
def sinh(call: Call) -> SSAValue:
    """(expm1(x) - expm1(-x)) / 2."""
    emit, x = call.emit, call.x()
    ends = (emit(Expm1Op, value) for value in (x, emit(NegOp, x)))
    twice = emit(SubOp, *ends)
    return emit(MulOp, twice, splat_like(emit, 0.5, twice))


@handles("cosh")
def cosh(call: Call) -> SSAValue:
    """(exp(x) + exp(-x)) / 2."""
    emit, x = call.emit, call.x()
    ends = (emit(ExpOp, value) for value in (x, emit(NegOp, x)))
    twice = emit(AddOp, *ends)
    return emit(MulOp, twice, splat_like(emit, 0.5, twice))


@handles("atanh")
def atanh(call: Call) -> SSAValue:
    """(log1p(x) - log1p(-x)) / 2."""
    emit, x = call.emit, call.x()
    ends = (emit(Log1pOp, value) for value in (x, emit(NegOp, x)))
    twice = emit(SubOp, *ends)
    return emit(MulOp, twice, splat_like(emit, 0.5, twice))


@handles("exp2")
def exp2(call: Call) -> SSAValue:
    """exp(x log 2)."""
    x = call.x()
    return call.emit(ExpOp, call.emit(MulOp, x, splat_like(call.emit, log(2.0), x)))


@handles("integer_pow")
def integer_pow(call: Call) -> SSAValue:
    """x to a fixed integer power."""
    return _power(call, float(call.params["y"]))


@handles("pow")
def pow_(call: Call) -> SSAValue:
    """x to the power of one known number, or of a tensor."""
    exponent = call.number(1)
    if exponent is not None and (float(exponent) in POWERS or float(exponent) % 1 == 0):
        return _power(call, float(exponent))
    call.require(dtype_of(call.x(0)).is_float, "a power of integers needs a known exponent")
    base, power = operands(call)
    return call.emit(PowOp, base, cast(call.emit, power, call.dtype()))


def _power(call: Call, exponent: float) -> SSAValue:
    x = call.x()
    if exponent == 0:
        return splat_like(call.emit, 1, x)
    if exponent == 1:
        return x
    if dtype_of(x).is_float:
        if exponent in POWERS:
            return call.emit(POWERS[exponent], x)
        return call.emit(PowerOp, x, exponent=exponent)
    call.require(exponent > 0 and exponent % 1 == 0, "integers need a positive integer exponent")
    return _repeated_product(call, x, int(exponent))


def _repeated_product(call: Call, x: SSAValue, exponent: int) -> SSAValue:
    product: SSAValue | None = None
    while exponent:
        if exponent % 2:
            product = x if product is None else call.emit(MulOp, product, x)
        exponent //= 2
        x = call.emit(MulOp, x, x) if exponent else x
    assert product is not None
    return product
