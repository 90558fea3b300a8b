"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import BlockArgument, SSAValue

from pock.frontends.common.steps import broadcast, common_shape, reshape, transpose
from pock.frontends.tensorflow.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.matmul import LinearOp, MatMulOp
from pock_ir.dialects.reduce import SumOp
from pock_ir.types import dtype_of, shape_of


def product(
    emit: Emitter, x: SSAValue, y: SSAValue, transpose_x: bool = False, transpose_y: bool = False
) -> SSAValue:
    """x[..., M, K] times y[..., K, N]; a parameter on the right is a layer's weight."""
    if isinstance(y, BlockArgument) and len(shape_of(y)) == 2 and not transpose_x:
        return emit(LinearOp, x, y, weight_layout="oi" if transpose_y else "io")
    lead = common_shape(shape_of(x)[:-2], shape_of(y)[:-2])
    x, y = (broadcast(emit, value, (*lead, *shape_of(value)[-2:])) for value in (x, y))
    return emit(MatMulOp, x, y, transpose_lhs=transpose_x, transpose_rhs=transpose_y)


@handles("MatMul")
def matmul(call: Call) -> SSAValue:
    """The product of two matrices."""
    call.require(dtype_of(call.x()).is_float, "products of integer matrices are not supported")
    flags = (call.attr("transpose_a"), call.attr("transpose_b"))
    return product(call.emit, call.x(0), call.x(1), *flags)


@handles("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(call: Call) -> SSAValue:
    """Products of matrices, one for each element of the leading dims, which broadcast."""
    call.require(dtype_of(call.x()).is_float, "products of integer matrices are not supported")
    return product(call.emit, call.x(0), call.x(1), call.attr("adj_x"), call.attr("adj_y"))


@handles("Einsum")
def einsum(call: Call) -> SSAValue:
    """A sum of products as the equation says, as one matrix product between transposes."""
    emit = call.emit
    equation: str = call.attr("equation").replace(" ", "")
    terms, _, result = equation.partition("->")
    call.require("." not in equation, "einsum with an ellipsis is not supported", "name all axes")
    operands = [_summed(emit, call.x(i), t, result, terms) for i, t in enumerate(terms.split(","))]
    if len(operands) == 1:
        x, axes = operands[0]
        return transpose(emit, x, [axes.index(axis) for axis in result])
    call.require(len(operands) == 2, "einsum takes at most two operands")
    (x, left), (y, right) = operands
    batch = [a for a in left if a in right and a in result]
    inner = [a for a in left if a in right and a not in result]
    rows, columns = ([a for a in t if a not in (*batch, *inner)] for t in (left, right))
    sizes = {
        **dict(zip(left, shape_of(x), strict=True)),
        **dict(zip(right, shape_of(y), strict=True)),
    }
    x = _grouped(emit, x, left, (batch, rows, inner), sizes)
    y = _grouped(emit, y, right, (batch, inner, columns), sizes)
    if batch:
        z = product(emit, x, y)
    else:
        z = emit(LinearOp, *(reshape(emit, v, shape_of(v)[1:]) for v in (x, y)), weight_layout="io")
    order = [*batch, *rows, *columns]
    z = reshape(emit, z, [sizes[axis] for axis in order])
    return transpose(emit, z, [order.index(axis) for axis in result])


def _summed(
    emit: Emitter, x: SSAValue, axes: str, result: str, terms: str
) -> tuple[SSAValue, list[str]]:
    """x summed over the axes that nothing else names, and those that are left."""
    alone = [i for i, a in enumerate(axes) if a not in result and terms.count(a) == 1]
    left = [a for i, a in enumerate(axes) if i not in alone]
    return (emit(SumOp, x, axes=alone) if alone else x), left


def _grouped(
    emit: Emitter,
    x: SSAValue,
    axes: Sequence[str],
    groups: Sequence[Sequence[str]],
    sizes: dict[str, int],
) -> SSAValue:
    """x transposed so that each group of axes is one."""
    order = [axis for group in groups for axis in group]
    turned = transpose(emit, x, [axes.index(axis) for axis in order])
    return reshape(emit, turned, [prod(sizes[axis] for axis in group) for group in groups])
