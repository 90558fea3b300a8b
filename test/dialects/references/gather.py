"""What PyTorch computes for ops that index at run time."""

import torch

from pock_ir.dialects.gather import GatherOp, ScatterAddOp, TakeAlongAxisGradOp, TakeAlongAxisOp
from pock_ir.op import integer, number, text
from references.torch_reference import backward


def inside(op, ids, size):
    if text(op.out_of_range) == "wrap":
        return ids.long() % size, torch.ones_like(ids, dtype=torch.bool)
    counted = (ids >= 0) & (ids < size) if text(op.out_of_range) == "fill" else ids == ids
    return ids.long().clamp(0, size - 1), counted


def gather(op, x, ids):
    axis = integer(op.axis)
    places, counted = inside(op, ids, x.shape[axis])
    taken = x.index_select(axis, places.reshape(-1))
    taken = taken.reshape(*x.shape[:axis], *ids.shape, *x.shape[axis + 1 :])
    column = counted.reshape(ids.shape + (1,) * (x.ndim - axis - 1))
    fill = number(op.fill) if "fill" in op.properties else 0
    return torch.where(column, taken, torch.tensor(fill).to(x.dtype))


def scatter_add(op, ids, dy):
    x = torch.zeros(op.result.type.get_shape(), dtype=dy.dtype)
    return backward(lambda x: gather(op, x, ids), dy, x)[0]


def take_along_axis(op, x, ids):
    axis = integer(op.axis)
    places, counted = inside(op, ids, x.shape[axis])
    fill = number(op.fill) if "fill" in op.properties else 0
    return torch.where(counted, torch.gather(x, axis, places), torch.tensor(fill).to(x.dtype))


def take_along_axis_grad(op, ids, dy):
    x = torch.zeros(op.result.type.get_shape(), dtype=dy.dtype)
    return backward(lambda x: take_along_axis(op, x, ids), dy, x)[0]


REFERENCES = {
    GatherOp: gather,
    ScatterAddOp: scatter_add,
    TakeAlongAxisOp: take_along_axis,
    TakeAlongAxisGradOp: take_along_axis_grad,
}
