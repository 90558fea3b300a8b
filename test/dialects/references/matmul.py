"""What PyTorch computes for matrix products."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import matmul
from pock_ir.op import flag, text
from references.torch_reference import backward


def product(op, lhs, rhs):
    lhs = lhs.mT if flag(op.transpose_lhs) else lhs
    return lhs @ (rhs.mT if flag(op.transpose_rhs) else rhs)


def linear(op, x, w):
    return F.linear(x, w if text(op.weight_layout) == "oi" else w.T)


def linear_grad_weight(op, x, dy):
    oi = text(op.weight_layout) == "oi"
    w = torch.zeros((dy.shape[-1], x.shape[-1]) if oi else (x.shape[-1], dy.shape[-1]))
    return backward(lambda w: linear(op, x, w), dy, w.to(x.dtype))[0]


REFERENCES = {
    matmul.MatMulOp: product,
    matmul.LinearOp: linear,
    matmul.LinearGradWeightOp: linear_grad_weight,
}
