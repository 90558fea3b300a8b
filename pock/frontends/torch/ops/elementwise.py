"""Elementwise operators. Promotion and broadcasting become explicit casts and broadcasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    splat,
    splat_like,
)
from pock.frontends.torch.table import DTYPE_NAMES, Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.division import BitwiseOp
from pock_ir.dialects.elementwise import (
    AbsOp,
    AddOp,
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
    SubOp,
    TanhOp,
)
from pock_ir.dialects.functions import CosOp, ErfcOp, Expm1Op, Log1pOp, SinOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, tensor

aten = torch.ops.aten

UNARY: Mapping[Any, type[PockOp]] = {
    aten.abs.default: AbsOp,
    aten.cos.default: CosOp,
    aten.erf.default: ErfOp,
    aten.erfc.default: ErfcOp,
    aten.exp.default: ExpOp,
    aten.expm1.default: Expm1Op,
    aten.hardsigmoid.default: HardSigmoidOp,
    aten.hardswish.default: HardSwishOp,
    aten.log.default: LogOp,
    aten.log1p.default: Log1pOp,
    aten.neg.default: NegOp,
    aten.reciprocal.default: ReciprocalOp,
    aten.relu.default: ReluOp,
    aten.rsqrt.default: RsqrtOp,
    aten.sigmoid.default: SigmoidOp,
    aten.silu.default: SiluOp,
    aten.sin.default: SinOp,
    aten.sqrt.default: SqrtOp,
    aten.tanh.default: TanhOp,
}

BINARY: Mapping[Any, type[PockOp]] = {
    aten.add.Scalar: AddOp,
    aten.add.Tensor: AddOp,
    aten.div.Scalar: DivOp,
    aten.div.Tensor: DivOp,
    aten.maximum.default: MaximumOp,
    aten.minimum.default: MinimumOp,
    aten.mul.Scalar: MulOp,
    aten.mul.Tensor: MulOp,
    aten.sub.Scalar: SubOp,
    aten.sub.Tensor: SubOp,
}

# What add and mul mean on truth values; PyTorch defines no sub and no div for them.
ON_TRUTH: Mapping[type[PockOp], type[PockOp]] = {
    AddOp: LogicalOrOp,
    MaximumOp: LogicalOrOp,
    MulOp: LogicalAndOp,
    MinimumOp: LogicalAndOp,
}

COMPARE: Mapping[Any, str] = {
    getattr(getattr(aten, name), overload): name
    for name in ("lt", "le", "gt", "ge", "eq", "ne")
    for overload in ("Scalar", "Tensor")
}

LOGICAL: Mapping[Any, tuple[type[PockOp] | None, str]] = {
    aten.bitwise_and.Scalar: (LogicalAndOp, "and"),
    aten.bitwise_and.Tensor: (LogicalAndOp, "and"),
    aten.bitwise_or.Scalar: (LogicalOrOp, "or"),
    aten.bitwise_or.Tensor: (LogicalOrOp, "or"),
    aten.bitwise_xor.Scalar: (None, "xor"),
    aten.bitwise_xor.Tensor: (None, "xor"),
    aten.logical_and.default: (LogicalAndOp, "and"),
    aten.logical_or.default: (LogicalOrOp, "or"),
    aten.logical_xor.default: (None, "xor"),
}
"""By operator: what it is on truth values (None: they differ), and on the bits of integers."""

POWERS: Mapping[float, type[PockOp]] = {
    -1.0: ReciprocalOp,
    -0.5: RsqrtOp,
    0.5: SqrtOp,
    2.0: SquareOp,
}


def operand(call: Call, name: str, dtype: str) -> SSAValue:
    """Argument `name`, a tensor or a number, with elements `dtype` and the result's shape."""
    value = call[name]
    if not isinstance(value, SSAValue):
        return splat(call.emit, value, tensor(call.shape(), dtype))
    return broadcast(call.emit, cast(call.emit, value, dtype), call.shape())


def _dtype(call: Call) -> str:
    return dtype_of(call.result()).name


@handles(*UNARY)
def unary(call: Call) -> SSAValue:
    """f(x), in the element type of the result: PyTorch promotes integers to floats."""
    return call.emit(UNARY[call.node.target], operand(call, "self", _dtype(call)))


@handles(*BINARY)
def binary(call: Call) -> SSAValue:
    """f(x, y) with promotion to the element type of the result; add and sub scale y by alpha."""
    names = list(call.names())
    dtype = _dtype(call)
    op_type = BINARY[call.node.target]
    if dtype == "i1":
        op_type = ON_TRUTH.get(op_type, op_type)
    lhs, rhs = operand(call, names[0], dtype), operand(call, names[1], dtype)
    alpha = call["alpha"] if "alpha" in names else 1
    if alpha != 1:
        rhs = call.emit(MulOp, rhs, splat_like(call.emit, alpha, rhs))
    return call.emit(op_type, lhs, rhs)


@handles(*COMPARE)
def compare(call: Call) -> SSAValue:
    """x < y and the like, in the element type that PyTorch promotes both to."""
    common = torch.result_type(call.meta("self"), call.meta("other"))
    dtype = "i32" if common is torch.bool else DTYPE_NAMES[common]
    lhs, rhs = operand(call, "self", dtype), operand(call, "other", dtype)
    return call.emit(CompareOp, lhs, rhs, predicate=COMPARE[call.node.target])


@handles(*LOGICAL)
def logical(call: Call) -> SSAValue:
    """and, or, exclusive or on truth values, or on the bits of integers."""
    dtype = _dtype(call)
    op_type, operation = LOGICAL[call.node.target]
    lhs, rhs = operand(call, "self", dtype), operand(call, "other", dtype)
    if dtype != "i1":
        return call.emit(BitwiseOp, lhs, rhs, operation=operation)
    if op_type is None:
        return call.emit(
            CompareOp, *(cast(call.emit, x, "i32") for x in (lhs, rhs)), predicate="ne"
        )
    return call.emit(op_type, lhs, rhs)


@handles(aten.bitwise_not.default, aten.logical_not.default)
def logical_not(call: Call) -> SSAValue:
    """not x, for truth values; each bit exchanged, for integers."""
    dtype = _dtype(call)
    x = operand(call, "self", dtype)
    if dtype == "i1":
        return call.emit(LogicalNotOp, x)
    return call.emit(BitwiseOp, x, splat_like(call.emit, -1, x), operation="xor")


@handles(aten.isnan.default)
def isnan(call: Call) -> SSAValue:
    """x != x, which only NaN fulfils."""
    x = call.tensor("self")
    return call.emit(CompareOp, x, x, predicate="ne")


@handles(aten.where.self)
def where(call: Call) -> SSAValue:
    """a where condition is true, else b."""
    dtype = _dtype(call)
    branches = operand(call, "self", dtype), operand(call, "other", dtype)
    return call.emit(SelectOp, operand(call, "condition", "i1"), *branches)


@handles(aten.gelu.default)
def gelu(call: Call) -> SSAValue:
    """x Phi(x), exact or by tanh."""
    return call.emit(GeluOp, call.tensor("self"), approximation=call["approximate"])


@handles(aten.hardtanh.default)
def hardtanh(call: Call) -> SSAValue:
    """x clamped to [min, max]; like nn.clamp it has no gradient at the bounds."""
    return _clamp_op(call, call["min_val"], call["max_val"])


@handles(aten.relu6.default)
def relu6(call: Call) -> SSAValue:
    """x clamped to [0, 6]; PyTorch defines it as hardtanh."""
    return _clamp_op(call, 0.0, 6.0)


def _clamp_op(call: Call, least: float, most: float) -> SSAValue:
    return call.emit(ClampOp, call.tensor("self"), min=float(least), max=float(most))


@handles(aten.clamp.default, aten.clamp.Tensor)
def clamp(call: Call) -> SSAValue:
    """x clamped to bounds that are numbers or tensors.

    torch.clamp passes the gradient at the bounds, nn.clamp does not. Selections do: the gradient
    of select(x < min, min, x) reaches x wherever x is kept, so also where x equals a bound.
    """
    dtype = _dtype(call)
    x = operand(call, "self", dtype)
    for name, predicate in (("min", "lt"), ("max", "gt")):
        if call[name] is None:
            continue
        bound = operand(call, name, dtype)
        outside = call.emit(CompareOp, x, bound, predicate=predicate)
        x = call.emit(SelectOp, outside, bound, x)
    return x


@handles(aten.pow.Tensor_Scalar)
def power(call: Call) -> SSAValue:
    """x to a fixed power; squares, roots and reciprocals have their own ops."""
    x = operand(call, "self", _dtype(call))
    exponent = float(call["exponent"])
    if exponent == 0.0:
        return splat_like(call.emit, 1, x)
    if exponent == 1.0:
        return x
    if exponent == 2.0:
        return call.emit(SquareOp, x)
    call.require(dtype_of(x).is_float, "an integer can be squared only")
    if exponent in POWERS:
        return call.emit(POWERS[exponent], x)
    return call.emit(PowerOp, x, exponent=exponent)


@handles(aten.sign.default, aten.sgn.default)
def sign(call: Call) -> SSAValue:
    """-1, 0 or 1; its gradient is 0 everywhere, as in PyTorch."""
    emit, x = call.emit, call.tensor("self")
    zero = splat_like(emit, 0, x)
    positive, negative = _is(emit, x, "gt", 0), _is(emit, x, "lt", 0)
    below = emit(SelectOp, negative, splat_like(emit, -1, x), zero)
    return emit(SelectOp, positive, splat_like(emit, 1, x), below)


def _is(emit: Emitter, x: SSAValue, predicate: str, bound: float) -> SSAValue:
    return emit(CompareOp, x, splat_like(emit, bound, x), predicate=predicate)


@handles(aten.leaky_relu.default)
def leaky_relu(call: Call) -> SSAValue:
    """x where x > 0, else slope * x."""
    emit, x = call.emit, call.tensor("self")
    scaled = emit(MulOp, x, splat_like(emit, call["negative_slope"], x))
    return emit(SelectOp, _is(emit, x, "gt", 0), x, scaled)


@handles(aten.elu.default)
def elu(call: Call) -> SSAValue:
    """scale * x where x > 0, else scale * alpha * (e^(input_scale * x) - 1).

    The exponential only sees what is not positive: an overflow in the branch that is not taken
    would make a NaN of the gradient.
    """
    emit, x = call.emit, call.tensor("self")
    positive = _is(emit, x, "gt", 0)
    small = emit(SelectOp, positive, splat_like(emit, 0, x), x)
    power = emit(ExpOp, _scaled(emit, small, call["input_scale"]))
    below = emit(SubOp, power, splat_like(emit, 1, x))
    factor = call["alpha"] * call["scale"]
    return emit(SelectOp, positive, _scaled(emit, x, call["scale"]), _scaled(emit, below, factor))


@handles(aten.softplus.default)
def softplus(call: Call) -> SSAValue:
    """log(1 + e^(beta x)) / beta, and x itself above the threshold; guarded like elu."""
    emit, x = call.emit, call.tensor("self")
    scaled = _scaled(emit, x, call["beta"])
    large = _is(emit, scaled, "gt", call["threshold"])
    power = emit(ExpOp, emit(SelectOp, large, splat_like(emit, 0, x), scaled))
    curve = emit(LogOp, emit(AddOp, power, splat_like(emit, 1, x)))
    return emit(SelectOp, large, x, _scaled(emit, curve, 1.0 / call["beta"]))


def _scaled(emit: Emitter, x: SSAValue, factor: float) -> SSAValue:
    return x if factor == 1 else emit(MulOp, x, splat_like(emit, factor, x))


@handles(
    aten.alias.default,
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.lift_fresh_copy.default,
)
def identity(call: Call) -> SSAValue:
    """x. Values have no identity in the IR, so a copy is the value itself.

    Where detach would cut a gradient the program was refused before, see `gradient_stops`.
    """
    return call.tensor("self")


@handles(aten._to_copy.default)
def to_copy(call: Call) -> SSAValue:
    """x with the element type of the result."""
    return cast(call.emit, call.tensor("self"), _dtype(call))
