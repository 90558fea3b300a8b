"""What PyTorch computes for integer division, remainders and bits."""

import torch

from pock_ir.dialects import division
from pock_ir.op import text


def integer_div(op, lhs, rhs):
    # PyTorch divides by 0 for an error, and overflows as the machine does.
    divisor = torch.where(rhs == 0, 1, rhs)
    quotient = torch.div(lhs.long(), divisor.long(), rounding_mode=text(op.rounding)).to(lhs.dtype)
    return torch.where(rhs == 0, -1, quotient)


def remainder(op, lhs, rhs):
    function = torch.remainder if text(op.rounding) == "floor" else torch.fmod
    if lhs.dtype.is_floating_point:
        return function(lhs, rhs)
    rest = function(lhs.long(), torch.where(rhs == 0, 1, rhs).long())
    return torch.where(rhs == 0, lhs, rest.to(lhs.dtype))


def bitwise(op, lhs, rhs):
    return getattr(torch, f"bitwise_{text(op.operation)}")(lhs, rhs)


REFERENCES = {
    division.IntegerDivOp: integer_div,
    division.RemainderOp: remainder,
    division.BitwiseOp: bitwise,
}
