"""What PyTorch computes for ops that make and move elements."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import shape
from pock_ir.op import integer, ints, number
from references.torch_reference import TORCH_DTYPES


def constant(op):
    dtype = TORCH_DTYPES[str(op.type.element_type)]
    return torch.full(op.type.get_shape(), op.number(), dtype=dtype)


def iota(op):
    sizes, axis = op.type.get_shape(), integer(op.axis)
    column = torch.arange(sizes[axis]).reshape([-1 if i == axis else 1 for i in range(len(sizes))])
    return column.expand(sizes).to(TORCH_DTYPES[str(op.type.element_type)])


def broadcast(op, x):
    sizes, axes = ints(op.shape), ints(op.axes)
    column = x.reshape([sizes[i] if i in axes else 1 for i in range(len(sizes))])
    return column.expand(sizes)


def take(op, x):
    bounds = zip(ints(op.begin), ints(op.end), ints(op.stride), strict=True)
    return x[tuple(slice(*bound) for bound in bounds)]


def pad(op, x):
    pairs = list(zip(ints(op.low), ints(op.high), strict=True))
    return F.pad(x, [size for pair in reversed(pairs) for size in pair], value=number(op.value))


REFERENCES = {
    shape.ConstantOp: constant,
    shape.IotaOp: iota,
    shape.BroadcastOp: broadcast,
    shape.ReshapeOp: lambda op, x: x.reshape(ints(op.shape)),
    shape.TransposeOp: lambda op, x: x.permute(ints(op.permutation)),
    shape.SliceOp: take,
    shape.PadOp: pad,
    shape.ConcatOp: lambda op, *xs: torch.cat(xs, integer(op.axis)),
}
