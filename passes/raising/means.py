"""A sum divided by how many elements it adds is a mean; the norms look for means."""

from __future__ import annotations

from math import prod

from xdsl.ir import SSAValue

from pock_ir.dialects.elementwise import DivOp, MulOp
from pock_ir.dialects.reduce import MeanOp, SumOp
from pock_ir.op import ints
from pock_ir.passes.raising.match import AnyNumber, OneOf, Op, ResultOf, is_close
from pock_ir.passes.raising.table import Found, Raise
from pock_ir.passes.raising.views import View, lay
from pock_ir.types import shape_of

TOTAL = ResultOf(SumOp, "total")


def mean(found: Found) -> SSAValue | None:
    """The mean over the axes of the sum."""
    total = found.view("total")
    op = total.owner
    assert isinstance(op, SumOp)
    shape = shape_of(op.x)
    count = float(prod(shape[axis] for axis in ints(op.axes)))
    name, wanted = ("count", count) if "count" in found.captures else ("share", 1.0 / count)
    if not is_close(found.number(name), wanted, total):
        return None
    result = found.emit(MeanOp, op.x, axes=op.axes)
    return lay(found.emit, View(result, total.dims), found.frame, found.all_axes)


ROWS = (
    Raise(
        "mean",
        (DivOp, MulOp),
        OneOf(Op(DivOp, TOTAL, AnyNumber("count")), Op(MulOp, TOTAL, AnyNumber("share"))),
        mean,
    ),
)
