"""What PyTorch computes for elementwise ops."""

import torch
import torch.nn.functional as F

from pock_ir.dialects import elementwise
from pock_ir.op import number, text
from references.torch_reference import TORCH_DTYPES, plain


def gelu(op, x):
    return F.gelu(x, approximate=text(op.approximation))


def clamp(op, x):
    return torch.clamp(x, number(op.min), number(op.max))


def power(op, x):
    return torch.pow(x, number(op.exponent))


def compare(op, lhs, rhs):
    return getattr(torch, text(op.predicate))(lhs, rhs)


def cast(op, x):
    return x.to(TORCH_DTYPES[text(op.to)])


REFERENCES = {
    elementwise.NegOp: plain(torch.neg),
    elementwise.StopGradientOp: plain(torch.clone),
    elementwise.AbsOp: plain(torch.abs),
    elementwise.ExpOp: plain(torch.exp),
    elementwise.LogOp: plain(torch.log),
    elementwise.SqrtOp: plain(torch.sqrt),
    elementwise.RsqrtOp: plain(torch.rsqrt),
    elementwise.TanhOp: plain(torch.tanh),
    elementwise.SigmoidOp: plain(torch.sigmoid),
    elementwise.ErfOp: plain(torch.erf),
    elementwise.ReluOp: plain(torch.relu),
    elementwise.SiluOp: plain(F.silu),
    elementwise.SquareOp: plain(torch.square),
    elementwise.ReciprocalOp: plain(torch.reciprocal),
    elementwise.HardSigmoidOp: plain(F.hardsigmoid),
    elementwise.HardSwishOp: plain(F.hardswish),
    elementwise.AddOp: plain(torch.add),
    elementwise.SubOp: plain(torch.sub),
    elementwise.MulOp: plain(torch.mul),
    elementwise.DivOp: plain(torch.div),
    elementwise.MaximumOp: plain(torch.maximum),
    elementwise.MinimumOp: plain(torch.minimum),
    elementwise.LogicalAndOp: plain(torch.logical_and),
    elementwise.LogicalOrOp: plain(torch.logical_or),
    elementwise.LogicalNotOp: plain(torch.logical_not),
    elementwise.SelectOp: plain(torch.where),
    elementwise.GeluOp: gelu,
    elementwise.ClampOp: clamp,
    elementwise.PowerOp: power,
    elementwise.CompareOp: compare,
    elementwise.CastOp: cast,
}
