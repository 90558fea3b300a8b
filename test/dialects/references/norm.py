"""What PyTorch computes for batch normalisation."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import norm
from pock_ir.op import integer, number
from references.torch_reference import backward


def channels_second(op, x):
    return x.movedim(integer(op.axis), 1)


def batch_norm(op, x, gamma, beta):
    second = channels_second(op, x)
    if second.numel() == second.shape[1]:
        # PyTorch refuses to train on one value per channel; it is its own mean.
        y = beta.reshape(-1, *[1] * (second.ndim - 2)).expand_as(second)
    else:
        y = F.batch_norm(second, None, None, gamma, beta, True, 0.0, number(op.eps))
    return y.movedim(1, integer(op.axis)), *moments(op, x)


def batch_norm_inference(op, x, gamma, beta, mean, variance):
    second = channels_second(op, x)
    y = F.batch_norm(second, mean, variance, gamma, beta, False, 0.0, number(op.eps))
    return y.movedim(1, integer(op.axis))


def moments(op, x):
    axes = [i for i in range(x.ndim) if i != integer(op.axis)]
    variance, mean = torch.var_mean(x, axes, correction=0)
    return mean, variance


def batch_norm_grad_sums(op, dy, x, mean):
    dy, x, mean = (each.double() for each in (dy, x, mean))

    def spread(channel):
        return channel.reshape([-1 if i == integer(op.axis) else 1 for i in range(x.ndim)])

    def affine(gamma, beta):
        return (x - spread(mean)) * spread(gamma) + spread(beta)

    dgamma, dbeta = backward(affine, dy, torch.ones_like(mean), torch.zeros_like(mean))
    return dbeta, dgamma


REFERENCES = {
    norm.BatchNormOp: batch_norm,
    norm.BatchNormInferenceOp: batch_norm_inference,
    norm.MomentsOp: moments,
    norm.BatchNormGradSumsOp: batch_norm_grad_sums,
}
