"""Matrix products of every rank."""

from __future__ import annotations

import torch
from xdsl.ir import BlockArgument, SSAValue

from pock.frontends.common.steps import (
    broadcast,
    cast,
    reshape,
    splat_like,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.build import Emitter
from pock_ir.dialects.elementwise import AddOp, MulOp
from pock_ir.dialects.matmul import LinearOp, MatMulOp
from pock_ir.dialects.shape import TransposeOp
from pock_ir.op import ints
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten


def product(emit: Emitter, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """lhs[B..., M, K] times rhs[B..., K, N], with equal batch dims."""
    return emit(MatMulOp, lhs, rhs, transpose_lhs=False, transpose_rhs=False)


def _weight_of(rhs: SSAValue) -> tuple[SSAValue, str] | None:
    """(weight, layout) if the matrix `rhs` is an argument as it is, or transposed."""
    if isinstance(rhs, BlockArgument):
        return rhs, "io"
    source = rhs.owner
    if isinstance(source, TransposeOp) and isinstance(source.x, BlockArgument):
        return (source.x, "oi") if ints(source.permutation) == (1, 0) else None
    return None


def add_bias(emit: Emitter, y: SSAValue, bias: SSAValue | None) -> SSAValue:
    """y + bias, repeated along the leading dims; y alone without a bias."""
    return y if bias is None else emit(AddOp, y, broadcast(emit, bias, shape_of(y)))


@handles(aten.linear.default)
def linear(call: Call) -> SSAValue:
    """x[..., I] times w[O, I], plus bias."""
    x, weight = call.tensor("input"), call.tensor("weight")
    y = call.emit(LinearOp, x, weight, weight_layout="oi")
    return add_bias(call.emit, y, call.optional("bias"))


@handles(aten.mm.default, aten.bmm.default)
def mm(call: Call) -> SSAValue:
    """A product of matrices, or of equally many pairs of them."""
    return matrix_product(call.emit, call.tensor("self"), call.tensor("mat2"))


@handles(aten.addmm.default)
def addmm(call: Call) -> SSAValue:
    """beta * self + alpha * (mat1 times mat2)."""
    emit = call.emit
    y = matrix_product(emit, call.tensor("mat1"), call.tensor("mat2"))
    bias = broadcast(emit, call.tensor("self"), shape_of(y))
    if call["alpha"] != 1:
        y = emit(MulOp, y, splat_like(emit, call["alpha"], y))
    if call["beta"] != 1:
        bias = emit(MulOp, bias, splat_like(emit, call["beta"], bias))
    return emit(AddOp, y, bias)


@handles(aten.matmul.default)
def matmul(call: Call) -> SSAValue:
    """PyTorch's matmul: vectors get a dim of 1 that disappears again, batch dims broadcast."""
    lhs, rhs = call.tensor("self"), call.tensor("other")
    dtype = dtype_of(call.result()).name
    lhs, rhs = cast(call.emit, lhs, dtype), cast(call.emit, rhs, dtype)
    if len(shape_of(lhs)) == 1:
        lhs = reshape(call.emit, lhs, (1, *shape_of(lhs)))
    if len(shape_of(rhs)) == 1:
        rhs = reshape(call.emit, rhs, (*shape_of(rhs), 1))
    return reshape(call.emit, matrix_product(call.emit, lhs, rhs), call.shape())


def matrix_product(emit: Emitter, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """lhs[A..., M, K] times rhs[B..., K, N], where A and B broadcast to each other.

    A product with one matrix that is an argument is nn.linear, whose weight has a layout.
    """
    left, right = shape_of(lhs), shape_of(rhs)
    weight = _weight_of(rhs) if len(right) == 2 else None
    if weight is not None:
        return emit(LinearOp, lhs, weight[0], weight_layout=weight[1])
    if len(right) == 2 and len(left) > 2:
        flat = product(emit, reshape(emit, lhs, (_rows(left), left[-1])), rhs)
        return reshape(emit, flat, (*left[:-1], right[-1]))
    batch = tuple(torch.broadcast_shapes(left[:-2], right[:-2]))
    return product(
        emit,
        broadcast(emit, lhs, (*batch, *left[-2:])),
        broadcast(emit, rhs, (*batch, *right[-2:])),
    )


def _rows(shape: tuple[int, ...]) -> int:
    return torch.Size(shape[:-1]).numel()
