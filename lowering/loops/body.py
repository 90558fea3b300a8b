"""From the body of a kernel to a loop program.

The results' elements are traced back to the arguments. Every tensor of the body is seen as a
function of the domain's dims: the domain is the shape of what is reduced, or of the results if
nothing is. An op that is made of reductions (softmax, normalisation) is composed of them by its
rule (see `rows`), so that any fusion of such ops with elementwise ones is one program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from xdsl.ir import BlockArgument, Operation, OpResult, SSAValue

from pock_ir.dialects.dropout import DropoutOp, keep_threshold
from pock_ir.dialects.elementwise import ElementwiseOp
from pock_ir.dialects.norm import BatchNormInferenceOp
from pock_ir.dialects.optimizer import UpdateOp
from pock_ir.dialects.shape import BroadcastOp, ConstantOp, IotaOp, ReshapeOp, TransposeOp
from pock_ir.lowering.loops.expressions import elementwise_results, typed_constant
from pock_ir.lowering.loops.program import (
    Access,
    Dims,
    Position,
    Reduced,
    Reduction,
    Source,
    row_major,
)
from pock_ir.lowering.loops.updates import UPDATES, is_partial, slice_begin
from pock_ir.lowering.loops.views import reshaped, view_of
from pock_ir.op import integer, ints, number
from pock_ir.scalar import Expr, arg, cast, select, sqrt
from pock_ir.types import DType, dtype_of, shape_of

NOWHERE = -1
"""In a map: a dim of size 1 that runs along no dim of the domain."""

Map: TypeAlias = tuple[int, ...]
"""For each dim of a tensor, the dim of the domain along which it runs, or NOWHERE."""


class Unsupported(Exception):
    """The body is no loop program; the text says why. Never reaches a user: the kernel does not
    match."""


@dataclass(frozen=True)
class Domain:
    """The iteration space of a body: sizes, and the dims that are reduced."""

    sizes: tuple[int, ...]
    reduced: Dims

    @property
    def identity(self) -> Map:
        return tuple(range(len(self.sizes)))

    @property
    def kept(self) -> Map:
        return tuple(dim for dim in self.identity if dim not in self.reduced)

    @property
    def inner(self) -> Map:
        return tuple(sorted(self.reduced))

    @property
    def count(self) -> int:
        """How many elements each reduction adds up."""
        return prod(self.sizes[dim] for dim in self.reduced)


class BodyReader:
    """Traces values of one block back to its arguments, over one domain."""

    def __init__(self, domain: Domain, rules: Mapping[type[Operation], Any]) -> None:
        self.domain = domain
        self._rules = rules
        self.sources: list[Source] = []
        self.reductions: list[Reduction] = []
        self._arguments: dict[Source, Expr] = {}
        self._known: dict[tuple[SSAValue, Map], Expr] = {}
        self._composed: dict[Operation, Sequence[Expr]] = {}
        self._sums: dict[tuple[str, Expr], Expr] = {}

    # What rules use

    def full(self, value: SSAValue) -> Expr:
        """An element of a tensor that has the shape of the domain."""
        return self.term(value, self.domain.identity)

    def kept(self, value: SSAValue) -> Expr:
        """An element of a tensor over the dims that are not reduced."""
        return self.term(value, self.domain.kept)

    def inner(self, value: SSAValue) -> Expr:
        """An element of a tensor over the reduced dims."""
        return self.term(value, self.domain.inner)

    def reduce(self, kind: str, value: Expr, dtype: DType) -> Expr:
        """The reduction ("sum", "max" or "prod") of `value` over the reduced dims."""
        key = (kind, value)
        if key not in self._sums:
            self.reductions.append(Reduction(kind, value, dtype))
            self._sums[key] = self._argument(Reduced(len(self.reductions) - 1, dtype))
        return self._sums[key]

    def position(self, axis: int) -> Expr:
        """The index along dim `axis` of the domain, as i32."""
        strides = tuple(int(dim == axis) for dim in self.domain.identity)
        return self._argument(Position(strides))

    # Tracing

    def _argument(self, source: Source) -> Expr:
        if source not in self._arguments:
            self._arguments[source] = arg(len(self.sources))
            self.sources.append(source)
        return self._arguments[source]

    def strides(self, strides: Sequence[int], place: Map) -> tuple[int, ...]:
        """A tensor's strides as strides along the domain."""
        result = [0] * len(self.domain.sizes)
        for stride, dim in zip(strides, place, strict=True):
            if dim != NOWHERE:
                result[dim] += stride
        return tuple(result)

    def term(self, value: SSAValue, place: Map) -> Expr:
        """The expression of the element of `value` at `place`. Raises Unsupported."""
        key = (value, place)
        if key not in self._known:
            self._known[key] = self._trace(value, place)
        return self._known[key]

    def _trace(self, value: SSAValue, place: Map) -> Expr:
        self._check(value, place)
        view = view_of(value)
        if view is not None:
            strides = self.strides(view.strides, place)
            return self._argument(Access(view.argument, dtype_of(value), strides, view.offset))
        if not isinstance(value, OpResult):
            raise Unsupported("a value from outside of the body")
        return self._from_op(value.op, value.index, place)

    def _check(self, value: SSAValue, place: Map) -> None:
        for size, dim in zip(shape_of(value), place, strict=True):
            wanted = 1 if dim == NOWHERE else self.domain.sizes[dim]
            if size != wanted:
                raise Unsupported("the shapes of the body do not line up")

    def _from_op(self, op: Operation, index: int, place: Map) -> Expr:
        match op:
            case ConstantOp():
                return typed_constant(op)
            case IotaOp():
                return self._iota(op, place)
            case BroadcastOp():
                return self.term(op.x, tuple(place[axis] for axis in ints(op.axes)))
            case TransposeOp():
                order = ints(op.permutation)
                return self.term(op.x, tuple(place[order.index(i)] for i in range(len(order))))
            case ReshapeOp():
                return self._reshaped(op, place)
            case DropoutOp():
                return self._dropout(op, place)
            case UpdateOp():
                return self._update(op, place)[index]
            case BatchNormInferenceOp():
                channel = (place[integer(op.axis)],)
                rest = [self.term(value, channel) for value in op.operands[1:]]
                return _normalised(op, self.term(op.x, place), *rest)
            case ElementwiseOp():
                results = elementwise_results(op, [self.term(x, place) for x in op.operands])
                return (results or ())[index]
            case _:
                return self._composite(op, index, place)

    def _iota(self, op: IotaOp, place: Map) -> Expr:
        return cast(self.position(place[integer(op.axis)]), dtype_of(op.type).name)

    def _reshaped(self, op: ReshapeOp, place: Map) -> Expr:
        before, after = shape_of(op.x), shape_of(op.results[0])
        # Dims of size 1 come back as 0; tell them from dim 0 by counting from 1.
        moved = reshaped(after, before, tuple(dim + 1 for dim in place))
        if moved is None:
            raise Unsupported("a reshape of a computed tensor")
        return self.term(op.x, tuple(dim - 1 for dim in moved))

    def _dropout(self, op: DropoutOp, place: Map) -> Expr:
        strides = self.strides(row_major(shape_of(op.x)), place)
        position = self._argument(Position(strides))
        seed, step = self.term(op.seed, ()), self.term(op.step, ())
        p = number(op.p)
        drawn = Expr("uniform", (seed, step, position), value=integer(op.stream))
        keep = drawn >= keep_threshold(p) * 2.0**-24
        return select(keep, self.term(op.x, place) / (1 - p), 0.0)

    def _update(self, op: UpdateOp, place: Map) -> Sequence[Expr]:
        """The slice of the parameter that the gradient covers, and the state."""
        if op not in self._composed:
            shape = shape_of(op.g)
            args = [self.updated(op.w, op, place)]
            args += [self.term(x, place if shape_of(x) == shape else ()) for x in op.operands[1:]]
            self._composed[op] = UPDATES[type(op)](op, args)
        return self._composed[op]

    def updated_slice(self, op: UpdateOp, place: Map) -> Expr:
        """The new element of the slice of the parameter that `op` updates."""
        return self._update(op, place)[0]

    def updated(self, w: SSAValue, op: UpdateOp, place: Map) -> Expr:
        """The element of the parameter that belongs to the gradient's element at `place`."""
        if not is_partial(op):
            return self.term(w, place)
        if not isinstance(w, BlockArgument):
            raise Unsupported("a slice of a computed parameter")
        return self._argument(self.slice_access(w.index, op, place))

    def slice_access(self, buffer: int, op: UpdateOp, place: Map) -> Access:
        """Where the slice that `op` updates lies in a buffer of the parameter's shape."""
        strides = row_major(shape_of(op.w))
        offset = sum(a * b for a, b in zip(strides, slice_begin(op), strict=True))
        return Access(buffer, dtype_of(op.w), self.strides(strides, place), offset)

    def _composite(self, op: Operation, index: int, place: Map) -> Expr:
        rule = self._rules.get(type(op))
        if rule is None:
            raise Unsupported(f"{op.name} is no loop program")
        if place not in (self.domain.identity, self.domain.kept):
            raise Unsupported(f"{op.name} is read in another order")
        if op not in self._composed:
            self._composed[op] = rule(self, op)
        return self._composed[op][index]


def _normalised(
    op: BatchNormInferenceOp, x: Expr, gamma: Expr, beta: Expr, mean: Expr, variance: Expr
) -> Expr:
    return (x - mean) * (gamma / sqrt(variance + number(op.eps))) + beta
