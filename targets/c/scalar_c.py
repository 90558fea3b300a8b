"""C text of elementwise expressions: one table from `pock_ir.scalar` ops to C.

`BodyEmitter` gives a kernel the statements of its fused elementwise ops, for one element or for
one vector register of elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isinf, isnan

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from pock_ir.diagnostics import PockError
from pock_ir.lowering.loops.expressions import Expressions
from pock_ir.lowering.loops.program import nodes
from pock_ir.scalar import Expr
from pock_ir.target import Target
from pock_ir.types import DType, dtype_named

_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_INFIX = {"add": "+", "sub": "-", "mul": "*", **_COMPARISONS}
_SHARED = {op: f"{{0}} {sign} {{1}}" for op, sign in _INFIX.items()} | {
    "neg": "-{0}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
}
_FUNCTIONS = (
    *("exp", "log", "tanh", "erf", "max", "min", "abs", "floor", "round"),
    *("expm1", "log1p", "erfc", "sin", "cos", "pow"),
)
_CALLS = {name: "({0}, {1})" for name in ("max", "min", "pow")}


def _calls(prefix: str) -> dict[str, str]:
    return {name: f"{prefix}{name}{_CALLS.get(name, '({0})')}" for name in _FUNCTIONS}


# The key is the kind of the operands: float, integer or condition; scalar or one register.
TEXT: Mapping[str, Mapping[str, str]] = {
    "float": {
        **_SHARED,
        **_calls("pock_"),
        "div": "{0} / {1}",
        "sqrt": "sqrtf({0})",
        "select": "{2} ? {0} : {1}",
    },
    "wide": {
        **{op: _SHARED[op] for op in ("add", "sub", "mul", "neg")},
        "div": "{0} / {1}",
        "sqrt": "sqrt({0})",
        "select": "{2} ? {0} : {1}",
    },
    "integer": {
        **_SHARED,
        # unsigned arithmetic wraps, signed overflow is undefined
        "add": "{T}((uint64_t){0} + (uint64_t){1})",
        "sub": "{T}((uint64_t){0} - (uint64_t){1})",
        "mul": "{T}((uint64_t){0} * (uint64_t){1})",
        "neg": "{T}-(uint64_t){0}",
        "abs": "{0} < 0 ? {T}-(uint64_t){0} : {0}",
        "div": "{T}pock_floordiv({0}, {1})",
        "max": "{0} >= {1} ? {0} : {1}",
        "min": "{0} <= {1} ? {0} : {1}",
        "and": "{T}({0} & {1})",
        "or": "{T}({0} | {1})",
        "xor": "{T}({0} ^ {1})",
        "select": "{2} ? {0} : {1}",
    },
    "condition": {
        "and": "{0} & {1}",
        "or": "{0} | {1}",
        "not": "!{0}",
        "xor": "{0} ^ {1}",
        "eq": "{0} == {1}",
        "ne": "{0} != {1}",
        "select": "{2} ? {0} : {1}",
    },
    "vector float": {
        **_SHARED,
        **_calls("pock_v"),
        "div": "{0} / {1}",
        "sqrt": "pock_vsqrt({0})",
        "select": "pock_vselect({2}, {0}, {1})",
    },
    "vector wide": {
        "add": "pock_wadd({0}, {1})",
        "sub": "pock_wsub({0}, {1})",
        "mul": "pock_wmul({0}, {1})",
        "div": "pock_wdiv({0}, {1})",
        "neg": "pock_wsub(pock_splatw(-0.0), {0})",
        "sqrt": "pock_wsqrt({0})",
        "select": "pock_wselect({2}, {0}, {1})",
    },
    "vector integer": {
        **_SHARED,
        "add": "(pock_vi)((pock_vu){0} + (pock_vu){1})",
        "sub": "(pock_vi)((pock_vu){0} - (pock_vu){1})",
        "mul": "(pock_vi)((pock_vu){0} * (pock_vu){1})",
        "neg": "(pock_vi)-(pock_vu){0}",
        "max": "pock_vselecti({0} >= {1}, {0}, {1})",
        "min": "pock_vselecti({0} <= {1}, {0}, {1})",
        "xor": "{0} ^ {1}",
        "select": "pock_vselecti({2}, {0}, {1})",
    },
    "vector condition": {
        "and": "{0} & {1}",
        "or": "{0} | {1}",
        "not": "~{0}",
        "xor": "{0} ^ {1}",
        "eq": "{0} == {1}",
        "ne": "{0} != {1}",
        "select": "pock_vselecti({2}, {0}, {1})",
    },
}

VECTOR_TYPES: Mapping[str, str] = {
    "f64": "pock_vw",
    "f32": "pock_vf",
    "i32": "pock_vi",
    "i1": "pock_vi",
}
"""The register type of each dtype that vector code carries; i1 is a mask of 0 and -1."""

SPLATS: Mapping[str, str] = {
    "f64": "pock_splatw",
    "f32": "pock_splat",
    "i32": "pock_splati",
    "i1": "pock_splat_mask",
}
"""The function that fills a register with one value of the dtype."""

_CASTS: Mapping[tuple[str, str], str] = {
    ("f32", "f64"): "pock_widen({0})",
    ("f64", "f32"): "pock_narrow({0})",
    ("f32", "i32"): "__builtin_convertvector({0}, pock_vi)",
    ("i32", "f32"): "__builtin_convertvector({0}, pock_vf)",
    ("f32", "i1"): "{0} != 0.0f",
    ("i32", "i1"): "{0} != 0",
    ("i1", "f32"): "(pock_vf)({0} & (pock_vi)pock_splat(1.0f))",
    ("i1", "i32"): "{0} & 1",
}


def kind_of(dtype: DType, lanes: int) -> str:
    """The key of `TEXT` for operands of `dtype`. Raises PockError for a dtype without C text."""
    if dtype.name in ("f16", "bf16") or (lanes > 1 and dtype.name not in VECTOR_TYPES):
        what = "vector" if lanes > 1 else "scalar"
        raise PockError(f"{dtype.name} has no {what} arithmetic on C targets")
    kinds = {"f32": "float", "f64": "wide", "i1": "condition"}
    kind = kinds.get(dtype.name, "integer")
    return f"vector {kind}" if lanes > 1 else kind


def value_type(dtype: DType, lanes: int) -> str:
    """The C type of a local value; a scalar condition is an int that is 0 or 1."""
    if lanes > 1:
        return VECTOR_TYPES[dtype.name]
    return "int" if dtype.name == "i1" else dtype.c


def literal(value: float, dtype: DType, lanes: int = 1) -> str:
    """The C text of a constant of `dtype`, a register full of it when `lanes` > 1."""
    if dtype.name == "f64":
        text = wide_literal(value)
    else:
        text = float_literal(value) if dtype.is_float else integer_literal(int(value), dtype)
    return f"{SPLATS[dtype.name]}({text})" if lanes > 1 else text


def float_literal(value: float) -> str:
    """The shortest text that reads back as the float nearest to `value`."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return _special(float(single)) or f"{single!s}f"


def wide_literal(value: float) -> str:
    """The shortest text that reads back as the double `value`."""
    return _special(value) or repr(float(value))


def _special(value: float) -> str:
    """The text of NaN or an infinity, or none."""
    if isnan(value):
        return "NAN"
    if isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return ""


def integer_literal(value: int, dtype: DType) -> str:
    """The C text of an integer; the smallest one has no literal of its own."""
    if dtype.name == "i64":
        return f"INT64_C({value})" if value > -(2**63) else "INT64_MIN"
    return str(value) if value > -(2**31) else "INT32_MIN"


def operation(op: str, args: Sequence[str], dtype: DType, lanes: int) -> str:
    """The C expression of one row of `TEXT`; `dtype` is that of the operands.

    For "select" the arguments are (true, false, condition) and `dtype` is that of the branches.
    Raises PockError if the target's table has no such row.
    """
    kind = kind_of(dtype, lanes)
    row = TEXT[kind].get(op)
    if row is None:
        raise PockError(f"{op} of {kind} values has no C text")
    return row.format(*args, T=f"({dtype.c})")


def cast(text: str, source: DType, result: DType, lanes: int) -> str:
    """The C expression of a conversion. Raises PockError if the target has none."""
    if source == result:
        return text
    if lanes == 1:
        for dtype in (source, result):
            kind_of(dtype, 1)  # refuses what has no C text
        return f"{text} != 0" if result.name == "i1" else f"({result.c}){text}"
    row = _CASTS.get((source.name, result.name))
    if row is None:
        raise PockError(f"{source.name} to {result.name} has no vector conversion on C targets")
    return row.format(text)


@dataclass
class Names:
    """Gives out names that are distinct within one function."""

    prefix: str = "t"
    count: int = 0

    def next(self) -> str:
        self.count += 1
        return f"{self.prefix}{self.count}"


@dataclass
class ExpressionWriter:
    """Writes expressions as C statements, each node once.

    args: C text and dtype of each argument that an `Expr` may name. A node's text is a name or
    a literal, so that it may be repeated.
    """

    args: Sequence[tuple[str, DType]]
    lanes: int
    names: Names
    lines: list[str] = field(default_factory=list[str])
    _known: dict[Expr, tuple[str, DType]] = field(default_factory=dict[Expr, tuple[str, DType]])

    def value(self, node: Expr, expected: DType) -> tuple[str, DType]:
        """Text and dtype of `node`; a constant takes the dtype `expected`."""
        for below in nodes(node, self._known):
            if below.args:
                self._value(below, expected)
        return self._value(node, expected)

    def _value(self, node: Expr, expected: DType) -> tuple[str, DType]:
        """`value`, where everything below is known already."""
        if node.op == "const":
            return literal(node.value, expected, self.lanes), expected
        if node.op == "arg":
            return self.args[node.index]
        if node not in self._known:
            self._known[node] = self._statement(*self._compute(node, expected))
        return self._known[node]

    def _statement(self, text: str, dtype: DType) -> tuple[str, DType]:
        name = self.names.next()
        self.lines.append(f"const {value_type(dtype, self.lanes)} {name} = {text};")
        return name, dtype

    def _compute(self, node: Expr, expected: DType) -> tuple[str, DType]:
        if node.op == "cast":
            return self._cast(node)
        if node.op == "select":
            condition, _ = self._value(node.args[0], dtype_named("i1"))
            branches, dtype = self._meet(node.args[1:], expected)
            return operation("select", (*branches, condition), dtype, self.lanes), dtype
        args, dtype = self._meet(node.args, expected)
        text = operation(node.op, args, dtype, self.lanes)
        return text, dtype_named("i1") if node.op in _COMPARISONS else dtype

    def _cast(self, node: Expr) -> tuple[str, DType]:
        result = dtype_named(node.dtype)
        if node.args[0].op == "const":  # a typed constant
            return literal(node.args[0].value, result, self.lanes), result
        text, source = self._value(node.args[0], result)
        return cast(text, source, result, self.lanes), result

    def _meet(self, args: Sequence[Expr], expected: DType) -> tuple[list[str], DType]:
        """The arguments' texts; constants take the dtype of those that are none."""
        known = [self._value(node, expected) for node in args if node.op != "const"]
        dtype = known[0][1] if known else expected
        return [self._value(node, dtype)[0] for node in args], dtype


class BodyEmitter:
    """Writes the elementwise ops of a block, typically a kernel's epilogue, as C statements.

    call_or_block: a `kern.call` or its block. prefix: of the names of all local variables; one
    emitter never uses a name twice, so its statements may stand in nested scopes.
    """

    def __init__(self, call_or_block: Operation | Block, target: Target, prefix: str = "t") -> None:
        self._block = call_or_block
        self._target = target
        self._names = Names(prefix)

    def statements(
        self, values: Mapping[SSAValue, str], outputs: Sequence[SSAValue], lanes: int
    ) -> tuple[list[str], list[str]]:
        """C statements, and one C expression for each of `outputs`.

        values: C expressions of some values, each a name or literal that may be repeated and
        has no side effect: a `pock_vf` (f32), `pock_vi` (i32; masks of 0 and -1 for i1) when
        `lanes` > 1, else the scalar (an int 0 or 1 for i1). The result of a broadcast or
        reshape must be given here, unless its operand is a constant or is given and of rank 0.
        Optimizer updates count as elementwise when they cover the whole parameter.
        lanes: 1, or the f32 lanes of the target's vector unit.
        Raises PockError naming the op if a value is neither given nor elementwise, or has a
        dtype without text; ValueError for another number of lanes.
        """
        if lanes not in (1, self._target.vector.lanes(4)):
            raise ValueError(f"{self._target.name} has no registers of {lanes} floats")
        expressions = Expressions(values)
        terms = [expressions.of(value) for value in outputs]
        args = [(values[value], dtype) for value, dtype in expressions.args]
        writer = ExpressionWriter(args, lanes, self._names)
        dtypes = [expressions.dtype(value) for value in outputs]
        texts = [writer.value(*pair)[0] for pair in zip(terms, dtypes, strict=True)]
        return writer.lines, texts
