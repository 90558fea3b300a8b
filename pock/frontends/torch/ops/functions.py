"""Roundings, divisions with a remainder, powers and logarithms to other bases."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, log
from typing import Any

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    splat_like,
)
from pock.frontends.torch.ops.elementwise import operand
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.division import IntegerDivOp, RemainderOp
from pock_ir.dialects.elementwise import (
    AbsOp,
    CompareOp,
    DivOp,
    ExpOp,
    LogOp,
    MulOp,
    SelectOp,
    SubOp,
)
from pock_ir.dialects.functions import CeilOp, CosOp, FloorOp, PowOp, RoundOp, SinOp, TruncOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of

aten = torch.ops.aten

ROUNDINGS: Mapping[Any, type[PockOp]] = {
    aten.ceil.default: CeilOp,
    aten.fix.default: TruncOp,
    aten.floor.default: FloorOp,
    aten.round.default: RoundOp,
    aten.trunc.default: TruncOp,
}

REMAINDERS: Mapping[Any, str] = {
    aten.fmod.Scalar: "trunc",
    aten.fmod.Tensor: "trunc",
    aten.remainder.Scalar: "floor",
    aten.remainder.Tensor: "floor",
}

BASES: Mapping[Any, float] = {aten.log2.default: 2.0, aten.log10.default: 10.0}


def _dtype(call: Call) -> str:
    return dtype_of(call.result()).name


def _times(emit: Emitter, x: SSAValue, factor: float) -> SSAValue:
    return emit(MulOp, x, splat_like(emit, factor, x))


@handles(*ROUNDINGS)
def rounded(call: Call) -> SSAValue:
    """The nearest integer in one direction, or in both; integers stay."""
    x = call.tensor("self")
    return call.emit(ROUNDINGS[call.node.target], x) if dtype_of(x).is_float else x


@handles(*REMAINDERS)
def remainder(call: Call) -> SSAValue:
    """What a quotient leaves that is rounded toward zero (fmod) or minus infinity (remainder)."""
    dtype = _dtype(call)
    pair = operand(call, "self", dtype), operand(call, "other", dtype)
    return call.emit(RemainderOp, *pair, rounding=REMAINDERS[call.node.target])


@handles(aten.div.Tensor_mode, aten.div.Scalar_mode, aten.floor_divide.default)
def rounded_division(call: Call) -> SSAValue:
    """A quotient, rounded if there is a mode.

    Of floats it is (x - remainder) / y, which is nearly whole, so that a quotient just below an
    integer is not rounded up to it; of a zero divisor it is x / 0.
    """
    emit, dtype = call.emit, _dtype(call)
    mode = call["rounding_mode"] if "rounding_mode" in call.names() else "floor"
    x, y = operand(call, "self", dtype), operand(call, "other", dtype)
    if mode is None:
        return emit(DivOp, x, y)
    if not dtype_of(x).is_float:
        return emit(IntegerDivOp, x, y, rounding=mode)
    whole = emit(DivOp, emit(SubOp, x, emit(RemainderOp, x, y, rounding=mode)), y)
    is_zero = emit(CompareOp, y, splat_like(emit, 0, y), predicate="eq")
    return emit(RoundOp, emit(SelectOp, is_zero, emit(DivOp, x, y), whole))


@handles(aten.pow.Tensor_Tensor, aten.pow.Scalar)
def power(call: Call) -> SSAValue:
    """x^y for floats. PyTorch's value and gradients: 0 for the exponent's where x is 0."""
    dtype = _dtype(call)
    x, y = operand(call, "self", dtype), operand(call, "exponent", dtype)
    call.require(dtype_of(x).is_float, "integers to powers of integers are not supported")
    return call.emit(PowOp, x, y)


@handles(*BASES)
def logarithm(call: Call) -> SSAValue:
    """log x / log base."""
    x = operand(call, "self", _dtype(call))
    return _times(call.emit, call.emit(LogOp, x), 1 / log(BASES[call.node.target]))


@handles(aten.exp2.default)
def exp2(call: Call) -> SSAValue:
    """e^(x log 2)."""
    x = operand(call, "self", _dtype(call))
    return call.emit(ExpOp, _times(call.emit, x, log(2)))


@handles(aten.tan.default)
def tan(call: Call) -> SSAValue:
    """sin x / cos x."""
    x = operand(call, "self", _dtype(call))
    return call.emit(DivOp, call.emit(SinOp, x), call.emit(CosOp, x))


@handles(aten.isinf.default)
def isinf(call: Call) -> SSAValue:
    """|x| = inf; never for integers."""
    return _compared(call, "eq")


@handles(aten.isfinite.default)
def isfinite(call: Call) -> SSAValue:
    """|x| < inf, which NaN does not fulfil."""
    return _compared(call, "lt")


def _compared(call: Call, predicate: str) -> SSAValue:
    emit, x = call.emit, call.tensor("self")
    if not dtype_of(x).is_float:
        return emit(CompareOp, x, x, predicate="eq" if predicate == "lt" else "ne")
    size = emit(AbsOp, x)
    return emit(CompareOp, size, splat_like(emit, inf, x), predicate=predicate)
