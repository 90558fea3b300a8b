"""Reductions, and what is made of them: argmax, cumulative sums and products."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import SSAValue

from pock.frontends.common.steps import cast, pad, slice_axis
from pock.frontends.jax.table import Call, handles
from pock_ir.dialects.elementwise import MulOp
from pock_ir.dialects.reduce import ArgMaxOp, ArgMinOp, MaxOp, MinOp, ProdOp, SumOp
from pock_ir.dialects.scan import CumSumOp
from pock_ir.op import PockOp
from pock_ir.types import dtype_of, shape_of

PLAIN: Mapping[str, type[PockOp]] = {
    "reduce_max": MaxOp,
    "reduce_min": MinOp,
    "reduce_prod": ProdOp,
    "reduce_sum": SumOp,
}

ARG: Mapping[str, type[PockOp]] = {"argmax": ArgMaxOp, "argmin": ArgMinOp}


@handles(*PLAIN)
def reduce_(call: Call) -> SSAValue:
    """The op that the primitive is."""
    return call.emit(PLAIN[call.name], call.x(), axes=_axes(call))


def _axes(call: Call) -> list[int]:
    return sorted(call.params["axes"])


@handles("reduce_or", "reduce_and")
def reduce_truth(call: Call) -> SSAValue:
    """Whether any, or all, of the truth values are true: their largest or smallest, as numbers."""
    emit = call.emit
    x = cast(emit, call.x(), "i32")
    return cast(emit, emit(MaxOp if call.name == "reduce_or" else MinOp, x, axes=_axes(call)), "i1")


@handles(*ARG)
def arg_extreme(call: Call) -> SSAValue:
    """The first index of the extreme element; the first NaN counts as that."""
    (axis,) = call.params["axes"]
    x = call.x()
    x = cast(call.emit, x, "i8") if dtype_of(x).name == "i1" else x
    found = call.emit(ARG[call.name], x, axis=axis, index="i32")
    return cast(call.emit, found, call.dtype())


@handles("cumsum")
def cumsum(call: Call) -> SSAValue:
    """The sums of all elements up to each."""
    axis, reverse = call.params["axis"], call.params["reverse"]
    return call.emit(CumSumOp, call.x(), axis=axis, reverse=reverse, exclusive=False)


@handles("cumprod")
def cumprod(call: Call) -> SSAValue:
    """The products of all elements up to each, by doubling: 1, 2, 4 ... factors at a time."""
    emit, axis, reverse = call.emit, call.params["axis"], call.params["reverse"]
    x = call.x()
    size, reach = shape_of(x)[axis], 1
    none = [0] * len(shape_of(x))
    while reach < size:
        ones = [*none]
        ones[axis] = reach
        begin, end = (reach, size) if reverse else (0, size - reach)
        part = slice_axis(emit, x, axis, begin, end)
        low, high = (none, ones) if reverse else (ones, none)
        x = emit(MulOp, x, pad(emit, part, low, high, 1))
        reach *= 2
    return x
