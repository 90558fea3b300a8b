"""Scalar expressions as `arith` and `math` ops: one table from `pock_ir.scalar` names to ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from xdsl.dialects import arith, func, math, vector
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IndexType,
    IntegerAttr,
    VectorType,
    f32,
    i32,
)
from xdsl.ir import Attribute, Operation, SSAValue

from pock_ir.diagnostics import PockError
from pock_ir.lowering.loops.vectors import like
from pock_ir.types import DType, dtype_of
from pock_ir.upstream import ErfcOp

Make: TypeAlias = Callable[..., Operation]

FLOAT: Mapping[str, Make] = {
    "abs": math.AbsFOp,
    "add": arith.AddfOp,
    "cos": math.CosOp,
    "div": arith.DivfOp,
    "erf": math.ErfOp,
    "erfc": ErfcOp,
    "exp": math.ExpOp,
    "expm1": math.ExpM1Op,
    "floor": math.FloorOp,
    "log": math.LogOp,
    "log1p": math.Log1pOp,
    "max": arith.MaximumfOp,
    "min": arith.MinimumfOp,
    "mul": arith.MulfOp,
    "neg": arith.NegfOp,
    "pow": math.PowFOp,
    "round": math.RoundEvenOp,
    "sin": math.SinOp,
    "sqrt": math.SqrtOp,
    "sub": arith.SubfOp,
    "tanh": math.TanhOp,
}
INTEGER: Mapping[str, Make] = {
    "abs": math.AbsIOp,
    "add": arith.AddiOp,
    "and": arith.AndIOp,
    "div": arith.FloorDivSIOp,
    "max": arith.MaxSIOp,
    "min": arith.MinSIOp,
    "mul": arith.MuliOp,
    "or": arith.OrIOp,
    "sub": arith.SubiOp,
    "xor": arith.XOrIOp,
}
CONDITION: Mapping[str, Make] = {name: INTEGER[name] for name in ("and", "or", "xor")}
FLOAT_PREDICATES: Mapping[str, str] = {
    "eq": "oeq",
    "ge": "oge",
    "gt": "ogt",
    "le": "ole",
    "lt": "olt",
    "ne": "une",
}
INTEGER_PREDICATES: Mapping[str, str] = {
    "eq": "eq",
    "ge": "sge",
    "gt": "sgt",
    "le": "sle",
    "lt": "slt",
    "ne": "ne",
}
COMPARISONS = frozenset(FLOAT_PREDICATES)
UNIFORM = "pock_uniform"
"""The function of the run-time prelude that draws a random number in [0, 1)."""

VECTOR_DTYPES = frozenset(("f64", "f32", "i32", "i1"))
"""What a register may hold; f64 takes two."""

_SCALAR_ONLY = frozenset((("i32", "div"), ("i32", "abs")))

_WIDE_OPS = frozenset(("add", "div", "mul", "neg", "sqrt", "sub"))
"""All that f64 is for: sums of f32 numbers, and what is made of them."""


def has_wide_form(op: str) -> bool:
    """Whether `op` on f64 operands has C text; conversions from and to f32 have too."""
    return op in _WIDE_OPS


def vectorises(op: str, dtype: DType) -> bool:
    """Whether `op` on operands of `dtype` has a vector form on every target."""
    if dtype.name == "f64":
        return has_wide_form(op)
    return dtype.name in VECTOR_DTYPES and (dtype.name, op) not in _SCALAR_ONLY


def constant(value: float, dtype: DType) -> Operation:
    """An `arith.constant` of `dtype`."""
    if dtype.is_float:
        with np.errstate(over="ignore"):
            exact = float(np.asarray(value, dtype.numpy))
        return arith.ConstantOp(FloatAttr(exact, cast(Any, dtype.type)))
    return arith.ConstantOp(IntegerAttr(int(value), cast(Any, dtype.type)))


def index_constant(value: int) -> Operation:
    """An `arith.constant` of type index."""
    return arith.ConstantOp(IntegerAttr(value, IndexType()))


def broadcast(value: SSAValue, lanes: int) -> Operation:
    """A register full of a scalar."""
    return vector.BroadcastOp(value, VectorType(value.type, [lanes]))


def dtype_of_value(value: SSAValue) -> DType:
    """The dtype of a scalar or of a vector's elements."""
    type = value.type
    return dtype_of(
        cast("VectorType[Attribute]", type).element_type if isinstance(type, VectorType) else type
    )


def operation(op: str, args: Sequence[SSAValue]) -> Operation:
    """One op over scalars or vectors; `select` takes (condition, true, false).

    Raises PockError for an op that the operands' dtype does not have.
    """
    if op == "select":
        return arith.SelectOp(*args)
    dtype = dtype_of_value(args[0])
    if op in COMPARISONS:
        return _comparison(op, args, dtype)
    table = FLOAT if dtype.is_float else CONDITION if dtype.name == "i1" else INTEGER
    if op not in table:
        raise PockError(f"{op} of {dtype.name} has no loops form")
    return table[op](*args)


def _comparison(op: str, args: Sequence[SSAValue], dtype: DType) -> Operation:
    if dtype.is_float:
        return arith.CmpfOp(args[0], args[1], FLOAT_PREDICATES[op])
    return arith.CmpiOp(args[0], args[1], INTEGER_PREDICATES[op])


def conversion(value: SSAValue, result: DType) -> Operation | None:
    """The op that converts `value` to `result`; None where two ops are needed or none is.

    Conditions convert through `select`, and to a condition through a comparison with zero.
    """
    source = dtype_of_value(value)
    type = like(value.type, result.type)
    if "i1" in (source.name, result.name) or source == result:
        return None
    if source.is_float and result.is_float:
        wider = result.bytes > source.bytes
        return (
            arith.ExtFOp(value, cast(Any, type))
            if wider
            else arith.TruncFOp(value, cast(Any, type))
        )
    if result.is_float:
        return arith.SIToFPOp(value, cast(Any, type))
    if source.is_float:
        return arith.FPToSIOp(value, cast(Any, type))
    wider = result.bytes > source.bytes
    return (
        arith.ExtSIOp(value, cast(Any, type)) if wider else arith.TruncIOp(value, cast(Any, type))
    )


def uniform(seed: SSAValue, step: SSAValue, index: SSAValue, stream: SSAValue) -> Operation:
    """A call of the prelude's generator: one number for each element of `index` (i32)."""
    result = like(index.type, f32)
    name = UNIFORM if result == f32 else f"{UNIFORM}_vector"
    return func.CallOp(name, [seed, step, index, stream], [result])


def lane_numbers(stride: int, lanes: int) -> Operation:
    """The vector 0, stride, 2 stride, ... of i32."""
    type = VectorType(i32, [lanes])
    values = [stride * lane for lane in range(lanes)]
    return arith.ConstantOp(DenseIntOrFPElementsAttr.from_list(type, values))


COMBINED_BY: Mapping[str, str] = {"sum": "add", "max": "max", "prod": "mul"}
"""The operation that each kind of reduction repeats."""

_ACROSS: Mapping[str, vector.CombiningKindFlag] = {
    "sum": vector.CombiningKindFlag.ADD,
    "max": vector.CombiningKindFlag.MAXIMUMF,
    "prod": vector.CombiningKindFlag.MUL,
}


def across(kind: str, value: SSAValue) -> Operation:
    """The sum, maximum or product of all lanes of a vector."""
    flag = _ACROSS[kind]
    return vector.ReductionOp.build(
        operands=[value, None],
        result_types=[cast("VectorType[Attribute]", value.type).element_type],
        properties={"kind": vector.CombiningKindAttr(flag)},
    )


def identity(kind: str, dtype: DType) -> float:
    """What a reduction starts from: 0, 1, or the least value of `dtype`."""
    if kind != "max":
        return 0 if kind == "sum" else 1
    return float("-inf") if dtype.is_float else -(2 ** (8 * dtype.bytes - 1))
