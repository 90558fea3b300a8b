"""What PyTorch computes for normalisation by the root mean square."""

import torch
import torch.nn.functional as F

from pock_ir.dialects.rms_norm import RmsNormGradInputOp, RmsNormGradWeightOp, RmsNormOp
from pock_ir.op import integer, number
from references.layer_norm import LAYER_EPS
from references.torch_reference import backward


def rms_norm(op, x, gamma):
    axis, eps = integer(op.axis), number(op.eps)
    y = F.rms_norm(x, x.shape[axis:], gamma, eps)
    return y, torch.rsqrt(x.square().flatten(axis).mean(-1) + eps)


def rms_normalise(op, x, gamma):
    return F.rms_norm(x, x.shape[integer(op.axis) :], gamma, LAYER_EPS)


def rms_norm_grad_input(op, dy, x, rstd, gamma):
    return backward(lambda x: rms_normalise(op, x, gamma), dy, x)[0]


def rms_norm_grad_weight(op, dy, x, rstd):
    one = torch.ones(x.shape[integer(op.axis) :], dtype=x.dtype)
    return backward(lambda gamma: rms_normalise(op, x, gamma), dy, one)[0]


REFERENCES = {
    RmsNormOp: rms_norm,
    RmsNormGradInputOp: rms_norm_grad_input,
    RmsNormGradWeightOp: rms_norm_grad_weight,
}
