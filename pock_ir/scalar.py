"""What an elementwise op computes for one element, written once.

An elementwise op states its body with these expressions. The reference interpreter evaluates the
body with numpy, the lowering turns it into `arith` and `math` ops, and fused kernels concatenate
bodies; so reference and generated code cannot drift apart.

Comparisons follow IEEE 754 (false on NaN, except `ne`). `maximum` and `minimum` return NaN when
an argument is NaN, as the frameworks' do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pock_ir.types import Array, dtype_named

Number = int | float


@dataclass(frozen=True, eq=False)
class Expr:
    """One node: `op` names a row of `NUMPY`, or is "arg" (with `index`) or "const" (with `value`).

    `type` is the index of the argument whose dtype a constant takes; `cast` carries its target
    dtype's MLIR name in `dtype`.
    """

    op: str
    args: tuple[Expr, ...] = ()
    index: int = -1
    value: Number = 0
    dtype: str = ""

    def __add__(self, other: Expr | Number) -> Expr:
        return Expr("add", (self, lift(other)))

    def __radd__(self, other: Number) -> Expr:
        return Expr("add", (lift(other), self))

    def __sub__(self, other: Expr | Number) -> Expr:
        return Expr("sub", (self, lift(other)))

    def __rsub__(self, other: Number) -> Expr:
        return Expr("sub", (lift(other), self))

    def __mul__(self, other: Expr | Number) -> Expr:
        return Expr("mul", (self, lift(other)))

    def __rmul__(self, other: Number) -> Expr:
        return Expr("mul", (lift(other), self))

    def __truediv__(self, other: Expr | Number) -> Expr:
        return Expr("div", (self, lift(other)))

    def __rtruediv__(self, other: Number) -> Expr:
        return Expr("div", (lift(other), self))

    def __neg__(self) -> Expr:
        return Expr("neg", (self,))

    def __lt__(self, other: Expr | Number) -> Expr:
        return Expr("lt", (self, lift(other)))

    def __le__(self, other: Expr | Number) -> Expr:
        return Expr("le", (self, lift(other)))

    def __gt__(self, other: Expr | Number) -> Expr:
        return Expr("gt", (self, lift(other)))

    def __ge__(self, other: Expr | Number) -> Expr:
        return Expr("ge", (self, lift(other)))


def lift(value: Expr | Number) -> Expr:
    """A Python number becomes a constant of the dtype of the expression it meets."""
    return value if isinstance(value, Expr) else Expr("const", value=value)


def arg(index: int) -> Expr:
    """The op's operand number `index`."""
    return Expr("arg", index=index)


def exp(x: Expr) -> Expr:
    return Expr("exp", (x,))


def log(x: Expr) -> Expr:
    return Expr("log", (x,))


def sqrt(x: Expr) -> Expr:
    return Expr("sqrt", (x,))


def tanh(x: Expr) -> Expr:
    return Expr("tanh", (x,))


def erf(x: Expr) -> Expr:
    return Expr("erf", (x,))


def erfc(x: Expr) -> Expr:
    return Expr("erfc", (x,))


def expm1(x: Expr) -> Expr:
    return Expr("expm1", (x,))


def log1p(x: Expr) -> Expr:
    return Expr("log1p", (x,))


def sin(x: Expr) -> Expr:
    return Expr("sin", (x,))


def cos(x: Expr) -> Expr:
    return Expr("cos", (x,))


def floor(x: Expr) -> Expr:
    return Expr("floor", (x,))


def nearest(x: Expr) -> Expr:
    """The nearest integer, the even one of two."""
    return Expr("round", (x,))


def power(x: Expr, y: Expr) -> Expr:
    """x^y with the special values of IEEE 754 pow."""
    return Expr("pow", (x, y))


def bitwise(operation: str, x: Expr, y: Expr) -> Expr:
    """and, or or xor of the bits of two integers."""
    return Expr(operation, (x, y))


def absolute(x: Expr) -> Expr:
    return Expr("abs", (x,))


def maximum(x: Expr | Number, y: Expr | Number) -> Expr:
    return Expr("max", (lift(x), lift(y)))


def minimum(x: Expr | Number, y: Expr | Number) -> Expr:
    return Expr("min", (lift(x), lift(y)))


def equal(x: Expr | Number, y: Expr | Number) -> Expr:
    return Expr("eq", (lift(x), lift(y)))


def not_equal(x: Expr | Number, y: Expr | Number) -> Expr:
    return Expr("ne", (lift(x), lift(y)))


def select(condition: Expr, true: Expr | Number, false: Expr | Number) -> Expr:
    return Expr("select", (condition, lift(true), lift(false)))


def both(x: Expr, y: Expr) -> Expr:
    """Logical and of two conditions."""
    return Expr("and", (x, y))


def either(x: Expr, y: Expr) -> Expr:
    """Logical or of two conditions."""
    return Expr("or", (x, y))


def negate(x: Expr) -> Expr:
    """Logical not of a condition."""
    return Expr("not", (x,))


def cast(x: Expr, dtype: str) -> Expr:
    """x as the dtype with the MLIR name `dtype`; float to integer truncates toward zero."""
    return Expr("cast", (x,), dtype=dtype)


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x)); exp overflows to inf for very negative x, which gives 0."""
    return 1.0 / (1.0 + exp(-x))


def _each(function: Callable[[float], float], x: Array) -> Array:
    """`function` of every element, in double precision."""
    flat = [function(float(v)) for v in np.asarray(x, dtype=np.float64).reshape(-1)]
    return np.array(flat, dtype=np.float64).reshape(np.shape(x)).astype(np.asarray(x).dtype)


def _erf(x: Array) -> Array:
    return _each(math.erf, x)


def _erfc(x: Array) -> Array:
    return _each(math.erfc, x)


def _divide(x: Array, y: Array) -> Array:
    """Integers divide toward minus infinity, as `//` does; floats as IEEE 754."""
    return np.divide(x, y) if np.asarray(x).dtype.kind not in "iu" else np.floor_divide(x, y)


NUMPY: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "neg": np.negative,
    "abs": np.abs,
    "max": np.maximum,
    "min": np.minimum,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "erf": _erf,
    "erfc": _erfc,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "round": np.rint,
    "pow": np.power,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.bitwise_and,  # of conditions too
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.logical_not,
    "select": np.where,
}


def evaluate(expression: Expr, args: Sequence[Array]) -> Array:
    """The value of `expression` over whole arrays of equal shape, each node computed once."""
    # A constant never widens: NumPy treats a Python scalar as the other operand's dtype.
    known: dict[int, Any] = {}

    def visit(node: Expr) -> Any:
        if id(node) not in known:
            known[id(node)] = _evaluate_node(node, args, visit)
        return known[id(node)]

    with np.errstate(all="ignore"):
        return visit(expression)


def _evaluate_node(node: Expr, args: Sequence[Array], visit: Callable[[Expr], Any]) -> Any:
    if node.op == "arg":
        return args[node.index]
    if node.op == "const":
        return node.value
    values = [visit(child) for child in node.args]
    if node.op == "cast":
        return np.asarray(values[0]).astype(dtype_named(node.dtype).numpy)
    if node.op == "select":
        return _select(*values)
    return NUMPY[node.op](*values)


def _select(condition: Any, true: Any, false: Any) -> Any:
    """np.where widens two Python scalars to 64 bits; take the dtype of an array branch."""
    dtypes: list[Any] = [value.dtype for value in (true, false) if hasattr(value, "dtype")]
    if dtypes:
        true, false = np.asarray(true, dtypes[0]), np.asarray(false, dtypes[0])
    return NUMPY["select"](condition, true, false)
