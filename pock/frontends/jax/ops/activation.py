"""Activations that are taken whole."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import SSAValue

from pock.frontends.jax.table import Call, Decline, takes_whole
from pock_ir.dialects.elementwise import (
    ClampOp,
    GeluOp,
    ReluOp,
    SiluOp,
)
from pock_ir.op import PockOp

WHOLE_UNARY: Mapping[str, type[PockOp]] = {"custom_jvp_call:relu": ReluOp, "silu": SiluOp}


@takes_whole(*WHOLE_UNARY)
def whole_unary(call: Call) -> SSAValue:
    """An activation that is one op."""
    return call.emit(WHOLE_UNARY[call.name], call.x())


@takes_whole("custom_jvp_call:relu6")
def relu6(call: Call) -> SSAValue:
    """min(max(x, 0), 6), with gradient 0 at both ends."""
    return call.emit(ClampOp, call.x(), min=0.0, max=6.0)


@takes_whole("gelu")
def gelu(call: Call) -> SSAValue:
    """Both kinds of gelu."""
    if not isinstance(call.params["approximate"], bool):
        raise Decline
    kind = "tanh" if call.params["approximate"] else "none"
    return call.emit(GeluOp, call.x(), approximation=kind)
