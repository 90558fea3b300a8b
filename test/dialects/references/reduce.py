"""What PyTorch computes for reductions."""

import torch

from pock_ir.dialects import reduce
from pock_ir.op import integer, ints, text
from references.torch_reference import TORCH_DTYPES


def products(x, axes):
    for axis in reversed(axes):
        x = torch.prod(x, axis, dtype=x.dtype)
    return x


def extreme_index(function):
    def reference(op, x):
        return function(x, integer(op.axis)).to(TORCH_DTYPES[text(op.index)])

    return reference


def reduction(function):
    # PyTorch reads "no axis" as "all axes".
    def reference(op, x):
        return function(x, ints(op.axes)) if ints(op.axes) else x

    return reference


REFERENCES = {
    reduce.SumOp: reduction(lambda x, axes: torch.sum(x, axes, dtype=x.dtype)),
    reduce.MeanOp: reduction(torch.mean),
    reduce.MaxOp: reduction(torch.amax),
    reduce.MinOp: reduction(torch.amin),
    reduce.ProdOp: reduction(products),
    reduce.ArgMaxOp: extreme_index(torch.argmax),
    reduce.ArgMinOp: extreme_index(torch.argmin),
}
