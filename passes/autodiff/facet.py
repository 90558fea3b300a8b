"""The table of gradient rules, and one-line forms for the simple kinds of op.

A rule is `rule(op, cotangents, needed, emit)`: one cotangent per result (None is a symbolic
zero), one flag per operand; it returns one gradient per operand, None where none is needed or
where it is zero. It builds no op for a gradient that is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint

from pock_ir.build import Emitter
from pock_ir.diagnostics import Diagnostic, PockError
from pock_ir.facets import Facet
from pock_ir.location import location_of
from pock_ir.op import PockOp
from pock_ir.passes.autodiff.algebra import Term
from pock_ir.passes.trained import TrainedSlice

Gradients: TypeAlias = Sequence[SSAValue | None]


class GradientEmitter(Emitter):
    """Emits gradient ops at the location of the forward op.

    `requested(i)` is the slice of operand i whose gradient is wanted, None for all of it. A rule
    may return the gradient of that slice or of the whole operand; the engine cuts the latter.
    """

    def __init__(
        self,
        point: InsertPoint,
        location: LocationAttr,
        slices: Mapping[int, TrainedSlice] | None = None,
    ) -> None:
        super().__init__(point, location)
        self._slices = slices or {}

    def requested(self, operand: int) -> TrainedSlice | None:
        return self._slices.get(operand)


# The op is Any so that a rule can name the op class it is registered for.
VjpRule: TypeAlias = Callable[[Any, Gradients, Sequence[bool], GradientEmitter], Gradients]
Op = TypeVar("Op", bound=PockOp)

VJP: Facet[VjpRule] = Facet("gradient", "pock_ir.passes.autodiff.rules")


def inactive(*op_types: type[PockOp]) -> None:
    """The results of `op_types` do not vary smoothly with any operand: no gradients.

    forward:  y = f(x), piecewise constant
    backward: dx = 0, as the symbolic zero
    """

    def rule(
        op: PockOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
    ) -> Gradients:
        return [None] * len(op.operands)

    VJP.register(*op_types)(rule)


def linear(
    op_type: type[Op], transpose: Callable[[Op, SSAValue, GradientEmitter], SSAValue]
) -> None:
    """One operand, on which the result depends linearly or through what the op itself keeps.

    forward:  y = f(x)
    backward: dx = transpose(op, dy, emit)
    """

    def rule(
        op: Op, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
    ) -> Gradients:
        return [transpose(op, only_first(op, cotangents), emit)]

    VJP.register(op_type)(rule)


def unary(op_type: type[PockOp], slope: Callable[[Term, Term, Term], Term]) -> None:
    """Each result element depends on the element of x at the same place.

    forward:  y = f(x)
    backward: dx = slope(x, y, dy), in Term arithmetic
    """

    def rule(
        op: PockOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
    ) -> Gradients:
        dy = only_first(op, cotangents)
        return values(slope(*terms(emit, op.operands[0], op.results[0], dy)))

    VJP.register(op_type)(rule)


BinarySlope: TypeAlias = Callable[[Term, Term, Term, Term], Term]


def binary(op_type: type[PockOp], to_lhs: BinarySlope, to_rhs: BinarySlope) -> None:
    """Each result element depends on the elements of a and b at the same place.

    forward:  y = f(a, b)
    backward: da = to_lhs(a, b, y, dy);  db = to_rhs(a, b, y, dy), in Term arithmetic
    """

    def rule(
        op: PockOp, cotangents: Gradients, needed: Sequence[bool], emit: GradientEmitter
    ) -> Gradients:
        dy = only_first(op, cotangents)
        a, b, y, dz = terms(emit, *op.operands, op.results[0], dy)
        return values(
            to_lhs(a, b, y, dz) if needed[0] else None, to_rhs(a, b, y, dz) if needed[1] else None
        )

    VJP.register(op_type)(rule)


def refuse_second_order(*op_types: type[PockOp]) -> None:
    """`op_types` occur in training graphs only, which are not differentiated again."""
    VJP.refuse("second-order gradients are not supported", *op_types)


def only_first(op: Operation, cotangents: Gradients) -> SSAValue:
    """The cotangent of result 0, for ops whose other results are saved for the gradient.

    Raises PockError if the loss depends on another result.
    """
    first, *others = cotangents
    if first is None or any(other is not None for other in others):
        index = next(i for i, value in enumerate(cotangents) if i and value is not None)
        raise unsupported(op, f"the loss depends on result {index}, which has no gradient")
    return first


def terms(emit: Emitter, *operands: SSAValue) -> list[Term]:
    """The values as terms."""
    return [Term(emit, operand) for operand in operands]


def values(*results: Term | None) -> Gradients:
    """The values of the terms; None stays None."""
    return [None if term is None else term.value for term in results]


def unsupported(op: Operation, reason: str) -> PockError:
    """The error for an op whose gradient is not known in this situation."""
    return PockError(Diagnostic(f"{op.name}: {reason}", location_of(op)))
