"""What PyTorch computes for running sums."""

import torch

from pock_ir.dialects import scan
from pock_ir.op import flag, integer


def cumsum(op, x):
    axis = integer(op.axis)
    x = x.flip(axis) if flag(op.reverse) else x
    total = torch.cumsum(x, axis, dtype=x.dtype)
    total = total - x if flag(op.exclusive) else total
    return total.flip(axis) if flag(op.reverse) else total


REFERENCES = {
    scan.CumSumOp: cumsum,
}
