"""What PyTorch computes for resizing."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import resize
from pock_ir.op import integer, text
from references.torch_reference import backward


def resize_to(op, x, size):
    axis, method, coordinates = integer(op.axis), text(op.method), text(op.coordinates)
    line = x.movedim(axis, -1)
    flat = line.reshape(1, -1, line.shape[-1])
    if method == "nearest":
        mode = "nearest-exact" if coordinates == "half_pixel" else "nearest"
        y = F.interpolate(flat, size, mode=mode)
    elif coordinates == "asymmetric":  # PyTorch has no such mode
        place = torch.arange(size, dtype=torch.float64) * line.shape[-1] / size
        place = place.clamp(max=line.shape[-1] - 1)
        low = place.floor().long()
        weight = (place - low).to(x.dtype)
        high = (low + 1).clamp(max=line.shape[-1] - 1)
        y = flat[..., low] * (1 - weight) + flat[..., high] * weight
    else:
        corners = coordinates == "align_corners"
        y = F.interpolate(flat, size, mode="linear", align_corners=corners)
    return y.reshape(*line.shape[:-1], size).movedim(-1, axis)


def resize_grad(op, dy):
    shape = list(dy.shape)
    size, shape[integer(op.axis)] = shape[integer(op.axis)], integer(op.size)
    x = torch.zeros(shape, dtype=dy.dtype)
    return backward(lambda x: resize_to(op, x, size), dy, x)[0]


REFERENCES = {
    resize.ResizeOp: lambda op, x: resize_to(op, x, integer(op.size)),
    resize.ResizeGradOp: resize_grad,
}
