"""What PyTorch computes for layer normalisation."""

import torch
import torch.nn.functional as F

from pock_ir.dialects.layer_norm import LayerNormGradInputOp, LayerNormGradParamsOp, LayerNormOp
from pock_ir.op import integer, number
from references.torch_reference import backward


def layer_norm(op, x, gamma, beta):
    axis = integer(op.axis)
    return torch.native_layer_norm(x, x.shape[axis:], gamma, beta, number(op.eps))[:3]


def layer_norm_squeezed(op, x, gamma, beta):
    y, mean, rstd = layer_norm(op, x, gamma, beta)
    lead = x.shape[: integer(op.axis)]
    return y, mean.reshape(lead), rstd.reshape(lead)


# The samples' statistics are those of x with this eps.
LAYER_EPS = 1e-5


def normalise(op, x, gamma, beta):
    return F.layer_norm(x, x.shape[integer(op.axis) :], gamma, beta, LAYER_EPS)


def layer_norm_grad_input(op, dy, x, mean, rstd, gamma):
    zero = torch.zeros_like(gamma)
    return backward(lambda x: normalise(op, x, gamma, zero), dy, x)[0]


def layer_norm_grad_params(op, dy, x, mean, rstd):
    one = torch.ones(x.shape[integer(op.axis) :], dtype=x.dtype)
    return backward(lambda gamma, beta: normalise(op, x, gamma, beta), dy, one, one)


REFERENCES = {
    LayerNormOp: layer_norm_squeezed,
    LayerNormGradInputOp: layer_norm_grad_input,
    LayerNormGradParamsOp: layer_norm_grad_params,
}
