"""General products of tensors as linear layers and matrix products."""

from __future__ import annotations

from math import prod

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    reshape,
    transpose,
)
from pock.frontends.jax.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.matmul import LinearOp, MatMulOp
from pock_ir.types import shape_of


@handles("dot_general")
def dot_general(call: Call) -> SSAValue:
    """The sum over contracted axes, for each index of the batch axes.

    Without batch axes it is a linear layer whose weight is the right operand, which may then stay
    in the framework's [in, out] form; with batch axes a batch of matrix products.
    """
    (left, right), (left_batch, right_batch) = call.params["dimension_numbers"]
    emit = call.emit
    wanted = call.dtype()
    call.require(wanted.startswith(("f", "bf")), "products of integers are not supported")
    lhs, rhs = (cast(emit, call.x(index), wanted) for index in (0, 1))
    rows = _free(lhs, left, left_batch)
    columns = _free(rhs, right, right_batch)
    sizes = [shape_of(lhs)[axis] for axis in (*left_batch, *rows)]
    sizes += [shape_of(rhs)[axis] for axis in columns]
    if left_batch:
        a = _matrices(emit, lhs, left_batch, rows, left)
        b, flipped = _right_matrices(emit, rhs, right_batch, right, columns)
        y = emit(MatMulOp, a, b, transpose_lhs=False, transpose_rhs=flipped)
        return reshape(emit, y, sizes)
    x = _features_last(emit, lhs, rows, left)
    weight, layout = _weight(emit, rhs, right, columns)
    return reshape(emit, emit(LinearOp, x, weight, weight_layout=layout), sizes)


def _free(value: SSAValue, contracted: tuple[int, ...], batch: tuple[int, ...]) -> list[int]:
    rank = len(shape_of(value))
    return [axis for axis in range(rank) if axis not in contracted and axis not in batch]


def _size(value: SSAValue, axes: tuple[int, ...] | list[int]) -> int:
    return prod(shape_of(value)[axis] for axis in axes)


def _features_last(
    emit: Emitter, x: SSAValue, rows: list[int], contracted: tuple[int, ...]
) -> SSAValue:
    """x[rows..., K]."""
    ordered = transpose(emit, x, [*rows, *contracted])
    kept = [shape_of(x)[axis] for axis in rows]
    return reshape(emit, ordered, [*kept, _size(x, contracted)])


def _weight(
    emit: Emitter, w: SSAValue, contracted: tuple[int, ...], columns: list[int]
) -> tuple[SSAValue, str]:
    """w as [K, N] ("io") or [N, K] ("oi"), whichever needs no transpose."""
    k, n = _size(w, contracted), _size(w, columns)
    if [*columns, *contracted] == list(range(len(shape_of(w)))) and columns:
        return reshape(emit, w, (n, k)), "oi"
    ordered = transpose(emit, w, [*contracted, *columns])
    return reshape(emit, ordered, (k, n)), "io"


def _matrices(
    emit: Emitter,
    x: SSAValue,
    batch: tuple[int, ...],
    rows: list[int],
    columns: tuple[int, ...] | list[int],
) -> SSAValue:
    """x as [batch, rows, columns]."""
    ordered = transpose(emit, x, [*batch, *rows, *columns])
    return reshape(emit, ordered, (_size(x, batch), _size(x, rows), _size(x, columns)))


def _right_matrices(
    emit: Emitter,
    x: SSAValue,
    batch: tuple[int, ...],
    contracted: tuple[int, ...],
    columns: list[int],
) -> tuple[SSAValue, bool]:
    """x as [batch, K, N], or as [batch, N, K] and True if that needs no transpose."""
    if [*batch, *columns, *contracted] == list(range(len(shape_of(x)))):
        return _matrices(emit, x, batch, columns, contracted), True
    return _matrices(emit, x, batch, list(contracted), columns), False
