"""From a loop program to a function of scf, arith, math, memref and vector ops.

Every sum has a fixed order: up to four accumulators per column or row, combined in a tree; long
loops are cut into chunks whose sums are added up, so that the error grows with the number of
chunks and not of elements (Higham, Accuracy and Stability of Numerical Algorithms, 4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import log2
from typing import TypeAlias

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import FunctionType, IndexType, MemRefType
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from pock_ir.lowering.loops import arithmetic
from pock_ir.lowering.loops.program import LoopProgram, Nest, Reduction, Store, collapsed
from pock_ir.lowering.loops.shape import Pass, Plan, plan, shared_dim
from pock_ir.lowering.loops.values import Copy, Scope, Values

LONG_LOOP = 32
"""Additions to one accumulator beyond which a loop is cut into chunks."""

Bound: TypeAlias = int | SSAValue
Body: TypeAlias = Callable[[list[SSAValue]], Sequence[SSAValue]]


def chunk_length(additions: int) -> int:
    """Additions per chunk: the power of two nearest to the root of all of them.

    As many within a chunk as there are chunks keeps the sum of both errors least.
    """
    return 1 << round(log2(additions) / 2)


class NestBuilder:
    """Builds the loops of one nest at the end of a function's block."""

    def __init__(
        self, nest: Nest, chosen: Plan, values: Values, part: SSAValue, parts: int
    ) -> None:
        self.nest = nest
        self.plan = chosen
        self.values = values
        self.part = part
        self.parts = parts
        self.shared = shared_dim(nest, chosen, parts) if parts > 1 else -1
        self.blocks: list[Copy] = [{}]
        self.totals: dict[int, SSAValue] = {}
        values.lane = chosen.lane

    # Loops

    def _for(
        self,
        dim: int,
        low: Bound,
        high: Bound,
        step: int,
        starts: Sequence[SSAValue],
        body: Body,
    ) -> list[SSAValue]:
        """A loop over `dim`; `body` gets the carried values and returns the next ones.

        A loop over chunks has dim -1, and `body` gets its index too.
        """
        if isinstance(low, int) and isinstance(high, int) and low >= high:
            return list(starts)
        values = self.values
        first, last, stride = (self._index(bound) for bound in (low, high, step))
        block = Block(arg_types=[IndexType(), *(start.type for start in starts)])
        loop = scf.ForOp(first, last, stride, list(starts), block)
        outer = values.scopes[-1]
        outer.block.add_op(loop)
        outer.before = loop
        if dim >= 0:
            values.open(dim, block.args[0], block)
        else:
            values.scopes.append(Scope(outer.dims, block))
        following = body(list(block.args) if dim < 0 else list(block.args[1:]))
        block.add_op(scf.YieldOp(*following))
        if dim >= 0:
            values.close()
        else:
            values.scopes.pop()
            outer.before = None
        return list(loop.results)

    def _index(self, bound: Bound) -> SSAValue:
        return self.values.index_constant(bound) if isinstance(bound, int) else bound

    def _append(self, op: Operation) -> SSAValue:
        self.values.scopes[-1].block.add_op(op)
        return op.results[0]

    def build(self) -> None:
        """Emit all loops; `totals` then holds the reductions of a nest that keeps no dims."""
        kept = [dim for dim in sorted(self.nest.kept) if dim != self.plan.lane]
        self._kept(kept)

    def _kept(self, dims: list[int]) -> None:
        if dims:
            low, high = self._range(dims[0], 1)
            self._for(dims[0], low, high, 1, (), lambda _: self._inside(dims[1:]))
        elif self.plan.columns:
            self._columns()
        else:
            self.values.width = self.plan.width
            self._passes()

    def _inside(self, dims: list[int]) -> Sequence[SSAValue]:
        self._kept(dims)
        return ()

    def _range(self, dim: int, unit: int) -> tuple[Bound, Bound]:
        """Where this part begins and ends along `dim`; parts begin at multiples of `unit`."""
        size = self.nest.sizes[dim]
        if dim != self.shared:
            return 0, size
        chunk = -(-size // self.parts)
        chunk = -(-chunk // unit) * unit
        end, step = self._index(size), self._index(chunk)
        start = self._append(arith.MuliOp(self.part, step))
        low = self._append(arith.MinSIOp(start, end))
        stop = self._append(arith.AddiOp(low, step))
        return low, self._append(arith.MinSIOp(stop, end))

    def _columns(self) -> None:
        """The lanes' loop: blocks of registers, single registers, an incomplete one."""
        width, block = self.plan.width, self.plan.block
        low, high = self._range(self.plan.lane, width * block)
        for registers in sorted({block, 1}, reverse=True):
            end = self._multiple(low, high, registers * width)
            self._column_loop(low, end, registers)
            low = end
        self.values.active = self.nest.sizes[self.plan.lane] % width
        if self.values.active:
            self._column_loop(low, high, 1)
        self.values.active = 0

    def _multiple(self, low: Bound, high: Bound, unit: int) -> Bound:
        """The last point at or before `high` that is a multiple of `unit` away from `low`."""
        if isinstance(low, int) and isinstance(high, int):
            return low + (high - low) // unit * unit
        size = self._append(arith.SubiOp(self._index(high), self._index(low)))
        count = self._append(arith.DivUIOp(size, self._index(unit)))
        whole = self._append(arith.MuliOp(count, self._index(unit)))
        return self._append(arith.AddiOp(self._index(low), whole))

    def _column_loop(self, low: Bound, high: Bound, registers: int) -> None:
        lane, width = self.plan.lane, self.plan.width
        self.values.width = width
        self.blocks = [{lane: i * width} if i else {} for i in range(registers)]
        self._for(lane, low, high, registers * width, (), lambda _: self._inner())

    def _inner(self) -> Sequence[SSAValue]:
        self._passes()
        return ()

    # Passes over the reduced dims

    def _passes(self) -> None:
        for number, each in enumerate(self.plan.passes):
            self._pass(number, each)
        self._write(self.plan.after, self.blocks)

    def _pass(self, number: int, each: Pass) -> None:
        dims = sorted(self.nest.reduced)
        if not dims:
            sums = [self._plain(i, copy) for i in each.reductions for copy in self.blocks]
            self._write(each.stores, self.blocks)
        else:
            sums = self._reduce(dims, number, each)
        places = [(i, copy) for i in each.reductions for copy in self.blocks]
        for (index, copy), value in zip(places, sums, strict=True):
            self.values.define(index, copy, value)
        if not self.nest.kept:
            self.totals.update(zip(each.reductions, sums, strict=True))

    def _plain(self, index: int, copy: Copy) -> SSAValue:
        """A reduction over nothing."""
        reduction = self.nest.reductions[index]
        return self.values.wide(reduction.value, copy, reduction.dtype)

    def _reduce(self, dims: list[int], number: int, each: Pass) -> list[SSAValue]:
        """All reduced dims: one value per reduction and register of columns."""
        sums = self._outer(dims, number, each)
        if self.plan.columns or self.values.width == 1:
            return sums
        reductions = self._reductions(each)
        return [self._across(r, value) for r, value in zip(reductions, sums, strict=True)]

    def _reductions(self, each: Pass) -> list[Reduction]:
        """The reduction of each accumulator: one per reduction and register of columns."""
        return [self.nest.reductions[i] for i in each.reductions for _ in self.blocks]

    def _outer(self, dims: list[int], number: int, each: Pass) -> list[SSAValue]:
        if len(dims) == 1:
            return self._innermost(dims[0], number, each)
        reductions = self._reductions(each)

        def body(carried: list[SSAValue]) -> list[SSAValue]:
            return self._merge(reductions, carried, self._outer(dims[1:], number, each))

        size = self.nest.sizes[dims[0]]
        return self._for(dims[0], 0, size, 1, [self._start(r) for r in reductions], body)

    def _innermost(self, dim: int, number: int, each: Pass) -> list[SSAValue]:
        """The innermost reduced dim: unrolled, the rest, an incomplete register."""
        size = self.nest.sizes[dim]
        step = self.values.width if dim == self.plan.lane else 1
        unroll = max(1, min(self.plan.unroll(number), size // step))
        reductions = self._reductions(each)
        copies: list[Copy] = [{dim: i * step} if i else {} for i in range(unroll)]
        starts = [self._start(r) for r in reductions for _ in copies]
        end = size // (unroll * step) * (unroll * step)
        sums = self._chunked(dim, end, unroll * step, starts, each, copies)
        groups = [sums[i * unroll : (i + 1) * unroll] for i in range(len(reductions))]
        sums = [self._tree(r, group) for r, group in zip(reductions, groups, strict=True)]
        last = size // step * step
        sums = self._for(dim, end, last, step, sums, lambda c: self._accumulate(each, [{}], c))
        if last < size:
            self.values.active = size - last
            sums = self._for(dim, last, size, step, sums, lambda c: self._accumulate(each, [{}], c))
            self.values.active = 0
        return sums

    def _chunked(
        self,
        dim: int,
        end: int,
        step: int,
        starts: list[SSAValue],
        each: Pass,
        copies: list[Copy],
    ) -> list[SSAValue]:
        if not starts or end // step <= LONG_LOOP:
            return self._for(dim, 0, end, step, starts, lambda c: self._accumulate(each, copies, c))
        reductions = [
            self.nest.reductions[i] for i in each.reductions for _ in self.blocks for _ in copies
        ]

        length = chunk_length(end // step) * step

        def chunk(carried: list[SSAValue]) -> list[SSAValue]:
            low, sums = carried[0], carried[1:]
            stop = self._append(arith.AddiOp(low, self._index(length)))
            high = self._append(arith.MinSIOp(stop, self._index(end)))
            inner = self._for(
                dim, low, high, step, starts, lambda c: self._accumulate(each, copies, c)
            )
            return self._merge(reductions, sums, inner)

        return self._for(-1, 0, end, length, starts, chunk)

    def _accumulate(
        self, each: Pass, copies: Sequence[Copy], carried: list[SSAValue]
    ) -> list[SSAValue]:
        """The loop body: add to all accumulators, and do the stores of this pass."""
        following: list[SSAValue] = []
        places = product(each.reductions, self.blocks, copies)
        for (index, block, copy), total in zip(places, carried, strict=True):
            reduction = self.nest.reductions[index]
            value = self.values.wide(reduction.value, {**block, **copy}, reduction.dtype)
            following.append(self._combine(reduction, total, self._masked(reduction, value)))
        both: list[Copy] = [{**block, **copy} for block in self.blocks for copy in copies]
        self._write(each.stores, both)
        return following

    def _write(self, stores: Sequence[Store], copies: Sequence[Copy]) -> None:
        """All values first, so that no store overwrites what another one still reads."""
        pending = [(store, copy, self._stored(store, copy)) for store in stores for copy in copies]
        for store, copy, value in pending:
            self.values.store(store.to, value, copy)

    def _stored(self, store: Store, copy: Copy) -> SSAValue:
        lane = self.plan.lane
        moves = lane >= 0 and store.to.strides[lane] != 0
        compute = self.values.wide if moves else self.values.value
        return compute(store.value, copy, store.to.dtype)

    # Accumulators

    def _start(self, reduction: Reduction) -> SSAValue:
        return self.values.identity(reduction.kind, reduction.dtype, self.values.width > 1)

    def _masked(self, reduction: Reduction, value: SSAValue) -> SSAValue:
        """Nothing in the lanes of an incomplete register, where lanes are summed up."""
        if self.plan.columns or not self.values.active:
            return value
        args = [self.values.mask(), value, self._start(reduction)]
        return self._append(arithmetic.operation("select", args))

    def _combine(self, reduction: Reduction, a: SSAValue, b: SSAValue) -> SSAValue:
        op = arithmetic.COMBINED_BY[reduction.kind]
        return self._append(arithmetic.operation(op, [a, b]))

    def _merge(
        self, reductions: list[Reduction], a: list[SSAValue], b: list[SSAValue]
    ) -> list[SSAValue]:
        return [self._combine(r, x, y) for r, x, y in zip(reductions, a, b, strict=True)]

    def _tree(self, reduction: Reduction, values: list[SSAValue]) -> SSAValue:
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=False)
            rest = values[-1:] if len(values) % 2 else []
            values = [self._combine(reduction, a, b) for a, b in pairs] + rest
        return values[0]

    def _across(self, reduction: Reduction, value: SSAValue) -> SSAValue:
        return self._append(arithmetic.across(reduction.kind, value))


def build_function(program: LoopProgram, symbol: str, lanes: int, parts: int) -> FuncOp:
    """The function `symbol` of a loop program.

    Its arguments are one flat memref per buffer, then `part`: index. lanes: 32-bit elements per
    vector register, 1 for scalar code. parts: over how many calls the work is shared.
    """
    types: list[Attribute] = [MemRefType(b.dtype.type, [b.elements]) for b in program.buffers]
    block = Block(arg_types=[*types, IndexType()])
    function = Scope(frozenset(), block)
    totals: dict[tuple[int, int], SSAValue] = {}
    for number, original in enumerate(program.nests):
        nest = collapsed(original)
        values = Values(nest, block.args[:-1], function, totals)
        builder = NestBuilder(nest, plan(program, nest, lanes), values, block.args[-1], parts)
        builder.build()
        totals.update({(number, index): sum for index, sum in builder.totals.items()})
        function.known = {k: v for k, v in function.known.items() if _is_constant(v)}
    block.add_op(ReturnOp())
    return FuncOp(symbol, FunctionType.from_lists(block.arg_types, []), Region(block))


def _is_constant(value: SSAValue) -> bool:
    return isinstance(value.owner, arith.ConstantOp)


def declarations(functions: Sequence[FuncOp]) -> list[FuncOp]:
    """Declarations of the run-time functions that `functions` call, by name."""
    calls = {
        op.callee.root_reference.data: op
        for function in functions
        for op in function.walk()
        if isinstance(op, CallOp)
    }
    return [
        FuncOp.external(name, list(call.operand_types), list(call.result_types))
        for name, call in sorted(calls.items())
    ]
