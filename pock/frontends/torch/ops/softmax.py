"""Softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    cast,
    splat,
)
from pock.frontends.torch.ops.common import (
    normal_axis,
)
from pock.frontends.torch.table import Call, handles
from pock_ir.dialects.softmax import LogSoftmaxOp, SoftmaxOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, shape_of

aten = torch.ops.aten

SOFTMAX: Mapping[Any, type[PockOp]] = {
    aten._log_softmax.default: LogSoftmaxOp,
    aten._softmax.default: SoftmaxOp,
    aten.log_softmax.int: LogSoftmaxOp,
    aten.softmax.int: SoftmaxOp,
}


@handles(*SOFTMAX)
def softmax(call: Call) -> SSAValue:
    """Softmax along one dim, in the element type of the result."""
    x = cast(call.emit, call.tensor("self"), dtype_of(call.result()).name)
    rank = len(shape_of(x))
    op_type = SOFTMAX[call.node.target]
    if rank == 0:
        return splat(call.emit, 1.0 if op_type is SoftmaxOp else 0.0, call.result())
    return call.emit(op_type, x, axis=normal_axis(call["dim"], rank))
