"""Choices between tensors, and the dropout that is one."""

from __future__ import annotations

from xdsl.ir import SSAValue

from pock.frontends.common.steps import (
    broadcast,
    splat_like,
    splat_of,
)
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.dropout import DropoutOp
from pock_ir.dialects.elementwise import (
    CompareOp,
    DivOp,
    SelectOp,
)
from pock_ir.op import number
from pock_ir.types import dtype_of, shape_of


@handles("select_n")
def select_n(call: Call) -> SSAValue:
    """One of several operands; the selector is a truth value or the number of the case.

    Where it is one known number, the operand itself: `jnp.var` chooses NaN for no elements so.
    """
    emit, cases = call.emit, [call.x(index) for index in range(1, len(call))]
    which = broadcast(emit, call.x(0), call.shape())
    known = splat_of(which)
    if known is not None:
        return cases[int(known)]
    if dtype_of(which).name == "i1":
        return _dropped(call, which, cases) or emit(SelectOp, which, cases[-1], cases[0])
    chosen = cases[-1]
    for index in reversed(range(len(cases) - 1)):
        is_before = emit(CompareOp, which, splat_like(emit, index, which), predicate="le")
        chosen = emit(SelectOp, is_before, cases[index], chosen)
    return chosen


def _dropped(call: Call, mask: SSAValue, cases: list[SSAValue]) -> SSAValue | None:
    """Dropout, if that is what is selected: x / keep where a drawn mask is true, else 0."""
    drawn: DropoutOp | None = call.memory.get(("mask", mask))
    quotient = cases[-1].owner
    if drawn is None or splat_of(cases[0]) != 0 or not isinstance(quotient, DivOp):
        return None
    keep, p = splat_of(quotient.rhs), number(drawn.p)
    if keep is None or abs(keep - (1.0 - p)) > 1e-6:
        return None
    x = quotient.lhs
    if shape_of(x) != shape_of(drawn.result) or dtype_of(x).name != dtype_of(drawn.result).name:
        return None
    return call.emit(DropoutOp, x, drawn.seed, drawn.step, p=p, stream=drawn.stream)
