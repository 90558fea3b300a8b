"""Images and windows as PyTorch takes them, for convolutions and pooling."""

from pock_ir.op import ints, text


def nchw(op, x):
    return x.permute(0, 3, 1, 2) if text(op.layout) == "nhwc" else x


def from_nchw(op, x):
    return x.permute(0, 2, 3, 1) if text(op.layout) == "nhwc" else x


def pads(op):
    (top, left), (bottom, right) = ints(op.pad_low), ints(op.pad_high)
    return left, right, top, bottom
