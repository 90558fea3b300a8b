"""A factor and a shift behind a norm become its own.

Only where the norm has none yet and nobody else reads its result: then nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from xdsl.ir import Operation, SSAValue

from pock_ir.dialects.elementwise import AddOp, MulOp
from pock_ir.dialects.layer_norm import LayerNormOp
from pock_ir.dialects.norm import BatchNormInferenceOp, BatchNormOp
from pock_ir.dialects.rms_norm import RmsNormOp
from pock_ir.op import PockOp, integer
from pock_ir.passes.canonicalize import constant_of
from pock_ir.passes.raising.match import Capture, Captures, Kinds, Op, Pattern, bound
from pock_ir.passes.raising.table import Found, Raise, is_argument
from pock_ir.passes.raising.views import Shape, View, whole
from pock_ir.types import shape_of


def _inner(op: PockOp) -> range:
    return range(integer(op.properties["axis"]), len(shape_of(op.operands[0])))


def _channel(op: PockOp) -> range:
    axis = integer(op.properties["axis"])
    return range(axis, axis + 1)


PARAMETER_AXES: Mapping[type[Operation], Callable[[PockOp], range]] = {
    BatchNormInferenceOp: _channel,
    BatchNormOp: _channel,
    LayerNormOp: _inner,
    RmsNormOp: _inner,
}
"""The axes of x that the parameters of each norm run along."""


@dataclass(frozen=True)
class Norm(Pattern):
    """The result of a norm that nobody else reads, captured as "norm"."""

    def may_fit(self, present: Kinds) -> bool:
        return not PARAMETER_AXES.keys().isdisjoint(present)

    def fits(self, view: View, frame: Shape, known: Captures) -> Iterator[Captures]:
        op = view.owner
        if op is None or type(op) not in PARAMETER_AXES or view.base is not op.results[0]:
            return
        if view == whole(view.base) and shape_of(view.base) == frame and view.base.has_one_use():
            yield from bound(known, "norm", view)


def absorb(index: int, name: str, neutral: float) -> Callable[[Found], SSAValue | None]:
    """Builds the norm with the captured value as its operand `index`, which is `neutral` so far."""

    def build(found: Found) -> SSAValue | None:
        op, value = found.view("norm").owner, found.view(name)
        assert isinstance(op, PockOp)
        axes = PARAMETER_AXES[type(op)](op)
        is_free = index < len(op.operands) and constant_of(op.operands[index]) == neutral
        if not is_free or not value.varies_along() <= set(axes):
            return None
        # Who reads the statistics may come before the root: the new op goes where the old one is.
        if any(result.first_use for result in op.results[1:]):
            if not is_argument(value):
                return None
            found.move_before(op)
        operands = list(op.operands)
        operands[index] = found.lay(name, axes)
        new = found.emit.op(type(op), *operands, **op.properties)
        found.same += zip(op.results[1:], new.results[1:], strict=True)
        return new.results[0]

    return build


ROWS = (
    Raise(
        "norm-times-factor",
        (MulOp,),
        Op(MulOp, Norm(), Capture("gamma")),
        absorb(1, "gamma", 1.0),
    ),
    Raise("norm-plus-shift", (AddOp,), Op(AddOp, Norm(), Capture("beta")), absorb(2, "beta", 0.0)),
)
