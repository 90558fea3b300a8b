"""Values inside loops: each expression is computed once, at the outermost loop that knows it.

`Values` keeps a stack of scopes, one per open loop. An expression is inserted in the outermost
scope in which all dims that it reads have an index; so what does not change along a loop is
computed before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from xdsl.dialects import arith, memref, vector
from xdsl.dialects.builtin import VectorType
from xdsl.ir import Block, Operation, SSAValue

from pock_ir.diagnostics import PockError
from pock_ir.lowering.loops import arithmetic
from pock_ir.lowering.loops.program import (
    Access,
    Dims,
    Nest,
    Position,
    Reduced,
    Source,
    Total,
    dims_of,
    nodes,
)
from pock_ir.scalar import Expr
from pock_ir.types import DType, dtype_named

Copy: TypeAlias = Mapping[int, int]
"""Which of several points a loop body handles at once: dim -> offset from the loop's index."""

I1, I32 = dtype_named("i1"), dtype_named("i32")


@dataclass
class Scope:
    """One open loop: the dims with an index inside it, and where its ops go.

    before: ops are inserted before this inner loop, or at the end of the block if it is None.
    """

    dims: Dims
    block: Block
    before: Operation | None = None
    known: dict[object, SSAValue] = field(default_factory=dict[object, SSAValue])

    def insert(self, op: Operation) -> SSAValue:
        if self.before is None:
            self.block.add_op(op)
        else:
            self.block.insert_op_before(op, self.before)
        return op.results[0]


class Values:
    """Computes the expressions of one nest at the current place in its loops.

    buffers: the function's memref arguments. lane: the dim that runs over a register's lanes;
    width: lanes per register in the innermost loop, 1 for scalar code; active: how many of them
    have an element in the last, incomplete register of a row, 0 for all.
    totals: results of earlier nests, by (nest, reduction).
    """

    def __init__(
        self,
        nest: Nest,
        buffers: Sequence[SSAValue],
        function: Scope,
        totals: Mapping[tuple[int, int], SSAValue],
    ) -> None:
        self.nest = nest
        self.buffers = buffers
        self.scopes = [function]
        self.totals = totals
        self.indices: dict[int, SSAValue] = {}
        self.order: list[int] = []
        self.lane = -1
        self.width = 1
        self.active = 0
        self._dims: dict[Expr, Dims] = {}

    # Scopes and loops' indices

    def open(self, dim: int, index: SSAValue, block: Block) -> None:
        """Enter a loop over `dim`."""
        self.scopes.append(Scope(self.scopes[-1].dims | {dim}, block))
        self.indices[dim] = index
        self.order.append(dim)

    def close(self) -> None:
        """Leave the innermost loop; ops now follow it."""
        self.scopes.pop()
        del self.indices[self.order.pop()]
        self.scopes[-1].before = None

    def dims(self, expression: Expr) -> Dims:
        return dims_of(self.nest, expression, self._dims)

    def _scope(self, dims: Dims) -> Scope:
        return next(scope for scope in self.scopes if dims <= scope.dims)

    def index_constant(self, value: int) -> SSAValue:
        return self._once(
            self.scopes[0], ("index", value), lambda: arithmetic.index_constant(value)
        )

    def _once(self, scope: Scope, key: object, make: Callable[[], Operation]) -> SSAValue:
        if key not in scope.known:
            scope.known[key] = scope.insert(make())
        return scope.known[key]

    # Positions

    def linear(self, strides: Sequence[int], offset: int, copy: Copy) -> SSAValue:
        """The index value offset + sum of stride * (index + copy)."""
        total: SSAValue | None = None
        for place, dim in enumerate(self.order):
            if strides[dim]:
                done = tuple((d, strides[d]) for d in self.order[: place + 1])
                total = self._step(total, dim, strides[dim], done)
        offset += sum(strides[dim] * step for dim, step in copy.items())
        if total is None:
            return self.index_constant(offset)
        if not offset:
            return total
        scope = self._scope(frozenset(dim for dim in self.order if strides[dim]))
        base, constant = total, self.index_constant(offset)
        return self._once(scope, (base, offset), lambda: arith.AddiOp(base, constant))

    def _step(self, total: SSAValue | None, dim: int, stride: int, done: object) -> SSAValue:
        scope = self._scope(frozenset((dim,)))
        scaled = self.indices[dim]
        if stride != 1:
            index, factor = scaled, self.index_constant(stride)
            scaled = self._once(scope, ("scaled", dim, stride), lambda: arith.MuliOp(index, factor))
        if total is None:
            return scaled
        base, term = total, scaled
        return self._once(scope, ("sum", done), lambda: arith.AddiOp(base, term))

    # Expressions

    def value(self, expression: Expr, copy: Copy, expected: DType) -> SSAValue:
        """`expression` at the current point; a vector if it changes along the lanes."""
        for node in nodes(expression):
            if node.args:
                self._value(node, copy, expected)
        return self._value(expression, copy, expected)

    def _value(self, expression: Expr, copy: Copy, expected: DType) -> SSAValue:
        """`value`, where everything below is computed already."""
        if expression.op == "const":
            return self._constant(expression.value, expected)
        if expression.op == "arg" and isinstance(self._source(expression), Total):
            source = self._source(expression)
            assert isinstance(source, Total)
            return self.totals[source.nest, source.index]
        dims = self.dims(expression)
        key = (expression, tuple((d, s) for d, s in sorted(copy.items()) if d in dims))
        scope = self._scope(dims)
        if key not in scope.known:
            scope.known[key] = self._compute(expression, copy, expected, scope)
        return scope.known[key]

    def wide(self, expression: Expr, copy: Copy, expected: DType) -> SSAValue:
        """`expression`, in every lane where the current loop is a vector loop."""
        value = self.value(expression, copy, expected)
        return value if self.width == 1 else self._spread(value, self.dims(expression))

    def define(self, index: int, copy: Copy, value: SSAValue) -> None:
        """Make reduction number `index` known in the innermost open scope."""
        for number, source in enumerate(self.nest.sources):
            if isinstance(source, Reduced) and source.index == index:
                scope = self.scopes[-1]
                dims = self.nest.kept
                place = tuple((d, s) for d, s in sorted(copy.items()) if d in dims)
                scope.known["reduced", number, place] = value

    def _source(self, expression: Expr) -> Source:
        return self.nest.sources[expression.index]

    def _constant(self, value: float, dtype: DType) -> SSAValue:
        key = ("constant", repr(value), dtype.name)
        return self._once(self.scopes[0], key, lambda: arithmetic.constant(value, dtype))

    def identity(self, kind: str, dtype: DType, wide: bool) -> SSAValue:
        """What an accumulator starts from."""
        value = self._constant(arithmetic.identity(kind, dtype), dtype)
        return self._spread(value, frozenset()) if wide else value

    def _spread(self, value: SSAValue, dims: Dims) -> SSAValue:
        if isinstance(value.type, VectorType):
            return value
        scope = self._scope(dims)
        lanes = self.width
        key = ("spread", value, lanes)
        return self._once(scope, key, lambda: arithmetic.broadcast(value, lanes))

    def _compute(self, node: Expr, copy: Copy, expected: DType, scope: Scope) -> SSAValue:
        if node.op == "arg":
            return self._read(node, copy, scope)
        if node.op == "cast":
            return self._cast(node, copy, scope)
        if node.op == "uniform":
            seed, step, index = self._operands(node.args, copy, I32, self.dims(node), spread=(2,))
            stream = self._constant(_signed(node.value), I32)
            return scope.insert(arithmetic.uniform(seed, step, index, stream))
        if node.op == "not":
            args = self._operands((node.args[0], Expr("const", value=1)), copy, I1, self.dims(node))
            return scope.insert(arithmetic.operation("xor", args))
        if node.op == "select":
            return self._select(node, copy, expected, scope)
        dtype = self._meet(node.args, copy, expected)
        args = self._operands(node.args, copy, dtype, self.dims(node))
        if node.op == "neg" and not dtype.is_float:
            zero = self._operands((Expr("const", value=0),), copy, dtype, self.dims(node))
            return scope.insert(arithmetic.operation("sub", [*zero, *args]))
        return scope.insert(arithmetic.operation(node.op, args))

    def _select(self, node: Expr, copy: Copy, expected: DType, scope: Scope) -> SSAValue:
        dtype = self._meet(node.args[1:], copy, expected)
        dims = self.dims(node)
        branches = self._operands(node.args[1:], copy, dtype, dims)
        condition = self._operands(node.args[:1], copy, I1, dims)
        return scope.insert(arithmetic.operation("select", [*condition, *branches]))

    def _meet(self, arguments: Sequence[Expr], copy: Copy, expected: DType) -> DType:
        """The dtype of the arguments that are no constants."""
        for node in arguments:
            if node.op != "const":
                return arithmetic.dtype_of_value(self._value(node, copy, expected))
        return expected

    def _operands(
        self,
        arguments: Sequence[Expr],
        copy: Copy,
        dtype: DType,
        dims: Dims,
        spread: Sequence[int] | None = None,
    ) -> list[SSAValue]:
        """The values of `arguments`, as vectors if the result is one (or those in `spread`)."""
        values = [self._value(node, copy, dtype) for node in arguments]
        if self.width == 1 or self.lane not in dims:
            return values
        return [
            self._spread(value, self.dims(node)) if spread is None or place in spread else value
            for place, (value, node) in enumerate(zip(values, arguments, strict=True))
        ]

    def _cast(self, node: Expr, copy: Copy, scope: Scope) -> SSAValue:
        result = dtype_named(node.dtype)
        child = node.args[0]
        if child.op == "const":
            return self._constant(child.value, result)
        value = self._value(child, copy, result)
        source = arithmetic.dtype_of_value(value)
        if source == result:
            return value
        dims = self.dims(node)
        if source.name == "i1":
            branches = (Expr("const", value=1), Expr("const", value=0))
            picked = self._operands((child, *branches), copy, result, dims)
            return scope.insert(arithmetic.operation("select", picked))
        if result.name == "i1":
            pair = self._operands((child, Expr("const", value=0)), copy, source, dims)
            return scope.insert(arithmetic.operation("ne", pair))
        op = arithmetic.conversion(value, result)
        if op is None:
            raise PockError(f"{source.name} to {result.name} has no loops form")
        return scope.insert(op)

    # Memory

    def _read(self, node: Expr, copy: Copy, scope: Scope) -> SSAValue:
        source = self._source(node)
        if isinstance(source, Access):
            return scope.insert(self._load(source, copy))
        if isinstance(source, Position):
            return self._position(source, copy, scope)
        dims = self.nest.kept
        place = tuple((d, s) for d, s in sorted(copy.items()) if d in dims)
        for known in reversed(self.scopes):
            if ("reduced", node.index, place) in known.known:
                return known.known["reduced", node.index, place]
        raise AssertionError("a reduction is read before it is computed")

    def _load(self, access: Access, copy: Copy) -> Operation:
        index = self.linear(access.strides, access.offset, copy)
        buffer = self.buffers[access.buffer]
        if self.width == 1 or self.lane < 0 or not access.strides[self.lane]:
            return memref.LoadOp.get(buffer, [index])
        if not self.active:
            return vector.LoadOp(buffer, [index], VectorType(access.dtype.type, [self.width]))
        rest = self._spread(self._constant(0, access.dtype), frozenset())
        return vector.MaskedLoadOp(buffer, [index], self.mask(), rest)

    def mask(self) -> SSAValue:
        """Which lanes are active, where not all are."""
        key = ("mask", self.active, self.width)
        return self._once(self.scopes[0], key, self._make_mask)

    def _make_mask(self) -> Operation:
        count = self.index_constant(self.active)
        return vector.CreateMaskOp([count], VectorType(I1.type, [self.width]))

    def store(self, access: Access, value: SSAValue, copy: Copy) -> None:
        """Write `value` (a vector where the access moves along the lanes) here."""
        index = self.linear(access.strides, access.offset, copy)
        buffer = self.buffers[access.buffer]
        block = self.scopes[-1].block
        if not isinstance(value.type, VectorType):
            block.add_op(memref.StoreOp.get(value, buffer, [index]))
        elif self.active:
            block.add_op(vector.MaskedStoreOp(buffer, [index], self.mask(), value))
        else:
            block.add_op(vector.StoreOp(value, buffer, [index]))

    def _position(self, source: Position, copy: Copy, scope: Scope) -> SSAValue:
        index = self.linear(source.strides, source.offset, copy)
        scalar = scope.insert(arith.IndexCastOp(index, I32.type))
        stride = source.strides[self.lane] if self.lane >= 0 else 0
        if self.width == 1 or not stride:
            return scalar
        lanes = self._once(
            self.scopes[0],
            ("lanes", stride, self.width),
            lambda: arithmetic.lane_numbers(stride, self.width),
        )
        spread = scope.insert(arithmetic.broadcast(scalar, self.width))
        return scope.insert(arith.AddiOp(spread, lanes))


def _signed(word: float) -> int:
    """A 32-bit word as the i32 with the same bits."""
    value = int(word)
    return value - 2**32 if value >= 2**31 else value
