"""What PyTorch computes for padding with what is there."""

import torch
import torch.nn.functional as F

from pock_ir.dialects.border_pad import BorderPadGradOp, BorderPadOp
from pock_ir.op import integer, text
from references.torch_reference import backward


def border_pad(op, x):
    modes = {"edge": "replicate", "symmetric": "symmetric"}
    mode, axis = text(op.mode), integer(op.axis)
    low, high = integer(op.low), integer(op.high)
    line = x.movedim(axis, -1)
    if mode == "symmetric":  # PyTorch has no such mode
        mirrored = torch.cat([line.flip(-1), line, line.flip(-1)], -1)
        padded = mirrored[..., line.shape[-1] - low : 2 * line.shape[-1] + high]
    else:
        flat = line.reshape(1, -1, line.shape[-1])
        padded = F.pad(flat, (low, high), mode=modes.get(mode, mode))
    return padded.reshape(*line.shape[:-1], -1).movedim(-1, axis)


def border_pad_grad(op, dy):
    shape = list(dy.shape)
    shape[integer(op.axis)] -= integer(op.low) + integer(op.high)
    return backward(lambda x: border_pad(op, x), dy, torch.zeros(shape, dtype=dy.dtype))[0]


REFERENCES = {
    BorderPadOp: border_pad,
    BorderPadGradOp: border_pad_grad,
}
