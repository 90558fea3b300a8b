"""Sorting by comparing every element of a row with every other.

The rank of an element is the number of those that come before it, which needs no branches, and has
the gradient of the permutation that it makes. The work grows with the square of the row, so the
size is limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from pock.frontends.common.steps import broadcast, cast, iota, splat_like, transpose
from pock.frontends.jax.ops.boxes import INDEX
from pock.frontends.jax.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import (
    CompareOp,
    LogicalAndOp,
    LogicalNotOp,
    LogicalOrOp,
    SelectOp,
)
from pock_ir.dialects.gather import TakeAlongAxisOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.types import dtype_of, shape_of

LIMIT = 1 << 22
"""The most comparisons of one sort."""


@handles("sort")
def sort(call: Call) -> list[SSAValue]:
    """The operands along one axis in the order of the first ones; NaN last, equal ones as given."""
    axis, count = call.params["dimension"], call.params["num_keys"]
    keys = [_last(call, index, axis) for index in range(count)]
    _check(call, keys[0])
    order = _order(call.emit, keys, shape_of(keys[0])[-1], descending=False)
    return [_taken(call, index, axis, order) for index in range(len(call))]


@handles("top_k")
def top_k(call: Call) -> list[SSAValue]:
    """The k largest elements of each row and where they are; NaN first, equal ones as given."""
    axis, key = call.params["axis"], _last(call, 0, call.params["axis"])
    _check(call, key)
    order = _order(call.emit, [key], call.params["k"], descending=True)
    places = _back(call.emit, order, axis)
    return [_taken(call, 0, axis, order), cast(call.emit, places, call.dtype(1))]


def _check(call: Call, key: SSAValue) -> None:
    """Raises Refusal for a row that is too long."""
    shape = shape_of(key)
    call.require(
        prod(shape) * shape[-1] <= LIMIT,
        f"sorting {prod(shape[:-1])} rows of {shape[-1]} elements is not supported: too many",
        "sort outside of the model, or shorter rows",
    )


def _last(call: Call, index: int, axis: int) -> SSAValue:
    """Operand `index` with `axis` behind all others, as something that can be compared."""
    x = call.x(index)
    rank = len(shape_of(x))
    x = cast(call.emit, x, INDEX) if dtype_of(x).name == "i1" else x
    return transpose(call.emit, x, [*(i for i in range(rank) if i != axis), axis])


def _back(emit: Emitter, x: SSAValue, axis: int) -> SSAValue:
    """x with its last axis at `axis`."""
    order = list(range(len(shape_of(x)) - 1))
    order.insert(axis, len(order))
    return transpose(emit, x, order)


def _taken(call: Call, index: int, axis: int, order: SSAValue) -> SSAValue:
    """Operand `index` along `axis` in `order` [..., places]."""
    ids = _back(call.emit, order, axis)
    return call.emit(TakeAlongAxisOp, call.x(index), ids, axis=axis, out_of_range="clip", fill=0.0)


def _order(emit: Emitter, keys: Sequence[SSAValue], count: int, descending: bool) -> SSAValue:
    """[..., count]: which element of a row of the keys [..., n] comes first, second and so on."""
    shape = shape_of(keys[0])
    size, lead = shape[-1], len(shape) - 1
    square = (*shape, size)
    here, there = iota(emit, square, lead, INDEX), iota(emit, square, lead + 1, INDEX)
    before = emit(CompareOp, there, here, predicate="lt")
    for key in reversed(keys):
        less, equal = _compared(emit, key, descending)
        before = emit(LogicalOrOp, less, emit(LogicalAndOp, equal, before))
    ranks = emit(SumOp, cast(emit, before, INDEX), axes=[lead + 1])
    wide = (*shape[:-1], count, size)
    place, element = iota(emit, wide, lead, INDEX), iota(emit, wide, lead + 1, INDEX)
    ranks = broadcast(emit, ranks, wide, [*range(lead), lead + 1])
    hit = emit(CompareOp, ranks, place, predicate="eq")
    return emit(SumOp, emit(SelectOp, hit, element, splat_like(emit, 0, element)), axes=[lead + 1])


def _compared(emit: Emitter, key: SSAValue, descending: bool) -> tuple[SSAValue, SSAValue]:
    """[..., i, j]: whether element j comes before element i, and whether it is its equal."""
    shape = shape_of(key)
    lead, square = len(shape) - 1, (*shape, shape[-1])
    axes = ([*range(lead), lead], [*range(lead), lead + 1])
    here, there = (broadcast(emit, key, square, places) for places in axes)
    before = emit(CompareOp, there, here, predicate="gt" if descending else "lt")
    equal = emit(CompareOp, there, here, predicate="eq")
    if not dtype_of(key).is_float:
        return before, equal
    nan_here, nan_there = (emit(CompareOp, x, x, predicate="ne") for x in (here, there))
    first, last = (nan_there, nan_here) if descending else (nan_here, nan_there)
    only = emit(LogicalAndOp, first, emit(LogicalNotOp, last))
    both = emit(LogicalAndOp, nan_here, nan_there)
    return emit(LogicalOrOp, before, only), emit(LogicalOrOp, equal, both)
