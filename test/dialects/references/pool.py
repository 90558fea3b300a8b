"""What PyTorch computes for pooling."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import pool
from pock_ir.op import flag, ints
from references.torch_reference import backward
from references.window import from_nchw, nchw, pads


def max_pool2d(op, x):
    x = F.pad(nchw(op, x), pads(op), value=float("-inf"))
    y = F.max_pool2d(x, ints(op.kernel), ints(op.strides), 0, ints(op.dilation))
    return from_nchw(op, y)


def max_pool2d_grad(op, x, dy):
    return backward(lambda x: max_pool2d(op, x), dy, x)[0]


def avg_pool2d(op, x):
    def sums(x):
        return F.avg_pool2d(F.pad(x, pads(op)), ints(op.kernel), ints(op.strides), 0)

    x = nchw(op, x)
    inside = sums(torch.ones_like(x)) if not flag(op.count_include_pad) else 1
    return from_nchw(op, sums(x) / inside)


def avg_pool2d_grad(op, dy):
    x = torch.zeros(ints(op.input_shape), dtype=dy.dtype)
    return backward(lambda x: avg_pool2d(op, x), dy, x)[0]


REFERENCES = {
    pool.MaxPool2dOp: max_pool2d,
    pool.MaxPool2dGradOp: max_pool2d_grad,
    pool.AvgPool2dOp: avg_pool2d,
    pool.AvgPool2dGradOp: avg_pool2d_grad,
}
