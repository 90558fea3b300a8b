"""Elementwise primitives. A scalar operand becomes an explicit broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    splat,
    splat_like,
    splat_of,
)
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.division import BitwiseOp, IntegerDivOp, RemainderOp
from pock_ir.dialects.elementwise import (
    AbsOp,
    AddOp,
    ClampOp,
    CompareOp,
    DivOp,
    ErfOp,
    ExpOp,
    LogicalAndOp,
    LogicalNotOp,
    LogicalOrOp,
    LogOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    NegOp,
    RsqrtOp,
    SigmoidOp,
    SqrtOp,
    SquareOp,
    StopGradientOp,
    SubOp,
    TanhOp,
)
from pock_ir.dialects.functions import (
    CeilOp,
    CosOp,
    ErfcOp,
    Expm1Op,
    FloorOp,
    Log1pOp,
    SignOp,
    SinOp,
)
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, dtype_of_numpy, tensor

UNARY: Mapping[str, type[PockOp]] = {
    "abs": AbsOp,
    "ceil": CeilOp,
    "cos": CosOp,
    "erf": ErfOp,
    "erfc": ErfcOp,
    "exp": ExpOp,
    "expm1": Expm1Op,
    "floor": FloorOp,
    "log": LogOp,
    "log1p": Log1pOp,
    "logistic": SigmoidOp,
    "neg": NegOp,
    "rsqrt": RsqrtOp,
    "sign": SignOp,
    "sin": SinOp,
    "sqrt": SqrtOp,
    "square": SquareOp,
    "tanh": TanhOp,
}

BINARY: Mapping[str, type[PockOp]] = {
    "add": AddOp,
    "add_any": AddOp,
    "max": MaximumOp,
    "min": MinimumOp,
    "mul": MulOp,
    "sub": SubOp,
}

# What these mean on truth values; JAX defines no sub and no div for them.
ON_TRUTH: Mapping[type[PockOp], type[PockOp]] = {
    AddOp: LogicalOrOp,
    MaximumOp: LogicalOrOp,
    MulOp: LogicalAndOp,
    MinimumOp: LogicalAndOp,
}

COMPARE = ("lt", "le", "gt", "ge", "eq", "ne")

LOGICAL: Mapping[str, type[PockOp]] = {"and": LogicalAndOp, "or": LogicalOrOp}


def operand(call: Call, index: int) -> SSAValue:
    """Operand `index` with the result's shape."""
    number = call.number(index) if call.avals[index].shape == () else None
    if number is not None:
        dtype = dtype_of_numpy(call.avals[index].dtype).name
        return splat(call.emit, number, tensor(call.shape(), dtype))
    return broadcast(call.emit, call.x(index), call.shape())


def operands(call: Call) -> list[SSAValue]:
    """All operands with the result's shape."""
    return [operand(call, index) for index in range(len(call))]


@handles(*UNARY)
def unary(call: Call) -> SSAValue:
    """The op that the primitive is."""
    return call.emit(UNARY[call.name], call.x())


@handles(*BINARY)
def binary(call: Call) -> SSAValue:
    """The op that the primitive is, on truth values the logical one."""
    op_type = BINARY[call.name]
    lhs, rhs = operands(call)
    if dtype_of(lhs).name == "i1":
        call.require(op_type in ON_TRUTH, "truth values cannot be subtracted")
        op_type = ON_TRUTH[op_type]
    return call.emit(op_type, lhs, rhs)


@handles("div")
def divide(call: Call) -> SSAValue:
    """A quotient of floats; a pooled sum over a constant is found again as a mean."""
    lhs, rhs = operands(call)
    if not dtype_of(lhs).is_float:
        return call.emit(IntegerDivOp, lhs, rhs, rounding="trunc")
    count, product = splat_of(rhs), lhs.owner
    if count is not None and product in call.memory.get("pooled sums", ()):
        assert isinstance(product, MulOp)
        if splat_of(product.rhs) == count:
            return product.lhs
    return call.emit(DivOp, lhs, rhs)


@handles(*COMPARE)
def compare(call: Call) -> SSAValue:
    """A comparison; of truth values only whether they are equal or not."""
    lhs, rhs = operands(call)
    predicate = call.name
    if dtype_of(lhs).name == "i1":
        lhs, rhs = cast(call.emit, lhs, "i8"), cast(call.emit, rhs, "i8")
    return call.emit(CompareOp, lhs, rhs, predicate=predicate)


@handles("rem")
def remainder(call: Call) -> SSAValue:
    """What division leaves, with the sign of the dividend."""
    return call.emit(RemainderOp, *operands(call), rounding="trunc")


@handles("and", "or", "xor")
def logical(call: Call) -> SSAValue:
    """and, or, xor of truth values or of bits."""
    lhs, rhs = operands(call)
    if call.dtype() != "i1":
        return call.emit(BitwiseOp, lhs, rhs, operation=call.name)
    if call.name in LOGICAL:
        return call.emit(LOGICAL[call.name], lhs, rhs)
    pair = (cast(call.emit, value, "i8") for value in (lhs, rhs))
    return call.emit(CompareOp, *pair, predicate="ne")


@handles("not")
def logical_not(call: Call) -> SSAValue:
    """not of a truth value, or all bits flipped."""
    x = call.x()
    if call.dtype() == "i1":
        return call.emit(LogicalNotOp, x)
    return call.emit(BitwiseOp, x, splat_like(call.emit, -1, x), operation="xor")


@handles("is_finite")
def is_finite(call: Call) -> SSAValue:
    """|x| < inf, which is false for NaN."""
    magnitude = call.emit(AbsOp, call.x())
    return call.emit(CompareOp, magnitude, splat_like(call.emit, inf, magnitude), predicate="lt")


@handles("clamp")
def clamp(call: Call) -> SSAValue:
    """min(max(x, low), high); bounds that are known numbers are properties of one op.

    JAX passes gradients inside of the bounds only, as nn.clamp does.
    """
    low, x, high = call.number(0), call.x(1), call.number(2)
    if low is not None and high is not None and dtype_of(x).is_float and low < high:
        return call.emit(ClampOp, x, min=float(low), max=float(high))
    call.require(
        not any(map(call.is_active, range(3))),
        "clamp with bounds that are not known numbers has no gradient",
        "use jnp.minimum and jnp.maximum",
    )
    lower, upper = operand(call, 0), operand(call, 2)
    return call.emit(MinimumOp, call.emit(MaximumOp, x, lower), upper)


@handles("convert_element_type")
def convert_element_type(call: Call) -> SSAValue:
    """A cast; XLA also truncates toward zero."""
    return cast(call.emit, call.x(), call.dtype())


@handles("reduce_precision")
def reduce_precision(call: Call) -> SSAValue:
    """x itself if it is rounded to what it is already."""
    formats = {"f32": (8, 23), "f16": (5, 10), "bf16": (8, 7)}
    wanted = (call.params["exponent_bits"], call.params["mantissa_bits"])
    name = next((name for name, bits in formats.items() if bits == wanted), None)
    if name is None:
        call.refuse("rounding to a format without an element type is not supported")
    return cast(call.emit, cast(call.emit, call.x(), name), call.dtype())


@handles("copy", "copy_p", "optimization_barrier", "device_put", "name")
def unchanged(call: Call) -> list[SSAValue]:
    """The operands as they are."""
    return [call.x(index) for index in range(len(call))]


@handles("stop_gradient")
def stop_gradient(call: Call) -> SSAValue:
    """x; the stop is kept only where a gradient would pass."""
    return call.emit(StopGradientOp, call.x()) if call.is_active(0) else call.x()
