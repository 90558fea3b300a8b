"""How a nest is run: which dim goes along the lanes, how much is unrolled, what each pass does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pock_ir.lowering.loops.arithmetic import (
    COMPARISONS,
    VECTOR_DTYPES,
    has_wide_form,
    vectorises,
)
from pock_ir.lowering.loops.program import (
    Access,
    Dims,
    LoopProgram,
    Nest,
    Position,
    Store,
    dims_of,
    level_of,
    nodes,
)
from pock_ir.scalar import Expr
from pock_ir.types import DType, dtype_named

ACCUMULATORS = 4
"""Independent accumulators that hide the latency of an addition."""


@dataclass(frozen=True)
class Pass:
    """What one walk over the reduced dims does: reductions by number, and stores."""

    reductions: tuple[int, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True)
class Plan:
    """lane: the dim along a register's lanes, -1 for none; width: lanes, 1 for scalar code.

    columns: whether the lanes run along a kept dim, so that each lane has its own sums; block:
    registers of columns at once. passes, then `after`: stores once per point of the kept dims.
    """

    lane: int
    width: int
    columns: bool
    block: int
    passes: tuple[Pass, ...]
    after: tuple[Store, ...]

    def unroll(self, number: int) -> int:
        """How many points of the innermost reduced dim pass `number` handles at once."""
        sums = len(self.passes[number].reductions)
        return 1 if not sums else max(1, ACCUMULATORS // (sums * self.block))


def plan(program: LoopProgram, nest: Nest, lanes: int) -> Plan:
    """The plan of a collapsed nest for registers of `lanes` 32-bit elements."""
    lane = len(nest.sizes) - 1
    width = lanes if lane >= 0 and _fits(nest, lane) else 1
    columns = lane >= 0 and lane not in nest.reduced
    passes, after = _passes(program, nest)
    sums = max((len(each.reductions) for each in passes), default=0)
    block = ACCUMULATORS // max(1, min(sums, 2)) if columns and sums and width > 1 else 1
    block = max(1, min(block, nest.sizes[lane] // width)) if block > 1 else 1
    return Plan(lane, width, columns, block, passes, after)


def _passes(program: LoopProgram, nest: Nest) -> tuple[tuple[Pass, ...], tuple[Store, ...]]:
    levels: dict[Expr, int] = {}
    reductions = [level_of(nest, each.value, levels) for each in nest.reductions]
    full = [store for store in nest.stores if _is_full(nest, store)]
    places = [_store_pass(program, nest, store, levels) for store in full]
    count = max((*reductions, *places), default=-1) + 1
    passes = tuple(
        Pass(
            tuple(i for i, at in enumerate(reductions) if at == level),
            tuple(store for store, at in zip(full, places, strict=True) if at == level),
        )
        for level in range(count)
    )
    return passes, tuple(store for store in nest.stores if not _is_full(nest, store))


def _is_full(nest: Nest, store: Store) -> bool:
    if not nest.kept and not nest.reduced:
        return False
    moves = any(store.to.strides[dim] for dim in nest.reduced)
    return moves or not nest.reduced


def _store_pass(program: LoopProgram, nest: Nest, store: Store, levels: dict[Expr, int]) -> int:
    """The pass of a store: when its value is known, and the operand that it overwrites is read."""
    level = level_of(nest, store.value, levels)
    shared = program.aliases.get(store.to.buffer)
    for expression in expressions(nest):
        at = level_of(nest, expression, levels)
        for node in nodes(expression):
            if node.op == "arg" and expression is not store.value:
                source = nest.sources[node.index]
                if isinstance(source, Access) and source.buffer == shared:
                    level = max(level, at)
    return level


def expressions(nest: Nest) -> Iterable[Expr]:
    """Everything that the nest computes."""
    for reduction in nest.reductions:
        yield reduction.value
    for store in nest.stores:
        yield store.value


def expression_dtype(nest: Nest, node: Expr, known: dict[Expr, DType | None]) -> DType | None:
    """The dtype of a node; None for a constant, which takes the dtype of what it meets."""
    for below in nodes(node, known):
        known[below] = _dtype(nest, below, known)
    return known[node]


def _dtype(nest: Nest, node: Expr, known: dict[Expr, DType | None]) -> DType | None:
    parts = [known[child] for child in node.args]
    if node.op == "arg":
        return nest.sources[node.index].dtype
    if node.op == "const":
        return None
    if node.op == "cast":
        return dtype_named(node.dtype)
    if node.op == "uniform":
        return dtype_named("f32")
    if node.op in COMPARISONS or node.op == "not":
        return dtype_named("i1")
    rest = parts[1:] if node.op == "select" else parts
    return next((part for part in rest if part is not None), None)


def _fits(nest: Nest, lane: int) -> bool:
    """Whether everything that changes along `lane` has a vector form."""
    steps = [a.strides[lane] for a in nest.accesses() if isinstance(a, Access)]
    if any(step not in (0, 1) for step in steps):
        return False
    if any(
        store.to.strides[lane] and store.to.dtype.name not in VECTOR_DTYPES for store in nest.stores
    ):
        return False
    allowed = ("f64", "f32", "i32") if lane not in nest.reduced else ("f64", "f32")
    if any(each.dtype.name not in allowed for each in nest.reductions):
        return False
    dims: dict[Expr, Dims] = {}
    known: dict[Expr, DType | None] = {}
    return all(
        _node_fits(nest, node, known)
        for expression in expressions(nest)
        for node in nodes(expression)
        if lane in dims_of(nest, node, dims)
    )


def _node_fits(nest: Nest, node: Expr, known: dict[Expr, DType | None]) -> bool:
    dtype = expression_dtype(nest, node, known)
    if node.op == "arg" and isinstance(nest.sources[node.index], Position):
        return True
    if dtype is not None and dtype.name not in VECTOR_DTYPES:
        return False
    operands = [expression_dtype(nest, child, known) for child in node.args]
    meets = next((operand for operand in operands if operand is not None), dtype)
    return (
        meets is None
        or node.op in ("arg", "cast", "select", "uniform")
        or vectorises(node.op, meets)
    )


def has_wide_text(nest: Nest) -> bool:
    """Whether everything that the nest computes in f64 has C text."""
    known: dict[Expr, DType | None] = {}
    sums = all(each.kind == "sum" for each in nest.reductions if each.dtype.name == "f64")
    return sums and all(
        _has_wide_text(nest, node, known)
        for expression in expressions(nest)
        for node in nodes(expression)
    )


def _has_wide_text(nest: Nest, node: Expr, known: dict[Expr, DType | None]) -> bool:
    dtypes = [expression_dtype(nest, each, known) for each in (node, *node.args)]
    names = {dtype.name for dtype in dtypes if dtype is not None}
    if "f64" not in names or not node.args:
        return True
    return names <= {"f64", "f32"} if node.op == "cast" else has_wide_form(node.op)


def shared_dim(nest: Nest, chosen: Plan, parts: int) -> int:
    """The kept dim that is shared out over `parts`: the outermost with enough points, else the
    largest; -1 if no dim is kept."""
    kept = sorted(nest.kept)
    if not kept:
        return -1
    unit = {dim: chosen.width * chosen.block if dim == chosen.lane else 1 for dim in kept}
    enough = [dim for dim in kept if nest.sizes[dim] >= parts * unit[dim]]
    return enough[0] if enough else max(kept, key=lambda dim: (nest.sizes[dim], -dim))
