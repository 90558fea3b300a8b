"""Softmax and its logarithm.

Frameworks subtract the maximum before the exponential, some with the gradient stopped there. It
cancels: softmax(x - c) = softmax(x) for every c that is the same along the axis, so the gradient
that would flow through c is zero. What is subtracted is therefore dropped, but only if it is the
maximum of x: another c may overflow where the maximum does not. The reverse is no objection; the
whole op is also right where exp(x) alone would overflow.

log(softmax(x)) is not raised: it is -inf where softmax rounds to 0, and log_softmax is not.
"""

from __future__ import annotations

from math import inf

from xdsl.ir import SSAValue

from pock_ir.dialects.elementwise import (
    AddOp,
    DivOp,
    ExpOp,
    LogOp,
    MaximumOp,
    MulOp,
    SelectOp,
    StopGradientOp,
    SubOp,
)
from pock_ir.dialects.reduce import MaxOp, SumOp
from pock_ir.dialects.softmax import LogSoftmaxOp, SoftmaxForward, SoftmaxOp
from pock_ir.passes.raising.forms import X, inverse_of
from pock_ir.passes.raising.match import (
    Along,
    Capture,
    Named,
    Number,
    OneOf,
    Op,
    Pattern,
    Reduce,
)
from pock_ir.passes.raising.table import Build, Found, Raise
from pock_ir.passes.raising.views import View, lay


def shift_of(pattern: Pattern) -> Pattern:
    """The maximum; a guard against empty or infinite ones may choose -inf or 0 in its place.

    No gradient need pass, see above.
    """
    maximum = Reduce(MaxOp, pattern)
    guarded = OneOf(maximum, Op(MaximumOp, maximum, Number(-inf)))
    shift = OneOf(guarded, Op(SelectOp, Capture("guard"), guarded, Number(0.0)))
    return OneOf(shift, Op(StopGradientOp, shift))


LOGITS = Capture("logits")
POWERS = Named("powers", Op(ExpOp, LOGITS))
TOTAL = Reduce(SumOp, POWERS)


def log_sum_exp(pattern: Pattern) -> Pattern:
    """log of the sum of exp(x), with or without the maximum taken out."""

    def log_of_sum(inner: Pattern) -> Pattern:
        return Op(LogOp, Reduce(SumOp, Op(ExpOp, inner)))

    shift = Named("shift", shift_of(pattern))
    return OneOf(log_of_sum(pattern), Op(AddOp, shift, log_of_sum(Op(SubOp, pattern, shift))))


def unshifted(found: Found) -> View:
    """x if the logits are x less its maximum along the axis, else the logits."""
    logits = found.view("logits")
    pattern = Op(SubOp, X, shift_of(X))
    for captures in pattern.fits(logits, found.frame, {"axes": found.axes}):
        return captures["x"]
    return logits


def along_axis(op_type: type[SoftmaxForward], name: str) -> Build:
    """Builds an op along the one axis of the reductions."""

    def build(found: Found) -> SSAValue | None:
        if len(found.axes) != 1:
            return None
        x = unshifted(found) if name == "logits" else found.view(name)
        if not x.spans(found.frame):
            return None
        value = lay(found.emit, x, found.frame, found.all_axes)
        return found.make(op_type, value, axis=found.axes[0])

    return build


ROWS = (
    Raise(
        "softmax",
        (DivOp, MulOp),
        OneOf(Op(DivOp, POWERS, TOTAL), Op(MulOp, POWERS, inverse_of(TOTAL))),
        along_axis(SoftmaxOp, "logits"),
    ),
    Raise(
        "log-softmax",
        (SubOp,),
        Op(SubOp, LOGITS, log_sum_exp(LOGITS)),
        along_axis(LogSoftmaxOp, "logits"),
    ),
    Raise(
        "softmax-of-log-softmax",
        (ExpOp,),
        Op(ExpOp, Along(LogSoftmaxOp, X)),
        along_axis(SoftmaxOp, "x"),
    ),
)
