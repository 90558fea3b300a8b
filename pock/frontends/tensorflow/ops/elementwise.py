"""Elementwise operations. Broadcasting becomes explicit; TensorFlow promotes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    Number,
    broadcast,
    cast,
    common_shape,
    reshape,
    splat,
    splat_like,
    splat_of,
)
from pock.frontends.tensorflow.ops.norm import normalised
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.division import IntegerDivOp
from pock_ir.dialects.elementwise import (
    AbsOp,
    AddOp,
    CompareOp,
    DivOp,
    ErfOp,
    ExpOp,
    LogicalAndOp,
    LogicalNotOp,
    LogicalOrOp,
    LogOp,
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
from pock_ir.dialects.functions import (
    CeilOp,
    CosOp,
    ErfcOp,
    Expm1Op,
    FloorOp,
    Log1pOp,
    PowOp,
    RoundOp,
    SignOp,
    SinOp,
)
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, shape_of, tensor

UNARY: Mapping[str, type[PockOp]] = {
    "Abs": AbsOp,
    "Ceil": CeilOp,
    "Cos": CosOp,
    "Erf": ErfOp,
    "Erfc": ErfcOp,
    "Exp": ExpOp,
    "Expm1": Expm1Op,
    "Floor": FloorOp,
    "Inv": ReciprocalOp,
    "Log": LogOp,
    "Log1p": Log1pOp,
    "LogicalNot": LogicalNotOp,
    "Neg": NegOp,
    "Reciprocal": ReciprocalOp,
    "Relu": ReluOp,
    "Rint": RoundOp,
    "Round": RoundOp,
    "Rsqrt": RsqrtOp,
    "Sigmoid": SigmoidOp,
    "Sign": SignOp,
    "Sin": SinOp,
    "Sqrt": SqrtOp,
    "Square": SquareOp,
    "Tanh": TanhOp,
}

BINARY: Mapping[str, type[PockOp]] = {
    "Div": DivOp,
    "LogicalAnd": LogicalAndOp,
    "LogicalOr": LogicalOrOp,
    "RealDiv": DivOp,
    "Sub": SubOp,
}

COMPARE: Mapping[str, str] = {
    "Equal": "eq",
    "Greater": "gt",
    "GreaterEqual": "ge",
    "Less": "lt",
    "LessEqual": "le",
    "NotEqual": "ne",
}

POWERS: Mapping[float, type[PockOp]] = {
    -1.0: ReciprocalOp,
    -0.5: RsqrtOp,
    0.5: SqrtOp,
    2.0: SquareOp,
}


def operands(call: Call) -> tuple[SSAValue, SSAValue]:
    """Both operands in their common shape."""
    x, y = call.x(0), call.x(1)
    shape = common_shape(shape_of(x), shape_of(y))
    return _spread(call.emit, x, shape), _spread(call.emit, y, shape)


def _spread(emit: Emitter, x: SSAValue, shape: Sequence[int]) -> SSAValue:
    """x repeated to `shape`; a constant is made in that shape."""
    number = splat_of(x)
    if number is not None and shape_of(x) != tuple(shape):
        return splat(emit, number, tensor(shape, dtype_of(x).name))
    return broadcast(emit, x, shape)


def compare(emit: Emitter, x: SSAValue, y: SSAValue | Number, predicate: str) -> SSAValue:
    """x `predicate` y; truth values are compared as numbers."""
    other = y if isinstance(y, SSAValue) else splat_like(emit, y, x)
    if dtype_of(x).name == "i1":
        x, other = cast(emit, x, "i8"), cast(emit, other, "i8")
    return emit(CompareOp, x, other, predicate=predicate)


def choose(emit: Emitter, cond: SSAValue, a: SSAValue, b: SSAValue | Number) -> SSAValue:
    """a where cond is true, else b; all of one shape."""
    return emit(SelectOp, cond, a, b if isinstance(b, SSAValue) else splat_like(emit, b, a))


def scaled(emit: Emitter, x: SSAValue, factor: float) -> SSAValue:
    """x times a number."""
    return x if factor == 1 else emit(MulOp, x, splat_like(emit, factor, x))


@handles(*UNARY)
def unary(call: Call) -> SSAValue:
    """The op that the operation is."""
    return call.emit(UNARY[call.name], call.x())


@handles(*BINARY)
def binary(call: Call) -> SSAValue:
    """The op that the operation is."""
    x, y = operands(call)
    is_division = BINARY[call.name] is DivOp
    call.require(not is_division or dtype_of(x).is_float, "division of integers is not supported")
    return call.emit(BINARY[call.name], x, y)


@handles("Add", "AddV2")
def add(call: Call) -> SSAValue:
    """x + y; the last addition of a normalisation gives the whole of it."""
    x, y = operands(call)
    whole = normalised(call.emit, x, y)
    return call.emit(AddOp, x, y) if whole is None else whole


@handles("Mul")
def multiply(call: Call) -> SSAValue:
    """x * y; x for y = 1, and silu for x * sigmoid(x)."""
    x, y = operands(call)
    for a, b in ((x, y), (y, x)):
        if splat_of(b) == 1:
            return a
        if isinstance(b.owner, SigmoidOp) and b.owner.x is a:
            return call.emit(SiluOp, a)
    return call.emit(MulOp, x, y)


@handles("AddN")
def add_all(call: Call) -> SSAValue:
    """The sum of all operands, from the first on."""
    total = call.x(0)
    for index in range(1, len(call)):
        total = call.emit(AddOp, total, call.x(index))
    return total


@handles("SquaredDifference")
def squared_difference(call: Call) -> SSAValue:
    """(x - y)^2."""
    return call.emit(SquareOp, call.emit(SubOp, *operands(call)))


@handles("DivNoNan")
def divide_or_zero(call: Call) -> SSAValue:
    """x / y, and 0 where y is 0; the division never sees a 0."""
    emit = call.emit
    x, y = operands(call)
    if splat_of(y):
        return emit(DivOp, x, y)
    is_zero = compare(emit, y, 0, "eq")
    quotient = emit(DivOp, x, choose(emit, is_zero, splat_like(emit, 1, y), y))
    return choose(emit, is_zero, splat_like(emit, 0, x), quotient)


@handles("FloorDiv", "TruncateDiv")
def whole_division(call: Call) -> SSAValue:
    """x / y rounded down (FloorDiv), or of integers toward zero."""
    x, y = operands(call)
    if not dtype_of(x).is_float:
        rounding = "floor" if call.name == "FloorDiv" else "trunc"
        return call.emit(IntegerDivOp, x, y, rounding=rounding)
    call.require(call.name == "FloorDiv", "truncated division of floats is not supported")
    return call.emit(FloorOp, call.emit(DivOp, x, y))


@handles("FloorMod", "Mod", "TruncateMod")
def remainder(call: Call) -> SSAValue:
    """x - y * (x / y), the quotient rounded down (FloorMod) or toward zero; integers."""
    emit = call.emit
    x, y = operands(call)
    call.require(not dtype_of(x).is_float, "the remainder of floats is not supported")
    rounding = "floor" if call.name == "FloorMod" else "trunc"
    quotient = emit(IntegerDivOp, x, y, rounding=rounding)
    return emit(SubOp, x, emit(MulOp, quotient, y))


@handles("Maximum", "Minimum")
def extreme(call: Call) -> SSAValue:
    """The larger or smaller of x and y; NaN if either is.

    The gradient of equal elements goes to x, as in TensorFlow: a selection says so.
    """
    emit = call.emit
    x, y = operands(call)
    beyond, within = ("lt", "ge") if call.name == "Maximum" else ("gt", "le")
    if splat_of(x) is not None:
        return choose(emit, compare(emit, x, y, within), x, y)
    takes_y = compare(emit, x, y, beyond)
    if splat_of(y) is None and dtype_of(y).is_float:
        takes_y = emit(LogicalOrOp, takes_y, compare(emit, y, y, "ne"))
    return choose(emit, takes_y, y, x)


@handles("ClipByValue")
def clip(call: Call) -> SSAValue:
    """min(max(x, low), high); the gradient passes at the bounds."""
    emit, x = call.emit, call.x()
    low, high = (broadcast(emit, call.x(index), shape_of(x)) for index in (1, 2))
    x = choose(emit, compare(emit, x, low, "lt"), low, x)
    return choose(emit, compare(emit, x, high, "gt"), high, x)


@handles("Pow")
def power(call: Call) -> SSAValue:
    """x to the power of y; squares, roots and reciprocals have their own ops."""
    exponent = call.number(1)
    if exponent is None:
        return call.emit(PowOp, *operands(call))
    x, exponent = call.x(), float(exponent)
    shape = common_shape(shape_of(x), shape_of(call.x(1)))
    x = broadcast(call.emit, x, shape)
    if exponent in (0.0, 1.0):
        return x if exponent else splat_like(call.emit, 1, x)
    call.require(dtype_of(x).is_float or exponent == 2.0, "an integer can be squared only")
    if exponent in POWERS:
        return call.emit(POWERS[exponent], x)
    return call.emit(PowerOp, x, exponent=exponent)


@handles(*COMPARE)
def comparison(call: Call) -> SSAValue:
    """x `predicate` y."""
    return compare(call.emit, *operands(call), COMPARE[call.name])


@handles("IsNan")
def is_nan(call: Call) -> SSAValue:
    """True where x is no number."""
    return compare(call.emit, call.x(), call.x(), "ne")


@handles("IsInf", "IsFinite")
def is_infinite(call: Call) -> SSAValue:
    """Whether |x| is infinite, or neither that nor NaN."""
    predicate = "eq" if call.name == "IsInf" else "lt"
    return compare(call.emit, call.emit(AbsOp, call.x()), inf, predicate)


@handles("SelectV2", "Select")
def select(call: Call) -> SSAValue:
    """a where cond is true, else b; dropout where that is what it is."""
    emit = call.emit
    cond, a, b = (call.x(index) for index in range(3))
    if call.name == "Select" and len(shape_of(cond)) == 1:
        cond = reshape(emit, cond, (*shape_of(cond), *(1,) * (len(shape_of(a)) - 1)))
    dropped = _dropout(call, cond, a, b)
    if dropped is not None:
        return dropped
    shape = common_shape(shape_of(cond), shape_of(a), shape_of(b))
    return emit(SelectOp, *(broadcast(emit, value, shape) for value in (cond, a, b)))


def _dropout(call: Call, cond: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue | None:
    """x / (1 - p) where a mask of the counter keeps it, else 0, as the op; None if it is not."""
    drawn = call.memory.get(("mask", cond))
    product = a.owner
    if drawn is None or not isinstance(product, MulOp) or splat_of(b) != 0:
        return None
    p = drawn.properties["p"].value.data
    for x, factor in ((product.lhs, product.rhs), (product.rhs, product.lhs)):
        number = splat_of(factor)
        if number is None or shape_of(x) != shape_of(cond):
            continue
        if abs(number * (1 - p) - 1) < 1e-6:
            emit = call.emit
            key = drawn.operands[1:]
            return emit.op(type(drawn), x, *key, **drawn.properties).results[0]
    return None


@handles("Cast")
def cast_(call: Call) -> SSAValue:
    """x with other elements."""
    return cast(call.emit, call.x(), call.dtype())
