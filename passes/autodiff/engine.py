"""Reverse mode over SSA: cotangents from a loss back to the values that are asked for.

Only values on a path from a requested value to the loss get a cotangent. A symbolic zero is the
absence of one, and never becomes an op. The cotangents of a value with several consumers are
summed, in reverse order of the consumers, so that the sum does not depend on what else is asked.

Source: reverse accumulation as in JAX autodidax, part 1; the need analysis is the liveness of
PockEngine (arXiv 2310.17752, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import UNKNOWN_LOC, LocationAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint

from pock_ir.diagnostics import PockError
from pock_ir.dialects.elementwise import AddOp
from pock_ir.op import PockOp
from pock_ir.passes.autodiff.algebra import splat
from pock_ir.passes.autodiff.facet import VJP, GradientEmitter
from pock_ir.passes.trained import TrainedSlice
from pock_ir.types import Tensor, dtype_of, shape_of, tensor_type


@dataclass(frozen=True)
class Request:
    """A value whose gradient is wanted. A slice of it only if it is an argument of the block."""

    value: SSAValue
    slice: TrainedSlice | None = None

    @property
    def type(self) -> Tensor:
        """The type of the gradient."""
        type = tensor_type(self.value)
        return type if self.slice is None else self.slice.type_of(type)


def build_gradients(
    block: Block, loss: SSAValue, requests: Sequence[Request]
) -> list[SSAValue | None]:
    """Append to `block` the ops that compute d loss / d value for each request.

    The ops go before the terminator. `loss` is a float tensor of rank 0. The gradient of a
    request has the request's type; it is None where the loss does not depend on the value, or
    only through integers and conditions. Raises PockError for a loss of another type, and for
    an op on the path that has no gradient rule, all such ops at once.
    """
    if shape_of(loss) != () or not is_differentiable(loss):
        raise PockError(f"the loss should be one float, not {loss.type}")
    sweep = _Sweep(block, requests)
    sweep.run(loss)
    return [sweep.cotangents.get(request.value) for request in requests]


def is_differentiable(value: SSAValue) -> bool:
    """Whether a value can have a cotangent: integers and conditions cannot."""
    return dtype_of(value).is_float


def active_values(block: Block, sources: Iterable[SSAValue]) -> set[SSAValue]:
    """`sources` and the float values of `block` that depend on them through float values."""
    active = set(sources)
    for op in block.ops:
        if any(operand in active for operand in op.operands):
            active.update(filter(is_differentiable, op.results))
    return active


class _Sweep:
    """One walk over the ops of a block, last to first."""

    def __init__(self, block: Block, requests: Sequence[Request]) -> None:
        last = block.last_op
        if last is None:
            raise ValueError("the block has no terminator")
        self.point = InsertPoint.before(last)
        # The terminator is no op of the graph: it has no results and no rule.
        self.ops = list(block.ops)[:-1]
        self.requests = {request.value: request for request in requests}
        self.active = active_values(block, self.requests)
        self.cotangents: dict[SSAValue, SSAValue] = {}

    def run(self, loss: SSAValue) -> None:
        if loss not in self.active:
            return
        self._check_rules(loss)
        emit = GradientEmitter(self.point, _location(loss))
        self._add(loss, splat(emit, 1.0, tensor_type(loss)), emit)
        for op in reversed(self.ops):
            if any(result in self.cotangents for result in op.results):
                self._differentiate(op)

    def _check_rules(self, loss: SSAValue) -> None:
        """Raises PockError naming every op between the requests and the loss without a rule."""
        reached = {loss}
        problems: dict[str, PockError] = {}
        for op in reversed(self.ops):
            if not any(result in reached and result in self.active for result in op.results):
                continue
            reached.update(op.operands)
            try:
                VJP.of(op)
            except PockError as error:
                problems[str(error)] = error
        if problems:
            raise PockError(*(d for e in reversed(problems.values()) for d in e.diagnostics))

    def _differentiate(self, op: Operation) -> None:
        """Hand the cotangents of the results of `op` on to its operands."""
        if not isinstance(op, PockOp):
            raise TypeError(f"{op.name} is not a pock op")
        slices = self._requested_slices(op)
        emit = GradientEmitter(self.point, op.location, slices)
        needed = [operand in self.active for operand in op.operands]
        cotangents = [self.cotangents.get(result) for result in op.results]
        gradients = VJP.of(op)(op, cotangents, needed, emit)
        for index, gradient in enumerate(gradients):
            if gradient is None:
                continue
            if not needed[index]:
                raise ValueError(f"{op.name}: built gradient {index}, which nothing needs")
            self._add(op.operands[index], gradient, emit)

    def _requested_slices(self, op: Operation) -> Mapping[int, TrainedSlice]:
        requests = [self.requests.get(operand) for operand in op.operands]
        return {i: r.slice for i, r in enumerate(requests) if r is not None and r.slice}

    def _add(self, value: SSAValue, cotangent: SSAValue, emit: GradientEmitter) -> None:
        """Add `cotangent` to what `value` has, after cutting it to the requested slice."""
        request = self.requests.get(value)
        type = value.type if request is None else request.type
        if request is not None and request.slice is not None and cotangent.type == value.type:
            cotangent = request.slice.take(emit, cotangent)
        if cotangent.type != type:
            raise TypeError(f"a gradient of type {cotangent.type} for a value of type {type}")
        known = self.cotangents.get(value)
        self.cotangents[value] = cotangent if known is None else emit(AddOp, known, cotangent)


def _location(value: SSAValue) -> LocationAttr:
    return value.owner.location if isinstance(value.owner, Operation) else UNKNOWN_LOC
