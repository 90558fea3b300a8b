"""What PyTorch computes for convolutions."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import conv
from pock_ir.op import integer, ints, text
from references.torch_reference import backward
from references.window import from_nchw, nchw, pads


def conv2d(op, x, w):
    w = w.permute(3, 2, 0, 1) if text(op.weight_layout) == "hwio" else w
    x = F.pad(nchw(op, x), pads(op))
    y = F.conv2d(x, w, None, ints(op.strides), 0, ints(op.dilation), integer(op.groups))
    return from_nchw(op, y)


def conv2d_grad_input(op, dy, w):
    x = torch.zeros(ints(op.input_shape), dtype=dy.dtype)
    return backward(lambda x: conv2d(op, x, w), dy, x)[0]


def conv2d_grad_weight(op, x, dy):
    w = torch.zeros(ints(op.weight_shape), dtype=x.dtype)
    return backward(lambda w: conv2d(op, x, w), dy, w)[0]


REFERENCES = {
    conv.Conv2dOp: conv2d,
    conv.Conv2dGradInputOp: conv2d_grad_input,
    conv.Conv2dGradWeightOp: conv2d_grad_weight,
}
