"""What PyTorch computes for mathematical functions."""

import torch

from pock_ir.dialects import functions
from references.torch_reference import plain


def sign(op, x):
    return torch.where(torch.isnan(x), x, torch.sign(x))


REFERENCES = {
    functions.SinOp: plain(torch.sin),
    functions.CosOp: plain(torch.cos),
    functions.Expm1Op: plain(torch.expm1),
    functions.Log1pOp: plain(torch.log1p),
    functions.ErfcOp: plain(torch.erfc),
    functions.FloorOp: plain(torch.floor),
    functions.CeilOp: plain(torch.ceil),
    functions.TruncOp: plain(torch.trunc),
    functions.RoundOp: plain(torch.round),
    functions.PowOp: plain(torch.pow),
    functions.SignOp: sign,
}
