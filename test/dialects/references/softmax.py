"""What PyTorch computes for softmax."""

import torch.nn.functional as F

from pock_ir.dialects import softmax
from pock_ir.op import integer
from references.torch_reference import backward


def softmax_grad(op, y, dy):
    return backward(lambda x: F.softmax(x, integer(op.axis)), dy, y.log())[0]


def log_softmax_grad(op, y, dy):
    return backward(lambda x: F.log_softmax(x, integer(op.axis)), dy, y)[0]


REFERENCES = {
    softmax.SoftmaxOp: lambda op, x: F.softmax(x, integer(op.axis)),
    softmax.LogSoftmaxOp: lambda op, x: F.log_softmax(x, integer(op.axis)),
    softmax.SoftmaxGradOp: softmax_grad,
    softmax.LogSoftmaxGradOp: log_softmax_grad,
}
