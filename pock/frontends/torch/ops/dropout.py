"""Dropout, with masks from a counter instead of PyTorch's generator state."""

from __future__ import annotations

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    splat_like,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.dropout import DropoutOp

aten = torch.ops.aten


@handles(aten.dropout.default)
def dropout(call: Call) -> SSAValue:
    """x / (1 - p) where it is kept, else 0; x itself in eval mode."""
    return _drop(call, "train")


@handles(aten.native_dropout.default)
def native_dropout(call: Call) -> tuple[SSAValue | None, ...]:
    """Dropout of which only the values can be used, not the mask."""
    return (_drop(call, "train"), None)


def _drop(call: Call, train: str) -> SSAValue:
    x, p = call.tensor("input"), float(call["p"])
    if p == 0.0 or call[train] is False:
        return x
    if p == 1.0:
        return splat_like(call.emit, 0, x)
    random = call.random()
    return call.emit(DropoutOp, x, random.seed, random.step, p=p, stream=random.stream)
