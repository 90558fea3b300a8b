"""Keep what a pass has computed in the result's own memory, if a later pass needs it again.

Softmax sums exp(x - max) in one pass and divides it by the sum in the next. Instead of computing
the exponential twice, the first pass stores it in the result, and the next one reads it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pock_ir.lowering.loops.program import Access, Dims, Nest, Store, dims_of, level_of, nodes
from pock_ir.lowering.loops.shape import expression_dtype, expressions
from pock_ir.scalar import Expr, arg

EXPENSIVE = frozenset(
    ("exp", "log", "tanh", "erf", "expm1", "log1p", "erfc", "sin", "cos", "pow", "uniform")
)
"""What costs more than a store and a load."""


def spilled(nest: Nest, aliases: Mapping[int, int]) -> Nest:
    """The nest with at most one value per result kept in it between two passes.

    Safe when nothing reads, in a later pass, the operand whose memory the result takes over.
    """
    for number, store in enumerate(nest.stores):
        if store.to.dtype.name == "f32" and any(store.to.strides[dim] for dim in nest.reduced):
            nest = _spill(nest, number, store, aliases)
    return nest


def _spill(nest: Nest, number: int, store: Store, aliases: Mapping[int, int]) -> Nest:
    levels: dict[Expr, int] = {}
    last = level_of(nest, store.value, levels)
    candidates = [node for node in nodes(store.value) if _worth(nest, node, last, levels)]
    inner = {below for node in candidates for below in nodes(node) if below is not node}
    outermost = [node for node in candidates if node not in inner]
    if len(outermost) != 1:
        return nest
    kept = outermost[0]
    early = Store(store.to, kept)
    source = arg(len(nest.sources))
    late = Store(store.to, _replaced(store.value, kept, source))
    stores = (*nest.stores[:number], early, late, *nest.stores[number + 1 :])
    changed = replace(nest, sources=(*nest.sources, store.to), stores=stores)
    first = level_of(nest, kept, levels)
    return nest if _clobbers(changed, early, first, aliases) else changed


def _worth(nest: Nest, node: Expr, last: int, levels: dict[Expr, int]) -> bool:
    """Whether `node` is expensive, of an earlier pass, and computed there in any case."""
    level = level_of(nest, node, levels)
    if node.op not in EXPENSIVE or level >= last:
        return False
    dims: dict[Expr, Dims] = {}
    if not dims_of(nest, node, dims) & nest.reduced:
        return False
    dtype = expression_dtype(nest, node, {})
    in_sum = any(node in set(nodes(reduction.value)) for reduction in nest.reductions)
    return in_sum and dtype is not None and dtype.name == "f32"


def _clobbers(nest: Nest, early: Store, first: int, aliases: Mapping[int, int]) -> bool:
    """Whether a pass after `first` reads the operand that shares the result's memory."""
    shared = aliases.get(early.to.buffer)
    levels: dict[Expr, int] = {}
    for expression in expressions(nest):
        if expression is early.value or level_of(nest, expression, levels) <= first:
            continue
        for node in nodes(expression):
            source = nest.sources[node.index] if node.op == "arg" else None
            if isinstance(source, Access) and source.buffer == shared:
                return True
    return False


def _replaced(expression: Expr, old: Expr, new: Expr) -> Expr:
    known: dict[Expr, Expr] = {old: new}
    for node in nodes(expression, known):
        args = tuple(known[child] for child in node.args)
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        known[node] = node if same else replace(node, args=args)
    return known[expression]
