"""What the tables of references share: PyTorch's element types and its gradients."""

import torch

TORCH_DTYPES = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "i1": torch.bool,
    "i8": torch.int8,
    "i32": torch.int32,
    "i64": torch.int64,
}


def backward(function, outputs, *inputs):
    """The gradients of `function(*inputs)` to its inputs, for the cotangent `outputs`."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    return torch.autograd.grad(function(*leaves), leaves, outputs)


def plain(function):
    """A reference that needs nothing of the op but its operands."""
    return lambda op, *xs: function(*xs)
